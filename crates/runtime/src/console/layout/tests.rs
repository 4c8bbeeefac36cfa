//! What holds of every picture.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn open(_: &str) -> bool {
    false
}

/// A machine whose states lead anywhere, some of them with a Parallel state's branches inside.
fn definition(states: usize, edges: &[(usize, usize)], boxes: &[usize]) -> Value {
    let mut all = serde_json::Map::new();
    for state in 0..states {
        let to = edges.iter().filter(|(from, _)| from % states == state);
        let choices: Vec<Value> = to
            .map(|(_, to)| json!({"Variable": "$.x", "NumericEquals": to, "Next": format!("S{}", to % states)}))
            .collect();
        let inside = boxes.contains(&state).then(|| {
            let branch = |name: &str| json!({"StartAt": name, "States": {(name): {"Type": "Pass", "End": true}}});
            json!([branch(&format!("A{state}")), branch(&format!("B{state}"))])
        });
        let mut document = json!({"Type": "Choice", "Choices": choices});
        if let Some(inside) = inside {
            document["Type"] = "Parallel".into();
            document["Branches"] = inside;
        }
        if choices_are_none(&document) {
            document["End"] = true.into();
        }
        all.insert(format!("S{state}"), document);
    }
    json!({"StartAt": "S0", "States": all})
}

fn choices_are_none(document: &Value) -> bool {
    document["Choices"].as_array().is_none_or(Vec::is_empty)
}

fn overlap(left: &Placed, right: &Placed) -> bool {
    let apart = left.x + left.width <= right.x
        || right.x + right.width <= left.x
        || left.y + left.height <= right.y
        || right.y + right.height <= left.y;
    !apart
}

proptest! {
    #[test]
    fn nothing_lies_on_anything_else_and_everything_lies_within(
        states in 1_usize..30,
        edges in proptest::collection::vec((0_usize..30, 0_usize..30), 0..60),
        boxes in proptest::collection::vec(0_usize..30, 0..5),
    ) {
        let definition = definition(states, &edges, &boxes);
        let flow = Flow::of(&definition);
        let picture = picture(&flow, &open);
        prop_assert_eq!(picture.nodes.len(), flow.count());
        for (number, node) in picture.nodes.iter().enumerate() {
            prop_assert!(node.x >= -0.1 && node.y >= 0.0, "{node:?}");
            prop_assert!(node.x + node.width <= picture.width + 0.1, "{node:?}");
            prop_assert!(node.y + node.height <= picture.height + 0.1, "{node:?}");
            for other in &picture.nodes[..number] {
                if node.inside == other.inside {
                    prop_assert!(!overlap(node, other), "{node:?} {other:?}");
                }
            }
            if let Some(container) = &node.inside {
                let around = picture.nodes.iter().find(|other| other.name == *container).expect("its box is drawn");
                prop_assert!(around.x <= node.x && around.y + TITLE <= node.y + 0.1);
                prop_assert!(node.x + node.width <= around.x + around.width);
                prop_assert!(node.y + node.height <= around.y + around.height);
            }
        }
        for edge in &picture.edges {
            prop_assert!(edge.path.starts_with("M ") && !edge.path.contains("NaN"), "{}", edge.path);
        }
    }
}

#[test]
fn a_chain_stands_straight_below_its_start() {
    let states: serde_json::Map<String, Value> = (0..20)
        .map(|state| {
            let next = if state == 19 {
                json!({"Type": "Pass", "End": true})
            } else {
                json!({"Type": "Pass", "Next": format!("S{}", state + 1)})
            };
            (format!("S{state}"), next)
        })
        .collect();
    let picture = picture(&Flow::of(&json!({"StartAt": "S0", "States": states})), &open);
    assert!(
        picture
            .nodes
            .iter()
            .all(|node| (node.x - picture.nodes[0].x).abs() < 0.5)
    );
    assert!((picture.width - NODE.0).abs() < 0.5, "no wider than a node");
    let start = picture.start.expect("a start");
    assert!((start.0 - picture.width / 2.0).abs() < 0.5);
}

#[test]
fn a_closed_box_is_a_node_and_can_be_opened() {
    let flow = Flow::of(&definition(1, &[], &[0]));
    let closed = picture(&flow, &|name| name == "S0");
    assert_eq!(closed.nodes.len(), 1);
    assert_eq!((closed.nodes[0].opened, closed.nodes[0].height), (Some(false), NODE.1));
    let opened = picture(&flow, &open);
    assert_eq!((opened.nodes.len(), opened.nodes[0].opened), (3, Some(true)));
}

#[test]
fn large_machines_are_laid_out_at_once() {
    let edges: Vec<(usize, usize)> = (0..299)
        .flat_map(|state| [(state, state + 1), (state, (state + 7).min(299))])
        .collect();
    let flow = Flow::of(&definition(300, &edges, &[]));
    let begun = std::time::Instant::now();
    assert_eq!(picture(&flow, &open).nodes.len(), 300);
    // Without optimisation and beside all other tests; some ten milliseconds in a release.
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
}

#[test]
fn the_main_way_runs_straight_down_with_what_leads_off_on_both_sides() {
    let definition = json!({"StartAt": "Check", "States": {
        "Check": {"Type": "Choice", "Choices": [
            {"Variable": "$.x", "NumericEquals": 1, "Next": "Broken"}, {"Variable": "$.x", "NumericEquals": 2, "Next": "Odd"}], "Default": "Store"},
        "Broken": {"Type": "Fail"}, "Odd": {"Type": "Succeed"},
        "Store": {"Type": "Task", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Mend"}], "Next": "Done"},
        "Mend": {"Type": "Pass", "Next": "Tell"}, "Tell": {"Type": "Pass", "Next": "More"}, "More": {"Type": "Pass", "Next": "Done"},
        "Done": {"Type": "Succeed"}}});
    let picture = picture(&Flow::of(&definition), &open);
    let centre = |name: &str| {
        let node = picture.nodes.iter().find(|node| node.name == name).expect("a node");
        node.x + node.width / 2.0
    };
    let main = picture.start.expect("a start").0;
    for name in ["Check", "Store", "Done"] {
        assert!((centre(name) - main).abs() < 0.5, "{name}");
    }
    assert!((picture.end.expect("an end").0 - main).abs() < 0.5);
    assert!(
        (centre("Broken") - main) * (centre("Odd") - main) < 0.0,
        "one on each side"
    );
    assert!(
        (centre("Mend") - main).abs() > NODE.0 / 2.0,
        "what catches an error stands beside"
    );
    let straight = picture.edges.iter().filter(|edge| !edge.path.contains('C')).count();
    assert!(
        straight >= 4,
        "start, Check, Store, Done and the end are joined by straight lines"
    );
}
