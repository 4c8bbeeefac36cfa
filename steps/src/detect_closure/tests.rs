use serde_json::Value;
use ticket::State;

use super::name;

#[test]
fn the_choice_rule_knows_a_closed_ticket_and_takes_every_other_for_open() {
    let definition: Value =
        serde_json::from_str(include_str!("../../../statemachine/ticket-lifecycle.asl.json")).unwrap();
    let choice = &definition["States"]["IsClosed?"];
    assert_eq!(choice["Choices"][0]["StringEquals"], name(State::Closed));
    assert_eq!(choice["Choices"][0]["Next"], "ComputeDuration");
    assert_eq!(choice["Default"], "Open");
}

#[test]
fn states_are_spelled_as_the_api_spells_them() {
    for state in [State::Open, State::Closed, State::Deleted, State::Unknown] {
        assert_eq!(serde_json::to_value(state).unwrap(), name(state));
    }
}
