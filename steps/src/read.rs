//! `GET`: what tickets and executions are and did.

mod execution;
mod recompute;
mod ticket;
mod times;

use std::collections::BTreeMap;

use ::ticket::{IssueKey, Policy, TicketId};
use serde_json::json;

use crate::environment::{self, Environment};
use crate::execution::Executions;
use crate::http::{Kind, Problem, Request, Response};
use crate::names::ErrorName;
use crate::table::{Cursor, Table};
use crate::webhook::Error;

/// Items on a page, unless the client says otherwise.
const LIMIT: usize = 50;
/// The most a client may ask for: two batches of progress, well within the time and the 6 MB that an answer has.
const MAX_LIMIT: usize = 200;

#[derive(Debug)]
pub struct Read {
    table: Table,
    executions: Executions,
    recomputes: Executions,
    policy: Policy,
}

impl Read {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
            executions: environment.executions()?,
            recomputes: environment.recomputes()?,
            policy: environment.policy()?,
        })
    }
}

pub async fn handle(read: &Read, request: Request) -> Result<Response, Error> {
    Ok(crate::http::response(answer(read, &request).await))
}

async fn answer(read: &Read, request: &Request) -> Result<Response, Problem> {
    match request.route_key.as_str() {
        "GET /tickets/{id}" => ticket::ticket(read, request).await,
        "GET /tickets/{id}/history" => ticket::history(read, request).await,
        "GET /tickets/{id}/executions" => execution::of_ticket(read, request).await,
        "GET /executions" => execution::list(read, request).await,
        "GET /executions/{name}" => execution::one(read, request).await,
        "GET /recompute" => recompute::recompute(read, request).await,
        "GET /health" => health(read, request).await,
        other => Err(Problem::new(
            404,
            Kind::NoSuchRoute,
            format!("there is no route {other}"),
        )),
    }
}

/// 200 if a delivery would be taken and its ticket written.
async fn health(read: &Read, request: &Request) -> Result<Response, Problem> {
    request.only_parameters(&[])?;
    read.table.answers().await.map_err(unavailable)?;
    match read.executions.answers().await {
        Ok(true) => Ok(Response::json(200, &json!({ "status": "ok" }))),
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
    let mut ids = table.tickets_with_key(&key).await.map_err(unavailable)?.into_iter();
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

/// `limit` and `cursor` of a listing.
fn page(parameters: &BTreeMap<String, String>) -> Result<(usize, Option<Cursor>), Problem> {
    let invalid = |field: &str, detail: String| Problem::new(422, Kind::InvalidValue, detail).field(field);
    let limit = match parameters.get("limit") {
        None => LIMIT,
        Some(text) => match text.parse() {
            Ok(limit @ 1..=MAX_LIMIT) => limit,
            _ => {
                return Err(invalid(
                    "limit",
                    format!("limit is {text:?}; it should be 1 to {MAX_LIMIT}"),
                ));
            }
        },
    };
    let decode = |text: &String| {
        let detail = "cursor should be the `next` of a page before, unchanged".to_owned();
        Cursor::decode(text).ok_or_else(|| invalid("cursor", detail))
    };
    Ok((limit, parameters.get("cursor").map(decode).transpose()?))
}

#[cfg(test)]
mod tests;
