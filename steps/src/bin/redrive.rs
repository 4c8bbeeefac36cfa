#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    steps::serve(steps::sweep::Mending::open, steps::redrive::handle).await
}
