//! What it costs to fold a ticket: the function alone, and DetectClosure with its requests to the table.
//!
//! The ticket goes back and forth between two statuses, with a body and a change each time.
//!
//!     cargo bench --workspace --bench fold

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde_json::{Value, json};
use system_tests::bench::{Program, build, fsync_ms, quantile};
use system_tests::root;
use system_tests::wire::aws;
use ticket::categories::Teacher;
use ticket::{Categories, Delivery, Fact, Policy, jira};

#[path = "../system/deliveries.rs"]
#[expect(dead_code, reason = "the system tests use more of it")]
mod deliveries;

use deliveries::{CREATED_MS, Issue};

/// Facts of the tickets that are folded.
const FACTS: [usize; 3] = [10, 1_000, 10_000];
/// How long the function alone is repeated.
const AT_LEAST: Duration = Duration::from_millis(500);
/// Deliveries of each ticket that are timed.
const DELIVERIES: u32 = 21;

const SECRET: &str = "the secret of the benchmark";

fn main() {
    println!("facts    fold alone");
    for count in FACTS {
        println!("{count:6}  {:9.3} ms", alone(count));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a tokio runtime");
    runtime.block_on(run());
}

/// One life's facts, as many as asked for or one more: two for each change of status.
fn facts(issue: Issue, count: usize) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut after_ms = 60_000;
    let mut bodies = vec![issue.created(), issue.started(after_ms)];
    while facts.len() < count {
        for body in std::mem::take(&mut bodies) {
            match jira::read(&body).expect("a delivery") {
                Delivery::Event(event) => facts.extend(event.facts),
                Delivery::Ignored { reason } => panic!("{reason}"),
            }
        }
        facts.sort();
        facts.dedup();
        after_ms += 60_000;
        bodies = vec![moved(issue, after_ms)];
    }
    facts
}

/// A change of status to the other one, with a changelog of its own.
fn moved(issue: Issue, after_ms: i64) -> Vec<u8> {
    let is_start = after_ms / 60_000 % 2 == 1;
    let body = if is_start {
        issue.started(after_ms)
    } else {
        issue.reopened(after_ms)
    };
    let mut body: Value = serde_json::from_slice(&body).expect("JSON");
    let (from, to) = if is_start { ("1", "3") } else { ("3", "1") };
    body["changelog"]["id"] = json!((CREATED_MS + after_ms).to_string());
    body["changelog"]["items"][0]["from"] = json!(from);
    body["changelog"]["items"][0]["to"] = json!(to);
    body.to_string().into_bytes()
}

/// Milliseconds of one fold, the median of many.
fn alone(count: usize) -> f64 {
    let facts = facts(Issue { number: 1 }, count);
    let map = Categories::default().taught(&facts, Teacher::Body).expect("a map");
    let policy = Policy::default();
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < AT_LEAST || times.len() < 5 {
        let begun = Instant::now();
        let ticket = ticket::fold(&facts, &policy, &map);
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!(ticket.fact_count, facts.len());
    }
    quantile(&mut times, 0.5)
}

async fn run() {
    let program = build(env!("CARGO_TARGET_TMPDIR"));
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let environment = [("JIRA_WEBHOOK_SECRET", SECRET)];
    let program = Program::start(&program, directory.path(), &root().join("template.yaml"), &environment);
    let config = aws(&program.aws).await;
    let (table, states) = (
        aws_sdk_dynamodb::Client::new(&config),
        aws_sdk_sfn::Client::new(&config),
    );
    println!("\nfsync of this disk: {:.2} ms", fsync_ms(directory.path()));
    println!("facts    DetectClosure p50, with its query and its write");
    for (number, count) in (1..).zip(FACTS) {
        let issue = Issue { number };
        put(&table, issue, &facts(issue, count)).await;
        let mut times = Vec::new();
        for delivery in 0..DELIVERIES {
            let after_ms = (i64::try_from(count).expect("a small number") + 2 + i64::from(delivery)) * 60_000;
            let body = moved(issue, after_ms);
            times.push(detect_ms(&states, &body, &format!("fold-{number}-{delivery}")).await);
        }
        // The first one starts the functions' environments.
        println!("{count:6}  {:9.1} ms", quantile(&mut times[1..], 0.5));
    }
}

/// Puts facts where StoreTicket would.
async fn put(table: &aws_sdk_dynamodb::Client, issue: Issue, facts: &[Fact]) {
    for facts in facts.chunks(25) {
        let put = |fact: &Fact| {
            let json = serde_json::to_value(fact).expect("JSON");
            let put = PutRequest::builder()
                .item(
                    "pk",
                    AttributeValue::S(format!("TICKET#jira.example.com~{}", issue.number)),
                )
                .item("sk", AttributeValue::S(format!("FACT#{}", fact.id())))
                .item("fact", attribute(json));
            WriteRequest::builder()
                .put_request(put.build().expect("an item"))
                .build()
        };
        let written = table
            .batch_write_item()
            .request_items("Tickets", facts.iter().map(put).collect());
        written.send().await.expect("the facts are written");
    }
}

fn attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(value),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(attribute).collect()),
        Value::Object(fields) => AttributeValue::M(
            fields
                .into_iter()
                .map(|(name, value)| (name, attribute(value)))
                .collect(),
        ),
    }
}

/// Runs a delivery's execution; how long its DetectClosure took, from entering the state to leaving it.
async fn detect_ms(states: &aws_sdk_sfn::Client, body: &[u8], name: &str) -> f64 {
    let Ok(Delivery::Event(event)) = jira::read(body) else {
        panic!("no event")
    };
    let machines = states.list_state_machines().send().await.expect("the state machines");
    let machine = machines
        .state_machines()
        .iter()
        .find(|machine| machine.name() == "TicketLifecycle");
    let started = states
        .start_execution()
        .state_machine_arn(machine.expect("the lifecycle").state_machine_arn())
        .name(name)
        .input(serde_json::to_string(&event).expect("JSON"))
        .send()
        .await
        .expect("it starts");
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    loop {
        ticks.tick().await;
        let described = states
            .describe_execution()
            .execution_arn(started.execution_arn())
            .send()
            .await;
        let described = described.expect("the execution");
        if described.stop_date().is_some() {
            assert_eq!(
                described.status().as_str(),
                "SUCCEEDED",
                "{name}: {:?}",
                described.cause()
            );
            break;
        }
    }
    let history = states
        .get_execution_history()
        .execution_arn(started.execution_arn())
        .max_results(1_000)
        .send()
        .await
        .expect("its history");
    let at = |is: &dyn Fn(&aws_sdk_sfn::types::HistoryEvent) -> bool| {
        let event = history.events().iter().find(|event| is(event)).expect("the step ran");
        event.timestamp().as_secs_f64() * 1_000.0
    };
    let entered = at(&|event| {
        event
            .state_entered_event_details()
            .is_some_and(|state| state.name() == "DetectClosure")
    });
    let exited = at(&|event| {
        event
            .state_exited_event_details()
            .is_some_and(|state| state.name() == "DetectClosure")
    });
    exited - entered
}
