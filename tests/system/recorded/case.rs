//! A case's file.

use std::path::Path;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) area: String,
    /// The functions that the case's state machines call.
    #[serde(default)]
    pub(super) lambda_functions: Vec<Function>,
    /// The whole file, in which a function's stack trace is looked up.
    #[serde(skip)]
    pub(super) text: Value,
    #[serde(flatten)]
    pub(super) kind: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Kind {
    /// A state machine and its executions.
    Execution {
        definition: Option<Value>,
        #[serde(rename = "type")]
        machine_type: String,
        executions: Vec<Run>,
    },
    /// Calls in order.
    Api { steps: Vec<Step> },
}

#[derive(Debug, Deserialize)]
pub(super) struct Run {
    /// A state machine of this run's own.
    pub(super) definition: Option<Value>,
    #[serde(default)]
    pub(super) input: Value,
    /// The input's exact text, where it matters.
    pub(super) input_text: Option<String>,
    pub(super) expected: Expected,
}

#[derive(Debug, Deserialize)]
pub(super) struct Expected {
    /// Absent where the recording ends before the execution does.
    pub(super) status: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) output: Option<Value>,
    pub(super) error: Option<Value>,
    pub(super) cause: Option<Value>,
    pub(super) history: Option<Value>,
    pub(super) describe: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Step {
    Wait {
        wait: Value,
    },
    Call {
        step: String,
        call: String,
        params: Value,
        #[serde(default)]
        fails: bool,
        #[serde(default)]
        expect: Vec<Expectation>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Expectation {
    Refusal { error: Value },
    Answer { path: String, equals: Value },
}

/// What a function does.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Function {
    pub(super) step: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) sleeps_seconds: u64,
    /// The error it ends with.
    pub(super) fails: Option<Failure>,
    /// The literal answer, where it is not the input.
    pub(super) returns_raw_payload: Option<RawPayload>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    pub(super) error_type: String,
    pub(super) error_message: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawPayload {
    Text(String),
    Repeated { repeat: String, times: usize },
}

/// A value that is there even if it is `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Case {
    pub(super) fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut case: Self = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        case.text = serde_json::from_str(&text).expect("a case that could be read is JSON");
        case.renew(Utc::now());
        case
    }

    /// Dates a case anew whose moment is meant as seen from the day of its preparation, and which would mean another
    /// thing from one day on: its id ends in `boundary[DAYS]`, the days from now to the moment of its inputs.
    fn renew(&mut self, now: DateTime<Utc>) {
        let Some(moment) = self.days_ahead().and_then(|days| now.checked_add_signed(days)) else {
            return;
        };
        let Kind::Execution { executions, .. } = &mut self.kind else {
            return;
        };
        let inputs = executions.iter_mut().filter_map(|run| run.input.as_object_mut());
        for value in inputs.flat_map(|input| input.values_mut()) {
            if value
                .as_str()
                .is_some_and(|text| DateTime::parse_from_rfc3339(text).is_ok())
            {
                *value = moment.to_rfc3339_opts(SecondsFormat::Millis, true).into();
            }
        }
    }

    fn days_ahead(&self) -> Option<TimeDelta> {
        let (_, days) = self.id.strip_suffix(']')?.rsplit_once("boundary[")?;
        TimeDelta::try_days(days.parse().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_boundary_is_as_far_ahead_on_every_day_it_is_played() {
        let input = json!({ "at": "2094-12-10T08:00:55.000Z", "of": "2094" });
        for (id, at) in [
            ("far_boundary[3]", "2100-01-04T00:00:00.000Z"),
            ("far[3]", "2094-12-10T08:00:55.000Z"),
        ] {
            let run = json!({ "input": input, "expected": {} });
            let case =
                json!({ "id": id, "area": "wait", "kind": "execution", "type": "STANDARD", "executions": [run] });
            let mut case: Case = serde_json::from_value(case).unwrap();
            case.renew("2100-01-01T00:00:00Z".parse().unwrap());
            let Kind::Execution { executions, .. } = &case.kind else {
                panic!("{id} is no execution");
            };
            assert_eq!(executions[0].input, json!({ "at": at, "of": "2094" }), "{id}");
        }
    }
}
