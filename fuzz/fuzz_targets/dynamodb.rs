//! Any bytes as calls of the DynamoDB and EventBridge APIs, on stores that take what they ask for.
//!
//! A line is a call, as [`fuzz::call`] reads it. Whatever was sent, every thread still answers afterwards.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use runtime::clock::Clock;
use runtime::dynamodb::{DynamoDb, Table};
use runtime::events::{Bus, Config, Execution, Start, Starting};
use runtime::lambda::{Answer, Invocation, Invoke};
use serde_json::{Value, json};

/// Calls of one run.
const MAX_CALLS: usize = 12;

const NAME: &str = "items";

/// The operations, the letter `A` first, each with a good request. The last is EventBridge's.
fn operations() -> Vec<(&'static str, Value)> {
    let key = json!({"pk": {"S": "a"}, "sk": {"S": "b"}});
    let item = json!({"pk": {"S": "a"}, "sk": {"S": "b"}, "n": {"N": "1.5"}, "l": {"L": [{"M": {"x": {"NULL": true}}}]},
        "set": {"SS": ["x"]}, "bytes": {"B": "AA=="}, "flag": {"BOOL": true}});
    let names = json!({"#n": "n"});
    let values = json!({":v": {"N": "1"}});
    let put = json!({"Put": {"TableName": NAME, "Item": item}});
    vec![
        (
            "PutItem",
            json!({"TableName": NAME, "Item": item, "ConditionExpression": "attribute_not_exists(#n)",
            "ExpressionAttributeNames": names, "ReturnValues": "ALL_OLD"}),
        ),
        (
            "UpdateItem",
            json!({"TableName": NAME, "Key": key, "UpdateExpression": "SET #n = if_not_exists(#n, :v) + :v",
            "ConditionExpression": "attribute_exists(pk)", "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values, "ReturnValues": "ALL_NEW"}),
        ),
        (
            "GetItem",
            json!({"TableName": NAME, "Key": key, "ProjectionExpression": "l[0].x, #n",
            "ExpressionAttributeNames": names, "ConsistentRead": true}),
        ),
        (
            "Query",
            json!({"TableName": NAME, "KeyConditionExpression": "pk = :k AND begins_with(sk, :k)",
            "ExpressionAttributeValues": {":k": {"S": "a"}}, "FilterExpression": "size(set) > :k", "Limit": 1,
            "ScanIndexForward": false, "ExclusiveStartKey": key, "IndexName": "by-n", "Select": "COUNT"}),
        ),
        (
            "Scan",
            json!({"TableName": NAME, "FilterExpression": "contains(set, :v)",
            "ExpressionAttributeValues": values, "Limit": 1, "TotalSegments": 2, "Segment": 1}),
        ),
        (
            "DeleteItem",
            json!({"TableName": NAME, "Key": key, "ConditionExpression": "#n IN (:v, :v)",
            "ExpressionAttributeNames": names, "ExpressionAttributeValues": values}),
        ),
        (
            "BatchGetItem",
            json!({"RequestItems": {NAME: {"Keys": [key], "ProjectionExpression": "pk"}}}),
        ),
        (
            "BatchWriteItem",
            json!({"RequestItems": {NAME: [{"PutRequest": {"Item": item}}]}}),
        ),
        (
            "TransactWriteItems",
            json!({"TransactItems": [put, {"Delete": {"TableName": NAME, "Key": key}}],
            "ClientRequestToken": "token"}),
        ),
        (
            "TransactGetItems",
            json!({"TransactItems": [{"Get": {"TableName": NAME, "Key": key}}]}),
        ),
        (
            "ExecuteStatement",
            json!({"Statement": "SELECT * FROM items WHERE pk = ?", "Parameters": [{"S": "a"}]}),
        ),
        (
            "BatchExecuteStatement",
            json!({"Statements": [{"Statement": "DELETE FROM items WHERE pk='a' AND sk='b'"}]}),
        ),
        (
            "ExecuteTransaction",
            json!({"TransactStatements": [{"Statement": "UPDATE items SET n=1 WHERE pk='a' AND sk='b'"}]}),
        ),
        ("DescribeTable", json!({"TableName": NAME})),
        (
            "CreateTable",
            json!({"TableName": "others", "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "N"}], "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}}),
        ),
        (
            "UpdateTable",
            json!({"TableName": NAME, "BillingMode": "PAY_PER_REQUEST", "GlobalSecondaryIndexUpdates": []}),
        ),
        (
            "UpdateTimeToLive",
            json!({"TableName": NAME,
            "TimeToLiveSpecification": {"Enabled": true, "AttributeName": "n"}}),
        ),
        ("DescribeTimeToLive", json!({"TableName": NAME})),
        ("ListTables", json!({"Limit": 1, "ExclusiveStartTableName": "a"})),
        (
            "TagResource",
            json!({"ResourceArn": "arn:aws:dynamodb:dynoxide:000000000000:table/items",
            "Tags": [{"Key": "k", "Value": "v"}]}),
        ),
        ("ListStreams", json!({"TableName": NAME, "Limit": 1})),
        ("GetRecords", json!({"ShardIterator": "i", "Limit": 1})),
        (
            "PutEvents",
            json!({"Entries": [{"Source": "s", "DetailType": "t", "Detail": "{\"a\":1}", "Time": 1,
            "Resources": ["r"], "EventBusName": "default", "TraceHeader": "h"}], "EndpointId": "e"}),
        ),
    ]
}

/// Nobody is called: there are no rules.
struct Nobody;

impl Invoke for Nobody {
    fn invoke(&self, _invocation: Invocation) -> Answer<'_> {
        Box::pin(std::future::pending())
    }
}

impl Start for Nobody {
    fn start(&self, _execution: Execution) -> Starting<'_> {
        Box::pin(async { Ok(()) })
    }
}

async fn run(text: &str) {
    let data = fuzz::directory();
    let create = json!({"TableName": NAME, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [{"IndexName": "by-n", "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"}}]});
    let table = Table {
        create,
        ttl_attribute: None,
    };
    let store = DynamoDb::open(
        &data.path().join("dynamodb.db"),
        std::slice::from_ref(&table),
        Clock::system(),
    );
    let store = store.expect("a store");
    let bus = Bus::open(Config {
        path: &data.path().join("events.db"),
        region: "us-west-2",
        rules: &[],
        schedules: &[],
        async_invoke: BTreeMap::new(),
        invoke: Arc::new(Nobody),
        start: Arc::new(Nobody),
        clock: Clock::system(),
    });
    let bus = bus.expect("a bus");
    let operations = operations();
    let calls = text.lines().filter_map(|line| fuzz::call(&operations, &[], line));
    for (operation, body) in calls.take(MAX_CALLS) {
        let sent = Bytes::from(body.clone());
        let answer = match operation {
            "PutEvents" => bus.handle(operation, sent).await,
            _ => store.handle(operation, sent).await,
        };
        serde_json::from_slice::<Value>(&answer.body).expect("an answer is JSON");
        assert!(
            [200, 400].contains(&answer.status),
            "{operation} {body} answers {}",
            answer.status
        );
    }
    let deleted = store
        .handle("DescribeTable", Bytes::from(json!({"TableName": NAME}).to_string()))
        .await;
    if deleted.status == 200 {
        store.probe().await.expect("every thread still answers");
    }
}

fuzz_target!(
    init: std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::abort();
    })),
    |data: &[u8]| {
        if let Ok(text) = std::str::from_utf8(data) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(text));
        }
    }
);
