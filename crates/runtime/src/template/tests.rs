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
    Metadata: {Subject: [$.order.name, $.order.id]}
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

fn problem_at(pointer: &str, message: &str) -> asl::Problem {
    asl::Problem {
        severity: Severity::Error,
        code: "CODE",
        message: message.to_owned(),
        pointer: pointer.to_owned(),
        member: None,
    }
}

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
        (
            flow.subject.as_ref().map(|subject| subject.texts.len()),
            flow.machine_type
        ),
        (Some(2), MachineType::Standard)
    );
    let problem = flow.source.problem(problem_at("/States/Read/Resource", "unknown"));
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

#[test]
fn globals_are_merged_as_sam_merges_them() {
    let global = node::parse("{a: {x: 1, y: 2}, l: [1, 2], s: one, r: {Ref: A}, o: {k: 1}}").unwrap();
    let local = node::parse("{a: {y: 3, z: 4}, l: [3], s: two, r: {b: 1}, o: !Ref B, n: 5}").unwrap();
    let expected = json!({
        "a": { "x": 1, "y": 3, "z": 4 }, "l": [1, 2, 3], "s": "two", "r": { "b": 1 }, "o": { "Ref": "B" }, "n": 5,
    });
    assert_eq!(globals::merge(&global, &local).to_json(), expected);
}

#[test]
fn a_template_may_be_json_with_tabs() {
    let project = Project::new(
        "{\n\t\"Transform\": \"AWS::Serverless-2016-10-31\",\n\t\"Resources\": {\n\t\t\"Read\": {\n\
         \t\t\t\"Type\": \"AWS::Serverless::Function\",\n\
         \t\t\t\"Properties\": {\"CodeUri\": \"app\", \"FunctionName\": \"\\ud83d\\ude00\", \"Timeout\": 0}\n\t\t}\n\t}\n}",
    );
    let expected = "\
template.yaml:6:53: \"😀\" cannot be the name of a AWS::Serverless::Function
template.yaml:6:80: Read: Timeout is a whole number from 1 to 900, not \"0\"";
    assert_eq!(project.problems(&settings()), expected);
}

#[test]
fn syntax_errors_are_located() {
    let cases = [
        ("a: [1, 2\nb: 3", "template.yaml:2:2: this is not YAML"),
        ("a: 1\n b: 2", "template.yaml:2:3: this is not YAML"),
        (
            "{\"a\": 1,\n  \"b\" 2}",
            "template.yaml:2:7: this is not JSON: expected `:`",
        ),
        (
            "Resources: {}\nResources: {}",
            "template.yaml:2:1: Resources is here twice, first at 1:1",
        ),
        ("a: 1\n---\nb: 2", "template.yaml:3:1: a template is one document"),
        ("", "template.yaml:1:1: a template is a map of sections, not nothing"),
        ("a: *b", "template.yaml:1:4: this is not YAML"),
        ("? [a]\n: 1", "template.yaml:1:3: a key is text, not a list"),
    ];
    for (text, expected) in cases {
        let problems = Project::new(text).problems(&settings());
        assert!(problems.starts_with(expected), "{text:?} gave {problems}");
    }
    for depth in [150, 100_000] {
        let deep = Project::new(&format!("a: {}", "[".repeat(depth))).problems(&settings());
        let refused = deep.ends_with("nested more than 100 deep") || deep.ends_with("recursion limit exceeded");
        assert!(refused, "{deep}");
    }
    let laughs: String = (1..30)
        .map(|n| format!("a{n}: &a{n} [*a{p}, *a{p}]\n", p = n - 1))
        .collect();
    let laughs = Project::new(&format!("a0: &a0 [x]\n{laughs}")).problems(&settings());
    assert!(laughs.contains("more than 500000 values"), "{laughs}");
}

#[test]
fn no_text_makes_the_reader_panic() {
    let whole: Vec<char> = ORDINARY.chars().collect();
    for length in (0..whole.len()).step_by(31) {
        let text: String = whole[..length].iter().collect();
        let _ = node::parse(&text);
        for intruder in ["\t", "{", "]", "\u{feff}", "&", "- ", "!", "'", "\0", ": "] {
            let rest: String = whole[length..].iter().take(40).collect();
            let _ = node::parse(&format!("{text}{intruder}{rest}"));
        }
    }
    for line in 0..ORDINARY.lines().count() {
        let text: Vec<&str> = ORDINARY
            .lines()
            .enumerate()
            .filter(|(n, _)| *n != line)
            .map(|(_, text)| text)
            .collect();
        let project = Project::new(&text.join("\n")).write("statemachine/flow.asl.json", FLOW);
        let _ = project.load(&settings());
    }
}

#[test]
fn a_value_is_located_by_its_pointer() {
    let json = "{\n  \"a/b\": [1, {\"c\": true}],\n\t\"~\": \"\\\"}\"\n}";
    let yaml = "a/b:\n  - 1\n  - c: yes\n'~': x\n";
    let cases = [
        ("/", (1, 1), (1, 1)),
        ("/a/b", (2, 10), (2, 3)),
        ("/a/b[1]", (2, 14), (3, 5)),
        ("/a/b[1]/c", (2, 20), (3, 8)),
        ("/~", (3, 7), (4, 6)),
        // What is missing is missing in what is around it.
        ("/a/b[1]/d/e", (2, 14), (3, 5)),
        ("/a/b[9]", (2, 10), (2, 3)),
        ("/a", (1, 1), (1, 1)),
    ];
    for (pointer, in_json, in_yaml) in cases {
        let at = |text| {
            let root = node::parse(text).expect("it is YAML");
            let at = positions::find(&root, pointer);
            (at.at.line, at.at.column)
        };
        assert_eq!((at(json), at(yaml)), (in_json, in_yaml), "{pointer}");
    }
}

#[test]
fn substitutions_are_complete_and_used() {
    let template = "Transform: AWS::Serverless-2016-10-31
Resources:
  Flow:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: flow.asl.json
      DefinitionSubstitutions:
        Quoted: 'say \"hi\"'
        Seconds: 30
";
    let flow = "{\"Comment\": \"${Quoted} $${x.y} {}\",\n \"TimeoutSeconds\": ${Seconds}}";
    let project = Project::new(template).write("flow.asl.json", flow);
    let expected = "{\"Comment\": \"say \\\"hi\\\" $${x.y} {}\",\n \"TimeoutSeconds\": 30}";
    assert_eq!(project.template().state_machines[0].definition, expected);

    let project = project.write(
        "flow.asl.json",
        "{\"Comment\": \"${Quoted}\",\n \"A\": \"ü${Missing}\"}",
    );
    let expected = "\
flow.asl.json:2:9: Flow: DefinitionSubstitutions has no Missing
template.yaml:9:9: Flow: the definition does not use the substitution Seconds";
    let (understood, problems) = Template::examine(&project.path("template.yaml"), &settings());
    assert_eq!(shown(&problems, project.directory.path()), expected);
    let severities: Vec<Severity> = problems.iter().map(|problem| problem.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Warning]);
    let source = &understood.state_machines[0].source;
    assert_eq!([source.is_unknown("/A"), source.is_unknown("/Comment")], [true, false]);

    let project = project.write("flow.asl.json", "{\"Comment\": \"${Quoted} ${Seconds}\",\n \"A\" }");
    assert_eq!(
        project.problems(&settings()),
        "flow.asl.json:2:6: this is not JSON: expected `:`"
    );
}

#[test]
fn a_definition_may_stand_in_the_template() {
    let project = Project::new(
        "Transform: AWS::Serverless-2016-10-31
Resources:
  Flow:
    Type: AWS::Serverless::StateMachine
    Properties:
      Type: EXPRESS
      Definition:
        StartAt: Wait
        States:
          Wait: {Type: Wait, Seconds: 1, End: true, Comment: '${Note}'}
      DefinitionSubstitutions: {Note: a \"note\"}
      Events:
        Often: {Type: Schedule, Properties: {Schedule: rate(1 minute), Enabled: false}}
",
    );
    let template = project.template();
    let flow = &template.state_machines[0];
    let definition: serde_json::Value = serde_json::from_str(&flow.definition).unwrap();
    let wait = json!({ "Type": "Wait", "Seconds": 1, "End": true, "Comment": "a \"note\"" });
    assert_eq!(definition, json!({ "StartAt": "Wait", "States": { "Wait": wait } }));
    assert_eq!(flow.machine_type, MachineType::Express);
    let problem = flow.source.problem(problem_at("/States/Wait/Seconds", "too short"));
    assert_eq!(
        shown(&[problem], project.directory.path()),
        "template.yaml:10:39: too short"
    );
    let schedule = &template.schedules[0];
    assert_eq!((schedule.name.as_str(), schedule.enabled), ("FlowOften", false));
    assert_eq!(schedule.target, Target::StateMachine(flow.arn.clone()));
}

#[test]
fn what_executions_are_about_is_a_path_or_several() {
    let problems = |metadata: &str| {
        let template = format!(
            "Transform: AWS::Serverless-2016-10-31
Resources:
  Flow:
    Type: AWS::Serverless::StateMachine
    Metadata: {metadata}
    Properties: {{Definition: {{StartAt: Wait, States: {{Wait: {{Type: Wait, Seconds: 1, End: true}}}}}}}}
"
        );
        Project::new(&template).problems(&settings())
    };
    assert_eq!(
        problems("{Subject: [$.name, order, {id: 1}], SubjectLink: 'javascript:{}'}"),
        "template.yaml:5:34: Flow: Subject is not a path: Value must be a valid JSONPath or a valid intrinsic \
         function call.\n\
         template.yaml:5:41: Flow: Subject must be a path such as $.order.id, or several\n\
         template.yaml:5:64: Flow: SubjectLink must be a path or an http address with {} in it"
    );
    assert_eq!(
        problems("{Subject: []}"),
        "template.yaml:5:25: Flow: Subject must be a path such as $.order.id, or several"
    );
}

#[test]
fn an_api_has_settings_authorizers_and_throttles() {
    let project = Project::new(
        "Transform: AWS::Serverless-2016-10-31
Globals:
  HttpApi: {DefaultRouteSettings: {ThrottlingBurstLimit: 10, ThrottlingRateLimit: 5.5}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      StageVariables: {level: 3}
      CorsConfiguration: {AllowOrigins: ['https://a.example'], AllowMethods: [GET], MaxAge: 60}
      Auth:
        DefaultAuthorizer: Jwt
        Authorizers:
          Jwt:
            AuthorizationScopes: [read]
            IdentitySource: $request.header.Authorization
            JwtConfiguration: {issuer: 'https://issuer.example', audience: [me]}
      RouteSettings: {GET /b: {ThrottlingRateLimit: 1}}
  Read:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: app
      Events:
        A: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /a, Method: GET, TimeoutInMillis: 500}}
        B: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /b, Method: GET, Auth: {AuthorizationScopes: [write]}}}
        C: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /c, Method: ANY, Auth: {Authorizer: NONE}}}
",
    );
    let api = project.template().http_api.unwrap();
    assert_eq!(api.stage_variables["level"], "3");
    assert_eq!(api.cors.as_ref().unwrap().max_age_seconds, Some(60));
    assert_eq!(api.authorizers["Jwt"].issuer, "https://issuer.example");
    let standard = Throttle {
        rate: Some(5.5),
        burst: Some(10),
    };
    let [a, b, c] = api.routes.as_slice() else {
        panic!("three routes")
    };
    let jwt = |scope: &str| {
        Some(RouteAuthorizer {
            name: "Jwt".into(),
            scopes: vec![scope.into()],
        })
    };
    assert_eq!(
        (a.timeout, a.throttle, &a.authorizer),
        (Duration::from_millis(500), Some(standard), &jwt("read"))
    );
    assert_eq!(
        (b.throttle, &b.authorizer),
        (
            Some(Throttle {
                rate: Some(1.0),
                burst: None
            }),
            &jwt("write")
        )
    );
    assert_eq!((c.key.to_string().as_str(), &c.authorizer), ("ANY /c", &None));
}

#[test]
fn an_authorizer_that_trusts_the_templates_own_user_pool_is_local() {
    let project = Project::new(
        "Transform: AWS::Serverless-2016-10-31
Parameters:
  Issuer: {Type: String, Default: ''}
Conditions:
  Ours: !Equals [!Ref Issuer, '']
Resources:
  Pool: {Type: AWS::Cognito::UserPool, Condition: Ours}
  Client: {Type: AWS::Cognito::UserPoolClient, Condition: Ours, Properties: {UserPoolId: !Ref Pool}}
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        Authorizers:
          Spelled:
            JwtConfiguration:
              issuer: !If [Ours, !Sub 'https://cognito-idp.${AWS::Region}.${AWS::URLSuffix}/${Pool}', !Ref Issuer]
              audience: !If [Ours, [!Ref Client], [them]]
          Asked:
            IdentitySource: $request.querystring.token
            JwtConfiguration: {issuer: !If [Ours, !GetAtt Pool.ProviderURL, !Ref Issuer], audience: [me]}
",
    );
    let api = project.template().http_api.unwrap();
    let [spelled, asked] = ["Spelled", "Asked"].map(|name| &api.authorizers[name]);
    assert!(spelled.is_local && asked.is_local, "{api:?}");
    assert_eq!(spelled.issuer, asked.issuer);
    assert!(
        spelled
            .issuer
            .starts_with("https://cognito-idp.us-west-2.amazonaws.com/us-west-2_"),
        "{spelled:?}"
    );
    assert_eq!(spelled.audience.first().map(String::len), Some(26), "{spelled:?}");
    assert_eq!(spelled.identity_source, IdentitySource::Header("authorization".into()));
    assert_eq!(asked.identity_source, IdentitySource::Query("token".into()));

    let elsewhere = project.load(&with(&[("Issuer", &spelled.issuer)])).unwrap();
    let api = elsewhere.http_api.unwrap();
    assert!(
        !api.authorizers["Spelled"].is_local,
        "the pool does not exist now, whatever its URL"
    );
    assert_eq!(api.authorizers["Spelled"].audience, ["them"]);
}

#[test]
fn an_api_that_cannot_be_served_is_refused() {
    let project = Project::new(
        "Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties: {StageName: prod, DefinitionUri: openapi.yaml, RouteSettings: {GET /x: {ThrottlingRateLimit: 1}}}
  Read:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: app
      Events:
        A: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /a, Method: GET, Auth: {Authorizer: Nobody}}}
        B: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /a, Method: get}}
        C: {Type: HttpApi, Properties: {Path: /c, Method: GET}}
        D: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /d}}
        E: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: '/{p+}/e', Method: FETCH, PayloadFormatVersion: '1.0'}}
",
    );
    let expected = "\
template.yaml:5:29: Api: StageName is one of $default, not \"prod\"
template.yaml:5:35: Api: DefinitionUri is not supported
template.yaml:5:80: Api, RouteSettings: there is no route GET /x
template.yaml:11:9: there is no authorizer Nobody
template.yaml:12:9: the route GET /a is there twice
template.yaml:13:9: without ApiId this route belongs to an API beside Api: a second one is not supported
template.yaml:14:9: Read, event D: Path and Method need each other
template.yaml:15:64: Read, event E: FETCH is not a method of a route
template.yaml:15:112: Read, event E: PayloadFormatVersion is one of 2.0, not \"1.0\"";
    assert_eq!(project.problems(&settings()), expected);
}

#[test]
fn secrets_stay_secret() {
    let project = Project::new(
        "Transform: AWS::Serverless-2016-10-31
Parameters:
  Key: {Type: String, NoEcho: true, Default: hunter2}
Resources:
  Key1: {Type: AWS::SecretsManager::Secret, Properties: {SecretString: !Ref Key}}
  Read:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: app, Environment: {Variables: {KEY: !Ref Key}}}
Outputs:
  Shown: {Value: !Sub 'key ${Key}'}
",
    );
    let template = project.template();
    assert_eq!(template.functions["Read"].environment["KEY"], "hunter2");
    assert_eq!(template.outputs[0].value, "key ****");
    assert!(!format!("{template:?}").contains("hunter2"));
    let wrong = Project::new(&one_variable(
        "Parameters: {Key: {Type: String, NoEcho: true, Default: hunter2}}",
        "x}}, Timeout: {Ref: Key}, Layers: {a: {b: c",
    ));
    let problems = wrong.problems(&settings());
    assert!(
        problems.contains("not \"****\"") && !problems.contains("hunter2"),
        "{problems}"
    );
}

#[test]
fn resources_exist_under_their_conditions() {
    let text = |used: &str| {
        format!(
            "Transform: AWS::Serverless-2016-10-31
Conditions:
  Never: !Equals [a, b]
  Round: !Not [!Condition Round]
Resources:
  Gone: {{Type: AWS::Serverless::SimpleTable, Condition: Never}}
  Kept: {{Type: AWS::Serverless::SimpleTable, Properties: {{PrimaryKey: {{Name: k, Type: Number}}}}}}
  Read:
    Type: AWS::Serverless::Function
    Properties: {{CodeUri: app, Environment: {{Variables: {{X: {used}}}}}}}
"
        )
    };
    let problems = Project::new(&text("!Ref Gone")).problems(&settings());
    let expected = "\
template.yaml:4:27: the condition Round depends on itself
template.yaml:10:66: Gone does not exist: its condition is false";
    assert_eq!(problems, expected);
    let sound = text("!If [Never, !Ref Gone, !Ref Kept]").replace("  Round: !Not [!Condition Round]\n", "");
    let template = Project::new(&sound).template();
    assert_eq!(template.functions["Read"].environment["X"], "Kept");
    let [table] = template.tables.as_slice() else {
        panic!("one table")
    };
    assert_eq!(
        table.create_table["AttributeDefinitions"],
        json!([{ "AttributeName": "k", "AttributeType": "N" }])
    );
}

#[test]
fn an_alias_of_a_state_machine_is_no_number_and_its_version_is_not_known_yet() {
    let template = r#"
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::StateMachine
    Properties:
      AutoPublishAlias: ALIAS
      Definition: {StartAt: P, States: {P: {Type: Pass, End: true}}}
Outputs:
  Orders:
    Value: !Ref Orders.PART
"#;
    let refused = |alias, part| {
        let template = template.replace("ALIAS", alias).replace("PART", part);
        Project::new(&template).problems(&settings())
    };
    assert!(refused("'12'", "Alias").contains("12 cannot be the name of a state machine's alias"));
    assert!(refused("live", "Version").contains("refer to Orders.Alias"));
    let template = Project::new(&template.replace("ALIAS", "live").replace("PART", "Alias")).template();
    assert!(
        template
            .outputs
            .iter()
            .any(|output| output.value.ends_with(":stateMachine:Orders:live"))
    );
}
