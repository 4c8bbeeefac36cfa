//! What is owed to targets, on disk: deliveries until they are made, and when each schedule is due next.
//!
//! One thread owns the file. Calls that arrive together share a transaction and its fsync; each returns after it.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot};

use super::Error;

/// How many calls may wait for the thread; beyond it, callers wait.
const QUEUE: usize = 256;

/// How many calls may share a transaction.
const MAX_BATCH: usize = 64;

/// A delivery to be written.
#[derive(Debug)]
pub(super) struct Owed {
    pub(super) event_id: String,
    pub(super) rule: String,
    pub(super) payload: String,
}

/// A delivery as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) id: i64,
    pub(super) event_id: String,
    pub(super) rule: String,
    pub(super) payload: String,
    /// How often the target failed.
    pub(super) failures: u32,
    /// How often the target could not be reached.
    pub(super) refusals: u32,
    pub(super) created: DateTime<Utc>,
}

/// A call on its way to the thread: runs there, and gives what tells the caller how the commit went.
type Call = Box<dyn FnOnce(&Connection) -> Reply + Send>;
type Reply = Box<dyn FnOnce(bool) + Send>;

#[derive(Clone)]
pub(super) struct Outbox {
    calls: mpsc::Sender<Call>,
}

impl Outbox {
    /// Opens the file, which need not exist, and starts its thread. It ends with the last clone.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let connection = open(path).map_err(|source| Error::Open {
            path: path.to_owned(),
            source,
        })?;
        let (calls, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("events-outbox".to_owned());
        thread.spawn(move || serve(&connection, queue)).map_err(Error::Thread)?;
        Ok(Self { calls })
    }

    /// Writes deliveries, due at once; what is already owed is not owed twice.
    pub(super) async fn add(&self, owed: Vec<Owed>, now: DateTime<Utc>) -> Result<(), Error> {
        self.call(move |connection| owed.iter().try_for_each(|owed| insert(connection, owed, now)))
            .await
    }

    /// The deliveries that are due, oldest first, at most `limit`.
    pub(super) async fn due(&self, now: DateTime<Utc>, limit: usize) -> Result<Vec<Delivery>, Error> {
        self.call(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, event_id, rule, payload, failures, refusals, created
                 FROM deliveries WHERE due <= ? ORDER BY due, id LIMIT ?",
            )?;
            let rows = statement.query_map(params![now.timestamp_millis(), limit], |row| {
                Ok(Delivery {
                    id: row.get(0)?,
                    event_id: row.get(1)?,
                    rule: row.get(2)?,
                    payload: row.get(3)?,
                    failures: row.get(4)?,
                    refusals: row.get(5)?,
                    created: moment(row.get(6)?),
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// When the next delivery after `now` is due.
    pub(super) async fn next_due(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Error> {
        self.call(move |connection| {
            let mut statement = connection.prepare_cached("SELECT min(due) FROM deliveries WHERE due > ?")?;
            let due: Option<i64> = statement.query_row([now.timestamp_millis()], |row| row.get(0))?;
            Ok(due.map(moment))
        })
        .await
    }

    /// Forgets a delivery: it was made, or given up.
    pub(super) async fn remove(&self, id: i64) -> Result<(), Error> {
        self.call(move |connection| {
            connection
                .prepare_cached("DELETE FROM deliveries WHERE id = ?")?
                .execute([id])
                .map(drop)
        })
        .await
    }

    /// Makes a delivery due again, with its counts as they now are.
    pub(super) async fn postpone(&self, delivery: &Delivery, due: DateTime<Utc>) -> Result<(), Error> {
        let (id, failures, refusals) = (delivery.id, delivery.failures, delivery.refusals);
        self.call(move |connection| {
            let mut statement =
                connection.prepare_cached("UPDATE deliveries SET failures = ?, refusals = ?, due = ? WHERE id = ?")?;
            statement
                .execute(params![failures, refusals, due.timestamp_millis(), id])
                .map(drop)
        })
        .await
    }

    /// When the schedule is due, if it is known with that expression.
    pub(super) async fn scheduled(&self, name: String, expression: String) -> Result<Option<DateTime<Utc>>, Error> {
        self.call(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT due FROM schedules WHERE name = ? AND expression = ?")?;
            let due: Option<i64> = statement.query_row([&name, &expression], |row| row.get(0)).optional()?;
            Ok(due.map(moment))
        })
        .await
    }

    /// Writes what a schedule owes, if anything, and when it is due next, in one.
    pub(super) async fn reschedule(
        &self,
        name: String,
        expression: String,
        owed: Option<Owed>,
        now: DateTime<Utc>,
        due: DateTime<Utc>,
    ) -> Result<(), Error> {
        self.call(move |connection| {
            owed.iter().try_for_each(|owed| insert(connection, owed, now))?;
            let mut statement = connection
                .prepare_cached("INSERT OR REPLACE INTO schedules (name, expression, due) VALUES (?, ?, ?)")?;
            statement
                .execute(params![name, expression, due.timestamp_millis()])
                .map(drop)
        })
        .await
    }

    /// How many deliveries are owed.
    pub(super) async fn count(&self) -> Result<u64, Error> {
        self.call(|connection| connection.query_row("SELECT count(*) FROM deliveries", [], |row| row.get(0)))
            .await
    }

    /// Forgets everything.
    pub(super) async fn clear(&self) -> Result<(), Error> {
        self.call(|connection| connection.execute_batch("DELETE FROM deliveries; DELETE FROM schedules"))
            .await
    }

    async fn call<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, outcome) = oneshot::channel();
        let call: Call = Box::new(|connection| {
            let ran = run(connection);
            Box::new(|committed| {
                let outcome = match (ran, committed) {
                    (Ok(value), true) => Ok(value),
                    (Ok(_), false) => Err(Error::NotCommitted),
                    (Err(source), _) => Err(Error::Outbox(source)),
                };
                // A caller that has gone away needs no answer.
                let _ = answer.send(outcome);
            })
        });
        self.calls.send(call).await.map_err(|_| Error::Stopped)?;
        outcome.await.unwrap_or(Err(Error::Stopped))
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is on disk when it returns.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS deliveries (
             id INTEGER PRIMARY KEY,
             event_id TEXT NOT NULL,
             rule TEXT NOT NULL,
             payload TEXT NOT NULL,
             failures INTEGER NOT NULL DEFAULT 0,
             refusals INTEGER NOT NULL DEFAULT 0,
             created INTEGER NOT NULL,
             due INTEGER NOT NULL,
             UNIQUE (event_id, rule)
         );
         CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due);
         CREATE TABLE IF NOT EXISTS schedules (
             name TEXT PRIMARY KEY,
             expression TEXT NOT NULL,
             due INTEGER NOT NULL
         );",
    )?;
    Ok(connection)
}

fn insert(connection: &Connection, owed: &Owed, now: DateTime<Utc>) -> rusqlite::Result<()> {
    let now = now.timestamp_millis();
    let mut statement = connection.prepare_cached(
        "INSERT OR IGNORE INTO deliveries (event_id, rule, payload, created, due) VALUES (?, ?, ?, ?, ?)",
    )?;
    statement
        .execute(params![owed.event_id, owed.rule, owed.payload, now, now])
        .map(drop)
}

/// A moment that [`DateTime::timestamp_millis`] gave; anything else in the file counts as long past.
fn moment(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

fn serve(connection: &Connection, mut queue: mpsc::Receiver<Call>) {
    while let Some(first) = queue.blocking_recv() {
        let mut calls = vec![first];
        while calls.len() < MAX_BATCH
            && let Ok(call) = queue.try_recv()
        {
            calls.push(call);
        }
        let begun = connection.execute_batch("BEGIN IMMEDIATE");
        let replies: Vec<Reply> = calls.into_iter().map(|call| call(connection)).collect();
        // Without a transaction, each statement was committed by itself.
        let committed = match begun {
            Ok(()) => connection.execute_batch("COMMIT"),
            Err(error) => Err(error),
        };
        if let Err(error) = &committed {
            tracing::error!(%error, "could not write the events' outbox");
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
        }
        replies.into_iter().for_each(|reply| reply(committed.is_ok()));
    }
}
