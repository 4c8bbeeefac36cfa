//! Generated state machines in a world that crashes: the outcome is the undisturbed run's, whatever happens.
//!
//! A run is a log of commits. A crash after any commit forgets everything else: what was in memory, what was under way.
//! Triggers are lost, repeated and late. What a task answers depends only on what it was asked, as a function that is
//! called again for the same event would.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    Event, EventId, EventKind, Execution, Failure, Identity, Json, Moment, StateMachine, Status, Trigger, advance,
};

/// How many machines the ordinary test run plays; `TICKETFLOW_SIMULATIONS` asks for more.
const SIMULATIONS: u32 = 1_000;

/// More steps than any generated machine needs: one that is still running then is stuck.
const MAX_STEPS: usize = 20_000;

/// A flow under construction: one generated state after the other, each with what it needs.
#[derive(Clone, Debug)]
enum Part {
    Pass,
    Jsonata,
    Wait(u8),
    Choice,
    /// How often the task fails before it succeeds, whether a Retrier takes that, whether a Catcher does.
    Task {
        failures: u8,
        retried: bool,
        caught: bool,
    },
    /// A task that never answers and is given up.
    Silent {
        caught: bool,
    },
    Callback {
        failures: u8,
    },
    Parallel {
        branches: Vec<Vec<Part>>,
        caught: bool,
    },
    Map {
        items: u8,
        max_concurrency: u8,
        flow: Vec<Part>,
        caught: bool,
    },
}

fn part() -> impl Strategy<Value = Part> {
    let leaf = prop_oneof![
        Just(Part::Pass),
        Just(Part::Jsonata),
        (0..5_u8).prop_map(Part::Wait),
        Just(Part::Choice),
        (0..4_u8, any::<bool>(), any::<bool>()).prop_map(|(failures, retried, caught)| Part::Task {
            failures,
            retried,
            caught
        }),
        any::<bool>().prop_map(|caught| Part::Silent { caught }),
        (0..2_u8).prop_map(|failures| Part::Callback { failures }),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let flow = prop::collection::vec(inner, 1..3);
        prop_oneof![
            (prop::collection::vec(flow.clone(), 1..4), any::<bool>())
                .prop_map(|(branches, caught)| Part::Parallel { branches, caught }),
            (0..5_u8, 0..3_u8, flow, any::<bool>()).prop_map(|(items, max_concurrency, flow, caught)| Part::Map {
                items,
                max_concurrency,
                flow,
                caught
            }),
        ]
    })
}

/// The flow of these parts as a definition; names are unique in the whole machine.
fn flow(parts: &[Part], names: &mut u32) -> Value {
    let mut states = Map::new();
    let first = *names;
    *names += parts.len() as u32;
    for (index, part) in parts.iter().enumerate() {
        let name = format!("S{}", first + index as u32);
        let mut state = state(part, &name, names);
        let next = (index + 1 < parts.len()).then(|| format!("S{}", first + index as u32 + 1));
        let handled = matches!(
            part,
            Part::Task { caught: true, .. }
                | Part::Silent { caught: true }
                | Part::Parallel { caught: true, .. }
                | Part::Map { caught: true, .. }
        );
        let onward = next.clone().unwrap_or_else(|| format!("{name}-end"));
        if handled {
            state["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": onward}]);
        }
        match part {
            Part::Choice => {
                state["Choices"] = json!([{"Variable": "$.n", "NumericGreaterThan": 1, "Next": onward}]);
                state["Default"] = json!(onward);
            }
            _ => state["Next"] = json!(onward),
        }
        if next.is_none() {
            states.insert(onward, json!({"Type": "Succeed"}));
        }
        states.insert(name, state);
    }
    json!({"StartAt": format!("S{first}"), "States": states})
}

fn state(part: &Part, name: &str, names: &mut u32) -> Value {
    let task = |resource: &str, failures: u8| {
        json!({"Type": "Task", "Resource": resource, "ResultPath": "$.result",
               "Parameters": {"state": name, "failures": failures, "tries.$": "$$.State.RetryCount"}})
    };
    match part {
        Part::Pass => json!({"Type": "Pass", "Assign": {"seen": name}, "Result": name, "ResultPath": "$.last"}),
        Part::Jsonata => json!({"Type": "Pass", "QueryLanguage": "JSONata",
                                "Output": "{% $merge([$states.input, {'n': $states.input.n + 1}]) %}"}),
        Part::Wait(seconds) => json!({"Type": "Wait", "Seconds": seconds}),
        Part::Choice => json!({"Type": "Choice"}),
        Part::Task { failures, retried, .. } => {
            let mut task = task("arn:aws:lambda:us-west-2:000000000000:function:work", *failures);
            if *retried {
                task["Retry"] = json!([{"ErrorEquals": ["Broken"], "MaxAttempts": 2, "JitterStrategy": "FULL"}]);
            }
            task
        }
        Part::Silent { .. } => {
            let mut task = task("arn:aws:states:::lambda:invoke", u8::MAX);
            task["TimeoutSeconds"] = json!(30);
            task
        }
        Part::Callback { failures } => {
            let mut task = task("arn:aws:states:::lambda:invoke.waitForTaskToken", *failures);
            task["HeartbeatSeconds"] = json!(100);
            task["Parameters"]["token.$"] = json!("$$.Task.Token");
            task["Retry"] = json!([{"ErrorEquals": ["States.TaskFailed"]}]);
            task
        }
        Part::Parallel { branches, .. } => {
            let branches: Vec<Value> = branches.iter().map(|branch| flow(branch, names)).collect();
            json!({"Type": "Parallel", "Branches": branches, "ResultPath": "$.branches"})
        }
        Part::Map {
            items,
            max_concurrency,
            flow: inner,
            ..
        } => {
            let items: Vec<Value> = (0..*items).map(|n| json!({"n": n})).collect();
            json!({"Type": "Map", "MaxConcurrency": max_concurrency, "ItemProcessor": flow(inner, names),
                   "ItemsPath": format!("$$.Execution.Input.lists.{}", items.len()), "ResultPath": "$.mapped"})
        }
    }
}

/// What draws no disturbance.
const CALM: u8 = 254;

/// Where disturbances come from: a fixed sequence, used up from the front.
struct Chaos(Vec<u8>);

impl Chaos {
    fn draw(&mut self) -> u8 {
        self.0.pop().unwrap_or(CALM)
    }
}

/// One execution with its log.
struct World {
    machine: StateMachine,
    log: Vec<Event>,
    execution: Execution,
    now: DateTime<Utc>,
    /// Calls under way; forgotten in a crash, as their processes would be.
    calls: Vec<EventId>,
    /// A trigger that was delivered, to be delivered again.
    last: Option<Trigger>,
}

impl World {
    fn new(definition: &Value) -> Self {
        let machine = StateMachine::parse(&definition.to_string())
            .unwrap_or_else(|problems| panic!("{problems:#?} in {definition:#}"));
        Self {
            machine,
            log: Vec::new(),
            execution: Execution::default(),
            now: DateTime::UNIX_EPOCH,
            calls: Vec::new(),
            last: None,
        }
    }

    /// Takes a trigger in; the commit is lost if `fails`, and with it all that followed from it.
    fn take(&mut self, trigger: &Trigger, fails: bool) {
        let before = self.execution.last_event();
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
        self.last = Some(trigger.clone());
    }

    /// Everything but the log is gone; what is owed is read off the replayed execution.
    fn crash(&mut self) {
        self.execution = Execution::replay(&self.log);
        self.calls = self.execution.tasks_since(0).map(|task| task.scheduled).collect();
    }

    fn start(&self) -> Trigger {
        let identity = Arc::new(Identity {
            execution_arn: "arn:aws:states:us-west-2:000000000000:execution:machine:name".into(),
            name: "name".into(),
            state_machine_arn: "arn:aws:states:us-west-2:000000000000:stateMachine:machine".into(),
            state_machine_name: "machine".into(),
            role_arn: "arn:aws:iam::000000000000:role/role".into(),
        });
        // Lists of every length that a Map may ask for.
        let list = |length: u8| {
            (
                length.to_string(),
                (0..length).map(|n| json!({"n": n})).collect::<Value>(),
            )
        };
        let lists: Map<String, Value> = (0..5).map(list).collect();
        Trigger::Start {
            identity,
            input: json!({"n": 0, "lists": lists}).into(),
        }
    }

    /// What the task answers: decided by what it was asked alone.
    fn answer(&self, scheduled: EventId) -> Option<Trigger> {
        let task = self.execution.task(scheduled)?;
        let asked = task.schedule.parameters.value();
        let failures = asked["failures"].as_u64()?;
        if failures == u64::from(u8::MAX) {
            return None;
        }
        if asked["tries"].as_u64()? < failures {
            return Some(Trigger::TaskFailed {
                scheduled,
                failure: Failure::new("Broken", "because"),
            });
        }
        Some(Trigger::TaskSucceeded {
            scheduled,
            output: Json::from(asked["state"].clone()),
        })
    }

    fn run(&mut self, chaos: &mut Chaos) {
        for _ in 0..MAX_STEPS {
            if self.execution.status() != Status::Running {
                return;
            }
            let disturbance = chaos.draw();
            if disturbance < 30 {
                self.crash();
            }
            if let (true, Some(last)) = (disturbance.is_multiple_of(3), self.last.clone()) {
                self.take(&last, false);
                continue;
            }
            let fails = (30..50).contains(&disturbance);
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
                self.now = self.now.max(due);
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
        let answering: Vec<usize> = (0..self.calls.len())
            .filter(|call| self.answer(self.calls[*call]).is_some())
            .collect();
        let chosen = *answering.get(usize::from(disturbance) % answering.len().max(1))?;
        let scheduled = self.calls.remove(chosen);
        let submit = self
            .execution
            .task(scheduled)
            .is_some_and(|task| task.schedule.resource.waits_for_token() && !task.submitted);
        if submit {
            self.calls.push(scheduled);
            return Some(Trigger::TaskSubmitted {
                scheduled,
                output: Json::empty_object(),
            });
        }
        self.answer(scheduled)
    }

    /// What happened, for a failing run.
    fn types(&self) -> Vec<String> {
        self.log
            .iter()
            .map(|event| format!("{}:{}", event.frame, event.kind.type_name()))
            .collect()
    }

    /// How often each state of the machine's own flow was entered: redone work would show here.
    fn entries(&self) -> BTreeMap<&str, usize> {
        let mut entries = BTreeMap::new();
        for event in &self.log {
            if let (EventKind::StateEntered { name, .. }, 0) = (&event.kind, event.frame) {
                *entries.entry(&**name).or_default() += 1;
            }
        }
        entries
    }
}

fn simulations() -> u32 {
    std::env::var("TICKETFLOW_SIMULATIONS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(SIMULATIONS)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: simulations(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_disturbed_run_ends_as_the_undisturbed_one(
        parts in prop::collection::vec(part(), 1..6),
        chaos in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let definition = flow(&parts, &mut 0);
        let mut calm = World::new(&definition);
        calm.run(&mut Chaos(Vec::new()));
        let mut disturbed = World::new(&definition);
        disturbed.run(&mut Chaos(chaos));

        prop_assert_eq!(disturbed.execution.status(), calm.execution.status());
        prop_assert_eq!(disturbed.execution.failure(), calm.execution.failure());
        prop_assert_eq!(disturbed.execution.output(), calm.execution.output());
        prop_assert_eq!(disturbed.entries(), calm.entries());
        prop_assert!(disturbed.entries().values().all(|count| *count == 1), "no state is entered twice");
        prop_assert_eq!(&Execution::replay(&disturbed.log), &disturbed.execution);
        let ids: Vec<EventId> =
            disturbed.log.iter().filter(|event| !event.kind.is_hidden()).map(|event| event.id).collect();
        prop_assert!(ids.iter().copied().eq(1..=ids.len() as EventId), "the ids of a history have no gap");
    }
}
