//! An execution's progress: what its steps record of themselves, and what is recorded about them.
//!
//! Three write here without knowing of each other: the steps, whatever tells of failures (late, doubled, or never),
//! and a redrive. What orders them is the redrive count: a later round always writes over an earlier one, an earlier
//! one never over a later.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ticket::{IssueKey, TicketId, Time};

use super::attribute::{number, string};
use super::request::{BATCH, Change, Outcome, PARTITION, Reading, Write, attribute, key};
use super::started::{self, Page, STARTED_KEY, STATUS_SHARD};
use super::ticket::alias;
use super::{Error, Item, Table, failed};
use crate::machines::Machine;
use crate::step::{Execution, State};

/// How long progress is kept after it was last written: as long as Step Functions keeps an execution that has ended.
const KEPT_SECONDS: i64 = 90 * 24 * 60 * 60;
/// The state machine, unless it is the ticket's own.
const MACHINE: &str = "machine";
/// The ticket that an execution of another state machine is about.
const ABOUT: &str = "about";
/// Attributes `step_{state}` hold the steps.
const STEP_PREFIX: &str = "step_";

const BY_TICKET: &str = "by-ticket";

/// A step records itself: in its own round while that runs, or in a later one than is known.
pub(super) const STEP_GUARD: &str =
    "attribute_not_exists(#pk) OR #redrives < :redrives OR (#redrives = :redrives AND #status = :running)";
/// A failure is recorded unless a later round is known.
pub(super) const FAILURE_GUARD: &str = "attribute_not_exists(#pk) OR #redrives <= :redrives";
/// A redrive is recorded unless its round is known already.
pub(super) const REDRIVE_GUARD: &str = "#redrives < :redrives";
/// One of another state machine also where its failure is not recorded yet, so that it is not any more.
pub(super) const UNLISTED_GUARD: &str = "attribute_not_exists(#pk) OR #redrives < :redrives";

/// Where an execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
    Rejected,
}

impl Status {
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Aborted,
        Self::Rejected,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
            Self::Rejected => "REJECTED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Ended in a way that a redrive may mend.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Aborted)
    }
}

/// How far an execution is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub machine: Machine,
    pub name: String,
    /// `None` if it failed before any step could say, and its input is unknown.
    pub ticket: Option<TicketId>,
    pub status: Status,
    pub redrives: u32,
    pub started_at: Time,
    pub stopped_at: Option<Time>,
    pub error: Option<String>,
    pub cause: Option<String>,
    /// In the order in which they began.
    pub steps: Vec<Step>,
}

/// One step of an execution, in its latest round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub name: String,
    pub status: Status,
    /// 1 plus its retries.
    pub attempt: u32,
    pub started_at: Time,
    pub finished_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a step has to say of itself, once its work is done.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    pub execution: &'a Execution,
    pub state: &'a State,
    pub finished_at: Time,
    /// Where the execution is after it.
    pub status: Status,
    pub outcome: &'a str,
    /// Why the ticket was rejected.
    pub cause: Option<String>,
}

/// How an execution failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub machine: Machine,
    pub name: String,
    pub ticket: Option<TicketId>,
    pub key: Option<IssueKey>,
    pub status: Status,
    pub redrives: u32,
    pub started_at: Time,
    pub stopped_at: Time,
    pub error: Option<String>,
    pub cause: Option<String>,
    /// The step that failed, where the history tells.
    pub step: Option<Step>,
}

pub(super) fn partition(name: &str) -> String {
    format!("EXECUTION#{name}")
}

const PROGRESS: &str = "PROGRESS";

/// What every write of progress sets, whoever writes it: the item may not be there yet.
fn change(name: &str, status: Status, redrives: u32, started_at: Time, written_at: Time) -> Change {
    let mut change = Change::new(partition(name), PROGRESS.to_owned());
    change
        .set("status", string(status.as_str()))
        .set("redrives", number(redrives))
        .set("started_at", string(started_at.to_string()))
        .set("expires_at", number(written_at.millis() / 1000 + KEPT_SECONDS));
    change
}

/// Puts an execution into both indexes by start.
fn list(change: &mut Change, status: Status, name: &str, started_at: Time) {
    for (attribute, value) in started::keys(status.as_str(), name, started_at) {
        change.set(attribute, value);
    }
}

impl Record<'_> {
    pub(super) fn change(&self) -> Change {
        let Execution {
            name,
            start_time,
            redrive_count,
            event,
        } = self.execution;
        let step = Step {
            name: self.state.name.clone(),
            status: if self.status == Status::Rejected {
                Status::Rejected
            } else {
                Status::Succeeded
            },
            attempt: self.state.retry_count.saturating_add(1),
            started_at: self.state.entered_time,
            finished_at: self.finished_at,
            outcome: Some(self.outcome.to_owned()),
            error: self.cause.clone(),
        };
        let mut change = change(name, self.status, *redrive_count, *start_time, self.finished_at);
        list(&mut change, self.status, name, *start_time);
        let stopped_at = (self.status != Status::Running).then(|| string(self.finished_at.to_string()));
        change
            .set("ticket", string(event.ticket().to_string()))
            .set(format!("{STEP_PREFIX}{}", step.name), attribute(&step))
            .set_or_remove("stopped_at", stopped_at)
            .set_or_remove("error", (self.status == Status::Rejected).then(|| string(self.outcome)))
            .set_or_remove("cause", self.cause.clone().map(string))
            .condition(STEP_GUARD, [("running", string(Status::Running.as_str()))]);
        change
    }
}

impl Failure {
    pub(super) fn change(&self) -> Change {
        let mut change = change(&self.name, self.status, self.redrives, self.started_at, self.stopped_at);
        list(&mut change, self.status, &self.name, self.started_at);
        change
            .set("stopped_at", string(self.stopped_at.to_string()))
            .set_or_remove("error", self.error.clone().map(string))
            .set_or_remove("cause", self.cause.clone().map(string))
            .condition(FAILURE_GUARD, []);
        if let Some(ticket) = &self.ticket {
            // What else runs for a ticket is none of the executions that its facts went through.
            let name = if self.machine == Machine::TicketLifecycle {
                "ticket"
            } else {
                ABOUT
            };
            change.set(name, string(ticket.to_string()));
        }
        if self.machine != Machine::TicketLifecycle {
            change.set(MACHINE, attribute(&self.machine));
        }
        if let Some(step) = &self.step {
            change.set(format!("{STEP_PREFIX}{}", step.name), attribute(step));
        }
        change
    }
}

/// What a redrive changes.
pub(super) fn redrive_change(machine: Machine, name: &str, redrives: u32, started_at: Time, now: Time) -> Change {
    let mut change = change(name, Status::Running, redrives, started_at, now);
    change.remove("stopped_at").remove("error").remove("cause");
    if machine == Machine::TicketLifecycle {
        list(&mut change, Status::Running, name, started_at);
        change.condition(REDRIVE_GUARD, []);
    } else {
        change
            .set(MACHINE, attribute(&machine))
            .remove(STATUS_SHARD)
            .remove(STARTED_KEY)
            .condition(UNLISTED_GUARD, []);
    }
    change
}

impl Progress {
    /// Its place in a list, behind which a page can begin.
    pub fn place(&self) -> String {
        started::place(&self.name, self.started_at)
    }

    pub(super) fn read(item: &Item) -> Result<Self, Error> {
        let reading = Reading(item);
        let partition: String = reading.required(PARTITION)?;
        let name = partition
            .strip_prefix("EXECUTION#")
            .ok_or_else(|| reading.unreadable(PARTITION))?;
        let mut steps = Vec::new();
        for (attribute, value) in item {
            if attribute.starts_with(STEP_PREFIX) {
                let json = super::attribute::to_json(value);
                let step = json.and_then(|json| serde_json::from_value::<Step>(json).ok());
                steps.push(step.ok_or_else(|| reading.unreadable("step"))?);
            }
        }
        steps.sort_by_key(|step: &Step| (step.started_at, step.finished_at));
        let ticket: Option<TicketId> = reading.optional("ticket")?;
        Ok(Self {
            machine: reading.optional(MACHINE)?.unwrap_or_default(),
            name: name.to_owned(),
            ticket: ticket.or(reading.optional(ABOUT)?),
            status: reading.required("status")?,
            redrives: reading.required("redrives")?,
            started_at: reading.required("started_at")?,
            stopped_at: reading.optional("stopped_at")?,
            error: reading.optional("error")?,
            cause: reading.optional("cause")?,
            steps,
        })
    }

    /// Whether it says where the execution is. Nobody records how one of another state machine goes on.
    pub fn tells(&self) -> bool {
        self.machine == Machine::TicketLifecycle || self.status.is_failure()
    }

    /// What the named step of this round came to, if the execution has ended well since.
    ///
    /// A step that is run again after that, because its answer was lost, answers the same.
    pub fn settled(&self, redrives: u32, step: &str) -> Option<&str> {
        let ended_well = matches!(self.status, Status::Succeeded | Status::Rejected);
        if !ended_well || self.redrives != redrives {
            return None;
        }
        self.steps
            .iter()
            .find(|recorded| recorded.name == step)?
            .outcome
            .as_deref()
    }
}

impl Table {
    /// Records a step that had nothing else to write.
    pub async fn record(&self, record: &Record<'_>) -> Result<Outcome, Error> {
        self.change("record a step", record.change()).await
    }

    /// Records that an execution failed, unless a later round of it is known.
    ///
    /// The ticket's key gets its alias here, too: the step that would have given it may be the one that failed, and a
    /// ticket whose workflow failed is looked for by its key.
    pub async fn record_failure(&self, failure: &Failure) -> Result<Outcome, Error> {
        let doing = "record a failure";
        let mut writes = vec![Write::Change(failure.change())];
        if let (Some(ticket), Some(key)) = (&failure.ticket, &failure.key) {
            writes.push(Write::Put(alias(key, ticket)));
        }
        match self.transact(doing, writes).await? {
            Outcome::Contended => {
                let source = "a step of the execution writes at the same time".into();
                Err(Error::Unavailable { doing, source })
            }
            outcome => Ok(outcome),
        }
    }

    /// Records that an execution runs again, unless a step of the new round has said so already.
    ///
    /// One of another state machine than the tickets' own leaves the lists with that: nobody will record how it ends,
    /// unless it fails again.
    pub async fn record_redrive(
        &self,
        machine: Machine,
        name: &str,
        redrives: u32,
        started_at: Time,
    ) -> Result<Outcome, Error> {
        let change = redrive_change(machine, name, redrives, started_at, crate::now());
        self.change("record a redrive", change).await
    }

    pub async fn progress(&self, name: &str) -> Result<Option<Progress>, Error> {
        let item = self
            .get("read an execution", partition(name), PROGRESS.to_owned())
            .await?;
        item.as_ref().map(Progress::read).transpose()
    }

    /// The progress of all of `names` that have one, in no order.
    pub async fn progresses(&self, names: &[String]) -> Result<Vec<Progress>, Error> {
        let mut found = Vec::with_capacity(names.len());
        for names in names.chunks(BATCH) {
            let keys = names
                .iter()
                .map(|name| key(partition(name), PROGRESS.to_owned()))
                .collect();
            for item in self.batch("read executions", keys).await? {
                found.push(Progress::read(&item)?);
            }
        }
        Ok(found)
    }

    /// Executions in any of `statuses`, the newest first.
    pub async fn executions(
        &self,
        statuses: &[Status],
        limit: usize,
        before: Option<&str>,
    ) -> Result<Page<Progress>, Error> {
        // What runs first: an execution that ends meanwhile is found twice, which is once, and not missed.
        let (running, ended): (Vec<Status>, Vec<Status>) =
            statuses.iter().partition(|status| **status == Status::Running);
        let partitions = |statuses: Vec<Status>| {
            let partitions = statuses
                .into_iter()
                .flat_map(|status| started::partitions(status.as_str()));
            partitions.collect::<Vec<String>>()
        };
        let groups = [partitions(running), partitions(ended)];
        let (names, next) = self.newest_started(groups, limit, before).await?;
        self.page(&names, next, |progress| statuses.contains(&progress.status))
            .await
    }

    /// Executions of a ticket, the newest first.
    pub async fn executions_of(
        &self,
        ticket: &TicketId,
        limit: usize,
        before: Option<&str>,
    ) -> Result<Page<Progress>, Error> {
        let keys = self
            .started_keys(BY_TICKET, ("ticket", ticket.to_string()), limit + 1, before)
            .await?;
        let (names, next) = started::newest(&keys.into_iter().collect(), limit);
        self.page(&names, next, |_| true).await
    }

    /// The progress of `names`, in their order. The index may be behind the table, which decides.
    async fn page(
        &self,
        names: &[String],
        next: Option<String>,
        is_listed: impl Fn(&Progress) -> bool,
    ) -> Result<Page<Progress>, Error> {
        let mut found: BTreeMap<String, Progress> = BTreeMap::new();
        for progress in self.progresses(names).await? {
            found.insert(progress.name.clone(), progress);
        }
        let items = names
            .iter()
            .filter_map(|name| found.remove(name))
            .filter(is_listed)
            .collect();
        Ok(Page { items, next })
    }

    /// Name and status of a ticket's executions, the newest first: as many as one page of the index holds, which are
    /// thousands.
    pub async fn statuses_of(&self, ticket: &TicketId) -> Result<Vec<(String, Status)>, Error> {
        let output = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TICKET)
            .scan_index_forward(false)
            .key_condition_expression("#ticket = :ticket")
            .expression_attribute_names("#ticket", "ticket")
            .expression_attribute_values(":ticket", string(ticket.to_string()))
            .send()
            .await
            .map_err(failed("list a ticket's executions"))?;
        let name = |reading: &Reading<'_>| -> Result<String, Error> {
            let partition: String = reading.required(PARTITION)?;
            let name = partition
                .strip_prefix("EXECUTION#")
                .ok_or_else(|| reading.unreadable(PARTITION))?;
            Ok(name.to_owned())
        };
        let read = |item| {
            let reading = Reading(item);
            Ok((name(&reading)?, reading.required("status")?))
        };
        output.items().iter().map(read).collect()
    }
}
