//! The canonical event: what is left of a delivery, whatever its shape and size.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fact::{ChangelogId, Fact, sha256_hex};
use crate::ids::{IssueId, IssueKey, SiteId, TicketId};
use crate::text::{AUTHOR_BYTES, Texts, beginning};
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
    /// Who made the changes among the facts, by changelog: names as Jira shows them, and [`ChangelogId::creation`]'s for
    /// the issue's own.
    ///
    /// They stand beside the facts, not in them: people are renamed, and one source names them where another does not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authors: BTreeMap<ChangelogId, String>,
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

    /// An event like this one that tells something else of its ticket.
    #[must_use]
    pub fn telling(&self, facts: Vec<Fact>, texts: Texts) -> Self {
        Self {
            site: self.site.clone(),
            issue: self.issue.clone(),
            key: self.key.clone(),
            observed: self.observed,
            source: self.source,
            authors: self.authors_of(&facts),
            facts,
            texts,
        }
    }

    /// The authors of these facts, with no name that is longer than one may be, and none that is blank.
    pub(crate) fn authors_of(&self, facts: &[Fact]) -> BTreeMap<ChangelogId, String> {
        let author = |fact: &Fact| {
            let name = beginning(self.author(fact)?.trim(), AUTHOR_BYTES);
            (!name.is_empty()).then_some((fact.changelog()?, name.to_owned()))
        };
        facts.iter().filter_map(author).collect()
    }

    /// Who made the change that a fact tells of, as far as the event says.
    pub fn author(&self, fact: &Fact) -> Option<&str> {
        self.authors.get(&fact.changelog()?).map(String::as_str)
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
    /// The same delivery again has the same hash, and so has the same content by another way: neither the source is in
    /// it nor who made the changes.
    pub fn hash(&self) -> String {
        sha256_hex(&(&self.site, &self.issue, &self.facts, &self.texts))
    }
}
