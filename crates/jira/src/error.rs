//! What can go wrong between us and a JIRA.

use std::time::Duration;

/// Why JIRA did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{url:?} is not the URL of a JIRA: it should be like https://example.atlassian.net")]
    Url { url: String },
    /// Not quoted: it has a secret in it.
    #[error("the URL of a JIRA names it, and no user: the credential has a place of its own")]
    CredentialInUrl,
    #[error("{url:?} would carry the credential in the clear: ask for https")]
    Insecure { url: String },
    #[error("the credential has characters that no HTTP header can carry")]
    Credential,
    #[error("HTTP cannot be set up")]
    Setup(#[source] reqwest::Error),
    #[error("JIRA did not answer {path}")]
    Unreachable {
        path: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("JIRA answered {status} to {path}, again and again")]
    Failing { path: String, status: u16 },
    /// JIRA asks to be left alone for longer than the caller has patience.
    #[error("JIRA limits our rate: it asks to wait for {} s before {path} again", retry_after.as_secs())]
    Throttled { path: String, retry_after: Duration },
    #[error("JIRA answered {status} to {path}: {message}")]
    Refused { path: String, status: u16, message: String },
    /// Whoever follows it carries the credential to somebody else.
    #[error("JIRA answered {status} to {path}: it is at {to}")]
    Elsewhere { path: String, status: u16, to: String },
    #[error("JIRA's answer to {path} is longer than {limit} bytes")]
    TooLarge { path: String, limit: usize },
    #[error("JIRA's answer to {path} is not what it should be")]
    Unreadable {
        path: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("JIRA has more than {limit} pages of changes of one page of issues")]
    EndlessHistory { limit: u32 },
    #[error("JIRA led us in a circle: after {pages} pages of {path} it gave one again that it had given before")]
    Circle { path: String, pages: u64 },
    #[error("JIRA's answer to {path} cannot be read")]
    Issue {
        path: String,
        #[source]
        source: ticket::jira::Error,
    },
}

impl Error {
    /// Whether JIRA has no such thing, or does not show it to us: it says the same of both.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// How long to wait at least before a new try can help; `None` if none can.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } => Some(*retry_after),
            Self::Unreachable { .. } | Self::Failing { .. } => Some(Duration::ZERO),
            _ => None,
        }
    }
}
