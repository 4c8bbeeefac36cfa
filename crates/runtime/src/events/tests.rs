use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Bus, Config, Error, Event, Execution, Start, StartError, Starting, steps};
use crate::clock::Clock;
use crate::lambda::{self, Invocation, Invoke, InvokeError};
use crate::template::{Position, Rule, Schedule, Target, TargetInput};

/// Answers as scripted, successes when the script is over, and tells of each call.
struct Script {
    answers: Mutex<VecDeque<Result<(), InvokeError>>>,
    starts: Mutex<VecDeque<Result<(), StartError>>>,
    calls: mpsc::UnboundedSender<(String, String)>,
}

impl Invoke for Script {
    fn invoke(&self, invocation: Invocation) -> lambda::Answer<'_> {
        let payload = String::from_utf8(invocation.payload.to_vec()).unwrap();
        self.calls.send((invocation.function, payload)).unwrap();
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()));
        Box::pin(async { answer.map(|()| Bytes::from_static(b"null")) })
    }
}

impl Start for Script {
    fn start(&self, execution: Execution) -> Starting<'_> {
        self.calls.send((execution.name, execution.input)).unwrap();
        let answer = self.starts.lock().unwrap().pop_front().unwrap_or(Ok(()));
        Box::pin(async { answer })
    }
}

struct World {
    directory: tempfile::TempDir,
    clock: Clock,
    script: Arc<Script>,
    calls: mpsc::UnboundedReceiver<(String, String)>,
    rules: Vec<Rule>,
    schedules: Vec<Schedule>,
}

const NOWHERE: Position = Position { line: 1, column: 1 };

fn rule(name: &str, target: Target, input: TargetInput) -> Rule {
    let pattern = json!({"source": ["app"], "detail": {"status": ["FAILED"]}});
    Rule {
        name: name.to_owned(),
        enabled: true,
        pattern,
        target,
        input,
        position: NOWHERE,
    }
}

fn function(name: &str) -> Target {
    Target::Function(name.to_owned())
}

fn machine() -> Target {
    Target::StateMachine("arn:aws:states:us-west-2:000000000000:stateMachine:sla".to_owned())
}

fn every(expression: &str) -> Schedule {
    Schedule {
        name: "sweep".to_owned(),
        expression: expression.to_owned(),
        enabled: true,
        target: function("sweep"),
        input: TargetInput::Event,
        position: NOWHERE,
    }
}

fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn failed() -> Event {
    Event {
        id: "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed".to_owned(),
        source: "app".to_owned(),
        detail_type: "Change".to_owned(),
        resources: vec!["arn:a".to_owned()],
        time: noon(),
        detail: json!({"status": "FAILED", "steps": [{"name": "store"}]}),
    }
}

fn broken() -> Result<(), InvokeError> {
    Err(InvokeError::Function {
        payload: Bytes::from_static(b"{\"errorType\":\"Broken\"}"),
    })
}

fn throttled() -> Result<(), InvokeError> {
    Err(InvokeError::Service {
        code: "TooManyRequestsException",
        status: 429,
        message: String::new(),
    })
}

impl World {
    fn new(rules: Vec<Rule>, schedules: Vec<Schedule>) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let script = Script {
            answers: Mutex::default(),
            starts: Mutex::default(),
            calls: sender,
        };
        let directory = tempfile::tempdir().unwrap();
        Self {
            directory,
            clock: Clock::still(noon()),
            script: Arc::new(script),
            calls,
            rules,
            schedules,
        }
    }

    fn bus(&self) -> Bus {
        self.open().unwrap()
    }

    fn open(&self) -> Result<Bus, Error> {
        Bus::open(Config {
            path: &self.directory.path().join("events.db"),
            region: "us-west-2",
            rules: &self.rules,
            schedules: &self.schedules,
            async_invoke: [].into(),
            invoke: self.script.clone(),
            start: self.script.clone(),
            clock: self.clock.clone(),
        })
    }

    fn called(&mut self) -> Vec<(String, String)> {
        std::iter::from_fn(|| self.calls.try_recv().ok()).collect()
    }

    /// Makes each delivery that is due now; how many those were.
    async fn deliver(&self, bus: &Bus) -> usize {
        let due = bus.shared.outbox.due(self.clock.now(), 100).await.unwrap();
        let n_due = due.len();
        for delivery in due {
            bus.deliver(delivery).await;
        }
        n_due
    }

    fn after(&self, minutes: i64) {
        self.clock.jump_to(noon() + TimeDelta::minutes(minutes));
    }
}

#[tokio::test]
async fn an_event_goes_to_each_rule_that_wants_it_in_the_shape_it_wants() {
    let path = |path: &str| TargetInput::Path(path.to_owned());
    let mut other = rule("other", function("other"), TargetInput::Event);
    other.pattern = json!({"source": ["elsewhere"]});
    let mut off = rule("off", function("off"), TargetInput::Event);
    off.enabled = false;
    let mut world = World::new(
        vec![
            rule("a", function("whole"), TargetInput::Event),
            rule("b", function("part"), path("$.detail['steps'][0].name")),
            rule("c", function("constant"), TargetInput::Constant("{\"x\":1}".to_owned())),
            rule("d", function("missing"), path("$.detail.nothing")),
            other,
            off,
        ],
        Vec::new(),
    );
    let bus = world.bus();
    bus.put(failed()).await.unwrap();
    world.deliver(&bus).await;
    let called = world.called();
    let names: Vec<&str> = called.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["whole", "part", "constant", "missing"]);
    let envelope: Value = serde_json::from_str(&called[0].1).unwrap();
    let expected = json!({
        "version": "0",
        "id": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        "detail-type": "Change",
        "source": "app",
        "account": "000000000000",
        "time": "2026-11-21T12:00:00Z",
        "region": "us-west-2",
        "resources": ["arn:a"],
        "detail": {"status": "FAILED", "steps": [{"name": "store"}]},
    });
    assert_eq!(envelope, expected);
    assert_eq!(called[1].1, "\"store\"");
    assert_eq!(called[2].1, "{\"x\":1}");
    assert_eq!(called[3].1, "null");
    assert_eq!(bus.owed().await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_owed_outlives_the_process_and_is_owed_once() {
    let mut world = World::new(vec![rule("a", function("f"), TargetInput::Event)], Vec::new());
    let bus = world.bus();
    bus.put(failed()).await.unwrap();
    bus.put(failed()).await.unwrap();
    drop(bus);
    let bus = world.bus();
    assert_eq!(world.deliver(&bus).await, 1);
    assert_eq!(world.called().len(), 1);
    assert_eq!(world.deliver(&bus).await, 0);
}

#[tokio::test]
async fn a_function_that_fails_is_called_twice_more_after_one_and_two_minutes() {
    let mut world = World::new(vec![rule("a", function("f"), TargetInput::Event)], Vec::new());
    world
        .script
        .answers
        .lock()
        .unwrap()
        .extend([broken(), broken(), broken()]);
    let bus = world.bus();
    bus.put(failed()).await.unwrap();
    let mut calls_by_minute = Vec::new();
    for minute in 0..6 {
        world.after(minute);
        calls_by_minute.push(world.deliver(&bus).await);
    }
    assert_eq!(calls_by_minute, [1, 1, 0, 1, 0, 0]);
    assert_eq!(world.called().len(), 3);
    assert_eq!(bus.owed().await.unwrap(), 0);
}

#[tokio::test]
async fn throttling_does_not_count_as_failing_and_ends_when_the_event_is_too_old() {
    let world = World::new(vec![rule("a", function("f"), TargetInput::Event)], Vec::new());
    world
        .script
        .answers
        .lock()
        .unwrap()
        .extend(std::iter::repeat_with(throttled).take(50));
    let bus = world.bus();
    bus.put(failed()).await.unwrap();
    for minute in 0..40 {
        world.after(minute * 5);
        assert_eq!(world.deliver(&bus).await, 1, "after {minute} times five minutes");
    }
    world.after(6 * 60);
    world.deliver(&bus).await;
    assert_eq!(bus.owed().await.unwrap(), 0);
}

#[tokio::test]
async fn a_state_machine_is_started_by_the_same_name_each_time() {
    let mut world = World::new(vec![rule("a", machine(), TargetInput::Event)], Vec::new());
    let unavailable = || Err(StartError::Unavailable("busy".to_owned()));
    world
        .script
        .starts
        .lock()
        .unwrap()
        .extend([unavailable(), unavailable(), Ok(())]);
    let bus = world.bus();
    let mut event = failed();
    bus.put(event.clone()).await.unwrap();
    for minute in 0..4 {
        world.after(minute);
        world.deliver(&bus).await;
    }
    let called = world.called();
    assert_eq!(called.len(), 3);
    assert!(
        called[0].0.starts_with(&event.id) && called[0].0.len() <= 80,
        "{}",
        called[0].0
    );
    assert!(called.iter().all(|call| call == &called[0]));
    assert_eq!(bus.owed().await.unwrap(), 0);

    event.id = "x".repeat(500);
    world
        .script
        .starts
        .lock()
        .unwrap()
        .push_back(Err(StartError::Refused("no such machine".to_owned())));
    bus.put(event).await.unwrap();
    world.deliver(&bus).await;
    assert!(world.called()[0].0.len() <= 80);
    assert_eq!(bus.owed().await.unwrap(), 0);
}

#[tokio::test]
async fn a_schedule_fires_at_its_moments_as_aws_says_it() {
    let mut world = World::new(Vec::new(), vec![every("rate(5 minutes)")]);
    let bus = world.bus();
    let running = tokio::spawn(async move { bus.run().await });
    // The first look at the clock is what the rate starts from: it is over once a moment has been written.
    let written = world.bus();
    while written
        .shared
        .outbox
        .scheduled("sweep".to_owned(), "rate(5 minutes)".to_owned())
        .await
        .unwrap()
        .is_none()
    {
        tokio::task::yield_now().await;
    }
    for minutes in [5, 10] {
        world.after(minutes);
        let (function, payload) = world.calls.recv().await.unwrap();
        assert_eq!(function, "sweep");
        let event: Value = serde_json::from_str(&payload).unwrap();
        assert_eq!(event["time"], format!("2026-11-21T12:{minutes:02}:00Z"));
        assert_eq!(event["source"], "aws.events");
        assert_eq!(event["detail-type"], "Scheduled Event");
        assert_eq!(
            event["resources"],
            json!(["arn:aws:events:us-west-2:000000000000:rule/sweep"])
        );
        assert_eq!(event["detail"], json!({}));
    }
    running.abort();
}

#[tokio::test]
async fn moments_missed_while_nothing_ran_fire_once() {
    let mut world = World::new(Vec::new(), vec![every("cron(0/5 * * * ? *)")]);
    let bus = world.bus();
    bus.fire(noon(), &mut [].into()).await.unwrap();
    drop(bus);
    world.after(63);
    let bus = world.bus();
    let mut ticks = [].into();
    bus.fire(world.clock.now(), &mut ticks).await.unwrap();
    bus.fire(world.clock.now(), &mut ticks).await.unwrap();
    assert_eq!(ticks["sweep"], Some(noon() + TimeDelta::minutes(65)));
    assert_eq!(world.deliver(&bus).await, 1);
    let event: Value = serde_json::from_str(&world.called()[0].1).unwrap();
    assert_eq!(event["time"], "2026-11-21T12:05:00Z");
}

#[tokio::test]
async fn put_events_takes_the_good_entries_and_names_the_others() {
    let mut world = World::new(
        vec![rule("a", function("f"), TargetInput::Path("$.detail".to_owned()))],
        Vec::new(),
    );
    let bus = world.bus();
    let good =
        json!({"Source": "app", "DetailType": "Change", "Detail": "{\"status\":\"FAILED\"}", "Time": 1763726400.5});
    let without = |field: &str| {
        let mut entry = good.clone();
        entry.as_object_mut().unwrap().remove(field);
        entry
    };
    let with = |field: &str, value: &str| {
        let mut entry = good.clone();
        entry[field] = json!(value);
        entry
    };
    let entries = json!({"Entries": [
        good,
        without("DetailType"),
        with("Detail", "[1]"),
        with("Detail", "{"),
        with("Source", "aws.states"),
        with("EventBusName", "arn:aws:events:us-west-2:000000000000:event-bus/default"),
        with("EventBusName", "other"),
    ]});
    let answer = bus.handle("PutEvents", Bytes::from(entries.to_string())).await;
    assert_eq!(answer.status, 200);
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["FailedEntryCount"], 4);
    let codes: Vec<&str> = answer["Entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["ErrorCode"].as_str().unwrap_or("-"))
        .collect();
    let malformed = "MalformedDetail";
    assert_eq!(
        codes,
        [
            "-",
            "InvalidArgument",
            malformed,
            malformed,
            "NotAuthorizedForSourceException",
            "-",
            "-"
        ]
    );
    world.deliver(&bus).await;
    assert_eq!(
        world.called(),
        vec![("f".to_owned(), "{\"status\":\"FAILED\"}".to_owned()); 2]
    );

    let large = with("Detail", &format!("{{\"x\":\"{}\"}}", "y".repeat(256 << 10)));
    for (body, code) in [
        (json!({"Entries": []}), "ValidationException"),
        (json!({"Entries": vec![good.clone(); 11]}), "ValidationException"),
        (json!({"Entries": [large]}), "ValidationException"),
        (json!({"Entries": 1}), "SerializationException"),
    ] {
        let answer = bus.handle("PutEvents", Bytes::from(body.to_string())).await;
        let error: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, error["__type"].as_str()), (400, Some(code)));
    }
    assert_eq!(bus.handle("PutRule", Bytes::from_static(b"{}")).await.status, 400);
}

#[test]
fn rules_and_schedules_that_cannot_work_are_refused_by_name() {
    let open = |rules, schedules| World::new(rules, schedules).open().err().unwrap().to_string();
    let mut wrong = rule("wrong", function("f"), TargetInput::Event);
    wrong.pattern = json!({"source": "app"});
    assert_eq!(open(vec![wrong], Vec::new()), "rule wrong cannot be used");
    assert_eq!(
        open(Vec::new(), vec![every("rate(1 minutes)")]),
        "schedule sweep cannot be used"
    );
    let twice = vec![rule("sweep", function("f"), TargetInput::Event)];
    assert_eq!(
        open(twice, vec![every("rate(1 minute)")]),
        "two rules or schedules are named sweep"
    );
    for path in ["detail", "$.", "$..a", "$.a[", "$.a[*]", "$.a[x]", "$a"] {
        assert!(steps(path).is_none(), "{path}");
    }
}
