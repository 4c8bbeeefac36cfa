//! `GET /metrics/…`: numbers about many tickets, read from the indexes on them.
//!
//! Nothing is counted when it happens, so nothing is ever counted twice: a ticket is one entry of an index, however
//! often its deliveries came or its executions were redriven. What a question costs grows with the tickets of its
//! span, never with all there are, and ends at [`TICKETS`]; an answer says where that cut it off.

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use ticket::metrics::{
    self, BUCKETS_MS, DAY_MS, Distribution, Finding, HOUR_MS, Kept, Life, MINUTE_MS, Minute, Moment, Per, Throughput,
    Zone,
};
use ticket::{IssueKey, State, TicketId, Time};

use super::list::{Kind, PRIORITY, PROJECT, fitting, in_order};
use super::ticket::{View, views};
use super::{Read, unavailable};
use crate::http::{Problem, Request, Response};
use crate::openapi::example;
use crate::operation::{Access, Answer, Operation, Parameter, Query, Takes, invalid};
use crate::table::{self, By, Entry, Order, Span};

/// Tickets counted for one answer: entries of an index, some ten megabytes, read in about a second.
const TICKETS: usize = 50_000;
/// Walks through an index for one answer: with [`MONTHS`](table::MONTHS) months each, ten years.
const WALKS: usize = 5;
/// The longest span of a question in days: a leap year.
const SPAN_DAYS: i64 = 366;
/// The longest span of a question by the hour, in days.
const SPAN_DAYS_BY_HOUR: i64 = 31;
/// The span of a question that names none, in days.
const DAYS: i64 = 30;
/// The span of a question by the hour that names none, in days.
const DAYS_BY_HOUR: i64 = 2;
/// Of how many days aging takes the closed tickets to compare with: a quarter, so that there are enough.
const AGING_DAYS: i64 = 91;
/// Tickets that are named unless the client says otherwise.
const NAMED: usize = 20;

const FROM: Parameter = Parameter {
    name: "from",
    takes: Takes::Moment,
    about: "Where the span begins; 30 days before its end without it. It is at most 366 days long.",
};
const TO: Parameter = Parameter {
    name: "to",
    takes: Takes::Moment,
    about: "Where the span ends, itself not part of it; now without it.",
};
const ZONE: Parameter = Parameter {
    name: "zone",
    takes: Takes::Zone,
    about: "Where days begin and end, as a time zone of the IANA database; UTC without it. Hours are always UTC's.",
};
const NAMED_LIMIT: Parameter = Parameter {
    name: "limit",
    takes: Takes::Limit(NAMED),
    about: "How many tickets are named at most.",
};

pub(crate) const PER_MINUTE: Operation = Operation {
    route: "GET /metrics/tickets-per-minute",
    id: "ticketsPerMinute",
    summary: "Tickets per minute of an hour, by priority.",
    about: "All sixty minutes, empty ones included. Created tickets are counted by the priority that they were created \
            with, closed ones by the one that they have; a ticket that was opened again is not closed.",
    access: Access::Read,
    path: None,
    headers: &[],
    query: &[
        Parameter {
            name: "hour",
            takes: Takes::Moment,
            about: "The minute that the hour begins with; the current hour without it.",
        },
        Parameter {
            name: "by",
            takes: Takes::OneOf(&["created", "closed"]),
            about: "What is counted; `created` without it.",
        },
        Parameter {
            about: "Which priorities are counted; those of the policy without it.",
            ..PRIORITY
        },
        PROJECT,
    ],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "The hour's minutes.",
        schema: SchemaGenerator::subschema_for::<PerMinute>,
        example: || example(&examples::per_minute()),
    }],
    problems: &[],
};

pub(crate) const DURATIONS: Operation = Operation {
    route: "GET /metrics/durations",
    id: "durations",
    summary: "How long the tickets took that were closed in a span.",
    about: "Percentiles by nearest rank. A ticket counts when it is closed, and no more when it is opened again.",
    access: Access::Read,
    path: None,
    headers: &[],
    query: &[FROM, TO, PRIORITY, PROJECT],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "Lead time, time to the first closing, and cycle time.",
        schema: SchemaGenerator::subschema_for::<DurationsOf>,
        example: || example(&examples::durations()),
    }],
    problems: &[],
};

pub(crate) const AGING: Operation = Operation {
    route: "GET /metrics/aging",
    id: "aging",
    summary: "How old the open tickets are, compared with what closed ones took.",
    about: "The closed tickets are those of the last 91 days. The oldest open ones are named; \
            `GET /tickets?state=open&order=oldest` has all of them.",
    access: Access::Read,
    path: None,
    headers: &[],
    query: &[PRIORITY, PROJECT, NAMED_LIMIT],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "Counts, and the oldest open tickets.",
        schema: SchemaGenerator::subschema_for::<Aging>,
        example: || example(&examples::aging()),
    }],
    problems: &[],
};

pub(crate) const THROUGHPUT: Operation = Operation {
    route: "GET /metrics/throughput",
    id: "throughput",
    summary: "How many tickets were created and closed, by the day or by the hour.",
    about: "A span that begins or ends within an hour or a day is widened to it. By the hour it is at most 31 days \
            long, and the last two days without `from`.",
    access: Access::Read,
    path: None,
    headers: &[],
    query: &[
        Parameter {
            name: "per",
            takes: Takes::OneOf(&["day", "hour"]),
            about: "How long a point lasts; `day` without it.",
        },
        ZONE,
        FROM,
        TO,
        PRIORITY,
        PROJECT,
    ],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "The span's days or hours, empty ones included.",
        schema: SchemaGenerator::subschema_for::<ThroughputOf>,
        example: || example(&examples::throughput()),
    }],
    problems: &[],
};

pub(crate) const QUALITY: Operation = Operation {
    route: "GET /metrics/quality",
    id: "quality",
    summary: "Which tickets' numbers are doubtful or whose ways unusual, and why.",
    about: "Of the tickets that were created in the span, and of those of which nobody said when they were created.",
    access: Access::Read,
    path: None,
    headers: &[],
    query: &[FROM, TO, PRIORITY, PROJECT, NAMED_LIMIT],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "What was found, how often, and the newest tickets of each kind.",
        schema: SchemaGenerator::subschema_for::<Quality>,
        example: || example(&examples::quality()),
    }],
    problems: &[],
};

/// What a bound left out of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Cut {
    /// How many tickets one answer counts at most.
    limit: usize,
    /// The answer counts no tickets from before this moment.
    from: Option<Time>,
    /// The answer counts no tickets from this moment on.
    to: Option<Time>,
}

/// Tickets per minute.
#[derive(Debug, Serialize, JsonSchema)]
struct PerMinute {
    hour: Time,
    /// `created` or `closed`
    by: &'static str,
    as_of: Time,
    /// Of the priorities that are counted.
    total: usize,
    totals: BTreeMap<String, usize>,
    /// Tickets of the hour that have another priority, or none, and are in no other count.
    others: usize,
    minutes: Vec<Minute>,
    /// Null unless the hour has more tickets than one answer counts.
    cut: Option<Cut>,
}

/// Durations of the tickets closed in a span.
#[derive(Debug, Serialize, JsonSchema)]
struct DurationsOf {
    from: Time,
    to: Time,
    as_of: Time,
    tickets: usize,
    /// From creation to closing.
    lead: Distribution,
    /// From creation to the first closing.
    first: Distribution,
    /// From the first start to closing: of tickets that were started.
    cycle: Distribution,
    /// Whether the lead times kept the targets of the time to close that the policy has now.
    kept: Kept,
    /// Null unless the span has more tickets than one answer counts.
    cut: Option<Cut>,
}

/// Open tickets against closed ones.
#[derive(Debug, Serialize, JsonSchema)]
struct Aging {
    as_of: Time,
    /// What it is compared with.
    closed: Compared,
    open: usize,
    /// Open tickets of which nobody said when they were created. They have no age.
    age_unknown: usize,
    older_than: OlderThan,
    /// Whether the ages keep the targets of the time to close.
    kept: Kept,
    ages: Distribution,
    /// The oldest open tickets.
    items: Vec<View>,
    /// Null unless there are more open tickets than one answer counts.
    cut: Option<Cut>,
}

/// The lead times that ages are compared with.
#[derive(Debug, Serialize, JsonSchema)]
struct Compared {
    from: Time,
    to: Time,
    lead: Distribution,
    /// Null unless the span has more tickets than one answer counts.
    cut: Option<Cut>,
}

/// How many open tickets are older than so many percent of the closed ones ever became.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct OlderThan {
    p50: usize,
    p85: usize,
    p95: usize,
}

/// What came and what went.
#[derive(Debug, Serialize, JsonSchema)]
struct ThroughputOf {
    per: Per,
    zone: Zone,
    from: Time,
    to: Time,
    as_of: Time,
    created: usize,
    closed: usize,
    points: Vec<Throughput>,
    /// Null unless the span has more tickets than one answer counts.
    cut: Option<Cut>,
}

/// What is doubtful.
#[derive(Debug, Serialize, JsonSchema)]
struct Quality {
    from: Time,
    to: Time,
    as_of: Time,
    /// Tickets that anything was found about.
    tickets: usize,
    findings: Vec<Found>,
    /// Null unless there are more such tickets than one answer counts.
    cut: Option<Cut>,
}

/// One kind of finding.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    finding: Finding,
    count: usize,
    /// The newest of them.
    tickets: Vec<Named>,
}

/// A ticket that something was found about.
#[derive(Debug, Serialize, JsonSchema)]
struct Named {
    id: TicketId,
    key: Option<IssueKey>,
    created_at: Option<Time>,
}

/// Tickets of a span, as an index has them, and what was left out of them.
struct Counted {
    entries: Vec<Entry>,
    cut: Option<Cut>,
}

/// Walks through an index until its end or a bound.
async fn counted(read: &Read, by: &By, span: Span, order: Order, kind: &Kind) -> Result<Counted, table::Error> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut place: Option<String> = None;
    for _ in 0..WALKS {
        let missing = TICKETS.saturating_sub(entries.len());
        let walked = read.table.walk(by, span, order, place.as_deref(), missing).await?;
        entries.extend(walked.entries);
        place = walked.next;
        if place.is_none() || entries.len() == TICKETS {
            break;
        }
    }
    let last = entries.last().and_then(|entry| entry.at);
    let cut = place.map(|_| Cut {
        limit: TICKETS,
        from: last.filter(|_| order == Order::Newest),
        to: last.filter(|_| order == Order::Oldest),
    });
    entries.retain(|entry| kind.takes_entry(entry));
    Ok(Counted { entries, cut })
}

pub(super) async fn per_minute(read: &Read, request: &Request) -> Result<Response, Problem> {
    let query = PER_MINUTE.query(request)?;
    let as_of = crate::now();
    let hour = query
        .moment("hour")
        .unwrap_or_else(|| Per::Hour.start_of(as_of, Zone::UTC));
    if hour.millis().rem_euclid(MINUTE_MS) != 0 {
        let detail = format!("hour is {hour}; it should begin with a whole minute, such as 2026-11-21T07:00:00Z");
        return Err(invalid("hour", detail));
    }
    let span = Span {
        from: Some(hour),
        to: Some(hour.saturating_add(HOUR_MS)),
    };
    let (name, by) = match query.text("by") {
        Some("closed") => ("closed", By::Closed),
        _ => ("created", By::Created),
    };
    // Of all priorities: those that are not asked for are counted as others.
    let kind = Kind::of(&query).of_any_priority();
    let counted = counted(read, &by, span, Order::Newest, &kind)
        .await
        .map_err(unavailable)?;
    let moments: Vec<Moment> = counted
        .entries
        .into_iter()
        .filter_map(|entry| {
            let priority = if by == By::Created {
                entry.priority_at_creation
            } else {
                entry.priority
            };
            Some(Moment {
                at: entry.at?,
                priority,
            })
        })
        .collect();
    let priorities = query.names(PRIORITY.name).unwrap_or(&read.policy.priorities);
    let metrics::PerMinute {
        minutes,
        totals,
        others,
    } = metrics::per_minute(hour, as_of, priorities, &moments);
    let answer = PerMinute {
        hour,
        by: name,
        as_of,
        total: totals.values().sum(),
        totals,
        others,
        minutes,
        cut: counted.cut,
    };
    Ok(Response::json(200, &answer))
}

pub(super) async fn durations(read: &Read, request: &Request) -> Result<Response, Problem> {
    let query = DURATIONS.query(request)?;
    let as_of = crate::now();
    let (from, to) = span(&query, as_of, DAYS, SPAN_DAYS)?;
    let kind = Kind::of(&query);
    let closed = closed(read, (from, to), &kind).await.map_err(unavailable)?;
    let of =
        |duration: fn(&Entry) -> Option<i64>| Distribution::of(closed.entries.iter().filter_map(duration).collect());
    let answer = DurationsOf {
        from,
        to,
        as_of,
        tickets: closed.entries.len(),
        lead: of(|entry| entry.durations.duration_ms),
        first: of(|entry| entry.durations.first_duration_ms),
        cycle: of(|entry| entry.durations.cycle_time_ms),
        kept: kept(read, &query, closed.entries.iter().filter_map(closed_life), as_of),
        cut: closed.cut,
    };
    Ok(Response::json(200, &answer))
}

pub(super) async fn aging(read: &Read, request: &Request) -> Result<Response, Problem> {
    let query = AGING.query(request)?;
    let as_of = crate::now();
    let kind = Kind::of(&query);
    let (from, to) = (as_of.saturating_add(-AGING_DAYS * DAY_MS), as_of);
    let closed = closed(read, (from, to), &kind).await.map_err(unavailable)?;
    let lead = Distribution::of(
        closed
            .entries
            .iter()
            .filter_map(|entry| entry.durations.duration_ms)
            .collect(),
    );
    let all = Span::default();
    let open = counted(read, &By::State(State::Open), all, Order::Oldest, &kind).await;
    let open = open.map_err(unavailable)?;
    let ages: Vec<i64> = open
        .entries
        .iter()
        .filter_map(|entry| Some(as_of.since(entry.at?).max(0)))
        .collect();
    let older = |than: Option<i64>| than.map_or(0, |than| ages.iter().filter(|age| than < **age).count());
    let aged = open.entries.iter().filter(|entry| entry.at.is_some());
    let oldest: Vec<TicketId> = aged.take(query.limit()).map(|entry| entry.ticket.clone()).collect();
    let mut shown = read.table.all_shown(&oldest).await.map_err(unavailable)?;
    // An index may be behind the table.
    shown.retain(|(_, fold, _)| fold.view.state == State::Open);
    let answer = Aging {
        as_of,
        open: open.entries.len(),
        age_unknown: open.entries.len() - ages.len(),
        older_than: OlderThan {
            p50: older(lead.p50_ms),
            p85: older(lead.p85_ms),
            p95: older(lead.p95_ms),
        },
        kept: kept(read, &query, open.entries.iter().filter_map(open_life), as_of),
        closed: Compared {
            from,
            to,
            lead,
            cut: closed.cut,
        },
        ages: Distribution::of(ages),
        items: fitting(views(read, shown).await.map_err(unavailable)?),
        cut: open.cut,
    };
    Ok(Response::json(200, &answer))
}

pub(super) async fn throughput(read: &Read, request: &Request) -> Result<Response, Problem> {
    let query = THROUGHPUT.query(request)?;
    let as_of = crate::now();
    let (per, days, most) = match query.text("per") {
        Some("hour") => (Per::Hour, DAYS_BY_HOUR, SPAN_DAYS_BY_HOUR),
        _ => (Per::Day, DAYS, SPAN_DAYS),
    };
    let zone = query.zone(ZONE.name).unwrap_or(Zone::UTC);
    if per == Per::Hour && zone != Zone::UTC {
        return Err(invalid(
            ZONE.name,
            format!("zone is {zone}; hours are always those of UTC"),
        ));
    }
    let (from, to) = span(&query, as_of, days, most)?;
    let edges = per.edges(from, to, zone);
    let (from, to) = (edges[0], edges[edges.len() - 1]);
    let (kind, wanted) = (
        Kind::of(&query),
        Span {
            from: Some(from),
            to: Some(to),
        },
    );
    let created = counted(read, &By::Created, wanted, Order::Newest, &kind).await;
    let created = created.map_err(unavailable)?;
    let closed = closed(read, (from, to), &kind).await.map_err(unavailable)?;
    let moments = |counted: &Counted| {
        counted
            .entries
            .iter()
            .filter_map(|entry| entry.at)
            .collect::<Vec<Time>>()
    };
    let (created_at, closed_at) = (moments(&created), moments(&closed));
    let answer = ThroughputOf {
        per,
        zone,
        from,
        to,
        as_of,
        created: created_at.len(),
        closed: closed_at.len(),
        points: metrics::throughput(&edges, as_of, &created_at, &closed_at),
        // Of both the one that covers less.
        cut: created.cut.into_iter().chain(closed.cut).max_by_key(|cut| cut.from),
    };
    Ok(Response::json(200, &answer))
}

pub(super) async fn quality(read: &Read, request: &Request) -> Result<Response, Problem> {
    let query = QUALITY.query(request)?;
    let as_of = crate::now();
    let (from, to) = span(&query, as_of, DAYS, SPAN_DAYS)?;
    let kind = Kind::of(&query);
    let wanted = Span {
        from: Some(from),
        to: Some(to),
    };
    let mut doubtful = counted(read, &By::Quality, wanted, Order::Newest, &kind)
        .await
        .map_err(unavailable)?;
    let undated = read.table.undated(&By::Quality, TICKETS).await.map_err(unavailable)?;
    doubtful
        .entries
        .extend(undated.into_iter().filter(|entry| kind.takes_entry(entry)));
    let tickets = doubtful.entries.len();
    let mut found: BTreeMap<Finding, Vec<&Entry>> = BTreeMap::new();
    for entry in &doubtful.entries {
        for finding in &entry.findings {
            found.entry(*finding).or_default().push(entry);
        }
    }
    let named = |entry: &&Entry| Named {
        id: entry.ticket.clone(),
        key: entry.key.clone(),
        created_at: entry.at,
    };
    let findings = found.into_iter().map(|(finding, entries)| Found {
        finding,
        count: entries.len(),
        tickets: entries.iter().take(query.limit()).map(named).collect(),
    });
    let answer = Quality {
        from,
        to,
        as_of,
        tickets,
        findings: findings.collect(),
        cut: doubtful.cut,
    };
    Ok(Response::json(200, &answer))
}

async fn closed(read: &Read, (from, to): (Time, Time), kind: &Kind) -> Result<Counted, table::Error> {
    let span = Span {
        from: Some(from),
        to: Some(to),
    };
    counted(read, &By::Closed, span, Order::Newest, kind).await
}

/// Whether some of the tickets that a query asks for keep their targets.
fn kept<'a>(read: &Read, query: &Query, lives: impl Iterator<Item = Life<'a>>, as_of: Time) -> Kept {
    // JIRA's keys of projects have no small letters.
    let project = query.text(PROJECT.name).map(str::to_uppercase);
    let priorities = query.names(PRIORITY.name);
    Kept::of(&read.policy, project.as_deref(), priorities, lives, as_of)
}

/// A closed ticket's life, if it is known when it began.
fn closed_life(entry: &Entry) -> Option<Life<'_>> {
    let closed_at = entry.at?;
    Some(Life {
        project: entry.project.as_deref(),
        priority: entry.priority.as_deref(),
        created_at: closed_at.saturating_add(-entry.durations.duration_ms?),
        closed_at: Some(closed_at),
    })
}

/// An open ticket's life, if it is known when it began.
fn open_life(entry: &Entry) -> Option<Life<'_>> {
    Some(Life {
        project: entry.project.as_deref(),
        priority: entry.priority.as_deref(),
        created_at: entry.at?,
        closed_at: None,
    })
}

/// The span that a query asks for.
fn span(query: &Query, as_of: Time, days: i64, most: i64) -> Result<(Time, Time), Problem> {
    in_order(query, FROM.name, TO.name)?;
    let to = query.moment(TO.name).unwrap_or(as_of);
    let from = query
        .moment(FROM.name)
        .unwrap_or_else(|| to.saturating_add(-days * DAY_MS));
    if to < from {
        return Err(invalid(FROM.name, format!("from is {from}, which is still to come")));
    }
    if most * DAY_MS < to.since(from) {
        let detail = format!("from {from} to {to} is more than {most} days: ask for a shorter span");
        return Err(invalid(FROM.name, detail));
    }
    Ok((from, to))
}

mod examples {
    //! Answers about the sample ticket.

    use super::*;
    use crate::openapi::sample;

    fn at(text: &str) -> Time {
        text.parse().expect("the sample's moments are moments")
    }

    fn span() -> (Time, Time, Time) {
        let to = at("2026-11-22T00:00:00.000Z");
        (at("2026-11-21T00:00:00.000Z"), to, to)
    }

    pub(super) fn per_minute() -> PerMinute {
        let (hour, as_of) = (at("2026-11-21T07:00:00.000Z"), at("2026-11-21T07:02:30.000Z"));
        let priorities = ["High", "Highest"].map(str::to_owned).into();
        let moment = Moment {
            at: hour,
            priority: Some("High".to_owned()),
        };
        let metrics::PerMinute {
            minutes,
            totals,
            others,
        } = metrics::per_minute(hour, as_of, &priorities, &[moment]);
        PerMinute {
            hour,
            by: "created",
            as_of,
            total: 1,
            totals,
            others,
            minutes,
            cut: None,
        }
    }

    fn kept(closed_at: Option<Time>) -> Kept {
        let rules = r#"{"sla": [{"priority": "High", "close": "4h"}]}"#;
        let policy: ticket::Policy = serde_json::from_str(rules).expect("the sample's policy is one");
        let life = Life {
            project: Some("SHOP"),
            priority: Some("High"),
            created_at: at("2026-11-21T07:00:00.000Z"),
            closed_at,
        };
        Kept::of(&policy, None, None, [life], span().1)
    }

    pub(super) fn durations() -> DurationsOf {
        let (from, to, as_of) = span();
        let ticket = ticket::fold(
            &sample::delivery().facts,
            &ticket::Policy::default(),
            &ticket::Categories::default(),
        );
        let durations = ticket::durations(&ticket);
        let of = |duration: Option<i64>| Distribution::of(duration.into_iter().collect());
        DurationsOf {
            from,
            to,
            as_of,
            tickets: 1,
            lead: of(durations.duration_ms),
            first: of(durations.first_duration_ms),
            cycle: of(durations.cycle_time_ms),
            kept: kept(ticket.closed_at),
            cut: None,
        }
    }

    pub(super) fn aging() -> Aging {
        let (from, to, as_of) = span();
        Aging {
            as_of,
            closed: Compared {
                from,
                to,
                lead: durations().lead,
                cut: None,
            },
            open: 1,
            age_unknown: 0,
            older_than: OlderThan { p50: 1, p85: 1, p95: 1 },
            kept: kept(None),
            ages: Distribution::of(vec![BUCKETS_MS[4]]),
            items: vec![View::example()],
            cut: None,
        }
    }

    pub(super) fn throughput() -> ThroughputOf {
        let (from, to, as_of) = span();
        let (created, closed) = (at("2026-11-21T07:00:00.000Z"), at("2026-11-21T11:54:00.000Z"));
        ThroughputOf {
            per: Per::Day,
            zone: Zone::UTC,
            from,
            to,
            as_of,
            created: 1,
            closed: 1,
            points: metrics::throughput(&[from, to], as_of, &[created], &[closed]),
            cut: None,
        }
    }

    pub(super) fn quality() -> Quality {
        let (from, to, as_of) = span();
        let event = sample::delivery();
        let named = Named {
            id: event.ticket(),
            key: event.key,
            created_at: Some(at("2026-11-21T07:00:00.000Z")),
        };
        Quality {
            from,
            to,
            as_of,
            tickets: 1,
            findings: vec![Found {
                finding: Finding::ClosedNeverStarted,
                count: 1,
                tickets: vec![named],
            }],
            cut: None,
        }
    }
}
