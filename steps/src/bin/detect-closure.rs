#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    steps::serve(
        steps::detect_closure::DetectClosure::open,
        steps::detect_closure::handle,
    )
    .await
}
