//! The environment variables a function sees: the ones that AWS sets, its own, and nothing of the host's.

use std::path::Path;

use super::{Function, HostConfig};
use crate::iam;

/// The variables for one sandbox of `function`, whose Runtime API listens at `api` (`127.0.0.1:4000`).
///
/// Later ones win: the template may choose the time zone, the language, or another endpoint for AWS, as on AWS, but not
/// what the runtime lives by. `HOME` is absent, so that no SDK finds the credentials of whoever runs the host.
pub(super) fn variables(
    function: &Function,
    config: &HostConfig,
    api: &str,
    log_stream: &str,
) -> Vec<(String, String)> {
    let task_root = function
        .program
        .parent()
        .unwrap_or(Path::new("/"))
        .display()
        .to_string();
    let defaults = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("AWS_ENDPOINT_URL", config.endpoint_url.as_str()),
    ];
    let access_key = iam::access_key(&function.name);
    let memory = function.memory_mb.to_string();
    let log_group = format!("/aws/lambda/{}", function.name);
    let reserved = [
        ("_HANDLER", function.handler.as_str()),
        ("LAMBDA_TASK_ROOT", task_root.as_str()),
        ("LAMBDA_RUNTIME_DIR", task_root.as_str()),
        ("AWS_LAMBDA_RUNTIME_API", api),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.as_str()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory.as_str()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", log_group.as_str()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", log_stream),
        ("AWS_REGION", config.region.as_str()),
        ("AWS_DEFAULT_REGION", config.region.as_str()),
        // The SDK signs with something or refuses. The endpoints on loopback look at whose key it is, and no further.
        ("AWS_ACCESS_KEY_ID", access_key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
    ];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    defaults
        .into_iter()
        .map(owned)
        .chain(function.environment.clone())
        .chain(reserved.into_iter().map(owned))
        .collect()
}
