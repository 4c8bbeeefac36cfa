//! The query of an address.

use std::collections::BTreeMap;

use super::answer::Failure;

/// Parameters by name; of a name that comes twice the last counts.
#[derive(Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// What cannot be decoded is left out.
    pub(super) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = |text: &str| decoded(&text.replace('+', " "));
            Some((decoded(name)?, decoded(value)?))
        });
        Self(pairs.filter(|(name, _)| !name.is_empty()).collect())
    }

    /// A parameter's value; an empty one is as good as none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The parts of a value between commas.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.get(name).unwrap_or_default().split(',');
        values.map(str::trim).filter(|value| !value.is_empty())
    }

    /// Names of states between commas. A comma in one of them stands there as `%2C`, a percent sign as `%25`.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        let parts = self.get(name).unwrap_or_default().split(',');
        parts.filter(|part| !part.is_empty()).filter_map(decoded).collect()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value
            .parse()
            .map_err(|_| Failure::parameter(name, value, "a whole number"))?;
        Ok(Some(number))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value == "true")
    }
}

/// A text without percent signs; `None` if they are not UTF-8's.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits
            .filter(|_| *first == b'%')
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[2..];
            }
            None => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).ok()
}
