//! SIGKILL at any moment: everything that was answered 202 ends in its ticket, once.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEventType};
use serde_json::json;
use tokio::task::JoinSet;

use crate::deliveries::Issue;
use crate::processes::{children_of, processes};
use crate::server::Server;

/// Deliveries in flight in each round.
const DELIVERIES: u32 = 200;

/// Rounds, each with a crash at another moment.
const ROUNDS: u32 = 10;

/// Executions in flight in each round of those that fill the log of the history.
const STARTS: u32 = 160;

/// What each is started with, and comes to: with forty of them the log is long enough to be copied into the database.
const FILLER_BYTES: usize = 100_000;

/// So much is in the database only if a log was copied into it.
const COPIED_BYTES: u64 = 10 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn no_execution_that_was_taken_is_lost_while_the_log_is_copied() {
    let mut server = Server::start();
    let states = server.states().await;
    let definition = json!({"StartAt": "Keep", "States": {"Keep": {"Type": "Pass", "End": true}}});
    let created = states
        .create_state_machine()
        .name("kept")
        .definition(definition.to_string())
        .role_arn("arn:aws:iam::000000000000:role/states");
    let machine = created.send().await.expect("a state machine").state_machine_arn;
    let mut taken = BTreeMap::new();
    for round in 0..ROUNDS {
        let states = server.states().await;
        let mut starts = JoinSet::new();
        for number in round * STARTS..(round + 1) * STARTS {
            let input = json!({"number": number, "filler": "x".repeat(FILLER_BYTES)}).to_string();
            let start = states.start_execution().state_machine_arn(&machine).input(&input);
            starts.spawn(async move { Some((start.send().await.ok()?.execution_arn, input)) });
        }
        let until = STARTS / 4 + (round * 37) % (STARTS / 2);
        let mut answered = 0;
        while let Some(start) = starts.join_next().await {
            let start = start.expect("the task ends");
            answered += u32::from(start.is_some());
            taken.extend(start);
            if answered == until {
                break;
            }
        }
        server.kill();
        while let Some(start) = starts.join_next().await {
            taken.extend(start.expect("the task ends"));
        }
        server.restart();
    }
    let database = std::fs::metadata(server.data_dir().join("history.db")).expect("a file");
    assert!(COPIED_BYTES < database.len(), "{} bytes", database.len());
    assert!((ROUNDS * STARTS / 4) as usize <= taken.len());
    let states = server.states().await;
    for (execution, input) in &taken {
        let described = states.describe_execution().execution_arn(execution).send().await;
        let described = described.expect("it is there");
        assert_eq!(described.status(), &ExecutionStatus::Succeeded);
        assert_eq!(described.output(), Some(input.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_delivery_that_was_taken_ends_in_its_ticket() {
    let mut server = Server::start();
    let mut taken = BTreeSet::new();
    for round in 0..ROUNDS {
        let first = 1_000 + round * DELIVERIES;
        let mut posts = JoinSet::new();
        for number in first..first + DELIVERIES {
            let issue = Issue { number };
            let body = issue.resolved(600_000);
            let request = server.http.post(format!("{}/webhooks/jira", server.api));
            let request = request.header("x-hub-signature", crate::server::sign(crate::server::SECRET, &body));
            posts.spawn(async move {
                let response = request.body(body).send().await.ok()?;
                let answer: serde_json::Value = (response.status() == 202).then(|| response.json())?.await.ok()?;
                Some((number, answer["execution"].as_str()?.to_owned()))
            });
        }
        // Another number of answers in each round, so that the crash comes at another moment.
        let until = 1 + (round * 37) % (DELIVERIES / 2);
        let mut answered = 0;
        while let Some(post) = posts.join_next().await {
            if let Some(delivery) = post.expect("the task ends") {
                taken.insert(delivery);
                answered += 1;
            }
            if answered == until {
                break;
            }
        }
        let children = children_of(server.process_id());
        assert!(!children.is_empty(), "functions were at work");
        server.kill();
        while let Some(post) = posts.join_next().await {
            taken.extend(post.expect("the task ends"));
        }
        server
            .until("the functions to end with their parent", || async {
                processes()
                    .iter()
                    .all(|(process, _)| !children.contains(process))
                    .then_some(())
            })
            .await;
        server.restart();
    }
    for (number, name) in &taken {
        server.execution(name, "SUCCEEDED").await;
        let (status, ticket) = server.get(&format!("/tickets/TEST-{number}")).await;
        assert_eq!(status, 200, "TEST-{number}");
        assert_eq!(ticket["state"], "closed");
    }
    let states = server.states().await;
    let machines = states.list_state_machines().send().await.expect("the state machines");
    let machine = machines
        .state_machines()
        .iter()
        .find(|machine| machine.name() == "TicketLifecycle")
        .expect("the lifecycle")
        .state_machine_arn();
    let mut pages = states
        .list_executions()
        .state_machine_arn(machine)
        .into_paginator()
        .items()
        .send();
    let mut names = BTreeSet::new();
    while let Some(execution) = pages.next().await {
        let execution = execution.expect("an execution");
        assert!(
            names.insert(execution.name().to_owned()),
            "{} runs once",
            execution.name()
        );
        assert_ne!(execution.status(), &ExecutionStatus::Failed, "{}", execution.name());
        let history = states
            .get_execution_history()
            .execution_arn(execution.execution_arn())
            .max_results(1_000)
            .send()
            .await;
        let entered = history
            .expect("its history")
            .events()
            .iter()
            .filter(|event| event.r#type() == &HistoryEventType::TaskStateEntered)
            .count();
        assert!(entered <= 4, "no state of {} is entered twice", execution.name());
    }
    assert!(taken.iter().all(|(_, name)| names.contains(name)));
}
