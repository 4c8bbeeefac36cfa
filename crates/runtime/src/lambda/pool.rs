//! The environments of one function and the invocations that wait for them.
//!
//! A job stays in the queue until an environment takes it, so a job is never lost with an environment that ends early.
//! The pool only sees to it that somebody comes: the most recently used idle environment, or else a new one. That one
//! starts when a job has waited for a few times what a start takes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::failure::Failure;
use super::{Function, InvokeError, MAX_REQUEST_BYTES, Phase, QUEUED_BYTES, QUEUED_INVOCATIONS, Shared, sandbox};

/// How many environments of one function may start at the same time.
///
/// Starting is work for the machine's cores, and under a burst of short invocations the first ones to come up serve the
/// rest before more of them could.
const STARTS_AT_ONCE: usize = 4;

/// An invocation on its way through the host.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request_id: Arc<str>,
    pub(super) payload: Bytes,
    received: Instant,
    reply: oneshot::Sender<Result<Bytes, InvokeError>>,
    in_flight: InFlight,
}

/// One of a function's invocations in flight, queued or running, for as long as this lives.
#[derive(Debug)]
struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn enter(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Job {
    /// Answers the caller, if it still waits. `busy` is how long the function had the job.
    pub(super) fn answer(self, function: &str, result: Result<Bytes, Failure>, busy: Duration) {
        let duration = self.received.elapsed();
        let overhead = duration.saturating_sub(busy);
        let request_id = &*self.request_id;
        match &result {
            Ok(_) => {
                tracing::debug!(target: "lambda", function, request_id, ?duration, ?overhead, "REPORT")
            }
            Err(failure) => {
                tracing::warn!(target: "lambda", function, request_id, ?duration, ?overhead, ?failure, "REPORT");
            }
        }
        // A caller that calls again at once must not find itself still counted.
        drop(self.in_flight);
        let _ = self
            .reply
            .send(result.map_err(|failure| failure.into_error(request_id)));
    }

    /// The caller has gone: its time-out struck, or its connection broke. The function need not begin.
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// One function's pool.
#[derive(Debug)]
pub(super) struct Pool {
    function: Arc<Function>,
    shared: Arc<Shared>,
    /// Only raised under the lock of `state`.
    in_flight: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Job>,
    queued_bytes: usize,
    /// Idle environments, the most recently used last.
    idle: Vec<Idle>,
    /// Environments that start or have been woken, and will look into the queue.
    coming: usize,
    /// Those of them that start.
    starting: usize,
    environments: usize,
    last_seat: u64,
}

impl State {
    /// Drops the jobs that nobody waits for, which otherwise only their turn would do.
    fn forget_abandoned(&mut self) {
        self.queue.retain(|job| !job.is_abandoned());
        self.queued_bytes = self.queue.iter().map(|job| job.payload.len()).sum();
    }
}

#[derive(Debug)]
struct Idle {
    seat: u64,
    wake: Arc<Notify>,
}

impl Pool {
    pub(super) fn new(function: Function, shared: Arc<Shared>) -> Self {
        Self {
            function: Arc::new(function),
            shared,
            in_flight: Arc::default(),
            state: Mutex::default(),
        }
    }

    pub(super) fn function(&self) -> &Arc<Function> {
        &self.function
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Calls the function.
    pub(super) async fn invoke(self: &Arc<Self>, payload: Bytes) -> Result<Bytes, InvokeError> {
        if MAX_REQUEST_BYTES < payload.len() {
            return Err(InvokeError::Service {
                code: "RequestTooLargeException",
                status: 413,
                message: format!(
                    "Request must be smaller than {MAX_REQUEST_BYTES} bytes for the InvokeFunction operation"
                ),
            });
        }
        let (reply, answer) = oneshot::channel();
        let request_id = Arc::from(uuid::Uuid::new_v4().to_string());
        self.enqueue(payload, request_id, reply)?;
        let mut answer = std::pin::pin!(answer);
        let result = match tokio::time::timeout(self.shared.config.scale_out_time, &mut answer).await {
            Ok(result) => result,
            Err(_) => {
                self.provide(&mut self.lock());
                answer.await
            }
        };
        result.unwrap_or_else(|_| {
            Err(InvokeError::Service {
                code: "ServiceException",
                status: 500,
                message: "the environment of the function was lost".to_owned(),
            })
        })
    }

    fn enqueue(
        self: &Arc<Self>,
        payload: Bytes,
        request_id: Arc<str>,
        reply: oneshot::Sender<Result<Bytes, InvokeError>>,
    ) -> Result<(), InvokeError> {
        let mut state = self.lock();
        if *self.shared.phase.borrow() != Phase::Open {
            return Err(Failure::ShuttingDown.into_error(&request_id));
        }
        if !self.has_room(&state, payload.len()) {
            state.forget_abandoned();
        }
        if !self.has_room(&state, payload.len()) {
            return Err(InvokeError::Service {
                code: "TooManyRequestsException",
                status: 429,
                message: "Rate Exceeded.".to_owned(),
            });
        }
        state.queued_bytes += payload.len();
        let in_flight = InFlight::enter(&self.in_flight);
        state.queue.push_back(Job {
            request_id,
            payload,
            received: Instant::now(),
            reply,
            in_flight,
        });
        self.provide(&mut state);
        Ok(())
    }

    fn has_room(&self, state: &State, bytes: usize) -> bool {
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        self.function
            .reserved_concurrency
            .is_none_or(|reserved| in_flight < reserved as usize)
            && state.queue.len() < QUEUED_INVOCATIONS
            && state.queued_bytes + bytes <= QUEUED_BYTES
    }

    /// Sees to it that for each queued job an idle environment comes, and for those that have waited long enough a new one.
    fn provide(self: &Arc<Self>, state: &mut State) {
        while state.coming < state.queue.len()
            && let Some(idle) = state.idle.pop()
        {
            state.coming += 1;
            idle.wake.notify_one();
        }
        let reserved = self
            .function
            .reserved_concurrency
            .map_or(usize::MAX, |reserved| reserved as usize);
        let limit = self.shared.config.environments_per_function.min(reserved);
        let patience = match state.environments {
            0 => Duration::ZERO,
            _ => self.shared.config.scale_out_time,
        };
        while state.environments < limit
            && state.starting < STARTS_AT_ONCE
            // Each one that comes takes one job; the next in line is the one to look at.
            && state.queue.get(state.coming).is_some_and(|job| patience <= job.received.elapsed())
        {
            self.start_environment(state);
        }
    }

    fn start_environment(self: &Arc<Self>, state: &mut State) {
        state.environments += 1;
        state.starting += 1;
        state.coming += 1;
        state.last_seat += 1;
        self.shared.environments.send_modify(|count| *count += 1);
        let seat = Seat {
            id: state.last_seat,
            pool: Arc::clone(self),
            wake: Arc::default(),
            at: At::Starting,
        };
        self.shared.tokio.spawn(sandbox::live(seat));
    }

    /// How many environments wait for work.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn idle(&self) -> usize {
        self.lock().idle.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An environment's place in its pool. Dropped, it is free for another.
#[derive(Debug)]
pub(super) struct Seat {
    id: u64,
    pool: Arc<Pool>,
    wake: Arc<Notify>,
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Counted in `starting` and `coming`.
    Starting,
    /// In the idle list, or taken off it and `coming`.
    Waiting,
    Busy,
}

impl Seat {
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The next job; `None` when there is none, and then [`Seat::woken`] tells when to ask again.
    pub(super) fn take(&mut self) -> Option<Job> {
        let pool = Arc::clone(&self.pool);
        let mut state = pool.lock();
        self.move_to(At::Busy, &mut state);
        while let Some(job) = state.queue.pop_front() {
            state.queued_bytes -= job.payload.len();
            if !job.is_abandoned() {
                pool.provide(&mut state);
                return Some(job);
            }
        }
        self.move_to(At::Waiting, &mut state);
        None
    }

    /// Waits until there may be a job. May be dropped and called again.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    fn move_to(&mut self, at: At, state: &mut State) {
        match self.at {
            At::Starting => {
                state.starting -= 1;
                state.coming -= 1;
            }
            At::Waiting => match state.idle.iter().position(|idle| idle.seat == self.id) {
                Some(position) => drop(state.idle.remove(position)),
                None => state.coming -= 1,
            },
            At::Busy => {}
        }
        if at == At::Waiting {
            state.idle.push(Idle {
                seat: self.id,
                wake: Arc::clone(&self.wake),
            });
        }
        self.at = at;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let pool = Arc::clone(&self.pool);
        let mut state = pool.lock();
        self.move_to(At::Busy, &mut state);
        state.environments -= 1;
        pool.provide(&mut state);
        drop(state);
        pool.shared.environments.send_modify(|count| *count -= 1);
    }
}
