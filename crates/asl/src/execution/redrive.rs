//! What a redrive opens again, and in whose turn.

use std::collections::BTreeSet;

use super::{At, Children, Execution, after};
use crate::event::{Event, Failure, FrameId};
use crate::execution::Status;

impl Execution {
    /// Opens a closed execution again: every flow that had not come to its end begins its state anew.
    pub(super) fn reopen(&mut self, redrive_count: u32, event: &Event) {
        self.status = Status::Running;
        self.failure = Failure::default();
        self.stopped = None;
        self.redrive_count = redrive_count;
        let timeout = self.started.as_ref().and_then(|started| started.timeout_seconds);
        self.deadline = after(event.time, timeout);
        let frames: Vec<FrameId> = self.frames.keys().copied().collect();
        for id in frames {
            let frame = self.frame_mut(id);
            frame.last_event = event.id;
            frame.retries.clear();
            let begin_anew = match &frame.at {
                At::Task(_) | At::Waiting { .. } | At::Retrying { .. } => true,
                At::Children(children) => match children.run() {
                    Some(run) if run.arn.is_none() => true,
                    Some(run) if 0 < run.failures => false,
                    _ => children.finished == children.outputs.len(),
                },
                At::Failed | At::Redriven => true,
                At::Entering { .. } | At::Entered | At::Ended { .. } => false,
            };
            if begin_anew {
                self.set(id, At::Entered);
            }
        }
    }

    /// Takes in that the items of a distributed Map that had failed begin anew: so many at once as the Map may run.
    pub(super) fn redrive_items(&mut self, id: FrameId, event: &Event) {
        self.touch(id, event.id);
        // Those in a Parallel or Map state of their own go on at once.
        let leaves = self.frames.range(id + 1..).filter(|(_, frame)| {
            let is_item = frame.parent.is_some_and(|(parent, _)| parent == id);
            is_item && matches!(frame.at, At::Entered)
        });
        let leaves: Vec<FrameId> = leaves.map(|(item, _)| *item).collect();
        let Some(children) = self.map_run(id) else {
            return;
        };
        let mut waiting = BTreeSet::new();
        if let Some(map) = &mut children.map
            && let Some(run) = &mut map.run
        {
            let failures = std::mem::take(&mut run.failures);
            children.finished -= failures as usize;
            children.running += failures + run.redriven.len() as u32;
            let beyond = match map.max_concurrency {
                0 => 0,
                bound => children.running.saturating_sub(bound) as usize,
            };
            waiting.extend(leaves.iter().rev().take(beyond).copied());
            children.running -= waiting.len() as u32;
            run.redriven.clone_from(&waiting);
        }
        for item in waiting {
            self.set(item, At::Redriven);
        }
        self.refresh(id);
    }

    /// Lets redriven items of a distributed Map begin, as far as it may run further ones.
    pub(super) fn admit_redriven(&mut self, id: FrameId) {
        while let Some(item) = self.map_run(id).and_then(|children| children.next_redriven()) {
            self.begin_redriven(item);
        }
    }

    /// Has a redriven item begin its state anew.
    pub(super) fn begin_redriven(&mut self, item: FrameId) {
        let container = self.frames.get(&item).and_then(|frame| frame.parent);
        if let Some(children) = container.and_then(|(container, _)| self.map_run(container))
            && let Some(run) = children.map.as_mut().and_then(|map| map.run.as_mut())
            && run.redriven.remove(&item)
        {
            children.running += 1;
        }
        self.set(item, At::Entered);
    }

    /// The items of a frame in a distributed Map.
    fn map_run(&mut self, id: FrameId) -> Option<&mut Children> {
        match &mut self.frames.get_mut(&id)?.at {
            At::Children(children) if children.run().is_some() => Some(children),
            _ => None,
        }
    }
}
