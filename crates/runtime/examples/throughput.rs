//! Measures how many executions a second the engine starts and finishes in this process, each on disk before it is
//! acknowledged, beside the time that this disk takes to sync.
//!
//! `cargo run --release -p runtime --example throughput [SECONDS]`

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use asl::{Json, Status};
use runtime::clock::Clock;
use runtime::driver::{
    Config, Engine, NewStateMachine, PublishFuture, StartExecution, StatusChange, StatusEvents, TaskCall, TaskFuture,
    TaskOutcome, Tasks,
};
use runtime::history::MachineType;
use serde_json::{Value, json};

/// Syncs that are timed for the mean.
const SYNCS: u32 = 200;

/// Tasks that start executions at the same time.
const CLIENTS: [usize; 3] = [1, 16, 64];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(3), |seconds| seconds.parse())?;
    let duration = Duration::from_secs(seconds);
    let directory = tempfile::tempdir_in(".")?;
    println!("sync of 16 KiB: {:.3} ms", sync_ms(directory.path())?);
    println!(
        "{:8} {:>7} {:>12} {:>9} {:>9}",
        "", "clients", "executions/s", "p50 ms", "p99 ms"
    );
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for machine_type in [MachineType::Standard, MachineType::Express] {
        for clients in CLIENTS {
            let directory = tempfile::tempdir_in(directory.path())?;
            let mut latencies = threads.block_on(async {
                let engine = Engine::open(Config {
                    data_dir: directory.path().to_owned(),
                    region: "us-west-2".to_owned(),
                    clock: Clock::system(),
                    tasks: Arc::new(Nobody),
                    status_events: Arc::new(Nobody),
                })
                .await?;
                let latencies = measure(&engine, machine_type, clients, duration).await;
                engine.shutdown().await;
                latencies
            })?;
            latencies.sort_unstable();
            let quantile = |part: f64| {
                let index = (latencies.len() as f64 * part) as usize;
                latencies
                    .get(index)
                    .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
            };
            println!(
                "{:8} {clients:7} {:12.0} {:9.3} {:9.3}",
                format!("{machine_type:?}"),
                latencies.len() as f64 / duration.as_secs_f64(),
                quantile(0.5),
                quantile(0.99),
            );
        }
    }
    Ok(())
}

/// How long each execution took from the call to its end being known, of all that ended in `duration`.
async fn measure(
    engine: &Engine,
    machine_type: MachineType,
    clients: usize,
    duration: Duration,
) -> Result<Vec<Duration>, runtime::driver::Error> {
    let machine = NewStateMachine {
        name: "six-states".into(),
        machine_type,
        definition: six_states().to_string().into(),
        role_arn: "arn:aws:iam::000000000000:role/throughput".into(),
        settings: Value::Null,
    };
    let machine = engine.create_state_machine(machine).await?.arn;
    let over = Arc::new(AtomicBool::new(false));
    let number = Arc::new(AtomicU64::new(0));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (engine, machine) = (engine.clone(), machine.clone());
        let (over, number) = (over.clone(), number.clone());
        running.spawn(async move {
            let mut latencies = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let number = number.fetch_add(1, Ordering::Relaxed);
                let start = StartExecution {
                    state_machine_arn: machine.clone(),
                    name: Some(format!("{:08x}-{number}", number.wrapping_mul(0x9e37_79b9)).into()),
                    input: Json::parse(r#"{"ticket":"PAY-1","priority":3,"text":"A payment is stuck"}"#).expect("JSON"),
                };
                let begun = Instant::now();
                let record = match machine_type {
                    MachineType::Standard => engine.start_execution(start).await?,
                    MachineType::Express => engine.run_express(start).await?.record,
                };
                latencies.push(begun.elapsed());
                assert_eq!(record.status, Status::Succeeded);
            }
            Ok::<_, runtime::driver::Error>(latencies)
        });
    }
    tokio::time::sleep(duration).await;
    over.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for latencies in running.join_all().await {
        all.extend(latencies?);
    }
    Ok(all)
}

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

fn sync_ms(directory: &std::path::Path) -> std::io::Result<f64> {
    let mut file = std::fs::File::create(directory.join("sync"))?;
    let begun = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&[7; 16 << 10])?;
        file.sync_data()?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e3 / f64::from(SYNCS))
}

/// Performs no task and hears no event.
struct Nobody;

impl Tasks for Nobody {
    fn perform(&self, call: TaskCall) -> TaskFuture<'_> {
        Box::pin(std::future::ready(TaskOutcome::Succeeded(
            call.schedule.parameters.clone(),
        )))
    }
}

impl StatusEvents for Nobody {
    fn wants(&self, _state_machine_arn: &str, status: Status) -> bool {
        !matches!(status, Status::Running | Status::Succeeded)
    }

    fn publish(&self, _event: StatusChange) -> PublishFuture<'_> {
        Box::pin(std::future::ready(Ok(())))
    }
}
