//! `import`, `export` and `plot`, as a user runs them.

use std::path::Path;

use serde_json::{Value, json};

use crate::server::{Server, lasting, printed, root};

async fn import(server: &Server, file: &Path) -> Value {
    let imported = printed(server.command(&["import", &file.display().to_string()], "--to")).await;
    serde_json::from_str(&imported).expect("JSON")
}

/// All tickets, as they last.
async fn tickets(server: &Server) -> Vec<Value> {
    let (status, page) = server.get("/tickets?order=oldest&limit=200").await;
    assert_eq!((status, &page["next"]), (200, &Value::Null), "{page}");
    let tickets = page["items"].as_array().expect("a list");
    tickets.iter().cloned().map(lasting).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_hour_is_imported_drawn_exported_and_the_same_elsewhere() {
    let server = Server::start();
    let sample = root().join("docs/sample-hour.jsonl");
    let lines = std::fs::read_to_string(&sample).expect("the sample").lines().count();
    let imported = import(&server, &sample).await;
    assert_eq!(
        (&imported["lines"], &imported["new"]),
        (&json!(lines), &json!(lines)),
        "{imported}"
    );
    server.settled().await;
    assert_eq!(
        import(&server, &sample).await["new"],
        0,
        "what is known changes nothing"
    );

    let plot = ["plot", "--hour", "2026-11-21T07:00Z"];
    let drawn = printed(server.command(&plot, "--url")).await;
    let counted: Value = serde_json::from_str(&drawn).expect("JSON");
    assert_eq!(counted["minutes"].as_array().map(Vec::len), Some(60));
    assert!(0 < counted["total"].as_u64().expect("a count"), "{counted}");
    let picture = server.data_dir().join("hour.svg");
    let path = picture.display().to_string();
    let all = ["--priority", "Highest,High,Medium,Low,Lowest", "-o", &path];
    printed(server.command(&[&plot[..], &all[..]].concat(), "--url")).await;
    let svg = std::fs::read_to_string(&picture).expect("a picture");
    let (created, first) = (tickets(&server).await.len(), "Highest (");
    assert!(
        svg.starts_with("<svg") && svg.contains(first) && svg.contains(&format!("{created} in all")),
        "{svg}"
    );

    // What is exported makes the same tickets elsewhere, which are exported the same, byte for byte.
    let file = server.data_dir().join("tickets.jsonl");
    let export = ["export", "-o", &file.display().to_string()];
    printed(server.command(&export, "--url")).await;
    let exported = std::fs::read_to_string(&file).expect("an export");
    assert_eq!(exported.lines().count(), created);
    let other = Server::start();
    import(&other, &file).await;
    other.settled().await;
    assert_eq!(tickets(&other).await, tickets(&server).await);
    assert_eq!(import(&other, &file).await["new"], 0);
    let copy = other.data_dir().join("tickets.jsonl");
    printed(other.command(&["export", "-o", &copy.display().to_string()], "--url")).await;
    assert!(std::fs::read_to_string(&copy).expect("an export") == exported);
    let piped = printed(other.command(&["export"], "--url")).await;
    assert!(piped == exported, "to standard output it is the same");
}
