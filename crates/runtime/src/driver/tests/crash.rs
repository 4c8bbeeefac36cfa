//! Writes that fail and processes that die: whatever the moment, the outcome is that of an undisturbed run.

use asl::Execution;

use super::*;
use crate::history::{self, Error as HistoryError, Head};

/// An execution that takes longer than this to end is stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Tasks, a retry, a wait, branches: commits of every kind.
fn journey() -> Value {
    json!({ "StartAt": "First", "States": {
        "First": task("first", json!({ "Next": "Wait" })),
        "Wait": { "Type": "Wait", "Seconds": 10, "Next": "Second" },
        "Second": task("second", json!({ "Next": "Both",
            "Parameters": { "attempt.$": "$$.State.RetryCount" },
            "Retry": [{ "ErrorEquals": ["Throttled"], "IntervalSeconds": 5, "MaxAttempts": 2 }] })),
        "Both": { "Type": "Parallel", "End": true, "Branches": [
            { "StartAt": "Left", "States": { "Left": task("left", json!({ "End": true })) } },
            { "StartAt": "Right", "States": { "Right": task("right", json!({ "End": true })) } } ] },
    }})
}

/// The second step fails at its first attempt, however often that one is repeated.
fn tasks() -> Arc<Script> {
    Script::new([(&function("second"), vec![Answer::FailsAtFirst])])
}

/// Creates and starts if that has not been done, and moves the clock until the execution is closed; nothing if the
/// store is gone before.
async fn live(world: &World, engine: &Engine) -> Option<ExecutionRecord> {
    let machine = loop {
        match engine.create_state_machine(machine("m", &journey())).await {
            Ok(created) => break created.arn,
            Err(_) if world.faults.has_crashed() => return None,
            Err(error) => assert!(is_full(&error), "{error:?}"),
        }
    };
    loop {
        match engine.start_execution(start(&machine, "one", json!({ "a": 1 }))).await {
            Ok(_) | Err(Error::ExecutionAlreadyExists { .. }) => break,
            Err(_) if world.faults.has_crashed() => return None,
            Err(error) => assert!(is_full(&error), "{error:?}"),
        }
    }
    let arn = arn("one");
    let mut closed = std::pin::pin!(engine.wait_closed(&arn));
    let begun = std::time::Instant::now();
    loop {
        assert!(
            begun.elapsed() < PATIENCE,
            "it is stuck: {:?}",
            sorted_types(engine).await
        );
        tokio::select! {
            biased;
            closed = &mut closed => return closed.ok(),
            () = tokio::task::yield_now() => {}
        }
        if world.faults.has_crashed() {
            return None;
        }
        world
            .clock
            .jump_to(world.clock.now() + chrono::TimeDelta::milliseconds(100));
    }
}

pub(super) fn is_full(error: &Error) -> bool {
    matches!(error, Error::History(HistoryError::Sqlite(source))
        if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
}

/// The types of its events. Which branch is quicker is not the engine's to say.
async fn sorted_types(engine: &Engine) -> Vec<String> {
    let mut types = types(engine, "one").await;
    types.sort();
    types
}

/// The row says what the log says.
pub(super) async fn assert_row_is_the_logs(engine: &Engine) {
    let rows_and_logs = engine.inner.history.read(|connection| {
        let mut found = Vec::new();
        for id in 1..history::executions::next_id(connection)? {
            let id = history::ExecutionId(id);
            if let Some(row) = history::executions::get(connection, id)? {
                found.push((row, history::log::all(connection, id)?.0));
            }
        }
        Ok(found)
    });
    for (row, log) in rows_and_logs.await.unwrap() {
        let replayed = Head::of(&Execution::replay(&log), row.redriven, row.redrive_token.clone());
        assert_eq!(Head::from(row), replayed);
    }
}

#[tokio::test]
async fn whatever_commit_it_dies_after_it_ends_as_if_it_had_not() {
    let undisturbed = World::new(tasks());
    let engine = undisturbed.open().await;
    let expected = live(&undisturbed, &engine).await.expect("nothing disturbs it");
    let expected_types = sorted_types(&engine).await;
    engine.shutdown().await;
    let commits = undisturbed.faults.plan().commits;
    assert!(commits > 8, "{commits} commits");

    for commit in 1..=commits {
        let world = World {
            faults: Faults::crash_after(commit),
            ..World::new(tasks())
        };
        let engine = world.open().await;
        let first_life = live(&world, &engine).await;
        engine.shutdown().await;

        let world = World {
            faults: Faults::default(),
            ..world
        };
        let engine = world.open().await;
        let closed = live(&world, &engine).await.expect("the second life is undisturbed");
        assert_eq!(
            (closed.status, &closed.output),
            (expected.status, &expected.output),
            "died after {commit}"
        );
        assert_eq!(
            sorted_types(&engine).await,
            expected_types,
            "died after {commit}, {first_life:?}"
        );
        assert_row_is_the_logs(&engine).await;
        world.heard.until_told("SUCCEEDED").await;
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn a_write_that_fails_is_as_if_nothing_had_been_asked() {
    let undisturbed = World::new(tasks());
    let engine = undisturbed.open().await;
    let expected = live(&undisturbed, &engine).await.expect("nothing disturbs it");
    let expected_types = sorted_types(&engine).await;
    engine.shutdown().await;
    let commits = undisturbed.faults.plan().commits;

    for commit in 1..=commits {
        let world = World::new(tasks());
        world.faults.plan().fail.insert(commit);
        let engine = world.open().await;
        let closed = live(&world, &engine).await.expect("it goes on");
        assert_eq!(
            (closed.status, &closed.output),
            (expected.status, &expected.output),
            "commit {commit}"
        );
        assert_eq!(sorted_types(&engine).await, expected_types, "commit {commit}");
        assert_row_is_the_logs(&engine).await;
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn nothing_is_performed_that_could_not_be_written() {
    let world = World::new(tasks());
    let engine = world.open().await;
    let machine = create(&engine, &journey()).await;
    // All that follow fail, whoever asks.
    world.faults.plan().fail.extend(1..1_000);

    let refused = engine
        .start_execution(start(&machine, "one", json!({})))
        .await
        .unwrap_err();
    assert!(is_full(&refused), "{refused:?}");
    assert!(world.tasks.calls().is_empty());
    assert!(world.heard.statuses().is_empty());
    world.faults.plan().fail.clear();
    let unknown = engine.execution(&arn("one")).await;
    assert!(
        matches!(unknown, Err(Error::ExecutionDoesNotExist { .. })),
        "{unknown:?}"
    );
    engine.start_execution(start(&machine, "one", json!({}))).await.unwrap();
    engine.shutdown().await;
}

#[tokio::test]
async fn a_store_that_took_nothing_last_says_so_until_it_takes_something_again() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &journey()).await;
    engine.is_writable().await.unwrap();
    world.faults.plan().fail = (0..1_000).collect();
    engine
        .start_execution(start(&machine, "one", json!({})))
        .await
        .unwrap_err();
    let refused = engine.is_writable().await.unwrap_err();
    assert!(is_full(&refused), "{refused:?}");
    world.faults.plan().fail.clear();
    engine.is_writable().await.unwrap();
    engine.shutdown().await;
    engine.is_writable().await.unwrap_err();
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_nothing_half_done() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let machine = create(&engine, &journey()).await;
    {
        let mut started = std::pin::pin!(engine.start_execution(start(&machine, "one", json!({}))));
        // Polled once, then dropped: the append is on its way at most.
        std::future::poll_fn(|context| {
            let _ = started.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
    }
    let closed = live(&world, &engine).await.expect("nothing disturbs it");
    assert_eq!(closed.status, Status::Succeeded);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_status_event_is_delivered_until_it_is_taken() {
    let world = World::new(Script::new([]));
    *world.heard.refusals.lock().unwrap() = u32::MAX;
    let engine = world.open().await;
    let machine = create(
        &engine,
        &json!({ "StartAt": "P", "States": { "P": { "Type": "Pass", "End": true } } }),
    )
    .await;
    engine
        .start_execution(start(&machine, "one", json!({ "a": 1 })))
        .await
        .unwrap();
    engine.shutdown().await;
    assert!(world.heard.statuses().is_empty());

    *world.heard.refusals.lock().unwrap() = 3;
    let engine = world.open().await;
    let mut told = world.heard.until(2).await;
    told.sort();
    assert_eq!(told, ["RUNNING", "SUCCEEDED"]);
    let events = world.heard.events.lock().unwrap().clone();
    assert!(
        events
            .iter()
            .all(|event| *event.execution_arn == *arn("one") && event.input == json!({ "a": 1 }).into())
    );
    let output = |status: &str| {
        events
            .iter()
            .find(|event| &*event.status == status)
            .unwrap()
            .output
            .clone()
    };
    assert_eq!(output("RUNNING"), None);
    assert_eq!(output("SUCCEEDED"), Some(json!({ "a": 1 }).into()));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_directory_has_one_engine() {
    let world = World::new(Script::new([]));
    let engine = world.open().await;
    let second = DataDir::take(world.path()).err();
    assert!(matches!(second, Some(HistoryError::InUse { .. })), "{second:?}");
    engine.shutdown().await;
    world.open().await.shutdown().await;
}

#[tokio::test]
async fn closed_executions_are_forgotten_after_their_retention_and_open_ones_are_not() {
    let world = World::new(Script::new([(&function("first"), vec![Answer::Never])]));
    let engine = world.open().await;
    let waiting = json!({ "StartAt": "First", "States": { "First": task("first", json!({ "End": true })) } });
    let machine = create(&engine, &waiting).await;
    for name in ["open", "closed"] {
        engine.start_execution(start(&machine, name, json!({}))).await.unwrap();
    }
    engine.stop_execution(&arn("closed"), Failure::default()).await.unwrap();
    engine.shutdown().await;

    world.clock.jump_to(dawn() + chrono::TimeDelta::days(91));
    let engine = world.open().await;
    let filter = ExecutionFilter {
        state_machine_arn: machine,
        status: None,
        redriven: None,
    };
    let names = loop {
        let listed = engine.executions(&filter, None, 10).await.unwrap().executions;
        if listed.len() < 2 {
            break listed
                .iter()
                .map(|execution| execution.name.to_string())
                .collect::<Vec<_>>();
        }
    };
    assert_eq!(names, ["open"]);
    let forgotten = engine.history(&arn("closed"), HistoryRange::default(), 10).await;
    assert!(
        matches!(forgotten, Err(Error::ExecutionDoesNotExist { .. })),
        "{forgotten:?}"
    );
    assert!(!events(&engine, "open").await.is_empty());
    engine.shutdown().await;
}
