//! Timers: who has to look at a ticket again, when, and what follows from what is seen then.
//!
//! A timer is a hint, never the truth. It reads the facts when it fires, so it sees whatever was stored before. That
//! leaves one duty to whoever stores facts: **a timer must fire by the whole second after each due moment, and after the
//! facts were stored.** [`missing`] says when one has to be started for that, and [`decide`] what a timer does when it
//! fires.
//!
//! Timers fire at whole seconds, because a Wait's `Timestamp` is cut to the second: one that waited for 10:00:00.300
//! would fire at 10:00:00, find nothing, and do so again and again until the time has come.
//!
//! Nothing is ever called back. A due moment that moves earlier gets a timer of its own; one that moves later is found
//! by the timer that is there, which then waits again; and a timer that finds nothing left to do ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Clock, Clocks};
use crate::time::Time;

/// How much later than the facts a known timer must fire to be relied on: it is dated by a clock of Step Functions, and
/// so are the facts, but maybe by another one.
const MARGIN_MS: i64 = 5_000;

/// How far ahead a timer may lie. An execution ends after a year on AWS; only tickets that claim to come from the future
/// are due later than this, and they are looked at when their next event comes.
const HORIZON_MS: i64 = 330 * 24 * 60 * 60 * 1_000;

/// A timer that has been started and fires at `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timer {
    /// The run that it is for.
    pub run: u32,
    pub at: Time,
}

/// A breach that has been recorded, by the one execution that tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Breach {
    /// As it was then.
    pub clock: Clock,
    pub recorded_at: Time,
    pub recorded_by: String,
}

/// A timer that has to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub timer: Timer,
    /// It is for a breach that has happened already and that nobody has recorded yet.
    pub is_overdue: bool,
}

/// What a timer does that has fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Clocks that are breached, of which no breach is recorded.
    pub breached: Vec<Clock>,
    /// When it fires again; `None` ends it.
    pub next: Option<Time>,
}

fn unrecorded<'a>(clocks: &'a Clocks, recorded: &'a [Breach], now: Time) -> impl Iterator<Item = &'a Clock> {
    let is_recorded = |clock: &Clock| recorded.iter().any(|breach| breach.clock.id() == clock.id());
    clocks
        .all()
        .filter(move |clock| clock.is_breached(now) && !is_recorded(clock))
}

/// When the next due moment of a clock that runs is over: a whole second.
fn next_over(clocks: &Clocks, now: Time) -> Option<Time> {
    let running = clocks.current.iter().filter(|clock| clock.stopped_at().is_none());
    let ahead = running.map(|clock| clock.due_at).filter(|due| now < *due);
    ahead
        .min()
        .map(Time::rounded_up)
        .filter(|over| over.since(now) <= HORIZON_MS)
}

/// The timer that whoever has stored facts by `now` must start before it stores these clocks; `known` is the one that
/// is stored.
pub fn missing(clocks: &Clocks, recorded: &[Breach], known: Option<Timer>, now: Time) -> Option<Wanted> {
    let run = clocks.run;
    let wanted = |at, is_overdue| Wanted {
        timer: Timer { run, at },
        is_overdue,
    };
    if let Some(due) = unrecorded(clocks, recorded, now).map(|clock| clock.due_at).min() {
        return Some(wanted(due, true));
    }
    let over = next_over(clocks, now)?;
    let is_covered = known.is_some_and(|known| known.run == run && MARGIN_MS < known.at.since(now) && known.at <= over);
    (!is_covered).then(|| wanted(over, false))
}

/// What a timer of `run` that has fired by `now` has to do, at most so many breaches at once.
pub fn decide(clocks: &Clocks, recorded: &[Breach], run: u32, now: Time, at_most: usize) -> Decision {
    let mut breached: Vec<Clock> = unrecorded(clocks, recorded, now).cloned().collect();
    let next = if at_most < breached.len() {
        Some(now)
    } else {
        // A reopened ticket has a timer for its new run.
        next_over(clocks, now).filter(|_| run == clocks.run)
    };
    breached.truncate(at_most);
    Decision { breached, next }
}
