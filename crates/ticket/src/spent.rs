//! How long a ticket was where: sums over its history, by the calendar of the wall and by that of the team.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::duration::Durations;
use crate::fact::{Category, Named};
use crate::fold::{State, Ticket};
use crate::time::Time;

/// Most statuses that times are kept of. A workflow has a dozen; what a ticket was in beyond that is summed up, so that
/// its item stays small.
const MAX_STATUSES: usize = 200;
/// Where the time in all further statuses is summed up.
const OTHERS: &str = "others";

/// How long a ticket was where, up to a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// In statuses that are not done, from the creation on.
    pub open_time_ms: i64,
    /// In statuses of the category `indeterminate`.
    pub active_time_ms: i64,
    /// By status id.
    pub time_in_status_ms: BTreeMap<String, i64>,
    /// Since the creation; of open tickets only, and only with an `as_of`.
    pub age_ms: Option<i64>,
    /// The same in working hours, if the policy has a calendar.
    pub business: Option<Business>,
}

/// Durations in working hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Business {
    #[serde(flatten)]
    pub durations: Durations,
    pub open_time_ms: i64,
    pub active_time_ms: i64,
    pub age_ms: Option<i64>,
}

/// What a ticket's history comes to without the stay that lasts, and that stay: enough to say of any later moment how
/// long the ticket was where, without its facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// When it came to its present status.
    pub status_since: Option<Time>,
    times: Times,
    /// The stay that lasts; a deleted ticket has none.
    lasting: Option<Stretch>,
    /// All is over at this moment: the deletion.
    over: Option<Time>,
}

/// A part of a life in which nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stretch {
    from: Time,
    status: Option<String>,
    is_open: bool,
    is_active: bool,
}

impl Spent {
    pub(crate) fn of(ticket: &Ticket, calendar: Option<&Calendar>) -> Self {
        let stretches = stretches(ticket);
        let mut sum = Sum::new(calendar);
        for (stretch, until) in &stretches {
            sum.add(stretch, *until);
        }
        let lasting = stretches.into_iter().next_back().filter(|(_, until)| until.is_none());
        Self {
            status_since: status_since(ticket),
            times: sum.times(ticket, None),
            lasting: lasting.map(|(stretch, _)| stretch),
            over: ticket.deleted_at,
        }
    }

    /// Whether [`times`](Self::times) is exact at this moment: not before the last change.
    pub fn covers(&self, as_of: Time) -> bool {
        let last = self.lasting.as_ref().map(|stretch| stretch.from);
        last.or(self.over).is_none_or(|last| last <= as_of)
    }

    /// How long the ticket was where up to `as_of`, or up to its last change, if that is later.
    ///
    /// `calendar` is the one that it was folded with; `created` and `state` are the ticket's.
    pub fn times(&self, created: Option<Time>, state: State, calendar: Option<&Calendar>, as_of: Time) -> Times {
        let mut sum = Sum {
            calendar,
            times: self.times.clone(),
        };
        if let Some(stretch) = &self.lasting {
            sum.add(stretch, Some(as_of));
        }
        sum.age(created, state, as_of);
        sum.times
    }
}

/// How long a ticket was where. The stay that still lasts counts only up to an `as_of`, if there is one; a deleted
/// ticket's ended with it.
pub fn times(ticket: &Ticket, calendar: Option<&Calendar>, as_of: Option<Time>) -> Times {
    let end = match (ticket.deleted_at, as_of) {
        (Some(deleted), Some(as_of)) => Some(deleted.min(as_of)),
        (deleted, as_of) => deleted.or(as_of),
    };
    let mut sum = Sum::new(calendar);
    for (stretch, until) in &stretches(ticket) {
        sum.add(
            stretch,
            until.map_or(end, |until| Some(end.map_or(until, |end| until.min(end)))),
        );
    }
    sum.times(ticket, as_of)
}

/// The stretches of a life, each with its end; before the first status that is known it was in one that is not.
fn stretches(ticket: &Ticket) -> Vec<(Stretch, Option<Time>)> {
    let mut stretches = Vec::with_capacity(ticket.history.len() + 1);
    // What comes after a deletion is told in the history and took no time.
    let cut = |until: Option<Time>| match (until, ticket.deleted_at) {
        (Some(until), Some(deleted)) => Some(until.min(deleted)),
        (until, deleted) => until.or(deleted),
    };
    if let (Some(created), Some(first)) = (ticket.created_at, ticket.history.first()) {
        let unknown = Stretch {
            from: created,
            status: None,
            is_open: true,
            is_active: false,
        };
        stretches.push((unknown, cut(Some(first.at))));
    }
    for (index, stay) in ticket.history.iter().enumerate() {
        let stretch = Stretch {
            from: stay.at,
            status: stay.status.as_ref().map(|status| status.identity().to_owned()),
            is_open: stay.done != Some(true),
            is_active: stay.category == Some(Category::Indeterminate),
        };
        stretches.push((stretch, cut(ticket.history.get(index + 1).map(|next| next.at))));
    }
    stretches
}

/// When a ticket came to the status it is in. A stay is shorter where resolutions count, too.
fn status_since(ticket: &Ticket) -> Option<Time> {
    let identity = |status: &Option<Named>| status.as_ref().map(|status| status.identity().to_owned());
    let current = identity(&ticket.history.last()?.status);
    let stays = ticket.history.iter().rev();
    let last = stays.take_while(|stay| identity(&stay.status) == current).last()?;
    Some(last.at)
}

/// Times that are being summed up.
struct Sum<'a> {
    calendar: Option<&'a Calendar>,
    times: Times,
}

impl<'a> Sum<'a> {
    fn new(calendar: Option<&'a Calendar>) -> Self {
        let times = Times {
            business: calendar.map(|_| Business::default()),
            ..Times::default()
        };
        Self { calendar, times }
    }

    fn add(&mut self, stretch: &Stretch, until: Option<Time>) {
        let Some(until) = until.filter(|until| stretch.from < *until) else {
            self.add_ms(stretch, 0, 0);
            return;
        };
        let business = self.business(stretch.from, until);
        self.add_ms(stretch, until.since(stretch.from), business);
    }

    fn add_ms(&mut self, stretch: &Stretch, lasted: i64, worked: i64) {
        let times = &mut self.times;
        let open = i64::from(stretch.is_open);
        let active = i64::from(stretch.is_active);
        times.open_time_ms += open * lasted;
        times.active_time_ms += active * lasted;
        if let Some(business) = &mut times.business {
            business.open_time_ms += open * worked;
            business.active_time_ms += active * worked;
        }
        if let Some(status) = &stretch.status {
            let statuses = &mut times.time_in_status_ms;
            let is_kept = statuses.contains_key(status) || statuses.len() < MAX_STATUSES;
            let status = if is_kept { status.as_str() } else { OTHERS };
            *statuses.entry(status.to_owned()).or_default() += lasted;
        }
    }

    /// Working time in a span. Where the calendar cannot tell, there is none of the ticket at all.
    fn business(&mut self, from: Time, to: Time) -> i64 {
        let Some(calendar) = self.calendar.filter(|_| self.times.business.is_some()) else {
            return 0;
        };
        calendar.between(from, to).unwrap_or_else(|| {
            self.times.business = None;
            0
        })
    }

    fn age(&mut self, created: Option<Time>, state: State, as_of: Time) {
        let Some(created) = created.filter(|_| state == State::Open) else {
            return;
        };
        self.times.age_ms = Some(as_of.since(created).max(0));
        let worked = self.business(created, as_of.max(created));
        if let Some(business) = &mut self.times.business {
            business.age_ms = Some(worked);
        }
    }

    fn times(mut self, ticket: &Ticket, as_of: Option<Time>) -> Times {
        let mut worked = |from: Option<Time>, to: Option<Time>| {
            let (from, to) = (from?, to?);
            Some(self.business(from, to.max(from)))
        };
        let measured = Durations {
            duration_ms: worked(ticket.created_at, ticket.closed_at),
            first_duration_ms: worked(ticket.created_at, ticket.first_closed_at),
            cycle_time_ms: worked(ticket.started_at, ticket.closed_at),
        };
        if let Some(business) = &mut self.times.business {
            business.durations = measured;
        }
        if let Some(as_of) = as_of {
            self.age(ticket.created_at, ticket.state, as_of);
        }
        self.times
    }
}
