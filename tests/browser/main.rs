//! The console in a real browser, over a real `ticketflow up`: what people see and do.
//!
//! Each test has a server and a browser of its own. Pictures of the views are kept in `target/screenshots`.

mod browser;
mod elsewhere;
mod executions;
mod hostile;
mod inspector;
mod keys;
mod lists;
mod live;
mod looks;
#[path = "../system/processes.rs"]
#[allow(dead_code, reason = "the system tests use the rest")]
mod processes;
mod safety;
mod scale;
#[path = "../system/server.rs"]
#[allow(dead_code, reason = "the system tests use the rest")]
mod server;
mod states;
mod tickets;
mod way;
mod world;
