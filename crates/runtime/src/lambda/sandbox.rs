//! One execution environment, from its start to its end: a process, its Runtime API, and the jobs it serves.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot, watch};

use super::api::{Call, Listener, Outcome, Verdict, Work};
use super::failure::Failure;
use super::launcher;
use super::output::{self, Current};
use super::pool::{Job, Pool, Seat};
use super::process::{Exit, Process};
use super::{Function, Phase, environment};

/// How long a process may take to end after SIGTERM. AWS gives a runtime half a second.
const TERMINATION_TIME: Duration = Duration::from_millis(500);

/// How long to look for what a process said just before it ended.
const LAST_WORDS_TIME: Duration = Duration::from_millis(200);

/// The life of one environment.
pub(super) async fn live(mut seat: Seat) {
    let mut phase = seat.pool().shared().phase.subscribe();
    let mut sandbox = match initialize(seat.pool(), &mut phase).await {
        Ok(sandbox) => sandbox,
        Err(failure) => {
            let function = Arc::clone(seat.pool().function());
            tracing::warn!(target: "lambda", function = function.name, ?failure, "initialization failed");
            if let Some(job) = seat.take() {
                job.answer(&function.name, Err(failure), Duration::ZERO);
            }
            return;
        }
    };
    loop {
        let step = match seat.take() {
            Some(job) => sandbox.serve(job, seat.pool(), &mut phase).await,
            None => sandbox.wait(&seat, &mut phase).await,
        };
        if step.is_break() {
            break;
        }
    }
    sandbox.end().await;
}

/// Starts a sandbox; if its initialization fails, once more, as Lambda does: the second time within the time-out.
async fn initialize(pool: &Pool, phase: &mut watch::Receiver<Phase>) -> Result<Sandbox, Failure> {
    let function = pool.function();
    match Sandbox::start(pool, pool.shared().config.init_time, phase).await {
        Ok(sandbox) => Ok(sandbox),
        Err(failure @ (Failure::NoProgram(_) | Failure::CannotExecute { .. } | Failure::ShuttingDown)) => Err(failure),
        Err(failure) => {
            tracing::warn!(target: "lambda", function = function.name, ?failure, "initialization failed, trying once more");
            Sandbox::start(pool, function.timeout, phase).await
        }
    }
}

/// A process that has asked for its first invocation.
#[derive(Debug)]
struct Sandbox {
    process: Process,
    listener: Listener,
    calls: mpsc::Receiver<Call>,
    /// The runtime's open question for work.
    next: Option<oneshot::Sender<Work>>,
    current: Current,
}

/// What happens to a sandbox while its own code waits.
#[derive(Debug)]
enum Event {
    Call(Call),
    Exited(Exit),
    /// The time given has passed.
    Late,
    Killed,
}

impl Sandbox {
    async fn start(pool: &Pool, limit: Duration, phase: &mut watch::Receiver<Phase>) -> Result<Self, Failure> {
        let function = pool.function();
        check_program(&function.program)?;
        let started = Instant::now();
        let mut sandbox = Self::spawn(pool).await?;
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            match sandbox.event(deadline, phase).await {
                Event::Call(Call::Next { reply }) => {
                    sandbox.next = Some(reply);
                    let pid = sandbox.process.id();
                    let duration = started.elapsed();
                    tracing::debug!(target: "lambda", function = function.name, pid, ?duration, "INIT_START");
                    return Ok(sandbox);
                }
                Event::Call(Call::InitError { payload, reply }) => {
                    let _ = reply.send(Verdict::Accepted);
                    return Err(Failure::Posted(payload));
                }
                Event::Call(Call::Answer { reply, .. }) => {
                    let _ = reply.send(Verdict::InvalidRequestId);
                }
                Event::Exited(Exit::Status(code)) if code == i32::from(launcher::CANNOT_EXECUTE) => {
                    return Err(Failure::CannotExecute {
                        program: function.program.clone(),
                        reason: "exec format error".to_owned(),
                    });
                }
                Event::Exited(exit) => return Err(Failure::Exited(exit)),
                Event::Late => return Err(Failure::TimedOut(limit)),
                Event::Killed => return Err(Failure::ShuttingDown),
            }
        }
    }

    async fn spawn(pool: &Pool) -> Result<Self, Failure> {
        let function = pool.function();
        let config = &pool.shared().config;
        let (listener, calls) = Listener::start()
            .await
            .map_err(|error| Failure::Machine(format!("no listener for {}: {error}", function.name)))?;
        let log_stream = format!(
            "{}/[$LATEST]{}",
            chrono::Utc::now().format("%Y/%m/%d"),
            uuid::Uuid::new_v4().simple()
        );
        let variables = environment::variables(function, config, &listener.address().to_string(), &log_stream);
        let mut process = pool
            .shared()
            .spawner
            .spawn(&config.launcher, &function.program, variables)
            .await
            .map_err(|error| Failure::Machine(format!("no process for {}: {error}", function.name)))?;
        let current = Current::default();
        let (stdout, stderr) = process.output();
        if let Some(stdout) = stdout {
            tokio::spawn(output::log(stdout, function.name.clone(), current.clone()));
        }
        if let Some(stderr) = stderr {
            tokio::spawn(output::log(stderr, function.name.clone(), current.clone()));
        }
        Ok(Self {
            process,
            listener,
            calls,
            next: None,
            current,
        })
    }

    /// Serves one job, up to the runtime's question for the next one.
    async fn serve(&mut self, job: Job, pool: &Pool, phase: &mut watch::Receiver<Phase>) -> ControlFlow<()> {
        let Function { name, arn, timeout, .. } = &**pool.function();
        let begun = Instant::now();
        let deadline = tokio::time::Instant::now() + *timeout;
        self.current.set(Arc::clone(&job.request_id));
        let mut unsent = Some(Work {
            request_id: Arc::clone(&job.request_id),
            deadline_ms: chrono::Utc::now().timestamp_millis() + timeout.as_millis() as i64,
            function_arn: arn.clone(),
            payload: job.payload.clone(),
        });
        let mut open = Some(job);
        loop {
            if let Some(work) = unsent.take() {
                // A question whose connection has broken gives the work back; the runtime may ask again.
                unsent = match self.next.take() {
                    Some(next) => next.send(work).err(),
                    None => Some(work),
                };
            }
            let failure = match self.event(deadline, phase).await {
                Event::Call(Call::Next { reply }) => {
                    if open.is_none() {
                        self.next = Some(reply);
                        self.current.set(Arc::default());
                        return ControlFlow::Continue(());
                    }
                    // If it has its work and asks for more without an answer, the dropped reply tells it 403.
                    if unsent.is_some() {
                        self.next = Some(reply);
                    }
                    continue;
                }
                Event::Call(Call::Answer {
                    request_id,
                    outcome,
                    reply,
                }) => {
                    let job = open.take_if(|job| *job.request_id == *request_id);
                    let verdict = verdict(&outcome, job.is_some());
                    if let Some(job) = job {
                        job.answer(name, result(outcome), begun.elapsed());
                    }
                    let _ = reply.send(verdict);
                    continue;
                }
                Event::Call(Call::InitError { reply, .. }) => {
                    let _ = reply.send(Verdict::InvalidRequestId);
                    continue;
                }
                Event::Late => Failure::TimedOut(*timeout),
                Event::Exited(exit) => Failure::Exited(exit),
                Event::Killed => Failure::ShuttingDown,
            };
            self.process.signal(Signal::KILL);
            match open {
                Some(job) => job.answer(name, Err(failure), begun.elapsed()),
                None => {
                    tracing::warn!(target: "lambda", function = name, ?failure, "ended after its answer")
                }
            }
            return ControlFlow::Break(());
        }
    }

    /// Waits, idle, for a job, or for a reason to end.
    async fn wait(&mut self, seat: &Seat, phase: &mut watch::Receiver<Phase>) -> ControlFlow<()> {
        let deadline = tokio::time::Instant::now() + seat.pool().shared().config.idle_time;
        let mut draining = phase.clone();
        loop {
            tokio::select! {
                () = seat.woken() => return ControlFlow::Continue(()),
                () = Phase::Draining.reached(&mut draining) => return ControlFlow::Break(()),
                event = self.event(deadline, phase) => match event {
                    // Its connection broke, and it asks anew.
                    Event::Call(Call::Next { reply }) => self.next = Some(reply),
                    Event::Call(Call::Answer { reply, .. } | Call::InitError { reply, .. }) => {
                        let _ = reply.send(Verdict::InvalidRequestId);
                    }
                    Event::Exited(exit) => {
                        tracing::warn!(target: "lambda", function = seat.pool().function().name, %exit, "ended while idle");
                        return ControlFlow::Break(());
                    }
                    Event::Late | Event::Killed => return ControlFlow::Break(()),
                },
            }
        }
    }

    /// What comes first.
    ///
    /// The deadline goes before all that the runtime says, so that no flood of calls puts it off; and what it says before
    /// how it ends, since it may do both at once.
    async fn event(&mut self, deadline: tokio::time::Instant, phase: &mut watch::Receiver<Phase>) -> Event {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(deadline) => Event::Late,
            () = Phase::Killing.reached(phase) => Event::Killed,
            Some(call) = self.calls.recv() => Event::Call(call),
            exit = self.process.exited() => {
                // Its children must not keep the connections open, and what it said may still be on the way.
                self.process.signal(Signal::KILL);
                self.listener.stop();
                match tokio::time::timeout(LAST_WORDS_TIME, self.calls.recv()).await {
                    Ok(Some(call)) => Event::Call(call),
                    Ok(None) | Err(_) => Event::Exited(exit),
                }
            }
        }
    }

    /// Ends the process, gently if it still runs, and waits until it is gone.
    async fn end(mut self) {
        self.process.signal(Signal::TERM);
        if tokio::time::timeout(TERMINATION_TIME, self.process.exited())
            .await
            .is_err()
        {
            self.process.signal(Signal::KILL);
            self.process.exited().await;
        }
    }
}

fn verdict(outcome: &Outcome, is_current: bool) -> Verdict {
    match outcome {
        _ if !is_current => Verdict::InvalidRequestId,
        Outcome::TooLarge => Verdict::TooLarge,
        Outcome::Response(_) | Outcome::Error(_) => Verdict::Accepted,
    }
}

fn result(outcome: Outcome) -> Result<Bytes, Failure> {
    match outcome {
        Outcome::Response(payload) => Ok(payload),
        Outcome::Error(payload) => Err(Failure::Posted(payload)),
        Outcome::TooLarge => Err(Failure::ResponseTooLarge),
    }
}

/// What the launcher could only say by an exit status.
fn check_program(program: &std::path::Path) -> Result<(), Failure> {
    if !program.is_file() {
        return Err(Failure::NoProgram(program.to_owned()));
    }
    rustix::fs::access(program, rustix::fs::Access::EXEC_OK).map_err(|_| Failure::CannotExecute {
        program: program.to_owned(),
        reason: "permission denied".to_owned(),
    })
}
