//! Activities: names that state machines and workers can meet at.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Result, from_ms, to_ms};

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
