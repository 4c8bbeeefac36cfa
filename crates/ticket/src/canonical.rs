//! Events that are canonical already: `{"ticketEvent": …}`, as one Ticketflow hands what it knows to another.
//!
//! What JIRA's REST API told, and what was exported, goes in by the same door as every delivery and the same way from
//! there. The door trusts the sender, who has signed, no further than JIRA: every bound that reading JIRA's bodies
//! keeps is checked here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::event::{MAX_EVENT_BYTES, Source, TicketEvent};
use crate::fact::Fact;
use crate::text::Texts;
use crate::wire::{Error, leaf};

/// Most facts in one event. With the texts, the progress of its execution and two keys for each, should all of them be
/// changes of the key, they are written in one transaction, of which DynamoDB takes a hundred items.
pub const MAX_FACTS: usize = 32;

/// Longest identity of a fact in bytes: DynamoDB's sort keys end at 1,024.
const MAX_FACT_ID_BYTES: usize = 1_000;

const FIELD: &str = "ticketEvent";
const EXPECTED: &str = "a canonical event, as `ticketflow export` writes them";

/// The body of the delivery of a canonical event.
pub fn body(event: &TicketEvent) -> Value {
    json!({ FIELD: event })
}

/// Reads a canonical event.
pub(crate) fn read(value: &Value) -> Result<TicketEvent, Error> {
    let path = leaf("", FIELD);
    let read: Result<TicketEvent, _> = serde_json::from_value(value.clone());
    let mut event = read.map_err(|error| path.misread(&error))?;
    event.source = Source::Copy;
    // In the order and number of a set, so that the same facts are the same event.
    event.facts = event.facts.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    event.authors = event.authors_of(&event.facts);
    let is_bounded = event.facts.len() <= MAX_FACTS
        && event.facts.iter().all(|fact| fact.id().len() <= MAX_FACT_ID_BYTES)
        && serde_json::to_vec(&event).is_ok_and(|json| json.len() <= MAX_EVENT_BYTES);
    match is_bounded {
        true => Ok(event),
        false => Err(path.invalid(value, EXPECTED)),
    }
}

/// A ticket's facts and texts as events, each within the bounds: none if there is nothing to tell.
///
/// The texts are in the last one.
pub fn events(like: &TicketEvent, facts: &[Fact], texts: &Texts) -> Vec<TicketEvent> {
    let mut events: Vec<TicketEvent> = facts
        .chunks(MAX_FACTS)
        .map(|facts| {
            let facts: BTreeSet<_> = facts.iter().cloned().collect();
            like.telling(facts.into_iter().collect(), Texts::default())
        })
        .collect();
    if let Some(last) = events.last_mut() {
        last.texts = texts.clone();
    }
    events
}
