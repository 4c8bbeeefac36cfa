//! What the answers of AWS's APIs look like, for mocked results to be checked against.
//!
//! The facts are a table that is read where it is asked for; `crates/runtime/shapes/generate` writes it and says what
//! its form is. What is not in it is not checked.

use serde_json::{Map, Value};

/// The answers of the APIs that Task states call.
const OUTPUTS: &str = include_str!("../../../shapes/outputs.txt");

/// The Context Object that a test may be given, in the same form.
const CONTEXT: &str = "\
# context
= Context 0
0 Execution:1 State:2 StateMachine:3 Task:4 Map:5
1 Id:s Input:? Name:s RoleArn:s StartTime:s RedriveCount:n RedriveTime:s
2 EnteredTime:s Name:s RetryCount:n
3 Id:s Name:s
4 Token:s
5 Item:6
6 Index:n Value:? Key:s Source:s
";

/// How much is asked of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Every required field is there, and what is there is right.
    Complete,
    /// What is there is right.
    Right,
    /// What is there is right and known.
    Known,
}

/// What an operation of a service answers; `None` if the table does not have it.
pub(super) fn output(service: &str, operation: &str) -> Option<Shape<'static>> {
    Shape::find(OUTPUTS, service, operation)
}

/// The Context Object.
pub(super) fn context() -> Shape<'static> {
    Shape::find(CONTEXT, "context", "Context").expect("the Context Object is in its own table")
}

/// The structure of a value, with those that it leads to.
#[derive(Debug)]
pub(super) struct Shape<'t> {
    structures: Vec<&'t str>,
    type_: &'t str,
}

impl<'t> Shape<'t> {
    fn find(table: &'t str, service: &str, operation: &str) -> Option<Self> {
        let mut lines = table.lines();
        lines.find(|line| line.strip_prefix("# ") == Some(service))?;
        let mut lines = lines.take_while(|line| !line.starts_with('#')).peekable();
        let mut type_ = None;
        while let Some(line) = lines.next_if(|line| line.starts_with('=')) {
            let (name, found) = line.trim_start_matches("= ").split_once(' ')?;
            // A resource begins it with a small letter.
            if name.eq_ignore_ascii_case(operation) {
                type_ = Some(found);
            }
        }
        Some(Self {
            type_: type_?,
            structures: lines.collect(),
        })
    }

    /// Refuses a value that is not of this shape, in AWS's words.
    pub(super) fn check(&self, value: &Value, demand: Demand) -> Result<(), String> {
        match value {
            Value::Object(members) => self.structure(self.type_, members, demand),
            _ => Ok(()),
        }
    }

    fn structure(&self, number: &str, members: &Map<String, Value>, demand: Demand) -> Result<(), String> {
        let Some(line) = number
            .parse()
            .ok()
            .and_then(|number: usize| self.structures.get(number))
        else {
            return Ok(());
        };
        let fields = line.split(' ').skip(1).filter_map(|field| {
            let (name, type_) = field.split_once(':')?;
            let required = type_.strip_suffix('!');
            Some((name, required.unwrap_or(type_), required.is_some()))
        });
        if demand == Demand::Known
            && let Some(unknown) = members
                .keys()
                .find(|key| !fields.clone().any(|field| field.0 == key.as_str()))
        {
            return Err(format!("Field '{unknown}' is not allowed"));
        }
        for (name, type_, is_required) in fields {
            match members.get(name).filter(|value| !value.is_null()) {
                Some(value) => self.value(name, type_, value, demand)?,
                None if is_required && demand == Demand::Complete => {
                    return Err(format!("Required field '{name}' is missing"));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn value(&self, field: &str, type_: &str, value: &Value, demand: Demand) -> Result<(), String> {
        let must_be = |what: &str| Err(format!("Field '{field}' must be {what}"));
        let (kind, rest) = type_.split_at_checked(1).unwrap_or((type_, ""));
        match (kind, value) {
            ("?", _) => Ok(()),
            ("s", Value::String(text)) => self::text(field, rest, text),
            ("s", _) => must_be("a string"),
            ("n", Value::Number(number)) => self::number(field, rest, number.as_f64().unwrap_or_default()),
            ("n", _) => must_be("a number"),
            ("b", Value::Bool(_)) => Ok(()),
            ("b", _) => must_be("a boolean"),
            ("[", Value::Array(items)) => items.iter().try_for_each(|item| self.value(field, rest, item, demand)),
            ("[", _) => must_be("an array"),
            ("{", Value::Object(members)) => {
                let mut values = members.values();
                values.try_for_each(|value| self.value(field, rest, value, demand))
            }
            (_, Value::Object(members)) => self.structure(type_, members, demand),
            _ => must_be("an object"),
        }
    }
}

/// The bounds `MIN~MAX`, if there are any.
fn bounds(bounds: &str) -> (Option<f64>, Option<f64>) {
    match bounds.split_once('~') {
        Some((least, most)) => (least.parse().ok(), most.parse().ok()),
        None => (None, None),
    }
}

fn text(field: &str, allowed: &str, text: &str) -> Result<(), String> {
    if let Some(values) = allowed.strip_prefix('|') {
        return match values.split('|').any(|value| value == text) {
            true => Ok(()),
            false => Err(format!("Field '{field}' is not an expected value")),
        };
    }
    within(field, "length", allowed, text.chars().count() as f64)
}

fn number(field: &str, allowed: &str, number: f64) -> Result<(), String> {
    within(field, "value", allowed, number)
}

fn within(field: &str, what: &str, allowed: &str, actual: f64) -> Result<(), String> {
    let (least, most) = bounds(allowed);
    if least.is_some_and(|least| actual < least) {
        return Err(format!("Field '{field}' is less than the minimum {what}"));
    }
    if most.is_some_and(|most| actual > most) {
        return Err(format!("Field '{field}' exceeds the maximum {what}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
