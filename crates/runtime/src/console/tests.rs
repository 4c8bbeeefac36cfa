//! What the console answers, asked as a page asks.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use asl::{Failure as Cause, Json, Status};
use axum::http::request::Parts;
use http_body_util::BodyExt;

use super::*;
use crate::clock::Clock;
use crate::driver::{
    Config, NewStateMachine, PublishFuture, StartExecution, StatusChange, StatusEvents, TaskCall, TaskFuture,
    TaskOutcome, Tasks,
};
use crate::history::{DataDir, MachineType};

const HOST: &str = "127.0.0.1:3000";

/// Fails the first calls, waits for whoever has a token, and else echoes.
#[derive(Default)]
struct World {
    failures: AtomicUsize,
}

impl Tasks for World {
    fn perform(&self, call: TaskCall) -> TaskFuture<'_> {
        Box::pin(async move {
            if call.schedule.resource.waits_for_token() {
                return TaskOutcome::Submitted(json!({}).into());
            }
            let left = self
                .failures
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            match left {
                Ok(_) => TaskOutcome::Failed(Cause::new("Store.Throttled", "too many writes")),
                Err(_) => TaskOutcome::Succeeded(call.schedule.parameters.clone()),
            }
        })
    }
}

impl StatusEvents for World {
    fn wants(&self, _: &str, _: Status) -> bool {
        false
    }

    fn publish(&self, _: StatusChange) -> PublishFuture<'_> {
        Box::pin(async { Ok(()) })
    }
}

struct Page {
    console: Arc<Console>,
    world: Arc<World>,
    _data: tempfile::TempDir,
}

impl Page {
    async fn open() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let world = Arc::new(World::default());
        let subject = asl::query::Expression::parse("$.key").expect("a path");
        let config = Config {
            data_dir: DataDir::take(data.path()).expect("a directory of its own"),
            region: "us-west-2".into(),
            clock: Clock::system(),
            tasks: world.clone(),
            status_events: world.clone(),
            subjects: BTreeMap::from([(
                "arn:aws:states:us-west-2:000000000000:stateMachine:m".to_owned(),
                vec![subject],
            )]),
        };
        let engine = Engine::open(config).await.expect("an engine");
        let mut console = Console::new(engine, &[], &HttpApi::default(), String::new());
        console.links.insert("m".into(), "/tickets/{}".into());
        Self {
            console: Arc::new(console),
            world,
            _data: data,
        }
    }

    async fn machine(&self, definition: Value) {
        let new = NewStateMachine {
            name: "m".into(),
            machine_type: MachineType::Standard,
            definition: definition.to_string().into(),
            role_arn: "arn:aws:iam::000000000000:role/r".into(),
            settings: Value::Null,
        };
        self.console.engine.create_state_machine(new).await.expect("a machine");
    }

    async fn start(&self, name: &str, input: Value) {
        let start = StartExecution {
            state_machine_arn: "arn:aws:states:us-west-2:000000000000:stateMachine:m".into(),
            name: Some(name.into()),
            input: Json::from(input),
            parent: None,
        };
        self.console.engine.start_execution(start).await.expect("a start");
    }

    async fn closed(&self, name: &str) {
        let arn = self.console.engine.execution_arn("m", name);
        self.console.engine.wait_closed(&arn).await.expect("an end");
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let mut request = axum::http::Request::builder()
            .method(method)
            .uri(format!("/console/api/{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, body): (Parts, _) = request
            .body(Body::from(body.to_owned()))
            .expect("a request")
            .into_parts();
        let response = match self.console.clone().try_answer(parts, body, None).await {
            Ok(response) => response,
            Err(failure) => failure.response(),
        };
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, &[], "").await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// The first attempt of a state ended with this error.
    async fn assert_failed_by(&self, state: &str, error: &str, cause: &str) {
        let told = self.get(&format!("executions/m/one/state?{state}")).await;
        let attempt = &told["attempts"][0];
        assert_eq!(
            (&attempt["error"], &attempt["cause"]),
            (&json!(error), &json!(cause)),
            "{told}"
        );
    }

    /// The answer as soon as it is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut changed = self.console.engine.watch();
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            changed.changed().await.expect("the engine lives");
        }
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let headers = [("host", HOST), ("content-type", "application/json")];
        self.ask("POST", path, &headers, &body.to_string()).await
    }

    fn state<'a>(view: &'a Value, name: &str) -> &'a Value {
        let states = view["states"].as_array().expect("states");
        states
            .iter()
            .find(|state| state["state"] == name)
            .unwrap_or(&Value::Null)
    }
}

fn names(list: &Value) -> Vec<&str> {
    let rows = list["executions"].as_array().expect("a list");
    rows.iter().filter_map(|row| row["name"].as_str()).collect()
}

fn task(fields: Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": "arn:aws:lambda:us-west-2:000000000000:function:f"});
    for (name, value) in fields.as_object().expect("fields") {
        state[name] = value.clone();
    }
    state
}

#[tokio::test]
async fn a_failed_state_shows_its_attempts_and_a_redrive_becomes_a_second_run() {
    let page = Page::open().await;
    let retry = json!([{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]);
    let store = task(json!({"Retry": retry, "Next": "Done"}));
    page.machine(json!({"StartAt": "Prepare", "States": {
        "Prepare": {"Type": "Pass", "Assign": {"who": "me"}, "Next": "Store"}, "Store": store,
        "Done": {"Type": "Succeed"}}}))
        .await;
    page.world.failures.store(2, Ordering::SeqCst);
    page.start("one", json!({"key": "OPS-1"})).await;
    page.closed("one").await;

    let view = page.get("executions/m/one").await;
    assert_eq!(
        (&view["status"], &view["error"]),
        (&json!("failed"), &json!("Store.Throttled"))
    );
    assert_eq!(view["subject"], json!({"text": "OPS-1", "link": "/tickets/OPS-1"}));
    assert_eq!(view["failure"]["state"], "Store");
    assert_eq!(view["failure"]["tries"], 2);
    assert_eq!(
        view["redrive"],
        json!({"refused": null, "kept": 1, "items": [], "again": ["Store"]})
    );
    let store = Page::state(&view, "Store");
    assert_eq!((&store["status"], &store["tries"]), (&json!("failed"), &json!(2)));
    let bars: Vec<&str> = store["bars"]
        .as_array()
        .expect("bars")
        .iter()
        .filter_map(|bar| bar["status"].as_str())
        .collect();
    assert_eq!(bars, ["failed", "waiting", "failed"]);
    assert_eq!(Page::state(&view, "Done"), &Value::Null, "it was not reached");

    let inspected = page.get("executions/m/one/state?name=Store").await;
    assert_eq!(inspected["attempts"][1]["cause"], "too many writes");
    assert_eq!(inspected["input"]["text"], "{\n  \"key\": \"OPS-1\"\n}");
    assert_eq!(
        (&inspected["output"], &inspected["variables"][0]["name"]),
        (&Value::Null, &json!("who"))
    );
    let failed = page.get("executions/m/one/events?failed=true&state=Store").await;
    assert_eq!(failed["total"], 2);

    let (status, answer) = page.post("executions/m/one/redrive", &json!({"token": "t"})).await;
    assert_eq!(status, 200, "{answer}");
    page.closed("one").await;
    let view = page.get("executions/m/one").await;
    assert_eq!(
        (&view["status"], view["runs"].as_array().map(Vec::len)),
        (&json!("succeeded"), Some(2))
    );
    let store = Page::state(&view, "Store");
    assert_eq!((&store["status"], &store["tries"]), (&json!("succeeded"), &json!(3)));
    let runs: BTreeSet<u64> = store["bars"]
        .as_array()
        .expect("bars")
        .iter()
        .filter_map(|bar| bar["run"].as_u64())
        .collect();
    assert_eq!(runs, BTreeSet::from([0, 1]));
    let (status, answer) = page.post("executions/m/one/redrive", &json!({"token": "u"})).await;
    assert_eq!(
        (status, &answer["message"]),
        (409, &json!("Execution is SUCCEEDED and cannot be redriven."))
    );
}

#[tokio::test]
async fn a_map_shows_the_item_that_failed_and_any_other_that_is_asked_for() {
    let page = Page::open().await;
    page.machine(json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "End": true, "ItemProcessor": {
        "StartAt": "Bad?", "States": {
            "Bad?": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 2, "Next": "Break"}], "Default": "Rest"},
            "Break": {"Type": "Fail", "Error": "Broken"}, "Rest": {"Type": "Wait", "Seconds": 60, "End": true}}}}}}))
        .await;
    page.start("one", json!([0, 1, 2, 3])).await;
    page.closed("one").await;
    let view = page.get("executions/m/one").await;
    let items = &Page::state(&view, "Each")["items"];
    assert_eq!(
        (&items["total"], &items["failed"], &items["aborted"], &items["shown"]),
        (&json!(4), &json!(1), &json!(3), &json!(2))
    );
    assert_eq!(Page::state(&view, "Break")["status"], "failed");
    assert_eq!(
        (Page::state(&view, "Rest"), &view["failure"]["state"]),
        (&Value::Null, &json!("Break"))
    );
    let other = page.get("executions/m/one?items=Each:1").await;
    assert_eq!(
        (
            Page::state(&other, "Rest")["status"].as_str(),
            Page::state(&other, "Break")
        ),
        (Some("aborted"), &Value::Null)
    );
    let ways = other["ways"].as_array().expect("ways");
    assert!(ways.contains(&json!(["Bad?", "Rest", false])) && !ways.contains(&json!(["Bad?", "Break", false])));
    let beyond = page.get("executions/m/one?items=Each:99,Other:x").await;
    assert_eq!(Page::state(&beyond, "Bad?"), &Value::Null, "there is no such item");
    // What failed and what a redrive does is the same whatever is looked at.
    let failure = json!({"state": "Break", "items": ["Each:2"], "tries": 1, "error": "Broken", "cause": null});
    let redrive = json!({"refused": null, "kept": 0, "again": ["Break", "Rest"],
        "items": [{"state": "Each", "total": 4, "kept": 0}]});
    for view in [&view, &other, &beyond] {
        assert_eq!((&view["failure"], &view["redrive"]), (&failure, &redrive));
    }
}

#[tokio::test]
async fn items_that_were_done_are_kept_and_those_that_were_not_run_again() {
    let page = Page::open().await;
    let failing = json!({"StartAt": "Bad?", "States": {
        "Bad?": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 2, "Next": "Break"}], "Default": "Good"},
        "Break": {"Type": "Fail", "Error": "Broken", "Cause": "on its way"}, "Good": {"Type": "Succeed"}}});
    let each = json!({"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": failing, "Next": "Done"});
    page.machine(json!({"StartAt": "First", "States": {
        "First": {"Type": "Pass", "Next": "Each"}, "Each": each, "Done": {"Type": "Succeed"}}}))
        .await;
    page.start("one", json!([0, 1, 2, 3])).await;
    page.closed("one").await;
    let view = page.get("executions/m/one?items=Each:0").await;
    assert_eq!(
        view["redrive"],
        json!({"refused": null, "kept": 1, "again": ["Break"], "items": [{"state": "Each", "total": 4, "kept": 2}]})
    );
    // The Map fails by the error of the state within.
    for state in ["name=Break&items=Each:2", "name=Each"] {
        page.assert_failed_by(state, "Broken", "on its way").await;
    }
}

#[tokio::test]
async fn items_that_others_failure_ends_have_not_failed() {
    let page = Page::open().await;
    let failing = json!({"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "Boom"}}});
    page.machine(
        json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemProcessor": failing, "End": true}}}),
    )
    .await;
    page.start("one", json!([0, 1, 2])).await;
    page.closed("one").await;
    let items = &Page::state(&page.get("executions/m/one").await, "Each")["items"].clone();
    assert_eq!((&items["failed"], &items["aborted"]), (&json!(1), &json!(2)), "{items}");
}

#[tokio::test]
async fn a_map_run_fails_by_its_threshold_and_its_items_by_their_own_errors() {
    let page = Page::open().await;
    let failing = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Bad", "States": {"Bad": {"Type": "Fail", "Error": "Boom", "Cause": "it broke"}}});
    page.machine(
        json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemProcessor": failing, "End": true}}}),
    )
    .await;
    page.start("one", json!([0])).await;
    page.closed("one").await;
    let view = page.get("executions/m/one").await;
    assert_eq!(
        (&view["failure"]["state"], &view["failure"]["error"]),
        (&json!("Each"), &json!("States.ExceedToleratedFailureThreshold"))
    );
    assert_eq!(Page::state(&view, "Bad")["error"], "Boom");
    let bad = page.get("executions/m/one/state?name=Bad").await;
    assert_eq!(bad["attempts"][0]["cause"], "it broke");
    let listed = |state: &str| Page::state(&view, state)["in_history"].clone();
    assert_eq!((listed("Each"), listed("Bad")), (json!(true), json!(false)));
}

#[tokio::test]
async fn what_a_container_is_retried_with_is_an_attempt_of_each_state_within() {
    let page = Page::open().await;
    let branch = json!({"StartAt": "Before", "States": {
        "Before": {"Type": "Pass", "Next": "Break"}, "Break": {"Type": "Fail", "Error": "Broken"}}});
    let retry = json!([{"ErrorEquals": ["Broken"], "IntervalSeconds": 1, "MaxAttempts": 1}]);
    page.machine(json!({"StartAt": "Both", "States": {
        "Both": {"Type": "Parallel", "Branches": [branch], "Retry": retry, "End": true}}}))
        .await;
    page.start("one", json!({})).await;
    page.closed("one").await;
    let view = page.get("executions/m/one").await;
    let tries = |state: &str| Page::state(&view, state)["tries"].clone();
    assert_eq!(
        (tries("Both"), tries("Before"), tries("Break")),
        (json!(2), json!(2), json!(2))
    );
    assert_eq!(
        (&view["failure"]["state"], &view["failure"]["tries"]),
        (&json!("Break"), &json!(2))
    );
    assert_eq!(view["redrive"]["kept"], 1, "of what is begun anew the last counts");

    let (status, _) = page.post("executions/m/one/redrive", &json!({"token": "t"})).await;
    assert_eq!(status, 200);
    let view = page
        .until("executions/m/one", |view| {
            Page::state(view, "Both")["status"] == "retrying"
        })
        .await;
    let both = Page::state(&view, "Both");
    let bars = both["bars"].as_array().expect("bars");
    let second = bars.iter().filter(|bar| bar["run"] == 1);
    let second: Vec<&str> = second.filter_map(|bar| bar["status"].as_str()).collect();
    assert_eq!(second, ["failed", "waiting"]);
}

#[tokio::test]
async fn the_state_that_an_execution_ended_in_is_the_innermost_however_it_ended() {
    let page = Page::open().await;
    let item = json!({"StartAt": "Get", "States": {
        "Get": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 0, "Next": "Wait"}], "Default": "Path"},
        "Wait": {"Type": "Wait", "Seconds": 60, "End": true},
        "Path": {"Type": "Pass", "Parameters": {"x.$": "$.nope"}, "End": true}}});
    let each = json!({"StartAt": "Each", "States": {"Each": {
        "Type": "Map", "ItemsPath": "$.items", "ItemProcessor": item, "End": true}}});
    page.machine(json!({"StartAt": "Both", "TimeoutSeconds": 2, "States": {
        "Both": {"Type": "Parallel", "Branches": [each], "End": true}}}))
        .await;
    for (name, items, state) in [("wrong", json!([0, 1]), "Path"), ("late", json!([0]), "Wait")] {
        page.start(name, json!({ "items": items })).await;
        page.closed(name).await;
        let view = page.get(&format!("executions/m/{name}")).await;
        let last = items.as_array().map_or(0, Vec::len) - 1;
        assert_eq!(
            (
                &view["failure"]["state"],
                &view["failure"]["items"],
                &view["redrive"]["again"][0]
            ),
            (&json!(state), &json!([format!("Each:{last}")]), &json!(state)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn nothing_within_what_waits_to_be_retried_is_kept() {
    let page = Page::open().await;
    let branch = |name: &str, state: Value| json!({"StartAt": name, "States": {(name): state}});
    let branches = [
        branch("Good", json!({"Type": "Pass", "End": true})),
        branch("Bad", json!({"Type": "Fail", "Error": "Broken"})),
    ];
    let retry = json!([{"ErrorEquals": ["Broken"], "IntervalSeconds": 600, "MaxAttempts": 1}]);
    page.machine(json!({"StartAt": "Both", "States": {
        "Both": {"Type": "Parallel", "Branches": branches, "Retry": retry, "End": true}}}))
        .await;
    page.start("one", json!({})).await;
    page.until("executions/m/one", |view| {
        Page::state(view, "Both")["status"] == "retrying"
    })
    .await;
    let (status, _) = page.post("executions/m/one/stop", &json!({})).await;
    assert_eq!(status, 200);
    let view = page.get("executions/m/one").await;
    assert_eq!(
        (
            &view["redrive"]["kept"],
            &view["redrive"]["again"],
            &view["failure"]["state"]
        ),
        (&json!(0), &json!(["Both"]), &json!("Both"))
    );
    assert_eq!(
        Page::state(&view, "Bad")["error"],
        "Broken",
        "what was tried is still shown"
    );
}

#[tokio::test]
async fn what_is_caught_outside_is_told_where_it_happened() {
    let page = Page::open().await;
    let branch =
        json!({"StartAt": "Break", "States": {"Break": {"Type": "Fail", "Error": "Broken", "Cause": "in two"}}});
    let catch = json!([{"ErrorEquals": ["Broken"], "Next": "After"}]);
    page.machine(json!({"StartAt": "Both", "States": {
        "Both": {"Type": "Parallel", "Branches": [branch], "Catch": catch, "End": true},
        "After": {"Type": "Pass", "Next": "Done"},
        "Done": {"Type": "Succeed"}}}))
        .await;
    page.start("one", json!({})).await;
    page.closed("one").await;
    for state in ["name=Break", "name=Both"] {
        page.assert_failed_by(state, "Broken", "in two").await;
    }
}

#[tokio::test]
async fn a_task_waits_for_a_worker_and_runs_once_one_has_it() {
    let page = Page::open().await;
    let engine = &page.console.engine;
    let activity = engine
        .create_activity("work", BTreeMap::new())
        .await
        .expect("an activity");
    page.machine(json!({"StartAt": "Work", "States": {"Work": {
        "Type": "Task", "Resource": activity.arn, "HeartbeatSeconds": 30, "TimeoutSeconds": 600, "End": true}}}))
        .await;
    page.start("one", json!({})).await;
    let view = page
        .until("executions/m/one", |view| {
            Page::state(view, "Work")["waits_since"].is_number()
        })
        .await;
    let queued = Page::state(&view, "Work");
    assert_eq!(
        (
            &queued["waits_for_worker"],
            &queued["bars"][0]["status"],
            &queued["heartbeat_due"]
        ),
        (&json!(true), &json!("waiting"), &Value::Null)
    );
    let task = engine.activity_task(&activity.arn, None).await.expect("an answer");
    assert!(task.is_some());
    let view = page.get("executions/m/one").await;
    let work = Page::state(&view, "Work");
    assert_eq!(
        (&work["status"], &work["waits_since"]),
        (&json!("running"), &Value::Null)
    );
    assert_eq!(
        work["bars"]
            .as_array()
            .and_then(|bars| bars.last())
            .map(|bar| &bar["status"]),
        Some(&json!("running"))
    );
    assert!(work["heartbeat_due"].is_number(), "{work}");
}

#[tokio::test]
async fn a_caught_error_and_a_callback_say_what_they_are() {
    let page = Page::open().await;
    let ask = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "TimeoutSeconds": 600,
        "Parameters": {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}}, "End": true});
    let first = task(json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Ask"}], "Next": "Fine"}));
    page.machine(json!({"StartAt": "Try", "States": {"Try": first, "Ask": ask, "Fine": {"Type": "Succeed"}}}))
        .await;
    page.world.failures.store(1, Ordering::SeqCst);
    page.start("one", json!({})).await;
    let view = page
        .until("executions/m/one", |view| {
            Page::state(view, "Ask")["waits_since"].is_number()
        })
        .await;
    assert_eq!(Page::state(&view, "Try")["status"], "caught");
    assert!(
        view["ways"]
            .as_array()
            .expect("ways")
            .contains(&json!(["Try", "Ask", true]))
    );
    let asked = page.get("executions/m/one/state?name=Ask").await;
    assert!(asked["attempts"][0]["deadline"].is_number() && asked["attempts"][0]["token"] == true);
    let (status, _) = page.post("executions/m/one/stop", &json!({"cause": "enough"})).await;
    assert_eq!(status, 200);
    let view = page.get("executions/m/one").await;
    assert_eq!(
        (&view["status"], &view["failure"]["cause"], &view["failure"]["state"]),
        (&json!("aborted"), &json!("enough"), &json!("Ask"))
    );
    assert_eq!(Page::state(&view, "Ask")["status"], "aborted");
}

#[tokio::test]
async fn lists_are_filtered_paged_and_counted() {
    let page = Page::open().await;
    let stop = json!({"Type": "Choice", "Choices": [{"Variable": "$.bad", "IsPresent": true, "Next": "Bad"}], "Default": "Good"});
    page.machine(json!({"StartAt": "Stop?", "States": {"Stop?": stop, "Bad": {"Type": "Fail", "Error": "Odd%Name"}, "Good": {"Type": "Succeed"}}}))
        .await;
    assert_eq!(
        page.get("summary?from=-7d").await["counts"]["failed"],
        0,
        "there are none at all yet"
    );
    for number in 0..60 {
        let input = if number % 10 == 0 {
            json!({"bad": 1, "key": format!("K-{number}")})
        } else {
            json!({})
        };
        page.start(&format!("run_{number}"), input).await;
    }
    let first = page.get("executions").await;
    assert_eq!((names(&first).len(), names(&first)[0]), (50, "run_59"));
    let second = page.get(&format!("executions?before={}", first["next"])).await;
    assert_eq!((names(&second).len(), &second["next"]), (10, &Value::Null));
    let failed = page.get("executions?status=failed&from=-1h").await;
    assert_eq!(
        names(&failed),
        ["run_50", "run_40", "run_30", "run_20", "run_10", "run_0"]
    );
    assert_eq!(
        (&failed["executions"][0]["state"], &failed["executions"][0]["error"]),
        (&json!("Bad"), &json!("Odd%Name"))
    );
    assert_eq!(
        names(&page.get("executions?q=run_1").await).len(),
        11,
        "an underscore stands for itself"
    );
    assert_eq!(names(&page.get("executions?q=K-50").await), ["run_50"], "a subject");
    assert_eq!(
        names(&page.get("executions?q=d%25n").await).len(),
        6,
        "a part of an error's name"
    );
    assert_eq!(names(&page.get("executions?q=d%25x").await).len(), 0);
    assert_eq!(names(&page.get("executions?to=-1h").await).len(), 0);
    assert_eq!(names(&page.get("executions?machine=other").await).len(), 0);
    let summary = page.get("summary").await;
    assert_eq!(
        (&summary["counts"]["failed"], &summary["lately"]["succeeded"]),
        (&json!(6), &json!(54))
    );
    let earlier = page.get("summary?to=-1h").await;
    assert_eq!(
        (&earlier["counts"]["failed"], &earlier["lately"]["failed"]),
        (&json!(0), &json!(6))
    );
    for wrong in [
        "executions?status=odd",
        "executions?from=yesterday",
        "executions?before=x",
    ] {
        assert_eq!(page.ask("GET", wrong, &[], "").await.0, 422, "{wrong}");
    }
    assert_eq!(page.ask("GET", "executions/m/none", &[], "").await.0, 404);
    let many =
        json!({"token": "t", "executions": [{"machine": "m", "name": "run_0"}, {"machine": "m", "name": "run_1"}]});
    let (_, answer) = page.post("redrive", &many).await;
    assert_eq!(
        (&answer["redriven"], &answer["refused"][0]["name"]),
        (&json!(1), &json!("run_1"))
    );
}

#[tokio::test]
async fn events_come_a_page_at_a_time_in_either_order() {
    let page = Page::open().await;
    let states: serde_json::Map<String, Value> = (0..120)
        .map(|number| {
            (
                format!("S{number}"),
                json!({"Type": "Pass", "Next": format!("S{}", number + 1)}),
            )
        })
        .chain([("S120".to_owned(), json!({"Type": "Succeed"}))])
        .collect();
    page.machine(json!({"StartAt": "S0", "States": states})).await;
    page.start("one", json!({})).await;
    page.closed("one").await;
    let ids = |page: &Value| -> Vec<u64> {
        page["events"]
            .as_array()
            .expect("events")
            .iter()
            .filter_map(|event| event["id"].as_u64())
            .collect()
    };
    let first = page.get("executions/m/one/events").await;
    assert_eq!((ids(&first), &first["total"]), ((1..=100).collect(), &json!(244)));
    let last = page.get("executions/m/one/events?from=200").await;
    assert_eq!(ids(&last), (201..=244).collect::<Vec<_>>());
    let newest = page.get("executions/m/one/events?reverse=true").await;
    assert_eq!(ids(&newest), (145..=244).rev().collect::<Vec<_>>());
    let of_one = page.get("executions/m/one/events?state=S7").await;
    assert_eq!(ids(&of_one), [16, 17]);
    let export = page.get("executions/m/one/export").await;
    assert_eq!(
        (export["events"].as_array().map(Vec::len), &export["status"]),
        (Some(244), &json!("SUCCEEDED"))
    );
    let graph = page.get("executions/m/one/graph").await;
    let nodes = graph["nodes"].as_array().expect("nodes");
    assert!(nodes.len() <= 60, "{} nodes", nodes.len());
    let folded = nodes.iter().filter_map(|node| node["folded"].as_array());
    assert_eq!(
        folded.map(|folded| folded.len().max(1)).sum::<usize>(),
        121,
        "a large graph is folded and has every state all the same"
    );
    let shown = |graph: &Value, name: &str| {
        let nodes = graph["nodes"].as_array().expect("nodes");
        nodes
            .iter()
            .any(|node| node["name"] == name && node["folded"] == json!([]))
    };
    assert!(
        shown(&graph, "S120") && !shown(&graph, "S60"),
        "it is open where the execution ended"
    );
    let there = page.get("executions/m/one/graph?state=S60").await;
    assert!(shown(&there, "S60") && !shown(&there, "S120"));
    assert!(shown(&page.get("executions/m/one/graph?open=S60").await, "S60"));
}

#[tokio::test]
async fn a_large_document_is_cut_on_the_page_and_whole_in_the_download() {
    let page = Page::open().await;
    page.machine(json!({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}))
        .await;
    let text = "é".repeat(50_000);
    page.start("one", json!({ "text": text })).await;
    page.closed("one").await;
    let state = page.get("executions/m/one/state?name=S").await;
    let input = &state["input"];
    assert_eq!(
        (
            input["whole"].as_bool(),
            input["text"].as_str().map(|text| text.len() <= 64 << 10)
        ),
        (Some(false), Some(true))
    );
    let whole = page
        .get(&format!(
            "executions/m/one/document?position={}&field=input",
            input["position"]
        ))
        .await;
    assert_eq!(whole["text"], text);
    for wrong in [
        "position=99&field=input",
        "position=1&field=output",
        "position=1&field=variable:x",
    ] {
        assert_eq!(
            page.ask("GET", &format!("executions/m/one/document?{wrong}"), &[], "")
                .await
                .0,
            404,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let page = Page::open().await;
    page.machine(json!({"StartAt": "S", "States": {"S": {"Type": "Wait", "Seconds": 600, "End": true}}}))
        .await;
    page.start("one", json!({})).await;
    let json = ("content-type", "application/json");
    let host = ("host", HOST);
    let refused: &[(&[(&str, &str)], u16)] = &[
        (&[host, json, ("origin", "http://evil.example")], 403),
        (&[host, json, ("origin", "null")], 403),
        (&[host, json, ("origin", "http://127.0.0.1:3001")], 403),
        (&[host, json, ("origin", "http://127.0.0.1:3000.evil.example")], 403),
        (&[host, json, ("sec-fetch-site", "cross-site")], 403),
        (&[host, json, ("sec-fetch-site", "same-site")], 403),
        (
            &[
                host,
                json,
                ("origin", "http://127.0.0.1:3000"),
                ("sec-fetch-site", "cross-site"),
            ],
            403,
        ),
        (&[host, ("content-type", "text/plain")], 415),
        (&[host, ("content-type", "application/x-www-form-urlencoded")], 415),
        (&[host], 415),
    ];
    for path in ["executions/m/one/stop", "executions/m/one/redrive", "redrive"] {
        for (headers, status) in refused {
            assert_eq!(
                page.ask("POST", path, headers, "{}").await.0,
                *status,
                "{path} {headers:?}"
            );
        }
        assert_eq!(
            page.ask("GET", path, &[host, json], "").await.0,
            404,
            "{path} is only posted to"
        );
    }
    assert_eq!(page.get("executions/m/one").await["status"], "running");
    let own = [
        host,
        json,
        ("origin", "http://127.0.0.1:3000"),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(page.ask("POST", "executions/m/one/stop", &own, "{").await.0, 400);
    assert_eq!(page.ask("POST", "executions/m/one/stop", &own, "[1]").await.0, 422);
    assert_eq!(page.ask("DELETE", "executions/m/one", &own, "").await.0, 405);
    assert_eq!(page.ask("POST", "executions/m/one/stop", &own, "{}").await.0, 200);
}

#[tokio::test]
async fn a_stream_tells_of_changes_goes_on_where_it_was_and_ends_with_its_token_or_at_shutdown() {
    let page = Page::open().await;
    page.machine(json!({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}))
        .await;
    let listen = |mark: Option<String>| {
        let mut headers = HeaderMap::new();
        if let Some(mark) = mark {
            headers.insert("last-event-id", HeaderValue::from_str(&mark).expect("a mark"));
        }
        page.console.stream(&headers, None).expect("a place").into_body()
    };
    async fn next(body: &mut Body) -> String {
        let frame = body.frame().await.expect("an event").expect("a frame");
        String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text")
    }
    let mark = |event: &str| {
        event
            .lines()
            .find_map(|line| line.strip_prefix("id: "))
            .expect("an id")
            .to_owned()
    };
    let mut body = listen(None);
    let first = next(&mut body).await;
    assert!(first.contains("everything"), "{first}");
    page.start("one", json!({})).await;
    let second = next(&mut body).await;
    assert!(second.contains(r#"{"changed":[["m","one"]]}"#), "{second}");
    drop(body);
    page.start("two", json!({})).await;
    page.start("three", json!({})).await;
    let mut body = listen(Some(mark(&second)));
    let third = next(&mut body).await;
    assert!(
        third.contains(r#"["m","three"]"#) && third.contains(r#"["m","two"]"#),
        "{third}"
    );
    let brief = page.console.stream(&HeaderMap::new(), Some(Duration::from_millis(50)));
    let mut brief = brief.expect("a place").into_body();
    while let Some(frame) = brief.frame().await {
        drop(frame);
    }
    page.console.end_streams();
    // What was gathered meanwhile may still come; then it ends.
    while let Some(frame) = body.frame().await {
        drop(frame);
    }
    let places = MAX_STREAMS;
    let page = Page::open().await;
    let streams: Vec<Response> = (0..places)
        .map(|_| page.console.stream(&HeaderMap::new(), None).expect("a place"))
        .collect();
    assert_eq!(
        page.console
            .stream(&HeaderMap::new(), None)
            .expect_err("no more")
            .status,
        503
    );
    drop(streams);
}

#[test]
fn names_of_states_may_have_anything_in_them() {
    let query = Query::parse("open=A%252C+B,C%2525,,%E2%86%92&items=One%252C:2,Two:3:4");
    assert_eq!(query.names("open"), ["A, B", "C%", "→"]);
    assert_eq!(query.names("items"), ["One,:2", "Two:3:4"]);
    assert!(query.names("other").is_empty());
}

#[test]
fn what_the_api_may_take_below_the_console_is_left_to_it() {
    let takes = |key: &str| {
        let (method, path) = key.split_once(' ').expect("a method and a path");
        takes_pages(&RouteKey::parse(method, path).expect("a route"))
    };
    for key in [
        "GET /console/{proxy+}",
        "POST /console",
        "ANY /{proxy+}",
        "GET /{any}/x",
    ] {
        assert!(takes(key), "{key}");
    }
    for key in ["GET /", "GET /tickets", "GET /consoles/{proxy+}"] {
        assert!(!takes(key), "{key}");
    }
    assert!(takes_pages(&RouteKey::Default));
}
