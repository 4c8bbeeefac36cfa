//! The HTTP side of an optimised integration's result, as AWS's Java client shows it to the state machine.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The id of one request, as a service would have given it.
pub(super) fn request_id() -> String {
    Uuid::new_v4().to_string()
}

/// The headers of an answer, in AWS's order, and the two members of a result that show them.
pub(super) struct Metadata {
    headers: Vec<(&'static str, String)>,
    status: u16,
    request_id: String,
}

impl Metadata {
    pub(super) fn new(status: u16, request_id: String) -> Self {
        Self {
            headers: Vec::new(),
            status,
            request_id,
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn date(self, now: DateTime<Utc>) -> Self {
        self.header("Date", now.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }

    /// Adds `SdkHttpMetadata` and `SdkResponseMetadata`.
    pub(super) fn put(self, result: &mut Map<String, Value>) {
        let all: Map<_, _> = self
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!([value])))
            .collect();
        let mut sorted = self.headers;
        sorted.sort_by_key(|(name, _)| name.to_ascii_lowercase());
        let one: Map<_, _> = sorted
            .into_iter()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        result.insert(
            "SdkHttpMetadata".into(),
            json!({"AllHttpHeaders": all, "HttpHeaders": one, "HttpStatusCode": self.status}),
        );
        result.insert("SdkResponseMetadata".into(), json!({"RequestId": self.request_id}));
    }
}

/// The cause of an optimised integration's failure.
pub(super) fn optimised_cause(message: &str, service: &str, status: u16, code: &str) -> String {
    let id = request_id();
    format!("{message} (Service: {service}; Status Code: {status}; Error Code: {code}; Request ID: {id}; Proxy: null)")
}

/// The cause of an AWS SDK integration's failure.
pub(super) fn sdk_cause(message: &str, service: &str, status: u16) -> String {
    let id = request_id();
    format!("{message} (Service: {service}, Status Code: {status}, Request ID: {id}) (SDK Attempt Count: 1)")
}

/// A service's error code without the package before it, and its message.
pub(super) fn refusal(body: &[u8]) -> (String, String) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = body.get("__type").and_then(Value::as_str).unwrap_or("InternalFailure");
    let message = body
        .get("message")
        .or_else(|| body.get("Message"))
        .and_then(Value::as_str);
    let code = code.rsplit('#').next().unwrap_or(code);
    (code.to_owned(), message.unwrap_or_default().to_owned())
}

/// An exception's name as AWS's clients have it, which always end it so.
pub(super) fn exception(code: &str) -> String {
    match code.ends_with("Exception") || code.ends_with("Error") {
        true => code.to_owned(),
        false => format!("{code}Exception"),
    }
}
