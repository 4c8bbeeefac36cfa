//! What the engine refuses, in the terms of AWS's API.

use std::sync::Arc;

use asl::Status;

use crate::history;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("state machine {arn} does not exist")]
    StateMachineDoesNotExist { arn: Arc<str> },
    #[error("state machine {arn} exists with another definition or configuration")]
    StateMachineAlreadyExists { arn: Arc<str> },
    #[error("state machine {arn} is being deleted")]
    StateMachineDeleting { arn: Arc<str> },
    #[error("state machine {arn} is of a type that does not have this operation")]
    StateMachineTypeNotSupported { arn: Arc<str> },
    /// A version was to be published of a revision that is not the current one.
    #[error("state machine {arn} is at another revision")]
    OtherRevision { arn: Arc<str> },
    #[error("state machine {arn} has as many versions as it can have")]
    TooManyVersions { arn: Arc<str> },
    #[error("alias {arn} does not exist")]
    AliasDoesNotExist { arn: Arc<str> },
    #[error("alias {arn} exists with another description or other routes")]
    AliasAlreadyExists { arn: Arc<str> },
    #[error("state machine {arn} has as many aliases as it can have")]
    TooManyAliases { arn: Arc<str> },
    /// An alias leads to the version that was to be deleted.
    #[error("version {arn} is used by {}", .aliases.join(", "))]
    VersionInUse { arn: Arc<str>, aliases: Vec<Arc<str>> },
    #[error("the definition has {} problems, the first: {}", .problems.len(), first(.problems))]
    InvalidDefinition { problems: Vec<asl::Problem> },
    #[error("execution {arn} does not exist")]
    ExecutionDoesNotExist { arn: Arc<str> },
    /// An execution of that name has closed, or runs with another input.
    #[error("execution {arn} exists")]
    ExecutionAlreadyExists { arn: Arc<str> },
    #[error("execution {arn} cannot be redriven: {reason}")]
    ExecutionNotRedrivable { arn: Arc<str>, reason: NotRedrivable },
    /// As many executions are in progress as there may be.
    #[error("as many executions run as can run at once")]
    TooManyOpen,
    /// As many Express executions are in memory as there may be.
    #[error("as many Express executions run as can run at once")]
    Throttled,
    #[error("the interpreter broke off at {arn}: a defect of the engine; a redrive tries again")]
    BrokenOff { arn: Arc<str> },
    #[error("Map Run {arn} does not exist")]
    MapRunDoesNotExist { arn: Arc<str> },
    #[error("Map Run {arn} has ended")]
    MapRunEnded { arn: Arc<str> },
    #[error("activity {arn} does not exist")]
    ActivityDoesNotExist { arn: Arc<str> },
    #[error("there are as many activities as there can be")]
    TooManyActivities,
    /// As many workers ask for tasks of the activity as there may be.
    #[error("as many workers as can ask activity {arn} for tasks at once")]
    TooManyWorkers { arn: Arc<str> },
    /// No task was ever given this token.
    #[error("invalid task token")]
    InvalidToken,
    /// The task that was given this token is no longer awaited.
    #[error("the task is no longer awaited")]
    TaskTimedOut,
    #[error(transparent)]
    History(#[from] history::Error),
}

fn first(problems: &[asl::Problem]) -> String {
    problems.first().map(ToString::to_string).unwrap_or_default()
}

/// Why an execution cannot be redriven, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRedrivable {
    #[error("Execution is {} and cannot be redriven", .0.as_str())]
    Status(Status),
    #[error("Execution redrivable period exceeded")]
    PeriodExceeded,
    #[error("Execution history event limit exceeded")]
    HistoryFull,
    #[error("Execution redrive limit exceeded")]
    TooOften,
}
