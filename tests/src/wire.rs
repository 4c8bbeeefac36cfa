//! How tests and benchmarks speak to a Ticketflow: signed as JIRA does, and by AWS's own SDKs.

use aws_config::SdkConfig;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// `X-Hub-Signature` of a body.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    format!(
        "sha256={}",
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    )
}

/// What an AWS SDK's client is made of that speaks to this endpoint.
pub async fn aws(endpoint: &str) -> SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region("us-west-2")
        .test_credentials()
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .load()
        .await
}
