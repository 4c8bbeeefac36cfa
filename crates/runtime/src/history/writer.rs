//! The one thread that writes: group commit.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{Append, Error, Faults, Result, log};
use crate::checkpoint::Checkpoints;

/// Requests that share one commit. Past some hundred the fsync's share of each is small, and a larger group only makes
/// the first of it wait longer.
const MAX_GROUP: usize = 512;

/// Requests waiting for the writer; senders beyond wait themselves. Two groups: one being written, one gathering.
const QUEUE: usize = 2 * MAX_GROUP;

/// Pages that the write-ahead log grows to before it is copied into the database: 16 MiB of 4 KiB pages, so that a
/// burst of small commits is copied once and not page by page.
const CHECKPOINT_PAGES: u16 = 4_000;

/// Tells the outcome to whoever asked, after the commit.
type Answer = Box<dyn FnOnce(Result<()>) + Send>;

/// Writes, or learns why it cannot, and says what that came to and who is to be told.
type Work = Box<dyn FnOnce(Result<&Connection>) -> (Result<()>, Answer) + Send>;

enum Request {
    Append(Box<Append>, oneshot::Sender<Result<()>>),
    /// Any other change. It answers for itself, for what it returns is its own.
    Work(Work),
    Close,
}

pub(super) struct Writer {
    requests: mpsc::Sender<Request>,
    /// Whether the last commit succeeded.
    well: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread that writes to the database at `path`.
    pub(super) fn start(connection: Connection, path: PathBuf, faults: Faults) -> std::io::Result<Self> {
        let (requests, queue) = mpsc::channel(QUEUE);
        let well = Arc::new(AtomicBool::new(true));
        let checkpoints = Checkpoints::start(path, CHECKPOINT_PAGES)?;
        let thread = std::thread::Builder::new().name("history-writer".to_owned()).spawn({
            let well = well.clone();
            move || run(connection, checkpoints, queue, faults, &well)
        })?;
        Ok(Self {
            requests,
            well,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) fn is_well(&self) -> bool {
        self.well.load(Ordering::Relaxed) && !self.requests.is_closed()
    }

    pub(super) async fn append(&self, append: Append) -> Result<()> {
        let (answer, outcome) = oneshot::channel();
        let request = Request::Append(Box::new(append), answer);
        self.requests.send(request).await.map_err(|_| Error::Closed)?;
        outcome.await.map_err(|_| Error::Closed)?
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, outcome) = oneshot::channel();
        let request = Request::Work(Box::new(move |connection| {
            let (result, value) = match connection.and_then(work) {
                Ok(value) => (Ok(()), Some(value)),
                Err(error) => (Err(error), None),
            };
            let reply: Answer = Box::new(move |committed| {
                let reply = committed.and_then(|()| value.ok_or(Error::Closed));
                // Nobody waits any more: the change stands all the same.
                let _ = answer.send(reply);
            });
            (result, reply)
        }));
        self.requests.send(request).await.map_err(|_| Error::Closed)?;
        outcome.await.map_err(|_| Error::Closed)?
    }

    pub(super) async fn close(&self) {
        // A writer that is gone already cannot be told.
        let _ = self.requests.send(Request::Close).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

/// Takes what has arrived, commits it as one, answers; until closed.
fn run(
    mut connection: Connection,
    mut checkpoints: Checkpoints,
    mut queue: mpsc::Receiver<Request>,
    faults: Faults,
    well: &AtomicBool,
) {
    let mut closing = false;
    while !closing && let Some(first) = queue.blocking_recv() {
        let mut group = Vec::with_capacity(MAX_GROUP);
        group.push(first);
        while group.len() < MAX_GROUP
            && let Ok(request) = queue.try_recv()
        {
            group.push(request);
        }
        closing = group.iter().any(|request| matches!(request, Request::Close));
        let mut group = group.into_iter();
        let mut answers = Vec::with_capacity(group.len());
        let committed = commit(&mut connection, &mut group, &mut answers, &faults);
        if faults.has_crashed() {
            return;
        }
        well.store(committed.is_ok(), Ordering::Relaxed);
        if let Err(error) = &committed {
            tracing::error!(error = error as &dyn std::error::Error, "cannot write the history");
            // The rest of the group shares the fate of the transaction.
            answers.extend(group.filter_map(|request| request.refuse(error)));
        }
        for (written, answer) in answers {
            answer(committed.clone().and(written));
        }
        checkpoints.after_commit(&connection);
    }
}

/// Writes a group in one transaction. What each request came to is in `answers`, and holds if the whole is committed.
fn commit(
    connection: &mut Connection,
    group: &mut std::vec::IntoIter<Request>,
    answers: &mut Vec<(Result<()>, Answer)>,
    faults: &Faults,
) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for request in group {
        match request {
            Request::Append(append, answer) => {
                let written = log::append(&transaction, &append);
                let failed = written.as_ref().err().filter(|error| !error.is_refusal()).cloned();
                answers.push((written, Box::new(|outcome| drop(answer.send(outcome)))));
                if let Some(error) = failed {
                    return Err(error);
                }
            }
            Request::Work(work) => {
                transaction.execute_batch("SAVEPOINT work")?;
                let (written, answer) = work(Ok(&transaction));
                let end = match &written {
                    Ok(()) => "RELEASE work",
                    Err(_) => "ROLLBACK TO work; RELEASE work",
                };
                answers.push((written, answer));
                transaction.execute_batch(end)?;
            }
            Request::Close => {}
        }
    }
    faults.before_commit()?;
    transaction.commit()?;
    Ok(())
}

impl Request {
    /// The answer to a request that was not even tried, because of `error`.
    fn refuse(self, error: &Error) -> Option<(Result<()>, Answer)> {
        match self {
            Self::Append(_, answer) => Some((Ok(()), Box::new(|outcome| drop(answer.send(outcome))))),
            Self::Work(work) => Some(work(Err(error.clone()))),
            Self::Close => None,
        }
    }
}
