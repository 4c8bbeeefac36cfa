//! SIGKILL while a thousand executions are in flight, in every kind of state that waits for something.
//!
//! Timers are due at two moments: one that passes while nothing runs, and one after the restart. What an execution
//! must look like in the end is what one of its machine looks like that nothing disturbed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent, HistoryEventType};
use aws_sdk_sfn::{Client, primitives::DateTimeFormat};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::server::Server;

/// Executions of each machine; there are six.
const EACH: usize = 167;

/// Clients that start, ask and answer at the same time.
const CLIENTS: usize = 16;

/// From the start of the last machines with timers to the first moment at which one is due; by then all of them must
/// have come to their timers and the server be gone.
const AHEAD: Duration = Duration::from_secs(15);

/// Between the two moments at which timers are due; in between the server starts.
const OUTAGE: Duration = Duration::from_secs(5);

/// How late a timer may be while somebody is there: a loaded machine works off hundreds that are due at once.
const TOLERANCE: Duration = Duration::from_secs(5);

/// What Lambda functions are told to do, and what they were asked.
#[derive(Default)]
struct Functions {
    /// Whether `slow` answers by now.
    open: watch::Sender<bool>,
    /// The executions that called `slow`.
    slow: Mutex<BTreeSet<String>>,
    /// How often `flaky` failed.
    failures: Mutex<BTreeSet<String>>,
    /// The token of each execution that waits for its callback.
    tokens: Mutex<BTreeMap<String, String>>,
}

impl Functions {
    async fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let router = Router::new()
            .route("/2015-03-31/functions/{name}/invocations", post(invoke))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }
}

async fn invoke(State(functions): State<Arc<Functions>>, Path(name): Path<String>, event: String) -> Response {
    let event: Value = serde_json::from_str(&event).expect("an event is JSON");
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let execution = text("execution");
    match name.rsplit(':').next() {
        Some("slow") => {
            functions.slow.lock().await.insert(execution);
            let mut open = functions.open.subscribe();
            let opened = open.wait_for(|open| *open).await;
            opened.expect("the test holds the sender");
            json!("slowly").to_string().into_response()
        }
        Some("flaky") if event["attempt"] == 0 => {
            functions.failures.lock().await.insert(execution);
            let failed = [(HeaderName::from_static("x-amz-function-error"), "Unhandled")];
            let payload = json!({"errorType": "Flaky", "errorMessage": "not at first"});
            (failed, payload.to_string()).into_response()
        }
        Some("flaky") => json!({"attempt": event["attempt"]}).to_string().into_response(),
        Some("ask") => {
            functions.tokens.lock().await.insert(execution, text("token"));
            "null".into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn function(name: &str) -> String {
    format!("arn:aws:lambda:us-west-2:000000000000:function:{name}")
}

/// A Task state that calls a function.
fn call(function_name: &str, rest: Value) -> Value {
    let mut state = json!({
        "Type": "Task", "Resource": function(function_name),
        "Parameters": {"execution.$": "$$.Execution.Name", "attempt.$": "$$.State.RetryCount"},
    });
    for (name, value) in rest.as_object().expect("an object") {
        state[name] = value.clone();
    }
    state
}

/// The machines, by name. Those that wait for no timer are started first: they can wait for the others.
fn machines() -> [(&'static str, Value); 6] {
    let hold = json!({"Type": "Wait", "TimestampPath": "$.until", "Next": "After"});
    let after = json!({"Type": "Pass", "End": true});
    [
        (
            "Task",
            json!({"StartAt": "Slow", "States": {
                "Slow": call("slow", json!({"ResultPath": "$.result", "Next": "After"})), "After": after}}),
        ),
        (
            "Callback",
            json!({"StartAt": "Ask", "States": {
                "Ask": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                        "HeartbeatSeconds": 600, "Next": "After",
                        "Parameters": {"FunctionName": function("ask"), "Payload": {
                            "execution.$": "$$.Execution.Name", "token.$": "$$.Task.Token"}}},
                "After": after}}),
        ),
        (
            "Wait",
            json!({"StartAt": "Hold", "States": {"Hold": hold, "After": after}}),
        ),
        (
            "Parallel",
            json!({"StartAt": "Both", "States": {
                "Both": {"Type": "Parallel", "Next": "End", "Branches": [
                    {"StartAt": "Hold", "States": {"Hold": hold, "After": after}},
                    {"StartAt": "Slow", "States": {"Slow": call("slow", json!({"End": true}))}}]},
                "End": {"Type": "Succeed"}}}),
        ),
        (
            "Map",
            json!({"StartAt": "Each", "States": {
                "Each": {"Type": "Map", "MaxConcurrency": 2, "ItemsPath": "$.items", "Next": "End",
                    "ItemSelector": {"number.$": "$$.Map.Item.Value", "until.$": "$.until"},
                    "ItemProcessor": {"StartAt": "Hold", "States": {"Hold": hold, "After": after}}},
                "End": {"Type": "Succeed"}}}),
        ),
        (
            "Retry",
            json!({"StartAt": "Flaky", "States": {
                "Flaky": call("flaky", json!({"ResultPath": "$.result", "Next": "After",
                    "Retry": [{"ErrorEquals": ["Flaky"], "IntervalSeconds": AHEAD.as_secs(), "MaxAttempts": 3}]})),
                "After": after}}),
        ),
    ]
}

/// One execution.
#[derive(Clone)]
struct Started {
    machine: &'static str,
    name: String,
    arn: String,
}

/// Does `work` for everything, some at a time.
async fn for_each<T, R, F>(all: Vec<T>, work: impl Fn(T) -> F) -> Vec<R>
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut done = Vec::with_capacity(all.len());
    for one in all {
        if running.len() == CLIENTS {
            done.extend(running.join_next().await.map(|result| result.expect("no task panics")));
        }
        running.spawn(work(one));
    }
    done.extend(running.join_all().await);
    done
}

async fn start(states: &Client, machine: (&'static str, String), names: Vec<(String, DateTime<Utc>)>) -> Vec<Started> {
    let (machine, machine_arn) = machine;
    for_each(names, |(name, until)| {
        let until = until.to_rfc3339_opts(SecondsFormat::Secs, true);
        let start = states
            .start_execution()
            .state_machine_arn(&machine_arn)
            .name(&name)
            .input(json!({"until": until, "items": [1, 2, 3]}).to_string());
        async move {
            let started = start.send().await.expect("it is started");
            let arn = started.execution_arn().to_owned();
            Started { machine, name, arn }
        }
    })
    .await
}

async fn history(states: &Client, execution: &Started) -> Vec<HistoryEvent> {
    let history = states
        .get_execution_history()
        .execution_arn(&execution.arn)
        .max_results(1_000);
    let history = history.send().await.expect("its history");
    history.events().to_vec()
}

/// What happened, in an order that does not depend on which branch was quicker.
fn happenings(history: &[HistoryEvent]) -> Vec<(String, String)> {
    let mut happenings: Vec<_> = history
        .iter()
        .map(|event| {
            let entered = event.state_entered_event_details().map(|details| details.name());
            let exited = event.state_exited_event_details().map(|details| details.name());
            let state = entered.or(exited).unwrap_or_default();
            (event.r#type().to_string(), state.to_owned())
        })
        .collect();
    happenings.sort();
    happenings
}

/// The executions that have closed; those among them that did not succeed are an error.
async fn open(states: &Client, executions: Vec<Started>) -> Vec<Started> {
    let described = for_each(executions, |execution| {
        let describe = states.describe_execution().execution_arn(&execution.arn);
        async move {
            let described = describe.send().await.expect("it is there");
            (described.status().clone(), execution)
        }
    });
    let mut open = Vec::new();
    for (status, execution) in described.await {
        match status {
            ExecutionStatus::Running => open.push(execution),
            ExecutionStatus::Succeeded => {}
            other => panic!(
                "{} is {other}: {:#?}",
                execution.name,
                history(states, &execution).await
            ),
        }
    }
    open
}

/// Waits until the calls that ask for a callback have been answered: a callback may come before that, and then their
/// histories do not tell of it.
async fn submitted(server: &Server, states: &Client, executions: Vec<Started>) {
    let left = Mutex::new(executions);
    server
        .until("the calls to be answered", || async {
            let mut left = left.lock().await;
            let asked = for_each(std::mem::take(&mut *left), |execution| {
                let states = states.clone();
                async move { (history(&states, &execution).await, execution) }
            });
            let answered = |event: &HistoryEvent| *event.r#type() == HistoryEventType::TaskSubmitted;
            let open = asked.await.into_iter();
            let open = open.filter(|(history, _)| !history.iter().any(answered));
            left.extend(open.map(|(_, execution)| execution));
            left.is_empty().then_some(())
        })
        .await;
}

fn moment(event: &HistoryEvent) -> DateTime<Utc> {
    let text = event.timestamp().fmt(DateTimeFormat::DateTimeWithOffset);
    let moment = DateTime::parse_from_rfc3339(&text.expect("a moment of our time"));
    moment.expect("the SDK's own format").to_utc()
}

/// Waits for a moment of the wall clock.
async fn until(server: &Server, moment: DateTime<Utc>) {
    server
        .until("the moment", || async { (moment <= Utc::now()).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_executions_in_flight_survive_sigkill() {
    let functions = Arc::new(Functions::default());
    let lambda = functions.serve().await;
    let mut server = Server::start_with(&["--lambda-endpoint", &lambda]);
    let states = server.states().await;
    let mut arns = Vec::new();
    for (name, definition) in machines() {
        let created = states
            .create_state_machine()
            .name(name)
            .definition(definition.to_string())
            .role_arn("arn:aws:iam::000000000000:role/states");
        let created = created.send().await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        arns.push((name, created.state_machine_arn().to_owned()));
    }

    let mut executions = Vec::new();
    let mut first = Utc::now();
    for (index, machine) in arns.iter().enumerate() {
        if index == 2 {
            // Those before have no timer.
            first = (Utc::now() + AHEAD).trunc_subsecs(0);
        }
        let names = (0..EACH).map(|number| {
            // Half of the timers are due while nothing runs.
            let until = if number % 2 == 0 { first } else { first + OUTAGE };
            (format!("{}-{number}", machine.0), until)
        });
        executions.extend(start(&states, machine.clone(), names.collect()).await);
    }
    let named = |machine: &str| {
        let of = executions.iter().filter(|execution| execution.machine == machine);
        of.map(|execution| execution.name.clone()).collect::<BTreeSet<_>>()
    };
    server
        .until("every function to be called", || async {
            let slow = functions.slow.lock().await.len() == 2 * EACH;
            let failed = functions.failures.lock().await.len() == EACH;
            let asked = functions.tokens.lock().await.len() == EACH;
            (slow && failed && asked).then_some(())
        })
        .await;
    assert_eq!(*functions.failures.lock().await, named("Retry"));
    let asking = executions.iter().filter(|execution| execution.machine == "Callback");
    submitted(&server, &states, asking.cloned().collect()).await;
    assert_eq!(
        open(&states, executions.clone()).await.len(),
        executions.len(),
        "all are in flight"
    );
    assert!(
        Utc::now() < first,
        "no timer is due yet: give them more time than {AHEAD:?}"
    );
    let tokens = functions.tokens.lock().await.clone();

    server.kill();
    until(&server, first).await;
    server.restart();
    let back = Utc::now();
    let states = server.states().await;

    functions.open.send_replace(true);
    let answered = for_each(tokens.into_iter().collect(), |(name, token)| {
        let answer = states.send_task_success().task_token(token);
        let answer = answer.output(json!({"to": name}).to_string());
        async move { answer.send().await.map(|_| name) }
    });
    for answer in answered.await {
        answer.expect("a token is as good as before");
    }
    let mut undisturbed = BTreeMap::new();
    for machine in &arns {
        let name = format!("{}-undisturbed", machine.0);
        let started = start(&states, machine.clone(), vec![(name.clone(), first + OUTAGE)]).await;
        if machine.0 == "Callback" {
            let token = server
                .until("the token", || async {
                    functions.tokens.lock().await.get(&name).cloned()
                })
                .await;
            submitted(&server, &states, started.clone()).await;
            let answer = states.send_task_success().task_token(token).output("{}");
            answer.send().await.expect("the token is good");
        }
        undisturbed.extend(started.into_iter().map(|execution| (machine.0, execution)));
    }

    let left = Mutex::new(
        executions
            .iter()
            .chain(undisturbed.values())
            .cloned()
            .collect::<Vec<_>>(),
    );
    server
        .until("all executions to succeed", || async {
            let mut left = left.lock().await;
            *left = open(&states, std::mem::take(&mut left)).await;
            left.is_empty().then_some(())
        })
        .await;

    let mut expected = BTreeMap::new();
    for (machine, execution) in &undisturbed {
        expected.insert(*machine, happenings(&history(&states, execution).await));
    }
    let histories = for_each(executions, |execution| {
        let states = states.clone();
        async move { (history(&states, &execution).await, execution) }
    });
    for (history, execution) in histories.await {
        let name = &execution.name;
        assert_eq!(happenings(&history), expected[execution.machine], "{name}");
        let ids = history.iter().map(HistoryEvent::id);
        assert!(ids.eq(1..=history.len() as i64), "{name}");
        on_time(&execution, &history, back);
    }
}

/// Every Wait ends at its moment, or as soon as somebody is there again; a retry comes once its interval has passed.
fn on_time(execution: &Started, history: &[HistoryEvent], back: DateTime<Utc>) {
    let name = &execution.name;
    let by_id: BTreeMap<i64, &HistoryEvent> = history.iter().map(|event| (event.id(), event)).collect();
    let check = |due: DateTime<Utc>, came: &HistoryEvent| {
        let came = moment(came);
        let latest = due.max(back) + TOLERANCE;
        assert!(
            due <= came && came <= latest,
            "{name}: due {due}, back {back}, came {came}"
        );
    };
    for event in history {
        let previous = by_id.get(&event.previous_event_id());
        if let (Some(exited), Some(entered)) = (event.state_exited_event_details(), previous)
            && exited.name() == "Hold"
        {
            let entered_details = entered.state_entered_event_details().expect("it was entered");
            let input: Value = serde_json::from_str(entered_details.input().unwrap_or_default()).expect("JSON");
            let until = DateTime::parse_from_rfc3339(input["until"].as_str().expect("a moment"));
            // The third item is looked at only once another one is done: what is due then is past.
            let due = until.expect("RFC 3339").to_utc().max(moment(entered));
            check(due, event);
        }
        if let (Some(_), Some(failed)) = (event.lambda_function_scheduled_event_details(), previous)
            && failed.lambda_function_failed_event_details().is_some()
        {
            check(moment(failed) + AHEAD, event);
        }
    }
}
