//! `import`, `export` and `plot`, as a user runs them.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::server::{SECRET, Server, root, ticketflow};

fn run(server: &Server, arguments: &[&str], address: &str) -> Output {
    Command::new(ticketflow())
        .args(arguments)
        .args([address, &server.api, "--json", "--data-dir"])
        .arg(server.data_dir())
        .env("JIRA_WEBHOOK_SECRET", SECRET)
        .env_remove("TICKETFLOW_URL")
        .stdin(Stdio::null())
        .output()
        .expect("ticketflow runs")
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn import(server: &Server, file: &Path) -> Value {
    let output = run(server, &["import", &file.display().to_string()], "--to");
    serde_json::from_str(&succeeded(&output)).expect("JSON")
}

async fn settled(server: &Server) {
    server
        .until("all executions to end", || async {
            let (_, running) = server.get("/executions?status=RUNNING").await;
            let listed = running.get("items").or(running.get("executions"));
            let listed = listed.and_then(Value::as_array).expect("a list");
            listed.is_empty().then_some(())
        })
        .await;
}

/// All tickets, but for when and by which execution they came to be as they are.
async fn tickets(server: &Server) -> Vec<Value> {
    let (status, page) = server.get("/tickets?order=oldest&limit=200").await;
    assert_eq!((status, &page["next"]), (200, &Value::Null), "{page}");
    let mut tickets = page["items"].as_array().expect("a list").clone();
    for ticket in &mut tickets {
        let fields = ticket.as_object_mut().expect("a ticket");
        for of_the_moment in [
            "updated_at",
            "last_execution",
            "as_of",
            "age_ms",
            "open_time_ms",
            "active_time_ms",
            "time_in_status_ms",
            "business",
        ] {
            fields.remove(of_the_moment);
        }
    }
    tickets
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_hour_is_imported_drawn_exported_and_the_same_elsewhere() {
    let server = Server::start();
    let sample = root().join("docs/sample-hour.jsonl");
    let lines = std::fs::read_to_string(&sample).expect("the sample").lines().count();
    let imported = import(&server, &sample);
    assert_eq!(
        (&imported["lines"], &imported["new"]),
        (&json!(lines), &json!(lines)),
        "{imported}"
    );
    settled(&server).await;
    assert_eq!(import(&server, &sample)["new"], 0, "what is known changes nothing");

    let drawn = run(&server, &["plot", "--hour", "2026-11-21T07:00Z"], "--url");
    let counted: Value = serde_json::from_str(&succeeded(&drawn)).expect("JSON");
    assert_eq!(counted["minutes"].as_array().map(Vec::len), Some(60));
    assert!(0 < counted["total"].as_u64().expect("a count"), "{counted}");
    let picture = server.data_dir().join("hour.svg");
    let all = "Highest,High,Medium,Low,Lowest";
    let drawn = Command::new(ticketflow())
        .args([
            "plot",
            "--hour",
            "2026-11-21T07:00Z",
            "--priority",
            all,
            "--url",
            &server.api,
            "--data-dir",
        ])
        .arg(server.data_dir())
        .arg("-o")
        .arg(&picture)
        .output()
        .expect("ticketflow runs");
    succeeded(&drawn);
    let svg = std::fs::read_to_string(&picture).expect("a picture");
    let (created, first) = (tickets(&server).await.len(), "Highest (");
    assert!(
        svg.starts_with("<svg") && svg.contains(first) && svg.contains(&format!("{created} in all")),
        "{svg}"
    );

    // An export that was killed goes on; what it gives makes the same tickets elsewhere.
    let file = server.data_dir().join("tickets.jsonl");
    let export = ["export", "-o", &file.display().to_string()];
    succeeded(&run(&server, &export, "--url"));
    let exported = std::fs::read_to_string(&file).expect("an export");
    assert_eq!(exported.lines().count(), created);
    let other = Server::start();
    import(&other, &file);
    settled(&other).await;
    assert_eq!(tickets(&other).await, tickets(&server).await);
    assert_eq!(import(&other, &file)["new"], 0);
}
