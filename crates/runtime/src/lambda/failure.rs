//! What goes wrong in an environment, and the error that AWS makes of it.
//!
//! | what happened | `errorType` | `errorMessage` |
//! |---|---|---|
//! | the function reported an error | its own | its own: the payload is passed on as it was posted |
//! | no answer within the time-out | `Sandbox.Timedout` | `RequestId: … Error: Task timed out after 3.00 seconds` |
//! | the process ended, also during initialization | `Runtime.ExitError` | `RequestId: … Error: Runtime exited with error: exit status 1`, `… signal: killed`, or `… Runtime exited without providing a reason` for status 0 |
//! | initialization was reported as failed | its own | its own |
//! | no binary | `Runtime.InvalidEntrypoint` | `RequestId: … Error: Couldn't find valid bootstrap(s): […]` |
//! | a binary that does not start | `Runtime.InvalidEntrypoint` | `RequestId: … Error: fork/exec …: permission denied` |
//! | an answer above 6 MB | `Function.ResponseSizeTooLarge` | `Response payload size exceeded maximum allowed payload size (6291556 bytes).` |
//!
//! An answer that is not JSON is no failure: AWS passes it on with status 200.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::InvokeError;
use super::process::Exit;

/// The largest answer of a synchronous invocation: 6 MB and a little for the envelope, as AWS counts.
pub(super) const MAX_RESPONSE_BYTES: usize = 6_291_556;

/// Why an environment did not give an invocation its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The runtime posted an error, for the invocation or for its initialization.
    Posted(Bytes),
    TimedOut(Duration),
    Exited(Exit),
    NoProgram(PathBuf),
    CannotExecute {
        program: PathBuf,
        reason: String,
    },
    ResponseTooLarge,
    /// The machine refused what a sandbox needs: a port, a process.
    Machine(String),
    ShuttingDown,
}

impl Failure {
    /// The answer to the invocation `request_id`.
    pub(super) fn into_error(self, request_id: &str) -> InvokeError {
        let about = |message: &dyn std::fmt::Display| format!("RequestId: {request_id} Error: {message}");
        match self {
            Failure::Posted(payload) => InvokeError::Function { payload },
            Failure::TimedOut(timeout) => {
                let message = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
                function_error("Sandbox.Timedout", &about(&message))
            }
            Failure::Exited(exit) => function_error("Runtime.ExitError", &about(&exit)),
            Failure::NoProgram(program) => {
                let message = format!("Couldn't find valid bootstrap(s): [{}]", program.display());
                function_error("Runtime.InvalidEntrypoint", &about(&message))
            }
            Failure::CannotExecute { program, reason } => {
                let message = format!("fork/exec {}: {reason}", program.display());
                function_error("Runtime.InvalidEntrypoint", &about(&message))
            }
            Failure::ResponseTooLarge => function_error(
                "Function.ResponseSizeTooLarge",
                &format!("Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."),
            ),
            Failure::Machine(message) => InvokeError::Service {
                code: "ServiceException",
                status: 500,
                message,
            },
            Failure::ShuttingDown => InvokeError::Service {
                code: "ServiceException",
                status: 500,
                message: "the Lambda host is shutting down".to_owned(),
            },
        }
    }
}

/// The payload of an error that the function did not write itself.
pub(super) fn error_payload(error_type: &str, message: &str) -> Bytes {
    let payload = serde_json::json!({ "errorType": error_type, "errorMessage": message });
    Bytes::from(payload.to_string())
}

fn function_error(error_type: &str, message: &str) -> InvokeError {
    InvokeError::Function {
        payload: error_payload(error_type, message),
    }
}
