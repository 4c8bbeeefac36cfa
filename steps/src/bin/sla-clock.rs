#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    steps::serve(steps::sla_clock::SlaClock::open, steps::sla_clock::handle).await
}
