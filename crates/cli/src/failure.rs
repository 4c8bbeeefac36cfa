//! How a command says that it failed: what went wrong, why, and what to do about it.

use crate::output::note;
use std::process::ExitCode;

/// An error that knows what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    message: String,
    hint: String,
}

/// An error with a hint.
pub(crate) fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Failure {
        message: message.into(),
        hint: hint.into(),
    }
    .into()
}

/// Prints the whole chain of an error once, and the hint of the first that has one.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    note!("{} {}", crate::style::error("error:"), chain.join(": "));
    if let Some(failure) = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()) {
        note!("{} {}", crate::style::hint("hint:"), failure.hint);
    }
    ExitCode::FAILURE
}
