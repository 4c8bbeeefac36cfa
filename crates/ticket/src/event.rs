//! The canonical event: what is left of a delivery, whatever its shape and size.

use serde::{Deserialize, Serialize};

use crate::fact::{Fact, sha256_hex};
use crate::ids::{IssueId, IssueKey, SiteId, TicketId};
use crate::text::Texts;
use crate::time::Time;

/// No event is larger than this as JSON. A Step Functions payload ends at 256 KiB, and a state may add its own.
pub const MAX_EVENT_BYTES: usize = 128 * 1024;
/// Most changes in one event. One edit of an issue changes five fields that matter at most; only whole histories,
/// as Automation can send them, are longer.
pub const MAX_CHANGES: usize = 50;

/// What a delivery comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Nothing about a ticket's life: comments, links, work logs, projects.
    Ignored {
        reason: String,
    },
    Event(TicketEvent),
}

/// What one delivery says about one ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketEvent {
    pub site: SiteId,
    pub issue: IssueId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<IssueKey>,
    /// The later of the delivery's `timestamp` and `fields.updated`.
    pub observed: Time,
    pub source: Source,
    /// Sorted, each once.
    pub facts: Vec<Fact>,
    #[serde(default)]
    pub texts: Texts,
}

/// Where an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A registered webhook: `webhookEvent` names what happened.
    Webhook,
    /// A workflow's "Trigger a webhook" post-function.
    PostFunction,
    /// The bare issue: an Automation rule's "Send web request", or Jira's REST API.
    Issue,
    /// An API client, not Jira.
    Api,
    /// Another Ticketflow, or a program of its kind: the event came as it is, canonical.
    Copy,
}

impl TicketEvent {
    pub fn ticket(&self) -> TicketId {
        TicketId {
            site: self.site.clone(),
            issue: self.issue.clone(),
        }
    }

    /// The event as received at `at`, for one that has no time of its own: the flat payload, of which two that
    /// contradict each other are told apart by it.
    ///
    /// It changes the [`hash`](Self::hash), which names the event: take that of the event as it was sent, so that the
    /// same payload again is no other event.
    #[must_use]
    pub fn received(mut self, at: Time) -> Self {
        let is_flat_payload =
            self.source == Source::Api && self.facts.iter().any(|fact| matches!(fact, Fact::Created { .. }));
        if !is_flat_payload {
            return self;
        }
        self.observed = at;
        for fact in &mut self.facts {
            match fact {
                Fact::Completion { said, .. } => *said = at,
                Fact::Snapshot(snapshot) => snapshot.observed = at,
                Fact::Created { .. }
                | Fact::Change(_)
                | Fact::Category { .. }
                | Fact::Deleted { .. }
                | Fact::Sought { .. } => {}
            }
        }
        self.facts.sort();
        for seen in [&mut self.texts.summary, &mut self.texts.description]
            .into_iter()
            .flatten()
        {
            seen.observed = at;
        }
        self
    }

    /// SHA-256 in hex of what the event says about which ticket.
    ///
    /// The same delivery again has the same hash, and so has the same content by another way: the source is not in it.
    pub fn hash(&self) -> String {
        sha256_hex(&(&self.site, &self.issue, &self.facts, &self.texts))
    }
}
