//! Numbers about many tickets: percentiles and histograms of durations, counts over time, and what is doubtful.
//!
//! Percentiles, not means: one ticket that was forgotten for a year moves a mean and says nothing about the others.

mod kept;
mod throughput;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::flat;
use crate::fold::{Flag, State, Ticket};
use crate::ids::TicketId;
use crate::time::Time;

pub use self::kept::{Kept, KeptRule, Life};
pub use self::throughput::{Per, Throughput, UnknownZone, Zone, throughput};

pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Minutes of an hour.
const MINUTES: i64 = 60;

/// Where a histogram's buckets begin: closer together where work ends within a day, and the same for every question,
/// so that two histograms can be laid on top of each other.
pub const BUCKETS_MS: [i64; 11] = [
    0,
    15 * MINUTE_MS,
    HOUR_MS,
    4 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
    4 * DAY_MS,
    7 * DAY_MS,
    14 * DAY_MS,
    28 * DAY_MS,
    91 * DAY_MS,
];

/// How some durations are distributed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Distribution {
    /// How many there are.
    pub count: usize,
    pub min_ms: Option<i64>,
    /// At least half of them took no longer than this: the nearest rank, so that one of them took exactly as long.
    pub p50_ms: Option<i64>,
    /// At least 85 % took no longer.
    pub p85_ms: Option<i64>,
    /// At least 95 % took no longer.
    pub p95_ms: Option<i64>,
    pub max_ms: Option<i64>,
    /// Always the same buckets, empty ones included.
    pub histogram: Vec<Bucket>,
}

/// How many durations are at least `from_ms` and less than `to_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bucket {
    pub from_ms: i64,
    /// Null in the last bucket, which has no end.
    pub to_ms: Option<i64>,
    pub count: usize,
}

impl Distribution {
    pub fn of(mut durations_ms: Vec<i64>) -> Self {
        durations_ms.sort_unstable();
        let sorted = durations_ms.as_slice();
        Self {
            count: sorted.len(),
            min_ms: sorted.first().copied(),
            p50_ms: percentile(sorted, 50),
            p85_ms: percentile(sorted, 85),
            p95_ms: percentile(sorted, 95),
            max_ms: sorted.last().copied(),
            histogram: histogram(sorted),
        }
    }
}

/// The smallest of some sorted values that at least `percent` of them do not exceed: the nearest rank.
///
/// No interpolation: the answer is a duration that some ticket had. `None` of nothing.
pub fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Sorted values by bucket; what is below the first is counted in it.
fn histogram(sorted: &[i64]) -> Vec<Bucket> {
    let mut below = 0;
    let mut buckets = Vec::with_capacity(BUCKETS_MS.len());
    for (index, from_ms) in BUCKETS_MS.into_iter().enumerate() {
        let to_ms = BUCKETS_MS.get(index + 1).copied();
        let until = to_ms.map_or(sorted.len(), |to| sorted.partition_point(|value| *value < to));
        buckets.push(Bucket {
            from_ms,
            to_ms,
            count: until - below,
        });
        below = until;
    }
    buckets
}

/// A ticket's moment, as it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub at: Time,
    pub priority: Option<String>,
}

/// The tickets of one minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Minute {
    /// When it begins.
    pub minute: Time,
    /// It is not over yet: more may come.
    pub provisional: bool,
    /// Of all counted priorities together.
    pub count: usize,
    /// By priority; one of which there is none has 0.
    pub counts: BTreeMap<String, usize>,
}

/// Tickets per minute of one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerMinute {
    /// Sixty of them, empty ones included.
    pub minutes: Vec<Minute>,
    /// Of the whole hour, by priority.
    pub totals: BTreeMap<String, usize>,
    /// Tickets of this hour with another priority, or with none.
    pub others: usize,
}

/// Counts the moments of the hour that begins at `start`; those outside of it do not count.
///
/// Names of priorities are compared without regard to case, and counted under the name in `priorities`.
pub fn per_minute(start: Time, now: Time, priorities: &BTreeSet<String>, moments: &[Moment]) -> PerMinute {
    let zeros: BTreeMap<String, usize> = priorities.iter().map(|name| (name.clone(), 0)).collect();
    let by_lower_case: BTreeMap<String, &String> = priorities.iter().map(|name| (name.to_lowercase(), name)).collect();
    let minute = |index: i64| Minute {
        minute: start.saturating_add(index * MINUTE_MS),
        provisional: now < start.saturating_add((index + 1) * MINUTE_MS),
        count: 0,
        counts: zeros.clone(),
    };
    let mut counted = PerMinute {
        minutes: (0..MINUTES).map(minute).collect(),
        totals: zeros.clone(),
        others: 0,
    };
    for moment in moments {
        let index = moment.at.since(start).div_euclid(MINUTE_MS);
        let Some(minute) = usize::try_from(index)
            .ok()
            .and_then(|index| counted.minutes.get_mut(index))
        else {
            continue;
        };
        let name = moment.priority.as_ref().map(|name| name.to_lowercase());
        match name.and_then(|name| by_lower_case.get(&name)) {
            Some(name) => {
                minute.count += 1;
                *minute.counts.entry((*name).clone()).or_default() += 1;
                *counted.totals.entry((*name).clone()).or_default() += 1;
            }
            None => counted.others += 1,
        }
    }
    counted
}

/// What makes a ticket's numbers doubtful, or its way unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It is closed and never was in a status of the category `indeterminate`: it has no cycle time.
    ClosedNeverStarted,
    /// It went back to a status of an earlier category.
    MovedBackwards,
    /// One of the ticket's own flags.
    #[serde(untagged)]
    Flag(Flag),
}

/// What is to be found about a ticket.
///
/// Tickets without a Jira have no status between open and completed, so that none of them could ever be started.
pub fn findings(id: &TicketId, ticket: &Ticket) -> BTreeSet<Finding> {
    let mut findings: BTreeSet<Finding> = ticket.flags.iter().copied().map(Finding::Flag).collect();
    // In a status whose category is not known it may have been worked on.
    let is_known = id.site.as_str() != flat::SITE && ticket.history.iter().all(|stay| stay.category.is_some());
    if ticket.state == State::Closed && ticket.started_at.is_none() && is_known {
        findings.insert(Finding::ClosedNeverStarted);
    }
    let categories: Vec<_> = ticket.history.iter().filter_map(|stay| stay.category).collect();
    if categories.windows(2).any(|pair| pair[1] < pair[0]) {
        findings.insert(Finding::MovedBackwards);
    }
    findings
}

#[cfg(test)]
mod tests;
