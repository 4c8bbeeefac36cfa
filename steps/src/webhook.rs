//! `POST /webhooks/jira`: the door for Jira's deliveries.
//!
//! Jira waits 20 s, and tries again on 5xx only: so 2xx is what is in good hands or carries no fact, 4xx what no
//! retry can make right, 5xx what one may.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};
use ticket::{Delivery, TicketEvent, TicketId, Time, jira};

use crate::environment::{self, Environment};
use crate::execution::{self, Executions, Start};
use crate::http::{Kind, Problem, Request, Response};
use crate::names::{ErrorName, Name};
use crate::openapi::{example, sample};
use crate::operation::{Access, Answer, Body, Operation};
use crate::proof::{self, Proofs};
use crate::secret::Secret;
use crate::table::{Rejected, Table};

/// Longest name of a sender that is kept with what could not be read.
const USER_AGENT_CHARACTERS: usize = 200;

pub(crate) const DELIVERY: Operation = Operation {
    route: "POST /webhooks/jira",
    id: "deliver",
    summary: "A delivery of JIRA's webhook.",
    about: "In any shape that JIRA sends, or the flat payload of `POST /tickets`. The same again is a duplicate, and \
            starts nothing. What cannot be read is kept for 14 days: see `GET /deliveries`.",
    access: Access::Jira,
    path: None,
    headers: &[],
    query: &[],
    body: Some(Body {
        about: "The delivery.",
        schema: crate::openapi::any_object,
        example: || json!({ "summary": "Disk full", "created": "2026-11-21T07:00:00Z", "priority": "High" }),
    }),
    answers: &[STARTED, TAKEN_BEFORE],
    problems: &[Kind::BadSignature],
};

pub(crate) const STARTED: Answer = Answer {
    status: 202,
    about: "Its execution has been started.",
    schema: SchemaGenerator::subschema_for::<Taken>,
    example: || example(&Taken::example("started")),
};

pub(crate) const TAKEN_BEFORE: Answer = Answer {
    status: 200,
    about: "It was taken before, or carries no fact.",
    schema: taken_or_ignored,
    example: || example(&Taken::example("duplicate")),
};

/// What became of an event.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Taken {
    execution: String,
    ticket: TicketId,
    /// `started` or `duplicate`
    outcome: &'static str,
}

/// What became of a delivery about nothing in a ticket's life.
#[derive(Debug, Serialize, JsonSchema)]
struct Ignored {
    execution: (),
    ticket: (),
    /// `ignored`
    outcome: &'static str,
    reason: String,
}

fn taken_or_ignored(generator: &mut SchemaGenerator) -> Schema {
    let either: [Value; 2] = [
        generator.subschema_for::<Taken>().into(),
        generator.subschema_for::<Ignored>().into(),
    ];
    json_schema!({ "oneOf": either })
}

impl Taken {
    pub(crate) fn example(outcome: &'static str) -> Self {
        let event = sample::delivery();
        Self {
            execution: execution::name(&event),
            ticket: event.ticket(),
            outcome,
        }
    }
}

#[derive(Debug)]
pub struct Webhook {
    secret: Secret,
    executions: Executions,
    table: Table,
}

impl Webhook {
    /// Reads the secret, too: a function without it could only turn deliveries away.
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        let secret = environment.secret()?;
        secret
            .warm()
            .await
            .map_err(|source| environment::Error::Secret { source })?;
        Ok(Self {
            secret,
            executions: environment.executions()?,
            table: environment.table()?,
        })
    }
}

/// An HTTP function answers every error itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {}

impl ErrorName for Error {
    fn name(&self) -> Name {
        match *self {}
    }
}

pub async fn handle(webhook: &Webhook, request: Request) -> Result<Response, Error> {
    Ok(crate::http::response(take(webhook, &request).await))
}

async fn take(webhook: &Webhook, request: &Request) -> Result<Response, Problem> {
    let unreadable = || {
        Problem::new(
            400,
            Kind::UnreadableBody,
            "the body is not the base64 that it says it is",
        )
    };
    let body = request.body().ok_or_else(unreadable)?;
    let now = chrono::Utc::now().timestamp();
    let is_right = |accepted: &[Proofs]| proof::verify(request, &body, now, accepted);
    let verified = webhook.secret.verify(is_right).await.map_err(|error| {
        tracing::error!(error = crate::chain(&error));
        Problem::unavailable()
    })?;
    if !verified {
        let detail = "X-Hub-Signature must be sha256= and the HMAC-SHA256 of the body, in hex; or what else the \
                      webhook's secret takes as a proof of the sender";
        return Err(Problem::new(401, Kind::BadSignature, detail).field("X-Hub-Signature"));
    }
    match jira::read(&body) {
        Ok(Delivery::Event(event)) => start(&webhook.executions, event, crate::now()).await,
        Ok(Delivery::Ignored { reason }) => {
            let ignored = Ignored {
                execution: (),
                ticket: (),
                outcome: "ignored",
                reason,
            };
            Ok(Response::json(200, &ignored))
        }
        Err(error) => Err(keep(webhook, request, &body, unfit(error)).await),
    }
}

/// Keeps what cannot be read for a person to see. Where that fails, Jira is asked to try again: it would not otherwise.
async fn keep(webhook: &Webhook, request: &Request, body: &[u8], problem: Problem) -> Problem {
    let user_agent = request.headers.get("user-agent");
    let rejected = Rejected {
        field: problem.field.clone(),
        user_agent: user_agent.map(|name| name.chars().take(USER_AGENT_CHARACTERS).collect()),
        ..Rejected::new(body, problem.kind.urn(), problem.detail.clone(), crate::now())
    };
    tracing::warn!(delivery = rejected.id, problem = problem.detail, "rejected");
    match webhook.table.reject(&rejected).await {
        Ok(()) => problem,
        Err(error) => {
            tracing::error!(delivery = rejected.id, error = crate::chain(&error));
            Problem::unavailable()
        }
    }
}

/// Starts an event's execution and says so.
///
/// The name is that of what was sent, not of when it was received: the same again is a duplicate.
pub(crate) async fn start(executions: &Executions, event: TicketEvent, now: Time) -> Result<Response, Problem> {
    let name = execution::name(&event);
    let event = event.received(now);
    let started = executions.start(&name, &event).await.map_err(|error| {
        tracing::error!(execution = name, error = crate::chain(&error));
        Problem::unavailable()
    })?;
    let (status, outcome) = match started {
        Start::Started => (202, "started"),
        Start::Duplicate => (200, "duplicate"),
    };
    let ticket = event.ticket();
    tracing::info!(execution = name, %ticket, outcome);
    let taken = Taken {
        execution: name,
        ticket,
        outcome,
    };
    Ok(Response::json(status, &taken))
}

/// What is wrong with a body.
pub(crate) fn unfit(error: jira::Error) -> Problem {
    let detail = crate::chain(&error);
    let problem = match (error.kind(), &error) {
        (jira::Kind::Unreadable, jira::Error::NotJson(_)) => Problem::new(400, Kind::UnreadableBody, detail),
        (jira::Kind::Unreadable, _) => Problem::new(400, Kind::UnknownShape, detail),
        (jira::Kind::Unprocessable, _) => Problem::new(422, Kind::InvalidValue, detail),
    };
    match error.field() {
        Some(field) => problem.field(field),
        None => problem,
    }
}
