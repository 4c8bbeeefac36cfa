//! `create-tickets`, as a user runs it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};
use system_tests::listener::{Asked, Listener};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::server::{SECRET, printed, root, run, sign, ticketflow};

const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);
const HOUR_MS: i64 = 3_600_000;

fn create(arguments: &[&str]) -> Command {
    let mut command = Command::new(ticketflow());
    command
        .arg("create-tickets")
        .args(arguments)
        .env("JIRA_WEBHOOK_SECRET", SECRET)
        .env_remove("TICKETFLOW_URL")
        .stdin(Stdio::null());
    command
}

/// The deliveries of a dry run, a line each.
async fn lines(arguments: &[&str]) -> String {
    printed(create(&[&["--dry-run"], arguments].concat())).await
}

async fn dry_run(arguments: &[&str]) -> Vec<Value> {
    let printed = printed(create(&[&["--dry-run"], arguments].concat())).await;
    let lines = printed
        .lines()
        .map(|line| serde_json::from_str(line).expect("a delivery"));
    lines.collect()
}

/// A webhook that takes everything that is signed, and what it took.
struct Webhook {
    listener: Listener,
    taken: Arc<Mutex<Vec<Value>>>,
    count: watch::Receiver<usize>,
}

impl Webhook {
    async fn start(address: std::net::SocketAddr) -> Self {
        let taken: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (counter, count) = watch::channel(0);
        let keeping = taken.clone();
        let listener = Listener::start(address, move |asked: &Asked| {
            assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/webhooks/jira"));
            if asked.signature.as_deref() != Some(&sign(SECRET, &asked.body)) {
                return Some((401, json!({ "message": "Unauthorized" })));
            }
            let mut taken = keeping.lock().expect("nobody panics with it");
            taken.push(serde_json::from_slice(&asked.body).expect("JSON"));
            counter.send_replace(taken.len());
            Some((202, json!({ "outcome": "started" })))
        });
        Self {
            listener: listener.await,
            taken,
            count,
        }
    }

    async fn has_taken(&mut self, count: usize) {
        self.count.wait_for(|taken| count <= *taken).await.expect("it listens");
    }
}

fn started(arguments: &[&str], to: &str, data_dir: &TempDir) -> Child {
    let mut command = create(arguments);
    command.args(["--to", to, "--json", "--data-dir"]).arg(data_dir.path());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("ticketflow runs")
}

/// What it printed at its end.
async fn result(child: Child) -> Value {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().expect("it ends"));
    let output = output.await.expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_makes_the_same_deliveries_at_the_rate_asked_for() {
    let start = "2026-03-02T08:00:00Z";
    let begun: i64 = start.parse::<ticket::Time>().expect("a time").millis();
    let asked = ["--hours", "40", "--rate", "100", "--start", start, "--seed", "7"];
    let first = lines(&asked).await;
    let mut other = asked;
    other[7] = "8";
    assert!(first != lines(&other).await, "another seed");
    let same = ["--hours", "40", "--start", start, "--seed", "7"];
    assert!(
        first == lines(&same).await,
        "the same seed, and a hundred an hour by itself"
    );
    let bodies = first
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a delivery"));
    let mut hours = BTreeMap::new();
    for body in bodies.filter(|body| body["webhookEvent"] == "jira:issue_created") {
        let at = body["timestamp"].as_i64().expect("a time") - begun;
        assert!((0..40 * HOUR_MS).contains(&at));
        *hours.entry(at / HOUR_MS).or_insert(0) += 1;
    }
    // 4,000 tickets: a standard deviation is 63 of them.
    let tickets: i32 = hours.values().sum();
    assert!((3_800..=4_200).contains(&tickets), "{tickets} tickets in 40 hours");
    // Of a Poisson process the counts of the hours vary as much as they are; of an even one, not at all.
    let variance = hours.values().map(|count| f64::from(*count - 100).powi(2)).sum::<f64>() / 40.0;
    assert!((50.0..170.0).contains(&variance), "{variance}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_hour_is_the_one_that_the_readme_says() {
    let asked = ["--hours", "1", "--seed", "7", "--start", "2026-11-21T07:00:00Z"];
    let sample = std::fs::read_to_string(root().join("docs/sample-hour.jsonl")).expect("the sample");
    assert!(lines(&asked).await == sample);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_as_fast_as_asked_for_and_deliveries_are_signed_and_whole() {
    let mut webhook = Webhook::start(ANY_PORT.into()).await;
    let data = TempDir::new().expect("a directory");
    let asked = "--hours 1 --speed 1800 --rate 60 --seed 7 --start 2026-03-02T08:00:00Z";
    let asked: Vec<&str> = asked.split(' ').collect();
    let expected = dry_run(&asked).await;
    let begun = Instant::now();
    let result = result(started(&asked, &webhook.listener.url(), &data)).await;
    let took = begun.elapsed();
    webhook.has_taken(expected.len()).await;
    let mut taken = webhook.taken.lock().expect("nobody panics with it").clone();
    taken.sort_by_key(|body| (body["timestamp"].as_i64(), body["changelog"]["id"].to_string()));
    let mut sorted = expected.clone();
    sorted.sort_by_key(|body| (body["timestamp"].as_i64(), body["changelog"]["id"].to_string()));
    assert!(taken == sorted, "what a dry run shows is what is sent");
    let tickets = expected
        .iter()
        .filter(|body| body["webhookEvent"] == "jira:issue_created");
    assert_eq!(
        (&result["sent"], &result["tickets"]),
        (&json!(expected.len()), &json!(tickets.count()))
    );
    // An hour in two seconds: what was last was not sent before its time.
    let begun: i64 = "2026-03-02T08:00:00Z".parse::<ticket::Time>().expect("a time").millis();
    let last = expected
        .iter()
        .filter_map(|body| body["timestamp"].as_i64())
        .max()
        .expect("a delivery");
    let due = (last - begun) as f64 / 1_800.0;
    assert!(due <= took.as_secs_f64() * 1_000.0, "{took:?} instead of {due} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticketflow_may_be_away_for_a_while() {
    let mut webhook = Webhook::start(ANY_PORT.into()).await;
    let (address, data) = (webhook.listener.address, TempDir::new().expect("a directory"));
    let asked = "--hours 1 --speed 900 --rate 120 --seed 7 --start 2026-03-02T08:00:00Z";
    let asked: Vec<&str> = asked.split(' ').collect();
    let expected = dry_run(&asked).await;
    let mut child = started(&asked, &webhook.listener.url(), &data);
    webhook.has_taken(5).await;
    webhook.listener.stop().await;
    // It says so, and is answered again.
    let mut errors = BufReader::new(child.stderr.take().expect("its errors are piped"));
    let (said, mut errors) = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        errors.read_line(&mut line).expect("text");
        (line, errors)
    })
    .await
    .expect("a line");
    assert!(said.contains("does not answer any more; it is tried again"), "{said}");
    let before = webhook.taken.lock().expect("nobody panics with it").clone();
    let again = Webhook::start(address).await;
    let draining = std::thread::spawn(move || {
        let mut rest = String::new();
        errors.read_to_string(&mut rest).map(|_| rest)
    });
    let result = result(child).await;
    assert_eq!(result["sent"], expected.len());
    let rest = draining.join().expect("it ends").expect("text");
    assert_eq!(rest, "", "it was said once");
    let after = again.taken.lock().expect("nobody panics with it").clone();
    for body in &expected {
        assert!(before.contains(body) || after.contains(body), "it is lost: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_seen_enough_may_stop_it() {
    let mut webhook = Webhook::start(ANY_PORT.into()).await;
    let data = TempDir::new().expect("a directory");
    let child = started(&["--rate", "100000", "--seed", "7"], &webhook.listener.url(), &data);
    webhook.has_taken(3).await;
    let stopped = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(stopped.expect("kill runs").success());
    let result = result(child).await;
    assert!(3 <= result["sent"].as_u64().expect("a count"), "{result}");

    let mut child = create(&["--dry-run", "--hours", "1000", "--seed", "7"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ticketflow runs");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("its output is piped"));
    out.read_line(&mut line).expect("a line");
    drop(out);
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().expect("it ends"));
    let output = output.await.expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_told_at_once() {
    for wrong in [
        "--rate 0",
        "--rate -5",
        "--rate NaN",
        "--rate 1e-300",
        "--rate inf",
        "--speed 0",
        "--speed 1e-300",
        "--hours 0",
        "--hours 1e300",
        "--count 0",
        "--lose 1.5",
        "--double NaN",
        "--delay-minutes -1",
        "--start yesterday",
        "--seed x",
        "--jira http://127.0.0.1:1 --lose 0.1",
        "--jira http://127.0.0.1:1 --dry-run",
        "--issue-type Bug",
    ] {
        let output = run(create(&wrong.split(' ').collect::<Vec<_>>())).await;
        assert_eq!(output.status.code(), Some(2), "{wrong}: {output:?}");
        assert!(
            output.stdout.is_empty() && !output.stderr.contains(&0x1b),
            "{wrong}: {output:?}"
        );
    }
    let mut foreign = create(&["--jira", "http://jira.example.com", "--count", "1"]);
    foreign.env("JIRA_TOKEN", "me:geheim");
    let output = run(foreign).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("in the clear"), "{said}");
    assert!(!said.contains("geheim"), "{said}");
}
