//! The EventBridge API: PutEvents.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Bus, Event};
use crate::aws::{Answer, JSON_1_1};

/// How many entries one request may have.
const MAX_ENTRIES: usize = 10;

/// How many bytes the entries of one request may have together.
const MAX_BYTES: usize = 256 << 10;

/// What AWS counts for an entry's time.
const TIME_BYTES: usize = 14;

/// The one bus there is.
const BUS: &str = "default";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    entries: Vec<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    resources: Vec<String>,
    /// Epoch seconds.
    time: Option<f64>,
    event_bus_name: Option<String>,
}

impl Entry {
    fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let resources: usize = self.resources.iter().map(String::len).sum();
        let time = self.time.map_or(0, |_| TIME_BYTES);
        text(&self.source) + text(&self.detail_type) + text(&self.detail) + resources + time
    }

    /// Whether it is for the bus there is. AWS takes events for others, too, and says nothing.
    fn is_for_us(&self) -> bool {
        self.event_bus_name
            .as_deref()
            .is_none_or(|bus| bus == BUS || bus.ends_with(":event-bus/default"))
    }

    fn read(self, now: DateTime<Utc>) -> Result<Event, (&'static str, String)> {
        let required = |name: &str, value: Option<String>| match value {
            Some(value) if !value.is_empty() => Ok(value),
            _ => {
                let message = format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
                Err(("InvalidArgument", message))
            }
        };
        let source = required("Source", self.source)?;
        let detail_type = required("DetailType", self.detail_type)?;
        let detail = required("Detail", self.detail)?;
        if source.starts_with("aws.") {
            return Err((
                "NotAuthorizedForSourceException",
                "Not authorized for the source.".to_owned(),
            ));
        }
        let detail = match serde_json::from_str(&detail) {
            Ok(detail @ Value::Object(_)) => detail,
            _ => return Err(("MalformedDetail", "Detail is malformed.".to_owned())),
        };
        let time = self
            .time
            .and_then(|seconds| DateTime::from_timestamp_millis((seconds * 1000.0) as i64));
        Ok(Event {
            id: uuid::Uuid::new_v4().to_string(),
            source,
            detail_type,
            resources: self.resources,
            time: time.unwrap_or(now),
            detail,
        })
    }
}

pub(super) async fn handle(bus: &Bus, operation: &str, body: &[u8]) -> Answer {
    match operation {
        "PutEvents" => put_events(bus, body).await,
        _ => Answer::unknown_operation(JSON_1_1),
    }
}

async fn put_events(bus: &Bus, body: &[u8]) -> Answer {
    let Ok(Request { entries }) = serde_json::from_slice(body) else {
        return Answer::error(JSON_1_1, 400, "SerializationException", "The request is not valid.");
    };
    let wrong = match entries.len() {
        0 => Some("Member must have length greater than or equal to 1"),
        1..=MAX_ENTRIES => None,
        _ => Some("Member must have length less than or equal to 10"),
    };
    if let Some(constraint) = wrong {
        let message =
            format!("1 validation error detected: Value at 'entries' failed to satisfy constraint: {constraint}");
        return Answer::error(JSON_1_1, 400, "ValidationException", &message);
    }
    if MAX_BYTES < entries.iter().map(Entry::bytes).sum() {
        let message = "Total size of the entries in the request is over the limit.";
        return Answer::error(JSON_1_1, 400, "ValidationException", message);
    }
    let now = bus.shared.clock.now();
    let mut events = Vec::new();
    let mut results = Vec::new();
    for entry in entries {
        let is_for_us = entry.is_for_us();
        results.push(match entry.read(now) {
            Ok(event) => {
                let result = json!({"EventId": event.id});
                events.extend(is_for_us.then_some(event));
                result
            }
            Err((code, message)) => json!({"ErrorCode": code, "ErrorMessage": message}),
        });
    }
    if let Err(error) = bus.put_all(&events).await {
        tracing::error!(error = %error, "could not take events");
        return Answer::error(JSON_1_1, 500, "InternalException", "An internal error occurred.");
    }
    let failed = results
        .iter()
        .filter(|result| result.get("ErrorCode").is_some())
        .count();
    Answer::ok(JSON_1_1, &json!({"FailedEntryCount": failed, "Entries": results}))
}
