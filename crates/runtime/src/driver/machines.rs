//! State machines: created, updated, deleted, and looked up from memory at every start.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::report;
use super::versions::Version;
use super::{Engine, Error, Inner};
use crate::history::aliases::StoredAlias;
use crate::history::{
    self, MachineId, MachineStatus, MachineType, RevisionId, StateMachineRecord, StoredRevision, StoredVersion,
};

/// What a definition spells out if its expressions may take longer than a look at each value: the language, and
/// JSONPath's filters and descents.
const COMPUTING: [&str; 3] = ["JSONata", "[?", ".."];

/// AWS's bound of an Express execution's duration.
const EXPRESS_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// AWS's name of the revision that a state machine was created with.
pub const INITIAL_REVISION: &str = "INITIAL";

/// A state machine to create.
#[derive(Clone, Debug)]
pub struct NewStateMachine {
    pub name: Arc<str>,
    pub machine_type: MachineType,
    pub definition: Arc<str>,
    pub role_arn: Arc<str>,
    /// Logging, tracing and the like, kept for whoever answers the API.
    pub settings: serde_json::Value,
}

/// What is to change of a state machine; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct StateMachineUpdate {
    pub definition: Option<Arc<str>>,
    pub role_arn: Option<Arc<str>>,
    pub settings: Option<serde_json::Value>,
    /// Whether only tags change, which makes no other revision of it.
    pub retags: bool,
}

/// A revision with its definition as the interpreter takes it.
pub(super) struct Revision {
    pub(super) machine_id: MachineId,
    pub(super) id: RevisionId,
    pub(super) record: StateMachineRecord,
    /// Whether it evaluates JSONata, which may take its time.
    pub(super) computes: bool,
    /// Parsed at the first use: most revisions of old are never used again.
    parsed: OnceLock<Arc<asl::StateMachine>>,
}

impl Revision {
    fn new(stored: StoredRevision) -> Self {
        Self {
            machine_id: stored.machine,
            id: stored.revision,
            computes: COMPUTING.iter().any(|sign| stored.record.definition.contains(sign)),
            record: stored.record,
            parsed: OnceLock::new(),
        }
    }

    pub(super) fn machine(&self) -> Result<Arc<asl::StateMachine>, Error> {
        if let Some(parsed) = self.parsed.get() {
            return Ok(parsed.clone());
        }
        let accepted = asl::StateMachine::accepted(&self.record.definition);
        let parsed = limited(accepted, self.record.machine_type)?;
        Ok(self.parsed.get_or_init(|| Arc::new(parsed)).clone())
    }
}

fn parse(definition: &str, machine_type: MachineType) -> Result<asl::StateMachine, Error> {
    limited(asl::StateMachine::parse(definition), machine_type)
}

/// A state machine within the bounds of its type.
fn limited(
    parsed: Result<asl::StateMachine, Vec<asl::Problem>>,
    machine_type: MachineType,
) -> Result<asl::StateMachine, Error> {
    let mut machine = parsed.map_err(|problems| Error::InvalidDefinition { problems })?;
    if machine_type == MachineType::Express {
        let longest = EXPRESS_TIMEOUT.as_secs();
        machine.keeps_history = false;
        machine.timeout_seconds = Some(machine.timeout_seconds.map_or(longest, |own| own.min(longest)));
    }
    Ok(machine)
}

impl Tables {
    fn put_alias(&mut self, alias: StoredAlias) {
        let aliases = self.aliases.entry(alias.machine).or_default();
        aliases.insert(alias.name.clone(), Arc::new(alias));
    }
}

/// All state machines.
pub(super) struct Machines {
    tables: RwLock<Tables>,
}

#[derive(Default)]
struct Tables {
    /// The current revisions.
    by_arn: HashMap<Arc<str>, Arc<Revision>>,
    by_revision: HashMap<RevisionId, Arc<Revision>>,
    versions: HashMap<MachineId, BTreeMap<u32, Arc<Version>>>,
    aliases: HashMap<MachineId, BTreeMap<Arc<str>, Arc<StoredAlias>>>,
}

impl Machines {
    pub(super) fn new(revisions: Vec<StoredRevision>, versions: Vec<StoredVersion>, aliases: Vec<StoredAlias>) -> Self {
        let mut tables = Tables::default();
        for stored in revisions {
            let current = stored.current;
            let revision = Arc::new(Revision::new(stored));
            tables.by_revision.insert(revision.id, revision.clone());
            if current {
                tables.by_arn.insert(revision.record.arn.clone(), revision);
            }
        }
        for stored in versions {
            let Some(revision) = tables.by_revision.get(&stored.revision) else {
                continue;
            };
            let version = Version {
                revision: revision.clone(),
                number: stored.number,
                description: stored.description,
                created: stored.created,
            };
            let versions = tables.versions.entry(stored.machine).or_default();
            versions.insert(stored.number, Arc::new(version));
        }
        for alias in aliases {
            tables.put_alias(alias);
        }
        Self {
            tables: RwLock::new(tables),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine's current revision.
    pub(super) fn current(&self, arn: &str) -> Result<Arc<Revision>, Error> {
        let found = self.read().by_arn.get(arn).cloned();
        found.ok_or_else(|| Error::StateMachineDoesNotExist { arn: arn.into() })
    }

    /// The revision that an execution started with.
    pub(super) fn revision(&self, id: RevisionId) -> Result<Arc<Revision>, Error> {
        let found = self.read().by_revision.get(&id).cloned();
        found.ok_or_else(|| Error::StateMachineDoesNotExist {
            arn: format!("revision {}", id.0).into(),
        })
    }

    pub(super) fn version(&self, machine: MachineId, number: u32) -> Option<Arc<Version>> {
        self.read().versions.get(&machine)?.get(&number).cloned()
    }

    /// The versions of a machine in their order.
    pub(super) fn versions(&self, machine: MachineId) -> Vec<Arc<Version>> {
        let tables = self.read();
        let versions = tables.versions.get(&machine).into_iter().flatten();
        versions.map(|(_, version)| version.clone()).collect()
    }

    pub(super) fn add_version(&self, version: Version) {
        let mut tables = self.write();
        let versions = tables.versions.entry(version.revision.machine_id).or_default();
        versions.insert(version.number, Arc::new(version));
    }

    pub(super) fn remove_version(&self, machine: MachineId, number: u32) {
        if let Some(versions) = self.write().versions.get_mut(&machine) {
            versions.remove(&number);
        }
    }

    pub(super) fn alias(&self, machine: MachineId, name: &str) -> Option<Arc<StoredAlias>> {
        self.read().aliases.get(&machine)?.get(name).cloned()
    }

    /// The aliases of a machine by name.
    pub(super) fn aliases(&self, machine: MachineId) -> Vec<Arc<StoredAlias>> {
        let tables = self.read();
        let aliases = tables.aliases.get(&machine).into_iter().flatten();
        aliases.map(|(_, alias)| alias.clone()).collect()
    }

    pub(super) fn put_alias(&self, alias: StoredAlias) {
        self.write().put_alias(alias);
    }

    pub(super) fn remove_alias(&self, machine: MachineId, name: &str) {
        if let Some(aliases) = self.write().aliases.get_mut(&machine) {
            aliases.remove(name);
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Revision>> {
        self.read().by_arn.values().cloned().collect()
    }

    fn add(&self, stored: StoredRevision, parsed: asl::StateMachine) -> Arc<Revision> {
        let revision = Revision::new(stored);
        let revision = Revision {
            parsed: OnceLock::from(Arc::new(parsed)),
            ..revision
        };
        let revision = Arc::new(revision);
        let mut tables = self.write();
        tables.by_revision.insert(revision.id, revision.clone());
        tables.by_arn.insert(revision.record.arn.clone(), revision.clone());
        revision
    }

    fn mark_deleting(&self, arn: &str) {
        let mut tables = self.write();
        if let Some(revision) = tables.by_arn.get(arn) {
            let record = StateMachineRecord {
                status: MachineStatus::Deleting,
                ..revision.record.clone()
            };
            let deleting = Arc::new(Revision {
                machine_id: revision.machine_id,
                id: revision.id,
                record,
                computes: revision.computes,
                parsed: revision.parsed.clone(),
            });
            tables.by_arn.insert(arn.into(), deleting);
        }
    }

    fn remove(&self, machine: MachineId) {
        let mut tables = self.write();
        tables.by_arn.retain(|_, revision| revision.machine_id != machine);
        tables.versions.remove(&machine);
        tables.aliases.remove(&machine);
    }
}

impl Inner {
    pub(super) fn state_machine_arn(&self, name: &str) -> Arc<str> {
        format!("arn:aws:states:{}:{}:stateMachine:{name}", self.region, super::ACCOUNT).into()
    }

    /// Forgets a machine that is being deleted, once its last execution has closed.
    pub(super) fn finish_deleting(self: &Arc<Self>, revision: &Revision) {
        let current = self.machines.current(&revision.record.arn);
        let Ok(current) = current else { return };
        if current.record.status != MachineStatus::Deleting || current.machine_id != revision.machine_id {
            return;
        }
        let engine = self.clone();
        tokio::spawn(async move { engine.delete_if_closed(current.machine_id).await });
    }

    pub(super) async fn delete_if_closed(&self, machine: MachineId) {
        let deleted = self.history.write(move |connection| {
            if history::executions::any_open(connection, machine)? {
                return Ok(false);
            }
            history::machines::delete(connection, machine)?;
            Ok(true)
        });
        match deleted.await {
            Ok(true) => self.machines.remove(machine),
            Ok(false) => {}
            Err(error) => {
                report(
                    &error,
                    "cannot delete a state machine; its next execution to close tries again",
                );
            }
        }
    }
}

impl Engine {
    /// Creates a state machine. The same name, type, definition and settings again find the one that is there.
    pub async fn create_state_machine(&self, new: NewStateMachine) -> Result<StateMachineRecord, Error> {
        let inner = &self.inner;
        let arn = inner.state_machine_arn(&new.name);
        let parsed = parse(&new.definition, new.machine_type)?;
        let now = inner.now();
        let record = StateMachineRecord {
            arn: arn.clone(),
            name: new.name,
            machine_type: new.machine_type,
            status: MachineStatus::Active,
            created: now,
            definition: new.definition,
            role_arn: new.role_arn,
            settings: Arc::new(new.settings),
            revision_id: INITIAL_REVISION.into(),
            updated: now,
        };
        let _turn = inner.machines_turn.lock().await;
        if let Ok(existing) = inner.machines.current(&arn) {
            let existing = &existing.record;
            if existing.status == MachineStatus::Deleting {
                return Err(Error::StateMachineDeleting { arn });
            }
            let same = existing.definition == record.definition
                && existing.machine_type == record.machine_type
                && existing.settings == record.settings;
            return match same {
                true => Ok(existing.clone()),
                false => Err(Error::StateMachineAlreadyExists { arn }),
            };
        }
        let stored = inner
            .history
            .write(|connection| history::machines::create(connection, record))
            .await?;
        Ok(inner.machines.add(stored, parsed).record.clone())
    }

    /// Gives a state machine a new revision, with which executions start from now on.
    pub async fn update_state_machine(
        &self,
        arn: &str,
        update: StateMachineUpdate,
    ) -> Result<StateMachineRecord, Error> {
        let inner = &self.inner;
        let _turn = inner.machines_turn.lock().await;
        let current = inner.machines.current(arn)?;
        if current.record.status == MachineStatus::Deleting {
            return Err(Error::StateMachineDeleting { arn: arn.into() });
        }
        let mut record = current.record.clone();
        record.definition = update.definition.unwrap_or(record.definition);
        record.role_arn = update.role_arn.unwrap_or(record.role_arn);
        record.settings = update.settings.map_or(record.settings, Arc::new);
        let parsed = parse(&record.definition, record.machine_type)?;
        if !update.retags {
            record.revision_id = uuid::Uuid::new_v4().to_string().into();
        }
        record.updated = inner.now();
        let machine = current.machine_id;
        let stored = inner
            .history
            .write(move |connection| history::machines::revise(connection, machine, record))
            .await?;
        Ok(inner.machines.add(stored, parsed).record.clone())
    }

    /// Deletes a state machine: it takes no new executions, and is gone when those it has are closed.
    pub async fn delete_state_machine(&self, arn: &str) -> Result<(), Error> {
        let inner = &self.inner;
        let _turn = inner.machines_turn.lock().await;
        // AWS deletes what is not there without complaint.
        let Ok(current) = inner.machines.current(arn) else {
            return Ok(());
        };
        let machine = current.machine_id;
        inner
            .history
            .write(move |connection| history::machines::mark_deleting(connection, machine))
            .await?;
        inner.machines.mark_deleting(arn);
        inner.delete_if_closed(machine).await;
        Ok(())
    }

    /// Whether an execution that is started now would be on disk.
    pub async fn is_writable(&self) -> Result<(), Error> {
        Ok(self.inner.history.is_writable().await?)
    }

    pub fn state_machine(&self, arn: &str) -> Result<StateMachineRecord, Error> {
        Ok(self.inner.machines.current(arn)?.record.clone())
    }

    /// All state machines in the order of their creation; they are few, so whoever pages cuts this list.
    pub fn state_machines(&self) -> Vec<StateMachineRecord> {
        let mut machines = self.inner.machines.all();
        machines.sort_unstable_by_key(|revision| revision.machine_id);
        machines.iter().map(|revision| revision.record.clone()).collect()
    }
}
