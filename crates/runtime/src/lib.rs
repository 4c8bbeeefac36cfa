//! The embedded AWS: everything that waits, listens, spawns or writes.
//!
//! [`template::Template`] is a SAM template read into resources, [`Stack`] those resources running on this machine, and
//! [`driver::Engine`] the durable Step Functions engine among them.
//!
//! What it is not: it knows nothing of tickets or JIRA. It runs any template within its subset.

pub mod aws;
pub mod check;
mod checkpoint;
pub mod clock;
mod console;
pub mod driver;
pub mod dynamodb;
pub mod events;
pub mod gateway;
pub mod history;
pub mod iam;
pub mod integrations;
pub mod issuer;
pub mod jwt;
pub mod lambda;
pub mod secrets;
pub mod stack;
pub mod stepfunctions;
pub mod template;

pub use check::check;
pub use stack::{Config, Listeners, ResetError, Stack, reset, secret};
pub use template::Problem;
