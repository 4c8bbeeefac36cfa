//! Callbacks: what SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat bring to a task that waits for its token.

use asl::{Failure, Json};
use serde_json::{Value, json};

use super::error::Error;
use super::request::{CAUSE, ERROR, Request, TASK_TOKEN};
use super::{StepFunctions, jackson};

impl StepFunctions {
    pub(super) async fn send_task_success(&self, request: &mut Request) -> Result<Value, Error> {
        let token = request.required("taskToken", TASK_TOKEN);
        let output = request.required_data("output");
        request.checked()?;
        let output = Json::parse(&output).map_err(|error| Error::InvalidOutput(jackson::complaint(&output, &error)))?;
        self.engine.task_success(&token, output).await?;
        Ok(json!({}))
    }

    pub(super) async fn send_task_failure(&self, request: &mut Request) -> Result<Value, Error> {
        let token = request.required("taskToken", TASK_TOKEN);
        let failure = failure(request);
        request.checked()?;
        self.engine.task_failure(&token, failure).await?;
        Ok(json!({}))
    }

    pub(super) async fn send_task_heartbeat(&self, request: &mut Request) -> Result<Value, Error> {
        let token = request.required("taskToken", TASK_TOKEN);
        request.checked()?;
        self.engine.task_heartbeat(&token).await?;
        Ok(json!({}))
    }
}

/// The `error` and `cause` of a request.
pub(super) fn failure(request: &mut Request) -> Failure {
    Failure {
        error: request.optional_sensitive("error", ERROR).map(Into::into),
        cause: request.optional_sensitive("cause", CAUSE).map(Into::into),
    }
}
