//! How long things took, in whole milliseconds, never negative.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::Category;
use crate::fold::{State, Ticket};
use crate::time::Time;

/// The durations that no clock can change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Durations {
    /// Lead time: creation to closing. Null while the ticket is open.
    pub duration_ms: Option<i64>,
    /// Creation to the first closing.
    pub first_duration_ms: Option<i64>,
    /// First start to closing. Null for a ticket that was never started.
    pub cycle_time_ms: Option<i64>,
}

/// What a ticket took, as far as it is over.
pub fn durations(ticket: &Ticket) -> Durations {
    Durations::between(
        ticket.created_at,
        ticket.started_at,
        ticket.first_closed_at,
        ticket.closed_at,
    )
}

impl Durations {
    /// What lies between the moments of a life, as far as they are known.
    pub(crate) fn between(
        created: Option<Time>,
        started: Option<Time>,
        first_closed: Option<Time>,
        closed: Option<Time>,
    ) -> Self {
        let between = |from: Option<Time>, to: Option<Time>| Some(to?.since(from?).max(0));
        Self {
            duration_ms: between(created, closed),
            first_duration_ms: between(created, first_closed),
            cycle_time_ms: between(started, closed),
        }
    }
}

/// Sums over a ticket's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// In statuses that are not done, from the creation on.
    pub open_time_ms: i64,
    /// In statuses of the category `indeterminate`.
    pub active_time_ms: i64,
    /// By status id.
    pub time_in_status_ms: BTreeMap<String, i64>,
    /// Since the creation; of open tickets only, and only with an `as_of`.
    pub age_ms: Option<i64>,
}

/// How long a ticket was where. The stay that still lasts counts only up to an `as_of`, if there is one; a deleted
/// ticket's ended with it.
pub fn times(ticket: &Ticket, as_of: Option<Time>) -> Times {
    let end = match (ticket.deleted_at, as_of) {
        (Some(deleted), Some(as_of)) => Some(deleted.min(as_of)),
        (deleted, as_of) => deleted.or(as_of),
    };
    let mut times = Times::default();
    let lasts = |from: Time, until: Option<Time>| match (until, end) {
        (Some(until), Some(end)) => until.min(end).since(from).max(0),
        (Some(until), None) | (None, Some(until)) => until.since(from).max(0),
        (None, None) => 0,
    };
    if let (Some(created), Some(first)) = (ticket.created_at, ticket.history.first()) {
        // Before the first status that is known it was in one that is not.
        times.open_time_ms += lasts(created, Some(first.at));
    }
    for (index, stay) in ticket.history.iter().enumerate() {
        let lasted = lasts(stay.at, ticket.history.get(index + 1).map(|next| next.at));
        if stay.done != Some(true) {
            times.open_time_ms += lasted;
        }
        if stay.category == Some(Category::Indeterminate) {
            times.active_time_ms += lasted;
        }
        if let Some(status) = &stay.status {
            *times.time_in_status_ms.entry(status.identity().to_owned()).or_default() += lasted;
        }
    }
    if ticket.state == State::Open {
        times.age_ms = ticket.created_at.and_then(|created| Some(as_of?.since(created).max(0)));
    }
    times
}
