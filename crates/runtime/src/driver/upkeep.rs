//! What the engine does beside the executions: taking up what was in progress at the start, and forgetting what is old.

use std::sync::Arc;
use std::time::Duration;

use super::report;
use super::{Error, Inner, RETRY_PAUSE, skip};
use crate::clock::Busy;
use crate::history::executions::{RETENTION, Sweep};
use crate::history::{self, ExecutionId, MachineStatus};

/// Executions that are taken up together after a start.
const RESUME_BATCH: usize = 256;

/// How often closed executions that have outlived their retention are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(3600);

/// Between two steps of the retention: it is never in a hurry.
const EXPIRY_PAUSE: Duration = Duration::from_millis(20);

/// Rows that one step of the retention looks at, and batches of a log that it deletes: a millisecond or two.
const EXPIRY_ROWS: usize = 1_000;
const EXPIRY_BATCHES: usize = 100;

/// Takes up every execution that owes a call or can go on by itself, in the order of their starts.
///
/// Those that wait for time or for a callback are left on disk.
pub(super) async fn resume(engine: Arc<Inner>, busy: Busy) {
    for revision in engine.machines.all() {
        if revision.record.status == MachineStatus::Deleting {
            engine.delete_if_closed(revision.machine_id).await;
        }
    }
    engine.fail_stranded().await;
    // Later ones are taken up by their own start.
    let end = ExecutionId(engine.next_execution.load(std::sync::atomic::Ordering::Relaxed));
    let mut after = ExecutionId(0);
    loop {
        // Behind the calls that already wait for their turn: what is in memory stays bounded.
        drop(engine.calls.turns.acquire().await);
        match resume_batch(&engine, after).await {
            Ok(Some(last)) if last < end => after = last,
            Ok(_) => break,
            Err(Error::History(history::Error::Closed)) => return,
            Err(error) => {
                report(&error, "cannot take up executions in progress; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
    if engine.clock.skips() {
        match engine.history.read(history::log::any_token_of_open).await {
            // Who holds one has not been able to answer for a while.
            Ok(true) => skip::be_patient(busy, std::future::pending()).await,
            Ok(false) => {}
            Err(error) => report(&error, "cannot see which callbacks are awaited"),
        }
    }
}

async fn resume_batch(engine: &Arc<Inner>, after: ExecutionId) -> Result<Option<ExecutionId>, Error> {
    let pending = engine
        .history
        .read(move |connection| history::executions::pending(connection, after, RESUME_BATCH))
        .await?;
    for id in &pending {
        let slot = engine.cache.slot(*id);
        engine.resume(&slot).await?;
    }
    Ok(pending.last().copied())
}

/// Deletes closed executions past their retention, step by small step, until the engine is shut down.
pub(super) async fn expire(engine: Arc<Inner>) {
    let mut after = ExecutionId(0);
    loop {
        let cutoff = engine.now() - RETENTION;
        let step = engine.history.write(move |connection| {
            history::executions::expire(connection, after, cutoff, EXPIRY_ROWS, EXPIRY_BATCHES)
        });
        let pause = match step.await {
            Ok(Sweep::At(at)) => {
                after = at;
                EXPIRY_PAUSE
            }
            Ok(Sweep::Done) => {
                after = ExecutionId(0);
                EXPIRY_INTERVAL
            }
            Err(history::Error::Closed) => return,
            Err(error) => {
                report(&error, "cannot delete old executions; trying again");
                EXPIRY_INTERVAL
            }
        };
        tokio::time::sleep(pause).await;
    }
}
