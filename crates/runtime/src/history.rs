//! The durable memory of the engine: state machines and the append-only log of their executions, in SQLite.
//!
//! The log is the truth: a batch of events is one row of `log`, keyed by execution and position. A row of
//! `executions` is a cache of what its log says, written in the same transaction, so that lists, timers and the
//! start-up need not read logs. What a transition owes the rest of the world (a status event) is a row of `outbox` in
//! that transition's own transaction.
//!
//! One thread owns the connection that writes. It takes all requests that have arrived, commits them together with
//! one fsync, and only then answers each: nothing is acknowledged that is not on disk. Readers have connections of
//! their own and never wait for the writer.

pub(crate) mod activities;
pub(crate) mod aliases;
pub(crate) mod executions;
mod faults;
pub(crate) mod log;
pub(crate) mod machines;
pub(crate) mod outbox;
pub(crate) mod overview;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

#[cfg(test)]
pub(crate) use executions::Place;
pub(crate) use executions::{Head, ListFilter, NewExecution, Row};
pub(crate) use faults::Faults;
pub(crate) use log::{Append, Position, QueueChange, encode};
pub use machines::{MachineStatus, MachineType, StateMachineRecord};
pub(crate) use machines::{StoredRevision, StoredVersion};

use reader::Readers;
use writer::Writer;

/// The database's file in the data directory.
const FILE: &str = "history.db";
/// Held by the process that has the data directory open.
const LOCK_FILE: &str = "history.lock";

/// An execution's number in the store, given in the order of starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId(pub(crate) i64);

/// A state machine's number in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MachineId(pub(crate) i64);

/// A revision of a state machine: what an execution started with, whatever happens to the machine later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RevisionId(pub(crate) i64);

/// Clones share their source, for one failed commit answers a whole group.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use {path}")]
    File {
        path: PathBuf,
        #[source]
        source: Arc<std::io::Error>,
    },
    #[error("{directory} is in use by another process")]
    InUse { directory: PathBuf },
    #[error("{path} was written by a newer version (schema {found}, this version knows {known})")]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{path} does not keep commits safe: {pragma} is {found}")]
    Unsafe {
        path: PathBuf,
        pragma: &'static str,
        found: String,
    },
    #[error("an execution of this name exists")]
    NameTaken { id: ExecutionId },
    #[error("history of execution {execution} cannot be read")]
    Corrupt {
        execution: i64,
        #[source]
        source: Arc<serde_json::Error>,
    },
    #[error("history of execution {execution} is full")]
    Full { execution: i64 },
    #[error("history store failed")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    #[error("history store is closed")]
    Closed,
}

impl Error {
    /// Whether one request was refused before it wrote anything, and the store is as well as ever.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::NameTaken { .. } | Self::Full { .. })
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(source))
    }
}

type Result<T, E = Error> = std::result::Result<T, E>;

/// A data directory, this process's own as long as this is kept.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    lock: File,
}

impl DataDir {
    /// Takes a directory, making it if there is none, unless another process has it.
    pub fn take(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(file_error(directory))?;
        let path = directory.join(LOCK_FILE);
        let lock = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(file_error(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: directory.to_owned(),
                lock,
            }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                directory: directory.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(file_error(&path)(source)),
        }
    }
}

/// The store of one data directory.
pub(crate) struct History {
    readers: Readers,
    writer: Writer,
    directory: DataDir,
}

impl History {
    /// Opens the store in `directory`, making it if there is none.
    pub(crate) fn open(directory: DataDir, faults: Faults) -> Result<Self> {
        let path = directory.path.join(FILE);
        let connection = schema::open(&path)?;
        Ok(Self {
            writer: Writer::start(connection, path.clone(), faults).map_err(file_error(&path))?,
            readers: Readers::new(path),
            directory,
        })
    }

    /// Appends a batch of events; it is on disk when this returns.
    pub(crate) async fn append(&self, append: Append) -> Result<()> {
        self.writer.append(append).await
    }

    /// Runs `work` in the writer's next transaction; what it did is on disk when this returns.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.write(work).await
    }

    /// Runs `work` on a connection that only reads, away from the caller's thread.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.readers.read(work).await
    }

    /// Whether what is written would stay: as long as commits succeed, without a write of its own.
    pub(crate) async fn is_writable(&self) -> Result<()> {
        if self.writer.is_well() {
            return Ok(());
        }
        // It may have recovered since, for which somebody has to try.
        self.write(outbox::probe).await
    }

    /// Lets the writer finish what it has taken, and gives the directory up; later reads and writes fail.
    pub(crate) async fn close(&self) {
        self.writer.close().await;
        self.readers.close();
        if let Err(error) = self.directory.lock.unlock() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot unlock the data directory"
            );
        }
    }
}

/// A moment as it is stored: milliseconds since 1970.
fn to_ms(moment: DateTime<Utc>) -> i64 {
    moment.timestamp_millis()
}

/// The moment of stored milliseconds, which came from one.
fn from_ms(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File {
        path: path.clone(),
        source: Arc::new(source),
    }
}

/// Drops every execution and state machine of a data directory.
pub(crate) fn reset(directory: &DataDir) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let path = directory.path.join(format!("{FILE}{suffix}"));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file_error(&path)(error)),
            _ => {}
        }
    }
    Ok(())
}
