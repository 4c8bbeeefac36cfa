//! The flows of a state machine: which states belong together, and where each leads.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::{Kind, State, StateMachine};

/// All flows: the state machine's own, those of branches and of item processors.
pub(super) struct Graph<'m> {
    /// By the name of the state that the flow starts at.
    pub(super) flows: BTreeMap<&'m str, Flow<'m>>,
    /// The flow that a state belongs to.
    pub(super) home: BTreeMap<&'m str, &'m str>,
}

pub(super) struct Flow<'m> {
    /// The Parallel or Map state that holds it.
    pub(super) owner: Option<&'m str>,
    pub(super) members: Vec<&'m State>,
}

impl<'m> Graph<'m> {
    pub(super) fn of(machine: &'m StateMachine) -> Self {
        let mut graph = Graph {
            flows: BTreeMap::new(),
            home: BTreeMap::new(),
        };
        let mut open: Vec<(&str, Option<&str>)> = vec![(&machine.start_at, None)];
        while let Some((start, owner)) = open.pop() {
            let mut members = Vec::new();
            let mut next = vec![start];
            while let Some(name) = next.pop() {
                let Some(state) = machine.state(name).filter(|_| !graph.home.contains_key(name)) else {
                    continue;
                };
                graph.home.insert(&state.name, start);
                members.push(state);
                next.extend(targets(state));
                open.extend(inner_flows(state).into_iter().map(|start| (start, Some(&*state.name))));
            }
            if !members.is_empty() {
                graph.flows.insert(start, Flow { owner, members });
            }
        }
        graph
    }

    /// The Parallel and Map states that a state stands in, from the inside out.
    pub(super) fn owners(&self, name: &str) -> Vec<&'m str> {
        let owner = |name: &str| self.flows.get(self.home.get(name)?)?.owner;
        std::iter::successors(owner(name), |name| owner(name)).collect()
    }
}

impl<'m> Flow<'m> {
    /// The states from which the flow can come to one of these ends.
    pub(super) fn reaching(&self, ends: impl Fn(&State) -> bool) -> BTreeSet<&'m str> {
        let mut sources: BTreeMap<&str, Vec<&'m str>> = BTreeMap::new();
        for state in &self.members {
            for target in targets(state) {
                sources.entry(target).or_default().push(&state.name);
            }
        }
        let mut next: Vec<&'m str> = self
            .members
            .iter()
            .filter(|state| ends(state))
            .map(|state| &*state.name)
            .collect();
        let mut reaching = BTreeSet::new();
        while let Some(name) = next.pop() {
            if reaching.insert(name) {
                next.extend(sources.get(name).into_iter().flatten());
            }
        }
        reaching
    }
}

/// Whether the flow ends with this state, without an error.
pub(super) fn succeeds(state: &State) -> bool {
    match state.kind {
        Kind::Succeed => true,
        Kind::Fail { .. } | Kind::Choice { .. } => false,
        _ => state.next.is_none(),
    }
}

/// Where a state may lead.
pub(super) fn targets(state: &State) -> Vec<&str> {
    let mut targets: Vec<&str> = state.next.iter().map(|name| &**name).collect();
    if let Kind::Choice { rules, default } = &state.kind {
        targets.extend(rules.iter().map(|rule| &*rule.next));
        targets.extend(default.iter().map(|name| &**name));
    }
    targets.extend(state.catch.iter().map(|catcher| &*catcher.next));
    targets
}

/// The states that the flows inside a state start at.
fn inner_flows(state: &State) -> Vec<&str> {
    match &state.kind {
        Kind::Parallel { branches } => branches.iter().map(|start| &**start).collect(),
        Kind::Map(map) => vec![&map.start_at],
        _ => Vec::new(),
    }
}
