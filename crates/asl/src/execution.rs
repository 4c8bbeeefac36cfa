//! An execution: the fold of its history.
//!
//! [`Execution::apply`] takes in one event and records what it says; it evaluates nothing, so a corrected bug never
//! rewrites the past. Everything that the execution still needs from the world is read off the state it leaves:
//! the calls it owes ([`Execution::tasks_since`]), the moment at which time alone moves it on ([`Execution::due`]) and
//! whether it can go on by itself ([`Execution::is_runnable`]).
//!
//! Branches and iterations are a tree of frames: frame 0 is the state machine's own flow, and a Parallel or Map state
//! holds one child frame for each branch or iteration in progress.

mod children;
mod redrive;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::Json;
use crate::event::{Event, EventId, EventKind, Failure, FrameId, INSIDE, Identity, Schedule, StateType, Tolerance};
use crate::query::Variables;

pub(crate) use children::{Children, MapItems, MapRun};

/// The frame of the state machine's own flow.
pub(crate) const ROOT: FrameId = 0;

/// AWS's status of an execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

impl Status {
    /// As AWS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

/// The state of one execution after its history so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Execution {
    pub(crate) started: Option<Started>,
    pub(crate) status: Status,
    pub(crate) failure: Failure,
    pub(crate) output: Option<Json>,
    pub(crate) stopped: Option<DateTime<Utc>>,
    pub(crate) redrive_count: u32,
    pub(crate) last_event: EventId,
    /// The id of the last event inside the items of distributed Maps; 0 before the first.
    pub(crate) last_inside: EventId,
    /// When the state machine's `TimeoutSeconds` are over; counted from the start or the last redrive.
    pub(crate) deadline: Option<DateTime<Utc>>,
    pub(crate) frames: BTreeMap<FrameId, Frame>,
    next_frame: FrameId,
    /// Frames that can go on by themselves, longest first.
    runnable: BTreeSet<(EventId, FrameId)>,
    /// Frames that wait to begin their state anew.
    retries: BTreeSet<(DateTime<Utc>, FrameId)>,
    /// Frames that time moves on.
    timers: BTreeSet<(DateTime<Utc>, FrameId)>,
    /// Tasks in progress by the event that scheduled them.
    tasks: BTreeMap<EventId, FrameId>,
}

/// What the first event says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Started {
    pub(crate) identity: Arc<Identity>,
    pub(crate) input: Json,
    pub(crate) time: DateTime<Utc>,
    timeout_seconds: Option<u64>,
}

/// A flow in progress: the state machine's own, a branch's or an iteration's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    /// The frame of the Parallel or Map state, and the number of this branch or item.
    pub(crate) parent: Option<(FrameId, u32)>,
    /// The frame of the item of a distributed Map that this one belongs to.
    pub(crate) item_root: Option<FrameId>,
    /// How many events such an item has had.
    pub(crate) item_events: EventId,
    /// The item's value in a Map state.
    pub(crate) item: Option<Json>,
    /// The event that the next one of this frame follows.
    pub(crate) last_event: EventId,
    pub(crate) variables: Arc<Variables>,
    pub(crate) state: Option<Arc<Entered>>,
    pub(crate) retries: Vec<u32>,
    /// Its place among the runnable frames, if it is one.
    queued: Option<EventId>,
    pub(crate) at: At,
}

/// The state a frame is in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entered {
    pub(crate) state_type: StateType,
    pub(crate) name: Arc<str>,
    pub(crate) input: Json,
    pub(crate) event: EventId,
    /// The event that the entry followed.
    pub(crate) before: EventId,
    pub(crate) time: DateTime<Utc>,
}

/// How far a frame has come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum At {
    /// On its way into a state.
    Entering {
        name: Arc<str>,
        input: Json,
    },
    /// In a state whose work is to be begun.
    Entered,
    Task(Task),
    Waiting {
        until: DateTime<Utc>,
    },
    Retrying {
        at: DateTime<Utc>,
    },
    /// In a Parallel or Map state.
    Children(Children),
    /// The flow has come to its end.
    Ended {
        output: Json,
    },
    /// An item of a distributed Map that has failed.
    Failed,
    /// Such an item, redriven, that waits for its turn to begin its state anew.
    Redriven,
}

impl At {
    /// When time alone moves the frame on.
    fn due(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Task(task) => task.due(),
            Self::Waiting { until } => Some(*until),
            Self::Retrying { at } => Some(*at),
            Self::Entering { .. }
            | Self::Entered
            | Self::Children(_)
            | Self::Ended { .. }
            | Self::Failed
            | Self::Redriven => None,
        }
    }
}

/// A call that the execution waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The event that scheduled it, which names it.
    pub scheduled: EventId,
    pub schedule: Arc<Schedule>,
    /// Whether its call has been answered, or a worker has taken it, and only the callback or the job's end is awaited.
    pub submitted: bool,
    pub(crate) timeout_at: Option<DateTime<Utc>>,
    pub(crate) heartbeat_at: Option<DateTime<Utc>>,
}

impl Task {
    /// Whether it is still to be called, or the end of its job to be awaited.
    pub fn is_owed(&self) -> bool {
        let resource = &self.schedule.resource;
        !resource.is_activity() && (!self.submitted || !resource.waits_for_token())
    }

    /// Whether it waits until a worker of its activity takes it.
    pub fn is_queued(&self) -> bool {
        self.schedule.resource.is_activity() && !self.submitted
    }

    fn due(&self) -> Option<DateTime<Utc>> {
        match (self.timeout_at, self.heartbeat_at) {
            (Some(timeout), Some(heartbeat)) => Some(timeout.min(heartbeat)),
            (timeout, heartbeat) => timeout.or(heartbeat),
        }
    }
}

/// How far the tasks of an execution are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    event: EventId,
    inside: EventId,
}

impl Execution {
    /// The state after `history`: nothing but `apply`, event by event.
    pub fn replay<'a>(history: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut execution = Self::default();
        history.into_iter().for_each(|event| execution.apply(event));
        execution
    }

    pub fn status(&self) -> Status {
        self.status
    }

    /// Error and cause of an execution that did not succeed.
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    pub fn output(&self) -> Option<&Json> {
        self.output.as_ref()
    }

    pub fn input(&self) -> Option<&Json> {
        self.started.as_ref().map(|started| &started.input)
    }

    pub fn started_at(&self) -> Option<DateTime<Utc>> {
        self.started.as_ref().map(|started| started.time)
    }

    pub fn stopped_at(&self) -> Option<DateTime<Utc>> {
        self.stopped
    }

    pub fn redrive_count(&self) -> u32 {
        self.redrive_count
    }

    /// Where the state machine's own flow is, or came to its end: the state's name, and how often it was begun.
    pub fn state(&self) -> Option<(&Arc<str>, u32)> {
        let root = self.frames.get(&ROOT)?;
        let entered = root.state.as_ref()?;
        // The retry that is waited for is counted already.
        let waits = matches!(root.at, At::Retrying { .. });
        Some((&entered.name, root.retry_count() + u32::from(!waits)))
    }

    /// The next moment at which a state that failed is begun anew, wherever in the execution.
    pub fn retry_at(&self) -> Option<DateTime<Utc>> {
        let next = self.retries.first().map(|(at, _)| *at);
        next.filter(|_| self.status == Status::Running)
    }

    /// The id of the last event that AWS would show.
    pub fn last_event(&self) -> EventId {
        self.last_event
    }

    /// The variables of the state machine's own flow.
    pub(crate) fn variables(&self) -> Arc<Variables> {
        let root = self.frames.get(&ROOT);
        root.map(|root| root.variables.clone()).unwrap_or_default()
    }

    /// Whether the execution can go on without anything from the world.
    pub fn is_runnable(&self) -> bool {
        self.status == Status::Running && !self.runnable.is_empty()
    }

    /// The next moment at which time alone moves the execution on.
    pub fn due(&self) -> Option<DateTime<Utc>> {
        if self.status != Status::Running {
            return None;
        }
        let timer = self.timers.first().map(|(at, _)| *at);
        match (timer, self.deadline) {
            (Some(timer), Some(deadline)) => Some(timer.min(deadline)),
            (timer, deadline) => timer.or(deadline),
        }
    }

    /// What [`Execution::tasks_since`] compares with later.
    pub fn mark(&self) -> Mark {
        Mark {
            event: self.last_event,
            inside: self.last_inside,
        }
    }

    /// The tasks in progress that were scheduled after `mark`; all with the default, as after a restart.
    pub fn tasks_since(&self, mark: Mark) -> impl Iterator<Item = &Task> {
        let open = self.status == Status::Running;
        let shown = self.tasks.range(mark.event + 1..INSIDE);
        shown
            .chain(self.tasks.range(mark.inside.max(INSIDE) + 1..))
            .filter_map(move |(_, frame)| match &self.frames.get(frame)?.at {
                At::Task(task) if open => Some(task),
                _ => None,
            })
    }

    /// The task that this event scheduled, while it is awaited.
    pub fn task(&self, scheduled: EventId) -> Option<&Task> {
        let frame = self.task_frame(scheduled)?;
        match &self.frames.get(&frame)?.at {
            At::Task(task) => Some(task),
            _ => None,
        }
    }

    pub(crate) fn task_frame(&self, scheduled: EventId) -> Option<FrameId> {
        (self.status == Status::Running)
            .then(|| self.tasks.get(&scheduled).copied())
            .flatten()
    }

    pub(crate) fn next_runnable(&self) -> Option<FrameId> {
        self.runnable.first().map(|(_, frame)| *frame)
    }

    /// The first frame whose timer is due at `now`.
    pub(crate) fn next_due(&self, now: DateTime<Utc>) -> Option<FrameId> {
        self.timers
            .first()
            .filter(|(at, _)| *at <= now)
            .map(|(_, frame)| *frame)
    }

    /// The branches or iterations in progress of a container: their number and their frame.
    pub(crate) fn children(&self, container: FrameId) -> impl Iterator<Item = (u32, FrameId)> {
        let younger = self.frames.range(container + 1..);
        younger.filter_map(move |(id, frame)| {
            let (parent, index) = frame.parent?;
            (parent == container).then_some((index, *id))
        })
    }

    pub(crate) fn frame(&self, frame: FrameId) -> &Frame {
        &self.frames[&frame]
    }

    /// Records one event.
    pub fn apply(&mut self, event: &Event) {
        if INSIDE <= event.id {
            self.last_inside = event.id;
            let root = self.frames.get(&event.frame).and_then(|frame| frame.item_root);
            if let Some(item) = root.and_then(|root| self.frames.get_mut(&root)) {
                item.item_events += 1;
            }
        } else if !event.kind.is_hidden() {
            self.last_event = event.id;
        }
        match &event.kind {
            EventKind::ExecutionStarted {
                identity,
                input,
                timeout_seconds,
                start_at,
            } => {
                self.started = Some(Started {
                    identity: identity.clone(),
                    input: input.clone(),
                    time: event.time,
                    timeout_seconds: *timeout_seconds,
                });
                self.deadline = after(event.time, *timeout_seconds);
                let root = Frame::new(None, None, 0, Arc::default());
                self.frames.insert(ROOT, root);
                self.next_frame = ROOT + 1;
                self.enter(ROOT, start_at, input);
            }
            EventKind::ExecutionSucceeded { output } => {
                self.output = Some(output.clone());
                self.close(Status::Succeeded, &Failure::default(), event.time);
            }
            EventKind::ExecutionFailed(failure) => {
                self.close(Status::Failed, failure, event.time);
            }
            EventKind::ExecutionTimedOut(failure) => {
                self.close(Status::TimedOut, failure, event.time);
            }
            EventKind::ExecutionAborted(failure) => {
                self.close(Status::Aborted, failure, event.time);
            }
            EventKind::ExecutionRedriven { redrive_count } => {
                self.reopen(*redrive_count, event);
            }
            _ => self.apply_to_frame(event),
        }
    }

    fn apply_to_frame(&mut self, event: &Event) {
        let id = event.frame;
        match self.frames.get(&id) {
            None => return,
            // In a history of old it had no turn to wait for.
            Some(frame) if matches!(frame.at, At::Redriven) => self.begin_redriven(id),
            Some(_) => {}
        }
        match &event.kind {
            EventKind::MapIterationStarted { index, input, .. } => {
                self.start_iteration(event, *index, input);
            }
            EventKind::MapIterationSucceeded { .. } => self.end_branch(id, event),
            EventKind::ParallelStateStarted { branches, input } => {
                let children = Children {
                    map: None,
                    outputs: vec![None; branches.len()],
                    finished: 0,
                    running: branches.len() as u32,
                    last_inside: None,
                };
                self.touch(id, event.id);
                self.set(id, At::Children(children));
                let variables = self.frames[&id].variables.clone();
                let item_root = self.frames[&id].item_root;
                for (index, start_at) in branches.iter().enumerate() {
                    let parent = Some((id, index as u32));
                    let mut frame = Frame::new(parent, None, event.id, variables.clone());
                    frame.item_root = item_root;
                    let frame = self.add_frame(frame);
                    self.enter(frame, start_at, input);
                }
            }
            EventKind::MapStateStarted {
                items,
                max_concurrency,
                start_at,
                distributed,
            } => {
                let length = items.value().as_array().map_or(0, Vec::len);
                let children = Children {
                    map: Some(MapItems {
                        items: items.clone(),
                        next: 0,
                        max_concurrency: *max_concurrency,
                        start_at: start_at.clone(),
                        run: distributed.then_some(MapRun {
                            arn: None,
                            tolerance: Tolerance::default(),
                            failures: 0,
                            redriven: BTreeSet::new(),
                        }),
                    }),
                    outputs: vec![None; length],
                    finished: 0,
                    running: 0,
                    last_inside: None,
                };
                self.touch(id, event.id);
                self.set(id, At::Children(children));
            }
            EventKind::MapRunStarted { arn, tolerance } => {
                self.touch(id, event.id);
                if let At::Children(children) = &mut self.frame_mut(id).at
                    && let Some(map) = &mut children.map
                {
                    map.run = Some(MapRun {
                        arn: Some(arn.clone()),
                        tolerance: *tolerance,
                        failures: 0,
                        redriven: BTreeSet::new(),
                    });
                }
                self.refresh(id);
            }
            EventKind::MapRunUpdated {
                max_concurrency,
                tolerance,
            } => {
                if let At::Children(children) = &mut self.frame_mut(id).at
                    && let Some(map) = &mut children.map
                {
                    map.max_concurrency = *max_concurrency;
                    if let Some(run) = &mut map.run {
                        run.tolerance = *tolerance;
                    }
                }
                self.admit_redriven(id);
                self.refresh(id);
            }
            EventKind::MapItemFailed(_) => self.fail_item(id),
            EventKind::StateEntered {
                state_type,
                name,
                input,
            } => {
                self.touch(id, event.id);
                let frame = self.frame_mut(id);
                frame.retries.clear();
                frame.state = Some(Arc::new(Entered {
                    state_type: *state_type,
                    name: name.clone(),
                    input: input.clone(),
                    event: event.id,
                    before: event.previous,
                    time: event.time,
                }));
                self.set(id, At::Entered);
            }
            EventKind::StateExited {
                output, assigned, next, ..
            } => {
                self.drop_children(id);
                self.touch(id, event.id);
                let frame = self.frame_mut(id);
                if let Some(assigned) = assigned {
                    let variables = Arc::make_mut(&mut frame.variables);
                    let assigned = assigned.iter();
                    variables.extend(assigned.map(|(k, v)| (k.clone(), Arc::new(v.value().clone()))));
                }
                match next {
                    Some(next) => self.enter(id, next, output),
                    None => {
                        let output = output.clone();
                        self.set(id, At::Ended { output });
                        if self.is_branch_of_parallel(id) {
                            self.end_branch(id, event);
                        }
                    }
                }
            }
            EventKind::TaskScheduled(schedule) => {
                self.touch(id, event.id);
                // A worker's heart beats only once there is one.
                let is_called = !schedule.resource.is_activity();
                let heartbeat = schedule.heartbeat_seconds.filter(|_| is_called);
                self.set(
                    id,
                    At::Task(Task {
                        scheduled: event.id,
                        schedule: schedule.clone(),
                        submitted: false,
                        timeout_at: after(event.time, schedule.timeout_seconds),
                        heartbeat_at: after(event.time, heartbeat),
                    }),
                );
            }
            EventKind::ActivityStarted { .. } => {
                self.touch(id, event.id);
                let time = event.time;
                self.update_task(id, |task| {
                    task.submitted = true;
                    task.timeout_at = after(time, task.schedule.timeout_seconds);
                    task.heartbeat_at = after(time, task.schedule.heartbeat_seconds);
                });
            }
            EventKind::TaskSubmitted { .. } => {
                self.touch(id, event.id);
                self.update_task(id, |task| task.submitted = true);
            }
            EventKind::TaskHeartbeat => {
                let time = event.time;
                self.update_task(id, |task| {
                    task.heartbeat_at = after(time, task.schedule.heartbeat_seconds);
                });
            }
            EventKind::WaitScheduled { until } => self.set(id, At::Waiting { until: *until }),
            EventKind::RetryScheduled { retrier, at } => {
                self.drop_children(id);
                let frame = self.frame_mut(id);
                frame.last_event = event.previous;
                let retrier = *retrier as usize;
                if frame.retries.len() <= retrier {
                    frame.retries.resize(retrier + 1, 0);
                }
                frame.retries[retrier] += 1;
                self.set(id, At::Retrying { at: *at });
            }
            // What succeeded or failed decides only what comes next, which events of its own will say.
            EventKind::TaskStarted { .. }
            | EventKind::TaskSucceeded { .. }
            | EventKind::TaskFailed { .. }
            | EventKind::TaskTimedOut { .. }
            | EventKind::ActivityScheduleFailed(_)
            | EventKind::ParallelStateFailed
            | EventKind::MapRunSucceeded
            | EventKind::MapRunFailed(_)
            | EventKind::MapStateFailed
            | EventKind::EvaluationFailed { .. } => self.touch(id, event.id),
            EventKind::MapRunRedriven { .. } => self.redrive_items(id, event),
            EventKind::StateAborted { .. }
            | EventKind::StateFailed(_)
            | EventKind::MapIterationFailed { .. }
            | EventKind::MapIterationAborted { .. }
            | EventKind::ParallelStateSucceeded
            | EventKind::MapStateSucceeded
            | EventKind::ExecutionStarted { .. }
            | EventKind::ExecutionSucceeded { .. }
            | EventKind::ExecutionFailed(_)
            | EventKind::ExecutionTimedOut(_)
            | EventKind::ExecutionAborted(_)
            | EventKind::ExecutionRedriven { .. } => {}
        }
    }

    fn close(&mut self, status: Status, failure: &Failure, time: DateTime<Utc>) {
        self.status = status;
        self.failure = failure.clone();
        self.stopped = Some(time);
    }

    /// Takes in that an item of a distributed Map has failed: the run goes on without it.
    fn fail_item(&mut self, id: FrameId) {
        self.drop_children(id);
        self.set(id, At::Failed);
        let Some((container, _)) = self.frames[&id].parent else {
            return;
        };
        if let At::Children(children) = &mut self.frame_mut(container).at {
            children.running -= 1;
            children.finished += 1;
            if let Some(run) = children.map.as_mut().and_then(|map| map.run.as_mut()) {
                run.failures += 1;
            }
        }
        self.admit_redriven(container);
        self.refresh(container);
    }

    fn start_iteration(&mut self, event: &Event, index: u32, input: &Json) {
        let next_frame = self.next_frame;
        let parent = self.frame_mut(event.frame);
        let mut variables = parent.variables.clone();
        let mut item_root = parent.item_root;
        let At::Children(children) = &mut parent.at else {
            return;
        };
        children.running += 1;
        let Some(map) = &mut children.map else {
            return;
        };
        map.next = index + 1;
        if map.run.is_some() {
            variables = Arc::default();
            item_root = Some(next_frame);
        }
        let start_at = map.start_at.clone();
        let item = map.items.value().get(index as usize).cloned();
        self.refresh(event.frame);
        let mut frame = Frame::new(Some((event.frame, index)), None, event.id, variables);
        frame.item = item.map(Json::from);
        frame.item_root = item_root;
        let child = self.add_frame(frame);
        self.enter(child, &start_at, input);
    }

    /// Takes in the end of a branch or an iteration: its output is its container's, its frame is gone.
    fn end_branch(&mut self, id: FrameId, event: &Event) {
        let Some(frame) = self.remove_frame(id) else {
            return;
        };
        let (Some((parent, index)), At::Ended { output }) = (frame.parent, frame.at) else {
            return;
        };
        let container = self.frame_mut(parent);
        // What happens inside the items of a distributed Map brings about no event outside.
        if event.id < INSIDE || container.item_root.is_some() {
            container.last_event = event.id;
        }
        if let At::Children(children) = &mut container.at {
            children.outputs[index as usize] = Some(output);
            children.finished += 1;
            children.running -= 1;
            children.last_inside = Some(frame.last_event);
        }
        self.admit_redriven(parent);
        self.refresh(parent);
    }

    fn is_branch_of_parallel(&self, id: FrameId) -> bool {
        self.frames[&id].parent.is_some_and(
            |(parent, _)| matches!(&self.frames[&parent].at, At::Children(children) if children.map.is_none()),
        )
    }

    fn enter(&mut self, id: FrameId, name: &Arc<str>, input: &Json) {
        let (name, input) = (name.clone(), input.clone());
        self.set(id, At::Entering { name, input });
    }

    fn update_task(&mut self, id: FrameId, update: impl FnOnce(&mut Task)) {
        if let At::Task(task) = &self.frames[&id].at {
            let mut task = task.clone();
            update(&mut task);
            self.set(id, At::Task(task));
        }
    }

    fn touch(&mut self, id: FrameId, event: EventId) {
        self.frame_mut(id).last_event = event;
    }

    fn frame_mut(&mut self, id: FrameId) -> &mut Frame {
        self.frames
            .get_mut(&id)
            .expect("an event names a frame that is in progress")
    }

    fn add_frame(&mut self, frame: Frame) -> FrameId {
        let id = self.next_frame;
        self.next_frame += 1;
        self.frames.insert(id, frame);
        id
    }

    /// Moves a frame on, and with it what is known of who can go on and what is due.
    fn set(&mut self, id: FrameId, at: At) {
        self.forget(id);
        self.frame_mut(id).at = at;
        self.remember(id);
    }

    /// Looks anew at a container whose children have changed.
    fn refresh(&mut self, id: FrameId) {
        self.forget(id);
        self.remember(id);
    }

    fn remember(&mut self, id: FrameId) {
        let frame = self.frame_mut(id);
        let can_go_on = match &frame.at {
            At::Entering { .. } | At::Entered | At::Ended { .. } => true,
            At::Children(children) => children.can_go_on(),
            At::Task(_) | At::Waiting { .. } | At::Retrying { .. } | At::Failed | At::Redriven => false,
        };
        let due = frame.at.due();
        let task = match &frame.at {
            At::Task(task) => Some(task.scheduled),
            _ => None,
        };
        frame.queued = can_go_on.then_some(frame.last_event);
        let queued = frame.queued;
        self.runnable.extend(queued.map(|since| (since, id)));
        self.retries.extend(frame_retry(&self.frames, id));
        self.timers.extend(due.map(|due| (due, id)));
        self.tasks.extend(task.map(|scheduled| (scheduled, id)));
    }

    fn forget(&mut self, id: FrameId) {
        let frame = self.frame_mut(id);
        let queued = frame.queued.take();
        let due = frame.at.due();
        let task = match &frame.at {
            At::Task(task) => Some(task.scheduled),
            _ => None,
        };
        if let Some(since) = queued {
            self.runnable.remove(&(since, id));
        }
        if let Some(retry) = frame_retry(&self.frames, id) {
            self.retries.remove(&retry);
        }
        if let Some(due) = due {
            self.timers.remove(&(due, id));
        }
        if let Some(scheduled) = task {
            self.tasks.remove(&scheduled);
        }
    }

    fn remove_frame(&mut self, id: FrameId) -> Option<Frame> {
        self.frames.contains_key(&id).then(|| self.forget(id));
        self.frames.remove(&id)
    }

    /// Drops everything in progress below a Parallel or Map state that ends or begins anew.
    fn drop_children(&mut self, id: FrameId) {
        if !matches!(self.frames[&id].at, At::Children(_)) {
            return;
        }
        // A child is always younger than its parent, so one pass finds the whole tree.
        let mut below = BTreeSet::from([id]);
        for (child, frame) in self.frames.range(id + 1..) {
            if frame.parent.is_some_and(|(parent, _)| below.contains(&parent)) {
                below.insert(*child);
            }
        }
        below.remove(&id);
        for child in below {
            self.remove_frame(child);
        }
    }
}

impl Frame {
    fn new(parent: Option<(FrameId, u32)>, item: Option<Json>, last_event: EventId, variables: Arc<Variables>) -> Self {
        Self {
            parent,
            item,
            last_event,
            variables,
            item_root: None,
            item_events: 0,
            state: None,
            retries: Vec::new(),
            queued: None,
            at: At::Entered,
        }
    }

    /// Whether the frame is in a distributed Map, whose items are on their own.
    pub(crate) fn runs_items(&self) -> bool {
        matches!(&self.at, At::Children(children) if children.run().is_some())
    }

    /// How often the state in progress has been retried.
    pub(crate) fn retry_count(&self) -> u32 {
        self.retries.iter().sum()
    }
}

/// The place of a frame among those that wait to begin their state anew.
fn frame_retry(frames: &BTreeMap<FrameId, Frame>, id: FrameId) -> Option<(DateTime<Utc>, FrameId)> {
    match frames.get(&id)?.at {
        At::Retrying { at } => Some((at, id)),
        _ => None,
    }
}

fn after(time: DateTime<Utc>, seconds: Option<u64>) -> Option<DateTime<Utc>> {
    let seconds = i64::try_from(seconds?).ok()?;
    time.checked_add_signed(TimeDelta::try_seconds(seconds)?)
}
