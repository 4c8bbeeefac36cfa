//! The executions of the state machine, as Step Functions has them.

use std::error::Error as StdError;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::SdkError;
use aws_sdk_sfn::operation::redrive_execution::RedriveExecutionError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent, HistoryEventType, StateMachineStatus};
use ticket::{IssueKey, TicketEvent, TicketId, Time};

use crate::machines::Machine;
use crate::names::{ErrorName, Name};
use crate::table::{Failure, Status, Step};
use crate::timers::Clock;

/// Longest name of an execution on AWS.
const NAME_LENGTH: usize = 80;
/// How much of the event's hash a name carries: 128 bits, so that no two events share one.
const HASH_DIGITS: usize = 32;
/// Events looked at, from the last one back, to find the step that failed. A step with all its retries has some fifty.
const HISTORY_EVENTS: i32 = 200;
/// Executions listed at once: the most that AWS gives.
const LISTED: i32 = 1_000;

/// The executions of one state machine.
#[derive(Clone, Debug)]
pub struct Executions {
    client: Client,
    state_machine_arn: String,
    /// The ARN of an execution, but for its name.
    prefix: String,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Step Functions did not {doing}")]
    Service {
        doing: &'static str,
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    #[error("Step Functions answered without {missing} when asked to {doing}")]
    Incomplete { doing: &'static str, missing: &'static str },
}

impl ErrorName for Error {
    fn name(&self) -> Name {
        Name::ServiceFailed
    }
}

/// Whether an event's execution was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It runs; if it already did, nothing was started twice.
    Started,
    /// It ran before.
    Duplicate,
}

/// Whether an execution runs again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redrive {
    Redriven,
    NoSuchExecution,
    /// Why not, in AWS's words.
    NotRedrivable(String),
}

/// What DescribeExecution says.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    pub name: String,
    /// What its input is about, if that is an event or a timer.
    pub ticket: Option<TicketId>,
    pub key: Option<IssueKey>,
    pub status: Status,
    pub redrives: u32,
    pub started_at: Time,
    pub stopped_at: Option<Time>,
    pub error: Option<String>,
    pub cause: Option<String>,
}

/// An execution in a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub name: String,
    pub status: Status,
    pub redrives: u32,
    pub stopped_at: Option<Time>,
}

/// The name of an event's execution: readable, and the same for the same event.
pub fn name(event: &TicketEvent) -> String {
    let title = event.key.as_ref().map_or(event.issue.as_str(), |key| key.as_str());
    readable(title, &event.hash())
}

/// A name that begins with a title and is told from others by a hash in hex, of at least 32 digits.
pub(crate) fn readable(title: &str, hash: &str) -> String {
    let hash = &hash[..HASH_DIGITS];
    let title = title.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let title: String = title.take(NAME_LENGTH - HASH_DIGITS - 1).collect();
    format!("{title}-{hash}")
}

/// Whether an execution may be called so: not every text may be a part of an ARN, or a key.
pub fn can_be_name(text: &str) -> bool {
    (1..=NAME_LENGTH).contains(&text.chars().count())
}

impl Executions {
    /// `None` if `arn` is not that of a state machine.
    pub fn new(client: Client, arn: &str) -> Option<Self> {
        let (before, name) = arn.split_once(":stateMachine:")?;
        let prefix = format!("{before}:execution:{name}:");
        Some(Self {
            client,
            state_machine_arn: arn.to_owned(),
            prefix,
        })
    }

    /// Whether an ARN is that of their state machine, or of a version or an alias of it.
    pub(crate) fn are_of(&self, arn: &str) -> bool {
        let rest = arn.strip_prefix(&self.state_machine_arn);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }

    /// The ARN of its execution of this name.
    pub(crate) fn arn(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Starts the event's execution, unless it has run.
    pub async fn start(&self, name: &str, event: &TicketEvent) -> Result<Start, Error> {
        let input = serde_json::to_string(event).expect("an event has string keys and finite numbers");
        self.start_with(name, &input).await
    }

    /// Starts an execution of this name with this input, unless it has run.
    pub async fn start_with(&self, name: &str, input: &str) -> Result<Start, Error> {
        let request = self.client.start_execution().state_machine_arn(&self.state_machine_arn);
        match request.name(name).input(input).send().await {
            Ok(_) => Ok(Start::Started),
            Err(SdkError::ServiceError(error))
                if matches!(error.err(), StartExecutionError::ExecutionAlreadyExists(_)) =>
            {
                Ok(Start::Duplicate)
            }
            Err(error) => Err(failed("start an execution")(error)),
        }
    }

    /// `None` if there is no execution of this name.
    pub async fn describe(&self, name: &str) -> Result<Option<Description>, Error> {
        if !can_be_name(name) {
            return Ok(None);
        }
        let doing = "describe an execution";
        let output = match self
            .client
            .describe_execution()
            .execution_arn(self.arn(name))
            .send()
            .await
        {
            Ok(output) => output,
            Err(SdkError::ServiceError(error))
                if error.err().is_execution_does_not_exist() || error.err().is_invalid_arn() =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failed(doing)(error)),
        };
        let event = output.input().and_then(event_of);
        let timer = output.input().and_then(timer_of);
        Ok(Some(Description {
            name: name.to_owned(),
            ticket: event
                .as_ref()
                .map(TicketEvent::ticket)
                .or(timer.map(|timer| timer.ticket)),
            key: event.and_then(|event| event.key),
            status: status(output.status()).ok_or(Error::Incomplete {
                doing,
                missing: "a known status",
            })?,
            redrives: redrives(output.redrive_count()),
            started_at: time(Some(output.start_date())).ok_or(Error::Incomplete {
                doing,
                missing: "a start date",
            })?,
            stopped_at: time(output.stop_date()),
            error: output.error,
            cause: output.cause,
        }))
    }

    /// Executions of one status, a page at a time; the newest start first.
    pub async fn list(
        &self,
        status_filter: Status,
        page: Option<String>,
    ) -> Result<(Vec<Listed>, Option<String>), Error> {
        let output = self
            .client
            .list_executions()
            .state_machine_arn(&self.state_machine_arn)
            .status_filter(ExecutionStatus::from(status_filter.as_str()))
            .max_results(LISTED)
            .set_next_token(page)
            .send()
            .await
            .map_err(failed("list executions"))?;
        let listed = output.executions().iter().map(|execution| Listed {
            name: execution.name().to_owned(),
            status: status_filter,
            redrives: redrives(execution.redrive_count()),
            stopped_at: time(execution.stop_date()),
        });
        Ok((listed.collect(), output.next_token.clone()))
    }

    /// Lets a failed execution go on from the state that failed.
    pub async fn redrive(&self, name: &str) -> Result<Redrive, Error> {
        if !can_be_name(name) {
            return Ok(Redrive::NoSuchExecution);
        }
        let error = match self
            .client
            .redrive_execution()
            .execution_arn(self.arn(name))
            .send()
            .await
        {
            Ok(_) => return Ok(Redrive::Redriven),
            Err(error) => error,
        };
        if let SdkError::ServiceError(service) = &error {
            match service.err() {
                RedriveExecutionError::ExecutionDoesNotExist(_) | RedriveExecutionError::InvalidArn(_) => {
                    return Ok(Redrive::NoSuchExecution);
                }
                RedriveExecutionError::ExecutionNotRedrivable(error) => {
                    let reason = error.message().unwrap_or("it is not redrivable");
                    return Ok(Redrive::NotRedrivable(reason.to_owned()));
                }
                _ => {}
            }
        }
        Err(failed("redrive an execution")(error))
    }

    /// The failure that an execution of `machine` ended in: what DescribeExecution says, and the step that its history
    /// shows last.
    pub async fn failure(&self, machine: Machine, description: Description) -> Result<Failure, Error> {
        let output = self
            .client
            .get_execution_history()
            .execution_arn(self.arn(&description.name))
            .reverse_order(true)
            .include_execution_data(false)
            .max_results(HISTORY_EVENTS)
            .send()
            .await
            .map_err(failed("read an execution's history"))?;
        let stopped_at = description.stopped_at.unwrap_or_else(crate::now);
        let step = failed_step(output.events(), &description, stopped_at);
        let Description {
            name,
            ticket,
            key,
            status,
            redrives,
            started_at,
            error,
            cause,
            ..
        } = description;
        Ok(Failure {
            machine,
            name,
            ticket,
            key,
            status,
            redrives,
            started_at,
            stopped_at,
            error,
            cause,
            step,
        })
    }

    /// Whether the state machine takes executions.
    pub async fn answers(&self) -> Result<bool, Error> {
        let request = self
            .client
            .describe_state_machine()
            .state_machine_arn(&self.state_machine_arn);
        let output = request.send().await.map_err(failed("describe the state machine"))?;
        Ok(output.status() == Some(&StateMachineStatus::Active))
    }
}

/// The step in which an execution ended, from its events, the last one first.
fn failed_step(events: &[HistoryEvent], description: &Description, stopped_at: Time) -> Option<Step> {
    let entered = events
        .iter()
        .position(|event| event.state_entered_event_details().is_some())?;
    // A redrive does not enter the state again; its tries are counted anew.
    let of_this_round = events[..entered]
        .iter()
        .take_while(|event| event.r#type() != &HistoryEventType::ExecutionRedriven);
    let tries = of_this_round.filter(|event| {
        matches!(
            event.r#type(),
            HistoryEventType::LambdaFunctionScheduled | HistoryEventType::TaskScheduled
        )
    });
    Some(Step {
        name: events[entered].state_entered_event_details()?.name().to_owned(),
        status: description.status,
        attempt: u32::try_from(tries.count()).unwrap_or(u32::MAX).max(1),
        started_at: time(Some(events[entered].timestamp())).unwrap_or(description.started_at),
        finished_at: stopped_at,
        outcome: None,
        error: description.error.clone(),
    })
}

/// The event that an execution was started with.
fn event_of(input: &str) -> Option<TicketEvent> {
    serde_json::from_str(input).ok()
}

/// The timer that an execution is.
fn timer_of(input: &str) -> Option<Clock> {
    serde_json::from_str(input).ok()
}

fn status(status: &ExecutionStatus) -> Option<Status> {
    Status::parse(status.as_str())
}

fn redrives(count: Option<i32>) -> u32 {
    count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default()
}

/// To the nearest millisecond: on the wire it is a floating-point number of seconds, which may be a little short of it.
fn time(time: Option<&aws_sdk_sfn::primitives::DateTime>) -> Option<Time> {
    let millis = (time?.as_nanos() + 500_000).div_euclid(1_000_000);
    Time::from_millis(i64::try_from(millis).ok()?).ok()
}

fn failed<E: StdError + Send + Sync + 'static>(doing: &'static str) -> impl Fn(SdkError<E>) -> Error {
    move |error| Error::Service {
        doing,
        source: Box::new(error),
    }
}

#[cfg(test)]
mod tests;
