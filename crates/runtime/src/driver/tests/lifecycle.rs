//! Executions from start to end: the API's promises, timers, callbacks, redrive.

use super::*;

#[tokio::test]
async fn an_execution_runs_its_tasks_and_tells_its_end() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &two_steps()).await;

    let started = engine
        .start_execution(start(&machine, "one", json!({ "a": 1 })))
        .await
        .unwrap();
    assert_eq!(*started.arn, *arn("one"));
    let closed = engine.wait_closed(&started.arn).await.unwrap();

    assert_eq!(closed.status, Status::Succeeded);
    assert_eq!(closed.output, Some(json!({ "a": 1 }).into()));
    assert_eq!(engine.execution(&started.arn).await.unwrap(), closed);
    let expected = [
        "ExecutionStarted",
        "TaskStateEntered",
        "LambdaFunctionScheduled",
        "LambdaFunctionStarted",
        "LambdaFunctionSucceeded",
        "TaskStateExited",
        "TaskStateEntered",
        "LambdaFunctionScheduled",
        "LambdaFunctionStarted",
        "LambdaFunctionSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ];
    assert_eq!(types(&engine, "one").await, expected);
    assert_eq!(world.heard.until(2).await, ["RUNNING", "SUCCEEDED"]);
    engine.shutdown().await;
}

#[tokio::test]
async fn what_is_described_from_disk_is_what_was_in_memory() {
    let world = World::new(Script::new([(&function("second"), vec![fails("Broken")])]));
    let engine = world.open().await;
    let machine = create(&engine, &two_steps()).await;
    engine
        .start_execution(start(&machine, "one", json!({ "a": 1 })))
        .await
        .unwrap();
    let closed = engine.wait_closed(&arn("one")).await.unwrap();
    assert_eq!(closed.failure, Failure::new("Broken", "scripted"));
    engine.shutdown().await;

    let engine = world.open().await;
    assert_eq!(engine.execution(&arn("one")).await.unwrap(), closed);
    assert_eq!(engine.wait_closed(&arn("one")).await.unwrap(), closed);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_name_finds_the_execution_that_runs_with_the_same_input() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &waits(60)).await;
    let first = engine
        .start_execution(start(&machine, "one", json!({ "a": 1 })))
        .await
        .unwrap();

    let again = engine
        .start_execution(start(&machine, "one", json!({ "a": 1 })))
        .await
        .unwrap();
    assert_eq!(again, first);
    let other = engine.start_execution(start(&machine, "one", json!({ "a": 2 }))).await;
    assert!(matches!(other, Err(Error::ExecutionAlreadyExists { .. })), "{other:?}");

    world.clock.jump_to(dawn() + chrono::TimeDelta::seconds(60));
    engine.wait_closed(&first.arn).await.unwrap();
    let closed = engine.start_execution(start(&machine, "one", json!({ "a": 1 }))).await;
    assert!(
        matches!(closed, Err(Error::ExecutionAlreadyExists { .. })),
        "{closed:?}"
    );

    world.clock.jump_to(dawn() + chrono::TimeDelta::days(91));
    let later = engine
        .start_execution(start(&machine, "one", json!({ "a": 1 })))
        .await
        .unwrap();
    assert_eq!(later.started, dawn() + chrono::TimeDelta::days(91));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_timer_fires_at_its_moment_and_not_before() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &waits(3_600)).await;
    let started = engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();

    world.clock.jump_to(dawn() + chrono::TimeDelta::milliseconds(3_599_999));
    assert_eq!(engine.execution(&started.arn).await.unwrap().status, Status::Running);
    world.clock.jump_to(dawn() + chrono::TimeDelta::seconds(3_600));
    let closed = engine.wait_closed(&started.arn).await.unwrap();

    assert_eq!(closed.stopped, Some(dawn() + chrono::TimeDelta::seconds(3_600)));
    engine.shutdown().await;
}

#[tokio::test]
async fn ten_thousand_wait_on_disk_and_all_wake() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &waits(60)).await;
    let mut starts = tokio::task::JoinSet::new();
    for number in 0..10_000 {
        let (engine, machine) = (engine.clone(), machine.clone());
        starts.spawn(async move {
            engine
                .start_execution(start(&machine, &format!("n{number}"), json!({})))
                .await
                .unwrap();
        });
    }
    starts.join_all().await;
    engine.shutdown().await;

    world.clock.jump_to(dawn() + chrono::TimeDelta::seconds(61));
    let engine = world.open().await;
    for number in 0..10_000 {
        let closed = engine.wait_closed(&arn(&format!("n{number}"))).await.unwrap();
        assert_eq!(closed.status, Status::Succeeded);
        assert_eq!(closed.stopped, Some(dawn() + chrono::TimeDelta::seconds(61)));
    }
    engine.shutdown().await;
}

#[tokio::test]
async fn a_callback_finds_its_execution_and_only_once() {
    let world = World::new(Script::new([("invoke.waitForTaskToken", vec![submitted(json!({}))])]));
    let engine = world.open().await;
    let definition = json!({ "StartAt": "Ask", "States": { "Ask": {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": { "FunctionName": "ask", "Payload": { "token.$": "$$.Task.Token" } },
        "HeartbeatSeconds": 60,
        "End": true,
    } } });
    let machine = create(&engine, &definition).await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    while world.tasks.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    let call = world.tasks.calls().remove(0);
    let token = call.schedule.token.clone().expect("a task token");
    assert_eq!(call.schedule.parameters.value()["Payload"]["token"], json!(*token));

    let unknown = engine.task_success("nobody's", json!(1).into()).await;
    assert!(matches!(unknown, Err(Error::InvalidToken)), "{unknown:?}");
    world.clock.jump_to(dawn() + chrono::TimeDelta::seconds(59));
    engine.task_heartbeat(&token).await.unwrap();
    engine.shutdown().await;

    // The token outlives the process, and the heartbeat counts.
    let engine = world.open().await;
    world.clock.jump_to(dawn() + chrono::TimeDelta::seconds(118));
    assert_eq!(engine.execution(&arn("one")).await.unwrap().status, Status::Running);
    engine
        .task_success(&token, json!({ "done": true }).into())
        .await
        .unwrap();
    let closed = engine.wait_closed(&arn("one")).await.unwrap();
    assert_eq!(closed.output, Some(json!({ "done": true }).into()));
    assert_eq!(world.tasks.calls().len(), 1);
    let late = engine.task_failure(&token, Failure::named("Late")).await;
    assert!(matches!(late, Err(Error::TaskTimedOut)), "{late:?}");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_job_is_awaited_where_it_was_submitted() {
    let resource = "startExecution.sync";
    let world = World::new(Script::new([(
        resource,
        vec![submitted(json!({ "job": 7 })), Answer::Never],
    )]));
    let engine = world.open().await;
    let definition = json!({ "StartAt": "Run", "States": { "Run": {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync",
        "Parameters": { "StateMachineArn": "child" },
        "End": true,
    } } });
    let machine = create(&engine, &definition).await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    while world.tasks.calls().len() < 2 {
        tokio::task::yield_now().await;
    }
    engine.shutdown().await;

    let tasks = Script::new([(resource, vec![succeeds(json!("over"))])]);
    let world = World {
        tasks: tasks.clone(),
        ..world
    };
    let engine = world.open().await;
    let closed = engine.wait_closed(&arn("one")).await.unwrap();
    assert_eq!(closed.output, Some(json!("over").into()));
    let awaited: Vec<Option<Json>> = tasks.calls().into_iter().map(|call| call.submitted).collect();
    assert_eq!(awaited, [Some(json!({ "job": 7 }).into())]);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_job_that_no_one_waits_for_is_abandoned() {
    let job = json!({"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "TimeoutSeconds": 9,
                     "End": true});
    let failing = json!({"StartAt": "Fail", "States": {
        "Fail": {"Type": "Wait", "Seconds": 5, "Next": "Out"}, "Out": {"Type": "Fail", "Error": "Own"}}});
    let both = json!({"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "Run", "States": {"Run": job}}, failing]}}});
    let alone = json!({"StartAt": "Run", "States": {"Run": job}});
    for (definition, seconds, status) in [
        (&both, 5, Status::Failed),
        (&alone, 9, Status::Failed),
        (&alone, 0, Status::Aborted),
    ] {
        let answers = vec![submitted(json!({ "job": 7 })), Answer::Never];
        let world = World::new(Script::new([("startExecution.sync:2", answers)]));
        let engine = world.open().await;
        let machine = create(&engine, definition).await;
        engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
        while world.tasks.calls().len() < 2 {
            tokio::task::yield_now().await;
        }
        let mut abandoned = world.tasks.abandoned.subscribe();
        match seconds {
            0 => drop(engine.stop_execution(&arn("one"), Failure::default()).await.unwrap()),
            seconds => world.clock.jump_to(dawn() + chrono::TimeDelta::seconds(seconds)),
        }
        assert_eq!(engine.wait_closed(&arn("one")).await.unwrap().status, status);
        let abandoned = abandoned.wait_for(|abandoned| !abandoned.is_empty()).await.unwrap();
        assert_eq!(*abandoned, [Some(json!({ "job": 7 }).into())]);
        drop(abandoned);
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn a_stopped_execution_drops_its_call() {
    let world = World::new(Script::new([(&function("first"), vec![Answer::Never])]));
    let engine = world.open().await;
    let machine = create(&engine, &two_steps()).await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    while world.tasks.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(engine.inner.calls.turns.available_permits(), MAX_CALLS - 1);

    let stopped = engine
        .stop_execution(&arn("one"), Failure::new("Enough", "of it"))
        .await
        .unwrap();
    let closed = engine.execution(&arn("one")).await.unwrap();
    assert_eq!(closed.status, Status::Aborted);
    assert_eq!(closed.stopped, Some(stopped));
    assert_eq!(closed.failure, Failure::new("Enough", "of it"));
    while engine.inner.calls.turns.available_permits() < MAX_CALLS {
        tokio::task::yield_now().await;
    }
    engine.shutdown().await;
}

#[tokio::test]
async fn a_redrive_goes_on_at_the_failed_step() {
    let second = function("second");
    let world = World::new(Script::new([(
        &second,
        vec![fails("Broken"), succeeds(json!("mended"))],
    )]));
    let engine = world.open().await;
    let machine = create(&engine, &two_steps()).await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    assert_eq!(engine.wait_closed(&arn("one")).await.unwrap().status, Status::Failed);

    let token: Option<Arc<str>> = Some("once".into());
    let redriven = engine.redrive_execution(&arn("one"), token.clone()).await.unwrap();
    assert_eq!(redriven.at, dawn());
    let closed = engine.wait_closed(&arn("one")).await.unwrap();
    assert_eq!(closed.status, Status::Succeeded);
    assert_eq!((closed.redrive_count, closed.redriven), (1, Some(dawn())));
    assert_eq!(engine.redrive_execution(&arn("one"), token).await.unwrap(), redriven);

    let again = engine.redrive_execution(&arn("one"), None).await.unwrap_err();
    let reason = NotRedrivable::Status(Status::Succeeded);
    assert_eq!(reason.to_string(), "Execution is SUCCEEDED and cannot be redriven");
    assert!(matches!(again, Error::ExecutionNotRedrivable { reason: found, .. } if found == reason));
    let called: Vec<String> = world
        .tasks
        .calls()
        .iter()
        .map(|call| call.schedule.resource.resource.to_string())
        .collect();
    assert_eq!(called, [function("first"), second.clone(), second]);
    assert_eq!(
        world.heard.until(4).await,
        ["RUNNING", "FAILED", "RUNNING", "SUCCEEDED"]
    );
    engine.shutdown().await;
}

#[tokio::test]
async fn an_execution_keeps_the_definition_it_started_with() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &waits(60)).await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    let update = StateMachineUpdate {
        definition: Some(two_steps().to_string().into()),
        ..StateMachineUpdate::default()
    };
    let updated = engine.update_state_machine(&machine, update).await.unwrap();
    engine.shutdown().await;

    let engine = world.open().await;
    assert_eq!(engine.state_machine(&machine).unwrap(), updated);
    let own = engine.state_machine_for_execution(&arn("one")).await.unwrap();
    assert_eq!(*own.definition, *waits(60).to_string());
    world.clock.jump_to(dawn() + chrono::TimeDelta::seconds(60));
    engine.wait_closed(&arn("one")).await.unwrap();
    assert!(world.tasks.calls().is_empty());
    engine.shutdown().await;
}

#[tokio::test]
async fn a_deleted_machine_takes_nothing_new_and_goes_with_its_last_execution() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &waits(60)).await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();

    engine.delete_state_machine(&machine).await.unwrap();
    let refused = engine.start_execution(start(&machine, "two", json!({}))).await;
    assert!(
        matches!(refused, Err(Error::StateMachineDeleting { .. })),
        "{refused:?}"
    );
    world.clock.jump_to(dawn() + chrono::TimeDelta::seconds(60));
    while engine.state_machine(&machine).is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(create(&engine, &waits(1)).await, machine);
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    engine.shutdown().await;
}

#[tokio::test]
async fn creating_a_machine_again_finds_it_unless_it_differs() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let first = engine.create_state_machine(machine("m", &waits(1))).await.unwrap();

    assert_eq!(
        engine.create_state_machine(machine("m", &waits(1))).await.unwrap(),
        first
    );
    let other = engine.create_state_machine(machine("m", &waits(2))).await;
    assert!(
        matches!(other, Err(Error::StateMachineAlreadyExists { .. })),
        "{other:?}"
    );
    let broken = engine
        .create_state_machine(machine("n", &json!({ "StartAt": "Nowhere", "States": {} })))
        .await;
    assert!(matches!(broken, Err(Error::InvalidDefinition { .. })), "{broken:?}");
    assert_eq!(engine.state_machines(), [first]);
    engine.shutdown().await;
}

#[tokio::test]
async fn lists_are_newest_first_and_paged() {
    let fail = json!({ "StartAt": "End", "States": { "End": { "Type": "Choice", "Choices": [
        { "Variable": "$.fail", "BooleanEquals": true, "Next": "Fail" } ], "Default": "Succeed" },
        "Fail": { "Type": "Fail" }, "Succeed": { "Type": "Succeed" } } });
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &fail).await;
    for number in 0..7 {
        let input = json!({ "fail": number % 2 == 0 });
        engine
            .start_execution(start(&machine, &number.to_string(), input))
            .await
            .unwrap();
    }
    let mut filter = ExecutionFilter {
        state_machine_arn: machine,
        status: None,
        redriven: None,
    };

    let mut names = Vec::new();
    let mut from = None;
    loop {
        let page = engine.executions(&filter, from, 3).await.unwrap();
        names.push(
            page.executions
                .iter()
                .map(|execution| execution.name.to_string())
                .collect::<Vec<_>>(),
        );
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(names, [vec!["6", "5", "4"], vec!["3", "2", "1"], vec!["0"]]);
    filter.status = Some(Status::Failed);
    let failed = engine.executions(&filter, None, 100).await.unwrap().executions;
    assert_eq!(
        failed.iter().map(|execution| &*execution.name).collect::<Vec<_>>(),
        ["6", "4", "2", "0"]
    );
    filter.redriven = Some(true);
    assert!(
        engine
            .executions(&filter, None, 100)
            .await
            .unwrap()
            .executions
            .is_empty()
    );
    engine.shutdown().await;
}

#[tokio::test]
async fn a_history_of_25_000_events_is_read_in_pages_both_ways() {
    let out = json!([{ "Variable": "$.out", "IsPresent": true, "Next": "Out" }]);
    let endless = json!({ "StartAt": "Again", "States": {
        "Again": { "Type": "Choice", "Choices": out, "Default": "Again" },
        "Out": { "Type": "Succeed" } } });
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &endless).await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    let closed = engine.wait_closed(&arn("one")).await.unwrap();
    assert_eq!((closed.status, closed.last_event), (Status::Failed, asl::MAX_EVENTS));

    for reverse in [false, true] {
        let mut ids = Vec::new();
        let mut from = None;
        loop {
            let page = engine
                .history(&arn("one"), HistoryRange { from, reverse }, 999)
                .await
                .unwrap();
            ids.extend(page.events.iter().map(|event| event.id));
            from = page.next;
            if from.is_none() {
                break;
            }
            assert_eq!(page.events.len(), 999);
        }
        if reverse {
            ids.reverse();
        }
        assert_eq!(ids, (1..=asl::MAX_EVENTS).collect::<Vec<_>>());
    }
    engine.shutdown().await;
}

#[tokio::test]
async fn an_express_execution_runs_in_memory() {
    let world = World::new(Script::new([(&function("second"), vec![fails("Broken")])]));
    let engine = world.open().await;
    let express = NewStateMachine {
        machine_type: MachineType::Express,
        ..machine("m", &two_steps())
    };
    let machine = engine.create_state_machine(express).await.unwrap().arn;

    let run = engine
        .run_express(start(&machine, "one", json!({ "a": 1 })))
        .await
        .unwrap();
    assert_eq!(run.status, Status::Failed);
    assert_eq!(run.failure, Failure::new("Broken", "scripted"));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_version_keeps_its_revision_and_its_number() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &waits(60)).await;
    let publish = |description: &str| Publish {
        description: Some(description.into()),
        revision_id: None,
    };
    let first = engine.publish_version(&machine, publish("first")).await.unwrap();
    assert_eq!(&*first.arn, format!("{machine}:1"));
    assert_eq!(engine.publish_version(&machine, publish("again")).await.unwrap(), first);
    let update = StateMachineUpdate {
        definition: Some(two_steps().to_string().into()),
        ..StateMachineUpdate::default()
    };
    engine.update_state_machine(&machine, update).await.unwrap();
    let of_another = Publish {
        description: None,
        revision_id: Some(INITIAL_REVISION.into()),
    };
    let refused = engine.publish_version(&machine, of_another).await;
    assert!(matches!(refused, Err(Error::OtherRevision { .. })), "{refused:?}");
    let second = engine.publish_version(&machine, publish("second")).await.unwrap();
    engine.delete_version(&second.arn).await.unwrap();
    engine.delete_version(&second.arn).await.unwrap();
    let third = engine.publish_version(&machine, publish("third")).await.unwrap();
    assert_eq!(&*third.arn, format!("{machine}:3"));
    engine.shutdown().await;

    let engine = world.open().await;
    assert_eq!(engine.versions(&machine).unwrap(), [third, first.clone()]);
    let gone = engine.start_execution(start(&second.arn, "none", json!({}))).await;
    assert!(matches!(gone, Err(Error::StateMachineDoesNotExist { .. })), "{gone:?}");
    engine
        .start_execution(start(&first.arn, "one", json!({})))
        .await
        .unwrap();
    engine.start_execution(start(&machine, "two", json!({}))).await.unwrap();
    let own = engine.state_machine_for_execution(&arn("one")).await.unwrap();
    assert_eq!(*own.definition, *waits(60).to_string());
    let listed = |arn: &Arc<str>| ExecutionFilter {
        state_machine_arn: arn.clone(),
        status: None,
        redriven: None,
    };
    let of_version = engine
        .executions(&listed(&first.arn), None, 10)
        .await
        .unwrap()
        .executions;
    let seen: Vec<_> = of_version
        .iter()
        .map(|execution| (&*execution.name, execution.version_arn.as_ref()))
        .collect();
    assert_eq!(seen, [("one", Some(&first.arn))]);
    assert_eq!(
        engine
            .executions(&listed(&machine), None, 10)
            .await
            .unwrap()
            .executions
            .len(),
        2
    );
    engine.shutdown().await;

    let engine = world.open().await;
    assert_eq!(
        engine.execution(&arn("one")).await.unwrap().version_arn,
        Some(first.arn)
    );
    assert_eq!(engine.execution(&arn("two")).await.unwrap().version_arn, None);
    engine.shutdown().await;
}

#[tokio::test]
async fn activities_are_kept() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let tags = std::collections::BTreeMap::from([("team".to_owned(), "orders".to_owned())]);
    let created = engine.create_activity("pack", tags).await.unwrap();
    assert_eq!(
        engine.create_activity("pack", Default::default()).await.unwrap(),
        created
    );
    engine.create_activity("ship", Default::default()).await.unwrap();
    engine.shutdown().await;

    let engine = world.open().await;
    let (first, more) = engine.activities(None, 1).await.unwrap();
    assert_eq!((first, more), (vec![created.clone()], true));
    let (second, more) = engine.activities(Some(created.arn.to_string()), 1).await.unwrap();
    assert_eq!((&*second[0].name, more), ("ship", false));
    assert!(engine.retag_activity(&created.arn, Default::default()).await.unwrap());
    engine.delete_activity(&created.arn).await.unwrap();
    engine.delete_activity(&created.arn).await.unwrap();
    assert_eq!(engine.activity(&created.arn).await.unwrap(), None);
    assert!(!engine.retag_activity(&created.arn, Default::default()).await.unwrap());
    engine.shutdown().await;
}

/// An expression that goes on until its time is over.
fn endless() -> Value {
    json!({ "QueryLanguage": "JSONata", "StartAt": "Compute", "States": {
        "Compute": { "Type": "Pass", "Output": "{% ($f := function($n) { $f($n + 1) }; $f(1)) %}", "End": true } } })
}

#[tokio::test]
async fn an_endless_expression_holds_up_no_other_execution() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let created = engine.create_state_machine(machine("slow", &endless())).await;
    let slow = created.expect("a valid definition").arn;
    let quick = create(
        &engine,
        &json!({ "QueryLanguage": "JSONata", "StartAt": "Compute", "States": {
            "Compute": { "Type": "Pass", "Output": "{% $states.input.n + 1 %}", "End": true } } }),
    )
    .await;
    let slow_engine = engine.clone();
    let endless = tokio::spawn(async move {
        let started = slow_engine.start_execution(start(&slow, "one", json!({}))).await;
        slow_engine.wait_closed(&started.expect("it starts").arn).await
    });
    // By what is done meanwhile, not by the clock: one is enough to show it, and there is time for many.
    let mut done = 0;
    while !endless.is_finished() {
        let name = format!("quick-{done}");
        let started = engine.start_execution(start(&quick, &name, json!({ "n": done }))).await;
        let closed = engine.wait_closed(&started.expect("it starts").arn).await.unwrap();
        assert_eq!(closed.output, Some(json!(done + 1).into()));
        done += 1;
    }
    assert!(done > 3, "{done} executions while one computed");
    let closed = endless.await.unwrap().unwrap();
    assert_eq!(closed.status, Status::Failed);
    assert_eq!(closed.failure.name(), "States.QueryEvaluationError");
    engine.shutdown().await;
}
