//! Step Functions itself: nested executions, and the AWS SDK's operations.

use asl::{Failure, Json};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::metadata::{Metadata, exception, optimised_cause, request_id, sdk_cause};
use super::{Form, Integrations};
use crate::aws::JSON_1_0;
use crate::driver::{TaskCall, TaskOutcome};
use crate::iam::{self, Denial};
use crate::stepfunctions::{Error, StepFunctions};

/// The operations of the AWS SDK integration, with the wire's names.
const OPERATIONS: &[(&str, &str)] = &[
    ("createActivity", "CreateActivity"),
    ("createStateMachine", "CreateStateMachine"),
    ("createStateMachineAlias", "CreateStateMachineAlias"),
    ("deleteActivity", "DeleteActivity"),
    ("deleteStateMachine", "DeleteStateMachine"),
    ("deleteStateMachineAlias", "DeleteStateMachineAlias"),
    ("deleteStateMachineVersion", "DeleteStateMachineVersion"),
    ("describeActivity", "DescribeActivity"),
    ("describeExecution", "DescribeExecution"),
    ("describeMapRun", "DescribeMapRun"),
    ("describeStateMachine", "DescribeStateMachine"),
    ("describeStateMachineAlias", "DescribeStateMachineAlias"),
    ("describeStateMachineForExecution", "DescribeStateMachineForExecution"),
    ("getActivityTask", "GetActivityTask"),
    ("getExecutionHistory", "GetExecutionHistory"),
    ("listActivities", "ListActivities"),
    ("listExecutions", "ListExecutions"),
    ("listMapRuns", "ListMapRuns"),
    ("listStateMachineAliases", "ListStateMachineAliases"),
    ("listStateMachineVersions", "ListStateMachineVersions"),
    ("listStateMachines", "ListStateMachines"),
    ("listTagsForResource", "ListTagsForResource"),
    ("publishStateMachineVersion", "PublishStateMachineVersion"),
    ("redriveExecution", "RedriveExecution"),
    ("sendTaskFailure", "SendTaskFailure"),
    ("sendTaskHeartbeat", "SendTaskHeartbeat"),
    ("sendTaskSuccess", "SendTaskSuccess"),
    ("startExecution", "StartExecution"),
    ("startSyncExecution", "StartSyncExecution"),
    ("stopExecution", "StopExecution"),
    ("tagResource", "TagResource"),
    ("untagResource", "UntagResource"),
    ("updateMapRun", "UpdateMapRun"),
    ("updateStateMachine", "UpdateStateMachine"),
    ("updateStateMachineAlias", "UpdateStateMachineAlias"),
    ("validateStateMachineDefinition", "ValidateStateMachineDefinition"),
];

/// Members whose value is a JSON text on the wire; the integrations take JSON for it.
const TEXTS: &[&str] = &["input", "output", "definition"];

/// The wire's names of all operations.
#[cfg(test)]
pub(crate) fn operations() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(_, wire)| *wire)
}

/// The wire's name of an operation that the AWS SDK integration has.
pub(super) fn operation(name: &str) -> Option<&'static str> {
    OPERATIONS
        .iter()
        .find(|(operation, _)| *operation == name)
        .map(|(_, wire)| *wire)
}

impl Integrations {
    /// An operation as AWS's Java client has it: members in upper camel case, dates in ISO 8601, no HTTP side.
    pub(super) async fn sfn(
        &self,
        call: &TaskCall,
        operation: &'static str,
        parameters: &Json,
    ) -> Result<Json, Failure> {
        let states = self.states().await?;
        let parameters = wire(parameters.value());
        let failed = |message: &str, status, name| {
            let cause = sdk_cause(message, "Sfn", status);
            Failure::new(&format!("Sfn.{name}"), cause)
        };
        self.judge(call, iam::Service::States, operation, parameters.to_string().as_bytes())
            // AWS's client has no exception for it.
            .map_err(|denial| failed(&denial.to_string(), denial.status(), "SfnException".to_owned()))?;
        let answer = states
            .perform(operation, &parameters)
            .await
            .map_err(|error| failed(&error.to_string(), error.status(), exception(error.code())))?;
        Ok(result(answer, &iso).into())
    }

    /// `states:startExecution`, and the wait for the execution's end if its form asks for one.
    pub(super) async fn start_execution(&self, call: &TaskCall, form: Form) -> Result<TaskOutcome, Failure> {
        let states = self.states().await?;
        if let Some(submitted) = &call.submitted {
            return ended(&states, nested(submitted), form)
                .await
                .map(TaskOutcome::Succeeded);
        }
        let parameters = wire(call.schedule.parameters.value());
        let judged = self.judge(
            call,
            iam::Service::States,
            "StartExecution",
            parameters.to_string().as_bytes(),
        );
        judged.map_err(|denial| {
            let cause = optimised_cause(&denial.to_string(), "AWSStepFunctions", denial.status(), Denial::CODE);
            // AWS's client has no exception for it.
            Failure::new("StepFunctions.AWSStepFunctionsException", cause)
        })?;
        let answer = start(&states, call, parameters)
            .await
            .map_err(|error| failure(&error))?;
        let started = started(answer, self.clock.now());
        let waits = form != Form::Started || call.schedule.resource.waits_for_token();
        Ok(if waits {
            TaskOutcome::Submitted(started)
        } else {
            TaskOutcome::Succeeded(started)
        })
    }

    /// Stops a nested execution whose task is no longer waited for. One that the state machine may not stop goes on.
    pub(super) async fn stop_execution(&self, call: &TaskCall, submitted: &Json) {
        let Ok(states) = self.states().await else {
            return;
        };
        let cause = format!(
            "The Task state in AWS Step Functions execution [{}] which was managing this resource was aborted",
            call.execution_arn
        );
        let parameters = json!({ "executionArn": nested(submitted), "cause": cause });
        let body = parameters.to_string();
        if let Err(denial) = self.judge(call, iam::Service::States, "StopExecution", body.as_bytes()) {
            tracing::warn!(%denial, "a nested execution that no one waits for goes on");
            return;
        }
        if let Err(error) = states.perform("StopExecution", &parameters).await {
            tracing::warn!(%error, "a nested execution that no one waits for could not be stopped");
        }
    }
}

/// The ARN in the answer to a nested execution's start.
fn nested(submitted: &Json) -> &str {
    let arn = submitted.value().get("ExecutionArn").and_then(Value::as_str);
    arn.unwrap_or_default()
}

/// Starts a nested execution; repeated after a crash, the call finds the one that it started.
async fn start(states: &StepFunctions, call: &TaskCall, mut parameters: Value) -> Result<Value, Error> {
    let named = parameters.get("name").is_some();
    if !named && let Value::Object(members) = &mut parameters {
        members.insert("name".into(), derived_name(call).into());
    }
    match states.start_nested(&parameters, &call.execution_arn).await {
        Err(Error::ExecutionAlreadyExists(arn)) if !named => {
            let described = states
                .perform("DescribeExecution", &json!({ "executionArn": arn }))
                .await?;
            Ok(json!({"executionArn": arn, "startDate": described["startDate"]}))
        }
        answer => answer,
    }
}

/// A name that a repeated call gives again, in the form of those that AWS makes up.
fn derived_name(call: &TaskCall) -> String {
    let digest = Sha256::new()
        .chain_update(&*call.execution_arn)
        .chain_update(call.scheduled.to_be_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// The result of a start.
fn started(answer: Value, now: DateTime<Utc>) -> Json {
    let id = request_id();
    let length = body_length(&answer);
    let mut result = match result(answer, &milliseconds) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    Metadata::new(200, id.clone())
        .header("x-amzn-RequestId", id)
        .header("connection", "keep-alive")
        .header("Content-Length", length.to_string())
        .date(now)
        .header("Content-Type", JSON_1_0)
        .put(&mut result);
    Value::Object(result).into()
}

/// The length of a StartExecution's answer on AWS, whose dates are Java's: always that of one with milliseconds.
fn body_length(answer: &Value) -> usize {
    let mut body = answer.clone();
    body["startDate"] = json!(0);
    body.to_string().len() - "0".len() + "1.688110567123E9".len()
}

/// Waits for the end of a nested execution; any end but success is a failure of the task.
async fn ended(states: &StepFunctions, arn: &str, form: Form) -> Result<Json, Failure> {
    states.wait_closed(arn).await.map_err(|error| failure(&error))?;
    let mut described = states
        .perform("DescribeExecution", &json!({ "executionArn": arn }))
        .await
        .map_err(|error| failure(&error))?;
    if let Value::Object(members) = &mut described {
        members.retain(|name, _| !name.starts_with("redrive"));
        members.sort_keys();
    }
    let mut result = result(described, &milliseconds);
    if result.get("Status").and_then(Value::as_str) != Some("SUCCEEDED") {
        return Err(Failure::new("States.TaskFailed", result.to_string()));
    }
    if form == Form::Json {
        for name in ["Input", "Output"] {
            if let Some(text) = result.get_mut(name)
                && let Some(Ok(value)) = text.as_str().map(serde_json::from_str::<Value>)
            {
                *text = value;
            }
        }
    }
    Ok(result.into())
}

fn failure(error: &Error) -> Failure {
    let cause = optimised_cause(&error.to_string(), "AWSStepFunctions", error.status(), error.code());
    Failure::new(&format!("StepFunctions.{}", exception(error.code())), cause)
}

/// Parameters as the wire has them: lower camel case, JSON as text, without what is `null`.
fn wire(parameters: &Value) -> Value {
    let Value::Object(members) = parameters else {
        return json!({});
    };
    let members = members
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let name = lower(name);
            let value = match value {
                Value::String(_) => value.clone(),
                value if TEXTS.contains(&name.as_str()) => value.to_string().into(),
                value => renamed(value.clone(), &lower, &|_, value| value),
            };
            (name, value)
        });
    Value::Object(members.collect())
}

/// An answer as the integrations show it: upper camel case, and dates as `date` has them.
fn result(answer: Value, date: &dyn Fn(DateTime<Utc>) -> Value) -> Value {
    renamed(answer, &upper, &|name, value| {
        let moment = match name.ends_with("Date") || name == "timestamp" {
            true => value
                .as_f64()
                .and_then(|seconds| DateTime::from_timestamp_millis((seconds * 1000.0).round() as i64)),
            false => None,
        };
        moment.map_or(value, date)
    })
}

/// Renames all members, and changes values that are no containers, by the member's name.
fn renamed(value: Value, rename: &dyn Fn(&str) -> String, change: &dyn Fn(&str, Value) -> Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let value = match value {
                    Value::Object(_) | Value::Array(_) => renamed(value, rename, change),
                    value => change(&name, value),
                };
                (rename(&name), value)
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => items.into_iter().map(|item| renamed(item, rename, change)).collect(),
        value => value,
    }
}

fn lower(name: &str) -> String {
    let mut characters = name.chars();
    characters
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(characters)
        .collect()
}

fn upper(name: &str) -> String {
    let mut characters = name.chars();
    characters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(characters)
        .collect()
}

fn iso(moment: DateTime<Utc>) -> Value {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true).into()
}

fn milliseconds(moment: DateTime<Utc>) -> Value {
    moment.timestamp_millis().into()
}
