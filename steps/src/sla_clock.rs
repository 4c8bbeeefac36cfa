//! SlaClock: a timer has fired, so somebody looks: folds the ticket again, and decides by what it sees now.
//!
//! A breach is recorded on the ticket by one execution, and that one tells of it. What it told of is in its own data, so
//! that a try whose answer was lost, or a redrive, gives the same events once more instead of none.

use serde::{Deserialize, Serialize};
use serde_json::json;
use ticket::fact::Named;
use ticket::sla::timer::{Breach, Timer, decide};
use ticket::{Ticket, TicketId, Time};

use crate::environment::{self, Environment};
use crate::policy::InForce;
use crate::step::{Error, State, TRIES};
use crate::table::{Outcome, Table};
use crate::timers::Clock;

/// Events told of at once: what PutEvents takes.
const EVENTS: usize = 10;
/// `source` of the events.
const SOURCE: &str = "ticketflow";
/// `detail-type` of the events.
const DETAIL_TYPE: &str = "Ticket SLA Breached";

#[derive(Debug)]
pub struct SlaClock {
    table: Table,
    policy: InForce,
}

impl SlaClock {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
            policy: environment.policy_in_force()?,
        })
    }
}

#[derive(Debug, Deserialize)]
pub struct Input {
    pub execution: Execution,
    pub state: State,
    pub clock: Clock,
}

/// `$$.Execution`, as far as it is needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    pub name: String,
}

/// What the state machine does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    Breached,
    Waits,
    Over,
}

/// What the timer is from now on: its own data again, with what there is to tell.
#[derive(Debug, PartialEq, Serialize)]
pub struct Output {
    pub then: Then,
    pub ticket: TicketId,
    pub run: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
    pub told: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Entry>,
}

/// An entry of PutEvents.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    source: &'static str,
    detail_type: &'static str,
    /// JSON as text, as the API takes it.
    detail: String,
}

pub async fn handle(context: &SlaClock, input: Input) -> Result<Output, Error> {
    let Input {
        execution,
        state,
        clock,
    } = input;
    // The moment of the state machine's clock, which the timer fired by.
    let now = state.entered_time;
    let policy = context.policy.get().await?;
    for _ in 0..TRIES {
        let stored = context.table.stored(&clock.ticket).await?;
        // Whoever started this timer has yet to store its fold.
        let Some(fold) = stored.fold else { break };
        if fold.judgement.is_beyond(&policy) {
            context.policy.forget();
            return Err(Error::PolicyOutdated {
                ticket: clock.ticket,
                stored: fold.judgement,
                own: policy.version,
            });
        }
        // Read anew at each look: what a delivery taught before it counted on this timer must be seen by it.
        let map = context.table.map(&clock.ticket.site).await?;
        let ticket = ticket::fold(&stored.facts, &policy, &map.categories);
        let watch = fold.watch;
        let is_untold =
            |breach: &&Breach| breach.recorded_by == execution.name && !clock.told.contains(&breach.clock.id());
        let mut untold: Vec<Breach> = watch.breaches.iter().filter(is_untold).cloned().collect();
        let at_most = EVENTS.saturating_sub(untold.len());
        let decision = decide(&ticket.clocks, &watch.breaches, clock.run, now, at_most);
        let new: Vec<Breach> = decision
            .breached
            .into_iter()
            .map(|clock| Breach {
                clock,
                recorded_at: now,
                recorded_by: execution.name.clone(),
            })
            .collect();
        let next = decision.next.map(|at| Timer { run: clock.run, at });
        let is_known = new.is_empty() && next.is_none_or(|next| watch.timer == Some(next));
        if !is_known {
            let table = &context.table;
            let recorded = table.record_breaches(&clock.ticket, &watch, &ticket.clocks, &new, next, now);
            match recorded.await? {
                Outcome::Written => {}
                Outcome::Refused(_) | Outcome::Contended => continue,
            }
        }
        untold.extend(new);
        return Ok(output(clock, &ticket, &untold, decision.next));
    }
    Err(Error::Contended { ticket: clock.ticket })
}

fn output(clock: Clock, ticket: &Ticket, untold: &[Breach], next: Option<Time>) -> Output {
    let mut told = clock.told;
    told.extend(untold.iter().map(|breach| breach.clock.id()));
    Output {
        then: match (untold, next) {
            ([_, ..], _) => Then::Breached,
            ([], Some(_)) => Then::Waits,
            ([], None) => Then::Over,
        },
        events: untold
            .iter()
            .map(|breach| entry(&clock.ticket, ticket, breach))
            .collect(),
        ticket: clock.ticket,
        run: clock.run,
        due_at: next,
        told,
    }
}

/// The event that tells of a breach. Its `id` is the same however often it is told.
fn entry(id: &TicketId, ticket: &Ticket, breach: &Breach) -> Entry {
    let clock = &breach.clock;
    let label = |value: &Option<Named>| value.as_ref().map(|value| value.label().to_owned());
    let detail = json!({
        "id": format!("{id}/{}", clock.id()),
        "ticket": id,
        "key": ticket.key,
        "project": ticket.project,
        "priority": label(&ticket.priority),
        "status": label(&ticket.status),
        "state": ticket.state,
        "target": clock.target,
        "target_ms": clock.target_ms,
        "time": clock.measure,
        "since": clock.since,
        "due_at": clock.due_at,
        "breached_at": clock.due_at,
        "met_at": clock.met_at,
        "told_after_ms": breach.recorded_at.since(clock.due_at),
    });
    Entry {
        source: SOURCE,
        detail_type: DETAIL_TYPE,
        detail: detail.to_string(),
    }
}

#[cfg(test)]
mod tests;
