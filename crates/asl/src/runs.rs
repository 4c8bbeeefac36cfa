//! Map Runs: what a history says of the runs of its distributed Maps.
//!
//! Their items are frames of the execution, of which the fold keeps what it needs to go on. What a run came to is
//! read off the events instead, whenever somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::event::{Event, EventKind, FrameId, Tolerance};
use crate::execution::{At, Execution};

/// AWS's status of a Map Run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapRunStatus {
    Running,
    Succeeded,
    Failed,
    Aborted,
}

/// A Map Run.
#[derive(Clone, Debug, PartialEq)]
pub struct MapRunRecord {
    pub arn: Arc<str>,
    pub status: MapRunStatus,
    pub started: DateTime<Utc>,
    pub stopped: Option<DateTime<Utc>>,
    /// 0 is no bound.
    pub max_concurrency: u32,
    pub tolerance: Tolerance,
    pub redrive_count: u32,
    pub redriven: Option<DateTime<Utc>>,
    /// All items: each is in one of the following.
    pub total: usize,
    pub pending: usize,
    pub running: usize,
    pub succeeded: usize,
    pub failed: usize,
    pub aborted: usize,
}

/// The Map Runs of a history in the order of their starts.
pub fn map_runs<'a>(history: impl IntoIterator<Item = &'a Event>) -> Vec<MapRunRecord> {
    let mut runs = Runs::default();
    for event in history {
        runs.take(event);
    }
    runs.records
}

#[derive(Default)]
struct Runs {
    execution: Execution,
    records: Vec<MapRunRecord>,
    /// The runs in progress by the frames of their Maps.
    open: BTreeMap<FrameId, usize>,
}

impl Runs {
    fn take(&mut self, event: &Event) {
        // A flow that ends takes its frame with it.
        let frame = self.execution.frames.get(&event.frame);
        let container = frame.and_then(|frame| frame.parent).map(|(parent, _)| parent);
        self.execution.apply(event);
        match &event.kind {
            EventKind::MapRunStarted { arn, .. } => {
                self.open.insert(event.frame, self.records.len());
                self.records.push(MapRunRecord {
                    arn: arn.clone(),
                    status: MapRunStatus::Running,
                    started: event.time,
                    stopped: None,
                    max_concurrency: 0,
                    tolerance: Tolerance::default(),
                    redrive_count: 0,
                    redriven: None,
                    total: 0,
                    pending: 0,
                    running: 0,
                    succeeded: 0,
                    failed: 0,
                    aborted: 0,
                });
            }
            EventKind::MapRunSucceeded => self.end(event.frame, MapRunStatus::Succeeded, event.time),
            EventKind::MapRunFailed(_) => self.end(event.frame, MapRunStatus::Failed, event.time),
            EventKind::MapRunRedriven { arn, redrive_count } => {
                if let Some(number) = self.records.iter().position(|record| record.arn == *arn) {
                    let record = &mut self.records[number];
                    record.status = MapRunStatus::Running;
                    record.stopped = None;
                    record.redrive_count = *redrive_count;
                    record.redriven = Some(event.time);
                    record.aborted = 0;
                    self.open.insert(event.frame, number);
                }
            }
            EventKind::ExecutionSucceeded { .. }
            | EventKind::ExecutionFailed(_)
            | EventKind::ExecutionTimedOut(_)
            | EventKind::ExecutionAborted(_) => self.abort(event.time, |_, _| true),
            // What is given up for it takes the runs below along.
            EventKind::StateExited { .. } | EventKind::RetryScheduled { .. } | EventKind::MapItemFailed(_) => {
                self.abort(event.time, |execution, frame| !execution.frames.contains_key(&frame));
            }
            _ => {}
        }
        for frame in [Some(event.frame), container].into_iter().flatten() {
            self.count(frame);
        }
    }

    /// Takes over what the fold says of a run in progress.
    fn count(&mut self, frame: FrameId) {
        let Some(record) = self.open.get(&frame).map(|number| &mut self.records[*number]) else {
            return;
        };
        let Some(At::Children(children)) = self.execution.frames.get(&frame).map(|frame| &frame.at) else {
            return;
        };
        let Some((map, run)) = children.map.as_ref().and_then(|map| Some((map, map.run.as_ref()?))) else {
            return;
        };
        record.max_concurrency = map.max_concurrency;
        record.tolerance = run.tolerance;
        record.total = children.outputs.len();
        record.running = children.running as usize;
        record.failed = run.failures as usize;
        record.succeeded = children.finished - record.failed;
        record.pending = record.total - record.running - children.finished;
    }

    fn end(&mut self, frame: FrameId, status: MapRunStatus, time: DateTime<Utc>) {
        if let Some(number) = self.open.remove(&frame) {
            let record = &mut self.records[number];
            record.status = status;
            record.stopped = Some(time);
            record.aborted = std::mem::take(&mut record.running);
        }
    }

    fn abort(&mut self, time: DateTime<Utc>, is_over: impl Fn(&Execution, FrameId) -> bool) {
        let open = self.open.keys().copied();
        let over: Vec<FrameId> = open.filter(|frame| is_over(&self.execution, *frame)).collect();
        for frame in over {
            self.end(frame, MapRunStatus::Aborted, time);
        }
    }
}
