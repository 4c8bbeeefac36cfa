//! Skipping time: when nothing but timers of executions is left, the clock jumps to the next one.
//!
//! Only executions move it. Schedules and the stores' own upkeep see the same clock, and what a jump passes of theirs is
//! done once, as after a time in which the machine was off; but they never bring a jump about, or an idle machine would
//! run away through its schedules' beats.

use std::sync::Arc;
use std::time::Duration;

use super::report;
use super::{Inner, RETRY_PAUSE};
use crate::clock::Busy;
use crate::history;

/// How long, in real time, the world may take to answer a task that waits for a callback before that counts as nothing
/// but its time-outs: twice the second at which programs that wait for a token commonly look again.
pub(super) const CALLBACK_PATIENCE: Duration = Duration::from_secs(2);

/// Skips time, if the clock is one that does, until the engine is shut down.
pub(super) async fn run(engine: Arc<Inner>) {
    let mut before = None;
    loop {
        let quiet = engine.clock.quiet(before).await;
        // Asked now, of the store: what was noted as timers came up may be over since.
        let stored = match engine.history.read(history::executions::next_due).await {
            Ok(stored) => stored,
            Err(history::Error::Closed) => return,
            Err(error) => {
                report(&error, "cannot see what is due next; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            }
        };
        let due = stored.into_iter().chain(quiet.alarm).min();
        if let Some(due) = due.filter(|due| engine.clock.now() < *due)
            && let Err(error) = engine.clock.skip_to(due, quiet).await
        {
            report(&error, "cannot keep how far the clock is ahead; trying again");
            tokio::time::sleep(RETRY_PAUSE).await;
            continue;
        }
        // After a jump, and where something is due already, those who wait for it come next.
        before = Some(quiet);
    }
}

/// Holds the clock while the world may still answer a callback, until `answered`.
pub(super) async fn be_patient(_busy: Busy, answered: impl Future<Output = ()>) {
    tokio::select! {
        () = answered => {}
        () = tokio::time::sleep(CALLBACK_PATIENCE) => {}
    }
}
