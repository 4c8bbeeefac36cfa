//! Service levels: which clocks run for a ticket, when each is due, and whether it was kept.
//!
//! A clock is a function of the facts and the policy, like everything about a ticket: the fold makes it anew each time.
//! Timers only decide *when* somebody looks ([`timer`]); what is seen then is decided here.
//!
//! - Time to the first start: from the creation until work begins, or until the ticket is closed without.
//! - Time to close: from the creation until it is closed, and once more from each reopening: a *run* each.
//!
//! A clock that runs has the target of the project and the priority that the ticket has now, so that moving the ticket
//! moves the due moment; one that has stopped keeps the target that it was stopped under.
//!
//! A target counts all time, or that within working hours. Then it is due when the last of them is used up: a ticket
//! closed in the night after that moment is late, however little was worked in between.

pub mod targets;
pub mod timer;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fold::Stay;
use crate::policy::Policy;
use crate::time::Time;

pub use self::targets::{Measure, Targets};

/// How many runs before the last one are looked at: a ticket that is reopened more often has another problem, and what is
/// stored of it stays small.
const EARLIER_RUNS: usize = 20;

/// What a target is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Until work on the ticket begins.
    FirstStart,
    /// Until the ticket is closed.
    Close,
}

impl Target {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstStart => "first_start",
            Self::Close => "close",
        }
    }
}

/// One target at work on one ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clock {
    pub target: Target,
    /// How often the ticket had been reopened when it began.
    pub run: u32,
    pub since: Time,
    pub target_ms: i64,
    #[serde(default, skip_serializing_if = "Measure::is_calendar")]
    pub measure: Measure,
    pub due_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met_at: Option<Time>,
    /// When the ticket was deleted, if that stopped the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
}

/// A clock as API clients see it, as of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sla {
    pub target: Target,
    /// How long it may take.
    pub target_ms: i64,
    /// What counts of the time that passes.
    pub time: Measure,
    pub due_at: Time,
    /// When the target was met, in time or late.
    pub met_at: Option<Time>,
    /// What is left, or was left when the clock stopped; negative if it took longer than the target.
    pub remaining_ms: i64,
    pub breached: bool,
    /// The due moment, if it passed before the target was met.
    pub breached_at: Option<Time>,
}

impl Clock {
    /// Tells the breaches of a ticket apart, and stays the same when a better clock dates the run's begin anew.
    pub fn id(&self) -> String {
        let (target, measure) = (self.target.as_str(), self.measure.as_str());
        format!("{target}.{}.{measure}.{}", self.run, self.target_ms)
    }

    /// When it stopped, if it has.
    pub fn stopped_at(&self) -> Option<Time> {
        self.met_at.or(self.deleted_at)
    }

    /// Whether the due moment has passed by then, and the clock was not stopped by that moment.
    pub fn is_breached(&self, as_of: Time) -> bool {
        self.due_at <= as_of && self.stopped_at().is_none_or(|stopped| self.due_at < stopped)
    }

    /// What API clients see of it.
    pub fn shown(&self, policy: &Policy, as_of: Time) -> Sla {
        let end = self.stopped_at().map_or(as_of, |stopped| stopped.min(as_of));
        let breached = self.is_breached(as_of);
        Sla {
            target: self.target,
            target_ms: self.target_ms,
            time: self.measure,
            due_at: self.due_at,
            met_at: self.met_at,
            remaining_ms: self.target_ms - self.measure.between(self.since, end, policy),
            breached,
            breached_at: breached.then_some(self.due_at),
        }
    }
}

/// All clocks of a ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clocks {
    /// The run that the ticket is in.
    pub run: u32,
    /// Those of this run, and the one of the first start: what the ticket shows.
    pub current: Vec<Clock>,
    /// Those of the runs before, the oldest first.
    pub earlier: Vec<Clock>,
}

impl Clocks {
    pub fn all(&self) -> impl Iterator<Item = &Clock> {
        self.earlier.iter().chain(&self.current)
    }

    /// Whether a clock that was one of the ticket's may still be one.
    pub fn looks_at(&self, clock: &Clock) -> bool {
        let ago = self.run.saturating_sub(clock.run);
        clock.target == Target::FirstStart || ago as usize <= EARLIER_RUNS
    }
}

/// What of a ticket's life decides on its clocks.
pub(crate) struct Life<'a> {
    pub(crate) created_at: Option<Time>,
    pub(crate) started_at: Option<Time>,
    pub(crate) deleted_at: Option<Time>,
    pub(crate) history: &'a [Stay],
    /// Project and priority as they were at a moment, or as they are.
    pub(crate) placed: &'a dyn Fn(Option<Time>) -> Placed,
}

/// What chooses a ticket's targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) project: Option<String>,
    pub(crate) priority: Option<String>,
}

/// A ticket's clocks. There are none while it is not known when it was created.
pub(crate) fn clocks(life: &Life<'_>, policy: &Policy) -> Clocks {
    let Some(created_at) = life.created_at.filter(|_| !policy.sla.is_empty()) else {
        return Clocks::default();
    };
    let mut runs = runs(created_at, life.history);
    // What is told of a deleted ticket is history: no clock begins for it any more.
    if let Some(deleted) = life.deleted_at {
        let begun = runs.iter().take_while(|run| run.since < deleted).count();
        runs.truncate(begun.max(1));
    }
    let clock = |target, run, since, met_at: Option<Time>| {
        let met_at = met_at.filter(|met| life.deleted_at.is_none_or(|deleted| *met <= deleted));
        let deleted_at = life.deleted_at.filter(|_| met_at.is_none());
        let placed = (life.placed)(met_at.or(deleted_at));
        let chosen = policy
            .sla
            .of(target, placed.project.as_deref(), placed.priority.as_deref())?;
        Some(Clock {
            target,
            run,
            since,
            target_ms: chosen.ms,
            measure: chosen.measure,
            due_at: chosen.measure.after(since, chosen.ms, policy),
            met_at,
            deleted_at,
        })
    };
    let close = |run: &Run| clock(Target::Close, run.number, run.since, run.closed_at);
    let started = life.started_at.into_iter().chain(runs[0].closed_at).min();
    let first_start = clock(Target::FirstStart, 0, created_at, started);
    let (last, earlier) = runs.split_last().expect("there is a first run");
    let earlier = &earlier[earlier.len().saturating_sub(EARLIER_RUNS)..];
    Clocks {
        run: last.number,
        current: first_start.into_iter().chain(close(last)).collect(),
        earlier: earlier.iter().filter_map(close).collect(),
    }
}

/// A time in which a ticket was to be closed.
struct Run {
    number: u32,
    since: Time,
    closed_at: Option<Time>,
}

/// The runs of a ticket; there is always a first one.
fn runs(created_at: Time, history: &[Stay]) -> Vec<Run> {
    let begun = |number, since| Run {
        number,
        since,
        closed_at: None,
    };
    let mut runs = vec![begun(0, created_at)];
    for stay in history {
        let run = runs.last_mut().expect("there is a first run");
        match (run.closed_at, stay.done == Some(true)) {
            (None, true) => run.closed_at = Some(stay.at),
            (Some(_), false) => {
                let next = run.number + 1;
                runs.push(begun(next, stay.at));
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    runs
}
