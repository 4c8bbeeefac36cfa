//! SIGKILL while status events are on their way to a rule's target: each arrives, and does its work once.

use std::collections::BTreeSet;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::server::Server;

/// Executions that end in each round, each with an event for the rule.
const EXECUTIONS: usize = 100;

/// Rounds, each with a crash at another moment.
const ROUNDS: usize = 5;

/// A state machine, and one that a rule starts whenever an execution of the first has succeeded.
const TEMPLATE: &str = r#"
Transform: AWS::Serverless-2016-10-31
Resources:
  Worker:
    Type: AWS::Serverless::StateMachine
    Properties:
      Name: worker
      Definition: {StartAt: Work, States: {Work: {Type: Pass, End: true}}}
  Witness:
    Type: AWS::Serverless::StateMachine
    Properties:
      Name: witness
      Definition: {StartAt: See, States: {See: {Type: Pass, OutputPath: $.detail.name, End: true}}}
      Events:
        Succeeded:
          Type: EventBridgeRule
          Properties:
            Pattern:
              source: [aws.states]
              detail-type: [Step Functions Execution Status Change]
              detail: {stateMachineArn: [!Ref Worker], status: [SUCCEEDED]}
"#;

fn machine_arn(name: &str) -> String {
    format!("arn:aws:states:us-west-2:000000000000:stateMachine:{name}")
}

/// The ARNs of a machine's executions with this status.
async fn executions(states: &Client, machine: &str, status: ExecutionStatus) -> Vec<String> {
    let list = states
        .list_executions()
        .state_machine_arn(machine_arn(machine))
        .status_filter(status);
    let mut pages = list.into_paginator().items().send();
    let mut arns = Vec::new();
    while let Some(execution) = pages.next().await {
        arns.push(execution.expect("an execution").execution_arn().to_owned());
    }
    arns
}

#[tokio::test(flavor = "multi_thread")]
async fn no_owed_event_is_lost_or_acted_on_twice() {
    let directory = TempDir::new().expect("a temporary directory");
    let template = directory.path().join("template.yaml");
    std::fs::write(&template, TEMPLATE).expect("it can be written");
    let mut server = Server::start_with(&["--template", &template.display().to_string()]);
    let mut taken = BTreeSet::new();
    for round in 0..ROUNDS {
        let states = server.states().await;
        let mut starts = JoinSet::new();
        for number in 0..EXECUTIONS {
            let name = format!("{round}-{number}");
            let start = states
                .start_execution()
                .state_machine_arn(machine_arn("worker"))
                .name(&name);
            starts.spawn(async move { start.send().await.ok().map(|_| name) });
        }
        // Another number of answers in each round, so that the crash comes at another moment.
        let until = EXECUTIONS * (round + 1) / (ROUNDS + 1);
        for _ in 0..until {
            let started = starts.join_next().await.expect("there are more");
            taken.extend(started.expect("no task panics"));
        }
        server.kill();
        taken.extend(starts.join_all().await.into_iter().flatten());
        server.restart();
    }

    let states = server.states().await;
    let succeeded = server
        .until("all that was started to succeed", || async {
            let running = executions(&states, "worker", ExecutionStatus::Running).await;
            match running.is_empty() {
                true => Some(executions(&states, "worker", ExecutionStatus::Succeeded).await),
                false => None,
            }
        })
        .await;
    let succeeded: BTreeSet<_> = succeeded.iter().filter_map(|arn| arn.rsplit(':').next()).collect();
    assert!(taken.iter().all(|name| succeeded.contains(name.as_str())));
    let witnesses = server
        .until("an event of each to be acted on", || async {
            let witnesses = executions(&states, "witness", ExecutionStatus::Succeeded).await;
            (witnesses.len() >= succeeded.len()).then_some(witnesses)
        })
        .await;
    let mut seen = BTreeSet::new();
    for arn in &witnesses {
        let described = states.describe_execution().execution_arn(arn).send().await;
        let output = described.expect("it is there").output().unwrap_or_default().to_owned();
        let name: Value = serde_json::from_str(&output).expect("the name that the event carried");
        let name = name.as_str().expect("a text").to_owned();
        assert!(seen.insert(name.clone()), "{name} was seen twice");
    }
    assert!(seen.iter().map(String::as_str).eq(succeeded), "each was seen");
}
