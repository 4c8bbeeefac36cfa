//! What is written is read back, and indexes get the keys that the template gives them.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use ticket::categories::Teacher;
use ticket::text::DESCRIPTION_BYTES;
use ticket::{Categories, Delivery, Durations, Policy, State, TicketEvent, Time, jira};

use super::super::progress::{FAILURE_GUARD, Failure, Record, UNLISTED_GUARD, redrive_change};
use super::super::request::{Change, Write, aliases, key};
use super::super::ticket::{FOLD_GUARD, Fold, Seen, fold_change, leave_unmeasured, measure, new_keys};
use super::super::{Item, Map, Progress, Status, TextsSeen};
use super::expression::{Named, holds};
use crate::machines::Machine;
use crate::step::{self, Execution};

const TEMPLATE: &str = include_str!("../../../../template.yaml");

fn event(body: &str) -> TicketEvent {
    match jira::read(body.as_bytes()).unwrap() {
        Delivery::Event(event) => event,
        Delivery::Ignored { reason } => panic!("{reason}"),
    }
}

/// A flat ticket, completed 90 s after its creation if at all.
fn flat(completed: &str) -> TicketEvent {
    event(&format!(
        r#"{{"summary":"Disk full","created":"2026-11-21T07:59:00.000Z","completed":"{completed}","priority":"High"}}"#
    ))
}

fn at(time: &str) -> Time {
    time.parse().unwrap()
}

/// What DynamoDB makes of an item.
fn applied(change: &Change, item: Option<Item>) -> Item {
    let (partition, sort) = change.key.clone();
    let mut item = item.unwrap_or_else(|| key(partition, sort));
    let (values, expression) = (change.values(), change.expression());
    let (set, remove) = expression.split_once(" REMOVE ").unwrap_or((&expression, ""));
    for assignment in set.strip_prefix("SET ").unwrap().split(", ") {
        let (name, value) = assignment.split_once(" = ").unwrap();
        let name = change.names()[name].clone();
        assert!(
            item.insert(name.clone(), values[value].clone())
                .is_none_or(|_| name != "pk")
        );
    }
    for name in aliases(remove) {
        item.remove(name);
    }
    item
}

fn folded(event: &TicketEvent, before: Option<Item>) -> (Item, Fold) {
    let ticket = ticket::fold(&event.facts, &Policy::default(), &Categories::default());
    let stored = before.as_ref().map(|item| Fold::read(item).unwrap());
    let mut change = fold_change(
        &event.ticket(),
        &ticket,
        TextsSeen::default(),
        None,
        "name-1",
        at("2026-11-21T09:00:00.000Z"),
    );
    leave_unmeasured(&mut change, &ticket, stored.as_ref());
    let item = applied(&change, before);
    let fold = Fold::read(&item).unwrap();
    (item, fold)
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).map(|value| value.as_s().unwrap().as_str())
}

#[test]
fn an_expression_names_every_alias_and_value_it_uses_and_no_other() {
    let (item, _) = folded(&flat(""), None);
    let event = flat("2026-11-21T08:00:30.000Z");
    let ticket = ticket::fold(&event.facts, &Policy::default(), &Categories::default());
    let before = Fold::read(&item).unwrap();
    let mut change = fold_change(
        &event.ticket(),
        &ticket,
        TextsSeen::default(),
        None,
        "name-2",
        at("2026-11-21T09:00:00.000Z"),
    );
    leave_unmeasured(&mut change, &ticket, Some(&before));
    let all = format!("{} {}", change.expression(), super::super::ticket::FOLD_GUARD);
    let used: BTreeSet<String> = aliases(&all).map(|name| format!("#{name}")).collect();
    assert_eq!(used, change.names().into_keys().collect());
    let values: BTreeSet<String> = all
        .split(|c: char| !(c == ':' || c == '_' || c.is_ascii_alphanumeric()))
        .filter(|word| word.starts_with(':'))
        .map(str::to_owned)
        .collect();
    assert_eq!(values, change.values().into_keys().collect());
}

#[test]
fn a_ticket_is_in_the_indexes_of_what_it_is() {
    let (item, fold) = folded(&flat(""), None);
    let id = flat("").ticket();
    assert_eq!(text(&item, "state_month"), Some("open#2026-11"));
    assert_eq!(text(&item, "priority_month"), Some("high#2026-11"));
    assert_eq!(text(&item, "created_month"), Some("2026-11"));
    assert_eq!(
        text(&item, "created_key"),
        Some(format!("2026-11-21T07:59:00.000Z#{id}").as_str())
    );
    assert_eq!((text(&item, "closed_month"), text(&item, "closed_key")), (None, None));
    assert_eq!(text(&item, "project_month"), None);
    assert!(fold.is_measured && fold.view.state == State::Open);

    let (item, fold) = folded(&flat("2026-11-21T08:00:30.000Z"), Some(item));
    assert_eq!(text(&item, "state_month"), Some("closed#2026-11"));
    assert_eq!(text(&item, "closed_month"), Some("2026-11"));
    assert_eq!((text(&item, "quality_month"), item.get("findings")), (None, None));
    assert_eq!(
        text(&item, "closed_key"),
        Some(format!("2026-11-21T08:00:30.000Z#{id}").as_str())
    );
    assert!(!fold.is_measured, "a closed ticket is measured by the next step only");
}

#[test]
fn tickets_sort_by_what_judged_them_apart_from_those_that_await_a_category() {
    let judged = |map: &Categories, policy_version| {
        let event = flat("");
        let policy = Policy {
            version: policy_version,
            ..Policy::default()
        };
        let ticket = ticket::fold(&event.facts, &policy, map);
        let change = fold_change(
            &event.ticket(),
            &ticket,
            TextsSeen::default(),
            None,
            "name-1",
            at("2026-11-21T09:00:00.000Z"),
        );
        let item = applied(&change, None);
        let text = |name| text(&item, name).unwrap().to_owned();
        (text("judged_shard"), text("judged_key"))
    };
    let unknown = Categories::default();
    let known = unknown.taught(&flat("").facts, Teacher::Body).unwrap();
    let mut grown = known.clone();
    grown.version = 1_000_000;
    assert!(judged(&unknown, 1).0.starts_with("flat#awaits#"));
    assert!(judged(&known, 1).0.starts_with("flat#knows#"));
    let keys =
        [(&known, 1), (&known, 9), (&grown, 9), (&known, 10), (&grown, 10)].map(|(map, policy)| judged(map, policy).1);
    assert!(keys.is_sorted(), "{keys:?}");
}

#[test]
fn a_map_is_written_over_the_one_that_was_read() {
    let site = "jira.example.com".parse().unwrap();
    let taught = Categories::default().taught(&flat("").facts, Teacher::Body).unwrap();
    let item = |map: &Map, item| match map.writes(&site, &taught).remove(0) {
        Write::Change(change) => applied(&change, item),
        Write::Put(_) => panic!("the map is written first"),
    };
    let first = item(&Map::default(), None);
    let map = Map::read(&first).unwrap();
    assert_eq!(map.categories, taught);
    assert_eq!(
        (
            Map::default().writes(&site, &taught).len(),
            map.writes(&site, &taught).len()
        ),
        (2, 1)
    );
    let second = Map::read(&item(&map, Some(first))).unwrap();
    assert!(second != map && second.categories == taught);
}

#[test]
fn the_template_defines_every_key_of_every_index() {
    let mut keys: Vec<&str> =
        aliases("#state_month #priority_month #project_month #created_month #created_key").collect();
    keys.extend(aliases(
        "#closed_month #closed_key #quality_month #judged_shard #judged_key #status_shard #started_key #ticket #pk #sk",
    ));
    for key in keys {
        assert!(
            TEMPLATE.contains(&format!("{{ AttributeName: {key}, AttributeType: S }}")),
            "{key}"
        );
        assert!(
            TEMPLATE.contains(&format!("{{ AttributeName: {key}, KeyType: ")),
            "{key}"
        );
    }
    assert!(TEMPLATE.contains("AttributeName: expires_at\n"));
}

#[test]
fn a_ticket_that_is_folded_again_is_measured_with_it() {
    let closed = flat("2026-11-21T08:00:30.000Z");
    let ticket = ticket::fold(&closed.facts, &Policy::default(), &Categories::default());
    let mut change = fold_change(
        &closed.ticket(),
        &ticket,
        TextsSeen::default(),
        None,
        "recompute-1",
        at("2026-11-21T09:00:00.000Z"),
    );
    measure(&mut change, &ticket);
    let fold = Fold::read(&applied(&change, None)).unwrap();
    assert!(fold.is_measured && fold.folded_by == "recompute-1");
    assert_eq!(fold.view.durations.duration_ms, Some(90_000));
}

#[test]
fn durations_go_when_a_ticket_opens_and_stay_when_it_is_only_edited() {
    let closed = flat("2026-11-21T08:00:30.000Z");
    let (mut item, _) = folded(&closed, None);
    item.insert("duration_ms".to_owned(), AttributeValue::N("90000".to_owned()));
    item.insert("first_duration_ms".to_owned(), AttributeValue::N("90000".to_owned()));
    item.insert("measured".to_owned(), item["fact_count"].clone());
    let fold = Fold::read(&item).unwrap();
    assert!(fold.is_measured);
    assert_eq!(fold.view.durations.duration_ms, Some(90_000));

    let mut edited = closed.clone();
    let change = r#"{"priority":"Low"}"#;
    let edit = ticket::flat::edit(&closed.ticket(), change.as_bytes(), at("2026-11-21T08:30:00.000Z")).unwrap();
    edited.facts.extend(edit.facts);
    let (item, fold) = folded(&edited, Some(item));
    assert_eq!(
        fold.view.durations.duration_ms,
        Some(90_000),
        "an edit changes no duration"
    );
    assert!(!fold.is_measured, "but it is to be measured again");

    let edit = ticket::flat::edit(&closed.ticket(), br#"{"completed":""}"#, at("2026-11-21T08:40:00.000Z")).unwrap();
    edited.facts.extend(edit.facts);
    let (_, fold) = folded(&edited, Some(item));
    assert_eq!(fold.view.state, State::Open);
    let expected = Durations {
        duration_ms: None,
        first_duration_ms: Some(90_000),
        cycle_time_ms: None,
    };
    assert_eq!(fold.view.durations, expected);
    assert!(fold.is_measured);
}

#[test]
fn a_cut_text_is_found_by_the_fold_until_the_newest_one_is_whole() {
    let described = |description: &str, received: &str| {
        let body = serde_json::json!({ "summary": "Disk full", "created": "2026-11-21T07:59:00.000Z", "description": description });
        event(&body.to_string()).received(at(received))
    };
    let (long, short) = ("x".repeat(DESCRIPTION_BYTES + 1), "short");
    let (first, second) = (
        described(&long, "2026-11-21T08:00:00.000Z"),
        described(short, "2026-11-21T08:01:00.000Z"),
    );
    let before = Seen::default();
    let cut = before.after(&first);
    let whole = before.merged(&first).unwrap().after(&second);
    let late = before.merged(&second).unwrap().after(&first);
    let ticket = ticket::fold(&first.facts, &Policy::default(), &Categories::default());
    let id = first.ticket();
    let folded = |texts, item| {
        applied(
            &fold_change(&id, &ticket, texts, None, "name-1", at("2026-11-21T09:00:00.000Z")),
            item,
        )
    };
    let is_found = |item: &Item| {
        item.get("findings")
            .is_some_and(|found| format!("{found:?}").contains("text_cut"))
    };

    let item = folded(cut, None);
    assert!(is_found(&item) && text(&item, "quality_month") == Some("2026-11"));
    // Whoever knows of later texts writes last, in whichever order they come to it.
    assert!(cut < whole && Fold::read(&item).unwrap().texts == cut);
    let item = folded(whole, Some(item));
    assert!(!is_found(&item) && text(&item, "quality_month").is_none());
    let revision = |item: &Item| {
        Named::from([
            ("fact_count", 1),
            ("rules_version", 1),
            ("policy_version", 1),
            ("map_version", 1),
            (
                "texts_revision",
                item["texts_revision"].as_n().unwrap().parse().unwrap(),
            ),
        ])
    };
    let (stored, older) = (revision(&item), revision(&folded(cut, None)));
    assert!(holds(FOLD_GUARD, Some(&older), &stored) && !holds(FOLD_GUARD, Some(&stored), &older));
    // An older text that comes late changes nothing.
    assert!(!is_found(&folded(late, None)));
}

#[test]
fn texts_and_keys_are_merged_and_nothing_new_is_not_written() {
    let first = flat("");
    let merged = Seen::default().merged(&first).unwrap();
    assert_eq!(merged.texts.summary().unwrap().value, "Disk full");
    assert_eq!(merged.merged(&first), None);
    let read = Seen::read(&applied(&merged.change(&first.ticket(), 0), None)).unwrap();
    assert_eq!(read, merged);

    let mut moved = first;
    moved.key = Some("OPS-7".parse().unwrap());
    assert_eq!(new_keys(&moved, &merged).len(), 1);
    let again = merged.merged(&moved).unwrap();
    assert!(new_keys(&moved, &again).is_empty());
}

fn execution(event: TicketEvent, redrive_count: u32) -> Execution {
    Execution {
        name: "name-1".to_owned(),
        start_time: at("2026-11-21T08:00:00.000Z"),
        redrive_count,
        event,
    }
}

fn record(execution: &Execution, name: &str, seconds: u32, status: Status, item: Option<Item>) -> Item {
    let time = at(&format!("2026-11-21T08:00:{seconds:02}.000Z"));
    let state = step::State {
        name: name.to_owned(),
        entered_time: time,
        retry_count: seconds,
    };
    let record = Record {
        execution,
        state: &state,
        finished_at: time,
        status,
        outcome: "done",
        cause: None,
    };
    applied(&record.change(), item)
}

#[test]
fn progress_is_the_steps_that_were_recorded_in_their_order() {
    let execution = execution(flat(""), 1);
    let item = record(&execution, "StoreTicket", 1, Status::Running, None);
    let running = Progress::read(&item).unwrap();
    assert_eq!((running.status, running.stopped_at), (Status::Running, None));
    assert_eq!(running.settled(1, "StoreTicket"), None);

    let item = record(&execution, "DetectClosure", 2, Status::Succeeded, Some(item));
    let progress = Progress::read(&item).unwrap();
    assert_eq!((progress.name.as_str(), progress.redrives), ("name-1", 1));
    assert_eq!(progress.ticket, Some(flat("").ticket()));
    assert_eq!(progress.stopped_at, Some(at("2026-11-21T08:00:02.000Z")));
    let steps: Vec<_> = progress
        .steps
        .iter()
        .map(|step| (step.name.as_str(), step.attempt))
        .collect();
    assert_eq!(steps, [("StoreTicket", 2), ("DetectClosure", 3)]);
    assert_eq!(progress.settled(1, "DetectClosure"), Some("done"));
    assert_eq!(progress.settled(0, "DetectClosure"), None);
    assert_eq!(progress.settled(1, "ComputeDuration"), None);
    assert!(text(&item, "status_shard").unwrap().starts_with("SUCCEEDED#"));
    // A redrive after a failure shows it as running, and forgets why it had failed.
    let failed = Status::Failed.as_str();
    let mut item = item;
    item.insert("error".to_owned(), AttributeValue::S("TableRefused".to_owned()));
    item.insert("status".to_owned(), AttributeValue::S(failed.to_owned()));
    let redriven = Execution {
        redrive_count: 2,
        ..execution
    };
    let progress = Progress::read(&record(&redriven, "ComputeDuration", 3, Status::Running, Some(item))).unwrap();
    assert_eq!(
        (progress.status, progress.error, progress.redrives),
        (Status::Running, None, 2)
    );
}

#[test]
fn what_failed_beside_the_tickets_own_workflow_is_listed_until_it_is_redriven() {
    let event = flat("");
    let (started_at, stopped_at) = (at("2026-11-21T08:00:00.000Z"), at("2026-11-21T09:00:00.000Z"));
    let failure = |machine| Failure {
        machine,
        name: "name-1".to_owned(),
        ticket: Some(event.ticket()),
        key: None,
        status: Status::Failed,
        redrives: 0,
        started_at,
        stopped_at,
        error: Some("TableRefused".to_owned()),
        cause: None,
        step: None,
    };
    for machine in Machine::ALL {
        let is_own = machine == Machine::TicketLifecycle;
        let item = applied(&failure(machine).change(), None);
        let progress = Progress::read(&item).unwrap();
        assert_eq!(
            (progress.machine, progress.ticket.as_ref()),
            (machine, Some(&event.ticket()))
        );
        assert!(progress.tells() && progress.status == Status::Failed);
        assert!(text(&item, "status_shard").is_some_and(|shard| shard.starts_with("FAILED#")));
        assert_eq!(text(&item, "started_key"), Some("2026-11-21T08:00:00.000Z#name-1"));
        // The index by ticket has what happened to it, and no more.
        assert_eq!(text(&item, "ticket").is_some(), is_own);

        let redriven = redrive_change(machine, "name-1", 1, started_at, stopped_at);
        let item = applied(&redriven, Some(item));
        let progress = Progress::read(&item).unwrap();
        assert_eq!(
            (progress.status, progress.redrives, &progress.error),
            (Status::Running, 1, &None)
        );
        assert_eq!(
            (progress.tells(), text(&item, "started_key").is_some()),
            (is_own, is_own)
        );
        // It is listed again if it fails again.
        let again = Failure {
            redrives: 1,
            ..failure(machine)
        };
        let item = applied(&again.change(), Some(item));
        assert!(Progress::read(&item).unwrap().tells() && text(&item, "started_key").is_some());
        // And where nobody had recorded the failure yet, it is not any more.
        let unrecorded = applied(&redrive_change(machine, "name-1", 1, started_at, stopped_at), None);
        assert_eq!(Progress::read(&unrecorded).unwrap().machine, machine);
    }
}

#[test]
fn a_failure_told_late_lists_no_timer_that_goes_on() {
    let round = |redrives| Named::from([("redrives", redrives)]);
    // A redrive is written down whether or not the failure was, and once.
    assert!(holds(UNLISTED_GUARD, None, &round(1)) && holds(UNLISTED_GUARD, Some(&round(0)), &round(1)));
    assert!(!holds(UNLISTED_GUARD, Some(&round(1)), &round(1)) && !holds(UNLISTED_GUARD, Some(&round(2)), &round(1)));
    // The failure of the round before is refused from then on, that of a later one is not.
    assert!(!holds(FAILURE_GUARD, Some(&round(1)), &round(0)) && holds(FAILURE_GUARD, Some(&round(1)), &round(1)));
}

#[test]
fn an_item_that_nobody_wrote_is_named() {
    let mut item = record(&execution(flat(""), 0), "StoreTicket", 1, Status::Running, None);
    item.insert("redrives".to_owned(), AttributeValue::S("many".to_owned()));
    let error = Progress::read(&item).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the item EXECUTION#name-1 PROGRESS has no readable redrives"
    );
}
