//! Choice Rules: tests of values, and their combinations.

use std::cmp::Ordering;

use chrono::DateTime;
use serde_json::Value;

use crate::Json;
use crate::advance::{Fault, Transition};
use crate::definition::Computed;
use crate::query::{Error, Path};
use crate::state::{Seen, Work};

/// A Choice Rule without where it leads.
#[derive(Debug)]
pub(crate) enum Rule {
    And(Vec<Rule>),
    Or(Vec<Rule>),
    Not(Box<Rule>),
    Test {
        variable: Path,
        test: Test,
    },
    /// A `Condition` that is no expression.
    Constant(bool),
    /// JSONata's `Condition`.
    Condition(Computed),
}

/// What is asked of the variable.
#[derive(Debug, PartialEq)]
pub(crate) enum Test {
    IsPresent(bool),
    Is(Type, bool),
    Compare(Kind, Comparison, Operand),
    /// A pattern in which `*` stands for any text and `\*` for itself.
    StringMatches(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Boolean,
    Numeric,
    String,
    Timestamp,
}

/// As what two values are compared; a value of another type never compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Numeric,
    String,
    Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Operand {
    Given(Value),
    Path(Path),
}

impl Rule {
    pub(crate) fn holds(&self, work: &Work<'_>, transition: &Transition<'_>, input: &Json) -> Result<bool, Fault> {
        match self {
            Self::And(rules) => {
                for rule in rules {
                    if !rule.holds(work, transition, input)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(rules) => {
                for rule in rules {
                    if rule.holds(work, transition, input)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(rule) => Ok(!rule.holds(work, transition, input)?),
            Self::Test { variable, test } => {
                let scope = work.scope(transition, input, Seen::default());
                let value = variable.evaluate(&scope);
                if let Err(error @ Error::TooMuch) = value {
                    return Err(work.fault(&error));
                }
                if let Test::IsPresent(expected) = test {
                    return Ok(value.is_ok() == *expected);
                }
                let value = value.map_err(|_| invalid_path(work, variable))?;
                match test {
                    Test::Compare(kind, comparison, Operand::Path(path)) => {
                        let operand = path.evaluate(&scope).map_err(|_| invalid_path(work, path))?;
                        Ok(compare(*kind, *comparison, &value, &operand))
                    }
                    Test::Compare(kind, comparison, Operand::Given(operand)) => {
                        Ok(compare(*kind, *comparison, &value, operand))
                    }
                    Test::Is(of_type, expected) => Ok(is(*of_type, &value) == *expected),
                    Test::StringMatches(pattern) => Ok(value.as_str().is_some_and(|text| matches(pattern, text))),
                    Test::IsPresent(_) => Ok(false),
                }
            }
            Self::Constant(holds) => Ok(*holds),
            Self::Condition(computed) => match work.compute(transition, computed)? {
                Value::Bool(holds) => Ok(holds),
                other => Err(work.unexpected_type(&computed.source, &computed.field, "boolean", &other)),
            },
        }
    }
}

fn invalid_path(work: &Work<'_>, path: &Path) -> Fault {
    work.runtime(&format!(
        "Invalid path '{}': The choice state's condition path references an invalid value.",
        path.as_str()
    ))
}

fn is(of_type: Type, value: &Value) -> bool {
    match of_type {
        Type::Null => value.is_null(),
        Type::Boolean => value.is_boolean(),
        Type::Numeric => value.is_number(),
        Type::String => value.is_string(),
        Type::Timestamp => value.as_str().is_some_and(|text| rfc3339(text).is_some()),
    }
}

fn compare(kind: Kind, comparison: Comparison, left: &Value, right: &Value) -> bool {
    let order = match kind {
        Kind::Boolean => left.as_bool().zip(right.as_bool()).map(|(l, r)| l.cmp(&r)),
        Kind::String => left
            .as_str()
            .zip(right.as_str())
            .map(|(l, r)| l.encode_utf16().cmp(r.encode_utf16())),
        Kind::Numeric => compare_numbers(left, right),
        Kind::Timestamp => timestamp(left).zip(timestamp(right)).map(|(l, r)| l.cmp(&r)),
    };
    order.is_some_and(|order| match comparison {
        Comparison::Equals => order.is_eq(),
        Comparison::LessThan => order.is_lt(),
        Comparison::LessThanEquals => order.is_le(),
        Comparison::GreaterThan => order.is_gt(),
        Comparison::GreaterThanEquals => order.is_ge(),
    })
}

/// Whole numbers compare exactly, others as doubles.
fn compare_numbers(left: &Value, right: &Value) -> Option<Ordering> {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn timestamp(value: &Value) -> Option<DateTime<chrono::FixedOffset>> {
    rfc3339(value.as_str()?)
}

/// A moment as the language writes it: RFC 3339, of which it takes only the upper-case `T` between date and time.
pub(crate) fn rfc3339(text: &str) -> Option<DateTime<chrono::FixedOffset>> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    text.contains('T').then_some(moment)
}

/// Whether the whole text fits the pattern; O(pattern × text), without recursion.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern = pieces(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut retry_from: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(None) => {
                retry_from = Some((p, t));
                p += 1;
            }
            Some(Some(expected)) if *expected == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry_from {
                Some((star, from)) => {
                    retry_from = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(Option::is_none)
}

/// The characters of a pattern; `None` is a wildcard.
fn pieces(pattern: &str) -> Vec<Option<char>> {
    let mut pieces = Vec::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        pieces.push(match char {
            '*' => None,
            '\\' => Some(chars.next().unwrap_or('\\')),
            other => Some(other),
        });
    }
    pieces
}
