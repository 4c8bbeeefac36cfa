//! A JIRA that was made up: issues, their lives, and how JIRA would tell of them.
//!
//! - [`Issue`] is an issue as JIRA holds it. [`Issue::delivery`] is the webhook's body of its last change, in the shape of
//!   JIRA Cloud; [`Issue::rest`] and [`Issue::histories`] are what the REST API shows.
//! - [`Stories`] invents issues and what becomes of them, endlessly, at a rate and from a seed.
//! - [`Disturbance`] loses, delays, doubles and disorders what is delivered.
//!
//! Pure: the same seed makes the same issues, whenever and wherever.

mod disturbance;
mod issue;
mod story;

pub use self::disturbance::{Disturbance, Fraction};
pub use self::issue::{Issue, PRIORITIES, STATUSES, Status};
pub use self::story::{Act, Happening, Stories};

#[cfg(test)]
mod tests;
