use asl::Status;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::driver::{Config, PublishFuture, StatusChange, StatusEvents, TaskCall, TaskFuture, TaskOutcome, Tasks};
use crate::history::DataDir;

const MACHINE: &str = "arn:aws:states:us-west-2:000000000000:stateMachine:m";
const ROLE: &str = "arn:aws:iam::000000000000:role/r";

/// Takes no interest in anything, and never finishes a task.
struct Idle;

impl Tasks for Idle {
    fn perform(&self, call: TaskCall) -> TaskFuture<'_> {
        Box::pin(async move {
            match call.schedule.resource.waits_for_token() {
                true => TaskOutcome::Submitted(json!({}).into()),
                false => std::future::pending().await,
            }
        })
    }
}

impl StatusEvents for Idle {
    fn wants(&self, _state_machine_arn: &str, _status: Status) -> bool {
        false
    }

    fn publish(&self, _event: StatusChange) -> PublishFuture<'_> {
        Box::pin(async { Ok(()) })
    }
}

struct Api {
    states: StepFunctions,
    _data: TempDir,
}

impl Api {
    async fn open() -> Self {
        Self::open_at(Clock::system()).await
    }

    async fn open_at(clock: Clock) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let config = Config {
            data_dir: DataDir::take(data.path()).expect("a directory of its own"),
            region: "us-west-2".into(),
            clock: clock.clone(),
            tasks: Arc::new(Idle),
            status_events: Arc::new(Idle),
            subjects: std::collections::BTreeMap::new(),
        };
        let engine = Engine::open(config).await.expect("an engine");
        Self {
            states: StepFunctions::new(engine, clock),
            _data: data,
        }
    }

    async fn call(&self, operation: &str, parameters: Value) -> Result<Value, String> {
        let answer = self.states.handle(operation, Bytes::from(parameters.to_string())).await;
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        match answer.status {
            200 => Ok(body),
            400 => Err(format!(
                "{}: {}",
                body["__type"].as_str().unwrap_or_default(),
                body["message"].as_str().unwrap_or_default()
            )),
            status => panic!("{operation} answers {status}: {body}"),
        }
    }

    async fn ok(&self, operation: &str, parameters: Value) -> Value {
        self.call(operation, parameters)
            .await
            .unwrap_or_else(|error| panic!("{operation} is refused: {error}"))
    }

    async fn refused(&self, operation: &str, parameters: Value) -> String {
        match self.call(operation, parameters).await {
            Err(error) => error
                .rsplit_once('#')
                .map_or(error.clone(), |(_, error)| error.to_owned()),
            Ok(answer) => panic!("{operation} is taken: {answer}"),
        }
    }

    async fn create(&self, definition: Value) {
        self.ok("CreateStateMachine", machine(&definition)).await;
    }

    /// Starts an execution and waits for its end.
    async fn run(&self, name: &str) -> String {
        let arn = self.start(name).await;
        self.states.wait_closed(&arn).await.expect("it closes");
        arn
    }

    async fn start(&self, name: &str) -> String {
        let started = self
            .ok("StartExecution", json!({"stateMachineArn": MACHINE, "name": name}))
            .await;
        started["executionArn"].as_str().expect("an ARN").to_owned()
    }
}

fn machine(definition: &Value) -> Value {
    json!({"name": "m", "definition": definition.to_string(), "roleArn": ROLE})
}

fn pass() -> Value {
    json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}})
}

fn wait() -> Value {
    json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1000, "End": true}}})
}

fn fail() -> Value {
    json!({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "why"}}})
}

#[tokio::test]
async fn what_a_caller_no_longer_waits_for_is_done_all_the_same() {
    let api = Api::open().await;
    let definition = |comment: &str| json!({"Comment": comment, "StartAt": "A", "States": {"A": {"Type": "Succeed"}}});
    {
        let created = api.call("CreateStateMachine", machine(&definition("first")));
        let mut created = std::pin::pin!(created);
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(created.as_mut().poll(context).is_ready()));
        assert!(!polled.await, "the store takes a moment");
    }
    let again = api.refused("CreateStateMachine", machine(&definition("second"))).await;
    assert!(again.starts_with("StateMachineAlreadyExists"), "{again}");
}

#[tokio::test]
async fn creating_the_same_again_finds_it_and_another_is_refused() {
    let api = Api::open().await;
    let created = api.ok("CreateStateMachine", machine(&pass())).await;
    let mut again = machine(&pass());
    again["roleArn"] = json!("arn:aws:iam::000000000000:role/other");
    again["tags"] = json!([{"key": "k", "value": "v"}]);
    assert_eq!(api.ok("CreateStateMachine", again).await, created);
    assert_eq!(
        api.refused("CreateStateMachine", machine(&wait())).await,
        format!("StateMachineAlreadyExists: State Machine Already Exists: '{MACHINE}'")
    );
}

#[tokio::test]
async fn an_update_gives_a_revision_and_tags_do_not() {
    let api = Api::open().await;
    api.create(pass()).await;
    api.ok(
        "TagResource",
        json!({"resourceArn": MACHINE, "tags": [{"key": "k", "value": "v"}]}),
    )
    .await;
    let arn = json!({"stateMachineArn": MACHINE});
    assert_eq!(
        api.ok("DescribeStateMachine", arn.clone()).await.get("revisionId"),
        None
    );
    assert!(
        api.refused("UpdateStateMachine", arn.clone())
            .await
            .starts_with("MissingRequiredParameter: Either the")
    );
    let update = json!({"stateMachineArn": MACHINE, "definition": wait().to_string()});
    let updated = api.ok("UpdateStateMachine", update).await;
    let described = api.ok("DescribeStateMachine", arn).await;
    assert_eq!(described["revisionId"], updated["revisionId"]);
    assert_eq!(described["definition"], json!(wait().to_string()));
    let tags = api.ok("ListTagsForResource", json!({"resourceArn": MACHINE})).await;
    assert_eq!(tags, json!({"tags": [{"key": "k", "value": "v"}]}));
    api.ok(
        "UntagResource",
        json!({"resourceArn": MACHINE, "tagKeys": ["k", "none"]}),
    )
    .await;
    let tags = api.ok("ListTagsForResource", json!({"resourceArn": MACHINE})).await;
    assert_eq!(tags, json!({"tags": []}));
}

#[tokio::test]
async fn a_definition_is_refused_in_one_line_and_checked_in_many() {
    let api = Api::open().await;
    let unknown = json!({"StartAt": "T", "States": {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true}}});
    let told = "The resource provided arn:aws:states:::sqs:sendMessage is not recognized. The value is not a valid \
                resource ARN, or the resource is not available in this region.";
    assert_eq!(
        api.refused("CreateStateMachine", machine(&unknown)).await,
        format!(
            "InvalidDefinition: Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: {told} at \
             /States/T/Resource'"
        )
    );
    let checked = api
        .ok(
            "ValidateStateMachineDefinition",
            json!({"definition": unknown.to_string()}),
        )
        .await;
    assert_eq!(checked["result"], "FAIL");
    assert_eq!(checked["diagnostics"][0]["location"], "/States/T/Resource");
    assert_eq!(checked["diagnostics"][0]["message"], told);
    let checked = api
        .ok(
            "ValidateStateMachineDefinition",
            json!({"definition": pass().to_string()}),
        )
        .await;
    assert_eq!(checked, json!({"result": "OK", "diagnostics": [], "truncated": false}));
}

#[tokio::test]
async fn a_start_is_refused_in_awss_order() {
    let api = Api::open().await;
    let none = "arn:aws:states:us-west-2:000000000000:stateMachine:none";
    let both = json!({"stateMachineArn": none, "name": "n".repeat(81), "input": "{"});
    assert!(
        api.refused("StartExecution", both)
            .await
            .starts_with("ValidationException: 1 validation error")
    );
    let name = json!({"stateMachineArn": none, "name": "a b", "input": "{"});
    assert!(
        api.refused("StartExecution", name)
            .await
            .starts_with("StateMachineDoesNotExist: ")
    );
    api.create(pass()).await;
    let name = json!({"stateMachineArn": MACHINE, "name": "a b", "input": "{"});
    assert_eq!(
        api.refused("StartExecution", name).await,
        "InvalidName: Invalid Name: 'a b'"
    );
    let input = json!({"stateMachineArn": MACHINE, "input": "{"});
    assert!(
        api.refused("StartExecution", input)
            .await
            .starts_with("InvalidExecutionInput: ")
    );
    assert!(
        api.refused("StartSyncExecution", json!({"stateMachineArn": MACHINE}))
            .await
            .starts_with("StateMachineTypeNotSupported")
    );
}

#[tokio::test]
async fn a_start_again_finds_what_runs_and_not_what_has_closed() {
    let api = Api::open().await;
    api.create(wait()).await;
    let start = json!({"stateMachineArn": MACHINE, "name": "n", "input": "{\"a\": 1}"});
    let started = api.ok("StartExecution", start.clone()).await;
    assert_eq!(api.ok("StartExecution", start.clone()).await, started);
    let other = json!({"stateMachineArn": MACHINE, "name": "n", "input": "{}"});
    let arn = started["executionArn"].as_str().expect("an ARN");
    let taken = format!("ExecutionAlreadyExists: Execution Already Exists: '{arn}'");
    assert_eq!(api.refused("StartExecution", other).await, taken);
    api.ok(
        "StopExecution",
        json!({"executionArn": arn, "error": "E", "cause": "C"}),
    )
    .await;
    let described = api.ok("DescribeExecution", json!({"executionArn": arn})).await;
    assert_eq!(
        (&described["status"], &described["error"]),
        (&json!("ABORTED"), &json!("E"))
    );
    assert_eq!(api.refused("StartExecution", start).await, taken);
}

#[tokio::test]
async fn executions_are_listed_newest_first_and_page_by_page() {
    let api = Api::open().await;
    api.create(pass()).await;
    for name in ["a", "b", "c"] {
        api.run(name).await;
    }
    let list = |token: Value| json!({"stateMachineArn": MACHINE, "maxResults": 2, "nextToken": token});
    let first = api.ok("ListExecutions", list(Value::Null)).await;
    let names = |page: &Value| -> Vec<String> {
        let executions = page["executions"].as_array().expect("a list").iter();
        executions
            .map(|execution| execution["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(names(&first), ["c", "b"]);
    let second = api.ok("ListExecutions", list(first["nextToken"].clone())).await;
    assert_eq!(names(&second), ["a"]);
    assert_eq!(second.get("nextToken"), None);
    let other = json!({"stateMachineArn": MACHINE, "statusFilter": "FAILED", "nextToken": first["nextToken"]});
    assert_eq!(
        api.refused("ListExecutions", other).await,
        "InvalidToken: Invalid Token: 'Invalid token'"
    );
    let failed = json!({"stateMachineArn": MACHINE, "statusFilter": "FAILED"});
    assert_eq!(api.ok("ListExecutions", failed).await, json!({"executions": []}));
}

#[tokio::test]
async fn a_history_is_paged_both_ways() {
    let api = Api::open().await;
    api.create(pass()).await;
    let arn = api.run("a").await;
    for (reverse, expected) in [(false, [1, 2, 3, 4]), (true, [4, 3, 2, 1])] {
        let mut ids = Vec::new();
        let mut token = Value::Null;
        loop {
            let params = json!({"executionArn": arn, "maxResults": 3, "reverseOrder": reverse, "nextToken": token,
                "includeExecutionData": false});
            let page = api.ok("GetExecutionHistory", params).await;
            ids.extend(
                page["events"]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|event| event["id"].as_i64()),
            );
            match page.get("nextToken") {
                Some(next) => token = next.clone(),
                None => break,
            }
        }
        assert_eq!(ids, expected.map(Some));
    }
}

#[tokio::test]
async fn only_what_did_not_succeed_can_be_redriven() {
    let api = Api::open().await;
    api.create(pass()).await;
    let arn = api.run("a").await;
    let told = "Execution is SUCCEEDED and cannot be redriven";
    let described = api.ok("DescribeExecution", json!({"executionArn": arn})).await;
    assert_eq!(described["redriveStatusReason"], told);
    assert_eq!(
        api.refused("RedriveExecution", json!({"executionArn": arn})).await,
        format!("ExecutionNotRedrivable: {told}")
    );
    let update = json!({"stateMachineArn": MACHINE, "definition": fail().to_string()});
    api.ok("UpdateStateMachine", update).await;
    let arn = api.run("b").await;
    let described = api.ok("DescribeExecution", json!({"executionArn": arn})).await;
    assert_eq!(described["redriveStatus"], "REDRIVABLE");
    assert_eq!((&described["error"], &described["cause"]), (&json!("E"), &json!("why")));
    api.ok("RedriveExecution", json!({"executionArn": arn, "clientToken": "once"}))
        .await;
    api.states.wait_closed(&arn).await.expect("it closes");
    let described = api.ok("DescribeExecution", json!({"executionArn": arn})).await;
    assert_eq!(described["redriveCount"], 1);
}

#[tokio::test]
async fn an_execution_shows_the_machine_it_started_with() {
    let api = Api::open().await;
    api.create(wait()).await;
    let arn = api.start("a").await;
    api.ok(
        "UpdateStateMachine",
        json!({"stateMachineArn": MACHINE, "definition": pass().to_string()}),
    )
    .await;
    let described = api
        .ok("DescribeStateMachineForExecution", json!({"executionArn": arn}))
        .await;
    assert_eq!(described["definition"], json!(wait().to_string()));
    assert_eq!(described.get("status"), None);
}

#[tokio::test]
async fn express_workflows_answer_at_once_and_are_not_kept() {
    let api = Api::open().await;
    let mut express = machine(&pass());
    express["type"] = json!("EXPRESS");
    api.ok("CreateStateMachine", express).await;
    let run = json!({"stateMachineArn": MACHINE, "name": "n", "input": "{\"a\": 1}"});
    let answer = api.ok("StartSyncExecution", run).await;
    assert_eq!(
        (&answer["status"], &answer["output"]),
        (&json!("SUCCEEDED"), &json!("{\"a\": 1}"))
    );
    assert_eq!(
        answer["billingDetails"],
        json!({"billedMemoryUsedInMB": 64, "billedDurationInMilliseconds": 100})
    );
    let arn = json!({"executionArn": answer["executionArn"]});
    assert!(
        api.refused("DescribeExecution", arn)
            .await
            .starts_with("StateMachineTypeNotSupported")
    );
    let list = json!({"stateMachineArn": MACHINE});
    assert!(
        api.refused("ListExecutions", list)
            .await
            .starts_with("StateMachineTypeNotSupported")
    );
}

#[tokio::test]
async fn a_callback_needs_a_token_that_was_given() {
    let api = Api::open().await;
    for (operation, parameters) in [
        ("SendTaskSuccess", json!({"taskToken": "made up", "output": "{}"})),
        ("SendTaskFailure", json!({"taskToken": "made up"})),
        ("SendTaskHeartbeat", json!({"taskToken": "made up"})),
    ] {
        assert_eq!(
            api.refused(operation, parameters).await,
            "InvalidToken: Invalid Token: 'Invalid token'"
        );
    }
    let output = json!({"taskToken": "t", "output": "no JSON"});
    assert!(
        api.refused("SendTaskSuccess", output)
            .await
            .starts_with("InvalidOutput: ")
    );
}

#[tokio::test]
async fn a_deleted_machine_is_gone() {
    let api = Api::open().await;
    api.create(pass()).await;
    assert_eq!(
        api.ok("ListStateMachines", json!({})).await["stateMachines"][0]["name"],
        "m"
    );
    let arn = json!({"stateMachineArn": MACHINE});
    api.ok("DeleteStateMachine", arn.clone()).await;
    assert_eq!(
        api.refused("DescribeStateMachine", arn).await,
        format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{MACHINE}'")
    );
    assert_eq!(
        api.ok("ListStateMachines", json!({})).await,
        json!({"stateMachines": []})
    );
}

#[tokio::test]
async fn an_unknown_operation_is_awss_unknown_operation() {
    let api = Api::open().await;
    let answer = api.states.handle("MakeCoffee", Bytes::new()).await;
    assert_eq!(answer, Answer::unknown_operation(JSON_1_0));
}

#[tokio::test]
async fn a_test_of_a_state_ends_after_five_minutes() {
    let start = DateTime::from_timestamp(1_700_000_000, 0).expect("a moment");
    let clock = Clock::still(start);
    let api = Api::open_at(clock.clone()).await;
    let task = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f"},
        "Retry": [{"ErrorEquals": ["States.ALL"]}], "End": true});
    let wait = json!({"Type": "Wait", "Seconds": 100_000, "End": true});
    for state in [task, wait] {
        let test = json!({"definition": state.to_string(), "roleArn": ROLE});
        let mut answer = std::pin::pin!(api.call("TestState", test));
        let answer = loop {
            tokio::select! {
                answer = &mut answer => break answer,
                () = tokio::task::yield_now() => clock.jump_to(clock.now() + chrono::TimeDelta::seconds(100)),
            }
        };
        assert_eq!(answer, Ok(json!({"status": "FAILED", "error": "States.Timeout"})));
    }
}
