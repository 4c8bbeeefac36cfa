//! Map Runs, as a history tells of them.

use super::*;
use crate::{MapRunRecord, MapRunStatus, MapRunUpdate, map_runs};

fn run(player: &Player) -> MapRunRecord {
    let mut runs = map_runs(&player.events);
    assert_eq!(runs.len(), 1);
    let run = runs.remove(0);
    let parts = run.pending + run.running + run.succeeded + run.failed + run.aborted;
    assert_eq!(parts, run.total, "every item is counted once: {run:?}");
    run
}

fn counts(player: &Player) -> [usize; 5] {
    let run = run(player);
    [run.pending, run.running, run.succeeded, run.failed, run.aborted]
}

#[test]
fn a_run_is_counted_as_it_goes_redrives_included() {
    let definition = distributed(json!({"MaxConcurrency": 2, "ToleratedFailureCount": 1}));
    let mut player = Player::start(&definition, &json!(["a", "b", "c", "d"]));
    assert_eq!(counts(&player), [2, 2, 0, 0, 0]);
    player.succeed(player.tasks()[0], json!(1));
    player.fail(player.tasks()[0], "Broken");
    assert_eq!(counts(&player), [0, 2, 1, 1, 0]);
    assert_eq!(run(&player).status, MapRunStatus::Running);
    player.fail(player.tasks()[0], "Broken");
    assert_eq!(run(&player).status, MapRunStatus::Failed);
    assert_eq!(counts(&player), [0, 0, 1, 2, 1]);
    player.take(Trigger::Redrive);
    assert_eq!(
        (run(&player).redrive_count, run(&player).status),
        (1, MapRunStatus::Running)
    );
    assert_eq!(counts(&player), [1, 2, 1, 0, 0], "no more than the Map may run at once");
    while let Some(scheduled) = player.tasks().first() {
        player.succeed(*scheduled, json!(2));
        assert!(run(&player).running <= 2);
    }
    assert_eq!(counts(&player), [0, 0, 4, 0, 0]);
    assert_eq!(run(&player).status, MapRunStatus::Succeeded);
    assert_eq!(run(&player).stopped, Some(player.now));
}

#[test]
fn redriven_items_wait_for_their_turn_which_an_update_may_bring() {
    let definition = distributed(json!({"MaxConcurrency": 1, "ToleratedFailureCount": 4}));
    let mut player = Player::start(&definition, &json!([0, 1, 2, 3, 4, 5, 6]));
    for _ in 0..5 {
        player.fail(player.tasks()[0], "Broken");
    }
    assert_eq!(counts(&player), [2, 0, 0, 5, 0]);
    player.take(Trigger::Redrive);
    assert_eq!(counts(&player), [6, 1, 0, 0, 0]);
    player.fail(player.tasks()[0], "Broken");
    assert_eq!(counts(&player), [5, 1, 0, 1, 0]);
    player.take(Trigger::Stop(Failure::default()));
    assert_eq!(counts(&player), [5, 0, 0, 1, 1]);
    player.take(Trigger::Redrive);
    assert_eq!(counts(&player), [6, 1, 0, 0, 0]);
    let max_concurrency = Some(3);
    let update = MapRunUpdate {
        max_concurrency,
        ..MapRunUpdate::default()
    };
    let arn = run(&player).arn;
    player.take(Trigger::UpdateMapRun { run: arn, update });
    assert_eq!(counts(&player), [4, 3, 0, 0, 0]);
    while let Some(scheduled) = player.tasks().first() {
        player.succeed(*scheduled, json!(2));
    }
    assert_eq!(run(&player).status, MapRunStatus::Succeeded);
    assert_eq!(counts(&player), [0, 0, 7, 0, 0]);
}

#[test]
fn what_is_stopped_aborts_its_runs() {
    let mut player = Player::start(&distributed(json!({"MaxConcurrency": 1})), &json!([1, 2]));
    player.take(Trigger::Stop(Failure::default()));
    assert_eq!(run(&player).status, MapRunStatus::Aborted);
    assert_eq!(counts(&player), [1, 0, 0, 0, 1]);
}

#[test]
fn an_update_changes_a_run_in_progress() {
    let mut player = Player::start(&distributed(json!({"MaxConcurrency": 1})), &json!([1, 2, 3, 4]));
    let arn = run(&player).arn;
    let update = |update| Trigger::UpdateMapRun {
        run: arn.clone(),
        update,
    };
    player.take(update(MapRunUpdate {
        max_concurrency: Some(3),
        tolerated_percentage: Some(25.0),
        ..MapRunUpdate::default()
    }));
    assert_eq!(counts(&player), [1, 3, 0, 0, 0]);
    player.fail(player.tasks()[0], "Broken");
    assert_eq!(run(&player).status, MapRunStatus::Running);
    player.take(update(MapRunUpdate {
        tolerated_count: Some(0),
        ..MapRunUpdate::default()
    }));
    assert_eq!(
        run(&player).status,
        MapRunStatus::Failed,
        "what has failed is too much now"
    );
    assert_eq!(player.take(update(MapRunUpdate::default())), 0);
    let shown = player.events.iter().filter(|event| event.wire(true).is_some()).count();
    assert_eq!(player.types().len(), shown, "an update is not in the history");
}
