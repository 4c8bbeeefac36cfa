//! The one place that reads the time.
//!
//! Everything that stamps, waits or expires holds a [`Clock`]: the machine's own, one that skips the time in which
//! nothing happens (a workflow that waits for days is then played in milliseconds), or one that stands still until a
//! test moves it. Whoever does something that must not be overtaken by a skip holds a [`Busy`] meanwhile.

mod ahead;
mod skip;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

pub use ahead::Error;
pub(crate) use skip::{Bell, Busy};

use ahead::Ahead;
use skip::Skip;

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
    /// How far the clock has been moved ahead.
    ahead: Arc<watch::Sender<TimeDelta>>,
    /// Where that is kept over a restart.
    kept: Option<Arc<Ahead>>,
    /// What a clock that skips time has to know.
    skip: Option<Arc<Skip>>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self {
            still_at: None,
            ahead: Arc::new(watch::Sender::new(TimeDelta::zero())),
            kept: None,
            skip: None,
        }
    }

    /// The clock of what is kept beside `file`: the machine's, as far ahead of it as it had come when it last ran.
    ///
    /// One that `skips` jumps over the time in which nothing happens. What it has skipped stays skipped, also when it
    /// is opened as one that does not skip: time never goes back behind what is written down. Blocks on the disk.
    pub fn open(file: &Path, skips: bool) -> Result<Self, Error> {
        let kept = Ahead::new(file);
        Ok(Self {
            ahead: Arc::new(watch::Sender::new(kept.read()?)),
            kept: Some(Arc::new(kept)),
            skip: skips.then(Arc::default),
            ..Self::system()
        })
    }

    /// A clock that stands at `moment` until it is moved.
    pub fn still(moment: DateTime<Utc>) -> Self {
        Self {
            still_at: Some(moment),
            ..Self::system()
        }
    }

    /// The same clock, skipping the time in which nothing happens.
    #[cfg(test)]
    pub(crate) fn skipping(self) -> Self {
        Self {
            skip: Some(Arc::default()),
            ..self
        }
    }

    /// The present moment.
    pub fn now(&self) -> DateTime<Utc> {
        self.of(*self.ahead.borrow())
    }

    /// How far ahead of the machine's time it is.
    pub fn ahead(&self) -> TimeDelta {
        *self.ahead.borrow()
    }

    /// Whether it skips the time in which nothing happens.
    pub fn skips(&self) -> bool {
        self.skip.is_some()
    }

    /// Moves the clock ahead to `moment`; it never goes back, so a past moment changes nothing.
    pub fn jump_to(&self, moment: DateTime<Utc>) {
        self.ahead.send_modify(|ahead| {
            let step = moment - self.of(*ahead);
            *ahead += step.max(TimeDelta::zero());
        });
    }

    /// What a clock shows that is as far ahead as this.
    fn of(&self, ahead: TimeDelta) -> DateTime<Utc> {
        self.still_at.unwrap_or_else(Utc::now) + ahead
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
