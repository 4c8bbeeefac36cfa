//! Tickets by what they are: the indexes over the ticket items, walked month by month.
//!
//! An index's partition is a state, a priority, a project or nothing, and a month; its entries are sorted by a moment
//! and the ticket's id. So the months between two moments, one after the other, are all tickets between them in order.
//! Where the moments do not say which months those can be, the partition `MONTHS` says which there are: whoever
//! writes the first fold of a month notes it there.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Datelike, Utc};
use ticket::metrics::Finding;
use ticket::{Durations, IssueKey, State, TicketId, Time};

use super::attribute::string;
use super::request::{PARTITION, Reading, SORT, attribute, key};
use super::{Error, Item, Table, failed};

/// Index partitions looked into for one answer: two years of months, each a query of some milliseconds.
pub const MONTHS: usize = 24;
/// Months that one process remembers to have noted. Tickets of more are noted again.
const NOTED: usize = 1_000;
/// The month of tickets whose creation is unknown.
pub(super) const NO_MONTH: &str = "0000-00";
/// The partition of the months that have tickets.
const MONTHS_PARTITION: &str = "MONTHS";
/// Below and above every sort key of these indexes, which begin with a digit or a `#`.
const LOWEST: &str = " ";
const HIGHEST: &str = "~";

/// Which tickets, by one index. Names are compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    Created,
    /// Those that are closed, by when they were.
    Closed,
    State(State),
    Priority(String),
    Project(String),
    /// Those with findings.
    Quality,
}

/// In which order of moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Newest,
    Oldest,
}

/// From a moment on, to another that is not part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub from: Option<Time>,
    pub to: Option<Time>,
}

/// What an index says of a ticket; what it does not project is not there.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub ticket: TicketId,
    /// When it was created, or where it is about closing, closed. `None` if its creation is unknown.
    pub at: Option<Time>,
    pub key: Option<IssueKey>,
    pub priority: Option<String>,
    pub priority_at_creation: Option<String>,
    pub project: Option<String>,
    pub durations: Durations,
    pub findings: BTreeSet<Finding>,
    sort: String,
}

impl Entry {
    /// The place of this entry, from which a walk can go on.
    pub fn place(&self) -> &str {
        &self.sort
    }

    /// Says that nothing is between this entry and a later place.
    pub fn move_to(&mut self, place: String) {
        self.sort = place;
    }
}

/// Some entries of a walk, and where it goes on; `None` at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Walked {
    pub entries: Vec<Entry>,
    pub next: Option<String>,
}

/// What one index is called and how its keys are made.
struct Index {
    name: &'static str,
    partition: &'static str,
    sort: &'static str,
}

impl By {
    fn index(&self) -> Index {
        let (name, partition, sort) = match self {
            Self::Created => ("by-created", "created_month", "created_key"),
            Self::Closed => ("by-closed", "closed_month", "closed_key"),
            Self::State(_) => ("by-state", "state_month", "created_key"),
            Self::Priority(_) => ("by-priority", "priority_month", "created_key"),
            Self::Project(_) => ("by-project", "project_month", "created_key"),
            Self::Quality => ("by-quality", "quality_month", "created_key"),
        };
        Index { name, partition, sort }
    }

    fn partition(&self, month: &str) -> String {
        match self {
            Self::Created | Self::Closed | Self::Quality => month.to_owned(),
            Self::State(state) => state_month(*state, month),
            Self::Priority(name) | Self::Project(name) => named_month(name, month),
        }
    }
}

pub(super) fn state_month(state: State, month: &str) -> String {
    let state = attribute(&state);
    format!("{}#{month}", state.as_s().expect("a state is written as a string"))
}

pub(super) fn named_month(name: &str, month: &str) -> String {
    format!("{}#{month}", name.to_lowercase())
}

/// The month, in UTC, of a moment.
pub(super) fn month(at: Option<Time>) -> String {
    at.map_or(NO_MONTH.to_owned(), |at| at.to_string()[..7].to_owned())
}

/// A sort key: a moment and whose it is.
pub(super) fn sort_key(at: Option<Time>, id: &TicketId) -> String {
    format!("{}#{id}", at.map(|at| at.to_string()).unwrap_or_default())
}

impl Entry {
    fn read(item: &Item, index: &Index) -> Result<Self, Error> {
        let reading = Reading(item);
        let sort: String = reading.required(index.sort)?;
        let wrong = || reading.unreadable(index.sort);
        let (at, id) = sort.split_once('#').ok_or_else(wrong)?;
        let at = match at {
            "" => None,
            at => Some(at.parse().map_err(|_| wrong())?),
        };
        Ok(Self {
            ticket: id.parse().map_err(|_| wrong())?,
            at,
            key: reading.optional("ticket_key")?,
            priority: reading.optional("priority")?,
            priority_at_creation: reading.optional("priority_at_creation")?,
            project: reading.optional("project")?,
            durations: Durations {
                duration_ms: reading.optional("duration_ms")?,
                first_duration_ms: reading.optional("first_duration_ms")?,
                cycle_time_ms: reading.optional("cycle_time_ms")?,
            },
            findings: reading.optional("findings")?.unwrap_or_default(),
            sort,
        })
    }
}

impl Span {
    /// Its months, if they are few enough to be looked into one by one.
    fn months(&self) -> Option<Vec<String>> {
        let count = |at: Time| {
            let at = DateTime::<Utc>::from(at);
            i64::from(at.year()) * 12 + i64::from(at.month0())
        };
        let (first, last) = (count(self.from?), count(self.to?));
        let months = first..=last;
        if (MONTHS as i64) < last - first + 1 {
            return None;
        }
        Some(
            months
                .map(|month| format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1))
                .collect(),
        )
    }

    /// Its months among those that have tickets.
    fn months_of(&self, noted: impl IntoIterator<Item = String>) -> Vec<String> {
        let (from, to) = (self.from.map(|at| month(Some(at))), self.to.map(|at| month(Some(at))));
        let is_within =
            |month: &String| from.as_ref().is_none_or(|from| from <= month) && to.as_ref().is_none_or(|to| month <= to);
        noted.into_iter().filter(is_within).collect()
    }
}

impl Table {
    /// At most `wanted` of the tickets of a span, and at most [`MONTHS`] months of them.
    ///
    /// `after` is where another walk of the same tickets ended. What comes or goes meanwhile moves nothing else: a
    /// place is a ticket's own sort key, or the edge of a month.
    pub async fn walk(
        &self,
        by: &By,
        span: Span,
        order: Order,
        after: Option<&str>,
        wanted: usize,
    ) -> Result<Walked, Error> {
        let mut walked = Walked::default();
        if span.from.zip(span.to).is_some_and(|(from, to)| to <= from) {
            return Ok(walked);
        }
        let mut months = match span.months() {
            Some(months) => months,
            None => span.months_of(self.months().await?),
        };
        if order == Order::Newest {
            months.reverse();
        }
        let bound = |at: Option<Time>, or: &str| at.map_or(or.to_owned(), |at| at.to_string());
        let (mut low, mut high) = (bound(span.from, LOWEST), bound(span.to, HIGHEST));
        match (after, order) {
            (Some(after), Order::Newest) => high = high.min(after.to_owned()),
            (Some(after), Order::Oldest) => low = low.max(after.to_owned()),
            (None, _) => {}
        }
        if high < low {
            return Ok(walked);
        }
        let is_left = |month: &String| match order {
            Order::Newest => first_of(month) <= high,
            Order::Oldest => low <= last_of(month),
        };
        let mut months = months.into_iter().filter(is_left);
        for month in months.by_ref().take(MONTHS) {
            let missing = wanted.saturating_sub(walked.entries.len());
            let (entries, is_end) = self.entries(by, &month, (&low, &high), order, after, missing).await?;
            walked.entries.extend(entries);
            if !is_end {
                walked.next = walked.entries.last().map(|entry| entry.sort.clone());
                return Ok(walked);
            }
            walked.next = Some(match order {
                Order::Newest => first_of(&month),
                Order::Oldest => last_of(&month),
            });
        }
        if months.next().is_none() {
            walked.next = None;
        }
        Ok(walked)
    }

    /// The tickets whose creation is unknown.
    pub async fn undated(&self, by: &By, wanted: usize) -> Result<Vec<Entry>, Error> {
        let everything = (LOWEST, HIGHEST);
        let (entries, _) = self
            .entries(by, NO_MONTH, everything, Order::Newest, None, wanted)
            .await?;
        Ok(entries)
    }

    /// Entries of one month between two sort keys, and whether these are all there are. The one at `after` is not one
    /// of them.
    async fn entries(
        &self,
        by: &By,
        month: &str,
        (low, high): (&str, &str),
        order: Order,
        after: Option<&str>,
        wanted: usize,
    ) -> Result<(Vec<Entry>, bool), Error> {
        let doing = "list tickets";
        let index = by.index();
        let mut entries = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            // One more shows whether there are more; and the one at `after` comes again.
            let limit = wanted.saturating_sub(entries.len()).saturating_add(2);
            let output = self
                .client
                .query()
                .table_name(&self.name)
                .index_name(index.name)
                .scan_index_forward(order == Order::Oldest)
                .limit(i32::try_from(limit).unwrap_or(i32::MAX))
                .key_condition_expression("#partition = :partition AND #sort BETWEEN :low AND :high")
                .expression_attribute_names("#partition", index.partition)
                .expression_attribute_names("#sort", index.sort)
                .expression_attribute_values(":partition", string(by.partition(month)))
                .expression_attribute_values(":low", string(low))
                .expression_attribute_values(":high", string(high))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(failed(doing))?;
            for item in output.items() {
                let entry = Entry::read(item, &index)?;
                if Some(entry.sort.as_str()) == after {
                    continue;
                }
                if entries.len() == wanted {
                    return Ok((entries, false));
                }
                entries.push(entry);
            }
            match output.last_evaluated_key {
                None => return Ok((entries, true)),
                last => start = last,
            }
        }
    }

    /// The months that have tickets, the oldest first.
    async fn months(&self) -> Result<Vec<String>, Error> {
        let mut months = Vec::new();
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PARTITION)
            .expression_attribute_values(":pk", string(MONTHS_PARTITION))
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            for item in page.map_err(failed("list the months that have tickets"))?.items() {
                months.push(Reading(item).required(SORT)?);
            }
        }
        Ok(months)
    }

    /// Notes the months by which a ticket is about to be found.
    ///
    /// Before the ticket is written: a month without tickets is looked into for nothing, a ticket without its month
    /// would not be found. A process asks once a month, so that this costs a ticket nothing.
    pub(super) async fn note_months(&self, months: &BTreeSet<String>) -> Result<(), Error> {
        for month in months {
            if self.noted.lock().expect("nobody panics with it").contains(month) {
                continue;
            }
            self.client
                .put_item()
                .table_name(&self.name)
                .set_item(Some(key(MONTHS_PARTITION.to_owned(), month.clone())))
                .send()
                .await
                .map_err(failed("note a month"))?;
            let mut noted = self.noted.lock().expect("nobody panics with it");
            if NOTED <= noted.len() {
                noted.clear();
            }
            noted.insert(month.clone());
        }
        Ok(())
    }
}

/// A place before every entry of a month.
fn first_of(month: &str) -> String {
    match month {
        NO_MONTH => LOWEST.to_owned(),
        month => month.to_owned(),
    }
}

/// A place behind every entry of a month, and before those of the next.
fn last_of(month: &str) -> String {
    format!("{month}{HIGHEST}")
}

/// The findings as an attribute; `None` if there are none, so that the index holds those tickets only that have some.
pub(super) fn findings_attribute(findings: &BTreeSet<Finding>) -> Option<AttributeValue> {
    (!findings.is_empty()).then(|| attribute(findings))
}

#[cfg(test)]
mod tests;
