//! ValidateTicket: opens the execution's progress, and refuses what the stored ticket shows to be impossible.
//!
//! The door has refused already what a body alone shows to be wrong. What Jira says has happened, so that nothing of
//! Jira's is refused here; what an API client asks for may contradict the ticket that it is about.

use serde::Serialize;
use ticket::{Fact, Source, State, TicketEvent, TicketId, Time};

use crate::environment::{self, Environment};
use crate::names::{ErrorName, Name};
use crate::step::{self, Input, settle};
use crate::table::{Outcome, Record, Status, Stored, Table};

const VALID: &str = "valid";

#[derive(Debug)]
pub struct Validate {
    table: Table,
}

impl Validate {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
        })
    }
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Output {
    pub ticket: TicketId,
}

/// Why an event can never be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no ticket {ticket}")]
    NoSuchTicket { ticket: TicketId },
    #[error("the ticket {ticket} was deleted at {deleted_at}")]
    Deleted { ticket: TicketId, deleted_at: Time },
    #[error("completed at {at}, which is before the ticket {ticket} was created at {created_at}")]
    BeforeCreation {
        ticket: TicketId,
        at: Time,
        created_at: Time,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error("the event was rejected before")]
    RejectedBefore,
    #[error(transparent)]
    Step(#[from] step::Error),
}

impl ErrorName for Error {
    fn name(&self) -> Name {
        match self {
            Self::Rejected(_) | Self::RejectedBefore => Name::TicketRejected,
            Self::Step(error) => error.name(),
        }
    }
}

pub async fn handle(validate: &Validate, input: Input) -> Result<Output, Error> {
    let Input { execution, state, .. } = &input;
    let (event, ticket) = (&execution.event, execution.event.ticket());
    let rejection = match asks(event) {
        true => check(event, &validate.table.stored(&ticket).await.map_err(step::Error::from)?).err(),
        false => None,
    };
    let record = Record {
        execution,
        state,
        finished_at: crate::now(),
        status: if rejection.is_some() {
            Status::Rejected
        } else {
            Status::Running
        },
        outcome: if rejection.is_some() {
            Name::TicketRejected.as_str()
        } else {
            "valid"
        },
        cause: rejection.as_ref().map(ToString::to_string),
    };
    let outcome = match validate.table.record(&record).await.map_err(step::Error::from)? {
        Outcome::Written => record.outcome.to_owned(),
        _ => settle(&validate.table, execution, state).await?,
    };
    match rejection {
        Some(rejection) => Err(rejection.into()),
        None if outcome == VALID => Ok(Output { ticket }),
        None => Err(Error::RejectedBefore),
    }
}

/// Whether an event asks for a change of a ticket that must be there.
fn asks(event: &TicketEvent) -> bool {
    event.source == Source::Api && !event.facts.iter().any(|fact| matches!(fact, Fact::Created { .. }))
}

/// Whether the ticket lets be what an API client asks for.
fn check(event: &TicketEvent, stored: &Stored) -> Result<(), Rejection> {
    let ticket = event.ticket();
    if stored.facts.is_empty() {
        return Err(Rejection::NoSuchTicket { ticket });
    }
    // Facts that nobody has folded yet contradict nothing yet.
    let Some(fold) = &stored.fold else { return Ok(()) };
    if fold.view.state == State::Deleted {
        let is_deletion = event.facts.iter().any(|fact| matches!(fact, Fact::Deleted { .. }));
        return match fold.view.deleted_at {
            Some(deleted_at) if !is_deletion => Err(Rejection::Deleted { ticket, deleted_at }),
            _ => Ok(()),
        };
    }
    let Some(created_at) = fold.view.created_at else {
        return Ok(());
    };
    let completions = event.facts.iter().filter_map(|fact| match fact {
        Fact::Completion { at, .. } => *at,
        _ => None,
    });
    match completions.min().filter(|at| *at < created_at) {
        Some(at) => Err(Rejection::BeforeCreation { ticket, at, created_at }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
