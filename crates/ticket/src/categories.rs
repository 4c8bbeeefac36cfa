//! The category of every status of a site, as far as anyone has said it.
//!
//! A changelog names the status that an issue left and never its category; a ticket whose own bodies did not show
//! that status can only know it from others of its site. So what one body shows of its status, all tickets may use.
//!
//! A map is a parameter of the fold, beside the policy, and its version says which one a fold was made by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fact::{Category, Fact};
use crate::time::Time;

/// Most bytes of a map, counted as [`Known::bytes`] does: three quarters of what a DynamoDB item may have, and some
/// 5,000 statuses. A site with more is told of the rest by its tickets' own bodies, and by the policy.
const MAX_BYTES: usize = 300 * 1024;

/// What is known of one site's statuses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Categories {
    /// Greater after every change; zero for a map that knows nothing.
    pub version: u64,
    /// The version in which a status that was known before last changed its category. A fold that found all its
    /// statuses in a map at least as new as that one is what any later map would make it, too.
    pub changed: u64,
    known: BTreeMap<String, Known>,
}

/// When something was said of a status, and its category; what was said later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Known(Time, Category);

impl Known {
    /// About what it takes in an item, with its status: the text of a time, a category's name, and their overhead.
    fn bytes(status: &str) -> usize {
        status.len() + 48
    }
}

/// Who says what a status's category is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teacher {
    /// A body, of its own status: right at the time it was written, which may be long before it arrives.
    Body,
    /// Jira's list of statuses: right when it was fetched, whatever bodies said before.
    Jira,
}

impl Categories {
    pub fn category(&self, status: &str) -> Option<Category> {
        self.known.get(status).map(|Known(_, category)| *category)
    }

    /// How many statuses are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Every status with its category.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Category)> {
        self.known
            .iter()
            .map(|(status, Known(_, category))| (status.as_str(), *category))
    }

    /// The map after what `facts` say of categories; `None` if that teaches nothing.
    ///
    /// Of two bodies the later one wins. What a body only confirms is not written down, so that deliveries hardly ever
    /// change a map. Jira's list wins over all that was said before; what it confirms is written down with its date, so
    /// that no older body contradicts it afterwards, but it is no new version.
    #[must_use]
    pub fn taught<'a>(&self, facts: impl IntoIterator<Item = &'a Fact>, teacher: Teacher) -> Option<Self> {
        let mut after: Option<Self> = None;
        let mut bytes: Option<usize> = None;
        let (mut is_new, mut is_changed) = (false, false);
        for (status, said) in facts.into_iter().filter_map(said) {
            match after.as_ref().unwrap_or(self).known.get(status) {
                Some(known) if *known == said => continue,
                Some(known) if teacher == Teacher::Body && (known.1 == said.1 || said < *known) => continue,
                Some(known) => is_changed |= known.1 != said.1,
                None => {
                    let all = || self.known.keys().map(|status| Known::bytes(status)).sum();
                    let bytes = bytes.get_or_insert_with(all);
                    if MAX_BYTES < *bytes + Known::bytes(status) {
                        continue;
                    }
                    *bytes += Known::bytes(status);
                    is_new = true;
                }
            }
            let after = after.get_or_insert_with(|| self.clone());
            after.known.insert(status.to_owned(), said);
        }
        let mut after = after?;
        if is_new || is_changed {
            after.version += 1;
        }
        if is_changed {
            after.changed = after.version;
        }
        Some(after)
    }
}

/// What a fact says of the category of a status.
fn said(fact: &Fact) -> Option<(&str, Known)> {
    match fact {
        Fact::Snapshot(snapshot) => {
            let status = snapshot.status.as_ref()?;
            Some((status.identity(), Known(snapshot.observed, snapshot.category?)))
        }
        Fact::Category {
            status,
            category,
            observed,
        } => Some((status, Known(*observed, *category))),
        Fact::Created { .. }
        | Fact::Change(_)
        | Fact::Completion { .. }
        | Fact::Deleted { .. }
        | Fact::Sought { .. } => None,
    }
}
