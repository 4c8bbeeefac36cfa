//! Moments as Jira writes them, read into one form.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The first moment a [`Time`] can be: 0001-01-01T00:00:00.000Z.
const FIRST_MS: i64 = -62_135_596_800_000;
/// The last moment a [`Time`] can be: 9999-12-31T23:59:59.999Z, where RFC 3339 ends.
const LAST_MS: i64 = 253_402_300_799_999;

/// A moment in whole milliseconds, in the years 1 to 9999.
///
/// The bounds keep its text at 24 characters, sorted as the moments are, and the difference of any two within an `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("format" = "date-time"))]
pub struct Time(i64);

/// Why something is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not a time: {0:?}")]
    NotATime(String),
    #[error("{0} is outside the years 1 to 9999")]
    OutOfRange(String),
}

/// What would have been a moment, for error messages.
pub const EXPECTED: &str = "a time such as 2019-02-15T19:01:52.971-0800, or milliseconds since 1970";

impl Time {
    pub(crate) const FIRST: Self = Self(FIRST_MS);
    pub(crate) const LAST: Self = Self(LAST_MS);

    pub fn from_millis(ms: i64) -> Result<Self, Error> {
        match ms {
            FIRST_MS..=LAST_MS => Ok(Self(ms)),
            _ => Err(Error::OutOfRange(ms.to_string())),
        }
    }

    /// Milliseconds since 1970, negative before.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole milliseconds from `earlier` to `self`, negative if `self` is the earlier one.
    pub fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// `ms` later, or the last moment there is.
    pub fn saturating_add(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms).clamp(FIRST_MS, LAST_MS))
    }

    /// The first whole second that is not before it, or the last moment there is.
    pub(crate) fn rounded_up(self) -> Self {
        self.saturating_add((-self.0).rem_euclid(1_000))
    }

    /// Reads a JSON number: milliseconds since 1970.
    pub fn from_number(number: &serde_json::Number) -> Result<Self, Error> {
        if let Some(ms) = number.as_i64() {
            return Self::from_millis(ms);
        }
        match number.as_f64() {
            // The bounds are far below 2^53, so that a number within them is exact.
            Some(ms) if (FIRST_MS as f64..=LAST_MS as f64).contains(&ms) => Self::from_millis(ms.floor() as i64),
            _ => Err(Error::OutOfRange(number.to_string())),
        }
    }
}

impl FromStr for Time {
    type Err = Error;

    /// Reads RFC 3339, the same with an offset in Jira's manner (`+0000`, without colon), and epoch milliseconds in
    /// digits. A time without an offset is no moment.
    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            let ms = text.parse().map_err(|_| Error::OutOfRange(text.to_owned()))?;
            return Self::from_millis(ms);
        }
        DateTime::parse_from_rfc3339(text)
            .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z"))
            .map_err(|_| Error::NotATime(text.to_owned()))
            .and_then(|time| Self::from_millis(time.timestamp_millis()).map_err(|_| Error::OutOfRange(text.to_owned())))
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC with milliseconds: `2019-02-16T03:01:52.971Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&DateTime::<Utc>::from(*self).to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl From<Time> for DateTime<Utc> {
    fn from(time: Time) -> Self {
        DateTime::from_timestamp_millis(time.0).expect("the bounds of Time lie within chrono's")
    }
}

impl TryFrom<DateTime<Utc>> for Time {
    type Error = Error;

    /// Cuts what is finer than a millisecond.
    fn try_from(time: DateTime<Utc>) -> Result<Self, Error> {
        Self::from_millis(time.timestamp_millis())
    }
}

impl TryFrom<String> for Time {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}
