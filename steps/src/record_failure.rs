//! Records that an execution failed, timed out or was aborted, when EventBridge tells of it.
//!
//! AWS delivers the event with best effort: late, doubled, overtaken by a redrive, or never. So it is taken as a hint
//! only. What is recorded is what Step Functions says now, and only if no later round of the execution is known.

use serde::{Deserialize, Serialize};

use crate::environment::{self, Environment};
use crate::execution;
use crate::machines::{Machine, Machines};
use crate::names::{ErrorName, Name};
use crate::table::{self, Outcome, Table};

#[derive(Debug)]
pub struct RecordFailure {
    pub(crate) table: Table,
    pub(crate) machines: Machines,
}

impl RecordFailure {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
            machines: environment.machines()?,
        })
    }
}

/// *Step Functions Execution Status Change*, as far as it is needed.
#[derive(Debug, Deserialize)]
pub struct Event {
    pub detail: Detail,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    pub name: String,
    pub state_machine_arn: String,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recorded {
    Recorded,
    /// It runs again, it has succeeded since, or it is gone.
    Overtaken,
    /// It is of no state machine that is looked after.
    Foreign,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Execution(#[from] execution::Error),
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl ErrorName for Error {
    fn name(&self) -> Name {
        match self {
            Self::Execution(error) => error.name(),
            Self::Table(error) => error.name(),
        }
    }
}

pub async fn handle(context: &RecordFailure, event: Event) -> Result<Recorded, Error> {
    let Detail {
        name,
        state_machine_arn,
    } = &event.detail;
    match context.machines.named(state_machine_arn) {
        Some(machine) => record(context, machine, name).await,
        None => Ok(Recorded::Foreign),
    }
}

/// Records the failure that an execution is in now.
pub(crate) async fn record(context: &RecordFailure, machine: Machine, name: &str) -> Result<Recorded, Error> {
    let executions = context.machines.of(machine);
    let description = executions
        .describe(name)
        .await?
        .filter(|description| description.status.is_failure());
    let Some(description) = description else {
        return Ok(Recorded::Overtaken);
    };
    let failure = executions.failure(machine, description).await?;
    let recorded = match context.table.record_failure(&failure).await? {
        Outcome::Written => Recorded::Recorded,
        Outcome::Refused(_) | Outcome::Contended => Recorded::Overtaken,
    };
    tracing::info!(
        execution = name,
        status = failure.status.as_str(),
        error = failure.error,
        ?recorded
    );
    Ok(recorded)
}
