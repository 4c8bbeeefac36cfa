//! A Lambda Invoke API whose functions behave as a case says.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::case::{Case, Function, RawPayload};

/// The number of the next request.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The functions there are, by name; players add theirs.
#[derive(Clone, Default)]
pub(super) struct Functions(Arc<Mutex<BTreeMap<String, Behaviour>>>);

#[derive(Clone)]
struct Behaviour {
    function: Function,
    stack_trace: Value,
}

impl Functions {
    /// Adds a case's function under a name of its own.
    pub(super) fn add(&self, name: String, function: &Function, case: &Case) {
        let stack_trace = stack_trace(&case.text).unwrap_or_else(|| json!([]));
        let behaviour = Behaviour {
            function: function.clone(),
            stack_trace,
        };
        self.0.lock().expect("no holder panics").insert(name, behaviour);
    }

    /// Serves them on a free port until the test ends; the address.
    pub(super) async fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let router = Router::new()
            .route("/2015-03-31/functions/{name}/invocations", post(invoke))
            .with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }
}

async fn invoke(State(functions): State<Functions>, Path(name): Path<String>, event: String) -> Response {
    let name = name.rsplit(':').next().unwrap_or_default().to_owned();
    let behaviour = functions.0.lock().expect("no holder panics").get(&name).cloned();
    let Some(Behaviour { function, stack_trace }) = behaviour else {
        let message = format!("Function not found: arn:aws:lambda:us-east-1:000000000000:function:{name}:$LATEST");
        let code = [(HeaderName::from_static("x-amzn-errortype"), "ResourceNotFoundException")];
        let body = json!({"Type": "User", "Message": message}).to_string();
        return (StatusCode::NOT_FOUND, code, body).into_response();
    };
    tokio::time::sleep(Duration::from_secs(function.sleeps_seconds)).await;
    if let Some(failure) = &function.fails {
        let payload = json!({
            "errorMessage": failure.error_message,
            "errorType": failure.error_type,
            "requestId": format!("request-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            "stackTrace": stack_trace,
        });
        let failed = [(HeaderName::from_static("x-amz-function-error"), "Unhandled")];
        return (failed, asl::spaced(&payload)).into_response();
    }
    match &function.returns_raw_payload {
        Some(RawPayload::Text(text)) => text.clone().into_response(),
        Some(RawPayload::Repeated { repeat, times }) => asl::spaced(&json!(repeat.repeat(*times))).into_response(),
        None => match serde_json::from_str(&event) {
            Ok(event) => asl::spaced(&event).into_response(),
            Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        },
    }
}

/// The first stack trace that a recording shows, also inside of a cause that is a text.
fn stack_trace(recording: &Value) -> Option<Value> {
    match recording {
        Value::Object(members) => match members.get("stackTrace") {
            Some(trace @ Value::Array(_)) => Some(trace.clone()),
            _ => members.values().find_map(stack_trace),
        },
        Value::Array(items) => items.iter().find_map(stack_trace),
        Value::String(text) if text.contains("stackTrace") => stack_trace(&serde_json::from_str(text).ok()?),
        _ => None,
    }
}
