//! When a site was last compared with its JIRA.

use ticket::{SiteId, Time};

use super::attribute::string;
use super::request::{Change, Reading, Write};
use super::{Error, Table};

const RECONCILED: &str = "RECONCILED";

/// A later run's time is never overwritten by an earlier one that took longer.
pub(super) const GUARD: &str = "attribute_not_exists(#reconciled_at) OR #reconciled_at < :reconciled_at";

fn partition(site: &SiteId) -> String {
    format!("SITE#{site}")
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
}
