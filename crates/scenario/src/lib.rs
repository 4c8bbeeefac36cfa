//! Generated state machines, and how the world answers them: what simulations and fuzzing are made of.
//!
//! A [`Scenario`] holds a definition, an input, and how often each state may be entered. What a task is answered
//! depends only on what it was asked ([`answer`]), as of a function that is called again with the same event. So a run
//! that crashes, forgets and repeats must come to the same end as one that nothing disturbs.
//!
//! It knows no interpreter and no engine: who simulates one brings it.

mod build;
mod simulate;
mod step;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

pub use simulate::simulate;

/// Steps of the state machine's own flow; branches have fewer.
const MAX_STEPS: usize = 6;

/// The error and the cause of everything that fails for good, so that it does not matter which of several comes first.
pub const ERROR: &str = "Broken";
pub const CAUSE: &str = "because";

/// The activity that tasks are queued for, by its name and its ARN.
pub const ACTIVITY_NAME: &str = "work";
pub const ACTIVITY: &str = "arn:aws:states:us-west-2:000000000000:activity:work";

/// A state machine and what it is started with.
#[derive(Clone)]
pub struct Scenario {
    pub definition: Value,
    pub input: Value,
    /// The states that may be entered more than once in a flow, and how often.
    loops: BTreeMap<String, usize>,
}

impl Scenario {
    /// How often a state may be entered in one run of the flow that it belongs to.
    pub fn most_entries(&self, state: &str) -> usize {
        self.loops.get(state).copied().unwrap_or(1)
    }
}

impl std::fmt::Debug for Scenario {
    /// As definitions are read; the input follows from it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:#}", self.definition)
    }
}

/// Any scenario: all states, both query languages, branches within branches, retries, Catchers, timers, callbacks,
/// activities, jobs, variables and loops.
pub fn scenario() -> impl Strategy<Value = Scenario> {
    let steps = prop::collection::vec(step::step(), 1..=MAX_STEPS);
    // Most often the languages are mixed: below JSONata there is nothing else.
    (prop::bool::weighted(0.2), steps).prop_map(|(jsonata, steps)| {
        let (definition, loops) = build::definition(jsonata, &steps);
        let list = |length: u8| {
            let items: Value = (0..length).map(|n| json!({ "n": n })).collect();
            (length.to_string(), items)
        };
        // Lists of every length that a Map may ask for.
        let lists: serde_json::Map<_, _> = (0..=step::MAX_ITEMS).map(list).collect();
        Scenario {
            definition,
            input: json!({ "lists": lists }),
            loops,
        }
    })
}

/// How a call ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It does not.
    Never,
    /// With [`ERROR`] and [`CAUSE`].
    Fails,
    Succeeds(Value),
}

/// What a task with these parameters is answered. Once the world is `healed`, as before a redrive, everything succeeds
/// that has failed an execution.
pub fn answer(parameters: &Value, healed: bool) -> Answer {
    let asked = asked(parameters);
    let healed = healed && asked["mends"] == true;
    let failures = asked["failures"].as_u64().unwrap_or_default();
    if !healed && failures == u64::from(step::NEVER) {
        return Answer::Never;
    }
    if !healed && asked["tries"].as_u64().unwrap_or_default() < failures {
        return Answer::Fails;
    }
    Answer::Succeeds(asked["state"].clone())
}

/// How many heartbeats come before the answer, if the task waits for a callback.
pub fn heartbeats(parameters: &Value) -> u64 {
    asked(parameters)["heartbeats"].as_u64().unwrap_or_default()
}

/// What the state says of itself, wherever its integration has room for it.
fn asked(parameters: &Value) -> &Value {
    ["Payload", "Input"]
        .iter()
        .find_map(|field| parameters.get(*field))
        .unwrap_or(parameters)
}
