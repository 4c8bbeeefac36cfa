//! How many deliveries a second one machine takes, and how long each takes from POST to its final state.
//!
//! A real `ticketflow up` in release, everything on disk. Every delivery is a resolved issue of its own, the longest way
//! through the state machine. The end of an execution is its own `stopDate`, so nothing polls while it is measured.
//!
//!     cargo bench --workspace --bench deliveries

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::Value;

#[path = "../system/deliveries.rs"]
#[expect(dead_code, reason = "the system tests use more of it")]
mod deliveries;

use deliveries::Issue;
use system_tests::bench::{Program, build, fsync_ms};
use system_tests::root;
use system_tests::wire::{aws, sign};

const SECRET: &str = "the secret of the benchmark";

/// Deliveries of each measurement.
const DELIVERIES: u32 = 2_000;

/// Clients of each measurement, each with one delivery in flight.
const CLIENTS: [u32; 3] = [1, 8, 64];

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often all clients together ask whether an execution has ended.
const ASK_EVERY: Duration = Duration::from_millis(4);

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a tokio runtime");
    runtime.block_on(run());
}

async fn run() {
    let program = build(env!("CARGO_TARGET_TMPDIR"));
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let environment = [("JIRA_WEBHOOK_SECRET", SECRET)];
    let mut program = Program::start(&program, directory.path(), &root().join("template.yaml"), &environment);
    // An installed provider stays: the only error is that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .expect("an HTTP client");
    let states = aws_sdk_sfn::Client::new(&aws(&program.aws).await);
    let machines = states.list_state_machines().send().await.expect("the state machines");
    let machine = machines
        .state_machines()
        .iter()
        .find(|machine| machine.name() == "TicketLifecycle")
        .expect("the lifecycle")
        .state_machine_arn()
        .to_owned();
    let bench = Bench {
        http,
        api: program.api.clone(),
        states,
        machine,
        next: Arc::new(AtomicU32::new(1)),
    };
    println!(
        "ready after {:.2} s, fsync of this disk: {:.2} ms\n",
        program.ready_after.as_secs_f64(),
        fsync_ms(directory.path())
    );
    // The first ones start the functions' environments, which is not what is measured.
    measure(&bench, 8, 100).await;
    println!("clients  deliveries/s  p50 ms  p99 ms  (POST to final state)");
    let mut example = String::new();
    for clients in CLIENTS {
        let count = if clients == 1 { DELIVERIES / 4 } else { DELIVERIES };
        let result = measure(&bench, clients, count).await;
        println!(
            "{clients:7}  {:12.0}  {:6.1}  {:6.1}",
            result.rate, result.p50, result.p99
        );
        example = result.example;
    }
    let history = bench
        .states
        .get_execution_history()
        .execution_arn(example)
        .max_results(1_000);
    let history = history.send().await.expect("its history");
    let entered = history
        .events()
        .iter()
        .filter(|event| event.r#type().as_str().ends_with("StateEntered"))
        .count();
    let posted = f64::from(bench.next.load(Ordering::Relaxed) - 1);
    println!("\nstate transitions per delivery: {entered}");
    program.stop();
    let log = std::fs::read_to_string(directory.path().join("log")).expect("its log");
    for (what, field) in [
        ("requests", "requests="),
        ("write units", "write_units="),
        ("read units", "read_units="),
    ] {
        let value = log
            .lines()
            .rev()
            .find(|line| line.contains("table store"))
            .and_then(|line| {
                let (_, rest) = line.split_once(field)?;
                rest.split_whitespace().next()?.parse::<f64>().ok()
            });
        let value = value.expect("it logs what its table store was asked");
        println!("DynamoDB {what} per delivery: {:.1}", value / posted);
    }
}

struct Measured {
    rate: f64,
    p50: f64,
    p99: f64,
    /// The ARN of one of the executions.
    example: String,
}

/// Clients that each post a delivery, wait for its execution's end, and post the next.
async fn measure(bench: &Bench, clients: u32, count: u32) -> Measured {
    let first = bench.next.load(Ordering::Relaxed);
    let begun = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let bench = bench.clone();
        workers.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = bench.next.fetch_add(1, Ordering::Relaxed);
                if number >= first + count {
                    return latencies;
                }
                latencies.push(bench.deliver(number, clients).await);
            }
        });
    }
    let mut latencies: Vec<(f64, String)> = workers.join_all().await.into_iter().flatten().collect();
    let seconds = begun.elapsed().as_secs_f64();
    bench.next.store(first + count, Ordering::Relaxed);
    latencies.sort_by(|left, right| left.0.total_cmp(&right.0));
    let at = |quantile: f64| latencies[((latencies.len() - 1) as f64 * quantile) as usize].0;
    Measured {
        rate: f64::from(count) / seconds,
        p50: at(0.5),
        p99: at(0.99),
        example: latencies.swap_remove(0).1,
    }
}

/// What every client shares.
#[derive(Clone)]
struct Bench {
    http: reqwest::Client,
    api: String,
    states: aws_sdk_sfn::Client,
    machine: String,
    next: Arc<AtomicU32>,
}

impl Bench {
    /// Posts one delivery and waits for its end; milliseconds from POST to `stopDate`, and the execution's ARN.
    async fn deliver(&self, number: u32, clients: u32) -> (f64, String) {
        let body = Issue { number }.resolved(600_000);
        let request = self
            .http
            .post(format!("{}/webhooks/jira", self.api))
            .header("x-hub-signature", sign(SECRET, &body));
        let at = Utc::now();
        let response = request.body(body).send().await.expect("an answer");
        assert_eq!(response.status(), 202);
        let answer: Value = response.json().await.expect("JSON");
        let name = answer["execution"].as_str().expect("a name");
        let arn = format!("{}:{name}", self.machine.replace(":stateMachine:", ":execution:"));
        // All clients together ask a bounded number of times a second, so that asking is not what is measured.
        let mut ticks = tokio::time::interval(ASK_EVERY * clients);
        loop {
            ticks.tick().await;
            let described = self
                .states
                .describe_execution()
                .execution_arn(&arn)
                .send()
                .await
                .expect("the execution");
            if let Some(stopped) = described.stop_date() {
                assert_eq!(described.status().as_str(), "SUCCEEDED", "{arn}");
                let stopped = DateTime::from_timestamp_millis(stopped.to_millis().expect("a moment"));
                let took = stopped.expect("a moment") - at;
                return (took.num_microseconds().unwrap_or(0) as f64 / 1_000.0, arn);
            }
        }
    }
}
