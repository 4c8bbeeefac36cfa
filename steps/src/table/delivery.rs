//! Deliveries that nobody could read, kept for a person to see.
//!
//! A delivery is its body: the same one again is counted on the item that there is.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use ticket::Time;

use super::attribute::{number, string};
use super::request::{BATCH, Change, PARTITION, Reading, attribute, key};
use super::started::{self, Page};
use super::{Error, Item, Table};

/// How long such a delivery is kept after it last came.
const KEPT_SECONDS: i64 = 14 * 24 * 60 * 60;
/// How much of a body is kept. JIRA's whole deliveries are some 50 kB, but what is wrong with one shows early, and each
/// KiB costs a write unit.
pub(super) const BODY_BYTES: usize = 16 * 1024;
/// How much of the hash names a delivery: 128 bits.
const ID_DIGITS: usize = 32;

const DELIVERY: &str = "DELIVERY";
/// What the index by status has in the place of a status; no execution's status is called so.
const KIND: &str = "DELIVERY";

/// A delivery that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    pub id: String,
    /// The kind of problem, as its URN.
    pub problem: String,
    pub detail: String,
    pub field: Option<String>,
    pub user_agent: Option<String>,
    pub received_at: Time,
    pub last_received_at: Time,
    /// How often it came.
    pub count: u64,
    /// How long its body was.
    pub body_bytes: u64,
    pub body: Body,
}

/// The beginning of a body, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub text: String,
    /// The text is base64 of what is no UTF-8.
    pub is_base64: bool,
    pub is_cut: bool,
}

impl Body {
    /// What is kept of a body. Cut at a character boundary.
    pub fn of(bytes: &[u8]) -> Self {
        let kept = &bytes[..bytes.len().min(BODY_BYTES)];
        let is_cut = kept.len() < bytes.len();
        let text = match std::str::from_utf8(kept) {
            Ok(text) => Some(text),
            // Only the last character is incomplete.
            Err(error) if is_cut && error.error_len().is_none() => {
                std::str::from_utf8(&kept[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        match text {
            Some(text) => Self {
                text: text.to_owned(),
                is_base64: false,
                is_cut,
            },
            None => Self {
                text: BASE64_STANDARD.encode(kept),
                is_base64: true,
                is_cut,
            },
        }
    }
}

impl Rejected {
    /// One that came just now.
    pub fn new(body: &[u8], problem: String, detail: String, now: Time) -> Self {
        Self {
            id: id(body),
            problem,
            detail,
            field: None,
            user_agent: None,
            received_at: now,
            last_received_at: now,
            count: 1,
            body_bytes: body.len() as u64,
            body: Body::of(body),
        }
    }

    /// Keeps it, or counts it where it is kept.
    fn change(&self) -> Change {
        let mut change = Change::new(partition(&self.id), DELIVERY.to_owned());
        change
            .set("problem", string(&self.problem))
            .set("detail", string(&self.detail))
            .set("last_received_at", attribute(&self.last_received_at))
            .set("body_bytes", attribute(&self.body_bytes))
            .set("body", string(&self.body.text))
            .set("body_base64", attribute(&self.body.is_base64))
            .set("body_cut", attribute(&self.body.is_cut))
            .set(
                "expires_at",
                number(self.last_received_at.millis() / 1000 + KEPT_SECONDS),
            )
            .set_or_remove("field", self.field.as_ref().map(string))
            .set_or_remove("user_agent", self.user_agent.as_ref().map(string))
            .count("received");
        // What a delivery had when it came first stays.
        change.keep("started_at", attribute(&self.received_at));
        for (name, value) in started::keys(KIND, &self.id, self.received_at) {
            change.keep(name, value);
        }
        change
    }

    fn read(item: &Item) -> Result<Self, Error> {
        let reading = Reading(item);
        let partition: String = reading.required(PARTITION)?;
        let id = partition
            .strip_prefix("DELIVERY#")
            .ok_or_else(|| reading.unreadable(PARTITION))?;
        Ok(Self {
            id: id.to_owned(),
            problem: reading.required("problem")?,
            detail: reading.required("detail")?,
            field: reading.optional("field")?,
            user_agent: reading.optional("user_agent")?,
            received_at: reading.required("started_at")?,
            last_received_at: reading.required("last_received_at")?,
            count: reading.required("received")?,
            body_bytes: reading.required("body_bytes")?,
            body: Body {
                text: reading.required("body")?,
                is_base64: reading.required("body_base64")?,
                is_cut: reading.required("body_cut")?,
            },
        })
    }
}

/// The name of a body: its hash.
fn id(body: &[u8]) -> String {
    let mut id: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    id.truncate(ID_DIGITS);
    id
}

fn partition(id: &str) -> String {
    format!("DELIVERY#{id}")
}

impl Table {
    /// Keeps a delivery, or counts it if it is kept.
    pub async fn reject(&self, rejected: &Rejected) -> Result<(), Error> {
        let change = rejected.change();
        self.change("keep a rejected delivery", change).await.map(|_| ())
    }

    /// A rejected delivery, if it is still kept.
    pub async fn rejected(&self, id: &str) -> Result<Option<Rejected>, Error> {
        // What is no id may be no key, either.
        if id.len() != ID_DIGITS {
            return Ok(None);
        }
        let item = self
            .get("read a rejected delivery", partition(id), DELIVERY.to_owned())
            .await?;
        item.as_ref().map(Rejected::read).transpose()
    }

    /// Rejected deliveries, the one that came first last.
    pub async fn all_rejected(&self, limit: usize, before: Option<&str>) -> Result<Page<Rejected>, Error> {
        let partitions = started::partitions(KIND).collect();
        let (ids, next) = self.newest_started([partitions], limit, before).await?;
        let mut items = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH) {
            let keys = ids.iter().map(|id| key(partition(id), DELIVERY.to_owned())).collect();
            for item in self.batch("read rejected deliveries", keys).await? {
                items.push(Rejected::read(&item)?);
            }
        }
        let place = |rejected: &Rejected| std::cmp::Reverse((rejected.received_at, rejected.id.clone()));
        items.sort_by_cached_key(place);
        Ok(Page { items, next })
    }
}

#[cfg(test)]
mod tests;
