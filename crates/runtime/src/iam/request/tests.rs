use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// What an operation does, as `service:Action resource [key=value]`, with ARNs of this account cut short.
fn accessed(service: Service, operation: &str, body: &Value) -> Vec<String> {
    let scope = Scope {
        region: "us-west-2".into(),
        secrets: [(
            "token".to_owned(),
            "arn:aws:secretsmanager:us-west-2:000000000000:secret:token-abcdef".to_owned(),
        )]
        .into(),
    };
    let body = body.to_string();
    let accesses = accesses(&scope, service, operation, body.as_bytes());
    let shown = accesses.iter().map(|access| {
        let own = format!("arn:aws:{}:us-west-2:000000000000:", service.prefix());
        let resource = access.resource.as_deref().unwrap_or("unknown").replace(&own, "");
        let keys = access.keys.iter().map(|(key, value)| format!(" {key}={value}"));
        format!("{} {resource}{}", access.action, keys.collect::<String>())
    });
    shown.collect()
}

fn dynamodb(operation: &str, body: Value) -> Vec<String> {
    accessed(Service::DynamoDb, operation, &body)
}

fn states(operation: &str, body: Value) -> Vec<String> {
    accessed(Service::States, operation, &body)
}

#[test]
fn an_item_is_of_its_table_and_a_query_of_what_it_reads() {
    let body = || json!({"TableName": "T", "Key": {"TableName": {"S": "no"}}});
    assert_eq!(dynamodb("GetItem", body()), ["GetItem table/T"]);
    assert_eq!(dynamodb("UpdateItem", body()), ["UpdateItem table/T"]);
    assert_eq!(dynamodb("DescribeTable", body()), ["DescribeTable table/T"]);
    assert_eq!(dynamodb("Query", body()), ["Query table/T"]);
    let index = json!({"TableName": "T", "IndexName": "by-state"});
    assert_eq!(dynamodb("Query", index.clone()), ["Query table/T/index/by-state"]);
    assert_eq!(dynamodb("Scan", index), ["Scan table/T/index/by-state"]);
    let by_arn = json!({"TableName": "arn:aws:dynamodb:eu-west-1:1:table/U"});
    assert_eq!(
        dynamodb("PutItem", by_arn),
        ["PutItem arn:aws:dynamodb:eu-west-1:1:table/U"]
    );
}

#[test]
fn a_batch_is_of_each_table_and_a_transaction_of_each_item() {
    let batch = json!({"RequestItems": {"T": {"Keys": []}, "U": [{"PutRequest": {"Item": {}}}]}});
    assert_eq!(
        dynamodb("BatchGetItem", batch.clone()),
        ["BatchGetItem table/T", "BatchGetItem table/U"]
    );
    assert_eq!(
        dynamodb("BatchWriteItem", batch),
        ["BatchWriteItem table/T", "BatchWriteItem table/U"]
    );
    let items = json!({"TransactItems": [
        {"Put": {"TableName": "T", "Item": {}}}, {"Update": {"TableName": "T"}}, {"Delete": {"TableName": "U"}},
        {"ConditionCheck": {"TableName": "U"}}]});
    let within = |action: &str| format!("{action} dynamodb:EnclosingOperation=TransactWriteItems");
    assert_eq!(
        dynamodb("TransactWriteItems", items),
        [
            within("PutItem table/T"),
            within("UpdateItem table/T"),
            within("DeleteItem table/U"),
            within("ConditionCheckItem table/U")
        ]
    );
    assert_eq!(
        dynamodb(
            "TransactGetItems",
            json!({"TransactItems": [{"Get": {"TableName": "T", "Key": {}}}]})
        ),
        ["GetItem table/T dynamodb:EnclosingOperation=TransactGetItems"]
    );
}

#[test]
fn a_statement_of_partiql_has_actions_of_its_own() {
    for (statement, expected) in [
        (r#"SELECT * FROM "T" WHERE pk = ?"#, "PartiQLSelect table/T"),
        (
            r#"select a from "T"."by-state""#,
            "PartiQLSelect table/T/index/by-state",
        ),
        (r#"INSERT INTO "T" VALUE {'pk': 'FROM x'}"#, "PartiQLInsert table/T"),
        (r#"  UPDATE T SET a = 1 WHERE pk = 'x'"#, "PartiQLUpdate table/T"),
        (r#"DELETE FROM "T" WHERE pk = 'x'"#, "PartiQLDelete table/T"),
        (r#"EXISTS(SELECT * FROM "T")"#, "PartiQLSelect table/T"),
        ("SELECT \"from\" FROM T.byState", "PartiQLSelect table/T/index/byState"),
        (r#"SELECT 'x' FROM"T"WHERE pk = ?"#, "PartiQLSelect table/T"),
        ("INSERT INTO T VALUE{'pk': 'x'}", "PartiQLInsert table/T"),
        (r#"UPDATE "a.b-c" SET a = 1"#, "PartiQLUpdate table/a.b-c"),
    ] {
        assert_eq!(
            dynamodb("ExecuteStatement", json!({"Statement": statement})),
            [expected],
            "{statement}"
        );
        let many = json!({"Statements": [{"Statement": statement}, {"Statement": statement}]});
        assert_eq!(dynamodb("BatchExecuteStatement", many), [expected, expected]);
        let transaction = json!({"TransactStatements": [{"Statement": statement}]});
        let expected = format!("{expected} dynamodb:EnclosingOperation=ExecuteTransaction");
        assert_eq!(dynamodb("ExecuteTransaction", transaction), [expected]);
    }
    for statement in [
        "",
        "SELECT",
        "DROP TABLE T",
        "INSERT INTO",
        "SELECT * FROM ",
        r#"DELETE FROM "T"#,
        "é'",
    ] {
        assert!(
            dynamodb("ExecuteStatement", json!({"Statement": statement})).is_empty(),
            "{statement}"
        );
    }
}

#[test]
fn lists_and_streams_are_of_what_they_name() {
    assert_eq!(dynamodb("ListTables", json!({})), ["ListTables table/*"]);
    assert_eq!(dynamodb("ListStreams", json!({})), ["ListStreams table/*/stream/*"]);
    assert_eq!(
        dynamodb("ListStreams", json!({"TableName": "T"})),
        ["ListStreams table/T/stream/*"]
    );
    let stream = "arn:aws:dynamodb:us-west-2:000000000000:table/T/stream/1970";
    assert_eq!(
        dynamodb("DescribeStream", json!({"StreamArn": stream})),
        ["DescribeStream table/T/stream/1970"]
    );
    let told = json!({"StreamArn": stream.replace("us-west-2", "dynoxide")});
    assert_eq!(dynamodb("DescribeStream", told), ["DescribeStream table/T/stream/1970"]);
    assert_eq!(
        dynamodb("GetRecords", json!({"ShardIterator": "x"})),
        ["GetRecords unknown"]
    );
    let tagged = json!({"ResourceArn": "arn:aws:dynamodb:us-west-2:000000000000:table/T"});
    assert_eq!(dynamodb("TagResource", tagged), ["TagResource table/T"]);
}

#[test]
fn an_event_is_of_its_bus() {
    let body = json!({"Entries": [
        {"Source": "shop", "DetailType": "Paid", "Detail": "{}"},
        {"Source": "shop", "EventBusName": "audit"},
        {"EventBusName": "arn:aws:events:us-west-2:1:event-bus/other"}]});
    assert_eq!(
        accessed(Service::Events, "PutEvents", &body),
        [
            "PutEvents event-bus/default events:source=shop events:detail-type=Paid",
            "PutEvents event-bus/audit events:source=shop",
            "PutEvents arn:aws:events:us-west-2:1:event-bus/other",
        ]
    );
}

#[test]
fn a_secret_is_known_by_its_name_and_its_arn() {
    let whole = "arn:aws:secretsmanager:us-west-2:000000000000:secret:token-abcdef";
    for id in ["token", whole, whole.trim_end_matches("-abcdef")] {
        assert_eq!(
            accessed(Service::Secrets, "GetSecretValue", &json!({"SecretId": id})),
            [format!(
                "GetSecretValue secret:token-abcdef secretsmanager:SecretId={id}"
            )]
        );
    }
    assert_eq!(
        accessed(Service::Secrets, "GetSecretValue", &json!({"SecretId": "other"})),
        ["GetSecretValue other secretsmanager:SecretId=other"]
    );
}

#[test]
fn state_machines_are_authorized_without_their_qualifiers() {
    let arn = "arn:aws:states:us-west-2:000000000000:stateMachine:Orders";
    let on = |operation, arn: &str| states(operation, json!({"stateMachineArn": arn, "input": "{}"}));
    assert_eq!(on("StartExecution", arn), ["StartExecution stateMachine:Orders"]);
    assert_eq!(
        on("StartExecution", &format!("{arn}:live")),
        ["StartExecution stateMachine:Orders states:StateMachineQualifier=live"]
    );
    assert_eq!(on("ListExecutions", arn), ["ListExecutions stateMachine:Orders"]);
    assert_eq!(
        states(
            "DeleteStateMachineVersion",
            json!({"stateMachineVersionArn": format!("{arn}:3")})
        ),
        ["DeleteStateMachineVersion stateMachine:Orders states:StateMachineQualifier=3"]
    );
    let routes = json!({"name": "live", "routingConfiguration": [
        {"stateMachineVersionArn": format!("{arn}:3"), "weight": 100}]});
    assert_eq!(
        states("CreateStateMachineAlias", routes),
        ["CreateStateMachineAlias stateMachine:Orders"]
    );
    assert_eq!(
        states(
            "UpdateStateMachineAlias",
            json!({"stateMachineAliasArn": format!("{arn}:live")})
        ),
        ["UpdateStateMachineAlias stateMachine:Orders states:StateMachineQualifier=live"]
    );
    assert_eq!(
        states("UpdateStateMachine", json!({"stateMachineArn": arn, "publish": true})),
        [
            "UpdateStateMachine stateMachine:Orders",
            "PublishStateMachineVersion stateMachine:Orders"
        ]
    );
    assert_eq!(
        states("CreateStateMachine", json!({"name": "Orders", "publish": true})),
        [
            "CreateStateMachine stateMachine:Orders",
            "PublishStateMachineVersion stateMachine:Orders"
        ]
    );
    assert_eq!(
        states("ListStateMachines", json!({})),
        ["ListStateMachines stateMachine:*"]
    );
}

#[test]
fn executions_activities_and_map_runs_go_by_their_own_arns() {
    let execution = "arn:aws:states:us-west-2:000000000000:execution:Orders:one";
    for operation in [
        "DescribeExecution",
        "GetExecutionHistory",
        "StopExecution",
        "RedriveExecution",
        "ListMapRuns",
    ] {
        assert_eq!(
            states(operation, json!({"executionArn": execution})),
            [format!("{operation} execution:Orders:one")]
        );
    }
    let activity = json!({"activityArn": "arn:aws:states:us-west-2:000000000000:activity:pack"});
    assert_eq!(states("GetActivityTask", activity), ["GetActivityTask activity:pack"]);
    assert_eq!(
        states("CreateActivity", json!({"name": "pack"})),
        ["CreateActivity activity:pack"]
    );
    assert_eq!(states("ListActivities", json!({})), ["ListActivities activity:*"]);
    let run = "arn:aws:states:us-west-2:000000000000:mapRun:Orders/Each:1";
    assert_eq!(
        states("DescribeMapRun", json!({"mapRunArn": run})),
        ["DescribeMapRun mapRun:Orders/Each:1"]
    );
    assert_eq!(
        states("ListExecutions", json!({"mapRunArn": run})),
        ["ListExecutions mapRun:Orders/Each:1"]
    );
    assert_eq!(
        states("SendTaskSuccess", json!({"taskToken": "x"})),
        ["SendTaskSuccess unknown"]
    );
}

#[test]
fn a_function_is_what_it_is_called_by() {
    let scope = Scope {
        region: "us-west-2".into(),
        ..Scope::default()
    };
    let own = "arn:aws:lambda:us-west-2:000000000000:function:store";
    for (name, resource) in [
        ("store", own),
        (own, own),
        ("000000000000:function:store", own),
        (
            "store:live",
            "arn:aws:lambda:us-west-2:000000000000:function:store:live",
        ),
        (
            "arn:aws:lambda:eu-west-1:1:function:x:2",
            "arn:aws:lambda:eu-west-1:1:function:x:2",
        ),
    ] {
        assert_eq!(invoke(&scope, name).resource.as_deref(), Some(resource), "{name}");
    }
}

/// An operation that is added is judged, or fails here.
#[test]
fn every_operation_is_of_something() {
    use crate::integrations;
    let arn = "arn:aws:states:us-west-2:000000000000:stateMachine:Orders";
    let everything = json!({
        "activityArn": arn, "executionArn": arn, "mapRunArn": arn, "name": "x", "resourceArn": arn, "taskToken": "x",
        "stateMachineArn": arn, "stateMachineAliasArn": arn, "stateMachineVersionArn": arn,
        "routingConfiguration": [{"stateMachineVersionArn": arn, "weight": 100}]});
    for operation in integrations::states::operations() {
        assert_eq!(states(operation, everything.clone()).len(), 1, "{operation}");
    }
    let table = json!({"TableName": "T"});
    let everything =
        json!({"TableName": "T", "RequestItems": {"T": {}}, "TransactItems": [{"Get": table, "Put": table}]});
    for operation in integrations::dynamodb::operations() {
        assert!(!dynamodb(operation, everything.clone()).is_empty(), "{operation}");
    }
}

proptest! {
    #[test]
    fn nothing_that_is_sent_makes_it_panic(body in any::<Vec<u8>>(), text in ".*", operation in "[A-Za-z]{0,20}") {
        let scope = Scope::default();
        let json = json!({"TableName": &text, "SecretId": &text, "Statement": &text, "stateMachineArn": &text,
            "Statements": [{"Statement": &text}], "Entries": [{"EventBusName": &text}]}).to_string();
        for service in [Service::DynamoDb, Service::Events, Service::Lambda, Service::Secrets, Service::States] {
            for operation in [&*operation, "ExecuteStatement", "BatchExecuteStatement"] {
                accesses(&scope, service, operation, &body);
                accesses(&scope, service, operation, json.as_bytes());
            }
        }
        invoke(&scope, &text);
        unqualified(&text);
    }
}

#[test]
fn what_cannot_be_read_is_left_to_its_service() {
    for body in [json!(1), json!({}), json!({"TableName": 1}), json!([])] {
        assert!(dynamodb("GetItem", body.clone()).is_empty(), "{body}");
        assert!(states("StartExecution", body).is_empty());
    }
    let scope = Scope::default();
    assert!(accesses(&scope, Service::DynamoDb, "GetItem", b"{\"TableName\":").is_empty());
}
