//! Published versions of state machines: revisions that keep a number.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::machines::Revision;
use super::{Engine, Error};
use crate::history::{self, MachineStatus, StateMachineRecord};

/// AWS's quota of versions of one state machine.
const MAX_VERSIONS: usize = 1_000;

/// A published version.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionRecord {
    pub arn: Arc<str>,
    pub number: u32,
    pub description: Option<Arc<str>>,
    pub created: DateTime<Utc>,
}

/// A version to publish of a state machine's current revision.
#[derive(Clone, Debug, Default)]
pub struct Publish {
    pub description: Option<Arc<str>>,
    /// Only if this is the current revision.
    pub revision_id: Option<Arc<str>>,
}

/// A version in memory.
pub(super) struct Version {
    pub(super) revision: Arc<Revision>,
    pub(super) number: u32,
    pub(super) description: Option<Arc<str>>,
    pub(super) created: DateTime<Utc>,
}

impl Version {
    fn record(&self) -> VersionRecord {
        VersionRecord {
            arn: version_arn(&self.revision.record.arn, self.number),
            number: self.number,
            description: self.description.clone(),
            created: self.created,
        }
    }
}

/// What an ARN names: a state machine as it is now, or a version of it.
pub(super) struct Named {
    pub(super) current: Arc<Revision>,
    pub(super) version: Option<Arc<Version>>,
}

impl Named {
    /// What executions start with.
    pub(super) fn revision(&self) -> &Arc<Revision> {
        self.version.as_ref().map_or(&self.current, |version| &version.revision)
    }

    pub(super) fn number(&self) -> Option<u32> {
        self.version.as_ref().map(|version| version.number)
    }

    /// Refuses a state machine that takes no new executions.
    pub(super) fn startable(&self) -> Result<(), Error> {
        match self.current.record.status {
            MachineStatus::Active => Ok(()),
            MachineStatus::Deleting => Err(Error::StateMachineDeleting {
                arn: self.current.record.arn.clone(),
            }),
        }
    }
}

pub(super) fn version_arn(machine: &str, number: u32) -> Arc<str> {
    format!("{machine}:{number}").into()
}

/// A version's ARN as its state machine's and its number.
pub(crate) fn split_version(arn: &str) -> Option<(&str, u32)> {
    let (machine, number) = arn.rsplit_once(':')?;
    let is_machine = machine.splitn(7, ':').count() == 7;
    let canonical = !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_machine && canonical).then_some(())?;
    Some((machine, number.parse().ok()?))
}

impl super::Inner {
    /// The state machine or the version that an ARN names.
    pub(super) fn named(&self, arn: &str) -> Result<Named, Error> {
        let unknown = || Error::StateMachineDoesNotExist { arn: arn.into() };
        match split_version(arn) {
            None => Ok(Named {
                current: self.machines.current(arn)?,
                version: None,
            }),
            Some((machine, number)) => {
                let current = self.machines.current(machine).map_err(|_| unknown())?;
                let version = self.machines.version(current.machine_id, number).ok_or_else(unknown)?;
                Ok(Named {
                    current,
                    version: Some(version),
                })
            }
        }
    }
}

impl Engine {
    /// The state machine that an ARN names, and the version, if it names one; of a version, as it was published.
    pub fn machine_or_version(&self, arn: &str) -> Result<(StateMachineRecord, Option<VersionRecord>), Error> {
        let named = self.inner.named(arn)?;
        let record = StateMachineRecord {
            status: named.current.record.status,
            ..named.revision().record.clone()
        };
        Ok((record, named.version.map(|version| version.record())))
    }

    /// Publishes the current revision; one that the last version already is, is not published again.
    pub async fn publish_version(&self, arn: &str, publish: Publish) -> Result<VersionRecord, Error> {
        let inner = &self.inner;
        let _turn = inner.machines_turn.lock().await;
        let current = inner.machines.current(arn)?;
        if current.record.status == MachineStatus::Deleting {
            return Err(Error::StateMachineDeleting { arn: arn.into() });
        }
        let shown = current.record.revision_id.clone();
        if publish.revision_id.is_some_and(|wanted| wanted != shown) {
            return Err(Error::OtherRevision { arn: arn.into() });
        }
        let versions = inner.machines.versions(current.machine_id);
        if let Some(last) = versions.last()
            && last.revision.record.revision_id == shown
        {
            return Ok(last.record());
        }
        if MAX_VERSIONS <= versions.len() {
            return Err(Error::TooManyVersions { arn: arn.into() });
        }
        let (machine, revision, now) = (current.machine_id, current.id, inner.now());
        let stored = inner
            .history
            .write(move |connection| {
                history::machines::publish(connection, machine, revision, publish.description, now)
            })
            .await?;
        let version = Version {
            revision: current,
            number: stored.number,
            description: stored.description,
            created: stored.created,
        };
        let record = version.record();
        inner.machines.add_version(version);
        Ok(record)
    }

    /// Deletes a version; its number is not given again. Executions that it started go on.
    pub async fn delete_version(&self, arn: &str) -> Result<(), Error> {
        let inner = &self.inner;
        let _turn = inner.machines_turn.lock().await;
        // As with state machines, AWS deletes what is not there without complaint.
        let Ok(named) = inner.named(arn) else {
            return Ok(());
        };
        let Some(number) = named.number() else {
            return Ok(());
        };
        let machine = named.current.machine_id;
        inner
            .history
            .write(move |connection| history::machines::delete_version(connection, machine, number))
            .await?;
        inner.machines.remove_version(machine, number);
        Ok(())
    }

    /// The versions of a state machine, the last published first.
    pub fn versions(&self, arn: &str) -> Result<Vec<VersionRecord>, Error> {
        let current = self.inner.machines.current(arn)?;
        let versions = self.inner.machines.versions(current.machine_id);
        Ok(versions.iter().rev().map(|version| version.record()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_behind_a_whole_arn() {
        let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:orders";
        assert_eq!(split_version(&format!("{machine}:12")), Some((machine, 12)));
        for other in ["", ":", ":0", ":01", ":live", ":+1", ":99999999999", ":1:2x"] {
            assert_eq!(split_version(&format!("{machine}{other}")), None, "{other}");
        }
        assert_eq!(
            split_version("arn:aws:states:us-east-1:000000000000:stateMachine:7"),
            None
        );
    }
}
