//! What is bounded: calls, executions, their events, and the harm that a defect of the interpreter can do.

use chrono::TimeDelta;

use super::*;
use crate::driver::{MAX_CALLS, MAX_OPEN};

/// More executions than there are turns for their calls.
const CROWD: usize = MAX_CALLS + 500;

#[tokio::test]
async fn calls_beyond_the_bound_wait_by_name_and_lose_nothing() {
    let world = World::new(Script::new([(&function("first"), vec![Answer::Never])]));
    let engine = world.open().await;
    let machine = create(&engine, &two_steps()).await;
    for number in 0..CROWD {
        let name = format!("e{number}");
        engine.start_execution(start(&machine, &name, json!({}))).await.unwrap();
    }
    while world.tasks.calls().len() < MAX_CALLS {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.tasks.calls().len(), MAX_CALLS);
    assert_eq!(engine.inner.calls.waiting(), CROWD - MAX_CALLS);

    // One that waits is stopped: its turn comes to nothing. One that is at work is stopped: its turn is the next's.
    let last = arn(&format!("e{}", CROWD - 1));
    for stopped in [last, arn("e0")] {
        engine.stop_execution(&stopped, Failure::default()).await.unwrap();
    }
    while world.tasks.calls().len() < MAX_CALLS + 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(engine.inner.calls.waiting(), CROWD - MAX_CALLS - 1);
    engine.shutdown().await;

    // After a restart everything that is still awaited is performed, and the one that was stopped is not.
    let tasks = Script::new([]);
    let world = World {
        tasks: tasks.clone(),
        ..world
    };
    let engine = world.open().await;
    for number in 1..CROWD - 1 {
        let closed = engine.wait_closed(&arn(&format!("e{number}"))).await.unwrap();
        assert_eq!(closed.status, Status::Succeeded);
    }
    assert_eq!(tasks.calls().len(), 2 * (CROWD - 2));
    engine.shutdown().await;
}

#[tokio::test]
async fn no_more_executions_are_open_than_may_be() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &waits(60)).await;
    for number in 0..MAX_OPEN {
        let name = format!("e{number}");
        engine.start_execution(start(&machine, &name, json!({}))).await.unwrap();
    }
    let refused = engine.start_execution(start(&machine, "one", json!({}))).await;
    assert!(matches!(refused, Err(Error::TooManyOpen)), "{refused:?}");
    engine.shutdown().await;

    // What is open is known anew after a restart, and one that ends makes room for one.
    let engine = world.open().await;
    let refused = engine.start_execution(start(&machine, "one", json!({}))).await;
    assert!(matches!(refused, Err(Error::TooManyOpen)), "{refused:?}");
    engine.stop_execution(&arn("e0"), Failure::default()).await.unwrap();
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    let refused = engine.redrive_execution(&arn("e0"), None).await;
    assert!(refused.is_ok(), "a redrive asks for no room, as on AWS: {refused:?}");
    engine.shutdown().await;
}

#[tokio::test]
async fn an_express_execution_has_no_quota_of_events() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let definition = json!({ "StartAt": "Begin", "States": {
        "Begin": { "Type": "Pass", "Result": 0, "ResultPath": "$.n", "Next": "Count" },
        "Count": { "Type": "Pass", "Parameters": { "n.$": "States.MathAdd($.n, 1)" }, "Next": "Enough?" },
        "Enough?": {
            "Type": "Choice",
            "Choices": [{ "Variable": "$.n", "NumericLessThan": 10_000, "Next": "Count" }],
            "Default": "Done",
        },
        "Done": { "Type": "Succeed" },
    } });
    let express = NewStateMachine {
        machine_type: MachineType::Express,
        ..machine("m", &definition)
    };
    let machine = engine.create_state_machine(express).await.unwrap().arn;
    let run = engine.run_express(start(&machine, "one", json!({}))).await.unwrap();
    assert_eq!(
        (run.status, run.output),
        (Status::Succeeded, Some(json!({ "n": 10_000 }).into()))
    );
    assert!(asl::MAX_EVENTS < run.last_event, "{}", run.last_event);
    engine.shutdown().await;
}

#[tokio::test]
async fn an_express_execution_ends_after_five_minutes() {
    for (own, ends_after) in [(None, 300), (Some(7), 7), (Some(4_000), 300)] {
        let world = World::new(Script::new([(&function("slow"), vec![Answer::Never])]));
        let engine = world.open().await;
        let mut definition = json!({ "StartAt": "Slow", "States": { "Slow": task("slow", json!({ "End": true })) } });
        if let Some(seconds) = own {
            definition["TimeoutSeconds"] = json!(seconds);
        }
        let express = NewStateMachine {
            machine_type: MachineType::Express,
            ..machine("m", &definition)
        };
        let machine = engine.create_state_machine(express).await.unwrap().arn;
        let run = tokio::spawn({
            let engine = engine.clone();
            async move { engine.run_express(start(&machine, "one", json!({}))).await }
        });
        while world.tasks.calls().is_empty() {
            tokio::task::yield_now().await;
        }
        world.clock.jump_to(dawn() + TimeDelta::seconds(ends_after - 1));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!run.is_finished(), "it has a second left");
        world.clock.jump_to(dawn() + TimeDelta::seconds(ends_after));
        let record = run.await.unwrap().unwrap();
        assert_eq!(record.status, Status::TimedOut);
        assert_eq!(record.stopped, Some(dawn() + TimeDelta::seconds(ends_after)));
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn a_panic_of_the_interpreter_fails_its_execution_and_no_other() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let bad = json!({ "StartAt": PANICS, "States": { PANICS: task("first", json!({ "End": true })) } });
    let bad = engine.create_state_machine(machine("bad", &bad)).await.unwrap().arn;
    let good = create(&engine, &two_steps()).await;
    let bad_execution = engine.start_execution(start(&bad, "one", json!({}))).await.unwrap().arn;
    engine.start_execution(start(&good, "two", json!({}))).await.unwrap();

    let closed = engine.wait_closed(&bad_execution).await.unwrap();
    assert_eq!(closed.status, Status::Failed);
    assert_eq!(closed.failure.error.as_deref(), Some("States.Runtime"));
    assert_eq!(engine.wait_closed(&arn("two")).await.unwrap().status, Status::Succeeded);
    let page = engine
        .history(&bad_execution, HistoryRange::default(), 100)
        .await
        .unwrap();
    let last = page.events.last().map(|event| event.kind.type_name().to_string());
    assert_eq!(last.as_deref(), Some("ExecutionFailed"));

    // It can be redriven: the call is made again.
    let calls = world.tasks.calls().len();
    engine.redrive_execution(&bad_execution, None).await.unwrap();
    engine.wait_closed(&bad_execution).await.unwrap();
    assert_eq!(world.tasks.calls().len(), calls + 1);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_panic_of_the_interpreter_is_an_error_of_an_express_start() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let express = NewStateMachine {
        machine_type: MachineType::Express,
        ..machine(
            "m",
            &json!({ "StartAt": PANICS, "States": { PANICS: task("first", json!({ "End": true })) } }),
        )
    };
    let machine = engine.create_state_machine(express).await.unwrap().arn;
    let run = engine.run_express(start(&machine, "one", json!({}))).await;
    assert!(matches!(run, Err(Error::BrokenOff { .. })), "{run:?}");
    engine.shutdown().await;
}
