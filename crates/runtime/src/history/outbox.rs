//! Status events that are owed: written with the transition that owes them, deleted once they are delivered.

use rusqlite::{Connection, params};

use super::Result;

pub(super) fn insert(connection: &Connection, event: &[u8]) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO outbox (event) VALUES (?1)")?
        .execute([event])?;
    Ok(())
}

/// Writes something that the same transaction takes back: the file changes all the same, and has to take it.
pub(super) fn probe(connection: &Connection) -> Result<()> {
    insert(connection, b"")?;
    delivered(connection, &[connection.last_insert_rowid()])
}

/// The oldest events that are owed, at most `limit`, with their numbers.
pub(crate) fn oldest(connection: &Connection, limit: usize) -> Result<Vec<(i64, Vec<u8>)>> {
    let mut statement = connection.prepare_cached("SELECT id, event FROM outbox ORDER BY id LIMIT ?1")?;
    let rows = statement.query_map(params![limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Forgets events that were delivered.
pub(crate) fn delivered(connection: &Connection, ids: &[i64]) -> Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
    for id in ids {
        statement.execute([id])?;
    }
    Ok(())
}
