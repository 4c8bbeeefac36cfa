//! State machine tests as data: a definition, scripted results of its tasks, and what must come of it.
//!
//! [`Suite::read`] takes a test file's document, [`Suite::play`] plays a case of it on a clock that jumps, in memory
//! alone, and [`Played`] says in what it differed from what was expected. Nothing here reads files or prints: where the
//! definition lies and how a difference is shown is the caller's.
//!
//! ```json
//! { "definition": "order.asl.json",
//!   "cases": [{
//!     "name": "a refused card is tried again after an hour",
//!     "input": { "order": 7 },
//!     "tasks": { "Charge": [{ "fails": { "error": "CardRefused" } }, { "succeeds": { "paid": true } }] },
//!     "expect": { "output": { "paid": true }, "path": ["Charge", "Done"], "elapsed": "1 h" } }] }
//! ```

mod compare;
mod fields;
mod path;
mod play;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::{Failure, Json, Status};

pub use compare::Difference;
pub use fields::Problem;
pub use play::Played;

/// A test file: one state machine, and cases of it.
#[derive(Debug)]
pub struct Suite {
    pub machine: Machine,
    pub cases: Vec<Case>,
}

/// Where the state machine is described.
#[derive(Debug)]
pub enum Machine {
    /// In the test file itself.
    Inline(Value),
    /// In a file of its own; the path is relative to the test file.
    File(String),
    /// In a SAM template, by its logical id; substitutions are made as the template says.
    Resource {
        logical_id: String,
        /// The template's path, relative to the test file; the caller's own if there is none.
        template: Option<String>,
    },
}

/// One execution: what goes in, what its tasks come to, and what is expected of it.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    input: Json,
    start: DateTime<Utc>,
    /// By state name or by resource ARN.
    tasks: BTreeMap<String, Answers>,
    expect: Expect,
    /// Where it stands in the test file.
    pub pointer: String,
}

#[derive(Debug)]
enum Answers {
    /// The same for every call.
    Always(Answer),
    /// One a call, in the order in which the calls are made.
    InTurn(Vec<Answer>),
}

/// What a call of a task comes to.
#[derive(Clone, Debug)]
struct Answer {
    result: TaskResult,
    after: TimeDelta,
    /// How often whoever holds the task token sends a heartbeat until then.
    heartbeat_every: Option<TimeDelta>,
}

#[derive(Clone, Debug)]
enum TaskResult {
    Succeeds(Json),
    Fails(Failure),
    /// No answer comes: what times out, times out.
    Never,
}

/// What is expected; what is absent may be anything.
#[derive(Debug, Default)]
struct Expect {
    status: Option<Status>,
    output: Option<Value>,
    error: Option<String>,
    cause: Option<String>,
    path: Option<Vec<Value>>,
    elapsed: Option<Elapsed>,
    calls: BTreeMap<String, Calls>,
    variables: BTreeMap<String, Value>,
    events: Option<Vec<Value>>,
}

/// How long the execution takes by its own clock.
#[derive(Clone, Copy, Debug)]
struct Elapsed {
    at_least: TimeDelta,
    at_most: TimeDelta,
}

/// How a state is called.
#[derive(Debug)]
enum Calls {
    Count(u64),
    Arguments(Vec<Value>),
}
