//! `POST /tickets`, `PATCH /tickets/{id}`, `DELETE /tickets/{id}`: what API clients do to tickets that no Jira knows.
//!
//! Each becomes a canonical event and goes the way of every delivery. A ticket of a Jira is changed there, and only
//! there: what were changed here would be contradicted by the next delivery.
//!
//! A client that got no answer tries again, and with an `Idempotency-Key` nothing is done twice: the first request with
//! a key claims it and says as of when it is carried out, so that whoever carries it out, after a kill too, makes the
//! same event of it, and the same event's execution is started once.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use ticket::{TicketEvent, Time, flat};

use crate::environment::{self, Environment};
use crate::execution::Executions;
use crate::http::{Kind, Problem, Request, Response};
use crate::operation::{Access, Body, Operation, Text, invalid};
use crate::read::ticket::ID;
use crate::read::{no_such_ticket, resolve, unavailable};
use crate::table::{self, Claim, Table};
use crate::webhook::{Error, STARTED, TAKEN_BEFORE, start, unfit};

const KEY_HEADER: &str = "idempotency-key";
/// Longest Idempotency-Key; a UUID has 36.
const KEY_BYTES: usize = 255;

const KEY: Text = Text {
    name: "Idempotency-Key",
    about: "Names this request, in 1 to 255 printable ASCII characters: the same request with the same key again \
            within a day is answered the same, and does nothing again.",
    example: "9c5f3e0a-6f0d-4b57-9f5b-0e9e0a4c1d7e",
};

pub(crate) const CREATE: Operation = Operation {
    route: "POST /tickets",
    id: "createTicket",
    summary: "A ticket that no JIRA knows.",
    about: "Summary and creation are its identity: the same payload again is the same ticket.",
    access: Access::Write,
    path: None,
    headers: &[KEY],
    query: &[],
    body: Some(Body {
        about: "The ticket.",
        schema: new_ticket,
        example: || {
            json!({
                "summary": "Disk full", "created": "2026-11-21T07:00:00Z", "completed": "",
                "description": "On the build server.", "priority": "High",
            })
        },
    }),
    answers: &[STARTED, TAKEN_BEFORE],
    problems: &[Kind::KeyReused],
};

pub(crate) const CHANGE: Operation = Operation {
    route: "PATCH /tickets/{id}",
    id: "changeTicket",
    summary: "Changes a ticket that no JIRA knows.",
    about: "A ticket of a JIRA is changed there.",
    access: Access::Write,
    path: Some(ID),
    headers: &[KEY],
    query: &[],
    body: Some(Body {
        about: "What changes.",
        schema: change,
        example: || json!({ "completed": "2026-11-21T11:54:00Z" }),
    }),
    answers: &[STARTED, TAKEN_BEFORE],
    problems: &[
        Kind::NoSuchTicket,
        Kind::AmbiguousKey,
        Kind::NotEditable,
        Kind::KeyReused,
    ],
};

pub(crate) const DELETE: Operation = Operation {
    route: "DELETE /tickets/{id}",
    id: "deleteTicket",
    summary: "Deletes a ticket that no JIRA knows.",
    about: "Its history stays, and shows that it was deleted.",
    access: Access::Write,
    path: Some(ID),
    headers: &[KEY],
    query: &[],
    body: None,
    answers: &[STARTED, TAKEN_BEFORE],
    problems: &[
        Kind::NoSuchTicket,
        Kind::AmbiguousKey,
        Kind::NotEditable,
        Kind::KeyReused,
        Kind::InvalidValue,
        Kind::UnreadableBody,
    ],
};

fn new_ticket(_: &mut SchemaGenerator) -> Schema {
    let mut schema = fields();
    schema["properties"]["created"] = json!({ "type": "string", "format": "date-time" });
    schema["required"] = json!(["summary", "created"]);
    json_schema!({ "allOf": [schema] })
}

fn change(_: &mut SchemaGenerator) -> Schema {
    let mut schema = fields();
    schema["minProperties"] = 1.into();
    json_schema!({ "allOf": [schema] })
}

fn fields() -> Value {
    json!({
        "type": "object",
        "properties": {
            "summary": { "type": "string", "pattern": "\\S" },
            "completed": {
                "description": "When it was completed; empty or null while it is open.",
                "anyOf": [{ "type": "string", "format": "date-time" }, { "const": "" }, { "type": "null" }],
            },
            "description": { "type": ["string", "null"] },
            "priority": { "type": ["string", "null"] },
        },
    })
}

#[derive(Debug)]
pub struct Api {
    table: Table,
    executions: Executions,
}

impl Api {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
            executions: environment.executions()?,
        })
    }
}

pub async fn handle(api: &Api, request: Request) -> Result<Response, Error> {
    Ok(crate::http::response(take(api, &request, crate::now()).await))
}

async fn take(api: &Api, request: &Request, now: Time) -> Result<Response, Problem> {
    let unreadable = || {
        Problem::new(
            400,
            Kind::UnreadableBody,
            "the body is not the base64 that it says it is",
        )
    };
    let name = key(request)?;
    let body = request.body().ok_or_else(unreadable)?;
    // Whatever is wrong with a request is said before its key is claimed, which a mended one may then use.
    let event = event(api, request, &body, now).await?;
    let Some(name) = name else {
        return start(&api.executions, event, now).await;
    };
    let (client, hash) = (request.client(), hash(request, &body));
    let claim = api.table.claim(client, name, &hash, now).await.map_err(unavailable)?;
    let Claim {
        request: claimed,
        at,
        answer,
    } = claim;
    if claimed != hash {
        let detail = format!("the Idempotency-Key {name:?} was used for another request, at {at}");
        return Err(Problem::new(422, Kind::KeyReused, detail).field(KEY.name));
    }
    if let Some(answer) = answer {
        return Ok(Response::again(answer.status, answer.body));
    }
    // As of the first time, so that it is the same event and its execution is found if it was started.
    let event = if at == now {
        event
    } else {
        self::event(api, request, &body, at).await?
    };
    let response = start(&api.executions, event, at).await?;
    let answer = table::Answer {
        status: response.status_code,
        body: response.body.clone(),
    };
    // It is started, whatever becomes of this: at worst the same request again is answered that it is a duplicate.
    if let Err(error) = api.table.answered(client, name, &hash, &answer).await {
        tracing::warn!(error = crate::chain(&error), "the answer is not remembered");
    }
    Ok(response)
}

/// The event that a request comes to at a moment.
async fn event(api: &Api, request: &Request, body: &[u8], at: Time) -> Result<TicketEvent, Problem> {
    match request.route_key.as_str() {
        route if route == CREATE.route => {
            CREATE.query(request)?;
            flat::read(body).map_err(unfit)
        }
        route if route == CHANGE.route => {
            CHANGE.query(request)?;
            flat::edit(&changeable(api, request).await?, body, at).map_err(unfit)
        }
        route if route == DELETE.route => {
            DELETE.query(request)?;
            Ok(flat::deletion(&changeable(api, request).await?, at))
        }
        other => Err(Problem::new(
            404,
            Kind::NoSuchRoute,
            format!("there is no route {other}"),
        )),
    }
}

/// The request's key, if it has one.
fn key(request: &Request) -> Result<Option<&str>, Problem> {
    let Some(key) = request.headers.get(KEY_HEADER) else {
        return Ok(None);
    };
    let is_printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    match (1..=KEY_BYTES).contains(&key.len()) && is_printable {
        true => Ok(Some(key)),
        false => Err(invalid(
            KEY.name,
            format!("Idempotency-Key should be 1 to {KEY_BYTES} printable ASCII characters"),
        )),
    }
}

/// What makes a request the same as another.
fn hash(request: &Request, body: &[u8]) -> String {
    let hash = Sha256::new()
        .chain_update(&request.route_key)
        .chain_update([0])
        .chain_update(request.path_parameter(ID.name))
        .chain_update([0])
        .chain_update(body)
        .finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The ticket that a request is about, if it is there and is ours to change.
async fn changeable(api: &Api, request: &Request) -> Result<ticket::TicketId, Problem> {
    let wanted = request.path_parameter(ID.name);
    let id = resolve(&api.table, wanted).await?;
    if api.table.fact_count(&id).await.map_err(unavailable)? == 0 {
        return Err(no_such_ticket(wanted));
    }
    if id.site.as_str() != flat::SITE {
        let detail = format!("{id} is a ticket of {}: change it there", id.site);
        return Err(Problem::new(409, Kind::NotEditable, detail).field(ID.name));
    }
    Ok(id)
}

#[cfg(test)]
mod tests;
