//! An event as GetExecutionHistory returns it.

use serde_json::{Map, Value, json};

use super::{Event, EventKind, Failure, Resource, StateType};
use crate::Json;

impl Event {
    /// AWS's `HistoryEvent`: times in epoch seconds, documents as text; `None` for a hidden event.
    ///
    /// Without execution data, inputs and outputs are left out, as `includeExecutionData: false` asks.
    pub fn wire(&self, include_execution_data: bool) -> Option<Value> {
        if self.is_hidden() {
            return None;
        }
        let mut wire = Map::new();
        wire.insert("timestamp".into(), epoch_seconds(self.time).into());
        wire.insert("type".into(), self.kind.type_name().into());
        wire.insert("id".into(), self.id.into());
        wire.insert("previousEventId".into(), self.previous.into());
        if let Some((key, details)) = details(&self.kind, include_execution_data) {
            wire.insert(key.into(), Value::Object(details));
        }
        Some(Value::Object(wire))
    }
}

/// A moment as AWS's JSON protocols write it: seconds with a fraction of milliseconds.
pub(crate) fn epoch_seconds(time: chrono::DateTime<chrono::Utc>) -> f64 {
    time.timestamp_millis() as f64 / 1000.0
}

impl StateType {
    /// As the definition's `Type` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "Task",
            Self::Pass => "Pass",
            Self::Choice => "Choice",
            Self::Wait => "Wait",
            Self::Succeed => "Succeed",
            Self::Fail => "Fail",
            Self::Parallel => "Parallel",
            Self::Map => "Map",
        }
    }
}

impl EventKind {
    /// AWS's name of the type.
    pub fn type_name(&self) -> String {
        let task = |resource: &Resource, suffix: &str| {
            format!("{}{suffix}", pick(resource, "Task", "LambdaFunction", "Activity"))
        };
        match self {
            Self::ExecutionStarted { .. } => "ExecutionStarted".into(),
            Self::ExecutionSucceeded { .. } => "ExecutionSucceeded".into(),
            Self::ExecutionFailed(_) => "ExecutionFailed".into(),
            Self::ExecutionTimedOut(_) => "ExecutionTimedOut".into(),
            Self::ExecutionAborted(_) => "ExecutionAborted".into(),
            Self::ExecutionRedriven { .. } => "ExecutionRedriven".into(),
            Self::StateEntered { state_type, .. } => format!("{}StateEntered", state_type.as_str()),
            Self::StateExited { state_type, .. } => format!("{}StateExited", state_type.as_str()),
            Self::StateAborted { state_type } => format!("{}StateAborted", state_type.as_str()),
            Self::TaskScheduled(schedule) => task(&schedule.resource, "Scheduled"),
            Self::TaskStarted { resource } => task(resource, "Started"),
            Self::ActivityStarted { .. } => "ActivityStarted".into(),
            Self::ActivityScheduleFailed(_) => "ActivityScheduleFailed".into(),
            Self::TaskSubmitted { resource, .. } => task(resource, "Submitted"),
            Self::TaskSucceeded { resource, .. } => task(resource, "Succeeded"),
            Self::TaskFailed { resource, .. } => task(resource, "Failed"),
            Self::TaskTimedOut { resource, .. } => task(resource, "TimedOut"),
            Self::ParallelStateStarted { .. } => "ParallelStateStarted".into(),
            Self::ParallelStateSucceeded => "ParallelStateSucceeded".into(),
            Self::ParallelStateFailed => "ParallelStateFailed".into(),
            Self::MapStateStarted { .. } => "MapStateStarted".into(),
            Self::MapRunStarted { .. } => "MapRunStarted".into(),
            Self::MapRunSucceeded => "MapRunSucceeded".into(),
            Self::MapRunFailed(_) => "MapRunFailed".into(),
            Self::MapRunRedriven { .. } => "MapRunRedriven".into(),
            Self::MapIterationStarted { .. } => "MapIterationStarted".into(),
            Self::MapIterationSucceeded { .. } => "MapIterationSucceeded".into(),
            Self::MapIterationFailed { .. } => "MapIterationFailed".into(),
            Self::MapIterationAborted { .. } => "MapIterationAborted".into(),
            Self::MapStateSucceeded => "MapStateSucceeded".into(),
            Self::MapStateFailed => "MapStateFailed".into(),
            Self::EvaluationFailed { .. } => "EvaluationFailed".into(),
            Self::WaitScheduled { .. }
            | Self::RetryScheduled { .. }
            | Self::MapItemFailed(_)
            | Self::MapRunUpdated { .. }
            | Self::TaskHeartbeat
            | Self::StateFailed(_) => String::new(),
        }
    }
}

type Details = (&'static str, Map<String, Value>);

fn details(kind: &EventKind, with_data: bool) -> Option<Details> {
    let mut map = Map::new();
    let key = match kind {
        EventKind::ExecutionStarted { identity, input, .. } => {
            put(&mut map, "input", input, with_data);
            map.insert("roleArn".into(), text(&identity.role_arn));
            let published = &identity.published;
            for (key, arn) in [
                ("stateMachineAliasArn", &published.alias_arn),
                ("stateMachineVersionArn", &published.version_arn),
            ] {
                if let Some(arn) = arn {
                    map.insert(key.into(), text(arn));
                }
            }
            "executionStartedEventDetails"
        }
        EventKind::ExecutionSucceeded { output } => {
            put(&mut map, "output", output, with_data);
            "executionSucceededEventDetails"
        }
        EventKind::ExecutionFailed(failure) => {
            put_failure(&mut map, failure);
            "executionFailedEventDetails"
        }
        EventKind::ExecutionTimedOut(failure) => {
            put_failure(&mut map, failure);
            "executionTimedOutEventDetails"
        }
        EventKind::ExecutionAborted(failure) => {
            put_failure(&mut map, failure);
            "executionAbortedEventDetails"
        }
        EventKind::ExecutionRedriven { redrive_count } => {
            map.insert("redriveCount".into(), (*redrive_count).into());
            "executionRedrivenEventDetails"
        }
        EventKind::StateEntered { name, input, .. } => {
            map.insert("name".into(), text(name));
            put(&mut map, "input", input, with_data);
            "stateEnteredEventDetails"
        }
        EventKind::StateExited {
            name, output, assigned, ..
        } => {
            map.insert("name".into(), text(name));
            put(&mut map, "output", output, with_data);
            if let Some(assigned) = assigned
                && with_data
            {
                let assigned = assigned
                    .iter()
                    .map(|(name, value)| (name.clone(), Value::from(value.text())));
                map.insert("assignedVariables".into(), assigned.collect());
                map.insert("assignedVariablesDetails".into(), json!({"truncated": false}));
            }
            "stateExitedEventDetails"
        }
        EventKind::TaskScheduled(schedule) => {
            if schedule.resource.resource_type.is_empty() {
                map.insert("resource".into(), text(&schedule.resource.resource));
                put(&mut map, "input", &schedule.parameters, with_data);
            } else {
                put_resource(&mut map, &schedule.resource);
                map.insert("region".into(), text(&schedule.region));
                if with_data {
                    map.insert("parameters".into(), schedule.parameters.text().into());
                }
            }
            if let Some(seconds) = schedule.timeout_seconds {
                map.insert("timeoutInSeconds".into(), seconds.into());
            }
            if let Some(seconds) = schedule.heartbeat_seconds {
                map.insert("heartbeatInSeconds".into(), seconds.into());
            }
            if let Some(credentials) = &schedule.credentials {
                let role = credentials.value().get("RoleArn").cloned();
                map.insert("taskCredentials".into(), json!({"roleArn": role.unwrap_or_default()}));
            }
            pick(
                &schedule.resource,
                "taskScheduledEventDetails",
                "lambdaFunctionScheduledEventDetails",
                "activityScheduledEventDetails",
            )
        }
        EventKind::TaskStarted { resource } => {
            if resource.is_function() {
                return None;
            }
            put_resource(&mut map, resource);
            "taskStartedEventDetails"
        }
        EventKind::ActivityStarted { worker } => {
            if let Some(worker) = worker {
                map.insert("workerName".into(), text(worker));
            }
            "activityStartedEventDetails"
        }
        EventKind::ActivityScheduleFailed(failure) => {
            put_failure(&mut map, failure);
            "activityScheduleFailedEventDetails"
        }
        EventKind::TaskSubmitted { resource, output } => {
            put_resource(&mut map, resource);
            put(&mut map, "output", output, with_data);
            "taskSubmittedEventDetails"
        }
        EventKind::TaskSucceeded { resource, output } => {
            put_resource(&mut map, resource);
            put(&mut map, "output", output, with_data);
            pick(
                resource,
                "taskSucceededEventDetails",
                "lambdaFunctionSucceededEventDetails",
                "activitySucceededEventDetails",
            )
        }
        EventKind::TaskFailed { resource, failure } => {
            put_resource(&mut map, resource);
            put_failure(&mut map, failure);
            pick(
                resource,
                "taskFailedEventDetails",
                "lambdaFunctionFailedEventDetails",
                "activityFailedEventDetails",
            )
        }
        EventKind::TaskTimedOut { resource, failure } => {
            put_resource(&mut map, resource);
            put_failure(&mut map, failure);
            pick(
                resource,
                "taskTimedOutEventDetails",
                "lambdaFunctionTimedOutEventDetails",
                "activityTimedOutEventDetails",
            )
        }
        EventKind::MapStateStarted { items, .. } => {
            let length = items.value().as_array().map_or(0, Vec::len);
            map.insert("length".into(), length.into());
            "mapStateStartedEventDetails"
        }
        EventKind::MapRunStarted { arn, .. } => {
            map.insert("mapRunArn".into(), text(arn));
            "mapRunStartedEventDetails"
        }
        EventKind::MapRunFailed(failure) => {
            put_failure(&mut map, failure);
            "mapRunFailedEventDetails"
        }
        EventKind::MapRunRedriven { arn, redrive_count } => {
            map.insert("mapRunArn".into(), text(arn));
            map.insert("redriveCount".into(), (*redrive_count).into());
            "mapRunRedrivenEventDetails"
        }
        EventKind::MapIterationStarted { name, index, .. } => {
            put_iteration(&mut map, name, *index);
            "mapIterationStartedEventDetails"
        }
        EventKind::MapIterationSucceeded { name, index } => {
            put_iteration(&mut map, name, *index);
            "mapIterationSucceededEventDetails"
        }
        EventKind::MapIterationFailed { name, index } => {
            put_iteration(&mut map, name, *index);
            "mapIterationFailedEventDetails"
        }
        EventKind::MapIterationAborted { name, index } => {
            put_iteration(&mut map, name, *index);
            "mapIterationAbortedEventDetails"
        }
        EventKind::EvaluationFailed {
            failure,
            location,
            state,
        } => {
            put_failure(&mut map, failure);
            if let Some(location) = location {
                map.insert("location".into(), text(location));
            }
            map.insert("state".into(), text(state));
            "evaluationFailedEventDetails"
        }
        EventKind::StateAborted { .. }
        | EventKind::ParallelStateStarted { .. }
        | EventKind::ParallelStateSucceeded
        | EventKind::ParallelStateFailed
        | EventKind::MapRunSucceeded
        | EventKind::MapStateSucceeded
        | EventKind::MapStateFailed
        | EventKind::WaitScheduled { .. }
        | EventKind::RetryScheduled { .. }
        | EventKind::MapItemFailed(_)
        | EventKind::MapRunUpdated { .. }
        | EventKind::TaskHeartbeat
        | EventKind::StateFailed(_) => return None,
    };
    Some((key, map))
}

fn pick(resource: &Resource, task: &'static str, function: &'static str, activity: &'static str) -> &'static str {
    match () {
        () if resource.is_activity() => activity,
        () if resource.is_function() => function,
        () => task,
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn put(map: &mut Map<String, Value>, key: &'static str, document: &Json, with_data: bool) {
    if with_data {
        map.insert(key.into(), document.text().into());
        map.insert(format!("{key}Details"), json!({"truncated": false}));
    }
}

/// The resource of a Task's event; those of functions and activities do not repeat it.
fn put_resource(map: &mut Map<String, Value>, resource: &Resource) {
    if !resource.resource_type.is_empty() {
        map.insert("resourceType".into(), text(&resource.resource_type));
        map.insert("resource".into(), text(&resource.resource));
    }
}

fn put_failure(map: &mut Map<String, Value>, failure: &Failure) {
    if let Some(error) = &failure.error {
        map.insert("error".into(), text(error));
    }
    if let Some(cause) = &failure.cause {
        map.insert("cause".into(), text(cause));
    }
}

fn put_iteration(map: &mut Map<String, Value>, name: &str, index: u32) {
    map.insert("name".into(), text(name));
    map.insert("index".into(), index.into());
}
