//! A ticket's items: facts, fold, texts and aliases.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, Select};
use serde::{Deserialize, Serialize};
use ticket::fact::Field;
use ticket::fold::RULES_VERSION;
use ticket::metrics::{Finding, findings};
use ticket::sla::timer::Timer;
use ticket::{
    Durations, Fact, Flag, IssueKey, Policy, SiteId, Spent, State, Texts, Ticket, TicketEvent, TicketId, TicketView,
    Time, durations,
};
use tokio::task::JoinSet;

use super::attribute::{number, string};
use super::list;
use super::progress::Record;
use super::request::{BATCH, Change, Outcome, PARTITION, Reading, SORT, Write, attribute, key};
use super::site::{Map, map_key};
use super::sla::{Watch, set_clocks};
use super::{Error, Item, Table, failed};
use crate::step::Execution;

const FACT_PREFIX: &str = "FACT#";
const FOLD: &str = "FOLD";
const SEEN: &str = "SEEN";

/// Partitions of the index by judgement, for each site. A recompute moves every ticket within its partition, and a
/// partition takes 1,000 writes a second.
pub(super) const JUDGED_SHARDS: u8 = 4;

/// How many tickets with one key are looked at: more sites than anyone has.
const MAX_SITES: i32 = 100;

/// A fold never shrinks and is never judged by what is older: a writer that is behind the stored one in anything is
/// refused, and catches up with it. So two writers never overrule each other in turn.
pub(super) const FOLD_GUARD: &str = "attribute_not_exists(#fact_count) OR (#fact_count <= :fact_count AND \
     #rules_version <= :rules_version AND #policy_version <= :policy_version AND #map_version <= :map_version AND \
     (attribute_not_exists(#texts_revision) OR #texts_revision <= :texts_revision))";
/// Durations are those of the very fold that is stored: as many facts may be others, and another writer's.
pub(super) const DURATIONS_GUARD: &str = "#folded_by = :folded_by AND #fact_count = :fact_count AND \
     #rules_version = :rules_version AND #policy_version = :policy_version AND #map_version = :map_version";
/// Texts are merged with those that were read, and with no others.
pub(super) const SEEN_GUARD: &str = "#revision = :read";
const UNSEEN_GUARD: &str = "attribute_not_exists(#pk)";

/// By what a fold was made of its facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    pub rules_version: u32,
    pub policy_version: u32,
    pub map_version: u64,
}

impl Judgement {
    pub fn of(ticket: &Ticket) -> Self {
        Self {
            rules_version: RULES_VERSION,
            policy_version: ticket.policy_version,
            map_version: ticket.map_version,
        }
    }

    /// Whether it is by a later policy or by later rules than this function has.
    pub fn is_beyond(self, policy: &Policy) -> bool {
        policy.version < self.policy_version || RULES_VERSION < self.rules_version
    }

    /// Sorts as the versions do: first by rules, then by policy, then by map. As many digits as each may have.
    pub(super) fn sort_key(self) -> String {
        let Self {
            rules_version,
            policy_version,
            map_version,
        } = self;
        format!("{rules_version:010}.{policy_version:010}.{map_version:020}")
    }

    fn values(self) -> [(&'static str, AttributeValue); 3] {
        [
            ("rules_version", number(self.rules_version)),
            ("policy_version", number(self.policy_version)),
            ("map_version", AttributeValue::N(self.map_version.to_string())),
        ]
    }
}

/// What a ticket's fold tells of its texts, which are on an item of their own, so that it is found by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TextsSeen {
    /// Of the texts' item: of two, the greater one tells.
    revision: u64,
    is_cut: bool,
}

/// The stored fold, as far as it is read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// Without texts.
    pub view: TicketView,
    /// How long the ticket was where, but for the stay that lasts.
    pub spent: Spent,
    pub fact_count: u64,
    pub judgement: Judgement,
    /// The execution that wrote it.
    pub folded_by: String,
    pub updated_at: Time,
    /// The durations are those of this fold, or there are none to have.
    pub is_measured: bool,
    pub watch: Watch,
    pub texts: TextsSeen,
}

/// What a ticket was last seen as, with the revision that a merge must still find.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub texts: Texts,
    pub key: Option<IssueKey>,
    revision: u64,
}

/// What is stored of a ticket, read at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub facts: Vec<Fact>,
    pub fold: Option<Fold>,
}

/// Who told of a fact first, and who made the change that it tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The execution's name.
    pub by: String,
    /// When that execution began.
    pub at: Time,
    /// As Jira named them to whoever did so first.
    pub author: Option<String>,
}

fn partition(id: &TicketId) -> String {
    format!("TICKET#{id}")
}

/// The ticket of a partition.
pub(super) fn ticket_of(partition: &str) -> Option<TicketId> {
    partition.strip_prefix("TICKET#")?.parse().ok()
}

fn alias_partition(key: &IssueKey) -> String {
    format!("KEY#{key}")
}

/// The partition of the index by judgement that a ticket is in: one of its site's [`JUDGED_SHARDS`], apart from the others
/// if a status of it is unknown, because a map that has grown concerns only those.
fn judged_shard(id: &TicketId, awaits_category: bool) -> String {
    let shard = id.issue.as_str().bytes().fold(0, u8::wrapping_add) % JUDGED_SHARDS;
    judged_partition(&id.site, awaits_category, shard)
}

pub(super) fn judged_partition(site: &SiteId, awaits_category: bool, shard: u8) -> String {
    let kind = if awaits_category { "awaits" } else { "knows" };
    format!("{site}#{kind}#{shard}")
}

/// The item by which a key finds its ticket.
pub(super) fn alias(alias: &IssueKey, id: &TicketId) -> Item {
    key(alias_partition(alias), id.to_string())
}

impl Fold {
    pub(super) fn read(item: &Item) -> Result<Self, Error> {
        let reading = Reading(item);
        let mut view: TicketView = reading.required("fold")?;
        view.durations = Durations {
            duration_ms: reading.optional("duration_ms")?,
            first_duration_ms: reading.optional("first_duration_ms")?,
            cycle_time_ms: reading.optional("cycle_time_ms")?,
        };
        let fact_count = reading.required("fact_count")?;
        Ok(Self {
            is_measured: view.state != State::Closed || reading.optional("measured")? == Some(fact_count),
            view,
            spent: reading.required("spent")?,
            fact_count,
            judgement: Judgement {
                rules_version: reading.required("rules_version")?,
                policy_version: reading.required("policy_version")?,
                map_version: reading.required("map_version")?,
            },
            folded_by: reading.required("folded_by")?,
            updated_at: reading.required("updated_at")?,
            watch: Watch::read(item)?,
            texts: TextsSeen {
                revision: reading.optional("texts_revision")?.unwrap_or_default(),
                is_cut: reading.optional("texts_cut")?.unwrap_or_default(),
            },
        })
    }
}

/// A change of the fold's item.
pub(super) fn fold_item(id: &TicketId) -> Change {
    Change::new(partition(id), FOLD.to_owned())
}

/// The fold's item, with the keys of every index that a ticket is in.
///
/// Durations are left to [`measure`] and [`leave_unmeasured`]; `timer` is the one that was started for its clocks.
pub(super) fn fold_change(
    id: &TicketId,
    ticket: &Ticket,
    texts: TextsSeen,
    timer: Option<Timer>,
    by: &str,
    now: Time,
) -> Change {
    let mut view = TicketView::new(id, ticket, &Texts::default());
    view.durations = Durations::default();
    let month = list::month(view.created_at);
    let closed_at = view.closed_at.filter(|_| view.state == State::Closed);
    let mut findings = findings(id, ticket);
    findings.extend(texts.is_cut.then_some(Finding::Flag(Flag::TextCut)));
    let named_month = |name: &Option<String>| name.as_ref().map(|name| string(list::named_month(name, &month)));

    let mut change = fold_item(id);
    change
        .set("fold", attribute(&view))
        .set("spent", attribute(&ticket.spent))
        .set("fact_count", AttributeValue::N(ticket.fact_count.to_string()))
        .set("folded_by", string(by))
        .set("updated_at", string(now.to_string()))
        .set("state_month", string(list::state_month(view.state, &month)))
        .set("created_month", string(month.as_str()))
        .set("created_key", string(list::sort_key(view.created_at, id)))
        .set_or_remove("closed_month", closed_at.map(|at| string(list::month(Some(at)))))
        .set_or_remove("closed_key", closed_at.map(|at| string(list::sort_key(Some(at), id))))
        .set_or_remove("ticket_key", view.key.as_ref().map(|key| string(key.as_str())))
        .set_or_remove("priority", view.priority.clone().map(string))
        .set_or_remove("priority_at_creation", view.priority_at_creation.clone().map(string))
        .set_or_remove("priority_month", named_month(&view.priority))
        .set_or_remove("project", view.project.clone().map(string))
        .set_or_remove("project_month", named_month(&view.project))
        .set_or_remove("quality_month", (!findings.is_empty()).then(|| string(month.as_str())))
        .set_or_remove("findings", list::findings_attribute(&findings))
        .set("texts_revision", AttributeValue::N(texts.revision.to_string()))
        .set("texts_cut", AttributeValue::Bool(texts.is_cut))
        .condition(FOLD_GUARD, []);
    for (name, value) in Judgement::of(ticket).values() {
        change.set(name, value);
    }
    change
        .set("judged_shard", string(judged_shard(id, ticket.awaits_category)))
        .set(
            "judged_key",
            string(format!("{}#{id}", Judgement::of(ticket).sort_key())),
        );
    set_clocks(&mut change, &ticket.clocks, timer);
    change
}

/// Leaves the durations of a closed ticket to ComputeDuration. Those that still hold stay, so that a closed ticket that
/// is only edited never looks unmeasured.
pub(super) fn leave_unmeasured(change: &mut Change, ticket: &Ticket, before: Option<&Fold>) {
    let measured = durations(ticket);
    change.remove("measured");
    if ticket.state != State::Closed {
        // What it took to close a ticket that was opened again is over; nothing else is, and no later step follows.
        set_durations(change, &measured);
    } else if before.is_none_or(|before| before.view.durations != measured) {
        set_durations(change, &Durations::default());
    }
}

/// Measures the ticket with its fold.
pub(super) fn measure(change: &mut Change, ticket: &Ticket) {
    set_durations(change, &durations(ticket));
    change.set("measured", AttributeValue::N(ticket.fact_count.to_string()));
}

/// The months by which a ticket is found.
pub(super) fn months(ticket: &Ticket) -> BTreeSet<String> {
    let closed = ticket.closed_at.map(Some);
    [ticket.created_at].into_iter().chain(closed).map(list::month).collect()
}

fn set_durations(change: &mut Change, durations: &Durations) {
    change
        .set_or_remove("duration_ms", durations.duration_ms.map(number))
        .set_or_remove("first_duration_ms", durations.first_duration_ms.map(number))
        .set_or_remove("cycle_time_ms", durations.cycle_time_ms.map(number));
}

impl Seen {
    pub(super) fn read(item: &Item) -> Result<Self, Error> {
        let reading = Reading(item);
        Ok(Self {
            texts: reading.required("texts")?,
            key: reading.optional("key")?,
            revision: reading.required("revision")?,
        })
    }

    /// What the fold may tell of the texts once an event is stored.
    pub fn after(&self, event: &TicketEvent) -> TextsSeen {
        let merged = self.merged(event);
        let seen = merged.as_ref().unwrap_or(self);
        TextsSeen {
            revision: seen.revision,
            is_cut: seen.texts.is_cut(),
        }
    }

    /// What an event adds; `None` if that is nothing.
    pub(super) fn merged(&self, event: &TicketEvent) -> Option<Self> {
        let texts = self.texts.clone().merge(event.texts.clone());
        let key = event.key.clone().or_else(|| self.key.clone());
        let revision = self.revision + 1;
        (texts != self.texts || key != self.key).then_some(Self { texts, key, revision })
    }

    pub(super) fn change(&self, id: &TicketId, read: u64) -> Change {
        let mut change = Change::new(partition(id), SEEN.to_owned());
        change
            .set("texts", attribute(&self.texts))
            .set_or_remove("key", self.key.as_ref().map(|key| string(key.as_str())))
            .set("revision", AttributeValue::N(self.revision.to_string()));
        match read {
            0 => change.condition(UNSEEN_GUARD, []),
            read => change.condition(SEEN_GUARD, [("read", AttributeValue::N(read.to_string()))]),
        };
        change
    }
}

/// The keys that an event speaks of and that may have no alias yet.
pub(super) fn new_keys(event: &TicketEvent, seen: &Seen) -> BTreeSet<IssueKey> {
    let moved = event.facts.iter().filter_map(|fact| match fact {
        Fact::Change(change) if change.field == Field::Key => Some([&change.from, &change.to]),
        _ => None,
    });
    let moved = moved.flatten().filter_map(|value| value.as_ref()?.label().parse().ok());
    moved
        .chain(event.key.clone())
        .filter(|key| seen.key.as_ref() != Some(key))
        .collect()
}

/// A fact of an event, and who told of it first.
fn fact_change(id: &TicketId, event: &TicketEvent, fact: &Fact, execution: &Execution) -> Change {
    let mut change = Change::new(partition(id), format!("{FACT_PREFIX}{}", fact.id()));
    if let Some(author) = event.author(fact) {
        change.keep("author", string(author));
    }
    change
        .set("fact", attribute(fact))
        .keep("told_by", string(&execution.name))
        .keep("told_at", string(execution.start_time.to_string()));
    change
}

impl Table {
    /// Texts and key of a ticket as last seen, and its site's map: what an event is compared with.
    pub async fn seen(&self, id: &TicketId) -> Result<(Seen, Map), Error> {
        let keys = vec![key(partition(id), SEEN.to_owned()), map_key(&id.site)];
        let (mut seen, mut map) = (Seen::default(), Map::default());
        for item in self.batch("read a ticket's texts", keys).await? {
            if Reading(&item).required::<String>(SORT)? == SEEN {
                seen = Seen::read(&item)?;
            } else {
                map = Map::read(&item)?;
            }
        }
        Ok((seen, map))
    }

    /// Fold and texts of a ticket: what is shown of it.
    pub async fn shown(&self, id: &TicketId) -> Result<(Option<Fold>, Seen), Error> {
        let keys = [FOLD, SEEN].map(|sort| key(partition(id), sort.to_owned())).into();
        let (mut fold, mut seen) = (None, Seen::default());
        for item in self.batch("read a ticket", keys).await? {
            if Reading(&item).required::<String>(SORT)? == FOLD {
                fold = Some(Fold::read(&item)?);
            } else {
                seen = Seen::read(&item)?;
            }
        }
        Ok((fold, seen))
    }

    /// Fold and texts of those of the tickets that have a fold, in their order.
    pub async fn all_shown(&self, ids: &[TicketId]) -> Result<Vec<(TicketId, Fold, Seen)>, Error> {
        // Two items a ticket; the batches are asked for at the same time.
        let mut batches = JoinSet::new();
        for ids in ids.chunks(BATCH / 2) {
            let keys = ids
                .iter()
                .flat_map(|id| [FOLD, SEEN].map(|sort| key(partition(id), sort.to_owned())))
                .collect();
            let table = self.clone();
            batches.spawn(async move { table.batch("read tickets", keys).await });
        }
        let (mut folds, mut all_seen) = (BTreeMap::new(), BTreeMap::new());
        while let Some(batch) = batches.join_next().await {
            for item in batch.expect("a batch is neither aborted nor panics")? {
                let reading = Reading(&item);
                let partition: String = reading.required(PARTITION)?;
                if reading.required::<String>(SORT)? == FOLD {
                    folds.insert(partition, Fold::read(&item)?);
                } else {
                    all_seen.insert(partition, Seen::read(&item)?);
                }
            }
        }
        let shown = ids.iter().filter_map(|id| {
            let partition = partition(id);
            let fold = folds.remove(&partition)?;
            Some((id.clone(), fold, all_seen.remove(&partition).unwrap_or_default()))
        });
        Ok(shown.collect())
    }

    /// The stored fold of a ticket.
    pub async fn fold(&self, id: &TicketId) -> Result<Option<Fold>, Error> {
        let item = self.get("read a ticket", partition(id), FOLD.to_owned()).await?;
        item.as_ref().map(Fold::read).transpose()
    }

    /// Facts and fold of a ticket, as of now.
    pub async fn stored(&self, id: &TicketId) -> Result<Stored, Error> {
        let mut facts = Vec::new();
        let fact = |reading: &Reading<'_>| {
            facts.push(reading.required("fact")?);
            Ok(())
        };
        let fold = self.facts_and_fold(id, fact).await?;
        Ok(Stored { facts, fold })
    }

    /// Facts and fold of a ticket, as of now, and who told of each fact.
    pub async fn told(&self, id: &TicketId) -> Result<(Vec<(Fact, Option<Told>)>, Option<Fold>), Error> {
        let mut facts = Vec::new();
        let fact = |reading: &Reading<'_>| {
            let told = match (reading.optional("told_by")?, reading.optional("told_at")?) {
                (Some(by), Some(at)) => {
                    let author = reading.optional("author")?;
                    Some(Told { by, at, author })
                }
                _ => None,
            };
            facts.push((reading.required("fact")?, told));
            Ok(())
        };
        let fold = self.facts_and_fold(id, fact).await?;
        Ok((facts, fold))
    }

    /// Reads a ticket's fold, and gives the item of each of its facts to `fact`.
    async fn facts_and_fold(
        &self,
        id: &TicketId,
        mut fact: impl FnMut(&Reading<'_>) -> Result<(), Error>,
    ) -> Result<Option<Fold>, Error> {
        let mut fold = None;
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :facts AND :fold")
            .expression_attribute_names("#pk", PARTITION)
            .expression_attribute_names("#sk", SORT)
            .expression_attribute_values(":pk", string(partition(id)))
            .expression_attribute_values(":facts", string(FACT_PREFIX))
            .expression_attribute_values(":fold", string(FOLD))
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            for item in page.map_err(failed("read a ticket's facts"))?.items() {
                let reading = Reading(item);
                let sort: String = reading.required(SORT)?;
                if sort == FOLD {
                    fold = Some(Fold::read(item)?);
                } else {
                    fact(&reading)?;
                }
            }
        }
        Ok(fold)
    }

    /// How many facts a ticket has, as of now.
    pub async fn fact_count(&self, id: &TicketId) -> Result<u64, Error> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .select(Select::Count)
            .key_condition_expression("#pk = :pk AND begins_with(#sk, :facts)")
            .expression_attribute_names("#pk", PARTITION)
            .expression_attribute_names("#sk", SORT)
            .expression_attribute_values(":pk", string(partition(id)))
            .expression_attribute_values(":facts", string(FACT_PREFIX))
            .into_paginator()
            .send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            count += u64::try_from(page.map_err(failed("count a ticket's facts"))?.count()).unwrap_or_default();
        }
        Ok(count)
    }

    /// Adds an event's facts and texts, and the step's own record.
    ///
    /// A fact's key is its content, so that telling of it again changes nothing. `seen` is what the texts were when they
    /// were read; if they are no longer, [`Outcome::Refused`] is of another item than the first.
    pub async fn store(&self, event: &TicketEvent, seen: &Seen, record: &Record<'_>) -> Result<Outcome, Error> {
        let id = event.ticket();
        let mut writes = vec![Write::Change(record.change())];
        if let Some(merged) = seen.merged(event) {
            writes.push(Write::Change(merged.change(&id, seen.revision)));
        }
        writes.extend(new_keys(event, seen).iter().map(|key| Write::Put(alias(key, &id))));
        let fact = |fact| Write::Change(fact_change(&id, event, fact, record.execution));
        writes.extend(event.facts.iter().map(fact));
        self.transact("store an event", writes).await
    }

    /// Writes a fold, unless the stored one covers more, and the step's own record, which is the first item.
    ///
    /// `texts` are those that the writer knows of; those that the fold `before` knows of may be later.
    pub async fn write_fold(
        &self,
        id: &TicketId,
        ticket: &Ticket,
        texts: TextsSeen,
        before: Option<&Fold>,
        timer: Option<Timer>,
        record: &Record<'_>,
    ) -> Result<Outcome, Error> {
        self.note_months(&months(ticket)).await?;
        let texts = before.map_or(texts, |before| before.texts.max(texts));
        let mut fold = fold_change(id, ticket, texts, timer, &record.execution.name, record.finished_at);
        leave_unmeasured(&mut fold, ticket, before);
        self.transact(
            "write a ticket",
            vec![Write::Change(record.change()), Write::Change(fold)],
        )
        .await
    }

    /// Writes the durations of the fold of so many facts, if it is still the stored one, and the step's own record,
    /// which is the first item.
    pub async fn write_durations(
        &self,
        id: &TicketId,
        fold: &Fold,
        durations: &Durations,
        record: &Record<'_>,
    ) -> Result<Outcome, Error> {
        let count = || AttributeValue::N(fold.fact_count.to_string());
        let mut change = Change::new(partition(id), FOLD.to_owned());
        change
            .set("measured", count())
            .set("updated_at", string(record.finished_at.to_string()))
            .condition(
                DURATIONS_GUARD,
                [("fact_count", count()), ("folded_by", string(&fold.folded_by))],
            )
            .compared(fold.judgement.values());
        set_durations(&mut change, durations);
        self.transact(
            "write durations",
            vec![Write::Change(record.change()), Write::Change(change)],
        )
        .await
    }

    /// The tickets that have or had this key: one, unless two sites use it.
    pub async fn tickets_with_key(&self, key: &IssueKey) -> Result<BTreeSet<TicketId>, Error> {
        let output = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .limit(MAX_SITES)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PARTITION)
            .expression_attribute_values(":pk", string(alias_partition(key)))
            .send()
            .await
            .map_err(failed("find a ticket by its key"))?;
        output.items().iter().map(|item| Reading(item).required(SORT)).collect()
    }
}
