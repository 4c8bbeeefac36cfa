//! What a failing step leaves behind: for good, mended, or only for a while.

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent, HistoryEventType};
use serde_json::{Value, json};

use crate::deliveries::Issue;
use crate::project::Project;
use crate::server::Server;
use crate::table::Table;

/// A table that is nowhere in the template.
const NO_TABLE: &str = "NoSuchTable";

/// Posts a delivery that starts an execution; its name.
async fn post(server: &Server, body: &[u8]) -> String {
    let (status, answer) = server.post(body).await;
    assert_eq!(status, 202, "{answer}");
    answer["execution"].as_str().expect("the execution's name").to_owned()
}

/// Everything that an execution did, as an SDK reads it.
pub(crate) async fn history(server: &Server, name: &str) -> Vec<HistoryEvent> {
    let states = server.states().await;
    let arn = format!("arn:aws:states:us-west-2:000000000000:execution:TicketLifecycle:{name}");
    let mut pages = states
        .get_execution_history()
        .execution_arn(arn)
        .into_paginator()
        .items()
        .send();
    let mut events = Vec::new();
    while let Some(event) = pages.next().await {
        events.push(event.expect("an event"));
    }
    events
}

/// How often each state was entered, in the order in which they were.
fn entered(history: &[HistoryEvent]) -> Vec<&str> {
    let details = history.iter().filter_map(|event| event.state_entered_event_details());
    details.map(|details| details.name()).collect()
}

/// How often functions were called.
fn calls(history: &[HistoryEvent]) -> usize {
    count(history, &HistoryEventType::LambdaFunctionScheduled)
}

fn count(history: &[HistoryEvent], kind: &HistoryEventType) -> usize {
    history.iter().filter(|event| event.r#type() == kind).count()
}

/// The errors that functions failed with.
pub(crate) fn errors(history: &[HistoryEvent]) -> Vec<&str> {
    let failed = history
        .iter()
        .filter_map(|event| event.lambda_function_failed_event_details());
    failed.filter_map(|details| details.error()).collect()
}

/// Whether a ticket was closed ten minutes after it was created, as exactly as JIRA's stamps are.
fn lasted(ticket: &Value) {
    let duration = ticket["duration_ms"].as_i64();
    assert!(duration.is_some_and(|ms| (ms - 600_000).abs() < 500), "{ticket}");
}

/// Runs the program against a server; what it printed.
fn ticketflow(server: &Server, arguments: &[&str]) -> String {
    let output = std::process::Command::new(crate::server::ticketflow())
        .args(arguments)
        .args(["--url", &server.api, "--data-dir"])
        .arg(server.data_dir())
        .output()
        .expect("ticketflow runs");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "ticketflow {arguments:?}: {out}{err}");
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_for_good_is_told_of_and_finished_by_a_redrive() {
    let broken = Project::copy().function("detect-closure", "", &[("TABLE_NAME", NO_TABLE)]);
    // No role may use a table that is nowhere.
    let mut server = Server::start_with(&["--template", &broken.template()]).may_refuse();
    let issue = Issue { number: 50 };
    let name = post(&server, &issue.resolved(600_000)).await;

    let execution = server.execution(&name, "FAILED").await;
    assert_eq!(execution["attempts"], 1, "{execution}");
    assert_eq!(execution["error"], "TableRefused", "{execution}");
    let cause = execution["cause"].as_str().expect("a cause");
    assert!(cause.contains("the table refuses"), "{cause}");
    assert!(execution["stopped_at"].is_string(), "{execution}");
    let (status, ticket) = server.get(&format!("/tickets/{}", issue.key())).await;
    assert_eq!(
        (status, &ticket["workflow_status"]),
        (200, &json!("FAILED")),
        "{ticket}"
    );
    assert_eq!(ticket["last_execution"], name.as_str());
    assert_eq!(ticket["duration_ms"], Value::Null);
    let before = history(&server, &name).await;
    assert_eq!(entered(&before), ["ValidateTicket", "StoreTicket", "DetectClosure"]);
    assert_eq!(calls(&before), 3);
    assert_eq!(count(&before, &HistoryEventType::ExecutionFailed), 1);

    server.kill();
    server.restart_with(&[]);
    server.execution(&name, "FAILED").await;
    let answer: Value = serde_json::from_str(&ticketflow(&server, &["redrive", &name, "--json"])).expect("JSON");
    assert_eq!(answer, json!({"execution": name, "attempts": 2}));
    let execution = server.execution(&name, "SUCCEEDED").await;
    assert_eq!(execution["attempts"], 2, "{execution}");
    assert_eq!((&execution["error"], &execution["cause"]), (&Value::Null, &Value::Null));
    let after = history(&server, &name).await;
    let same: Vec<_> = after.iter().take(before.len()).collect();
    assert_eq!(same, before.iter().collect::<Vec<_>>(), "what has happened stays");
    let since = &after[before.len()..];
    assert_eq!(since[0].r#type(), &HistoryEventType::ExecutionRedriven);
    let names = entered(since);
    assert!(
        !names.contains(&"ValidateTicket") && !names.contains(&"StoreTicket"),
        "{names:?}"
    );
    assert_eq!(calls(since), 2, "DetectClosure and ComputeDuration");
    let (_, ticket) = server.get(&format!("/tickets/{}", issue.key())).await;
    assert_eq!(ticket["state"], "closed", "{ticket}");
    assert_eq!(ticket["workflow_status"], "SUCCEEDED");
    lasted(&ticket);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_finds_a_failure_whose_status_event_was_lost() {
    let rule = "        ExecutionFailed:
          Type: EventBridgeRule
          Properties:
            Pattern:
              source: [aws.states]
              detail-type: [Step Functions Execution Status Change]
              detail:
                stateMachineArn: [!Ref TicketLifecycle, !Ref SlaClock, !Ref Recompute, !Ref Reconciliation]
                status: [FAILED, TIMED_OUT, ABORTED]
";
    // A route beside its schedule, so that nobody waits for five minutes.
    let route = "        Now:
          Type: HttpApi
          Properties:
            ApiId: !Ref Api
            Method: POST
            Path: /sweep
";
    let schedule = "        EveryFiveMinutes:\n";
    let project = Project::copy()
        .change("template.yaml", &format!("      Events:\n{rule}"), "")
        .change("template.yaml", schedule, &format!("{route}{schedule}"))
        .function("store", "", &[("TABLE_NAME", NO_TABLE)]);
    let mut server = Server::start_with(&["--template", &project.template()]).may_refuse();
    let issue = Issue { number: 51 };
    let name = post(&server, &issue.created()).await;
    let states = server.states().await;
    let arn = format!("arn:aws:states:us-west-2:000000000000:execution:TicketLifecycle:{name}");
    server
        .until("Step Functions to say that it failed", || async {
            let execution = states.describe_execution().execution_arn(&arn).send().await.ok()?;
            (execution.status() == &ExecutionStatus::Failed).then_some(())
        })
        .await;
    let (_, execution) = server.get(&format!("/executions/{name}")).await;
    assert_eq!(execution["status"], "RUNNING", "nobody has told it: {execution}");

    let sweep = async || {
        let request = server.http.post(format!("{}/sweep", server.api));
        let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        answer
    };
    assert_eq!(
        sweep().await,
        json!({"seen": 1, "repaired": 1, "redriven": 0, "recompute": null})
    );
    let (_, execution) = server.get(&format!("/executions/{name}")).await;
    assert_eq!(execution["status"], "FAILED", "{execution}");
    assert_eq!(execution["error"], "TableRefused");
    assert!(execution["cause"].is_string(), "{execution}");
    let (status, ticket) = server.get(&format!("/tickets/{}", issue.key())).await;
    assert_eq!(
        (status, &ticket["workflow_status"]),
        (200, &json!("FAILED")),
        "{ticket}"
    );
    assert_eq!(
        sweep().await,
        json!({"seen": 1, "repaired": 0, "redriven": 0, "recompute": null}),
        "once is enough"
    );

    server.kill();
    server.restart_with(&[]);
    ticketflow(&server, &["redrive", "--failed"]);
    let execution = server.execution(&name, "SUCCEEDED").await;
    assert_eq!(execution["attempts"], 2);
    let (_, ticket) = server.get(&format!("/tickets/{}", issue.key())).await;
    assert_eq!(
        (&ticket["state"], &ticket["workflow_status"]),
        (&json!("open"), &json!("SUCCEEDED"))
    );
}

/// Delivers to a server whose store step finds no answer from the table until it has failed once with `error`, which
/// `harm` may bring about; the retry must then make everything right.
async fn is_retried(error: &str, properties: &str, harm: impl Fn(&Server)) {
    let table = Table::silent().await;
    let project = Project::copy().function("store", properties, &[("AWS_ENDPOINT_URL_DYNAMODB", &table.url())]);
    let server = Server::start_with(&["--template", &project.template()]);
    let issue = Issue { number: 52 };
    let name = post(&server, &issue.resolved(600_000)).await;
    server
        .until("the store step to ask the table", || async {
            (table.asked() > 0).then_some(())
        })
        .await;
    harm(&server);
    server
        .until(&format!("the store step to fail with {error}"), || async {
            errors(&history(&server, &name).await).contains(&error).then_some(())
        })
        .await;
    table.answer(&server.aws);

    let execution = server.execution(&name, "SUCCEEDED").await;
    assert_eq!(execution["attempts"], 1, "a retry is no redrive: {execution}");
    let history = history(&server, &name).await;
    let names = entered(&history);
    assert_eq!(names.iter().filter(|name| **name == "StoreTicket").count(), 1);
    assert!(errors(&history).iter().all(|failed| *failed == error), "{history:?}");
    assert_eq!(calls(&history), 4 + errors(&history).len());
    let (_, ticket) = server.get(&format!("/tickets/{}", issue.key())).await;
    assert_eq!(ticket["state"], "closed", "{ticket}");
    assert_eq!(ticket["workflow_status"], "SUCCEEDED");
    lasted(&ticket);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_killed_in_the_middle_is_retried() {
    is_retried("Runtime.ExitError", "", |server| {
        let killed = server.kill_functions("store");
        assert!(killed > 0, "the store step was at work");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_times_out_is_retried() {
    is_retried("Sandbox.Timedout", "      Timeout: 1\n", |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_table_is_slow_is_retried() {
    is_retried("TableUnavailable", "", |_| ()).await;
}
