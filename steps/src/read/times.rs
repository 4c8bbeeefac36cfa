//! How long a ticket was where, up to a moment.

use schemars::JsonSchema;
use serde::Serialize;
use ticket::sla::Clock;
use ticket::{Durations, Policy, Sla, Time, Times};

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
    /// Its targets, as of that moment; none where the policy sets none.
    sla: Vec<Sla>,
}

impl View {
    /// Of a stored fold, without its facts: exact at every moment that the fold covers.
    pub(super) fn of_fold(fold: &Fold, policy: &Policy, as_of: Time) -> Self {
        let view = &fold.view;
        let calendar = policy.calendar.as_ref();
        let times = fold.spent.times(view.created_at, view.state, calendar, as_of);
        let sla = shown(&fold.watch.clocks, policy, as_of);
        Self::new(fold.spent.status_since, times, &view.durations, sla, as_of)
    }

    /// Of a ticket as its facts tell it.
    pub(super) fn of_ticket(ticket: &ticket::Ticket, shown: &Durations, policy: &Policy, as_of: Time) -> Self {
        let times = ticket::times(ticket, policy.calendar.as_ref(), Some(as_of));
        let sla = self::shown(&ticket.clocks.current, policy, as_of);
        Self::new(ticket.spent.status_since, times, shown, sla, as_of)
    }

    /// Working time is shown of the durations that are shown themselves: those of a closed ticket are not before it
    /// is measured.
    fn new(status_since: Option<Time>, mut times: Times, shown: &Durations, sla: Vec<Sla>, as_of: Time) -> Self {
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
            sla,
        }
    }
}

fn shown(clocks: &[Clock], policy: &Policy, as_of: Time) -> Vec<Sla> {
    clocks.iter().map(|clock| clock.shown(policy, as_of)).collect()
}
