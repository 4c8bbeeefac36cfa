#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    steps::serve(steps::record_failure::RecordFailure::open, steps::redrive::handle).await
}
