//! What the Step Functions API refuses, in AWS's words.
//!
//! The names and texts are AWS's: `Display` is the message an SDK shows, [`Error::code`] the name it matches on.

use asl::Problem;
use serde_json::json;

use crate::aws::{Answer, JSON_1_0};

/// Where the service's own exceptions come from, as it prefixes them on the wire.
const SERVICE: &str = "com.amazonaws.swf.service.v2.model";
/// Where a violated constraint of the API's model comes from.
const VALIDATE: &str = "com.amazon.coral.validate";
/// Where a body that cannot be read comes from.
const CORAL: &str = "com.amazon.coral.service";

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Serialization(String),
    /// Members that do not satisfy the API's model, each as AWS tells it.
    #[error("{} validation error{} detected: {}", .0.len(), if .0.len() == 1 { "" } else { "s" }, .0.join("; "))]
    Constraints(Vec<String>),
    /// A request that satisfies the model and still makes no sense.
    #[error("{message}")]
    Validation { message: String, reason: &'static str },
    /// The same where AWS gives no reason.
    #[error("{0}")]
    Invalid(String),
    /// A state that no test can run.
    #[error("{0}")]
    Untestable(&'static str),
    #[error("{0}")]
    MissingRequiredParameter(&'static str),
    #[error("Invalid Arn: '{0}'")]
    InvalidArn(String),
    #[error("Invalid Name: '{0}'")]
    InvalidName(String),
    #[error("Invalid State Machine Definition: '{}'", listed(.0))]
    InvalidDefinition(Vec<Problem>),
    /// The one problem of a definition that AWS tells otherwise.
    #[error("Error=ValueError Args=[{message}] in definition '{definition}'.")]
    InvalidLabel { message: String, definition: String },
    #[error("Invalid State Machine Execution Input: '{0}'")]
    InvalidExecutionInput(String),
    #[error("Invalid Output: '{0}'")]
    InvalidOutput(String),
    #[error("Invalid Token: 'Invalid token'")]
    InvalidToken,
    #[error("Invalid Logging Configuration: {0}")]
    InvalidLoggingConfiguration(&'static str),
    #[error("{0}")]
    InvalidEncryptionConfiguration(&'static str),
    #[error("State Machine Already Exists: '{0}'")]
    StateMachineAlreadyExists(String),
    #[error("State Machine Does Not Exist: '{0}'")]
    StateMachineDoesNotExist(String),
    #[error("Activity Does Not Exist: '{0}'")]
    ActivityDoesNotExist(String),
    #[error(
        "The maximum number of activities has been reached. Existing activities must be deleted before a new activity can be created."
    )]
    ActivityLimitExceeded,
    #[error("The maximum number of workers concurrently polling for activity tasks has been reached.")]
    ActivityWorkerLimitExceeded,
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    ServiceQuotaExceeded(String),
    #[error("State machine is being deleted: '{0}'")]
    StateMachineDeleting(String),
    #[error("This operation is not supported by this type of state machine")]
    StateMachineTypeNotSupported,
    #[error("Execution Already Exists: '{0}'")]
    ExecutionAlreadyExists(String),
    #[error(
        "The maximum number of running executions has been reached. Running executions must end or be stopped before a \
         new execution can be started."
    )]
    ExecutionLimitExceeded,
    #[error("Rate exceeded")]
    Throttling,
    #[error("Execution Does Not Exist: '{0}'")]
    ExecutionDoesNotExist(String),
    #[error("{0}")]
    ExecutionNotRedrivable(String),
    #[error("Task Timed Out: 'Provided task does not exist anymore'")]
    TaskTimedOut,
    #[error("Resource not found: '{0}'")]
    ResourceNotFound(String),
    /// What a request refers to, beside what it is about, is not there.
    #[error("Request references a resource that does not exist.")]
    ReferenceNotFound(String),
    #[error("{0}")]
    TooManyTags(String),
    #[error("this operation is not available")]
    UnknownOperation,
    /// Something of ours is broken; the caller learns no more.
    #[error("the service failed to answer")]
    Internal,
}

impl Error {
    /// The exception's name, without the package that the wire puts before it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Serialization(_) => "SerializationException",
            Self::Constraints(_) | Self::Validation { .. } | Self::Invalid(_) => "ValidationException",
            Self::MissingRequiredParameter(_) => "MissingRequiredParameter",
            Self::InvalidArn(_) => "InvalidArn",
            Self::InvalidName(_) => "InvalidName",
            Self::InvalidDefinition(_) | Self::InvalidLabel { .. } | Self::Untestable(_) => "InvalidDefinition",
            Self::InvalidExecutionInput(_) => "InvalidExecutionInput",
            Self::InvalidOutput(_) => "InvalidOutput",
            Self::InvalidToken => "InvalidToken",
            Self::InvalidLoggingConfiguration(_) => "InvalidLoggingConfiguration",
            Self::InvalidEncryptionConfiguration(_) => "InvalidEncryptionConfiguration",
            Self::StateMachineAlreadyExists(_) => "StateMachineAlreadyExists",
            Self::StateMachineDoesNotExist(_) => "StateMachineDoesNotExist",
            Self::ActivityDoesNotExist(_) => "ActivityDoesNotExist",
            Self::ActivityLimitExceeded => "ActivityLimitExceeded",
            Self::ActivityWorkerLimitExceeded => "ActivityWorkerLimitExceeded",
            Self::Conflict(_) => "ConflictException",
            Self::ServiceQuotaExceeded(_) => "ServiceQuotaExceededException",
            Self::StateMachineDeleting(_) => "StateMachineDeleting",
            Self::StateMachineTypeNotSupported => "StateMachineTypeNotSupported",
            Self::ExecutionAlreadyExists(_) => "ExecutionAlreadyExists",
            Self::ExecutionLimitExceeded => "ExecutionLimitExceeded",
            Self::Throttling => "ThrottlingException",
            Self::ExecutionDoesNotExist(_) => "ExecutionDoesNotExist",
            Self::ExecutionNotRedrivable(_) => "ExecutionNotRedrivable",
            Self::TaskTimedOut => "TaskTimedOut",
            Self::ResourceNotFound(_) | Self::ReferenceNotFound(_) => "ResourceNotFound",
            Self::TooManyTags(_) => "TooManyTags",
            Self::UnknownOperation => "UnknownOperationException",
            Self::Internal => "InternalFailure",
        }
    }

    /// The HTTP status: the caller's fault is always 400, ours 500.
    pub fn status(&self) -> u16 {
        match self {
            Self::Internal => 500,
            _ => 400,
        }
    }

    /// As it goes on the wire.
    pub fn answer(&self) -> Answer {
        let package = match self {
            Self::UnknownOperation => return Answer::unknown_operation(JSON_1_0),
            Self::Serialization(_) | Self::Internal => CORAL,
            Self::Constraints(_) => VALIDATE,
            _ => SERVICE,
        };
        let kind = format!("{package}#{}", self.code());
        let mut body = json!({"__type": kind, "message": self.to_string()});
        if let Self::Validation { reason, .. } = self {
            body["reason"] = json!(reason);
        }
        if let Self::ResourceNotFound(name) | Self::ReferenceNotFound(name) | Self::TooManyTags(name) = self {
            body["resourceName"] = json!(name);
        }
        let body = body.to_string().into();
        Answer {
            status: self.status(),
            content_type: JSON_1_0,
            body,
        }
    }
}

/// Problems as CreateStateMachine lists them in one line.
fn listed(problems: &[Problem]) -> String {
    let told: Vec<_> = problems
        .iter()
        .map(|problem| {
            format!(
                "{}: {} at {}",
                problem.code,
                problem.message.trim_end(),
                problem.pointer
            )
        })
        .collect();
    told.join(", ")
}
