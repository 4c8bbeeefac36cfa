//! Who may call the API: tokens of the local issuer, as a user mints them.

use std::path::Path;
use std::process::Command;

use axum::Router;
use axum::routing::get;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::deliveries::Issue;
use crate::project::Project;
use crate::server::{Server, ticketflow};

/// Mints a token for a server, with further arguments; what it printed, or its complaint.
fn mint(server: &Server, arguments: &[&str]) -> Result<String, String> {
    mint_in(&server.data_dir(), arguments)
}

fn mint_in(data_dir: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(ticketflow());
    command.arg("token").arg("--data-dir").arg(data_dir).args(arguments);
    let output = command.output().expect("ticketflow runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim().to_owned();
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

/// Asks with this `Authorization`, and no other: status, challenge and body.
async fn ask(server: &Server, method: Method, path: &str, authorization: Option<&str>) -> (StatusCode, String, Value) {
    let mut request = reqwest::Client::new().request(method, format!("{}{path}", server.api));
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let response = request.send().await.expect("an answer");
    let challenge = response.headers().get("www-authenticate");
    let challenge = challenge.map_or("", |value| value.to_str().expect("text")).to_owned();
    let status = response.status();
    (status, challenge, response.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_its_scopes_say_and_nothing_else() {
    let server = Server::start();
    let (status, answer) = server.post(&Issue { number: 90 }.created()).await;
    assert_eq!(status, 202, "{answer}");
    let name = answer["execution"].as_str().expect("the execution's name");
    server.execution(name, "SUCCEEDED").await;

    let (status, challenge, body) = ask(&server, Method::GET, "/tickets/TEST-90", None).await;
    assert_eq!((status, challenge.as_str()), (StatusCode::UNAUTHORIZED, "Bearer"));
    assert_eq!(body, json!({"message": "Unauthorized"}));
    for (method, path) in [
        (Method::POST, "/tickets"),
        (Method::PATCH, "/tickets/TEST-90"),
        (Method::DELETE, "/tickets/TEST-90"),
        (Method::GET, "/executions"),
        (Method::POST, "/executions/x/redrive"),
        (Method::GET, "/health"),
    ] {
        let (status, ..) = ask(&server, method.clone(), path, Some("Bearer of news")).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }

    let read = mint(&server, &["--scope", "ticketflow/tickets.read"]).expect("a token");
    let (status, _, ticket) = ask(
        &server,
        Method::GET,
        "/tickets/TEST-90",
        Some(&format!("Bearer {read}")),
    )
    .await;
    assert_eq!((status, &ticket["key"]), (StatusCode::OK, &json!("TEST-90")));
    let (status, challenge, body) = ask(&server, Method::DELETE, "/tickets/TEST-90", Some(&read)).await;
    assert_eq!(
        (status, &body),
        (StatusCode::FORBIDDEN, &json!({"message": "Forbidden"}))
    );
    assert!(
        challenge.contains(r#"scope="ticketflow/tickets.write" error="insufficient_scope""#),
        "{challenge}"
    );

    let both = [
        "--scope",
        "ticketflow/tickets.write",
        "--scope",
        "ticketflow/executions.redrive",
        "--json",
        "--ttl",
        "5m",
    ];
    let answer: Value = serde_json::from_str(&mint(&server, &both).expect("a token")).expect("JSON");
    assert_eq!(
        (&answer["token_type"], &answer["expires_in"]),
        (&json!("Bearer"), &json!(300))
    );
    let token = answer["access_token"].as_str().expect("the token");
    let (status, _, problem) = ask(
        &server,
        Method::POST,
        &format!("/executions/{name}/redrive"),
        Some(token),
    )
    .await;
    assert_eq!(status, StatusCode::CONFLICT, "it got as far as the function: {problem}");
    let (status, ..) = ask(&server, Method::GET, "/executions", Some(token)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_with_their_time_and_with_their_key() {
    let server = Server::start();
    let scope = ["--scope", "ticketflow/tickets.read"];
    let short = mint(&server, &[&scope[..], &["--ttl", "1s"]].concat()).expect("a token");
    let status = async |token: &str| ask(&server, Method::GET, "/health", Some(token)).await;
    server
        .until("the token to expire", || async {
            let (status, challenge, _) = status(&short).await;
            (status == StatusCode::UNAUTHORIZED && challenge.contains("the token has expired")).then_some(())
        })
        .await;
    let long = mint(&server, &scope).expect("a token");
    assert_eq!(status(&long).await.0, StatusCode::OK);
    std::fs::remove_file(server.data_dir().join("issuer-key.json")).expect("there is a key");
    assert_eq!(status(&long).await.0, StatusCode::UNAUTHORIZED);
    for (arguments, hint) in [
        (&["--scope", "ticketflow/everything"][..], "ticketflow/tickets.read"),
        (&["--scope", "ticketflow/tickets.read", "--ttl", "2d"], "--ttl"),
    ] {
        let complaint = mint(&server, arguments).expect_err("nothing is minted");
        assert!(complaint.contains("error: ") && complaint.contains(hint), "{complaint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_without_authorizer_is_open_on_loopback_and_refused_elsewhere() {
    let text = std::fs::read_to_string(crate::server::root().join("template.yaml")).expect("the template");
    let mut project = Project::copy();
    for line in text
        .lines()
        .filter(|line| line.trim_start().starts_with("Auth: { Authorizer: Jwt"))
    {
        project = project.change_first("template.yaml", &format!("{line}\n"), "");
    }
    let server = Server::start_with(&["--template", &project.template()]);
    assert_eq!(ask(&server, Method::GET, "/health", None).await.0, StatusCode::OK);
    let request = reqwest::Client::new().get(format!("{}/health", server.api));
    let foreign = request
        .header("origin", "https://example.com")
        .send()
        .await
        .expect("an answer");
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);

    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let mut up = Command::new(ticketflow());
    up.args([
        "up",
        "--host",
        "0.0.0.0",
        "--port",
        "0",
        "--aws-port",
        "0",
        "--template",
        &project.template(),
    ]);
    let output = up
        .arg("--data-dir")
        .arg(directory.path())
        .output()
        .expect("ticketflow runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{told}");
    assert!(
        told.contains("no route of the template has an authorizer") && told.contains("hint: "),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_to_all_addresses_the_api_asks_for_tokens_and_the_aws_endpoints_stay_here() {
    let server = Server::start_with(&["--host", "0.0.0.0"]);
    assert!(server.aws.starts_with("http://127.0.0.1:"), "{}", server.aws);
    let port = server.api.rsplit(':').next().expect("a port");
    let request = |token: Option<String>| {
        let request = reqwest::Client::new().get(format!("http://127.0.0.1:{port}/health"));
        // As a name that only its users know.
        let request = request.header("host", "tickets.example.com");
        token
            .into_iter()
            .fold(request, |request, token| request.bearer_auth(token))
            .send()
    };
    assert_eq!(
        request(None).await.expect("an answer").status(),
        StatusCode::UNAUTHORIZED
    );
    let token = mint(&server, &["--scope", "ticketflow/tickets.read"]).expect("a token");
    assert_eq!(request(Some(token)).await.expect("an answer").status(), StatusCode::OK);
    let listening = server.whole_log();
    assert!(
        listening.contains("POST /webhooks/jira"),
        "what is open is told: {listening}"
    );
}

/// An OpenID provider of somebody else's: its keys are those of a data directory that declares another issuer.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_ones_own_is_trusted_instead() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let issuer = format!("http://{}", listener.local_addr().expect("its address"));
    let identity = json!({"issuer": issuer, "client_id": "me", "scopes": ["ticketflow/tickets.read", "other"]});
    std::fs::write(directory.path().join("issuer.json"), identity.to_string()).expect("it is written");
    let provided = |scope: &str| mint_in(directory.path(), &["--scope", scope]).expect("a token");
    let (read, other) = (provided("ticketflow/tickets.read"), provided("other"));
    let key = std::fs::read_to_string(directory.path().join("issuer-key.json")).expect("the provider's key");
    let mut key: Value = serde_json::from_str(&key).expect("JSON");
    let header = read.split('.').next().expect("a header");
    let header = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, header).expect("base64");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    key["kid"] = header["kid"].clone();
    // The public part alone.
    let public = json!({"keys": [{"kty": "RSA", "kid": key["kid"], "n": key["n"], "e": key["e"]}]}).to_string();
    let discovery = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string();
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(async move || discovery))
        .route("/keys", get(async move || public));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let (trusted, audience) = (format!("JwtIssuer={issuer}"), "JwtAudience=you,me");
    let server = Server::start_with(&["--parameter", &trusted, "--parameter", audience]);
    assert_eq!(
        ask(&server, Method::GET, "/health", Some(&read)).await.0,
        StatusCode::OK
    );
    assert_eq!(
        ask(&server, Method::GET, "/health", Some(&other)).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        ask(&server, Method::GET, "/health", None).await.0,
        StatusCode::UNAUTHORIZED
    );
    let complaint = mint(&server, &["--scope", "ticketflow/tickets.read"]).expect_err("it issues nothing itself");
    assert!(complaint.contains("there is no local issuer"), "{complaint}");

    let ticketflow = |token: Option<&str>| {
        let mut command = Command::new(ticketflow());
        command
            .args(["executions", "--url", &server.api, "--data-dir"])
            .arg(server.data_dir());
        command
            .env_remove("TICKETFLOW_TOKEN")
            .envs(token.map(|token| ("TICKETFLOW_TOKEN", token)));
        let output = command.output().expect("ticketflow runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (succeeded, told) = ticketflow(Some(&read));
    assert!(succeeded, "{told}");
    let (succeeded, told) = ticketflow(None);
    assert!(
        !succeeded && told.contains("401") && told.contains("TICKETFLOW_TOKEN"),
        "{told}"
    );
}
