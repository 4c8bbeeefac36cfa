//! The life of a ticket: what Jira says about an issue, read as facts, and folded into where the ticket stands.
//!
//! Pure: no AWS, no async, no I/O, no clock. Everything here is a function of its arguments.
//!
//! - [`jira::read`] reads a delivery in any shape Jira sends and gives a [`TicketEvent`]: small, canonical, hashed.
//! - A [`Fact`] is one thing that was said about a ticket. Facts are only ever added.
//! - [`fold()`] makes a [`Ticket`] of a *set* of facts: their order and their repetition cannot change it. How it is
//!   judged, the team's [`Policy`] says, and what is known of the site's statuses, its [`Categories`].
//!   [`durations`] and [`times`] measure it, in business time too for a [`Calendar`], [`TicketView`] is what an API client sees of it.
//! - [`sla`] says which clocks run for a ticket, when each is due, and who has to look then.
//! - [`metrics`] counts many tickets: percentiles, histograms, tickets per minute, what is doubtful.

pub mod adf;
pub mod calendar;
pub mod canonical;
pub mod categories;
pub mod chain;
pub mod duration;
pub mod event;
pub mod fact;
pub mod flat;
pub mod fold;
pub mod ids;
pub mod jira;
pub mod metrics;
pub mod news;
pub mod policy;
pub mod sla;
pub mod spent;
pub mod text;
pub mod time;
pub mod view;
pub mod wire;

pub use crate::calendar::Calendar;
pub use crate::categories::Categories;
pub use crate::duration::{Durations, durations};
pub use crate::event::{Delivery, Source, TicketEvent};
pub use crate::fact::Fact;
pub use crate::fold::{Flag, State, Ticket, fold};
pub use crate::ids::{IssueId, IssueKey, SiteId, TicketId};
pub use crate::news::news;
pub use crate::policy::Policy;
pub use crate::sla::Sla;
pub use crate::spent::{Spent, Times, times};
pub use crate::text::Texts;
pub use crate::time::Time;
pub use crate::view::TicketView;

#[cfg(test)]
mod tests;
