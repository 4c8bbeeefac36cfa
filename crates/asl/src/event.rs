//! History events: what happened in an execution, one fact an event.
//!
//! An execution is the fold of these (see [`crate::Execution`]). Types and fields are AWS's, as GetExecutionHistory
//! returns them; [`Event::wire`] prints that form. What AWS's events have no field for stands beside them and is left
//! out on the way out: the frame an event belongs to, where a state goes next, and the *hidden* events, which take no
//! event id. Event types are only ever added, never renamed or reused: a history of any release can be folded by any
//! later one.

mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Json;

/// The number of an event in its history, from 1; AWS's `id`. 0 is "none".
pub type EventId = u64;

/// Added to the ids of events inside the items of a distributed Map, which count for themselves: on AWS these are
/// executions of their own, so the history of the one that runs the Map does not show them.
pub(crate) const INSIDE: EventId = 1 << 40;

/// A branch or an iteration in progress; 0 is the state machine itself.
pub type FrameId = u32;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// A hidden event carries the id of the event before it.
    pub id: EventId,
    /// The event that brought this one about, AWS's `previousEventId`.
    pub previous: EventId,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub time: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "is_root")]
    pub frame: FrameId,
    pub kind: EventKind,
}

impl Event {
    /// Whether the event is left out of what AWS shows of the execution.
    pub fn is_hidden(&self) -> bool {
        INSIDE <= self.id || self.kind.is_hidden()
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_root(frame: &FrameId) -> bool {
    *frame == 0
}

/// The type of a state, as its events spell it (`PassStateEntered`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateType {
    Task,
    Pass,
    Choice,
    Wait,
    Succeed,
    Fail,
    Parallel,
    Map,
}

/// An error and its cause; either may be absent, as a Fail state may give neither.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Arc<str>>,
}

impl Failure {
    pub fn new(error: &str, cause: impl Into<Arc<str>>) -> Self {
        Self {
            error: Some(error.into()),
            cause: Some(cause.into()),
        }
    }

    /// The error's name without a cause, as time-outs have it.
    pub fn named(error: &str) -> Self {
        Self {
            error: Some(error.into()),
            cause: None,
        }
    }

    /// The error's name for matching against `ErrorEquals`; empty if there is none.
    pub fn name(&self) -> &str {
        self.error.as_deref().unwrap_or_default()
    }
}

/// Who an execution is: what its Context Object says and what its ARNs are made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub execution_arn: Arc<str>,
    pub name: Arc<str>,
    pub state_machine_arn: Arc<str>,
    pub state_machine_name: Arc<str>,
    pub role_arn: Arc<str>,
    #[serde(default, skip_serializing_if = "Published::is_none")]
    pub published: Published,
}

/// What of a state machine's publications an execution was started by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_arn: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_arn: Option<Arc<str>>,
}

impl Published {
    fn is_none(&self) -> bool {
        self.version_arn.is_none() && self.alias_arn.is_none()
    }
}

/// What a Task calls: the resource ARN, taken apart as its events show it.
///
/// `arn:aws:states:::lambda:invoke.waitForTaskToken` has resource type `lambda` and resource
/// `invoke.waitForTaskToken`; the own ARN of a function or an activity stays whole in `resource`, with an empty type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    pub resource_type: Arc<str>,
    pub resource: Arc<str>,
}

impl Resource {
    /// Whether this is a function's ARN, whose events are `LambdaFunction…` and not `Task…`.
    pub fn is_function(&self) -> bool {
        self.resource_type.is_empty() && !self.is_activity()
    }

    /// Whether this is an activity's ARN, whose events are `Activity…`: a worker asks for the task, nobody is called.
    pub fn is_activity(&self) -> bool {
        self.resource_type.is_empty() && self.resource.split(':').nth(5) == Some("activity")
    }

    /// Whether the state waits for more than the call's answer: a callback or the end of a job.
    pub fn waits(&self) -> bool {
        self.waits_for_token() || self.resource.contains(".sync")
    }

    /// Whether the state waits for SendTaskSuccess or SendTaskFailure.
    pub fn waits_for_token(&self) -> bool {
        self.resource.ends_with(".waitForTaskToken")
    }
}

/// What a scheduled task is to do, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub resource: Resource,
    pub region: Arc<str>,
    pub parameters: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_seconds: Option<u64>,
    /// The token that a callback must carry; part of the parameters where the definition passed it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Arc<str>>,
    /// The `Credentials` of the state, evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Json>,
}

/// How many items of a Map Run may fail without the run failing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// What both thresholds together come to.
    #[serde(rename = "tolerated_failures")]
    pub failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<f64>,
}

impl Tolerance {
    /// That of a run of so many items: it fails as soon as either threshold is exceeded.
    pub(crate) fn of(items: usize, count: Option<u32>, percentage: Option<f64>) -> Self {
        let share = percentage.map(|percentage| (items as f64 * percentage / 100.0).floor() as u32);
        let failures = match (count, share) {
            (Some(count), Some(share)) => count.min(share),
            (count, share) => count.or(share).unwrap_or_default(),
        };
        Self {
            failures,
            count,
            percentage,
        }
    }
}

/// What happened. AWS's name is the variant's, prefixed for states and tasks by their type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EventKind {
    ExecutionStarted {
        identity: Arc<Identity>,
        input: Json,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_seconds: Option<u64>,
        /// The state to begin with.
        start_at: Arc<str>,
    },
    ExecutionSucceeded {
        output: Json,
    },
    ExecutionFailed(Failure),
    ExecutionTimedOut(Failure),
    ExecutionAborted(Failure),
    ExecutionRedriven {
        redrive_count: u32,
    },
    StateEntered {
        state_type: StateType,
        name: Arc<str>,
        input: Json,
    },
    StateExited {
        state_type: StateType,
        name: Arc<str>,
        output: Json,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assigned: Option<Arc<BTreeMap<String, Json>>>,
        /// Where the flow goes; absent where it ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<Arc<str>>,
    },
    /// A flow was given up in this state, for its own task's failure or for that of a flow beside it.
    StateAborted {
        state_type: StateType,
    },
    TaskScheduled(Arc<Schedule>),
    TaskStarted {
        resource: Resource,
    },
    /// A worker took the task of an activity.
    ActivityStarted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        worker: Option<Arc<str>>,
    },
    /// There is no such activity.
    ActivityScheduleFailed(Failure),
    /// The call of a task that waits for more has been answered.
    TaskSubmitted {
        resource: Resource,
        output: Json,
    },
    TaskSucceeded {
        resource: Resource,
        output: Json,
    },
    TaskFailed {
        resource: Resource,
        failure: Failure,
    },
    TaskTimedOut {
        resource: Resource,
        failure: Failure,
    },
    ParallelStateStarted {
        /// The first state and the input of each branch; a branch's frame follows the one before it.
        branches: Vec<Arc<str>>,
        input: Json,
    },
    ParallelStateSucceeded,
    ParallelStateFailed,
    MapStateStarted {
        items: Json,
        max_concurrency: u32,
        start_at: Arc<str>,
        /// Whether the items are run by a Map Run, which an event of its own starts.
        #[serde(default, skip_serializing_if = "is_false")]
        distributed: bool,
    },
    MapRunStarted {
        arn: Arc<str>,
        #[serde(flatten)]
        tolerance: Tolerance,
    },
    MapRunSucceeded,
    MapRunFailed(Failure),
    MapRunRedriven {
        arn: Arc<str>,
        redrive_count: u32,
    },
    MapIterationStarted {
        name: Arc<str>,
        index: u32,
        input: Json,
    },
    MapIterationSucceeded {
        name: Arc<str>,
        index: u32,
    },
    MapIterationFailed {
        name: Arc<str>,
        index: u32,
    },
    MapIterationAborted {
        name: Arc<str>,
        index: u32,
    },
    MapStateSucceeded,
    MapStateFailed,
    EvaluationFailed {
        failure: Failure,
        location: Option<Arc<str>>,
        state: Arc<str>,
    },
    /// Hidden: a Wait state's end.
    WaitScheduled {
        #[serde(with = "chrono::serde::ts_milliseconds")]
        until: DateTime<Utc>,
    },
    /// Hidden: a Retrier took an error and the state begins anew at `at`.
    RetryScheduled {
        retrier: u32,
        #[serde(with = "chrono::serde::ts_milliseconds")]
        at: DateTime<Utc>,
    },
    /// Hidden: an item of a distributed Map failed; its frame stays, to be redriven.
    MapItemFailed(Failure),
    /// Hidden: UpdateMapRun.
    MapRunUpdated {
        max_concurrency: u32,
        #[serde(flatten)]
        tolerance: Tolerance,
    },
    /// Hidden: a task reported that it is alive.
    TaskHeartbeat,
    /// Hidden: what a state failed by, where no event of AWS's tells it: a Fail state's error, or that of a path, that is
    /// retried, caught, or fails the branch it is in.
    StateFailed(Failure),
}

impl EventKind {
    /// Whether the event is ours alone: it has no id of its own and is left out of what AWS shows.
    pub fn is_hidden(&self) -> bool {
        matches!(
            self,
            Self::WaitScheduled { .. }
                | Self::RetryScheduled { .. }
                | Self::MapItemFailed(_)
                | Self::MapRunUpdated { .. }
                | Self::TaskHeartbeat
                | Self::StateFailed(_)
        )
    }
}
