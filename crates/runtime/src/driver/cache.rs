//! The executions that are in memory: a bounded cache of folds, and for each the lock that its triggers take turns on.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use asl::EventId;
use tokio::sync::oneshot;

use super::transition::Fold;
use crate::clock::{Busy, Clock};
use crate::history::{ExecutionId, MachineId};

/// What idle executions may take in memory, by the size of their logs: 64 MiB.
const MAX_BYTES: usize = 64 << 20;

/// What an execution takes beside its log's bytes: maps, locks, names, and the fold, whose parts are allocated one by one.
/// Of a small one that is the most: measured with waiting executions, some four KiB.
const OVERHEAD_BYTES: usize = 4 << 10;

/// How many executions an insertion looks at to make room: more than the one it adds, so that the cache shrinks back
/// to its bound, and few, for it is done under the lock.
const MAX_LOOKS: usize = 4;

/// An execution in memory.
///
/// Whoever works on it holds an `Arc`; the cache gives up only what nobody else holds, so that there is never a second
/// slot, and with it a second lock, for one execution.
pub(super) struct Slot {
    pub(super) id: ExecutionId,
    pub(super) state: tokio::sync::Mutex<SlotState>,
    /// Those who wait for the execution's end.
    pub(super) closed: Closed,
    /// The name under which the cache finds it.
    name: OnceLock<Name>,
    /// Bytes of its log.
    bytes: AtomicUsize,
    /// Whether it was asked for since the cache last looked at it.
    used: AtomicBool,
}

type Name = (MachineId, Arc<str>);

/// Who is told when an execution closes.
#[derive(Default)]
pub(super) struct Closed(Mutex<Vec<oneshot::Sender<Busy>>>);

impl Closed {
    /// From here on no closing is missed. What is received holds the clock, as whoever waits may have been away.
    pub(super) fn wait(&self) -> oneshot::Receiver<Busy> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|sender| !sender.is_closed());
        waiting.push(sender);
        receiver
    }

    pub(super) fn tell(&self, clock: &Clock) {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for sender in waiting {
            // Who gave up waiting is told nothing.
            let _ = sender.send(clock.busy());
        }
    }
}

#[derive(Default)]
pub(super) struct SlotState {
    /// Absent until it is needed, and after a failed append, whose outcome only the log knows.
    pub(super) fold: Option<Fold>,
    /// Calls in progress by the event that scheduled them. Dropping one's sender ends the call.
    pub(super) calls: HashMap<EventId, oneshot::Sender<()>>,
    /// Whether a further batch of transitions is on its way.
    pub(super) continuing: bool,
}

#[derive(Default)]
pub(super) struct Cache {
    entries: Mutex<Entries>,
    /// Of all slots together.
    bytes: AtomicUsize,
}

#[derive(Default)]
struct Entries {
    slots: HashMap<ExecutionId, Arc<Slot>>,
    names: HashMap<Name, ExecutionId>,
    /// In the order in which they are looked at to make room.
    queue: VecDeque<ExecutionId>,
}

impl Cache {
    /// The execution's slot, empty if it was not in memory.
    pub(super) fn slot(&self, id: ExecutionId) -> Arc<Slot> {
        let mut entries = self.lock();
        if let Some(slot) = entries.slots.get(&id) {
            slot.used.store(true, Ordering::Relaxed);
            return slot.clone();
        }
        self.make_room(&mut entries);
        let slot = Arc::new(Slot {
            id,
            state: tokio::sync::Mutex::default(),
            closed: Closed::default(),
            name: OnceLock::new(),
            bytes: AtomicUsize::new(OVERHEAD_BYTES),
            used: AtomicBool::new(false),
        });
        self.bytes.fetch_add(OVERHEAD_BYTES, Ordering::Relaxed);
        entries.slots.insert(id, slot.clone());
        entries.queue.push_back(id);
        slot
    }

    /// Makes an execution known by its name.
    pub(super) fn name(&self, slot: &Slot, machine: MachineId, name: Arc<str>) {
        let name = slot.name.get_or_init(|| (machine, name)).clone();
        self.lock().names.insert(name, slot.id);
    }

    /// The execution of this name, if it is in memory.
    pub(super) fn find(&self, machine: MachineId, name: &Arc<str>) -> Option<Arc<Slot>> {
        let entries = self.lock();
        let id = entries.names.get(&(machine, name.clone()))?;
        let slot = entries.slots.get(id)?;
        slot.used.store(true, Ordering::Relaxed);
        Some(slot.clone())
    }

    /// Takes note of the size of an execution's log.
    pub(super) fn weigh(&self, slot: &Slot, log_bytes: usize) {
        let bytes = log_bytes + OVERHEAD_BYTES;
        let before = slot.bytes.swap(bytes, Ordering::Relaxed);
        self.bytes.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Forgets an execution that does not exist, or no longer.
    pub(super) fn remove(&self, id: ExecutionId) {
        self.forget(&mut self.lock(), id);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up what nobody holds and nobody asked for lately.
    fn make_room(&self, entries: &mut Entries) {
        for _ in 0..MAX_LOOKS {
            if self.bytes.load(Ordering::Relaxed) <= MAX_BYTES {
                return;
            }
            let Some(id) = entries.queue.pop_front() else {
                return;
            };
            let in_use = entries
                .slots
                .get(&id)
                .is_some_and(|slot| Arc::strong_count(slot) > 1 || slot.used.swap(false, Ordering::Relaxed));
            if in_use {
                entries.queue.push_back(id);
            } else {
                self.forget(entries, id);
            }
        }
    }

    fn forget(&self, entries: &mut Entries, id: ExecutionId) {
        let Some(slot) = entries.slots.remove(&id) else {
            return;
        };
        self.bytes
            .fetch_sub(slot.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        if let Some(name) = slot.name.get()
            && entries.names.get(name) == Some(&id)
        {
            entries.names.remove(name);
        }
    }
}
