//! What Jira's REST API tells, beside what its webhooks told.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::properties::{Life, STATUSES, Telling, life};
use super::*;
use crate::canonical::MAX_FACTS;
use crate::fact::{Category, Named};
use crate::{Categories, Fact, canonical};

/// Everything derived of these facts, but how many there are.
fn view(facts: &[Fact], texts: &Texts, like: &TicketEvent) -> Value {
    let ticket = fold(facts, &Policy::default(), &Categories::default());
    let view = TicketView::new(&like.ticket(), &ticket, texts);
    // The items of these tests give statuses other names than their bodies do.
    let stay = |stay: &crate::fold::Stay| {
        json!([
            stay.at,
            stay.status.as_ref().map(Named::identity),
            stay.category,
            stay.done,
            stay.origin
        ])
    };
    let history: Vec<Value> = ticket.history.iter().map(stay).collect();
    json!({ "view": view, "history": history, "gaps": ticket.gaps })
}

/// What was received so far, as a store keeps it.
#[derive(Clone, Default)]
struct Known {
    facts: Vec<Fact>,
    texts: Texts,
}

impl Known {
    fn add(&mut self, event: &TicketEvent) {
        let new = event.facts.iter().filter(|fact| !self.facts.contains(fact));
        let new: Vec<Fact> = new.cloned().collect();
        self.facts.extend(new);
        self.texts = std::mem::take(&mut self.texts).merge(event.texts.clone());
    }

    fn of(bodies: &[Value]) -> Self {
        let mut known = Self::default();
        bodies.iter().map(event).for_each(|event| known.add(&event));
        known
    }

    /// Adds what an issue's REST body tells anew; how many events that took.
    fn reconcile(&mut self, rest: &Value) -> usize {
        let events = jira::read_issue(rest.to_string().as_bytes(), &categories()).expect("an issue");
        let news = events.iter().filter_map(|event| {
            let news = event.unknown_to(&self.facts, &self.texts)?;
            // It goes in by the door.
            let body = canonical::body(&news).to_string();
            match jira::read(body.as_bytes()) {
                Ok(Delivery::Event(event)) => Some(event),
                other => panic!("{other:?}"),
            }
        });
        let news: Vec<TicketEvent> = news.collect();
        news.iter().for_each(|event| self.add(event));
        news.len()
    }
}

/// As `GET /status` has them.
fn categories() -> BTreeMap<String, Category> {
    let statuses: Vec<Value> = STATUSES.iter().map(|id| status(id)).collect();
    let categories = jira::read_categories(Value::from(statuses).to_string().as_bytes()).expect("statuses");
    assert_eq!(categories.len(), STATUSES.len());
    categories
}

/// The issue as `GET /search` shows it after its life.
fn rest(life: &Life, deliveries: &[Value]) -> Value {
    let mut issue = deliveries.last().expect("a creation")["issue"].clone();
    let histories = deliveries.iter().zip(life.items()).skip(1).map(|(body, items)| {
        let at = body["timestamp"].as_i64().expect("a timestamp");
        (body, at, items)
    });
    let histories: Vec<Value> = histories
        .enumerate()
        .filter(|(_, (_, _, items))| !items.is_empty())
        .map(|(index, (_, at, items))| json!({ "id": (901 + index).to_string(), "created": jira_time(at), "items": items }))
        .collect();
    issue["changelog"] = json!({ "histories": histories });
    issue
}

fn told() -> impl Strategy<Value = Life> {
    // Further apart than clocks may be: what is closer, bodies may contradict.
    life(&[Telling::Cloud, Telling::Server], 6_000..9_000_000_i64, Just(0_i64))
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn fetching_what_was_received_changes_nothing(life in told()) {
        let deliveries = life.deliveries();
        let mut known = Known::of(&deliveries);
        prop_assert_eq!(known.reconcile(&rest(&life, &deliveries)), 0);
    }

    #[test]
    fn fetching_mends_whatever_was_lost(life in told(), lost in prop::collection::vec(any::<bool>(), 11)) {
        let deliveries = life.deliveries();
        let like = event(&deliveries[0]);
        let whole = Known::of(&deliveries);
        let received = deliveries.iter().zip(&lost).filter(|(_, lost)| !**lost).map(|(body, _)| body.clone());
        let received: Vec<Value> = received.collect();
        let mut known = Known::of(&received);
        known.reconcile(&rest(&life, &deliveries));
        prop_assert_eq!(
            view(&known.facts, &known.texts, &like),
            view(&whole.facts, &whole.texts, &like)
        );
        prop_assert_eq!(known.reconcile(&rest(&life, &deliveries)), 0, "the second time there is no news");
        // What was only late comes after all.
        deliveries.iter().map(event).for_each(|event| known.add(&event));
        prop_assert_eq!(
            view(&known.facts, &known.texts, &like),
            view(&whole.facts, &whole.texts, &like)
        );
    }
}

#[test]
fn a_history_longer_than_an_event_is_told_in_several() {
    let changes = 3 * MAX_FACTS + 7;
    let at = |index: usize| T0 + MINUTE * (1 + index as i64);
    let histories: Vec<Value> = (0..changes)
        .map(|index| {
            let (from, to) = if index % 2 == 0 { ("10000", "3") } else { ("3", "10000") };
            json!({ "id": (500 + index).to_string(), "created": at(index), "author": { "displayName": format!("Somebody {index}") },
                "items": [status_item(Some(from), to)] })
        })
        .collect();
    let mut issue = webhook("updated", at(changes), "3")["issue"].clone();
    issue["changelog"] = json!({ "histories": histories });
    let events = jira::read_issue(issue.to_string().as_bytes(), &categories()).expect("an issue");
    assert_eq!(
        events.len(),
        4,
        "{changes} changes, the first status, two categories, and what it is now"
    );
    let facts: Vec<Fact> = events.iter().flat_map(|event| event.facts.clone()).collect();
    let ticket = fold(&facts, &Policy::default(), &Categories::default());
    assert_eq!(ticket.history.len(), changes + 1, "the first status and every change");
    assert!(ticket.flags.is_empty(), "{:?}", ticket.flags);
    for event in &events {
        assert!(serde_json::to_vec(event).expect("JSON").len() <= crate::event::MAX_EVENT_BYTES);
        let of_changes = event
            .facts
            .iter()
            .filter(|fact| matches!(fact, Fact::Change(change) if !change.initial));
        let authors: Vec<Option<&str>> = of_changes.map(|fact| event.author(fact)).collect();
        assert!(authors.iter().all(Option::is_some));
        assert_eq!(
            event.authors.len(),
            authors.len(),
            "of its own changes, and of no others"
        );
    }
}

#[test]
fn a_canonical_event_keeps_the_bounds_of_the_door() {
    let like = event(&created());
    let body = |change: &dyn Fn(&mut Value)| {
        let mut body = canonical::body(&like);
        change(&mut body["ticketEvent"]);
        jira::read(body.to_string().as_bytes())
    };
    assert!(matches!(body(&|_| ()), Ok(Delivery::Event(read)) if read.hash() == like.hash()));
    let facts = |count: usize| {
        let fact = |index: usize| json!({ "fact": "deleted", "at": time(T0 + index as i64) });
        (0..count).map(fact).collect::<Vec<_>>()
    };
    assert!(body(&|event| event["facts"] = facts(MAX_FACTS).into()).is_ok());
    let named = body(&|event| event["authors"] = json!({ "creation": "é".repeat(1_000), "404": "Nobody Asked" }));
    let Ok(Delivery::Event(named)) = named else {
        panic!("{named:?}")
    };
    let names: Vec<&str> = named.authors.values().map(String::as_str).collect();
    assert_eq!(names, ["é".repeat(64)], "cut, and of its own facts alone");
    let blank = body(&|event| event["authors"] = json!({ "creation": " \n" }));
    assert!(matches!(blank, Ok(Delivery::Event(read)) if read.authors.is_empty()));
    for wrong in [
        body(&|event| event["facts"] = facts(MAX_FACTS + 1).into()),
        body(&|event| event["site"] = json!("NOT A HOST")),
        body(&|event| event["facts"] = json!([{ "fact": "unheard of" }])),
        body(&|event| {
            let text = json!({ "value": "x".repeat(crate::event::MAX_EVENT_BYTES) });
            event["texts"] = json!({ "summary": { "observed": time(T0), "text": text } });
        }),
        body(&|event| {
            let category =
                json!({ "fact": "category", "status": "s".repeat(2_000), "category": "new", "observed": time(T0) });
            event["facts"] = json!([category]);
        }),
    ] {
        wrong.expect_err("it is out of bounds");
    }
}

#[test]
fn what_was_exported_makes_the_same_ticket() {
    let bodies = [
        created(),
        change(T0 + 60 * MINUTE, 1, "10000", "3"),
        change(T0 + 90 * MINUTE, 2, "3", "10002"),
    ];
    let known = Known::of(&bodies);
    let like = event(&bodies[0]);
    let mut copied = Known::default();
    for event in canonical::events(&like, &known.facts, &known.texts) {
        match jira::read(canonical::body(&event).to_string().as_bytes()) {
            Ok(Delivery::Event(event)) => copied.add(&event),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        view(&copied.facts, &copied.texts, &like),
        view(&known.facts, &known.texts, &like)
    );
}

/// Webhooks give a description in JIRA's own markup, the REST API of Cloud as a document.
#[test]
fn a_description_in_another_markup_is_no_news_until_it_is_edited() {
    let mut webhook = created();
    webhook["issue"]["fields"]["description"] = json!("h1. Basket\n*forgets* its [items|https://example.com]");
    let mut known = Known::of(&[webhook.clone()]);
    let document = |text: &str| {
        json!({ "type": "doc", "version": 1,
                "content": [{ "type": "paragraph", "content": [{ "type": "text", "text": text }] }] })
    };
    let mut rest = webhook["issue"].clone();
    rest["fields"]["description"] = document("Basket forgets its items");
    // A comment, of which no delivery has facts.
    rest["fields"]["updated"] = json!(jira_time(T0 + 10 * MINUTE));
    rest["changelog"] = json!({ "histories": [] });
    assert_eq!(known.reconcile(&rest), 0);
    // An edit whose delivery was lost.
    rest["fields"]["description"] = document("Basket forgets its items, and its coupons");
    let edit = json!({ "field": "description", "fieldId": "description", "fromString": "…", "toString": "…" });
    rest["changelog"] =
        json!({ "histories": [{ "id": "7", "created": jira_time(T0 + 20 * MINUTE), "items": [edit] }] });
    rest["fields"]["updated"] = json!(jira_time(T0 + 20 * MINUTE));
    assert_eq!(known.reconcile(&rest), 1);
    let description = |known: &Known| known.texts.description().map(|text| text.value.clone());
    assert_eq!(
        description(&known).as_deref(),
        Some("Basket forgets its items, and its coupons")
    );
    rest["fields"]["updated"] = json!(jira_time(T0 + 30 * MINUTE));
    assert_eq!(known.reconcile(&rest), 0);
    // And the next webhook writes it in its own way again, which is no news either.
    let mut later = super::webhook("updated", T0 + 40 * MINUTE, "10000");
    later["issue"]["fields"]["description"] = json!("h1. Basket\n*forgets* its items, and its coupons");
    known.add(&event(&later));
    rest["fields"]["updated"] = json!(jira_time(T0 + 50 * MINUTE));
    assert_eq!(known.reconcile(&rest), 0);
}
