//! A ticket's texts: kept to a stated length, and merged so that the newest one seen wins.
//!
//! They are no facts: a fact is kept for ever, and a ticket's life must not cost the square of its events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Longest summary, in bytes of JSON. Jira allows 255 characters, which always fit.
pub const SUMMARY_BYTES: usize = 2 * 1024;
/// Longest description, in bytes of JSON. Jira allows 32,767 characters; each KiB kept costs a write unit at every
/// event of the ticket, so that what is longer is cut.
pub const DESCRIPTION_BYTES: usize = 32 * 1024;
/// Longest name of a status, priority, resolution or project, in bytes of JSON: Jira's own limits are lower.
pub(crate) const NAME_BYTES: usize = 255;
/// Longest name of a person, in bytes of JSON: so many changes as an event may have can each have another author.
pub(crate) const AUTHOR_BYTES: usize = 128;
/// How much of a wrong value an error message quotes.
const EXCERPT_BYTES: usize = 80;

/// A text, and whether it is only the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Text {
    pub value: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

impl Text {
    /// Keeps what of `value` takes at most `max_bytes` as JSON, cut at a character boundary.
    pub fn new(value: &str, max_bytes: usize) -> Self {
        let kept = beginning(value, max_bytes);
        Self {
            value: kept.to_owned(),
            cut: kept.len() < value.len(),
        }
    }
}

/// A text as a delivery showed it: `None` where it said that there is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    pub observed: Time,
    pub text: Option<Text>,
}

/// The texts of a ticket, each with the time at which it was seen; `None` where no delivery spoke of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Texts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Seen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Seen>,
}

impl Texts {
    /// The newest of each text; of two seen at the same time the greater one.
    ///
    /// Commutative, associative and idempotent, so that texts may arrive in any order and any number of times.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            summary: self.summary.max(other.summary),
            description: self.description.max(other.description),
        }
    }

    /// Whether any of them is only the beginning of the one in Jira.
    pub fn is_cut(&self) -> bool {
        self.summary()
            .into_iter()
            .chain(self.description())
            .any(|text| text.cut)
    }

    /// The text of the summary, if there is one.
    pub fn summary(&self) -> Option<&Text> {
        self.summary.as_ref()?.text.as_ref()
    }

    /// The text of the description, if there is one.
    pub fn description(&self) -> Option<&Text> {
        self.description.as_ref()?.text.as_ref()
    }
}

/// The longest beginning of `value` that takes at most `max_bytes` as JSON.
pub(crate) fn beginning(value: &str, max_bytes: usize) -> &str {
    let mut used = 0;
    for (at, c) in value.char_indices() {
        used += match c {
            '"' | '\\' | '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' => 2,
            '\u{0}'..='\u{1f}' => 6,
            _ => c.len_utf8(),
        };
        if max_bytes < used {
            return &value[..at];
        }
    }
    value
}

/// As much of a wrong value as an error message should quote.
pub(crate) fn excerpt(value: &str) -> String {
    match beginning(value, EXCERPT_BYTES) {
        kept if kept.len() < value.len() => format!("{kept}…"),
        kept => kept.to_owned(),
    }
}
