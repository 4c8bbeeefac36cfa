//! Express executions: in memory from start to end, kept nowhere.

use std::collections::HashMap;
use std::sync::Arc;

use asl::{EventId, Execution, Json, Status, Task, Trigger};
use tokio::task::{AbortHandle, JoinSet};

use super::executions::identity;
use super::report;
use super::transition::Fold;
use super::{Engine, Error, ExecutionRecord, Inner, StartExecution, TaskCall, TaskOutcome};
use crate::clock::Busy;
use crate::history::MachineType;

/// An outcome holds the clock until it is taken in.
type Outcomes = JoinSet<(EventId, TaskOutcome, Busy)>;

/// The calls of an Express execution in progress; dropped with it.
#[derive(Default)]
struct Calls {
    outcomes: Outcomes,
    handles: HashMap<EventId, AbortHandle>,
}

impl Calls {
    fn start(&mut self, engine: &Arc<Inner>, fold: &Fold, task: &Task, submitted: Option<Json>) {
        let call = TaskCall {
            execution_arn: fold.arn.clone(),
            state_machine_arn: fold.revision.record.arn.clone(),
            tested_in: None,
            scheduled: task.scheduled,
            schedule: task.schedule.clone(),
            submitted,
        };
        let (engine, busy) = (engine.clone(), engine.clock.busy());
        let handle = self.outcomes.spawn(async move {
            let _turn = match call.submitted {
                None => engine.calls.turns.acquire().await.ok(),
                Some(_) => None,
            };
            (call.scheduled, engine.tasks.perform(call).await, busy)
        });
        self.handles.insert(task.scheduled, handle);
    }

    /// Ends the calls that the execution no longer waits for.
    fn prune(&mut self, execution: &Execution) {
        self.handles.retain(|scheduled, handle| {
            let awaited = execution.task(*scheduled).is_some();
            if !awaited {
                handle.abort();
            }
            awaited
        });
    }

    /// The next outcome, as a trigger.
    async fn next(&mut self) -> (Trigger, Busy) {
        while let Some(outcome) = self.outcomes.join_next().await {
            // A call that was ended has no outcome.
            let Ok((scheduled, outcome, busy)) = outcome else {
                continue;
            };
            let trigger = match outcome {
                TaskOutcome::Succeeded(output) => Trigger::TaskSucceeded { scheduled, output },
                TaskOutcome::Failed(failure) => Trigger::TaskFailed { scheduled, failure },
                TaskOutcome::Submitted(output) => Trigger::TaskSubmitted { scheduled, output },
            };
            return (trigger, busy);
        }
        std::future::pending().await
    }
}

impl Inner {
    /// While it waits, a hold of the caller's does not keep the clock from jumping.
    async fn run_express(self: &Arc<Self>, mut fold: Fold, input: Json) -> Result<ExecutionRecord, Error> {
        let machine = fold.revision.machine()?;
        let computes = fold.revision.computes;
        let mut calls = Calls::default();
        let mut trigger = Trigger::Start {
            identity: identity(&fold),
            input,
        };
        loop {
            // Nothing here need ever wait, so a busy caller would keep its thread to itself.
            tokio::task::consume_budget().await;
            let before = fold.execution.mark();
            let submitted = match &trigger {
                Trigger::TaskSubmitted { scheduled, output } => Some((*scheduled, output.clone())),
                _ => None,
            };
            // Nobody can ask for the events of an Express execution: they are not kept.
            let (execution, _) = self
                .advance_execution(&fold.arn, machine.clone(), computes, fold.execution, trigger)
                .await?;
            fold.execution = execution;
            if fold.execution.status() != Status::Running {
                return Ok(fold.record());
            }
            calls.prune(&fold.execution);
            for task in fold.execution.tasks_since(before) {
                calls.start(self, &fold, task, None);
            }
            if let Some((scheduled, answer)) = submitted
                && let Some(task) = fold.execution.task(scheduled)
                && !task.schedule.resource.waits_for_token()
            {
                calls.start(self, &fold, task, Some(answer));
            }
            trigger = if fold.execution.is_runnable() {
                Trigger::Continue
            } else {
                let due = fold.execution.due();
                let _alarm = due.map(|due| self.clock.alarm(due));
                let away = self.clock.away();
                let clock = async {
                    match due {
                        Some(due) => self.clock.sleep_until(due).await,
                        None => std::future::pending().await,
                    }
                };
                let (trigger, _busy) = tokio::select! {
                    (trigger, busy) = calls.next() => (trigger, Some(busy)),
                    () = clock => (Trigger::Clock, None),
                };
                drop(away);
                trigger
            };
        }
    }

    fn express(&self, start: &StartExecution) -> Result<Fold, Error> {
        let arn = &start.state_machine_arn;
        let named = self.named(arn)?;
        let revision = named.revision().clone();
        if revision.record.machine_type != MachineType::Express {
            return Err(Error::StateMachineTypeNotSupported { arn: arn.clone() });
        }
        named.startable()?;
        let run = uuid::Uuid::new_v4();
        let name = start.name.clone().unwrap_or_else(|| run.to_string().into());
        let machine = &revision.record.name;
        let arn = format!(
            "arn:aws:states:{}:{}:express:{machine}:{name}:{}",
            self.region,
            super::ACCOUNT,
            uuid::Uuid::new_v4()
        );
        Ok(Fold::new(revision, name, arn.into()))
    }
}

impl Engine {
    /// Runs an Express execution to its end, as StartSyncExecution does.
    pub async fn run_express(&self, start: StartExecution) -> Result<ExecutionRecord, Error> {
        let fold = self.inner.express(&start)?;
        let _turn = self.inner.express_turns.try_acquire().map_err(|_| Error::Throttled)?;
        self.inner.run_express(fold, start.input).await
    }

    /// Starts an Express execution and lets it run; what becomes of it only its own tasks tell.
    pub(super) async fn start_express(&self, start: StartExecution) -> Result<ExecutionRecord, Error> {
        let fold = self.inner.express(&start)?;
        let turn = self.inner.express_turns.clone().try_acquire_owned();
        let turn = turn.map_err(|_| Error::Throttled)?;
        let record = ExecutionRecord {
            started: self.inner.now(),
            input: start.input.clone(),
            ..fold.record()
        };
        let (engine, busy) = (self.inner.clone(), self.inner.clock.busy());
        tokio::spawn(async move {
            if let Err(error) = engine.run_express(fold, start.input).await {
                report(&error, "cannot run an Express execution");
            }
            drop((turn, busy));
        });
        Ok(record)
    }
}
