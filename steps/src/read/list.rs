//! `GET /tickets`: tickets by what they are, a page at a time.
//!
//! One index answers. What it does not know is looked up in the tickets that it names, which are read for the answer
//! anyway; since a filter may leave few of them, how many are read for one page has a bound, and a page that is short
//! because of it carries a cursor. A whole key is an index of its own.

use std::collections::{BTreeSet, VecDeque};

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use ticket::{State, Texts, TicketId, TicketView, Time};

use super::ticket::{View, views};
use super::words::Words;
use super::{Read, unavailable};
use crate::http::{Problem, Request, Response};
use crate::openapi::example;
use crate::operation::{Access, Answer, CURSOR, LIMIT_OF_LIST, MAX_LIMIT, Operation, Parameter, Query, Takes, invalid};
use crate::table::{By, Entry, Error, Order, Span};

/// Walks through an index for one page, each over at most [`MONTHS`](crate::table::MONTHS) months and
/// [`ENTRIES`] entries.
const WALKS: usize = 10;
/// Entries asked for at once where a filter will leave few of them: a hundred kilobytes.
const ENTRIES: usize = 1_000;
/// Tickets read from the table for one page: ten batches of two.
const TICKETS: usize = 1_000;
/// An answer's items, in bytes as they leave the function: of Lambda's 6 MB, with room for what is around them.
pub(super) const PAGE_BYTES: usize = 5 << 20;

/// What a place among the tickets with a key begins with; no place in an index does.
const WITH_KEY: &str = "key ";

pub(super) const STATES: [&str; 4] = ["open", "closed", "deleted", "unknown"];

pub(crate) const LIST: Operation = Operation {
    route: "GET /tickets",
    id: "listTickets",
    summary: "Tickets, by what they are.",
    about: "In the order of their creation, or with `closed_from` or `closed_to` in that of their closing. Filters are \
            joined by and. A page may be short, or even empty, and carry a cursor: only so many tickets are looked at \
            for one. Without `next` it is the last.",
    access: Access::Read,
    path: None,
    headers: &[],
    query: &[
        Parameter {
            name: "state",
            takes: Takes::OneOf(&STATES),
            about: "Where the ticket stands.",
        },
        Parameter {
            name: "status",
            takes: Takes::Name,
            about: "JIRA's status, by name, without regard to case.",
        },
        PRIORITY,
        PROJECT,
        Parameter {
            name: "q",
            takes: Takes::Words,
            about: "Each of these words is in the summary or begins the key, without regard to case. A whole key finds \
                    the ticket that has or had it, at once.",
        },
        Parameter {
            name: "created_from",
            takes: Takes::Moment,
            about: "Created at or after this moment.",
        },
        Parameter {
            name: "created_to",
            takes: Takes::Moment,
            about: "Created before this moment.",
        },
        Parameter {
            name: "closed_from",
            takes: Takes::Moment,
            about: "Closed at or after this moment.",
        },
        Parameter {
            name: "closed_to",
            takes: Takes::Moment,
            about: "Closed before this moment.",
        },
        Parameter {
            name: "order",
            takes: Takes::OneOf(&["newest", "oldest"]),
            about: "Which first; `newest` without it.",
        },
        LIMIT_OF_LIST,
        CURSOR,
    ],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "A page of tickets.",
        schema: SchemaGenerator::subschema_for::<Tickets>,
        example: || {
            example(&Tickets {
                items: vec![View::example()],
                next: None,
            })
        },
    }],
    problems: &[],
};

pub(super) const PRIORITY: Parameter = Parameter {
    name: "priority",
    takes: Takes::Names,
    about: "One of these priorities, by name, without regard to case.",
};
pub(super) const PROJECT: Parameter = Parameter {
    name: "project",
    takes: Takes::Name,
    about: "The project's key, without regard to case.",
};

/// A page of tickets.
#[derive(Serialize, JsonSchema)]
pub(super) struct Tickets {
    items: Vec<View>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
}

/// What must hold of a ticket's priority and project.
#[derive(Clone, Debug, Default)]
pub(super) struct Kind {
    /// In lower case.
    priorities: Option<BTreeSet<String>>,
    project: Option<String>,
}

impl Kind {
    pub(super) fn of(query: &Query) -> Self {
        let lower = |names: &BTreeSet<String>| names.iter().map(|name| name.to_lowercase()).collect();
        Self {
            priorities: query.names(PRIORITY.name).map(lower),
            project: query.text(PROJECT.name).map(str::to_lowercase),
        }
    }

    /// The same of tickets with any priority.
    pub(super) fn of_any_priority(self) -> Self {
        Self {
            priorities: None,
            project: self.project,
        }
    }

    pub(super) fn takes(&self, priority: Option<&str>, project: Option<&str>) -> bool {
        let is_one = |names: &BTreeSet<String>| priority.is_some_and(|name| names.contains(&name.to_lowercase()));
        let is_it = |key: &String| project.is_some_and(|project| project.to_lowercase() == *key);
        self.priorities.as_ref().is_none_or(is_one) && self.project.as_ref().is_none_or(is_it)
    }

    pub(super) fn takes_entry(&self, entry: &Entry) -> bool {
        self.takes(entry.priority.as_deref(), entry.project.as_deref())
    }
}

/// What must hold of a ticket.
#[derive(Debug)]
struct Filter {
    state: Option<State>,
    /// In lower case.
    status: Option<String>,
    kind: Kind,
    words: Words,
    created: Span,
    closed: Span,
}

impl Filter {
    fn of(query: &Query) -> Self {
        let state = query.text("state").map(|name| match name {
            "open" => State::Open,
            "closed" => State::Closed,
            "deleted" => State::Deleted,
            _ => State::Unknown,
        });
        let span = |from, to| Span {
            from: query.moment(from),
            to: query.moment(to),
        };
        Self {
            state,
            status: query.text("status").map(str::to_lowercase),
            kind: Kind::of(query),
            words: query.text("q").map(Words::of).unwrap_or_default(),
            created: span("created_from", "created_to"),
            closed: span("closed_from", "closed_to"),
        }
    }

    /// The index that leaves the fewest tickets to look at, what of it, and whether it shows a ticket's kind.
    fn index(&self) -> (By, Span, bool) {
        if self.closed != Span::default() {
            return (By::Closed, self.closed, true);
        }
        let one_priority = self.kind.priorities.as_ref().filter(|names| names.len() == 1);
        let (by, shows_kind) = match (self.state, &self.kind.project, one_priority.and_then(BTreeSet::first)) {
            // Few tickets are in these at a time; most are closed.
            (Some(state @ (State::Open | State::Deleted | State::Unknown)), ..) => (By::State(state), true),
            (_, Some(project), _) => (By::Project(project.clone()), false),
            (_, None, Some(priority)) => (By::Priority(priority.clone()), false),
            (Some(state), None, None) => (By::State(state), true),
            (None, None, None) => (By::Created, true),
        };
        (by, self.created, shows_kind)
    }

    /// Whether no ticket can be so: only closed ones have been closed.
    fn is_impossible(&self) -> bool {
        self.closed != Span::default() && self.state.is_some_and(|state| state != State::Closed)
    }

    /// Whether the index alone decides.
    fn is_indexed(&self, by: &By) -> bool {
        let state = self.state.is_none_or(|state| *by == By::State(state));
        let other = match by {
            By::Closed => self.state.is_some() || self.created != Span::default(),
            _ => !state,
        };
        let kind = match (&self.kind.priorities, &self.kind.project) {
            (None, None) => true,
            (None, Some(project)) => *by == By::Project(project.clone()),
            (Some(names), None) => names.first().is_some_and(|name| *by == By::Priority(name.clone())),
            (Some(_), Some(_)) => false,
        };
        self.status.is_none() && self.words.is_empty() && !other && kind
    }

    /// An index may be behind the table, which decides.
    fn takes(&self, ticket: &TicketView, texts: &Texts) -> bool {
        let summary = texts.summary().map(|text| text.value.as_str());
        self.takes_any_words(ticket) && self.words.are_in(summary, ticket.key.as_ref())
    }

    fn takes_any_words(&self, ticket: &TicketView) -> bool {
        let is_in = |span: Span, at: Option<Time>| {
            span == Span::default()
                || at.is_some_and(|at| span.from.is_none_or(|from| from <= at) && span.to.is_none_or(|to| at < to))
        };
        let status = ticket.status.as_ref().map(|status| status.to_lowercase());
        self.state.is_none_or(|state| state == ticket.state)
            && (self.status.is_none() || self.status == status)
            && self.kind.takes(ticket.priority.as_deref(), ticket.project.as_deref())
            && is_in(self.created, ticket.created_at)
            && is_in(self.closed, ticket.closed_at)
    }
}

pub(super) async fn list(read: &Read, request: &Request) -> Result<Response, Problem> {
    let query = LIST.query(request)?;
    for (from, to) in [("created_from", "created_to"), ("closed_from", "closed_to")] {
        in_order(&query, from, to)?;
    }
    let filter = Filter::of(&query);
    if filter.is_impossible() {
        let (items, next) = (Vec::new(), None);
        return Ok(Response::json(200, &Tickets { items, next }));
    }
    let order = match query.text("order") {
        Some("oldest") => Order::Oldest,
        _ => Order::Newest,
    };
    let (place, limit) = (query.place(), query.limit());
    let with_key = with_key(read, &filter, order, place, limit)
        .await
        .map_err(unavailable)?;
    let (items, place) = match with_key {
        Some(page) => page,
        None => page(read, &filter, order, place, limit).await.map_err(unavailable)?,
    };
    let next = query.next(place.as_deref());
    Ok(Response::json(200, &Tickets { items, next }))
}

/// Refuses a span that ends before it begins.
pub(super) fn in_order(query: &Query, from: &str, to: &str) -> Result<(), Problem> {
    match query.moment(from).zip(query.moment(to)) {
        Some((begin, end)) if end < begin => {
            Err(invalid(to, format!("{to} is {end}, which is before {from}, {begin}")))
        }
        _ => Ok(()),
    }
}

/// The page of the tickets that have or had the key that is asked for, which its own items know; `None` if there are
/// none, or no key is asked for: then the words decide.
async fn with_key(
    read: &Read,
    filter: &Filter,
    order: Order,
    after: Option<&str>,
    limit: usize,
) -> Result<Option<(Vec<View>, Option<String>)>, Error> {
    let Some(key) = filter.words.key() else {
        return Ok(None);
    };
    let after = match after.map(|place| place.strip_prefix(WITH_KEY)) {
        Some(None) => return Ok(None),
        Some(Some(ticket)) => Some(ticket),
        None => None,
    };
    let ids: Vec<TicketId> = read.table.tickets_with_key(&key).await?.into_iter().collect();
    if ids.is_empty() {
        return Ok(None);
    }
    let mut shown = read.table.all_shown(&ids).await?;
    let is_by_closing = filter.closed != Span::default();
    shown.sort_unstable_by_key(|(id, fold, _)| {
        let view = &fold.view;
        (if is_by_closing { view.closed_at } else { view.created_at }, id.clone())
    });
    if order == Order::Newest {
        shown.reverse();
    }
    if let Some(after) = after {
        let ended = shown.iter().position(|(id, ..)| id.to_string() == after);
        shown.drain(..ended.map_or(shown.len(), |index| index + 1));
    }
    shown.retain(|(_, fold, _)| filter.takes_any_words(&fold.view));
    let is_cut = limit < shown.len();
    shown.truncate(limit);
    let place = shown
        .last()
        .filter(|_| is_cut)
        .map(|(id, ..)| format!("{WITH_KEY}{id}"));
    Ok(Some((views(read, shown).await?, place)))
}

/// A page, and the place at which it ends if there may be more.
async fn page(
    read: &Read,
    filter: &Filter,
    order: Order,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<View>, Option<String>), Error> {
    let (by, span, shows_kind) = filter.index();
    let at_once = if filter.is_indexed(&by) { limit } else { ENTRIES };
    let (mut items, mut bytes) = (Vec::new(), 0);
    let (mut walks, mut tickets) = (0, 0);
    let mut place = after.map(str::to_owned);
    let mut waiting: VecDeque<Entry> = VecDeque::new();
    let mut goes_on = true;
    loop {
        if waiting.is_empty() {
            if !goes_on {
                return Ok((items, None));
            }
            if walks == WALKS || limit <= items.len() {
                return Ok((items, place));
            }
            let walked = read.table.walk(&by, span, order, place.as_deref(), at_once).await?;
            walks += 1;
            let is_taken = |entry: &Entry| !shows_kind || filter.kind.takes_entry(entry);
            waiting.extend(walked.entries.into_iter().filter(is_taken));
            goes_on = walked.next.is_some();
            if waiting.is_empty() {
                place = walked.next;
                continue;
            }
            // Behind the last one that waits there is nothing until where the walk goes on.
            if let (Some(last), Some(next)) = (waiting.back_mut(), walked.next) {
                last.move_to(next);
            }
        }
        if limit <= items.len() || TICKETS <= tickets {
            return Ok((items, place));
        }
        let group: Vec<Entry> = waiting.drain(..waiting.len().min(MAX_LIMIT)).collect();
        tickets += group.len();
        let ids: Vec<_> = group.iter().map(|entry| entry.ticket.clone()).collect();
        let mut shown = read.table.all_shown(&ids).await?;
        shown.retain(|(_, fold, seen)| filter.takes(&fold.view, &seen.texts));
        let is_cut = limit - items.len() < shown.len();
        shown.truncate(limit - items.len());
        let mut shown: VecDeque<View> = views(read, shown).await?.into();
        for entry in group {
            let is_it = shown.front().is_some_and(|view| *view.id() == entry.ticket);
            if is_it && let Some(view) = shown.pop_front() {
                bytes += written_bytes(&view);
                if PAGE_BYTES < bytes && !items.is_empty() {
                    return Ok((items, place));
                }
                items.push(view);
            } else if is_cut && shown.is_empty() {
                return Ok((items, place));
            }
            place = Some(entry.place().to_owned());
        }
    }
}

/// As many of some tickets as an answer has room for.
pub(super) fn fitting(views: Vec<View>) -> Vec<View> {
    let mut bytes = 0;
    let fits = |view: &View| {
        bytes += written_bytes(view);
        bytes <= PAGE_BYTES
    };
    views.into_iter().take_while(fits).collect()
}

/// The bytes that an item takes of a function's answer, which is a text in JSON itself: each quote and each backslash of
/// it is written as two.
pub(super) fn written_bytes(view: &impl Serialize) -> usize {
    let json = serde_json::to_string(view).unwrap_or_default();
    let escaped = json.bytes().filter(|byte| [b'"', b'\\'].contains(byte)).count();
    json.len() + escaped
}

#[cfg(test)]
mod tests;
