//! Time that is skipped: workflows of days end at once, and nothing is overtaken.

use chrono::TimeDelta;

use super::*;
use crate::clock::Clock;

/// A world whose clock stands still but for its jumps, so that every moment in a history is exact.
fn skipping(tasks: Arc<Script>) -> World {
    World {
        clock: Clock::still(dawn()).skipping(),
        ..World::new(tasks)
    }
}

/// Waits for an execution's end, as a request that does not keep the clock from jumping.
async fn closed(world: &World, engine: &Engine, name: &str) -> ExecutionRecord {
    let _busy = world.clock.busy();
    engine.wait_closed(&arn(name)).await.expect("it closes")
}

/// Enough of the engine's own work for a jump that is possible to have happened.
async fn settle(engine: &Engine, name: &str) {
    for _ in 0..200 {
        engine
            .history(&arn(name), HistoryRange::default(), 1)
            .await
            .expect("a history");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_of_days_ends_at_once_and_its_history_shows_the_days() {
    let tasks = Script::new([(
        &*function("work"),
        vec![fails("Throttled"), fails("Throttled"), succeeds(json!("done"))],
    )]);
    let world = skipping(tasks);
    let engine = world.open().await;
    let retry =
        json!({"Retry": [{"ErrorEquals": ["Throttled"], "IntervalSeconds": 3_600}], "TimeoutSeconds": 60, "End": true});
    let machine = create(
        &engine,
        &json!({"StartAt": "Sleep", "States": {
            "Sleep": {"Type": "Wait", "Seconds": 3 * 86_400, "Next": "Work"},
            "Work": task("work", retry)}}),
    )
    .await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    let record = closed(&world, &engine, "one").await;
    assert_eq!(record.status, Status::Succeeded);
    let took = TimeDelta::days(3) + TimeDelta::hours(1) + TimeDelta::hours(2);
    assert_eq!(record.stopped, Some(dawn() + took));
    let tries = events(&engine, "one").await;
    let tries = tries
        .iter()
        .filter(|event| matches!(event.kind, EventKind::TaskScheduled(_)));
    let after: Vec<i64> = tries.map(|event| (event.time - dawn()).num_hours()).collect();
    assert_eq!(after, [72, 73, 75]);

    settle(&engine, "one").await;
    assert_eq!(world.clock.now(), dawn() + took, "the last try's time-out went with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_in_progress_is_not_timed_out_by_a_jump() {
    let gate = Arc::new(Semaphore::new(0));
    struct Gated(Arc<Semaphore>);
    impl Tasks for Gated {
        fn perform(&self, _call: TaskCall) -> TaskFuture<'_> {
            Box::pin(async {
                let _open = self.0.acquire().await;
                TaskOutcome::Succeeded(json!("done").into())
            })
        }
    }
    let world = skipping(Script::new([]));
    let config = Config {
        tasks: Arc::new(Gated(gate.clone())),
        ..world.config()
    };
    let engine = Engine::open(config).await.unwrap();
    let limits = json!({"TimeoutSeconds": 60, "HeartbeatSeconds": 10, "End": true});
    let definition = json!({"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "Work", "States": {"Work": task("work", limits)}},
        {"StartAt": "Sleep", "States": {"Sleep": {"Type": "Wait", "Seconds": 5, "End": true}}}]}}});
    let machine = create(&engine, &definition).await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    settle(&engine, "one").await;
    assert_eq!(world.clock.now(), dawn(), "a call is in progress");
    gate.add_permits(1);
    let record = closed(&world, &engine, "one").await;
    assert_eq!(record.status, Status::Succeeded, "{:?}", record.failure);
    assert_eq!(record.stopped, Some(dawn() + TimeDelta::seconds(5)));
}

fn callback() -> Value {
    json!({"StartAt": "Ask", "States": {"Ask": {
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "TimeoutSeconds": 86_400,
        "Parameters": {"FunctionName": "ask", "Payload": {"token.$": "$$.Task.Token"}}, "End": true}}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_a_task_token_has_time_to_answer() {
    let world = skipping(Script::new([("invoke.waitForTaskToken", vec![submitted(json!({}))])]));
    let engine = world.open().await;
    let machine = create(&engine, &callback()).await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    settle(&engine, "one").await;
    assert_eq!(world.clock.now(), dawn());
    let token = world.tasks.calls()[0].schedule.token.clone().expect("a token");
    engine.task_success(&token, json!("answered").into()).await.unwrap();
    assert_eq!(
        closed(&world, &engine, "one").await.output,
        Some(json!("answered").into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_does_not_come_times_out_after_a_little_patience() {
    let world = skipping(Script::new([("invoke.waitForTaskToken", vec![submitted(json!({}))])]));
    let engine = world.open().await;
    let machine = create(&engine, &callback()).await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    let record = closed(&world, &engine, "one").await;
    assert_eq!(record.failure, Failure::named("States.Timeout"));
    assert_eq!(record.stopped, Some(dawn() + TimeDelta::days(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn express_executions_skip_their_waits_too() {
    let world = skipping(Script::new([]));
    let engine = world.open().await;
    let definition = json!({"StartAt": "Sleep", "States": {
        "Sleep": {"Type": "Wait", "Seconds": 200, "Next": "Work"}, "Work": task("work", json!({"End": true}))}});
    let new = NewStateMachine {
        machine_type: MachineType::Express,
        ..machine("m", &definition)
    };
    let machine = engine.create_state_machine(new).await.unwrap().arn;
    let _busy = world.clock.busy();
    let run = engine.run_express(start(&machine, "one", json!({}))).await.unwrap();
    assert_eq!(run.status, Status::Succeeded);
    assert_eq!(run.stopped, Some(dawn() + TimeDelta::seconds(200)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_event_that_is_owed_is_delivered_before_the_next_jump() {
    let world = skipping(Script::new([]));
    *world.heard.refusals.lock().unwrap() = 20;
    let engine = world.open().await;
    let machine = create(
        &engine,
        &json!({"StartAt": "Sleep", "States": {"Sleep": {"Type": "Wait", "Seconds": 60, "End": true}}}),
    )
    .await;
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    closed(&world, &engine, "one").await;
    world.heard.until(2).await;
    let events = world.heard.events.lock().unwrap().clone();
    assert_eq!(events[0].started, dawn());
    assert_eq!(events[0].stopped, None);
    assert_eq!(events[1].stopped, Some(dawn() + TimeDelta::seconds(60)));
    assert_eq!(*world.heard.refusals.lock().unwrap(), 0);
}
