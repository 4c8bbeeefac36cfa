//! The policy in force: the parameter's, unless its version was another policy before.
//!
//! Folds are compared by the version of their policy, so that a policy that is changed under the same version would
//! judge some tickets and not others, and nobody would know. The table therefore remembers which policy each version
//! is: the first one that a function was given under it. Another one is refused, and judges nothing.

use std::sync::Arc;

use serde_json::Value;
use ticket::Policy;
use tokio::sync::OnceCell;

use crate::names::{ErrorName, Name};
use crate::table::{self, Table};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Reused(#[from] Reused),
    #[error(transparent)]
    Table(#[from] table::Error),
}

/// A policy that was changed without a greater version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the policy of version {version} was another one before ({} differ): a changed policy needs a greater version",
    differing.join(", ")
)]
pub struct Reused {
    pub version: u32,
    /// The names of what is not as it was.
    pub differing: Vec<String>,
}

impl ErrorName for Error {
    fn name(&self) -> Name {
        match self {
            Self::Reused(_) => Name::PolicyVersionReused,
            Self::Table(error) => error.name(),
        }
    }
}

/// A function's policy, which is compared with the table's memory before it judges.
#[derive(Clone, Debug)]
pub struct InForce {
    table: Table,
    /// The parameter as it is written. What is left out may have another default in another release.
    text: Arc<str>,
    policy: Arc<Policy>,
    is_agreed: Arc<OnceCell<()>>,
}

impl InForce {
    pub(crate) fn new(table: Table, text: String, policy: Policy) -> Self {
        Self {
            table,
            text: text.into(),
            policy: Arc::new(policy),
            is_agreed: Arc::default(),
        }
    }

    /// The policy, once the table knows it by its version. Asks once.
    pub async fn get(&self) -> Result<&Policy, Error> {
        let agree = || async {
            let first = self
                .table
                .first_policy(self.policy.version, &self.text, crate::now())
                .await?;
            Ok::<_, Error>(self.compare(&first)?)
        };
        self.is_agreed.get_or_try_init(agree).await?;
        Ok(&self.policy)
    }

    /// Whether its version was another policy before; asks and writes nothing down.
    pub async fn reused(&self) -> Result<Option<Reused>, table::Error> {
        let first = self.table.known_policy(self.policy.version).await?;
        Ok(first.and_then(|first| self.compare(&first).err()))
    }

    fn compare(&self, first: &str) -> Result<(), Reused> {
        compare(&self.policy, &self.text, first)
    }
}

/// Whether a policy, written as `text`, is the one written as `first`.
fn compare(policy: &Policy, text: &str, first: &str) -> Result<(), Reused> {
    let reused = |differing| {
        Err(Reused {
            version: policy.version,
            differing,
        })
    };
    if text == first {
        return Ok(());
    }
    match serde_json::from_str::<Policy>(first) {
        Ok(first) if first == *policy => Ok(()),
        Ok(first) => reused(differing(&first, policy)),
        // Of another release, with something in it that this one does not know.
        Err(_) => reused(vec!["what this release cannot read".to_owned()]),
    }
}

/// The names of the parts in which two policies differ.
fn differing(one: &Policy, other: &Policy) -> Vec<String> {
    let parts = |policy| serde_json::to_value(policy).expect("a policy has string keys and finite numbers");
    let (one, other) = (parts(one), parts(other));
    let names = [&one, &other].map(|parts| parts.as_object().into_iter().flat_map(|parts| parts.keys()));
    let mut names: Vec<&String> = names.into_iter().flatten().collect();
    names.sort_unstable();
    names.dedup();
    let part = |parts: &Value, name: &str| parts.get(name).cloned().unwrap_or_default();
    let differ = names.into_iter().filter(|name| part(&one, name) != part(&other, name));
    differ.cloned().collect()
}

#[cfg(test)]
mod tests;
