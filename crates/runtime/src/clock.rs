//! The one place that reads the time.
//!
//! Everything that stamps, waits or expires holds a [`Clock`]: the machine's own, one that may also jump ahead (a
//! workflow that waits for days is then played in milliseconds), or one that stands still until a test moves it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

/// The longest that a wait relies on the monotonic clock alone.
///
/// That clock stands still while a laptop sleeps, wall time does not: a timer is late by this much at most after
/// waking, or after the wall clock was set.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// A source of the present moment, shared by cloning: clones jump together.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Where a clock that does not run by itself stands.
    still_at: Option<DateTime<Utc>>,
    /// How far the clock has been moved ahead by [`Clock::jump_to`].
    ahead: Arc<watch::Sender<TimeDelta>>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self {
            still_at: None,
            ahead: Arc::new(watch::Sender::new(TimeDelta::zero())),
        }
    }

    /// A clock that stands at `moment` until it is moved.
    pub fn still(moment: DateTime<Utc>) -> Self {
        Self {
            still_at: Some(moment),
            ..Self::system()
        }
    }

    /// The present moment.
    pub fn now(&self) -> DateTime<Utc> {
        let ahead = *self.ahead.borrow();
        self.still_at.unwrap_or_else(Utc::now) + ahead
    }

    /// Moves the clock ahead to `moment`; it never goes back, so a past moment changes nothing.
    pub fn jump_to(&self, moment: DateTime<Utc>) {
        let step = moment - self.now();
        if TimeDelta::zero() < step {
            self.ahead.send_modify(|ahead| *ahead += step);
        }
    }

    /// Waits until the clock shows `due` or later.
    pub async fn sleep_until(&self, due: DateTime<Utc>) {
        let mut jumps = self.ahead.subscribe();
        loop {
            let left = (due - self.now()).to_std().unwrap_or(Duration::ZERO);
            if left.is_zero() {
                return;
            }
            let nap = async {
                match self.still_at {
                    Some(_) => std::future::pending().await,
                    None => tokio::time::sleep(left.min(LONGEST_NAP)).await,
                }
            };
            tokio::select! {
                () = nap => {}
                jumped = jumps.changed() => jumped.expect("this clock holds the sender"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
