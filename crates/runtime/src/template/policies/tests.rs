use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::super::{Problem, Settings, Severity, Template};
use crate::iam::{Policies, Service};

fn settings() -> Settings {
    Settings {
        region: "us-west-2".into(),
        parameters: Default::default(),
        gateway_url: "http://127.0.0.1:3000".into(),
    }
}

/// A template with a function `F`, a state machine `M`, a table `T`, and what is added to them.
fn template(function: &str, more: &str) -> String {
    format!(
        "Transform: AWS::Serverless-2016-10-31
Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: Orders
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{{AttributeName: pk, AttributeType: S}}]
      KeySchema: [{{AttributeName: pk, KeyType: HASH}}]
  Log:
    Type: AWS::Logs::LogGroup
  M:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: {{StartAt: S, States: {{S: {{Type: Succeed}}}}}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: provided.al2023
      CodeUri: app
{function}
{more}"
    )
}

fn examine(text: &str) -> (Template, Vec<Problem>) {
    let directory = TempDir::new().expect("a directory");
    fs::create_dir(directory.path().join("app")).expect("a folder");
    fs::write(directory.path().join("app/bootstrap"), "").expect("a program");
    let path = directory.path().join("template.yaml");
    fs::write(&path, text).expect("a template");
    Template::examine(&path, &settings())
}

/// The problems, one a line, without their file.
fn problems(text: &str) -> String {
    let (_, problems) = examine(text);
    let lines = problems.iter().map(|problem| {
        let file = problem.file.file_name().map(Path::new).unwrap_or(Path::new(""));
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Problem {
            line, column, message, ..
        } = problem;
        format!("{}:{line}:{column}: {severity}: {message}\n", file.display())
    });
    lines.collect()
}

/// Which of the operations the function may not do; nothing else may be wrong with the template.
fn refused(text: &str, operations: &[(Service, &str, &str)]) -> Vec<String> {
    let (mut template, problems) = examine(text);
    assert_eq!(problems, [], "{text}");
    let policies = Policies::take(&mut template, "us-west-2");
    let caller = policies.holder("function.F").expect("the function's role is known");
    let refused = operations.iter().filter(|(service, operation, body)| {
        let judged = policies.may(caller, *service, operation, body.as_bytes());
        judged.is_err()
    });
    refused.map(|(_, operation, _)| (*operation).to_owned()).collect()
}

const OPERATIONS: &[(Service, &str, &str)] = &[
    (Service::DynamoDb, "GetItem", r#"{"TableName":"Orders"}"#),
    (Service::DynamoDb, "PutItem", r#"{"TableName":"Orders"}"#),
    (Service::DynamoDb, "Query", r#"{"TableName":"Orders","IndexName":"i"}"#),
    (
        Service::States,
        "StartExecution",
        r#"{"stateMachineArn":"arn:aws:states:us-west-2:000000000000:stateMachine:M"}"#,
    ),
    (Service::Events, "PutEvents", r#"{"Entries":[{"Source":"s"}]}"#),
];

#[test]
fn without_policies_nothing_is_allowed() {
    assert_eq!(
        refused(&template("", ""), OPERATIONS),
        ["GetItem", "PutItem", "Query", "StartExecution", "PutEvents"]
    );
}

#[test]
fn statements_policy_templates_and_managed_policies_allow_what_they_do_on_aws() {
    let policies = "      Policies:
        - Statement: {Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt T.Arn}
        - Version: 2012-10-17
          Statement:
            - {Effect: Allow, Action: [dynamodb:Query], Resource: [!Sub '${T.Arn}/index/*']}
            - {Effect: Allow, Action: 'logs:*', Resource: [!GetAtt Log.Arn, !Sub '${Log.Arn}:*']}";
    assert_eq!(
        refused(&template(policies, ""), OPERATIONS),
        ["PutItem", "StartExecution", "PutEvents"]
    );
    let policies = "      Policies:
        - DynamoDBReadPolicy: {TableName: !Ref T}
        - StepFunctionsExecutionPolicy: {StateMachineName: !GetAtt M.Name}
        - S3ReadPolicy: {BucketName: b}
        - AWSXRayDaemonWriteAccess";
    assert_eq!(refused(&template(policies, ""), OPERATIONS), ["PutItem", "PutEvents"]);
    let policies = "      Policies: arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess";
    assert_eq!(
        refused(&template(policies, ""), OPERATIONS),
        ["StartExecution", "PutEvents"]
    );
    let policies = "      Policies: {EventBridgePutEventsPolicy: {EventBusName: default}}";
    assert_eq!(
        refused(&template(policies, ""), OPERATIONS),
        ["GetItem", "PutItem", "Query", "StartExecution"]
    );
}

/// Spellings of one grant that IAM takes for the same.
#[test]
fn a_grant_is_one_however_it_is_written() {
    for statement in [
        "{Effect: Allow, Action: 'DynamoDB:getitem', Resource: !GetAtt T.Arn}",
        "{Effect: Allow, Action: dynamodb:Get?tem, Resource: !Sub '${T.Arn}*'}",
        "{Effect: Allow, Action: 'dynamodb:Get*', Resource: !Sub 'arn:${AWS::Partition}:dynamodb:*:*:table/${T}'}",
        "{Effect: Allow, Action: ['dynamodb:GetItem'], Resource: 'arn:aws:dynamodb:*:table/Orders'}",
        "{Effect: Allow, Action: ['dynamodb:GetItem'], Resource: 'arn:aws:dynamodb'}",
        "{Effect: Allow, Action: ['dynamodb:GetItem'], Resource: '*:*'}",
        "{Effect: Allow, Action: [dynamodb:GetItem, 's3:*'], Resource: ['arn:aws:s3:::b', !GetAtt T.Arn]}",
        "{Sid: Get, Effect: Allow, Action: dynamodb:GetItem, Resource:
          !Join [':', ['arn:aws:dynamodb', !Ref AWS::Region, !Ref AWS::AccountId, !Sub 'table/${T}']]}",
        "{Effect: Allow, Action: dynamodb:GetItem, Resource: '*', Condition: {Bool: {aws:SecureTransport: true}}}",
        "{Effect: Allow, Action: dynamodb:GetItem, Resource: '*', Condition: {StringEquals:
          {'AWS:RequestedRegion': [!Ref AWS::Region], aws:PrincipalAccount: !Ref AWS::AccountId}}}",
    ] {
        let policies = format!("      Policies:\n        Statement: {statement}");
        assert_eq!(
            refused(&template(&policies, ""), OPERATIONS),
            ["PutItem", "Query", "StartExecution", "PutEvents"],
            "{statement}"
        );
    }
    let everything = "      Policies: {Statement: {Effect: Allow, Action: '*:*', Resource: '*:*'}}";
    assert_eq!(refused(&template(everything, ""), OPERATIONS), [""; 0]);
}

#[test]
fn a_policy_may_name_the_role_that_sam_makes() {
    let attached = "
  Attached:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: start
      PolicyDocument: {Statement: {Effect: Allow, Action: 'states:*', Resource: !Ref M}}
      Roles: [!Ref FRole]";
    assert_eq!(
        refused(&template("", attached), OPERATIONS),
        ["GetItem", "PutItem", "Query", "PutEvents"]
    );
}

#[test]
fn a_role_of_the_template_has_its_own_policies_and_those_attached_to_it() {
    let roles = "
  R:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {}
      ManagedPolicyArns: [!Sub 'arn:${AWS::Partition}:iam::aws:policy/CloudWatchEventsFullAccess', !Ref Managed]
      Policies:
        - PolicyName: read
          PolicyDocument: {Statement: [{Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt T.Arn}]}
  Managed:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument: {Statement: {Effect: Allow, Action: dynamodb:Query, Resource: '*'}}
  Attached:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: start
      PolicyDocument: {Statement: {Effect: Allow, Action: 'states:*', Resource: !Ref M}}
      Roles: [!Ref R]
  Others:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: others
      PolicyDocument: {Statement: {Effect: Allow, Action: '*', Resource: '*'}}
      Roles: [other]";
    // With a role SAM leaves out the policies.
    let function = "      Role: !GetAtt R.Arn\n      Policies: AmazonDynamoDBFullAccess";
    assert_eq!(refused(&template(function, roles), OPERATIONS), ["PutItem"]);
}

#[test]
fn what_only_aws_knows_is_a_warning_and_refuses_nothing() {
    let function = "      Policies:
        - arn:aws:iam::000000000000:policy/ours
        - Statement:
            Effect: Deny
            Action: '*'
            Resource: !ImportValue Table
            Condition: {IpAddress: {aws:SourceIp: 10.0.0.0/8}}";
    let text = template(function, "");
    assert_eq!(
        problems(&text),
        "template.yaml:22:11: warning: F: the policy arn:aws:iam::000000000000:policy/ours is not known here\n\
         template.yaml:26:36: warning: F: a permission that only AWS knows: Fn::ImportValue is not supported\n\
         template.yaml:27:37: warning: F: IpAddress of aws:SourceIp is not judged\n"
    );
    let (mut template, _) = examine(&text);
    assert!(
        Policies::take(&mut template, "us-west-2")
            .holder("function.F")
            .is_none()
    );
    let elsewhere = "      Role: arn:aws:iam::000000000000:role/ours";
    let (mut template, problems) = examine(&super::tests::template(elsewhere, ""));
    assert_eq!(problems[0].message, "F: its role is not one of the template's");
    assert!(
        Policies::take(&mut template, "us-west-2")
            .holder("function.F")
            .is_none()
    );
}

/// Whether the function may not read an item, whatever else is said of its template.
fn is_refused(text: &str) -> bool {
    let (mut template, problems) = examine(text);
    assert!(
        problems.iter().all(|problem| problem.severity == Severity::Warning),
        "{problems:?}"
    );
    assert!(!problems.is_empty(), "it is told");
    let policies = Policies::take(&mut template, "us-west-2");
    let (service, operation, body) = OPERATIONS[0];
    let caller = policies.holder("function.F");
    caller.is_some_and(|caller| policies.may(caller, service, operation, body.as_bytes()).is_err())
}

#[test]
fn no_part_of_a_statement_that_only_aws_knows_refuses_anything() {
    let allow = "Effect: Allow, Action: 'dynamodb:*', Resource: '*'";
    for statement in [
        "{Effect: !ImportValue E, Action: 'dynamodb:*', Resource: '*'}".to_owned(),
        "{Effect: Allow, Action: !ImportValue A, Resource: '*'}".to_owned(),
        "{Effect: Deny, Action: [!ImportValue A], Resource: '*'}".to_owned(),
        "{Effect: Allow, Action: 'dynamodb:*', Resource: !ImportValue R}".to_owned(),
        "{Effect: Allow, Action: 'dynamodb:*', Resource: !Ref Live}".to_owned(),
        "{Effect: Allow, Action: 'dynamodb:*', Resource: 'arn:aws:dynamodb:*:*:table/${aws:username}'}".to_owned(),
        format!("{{{allow}, Condition: {{StringEquals: {{aws:PrincipalArn: !ImportValue P}}}}}}"),
        format!("{{{allow}, Condition: {{ArnEquals: {{aws:PrincipalArn: !GetAtt Other.Arn}}}}}}"),
        format!("{{{allow}, Condition: {{StringEquals: {{dynamodb:LeadingKeys: [a]}}}}}}"),
        format!("{{{allow}}}, {{Effect: Deny, Action: '*', Resource: '*', Condition: !ImportValue C}}"),
        format!("{{{allow}}}, {{Effect: Deny, Action: '*', Resource: '*', Condition: {{StringLike: !ImportValue C}}}}"),
    ] {
        let more = "
  Live: {Type: AWS::Lambda::Alias}
  Other: {Type: AWS::IAM::Role}";
        let policies = format!("      Policies: [{{Statement: [{statement}]}}]");
        assert!(!is_refused(&template(&policies, more)), "{statement}");
    }
}

#[test]
fn a_boundary_is_told_of() {
    let boundary = "arn:aws:iam::000000000000:policy/no-more";
    let own = format!("      PermissionsBoundary: {boundary}");
    assert_eq!(
        problems(&template(&own, "")),
        "template.yaml:21:28: warning: F: its PermissionsBoundary is not judged\n"
    );
    let role = format!("  R: {{Type: AWS::IAM::Role, Properties: {{PermissionsBoundary: {boundary}}}}}");
    assert_eq!(
        problems(&template("      Role: !GetAtt R.Arn", &role)),
        "template.yaml:22:63: warning: F: its PermissionsBoundary is not judged\n"
    );
}

#[test]
fn a_policy_that_iam_would_refuse_is_an_error_with_its_place() {
    let function = "      Policies:
        - Statement:
            - {Effect: Permit, Action: dynamodb:GetItem, Resource: '*'}
            - {Effect: Allow, Action: GetItem, Resource: Orders}
            - {Effect: Allow, Actions: 'dynamodb:*', Resource: '*', NotResource: '*'}
            - {Effect: Allow, Action: {a: b}, Resource: '*', Condition: {StringIs: {events:source: x}}}
            - text
            - {Effect: Allow, Action: '*', Resource: '*', Condition: [a]}
            - {Effect: Allow, Action: '*', Resource: '*', Condition: {StringLike: x}}
        - {DynamoDBReadPolicy: {Table: x}}
        - {Statements: []}
        - 3: 4
          5: 6
        - [a]";
    assert_eq!(
        problems(&template(function, "")),
        "template.yaml:23:15: error: F, Policies: a statement has the Effect Allow or Deny\n\
         template.yaml:24:39: error: F, Policies: an action is written service:Name, or *\n\
         template.yaml:24:58: error: F, Policies: a resource is an ARN or *, not \"Orders\"\n\
         template.yaml:25:15: error: F, Policies: a statement has an Action\n\
         template.yaml:25:31: error: F, Policies: a statement of a role has no Actions\n\
         template.yaml:25:82: error: F, Policies: a statement has either Resource or NotResource\n\
         template.yaml:26:39: error: F, Policies: Action is text or a list of texts, not a map\n\
         template.yaml:26:74: error: F, Policies: there is no condition operator StringIs\n\
         template.yaml:27:15: error: F, Policies: a statement is a map of Effect, Action and Resource\n\
         template.yaml:28:70: error: F, Policies: a Condition is a map of operators to maps of keys, not a list\n\
         template.yaml:29:83: error: F, Policies: a Condition is a map of operators to maps of keys, not text\n\
         template.yaml:30:12: error: F, Policies: DynamoDBReadPolicy has the parameter TableName\n\
         template.yaml:31:11: error: F, Policies: a policy has a Statement or names a policy template with its \
         parameters\n\
         template.yaml:32:11: error: F, Policies: a policy has a Statement or names a policy template with its \
         parameters\n\
         template.yaml:34:11: error: F, Policies: a policy is the name of one, a document or a policy template\n"
    );
}
