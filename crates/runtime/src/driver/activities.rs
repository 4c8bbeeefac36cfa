//! Activities, as the API sees them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ACCOUNT, Engine, Error};
use crate::history::activities;

pub use crate::history::activities::ActivityRecord;

impl Engine {
    /// Creates an activity, or finds the one of that name, whose tags it leaves.
    pub async fn create_activity(&self, name: &str, tags: BTreeMap<String, String>) -> Result<ActivityRecord, Error> {
        let inner = &self.inner;
        let new = ActivityRecord {
            arn: format!("arn:aws:states:{}:{ACCOUNT}:activity:{name}", inner.region).into(),
            name: name.into(),
            tags,
            created: inner.now(),
        };
        let created = inner.history.write(move |connection| {
            if let Some(existing) = activities::get(connection, &new.arn)? {
                return Ok(existing);
            }
            activities::put(connection, &new)?;
            Ok(new)
        });
        Ok(created.await?)
    }

    pub async fn activity(&self, arn: &str) -> Result<Option<ActivityRecord>, Error> {
        let arn: Arc<str> = arn.into();
        let found = self
            .inner
            .history
            .read(move |connection| activities::get(connection, &arn));
        Ok(found.await?)
    }

    /// Gives an activity other tags; whether it is there.
    pub async fn retag_activity(&self, arn: &str, tags: BTreeMap<String, String>) -> Result<bool, Error> {
        let arn: Arc<str> = arn.into();
        let retagged = self.inner.history.write(move |connection| {
            let Some(activity) = activities::get(connection, &arn)? else {
                return Ok(false);
            };
            activities::put(connection, &ActivityRecord { tags, ..activity })?;
            Ok(true)
        });
        Ok(retagged.await?)
    }

    /// Deletes an activity, if it is there.
    pub async fn delete_activity(&self, arn: &str) -> Result<(), Error> {
        let arn: Arc<str> = arn.into();
        let deleted = self
            .inner
            .history
            .write(move |connection| activities::delete(connection, &arn));
        Ok(deleted.await?)
    }

    /// At most `limit` activities behind the one with the ARN `after`, and whether there are more.
    pub async fn activities(&self, after: Option<String>, limit: usize) -> Result<(Vec<ActivityRecord>, bool), Error> {
        let after = after.unwrap_or_default();
        let listed = self
            .inner
            .history
            .read(move |connection| activities::list(connection, &after, limit + 1));
        let mut found = listed.await?;
        let more = limit < found.len();
        found.truncate(limit);
        Ok((found, more))
    }
}
