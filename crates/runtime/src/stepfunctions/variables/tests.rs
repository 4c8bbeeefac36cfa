use serde_json::json;

use super::*;

fn of_state(state: Value) -> Vec<String> {
    let definition = json!({"StartAt": "S", "States": {"S": state}});
    references(&definition)
        .remove("S")
        .unwrap_or_default()
        .into_iter()
        .collect()
}

#[test]
fn paths_and_intrinsic_functions_refer_to_variables() {
    let state = json!({
        "Type": "Task",
        "InputPath": "$input.a",
        "Parameters": {
            "literal": "$no",
            "path.$": "$yes[0]",
            "payload.$": "$.no",
            "context.$": "$$.Execution.Id",
            "nested": [{"call.$": "States.Format('$quoted {}', $inside, $$.Map.Item.Value)"}],
        },
        "TimeoutSecondsPath": "$seconds",
        "ResultPath": "$.kept",
        "Catch": [{"ErrorEquals": ["E"], "Next": "S", "ResultPath": "$.e", "Assign": {"x.$": "$caught"}}],
    });
    assert_eq!(of_state(state), ["caught", "input", "inside", "seconds", "yes"]);
}

#[test]
fn choice_rules_refer_to_variables_on_both_sides() {
    let state = json!({
        "Type": "Choice",
        "Choices": [{"And": [{"Variable": "$left", "StringEqualsPath": "$right"}], "Next": "S"}],
    });
    assert_eq!(of_state(state), ["left", "right"]);
}

#[test]
fn jsonata_leaves_out_functions_and_its_own_bindings() {
    let state = json!({
        "Type": "Pass",
        "QueryLanguage": "JSONata",
        "Output": {
            "sum": "{% $sum($numbers) + $states.input.x %}",
            "own": "{% ($local := 1; $map($items, function($v, $i) { $v + $local + $offset })) %}",
            "text": "{% 'not $this' & \"nor $that\" /* nor $those */ %}",
            "handed": "{% $map($list, $string) %}",
            "plain": "$not",
        },
    });
    assert_eq!(of_state(state), ["items", "list", "numbers", "offset"]);
}

#[test]
fn states_of_inner_flows_stand_for_themselves() {
    let definition = json!({"QueryLanguage": "JSONata", "States": {
        "Map": {"Type": "Map", "Items": "{% $list %}", "ItemProcessor": {"States": {
            "Inner": {"Type": "Pass", "Output": "{% $item %}"}}}},
        "Both": {"Type": "Parallel", "Branches": [{"States": {"Left": {"Type": "Pass", "Output": "{% $left %}"}}}]},
    }});
    let names: Vec<_> = references(&definition)
        .into_iter()
        .map(|(state, names)| (state, names.len()))
        .collect();
    assert_eq!(
        names,
        [("Inner".to_owned(), 1), ("Left".to_owned(), 1), ("Map".to_owned(), 1)]
    );
}

#[test]
fn broken_texts_are_read_to_their_end() {
    for text in [
        "$",
        "$$",
        "'open",
        "{% 'open %}",
        "{% /* open %}",
        "$é",
        "{% function %}",
    ] {
        of_state(json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": text, "InputPath": text}));
        of_state(json!({"Type": "Pass", "InputPath": text}));
    }
}
