//! Functions: by their own ARN, and through `lambda:invoke`.

use asl::{Failure, Json};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Integrations;
use super::metadata::{Metadata, exception, optimised_cause, request_id};
use crate::driver::TaskCall;
use crate::iam::Denial;
use crate::lambda::{Invocation, InvokeError};

/// The version that an unpublished function has; there is no other here.
const VERSION: &str = "$LATEST";

/// Errors that Lambda's API does not list, which AWS's client has no exception for.
const UNNAMED: [&str; 2] = ["AccessDeniedException", "ValidationException"];

impl Integrations {
    /// Calls a function by its ARN; the result is its payload, the cause of a failure its error payload, to the letter.
    pub(super) async fn function(&self, call: &TaskCall, arn: &str, input: &Json) -> Result<Json, Failure> {
        let payload = Bytes::copy_from_slice(input.text().as_bytes());
        match self.invoke(call, arn, payload).await {
            Ok(payload) => Ok(document(&payload)),
            Err(InvokeError::Function { payload }) => Err(function_failure(
                &payload,
                String::from_utf8_lossy(&payload).into_owned(),
            )),
            Err(InvokeError::Service { code, status, message }) => Err(service_failure(code, status, &message)),
        }
    }

    /// `lambda:invoke`; the cause of a failure is the error payload printed anew.
    pub(super) async fn lambda_invoke(&self, call: &TaskCall, parameters: &Json) -> Result<Json, Failure> {
        let parameters = parameters.value();
        let Some(function) = parameters.get("FunctionName").and_then(Value::as_str) else {
            let message = "1 validation error detected: Value at 'functionName' failed to satisfy constraint: Member \
                           must not be null";
            return Err(service_failure("ValidationException", 400, message));
        };
        let function = match parameters.get("Qualifier").and_then(Value::as_str) {
            Some(qualifier) => format!("{function}:{qualifier}"),
            None => function.to_owned(),
        };
        let payload = match parameters.get("Payload") {
            None | Some(Value::Null) => Bytes::from_static(b"{}"),
            // A text that is JSON is the payload itself.
            Some(Value::String(text)) if serde_json::from_str::<Value>(text).is_ok() => Bytes::from(text.clone()),
            Some(payload) => Bytes::from(payload.to_string()),
        };
        match self.invoke(call, &function, payload).await {
            Ok(payload) => Ok(invoked(&payload, self.clock.now())),
            Err(InvokeError::Function { payload }) => {
                let printed = serde_json::from_slice::<Value>(&payload).map(|payload| payload.to_string());
                let cause = printed.unwrap_or_else(|_| String::from_utf8_lossy(&payload).into_owned());
                Err(function_failure(&payload, cause))
            }
            Err(InvokeError::Service { code, status, message }) => Err(service_failure(code, status, &message)),
        }
    }

    /// Calls a function here, or elsewhere if it is not here, if the state machine may.
    async fn invoke(&self, call: &TaskCall, function: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
        if let Some(caller) = self.caller(call) {
            let judged = self.policies.may_invoke(caller, function).inspect_err(Denial::log);
            judged.map_err(|denial| InvokeError::Service {
                code: Denial::CODE,
                status: denial.status(),
                message: denial.to_string(),
            })?;
        }
        let invocation = Invocation {
            function: function.to_owned(),
            payload,
        };
        let Some(elsewhere) = &self.elsewhere else {
            return self.functions.invoke(invocation).await;
        };
        match self.functions.invoke(invocation.clone()).await {
            Err(InvokeError::Service { status: 404, .. }) => elsewhere.invoke(invocation).await,
            answer => answer,
        }
    }
}

/// A function's answer as a document; a runtime may answer with what is no JSON, which then is a text.
fn document(payload: &[u8]) -> Json {
    let text = String::from_utf8_lossy(payload);
    Json::parse(&text).unwrap_or_else(|_| Value::from(text.into_owned()).into())
}

/// What `lambda:invoke` makes of an answer.
fn invoked(payload: &[u8], now: DateTime<Utc>) -> Json {
    let id = request_id();
    let trace: String = id.bytes().filter(u8::is_ascii_hexdigit).map(char::from).collect();
    let (time, unique) = trace.split_at(8);
    let mut result = Map::new();
    result.insert("ExecutedVersion".into(), json!(VERSION));
    result.insert("Payload".into(), document(payload).value().clone());
    Metadata::new(200, id.clone())
        .header("X-Amz-Executed-Version", VERSION)
        .header("x-amzn-Remapped-Content-Length", "0")
        .header("Connection", "keep-alive")
        .header("x-amzn-RequestId", &*id)
        .header("Content-Length", payload.len().to_string())
        .date(now)
        .header(
            "X-Amzn-Trace-Id",
            format!("root=1-{time}-{unique};parent={};sampled=0", &unique[..16]),
        )
        .header("Content-Type", "application/json")
        .put(&mut result);
    result.insert("StatusCode".into(), json!(200));
    Value::Object(result).into()
}

/// A failure whose name is the function's own error's.
fn function_failure(payload: &[u8], cause: String) -> Failure {
    let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
    let error = payload
        .get("errorType")
        .and_then(Value::as_str)
        .unwrap_or("Lambda.Unknown");
    Failure::new(error, cause)
}

/// A failure of the Lambda service, in the name that Retriers know it by.
fn service_failure(code: &str, status: u16, message: &str) -> Failure {
    let error = match UNNAMED.contains(&code) {
        true => "Lambda.AWSLambdaException".to_owned(),
        false => format!("Lambda.{}", exception(code)),
    };
    Failure::new(&error, optimised_cause(message, "AWSLambda", status, code))
}
