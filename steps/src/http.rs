//! HTTP as API Gateway hands it to a function: payload format 2.0 in, a status and a JSON body out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request, with what of the event any function here looks at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Method and path template of the route: `GET /tickets/{id}`.
    pub route_key: String,
    /// The path and the query as they were sent.
    #[serde(default)]
    pub raw_path: String,
    #[serde(default)]
    pub raw_query_string: String,
    /// By name in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub path_parameters: BTreeMap<String, String>,
    /// Values of a name that comes more than once are joined by commas.
    #[serde(default)]
    pub query_string_parameters: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
    #[serde(default)]
    request_context: Context,
}

/// What the gateway found out about a request.
#[derive(Debug, Default, Deserialize)]
struct Context {
    #[serde(default)]
    authorizer: Authorizer,
}

#[derive(Debug, Default, Deserialize)]
struct Authorizer {
    #[serde(default)]
    jwt: Token,
}

#[derive(Debug, Default, Deserialize)]
struct Token {
    #[serde(default)]
    claims: BTreeMap<String, Value>,
}

impl Request {
    /// The body's bytes as they were sent, or `None` if the gateway's base64 is none.
    pub fn body(&self) -> Option<Cow<'_, [u8]>> {
        let body = self.body.as_deref().unwrap_or_default();
        if self.is_base64_encoded {
            return BASE64_STANDARD.decode(body).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(body.as_bytes()))
    }

    /// Whose token the request came with; empty where none is asked for.
    pub fn client(&self) -> &str {
        let claims = &self.request_context.authorizer.jwt.claims;
        claims.get("sub").and_then(Value::as_str).unwrap_or_default()
    }

    /// The part of the path that stands for `{name}` in the route.
    pub fn path_parameter(&self, name: &str) -> &str {
        self.path_parameters.get(name).map(String::as_str).unwrap_or_default()
    }

    /// How often a query parameter is given: its values are one text, joined by commas.
    pub fn times_given(&self, name: &str) -> usize {
        let names = self.raw_query_string.split('&').map(|pair| pair.split('=').next());
        names
            .filter(|given| given.is_some_and(|given| unescaped(given) == name.as_bytes()))
            .count()
    }

    /// Refuses query parameters that are not among `known`.
    pub fn only_parameters(&self, known: &[&str]) -> Result<(), Problem> {
        match self
            .query_string_parameters
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            Some(name) => {
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                Err(Problem::new(
                    400,
                    Kind::UnknownParameter,
                    format!("there is no query parameter {name}; known: {known}"),
                )
                .field(name.clone()))
            }
            None => Ok(()),
        }
    }
}

/// A response.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    pub status_code: u16,
    pub headers: BTreeMap<&'static str, String>,
    pub body: String,
}

impl Response {
    pub fn json(status_code: u16, body: &impl Serialize) -> Self {
        Self::typed(status_code, "application/json", body)
    }

    /// A JSON answer that was given before.
    pub fn again(status_code: u16, body: String) -> Self {
        Self::written(status_code, "application/json", body)
    }

    fn typed(status_code: u16, content_type: &str, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).expect("bodies have string keys and finite numbers");
        Self::written(status_code, content_type, body)
    }

    fn written(status_code: u16, content_type: &str, body: String) -> Self {
        // A ticket is somebody's, and it moves: no cache on the way may keep it.
        let headers = [
            ("content-type", content_type.to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        Self {
            status_code,
            headers: headers.into(),
            body,
        }
    }
}

/// What is wrong, as `application/problem+json` (RFC 9457).
#[derive(Debug, PartialEq)]
pub struct Problem {
    pub status: u16,
    pub kind: Kind,
    pub detail: String,
    pub field: Option<String>,
    pub candidates: Vec<String>,
}

/// The kinds of problems. Their names, in kebab case, are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    BadSignature,
    UnreadableBody,
    UnknownShape,
    InvalidValue,
    UnknownParameter,
    NoSuchTicket,
    AmbiguousKey,
    NoSuchExecution,
    NoSuchDelivery,
    NotRedrivable,
    NotEditable,
    PolicyReplaced,
    KeyReused,
    NoSuchRoute,
    Unavailable,
}

impl Kind {
    /// The status that problems of this kind are answered with.
    pub fn status(self) -> u16 {
        match self {
            Self::UnreadableBody | Self::UnknownShape | Self::UnknownParameter => 400,
            Self::BadSignature => 401,
            Self::NoSuchTicket | Self::NoSuchExecution | Self::NoSuchDelivery | Self::NoSuchRoute => 404,
            Self::AmbiguousKey | Self::NotRedrivable | Self::NotEditable | Self::PolicyReplaced => 409,
            Self::InvalidValue | Self::KeyReused => 422,
            Self::Unavailable => 503,
        }
    }

    /// What tells this kind from others, for programs.
    pub fn urn(self) -> String {
        format!("urn:ticketflow:problem:{}", self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::BadSignature => "bad-signature",
            Self::UnreadableBody => "unreadable-body",
            Self::UnknownShape => "unknown-shape",
            Self::InvalidValue => "invalid-value",
            Self::UnknownParameter => "unknown-parameter",
            Self::NoSuchTicket => "no-such-ticket",
            Self::AmbiguousKey => "ambiguous-key",
            Self::NoSuchExecution => "no-such-execution",
            Self::NoSuchDelivery => "no-such-delivery",
            Self::NotRedrivable => "not-redrivable",
            Self::NotEditable => "not-editable",
            Self::PolicyReplaced => "policy-replaced",
            Self::KeyReused => "key-reused",
            Self::NoSuchRoute => "no-such-route",
            Self::Unavailable => "unavailable",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::BadSignature => "The signature is missing or wrong",
            Self::UnreadableBody => "The body cannot be read",
            Self::UnknownShape => "The body has no known shape",
            Self::InvalidValue => "A value cannot be",
            Self::UnknownParameter => "There is no such query parameter",
            Self::NoSuchTicket => "There is no such ticket",
            Self::AmbiguousKey => "More than one ticket has this key",
            Self::NoSuchExecution => "There is no such execution",
            Self::NoSuchDelivery => "There is no such rejected delivery",
            Self::NotRedrivable => "The execution cannot be redriven",
            Self::NotEditable => "The ticket cannot be changed here",
            Self::PolicyReplaced => "The policy was replaced by another one",
            Self::KeyReused => "The Idempotency-Key was used for another request",
            Self::NoSuchRoute => "There is no such route",
            Self::Unavailable => "The service cannot answer now",
        }
    }
}

impl Problem {
    pub fn new(status: u16, kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            detail: detail.into(),
            field: None,
            candidates: Vec::new(),
        }
    }

    /// 503: what a retry may mend. What failed is in the log, not in the answer.
    pub fn unavailable() -> Self {
        Self::new(
            503,
            Kind::Unavailable,
            "a service behind this one does not answer; try again in a moment",
        )
    }

    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

/// A problem as it is written.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemBody {
    /// What tells this kind of problem from others, for programs.
    pub r#type: String,
    /// The kind, for people.
    pub title: &'static str,
    pub status: u16,
    /// What is wrong with this very request.
    pub detail: String,
    /// The parameter, header or field of the body at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What may have been meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
}

impl From<Problem> for ProblemBody {
    fn from(problem: Problem) -> Self {
        Self {
            r#type: problem.kind.urn(),
            title: problem.kind.title(),
            status: problem.status,
            detail: problem.detail,
            field: problem.field,
            candidates: problem.candidates,
        }
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let status = problem.status;
        let mut response = Self::typed(status, "application/problem+json", &ProblemBody::from(problem));
        if status == 503 {
            // In seconds: what Retriers and Jira's own retries wait at least.
            response.headers.insert("retry-after", "5".to_owned());
        }
        response
    }
}

/// A text of a URL without its escapes.
pub(crate) fn unescaped(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                result.extend(u8::try_from(high * 16 + low));
                rest = &after[2..];
            }
            (b'+', ..) => result.push(b' '),
            _ => result.push(*first),
        }
    }
    result
}

/// An answer of either kind as one.
pub fn response(result: Result<Response, Problem>) -> Response {
    result.unwrap_or_else(Response::from)
}

#[cfg(test)]
mod tests;
