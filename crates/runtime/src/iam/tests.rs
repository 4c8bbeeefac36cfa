use proptest::prelude::*;

use super::condition::Lookup;
use super::condition::arn_matches;
use super::policy::{covers, glob};
use super::*;

const TABLE: &str = "arn:aws:dynamodb:us-west-2:000000000000:table/Orders";

fn statement(effect: Effect, actions: &[&str], resources: &[&str]) -> Statement {
    let actions = actions
        .iter()
        .map(|action| ActionPattern::parse(action).expect("an action"));
    Statement {
        effect,
        actions: Selection::Only(actions.collect()),
        resources: Selection::Only(
            resources
                .iter()
                .map(|resource| ResourcePattern::parse(resource))
                .collect(),
        ),
        conditions: Vec::new(),
        seen: Seen::default(),
    }
}

fn allow(actions: &[&str], resources: &[&str]) -> Statement {
    statement(Effect::Allow, actions, resources)
}

fn deny(actions: &[&str], resources: &[&str]) -> Statement {
    statement(Effect::Deny, actions, resources)
}

/// The policies of one function, `reader`, in a stack with one secret.
fn policies(statements: Vec<Statement>) -> Policies {
    let role = Role {
        name: "ReaderRole".into(),
        policy: Some(Policy { statements }),
    };
    let caller = Caller::new(role, "reader").expect("the role is known");
    Policies {
        functions: [(access_key("reader"), caller)].into(),
        scope: Scope {
            region: "us-west-2".into(),
            secrets: [(
                "token".to_owned(),
                "arn:aws:secretsmanager:us-west-2:000000000000:secret:token-abcdef".to_owned(),
            )]
            .into(),
        },
        ..Policies::default()
    }
}

/// What a request of the function comes to: nothing, or AWS's sentence.
fn judged(statements: Vec<Statement>, service: Service, operation: &str, body: &str) -> Option<String> {
    let policies = policies(statements);
    let caller = policies.holder("function.reader").expect("the function");
    let judged = policies.may(caller, service, operation, body.as_bytes());
    judged.err().map(|denial| denial.to_string())
}

fn get_item(statements: Vec<Statement>) -> Option<String> {
    judged(statements, Service::DynamoDb, "GetItem", r#"{"TableName":"Orders"}"#)
}

#[test]
fn what_nobody_allows_is_refused_in_awss_words() {
    let refused = get_item(vec![allow(&["dynamodb:PutItem"], &[TABLE])]).expect("it is refused");
    assert_eq!(
        refused,
        "User: arn:aws:sts::000000000000:assumed-role/ReaderRole/reader is not authorized to perform: \
         dynamodb:GetItem on resource: arn:aws:dynamodb:us-west-2:000000000000:table/Orders because no identity-based \
         policy allows the dynamodb:GetItem action"
    );
    assert_eq!(
        get_item(vec![allow(&["dynamodb:PutItem", "dynamodb:GetItem"], &[TABLE])]),
        None
    );
    assert_eq!(
        get_item(vec![allow(&["dynamodb:getitem"], &["*"])]),
        None,
        "actions have no case"
    );
    assert!(
        get_item(vec![allow(&["dynamodb:*"], &[&TABLE.to_lowercase()])]).is_some(),
        "resources have one"
    );
    assert!(get_item(vec![allow(&["states:*"], &["*"])]).is_some());
    assert!(get_item(Vec::new()).is_some());
}

#[test]
fn a_deny_wins_wherever_it_stands() {
    for statements in [
        vec![allow(&["*"], &["*"]), deny(&["dynamodb:Get*"], &["*"])],
        vec![deny(&["dynamodb:Get*"], &["*"]), allow(&["*"], &["*"])],
    ] {
        let refused = get_item(statements).expect("it is refused");
        assert!(
            refused.ends_with("table/Orders with an explicit deny in an identity-based policy"),
            "{refused}"
        );
    }
    assert_eq!(
        get_item(vec![allow(&["*"], &["*"]), deny(&["dynamodb:PutItem"], &["*"])]),
        None
    );
}

#[test]
fn not_action_and_not_resource_are_all_the_others() {
    let all_but = |action: &str, resource: &str| {
        let patterns = Selection::AllBut(vec![ResourcePattern::parse(resource)]);
        vec![Statement {
            actions: Selection::AllBut(vec![ActionPattern::parse(action).expect("an action")]),
            resources: patterns,
            ..allow(&[], &[])
        }]
    };
    assert_eq!(
        get_item(all_but("dynamodb:PutItem", "arn:aws:dynamodb:*:*:table/Others")),
        None
    );
    assert!(get_item(all_but("dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/Others")).is_some());
    assert!(get_item(all_but("dynamodb:PutItem", TABLE)).is_some());
}

#[test]
fn a_conditions_wildcards_stay_within_their_part_of_an_arn_but_in_the_last() {
    let execution = "arn:aws:states:us-west-2:1:execution:Orders:one";
    for pattern in [
        execution,
        "*",
        "arn:*",
        "arn:aws:states:*",
        "arn:aws:states:*:*:execution:Orders:*",
        "arn:aws:states:us-west-?:?:execution:*",
        "arn:aws:s*s:*:*:exec*one",
    ] {
        assert!(arn_matches(pattern, execution), "{pattern}");
    }
    for pattern in [
        "",
        "arn",
        "arn:aws:states:*:execution:Orders:one",
        "arn:aws:states:us-west-2:1:execution:Orders",
        "arn:aws:states:us-west-2:1:execution:Order:*",
        "arn:aws:?:us-west-2:1:execution:Orders:one",
        "arn:aws:states:us-west-2:1:execution:Orders:one?",
    ] {
        assert!(!arn_matches(pattern, execution), "{pattern}");
    }
    assert!(glob("caf?", "café"), "? is a character, whatever its bytes");
}

#[test]
fn a_resources_wildcards_reach_over_colons_and_what_it_leaves_out_is_any() {
    let function = "arn:aws:lambda:us-west-2:000000000000:function:Orders:live";
    for pattern in [
        function,
        "*:*",
        "arn",
        "arn:aws:lambda",
        "arn:aws:lambda:us-west-2",
        "arn:aws:lambda:us-*:000000000000",
        "arn:aws:lambda:*:function:Orders:live",
        "arn:aws:lambda:*:Orders:*",
        "arn:aws:lambda:*:*:function:Orders*",
    ] {
        assert!(covers(pattern, function), "{pattern}");
    }
    for pattern in [
        "",
        "arn:aws:lamb",
        "arn:aws:lambda:us-east-1",
        "arn:aws:lambda:us-west-2:000000000000:function",
        "arn:aws:lambda:us-west-2:000000000000:function:Orders",
        "arn:aws:lambda:*:function:Orders",
    ] {
        assert!(!covers(pattern, function), "{pattern}");
    }
}

/// Matches by trying everything, which is right and slow.
fn tried(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => (0..=text.len()).any(|taken| tried(rest, &text[taken..])),
        (Some(('?', rest)), Some((_, remaining))) => tried(rest, remaining),
        (Some((wanted, rest)), Some((found, remaining))) => wanted == found && tried(rest, remaining),
        _ => false,
    }
}

/// An effect, an action, a resource, and whether it has a condition that only AWS can judge.
type Drawn = (bool, &'static str, &'static str, bool);

fn drawn() -> impl Strategy<Value = Drawn> {
    let actions = prop::sample::select(vec!["*", "dynamodb:*", "dynamodb:GetItem", "dynamodb:Put*", "states:*"]);
    let resources = prop::sample::select(vec![
        "*",
        TABLE,
        "arn:aws:dynamodb:*:*:table/O*",
        "arn:aws:s3:::b",
        "${v}",
    ]);
    (any::<bool>(), actions, resources, any::<bool>())
}

fn made(&(allows, action, resource, is_doubtful): &Drawn) -> Statement {
    let mut statement = match allows {
        true => allow(&[action], &[resource]),
        false => deny(&[action], &[resource]),
    };
    if is_doubtful {
        let condition = Condition::new("IpAddress", "aws:SourceIp", ["10.0.0.0/8"]);
        statement.conditions.push(condition.expect("an operator"));
    }
    statement
}

proptest! {
    #[test]
    fn a_pattern_matches_what_trying_everything_finds(pattern in "[ab?*é]{0,8}", text in "[abé]{0,8}") {
        let characters = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(glob(&pattern, &text), tried(&characters(&pattern), &characters(&text)));
    }

    #[test]
    fn the_order_of_statements_says_nothing(drawn in prop::collection::vec(drawn(), 0..6)) {
        let forwards = get_item(drawn.iter().map(made).collect());
        let backwards = get_item(drawn.iter().rev().map(made).collect());
        prop_assert_eq!(forwards, backwards);
    }

    #[test]
    fn one_more_allow_refuses_nothing_and_one_more_deny_allows_nothing(
        drawn in prop::collection::vec(drawn(), 0..6),
        more in drawn(),
    ) {
        let is_refused = |statements: Vec<Statement>| get_item(statements).is_some();
        let before = is_refused(drawn.iter().map(made).collect());
        let after = is_refused(drawn.iter().chain([&more]).map(made).collect());
        match more.0 {
            true => prop_assert!(before || !after),
            false => prop_assert!(after || !before),
        }
    }

    /// AWS may judge a doubtful condition either way: what is refused here is refused by it both ways.
    #[test]
    fn doubt_refuses_nothing_that_aws_could_let_pass(drawn in prop::collection::vec(drawn(), 0..6)) {
        prop_assume!(drawn.iter().all(|(_, _, resource, _)| *resource != "${v}"));
        let refused = get_item(drawn.iter().map(made).collect()).is_some();
        let doubtful = drawn.iter().filter(|drawn| drawn.3).count() as u32;
        let ways = (0..2_u32.pow(doubtful)).map(|way| {
            let mut doubts = 0..;
            let statements = drawn.iter().filter_map(|drawn| {
                let holds = !drawn.3 || way >> doubts.next().unwrap_or(0_u32) & 1 == 1;
                holds.then(|| made(&(drawn.0, drawn.1, drawn.2, false)))
            });
            get_item(statements.collect()).is_some()
        });
        prop_assert_eq!(refused, ways.into_iter().all(|refused| refused));
    }
}

#[test]
fn conditions_compare_as_their_operators_say() {
    let holds = |operator: &str, values: &[&str], value: Option<&str>| {
        let condition = Condition::new(operator, "Events:Source", values.iter().copied()).expect("an operator");
        condition.holds(value.map_or(Lookup::Absent, Lookup::Is))
    };
    for (operator, values, value, expected) in [
        ("StringEquals", &["shop", "desk"][..], Some("desk"), true),
        ("StringEquals", &["shop"], Some("Shop"), false),
        ("StringEquals", &["shop"], None, false),
        ("StringEqualsIfExists", &["shop"], None, true),
        ("StringEqualsIgnoreCase", &["shop"], Some("Shop"), true),
        ("StringNotEquals", &["shop", "desk"], Some("desk"), false),
        ("StringNotEquals", &["shop"], Some("desk"), true),
        ("StringNotEquals", &["shop"], None, true),
        ("StringLike", &["sh?p*"], Some("shop.orders"), true),
        ("StringNotLike", &["sh*"], Some("shop"), false),
        ("ArnLike", &["arn:aws:s3:::b*"], Some("arn:aws:s3:::bucket"), true),
        ("ArnNotEquals", &["arn:aws:s3:::b"], Some("arn:aws:s3:::c"), true),
        ("Bool", &["true"], Some("True"), true),
        ("Null", &["true"], None, true),
        ("Null", &["false"], None, false),
        ("Null", &["false"], Some("shop"), true),
        ("ForAllValues:StringEquals", &["shop"], None, true),
        ("ForAnyValue:StringEquals", &["shop"], None, false),
        ("ForAnyValue:StringLike", &["s*"], Some("shop"), true),
        ("ForAnyValue:StringNotLike", &["s*"], Some("shop"), false),
    ] {
        assert_eq!(
            holds(operator, values, value),
            Some(expected),
            "{operator} {values:?} {value:?}"
        );
    }
    // Only AWS can tell.
    assert_eq!(holds("StringEquals", &["${aws:PrincipalTag/team}"], Some("shop")), None);
    assert_eq!(holds("NumericLessThan", &["3"], Some("2")), None);
    for operator in ["StringEqual", "NullIfExists", "ForSomeValues:StringEquals", ""] {
        assert!(Condition::new(operator, "events:source", ["x"]).is_err(), "{operator}");
    }
}

#[test]
fn a_request_is_judged_by_its_own_keys_and_the_principals() {
    let on = |operator: &str, key: &str, value: &str| {
        let mut statement = allow(&["events:PutEvents"], &["*"]);
        statement
            .conditions
            .push(Condition::new(operator, key, [value]).expect("an operator"));
        vec![statement]
    };
    let put = |statements, source: &str| {
        let body = json!({"Entries": [{"Source": "shop", "Detail": "{}"}, {"Source": source, "Detail": "{}"}]});
        judged(statements, Service::Events, "PutEvents", &body.to_string()).is_none()
    };
    assert!(put(on("StringEquals", "events:source", "shop"), "shop"));
    assert!(
        !put(on("StringEquals", "events:source", "shop"), "desk"),
        "every entry is judged"
    );
    assert!(put(on("StringEquals", "aws:RequestedRegion", "us-west-2"), "shop"));
    assert!(!put(on("StringEquals", "aws:RequestedRegion", "eu-west-1"), "shop"));
    assert!(put(on("Bool", "aws:SecureTransport", "true"), "shop"));
    assert!(put(
        on("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/Reader*"),
        "shop"
    ));
    assert!(
        put(on("StringEquals", "aws:PrincipalTag/team", "blue"), "shop"),
        "it is not known"
    );
    assert!(
        !put(on("StringEquals", "dynamodb:EnclosingOperation", "x"), "shop"),
        "it is another service's"
    );
}

#[test]
fn a_grant_is_used_once_it_has_let_something_pass() {
    let index = format!("{TABLE}/index/*");
    let policies = policies(vec![
        allow(&["dynamodb:GetItem", "dynamodb:Query", "logs:*"], &[TABLE, &index]),
        allow(&["*"], &["arn:aws:s3:::bucket"]),
        deny(&["dynamodb:DeleteItem"], &["*"]),
    ]);
    let reader = policies.holder("function.reader").expect("the function");
    let ask = |operation: &str, body: &str| {
        policies
            .may(reader, Service::DynamoDb, operation, body.as_bytes())
            .is_ok()
    };
    let unused = |grants: &[&str]| {
        grants
            .iter()
            .map(|grant| format!("ReaderRole: {grant}"))
            .collect::<Vec<_>>()
    };
    let on = |resource: &str| format!("{resource} (for dynamodb:GetItem)");
    let (table, indexes) = (on(TABLE), on(&index));
    assert_eq!(
        policies.unused(),
        unused(&[&table, &indexes, "dynamodb:GetItem", "dynamodb:Query"])
    );
    assert!(!ask("PutItem", r#"{"TableName":"Orders"}"#));
    assert!(!ask("DeleteItem", r#"{"TableName":"Orders"}"#));
    assert!(ask("GetItem", r#"{"TableName":"Orders"}"#));
    assert_eq!(policies.unused(), unused(&[&indexes, "dynamodb:Query"]));
    assert!(ask("Query", r#"{"TableName":"Orders","IndexName":"i"}"#));
    assert_eq!(policies.unused(), unused(&[]));
}

#[test]
fn only_functions_of_the_template_are_somebody() {
    let policies = policies(Vec::new());
    assert!(policies.holder("function.reader").is_some());
    for key in [
        "",
        "local",
        "reader",
        "function.",
        "function.writer",
        "AKIAIOSFODNN7EXAMPLE",
    ] {
        assert!(policies.holder(key).is_none(), "{key}");
    }
}

#[test]
fn every_service_refuses_in_its_own_shape() {
    let answer = |service, operation: &str, body: &str| {
        let policies = policies(Vec::new());
        let caller = policies.holder("function.reader").expect("the function");
        let denial = policies.may(caller, service, operation, body.as_bytes());
        denial.expect_err("nothing is allowed").answer()
    };
    let coral = answer(Service::States, "ListStateMachines", "{}");
    assert_eq!((coral.status, coral.content_type), (400, JSON_1_0));
    let body: serde_json::Value = serde_json::from_slice(&coral.body).expect("JSON");
    assert_eq!(body["__type"], "com.amazon.coral.service#AccessDeniedException");
    assert!(
        body["Message"]
            .as_str()
            .is_some_and(|message| message.starts_with("User: arn:aws:sts::"))
    );
    let plain = answer(Service::Secrets, "GetSecretValue", r#"{"SecretId":"token"}"#);
    assert_eq!((plain.status, plain.content_type), (400, JSON_1_1));
    let body: serde_json::Value = serde_json::from_slice(&plain.body).expect("JSON");
    assert_eq!(body["__type"], "AccessDeniedException");
}
