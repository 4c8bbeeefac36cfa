//! Deliveries that nobody can read, and requests that are made twice.

use serde_json::{Value, json};

use crate::project::Project;
use crate::server::{Server, sign};

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_kept_once_with_its_reason() {
    let server = Server::start();
    let (status, answer) = server.get("/deliveries?outcome=rejected").await;
    assert_eq!((status, answer), (200, json!({ "items": [], "next": null })));
    let large = format!("{{\"half\": \"{}", "x".repeat(20_000));
    let bodies: [&[u8]; 5] = [
        b"{\"half\": ",
        br#"{"hello": 1}"#,
        &[0xff, 0xfe],
        large.as_bytes(),
        br#"{"issue": {"id": 1}}"#,
    ];
    let statuses = [400, 400, 400, 400, 422];
    for _ in 0..3 {
        for (body, status) in bodies.into_iter().zip(statuses) {
            assert_eq!(server.post(body).await.0, status);
        }
    }
    // Whoever cannot prove to be JIRA leaves nothing.
    let forged = server
        .http
        .post(format!("{}/webhooks/jira", server.api))
        .header("x-hub-signature", sign("wrong", b"{"));
    assert_eq!(forged.body("{").send().await.expect("an answer").status(), 401);

    let (_, answer) = server.get("/deliveries?outcome=rejected&limit=3").await;
    let mut items = answer["items"].as_array().expect("items").clone();
    assert_eq!(items.len(), 3);
    let next = answer["next"].as_str().expect("two more");
    let (_, answer) = server
        .get(&format!("/deliveries?outcome=rejected&limit=3&cursor={next}"))
        .await;
    assert_eq!(answer["next"], Value::Null);
    items.extend(answer["items"].as_array().expect("items").clone());
    items.reverse();
    let lengths: Vec<u64> = items.iter().filter_map(|item| item["body_bytes"].as_u64()).collect();
    assert_eq!(
        lengths,
        bodies.map(|body| body.len() as u64),
        "the newest first: {items:?}"
    );
    for (item, body) in items.iter().zip(bodies) {
        assert_eq!(item["count"], 3, "{item}");
        assert!(item["received_at"].as_str() < item["last_received_at"].as_str());
        let id = item["id"].as_str().expect("an id");
        let (_, whole) = server.get(&format!("/deliveries/{id}")).await;
        let shown = whole["body"].as_str().expect("its body");
        match whole["body_encoding"].as_str() {
            Some("text") => assert!(body.starts_with(shown.as_bytes())),
            _ => assert_eq!((shown, body), ("//4=", [0xff, 0xfe].as_slice())),
        }
        assert_eq!(whole["body_cut"], json!(body.len() == large.len()));
    }
    assert_eq!(items[0]["problem"], "urn:ticketflow:problem:unreadable-body");
    assert_eq!(items[1]["problem"], "urn:ticketflow:problem:unknown-shape");
    let (status, problem) = server.get("/deliveries/0123").await;
    assert_eq!((status, &problem["field"]), (404, &json!("id")));
}

/// Sends a request of an API client; status and answer.
async fn send(server: &Server, method: &str, path: &str, key: Option<&str>, body: &str) -> (u16, Value) {
    let mut request = server
        .http
        .request(method.parse().expect("a method"), format!("{}{path}", server.api));
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let response = request.body(body.to_owned()).send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_key_is_carried_out_once_and_answered_the_same() {
    let mut server = Server::start();
    let ticket = r#"{"summary":"Disk full","created":"2026-11-21T07:00:00Z","priority":"High"}"#;
    let created = send(&server, "POST", "/tickets", Some("one"), ticket).await;
    assert_eq!((created.0, &created.1["outcome"]), (202, &json!("started")));
    let name = created.1["execution"].as_str().expect("a name").to_owned();
    server.execution(&name, "SUCCEEDED").await;
    assert_eq!(send(&server, "POST", "/tickets", Some("one"), ticket).await, created);
    // Without the key, and with another, it is what it is: known already, as soon as its execution has closed.
    server
        .until("the execution to have closed", || async {
            (send(&server, "POST", "/tickets", None, ticket).await.0 == 200).then_some(())
        })
        .await;
    assert_eq!(send(&server, "POST", "/tickets", Some("two"), ticket).await.0, 200);
    let other = ticket.replace("High", "Low");
    let (status, problem) = send(&server, "POST", "/tickets", Some("one"), &other).await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("urn:ticketflow:problem:key-reused")),
        "{problem}"
    );
    assert_eq!(problem["field"], "Idempotency-Key");

    let path = format!("/tickets/{}", created.1["ticket"].as_str().expect("an id"));
    let edit = r#"{"priority":"Low"}"#;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (http, url) = (server.http.clone(), format!("{}{path}", server.api));
        asked.spawn(async move {
            let request = http.patch(url).header("idempotency-key", "edit").body(edit);
            request
                .send()
                .await
                .expect("an answer")
                .json::<Value>()
                .await
                .expect("JSON")
        });
    }
    let answers = asked.join_all().await;
    let edited = answers[0]["execution"].as_str().expect("a name").to_owned();
    assert!(
        answers.iter().all(|answer| answer["execution"] == edited.as_str()),
        "{answers:?}"
    );
    server.execution(&edited, "SUCCEEDED").await;
    let again = send(&server, "PATCH", &path, None, edit).await;
    assert_ne!(
        again.1["execution"],
        edited.as_str(),
        "without a key it is another request"
    );

    let deleted = send(&server, "DELETE", &path, Some("gone"), "").await;
    assert_eq!(deleted.0, 202);
    server.kill();
    server.restart();
    assert_eq!(send(&server, "DELETE", &path, Some("gone"), "").await, deleted);
    assert_eq!(
        send(&server, "PATCH", &path, Some("edit"), edit).await.1["execution"],
        edited.as_str()
    );
    assert_eq!(send(&server, "DELETE", &path, Some("edit"), "").await.0, 422);
    // What is refused claims no key.
    assert_eq!(send(&server, "POST", "/tickets", Some("three"), "{").await.0, 400);
    let mended = ticket.replace("Disk", "Memory");
    assert_eq!(send(&server, "POST", "/tickets", Some("three"), &mended).await.0, 202);
    assert_eq!(send(&server, "POST", "/tickets", Some(""), ticket).await.0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_finished_is_finished_by_the_same_request_again() {
    // The key is claimed, and then there is nobody to start an execution: as if the function had been killed between.
    let cut_off = Project::copy().function("api", "", &[("AWS_ENDPOINT_URL_SFN", "http://127.0.0.1:9")]);
    let mut server = Server::start();
    let (_, created) = send(
        &server,
        "POST",
        "/tickets",
        None,
        r#"{"summary":"Disk full","created":"2026-11-20T07:00:00Z"}"#,
    )
    .await;
    server
        .execution(created["execution"].as_str().expect("a name"), "SUCCEEDED")
        .await;
    server.kill();
    server.restart_with(&["--template", &cut_off.template()]);
    let path = format!("/tickets/{}", created["ticket"].as_str().expect("an id"));
    let edit = r#"{"priority":"Low"}"#;
    let begun = chrono::Utc::now();
    let (status, problem) = send(&server, "PATCH", &path, Some("cut off"), edit).await;
    assert_eq!(
        (status, &problem["type"]),
        (503, &json!("urn:ticketflow:problem:unavailable"))
    );
    let given_up = chrono::Utc::now();
    server.kill();
    server.restart_with(&[]);
    assert_eq!(
        send(&server, "PATCH", &path, Some("cut off"), r#"{"priority":"High"}"#)
            .await
            .0,
        422,
        "the key is that request's"
    );
    let finished = send(&server, "PATCH", &path, Some("cut off"), edit).await;
    assert_eq!(finished.0, 202, "{}", finished.1);
    server
        .execution(finished.1["execution"].as_str().expect("a name"), "SUCCEEDED")
        .await;
    assert_eq!(send(&server, "PATCH", &path, Some("cut off"), edit).await, finished);
    // It was done once, as of the moment when it was first asked for.
    let (_, history) = server.get(&format!("{path}/history")).await;
    let facts = history["facts"].as_array().expect("facts");
    let changes: Vec<&Value> = facts
        .iter()
        .filter(|fact| fact.to_string().contains("\"Low\""))
        .collect();
    assert_eq!(changes.len(), 1, "{history}");
    let at = changes[0]["observed"].as_str().expect("a moment");
    let at = chrono::DateTime::parse_from_rfc3339(at).expect("a moment");
    assert!(
        begun.timestamp_millis() <= at.timestamp_millis() && at <= given_up,
        "{at}"
    );
}
