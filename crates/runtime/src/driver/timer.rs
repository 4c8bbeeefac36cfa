//! Timers: one sleeper until the next moment at which any execution is due, which the store's index knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use asl::Trigger;
use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::report;
use super::{Error, Inner, RETRY_PAUSE};
use crate::clock::Busy;
use crate::history;

/// Executions that are woken together: enough to share commits, few enough to have in memory at once.
const BATCH: usize = 256;

/// Before asking again, where what was due turned out not to be.
const IDLE_PAUSE: Duration = Duration::from_millis(10);

/// The next due moment, as far as it is known in memory.
pub(super) struct Timer {
    /// Milliseconds since 1970.
    next_ms: AtomicI64,
    earlier: Notify,
}

impl Default for Timer {
    fn default() -> Self {
        Self {
            next_ms: AtomicI64::new(i64::MAX),
            earlier: Notify::new(),
        }
    }
}

impl Timer {
    /// Takes note that an execution is due at this moment.
    pub(super) fn note(&self, due: DateTime<Utc>) {
        let due_ms = due.timestamp_millis();
        if due_ms < self.next_ms.fetch_min(due_ms, Ordering::SeqCst) {
            self.earlier.notify_one();
        }
    }
}

/// Wakes executions at their time until the engine is shut down. What became due while nobody was there is woken first.
pub(super) async fn run(engine: Arc<Inner>, mut busy: Busy) {
    loop {
        match wake_due(&engine).await {
            Ok(Woken::All) => {
                drop(busy);
                sleep(&engine).await;
                busy = engine.clock.busy();
            }
            Ok(Woken::Some) => {}
            Err(Error::History(history::Error::Closed)) => return,
            Err(error) => {
                report(&error, "cannot wake executions that are due; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Sleeps until an execution is due, or one becomes due earlier.
async fn sleep(engine: &Arc<Inner>) {
    let next_ms = engine.timer.next_ms.load(Ordering::SeqCst);
    let earlier = engine.timer.earlier.notified();
    match DateTime::from_timestamp_millis(next_ms) {
        Some(next) => tokio::select! {
            () = engine.clock.sleep_until(next) => {}
            () = earlier => {}
        },
        None => earlier.await,
    }
}

enum Woken {
    /// More may be due.
    Some,
    All,
}

/// Wakes a batch of executions that are due, or finds out when the next one is.
async fn wake_due(engine: &Arc<Inner>) -> Result<Woken, Error> {
    // Before the question, so that what is noted after it is not lost.
    engine.timer.next_ms.store(i64::MAX, Ordering::SeqCst);
    let now = engine.now();
    let (due, next) = engine
        .history
        .read(move |connection| {
            let due = history::executions::due(connection, now, BATCH)?;
            Ok((due, history::executions::next_due(connection)?))
        })
        .await?;
    if due.is_empty() {
        if let Some(next) = next {
            // Whoever is told of an earlier moment is this loop itself, which sleeps only now.
            let next_ms = &engine.timer.next_ms;
            next_ms.fetch_min(next.timestamp_millis(), Ordering::SeqCst);
        }
        return Ok(Woken::All);
    }
    let mut turns = JoinSet::new();
    for id in due {
        let engine = engine.clone();
        turns.spawn(async move {
            let slot = engine.cache.slot(id);
            engine.take(&slot, Trigger::Clock).await
        });
    }
    let mut moved = false;
    let mut failed = None;
    while let Some(turn) = turns.join_next().await {
        match turn {
            Ok(Ok(changed)) => moved |= changed,
            Ok(Err(error)) => failed = Some(error),
            Err(_) => return Err(history::Error::Closed.into()),
        }
    }
    match failed {
        Some(error) => Err(error),
        // Another trigger of theirs came first, or none of them is moved by time after all: do not ask again at once.
        None if !moved => {
            tokio::time::sleep(IDLE_PAUSE).await;
            Ok(Woken::Some)
        }
        None => Ok(Woken::Some),
    }
}
