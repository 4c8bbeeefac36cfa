//! The threads that read, each in its own connection and each request in a snapshot of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dynoxide::DynoxideError;
use dynoxide::storage::Storage;
use tokio::sync::mpsc;

use super::Job;
use super::operation::{Outcome, Work};
use super::writer::{Reopen, guarded};

pub(super) struct Reader {
    storage: Storage,
    reopen: Reopen,
    /// The writer's count of changes of tables, and what it was when `storage` was opened.
    schema: Arc<AtomicU64>,
    opened_at: u64,
}

impl Reader {
    pub(super) fn new(reopen: Reopen, schema: Arc<AtomicU64>) -> Result<Self, DynoxideError> {
        let opened_at = schema.load(Ordering::Acquire);
        let storage = open(&reopen)?;
        Ok(Self {
            storage,
            reopen,
            schema,
            opened_at,
        })
    }

    pub(super) fn run(mut self, queue: &Mutex<mpsc::Receiver<Job>>) {
        loop {
            // Held only while waiting: whoever has taken a request lets the next reader wait.
            let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
            let Some(Job { work, answer }) = job else {
                return;
            };
            let outcome = self.read(work);
            let _ = answer.send(outcome);
        }
    }

    fn read(&mut self, work: Work) -> Outcome {
        let schema = self.schema.load(Ordering::Acquire);
        if schema != self.opened_at {
            // dynoxide keeps what it read of a table until it changes it itself.
            self.storage = open(&self.reopen)?;
            self.opened_at = schema;
        }
        let storage = &self.storage;
        let run = |statement: &str| storage.conn().prepare_cached(statement)?.execute([]);
        run("BEGIN")?;
        let outcome = guarded(|| work.perform(storage));
        run("COMMIT")?;
        outcome
    }
}

fn open(reopen: &Reopen) -> Result<Storage, DynoxideError> {
    let storage = reopen()?;
    storage.conn().pragma_update(None, "query_only", true)?;
    Ok(storage)
}
