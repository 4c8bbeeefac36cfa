//! The main job: deliveries go in, a ticket comes out, and everything on the way can be seen.

use serde_json::{Value, json};

use crate::deliveries::{Issue, comment};
use crate::server::Server;

/// Posts a delivery and waits until its execution has succeeded; the execution's name.
async fn deliver(server: &Server, body: &[u8]) -> String {
    let (status, answer) = server.post(body).await;
    assert_eq!(status, 202, "{answer}");
    let name = answer["execution"].as_str().expect("the execution's name").to_owned();
    server.execution(&name, "SUCCEEDED").await;
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_followed_from_creation_to_closure_and_back() {
    let server = Server::start();
    let issue = Issue { number: 1 };
    deliver(&server, &issue.created()).await;
    let (status, ticket) = server.get("/tickets/TEST-1").await;
    assert_eq!(status, 200);
    assert_eq!(ticket["state"], "open");
    assert_eq!(ticket["id"], "jira.example.com~1");
    assert_eq!(ticket["created_at"], "2026-11-20T08:00:00.000Z");
    assert_eq!(ticket["duration_ms"], Value::Null);
    assert_eq!(ticket["workflow_status"], "SUCCEEDED");

    deliver(&server, &issue.started(60_000)).await;
    let name = deliver(&server, &issue.resolved(600_000)).await;
    let (_, ticket) = server.get("/tickets/TEST-1").await;
    assert_eq!(ticket["state"], "closed");
    assert_eq!(ticket["last_execution"], name.as_str());
    let near = |field: &str, expected: i64| {
        let value = ticket[field].as_i64().unwrap_or_else(|| panic!("{field} of {ticket}"));
        assert!((value - expected).abs() < 500, "{field} is {value}, not {expected}");
    };
    near("duration_ms", 600_000);
    near("first_duration_ms", 600_000);
    near("cycle_time_ms", 540_000);
    near("open_time_ms", 600_000);
    near("active_time_ms", 540_000);
    assert_eq!((&ticket["age_ms"], &ticket["business"]), (&Value::Null, &Value::Null));

    deliver(&server, &issue.reopened(700_000)).await;
    let (_, ticket) = server.get("/tickets/jira.example.com~1").await;
    assert_eq!(ticket["state"], "open");
    assert_eq!(ticket["reopen_count"], 1);
    assert_eq!(ticket["duration_ms"], Value::Null);
    // Up to a moment after the last change, which the stored fold tells, and before it, which the facts do.
    for (as_of, open_ms, active_ms, age_ms) in [
        ("2026-11-20T08:21:40Z", 1_200_000, 540_000, 1_300_000),
        ("2026-11-20T08:05:00Z", 300_000, 240_000, 300_000),
    ] {
        let (_, ticket) = server.get(&format!("/tickets/TEST-1?as_of={as_of}")).await;
        for (field, expected) in [
            ("open_time_ms", open_ms),
            ("active_time_ms", active_ms),
            ("age_ms", age_ms),
        ] {
            let value = ticket[field].as_i64().unwrap_or_else(|| panic!("{field} of {ticket}"));
            assert!(
                (value - expected).abs() < 500,
                "{field} at {as_of} is {value}, not {expected}"
            );
        }
        assert_eq!(ticket["time_in_status_ms"]["3"], ticket["active_time_ms"]);
    }
    let (status, problem) = server.get("/tickets/TEST-1?as_of=yesterday").await;
    assert_eq!((status, &problem["field"]), (422, &json!("as_of")));

    deliver(&server, &issue.deleted(800_000)).await;
    let (_, ticket) = server.get("/tickets/TEST-1").await;
    assert_eq!(ticket["state"], "deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_deliveries_and_their_repetition_change_nothing() {
    let server = Server::start();
    let lives: Vec<Issue> = (10..16).map(|number| Issue { number }).collect();
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let mut tickets = Vec::new();
    for (issue, order) in lives.into_iter().zip(orders) {
        let bodies = [issue.created(), issue.started(60_000), issue.resolved(600_000)];
        for step in order {
            deliver(&server, &bodies[step]).await;
            // Its progress is written a moment before it closes, and until then it is not a duplicate but the same.
            let answer = server.until("the execution to close", || async {
                let (status, answer) = server.post(&bodies[step]).await;
                (status == 200).then_some(answer)
            });
            assert_eq!(answer.await["outcome"], "duplicate");
        }
        let (_, mut ticket) = server
            .get(&format!("/tickets/{}?as_of=2026-11-20T12:00:00Z", issue.key()))
            .await;
        for own in ["id", "key", "summary", "updated_at", "last_execution"] {
            ticket.as_object_mut().expect("a ticket").remove(own);
        }
        tickets.push(ticket);
    }
    for ticket in &tickets[1..] {
        assert_eq!(ticket, &tickets[0]);
    }
    assert_eq!(tickets[0]["state"], "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_seen_step_by_step_by_http_and_by_the_aws_sdk() {
    let server = Server::start();
    let name = deliver(&server, &Issue { number: 2 }.created()).await;
    let (_, execution) = server.get(&format!("/executions/{name}")).await;
    let steps: Vec<&str> = execution["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter_map(|step| step["name"].as_str())
        .collect();
    assert_eq!(steps, ["ValidateTicket", "StoreTicket", "DetectClosure"], "{execution}");
    assert_eq!(execution["attempts"], 1);
    let arn = execution["arn"].as_str().expect("an ARN");
    assert!(
        arn.ends_with(&format!(
            ":execution:TicketLifecycle:{}",
            execution["name"].as_str().expect("a name")
        )),
        "{arn}"
    );
    assert_eq!(execution["ticket"], "jira.example.com~2");

    let states = server.states().await;
    let machines = states.list_state_machines().send().await.expect("the state machines");
    let machine = machines
        .state_machines()
        .iter()
        .find(|machine| machine.name() == "TicketLifecycle")
        .expect("the lifecycle")
        .state_machine_arn();
    let executions = states
        .list_executions()
        .state_machine_arn(machine)
        .send()
        .await
        .expect("its executions");
    let execution = executions
        .executions()
        .iter()
        .find(|execution| execution.name() == name)
        .expect("this one");
    let history = states
        .get_execution_history()
        .execution_arn(execution.execution_arn())
        .max_results(5)
        .send()
        .await
        .expect("its history");
    assert_eq!(history.events().len(), 5);
    assert!(history.next_token().is_some(), "there is more");
    // Its last step says so a moment before the execution has ended.
    server
        .until("the execution to end", || async {
            let described = states.describe_execution().execution_arn(execution.execution_arn());
            let status = described.send().await.expect("the execution").status;
            (status.as_str() == "SUCCEEDED").then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_carries_no_fact_or_is_no_delivery_starts_nothing_and_says_why() {
    let server = Server::start();
    let (status, answer) = server.post(&comment()).await;
    assert_eq!((status, &answer["outcome"]), (200, &json!("ignored")), "{answer}");

    for (body, status) in [
        (&b"no JSON"[..], 400),
        (b"{\"hello\": \"world\"}", 400),
        (b"[\"jira:issue_created\", 1577836800000, [\"10\"]]", 400),
        (b"{\"webhookEvent\": \"jira:issue_updated\", \"issue\": 5}", 400),
        (
            b"{\"summary\": \"\", \"created\": \"yesterday\", \"completed\": null, \"priority\": \"High\"}",
            422,
        ),
    ] {
        let (code, answer) = server.post(body).await;
        assert_eq!(code, status, "{answer}");
        assert!(answer["detail"].is_string(), "{answer}");
    }
    let unsigned = server
        .http
        .post(format!("{}/webhooks/jira", server.api))
        .body("{}")
        .send()
        .await;
    assert_eq!(unsigned.expect("an answer").status(), 401);
    let body = Issue { number: 3 }.created();
    let forged = crate::server::sign("another secret", &body);
    let request = server
        .http
        .post(format!("{}/webhooks/jira", server.api))
        .header("x-hub-signature", forged);
    assert_eq!(request.body(body).send().await.expect("an answer").status(), 401);
    assert_eq!(server.get("/tickets/TEST-3").await.0, 404);
    for unknown in [
        "/tickets/flat~0",
        "/tickets/flat~0/history",
        "/tickets/flat~0/executions",
    ] {
        let (status, problem) = server.get(unknown).await;
        assert_eq!((status, &problem["field"]), (404, &json!("id")), "{unknown}: {problem}");
    }
    assert_eq!(server.get("/nowhere").await, (404, json!({"message": "Not Found"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flat_payload_becomes_a_ticket() {
    let server = Server::start();
    let mut body = json!({"summary": "Import", "created": "2026-11-20T08:00:00Z", "completed": "2026-11-20T09:00:00Z",
                      "description": "", "priority": "Low"});
    let (status, answer) = server.post(body.to_string().as_bytes()).await;
    assert_eq!(status, 202, "{answer}");
    let name = answer["execution"].as_str().expect("a name");
    server.execution(name, "SUCCEEDED").await;
    let id = answer["ticket"].as_str().expect("the ticket's id");
    let (_, ticket) = server.get(&format!("/tickets/{id}")).await;
    assert_eq!(ticket["state"], "closed", "{ticket}");
    assert_eq!(ticket["duration_ms"], 3_600_000);
    let (status, answer) = server.post(body.to_string().as_bytes()).await;
    assert_eq!(
        (status, &answer["execution"]),
        (200, &json!(name)),
        "the same is a duplicate, whenever it comes"
    );
    // Another completion is a correction, although it was said of an earlier time.
    body["completed"] = json!("2026-11-20T08:30:00Z");
    let (status, answer) = server.post(body.to_string().as_bytes()).await;
    assert_eq!(status, 202, "{answer}");
    server
        .execution(answer["execution"].as_str().expect("a name"), "SUCCEEDED")
        .await;
    let (_, ticket) = server.get(&format!("/tickets/{id}")).await;
    let seen = ["duration_ms", "first_duration_ms", "reopen_count", "flags"].map(|name| &ticket[name]);
    assert_eq!(
        seen,
        [&json!(1_800_000), &json!(1_800_000), &json!(0), &json!([])],
        "{ticket}"
    );

    for (completed, state) in [("", "open"), ("2026-11-20T08:45:00Z", "closed")] {
        let request = server.http.patch(format!("{}/tickets/{id}", server.api));
        let answer = request.body(json!({"completed": completed}).to_string()).send().await;
        let answer: Value = answer.expect("an answer").json().await.expect("JSON");
        server
            .execution(answer["execution"].as_str().expect("a name"), "SUCCEEDED")
            .await;
        let (_, ticket) = server.get(&format!("/tickets/{id}")).await;
        let seen = ["state", "reopen_count", "flags"].map(|name| &ticket[name]);
        assert_eq!(seen, [&json!(state), &json!(1), &json!([])], "{ticket}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_answers_when_a_delivery_would_be_taken() {
    let server = Server::start();
    assert_eq!(server.get("/health").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_that_was_cut_is_a_finding_until_it_is_shorter() {
    let server = Server::start();
    let found = async || -> Vec<Value> {
        let (_, quality) = server
            .get("/metrics/quality?from=2026-11-21T00:00Z&to=2026-11-22T00:00Z")
            .await;
        let findings = quality["findings"].as_array().expect("findings");
        let cut = findings
            .iter()
            .filter(|finding| finding["finding"] == "text_cut")
            .cloned();
        cut.collect()
    };
    let described =
        |description: &str| json!({"summary": "Long", "created": "2026-11-21T07:00:00Z", "description": description});
    let (_, answer) = server.post(described(&"x".repeat(40_000)).to_string().as_bytes()).await;
    server
        .execution(answer["execution"].as_str().expect("a name"), "SUCCEEDED")
        .await;
    let id = answer["ticket"].as_str().expect("an id");
    let (_, ticket) = server.get(&format!("/tickets/{id}")).await;
    assert_eq!(ticket["flags"], json!(["text_cut"]), "{ticket}");
    assert_eq!(found().await[0]["count"], 1);

    let request = server.http.patch(format!("{}/tickets/{id}", server.api));
    let answer = request
        .body(json!({"description": "x"}).to_string())
        .send()
        .await
        .expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    server
        .execution(answer["execution"].as_str().expect("a name"), "SUCCEEDED")
        .await;
    assert_eq!(found().await, [] as [Value; 0]);
}
