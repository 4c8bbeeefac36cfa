//! `POST /webhooks/jira`: the door for Jira's deliveries.
//!
//! Jira waits 20 s, and tries again on 5xx only: so 2xx is what is in good hands or carries no fact, 4xx what no
//! retry can make right, 5xx what one may.

use serde_json::json;
use ticket::{Delivery, TicketEvent, Time, jira};

use crate::environment::{self, Environment};
use crate::execution::{self, Executions, Start};
use crate::http::{Kind, Problem, Request, Response};
use crate::names::{ErrorName, Name};
use crate::proof::{self, Proofs};
use crate::secret::Secret;

#[derive(Debug)]
pub struct Webhook {
    secret: Secret,
    executions: Executions,
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
    match jira::read(&body).map_err(unfit)? {
        Delivery::Event(event) => start(&webhook.executions, event, crate::now()).await,
        Delivery::Ignored { reason } => {
            let body = json!({ "execution": null, "ticket": null, "outcome": "ignored", "reason": reason });
            Ok(Response::json(200, &body))
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
    Ok(Response::json(
        status,
        &json!({ "execution": name, "ticket": ticket, "outcome": outcome }),
    ))
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
