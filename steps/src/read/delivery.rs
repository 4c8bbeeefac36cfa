//! `GET /deliveries`: what came to the webhook and could not be read.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use ticket::Time;

use super::{Read, unavailable};
use crate::http::{Kind, Problem, Request, Response};
use crate::openapi::example;
use crate::operation::{Access, Answer, CURSOR, LIMIT_OF_LIST, Operation, Parameter, Takes, Text};
use crate::table::{Page, Rejected};

const ID: Text = Text {
    name: "id",
    about: "The delivery's id.",
    example: "9f86d081884c7d659a2feaa0c55ad015",
};

pub(crate) const LIST: Operation = Operation {
    route: "GET /deliveries",
    id: "listDeliveries",
    summary: "Deliveries that proved to come from JIRA and could not be read, the newest first.",
    about: "They are kept for 14 days after they last came. The same body again is the same delivery.",
    access: Access::Read,
    path: None,
    headers: &[],
    query: &[
        Parameter {
            name: "outcome",
            takes: Takes::OneOf(&["rejected"]),
            about: "What became of them. Those that could be read are executions.",
        },
        LIMIT_OF_LIST,
        CURSOR,
    ],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "A page of deliveries, without their bodies.",
        schema: SchemaGenerator::subschema_for::<Deliveries>,
        example: || {
            example(&Deliveries {
                items: vec![sample().into()],
                next: None,
            })
        },
    }],
    problems: &[],
};

pub(crate) const ONE: Operation = Operation {
    route: "GET /deliveries/{id}",
    id: "getDelivery",
    summary: "A delivery that could not be read, with its body.",
    about: "",
    access: Access::Read,
    path: Some(ID),
    headers: &[],
    query: &[],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "The delivery.",
        schema: SchemaGenerator::subschema_for::<Whole>,
        example: || example(&Whole::from(sample())),
    }],
    problems: &[Kind::NoSuchDelivery],
};

/// A page of deliveries.
#[derive(Serialize, JsonSchema)]
struct Deliveries {
    items: Vec<View>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
}

/// A delivery.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
struct View {
    id: String,
    /// `rejected`
    outcome: &'static str,
    /// What was wrong with it: the `type` of the problem that it was answered with.
    problem: String,
    /// What was wrong with it, in a sentence.
    detail: String,
    /// The field of the body at fault.
    field: Option<String>,
    /// Who sent it, by its own word.
    user_agent: Option<String>,
    /// When it came first.
    received_at: Time,
    last_received_at: Time,
    /// How often it came.
    count: u64,
    /// How long its body is.
    body_bytes: u64,
}

/// A delivery with its body.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "DeliveryWithBody")]
struct Whole {
    #[serde(flatten)]
    delivery: View,
    body: String,
    body_encoding: Encoding,
    /// Only the beginning of the body was kept.
    body_cut: bool,
}

/// What a body is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Text,
    /// It is no UTF-8.
    Base64,
}

impl From<Rejected> for View {
    fn from(rejected: Rejected) -> Self {
        Self {
            id: rejected.id,
            outcome: "rejected",
            problem: rejected.problem,
            detail: rejected.detail,
            field: rejected.field,
            user_agent: rejected.user_agent,
            received_at: rejected.received_at,
            last_received_at: rejected.last_received_at,
            count: rejected.count,
            body_bytes: rejected.body_bytes,
        }
    }
}

impl From<Rejected> for Whole {
    fn from(mut rejected: Rejected) -> Self {
        let body = std::mem::take(&mut rejected.body.text);
        Self {
            body,
            body_encoding: if rejected.body.is_base64 {
                Encoding::Base64
            } else {
                Encoding::Text
            },
            body_cut: rejected.body.is_cut,
            delivery: rejected.into(),
        }
    }
}

fn sample() -> Rejected {
    let body = br#"{"webhookEvent": "jira:issue_updated"}"#;
    let detail = "it has none of issue, fields, summary and created".to_owned();
    let at = crate::openapi::sample::delivery().observed;
    Rejected::new(body, Kind::UnknownShape.urn(), detail, at)
}

pub(super) async fn list(read: &Read, request: &Request) -> Result<Response, Problem> {
    let query = LIST.query(request)?;
    let page = read.table.all_rejected(query.limit(), query.place()).await;
    let Page { items, next } = page.map_err(unavailable)?;
    let page = Deliveries {
        items: items.into_iter().map(View::from).collect(),
        next: query.next(next.as_deref()),
    };
    Ok(Response::json(200, &page))
}

pub(super) async fn one(read: &Read, request: &Request) -> Result<Response, Problem> {
    ONE.query(request)?;
    let id = request.path_parameter(ID.name);
    match read.table.rejected(id).await.map_err(unavailable)? {
        Some(rejected) => Ok(Response::json(200, &Whole::from(rejected))),
        None => {
            let detail = format!("there is no rejected delivery {id:?}");
            Err(Problem::new(404, Kind::NoSuchDelivery, detail).field(ID.name))
        }
    }
}
