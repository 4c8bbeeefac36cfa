//! The webhook's secret on this machine, and a delivery to try it with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use runtime::template::LogicalId;

use crate::post::sign;

/// The secret that JIRA signs with, as the template names it.
pub(crate) const SECRET: &str = "WebhookSecret";

/// The issue of the sample delivery.
pub(crate) const KEY: &str = "SHOP-1";

/// A first delivery, of an issue that nobody has.
const DELIVERY: &str = include_str!("sample.json");

/// `JIRA_WEBHOOK_SECRET`, if it is set to anything.
pub(crate) fn secret_of_environment() -> Option<String> {
    std::env::var("JIRA_WEBHOOK_SECRET")
        .ok()
        .filter(|secret| !secret.is_empty())
}

/// The value that the environment gives to the template's secret, if it does.
pub(crate) fn given_secrets() -> BTreeMap<LogicalId, String> {
    secret_of_environment()
        .map(|secret| (LogicalId(SECRET.to_owned()), secret))
        .into_iter()
        .collect()
}

/// The secret that `up` keeps in the data directory, if it has been started there.
pub(crate) fn secret_in(data_dir: &Path) -> anyhow::Result<Option<String>> {
    runtime::secret(data_dir, SECRET).with_context(|| format!("could not read the secrets in {}", data_dir.display()))
}

/// Writes the sample delivery into the data directory; its file and its signature.
pub(crate) fn write(data_dir: &Path, secret: &str) -> anyhow::Result<(PathBuf, String)> {
    let file = data_dir.join("sample-delivery.json");
    std::fs::write(&file, DELIVERY).with_context(|| format!("could not write {}", file.display()))?;
    Ok((file, sign(secret, DELIVERY.as_bytes())))
}
