//! Calls of tasks: performed outside, answered as triggers.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use asl::{EventId, EventKind, Failure, Json, Mark, Schedule, Task, Trigger};
use tokio::sync::oneshot;

use super::cache::Slot;
use super::transition::Fold;
use super::{Inner, skip};
use crate::clock::Busy;
use crate::history;

/// A task to perform, or, once it is submitted, a job to await.
#[derive(Clone, Debug)]
pub struct TaskCall {
    pub execution_arn: Arc<str>,
    pub state_machine_arn: Arc<str>,
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
}

/// Begins a call that is owed.
pub(super) fn start(
    engine: &Arc<Inner>,
    slot: &Arc<Slot>,
    calls: &mut HashMap<EventId, oneshot::Sender<()>>,
    fold: &Fold,
    task: &Task,
    submitted: Option<Json>,
) {
    let call = TaskCall {
        execution_arn: fold.arn.clone(),
        state_machine_arn: fold.revision.record.arn.clone(),
        scheduled: task.scheduled,
        schedule: task.schedule.clone(),
        submitted,
    };
    let (sender, cancelled) = oneshot::channel();
    calls.insert(task.scheduled, sender);
    tokio::spawn(run(engine.clone(), slot.clone(), call, cancelled, engine.clock.busy()));
}

/// Performs a call and brings its outcome to the execution, unless it is cancelled before.
async fn run(
    engine: Arc<Inner>,
    slot: Arc<Slot>,
    mut call: TaskCall,
    mut cancelled: oneshot::Receiver<()>,
    _busy: Busy,
) {
    let mut stopping = engine.stopping.subscribe();
    loop {
        let perform = async {
            // A job's end is awaited without a turn: it may need turns of its own to come about.
            let _turn = match call.submitted {
                None => engine.calls.acquire().await.ok(),
                Some(_) => None,
            };
            engine.tasks.perform(call.clone()).await
        };
        let outcome = tokio::select! {
            biased;
            _ = &mut cancelled => return,
            _ = stopping.wait_for(|stopping| *stopping) => return,
            outcome = perform => outcome,
        };
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

/// Has a clock that skips time wait for whoever holds the token of this task.
pub(super) fn be_patient(engine: &Arc<Inner>, calls: &mut HashMap<EventId, oneshot::Sender<()>>, task: &Task) {
    if !engine.clock.skips() || !task.submitted || !task.schedule.resource.waits_for_token() {
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
            .filter(|task| !task.submitted || !task.schedule.resource.waits_for_token())
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
