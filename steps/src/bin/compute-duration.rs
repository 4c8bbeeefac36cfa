#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    steps::serve(
        steps::compute_duration::ComputeDuration::open,
        steps::compute_duration::handle,
    )
    .await
}
