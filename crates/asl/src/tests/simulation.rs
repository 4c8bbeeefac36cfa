//! Generated state machines in a world that crashes: the outcome is the undisturbed run's, whatever happens.
//!
//! A run is a log of commits. A crash after any commit forgets everything else: what was in memory, what was under way.
//! Commits fail, triggers are lost, repeated and late, and the clock jumps. What a task answers depends only on what it
//! was asked, as a function that is called again for the same event would. A run that fails is redriven once, in a
//! world in which everything succeeds.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use scenario::{Answer, Scenario, scenario, simulate};

use crate::{
    Event, EventId, EventKind, Execution, Failure, FrameId, Identity, Json, Mark, Moment, StateMachine, Status,
    Trigger, advance,
};

/// How many machines the ordinary test run plays.
const SIMULATIONS: u32 = 2_000;

/// More steps than any generated machine needs: one that is still running then is stuck.
const MAX_STEPS: usize = 20_000;

/// What draws no disturbance.
const CALM: u8 = 254;

/// Where disturbances come from: a fixed sequence, used up from the back.
struct Chaos(Vec<u8>);

impl Chaos {
    fn draw(&mut self) -> u8 {
        self.0.pop().unwrap_or(CALM)
    }
}

/// One execution with its log.
struct World<'a> {
    scenario: &'a Scenario,
    machine: StateMachine,
    log: Vec<Event>,
    execution: Execution,
    now: DateTime<Utc>,
    /// Calls under way; forgotten in a crash, as their processes would be.
    calls: Vec<EventId>,
    /// Heartbeats sent, by the event that scheduled the task.
    heartbeats: BTreeMap<EventId, u64>,
    /// What has been delivered, to be delivered again.
    delivered: Vec<Trigger>,
    /// Whether every task succeeds by now.
    healed: bool,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let definition = &scenario.definition;
        let machine = StateMachine::parse(&definition.to_string())
            .unwrap_or_else(|problems| panic!("{problems:#?} in {definition:#}"));
        Self {
            scenario,
            machine,
            log: Vec::new(),
            execution: Execution::default(),
            now: DateTime::UNIX_EPOCH,
            calls: Vec::new(),
            heartbeats: BTreeMap::new(),
            delivered: Vec::new(),
            healed: false,
        }
    }

    /// Takes a trigger in; the commit is lost if `fails`, and with it all that followed from it.
    fn take(&mut self, trigger: &Trigger, fails: bool) {
        let before = self.execution.mark();
        let moment = Moment {
            now: self.now,
            seed: self.log.len() as u128,
        };
        let events = advance(&self.machine, &mut self.execution, trigger.clone(), &moment);
        if fails {
            self.crash();
            return;
        }
        self.log.extend(events);
        self.calls
            .extend(self.execution.tasks_since(before).map(|task| task.scheduled));
        self.delivered.push(trigger.clone());
    }

    /// Everything but the log is gone; what is owed is read off the replayed execution.
    fn crash(&mut self) {
        self.execution = Execution::replay(&self.log);
        self.calls = self
            .execution
            .tasks_since(Mark::default())
            .map(|task| task.scheduled)
            .collect();
    }

    fn start(&self) -> Trigger {
        let identity = Arc::new(Identity {
            execution_arn: "arn:aws:states:us-west-2:000000000000:execution:machine:name".into(),
            name: "name".into(),
            state_machine_arn: "arn:aws:states:us-west-2:000000000000:stateMachine:machine".into(),
            state_machine_name: "machine".into(),
            role_arn: "arn:aws:iam::000000000000:role/role".into(),
            published: crate::Published::default(),
        });
        let input = self.scenario.input.clone().into();
        Trigger::Start { identity, input }
    }

    /// What the world says next of a task, if it is ever to say anything.
    fn answer(&self, scheduled: EventId, early: bool) -> Option<Trigger> {
        let task = self.execution.task(scheduled)?;
        let asked = task.schedule.parameters.value();
        let answer = scenario::answer(asked, self.healed);
        let resource = &task.schedule.resource;
        if task.is_queued() {
            return Some(Trigger::ActivityStarted {
                scheduled,
                worker: None,
            });
        }
        // Who has the token may be quicker than the call's own answer.
        if answer != Answer::Never && resource.waits() && !task.submitted && !(early && resource.waits_for_token()) {
            let output = Json::empty_object();
            return Some(Trigger::TaskSubmitted { scheduled, output });
        }
        let heartbeats = self.heartbeats.get(&scheduled).copied().unwrap_or_default();
        if heartbeats < scenario::heartbeats(asked) {
            return Some(Trigger::TaskHeartbeat { scheduled });
        }
        match answer {
            Answer::Never => None,
            Answer::Fails => {
                let failure = Failure::new(scenario::ERROR, scenario::CAUSE);
                Some(Trigger::TaskFailed { scheduled, failure })
            }
            Answer::Succeeds(output) => {
                let output = output.into();
                Some(Trigger::TaskSucceeded { scheduled, output })
            }
        }
    }

    /// Runs until it is closed, and once more after a redrive if it did not succeed.
    fn run(&mut self, chaos: &mut Chaos) {
        self.run_until_closed(chaos);
        if self.execution.status() == Status::Succeeded {
            return;
        }
        self.healed = true;
        // What was said before belongs to the world before.
        self.delivered.clear();
        self.crash();
        let events = self.log.len();
        while self.log.len() == events {
            let fails = is_failure(chaos.draw());
            self.take(&Trigger::Redrive, fails);
        }
        self.delivered.clear();
        self.run_until_closed(chaos);
    }

    fn run_until_closed(&mut self, chaos: &mut Chaos) {
        for _ in 0..MAX_STEPS {
            if self.execution.status() != Status::Running {
                return;
            }
            let disturbance = chaos.draw();
            if disturbance < 30 {
                self.crash();
            }
            if disturbance.is_multiple_of(3) && !self.delivered.is_empty() {
                let again = usize::from(chaos.draw()) % self.delivered.len();
                let again = self.delivered[again].clone();
                self.take(&again, false);
                continue;
            }
            let fails = is_failure(disturbance);
            if self.log.is_empty() {
                let start = self.start();
                self.take(&start, fails);
            } else if self.execution.is_runnable() {
                self.take(&Trigger::Continue, fails);
            } else if let Some(answer) = self.next_answer(disturbance) {
                self.take(&answer, fails);
            } else {
                let due = self
                    .execution
                    .due()
                    .unwrap_or_else(|| panic!("stuck after {:?}", self.types()));
                // Whoever oversleeps finds several timers due.
                let late = if disturbance % 5 == 1 { chaos.draw() } else { 0 };
                self.now = self.now.max(due) + TimeDelta::seconds(late.into());
                self.take(&Trigger::Clock, fails);
            }
        }
        panic!(
            "still running after {MAX_STEPS} steps, at the end {:?}",
            self.types().split_off(self.log.len().saturating_sub(50))
        );
    }

    /// The answer of one of the calls under way, of any of them if there are several.
    fn next_answer(&mut self, disturbance: u8) -> Option<Trigger> {
        let early = disturbance % 7 == 1;
        let answering: Vec<usize> = (0..self.calls.len())
            .filter(|call| self.answer(self.calls[*call], early).is_some())
            .collect();
        let chosen = *answering.get(usize::from(disturbance) % answering.len().max(1))?;
        let scheduled = self.calls[chosen];
        let answer = self.answer(scheduled, early)?;
        match answer {
            Trigger::TaskSubmitted { .. } | Trigger::ActivityStarted { .. } => {}
            Trigger::TaskHeartbeat { .. } => *self.heartbeats.entry(scheduled).or_default() += 1,
            _ => drop(self.calls.remove(chosen)),
        }
        Some(answer)
    }

    /// What happened, for a failing run.
    fn types(&self) -> Vec<String> {
        self.log
            .iter()
            .map(|event| format!("{}:{}", event.frame, event.kind.type_name()))
            .collect()
    }

    /// How often each state was entered, by the flow that it was entered in: redone work would show here.
    fn entries(&self) -> BTreeMap<(FrameId, &str), usize> {
        let mut entries = BTreeMap::new();
        for event in &self.log {
            if let EventKind::StateEntered { name, .. } = &event.kind {
                *entries.entry((event.frame, &**name)).or_default() += 1;
            }
        }
        entries
    }

    /// Those of the machine's own flow; which branches came how far before another one failed may differ.
    fn own_entries(&self) -> BTreeMap<(FrameId, &str), usize> {
        let mut entries = self.entries();
        entries.retain(|(frame, _), _| *frame == 0);
        entries
    }
}

/// Whether the commit of a step fails.
fn is_failure(disturbance: u8) -> bool {
    (30..50).contains(&disturbance)
}

#[test]
fn a_disturbed_run_ends_as_the_undisturbed_one() {
    let chaos = prop::collection::vec(any::<u8>(), 0..200);
    simulate(SIMULATIONS, (scenario(), chaos), |(scenario, chaos)| {
        let mut calm = World::new(&scenario);
        calm.run(&mut Chaos(Vec::new()));
        let mut disturbed = World::new(&scenario);
        disturbed.run(&mut Chaos(chaos));

        prop_assert_eq!(disturbed.execution.status(), calm.execution.status());
        prop_assert_eq!(disturbed.execution.failure(), calm.execution.failure());
        prop_assert_eq!(disturbed.execution.output(), calm.execution.output());
        prop_assert_eq!(disturbed.own_entries(), calm.own_entries());
        for ((_, name), entries) in disturbed.entries() {
            prop_assert!(
                entries <= scenario.most_entries(name),
                "{} is entered {} times",
                name,
                entries
            );
        }
        prop_assert_eq!(&Execution::replay(&disturbed.log), &disturbed.execution);
        let ids: Vec<EventId> = disturbed
            .log
            .iter()
            .filter(|event| !event.is_hidden())
            .map(|event| event.id)
            .collect();
        prop_assert!(
            ids.iter().copied().eq(1..=ids.len() as EventId),
            "the ids of a history have no gap"
        );
        Ok(())
    });
}
