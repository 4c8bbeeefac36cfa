//! What makes a repeated `ClientRequestToken` harmless.
//!
//! A transaction and the token it came with are written in one commit: sent again within ten minutes, also to a
//! process that was killed in between, it is answered as at first and writes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use dynoxide::DynoxideError;
use dynoxide::storage::Storage;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::operation::{self, Outcome, Reply};

/// How long AWS remembers a token.
const REMEMBERED: TimeDelta = TimeDelta::minutes(10);

/// How many forgotten tokens a new one sweeps out: more than one, so that the table shrinks after a burst.
const SWEPT_PER_TOKEN: u32 = 4;

/// Makes the table of tokens in the store's file, beside dynoxide's own.
pub(super) fn create_table(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS _request_tokens (
             operation TEXT NOT NULL,
             token TEXT NOT NULL,
             request BLOB NOT NULL,
             response BLOB NOT NULL,
             at INTEGER NOT NULL,
             PRIMARY KEY (operation, token)
         ) WITHOUT ROWID;
         CREATE INDEX IF NOT EXISTS _request_tokens_at ON _request_tokens (at);",
    )
}

/// A token and a digest of the request it stands for.
pub(super) struct Token {
    operation: String,
    token: String,
    request: [u8; 32],
}

impl Token {
    /// The token in `body`, if there is one.
    ///
    /// The digest leaves out the token and what only shapes the answer, and does not depend on the order of members.
    pub(super) fn of(operation: &str, body: &[u8]) -> Result<Option<Self>, DynoxideError> {
        let request: Value = operation::read(operation, body)?;
        let Some(token) = request.get("ClientRequestToken").and_then(Value::as_str) else {
            return Ok(None);
        };
        let mut digest = Sha256::new();
        for member in ["TransactItems", "TransactStatements"] {
            digest_value(&mut digest, request.get(member).unwrap_or(&Value::Null));
        }
        let request = digest.finalize().into();
        Ok(Some(Self {
            operation: operation.to_owned(),
            token: token.to_owned(),
            request,
        }))
    }
}

/// Performs `work` unless its token is remembered, and remembers it.
pub(super) fn once(storage: &Storage, token: &Token, now: DateTime<Utc>, work: impl FnOnce() -> Outcome) -> Outcome {
    let connection = storage.conn();
    let known: Option<(Vec<u8>, Vec<u8>)> = connection
        .prepare_cached("SELECT request, response FROM _request_tokens WHERE operation = ? AND token = ? AND at > ?")?
        .query_row(
            params![token.operation, token.token, (now - REMEMBERED).timestamp_millis()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    if let Some((request, response)) = known {
        if request != token.request {
            return Err(DynoxideError::IdempotentParameterMismatchException(
                "An error occurred (IdempotentParameterMismatchException)".to_owned(),
            ));
        }
        return Ok(Reply {
            body: response.into(),
            ..Reply::default()
        });
    }
    let reply = work()?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO _request_tokens (operation, token, request, response, at)
             VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            token.operation,
            token.token,
            token.request,
            reply.body.as_ref(),
            now.timestamp_millis()
        ])?;
    connection
        .prepare_cached(
            "DELETE FROM _request_tokens WHERE (operation, token) IN
             (SELECT operation, token FROM _request_tokens WHERE at <= ? ORDER BY at LIMIT ?)",
        )?
        .execute(params![(now - REMEMBERED).timestamp_millis(), SWEPT_PER_TOKEN])?;
    Ok(reply)
}

/// Feeds `value` to `digest`, members in the order of their names, each part with its length.
fn digest_value(digest: &mut Sha256, value: &Value) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            digest.update(b"{");
            digest.update(members.len().to_le_bytes());
            for (name, value) in members {
                digest.update(name.len().to_le_bytes());
                digest.update(name);
                digest_value(digest, value);
            }
        }
        Value::Array(elements) => {
            digest.update(b"[");
            digest.update(elements.len().to_le_bytes());
            elements.iter().for_each(|element| digest_value(digest, element));
        }
        scalar => {
            let text = scalar.to_string();
            digest.update(b"s");
            digest.update(text.len().to_le_bytes());
            digest.update(text);
        }
    }
}
