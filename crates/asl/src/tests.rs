//! Executions played out in memory: definitions, scripted answers and a clock that jumps.

mod activities;
mod runs;
mod simulation;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    Event, EventId, EventKind, Execution, Failure, Identity, Json, Mark, Moment, Problem, StateMachine, Status,
    Trigger, advance,
};

/// An execution with its world: everything that happened, and what time it is.
struct Player {
    machine: StateMachine,
    execution: Execution,
    events: Vec<Event>,
    now: DateTime<Utc>,
}

impl Player {
    fn start(definition: &Value, input: &Value) -> Self {
        let machine = StateMachine::parse(&definition.to_string()).unwrap_or_else(|problems| panic!("{problems:?}"));
        let identity = Identity {
            execution_arn: "arn:aws:states:us-west-2:000000000000:execution:machine:name".into(),
            name: "name".into(),
            state_machine_arn: "arn:aws:states:us-west-2:000000000000:stateMachine:machine".into(),
            state_machine_name: "machine".into(),
            role_arn: "arn:aws:iam::000000000000:role/role".into(),
            published: crate::Published::default(),
        };
        let mut player = Self {
            machine,
            execution: Execution::default(),
            events: Vec::new(),
            now: DateTime::UNIX_EPOCH,
        };
        player.take(Trigger::Start {
            identity: Arc::new(identity),
            input: input.clone().into(),
        });
        player
    }

    fn take(&mut self, trigger: Trigger) -> usize {
        let moment = Moment {
            now: self.now,
            seed: self.events.len() as u128,
        };
        let mut events = advance(&self.machine, &mut self.execution, trigger, &moment);
        while self.execution.is_runnable() {
            events.extend(advance(&self.machine, &mut self.execution, Trigger::Continue, &moment));
        }
        let appended = events.len();
        self.events.extend(events);
        assert_eq!(
            Execution::replay(&self.events),
            self.execution,
            "the fold is the execution"
        );
        let stored = serde_json::to_string(&self.events).unwrap();
        let loaded: Vec<Event> = serde_json::from_str(&stored).unwrap();
        assert_eq!(loaded, self.events, "what is written is what is read");
        appended
    }

    /// The tasks in progress, by what scheduled them.
    fn tasks(&self) -> Vec<EventId> {
        self.execution
            .tasks_since(Mark::default())
            .map(|task| task.scheduled)
            .collect()
    }

    fn task(&self) -> EventId {
        let tasks = self.tasks();
        assert_eq!(tasks.len(), 1, "one task is in progress");
        tasks[0]
    }

    fn succeed(&mut self, scheduled: EventId, output: Value) {
        self.take(Trigger::TaskSucceeded {
            scheduled,
            output: output.into(),
        });
    }

    fn fail(&mut self, scheduled: EventId, error: &str) {
        self.take(Trigger::TaskFailed {
            scheduled,
            failure: Failure::new(error, "because"),
        });
    }

    /// Jumps to the next moment that is due; how long that took.
    fn wait(&mut self) -> TimeDelta {
        let due = self.execution.due().expect("something is due");
        let waited = due - self.now;
        self.now = due;
        self.take(Trigger::Clock);
        waited
    }

    fn output(&self) -> Value {
        assert_eq!(
            self.execution.status(),
            Status::Succeeded,
            "{:?}",
            self.execution.failure()
        );
        self.execution.output().unwrap().value().clone()
    }

    fn types(&self) -> Vec<String> {
        self.events
            .iter()
            .filter(|event| !event.is_hidden())
            .map(|event| event.kind.type_name())
            .collect()
    }

    fn count(&self, type_name: &str) -> usize {
        self.types().iter().filter(|name| *name == type_name).count()
    }
}

fn task(retry: &Value, catch: &Value) -> Value {
    let mut definition = json!({"StartAt": "Work", "States": {
        "Work": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "TimeoutSeconds": 60,
                 "Parameters": {"FunctionName": "work"}, "Retry": retry, "Catch": catch, "End": true}}});
    if catch != &json!([]) {
        definition["States"]["Park"] = json!({"Type": "Pass", "End": true});
    }
    definition
}

fn caught() -> Value {
    json!([{"ErrorEquals": ["States.ALL"], "Next": "Park"}])
}

#[test]
fn retries_wait_longer_each_time_and_then_the_catcher_takes_over() {
    let retry = json!([{"ErrorEquals": ["Throttled"], "IntervalSeconds": 2, "MaxAttempts": 3, "MaxDelaySeconds": 5}]);
    let mut player = Player::start(&task(&retry, &caught()), &json!({}));
    let mut waits = Vec::new();
    for _ in 0..3 {
        player.fail(player.task(), "Throttled");
        assert!(player.tasks().is_empty(), "nothing is in progress before the retry");
        waits.push(player.wait().num_seconds());
    }
    player.fail(player.task(), "Throttled");
    assert_eq!(waits, [2, 4, 5]);
    assert_eq!(player.output(), json!({"Error": "Throttled", "Cause": "because"}));
    assert_eq!(player.count("TaskScheduled"), 4);
}

#[test]
fn full_jitter_stays_below_the_delay() {
    let retry =
        json!([{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 10, "MaxAttempts": 1, "JitterStrategy": "FULL"}]);
    for _ in 0..20 {
        let mut player = Player::start(&task(&retry, &json!([])), &json!({}));
        player.fail(player.task(), "Any");
        let waited = player.wait();
        assert!(
            TimeDelta::zero() <= waited && waited <= TimeDelta::seconds(10),
            "{waited}"
        );
    }
}

#[test]
fn a_late_or_repeated_result_changes_nothing() {
    let mut player = Player::start(&task(&json!([]), &json!([])), &json!({}));
    let scheduled = player.task();
    player.succeed(scheduled, json!(1));
    let trigger = |output: i64| Trigger::TaskSucceeded {
        scheduled,
        output: Json::from(json!(output)),
    };
    assert_eq!(player.take(trigger(2)), 0);
    assert_eq!(player.take(Trigger::Clock), 0);
    assert_eq!(player.take(Trigger::Stop(Failure::default())), 0);
    assert_eq!(player.output(), json!(1));
}

#[test]
fn a_task_times_out_and_can_be_redriven_from_there() {
    let definition = json!({"StartAt": "Before", "States": {
        "Before": {"Type": "Pass", "Next": "Work"},
        "Work": {"Type": "Task", "Resource": "arn:aws:lambda:us-west-2:000000000000:function:work", "TimeoutSeconds": 60,
                 "End": true}}});
    let mut player = Player::start(&definition, &json!({}));
    assert_eq!(player.wait().num_seconds(), 60);
    assert_eq!(player.execution.status(), Status::Failed);
    assert_eq!(player.execution.failure(), &Failure::named("States.Timeout"));
    assert!(player.execution.due().is_none());

    player.take(Trigger::Redrive);
    assert_eq!(player.execution.status(), Status::Running);
    assert_eq!(player.execution.redrive_count(), 1);
    player.succeed(player.task(), json!("done"));
    assert_eq!(player.output(), json!("done"));
    assert_eq!(
        player.count("PassStateEntered"),
        1,
        "what had succeeded does not run again"
    );
    assert_eq!(player.count("LambdaFunctionScheduled"), 2);
}

#[test]
fn a_heartbeat_keeps_a_callback_alive_until_it_stops() {
    let definition = json!({"StartAt": "Ask", "States": {"Ask": {
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "HeartbeatSeconds": 10,
        "Parameters": {"FunctionName": "ask", "Payload": {"token.$": "$$.Task.Token"}}, "End": true}}});
    let mut player = Player::start(&definition, &json!({}));
    let scheduled = player.task();
    let task = player.execution.task(scheduled).unwrap().clone();
    let token = task.schedule.token.clone().unwrap();
    assert_eq!(task.schedule.parameters.value()["Payload"]["token"], json!(&*token));
    player.take(Trigger::TaskSubmitted {
        scheduled,
        output: json!({}).into(),
    });
    assert!(player.execution.task(scheduled).unwrap().submitted);

    player.now += TimeDelta::seconds(9);
    player.take(Trigger::TaskHeartbeat { scheduled });
    assert_eq!(player.wait().num_seconds(), 10);
    assert_eq!(player.execution.failure(), &Failure::named("States.HeartbeatTimeout"));
}

#[test]
fn the_state_machines_own_time_out_ends_it_exactly_then() {
    let definition = json!({"StartAt": "Wait", "TimeoutSeconds": 5, "States": {
        "Wait": {"Type": "Wait", "Seconds": 60, "End": true}}});
    let mut player = Player::start(&definition, &json!({}));
    player.now += TimeDelta::seconds(30);
    player.take(Trigger::Clock);
    assert_eq!(player.execution.status(), Status::TimedOut);
    assert_eq!(
        player.execution.stopped_at(),
        Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(5))
    );

    player.take(Trigger::Redrive);
    assert_eq!(player.wait().num_seconds(), 5, "a redrive starts the clock anew");
}

/// Items that each need a task; two at a time.
fn map() -> Value {
    json!({"StartAt": "Each", "States": {"Each": {
        "Type": "Map", "MaxConcurrency": 2, "End": true,
        "ItemSelector": {"n.$": "$$.Map.Item.Value", "index.$": "$$.Map.Item.Index"},
        "ItemProcessor": {"StartAt": "Work", "States": {
            "Work": {"Type": "Task", "Resource": "arn:aws:lambda:us-west-2:000000000000:function:work", "End": true}}}}}})
}

#[test]
fn a_map_runs_as_many_items_as_it_may_and_keeps_their_order() {
    let mut player = Player::start(&map(), &json!([1, 2, 3]));
    let first = player.tasks();
    assert_eq!(first.len(), 2);
    player.succeed(first[1], json!("b"));
    let tasks = player.tasks();
    assert_eq!(tasks.len(), 2, "the third began when the second ended");
    player.succeed(tasks[1], json!("c"));
    player.succeed(first[0], json!("a"));
    assert_eq!(player.output(), json!(["a", "b", "c"]));
    let mut inputs = player.events.iter().filter_map(|event| match &event.kind {
        EventKind::TaskScheduled(schedule) => Some(schedule.parameters.value().clone()),
        _ => None,
    });
    assert_eq!(inputs.next_back(), Some(json!({"n": 3, "index": 2})));
}

#[test]
fn a_redriven_map_runs_only_what_had_not_succeeded() {
    let mut player = Player::start(&map(), &json!([1, 2, 3]));
    let tasks = player.tasks();
    player.succeed(tasks[0], json!("a"));
    player.fail(tasks[1], "Broken");
    assert_eq!(player.execution.status(), Status::Failed);
    assert_eq!(player.count("MapIterationAborted"), 1, "the third was in progress");

    player.take(Trigger::Redrive);
    let tasks = player.tasks();
    assert_eq!(tasks.len(), 2);
    for (task, output) in tasks.into_iter().zip(["b", "c"]) {
        player.succeed(task, json!(output));
    }
    assert_eq!(player.output(), json!(["a", "b", "c"]));
    assert_eq!(player.count("MapStateEntered"), 1);
    assert_eq!(player.count("LambdaFunctionScheduled"), 5);
}

#[test]
fn a_parallel_state_hands_each_branch_its_input_and_variables_and_collects_their_outputs() {
    let definition = json!({"StartAt": "Set", "States": {
        "Set": {"Type": "Pass", "Assign": {"who": "outer"}, "Next": "Both"},
        "Both": {"Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "A", "States": {"A": {"Type": "Pass", "Assign": {"who": "inner"}, "Next": "A2"},
                                        "A2": {"Type": "Pass", "Parameters": {"who.$": "$who"}, "End": true}}},
            {"StartAt": "B", "States": {"B": {"Type": "Wait", "Seconds": 3, "Next": "B2"},
                                        "B2": {"Type": "Pass", "Parameters": {"who.$": "$who"}, "End": true}}}]}}});
    let mut player = Player::start(&definition, &json!({}));
    assert_eq!(player.wait().num_seconds(), 3);
    assert_eq!(player.output(), json!([{"who": "inner"}, {"who": "outer"}]));
}

#[test]
fn an_error_in_a_branch_ends_the_others_and_can_be_caught_around_them() {
    let definition = json!({"StartAt": "Both", "States": {
        "Both": {"Type": "Parallel", "Catch": [{"ErrorEquals": ["Broken"], "ResultPath": "$.error", "Next": "Park"}],
                 "End": true, "Branches": [
            {"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "Broken", "Cause": "by hand"}}},
            {"StartAt": "B", "States": {"B": {"Type": "Wait", "Seconds": 3, "End": true}}}]},
        "Park": {"Type": "Pass", "End": true}}});
    let player = Player::start(&definition, &json!({"n": 1}));
    assert_eq!(
        player.output(),
        json!({"n": 1, "error": {"Error": "Broken", "Cause": "by hand"}})
    );
}

#[test]
fn what_fails_after_its_branches_follows_their_success() {
    let end = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}});
    let states = [
        json!({"Type": "Parallel", "Branches": [end], "ResultSelector": {"v.$": "$.nope"}, "End": true}),
        json!({"Type": "Map", "ItemProcessor": end, "ResultSelector": {"v.$": "$.nope"}, "End": true}),
    ];
    for state in states {
        let player = Player::start(&json!({"StartAt": "All", "States": {"All": state}}), &json!([1]));
        let [.., succeeded, failed] = &*player.events else {
            panic!("there are two events");
        };
        assert!(succeeded.kind.type_name().ends_with("StateSucceeded"));
        assert_eq!(failed.previous, succeeded.id, "{state}");
    }
}

/// Has the events after the first `number` be of these types, each after the one with this id.
fn assert_told(player: &Player, number: usize, expected: &[(&str, EventId)]) {
    let events = player.events.iter().filter(|event| !event.is_hidden()).skip(number);
    let told: Vec<_> = events.map(|event| (event.kind.type_name(), event.previous)).collect();
    let expected: Vec<_> = expected.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_failing_branch_has_the_states_in_progress_beside_it_aborted() {
    let work = json!({"StartAt": "Work", "States": {"Work": {
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}}});
    let rest = |name: &str| json!({"StartAt": name, "States": {name: {"Type": "Wait", "Seconds": 60, "End": true}}});
    let inner = json!({"StartAt": "Inner", "States": {
        "Inner": {"Type": "Parallel", "Branches": [rest("Deep")], "End": true}}});
    let done = json!({"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": true}}});
    let catch = json!([{"ErrorEquals": ["Broken"], "Next": "Park"}]);
    let definition = json!({"StartAt": "Both", "States": {"Park": {"Type": "Succeed"}, "Both": {
        "Type": "Parallel", "Branches": [work, rest("Rest"), inner, done], "Catch": catch, "End": true}}});
    let mut player = Player::start(&definition, &json!({}));
    let failed = player.types().len() as EventId + 1;
    player.fail(player.task(), "Broken");
    let expected = [
        ("TaskStateAborted", failed),
        ("WaitStateAborted", failed),
        ("ParallelStateAborted", failed),
        ("ParallelStateFailed", failed),
        ("ParallelStateExited", failed + 4),
        ("SucceedStateEntered", failed + 5),
        ("SucceedStateExited", failed + 6),
        ("ExecutionSucceeded", failed + 7),
    ];
    assert_told(&player, failed as usize, &expected);
}

#[test]
fn a_failing_iteration_has_the_others_aborted_before_it_is_said_to_have_failed() {
    let mut player = Player::start(&map(), &json!([1, 2, 3]));
    let failed = player.types().len() as EventId + 1;
    player.fail(player.tasks()[0], "Broken");
    let expected = [
        ("TaskStateAborted", failed),
        ("MapIterationAborted", failed),
        ("TaskStateAborted", failed),
        ("MapIterationFailed", failed),
        ("MapStateFailed", failed),
        ("ExecutionFailed", failed + 5),
    ];
    assert_told(&player, failed as usize, &expected);
}

#[test]
fn what_ends_the_execution_at_once_aborts_no_state() {
    let definition = json!({"StartAt": "Both", "TimeoutSeconds": 5, "States": {"Both": {"Type": "Parallel", "End": true,
    "Branches": [
        {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 60, "End": true}}},
        {"StartAt": "Say", "States": {"Say": {"Type": "Pass", "Parameters": {"v.$": "$.v"}, "End": true}}},
    ]}}});
    let player = Player::start(&definition, &json!({}));
    assert_eq!(player.types().last().unwrap(), "ExecutionFailed");
    let mut late = Player::start(&definition, &json!({"v": 1}));
    late.wait();
    assert_eq!(late.types().last().unwrap(), "ExecutionTimedOut");
    for player in [player, late] {
        assert!(!player.types().iter().any(|name| name.ends_with("StateAborted")));
    }
}

#[test]
fn a_loop_ends_at_the_quota_of_events() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Choice", "Choices": [{"Variable": "$.out", "IsPresent": true, "Next": "C"}], "Default": "B"},
        "B": {"Type": "Pass", "Next": "A"}, "C": {"Type": "Succeed"}}});
    let machine = StateMachine::parse(&definition.to_string()).unwrap();
    let mut execution = Execution::default();
    let identity = Arc::new(Identity {
        execution_arn: "arn".into(),
        name: "name".into(),
        state_machine_arn: "arn".into(),
        state_machine_name: "machine".into(),
        role_arn: "arn".into(),
        published: crate::Published::default(),
    });
    let moment = Moment {
        now: DateTime::UNIX_EPOCH,
        seed: 0,
    };
    advance(
        &machine,
        &mut execution,
        Trigger::Start {
            identity,
            input: Json::empty_object(),
        },
        &moment,
    );
    let mut calls = 1;
    while execution.is_runnable() {
        let events = advance(&machine, &mut execution, Trigger::Continue, &moment);
        assert!(events.len() <= 1_000, "a call makes a bounded number of transitions");
        calls += 1;
    }
    assert_eq!(execution.status(), Status::Failed);
    assert_eq!(execution.last_event(), crate::MAX_EVENTS);
    assert!(calls > 20);
}

#[test]
fn a_document_above_the_quota_fails_the_state_that_made_it() {
    let mut player = Player::start(&task(&json!([]), &caught()), &json!({}));
    let scheduled = player.task();
    player.succeed(scheduled, json!("x".repeat(crate::MAX_PAYLOAD_BYTES)));
    assert_eq!(player.execution.status(), Status::Failed, "States.ALL spares it");
    assert_eq!(player.execution.failure().name(), "States.DataLimitExceeded");
}

#[test]
fn what_one_state_assigns_is_bounded_as_a_payload_is() {
    let definition = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"one.$": "$.text", "two.$": "$.text"}, "End": true}}});
    // Each value has two quotes beside its letters.
    for (letters, status) in [
        (crate::MAX_PAYLOAD_BYTES / 2 - 2, Status::Succeeded),
        (crate::MAX_PAYLOAD_BYTES / 2 - 1, Status::Failed),
    ] {
        let player = Player::start(&definition, &json!({ "text": "x".repeat(letters) }));
        assert_eq!(player.execution.status(), status);
        if status == Status::Failed {
            assert_eq!(player.execution.failure().name(), "States.DataLimitExceeded");
        }
    }
}

#[test]
fn a_text_that_no_state_changes_keeps_its_spaces() {
    let machine = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}});
    let machine = StateMachine::parse(&machine.to_string()).unwrap();
    let mut execution = Execution::default();
    let identity = Arc::new(Identity {
        execution_arn: "arn".into(),
        name: "name".into(),
        state_machine_arn: "arn".into(),
        state_machine_name: "machine".into(),
        role_arn: "arn".into(),
        published: crate::Published::default(),
    });
    let text = "{ \"a\" : 1.0 }";
    let input = Json::parse(text).unwrap();
    let moment = Moment {
        now: DateTime::UNIX_EPOCH,
        seed: 0,
    };
    advance(&machine, &mut execution, Trigger::Start { identity, input }, &moment);
    assert_eq!(execution.output().unwrap().text(), text);
}

#[test]
fn every_problem_of_a_definition_is_found_in_the_words_of_aws() {
    let definition = json!({"StartAt": "Nowhere", "States": {
        "A": {"Type": "Pass", "Next": "Gone"},
        "B": {"Type": "Wait", "Timestamp": "tomorrow", "End": true}}});
    let problems = StateMachine::parse(&definition.to_string()).unwrap_err();
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for expected in [
        "MISSING_TRANSITION_TARGET: Missing 'Next' target: Nowhere at /StartAt",
        "MISSING_TRANSITION_TARGET: Missing 'Next' target: Gone at /States/A/Next",
        "SCHEMA_VALIDATION_FAILED: String does not match RFC3339 timestamp at /States/B/Timestamp",
        "MISSING_TRANSITION_TARGET: State \"A\" is not reachable. at /States/A",
    ] {
        assert!(
            problems.iter().any(|problem| problem == expected),
            "{expected} is not among {problems:#?}"
        );
    }
}

#[test]
fn a_field_that_a_state_does_not_have_is_refused_where_the_state_is() {
    let branch = json!({"StartAt": "C", "QueryLanguage": "JSONata", "Comment": "fine", "States": {
        "C": {"Type": "Pass", "Output": 1, "End": true}}});
    let definition = json!({"StartAt": "A", "Foo": 1, "States": {
        "A": {"Type": "Wait", "Seconds": 1, "SecondsPath": "$.s", "QueryLanguage": "JSONata", "Next": "B"},
        "B": {"Type": "Parallel", "QueryLanguage": "JSONata", "TimeoutSeconds": 1, "Branches": [branch], "Next": "D"},
        "D": {"Type": "Fail", "Output": 1, "Comment": "fine"}}});
    let problems = StateMachine::parse(&definition.to_string()).unwrap_err();
    let told: Vec<String> = problems
        .iter()
        .map(|problem| format!("{} at {} ({})", problem.message, problem.pointer, problem.place()))
        .collect();
    for expected in [
        "Field 'Foo' is not supported at / (/Foo)",
        "The QueryLanguage is set to 'JSONata', but field 'SecondsPath' is only supported for the 'JSONPath' \
         QueryLanguage at /States/A (/States/A/SecondsPath)",
        "Field 'TimeoutSeconds' is not supported at /States/B (/States/B/TimeoutSeconds)",
        "Field 'QueryLanguage' is not supported at /States/B/Branches[0] (/States/B/Branches[0]/QueryLanguage)",
        // What is around it says nothing of its language.
        "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage \
         at /States/B/Branches[0]/States/C (/States/B/Branches[0]/States/C/Output)",
        "Field 'Output' is not supported at /States/D (/States/D/Output)",
    ] {
        assert!(
            told.iter().any(|told| told == expected),
            "{expected} is not among {told:#?}"
        );
    }
}

/// Has a state machine of this one state be refused for this and nothing else.
fn assert_refused(state: Value, expected: &str) {
    let definition = json!({"StartAt": "S", "States": {"S": state, "T": {"Type": "Succeed"}}});
    let problems = StateMachine::parse(&definition.to_string()).unwrap_err();
    let told: Vec<String> = problems
        .iter()
        .filter(|problem| !problem.message.ends_with("is not reachable."))
        .map(ToString::to_string)
        .collect();
    assert_eq!(told, [expected]);
}

#[test]
fn what_an_entry_lacks_is_told_where_the_entry_is() {
    let required = |fields: &str, place: &str| {
        format!("SCHEMA_VALIDATION_FAILED: These fields are required: [{fields}] at /States/S/{place}")
    };
    let task = |field: &str, entry: Value| {
        let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "T"});
        state[field] = json!([entry]);
        state
    };
    assert_refused(
        task("Retry", json!({"MaxAttempts": 1})),
        &required("ErrorEquals", "Retry[0]"),
    );
    assert_refused(task("Catch", json!({})), &required("ErrorEquals, Next", "Catch[0]"));
    assert_refused(
        task("Catch", json!({"ErrorEquals": ["E"]})),
        &required("Next", "Catch[0]"),
    );
    assert_refused(
        json!({"Type": "Choice", "Choices": [{"Variable": "$.v", "IsPresent": true}], "Default": "T"}),
        &required("Next", "Choices[0]"),
    );
}

#[test]
fn names_and_labels_stand_for_one_thing() {
    let inner = json!({"StartAt": "S", "States": {"S": {"Type": "Pass", "End": true}}});
    assert_refused(
        json!({"Type": "Parallel", "Branches": [inner], "Next": "T"}),
        "DUPLICATE_STATE_NAME: Duplicate State name: S at /States/S/Branches[0]/States/S",
    );
    let map = |name: &str, next: Value| {
        json!({"Type": "Map", "Label": "L", "Next": next, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": name, "States": {name: {"Type": "Pass", "End": true}}}})
    };
    let definition = json!({"StartAt": "A", "States": {
        "A": map("X", json!("B")), "B": map("Y", json!("T")), "T": {"Type": "Succeed"}}});
    let problems = StateMachine::parse(&definition.to_string()).unwrap_err();
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["DUPLICATE_LABEL_NAME: Duplicate Label name: L at /States/B/Label"]
    );
}

#[test]
fn variables_have_names_that_every_expression_can_spell() {
    let long = "x".repeat(81);
    let identifier = "a name is a Unicode identifier of at most 80 characters";
    let cases = [
        ("states", "that name is reserved"),
        ("1st", identifier),
        ("a-b", identifier),
        ("", identifier),
        (&long, identifier),
    ];
    for (name, rule) in cases {
        let expected =
            format!("SCHEMA_VALIDATION_FAILED: Assign cannot name a variable '{name}': {rule} at /States/S/Assign");
        assert_refused(json!({"Type": "Pass", "Assign": {name: 1}, "Next": "T"}), &expected);
    }
    assert_refused(
        json!({"Type": "Pass", "Assign": 1, "Next": "T"}),
        "SCHEMA_VALIDATION_FAILED: Assign must be an object, is 1 at /States/S/Assign",
    );
    let fine = json!({"größe": 1, "नमस्ते.$": "$", "x_1": 2, "_x": 2, "state": 3, long[1..]: 4});
    let definition = json!({"StartAt": "S", "States": {"S": {"Type": "Pass", "Assign": fine, "End": true}}});
    assert!(StateMachine::parse(&definition.to_string()).is_ok());
}

#[test]
fn what_was_accepted_once_is_read_again() {
    let definition = json!({"StartAt": "S", "States": {"S": {"Type": "Pass", "Assign": {"states": 1}, "End": true}}});
    assert!(StateMachine::parse(&definition.to_string()).is_err());
    let machine = StateMachine::accepted(&definition.to_string()).unwrap();
    assert!(machine.state("S").unwrap().assign.is_some());
    assert!(StateMachine::accepted("{}").is_err());
}

#[test]
fn a_map_says_each_thing_once_and_as_what_it_is() {
    let cases = [
        (
            "/ItemsPath",
            json!(1),
            "ItemsPath must be a path, is 1 at /States/S/ItemsPath",
        ),
        (
            "/Label",
            json!(["L"]),
            "Label must be a string, is [\"L\"] at /States/S/Label",
        ),
        (
            "/ItemProcessor/ProcessorConfig/Mode",
            json!("BOTH"),
            "Mode must be 'INLINE' or 'DISTRIBUTED', is \"BOTH\" at /States/S/ItemProcessor/ProcessorConfig/Mode",
        ),
        (
            "/Iterator",
            json!({"StartAt": "X", "States": {"X": {"Type": "Pass", "End": true}}}),
            "A state has either 'ItemProcessor' or 'Iterator' at /States/S",
        ),
        (
            "/Parameters",
            json!({}),
            "A state has either 'ItemSelector' or 'Parameters' at /States/S",
        ),
        (
            "/ToleratedFailurePercentage",
            json!(100.5),
            "ToleratedFailurePercentage must be a number from 0 to 100, is 100.5 at \
             /States/S/ToleratedFailurePercentage",
        ),
    ];
    for (place, value, expected) in cases {
        let mut state = json!({"Type": "Map", "Next": "T", "ItemSelector": {}, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "X", "States": {"X": {"Type": "Pass", "End": true}}}});
        let (parent, field) = place.rsplit_once('/').unwrap();
        state.pointer_mut(parent).unwrap()[field] = value;
        assert_refused(state, &format!("SCHEMA_VALIDATION_FAILED: {expected}"));
    }
}

#[test]
fn a_state_machine_has_an_end() {
    let mut definition = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}});
    let problems = StateMachine::parse(&definition.to_string()).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["MISSING_END_STATE: Workflow has no terminal state at null"]);
    definition["States"]["B"] = json!({"Type": "Pass", "Next": "Nowhere"});
    let mut problems = StateMachine::parse(&definition.to_string()).unwrap_err();
    assert_eq!(problems.len(), 3, "that nothing leads to B is one of them");
    Problem::as_told(&mut problems);
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: Nowhere at /States/B/Next",
            "MISSING_END_STATE: Workflow has no terminal state at null"
        ]
    );
    definition["States"]["B"] = json!({"Type": "Succeed"});
    let problems = StateMachine::parse(&definition.to_string()).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["MISSING_TRANSITION_TARGET: State \"B\" is not reachable. at /States/B"]
    );
}

#[test]
fn what_cannot_be_processed_ends_the_execution_past_every_handler() {
    let handled =
        json!([{"ErrorEquals": ["States.Runtime"], "Next": "Park"}, {"ErrorEquals": ["States.ALL"], "Next": "Park"}]);
    let definition = |failing: Value| {
        json!({"StartAt": "Both", "States": {
            "Both": {"Type": "Parallel", "Catch": handled, "Retry": [{"ErrorEquals": ["States.Runtime"]}], "End": true,
                     "Branches": [{"StartAt": "A", "States": {"A": failing, "Z": {"Type": "Succeed"}}}]},
            "Park": {"Type": "Pass", "End": true}}})
    };
    for (failing, entered) in [
        (
            json!({"Type": "Pass", "Parameters": {"v.$": "$.nope"}, "Next": "Z"}),
            "PassStateEntered",
        ),
        (
            json!({"Type": "Choice", "Choices": [{"Variable": "$.n", "IsPresent": true, "Next": "Z"}]}),
            "ChoiceStateEntered",
        ),
        (
            json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "TimeoutSecondsPath": "$.nope",
                   "Retry": [{"ErrorEquals": ["States.TaskFailed"]}], "Next": "Z"}),
            "TaskStateEntered",
        ),
    ] {
        let player = Player::start(&definition(failing), &json!({}));
        assert_eq!(player.execution.status(), Status::Failed);
        assert_eq!(player.execution.failure().name(), "States.Runtime");
        let types: Vec<String> = player
            .events
            .iter()
            .filter_map(|event| Some(event.wire(true)?["type"].as_str()?.to_owned()))
            .collect();
        assert_eq!(types[types.len() - 2..], [entered, "ExecutionFailed"]);
    }
}

#[test]
fn resources_are_taken_apart_as_their_events_show_them() {
    for (arn, resource_type, resource) in [
        ("arn:aws:states:::lambda:invoke", "lambda", "invoke"),
        (
            "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "lambda",
            "invoke.waitForTaskToken",
        ),
        (
            "arn:aws:states:::states:startExecution.sync:2",
            "states",
            "startExecution.sync:2",
        ),
        (
            "arn:aws:states:::aws-sdk:sfn:startExecution",
            "aws-sdk:sfn",
            "startExecution",
        ),
        (
            "arn:aws:lambda:us-west-2:000000000000:function:f",
            "",
            "arn:aws:lambda:us-west-2:000000000000:function:f",
        ),
    ] {
        let definition = json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": arn, "End": true}}});
        let player = Player::start(&definition, &json!({}));
        let task = player.execution.task(player.task()).unwrap();
        assert_eq!(&*task.schedule.resource.resource_type, resource_type, "{arn}");
        assert_eq!(&*task.schedule.resource.resource, resource, "{arn}");
    }
}

/// A distributed Map over the input that calls a function for each item, and a Catcher if one is asked for.
fn distributed(fields: Value) -> Value {
    let mut map = json!({
        "Type": "Map", "Label": "Each", "End": true,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Work",
            "States": {"Work": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}}}});
    for (field, value) in fields.as_object().unwrap() {
        map[field] = value.clone();
    }
    json!({"StartAt": "Map", "States": {"Map": map}})
}

#[test]
fn the_items_of_a_distributed_map_stay_out_of_the_history() {
    let mut player = Player::start(&distributed(json!({"MaxConcurrency": 2})), &json!(["a", "b", "c"]));
    for output in ["A", "B", "C"] {
        let scheduled = player.tasks()[0];
        assert!(player.tasks().len() <= 2);
        player.succeed(scheduled, json!(output));
    }
    assert_eq!(player.output(), json!(["A", "B", "C"]));
    let shown: Vec<(EventId, EventId, String)> = player
        .events
        .iter()
        .filter(|event| !event.is_hidden())
        .map(|event| (event.id, event.previous, event.kind.type_name()))
        .collect();
    let names = shown.iter().map(|(id, previous, name)| (*id, *previous, name.as_str()));
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            (1, 0, "ExecutionStarted"),
            (2, 0, "MapStateEntered"),
            (3, 2, "MapStateStarted"),
            (4, 3, "MapRunStarted"),
            (5, 4, "MapRunSucceeded"),
            (6, 5, "MapStateSucceeded"),
            (7, 5, "MapStateExited"),
            (8, 7, "ExecutionSucceeded"),
        ]
    );
    let started = player
        .events
        .iter()
        .find_map(|event| event.wire(true)?.get("mapRunStartedEventDetails").cloned());
    let arn = started.unwrap()["mapRunArn"].as_str().unwrap().to_owned();
    assert!(
        arn.starts_with("arn:aws:states:us-west-2:000000000000:mapRun:machine/Each:"),
        "{arn}"
    );
}

#[test]
fn a_distributed_map_tolerates_failures_up_to_its_threshold() {
    let tolerant = distributed(json!({"ToleratedFailurePercentage": 34}));
    let mut player = Player::start(&tolerant, &json!([1, 2, 3]));
    player.fail(player.tasks()[1], "Broken");
    for scheduled in player.tasks() {
        player.succeed(scheduled, json!(scheduled % 2));
    }
    assert_eq!(player.output().as_array().unwrap().len(), 2);

    let mut player = Player::start(&tolerant, &json!([1, 2, 3]));
    player.fail(player.tasks()[0], "Broken");
    player.fail(player.tasks()[0], "Broken");
    let failure = player.execution.failure().clone();
    assert_eq!(failure.name(), "States.ExceedToleratedFailureThreshold");
    assert_eq!(
        failure.cause.as_deref(),
        Some("The specified tolerated failure threshold was exceeded")
    );
    assert_eq!(
        player.types()[3..],
        ["MapRunStarted", "MapRunFailed", "MapStateFailed", "ExecutionFailed"]
    );
}

#[test]
fn a_redrive_runs_only_the_items_that_failed() {
    let mut player = Player::start(&distributed(json!({})), &json!(["a", "b", "c"]));
    player.succeed(player.tasks()[0], json!("A"));
    let (failing, under_way) = (player.tasks()[0], player.tasks()[1]);
    player.fail(failing, "Broken");
    assert_eq!(player.execution.status(), Status::Failed);
    player.take(Trigger::Redrive);
    assert_eq!(player.tasks().len(), 2);
    assert!(!player.tasks().contains(&failing) && !player.tasks().contains(&under_way));
    for scheduled in player.tasks() {
        player.succeed(scheduled, json!("again"));
    }
    assert_eq!(player.output(), json!(["A", "again", "again"]));
    assert_eq!(player.count("MapRunRedriven"), 1);
}

#[test]
fn thresholds_are_looked_at_once_the_map_has_started() {
    let definition = distributed(json!({"ItemsPath": "$.items", "ToleratedFailureCountPath": "$.count"}));
    let cause = |count: Value| {
        let player = Player::start(&definition, &json!({"items": [1], "count": count}));
        assert_eq!(player.types()[2..], ["MapStateStarted", "ExecutionFailed"]);
        player
            .execution
            .failure()
            .cause
            .as_deref()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(cause(json!(-1)).ends_with("ToleratedFailureCount cannot be negative."));
    assert!(cause(json!("x")).contains("refers to value \"x\" which is not a valid integer: $.count"));
}

#[test]
fn a_label_is_refused_as_aws_tells_it() {
    let found = |label: &str| {
        let problems = StateMachine::parse(&distributed(json!({"Label": label})).to_string()).unwrap_err();
        crate::quoted(&problems[0].message)
    };
    assert_eq!(found(&"x".repeat(41)), "'Label cannot exceed 40 characters'");
    assert_eq!(found("a b"), r#""Label contains invalid character: ' '""#);
    assert_eq!(found("a\u{82}"), r#""Label contains invalid character: '\\x82'""#);
    assert_eq!(found("a\n"), r#""Label contains invalid character: '\\n'""#);
    assert_eq!(found("a\""), r#"'Label contains invalid character: \'"\''"#);
}

#[test]
fn a_wait_takes_the_times_that_java_does() {
    let ends = |state: Value, value: Value| {
        let definition = json!({"StartAt": "W", "States": {"W": state}});
        let mut player = Player::start(&definition, &json!({ "v": value }));
        player.now = DateTime::from_timestamp_nanos(i64::MAX);
        player.take(Trigger::Clock);
        match player.execution.failure().cause.as_deref() {
            Some(cause) => cause
                .split_once("#2). ")
                .map_or(cause, |(_, message)| message)
                .to_owned(),
            None => format!("{:?}", player.execution.status()),
        }
    };
    let path = json!({"Type": "Wait", "TimestampPath": "$.v", "End": true});
    for moment in [
        "2016-03-14T01:59:00Z",
        "2016-03-14T01:59Z",
        "2016-03-14T01:59+02:00",
        "2016-03-14t01:59:00.5z",
    ] {
        assert_eq!(ends(path.clone(), json!(moment)), "Succeeded", "{moment}");
    }
    for moment in [
        "2016-03-14 01:59:00Z",
        "2016-03-14T01:59",
        "2016-03-14",
        "T",
        "2016-03-14T01:5é",
    ] {
        assert!(
            ends(path.clone(), json!(moment)).starts_with("The TimestampPath parameter does not"),
            "{moment}"
        );
    }
    let seconds = json!({"Type": "Wait", "SecondsPath": "$.v", "End": true});
    assert_eq!(
        ends(seconds.clone(), json!(-1)),
        "The SecondsPath parameter references a negative value: $.v == -1"
    );
    assert_eq!(
        ends(seconds, json!(-1.5)),
        "The SecondsPath parameter cannot be parsed as a long value: $.v == -1.5"
    );
    let jsonata =
        json!({"Type": "Wait", "QueryLanguage": "JSONata", "Timestamp": "{% $states.input.v %}", "End": true});
    assert!(ends(jsonata, json!(1)).ends_with("Expected 'string', but was 'number' for value: 1"));
}

#[test]
fn a_timestamp_has_a_t_and_a_condition_is_named_with_its_place() {
    let is_timestamp = |text: &str| {
        let definition = json!({"StartAt": "C", "States": {
            "C": {"Type": "Choice", "Choices": [{"Variable": "$", "IsTimestamp": true, "Next": "Yes"}], "Default": "No"},
            "Yes": {"Type": "Pass", "Result": true, "End": true},
            "No": {"Type": "Pass", "Result": false, "End": true}}});
        Player::start(&definition, &json!(text)).output()
    };
    assert_eq!(is_timestamp("2016-03-14T01:59:00Z"), true);
    for other in [
        "2016-03-14 01:59:00Z",
        "2016-03-14t01:59:00Z",
        "2016-03-14T01:59Z",
        "2016-03-14",
    ] {
        assert_eq!(is_timestamp(other), false, "{other}");
    }
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "C", "States": {
        "C": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "D"}, {"Condition": "{% 1 %}", "Next": "D"}]},
        "D": {"Type": "Succeed"}}});
    let player = Player::start(&definition, &json!({}));
    let cause = player.execution.failure().cause.clone().unwrap();
    assert!(
        cause.contains("'1' specified for the field 'Choices[1]/Condition' returned an unexpected"),
        "{cause}"
    );
}

#[test]
fn states_as_a_whole_has_the_context_in_it() {
    for output in [
        "{% $states %}",
        "{% $map([1], function($v) { $states })[0] %}",
        "{% $lookup($states, 'context') %}",
    ] {
        let definition = json!({"QueryLanguage": "JSONata", "StartAt": "P", "States": {
            "P": {"Type": "Pass", "Output": output, "End": true}}});
        let seen = Player::start(&definition, &json!({})).output();
        let context = seen.get("context").unwrap_or(&seen);
        assert_eq!(context["State"]["Name"], "P", "{output}");
    }
}

#[test]
fn json_with_spaces_has_them_between_its_values_alone() {
    let value = json!([{"a": [1, 2.0], "b": "x, y: z"}, {}, []]);
    assert_eq!(crate::spaced(&value), r#"[{"a": [1, 2.0], "b": "x, y: z"}, {}, []]"#);
}
