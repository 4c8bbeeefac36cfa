//! Amazon States Language: a pure interpreter.
//!
//! [`StateMachine`] is a parsed definition, [`Execution`] the fold of a history of [`Event`]s, and [`advance()`] takes an
//! execution one trigger further, returning the events that this appended.
//!
//! What it is not: it knows no Lambda, no database, no runtime and no clock. Whoever drives it writes the events down,
//! then performs what [`Execution::tasks_since`] says is owed and comes back at [`Execution::due`].

mod advance;
mod choice;
mod definition;
mod event;
mod execution;
mod json;
pub mod lint;
mod probe;
pub mod query;
mod retry;
mod runs;
pub mod scripted;
mod state;
#[cfg(test)]
mod tests;
mod trigger;

pub use advance::{MAX_EVENTS, MAX_PAYLOAD_BYTES, advance};
pub use definition::{INVALID_LABEL, NOWHERE, Problem, QueryLanguage, Severity, StateMachine, TESTED, quoted};
pub use event::{
    Event, EventId, EventKind, Failure, FrameId, Identity, Published, Resource, Schedule, StateType, Tolerance,
};
pub use execution::{Execution, Mark, Status, Task};
pub use json::{Json, spaced};
pub use probe::{Outcome, Probe, Setup, Stages, Standing, Tested};
pub use runs::{MapRunRecord, MapRunStatus, map_runs};
pub use trigger::{MapRunUpdate, Moment, Trigger};
