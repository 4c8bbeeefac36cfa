//! The tables, and the guard that no file of a newer version is touched.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{Error, Result, log};
use crate::checkpoint::Checkpoints;

/// The version that this code writes, in `PRAGMA user_version`; 0 is an empty file.
const VERSION: i64 = 5;

/// The version that first wrote down which execution runs a Map Run.
const MAP_RUNS: i64 = 5;

/// How much of the file readers have mapped, so that a page need not be copied to be read: all of a history of some
/// hundred thousand executions.
const MAPPED_BYTES: i64 = 1 << 30;

/// Statements that each connection keeps compiled; more than there are different ones.
const CACHED_STATEMENTS: usize = 64;

/// How the tables came about: the step at index `n` leads from version `n` to `n + 1`.
const MIGRATIONS: &[&str] = &[
    "
    -- A number is never given again: executions of a deleted machine keep theirs.
    CREATE TABLE state_machines (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        arn TEXT NOT NULL,
        name TEXT NOT NULL,
        type INTEGER NOT NULL,
        status INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        revision INTEGER NOT NULL
    );
    CREATE TABLE revisions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        machine INTEGER NOT NULL,
        revision_id TEXT NOT NULL,
        definition TEXT NOT NULL,
        role_arn TEXT NOT NULL,
        settings TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    );
    CREATE INDEX revisions_of ON revisions (machine);

    -- Ids follow the order of starts, so an index that ends in the id lists newest first.
    CREATE TABLE executions (
        id INTEGER PRIMARY KEY,
        machine INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        name TEXT NOT NULL,
        status INTEGER NOT NULL,
        start_ms INTEGER NOT NULL,
        stop_ms INTEGER,
        last_event INTEGER NOT NULL,
        due_ms INTEGER,
        pending INTEGER NOT NULL,
        redrive_count INTEGER NOT NULL,
        redrive_ms INTEGER,
        redrive_token TEXT
    );
    CREATE UNIQUE INDEX executions_name ON executions (machine, name);
    CREATE INDEX executions_status ON executions (machine, status);
    CREATE INDEX executions_redriven ON executions (machine, status) WHERE 0 < redrive_count;
    CREATE INDEX executions_due ON executions (due_ms) WHERE due_ms IS NOT NULL;
    CREATE INDEX executions_pending ON executions (pending) WHERE pending;

    -- The key is the execution's id and the number of events before the batch: see log.rs.
    CREATE TABLE log (key INTEGER PRIMARY KEY, events BLOB NOT NULL);

    CREATE TABLE tokens (
        token TEXT PRIMARY KEY,
        execution INTEGER NOT NULL,
        scheduled INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX tokens_of ON tokens (execution);

    CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, event BLOB NOT NULL);
",
    "
    -- Numbers of versions are never given again, even if the version is deleted.
    ALTER TABLE state_machines ADD COLUMN last_version INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE versions (
        machine INTEGER NOT NULL,
        number INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        description TEXT,
        created_ms INTEGER NOT NULL,
        PRIMARY KEY (machine, number)
    ) WITHOUT ROWID;
    -- The version that an execution was started by, if it was by one.
    ALTER TABLE executions ADD COLUMN version INTEGER;
    CREATE INDEX executions_version ON executions (machine, version, status) WHERE version IS NOT NULL;

    CREATE TABLE activities (
        arn TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        tags TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
",
    "
    -- What a list shows of an execution without reading its log: where its flow is and how often that was tried, when
    -- a failed state is begun anew, how it failed, what it is about, and the ARN of the execution that started it.
    ALTER TABLE executions ADD COLUMN state TEXT;
    ALTER TABLE executions ADD COLUMN tries INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE executions ADD COLUMN retry_ms INTEGER;
    ALTER TABLE executions ADD COLUMN error TEXT;
    ALTER TABLE executions ADD COLUMN subject TEXT;
    ALTER TABLE executions ADD COLUMN parent TEXT;
    CREATE INDEX executions_retrying ON executions (machine) WHERE retry_ms IS NOT NULL;
",
    "
    CREATE TABLE aliases (
        machine INTEGER NOT NULL,
        name TEXT NOT NULL,
        description TEXT,
        routes TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        PRIMARY KEY (machine, name)
    ) WITHOUT ROWID;
    -- The alias that an execution was started by, if it was by one.
    ALTER TABLE executions ADD COLUMN alias TEXT;
    CREATE INDEX executions_alias ON executions (machine, alias, status) WHERE alias IS NOT NULL;

    -- Tasks that wait for a worker of their activity, in the order in which they were scheduled.
    CREATE TABLE activity_tasks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        activity TEXT NOT NULL,
        execution INTEGER NOT NULL,
        scheduled INTEGER NOT NULL
    );
    CREATE INDEX activity_tasks_queue ON activity_tasks (activity, id);
    CREATE UNIQUE INDEX activity_tasks_of ON activity_tasks (execution, scheduled);
",
    "
    -- Which execution runs a Map Run.
    CREATE TABLE map_runs (arn TEXT PRIMARY KEY, execution INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX map_runs_of ON map_runs (execution);
",
];

/// Opens the file for writing, brings its tables up to date and makes sure that a commit is safe on disk.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if VERSION < found {
        return Err(Error::Newer {
            path: path.to_owned(),
            found,
            known: VERSION,
        });
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Checkpoints::take_over(&connection)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    assert_safe(path, &connection)?;
    for (version, step) in (1..).zip(MIGRATIONS).skip(found.max(0) as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        if version == MAP_RUNS {
            log::find_map_runs(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(connection)
}

/// A connection that can only read.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "mmap_size", MAPPED_BYTES)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

/// A file system that cannot keep a write-ahead log makes SQLite fall back in silence.
fn assert_safe(path: &Path, connection: &Connection) -> Result<()> {
    let unsafe_pragma = |pragma, found| Error::Unsafe {
        path: path.to_owned(),
        pragma,
        found,
    };
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(unsafe_pragma("journal_mode", mode));
    }
    let full = 2;
    let synchronous: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
    if synchronous != full {
        return Err(unsafe_pragma("synchronous", synchronous.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use asl::{Event, EventKind};
    use chrono::DateTime;

    use super::*;
    use crate::history::{ExecutionId, encode, executions};

    #[test]
    fn a_file_of_the_first_version_is_brought_up_to_date_with_what_is_in_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("history.db");
        let old = Connection::open(&path).expect("a new file");
        old.execute_batch(MIGRATIONS[0]).expect("the first version's tables");
        old.execute_batch(
            "INSERT INTO state_machines VALUES (1, 'arn', 'm', 0, 0, 0, 1);
             INSERT INTO executions VALUES (7, 1, 1, 'one', 0, 0, NULL, 1, NULL, 0, 0, NULL, NULL);
             PRAGMA user_version = 1;",
        )
        .expect("rows of the first version");
        drop(old);

        let connection = open(&path).expect("the file is taken over");
        let found: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .expect("a version");
        assert_eq!(found, VERSION);
        let row = executions::get(&connection, ExecutionId(7)).expect("a readable row");
        let row = row.expect("the execution is still there");
        assert_eq!((&*row.name, row.version), ("one", None));
        let last: u32 = connection
            .query_row("SELECT last_version FROM state_machines", [], |row| row.get(0))
            .expect("the machine is still there");
        assert_eq!(last, 0);
    }
    #[test]
    fn the_map_runs_of_old_executions_are_found() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("history.db");
        let old = Connection::open(&path).expect("a new file");
        for step in &MIGRATIONS[..3] {
            old.execute_batch(step).expect("the tables of the third version");
        }
        old.execute_batch(
            r#"INSERT INTO revisions VALUES (1, 1, 'r', '{"Mode": "DISTRIBUTED"}', 'role', '{}', 0);
             INSERT INTO revisions VALUES (2, 1, 's', '{}', 'role', '{}', 0);
             INSERT INTO executions (id, machine, revision, name, status, start_ms, last_event, pending, redrive_count)
             VALUES
             (7, 1, 1, 'one', 0, 0, 1, 0, 0), (8, 1, 1, 'broken', 0, 0, 1, 0, 0), (9, 1, 2, 'other', 0, 0, 1, 0, 0);
             INSERT INTO log VALUES (8 << 24, x'5B');
             PRAGMA user_version = 3;"#,
        )
        .expect("rows of the third version");
        let started = Event {
            id: 1,
            previous: 0,
            time: DateTime::UNIX_EPOCH,
            frame: 0,
            kind: EventKind::MapRunStarted {
                arn: "run".into(),
                tolerance: Default::default(),
            },
        };
        old.execute("INSERT INTO log VALUES (7 << 24, ?1)", [encode(&[started])])
            .expect("a log");
        drop(old);

        let connection = open(&path).expect("the file is taken over");
        let found = log::map_run(&connection, "run").expect("a readable row");
        assert_eq!(found, Some(ExecutionId(7)));
    }
}
