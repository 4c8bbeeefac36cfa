//! `events:putEvents`: to the rules that run here.

use asl::{Failure, Json};
use bytes::Bytes;
use serde_json::{Value, json};

use super::Integrations;
use super::metadata::{Metadata, exception, optimised_cause, refusal, request_id};
use crate::driver::TaskCall;
use crate::iam::{self, Denial};

impl Integrations {
    /// Puts events; one that is not taken fails the task. The execution and its state machine are added to each
    /// event's resources, as AWS does.
    pub(super) async fn put_events(&self, call: &TaskCall) -> Result<Json, Failure> {
        let mut request = call.schedule.parameters.value().clone();
        let entries = request.get_mut("Entries").and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
            if let Some(detail) = entry.get_mut("Detail").filter(|detail| !detail.is_string()) {
                *detail = detail.to_string().into();
            }
            let resources = entry.entry("Resources").or_insert_with(|| json!([]));
            if let Value::Array(resources) = resources {
                resources.extend([json!(call.execution_arn), json!(call.state_machine_arn)]);
            }
        }
        let service = (iam::Service::Events, self.events.as_ref());
        let answer = self
            .ask(call, service, "PutEvents", Bytes::from(request.to_string()))
            .await;
        if answer.status != 200 {
            let (code, message) = refusal(&answer.body);
            let cause = optimised_cause(&message, "AmazonEventBridge", answer.status, &code);
            let name = match &*code {
                // AWS's client has no exception for it.
                Denial::CODE => "AmazonEventBridgeException".to_owned(),
                code => exception(code),
            };
            return Err(Failure::new(&format!("EventBridge.{name}"), cause));
        }
        let mut result = match serde_json::from_slice(&answer.body) {
            Ok(Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        if result.get("FailedEntryCount").and_then(Value::as_u64) != Some(0) {
            return Err(Failure::new(
                "EventBridge.FailedEntry",
                Value::Object(result).to_string(),
            ));
        }
        let id = request_id();
        Metadata::new(200, id.clone())
            .header("x-amzn-RequestId", id)
            .header("Content-Length", answer.body.len().to_string())
            .date(self.clock.now())
            .header("Content-Type", answer.content_type)
            .put(&mut result);
        Ok(Value::Object(result).into())
    }
}
