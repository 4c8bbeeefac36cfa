use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;

use super::*;

/// What is found in the template with this definition: `file:line:column CODE`.
fn found(template: &str, definition: &str) -> Vec<String> {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("template.yaml");
    fs::create_dir(directory.path().join("app")).expect("a directory");
    fs::write(directory.path().join("app/bootstrap"), "").expect("the function");
    fs::write(&path, template).expect("the template");
    fs::write(directory.path().join("flow.asl.json"), definition).expect("the definition");
    let settings = Settings {
        region: "us-west-2".into(),
        parameters: BTreeMap::new(),
        gateway_url: "http://127.0.0.1:3000".into(),
    };
    let problems = check(&path, &settings);
    let shown = problems.iter().map(|problem| {
        let file = problem.file.file_name().unwrap_or_default().display();
        format!("{file}:{}:{} {}", problem.line, problem.column, problem.code)
    });
    shown.collect()
}

const TEMPLATE: &str = "\
Transform: AWS::Serverless-2016-10-31
Resources:
  Work:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: work, Handler: bootstrap, Runtime: provided.al2023, CodeUri: app/}
  Flow:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: flow.asl.json
      DefinitionSubstitutions:
        WorkArn: !GetAtt Work.Arn
      Policies: AdministratorAccess
";

#[test]
fn places_are_those_of_the_text_as_it_was_written() {
    let definition = r#"{"StartAt": "A/B", "States": {
  "A/B": {"Type": "Task", "Resource": "${WorkArn}", "Next": "C[0]"},
  "C[0]": {"Type": "Task", "Resource": "${WorkArn}", "Parameters": {"a": "${WorkArn}", "b": "$.b"},
    "Catch": [{"ErrorEquals": ["Gone"], "Next": "Nowhere"}], "End": true}}}"#;
    assert_eq!(
        found(TEMPLATE, definition),
        [
            "flow.asl.json:3:93 LITERAL_PATH",
            "flow.asl.json:4:49 MISSING_TRANSITION_TARGET",
        ]
    );
}

#[test]
fn a_missing_substitution_hides_nothing_else() {
    let definition = r#"{"StartAt": "A", "States": {
  "A": {"Type": "Task", "Resource": "${MissingArn}", "TimeoutSeconds": "soon", "Next": "B"},
  "B": {"Type": "Wait", "Seconds": ${Pause}, "Next": "${After}"},
  "C": {"Type": "Task", "Resource": "${WorkArn}", "Next": "Nowhere"}}}"#;
    assert_eq!(
        found(TEMPLATE, definition),
        [
            "flow.asl.json:1:1 MISSING_END_STATE",
            "flow.asl.json:2:38 MISSING_SUBSTITUTION",
            "flow.asl.json:2:72 SCHEMA_VALIDATION_FAILED",
            "flow.asl.json:3:36 MISSING_SUBSTITUTION",
            "flow.asl.json:3:55 MISSING_SUBSTITUTION",
            // C, which nothing leads to, as AWS says it; then what its own Next lacks.
            "flow.asl.json:4:8 MISSING_TRANSITION_TARGET",
            "flow.asl.json:4:59 MISSING_TRANSITION_TARGET",
        ]
    );
}

#[test]
fn what_the_template_does_not_have_is_named() {
    let task = |resource: &str, parameters: &str| {
        let definition = format!(
            r#"{{"StartAt": "A", "States": {{"A": {{"Type": "Task", "End": true,
"Resource": "{resource}",
"Parameters": {parameters}, "Comment": "${{WorkArn}}"}}}}}}"#
        );
        found(TEMPLATE, &definition)
    };
    let function = "arn:aws:lambda:us-west-2:000000000000:function";
    let invoke = "arn:aws:states:::lambda:invoke";
    for known in ["work", "work:live", "${WorkArn}", &format!("{function}:work:3")] {
        let parameters = format!(r#"{{"FunctionName": "{known}"}}"#);
        assert!(task(invoke, &parameters).is_empty(), "{known}");
    }
    assert!(task(&format!("{function}:work"), "{}").is_empty());
    let not = |line: usize, column: usize| vec![format!("flow.asl.json:{line}:{column} NOT_IN_TEMPLATE")];
    assert_eq!(task(&format!("{function}:wrok"), "{}"), not(2, 13));
    assert_eq!(task(invoke, r#"{"FunctionName": "wrok"}"#), not(3, 32));
    assert!(task(invoke, r#"{"FunctionName.$": "$.function"}"#).is_empty());
    let get_item = "arn:aws:states:::dynamodb:getItem";
    assert_eq!(task(get_item, r#"{"TableName": "tickets", "Key": {}}"#), not(3, 29));
    let start = "arn:aws:states:::states:startExecution.sync:2";
    let machine = r#"{"StateMachineArn": "arn:aws:states:us-west-2:000000000000:stateMachine:Other"}"#;
    assert_eq!(task(start, machine), not(3, 35));
}

#[test]
fn what_a_state_machine_may_not_do_is_named_where_it_asks_for_it() {
    let definition = r#"{"StartAt": "A", "States": {
"A": {"Type": "Task", "Next": "B", "Resource": "${WorkArn}"},
"B": {"Type": "Task", "Next": "C", "Resource": "arn:aws:states:::lambda:invoke",
  "Parameters": {"FunctionName": "work", "Qualifier": "live"}},
"C": {"Type": "Task", "Next": "D", "Resource": "arn:aws:states:::aws-sdk:dynamodb:query",
  "Parameters": {"TableName": "Orders", "IndexName": "by-day"}},
"D": {"Type": "Task", "End": true, "Resource": "arn:aws:states:::states:startExecution.sync:2",
  "Parameters": {"StateMachineArn": "arn:aws:states:us-west-2:000000000000:stateMachine:Flow"}}}}"#;
    let table = "
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: Orders
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: day, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      GlobalSecondaryIndexes:
        - IndexName: by-day
          KeySchema: [{AttributeName: day, KeyType: HASH}]
          Projection: {ProjectionType: ALL}
";
    let with = |policies: &str| {
        let template = TEMPLATE.replace("Policies: AdministratorAccess", &format!("Policies: {policies}"));
        found(&format!("{template}{table}"), definition)
    };
    let missing = |place: &str| format!("flow.asl.json:{place} MISSING_PERMISSION");
    let all = ["2:48", "4:34", "6:31", "7:48", "8:37"].map(missing);
    assert_eq!(with("[]"), all);
    assert_eq!(with("AdministratorAccess"), [""; 0]);
    let enough = "
        - LambdaInvokePolicy: {FunctionName: !Ref Work}
        - DynamoDBReadPolicy: {TableName: !Ref Orders}
        - StepFunctionsExecutionPolicy: {StateMachineName: Flow}
        - Statement:
            - Effect: Allow
              Action: [events:DescribeRule, events:PutRule, events:PutTargets]
              Resource: !Sub arn:aws:events:${AWS::Region}:${AWS::AccountId}:rule/StepFunctionsGetEvents*";
    assert_eq!(with(enough), [""; 0]);
    let too_narrow = "
        - Statement:
            - {Effect: Allow, Action: lambda:InvokeFunction, Resource: !GetAtt Work.Arn}
            - {Effect: Allow, Action: dynamodb:Query, Resource: !GetAtt Orders.Arn}
            - {Effect: Allow, Action: states:StartExecution, Resource: !Ref Flow}";
    assert_eq!(with(too_narrow), ["4:34", "6:31", "7:48"].map(missing));
    let not_judged = "arn:aws:iam::000000000000:policy/ours";
    assert_eq!(with(not_judged), ["template.yaml:12:17 PERMISSION_NOT_JUDGED"]);
}

#[test]
fn a_distributed_map_starts_executions_of_its_own_state_machine() {
    let definition = r#"{"StartAt": "All", "States": {"All": {"Type": "Parallel", "Comment": "${WorkArn}", "End": true,
"Branches": [{"StartAt": "Each", "States": {"Each": {"Type": "Map", "End": true, "ItemProcessor": {
  "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
  "StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}}}}]}}}"#;
    let template = TEMPLATE.replace("AdministratorAccess", "AWSLambdaRole");
    assert_eq!(found(&template, definition), ["flow.asl.json:3:31 MISSING_PERMISSION"]);
    let template = TEMPLATE.replace("AdministratorAccess", "AWSStepFunctionsFullAccess");
    assert_eq!(found(&template, definition), [""; 0]);
}

#[test]
fn an_integration_that_is_not_there_is_named() {
    let definition = r#"{"StartAt": "A", "States": {"A": {"Type": "Task", "Comment": "${WorkArn}", "End": true,
"Resource": "arn:aws:states:::sqs:sendMessages"}}}"#;
    assert_eq!(
        found(TEMPLATE, definition),
        ["flow.asl.json:2:13 SCHEMA_VALIDATION_FAILED"]
    );
}

#[test]
fn substitutions_are_warned_of_where_they_stand() {
    let definition = r#"{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}"#;
    assert_eq!(found(TEMPLATE, definition), ["template.yaml:11:9 UNUSED_SUBSTITUTION"]);
}

#[test]
fn rules_and_schedules_that_eventbridge_refuses_are_named_with_their_place() {
    let template = "\
Transform: AWS::Serverless-2016-10-31
Resources:
  Work:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: work
      Handler: bootstrap
      Runtime: provided.al2023
      CodeUri: app/
      Events:
        Never: {Type: Schedule, Properties: {Schedule: rate(0 minutes)}}
        Both: {Type: Schedule, Properties: {Schedule: cron(* * * * * *)}}
        Text: {Type: Schedule, Properties: {Schedule: daily}}
        Right: {Type: Schedule, Properties: {Schedule: rate(5 minutes)}}
        Source: {Type: EventBridgeRule, Properties: {Pattern: {source: aws.states}}}
        Matcher: {Type: EventBridgeRule, Properties: {Pattern: {source: [{prefx: a}]}}}
";
    let found = found(template, "{}");
    let codes: Vec<&str> = found
        .iter()
        .map(|problem| problem.rsplit(' ').next().unwrap_or_default())
        .collect();
    let (schedule, pattern) = ("INVALID_SCHEDULE", "INVALID_EVENT_PATTERN");
    assert_eq!(codes, [schedule, schedule, schedule, pattern, pattern], "{found:?}");
    let lines: Vec<&str> = found.iter().filter_map(|problem| problem.split(':').nth(1)).collect();
    assert_eq!(lines, ["11", "12", "13", "15", "16"], "{found:?}");
}

#[test]
fn authorizers_that_api_gateway_refuses_are_named_with_their_place() {
    let template = |issuer: &str, audience: &str| {
        format!(
            "\
Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        Authorizers:
          Jwt:
            JwtConfiguration:
              {{issuer: \"{issuer}\", audience: {audience}}}
"
        )
    };
    let found = |issuer: &str, audience: &str| found(&template(issuer, audience), "{}");
    assert!(found("https://login.example.com/team", "[me]").is_empty());
    for wrong in [
        "http://login.example.com",
        "http://127.0.0.1:9000",
        "login.example.com",
        "",
    ] {
        assert_eq!(
            found(wrong, "[me]"),
            ["template.yaml:10:15 INVALID_ISSUER"],
            "{wrong:?}"
        );
    }
    for nobody in ["[]", "[\"\"]"] {
        assert_eq!(
            found("https://login.example.com", nobody),
            ["template.yaml:10:15 NO_AUDIENCE"]
        );
    }
}

#[test]
fn of_a_definition_that_cannot_be_read_nothing_is_said_but_that() {
    assert_eq!(found(TEMPLATE, "{\"StartAt\": ").len(), 1);
}
