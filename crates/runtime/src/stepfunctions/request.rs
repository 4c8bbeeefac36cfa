//! Reading a request: its members, and every constraint of the API's model that they break.
//!
//! AWS checks all members before it looks at anything else and tells all violations at once, so reading a member
//! never fails by itself: it notes what is wrong, and [`Request::checked`] refuses the request if anything was.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::error::Error;

/// Length of an ARN.
pub(super) const ARN: RangeInclusive<usize> = 1..=256;
/// Length of an ARN that may name a labelled Map state, as execution ARNs may.
pub(super) const LONG_ARN: RangeInclusive<usize> = 1..=2000;
/// Length of the name of a state machine or an execution.
pub(super) const NAME: RangeInclusive<usize> = 1..=80;
/// Length of a definition: 1 MB.
pub(super) const DEFINITION: RangeInclusive<usize> = 1..=1_048_576;
/// Bytes of an input or output.
pub(super) const MAX_DATA_BYTES: usize = 262_144;
/// Length of an error's name.
pub(super) const ERROR: RangeInclusive<usize> = 0..=256;
/// Length of a cause.
pub(super) const CAUSE: RangeInclusive<usize> = 0..=32_768;
/// Length of a task token.
pub(super) const TASK_TOKEN: RangeInclusive<usize> = 1..=2048;
/// How many items a page may have; 0 asks for the default.
pub(super) const PAGE: RangeInclusive<i64> = 0..=1000;
/// What a page has where its size is not given.
pub(super) const DEFAULT_PAGE: usize = 100;
/// Length of the token of a next page.
pub(super) const PAGE_TOKEN: RangeInclusive<usize> = 1..=1024;
/// Length of the token of a next page of executions.
pub(super) const LONG_PAGE_TOKEN: RangeInclusive<usize> = 1..=3096;

/// Whether a violation may repeat the value at fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    /// The model marks the member as sensitive.
    No,
}

/// A request's members, read one by one.
#[derive(Debug)]
pub(super) struct Request {
    members: Map<String, Value>,
    violations: Vec<String>,
    /// A member of another type than the model's, which is worse than any violation.
    mistyped: Option<Error>,
    /// Where the members stand, if not in the request itself: `mock.`.
    place: String,
}

impl Request {
    /// The members of a body; an empty body is an empty object, as some clients send it.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        let members = match body {
            [] => Map::new(),
            body => match serde_json::from_slice(body) {
                Ok(Value::Object(members)) => members,
                Ok(_) => {
                    return Err(Error::Serialization(
                        "Start of structure or map found where not expected.".into(),
                    ));
                }
                Err(error) => return Err(Error::Serialization(error.to_string())),
            },
        };
        Ok(Self {
            members,
            violations: Vec::new(),
            mistyped: None,
            place: String::new(),
        })
    }

    /// Refuses the request if any member read so far breaks the model.
    pub(super) fn checked(&mut self) -> Result<(), Error> {
        if let Some(error) = self.mistyped.take() {
            return Err(error);
        }
        match self.violations.is_empty() {
            true => Ok(()),
            false => Err(Error::Constraints(std::mem::take(&mut self.violations))),
        }
    }

    /// A text that must be there; empty if it is not, which [`Request::checked`] then tells.
    pub(super) fn required(&mut self, name: &str, length: RangeInclusive<usize>) -> String {
        let text = self.text(name, length, Shown::Yes);
        self.present(name, text)
    }

    /// A text that must be there and is not to be repeated in a message.
    pub(super) fn required_sensitive(&mut self, name: &str, length: RangeInclusive<usize>) -> String {
        let text = self.text(name, length, Shown::No);
        self.present(name, text)
    }

    pub(super) fn optional(&mut self, name: &str, length: RangeInclusive<usize>) -> Option<String> {
        self.text(name, length, Shown::Yes)
    }

    pub(super) fn optional_sensitive(&mut self, name: &str, length: RangeInclusive<usize>) -> Option<String> {
        self.text(name, length, Shown::No)
    }

    /// A JSON text of an input or output, bounded in bytes.
    pub(super) fn data(&mut self, name: &str) -> Option<String> {
        let text = self.text(name, 0..=usize::MAX, Shown::No)?;
        if text.len() > MAX_DATA_BYTES {
            self.violate(
                None,
                name,
                &format!("Member must have size less than or equal to {MAX_DATA_BYTES} bytes in UTF-8 encoding"),
            );
        }
        Some(text)
    }

    /// A JSON text that must be there.
    pub(super) fn required_data(&mut self, name: &str) -> String {
        let text = self.data(name);
        self.present(name, text)
    }

    /// A text of printable ASCII.
    pub(super) fn client_token(&mut self, name: &str) -> Option<String> {
        let text = self.text(name, 1..=64, Shown::Yes)?;
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.violate(
                Some(&text),
                name,
                "Member must satisfy regular expression pattern: [!-~]+",
            );
        }
        Some(text)
    }

    /// One of the texts that the model lists.
    pub(super) fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name, 0..=usize::MAX, Shown::Yes)?;
        let chosen = choices
            .iter()
            .find(|(choice, _)| *choice == text)
            .map(|(_, value)| *value);
        if chosen.is_none() {
            let names: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
            self.violate(
                Some(&text),
                name,
                &format!("Member must satisfy enum value set: [{}]", names.join(", ")),
            );
        }
        chosen
    }

    /// How many items a page is to have.
    pub(super) fn page_size(&mut self) -> usize {
        match self.integer("maxResults", PAGE) {
            None | Some(0) => DEFAULT_PAGE,
            Some(size) => usize::try_from(size).unwrap_or(DEFAULT_PAGE),
        }
    }

    pub(super) fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.member(name)?;
        let Some(number) = value.as_i64().or_else(|| value.as_f64().map(|number| number as i64)) else {
            self.mistyped(&value, "an Integer");
            return None;
        };
        self.bounded(number, name, &range);
        Some(number)
    }

    /// A number with a fraction.
    pub(super) fn float(&mut self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.member(name)?;
        let Some(number) = value.as_f64() else {
            self.mistyped(&value, "a Float");
            return None;
        };
        let broken = match number {
            number if number > *range.end() => Some(("less", range.end())),
            number if number < *range.start() => Some(("greater", range.start())),
            _ => None,
        };
        if let Some((side, bound)) = broken {
            let constraint = format!("Member must have value {side} than or equal to {bound}");
            self.violate(Some(&number.to_string()), name, &constraint);
        }
        Some(number)
    }

    /// Notes that a number is not within its range.
    pub(super) fn bounded(&mut self, number: i64, name: &str, range: &RangeInclusive<i64>) {
        if number > *range.end() {
            let bound = format!("Member must have value less than or equal to {}", range.end());
            self.violate(Some(&number.to_string()), name, &bound);
        } else if number < *range.start() {
            let bound = format!("Member must have value greater than or equal to {}", range.start());
            self.violate(Some(&number.to_string()), name, &bound);
        }
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.member(name)? {
            Value::Bool(value) => Some(value),
            value => {
                self.mistyped(&value, "a Boolean");
                None
            }
        }
    }

    /// A member that is an object, unread.
    pub(super) fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.member(name)? {
            Value::Object(object) => Some(object),
            value => {
                self.mistyped(&value, "a Structure");
                None
            }
        }
    }

    /// Reads the members of a member that is an object.
    pub(super) fn within<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let mut inner = Self {
            members: self.object(name)?,
            violations: Vec::new(),
            mistyped: None,
            place: format!("{}{name}.", self.place),
        };
        let value = read(&mut inner);
        self.violations.append(&mut inner.violations);
        self.mistyped = self.mistyped.take().or(inner.mistyped);
        Some(value)
    }

    /// A member that is a list, unread.
    pub(super) fn list(&mut self, name: &str) -> Option<Vec<Value>> {
        match self.member(name)? {
            Value::Array(items) => Some(items),
            value => {
                self.mistyped(&value, "a List");
                None
            }
        }
    }

    /// A list of texts that must be there.
    pub(super) fn required_texts(&mut self, name: &str) -> Vec<String> {
        let items = self.list(name);
        let items = self.present(name, items);
        items
            .into_iter()
            .filter_map(|item| match item {
                Value::String(text) => Some(text),
                other => {
                    self.mistyped(&other, "a String");
                    None
                }
            })
            .collect()
    }

    /// Notes that a member breaks the model; `value` is `None` where it is sensitive.
    pub(super) fn violate(&mut self, value: Option<&str>, name: &str, constraint: &str) {
        let value = value.map(|value| format!(" '{value}'")).unwrap_or_default();
        let place = &self.place;
        self.violations.push(format!(
            "Value{value} at '{place}{name}' failed to satisfy constraint: {constraint}"
        ));
    }

    /// Notes that a required member is not there.
    pub(super) fn missing(&mut self, name: &str) {
        let place = &self.place;
        let violation = format!("Value null at '{place}{name}' failed to satisfy constraint: Member must not be null");
        self.violations.push(violation);
    }

    fn present<T: Default>(&mut self, name: &str, value: Option<T>) -> T {
        if value.is_none() {
            self.missing(name);
        }
        value.unwrap_or_default()
    }

    fn text(&mut self, name: &str, length: RangeInclusive<usize>, shown: Shown) -> Option<String> {
        let text = match self.member(name)? {
            Value::String(text) => text,
            value => {
                self.mistyped(&value, "a String");
                return Some(String::new());
            }
        };
        // The model's lengths count UTF-16 code units, as Java does.
        let actual = text.encode_utf16().count();
        let broken = if *length.end() < actual {
            Some(format!(
                "Member must have length less than or equal to {}",
                length.end()
            ))
        } else if actual < *length.start() {
            Some(format!(
                "Member must have length greater than or equal to {}",
                length.start()
            ))
        } else {
            None
        };
        if let Some(constraint) = broken {
            self.violate((shown == Shown::Yes).then_some(&*text), name, &constraint);
        }
        Some(text)
    }

    /// Takes a member out; `null` is as good as absent.
    fn member(&mut self, name: &str) -> Option<Value> {
        self.members.shift_remove(name).filter(|value| !value.is_null())
    }

    fn mistyped(&mut self, value: &Value, wanted: &str) {
        let found = match value {
            Value::Null => "NULL_VALUE",
            Value::Bool(true) => "TRUE_VALUE",
            Value::Bool(false) => "FALSE_VALUE",
            Value::Number(_) => "NUMBER_VALUE",
            Value::String(_) => "STRING_VALUE",
            Value::Array(_) => "LIST_VALUE",
            Value::Object(_) => "STRUCTURE_VALUE",
        };
        let error = Error::Serialization(format!("{found} can not be converted to {wanted}"));
        self.mistyped.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests;
