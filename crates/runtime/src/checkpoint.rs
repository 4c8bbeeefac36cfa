//! Copies a write-ahead log into its database beside the thread that writes, so that no commit waits for it.
//!
//! SQLite by itself copies within the commit that made the log long enough: that one, and all that wait behind it, then
//! wait for megabytes. Here a thread with a connection of its own copies while others commit. What they have committed
//! meanwhile, a fraction, the writer copies itself between two commits, and with nothing left to copy the next commit
//! begins the log anew.

use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

/// A log that is so many times as long as it should be makes commits wait for the copy: a disk that is too slow for
/// what is written must not fill with the log.
const MAX_LENGTHS: i32 = 16;

/// How much of a log's file is kept when it begins anew: more than it usually has, so that it seldom has to grow again.
const LOG_BYTES_KEPT: u32 = 64 << 20;

/// Passes of a copy beside the writer: the second is of what was committed during the first, and leaves little.
const PASSES: usize = 2;

thread_local! {
    /// Pages in the log after the last commit of this thread: SQLite tells them to a function without state.
    static LOGGED: Cell<i32> = const { Cell::new(0) };
}

/// The copies of one database; of the one thread that writes to it.
pub(crate) struct Checkpoints {
    /// Pages (4 KiB) that the log holds before it is copied.
    length: i32,
    begin: Option<SyncSender<()>>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    is_copying: bool,
    /// Pages of the log that are in the database, if it has not begun anew since.
    copied: i32,
}

impl Checkpoints {
    /// Starts the thread that copies the log of the database at `path` whenever it is `length` pages long.
    pub(crate) fn start(path: PathBuf, length: u16) -> Self {
        // There is never more than one copy asked for.
        let (begin, wanted) = sync_channel(1);
        let (ended, done) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || copy_whenever(&path, &wanted, &ended))
            .expect("a process can start one more thread");
        Self {
            length: length.into(),
            begin: Some(begin),
            done,
            thread: Some(thread),
            is_copying: false,
            copied: 0,
        }
    }

    /// Leaves the copying of what `writer` commits to [`Self::after_commit`].
    pub(crate) fn take_over(writer: &Connection) -> rusqlite::Result<()> {
        writer.pragma_update(None, "wal_autocheckpoint", 0)?;
        writer.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
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
        let length = logged - self.copied;
        let has_ended = if self.is_copying {
            let ended = match MAX_LENGTHS * self.length <= length {
                true => self.done.recv().map_err(|_| TryRecvError::Disconnected),
                false => self.done.try_recv(),
            };
            // Of a thread that is gone nothing more is to come.
            ended != Err(TryRecvError::Empty)
        } else if self.length <= length {
            self.is_copying = self.begin.as_ref().is_some_and(|begin| begin.try_send(()).is_ok());
            !self.is_copying
        } else {
            false
        };
        if has_ended {
            self.is_copying = false;
            copy(writer);
            self.copied = logged;
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.begin = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and a panic in it has been reported.
            let _ = thread.join();
        }
    }
}

fn copy_whenever(path: &Path, wanted: &Receiver<()>, ended: &SyncSender<()>) {
    let mut database = None;
    while wanted.recv().is_ok() {
        if database.is_none() {
            database = open(path)
                .inspect_err(
                    |error| tracing::error!(%error, path = %path.display(), "cannot open a database to copy its log"),
                )
                .ok();
        }
        if let Some((connection, file)) = &database {
            for _ in 0..PASSES {
                copy(connection);
                if let Err(error) = file.sync_data() {
                    tracing::error!(%error, path = %path.display(), "cannot write a database to its disk");
                }
            }
        }
        if ended.send(()).is_err() {
            return;
        }
    }
}

/// The database, and its file: SQLite has its copy of a log written to the disk only if the log has not grown
/// meanwhile, so that the writer, who finds it so, would wait for all of it.
///
/// The file is held as long as the thread lives, for with it go all locks of this process: by then nobody writes any more,
/// and the lock of the data directory keeps other processes out.
fn open(path: &Path) -> Result<(Connection, File), Box<dyn std::error::Error>> {
    Ok((Connection::open(path)?, File::open(path)?))
}

/// Copies what is committed and no reader of an older state is in the way of, without waiting for anybody.
fn copy(connection: &Connection) {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = copied {
        // The log has it all, and the next copy begins where this one ended.
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
        let mut checkpoints = Checkpoints::start(helped.to_owned(), LENGTH);
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
}
