//! A Lambda endpoint elsewhere: the Invoke operation over plain HTTP.

use std::borrow::Cow;

use axum::http::uri::Authority;
use axum::http::{Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::lambda::{Invocation, InvokeError};

/// The largest answer taken: Lambda's own 6 MB and some for its framing.
const MAX_ANSWER_BYTES: usize = 7 << 20;

/// The text is not a plain HTTP endpoint.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an endpoint like http://127.0.0.1:3001")]
pub struct NotAnEndpoint(String);

/// Where functions are called that are not here.
#[derive(Clone, Debug)]
pub struct LambdaEndpoint {
    authority: Authority,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl LambdaEndpoint {
    /// The endpoint at `url`, `http://host:port`.
    pub fn new(url: &str) -> Result<Self, NotAnEndpoint> {
        let refuse = || NotAnEndpoint(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| refuse())?;
        let authority = uri
            .authority()
            .filter(|_| uri.scheme_str() == Some("http"))
            .ok_or_else(refuse)?;
        if uri.path() != "/" || uri.query().is_some() {
            return Err(refuse());
        }
        Ok(Self {
            authority: authority.clone(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// Invokes a function and waits for its answer.
    pub(super) async fn invoke(&self, invocation: Invocation) -> Result<Bytes, InvokeError> {
        let function: String = invocation.function.chars().flat_map(escaped).collect();
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let uri = Uri::builder()
            .scheme("http")
            .authority(self.authority.clone())
            .path_and_query(path)
            .build();
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri.map_err(|error| unreachable_service(&error))?)
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-amz-invocation-type", "RequestResponse")
            .body(Full::new(invocation.payload))
            .map_err(|error| unreachable_service(&error))?;
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| unreachable_service(&error))?;
        let (parts, body) = response.into_parts();
        let payload = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let payload = payload.map_err(|error| unreachable_service(&*error))?.to_bytes();
        let named = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        if parts.status.is_success() {
            return match named("x-amz-function-error") {
                None => Ok(payload),
                Some(_) => Err(InvokeError::Function { payload }),
            };
        }
        let code = named("x-amzn-errortype").unwrap_or_default();
        let message = serde_json::from_slice::<Value>(&payload).ok().and_then(|body| {
            let message = body.get("Message").or_else(|| body.get("message"))?;
            message.as_str().map(str::to_owned)
        });
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(&payload).into_owned());
        Err(InvokeError::Service {
            code: known_code(&code, parts.status),
            status: parts.status.as_u16(),
            message,
        })
    }
}

/// Percent-encodes what may not stand in a segment of a path; an ARN's colons may.
fn escaped(character: char) -> Vec<char> {
    if character.is_ascii_alphanumeric() || "-._~:$".contains(character) {
        return vec![character];
    }
    let mut bytes = [0; 4];
    let encoded = character
        .encode_utf8(&mut bytes)
        .bytes()
        .map(|byte| format!("%{byte:02X}"));
    encoded.collect::<String>().chars().collect()
}

/// The service's error by its header, or by the status where an endpoint sends none.
fn known_code(code: &str, status: StatusCode) -> &'static str {
    const CODES: &[&str] = &[
        "ResourceNotFoundException",
        "TooManyRequestsException",
        "RequestTooLargeException",
        "InvalidRequestContentException",
        "InvalidParameterValueException",
        "AccessDeniedException",
        "ServiceException",
    ];
    let code = Cow::from(code.split(':').next().unwrap_or_default());
    match CODES.iter().find(|known| **known == code) {
        Some(known) => known,
        None => match status {
            StatusCode::NOT_FOUND => "ResourceNotFoundException",
            StatusCode::TOO_MANY_REQUESTS => "TooManyRequestsException",
            StatusCode::PAYLOAD_TOO_LARGE => "RequestTooLargeException",
            status if status.is_client_error() => "InvalidParameterValueException",
            _ => "ServiceException",
        },
    }
}

/// What AWS's client reports where Lambda cannot be reached.
fn unreachable_service(error: &(dyn std::error::Error + 'static)) -> InvokeError {
    tracing::warn!(error, "the Lambda endpoint could not be reached");
    InvokeError::Service {
        code: "SdkClientException",
        status: 0,
        message: "Unable to execute HTTP request".into(),
    }
}
