//! What an execution came to beside what was expected of it.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::fields::inside;
use super::play::Lived;
use super::{Calls, Case, path};
use crate::Status;

/// In what a case went otherwise than expected.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// A value, by its place in what is expected (`/output/total`); absent where there is none.
    Value {
        pointer: String,
        expected: Option<Value>,
        actual: Option<Value>,
    },
    /// The path, line by line, and the first line in which the two differ.
    Path {
        expected: Vec<String>,
        actual: Vec<String>,
        diverges: usize,
    },
    /// The time it took, by the execution's clock.
    Elapsed {
        at_least: TimeDelta,
        at_most: TimeDelta,
        actual: TimeDelta,
    },
    /// A task was called for which no result is scripted; the execution was not taken further.
    Unscripted {
        state: String,
        resource: String,
        arguments: Value,
        /// Which call of the state this is, from 1.
        call: usize,
        /// For how many there are results.
        scripted: usize,
    },
    /// Results were scripted that no call asked for.
    Unused { task: String, scripted: usize, used: usize },
    /// A script for something that the state machine does not call.
    NoSuchTask { task: String, meant: Option<String> },
    /// The execution waits for something that never comes; these are the states that wait.
    Stuck { states: Vec<String> },
    /// The execution went on and on.
    Endless { triggers: usize },
}

/// The differences of what was lived to what was expected, those first from which the others follow.
pub(super) fn compare(case: &Case, lived: &Lived) -> Vec<Difference> {
    let expect = &case.expect;
    let mut differences = Vec::new();
    let execution = &lived.execution;
    let status = expect.status.unwrap_or(match (&expect.error, &expect.cause) {
        (None, None) => Status::Succeeded,
        _ => Status::Failed,
    });
    let ended = execution.status() != Status::Running;
    if ended && execution.status() != status {
        let names = [status, execution.status()].map(|status| Some(Value::from(status.as_str())));
        let [expected, actual] = names;
        differences.push(Difference::Value {
            pointer: "/status".to_owned(),
            expected,
            actual,
        });
    }
    if ended {
        if let (Some(expected), true) = (&expect.output, execution.status() == Status::Succeeded) {
            let actual = execution.output().map(|output| output.value());
            values("/output", Some(expected), actual, &mut differences);
        }
        let failure = execution.failure();
        let failed = [
            ("/error", &expect.error, &failure.error),
            ("/cause", &expect.cause, &failure.cause),
        ];
        for (pointer, expected, actual) in failed {
            if let Some(expected) = expected {
                let expected = Value::from(expected.as_str());
                let actual = actual.as_deref().map(Value::from);
                values(pointer, Some(&expected), actual.as_ref(), &mut differences);
            }
        }
    }
    if let Some(expected) = &expect.path {
        let actual = path::as_looked_at(&lived.path, expected);
        if actual != *expected {
            let (expected, actual) = (path::lines(expected), path::lines(&actual));
            let same = expected.iter().zip(&actual).take_while(|(one, other)| one == other);
            let diverges = same.count();
            differences.push(Difference::Path {
                expected,
                actual,
                diverges,
            });
        }
    }
    if let Some(elapsed) = expect.elapsed
        && ended
        && !(elapsed.at_least..=elapsed.at_most).contains(&lived.elapsed)
    {
        differences.push(Difference::Elapsed {
            at_least: elapsed.at_least,
            at_most: elapsed.at_most,
            actual: lived.elapsed,
        });
    }
    compare_calls(case, lived, &mut differences);
    let variables = execution.variables();
    for (name, expected) in &expect.variables {
        let pointer = inside("/variables", name);
        values(
            &pointer,
            Some(expected),
            variables.get(name).map(|value| &**value),
            &mut differences,
        );
    }
    if let Some(expected) = &expect.events {
        compare_events(expected, lived, &mut differences);
    }
    differences
}

fn compare_calls(case: &Case, lived: &Lived, differences: &mut Vec<Difference>) {
    for (state, expected) in &case.expect.calls {
        let pointer = inside("/calls", state);
        let made = lived.calls.get(state).map(Vec::as_slice).unwrap_or_default();
        match expected {
            Calls::Count(count) => values(&pointer, Some(&json!(count)), Some(&json!(made.len())), differences),
            Calls::Arguments(arguments) => {
                let made = Value::Array(made.to_vec());
                values(
                    &pointer,
                    Some(&Value::Array(arguments.clone())),
                    Some(&made),
                    differences,
                );
            }
        }
    }
}

/// An event is named by its type, or by some of its fields.
fn compare_events(expected: &[Value], lived: &Lived, differences: &mut Vec<Difference>) {
    let actual: Vec<Value> = lived.events.iter().filter_map(|event| event.wire(true)).collect();
    for index in 0..expected.len().max(actual.len()) {
        let pointer = format!("/events/{index}");
        let actual = actual.get(index);
        let seen = match (expected.get(index), actual) {
            (Some(Value::Object(fields)), Some(actual)) => Some(only(fields, actual)),
            (_, actual) => actual.and_then(|event| event.get("type")).cloned(),
        };
        values(&pointer, expected.get(index), seen.as_ref(), differences);
    }
}

/// The fields of `actual` that `wanted` has too.
fn only(wanted: &Map<String, Value>, actual: &Value) -> Value {
    let fields = wanted.iter().filter_map(|(name, wanted)| {
        let actual = actual.get(name)?;
        let actual = match wanted {
            Value::Object(wanted) => only(wanted, actual),
            _ => actual.clone(),
        };
        Some((name.clone(), actual))
    });
    Value::Object(fields.collect())
}

/// Adds the innermost values in which two documents differ.
fn values(pointer: &str, expected: Option<&Value>, actual: Option<&Value>, differences: &mut Vec<Difference>) {
    match (expected, actual) {
        (Some(Value::Object(expected)), Some(Value::Object(actual))) => {
            let names: BTreeSet<&String> = expected.keys().chain(actual.keys()).collect();
            for name in names {
                values(
                    &inside(pointer, name),
                    expected.get(name),
                    actual.get(name),
                    differences,
                );
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(actual))) => {
            for index in 0..expected.len().max(actual.len()) {
                let pointer = format!("{pointer}/{index}");
                values(&pointer, expected.get(index), actual.get(index), differences);
            }
        }
        // 1 and 1.0 are one number, as JSON has but one kind.
        (Some(Value::Number(expected)), Some(Value::Number(actual))) if expected.as_f64() == actual.as_f64() => {}
        (expected, actual) if expected == actual => {}
        (expected, actual) => differences.push(Difference::Value {
            pointer: pointer.to_owned(),
            expected: expected.cloned(),
            actual: actual.cloned(),
        }),
    }
}
