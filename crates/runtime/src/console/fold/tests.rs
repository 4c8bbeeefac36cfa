//! What holds of every folded graph.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// A machine whose states lead anywhere.
fn flow(states: usize, edges: &[(usize, usize)]) -> Flow {
    let state = |state: usize| {
        let to = edges.iter().filter(|(from, _)| from % states == state);
        let choices =
            to.map(|(_, to)| json!({"Variable": "$.x", "NumericEquals": to, "Next": format!("S{}", to % states)}));
        let choices: Value = choices.collect();
        (
            format!("S{state}"),
            json!({"Type": "Choice", "Choices": choices, "Default": format!("S{}", (state + 1) % states)}),
        )
    };
    let states: Map<String, Value> = (0..states).map(state).collect();
    Flow::of(&json!({"StartAt": "S0", "States": states}))
}

fn names(flow: &Flow) -> Vec<&str> {
    let names = flow.nodes.iter().flat_map(|node| match node.folded.is_empty() {
        true => vec![node.name.as_str()],
        false => node.folded.iter().map(String::as_str).collect(),
    });
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

proptest! {
    #[test]
    fn every_state_is_there_once_and_the_picture_is_small(
        states in 1_usize..400,
        edges in proptest::collection::vec((0_usize..400, 0_usize..400), 0..400),
        focus in 0_usize..400,
    ) {
        let whole = flow(states, &edges);
        let all: Vec<String> = names(&whole).into_iter().map(str::to_owned).collect();
        let focus = format!("S{}", focus % states);
        let folded = folded(whole, &[&focus]);
        prop_assert_eq!(names(&folded), all);
        prop_assert!(folded.nodes.len() <= MOST_STATES, "{}", folded.nodes.len());
        prop_assert!(folded.nodes.iter().any(|node| node.name == focus && node.folded.is_empty()));
        prop_assert!(folded.nodes[folded.start].name == "S0" && folded.nodes[folded.start].folded.is_empty());
        for edge in &folded.edges {
            prop_assert!(edge.from < folded.nodes.len() && edge.to.is_none_or(|to| to < folded.nodes.len()));
        }
    }
}

#[test]
fn a_thousand_ways_out_of_a_choice_are_one_node() {
    let state = |state: usize| (format!("S{state}"), json!({"Type": "Pass", "End": true}));
    let mut states: Map<String, Value> = (1..1000).map(state).collect();
    let way = |to: usize| json!({"Variable": "$.x", "NumericEquals": to, "Next": format!("S{to}")});
    states.insert(
        "S0".to_owned(),
        json!({"Type": "Choice", "Choices": (1..1000).map(way).collect::<Value>()}),
    );
    let folded = folded(Flow::of(&json!({"StartAt": "S0", "States": states})), &["S500"]);
    assert!(folded.nodes.len() < MOST_STATES, "{}", folded.nodes.len());
    assert!(folded.nodes.iter().any(|node| 900 < node.folded.len()));
}

#[test]
fn what_is_small_stays_as_it_is() {
    let folded = folded(flow(MOST_STATES, &[(3, 9)]), &[]);
    assert_eq!(folded.nodes.len(), MOST_STATES);
    assert!(folded.nodes.iter().all(|node| node.folded.is_empty()));
    assert_eq!(folded.edges.len(), MOST_STATES + 1);
}

#[test]
fn looking_at_more_and_more_states_shows_no_more_than_the_last_ones() {
    let names: Vec<String> = (0..400).map(|state| format!("S{state}")).collect();
    let focuses: Vec<&str> = names.iter().map(String::as_str).collect();
    let folded = folded(flow(400, &[]), &focuses);
    assert!(folded.nodes.len() <= AROUND_START + MOST_FOCUSES * AROUND_FOCUS + MOST_FOLDS);
    assert!(
        folded
            .nodes
            .iter()
            .any(|node| node.name == "S399" && node.folded.is_empty())
    );
}
