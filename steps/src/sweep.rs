//! Finds what events left undone: failed executions that no status event told of, which it records, and tickets that
//! were judged by an older policy or map than there is now, for which it starts a recompute.
//!
//! It runs on a schedule, over what Step Functions lists as failed, timed out and aborted, and compares that with the
//! progress there is; and over the index of what tickets were judged by.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::environment::{self, Environment};
use crate::execution::Listed;
use crate::names::{ErrorName, Name};
use crate::recompute::{self, Recomputes, Started};
use crate::record_failure::{self, RecordFailure, Recorded, record};
use crate::table::{self, Progress, Status};

/// Pages of a thousand that one sweep looks at, of each status. An older failure has been seen by many a sweep before.
const PAGES: u32 = 10;
/// Failures that one sweep records, three requests each, so that it ends in time; the next one goes on.
const REPAIRS: u32 = 1_000;

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
    // First, because it is one request or a few: what is left of the time is for the failures.
    let recompute = match context.recomputes.start(crate::now()).await? {
        Started::Current => None,
        Started::Running(name) | Started::New(name) => Some(name),
    };
    let output = failures(&context.failures).await?;
    Ok(Output { recompute, ..output })
}

async fn failures(context: &RecordFailure) -> Result<Output, Error> {
    let mut output = Output::default();
    for status in Status::ALL.into_iter().filter(|status| status.is_failure()) {
        let mut next = None;
        for page in 1..=PAGES {
            let (listed, after) = context.executions.list(status, next).await?;
            output.seen += listed.len() as u64;
            let names: Vec<String> = listed.iter().map(|listed| listed.name.clone()).collect();
            let known = context.table.progresses(&names).await?;
            for name in unrecorded(&listed, &known) {
                if output.repaired == REPAIRS {
                    tracing::warn!(repaired = REPAIRS, "the rest is left to the next sweep");
                    return Ok(output);
                }
                if record(&context.table, &context.executions, name).await? == Recorded::Recorded {
                    output.repaired += 1;
                }
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
    tracing::info!(seen = output.seen, repaired = output.repaired);
    Ok(output)
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
