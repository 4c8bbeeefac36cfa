//! What is stored of a ticket's clocks, on the item of its fold.
//!
//! Two write here. Whoever writes the fold writes its clocks with it, and the timer that was started for them. A timer
//! that fires adds what it records, on condition that no other timer has done so since it read.

use aws_sdk_dynamodb::types::AttributeValue;
use ticket::sla::timer::{Breach, Timer};
use ticket::sla::{Clock, Clocks};
use ticket::{TicketId, Time};

use super::request::{Change, Outcome, Reading, attribute};
use super::ticket::fold_item;
use super::{Error, Item, Table};

const CLOCKS: &str = "sla";
const TIMER: &str = "sla_timer";
const BREACHES: &str = "sla_breaches";
const CHECKED_AT: &str = "sla_checked_at";
const REVISION: &str = "sla_revision";

/// What is recorded by a timer comes after what it read.
pub(super) const RECORD_GUARD: &str = "#sla_revision = :read";
/// The first record needs a fold to be written on.
pub(super) const FIRST_RECORD_GUARD: &str = "attribute_exists(#fact_count) AND attribute_not_exists(#sla_revision)";

/// A ticket's clocks, and what timers have made of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    /// Those that the ticket shows.
    pub clocks: Vec<Clock>,
    /// A timer that was started for them.
    pub timer: Option<Timer>,
    pub breaches: Vec<Breach>,
    /// The moment at which a timer looked last.
    pub checked_at: Option<Time>,
    revision: u64,
}

impl Watch {
    pub(super) fn read(item: &Item) -> Result<Self, Error> {
        let reading = Reading(item);
        Ok(Self {
            clocks: reading.optional(CLOCKS)?.unwrap_or_default(),
            timer: reading.optional(TIMER)?,
            breaches: reading.optional(BREACHES)?.unwrap_or_default(),
            checked_at: reading.optional(CHECKED_AT)?,
            revision: reading.optional(REVISION)?.unwrap_or_default(),
        })
    }

    /// `now`, or the moment at which a timer looked if that is later: timers go by the state machine's clock, which
    /// `--time-skip` takes ahead of a function's.
    pub fn at_least(&self, now: Time) -> Time {
        self.checked_at.map_or(now, |checked| checked.max(now))
    }

    /// What a timer adds that looked at these clocks at `now`: breaches, and when it fires again.
    pub(super) fn recorded(
        &self,
        id: &TicketId,
        clocks: &Clocks,
        breaches: &[Breach],
        next: Option<Timer>,
        now: Time,
    ) -> Change {
        let kept = self.breaches.iter().filter(|breach| clocks.looks_at(&breach.clock));
        let all: Vec<&Breach> = kept.chain(breaches).collect();
        let mut change = fold_item(id);
        change
            .set(BREACHES, attribute(&all))
            .set(CHECKED_AT, attribute(&now))
            .set(REVISION, AttributeValue::N((self.revision + 1).to_string()));
        if let Some(timer) = next {
            change.set(TIMER, attribute(&timer));
        }
        match self.revision {
            0 => change.condition(FIRST_RECORD_GUARD, []),
            read => change.condition(RECORD_GUARD, [("read", AttributeValue::N(read.to_string()))]),
        };
        change
    }
}

/// Adds a fold's clocks to its change, and the timer that was started for them.
pub(super) fn set_clocks(change: &mut Change, clocks: &Clocks, timer: Option<Timer>) {
    change.set_or_remove(CLOCKS, (!clocks.current.is_empty()).then(|| attribute(&clocks.current)));
    if let Some(timer) = timer {
        change.set(TIMER, attribute(&timer));
    }
}

impl Table {
    /// Records breaches and when their timer fires again, unless another timer has recorded something since `watch` was
    /// read, or there is no fold to write it on.
    pub async fn record_breaches(
        &self,
        id: &TicketId,
        watch: &Watch,
        clocks: &Clocks,
        breaches: &[Breach],
        next: Option<Timer>,
        now: Time,
    ) -> Result<Outcome, Error> {
        let change = watch.recorded(id, clocks, breaches, next, now);
        self.change("record what a timer saw", change).await
    }
}
