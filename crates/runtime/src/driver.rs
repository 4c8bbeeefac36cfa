//! Durable executions: trigger, advance, append, perform.
//!
//! [`Engine`] brings every trigger (an API call, a task's result, a timer) to its execution, lets the interpreter take
//! it in, has the events written, and only when they are on disk performs what they owe: calls of tasks, status
//! events, the next timer. Nothing is owed in memory alone: after a restart the same questions are asked of the log.
//!
//! An execution's state is the fold of its log; those kept in memory are a bounded cache. Each has a lock of its own,
//! held across the append, so that triggers of one execution take turns and those of different ones share commits.

mod activities;
mod aliases;
mod cache;
mod calls;
mod error;
mod executions;
mod express;
mod feed;
mod machines;
mod map_runs;
mod overview;
mod probe;
mod skip;
mod status;
#[cfg(test)]
mod tests;
mod timer;
mod transition;
mod upkeep;
mod versions;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use asl::Moment;
use chrono::{DateTime, SubsecRound, Utc};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::clock::{Bell, Clock};
use crate::history::{self, DataDir, Faults, History};

pub use activities::{ActivityRecord, ActivityTask};
pub use aliases::{AliasRecord, AliasUpdate, FULL_WEIGHT, NewAlias, Route};
pub use calls::{TaskCall, TaskFuture, TaskOutcome, Tasks};
pub use error::{Error, NotRedrivable};
pub use executions::{
    ExecutionFilter, ExecutionRecord, ExecutionSummary, ExecutionsPage, HistoryPage, HistoryRange, Redriven,
    StartExecution,
};
pub(crate) use feed::Since;
pub use machines::{INITIAL_REVISION, NewStateMachine, StateMachineUpdate};
pub use map_runs::MapRun;
pub(crate) use overview::Known;
pub use status::{PublishError, PublishFuture, StatusChange, StatusEvents};
pub use versions::{Publish, VersionRecord};
pub(crate) use versions::{Qualifier, qualified};

use activities::Activities;
use cache::Cache;
use calls::Calls;
use feed::Feed;
use machines::Machines;
use timer::Timer;

/// The account that everything belongs to.
const ACCOUNT: &str = "000000000000";

/// Task calls in progress at the same time: AWS's default concurrency of an account's functions. Further calls wait.
const MAX_CALLS: usize = 1_000;

/// Standard executions in progress at the same time: AWS's quota of an account.
const MAX_OPEN: usize = if cfg!(test) { 2_000 } else { 1_000_000 };

/// Express executions in progress at the same time. They live in memory, payloads and all, so that there is a bound
/// where AWS has none but its own size.
const MAX_EXPRESS: usize = 10_000;

/// Evaluations of JSONata at the same time. Each has a thread, so that a slow one holds up none of the others; more of
/// them than this wait.
const MAX_EVALUATIONS: usize = 64;

/// How long to wait before trying again what the store or a receiver refused; tests have no second to lose.
const RETRY_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 1_000 });

/// What an engine is opened with.
pub struct Config {
    /// Where the history lies.
    pub data_dir: DataDir,
    pub region: String,
    pub clock: Clock,
    /// Who performs what Task states call.
    pub tasks: Arc<dyn Tasks>,
    /// Who is told when an execution's status changes.
    pub status_events: Arc<dyn StatusEvents>,
    /// Where in the input of a state machine's executions it says what they are about, by the machine's ARN.
    pub subjects: BTreeMap<String, Vec<asl::query::Expression>>,
}

/// The engine: a handle, cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    region: String,
    clock: Clock,
    history: History,
    machines: Machines,
    /// Changes of state machines take turns.
    machines_turn: tokio::sync::Mutex<()>,
    cache: Cache,
    tasks: Arc<dyn Tasks>,
    status_events: Arc<dyn StatusEvents>,
    activities: Activities,
    /// The number of the next execution.
    next_execution: AtomicI64,
    calls: Calls,
    /// Standard executions in progress.
    open: AtomicUsize,
    express_turns: Arc<Semaphore>,
    evaluations: Arc<Semaphore>,
    timer: Timer,
    /// What changed lately, for those who watch.
    feed: Feed,
    /// What the executions of a state machine are about, by its ARN.
    subjects: BTreeMap<String, Vec<asl::query::Expression>>,
    /// Told when a status event has been written.
    owes_status: Bell,
    stopping: watch::Sender<bool>,
    background: Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Opens the store and takes up whatever was in progress when it was last closed, or killed.
    pub async fn open(config: Config) -> Result<Self, Error> {
        Self::open_with(config, Faults::default()).await
    }

    async fn open_with(config: Config, faults: Faults) -> Result<Self, Error> {
        let data_dir = config.data_dir;
        let opened = tokio::task::spawn_blocking(move || History::open(data_dir, faults)).await;
        let history = opened.map_err(|_| history::Error::Closed)??;
        let (machines, activities, next, open) = history
            .read(|connection| {
                let revisions = history::machines::all(connection)?;
                let versions = history::machines::versions(connection)?;
                let machines = Machines::new(revisions, versions, history::aliases::all(connection)?);
                let next = history::executions::next_id(connection)?;
                let activities = Activities::new(history::activities::all(connection)?);
                Ok((machines, activities, next, history::executions::count_open(connection)?))
            })
            .await?;
        let inner = Arc::new(Inner {
            region: config.region,
            clock: config.clock.clone(),
            history,
            machines,
            machines_turn: tokio::sync::Mutex::default(),
            cache: Cache::default(),
            tasks: config.tasks,
            status_events: config.status_events,
            activities,
            next_execution: AtomicI64::new(next),
            calls: Calls::default(),
            open: AtomicUsize::new(open),
            express_turns: Arc::new(Semaphore::new(MAX_EXPRESS)),
            evaluations: Arc::new(Semaphore::new(MAX_EVALUATIONS)),
            timer: Timer::default(),
            feed: Feed::default(),
            subjects: config.subjects,
            owes_status: Bell::new(config.clock.clone()),
            stopping: watch::Sender::new(false),
            background: Mutex::default(),
        });
        // Each first looks at what is there, and the clock waits for that.
        let busy = || inner.clock.busy();
        inner.in_background(timer::run(inner.clone(), busy()));
        inner.in_background(calls::take_turns(inner.clone()));
        inner.in_background(status::deliver(inner.clone(), busy()));
        inner.in_background(upkeep::resume(inner.clone(), busy()));
        inner.in_background(upkeep::expire(inner.clone()));
        inner.in_background(skip::run(inner.clone()));
        Ok(Self { inner })
    }

    /// Stops taking triggers and performing calls, writes what was taken, and closes the store.
    ///
    /// What is in progress goes on at the next [`Engine::open`].
    pub async fn shutdown(&self) {
        self.inner.stopping.send_replace(true);
        let background = std::mem::take(&mut *self.inner.background.lock().unwrap_or_else(PoisonError::into_inner));
        for task in background {
            task.abort();
            // It was aborted, or had come to its end: nothing to learn from it.
            let _ = task.await;
        }
        self.inner.history.close().await;
    }
}

/// Tells the operator, with the whole chain of causes.
fn report(error: &(dyn std::error::Error + 'static), what: &str) {
    tracing::error!(error, "{what}");
}

impl Inner {
    /// Runs a loop of the engine's own until it is shut down.
    fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut background = self.background.lock().unwrap_or_else(PoisonError::into_inner);
        background.push(tokio::spawn(work));
    }

    /// The present in the resolution in which it is stored, so that a fold and its replay agree.
    fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(3)
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.now(),
            seed: rand::random(),
        }
    }

    fn next_execution(&self) -> history::ExecutionId {
        history::ExecutionId(self.next_execution.fetch_add(1, Ordering::Relaxed))
    }
}
