#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    steps::serve(steps::webhook::Webhook::open, steps::webhook::handle).await
}
