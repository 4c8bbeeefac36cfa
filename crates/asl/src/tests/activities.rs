//! Tasks of activities: queued until a worker takes them, with times that begin anew when one does.

use super::*;

const ACTIVITY: &str = "arn:aws:states:us-west-2:000000000000:activity:press";

fn pressing() -> Player {
    let definition = json!({"StartAt": "Press", "States": {"Press": {
        "Type": "Task", "Resource": ACTIVITY, "TimeoutSeconds": 60, "HeartbeatSeconds": 10, "End": true,
        "Retry": [{"ErrorEquals": ["Jammed"], "IntervalSeconds": 1, "MaxAttempts": 1}]}}});
    Player::start(&definition, &json!({"sheet": 1}))
}

fn started(player: &mut Player) -> usize {
    let scheduled = player.task();
    let worker = Some("left".into());
    player.take(Trigger::ActivityStarted { scheduled, worker })
}

fn seconds(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds)
}

fn wire(player: &Player) -> Vec<Value> {
    player.events.iter().filter_map(|event| event.wire(true)).collect()
}

#[test]
fn a_worker_takes_the_task_once_and_answers_for_it() {
    let mut player = pressing();
    assert_eq!(
        player.execution.due(),
        Some(player.now + seconds(60)),
        "no heart beats yet"
    );
    player.now += seconds(50);
    assert_eq!(started(&mut player), 1);
    assert_eq!(started(&mut player), 0, "it is taken");
    assert_eq!(player.execution.due(), Some(player.now + seconds(10)));
    player.now += seconds(9);
    let scheduled = player.task();
    player.take(Trigger::TaskHeartbeat { scheduled });
    assert_eq!(player.execution.due(), Some(player.now + seconds(10)));
    player.succeed(scheduled, json!("pressed"));
    assert_eq!(player.output(), json!("pressed"));
    let wire = wire(&player);
    let types: Vec<_> = wire.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types[2..5],
        ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]
    );
    let details = &wire[2]["activityScheduledEventDetails"];
    assert_eq!(details["resource"], ACTIVITY);
    assert_eq!(details["timeoutInSeconds"], 60);
    assert_eq!(details["heartbeatInSeconds"], 10);
    assert_eq!(wire[3]["activityStartedEventDetails"], json!({"workerName": "left"}));
}

#[test]
fn a_task_that_nobody_takes_and_one_that_falls_silent_time_out() {
    let mut waiting = pressing();
    assert_eq!(waiting.wait(), seconds(60));
    assert_eq!(waiting.execution.failure().name(), "States.Timeout");

    let mut silent = pressing();
    started(&mut silent);
    assert_eq!(silent.wait(), seconds(10));
    assert_eq!(silent.execution.failure().name(), "States.HeartbeatTimeout");
    assert!(wire(&silent).iter().any(|event| event["type"] == "ActivityTimedOut"));
}

#[test]
fn a_retry_and_a_redrive_queue_a_task_of_their_own() {
    let token = |player: &Player| player.execution.task(player.task()).unwrap().schedule.token.clone();
    let mut player = pressing();
    let first = token(&player);
    started(&mut player);
    player.fail(player.task(), "Jammed");
    player.wait();
    assert!(player.execution.task(player.task()).unwrap().is_queued());
    let second = token(&player);
    started(&mut player);
    player.fail(player.task(), "Jammed");
    assert_eq!(player.execution.failure().name(), "Jammed");
    player.take(Trigger::Redrive);
    assert!(player.execution.task(player.task()).unwrap().is_queued());
    let tokens = [first, second, token(&player)];
    assert!(tokens.iter().all(Option::is_some));
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2]);
}

#[test]
fn a_task_of_no_activity_fails_where_it_was_scheduled() {
    let mut player = pressing();
    let scheduled = player.task();
    let failure = Failure::new("States.Runtime", "no press");
    let trigger = Trigger::ActivityScheduleFailed { scheduled, failure };
    player.take(trigger.clone());
    assert_eq!(player.execution.status(), Status::Failed);
    assert_eq!(wire(&player)[3]["type"], "ActivityScheduleFailed");
    assert_eq!(player.take(trigger), 0);
}
