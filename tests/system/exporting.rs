//! `export` and `import` where something goes wrong: killed at any moment, and lines that nobody can read.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use system_tests::listener::{Asked, Listener};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::server::{SECRET, printed, run, ticketflow};

const TICKETS: usize = 7;
const PAGE: usize = 2;

fn ticket(number: usize) -> Value {
    json!({ "id": format!("jira.example.com~{number}"), "key": format!("SHOP-{number}") })
}

/// The API, as far as an export asks it: pages of tickets, and histories of two pages.
fn answer(path: &str) -> (u16, Value) {
    if let Some(rest) = path.strip_prefix("/tickets/jira.example.com~") {
        let (number, rest) = rest.split_once("/history").expect("a history");
        let fact = |part: &str| json!([{ "fact": "made up", "of": number, "part": part }]);
        return (
            200,
            match rest {
                "" => json!({ "facts": fact("first"), "next": "second", "texts": {} }),
                "?cursor=second" => json!({ "facts": fact("second"), "next": null, "texts": {} }),
                other => panic!("{other} is no page of a history"),
            },
        );
    }
    let (path, cursor) = path.split_once("&cursor=").unwrap_or((path, "0"));
    assert_eq!(path, "/tickets?order=oldest&limit=200&project=SHOP");
    let first: usize = cursor.parse().expect("a cursor");
    let end = (first + PAGE).min(TICKETS);
    let items: Vec<Value> = (first..end).map(ticket).collect();
    let next = (end < TICKETS).then(|| end.to_string());
    (200, json!({ "items": items, "next": next }))
}

fn export(url: &str, file: &Path, data: &TempDir) -> Command {
    let mut command = Command::new(ticketflow());
    command
        .args(["export", "--project", "SHOP", "--url", url, "--data-dir"])
        .arg(data.path())
        .arg("-o")
        .arg(file)
        .env_remove("TICKETFLOW_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_may_be_killed_at_any_moment_and_repeated() {
    let directory = TempDir::new().expect("a directory");
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = asked.clone();
    let listener = Listener::start(([127, 0, 0, 1], 0).into(), move |request: &Asked| {
        counting.fetch_add(1, Ordering::Relaxed);
        Some(answer(&request.path))
    })
    .await;
    let address = listener.address;
    let url = listener.url();
    let whole = directory.path().join("whole.jsonl");
    assert!(run(export(&url, &whole, &directory)).await.status.success());
    let whole = std::fs::read_to_string(&whole).expect("an export");
    assert_eq!(whole.lines().count(), TICKETS);
    let requests = asked.load(Ordering::Relaxed);
    listener.stop().await;

    for stuck_at in 1..=requests {
        let file = directory.path().join(format!("{stuck_at}.jsonl"));
        let (count, is_stuck) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let stuck = is_stuck.clone();
        let listener = Listener::start(address, move |request: &Asked| {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            if number == stuck_at {
                stuck.notify_one();
            }
            (number < stuck_at).then(|| answer(&request.path))
        })
        .await;
        let mut child = export(&url, &file, &directory).spawn().expect("ticketflow runs");
        is_stuck.notified().await;
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        assert!(!file.exists(), "what is not whole has no name");
        listener.stop().await;

        asked.store(0, Ordering::Relaxed);
        let counting = asked.clone();
        let listener = Listener::start(address, move |request: &Asked| {
            counting.fetch_add(1, Ordering::Relaxed);
            Some(answer(&request.path))
        })
        .await;
        assert!(run(export(&url, &file, &directory)).await.status.success());
        listener.stop().await;
        assert_eq!(
            std::fs::read_to_string(&file).expect("an export"),
            whole,
            "killed at request {stuck_at}"
        );
        // A page, its tickets, and what of it was not answered: no more is asked again.
        let again = asked.load(Ordering::Relaxed) + stuck_at - 1 - requests;
        assert!(again <= 2 * PAGE, "{again} requests again, killed at {stuck_at}");
    }
    let left: BTreeSet<_> = std::fs::read_dir(directory.path())
        .expect("a folder")
        .map(|file| file.expect("a file").path().extension().map(|name| name.to_owned()))
        .collect();
    assert_eq!(
        left,
        BTreeSet::from([Some("jsonl".into())]),
        "nothing is left lying about"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_nobody_can_read_is_named_with_what_to_do() {
    let directory = TempDir::new().expect("a directory");
    let listener = Listener::start(([127, 0, 0, 1], 0).into(), |asked: &Asked| {
        let is_odd = asked.body.starts_with(b"{\"odd\"");
        Some(match is_odd {
            true => (400, json!({ "detail": "the body is JSON, but no shape of an issue" })),
            false => (202, json!({ "outcome": "started" })),
        })
    })
    .await;
    let file = directory.path().join("lines.jsonl");
    let good = r#"{"summary": "x", "created": "2026-03-02T08:00:00Z"}"#;
    let import = || {
        let mut command = Command::new(ticketflow());
        command
            .args(["import", "--json", "--to", &listener.url(), "--data-dir"])
            .arg(directory.path())
            .arg(&file)
            .env("JIRA_WEBHOOK_SECRET", SECRET)
            .env_remove("TICKETFLOW_URL")
            .stdin(Stdio::null());
        command
    };
    for (broken, why) in [
        ("{\"summary\"", "it is not JSON"),
        ("[1, 2]", "neither a ticket of an export nor a delivery"),
        ("\u{feff}{}", "it is not JSON"),
        (r#"{"ticket": "nowhere", "facts": []}"#, "it is no ticket of an export"),
        (r#"{"odd": 1}"#, "no shape of an issue"),
    ] {
        std::fs::write(&file, format!("{good}\n\n{broken}\n{good}\n")).expect("a file");
        let output = run(import()).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{broken}");
        assert!(
            said.contains("line 3") && said.contains(why) && said.contains("hint: mend that line"),
            "{broken}: {said}"
        );
        assert!(output.stdout.is_empty(), "{broken}: {output:?}");
    }
    std::fs::write(&file, [good.as_bytes(), b"\n\xff\xfe\n"].concat()).expect("a file");
    let said = String::from_utf8_lossy(&run(import()).await.stderr).into_owned();
    assert!(said.contains("line 2"), "{said}");
    // The last line may end without a newline.
    std::fs::write(&file, format!("{good}\n{good}")).expect("a file");
    let printed: Value = serde_json::from_str(&printed(import()).await).expect("JSON");
    assert_eq!(printed, json!({ "lines": 2, "events": 2, "new": 2 }));
}
