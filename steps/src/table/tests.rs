//! What the conditions of writes guarantee, shown by trying all interleavings of a model of the writers.
//!
//! The models are pure, and their table is small. The conditions they evaluate are the very expressions that are sent
//! to DynamoDB.

mod expression;
mod folding;
mod items;
mod progressing;

use std::collections::HashSet;
use std::hash::Hash;

/// Visits every state that can be reached from `first`. A state without a successor is quiescent.
fn explore<S: Clone + Eq + Hash>(first: S, successors: impl Fn(&S) -> Vec<S>, mut quiescent: impl FnMut(&S)) -> usize {
    let mut known = HashSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some(state) = open.pop() {
        let next = successors(&state);
        if next.is_empty() {
            quiescent(&state);
        }
        for state in next {
            if known.insert(state.clone()) {
                open.push(state);
            }
        }
    }
    known.len()
}
