//! Another policy, another map of categories: every ticket is folded again, whatever is killed meanwhile.

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde_json::{Value, json};

use crate::deliveries::Issue;
use crate::failures::{errors, history};
use crate::project::Project;
use crate::server::Server;

/// By this policy a started ticket is done.
const STARTED_IS_DONE: &str = r#"Policy={"done":{"status_ids":{"TEST":["3"]}}}"#;

/// Tickets that a recompute has several pages of.
const TICKETS: u32 = 900;

async fn deliver(server: &Server, body: &[u8]) {
    let (status, answer) = server.post(body).await;
    assert_eq!(status, 202, "{answer}");
    let name = answer["execution"].as_str().expect("the execution's name");
    server.execution(name, "SUCCEEDED").await;
}

/// A ticket of a test, as the API shows it.
async fn ticket(server: &Server, number: u32) -> Value {
    let (status, ticket) = server.get(&format!("/tickets/jira.example.com~{number}")).await;
    assert_eq!(status, 200, "{number}: {ticket}");
    ticket
}

async fn post(server: &Server, path: &str) -> Value {
    let request = server.http.post(format!("{}{path}", server.api));
    request.send().await.expect("an answer").json().await.expect("JSON")
}

/// Waits until the recompute of this name has ended well; what the API says of it.
async fn recomputed(server: &Server, name: &str) -> Value {
    server
        .until("the recompute to end", || async {
            let (_, job) = server.get("/recompute").await;
            (job["execution"] == name && job["status"] == "SUCCEEDED").then_some(job)
        })
        .await
}

/// An AWS SDK client of this table.
pub(crate) async fn table(server: &Server) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&crate::server::aws(&server.aws).await)
}

/// Makes tickets like the first one: its facts and its fold under other numbers.
async fn multiply(server: &Server, to: u32) {
    let table = table(server).await;
    let of = |number: u32| format!("TICKET#jira.example.com~{number}");
    let items = table
        .query()
        .table_name("Tickets")
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", AttributeValue::S(of(1)))
        .send()
        .await
        .expect("its items");
    let mut writes = Vec::new();
    for number in 2..=to {
        for item in items.items() {
            let mut item = item.clone();
            item.insert("pk".to_owned(), AttributeValue::S(of(number)));
            for key in ["judged_key", "created_key"] {
                if let Some(AttributeValue::S(value)) = item.get_mut(key) {
                    *value = value.replace("~1", &format!("~{number}"));
                }
            }
            let put = PutRequest::builder().set_item(Some(item)).build().expect("an item");
            writes.push(WriteRequest::builder().put_request(put).build());
        }
    }
    for writes in writes.chunks(25) {
        let written = table
            .batch_write_item()
            .request_items("Tickets", writes.to_vec())
            .send();
        written.await.expect("the items are written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_policy_reaches_every_ticket_although_the_job_is_killed() {
    let mut server = Server::start();
    deliver(&server, &Issue { number: 1 }.started(60_000)).await;
    multiply(&server, TICKETS).await;
    assert_eq!(ticket(&server, 1).await["state"], "open");
    let (_, job) = server.get("/recompute").await;
    assert_eq!(
        (&job["execution"], &job["is_current"]),
        (&Value::Null, &json!(true)),
        "{job}"
    );
    assert_eq!(
        post(&server, "/recompute").await,
        json!({"execution": null, "outcome": "current"})
    );

    server.kill();
    server.restart_with(&["--parameter", STARTED_IS_DONE]);
    let started = post(&server, "/recompute").await;
    assert_eq!(started["outcome"], "started", "{started}");
    let name = started["execution"].as_str().expect("its name").to_owned();
    let again = post(&server, "/recompute").await;
    assert_eq!(again, json!({"execution": name, "outcome": "running"}));
    server
        .until("some pages to be done", || async {
            let (_, job) = server.get("/recompute").await;
            (job["execution"] == name.as_str() && job["recomputed"] != 0).then_some(())
        })
        .await;
    server.kill();
    server.restart();
    let (_, job) = server.get("/recompute").await;
    let before = job["recomputed"].as_u64().expect("a number");
    assert!(before < u64::from(TICKETS), "it was killed in the middle: {job}");

    let job = recomputed(&server, &name).await;
    assert_eq!((&job["is_current"], &job["failed"]), (&json!(true), &json!(0)), "{job}");
    assert_eq!(job["total"], TICKETS);
    for number in [1, 2, 250, 499, 731, TICKETS] {
        let ticket = ticket(&server, number).await;
        let took = ticket["duration_ms"].as_i64().expect("a duration");
        assert!(ticket["state"] == "closed" && (took - 60_000).abs() < 500, "{ticket}");
    }
    assert_eq!(post(&server, "/recompute").await["outcome"], "current");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_another_ticket_shows_is_known_after_the_next_sweep() {
    // A route beside its schedule, so that nobody waits for five minutes.
    let route = "        Now:
          Type: HttpApi
          Properties:
            ApiId: !Ref Api
            Method: POST
            Path: /sweep
";
    let schedule = "        EveryFiveMinutes:\n";
    let project = Project::copy().change("template.yaml", schedule, &format!("{route}{schedule}"));
    let server = Server::start_with(&["--template", &project.template()]);
    deliver(&server, &Issue { number: 1 }.resolved(600_000)).await;
    deliver(&server, &Issue { number: 2 }.resolved(600_000)).await;
    for number in [1, 2] {
        assert_eq!(ticket(&server, number).await["flags"], json!(["status_unknown"]));
    }
    assert_eq!(post(&server, "/sweep").await["recompute"], Value::Null);

    // Of the status that the first ones came from nobody had said the category.
    deliver(&server, &Issue { number: 3 }.started(60_000)).await;
    let swept = post(&server, "/sweep").await;
    let job = recomputed(&server, swept["recompute"].as_str().expect("a recompute")).await;
    assert_eq!((&job["total"], &job["recomputed"]), (&json!(2), &json!(2)), "{job}");
    for number in [1, 2] {
        assert_eq!(ticket(&server, number).await["flags"], json!(["incomplete"]));
    }
    assert_eq!(post(&server, "/sweep").await["recompute"], Value::Null);
    let output = std::process::Command::new(crate::server::ticketflow())
        .args(["recompute", "--wait", "--url", &server.api, "--data-dir"])
        .arg(server.data_dir())
        .output()
        .expect("ticketflow runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("every ticket is judged"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy_counts_at_once_and_one_that_is_put_back_waits() {
    let mut server = Server::start();
    deliver(&server, &Issue { number: 1 }.started(60_000)).await;
    let numbered = async |server: &Server| {
        let (_, history) = server.get("/tickets/TEST-1/history").await;
        history["policy_version"].clone()
    };
    assert_eq!(numbered(&server).await, json!(1));
    // The same policy in other words is no other one.
    server.kill();
    server.restart_with(&["--parameter", r#"Policy={"done": "category"}"#]);
    deliver(&server, &Issue { number: 2 }.started(60_000)).await;
    let (_, job) = server.get("/recompute").await;
    assert_eq!((&job["is_current"], &job["policy_waits"]), (&json!(true), &Value::Null));

    server.kill();
    server.restart_with(&["--parameter", r#"Policy={"done": "resolution"}"#]);
    let (_, job) = server.get("/recompute").await;
    assert_eq!(
        (&job["is_current"], &job["policy_waits"]),
        (&json!(false), &Value::Null)
    );
    deliver(&server, &Issue { number: 1 }.resolved(600_000)).await;
    assert_eq!(ticket(&server, 1).await["state"], "closed");
    assert_eq!(numbered(&server).await, json!(2));

    // Whether it is put back or of before a deployment, only time tells.
    server.kill();
    server.restart_with(&[]);
    let request = server.http.post(format!("{}/recompute", server.api));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 409);
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!(problem["type"], "urn:ticketflow:problem:policy-replaced");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.contains("was replaced at"), "{detail}");
    let output = std::process::Command::new(crate::server::ticketflow())
        .args(["recompute", "--url", &server.api, "--data-dir"])
        .arg(server.data_dir())
        .output()
        .expect("ticketflow runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(detail), "{said}");
    assert!(said.contains("hint: ask again then"), "{said}");
    let (_, job) = server.get("/recompute").await;
    assert_eq!(
        (&job["is_current"], &job["policy_waits"]),
        (&json!(false), &json!(detail))
    );
    let (_, answer) = server.post(&Issue { number: 2 }.resolved(600_000)).await;
    let name = answer["execution"].as_str().expect("the execution's name").to_owned();
    let is_refused = || async {
        errors(&history(&server, &name).await)
            .contains(&"PolicyOutdated")
            .then_some(())
    };
    server.until("the policy to be refused", is_refused).await;
    let (_, execution) = server.get(&format!("/executions/{name}")).await;
    assert_eq!(execution["status"], "RUNNING", "{execution}");
    assert_eq!(ticket(&server, 2).await["state"], "open");
}
