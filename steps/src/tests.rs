//! The crate, the template and the state machine agree.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::step::Input;
use crate::table::Judgement;
use crate::{detect_closure, store};

const TEMPLATE: &str = include_str!("../../template.yaml");
const BIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin");

#[test]
fn the_template_builds_every_binary_and_no_other() {
    let built: BTreeSet<String> = TEMPLATE
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Binary: "))
        .map(str::to_owned)
        .collect();
    let files = std::fs::read_dir(BIN).unwrap().map(|entry| entry.unwrap().path());
    let there: BTreeSet<String> = files
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(built, there);
}

/// What a Task's `Parameters` come to, before and after a redrive.
fn input(redrive_count: Option<u32>, fold: Option<Value>) -> Value {
    let event = ticket::flat::read(br#"{"summary":"Disk full","created":"2026-11-21T07:00:00.000Z"}"#).unwrap();
    let mut execution = json!({
        "Id": "arn:aws:states:us-west-2:000000000000:execution:M:name", "Input": event, "Name": "name",
        "RoleArn": "arn:aws:iam::000000000000:role/r", "StartTime": "2026-11-21T08:00:00.123Z",
    });
    if let Some(count) = redrive_count {
        execution["RedriveCount"] = count.into();
    }
    let state = json!({ "EnteredTime": "2026-11-21T08:00:01.000Z", "Name": "StoreTicket", "RetryCount": 2 });
    let mut input = json!({ "execution": execution, "state": state });
    if let Some(fold) = fold {
        input["fold"] = fold;
    }
    input
}

#[test]
fn a_step_reads_the_context_object_with_and_without_a_redrive() {
    let first: Input = serde_json::from_value(input(None, None)).unwrap();
    assert_eq!((first.execution.redrive_count, first.state.retry_count), (0, 2));
    let redriven: Input = serde_json::from_value(input(Some(3), None)).unwrap();
    assert_eq!(
        (redriven.execution.redrive_count, redriven.execution.name.as_str()),
        (3, "name")
    );
    assert_eq!(redriven.execution.event, first.execution.event);
}

#[test]
fn what_detect_closure_answers_compute_duration_takes() {
    let output = detect_closure::Output {
        state: "closed".to_owned(),
        fact_count: 7,
        judgement: Judgement {
            rules_version: 1,
            policy_version: 2,
            map_version: 3,
        },
    };
    let handed_on = input(None, Some(serde_json::to_value(&output).unwrap()));
    let input: Input<detect_closure::Output> = serde_json::from_value(handed_on).unwrap();
    assert_eq!(input.before, output);
}

#[test]
fn an_execution_from_before_maps_gives_detect_closure_no_version_of_one() {
    let output = store::Output {
        facts: 2,
        map_version: Some(4),
        texts: crate::table::TextsSeen::default(),
    };
    let mut handed_on = input(None, None);
    handed_on["stored"] = serde_json::to_value(&output).unwrap();
    let read = |value| serde_json::from_value::<Input<store::Output>>(value).unwrap().before;
    assert_eq!(read(handed_on), output);
    assert_eq!(read(input(None, None)).map_version, None);
}
