//! The API against its own document: whatever is asked, the answer is one that `GET /openapi.json` describes.

use std::collections::{BTreeMap, BTreeSet};

use boon::{Compiler, SchemaIndex, Schemas};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use crate::deliveries::Issue;
use crate::server::Server;

/// What the document is called among the schemas.
const DOCUMENT: &str = "https://ticketflow.example/openapi.json";

/// Longer than any name, and than a key in DynamoDB.
const LONG: &str = match std::str::from_utf8(&[b'x'; 2_500]) {
    Ok(text) => text,
    Err(_) => "",
};

/// Requests made up, valid and not.
const REQUESTS: u32 = 500;

/// The document, ready to judge answers.
struct Contract {
    operations: Vec<Operation>,
    schemas: Schemas,
    /// By route, status and media type.
    answers: BTreeMap<(String, String, String), SchemaIndex>,
}

#[derive(Clone, Debug)]
struct Operation {
    method: String,
    path: String,
    described: Value,
}

/// A request made up.
#[derive(Clone, Debug)]
struct Made {
    operation: usize,
    id: Id,
    /// By name: the value, and whether the document says that it may be.
    query: BTreeMap<String, (String, bool)>,
    key: Option<String>,
    body: Option<String>,
}

#[derive(Clone, Debug)]
enum Id {
    /// One of what the path is about.
    Known(prop::sample::Index),
    /// One of whatever there is.
    Any(prop::sample::Index),
    Other(String),
}

/// What can stand for an id in a path, by how the path begins.
type Ids = BTreeMap<&'static str, Vec<String>>;

impl Contract {
    fn new(mut document: Value) -> Self {
        let paths = document["paths"].as_object().expect("paths");
        let operations = paths.iter().flat_map(|(path, methods)| {
            methods
                .as_object()
                .expect("methods")
                .iter()
                .map(|(method, described)| Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    described: described.clone(),
                })
        });
        let operations: Vec<Operation> = operations.collect();
        // By these schemas an answer has nothing that is not described.
        let mut composed = BTreeSet::new();
        find_composed(&document, &mut composed);
        let schemas = document["components"]["schemas"].as_object_mut().expect("schemas");
        for (name, schema) in schemas {
            if is_closed(schema) && !composed.contains(name) {
                schema["unevaluatedProperties"] = false.into();
            }
        }
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.enable_format_assertions();
        compiler.add_resource(DOCUMENT, document).expect("the document");
        let mut answers = BTreeMap::new();
        for operation in &operations {
            for (status, response) in operation.described["responses"].as_object().expect("responses") {
                for content_type in response["content"].as_object().expect("content").keys() {
                    let place = [
                        "paths",
                        &operation.path,
                        &operation.method.to_lowercase(),
                        "responses",
                        status,
                        "content",
                        content_type,
                        "schema",
                    ];
                    let pointer: String = place.map(pointer).concat();
                    let schema = compiler.compile(&format!("{DOCUMENT}#{pointer}"), &mut schemas);
                    let schema = schema.unwrap_or_else(|error| panic!("{error:#}"));
                    answers.insert((operation.route(), status.clone(), content_type.clone()), schema);
                }
            }
        }
        Self {
            operations,
            schemas,
            answers,
        }
    }

    /// What is wrong with an answer, if anything.
    fn check(&self, operation: &Operation, status: u16, content_type: &str, body: &str) -> Result<(), String> {
        let place = (operation.route(), status.to_string(), content_type.to_owned());
        let Some(schema) = self.answers.get(&place) else {
            return Err(format!("{status} as {content_type} is not described: {body}"));
        };
        let body: Value = serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))?;
        let valid = self.schemas.validate(&body, *schema);
        valid.map_err(|error| format!("{error:#}\n{body}"))
    }
}

impl Operation {
    fn route(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// A name as a part of a JSON pointer in a URL.
fn pointer(name: &str) -> String {
    let escaped = name.replace('~', "~0").replace('/', "~1");
    format!("/{}", escaped.replace('{', "%7B").replace('}', "%7D"))
}

/// The schemas that only say a part of what an object has: the rest is said where they are referred to.
fn find_composed(value: &Value, composed: &mut BTreeSet<String>) {
    if let (Some(reference), true) = (value["$ref"].as_str(), value["properties"].is_object()) {
        composed.extend(reference.rsplit('/').next().map(str::to_owned));
    }
    let parts: Vec<&Value> = match value {
        Value::Array(values) => values.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => return,
    };
    parts.into_iter().for_each(|part| find_composed(part, composed));
}

/// Whether a schema says all that its objects may have.
fn is_closed(schema: &Value) -> bool {
    let has_objects = |schema: &Value| schema["type"] == "object" && schema["properties"].is_object();
    has_objects(schema)
        || schema["oneOf"]
            .as_array()
            .is_some_and(|some| some.iter().all(has_objects))
}

/// A value for a parameter of this schema, and whether it may be.
fn value(schema: &Value) -> BoxedStrategy<(String, bool)> {
    let right = |strategy: BoxedStrategy<String>| strategy.prop_map(|value| (value, true));
    let wrong = |values: &'static [&'static str]| {
        prop::sample::select(values)
            .prop_map(|value| (value.to_owned(), false))
            .boxed()
    };
    let moments = || {
        let at = (1_790_000_000_i64..1_800_000_000)
            .prop_map(|seconds| chrono::DateTime::from_timestamp(seconds - seconds % 60, 0).expect("a moment"));
        at.prop_map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
            .boxed()
    };
    let (right, wrong) = match (schema["type"].as_str(), schema) {
        (Some("integer"), _) => (
            right((1..=200).prop_map(|limit: i32| limit.to_string()).boxed()),
            wrong(&["0", "201", "-1", "x", ""]),
        ),
        (Some("array"), _) => {
            let names = prop::sample::subsequence(vec!["High", "highest", "Low", "Größte"], 1..4);
            (
                right(names.prop_map(|names| names.join(",")).boxed()),
                wrong(&["", ",", "High,"]),
            )
        }
        (_, schema) if schema["enum"].is_array() => {
            let words = schema["enum"].as_array().expect("an enum").iter();
            let words: Vec<String> = words.filter_map(|word| Some(word.as_str()?.to_owned())).collect();
            (right(prop::sample::select(words).boxed()), wrong(&["", "nonsense"]))
        }
        (_, schema) if schema["examples"].is_array() => {
            let examples = schema["examples"].as_array().expect("examples").iter();
            let examples: Vec<String> = examples.filter_map(|text| Some(text.as_str()?.to_owned())).collect();
            (
                right(prop::sample::select(examples).boxed()),
                wrong(&["", "Nowhere/Town"]),
            )
        }
        (_, schema) if schema["format"] == "date-time" => (
            right(moments()),
            wrong(&["", "yesterday", "2026-11-21", "2026-13-01T00:00:00Z"]),
        ),
        (_, schema) if schema["pattern"].is_string() => return wrong(&["", "made-up", "AAAA", "%00"]),
        _ => (
            right(prop::sample::select(vec!["TEST".to_owned(), "open".to_owned(), "x y".to_owned()]).boxed()),
            wrong(&[""]),
        ),
    };
    prop_oneof![4 => right, 1 => wrong].boxed()
}

fn body(operation: &Operation) -> BoxedStrategy<Option<String>> {
    let content = &operation.described["requestBody"]["content"]["application/json"];
    if content.is_null() {
        return Just(None).boxed();
    }
    let example = content["example"].to_string();
    let fields = (
        prop::sample::select(vec![json!("Disk full"), json!(""), json!(7), Value::Null]),
        prop::sample::select(vec![
            json!("2026-11-21T07:00:00Z"),
            json!("never"),
            json!(1_795_161_600_000_i64),
        ]),
        prop::sample::select(vec![
            json!(""),
            json!("2026-11-21T08:00:00Z"),
            json!("2026-11-21T06:00:00Z"),
            json!([]),
        ]),
        prop::sample::select(vec![json!("High"), Value::Null, json!({})]),
    );
    let made =
        (fields, prop::collection::vec(any::<bool>(), 4)).prop_map(|((summary, created, completed, priority), has)| {
            let fields = [
                ("summary", summary),
                ("created", created),
                ("completed", completed),
                ("priority", priority),
            ];
            let fields = fields
                .into_iter()
                .zip(has)
                .filter(|(_, has)| *has)
                .map(|((name, value), _)| (name.to_owned(), value));
            Value::Object(fields.collect::<Map<_, _>>()).to_string()
        });
    let text = prop_oneof![
        6 => Just(example),
        2 => made,
        1 => Just("{".to_owned()),
        1 => Just("[]".to_owned()),
        1 => Just(r#"{"issue": 1}"#.to_owned()),
        1 => Just(String::new()),
    ];
    text.prop_map(Some).boxed()
}

fn requests(contract: &Contract) -> BoxedStrategy<Made> {
    let each = contract.operations.iter().enumerate().map(|(index, operation)| {
        let mut query = Just(BTreeMap::new()).boxed();
        for parameter in operation.described["parameters"].as_array().expect("parameters") {
            if parameter["in"] != "query" {
                continue;
            }
            let name = parameter["name"].as_str().expect("a name").to_owned();
            query = (query, prop::option::weighted(0.3, value(&parameter["schema"])))
                .prop_map(move |(mut query, value)| {
                    query.extend(value.map(|value| (name.clone(), value)));
                    query
                })
                .boxed();
        }
        // JIRA's URL is JIRA's: what it adds to the query is not looked at.
        let unknown = Just(("staus".to_owned(), ("FAILED".to_owned(), false)));
        let unknown = match operation.path.as_str() {
            "/webhooks/jira" => Just(None).boxed(),
            _ => prop::option::weighted(0.05, unknown).boxed(),
        };
        let id = prop_oneof![
            3 => any::<prop::sample::Index>().prop_map(Id::Known),
            1 => any::<prop::sample::Index>().prop_map(Id::Any),
            1 => prop::sample::select(vec!["TEST-999", "nowhere~1", "~", "a b", "%F0%9F%90%9B", LONG])
                .prop_map(|id| Id::Other(id.to_owned())),
        ];
        let key = prop::option::weighted(0.3, prop::sample::select(vec!["a", "b", "c d"]).prop_map(str::to_owned));
        (query, unknown, id, key, body(operation)).prop_map(move |(mut query, unknown, id, key, body)| {
            query.extend(unknown);
            Made {
                operation: index,
                id,
                query,
                key,
                body,
            }
        })
    });
    prop::strategy::Union::new(each.map(Strategy::boxed).collect::<Vec<_>>()).boxed()
}

/// A value as it stands in a URL.
fn escaped(value: &str) -> String {
    let escape = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}

async fn send(server: &Server, operation: &Operation, known: &Ids, made: &Made) -> (u16, String, String) {
    let all: Vec<&String> = known.values().flatten().collect();
    let of_path = known.iter().find(|(path, _)| operation.path.starts_with(**path));
    let id = match &made.id {
        Id::Known(index) => of_path.map(|(_, ids)| index.get(ids).clone()).unwrap_or_default(),
        Id::Any(index) => (*index.get(&all)).clone(),
        Id::Other(id) => id.clone(),
    };
    let id = id.replace(' ', "%20");
    let path = operation.path.replace("{id}", &id).replace("{name}", &id);
    let query = made
        .query
        .iter()
        .map(|(name, (value, _))| format!("{name}={}", escaped(value)));
    let url = format!("{}{path}?{}", server.api, query.collect::<Vec<_>>().join("&"));
    let method = operation.method.parse().expect("a method");
    let mut request = server.http.request(method, url);
    if let Some(key) = &made.key {
        request = request.header("idempotency-key", key);
    }
    if let Some(body) = &made.body {
        request = request.header("content-type", "application/json");
        if operation.path == "/webhooks/jira" {
            request = request.header(
                "x-hub-signature",
                crate::server::sign(crate::server::SECRET, body.as_bytes()),
            );
        }
        request = request.body(body.clone());
    }
    let response = request.send().await.expect("the API answers");
    let status = response.status().as_u16();
    let content_type = response
        .headers()
        .get("content-type")
        .expect("a type")
        .to_str()
        .expect("text")
        .to_owned();
    (status, content_type, response.text().await.expect("a body"))
}

/// What must hold of an answer beyond being described.
fn judge(made: &Made, status: u16, body: &str) -> Result<(), String> {
    if 500 <= status {
        return Err(format!("nothing is wrong here, and the answer is {status}: {body}"));
    }
    let wrong: Vec<&String> = made
        .query
        .iter()
        .filter(|(_, (_, right))| !right)
        .map(|(name, _)| name)
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    let field = problem["field"].as_str().unwrap_or_default();
    match status {
        400 | 422 if wrong.iter().any(|name| *name == field) => Ok(()),
        _ => Err(format!("{wrong:?} cannot be, and the answer is {status}: {body}")),
    }
}

/// Deliveries, so that there is something to ask for; what can stand for an id in a path.
async fn populate(server: &Server) -> Ids {
    let mut names = Vec::new();
    for number in 1..=4 {
        let issue = Issue { number };
        for body in [issue.created(), issue.resolved(600_000)] {
            let (_, answer) = server.post(&body).await;
            names.push(answer["execution"].as_str().expect("a name").to_owned());
        }
    }
    let (status, answer) = server
        .post(br#"{"summary":"Disk full","created":"2026-11-20T08:00:00Z","priority":"High"}"#)
        .await;
    assert_eq!(status, 202, "{answer}");
    let flat = answer["ticket"].as_str().expect("an id").to_owned();
    names.push(answer["execution"].as_str().expect("a name").to_owned());
    for name in &names {
        server.execution(name, "SUCCEEDED").await;
    }
    let (status, _) = server.post(b"{\"half\": ").await;
    assert_eq!(status, 400);
    let (_, rejected) = server.get("/deliveries").await;
    let rejected = rejected["items"][0]["id"]
        .as_str()
        .expect("the rejected delivery")
        .to_owned();
    let some = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    // Only the flat ticket can be changed: it comes up more often.
    Ids::from([
        (
            "/tickets/",
            some(&["TEST-1", "jira.example.com~2", &flat, &flat, &flat, &flat, &flat]),
        ),
        ("/executions/", some(&[&names[0], &names[8]])),
        ("/deliveries/", some(&[&rejected])),
    ])
}

#[test]
fn every_answer_is_one_that_the_document_describes() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(async { Server::start() });
    let known = runtime.block_on(populate(&server));
    let (status, document) = runtime.block_on(server.get("/openapi.json"));
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let contract = Contract::new(document);

    for operation in &contract.operations {
        for (status, response) in operation.described["responses"].as_object().expect("responses") {
            for (content_type, content) in response["content"].as_object().expect("content") {
                let status = status.parse().expect("a status");
                let example = content["example"].to_string();
                if let Err(wrong) = contract.check(operation, status, content_type, &example) {
                    panic!("the example of {} {}: {wrong}", operation.method, operation.path);
                }
            }
        }
    }

    // The same requests every time: a failure can be looked at again, and nothing is found by luck.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config {
        cases: REQUESTS,
        max_shrink_iters: 50,
        failure_persistence: None,
        ..Config::default()
    };
    let mut answered: BTreeMap<(String, u16), u32> = BTreeMap::new();
    let counted = std::cell::RefCell::new(&mut answered);
    let result = TestRunner::new_with_rng(config, rng).run(&requests(&contract), |made| {
        let operation = &contract.operations[made.operation];
        let (status, content_type, body) = runtime.block_on(send(&server, operation, &known, &made));
        *counted
            .borrow_mut()
            .entry((operation.described["operationId"].to_string(), status))
            .or_default() += 1;
        let judged = contract
            .check(operation, status, &content_type, &body)
            .and_then(|()| judge(&made, status, &body));
        judged.map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("{error}\n{}", server.log());
    }
    // The requests have been of all kinds: every route has answered well, and every kind of refusal was seen.
    let well = answered.keys().filter(|(_, status)| *status < 300).map(|(id, _)| id);
    let mut well: Vec<&String> = well.collect();
    well.dedup();
    // Nothing has failed, so that nothing could be redriven.
    assert_eq!(well.len(), contract.operations.len() - 1, "{answered:?}");
    for status in [400, 404, 409, 422] {
        assert!(
            answered.keys().any(|(_, seen)| *seen == status),
            "no {status}: {answered:?}"
        );
    }
}
