//! What is listed by when it started: executions by how they stand, and deliveries that nobody could read.
//!
//! The index by status has a partition for each kind of thing and shard, and in it a key of start and name. A list goes
//! through all shards at once and is made of names: what they name is read from the table, which the index may be
//! behind.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use ticket::Time;
use tokio::task::JoinSet;

use super::attribute::string;
use super::request::Reading;
use super::{Error, Table, failed};

/// Partitions of the index by status, for each kind. All running executions would else heat one: a partition takes 1,000 writes a
/// second, and an execution makes three.
const SHARDS: u8 = 4;
const BY_STATUS: &str = "by-status";
/// The partition of the index by status.
pub(super) const STATUS_SHARD: &str = "status_shard";
/// Sorts the indexes by status and by ticket; what has none is in neither.
pub(super) const STARTED_KEY: &str = "started_key";

/// A page of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins: behind this place.
    pub next: Option<String>,
}

/// The attributes that list a thing of this kind.
pub(super) fn keys(kind: &str, name: &str, started_at: Time) -> [(&'static str, AttributeValue); 2] {
    let own_shard = name.bytes().fold(0, u8::wrapping_add) % SHARDS;
    [
        (STATUS_SHARD, string(shard(kind, own_shard))),
        (STARTED_KEY, string(place(name, started_at))),
    ]
}

/// The place of a thing in every list, as a cursor has it.
pub(super) fn place(name: &str, started_at: Time) -> String {
    format!("{started_at}#{name}")
}

/// Where all things of this kind are listed.
pub(super) fn partitions(kind: &str) -> impl Iterator<Item = String> {
    (0..SHARDS).map(move |index| shard(kind, index))
}

fn shard(kind: &str, index: u8) -> String {
    format!("{kind}#{index}")
}

/// The names in the newest `limit` of some sort keys, and the last of those keys if there are more.
pub(super) fn newest(keys: &BTreeSet<String>, limit: usize) -> (Vec<String>, Option<String>) {
    let last = keys.iter().rev().nth(limit.saturating_sub(1));
    let next = last.filter(|_| limit < keys.len()).cloned();
    let name = |key: &String| key.split_once('#').map(|(_, name)| name.to_owned());
    let names = keys.iter().rev().take(limit).filter_map(name).collect();
    (names, next)
}

impl Table {
    /// Names in any of these partitions of the index by status, the newest first, and where they end if there are
    /// more. One group of partitions is asked after the other, those of a group at once.
    pub(super) async fn newest_started(
        &self,
        groups: impl IntoIterator<Item = Vec<String>>,
        limit: usize,
        before: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        let mut keys = BTreeSet::new();
        for partitions in groups {
            let mut queries = JoinSet::new();
            for partition in partitions {
                let (table, before) = (self.clone(), before.map(str::to_owned));
                queries.spawn(async move {
                    let partition = (STATUS_SHARD, partition);
                    table
                        .started_keys(BY_STATUS, partition, limit + 1, before.as_deref())
                        .await
                });
            }
            while let Some(found) = queries.join_next().await {
                keys.extend(found.expect("a query is neither aborted nor panics")?);
            }
        }
        Ok(newest(&keys, limit))
    }

    /// The newest sort keys of one partition of an index by start.
    pub(super) async fn started_keys(
        &self,
        index: &str,
        (attribute, partition): (&str, String),
        limit: usize,
        before: Option<&str>,
    ) -> Result<Vec<String>, Error> {
        let mut request = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(index)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .expression_attribute_names("#partition", attribute)
            .expression_attribute_values(":partition", string(partition));
        request = match before {
            None => request.key_condition_expression("#partition = :partition"),
            Some(before) => request
                .key_condition_expression("#partition = :partition AND #started_key < :before")
                .expression_attribute_names("#started_key", STARTED_KEY)
                .expression_attribute_values(":before", string(before)),
        };
        let output = request.send().await.map_err(failed("list executions"))?;
        output
            .items()
            .iter()
            .map(|item| Reading(item).required(STARTED_KEY))
            .collect()
    }
}
