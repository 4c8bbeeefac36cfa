//! Finds the failed executions that no status event told of, and records them.
//!
//! It runs on a schedule, over what Step Functions lists as failed, timed out and aborted, and compares that with the
//! progress there is.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::execution::Listed;
use crate::record_failure::{Error, RecordFailure, Recorded, record};
use crate::table::{Progress, Status};

/// Pages of a thousand that one sweep looks at, of each status. An older failure has been seen by many a sweep before.
const PAGES: u32 = 10;
/// Failures that one sweep records, three requests each, so that it ends in time; the next one goes on.
const REPAIRS: u32 = 1_000;

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Output {
    pub seen: u64,
    pub repaired: u32,
}

pub async fn handle(context: &RecordFailure, _: IgnoredAny) -> Result<Output, Error> {
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
