//! `GET /tickets/{id}/history`: the evidence behind each number.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use ticket::chain::Origin;
use ticket::fact::Field;
use ticket::fold::Stay;
use ticket::sla::Clock;
use ticket::sla::timer::Breach;
use ticket::{Categories, Durations, Fact, Flag, Policy, Texts, Ticket, TicketId, Time};

use super::ticket::ID;
use super::{Read, no_such_ticket, resolve, unavailable};
use crate::http::{Kind, Problem, Request, Response};
use crate::machines::Machine;
use crate::openapi::{example, sample};
use crate::operation::{Access, Answer, CURSOR, Operation};
use crate::table::{Seen, Told};

/// Facts shown: about two megabytes, and as much again for the stays that they come to. Only a ticket that some automation changes all day has more.
const FACTS: usize = 5_000;

pub(crate) const HISTORY: Operation = Operation {
    route: "GET /tickets/{id}/history",
    id: "getTicketHistory",
    summary: "A ticket's facts, and what was made of them: the evidence behind each number.",
    about: "A ticket with very many facts shows them page by page; everything else is of all of them on each page.",
    access: Access::Read,
    path: Some(ID),
    headers: &[],
    query: &[CURSOR],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "The facts, where the ticket was from when on, and which of both each number comes from.",
        schema: SchemaGenerator::subschema_for::<History>,
        example: || {
            let event = sample::delivery();
            let (by, at) = (crate::execution::name(&event), event.observed);
            let told = |fact: &Fact| {
                let author = event.author(fact).map(str::to_owned);
                let by = by.clone();
                (fact.clone(), Some(Told { by, at, author }))
            };
            let facts = event.facts.iter().map(told).collect();
            example(&History::new(
                event.ticket(),
                facts,
                event.texts,
                &Policy::default(),
                &Categories::default(),
                sample::execution_arn,
            ))
        },
    }],
    problems: &[Kind::NoSuchTicket, Kind::AmbiguousKey],
};

/// What is known of a ticket, and what follows from it.
#[derive(Debug, Serialize, JsonSchema)]
struct History {
    ticket: TicketId,
    /// Everything that was ever said about it, each once.
    facts: Vec<Said>,
    /// How many facts come after these.
    facts_left_out: usize,
    /// The cursor of the page with the next of them; null if these are the last.
    next: Option<String>,
    /// Summary and description as they were seen last. They are no facts: what they said before is not kept.
    texts: Texts,
    /// Where it was, from when on, the oldest first.
    history: Vec<Stay>,
    /// Who told of the beginning of each stay of `history`; null where nobody did, or an earlier release stored it.
    tellings: Vec<Option<Telling>>,
    /// The moments that the ticket's numbers lie between, by the name of the ticket's own field.
    moments: BTreeMap<&'static str, Evidence>,
    /// The ticket's durations, by the name of the ticket's own field.
    durations: BTreeMap<&'static str, Between>,
    /// How many changes at least no delivery told of.
    gaps: u32,
    flags: Vec<Flag>,
    /// The clocks of its targets in every run: from the creation, and from each reopening.
    clocks: Vec<Clock>,
    /// The breaches that were told, as the clocks were then.
    breaches: Vec<Breach>,
    policy_version: u32,
    /// Which of the site's maps of statuses to categories it was made with.
    map_version: u64,
}

/// A fact with its identity.
#[derive(Debug, Serialize, JsonSchema)]
struct Said {
    id: String,
    #[serde(flatten)]
    fact: Fact,
}

/// The first that was heard of a stay's beginning.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct Telling {
    /// Who began it, as JIRA names them; null where no delivery says so.
    author: Option<String>,
    execution: String,
    arn: String,
    /// When the execution began.
    at: Time,
    /// How long after it happened, in whole milliseconds, never negative.
    late_ms: i64,
    /// What happened later was told of before.
    is_out_of_order: bool,
}

/// Where a moment comes from.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Evidence {
    at: Time,
    /// Which stay of `history` began then, counted from 0.
    stay: Option<usize>,
    /// The ids of the facts that say so. None where no delivery told of it: the stay's `origin` has what dates it.
    facts: Vec<String>,
}

/// A duration, and the two moments that it lies between.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Between {
    value_ms: i64,
    from: &'static str,
    to: &'static str,
}

pub(super) async fn history(read: &Read, request: &Request) -> Result<Response, Problem> {
    let query = HISTORY.query(request)?;
    let wanted = request.path_parameter(ID.name);
    let id = resolve(&read.table, wanted).await?;
    let (facts, fold) = read.table.told(&id).await.map_err(unavailable)?;
    if facts.is_empty() {
        return Err(no_such_ticket(wanted));
    }
    let (Seen { texts, .. }, map) = read.table.seen(&id).await.map_err(unavailable)?;
    let policy = read.policy_in_force.seen().await.map_err(unavailable)?;
    let arn = |name: &str| read.machines.execution_arn(Machine::TicketLifecycle, name);
    let mut history = History::new(id, facts, texts, &policy, &map.categories, arn);
    history.breaches = fold.map(|fold| fold.watch.breaches).unwrap_or_default();
    history.turn_to(query.place());
    history.next = query.next(history.next.as_deref());
    Ok(Response::json(200, &history))
}

impl History {
    /// `arn` is that of the execution of a name.
    fn new(
        id: TicketId,
        told: Vec<(Fact, Option<Told>)>,
        texts: Texts,
        policy: &Policy,
        map: &Categories,
        arn: impl Fn(&str) -> String,
    ) -> Self {
        let facts: Vec<&Fact> = told.iter().map(|(fact, _)| fact).collect();
        let ticket = ticket::fold(facts.iter().copied(), policy, map);
        let (moments, durations) = (moments(&ticket, &facts, policy), durations(&ticket));
        let tellings = tellings(&ticket.history, &told, arn);
        let said = |fact: Fact| Said { id: fact.id(), fact };
        let mut facts: Vec<Said> = told.into_iter().map(|(fact, _)| said(fact)).collect();
        facts.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Self {
            ticket: id,
            facts,
            facts_left_out: 0,
            next: None,
            texts,
            history: ticket.history,
            tellings,
            moments,
            durations,
            gaps: ticket.gaps,
            flags: ticket.flags.into_iter().collect(),
            clocks: ticket.clocks.all().cloned().collect(),
            breaches: Vec::new(),
            policy_version: ticket.policy_version,
            map_version: ticket.map_version,
        }
    }
}

impl History {
    /// Keeps one page of the facts: those after the one at `place`.
    fn turn_to(&mut self, place: Option<&str>) {
        let begin = place.map_or(0, |place| self.facts.partition_point(|said| said.id.as_str() <= place));
        self.facts.drain(..begin);
        self.facts_left_out = self.facts.len().saturating_sub(FACTS);
        self.facts.truncate(FACTS);
        self.next = self
            .facts
            .last()
            .filter(|_| 0 < self.facts_left_out)
            .map(|said| said.id.clone());
    }
}

/// Who told of the beginning of each stay.
fn tellings(history: &[Stay], told: &[(Fact, Option<Told>)], arn: impl Fn(&str) -> String) -> Vec<Option<Telling>> {
    let mut of_changes: BTreeMap<Cow<'_, str>, First<'_>> = BTreeMap::new();
    let mut of_creation: Option<First<'_>> = None;
    for (fact, told) in told {
        let Some(told) = told.as_ref().map(First::of) else {
            continue;
        };
        let (changelog, is_creation) = match fact {
            Fact::Created { .. } => (None, true),
            Fact::Change(change) if matches!(change.field, Field::Status | Field::Resolution) => {
                (Some(Cow::Borrowed(change.changelog.as_str())), change.initial)
            }
            Fact::Completion { said, .. } => (Some(Cow::Owned(said.to_string())), false),
            _ => continue,
        };
        if is_creation {
            of_creation = Some(of_creation.map_or(told, |first| first.and(told)));
        }
        if let Some(changelog) = changelog {
            let first = of_changes.entry(changelog).or_insert(told);
            *first = first.and(told);
        }
    }
    let of = |stay: &Stay| match &stay.origin {
        Origin::Created => of_creation,
        Origin::Recorded(changelog) => of_changes.get(changelog.as_str()).copied(),
        Origin::Inferred(_) => None,
    };
    let mut first_of_later: Option<Time> = None;
    let from_the_end = history.iter().rev().map(|stay| {
        let First { told, author } = of(stay)?;
        let is_out_of_order = first_of_later.is_some_and(|later| later < told.at);
        first_of_later = Some(first_of_later.map_or(told.at, |later| later.min(told.at)));
        Some(Telling {
            author: author.map(str::to_owned),
            execution: told.by.clone(),
            arn: arn(&told.by),
            at: told.at,
            late_ms: told.at.since(stay.at).max(0),
            is_out_of_order,
        })
    });
    let mut tellings: Vec<Option<Telling>> = from_the_end.collect();
    tellings.reverse();
    tellings
}

/// Of all who told of the same the first, and the first name that was given with it.
#[derive(Clone, Copy)]
struct First<'a> {
    told: &'a Told,
    author: Option<&'a str>,
}

impl<'a> First<'a> {
    fn of(told: &'a Told) -> Self {
        let author = told.author.as_deref();
        Self { told, author }
    }

    fn and(self, other: Self) -> Self {
        let (earlier, later) = match other.told.at < self.told.at {
            true => (other, self),
            false => (self, other),
        };
        Self {
            told: earlier.told,
            author: earlier.author.or(later.author),
        }
    }
}

fn moments(ticket: &Ticket, facts: &[&Fact], policy: &Policy) -> BTreeMap<&'static str, Evidence> {
    let said = |is_it: &dyn Fn(&Fact) -> bool| facts.iter().filter(|fact| is_it(fact)).map(|fact| fact.id()).collect();
    let entered = |at: Time, is_it: &dyn Fn(&Stay) -> bool| {
        let stay = ticket.history.iter().position(|stay| stay.at == at && is_it(stay));
        let facts = match stay.map(|index| &ticket.history[index].origin) {
            Some(Origin::Recorded(changelog)) => said(&|fact| match fact {
                Fact::Change(change) => {
                    change.changelog == *changelog && matches!(change.field, Field::Status | Field::Resolution)
                }
                Fact::Completion { said, .. } => said.to_string() == changelog.as_str(),
                _ => false,
            }),
            Some(Origin::Created) => said(&|fact| match fact {
                Fact::Created { .. } => true,
                Fact::Change(change) => change.initial && change.field == Field::Status,
                _ => false,
            }),
            Some(Origin::Inferred(_)) | None => Vec::new(),
        };
        Evidence { at, stay, facts }
    };
    let created = |at: Time| Evidence {
        at,
        stay: None,
        facts: said(&|fact| matches!(fact, Fact::Created { at: created } if *created == at)),
    };
    let deleted = |at: Time| Evidence {
        at,
        stay: None,
        facts: said(&|fact| match fact {
            Fact::Deleted { at: deleted } => *deleted == at,
            Fact::Sought { at: sought, found } => !found && *sought == at,
            _ => false,
        }),
    };
    let is_done: &dyn Fn(&Stay) -> bool = &|stay| stay.done == Some(true);
    let is_started: &dyn Fn(&Stay) -> bool = &|stay| policy.is_start(ticket.project.as_deref(), stay);
    let moments = [
        ("created_at", ticket.created_at.map(created)),
        ("started_at", ticket.started_at.map(|at| entered(at, is_started))),
        ("first_closed_at", ticket.first_closed_at.map(|at| entered(at, is_done))),
        ("closed_at", ticket.closed_at.map(|at| entered(at, is_done))),
        ("deleted_at", ticket.deleted_at.map(deleted)),
    ];
    moments
        .into_iter()
        .filter_map(|(name, evidence)| Some((name, evidence?)))
        .collect()
}

fn durations(ticket: &Ticket) -> BTreeMap<&'static str, Between> {
    let Durations {
        duration_ms,
        first_duration_ms,
        cycle_time_ms,
    } = ticket::durations(ticket);
    [
        ("duration_ms", duration_ms, "created_at", "closed_at"),
        ("first_duration_ms", first_duration_ms, "created_at", "first_closed_at"),
        ("cycle_time_ms", cycle_time_ms, "started_at", "closed_at"),
    ]
    .into_iter()
    .filter_map(|(name, value_ms, from, to)| {
        let value_ms = value_ms?;
        Some((name, Between { value_ms, from, to }))
    })
    .collect()
}

#[cfg(test)]
mod tests;
