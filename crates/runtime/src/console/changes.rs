//! What the console changes: executions are redriven and stopped.
//!
//! A page of another site must not be able to: such a request has an `Origin` that is not ours, or says by
//! `Sec-Fetch-Site` where it comes from, and cannot send JSON without asking first.

use std::sync::Arc;

use asl::Failure as Cause;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Console;
use super::answer::{Failure, answered};

/// A body names executions; a hundred of the longest names are some 20 KB.
const MAX_BODY_BYTES: usize = 64 << 10;

/// Executions that are redriven by one request: two pages of the list.
const MAX_REDRIVES: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Redrive {
    /// The same token again changes nothing.
    token: Option<Arc<str>>,
    executions: Vec<Name>,
}

#[derive(Debug, Deserialize)]
struct Name {
    machine: String,
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stop {
    cause: Option<Arc<str>>,
}

/// Reads a request that changes something, if it comes from a page of ours or from no page.
pub(super) async fn admit(headers: &HeaderMap, body: Body) -> Result<Value, Failure> {
    let forbidden = || Failure::new(StatusCode::FORBIDDEN, "Pages of other sites change nothing here.");
    let text = |name| {
        headers
            .get(name)
            .map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or_default())
    };
    if text(header::HeaderName::from_static("sec-fetch-site")).is_some_and(|site| site != "same-origin") {
        return Err(forbidden());
    }
    // A proxy may have taken the TLS away.
    let own = |origin: &str| {
        let name = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
        name.is_some() && name == text(header::HOST)
    };
    if text(header::ORIGIN).is_some_and(|origin| !own(origin)) {
        return Err(forbidden());
    }
    let media_type = text(header::CONTENT_TYPE).and_then(|content_type| content_type.split(';').next());
    if media_type.map(str::trim) != Some("application/json") {
        return Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body should be application/json.",
        ));
    }
    let unreadable = |message: &str| Failure::new(StatusCode::BAD_REQUEST, message);
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
    let body = body
        .map_err(|_| unreadable("The body is too large, or did not arrive."))?
        .to_bytes();
    serde_json::from_slice(&body).map_err(|error| unreadable(&format!("The body is not JSON: {error}.")))
}

fn read<T: for<'de> Deserialize<'de>>(body: &Value) -> Result<T, Failure> {
    T::deserialize(body).map_err(|error| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{error}.")))
}

impl Console {
    pub(super) async fn redrive(&self, machine: &str, name: &str, body: &Value) -> Result<Response, Failure> {
        let redrive: Redrive = read(body)?;
        let arn = self.engine.execution_arn(machine, name);
        let redriven = self.engine.redrive_execution(&arn, redrive.token).await?;
        Ok(answered(&json!({ "redriven": redriven.at.timestamp_millis() })))
    }

    /// Redrives each execution by itself: what cannot be is named with its reason.
    pub(super) async fn redrive_many(&self, body: &Value) -> Result<Response, Failure> {
        let redrive: Redrive = read(body)?;
        if MAX_REDRIVES < redrive.executions.len() {
            let message = format!("At most {MAX_REDRIVES} executions are redriven at once.");
            return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, message));
        }
        let mut redriven = 0;
        let mut refused = Vec::new();
        for Name { machine, name } in redrive.executions {
            let arn = self.engine.execution_arn(&machine, &name);
            match self.engine.redrive_execution(&arn, redrive.token.clone()).await {
                Ok(_) => redriven += 1,
                Err(error) => {
                    let message = Failure::from(error).message;
                    refused.push(json!({"machine": machine, "name": name, "message": message}));
                }
            }
        }
        Ok(answered(&json!({"redriven": redriven, "refused": refused})))
    }

    pub(super) async fn stop(&self, machine: &str, name: &str, body: &Value) -> Result<Response, Failure> {
        let stop: Stop = read(body)?;
        let arn = self.engine.execution_arn(machine, name);
        let cause = Cause {
            error: None,
            cause: stop.cause,
        };
        let stopped = self.engine.stop_execution(&arn, cause).await?;
        Ok(answered(&json!({ "stopped": stopped.timestamp_millis() })))
    }
}
