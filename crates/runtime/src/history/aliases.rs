//! Aliases of state machines: names that lead to one or two of their versions. They are few and read from memory; these
//! are the writes, and the load at start.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{MachineId, Result, from_ms, to_ms};

/// A version that an alias leads to, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub version: u32,
    /// Of a hundred executions, so many; all routes of an alias together make a hundred.
    pub weight: u8,
}

/// An alias, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredAlias {
    pub(crate) machine: MachineId,
    pub(crate) name: Arc<str>,
    pub(crate) description: Option<Arc<str>>,
    pub(crate) routes: Vec<Route>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) updated: DateTime<Utc>,
}

/// All aliases of all machines.
pub(crate) fn all(connection: &Connection) -> Result<Vec<StoredAlias>> {
    let mut statement =
        connection.prepare("SELECT machine, name, description, routes, created_ms, updated_ms FROM aliases")?;
    let rows = statement.query_map([], |row| {
        let routes: String = row.get(3)?;
        Ok(StoredAlias {
            machine: MachineId(row.get(0)?),
            name: row.get(1)?,
            description: row.get(2)?,
            routes: serde_json::from_str(&routes).unwrap_or_default(),
            created: from_ms(row.get(4)?),
            updated: from_ms(row.get(5)?),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes an alias anew.
pub(crate) fn put(connection: &Connection, alias: &StoredAlias) -> Result<()> {
    let routes = serde_json::to_string(&alias.routes).expect("numbers are JSON");
    connection.execute(
        "INSERT OR REPLACE INTO aliases (machine, name, description, routes, created_ms, updated_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            alias.machine.0,
            alias.name,
            alias.description,
            routes,
            to_ms(alias.created),
            to_ms(alias.updated)
        ],
    )?;
    Ok(())
}

pub(crate) fn delete(connection: &Connection, machine: MachineId, name: &str) -> Result<()> {
    connection.execute(
        "DELETE FROM aliases WHERE machine = ?1 AND name = ?2",
        params![machine.0, name],
    )?;
    Ok(())
}
