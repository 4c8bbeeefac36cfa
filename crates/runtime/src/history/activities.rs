//! Activities: names that state machines and workers meet at, and the tasks that wait there.
//!
//! The queue is a table, written with the transitions that put tasks in and take them out; the log says the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use asl::EventId;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::{ExecutionId, QueueChange, Result, from_ms, to_ms};

#[derive(Clone, Debug, PartialEq)]
pub struct ActivityRecord {
    pub arn: Arc<str>,
    pub name: Arc<str>,
    pub tags: BTreeMap<String, String>,
    pub created: DateTime<Utc>,
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<ActivityRecord> {
    let tags: String = row.get(2)?;
    Ok(ActivityRecord {
        arn: row.get(0)?,
        name: row.get(1)?,
        tags: serde_json::from_str(&tags).unwrap_or_default(),
        created: from_ms(row.get(3)?),
    })
}

pub(crate) fn get(connection: &Connection, arn: &str) -> Result<Option<ActivityRecord>> {
    let mut statement =
        connection.prepare_cached("SELECT arn, name, tags, created_ms FROM activities WHERE arn = ?1")?;
    Ok(statement.query_row([arn], row).optional()?)
}

/// How many activities there are.
pub(crate) fn count(connection: &Connection) -> Result<usize> {
    Ok(connection.query_row("SELECT count(*) FROM activities", [], |row| row.get(0))?)
}

/// Writes an activity anew, with its tags.
pub(crate) fn put(connection: &Connection, activity: &ActivityRecord) -> Result<()> {
    let tags = serde_json::to_string(&activity.tags).expect("texts are JSON");
    connection.execute(
        "INSERT OR REPLACE INTO activities (arn, name, tags, created_ms) VALUES (?1, ?2, ?3, ?4)",
        params![activity.arn, activity.name, tags, to_ms(activity.created)],
    )?;
    Ok(())
}

pub(crate) fn delete(connection: &Connection, arn: &str) -> Result<()> {
    connection.execute("DELETE FROM activities WHERE arn = ?1", [arn])?;
    Ok(())
}

/// At most `limit` activities in the order of their ARNs, those behind `after`.
pub(crate) fn list(connection: &Connection, after: &str, limit: usize) -> Result<Vec<ActivityRecord>> {
    let mut statement = connection
        .prepare_cached("SELECT arn, name, tags, created_ms FROM activities WHERE ?1 < arn ORDER BY arn LIMIT ?2")?;
    let rows = statement.query_map(params![after, limit as i64], row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The ARNs of all activities.
pub(crate) fn all(connection: &Connection) -> Result<Vec<Arc<str>>> {
    let mut statement = connection.prepare_cached("SELECT arn FROM activities")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A task that waits for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QueuedTask {
    pub(crate) execution: ExecutionId,
    /// The event that scheduled it.
    pub(crate) scheduled: EventId,
}

fn queued_task(row: &rusqlite::Row<'_>) -> rusqlite::Result<QueuedTask> {
    Ok(QueuedTask {
        execution: ExecutionId(row.get(0)?),
        scheduled: row.get::<_, i64>(1)? as EventId,
    })
}

/// At most `limit` tasks of an activity, those that have waited longest.
pub(crate) fn queue(connection: &Connection, activity: &str, limit: usize) -> Result<Vec<QueuedTask>> {
    let mut statement = connection
        .prepare_cached("SELECT execution, scheduled FROM activity_tasks WHERE activity = ?1 ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map(params![activity, limit as i64], queued_task)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// At most `limit` tasks whose activity is not there, with its ARN.
pub(crate) fn stranded(connection: &Connection, limit: usize) -> Result<Vec<(QueuedTask, Arc<str>)>> {
    let mut statement = connection.prepare_cached(
        "SELECT execution, scheduled, activity FROM activity_tasks
         WHERE activity NOT IN (SELECT arn FROM activities) ORDER BY id LIMIT ?1",
    )?;
    let rows = statement.query_map([limit as i64], |row| Ok((queued_task(row)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes down what a transition has changed of the queues.
pub(super) fn requeue(connection: &Connection, execution: ExecutionId, change: &QueueChange) -> Result<()> {
    for (activity, scheduled) in &change.added {
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO activity_tasks (activity, execution, scheduled) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![activity, execution.0, *scheduled as i64])?;
    }
    for scheduled in &change.removed {
        let task = QueuedTask {
            execution,
            scheduled: *scheduled,
        };
        dequeue(connection, task)?;
    }
    Ok(())
}

/// Forgets a task that waits no longer.
pub(crate) fn dequeue(connection: &Connection, task: QueuedTask) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM activity_tasks WHERE execution = ?1 AND scheduled = ?2")?
        .execute([task.execution.0, task.scheduled as i64])?;
    Ok(())
}
