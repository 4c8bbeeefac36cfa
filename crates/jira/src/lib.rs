//! JIRA's REST API, and a JIRA that was made up.
//!
//! - [`Jira`] asks a JIRA, Cloud or Data Center: pages of issues with their whole histories, the categories of its
//!   statuses, and what it takes to create and move issues. It keeps to JIRA's limits: pages, time-outs, `Retry-After`.
//! - [`Issue`] is an issue as the REST API shows it, read into the canonical events that its webhooks would have made.
//! - [`made`] invents issues and their lives from a seed, as deliveries and as REST answers. It is pure.
//!
//! It knows tickets and HTTP, and nothing of the steps, their table or the machine that runs them.

pub mod made;

mod client;
mod error;
mod history;
mod issue;
mod look;
mod search;
mod write;

pub use crate::client::{Credential, Deployment, Jira, Patience};
pub use crate::error::Error;
pub use crate::issue::Issue;
pub use crate::look::{Looked, MOST_AT_ONCE, Standing};
pub use crate::search::{Cursor, Page, query, since};
pub use crate::write::{Created, Transition};
