//! Performs Task resources: what a state machine may call, and in what shape each answers and fails.
//!
//! The services are the ones that run here, asked through the same handlers as their wire APIs. A function that is not
//! here is called at an optional Lambda endpoint elsewhere.

pub(crate) mod dynamodb;
mod endpoint;
mod events;
mod lambda;
mod metadata;
mod parameters;
pub(crate) mod states;

use std::pin::Pin;
use std::sync::{Arc, Weak};

use asl::{Failure, Resource};
use bytes::Bytes;
use tokio::sync::SetOnce;

use crate::aws::{Answer, Service};
use crate::clock::Clock;
use crate::driver::{TaskCall, TaskFuture, TaskOutcome, Tasks};
use crate::iam::{self, Caller, Denial, Policies};
use crate::lambda::Invoke;
use crate::stepfunctions::StepFunctions;

pub use endpoint::{LambdaEndpoint, NotAnEndpoint};
pub use parameters::Parameters;

/// What the integrations call.
pub struct Integrations {
    functions: Arc<dyn Invoke>,
    /// Where functions are called that are not among `functions`.
    elsewhere: Option<LambdaEndpoint>,
    dynamodb: Arc<dyn Service>,
    events: Arc<dyn Service>,
    /// What the state machines of the template may call.
    policies: Arc<Policies>,
    clock: Clock,
    /// Set once the engine runs, which itself needs the integrations; it owns them, so this may not own it.
    states: SetOnce<Weak<StepFunctions>>,
}

/// What a Task's resource asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// A function by its ARN: the result is its payload.
    Function,
    LambdaInvoke,
    StartExecution(Form),
    /// An operation of DynamoDB; the names of its errors and attributes follow the form.
    DynamoDb(&'static str, dynamodb::Style),
    /// An operation of Step Functions as the AWS SDK has it.
    Sfn(&'static str),
    PutEvents,
}

/// How a nested execution is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Not at all.
    Started,
    /// `.sync`: its input and output are texts in the result.
    Texts,
    /// `.sync:2`: they are JSON.
    Json,
}

/// Whether a resource is one that [`Integrations`] performs; others are refused when a state machine is created.
pub fn supports(resource: &str) -> bool {
    action(resource).is_some()
}

/// Whether a resource is one that AWS may have, performed here or not.
pub fn is_resource(resource: &str) -> bool {
    let parts: Vec<_> = resource.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "states", "", "", service] => service.contains(':'),
        _ => supports(resource),
    }
}

/// The parameters of a resource, where its integration says which there are.
pub fn parameters(resource: &str) -> Option<Parameters> {
    Parameters::of(action(resource)?)
}

/// What a resource's ARN asks for.
fn action(resource: &str) -> Option<Action> {
    let parts: Vec<_> = resource.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "lambda", region, account, name] => {
            let is_function = !region.is_empty() && !account.is_empty() && name.starts_with("function:");
            is_function.then_some(Action::Function)
        }
        ["arn", _, "states", _, _, service] => {
            let (kind, operation) = service.rsplit_once(':')?;
            // The version of `.sync:2` belongs to the operation.
            match (operation, kind.rsplit_once(':')) {
                ("2", Some((kind, operation))) => Action::of(kind, &format!("{operation}:2")),
                _ => Action::of(kind, operation),
            }
        }
        _ => None,
    }
}

impl Action {
    fn of(kind: &str, resource: &str) -> Option<Self> {
        let (operation, waits) = match resource.strip_suffix(".waitForTaskToken") {
            Some(operation) => (operation, true),
            None => (resource, false),
        };
        let action = match (kind, operation) {
            ("", _) => Self::Function,
            ("lambda", "invoke") => Self::LambdaInvoke,
            ("states", "startExecution") => Self::StartExecution(Form::Started),
            ("states", "startExecution.sync") if !waits => Self::StartExecution(Form::Texts),
            ("states", "startExecution.sync:2") if !waits => Self::StartExecution(Form::Json),
            ("events", "putEvents") => Self::PutEvents,
            ("dynamodb", _) if !waits => Self::DynamoDb(dynamodb::optimised(operation)?, dynamodb::Style::Optimised),
            ("aws-sdk:dynamodb", _) => Self::DynamoDb(dynamodb::any(operation)?, dynamodb::Style::Sdk),
            ("aws-sdk:sfn", _) => Self::Sfn(states::operation(operation)?),
            _ => return None,
        };
        Some(action)
    }

    fn of_resource(resource: &Resource) -> Option<Self> {
        Self::of(&resource.resource_type, &resource.resource)
    }
}

impl Integrations {
    pub fn new(
        functions: Arc<dyn Invoke>,
        elsewhere: Option<LambdaEndpoint>,
        dynamodb: Arc<dyn Service>,
        events: Arc<dyn Service>,
        policies: Arc<Policies>,
        clock: Clock,
    ) -> Self {
        Self {
            functions,
            elsewhere,
            dynamodb,
            events,
            policies,
            clock,
            states: SetOnce::new(),
        }
    }

    /// Tells the integrations of Step Functions where it is; tasks that call it wait until then.
    pub fn connect(&self, states: &Arc<StepFunctions>) {
        // Connected twice, the first holds: there is one engine.
        let _ = self.states.set(Arc::downgrade(states));
    }

    /// Step Functions, unless it is shutting down.
    async fn states(&self) -> Result<Arc<StepFunctions>, Failure> {
        let states = self.states.wait().await.upgrade();
        states.ok_or_else(|| Failure::new("States.TaskFailed", "Step Functions is shutting down"))
    }

    /// In whose role a task is performed; `None` if that is none of the template's, and so not judged.
    fn caller(&self, call: &TaskCall) -> Option<&Caller> {
        match &call.tested_in {
            Some(role) => self.policies.role(role),
            None => self.policies.state_machine(&call.state_machine_arn),
        }
    }

    /// Judges a request of a task by the role that it is performed in.
    fn judge(&self, call: &TaskCall, service: iam::Service, operation: &str, body: &[u8]) -> Result<(), Denial> {
        let judged = self
            .caller(call)
            .map_or(Ok(()), |caller| self.policies.may(caller, service, operation, body));
        judged.inspect_err(Denial::log)
    }

    /// Asks a service, if the state machine may.
    async fn ask(
        &self,
        call: &TaskCall,
        (kind, service): (iam::Service, &dyn Service),
        operation: &str,
        body: Bytes,
    ) -> Answer {
        match self.judge(call, kind, operation, &body) {
            Ok(()) => service.handle(operation, body).await,
            Err(denial) => denial.answer(),
        }
    }

    async fn call(&self, call: &TaskCall) -> Result<TaskOutcome, Failure> {
        let schedule = &call.schedule;
        let Some(action) = Action::of_resource(&schedule.resource) else {
            let Resource {
                resource_type,
                resource,
            } = &schedule.resource;
            let cause = format!("The resource {resource_type}:{resource} is not available");
            return Err(Failure::new("States.Runtime", cause));
        };
        let parameters = &schedule.parameters;
        let result = match action {
            Action::Function => self.function(call, &schedule.resource.resource, parameters).await?,
            Action::LambdaInvoke => self.lambda_invoke(call, parameters).await?,
            Action::StartExecution(form) => return self.start_execution(call, form).await,
            Action::DynamoDb(operation, style) => self.dynamodb(call, operation, style, parameters).await?,
            Action::Sfn(operation) => self.sfn(call, operation, parameters).await?,
            Action::PutEvents => self.put_events(call).await?,
        };
        Ok(match schedule.resource.waits() {
            true => TaskOutcome::Submitted(result),
            false => TaskOutcome::Succeeded(result),
        })
    }
}

impl Tasks for Integrations {
    fn perform(&self, call: TaskCall) -> TaskFuture<'_> {
        Box::pin(async move { self.call(&call).await.unwrap_or_else(TaskOutcome::Failed) })
    }

    fn abandon(&self, call: TaskCall) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let job = Action::of_resource(&call.schedule.resource);
            if let (Some(Action::StartExecution(_)), Some(submitted)) = (job, &call.submitted) {
                self.stop_execution(&call, submitted).await;
            }
        })
    }
}

#[cfg(test)]
mod tests;
