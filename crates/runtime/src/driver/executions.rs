//! Executions as the API sees them: started, stopped, redriven, called back, described, listed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use asl::{Event, EventId, EventKind, Failure, Identity, Json, Published, Status, Trigger};
use chrono::{DateTime, TimeDelta, Utc};

use super::aliases::alias_arn;
use super::cache::Slot;
use super::machines::Revision;
use super::transition::Fold;
use super::versions::version_arn;
use super::{ACCOUNT, Engine, Error, Inner, MAX_OPEN, NotRedrivable};
use crate::history::{self, ExecutionId, ListFilter, MachineType, NewExecution, Position, Row, StateMachineRecord};

/// How long after its end an execution can be redriven, as on AWS.
const REDRIVABLE_PERIOD: TimeDelta = TimeDelta::days(14);

/// AWS's bound of redrives of one execution.
const MAX_REDRIVES: u32 = 1_000;

/// An execution to start.
#[derive(Clone, Debug)]
pub struct StartExecution {
    /// Of the state machine, a version or an alias.
    pub state_machine_arn: Arc<str>,
    /// Absent: one is made.
    pub name: Option<Arc<str>>,
    pub input: Json,
    /// The ARN of the execution whose task starts it.
    pub parent: Option<Arc<str>>,
}

/// An execution as DescribeExecution shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionRecord {
    pub arn: Arc<str>,
    pub state_machine_arn: Arc<str>,
    /// The version that started it.
    pub version_arn: Option<Arc<str>>,
    /// The alias that started it.
    pub alias_arn: Option<Arc<str>>,
    pub name: Arc<str>,
    pub status: Status,
    pub started: DateTime<Utc>,
    pub stopped: Option<DateTime<Utc>>,
    pub input: Json,
    pub output: Option<Json>,
    pub failure: Failure,
    pub redrive_count: u32,
    /// When it was last redriven.
    pub redriven: Option<DateTime<Utc>>,
    /// The id of its last event.
    pub last_event: EventId,
}

/// An execution as ListExecutions shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionSummary {
    pub arn: Arc<str>,
    pub state_machine_arn: Arc<str>,
    /// The version that started it.
    pub version_arn: Option<Arc<str>>,
    /// The alias that started it.
    pub alias_arn: Option<Arc<str>>,
    pub name: Arc<str>,
    pub status: Status,
    pub started: DateTime<Utc>,
    pub stopped: Option<DateTime<Utc>>,
    pub redrive_count: u32,
    pub redriven: Option<DateTime<Utc>>,
}

/// Which executions to list, newest first.
#[derive(Clone, Debug)]
pub struct ExecutionFilter {
    /// All executions of a state machine, or those that a version or an alias started.
    pub state_machine_arn: Arc<str>,
    pub status: Option<Status>,
    /// Only those that were redriven, or only those that were not.
    pub redriven: Option<bool>,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct ExecutionsPage {
    pub executions: Vec<ExecutionSummary>,
    /// From where the next page goes on; absent on the last.
    pub next: Option<i64>,
}

/// Which part of a history to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryRange {
    /// Where the page before ended; absent for the first.
    pub from: Option<i64>,
    /// Newest first.
    pub reverse: bool,
}

/// A page of a history.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    pub events: Vec<Event>,
    /// From where the next page goes on; absent on the last.
    pub next: Option<Position>,
}

/// When an execution was redriven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redriven {
    pub at: DateTime<Utc>,
}

impl ExecutionRecord {
    /// Whether RedriveExecution would be taken at `now`, or why not.
    pub fn redrivable(&self, now: DateTime<Utc>) -> Result<(), NotRedrivable> {
        match self.status {
            Status::Running | Status::Succeeded => return Err(NotRedrivable::Status(self.status)),
            Status::Failed | Status::TimedOut | Status::Aborted => {}
        }
        if self.stopped.is_some_and(|stopped| stopped + REDRIVABLE_PERIOD < now) {
            return Err(NotRedrivable::PeriodExceeded);
        }
        // The redrive itself and what closes the execution again have to find room.
        if asl::MAX_EVENTS <= self.last_event + 1 {
            return Err(NotRedrivable::HistoryFull);
        }
        if MAX_REDRIVES <= self.redrive_count {
            return Err(NotRedrivable::TooOften);
        }
        Ok(())
    }
}

impl Fold {
    fn version_arn(&self) -> Option<Arc<str>> {
        self.version
            .map(|number| version_arn(&self.revision.record.arn, number))
    }

    fn alias_arn(&self) -> Option<Arc<str>> {
        let name = self.alias.as_ref()?;
        Some(alias_arn(&self.revision.record.arn, name))
    }

    pub(super) fn record(&self) -> ExecutionRecord {
        let execution = &self.execution;
        ExecutionRecord {
            arn: self.arn.clone(),
            state_machine_arn: self.revision.record.arn.clone(),
            version_arn: self.version_arn(),
            alias_arn: self.alias_arn(),
            name: self.name.clone(),
            status: execution.status(),
            started: execution.started_at().unwrap_or_default(),
            stopped: execution.stopped_at(),
            input: execution.input().cloned().unwrap_or_else(Json::empty_object),
            output: execution.output().cloned(),
            failure: execution.failure().clone(),
            redrive_count: execution.redrive_count(),
            redriven: self.redriven,
            last_event: execution.last_event(),
        }
    }
}

/// The machine's and the execution's name in an execution's ARN.
fn names(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(8, ':').skip(5);
    match (parts.next()?, parts.next()?, parts.next()?) {
        ("execution", machine, name) => Some((machine, name)),
        _ => None,
    }
}

impl Inner {
    pub(super) fn execution_arn(&self, machine: &str, name: &str) -> Arc<str> {
        format!("arn:aws:states:{}:{ACCOUNT}:execution:{machine}:{name}", self.region).into()
    }

    /// The machine and the execution that an ARN names.
    pub(super) fn resolve(&self, arn: &str) -> Result<(Arc<Revision>, Arc<str>), Error> {
        let unknown = || Error::ExecutionDoesNotExist { arn: arn.into() };
        let (machine, name) = names(arn).ok_or_else(unknown)?;
        let machine = self.machines.current(&self.state_machine_arn(machine));
        let name: Arc<str> = name.into();
        let machine = machine.map_err(|_| unknown())?;
        if *self.execution_arn(&machine.record.name, &name) != *arn {
            return Err(unknown());
        }
        Ok((machine, name))
    }

    /// The slot of the execution that an ARN names.
    pub(super) async fn find(&self, arn: &str) -> Result<Arc<Slot>, Error> {
        let (machine, name) = self.resolve(arn)?;
        let machine = machine.machine_id;
        if let Some(slot) = self.cache.find(machine, &name) {
            return Ok(slot);
        }
        let wanted = name.clone();
        let row = self
            .history
            .read(move |connection| history::executions::find(connection, machine, &wanted))
            .await?;
        let row = row.ok_or_else(|| Error::ExecutionDoesNotExist { arn: arn.into() })?;
        let slot = self.cache.slot(row.id);
        self.cache.name(&slot, machine, name);
        Ok(slot)
    }

    /// Looks at an execution's fold, loading it if need be.
    pub(super) async fn with_fold<T>(&self, slot: &Arc<Slot>, look: impl FnOnce(&Fold) -> T) -> Result<T, Error> {
        let mut state = slot.state.lock().await;
        let fold = self.fold(slot, &mut state).await?;
        let seen = look(&fold);
        state.fold = Some(fold);
        Ok(seen)
    }

    async fn start(self: Arc<Self>, start: StartExecution) -> Result<ExecutionRecord, Error> {
        let named = self.named(&start.state_machine_arn)?;
        named.startable()?;
        if MAX_OPEN <= self.open.load(Ordering::Relaxed) {
            return Err(Error::TooManyOpen);
        }
        let (revision, version) = (named.revision(), named.number());
        let name = start.name.unwrap_or_else(|| uuid::Uuid::new_v4().to_string().into());
        let machine = revision.machine_id;
        let id = self.next_execution();
        let mut fold = Fold::new(
            revision.clone(),
            name.clone(),
            self.execution_arn(&revision.record.name, &name),
        );
        fold.version = version;
        fold.alias = named.alias.clone();
        let trigger = Trigger::Start {
            identity: identity(&fold),
            input: start.input.clone(),
        };
        let new = NewExecution {
            machine,
            revision: revision.id,
            version,
            alias: named.alias.clone(),
            name: name.clone(),
            subject: self.subject(&revision.record.arn, &start.input),
            parent: start.parent.clone(),
        };
        let slot = self.cache.slot(id);
        let mut state = slot.state.lock().await;
        match self.transition(&slot, &mut state, fold, trigger, Some(new)).await {
            Ok(_) => {
                self.cache.name(&slot, machine, name);
                let fold = state.fold.as_ref();
                Ok(fold
                    .expect("a transition that succeeds leaves the fold in its slot")
                    .record())
            }
            Err(error) => {
                self.cache.remove(id);
                match error {
                    Error::History(history::Error::NameTaken { id }) => {
                        let slot = self.cache.slot(id);
                        let existing = self.with_fold(&slot, Fold::record).await?;
                        same_start(existing, &start.input)
                    }
                    error => Err(error),
                }
            }
        }
    }

    async fn stop(self: Arc<Self>, slot: Arc<Slot>, failure: Failure) -> Result<DateTime<Utc>, Error> {
        self.take(&slot, Trigger::Stop(failure)).await?;
        let stopped = self.with_fold(&slot, |fold| fold.execution.stopped_at()).await?;
        Ok(stopped.unwrap_or_else(|| self.now()))
    }

    async fn redrive(self: Arc<Self>, slot: Arc<Slot>, client_token: Option<Arc<str>>) -> Result<Redriven, Error> {
        let mut state = slot.state.lock().await;
        let mut fold = self.fold(&slot, &mut state).await?;
        if client_token.is_some()
            && fold.redrive_token == client_token
            && let Some(at) = fold.redriven
        {
            state.fold = Some(fold);
            return Ok(Redriven { at });
        }
        let record = fold.record();
        if let Err(reason) = record.redrivable(self.now()) {
            state.fold = Some(fold);
            return Err(Error::ExecutionNotRedrivable {
                arn: record.arn,
                reason,
            });
        }
        fold.redrive_token = client_token;
        self.transition(&slot, &mut state, fold, Trigger::Redrive, None).await?;
        let at = state.fold.as_ref().and_then(|fold| fold.redriven);
        Ok(Redriven {
            at: at.unwrap_or_else(|| self.now()),
        })
    }

    async fn call_back(
        self: Arc<Self>,
        token: Arc<str>,
        trigger: impl FnOnce(EventId) -> Trigger,
    ) -> Result<(), Error> {
        let found = self
            .history
            .read(move |connection| history::log::token(connection, &token))
            .await?;
        let (id, scheduled) = found.ok_or(Error::InvalidToken)?;
        let slot = self.cache.slot(id);
        let mut state = slot.state.lock().await;
        let fold = self.fold(&slot, &mut state).await?;
        if fold.execution.task(scheduled).is_none() {
            state.fold = Some(fold);
            return Err(Error::TaskTimedOut);
        }
        self.transition(&slot, &mut state, fold, trigger(scheduled), None)
            .await?;
        Ok(())
    }

    /// What DescribeExecution shows of an execution that is not in memory: its row and the ends of its log.
    async fn read_record(&self, arn: &str) -> Result<ExecutionRecord, Error> {
        let (machine, name) = self.resolve(arn)?;
        let id = machine.machine_id;
        let found = self
            .history
            .read(move |connection| {
                let Some(row) = history::executions::find(connection, id, &name)? else {
                    return Ok(None);
                };
                let ends = history::log::ends(connection, row.id)?;
                Ok(Some((row, ends)))
            })
            .await?;
        let (row, ends) = found.ok_or_else(|| Error::ExecutionDoesNotExist { arn: arn.into() })?;
        Ok(record_of(arn.into(), machine.record.arn.clone(), row, ends))
    }
}

/// The answer to a start whose name is taken: the running execution with that input, if that is what it is.
fn same_start(existing: ExecutionRecord, input: &Json) -> Result<ExecutionRecord, Error> {
    if existing.status == Status::Running && existing.input == *input {
        return Ok(existing);
    }
    Err(Error::ExecutionAlreadyExists { arn: existing.arn })
}

pub(super) fn identity(fold: &Fold) -> Arc<Identity> {
    let machine = &fold.revision.record;
    Arc::new(Identity {
        execution_arn: fold.arn.clone(),
        name: fold.name.clone(),
        state_machine_arn: machine.arn.clone(),
        state_machine_name: machine.name.clone(),
        role_arn: machine.role_arn.clone(),
        published: Published {
            version_arn: fold.version_arn(),
            alias_arn: fold.alias_arn(),
        },
    })
}

/// `ends` are the first and the last event.
fn record_of(arn: Arc<str>, state_machine_arn: Arc<str>, row: Row, ends: Option<(Event, Event)>) -> ExecutionRecord {
    let (first, last) = ends.map(|(first, last)| (first.kind, last.kind)).unzip();
    let input = match first {
        Some(EventKind::ExecutionStarted { input, .. }) => Some(input),
        _ => None,
    };
    let closed = row.status != Status::Running;
    let (output, failure) = match last.filter(|_| closed) {
        Some(EventKind::ExecutionSucceeded { output }) => (Some(output), Failure::default()),
        Some(
            EventKind::ExecutionFailed(failure)
            | EventKind::ExecutionTimedOut(failure)
            | EventKind::ExecutionAborted(failure),
        ) => (None, failure),
        _ => (None, Failure::default()),
    };
    ExecutionRecord {
        arn,
        version_arn: row.version.map(|number| version_arn(&state_machine_arn, number)),
        alias_arn: row.alias.map(|name| alias_arn(&state_machine_arn, &name)),
        state_machine_arn,
        name: row.name,
        status: row.status,
        started: row.started,
        stopped: row.stopped,
        input: input.unwrap_or_else(Json::empty_object),
        output,
        failure,
        redrive_count: row.redrive_count,
        redriven: row.redriven,
        last_event: row.last_event,
    }
}

/// Runs to its end what may not be dropped half-way, even if the caller is.
pub(super) async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.map_err(|_| history::Error::Closed)?
}

impl Engine {
    /// Starts an execution; it is on disk when this returns.
    ///
    /// The same name and input as an execution that runs return that one.
    pub async fn start_execution(&self, start: StartExecution) -> Result<ExecutionRecord, Error> {
        let named = self.inner.named(&start.state_machine_arn)?;
        if named.current.record.machine_type == MachineType::Express {
            return self.start_express(start).await;
        }
        whole(self.inner.clone().start(start)).await
    }

    /// Stops an execution; when it stopped, which for one that had closed is when it did.
    pub async fn stop_execution(&self, arn: &str, failure: Failure) -> Result<DateTime<Utc>, Error> {
        let slot = self.inner.find(arn).await?;
        whole(self.inner.clone().stop(slot, failure)).await
    }

    /// Goes on with an execution from where it failed. The same client token again changes nothing.
    pub async fn redrive_execution(&self, arn: &str, client_token: Option<Arc<str>>) -> Result<Redriven, Error> {
        let slot = self.inner.find(arn).await?;
        whole(self.inner.clone().redrive(slot, client_token)).await
    }

    pub async fn task_success(&self, token: &str, output: Json) -> Result<(), Error> {
        let trigger = |scheduled| Trigger::TaskSucceeded { scheduled, output };
        whole(self.inner.clone().call_back(token.into(), trigger)).await
    }

    pub async fn task_failure(&self, token: &str, failure: Failure) -> Result<(), Error> {
        let trigger = |scheduled| Trigger::TaskFailed { scheduled, failure };
        whole(self.inner.clone().call_back(token.into(), trigger)).await
    }

    pub async fn task_heartbeat(&self, token: &str) -> Result<(), Error> {
        let trigger = |scheduled| Trigger::TaskHeartbeat { scheduled };
        whole(self.inner.clone().call_back(token.into(), trigger)).await
    }

    pub async fn execution(&self, arn: &str) -> Result<ExecutionRecord, Error> {
        let (machine, name) = self.inner.resolve(arn)?;
        // One that is busy is not waited for: its log says how far it has come.
        if let Some(slot) = self.inner.cache.find(machine.machine_id, &name)
            && let Ok(state) = slot.state.try_lock()
            && let Some(fold) = &state.fold
        {
            return Ok(fold.record());
        }
        self.inner.read_record(arn).await
    }

    pub async fn executions(
        &self,
        filter: &ExecutionFilter,
        from: Option<i64>,
        limit: usize,
    ) -> Result<ExecutionsPage, Error> {
        let named = self.inner.named(&filter.state_machine_arn)?;
        let machine = &named.current;
        let wanted = ListFilter {
            machine: machine.machine_id,
            version: named.number().filter(|_| named.alias.is_none()),
            alias: named.alias.clone(),
            status: filter.status,
            redriven: filter.redriven,
        };
        let page = self
            .inner
            .history
            .read(move |connection| history::executions::list(connection, &wanted, from.map(ExecutionId), limit))
            .await?;
        let summary = |row: Row| ExecutionSummary {
            arn: self.inner.execution_arn(&machine.record.name, &row.name),
            state_machine_arn: machine.record.arn.clone(),
            version_arn: row.version.map(|number| version_arn(&machine.record.arn, number)),
            alias_arn: row.alias.map(|name| alias_arn(&machine.record.arn, &name)),
            name: row.name,
            status: row.status,
            started: row.started,
            stopped: row.stopped,
            redrive_count: row.redrive_count,
            redriven: row.redriven,
        };
        Ok(ExecutionsPage {
            executions: page.rows.into_iter().map(summary).collect(),
            next: page.next.map(|id| id.0),
        })
    }

    /// At most `limit` events of an execution's history.
    pub async fn history(&self, arn: &str, range: HistoryRange, limit: usize) -> Result<HistoryPage, Error> {
        let slot = self.inner.find(arn).await?;
        let id = slot.id;
        let (events, next) = self
            .inner
            .history
            .read(move |connection| history::log::page(connection, id, range.from, range.reverse, limit))
            .await?;
        Ok(HistoryPage { events, next })
    }

    /// The state machine as it was when the execution started.
    pub async fn state_machine_for_execution(&self, arn: &str) -> Result<StateMachineRecord, Error> {
        let slot = self.inner.find(arn).await?;
        self.inner.with_fold(&slot, |fold| fold.revision.record.clone()).await
    }

    /// Waits until an execution is closed. Meanwhile a hold of the caller's does not keep the clock from jumping.
    pub async fn wait_closed(&self, arn: &str) -> Result<ExecutionRecord, Error> {
        let slot = self.inner.find(arn).await?;
        let mut stopping = self.inner.stopping.subscribe();
        loop {
            let closed = slot.closed.wait();
            let record = self.inner.with_fold(&slot, Fold::record).await?;
            if record.status != Status::Running {
                return Ok(record);
            }
            let away = self.inner.clock.away();
            tokio::select! {
                busy = closed => {
                    // The own hold is back before the one that came with the news is gone.
                    drop(away);
                    drop(busy);
                }
                _ = stopping.wait_for(|stopping| *stopping) => return Err(history::Error::Closed.into()),
            }
        }
    }
}
