//! Time to Live, and what else grows old: stream records.
//!
//! Expired items are found by an index on the attribute, not by reading the table, and deleted by DeleteItem, on
//! condition that they are still expired.

use bytes::Bytes;
use chrono::TimeDelta;
use dynoxide::DynoxideError;
use dynoxide::storage::{Storage, TableMetadata};
use serde_json::{Map, Value, json};

use super::operation::{self, Work};
use super::{DynamoDb, Error};
use crate::clock::Clock;

/// How often what has expired is deleted; AWS promises a few days.
pub(super) const PERIOD: TimeDelta = TimeDelta::minutes(1);

/// How many expired items are looked up at once: a few batches of the writer.
const PAGE: usize = 250;

/// How long AWS keeps stream records.
const STREAM_RETENTION: TimeDelta = TimeDelta::hours(24);

/// Our clock as dynoxide wants it.
pub(super) struct StoreClock(pub(super) Clock);

impl dynoxide::storage_backend::Clock for StoreClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from(self.0.now().timestamp()).unwrap_or_default()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().timestamp_micros() as f64 / 1e6
    }
}

/// Indexes the expiry of every table that has Time to Live.
pub(super) fn index(storage: &Storage) -> Result<(), DynoxideError> {
    for table in storage.list_ttl_enabled_tables()? {
        if let Some(moment) = expiry(&table) {
            let name = quoted(&table.table_name);
            let index = quoted(&format!("{}::ttl", table.table_name));
            storage.conn().execute_batch(&format!(
                "CREATE INDEX IF NOT EXISTS {index} ON {name} ({moment}) WHERE {moment} IS NOT NULL"
            ))?;
        }
    }
    Ok(())
}

/// The SQL expression of an item's expiry: the epoch second in its attribute, NULL without one.
fn expiry(table: &TableMetadata) -> Option<String> {
    let attribute = table.ttl_attribute.as_deref()?;
    // A JSON path has no escape for these; AWS allows them and nobody uses them.
    if attribute.contains(['"', '\\']) {
        return None;
    }
    let path = attribute.replace('\'', "''");
    Some(format!("CAST(json_extract(item_json, '$.\"{path}\".N') AS INTEGER)"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl DynamoDb {
    /// Deletes what has expired; how many items that were.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let now = self.shared.clock.now();
        let oldest = (now - STREAM_RETENTION).timestamp();
        let trim = Work::write(move |storage| {
            storage
                .conn()
                .execute("DELETE FROM _stream_records WHERE created_at < ?", [oldest])?;
            Ok(())
        });
        self.perform(trim).await.map_err(unwell)?;
        let mut deleted = 0;
        loop {
            let page = self
                .perform(Work::read(move |storage| expired(storage, now.timestamp())))
                .await;
            let requests: Vec<Value> = serde_json::from_slice(&page.map_err(unwell)?.body)
                .map_err(|error| Error::Unwell(error.to_string()))?;
            let before = deleted;
            let mut outcomes = Vec::with_capacity(requests.len());
            for request in requests {
                let body = request.to_string();
                if let Some(prepared) = operation::prepare("DeleteItem", body.as_bytes(), now) {
                    outcomes.push(self.submit(prepared.map_err(unwell)?).await);
                }
            }
            for outcome in outcomes {
                match outcome.await {
                    Ok(Ok(_)) => deleted += 1,
                    Ok(Err(DynoxideError::ConditionalCheckFailedException(..))) => {}
                    Ok(Err(error)) => return Err(unwell(error)),
                    Err(_) => return Err(Error::Unwell("it has stopped".to_owned())),
                }
            }
            if deleted == before {
                return Ok(deleted);
            }
        }
    }
}

/// The DeleteItem requests, as JSON, of a page of expired items.
fn expired(storage: &Storage, now: i64) -> Result<Bytes, DynoxideError> {
    let mut requests = Vec::new();
    for table in storage.list_ttl_enabled_tables()? {
        let (Some(moment), Some(attribute)) = (expiry(&table), &table.ttl_attribute) else {
            continue;
        };
        let keys: Value = serde_json::from_str(&table.key_schema).unwrap_or_default();
        let sql = format!(
            "SELECT item_json FROM {} WHERE {moment} IS NOT NULL AND {moment} < ? ORDER BY {moment} LIMIT ?",
            quoted(&table.table_name)
        );
        let mut statement = storage.conn().prepare_cached(&sql)?;
        let mut rows = statement.query((now, PAGE.saturating_sub(requests.len())))?;
        while let Some(row) = rows.next()? {
            let item: Value = serde_json::from_str(row.get_ref(0)?.as_str().unwrap_or_default()).unwrap_or_default();
            let names = keys
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|key| key["AttributeName"].as_str());
            let key: Map<_, _> = names.map(|name| (name.to_owned(), item[name].clone())).collect();
            requests.push(json!({
                "TableName": table.table_name,
                "Key": key,
                "ConditionExpression": "#ttl < :now",
                "ExpressionAttributeNames": {"#ttl": attribute},
                "ExpressionAttributeValues": {":now": {"N": now.to_string()}},
            }));
        }
    }
    Ok(Bytes::from(Value::Array(requests).to_string()))
}

fn unwell(error: DynoxideError) -> Error {
    Error::Unwell(error.to_string())
}
