//! The names of things, each a type of its own, checked once.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest identifier in bytes: what a DNS name may have, and far more than Jira's own.
const MAX_BYTES: usize = 255;
/// Between site and issue id in a [`TicketId`]: cannot occur in a host, and needs no escape in a URL.
const SEPARATOR: char = '~';

/// A value that cannot be what it should name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct Error {
    pub value: String,
    pub expected: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// What a value of this type looks like, for error messages.
            pub const EXPECTED: &'static str = $expected;

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(value: String) -> Result<Self, Error> {
                let check: fn(&str) -> bool = $check;
                if (1..=MAX_BYTES).contains(&value.len()) && check(&value) {
                    return Ok(Self(value));
                }
                Err(Error { value, expected: $expected })
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(value: &str) -> Result<Self, Error> {
                Self::try_from(value.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The Jira an issue lives in: the host of `issue.self` in lower case, with its port where it is not the usual one.
    SiteId,
    "a site: a host name such as example.atlassian.net",
    |value| value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_:[]".contains(&byte))
);

id!(
    /// An issue's number within its site. It outlives moves and renamings, which the key does not.
    IssueId,
    "an issue id: letters, digits, - and _",
    |value| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
);

id!(
    /// What people call an issue: `TES-41`. It changes when the issue moves to another project.
    IssueKey,
    "an issue key such as TES-41",
    |value| !value.contains(|c: char| c.is_whitespace() || c.is_control() || "~/?#%\"\\".contains(c))
);

impl IssueKey {
    /// The project's key: `TES` of `TES-41`.
    pub fn project(&self) -> &str {
        self.0.rsplit_once('-').map_or(self.as_str(), |(project, _)| project)
    }
}

impl SiteId {
    /// The site of a URL: its host.
    pub fn of_url(url: &str) -> Result<Self, Error> {
        let error = || Error {
            value: crate::text::excerpt(url),
            expected: "a URL whose host names the site",
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(error)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host)
            .to_ascii_lowercase();
        let usual_port = match scheme.to_ascii_lowercase().as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => return Err(error()),
        };
        let host = host.strip_suffix(usual_port).unwrap_or(&host);
        if host.starts_with(':') {
            return Err(error());
        }
        host.parse().map_err(|_| error())
    }
}

/// A ticket: an issue of a site. Written `{site}~{issue id}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct TicketId {
    pub site: SiteId,
    pub issue: IssueId,
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{SEPARATOR}{}", self.site, self.issue)
    }
}

impl FromStr for TicketId {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        let error = || Error {
            value: crate::text::excerpt(value),
            expected: "a ticket id such as example.atlassian.net~10040",
        };
        let (site, issue) = value.split_once(SEPARATOR).ok_or_else(error)?;
        Ok(Self {
            site: site.parse().map_err(|_| error())?,
            issue: issue.parse().map_err(|_| error())?,
        })
    }
}

impl TryFrom<String> for TicketId {
    type Error = Error;

    fn try_from(value: String) -> Result<Self, Error> {
        value.parse()
    }
}

impl From<TicketId> for String {
    fn from(id: TicketId) -> Self {
        id.to_string()
    }
}
