//! The state machines, and the executions of all of them.
//!
//! The steps of `ticket-lifecycle` record their own progress. What else runs records nothing while it goes well: that
//! it failed is recorded when it did, and a redrive takes that off the lists again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execution::{Description, Error, Executions, Redrive};

/// A state machine of the template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Machine {
    /// What every event goes through.
    #[default]
    TicketLifecycle,
    /// The timers of due moments.
    SlaClock,
    Recompute,
    Reconciliation,
}

impl Machine {
    pub const ALL: [Self; 4] = [
        Self::TicketLifecycle,
        Self::SlaClock,
        Self::Recompute,
        Self::Reconciliation,
    ];

    /// The environment variable that names it.
    pub fn variable(self) -> &'static str {
        match self {
            Self::TicketLifecycle => "STATE_MACHINE_ARN",
            Self::SlaClock => "SLA_CLOCK_ARN",
            Self::Recompute => "RECOMPUTE_ARN",
            Self::Reconciliation => "RECONCILIATION_ARN",
        }
    }
}

/// The executions of every state machine.
#[derive(Clone, Debug)]
pub struct Machines(BTreeMap<Machine, Executions>);

impl Machines {
    /// `open` gives the executions of one.
    pub(crate) fn open<E>(open: impl Fn(Machine) -> Result<Executions, E>) -> Result<Self, E> {
        let all = Machine::ALL.into_iter().map(|machine| Ok((machine, open(machine)?)));
        all.collect::<Result<_, E>>().map(Self)
    }

    pub fn of(&self, machine: Machine) -> &Executions {
        self.0.get(&machine).expect("every state machine was opened")
    }

    /// The state machine of this ARN, or the one whose version or alias it names.
    pub fn named(&self, arn: &str) -> Option<Machine> {
        let mut all = self.0.iter();
        all.find(|(_, executions)| executions.are_of(arn))
            .map(|(machine, _)| *machine)
    }

    /// The ARN of a state machine's execution of this name.
    pub fn execution_arn(&self, machine: Machine, name: &str) -> String {
        self.of(machine).arn(name)
    }

    /// The execution of this name, of whichever state machine.
    pub async fn describe(&self, name: &str) -> Result<Option<(Machine, Description)>, Error> {
        for (machine, executions) in &self.0 {
            if let Some(description) = executions.describe(name).await? {
                return Ok(Some((*machine, description)));
            }
        }
        Ok(None)
    }

    /// Lets the failed execution of this name go on, of whichever state machine it is.
    pub async fn redrive(&self, name: &str) -> Result<(Machine, Redrive), Error> {
        for (machine, executions) in &self.0 {
            let redriven = executions.redrive(name).await?;
            if redriven != Redrive::NoSuchExecution {
                return Ok((*machine, redriven));
            }
        }
        Ok((Machine::default(), Redrive::NoSuchExecution))
    }
}
