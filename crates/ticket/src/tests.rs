//! Bodies of our own in Jira's shapes, and what becomes of them.

mod calendar;
mod categories;
mod fetched;
mod flat;
mod lifecycle;
mod missing;
mod properties;
mod reading;
mod rules;
mod sla;
mod timers;

use proptest::prelude::ProptestConfig;
use serde_json::{Value, json};

use crate::{Categories, Delivery, Policy, Texts, Ticket, TicketEvent, TicketView, Time, fold, jira};

/// 2025-06-02T08:00:00.000Z, when the issues of these tests are created.
const T0: i64 = 1_748_851_200_000;
const MINUTE: i64 = 60_000;
/// How long after `updated` a delivery is stamped.
const LAG: i64 = 30;

/// So many cases, or as many as `PROPTEST_CASES` says. What failed is printed, not written beside the sources.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(usual),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn time(ms: i64) -> Time {
    Time::from_millis(ms).expect("a time of a test")
}

/// As Jira writes times: an offset without colon, in a zone of its own.
fn jira_time(ms: i64) -> String {
    let zone = chrono::FixedOffset::west_opt(8 * 3600).expect("a zone");
    let time = chrono::DateTime::from_timestamp_millis(ms)
        .expect("a time")
        .with_timezone(&zone);
    time.format("%Y-%m-%dT%H:%M:%S%.3f%z").to_string()
}

fn status(id: &str) -> Value {
    let (name, category) = match id {
        "10000" => ("Backlog", "new"),
        "10001" => ("Selected", "new"),
        "3" => ("In Work", "indeterminate"),
        "10010" => ("In Review", "indeterminate"),
        "10002" => ("Shipped", "done"),
        "10003" => ("Dropped", "done"),
        other => panic!("no status {other} in these tests"),
    };
    json!({ "id": id, "name": name, "statusCategory": { "key": category, "name": category.to_uppercase() } })
}

fn status_item(from: Option<&str>, to: &str) -> Value {
    json!({ "field": "status", "fieldtype": "jira", "fieldId": "status", "from": from, "fromString": "x",
            "to": to, "toString": "y" })
}

/// A webhook stamped at `at`, of issue 10100, that shows it in `status`.
fn webhook(event: &str, at: i64, status_id: &str) -> Value {
    json!({
        "timestamp": at,
        "webhookEvent": format!("jira:issue_{event}"),
        "issue": {
            "id": "10100",
            "self": "https://acme.example.net/rest/api/2/issue/10100",
            "key": "SHOP-1",
            "fields": {
                "summary": "The basket forgets its items",
                "description": null,
                "created": jira_time(T0),
                "updated": jira_time(at - LAG),
                "status": status(status_id),
                "resolution": null,
                "resolutiondate": null,
                "priority": { "id": "2", "name": "High" },
                "project": { "id": "10000", "key": "SHOP" },
            }
        }
    })
}

/// The same with a changelog.
fn change(at: i64, changelog: u64, from: &str, to: &str) -> Value {
    let mut body = webhook("updated", at, to);
    body["changelog"] = json!({ "id": changelog.to_string(), "items": [status_item(Some(from), to)] });
    if status(to)["statusCategory"]["key"] == "done" {
        body["issue"]["fields"]["resolution"] = json!({ "id": "1", "name": "Done" });
        body["issue"]["fields"]["resolutiondate"] = json!(jira_time(at - LAG - 7));
    }
    body
}

fn created() -> Value {
    webhook("created", T0 + LAG, "10000")
}

fn event(body: &Value) -> TicketEvent {
    match jira::read(body.to_string().as_bytes()) {
        Ok(Delivery::Event(event)) => event,
        other => panic!("no event: {other:?}"),
    }
}

fn error(body: &str) -> jira::Error {
    match jira::read(body.as_bytes()) {
        Err(error) => error,
        Ok(delivery) => panic!("no error: {delivery:?}"),
    }
}

fn folded(bodies: &[Value]) -> Ticket {
    folded_by(bodies, &Policy::default())
}

fn folded_by(bodies: &[Value], policy: &Policy) -> Ticket {
    let events: Vec<TicketEvent> = bodies.iter().map(event).collect();
    fold(
        events.iter().flat_map(|event| &event.facts),
        policy,
        &Categories::default(),
    )
}

/// What an API client sees, as text.
fn seen(bodies: &[Value]) -> Value {
    let events: Vec<TicketEvent> = bodies.iter().map(event).collect();
    let ticket = fold(
        events.iter().flat_map(|event| &event.facts),
        &Policy::default(),
        &Categories::default(),
    );
    let texts = events
        .iter()
        .fold(Texts::default(), |texts, event| texts.merge(event.texts.clone()));
    serde_json::to_value(TicketView::new(&events[0].ticket(), &ticket, &texts)).expect("a view is JSON")
}
