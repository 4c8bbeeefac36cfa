//! `GET /openapi.json`: the API as its own code describes it.
//!
//! Routes and parameters come from the [`Operation`]s that requests are read by, schemas from the types that answers
//! are written with, examples from those types' own values. So the document says what the code does, or neither does.

pub(crate) mod sample;

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::http::{Kind, ProblemBody};
use crate::operation::{Access, Body, Operation, Takes, Text};
use crate::read::{self, delivery, execution, history, list, metrics, recompute, ticket};
use crate::{api, redrive, webhook};

pub(crate) const VERSION: &str = "3.1.0";

/// Every route of the API, in the order in which people read about them.
pub const OPERATIONS: [&Operation; 22] = [
    &webhook::DELIVERY,
    &api::CREATE,
    &api::CHANGE,
    &api::DELETE,
    &list::LIST,
    &ticket::TICKET,
    &history::HISTORY,
    &execution::OF_TICKET,
    &execution::LIST,
    &execution::ONE,
    &redrive::REDRIVE,
    &recompute::RECOMPUTE,
    &redrive::RECOMPUTE,
    &delivery::LIST,
    &delivery::ONE,
    &metrics::PER_MINUTE,
    &metrics::DURATIONS,
    &metrics::AGING,
    &metrics::THROUGHPUT,
    &metrics::QUALITY,
    &read::HEALTH,
    &read::OPENAPI,
];

/// The name of the security scheme of everyone but JIRA.
const TOKEN: &str = "token";
/// The names of JIRA's: any of them that the webhook's secret has a value for.
const SIGNATURE: &str = "signature";
const SENDER_TOKEN: &str = "sender_token";
const URL_TOKEN: &str = "url_token";

/// What API Gateway answers by itself. Its body is not a problem, in both homes: it is its own.
#[derive(Serialize, JsonSchema)]
struct GatewayError {
    message: &'static str,
}

/// A value as an example.
pub(crate) fn example(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("answers have string keys and finite numbers")
}

/// The schema of an object about which nothing else is said.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.meta_schema = None;
        settings.definitions_path = "/components/schemas".into();
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let (method, path) = operation.route.split_once(' ').expect("a route is a method and a path");
        let described = describe(operation, &mut generator);
        let path = paths.entry(path).or_insert_with(|| json!({}));
        path[method.to_ascii_lowercase()] = described;
    }
    json!({
        "openapi": VERSION,
        "info": {
            "title": "Ticketflow",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Follows every JIRA ticket through its life.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                TOKEN: {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A JSON Web Token with the scope that the route names.",
                },
                SIGNATURE: {
                    "type": "apiKey", "in": "header", "name": "X-Hub-Signature",
                    "description": "`sha256=` and the HMAC-SHA256 of the raw body, in hex.",
                },
                SENDER_TOKEN: {
                    "type": "http", "scheme": "bearer",
                    "description": "The JSON Web Token that Atlassian signs with an app's secret (HS256; the scheme may \
                                    be `JWT`, too), or a text that sender and secret share.",
                },
                URL_TOKEN: {
                    "type": "apiKey", "in": "query", "name": "token",
                    "description": "A text that sender and secret share, for senders that cannot set a header.",
                },
            },
        },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "security": security(operation.access),
        "parameters": parameters(operation),
        "responses": responses(operation, generator),
    });
    if !operation.about.is_empty() {
        described["description"] = operation.about.into();
    }
    if let Some(Body { about, schema, example }) = &operation.body {
        let content = json!({ "schema": schema(generator), "example": example() });
        described["requestBody"] =
            json!({ "description": about, "required": true, "content": { "application/json": content } });
    }
    described
}

fn security(access: Access) -> Value {
    match access {
        Access::Jira => json!([{ SIGNATURE: [] }, { SENDER_TOKEN: [] }, { URL_TOKEN: [] }]),
        Access::Read => json!([{ TOKEN: ["ticketflow/tickets.read"] }]),
        Access::Write => json!([{ TOKEN: ["ticketflow/tickets.write"] }]),
        Access::Redrive => json!([{ TOKEN: ["ticketflow/executions.redrive"] }]),
    }
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let text = |place: &str, is_required: bool, text: &Text| {
        json!({
            "name": text.name, "in": place, "required": is_required, "description": text.about,
            "schema": { "type": "string", "minLength": 1 }, "example": text.example,
        })
    };
    let path = operation.path.iter().map(|path| text("path", true, path));
    let headers = operation.headers.iter().map(|header| text("header", false, header));
    let query = operation.query.iter().map(|parameter| {
        let mut described = json!({
            "name": parameter.name, "in": "query", "required": false, "description": parameter.about,
            "schema": parameter.takes.schema(),
        });
        if parameter.takes == Takes::Names {
            described["style"] = "form".into();
            described["explode"] = false.into();
        }
        described
    });
    path.chain(headers).chain(query).collect()
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut responses: BTreeMap<u16, (String, Map<String, Value>)> = BTreeMap::new();
    for answer in operation.answers {
        let content = json!({ "schema": (answer.schema)(generator), "example": (answer.example)() });
        let described = responses.entry(answer.status).or_default();
        described.0 = answer.about.to_owned();
        described.1.insert("application/json".to_owned(), content);
    }
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in problems(operation) {
        by_status.entry(kind.status()).or_default().push(kind);
    }
    for (status, kinds) in by_status {
        let problem = generator.subschema_for::<ProblemBody>();
        let urns: Vec<String> = kinds.iter().map(|kind| kind.urn()).collect();
        let only =
            json!({ "type": "object", "properties": { "type": { "enum": urns }, "status": { "const": status } } });
        let content = json!({ "schema": { "allOf": [problem, only] }, "example": problem_example(kinds[0]) });
        let titles: Vec<&str> = kinds.iter().map(|kind| kind.title()).collect();
        let described = responses.entry(status).or_default();
        described.0 = titles.join("; ");
        described.1.insert("application/problem+json".to_owned(), content);
    }
    for (status, message) in gateway(operation) {
        let content = json!({
            "schema": generator.subschema_for::<GatewayError>(), "example": example(&GatewayError { message }),
        });
        let described = responses.entry(status).or_default();
        if described.0.is_empty() {
            described.0 = format!("API Gateway's own: {message}");
        }
        described.1.entry("application/json").or_insert(content);
    }
    let described = responses.into_iter().map(|(status, (description, content))| {
        (
            status.to_string(),
            json!({ "description": description, "content": content }),
        )
    });
    Value::Object(described.collect())
}

/// What a route may refuse or fail with: its own, and what follows from what it takes.
fn problems(operation: &Operation) -> BTreeSet<Kind> {
    let mut problems: BTreeSet<Kind> = operation.problems.iter().copied().collect();
    problems.insert(Kind::Unavailable);
    if operation.access != Access::Jira {
        problems.insert(Kind::UnknownParameter);
    }
    if !operation.query.is_empty() || operation.body.is_some() {
        problems.insert(Kind::InvalidValue);
    }
    if operation.body.is_some() {
        problems.extend([Kind::UnreadableBody, Kind::UnknownShape]);
    }
    problems
}

/// What the gateway may answer in the function's place.
fn gateway(operation: &Operation) -> Vec<(u16, &'static str)> {
    let mut answers = vec![
        (403, "Forbidden"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (500, "Internal Server Error"),
        (503, "Service Unavailable"),
    ];
    if operation.access != Access::Jira {
        answers.push((401, "Unauthorized"));
    }
    if operation.path.is_some() {
        answers.push((400, "Bad Request"));
    }
    if operation.body.is_some() {
        answers.extend([(408, "Request Timeout"), (413, "Request Entity Too Large")]);
    }
    answers
}

fn problem_example(kind: Kind) -> Value {
    let detail = match kind {
        Kind::InvalidValue => "limit is \"0\"; it should be 1 to 200",
        Kind::UnknownParameter => "there is no query parameter staus; known: status, limit, cursor",
        kind => kind.title(),
    };
    example(&ProblemBody {
        r#type: kind.urn(),
        title: kind.title(),
        status: kind.status(),
        detail: detail.to_owned(),
        field: None,
        candidates: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
