//! Aliases of state machines: names that executions are started by while the versions under them change.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::machines::Revision;
use super::versions::{Qualifier, qualified, version_arn};
use super::{Engine, Error, Inner};
use crate::history::aliases::StoredAlias;
use crate::history::{self, MachineStatus};

pub use crate::history::aliases::Route;

/// AWS's quota of aliases of one state machine.
const MAX_ALIASES: usize = 100;

/// What the weights of an alias's routes make together.
pub const FULL_WEIGHT: u32 = 100;

/// An alias as the API shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct AliasRecord {
    pub arn: Arc<str>,
    pub name: Arc<str>,
    pub description: Option<Arc<str>>,
    pub routes: Vec<Route>,
    pub created: DateTime<Utc>,
    pub updated: DateTime<Utc>,
}

/// An alias to create.
#[derive(Clone, Debug)]
pub struct NewAlias {
    pub name: Arc<str>,
    pub description: Option<Arc<str>>,
    /// Versions of one state machine that are all different, with weights that make [`FULL_WEIGHT`].
    pub routes: Vec<Route>,
}

/// What is to change of an alias; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct AliasUpdate {
    pub description: Option<Arc<str>>,
    pub routes: Option<Vec<Route>>,
}

pub(super) fn alias_arn(machine: &str, name: &str) -> Arc<str> {
    format!("{machine}:{name}").into()
}

/// The version that the next execution runs, chosen by the routes' weights.
pub(super) fn choose(routes: &[Route]) -> Option<u32> {
    chosen(routes, rand::random_range(0..FULL_WEIGHT))
}

fn chosen(routes: &[Route], mut draw: u32) -> Option<u32> {
    let route = routes.iter().find(|route| {
        let weight = u32::from(route.weight);
        let is_it = draw < weight;
        draw = draw.saturating_sub(weight);
        is_it
    });
    route.map(|route| route.version)
}

fn record(machine: &str, alias: &StoredAlias) -> AliasRecord {
    AliasRecord {
        arn: alias_arn(machine, &alias.name),
        name: alias.name.clone(),
        description: alias.description.clone(),
        routes: alias.routes.clone(),
        created: alias.created,
        updated: alias.updated,
    }
}

impl Inner {
    /// The state machine and the alias of it that an ARN names.
    fn alias(&self, arn: &str) -> Result<(Arc<Revision>, Arc<StoredAlias>), Error> {
        let unknown = || Error::AliasDoesNotExist { arn: arn.into() };
        let Some((machine, Qualifier::Alias(name))) = qualified(arn) else {
            return Err(unknown());
        };
        let current = self.machines.current(machine).map_err(|_| unknown())?;
        let alias = self.machines.alias(current.machine_id, name).ok_or_else(unknown)?;
        Ok((current, alias))
    }

    /// Refuses routes to versions that are not there.
    fn check_routes(&self, machine: &Revision, routes: &[Route]) -> Result<(), Error> {
        let missing = routes
            .iter()
            .find(|route| self.machines.version(machine.machine_id, route.version).is_none());
        match missing {
            None => Ok(()),
            Some(route) => Err(Error::StateMachineDoesNotExist {
                arn: version_arn(&machine.record.arn, route.version),
            }),
        }
    }

    async fn put_alias(&self, alias: StoredAlias) -> Result<(), Error> {
        let stored = alias.clone();
        self.history
            .write(move |connection| history::aliases::put(connection, &stored))
            .await?;
        self.machines.put_alias(alias);
        Ok(())
    }
}

impl Engine {
    /// Creates an alias of a state machine. The same description and routes again find the one that is there.
    pub async fn create_alias(&self, machine: &str, new: NewAlias) -> Result<AliasRecord, Error> {
        let inner = &self.inner;
        let _turn = inner.machines_turn.lock().await;
        let current = inner.machines.current(machine)?;
        if current.record.status == MachineStatus::Deleting {
            return Err(Error::StateMachineDeleting { arn: machine.into() });
        }
        if let Some(existing) = inner.machines.alias(current.machine_id, &new.name) {
            let same = existing.description == new.description && existing.routes == new.routes;
            return match same {
                true => Ok(record(machine, &existing)),
                false => Err(Error::AliasAlreadyExists {
                    arn: alias_arn(machine, &new.name),
                }),
            };
        }
        inner.check_routes(&current, &new.routes)?;
        if MAX_ALIASES <= inner.machines.aliases(current.machine_id).len() {
            return Err(Error::TooManyAliases { arn: machine.into() });
        }
        let now = inner.now();
        let alias = StoredAlias {
            machine: current.machine_id,
            name: new.name,
            description: new.description,
            routes: new.routes,
            created: now,
            updated: now,
        };
        let created = record(machine, &alias);
        inner.put_alias(alias).await?;
        Ok(created)
    }

    /// Changes where an alias leads, from the next start on; executions that it started keep their version.
    pub async fn update_alias(&self, arn: &str, update: AliasUpdate) -> Result<AliasRecord, Error> {
        let inner = &self.inner;
        let _turn = inner.machines_turn.lock().await;
        let (current, alias) = inner.alias(arn)?;
        if current.record.status == MachineStatus::Deleting {
            return Err(Error::StateMachineDeleting {
                arn: current.record.arn.clone(),
            });
        }
        if let Some(routes) = &update.routes {
            inner.check_routes(&current, routes)?;
        }
        let alias = StoredAlias {
            description: update.description.or_else(|| alias.description.clone()),
            routes: update.routes.unwrap_or_else(|| alias.routes.clone()),
            updated: inner.now(),
            ..(*alias).clone()
        };
        let updated = record(&current.record.arn, &alias);
        inner.put_alias(alias).await?;
        Ok(updated)
    }

    pub fn alias(&self, arn: &str) -> Result<AliasRecord, Error> {
        let (current, alias) = self.inner.alias(arn)?;
        Ok(record(&current.record.arn, &alias))
    }

    /// The aliases of a state machine by name; if the ARN is a version's, those that lead to it.
    pub fn aliases(&self, arn: &str) -> Result<Vec<AliasRecord>, Error> {
        let named = self.inner.named(arn)?;
        let machine = &named.current.record.arn;
        let leads_there = |alias: &&Arc<StoredAlias>| {
            let to = |number| alias.routes.iter().any(|route| route.version == number);
            named.number().is_none_or(to)
        };
        let aliases = self.inner.machines.aliases(named.current.machine_id);
        Ok(aliases
            .iter()
            .filter(leads_there)
            .map(|alias| record(machine, alias))
            .collect())
    }

    /// Deletes an alias, if it is there; the versions that it led to stay.
    pub async fn delete_alias(&self, arn: &str) -> Result<(), Error> {
        let inner = &self.inner;
        let _turn = inner.machines_turn.lock().await;
        let Ok((current, alias)) = inner.alias(arn) else {
            return Ok(());
        };
        let (machine, name) = (current.machine_id, alias.name.clone());
        inner
            .history
            .write(move |connection| history::aliases::delete(connection, machine, &name))
            .await?;
        inner.machines.remove_alias(machine, &alias.name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_gets_its_share_of_the_draws() {
        let routes = |weights: &[u8]| -> Vec<Route> {
            let weights = weights.iter().zip(1..);
            weights
                .map(|(weight, version)| Route {
                    version,
                    weight: *weight,
                })
                .collect()
        };
        for weights in [&[100][..], &[0, 100], &[100, 0], &[70, 30], &[1, 99]] {
            let mut counts = vec![0; weights.len()];
            for draw in 0..FULL_WEIGHT {
                let version = chosen(&routes(weights), draw).expect("some version for every draw");
                counts[version as usize - 1] += 1;
            }
            assert_eq!(counts, weights);
        }
    }
}
