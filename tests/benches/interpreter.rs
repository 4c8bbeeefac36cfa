//! What the pure interpreter costs for each state entered, by state type and query language: time by criterion, and the
//! allocations, which do not vary, counted.
//!
//!     cargo bench --workspace --bench interpreter

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use asl::{Execution, Identity, Json, Moment, StateMachine, Status, Trigger, advance};
use chrono::DateTime;
use criterion::{Criterion, Throughput};
use serde_json::{Map, Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// States of one type in a row, so that an execution's start and end weigh little.
const STATES: usize = 100;

/// Turns of the Choice loop: with two transitions a turn it comes close to the 25,000 events that AWS allows.
const TURNS: usize = 6_000;

/// States by what they are called here, in one query language; a row of them is chained by `Next`.
fn states(language: &str) -> Vec<(&'static str, Value)> {
    let is_path = language == "JSONPath";
    let pass = json!({ "Type": "Pass", "End": true });
    let branch = |name: &str| json!({ "StartAt": name, "States": { name: pass } });
    let (left, right) = (branch("~left"), branch("~right"));
    let task = "arn:aws:lambda:us-west-2:000000000000:function:work";
    let pick = |path: Value, jsonata: Value| if is_path { path } else { jsonata };
    vec![
        ("Pass", json!({ "Type": "Pass" })),
        (
            "Pass, payload",
            pick(
                json!({ "Type": "Pass", "Parameters": { "key.$": "$.ticket.key", "priority.$": "$.ticket.priority" },
                    "ResultPath": "$.seen" }),
                json!({ "Type": "Pass", "Output": "{% $merge([$states.input, { 'seen': { 'key': $states.input.ticket.key,
                    'priority': $states.input.ticket.priority } }]) %}" }),
            ),
        ),
        (
            "Pass, Assign",
            pick(
                json!({ "Type": "Pass", "Assign": { "key.$": "$.ticket.key" } }),
                json!({ "Type": "Pass", "Assign": { "key": "{% $states.input.ticket.key %}" } }),
            ),
        ),
        (
            "Choice",
            pick(
                json!({ "Type": "Choice", "Choices": [
                    { "Variable": "$.ticket.priority", "NumericLessThan": 4, "Next": null } ] }),
                json!({ "Type": "Choice", "Choices": [
                    { "Condition": "{% $states.input.ticket.priority < 4 %}", "Next": null } ] }),
            ),
        ),
        (
            "Wait",
            pick(
                json!({ "Type": "Wait", "SecondsPath": "$.ticket.priority" }),
                json!({ "Type": "Wait", "Seconds": "{% $states.input.ticket.priority %}" }),
            ),
        ),
        (
            "Task",
            pick(
                json!({ "Type": "Task", "Resource": task, "Parameters": { "key.$": "$.ticket.key" }, "ResultPath": null }),
                json!({ "Type": "Task", "Resource": task, "Arguments": { "key": "{% $states.input.ticket.key %}" },
                    "Output": "{% $states.input %}" }),
            ),
        ),
        (
            "Parallel of 2",
            pick(
                json!({ "Type": "Parallel", "Branches": [left, right], "ResultPath": null }),
                json!({ "Type": "Parallel", "Branches": [left, right], "Output": "{% $states.input %}" }),
            ),
        ),
        (
            "Map of 3",
            pick(
                json!({ "Type": "Map", "ItemsPath": "$.ticket.labels", "ItemProcessor": left, "ResultPath": null }),
                json!({ "Type": "Map", "Items": "{% $states.input.ticket.labels %}", "ItemProcessor": left,
                    "Output": "{% $states.input %}" }),
            ),
        ),
    ]
}

/// A state machine of `STATES` such states in a row.
fn row(language: &str, state: &Value) -> StateMachine {
    let mut row = Map::new();
    for number in 0..STATES {
        let next = json!(format!("S{}", number + 1));
        // Names are unique in a state machine, inner ones too.
        let text = state.to_string().replace('~', &format!("S{number} "));
        let mut state: Value = serde_json::from_str(&text).expect("a name takes it");
        match state.get_mut("Choices").and_then(Value::as_array_mut) {
            Some(rules) => rules[0]["Next"] = next,
            None => state["Next"] = next,
        }
        row.insert(format!("S{number}"), state);
    }
    row.insert(format!("S{STATES}"), json!({ "Type": "Succeed" }));
    machine(&json!({ "QueryLanguage": language, "StartAt": "S0", "States": row }))
}

/// Counts in a loop of two states.
fn looping(language: &str) -> StateMachine {
    let (count, enough) = match language {
        "JSONPath" => (
            json!({ "Type": "Pass", "Next": "Enough?", "Parameters": { "at.$": "States.MathAdd($.at, 1)" } }),
            json!({ "Variable": "$.at", "NumericGreaterThanEquals": TURNS, "Next": "Done" }),
        ),
        _ => (
            json!({ "Type": "Pass", "Next": "Enough?", "Output": { "at": "{% $states.input.at + 1 %}" } }),
            json!({ "Condition": format!("{{% $states.input.at >= {TURNS} %}}"), "Next": "Done" }),
        ),
    };
    machine(&json!({ "QueryLanguage": language, "StartAt": "Count", "States": {
        "Count": count,
        "Enough?": { "Type": "Choice", "Default": "Count", "Choices": [enough] },
        "Done": { "Type": "Succeed" } } }))
}

fn machine(definition: &Value) -> StateMachine {
    StateMachine::parse(&definition.to_string()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Runs an execution to its end: tasks succeed at once, and the clock is always at what is due.
fn run(machine: &StateMachine, identity: &Arc<Identity>, input: &Json) -> Execution {
    let mut execution = Execution::default();
    let mut moment = Moment {
        now: DateTime::UNIX_EPOCH,
        seed: 7,
    };
    let start = Trigger::Start {
        identity: identity.clone(),
        input: input.clone(),
    };
    let mut events = advance(machine, &mut execution, start, &moment);
    while execution.status() == Status::Running {
        let task = execution
            .tasks_since(asl::Mark::default())
            .next()
            .map(|task| task.scheduled);
        let trigger = match (execution.is_runnable(), task) {
            (true, _) => Trigger::Continue,
            (false, Some(scheduled)) => Trigger::TaskSucceeded {
                scheduled,
                output: input.clone(),
            },
            (false, None) => {
                moment.now = execution.due().expect("it waits for a task or a timer");
                Trigger::Clock
            }
        };
        events = advance(machine, &mut execution, trigger, &moment);
    }
    assert_eq!(execution.status(), Status::Succeeded, "{events:?}");
    execution
}

fn main() {
    let mut criterion = Criterion::default()
        .configure_from_args()
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500))
        .sample_size(20);
    let identity = Arc::new(Identity {
        execution_arn: "arn:aws:states:us-west-2:000000000000:execution:machine:name".into(),
        name: "name".into(),
        state_machine_arn: "arn:aws:states:us-west-2:000000000000:stateMachine:machine".into(),
        state_machine_name: "machine".into(),
        role_arn: "arn:aws:iam::000000000000:role/role".into(),
        published: asl::Published::default(),
    });
    let ticket: Json = json!({ "ticket": { "key": "SHOP-1", "priority": 3, "labels": ["a", "b", "c"],
        "summary": "The basket forgets its last item" } })
    .into();
    let zero: Json = json!({ "at": 0 }).into();
    let mut counted = Vec::new();
    for language in ["JSONPath", "JSONata"] {
        let mut group = criterion.benchmark_group(language);
        let rows = states(language).into_iter();
        let rows = rows.map(|(name, state)| (name, row(language, &state), STATES, &ticket));
        let looping = ("Choice loop", looping(language), 2 * TURNS, &zero);
        for (name, machine, transitions, input) in rows.chain([looping]) {
            // Once before, for what is made at first use.
            run(&machine, &identity, input);
            let region = Region::new(ALLOCATOR);
            run(&machine, &identity, input);
            let change = region.change();
            counted.push((language, name, change.allocations, change.bytes_allocated, transitions));
            group.throughput(Throughput::Elements(transitions as u64));
            group.bench_function(name, |bencher| bencher.iter(|| run(&machine, &identity, input)));
        }
        group.finish();
    }
    println!("language  state          allocations  bytes  (of each state entered)");
    for (language, name, allocations, bytes, transitions) in counted {
        println!(
            "{language}  {name:14} {:11}  {:5}",
            allocations / transitions,
            bytes / transitions
        );
    }
    criterion.final_summary();
}
