//! Skipping time: who is at work, and how a clock jumps when nobody is.
//!
//! A jump must overtake nothing: no call of a task, no request, no event on its way. Each holds a [`Busy`] from before
//! it is known to those who wait for it until what follows from it is known in turn; a handover (a [`Bell`], an
//! [`Away`]) passes the hold on without a gap. So when there is none, all that is left to happen is in timers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::{Clock, Error};

/// What a clock that skips has to know.
#[derive(Debug, Default)]
pub(super) struct Skip {
    state: Mutex<State>,
    /// Told when the last hold is released.
    quiet: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many hold the clock.
    holds: usize,
    /// How often it was held: tells one quiet moment from the next.
    turn: u64,
    /// Timers that are in memory alone.
    alarms: BTreeMap<u64, DateTime<Utc>>,
    next_alarm: u64,
}

impl Skip {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self) {
        let mut state = self.state();
        state.holds += 1;
        state.turn += 1;
    }

    /// Whether there was a hold to release.
    fn release(&self) -> bool {
        let mut state = self.state();
        let Some(holds) = state.holds.checked_sub(1) else {
            return false;
        };
        state.holds = holds;
        if holds == 0 {
            self.quiet.notify_one();
        }
        true
    }
}

/// Something is going on: while it is held, the clock does not jump. Of a clock that does not skip it is nothing.
#[derive(Debug)]
pub(crate) struct Busy(Option<Arc<Skip>>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(skip) = &self.0 {
            skip.release();
        }
    }
}

/// The contrary: whoever holds a [`Busy`] only waits now, for something that holds the clock itself or for a timer.
///
/// It ends before what woke the waiter lets go of its own hold.
#[derive(Debug)]
pub(crate) struct Away(Option<Arc<Skip>>);

impl Drop for Away {
    fn drop(&mut self) {
        if let Some(skip) = &self.0 {
            skip.hold();
        }
    }
}

/// A timer that no store knows; the clock jumps to it like to any other until it is dropped.
#[derive(Debug)]
pub(crate) struct Alarm(Option<(Arc<Skip>, u64)>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some((skip, number)) = &self.0 {
            skip.state().alarms.remove(number);
        }
    }
}

/// A notification that holds the clock from when it is given until whoever hears it lets go.
#[derive(Debug)]
pub(crate) struct Bell {
    clock: Clock,
    rung: Mutex<Option<Busy>>,
    notify: Notify,
}

impl Bell {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            rung: Mutex::default(),
            notify: Notify::new(),
        }
    }

    pub(crate) fn ring(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        rung.get_or_insert_with(|| self.clock.busy());
        drop(rung);
        self.notify.notify_one();
    }

    /// Waits until it is rung, if it was not since it was last heard.
    pub(crate) async fn heard(&self) -> Busy {
        self.notify.notified().await;
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner).take();
        rung.unwrap_or_else(|| self.clock.busy())
    }
}

/// A moment at which nobody held the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quiet {
    turn: u64,
    /// The next of the timers in memory.
    pub(crate) alarm: Option<DateTime<Utc>>,
}

impl Clock {
    /// Keeps the clock from jumping until the result is dropped.
    pub(crate) fn busy(&self) -> Busy {
        if let Some(skip) = &self.skip {
            skip.hold();
        }
        Busy(self.skip.clone())
    }

    /// Suspends one [`Busy`], that of the caller or of who called it.
    pub(crate) fn away(&self) -> Away {
        let held = self.skip.as_ref().filter(|skip| skip.release());
        Away(held.cloned())
    }

    /// Makes a timer in memory known; set by someone who holds the clock, dropped by someone who holds it again.
    pub(crate) fn alarm(&self, due: DateTime<Utc>) -> Alarm {
        Alarm(self.skip.as_ref().map(|skip| {
            let mut state = skip.state();
            let number = state.next_alarm;
            state.next_alarm += 1;
            state.alarms.insert(number, due);
            (skip.clone(), number)
        }))
    }

    /// Waits until nobody holds the clock, in another quiet moment than `before`.
    pub(crate) async fn quiet(&self, before: Option<Quiet>) -> Quiet {
        let Some(skip) = &self.skip else {
            return std::future::pending().await;
        };
        loop {
            {
                let state = skip.state();
                if state.holds == 0 && before.is_none_or(|before| before.turn != state.turn) {
                    return Quiet {
                        turn: state.turn,
                        alarm: state.alarms.values().min().copied(),
                    };
                }
            }
            skip.quiet.notified().await;
        }
    }

    /// Jumps to `due` if nobody has held the clock since `quiet`; kept on disk before anyone sees it.
    pub(crate) async fn skip_to(&self, due: DateTime<Utc>, quiet: Quiet) -> Result<(), Error> {
        let Some(skip) = &self.skip else {
            return Ok(());
        };
        let before = self.ahead();
        // Real time passes until the jump, so it will be a little shorter than what is kept.
        self.keep(before + (due - self.now())).await?;
        let jumped = {
            let state = skip.state();
            let jumps = state.holds == 0 && state.turn == quiet.turn;
            if jumps {
                // Under the lock: whoever holds the clock next sees the new time.
                self.jump_to(due);
            }
            jumps
        };
        if !jumped {
            self.keep(before).await?;
        }
        Ok(())
    }

    async fn keep(&self, ahead: chrono::TimeDelta) -> Result<(), Error> {
        let Some(kept) = self.kept.clone() else {
            return Ok(());
        };
        match tokio::task::spawn_blocking(move || kept.write(ahead)).await {
            Ok(written) => written,
            // The runtime is shutting down; the jump is left to the next start.
            Err(_) => std::future::pending().await,
        }
    }
}
