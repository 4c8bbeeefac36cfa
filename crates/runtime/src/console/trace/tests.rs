//! What holds of the trace of every history: histories of generated state machines, played by the interpreter itself.

use std::collections::BTreeMap;

use asl::{Execution, Failure, Identity, Json, Mark, Moment as Now, StateMachine, Status, Trigger, advance};
use chrono::TimeDelta;
use proptest::prelude::*;
use scenario::{Answer, Scenario, scenario, simulate};
use serde_json::json;

use super::super::plan;
use super::super::view::{Items, Shown};
use super::*;

/// How many machines the ordinary test run plays.
const SIMULATIONS: u32 = 500;

/// More steps than any generated machine needs: one that is still running then is stuck.
const MAX_STEPS: usize = 20_000;

/// One execution with its log, in a world where time passes and answers come in any order.
struct World<'a> {
    scenario: &'a Scenario,
    machine: StateMachine,
    log: Vec<Event>,
    execution: Execution,
    now: Moment,
    calls: Vec<EventId>,
    heartbeats: BTreeMap<EventId, u64>,
    healed: bool,
    draws: Vec<u8>,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, draws: Vec<u8>) -> Self {
        Self {
            scenario,
            machine: StateMachine::parse(&scenario.definition.to_string()).expect("a valid definition"),
            log: Vec::new(),
            execution: Execution::default(),
            now: Moment::UNIX_EPOCH,
            calls: Vec::new(),
            heartbeats: BTreeMap::new(),
            healed: false,
            draws,
        }
    }

    fn draw(&mut self) -> u8 {
        self.draws.pop().unwrap_or(1)
    }

    fn take(&mut self, trigger: Trigger) {
        let before = self.execution.mark();
        let passed = TimeDelta::milliseconds(self.draw().into());
        self.now += passed;
        let moment = Now {
            now: self.now,
            seed: self.log.len() as u128,
        };
        self.log
            .extend(advance(&self.machine, &mut self.execution, trigger, &moment));
        self.calls
            .extend(self.execution.tasks_since(before).map(|task| task.scheduled));
    }

    /// Up to its end, twice if it fails, or until somebody stops it.
    fn run(&mut self, stopped_after: usize) {
        self.run_once(stopped_after);
        if self.execution.status() != Status::Succeeded {
            self.healed = true;
            self.now += TimeDelta::days(2);
            self.calls.clear();
            self.take(Trigger::Redrive);
            self.calls = self
                .execution
                .tasks_since(Mark::default())
                .map(|task| task.scheduled)
                .collect();
            self.run_once(MAX_STEPS);
        }
    }

    fn run_once(&mut self, stopped_after: usize) {
        for step in 0..MAX_STEPS {
            if !self.log.is_empty() && self.execution.status() != Status::Running {
                return;
            }
            if step == stopped_after && !self.log.is_empty() {
                self.take(Trigger::Stop(Failure::default()));
            } else if self.log.is_empty() {
                self.take(self.start());
            } else if self.execution.is_runnable() {
                self.take(Trigger::Continue);
            } else if let Some(answer) = self.next_answer() {
                self.take(answer);
            } else {
                self.now = self.now.max(self.execution.due().expect("it waits for something"));
                self.take(Trigger::Clock);
            }
        }
        panic!("still running after {MAX_STEPS} steps");
    }

    fn start(&self) -> Trigger {
        let identity = Identity {
            execution_arn: "arn:aws:states:us-west-2:000000000000:execution:machine:name".into(),
            name: "name".into(),
            state_machine_arn: "arn:aws:states:us-west-2:000000000000:stateMachine:machine".into(),
            state_machine_name: "machine".into(),
            role_arn: "arn:aws:iam::000000000000:role/role".into(),
            published: asl::Published::default(),
        };
        Trigger::Start {
            identity: identity.into(),
            input: self.scenario.input.clone().into(),
        }
    }

    fn answer(&self, scheduled: EventId) -> Option<Trigger> {
        let task = self.execution.task(scheduled)?;
        let asked = task.schedule.parameters.value();
        let answer = scenario::answer(asked, self.healed);
        if answer != Answer::Never && task.schedule.resource.waits() && !task.submitted {
            let output = Json::empty_object();
            return Some(Trigger::TaskSubmitted { scheduled, output });
        }
        if self.heartbeats.get(&scheduled).copied().unwrap_or_default() < scenario::heartbeats(asked) {
            return Some(Trigger::TaskHeartbeat { scheduled });
        }
        match answer {
            Answer::Never => None,
            Answer::Fails => Some(Trigger::TaskFailed {
                scheduled,
                failure: Failure::new(scenario::ERROR, scenario::CAUSE),
            }),
            Answer::Succeeds(output) => Some(Trigger::TaskSucceeded {
                scheduled,
                output: output.into(),
            }),
        }
    }

    fn next_answer(&mut self) -> Option<Trigger> {
        let draw = usize::from(self.draw());
        let calls = self.calls.clone();
        let answers = calls.iter().filter_map(|call| Some((*call, self.answer(*call)?)));
        let answers: Vec<(EventId, Trigger)> = answers.collect();
        let (call, answer) = answers.get(draw % answers.len().max(1))?.clone();
        match answer {
            Trigger::TaskSubmitted { .. } => {}
            Trigger::TaskHeartbeat { .. } => *self.heartbeats.entry(call).or_default() += 1,
            _ => self.calls.retain(|other| *other != call),
        }
        Some(answer)
    }
}

fn traced(log: &[Event]) -> Trace {
    let mut trace = Trace::default();
    for (position, event) in log.iter().enumerate() {
        trace.apply(position as Position, event);
    }
    trace
}

/// The events that are seen, by what they are.
fn count(log: &[Event], wanted: impl Fn(&EventKind) -> bool) -> usize {
    log.iter().filter(|event| wanted(&event.kind)).count()
}

/// Every visit is one StateEntered, every attempt lies within it, no two of them overlap, and those that have begun
/// have ended when the execution has.
fn assert_visits(trace: &Trace, log: &[Event], ended: bool) -> Result<(), TestCaseError> {
    let entered = log
        .iter()
        .enumerate()
        .filter_map(|(position, event)| match &event.kind {
            EventKind::StateEntered { name, .. } => Some((position as Position, name.clone())),
            _ => None,
        });
    let visited = trace.visits.iter().map(|visit| (visit.entered, visit.state.clone()));
    prop_assert_eq!(visited.collect::<Vec<_>>(), entered.collect::<Vec<_>>());
    for visit in &trace.visits {
        let mut free = visit.entered_at;
        for attempt in &visit.attempts {
            let run = trace.runs[attempt.run];
            let to = attempt.to.or(run.to);
            prop_assert!(free <= attempt.from, "{visit:?}");
            prop_assert!(to.is_none_or(|to| attempt.from <= to), "{visit:?}");
            prop_assert!(
                run.from <= attempt.from && run.to.is_none_or(|end| attempt.from <= end),
                "{visit:?}"
            );
            prop_assert_eq!(attempt.to.is_none(), attempt.outcome == Outcome::Running, "{:?}", visit);
            prop_assert!(attempt.submitted.is_none_or(|at| attempt.from <= at), "{visit:?}");
            free = to.unwrap_or(free);
        }
        let left = log
            .iter()
            .enumerate()
            .find(|(position, _)| Some(*position as Position) == visit.exited.map(|(at, _)| at));
        let outcome = matches!(visit.outcome, Outcome::Succeeded | Outcome::Caught);
        prop_assert_eq!(left.is_some(), outcome, "{:?}", visit);
        let is_exit = left.is_none_or(|(_, event)| matches!(event.kind, EventKind::StateExited { .. }));
        prop_assert!(is_exit, "{visit:?}");
        if ended {
            prop_assert!(!visit.is_open(), "{visit:?}");
        }
    }
    prop_assert_eq!(
        trace.visits.iter().filter(|visit| visit.exited.is_some()).count(),
        count(log, |kind| matches!(kind, EventKind::StateExited { .. }))
    );
    Ok(())
}

/// Every time that a task was called is one attempt, in the run that it was called in.
fn assert_attempts(trace: &Trace, log: &[Event]) -> Result<(), TestCaseError> {
    let attempts = || trace.visits.iter().flat_map(|visit| &visit.attempts);
    let mut scheduled: Vec<Position> = attempts().filter_map(|attempt| attempt.scheduled).collect();
    scheduled.sort_unstable();
    let called = log.iter().enumerate();
    let called = called.filter(|(_, event)| matches!(event.kind, EventKind::TaskScheduled(_)));
    prop_assert_eq!(
        scheduled,
        called.map(|(position, _)| position as Position).collect::<Vec<_>>()
    );
    let failures = |kind: &EventKind| matches!(kind, EventKind::TaskFailed { .. } | EventKind::TaskTimedOut { .. });
    let failed = attempts().filter(|attempt| attempt.scheduled.is_some() && attempt.ended.is_some());
    let failed = failed.filter(|attempt| matches!(attempt.outcome, Outcome::Failed | Outcome::TimedOut));
    prop_assert!(count(log, failures) <= failed.count());
    for attempt in attempts().filter(|attempt| attempt.scheduled.is_some()) {
        let at = attempt
            .scheduled
            .and_then(|position| usize::try_from(position).ok())
            .unwrap_or_default();
        let redrives = count(&log[..at], |kind| matches!(kind, EventKind::ExecutionRedriven { .. }));
        prop_assert_eq!(attempt.run, redrives);
        prop_assert_eq!(attempt.from, log[at].time);
    }
    Ok(())
}

/// Runs are split where it was redriven, and end where it ended.
fn assert_runs(trace: &Trace, log: &[Event]) -> Result<(), TestCaseError> {
    let begins = log.iter().filter(|event| {
        matches!(
            event.kind,
            EventKind::ExecutionStarted { .. } | EventKind::ExecutionRedriven { .. }
        )
    });
    let begins: Vec<Moment> = begins.map(|event| event.time).collect();
    prop_assert_eq!(trace.runs.iter().map(|run| run.from).collect::<Vec<_>>(), begins);
    for pair in trace.runs.windows(2) {
        prop_assert!(pair[0].to.is_some_and(|to| pair[0].from <= to && to <= pair[1].from));
    }
    Ok(())
}

/// What a page shows says the same as the execution itself.
fn assert_shown(trace: &Trace, execution: &Execution) -> Result<(), TestCaseError> {
    let shown = Shown::new(trace, &Items::new());
    let states = shown.states();
    prop_assert!(!states.is_empty());
    let names: Vec<&str> = states.iter().filter_map(|state| state["state"].as_str()).collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    prop_assert_eq!(unique.len(), names.len(), "a state has one line");
    let opening = shown.opening().expect("something is looked at first");
    prop_assert!(names.contains(&&*opening.state));
    let own: Vec<&Visit> = trace.visits_of(0).iter().map(|visit| &trace.visits[*visit]).collect();
    let last = own.last().expect("it was somewhere");
    match execution.status() {
        Status::Succeeded => {
            prop_assert!(matches!(last.outcome, Outcome::Succeeded | Outcome::Caught), "{last:?}");
            prop_assert_eq!(&plan::redrive(trace)["again"], &json!([]));
        }
        Status::Failed => {
            prop_assert!(last.has_failed(), "{last:?}");
            let ended_in = plan::ended_in(trace).map(|visit| &trace.visits[visit]);
            prop_assert!(ended_in.is_some_and(Visit::has_failed), "{ended_in:?}");
            prop_assert_eq!(
                ended_in.and_then(Visit::error),
                execution.failure().error.as_ref(),
                "{:?}",
                ended_in
            );
        }
        Status::TimedOut => prop_assert_eq!(last.outcome, Outcome::TimedOut),
        Status::Aborted => prop_assert!(last.outcome.is_bad(), "{last:?}"),
        Status::Running => prop_assert!(states.iter().any(|state| state["open"] == true)),
    }
    // Before the last all were left, the last one alone may not have been.
    prop_assert!(own.iter().rev().skip(1).all(|visit| visit.exited.is_some()));
    for state in &states {
        let bars = state["bars"].as_array().expect("bars");
        for bar in bars {
            let (from, to) = (bar["from"].as_i64(), bar["to"].as_i64());
            prop_assert!(to.is_none() || from <= to, "{state}");
        }
        // Side by side, never over each other.
        for pair in bars.windows(2) {
            prop_assert!(pair[1]["from"].as_i64() >= pair[0]["to"].as_i64(), "{state}");
        }
    }
    // A Map counts each item once.
    for items in states
        .iter()
        .map(|state| &state["items"])
        .filter(|items| items.is_object())
    {
        let of = |name: &str| items[name].as_u64().unwrap_or_default();
        let told = of("succeeded") + of("failed") + of("running") + of("aborted");
        prop_assert!(told <= of("total"), "{items}");
    }
    Ok(())
}

#[test]
fn a_trace_tells_what_the_history_does() {
    let draws = prop::collection::vec(any::<u8>(), 0..300);
    let stopped = prop_oneof![4 => Just(MAX_STEPS), 1 => 1..40_usize];
    simulate(
        SIMULATIONS,
        (scenario(), draws, stopped),
        |(scenario, draws, stopped)| {
            let mut world = World::new(&scenario, draws);
            world.run(stopped);
            let log = &world.log;
            // Whoever looked at any time on the way saw what was true then.
            let mut growing = Trace::default();
            for (position, event) in log.iter().enumerate() {
                growing.apply(position as Position, event);
                let is_whole = log.get(position + 1).is_none_or(|next| next.time != event.time);
                if is_whole && position % 7 == 0 {
                    let ended = Execution::replay(&log[..=position]).status() != Status::Running;
                    assert_visits(&growing, &log[..=position], ended)?;
                    assert_runs(&growing, &log[..=position])?;
                }
            }
            let whole = traced(log);
            prop_assert_eq!(
                format!("{:?}", whole.visits),
                format!("{:?}", growing.visits),
                "a trace goes on from where it was"
            );
            let execution = &world.execution;
            assert_visits(&whole, log, execution.status() != Status::Running)?;
            assert_attempts(&whole, log)?;
            assert_runs(&whole, log)?;
            assert_shown(&whole, execution)?;
            let told = log.iter().filter(|event| !event.is_hidden()).count();
            prop_assert_eq!(whole.entries.len(), told, "every event is on the list");
            Ok(())
        },
    );
}
