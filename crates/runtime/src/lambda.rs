//! Runs Lambda functions: real binaries as child processes, over the Lambda Runtime API.
//!
//! A [`Host`] keeps a pool of execution environments for each [`Function`].
//! An environment is one child process and one listener of its own, so that who calls is known by the socket.
//! It serves one invocation at a time, is reused (the most recent one first), and ends after a while of idleness.
//! Under load further environments start, up to [`ENVIRONMENTS_PER_FUNCTION`] or the reserved concurrency, and what comes
//! beyond it waits, up to [`QUEUED_INVOCATIONS`]. What exceeds that, or the reserved concurrency, is throttled as on AWS.
//!
//! What the binary does wrong becomes the error that AWS reports for it: see [`failure`].
//!
//! A child does not outlive the host for long, whatever ends the host: see [`launcher`].
//! What a child of an earlier host still says is heard by nobody: the listener it knows is gone, the next ones have other
//! addresses, and request ids never come back.

mod api;
mod environment;
mod failure;
mod launcher;
mod output;
mod pool;
mod process;
mod sandbox;
// They watch processes by pidfd.
#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use pool::Pool;
use process::Spawner;

pub use launcher::{COMMAND as LAUNCHER_COMMAND, launch};

/// How many environments of one function may live at a time by default.
///
/// Enough that 32 invocations may wait for something at the same time; the pool itself only grows while invocations queue.
/// At some 9 MiB an idle Rust function, one function can hold 300 MiB at most.
pub const ENVIRONMENTS_PER_FUNCTION: usize = 32;

/// How many invocations of one function may wait for an environment: AWS's default concurrency of an account.
///
/// AWS would start an environment for each of them; beyond it, as here, it throttles.
pub const QUEUED_INVOCATIONS: usize = 1_000;

/// How many bytes of events the invocations of one function may hold while they wait: a few dozen of the largest.
pub const QUEUED_BYTES: usize = 256 * 1024 * 1024;

/// The largest event of a synchronous invocation.
pub const MAX_REQUEST_BYTES: usize = 6 * 1024 * 1024;

/// How long an environment waits for the next invocation before it ends.
///
/// AWS keeps one for minutes; a start takes a few milliseconds here, so memory is worth more.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// How long initialization may take before Lambda starts it anew, on AWS too.
const INIT_TIME: Duration = Duration::from_secs(10);

/// How long an invocation waits for an environment to become free before another one starts.
///
/// A few times what a start takes: a queue of short invocations drains sooner by itself, and on few cores more processes
/// only take time from those that run. It is waited once, since what has started stays for a while.
const SCALE_OUT_TIME: Duration = Duration::from_millis(20);

/// One call of a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The name or the ARN.
    pub function: String,
    /// The event, JSON.
    pub payload: Bytes,
}

/// Why an invocation gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The function answered with an error, crashed or timed out.
    ///
    /// The payload is what AWS returns, `{"errorType","errorMessage",…}`, where `X-Amz-Function-Error` is `Unhandled`.
    #[error("the function failed: {}", String::from_utf8_lossy(payload))]
    Function { payload: Bytes },
    /// The service refused, as Lambda's Invoke operation does.
    #[error("{code}: {message}")]
    Service {
        code: &'static str,
        status: u16,
        message: String,
    },
}

/// The answer to an [`Invocation`]: the payload as the function gave it.
///
/// It is passed on unread, as AWS does: a runtime may well answer with what is not JSON.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Bytes, InvokeError>> + Send + 'a>>;

/// What calls functions: the [`Host`] here, a script in tests.
pub trait Invoke: Send + Sync + 'static {
    /// Calls the function and waits for its answer. Dropped after the function has begun, the function goes on.
    fn invoke(&self, invocation: Invocation) -> Answer<'_>;
}

/// What the host knows of one function.
#[derive(Debug, Clone)]
pub struct Function {
    /// `store-ticket`
    pub name: String,
    pub arn: String,
    /// The binary that speaks the Runtime API: the `bootstrap` in `CodeUri`, or what cargo built.
    pub program: PathBuf,
    /// `_HANDLER`, which a Rust binary does not read.
    pub handler: String,
    pub timeout: Duration,
    pub memory_mb: u32,
    pub reserved_concurrency: Option<u32>,
    /// The template's variables, resolved.
    pub environment: BTreeMap<String, String>,
}

/// What all functions of a host share.
#[derive(Debug, Clone)]
pub struct HostConfig {
    pub region: String,
    /// Where the functions' AWS SDKs find AWS, `http://127.0.0.1:3001`.
    pub endpoint_url: String,
    /// The program whose first argument [`LAUNCHER_COMMAND`] leads to [`launch`]: by default the running one.
    pub launcher: PathBuf,
    /// How long an environment waits for its next invocation before it ends.
    pub idle_time: Duration,
    /// How long initialization may take before it is tried once more.
    pub init_time: Duration,
    /// How long an invocation waits for an environment to become free before another one starts.
    pub scale_out_time: Duration,
    /// How many environments of one function may live at a time, if it reserves no fewer.
    pub environments_per_function: usize,
}

impl HostConfig {
    /// The defaults, for functions that find AWS at `endpoint_url`.
    pub fn new(region: impl Into<String>, endpoint_url: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            endpoint_url: endpoint_url.into(),
            launcher: launcher::this_program(),
            idle_time: IDLE_TIME,
            init_time: INIT_TIME,
            scale_out_time: SCALE_OUT_TIME,
            environments_per_function: ENVIRONMENTS_PER_FUNCTION,
        }
    }
}

/// The thread that starts the children could not be started.
#[derive(Debug, thiserror::Error)]
#[error("could not start the thread that starts Lambda functions")]
pub struct StartError(#[source] std::io::Error);

/// Where a host is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Phase {
    Open,
    /// Finishes what is in flight, takes nothing more.
    Draining,
    /// Kills what is left.
    Killing,
}

impl Phase {
    /// Waits until the host is in this phase or a later one, or gone.
    async fn reached(self, phase: &mut watch::Receiver<Phase>) {
        let _ = phase.wait_for(|phase| self <= *phase).await;
    }
}

/// What a host's pools and environments have in common.
#[derive(Debug)]
struct Shared {
    config: HostConfig,
    spawner: Spawner,
    phase: watch::Sender<Phase>,
    /// How many environments live, over all functions.
    environments: watch::Sender<usize>,
    tokio: tokio::runtime::Handle,
}

/// The Lambda service of one machine. Dropped, it kills its environments.
#[derive(Debug)]
pub struct Host {
    shared: Arc<Shared>,
    pools: BTreeMap<String, Arc<Pool>>,
}

impl Host {
    /// Takes in the functions. None of them starts before its first invocation.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(functions: impl IntoIterator<Item = Function>, config: HostConfig) -> Result<Self, StartError> {
        let shared = Arc::new(Shared {
            config,
            spawner: Spawner::start().map_err(StartError)?,
            phase: watch::Sender::new(Phase::Open),
            environments: watch::Sender::new(0),
            tokio: tokio::runtime::Handle::current(),
        });
        let pools = functions
            .into_iter()
            .map(|function| {
                (
                    function.name.clone(),
                    Arc::new(Pool::new(function, Arc::clone(&shared))),
                )
            })
            .collect();
        Ok(Self { shared, pools })
    }

    /// Refuses new invocations, lets those in flight finish for as long as `patience`, and ends all environments.
    pub async fn shutdown(&self, patience: Duration) {
        let mut environments = self.shared.environments.subscribe();
        self.shared.phase.send_replace(Phase::Draining);
        let drained = tokio::time::timeout(patience, environments.wait_for(|count| *count == 0))
            .await
            .is_ok();
        self.shared.phase.send_replace(Phase::Killing);
        if !drained {
            tracing::warn!(target: "lambda", ?patience, "killing functions that are still busy");
            // The sender is in `self.shared`, so this ends by the count alone; SIGKILL brings it to 0.
            let _ = environments.wait_for(|count| *count == 0).await;
        }
    }

    fn pool(&self, function: &str) -> Result<&Arc<Pool>, InvokeError> {
        let name = function_name(function);
        self.pools
            .get(name)
            .filter(|pool| !function.starts_with("arn:") || function.starts_with(&pool.function().arn))
            .ok_or_else(|| {
                let region = &self.shared.config.region;
                let arn = match function.starts_with("arn:") {
                    true => function.to_owned(),
                    false => format!("arn:aws:lambda:{region}:000000000000:function:{name}"),
                };
                InvokeError::Service {
                    code: "ResourceNotFoundException",
                    status: 404,
                    message: format!("Function not found: {arn}"),
                }
            })
    }
}

impl Invoke for Host {
    fn invoke(&self, invocation: Invocation) -> Answer<'_> {
        Box::pin(async move { self.pool(&invocation.function)?.invoke(invocation.payload).await })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.phase.send_replace(Phase::Killing);
    }
}

/// The name in `name`, `name:qualifier` or an ARN with or without a qualifier. There is but one version here.
fn function_name(function: &str) -> &str {
    let name = match function.split_once(":function:") {
        Some((_, name)) => name,
        None => function,
    };
    name.split_once(':').map_or(name, |(name, _qualifier)| name)
}
