//! The transition: one trigger taken in, and everything that follows from it until the world is needed again.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use sha2::{Digest, Sha256};

use crate::Json;
use crate::definition::{Kind, State, StateMachine};
use crate::event::{Event, EventId, EventKind, Failure, FrameId, INSIDE, Identity, StateType, Tolerance};
use crate::execution::{At, Entered, Execution, ROOT, Status};
use crate::probe::{Observer, Stages};
use crate::query;
use crate::retry;
use crate::state;
use crate::trigger::{MapRunUpdate, Moment, Trigger};

/// AWS's quota of events in the history of a Standard execution; the last one says that it failed for it.
pub const MAX_EVENTS: EventId = 25_000;

/// AWS's quota for an input or output of a state, a task or an execution, in bytes of UTF-8.
pub const MAX_PAYLOAD_BYTES: usize = 262_144;

/// The error of what the interpreter cannot process.
pub(crate) const RUNTIME: &str = "States.Runtime";

/// How many steps one call makes at most, so that a long loop takes turns with other executions and its events reach
/// the disk in batches of a bounded size.
const MAX_STEPS: usize = 1_000;

/// Advances an execution by one trigger and returns the events that it appended, in order.
///
/// Pure: `moment` carries the time and the randomness of this transition. Only [`Execution::apply`] changes the
/// execution, so replaying the events gives the same one. A trigger that the history has moved past returns no events.
/// An execution that is still [runnable](Execution::is_runnable) afterwards wants [`Trigger::Continue`].
pub fn advance(machine: &StateMachine, execution: &mut Execution, trigger: Trigger, moment: &Moment) -> Vec<Event> {
    let mut transition = Transition::new(machine, execution, moment, None);
    transition.take(trigger);
    transition.run();
    transition.events
}

/// A transition in progress.
pub(crate) struct Transition<'a> {
    pub(crate) machine: &'a StateMachine,
    pub(crate) execution: &'a mut Execution,
    pub(crate) now: DateTime<Utc>,
    seed: u128,
    pub(crate) draws: query::Moment,
    events: Vec<Event>,
    /// Who looks on while a single state is tested.
    pub(crate) observer: Option<&'a Observer>,
}

/// Why a state's work came to nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) failure: Failure,
    /// The field whose JSONata expression failed; such a failure has an event of its own.
    pub(crate) location: Option<Arc<str>>,
    /// Whether it ends the execution at once: a `States.Runtime` of the interpreter's own.
    pub(crate) is_final: bool,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            location: None,
            is_final: false,
        }
    }
}

impl Fault {
    /// A `States.Runtime`, which AWS never retries or catches, not even where it is named.
    pub(crate) fn runtime(cause: String) -> Self {
        Self {
            failure: Failure::new(RUNTIME, cause),
            location: None,
            is_final: true,
        }
    }
}

impl<'a> Transition<'a> {
    pub(crate) fn new(
        machine: &'a StateMachine,
        execution: &'a mut Execution,
        moment: &Moment,
        observer: Option<&'a Observer>,
    ) -> Self {
        // Histories count in milliseconds, and what is replayed must equal what was lived.
        let now = moment.now.trunc_subsecs(3);
        Self {
            machine,
            execution,
            now,
            seed: moment.seed,
            draws: query::Moment::new(now.timestamp_millis(), moment.seed as u64),
            events: Vec::new(),
            observer,
        }
    }

    /// Has the observer note something, if there is one.
    #[inline]
    pub(crate) fn observe(&self, note: impl FnOnce(&mut Stages)) {
        if let Some(observer) = self.observer {
            observer.note(note);
        }
    }

    /// Appends an event that follows the frame's last one.
    pub(crate) fn emit(&mut self, frame: FrameId, kind: EventKind) {
        let previous = self.execution.frame(frame).last_event;
        self.emit_after(frame, previous, kind);
    }

    pub(crate) fn emit_after(&mut self, frame: FrameId, previous: EventId, kind: EventKind) {
        self.append(frame, previous, self.now, kind);
    }

    fn append(&mut self, frame: FrameId, previous: EventId, time: DateTime<Utc>, kind: EventKind) {
        if self.is_closed() && !matches!(kind, EventKind::ExecutionRedriven { .. }) {
            return;
        }
        let last = self.execution.last_event;
        let item = self.item_of(frame, &kind);
        let full = match item {
            _ if !self.machine.keeps_history => false,
            Some(item) => MAX_EVENTS <= self.execution.frame(item).item_events,
            None => MAX_EVENTS <= last + 1 && !closes(&kind),
        };
        let (frame, kind) = if full && !kind.is_hidden() {
            let cause = format!("The execution reached the maximum number of history events ({MAX_EVENTS}).");
            let failure = Failure::new("States.Runtime", cause);
            match item {
                Some(item) => (item, EventKind::MapItemFailed(failure)),
                None => (frame, EventKind::ExecutionFailed(failure)),
            }
        } else {
            (frame, kind)
        };
        let event = Event {
            id: match item {
                _ if kind.is_hidden() => last,
                Some(_) => self.execution.last_inside.max(INSIDE) + 1,
                None => last + 1,
            },
            previous,
            time,
            frame,
            kind,
        };
        self.execution.apply(&event);
        self.events.push(event);
    }

    /// The item of a distributed Map that an event happens in.
    fn item_of(&self, frame: FrameId, kind: &EventKind) -> Option<FrameId> {
        let own = self.execution.frames.get(&frame)?;
        match kind {
            // The run starts its items, so its own frame has the event; which item is not there yet.
            EventKind::MapIterationStarted { .. } if own.runs_items() => Some(frame),
            _ => own.item_root,
        }
    }

    fn is_closed(&self) -> bool {
        self.execution.status != Status::Running
    }

    pub(crate) fn take(&mut self, trigger: Trigger) {
        match trigger {
            Trigger::Start { identity, input } => self.start(identity, input),
            Trigger::Redrive => self.redrive(),
            _ if self.execution.status != Status::Running || self.execution.started.is_none() => {}
            Trigger::Continue => {}
            Trigger::Clock => self.pass_time(),
            Trigger::TaskSubmitted { scheduled, output } => {
                if let Some((frame, _)) = self.awaited(scheduled) {
                    state::task::submitted(self, frame, output);
                }
            }
            Trigger::ActivityStarted { scheduled, worker } => {
                if let Some((frame, _)) = self.queued(scheduled) {
                    self.emit(frame, EventKind::ActivityStarted { worker });
                }
            }
            Trigger::ActivityScheduleFailed { scheduled, failure } => {
                if let Some((frame, _)) = self.queued(scheduled) {
                    self.emit(frame, EventKind::ActivityScheduleFailed(failure.clone()));
                    self.fail(frame, failure.into());
                }
            }
            Trigger::TaskSucceeded { scheduled, output } => {
                if let Some((frame, state)) = self.awaited(scheduled) {
                    let result = state::task::succeeded(self, frame, state, output);
                    self.settle(frame, result);
                }
            }
            Trigger::TaskFailed { scheduled, failure } => {
                if let Some((frame, _)) = self.awaited(scheduled) {
                    let fault = state::task::failed(self, frame, failure);
                    self.fail(frame, fault);
                }
            }
            Trigger::TaskHeartbeat { scheduled } => {
                if let Some(frame) = self.execution.task_frame(scheduled) {
                    self.emit(frame, EventKind::TaskHeartbeat);
                }
            }
            Trigger::UpdateMapRun { run, update } => self.update_map_run(&run, update),
            Trigger::Stop(failure) => self.append(ROOT, 0, self.now, EventKind::ExecutionAborted(failure)),
            Trigger::Break(failure) => {
                let last = self.execution.last_event;
                self.append(ROOT, last, self.now, EventKind::ExecutionFailed(failure));
            }
        }
    }

    fn start(&mut self, identity: Arc<Identity>, input: Json) {
        if self.execution.started.is_some() {
            return;
        }
        let kind = EventKind::ExecutionStarted {
            identity,
            input,
            timeout_seconds: self.machine.timeout_seconds,
            start_at: self.machine.start_at.clone(),
        };
        self.append(ROOT, 0, self.now, kind);
    }

    fn redrive(&mut self) {
        let redrivable = matches!(
            self.execution.status,
            Status::Failed | Status::TimedOut | Status::Aborted
        );
        if redrivable {
            let redrive_count = self.execution.redrive_count + 1;
            let previous = self.execution.last_event;
            let kind = EventKind::ExecutionRedriven { redrive_count };
            self.append(ROOT, previous, self.now, kind);
            self.redrive_map_runs(redrive_count);
        }
    }

    /// The items of distributed Maps that failed begin anew.
    fn redrive_map_runs(&mut self, redrive_count: u32) {
        let runs: Vec<(FrameId, Arc<str>)> = self
            .execution
            .frames
            .iter()
            .filter_map(|(id, frame)| match &frame.at {
                At::Children(children) => Some((*id, children.run()?.arn.clone()?)),
                _ => None,
            })
            .collect();
        for (frame, arn) in runs {
            self.emit(frame, EventKind::MapRunRedriven { arn, redrive_count });
        }
    }

    fn update_map_run(&mut self, arn: &str, update: MapRunUpdate) {
        let found = self.execution.frames.iter().find_map(|(id, frame)| {
            let At::Children(children) = &frame.at else {
                return None;
            };
            let map = children.map.as_ref()?;
            let run = map.run.as_ref().filter(|run| run.arn.as_deref() == Some(arn))?;
            let count = update.tolerated_count.or(run.tolerance.count);
            let percentage = update.tolerated_percentage.or(run.tolerance.percentage);
            let kind = EventKind::MapRunUpdated {
                max_concurrency: update.max_concurrency.unwrap_or(map.max_concurrency),
                tolerance: Tolerance::of(children.outputs.len(), count, percentage),
            };
            Some((*id, kind))
        });
        if let Some((frame, kind)) = found {
            self.emit(frame, kind);
        }
    }

    /// Everything that is due by now happens, in the order in which it was due.
    fn pass_time(&mut self) {
        if let Some(deadline) = self.execution.deadline
            && deadline <= self.now
        {
            let failure = Failure::named("States.Timeout");
            self.append(ROOT, 0, deadline, EventKind::ExecutionTimedOut(failure));
            return;
        }
        while self.execution.status == Status::Running {
            let Some(frame) = self.execution.next_due(self.now) else {
                return;
            };
            match &self.execution.frame(frame).at {
                At::Waiting { .. } => {
                    let result = self
                        .state_of(frame)
                        .and_then(|state| state::wait::over(self, frame, state));
                    self.settle(frame, result);
                }
                At::Retrying { .. } => self.begin(frame),
                At::Task(_) => {
                    let fault = state::task::timed_out(self, frame);
                    self.fail(frame, fault);
                }
                At::Entering { .. } | At::Entered | At::Children(_) | At::Ended { .. } | At::Failed | At::Redriven => {
                    return;
                }
            }
        }
    }

    /// The frame and state of a task that is still awaited.
    fn awaited(&self, scheduled: EventId) -> Option<(FrameId, &'a State)> {
        let frame = self.execution.task_frame(scheduled)?;
        let name = &self.execution.frame(frame).state.as_ref()?.name;
        Some((frame, self.machine.state(name)?))
    }

    /// The frame and state of a task that no worker has taken yet.
    fn queued(&self, scheduled: EventId) -> Option<(FrameId, &'a State)> {
        let is_queued = self.execution.task(scheduled)?.is_queued();
        self.awaited(scheduled).filter(|_| is_queued)
    }

    /// Makes steps until no flow can go on by itself.
    fn run(&mut self) {
        for _ in 0..MAX_STEPS {
            if self.execution.status != Status::Running {
                return;
            }
            let Some(frame) = self.execution.next_runnable() else {
                return;
            };
            self.step(frame);
        }
    }

    pub(crate) fn step(&mut self, frame: FrameId) {
        match &self.execution.frame(frame).at {
            At::Entering { name, input } => {
                let (name, input) = (name.clone(), input.clone());
                self.enter(frame, name, input);
            }
            At::Entered => self.begin(frame),
            At::Children(_) => {
                let result = self
                    .state_of(frame)
                    .and_then(|state| state::container::go_on(self, frame, state));
                self.settle(frame, result);
            }
            At::Ended { output } => {
                let output = output.clone();
                self.end(frame, output);
            }
            At::Task(_) | At::Waiting { .. } | At::Retrying { .. } | At::Failed | At::Redriven => {}
        }
    }

    fn enter(&mut self, frame: FrameId, name: Arc<str>, input: Json) {
        let state_type = match self.machine.state(&name) {
            Some(state) => state.kind.state_type(),
            None => StateType::Pass,
        };
        let is_first = frame == ROOT && self.execution.last_event == 1;
        let input = match is_first && self.machine.prints_input {
            true => Json::from(input.value().clone()),
            false => input,
        };
        let kind = EventKind::StateEntered {
            state_type,
            name,
            input,
        };
        self.emit(frame, kind);
    }

    fn begin(&mut self, frame: FrameId) {
        let result = self.state_of(frame).and_then(|state| state::begin(self, frame, state));
        self.settle(frame, result);
    }

    fn end(&mut self, frame: FrameId, output: Json) {
        match self.execution.frame(frame).parent {
            None => self.emit(frame, EventKind::ExecutionSucceeded { output }),
            Some((container, index)) => {
                let name = self.entered(container).name.clone();
                self.emit(frame, EventKind::MapIterationSucceeded { name, index });
            }
        }
    }

    pub(crate) fn settle(&mut self, frame: FrameId, result: Result<(), Fault>) {
        if let Err(fault) = result {
            self.fail(frame, fault);
        }
    }

    /// The state that a frame is in, as recorded.
    pub(crate) fn entered(&self, frame: FrameId) -> Arc<Entered> {
        self.execution
            .frame(frame)
            .state
            .clone()
            .expect("a frame works only inside a state")
    }

    /// The definition of the state that a frame is in.
    pub(crate) fn state_of(&self, frame: FrameId) -> Result<&'a State, Fault> {
        let entered = self.entered(frame);
        self.machine.state(&entered.name).ok_or_else(|| {
            let cause = format!("The state '{}' is not in the state machine.", entered.name);
            Fault::runtime(cause)
        })
    }

    /// Handles the error of a state: a Retrier, else a Catcher, else the container's, else the execution fails.
    pub(crate) fn fail(&mut self, frame: FrameId, fault: Fault) {
        let (mut frame, mut failure) = (frame, fault.failure);
        let evaluation_failed = fault.location.is_some();
        if evaluation_failed {
            self.emit_evaluation_failed(frame, &failure, fault.location);
        }
        let failed_in = frame;
        let mut previous = match self.events.last() {
            // What its branches or items came to was there, and could not be taken on.
            Some(event) if event.frame == frame && is_container_success(&event.kind) => event.id,
            _ => self.execution.frame(frame).last_event,
        };
        if fault.is_final {
            return self.give_up(frame, previous, failure);
        }
        self.tell_failure(frame, &failure, evaluation_failed);
        while let Ok(state) = self.state_of(frame) {
            if self.retry(frame, state, &failure, previous) {
                return;
            }
            let has_children = matches!(self.execution.frame(frame).at, At::Children(_));
            let is_map = matches!(state.kind, Kind::Map(_));
            // A Map whose JSONata fails counts as failed even before it has started.
            if has_children || (is_map && frame == failed_in && evaluation_failed) {
                let failed = if is_map {
                    EventKind::MapStateFailed
                } else {
                    EventKind::ParallelStateFailed
                };
                self.emit_after(frame, previous, failed);
                previous = self.execution.frame(frame).last_event;
            }
            match state::catch(self, frame, state, &failure) {
                Ok(true) => return,
                Ok(false) => {}
                Err(fault) => {
                    failure = fault.failure;
                    if fault.is_final {
                        return self.give_up(frame, previous, failure);
                    }
                    if fault.location.is_some() {
                        self.emit_evaluation_failed(frame, &failure, fault.location);
                        previous = self.execution.frame(frame).last_event;
                    }
                }
            }
            let Some((container, index)) = self.execution.frame(frame).parent else {
                break;
            };
            if self.execution.frame(container).runs_items() {
                self.emit_after(frame, previous, EventKind::MapItemFailed(failure));
                return;
            }
            if self.events.last().is_some_and(|event| is_task_failure(&event.kind)) {
                self.abort_state(frame, previous);
            }
            self.fail_branch(container, index, previous);
            frame = container;
        }
        self.emit_after(ROOT, previous, EventKind::ExecutionFailed(failure));
    }

    /// Writes down what a state failed by, unless its task told it, or the end of the execution or item will.
    fn tell_failure(&mut self, frame: FrameId, failure: &Failure, evaluation_failed: bool) {
        let is_told = |kind: &EventKind| is_task_failure(kind) || matches!(kind, EventKind::MapRunFailed(_));
        let is_told = evaluation_failed || self.events.last().is_some_and(|event| is_told(&event.kind));
        let handled = |state: &State| !state.retry.is_empty() || !state.catch.is_empty();
        let goes_on = self.state_of(frame).is_ok_and(handled);
        let container = self.execution.frame(frame).parent;
        let is_in_branch = container.is_some_and(|(container, _)| !self.execution.frame(container).runs_items());
        if (goes_on || is_in_branch) && !is_told {
            let last = self.execution.frame(frame).last_event;
            self.emit_after(frame, last, EventKind::StateFailed(failure.clone()));
        }
    }

    /// Fails what no Retrier and no Catcher may keep from failing: the execution, or its item of a distributed Map. The
    /// states around have no part in it.
    fn give_up(&mut self, mut frame: FrameId, previous: EventId, failure: Failure) {
        while let Some((container, _)) = self.execution.frame(frame).parent {
            if self.execution.frame(container).runs_items() {
                self.emit_after(frame, previous, EventKind::MapItemFailed(failure));
                return;
            }
            frame = container;
        }
        self.emit_after(ROOT, previous, EventKind::ExecutionFailed(failure));
    }

    fn emit_evaluation_failed(&mut self, frame: FrameId, failure: &Failure, location: Option<Arc<str>>) {
        let entered = self.entered(frame);
        let frame_state = self.execution.frame(frame);
        // AWS evaluates as it enters the state, so the failure follows what the entry followed. A Wait's time is looked
        // at only afterwards.
        let on_entry = entered.state_type != StateType::Wait && matches!(frame_state.at, At::Entered);
        let previous = if on_entry {
            entered.before
        } else {
            frame_state.last_event
        };
        let kind = EventKind::EvaluationFailed {
            failure: failure.clone(),
            location,
            state: entered.name.clone(),
        };
        self.emit_after(frame, previous, kind);
    }

    /// Writes down that a branch or an iteration failed after `previous`, and that the others in progress are given up
    /// for it.
    fn fail_branch(&mut self, container: FrameId, index: u32, previous: EventId) {
        let entered = self.entered(container);
        let name = (entered.state_type == StateType::Map).then(|| entered.name.clone());
        let others: Vec<(u32, FrameId)> = self
            .execution
            .children(container)
            .filter(|(other, _)| *other != index)
            .collect();
        for (index, frame) in others {
            if let Some(name) = name.clone() {
                self.emit_after(container, previous, EventKind::MapIterationAborted { name, index });
            }
            self.abort_state(frame, previous);
        }
        if let Some(name) = name {
            self.emit_after(container, previous, EventKind::MapIterationFailed { name, index });
        }
    }

    /// Writes down that a flow is given up in its state, if it is in one that takes time.
    fn abort_state(&mut self, frame: FrameId, previous: EventId) {
        let is_inside = match &self.execution.frame(frame).at {
            At::Entered | At::Task(_) | At::Waiting { .. } | At::Retrying { .. } | At::Children(_) => true,
            At::Entering { .. } | At::Ended { .. } | At::Failed | At::Redriven => false,
        };
        if !is_inside {
            return;
        }
        let state_type = self.entered(frame).state_type;
        match state_type {
            StateType::Task | StateType::Wait | StateType::Parallel | StateType::Map => {
                self.emit_after(frame, previous, EventKind::StateAborted { state_type });
            }
            StateType::Pass | StateType::Choice | StateType::Succeed | StateType::Fail => {}
        }
    }

    /// Lets the first Retrier that names the error take it, unless its attempts are spent.
    fn retry(&mut self, frame: FrameId, state: &State, failure: &Failure, previous: EventId) -> bool {
        let from_task = matches!(state.kind, Kind::Task(_));
        let Some(retrier) = state
            .retry
            .iter()
            .position(|retrier| retry::matches(&retrier.errors, failure.name(), from_task))
        else {
            return false;
        };
        let spent = &self.execution.frame(frame).retries;
        let spent = spent.get(retrier).copied().unwrap_or_default();
        let spent = self.observer.and_then(|observer| observer.retries).unwrap_or(spent);
        let fraction = self.draws.draw() as f64 / u64::MAX as f64;
        let Some(delay) = state.retry[retrier].delay(spent, fraction) else {
            return false;
        };
        self.observe(|stages| {
            stages.failure = Some(failure.clone());
            stages.retry = Some((retrier, delay));
        });
        let kind = EventKind::RetryScheduled {
            retrier: retrier as u32,
            at: self.now + delay,
        };
        self.emit_after(frame, previous, kind);
        true
    }

    /// A task token that no one can guess: 256 bits of a hash over the moment's randomness and the task's place.
    pub(crate) fn task_token(&self) -> Arc<str> {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        if let Some(started) = &self.execution.started {
            hash.update(started.identity.execution_arn.as_bytes());
        }
        hash.update(self.execution.last_event.to_le_bytes());
        hash.update(self.execution.last_inside.to_le_bytes());
        let digest = hash.finalize();
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into()
    }
}

/// Whether an event says that all branches or items of a state have succeeded.
fn is_container_success(kind: &EventKind) -> bool {
    matches!(kind, EventKind::ParallelStateSucceeded | EventKind::MapStateSucceeded)
}

/// Whether an event says that the work of a Task state has failed.
fn is_task_failure(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::TaskFailed { .. } | EventKind::TaskTimedOut { .. } | EventKind::ActivityScheduleFailed(_)
    )
}

/// Whether an event closes the execution.
fn closes(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::ExecutionSucceeded { .. }
            | EventKind::ExecutionFailed(_)
            | EventKind::ExecutionTimedOut(_)
            | EventKind::ExecutionAborted(_)
    )
}
