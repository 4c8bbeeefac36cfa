//! How long a ticket was where, up to a moment.

use schemars::JsonSchema;
use serde::Serialize;
use ticket::{Durations, Policy, Time, Times};

use crate::table::Fold;

/// What the answer says of a ticket's times.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct View {
    /// Up to when they are counted: now, unless it was asked for.
    as_of: Time,
    /// When the ticket came to its present status.
    status_since: Option<Time>,
    #[serde(flatten)]
    times: Times,
}

impl View {
    /// Of a stored fold, without its facts: exact at every moment that the fold covers.
    pub(super) fn of_fold(fold: &Fold, policy: &Policy, as_of: Time) -> Self {
        let view = &fold.view;
        let calendar = policy.calendar.as_ref();
        let times = fold.spent.times(view.created_at, view.state, calendar, as_of);
        Self::new(fold.spent.status_since, times, &view.durations, as_of)
    }

    /// Of a ticket as its facts tell it.
    pub(super) fn of_ticket(ticket: &ticket::Ticket, shown: &Durations, policy: &Policy, as_of: Time) -> Self {
        let times = ticket::times(ticket, policy.calendar.as_ref(), Some(as_of));
        Self::new(ticket.spent.status_since, times, shown, as_of)
    }

    /// Working time is shown of the durations that are shown themselves: those of a closed ticket are not before it
    /// is measured.
    fn new(status_since: Option<Time>, mut times: Times, shown: &Durations, as_of: Time) -> Self {
        if let Some(business) = &mut times.business {
            let worked = &mut business.durations;
            worked.duration_ms = worked.duration_ms.filter(|_| shown.duration_ms.is_some());
            worked.first_duration_ms = worked.first_duration_ms.filter(|_| shown.first_duration_ms.is_some());
            worked.cycle_time_ms = worked.cycle_time_ms.filter(|_| shown.cycle_time_ms.is_some());
        }
        Self {
            as_of,
            status_since,
            times,
        }
    }
}
