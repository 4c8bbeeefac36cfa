use chrono::TimeDelta;
use serde_json::{Value, json};

use super::fields::duration;
use super::{Difference, Machine, Played, Problem, Suite};
use crate::{StateMachine, Status};

fn suite(definition: &Value, case: Value) -> Suite {
    let mut case = case;
    case["name"] = json!("the case");
    let document = json!({"definition": definition, "cases": [case]});
    Suite::read(&document).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn play(definition: &Value, case: Value) -> Played {
    let suite = suite(definition, case);
    let machine = StateMachine::parse(&definition.to_string()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Suite::play(&machine, "machine", &suite.cases[0])
}

fn differences(definition: &Value, case: Value) -> Vec<Difference> {
    play(definition, case).differences
}

fn value(pointer: &str, expected: Value, actual: Value) -> Difference {
    let present = |value: Value| Some(value).filter(|value| *value != json!("absent"));
    Difference::Value {
        pointer: pointer.into(),
        expected: present(expected),
        actual: present(actual),
    }
}

/// A task, then a Pass state.
fn work() -> Value {
    json!({"StartAt": "Work", "States": {
        "Work": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Done"},
        "Done": {"Type": "Pass", "End": true}}})
}

#[test]
fn each_value_that_differs_is_told_with_its_place() {
    let found = differences(
        &work(),
        json!({
            "tasks": {"Work": {"succeeds": {"a": 1, "b": [1, 2], "d/e": true, "same": 1.0}, "after": 3}},
            "expect": {"output": {"a": 2, "b": [1], "c": null, "d/e": false, "same": 1}, "elapsed": 2,
                       "calls": {"Work": [{"n": 1}]}, "variables": {"v": 1}}}),
    );
    let expected = [
        value("/output/a", json!(2), json!(1)),
        value("/output/b/1", json!("absent"), json!(2)),
        value("/output/c", json!(null), json!("absent")),
        value("/output/d~1e", json!(false), json!(true)),
        Difference::Elapsed {
            at_least: TimeDelta::seconds(2),
            at_most: TimeDelta::seconds(2),
            actual: TimeDelta::seconds(3),
        },
        value("/calls/Work/0/n", json!(1), json!("absent")),
        value("/variables/v", json!(1), json!("absent")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_end_of_another_kind_is_told_first_and_without_what_follows_from_it() {
    let found = differences(
        &work(),
        json!({"tasks": {"Work": {"fails": {"error": "Broken"}}}, "expect": {"output": {"a": 1}}}),
    );
    assert_eq!(found, [value("/status", json!("SUCCEEDED"), json!("FAILED"))]);
    let found = differences(
        &work(),
        json!({"tasks": {"Work": {"fails": {"error": "Broken"}}}, "expect": {"error": "Other", "cause": "why"}}),
    );
    let expected = [
        value("/error", json!("Other"), json!("Broken")),
        value("/cause", json!("why"), json!("absent")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_path_is_told_from_where_it_parts() {
    let definition = json!({"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "End": true}}},
        {"StartAt": "C", "States": {"C": {"Type": "Pass", "End": true}}}]}}});
    let found = differences(
        &definition,
        json!({"expect": {"path": [{"Both": [["A", "X"], ["C"]]}, "After"]}}),
    );
    let expected = Difference::Path {
        expected: ["Both", "  [0] A", "  [0] X", "  [1] C", "After"]
            .map(Into::into)
            .into(),
        actual: ["Both", "  [0] A", "  [0] B", "  [1] C"].map(Into::into).into(),
        diverges: 2,
    };
    assert_eq!(found, [expected]);
    for path in [json!(["Both"]), json!([{"Both": [["A", "B"], ["C"]]}])] {
        assert_eq!(differences(&definition, json!({"expect": {"path": path}})), []);
    }
    let too_few = json!({"expect": {"path": [{"Both": [["A", "B"]]}]}});
    assert_eq!(differences(&definition, too_few).len(), 1);
}

#[test]
fn a_call_without_a_script_ends_the_case_and_says_what_was_asked() {
    let unscripted = |call, scripted| Difference::Unscripted {
        state: "Work".into(),
        resource: "arn:aws:states:::lambda:invoke".into(),
        arguments: json!({"n": 1}),
        call,
        scripted,
    };
    let found = differences(&work(), json!({"input": {"n": 1}, "expect": {"status": "SUCCEEDED"}}));
    assert_eq!(found, [unscripted(1, 0)]);

    let mut retried = work();
    retried["States"]["Work"]["Retry"] = json!([{"ErrorEquals": ["States.ALL"]}]);
    let case = json!({"input": {"n": 1}, "tasks": {"Work": [{"fails": "A"}]}, "expect": {"status": "SUCCEEDED"}});
    assert_eq!(differences(&retried, case), [unscripted(2, 1)]);
}

#[test]
fn scripts_that_nothing_asks_for_are_told() {
    let case = json!({"tasks": {"Work": [{"succeeds": 1}, {"succeeds": 2}], "Wrok": {"never": true}},
                      "expect": {"status": "SUCCEEDED"}});
    let expected = [
        Difference::NoSuchTask {
            task: "Wrok".into(),
            meant: Some("Work".into()),
        },
        Difference::Unused {
            task: "Work".into(),
            scripted: 2,
            used: 1,
        },
    ];
    assert_eq!(differences(&work(), case), expected);
}

#[test]
fn what_never_ends_is_told() {
    let case = json!({"tasks": {"Work": {"never": true}}, "expect": {"status": "SUCCEEDED"}});
    let stuck = Difference::Stuck {
        states: vec!["Work".into()],
    };
    assert_eq!(differences(&work(), case), [stuck]);
    let mut asked = work();
    asked["States"]["Work"]["Resource"] = json!("arn:aws:states:::lambda:invoke.waitForTaskToken");
    let case = json!({"tasks": {"Work": {"never": true, "heartbeatEvery": 1}}, "expect": {"status": "SUCCEEDED"}});
    assert!(matches!(differences(&asked, case)[..], [Difference::Endless { .. }]));
}

#[test]
fn events_are_told_by_type_or_by_some_of_their_fields() {
    let definition = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    let right = json!(["ExecutionStarted", "PassStateEntered",
        {"type": "PassStateExited", "stateExitedEventDetails": {"output": "{}"}}, {"id": 4}]);
    assert_eq!(differences(&definition, json!({"expect": {"events": right}})), []);
    let wrong = json!(["ExecutionStarted", {"stateEnteredEventDetails": {"name": "Q"}}, "PassStateExited"]);
    let expected = [
        value("/events/1/stateEnteredEventDetails/name", json!("Q"), json!("P")),
        value("/events/3", json!("absent"), json!("ExecutionSucceeded")),
    ];
    assert_eq!(differences(&definition, json!({"expect": {"events": wrong}})), expected);
}

#[test]
fn the_same_case_goes_the_same_way_each_time() {
    let definition = json!({"StartAt": "Draw", "States": {
        "Draw": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $uuid() %}", "Next": "Work"},
        "Work": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true,
                 "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 5, "JitterStrategy": "FULL"}]}}});
    let case = json!({"tasks": {"Work": {"fails": "A"}}, "expect": {"error": "A"}});
    let (one, other) = (play(&definition, case.clone()), play(&definition, case));
    assert_eq!(one.differences, []);
    assert_eq!(one.status, Status::Failed);
    assert_eq!((one.elapsed, one.path), (other.elapsed, other.path));
}

#[test]
fn every_problem_of_a_test_file_is_told_with_its_place_and_a_way_out() {
    let document = json!({
        "definition": {}, "stateMachine": "M", "case": [],
        "cases": [
            {"name": "a", "expect": {}, "inptu": 1},
            {"name": "a", "startTime": "noon", "expect": {"status": "DONE", "elapsed": "2 weeks", "output": 1}},
            {"tasks": {"W/1": [{"succeds": 1}, {"fails": {"cause": "c"}}, {"never": false}]}},
            {"name": "b", "tasks": {"T": {"succeeds": 1, "after": -1}}, "expect": {"calls": {"T": "once"}, "path": "T"}}]});
    let problems = Suite::read(&document).unwrap_err();
    let told = |pointer: &str, part: &str| {
        let is = |problem: &Problem| problem.pointer == pointer && problem.message.contains(part);
        assert!(problems.iter().any(is), "{pointer}: {part} is not among {problems:#?}");
    };
    told("/case", "did you mean 'cases'?");
    told("/stateMachine", "leave one out");
    told("/cases/0/inptu", "did you mean 'input'?");
    told("/cases/0/expect", "nothing is expected");
    told("/cases/1/name", "another case is named 'a' too");
    told("/cases/1/startTime", "'noon'");
    told(
        "/cases/1/expect/status",
        "SUCCEEDED, FAILED, TIMED_OUT, ABORTED, not 'DONE'",
    );
    told("/cases/1/expect/elapsed", "1 h 30 min");
    told("/cases/2", "a case has a 'name'");
    told("/cases/2", "would test nothing");
    told("/cases/2/tasks/W~11/0/succeds", "did you mean 'succeeds'?");
    told("/cases/2/tasks/W~11/1/fails", "has an 'error'");
    told("/cases/2/tasks/W~11/2/never", "can only be true");
    told("/cases/3/tasks/T/after", "not -1");
    told("/cases/3/expect/calls/T", "a number, or a list");
    told("/cases/3/expect/path", "a list of state names");
    for document in [json!(null), json!([]), json!({}), json!({"definition": 1, "cases": []})] {
        assert!(Suite::read(&document).is_err(), "{document}");
    }
}

#[test]
fn a_machine_is_in_the_file_beside_it_or_in_a_template() {
    let read = |document: Value| {
        let mut document = document;
        document["cases"] = json!([{"name": "a", "expect": {"status": "SUCCEEDED"}}]);
        Suite::read(&document).unwrap().machine
    };
    assert!(matches!(
        read(json!({"definition": {"StartAt": "A"}})),
        Machine::Inline(_)
    ));
    assert!(matches!(read(json!({"definition": "m.json"})), Machine::File(path) if path == "m.json"));
    let machine = read(json!({"stateMachine": "M", "template": "t.yaml"}));
    assert!(matches!(machine, Machine::Resource { logical_id, template } if logical_id == "M" && template.is_some()));
}

#[test]
fn times_are_seconds_or_text_with_units() {
    for (text, milliseconds) in [
        (json!(1.5), 1_500),
        (json!("250 ms"), 250),
        (json!("1h30min"), 5_400_000),
        (json!(" 2 d 1 h 3 m 4.5 s "), 176_584_500),
        (json!(0), 0),
    ] {
        assert_eq!(duration(&text), Some(TimeDelta::milliseconds(milliseconds)), "{text}");
    }
    for text in [
        json!(""),
        json!("h"),
        json!("5"),
        json!("5 weeks"),
        json!("-5 s"),
        json!(-5),
        json!(1e300),
        json!([]),
    ] {
        assert_eq!(duration(&text), None, "{text}");
    }
}
