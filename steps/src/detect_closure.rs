//! DetectClosure: folds all facts of the ticket and writes what they come to.
//!
//! Many executions of one ticket may be here at once. Each has put its facts before it reads, and a fold is written
//! only if it covers the stored one; so the last to write has seen every fact.

use serde::{Deserialize, Serialize};
use ticket::{Policy, State};

use crate::environment::{self, Environment};
use crate::step::{Error, Input, TRIES, settle};
use crate::table::{Outcome, Record, Status, Table};

#[derive(Debug)]
pub struct DetectClosure {
    table: Table,
    policy: Policy,
}

impl DetectClosure {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
            policy: environment.policy()?,
        })
    }
}

/// What the fold came to: the state machine looks at `state`, ComputeDuration at the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub state: String,
    pub fact_count: u64,
    pub policy_version: u32,
}

pub async fn handle(context: &DetectClosure, input: Input) -> Result<Output, Error> {
    let Input { execution, state, .. } = &input;
    let id = execution.event.ticket();
    for _ in 0..TRIES {
        let stored = context.table.stored(&id).await?;
        let ticket = ticket::fold(&stored.facts, &context.policy);
        let output = Output {
            state: name(ticket.state).to_owned(),
            fact_count: ticket.fact_count as u64,
            policy_version: ticket.policy_version,
        };
        // Without a duration to compute the execution ends here.
        let status = if ticket.state == State::Closed {
            Status::Running
        } else {
            Status::Succeeded
        };
        let record = Record {
            execution,
            state,
            finished_at: crate::now(),
            status,
            outcome: &output.state,
            cause: None,
        };
        match context
            .table
            .write_fold(&id, &ticket, stored.fold.as_ref(), &record)
            .await?
        {
            Outcome::Written => return Ok(output),
            Outcome::Refused(0) => {
                return Ok(Output {
                    state: settle(&context.table, execution, state).await?,
                    ..output
                });
            }
            // The stored fold covers more. What it covers is read and folded again; it cannot be less.
            Outcome::Refused(_) => outdated(context, &id).await?,
            Outcome::Contended => {}
        }
    }
    Err(Error::Contended { ticket: id })
}

/// Fails if the stored fold is by a later policy than this function has.
async fn outdated(context: &DetectClosure, id: &ticket::TicketId) -> Result<(), Error> {
    let own = context.policy.version;
    match context.table.fold(id).await? {
        Some(fold) if own < fold.policy_version => Err(Error::PolicyOutdated {
            ticket: id.clone(),
            stored: fold.policy_version,
            own,
        }),
        _ => Ok(()),
    }
}

/// A state as the state machine's Choice Rule spells it.
fn name(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Closed => "closed",
        State::Deleted => "deleted",
        State::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests;
