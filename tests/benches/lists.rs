//! What lists and numbers cost with few tickets and with many: a real `ticketflow up` in release, everything on disk.
//!
//! Two tickets go through the workflow; all others are copies of their items, under ids and at moments of their own.
//! The newest tickets are the same with few and with many, so that what is asked for is the same, too.
//!
//!     cargo bench --workspace --bench lists

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;

#[path = "../system/deliveries.rs"]
#[expect(dead_code, reason = "the system tests use more of it")]
mod deliveries;

use deliveries::{CREATED_MS, Issue};
use system_tests::bench::{Program, build, quantile};
use system_tests::root;
use system_tests::wire::{aws, sign};

const SECRET: &str = "the secret of the benchmark";

/// How many tickets there are, first and then.
const TICKETS: [usize; 2] = [1_000, 100_000];

/// Between two tickets: a hundred an hour, which is JIRA's own pace here.
const EVERY: TimeDelta = TimeDelta::seconds(36);

/// One ticket in so many is open.
const OPEN: usize = 10;

/// Requests of each kind that are timed.
const REQUESTS: usize = 100;

/// BatchWriteItem's own limit.
const BATCH: usize = 25;

/// Batches written at the same time.
const WRITERS: usize = 8;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(60);

type Item = HashMap<String, AttributeValue>;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a tokio runtime");
    runtime.block_on(run());
}

async fn run() {
    let program = build(env!("CARGO_TARGET_TMPDIR"));
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let environment = [("JIRA_WEBHOOK_SECRET", SECRET)];
    let binary = program;
    let mut program = Program::start(&binary, directory.path(), &root().join("template.yaml"), &environment);
    // An installed provider stays: the only error is that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut headers = HeaderMap::new();
    let token = format!("Bearer {}", token(&binary, &directory.path().join("data")));
    headers.insert(AUTHORIZATION, token.parse().expect("a header's value"));
    let http = reqwest::Client::builder().timeout(PATIENCE).default_headers(headers);
    let http = http.build().expect("an HTTP client");
    let api = program.api.clone();
    let table = Client::new(&aws(&program.aws).await);
    let name = table.list_tables().send().await.expect("the tables").table_names()[0].clone();
    let patterns = Patterns {
        closed: pattern(&http, &api, &table, &name, 1, true).await,
        open: pattern(&http, &api, &table, &name, 2, false).await,
    };
    let created = DateTime::from_timestamp_millis(CREATED_MS).expect("a moment");
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let hour = text(created - TimeDelta::hours(2));
    let day = format!("from={}&to={}", text(created - TimeDelta::hours(9)), text(created));
    let questions = [
        ("tickets, 50 of them", "/tickets?limit=50".to_owned()),
        ("open tickets", "/tickets?state=open&limit=50".to_owned()),
        (
            "priority and project",
            "/tickets?priority=High&project=TEST&limit=50".to_owned(),
        ),
        ("a ticket", "/tickets/TEST-1".to_owned()),
        ("tickets per minute", format!("/metrics/tickets-per-minute?hour={hour}")),
        ("durations of nine hours", format!("/metrics/durations?{day}")),
        (
            "throughput of nine hours",
            format!("/metrics/throughput?per=hour&{day}"),
        ),
        ("quality of nine hours", format!("/metrics/quality?{day}")),
        ("aging of all that is open", "/metrics/aging".to_owned()),
    ];
    let mut figures: Vec<Vec<f64>> = vec![Vec::new(); questions.len()];
    let mut seeded = 0;
    for count in TICKETS {
        let begun = Instant::now();
        seed(&table, &name, &patterns, seeded..count).await;
        println!(
            "{} tickets written in {:.0} s",
            count - seeded,
            begun.elapsed().as_secs_f64()
        );
        seeded = count;
        for ((_, path), figures) in questions.iter().zip(&mut figures) {
            figures.push(measure(&http, &format!("{api}{path}")).await);
        }
    }
    println!(
        "\n{:26} {:>10} {:>12}  ratio   (p50, ms)",
        "tickets:", TICKETS[0], TICKETS[1]
    );
    for ((name, _), figures) in questions.iter().zip(&figures) {
        println!(
            "{name:26} {:10.1} {:12.1}  {:5.2}",
            figures[0],
            figures[1],
            figures[1] / figures[0]
        );
    }
    program.stop();
}

/// Items of a ticket that went through the workflow.
struct Patterns {
    closed: Vec<Item>,
    open: Vec<Item>,
}

/// Sends one ticket through the workflow and reads what is stored of it.
async fn pattern(
    http: &reqwest::Client,
    api: &str,
    table: &Client,
    name: &str,
    number: u32,
    closed: bool,
) -> Vec<Item> {
    let issue = Issue { number };
    let body = if closed {
        issue.resolved(600_000)
    } else {
        issue.created()
    };
    let request = http
        .post(format!("{api}/webhooks/jira"))
        .header("x-hub-signature", sign(SECRET, &body));
    let response = request.body(body).send().await.expect("an answer");
    assert_eq!(response.status(), 202);
    let answer: Value = response.json().await.expect("JSON");
    let execution = answer["execution"].as_str().expect("a name").to_owned();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        let response = http
            .get(format!("{api}/executions/{execution}"))
            .send()
            .await
            .expect("an answer");
        let state: Value = response.json().await.expect("JSON");
        if state["status"] == "SUCCEEDED" {
            break;
        }
    }
    let mut items = Vec::new();
    for partition in [
        format!("TICKET#jira.example.com~{number}"),
        format!("EXECUTION#{execution}"),
    ] {
        let found = table
            .query()
            .table_name(name)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(partition));
        items.extend(found.send().await.expect("its items").items.expect("its items"));
    }
    items
}

/// Writes tickets by their age: the first one is the newest.
async fn seed(table: &Client, name: &str, patterns: &Patterns, ages: std::ops::Range<usize>) {
    let mut months = BTreeSet::new();
    let mut writers = tokio::task::JoinSet::new();
    let mut requests = Vec::new();
    for age in ages {
        let is_open = age % OPEN == 0;
        let (pattern, number) = if is_open {
            (&patterns.open, 2)
        } else {
            (&patterns.closed, 1)
        };
        let created = DateTime::from_timestamp_millis(CREATED_MS).expect("a moment");
        let begun = created - EVERY * i32::try_from(age + 1).expect("not so many");
        months.extend([begun, begun + TimeDelta::minutes(10)].map(|at| at.format("%Y-%m").to_string()));
        let moment = |after_ms: i64, at: DateTime<Utc>| {
            let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
            let after = TimeDelta::milliseconds(after_ms);
            (text(created + after), text(at + after))
        };
        let own = 1_000 + age;
        let mut changes = vec![
            (format!("jira.example.com~{number}"), format!("jira.example.com~{own}")),
            (format!("TEST-{number}"), format!("TEST-{own}")),
        ];
        // The creation, and the closing by each of its clocks.
        changes.extend([0, 600_000, 600_012, 599_997].map(|after| moment(after, begun)));
        let month = created.format("%Y-%m").to_string();
        let own_month = begun.format("%Y-%m").to_string();
        let closed_month = (begun + TimeDelta::minutes(10)).format("%Y-%m").to_string();
        for item in pattern {
            let mut item: Item = item
                .iter()
                .map(|(name, value)| (name.clone(), changed(value, &changes)))
                .collect();
            for attribute in [
                "state_month",
                "priority_month",
                "project_month",
                "created_month",
                "quality_month",
            ] {
                if let Some(AttributeValue::S(text)) = item.get_mut(attribute) {
                    *text = text.replace(&month, &own_month);
                }
            }
            if let Some(AttributeValue::S(text)) = item.get_mut("closed_month") {
                text.clone_from(&closed_month);
            }
            requests.push(put(item));
            if requests.len() == BATCH {
                write(&mut writers, table, name, std::mem::take(&mut requests)).await;
            }
        }
    }
    for month in months {
        requests.push(put(HashMap::from([
            ("pk".to_owned(), AttributeValue::S("MONTHS".to_owned())),
            ("sk".to_owned(), AttributeValue::S(month)),
        ])));
        write(&mut writers, table, name, std::mem::take(&mut requests)).await;
    }
    writers.join_all().await;
}

/// A value with some texts replaced, wherever they are.
fn changed(value: &AttributeValue, changes: &[(String, String)]) -> AttributeValue {
    match value {
        AttributeValue::S(text) => {
            let replace = |text: String, (from, to): &(String, String)| text.replace(from.as_str(), to);
            AttributeValue::S(changes.iter().fold(text.clone(), replace))
        }
        AttributeValue::L(values) => AttributeValue::L(values.iter().map(|value| changed(value, changes)).collect()),
        AttributeValue::M(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), changed(value, changes)));
            AttributeValue::M(fields.collect())
        }
        other => other.clone(),
    }
}

fn put(item: Item) -> WriteRequest {
    let put = PutRequest::builder().set_item(Some(item)).build().expect("an item");
    WriteRequest::builder().put_request(put).build()
}

/// Writes a batch once one of the writers is free.
async fn write(writers: &mut tokio::task::JoinSet<()>, table: &Client, name: &str, requests: Vec<WriteRequest>) {
    if requests.is_empty() {
        return;
    }
    while WRITERS <= writers.len() {
        writers.join_next().await.expect("a writer").expect("it wrote");
    }
    let request = table.batch_write_item().request_items(name, requests);
    writers.spawn(async move {
        let output = request.send().await.expect("the table takes it");
        assert!(output.unprocessed_items.unwrap_or_default().is_empty());
    });
}

/// The median time of an answer, in milliseconds.
async fn measure(http: &reqwest::Client, url: &str) -> f64 {
    let mut times = Vec::with_capacity(REQUESTS);
    for index in 0..=REQUESTS {
        let begun = Instant::now();
        let response = http.get(url).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{url}");
        response.bytes().await.expect("its body");
        // The first one may start an environment.
        if 0 < index {
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    quantile(&mut times, 0.5)
}

/// A token that reads, of this data directory's issuer.
fn token(program: &Path, data_dir: &Path) -> String {
    let mut command = Command::new(program);
    command.args([
        "token",
        "--ttl",
        "12h",
        "--scope",
        "ticketflow/tickets.read",
        "--data-dir",
    ]);
    let output = command.arg(data_dir).output().expect("ticketflow runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .expect("a token is text")
        .trim()
        .to_owned()
}
