//! One execution as the page shows it: of each state what became of it, and every attempt on a time line.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use asl::StateType;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::trace::{Attempt, Outcome, Trace, Visit, VisitIndex};

/// Bars of all lines, and of one: a state that was begun more often shows its last ones, and says how many there are.
const MAX_BARS: usize = 4_000;
const MAX_BARS_OF_LINE: usize = 200;
/// However many lines there are, one has its last attempts with the waits between them.
const MIN_BARS_OF_LINE: usize = 5;

/// Items of a Map that failed and are named, to go from one to the next.
const MAX_NAMED_ITEMS: usize = 100;

/// Which item of each Map state is looked into, by the state's name.
pub(super) type Items = BTreeMap<String, usize>;

/// What of an execution is looked at: its own flow, all branches, and of each Map one item.
pub(super) struct Shown<'a> {
    trace: &'a Trace,
    /// With the number of containers around it, in the order of the flow.
    visits: Vec<(VisitIndex, usize)>,
    items: BTreeMap<Arc<str>, usize>,
}

/// The visits of one state.
struct Lane {
    depth: usize,
    visits: Vec<VisitIndex>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(trace: &'a Trace, items: &Items) -> Self {
        let mut shown = Self {
            trace,
            visits: Vec::new(),
            items: BTreeMap::new(),
        };
        shown.collect(0, 0, items);
        shown
    }

    fn collect(&mut self, frame: asl::FrameId, depth: usize, items: &Items) {
        let trace = self.trace;
        let visits = trace.visits_of(frame);
        // Of a container in a loop only the last visit is looked into.
        let last: HashMap<&str, VisitIndex> = visits
            .iter()
            .map(|index| (&*trace.visits[*index].state, *index))
            .collect();
        for index in visits {
            self.visits.push((*index, depth));
            let visit = &trace.visits[*index];
            if last.get(&*visit.state) != Some(index) {
                continue;
            }
            match visit.state_type {
                StateType::Parallel => {
                    for branch in visit.former.iter().chain([&visit.branches]).flatten() {
                        self.collect(branch.frame, depth + 1, items);
                    }
                }
                StateType::Map => {
                    let wanted = items.get(&*visit.state).copied();
                    let number = wanted.unwrap_or_else(|| telling_item(visit));
                    self.items.insert(visit.state.clone(), number);
                    let attempts = visit.former.iter().chain([&visit.branches]);
                    for branch in attempts.filter_map(|branches| branches.get(number)) {
                        self.collect(branch.frame, depth + 1, items);
                    }
                }
                _ => {}
            }
        }
    }

    /// The last visit of a state, and all there were.
    pub(super) fn state(&self, name: &str) -> Option<(&'a Visit, usize)> {
        let mut visits = self
            .visits
            .iter()
            .filter(|(index, _)| &*self.trace.visits[*index].state == name);
        let (last, _) = visits.next_back()?;
        Some((&self.trace.visits[*last], 1 + visits.count()))
    }

    /// The state that is looked at first: where it is, else the one that it ended in, else the last.
    pub(super) fn opening(&self) -> Option<&'a Visit> {
        let trace = self.trace;
        let unfinished = || {
            let shown = self.visits.iter().filter(|(index, _)| trace.is_unfinished(*index));
            shown.map(|(index, depth)| (&trace.visits[*index], *depth))
        };
        let deepest_of = |wanted: fn(&Visit) -> bool| {
            let visits = unfinished().filter(|(visit, _)| wanted(visit));
            visits.max_by_key(|(_, depth)| *depth).map(|(visit, _)| visit)
        };
        deepest_of(Visit::is_open)
            .or_else(|| deepest_of(Visit::has_failed))
            .or_else(|| deepest_of(|_| true))
            .or_else(|| trace.current(0).map(|index| &trace.visits[index]))
    }

    fn lanes(&self) -> Vec<Lane> {
        let mut lanes: Vec<Lane> = Vec::new();
        let mut by_state: HashMap<&str, usize> = HashMap::new();
        for (index, depth) in &self.visits {
            let name = &*self.trace.visits[*index].state;
            let lane = *by_state.entry(name).or_insert(lanes.len());
            if lane == lanes.len() {
                lanes.push(Lane {
                    depth: *depth,
                    visits: Vec::new(),
                });
            }
            lanes[lane].visits.push(*index);
        }
        lanes
    }

    /// Every state that was reached, with its bars.
    pub(super) fn states(&self) -> Vec<Value> {
        let lanes = self.lanes();
        let most = (MAX_BARS / lanes.len().max(1)).clamp(MIN_BARS_OF_LINE, MAX_BARS_OF_LINE);
        lanes.iter().map(|lane| self.lane(lane, most)).collect()
    }

    fn lane(&self, lane: &Lane, most: usize) -> Value {
        let visits = lane.visits.iter().map(|index| &self.trace.visits[*index]);
        let last = &self.trace.visits[lane.visits[lane.visits.len() - 1]];
        let mut bars = Vec::new();
        let mut milliseconds = 0;
        let mut tries = 0;
        for visit in visits {
            tries += visit.attempts.len();
            milliseconds += self.bars(visit, &mut bars);
        }
        let more = bars.len().saturating_sub(most);
        let bars: Vec<Value> = bars.split_off(more);
        let attempt = last.attempts.last();
        let waits = attempt.filter(|attempt| attempt.waits_for_token && attempt.outcome == Outcome::Running);
        json!({
            "state": last.state,
            "type": last.state_type.as_str(),
            "depth": lane.depth,
            "status": last.outcome.as_str(),
            "visits": lane.visits.len(),
            "tries": tries,
            "ms": milliseconds,
            "open": last.is_open(),
            "until": last.until.filter(|_| last.exited.is_none()).map(ms),
            "waits_since": waits.and_then(Attempt::waits_since).map(ms),
            "waits_for_worker": waits.is_some_and(|attempt| attempt.waits_for_worker),
            "heartbeat_due": waits.and_then(|attempt| attempt.heartbeat_due).map(ms),
            "in_history": last.is_listed,
            "error": attempt.and_then(|attempt| attempt.error.as_deref()),
            "bars": bars,
            "more_bars": more,
            "items": self.items_of(last),
        })
    }

    /// Adds a visit's bars; how long it took, without the time between its runs.
    fn bars(&self, visit: &Visit, bars: &mut Vec<Value>) -> i64 {
        let mut bar = |run: usize, from, to: Option<DateTime<Utc>>, status: &str, error: Option<&str>| {
            bars.push(json!({"run": run, "from": ms(from), "to": to.map(ms), "status": status, "error": error}));
        };
        let mut total = 0;
        let mut before: Option<(usize, DateTime<Utc>)> = None;
        for attempt in &visit.attempts {
            if let Some((run, ended)) = before
                && run == attempt.run
                && ended < attempt.from
            {
                bar(run, ended, Some(attempt.from), "waiting", None);
                total += (attempt.from - ended).num_milliseconds();
            }
            let (run, status, error) = (attempt.run, attempt.outcome.as_str(), attempt.error.as_deref());
            let waits =
                visit.state_type == StateType::Wait && matches!(attempt.outcome, Outcome::Running | Outcome::Succeeded);
            let from = attempt.from;
            match attempt.submitted {
                _ if waits => bar(run, from, attempt.to, "waiting", None),
                Some(taken) if attempt.waits_for_worker => {
                    bar(run, from, Some(taken), "waiting", None);
                    bar(run, taken, attempt.to, status, error);
                }
                None if attempt.waits_for_worker => {
                    bar(run, from, attempt.to, "waiting", None);
                    if let Some(to) = attempt.to {
                        bar(run, to, Some(to), status, error);
                    }
                }
                Some(submitted) => {
                    bar(run, from, Some(submitted), "succeeded", None);
                    bar(run, submitted, attempt.to, "waiting", None);
                    if let Some(to) = attempt.to {
                        bar(run, to, Some(to), status, error);
                    }
                }
                None => bar(run, from, attempt.to, status, error),
            }
            if let Some(to) = attempt.to {
                total += (to - attempt.from).num_milliseconds();
                before = Some((run, to));
            }
        }
        if visit.outcome == Outcome::Retrying
            && let Some((run, ended)) = before
        {
            bar(run, ended, None, "waiting", None);
        }
        total
    }

    fn items_of(&self, visit: &Visit) -> Value {
        let Some(shown) = self.items.get(&visit.state) else {
            return Value::Null;
        };
        let count = |wanted: Outcome| visit.branches.iter().filter(|branch| branch.outcome == wanted).count();
        let failed = visit.branches.iter().enumerate();
        let failed = failed.filter(|(_, branch)| branch.outcome == Outcome::Failed);
        json!({
            "total": visit.items,
            "succeeded": count(Outcome::Succeeded),
            "failed": count(Outcome::Failed),
            "running": count(Outcome::Running),
            "aborted": count(Outcome::Aborted),
            "shown": shown,
            "shown_status": visit.branches.get(*shown).map(|branch| branch.outcome.as_str()),
            "failed_items": failed.map(|(number, _)| number).take(MAX_NAMED_ITEMS).collect::<Vec<_>>(),
        })
    }

    /// The ways that were taken, as from, to and whether an error took it; `null` stands for the start and the end.
    pub(super) fn ways(&self) -> Vec<Value> {
        let mut ways = std::collections::BTreeSet::new();
        let mut last: HashMap<usize, &Visit> = HashMap::new();
        let mut frames: Vec<asl::FrameId> = Vec::new();
        for (index, _) in &self.visits {
            let frame = self.trace.visits[*index].frame();
            if !frames.contains(&frame) {
                frames.push(frame);
            }
        }
        for frame in frames {
            let visits = self.trace.visits_of(frame);
            for pair in visits.windows(2) {
                let (from, to) = (&self.trace.visits[pair[0]], &self.trace.visits[pair[1]]);
                ways.insert((Some(&*from.state), Some(&*to.state), from.outcome == Outcome::Caught));
            }
            if let (Some(first), Some(end)) = (visits.first(), visits.last()) {
                ways.insert((None, Some(&*self.trace.visits[*first].state), false));
                last.insert(frame as usize, &self.trace.visits[*end]);
            }
        }
        for visit in last.values().filter(|visit| visit.exited.is_some()) {
            ways.insert((Some(&*visit.state), None, false));
        }
        ways.into_iter()
            .map(|(from, to, caught)| json!([from, to, caught]))
            .collect()
    }
}

/// The item of a Map that tells most: the first that failed, else the first that is still running, else the first.
fn telling_item(visit: &Visit) -> usize {
    let find = |wanted: Outcome| visit.branches.iter().position(|branch| branch.outcome == wanted);
    find(Outcome::Failed).or_else(|| find(Outcome::Running)).unwrap_or(0)
}

pub(super) fn ms(moment: DateTime<Utc>) -> i64 {
    moment.timestamp_millis()
}
