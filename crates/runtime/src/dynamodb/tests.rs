use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{DynamoDb, Error, Table, open_storage};
use crate::clock::Clock;

fn tickets() -> Table {
    Table {
        create: json!({
            "TableName": "tickets",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
                {"AttributeName": "month", "AttributeType": "S"},
            ],
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "GlobalSecondaryIndexes": [{
                "IndexName": "by-month",
                "KeySchema": [
                    {"AttributeName": "month", "KeyType": "HASH"},
                    {"AttributeName": "pk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["b", "a"]},
            }],
        }),
        ttl_attribute: Some("expires".to_owned()),
    }
}

fn moment() -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000, 0).unwrap()
}

struct Store {
    directory: tempfile::TempDir,
    clock: Clock,
    db: DynamoDb,
}

impl Store {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::still(moment());
        let db = DynamoDb::open(&directory.path().join("db"), &[tickets()], clock.clone()).unwrap();
        Self { directory, clock, db }
    }

    fn reopened(self) -> Self {
        let Self { directory, clock, db } = self;
        drop(db);
        let db = DynamoDb::open(&directory.path().join("db"), &[tickets()], clock.clone()).unwrap();
        Self { directory, clock, db }
    }

    async fn ask(&self, operation: &str, body: Value) -> (u16, Value) {
        ask(&self.db, operation, body).await
    }

    async fn done(&self, operation: &str, body: Value) -> Value {
        let (status, answer) = self.ask(operation, body).await;
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    async fn item(&self, pk: &str) -> Option<Value> {
        let answer = self
            .done("GetItem", json!({"TableName": "tickets", "Key": key(pk)}))
            .await;
        answer.get("Item").cloned()
    }
}

async fn ask(db: &DynamoDb, operation: &str, body: Value) -> (u16, Value) {
    let answer = db.handle(operation, Bytes::from(body.to_string())).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn key(pk: &str) -> Value {
    json!({"pk": {"S": pk}, "sk": {"S": "TICKET"}})
}

fn put(pk: &str) -> Value {
    let item = json!({"pk": {"S": pk}, "sk": {"S": "TICKET"}, "month": {"S": "2025-06"}, "n": {"N": "1"}});
    json!({"TableName": "tickets", "Item": item})
}

fn add(pk: &str) -> Value {
    json!({
        "TableName": "tickets",
        "Key": key(pk),
        "UpdateExpression": "ADD n :one SET #m = :m",
        "ExpressionAttributeNames": {"#m": "month"},
        "ExpressionAttributeValues": {":one": {"N": "1"}, ":m": {"S": "2025-06"}},
    })
}

#[tokio::test]
async fn an_item_put_is_read_updated_queried_by_index_and_deleted() {
    let store = Store::new();
    store.done("PutItem", put("a")).await;
    store.done("UpdateItem", add("a")).await;
    assert_eq!(store.item("a").await.unwrap()["n"], json!({"N": "2"}));
    let query = json!({
        "TableName": "tickets",
        "IndexName": "by-month",
        "KeyConditionExpression": "#m = :m",
        "ExpressionAttributeNames": {"#m": "month"},
        "ExpressionAttributeValues": {":m": {"S": "2025-06"}},
    });
    assert_eq!(store.done("Query", query.clone()).await["Count"], 1);
    store
        .done("DeleteItem", json!({"TableName": "tickets", "Key": key("a")}))
        .await;
    assert_eq!(store.done("Query", query).await["Count"], 0);
    assert_eq!(store.item("a").await, None);
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let store = Store::new();
    store.done("PutItem", put("a")).await;
    let store = store.reopened();
    assert!(store.item("a").await.is_some());
}

#[tokio::test]
async fn requests_that_share_a_commit_fail_alone() {
    let store = Store::new();
    store.done("PutItem", put("there")).await;
    let mut new = put("there");
    new["ConditionExpression"] = json!("attribute_not_exists(pk)");
    let transaction = json!({"TransactItems": [
        {"Put": put("half")},
        {"Put": new},
    ]});
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..200 {
        let db = store.db.clone();
        let (new, transaction) = (new.clone(), transaction.clone());
        calls.spawn(async move {
            match n % 4 {
                0 => (400, ask(&db, "PutItem", new).await),
                1 => (400, ask(&db, "TransactWriteItems", transaction).await),
                _ => (200, ask(&db, "UpdateItem", add("sum")).await),
            }
        });
    }
    while let Some(call) = calls.join_next().await {
        let (expected, (status, answer)) = call.unwrap();
        assert_eq!(status, expected, "{answer}");
    }
    assert_eq!(store.item("sum").await.unwrap()["n"], json!({"N": "100"}));
    assert_eq!(store.item("half").await, None);
    let stats = store.db.stats();
    assert_eq!(stats.requests["UpdateItem"], 100);
    assert!(stats.commits < 201, "nothing shared a commit: {stats:?}");
}

#[tokio::test]
async fn a_transaction_sent_again_with_its_token_writes_nothing() {
    let store = Store::new();
    let update = |pk: &str| json!({"ClientRequestToken": "t-1", "TransactItems": [{"Update": add(pk)}]});
    store.done("TransactWriteItems", update("a")).await;
    store.done("TransactWriteItems", update("a")).await;
    let store = store.reopened();
    store.done("TransactWriteItems", update("a")).await;
    assert_eq!(store.item("a").await.unwrap()["n"], json!({"N": "1"}));

    let (status, error) = store.ask("TransactWriteItems", update("b")).await;
    assert_eq!(status, 400);
    assert!(
        error["__type"]
            .as_str()
            .unwrap()
            .ends_with("#IdempotentParameterMismatchException")
    );

    store.clock.jump_to(moment() + TimeDelta::minutes(11));
    store.done("TransactWriteItems", update("a")).await;
    assert_eq!(store.item("a").await.unwrap()["n"], json!({"N": "2"}));
}

#[tokio::test]
async fn a_failed_transaction_leaves_its_token_free() {
    let store = Store::new();
    let mut update = add("a");
    update["ConditionExpression"] = json!("attribute_exists(pk)");
    let request = json!({"ClientRequestToken": "t-1", "TransactItems": [{"Update": update}]});
    let (status, error) = store.ask("TransactWriteItems", request.clone()).await;
    assert_eq!(
        (status, &error["CancellationReasons"][0]["Code"]),
        (400, &json!("ConditionalCheckFailed"))
    );
    store.done("PutItem", put("a")).await;
    store.done("TransactWriteItems", request).await;
    assert_eq!(store.item("a").await.unwrap()["n"], json!({"N": "2"}));
}

#[tokio::test]
async fn a_batch_of_statements_keeps_what_succeeded_and_nothing_of_what_failed() {
    let store = Store::new();
    store.done("PutItem", put("there")).await;
    let insert = |pk: &str| json!({"Statement": format!("INSERT INTO tickets VALUE {{'pk': '{pk}', 'sk': 'TICKET'}}")});
    let statements = json!({"Statements": [insert("there"), insert("new")]});
    let answer = store.done("BatchExecuteStatement", statements).await;
    assert_eq!(answer["Responses"][0]["Error"]["Code"], "DuplicateItem");
    assert_eq!(answer["Responses"][1].get("Error"), None);
    assert!(store.item("new").await.is_some());
}

#[tokio::test]
async fn errors_are_in_dynamodb_s_words() {
    let store = Store::new();
    let kind = |error: &Value| error["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
    let (status, error) = store
        .ask("GetItem", json!({"TableName": "nowhere", "Key": key("a")}))
        .await;
    assert_eq!((status, kind(&error).as_str()), (400, "ResourceNotFoundException"));
    let (status, error) = store
        .ask("PutItem", json!({"TableName": "tickets", "Item": {"pk": {"S": ""}}}))
        .await;
    assert_eq!((status, kind(&error).as_str()), (400, "ValidationException"));
    let answer = store.db.handle("PutItem", Bytes::from_static(b"{\"TableName\":")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        kind(&serde_json::from_slice(&answer.body).unwrap()),
        "SerializationException"
    );
    let deep = format!("{{\"TableName\":\"tickets\",\"Item\":{}", "[".repeat(100_000));
    assert_eq!(store.db.handle("PutItem", Bytes::from(deep)).await.status, 400);
    let (status, error) = store.ask("DropEverything", json!({})).await;
    assert_eq!((status, kind(&error).as_str()), (400, "UnknownOperationException"));
}

#[tokio::test]
async fn every_reader_learns_of_a_table_made_changed_and_dropped() {
    let store = Store::new();
    let create = json!({
        "TableName": "other",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    });
    let get = json!({"TableName": "other", "Key": {"id": {"N": "1"}}});
    for round in 0..3 {
        store.done("CreateTable", create.clone()).await;
        for _ in 0..4 {
            assert_eq!(store.done("GetItem", get.clone()).await, json!({}), "round {round}");
        }
        store
            .done("PutItem", json!({"TableName": "other", "Item": {"id": {"N": "1"}}}))
            .await;
        store.done("DeleteTable", json!({"TableName": "other"})).await;
        for _ in 0..4 {
            assert_eq!(store.ask("GetItem", get.clone()).await.0, 400, "round {round}");
        }
    }
}

#[tokio::test]
async fn a_table_that_could_not_be_made_leaves_no_trace() {
    let store = Store::new();
    let mut again = tickets().create;
    again["KeySchema"] = json!([{"AttributeName": "pk", "KeyType": "HASH"}]);
    assert_eq!(store.ask("CreateTable", again).await.0, 400);
    store.done("PutItem", put("a")).await;
    assert!(store.item("a").await.is_some());
}

#[tokio::test]
async fn a_table_whose_name_sqlite_cannot_hold_is_refused_by_its_name() {
    let store = Store::new();
    for name in ["sqlite_tickets", "SQLite_tickets", "_tables", "__tickets", "Tickets"] {
        let mut create = tickets().create;
        create["TableName"] = json!(name);
        let (status, answer) = store.ask("CreateTable", create).await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(name), "{name}: {answer}");
    }
    store.done("PutItem", put("a")).await;
}

#[tokio::test]
async fn expired_items_are_deleted_from_table_and_index_and_others_stay() {
    let store = Store::new();
    for n in 0..600 {
        let mut request = put(&format!("{n}"));
        let expires = moment().timestamp() + if n % 2 == 0 { -1 } else { 3600 };
        request["Item"]["expires"] = json!({"N": expires.to_string()});
        store.db.handle("PutItem", Bytes::from(request.to_string())).await;
    }
    store.done("PutItem", put("for-ever")).await;
    assert_eq!(store.db.sweep().await.unwrap(), 300);
    assert_eq!(store.db.sweep().await.unwrap(), 0);
    let scan = json!({"TableName": "tickets", "IndexName": "by-month", "Select": "COUNT"});
    assert_eq!(store.done("Scan", scan).await["Count"], 301);
}

#[tokio::test]
async fn a_reset_store_is_empty_and_whole() {
    let store = Store::new();
    store.done("PutItem", put("a")).await;
    store.db.reset().await.unwrap();
    assert_eq!(store.item("a").await, None);
    store.done("PutItem", put("a")).await;
    store.db.probe().await.unwrap();
}

#[tokio::test]
async fn units_are_counted_and_told_only_to_who_asks() {
    let store = Store::new();
    assert_eq!(store.done("PutItem", put("a")).await, json!({}));
    let mut asked = put("b");
    asked["ReturnConsumedCapacity"] = json!("TOTAL");
    let answer = store.done("PutItem", asked).await;
    // One unit for the table, one for its index.
    assert_eq!(answer["ConsumedCapacity"]["CapacityUnits"], 2.0);
    assert_eq!(store.db.stats().write_units, 4.0);
}

#[test]
fn a_table_defined_otherwise_than_it_was_made_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let open = |table: Table| DynamoDb::open(&path, &[table], Clock::system());
    open(tickets()).unwrap();
    let mut reordered = tickets();
    reordered.create["AttributeDefinitions"]
        .as_array_mut()
        .unwrap()
        .reverse();
    reordered.create["GlobalSecondaryIndexes"][0]["Projection"]["NonKeyAttributes"] = json!(["a", "b"]);
    open(reordered).unwrap();
    let mut changed = tickets();
    changed.create["GlobalSecondaryIndexes"][0]["Projection"]["NonKeyAttributes"] = json!(["a"]);
    let refused = open(changed).err();
    assert!(
        matches!(&refused, Some(Error::Changed { table, part: "set of global secondary indexes", .. }) if table == "tickets"),
        "{refused:?}"
    );
    let mut changed = tickets();
    changed.ttl_attribute = None;
    assert!(matches!(
        open(changed),
        Err(Error::Changed {
            part: "time-to-live attribute",
            ..
        })
    ));
}

#[test]
fn a_commit_is_on_disk_when_it_returns() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open_storage(directory.path().join("db").to_str().unwrap(), &Clock::system()).unwrap();
    const FULL: i64 = 2;
    let synchronous = storage
        .conn()
        .pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0));
    assert_eq!(synchronous.unwrap(), FULL);
    let journal = storage
        .conn()
        .pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
    assert_eq!(journal.unwrap(), "wal");
}

/// Where the child of the test below keeps its store; without it, this is no child and there is nothing to do.
const CHILD: &str = "DYNAMODB_CRASH_CHILD";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_child() {
    let Ok(directory) = std::env::var(CHILD) else {
        return;
    };
    let db = DynamoDb::open(
        &std::path::Path::new(&directory).join("db"),
        &[tickets()],
        Clock::system(),
    )
    .unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..16 {
        let db = db.clone();
        callers.spawn(async move {
            for n in 0.. {
                let pk = format!("{}-{caller}-{n}", std::process::id());
                assert_eq!(ask(&db, "PutItem", put(&pk)).await.0, 200);
                // One write of a short line to a pipe is whole or not at all.
                std::io::stdout()
                    .lock()
                    .write_all(format!("ack {pk}\n").as_bytes())
                    .unwrap();
            }
        });
    }
    callers.join_next().await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "dynamodb::tests::crash_child",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let acks = |line: String| line.rsplit_once("ack ").map(|(_, pk)| pk.to_owned());
        acknowledged.extend(lines.by_ref().filter_map(acks).take(200 + 77 * round));
        child.kill().unwrap();
        acknowledged.extend(lines.filter_map(acks));
        child.wait().unwrap();
    }
    let db = DynamoDb::open(&directory.path().join("db"), &[tickets()], Clock::system()).unwrap();
    for pk in &acknowledged {
        let (_, answer) = ask(&db, "GetItem", json!({"TableName": "tickets", "Key": key(pk)})).await;
        assert!(answer.get("Item").is_some(), "{pk} was acknowledged and is lost");
    }
    assert!(1262 <= acknowledged.len());
}
