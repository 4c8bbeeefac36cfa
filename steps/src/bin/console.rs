#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    steps::serve(steps::console::Console::open, steps::console::handle).await
}
