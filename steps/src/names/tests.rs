use std::collections::BTreeSet;

use serde_json::Value;

use super::{Handling, Name};

/// The names of errors that are AWS's own.
const AWS_PREFIXES: [&str; 4] = ["Lambda.", "Runtime.", "Sandbox.", "States."];

fn definition() -> Value {
    serde_json::from_str(include_str!("../../../statemachine/ticket-lifecycle.asl.json")).unwrap()
}

fn clock() -> Value {
    serde_json::from_str(include_str!("../../../statemachine/sla-clock.asl.json")).unwrap()
}

/// Our names under `field` (`Retry` or `Catch`) of any state.
fn named(definition: &Value, field: &str) -> BTreeSet<String> {
    let states = definition["States"].as_object().unwrap().values();
    states
        .flat_map(|state| state[field].as_array().into_iter().flatten())
        .flat_map(|clause| clause["ErrorEquals"].as_array().unwrap())
        .map(|name| name.as_str().unwrap().to_owned())
        .filter(|name| !AWS_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .collect()
}

fn handled(handling: Handling) -> BTreeSet<String> {
    Name::ALL
        .into_iter()
        .filter(|name| name.handling() == handling)
        .map(|name| name.as_str().to_owned())
        .collect()
}

#[test]
fn the_state_machine_names_exactly_the_errors_that_steps_have() {
    let definition = definition();
    assert_eq!(named(&definition, "Retry"), handled(Handling::Retried));
    assert_eq!(named(&definition, "Catch"), handled(Handling::Caught));
}

#[test]
fn a_timer_retries_what_its_function_may_come_to() {
    let mut expected = handled(Handling::Retried);
    expected.remove(Name::TimerNotStarted.as_str());
    assert_eq!(named(&clock(), "Retry"), expected);
}

#[test]
fn every_task_retries_what_lambda_itself_does_wrong_and_is_bounded() {
    let (definition, clock) = (definition(), clock());
    let states = [&definition, &clock].map(|definition| definition["States"].as_object().unwrap());
    for (name, state) in states.into_iter().flatten() {
        if state["Type"] != "Task" || state["Retry"][0]["ErrorEquals"][0] == "States.ALL" {
            continue;
        }
        let names: Vec<&Value> = state["Retry"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|r| r["ErrorEquals"].as_array().unwrap())
            .collect();
        for expected in [
            "Lambda.TooManyRequestsException",
            "Lambda.Unknown",
            "Runtime.ExitError",
            "States.Timeout",
        ] {
            assert!(
                names.iter().any(|name| **name == expected),
                "{name} does not retry {expected}"
            );
        }
        for retrier in state["Retry"].as_array().unwrap() {
            assert_eq!(retrier["JitterStrategy"], "FULL", "{name}");
            assert!(
                retrier["MaxDelaySeconds"].is_number() && retrier["MaxAttempts"].is_number(),
                "{name}"
            );
        }
        assert!(state["TimeoutSeconds"].is_number(), "{name}");
    }
}

#[test]
fn nothing_that_is_caught_ends_in_a_fail_state() {
    let definition = definition();
    for state in definition["States"].as_object().unwrap().values() {
        for catcher in state["Catch"].as_array().into_iter().flatten() {
            let next = catcher["Next"].as_str().unwrap();
            assert_ne!(
                definition["States"][next]["Type"], "Fail",
                "{next} could not be redriven"
            );
        }
    }
}
