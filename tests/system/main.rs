//! The system tests: a real `ticketflow up` as a process, spoken to as JIRA, a user and an AWS SDK speak to it.

mod architecture;
mod crash;
mod deliveries;
mod lifecycle;
mod recorded;
mod server;
