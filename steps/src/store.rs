//! StoreTicket: adds the event's facts, texts and key to the ticket's, and to its site's map what the body shows of
//! the category of its status.

use serde::{Deserialize, Serialize};
use ticket::categories::Teacher;

use crate::environment::{self, Environment};
use crate::step::{Error, Input, TRIES, settle};
use crate::table::{Outcome, Record, Status, Table, TextsSeen};

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

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Of the event, whether known before or not.
    pub facts: usize,
    /// The site's map now: the fold that follows is made by this one, or a later one.
    pub map_version: Option<u64>,
    #[serde(default)]
    pub texts: TextsSeen,
}

pub async fn handle(store: &Store, input: Input) -> Result<Output, Error> {
    let Input { execution, state, .. } = &input;
    let (event, ticket) = (&execution.event, execution.event.ticket());
    for _ in 0..TRIES {
        let (seen, map) = store.table.seen(&ticket).await?;
        let map = store
            .table
            .teach(&ticket.site, map, &event.facts, Teacher::Body)
            .await?;
        let output = Output {
            facts: event.facts.len(),
            map_version: Some(map.version),
            texts: seen.after(event),
        };
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
            Outcome::Written => return Ok(output),
            Outcome::Refused(0) => {
                settle(&store.table, execution, state).await?;
                return Ok(output);
            }
            // Another event's texts came between: they are read and merged again.
            Outcome::Refused(_) | Outcome::Contended => {}
        }
    }
    Err(Error::Contended { ticket })
}
