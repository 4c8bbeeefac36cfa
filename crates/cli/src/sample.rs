//! The webhook's secret on this machine, and a delivery to try it with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use runtime::template::LogicalId;
use serde_json::Value;

use crate::post::sign;

/// The secret that JIRA signs with, as the template names it.
pub(crate) const SECRET: &str = "WebhookSecret";

/// The issue of the sample delivery.
pub(crate) const KEY: &str = "SHOP-1";

/// A first delivery, of an issue that nobody has.
const DELIVERY: &str = include_str!("sample.json");

/// `JIRA_WEBHOOK_SECRET`, if it is set to anything.
fn given() -> Option<String> {
    std::env::var("JIRA_WEBHOOK_SECRET")
        .ok()
        .filter(|secret| !secret.is_empty())
}

/// The values that the environment gives to the template's secrets: `JIRA_WEBHOOK_SECRET`, and `JIRA_TOKEN` to the
/// credential for JIRA's REST API.
pub(crate) fn given_secrets() -> BTreeMap<LogicalId, String> {
    let token = std::env::var("JIRA_TOKEN").ok().filter(|token| !token.is_empty());
    let given = [(SECRET, given()), ("JiraToken", token)];
    given
        .into_iter()
        .filter_map(|(name, value)| Some((LogicalId(name.to_owned()), value?)))
        .collect()
}

/// The key that signs deliveries, of the secret in the environment.
pub(crate) fn secret_of_environment() -> Option<String> {
    given().and_then(|secret| signing_key(&secret))
}

/// The key that signs deliveries, of the secret that `up` keeps in the data directory, if it has been started there.
pub(crate) fn secret_in(data_dir: &Path) -> anyhow::Result<Option<String>> {
    let secret = runtime::secret(data_dir, SECRET);
    let secret = secret.with_context(|| format!("could not read the secrets in {}", data_dir.display()))?;
    Ok(secret.and_then(|secret| signing_key(&secret)))
}

/// The key that signs: the whole secret, or its first `signature` where it is a JSON object of the proofs that the
/// webhook takes. `None` if it takes no signature.
pub(crate) fn signing_key(secret: &str) -> Option<String> {
    if !secret.trim_start().starts_with('{') {
        return Some(secret.to_owned());
    }
    let proofs: Value = serde_json::from_str(secret).ok()?;
    let key = match &proofs["signature"] {
        Value::Array(keys) => keys.first()?.as_str(),
        key => key.as_str(),
    };
    key.map(str::to_owned)
}

/// Writes the sample delivery into the data directory; its file and its signature.
pub(crate) fn write(data_dir: &Path, secret: &str) -> anyhow::Result<(PathBuf, String)> {
    let file = data_dir.join("sample-delivery.json");
    std::fs::write(&file, DELIVERY).with_context(|| format!("could not write {}", file.display()))?;
    Ok((file, sign(secret, DELIVERY.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_secret_or_its_first_signature() {
        let key = |secret: &str| signing_key(secret);
        assert_eq!(key("plain").as_deref(), Some("plain"));
        assert_eq!(key(r#"{"signature": "one", "bearer": "x"}"#).as_deref(), Some("one"));
        assert_eq!(key(r#"{"signature": ["new", "old"]}"#).as_deref(), Some("new"));
        for none in [r#"{"bearer": "x"}"#, r#"{"signature": []}"#, "{", r#"{"signature": 7}"#] {
            assert_eq!(key(none), None, "{none}");
        }
    }
}
