//! State machines and their revisions. They are few and read from memory; these are the writes, and the load at start.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::{MachineId, Result, RevisionId, from_ms, to_ms};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineType {
    Standard,
    Express,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineStatus {
    Active,
    /// Takes no new executions and is gone when those it has are closed.
    Deleting,
}

/// A state machine as it was created or last updated, or as an execution of it started.
#[derive(Clone, Debug, PartialEq)]
pub struct StateMachineRecord {
    pub arn: Arc<str>,
    pub name: Arc<str>,
    pub machine_type: MachineType,
    pub status: MachineStatus,
    pub created: DateTime<Utc>,
    pub definition: Arc<str>,
    pub role_arn: Arc<str>,
    /// Logging, tracing, encryption, tags: kept as given, read by whoever answers the API.
    pub settings: Arc<serde_json::Value>,
    pub revision_id: Arc<str>,
    /// When this revision was made.
    pub updated: DateTime<Utc>,
}

/// A record and its numbers in the store.
#[derive(Clone, Debug)]
pub(crate) struct StoredRevision {
    pub(crate) machine: MachineId,
    pub(crate) revision: RevisionId,
    /// Whether new executions start with it.
    pub(crate) current: bool,
    pub(crate) record: StateMachineRecord,
}

/// A published version, as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct StoredVersion {
    pub(crate) machine: MachineId,
    pub(crate) number: u32,
    pub(crate) revision: RevisionId,
    pub(crate) description: Option<Arc<str>>,
    pub(crate) created: DateTime<Utc>,
}

const fn type_code(machine_type: MachineType) -> i64 {
    match machine_type {
        MachineType::Standard => 0,
        MachineType::Express => 1,
    }
}

const fn status_code(status: MachineStatus) -> i64 {
    match status {
        MachineStatus::Active => 0,
        MachineStatus::Deleting => 1,
    }
}

/// All revisions of all machines.
pub(crate) fn all(connection: &Connection) -> Result<Vec<StoredRevision>> {
    let mut statement = connection.prepare(
        "SELECT m.id, r.id, m.revision = r.id, m.arn, m.name, m.type, m.status, m.created_ms,
                r.definition, r.role_arn, r.settings, r.revision_id, r.created_ms
         FROM revisions r JOIN state_machines m ON m.id = r.machine ORDER BY r.id",
    )?;
    let rows = statement.query_map([], |row| {
        let settings: String = row.get(10)?;
        let type_code: i64 = row.get(5)?;
        let status_code: i64 = row.get(6)?;
        Ok(StoredRevision {
            machine: MachineId(row.get(0)?),
            revision: RevisionId(row.get(1)?),
            current: row.get(2)?,
            record: StateMachineRecord {
                arn: row.get(3)?,
                name: row.get(4)?,
                machine_type: match type_code {
                    0 => MachineType::Standard,
                    _ => MachineType::Express,
                },
                status: match status_code {
                    0 => MachineStatus::Active,
                    _ => MachineStatus::Deleting,
                },
                created: from_ms(row.get(7)?),
                definition: row.get(8)?,
                role_arn: row.get(9)?,
                settings: Arc::new(serde_json::from_str(&settings).unwrap_or_default()),
                revision_id: row.get(11)?,
                updated: from_ms(row.get(12)?),
            },
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds a state machine with its first revision.
pub(crate) fn create(connection: &Connection, record: StateMachineRecord) -> Result<StoredRevision> {
    connection.execute(
        "INSERT INTO state_machines (arn, name, type, status, created_ms, revision) VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        params![
            record.arn,
            record.name,
            type_code(record.machine_type),
            status_code(record.status),
            to_ms(record.created)
        ],
    )?;
    let machine = MachineId(connection.last_insert_rowid());
    revise(connection, machine, record)
}

/// Adds a revision to a machine, with which executions start from now on.
pub(crate) fn revise(
    connection: &Connection,
    machine: MachineId,
    record: StateMachineRecord,
) -> Result<StoredRevision> {
    connection.execute(
        "INSERT INTO revisions (machine, revision_id, definition, role_arn, settings, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            machine.0,
            record.revision_id,
            record.definition,
            record.role_arn,
            record.settings.to_string(),
            to_ms(record.updated)
        ],
    )?;
    let revision = RevisionId(connection.last_insert_rowid());
    connection.execute(
        "UPDATE state_machines SET revision = ?2 WHERE id = ?1",
        [machine.0, revision.0],
    )?;
    Ok(StoredRevision {
        machine,
        revision,
        current: true,
        record,
    })
}

/// All published versions of all machines.
pub(crate) fn versions(connection: &Connection) -> Result<Vec<StoredVersion>> {
    let mut statement = connection
        .prepare("SELECT machine, number, revision, description, created_ms FROM versions ORDER BY number")?;
    let rows = statement.query_map([], |row| {
        Ok(StoredVersion {
            machine: MachineId(row.get(0)?),
            number: row.get(1)?,
            revision: RevisionId(row.get(2)?),
            description: row.get(3)?,
            created: from_ms(row.get(4)?),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Publishes a revision under the machine's next number.
pub(crate) fn publish(
    connection: &Connection,
    machine: MachineId,
    revision: RevisionId,
    description: Option<Arc<str>>,
    created: DateTime<Utc>,
) -> Result<StoredVersion> {
    let number = connection.query_row(
        "UPDATE state_machines SET last_version = last_version + 1 WHERE id = ?1 RETURNING last_version",
        [machine.0],
        |row| row.get(0),
    )?;
    connection.execute(
        "INSERT INTO versions (machine, number, revision, description, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![machine.0, number, revision.0, description, to_ms(created)],
    )?;
    Ok(StoredVersion {
        machine,
        number,
        revision,
        description,
        created,
    })
}

pub(crate) fn delete_version(connection: &Connection, machine: MachineId, number: u32) -> Result<()> {
    connection.execute(
        "DELETE FROM versions WHERE machine = ?1 AND number = ?2",
        params![machine.0, number],
    )?;
    Ok(())
}

pub(crate) fn mark_deleting(connection: &Connection, machine: MachineId) -> Result<()> {
    let status = status_code(MachineStatus::Deleting);
    connection.execute(
        "UPDATE state_machines SET status = ?2 WHERE id = ?1",
        [machine.0, status],
    )?;
    Ok(())
}

/// Forgets a machine, its aliases, versions and revisions; its executions are left to the retention.
pub(crate) fn delete(connection: &Connection, machine: MachineId) -> Result<()> {
    connection.execute("DELETE FROM aliases WHERE machine = ?1", [machine.0])?;
    connection.execute("DELETE FROM versions WHERE machine = ?1", [machine.0])?;
    connection.execute("DELETE FROM revisions WHERE machine = ?1", [machine.0])?;
    connection.execute("DELETE FROM state_machines WHERE id = ?1", [machine.0])?;
    Ok(())
}
