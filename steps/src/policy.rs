//! The policy in force: the parameter's, by the number that the table gives it.
//!
//! Folds are ordered by the number of the policy that judged them, so that what an earlier one judged is found and judged
//! again, and never overwrites what a later one did. The table remembers which policies were in force, one after another:
//! a parameter that is not the last of them is a change, and has the next number, whoever of the functions sees it first.
//!
//! While a deployment changes the functions, some still have the parameter of before. So a policy that was in force is
//! taken for one that was put back only when another one has been in force for [`SETTLED_MS`]; until then it judges
//! nothing, and what is to be judged is tried again.

use std::sync::{Arc, Mutex, PoisonError};

use ticket::{Policy, Time};

use crate::names::{ErrorName, Name};
use crate::table::{self, Known, Outcome, Table};

/// How long functions of before may be about after a deployment's first one judged: CloudFormation changes those that
/// depend on each other one after another.
pub(crate) const SETTLED_MS: i64 = 2 * 60 * 1_000;

/// How many policies are looked through for one that was in force before. One from further back counts as new, which it
/// is: nobody deploys so many within minutes.
const REMEMBERED: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Replaced(#[from] Replaced),
    #[error(transparent)]
    Table(#[from] table::Error),
}

/// A policy in whose place another one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the policy of this function was replaced at {at}; if a deployment is under way, it changes this function, too; \
     if the policy was put back, it counts again from {again_at}"
)]
pub struct Replaced {
    /// The number that the policy had last.
    pub number: u32,
    pub at: Time,
    pub again_at: Time,
}

impl ErrorName for Error {
    fn name(&self) -> Name {
        match self {
            Self::Replaced(_) => Name::PolicyOutdated,
            Self::Table(error) => error.name(),
        }
    }
}

/// How a policy stands among those that were in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the last one.
    InForce(u32),
    /// It would be the next one.
    New(u32),
    Replaced(Replaced),
}

/// A function's policy, which is compared with the table's memory before it judges.
#[derive(Clone, Debug)]
pub struct InForce {
    table: Table,
    /// The parameter as it is written. What is left out may have another default in another release.
    text: Arc<str>,
    policy: Arc<Policy>,
    /// With its number, once that is known.
    agreed: Arc<Mutex<Option<Arc<Policy>>>>,
}

impl InForce {
    pub(crate) fn new(table: Table, text: String, policy: Policy) -> Self {
        Self {
            table,
            text: text.into(),
            policy: Arc::new(policy),
            agreed: Arc::default(),
        }
    }

    /// The policy with its number, which it gets if it has none. Asks once.
    pub async fn get(&self) -> Result<Arc<Policy>, Error> {
        if let Some(policy) = self.agreed().clone() {
            return Ok(policy);
        }
        let number = loop {
            match self.standing().await? {
                Standing::InForce(number) => break number,
                Standing::Replaced(replaced) => return Err(replaced.into()),
                Standing::New(number) => {
                    let new = Known {
                        number,
                        text: self.text.to_string(),
                        since: crate::now(),
                    };
                    if self.table.put_in_force(&new).await? == Outcome::Written {
                        tracing::info!(number, "another policy is in force");
                        break number;
                    }
                    // Another function was quicker, as a rule with the same policy.
                }
            }
        };
        let policy = Arc::new(self.numbered(number));
        *self.agreed() = Some(Arc::clone(&policy));
        Ok(policy)
    }

    /// Asks again before the next judgement: a later policy has been at work.
    pub(crate) fn forget(&self) {
        *self.agreed() = None;
    }

    /// How the policy stands now; writes nothing.
    pub(crate) async fn standing(&self) -> Result<Standing, table::Error> {
        let known = self.table.policies(REMEMBERED).await?;
        Ok(standing(&self.policy, &self.text, &known, crate::now()))
    }

    /// The policy with the number that it has, or would have; writes nothing.
    pub(crate) async fn seen(&self) -> Result<Policy, table::Error> {
        let (Standing::InForce(number) | Standing::New(number) | Standing::Replaced(Replaced { number, .. })) =
            self.standing().await?;
        Ok(self.numbered(number))
    }

    pub(crate) fn numbered(&self, number: u32) -> Policy {
        Policy {
            version: number,
            ..Policy::clone(&self.policy)
        }
    }

    fn agreed(&self) -> std::sync::MutexGuard<'_, Option<Arc<Policy>>> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How `policy`, written as `text`, stands among those `known`, of which the one in force is the first.
fn standing(policy: &Policy, text: &str, known: &[Known], now: Time) -> Standing {
    let is_same = |known: &Known| {
        known.text == text || serde_json::from_str(&known.text).is_ok_and(|same: Policy| same == *policy)
    };
    let next = known.first().map_or(1, |last| last.number + 1);
    match known.iter().position(is_same) {
        None => Standing::New(next),
        Some(0) => Standing::InForce(known[0].number),
        Some(index) => {
            let at = known[index - 1].since;
            let again_at = at.saturating_add(SETTLED_MS);
            match now < again_at {
                true => Standing::Replaced(Replaced {
                    number: known[index].number,
                    at,
                    again_at,
                }),
                false => Standing::New(next),
            }
        }
    }
}

#[cfg(test)]
mod tests;
