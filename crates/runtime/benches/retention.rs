//! What those who start executions notice of the deletion of old ones: `cargo bench --workspace --bench retention`.

#![expect(clippy::print_stdout, reason = "the table is what a bench is for")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asl::{Json, Status};
use chrono::{DateTime, TimeDelta, Utc};
use runtime::clock::Clock;
use runtime::driver::{
    Config, Engine, ExecutionFilter, NewStateMachine, PublishFuture, StartExecution, StatusChange, StatusEvents,
    TaskCall, TaskFuture, TaskOutcome, Tasks,
};
use runtime::history::MachineType;
use serde_json::{Value, json};

/// Executions that are too old.
const OLD: usize = 20_000;

/// Executions started at the same time to make them.
const CLIENTS: usize = 64;

/// Starts that are timed without a deletion, to compare with.
const UNDISTURBED: usize = 2_000;

/// Past AWS's retention of 90 days.
const LATER: TimeDelta = TimeDelta::days(91);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    threads.block_on(measure(directory.path()))
}

async fn measure(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let dawn = DateTime::from_timestamp(1_700_000_000, 0).expect("a moment of 2023");
    let engine = open(directory, dawn).await?;
    let created = engine.create_state_machine(machine()).await?;
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (engine, machine) = (engine.clone(), created.arn.clone());
        starts.spawn(async move {
            for _ in 0..OLD / CLIENTS {
                start(&engine, &machine).await;
            }
        });
    }
    starts.join_all().await;
    let mut undisturbed = Vec::new();
    for _ in 0..UNDISTURBED {
        undisturbed.push(start(&engine, &created.arn).await);
    }
    engine.shutdown().await;

    let engine = open(directory, dawn + LATER).await?;
    let newest = ExecutionFilter {
        state_machine_arn: created.arn.clone(),
        status: Some(Status::Succeeded),
        redriven: None,
    };
    let (mut disturbed, begun) = (Vec::new(), Instant::now());
    // Newest first: the old ones are gone when the list is as long as what was started since.
    loop {
        disturbed.push(start(&engine, &created.arn).await);
        let all = disturbed.len() + 1;
        if all % 256 == 0 && engine.executions(&newest, None, all).await?.executions.len() < all {
            break;
        }
    }
    let took = begun.elapsed().as_secs_f64();
    engine.shutdown().await;
    println!("{:.0} executions deleted a second", (OLD + UNDISTURBED) as f64 / took);
    println!("starts of others        p50 ms    p99 ms   most ms");
    for (name, mut latencies) in [("before", undisturbed), ("meanwhile", disturbed)] {
        latencies.sort();
        let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
        println!("{name:20} {:9.3} {:9.3} {:9.3}", at(0.5), at(0.99), at(1.0));
    }
    Ok(())
}

async fn open(directory: &Path, at: DateTime<Utc>) -> Result<Engine, runtime::driver::Error> {
    Engine::open(Config {
        data_dir: runtime::history::DataDir::take(directory).expect("a directory of its own"),
        region: "us-west-2".to_owned(),
        clock: Clock::still(at),
        tasks: Arc::new(Nobody),
        status_events: Arc::new(Nobody),
        subjects: BTreeMap::new(),
    })
    .await
}

fn machine() -> NewStateMachine {
    let definition = json!({ "StartAt": "Take", "States": {
        "Take": { "Type": "Pass", "Result": { "taken": true }, "ResultPath": "$.result", "Next": "Done" },
        "Done": { "Type": "Succeed" } } });
    NewStateMachine {
        name: "short".into(),
        machine_type: MachineType::Standard,
        definition: definition.to_string().into(),
        role_arn: "arn:aws:iam::000000000000:role/retention".into(),
        settings: Value::Null,
    }
}

/// Starts an execution, which also ends; how long that took.
async fn start(engine: &Engine, machine: &Arc<str>) -> Duration {
    let start = StartExecution {
        state_machine_arn: machine.clone(),
        name: None,
        input: Json::parse(r#"{"ticket":"PAY-1","text":"A payment is stuck"}"#).expect("JSON"),
        parent: None,
    };
    let begun = Instant::now();
    let record = engine.start_execution(start).await.expect("it starts");
    assert_eq!(record.status, Status::Succeeded);
    begun.elapsed()
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
    fn wants(&self, _state_machine_arn: &str, _status: Status) -> bool {
        false
    }

    fn publish(&self, _event: StatusChange) -> PublishFuture<'_> {
        Box::pin(std::future::ready(Ok(())))
    }
}
