//! Event patterns: which events a rule wants.
//!
//! An object asks for all of its fields, a list for any of its matchers. A field whose value is a list matches by any
//! of its elements; of a list of objects, one object must match a whole nested pattern.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// Numbers that EventBridge compares lie between these.
const NUMERIC_LIMIT: f64 = 5e9;

/// Why a pattern is none, in AWS's opening words.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("Event pattern is not valid. Reason: {reason} at {at}")]
pub struct Invalid {
    reason: &'static str,
    /// The field: `detail.status`.
    at: String,
}

/// A pattern, parsed once.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Fields);

#[derive(Clone, Debug, PartialEq)]
struct Fields {
    /// All of these must match.
    fields: Vec<(String, Field)>,
    /// Of each of these, one must match: `$or`.
    either: Vec<Vec<Fields>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Field {
    Nested(Fields),
    AnyOf(Vec<Matcher>),
}

#[derive(Clone, Debug, PartialEq)]
enum Matcher {
    /// A string, number, boolean or null as it is written: 300 is not 300.0.
    Exactly(Value),
    Text(Text),
    AnythingBut(Vec<Matcher>),
    Numeric(Vec<(Comparison, f64)>),
    Exists(bool),
    Cidr {
        network: IpAddr,
        bits: u32,
    },
}

#[derive(Clone, Debug, PartialEq)]
enum Text {
    Prefix(String),
    PrefixIgnoringCase(String),
    Suffix(String),
    SuffixIgnoringCase(String),
    IgnoringCase(String),
    /// The pieces between the asterisks.
    Wildcard(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Pattern {
    pub fn parse(pattern: &Value) -> Result<Self, Invalid> {
        match pattern {
            Value::Object(fields) => Fields::parse(fields, "").map(Self),
            _ => Err(invalid("the pattern is not a JSON object", "")),
        }
    }

    pub fn matches(&self, event: &Value) -> bool {
        self.0.matches(event)
    }
}

fn invalid(reason: &'static str, at: &str) -> Invalid {
    let at = if at.is_empty() { "$" } else { at };
    Invalid {
        reason,
        at: at.to_owned(),
    }
}

impl Fields {
    fn parse(fields: &Map<String, Value>, at: &str) -> Result<Self, Invalid> {
        if fields.is_empty() {
            return Err(invalid("Empty objects are not allowed", at));
        }
        let mut parsed = Self {
            fields: Vec::new(),
            either: Vec::new(),
        };
        for (name, value) in fields {
            let at = if at.is_empty() {
                name.clone()
            } else {
                format!("{at}.{name}")
            };
            match value {
                Value::Array(patterns) if name == "$or" => parsed.either.push(alternatives(patterns, &at)?),
                Value::Object(fields) => parsed
                    .fields
                    .push((name.clone(), Field::Nested(Self::parse(fields, &at)?))),
                Value::Array(matchers) if matchers.is_empty() => {
                    return Err(invalid("Empty arrays are not allowed", &at));
                }
                Value::Array(matchers) => {
                    let matchers = matchers.iter().map(|matcher| Matcher::parse(matcher, &at));
                    parsed
                        .fields
                        .push((name.clone(), Field::AnyOf(matchers.collect::<Result<_, _>>()?)));
                }
                _ => return Err(invalid("the value must be an object or an array", &at)),
            }
        }
        Ok(parsed)
    }

    fn matches(&self, event: &Value) -> bool {
        match event {
            Value::Array(elements) => elements.iter().any(|element| self.matches(element)),
            Value::Object(members) => {
                self.fields.iter().all(|(name, field)| field.matches(members.get(name)))
                    && self
                        .either
                        .iter()
                        .all(|patterns| patterns.iter().any(|pattern| pattern.matches(event)))
            }
            _ => false,
        }
    }
}

fn alternatives(patterns: &[Value], at: &str) -> Result<Vec<Fields>, Invalid> {
    if patterns.len() < 2 {
        return Err(invalid("$or needs two patterns or more", at));
    }
    let parse = |pattern: &Value| match pattern {
        Value::Object(fields) => Fields::parse(fields, at),
        _ => Err(invalid("$or takes a list of objects", at)),
    };
    patterns.iter().map(parse).collect()
}

impl Field {
    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            // A field that is not there is a field without members: `exists: false` matches inside it.
            Self::Nested(fields) => fields.matches(value.unwrap_or(&Value::Object(Map::new()))),
            Self::AnyOf(matchers) => {
                let leaves = value.map(leaves).unwrap_or_default();
                matchers.iter().any(|matcher| matcher.matches_any(&leaves))
            }
        }
    }
}

/// The scalars of a value: itself, or those in its lists. Objects are not leaves.
fn leaves(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(elements) => elements.iter().flat_map(leaves).collect(),
        Value::Object(_) => Vec::new(),
        scalar => vec![scalar],
    }
}

impl Matcher {
    fn parse(matcher: &Value, at: &str) -> Result<Self, Invalid> {
        let members = match matcher {
            Value::Object(members) => members,
            Value::Array(_) => return Err(invalid("a matcher is a value or an object", at)),
            scalar => return Ok(Self::Exactly(scalar.clone())),
        };
        let mut members = members.iter();
        let (Some((kind, value)), None) = (members.next(), members.next()) else {
            return Err(invalid("Only one key allowed in match expression", at));
        };
        match (kind.as_str(), value) {
            ("exists", Value::Bool(exists)) => Ok(Self::Exists(*exists)),
            ("exists", _) => Err(invalid("exists takes true or false", at)),
            ("numeric", Value::Array(range)) => numeric(range, at),
            ("numeric", _) => Err(invalid("numeric takes a list", at)),
            ("cidr", Value::String(cidr)) => parse_cidr(cidr).ok_or_else(|| invalid("Malformed CIDR", at)),
            ("cidr", _) => Err(invalid("cidr takes a string", at)),
            ("anything-but", value) => anything_but(value, at).map(Self::AnythingBut),
            (kind, value) => Text::parse(kind, value, at).map(Self::Text),
        }
    }

    fn matches_any(&self, leaves: &[&Value]) -> bool {
        match self {
            Self::Exists(exists) => *exists != leaves.is_empty(),
            _ => leaves.iter().any(|leaf| self.matches(leaf)),
        }
    }

    fn matches(&self, leaf: &Value) -> bool {
        match (self, leaf) {
            (Self::Exactly(Value::Number(wanted)), Value::Number(found)) => wanted.to_string() == found.to_string(),
            (Self::Exactly(wanted), found) => wanted == found,
            (Self::Text(text), Value::String(found)) => text.matches(found),
            (Self::AnythingBut(unwanted), found) => !unwanted.iter().any(|unwanted| unwanted.matches(found)),
            (Self::Numeric(range), Value::Number(found)) => {
                let found = found.as_f64().filter(|found| found.abs() <= NUMERIC_LIMIT);
                found.is_some_and(|found| range.iter().all(|(comparison, bound)| comparison.holds(found, *bound)))
            }
            (Self::Cidr { network, bits }, Value::String(found)) => found
                .parse()
                .is_ok_and(|found| prefix(found, *bits) == prefix(*network, *bits)),
            (Self::Exists(exists), _) => *exists,
            (Self::Text(_) | Self::Numeric(_) | Self::Cidr { .. }, _) => false,
        }
    }
}

fn anything_but(value: &Value, at: &str) -> Result<Vec<Matcher>, Invalid> {
    match value {
        Value::String(_) | Value::Number(_) => Ok(vec![Matcher::Exactly(value.clone())]),
        Value::Array(values) if values.is_empty() => Err(invalid("Empty arrays are not allowed", at)),
        Value::Array(values) => values
            .iter()
            .map(|value| match value {
                Value::String(_) | Value::Number(_) => Ok(Matcher::Exactly(value.clone())),
                _ => Err(invalid("anything-but takes strings and numbers", at)),
            })
            .collect(),
        Value::Object(members) if members.len() == 1 => {
            let mut unwanted = Vec::new();
            for (kind, value) in members {
                match value {
                    Value::Array(values) if values.is_empty() => {
                        return Err(invalid("Empty arrays are not allowed", at));
                    }
                    Value::Array(values) => {
                        for value in values {
                            unwanted.push(Matcher::Text(Text::parse(kind, value, at)?));
                        }
                    }
                    value => unwanted.push(Matcher::Text(Text::parse(kind, value, at)?)),
                }
            }
            Ok(unwanted)
        }
        _ => Err(invalid("anything-but takes a value, a list or one matcher", at)),
    }
}

fn numeric(range: &[Value], at: &str) -> Result<Matcher, Invalid> {
    let mut bounds = Vec::new();
    for pair in range.chunks(2) {
        let (Some(comparison), Some(bound)) = (pair[0].as_str().and_then(Comparison::parse), pair.get(1)) else {
            return Err(invalid("numeric takes pairs of a comparison and a number", at));
        };
        match bound.as_f64() {
            Some(bound) if bound.abs() <= NUMERIC_LIMIT => bounds.push((comparison, bound)),
            _ => return Err(invalid("Value must be between -5.0E9 and 5.0E9, inclusive", at)),
        }
    }
    match bounds.as_slice() {
        [_] => Ok(Matcher::Numeric(bounds)),
        [(low, from), (high, to)] if low.is_lower_bound() && high.is_upper_bound() && from <= to => {
            Ok(Matcher::Numeric(bounds))
        }
        _ => Err(invalid(
            "numeric takes one comparison, or a lower and an upper bound",
            at,
        )),
    }
}

impl Comparison {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Equal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn holds(self, found: f64, bound: f64) -> bool {
        match self {
            Self::Equal => found == bound,
            Self::Less => found < bound,
            Self::LessOrEqual => found <= bound,
            Self::Greater => bound < found,
            Self::GreaterOrEqual => bound <= found,
        }
    }

    fn is_lower_bound(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }

    fn is_upper_bound(self) -> bool {
        matches!(self, Self::Less | Self::LessOrEqual)
    }
}

impl Text {
    fn parse(kind: &str, value: &Value, at: &str) -> Result<Self, Invalid> {
        let ignoring_case = match value {
            Value::Object(members) if members.len() == 1 => members.get("equals-ignore-case").and_then(Value::as_str),
            _ => None,
        };
        match (kind, value, ignoring_case) {
            ("prefix", Value::String(text), _) => Ok(Self::Prefix(text.clone())),
            ("prefix", _, Some(text)) => Ok(Self::PrefixIgnoringCase(text.to_lowercase())),
            ("suffix", Value::String(text), _) => Ok(Self::Suffix(text.clone())),
            ("suffix", _, Some(text)) => Ok(Self::SuffixIgnoringCase(text.to_lowercase())),
            ("equals-ignore-case", Value::String(text), _) => Ok(Self::IgnoringCase(text.to_lowercase())),
            ("wildcard", Value::String(text), _) => {
                let pieces = wildcard(text);
                pieces
                    .map(Self::Wildcard)
                    .ok_or_else(|| invalid("the wildcard is not valid", at))
            }
            ("prefix" | "suffix" | "equals-ignore-case" | "wildcard", ..) => {
                Err(invalid("the match expression takes a string", at))
            }
            _ => Err(invalid("Unrecognized match type", at)),
        }
    }

    fn matches(&self, found: &str) -> bool {
        match self {
            Self::Prefix(wanted) => found.starts_with(wanted),
            Self::PrefixIgnoringCase(wanted) => found.to_lowercase().starts_with(wanted),
            Self::Suffix(wanted) => found.ends_with(wanted),
            Self::SuffixIgnoringCase(wanted) => found.to_lowercase().ends_with(wanted),
            Self::IgnoringCase(wanted) => found.to_lowercase() == *wanted,
            Self::Wildcard(pieces) => matches_pieces(pieces, found),
        }
    }
}

/// The pieces between the asterisks of a wildcard; `\*` and `\\` stand for themselves, `**` is not allowed.
fn wildcard(text: &str) -> Option<Vec<String>> {
    let mut pieces = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let piece = pieces.last_mut()?;
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('*' | '\\')) => piece.push(escaped),
                _ => return None,
            },
            '*' if characters.peek() == Some(&'*') => return None,
            '*' => pieces.push(String::new()),
            character => piece.push(character),
        }
    }
    Some(pieces)
}

/// Whether `text` is the pieces in order with anything between them.
///
/// Taking each piece at its first place is enough, and linear but for the search.
fn matches_pieces(pieces: &[String], text: &str) -> bool {
    let [first, between @ .., last] = pieces else {
        return pieces.iter().all(|piece| piece == text);
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    for piece in between {
        match rest.find(piece.as_str()) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

fn parse_cidr(cidr: &str) -> Option<Matcher> {
    let (network, bits) = cidr.split_once('/')?;
    let network: IpAddr = network.parse().ok()?;
    let bits: u32 = bits.parse().ok()?;
    let widest = if network.is_ipv4() { 32 } else { 128 };
    (bits <= widest).then_some(Matcher::Cidr { network, bits })
}

/// The first `bits` of an address, and which family it is of.
fn prefix(address: IpAddr, bits: u32) -> (bool, u128) {
    match address {
        IpAddr::V4(address) => (
            true,
            u128::from(address.to_bits().checked_shr(32 - bits.min(32)).unwrap_or(0)),
        ),
        IpAddr::V6(address) => (false, address.to_bits().checked_shr(128 - bits).unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests;
