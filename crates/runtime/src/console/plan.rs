//! What an execution ended in, and what a redrive of it would keep and run again: all of it, whatever a page shows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use asl::StateType;
use serde_json::{Value, json};

use super::trace::{Outcome, Trace, Visit, VisitIndex};

/// The innermost state that the execution ended in without coming to its end: the one whose error it failed by, else
/// the one that was under way when it ran out of time, or was stopped.
pub(super) fn ended_in(trace: &Trace) -> Option<VisitIndex> {
    failed(trace).or_else(|| {
        let unfinished = unfinished(trace);
        unfinished.max_by_key(|index| trace.around(*index).count())
    })
}

fn failed(trace: &Trace) -> Option<VisitIndex> {
    // What an execution runs out of time in has not failed by itself, unless it is the task that did.
    let has_failed = |visit: &Visit| match visit.outcome {
        Outcome::TimedOut => visit.branches.is_empty(),
        _ => visit.has_failed(),
    };
    let of_the_execution = trace.current(0).filter(|index| has_failed(&trace.visits[*index]));
    let inner = |container: &VisitIndex| {
        let has_failed = trace.visits[*container].outcome == Outcome::Failed;
        trace.at_fault(*container).filter(|_| has_failed)
    };
    std::iter::successors(of_the_execution, inner).last()
}

fn unfinished(trace: &Trace) -> impl Iterator<Item = VisitIndex> + '_ {
    (0..trace.visits.len()).filter(|index| trace.is_unfinished(*index))
}

/// `Map:3`: the items that a visit lies in, as an address has them.
pub(super) fn items(trace: &Trace, visit: VisitIndex) -> Vec<String> {
    let around = trace.around(visit);
    around
        .filter(|(container, _)| trace.visits[*container].state_type == StateType::Map)
        .map(|(container, item)| format!("{}:{item}", trace.visits[container].state))
        .collect()
}

/// How often a state was begun in the last run until it ended there; a container that is retried begins it anew.
pub(super) fn tries(trace: &Trace, visit: VisitIndex) -> usize {
    let run = trace.runs.len().saturating_sub(1);
    let own = &trace.visits[visit];
    let place = trace.around(visit).next();
    let is_same = |other: &Visit, index: VisitIndex| {
        other.state == own.state && other.exited.is_none() && trace.around(index).next() == place
    };
    let same = trace.visits.iter().enumerate();
    let same = same.filter(|(index, other)| is_same(other, *index));
    let attempts = same.flat_map(|(_, other)| &other.attempts);
    attempts.filter(|attempt| attempt.run == run).count()
}

/// What a redrive of the execution would do, as the page tells it.
///
/// `kept` counts the states that came to their end, but for those within the items of Maps: `items` has of each Map that
/// goes on how many of its items are kept. `again` are the innermost states that run again, first the one that failed.
pub(super) fn redrive(trace: &Trace) -> Value {
    json!({"kept": kept(trace), "items": kept_items(trace), "again": again(trace)})
}

fn is_in_map(trace: &Trace, index: VisitIndex) -> bool {
    let mut around = trace.around(index);
    around.any(|(container, _)| trace.visits[container].state_type == StateType::Map)
}

fn kept(trace: &Trace) -> usize {
    let visits = trace.visits.iter().enumerate();
    let last: HashMap<&str, VisitIndex> = visits.map(|(index, visit)| (&*visit.state, index)).collect();
    let is_kept = |index: &VisitIndex| trace.visits[*index].exited.is_some() && !trace.is_former(*index);
    let kept = last.into_values().filter(is_kept);
    kept.filter(|index| !is_in_map(trace, *index)).count()
}

fn kept_items(trace: &Trace) -> Vec<Value> {
    let maps = unfinished(trace).filter(|index| trace.visits[*index].state_type == StateType::Map);
    let maps = maps.filter(|index| !is_in_map(trace, *index));
    let told = maps.map(|index| &trace.visits[index]).map(|map| {
        let succeeded = |branch: &&super::trace::Branch| branch.outcome == Outcome::Succeeded;
        let kept = map.branches.iter().filter(succeeded).count();
        json!({"state": map.state, "total": map.items, "kept": kept})
    });
    told.collect()
}

fn again(trace: &Trace) -> Vec<Arc<str>> {
    let is_innermost = |index: &VisitIndex| {
        let mut branches = trace.visits[*index].branches.iter();
        branches.all(|branch| branch.outcome == Outcome::Succeeded)
    };
    let innermost = unfinished(trace).filter(is_innermost);
    let failed = failed(trace).filter(is_innermost);
    let mut named = HashSet::new();
    let names = failed
        .into_iter()
        .chain(innermost)
        .map(|index| trace.visits[index].state.clone());
    names.filter(|name| named.insert(name.clone())).collect()
}
