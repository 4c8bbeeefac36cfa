//! A ticket as API clients see it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::{Durations, durations};
use crate::fact::Named;
use crate::fold::{Flag, State, Ticket};
use crate::ids::{IssueKey, SiteId, TicketId};
use crate::text::Texts;
use crate::time::Time;

/// The answer of `GET /tickets/{key or id}`, as far as the domain knows it: flatten it into what else there is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TicketView {
    pub id: TicketId,
    pub key: Option<IssueKey>,
    pub aliases: BTreeSet<IssueKey>,
    pub site: SiteId,
    pub project: Option<String>,
    pub summary: Option<String>,
    pub description: Option<String>,
    pub priority: Option<String>,
    pub priority_at_creation: Option<String>,
    pub status: Option<String>,
    pub state: State,
    pub created_at: Option<Time>,
    pub started_at: Option<Time>,
    pub closed_at: Option<Time>,
    pub first_closed_at: Option<Time>,
    pub deleted_at: Option<Time>,
    #[serde(flatten)]
    pub durations: Durations,
    pub reopen_count: u32,
    pub flags: BTreeSet<Flag>,
}

impl TicketView {
    pub fn new(id: &TicketId, ticket: &Ticket, texts: &Texts) -> Self {
        let label = |value: &Option<Named>| value.as_ref().map(|value| value.label().to_owned());
        let (summary, description) = (texts.summary(), texts.description());
        let mut flags = ticket.flags.clone();
        if texts.is_cut() {
            flags.insert(Flag::TextCut);
        }
        Self {
            id: id.clone(),
            key: ticket.key.clone(),
            aliases: ticket.aliases.clone(),
            site: id.site.clone(),
            project: ticket.project.clone(),
            summary: summary.map(|text| text.value.clone()),
            description: description.map(|text| text.value.clone()),
            priority: label(&ticket.priority),
            priority_at_creation: label(&ticket.priority_at_creation),
            status: label(&ticket.status),
            state: ticket.state,
            created_at: ticket.created_at,
            started_at: ticket.started_at,
            closed_at: ticket.closed_at,
            first_closed_at: ticket.first_closed_at,
            deleted_at: ticket.deleted_at,
            durations: durations(ticket),
            reopen_count: ticket.reopen_count,
            flags,
        }
    }

    /// What it took, whether or not that is shown yet.
    pub fn measured(&self) -> Durations {
        Durations::between(self.created_at, self.started_at, self.first_closed_at, self.closed_at)
    }
}
