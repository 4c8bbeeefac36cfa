//! The engine over a real store: what it promises its callers, and what it keeps of it when writes fail and processes
//! die.

mod activities;
mod bounds;
mod crash;
mod lifecycle;
mod simulation;
mod skip;

use std::collections::HashMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use asl::{EventKind, Failure, Json, Status};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::history::{Faults, MachineType};

/// A state machine that starts at this state panics whenever it goes on.
const PANICS: &str = "Panics";

/// The interpreter's one way to panic, as there is no other that is known.
pub(super) fn panic_if_asked(machine: &asl::StateMachine, trigger: &asl::Trigger) {
    let goes_on = matches!(trigger, asl::Trigger::Clock | asl::Trigger::TaskSucceeded { .. });
    assert!(&*machine.start_at != PANICS || !goes_on, "as the test asked");
}

/// The moment at which tests begin.
fn dawn() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_763_700_000_000).expect("a moment of 2025")
}

/// Tasks that answer as a script says, by resource: each call takes the next answer, the last one stays.
#[derive(Default)]
struct Script {
    answers: Mutex<HashMap<String, Vec<Answer>>>,
    calls: Mutex<Vec<TaskCall>>,
    abandoned: tokio::sync::watch::Sender<Vec<Option<Json>>>,
}

#[derive(Clone)]
enum Answer {
    Is(TaskOutcome),
    /// `Throttled` as long as the parameters say that it is the first attempt.
    FailsAtFirst,
    Never,
}

impl Script {
    fn new<const N: usize>(answers: [(&str, Vec<Answer>); N]) -> Arc<Self> {
        let answers = answers.map(|(resource, answers)| (resource.to_owned(), answers));
        Arc::new(Self {
            answers: Mutex::new(answers.into()),
            ..Self::default()
        })
    }

    fn calls(&self) -> Vec<TaskCall> {
        self.calls.lock().expect("no test panics with it").clone()
    }
}

impl Tasks for Script {
    fn perform(&self, call: TaskCall) -> TaskFuture<'_> {
        let resource = call.schedule.resource.resource.to_string();
        self.calls.lock().expect("no test panics with it").push(call.clone());
        Box::pin(async move {
            let answer = {
                let mut answers = self.answers.lock().expect("no test panics with it");
                let answers = answers.entry(resource).or_default();
                match answers.len() {
                    0 => Answer::Is(TaskOutcome::Succeeded(call.schedule.parameters.clone())),
                    1 => answers[0].clone(),
                    _ => answers.remove(0),
                }
            };
            match answer {
                Answer::Is(outcome) => outcome,
                Answer::FailsAtFirst if call.schedule.parameters.value()["attempt"] == json!(0) => {
                    TaskOutcome::Failed(Failure::named("Throttled"))
                }
                Answer::FailsAtFirst => TaskOutcome::Succeeded(json!("done").into()),
                Answer::Never => std::future::pending().await,
            }
        })
    }

    fn abandon(&self, call: TaskCall) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move { self.abandoned.send_modify(|abandoned| abandoned.push(call.submitted)) })
    }
}

fn succeeds(output: Value) -> Answer {
    Answer::Is(TaskOutcome::Succeeded(output.into()))
}

fn fails(error: &str) -> Answer {
    Answer::Is(TaskOutcome::Failed(Failure::new(error, "scripted")))
}

fn submitted(output: Value) -> Answer {
    Answer::Is(TaskOutcome::Submitted(output.into()))
}

/// Keeps the status events it is told.
#[derive(Default)]
struct Heard {
    events: Mutex<Vec<StatusChange>>,
    refusals: Mutex<u32>,
    told: tokio::sync::Notify,
}

impl Heard {
    fn statuses(&self) -> Vec<String> {
        let events = self.events.lock().expect("no test panics with it");
        events.iter().map(|event| event.status.to_string()).collect()
    }

    async fn until(&self, count: usize) -> Vec<String> {
        loop {
            let told = self.told.notified();
            let statuses = self.statuses();
            if statuses.len() >= count {
                return statuses;
            }
            told.await;
        }
    }
}

impl Heard {
    /// Waits for a status however often others are told again, as a death before their delivery is noted has it.
    async fn until_told(&self, status: &str) {
        let mut count = 1;
        while !self.until(count).await.iter().any(|told| told == status) {
            count += 1;
        }
    }
}

impl StatusEvents for Heard {
    fn wants(&self, _state_machine_arn: &str, _status: Status) -> bool {
        true
    }

    fn publish(&self, event: StatusChange) -> PublishFuture<'_> {
        Box::pin(async move {
            {
                let mut refusals = self.refusals.lock().expect("no test panics with it");
                if *refusals > 0 {
                    *refusals -= 1;
                    return Err("not now".into());
                }
            }
            self.events.lock().expect("no test panics with it").push(event);
            self.told.notify_waiters();
            Ok(())
        })
    }
}

/// An engine over a directory of its own, with a clock that stands still until it is moved.
struct World {
    directory: TempDir,
    clock: Clock,
    tasks: Arc<Script>,
    heard: Arc<Heard>,
    faults: Faults,
}

impl World {
    fn new(tasks: Arc<Script>) -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            clock: Clock::still(dawn()),
            tasks,
            heard: Arc::default(),
            faults: Faults::default(),
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn config(&self) -> Config {
        Config {
            data_dir: DataDir::take(self.path()).expect("a directory of its own"),
            region: "us-west-2".to_owned(),
            clock: self.clock.clone(),
            tasks: self.tasks.clone(),
            status_events: self.heard.clone(),
            subjects: std::collections::BTreeMap::new(),
        }
    }

    async fn open(&self) -> Engine {
        let opened = Engine::open_with(self.config(), self.faults.clone()).await;
        opened.expect("the engine opens")
    }
}

fn machine(name: &str, definition: &Value) -> NewStateMachine {
    NewStateMachine {
        name: name.into(),
        machine_type: MachineType::Standard,
        definition: definition.to_string().into(),
        role_arn: "arn:aws:iam::000000000000:role/engine".into(),
        settings: Value::Null,
    }
}

async fn create(engine: &Engine, definition: &Value) -> Arc<str> {
    let created = engine.create_state_machine(machine("m", definition)).await;
    created.expect("a valid definition").arn
}

fn start(machine: &Arc<str>, name: &str, input: Value) -> StartExecution {
    StartExecution {
        state_machine_arn: machine.clone(),
        name: Some(name.into()),
        input: input.into(),
        parent: None,
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:states:us-west-2:000000000000:execution:m:{name}")
}

/// A Task state for a function of this name, and what follows.
fn task(function: &str, rest: Value) -> Value {
    let mut state = json!({
        "Type": "Task",
        "Resource": format!("arn:aws:lambda:us-west-2:000000000000:function:{function}"),
    });
    for (key, value) in rest.as_object().expect("an object") {
        state[key] = value.clone();
    }
    state
}

fn function(name: &str) -> String {
    format!("arn:aws:lambda:us-west-2:000000000000:function:{name}")
}

async fn events(engine: &Engine, name: &str) -> Vec<asl::Event> {
    let page = engine.history(&arn(name), HistoryRange::default(), 100_000).await;
    page.expect("a history").events
}

/// The types of an execution's events, in order.
async fn types(engine: &Engine, name: &str) -> Vec<String> {
    let events = events(engine, name).await;
    events.iter().map(|event| event.kind.type_name().to_string()).collect()
}

fn two_steps() -> Value {
    json!({ "StartAt": "First", "States": {
        "First": task("first", json!({ "Next": "Second" })),
        "Second": task("second", json!({ "End": true })),
    }})
}

fn waits(seconds: u64) -> Value {
    json!({ "StartAt": "Wait", "States": { "Wait": { "Type": "Wait", "Seconds": seconds, "End": true } } })
}
