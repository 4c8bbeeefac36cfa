//! The log: batches of events as rows, and pages of events out of them.
//!
//! A batch's key is its execution's id in the upper bits and the position of its first event in the lower: the number
//! of events before it, hidden ones included. So an execution's batches lie side by side in the order they were
//! written, and the batch that holds a position is found without a second index.

use std::sync::Arc;

use asl::{Event, EventId, EventKind};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::executions::{self, Head, NewExecution};
use super::{Error, ExecutionId, Result, activities, outbox};

/// Bits of a key that hold the position: 16.7 million events an execution. 25,000 is AWS's bound of those that have
/// an id; the hidden ones, heartbeats above all, need the rest.
const POSITION_BITS: u32 = 24;
const MAX_POSITION: i64 = (1 << POSITION_BITS) - 1;

/// The number of events before one, in its execution's log.
pub(crate) type Position = i64;

/// One transition of an execution: what is written as a whole or not at all.
pub(crate) struct Append {
    pub(crate) id: ExecutionId,
    pub(crate) position: Position,
    /// From [`encode`].
    pub(crate) events: Vec<u8>,
    pub(crate) head: Head,
    /// With the first batch: who the execution is.
    pub(crate) new: Option<NewExecution>,
    /// Task tokens that the batch gives out, with the events that scheduled their tasks.
    pub(crate) tokens: Vec<(Arc<str>, EventId)>,
    /// Status events owed from here on, encoded.
    pub(crate) outbox: Vec<Vec<u8>>,
    pub(crate) queued: QueueChange,
    /// The ARNs of Map Runs that the batch starts.
    pub(crate) map_runs: Vec<Arc<str>>,
}

/// What a transition changes about the tasks that wait for a worker of their activity.
#[derive(Debug, Default)]
pub(crate) struct QueueChange {
    /// Those that wait from here on: the activity's ARN, and the event that scheduled the task.
    pub(crate) added: Vec<(Arc<str>, EventId)>,
    /// The events that scheduled those that wait no longer.
    pub(crate) removed: Vec<EventId>,
}

/// A batch in the form in which it is stored.
pub(crate) fn encode(events: &[Event]) -> Vec<u8> {
    serde_json::to_vec(events).expect("an event is JSON")
}

fn decode<'a, T: Deserialize<'a>>(execution: ExecutionId, events: &'a [u8]) -> Result<T> {
    serde_json::from_slice(events).map_err(|source| Error::Corrupt {
        execution: execution.0,
        source: Arc::new(source),
    })
}

fn key(id: ExecutionId, position: Position) -> Result<i64> {
    if MAX_POSITION < position {
        return Err(Error::Full { execution: id.0 });
    }
    Ok((id.0 << POSITION_BITS) | position)
}

/// The keys of an execution's batches.
fn keys(id: ExecutionId) -> (i64, i64) {
    let first = id.0 << POSITION_BITS;
    (first, first | MAX_POSITION)
}

/// Writes one transition into the transaction in progress.
///
/// A first batch is refused with [`Error::NameTaken`] before anything is written.
pub(super) fn append(connection: &Connection, append: &Append) -> Result<()> {
    let key = key(append.id, append.position)?;
    match &append.new {
        Some(new) => executions::insert(connection, append.id, new, &append.head)?,
        None => executions::update(connection, append.id, &append.head)?,
    }
    connection
        .prepare_cached("INSERT INTO log (key, events) VALUES (?1, ?2)")?
        .execute(params![key, append.events])?;
    for (token, scheduled) in &append.tokens {
        connection
            .prepare_cached("INSERT INTO tokens (token, execution, scheduled) VALUES (?1, ?2, ?3)")?
            .execute(params![token, append.id.0, *scheduled as i64])?;
    }
    for arn in &append.map_runs {
        connection
            .prepare_cached("INSERT INTO map_runs (arn, execution) VALUES (?1, ?2)")?
            .execute(params![arn, append.id.0])?;
    }
    activities::requeue(connection, append.id, &append.queued)?;
    for event in &append.outbox {
        outbox::insert(connection, event)?;
    }
    Ok(())
}

/// All events of an execution, and the bytes they take.
pub(crate) fn all(connection: &Connection, id: ExecutionId) -> Result<(Vec<Event>, usize)> {
    let (first, last) = keys(id);
    let mut statement = connection.prepare_cached("SELECT events FROM log WHERE key BETWEEN ?1 AND ?2 ORDER BY key")?;
    let mut rows = statement.query([first, last])?;
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let batch = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        bytes += batch.len();
        events.extend(decode::<Vec<Event>>(id, batch)?);
    }
    Ok((events, bytes))
}

/// The first event of an execution, and the last.
pub(crate) fn ends(connection: &Connection, id: ExecutionId) -> Result<Option<(Event, Event)>> {
    let (first, last) = keys(id);
    let batch = |order: &str| -> Result<Option<Vec<u8>>> {
        let sql = format!("SELECT events FROM log WHERE key BETWEEN ?1 AND ?2 ORDER BY key {order} LIMIT 1");
        let mut statement = connection.prepare_cached(&sql)?;
        Ok(statement.query_row([first, last], |row| row.get(0)).optional()?)
    };
    let (Some(opening), Some(closing)) = (batch("ASC")?, batch("DESC")?) else {
        return Ok(None);
    };
    // Only these two are decoded whole: a batch may be long.
    let (opening, closing): (Vec<&RawValue>, Vec<&RawValue>) = (decode(id, &opening)?, decode(id, &closing)?);
    match (opening.first(), closing.last()) {
        (Some(first), Some(last)) => Ok(Some((
            decode(id, first.get().as_bytes())?,
            decode(id, last.get().as_bytes())?,
        ))),
        _ => Ok(None),
    }
}

/// A page of an execution's history: at most `limit` events that AWS would show, and where the next page begins.
pub(crate) fn page(
    connection: &Connection,
    id: ExecutionId,
    from: Option<Position>,
    reverse: bool,
    limit: usize,
) -> Result<(Vec<Event>, Option<Position>)> {
    // A token of a caller's own making finds a page of this execution or none.
    let from = from.map(|from| from.clamp(0, MAX_POSITION));
    let (first, last) = keys(id);
    let (start, sql) = if reverse {
        let start = from.map_or(Ok(last), |from| key(id, from))?;
        let sql = "SELECT key, events FROM log WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC";
        (start, sql)
    } else {
        // The batch that holds the position begins at it or before it.
        let start = key(id, from.unwrap_or(0))?;
        let sql = "SELECT key, events FROM log WHERE ?1 <= key AND key <= ?2 ORDER BY key";
        let holds: Option<i64> = connection
            .prepare_cached("SELECT max(key) FROM log WHERE key BETWEEN ?1 AND ?2")?
            .query_row([first, start], |row| row.get(0))?;
        (holds.unwrap_or(start), sql)
    };
    let bounds = if reverse { [first, start] } else { [start, last] };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(bounds)?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        let batch_position = row.get::<_, i64>(0)? & MAX_POSITION;
        let batch = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let batch = (batch_position..).zip(decode::<Vec<Event>>(id, batch)?);
        let wanted =
            |position: Position| from.is_none_or(|from| if reverse { position <= from } else { from <= position });
        let mut events: Vec<(Position, Event)> = batch
            .filter(|(position, event)| wanted(*position) && !event.is_hidden())
            .collect();
        if reverse {
            events.reverse();
        }
        for (position, event) in events {
            if page.len() == limit {
                return Ok((page, Some(position)));
            }
            page.push(event);
        }
    }
    Ok((page, None))
}

/// Hands over the events of an execution from a position on, in their order, without holding more than a batch.
pub(crate) fn each_since(
    connection: &Connection,
    id: ExecutionId,
    from: Position,
    mut take: impl FnMut(Position, Event),
) -> Result<()> {
    let start = key(id, from)?;
    let (_, last) = keys(id);
    let mut statement =
        connection.prepare_cached("SELECT key, events FROM log WHERE key BETWEEN ?1 AND ?2 ORDER BY key")?;
    let mut rows = statement.query([start, last])?;
    while let Some(row) = rows.next()? {
        let position = row.get::<_, i64>(0)? & MAX_POSITION;
        let batch = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        for (position, event) in (position..).zip(decode::<Vec<Event>>(id, batch)?) {
            take(position, event);
        }
    }
    Ok(())
}

/// The events at these positions, in the order asked for; those that are not there are left out.
pub(crate) fn at(connection: &Connection, id: ExecutionId, positions: &[Position]) -> Result<Vec<(Position, Event)>> {
    let (first, _) = keys(id);
    let mut statement = connection
        .prepare_cached("SELECT key, events FROM log WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1")?;
    let mut batch: (Position, Vec<Event>) = (0, Vec::new());
    let mut found = Vec::with_capacity(positions.len());
    for position in positions {
        let within = |batch: &(Position, Vec<Event>)| {
            let offset = usize::try_from(position - batch.0).ok()?;
            batch.1.get(offset).cloned()
        };
        if within(&batch).is_none() {
            let upto = key(id, (*position).clamp(0, MAX_POSITION))?;
            let row: Option<(i64, Vec<u8>)> = statement
                .query_row([first, upto], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            if let Some((key, events)) = row {
                batch = (key & MAX_POSITION, decode(id, &events)?);
            }
        }
        found.extend(within(&batch).map(|event| (*position, event)));
    }
    Ok(found)
}

/// Forgets an execution's batches, at most `limit` of them; how many. Fewer than `limit` were all.
pub(super) fn delete(connection: &Connection, id: ExecutionId, limit: usize) -> Result<usize> {
    let (first, last) = keys(id);
    Ok(connection
        .prepare_cached(
            "DELETE FROM log WHERE key IN
             (SELECT key FROM log WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT ?3)",
        )?
        .execute(params![first, last, limit as i64])?)
}

/// Whether an open execution has given out a task token.
pub(crate) fn any_token_of_open(connection: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tokens JOIN executions ON executions.id = tokens.execution
               WHERE executions.status = 0)";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// The execution and the scheduling event that a task token names.
pub(crate) fn token(connection: &Connection, token: &str) -> Result<Option<(ExecutionId, EventId)>> {
    let found = connection
        .prepare_cached("SELECT execution, scheduled FROM tokens WHERE token = ?1")?
        .query_row([token], |row| {
            Ok((ExecutionId(row.get(0)?), row.get::<_, i64>(1)? as EventId))
        })
        .optional()?;
    Ok(found)
}

/// The execution that runs a Map Run.
pub(crate) fn map_run(connection: &Connection, arn: &str) -> Result<Option<ExecutionId>> {
    let found = connection
        .prepare_cached("SELECT execution FROM map_runs WHERE arn = ?1")?
        .query_row([arn], |row| row.get(0).map(ExecutionId))
        .optional()?;
    Ok(found)
}

/// Writes down which executions run the Map Runs that the log tells of: those of state machines that may have any.
///
/// A log that cannot be read is left to whoever asks for its execution.
pub(super) fn find_map_runs(connection: &Connection) -> Result<()> {
    let sql = "SELECT executions.id FROM executions JOIN revisions ON revisions.id = executions.revision
               WHERE revisions.definition LIKE '%DISTRIBUTED%'";
    let mut statement = connection.prepare(sql)?;
    let executions = statement.query_map([], |row| row.get(0).map(ExecutionId))?;
    for execution in executions {
        let execution = execution?;
        let events = match all(connection, execution) {
            Ok((events, _)) => events,
            Err(Error::Corrupt { .. }) => continue,
            Err(error) => return Err(error),
        };
        for event in events {
            if let EventKind::MapRunStarted { arn, .. } = event.kind {
                connection
                    .prepare_cached("INSERT OR IGNORE INTO map_runs (arn, execution) VALUES (?1, ?2)")?
                    .execute(params![arn, execution.0])?;
            }
        }
    }
    Ok(())
}
