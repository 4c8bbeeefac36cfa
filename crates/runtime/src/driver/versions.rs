//! Published versions of state machines: revisions that keep a number.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::machines::Revision;
use super::{Engine, Error, aliases};
use crate::history::aliases::StoredAlias;
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

/// What an ARN names: a state machine as it is now, a version of it, or an alias.
pub(super) struct Named {
    pub(super) current: Arc<Revision>,
    /// The version itself, or the one that an alias has led to this time.
    pub(super) version: Option<Arc<Version>>,
    /// The alias's name.
    pub(super) alias: Option<Arc<str>>,
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

/// What an ARN has behind a state machine's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qualifier<'a> {
    Version(u32),
    Alias(&'a str),
}

/// The ARN of a version or an alias as its state machine's and what qualifies it; nothing for a state machine's own.
pub(crate) fn qualified(arn: &str) -> Option<(&str, Qualifier<'_>)> {
    let (machine, qualifier) = arn.rsplit_once(':')?;
    let is_machine = machine.splitn(8, ':').count() == 7;
    let is_number = qualifier.bytes().all(|byte| byte.is_ascii_digit());
    let qualifier = match qualifier.parse() {
        _ if !is_machine || qualifier.is_empty() => return None,
        Ok(number) if is_number && !qualifier.starts_with('0') => Qualifier::Version(number),
        _ if is_number => return None,
        _ => Qualifier::Alias(qualifier),
    };
    Some((machine, qualifier))
}

impl super::Inner {
    /// The state machine, the version or the alias that an ARN names.
    pub(super) fn named(&self, arn: &str) -> Result<Named, Error> {
        let unknown = || Error::StateMachineDoesNotExist { arn: arn.into() };
        let Some((machine, qualifier)) = qualified(arn) else {
            return Ok(Named {
                current: self.machines.current(arn)?,
                version: None,
                alias: None,
            });
        };
        let current = self.machines.current(machine).map_err(|_| unknown())?;
        let (number, alias) = match qualifier {
            Qualifier::Version(number) => (Some(number), None),
            Qualifier::Alias(name) => {
                let alias = self.machines.alias(current.machine_id, name).ok_or_else(unknown)?;
                (aliases::choose(&alias.routes), Some(alias.name.clone()))
            }
        };
        let version = number.and_then(|number| self.machines.version(current.machine_id, number));
        Ok(Named {
            version: Some(version.ok_or_else(unknown)?),
            current,
            alias,
        })
    }
}

impl Engine {
    /// The state machine that an ARN names, and the version, if it names one; of a version, as it was published. An
    /// alias stands for the version that most of its executions run.
    pub fn machine_or_version(&self, arn: &str) -> Result<(StateMachineRecord, Option<VersionRecord>), Error> {
        let mut named = self.inner.named(arn)?;
        let machine = named.current.machine_id;
        let alias = named
            .alias
            .as_ref()
            .and_then(|name| self.inner.machines.alias(machine, name));
        let routes = alias.iter().flat_map(|alias| &alias.routes);
        if let Some(route) = routes.rev().max_by_key(|route| route.weight) {
            named.version = self.inner.machines.version(machine, route.version).or(named.version);
        }
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
        let aliases = inner.machines.aliases(machine);
        let leads_there = |alias: &&Arc<StoredAlias>| alias.routes.iter().any(|route| route.version == number);
        let using: Vec<_> = aliases
            .iter()
            .filter(leads_there)
            .map(|alias| alias.name.clone())
            .collect();
        if !using.is_empty() {
            return Err(Error::VersionInUse {
                arn: arn.into(),
                aliases: using,
            });
        }
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
    fn a_version_is_a_number_behind_a_whole_arn_and_an_alias_a_name() {
        let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:orders";
        let version = format!("{machine}:12");
        assert_eq!(qualified(&version), Some((machine, Qualifier::Version(12))));
        for name in ["live", "1a", "v1.2", "-", "+1"] {
            let alias = format!("{machine}:{name}");
            assert_eq!(qualified(&alias), Some((machine, Qualifier::Alias(name))));
        }
        for other in ["", ":", ":0", ":01", ":99999999999", ":1:2x", ":1:live"] {
            assert_eq!(qualified(&format!("{machine}{other}")), None, "{other}");
        }
        assert_eq!(qualified("arn:aws:states:us-east-1:000000000000:stateMachine:7"), None);
    }
}
