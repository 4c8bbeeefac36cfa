//! Any bytes as calls of the Step Functions API, on an engine that performs what they ask for.
//!
//! A line is a call, as [`fuzz::call`] reads it.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use asl::{Failure, Status};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use runtime::clock::Clock;
use runtime::driver::{
    Config, Engine, Error, PublishFuture, StatusChange, StatusEvents, TaskCall, TaskFuture, TaskOutcome, Tasks,
};
use runtime::stepfunctions::StepFunctions;
use scenario::Answer;
use serde_json::{Value, json};

/// Calls of one run: enough to create, start, answer, stop, redrive and read.
const MAX_CALLS: usize = 12;

/// How long an execution may take before the next call comes: one that waits for a callback is not waited for.
const SETTLES: Duration = Duration::from_millis(10);

/// How long StartSyncExecution may take before it is given up: an Express workflow may loop for minutes.
const LOOPS: Duration = Duration::from_secs(1);

/// Members that are texts of JSON, and not JSON themselves.
const JSON_TEXTS: [&str; 5] = ["definition", "input", "output", "variables", "context"];

/// Stands for the token of the last task that waits for one.
const TOKEN: &str = "TOKEN";

const MACHINE: &str = "arn:aws:states:us-west-2:000000000000:stateMachine:m";
const EXPRESS: &str = "arn:aws:states:us-west-2:000000000000:stateMachine:x";
const EXECUTION: &str = "arn:aws:states:us-west-2:000000000000:execution:m:e";
const ACTIVITY: &str = "arn:aws:states:us-west-2:000000000000:activity:a";
const DEFINITION: &str = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":9,"Next":"T"},"T":{"Type":"Task",
    "Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","HeartbeatSeconds":99,
    "Parameters":{"FunctionName":"f","Payload":{"token.$":"$$.Task.Token"}},"End":true}}}"#;

const TASK: &str = r#"{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f"},
    "Retry":[{"ErrorEquals":["E"]}],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"N"}],"Next":"N"}"#;

/// The operations, the letter `A` first, each with a good request.
fn operations() -> [(&'static str, Value); 29] {
    let machine = json!({"name": "m", "definition": DEFINITION, "roleArn": "arn:aws:iam::000000000000:role/r",
        "type": "STANDARD", "loggingConfiguration": {"level": "OFF"}, "tracingConfiguration": {"enabled": true},
        "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "tags": [{"key": "k", "value": "v"}], "publish": true,
        "versionDescription": "text"});
    [
        ("CreateStateMachine", machine),
        (
            "StartExecution",
            json!({"stateMachineArn": MACHINE, "name": "e", "input": "{}", "traceHeader": "t"}),
        ),
        (
            "StartSyncExecution",
            json!({"stateMachineArn": EXPRESS, "name": "e", "input": "{}", "includedData": "ALL_DATA"}),
        ),
        (
            "DescribeExecution",
            json!({"executionArn": EXECUTION, "includedData": "ALL_DATA"}),
        ),
        (
            "GetExecutionHistory",
            json!({"executionArn": EXECUTION, "maxResults": 2, "reverseOrder": true, "includeExecutionData": true,
                "nextToken": null}),
        ),
        (
            "StopExecution",
            json!({"executionArn": EXECUTION, "error": "E", "cause": "why"}),
        ),
        (
            "RedriveExecution",
            json!({"executionArn": EXECUTION, "clientToken": "c"}),
        ),
        ("SendTaskSuccess", json!({"taskToken": TOKEN, "output": "{}"})),
        (
            "SendTaskFailure",
            json!({"taskToken": TOKEN, "error": "E", "cause": "why"}),
        ),
        ("SendTaskHeartbeat", json!({"taskToken": TOKEN})),
        (
            "ListExecutions",
            json!({"stateMachineArn": MACHINE, "statusFilter": "RUNNING", "redriveFilter": "REDRIVEN", "maxResults": 1,
                "nextToken": null, "mapRunArn": null}),
        ),
        (
            "UpdateStateMachine",
            json!({"stateMachineArn": MACHINE, "definition": DEFINITION, "roleArn": "arn:aws:iam::000000000000:role/s",
                "publish": true, "versionDescription": "text"}),
        ),
        ("DeleteStateMachine", json!({"stateMachineArn": MACHINE})),
        (
            "DescribeStateMachine",
            json!({"stateMachineArn": MACHINE, "includedData": "METADATA_ONLY"}),
        ),
        (
            "DescribeStateMachineForExecution",
            json!({"executionArn": EXECUTION, "includedData": "ALL_DATA"}),
        ),
        ("ListStateMachines", json!({"maxResults": 1, "nextToken": null})),
        (
            "ValidateStateMachineDefinition",
            json!({"definition": DEFINITION, "type": "EXPRESS", "severity": "WARNING", "maxResults": 3}),
        ),
        (
            "PublishStateMachineVersion",
            json!({"stateMachineArn": MACHINE, "description": "text", "revisionId": "INITIAL"}),
        ),
        (
            "ListStateMachineVersions",
            json!({"stateMachineArn": MACHINE, "maxResults": 2, "nextToken": null}),
        ),
        (
            "DeleteStateMachineVersion",
            json!({"stateMachineVersionArn": format!("{MACHINE}:1")}),
        ),
        (
            "TagResource",
            json!({"resourceArn": MACHINE, "tags": [{"key": "l", "value": "w"}]}),
        ),
        ("UntagResource", json!({"resourceArn": MACHINE, "tagKeys": ["k"]})),
        ("ListTagsForResource", json!({"resourceArn": MACHINE})),
        (
            "CreateActivity",
            json!({"name": "a", "tags": [{"key": "k", "value": "v"}]}),
        ),
        ("DescribeActivity", json!({"activityArn": ACTIVITY})),
        ("DeleteActivity", json!({"activityArn": ACTIVITY})),
        ("ListActivities", json!({"maxResults": 1, "nextToken": null})),
        ("Nothing", json!({})),
        (
            "TestState",
            json!({"definition": TASK, "input": "{}", "roleArn": "arn:aws:iam::000000000000:role/r", "stateName": null,
                "variables": "{}", "context": "{}", "inspectionLevel": "TRACE", "revealSecrets": false,
                "mock": {"result": "{}", "fieldValidationMode": "PRESENT"},
                "stateConfiguration": {"retrierRetryCount": 1, "mapIterationFailureCount": 0}}),
        ),
    ]
}

/// Answers every task at once, or leaves it to a callback, and takes every status event.
#[derive(Default)]
struct World {
    token: Mutex<Option<String>>,
}

impl World {
    /// A body with the token that is waited for.
    fn complete(&self, body: &str) -> String {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        match &*token {
            Some(token) => body.replace(TOKEN, token),
            None => body.to_owned(),
        }
    }
}

impl Tasks for World {
    fn perform(&self, call: TaskCall) -> TaskFuture<'_> {
        let parameters = call.schedule.parameters.value();
        if let Some(token) = parameters.pointer("/Payload/token").and_then(Value::as_str) {
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.to_owned());
        }
        let outcome = match scenario::answer(parameters, false) {
            _ if call.schedule.resource.waits() && call.submitted.is_none() => TaskOutcome::Submitted(json!({}).into()),
            Answer::Never | Answer::Fails => TaskOutcome::Failed(Failure::new(scenario::ERROR, scenario::CAUSE)),
            Answer::Succeeds(output) => TaskOutcome::Succeeded(output.into()),
        };
        Box::pin(async { outcome })
    }
}

impl StatusEvents for World {
    fn wants(&self, _state_machine_arn: &str, _status: Status) -> bool {
        true
    }

    fn publish(&self, _event: StatusChange) -> PublishFuture<'_> {
        Box::pin(async { Ok(()) })
    }
}

async fn run(text: &str) {
    let data = fuzz::directory();
    let clock = Clock::open(&data.path().join("clock"), true).expect("a clock");
    let world = Arc::new(World::default());
    let config = || Config {
        data_dir: runtime::history::DataDir::take(data.path()).expect("a directory of its own"),
        region: "us-west-2".into(),
        clock: clock.clone(),
        tasks: world.clone(),
        status_events: world.clone(),
        subjects: BTreeMap::new(),
    };
    let engine = Engine::open(config()).await.expect("an engine");
    let states = StepFunctions::new(engine.clone(), clock.clone());
    let operations = operations();
    let calls = text
        .lines()
        .filter_map(|line| fuzz::call(&operations, &JSON_TEXTS, line));
    for (operation, body) in calls.take(MAX_CALLS) {
        let body = Bytes::from(world.complete(&body));
        let answer = states.handle(operation, body);
        let answer = match operation {
            "StartSyncExecution" => match tokio::time::timeout(LOOPS, answer).await {
                Ok(answer) => answer,
                Err(_) => continue,
            },
            _ => answer.await,
        };
        let body: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
        assert!(
            [200, 400].contains(&answer.status),
            "{operation} answers {}: {body}",
            answer.status
        );
        if let ("StartExecution", Some(arn)) = (operation, body["executionArn"].as_str()) {
            // Whether it closes in this time is its own affair.
            let _ = tokio::time::timeout(SETTLES, engine.wait_closed(arn)).await;
        }
    }
    engine.shutdown().await;
    drop((states, engine));
    // Nothing that was taken may stand in the way of the next start, and what was written can be read.
    let engine = Engine::open(config()).await.expect("it opens again");
    if let Err(Error::History(error)) = engine.execution(EXECUTION).await {
        panic!("{error}");
    }
    engine.shutdown().await;
}

// A panic in a task of the engine's must end the run, too; one that the evaluator of JSONata has is caught inside.
fuzz_target!(
    init: std::panic::set_hook(Box::new(|panic| {
        if !panic.location().is_some_and(|location| location.file().contains("jsonata-core")) {
            eprintln!("{panic}");
            std::process::abort();
        }
    })),
    |data: &[u8]| {
        if let Ok(text) = std::str::from_utf8(data) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(text));
        }
    }
);
