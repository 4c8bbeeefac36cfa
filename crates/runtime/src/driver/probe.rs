//! Tests of single states: run in memory, kept nowhere.

use std::sync::Arc;

use asl::{Failure, Identity, Json, Probe, Published, Setup, Standing, Tested, Trigger};
use tokio::sync::OwnedSemaphorePermit;

use super::{ACCOUNT, Engine, Error, Inner, TaskCall, TaskOutcome};

/// A test in progress. It is bounded in number like an Express execution, and in time by its setup.
pub(crate) struct StateTest {
    engine: Arc<Inner>,
    identity: Arc<Identity>,
    probe: Probe,
    _turn: OwnedSemaphorePermit,
}

impl Engine {
    /// Who a test's made-up execution is.
    pub(crate) fn test_identity(&self, role_arn: &str) -> Arc<Identity> {
        let region = &self.inner.region;
        let (machine, name) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
        Arc::new(Identity {
            execution_arn: format!("arn:aws:states:{region}:{ACCOUNT}:express:{machine}:{name}").into(),
            name: name.to_string().into(),
            state_machine_arn: format!("arn:aws:states:{region}:{ACCOUNT}:stateMachine:{machine}").into(),
            state_machine_name: machine.to_string().into(),
            role_arn: role_arn.into(),
            published: Published::default(),
        })
    }

    /// Enters a state that is to be tested and begins its work.
    pub(crate) async fn begin_test(&self, tested: Arc<Tested>, setup: Setup) -> Result<StateTest, Error> {
        let engine = self.inner.clone();
        let turn = engine.express_turns.clone().try_acquire_owned();
        let turn = turn.map_err(|_| Error::Throttled)?;
        let identity = setup.identity.clone();
        let begin = move |moment: &asl::Moment| Probe::begin(tested, setup, moment);
        let probe = engine.interpret(&identity.execution_arn, true, begin).await?;
        Ok(StateTest {
            engine,
            identity,
            probe,
            _turn: turn,
        })
    }
}

impl StateTest {
    pub(crate) fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Answers what the state waits for with a result or an error that is made up.
    pub(crate) async fn answer(self, answer: Result<Json, Failure>) -> Result<Self, Error> {
        self.go_on(move |probe, moment| probe.answer(answer, moment)).await
    }

    /// Lets the world answer, and time pass, until the state is over.
    pub(crate) async fn run(mut self) -> Result<Self, Error> {
        let mut outcome = std::pin::pin!(perform(self.engine.clone(), self.call()));
        let mut is_called = self.probe.task().is_some();
        while self.probe.outcome().standing == Standing::Waiting {
            let due = self.probe.due();
            let clock = self.engine.clock.clone();
            let _alarm = due.map(|due| clock.alarm(due));
            let away = clock.away();
            let time = async {
                match due {
                    Some(due) => clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let trigger = tokio::select! {
                Some(trigger) = &mut outcome, if is_called => {
                    is_called = false;
                    trigger
                }
                () = time => Trigger::Clock,
            };
            drop(away);
            self = self.go_on(move |probe, moment| probe.take(trigger, moment)).await?;
        }
        Ok(self)
    }

    async fn go_on(self, go: impl FnOnce(&mut Probe, &asl::Moment) + Send + 'static) -> Result<Self, Error> {
        let Self {
            engine,
            identity,
            mut probe,
            _turn,
        } = self;
        let work = move |moment: &asl::Moment| {
            go(&mut probe, moment);
            probe
        };
        let probe = engine.interpret(&identity.execution_arn, true, work).await?;
        Ok(Self {
            engine,
            identity,
            probe,
            _turn,
        })
    }

    fn call(&self) -> Option<TaskCall> {
        let task = self.probe.task()?;
        Some(TaskCall {
            execution_arn: self.identity.execution_arn.clone(),
            state_machine_arn: self.identity.state_machine_arn.clone(),
            tested_in: Some(self.identity.role_arn.clone()),
            scheduled: task.scheduled,
            schedule: task.schedule.clone(),
            submitted: None,
        })
    }
}

/// Performs a call, if there is one, and tells what came of it.
async fn perform(engine: Arc<Inner>, call: Option<TaskCall>) -> Option<Trigger> {
    let call = call?;
    let scheduled = call.scheduled;
    let _busy = engine.clock.busy();
    let _turn = engine.calls.turns.acquire().await.ok();
    Some(match engine.tasks.perform(call).await {
        TaskOutcome::Succeeded(output) => Trigger::TaskSucceeded { scheduled, output },
        TaskOutcome::Failed(failure) => Trigger::TaskFailed { scheduled, failure },
        TaskOutcome::Submitted(output) => Trigger::TaskSubmitted { scheduled, output },
    })
}
