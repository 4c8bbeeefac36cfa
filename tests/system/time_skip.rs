//! `up --time-skip`: days pass in a moment, as the histories show, and they have passed for good.

use std::time::{Duration, Instant};

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent, HistoryEventType};
use serde_json::{Value, json};

use crate::server::Server;

/// What a workflow of days may take here: far more than it does, far less than its shortest wait.
const MOMENT: Duration = Duration::from_secs(20);

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

async fn create(states: &aws_sdk_sfn::Client, name: &str, definition: Value) -> String {
    let created = states
        .create_state_machine()
        .name(name)
        .definition(definition.to_string());
    let created = created.role_arn("arn:aws:iam::000000000000:role/time").send().await;
    created.expect("a valid definition").state_machine_arn
}

/// Seconds since 1970.
fn seconds(time: &aws_sdk_sfn::primitives::DateTime) -> i64 {
    time.secs()
}

async fn start(states: &aws_sdk_sfn::Client, machine: &str) -> (String, i64) {
    let started = states.start_execution().state_machine_arn(machine).send().await;
    let started = started.expect("it starts");
    (started.execution_arn, seconds(&started.start_date))
}

/// When an execution that succeeds stopped.
async fn succeeded(server: &Server, states: &aws_sdk_sfn::Client, arn: &str) -> i64 {
    server
        .until("the execution to end", || async {
            let described = states.describe_execution().execution_arn(arn).send().await.ok()?;
            assert!(
                matches!(described.status, ExecutionStatus::Running | ExecutionStatus::Succeeded),
                "{:?}: {:?}",
                described.error,
                described.cause
            );
            described.stop_date.as_ref().map(seconds)
        })
        .await
}

/// How long after the start the events of this type happened.
fn after(events: &[HistoryEvent], wanted: &HistoryEventType) -> Vec<i64> {
    let begun = seconds(&events[0].timestamp);
    let wanted = events.iter().filter(|event| event.r#type == *wanted);
    wanted.map(|event| seconds(&event.timestamp) - begun).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_of_days_ends_in_a_moment_and_time_never_goes_back() {
    let mut server = Server::start_with(&["--time-skip"]);
    let states = server.states().await;
    let child = create(
        &states,
        "child",
        json!({"StartAt": "Sleep", "States": {"Sleep": {"Type": "Wait", "Seconds": DAY, "End": true}}}),
    )
    .await;
    let parent = create(
        &states,
        "parent",
        json!({"StartAt": "Sleep", "States": {
            "Sleep": {"Type": "Wait", "Seconds": 3 * DAY, "Next": "Look"},
            "Look": {
                "Type": "Task", "Resource": "arn:aws:states:::dynamodb:getItem",
                "Parameters": {"TableName": "NotThere", "Key": {"id": {"S": "1"}}},
                "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": HOUR, "BackoffRate": 1, "MaxAttempts": 2}],
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Nested"}], "End": true},
            "Nested": {
                "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
                "Parameters": {"StateMachineArn": child}, "TimeoutSeconds": 2 * DAY, "End": true}}}),
    )
    .await;

    let begun = Instant::now();
    let (arn, started) = start(&states, &parent).await;
    let stopped = succeeded(&server, &states, &arn).await;
    assert!(begun.elapsed() < MOMENT, "it took {:?}", begun.elapsed());
    let took = stopped - started;
    assert!(
        (4 * DAY + 2 * HOUR..4 * DAY + 2 * HOUR + 60).contains(&took),
        "{took} s"
    );

    let history = states.get_execution_history().execution_arn(&arn).send().await;
    let events = history.expect("a history").events;
    let tries = after(&events, &HistoryEventType::TaskFailed);
    for (at, expected) in tries.iter().zip([3 * DAY, 3 * DAY + HOUR, 3 * DAY + 2 * HOUR]) {
        assert!((expected..expected + 60).contains(at), "{tries:?}");
    }
    assert_eq!(tries.len(), 3);

    // The schedules' beat has not carried the clock on, and neither a crash nor a start without skipping sets it back.
    server.kill();
    server.restart_with(&[]);
    let states = server.states().await;
    let (_, again) = start(&states, &child).await;
    assert!(stopped <= again && again < stopped + HOUR, "{again} after {stopped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_jump_overtakes_the_end_of_a_nested_execution() {
    let server = Server::start_with(&["--time-skip"]);
    let states = server.states().await;
    let child = create(
        &states,
        "child",
        json!({"StartAt": "Sleep", "States": {"Sleep": {"Type": "Wait", "Seconds": DAY, "End": true}}}),
    )
    .await;
    let items: Vec<i64> = (0..20).collect();
    let parent = create(
        &states,
        "parent",
        json!({"QueryLanguage": "JSONata", "StartAt": "Each", "States": {"Each": {
            "Type": "Map", "Items": items, "End": true,
            "ItemProcessor": {"StartAt": "Sleep", "States": {
                "Sleep": {"Type": "Wait", "Seconds": "{% $states.input * 60 %}", "Next": "Nested"},
                "Nested": {
                    "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
                    "Arguments": {"StateMachineArn": child}, "TimeoutSeconds": DAY + 1, "End": true}}}}}}),
    )
    .await;
    let (arn, started) = start(&states, &parent).await;
    let took = succeeded(&server, &states, &arn).await - started;
    assert!((DAY + 19 * 60..DAY + 19 * 60 + 60).contains(&took), "{took} s");
}
