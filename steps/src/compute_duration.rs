//! ComputeDuration: measures the closed ticket, if its fold is still the one that DetectClosure wrote.
//!
//! If it is not, a later event's execution folded it, and that one measures it.

use serde::Serialize;

use crate::detect_closure;
use crate::environment::{self, Environment};
use crate::step::{Error, Input, TRIES, settle};
use crate::table::{Outcome, Record, Status, Table};

const MEASURED: &str = "measured";
const SUPERSEDED: &str = "superseded";

#[derive(Debug)]
pub struct ComputeDuration {
    table: Table,
}

impl ComputeDuration {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
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
        before: wanted,
    } = &input;
    let id = execution.event.ticket();
    for _ in 0..TRIES {
        // A fold is all that its durations follow from. Facts that were put since belong to an execution that has yet to
        // fold them, and another fold to one that has yet to measure it.
        let stored = context.table.fold(&id).await?;
        let fold = stored.filter(|fold| {
            let is_own = fold.folded_by == execution.name;
            is_own && (fold.fact_count, fold.judgement) == (wanted.fact_count, wanted.judgement)
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
                let durations = fold.view.measured();
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
