//! Status events: owed with the transition that changed the status, delivered at least once.

use std::pin::Pin;
use std::sync::Arc;

use asl::{Json, Status};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::report;
use super::{ExecutionRecord, Inner, RETRY_PAUSE};
use crate::clock::Busy;
use crate::history;

/// Events that are delivered at the same time.
const BATCH: usize = 64;

/// A *Step Functions Execution Status Change*, with what its event says of the execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusChange {
    /// AWS's spelling, as [`Status::as_str`].
    pub status: Arc<str>,
    pub execution_arn: Arc<str>,
    pub state_machine_arn: Arc<str>,
    #[serde(default)]
    pub version_arn: Option<Arc<str>>,
    #[serde(default)]
    pub alias_arn: Option<Arc<str>>,
    pub name: Arc<str>,
    pub started: DateTime<Utc>,
    pub stopped: Option<DateTime<Utc>>,
    pub input: Json,
    pub output: Option<Json>,
    pub error: Option<Arc<str>>,
    pub cause: Option<Arc<str>>,
    pub redrive_count: u32,
    pub redriven: Option<DateTime<Utc>>,
}

impl StatusChange {
    /// The change to `status` of an execution that by now may have gone on from it.
    pub(super) fn of(record: &ExecutionRecord, status: Status) -> Self {
        let closed = status != Status::Running;
        Self {
            status: status.as_str().into(),
            execution_arn: record.arn.clone(),
            state_machine_arn: record.state_machine_arn.clone(),
            version_arn: record.version_arn.clone(),
            alias_arn: record.alias_arn.clone(),
            name: record.name.clone(),
            started: record.started,
            stopped: record.stopped.filter(|_| closed),
            input: record.input.clone(),
            output: record.output.clone().filter(|_| closed),
            error: record.failure.error.clone().filter(|_| closed),
            cause: record.failure.cause.clone().filter(|_| closed),
            redrive_count: record.redrive_count,
            redriven: record.redriven,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a status event is JSON")
    }
}

pub type PublishFuture<'a> = Pin<Box<dyn Future<Output = Result<(), PublishError>> + Send + 'a>>;

/// Why an event could not be taken; it is delivered again.
pub type PublishError = Box<dyn std::error::Error + Send + Sync>;

/// Who is told of status changes.
pub trait StatusEvents: Send + Sync + 'static {
    /// Whether this change is of interest to anyone; what is not costs nothing.
    fn wants(&self, state_machine_arn: &str, status: Status) -> bool;

    /// Takes an event over: it is forgotten here once this returns. The same one may come again.
    fn publish(&self, event: StatusChange) -> PublishFuture<'_>;
}

/// Delivers what is owed, oldest first, until the engine is shut down.
pub(super) async fn deliver(engine: Arc<Inner>, mut busy: Busy) {
    loop {
        let all_delivered = match deliver_batch(&engine).await {
            Ok(Delivered::Nothing) => {
                drop(busy);
                busy = engine.owes_status.heard().await;
                true
            }
            Ok(Delivered::All) => true,
            Ok(Delivered::Some) => false,
            Err(history::Error::Closed) => return,
            Err(error) => {
                report(&error, "cannot read or clear the status events that are owed");
                false
            }
        };
        if !all_delivered {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

enum Delivered {
    Nothing,
    Some,
    All,
}

async fn deliver_batch(engine: &Arc<Inner>) -> Result<Delivered, history::Error> {
    let owed = engine
        .history
        .read(|connection| history::outbox::oldest(connection, BATCH))
        .await?;
    if owed.is_empty() {
        return Ok(Delivered::Nothing);
    }
    let mut deliveries = JoinSet::new();
    let count = owed.len();
    for (id, event) in owed {
        let engine = engine.clone();
        deliveries.spawn(async move {
            let event: StatusChange = serde_json::from_slice(&event)?;
            engine.status_events.publish(event).await.map(|()| id)
        });
    }
    let mut delivered = Vec::with_capacity(count);
    while let Some(delivery) = deliveries.join_next().await {
        match delivery {
            Ok(Ok(id)) => delivered.push(id),
            Ok(Err(error)) => report(&*error, "cannot deliver a status event"),
            Err(error) => report(&error, "cannot deliver a status event"),
        }
    }
    let all = delivered.len() == count;
    engine
        .history
        .write(move |connection| history::outbox::delivered(connection, &delivered))
        .await?;
    Ok(if all { Delivered::All } else { Delivered::Some })
}
