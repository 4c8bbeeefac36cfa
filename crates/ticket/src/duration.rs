//! How long things took, in whole milliseconds, never negative.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fold::Ticket;
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
