//! Calls of tasks: performed outside, answered as triggers.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use asl::{EventId, EventKind, Failure, Json, Mark, Schedule, Task, Trigger};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use super::cache::Slot;
use super::transition::Fold;
use super::{Error, Inner, MAX_CALLS, RETRY_PAUSE, report, skip};
use crate::clock::Busy;
use crate::history::{self, ExecutionId};

/// A task to perform, or, once it is submitted, a job to await.
#[derive(Clone, Debug)]
pub struct TaskCall {
    pub execution_arn: Arc<str>,
    pub state_machine_arn: Arc<str>,
    /// The role that a tested state acts in; an execution acts in its state machine's.
    pub tested_in: Option<Arc<str>>,
    /// The event that scheduled it; with the execution's ARN it names the call, and a repeated call is named alike.
    pub scheduled: EventId,
    pub schedule: Arc<Schedule>,
    /// What the call was answered with before, if only the end of its job is awaited now.
    pub submitted: Option<Json>,
}

/// What a task's call came to.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskOutcome {
    Succeeded(Json),
    Failed(Failure),
    /// The call was answered, but the state waits for more: a callback, or a job's end. For a job, `perform` is called
    /// once more, with this answer in [`TaskCall::submitted`].
    Submitted(Json),
}

pub type TaskFuture<'a> = Pin<Box<dyn Future<Output = TaskOutcome> + Send + 'a>>;

/// Who performs tasks.
///
/// A call may be repeated after a crash: it is in progress until its outcome is on disk. The future is dropped when
/// the execution no longer waits for it, after a time-out or an abort.
pub trait Tasks: Send + Sync + 'static {
    fn perform(&self, call: TaskCall) -> TaskFuture<'_>;

    /// Gives up a submitted job whose end no one waits for any more, as far as that goes: AWS, too, only tries.
    fn abandon(&self, _call: TaskCall) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// The calls in progress, and those that wait for a turn.
///
/// What waits is only named here: its payload is on disk with its execution, however many there are.
pub(super) struct Calls {
    pub(super) turns: Arc<Semaphore>,
    waiting: Mutex<VecDeque<Waiting>>,
    added: Notify,
}

struct Waiting {
    execution: ExecutionId,
    scheduled: EventId,
    /// What waits for a turn is at work, for a clock that skips time.
    _busy: Busy,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(MAX_CALLS)),
            waiting: Mutex::default(),
            added: Notify::new(),
        }
    }
}

impl Calls {
    fn wait(&self, waiting: Waiting) {
        let mut queue = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(waiting);
        drop(queue);
        self.added.notify_one();
    }

    fn is_awaited(&self) -> bool {
        !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// How many calls wait for a turn.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn next(&self) -> Option<Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Gives the calls that wait their turns, first come, first served, until the engine is shut down.
pub(super) async fn take_turns(engine: Arc<Inner>) {
    loop {
        while engine.calls.is_awaited() {
            let Ok(turn) = engine.calls.turns.clone().acquire_owned().await else {
                return;
            };
            if let Some(waiting) = engine.calls.next() {
                tokio::spawn(take_up(engine.clone(), waiting, turn));
            }
        }
        engine.calls.added.notified().await;
    }
}

/// Begins a call that has waited, if it is still to be made.
async fn take_up(engine: Arc<Inner>, waiting: Waiting, turn: OwnedSemaphorePermit) {
    let slot = engine.cache.slot(waiting.execution);
    loop {
        let mut state = slot.state.lock().await;
        match engine.fold(&slot, &mut state).await {
            Ok(fold) => {
                let task = fold.execution.task(waiting.scheduled).cloned();
                if let Some(task) =
                    task.filter(|task| task.is_owed() && !task.submitted && !state.calls.contains_key(&task.scheduled))
                {
                    begin(&engine, &slot, &mut state.calls, &fold, &task, Turn::Has(turn));
                }
                state.fold = Some(fold);
                return;
            }
            Err(Error::ExecutionDoesNotExist { .. } | Error::History(history::Error::Closed)) => return,
            Err(error) => report(&error, "cannot read an execution whose call is due; trying again"),
        }
        drop(state);
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Begins a call that is owed, or has it wait for its turn.
pub(super) fn start(
    engine: &Arc<Inner>,
    slot: &Arc<Slot>,
    calls: &mut HashMap<EventId, oneshot::Sender<()>>,
    fold: &Fold,
    task: &Task,
    submitted: Option<Json>,
) {
    if let Some(answer) = submitted {
        return begin(engine, slot, calls, fold, task, Turn::NeedsNone(answer));
    }
    match engine.calls.turns.clone().try_acquire_owned() {
        Ok(turn) => begin(engine, slot, calls, fold, task, Turn::Has(turn)),
        Err(_) => engine.calls.wait(Waiting {
            execution: slot.id,
            scheduled: task.scheduled,
            _busy: engine.clock.busy(),
        }),
    }
}

/// What a call that begins has.
enum Turn {
    Has(OwnedSemaphorePermit),
    /// It was made before and answered with this; its job's end may need turns of its own to come about.
    NeedsNone(Json),
}

fn begin(
    engine: &Arc<Inner>,
    slot: &Arc<Slot>,
    calls: &mut HashMap<EventId, oneshot::Sender<()>>,
    fold: &Fold,
    task: &Task,
    turn: Turn,
) {
    let (turn, submitted) = match turn {
        Turn::Has(turn) => (Some(turn), None),
        Turn::NeedsNone(answer) => (None, Some(answer)),
    };
    let call = TaskCall {
        execution_arn: fold.arn.clone(),
        state_machine_arn: fold.revision.record.arn.clone(),
        tested_in: None,
        scheduled: task.scheduled,
        schedule: task.schedule.clone(),
        submitted,
    };
    let (sender, cancelled) = oneshot::channel();
    calls.insert(task.scheduled, sender);
    let busy = engine.clock.busy();
    tokio::spawn(run(engine.clone(), slot.clone(), call, turn, cancelled, busy));
}

/// Performs a call and brings its outcome to the execution, unless it is cancelled before.
async fn run(
    engine: Arc<Inner>,
    slot: Arc<Slot>,
    mut call: TaskCall,
    mut turn: Option<OwnedSemaphorePermit>,
    mut cancelled: oneshot::Receiver<()>,
    _busy: Busy,
) {
    let mut stopping = engine.stopping.subscribe();
    loop {
        let outcome = tokio::select! {
            biased;
            _ = &mut cancelled => None,
            _ = stopping.wait_for(|stopping| *stopping) => return,
            outcome = engine.tasks.perform(call.clone()) => Some(outcome),
        };
        let Some(outcome) = outcome else {
            if call.submitted.is_some() {
                engine.tasks.abandon(call).await;
            }
            return;
        };
        turn.take();
        let scheduled = call.scheduled;
        match outcome {
            TaskOutcome::Succeeded(output) => {
                return engine
                    .deliver(&slot, Trigger::TaskSucceeded { scheduled, output })
                    .await;
            }
            TaskOutcome::Failed(failure) => {
                return engine.deliver(&slot, Trigger::TaskFailed { scheduled, failure }).await;
            }
            TaskOutcome::Submitted(output) => {
                let answer = output.clone();
                engine
                    .deliver(
                        &slot,
                        Trigger::TaskSubmitted {
                            scheduled,
                            output: answer,
                        },
                    )
                    .await;
                if call.submitted.is_some() || call.schedule.resource.waits_for_token() {
                    return;
                }
                call.submitted = Some(output);
            }
        }
    }
}

/// Has a clock that skips time wait for whoever holds the token of this task, or may come to take it.
pub(super) fn be_patient(engine: &Arc<Inner>, calls: &mut HashMap<EventId, oneshot::Sender<()>>, task: &Task) {
    let resource = &task.schedule.resource;
    let is_with_others = resource.is_activity() || (task.submitted && resource.waits_for_token());
    if !engine.clock.skips() || !is_with_others {
        return;
    }
    let (sender, answered) = oneshot::channel();
    calls.insert(task.scheduled, sender);
    let answered = async {
        // It is never sent to: it is gone when the task is no longer awaited.
        let _ = answered.await;
    };
    tokio::spawn(skip::be_patient(engine.clock.busy(), answered));
}

impl Inner {
    /// Takes up an execution that was in progress when the engine was last closed: begins the calls it owes.
    pub(super) async fn resume(self: &Arc<Self>, slot: &Arc<Slot>) -> Result<(), super::Error> {
        let mut state = slot.state.lock().await;
        let fold = self.fold(slot, &mut state).await?;
        let owed: Vec<Task> = fold
            .execution
            .tasks_since(Mark::default())
            .filter(|task| !state.calls.contains_key(&task.scheduled))
            .filter(|task| task.is_owed())
            .cloned()
            .collect();
        for task in &owed {
            let submitted = match task.submitted {
                true => self.submission(slot, task.scheduled).await?,
                false => None,
            };
            start(self, slot, &mut state.calls, &fold, task, submitted);
        }
        self.go_on(slot, &mut state, &fold.execution);
        state.fold = Some(fold);
        Ok(())
    }

    /// What a submitted task's call was answered with: the fold does not keep it.
    async fn submission(&self, slot: &Slot, scheduled: EventId) -> Result<Option<Json>, history::Error> {
        let id = slot.id;
        let (events, _) = self
            .history
            .read(move |connection| history::log::all(connection, id))
            .await?;
        let frame = events
            .iter()
            .find(|event| event.id == scheduled)
            .map(|event| event.frame);
        let answer = events.into_iter().find_map(|event| match event.kind {
            EventKind::TaskSubmitted { output, .. } if scheduled < event.id && Some(event.frame) == frame => {
                Some(output)
            }
            _ => None,
        });
        Ok(answer)
    }
}
