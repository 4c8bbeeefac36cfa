//! What reaches an execution from outside, and the moment at which it does.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::Json;
use crate::event::{EventId, Failure, Identity};

/// Why an execution is advanced.
///
/// A trigger that the history has moved past (a late result, a timer of an exited state) changes nothing, so each may
/// safely be delivered twice.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// The execution begins.
    Start {
        identity: Arc<Identity>,
        input: Json,
    },
    /// The execution goes on where the last batch of transitions left off.
    Continue,
    /// Time has passed: everything due by the moment happens.
    Clock,
    /// The call of a task that waits for more has been answered.
    TaskSubmitted {
        scheduled: EventId,
        output: Json,
    },
    /// A worker took the task of an activity.
    ActivityStarted {
        scheduled: EventId,
        worker: Option<Arc<str>>,
    },
    /// There is no such activity.
    ActivityScheduleFailed {
        scheduled: EventId,
        failure: Failure,
    },
    TaskSucceeded {
        scheduled: EventId,
        output: Json,
    },
    TaskFailed {
        scheduled: EventId,
        failure: Failure,
    },
    TaskHeartbeat {
        scheduled: EventId,
    },
    /// UpdateMapRun of a run in progress.
    UpdateMapRun {
        run: Arc<str>,
        update: MapRunUpdate,
    },
    /// StopExecution.
    Stop(Failure),
    /// Whoever advances the execution cannot go on with it.
    Break(Failure),
    /// RedriveExecution of an execution that did not succeed.
    Redrive,
}

/// What is to change of a Map Run; what is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MapRunUpdate {
    pub max_concurrency: Option<u32>,
    pub tolerated_count: Option<u32>,
    pub tolerated_percentage: Option<f64>,
}

/// When a transition happens, and with which randomness; the only source of either in the interpreter.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: DateTime<Utc>,
    /// From the system's generator: task tokens are made of it.
    pub seed: u128,
}
