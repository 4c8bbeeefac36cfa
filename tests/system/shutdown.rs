//! Stopping: what was begun is finished and answered, and the log is nobody's concern.

use std::process::{Command, Stdio};

use crate::deliveries::Issue;
use crate::server::{SECRET, Server, root, sign, ticketflow};

/// Deliveries under way when the process is asked to end.
const IN_FLIGHT: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_are_answered_before_the_process_ends() {
    let mut server = Server::start();
    let mut posts = tokio::task::JoinSet::new();
    for number in 2_000..2_000 + IN_FLIGHT {
        let body = Issue { number }.created();
        let request = server.http.post(format!("{}/webhooks/jira", server.api));
        let request = request.header("x-hub-signature", sign(SECRET, &body)).body(body);
        posts.spawn(async move { request.send().await.expect("an answer").status().as_u16() });
    }
    // All have been sent when the first comes back: they started together, and each needs the functions to start.
    let first = posts.join_next().await.expect("there are some").expect("it ends");
    let ended = server.terminate();
    let mut statuses = vec![first];
    statuses.extend(posts.join_all().await);
    assert_eq!(statuses, [202; IN_FLIGHT as usize]);
    assert!(ended(&mut server), "it must end as it should");
    server.restart();
    for number in 2_000..2_000 + IN_FLIGHT {
        let path = format!("/tickets/{}", Issue { number }.key());
        server
            .until("the ticket", async || {
                server.get(&path).await.1["state"].as_str().map(str::to_owned)
            })
            .await;
    }
}

#[test]
fn a_log_that_takes_nothing_stops_nothing() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has a device that is full");
    let template = root().join("template.yaml");
    let mut up = Command::new(ticketflow());
    up.args(["up", "--json", "--port", "0", "--aws-port", "0", "--data-dir"])
        .arg(directory.path().join("data"))
        .arg("--template")
        .arg(template)
        .stdout(Stdio::piped())
        .stderr(full);
    let mut child = up.spawn().expect("ticketflow starts");
    let stdout = child.stdout.take().expect("its output");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("its first line");
    assert!(line.contains("\"api\""), "it is ready: {line}");
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    assert!(child.wait().expect("it ends").success());
}
