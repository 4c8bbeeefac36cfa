//! The system tests: a real `ticketflow up` as a process, spoken to as JIRA, a user and an AWS SDK speak to it.

mod architecture;
mod authorization;
mod commands;
mod contract;
mod crash;
mod deliveries;
mod failures;
mod fetching;
mod in_flight;
mod interleavings;
mod jira;
mod lifecycle;
mod lists;
mod owed_events;
mod processes;
mod project;
mod recompute;
mod reconciliation;
mod recorded;
mod recorded_jira;
mod rejected;
mod senders;
mod server;
mod shutdown;
mod table;
mod time_skip;
