//! Small definitions with what is to be found in them, and generated ones that are played.

mod played;

use serde_json::{Value, json};

use super::{RULES, check, help};
use crate::{Severity, StateMachine};

/// What is found, in order: `CODE at /pointer`, warnings with `?`.
fn found(definition: &Value) -> Vec<String> {
    let mut found: Vec<String> = check(&definition.to_string())
        .iter()
        .map(|problem| {
            let mark = if problem.severity == Severity::Warning { "?" } else { "" };
            format!("{}{mark} at {}", problem.code, problem.pointer)
        })
        .collect();
    found.sort();
    found
}

/// A definition of these states that starts at `A`; AWS takes it.
fn machine(states: Value) -> Value {
    let definition = json!({"StartAt": "A", "States": states});
    if let Err(problems) = StateMachine::parse(&definition.to_string()) {
        panic!("{problems:#?} in {definition:#}");
    }
    definition
}

fn jsonata(states: Value) -> Value {
    let mut definition = json!({"StartAt": "A", "QueryLanguage": "JSONata", "States": states});
    if let Err(problems) = StateMachine::parse(&definition.to_string()) {
        panic!("{problems:#?} in {definition:#}");
    }
    definition.take()
}

fn task(resource: &str) -> Value {
    json!({"Type": "Task", "Resource": resource, "End": true})
}

const FUNCTION: &str = "arn:aws:lambda:us-west-2:000000000000:function:work";
const CALLBACK: &str = "arn:aws:states:::lambda:invoke.waitForTaskToken";

/// `state` with these fields, too.
fn with(mut state: Value, fields: Value) -> Value {
    if let (Value::Object(state), Value::Object(fields)) = (&mut state, fields) {
        state.extend(fields);
    }
    state
}

#[test]
fn every_rule_has_its_help() {
    for rule in RULES {
        assert_eq!(help(rule.code), Some(rule.help));
    }
    assert_eq!(help("SCHEMA_VALIDATION_FAILED"), None);
}

#[test]
fn a_field_that_no_way_can_have_left_in_the_payload_is_found() {
    let after = |first: Value, path: &str| {
        found(&machine(json!({
            "A": with(first, json!({"Next": "B"})),
            "B": {"Type": "Pass", "Parameters": {"x.$": path}, "End": true},
        })))
    };
    let missing = ["UNKNOWN_FIELD at /States/B/Parameters/x.$"];
    let result = json!({"Type": "Pass", "Result": {"a": {"b": [1, {"c": 2}]}}});
    for path in [
        "$",
        "$.a",
        "$.a.b[1].c",
        "$.a.b[-1].c",
        "$.a.b[2]",
        "$..x",
        "$.a.b[*].x",
        "States.Format('{}', $.a.b[0])",
    ] {
        assert!(after(result.clone(), path).is_empty(), "{path}");
    }
    for path in [
        "$.x",
        "$.a.x",
        "$.a.b.c",
        "$.a.b[2].c",
        "$.a[0]",
        "$.a.b[1].c.d",
        "States.Format('{}', $.x)",
    ] {
        assert_eq!(after(result.clone(), path), missing, "{path}");
    }
    let kept = with(result.clone(), json!({"ResultPath": "$.kept"}));
    assert!(after(kept.clone(), "$.x").is_empty(), "the input may have it");
    assert_eq!(after(kept, "$.kept.x"), missing);
    let discarded = with(result.clone(), json!({"ResultPath": null}));
    assert!(after(discarded, "$.x").is_empty());
    assert_eq!(after(with(result, json!({"OutputPath": "$.a"})), "$.a"), missing);
    let parameters = json!({"Type": "Pass", "Parameters": {"one": 1, "two.$": "$.anything"}});
    assert!(after(parameters.clone(), "$.two.deep").is_empty());
    assert_eq!(after(parameters, "$.three"), missing);
    let selected = json!({"Type": "Task", "Resource": FUNCTION, "ResultSelector": {"id.$": "$.Id"}});
    assert_eq!(after(selected, "$.Id"), missing);
    let answer = json!({"Type": "Task", "Resource": FUNCTION});
    assert!(after(answer, "$.x").is_empty(), "a function answers anything");
}

#[test]
fn what_some_way_may_have_left_is_not_reported() {
    let definition = machine(json!({
        "A": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": true, "Next": "B"}], "Default": "C"},
        "B": {"Type": "Pass", "Result": {"b": 1}, "Next": "D"},
        "C": {"Type": "Pass", "Result": {"c": 1}, "Next": "D"},
        "D": {"Type": "Pass", "Parameters": {"b.$": "$.b", "c.$": "$.c", "d.$": "$.d"}, "End": true},
    }));
    assert_eq!(found(&definition), ["UNKNOWN_FIELD at /States/D/Parameters/d.$"]);
}

#[test]
fn the_error_output_is_an_error_and_its_cause() {
    let definition = machine(json!({
        "A": {"Type": "Task", "Resource": FUNCTION, "End": true, "Catch": [
            {"ErrorEquals": ["Named"], "Next": "Named"},
            {"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Other"}]},
        "Named": {"Type": "Pass", "Parameters": {"a.$": "$.Cause", "b.$": "$.cause"}, "End": true},
        "Other": {"Type": "Pass", "Parameters": {"a.$": "$.failure.Error", "b.$": "$.failure.Message", "c.$": "$.x"},
                  "End": true},
    }));
    assert_eq!(
        found(&definition),
        [
            "UNKNOWN_FIELD at /States/Named/Parameters/b.$",
            "UNKNOWN_FIELD at /States/Other/Parameters/b.$"
        ]
    );
}

#[test]
fn parallel_gives_a_list_of_its_branches_and_map_one_of_its_iterations() {
    let branch = |name: &str, field: &str| json!({"StartAt": name, "States": {name: {"Type": "Pass", "Parameters": {field: 1}, "End": true}}});
    let definition = machine(json!({
        "A": {"Type": "Parallel", "Branches": [branch("One", "one"), branch("Two", "two")], "Next": "B"},
        "B": {"Type": "Pass", "Parameters": {"a.$": "$[0].one", "b.$": "$[1].one", "c.$": "$[2].one", "d.$": "$.one"},
              "ResultPath": "$.x", "Next": "C"},
        "C": {"Type": "Pass", "Result": {"list": [{"id": 1}], "none": {}}, "Next": "D"},
        "D": {"Type": "Map", "ItemsPath": "$.list", "ItemSelector": {"id.$": "$$.Map.Item.Value.id", "of.$": "$.nobody"},
              "ItemProcessor": {"StartAt": "Each", "States": {
                "Each": {"Type": "Pass", "Parameters": {"n.$": "$.id", "m.$": "$.nobody"}, "End": true}}},
              "Next": "E"},
        "E": {"Type": "Pass", "Parameters": {"a.$": "$[7].n", "b.$": "$[7].id"}, "Next": "F"},
        "F": {"Type": "Map", "ItemsPath": "$.a", "Next": "G", "ItemProcessor": {"StartAt": "Item", "States": {
                "Item": {"Type": "Pass", "Parameters": {"i.$": "$$.Map.Item.Index", "j.$": "$$.Map.Index"}, "End": true}}}},
        "G": {"Type": "Pass", "Parameters": {"i.$": "$$.Map.Item.Index"}, "Next": "H"},
        "H": {"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}},
    }));
    assert_eq!(
        found(&definition),
        [
            "NOT_A_LIST at /States/H",
            "UNFIT_RESULT_PATH at /States/B/ResultPath",
            "UNKNOWN_CONTEXT_FIELD at /States/F/ItemProcessor/States/Item/Parameters/j.$",
            "UNKNOWN_CONTEXT_FIELD at /States/G/Parameters/i.$",
            "UNKNOWN_FIELD at /States/B/Parameters/b.$",
            "UNKNOWN_FIELD at /States/B/Parameters/c.$",
            "UNKNOWN_FIELD at /States/B/Parameters/d.$",
            "UNKNOWN_FIELD at /States/D/ItemProcessor/States/Each/Parameters/m.$",
            "UNKNOWN_FIELD at /States/D/ItemSelector/of.$",
            "UNKNOWN_FIELD at /States/E/Parameters/b.$",
        ]
    );
}

#[test]
fn nothing_is_said_of_the_items_of_a_distributed_map() {
    let processor = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "B",
                           "States": {"B": {"Type": "Pass", "Parameters": {"x.$": "$.any"}, "End": true}}});
    let definition = machine(json!({
        "A": {"Type": "Pass", "Result": {"a": 1}, "Next": "M"},
        "M": {"Type": "Map", "ItemProcessor": processor, "ToleratedFailureCountPath": "$.none", "Next": "C"},
        "C": {"Type": "Pass", "Parameters": {"x.$": "$.written"}, "End": true},
    }));
    assert_eq!(
        found(&definition),
        ["UNKNOWN_FIELD at /States/M/ToleratedFailureCountPath"]
    );
}

#[test]
fn variables_are_assigned_before_they_are_read() {
    let definition = machine(json!({
        "A": {"Type": "Choice", "Default": "C", "Choices": [
            {"Variable": "$.x", "IsPresent": true, "Assign": {"chosen": 1}, "Next": "B"}]},
        "B": {"Type": "Pass", "Assign": {"set": {"a": 1}}, "Next": "C"},
        "C": {"Type": "Pass", "Assign": {"own": 1, "self.$": "$own"},
              "Parameters": {"a.$": "$set.a", "b.$": "$set.b", "c.$": "$never", "d.$": "$chosen"}, "Next": "D"},
        "D": {"Type": "Parallel", "End": true, "Branches": [{"StartAt": "In", "States": {
            "In": {"Type": "Pass", "Assign": {"own": 2, "inner": 3}, "Parameters": {"x.$": "$own"}, "Next": "In2"},
            "In2": {"Type": "Pass", "Parameters": {"x.$": "$inner"}, "Next": "In3"},
            "In3": {"Type": "Succeed"}}}],
              "Assign": {"late.$": "$inner"}},
    }));
    assert_eq!(
        found(&definition),
        [
            "SHADOWED_VARIABLE? at /States/D/Branches[0]/States/In/Assign",
            "UNASSIGNED_VARIABLE at /States/C/Assign/self.$",
            "UNASSIGNED_VARIABLE at /States/C/Parameters/c.$",
            "UNASSIGNED_VARIABLE at /States/D/Assign/late.$",
            "UNASSIGNED_VARIABLE? at /States/C/Parameters/a.$",
            "UNASSIGNED_VARIABLE? at /States/C/Parameters/b.$",
            "UNASSIGNED_VARIABLE? at /States/C/Parameters/d.$",
            "UNKNOWN_FIELD at /States/C/Parameters/b.$",
        ]
    );
}

#[test]
fn a_loop_is_followed_until_nothing_new_comes() {
    let definition = machine(json!({
        "A": {"Type": "Pass", "Result": {"n": 0}, "Assign": {"all": {}}, "Next": "B"},
        "B": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)", "before.$": "$", "x.$": "$.before.y"},
              "Assign": {"all": {"inner.$": "$all"}}, "Next": "C"},
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericLessThan": 5, "Next": "B"}], "Default": "D"},
        "D": {"Type": "Pass", "Parameters": {"a.$": "$.before.before.n", "b.$": "$.after"}, "End": true},
    }));
    assert_eq!(
        found(&definition),
        [
            "UNKNOWN_FIELD at /States/B/Parameters/x.$",
            "UNKNOWN_FIELD at /States/D/Parameters/b.$"
        ]
    );
}

#[test]
fn jsonata_is_followed_where_it_is_a_path() {
    let definition = jsonata(json!({
        "A": {"Type": "Pass", "Output": {"a": {"b": 1}, "list": [{"id": 1}, {"id": 2}]},
              "Assign": {"v": {"w": "{% $states.result.anything %}"}}, "Next": "B"},
        "B": {"Type": "Pass", "Output": {
            "fine": ["{% $states.input.a.b %}", "{% $states.input.list.id %}", "{% $v.w.deep %}", "{% $sum([1]) %}",
                     "{% ($x := 1; $x + 1) %}", "{% $map([1], function($y) { $y }) %}", "{% $states.context.Execution.Id %}",
                     "{% $exists($states.input.a) %}", "{% $states %}"],
            "a": "{% $states.input.a.c %}",
            "b": "{% $states.input.list.name %}",
            "c": "{% $v.x %}",
            "d": "{% $w %}",
            "e": "{% $w & $states.input.z %}",
            "f": "{% $states.context.execution.Id %}",
            "g": "{% $summ([1]) %}"}, "Next": "C"},
        "C": {"Type": "Task", "Resource": FUNCTION, "Arguments": {"a": "{% $states.result %}", "b": "{% $states.result & 'x' %}"},
              "Catch": [{"ErrorEquals": ["X"], "Output": "{% $states.errorOutput.Message %}", "Next": "D"}], "Next": "D"},
        "D": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input %}", "Next": "E"}], "Default": "E"},
        "E": {"Type": "Succeed"},
    }));
    assert_eq!(
        found(&definition),
        [
            "NO_RESULT at /States/C/Arguments/a",
            "NO_RESULT? at /States/C/Arguments/b",
            "UNASSIGNED_VARIABLE at /States/B/Output/d",
            "UNASSIGNED_VARIABLE? at /States/B/Output/e",
            "UNKNOWN_CONTEXT_FIELD at /States/B/Output/f",
            "UNKNOWN_FIELD at /States/B/Output/a",
            "UNKNOWN_FIELD at /States/B/Output/b",
            "UNKNOWN_FIELD at /States/B/Output/c",
            "UNKNOWN_FIELD at /States/C/Catch[0]/Output",
            "UNKNOWN_FIELD? at /States/B/Output/e",
            "UNKNOWN_FUNCTION at /States/B/Output/g",
        ]
    );
}

#[test]
fn choice_rules_are_errors_only_where_they_are_sure_to_be_asked() {
    let rule = |variable: &str| json!({"Variable": variable, "StringEquals": "x", "Next": "B"});
    let definition = machine(json!({
        "A": {"Type": "Pass", "Result": {"a": 1}, "Next": "C"},
        "C": {"Type": "Choice", "Default": "B", "Choices": [
            {"And": [{"Variable": "$.x", "StringEqualsPath": "$.y"}, {"Variable": "$.z", "IsNull": true}], "Next": "B"},
            rule("$.w"),
            {"And": [{"Variable": "$.v", "IsPresent": true}, {"Variable": "$.v.u", "IsString": true}], "Next": "B"}]},
        "B": {"Type": "Succeed"},
    }));
    assert_eq!(
        found(&definition),
        [
            "UNKNOWN_FIELD at /States/C/Choices[0]/And[0]/StringEqualsPath",
            "UNKNOWN_FIELD at /States/C/Choices[0]/And[0]/Variable",
            "UNKNOWN_FIELD? at /States/C/Choices[0]/And[1]/Variable",
            "UNKNOWN_FIELD? at /States/C/Choices[1]/Variable",
        ]
    );
}

#[test]
fn choices_without_a_way_out_and_rules_that_are_never_asked_are_found() {
    let choice = |choices: Value| {
        found(&machine(json!({
            "A": {"Type": "Choice", "Choices": choices},
            "B": {"Type": "Succeed"},
        })))
    };
    let equals = |value: &str| json!({"Variable": "$.x", "StringEquals": value, "Next": "B"});
    assert_eq!(choice(json!([equals("a")])), ["NO_DEFAULT? at /States/A"]);
    assert_eq!(
        choice(json!([equals("a"), equals("b"), equals("a")])),
        ["NO_DEFAULT? at /States/A", "UNREACHED_RULE? at /States/A/Choices[2]"]
    );
    let flag = |value: bool| json!({"Variable": "$.x", "BooleanEquals": value, "Next": "B"});
    assert!(choice(json!([flag(true), flag(false)])).is_empty());
    let not = json!({"Not": {"Variable": "$.x", "StringEquals": "a"}, "Next": "B"});
    assert!(choice(json!([equals("a"), not])).is_empty());
    let constant = jsonata(json!({
        "A": {"Type": "Choice", "Choices": [{"Condition": true, "Next": "B"}, {"Condition": "{% 1 = 1 %}", "Next": "B"}]},
        "B": {"Type": "Succeed"},
    }));
    assert_eq!(found(&constant), ["UNREACHED_RULE? at /States/A/Choices[1]"]);
}

#[test]
fn a_token_is_passed_and_its_callback_bounded() {
    let waits = |fields: Value| found(&machine(json!({"A": with(task(CALLBACK), fields)})));
    let passed = json!({"Payload": {"inner": {"token.$": "$$.Task.Token"}}});
    assert_eq!(
        waits(json!({"TimeoutSeconds": 60})),
        ["TOKEN_NOT_PASSED at /States/A/Resource"]
    );
    assert_eq!(
        waits(json!({"TimeoutSeconds": 60, "Parameters": {"token": "$$.Task.Token", "id.$": "$$.Execution.Id"}})),
        [
            "LITERAL_PATH? at /States/A/Parameters/token",
            "TOKEN_NOT_PASSED at /States/A/Resource"
        ]
    );
    assert_eq!(
        waits(json!({"Parameters": passed})),
        ["UNBOUNDED_CALLBACK? at /States/A"]
    );
    assert!(waits(json!({"Parameters": passed, "HeartbeatSeconds": 60})).is_empty());
    assert!(waits(json!({"Parameters": {"task.$": "$$.Task"}, "TimeoutSeconds": 60})).is_empty());
    assert!(
        waits(json!({"Parameters": {"x.$": "States.Format('{}', $$.Task.Token)"}, "TimeoutSeconds": 6})).is_empty()
    );
    for argument in [
        "$states.context.Task.Token",
        "$string($states.context)",
        "{'t': $states.context.Task}",
    ] {
        let state = with(
            task(CALLBACK),
            json!({"Arguments": {"x": format!("{{% {argument} %}}")}, "TimeoutSeconds": 6}),
        );
        assert!(found(&jsonata(json!({"A": state}))).is_empty(), "{argument}");
    }
    assert_eq!(
        found(&machine(
            json!({"A": with(task(FUNCTION), json!({"HeartbeatSeconds": 6, "Parameters": {"t.$": "$$.Task.Token"}}))})
        )),
        [
            "IDLE_HEARTBEAT? at /States/A/HeartbeatSeconds",
            "UNKNOWN_CONTEXT_FIELD at /States/A/Parameters/t.$"
        ]
    );
}

#[test]
fn handlers_that_nothing_gets_to_are_found() {
    let retry = json!([{"ErrorEquals": ["A", "B", "A"]}, {"ErrorEquals": ["B", "C"]}, {"ErrorEquals": ["States.Timeout"]},
                       {"ErrorEquals": ["States.HeartbeatTimeout", "States.Timout"]}]);
    let catch = json!([{"ErrorEquals": ["States.TaskFailed"], "Next": "B"}, {"ErrorEquals": ["Own"], "Next": "B"},
                       {"ErrorEquals": ["States.ALL"], "Next": "B"}]);
    let definition = machine(json!({
        "A": with(task(FUNCTION), json!({"Retry": retry, "Catch": catch})),
        "B": {"Type": "Succeed"},
    }));
    assert_eq!(
        found(&definition),
        [
            "UNKNOWN_ERROR_NAME? at /States/A/Retry[3]/ErrorEquals[1]",
            "UNREACHED_HANDLER? at /States/A/Catch[1]/ErrorEquals[0]",
            "UNREACHED_HANDLER? at /States/A/Retry[0]/ErrorEquals[2]",
            "UNREACHED_HANDLER? at /States/A/Retry[1]/ErrorEquals[0]",
            "UNREACHED_HANDLER? at /States/A/Retry[3]/ErrorEquals[0]",
        ]
    );
}

#[test]
fn an_error_caught_only_to_fail_cannot_be_mended_by_a_redrive() {
    let states = json!({
        "A": with(task(FUNCTION), json!({"Catch": [
            {"ErrorEquals": ["Bad"], "Next": "Tell"}, {"ErrorEquals": ["Other"], "Next": "Mend"},
            {"ErrorEquals": ["States.ALL"], "Next": "Failed"}]})),
        "Tell": {"Type": "Pass", "Next": "Failed"},
        "Mend": {"Type": "Succeed"},
        "Failed": {"Type": "Fail"},
    });
    assert_eq!(
        found(&machine(states.clone())),
        [
            "CAUGHT_INTO_FAIL? at /States/A/Catch[0]/Next",
            "CAUGHT_INTO_FAIL? at /States/A/Catch[2]/Next"
        ]
    );
    let inside = |retry: Value| {
        found(
            &json!({"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Retry": retry,
            "Branches": [{"StartAt": "A", "States": states}]}}}),
        )
    };
    assert_eq!(inside(json!([])).len(), 2);
    assert!(
        inside(json!([{"ErrorEquals": ["States.ALL"]}])).is_empty(),
        "the branch is tried again"
    );
}

#[test]
fn flows_end() {
    let definition = machine(json!({
        "A": {"Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "B", "States": {"B": {"Type": "Pass", "Next": "C"}, "C": {"Type": "Pass", "Next": "B"}}},
            {"StartAt": "D", "States": {"D": {"Type": "Pass", "End": true}}}]},
    }));
    assert_eq!(found(&definition), ["ENDLESS_FLOW? at /States/A/Branches[0]/States/B"]);
    let endless = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}});
    assert!(found(&endless).is_empty(), "this is an error of the definition");
}

#[test]
fn texts_that_look_computed_and_are_not_are_found() {
    let definition = machine(json!({
        "A": {"Type": "Pass", "Parameters": {"a": "$.a", "b": ["States.UUID()"], "c": "costs $.5", "d": "{% 1 %}",
              "e.$": "$.e", "f": "$", "g": "States.Nothing()"}, "Next": "B"},
        "B": {"Type": "Pass", "Result": {"x.$": "$.e"}, "End": true},
    }));
    assert_eq!(
        found(&definition),
        [
            "LITERAL_EXPRESSION? at /States/A/Parameters/d",
            "LITERAL_PATH? at /States/A/Parameters/a",
            "LITERAL_PATH? at /States/A/Parameters/b[0]",
            "LITERAL_PATH? at /States/B/Result/x.$",
        ]
    );
    let definition = jsonata(json!({
        "A": {"Type": "Pass", "Output": {"a": "Hello {% 'you' %}", "b": " {% 1 %}", "c": "$states.input", "d": "{% 1 %}"},
              "End": true},
    }));
    assert_eq!(
        found(&definition),
        [
            "LITERAL_EXPRESSION? at /States/A/Output/a",
            "LITERAL_EXPRESSION? at /States/A/Output/b",
            "LITERAL_EXPRESSION? at /States/A/Output/c",
        ]
    );
}

#[test]
fn a_definition_that_is_refused_is_looked_at_as_far_as_it_goes() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Result": {"a": 1}, "Next": "B"},
        "B": {"Type": "Pass", "Parameters": {"x.$": "$.x"}, "Next": "Nowhere"},
    }});
    assert_eq!(found(&definition), ["UNKNOWN_FIELD at /States/B/Parameters/x.$"]);
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"v.$": "$[oops"}, "Next": "B"},
        "B": {"Type": "Pass", "Parameters": {"x.$": "$v", "y": "$.y"}, "End": true},
    }});
    assert_eq!(found(&definition), ["LITERAL_PATH? at /States/B/Parameters/y"]);
    assert!(found(&json!("no definition")).is_empty());
    assert!(check("{").is_empty());
}
