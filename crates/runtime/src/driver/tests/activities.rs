//! Tasks of activities: queued in order, handed out once, and still where they were after a restart.

use super::*;
use crate::history::activities::queue;

fn press() -> String {
    "arn:aws:states:us-west-2:000000000000:activity:press".to_owned()
}

fn pressing() -> Value {
    json!({"StartAt": "Press", "States": {"Press": {
        "Type": "Task", "Resource": press(), "TimeoutSeconds": 60, "End": true}}})
}

/// An engine with the activity, and executions that wait at it.
async fn waiting(world: &World, names: &[&str]) -> Engine {
    let engine = world.open().await;
    engine
        .create_activity("press", BTreeMap::new())
        .await
        .expect("an activity");
    let machine = create(&engine, &pressing()).await;
    for name in names {
        let started = engine.start_execution(start(&machine, name, json!(name))).await;
        started.expect("it starts");
    }
    engine
}

async fn take(engine: &Engine) -> Option<ActivityTask> {
    engine
        .inner
        .hand_out_now(&press())
        .await
        .expect("the store can be read")
}

async fn queued(engine: &Engine) -> usize {
    let queued = engine.inner.history.read(|connection| queue(connection, &press(), 100));
    queued.await.expect("the store can be read").len()
}

async fn reopened(world: &World, engine: Engine) -> Engine {
    engine.shutdown().await;
    world.open().await
}

async fn status(engine: &Engine, name: &str) -> Status {
    engine.execution(&arn(name)).await.expect("it is there").status
}

#[tokio::test]
async fn what_is_queued_and_what_is_handed_out_outlives_the_engine() {
    let world = World::new(Script::new([]));
    let engine = waiting(&world, &["one", "two", "three"]).await;
    let first = take(&engine).await.expect("a task");
    assert_eq!(first.input, json!("one").into());
    let engine = reopened(&world, engine).await;
    let second = take(&engine).await.expect("a task");
    assert_eq!(second.input, json!("two").into(), "the first is not given out again");
    let engine = reopened(&world, engine).await;
    for task in [&second, &first] {
        engine.task_heartbeat(&task.token).await.expect("the task is awaited");
        engine
            .task_success(&task.token, json!("pressed").into())
            .await
            .expect("the task is awaited");
    }
    assert_eq!(status(&engine, "one").await, Status::Succeeded);
    assert_eq!(status(&engine, "two").await, Status::Succeeded);
    assert_eq!(take(&engine).await.expect("a task").input, json!("three").into());
    assert_eq!(take(&engine).await, None);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_worker_waits_for_the_next_task() {
    let world = World::new(Script::new([]));
    let engine = waiting(&world, &[]).await;
    let (left, right) = (engine.clone(), engine.clone());
    let press = press();
    let asks = async {
        tokio::join!(
            left.activity_task(&press, None),
            right.activity_task(&press, Some("right".into()))
        )
    };
    let machine = press_machine(&engine);
    let starts = async {
        for name in ["one", "two"] {
            engine
                .start_execution(start(&machine, name, json!(name)))
                .await
                .expect("it starts");
        }
    };
    let ((left, right), ()) = tokio::join!(asks, starts);
    let mut inputs: Vec<_> = [left, right]
        .into_iter()
        .map(|task| task.expect("an activity").expect("a task").input.text().to_owned())
        .collect();
    inputs.sort();
    assert_eq!(inputs, [r#""one""#, r#""two""#]);

    let asks = engine.activity_task(&press, None);
    let passes = async { world.clock.jump_to(dawn() + chrono::TimeDelta::seconds(61)) };
    let (none, ()) = tokio::join!(asks, passes);
    assert_eq!(none.expect("an activity"), None);
    engine.shutdown().await;
}

fn press_machine(engine: &Engine) -> Arc<str> {
    engine.state_machines()[0].arn.clone()
}

#[tokio::test]
async fn nothing_waits_in_a_queue_that_no_execution_waits_for() {
    let world = World::new(Script::new([]));
    let engine = waiting(&world, &["stopped", "late"]).await;
    engine
        .stop_execution(&arn("stopped"), Failure::default())
        .await
        .expect("it stops");
    assert_eq!(queued(&engine).await, 1);
    world.clock.jump_to(dawn() + chrono::TimeDelta::seconds(60));
    let closed = engine.wait_closed(&arn("late")).await.expect("it is there");
    assert_eq!(closed.status, Status::Failed);
    assert_eq!(closed.failure.name(), "States.Timeout");
    assert_eq!(queued(&engine).await, 0);
    engine.redrive_execution(&arn("late"), None).await.expect("it failed");
    assert_eq!(queued(&engine).await, 1, "a redrive schedules it anew");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_task_fails_whose_activity_is_not_there() {
    let world = World::new(Script::new([]));
    let engine = waiting(&world, &["before"]).await;
    engine.delete_activity(&press()).await.expect("it is deleted");
    let machine = press_machine(&engine);
    engine
        .start_execution(start(&machine, "after", json!({})))
        .await
        .expect("it starts");
    for name in ["before", "after"] {
        let closed = engine.wait_closed(&arn(name)).await.expect("it is there");
        assert_eq!(closed.status, Status::Failed);
        let types = types(&engine, name).await;
        assert_eq!(types[2..4], ["ActivityScheduled", "ActivityScheduleFailed"], "{name}");
    }
    let asked = engine.activity_task(&press(), None).await;
    assert!(matches!(asked, Err(Error::ActivityDoesNotExist { .. })), "{asked:?}");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_task_that_was_stranded_by_a_death_fails_after_the_restart() {
    let world = World::new(Script::new([]));
    let engine = waiting(&world, &["one"]).await;
    let gone = engine
        .inner
        .history
        .write(|connection| crate::history::activities::delete(connection, &press()));
    gone.await.expect("it is deleted");
    let engine = reopened(&world, engine).await;
    let closed = engine.wait_closed(&arn("one")).await.expect("it is there");
    assert_eq!(closed.status, Status::Failed);
    engine.shutdown().await;
}

#[tokio::test]
async fn what_is_known_of_an_activity_is_what_is_stored() {
    let world = World::new(Script::new([]));
    let (engine, press) = (world.open().await, press());
    for _ in 0..20 {
        let (created, deleted, _) = tokio::join!(
            engine.create_activity("press", BTreeMap::new()),
            engine.delete_activity(&press),
            engine.create_activity("press", BTreeMap::new()),
        );
        created.expect("it is created");
        deleted.expect("it is deleted");
        let stored = engine.activity(&press).await.expect("the store can be read");
        let known = engine.inner.activities.is_known(&press);
        assert_eq!(stored.is_some(), known);
    }
    engine.shutdown().await;
}
