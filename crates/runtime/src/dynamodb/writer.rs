//! The thread that writes: many requests, one transaction, one fsync.
//!
//! dynoxide's actions open a transaction of their own (`BEGIN` … `COMMIT`), which SQLite does not nest. While a batch is
//! open, SQLite's authorizer ignores those three statements, as it is documented to do when told so: the statement
//! still runs and does nothing. The batch's own transaction encloses all of them, and a savepoint around each request
//! is what a failed one is rolled back to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dynoxide::DynoxideError;
use dynoxide::storage::Storage;
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use tokio::sync::mpsc;

use super::operation::{Kind, Outcome};
use super::{Job, expiry, tokens};
use crate::checkpoint::Checkpoints;

/// How many requests may share a transaction: enough that an fsync costs each of them little, few enough that the
/// first of them does not wait long for the last.
const MAX_BATCH: usize = 128;

/// The share of a commit's time that may be spent waiting for more requests to share the next.
const PATIENCE: u32 = 4;

/// The longest such wait.
const MAX_PATIENCE: Duration = Duration::from_millis(1);

/// How often a wait looks whether they have come.
const NAP: Duration = Duration::from_micros(50);

/// How many pages (4 KiB) the write-ahead log holds before it is copied into the database: each copy costs two more
/// fsyncs, and a page written often is copied once.
pub(super) const CHECKPOINT_PAGES: u16 = 8_000;

/// How much of the file SQLite may keep in memory, in KiB, for each connection.
const CACHE_KIB: u32 = 32 << 10;

/// More prepared statements than the tables and indexes of a template need; rusqlite's 16 would be prepared over and
/// over again.
const STATEMENTS: usize = 512;

/// Opens a connection to the store anew.
pub(super) type Reopen = Arc<dyn Fn() -> Result<Storage, DynoxideError> + Send + Sync>;

/// Settings of every connection. `synchronous` stays at SQLite's FULL: a commit is on disk when it returns.
pub(super) fn tune(storage: &Storage) -> rusqlite::Result<()> {
    let connection = storage.conn();
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))
}

/// What the store's file needs beside dynoxide's own tables.
pub(super) fn prepare(storage: &Storage) -> rusqlite::Result<()> {
    tokens::create_table(storage.conn())?;
    // Without it, each write to a table with a stream reads all records to find the last.
    storage.conn().execute_batch(
        "CREATE INDEX IF NOT EXISTS _stream_records_sequence
         ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
    )
}

pub(super) struct Writer {
    storage: Storage,
    reopen: Reopen,
    /// Counts changes of tables, so that readers know when to forget what they knew.
    schema: Arc<AtomicU64>,
    commits: Arc<AtomicU64>,
    /// Whether `BEGIN`, `COMMIT` and `ROLLBACK` are ignored.
    enclosed: Arc<AtomicBool>,
    /// How many requests the last commit had, and how long it took.
    last_batch: usize,
    last_commit: Duration,
}

impl Writer {
    pub(super) fn new(
        storage: Storage,
        reopen: Reopen,
        schema: Arc<AtomicU64>,
        commits: Arc<AtomicU64>,
    ) -> rusqlite::Result<Self> {
        let enclosed = Arc::new(AtomicBool::new(false));
        take_over(storage.conn(), &enclosed)?;
        Ok(Self {
            storage,
            reopen,
            schema,
            commits,
            enclosed,
            last_batch: 0,
            last_commit: Duration::ZERO,
        })
    }

    /// Works off the queue until nobody can add to it.
    pub(super) fn run(mut self, mut checkpoints: Checkpoints, mut queue: mpsc::Receiver<Job>) {
        let mut next = queue.blocking_recv();
        while let Some(job) = next.take() {
            match job.work.kind {
                Kind::Schema => self.change_schema(job),
                Kind::OwnTransactions => {
                    let Job { work, answer } = job;
                    let outcome = guarded(|| work.perform(&self.storage));
                    let _ = answer.send(outcome);
                }
                Kind::Read | Kind::Write => {
                    let mut batch = vec![job];
                    next = self.gather(&mut batch, &mut queue);
                    self.commit_together(batch);
                }
            }
            checkpoints.after_commit(self.storage.conn());
            if next.is_none() {
                next = queue.blocking_recv();
            }
        }
    }

    /// Adds to a batch what has arrived, and what is about to; the request that cannot be part of it, if one came.
    ///
    /// Those whom the last commit answered are often back at once. Without waiting a moment for them, one of them goes
    /// alone and the others wait for its fsync before their own.
    fn gather(&self, batch: &mut Vec<Job>, queue: &mut mpsc::Receiver<Job>) -> Option<Job> {
        let start = Instant::now();
        let patience = (self.last_commit / PATIENCE).min(MAX_PATIENCE);
        while batch.len() < MAX_BATCH {
            match queue.try_recv() {
                Ok(job) if matches!(job.work.kind, Kind::Read | Kind::Write) => batch.push(job),
                Ok(job) => return Some(job),
                Err(_) if batch.len() < self.last_batch && start.elapsed() < patience => std::thread::sleep(NAP),
                Err(_) => break,
            }
        }
        None
    }

    /// Runs a batch in one transaction and answers each of it once that is on disk.
    fn commit_together(&mut self, batch: Vec<Job>) {
        let start = Instant::now();
        self.last_batch = batch.len();
        let mut answers = Vec::with_capacity(batch.len());
        let committed = self.enclose(|storage| {
            for Job { work, answer } in batch {
                let outcome = in_savepoint(storage, || work.perform(storage));
                answers.push((answer, outcome));
                // SQLite itself ends a transaction on a full disk and the like; what follows would stand alone.
                if storage.conn().is_autocommit() {
                    return Err(failed("SQLite ended the transaction"));
                }
            }
            Ok(())
        });
        self.last_commit = start.elapsed();
        for (answer, outcome) in answers {
            let outcome = match &committed {
                Ok(()) => outcome,
                Err(error) => Err(failed(&error.to_string())),
            };
            let _ = answer.send(outcome);
        }
    }

    /// Runs a change of tables in a transaction of its own, and makes every connection forget what it knew of them.
    fn change_schema(&mut self, job: Job) {
        let Job { work, answer } = job;
        let mut outcome = Err(failed("the change did not run"));
        let committed = self.enclose(|storage| {
            outcome = in_savepoint(storage, || {
                let reply = work.perform(storage)?;
                expiry::index(storage)?;
                Ok(reply)
            });
            Ok(())
        });
        if let Err(error) = committed {
            outcome = Err(error);
        }
        if outcome.is_err() {
            // dynoxide may remember a table that was rolled back.
            let reopened = (self.reopen)().and_then(|storage| {
                take_over(storage.conn(), &self.enclosed)?;
                Ok(storage)
            });
            match reopened {
                Ok(storage) => self.storage = storage,
                Err(error) => tracing::error!(%error, "could not reopen the DynamoDB file"),
            }
        }
        self.schema.fetch_add(1, Ordering::Release);
        let _ = answer.send(outcome);
    }

    /// Runs `requests` in one transaction; an error means that nothing of it is in the store.
    pub(super) fn enclose(
        &mut self,
        requests: impl FnOnce(&Storage) -> Result<(), DynoxideError>,
    ) -> Result<(), DynoxideError> {
        let connection = self.storage.conn();
        connection.execute_batch("BEGIN IMMEDIATE")?;
        self.enclosed.store(true, Ordering::Relaxed);
        let ran = requests(&self.storage);
        self.enclosed.store(false, Ordering::Relaxed);
        let committed = ran.and_then(|()| Ok(connection.execute_batch("COMMIT")?));
        if !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK")?;
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        committed
    }
}

/// Makes `connection` ignore an action's own transaction while `enclosed` is set, and leave its log to the writer.
fn take_over(connection: &Connection, enclosed: &Arc<AtomicBool>) -> rusqlite::Result<()> {
    let enclosed = enclosed.clone();
    connection.authorizer(Some(move |context: AuthContext<'_>| match context.action {
        AuthAction::Transaction { .. } if enclosed.load(Ordering::Relaxed) => Authorization::Ignore,
        _ => Authorization::Allow,
    }));
    Checkpoints::take_over(connection)
}

/// Runs one request so that it leaves nothing behind when it fails.
fn in_savepoint(storage: &Storage, request: impl FnOnce() -> Outcome) -> Outcome {
    let connection = storage.conn();
    let run = |statement: &str| connection.prepare_cached(statement)?.execute([]);
    run("SAVEPOINT request")?;
    let outcome = guarded(request);
    if outcome.is_err() && !connection.is_autocommit() {
        run("ROLLBACK TO request")?;
    }
    if !connection.is_autocommit() {
        run("RELEASE request")?;
    }
    outcome
}

/// Runs `request`, a panic in which becomes an error of that one request.
pub(super) fn guarded(request: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(request)).unwrap_or_else(|_| Err(failed("dynoxide panicked")))
}

fn failed(what: &str) -> DynoxideError {
    DynoxideError::InternalServerError(what.to_owned())
}
