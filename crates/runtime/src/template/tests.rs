use std::{fs, path::Path};

use serde_json::json;
use tempfile::TempDir;

use super::*;

fn settings() -> Settings {
    Settings {
        region: "us-west-2".into(),
        parameters: BTreeMap::new(),
        gateway_url: "http://127.0.0.1:3000".into(),
    }
}

fn with(parameters: &[(&str, &str)]) -> Settings {
    let parameters = parameters
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    Settings {
        parameters: parameters.collect(),
        ..settings()
    }
}

/// A directory with a template and a function's code in it.
struct Project {
    directory: TempDir,
}

impl Project {
    fn new(template: &str) -> Project {
        let project = Project {
            directory: TempDir::new().unwrap(),
        };
        project.write("app/bootstrap", "").write("template.yaml", template)
    }

    fn write(self, path: &str, text: &str) -> Project {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn load(&self, settings: &Settings) -> Result<Template, Vec<Problem>> {
        Template::load(&self.path("template.yaml"), settings)
    }

    fn template(&self) -> Template {
        self.load(&settings())
            .unwrap_or_else(|problems| panic!("{}", shown(&problems, self.directory.path())))
    }

    /// The problems, one a line, files relative to the project.
    fn problems(&self, settings: &Settings) -> String {
        shown(&self.load(settings).unwrap_err(), self.directory.path())
    }
}

fn shown(problems: &[Problem], directory: &Path) -> String {
    let directory = format!("{}/", directory.display());
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| problem.to_string().replace(&directory, ""))
        .collect();
    lines.join("\n")
}

/// A template of one function whose environment holds `value` as `X`.
fn one_variable(sections: &str, value: &str) -> String {
    format!(
        "Transform: AWS::Serverless-2016-10-31\n{sections}\nResources:\n  Read:\n    Type: AWS::Serverless::Function\n    \
         Properties: {{CodeUri: app, Environment: {{Variables: {{X: {value}}}}}}}\n"
    )
}

fn variable(sections: &str, value: &str, settings: &Settings) -> Result<String, String> {
    let project = Project::new(&one_variable(sections, value));
    match project.load(settings) {
        Ok(template) => Ok(template.functions["Read"].environment["X"].clone()),
        Err(problems) => Err(shown(&problems, project.directory.path())),
    }
}

const ORDINARY: &str = r#"
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: test, AllowedValues: [test, prod]}
Globals:
  Function:
    Runtime: provided.al2023
    Handler: bootstrap
    Timeout: 10
    MemorySize: 256
    Environment:
      Variables:
        TABLE_NAME: !Ref Orders
        STAGE: !Ref Stage
Resources:
  Read:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: app
      Timeout: 5
      Policies:
        - Version: "2012-10-17"
          Statement:
            - {Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt Orders.Arn}
      Environment:
        Variables:
          MACHINE: !Ref Flow
          SECRET: !Ref Key
      Events:
        One: {Type: HttpApi, Properties: {Path: "/orders/{id}", Method: get}}
        Rest: {Type: HttpApi}
        Hourly: {Type: Schedule, Properties: {Schedule: rate(1 hour), Input: '{"full":true}'}}
  Failed:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: record-failure}}
    Properties:
      FunctionName: !Sub "failed-${Stage}"
      CodeUri: steps
      Events:
        Status:
          Type: EventBridgeRule
          Properties:
            Pattern:
              source: [aws.states]
              detail: {status: [FAILED], stateMachineArn: [!Ref Flow]}
  Flow:
    Type: AWS::Serverless::StateMachine
    Metadata: {Subject: $.order.id}
    Properties:
      Name: order-flow
      DefinitionUri: statemachine/flow.asl.json
      DefinitionSubstitutions: {ReadArn: !GetAtt Read.Arn}
      Policies: [{LambdaInvokePolicy: {FunctionName: !Ref Read}}]
      Logging: {Level: ERROR}
  Orders:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: PK, AttributeType: S}]
      KeySchema: [{AttributeName: PK, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: true}
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
  Key:
    Type: AWS::SecretsManager::Secret
    Properties: {Name: app/key, GenerateSecretString: {PasswordLength: 40, ExcludePunctuation: true}}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties: {AlarmName: !Sub "${AWS::StackName}-failed", Dimensions: [{Name: F, Value: !Ref Failed}]}
Outputs:
  Url: {Value: !Sub "https://${ServerlessHttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/orders"}
  Table: {Value: !Ref Orders, Description: Where orders lie}
  Alarm: {Value: !GetAtt Alarm.Arn}
"#;

const FLOW: &str = r#"{ "StartAt": "Read", "States": { "Read":
    { "Type": "Task", "Resource": "${ReadArn}", "End": true } } }"#;

#[test]
fn an_ordinary_template_is_resolved() {
    let project = Project::new(ORDINARY).write("statemachine/flow.asl.json", FLOW);
    let template = project.template();

    let read = &template.functions["Read"];
    assert_eq!(read.arn, "arn:aws:lambda:us-west-2:000000000000:function:Read");
    assert_eq!((read.timeout.as_secs(), read.memory_mb, &read.build), (5, 256, &None));
    assert_eq!(read.code_uri, project.path("app"));
    let environment: Vec<(&str, &str)> = read.environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let machine = "arn:aws:states:us-west-2:000000000000:stateMachine:order-flow";
    let secret = template.secrets[0].arn.as_str();
    assert_eq!(
        environment,
        [
            ("MACHINE", machine),
            ("SECRET", secret),
            ("STAGE", "test"),
            ("TABLE_NAME", "Orders")
        ]
    );
    assert!(
        secret.starts_with("arn:aws:secretsmanager:us-west-2:000000000000:secret:app/key-"),
        "{secret}"
    );
    let failed = &template.functions["Failed"];
    assert_eq!(
        (failed.name.as_str(), failed.build.as_deref()),
        ("failed-test", Some("record-failure"))
    );

    let flow = &template.state_machines[0];
    assert_eq!(flow.definition, FLOW.replace("${ReadArn}", &read.arn));
    assert_eq!(
        (flow.subject.as_deref(), flow.machine_type),
        (Some("$.order.id"), MachineType::Standard)
    );
    let problem = flow.source.problem("/States/Read/Resource", "unknown");
    assert_eq!(
        shown(&[problem], project.directory.path()),
        "statemachine/flow.asl.json:2:35: unknown"
    );

    let table = &template.tables[0];
    assert_eq!(
        table.create_table,
        json!({
            "AttributeDefinitions": [{ "AttributeName": "PK", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "PK", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" },
            "TableName": "Orders",
        })
    );
    assert_eq!(table.ttl_attribute.as_deref(), Some("expires_at"));

    let api = template.http_api.as_ref().unwrap();
    let routes: Vec<String> = api
        .routes
        .iter()
        .map(|route| format!("{} {}", route.key, route.function))
        .collect();
    assert_eq!(routes, ["GET /orders/{id} Read", "$default Read"]);
    let rule = &template.rules[0];
    assert_eq!(
        (rule.name.as_str(), &rule.target),
        ("FailedStatus", &Target::Function("failed-test".into()))
    );
    assert_eq!(rule.pattern["detail"]["stateMachineArn"], json!([machine]));
    let schedule = &template.schedules[0];
    assert_eq!((schedule.expression.as_str(), schedule.enabled), ("rate(1 hour)", true));
    assert_eq!(schedule.input, TargetInput::Constant(r#"{"full":true}"#.into()));
    let outputs: Vec<(&str, &str)> = template
        .outputs
        .iter()
        .map(|o| (o.name.as_str(), o.value.as_str()))
        .collect();
    assert_eq!(outputs, [("Url", "http://127.0.0.1:3000/orders"), ("Table", "Orders")]);
    assert_eq!(
        template.ignored,
        [(LogicalId("Alarm".into()), "AWS::CloudWatch::Alarm".to_owned())]
    );
}

#[test]
fn intrinsic_functions_give_what_cloudformation_gives() {
    let sections = "
Parameters:
  Names: {Type: CommaDelimitedList, Default: 'a, b ,c'}
  Size: {Type: Number, Default: 12}
  Secret: {Type: String, NoEcho: true, Default: s3cret}
Mappings:
  Sizes: {us-west-2: {small: one, large: two}}
Conditions:
  Small: !Equals [!Ref Size, '12']
  Big: !Not [!Condition Small]
  Both: !And [{Condition: Small}, !Not [{Condition: Big}]]
  Either: !Or [!Condition Big, !Equals [a, b]]";
    let cases = [
        ("!Ref Size", "12"),
        ("!Ref Secret", "s3cret"),
        ("!Ref AWS::Region", "us-west-2"),
        ("!Ref 'AWS::StackName'", "ticketflow"),
        ("{Ref: 'AWS::AccountId'}", "000000000000"),
        ("!Join ['-', !Ref Names]", "a-b-c"),
        ("!Select [1, !Ref Names]", "b"),
        ("!Select ['1', !Split ['|', 'x|y']]", "y"),
        ("!FindInMap [Sizes, !Ref AWS::Region, large]", "two"),
        ("!If [Both, yes, no]", "yes"),
        ("!If [Either, {Ref: Missing}, later]", "later"),
        ("!Sub '${AWS::Partition}:${Size}:${!Size}'", "aws:12:${Size}"),
        ("!Sub ['${Size}${X}', {X: !Ref Size}]", "1212"),
        ("{'Fn::Sub': 'x${AWS::URLSuffix}'}", "xamazonaws.com"),
        ("{'Fn::Base64': hello}", "aGVsbG8="),
        ("012345678901", "012345678901"),
        ("true", "true"),
        ("!GetAtt ServerlessHttpApi.ApiEndpoint", "http://127.0.0.1:3000"),
    ];
    for (value, expected) in cases {
        let found = variable(sections, value, &settings());
        // A condition that is false leaves its branch unread; that a name is missing is wrong all the same.
        match found {
            Ok(found) => assert_eq!(found, expected, "{value}"),
            Err(problems) if value.contains("Missing") => {
                assert!(problems.contains("no parameter or resource Missing"))
            }
            Err(problems) => panic!("{value}: {problems}"),
        }
    }
}

#[test]
fn all_problems_come_at_once_with_their_places() {
    let project = Project::new(
        "Transform: AWS::Serverless-2016-10-31
Parameters:
  Size: {Type: Number, Default: big}
Resources:
  Read:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: app
      Timeout: 901
      Layers: [one]
      Environment:
        Variables:
          A: !Ref Nobody
          B: !ImportValue x
      Events:
        Bucket: {Type: S3}
        Get: {Type: HttpApi, Properties: {Path: '/x{y}', Method: get}}
  Queue:
    Type: AWS::SQS::Queue
",
    );
    let expected = "\
template.yaml:3:3: parameter Size: \"big\" is not a number
template.yaml:9:16: Read: Timeout is a whole number from 1 to 900, not \"901\"
template.yaml:10:7: Read: Layers is not supported
template.yaml:13:19: there is no parameter or resource Nobody
template.yaml:14:27: Fn::ImportValue is not supported
template.yaml:16:9: Read, event Bucket: the type S3 is not supported
template.yaml:17:49: Read, event Get: the path /x{y} has a malformed part \"x{y}\"
template.yaml:18:3: Queue: the type AWS::SQS::Queue is not supported";
    assert_eq!(project.problems(&settings()), expected);
}

#[test]
fn parameters_are_given_and_checked() {
    let sections = "
Parameters:
  Stage: {Type: String, AllowedValues: [a, b]}
  Key: {Type: String, NoEcho: true, AllowedPattern: '[a-f]+', Default: abc}";
    assert_eq!(variable(sections, "!Ref Stage", &with(&[("Stage", "b")])).unwrap(), "b");
    let refused = |parameters: &[(&str, &str)]| variable(sections, "!Ref Stage", &with(parameters)).unwrap_err();
    assert_eq!(
        refused(&[]),
        "template.yaml:4:3: parameter Stage: it has no Default: give it with --parameter Stage=VALUE"
    );
    assert_eq!(
        refused(&[("Stage", "c")]),
        "template.yaml:4:3: parameter Stage: \"c\" is not one of a, b"
    );
    assert_eq!(
        refused(&[("Stage", "a"), ("Key", "xyz")]),
        "template.yaml:5:3: parameter Key: the value does not match [a-f]+"
    );
    assert_eq!(
        refused(&[("Stage", "a"), ("Other", "1")]),
        "template.yaml:4:3: there is no parameter Other to give a value to"
    );
}

#[test]
fn the_projects_own_template_is_understood() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    let template =
        Template::load(&path, &settings()).unwrap_or_else(|problems| panic!("{}", shown(&problems, Path::new("/"))));
    assert!(template.http_api.is_some_and(|api| !api.routes.is_empty()));
    assert!(template.functions.values().all(|function| function.build.is_some()));
}
