//! Activities: created and deleted, and their tasks handed to the workers that ask for them.
//!
//! A task is queued with the transition that schedules it and leaves the queue with the one that says who took it, so
//! that a crash neither loses it nor gives it out twice. Only which tasks are just being handed out is in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use asl::{EventId, Failure, Json, Trigger};
use chrono::TimeDelta;
use tokio::sync::Notify;

use super::cache::Slot;
use super::executions::whole;
use super::report;
use super::{ACCOUNT, Engine, Error, Inner, RETRY_PAUSE};
use crate::history::activities::{self, QueuedTask};
use crate::history::{self, ExecutionId};

pub use crate::history::activities::ActivityRecord;

/// AWS's quota of activities of an account.
const MAX_ACTIVITIES: usize = 10_000;

/// AWS's quota of workers that ask for tasks of one activity at the same time.
const MAX_WORKERS: usize = 1_000;

/// How long a worker waits for a task before it is told that there is none.
const POLL: TimeDelta = TimeDelta::seconds(60);

/// Tasks of activities that are gone which are failed together.
const STRANDED_BATCH: usize = 256;

/// A task as a worker gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityTask {
    pub token: Arc<str>,
    pub input: Json,
}

/// What is known of activities without asking the store.
pub(super) struct Activities {
    /// Who creates or deletes one does so alone, so that what is known is what is stored.
    turn: tokio::sync::Mutex<()>,
    known: Mutex<HashSet<Arc<str>>>,
    lines: Mutex<Lines>,
}

/// The workers that ask for tasks, by the activity's ARN, with their number.
type Lines = HashMap<Arc<str>, (Arc<Queue>, usize)>;

/// Where the workers of one activity wait.
#[derive(Default)]
struct Queue {
    arrived: Notify,
    /// Who takes the next task does so alone.
    turn: tokio::sync::Mutex<()>,
    /// Tasks that are being handed out: still in the store's queue, but no longer to be had.
    taken: Mutex<HashSet<QueuedTask>>,
}

impl Activities {
    pub(super) fn new(known: Vec<Arc<str>>) -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            known: Mutex::new(known.into_iter().collect()),
            lines: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_known(&self, arn: &str) -> bool {
        self.known().contains(arn)
    }

    /// Lines a worker up.
    fn line_up(&self, arn: &Arc<str>) -> Result<Worker<'_>, Error> {
        let mut lines = self.lines();
        let (queue, workers) = lines.entry(arn.clone()).or_default();
        if MAX_WORKERS <= *workers {
            return Err(Error::TooManyWorkers { arn: arn.clone() });
        }
        *workers += 1;
        Ok(Worker {
            activities: self,
            arn: arn.clone(),
            queue: queue.clone(),
        })
    }
}

/// A worker in line.
struct Worker<'a> {
    activities: &'a Activities,
    arn: Arc<str>,
    queue: Arc<Queue>,
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // What it was told of may be left for the next.
        self.queue.arrived.notify_one();
        let mut lines = self.activities.lines();
        if let Some((_, workers)) = lines.get_mut(&self.arn) {
            *workers -= 1;
            if *workers == 0 {
                lines.remove(&self.arn);
            }
        }
    }
}

/// A task that is being handed out; others may have it again if it was not.
struct Taken {
    queue: Arc<Queue>,
    task: QueuedTask,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.queue.taken().remove(&self.task);
    }
}

impl Queue {
    fn taken(&self) -> MutexGuard<'_, HashSet<QueuedTask>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task that has waited longest and is to be had.
    async fn next(self: &Arc<Self>, engine: &Inner, arn: &Arc<str>) -> Result<Option<Taken>, Error> {
        let _turn = self.turn.lock().await;
        let (arn, limit) = (arn.clone(), self.taken().len() + 1);
        let waiting = engine
            .history
            .read(move |connection| activities::queue(connection, &arn, limit))
            .await?;
        let mut taken = self.taken();
        let free = waiting.into_iter().find(|task| taken.insert(*task));
        Ok(free.map(|task| Taken {
            queue: self.clone(),
            task,
        }))
    }
}

impl Inner {
    /// Tells of a task that waits for a worker from now on.
    pub(super) fn arrived(self: &Arc<Self>, slot: &Arc<Slot>, activity: &Arc<str>, scheduled: EventId) {
        // Whoever deletes an activity looks for its tasks only after it is no longer known.
        if !self.activities.is_known(activity) {
            let (engine, slot, activity) = (self.clone(), slot.clone(), activity.clone());
            let busy = self.clock.busy();
            tokio::spawn(async move {
                engine.deliver(&slot, schedule_failed(&activity, scheduled)).await;
                drop(busy);
            });
        } else if let Some((queue, _)) = self.activities.lines().get(activity) {
            queue.arrived.notify_one();
        }
    }

    /// Fails the tasks that wait for an activity which is not there.
    pub(super) async fn fail_stranded(self: &Arc<Self>) {
        loop {
            let stranded = self
                .history
                .read(|connection| activities::stranded(connection, STRANDED_BATCH))
                .await;
            match stranded {
                Ok(stranded) if stranded.is_empty() => return,
                Ok(stranded) => {
                    for (task, activity) in stranded {
                        let slot = self.cache.slot(task.execution);
                        self.deliver(&slot, schedule_failed(&activity, task.scheduled)).await;
                        self.forget(task).await;
                    }
                }
                Err(history::Error::Closed) => return,
                Err(error) => {
                    report(&error, "cannot see which tasks wait for no activity; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Takes a task out of its queue that its execution no longer waits for.
    async fn forget(&self, task: QueuedTask) {
        let forgotten = self
            .history
            .write(move |connection| activities::dequeue(connection, task));
        if let Err(error) = forgotten.await {
            report(&error, "cannot take a task out of its queue; it is skipped again later");
        }
    }

    /// Hands out the task that has waited longest, if there is one.
    async fn hand_out(
        self: Arc<Self>,
        queue: Arc<Queue>,
        arn: Arc<str>,
        worker: Option<Arc<str>>,
    ) -> Result<Option<ActivityTask>, Error> {
        while let Some(taken) = queue.next(&self, &arn).await? {
            let QueuedTask { execution, scheduled } = taken.task;
            let handed = self.hand(execution, scheduled, worker.clone()).await;
            match handed {
                Ok(Some(task)) => return Ok(Some(task)),
                Ok(None) | Err(Error::ExecutionDoesNotExist { .. }) => self.forget(taken.task).await,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Gives a task to a worker, if it still waits for one; it is on disk that it was when this returns.
    async fn hand(
        self: &Arc<Self>,
        execution: ExecutionId,
        scheduled: EventId,
        worker: Option<Arc<str>>,
    ) -> Result<Option<ActivityTask>, Error> {
        let slot = self.cache.slot(execution);
        let mut state = slot.state.lock().await;
        let fold = self.fold(&slot, &mut state).await?;
        let task = fold.execution.task(scheduled).filter(|task| task.is_queued());
        let Some(task) = task.and_then(|task| {
            Some(ActivityTask {
                token: task.schedule.token.clone()?,
                input: task.schedule.parameters.clone(),
            })
        }) else {
            state.fold = Some(fold);
            return Ok(None);
        };
        let trigger = Trigger::ActivityStarted { scheduled, worker };
        self.transition(&slot, &mut state, fold, trigger, None).await?;
        Ok(Some(task))
    }

    /// Hands out a task without waiting for one.
    #[cfg(test)]
    pub(super) async fn hand_out_now(self: &Arc<Self>, arn: &str) -> Result<Option<ActivityTask>, Error> {
        self.clone().hand_out(Arc::default(), arn.into(), None).await
    }
}

fn schedule_failed(activity: &str, scheduled: EventId) -> Trigger {
    let failure = Failure::new("States.Runtime", format!("The activity {activity} does not exist."));
    Trigger::ActivityScheduleFailed { scheduled, failure }
}

impl Engine {
    /// The next task of an activity, once there is one; nothing if there is none for a minute.
    pub async fn activity_task(&self, arn: &str, worker: Option<Arc<str>>) -> Result<Option<ActivityTask>, Error> {
        let inner = &self.inner;
        let arn: Arc<str> = arn.into();
        if !inner.activities.is_known(&arn) {
            return Err(Error::ActivityDoesNotExist { arn });
        }
        let line = inner.activities.line_up(&arn)?;
        let deadline = inner.now() + POLL;
        let mut stopping = inner.stopping.subscribe();
        loop {
            let mut arrived = std::pin::pin!(line.queue.arrived.notified());
            arrived.as_mut().enable();
            let handed = inner.clone().hand_out(line.queue.clone(), arn.clone(), worker.clone());
            if let Some(task) = whole(handed).await? {
                return Ok(Some(task));
            }
            let away = inner.clock.away();
            let goes_on = tokio::select! {
                () = arrived => true,
                () = inner.clock.sleep_until(deadline) => false,
                _ = stopping.wait_for(|stopping| *stopping) => false,
            };
            drop(away);
            if !goes_on {
                return Ok(None);
            }
        }
    }

    /// Creates an activity, or finds the one of that name, whose tags it leaves.
    pub async fn create_activity(&self, name: &str, tags: BTreeMap<String, String>) -> Result<ActivityRecord, Error> {
        let inner = &self.inner;
        let new = ActivityRecord {
            arn: format!("arn:aws:states:{}:{ACCOUNT}:activity:{name}", inner.region).into(),
            name: name.into(),
            tags,
            created: inner.now(),
        };
        let _turn = inner.activities.turn.lock().await;
        let created = inner.history.write(move |connection| {
            if let Some(existing) = activities::get(connection, &new.arn)? {
                return Ok(Some(existing));
            }
            if MAX_ACTIVITIES <= activities::count(connection)? {
                return Ok(None);
            }
            activities::put(connection, &new)?;
            Ok(Some(new))
        });
        let created = created.await?.ok_or(Error::TooManyActivities)?;
        inner.activities.known().insert(created.arn.clone());
        Ok(created)
    }

    pub async fn activity(&self, arn: &str) -> Result<Option<ActivityRecord>, Error> {
        let arn: Arc<str> = arn.into();
        let found = self
            .inner
            .history
            .read(move |connection| activities::get(connection, &arn));
        Ok(found.await?)
    }

    /// Gives an activity other tags; whether it is there.
    pub async fn retag_activity(&self, arn: &str, tags: BTreeMap<String, String>) -> Result<bool, Error> {
        let arn: Arc<str> = arn.into();
        let retagged = self.inner.history.write(move |connection| {
            let Some(activity) = activities::get(connection, &arn)? else {
                return Ok(false);
            };
            activities::put(connection, &ActivityRecord { tags, ..activity })?;
            Ok(true)
        });
        Ok(retagged.await?)
    }

    /// Deletes an activity, if it is there. Tasks that wait for a worker fail; those that one has are still awaited.
    pub async fn delete_activity(&self, arn: &str) -> Result<(), Error> {
        let inner = &self.inner;
        let deleted: Arc<str> = arn.into();
        let _turn = inner.activities.turn.lock().await;
        inner
            .history
            .write(move |connection| activities::delete(connection, &deleted))
            .await?;
        if inner.activities.known().remove(arn) {
            let (engine, busy) = (inner.clone(), inner.clock.busy());
            tokio::spawn(async move {
                engine.fail_stranded().await;
                drop(busy);
            });
        }
        Ok(())
    }

    /// At most `limit` activities behind the one with the ARN `after`, and whether there are more.
    pub async fn activities(&self, after: Option<String>, limit: usize) -> Result<(Vec<ActivityRecord>, bool), Error> {
        let after = after.unwrap_or_default();
        let listed = self
            .inner
            .history
            .read(move |connection| activities::list(connection, &after, limit + 1));
        let mut found = listed.await?;
        let more = limit < found.len();
        found.truncate(limit);
        Ok((found, more))
    }
}
