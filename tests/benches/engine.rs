//! How fast the engine is, from outside: a real `ticketflow up` in release, asked over HTTP, everything on disk.
//!
//! The client is part of the machine's load; its share of the processor time is printed beside each rate.
//!
//!     cargo bench --workspace --bench engine [-- rates long waiting closed]

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use system_tests::bench::{Client, Program, build, cpu, fsync_ms, quantile};
use tokio::task::{JoinSet, LocalSet};

/// How long each rate is measured.
const MEASURED: Duration = Duration::from_secs(5);

/// Clients of each rate, each with one request in flight.
const CLIENTS: [usize; 3] = [1, 16, 64];

/// Executions that wait, or are closed, at once.
const MANY: usize = 100_000;

/// Executions that "fast as with few" is compared with.
const FEW: usize = 1_000;

/// Over how long the waiting executions are due, and how long after the first start.
const DUE_OVER: TimeDelta = TimeDelta::seconds(60);
const DUE_FROM: TimeDelta = TimeDelta::seconds(90);

/// Executions whose timer is looked at, of all that waited.
const SAMPLE: usize = 5_000;

/// Calls of each operation that are timed.
const CALLS: usize = 2_000;

/// Runs of each long execution.
const RUNS: usize = 15;

/// Turns of the long executions, two transitions each: up to 25,000 events, the most that AWS allows.
const TURNS: [u32; 5] = [375, 750, 1_500, 3_000, 6_000];

/// No execution's state machine here needs more of a template than that.
const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31\nResources:\n  Table:\n    Type: AWS::DynamoDB::Table\n    \
     Properties:\n      TableName: Unused\n      BillingMode: PAY_PER_REQUEST\n      AttributeDefinitions:\n        \
     - { AttributeName: pk, AttributeType: S }\n      KeySchema:\n        - { AttributeName: pk, KeyType: HASH }\n";

fn main() {
    // Cargo adds an argument of its own.
    let wanted: BTreeSet<String> = std::env::args()
        .skip(1)
        .filter(|part| !part.starts_with("--"))
        .collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.contains(part);
    let program = build(env!("CARGO_TARGET_TMPDIR"));
    // One thread, so that the client takes no more of the machine than it must.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a tokio runtime");
    let run = async {
        if is_wanted("rates") {
            rates(&program).await;
        }
        if is_wanted("long") {
            long(&program).await;
        }
        if is_wanted("waiting") {
            waiting(&program).await;
        }
        if is_wanted("closed") {
            closed(&program).await;
        }
    };
    LocalSet::new().block_on(&runtime, run);
}

/// A Ticketflow with a directory of its own.
struct World {
    program: Program,
    directory: tempfile::TempDir,
    binary: PathBuf,
}

impl World {
    fn start(binary: &Path) -> Self {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        std::fs::write(directory.path().join("template.yaml"), TEMPLATE).expect("a template");
        let program = Self::up(binary, directory.path());
        Self {
            program,
            directory,
            binary: binary.to_owned(),
        }
    }

    fn up(binary: &Path, directory: &Path) -> Program {
        Program::start(binary, directory, &directory.join("template.yaml"), &[])
    }

    fn restart(&mut self) {
        self.program.kill();
        self.program = Self::up(&self.binary, self.directory.path());
    }

    async fn client(&self) -> Client {
        Client::connect(&self.program.aws).await
    }

    /// Creates a state machine; its ARN.
    async fn machine(&self, name: &str, machine_type: &str, definition: &Value) -> String {
        let body = json!({
            "name": name, "type": machine_type, "definition": definition.to_string(),
            "roleArn": "arn:aws:iam::000000000000:role/engine",
        });
        let created = self.client().await.json("CreateStateMachine", &body).await;
        created["stateMachineArn"].as_str().expect("an ARN").to_owned()
    }
}

/// Six Pass and Choice states from the first to the last.
fn six_states() -> Value {
    json!({ "StartAt": "Take", "States": {
        "Take": { "Type": "Pass", "Next": "Urgent?" },
        "Urgent?": { "Type": "Choice", "Default": "Later", "Choices": [
            { "Variable": "$.priority", "NumericLessThan": 4, "Next": "Now" } ] },
        "Now": { "Type": "Pass", "Result": { "queue": "now" }, "ResultPath": "$.routed", "Next": "Known?" },
        "Later": { "Type": "Pass", "Next": "Known?" },
        "Known?": { "Type": "Choice", "Default": "Keep", "Choices": [
            { "Variable": "$.unknown", "IsPresent": true, "Next": "Later" } ] },
        "Keep": { "Type": "Pass", "Next": "Done" },
        "Done": { "Type": "Pass", "End": true } } })
}

const INPUT: &str = r#"{"ticket":"PAY-1","priority":3,"text":"A payment is stuck"}"#;

fn start(machine: &str) -> String {
    json!({ "stateMachineArn": machine, "input": INPUT }).to_string()
}

/// Executions a second of six states each, from the request to the answer that they have succeeded.
async fn rates(program: &Path) {
    let world = World::start(program);
    println!("fsync of this disk: {:.3} ms\n", fsync_ms(world.directory.path()));
    println!("                       clients  executions/s    p50 ms    p99 ms  client's CPU");
    let express = world.machine("express", "EXPRESS", &six_states()).await;
    let standard = world.machine("standard", "STANDARD", &six_states()).await;
    for (operation, machine) in [("StartSyncExecution", express), ("StartExecution", standard)] {
        let body: Rc<str> = start(&machine).into();
        for clients in CLIENTS {
            let (own, its) = (cpu("self"), world.program.cpu());
            let mut latencies = load(&world, operation, &body, clients, MEASURED).await;
            let (own, its) = (cpu("self") - own, world.program.cpu() - its);
            println!(
                "{operation:22} {clients:7}  {:12.0}  {:8.3}  {:8.3}  {:11.0} %",
                latencies.len() as f64 / MEASURED.as_secs_f64(),
                quantile(&mut latencies, 0.5),
                quantile(&mut latencies, 0.99),
                100.0 * own.as_secs_f64() / (own + its).as_secs_f64(),
            );
        }
    }
    // StartExecution answers when the execution has been started, which with six quick states is when it has ended.
    let mut client = world.client().await;
    let listed = client.json("ListStateMachines", &json!({})).await;
    for machine in listed["stateMachines"].as_array().expect("a list") {
        if machine["type"] == "STANDARD" {
            let running = json!({ "stateMachineArn": machine["stateMachineArn"], "statusFilter": "RUNNING" });
            let running = client.json("ListExecutions", &running).await;
            assert_eq!(
                running["executions"],
                json!([]),
                "an execution is open after its answer"
            );
        }
    }
    println!();
}

/// The n-th call to make, or none any more.
type Calls = Rc<dyn Fn(usize) -> Option<(&'static str, Rc<str>)>>;

/// Calls an operation from so many clients for so long; how long each call took, in milliseconds.
async fn load(world: &World, operation: &'static str, body: &Rc<str>, clients: usize, lasts: Duration) -> Vec<f64> {
    let (begun, body) = (Instant::now(), body.clone());
    let next = move |_| (begun.elapsed() < lasts).then(|| (operation, body.clone()));
    calls(world, clients, Rc::new(next)).await
}

/// Makes the calls that `next` names from so many clients; how long each took, in milliseconds.
async fn calls(world: &World, clients: usize, next: Calls) -> Vec<f64> {
    let number = Rc::new(Cell::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..clients {
        let mut client = world.client().await;
        let (next, number) = (next.clone(), number.clone());
        workers.spawn_local(async move {
            let mut latencies = Vec::new();
            while let Some((operation, body)) = next(number.replace(number.get() + 1)) {
                let begun = Instant::now();
                let (status, answer) = client.call(operation, &body).await;
                assert_eq!(status, 200, "{operation}: {}", String::from_utf8_lossy(answer));
                latencies.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            latencies
        });
    }
    workers.join_all().await.concat()
}

/// Executions of more and more transitions: a longer one must not cost more for each of them.
async fn long(program: &Path) {
    let world = World::start(program);
    let mut client = world.client().await;
    let definition = json!({ "StartAt": "Count", "States": {
        "Count": { "Type": "Pass", "Next": "Enough?", "Parameters": {
            "at.$": "States.MathAdd($.at, 1)", "until.$": "$.until" } },
        "Enough?": { "Type": "Choice", "Default": "Count", "Choices": [
            { "Variable": "$.at", "NumericGreaterThanEqualsPath": "$.until", "Next": "Done" } ] },
        "Done": { "Type": "Succeed" } } });
    let machine = world.machine("long", "STANDARD", &definition).await;
    let mut took = vec![Vec::new(); TURNS.len()];
    for _ in 0..RUNS {
        for (turns, took) in TURNS.iter().zip(&mut took) {
            let input = json!({ "at": 0, "until": turns }).to_string();
            let begun = Instant::now();
            let started = client
                .json("StartExecution", &json!({ "stateMachineArn": machine, "input": input }))
                .await;
            let execution = json!({ "executionArn": started["executionArn"] });
            let status = loop {
                let described = client.json("DescribeExecution", &execution).await;
                match described["status"].as_str() {
                    Some("RUNNING") => tokio::time::sleep(Duration::from_millis(1)).await,
                    status => break status.unwrap_or_default().to_owned(),
                }
            };
            took.push(begun.elapsed().as_secs_f64() * 1e3);
            assert_eq!(status, "SUCCEEDED");
        }
    }
    println!("one durable execution (medians of {RUNS})");
    println!("transitions        ms  transitions/s");
    for (turns, took) in TURNS.iter().zip(&mut took) {
        let (transitions, ms) = (2 * turns, quantile(took, 0.5));
        println!("{transitions:11}  {ms:8.1}  {:13.0}", f64::from(transitions) / ms * 1e3);
    }
    println!();
}

/// Many executions that wait: their memory, a restart with them, and how late they wake.
async fn waiting(program: &Path) {
    let mut world = World::start(program);
    let definition = json!({ "StartAt": "Wait", "States": {
        "Wait": { "Type": "Wait", "SecondsPath": "$.seconds", "Next": "Done" }, "Done": { "Type": "Succeed" } } });
    let machine = world.machine("waiting", "STANDARD", &definition).await;
    let from = Utc::now() + DUE_FROM;
    // From the millisecond of its start on: a Timestamp would count to the second, and all of a second be due at once.
    // Those that start one after the other are due seconds apart.
    let seconds = |number: usize| DUE_FROM.num_seconds() + number as i64 % DUE_OVER.num_seconds();
    let before = world.program.memory_bytes();
    let named = machine.clone();
    let starts = move |number| {
        let input = json!({ "seconds": seconds(number) }).to_string();
        let body = json!({ "stateMachineArn": named, "name": number.to_string(), "input": input }).to_string();
        (number < MANY).then(|| ("StartExecution", body.into()))
    };
    let begun = Instant::now();
    calls(&world, 64, Rc::new(starts)).await;
    println!(
        "{MANY} executions started to wait in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    assert!(Utc::now() < from, "they were due before all were started");
    let memory = world.program.memory_bytes().saturating_sub(before);
    println!("memory of each: {:.0} bytes", memory as f64 / MANY as f64);
    world.restart();
    println!(
        "killed, and ready again after {:.2} s",
        world.program.ready_after.as_secs_f64()
    );
    let last = (from + DUE_OVER - Utc::now()).to_std().unwrap_or_default();
    tokio::time::sleep(last + Duration::from_secs(1)).await;
    let mut client = world.client().await;
    let running = json!({ "stateMachineArn": machine, "statusFilter": "RUNNING" });
    while client.json("ListExecutions", &running).await["executions"] != json!([]) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut late = Vec::new();
    for number in (0..MANY).step_by(MANY / SAMPLE) {
        let execution = format!("{}:{number}", machine.replace(":stateMachine:", ":execution:"));
        let history = client
            .json("GetExecutionHistory", &json!({ "executionArn": execution }))
            .await;
        let events = history["events"].as_array().expect("events");
        let at = |kind: &str| {
            let event = events.iter().find(|event| event["type"] == kind);
            event.expect("it woke")["timestamp"].as_f64().expect("seconds")
        };
        let took = at("WaitStateExited") - at("WaitStateEntered");
        late.push((took - seconds(number) as f64) * 1e3);
    }
    println!(
        "late by, of {} of them due over {} s: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms\n",
        late.len(),
        DUE_OVER.num_seconds(),
        quantile(&mut late, 0.5),
        quantile(&mut late, 0.99),
        quantile(&mut late, 1.0)
    );
}

/// What operations take with few and with many closed executions on disk, after a restart: none is in memory.
async fn closed(program: &Path) {
    let mut world = World::start(program);
    let machine = world.machine("closed", "STANDARD", &six_states()).await;
    fill(&world, &machine, 0, FEW).await;
    world.restart();
    let few = operations(&world, &machine, FEW).await;
    let so_far = FEW + CALLS;
    fill(&world, &machine, so_far, MANY).await;
    world.restart();
    let many = operations(&world, &machine, MANY).await;
    println!("with closed executions     {FEW:>10}  {MANY:>10}   (p50, ms)");
    for ((operation, few), (_, many)) in few.iter().zip(&many) {
        println!(
            "{operation:26} {few:10.3}  {many:10.3}   {:+.0} %",
            100.0 * (many / few - 1.0)
        );
    }
    println!();
}

/// Starts executions with the names from one number to another.
async fn fill(world: &World, machine: &str, from: usize, to: usize) {
    let machine = machine.to_owned();
    let starts = move |number: usize| {
        let number = from + number;
        let body = json!({ "stateMachineArn": machine, "name": number.to_string(), "input": INPUT }).to_string();
        (number < to).then(|| ("StartExecution", body.into()))
    };
    calls(world, 64, Rc::new(starts)).await;
}

/// The median time of each operation, called by one client, with so many executions there.
async fn operations(world: &World, machine: &str, executions: usize) -> Vec<(&'static str, f64)> {
    let mut medians = Vec::new();
    for operation in [
        "DescribeExecution",
        "ListExecutions",
        "GetExecutionHistory",
        "StartExecution",
    ] {
        let machine = machine.to_owned();
        let next = move |number: usize| {
            // Far from the one before, so that not the same page is read again and again.
            let name = number.wrapping_mul(7_919) % executions;
            let execution = format!("{}:{name}", machine.replace(":stateMachine:", ":execution:"));
            let body = match operation {
                "StartExecution" => json!({ "stateMachineArn": machine, "name": (executions + number).to_string(),
                    "input": INPUT }),
                "ListExecutions" => json!({ "stateMachineArn": machine, "maxResults": 100 }),
                _ => json!({ "executionArn": execution }),
            };
            (number < CALLS).then(|| (operation, body.to_string().into()))
        };
        let mut latencies = calls(world, 1, Rc::new(next)).await;
        medians.push((operation, quantile(&mut latencies, 0.5)));
    }
    medians
}
