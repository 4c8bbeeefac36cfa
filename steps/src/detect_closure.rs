//! DetectClosure: folds all facts of the ticket and writes what they come to.
//!
//! Many executions of one ticket may be here at once. Each has put its facts before it reads, and a fold is written
//! only if it covers the stored one; so the last to write has seen every fact, and the latest map.

use serde::{Deserialize, Serialize};
use ticket::{Policy, State, TicketId};

use crate::environment::{self, Environment};
use crate::policy::InForce;
use crate::step::{Error, Input, TRIES, settle};
use crate::store;
use crate::table::{Judgement, Maps, Outcome, Record, Status, Table};
use crate::timers::Timers;

#[derive(Debug)]
pub struct DetectClosure {
    table: Table,
    maps: Maps,
    policy: InForce,
    timers: Timers,
}

impl DetectClosure {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        let table = environment.table()?;
        Ok(Self {
            maps: Maps::new(table.clone()),
            table,
            policy: environment.policy_in_force()?,
            timers: environment.timers()?,
        })
    }
}

/// What the fold came to: the state machine looks at `state`, ComputeDuration at the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub state: String,
    pub fact_count: u64,
    #[serde(flatten)]
    pub judgement: Judgement,
}

pub async fn handle(context: &DetectClosure, input: Input<store::Output>) -> Result<Output, Error> {
    let Input {
        execution,
        state,
        before,
    } = &input;
    let id = execution.event.ticket();
    let policy = context.policy.get().await?;
    let mut map_version = before.map_version;
    for _ in 0..TRIES {
        let map = context.maps.at_least(&id.site, map_version).await?;
        let stored = context.table.stored(&id).await?;
        let ticket = ticket::fold(&stored.facts, &policy, &map);
        let watch = stored.fold.as_ref().map(|fold| &fold.watch);
        // The facts were stored before this state was entered; a timer that fires later sees them.
        let timer = context.timers.start(&id, &ticket, watch, state.entered_time).await?;
        let output = Output {
            state: name(ticket.state).to_owned(),
            fact_count: ticket.fact_count as u64,
            judgement: Judgement::of(&ticket),
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
            .write_fold(&id, &ticket, before.texts, stored.fold.as_ref(), timer, &record)
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
            Outcome::Refused(_) => map_version = Some(caught_up(context, &policy, &id).await?.max(map.version)),
            Outcome::Contended => {}
        }
    }
    Err(Error::Contended { ticket: id })
}

/// The version of the map that the stored fold was made by; an error, if its policy or its rules are later than this
/// function's.
async fn caught_up(context: &DetectClosure, policy: &Policy, id: &TicketId) -> Result<u64, Error> {
    match context.table.fold(id).await?.map(|fold| fold.judgement) {
        Some(stored) if stored.is_beyond(policy) => Err(Error::PolicyOutdated {
            ticket: id.clone(),
            stored,
            own: policy.version,
        }),
        stored => Ok(stored.map_or(0, |stored| stored.map_version)),
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
