//! Playing a case: the interpreter, the script and a clock that jumps.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::compare::{Difference, compare};
use super::fields::closest;
use super::{Answer, Answers, Case, Suite, TaskResult, path};
use crate::definition::Kind;
use crate::{
    Event, EventId, Execution, Identity, Json, Mark, Moment, Resource, StateMachine, Status, Task, Trigger, advance,
};

/// More triggers than a history of AWS's quota has room for: an execution that is still running then only beats.
const MAX_TRIGGERS: usize = 100_000;

/// A case that was played.
#[derive(Debug)]
pub struct Played {
    pub status: Status,
    pub error: Option<Arc<str>>,
    pub cause: Option<Arc<str>>,
    pub output: Option<Json>,
    /// By the execution's own clock.
    pub elapsed: TimeDelta,
    /// The states that it went through, in the form in which a test file has them.
    pub path: Vec<Value>,
    /// Empty if everything went as expected.
    pub differences: Vec<Difference>,
}

/// What was lived, to be compared.
pub(super) struct Lived {
    pub(super) execution: Execution,
    pub(super) events: Vec<Event>,
    pub(super) elapsed: TimeDelta,
    pub(super) path: Vec<Value>,
    /// The arguments of each state's calls.
    pub(super) calls: BTreeMap<String, Vec<Value>>,
}

impl Suite {
    /// Plays one case of a state machine of this name.
    pub fn play(machine: &StateMachine, name: &str, case: &Case) -> Played {
        let mut world = World {
            machine,
            case,
            execution: Execution::default(),
            events: Vec::new(),
            now: case.start,
            draws: 0,
            agenda: BTreeMap::new(),
            entries: 0,
            used: HashMap::new(),
            calls: BTreeMap::new(),
        };
        let mut differences = no_such_tasks(machine, case);
        let broken = world.run(identity(name)).err();
        let went_through = broken.is_none();
        differences.extend(broken.map(|difference| *difference));
        let lived = Lived {
            elapsed: world.execution.stopped_at().unwrap_or(world.now) - case.start,
            path: path::path(&world.events),
            execution: world.execution,
            events: world.events,
            calls: world.calls,
        };
        if went_through {
            differences.extend(unused(case, &world.used));
        }
        differences.extend(compare(case, &lived));
        let failure = lived.execution.failure().clone();
        Played {
            status: lived.execution.status(),
            error: failure.error,
            cause: failure.cause,
            output: lived.execution.output().cloned(),
            elapsed: lived.elapsed,
            path: lived.path,
            differences,
        }
    }
}

fn identity(machine: &str) -> Arc<Identity> {
    Arc::new(Identity {
        execution_arn: format!("arn:aws:states:us-west-2:000000000000:execution:{machine}:test").into(),
        name: "test".into(),
        state_machine_arn: format!("arn:aws:states:us-west-2:000000000000:stateMachine:{machine}").into(),
        state_machine_name: machine.into(),
        role_arn: "arn:aws:iam::000000000000:role/test".into(),
        published: crate::Published::default(),
    })
}

/// A resource as definitions write it.
fn arn(resource: &Resource) -> String {
    match resource.resource_type.is_empty() {
        true => resource.resource.to_string(),
        false => format!("arn:aws:states:::{}:{}", resource.resource_type, resource.resource),
    }
}

/// The scripts that are for nothing in the state machine.
fn no_such_tasks(machine: &StateMachine, case: &Case) -> Vec<Difference> {
    let mut names = Vec::new();
    let mut resources = Vec::new();
    for state in machine.states.values() {
        if let Kind::Task(task) = &state.kind {
            names.push(&*state.name);
            resources.push(arn(&task.resource));
        }
    }
    let known = |task: &str| names.contains(&task) || resources.iter().any(|resource| resource == task);
    let unknown = case.tasks.keys().filter(|task| !known(task));
    unknown
        .map(|task| Difference::NoSuchTask {
            task: task.clone(),
            meant: closest(task, names.iter().copied()).map(str::to_owned),
        })
        .collect()
}

fn unused(case: &Case, used: &HashMap<&str, usize>) -> Vec<Difference> {
    let left = case.tasks.iter().filter_map(|(task, answers)| {
        let used = used.get(task.as_str()).copied().unwrap_or_default();
        match answers {
            Answers::InTurn(answers) if used < answers.len() => Some(Difference::Unused {
                task: task.clone(),
                scripted: answers.len(),
                used,
            }),
            _ => None,
        }
    });
    left.collect()
}

/// One execution with its world.
struct World<'a> {
    machine: &'a StateMachine,
    case: &'a Case,
    execution: Execution,
    events: Vec<Event>,
    now: DateTime<Utc>,
    draws: u128,
    /// What the world will say, and when; of what is said at the same moment, the first that was decided on.
    agenda: BTreeMap<(DateTime<Utc>, u64), Said>,
    entries: u64,
    /// How many results of each script were used.
    used: HashMap<&'a str, usize>,
    calls: BTreeMap<String, Vec<Value>>,
}

enum Said {
    Once(Trigger),
    /// Heartbeats, for as long as the task is awaited.
    Beat {
        scheduled: EventId,
        every: TimeDelta,
    },
}

impl<'a> World<'a> {
    fn run(&mut self, identity: Arc<Identity>) -> Result<(), Box<Difference>> {
        let input = self.case.input.clone();
        self.take(Trigger::Start { identity, input })?;
        for _ in 0..MAX_TRIGGERS {
            if self.execution.status() != Status::Running {
                return Ok(());
            }
            if self.execution.is_runnable() {
                self.take(Trigger::Continue)?;
                continue;
            }
            let said = self.agenda.first_key_value().map(|((at, _), _)| *at);
            match (said, self.execution.due()) {
                // An answer at the moment of its time-out is in time.
                (Some(said), due) if due.is_none_or(|due| said <= due) => self.hear()?,
                (_, Some(due)) => {
                    self.now = self.now.max(due);
                    self.take(Trigger::Clock)?;
                }
                (_, None) => {
                    let states = self.waiting_states();
                    return Err(Box::new(Difference::Stuck { states }));
                }
            }
        }
        Err(Box::new(Difference::Endless { triggers: MAX_TRIGGERS }))
    }

    /// Takes in what the world says next.
    fn hear(&mut self) -> Result<(), Box<Difference>> {
        let Some(((at, _), said)) = self.agenda.pop_first() else {
            return Ok(());
        };
        match said {
            Said::Once(trigger) => {
                self.now = self.now.max(at);
                self.take(trigger)
            }
            Said::Beat { scheduled, .. } if self.execution.task(scheduled).is_none() => Ok(()),
            Said::Beat { scheduled, every } => {
                self.now = self.now.max(at);
                self.say(every, Said::Beat { scheduled, every });
                self.take(Trigger::TaskHeartbeat { scheduled })
            }
        }
    }

    fn say(&mut self, after: TimeDelta, said: Said) {
        // What would be said after the end of time is never said.
        if let Some(at) = self.now.checked_add_signed(after) {
            self.agenda.insert((at, self.entries), said);
            self.entries += 1;
        }
    }

    fn take(&mut self, trigger: Trigger) -> Result<(), Box<Difference>> {
        let before = self.execution.mark();
        self.draws += 1;
        let moment = Moment {
            now: self.now,
            seed: seed(self.draws),
        };
        let events = advance(self.machine, &mut self.execution, trigger, &moment);
        self.events.extend(events);
        let tasks: Vec<Task> = self.execution.tasks_since(before).cloned().collect();
        tasks.into_iter().try_for_each(|task| self.call(&task))
    }

    /// Looks up what a call comes to.
    fn call(&mut self, task: &Task) -> Result<(), Box<Difference>> {
        let state = self.state_of(task.scheduled);
        let resource = arn(&task.schedule.resource);
        let arguments = task.schedule.parameters.value().clone();
        let calls = self.calls.entry(state.clone()).or_default();
        calls.push(arguments.clone());
        let call = calls.len();
        let script = self.case.tasks.get_key_value(&state);
        let script = script.or_else(|| self.case.tasks.get_key_value(&resource));
        let unscripted = |scripted| {
            Box::new(Difference::Unscripted {
                state,
                resource,
                arguments,
                call,
                scripted,
            })
        };
        let Some((name, answers)) = script else {
            return Err(unscripted(0));
        };
        let used = self.used.entry(name).or_default();
        let answer = match answers {
            Answers::Always(answer) => answer.clone(),
            Answers::InTurn(answers) => answers.get(*used).cloned().ok_or_else(|| unscripted(answers.len()))?,
        };
        *used += 1;
        self.answer(task, answer);
        Ok(())
    }

    fn answer(&mut self, task: &Task, answer: Answer) {
        let scheduled = task.scheduled;
        let resource = &task.schedule.resource;
        if resource.is_activity() {
            let worker = None;
            let started = Trigger::ActivityStarted { scheduled, worker };
            self.say(TimeDelta::zero(), Said::Once(started));
        } else if resource.waits() {
            let output = Json::empty_object();
            let submitted = Trigger::TaskSubmitted { scheduled, output };
            self.say(TimeDelta::zero(), Said::Once(submitted));
        }
        if let Some(every) = answer.heartbeat_every {
            self.say(every, Said::Beat { scheduled, every });
        }
        let trigger = match answer.result {
            TaskResult::Succeeds(output) => Trigger::TaskSucceeded { scheduled, output },
            TaskResult::Fails(failure) => Trigger::TaskFailed { scheduled, failure },
            TaskResult::Never => return,
        };
        self.say(answer.after, Said::Once(trigger));
    }

    fn state_of(&self, scheduled: EventId) -> String {
        let frame = self.execution.task_frame(scheduled);
        let state = frame.and_then(|frame| self.execution.frame(frame).state.clone());
        state.map_or_else(String::new, |state| state.name.to_string())
    }

    fn waiting_states(&self) -> Vec<String> {
        let tasks = self.execution.tasks_since(Mark::default());
        tasks.map(|task| self.state_of(task.scheduled)).collect()
    }
}

/// Randomness that is the same in every run: odd multiples of the golden ratio are well spread.
fn seed(draw: u128) -> u128 {
    draw.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
}
