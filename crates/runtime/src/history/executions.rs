//! The `executions` table: what lists, timers and the start-up need to know without reading a log.

use std::sync::Arc;

use asl::{Execution, Status};
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, ExecutionId, MachineId, Result, RevisionId, from_ms, log, to_ms};

/// How long a closed execution is kept and its name taken, as on AWS.
pub(crate) const RETENTION: TimeDelta = TimeDelta::days(90);

/// One execution as the table knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: ExecutionId,
    pub(crate) machine: MachineId,
    pub(crate) revision: RevisionId,
    /// The version of the machine that it was started by.
    pub(crate) version: Option<u32>,
    /// The alias of the machine that it was started by.
    pub(crate) alias: Option<Arc<str>>,
    pub(crate) name: Arc<str>,
    pub(crate) status: Status,
    pub(crate) started: DateTime<Utc>,
    pub(crate) stopped: Option<DateTime<Utc>>,
    pub(crate) redrive_count: u32,
    pub(crate) redriven: Option<DateTime<Utc>>,
    pub(crate) redrive_token: Option<Arc<str>>,
    pub(crate) last_event: asl::EventId,
    pub(crate) due: Option<DateTime<Utc>>,
    pub(crate) pending: bool,
    pub(crate) place: Place,
    /// What it is about, as the template tells.
    pub(crate) subject: Option<Arc<str>>,
    /// The ARN of the execution that started it.
    pub(crate) parent: Option<Arc<str>>,
}

/// Where an execution is, or stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The state of the state machine's own flow.
    pub(crate) state: Option<Arc<str>>,
    /// How often that was begun.
    pub(crate) tries: u32,
    /// When a state that failed is begun anew.
    pub(crate) retry: Option<DateTime<Utc>>,
    /// The name of the error that it ended with.
    pub(crate) error: Option<Arc<str>>,
}

impl Place {
    fn of(execution: &Execution) -> Self {
        let (state, tries) = execution.state().unzip();
        Self {
            state: state.cloned(),
            tries: tries.unwrap_or(1),
            retry: execution.retry_at(),
            error: execution.failure().error.clone(),
        }
    }
}

/// What stays the same for an execution's life.
pub(crate) struct NewExecution {
    pub(crate) machine: MachineId,
    pub(crate) revision: RevisionId,
    /// The version of the machine that it is started by.
    pub(crate) version: Option<u32>,
    /// The alias of the machine that it is started by.
    pub(crate) alias: Option<Arc<str>>,
    pub(crate) name: Arc<str>,
    pub(crate) subject: Option<Arc<str>>,
    pub(crate) parent: Option<Arc<str>>,
}

/// The part of a row that each batch writes anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: Status,
    pub(crate) started: DateTime<Utc>,
    pub(crate) stopped: Option<DateTime<Utc>>,
    pub(crate) last_event: asl::EventId,
    pub(crate) due: Option<DateTime<Utc>>,
    /// Whether a restart has to take the execution up at once, not only when it is due.
    pub(crate) pending: bool,
    pub(crate) redrive_count: u32,
    pub(crate) redriven: Option<DateTime<Utc>>,
    pub(crate) redrive_token: Option<Arc<str>>,
    pub(crate) place: Place,
}

impl Head {
    /// What an execution's row says after its history; `redriven` and the token are not part of the fold.
    pub(crate) fn of(execution: &Execution, redriven: Option<DateTime<Utc>>, redrive_token: Option<Arc<str>>) -> Self {
        Self {
            status: execution.status(),
            started: execution.started_at().unwrap_or_default(),
            stopped: execution.stopped_at(),
            last_event: execution.last_event(),
            due: execution.due(),
            pending: execution.is_runnable() || execution.tasks_since(asl::Mark::default()).any(asl::Task::is_owed),
            redrive_count: execution.redrive_count(),
            redriven,
            redrive_token,
            place: Place::of(execution),
        }
    }
}

#[cfg(test)]
impl From<Row> for Head {
    fn from(row: Row) -> Self {
        Self {
            status: row.status,
            started: row.started,
            stopped: row.stopped,
            last_event: row.last_event,
            due: row.due,
            pending: row.pending,
            redrive_count: row.redrive_count,
            redriven: row.redriven,
            redrive_token: row.redrive_token,
            place: row.place,
        }
    }
}

const STATUSES: [Status; 5] = [
    Status::Running,
    Status::Succeeded,
    Status::Failed,
    Status::TimedOut,
    Status::Aborted,
];

pub(super) const fn status_code(status: Status) -> i64 {
    match status {
        Status::Running => 0,
        Status::Succeeded => 1,
        Status::Failed => 2,
        Status::TimedOut => 3,
        Status::Aborted => 4,
    }
}

fn status_of(code: i64) -> rusqlite::Result<Status> {
    Ok(match code {
        0 => Status::Running,
        1 => Status::Succeeded,
        2 => Status::Failed,
        3 => Status::TimedOut,
        4 => Status::Aborted,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(4, other)),
    })
}

/// Adds the row of an execution that starts; a name that is taken is [`Error::NameTaken`], and nothing is written.
pub(super) fn insert(connection: &Connection, id: ExecutionId, new: &NewExecution, head: &Head) -> Result<()> {
    if insert_row(connection, id, new, head)? {
        return Ok(());
    }
    let taken = find(connection, new.machine, &new.name)?;
    let Some(taken) = taken else {
        return Err(rusqlite::Error::StatementChangedRows(0).into());
    };
    let expired = taken.stopped.is_some_and(|stopped| stopped + RETENTION <= head.started);
    if !expired {
        return Err(Error::NameTaken { id: taken.id });
    }
    // Retention has not come by yet. The log of the old one stays for it to find: only the name is freed.
    connection
        .prepare_cached("UPDATE executions SET name = name || '#' || id WHERE id = ?1")?
        .execute([taken.id.0])?;
    insert_row(connection, id, new, head)?;
    Ok(())
}

/// Whether the row could be added: `OR IGNORE` leaves the transaction as it was where the name is taken.
fn insert_row(connection: &Connection, id: ExecutionId, new: &NewExecution, head: &Head) -> Result<bool> {
    let inserted = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO executions (id, machine, revision, name, status, start_ms, stop_ms, last_event,
                 due_ms, pending, redrive_count, redrive_ms, redrive_token, version, state, tries, retry_ms, error,
                 subject, parent, alias)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
        )?
        .execute(params![
            id.0,
            new.machine.0,
            new.revision.0,
            new.name,
            status_code(head.status),
            to_ms(head.started),
            head.stopped.map(to_ms),
            head.last_event as i64,
            head.due.map(to_ms),
            head.pending,
            head.redrive_count,
            head.redriven.map(to_ms),
            head.redrive_token,
            new.version,
            head.place.state,
            head.place.tries,
            head.place.retry.map(to_ms),
            head.place.error,
            new.subject,
            new.parent,
            new.alias,
        ])?;
    Ok(inserted == 1)
}

pub(super) fn update(connection: &Connection, id: ExecutionId, head: &Head) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE executions SET status = ?2, stop_ms = ?3, last_event = ?4, due_ms = ?5, pending = ?6,
                 redrive_count = ?7, redrive_ms = ?8, redrive_token = ?9, state = ?10, tries = ?11, retry_ms = ?12,
                 error = ?13
             WHERE id = ?1",
        )?
        .execute(params![
            id.0,
            status_code(head.status),
            head.stopped.map(to_ms),
            head.last_event as i64,
            head.due.map(to_ms),
            head.pending,
            head.redrive_count,
            head.redriven.map(to_ms),
            head.redrive_token,
            head.place.state,
            head.place.tries,
            head.place.retry.map(to_ms),
            head.place.error,
        ])?;
    Ok(())
}

pub(super) const COLUMNS: &str = "id, machine, revision, name, status, start_ms, stop_ms, redrive_count, redrive_ms, \
     redrive_token, last_event, due_ms, pending, version, state, tries, retry_ms, error, subject, parent, alias";

pub(super) fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: ExecutionId(row.get(0)?),
        machine: MachineId(row.get(1)?),
        revision: RevisionId(row.get(2)?),
        name: row.get(3)?,
        status: status_of(row.get(4)?)?,
        started: from_ms(row.get(5)?),
        stopped: row.get::<_, Option<i64>>(6)?.map(from_ms),
        redrive_count: row.get(7)?,
        redriven: row.get::<_, Option<i64>>(8)?.map(from_ms),
        redrive_token: row.get(9)?,
        last_event: row.get::<_, i64>(10)? as asl::EventId,
        due: row.get::<_, Option<i64>>(11)?.map(from_ms),
        pending: row.get(12)?,
        version: row.get(13)?,
        place: Place {
            state: row.get(14)?,
            tries: row.get(15)?,
            retry: row.get::<_, Option<i64>>(16)?.map(from_ms),
            error: row.get(17)?,
        },
        subject: row.get(18)?,
        parent: row.get(19)?,
        alias: row.get(20)?,
    })
}

pub(crate) fn get(connection: &Connection, id: ExecutionId) -> Result<Option<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM executions WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([id.0], row).optional()?)
}

/// The execution of this name.
pub(crate) fn find(connection: &Connection, machine: MachineId, name: &str) -> Result<Option<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM executions WHERE machine = ?1 AND name = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(params![machine.0, name], row).optional()?)
}

/// The number that the next execution gets.
pub(crate) fn next_id(connection: &Connection) -> Result<i64> {
    let sql = "SELECT ifnull(max(id), 0) + 1 FROM executions";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// How many executions are open.
pub(crate) fn count_open(connection: &Connection) -> Result<usize> {
    let sql = "SELECT count(*) FROM state_machines JOIN executions ON executions.machine = state_machines.id \
               AND executions.status = 0";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// Which executions a list shows.
#[derive(Clone, Debug)]
pub(crate) struct ListFilter {
    pub(crate) machine: MachineId,
    /// Only those that were started by this version.
    pub(crate) version: Option<u32>,
    /// Only those that were started by this alias.
    pub(crate) alias: Option<Arc<str>>,
    pub(crate) status: Option<Status>,
    /// Whether only those that were redriven are shown, or only those that were not.
    pub(crate) redriven: Option<bool>,
}

/// Executions, newest first, and the id before which the next page begins.
pub(crate) struct ListPage {
    pub(crate) rows: Vec<Row>,
    pub(crate) next: Option<ExecutionId>,
}

pub(crate) fn list(
    connection: &Connection,
    filter: &ListFilter,
    before: Option<ExecutionId>,
    limit: usize,
) -> Result<ListPage> {
    let before = before.map_or(i64::MAX, |before| before.0);
    let redriven = match filter.redriven {
        Some(true) => "AND 0 < redrive_count",
        Some(false) => "AND redrive_count = 0",
        None => "",
    };
    let version = match filter.version {
        Some(version) => format!("AND version = {version}"),
        None => String::new(),
    };
    let alias = match filter.alias {
        Some(_) => "AND alias = ?5",
        None => "AND ?5 IS NULL",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM executions WHERE machine = ?1 AND status = ?2 AND id < ?3 {version} {alias} {redriven}
         ORDER BY id DESC LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = Vec::new();
    // One index serves both lists: without a status it is read once for each and merged.
    let statuses = filter.status.map_or(STATUSES.to_vec(), |status| vec![status]);
    for status in statuses {
        let wanted = (limit + 1) as i64;
        let found = statement.query_map(
            params![filter.machine.0, status_code(status), before, wanted, filter.alias],
            row,
        )?;
        for row in found {
            rows.push(row?);
        }
    }
    rows.sort_unstable_by_key(|row: &Row| std::cmp::Reverse(row.id));
    let more = limit < rows.len();
    rows.truncate(limit);
    let next = more.then(|| rows.last().map(|row| row.id)).flatten();
    Ok(ListPage { rows, next })
}

/// Executions that time moves on, the longest due first: at most `limit` that are due by `now`.
pub(crate) fn due(connection: &Connection, now: DateTime<Utc>, limit: usize) -> Result<Vec<ExecutionId>> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM executions WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2")?;
    let rows = statement.query_map(params![to_ms(now), limit as i64], |row| row.get(0).map(ExecutionId))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The next moment at which an execution is due.
pub(crate) fn next_due(connection: &Connection) -> Result<Option<DateTime<Utc>>> {
    let sql = "SELECT min(due_ms) FROM executions WHERE due_ms IS NOT NULL";
    let due: Option<i64> = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(due.map(from_ms))
}

/// Executions that a restart takes up at once, in the order of their ids: at most `limit` after `after`.
pub(crate) fn pending(connection: &Connection, after: ExecutionId, limit: usize) -> Result<Vec<ExecutionId>> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM executions WHERE pending = 1 AND ?1 < id ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map(params![after.0, limit as i64], |row| row.get(0).map(ExecutionId))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether an execution of the machine is open.
pub(crate) fn any_open(connection: &Connection, machine: MachineId) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM executions WHERE machine = ?1 AND status = 0)";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([machine.0], |row| row.get(0))?)
}

/// Where a pass of the retention has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// Everything up to here has been looked at.
    At(ExecutionId),
    Done,
}

/// One small step of the retention: looks at up to `rows` executions after `after` that started before `cutoff`, and
/// deletes those of them that also closed before it, with at most `batches` rows of their logs.
///
/// Ids follow the order of starts, so the walk ends at the first execution that started later.
pub(crate) fn expire(
    connection: &Connection,
    after: ExecutionId,
    cutoff: DateTime<Utc>,
    rows: usize,
    batches: usize,
) -> Result<Sweep> {
    let mut statement =
        connection.prepare_cached("SELECT id, start_ms, stop_ms FROM executions WHERE ?1 < id ORDER BY id LIMIT ?2")?;
    let found = statement.query_map(params![after.0, rows as i64], |row| {
        Ok((ExecutionId(row.get(0)?), row.get(1)?, row.get(2)?))
    })?;
    // Read before the first of them is deleted.
    let found: Vec<(ExecutionId, i64, Option<i64>)> = found.collect::<rusqlite::Result<_>>()?;
    let cutoff = to_ms(cutoff);
    let (mut at, mut left) = (after, batches);
    for (id, started, stopped) in found {
        if cutoff <= started {
            return Ok(Sweep::Done);
        }
        if stopped.is_some_and(|stopped| stopped < cutoff) {
            let deleted = log::delete(connection, id, left)?;
            left -= deleted;
            // There may be more of its log: the next step goes on with it.
            if left == 0 {
                return Ok(Sweep::At(at));
            }
            for sql in [
                "DELETE FROM tokens WHERE execution = ?1",
                "DELETE FROM activity_tasks WHERE execution = ?1",
                "DELETE FROM map_runs WHERE execution = ?1",
                "DELETE FROM executions WHERE id = ?1",
            ] {
                connection.prepare_cached(sql)?.execute([id.0])?;
            }
        }
        at = id;
    }
    Ok(if at == after { Sweep::Done } else { Sweep::At(at) })
}
