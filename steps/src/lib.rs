//! The Lambdas of Ticketflow: the door ([`webhook`], [`api`]), the steps of the workflow ([`validate`], [`store`],
//! [`detect_closure`], [`compute_duration`]), what watches due moments ([`sla_clock`]), the way out ([`read`]), and what
//! mends ([`record_failure`], [`sweep`], [`redrive`], [`recompute`], [`reconcile`]).
//!
//! Each is a module with a plain async function `handle` that a test can call, and a five-line binary in `src/bin`.
//! They decide with the crate `ticket`, keep what they learn in a [`table::Table`], and know nothing of the machine
//! that calls them: on AWS and on a laptop it is the same binary, the same environment and the same Runtime API.
//!
//! Every step may run twice, late, or beside itself. Facts are a set, the fold is written on condition that it does
//! not shrink, and an execution's progress on condition that no later round of it has begun.

pub mod environment;
pub mod execution;
pub mod http;
pub mod machines;
pub mod names;
pub mod openapi;
pub mod operation;
pub mod policy;
pub mod proof;
pub mod secret;
pub mod signature;
pub mod step;
pub mod table;
pub mod timers;

pub mod api;
pub mod compute_duration;
pub mod console;
pub mod detect_closure;
pub mod read;
pub mod recompute;
pub mod reconcile;
pub mod record_failure;
pub mod redrive;
pub mod sla_clock;
pub mod store;
pub mod sweep;
pub mod validate;
pub mod webhook;

use std::error::Error as StdError;
use std::fmt::Debug;

use lambda_runtime::tracing::subscriber;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::{Serialize, de::DeserializeOwned};
use ticket::Time;

use crate::environment::Environment;
use crate::names::ErrorName;

/// Whatever `RUST_LOG` says: at TRACE the runtime writes whole events, with the tokens of whoever called.
const NO_EVENTS: &str = "lambda_runtime=info";

/// Serves one function until its sandbox ends: what `open` makes once, at init, `handle` gets at every invocation.
///
/// The first is the place for clients, since init is not throttled and an invocation is.
pub async fn serve<C, I, O, E>(
    open: impl AsyncFnOnce(&Environment) -> Result<C, environment::Error>,
    handle: impl AsyncFn(&C, I) -> Result<O, E>,
) -> Result<(), lambda_runtime::Error>
where
    I: DeserializeOwned,
    O: Serialize,
    E: ErrorName + StdError,
{
    subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(
            subscriber::EnvFilter::builder()
                .with_default_directive(subscriber::filter::LevelFilter::INFO.into())
                .from_env_lossy()
                .add_directive(NO_EVENTS.parse().expect("it is a directive")),
        )
        .with_writer(std::io::stdout)
        .init();
    // As a sentence: what ends main is printed by the names of its fields.
    let context = Box::pin(open(&Environment::read().await))
        .await
        .map_err(|error| chain(&error))?;
    let (context, handle) = (&context, &handle);
    lambda_runtime::run(lambda_runtime::service_fn(move |event: LambdaEvent<I>| async move {
        // Boxed, because the SDK's futures are nested deeply enough for the compiler's own limits.
        Box::pin(handle(context, event.payload)).await.map_err(|error| Failure {
            name: error.name().as_str(),
            message: chain(&error),
        })
    }))
    .await
}

/// A handler's error as Lambda reports it, and as the runtime logs it.
#[derive(Debug)]
struct Failure {
    name: &'static str,
    message: String,
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: failure.name.to_owned(),
            error_message: failure.message,
        }
    }
}

/// An error and all its sources, in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line.push_str(": ");
        line.push_str(&error.to_string());
        source = error.source();
    }
    line
}

/// The only place that reads the clock.
pub(crate) fn now() -> Time {
    Time::try_from(chrono::Utc::now()).expect("the clock stands within the years 1 to 9999")
}

#[cfg(test)]
mod tests;
