//! When a site was last compared with its JIRA, and where a comparison left off that was too long for one execution.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ticket::{SiteId, Time};

use super::attribute::string;
use super::request::{Change, Outcome, Reading, Write, attribute};
use super::{Error, Table};

const RECONCILED: &str = "RECONCILED";
const LEFT_OFF: &str = "LEFT_OFF";
const TURN: &str = "TURN";

/// One at a time, and whoever is not heard of any more has had its turn.
pub(super) const TURN_GUARD: &str = "attribute_not_exists(#until) OR #until <= :now OR #by = :by";

/// A later run's time is never overwritten by an earlier one that took longer.
pub(super) const GUARD: &str = "attribute_not_exists(#reconciled_at) OR #reconciled_at < :reconciled_at";

fn partition(site: &SiteId) -> String {
    format!("SITE#{site}")
}

pub(super) fn turn(site: &SiteId, kind: &str, by: &str, now: Time, turn_ms: i64) -> Change {
    let mut change = Change::new(partition(site), format!("{TURN}#{kind}"));
    change
        .set("by", string(by))
        .set("until", string(now.saturating_add(turn_ms).to_string()))
        .condition(TURN_GUARD, [("now", string(now.to_string()))]);
    change
}

fn left_off(kind: &str) -> String {
    format!("{LEFT_OFF}#{kind}")
}

pub(super) fn change(site: &SiteId, at: Time) -> Change {
    let mut change = Change::new(partition(site), RECONCILED.to_owned());
    change.set("reconciled_at", string(at.to_string())).condition(GUARD, []);
    change
}

impl Table {
    /// The moment as of which everything that JIRA knew of a site's tickets was known here; `None` if never.
    pub async fn reconciled_at(&self, site: &SiteId) -> Result<Option<Time>, Error> {
        let doing = "read when a site was reconciled";
        let item = self.get(doing, partition(site), RECONCILED.to_owned()).await?;
        item.as_ref()
            .map(|item| Reading(item).required("reconciled_at"))
            .transpose()
    }

    /// Remembers it, unless a later moment is known already.
    pub async fn reconciled(&self, site: &SiteId, at: Time) -> Result<(), Error> {
        let write = vec![Write::Change(change(site, at))];
        self.transact("write when a site was reconciled", write)
            .await
            .map(|_| ())
    }

    /// Whether it is this one's turn to compare, which it then has for so long; a turn of no time ends it.
    pub async fn take_turn(
        &self,
        site: &SiteId,
        kind: &'static str,
        by: &str,
        now: Time,
        turn_ms: i64,
    ) -> Result<bool, Error> {
        let taken = self
            .change("take a turn to compare", turn(site, kind, by, now, turn_ms))
            .await?;
        Ok(taken == Outcome::Written)
    }

    /// Remembers where a comparison of this kind left off.
    pub async fn leave_off(&self, site: &SiteId, kind: &'static str, place: &impl Serialize) -> Result<(), Error> {
        let mut change = Change::new(partition(site), left_off(kind));
        change.set("place", attribute(place));
        self.change("write where a comparison left off", change)
            .await
            .map(|_| ())
    }

    /// Where the last comparison of this kind left off, which is forgotten: should the one that goes on there never end,
    /// the next one begins anew.
    pub async fn take_up<T: DeserializeOwned>(&self, site: &SiteId, kind: &'static str) -> Result<Option<T>, Error> {
        let doing = "read where a comparison left off";
        let item = self.get(doing, partition(site), left_off(kind)).await?;
        let place = item.as_ref().map(|item| Reading(item).optional("place")).transpose()?;
        let place = place.flatten().unwrap_or(Value::Null);
        if !place.is_null() {
            self.leave_off(site, kind, &Value::Null).await?;
        }
        // What another version wrote is no place for this one.
        Ok(serde_json::from_value(place).ok())
    }
}
