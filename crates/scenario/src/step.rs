//! What flows are made of.

use proptest::prelude::*;

/// The most items of a Map.
pub(crate) const MAX_ITEMS: u8 = 4;

/// As a number of failures: the task is never answered.
pub(crate) const NEVER: u8 = u8::MAX;

/// Branches within branches.
const MAX_DEPTH: u32 = 3;

/// How many steps a drawn tree has, roughly.
const SIZE: u32 = 24;

/// One thing that a flow does, in one query language.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) jsonata: bool,
    pub(crate) kind: Kind,
}

/// Which errors a state deals with itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handling {
    pub(crate) retried: bool,
    pub(crate) caught: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Counts in a variable.
    Count,
    /// Computes a new payload.
    Compute,
    Wait(Wait),
    /// Makes a detour if the payload's number is larger than this.
    Choice(u8),
    /// Comes back as often, counted in a variable.
    Loop(u8),
    /// A Fail state, reached or not.
    Fail {
        reached: bool,
    },
    /// A function that fails so often before it succeeds.
    Task {
        failures: u8,
        handling: Handling,
    },
    /// A call that is never answered and is given up in time.
    Silent {
        handling: Handling,
    },
    Callback {
        failures: u8,
        heartbeats: u8,
    },
    /// A task that a worker takes, or takes and never answers.
    Activity {
        failures: u8,
        heartbeats: u8,
        handling: Handling,
    },
    /// A call whose answer is not the end: a job.
    Job {
        failures: u8,
        handling: Handling,
    },
    Parallel {
        branches: Vec<Vec<Step>>,
        handling: Handling,
    },
    Map {
        items: u8,
        max_concurrency: u8,
        selects: bool,
        /// Of a distributed Map: how many of its items may fail.
        tolerated: Option<u8>,
        flow: Vec<Step>,
        handling: Handling,
    },
}

/// The forms of a Wait, with seconds where they are part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Seconds(u8),
    /// As many seconds as the payload's number.
    Computed,
    /// A moment long past.
    Past,
    /// The moment at which the execution started.
    Start,
}

fn handling() -> impl Strategy<Value = Handling> {
    any::<(bool, bool)>().prop_map(|(retried, caught)| Handling { retried, caught })
}

fn wait() -> impl Strategy<Value = Wait> {
    prop_oneof![
        (0..5_u8).prop_map(Wait::Seconds),
        Just(Wait::Computed),
        Just(Wait::Past),
        Just(Wait::Start),
    ]
}

fn with_language(kind: impl Strategy<Value = Kind>) -> impl Strategy<Value = Step> {
    (any::<bool>(), kind).prop_map(|(jsonata, kind)| Step { jsonata, kind })
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let leaf = prop_oneof![
        Just(Kind::Count),
        Just(Kind::Compute),
        wait().prop_map(Kind::Wait),
        (0..4_u8).prop_map(Kind::Choice),
        (0..4_u8).prop_map(Kind::Loop),
        // Half of what is drawn would end here otherwise.
        prop::bool::weighted(0.2).prop_map(|reached| Kind::Fail { reached }),
        (0..4_u8, handling()).prop_map(|(failures, handling)| Kind::Task { failures, handling }),
        handling().prop_map(|handling| Kind::Silent { handling }),
        (0..2_u8, 0..3_u8).prop_map(|(failures, heartbeats)| Kind::Callback { failures, heartbeats }),
        (prop_oneof![0..3_u8, Just(NEVER)], 0..3_u8, handling()).prop_map(|(failures, heartbeats, handling)| {
            Kind::Activity {
                failures,
                heartbeats,
                handling,
            }
        }),
        (0..3_u8, handling()).prop_map(|(failures, handling)| Kind::Job { failures, handling }),
    ];
    with_language(leaf).prop_recursive(MAX_DEPTH, SIZE, 3, |inner| {
        let flow = prop::collection::vec(inner, 1..3);
        let branches = prop::collection::vec(flow.clone(), 1..4);
        let parallel = (branches, handling()).prop_map(|(branches, handling)| Kind::Parallel { branches, handling });
        let tolerated = prop::option::of(0..3_u8);
        let map = (0..=MAX_ITEMS, 0..3_u8, any::<bool>(), tolerated, flow, handling());
        let map = map.prop_map(
            |(items, max_concurrency, selects, tolerated, flow, handling)| Kind::Map {
                items,
                max_concurrency,
                selects,
                tolerated,
                flow,
                handling,
            },
        );
        with_language(prop_oneof![parallel, map])
    })
}
