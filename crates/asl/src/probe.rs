//! A single state by itself, as TestState has it: entered with what it is given, answered with a mock or by the world,
//! and watched as it goes.
//!
//! It is the interpreter that runs the state. The execution around it is made up, and never goes on to the next state;
//! what is learnt of the way in between, [`Stages`], the interpreter tells an observer that ordinary executions do not
//! have.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::Json;
use crate::advance::{Fault, Transition};
use crate::definition::{Kind, Problem, QueryLanguage, State, StateMachine, TESTED};
use crate::event::{EventKind, Failure, Identity, Resource, StateType};
use crate::execution::{At, Execution, ROOT, Status, Task};
use crate::state::{Work, container, items};
use crate::trigger::{Moment, Trigger};

/// A definition's state that is to be tested.
#[derive(Debug)]
pub struct Tested {
    machine: StateMachine,
    /// The states within its branches or iterations.
    inner: Vec<Arc<str>>,
}

impl Tested {
    /// Reads the state of this name, or, without one, the state that the whole definition is.
    ///
    /// `None` if there is no state of the name.
    pub fn parse(definition: &str, state_name: Option<&str>) -> Result<Option<Self>, Vec<Problem>> {
        let mut machine = StateMachine::of_tested(definition, state_name)?;
        let Some(mut state) = machine.states.remove(state_name.unwrap_or(TESTED)) else {
            return Ok(None);
        };
        let within = format!("{}/", state.pointer);
        let others = machine.states.values();
        let inner = others.filter(|other| other.pointer.starts_with(&within));
        let inner = inner.map(|other| other.name.clone()).collect();
        // Whatever it is called, AWS tests it under this name.
        let name: Arc<str> = TESTED.into();
        state.name = name.clone();
        let machine = StateMachine {
            start_at: name.clone(),
            timeout_seconds: None,
            keeps_history: false,
            prints_input: false,
            states: [(name, state)].into(),
        };
        Ok(Some(Self { machine, inner }))
    }

    fn state(&self) -> &State {
        self.machine
            .state(TESTED)
            .expect("a tested state is in its own state machine")
    }

    pub fn state_type(&self) -> StateType {
        self.state().kind.state_type()
    }

    /// What it calls, if it is a Task.
    pub fn resource(&self) -> Option<&Resource> {
        match &self.state().kind {
            Kind::Task(task) => Some(&task.resource),
            _ => None,
        }
    }

    /// How many branches it has, if it is a Parallel state.
    pub fn branches(&self) -> Option<usize> {
        match &self.state().kind {
            Kind::Parallel { branches } => Some(branches.len()),
            _ => None,
        }
    }

    /// Whether it is a Map state that writes its results elsewhere.
    pub fn writes_result(&self) -> bool {
        match &self.state().kind {
            Kind::Map(map) => map
                .distributed
                .as_ref()
                .is_some_and(|distributed| distributed.writes_result),
            _ => false,
        }
    }

    /// Whether a state of this name is within its branches or iterations.
    pub fn contains(&self, name: &str) -> bool {
        self.inner.iter().any(|inner| &**inner == name)
    }
}

/// What a tested state is given.
#[derive(Clone, Debug)]
pub struct Setup {
    pub identity: Arc<Identity>,
    pub input: Json,
    pub variables: BTreeMap<String, Json>,
    /// The Context Object, instead of the one that the execution has.
    pub context: Option<Value>,
    /// How often the Retrier that takes the state's error has had it retried before.
    pub retries: Option<u32>,
    /// What the `ItemReader` of a Map would read.
    pub items: Option<Box<str>>,
    /// How many iterations of a Map are taken to have failed.
    pub failed_iterations: Option<u64>,
    /// How long the state may take.
    pub limit_seconds: u64,
}

/// What is seen of a state on its way; absent where it did not get so far, or has no such stage.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    pub after_input_path: Option<Json>,
    /// `Parameters` in JSONPath, `Arguments` in JSONata.
    pub after_arguments: Option<Json>,
    pub after_items_path: Option<Json>,
    pub after_items_pointer: Option<Json>,
    pub after_item_selector: Option<Json>,
    pub after_item_batcher: Option<Json>,
    pub result: Option<Json>,
    pub after_result_selector: Option<Json>,
    pub after_result_path: Option<Json>,
    pub max_concurrency: Option<u64>,
    pub tolerated_failure_count: Option<u64>,
    pub tolerated_failure_percentage: Option<f64>,
    /// The Retrier that took an error, and for how long it waits.
    pub retry: Option<(usize, TimeDelta)>,
    /// The Catcher that took an error.
    pub catch: Option<usize>,
    pub(crate) failure: Option<Failure>,
}

/// What the interpreter is told of a test, and whom it tells what it does.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) context: Option<Value>,
    pub(crate) retries: Option<u32>,
    pub(crate) items: Option<Box<str>>,
    stages: RefCell<Stages>,
}

impl Observer {
    pub(crate) fn note(&self, note: impl FnOnce(&mut Stages)) {
        note(&mut self.stages.borrow_mut());
    }

    /// Whether the state said how many iterations may fail.
    fn saw_threshold(&self) -> bool {
        let stages = self.stages.borrow();
        stages.tolerated_failure_count.is_some() || stages.tolerated_failure_percentage.is_some()
    }
}

/// How a tested state stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits for a call, for time or for what its branches or iterations come to.
    Waiting,
    Succeeded,
    Failed,
    /// It failed, and a Retrier would have it begin anew.
    Retriable,
    /// It failed, and a Catcher took the error.
    CaughtError,
}

/// What a tested state came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub standing: Standing,
    pub output: Option<Json>,
    pub failure: Option<Failure>,
    pub next: Option<Arc<str>>,
}

/// A test of one state.
#[derive(Debug)]
pub struct Probe {
    tested: Arc<Tested>,
    execution: Execution,
    observer: Observer,
    input: Json,
    failed_iterations: u64,
}

impl Probe {
    /// Enters the state and begins its work.
    pub fn begin(tested: Arc<Tested>, setup: Setup, moment: &Moment) -> Self {
        let mut probe = Self {
            tested,
            execution: Execution::default(),
            observer: Observer {
                context: setup.context,
                retries: setup.retries,
                items: setup.items,
                stages: RefCell::default(),
            },
            input: setup.input.clone(),
            failed_iterations: setup.failed_iterations.unwrap_or_default(),
        };
        let name = probe.tested.machine.start_at.clone();
        let assigned = (!setup.variables.is_empty()).then(|| Arc::new(setup.variables));
        probe.transition(moment, |transition| {
            let started = EventKind::ExecutionStarted {
                identity: setup.identity,
                input: setup.input.clone(),
                timeout_seconds: Some(setup.limit_seconds),
                start_at: name.clone(),
            };
            transition.emit_after(ROOT, 0, started);
            // A state before it left the variables and led here.
            let before = EventKind::StateExited {
                state_type: StateType::Pass,
                name: name.clone(),
                output: setup.input,
                assigned,
                next: Some(name),
            };
            transition.emit(ROOT, before);
            transition.step(ROOT);
            transition.step(ROOT);
            let result = select_items(transition);
            transition.settle(ROOT, result);
        });
        probe
    }

    fn transition<T>(&mut self, moment: &Moment, go: impl FnOnce(&mut Transition<'_>) -> T) -> T {
        let machine = &self.tested.machine;
        go(&mut Transition::new(
            machine,
            &mut self.execution,
            moment,
            Some(&self.observer),
        ))
    }

    /// Takes in what the world has to tell, as an execution does, but goes on to no other state.
    pub fn take(&mut self, trigger: Trigger, moment: &Moment) {
        self.transition(moment, |transition| transition.take(trigger));
    }

    /// Answers what the state waits for with a result or an error that is made up.
    pub fn answer(&mut self, answer: Result<Json, Failure>, moment: &Moment) {
        if let Some(task) = self.task() {
            let scheduled = task.scheduled;
            let trigger = match answer {
                Ok(output) => Trigger::TaskSucceeded { scheduled, output },
                Err(failure) => Trigger::TaskFailed { scheduled, failure },
            };
            return self.take(trigger, moment);
        }
        if !self.waits_for_children() {
            return;
        }
        let failed = self.failed_iterations;
        self.transition(moment, |transition| {
            let result = match answer {
                Ok(result) => end_children(transition, failed, result),
                Err(failure) => Err(failure.into()),
            };
            transition.settle(ROOT, result);
        });
    }

    /// The call that the state waits for.
    pub fn task(&self) -> Option<&Task> {
        let root = self.execution.frames.get(&ROOT)?;
        match &root.at {
            At::Task(task) if self.execution.status() == Status::Running => Some(task),
            _ => None,
        }
    }

    /// Whether it waits for what its branches or iterations come to.
    pub fn waits_for_children(&self) -> bool {
        let root = self.execution.frames.get(&ROOT);
        let has_children = root.is_some_and(|root| matches!(root.at, At::Children(_)));
        has_children && self.execution.status() == Status::Running
    }

    /// How many items a Map has.
    pub fn items(&self) -> Option<usize> {
        match &self.execution.frames.get(&ROOT)?.at {
            At::Children(children) => Some(children.map.as_ref()?.items.value().as_array()?.len()),
            _ => None,
        }
    }

    /// When time alone moves it on.
    pub fn due(&self) -> Option<DateTime<Utc>> {
        self.execution.due()
    }

    pub fn input(&self) -> &Json {
        &self.input
    }

    /// The variables as they are now.
    pub fn variables(&self) -> Json {
        let variables = self.execution.variables();
        let members = variables.iter().map(|(name, value)| (name.clone(), (**value).clone()));
        Value::Object(members.collect()).into()
    }

    /// What it came to, or that it waits.
    pub fn outcome(&self) -> Outcome {
        let seen = self.observer.stages.borrow();
        let outcome = |standing, failure| Outcome {
            standing,
            output: None,
            failure,
            next: None,
        };
        if self.execution.status() != Status::Running {
            return outcome(Standing::Failed, Some(self.execution.failure().clone()));
        }
        let ended = match seen.catch {
            Some(_) => Standing::CaughtError,
            None => Standing::Succeeded,
        };
        match self.execution.frames.get(&ROOT).map(|root| &root.at) {
            Some(At::Entering { name, input }) => Outcome {
                output: Some(input.clone()),
                next: Some(name.clone()),
                ..outcome(ended, seen.failure.clone())
            },
            Some(At::Ended { output }) => Outcome {
                output: Some(output.clone()),
                ..outcome(ended, seen.failure.clone())
            },
            Some(At::Retrying { .. }) => outcome(Standing::Retriable, seen.failure.clone()),
            _ => outcome(Standing::Waiting, None),
        }
    }

    /// What was seen on the way, as far as AWS shows it of a state of this type and query language.
    pub fn stages(&self) -> Stages {
        let state = self.tested.state();
        let seen = self.observer.stages.borrow().clone();
        let is_jsonpath = state.language == QueryLanguage::JsonPath;
        let state_type = state.kind.state_type();
        let has_result = matches!(
            state_type,
            StateType::Pass | StateType::Task | StateType::Parallel | StateType::Map
        );
        // Of a Pass state with a `Result`, AWS shows nothing of the input that the result stands for.
        let has_fixed_result = matches!(state.kind, Kind::Pass { result: Some(_) });
        let after_input_path = match state_type {
            StateType::Parallel => None,
            _ if has_fixed_result => None,
            // It has no `InputPath`; AWS shows its input all the same.
            StateType::Fail => Some(self.input.clone()),
            _ => seen.after_input_path,
        };
        let after_arguments = match state_type {
            StateType::Task => seen.after_arguments,
            StateType::Pass if is_jsonpath && !has_fixed_result => seen.after_arguments,
            _ => None,
        };
        Stages {
            after_input_path: after_input_path.filter(|_| is_jsonpath),
            after_arguments,
            after_items_path: seen.after_items_path.filter(|_| is_jsonpath),
            after_result_selector: seen.after_result_selector.filter(|_| has_result),
            after_result_path: seen.after_result_path.filter(|_| has_result),
            ..seen
        }
    }

    /// Whether the state is written in JSONata.
    pub fn is_jsonata(&self) -> bool {
        self.tested.state().language == QueryLanguage::Jsonata
    }
}

/// What a Map's iterations would begin with.
fn select_items(transition: &mut Transition<'_>) -> Result<(), Fault> {
    let At::Children(children) = &transition.execution.frame(ROOT).at else {
        return Ok(());
    };
    let state = transition.state_of(ROOT)?;
    let (Kind::Map(map), Some(children)) = (&state.kind, &children.map) else {
        return Ok(());
    };
    let mut inputs = children.items.clone();
    let work = Work::new(transition, ROOT, state);
    if let Some(selector) = &map.item_selector {
        inputs = items::select(transition, ROOT, &work, selector, &inputs)?;
        transition.observe(|stages| stages.after_item_selector = Some(inputs.clone()));
    }
    let batcher = map
        .distributed
        .as_ref()
        .and_then(|distributed| distributed.batcher.as_ref());
    if let (Some(batcher), Some(inputs)) = (batcher, inputs.value().as_array()) {
        let batches = items::batch(&work, transition, batcher, inputs)?;
        transition.observe(|stages| stages.after_item_batcher = Some(batches));
    }
    Ok(())
}

/// Ends a Parallel or Map state with a result of its branches or iterations, so many of which are taken to have failed.
fn end_children(transition: &mut Transition<'_>, failed: u64, result: Json) -> Result<(), Fault> {
    let state = transition.state_of(ROOT)?;
    let At::Children(children) = &transition.execution.frame(ROOT).at else {
        return Ok(());
    };
    let tolerated = children.run().map(|run| u64::from(run.tolerance.failures));
    // Unlike a Map Run, a test without a threshold tolerates everything.
    let has_threshold = transition.observer.is_some_and(Observer::saw_threshold);
    if has_threshold && tolerated.is_some_and(|tolerated| tolerated < failed) {
        return Err(container::exceeded_threshold(transition, ROOT));
    }
    container::succeed(transition, ROOT, state, result)
}

#[cfg(test)]
mod tests;
