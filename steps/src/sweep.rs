//! Finds what events left undone: failed executions that no status event told of, which it records; timers that failed,
//! which it redrives; and tickets that were judged by an older policy or map than there is now, for which it starts a
//! recompute.
//!
//! It runs on a schedule, over what Step Functions lists as failed, timed out and aborted, and compares that with the
//! progress there is; and over the index of what tickets were judged by.
//!
//! Of all executions a timer alone is redriven without a person: what it waits for is not said again by any later
//! delivery, and it may have recorded a breach that nobody has been told of yet. It goes on from the state that failed,
//! with what it knows. A recompute and a reconciliation that failed are followed by the next one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::IgnoredAny;
use ticket::Time;

use crate::environment::{self, Environment};
use crate::execution::{Listed, Redrive};
use crate::machines::Machine;
use crate::names::{ErrorName, Name};
use crate::recompute::{self, Recomputes, Started};
use crate::record_failure::{self, RecordFailure, Recorded, record};
use crate::table::{self, Progress, Status};

/// Pages of a thousand that one sweep looks at, of each status. An older failure has been seen by many a sweep before.
const PAGES: u32 = 10;
/// Failures that one sweep records, three requests each, so that it ends in time; the next one goes on.
const REPAIRS: u32 = 1_000;
/// Timers that one sweep redrives, three requests each.
const REDRIVES: u32 = 300;
/// How long a timer that was redriven and failed again is left alone; twice as long after each further time.
const REST_MS: i64 = 5 * 60 * 1_000;
/// How often that is doubled: to some ten hours.
const DOUBLINGS: u32 = 7;
/// How long after its end Step Functions redrives an execution.
const REDRIVABLE_MS: i64 = 14 * 24 * 60 * 60 * 1_000;

/// What mends: the record of failures, and recomputes.
#[derive(Debug)]
pub struct Mending {
    pub(crate) failures: RecordFailure,
    pub(crate) recomputes: Recomputes,
}

impl Mending {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            failures: RecordFailure::open(environment).await?,
            recomputes: Recomputes::open(environment)?,
        })
    }
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Output {
    pub seen: u64,
    pub repaired: u32,
    pub redriven: u32,
    /// The recompute that it started, or found running.
    pub recompute: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Failures(#[from] record_failure::Error),
    #[error(transparent)]
    Recompute(#[from] recompute::Error),
}

impl From<table::Error> for Error {
    fn from(error: table::Error) -> Self {
        Self::Failures(error.into())
    }
}

impl From<crate::execution::Error> for Error {
    fn from(error: crate::execution::Error) -> Self {
        Self::Failures(error.into())
    }
}

impl ErrorName for Error {
    fn name(&self) -> Name {
        match self {
            Self::Failures(error) => error.name(),
            Self::Recompute(error) => error.name(),
        }
    }
}

pub async fn handle(context: &Mending, _: IgnoredAny) -> Result<Output, Error> {
    // First, because it is one request or a few: what is left of the time is for the failures. Those are recorded also
    // where no recompute can be started, as with a policy that nobody may judge by.
    let recompute = context.recomputes.start(crate::now()).await;
    let mut output = Output::default();
    for machine in Machine::ALL {
        failures(&context.failures, machine, &mut output).await?;
    }
    tracing::info!(
        seen = output.seen,
        repaired = output.repaired,
        redriven = output.redriven
    );
    output.recompute = match recompute? {
        Started::Current => None,
        Started::Running(name) | Started::New(name) => Some(name),
    };
    Ok(output)
}

async fn failures(context: &RecordFailure, machine: Machine, output: &mut Output) -> Result<(), Error> {
    let executions = context.machines.of(machine);
    for status in Status::ALL.into_iter().filter(|status| status.is_failure()) {
        let mut next = None;
        for page in 1..=PAGES {
            let (listed, after) = executions.list(status, next).await?;
            output.seen += listed.len() as u64;
            let names: Vec<String> = listed.iter().map(|listed| listed.name.clone()).collect();
            let known = context.table.progresses(&names).await?;
            for name in unrecorded(&listed, &known) {
                if output.repaired == REPAIRS {
                    tracing::warn!(repaired = REPAIRS, "the rest is left to the next sweep");
                    return Ok(());
                }
                if record(context, machine, name).await? == Recorded::Recorded {
                    output.repaired += 1;
                }
            }
            let now = crate::now();
            let left = usize::try_from(REDRIVES - output.redriven).unwrap_or_default();
            let tired = listed
                .iter()
                .filter(|listed| machine == Machine::SlaClock && is_rested(listed, now));
            for listed in tired.take(left) {
                output.redriven += u32::from(redrive(context, machine, listed).await?);
            }
            next = after;
            if next.is_none() {
                break;
            }
            if page == PAGES {
                tracing::warn!(status = status.as_str(), PAGES, "older executions were not looked at");
            }
        }
    }
    Ok(())
}

/// Whether a failed execution may go on again: it failed for the first time, or long enough ago.
fn is_rested(failed: &Listed, now: Time) -> bool {
    let Some(stopped_at) = failed.stopped_at else {
        return false;
    };
    let ago = now.since(stopped_at);
    let doublings = failed.redrives.saturating_sub(1).min(DOUBLINGS);
    ago < REDRIVABLE_MS && (failed.redrives == 0 || REST_MS << doublings <= ago)
}

/// Redrives an execution; whether it runs.
async fn redrive(context: &RecordFailure, machine: Machine, failed: &Listed) -> Result<bool, Error> {
    let name = failed.name.as_str();
    let executions = context.machines.of(machine);
    match executions.redrive(name).await? {
        Redrive::Redriven => {}
        Redrive::NoSuchExecution => return Ok(false),
        Redrive::NotRedrivable(reason) => {
            tracing::warn!(execution = name, reason, "it cannot go on");
            return Ok(false);
        }
    }
    tracing::warn!(
        execution = name,
        status = failed.status.as_str(),
        "a timer had failed, and goes on"
    );
    if let Some(description) = executions.describe(name).await? {
        let (redrives, started_at) = (description.redrives, description.started_at);
        context
            .table
            .record_redrive(machine, name, redrives, started_at)
            .await?;
    }
    Ok(true)
}

/// Those of `listed` whose progress does not say so.
fn unrecorded<'a>(listed: &'a [Listed], known: &[Progress]) -> Vec<&'a str> {
    let known: BTreeMap<&str, (u32, Status)> = known
        .iter()
        .map(|progress| (progress.name.as_str(), (progress.redrives, progress.status)))
        .collect();
    let is_recorded = |listed: &Listed| {
        known.get(listed.name.as_str()).is_some_and(|(redrives, status)| {
            listed.redrives < *redrives || (listed.redrives, listed.status) == (*redrives, *status)
        })
    };
    listed
        .iter()
        .filter(|listed| !is_recorded(listed))
        .map(|listed| listed.name.as_str())
        .collect()
}

#[cfg(test)]
mod tests;
