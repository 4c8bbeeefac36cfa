//! `create-tickets` and `fetch-tickets`, as a user runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jira::Deployment;
use jira::made::{Issue, Stories};
use serde_json::{Value, json};
use system_tests::listener::{Asked, Listener};
use system_tests::stand_in::{StandIn, Trouble};
use tempfile::TempDir;
use ticket::{Fact, Time};
use tokio::sync::Notify;

use crate::server::{SECRET, Server, printed, run, sign, ticketflow};

const SEED: u64 = 7;
const START: &str = "2026-03-02T08:00:00Z";
const TICKETS: u64 = 60;
const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// The issues that `create-tickets` makes with the arguments of [`create`].
fn issues() -> BTreeMap<u64, Issue> {
    let start: Time = START.parse().expect("a time");
    let end = start.saturating_add(3 * 3_600_000);
    let happenings = Stories::new(SEED, start, 100.0, "SHOP").take_while(|happening| happening.at < end);
    let issues = happenings.map(|happening| (happening.issue.id, happening.issue));
    issues.filter(|(_, issue)| issue.number <= TICKETS).collect()
}

fn command(server: &Server, jira: &StandIn, arguments: &[&str]) -> Command {
    let mut command = server.command(arguments, "--to");
    command.env("JIRA_TOKEN", jira.credential());
    command
}

async fn result(command: Command) -> Value {
    serde_json::from_str(&printed(command).await).expect("JSON")
}

fn create<'a>(site: &'a str, lose: &'a str) -> Vec<&'a str> {
    let fixed = "create-tickets --seed 7 --start 2026-03-02T08:00:00Z --count 60 --hours 3 --speed 1000000";
    let disturbed = [
        "--lose",
        lose,
        "--delay",
        "0.2",
        "--double",
        "0.1",
        "--disorder",
        "0.2",
        "--site",
        site,
    ];
    fixed.split(' ').chain(disturbed).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_on_the_way_is_fetched_and_a_killed_fetch_goes_on() {
    let server = Server::start();
    let jira = StandIn::start(Deployment::Cloud, 0).await.expect("a JIRA");
    let issues = issues();
    jira.held().issues = issues.clone();

    let created = result(command(&server, &jira, &create(&jira.url, "0.3"))).await;
    assert_eq!(created["seed"], SEED);
    assert!(TICKETS / 2 < created["tickets"].as_u64().expect("a count"));
    server.settled().await;

    // Killed after a few pages, it goes on behind them.
    let fetch = [
        "fetch-tickets",
        "--jira",
        &jira.url,
        "--jql",
        "project = SHOP",
        "--page",
        "5",
    ];
    let searches = || {
        jira.held()
            .requests
            .iter()
            .filter(|request| request.ends_with("/search/jql"))
            .count()
    };
    let mut killed = command(&server, &jira, &fetch)
        .stdout(Stdio::null())
        .spawn()
        .expect("ticketflow runs");
    server
        .until("some pages to be fetched", || async { (3 < searches()).then_some(()) })
        .await;
    killed.kill().expect("it can be killed");
    killed.wait().expect("it ends");
    let before = searches();
    let fetched = result(command(&server, &jira, &fetch)).await;
    assert_eq!(fetched["fetched"], issues.len());
    let pages = issues.len().div_ceil(5);
    assert!(searches() - before < pages, "it began anew");
    server.settled().await;

    // What was fetched is known, however it was killed.
    let again = result(command(&server, &jira, &fetch)).await;
    assert_eq!((&again["fetched"], &again["new"]), (&issues.len().into(), &0.into()));
    for issue in issues.values() {
        let (status, ticket) = server.get(&format!("/tickets/{}", issue.key())).await;
        assert_eq!(status, 200, "{ticket}");
        assert_eq!(ticket["state"] == "closed", issue.status.is_done(), "{ticket}");
        assert_eq!(ticket["flags"], serde_json::json!([]), "{ticket}");
        let moves = issue
            .histories
            .iter()
            .filter(|history| history.items[0].field == "status")
            .count();
        let (_, history) = server.get(&format!("/tickets/{}/history", issue.key())).await;
        assert_eq!(
            history["history"].as_array().map(Vec::len),
            Some(moves + 1),
            "{history}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_created_in_a_jira_and_without_a_credential_nothing_is() {
    let server = Server::start();
    let jira = StandIn::start(Deployment::DataCenter, 0).await.expect("a JIRA");
    let into_jira: Vec<&str> = "create-tickets --seed 7 --count 20 --hours 10 --speed 1000000 --jira"
        .split(' ')
        .collect();
    let into_jira = [&into_jira[..], &[jira.url.as_str()]].concat();
    let result = result(command(&server, &jira, &into_jira)).await;
    assert_eq!(result["tickets"], 20);
    let held = jira.held().issues.clone();
    assert_eq!(held.len(), 20);
    assert!(held.values().any(|issue| issue.status.is_done()));

    let mut anonymous = command(&server, &jira, &["fetch-tickets", "--jira", &jira.url]);
    anonymous.env_remove("JIRA_TOKEN");
    let output = run(anonymous).await;
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && err.contains("hint: set it to email:token"),
        "{err}"
    );
}

/// What a Ticketflow keeps, as far as a fetch asks it: facts and texts by the path of a ticket's history.
type Kept = Arc<Mutex<BTreeMap<String, (BTreeSet<Fact>, Value)>>>;

/// A Ticketflow that keeps what it is told, and answers no more from its request number `until` on.
async fn keeping(address: SocketAddr, kept: &Kept, until: usize, stuck: &Arc<Notify>) -> Listener {
    let (kept, stuck, count) = (kept.clone(), stuck.clone(), AtomicUsize::new(0));
    Listener::start(address, move |asked: &Asked| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        if number == until {
            stuck.notify_one();
        }
        if until <= number {
            return None;
        }
        let mut kept = kept.lock().expect("nobody panics with it");
        if asked.method == "GET" {
            return Some(match kept.get(&asked.path) {
                Some((facts, texts)) => (200, json!({ "facts": facts, "texts": texts, "next": null })),
                None => (404, json!({ "detail": "there is no such ticket" })),
            });
        }
        assert_eq!(asked.signature.as_deref(), Some(sign(SECRET, &asked.body).as_str()));
        let body: Value = serde_json::from_slice(&asked.body).expect("JSON");
        let event = &body["ticketEvent"];
        let site = event["site"].as_str().expect("a site").replace(':', "%3A");
        let issue = event["issue"].as_str().expect("an issue");
        let (facts, texts) = kept.entry(format!("/tickets/{site}~{issue}/history")).or_default();
        facts.extend(serde_json::from_value::<Vec<Fact>>(event["facts"].clone()).expect("facts"));
        texts.clone_from(&event["texts"]);
        Some((202, json!({ "outcome": "started" })))
    })
    .await
}

fn fetch(jira: &StandIn, to: &Listener, data: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(ticketflow());
    command
        .args([
            "fetch-tickets",
            "--jira",
            &jira.url,
            "--to",
            &to.url(),
            "--json",
            "--data-dir",
        ])
        .arg(data.path())
        .args(arguments)
        .env("JIRA_WEBHOOK_SECRET", SECRET)
        .env("JIRA_TOKEN", jira.credential())
        .env("RUST_LOG", "trace")
        .env_remove("TICKETFLOW_URL")
        .stdin(Stdio::null());
    command
}

/// A JIRA in trouble, whose issues begin with some that are older than others.
async fn troubled(deployment: Deployment) -> StandIn {
    let jira = StandIn::start(deployment, 0).await.expect("a JIRA");
    let mut held = jira.held();
    held.issues = issues().into_iter().take(12).collect();
    held.trouble = Trouble {
        throttle_every: 7,
        tear_every: 11,
        changes: 1,
        ..Trouble::default()
    };
    drop(held);
    jira
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_may_be_killed_at_any_moment_and_repeated() {
    for deployment in [Deployment::Cloud, Deployment::DataCenter] {
        let jira = troubled(deployment).await;
        let (never, page) = (Arc::new(Notify::new()), ["--page", "4"]);
        let whole = Kept::default();
        let (data, to) = (
            TempDir::new().expect("a directory"),
            keeping(ANY_PORT.into(), &whole, usize::MAX, &never).await,
        );
        let fetched = result(fetch(&jira, &to, &data, &page)).await;
        assert_eq!(
            fetched,
            json!({ "fetched": 12, "new": 12, "events": 12, "unreadable": 0 })
        );
        let again = result(fetch(&jira, &to, &data, &page)).await;
        assert_eq!(again, json!({ "fetched": 12, "new": 0, "events": 0, "unreadable": 0 }));
        // A history and an event for each of the issues.
        for stuck_at in (1..=24).step_by(5) {
            let kept = Kept::default();
            let (data, is_stuck) = (TempDir::new().expect("a directory"), Arc::new(Notify::new()));
            let to = keeping(ANY_PORT.into(), &kept, stuck_at, &is_stuck).await;
            let mut killed = fetch(&jira, &to, &data, &page)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("ticketflow runs");
            is_stuck.notified().await;
            killed.kill().expect("it can be killed");
            killed.wait().expect("it ends");
            // It is the same Ticketflow to the fetch that goes on there.
            let address = to.address;
            to.stop().await;
            let to = keeping(address, &kept, usize::MAX, &never).await;
            let fetched = result(fetch(&jira, &to, &data, &page)).await;
            assert_eq!(
                fetched["fetched"], 12,
                "killed at request {stuck_at}: every issue is counted once"
            );
            let (kept, whole) = (
                kept.lock().expect("nobody panics"),
                whole.lock().expect("nobody panics"),
            );
            assert!(*kept == *whole, "{deployment:?}, killed at request {stuck_at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_fetched_what_nobody_can_read_is_named_and_no_log_has_the_token() {
    let jira = troubled(Deployment::DataCenter).await;
    let (kept, never) = (Kept::default(), Arc::new(Notify::new()));
    let (data, to) = (
        TempDir::new().expect("a directory"),
        keeping(ANY_PORT.into(), &kept, usize::MAX, &never).await,
    );
    let held: Vec<Issue> = jira.held().issues.values().cloned().collect();
    let middle = held[6].updated;
    let recent = held.iter().filter(|issue| middle <= issue.updated).count();
    assert!(0 < recent && recent < held.len());
    let since = middle.to_string();
    let asked = ["--jql", "project = \"SHOP\" order by rank", "--since", &since];
    let fetched = result(fetch(&jira, &to, &data, &asked)).await;
    assert_eq!(fetched["fetched"], recent);

    jira.held().issues.get_mut(&held[0].id).expect("an issue").project = "NO KEY".to_owned();
    let output = run(fetch(&jira, &to, &data, &["--restart"])).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(
        (&printed["fetched"], &printed["unreadable"]),
        (&json!(12), &json!(1)),
        "{said}"
    );
    assert!(said.contains("NO KEY-"), "{said}");
    assert!(!said.contains(jira.credential()) && !said.contains(SECRET), "{said}");

    jira.held().elsewhere = Some("https://login.example.com".to_owned());
    let output = run(fetch(&jira, &to, &data, &[])).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("it is at https://login.example.com/"),
        "{said}"
    );
    assert!(!said.contains(jira.credential()), "{said}");
}
