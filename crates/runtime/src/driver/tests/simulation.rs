//! Generated state machines over the real store: whatever commit the engine dies after, whichever writes fail, however
//! late its timers are looked at and however often it is told the same, the outcome is that of an undisturbed run.
//!
//! The interpreter alone is simulated in its own crate, from the same scenarios.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use asl::{FrameId, Trigger};
use chrono::TimeDelta;
use proptest::prelude::*;
use scenario::{Answer, Scenario, scenario, simulate};

use super::crash::{PATIENCE, assert_row_is_the_logs, is_full};
use super::*;

/// How many machines the ordinary test run plays, each several lives long.
const SIMULATIONS: u32 = 200;

/// A directory in memory, where there is one: what is simulated is lost on purpose, and never the disk's doing.
const IN_MEMORY: &str = "/dev/shm";

/// What goes wrong.
#[derive(Clone, Debug, Default)]
struct Disturbances {
    /// For each life but the last, after which of the commits of an undisturbed run it ends.
    crashes: Vec<prop::sample::Index>,
    /// Which commits of each life fail.
    failures: Vec<prop::sample::Index>,
    /// Used up from the back, one for each look at the execution: what to tell it again, or how late to be.
    draws: Vec<u8>,
}

fn disturbances() -> impl Strategy<Value = Disturbances> {
    let indexes = |most| prop::collection::vec(any::<prop::sample::Index>(), 0..most);
    let draws = prop::collection::vec(any::<u8>(), 0..200);
    (indexes(4), indexes(6), draws).prop_map(|(crashes, failures, draws)| Disturbances {
        crashes,
        failures,
        draws,
    })
}

/// Whoever performs tasks and answers for them; outlives the engine.
#[derive(Default)]
struct Outside {
    state: Mutex<OutsideState>,
}

#[derive(Default)]
struct OutsideState {
    healed: bool,
    /// What is still to be said of calls that wait for a callback, by their tokens.
    callbacks: BTreeMap<Arc<str>, Callback>,
    /// What calls were answered, to be said again.
    answered: Vec<Trigger>,
    /// The tokens of the tasks of activities that the worker has.
    taken: BTreeSet<Arc<str>>,
}

#[derive(Clone)]
struct Callback {
    heartbeats: u64,
    answer: Answer,
}

impl Outside {
    fn state(&self) -> std::sync::MutexGuard<'_, OutsideState> {
        self.state.lock().expect("no test panics with it")
    }
}

fn outcome(answer: Answer) -> Option<TaskOutcome> {
    match answer {
        Answer::Never => None,
        Answer::Fails => Some(TaskOutcome::Failed(Failure::new(scenario::ERROR, scenario::CAUSE))),
        Answer::Succeeds(output) => Some(TaskOutcome::Succeeded(output.into())),
    }
}

impl Tasks for Outside {
    fn perform(&self, call: TaskCall) -> TaskFuture<'_> {
        let schedule = &call.schedule;
        let parameters = schedule.parameters.value();
        let mut state = self.state();
        let answer = scenario::answer(parameters, state.healed);
        if answer != Answer::Never && schedule.resource.waits() && call.submitted.is_none() {
            if let Some(token) = &schedule.token {
                let heartbeats = scenario::heartbeats(parameters);
                state.callbacks.insert(token.clone(), Callback { heartbeats, answer });
            }
            return Box::pin(std::future::ready(TaskOutcome::Submitted(Json::empty_object())));
        }
        let scheduled = call.scheduled;
        match outcome(answer) {
            None => Box::pin(std::future::pending()),
            Some(outcome) => {
                state.answered.extend(match outcome.clone() {
                    TaskOutcome::Succeeded(output) => Some(Trigger::TaskSucceeded { scheduled, output }),
                    TaskOutcome::Failed(failure) => Some(Trigger::TaskFailed { scheduled, failure }),
                    TaskOutcome::Submitted(_) => None,
                });
                Box::pin(std::future::ready(outcome))
            }
        }
    }
}

/// One execution, through all the lives of its engine.
struct Simulation<'a> {
    scenario: &'a Scenario,
    directory: TempDir,
    clock: Clock,
    outside: Arc<Outside>,
    heard: Arc<Heard>,
    faults: Faults,
    draws: Vec<u8>,
}

/// What a run came to.
#[derive(Debug, PartialEq)]
struct Ending {
    status: Status,
    output: Option<Json>,
    failure: Failure,
    redrive_count: u32,
    /// How often each state of the machine's own flow was entered.
    entries: BTreeMap<String, usize>,
    /// The statuses that were told of.
    told: Vec<String>,
}

impl<'a> Simulation<'a> {
    fn new(scenario: &'a Scenario, draws: Vec<u8>) -> Self {
        let directory = tempfile::tempdir_in(IN_MEMORY).or_else(|_| tempfile::tempdir());
        Self {
            scenario,
            directory: directory.expect("a temporary directory"),
            clock: Clock::still(dawn()),
            outside: Arc::default(),
            heard: Arc::default(),
            faults: Faults::default(),
            draws,
        }
    }

    /// Plays the execution to its end, its redrive included, and looks at what is on disk.
    async fn run(&mut self, crashes: &[u64], failures: &[u64]) -> Ending {
        let lives = crashes.iter().copied().map(Some).chain([None]);
        for crash in lives {
            self.faults = Faults::default();
            self.faults.plan().crash_after = crash;
            self.faults.plan().fail.extend(failures);
            let config = Config {
                data_dir: DataDir::take(self.directory.path()).expect("a directory of its own"),
                region: "us-west-2".to_owned(),
                clock: self.clock.clone(),
                tasks: self.outside.clone(),
                status_events: self.heard.clone(),
                subjects: std::collections::BTreeMap::new(),
            };
            let engine = Engine::open_with(config, self.faults.clone()).await;
            let engine = engine.expect("the engine opens");
            let ending = match self.live(&engine).await {
                Some(()) => self.ending(&engine).await,
                None => None,
            };
            engine.shutdown().await;
            if let Some(ending) = ending {
                return ending;
            }
        }
        unreachable!("the last life has no crash");
    }

    /// One life: until the execution has come to its end, or nothing if the engine dies before.
    async fn live(&mut self, engine: &Engine) -> Option<()> {
        let machine = loop {
            match engine
                .create_state_machine(machine("m", &self.scenario.definition))
                .await
            {
                Ok(created) => break created.arn,
                Err(error) => self.excuse(&error)?,
            }
        };
        while let Err(error) = engine.create_activity(scenario::ACTIVITY_NAME, BTreeMap::new()).await {
            self.excuse(&error)?;
        }
        loop {
            let start = start(&machine, "one", self.scenario.input.clone());
            match engine.start_execution(start).await {
                Ok(_) | Err(Error::ExecutionAlreadyExists { .. }) => break,
                Err(error) => self.excuse(&error)?,
            }
        }
        let begun = Instant::now();
        loop {
            let slot = match engine.inner.find(&arn("one")).await {
                Ok(slot) => slot,
                Err(error) => {
                    self.excuse(&error)?;
                    continue;
                }
            };
            if self.faults.has_crashed() {
                return None;
            }
            assert!(begun.elapsed() < PATIENCE, "stuck: {:?}", types(engine, "one").await);
            self.work(engine, &slot).await?;
            self.call_back(engine).await?;
            let draw = self.draws.pop().unwrap_or(u8::MAX);
            self.tell_again(engine, &slot, draw).await;
            let looked = self.look(engine, &slot).await;
            match looked {
                Looked::Busy => tokio::task::yield_now().await,
                Looked::Due(due) => {
                    // Whoever oversleeps finds several timers due.
                    let late = if draw.is_multiple_of(5) { draw } else { 0 };
                    self.clock.jump_to(due + TimeDelta::seconds(late.into()));
                    tokio::task::yield_now().await;
                }
                Looked::Stuck => panic!("stuck: {:?}", types(engine, "one").await),
                Looked::Ended => return Some(()),
                Looked::Failed => {
                    {
                        let mut outside = self.outside.state();
                        // What was said before belongs to the world before.
                        *outside = OutsideState {
                            healed: true,
                            ..OutsideState::default()
                        };
                    }
                    if let Err(error) = engine.redrive_execution(&arn("one"), None).await {
                        self.excuse(&error)?;
                    }
                }
            }
        }
    }

    /// Goes on after an error that was to be expected; nothing if the engine is dead.
    fn excuse(&self, error: &Error) -> Option<()> {
        if self.faults.has_crashed() {
            return None;
        }
        assert!(is_full(error), "{error:?}");
        Some(())
    }

    /// Takes a task from the activity's queue. What was handed out as the engine died, the worker has all the same.
    async fn work(&self, engine: &Engine, slot: &Arc<cache::Slot>) -> Option<()> {
        let mut state = slot.state.lock().await;
        let Ok(fold) = engine.inner.fold(slot, &mut state).await else {
            return Some(());
        };
        let execution = &state.fold.insert(fold).execution;
        let mut waits = false;
        for task in execution.tasks_since(asl::Mark::default()) {
            let schedule = &task.schedule;
            if !schedule.resource.is_activity() {
                continue;
            }
            waits |= !task.submitted;
            let mut outside = self.outside.state();
            let parameters = schedule.parameters.value();
            let answer = scenario::answer(parameters, outside.healed);
            let token = schedule
                .token
                .clone()
                .filter(|_| task.submitted && answer != Answer::Never);
            if let Some(token) = token.filter(|token| outside.taken.insert(token.clone())) {
                let heartbeats = scenario::heartbeats(parameters);
                outside.callbacks.insert(token, Callback { heartbeats, answer });
            }
        }
        drop(state);
        if !waits {
            return Some(());
        }
        match engine.inner.hand_out_now(scenario::ACTIVITY).await {
            Ok(_) => Some(()),
            Err(error) => self.excuse(&error),
        }
    }

    /// Says what is due to be said of the calls that wait for it, one thing each.
    async fn call_back(&self, engine: &Engine) -> Option<()> {
        let callbacks = self.outside.state().callbacks.clone();
        for (token, callback) in callbacks {
            let said = match (callback.heartbeats, callback.answer) {
                (1.., _) => engine.task_heartbeat(&token).await,
                (0, Answer::Succeeds(output)) => engine.task_success(&token, output.into()).await,
                (0, _) => {
                    let failure = Failure::new(scenario::ERROR, scenario::CAUSE);
                    engine.task_failure(&token, failure).await
                }
            };
            let over = match said {
                Ok(()) => callback.heartbeats == 0,
                Err(Error::TaskTimedOut) => true,
                Err(error) => {
                    self.excuse(&error)?;
                    continue;
                }
            };
            let callbacks = &mut self.outside.state().callbacks;
            match callbacks.get_mut(&token) {
                Some(callback) if !over => callback.heartbeats -= 1,
                _ => drop(callbacks.remove(&token)),
            }
        }
        Some(())
    }

    /// Brings the execution a trigger that it has had, or that means nothing.
    async fn tell_again(&self, engine: &Engine, slot: &Arc<cache::Slot>, draw: u8) {
        let trigger = {
            let answered = &self.outside.state().answered;
            match draw {
                0..30 => Trigger::Clock,
                30..60 => Trigger::Continue,
                60..150 if !answered.is_empty() => answered[usize::from(draw) % answered.len()].clone(),
                _ => return,
            }
        };
        // If it cannot be written, it was lost.
        let _ = engine.inner.take(slot, trigger).await;
    }

    async fn look(&self, engine: &Engine, slot: &Arc<cache::Slot>) -> Looked {
        let mut state = slot.state.lock().await;
        // After a failed write nothing is in memory, and where nothing is owed either, nobody else reads it again.
        let Ok(fold) = engine.inner.fold(slot, &mut state).await else {
            return Looked::Busy;
        };
        let execution = &state.fold.insert(fold).execution;
        match execution.status() {
            Status::Running => {}
            Status::Succeeded => return Looked::Ended,
            _ if execution.redrive_count() == 0 => return Looked::Failed,
            _ => return Looked::Ended,
        }
        let outside = self.outside.state();
        let is_silent = |task: &asl::Task| {
            let answer = scenario::answer(task.schedule.parameters.value(), outside.healed);
            answer == Answer::Never && !task.is_queued()
        };
        if execution.is_runnable() || !execution.tasks_since(asl::Mark::default()).all(is_silent) {
            return Looked::Busy;
        }
        match execution.due() {
            // The timer is on its way.
            Some(due) if due <= self.clock.now() => Looked::Busy,
            Some(due) => Looked::Due(due),
            None => Looked::Stuck,
        }
    }

    /// What came of it, once everybody has been told; nothing if the engine dies before.
    async fn ending(&self, engine: &Engine) -> Option<Ending> {
        assert_row_is_the_logs(engine).await;
        let record = engine.execution(&arn("one")).await.expect("it is there");
        let mut by_flow: BTreeMap<(FrameId, String), usize> = BTreeMap::new();
        for event in events(engine, "one").await {
            if let EventKind::StateEntered { name, .. } = event.kind {
                *by_flow.entry((event.frame, name.to_string())).or_default() += 1;
            }
        }
        for ((_, name), entries) in &by_flow {
            let most = self.scenario.most_entries(name);
            assert!(*entries <= most, "{name} is entered {entries} times");
        }
        by_flow.retain(|(frame, _), _| *frame == 0);
        let left = engine
            .inner
            .history
            .read(|connection| crate::history::activities::queue(connection, scenario::ACTIVITY, usize::MAX >> 1));
        assert_eq!(
            left.await.expect("a readable queue"),
            [],
            "nothing waits for a closed execution"
        );
        let mut wanted = vec!["RUNNING", record.status.as_str()];
        if record.redrive_count > 0 {
            wanted.push("FAILED");
        }
        let is_told = |status: &&str| self.heard.statuses().iter().any(|told| told == status);
        while !wanted.iter().all(is_told) {
            if self.faults.has_crashed() {
                return None;
            }
            tokio::task::yield_now().await;
        }
        let mut told = self.heard.statuses();
        told.sort();
        told.dedup();
        Some(Ending {
            status: record.status,
            output: record.output,
            failure: record.failure,
            redrive_count: record.redrive_count,
            entries: by_flow
                .into_iter()
                .map(|((_, name), entries)| (name, entries))
                .collect(),
            told,
        })
    }
}

/// What there is to do for an execution.
enum Looked {
    /// It goes on by itself, or will when it is told what is on its way.
    Busy,
    /// Nothing but time moves it.
    Due(DateTime<Utc>),
    Stuck,
    /// It failed and has not been redriven.
    Failed,
    Ended,
}

#[test]
fn whatever_goes_wrong_it_ends_as_if_nothing_had() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    simulate(SIMULATIONS, (scenario(), disturbances()), |(scenario, disturbances)| {
        runtime.block_on(async {
            let mut calm = Simulation::new(&scenario, Vec::new());
            let expected = calm.run(&[], &[]).await;
            let commits = calm.faults.plan().commits as usize;
            let commit = |index: &prop::sample::Index| index.index(commits) as u64 + 1;
            let crashes: Vec<u64> = disturbances.crashes.iter().map(commit).collect();
            let failures: Vec<u64> = disturbances.failures.iter().map(commit).collect();
            let mut disturbed = Simulation::new(&scenario, disturbances.draws);
            let ending = disturbed.run(&crashes, &failures).await;
            prop_assert_eq!(ending, expected);
            Ok(())
        })
    });
}
