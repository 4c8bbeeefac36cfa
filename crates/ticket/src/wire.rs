//! Reading JSON that others wrote: each error names the field, the value, and what would be right.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::ids;
use crate::text::excerpt;
use crate::time::{self, Time};

/// Why a body is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the body is not JSON")]
    NotJson(#[source] serde_json::Error),
    #[error("the body is JSON, but no shape of an issue: {0}")]
    NoKnownShape(String),
    #[error("{field} is missing; it should be {expected}")]
    Missing { field: String, expected: &'static str },
    #[error("{field} is {value}; it should be {expected}")]
    Invalid {
        field: String,
        value: String,
        expected: &'static str,
    },
}

/// The two ways in which a body can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not JSON, or no known shape: 400.
    Unreadable,
    /// A known shape with a value that cannot be: 422.
    Unprocessable,
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotJson(_) | Self::NoKnownShape(_) => Kind::Unreadable,
            Self::Missing { .. } | Self::Invalid { .. } => Kind::Unprocessable,
        }
    }

    /// The field at fault, if it is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::NotJson(_) | Self::NoKnownShape(_) => None,
            Self::Missing { field, .. } | Self::Invalid { field, .. } => Some(field),
        }
    }
}

/// Parses a body, telling apart what is no JSON and what is JSON of another shape.
pub(crate) fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Error::NoKnownShape(error.to_string())
        } else {
            Error::NotJson(error)
        }
    })
}

/// Keeps a field that is there, also when it is `null`: that is then what the body says.
pub(crate) fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Where a value was found, for the error message; only spelt out when there is one.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    prefix: &'a str,
    name: &'a str,
}

/// The path of the field `name` of what lies at `prefix`, which ends in a dot unless it is empty.
pub(crate) fn leaf<'a>(prefix: &'a str, name: &'a str) -> Path<'a> {
    Path { prefix, name }
}

impl Path<'_> {
    pub(crate) fn missing(self, expected: &'static str) -> Error {
        Error::Missing {
            field: self.to_string(),
            expected,
        }
    }

    pub(crate) fn invalid(self, value: &Value, expected: &'static str) -> Error {
        Error::Invalid {
            field: self.to_string(),
            value: excerpt(&value.to_string()),
            expected,
        }
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.prefix, self.name)
    }
}

/// A moment; `None` where there is nothing: absent, `null` or an empty string.
pub(crate) fn time(path: Path<'_>, value: Option<&Value>) -> Result<Option<Time>, Error> {
    let time = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.parse(),
        Some(Value::Number(number)) => Time::from_number(number),
        Some(other) => return Err(path.invalid(other, time::EXPECTED)),
    };
    time.map(Some)
        .map_err(|_| path.invalid(value.unwrap_or(&Value::Null), time::EXPECTED))
}

/// A string; `None` where there is nothing: absent or `null`.
pub(crate) fn string<'a>(path: Path<'_>, value: Option<&'a Value>) -> Result<Option<&'a str>, Error> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(path.invalid(other, "a string")),
    }
}

/// An identifier, which Jira writes as a string here and as a number there; `None` where there is none.
pub(crate) fn id<T>(path: Path<'_>, value: Option<&Value>, expected: &'static str) -> Result<Option<T>, Error>
where
    T: TryFrom<String, Error = ids::Error>,
{
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
        Some(other) => return Err(path.invalid(other, expected)),
    };
    T::try_from(text)
        .map(Some)
        .map_err(|_| path.invalid(value.unwrap_or(&Value::Null), expected))
}
