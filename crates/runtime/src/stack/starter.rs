//! Starts executions for event rules, once there is an engine to start them.

use asl::Json;
use tokio::sync::SetOnce;

use crate::driver::{Engine, Error, StartExecution};
use crate::events::{Execution, Start, StartError, Starting};

/// The bus is opened before the engine, which tells it of changes; a rule that fires before waits for the engine.
#[derive(Default)]
pub(super) struct Starter {
    engine: SetOnce<Engine>,
}

impl Starter {
    pub(super) fn connect(&self, engine: Engine) {
        // Connected twice, the first holds: there is one engine.
        let _ = self.engine.set(engine);
    }

    async fn start(&self, execution: Execution) -> Result<(), StartError> {
        let input = Json::parse(&execution.input).map_err(|error| StartError::Refused(error.to_string()))?;
        let started = self.engine.wait().await.start_execution(StartExecution {
            state_machine_arn: execution.state_machine_arn.as_str().into(),
            name: Some(execution.name.as_str().into()),
            input,
            parent: None,
        });
        match started.await {
            Ok(_) | Err(Error::ExecutionAlreadyExists { .. }) => Ok(()),
            Err(error @ Error::History(_)) => Err(StartError::Unavailable(error.to_string())),
            Err(error) => Err(StartError::Refused(error.to_string())),
        }
    }
}

impl Start for Starter {
    fn start(&self, execution: Execution) -> Starting<'_> {
        Box::pin(self.start(execution))
    }
}
