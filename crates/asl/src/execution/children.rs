//! What a frame in a Parallel or Map state knows of the frames below it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::Json;
use crate::event::{EventId, FrameId, Tolerance};

/// The branches or iterations of a Parallel or Map state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Children {
    /// A Map's items; a Parallel state has none, its branches all begin at once.
    pub(crate) map: Option<MapItems>,
    pub(crate) outputs: Vec<Option<Json>>,
    pub(crate) finished: usize,
    pub(crate) running: u32,
    /// The last event inside the iteration that ended last, which the next iteration follows.
    pub(crate) last_inside: Option<EventId>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MapItems {
    pub(crate) items: Json,
    pub(crate) next: u32,
    /// 0 is no bound.
    pub(crate) max_concurrency: u32,
    pub(crate) start_at: Arc<str>,
    /// What runs the items, if the Map is a distributed one.
    pub(crate) run: Option<MapRun>,
}

/// The run of a distributed Map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MapRun {
    /// Absent until it has started.
    pub(crate) arn: Option<Arc<str>>,
    pub(crate) tolerance: Tolerance,
    pub(crate) failures: u32,
    /// Items that were redriven and wait for their turn.
    pub(crate) redriven: BTreeSet<FrameId>,
}

impl Children {
    pub(super) fn can_go_on(&self) -> bool {
        match self.run() {
            Some(run) if run.arn.is_none() => false,
            Some(run) if run.tolerance.failures < run.failures => true,
            _ => self.finished == self.outputs.len() || self.can_start_another(),
        }
    }

    /// The run of a distributed Map.
    pub(crate) fn run(&self) -> Option<&MapRun> {
        self.map.as_ref()?.run.as_ref()
    }

    /// Whether a further iteration may begin now.
    pub(crate) fn can_start_another(&self) -> bool {
        self.map
            .as_ref()
            .is_some_and(|map| (map.next as usize) < self.outputs.len() && self.has_room(map))
    }

    /// The redriven item that may begin its state anew now.
    pub(super) fn next_redriven(&self) -> Option<FrameId> {
        let map = self.map.as_ref()?;
        let item = map.run.as_ref()?.redriven.first()?;
        self.has_room(map).then_some(*item)
    }

    fn has_room(&self, map: &MapItems) -> bool {
        map.max_concurrency == 0 || self.running < map.max_concurrency
    }
}
