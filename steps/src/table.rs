//! The table: the only code that spells DynamoDB's keys and attributes.
//!
//! | partition | sort key | what |
//! |---|---|---|
//! | `TICKET#{id}` | `FACT#{fact id}` | a fact, and who told of it first; never changed, never deleted |
//! | | `FOLD` | what the facts come to, by the latest step that folded them, and which breaches of its targets were told |
//! | | `SEEN` | the newest texts, and the key that has an alias |
//! | `MONTHS` | `{month}` | a month by which tickets are found: one was created or closed in it |
//! | `KEY#{key}` | `{ticket id}` | an alias: a key that the ticket has or had |
//! | `SITE#{site}` | `CATEGORIES` | the categories of the site's statuses, and which version of them it is |
//! | | `RECONCILED` | as of when everything that its JIRA knew was known here |
//! | | `TURN#{scope}` | which reconciliation is under way |
//! | | `LEFT_OFF#{scope}` | where a reconciliation left off that the next one goes on with |
//! | `SITES` | `{site}` | a site of which there are tickets |
//! | `POLICIES` | `{number}` | a policy that is or was in force |
//! | `RECOMPUTE` | `PROGRESS` | how far the last recompute is |
//! | `EXECUTION#{name}` | `PROGRESS` | how far an execution is |
//! | `DELIVERY#{hash}` | `DELIVERY` | a delivery that nobody could read |
//! | `REQUEST#{hash}` | `REQUEST` | what an Idempotency-Key was given for |
//!
//! Facts and fold are neighbours so that one query reads both, and the texts, which may be long, are outside of it.
//! Progress has a partition of its own: AWS's status events and the sweep know an execution by its name only, and must
//! not wait for an index.

mod attribute;
mod claim;
mod delivery;
mod list;
mod policy;
mod progress;
mod recompute;
mod reconciled;
mod request;
mod site;
mod sla;
mod started;
mod ticket;

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;

pub use self::claim::{Answer, Claim};
pub use self::delivery::{Body, Rejected};
pub use self::list::{By, Entry, MONTHS, Order, Span, Walked};
pub use self::policy::Known;
pub use self::progress::{Failure, Progress, Record, Status, Step};
pub use self::recompute::{Found, Job, Stale};
pub use self::request::Outcome;
pub use self::site::{Map, Maps};
pub use self::sla::Watch;
pub use self::started::Page;
pub use self::ticket::{Fold, Judgement, Seen, Stored, TextsSeen, Told};

use crate::names::{ErrorName, Name};

/// An item as the SDK has it.
type Item = std::collections::HashMap<String, AttributeValue>;

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
    /// The months that this process has noted to have tickets.
    noted: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A retry may help.
    #[error("could not {doing}: the table does not answer")]
    Unavailable {
        doing: &'static str,
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A retry will not help.
    #[error("could not {doing}: the table refuses")]
    Refused {
        doing: &'static str,
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    #[error("the item {partition} {sort} has no readable {attribute}")]
    Unreadable {
        partition: String,
        sort: String,
        attribute: &'static str,
    },
}

impl ErrorName for Error {
    fn name(&self) -> Name {
        match self {
            Self::Unavailable { .. } => Name::TableUnavailable,
            Self::Refused { .. } => Name::TableRefused,
            Self::Unreadable { .. } => Name::ItemUnreadable,
        }
    }
}

impl Table {
    pub fn new(client: Client, name: String) -> Self {
        let noted = Arc::default();
        Self { client, name, noted }
    }

    /// Whether the table answers a read of an item that is not there.
    pub async fn answers(&self) -> Result<(), Error> {
        self.get("read from the table", "HEALTH".to_owned(), "HEALTH".to_owned())
            .await
            .map(|_| ())
    }
}

/// Tells errors that a retry may mend from those that it cannot.
fn failed<E>(doing: &'static str) -> impl Fn(SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    move |error| {
        let transient = is_transient(&error);
        let source = Box::new(error);
        if transient {
            Error::Unavailable { doing, source }
        } else {
            Error::Refused { doing, source }
        }
    }
}

/// Throttling, a service in trouble, or no answer at all.
pub(crate) fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(service) => {
            let throttled = matches!(
                service.err().code(),
                Some(
                    "ProvisionedThroughputExceededException"
                        | "ThrottlingException"
                        | "RequestLimitExceeded"
                        | "TooManyRequestsException"
                        | "TransactionConflictException"
                        | "TransactionInProgressException"
                        | "LimitExceededException"
                )
            );
            throttled || 500 <= service.raw().status().as_u16()
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
