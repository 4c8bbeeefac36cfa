#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    steps::serve(steps::reconcile::Reconcile::open, steps::reconcile::handle).await
}
