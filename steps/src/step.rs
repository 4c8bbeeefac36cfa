//! What the state machine gives to a step: the Context Object's execution, with the event as its input, and state.

use serde::Deserialize;
use ticket::fold::RULES_VERSION;
use ticket::{TicketEvent, TicketId, Time};

use crate::execution;
use crate::names::{ErrorName, Name};
use crate::policy;
use crate::table::{self, Judgement, Table};

/// A step's input. `B` is the output of the step before it, for the one that needs it.
#[derive(Debug, Deserialize)]
pub struct Input<B = ()> {
    pub execution: Execution,
    pub state: State,
    #[serde(default, alias = "stored", alias = "fold")]
    pub before: B,
}

/// `$$.Execution`. Its input stays the same through every retry and redrive.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    pub name: String,
    pub start_time: Time,
    #[serde(default)]
    pub redrive_count: u32,
    #[serde(rename = "Input")]
    pub event: TicketEvent,
}

/// `$$.State`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    pub name: String,
    pub entered_time: Time,
    #[serde(default)]
    pub retry_count: u32,
}

/// How often a step looks again after another writer was quicker, before it leaves the rest to its Retrier.
pub(crate) const TRIES: u32 = 5;

/// Why a step's work could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("round {redrives} of the execution {execution} is over; it is at {now}")]
    Closed {
        execution: String,
        redrives: u32,
        now: String,
    },
    #[error("{TRIES} times another writer of {ticket} was quicker")]
    Contended { ticket: TicketId },
    #[error(
        "{ticket} was folded by policy {} and rules {}, and this function has policy {own}, rules {RULES_VERSION}",
        stored.policy_version, stored.rules_version
    )]
    PolicyOutdated {
        ticket: TicketId,
        stored: Judgement,
        own: u32,
    },
    #[error(transparent)]
    Policy(#[from] policy::Error),
    #[error("no timer could be started")]
    Timer(#[from] execution::Error),
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl ErrorName for Error {
    fn name(&self) -> Name {
        match self {
            Self::Closed { .. } => Name::ExecutionClosed,
            Self::Contended { .. } => Name::TicketContended,
            Self::PolicyOutdated { .. } => Name::PolicyOutdated,
            Self::Policy(error) => error.name(),
            Self::Timer(_) => Name::TimerNotStarted,
            Self::Table(error) => error.name(),
        }
    }
}

/// Finds out why progress has refused a step's record: gives the outcome of this very step, if it was the last one and
/// only its answer was lost; an error, if the execution has gone on without it.
pub(crate) async fn settle(table: &Table, execution: &Execution, state: &State) -> Result<String, Error> {
    let progress = table.progress(&execution.name).await?;
    let outcome = progress
        .as_ref()
        .and_then(|progress| progress.settled(execution.redrive_count, &state.name));
    if let Some(outcome) = outcome {
        return Ok(outcome.to_owned());
    }
    let now = progress.map_or("no progress at all".to_owned(), |progress| {
        format!("{} in round {}", progress.status.as_str(), progress.redrives)
    });
    Err(Error::Closed {
        execution: execution.name.clone(),
        redrives: execution.redrive_count,
        now,
    })
}
