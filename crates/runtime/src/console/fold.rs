//! Large graphs in part: what is looked at with what is around it, and the rest folded.
//!
//! Whatever the definition, a picture has a bounded number of nodes, and every state is in it: as itself, or among those
//! that one folded node stands for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::graph::{Edge, EdgeKind, Flow, Node};

/// A flow with more states is folded: nobody reads more in one picture.
pub(super) const MOST_STATES: usize = 60;

/// A flow with no more states is drawn whole if somebody asks for that: what a browser draws without a stop.
pub(super) const MOST_DRAWN: usize = 1_000;

/// States shown at the start, and around each state that is looked at.
const AROUND_START: usize = 6;
const AROUND_FOCUS: usize = 24;

/// States that are looked at, one after the other: the last ones count.
const MOST_FOCUSES: usize = 8;

/// Folded nodes of a flow; what is left then becomes one.
const MOST_FOLDS: usize = 24;

/// The flow with at most a bounded number of nodes, around the states of these names.
pub(super) fn folded(flow: Flow, focuses: &[&str]) -> Flow {
    let focuses = &focuses[focuses.len().saturating_sub(MOST_FOCUSES)..];
    let (start, edges) = (flow.start, flow.edges);
    let kept = if flow.nodes.len() <= MOST_STATES {
        (0..flow.nodes.len()).collect()
    } else {
        kept(&flow.nodes, &edges, start, focuses)
    };
    let groups = groups(flow.nodes.len(), &edges, &kept);
    let mut place: Vec<usize> = vec![0; flow.nodes.len()];
    for (number, group) in groups.iter().enumerate() {
        for node in group {
            place[*node] = number;
        }
    }
    let mut nodes: Vec<Option<Node>> = flow.nodes.into_iter().map(Some).collect();
    let mut folded = Flow {
        start: place.get(start).copied().unwrap_or(0),
        ..Flow::default()
    };
    for group in &groups {
        let mut states = group.iter().filter_map(|node| nodes[*node].take());
        let Some(first) = states.next() else { continue };
        folded.nodes.push(if group.len() == 1 {
            let inside = first.inside.into_iter().map(|flow| self::folded(flow, focuses));
            Node {
                inside: inside.collect(),
                ..first
            }
        } else {
            let name = first.name.clone();
            Node {
                folded: std::iter::once(first.name)
                    .chain(states.map(|state| state.name))
                    .collect(),
                name,
                state_type: String::new(),
                comment: None,
                inside: Vec::new(),
            }
        });
    }
    for edge in edges {
        let (from, to) = (place[edge.from], edge.to.map(|to| place[to]));
        let is_fold = 1 < groups[from].len();
        if to == Some(from) && is_fold {
            continue;
        }
        // Of what leads out of folded states one sees where to, not why.
        let (kind, label) = match is_fold {
            true => (EdgeKind::Next, String::new()),
            false => (edge.kind, edge.label),
        };
        folded.edges.push(Edge { from, to, kind, label });
    }
    folded.merge();
    folded
}

/// The states that are shown as themselves: some from the start on, and the nearest to each focus.
fn kept(nodes: &[Node], edges: &[Edge], start: usize, focuses: &[&str]) -> BTreeSet<usize> {
    let mut beside: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for edge in edges {
        if let Some(to) = edge.to {
            beside[edge.from].push(to);
            beside[to].push(edge.from);
        }
    }
    let focuses = focuses
        .iter()
        .filter_map(|name| nodes.iter().position(|node| node.holds(name)));
    let mut kept = nearest(&beside, start, AROUND_START);
    for focus in focuses {
        kept.extend(nearest(&beside, focus, AROUND_FOCUS));
    }
    kept
}

/// A state and those that the fewest edges lead to, forwards or backwards.
fn nearest(beside: &[Vec<usize>], from: usize, count: usize) -> BTreeSet<usize> {
    let mut near = BTreeSet::from([from]);
    let mut waiting = VecDeque::from([from]);
    while let Some(node) = waiting.pop_front() {
        for other in &beside[node] {
            if near.len() < count && near.insert(*other) {
                waiting.push_back(*other);
            }
        }
    }
    near
}

/// All states in groups: each that is kept alone, the others with those they hang together with. Groups that hang
/// between the same states are one, so that the thousand ways out of a Choice are no thousand nodes.
fn groups(nodes: usize, edges: &[Edge], kept: &BTreeSet<usize>) -> Vec<Vec<usize>> {
    let mut beside: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    for edge in edges {
        if let Some(to) = edge.to.filter(|to| !kept.contains(&edge.from) && !kept.contains(to)) {
            beside[edge.from].push(to);
            beside[to].push(edge.from);
        }
    }
    let mut part: Vec<Option<usize>> = vec![None; nodes];
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for node in (0..nodes).filter(|node| !kept.contains(node)) {
        if part[node].is_some() {
            continue;
        }
        let mut group = Vec::new();
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            if part[node].replace(parts.len()).is_none() {
                group.push(node);
                waiting.extend(beside[node].iter().filter(|other| part[**other].is_none()));
            }
        }
        group.sort_unstable();
        parts.push(group);
    }
    // What leads into and out of each part.
    let mut ends = vec![(BTreeSet::new(), BTreeSet::new()); parts.len()];
    for edge in edges {
        let (from, to) = (part[edge.from], edge.to.and_then(|to| part[to]));
        if let Some(from) = from.filter(|from| Some(*from) != to) {
            ends[from].1.insert(edge.to);
        }
        if let Some(to) = to.filter(|to| Some(*to) != from) {
            ends[to].0.insert(edge.from);
        }
    }
    let mut alike: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (part, ends) in parts.into_iter().zip(ends) {
        alike.entry(ends).or_default().extend(part);
    }
    let mut folds: Vec<Vec<usize>> = alike.into_values().collect();
    if MOST_FOLDS < folds.len() {
        folds.sort_by_key(|fold| std::cmp::Reverse(fold.len()));
        let rest = folds.split_off(MOST_FOLDS - 1);
        folds.push(rest.into_iter().flatten().collect());
    }
    let mut groups: Vec<Vec<usize>> = kept.iter().map(|node| vec![*node]).chain(folds).collect();
    for group in &mut groups {
        group.sort_unstable();
    }
    // In the order of the definition, as far as there is one.
    groups.sort_unstable();
    groups
}

#[cfg(test)]
mod tests;
