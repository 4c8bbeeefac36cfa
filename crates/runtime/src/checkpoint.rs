//! Copies a write-ahead log into its database beside the thread that writes, so that no commit waits for it.
//!
//! SQLite by itself copies within the commit that made the log long enough: that one, and all that wait behind it, then
//! wait for megabytes. Here a thread with a connection of its own copies while others commit. What they have committed
//! meanwhile, a fraction, the writer copies itself between two commits, and with nothing left to copy the next commit
//! begins the log anew.
//!
//! The thread never begins a copy of a log that may be copied entirely: SQLite before 3.51.3 may take a log that begins
//! anew in that moment for the one before, and leave commits out. It is asked once for each log, by the writer, when
//! nothing of it is copied; until it is done, the log cannot begin anew.

use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, OpenFlags};

/// A log that is so many times as long as it should be makes commits wait for the copy: a disk that is too slow for
/// what is written must not fill with the log.
const MAX_LENGTHS: i32 = 16;

/// The share of its length by which a log grows that is copied, and that a reader of an older state keeps from beginning
/// anew, before the writer tries again.
const RETRIES: i32 = 16;

/// How much of a log's file is kept when it begins anew: more than it usually has, so that it seldom has to grow again.
const LOG_BYTES_KEPT: u32 = 64 << 20;

thread_local! {
    /// Pages in the log after the last commit of this thread: SQLite tells them to a function without state.
    static LOGGED: Cell<i32> = const { Cell::new(0) };
}

/// The copies of one database; of the one thread that writes to it.
pub(crate) struct Checkpoints {
    /// Pages (4 KiB) that the log holds before it is copied.
    length: i32,
    ask: Option<SyncSender<()>>,
    answer: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    is_copying: bool,
    /// Pages that the log had when the writer last copied, 0 if it has begun anew since.
    copied: i32,
}

impl Checkpoints {
    /// Starts the thread that copies the log of the database at `path` whenever it is `length` pages long.
    pub(crate) fn start(path: PathBuf, length: u16) -> std::io::Result<Self> {
        // There is never more than one copy asked for.
        let (ask, asked) = sync_channel(1);
        let (done, answer) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || copy_whenever_asked(&path, &asked, &done))?;
        Ok(Self {
            length: length.into(),
            ask: Some(ask),
            answer,
            thread: Some(thread),
            is_copying: false,
            copied: 0,
        })
    }

    /// Leaves the copying of what `writer` commits to [`Self::after_commit`], instead of to the commits themselves.
    pub(crate) fn take_over(writer: &Connection) -> rusqlite::Result<()> {
        writer.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
        // In the place of SQLite's own, which copies.
        writer.wal_hook(Some(|_, pages| {
            LOGGED.set(pages);
            Ok(())
        }));
        Ok(())
    }

    /// To be called on the thread that commits, when whom it was for has been answered.
    pub(crate) fn after_commit(&mut self, writer: &Connection) {
        let logged = LOGGED.get();
        if logged < self.copied {
            self.copied = 0;
        }
        let is_its_turn = if self.is_copying {
            let answer = match MAX_LENGTHS * self.length <= logged {
                true => self.answer.recv().map_err(|_| TryRecvError::Disconnected),
                false => self.answer.try_recv(),
            };
            // Of a thread that is gone nothing more is to come.
            answer != Err(TryRecvError::Empty)
        } else if 0 < self.copied {
            self.length / RETRIES <= logged - self.copied
        } else if self.length <= logged {
            self.is_copying = self.ask.as_ref().is_some_and(|ask| ask.try_send(()).is_ok());
            !self.is_copying
        } else {
            false
        };
        if is_its_turn {
            self.is_copying = false;
            copy(writer);
            self.copied = logged;
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and a panic in it has been reported.
            let _ = thread.join();
        }
    }
}

fn copy_whenever_asked(path: &Path, asked: &Receiver<()>, done: &SyncSender<()>) {
    let mut database = None;
    while asked.recv().is_ok() {
        if database.is_none() {
            database = open(path)
                .inspect_err(
                    |error| tracing::error!(%error, path = %path.display(), "cannot open a database to copy its log"),
                )
                .ok();
        }
        if let Some((connection, file)) = &database {
            copy(connection);
            if let Err(error) = file.sync_data() {
                // What the disk has lost counts as copied, and only a start anew copies the whole log again.
                tracing::error!(%error, path = %path.display(), "a disk does not keep what is written to it: ending at once");
                std::process::abort();
            }
        }
        if done.send(()).is_err() {
            return;
        }
    }
}

/// The database, and its file: SQLite has its copy of a log written to the disk only if the log has not grown
/// meanwhile, so that the writer, who finds it so, would wait for all of it.
///
/// With the file go all locks of this process on it, so it is held until the writer ends: SQLite takes them against other
/// programs alone, and then nothing is written here any more.
fn open(path: &Path) -> Result<(Connection, File), Box<dyn std::error::Error>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok((Connection::open_with_flags(path, flags)?, File::open(path)?))
}

/// Copies what is committed and no reader of an older state is in the way of, without waiting for anybody.
fn copy(connection: &Connection) {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = copied {
        // The log has it all, and the next copy begins where the last one ended.
        tracing::error!(%error, "cannot copy a write-ahead log into its database");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: u16 = 64;

    fn writer(path: &Path) -> Connection {
        let connection = Connection::open(path).expect("a database");
        let wal: String = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
            .expect("a mode");
        assert_eq!(wal, "wal");
        Checkpoints::take_over(&connection).expect("a hook");
        connection
            .execute_batch("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)")
            .expect("a table");
        connection
    }

    fn write(connection: &Connection) {
        connection
            .execute("INSERT INTO rows (body) VALUES (zeroblob(3000))", [])
            .expect("a row");
    }

    fn count(connection: &Connection) -> u64 {
        let count = connection.query_row("SELECT count(*) FROM rows", [], |row| row.get(0));
        count.expect("a number")
    }

    /// Writes until the log has begun anew a few times, with the help of a thread that looks for the database at `helped`.
    fn play(directory: &Path, helped: &Path) {
        let path = directory.join("rows.db");
        let connection = writer(&path);
        let mut checkpoints = Checkpoints::start(helped.to_owned(), LENGTH).expect("a thread");
        let most = (MAX_LENGTHS + 1) * i32::from(LENGTH);
        let (mut rows, mut begun_anew) = (0, 0);
        while begun_anew < 5 {
            let before = LOGGED.get();
            write(&connection);
            assert!(LOGGED.get() <= most, "{} pages", LOGGED.get());
            if LOGGED.get() < before {
                begun_anew += 1;
                // What the log has dropped is in the database alone.
                let alone = directory.join("alone.db");
                std::fs::copy(&path, &alone).expect("a copy");
                assert_eq!(count(&Connection::open(&alone).expect("a database")), rows);
            }
            rows += 1;
            checkpoints.after_commit(&connection);
        }
        drop((checkpoints, connection));
        assert_eq!(count(&Connection::open(&path).expect("a database")), rows);
    }

    #[test]
    fn the_log_begins_anew_again_and_again_and_no_row_is_lost() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        play(directory.path(), &directory.path().join("rows.db"));
    }

    #[test]
    fn a_log_is_copied_even_if_nobody_can_help() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        play(directory.path(), directory.path());
    }

    #[test]
    fn a_log_that_a_reader_held_begins_anew_soon_after_it_has_left() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("rows.db");
        let connection = writer(&path);
        let mut checkpoints = Checkpoints::start(path.clone(), LENGTH).expect("a thread");
        let mut step = || {
            let before = LOGGED.get();
            write(&connection);
            checkpoints.after_commit(&connection);
            before < LOGGED.get()
        };
        let reader = Connection::open(&path).expect("a database");
        reader.execute_batch("BEGIN").expect("a transaction");
        assert_eq!(count(&reader), 0);
        while LOGGED.get() < 3 * MAX_LENGTHS * i32::from(LENGTH) {
            assert!(step(), "it begins anew under a reader");
        }
        assert_eq!(count(&reader), 0);
        drop(reader);
        let left = LOGGED.get();
        while step() {
            assert!(
                LOGGED.get() - left <= i32::from(LENGTH),
                "it goes on for {} pages",
                LOGGED.get() - left
            );
        }
    }
}
