//! `GET`: what tickets and executions are and did.

pub(crate) mod delivery;
pub(crate) mod execution;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod metrics;
pub(crate) mod recompute;
pub(crate) mod ticket;
mod times;
mod words;

use ::ticket::{IssueKey, Policy, SiteId, TicketId, Time};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::environment::{self, Environment};
use crate::http::{Kind, Problem, Request, Response};
use crate::machines::{Machine, Machines};
use crate::names::ErrorName;
use crate::openapi::{self, example};
use crate::operation::{Access, Answer, Operation};
use crate::policy::InForce;
use crate::table::Table;
use crate::webhook::Error;

pub(crate) const HEALTH: Operation = Operation {
    route: "GET /health",
    id: "health",
    summary: "Whether a delivery would be taken and its ticket written.",
    about: "",
    access: Access::Read,
    path: None,
    headers: &[],
    query: &[],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "It would.",
        schema: SchemaGenerator::subschema_for::<Health>,
        example: || {
            example(&Health {
                status: "ok",
                reconciliation: Reconciliation {
                    on: true,
                    site: "example.atlassian.net".parse().ok(),
                    last_reconciled_at: "2026-11-21T08:00:00.000Z".parse().ok(),
                },
            })
        },
    }],
    problems: &[],
};

pub(crate) const OPENAPI: Operation = Operation {
    route: "GET /openapi.json",
    id: "openapi",
    summary: "This document.",
    about: "",
    access: Access::Read,
    path: None,
    headers: &[],
    query: &[],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "An OpenAPI 3.1 document.",
        schema: openapi::any_object,
        example: || example(&serde_json::json!({ "openapi": openapi::VERSION })),
    }],
    problems: &[],
};

/// How it stands.
#[derive(Serialize, JsonSchema)]
struct Health {
    /// `ok`
    status: &'static str,
    reconciliation: Reconciliation,
}

/// Whether what webhooks lost is fetched from JIRA.
#[derive(Serialize, JsonSchema)]
struct Reconciliation {
    /// Off until the template's parameter `JiraUrl` names a JIRA.
    on: bool,
    /// The site of that JIRA.
    site: Option<SiteId>,
    /// As of when everything that it knew was known here.
    last_reconciled_at: Option<Time>,
}

#[derive(Debug)]
pub struct Read {
    table: Table,
    machines: Machines,
    policy: Policy,
    policy_in_force: InForce,
    /// The site whose JIRA is asked for what was lost.
    reconciled: Option<SiteId>,
}

impl Read {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
            machines: environment.machines()?,
            policy: environment.policy()?,
            policy_in_force: environment.policy_in_force()?,
            reconciled: environment.jira()?.map(|jira| jira.site),
        })
    }
}

pub async fn handle(read: &Read, request: Request) -> Result<Response, Error> {
    Ok(crate::http::response(answer(read, &request).await))
}

async fn answer(read: &Read, request: &Request) -> Result<Response, Problem> {
    match request.route_key.as_str() {
        route if route == list::LIST.route => list::list(read, request).await,
        route if route == ticket::TICKET.route => ticket::ticket(read, request).await,
        route if route == history::HISTORY.route => history::history(read, request).await,
        route if route == execution::OF_TICKET.route => execution::of_ticket(read, request).await,
        route if route == execution::LIST.route => execution::list(read, request).await,
        route if route == execution::ONE.route => execution::one(read, request).await,
        route if route == delivery::LIST.route => delivery::list(read, request).await,
        route if route == delivery::ONE.route => delivery::one(read, request).await,
        route if route == metrics::PER_MINUTE.route => metrics::per_minute(read, request).await,
        route if route == metrics::DURATIONS.route => metrics::durations(read, request).await,
        route if route == metrics::AGING.route => metrics::aging(read, request).await,
        route if route == metrics::THROUGHPUT.route => metrics::throughput(read, request).await,
        route if route == metrics::QUALITY.route => metrics::quality(read, request).await,
        route if route == recompute::RECOMPUTE.route => recompute::recompute(read, request).await,
        route if route == HEALTH.route => health(read, request).await,
        route if route == OPENAPI.route => {
            OPENAPI.query(request)?;
            Ok(Response::json(200, &openapi::document()))
        }
        other => Err(Problem::new(
            404,
            Kind::NoSuchRoute,
            format!("there is no route {other}"),
        )),
    }
}

async fn health(read: &Read, request: &Request) -> Result<Response, Problem> {
    HEALTH.query(request)?;
    read.table.answers().await.map_err(unavailable)?;
    let last_reconciled_at = match &read.reconciled {
        Some(site) => read.table.reconciled_at(site).await.map_err(unavailable)?,
        None => None,
    };
    let health = Health {
        status: "ok",
        reconciliation: Reconciliation {
            on: read.reconciled.is_some(),
            site: read.reconciled.clone(),
            last_reconciled_at,
        },
    };
    match read.machines.of(Machine::TicketLifecycle).answers().await {
        Ok(true) => Ok(Response::json(200, &health)),
        Ok(false) => Err(Problem::unavailable()),
        Err(error) => Err(unavailable(error)),
    }
}

/// The ticket that an id or a key names. An id need not be known; a key must be.
pub(crate) async fn resolve(table: &Table, wanted: &str) -> Result<TicketId, Problem> {
    if let Ok(id) = wanted.parse::<TicketId>() {
        return Ok(id);
    }
    let Ok(key) = wanted.parse::<IssueKey>() else {
        return Err(no_such_ticket(wanted));
    };
    let mut ids = table.tickets_with_key(&key).await.map_err(unavailable)?;
    // JIRA's keys have no small letters, and people do not press Shift.
    if ids.is_empty()
        && let Ok(upper) = wanted.to_uppercase().parse::<IssueKey>()
        && upper != key
    {
        ids = table.tickets_with_key(&upper).await.map_err(unavailable)?;
    }
    let mut ids = ids.into_iter();
    match (ids.next(), ids.next()) {
        (None, _) => Err(no_such_ticket(wanted)),
        (Some(id), None) => Ok(id),
        (Some(first), Some(second)) => {
            let mut problem = Problem::new(409, Kind::AmbiguousKey, format!("{key} is a key on more than one site"));
            problem.candidates = [first, second].into_iter().chain(ids).map(String::from).collect();
            Err(problem.field("id"))
        }
    }
}

pub(crate) fn no_such_ticket(wanted: &str) -> Problem {
    Problem::new(404, Kind::NoSuchTicket, format!("there is no ticket {wanted:?}")).field("id")
}

/// What the client need not know is in the log.
pub(crate) fn unavailable(error: impl std::error::Error + ErrorName) -> Problem {
    tracing::error!(name = error.name().as_str(), error = crate::chain(&error));
    Problem::unavailable()
}
