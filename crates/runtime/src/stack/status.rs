//! Tells the event bus of executions: the *Step Functions Execution Status Change* in AWS's shape.

use asl::Status;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::driver::{PublishFuture, StatusChange, StatusEvents};
use crate::events::{Bus, Event};
use crate::template::Rule;

/// Above this many bytes of input and output together AWS leaves both out of the event.
const MAX_DATA_BYTES: usize = 248 * 1024;

/// The bus, for the engine.
pub(super) struct StatusBus {
    bus: Bus,
    /// The statuses that some rule asks for; `None` where a rule does not say.
    statuses: Option<Vec<String>>,
}

impl StatusBus {
    pub(super) fn new(bus: Bus, rules: &[Rule]) -> Self {
        let named = |rule: &Rule| {
            let statuses = rule.pattern.pointer("/detail/status")?.as_array()?;
            statuses
                .iter()
                .map(|status| status.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        };
        let enabled = rules.iter().filter(|rule| rule.enabled);
        let statuses = enabled
            .map(named)
            .collect::<Option<Vec<_>>>()
            .map(|statuses| statuses.concat());
        Self { bus, statuses }
    }
}

impl StatusEvents for StatusBus {
    fn wants(&self, _state_machine_arn: &str, status: Status) -> bool {
        match &self.statuses {
            Some(statuses) => statuses.iter().any(|wanted| wanted == status.as_str()),
            None => true,
        }
    }

    fn publish(&self, change: StatusChange) -> PublishFuture<'_> {
        Box::pin(async move { Ok(self.bus.put(event(&change)).await?) })
    }
}

fn event(change: &StatusChange) -> Event {
    Event {
        id: id(change),
        source: "aws.states".to_owned(),
        detail_type: "Step Functions Execution Status Change".to_owned(),
        resources: vec![change.execution_arn.to_string()],
        time: change.stopped.or(change.redriven).unwrap_or(change.started),
        detail: detail(change),
    }
}

/// The same for the same change, so that one told twice is known.
fn id(change: &StatusChange) -> String {
    let mut hash = Sha256::new();
    hash.update(change.execution_arn.as_bytes());
    hash.update(change.status.as_bytes());
    hash.update(change.redrive_count.to_le_bytes());
    let hex: String = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn detail(change: &StatusChange) -> Value {
    let output = change.output.as_ref().map(|output| output.text());
    let included = change.input.text().len() + output.map_or(0, str::len) <= MAX_DATA_BYTES;
    let redrivable = matches!(&*change.status, "FAILED" | "TIMED_OUT" | "ABORTED");
    json!({
        "executionArn": &*change.execution_arn,
        "stateMachineArn": &*change.state_machine_arn,
        "name": &*change.name,
        "status": &*change.status,
        "startDate": change.started.timestamp_millis(),
        "stopDate": change.stopped.map(|moment| moment.timestamp_millis()),
        "input": included.then(|| change.input.text()),
        "inputDetails": {"included": included},
        "output": output.filter(|_| included),
        "outputDetails": output.map(|_| json!({"included": included})),
        "error": change.error.as_deref(),
        "cause": change.cause.as_deref(),
        "stateMachineVersionArn": change.version_arn.as_deref(),
        "stateMachineAliasArn": change.alias_arn.as_deref(),
        "redriveCount": change.redrive_count,
        "redriveDate": change.redriven.map(|moment| moment.timestamp_millis()),
        "redriveStatus": if redrivable { "REDRIVABLE" } else { "NOT_REDRIVABLE" },
        "redriveStatusReason": null,
    })
}
