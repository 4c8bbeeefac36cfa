//! Brings a state machine up to the template: its definition, and the alias that is published with it.

use std::sync::Arc;

use crate::driver::{
    AliasUpdate, Engine, Error, FULL_WEIGHT, NewAlias, NewStateMachine, Publish, Route, StateMachineUpdate,
    VersionRecord,
};
use crate::history::MachineType;
use crate::template::{self, StateMachineResource};

/// What the role of a state machine is called here, where there are no roles.
const ROLE_ARN: &str = "arn:aws:iam::000000000000:role/ticketflow";

pub(super) async fn put(engine: &Engine, machine: &StateMachineResource) -> Result<(), Error> {
    put_definition(engine, machine).await?;
    match &machine.alias {
        Some(alias) => publish(engine, &machine.arn, alias).await,
        None => Ok(()),
    }
}

/// Creates the state machine, or brings its definition up to the template's.
///
/// Executions that are open keep the definition they started with.
async fn put_definition(engine: &Engine, machine: &StateMachineResource) -> Result<(), Error> {
    let definition: Arc<str> = machine.definition.as_str().into();
    match engine.state_machine(&machine.arn) {
        Ok(known) if known.definition == definition => Ok(()),
        Ok(_) => {
            let update = StateMachineUpdate {
                definition: Some(definition),
                ..StateMachineUpdate::default()
            };
            engine.update_state_machine(&machine.arn, update).await.map(drop)
        }
        Err(Error::StateMachineDoesNotExist { .. }) => {
            let new = NewStateMachine {
                name: machine.name.as_str().into(),
                machine_type: match machine.machine_type {
                    template::MachineType::Standard => MachineType::Standard,
                    template::MachineType::Express => MachineType::Express,
                },
                definition,
                role_arn: ROLE_ARN.into(),
                settings: serde_json::json!({}),
            };
            engine.create_state_machine(new).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

/// Publishes the definition, unless the last version is it, and has the alias lead to that version alone.
async fn publish(engine: &Engine, machine: &str, alias: &str) -> Result<(), Error> {
    let version = publish_version(engine, machine).await?;
    let routes = vec![Route {
        version: version.number,
        weight: FULL_WEIGHT as u8,
    }];
    let arn = format!("{machine}:{alias}");
    match engine.alias(&arn) {
        Ok(known) if known.routes == routes => Ok(()),
        Ok(_) => {
            let update = AliasUpdate {
                routes: Some(routes),
                ..AliasUpdate::default()
            };
            engine.update_alias(&arn, update).await.map(drop)
        }
        Err(Error::AliasDoesNotExist { .. }) => {
            let new = NewAlias {
                name: alias.into(),
                description: None,
                routes,
            };
            engine.create_alias(machine, new).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

/// Nobody deletes the versions that a template has left behind, so the oldest makes room for a new one.
async fn publish_version(engine: &Engine, machine: &str) -> Result<VersionRecord, Error> {
    match engine.publish_version(machine, Publish::default()).await {
        Err(Error::TooManyVersions { .. }) => {
            for old in engine.versions(machine)?.iter().rev() {
                match engine.delete_version(&old.arn).await {
                    Err(Error::VersionInUse { .. }) => {}
                    deleted => {
                        deleted?;
                        break;
                    }
                }
            }
            engine.publish_version(machine, Publish::default()).await
        }
        published => published,
    }
}
