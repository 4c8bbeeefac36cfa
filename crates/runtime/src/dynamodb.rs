//! DynamoDB: `dynoxide` on a SQLite file, behind our own listener.
//!
//! One thread writes and a few read, none of them a tokio worker. The writer takes every request that has arrived and
//! runs them in one SQLite transaction, each in a savepoint of its own, so that they share one fsync; each is answered
//! after it. Readers see committed states only, which are on disk by then: every read is strongly consistent, and no
//! read waits for a disk.
//!
//! | file | holds |
//! |---|---|
//! | `operation` | the operations: a body in, a typed request, a body out |
//! | `writer`, `reader` | the threads |
//! | `tokens` | what makes a repeated `ClientRequestToken` harmless |
//! | `tables` | the tables of the template: created when missing, compared when there |
//! | `expiry` | Time to Live, and what else grows old |

mod expiry;
mod operation;
mod reader;
mod tables;
mod tokens;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dynoxide::DynoxideError;
use dynoxide::storage::Storage;
use tokio::sync::{mpsc, oneshot};

use self::operation::{Kind, Outcome, Work};
use crate::aws::{Answer, Answering, JSON_1_0, Service};
use crate::checkpoint::Checkpoints;
use crate::clock::Clock;

pub use self::tables::Table;

/// How many requests may wait for the writer: four full batches, beyond which callers wait instead of memory growing.
const WRITE_QUEUE: usize = 1024;

/// How many requests may wait for the readers.
const READ_QUEUE: usize = 1024;

/// How many threads read: one may be held up by a long Query while the other serves the short ones.
const READERS: usize = 2;

/// How long a probe may take before the store counts as unwell.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the store could not be opened, or reset.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not open the DynamoDB file {path}")]
    Open {
        path: PathBuf,
        #[source]
        source: DynoxideError,
    },
    #[error("the path {0} is not UTF-8")]
    Path(PathBuf),
    #[error("could not start a DynamoDB thread")]
    Thread(#[source] std::io::Error),
    #[error("table {table}: {reason}")]
    Definition { table: String, reason: String },
    #[error("table {table} was made with another {part}: it is {stored}, the template has {wanted}")]
    Changed {
        table: String,
        part: &'static str,
        stored: String,
        wanted: String,
    },
    #[error("could not {action} table {table}")]
    Table {
        action: &'static str,
        table: String,
        #[source]
        source: DynoxideError,
    },
    #[error("the DynamoDB store is unwell: {0}")]
    Unwell(String),
}

/// What has been asked of the store since it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Requests answered, by operation.
    pub requests: BTreeMap<String, u64>,
    /// Read capacity units that AWS would have charged.
    pub read_units: f64,
    /// Write capacity units that AWS would have charged, index writes included.
    pub write_units: f64,
    /// Transactions committed: `write requests / commits` share one fsync.
    pub commits: u64,
}

/// A handle to the store; clones share it. Its threads end with the last one.
#[derive(Clone)]
pub struct DynamoDb {
    shared: Arc<Shared>,
}

struct Shared {
    writes: mpsc::Sender<Job>,
    reads: mpsc::Sender<Job>,
    tables: Vec<Table>,
    clock: Clock,
    stats: Mutex<Stats>,
    commits: Arc<AtomicU64>,
}

/// One request on its way to a thread, and where its outcome goes.
struct Job {
    work: Work,
    answer: oneshot::Sender<Outcome>,
}

impl DynamoDb {
    /// Opens the store in the file `path` and makes what is missing of `tables`.
    ///
    /// Blocks on the disk. Tables that are there keep their items; one whose keys or indexes differ from its
    /// definition is an error, never a silent change.
    pub fn open(path: &Path, tables: &[Table], clock: Clock) -> Result<Self, Error> {
        let file = path.to_str().ok_or_else(|| Error::Path(path.to_owned()))?.to_owned();
        let failed = |source| Error::Open {
            path: path.to_owned(),
            source,
        };
        let storage = open_storage(&file, &clock).map_err(failed)?;
        writer::prepare(&storage).map_err(|source| failed(source.into()))?;
        let commits = Arc::new(AtomicU64::new(0));
        let schema = Arc::new(AtomicU64::new(0));
        let reopen = {
            let clock = clock.clone();
            Arc::new(move || open_storage(&file, &clock))
        };
        let (writes, write_queue) = mpsc::channel(WRITE_QUEUE);
        let (reads, read_queue) = mpsc::channel(READ_QUEUE);
        let mut writer = writer::Writer::new(storage, reopen.clone(), schema.clone(), commits.clone())
            .map_err(|source| failed(source.into()))?;
        // In one transaction: a table is there with all of its indexes, or not at all.
        let mut made = Ok(());
        let set_up = writer.enclose(|storage| {
            made = tables::ensure(storage, tables);
            match &made {
                Ok(()) => expiry::index(storage),
                Err(error) => Err(DynoxideError::InternalServerError(error.to_string())),
            }
        });
        made?;
        set_up.map_err(failed)?;
        let checkpoints = Checkpoints::start(path.to_owned(), writer::CHECKPOINT_PAGES).map_err(Error::Thread)?;
        spawn("dynamodb-writer", move || writer.run(checkpoints, write_queue))?;
        let read_queue = Arc::new(Mutex::new(read_queue));
        for n in 0..READERS {
            let reader = reader::Reader::new(reopen.clone(), schema.clone()).map_err(failed)?;
            let queue = read_queue.clone();
            spawn(&format!("dynamodb-reader-{n}"), move || reader.run(&queue))?;
        }
        let shared = Shared {
            writes,
            reads,
            tables: tables.to_vec(),
            clock,
            stats: Mutex::default(),
            commits,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Performs one operation of the DynamoDB API.
    pub async fn handle(&self, operation: &str, body: Bytes) -> Answer {
        let prepared = match operation::prepare(operation, &body, self.shared.clock.now()) {
            None => return Answer::unknown_operation(JSON_1_0),
            Some(prepared) => prepared,
        };
        let outcome = match prepared {
            Ok(work) => self.perform(work).await,
            Err(error) => Err(error),
        };
        self.count(operation, &outcome);
        match outcome {
            Ok(reply) => Answer {
                status: 200,
                content_type: JSON_1_0,
                body: reply.body,
            },
            Err(error) => refuse(operation, &error),
        }
    }

    async fn perform(&self, work: Work) -> Outcome {
        self.submit(work)
            .await
            .await
            .unwrap_or_else(|_| Err(DynoxideError::InternalServerError("the store has stopped".to_owned())))
    }

    /// Queues `work`; the outcome follows, or never if the store has stopped.
    async fn submit(&self, work: Work) -> oneshot::Receiver<Outcome> {
        let queue = match work.kind {
            Kind::Read => &self.shared.reads,
            Kind::Write | Kind::Schema | Kind::OwnTransactions => &self.shared.writes,
        };
        let (answer, outcome) = oneshot::channel();
        // Refused only when the thread has ended; the job then takes its sender with it.
        let _ = queue.send(Job { work, answer }).await;
        outcome
    }

    fn count(&self, operation: &str, outcome: &Outcome) {
        let mut stats = self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        match stats.requests.get_mut(operation) {
            Some(requests) => *requests += 1,
            None => drop(stats.requests.insert(operation.to_owned(), 1)),
        }
        if let Ok(reply) = outcome {
            stats.read_units += reply.read_units;
            stats.write_units += reply.write_units;
        }
    }

    /// What has been asked of the store so far.
    pub fn stats(&self) -> Stats {
        let stats = self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        Stats {
            commits: self.shared.commits.load(Ordering::Relaxed),
            ..stats.clone()
        }
    }

    /// Finds out whether every thread still answers, by a GetItem of each table on both sides.
    pub async fn probe(&self) -> Result<(), Error> {
        for table in &self.shared.tables {
            for kind in [Kind::Read, Kind::Write] {
                let work = operation::probe(table, kind)?;
                match tokio::time::timeout(PROBE_TIMEOUT, self.perform(work)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return Err(Error::Unwell(error.to_string())),
                    Err(_) => return Err(Error::Unwell(format!("no answer within {PROBE_TIMEOUT:?}"))),
                }
            }
        }
        Ok(())
    }

    /// Drops every table, with its items, and makes the template's anew.
    pub async fn reset(&self) -> Result<(), Error> {
        let tables = self.shared.tables.clone();
        let work = Work::schema(move |storage| tables::reset(storage, &tables));
        match self.perform(work).await {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::Table {
                action: "reset",
                table: "all".to_owned(),
                source,
            }),
        }
    }

    /// Deletes what has expired, now and every minute; never returns.
    pub async fn keep_house(&self) {
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(error = %error, "could not delete what has expired");
            }
            let next = self.shared.clock.now() + expiry::PERIOD;
            self.shared.clock.sleep_until(next).await;
        }
    }
}

impl Service for DynamoDb {
    fn handle<'a>(&'a self, operation: &'a str, body: Bytes) -> Answering<'a> {
        Box::pin(self.handle(operation, body))
    }
}

fn refuse(operation: &str, error: &DynoxideError) -> Answer {
    let status = error.status_code();
    if status == 500 {
        // What SQLite says is for the log; the caller learns what AWS would say.
        tracing::error!(operation, %error, "DynamoDB request failed");
        let code = "com.amazonaws.dynamodb.v20120810#InternalServerError";
        return Answer::error(JSON_1_0, 500, code, "Internal server error");
    }
    Answer {
        status,
        content_type: JSON_1_0,
        body: Bytes::from(error.to_json()),
    }
}

fn open_storage(file: &str, clock: &Clock) -> Result<Storage, DynoxideError> {
    let storage = Storage::new(file)?.with_clock(Arc::new(expiry::StoreClock(clock.clone())));
    writer::tune(&storage)?;
    Ok(storage)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(run).map(drop).map_err(Error::Thread)
}

#[cfg(test)]
mod tests;
