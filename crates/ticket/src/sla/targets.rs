//! The targets of a policy: how long a ticket may take, by project and priority.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::Target;
use crate::calendar::{Calendar, MAX_SPAN_MS};
use crate::policy::Policy;
use crate::time::Time;

/// The longest target. A clock's execution ends after a year on AWS, and it waits for a whole target.
const MAX_TARGET_DAYS: i64 = 300;
/// How many days the longest target in business time may take by the calendar's weeks alone: holidays come on top.
const MAX_BUSINESS_DAYS: i64 = 200;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Rules that say how long tickets may take. As JSON a list; an empty one sets no targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Rule>", into = "Vec<Rule>")]
pub struct Targets(Vec<Rule>);

/// Targets of the tickets of a project, of a priority, of both, or of all.
///
/// A target that is left out is another rule's matter; one that is `null` says that there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A project's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// A priority's name, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub first_start: Option<Option<Length>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub close: Option<Option<Length>>,
    /// What counts of the time that passes.
    #[serde(default, rename = "time")]
    pub measure: Measure,
}

/// Which time counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// All of it.
    #[default]
    Calendar,
    /// That within the working hours of the policy's calendar.
    Business,
}

/// A length of time, more than none. As text a sum of days, hours, minutes and seconds: `1d 12h`, `30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Length {
    ms: i64,
    /// Days were among the units.
    in_days: bool,
}

/// A target that was chosen for a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) ms: i64,
    pub(crate) measure: Measure,
}

/// Why rules cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0:?} is not a length of time such as 30m, 8h or 1d 12h")]
    NotALength(String),
    #[error("{0} is longer than {MAX_TARGET_DAYS} days")]
    TooLong(String),
    #[error("the rule for {0} sets neither first_start nor close")]
    Empty(String),
    #[error("there are two rules for {0}")]
    Twice(String),
    #[error("the rule for {0} counts business time, and there is no calendar")]
    NoCalendar(String),
    #[error("{0} of business time: say hours, since a day has no length of its own there")]
    BusinessDays(String),
    #[error("{0} of business time are more than {MAX_BUSINESS_DAYS} days by this calendar")]
    TooLongForCalendar(String),
}

/// Reads a field that is there: `null` is then a value, too.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Length>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Rule {
    /// Whom it is for, as what tells it from other rules.
    fn subject(&self) -> (Option<&str>, Option<String>) {
        (
            self.project.as_deref(),
            self.priority.as_ref().map(|name| name.to_lowercase()),
        )
    }

    fn described(&self) -> String {
        match (&self.project, &self.priority) {
            (None, None) => "all tickets".to_owned(),
            (Some(project), None) => format!("project {project}"),
            (None, Some(priority)) => format!("priority {priority}"),
            (Some(project), Some(priority)) => format!("project {project} and priority {priority}"),
        }
    }

    fn says(&self, target: Target) -> Option<Option<Length>> {
        match target {
            Target::FirstStart => self.first_start,
            Target::Close => self.close,
        }
    }

    fn is_for(&self, project: Option<&str>, priority: Option<&str>) -> bool {
        let is_project = self.project.is_none() || self.project.as_deref() == project;
        let of_priority = |wanted: &String| priority.is_some_and(|name| name.to_lowercase() == wanted.to_lowercase());
        is_project && self.priority.as_ref().is_none_or(of_priority)
    }

    /// A project's rule is more specific than a priority's: who works there agreed on it.
    fn specificity(&self) -> (bool, bool) {
        (self.project.is_some(), self.priority.is_some())
    }
}

impl Targets {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the most specific rule that speaks of a target says.
    pub(crate) fn of(&self, target: Target, project: Option<&str>, priority: Option<&str>) -> Option<Chosen> {
        self.rule(target, project, priority).map(|(_, chosen)| chosen)
    }

    /// The same, with the rule.
    pub(crate) fn rule(
        &self,
        target: Target,
        project: Option<&str>,
        priority: Option<&str>,
    ) -> Option<(&Rule, Chosen)> {
        let speaking = self
            .0
            .iter()
            .filter(|rule| rule.is_for(project, priority) && rule.says(target).is_some());
        let rule = speaking.max_by_key(|rule| rule.specificity())?;
        let chosen = Chosen {
            ms: rule.says(target)??.ms,
            measure: rule.measure,
        };
        Some((rule, chosen))
    }

    /// Whether every rule can be counted by the calendar of its policy.
    pub(crate) fn check(&self, calendar: Option<&Calendar>) -> Result<(), Error> {
        for rule in self.0.iter().filter(|rule| rule.measure == Measure::Business) {
            let calendar = calendar.ok_or_else(|| Error::NoCalendar(rule.described()))?;
            let most_ms = calendar.week_ms() * MAX_BUSINESS_DAYS / 7;
            for length in [rule.first_start, rule.close].into_iter().flatten().flatten() {
                if length.in_days {
                    return Err(Error::BusinessDays(length.to_string()));
                }
                if most_ms < length.ms {
                    return Err(Error::TooLongForCalendar(length.to_string()));
                }
            }
        }
        Ok(())
    }
}

impl TryFrom<Vec<Rule>> for Targets {
    type Error = Error;

    fn try_from(rules: Vec<Rule>) -> Result<Self, Error> {
        let mut subjects = BTreeSet::new();
        for rule in &rules {
            if rule.first_start.is_none() && rule.close.is_none() {
                return Err(Error::Empty(rule.described()));
            }
            if !subjects.insert(rule.subject()) {
                return Err(Error::Twice(rule.described()));
            }
        }
        Ok(Self(rules))
    }
}

impl From<Targets> for Vec<Rule> {
    fn from(targets: Targets) -> Self {
        targets.0
    }
}

impl Measure {
    pub(crate) fn is_calendar(&self) -> bool {
        *self == Self::Calendar
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Calendar => "calendar",
            Self::Business => "business",
        }
    }

    /// The moment when so much time will have passed.
    ///
    /// A calendar that does not open for so long, as it is full of holidays, gives the last moment there is.
    pub(crate) fn after(self, since: Time, ms: i64, policy: &Policy) -> Time {
        match self.calendar(policy) {
            None => since.saturating_add(ms),
            Some(calendar) => calendar.after(since, ms).unwrap_or(Time::LAST),
        }
    }

    /// How much time passes between two moments; none, if the later one comes first. Of a span that is longer than can be
    /// measured in business time, its beginning counts.
    pub(crate) fn between(self, from: Time, to: Time, policy: &Policy) -> i64 {
        match self.calendar(policy) {
            None => to.since(from).max(0),
            Some(calendar) => {
                let to = to.min(from.saturating_add(MAX_SPAN_MS));
                calendar.between(from, to).expect("the span is not too long")
            }
        }
    }

    /// The calendar that it counts by. A clock may have been stored by a policy that had one, when there is none now:
    /// until it is judged anew, all time counts.
    fn calendar(self, policy: &Policy) -> Option<&Calendar> {
        match self {
            Self::Calendar => None,
            Self::Business => policy.calendar.as_ref(),
        }
    }
}

/// The units of a length, the longest first.
const UNITS: [(char, i64); 4] = [('d', DAY_MS), ('h', 3_600_000), ('m', 60_000), ('s', 1_000)];

impl FromStr for Length {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let not_a_length = || Error::NotALength(crate::text::excerpt(text));
        let mut rest = text.trim();
        let mut sum: i64 = 0;
        let mut in_days = false;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(not_a_length)?;
            let count: i64 = rest[..digits].parse().map_err(|_| not_a_length())?;
            rest = rest[digits..].trim_start();
            let unit = rest.chars().next().ok_or_else(not_a_length)?;
            let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(not_a_length)?;
            sum = sum.saturating_add(count.saturating_mul(*ms));
            in_days |= *ms == DAY_MS && count != 0;
            rest = rest[unit.len_utf8()..].trim_start();
        }
        match sum {
            0 => Err(not_a_length()),
            sum if MAX_TARGET_DAYS * DAY_MS < sum => Err(Error::TooLong(crate::text::excerpt(text))),
            ms => Ok(Self { ms, in_days }),
        }
    }
}

impl TryFrom<String> for Length {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.ms;
        let mut separator = "";
        for (name, ms) in UNITS {
            let is_said = self.in_days || ms < DAY_MS;
            if is_said && ms <= rest {
                write!(f, "{separator}{}{name}", rest / ms)?;
                separator = " ";
                rest %= ms;
            }
        }
        Ok(())
    }
}

impl From<Length> for String {
    fn from(length: Length) -> Self {
        length.to_string()
    }
}
