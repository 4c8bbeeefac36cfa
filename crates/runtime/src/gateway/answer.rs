//! From a function's result to the response, and the responses that are the gateway's own.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

/// What the gateway answers itself, in API Gateway's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    RequestTimeout,
    RequestEntityTooLarge,
    TooManyRequests,
    HeaderFieldsTooLarge,
    InternalServerError,
    ServiceUnavailable,
}

impl Refusal {
    pub(super) fn status_and_message(self) -> (u16, &'static str) {
        match self {
            Refusal::BadRequest => (400, "Bad Request"),
            Refusal::Unauthorized => (401, "Unauthorized"),
            Refusal::Forbidden => (403, "Forbidden"),
            Refusal::NotFound => (404, "Not Found"),
            Refusal::RequestTimeout => (408, "Request Timeout"),
            Refusal::RequestEntityTooLarge => (413, "Request Entity Too Large"),
            Refusal::TooManyRequests => (429, "Too Many Requests"),
            Refusal::HeaderFieldsTooLarge => (431, "Request Header Fields Too Large"),
            Refusal::InternalServerError => (500, "Internal Server Error"),
            Refusal::ServiceUnavailable => (503, "Service Unavailable"),
        }
    }

    pub(super) fn response(self) -> Response {
        let (status, message) = self.status_and_message();
        let body = format!(r#"{{"message":"{message}"}}"#);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).expect("these are status codes");
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Why a function's result cannot become a response. API Gateway answers 500 to each.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it is not JSON")]
    NotJson(#[source] serde_json::Error),
    #[error("statusCode {0} is not a status")]
    Status(Value),
    #[error("the header {name:?} cannot have the value {value}")]
    Header { name: String, value: Value },
    #[error("{field} cannot be {value}")]
    Field { field: &'static str, value: Value },
    #[error("body is not base64, as isBase64Encoded says")]
    Base64(#[source] base64::DecodeError),
}

/// A result with a `statusCode` describes the response; any other JSON is the body of one.
pub(super) fn response(payload: Bytes) -> Result<Response, Malformed> {
    match serde_json::from_slice::<Value>(&payload).map_err(Malformed::NotJson)? {
        Value::Object(described) if described.contains_key("statusCode") => describe(described),
        _ => {
            let mut response = Response::new(Body::from(payload));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(response)
        }
    }
}

fn describe(mut described: Map<String, Value>) -> Result<Response, Malformed> {
    let mut take = |field: &str| described.remove(field).unwrap_or_default();
    let status = status(take("statusCode"))?;
    let encoded = match take("isBase64Encoded") {
        Value::Bool(encoded) => encoded,
        Value::Null => false,
        value => {
            return Err(Malformed::Field {
                field: "isBase64Encoded",
                value,
            });
        }
    };
    let body = match take("body") {
        Value::String(text) if encoded => Bytes::from(STANDARD.decode(text).map_err(Malformed::Base64)?),
        Value::String(text) => Bytes::from(text),
        Value::Null => Bytes::new(),
        value => return Err(Malformed::Field { field: "body", value }),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain;charset=UTF-8"),
    );
    match take("headers") {
        Value::Null => {}
        Value::Object(members) => {
            for (name, value) in members {
                let (name, value) = header_of(name, value)?;
                if !is_hop_by_hop(&name) {
                    headers.insert(name, value);
                }
            }
        }
        value => {
            return Err(Malformed::Field {
                field: "headers",
                value,
            });
        }
    }
    match take("cookies") {
        Value::Null => {}
        Value::Array(cookies) => {
            for cookie in cookies {
                let (name, value) = header_of(header::SET_COOKIE.to_string(), cookie)?;
                headers.append(name, value);
            }
        }
        value => {
            return Err(Malformed::Field {
                field: "cookies",
                value,
            });
        }
    }
    Ok(response)
}

fn status(value: Value) -> Result<StatusCode, Malformed> {
    let number = match &value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    // Below 200 are interim responses, after which a client would wait for another.
    let status = number.filter(|number| (200..=599).contains(number));
    let status = status.and_then(|number| StatusCode::from_u16(u16::try_from(number).ok()?).ok());
    status.ok_or(Malformed::Status(value))
}

fn header_of(name: String, value: Value) -> Result<(HeaderName, HeaderValue), Malformed> {
    let text = match &value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let parsed_name = HeaderName::from_bytes(name.as_bytes()).ok();
    let parsed_value = text.and_then(|text| HeaderValue::from_maybe_shared(Bytes::from(text)).ok());
    parsed_name.zip(parsed_value).ok_or(Malformed::Header { name, value })
}

/// They speak of the connection and the framing, which are not the function's.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ]
    .contains(name)
        || name == "keep-alive"
}
