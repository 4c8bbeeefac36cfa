//! Throttling, as the template's route settings say: a bucket of tokens for each route.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::template::Throttle;

/// What a route may take if only the other of the two is set: an account's own limits in API Gateway.
const ACCOUNT_RATE: f64 = 10_000.0;
const ACCOUNT_BURST: u32 = 5_000;

/// As many tokens as requests may come at once; each request takes one, and `rate` of them come back a second.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: f64,
    burst: f64,
    level: Mutex<Level>,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    tokens: f64,
    at: DateTime<Utc>,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(throttle: &Throttle, now: DateTime<Utc>) -> Self {
        let burst = f64::from(throttle.burst.unwrap_or(ACCOUNT_BURST));
        Self {
            rate: throttle.rate.unwrap_or(ACCOUNT_RATE),
            burst,
            level: Mutex::new(Level { tokens: burst, at: now }),
        }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&self, now: DateTime<Utc>) -> bool {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back neither gives tokens nor takes any.
        let passed = (now - level.at).to_std().unwrap_or_default().as_secs_f64();
        let tokens = (level.tokens + passed * self.rate).min(self.burst);
        let is_taken = 1.0 <= tokens;
        *level = Level {
            tokens: if is_taken { tokens - 1.0 } else { tokens },
            at: now,
        };
        is_taken
    }
}

#[cfg(test)]
mod tests;
