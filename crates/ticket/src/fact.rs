//! Facts: the single things that were said about a ticket.
//!
//! A fact never changes and is never taken back. Two deliveries that say the same give the same fact, so that a
//! ticket's facts are a set, and keeping them is the union of sets: order and repetition do not matter.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::IssueKey;
use crate::time::Time;

/// One thing that was said about a ticket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The issue was created at this time.
    Created { at: Time },
    /// A field went from one value to another.
    Change(Change),
    /// What a body showed of the issue.
    Snapshot(Snapshot),
    /// A status belongs to a category, as a list of statuses says. What a body says of its own status is in its
    /// [`Snapshot`].
    Category {
        status: String,
        category: Category,
        observed: Time,
    },
    /// Somebody said at `said` that a ticket without a Jira was completed at `at`, or that it is not completed.
    ///
    /// Unlike a change, which happened whatever is said later, it may be corrected: the latest word counts.
    Completion {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Time>,
        said: Time,
    },
    /// The issue was deleted at this time.
    Deleted { at: Time },
    /// Jira was asked at this time for the issue by its id, and had it, or had none that it shows us.
    ///
    /// Not a deletion: what is hidden from us looks the same. So the latest word counts, and any later sign of life.
    Sought { at: Time, found: bool },
}

/// A changed field, as a changelog tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    pub field: Field,
    /// The changelog's id, or for one without an id the hash of what it says.
    pub changelog: ChangelogId,
    /// Which of the changelog's items for this field: counted by field, because the items of other fields that come
    /// before it may be shown by one source and not by another.
    pub item: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Named>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Named>,
    pub at: Time,
    pub clock: Clock,
    /// The changelog of an issue's creation: `to` is the first value there was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub initial: bool,
}

impl Change {
    /// What orders changes, everywhere the same: the time, and where that is equal what Jira numbered first.
    pub(crate) fn order(&self) -> (Time, &ChangelogId, u32) {
        (self.at, &self.changelog, self.item)
    }
}

/// The fields whose changes are facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Status,
    Priority,
    Resolution,
    Key,
    Project,
}

/// Which clock dated a change, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// `created` of the history: when Jira wrote the change down.
    History,
    /// `timestamp` of the delivery.
    Timestamp,
    /// `fields.updated` of the body.
    Updated,
}

/// A changelog's id. Numbers sort as numbers, before all else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ChangelogId(pub(crate) String);

impl ChangelogId {
    /// What stands for the changelog of an issue's creation, which a history does not show. Jira's own ids are numbers.
    pub fn creation() -> Self {
        Self("creation".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for ChangelogId {
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |id: &Self| id.0.parse::<u64>().unwrap_or(u64::MAX);
        number(self).cmp(&number(other)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for ChangelogId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Something with an id and a name; either may be missing on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Named {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Named {
    pub(crate) fn is_something(&self) -> bool {
        self.id.is_some() || self.name.is_some()
    }

    /// What tells this one from others: its id, else its name. Names are localised and get edited, ids are not.
    pub fn identity(&self) -> &str {
        self.id.as_deref().or(self.name.as_deref()).unwrap_or_default()
    }

    /// What to show a person: its name, else its id.
    pub fn label(&self) -> &str {
        self.name.as_deref().or(self.id.as_deref()).unwrap_or_default()
    }
}

/// Jira's three kinds of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    New,
    Indeterminate,
    Done,
}

/// What one body showed of an issue.
///
/// Where a body may say that there is nothing, `None` is a body that does not say, and `Some(None)` one that says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// The later of the delivery's `timestamp` and `fields.updated`.
    pub observed: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Named>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// `statuscategorychangedate`: Cloud only, and only of the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_changed: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub resolution: Option<Option<Named>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub priority: Option<Option<Named>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<IssueKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The body's changelog was longer than an event may be, and its oldest changes are not among the facts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changes_cut: bool,
}

/// Reads a field that is there: `null` is then a value, too.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Fact {
    /// The fact's identity: a stable string, different for facts that say different things, fit for a sort key.
    ///
    /// Times and contents are part of it. Two sources that disagree about one change are therefore both kept, and the
    /// fold decides between them, instead of the order in which they came.
    pub fn id(&self) -> String {
        match self {
            Self::Created { at } => format!("created#{at}"),
            Self::Change(change) => {
                let field = match change.field {
                    Field::Status => "status",
                    Field::Priority => "priority",
                    Field::Resolution => "resolution",
                    Field::Key => "key",
                    Field::Project => "project",
                };
                format!("{field}#{}#{}#{}", change.changelog.0, change.item, self.digest())
            }
            Self::Snapshot(snapshot) => format!("snapshot#{}#{}", snapshot.observed, self.digest()),
            Self::Category { status, observed, .. } => format!("category#{status}#{observed}#{}", self.digest()),
            Self::Completion { at: Some(at), said } => format!("completion#{said}#{at}"),
            Self::Completion { at: None, said } => format!("completion#{said}#none"),
            Self::Deleted { at } => format!("deleted#{at}"),
            Self::Sought { at, found: true } => format!("sought#{at}#found"),
            Self::Sought { at, found: false } => format!("sought#{at}#missing"),
        }
    }

    /// The changelog that the fact is from, if it tells of something that a person did.
    pub(crate) fn changelog(&self) -> Option<ChangelogId> {
        match self {
            Self::Created { .. } => Some(ChangelogId::creation()),
            Self::Change(change) => Some(change.changelog.clone()),
            Self::Snapshot(_)
            | Self::Category { .. }
            | Self::Completion { .. }
            | Self::Deleted { .. }
            | Self::Sought { .. } => None,
        }
    }

    /// 128 bits of the hash of the canonical form: enough that no two facts of a ticket share them.
    fn digest(&self) -> String {
        let mut digest = sha256_hex(self);
        digest.truncate(32);
        digest
    }
}

/// The SHA-256 of a value's JSON, in hex. A type's own field order makes its JSON canonical.
pub(crate) fn sha256_hex(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("the types of this crate have string keys and finite numbers");
    Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
}
