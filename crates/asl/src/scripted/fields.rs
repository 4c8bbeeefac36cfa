//! Reading a test file's document: every problem with its place, its value and what to write instead.

use chrono::TimeDelta;
use serde_json::{Map, Value};

/// Longer texts are cut in messages.
const MAX_SHOWN: usize = 60;

/// Something wrong with a test file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The value at fault, as a JSON pointer into the test file.
    pub pointer: String,
    /// What is wrong with it, and what to write instead.
    pub message: String,
}

/// An object under reading.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    pub(super) pointer: String,
}

impl<'a> Fields<'a> {
    /// The object at `pointer`, if it is one with no members but these.
    pub(super) fn new(
        value: &'a Value,
        pointer: &str,
        what: &str,
        known: &[&str],
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let Value::Object(object) = value else {
            let message = format!("{what} is an object with {}, not {}", list(known), shown(value));
            problems.push(Problem::new(pointer, message));
            return None;
        };
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            let fix = match closest(name, known.iter().copied()) {
                Some(close) => format!("did you mean '{close}'?"),
                None => format!("it has {}", list(known)),
            };
            let message = format!("{what} has no field '{name}'; {fix}");
            problems.push(Problem::new(&inside(pointer, name), message));
        }
        Some(Self {
            object,
            pointer: pointer.to_owned(),
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name)
    }

    pub(super) fn at(&self, name: &str) -> String {
        inside(&self.pointer, name)
    }

    pub(super) fn text(&self, name: &str, problems: &mut Vec<Problem>) -> Option<&'a str> {
        let value = self.get(name)?;
        let text = value.as_str();
        if text.is_none() {
            let message = format!("'{name}' is text, not {}", shown(value));
            problems.push(Problem::new(&self.at(name), message));
        }
        text
    }

    pub(super) fn duration(&self, name: &str, problems: &mut Vec<Problem>) -> Option<TimeDelta> {
        let value = self.get(name)?;
        let duration = duration(value);
        if duration.is_none() {
            let message = format!(
                "'{name}' is a time in seconds or as text, such as 90 or \"1 h 30 min\", not {}",
                shown(value)
            );
            problems.push(Problem::new(&self.at(name), message));
        }
        duration
    }
}

impl Problem {
    pub(super) fn new(pointer: &str, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            message: message.into(),
        }
    }
}

/// The pointer of a member.
pub(super) fn inside(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Names in a sentence.
pub(super) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    quoted.join(", ")
}

/// A value in a message.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The name that was probably meant: at most two letters are wrong, or a third of it.
pub(super) fn closest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let most = (name.chars().count() / 3).max(2);
    known
        .map(|known| (distance(name, known), known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}

/// How many letters have to be put in, left out or changed, capital letters being others than small ones.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// Seconds as a number, or text such as `1 d 2 h 30 min 5.5 s`.
pub(super) fn duration(value: &Value) -> Option<TimeDelta> {
    match value {
        Value::Number(seconds) => from_seconds(seconds.as_f64()?),
        Value::String(text) => {
            let mut rest = text.trim();
            let mut sum = 0.0;
            let mut parts = 0;
            while !rest.is_empty() {
                let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
                let number: f64 = rest[..end].parse().ok()?;
                rest = rest[end..].trim_start();
                let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
                let unit = match &rest[..end] {
                    "ms" => 0.001,
                    "s" => 1.0,
                    "min" | "m" => 60.0,
                    "h" => 3_600.0,
                    "d" => 86_400.0,
                    _ => return None,
                };
                sum += number * unit;
                parts += 1;
                rest = rest[end..].trim_start();
            }
            (parts > 0).then(|| from_seconds(sum)).flatten()
        }
        _ => None,
    }
}

/// To the millisecond, as histories count.
fn from_seconds(seconds: f64) -> Option<TimeDelta> {
    // Beyond any history: AWS's longest time-out is 99,999,999 s.
    const MOST: f64 = 1e11;
    (0.0..=MOST)
        .contains(&seconds)
        .then(|| TimeDelta::try_milliseconds((seconds * 1_000.0).round() as i64))
        .flatten()
}
