//! The Step Functions API as AWS speaks it (AWS JSON 1.0), on top of the [`Engine`].
//!
//! Each operation reads its request, refuses what AWS refuses in AWS's words, asks the engine and shapes the answer.
//! The state of everything lies in the engine; nothing is kept here.

mod activities;
mod aliases;
mod arn;
mod check;
mod error;
mod executions;
mod jackson;
mod machines;
mod map_runs;
mod page;
mod request;
mod tags;
mod tasks;
mod test_state;
mod variables;
mod versions;

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::aws::{Answer, Answering, JSON_1_0, Service};
use crate::clock::Clock;
use crate::driver::{self, Engine};

pub(crate) use aliases::is_name as is_alias_name;
pub(crate) use check::problems;
pub use error::Error;

use request::Request;

/// The Step Functions service.
#[derive(Clone)]
pub struct StepFunctions {
    engine: Engine,
    clock: Clock,
}

impl StepFunctions {
    pub fn new(engine: Engine, clock: Clock) -> Self {
        Self { engine, clock }
    }

    /// Answers a request as the wire has it.
    pub async fn handle(&self, operation: &str, body: Bytes) -> Answer {
        let request = Request::parse(&body);
        // It may be a while until the answer.
        drop(body);
        let answer = match request {
            Ok(request) => self.operate(operation, request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => Answer::ok(JSON_1_0, &answer),
            Err(error) => error.answer(),
        }
    }

    /// Performs an operation asked for from within, by the same rules.
    pub(crate) async fn perform(&self, operation: &str, parameters: &Value) -> Result<Value, Error> {
        let request = Request::parse(parameters.to_string().as_bytes())?;
        self.operate(operation, request).await
    }

    /// Starts an execution for a task of another one, by the same rules.
    pub(crate) async fn start_nested(&self, parameters: &Value, parent: &str) -> Result<Value, Error> {
        let mut request = Request::parse(parameters.to_string().as_bytes())?;
        self.begin(&mut request, Some(parent.into())).await
    }

    /// Waits until an execution is closed.
    pub(crate) async fn wait_closed(&self, execution_arn: &str) -> Result<(), Error> {
        self.engine.wait_closed(execution_arn).await?;
        Ok(())
    }

    /// Performs an operation, to its end even if the caller is gone by then: what is written must come to be known.
    async fn operate(&self, operation: &str, request: Request) -> Result<Value, Error> {
        if waits(operation) {
            return self.run(operation, request).await;
        }
        let (service, operation) = (self.clone(), operation.to_owned());
        let operating = tokio::spawn(async move { service.run(&operation, request).await });
        operating.await.map_err(|_| Error::Internal)?
    }

    async fn run(&self, operation: &str, mut request: Request) -> Result<Value, Error> {
        let request = &mut request;
        match operation {
            "CreateActivity" => self.create_activity(request).await,
            "CreateStateMachine" => self.create_state_machine(request).await,
            "CreateStateMachineAlias" => self.create_state_machine_alias(request).await,
            "DeleteActivity" => self.delete_activity(request).await,
            "DeleteStateMachine" => self.delete_state_machine(request).await,
            "DeleteStateMachineAlias" => self.delete_state_machine_alias(request).await,
            "DeleteStateMachineVersion" => self.delete_state_machine_version(request).await,
            "DescribeActivity" => self.describe_activity(request).await,
            "DescribeExecution" => self.describe_execution(request).await,
            "DescribeMapRun" => self.describe_map_run(request).await,
            "DescribeStateMachine" => self.describe_state_machine(request).await,
            "DescribeStateMachineAlias" => self.describe_state_machine_alias(request).await,
            "DescribeStateMachineForExecution" => self.describe_state_machine_for_execution(request).await,
            "GetActivityTask" => self.get_activity_task(request).await,
            "GetExecutionHistory" => self.get_execution_history(request).await,
            "ListActivities" => self.list_activities(request).await,
            "ListExecutions" => self.list_executions(request).await,
            "ListMapRuns" => self.list_map_runs(request).await,
            "ListStateMachineAliases" => self.list_state_machine_aliases(request).await,
            "ListStateMachineVersions" => self.list_state_machine_versions(request).await,
            "ListStateMachines" => self.list_state_machines(request).await,
            "ListTagsForResource" => self.list_tags_for_resource(request).await,
            "PublishStateMachineVersion" => self.publish_state_machine_version(request).await,
            "RedriveExecution" => self.redrive_execution(request).await,
            "SendTaskFailure" => self.send_task_failure(request).await,
            "SendTaskHeartbeat" => self.send_task_heartbeat(request).await,
            "SendTaskSuccess" => self.send_task_success(request).await,
            "StartExecution" => self.start_execution(request).await,
            "StartSyncExecution" => self.start_sync_execution(request).await,
            "StopExecution" => self.stop_execution(request).await,
            "TagResource" => self.tag_resource(request).await,
            "TestState" => self.test_state(request).await,
            "UntagResource" => self.untag_resource(request).await,
            "UpdateMapRun" => self.update_map_run(request).await,
            "UpdateStateMachine" => self.update_state_machine(request).await,
            "UpdateStateMachineAlias" => self.update_state_machine_alias(request).await,
            "ValidateStateMachineDefinition" => machines::validate(request),
            _ => Err(Error::UnknownOperation),
        }
    }
}

impl Service for StepFunctions {
    fn handle<'a>(&'a self, operation: &'a str, body: Bytes) -> Answering<'a> {
        Box::pin(self.handle(operation, body))
    }

    fn waits(&self, operation: &str) -> bool {
        waits(operation)
    }
}

/// Whether an operation waits for a worker's task, or for what it runs to end, before it answers.
fn waits(operation: &str) -> bool {
    matches!(operation, "GetActivityTask" | "StartSyncExecution" | "TestState")
}

impl From<driver::Error> for Error {
    fn from(error: driver::Error) -> Self {
        let owned = |arn: &Arc<str>| arn.to_string();
        match &error {
            driver::Error::StateMachineDoesNotExist { arn } => Self::StateMachineDoesNotExist(owned(arn)),
            driver::Error::StateMachineAlreadyExists { arn } => Self::StateMachineAlreadyExists(owned(arn)),
            driver::Error::StateMachineDeleting { arn } => Self::StateMachineDeleting(owned(arn)),
            // Who publishes tells of it in AWS's words; nobody else can meet it.
            driver::Error::OtherRevision { .. } => Self::Conflict(error.to_string()),
            driver::Error::TooManyVersions { arn } => {
                Self::ServiceQuotaExceeded(format!("Number of versions of this State Machine exceeded: '{arn}'"))
            }
            driver::Error::MapRunDoesNotExist { arn } => Self::ResourceNotFound(owned(arn)),
            driver::Error::MapRunEnded { .. } => Self::Validation {
                message: error.to_string(),
                reason: "CANNOT_UPDATE_COMPLETED_MAP_RUN",
            },
            driver::Error::ActivityDoesNotExist { arn } => Self::ActivityDoesNotExist(owned(arn)),
            driver::Error::TooManyActivities => Self::ActivityLimitExceeded,
            driver::Error::TooManyWorkers { .. } => Self::ActivityWorkerLimitExceeded,
            driver::Error::AliasDoesNotExist { arn } => Self::ReferenceNotFound(owned(arn)),
            driver::Error::AliasAlreadyExists { .. } => Self::Conflict(
                "Failed to create alias because an alias with the same name and a different routing configuration \
                 already exists."
                    .into(),
            ),
            driver::Error::TooManyAliases { arn } => {
                Self::ServiceQuotaExceeded(format!("Number of aliases of this State Machine exceeded: '{arn}'"))
            }
            driver::Error::VersionInUse { aliases, .. } => Self::Conflict(format!(
                "Version to be deleted must not be referenced by an alias. Current list of aliases referencing this \
                 version: [{}]",
                aliases.join(", ")
            )),
            driver::Error::StateMachineTypeNotSupported { .. } => Self::StateMachineTypeNotSupported,
            driver::Error::InvalidDefinition { problems } => Self::InvalidDefinition(problems.clone()),
            driver::Error::ExecutionDoesNotExist { arn } => Self::ExecutionDoesNotExist(owned(arn)),
            driver::Error::ExecutionAlreadyExists { arn } => Self::ExecutionAlreadyExists(owned(arn)),
            driver::Error::ExecutionNotRedrivable { reason, .. } => Self::ExecutionNotRedrivable(reason.to_string()),
            driver::Error::TooManyOpen => Self::ExecutionLimitExceeded,
            driver::Error::Throttled => Self::Throttling,
            driver::Error::InvalidToken => Self::InvalidToken,
            driver::Error::TaskTimedOut => Self::TaskTimedOut,
            driver::Error::BrokenOff { .. } => {
                tracing::error!(error = &error as &dyn std::error::Error, "the interpreter is at fault");
                Self::Internal
            }
            driver::Error::History(source) => {
                tracing::error!(error = source as &dyn std::error::Error, "the execution store failed");
                Self::Internal
            }
        }
    }
}

/// A moment as AWS's JSON protocol has it: seconds, with milliseconds as their fraction.
fn epoch(moment: DateTime<Utc>) -> Value {
    Value::from(moment.timestamp_millis() as f64 / 1000.0)
}

/// Adds a member that may be absent.
fn put(answer: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        answer.insert(name.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests;
