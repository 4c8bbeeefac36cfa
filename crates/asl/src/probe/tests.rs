use chrono::DateTime;
use serde_json::{Value, json};

use super::*;
use crate::advance;
use crate::event::Published;

const LIMIT_SECONDS: u64 = 300;

fn moment() -> Moment {
    Moment {
        now: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        seed: 7,
    }
}

fn setup(input: Value) -> Setup {
    Setup {
        identity: Arc::new(Identity {
            execution_arn: "arn:aws:states:us-west-2:000000000000:express:m:e".into(),
            name: "e".into(),
            state_machine_arn: "arn:aws:states:us-west-2:000000000000:stateMachine:m".into(),
            state_machine_name: "m".into(),
            role_arn: "".into(),
            published: Published::default(),
        }),
        input: input.into(),
        variables: BTreeMap::new(),
        context: None,
        retries: None,
        items: None,
        failed_iterations: None,
        limit_seconds: LIMIT_SECONDS,
    }
}

fn tested(definition: &Value, state_name: Option<&str>) -> Arc<Tested> {
    let tested = Tested::parse(&definition.to_string(), state_name);
    Arc::new(tested.expect("a definition").expect("the state"))
}

fn begin(definition: &Value, setup: Setup) -> Probe {
    Probe::begin(tested(definition, None), setup, &moment())
}

/// The text of a stage.
fn text(stage: &Option<Json>) -> Option<&str> {
    stage.as_ref().map(Json::text)
}

/// A Task with what a test adds to it.
fn task(fields: Value) -> Value {
    let mut task = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true});
    let fields = fields.as_object().cloned().unwrap_or_default();
    task.as_object_mut().expect("an object").extend(fields);
    task
}

#[test]
fn a_state_by_itself_comes_to_what_it_comes_to_in_an_execution() {
    let input = json!({"a": {"b": [1, 2]}, "n": 3});
    let states = [
        json!({"Type": "Pass", "End": true}),
        json!({"Type": "Pass", "InputPath": "$.a", "Parameters": {"x.$": "$.b[1]"}, "ResultPath": "$.c", "OutputPath": "$.c", "End": true}),
        json!({"Type": "Pass", "Result": [1.0], "ResultPath": null, "End": true}),
        json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $states.input.a.b[0] + 1 %}", "End": true}),
        json!({"Type": "Succeed", "InputPath": "$.a"}),
        json!({"Type": "Pass", "InputPath": "$.nowhere", "End": true}),
        json!({"Type": "Fail", "Error": "E", "CausePath": "States.Format('n is {}', $.n)"}),
        json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $error('no') %}", "End": true}),
    ];
    for state in states {
        let probe = begin(&state, setup(input.clone())).outcome();
        let machine = json!({"StartAt": TESTED, "States": {TESTED: state}}).to_string();
        let machine = StateMachine::parse(&machine).expect("a state machine");
        let mut execution = Execution::default();
        let start = Trigger::Start {
            identity: setup(json!({})).identity,
            input: input.clone().into(),
        };
        advance(&machine, &mut execution, start, &moment());
        let succeeded = execution.status() == Status::Succeeded;
        assert_eq!(probe.standing == Standing::Succeeded, succeeded, "{state}");
        assert_eq!(probe.output.as_ref(), execution.output(), "{state}");
        let error = probe.failure.unwrap_or_default().error;
        assert_eq!(error, execution.failure().error, "{state}");
    }
}

#[test]
fn each_stage_shows_what_the_state_made_of_its_data() {
    let state = task(
        json!({"InputPath": "$.a", "Parameters": {"x.$": "$.b"}, "ResultSelector": {"y.$": "$.z"},
        "ResultPath": "$.r", "OutputPath": "$.r.y"}),
    );
    let mut probe = begin(&state, setup(json!({"a": {"b": 1}})));
    assert_eq!(probe.outcome().standing, Standing::Waiting);
    probe.answer(Ok(json!({"z": 2, "rest": 3}).into()), &moment());
    assert_eq!(probe.outcome().output.unwrap().text(), "2");
    let stages = probe.stages();
    assert_eq!(text(&stages.after_input_path), Some(r#"{"b":1}"#));
    assert_eq!(text(&stages.after_arguments), Some(r#"{"x":1}"#));
    assert_eq!(text(&stages.result), Some(r#"{"z":2,"rest":3}"#));
    assert_eq!(text(&stages.after_result_selector), Some(r#"{"y":2}"#));
    assert_eq!(text(&stages.after_result_path), Some(r#"{"a":{"b":1},"r":{"y":2}}"#));
}

#[test]
fn a_fixed_result_shows_nothing_of_the_input_that_it_stands_for() {
    let state = json!({"Type": "Pass", "InputPath": "$.a", "Result": {"one": 1}, "ResultPath": "$.r", "End": true});
    let stages = begin(&state, setup(json!({"a": 2}))).stages();
    assert!(stages.after_input_path.is_none() && stages.after_arguments.is_none());
    assert_eq!(text(&stages.result), Some(r#"{"one":1}"#));
    assert_eq!(text(&stages.after_result_path), Some(r#"{"a":2,"r":{"one":1}}"#));
}

#[test]
fn a_state_that_fails_half_way_shows_how_far_it_came() {
    let state = task(json!({"Parameters": {"x.$": "$.a"}, "ResultSelector": {"y.$": "$.z"}}));
    let mut probe = begin(&state, setup(json!({"a": 1})));
    probe.answer(Ok(json!({"rest": 3}).into()), &moment());
    let outcome = probe.outcome();
    assert_eq!(outcome.standing, Standing::Failed);
    let cause = outcome.failure.unwrap().cause.unwrap();
    assert!(
        !cause.contains("entered at the event id"),
        "outside of a history: {cause}"
    );
    let stages = probe.stages();
    assert_eq!(text(&stages.result), Some(r#"{"rest":3}"#));
    assert!(stages.after_result_selector.is_none() && stages.after_result_path.is_none());
}

#[test]
fn a_test_ends_where_the_next_state_would_begin() {
    let choice = json!({"Type": "Choice", "Default": "Else",
        "Choices": [{"Variable": "$.n", "NumericGreaterThan": 1, "Next": "More"}]});
    for (n, next) in [(2, "More"), (1, "Else")] {
        let outcome = begin(&choice, setup(json!({"n": n}))).outcome();
        assert_eq!(outcome.standing, Standing::Succeeded);
        assert_eq!(outcome.next.as_deref(), Some(next));
    }
}

#[test]
fn a_retrier_takes_an_error_as_long_as_it_has_attempts() {
    let state = task(json!({
        "Retry": [{"ErrorEquals": ["Other"]}, {"ErrorEquals": ["E"], "IntervalSeconds": 3, "MaxAttempts": 2}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Park"}],
    }));
    let after = |retries| {
        let mut probe = begin(
            &state,
            Setup {
                retries,
                ..setup(json!({}))
            },
        );
        probe.answer(Err(Failure::new("E", "why")), &moment());
        let (outcome, stages) = (probe.outcome(), probe.stages());
        assert_eq!(outcome.failure, Some(Failure::new("E", "why")));
        let pause = stages.retry.map(|(index, pause)| (index, pause.num_seconds()));
        (outcome.standing, pause, stages.catch, outcome.next)
    };
    assert_eq!(after(None), (Standing::Retriable, Some((1, 3)), None, None));
    assert_eq!(after(Some(1)), (Standing::Retriable, Some((1, 6)), None, None));
    assert_eq!(
        after(Some(2)),
        (Standing::CaughtError, None, Some(0), Some("Park".into()))
    );
}

#[test]
fn variables_are_those_given_and_those_assigned() {
    let state = json!({"Type": "Pass", "Assign": {"new.$": "$.n", "old.$": "$old"}, "End": true});
    let variables = BTreeMap::from([
        ("old".to_owned(), Json::from(json!(1))),
        ("kept".to_owned(), json!(2).into()),
    ]);
    let probe = begin(
        &state,
        Setup {
            variables,
            ..setup(json!({"n": 3}))
        },
    );
    assert_eq!(probe.variables().value(), &json!({"kept": 2, "new": 3, "old": 1}));
}

#[test]
fn the_context_is_the_one_given_or_a_made_up_one_without_a_role() {
    let state = task(json!({"Parameters": {"all.$": "$$"}}));
    let given = json!({"State": {"Name": "Mine"}});
    let probe = begin(
        &state,
        Setup {
            context: Some(given.clone()),
            ..setup(json!({}))
        },
    );
    assert_eq!(probe.stages().after_arguments.unwrap().value(), &json!({"all": given}));
    let probe = begin(
        &state,
        Setup {
            retries: Some(4),
            ..setup(json!({}))
        },
    );
    let made_up = probe.stages().after_arguments.unwrap();
    let made_up = &made_up.value()["all"];
    assert_eq!(made_up["Execution"]["RoleArn"], Value::Null);
    assert_eq!(made_up["State"]["Name"], TESTED);
    assert_eq!(made_up["State"]["RetryCount"], 4);
}

#[test]
fn a_state_inside_another_is_found_with_its_language() {
    let inner = json!({"StartAt": "In", "States": {"In": {"Type": "Pass", "Output": "{% 1 + 1 %}", "End": true}}});
    let machine = json!({"QueryLanguage": "JSONata", "StartAt": "Out", "States": {
        "Out": {"Type": "Map", "Items": [1], "ItemProcessor": inner, "End": true}}});
    let probe = Probe::begin(tested(&machine, Some("In")), setup(json!({})), &moment());
    assert_eq!(probe.outcome().output.unwrap().text(), "2");
    let out = tested(&machine, Some("Out"));
    assert!(out.contains("In") && !out.contains("Out"));
    let missing = Tested::parse(&machine.to_string(), Some("Neither"));
    assert!(missing.expect("a definition").is_none());
}

#[test]
fn what_lies_outside_of_a_state_by_itself_is_not_asked_for() {
    let state = task(json!({"End": false, "Next": "Elsewhere", "Catch": [{"ErrorEquals": ["E"], "Next": "There"}]}));
    assert!(Tested::parse(&state.to_string(), None).is_ok());
    let inner = json!({"StartAt": "In", "States": {"In": {"Type": "Pass", "Next": "Lost"}}});
    let map = json!({"Type": "Map", "ItemProcessor": inner, "End": true});
    let problems = Tested::parse(&map.to_string(), None).expect_err("inside, targets must be there");
    assert!(
        problems.iter().any(|problem| problem.pointer.ends_with("/In/Next")),
        "{problems:?}"
    );
    let problems = Tested::parse("{}", None).expect_err("no state");
    assert_eq!(problems[0].message, "These fields are required: [Type]");
}

#[test]
fn a_wait_is_waited_for_up_to_the_limit() {
    let over = |seconds: i64| {
        let mut probe = begin(
            &json!({"Type": "Wait", "Seconds": seconds, "End": true}),
            setup(json!({})),
        );
        let due = probe.due().expect("time passes");
        let later = Moment { now: due, ..moment() };
        probe.take(Trigger::Clock, &later);
        let waited = (due - moment().now).num_seconds();
        (waited, probe.outcome().standing, probe.outcome().failure)
    };
    assert_eq!(over(9), (9, Standing::Succeeded, None));
    let timed_out = Some(Failure::named("States.Timeout"));
    assert_eq!(over(999), (300, Standing::Failed, timed_out.clone()));
    let mut probe = begin(&task(json!({"TimeoutSeconds": 5})), setup(json!({})));
    let due = Moment {
        now: probe.due().expect("a time-out"),
        ..moment()
    };
    probe.take(Trigger::Clock, &due);
    assert_eq!(probe.outcome().failure, timed_out);
}

/// A distributed Map with what a test adds to it.
fn map(fields: Value) -> Value {
    let processor = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED"}, "StartAt": "In",
        "States": {"In": {"Type": "Pass", "End": true}}});
    let mut map = json!({"Type": "Map", "ItemProcessor": processor, "End": true});
    let fields = fields.as_object().cloned().unwrap_or_default();
    map.as_object_mut().expect("an object").extend(fields);
    map
}

#[test]
fn the_items_of_a_map_are_read_selected_and_batched() {
    let state = map(json!({
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "MaxItems": 3}},
        "ItemSelector": {"key.$": "$$.Map.Item.Value.k", "of.$": "$.of"},
        "ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"of.$": "$.of"}},
        "MaxConcurrency": 5,
    }));
    let items = Some("k,v\na,1\nb,2\nc,3\nd,4".into());
    let mut probe = begin(
        &state,
        Setup {
            items,
            ..setup(json!({"of": 9}))
        },
    );
    assert_eq!(probe.items(), Some(3));
    let stages = probe.stages();
    let selected = |key: &str| json!({"key": key, "of": 9});
    let (a, b, c) = (selected("a"), selected("b"), selected("c"));
    assert_eq!(stages.after_item_selector.unwrap().value(), &json!([a, b, c]));
    let batch = |items: Value| json!({"BatchInput": {"of": 9}, "Items": items});
    assert_eq!(
        stages.after_item_batcher.unwrap().value(),
        &json!([batch(json!([a, b])), batch(json!([c]))])
    );
    assert_eq!(stages.max_concurrency, Some(5));
    probe.answer(Ok(json!([1]).into()), &moment());
    assert_eq!(probe.outcome().output.unwrap().text(), "[1]");
}

#[test]
fn data_is_read_in_the_form_that_the_reader_names() {
    let read = |config: Value, data: &str| {
        let reader = json!({"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": config});
        let state = map(json!({"ItemReader": reader, "ItemSelector": {"v.$": "$$.Map.Item.Value"}}));
        let probe = begin(
            &state,
            Setup {
                items: Some(data.into()),
                ..setup(json!({}))
            },
        );
        match probe.outcome().failure {
            Some(failure) => Err(failure.name().to_owned()),
            None => Ok(probe.stages().after_item_selector.unwrap().value().clone()),
        }
    };
    let values = |values: &[Value]| Ok(values.iter().map(|value| json!({"v": value})).collect::<Value>());
    assert_eq!(
        read(json!({"InputType": "JSON"}), "[1, 2]"),
        values(&[json!(1), json!(2)])
    );
    assert_eq!(
        read(json!({"InputType": "JSONL"}), "1\n\n{\"a\":2}\n"),
        values(&[json!(1), json!({"a": 2})])
    );
    let pointer = json!({"InputType": "JSON", "ItemsPointer": "/deep/1"});
    assert_eq!(read(pointer.clone(), r#"{"deep": [0, [7]]}"#), values(&[json!(7)]));
    let given = json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a"], "CSVDelimiter": "TAB"});
    assert_eq!(read(given, "x\ty"), values(&[json!({"a": "x"})]));
    assert_eq!(
        read(json!({}), r#"{"k": 1}"#),
        values(&[json!({"Key": "k", "Value": 1})])
    );
    let failed = Err("States.ItemReaderFailed".to_owned());
    for (config, data) in [
        (json!({}), "7"),
        (json!({}), "["),
        (pointer, "{}"),
        (json!({"InputType": "JSONL"}), "1\n{"),
    ] {
        assert_eq!(read(config, data), failed, "{data}");
    }
}

#[test]
fn what_every_item_repeats_is_bounded() {
    let header = "h".repeat(100_000);
    let state = map(json!({"ItemReader": {"Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}}}));
    let items = Some(format!("{header}\n{}", "1\n".repeat(50_000)).into());
    let probe = begin(
        &state,
        Setup {
            items,
            ..setup(json!({}))
        },
    );
    assert_eq!(probe.outcome().failure.unwrap().name(), "States.DataLimitExceeded");
    let state = json!({"Type": "Map", "ItemsPath": "$.items", "ItemSelector": {"all.$": "$"}, "End": true,
        "ItemProcessor": {"StartAt": "In", "States": {"In": {"Type": "Pass", "End": true}}}});
    let input = json!({"items": vec![0; 1_000], "text": "t".repeat(100_000)});
    let probe = begin(&state, setup(input));
    assert_eq!(probe.outcome().failure.unwrap().name(), "States.DataLimitExceeded");
}

#[test]
fn failed_iterations_count_against_a_threshold_only_if_there_is_one() {
    let standing = |fields: Value, failed: u64| {
        let state = map(fields);
        let mut probe = begin(
            &state,
            Setup {
                failed_iterations: Some(failed),
                ..setup(json!([1, 2, 3, 4]))
            },
        );
        probe.answer(Ok(json!([]).into()), &moment());
        let outcome = probe.outcome();
        assert_eq!(outcome.standing == Standing::Failed, outcome.failure.is_some());
        outcome.failure.map(|failure| failure.name().to_owned())
    };
    let exceeded = Some("States.ExceedToleratedFailureThreshold".to_owned());
    assert_eq!(standing(json!({}), 4), None);
    assert_eq!(standing(json!({"ToleratedFailureCount": 1}), 1), None);
    assert_eq!(standing(json!({"ToleratedFailureCount": 1}), 2), exceeded);
    assert_eq!(standing(json!({"ToleratedFailurePercentage": 50}), 2), None);
    assert_eq!(standing(json!({"ToleratedFailurePercentage": 50}), 3), exceeded);
}

#[test]
fn a_parallel_state_takes_its_result_or_its_error_from_the_test() {
    let branch = json!({"StartAt": "In", "States": {"In": {"Type": "Pass", "End": true}}});
    let state = json!({"Type": "Parallel", "Branches": [branch], "ResultPath": "$.r", "End": true,
        "Catch": [{"ErrorEquals": ["E"], "Next": "Park"}]});
    let mut probe = begin(&state, setup(json!({})));
    assert!(probe.waits_for_children());
    probe.answer(Ok(json!([7]).into()), &moment());
    assert_eq!(probe.outcome().output.unwrap().text(), r#"{"r":[7]}"#);
    // What comes once it is over changes nothing.
    probe.answer(Err(Failure::named("E")), &moment());
    assert_eq!(probe.outcome().standing, Standing::Succeeded);
    let mut probe = begin(&state, setup(json!({})));
    probe.answer(Err(Failure::named("E")), &moment());
    assert_eq!(probe.outcome().standing, Standing::CaughtError);
}

#[test]
fn only_a_test_may_read_batch_and_write_items() {
    for field in ["ItemReader", "ItemBatcher", "ResultWriter"] {
        let state = map(json!({field: {"Resource": "arn:aws:states:::s3:getObject"}}));
        let machine = json!({"StartAt": "M", "States": {"M": state}}).to_string();
        let problems = StateMachine::parse(&machine).expect_err("not supported");
        assert!(problems[0].message.contains(field), "{problems:?}");
        assert!(Tested::parse(&machine, Some("M")).is_ok());
    }
}
