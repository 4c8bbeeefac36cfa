//! What happened in an execution as people see it: visits of states, their attempts, and who waits for what.
//!
//! A [`Trace`] is folded from the log like an execution, and goes on from where it had come to: looking at a running
//! execution again costs what has happened since. Of documents it keeps the positions of the events that have them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use asl::{Event, EventId, EventKind, FrameId, Schedule, StateType};
use chrono::{DateTime, Utc};

use crate::history::Position;

/// Visits of states that are told apart. An execution has 25,000 events at most, which are half as many; only inside
/// distributed Maps there can be more, of whose later items nothing is shown but how they ended.
const MAX_VISITS: usize = 50_000;

/// The event before the first: whoever is given up for another's fault has not brought it about.
const NOBODY: EventId = 0;

type Moment = DateTime<Utc>;
pub(super) type VisitIndex = usize;

/// How a visit or an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Running,
    /// Failed, and to be begun anew.
    Retrying,
    Succeeded,
    /// Failed, and a Catcher took it.
    Caught,
    Failed,
    TimedOut,
    Aborted,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Caught => "caught",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Aborted => "aborted",
        }
    }

    fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Aborted)
    }
}

/// One time that the work of a state was begun.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) run: usize,
    pub(super) from: Moment,
    pub(super) to: Option<Moment>,
    pub(super) outcome: Outcome,
    pub(super) error: Option<Arc<str>>,
    /// Where it says what was called, and how that ended.
    pub(super) scheduled: Option<Position>,
    pub(super) ended: Option<Position>,
    /// Since when only a callback or a job's end is awaited.
    pub(super) submitted: Option<Moment>,
    pub(super) waits_for_token: bool,
    /// Whether a worker of an activity does it, who asks for it when it has the time.
    pub(super) waits_for_worker: bool,
    /// The longest it may take, as long as it is to be known.
    limit: Option<chrono::TimeDelta>,
    /// When it fails for taking too long.
    pub(super) deadline: Option<Moment>,
    /// The longest it may be silent, and when it fails for that.
    silence: Option<chrono::TimeDelta>,
    pub(super) heartbeat_due: Option<Moment>,
    /// The ARN of the execution that it started.
    pub(super) child: Option<Arc<str>>,
}

/// One time that a flow was in a state.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) state: Arc<str>,
    pub(super) state_type: StateType,
    frame: FrameId,
    pub(super) entered: Position,
    pub(super) entered_at: Moment,
    pub(super) exited: Option<(Position, Moment)>,
    pub(super) outcome: Outcome,
    pub(super) attempts: Vec<Attempt>,
    /// Until when it waits: a Wait state's end, or the next attempt.
    pub(super) until: Option<Moment>,
    pub(super) branches: Vec<Branch>,
    /// The branches of earlier attempts.
    pub(super) former: Vec<Vec<Branch>>,
    /// How many items a Map has; not all need have begun.
    pub(super) items: usize,
    /// The events that last assigned each variable it could see.
    pub(super) variables: Arc<BTreeMap<Arc<str>, Position>>,
    /// Whether the history shows its events: not those inside the items of a distributed Map.
    pub(super) is_listed: bool,
    last_event: EventId,
}

/// A branch of a Parallel state, or an item of a Map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branch {
    pub(super) frame: FrameId,
    pub(super) outcome: Outcome,
}

/// From a start or a redrive to the next end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) from: Moment,
    pub(super) to: Option<Moment>,
}

#[derive(Debug, Default)]
struct Flow {
    /// The Parallel or Map state it is a part of, and which part.
    parent: Option<(VisitIndex, usize)>,
    visits: Vec<VisitIndex>,
    variables: Arc<BTreeMap<Arc<str>, Position>>,
}

/// A line of the list of events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) position: Position,
    /// The visit that it happened in.
    pub(super) visit: Option<VisitIndex>,
    pub(super) failed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Where its next event is.
    pub(super) next: Position,
    pub(super) runs: Vec<Run>,
    pub(super) visits: Vec<Visit>,
    pub(super) entries: Vec<Entry>,
    flows: HashMap<FrameId, Flow>,
    next_frame: FrameId,
}

impl Trace {
    /// Takes in the next event of the log.
    pub(super) fn apply(&mut self, position: Position, event: &Event) {
        self.next = position + 1;
        match &event.kind {
            EventKind::ExecutionStarted { .. } => {
                self.flows.insert(0, Flow::default());
                self.next_frame = 1;
                self.begin_run(event.time);
            }
            EventKind::ExecutionRedriven { .. } => {
                self.begin_run(event.time);
                self.begin_anew(event.id);
            }
            EventKind::ExecutionSucceeded { .. } => self.end_run(event.time),
            EventKind::ExecutionFailed(failure) => {
                self.close(Outcome::Failed, failure.error.as_ref(), position, event);
            }
            EventKind::ExecutionTimedOut(failure) => {
                self.close(Outcome::TimedOut, failure.error.as_ref(), position, event);
            }
            EventKind::ExecutionAborted(failure) => {
                self.close(Outcome::Aborted, failure.error.as_ref(), position, event);
            }
            EventKind::StateEntered { state_type, name, .. } => self.enter(position, event, *state_type, name),
            _ => self.go_on(position, event),
        }
        let visit = self.current(event.frame);
        if let Some(visit) = visit
            && !event.kind.is_hidden()
        {
            self.visits[visit].last_event = event.id;
        }
        if !event.is_hidden() {
            self.entries.push(Entry {
                position,
                visit: visit.filter(|_| has_state(&event.kind)),
                failed: failed(&event.kind),
            });
        }
    }

    fn begin_run(&mut self, from: Moment) {
        self.runs.push(Run { from, to: None });
    }

    fn end_run(&mut self, to: Moment) {
        if let Some(run) = self.runs.last_mut() {
            run.to = Some(to);
        }
    }

    fn run(&self) -> usize {
        self.runs.len().saturating_sub(1)
    }

    /// The visit that a flow is in, or was in last.
    pub(super) fn current(&self, frame: FrameId) -> Option<VisitIndex> {
        self.flows.get(&frame)?.visits.last().copied()
    }

    /// The visits of a flow in their order.
    pub(super) fn visits_of(&self, frame: FrameId) -> &[VisitIndex] {
        self.flows.get(&frame).map_or(&[], |flow| &flow.visits)
    }

    fn enter(&mut self, position: Position, event: &Event, state_type: StateType, name: &Arc<str>) {
        let run = self.run();
        let index = self.visits.len();
        if MAX_VISITS <= index {
            return;
        }
        let Some(flow) = self.flows.get_mut(&event.frame) else {
            return;
        };
        flow.visits.push(index);
        let mut visit = Visit {
            state: name.clone(),
            state_type,
            frame: event.frame,
            entered: position,
            entered_at: event.time,
            exited: None,
            outcome: Outcome::Running,
            attempts: Vec::new(),
            until: None,
            branches: Vec::new(),
            former: Vec::new(),
            items: 0,
            variables: flow.variables.clone(),
            is_listed: !event.is_hidden(),
            last_event: event.id,
        };
        let begins_later = matches!(state_type, StateType::Task | StateType::Parallel | StateType::Map);
        if !begins_later {
            visit.begin(run, event.time);
        }
        self.visits.push(visit);
    }

    fn go_on(&mut self, position: Position, event: &Event) {
        let run = self.run();
        // Frames are numbered as the interpreter numbers them, whether or not their visits are kept.
        let first_frame = self.next_frame;
        match &event.kind {
            EventKind::ParallelStateStarted { branches, .. } => self.next_frame += branches.len() as FrameId,
            EventKind::MapIterationStarted { .. } => self.next_frame += 1,
            _ => {}
        }
        let Some(index) = self.current(event.frame) else {
            self.end_item_unseen(event);
            return;
        };
        let time = event.time;
        let visit = &mut self.visits[index];
        match &event.kind {
            EventKind::StateExited { assigned, next, .. } => {
                visit.exited = Some((position, time));
                visit.until = None;
                let last = visit.attempts.last_mut();
                let caught = last.as_ref().is_some_and(|attempt| attempt.outcome.is_bad());
                if let Some(attempt) = last.filter(|attempt| attempt.to.is_none()) {
                    attempt.end(position, time, Outcome::Succeeded, None);
                }
                visit.outcome = if caught { Outcome::Caught } else { Outcome::Succeeded };
                if caught {
                    self.give_up_below(index, time, event.previous);
                }
                if let (Some(assigned), Some(flow)) = (assigned, self.flows.get_mut(&event.frame)) {
                    let variables = Arc::make_mut(&mut flow.variables);
                    variables.extend(assigned.keys().map(|name| (Arc::from(name.as_str()), position)));
                }
                if next.is_none() {
                    self.end_branch(event.frame);
                }
            }
            EventKind::TaskScheduled(schedule) => visit.schedule(run, position, time, schedule),
            EventKind::ActivityStarted { .. } => visit.take(time),
            EventKind::TaskHeartbeat => {
                if let Some(attempt) = visit.attempts.last_mut() {
                    attempt.beat(time);
                }
            }
            EventKind::TaskSubmitted { resource, output } => {
                if let Some(attempt) = visit.attempts.last_mut() {
                    attempt.submitted = Some(time);
                    attempt.child = child(resource, output);
                }
            }
            EventKind::TaskSucceeded { resource, output } => {
                if let Some(attempt) = visit.attempts.last_mut() {
                    attempt.child = attempt.child.take().or_else(|| child(resource, output));
                    attempt.end(position, time, Outcome::Succeeded, None);
                }
            }
            EventKind::TaskFailed { failure, .. }
            | EventKind::ActivityScheduleFailed(failure)
            | EventKind::StateFailed(failure) => {
                visit.fail(run, position, time, Outcome::Failed, failure.error.as_ref());
            }
            EventKind::TaskTimedOut { failure, .. } => {
                visit.fail(run, position, time, Outcome::TimedOut, failure.error.as_ref());
            }
            EventKind::EvaluationFailed { failure, .. } => {
                visit.fail(run, position, time, Outcome::Failed, failure.error.as_ref());
            }
            EventKind::WaitScheduled { until } => {
                visit.until = Some(*until);
                visit.outcome = Outcome::Running;
            }
            EventKind::RetryScheduled { at, .. } => {
                // An error that no event tells of, such as that of a path, ends the attempt all the same.
                let is_told = |attempt: &Attempt| attempt.outcome.is_bad() && attempt.run == run;
                if !visit.attempts.last().is_some_and(is_told) {
                    visit.fail(run, position, time, Outcome::Failed, None);
                }
                visit.until = Some(*at);
                visit.outcome = Outcome::Retrying;
                self.give_up_below(index, time, event.previous);
                self.leave_branches(index);
            }
            EventKind::ParallelStateStarted { branches, .. } => {
                let frames = (first_frame..).take(branches.len());
                let branches = frames.map(Branch::new).collect();
                self.begin_branches(index, time, branches);
                self.open_flows(index, event.frame);
            }
            EventKind::MapStateStarted { items, .. } => {
                visit.items = items.value().as_array().map_or(0, Vec::len);
                self.begin_branches(index, time, Vec::new());
            }
            EventKind::MapIterationStarted { .. } => {
                visit.branches.push(Branch::new(first_frame));
                self.open_flows(index, event.frame);
            }
            EventKind::MapIterationSucceeded { .. } => self.end_item(event.frame, Outcome::Succeeded),
            EventKind::MapIterationFailed { index: item, .. } => {
                set(&mut visit.branches, *item, Outcome::Failed);
                self.give_up_branch(index, *item as usize, time, event.previous);
            }
            EventKind::MapIterationAborted { index: item, .. } => {
                set(&mut visit.branches, *item, Outcome::Aborted);
                self.give_up_branch(index, *item as usize, time, NOBODY);
            }
            EventKind::MapItemFailed(failure) => {
                visit.fail(run, position, time, Outcome::Failed, failure.error.as_ref());
                self.end_item(event.frame, Outcome::Failed);
            }
            EventKind::ParallelStateFailed | EventKind::MapStateFailed => {
                visit.fail(run, position, time, Outcome::Failed, None);
                self.give_up_below(index, time, event.previous);
                self.take_blame(index);
            }
            EventKind::MapRunFailed(failure) => {
                visit.fail(run, position, time, Outcome::Failed, failure.error.as_ref());
            }
            EventKind::MapRunRedriven { .. } => {
                for branch in &mut visit.branches {
                    branch.reopen();
                }
            }
            _ => {}
        }
    }

    /// An item beyond those that are told apart has ended.
    fn end_item_unseen(&mut self, event: &Event) {
        match event.kind {
            EventKind::MapIterationSucceeded { .. } => self.end_item(event.frame, Outcome::Succeeded),
            EventKind::MapItemFailed(_) => self.end_item(event.frame, Outcome::Failed),
            _ => {}
        }
    }

    /// Makes the flows of a container's new branches.
    fn open_flows(&mut self, container: VisitIndex, frame: FrameId) {
        let variables = self.flows.get(&frame).map(|flow| flow.variables.clone());
        let branches = self.visits[container].branches.iter().enumerate();
        for (number, branch) in branches {
            self.flows.entry(branch.frame).or_insert_with(|| Flow {
                parent: Some((container, number)),
                visits: Vec::new(),
                variables: variables.clone().unwrap_or_default(),
            });
        }
    }

    /// A branch of a Parallel state is done when a state of it ends that leads nowhere; an item has an event for it.
    fn end_branch(&mut self, frame: FrameId) {
        let parent = self.flows.get(&frame).and_then(|flow| flow.parent);
        if let Some((container, number)) = parent
            && self.visits[container].state_type == StateType::Parallel
        {
            set(&mut self.visits[container].branches, number as u32, Outcome::Succeeded);
        }
    }

    fn end_item(&mut self, frame: FrameId, outcome: Outcome) {
        let parent = self.flows.get(&frame).and_then(|flow| flow.parent);
        if let Some((container, number)) = parent {
            set(&mut self.visits[container].branches, number as u32, outcome);
        }
    }

    /// Ends what is still open below a container that has failed; `previous` is the event that made it fail. Whether it
    /// happened there.
    fn give_up_below(&mut self, container: VisitIndex, time: Moment, previous: EventId) -> bool {
        let mut is_found = false;
        for number in 0..self.visits[container].branches.len() {
            let branch = &mut self.visits[container].branches[number];
            if branch.outcome == Outcome::Running {
                branch.outcome = Outcome::Aborted;
                // All that a redrive began anew follow the same event: the first of them it is.
                let previous = if is_found { NOBODY } else { previous };
                is_found |= self.give_up_branch(container, number, time, previous);
            }
        }
        is_found
    }

    fn give_up_branch(&mut self, container: VisitIndex, number: usize, time: Moment, previous: EventId) -> bool {
        let Some(branch) = self.visits[container].branches.get(number) else {
            return false;
        };
        let Some(index) = self.current(branch.frame) else {
            return false;
        };
        if self.visits[index].exited.is_some() {
            return false;
        }
        let is_below = self.give_up_below(index, time, previous);
        let visit = &mut self.visits[index];
        visit.until = None;
        // Neither a timer nor what has branches that go on fails by itself.
        let is_idle =
            visit.state_type == StateType::Wait || visit.branches.iter().any(|branch| branch.outcome.is_bad());
        let is_at_fault = is_below || (visit.last_event == previous && !is_idle);
        let failed = visit.attempts.last().filter(|attempt| attempt.outcome.is_bad());
        let outcome = match failed {
            Some(attempt) => attempt.outcome,
            None if is_at_fault => Outcome::Failed,
            None => Outcome::Aborted,
        };
        visit.give_up(time, outcome);
        if visit.has_failed() {
            set(&mut self.visits[container].branches, number as u32, Outcome::Failed);
        }
        is_at_fault
    }

    fn close(&mut self, outcome: Outcome, error: Option<&Arc<str>>, position: Position, event: &Event) {
        self.end_run(event.time);
        let Some(index) = self.current(0) else { return };
        let visit = &mut self.visits[index];
        visit.until = None;
        if visit.exited.is_none() {
            visit.give_up(event.time, outcome);
        }
        self.give_up_below(index, event.time, event.previous);
        if outcome == Outcome::Failed {
            self.blame(index, error, position, event.time);
        }
    }

    /// The state that made a container fail: in the branch that failed, whose error is the container's own, or not told.
    pub(super) fn at_fault(&self, container: VisitIndex) -> Option<VisitIndex> {
        let container = &self.visits[container];
        let error = container.error();
        let failed = container.branches.iter();
        let failed = failed.filter(|branch| branch.outcome == Outcome::Failed);
        failed
            .filter_map(|branch| self.current(branch.frame))
            .find(|index| error.is_none() || self.visits[*index].error().is_none_or(|own| Some(own) == error))
    }

    /// A container fails by the error of the state that made it fail.
    fn take_blame(&mut self, container: VisitIndex) {
        let Some(told) = self
            .at_fault(container)
            .and_then(|index| self.visits[index].attempts.last())
        else {
            return;
        };
        let (error, ended) = (told.error.clone(), told.ended);
        if let (Some(error), Some(attempt)) = (error, self.visits[container].attempts.last_mut()) {
            attempt.error = Some(error);
            attempt.ended = ended;
        }
    }

    /// What made the execution fail is told by its end alone, where no event of the states did.
    fn blame(&mut self, visit: VisitIndex, error: Option<&Arc<str>>, position: Position, time: Moment) {
        let run = self.run();
        let below = self.at_fault(visit);
        let visit = &mut self.visits[visit];
        if visit.error().is_none() {
            let outcome = visit.outcome;
            visit.fail(run, position, time, outcome, error);
        }
        if let Some(below) = below {
            self.blame(below, error, position, time);
        }
    }

    /// The branches of a container are those of an attempt that is over: nothing of them is kept.
    fn leave_branches(&mut self, container: VisitIndex) {
        let visit = &mut self.visits[container];
        let former = std::mem::take(&mut visit.branches);
        if !former.is_empty() {
            visit.former.push(former);
        }
    }

    /// Begins the branches of a container; those that it had belong to an attempt before.
    fn begin_branches(&mut self, container: VisitIndex, time: Moment, branches: Vec<Branch>) {
        self.abandon_below(container);
        self.leave_branches(container);
        let run = self.run();
        let visit = &mut self.visits[container];
        visit.branches = branches;
        // A redrive has begun it, as it did not know yet that its branches begin anew.
        if visit.attempts.last().is_none_or(|attempt| attempt.to.is_some()) {
            visit.begin(run, time);
        }
    }

    /// After a redrive every flow that had not come to its end begins its state anew.
    fn begin_anew(&mut self, redriven: EventId) {
        let open: Vec<VisitIndex> = self
            .flows
            .values()
            .filter_map(|flow| flow.visits.last().copied())
            .collect();
        for index in open {
            if self.is_dropped(index) {
                continue;
            }
            let visit = &mut self.visits[index];
            if visit.exited.is_none() && visit.outcome.is_bad() {
                visit.outcome = Outcome::Running;
                visit.last_event = redriven;
                for branch in &mut visit.branches {
                    branch.reopen();
                }
                let begins_later = matches!(visit.state_type, StateType::Task | StateType::Parallel | StateType::Map);
                if !begins_later || !visit.branches.is_empty() {
                    let (run, from) = (self.runs.len() - 1, self.runs[self.runs.len() - 1].from);
                    visit.begin(run, from);
                }
            }
        }
    }

    /// What lies below a container that is begun with new branches was not begun anew after all.
    fn abandon_below(&mut self, container: VisitIndex) {
        let branches = self.visits[container].branches.iter();
        let below: Vec<VisitIndex> = branches.filter_map(|branch| self.current(branch.frame)).collect();
        for index in below {
            let visit = &mut self.visits[index];
            if visit.is_open() {
                visit.attempts.pop_if(|attempt| attempt.to.is_none());
                visit.outcome = visit
                    .attempts
                    .last()
                    .map_or(Outcome::Aborted, |attempt| attempt.outcome);
                visit.until = None;
            }
            self.abandon_below(index);
        }
    }

    /// Whether a visit has come to no end, and a redrive would have it go on. What lies in a Parallel or Map state whose
    /// error was caught is over, however it stood.
    pub(super) fn is_unfinished(&self, index: VisitIndex) -> bool {
        self.visits[index].exited.is_none() && !self.is_dropped(index)
    }

    /// Whether a visit lies in a Parallel or Map state that has ended, or has begun anew without it.
    fn is_dropped(&self, index: VisitIndex) -> bool {
        let mut around = self.around(index);
        around.any(|(container, _)| self.visits[container].exited.is_some()) || self.is_former(index)
    }

    /// Whether a visit lies in a Parallel or Map state that has begun anew without it.
    pub(super) fn is_former(&self, index: VisitIndex) -> bool {
        let mut frame = self.visits[index].frame;
        self.around(index).any(|(container, number)| {
            let container = &self.visits[container];
            let own = container.branches.get(number).map(|branch| branch.frame);
            own != Some(std::mem::replace(&mut frame, container.frame))
        })
    }

    /// The Parallel and Map states that a visit lies in, and in which of their branches or items: from the inner to the
    /// outer.
    pub(super) fn around(&self, index: VisitIndex) -> impl Iterator<Item = (VisitIndex, usize)> + '_ {
        let parent = |index: VisitIndex| self.flows.get(&self.visits[index].frame)?.parent;
        std::iter::successors(parent(index), move |(container, _)| parent(*container))
    }
}

impl Visit {
    pub(super) fn is_open(&self) -> bool {
        self.exited.is_none() && matches!(self.outcome, Outcome::Running | Outcome::Retrying)
    }

    pub(super) fn frame(&self) -> FrameId {
        self.frame
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed | Outcome::TimedOut)
    }

    /// What its last attempt failed by, as far as it is told.
    pub(super) fn error(&self) -> Option<&Arc<str>> {
        self.attempts.last()?.error.as_ref()
    }

    fn begin(&mut self, run: usize, from: Moment) {
        self.outcome = Outcome::Running;
        self.until = None;
        self.attempts.push(Attempt {
            run,
            from,
            to: None,
            outcome: Outcome::Running,
            error: None,
            scheduled: None,
            ended: None,
            submitted: None,
            waits_for_token: false,
            waits_for_worker: false,
            limit: None,
            deadline: None,
            silence: None,
            heartbeat_due: None,
            child: None,
        });
    }

    fn schedule(&mut self, run: usize, position: Position, time: Moment, schedule: &Schedule) {
        self.begin(run, time);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.scheduled = Some(position);
            attempt.waits_for_worker = schedule.resource.is_activity();
            attempt.waits_for_token = attempt.waits_for_worker || schedule.resource.waits_for_token();
            let length = |seconds: Option<u64>| chrono::TimeDelta::try_seconds(i64::try_from(seconds?).ok()?);
            attempt.limit = length(schedule.timeout_seconds);
            attempt.deadline = attempt.limit.and_then(|limit| time.checked_add_signed(limit));
            attempt.silence = length(schedule.heartbeat_seconds);
            // A worker is not heard of before it has the task.
            if !attempt.waits_for_worker {
                attempt.beat(time);
            }
        }
    }

    /// A worker has taken the task, and has the whole of its time for it.
    fn take(&mut self, time: Moment) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.submitted = Some(time);
            attempt.deadline = attempt.limit.and_then(|limit| time.checked_add_signed(limit));
            attempt.beat(time);
        }
    }

    fn fail(&mut self, run: usize, position: Position, time: Moment, outcome: Outcome, error: Option<&Arc<str>>) {
        let open = self.attempts.last().is_some_and(|attempt| attempt.to.is_none());
        let told = self
            .attempts
            .last()
            .is_some_and(|attempt| attempt.outcome.is_bad() && attempt.run == run);
        if !open && !told {
            self.begin(run, time);
        }
        self.outcome = outcome;
        if let Some(attempt) = self.attempts.last_mut() {
            let error = error.cloned().or(attempt.error.take());
            attempt.end(position, time, outcome, error);
        }
    }

    /// Ends a visit that comes to no end of its own.
    fn give_up(&mut self, time: Moment, outcome: Outcome) {
        self.outcome = outcome;
        if let Some(attempt) = self.attempts.last_mut().filter(|attempt| attempt.to.is_none()) {
            attempt.to = Some(time);
            attempt.outcome = outcome;
        }
    }
}

impl Attempt {
    /// Since when it waits for somebody else: for a worker that takes it, or for a callback.
    pub(super) fn waits_since(&self) -> Option<Moment> {
        match self.waits_for_worker {
            true => self.submitted.is_none().then_some(self.from),
            false => self.submitted,
        }
    }

    fn beat(&mut self, time: Moment) {
        self.heartbeat_due = self.silence.and_then(|silence| time.checked_add_signed(silence));
    }

    fn end(&mut self, position: Position, time: Moment, outcome: Outcome, error: Option<Arc<str>>) {
        self.to = Some(time);
        self.ended = Some(position);
        self.outcome = outcome;
        self.error = error;
    }
}

impl Branch {
    fn new(frame: FrameId) -> Self {
        Self {
            frame,
            outcome: Outcome::Running,
        }
    }

    fn reopen(&mut self) {
        if self.outcome.is_bad() {
            self.outcome = Outcome::Running;
        }
    }
}

fn set(branches: &mut [Branch], number: u32, outcome: Outcome) {
    if let Some(branch) = branches.get_mut(number as usize) {
        branch.outcome = outcome;
    }
}

/// The execution that a task started.
fn child(resource: &asl::Resource, output: &asl::Json) -> Option<Arc<str>> {
    let starts = &*resource.resource_type == "states" && resource.resource.starts_with("startExecution");
    let arn = starts.then(|| output.value().get("ExecutionArn")).flatten()?;
    arn.as_str().map(Into::into)
}

/// Whether an event happens in a state, and not to the execution as a whole.
fn has_state(kind: &EventKind) -> bool {
    !matches!(
        kind,
        EventKind::ExecutionStarted { .. }
            | EventKind::ExecutionSucceeded { .. }
            | EventKind::ExecutionFailed(_)
            | EventKind::ExecutionTimedOut(_)
            | EventKind::ExecutionAborted(_)
            | EventKind::ExecutionRedriven { .. }
    )
}

fn failed(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::ExecutionFailed(_)
            | EventKind::ExecutionTimedOut(_)
            | EventKind::ExecutionAborted(_)
            | EventKind::TaskFailed { .. }
            | EventKind::TaskTimedOut { .. }
            | EventKind::ActivityScheduleFailed(_)
            | EventKind::StateAborted { .. }
            | EventKind::ParallelStateFailed
            | EventKind::MapStateFailed
            | EventKind::MapRunFailed(_)
            | EventKind::MapIterationFailed { .. }
            | EventKind::MapIterationAborted { .. }
            | EventKind::EvaluationFailed { .. }
    )
}

#[cfg(test)]
mod tests;
