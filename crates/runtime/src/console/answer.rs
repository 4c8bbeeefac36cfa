//! Answers of the console's API: JSON, or a sentence about what is wrong.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::driver;
use crate::history::executions::RETENTION;

/// Why a request has no answer. The sentence is shown on the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(super) fn path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is nothing at this address.")
    }

    pub(super) fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "This address is only read, or only posted to.",
        )
    }

    pub(super) fn parameter(name: &str, value: &str, expected: &str) -> Self {
        let message = format!("{name} is {value:?}; it should be {expected}.");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(super) fn response(&self) -> Response {
        let mut response = answered(&json!({ "message": self.message }));
        *response.status_mut() = self.status;
        response
    }
}

impl From<driver::Error> for Failure {
    fn from(error: driver::Error) -> Self {
        match &error {
            driver::Error::ExecutionDoesNotExist { arn } => {
                let name = arn.rsplit(':').next().unwrap_or_default();
                let days = RETENTION.num_days();
                let message =
                    format!("{name:?} was never started, or it closed more than {days} days ago and has been deleted.");
                Self::new(StatusCode::NOT_FOUND, message)
            }
            driver::Error::StateMachineDoesNotExist { arn } => {
                let name = arn.rsplit(':').next().unwrap_or_default();
                Self::new(StatusCode::NOT_FOUND, format!("There is no state machine {name:?}."))
            }
            driver::Error::ExecutionNotRedrivable { reason, .. } => {
                Self::new(StatusCode::CONFLICT, format!("{reason}."))
            }
            error => {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "the console could not be answered"
                );
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The engine could not answer; its log says why.",
                )
            }
        }
    }
}

pub(super) fn answered(body: &Value) -> Response {
    typed("application/json", Body::from(body.to_string()))
}

/// An answer that no cache keeps and no browser takes for anything else than what it is.
pub(super) fn typed(content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An answer that is saved as a file of this name.
pub(super) fn attached(mut response: Response, name: &str) -> Response {
    let safe = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let name: String = name
        .chars()
        .map(|character| if safe(character) { character } else { '_' })
        .collect();
    let value = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let value = value.expect("what is not a letter was replaced");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    response
}
