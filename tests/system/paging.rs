//! Pages of tickets while tickets come, change and go: whatever stays is on exactly one page, in its place.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat};
use reqwest::Method;
use serde_json::{Value, json};

use crate::deliveries::Issue;
use crate::server::Server;

/// When the first of the tickets here was created: 2026-05-29T22:40:00Z, two days before a month ends.
const FIRST_MS: i64 = 1_780_094_400_000;

/// Several of them a day, so that one list goes over three months, and some at the same moment.
const APART_MS: i64 = 13 * 60 * 60 * 1_000;

/// Every index, and filters over it.
const LISTS: [&str; 8] = [
    "",
    "state=open",
    "state=closed",
    "priority=High",
    "project=test",
    "closed_from=2026-01-01T00:00:00Z",
    "status=completed",
    "q=number&created_from=2026-06-01T00:00:00Z&created_to=2026-12-01T00:00:00Z",
];

fn moment(number: i64) -> String {
    // Two at a time.
    let at = DateTime::from_timestamp_millis(FIRST_MS + number / 2 * APART_MS).expect("a moment");
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What an answer says of the execution that carries it out.
fn execution((status, answer): (u16, Value)) -> String {
    assert_eq!(status, 202, "{answer}");
    answer["execution"].as_str().expect("a name").to_owned()
}

async fn ask(server: &Server, method: Method, path: &str, body: Value) -> (u16, Value) {
    let request = server.http.request(method, format!("{}{path}", server.api));
    let response = request.body(body.to_string()).send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

/// A ticket without a JIRA; closed, if its number says so.
async fn create(server: &Server, summary: &str, number: i64) -> String {
    let completed = if number % 3 == 0 {
        moment(number + 8)
    } else {
        String::new()
    };
    let priority = ["High", "Low"][usize::from(number % 4 == 0)];
    let ticket = json!({ "summary": summary, "created": moment(number), "completed": completed, "priority": priority });
    execution(ask(server, Method::POST, "/tickets", ticket).await)
}

async fn done(server: &Server, names: Vec<String>) {
    for name in names {
        server.execution(&name, "SUCCEEDED").await;
    }
}

/// A page, and where it goes on.
async fn page(server: &Server, list: &str, next: Option<&str>) -> (Vec<Value>, Option<String>) {
    let cursor = next.map(|next| format!("&cursor={next}")).unwrap_or_default();
    let (status, page) = server.get(&format!("/tickets?{list}{cursor}")).await;
    assert_eq!(status, 200, "{list}: {page}");
    let items = page["items"].as_array().expect("items").clone();
    (items, page["next"].as_str().map(str::to_owned))
}

async fn whole(server: &Server, list: &str) -> Vec<String> {
    let (mut ids, mut next) = (Vec::new(), None);
    loop {
        let (items, after) = page(server, list, next.as_deref()).await;
        ids.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        match after {
            Some(after) => next = Some(after),
            None => return ids,
        }
    }
}

/// Changes something that is listed, or adds to it; whose place has changed.
async fn disturb(server: &Server, ids: &[String], turn: usize) -> Option<String> {
    let flat = |index: usize| ids.iter().filter(|id| id.starts_with("flat~")).nth(index);
    let number = i64::try_from(turn).expect("few turns");
    let (name, touched) = match turn % 4 {
        // Somewhere among the others.
        0 => (
            create(server, &format!("Number {turn}, new"), number * 5 % 24).await,
            None,
        ),
        1 => {
            let id = flat(turn % 7)?;
            let change = json!({ "priority": (["Low", "High"][turn / 4 % 2]) });
            (
                execution(ask(server, Method::PATCH, &format!("/tickets/{id}"), change).await),
                Some(id),
            )
        }
        2 => {
            let id = flat(turn % 5)?;
            let completed = if turn % 8 == 2 {
                moment(30 + number)
            } else {
                String::new()
            };
            let change = json!({ "completed": completed });
            (
                execution(ask(server, Method::PATCH, &format!("/tickets/{id}"), change).await),
                Some(id),
            )
        }
        _ => {
            let id = flat(turn % 3)?;
            (
                execution(ask(server, Method::DELETE, &format!("/tickets/{id}"), json!({})).await),
                Some(id),
            )
        }
    };
    done(server, vec![name]).await;
    touched.cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_is_on_one_page_in_its_place_whatever_comes_and_goes() {
    let server = Server::start();
    let mut names = Vec::new();
    for number in 0..24 {
        names.push(create(&server, &format!("Number {number}"), number).await);
    }
    for number in 1..=8_u32 {
        // Of a JIRA, so that there is a project; each in a month of its own.
        let issue = String::from_utf8(Issue { number }.created()).expect("text");
        let body = issue.replace(
            "2026-11-20T16:00:00.000+0800",
            &format!("2026-0{number}-20T16:00:00.000+0800"),
        );
        assert_ne!(body, issue);
        names.push(execution(server.post(body.as_bytes()).await));
    }
    done(&server, names).await;

    let mut turn = 0;
    for list in LISTS {
        for order in ["newest", "oldest"] {
            let all = whole(&server, &format!("{list}&order={order}&limit=200")).await;
            assert!(2 < all.len(), "{list}: {all:?}");
            let (mut seen, mut touched, mut next) = (Vec::new(), BTreeSet::new(), None);
            loop {
                let (items, after) = page(&server, &format!("{list}&order={order}&limit=3"), next.as_deref()).await;
                assert!(items.len() <= 3);
                seen.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
                let Some(after) = after else { break };
                next = Some(after);
                // A ticket that is deleted cannot be changed again: what there is is asked for anew.
                let open = whole(&server, "state=open&limit=200").await;
                touched.extend(disturb(&server, &open, turn).await);
                turn += 1;
            }
            let stayed = |ids: &[String]| {
                ids.iter()
                    .filter(|id| all.contains(id) && !touched.contains(*id))
                    .cloned()
                    .collect()
            };
            let (expected, found): (Vec<String>, Vec<String>) = (stayed(&all), stayed(&seen));
            assert_eq!(found, expected, "{list}, {order}; touched: {touched:?}");
            let untouched: Vec<&String> = seen.iter().filter(|id| !touched.contains(*id)).collect();
            let once: BTreeSet<&&String> = untouched.iter().collect();
            assert_eq!(once.len(), untouched.len(), "{list}, {order}: nothing comes twice");
        }
    }
}
