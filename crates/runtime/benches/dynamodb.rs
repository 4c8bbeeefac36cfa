//! Requests a second of the embedded DynamoDB, in process, every write on disk before its answer.
//!
//! `cargo bench --workspace --bench dynamodb`. The disk's own fsync is measured beside it: that is the ceiling of one
//! caller, and what many callers share.

#![expect(clippy::print_stdout, reason = "a table of figures is what this is for")]

use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use runtime::clock::Clock;
use runtime::dynamodb::{DynamoDb, Table};
use serde_json::{Value, json};

/// How long each figure is measured.
const MEASURED: Duration = Duration::from_secs(3);

/// A table with `indexes` global secondary indexes, each of which every item is in.
fn table(name: &str, indexes: usize) -> Table {
    let index = |n: usize| {
        json!({
            "IndexName": format!("by-{n}"),
            "KeySchema": [
                {"AttributeName": format!("i{n}"), "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        })
    };
    let key = |name: String| json!({"AttributeName": name, "AttributeType": "S"});
    let keys = ["pk".to_owned(), "sk".to_owned()]
        .into_iter()
        .chain((0..indexes).map(|n| format!("i{n}")));
    let mut create = json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": keys.map(key).collect::<Vec<_>>(),
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    });
    if 0 < indexes {
        create["GlobalSecondaryIndexes"] = (0..indexes).map(index).collect();
    }
    Table {
        create,
        ttl_attribute: None,
    }
}

fn item(pk: u64, indexes: usize) -> Value {
    let mut item = json!({
        "pk": {"S": format!("site~{pk}")},
        "sk": {"S": "TICKET"},
        "summary": {"S": "It does what it should, but not when it should, and only on some machines. ".repeat(4)},
        "n": {"N": "1"},
    });
    for n in 0..indexes {
        item[format!("i{n}")] = json!({"S": format!("2026-11#{}", pk % 7)});
    }
    item
}

fn request(operation: &str, name: &str, pk: u64, indexes: usize) -> Bytes {
    let key = json!({"pk": {"S": format!("site~{pk}")}, "sk": {"S": "TICKET"}});
    let body = match operation {
        "PutItem" => json!({"TableName": name, "Item": item(pk, indexes)}),
        "UpdateItem" => json!({
            "TableName": name,
            "Key": key,
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }),
        _ => json!({"TableName": name, "Key": key, "ConsistentRead": true}),
    };
    Bytes::from(body.to_string())
}

async fn measure(db: &DynamoDb, operation: &'static str, name: &'static str, indexes: usize, callers: u64) {
    let commits = db.stats().commits;
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let db = db.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < MEASURED {
                let n = u64::try_from(latencies.len()).unwrap_or_default();
                let body = request(operation, name, n * callers + caller, indexes);
                let sent = Instant::now();
                let answer = db.handle(operation, body).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                latencies.push(sent.elapsed());
            }
            latencies
        });
    }
    let mut latencies: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let elapsed = start.elapsed();
    latencies.sort_unstable();
    let per_second = latencies.len() as f64 / elapsed.as_secs_f64();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let commits = (db.stats().commits - commits) as f64 / elapsed.as_secs_f64();
    println!(
        "{operation:<11} {indexes} indexes {callers:>3} callers {per_second:>8.0}/s  {commits:>6.0} commits/s  p50 {:>6.2} ms  p99 {:>6.2} ms",
        at(0.5),
        at(0.99)
    );
}

/// How long this disk takes to make a page durable, at the median.
fn fsync(directory: &std::path::Path) -> std::io::Result<Duration> {
    let mut file = std::fs::File::create(directory.join("fsync"))?;
    let mut took = Vec::new();
    for _ in 0..300 {
        let start = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        took.push(start.elapsed());
    }
    took.sort_unstable();
    Ok(took[took.len() / 2])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir_in(".")?;
    println!(
        "fsync of one page: {:.3} ms",
        fsync(directory.path())?.as_secs_f64() * 1e3
    );
    let tables = [table("plain", 0), table("indexed", 6)];
    let db = DynamoDb::open(&directory.path().join("db"), &tables, Clock::system())?;
    for (name, indexes) in [("plain", 0), ("indexed", 6)] {
        for callers in [1, 8, 64] {
            for operation in ["PutItem", "UpdateItem", "GetItem"] {
                measure(&db, operation, name, indexes, callers).await;
            }
        }
    }
    Ok(())
}
