//! Retriers and Catchers: who takes an error, and when the next attempt is due.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::definition::ResultPath;
use crate::query::Template;

/// One entry of `Retry`.
#[derive(Debug)]
pub(crate) struct Retrier {
    pub(crate) errors: Vec<Arc<str>>,
    pub(crate) interval_seconds: u64,
    pub(crate) max_attempts: u32,
    pub(crate) backoff_rate: f64,
    pub(crate) max_delay_seconds: Option<u64>,
    pub(crate) full_jitter: bool,
}

/// One entry of `Catch`.
#[derive(Debug)]
pub(crate) struct Catcher {
    pub(crate) errors: Vec<Arc<str>>,
    pub(crate) next: Arc<str>,
    pub(crate) result_path: ResultPath,
    pub(crate) assign: Option<Template>,
    pub(crate) output: Option<Template>,
}

/// `IntervalSeconds` where it is not given.
pub(crate) const DEFAULT_INTERVAL_SECONDS: u64 = 1;
/// `MaxAttempts` where it is not given.
pub(crate) const DEFAULT_MAX_ATTEMPTS: u32 = 3;
/// `BackoffRate` where it is not given.
pub(crate) const DEFAULT_BACKOFF_RATE: f64 = 2.0;
/// AWS's bound of every interval and delay: about three years, in seconds.
pub(crate) const MAX_SECONDS: u64 = 99_999_999;

impl Retrier {
    /// How long to wait before retry `n + 1`, or `None` once `MaxAttempts` retries are spent.
    ///
    /// `IntervalSeconds × BackoffRate^n`, at most `MaxDelaySeconds`; with full jitter a part of it, `fraction` in
    /// `0.0..1.0`. ASL, "Retrying after error".
    pub(crate) fn delay(&self, n: u32, fraction: f64) -> Option<TimeDelta> {
        if self.max_attempts <= n {
            return None;
        }
        let exponent = i32::try_from(n).unwrap_or(i32::MAX);
        let longest = self.max_delay_seconds.unwrap_or(MAX_SECONDS) as f64;
        let seconds = (self.interval_seconds as f64 * self.backoff_rate.powi(exponent)).min(longest);
        let seconds = if self.full_jitter { seconds * fraction } else { seconds };
        Some(TimeDelta::milliseconds((seconds * 1000.0).round() as i64))
    }
}

/// Whether `ErrorEquals` names this error.
///
/// `States.ALL` spares the two errors that no one can handle without naming them; `States.TaskFailed` is every error
/// of a Task but its time-out; a time-out's heartbeat form is a `States.Timeout`, too.
pub(crate) fn matches(errors: &[Arc<str>], error: &str, from_task: bool) -> bool {
    errors.iter().any(|pattern| match &**pattern {
        "States.ALL" => !matches!(error, "States.Runtime" | "States.DataLimitExceeded"),
        "States.TaskFailed" => error == "States.TaskFailed" || (from_task && !is_timeout(error)),
        "States.Timeout" => is_timeout(error),
        pattern => pattern == error,
    })
}

fn is_timeout(error: &str) -> bool {
    matches!(error, "States.Timeout" | "States.HeartbeatTimeout")
}
