//! What a recompute has to do and how far it is: tickets that were judged by what is older, and the job's own item.

use aws_sdk_dynamodb::types::Select;
use serde::{Deserialize, Serialize};
use ticket::fold::RULES_VERSION;
use ticket::sla::timer::Timer;
use ticket::{Categories, SiteId, Ticket, TicketId, Time};

use super::attribute::string;
use super::request::{Change, Outcome, PARTITION, Reading, attribute};
use super::ticket::{JUDGED_SHARDS, Judgement, TextsSeen, fold_change, judged_partition, measure, months, ticket_of};
use super::{Error, Table, failed};

const BY_JUDGEMENT: &str = "by-judgement";
const RECOMPUTE: &str = "RECOMPUTE";
const PROGRESS: &str = "PROGRESS";
/// Pages of an index that are counted of one partition: some 700,000 tickets. A greater total is said to be a part.
const COUNTED_PAGES: usize = 100;

/// Of several jobs the one that was started last is shown.
pub(super) const JOB_GUARD: &str = "attribute_not_exists(#pk) OR #started_at <= :started_at";

/// A part of the tickets that may have to be folded again: those of one partition that were judged before `before`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    pub site: SiteId,
    partition: String,
    before: Judgement,
}

impl Stale {
    /// Every part, in one order for good: a job goes through them one by one.
    ///
    /// Tickets that know all their statuses are left alone by a map that has only grown.
    pub fn parts(site: &SiteId, policy_version: u32, map: &Categories) -> impl Iterator<Item = Self> {
        let of = move |awaits: bool, map_version| {
            let before = Judgement {
                rules_version: RULES_VERSION,
                policy_version,
                map_version,
            };
            (0..JUDGED_SHARDS).map(move |shard| Self {
                site: site.clone(),
                partition: judged_partition(site, awaits, shard),
                before,
            })
        };
        of(true, map.version).chain(of(false, map.changed))
    }

    /// Names the part in a cursor.
    pub fn name(&self) -> &str {
        &self.partition
    }
}

/// A ticket of a part, and its place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub ticket: TicketId,
    pub key: String,
}

/// How far a recompute is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub execution: String,
    pub started_at: Time,
    pub updated_at: Time,
    pub policy_version: u32,
    /// Tickets there were to do when it began, or at least so many.
    pub total: u64,
    pub recomputed: u64,
    /// Tickets that cannot be folded again, and some of them by name.
    pub failed: u64,
    pub failures: Vec<TicketId>,
    /// It has been through all.
    pub is_done: bool,
}

impl Table {
    /// Tickets of a part after a place in it, at most `limit`.
    pub async fn stale(&self, part: &Stale, after: Option<&str>, limit: usize) -> Result<Vec<Found>, Error> {
        let output = self
            .stale_query(part, after)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(failed("list tickets to fold again"))?;
        let read = |item| {
            let reading = Reading(item);
            let partition: String = reading.required(PARTITION)?;
            Ok(Found {
                ticket: ticket_of(&partition).ok_or_else(|| reading.unreadable(PARTITION))?,
                key: reading.required("judged_key")?,
            })
        };
        output.items().iter().map(read).collect()
    }

    /// How many tickets a part has, or at least has.
    pub async fn count_stale(&self, part: &Stale) -> Result<u64, Error> {
        let mut pages = self
            .stale_query(part, None)
            .select(Select::Count)
            .into_paginator()
            .send();
        let mut count = 0;
        for _ in 0..COUNTED_PAGES {
            let Some(page) = pages.next().await else { break };
            count += u64::try_from(page.map_err(failed("count tickets to fold again"))?.count()).unwrap_or_default();
        }
        Ok(count)
    }

    fn stale_query(
        &self,
        part: &Stale,
        after: Option<&str>,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        // The first key after that one: a zero byte sorts before all that could follow it. A ticket's key goes on after
        // its versions, so that what is judged by `before` itself is greater than the upper bound.
        let first = after.map_or(String::new(), |after| format!("{after}\u{0}"));
        self.client
            .query()
            .table_name(&self.name)
            .index_name(BY_JUDGEMENT)
            .key_condition_expression("#judged_shard = :shard AND #judged_key BETWEEN :first AND :before")
            .expression_attribute_names("#judged_shard", "judged_shard")
            .expression_attribute_names("#judged_key", "judged_key")
            .expression_attribute_values(":shard", string(&part.partition))
            .expression_attribute_values(":first", string(if first.is_empty() { "0" } else { &first }))
            .expression_attribute_values(":before", string(part.before.sort_key()))
    }

    /// Writes a fold and its durations at once, unless the stored one covers more. An execution that was about to measure
    /// the one before finds that it is superseded.
    pub async fn refold(
        &self,
        id: &TicketId,
        ticket: &Ticket,
        texts: TextsSeen,
        timer: Option<Timer>,
        by: &str,
        now: Time,
    ) -> Result<Outcome, Error> {
        self.note_months(&months(ticket)).await?;
        let mut change = fold_change(id, ticket, texts, timer, by, now);
        measure(&mut change, ticket);
        self.change("write a ticket", change).await
    }

    /// Says how far a job is.
    pub async fn record_job(&self, job: &Job) -> Result<Outcome, Error> {
        let mut change = Change::new(RECOMPUTE.to_owned(), PROGRESS.to_owned());
        change
            .set("started_at", string(job.started_at.to_string()))
            .set("job", attribute(job))
            .condition(JOB_GUARD, []);
        self.change("record a recompute", change).await
    }

    /// The last recompute.
    pub async fn job(&self) -> Result<Option<Job>, Error> {
        let item = self
            .get("read a recompute", RECOMPUTE.to_owned(), PROGRESS.to_owned())
            .await?;
        item.map(|item| Reading(&item).required("job")).transpose()
    }
}
