#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    steps::serve(steps::recompute::Recompute::open, steps::recompute::handle).await
}
