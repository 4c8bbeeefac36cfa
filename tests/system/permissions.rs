//! Permissions that a template lacks: they show here as they would on AWS.
//!
//! That the project's own template lacks none is shown by every other test: a server that refused something fails it.

use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::deliveries::Issue;
use crate::project::Project;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_lacks_an_action_fails_as_on_aws_until_it_is_granted() {
    let granted = "Action: [dynamodb:BatchGetItem, dynamodb:GetItem, dynamodb:PutItem, dynamodb:UpdateItem]";
    let project = Project::copy().change("template.yaml", granted, &granted.replace(", dynamodb:UpdateItem", ""));
    let mut server = Server::start_with(&["--template", &project.template()]).may_refuse();
    let (status, answer) = server.post(&Issue { number: 1 }.created()).await;
    assert_eq!(status, 202, "{answer}");
    let name = answer["execution"].as_str().expect("a name").to_owned();

    let execution = server.execution(&name, "FAILED").await;
    assert_eq!(execution["error"], "TableRefused", "{execution}");
    let cause = execution["cause"].as_str().expect("a cause");
    assert!(
        cause.contains(
            "User: arn:aws:sts::000000000000:assumed-role/StoreTicketFunctionRole/StoreTicketFunction is not \
             authorized to perform: dynamodb:UpdateItem on resource: \
             arn:aws:dynamodb:us-west-2:000000000000:table/Tickets because no identity-based policy allows the \
             dynamodb:UpdateItem action"
        ),
        "{cause}"
    );

    server.kill();
    server.restart_with(&[]);
    let redriven = server
        .http
        .post(format!("{}/executions/{name}/redrive", server.api))
        .send()
        .await;
    assert!(redriven.expect("an answer").status().is_success());
    server.execution(&name, "SUCCEEDED").await;
}

/// A state machine that tries something in each branch, and may do what `POLICIES` says; what each comes to is its
/// output.
fn template(policies: &str) -> String {
    let arn = |service: &str, resource: &str| format!("arn:aws:{service}:us-west-2:000000000000:{resource}");
    let machine = arn("states", "stateMachine:Nested");
    let tasks = [
        (
            "arn:aws:states:::dynamodb:getItem",
            json!({"TableName": "Orders", "Key": {"pk": {"S": "1"}}}),
        ),
        (
            "arn:aws:states:::aws-sdk:dynamodb:scan",
            json!({"TableName": "Orders", "IndexName": "by-day"}),
        ),
        (
            "arn:aws:states:::states:startExecution",
            json!({"StateMachineArn": machine}),
        ),
        (
            "arn:aws:states:::aws-sdk:sfn:listExecutions",
            json!({"StateMachineArn": machine}),
        ),
        (
            "arn:aws:states:::events:putEvents",
            json!({"Entries": [{"Source": "shop", "DetailType": "Paid", "Detail": {}}]}),
        ),
        ("arn:aws:states:::lambda:invoke", json!({"FunctionName": "nobody:live"})),
        (&*arn("lambda", "function:nobody"), json!({})),
    ];
    let branches = tasks.iter().enumerate().map(|(number, (resource, parameters))| {
        let (attempt, refused) = (format!("Try {number}"), format!("Refused {number}"));
        json!({"StartAt": attempt, "States": {
            &attempt: {"Type": "Task", "Resource": resource, "Parameters": parameters, "ResultPath": null, "End": true,
                "Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": refused}]},
            &refused: {"Type": "Pass", "End": true}}})
    });
    let branches: Vec<Value> = branches.collect();
    let definition =
        json!({"StartAt": "All", "States": {"All": {"Type": "Parallel", "End": true, "Branches": branches}}});
    format!(
        "Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: Orders
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{{AttributeName: pk, AttributeType: S}}, {{AttributeName: day, AttributeType: S}}]
      KeySchema: [{{AttributeName: pk, KeyType: HASH}}]
      GlobalSecondaryIndexes:
        - IndexName: by-day
          KeySchema: [{{AttributeName: day, KeyType: HASH}}]
          Projection: {{ProjectionType: ALL}}
  Nested:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: {{StartAt: Done, States: {{Done: {{Type: Succeed}}}}}}
  Shop:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: {definition}
      {policies}
"
    )
}

/// What each branch came to: nothing, or its error and cause.
async fn tried(server: &Server, machine: &str) -> Vec<(String, String)> {
    let states = server.states().await;
    let started = states.start_execution().state_machine_arn(machine).input("{}").send();
    let arn = started.await.expect("it starts").execution_arn;
    let output = server
        .until("the execution to end", || async {
            let execution = states.describe_execution().execution_arn(&arn).send().await.ok()?;
            assert_ne!(execution.status(), &ExecutionStatus::Failed, "{execution:?}");
            execution.output().map(str::to_owned)
        })
        .await;
    let output: Vec<Value> = serde_json::from_str(&output).expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    output
        .iter()
        .map(|one| (text(&one["Error"]), text(&one["Cause"])))
        .collect()
}

/// The error of a state that is tested by itself in a role, and starts an execution: none if it may.
async fn tested(server: &Server, role: &str) -> String {
    let state = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Parameters": {"StateMachineArn": "arn:aws:states:us-west-2:000000000000:stateMachine:Nested"},
        "End": true,
    });
    let role = format!("arn:aws:iam::000000000000:role/{role}");
    let request = server
        .http
        .post(&server.aws)
        .header("x-amz-target", "AWSStepFunctions.TestState");
    let request = request.header("content-type", "application/x-amz-json-1.0");
    // The SDK would put `sync-` before the host, which loopback does not have.
    let request = request.body(json!({"definition": state.to_string(), "roleArn": role}).to_string());
    let answer = request.send().await.expect("an answer").json::<Value>().await;
    let answer = answer.expect("JSON");
    assert!(answer["status"].is_string(), "{answer}");
    answer["error"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_machine_that_lacks_rights_fails_by_the_names_of_each_integration() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("template.yaml");
    std::fs::write(&path, template("")).expect("it can be written");
    let mut server = Server::start_with(&["--template", &path.display().to_string()]).may_refuse();
    let machine = "arn:aws:states:us-west-2:000000000000:stateMachine:Shop";
    let lambda = "arn:aws:lambda:us-west-2:000000000000:function:nobody";
    let nested = "arn:aws:states:us-west-2:000000000000:stateMachine:Nested";
    let table = "arn:aws:dynamodb:us-west-2:000000000000:table/Orders";
    let refused = tried(&server, machine).await;
    let optimised = |service: &str, status: u16| {
        format!(" (Service: {service}; Status Code: {status}; Error Code: AccessDeniedException; Request ID: ")
    };
    let sdk = |service: &str| format!(" (Service: {service}, Status Code: 400, Request ID: ");
    let expected = [
        (
            "DynamoDB.AmazonDynamoDBException",
            "dynamodb:GetItem",
            table.to_owned(),
            optimised("AmazonDynamoDBv2", 400),
        ),
        (
            "DynamoDb.DynamoDbException",
            "dynamodb:Scan",
            format!("{table}/index/by-day"),
            sdk("DynamoDb"),
        ),
        (
            "StepFunctions.AWSStepFunctionsException",
            "states:StartExecution",
            nested.to_owned(),
            optimised("AWSStepFunctions", 400),
        ),
        (
            "Sfn.SfnException",
            "states:ListExecutions",
            nested.to_owned(),
            sdk("Sfn"),
        ),
        (
            "EventBridge.AmazonEventBridgeException",
            "events:PutEvents",
            "arn:aws:events:us-west-2:000000000000:event-bus/default".to_owned(),
            optimised("AmazonEventBridge", 400),
        ),
        (
            "Lambda.AWSLambdaException",
            "lambda:InvokeFunction",
            format!("{lambda}:live"),
            optimised("AWSLambda", 403),
        ),
        (
            "Lambda.AWSLambdaException",
            "lambda:InvokeFunction",
            lambda.to_owned(),
            optimised("AWSLambda", 403),
        ),
    ];
    assert_eq!(refused.len(), expected.len());
    for ((error, cause), (wanted, action, resource, told)) in refused.iter().zip(expected) {
        assert_eq!(error, wanted, "{cause}");
        let sentence = format!(
            "User: arn:aws:sts::000000000000:assumed-role/ShopRole/Shop is not authorized to perform: {action} on \
             resource: {resource} because no identity-based policy allows the {action} action{told}"
        );
        assert!(cause.starts_with(&sentence), "{cause}");
    }

    assert_eq!(
        tested(&server, "ShopRole").await,
        "StepFunctions.AWSStepFunctionsException"
    );
    assert_eq!(
        tested(&server, "ElsewhereRole").await,
        "",
        "it is none of the template's"
    );

    // The account's owner may do all of it, and so may the state machine once it is allowed to.
    let policies = "Policies:
        - DynamoDBReadPolicy: {TableName: !Ref Orders}
        - StepFunctionsExecutionPolicy: {StateMachineName: !GetAtt Nested.Name}
        - EventBridgePutEventsPolicy: {EventBusName: default}
        - Statement:
            - {Effect: Allow, Action: states:ListExecutions, Resource: !Ref Nested}
            - Effect: Allow
              Action: lambda:InvokeFunction
              Resource: !Sub arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:nobody*";
    std::fs::write(&path, template(policies)).expect("it can be written");
    server.kill();
    server.restart();
    let errors: Vec<String> = tried(&server, machine)
        .await
        .into_iter()
        .map(|(error, _)| error)
        .collect();
    let gone = "Lambda.ResourceNotFoundException";
    assert_eq!(errors, ["", "", "", "", "", gone, gone]);
    assert_eq!(tested(&server, "ShopRole").await, "");
}

/// What is posted, changed and asked for so that every function of the ways in and out does all that it can.
async fn everything(server: &Server) {
    let answer = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.expect("an answer");
        let (status, answer) = (response.status(), response.text().await.expect("a text"));
        assert!(status.is_success(), "{status}: {answer}");
        serde_json::from_str::<Value>(&answer).unwrap_or_default()
    };
    let ended = async |answer: &Value| {
        let name = answer["execution"].as_str().expect("a name");
        server.execution(name, "SUCCEEDED").await;
    };
    let path = |path: &str| format!("{}{path}", server.api);

    let issue = Issue { number: 1 };
    for body in [issue.created(), issue.resolved(600_000), issue.reopened(900_000)] {
        ended(&server.post(&body).await.1).await;
    }
    // It cannot be read, and is kept.
    server
        .post(br#"{"webhookEvent": "jira:issue_updated", "issue": 7}"#)
        .await;

    // Due long ago, so that its clock tells of the breach at once.
    let ticket = json!({"summary": "late", "created": "2026-01-05T10:00:00Z", "completed": "", "priority": "High"});
    let create = || {
        server
            .http
            .post(path("/tickets"))
            .header("idempotency-key", "one")
            .body(ticket.to_string())
    };
    let created = answer(create()).await;
    ended(&created).await;
    assert_eq!(answer(create()).await, created, "it is the same request");
    let id = created["ticket"].as_str().expect("an id").to_owned();
    let change = server.http.patch(path(&format!("/tickets/{id}")));
    ended(&answer(change.body(json!({"summary": "later"}).to_string())).await).await;

    for question in [
        "/tickets",
        "/tickets?state=open&q=late",
        "/tickets?priority=High",
        "/tickets?project=SHOP",
        "/deliveries",
        "/executions?status=FAILED",
        "/executions/nothing",
        "/metrics/quality",
        "/metrics/aging",
        "/metrics/durations",
        "/metrics/throughput",
        "/metrics/tickets-per-minute",
        "/recompute",
        "/health",
        "/openapi.json",
        "/console",
        &format!("/tickets/{id}"),
        &format!("/tickets/{id}/history"),
        &format!("/tickets/{id}/executions"),
    ] {
        server.http.get(path(question)).send().await.expect("an answer");
    }

    // Of each state machine an execution that fails and is told of.
    let states = server.states().await;
    let machines = ["TicketLifecycle", "SlaClock", "Recompute", "Reconciliation"];
    for name in machines {
        let machine = server.machine(&states, name).await;
        let started = states
            .start_execution()
            .state_machine_arn(&machine)
            .name(format!("senseless-{name}"));
        started.input("7").send().await.expect("it starts");
    }
    server
        .until("all failures to be recorded", || async {
            let (_, failed) = server.get("/executions?status=FAILED").await;
            let failed = failed.to_string();
            machines
                .iter()
                .all(|name| failed.contains(&format!("senseless-{name}")))
                .then_some(())
        })
        .await;
    for name in ["senseless-TicketLifecycle", "nothing"] {
        let redrive = server.http.post(path(&format!("/executions/{name}/redrive")));
        redrive.send().await.expect("an answer");
    }

    answer(server.http.post(path("/recompute"))).await;
    let delete = server.http.delete(path(&format!("/tickets/{id}")));
    ended(&answer(delete).await).await;
    server
        .until("a breach to be told and the recompute to end", || async {
            for machine in ["SlaClock", "Recompute"] {
                let arn = server.machine(&states, machine).await;
                let executions = states.list_executions().state_machine_arn(arn).send().await.ok()?;
                let mut executions = executions.executions().iter();
                executions.find(|execution| *execution.status() == ExecutionStatus::Succeeded)?;
            }
            Some(())
        })
        .await;
}

/// What is only used where something went wrong: a ticket whose first step failed gets its key's alias with the failure,
/// and a step whose answer was lost reads what it had recorded.
const ONLY_IN_TROUBLE: [&str; 3] = [
    "RecordFailureFunctionRole: dynamodb:PutItem",
    "StoreTicketFunctionRole: dynamodb:GetItem",
    "ValidateTicketFunctionRole: dynamodb:GetItem",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_template_grants_is_used() {
    let environment = [("RUST_LOG", "runtime=debug,info")];
    let policy = format!("Policy={}", json!({"sla": [{"priority": "High", "close": "2d"}]}));
    let mut server = Server::start_in(&environment, &[]);
    // Judged by the policy before, so that there is something to recompute.
    let (_, answer) = server.post(&Issue { number: 2 }.created()).await;
    server
        .execution(answer["execution"].as_str().expect("a name"), "SUCCEEDED")
        .await;
    server.kill();
    server.restart_with(&["--parameter", &policy]);
    everything(&server).await;
    let has_ended = server.terminate();
    assert!(has_ended(&mut server));
    let log = server.whole_log();
    let unused: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("granted by the template, and not used"))
        .filter_map(|line| line.split_once("grant=").map(|(_, grant)| grant))
        .collect();
    assert!(!unused.is_empty(), "what is not done here has grants, too");
    // These need a JIRA, or an event that was lost: other tests do what they do.
    let others = ["Sweep", "Reconcil"];
    let unused: Vec<&str> = unused
        .into_iter()
        .filter(|grant| !others.iter().any(|other| grant.starts_with(other)))
        .collect();
    assert_eq!(unused, ONLY_IN_TROUBLE);
}
