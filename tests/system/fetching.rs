//! `create-tickets` and `fetch-tickets`, as a user runs them.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use jira::Deployment;
use jira::made::{Issue, Stories};
use serde_json::Value;
use system_tests::stand_in::StandIn;
use ticket::Time;

use crate::server::{Server, printed, run};

const SEED: u64 = 7;
const START: &str = "2026-03-02T08:00:00Z";
const TICKETS: u64 = 60;

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
