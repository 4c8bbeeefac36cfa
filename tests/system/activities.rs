//! SIGKILL while workers are at it: every task of an activity that was scheduled is done in the end.

use std::time::Duration;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::json;
use tokio::task::JoinSet;

use crate::server::Server;

const EXECUTIONS: usize = 60;

const WORKERS: usize = 4;

/// How often the server is killed, each time after so many more tasks.
const DEATHS: usize = 3;

/// Within this time workers get on, even if every token was lost and is given out anew.
const PATIENCE: Duration = Duration::from_secs(60);

/// A token is lost if the server dies while it is on its way, so the task falls silent and is scheduled anew.
fn definition(activity: &str) -> String {
    let press = json!({
        "Type": "Task", "Resource": activity, "TimeoutSeconds": 600, "HeartbeatSeconds": 2, "End": true,
        "Retry": [{"ErrorEquals": ["States.HeartbeatTimeout"], "IntervalSeconds": 1, "MaxAttempts": 10}],
    });
    json!({"StartAt": "Press", "States": {"Press": press}}).to_string()
}

/// Works off tasks until the server is gone, and counts them.
async fn work(states: Client, activity: String, done: tokio::sync::watch::Sender<usize>) {
    loop {
        let asked = states
            .get_activity_task()
            .activity_arn(&activity)
            .worker_name("press")
            .send();
        let Ok(task) = asked.await else { return };
        let (Some(token), Some(input)) = (task.task_token, task.input) else {
            continue;
        };
        let answered = states.send_task_success().task_token(token).output(&input).send().await;
        if answered.is_ok() {
            done.send_modify(|done| *done += 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_task_that_was_scheduled_is_done_whatever_moment_the_server_dies_at() {
    let mut server = Server::start();
    let states = server.states().await;
    let activity = states
        .create_activity()
        .name("press")
        .send()
        .await
        .expect("an activity");
    let activity = activity.activity_arn().to_owned();
    let machine = states
        .create_state_machine()
        .name("Pressing")
        .definition(definition(&activity))
        .role_arn("arn:aws:iam::000000000000:role/press")
        .send()
        .await
        .expect("a state machine");
    for number in 0..EXECUTIONS {
        let started = states
            .start_execution()
            .state_machine_arn(machine.state_machine_arn())
            .name(number.to_string())
            .input(number.to_string())
            .send();
        started.await.expect("it starts");
    }
    let done = tokio::sync::watch::Sender::new(0);
    let put_to_work = |states: &Client| {
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            workers.spawn(work(states.clone(), activity.clone(), done.clone()));
        }
        workers
    };
    for life in 1..=DEATHS {
        let workers = put_to_work(&server.states().await);
        let enough = EXECUTIONS * life / (DEATHS + 1);
        let mut seen = done.subscribe();
        let seen = tokio::time::timeout(PATIENCE, seen.wait_for(|done| enough <= *done)).await;
        drop(seen.expect("the workers get on"));
        server.kill();
        workers.join_all().await;
        server.restart();
    }
    let states = server.states().await;
    let mut workers = put_to_work(&states);
    let executions = machine.state_machine_arn().replace(":stateMachine:", ":execution:");
    for number in 0..EXECUTIONS {
        let describe = || {
            let arn = format!("{executions}:{number}");
            let describe = states.describe_execution().execution_arn(arn).send();
            async {
                let described = describe.await.expect("it is there");
                (described.status() != &ExecutionStatus::Running).then_some(described)
            }
        };
        let described = server.until("the end of an execution", describe).await;
        assert_eq!(described.status(), &ExecutionStatus::Succeeded, "{number}");
        assert_eq!(described.output(), Some(number.to_string().as_str()));
    }
    workers.shutdown().await;
}
