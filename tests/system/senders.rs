//! The webhook's senders: how each proves itself, what a replay comes to, and that no log tells what they know.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::deliveries::Issue;
use crate::project::Project;
use crate::server::{SECRET, Server, sign};

const KEY: &str = "the-key-of-the-signature";
const APP: &str = "the-secret-of-the-app";
const BEARER: &str = "the-token-of-a-sender-that-cannot-sign";
const URL: &str = "the-token-of-a-sender-that-has-a-URL-only";

/// What a secret that takes every proof holds.
fn all() -> String {
    json!({"signature": KEY, "jwt": APP, "bearer": BEARER, "url": URL}).to_string()
}

/// The token that Atlassian sends with an app's webhooks.
fn jwt(secret: &str) -> String {
    let claims = json!({"iss": "site", "exp": chrono::Utc::now().timestamp() + 180});
    let parts = [json!({"alg": "HS256", "typ": "JWT"}), claims];
    let signed = parts
        .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(signed.as_bytes());
    format!(
        "{signed}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    )
}

/// Posts a delivery that `prove` adds a proof to; status and answer.
async fn post(server: &Server, body: &[u8], prove: impl FnOnce(RequestBuilder) -> RequestBuilder) -> (u16, Value) {
    post_to(server, "/webhooks/jira", body, prove).await
}

async fn post_to(
    server: &Server,
    path: &str,
    body: &[u8],
    prove: impl FnOnce(RequestBuilder) -> RequestBuilder,
) -> (u16, Value) {
    // Without the token that the server's own client has.
    let request = reqwest::Client::new().post(format!("{}{path}", server.api));
    let request = prove(request.header("content-type", "application/json").body(body.to_vec()));
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

/// The webhook's secret changes, and its function hears of it.
async fn rotate(server: &Server, secret: &str) {
    server.put_secret("WebhookSecret", secret).await;
    server.kill_functions("webhook");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sender_proves_itself_its_own_way_and_replays_are_duplicates() {
    let server = Server::start_in(&[("JIRA_WEBHOOK_SECRET", &all())], &[]);
    let body = Issue { number: 95 }.created();
    let signed = |key: &str| {
        let signature = sign(key, &body);
        move |request: RequestBuilder| request.header("x-hub-signature", signature)
    };
    let authorized = |value: String| move |request: RequestBuilder| request.header("authorization", value);
    let with_url = async |token: &str| {
        let path = format!("/webhooks/jira?token={token}");
        post_to(&server, &path, &body, |request| request).await
    };

    let (status, first) = post(&server, &body, signed(KEY)).await;
    assert_eq!(status, 202, "{first}");
    let name = first["execution"].as_str().expect("the execution's name");
    server.execution(name, "SUCCEEDED").await;
    // Its progress is written a moment before it closes, and until then it is not a duplicate but the same.
    server
        .until("the execution to close", || async {
            let signature = sign(KEY, &body);
            let (status, _) = post(&server, &body, |request| request.header("x-hub-signature", signature)).await;
            (status == 200).then_some(())
        })
        .await;
    let (_, history) = server.get("/tickets/TEST-95/history").await;

    let again = [
        post(&server, &body, signed(KEY)).await,
        post(&server, &body, authorized(format!("JWT {}", jwt(APP)))).await,
        post(&server, &body, authorized(format!("Bearer {}", jwt(APP)))).await,
        post(&server, &body, authorized(format!("Bearer {BEARER}"))).await,
        with_url(URL).await,
    ];
    for (status, answer) in again {
        assert_eq!((status, &answer["outcome"]), (200, &json!("duplicate")), "{answer}");
        assert_eq!(answer["execution"], first["execution"]);
    }
    assert_eq!(
        server.get("/tickets/TEST-95/history").await.1,
        history,
        "nothing has changed"
    );

    let refused = [
        post(&server, &body, |request| request).await,
        post(&server, &body, signed(SECRET)).await,
        post(&server, &body, authorized(format!("JWT {}", jwt(KEY)))).await,
        post(&server, &body, authorized(format!("Bearer {URL}"))).await,
        post(&server, &body, authorized(format!("Basic {BEARER}"))).await,
        with_url(BEARER).await,
    ];
    for (number, (status, problem)) in refused.into_iter().enumerate() {
        assert_eq!(status, 401, "{number}: {problem}");
        assert_eq!(problem["type"], "urn:ticketflow:problem:bad-signature", "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_without_losing_a_delivery() {
    let server = Server::start();
    let body = Issue { number: 96 }.created();
    let with = async |key: &str| {
        let signature = sign(key, &body);
        post(&server, &body, |request| request.header("x-hub-signature", signature))
            .await
            .0
    };
    assert_eq!((with(SECRET).await, with(KEY).await), (202, 401));
    rotate(&server, KEY).await;
    assert!([200, 202].contains(&with(KEY).await), "the new one counts");
    assert!(
        [200, 202].contains(&with(SECRET).await),
        "and the one before it, for a day"
    );
    rotate(&server, "the next one").await;
    assert!([200, 202].contains(&with(KEY).await));
    assert_eq!(with(SECRET).await, 401, "but not the one before that");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_tells_a_secret_or_a_token() {
    let environment = [("JIRA_WEBHOOK_SECRET", &*all()), ("RUST_LOG", "debug")];
    // The functions that are told secrets and tokens tell all that they can.
    let talkative = [("RUST_LOG", "trace")];
    let project = ["webhook", "api", "read", "redrive"]
        .into_iter()
        .fold(Project::copy(), |project, function| {
            project.function(function, "", &talkative)
        });
    let mut server = Server::start_in(&environment, &["--template", &project.template()]);
    let tokens = [
        crate::server::token(&server.data_dir()).expect("a token"),
        jwt(APP),
        jwt("another secret"),
    ];
    let foreign = ["of-somebody-unknown", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9."];
    let everything: Vec<&str> = tokens
        .iter()
        .map(String::as_str)
        .chain([KEY, APP, BEARER, URL])
        .chain(foreign)
        .collect();
    let api = &server.api;
    let client = reqwest::Client::new();
    // Each of them wherever a client may put it, right or wrong there, on routes of all kinds.
    for secret in &everything {
        for path in [
            "/webhooks/jira",
            "/tickets",
            "/tickets/TEST-97",
            "/executions/x/redrive",
            "/nowhere",
        ] {
            let requests = [
                client
                    .post(format!("{api}{path}"))
                    .header("authorization", format!("Bearer {secret}")),
                client.get(format!("{api}{path}")).header("authorization", *secret),
                client.post(format!("{api}{path}?token={secret}")),
                client.get(format!("{api}{path}?cursor={secret}")),
                client
                    .post(format!("{api}{path}"))
                    .header("x-hub-signature", format!("sha256={secret}")),
            ];
            for request in requests {
                let body = json!({"summary": "x", "password": secret}).to_string();
                request.body(body).send().await.expect("an answer");
            }
        }
    }
    rotate(&server, &json!({"bearer": BEARER}).to_string()).await;
    let (status, answer) = post(&server, &Issue { number: 97 }.created(), |request| {
        request.bearer_auth(BEARER)
    })
    .await;
    assert_eq!(status, 202, "{answer}");
    let stopped = server.terminate();
    assert!(stopped(&mut server));
    let log = server.whole_log();
    assert!(
        log.contains("DEBUG") && log.contains("TRACE"),
        "the log is the whole log"
    );
    let key = std::fs::read_to_string(server.data_dir().join("issuer-key.json")).expect("the issuer's key");
    let key: Value = serde_json::from_str(&key).expect("JSON");
    let parts = ["d", "p", "q"].map(|part| key[part].as_str().expect("a number"));
    for secret in everything.into_iter().chain(parts) {
        assert!(!log.contains(secret), "{secret}");
        let signature = secret
            .rsplit('.')
            .next()
            .filter(|part| !part.is_empty())
            .unwrap_or(secret);
        assert!(!log.contains(signature), "a part of {secret}");
    }
}
