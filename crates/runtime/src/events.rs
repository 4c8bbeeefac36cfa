//! EventBridge: the default bus, the template's rules and schedules, and what is owed to their targets.
//!
//! An event is matched when it is put, and what that owes is on disk before [`Bus::put`] returns: each delivery is made
//! at least once, also when the process is killed in between. Functions are called as Lambda calls them asynchronously:
//! two more attempts after a failure, a minute and then two later; a state machine's execution has a name made of the
//! event and the rule, so that a second delivery of the same event starts nothing.
//!
//! A schedule whose moment passed while nothing ran fires once at the start, for the last moment kept, and then goes on
//! in its beat: AWS would have fired, but catching up on a week of minutes helps nobody.

mod api;
mod outbox;
mod pattern;
mod schedule;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::{self, JoinSet};

use self::outbox::{Delivery, Outbox, Owed};
use crate::aws::{Answer, Answering, Service};
use crate::clock::{Bell, Clock};
use crate::lambda::{Invocation, Invoke, InvokeError};
use crate::template::{AsyncInvoke, Rule, Target, TargetInput};

pub use self::pattern::Pattern;
pub use self::schedule::Schedule;

/// The account of everything here.
const ACCOUNT: &str = "000000000000";

/// How many deliveries may be under way at once: a burst of events must not take every sandbox.
const MAX_FLYING: usize = 32;

/// How long EventBridge goes on trying to start an execution.
const START_AGE: TimeDelta = TimeDelta::hours(24);

/// How long Lambda waits at most before it tries again what it could not call.
const LONGEST_BACKOFF: TimeDelta = TimeDelta::minutes(5);

/// How soon a failed look at the outbox is repeated.
const AFTER_ERROR: TimeDelta = TimeDelta::seconds(1);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not open the events' outbox {path}")]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("could not start the events' thread")]
    Thread(#[source] std::io::Error),
    #[error("the events' outbox failed")]
    Outbox(#[source] rusqlite::Error),
    #[error("the events' outbox could not be written")]
    NotCommitted,
    #[error("the events' outbox has stopped")]
    Stopped,
    #[error("rule {rule} cannot be used")]
    Pattern {
        rule: String,
        #[source]
        source: pattern::Invalid,
    },
    #[error("schedule {schedule} cannot be used")]
    Schedule {
        schedule: String,
        #[source]
        source: schedule::Invalid,
    },
    #[error("two rules or schedules are named {0}")]
    Twice(String),
    #[error("rule {rule}: InputPath {path:?} is not a path")]
    InputPath { rule: String, path: String },
}

/// An event on its way to the bus.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Tells events apart: the same id again, while it is owed, is the same event.
    pub id: String,
    pub source: String,
    pub detail_type: String,
    pub resources: Vec<String>,
    pub time: DateTime<Utc>,
    pub detail: Value,
}

impl Event {
    /// The event in AWS's envelope.
    fn envelope(&self, region: &str) -> Value {
        json!({
            "version": "0",
            "id": self.id,
            "detail-type": self.detail_type,
            "source": self.source,
            "account": ACCOUNT,
            "time": self.time.to_rfc3339_opts(SecondsFormat::Secs, true),
            "region": region,
            "resources": self.resources,
            "detail": self.detail,
        })
    }
}

/// An execution that a rule starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    pub state_machine_arn: String,
    pub name: String,
    pub input: String,
}

/// Why an execution was not started.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StartError {
    /// It would be refused again: the state machine is not there, the input is too long.
    #[error("refused: {0}")]
    Refused(String),
    /// It may be taken later.
    #[error("not available: {0}")]
    Unavailable(String),
}

pub type Starting<'a> = Pin<Box<dyn Future<Output = Result<(), StartError>> + Send + 'a>>;

/// What starts executions. An execution of that name that is there already counts as started.
pub trait Start: Send + Sync + 'static {
    fn start(&self, execution: Execution) -> Starting<'_>;
}

/// What a bus needs.
pub struct Config<'a> {
    /// The outbox's file.
    pub path: &'a Path,
    pub region: &'a str,
    pub rules: &'a [Rule],
    pub schedules: &'a [crate::template::Schedule],
    /// How functions are retried, by name; Lambda's own way for those that are not here.
    pub async_invoke: BTreeMap<String, AsyncInvoke>,
    pub invoke: Arc<dyn Invoke>,
    pub start: Arc<dyn Start>,
    pub clock: Clock,
}

/// When each schedule is due next, as the outbox has it; `None` for one that is over.
type Ticks = BTreeMap<String, Option<DateTime<Utc>>>;

/// The default event bus; clones share it.
#[derive(Clone)]
pub struct Bus {
    shared: Arc<Shared>,
}

struct Shared {
    region: String,
    rules: BTreeMap<String, Bound>,
    outbox: Outbox,
    /// Rung when something new is owed.
    owed: Bell,
    async_invoke: BTreeMap<String, AsyncInvoke>,
    invoke: Arc<dyn Invoke>,
    start: Arc<dyn Start>,
    clock: Clock,
}

/// A rule or schedule and its target.
struct Bound {
    trigger: Trigger,
    target: Target,
    input: Input,
}

enum Trigger {
    Pattern(Pattern),
    Schedule { schedule: Schedule, expression: String },
}

/// What the target gets of an event.
enum Input {
    Event,
    Constant(String),
    /// Members and indexes from the event's root.
    Path(Vec<Step>),
}

enum Step {
    Member(String),
    Index(usize),
}

impl Bus {
    /// Reads the rules and opens the outbox. Nothing is delivered before [`Bus::run`]. Blocks on the disk.
    pub fn open(config: Config<'_>) -> Result<Self, Error> {
        let mut rules = BTreeMap::new();
        let mut bind = |name: &str, trigger, target: &Target, input: &TargetInput| {
            let bound = Bound {
                trigger,
                target: target.clone(),
                input: Input::of(name, input)?,
            };
            match rules.insert(name.to_owned(), bound) {
                None => Ok(()),
                Some(_) => Err(Error::Twice(name.to_owned())),
            }
        };
        for rule in config.rules.iter().filter(|rule| rule.enabled) {
            let pattern = Pattern::parse(&rule.pattern);
            let pattern = pattern.map_err(|source| Error::Pattern {
                rule: rule.name.clone(),
                source,
            })?;
            bind(&rule.name, Trigger::Pattern(pattern), &rule.target, &rule.input)?;
        }
        for wanted in config.schedules.iter().filter(|schedule| schedule.enabled) {
            let schedule = Schedule::parse(&wanted.expression);
            let schedule = schedule.map_err(|source| Error::Schedule {
                schedule: wanted.name.clone(),
                source,
            })?;
            let trigger = Trigger::Schedule {
                schedule,
                expression: wanted.expression.clone(),
            };
            bind(&wanted.name, trigger, &wanted.target, &wanted.input)?;
        }
        let shared = Shared {
            region: config.region.to_owned(),
            rules,
            outbox: Outbox::open(config.path)?,
            owed: Bell::new(config.clock.clone()),
            async_invoke: config.async_invoke,
            invoke: config.invoke,
            start: config.start,
            clock: config.clock,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Takes an event. What its rules owe their targets is on disk when this returns.
    pub async fn put(&self, event: Event) -> Result<(), Error> {
        self.put_all(&[event]).await
    }

    /// Takes several events, all or none.
    pub async fn put_all(&self, events: &[Event]) -> Result<(), Error> {
        let mut owed = Vec::new();
        for event in events {
            let envelope = event.envelope(&self.shared.region);
            for (name, rule) in &self.shared.rules {
                if matches!(&rule.trigger, Trigger::Pattern(pattern) if pattern.matches(&envelope)) {
                    owed.push(rule.owe(name, &event.id, &envelope));
                }
            }
        }
        if !owed.is_empty() {
            self.shared.outbox.add(owed, self.shared.clock.now()).await?;
            self.shared.owed.ring();
        }
        Ok(())
    }

    /// How many deliveries are owed.
    pub async fn owed(&self) -> Result<u64, Error> {
        self.shared.outbox.count().await
    }

    /// Forgets what is owed and when schedules are due.
    pub async fn reset(&self) -> Result<(), Error> {
        self.shared.outbox.clear().await
    }

    /// Performs one operation of the EventBridge API.
    pub async fn handle(&self, operation: &str, body: Bytes) -> Answer {
        api::handle(self, operation, &body).await
    }

    /// Delivers what is owed and fires schedules; never returns.
    ///
    /// Dropped, it leaves deliveries under way undone, to be made again at the next start.
    pub async fn run(&self) {
        let mut ticks = BTreeMap::new();
        let mut flying = HashMap::new();
        let mut deliveries = JoinSet::new();
        let mut busy = Some(self.shared.clock.busy());
        loop {
            let now = self.shared.clock.now();
            let mut unseen = false;
            let wake = match self.launch(now, &mut ticks, &mut flying, &mut deliveries).await {
                Ok(wake) => wake,
                Err(error) => {
                    tracing::error!(error = %error, "could not see which events are owed");
                    unseen = true;
                    Some(now + AFTER_ERROR)
                }
            };
            let sleep = async {
                match wake {
                    Some(due) => self.shared.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            // What is due but does not fly waits for what flies; what waits for its retry does not hold the clock.
            if flying.is_empty() && !unseen {
                busy = None;
            } else if busy.is_none() {
                busy = Some(self.shared.clock.busy());
            }
            tokio::select! {
                rung = self.shared.owed.heard() => busy = Some(rung),
                () = sleep => {}
                Some(landed) = deliveries.join_next_with_id() => {
                    let (task, panicked) = landed.map_or_else(|error| (error.id(), true), |(task, ())| (task, false));
                    if let Some(id) = flying.remove(&task).filter(|_| panicked) {
                        // Made again, it would panic again, and at once.
                        tracing::error!(id, "event dropped: its delivery panicked");
                        self.forget(id).await;
                    }
                }
            }
        }
    }

    /// Sends off what is due; when something is due next.
    async fn launch(
        &self,
        now: DateTime<Utc>,
        ticks: &mut Ticks,
        flying: &mut HashMap<task::Id, i64>,
        deliveries: &mut JoinSet<()>,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        self.fire(now, ticks).await?;
        let free = MAX_FLYING.saturating_sub(flying.len());
        if 0 < free {
            // What flies is still on disk and due: asking for as many more finds enough others.
            let due = self.shared.outbox.due(now, MAX_FLYING + flying.len()).await?;
            let grounded = |delivery: &Delivery| flying.values().all(|id| *id != delivery.id);
            let due: Vec<Delivery> = due.into_iter().filter(grounded).take(free).collect();
            for delivery in due {
                let (bus, id) = (self.clone(), delivery.id);
                let task = deliveries.spawn(async move { bus.deliver(delivery).await });
                flying.insert(task.id(), id);
            }
        }
        let retry = self.shared.outbox.next_due(now).await?;
        Ok(ticks.values().flatten().copied().chain(retry).min())
    }

    /// Fires the schedules that are due.
    async fn fire(&self, now: DateTime<Utc>, ticks: &mut Ticks) -> Result<(), Error> {
        for (name, rule) in &self.shared.rules {
            let Trigger::Schedule { schedule, expression } = &rule.trigger else {
                continue;
            };
            let kept = match ticks.get(name) {
                Some(None) => continue,
                Some(kept) => *kept,
                None => self.shared.outbox.scheduled(name.clone(), expression.clone()).await?,
            };
            if let Some(due) = kept.filter(|due| now < *due) {
                ticks.insert(name.clone(), Some(due));
                continue;
            }
            // New, or due: the next moment is written together with what this one owes.
            let owed = kept.map(|due| self.tick(name, rule, due));
            let due = schedule.next(kept.unwrap_or(now), now);
            let kept_due = due.unwrap_or(DateTime::<Utc>::MAX_UTC);
            self.shared
                .outbox
                .reschedule(name.clone(), expression.clone(), owed, now, kept_due)
                .await?;
            ticks.insert(name.clone(), due);
        }
        Ok(())
    }

    /// What a schedule owes for its moment `due`.
    fn tick(&self, name: &str, rule: &Bound, due: DateTime<Utc>) -> Owed {
        let event = Event {
            id: made_up_id(&[name, &due.to_rfc3339()]),
            source: "aws.events".to_owned(),
            detail_type: "Scheduled Event".to_owned(),
            resources: vec![format!("arn:aws:events:{}:{ACCOUNT}:rule/{name}", self.shared.region)],
            time: due,
            detail: json!({}),
        };
        rule.owe(name, &event.id, &event.envelope(&self.shared.region))
    }

    /// Makes one attempt at a delivery and writes down what became of it.
    async fn deliver(&self, mut delivery: Delivery) {
        let outcome = match self.shared.rules.get(&delivery.rule) {
            None => Outcome::GivenUp("the rule is not in the template any more".to_owned()),
            Some(rule) => match &rule.target {
                Target::Function(name) => self.call(name, &delivery).await,
                Target::StateMachine(arn) => self.start(arn, &delivery).await,
            },
        };
        let now = self.shared.clock.now();
        let (backoff, age, why) = match outcome {
            Outcome::Delivered => return self.settle(&delivery, None).await,
            Outcome::GivenUp(why) => {
                tracing::error!(rule = delivery.rule, event = delivery.event_id, why, "event dropped");
                return self.settle(&delivery, None).await;
            }
            Outcome::Failed { retry, age, why } => {
                delivery.failures += 1;
                let backoff = (delivery.failures <= retry).then(|| TimeDelta::minutes(delivery.failures.into()));
                (backoff, age, why)
            }
            Outcome::Refused { age, why } => {
                let backoff = TimeDelta::seconds(1 << delivery.refusals.min(9)).min(LONGEST_BACKOFF);
                delivery.refusals += 1;
                (Some(backoff), age, why)
            }
        };
        let due = backoff
            .map(|backoff| now + backoff)
            .filter(|due| *due <= delivery.created + age);
        match due {
            Some(due) => {
                tracing::warn!(rule = delivery.rule, event = delivery.event_id, why, %due, "event to be delivered again");
                self.settle(&delivery, Some(due)).await;
            }
            None => {
                let attempts = delivery.failures + delivery.refusals;
                tracing::error!(
                    rule = delivery.rule,
                    event = delivery.event_id,
                    why,
                    attempts,
                    "event dropped"
                );
                self.settle(&delivery, None).await;
            }
        }
    }

    /// Writes down that a delivery is over, or when it is due again.
    async fn settle(&self, delivery: &Delivery, due: Option<DateTime<Utc>>) {
        match due {
            None => self.forget(delivery.id).await,
            Some(due) => {
                if let Err(error) = self.shared.outbox.postpone(delivery, due).await {
                    tracing::error!(rule = delivery.rule, event = delivery.event_id, %error, "could not postpone");
                }
            }
        }
    }

    async fn forget(&self, id: i64) {
        if let Err(error) = self.shared.outbox.remove(id).await {
            // It is still owed, so it will be made again.
            tracing::error!(id, %error, "could not forget a delivery");
        }
    }

    async fn call(&self, function: &str, delivery: &Delivery) -> Outcome {
        let settings = self.shared.async_invoke.get(function).copied().unwrap_or_default();
        let age = TimeDelta::from_std(settings.maximum_event_age).unwrap_or(TimeDelta::MAX);
        let payload = Bytes::from(delivery.payload.clone());
        match self
            .shared
            .invoke
            .invoke(Invocation {
                function: function.to_owned(),
                payload,
            })
            .await
        {
            Ok(_) => Outcome::Delivered,
            Err(error @ InvokeError::Function { .. }) => Outcome::Failed {
                retry: settings.maximum_retry_attempts,
                age,
                why: error.to_string(),
            },
            Err(InvokeError::Service { code, status, message }) => {
                let why = format!("{code}: {message}");
                if status == 429 || 500 <= status {
                    Outcome::Refused { age, why }
                } else {
                    Outcome::GivenUp(why)
                }
            }
        }
    }

    async fn start(&self, state_machine_arn: &str, delivery: &Delivery) -> Outcome {
        let suffix = made_up_id(&[&delivery.event_id, &delivery.rule]);
        // An event id is at most as long as a UUID, or is made as short: a name has 80 characters.
        let id = match delivery.event_id.len() {
            ..=36 => delivery.event_id.clone(),
            _ => made_up_id(&[&delivery.event_id]),
        };
        let execution = Execution {
            state_machine_arn: state_machine_arn.to_owned(),
            name: format!("{id}_{suffix}"),
            input: delivery.payload.clone(),
        };
        match self.shared.start.start(execution).await {
            Ok(()) => Outcome::Delivered,
            Err(StartError::Refused(why)) => Outcome::GivenUp(why),
            Err(StartError::Unavailable(why)) => Outcome::Refused { age: START_AGE, why },
        }
    }
}

impl Service for Bus {
    fn handle<'a>(&'a self, operation: &'a str, body: Bytes) -> Answering<'a> {
        Box::pin(self.handle(operation, body))
    }
}

/// What became of an attempt.
enum Outcome {
    Delivered,
    GivenUp(String),
    /// The function failed: it is called again that often, while the event is not older than `age`.
    Failed {
        retry: u32,
        age: TimeDelta,
        why: String,
    },
    /// The target could not be reached: tried again while the event is not older than `age`.
    Refused {
        age: TimeDelta,
        why: String,
    },
}

impl Bound {
    fn owe(&self, name: &str, event_id: &str, envelope: &Value) -> Owed {
        let payload = match &self.input {
            Input::Event => envelope.to_string(),
            Input::Constant(text) => text.clone(),
            Input::Path(steps) => {
                let part = steps.iter().try_fold(envelope, |value, step| match step {
                    Step::Member(name) => value.get(name),
                    Step::Index(index) => value.get(index),
                });
                part.unwrap_or(&Value::Null).to_string()
            }
        };
        Owed {
            event_id: event_id.to_owned(),
            rule: name.to_owned(),
            payload,
        }
    }
}

impl Input {
    fn of(rule: &str, input: &TargetInput) -> Result<Self, Error> {
        Ok(match input {
            TargetInput::Event => Self::Event,
            TargetInput::Constant(text) => Self::Constant(text.clone()),
            TargetInput::Path(path) => {
                let steps = steps(path).ok_or_else(|| Error::InputPath {
                    rule: rule.to_owned(),
                    path: path.clone(),
                });
                Self::Path(steps?)
            }
        })
    }
}

/// The steps of `$.detail.steps[0]['name']`, all that EventBridge takes of JSONPath.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(named) = rest.strip_prefix('.') {
            let end = named.find(['.', '[']).unwrap_or(named.len());
            let (name, after) = named.split_at(end);
            if name.is_empty() || name.contains(['*', ' ']) {
                return None;
            }
            steps.push(Step::Member(name.to_owned()));
            rest = after;
        } else {
            let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(
                match inside.strip_prefix('\'').and_then(|inside| inside.strip_suffix('\'')) {
                    Some(name) => Step::Member(name.to_owned()),
                    None => Step::Index(inside.parse().ok()?),
                },
            );
            rest = after;
        }
    }
    Some(steps)
}

/// An id in the form of a UUID that is the same for the same parts.
fn made_up_id(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    let digest: [u8; 32] = digest.finalize().into();
    let bytes = digest.first_chunk().expect("a SHA-256 has 32 bytes");
    uuid::Builder::from_random_bytes(*bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests;
