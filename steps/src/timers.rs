//! Starts timers: executions of the state machine `sla-clock`, one for each due moment that none waits for yet.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ticket::sla::timer::{Timer, Wanted, missing};
use ticket::{Ticket, TicketId, Time};

use crate::execution::{self, Executions};
use crate::table::Watch;

/// What an execution of the clock goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    pub ticket: TicketId,
    pub run: u32,
    /// When it fires.
    pub due_at: Time,
    /// The breaches that it has told of.
    pub told: Vec<String>,
}

/// The executions of `sla-clock`.
#[derive(Clone, Debug)]
pub struct Timers {
    executions: Executions,
}

impl Timers {
    pub(crate) fn new(executions: Executions) -> Self {
        Self { executions }
    }

    /// Starts the timer that a fold needs and that is not known, before the fold is stored; gives it, if there is one.
    ///
    /// `now` is a moment of the state machine's own clock, at which the fold's facts were stored already.
    pub async fn start(
        &self,
        id: &TicketId,
        ticket: &Ticket,
        stored: Option<&Watch>,
        now: Time,
    ) -> Result<Option<Timer>, execution::Error> {
        let (breaches, known) = stored.map_or((&[][..], None), |watch| (&watch.breaches[..], watch.timer));
        let Some(wanted) = missing(&ticket.clocks, breaches, known, now) else {
            return Ok(None);
        };
        let clock = Clock {
            ticket: id.clone(),
            run: wanted.timer.run,
            due_at: wanted.timer.at,
            told: Vec::new(),
        };
        let name = name(&clock, ticket, wanted);
        let input = serde_json::to_string(&clock).expect("a clock has string keys and finite numbers");
        self.executions.start_with(&name, &input).await?;
        tracing::info!(execution = name, ticket = %id, due_at = %clock.due_at, "timer started");
        Ok(Some(wanted.timer))
    }
}

/// The same for the same due moment of the same run, so that it is started once.
///
/// A breach that is over due already and that nobody recorded gets a new one whenever more is known: the timer of its
/// due moment may have fired before.
fn name(clock: &Clock, ticket: &Ticket, wanted: Wanted) -> String {
    let facts = wanted.is_overdue.then_some(ticket.fact_count);
    let identity = format!("{} {} {} {facts:?}", clock.ticket, clock.run, clock.due_at);
    let hash: String = Sha256::digest(identity)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let title = ticket
        .key
        .as_ref()
        .map_or(clock.ticket.issue.as_str(), |key| key.as_str());
    execution::readable(title, &hash)
}

#[cfg(test)]
mod tests;
