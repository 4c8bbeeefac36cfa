//! ComputeDuration: measures the closed ticket, if its fold is still the one that DetectClosure wrote.
//!
//! If it is not, a later event's execution folded it, and that one measures it.

use serde::Serialize;
use ticket::Policy;

use crate::detect_closure;
use crate::environment::{self, Environment};
use crate::step::{Error, Input, TRIES, settle};
use crate::table::{Outcome, Record, Status, Table};

const MEASURED: &str = "measured";
const SUPERSEDED: &str = "superseded";

#[derive(Debug)]
pub struct ComputeDuration {
    table: Table,
    policy: Policy,
}

impl ComputeDuration {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
            policy: environment.policy()?,
        })
    }
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Output {
    pub outcome: String,
}

pub async fn handle(context: &ComputeDuration, input: Input<detect_closure::Output>) -> Result<Output, Error> {
    let Input {
        execution,
        state,
        fold: wanted,
    } = &input;
    let id = execution.event.ticket();
    for _ in 0..TRIES {
        let stored = context.table.stored(&id).await?;
        let ticket = ticket::fold(&stored.facts, &context.policy);
        // Facts that were put meanwhile belong to an execution that has yet to fold them.
        let fold = stored.fold.filter(|fold| {
            let is_wanted = (fold.fact_count, fold.policy_version) == (wanted.fact_count, wanted.policy_version);
            is_wanted && (ticket.fact_count as u64, ticket.policy_version) == (fold.fact_count, fold.policy_version)
        });
        let record = |outcome| Record {
            execution,
            state,
            finished_at: crate::now(),
            status: Status::Succeeded,
            outcome,
            cause: None,
        };
        let (written, outcome) = match &fold {
            Some(fold) => {
                let durations = ticket::durations(&ticket);
                (
                    context
                        .table
                        .write_durations(&id, fold, &durations, &record(MEASURED))
                        .await?,
                    MEASURED,
                )
            }
            None => (context.table.record(&record(SUPERSEDED)).await?, SUPERSEDED),
        };
        match written {
            Outcome::Written => {
                return Ok(Output {
                    outcome: outcome.to_owned(),
                });
            }
            Outcome::Refused(0) => {
                return Ok(Output {
                    outcome: settle(&context.table, execution, state).await?,
                });
            }
            Outcome::Refused(_) | Outcome::Contended => {}
        }
    }
    Err(Error::Contended { ticket: id })
}
