//! Deliveries are lost, late and doubled; reconciliation makes every ticket what it would have been.

use std::collections::BTreeMap;
use std::sync::Arc;

use jira::Deployment;
use jira::made::{Disturbance, Fraction, Happening, Issue, Stories};
use serde_json::{Value, json};
use system_tests::stand_in::{StandIn, Trouble};
use ticket::Time;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::server::Server;

const START: &str = "2026-03-02T08:00:00Z";
const TICKETS: u64 = 1_000;
/// The net loses one in twenty, is late with one in five, and doubles one in ten.
const DISTURBANCE: (u32, u32, u32) = (20, 5, 10);
/// Where deliveries come from that nothing happens to.
const UNDISTURBED: &str = "https://undisturbed.example.net";
/// Requests in flight at once.
const AT_ONCE: usize = 16;

/// What depends on when it is asked for, on the way that a ticket came, or on how many facts say the same.
const OF_THE_MOMENT: [&str; 9] = [
    "updated_at",
    "last_execution",
    "last_reconciled_at",
    "as_of",
    "age_ms",
    "open_time_ms",
    "active_time_ms",
    "time_in_status_ms",
    "business",
];

/// A thousand tickets, and a little of what becomes of them.
fn happenings() -> Vec<Happening> {
    let start: Time = START.parse().expect("a time");
    let end = start.saturating_add(40 * 60_000);
    let stories = Stories::new(20, start, 2_000.0, "SHOP").take_while(|happening| happening.at < end);
    stories.filter(|happening| happening.issue.number <= TICKETS).collect()
}

async fn post(server: &Arc<Server>, bodies: impl Iterator<Item = Value>) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut posted = JoinSet::new();
    for body in bodies {
        let (server, permits) = (server.clone(), permits.clone());
        posted.spawn(async move {
            let _permit = permits.acquire().await.expect("it stays open");
            let (status, answer) = server.post(body.to_string().as_bytes()).await;
            assert!([200, 202].contains(&status), "{answer}");
        });
    }
    posted.join_all().await;
}

/// Every ticket of a site, as it is whichever site it is of.
async fn tickets(server: &Arc<Server>, url: &str, issues: &BTreeMap<u64, Issue>) -> BTreeMap<u64, Value> {
    let site = url.split_once("://").expect("a URL").1;
    let mut tickets = BTreeMap::new();
    let ids: Vec<u64> = issues.keys().copied().collect();
    for ids in ids.chunks(AT_ONCE) {
        let mut asked = JoinSet::new();
        for id in ids.iter().copied() {
            let (server, path) = (server.clone(), format!("/tickets/{site}~{id}"));
            asked.spawn(async move { (id, server.get(&path).await) });
        }
        for (id, (status, ticket)) in asked.join_all().await {
            assert_eq!(status, 200, "{id} of {site}: {ticket}");
            let mut ticket: Value = serde_json::from_str(&ticket.to_string().replace(site, "SITE")).expect("JSON");
            let fields = ticket.as_object_mut().expect("a ticket");
            OF_THE_MOMENT.iter().for_each(|field| {
                fields.remove(*field);
            });
            tickets.insert(id, ticket);
        }
    }
    tickets
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

async fn put_token(server: &Server, token: &str) {
    let secrets = server.http.post(&server.aws);
    let secrets = secrets
        .header("x-amz-target", "secretsmanager.PutSecretValue")
        .header("content-type", "application/x-amz-json-1.1")
        .body(json!({ "SecretId": "JiraToken", "SecretString": token }).to_string());
    let answer = secrets.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
}

/// Starts a run; its ARN.
async fn start(server: &Server, input: &Value) -> String {
    let states = server.states().await;
    let machines = states.list_state_machines().send().await.expect("the state machines");
    let mut machines = machines.state_machines().iter();
    let machine = machines
        .find(|machine| machine.name() == "Reconciliation")
        .expect("the reconciliation");
    let started = states.start_execution().state_machine_arn(machine.state_machine_arn());
    let started = started.input(input.to_string()).send().await.expect("a run");
    started.execution_arn().to_owned()
}

/// What a run comes to.
async fn end(server: &Server, arn: &str) -> Value {
    let states = server.states().await;
    server
        .until("the run to end", || async {
            let described = states
                .describe_execution()
                .execution_arn(arn)
                .send()
                .await
                .expect("the run");
            match described.status().as_str() {
                "RUNNING" => None,
                "SUCCEEDED" => serde_json::from_str(described.output().expect("an output")).ok(),
                other => panic!("{other}: {:?}\n{}", described.cause(), server.log()),
            }
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn reconciliation_brings_every_ticket_to_the_state_of_an_undisturbed_run() {
    let jira = StandIn::start(Deployment::Cloud, 0).await.expect("a JIRA");
    let happenings = happenings();
    let issues: BTreeMap<u64, Issue> = happenings
        .iter()
        .map(|happening| (happening.issue.id, happening.issue.clone()))
        .collect();
    assert_eq!(issues.len() as u64, TICKETS);
    jira.held().issues = issues.clone();
    let mut server = Server::start_with(&["--parameter", &format!("JiraUrl={}", jira.url)]);
    put_token(&server, jira.credential()).await;

    let (lost, delayed, doubled) = DISTURBANCE;
    let disturbance = Disturbance {
        lost: Fraction::one_in(lost),
        delayed: Fraction::one_in(delayed),
        mean_delay_ms: 600_000.0,
        doubled: Fraction::one_in(doubled),
        ..Disturbance::default()
    };
    let sent = happenings.iter().map(|happening| (happening.at, &happening.issue));
    let arriving: Vec<(Time, &Issue)> = disturbance.apply(sent, 1).collect();
    let end_of_all = happenings.last().expect("they happen").at;
    // What is so late that it comes after the run.
    let (in_time, late): (Vec<_>, Vec<_>) = arriving.into_iter().partition(|(at, _)| *at <= end_of_all);
    assert!(!late.is_empty());
    let shared = Arc::new(server);
    let undisturbed = happenings.iter().map(|happening| happening.issue.delivery(UNDISTURBED));
    let disturbed = in_time.iter().map(|(_, issue)| issue.delivery(&jira.url));
    post(&shared, undisturbed.chain(disturbed)).await;
    settled(&shared).await;
    let expected = tickets(&shared, UNDISTURBED, &issues).await;

    // JIRA throttles, fails and hangs up; and in the middle of it all the machine is killed.
    jira.held().trouble = Trouble {
        throttle_every: 9,
        retry_after: 1,
        fail_every: 13,
        hang_up_every: 17,
        tear_every: 23,
        ..Trouble::default()
    };
    server = Arc::into_inner(shared).expect("nobody else has it");
    let run = json!({ "scope": "changed", "since": START });
    let arn = start(&server, &run).await;
    let searches = || {
        jira.held()
            .requests
            .iter()
            .filter(|request| request.ends_with("/search/jql"))
            .count()
    };
    server
        .until("some pages to be worked off", || async {
            (4 < searches()).then_some(())
        })
        .await;
    server.kill();
    server.restart();
    let done = end(&server, &arn).await;
    assert_eq!(done["run"]["issues"], TICKETS, "{done}");
    assert!(0 < done["run"]["repaired"].as_u64().expect("a count"), "{done}");
    settled(&server).await;

    let server = Arc::new(server);
    post(&server, late.iter().map(|(_, issue)| issue.delivery(&jira.url))).await;
    settled(&server).await;
    let mended = tickets(&server, &jira.url, &issues).await;
    let wrong = expected.iter().filter(|(id, ticket)| mended[*id] != **ticket);
    let wrong: Vec<_> = wrong.map(|(id, ticket)| (ticket, &mended[id])).collect();
    assert!(
        wrong.is_empty(),
        "{} tickets are not what they should be, the first: {:#?}",
        wrong.len(),
        wrong[0]
    );

    // What is known is not told again, and every answer says as of when all is known.
    jira.held().trouble = Trouble::default();
    let again = end(&server, &start(&server, &run).await).await;
    assert_eq!(
        (&again["run"]["issues"], &again["run"]["events"]),
        (&json!(TICKETS), &json!(0)),
        "{again}"
    );
    let site = jira.url.split_once("://").expect("a URL").1;
    let (_, ticket) = server
        .get(&format!("/tickets/{site}~{}", issues.keys().next().expect("an issue")))
        .await;
    assert_eq!(ticket["last_reconciled_at"], again["run"]["as_of"], "{ticket}");
    let (_, health) = server.get("/health").await;
    let as_of = &again["run"]["as_of"];
    assert_eq!(
        health["reconciliation"],
        json!({ "on": true, "site": site, "last_reconciled_at": as_of })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_jira_a_run_is_off_and_with_a_wrong_token_it_fails_and_is_redriven() {
    let server = Server::start();
    let off = end(&server, &start(&server, &json!({ "scope": "open" })).await).await;
    assert_eq!(off, json!({ "next": "off" }));
    let (_, health) = server.get("/health").await;
    assert_eq!(health["reconciliation"]["on"], false, "{health}");
    drop(server);

    let jira = StandIn::start(Deployment::DataCenter, 0).await.expect("a JIRA");
    let happenings: Vec<Happening> = happenings().into_iter().take(60).collect();
    jira.held().issues = happenings
        .into_iter()
        .map(|happening| (happening.issue.id, happening.issue))
        .collect();
    let server = Server::start_with(&[
        "--parameter",
        &format!("JiraUrl={}", jira.url),
        "--parameter",
        "JiraJql=project = SHOP",
    ]);
    put_token(&server, "no such token").await;
    let arn = start(&server, &json!({ "scope": "open" })).await;
    let states = server.states().await;
    let error = server
        .until("the run to fail", || async {
            let described = states
                .describe_execution()
                .execution_arn(&arn)
                .send()
                .await
                .expect("the run");
            described.error().map(str::to_owned)
        })
        .await;
    assert_eq!(error, "JiraRefused");
    put_token(&server, jira.credential()).await;
    states
        .redrive_execution()
        .execution_arn(&arn)
        .send()
        .await
        .expect("it goes on");
    let done = end(&server, &arn).await;
    let open = jira
        .held()
        .issues
        .values()
        .filter(|issue| !issue.status.is_done())
        .count();
    assert_eq!(done["run"]["issues"], open, "{done}");
    assert_eq!(done["run"]["repaired"], open, "nothing of them was known: {done}");
}
