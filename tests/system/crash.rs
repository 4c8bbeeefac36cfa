//! SIGKILL at any moment: everything that was answered 202 ends in its ticket, once.

use std::collections::BTreeSet;

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEventType};

use crate::deliveries::Issue;
use crate::processes::{children_of, processes};
use crate::server::Server;

/// Deliveries in flight in each round.
const DELIVERIES: u32 = 200;

/// Rounds, each with a crash at another moment.
const ROUNDS: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn every_delivery_that_was_taken_ends_in_its_ticket() {
    let mut server = Server::start();
    let mut taken = BTreeSet::new();
    for round in 0..ROUNDS {
        let first = 1_000 + round * DELIVERIES;
        let mut posts = tokio::task::JoinSet::new();
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
