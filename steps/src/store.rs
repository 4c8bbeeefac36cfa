//! StoreTicket: adds the event's facts, texts and key to the ticket's.

use serde::Serialize;
use ticket::TicketId;

use crate::environment::{self, Environment};
use crate::step::{Error, Input, TRIES, settle};
use crate::table::{Outcome, Record, Status, Table};

/// The outcome of a step after which the event's facts are safe.
pub(crate) const STORED: &str = "stored";

#[derive(Debug)]
pub struct Store {
    table: Table,
}

impl Store {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
        })
    }
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Output {
    pub ticket: TicketId,
    /// Of the event, whether known before or not.
    pub facts: usize,
}

pub async fn handle(store: &Store, input: Input) -> Result<Output, Error> {
    let Input { execution, state, .. } = &input;
    let (event, ticket) = (&execution.event, execution.event.ticket());
    for _ in 0..TRIES {
        let seen = store.table.seen(&ticket).await?;
        let finished_at = crate::now();
        let record = Record {
            execution,
            state,
            finished_at,
            status: Status::Running,
            outcome: STORED,
            cause: None,
        };
        match store.table.store(event, &seen, &record).await? {
            Outcome::Written => {
                return Ok(Output {
                    ticket,
                    facts: event.facts.len(),
                });
            }
            Outcome::Refused(0) => {
                settle(&store.table, execution, state).await?;
                return Ok(Output {
                    ticket,
                    facts: event.facts.len(),
                });
            }
            // Another event's texts came between: they are read and merged again.
            Outcome::Refused(_) | Outcome::Contended => {}
        }
    }
    Err(Error::Contended { ticket })
}
