//! One trigger of one execution: load, advance, append, perform.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use asl::{Event, EventId, EventKind, Execution, Failure, Mark, Moment, Status, Task, Trigger};
use chrono::{DateTime, Utc};

use super::cache::{Slot, SlotState};
use super::machines::Revision;
use super::report;
use super::status::StatusChange;
use super::{Error, Inner, RETRY_PAUSE, calls};
use crate::history::{self, Append, Head, NewExecution, Position, QueueChange};

/// An execution's state in memory: the fold of its log, and where that log ends.
#[derive(Clone)]
pub(super) struct Fold {
    pub(super) revision: Arc<Revision>,
    /// The version of the machine that it was started by.
    pub(super) version: Option<u32>,
    /// The alias of the machine that it was started by.
    pub(super) alias: Option<Arc<str>>,
    pub(super) name: Arc<str>,
    pub(super) arn: Arc<str>,
    pub(super) execution: Execution,
    pub(super) position: Position,
    /// Bytes of its log.
    pub(super) bytes: usize,
    pub(super) redriven: Option<DateTime<Utc>>,
    pub(super) redrive_token: Option<Arc<str>>,
    /// Tasks that wait for a worker of their activity, by what scheduled them: those that the store has queued.
    pub(super) queued: BTreeSet<EventId>,
}

impl Fold {
    pub(super) fn new(revision: Arc<Revision>, name: Arc<str>, arn: Arc<str>) -> Self {
        Self {
            revision,
            version: None,
            alias: None,
            name,
            arn,
            execution: Execution::default(),
            position: 0,
            bytes: 0,
            redriven: None,
            redrive_token: None,
            queued: BTreeSet::new(),
        }
    }

    /// Takes in which tasks wait for a worker now; `before` is from before the transition.
    fn requeue(&mut self, before: Mark) -> QueueChange {
        let added: Vec<_> = self
            .execution
            .tasks_since(before)
            .filter(|task| task.is_queued())
            .map(|task| (task.schedule.resource.resource.clone(), task.scheduled))
            .collect();
        let is_queued = |scheduled: &EventId| self.execution.task(*scheduled).is_some_and(Task::is_queued);
        let removed: Vec<_> = self.queued.iter().copied().filter(|id| !is_queued(id)).collect();
        for scheduled in &removed {
            self.queued.remove(scheduled);
        }
        self.queued.extend(added.iter().map(|(_, scheduled)| *scheduled));
        QueueChange { added, removed }
    }
}

impl Inner {
    /// Brings a trigger of the engine's own to its execution, again and again if the store refuses it.
    pub(super) async fn deliver(self: &Arc<Self>, slot: &Arc<Slot>, trigger: Trigger) {
        loop {
            match self.take(slot, trigger.clone()).await {
                Ok(_) | Err(Error::History(history::Error::Closed)) => return,
                Err(error) => {
                    report(&error, "cannot advance an execution; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Brings a trigger to its execution; whether it changed anything.
    ///
    /// Not to be dropped half-way: what was written would be left unperformed until the next start. Whoever may be
    /// cancelled runs it as a task of its own.
    pub(super) async fn take(self: &Arc<Self>, slot: &Arc<Slot>, trigger: Trigger) -> Result<bool, Error> {
        let mut state = slot.state.lock().await;
        if matches!(trigger, Trigger::Continue) {
            state.continuing = false;
        }
        let fold = self.fold(slot, &mut state).await?;
        match self.transition(slot, &mut state, fold, trigger, None).await {
            Err(error @ Error::BrokenOff { .. }) => {
                // The log does not know of what was tried: the execution fails where it was before.
                report(&error, "an execution fails by a defect of the interpreter");
                let fold = self.fold(slot, &mut state).await?;
                let failure = Failure::new("States.Runtime", error.to_string());
                let trigger = Trigger::Break(failure);
                self.transition(slot, &mut state, fold, trigger, None).await
            }
            result => result,
        }
    }

    /// Takes the fold out of its slot, reading the log if it is not there.
    ///
    /// Who takes it puts it back once it is known to be what the log says.
    pub(super) async fn fold(&self, slot: &Arc<Slot>, state: &mut SlotState) -> Result<Fold, Error> {
        if let Some(fold) = state.fold.take() {
            return Ok(fold);
        }
        let id = slot.id;
        let loaded = self
            .history
            .read(move |connection| {
                let row = history::executions::get(connection, id)?;
                Ok((row, history::log::all(connection, id)?))
            })
            .await?;
        let (Some(row), (events, bytes)) = loaded else {
            self.cache.remove(id);
            let arn = format!("{}", id.0).into();
            return Err(Error::ExecutionDoesNotExist { arn });
        };
        self.cache.weigh(slot, bytes);
        let revision = self.machines.revision(row.revision)?;
        let execution = Execution::replay(&events);
        let queued = execution.tasks_since(Mark::default()).filter(|task| task.is_queued());
        Ok(Fold {
            queued: queued.map(|task| task.scheduled).collect(),
            arn: self.execution_arn(&revision.record.name, &row.name),
            revision,
            version: row.version,
            alias: row.alias,
            name: row.name,
            execution,
            position: events.len() as Position,
            bytes,
            redriven: row.redriven,
            redrive_token: row.redrive_token,
        })
    }

    /// Advances, appends, and performs what is newly owed; whether the trigger changed anything.
    ///
    /// The fold goes back into the slot only when what it says is on disk.
    pub(super) async fn transition(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        state: &mut SlotState,
        mut fold: Fold,
        trigger: Trigger,
        new: Option<NewExecution>,
    ) -> Result<bool, Error> {
        let _busy = self.clock.busy();
        let status = match &new {
            None => Some(fold.execution.status()),
            Some(_) => None,
        };
        let before = fold.execution.mark();
        let kept_alive = match &trigger {
            Trigger::TaskSubmitted { scheduled, .. }
            | Trigger::ActivityStarted { scheduled, .. }
            | Trigger::TaskHeartbeat { scheduled } => Some(*scheduled),
            _ => None,
        };
        if matches!(trigger, Trigger::Redrive) {
            // The moment of the event that follows.
            fold.redriven = Some(self.now());
        }
        let (mut fold, events) = self.advance(fold, trigger).await?;
        if events.is_empty() {
            state.fold = Some(fold);
            return Ok(false);
        }
        let encoded = history::encode(&events);
        let head = Head::of(&fold.execution, fold.redriven, fold.redrive_token.clone());
        let due = head.due;
        let outbox = self.owed_status(&fold, status, &events);
        let owes_status = !outbox.is_empty();
        let queued = fold.requeue(before);
        let arrived = queued.added.clone();
        let position = fold.position;
        fold.position += events.len() as Position;
        fold.bytes += encoded.len();
        self.history
            .append(Append {
                id: slot.id,
                position,
                events: encoded,
                head,
                new,
                tokens: tokens(&events),
                map_runs: map_runs(&events),
                outbox,
                queued,
            })
            .await?;
        self.cache.weigh(slot, fold.bytes);
        match (
            status == Some(Status::Running),
            fold.execution.status() == Status::Running,
        ) {
            (false, true) => self.open.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.open.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
        self.feed.note(&fold.revision.record.name, &fold.name);
        if owes_status {
            self.owes_status.ring();
        }
        if let Some(due) = due {
            self.timer.note(due);
        }
        state
            .calls
            .retain(|scheduled, _| fold.execution.task(*scheduled).is_some());
        for task in fold.execution.tasks_since(before) {
            match task.is_queued() {
                true => calls::be_patient(self, &mut state.calls, task),
                false => calls::start(self, slot, &mut state.calls, &fold, task, None),
            }
        }
        for (activity, scheduled) in arrived {
            self.arrived(slot, &activity, scheduled);
        }
        if let Some(task) = kept_alive.and_then(|scheduled| fold.execution.task(scheduled)) {
            calls::be_patient(self, &mut state.calls, task);
        }
        if fold.execution.status() != Status::Running {
            slot.closed.tell(&self.clock);
            self.finish_deleting(&fold.revision);
        }
        self.go_on(slot, state, &fold.execution);
        state.fold = Some(fold);
        Ok(true)
    }

    /// Has the next batch of transitions taken, if the execution can go on by itself.
    pub(super) fn go_on(self: &Arc<Self>, slot: &Arc<Slot>, state: &mut SlotState, execution: &Execution) {
        if !execution.is_runnable() || state.continuing {
            return;
        }
        state.continuing = true;
        let (engine, slot, busy) = (self.clone(), slot.clone(), self.clock.busy());
        tokio::spawn(async move {
            engine.deliver(&slot, Trigger::Continue).await;
            drop(busy);
        });
    }

    async fn advance(&self, mut fold: Fold, trigger: Trigger) -> Result<(Fold, Vec<Event>), Error> {
        let machine = fold.revision.machine()?;
        let (execution, events) = self
            .advance_execution(&fold.arn, machine, fold.revision.computes, fold.execution, trigger)
            .await?;
        fold.execution = execution;
        Ok((fold, events))
    }

    /// Advances on this thread, or on one of its own if the state machine computes for as long as it likes.
    pub(super) async fn advance_execution(
        &self,
        arn: &Arc<str>,
        machine: Arc<asl::StateMachine>,
        computes: bool,
        execution: Execution,
        trigger: Trigger,
    ) -> Result<(Execution, Vec<Event>), Error> {
        let mut execution = execution;
        let advance = move |moment: &Moment| {
            #[cfg(test)]
            super::tests::panic_if_asked(&machine, &trigger);
            let events = asl::advance(&machine, &mut execution, trigger, moment);
            (execution, events)
        };
        self.interpret(arn, computes, advance).await
    }

    /// Lets the interpreter work, on this thread, or on one of its own if it may take as long as it likes.
    pub(super) async fn interpret<T: Send + 'static>(
        &self,
        arn: &Arc<str>,
        computes: bool,
        work: impl FnOnce(&Moment) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let done = if computes {
            let turn = self.evaluations.clone().acquire_owned().await;
            let moment = self.moment();
            let done = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                unless_it_panics(move || work(&moment))
            });
            done.await.map_err(|_| history::Error::Closed)?
        } else {
            let moment = self.moment();
            unless_it_panics(move || work(&moment))
        };
        done.ok_or_else(|| Error::BrokenOff { arn: arn.clone() })
    }

    /// The status event that a batch owes, encoded; `before` is absent for an execution that starts.
    fn owed_status(&self, fold: &Fold, before: Option<Status>, events: &[Event]) -> Vec<Vec<u8>> {
        let status = fold.execution.status();
        let mut changes = Vec::new();
        let began = events.iter().any(|event| {
            matches!(
                event.kind,
                EventKind::ExecutionStarted { .. } | EventKind::ExecutionRedriven { .. }
            )
        });
        if began {
            changes.push(Status::Running);
        }
        if status != Status::Running && (began || before == Some(Status::Running)) {
            changes.push(status);
        }
        changes.retain(|status| self.status_events.wants(&fold.revision.record.arn, *status));
        changes
            .into_iter()
            .map(|status| StatusChange::of(&fold.record(), status).encode())
            .collect()
    }
}

/// What the interpreter's work comes to; nothing if it panics, which no definition and no data should bring it to.
fn unless_it_panics<T>(work: impl FnOnce() -> T) -> Option<T> {
    // What a panic may leave half done goes with it.
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// The task tokens that a batch gives out.
fn tokens(events: &[Event]) -> Vec<(Arc<str>, asl::EventId)> {
    let token = |event: &Event| match &event.kind {
        EventKind::TaskScheduled(schedule) => Some((schedule.token.clone()?, event.id)),
        _ => None,
    };
    events.iter().filter_map(token).collect()
}

/// The Map Runs that a batch starts.
fn map_runs(events: &[Event]) -> Vec<Arc<str>> {
    let run = |event: &Event| match &event.kind {
        EventKind::MapRunStarted { arn, .. } => Some(arn.clone()),
        _ => None,
    };
    events.iter().filter_map(run).collect()
}
