//! The flat payload `{"summary","created","completed","description","priority"}`, and what API clients do to a ticket.
//!
//! A flat ticket has no Jira behind it. Its identity is the hash of summary and creation, so that the same payload
//! again is the same ticket, and it has two statuses: [`OPEN`] until it is [`COMPLETED`].
//!
//! No changelog numbers its changes. Its completion is therefore what was said of it last, and saying another time
//! corrects it; only saying that it is not completed, and then that it is, completes it anew.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::event::{Source, TicketEvent};
use crate::fact::{Category, Change, ChangelogId, Clock, Fact, Field, Named, Snapshot, sha256_hex};
use crate::ids::{IssueId, TicketId};
use crate::text::{DESCRIPTION_BYTES, NAME_BYTES, SUMMARY_BYTES, Seen, Text, Texts, beginning};
use crate::time::{self, Time};
use crate::wire::{self, Error, Path, leaf};

/// The site of tickets that no Jira knows.
pub const SITE: &str = "flat";
/// The status of a flat ticket that is not completed.
pub const OPEN: &str = "open";
/// The status of one that is.
pub const COMPLETED: &str = "completed";

/// How much of the hash is the id: 128 bits, so that no two tickets share one.
const ID_DIGITS: usize = 32;

/// The payload as it is sent; `Some(Null)` is a field that is there and says `null`.
#[derive(Deserialize)]
struct Payload {
    #[serde(default, deserialize_with = "wire::said")]
    summary: Option<Value>,
    #[serde(default, deserialize_with = "wire::said")]
    created: Option<Value>,
    #[serde(default, deserialize_with = "wire::said")]
    completed: Option<Value>,
    #[serde(default, deserialize_with = "wire::said")]
    description: Option<Value>,
    #[serde(default, deserialize_with = "wire::said")]
    priority: Option<Value>,
}

/// Reads the flat payload.
pub fn read(body: &[u8]) -> Result<TicketEvent, Error> {
    let payload: Payload = wire::object(body)?;
    let summary = summary(payload.summary.as_ref())?;
    let created = wire::time(path("created"), payload.created.as_ref())?
        .ok_or_else(|| path("created").missing(time::EXPECTED))?;
    let completed = wire::time(path("completed"), payload.completed.as_ref())?;
    if let (Some(value), Some(_)) = (&payload.completed, completed.filter(|completed| *completed < created)) {
        return Err(path("completed").invalid(value, "not before `created`"));
    }

    let mut id = sha256_hex(&(summary, created));
    id.truncate(ID_DIGITS);
    let ticket = TicketId {
        site: SITE.parse().expect("the flat site is a site"),
        issue: id.parse::<IssueId>().expect("a hash in hex is an issue id"),
    };
    let observed = completed.unwrap_or(created);
    let mut facts = vec![Fact::Created { at: created }, beginning_open(&ticket, created)];
    facts.extend(
        [(OPEN, Category::New), (COMPLETED, Category::Done)].map(|(name, category)| Fact::Category {
            status: name.to_owned(),
            category,
            observed: created,
        }),
    );
    // A payload without a completion is the ticket's beginning, however late it comes, and opens nothing again.
    facts.extend(completed.map(|at| Fact::Completion {
        at: Some(at),
        said: observed,
    }));
    facts.push(Fact::Snapshot(snapshot(&payload, observed)?));
    Ok(event(ticket, observed, facts, texts(&payload, observed)?))
}

/// Reads a change of a flat ticket: any of `summary`, `completed`, `description`, `priority`, as seen at `observed`.
///
/// `completed` closes the ticket at that time, or corrects when it was closed; empty or null it opens it again, at
/// `observed`.
pub fn edit(ticket: &TicketId, body: &[u8], observed: Time) -> Result<TicketEvent, Error> {
    let payload: Payload = wire::object(body)?;
    if ticket.site.as_str() != SITE {
        return Err(path("id").invalid(
            &Value::from(ticket.to_string()),
            "a flat ticket: others change in their Jira",
        ));
    }
    if let Some(created) = &payload.created {
        return Err(path("created").invalid(created, "absent: it is part of the ticket's identity"));
    }
    let Payload {
        summary,
        completed,
        description,
        priority,
        ..
    } = &payload;
    if [summary, completed, description, priority]
        .iter()
        .all(|field| field.is_none())
    {
        return Err(Error::NoKnownShape(
            "it has none of summary, completed, description, priority".to_owned(),
        ));
    }
    if summary.is_some() {
        self::summary(summary.as_ref())?;
    }
    let completed = match completed {
        None => None,
        value => Some(wire::time(path("completed"), value.as_ref())?),
    };
    let mut facts = vec![Fact::Snapshot(snapshot(&payload, observed)?)];
    facts.extend(completed.map(|at| Fact::Completion { at, said: observed }));
    Ok(event(ticket.clone(), observed, facts, texts(&payload, observed)?))
}

/// The summary, without which there is no ticket.
fn summary(value: Option<&Value>) -> Result<&str, Error> {
    let summary = wire::string(path("summary"), value)?.filter(|text| !text.trim().is_empty());
    summary.ok_or_else(|| path("summary").missing("a text that is not empty"))
}

/// The deletion of a ticket by an API client.
pub fn deletion(ticket: &TicketId, at: Time) -> TicketEvent {
    event(ticket.clone(), at, vec![Fact::Deleted { at }], Texts::default())
}

fn event(ticket: TicketId, observed: Time, mut facts: Vec<Fact>, texts: Texts) -> TicketEvent {
    facts.sort();
    let TicketId { site, issue } = ticket;
    TicketEvent {
        site,
        issue,
        key: None,
        observed,
        source: Source::Api,
        facts,
        texts,
        authors: BTreeMap::new(),
    }
}

/// What the payload shows, but for the completion.
fn snapshot(payload: &Payload, observed: Time) -> Result<Snapshot, Error> {
    let priority = match &payload.priority {
        None => None,
        value => {
            let name = wire::string(path("priority"), value.as_ref())?.filter(|name| !name.is_empty());
            Some(name.map(|name| Named {
                id: None,
                name: Some(beginning(name, NAME_BYTES).to_owned()),
            }))
        }
    };
    Ok(Snapshot {
        observed,
        status: None,
        category: None,
        category_changed: None,
        resolution: None,
        resolved: None,
        priority,
        key: None,
        project: None,
        changes_cut: false,
    })
}

fn texts(payload: &Payload, observed: Time) -> Result<Texts, Error> {
    let seen = |name, value: &Option<Value>, max_bytes| match value {
        None => Ok(None),
        value => {
            let text = wire::string(path(name), value.as_ref())?.map(|text| Text::new(text, max_bytes));
            Ok(Some(Seen { observed, text }))
        }
    };
    Ok(Texts {
        summary: seen("summary", &payload.summary, SUMMARY_BYTES)?,
        description: seen("description", &payload.description, DESCRIPTION_BYTES)?,
    })
}

/// The status that every flat ticket is created with.
fn beginning_open(ticket: &TicketId, created: Time) -> Fact {
    Fact::Change(Change {
        field: Field::Status,
        changelog: ChangelogId(sha256_hex(&(ticket, created))),
        item: 0,
        from: None,
        to: Some(status(OPEN)),
        at: created,
        clock: Clock::History,
        initial: true,
    })
}

/// The changes of status that follow from what was said, each with when it was: the completions that nobody corrected,
/// and the reopenings between them.
///
/// A reopening is dated by when it was said. What is said later is right: where it is about an earlier time, what was
/// said before happened no later.
pub(crate) fn changes(said: &BTreeSet<(Time, Option<Time>)>) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for (said, completed) in said {
        let (to, at) = match completed {
            Some(at) => (COMPLETED, *at),
            None => (OPEN, *said),
        };
        let last = changes.last();
        let before = last.and_then(|change| change.to.as_ref()).map_or(OPEN, Named::identity);
        match (before == to, completed) {
            // It is open, and stays so.
            (true, None) => continue,
            (true, Some(_)) => {
                changes.pop();
            }
            (false, _) => {}
        }
        let from = if to == OPEN { COMPLETED } else { OPEN };
        changes.push(Change {
            field: Field::Status,
            changelog: ChangelogId(said.to_string()),
            item: 0,
            from: Some(status(from)),
            to: Some(status(to)),
            at,
            clock: Clock::History,
            initial: false,
        });
    }
    let mut latest = Time::LAST;
    for change in changes.iter_mut().rev() {
        latest = latest.min(change.at);
        change.at = latest;
    }
    for (item, change) in (0..).zip(&mut changes) {
        change.item = item;
    }
    changes
}

fn status(name: &str) -> Named {
    Named {
        id: Some(name.to_owned()),
        name: Some(name.to_owned()),
    }
}

fn path(name: &str) -> Path<'_> {
    leaf("", name)
}
