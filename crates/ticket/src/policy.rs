//! What counts as done, and which priorities matter: the team's choice, not Jira's.
//!
//! A policy is a parameter of the fold. Changing it is a recompute, never a migration.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::calendar::Calendar;
use crate::fact::Category;
use crate::fold::Stay;
use crate::sla::Targets;

/// How tickets are judged. As JSON it is a template parameter; what is left out has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Policy {
    /// Greater for a later policy. A stored fold is only replaced by one with a policy at least as new. Whoever stores folds
    /// gives it: it is no part of the parameter.
    #[serde(skip)]
    pub version: u32,
    pub done: Done,
    pub started: Started,
    /// The priorities that per-minute counts look at, by name.
    pub priorities: BTreeSet<String>,
    /// Categories by status id, which overrule what bodies say.
    pub categories: BTreeMap<String, Category>,
    /// When the team works. Without it there is no business time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Calendar>,
    /// How long tickets may take.
    pub sla: Targets,
}

/// When a ticket is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// Its status is of the category `done`.
    #[default]
    Category,
    /// Its status is one of these, by project key. In a project that is not listed the category decides.
    StatusIds(BTreeMap<String, BTreeSet<String>>),
    /// It has a resolution.
    Resolution,
    /// Its status is of the category `done`, or it has a resolution.
    Either,
    /// Its status is of the category `done`, and it has a resolution.
    Both,
}

/// When work on a ticket starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Started {
    /// When it first comes to a status of the category `indeterminate`.
    #[default]
    Category,
    /// When it first comes to one of these, by project key. In a project that is not listed the category decides.
    StatusIds(BTreeMap<String, BTreeSet<String>>),
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            version: 1,
            done: Done::default(),
            started: Started::default(),
            priorities: ["High", "Highest"].map(str::to_owned).into(),
            categories: BTreeMap::new(),
            calendar: None,
            sla: Targets::default(),
        }
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Policy {
    /// Refuses, too, what its parts let pass and what cannot be of them together.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let policy = Self::deserialize(deserializer)?;
        policy
            .sla
            .check(policy.calendar.as_ref())
            .map_err(serde::de::Error::custom)?;
        Ok(policy)
    }
}

impl Policy {
    /// Whether work on a ticket of this project begins with a stay, if it did not before.
    pub fn is_start(&self, project: Option<&str>, stay: &Stay) -> bool {
        if let (Started::StatusIds(projects), Some(project)) = (&self.started, project)
            && let Some(started) = projects.get(project)
        {
            let status = stay.status.as_ref();
            return status.is_some_and(|status| started.contains(status.identity()));
        }
        stay.category == Some(Category::Indeterminate)
    }

    /// Whether tickets of this priority are counted; names are compared without regard to case.
    pub fn counts(&self, priority: &str) -> bool {
        self.priorities
            .iter()
            .any(|counted| counted.to_lowercase() == priority.to_lowercase())
    }
}
