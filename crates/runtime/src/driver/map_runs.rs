//! Map Runs: found by their ARN, read off the log of the execution that runs them, and changed while they run.

use std::sync::Arc;

use asl::{MapRunRecord, MapRunStatus, MapRunUpdate, Trigger};

use super::executions::whole;
use super::{Engine, Error};
use crate::history::{self, ExecutionId};

/// A Map Run and the execution that runs it.
#[derive(Clone, Debug, PartialEq)]
pub struct MapRun {
    pub execution_arn: Arc<str>,
    pub record: MapRunRecord,
}

impl Engine {
    /// The execution that a Map Run belongs to.
    async fn runner(&self, arn: &str) -> Result<ExecutionId, Error> {
        let wanted: Arc<str> = arn.into();
        let found = self
            .inner
            .history
            .read(move |connection| history::log::map_run(connection, &wanted))
            .await?;
        found.ok_or_else(|| Error::MapRunDoesNotExist { arn: arn.into() })
    }

    async fn map_runs_of(&self, id: ExecutionId) -> Result<Vec<MapRun>, Error> {
        let slot = self.inner.cache.slot(id);
        let execution_arn = self.inner.with_fold(&slot, |fold| fold.arn.clone()).await?;
        let records = self
            .inner
            .history
            .read(move |connection| Ok(asl::map_runs(&history::log::all(connection, id)?.0)))
            .await?;
        let run = |record| MapRun {
            execution_arn: execution_arn.clone(),
            record,
        };
        Ok(records.into_iter().map(run).collect())
    }

    /// The Map Runs of an execution in the order of their starts.
    pub async fn map_runs(&self, execution_arn: &str) -> Result<Vec<MapRun>, Error> {
        let slot = self.inner.find(execution_arn).await?;
        self.map_runs_of(slot.id).await
    }

    pub async fn map_run(&self, arn: &str) -> Result<MapRun, Error> {
        let id = self.runner(arn).await?;
        let runs = self.map_runs_of(id).await?;
        let run = runs.into_iter().find(|run| *run.record.arn == *arn);
        run.ok_or_else(|| Error::MapRunDoesNotExist { arn: arn.into() })
    }

    /// Changes a Map Run in progress.
    pub async fn update_map_run(&self, arn: &str, update: MapRunUpdate) -> Result<(), Error> {
        let run = self.map_run(arn).await?;
        if run.record.status != MapRunStatus::Running {
            return Err(Error::MapRunEnded { arn: arn.into() });
        }
        let slot = self.inner.find(&run.execution_arn).await?;
        let (inner, run) = (self.inner.clone(), run.record.arn);
        whole(async move {
            // It may have ended since, and then there is nothing to change.
            inner.take(&slot, Trigger::UpdateMapRun { run, update }).await
        })
        .await?;
        Ok(())
    }
}
