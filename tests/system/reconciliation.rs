//! Deliveries are lost, late and doubled; reconciliation makes every ticket what it would have been.

use std::collections::BTreeMap;
use std::sync::Arc;

use jira::Deployment;
use jira::made::{Disturbance, Fraction, Happening, Issue, Status, Stories};
use serde_json::{Value, json};
use system_tests::stand_in::{StandIn, Trouble};
use ticket::{Categories, Delivery, Fact, Policy, Texts, TicketId, TicketView, Time};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::server::{Server, lasting};

const START: &str = "2026-03-02T08:00:00Z";
const TICKETS: u64 = 1_000;
/// The net loses one in twenty, is late with one in five, and doubles one in ten.
const DISTURBANCE: (u32, u32, u32) = (20, 5, 10);
/// Tickets whose deliveries also come as they were sent, from another site.
const UNDISTURBED: u64 = 50;
const UNDISTURBED_SITE: &str = "https://undisturbed.example.net";
/// Requests in flight at once.
const AT_ONCE: usize = 16;

/// A thousand tickets, and a little of what becomes of them.
fn happenings() -> Vec<Happening> {
    let start: Time = START.parse().expect("a time");
    let end = start.saturating_add(40 * 60_000);
    let stories = Stories::new(20, start, 2_000.0, "SHOP").take_while(|happening| happening.at < end);
    stories.filter(|happening| happening.issue.number <= TICKETS).collect()
}

fn issues<'a>(happenings: impl IntoIterator<Item = &'a Happening>) -> BTreeMap<u64, Issue> {
    let issues = happenings.into_iter().map(|happening| &happening.issue);
    issues.map(|issue| (issue.id, issue.clone())).collect()
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

/// What every ticket of an undisturbed run is: what its deliveries, all of them and in order, come to.
fn undisturbed(happenings: &[Happening], url: &str) -> BTreeMap<u64, Value> {
    let mut told: BTreeMap<u64, (TicketId, Vec<Fact>, Texts)> = BTreeMap::new();
    for happening in happenings {
        let body = happening.issue.delivery(url).to_string();
        let Ok(Delivery::Event(event)) = ticket::jira::read(body.as_bytes()) else {
            panic!("no delivery: {body}");
        };
        let ticket = told.entry(happening.issue.id);
        let (_, facts, texts) = ticket.or_insert_with(|| (event.ticket(), Vec::new(), Texts::default()));
        facts.extend(event.facts);
        *texts = std::mem::take(texts).merge(event.texts);
    }
    let view = |(id, facts, texts): (TicketId, Vec<Fact>, Texts)| {
        let folded = ticket::fold(&facts, &Policy::default(), &Categories::default());
        serde_json::to_value(TicketView::new(&id, &folded, &texts)).expect("JSON")
    };
    told.into_iter().map(|(id, told)| (id, view(told))).collect()
}

/// Every ticket of a site, by issue id.
async fn tickets(server: &Server, url: &str) -> BTreeMap<u64, Value> {
    let site = url.split_once("://").expect("a URL").1;
    let mut tickets = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let (status, page) = server.get(&format!("/tickets?limit=200{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        for ticket in page["items"].as_array().expect("a list") {
            if ticket["site"] == site {
                let (_, id) = ticket["id"]
                    .as_str()
                    .expect("an id")
                    .split_once('~')
                    .expect("a ticket's id");
                tickets.insert(id.parse().expect("a number"), lasting(ticket.clone()));
            }
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return tickets,
        }
    }
}

/// Fails for the first of the tickets that is not as it should be.
fn assert_all(tickets: &BTreeMap<u64, Value>, expected: &BTreeMap<u64, Value>) {
    let is_right = |id: &u64, expected: &Value| {
        let fields = expected.as_object().expect("a ticket").iter();
        let mut fields = fields.filter(|(name, _)| *name != "as_of");
        fields.all(|(name, value)| tickets.get(id).is_some_and(|ticket| ticket[name] == *value))
    };
    let wrong: Vec<_> = expected.iter().filter(|(id, ticket)| !is_right(id, ticket)).collect();
    let first = wrong.first().map(|(id, expected)| (expected, tickets.get(id)));
    assert!(
        wrong.is_empty(),
        "{} tickets are wrong, the first: {first:#?}",
        wrong.len()
    );
}

/// Starts a run; its ARN.
async fn start(server: &Server, input: &Value) -> String {
    let states = server.states().await;
    let machine = server.machine(&states, "Reconciliation").await;
    let started = states.start_execution().state_machine_arn(machine);
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
    let issues = issues(&happenings);
    assert_eq!(issues.len() as u64, TICKETS);
    jira.held().issues = issues;
    let mut server = Server::start_with(&["--parameter", &format!("JiraUrl={}", jira.url)]);
    server.put_secret("JiraToken", jira.credential()).await;

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
    let calm = happenings
        .iter()
        .filter(|happening| happening.issue.number <= UNDISTURBED);
    let calm = calm.map(|happening| happening.issue.delivery(UNDISTURBED_SITE));
    let disturbed = in_time.iter().map(|(_, issue)| issue.delivery(&jira.url));
    post(&shared, calm.chain(disturbed)).await;
    shared.settled().await;

    // An undisturbed run is what its deliveries come to.
    let mut of_calm = undisturbed(&happenings, UNDISTURBED_SITE);
    of_calm.retain(|_, ticket| {
        let number = ticket["key"]
            .as_str()
            .and_then(|key| key.strip_prefix("SHOP-")?.parse().ok());
        number.is_some_and(|number: u64| number <= UNDISTURBED)
    });
    assert_eq!(of_calm.len() as u64, UNDISTURBED);
    assert_all(&tickets(&shared, UNDISTURBED_SITE).await, &of_calm);
    let expected = undisturbed(&happenings, &jira.url);
    let broken = tickets(&shared, &jira.url).await;
    assert!(broken.len() < expected.len(), "nothing was lost");

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
        let held = jira.held();
        let requests = held.requests.iter();
        requests.filter(|request| request.ends_with("/search/jql")).count()
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
    server.settled().await;

    let server = Arc::new(server);
    post(&server, late.iter().map(|(_, issue)| issue.delivery(&jira.url))).await;
    server.settled().await;
    assert_all(&tickets(&server, &jira.url).await, &expected);

    // What is known is not told again, and every answer says as of when all is known.
    jira.held().trouble = Trouble::default();
    let again = end(&server, &start(&server, &run).await).await;
    assert_eq!(
        (&again["run"]["issues"], &again["run"]["events"]),
        (&json!(TICKETS), &json!(0)),
        "{again}"
    );
    let site = jira.url.split_once("://").expect("a URL").1;
    let id = expected.keys().next().expect("a ticket");
    let (_, ticket) = server.get(&format!("/tickets/{site}~{id}")).await;
    let as_of = &again["run"]["as_of"];
    assert_eq!(ticket["last_reconciled_at"], *as_of, "{ticket}");
    let (_, health) = server.get("/health").await;
    assert_eq!(
        health["reconciliation"],
        json!({ "on": true, "site": site, "last_reconciled_at": as_of })
    );
}

/// What becomes of an issue without a delivery that says so.
const CLOSED: u64 = 10_001;
const MOVED: u64 = 10_002;
const DELETED: u64 = 10_003;
const HIDDEN: u64 = 10_004;

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_open_issues_unheard_is_found_by_the_daily_run() {
    for deployment in [Deployment::Cloud, Deployment::DataCenter] {
        let jira = StandIn::start(deployment, 0).await.expect("a JIRA");
        let created = happenings()
            .into_iter()
            .filter(|happening| happening.issue.histories.is_empty());
        let mut issues: BTreeMap<u64, Issue> = created.take(70).map(|made| (made.issue.id, made.issue)).collect();
        // A project that the token may not see any more.
        let vault = issues.get_mut(&HIDDEN).expect("an issue");
        (vault.project, vault.number) = ("VAULT".to_owned(), 1);
        jira.held().issues = issues.clone();
        let url = format!("JiraUrl={}", jira.url);
        let server = Server::start_with(&["--parameter", &url, "--parameter", "JiraJql=project = SHOP"]);
        server.put_secret("JiraToken", jira.credential()).await;
        let server = Arc::new(server);
        post(&server, issues.values().map(|issue| issue.delivery(&jira.url))).await;
        server.settled().await;
        let run = json!({ "scope": "open" });
        let calm = end(&server, &start(&server, &run).await).await;
        assert_eq!(
            (&calm["run"]["events"], &calm["run"]["missed"]),
            (&json!(0), &json!(0)),
            "nothing is wrong: {calm}"
        );

        let at = issues[&CLOSED].created.saturating_add(60_000);
        let deleted = {
            let mut held = jira.held();
            held.hidden.insert("VAULT".to_owned());
            let issue = held.issues.get_mut(&CLOSED).expect("an issue");
            issue.transition(70_001, Status::DONE, at);
            held.issues
                .get_mut(&MOVED)
                .expect("an issue")
                .relocate(70_002, "OTHER", 7, at);
            held.issues.remove(&DELETED).expect("an issue")
        };
        let found = end(&server, &start(&server, &run).await).await;
        assert_eq!(
            (&found["run"]["repaired"], &found["run"]["missed"]),
            (&json!(2), &json!(1)),
            "{found}"
        );
        server.settled().await;
        let site = jira.url.split_once("://").expect("a URL").1;
        let ticket = async |id: u64| server.get(&format!("/tickets/{site}~{id}")).await.1;
        assert_eq!(ticket(CLOSED).await["closed_at"], json!(at));
        let moved = ticket(MOVED).await;
        assert_eq!((&moved["key"], &moved["state"]), (&json!("OTHER-7"), &json!("open")));
        assert_eq!(ticket(HIDDEN).await["state"], "open", "nothing is known of it");
        let gone = ticket(DELETED).await;
        assert_eq!(
            (&gone["state"], &gone["flags"]),
            (&json!("deleted"), &json!(["missing"]))
        );
        let (_, history) = server.get(&format!("/tickets/{site}~{DELETED}/history")).await;
        let evidence = &history["moments"]["deleted_at"];
        assert_eq!(evidence["at"], gone["deleted_at"], "{history}");
        let is_evidence = |fact: &&Value| fact.as_str().is_some_and(|fact| fact.starts_with("sought#"));
        assert_eq!(
            evidence["facts"]
                .as_array()
                .map(|facts| facts.iter().filter(is_evidence).count()),
            Some(1)
        );

        // It was only hidden: it is seen again, and is what it was.
        jira.held().issues.insert(DELETED, deleted);
        let back = end(&server, &start(&server, &run).await).await;
        assert_eq!(
            (&back["run"]["repaired"], &back["run"]["missed"]),
            (&json!(1), &json!(0)),
            "{back}"
        );
        server.settled().await;
        let back = ticket(DELETED).await;
        assert_eq!((&back["state"], &back["flags"]), (&json!("open"), &json!([])));
        let again = end(&server, &start(&server, &run).await).await;
        assert_eq!(again["run"]["events"], 0, "{again}");
    }
}

/// A run that was too long for one execution.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_where_the_one_before_left_off() {
    let jira = StandIn::start(Deployment::Cloud, 0).await.expect("a JIRA");
    let server = Server::start_with(&["--parameter", &format!("JiraUrl={}", jira.url)]);
    server.put_secret("JiraToken", jira.credential()).await;
    let site = jira.url.split_once("://").expect("a URL").1;
    let as_of = "2026-03-02T08:00:00.000Z";
    let left = json!({
        "by": "the one before", "scope": "changed", "as_of": as_of, "since": as_of, "site": site, "stage": { "theirs": { "cursor": null } },
        "calls": 0, "pages": 7, "issues": 350, "repaired": 0, "events": 0, "missed": 0, "failures": 0,
    });
    let put = |place: Value| {
        let item = json!({ "pk": { "S": format!("SITE#{site}") }, "sk": { "S": "LEFT_OFF#changed" },
                           "place": { "M": to_attributes(&place) } });
        item_of(&server, item)
    };
    let turn = |until: &str| {
        let item = json!({ "pk": { "S": format!("SITE#{site}") }, "sk": { "S": "TURN#changed" },
                           "by": { "S": "the one before" }, "until": { "S": until } });
        item_of(&server, item)
    };
    put(left.clone()).await;
    let run = json!({ "scope": "changed" });
    // Not while that one is under way; but not for ever, should it not be heard of any more.
    turn("2999-01-01T00:00:00.000Z").await;
    let refused = end(&server, &start(&server, &run).await).await;
    assert_eq!(refused, json!({ "next": "under_way" }));
    turn("2026-01-01T00:00:00.000Z").await;
    let done = end(&server, &start(&server, &run).await).await;
    assert_eq!(
        (&done["run"]["as_of"], &done["run"]["pages"]),
        (&json!(as_of), &json!(8)),
        "{done}"
    );
    let (_, health) = server.get("/health").await;
    assert_eq!(health["reconciliation"]["last_reconciled_at"], as_of, "{health}");
    // It goes on there once; and what another version left is no place.
    for fresh in [None, Some(json!({ "page": 7 }))] {
        if let Some(place) = fresh {
            put(place).await;
        }
        let done = end(&server, &start(&server, &run).await).await;
        assert_eq!(done["run"]["pages"], 1, "{done}");
    }
}

/// JSON as the attributes of a map.
fn to_attributes(value: &Value) -> Value {
    let attribute = |value: &Value| match value {
        Value::Null => json!({ "NULL": true }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::Object(_) => json!({ "M": to_attributes(value) }),
        other => json!({ "S": other.as_str().expect("a string") }),
    };
    let fields = value.as_object().expect("an object").iter();
    fields.map(|(name, value)| (name.clone(), attribute(value))).collect()
}

async fn item_of(server: &Server, item: Value) {
    let tables = dynamodb(server, "ListTables", json!({})).await;
    let table = tables["TableNames"][0].clone();
    dynamodb(server, "PutItem", json!({ "TableName": table, "Item": item })).await;
}

async fn dynamodb(server: &Server, operation: &str, body: Value) -> Value {
    let request = server.http.post(&server.aws);
    let request = request
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("content-type", "application/x-amz-json-1.0");
    let answer = request.body(body.to_string()).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
    answer.json().await.expect("JSON")
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
    server.put_secret("JiraToken", "no such token").await;
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
    server.put_secret("JiraToken", jira.credential()).await;
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
