//! The smallest Lambda function: answers with its event. It is built as every real one is, on `lambda_runtime`.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        Ok::<Value, Error>(event.payload)
    }))
    .await
}
