//! Whole lives, and the cases in which they are not whole.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::chain::{Evidence, Origin};
use crate::policy::Done;
use crate::{Flag, State, durations, times};

fn whole_life() -> Vec<Value> {
    vec![
        created(),
        change(T0 + 10 * MINUTE, 501, "10000", "3"),
        change(T0 + 30 * MINUTE, 502, "3", "10002"),
    ]
}

fn flags(ticket: &Ticket) -> Vec<Flag> {
    ticket.flags.iter().copied().collect()
}

#[test]
fn a_closed_ticket_shows_every_field_in_order() {
    let view = seen(&whole_life());
    let expected = json!({
        "id": "acme.example.net~10100",
        "key": "SHOP-1",
        "aliases": [],
        "site": "acme.example.net",
        "project": "SHOP",
        "summary": "The basket forgets its items",
        "description": null,
        "priority": "High",
        "priority_at_creation": "High",
        "status": "Shipped",
        "state": "closed",
        "created_at": "2025-06-02T08:00:00.000Z",
        "started_at": "2025-06-02T08:10:00.000Z",
        "closed_at": "2025-06-02T08:30:00.000Z",
        "first_closed_at": "2025-06-02T08:30:00.000Z",
        "deleted_at": null,
        "duration_ms": 30 * MINUTE,
        "first_duration_ms": 30 * MINUTE,
        "cycle_time_ms": 20 * MINUTE,
        "reopen_count": 0,
        "flags": [],
    });
    // As text, because the order of the fields is part of the answer.
    assert_eq!(view.to_string(), expected.to_string());
}

#[test]
fn any_order_and_twice_each_is_the_same_ticket() {
    let life = whole_life();
    let view = seen(&life);
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let shuffled: Vec<Value> = order.iter().chain(&order).map(|&index| life[index].clone()).collect();
        assert_eq!(seen(&shuffled), view, "in the order {order:?}");
    }
}

#[test]
fn a_reopened_ticket_is_open_and_remembers_its_first_closing() {
    let mut life = whole_life();
    life.push(change(T0 + 40 * MINUTE, 503, "10002", "10000"));
    let ticket = folded(&life);
    assert_eq!(
        (ticket.state, ticket.closed_at, ticket.reopen_count),
        (State::Open, None, 1)
    );
    assert_eq!(ticket.first_closed_at, Some(time(T0 + 30 * MINUTE)));
    assert_eq!(durations(&ticket).duration_ms, None);
    assert_eq!(durations(&ticket).first_duration_ms, Some(30 * MINUTE));

    life.push(change(T0 + 90 * MINUTE, 504, "10000", "10003"));
    let ticket = folded(&life);
    assert_eq!(
        (ticket.state, ticket.closed_at),
        (State::Closed, Some(time(T0 + 90 * MINUTE)))
    );
    assert_eq!(durations(&ticket).duration_ms, Some(90 * MINUTE));
    assert_eq!(flags(&ticket), []);
}

#[test]
fn going_from_done_to_done_does_not_move_the_closing() {
    let mut life = whole_life();
    life.push(change(T0 + 50 * MINUTE, 503, "10002", "10003"));
    let ticket = folded(&life);
    assert_eq!(ticket.closed_at, Some(time(T0 + 30 * MINUTE)));
    assert_eq!(ticket.reopen_count, 0);
}

#[test]
fn closed_straight_from_to_do_has_a_lead_time_and_no_cycle_time() {
    let ticket = folded(&[created(), change(T0 + MINUTE, 501, "10000", "10003")]);
    assert_eq!(durations(&ticket).duration_ms, Some(MINUTE));
    assert_eq!(durations(&ticket).cycle_time_ms, None);
}

#[test]
fn created_directly_in_a_done_status_took_no_time() {
    let mut body = webhook("created", T0 + LAG, "10002");
    body["issue"]["fields"]["resolution"] = json!({ "id": "1" });
    let ticket = folded(&[body]);
    assert_eq!((ticket.state, ticket.closed_at), (State::Closed, Some(time(T0))));
    assert_eq!(durations(&ticket).duration_ms, Some(0));
    assert_eq!(flags(&ticket), []);
}

#[test]
fn the_closing_alone_gives_the_full_answer() {
    let ticket = folded(&whole_life()[2..]);
    assert_eq!(ticket.state, State::Closed);
    assert_eq!(durations(&ticket).duration_ms, Some(30 * MINUTE));
    // Of the status it came from, no body has shown the category yet.
    assert_eq!(flags(&ticket), [Flag::StatusUnknown]);
}

#[test]
fn without_a_creation_there_is_no_duration_until_a_body_says_it() {
    let mut closing = whole_life().remove(2);
    closing["issue"]["fields"]
        .as_object_mut()
        .expect("fields")
        .remove("created");
    let ticket = folded(&[closing.clone()]);
    assert_eq!((ticket.state, durations(&ticket).duration_ms), (State::Closed, None));
    assert!(ticket.flags.contains(&Flag::CreatedUnknown));
    assert_eq!(ticket.closed_at, Some(time(T0 + 30 * MINUTE)));

    let ticket = folded(&[closing, created()]);
    assert_eq!(durations(&ticket).duration_ms, Some(30 * MINUTE));
    assert!(!ticket.flags.contains(&Flag::CreatedUnknown));
}

#[test]
fn a_lost_start_is_inferred_from_where_the_next_change_comes_from() {
    let life = whole_life();
    let ticket = folded(&[life[0].clone(), life[2].clone()]);
    assert_eq!(
        (ticket.gaps, flags(&ticket)),
        (1, vec![Flag::Incomplete, Flag::StatusUnknown])
    );
    assert_eq!(durations(&ticket).duration_ms, Some(30 * MINUTE));
    assert_eq!(ticket.history[1].origin, Origin::Inferred(Evidence::UpperBound));
    // When the lost event comes after all, nothing is left of the inference.
    assert_eq!(
        folded(&life),
        folded(&[life[0].clone(), life[2].clone(), life[1].clone()])
    );
}

#[test]
fn a_lost_closing_is_dated_by_the_resolution_date_that_a_later_body_shows() {
    let mut edit = webhook("updated", T0 + 70 * MINUTE, "10002");
    edit["issue"]["fields"]["resolution"] = json!({ "id": "1", "name": "Done" });
    edit["issue"]["fields"]["resolutiondate"] = json!(jira_time(T0 + 30 * MINUTE));
    let life = [whole_life()[0].clone(), whole_life()[1].clone(), edit];
    let ticket = folded(&life);
    assert_eq!((ticket.state, ticket.gaps), (State::Closed, 1));
    assert_eq!(ticket.closed_at, Some(time(T0 + 30 * MINUTE)));
    assert_eq!(ticket.history[2].origin, Origin::Inferred(Evidence::ResolutionDate));
    assert_eq!(flags(&ticket), [Flag::Incomplete]);
}

#[test]
fn a_lost_start_is_dated_by_the_change_of_category_and_else_by_the_first_body() {
    let mut edit = webhook("updated", T0 + 20 * MINUTE, "3");
    let ticket = folded(&[created(), edit.clone()]);
    assert_eq!(ticket.started_at, Some(time(T0 + 20 * MINUTE)));
    assert_eq!(ticket.history[1].origin, Origin::Inferred(Evidence::Snapshot));

    edit["issue"]["fields"]["statuscategorychangedate"] = json!(jira_time(T0 + 12 * MINUTE));
    let ticket = folded(&[created(), edit]);
    assert_eq!(ticket.started_at, Some(time(T0 + 12 * MINUTE)));
    assert_eq!(ticket.history[1].origin, Origin::Inferred(Evidence::CategoryChangeDate));
}

#[test]
fn a_lost_reopening_shows_when_the_ticket_closes_again() {
    let life = [
        created(),
        change(T0 + MINUTE, 501, "10000", "10002"),
        change(T0 + 9 * MINUTE, 503, "3", "10002"),
    ];
    let ticket = folded(&life);
    assert_eq!((ticket.gaps, ticket.reopen_count), (1, 1));
    assert_eq!(ticket.closed_at, Some(time(T0 + 9 * MINUTE)));
}

#[test]
fn a_pair_of_lost_changes_shows_in_a_body_between_them() {
    let life = [
        created(),
        webhook("updated", T0 + 5 * MINUTE, "3"),
        webhook("updated", T0 + 9 * MINUTE, "10000"),
    ];
    let ticket = folded(&life);
    assert_eq!((ticket.gaps, ticket.state), (2, State::Open));
    assert_eq!(ticket.started_at, Some(time(T0 + 5 * MINUTE)));
}

#[test]
fn a_lost_reopening_and_closing_show_in_a_later_category_change() {
    let mut edit = webhook("updated", T0 + 90 * MINUTE, "10002");
    edit["issue"]["fields"]["resolution"] = json!({ "id": "1", "name": "Done" });
    edit["issue"]["fields"]["resolutiondate"] = json!(jira_time(T0 + 70 * MINUTE));
    let mut life = whole_life();
    life.push(edit.clone());
    // The resolution is newer than the closing that is known: something is missing, but not which status it went to.
    let ticket = folded(&life);
    assert_eq!(
        (ticket.closed_at, flags(&ticket)),
        (Some(time(T0 + 30 * MINUTE)), vec![Flag::Incomplete])
    );
    let by_resolution = folded_by(
        &life,
        &Policy {
            done: Done::Resolution,
            ..Policy::default()
        },
    );
    assert_eq!(by_resolution.closed_at, Some(time(T0 + 70 * MINUTE)));

    edit["issue"]["fields"]["statuscategorychangedate"] = json!(jira_time(T0 + 70 * MINUTE));
    life.pop();
    life.push(edit);
    let ticket = folded(&life);
    assert_eq!(
        (ticket.closed_at, ticket.reopen_count, ticket.gaps),
        (Some(time(T0 + 70 * MINUTE)), 1, 2)
    );
    assert!(ticket.flags.contains(&Flag::Incomplete));
}

#[test]
fn a_data_center_without_changelogs_gives_inferred_steps() {
    let life = [
        created(),
        webhook("updated", T0 + 5 * MINUTE, "3"),
        webhook("updated", T0 + 9 * MINUTE, "10002"),
    ];
    let ticket = folded(&life);
    assert_eq!((ticket.gaps, ticket.state), (2, State::Closed));
    assert_eq!(durations(&ticket).duration_ms, Some(9 * MINUTE));
    assert!(ticket.flags.contains(&Flag::Incomplete));
}

#[test]
fn a_ticket_first_met_in_progress_was_not_created_there() {
    let mut body = webhook("updated", T0 + 50 * MINUTE, "3");
    let ticket = folded(&[body.clone()]);
    assert_eq!((ticket.started_at, ticket.gaps), (Some(time(T0 + 50 * MINUTE)), 1));
    // Unless the category has not changed since.
    body["issue"]["fields"]["statuscategorychangedate"] = json!(jira_time(T0 + 80));
    let ticket = folded(&[body]);
    assert_eq!((ticket.started_at, ticket.gaps), (Some(time(T0)), 0));
}

#[test]
fn a_body_written_out_after_the_next_change_is_no_gap() {
    let mut early = change(T0 + MINUTE, 501, "10000", "3");
    early["issue"]["fields"]["status"] = status("10010");
    let late = change(T0 + MINUTE + 800, 502, "3", "10010");
    let ticket = folded(&[created(), early.clone()]);
    assert_eq!(
        (ticket.gaps, flags(&ticket)),
        (0, vec![Flag::Conflict, Flag::StatusUnknown])
    );
    let ticket = folded(&[created(), early, late]);
    assert_eq!((ticket.gaps, ticket.flags.contains(&Flag::Conflict)), (0, false));
}

#[test]
fn a_deleted_ticket_does_not_come_back() {
    let mut deletion = webhook("deleted", T0 + 60 * MINUTE, "10002");
    // 38 minutes stale, as Jira sends it.
    deletion["issue"]["fields"]["updated"] = json!(jira_time(T0 + 22 * MINUTE));
    let mut life = whole_life();
    life.push(deletion);
    life.push(change(T0 + 61 * MINUTE, 509, "10002", "3"));
    let ticket = folded(&life);
    assert_eq!(ticket.state, State::Deleted);
    assert_eq!(ticket.deleted_at, Some(time(T0 + 60 * MINUTE)));
    assert_eq!(
        (ticket.closed_at, ticket.first_closed_at),
        (None, Some(time(T0 + 30 * MINUTE)))
    );
    assert_eq!(ticket.history.len(), 4);
    assert_eq!(
        times(&ticket, None, Some(time(T0 + 600 * MINUTE))).active_time_ms,
        20 * MINUTE
    );
}

#[test]
fn a_moved_ticket_keeps_its_identity_and_its_old_key() {
    let mut moved = webhook("updated", T0 + 5 * MINUTE, "10001");
    moved["issue"]["key"] = json!("WEB-7");
    moved["issue"]["fields"]["project"] = json!({ "id": "10005", "key": "WEB" });
    moved["changelog"] = json!({ "id": "600", "items": [
        { "field": "project", "fieldtype": "jira", "from": "10000", "fromString": "Shop", "to": "10005", "toString": "Web" },
        status_item(Some("10000"), "10001"),
        { "field": "Key", "fieldtype": "jira", "from": null, "fromString": "SHOP-1", "to": null, "toString": "WEB-7" },
    ]});
    for life in [
        vec![created(), moved.clone()],
        vec![moved.clone(), created()],
        vec![moved],
    ] {
        let view = seen(&life);
        assert_eq!(
            (&view["key"], &view["aliases"], &view["project"]),
            (&json!("WEB-7"), &json!(["SHOP-1"]), &json!("WEB"))
        );
    }
}

#[test]
fn the_priority_at_creation_is_where_the_first_change_came_from() {
    let mut lowered = webhook("updated", T0 + 5 * MINUTE, "10000");
    lowered["issue"]["fields"]["priority"] = json!({ "id": "4", "name": "Low" });
    lowered["changelog"] = json!({ "id": "601", "items": [
        { "field": "priority", "fieldId": "priority", "from": "2", "fromString": "High", "to": "4", "toString": "Low" },
    ]});
    let view = seen(&[lowered]);
    assert_eq!(
        (&view["priority"], &view["priority_at_creation"]),
        (&json!("Low"), &json!("High"))
    );
}

#[test]
fn a_resolution_without_a_status_is_flagged_and_closes_only_by_policy() {
    let mut resolved = webhook("updated", T0 + 5 * MINUTE, "10000");
    resolved["issue"]["fields"]["resolution"] = json!({ "id": "1", "name": "Done" });
    resolved["changelog"] = json!({ "id": "602", "items": [
        { "field": "resolution", "fieldId": "resolution", "from": null, "to": "1", "toString": "Done" },
    ]});
    let life = [created(), resolved];
    let by = |done: Done| {
        folded_by(
            &life,
            &Policy {
                done,
                ..Policy::default()
            },
        )
    };
    assert_eq!(by(Done::Category).state, State::Open);
    assert_eq!(flags(&by(Done::Category)), [Flag::ResolutionMismatch]);
    assert_eq!(by(Done::Both).state, State::Open);
    for done in [Done::Resolution, Done::Either] {
        let ticket = by(done);
        assert_eq!(
            (ticket.state, ticket.closed_at),
            (State::Closed, Some(time(T0 + 5 * MINUTE)))
        );
    }
}

#[test]
fn done_by_status_ids_holds_for_the_projects_that_are_listed() {
    let of = |project: &str| Done::StatusIds([(project.to_owned(), BTreeSet::from(["10010".to_owned()]))].into());
    let life = [
        created(),
        change(T0 + MINUTE, 501, "10000", "10010"),
        change(T0 + 2 * MINUTE, 502, "10010", "10002"),
    ];
    let by = |done: Done| {
        folded_by(
            &life,
            &Policy {
                done,
                ..Policy::default()
            },
        )
    };
    assert_eq!(
        (by(of("SHOP")).state, by(of("SHOP")).first_closed_at),
        (State::Open, Some(time(T0 + MINUTE)))
    );
    assert_eq!(by(of("OTHER")).state, State::Closed);
}

#[test]
fn started_by_status_ids_holds_for_the_projects_that_are_listed() {
    let life = [
        created(),
        change(T0 + MINUTE, 501, "10000", "10001"),
        change(T0 + 2 * MINUTE, 502, "10001", "3"),
        change(T0 + 3 * MINUTE, 503, "3", "10010"),
        change(T0 + 4 * MINUTE, 504, "10010", "10002"),
    ];
    let by = |project: &str, statuses: &[&str]| {
        let started = json!({ "status_ids": { project: statuses } });
        let policy: Policy = serde_json::from_value(json!({ "started": started })).expect("a policy");
        folded_by(&life, &policy)
    };
    // Work starts where the team says, also in a status of another category, and whichever of them comes first.
    assert_eq!(by("SHOP", &["10010", "10001"]).started_at, Some(time(T0 + MINUTE)));
    assert_eq!(by("SHOP", &["10010"]).started_at, Some(time(T0 + 3 * MINUTE)));
    assert_eq!(durations(&by("SHOP", &["10010"])).cycle_time_ms, Some(MINUTE));
    assert_eq!(by("SHOP", &["10003"]).started_at, None);
    assert_eq!(by("OTHER", &["10010"]).started_at, Some(time(T0 + 2 * MINUTE)));
}

#[test]
fn an_unknown_category_is_unknown_until_it_is_told() {
    let mut body = change(T0 + MINUTE, 501, "10000", "10002");
    body["issue"]["fields"]["status"]
        .as_object_mut()
        .expect("a status")
        .remove("statusCategory");
    let ticket = folded(&[created(), body.clone()]);
    assert_eq!(
        (ticket.state, flags(&ticket)),
        (State::Unknown, vec![Flag::StatusUnknown])
    );

    let list = json!([{ "id": "10002", "name": "Shipped", "statusCategory": { "id": 3, "key": "done" } }]);
    let learned = jira::read_statuses(list.to_string().as_bytes(), time(T0)).expect("a list of statuses");
    let (first, second) = (event(&created()), event(&body));
    let ticket = fold(
        first.facts.iter().chain(&second.facts).chain(&learned),
        &Policy::default(),
        &Categories::default(),
    );
    assert_eq!((ticket.state, flags(&ticket)), (State::Closed, vec![]));

    let categories = [("10002".to_owned(), crate::fact::Category::Done)].into();
    let configured = folded_by(
        &[created(), body],
        &Policy {
            categories,
            ..Policy::default()
        },
    );
    assert_eq!(configured.state, State::Closed);
}

#[test]
fn a_status_that_changed_its_category_is_no_gap() {
    // When "Backlog" was left, it was `new`; now it is `indeterminate`.
    let mut started = change(T0 + 10 * MINUTE, 501, "10000", "3");
    started["issue"]["fields"]["statuscategorychangedate"] = json!(jira_time(T0 + 10 * MINUTE - 50));
    let mut edit = webhook("updated", T0 + 20 * MINUTE, "3");
    edit["issue"]["fields"]["statuscategorychangedate"] = json!(jira_time(T0 + 10 * MINUTE - 50));
    let categories = [("10000".to_owned(), crate::fact::Category::Indeterminate)].into();
    let policy = Policy {
        categories,
        ..Policy::default()
    };
    let ticket = folded_by(&[created(), started, edit], &policy);
    assert_eq!((ticket.gaps, ticket.started_at), (0, Some(time(T0))));
}

#[test]
fn a_clock_that_is_behind_gives_zero_and_a_flag() {
    let ticket = folded(&[created(), change(T0 - MINUTE, 501, "10000", "10002")]);
    assert_eq!(ticket.state, State::Closed);
    assert_eq!(durations(&ticket).duration_ms, Some(0));
    assert!(ticket.flags.contains(&Flag::ClockSkew));
}

#[test]
fn a_contradicted_change_is_settled_by_hash_and_flagged() {
    let one = change(T0 + MINUTE, 501, "10000", "3");
    let other = change(T0 + MINUTE, 501, "10000", "10010");
    let ticket = folded(&[created(), one.clone(), other.clone()]);
    assert!(ticket.flags.contains(&Flag::Conflict));
    // The hash of what each says decides; that it is this one is arbitrary, but must stay so.
    assert_eq!(
        ticket.history[1]
            .status
            .as_ref()
            .and_then(|status| status.id.as_deref()),
        Some("3")
    );
    assert_eq!(ticket, folded(&[other, one, created()]));
}

#[test]
fn one_change_seen_by_two_clocks_is_one_step_at_the_better_time() {
    for skew in [-25, 25] {
        let at = T0 + 10 * MINUTE;
        let rest = json!({
            "id": "10100", "self": "https://acme.example.net/rest/api/2/issue/10100", "key": "SHOP-1",
            "changelog": { "histories": [
                { "id": "501", "created": jira_time(at + skew), "items": [status_item(Some("10000"), "3")] },
            ]},
            "fields": { "created": jira_time(T0), "updated": jira_time(at - 20), "status": status("3") },
        });
        let ticket = folded(&[created(), change(at, 501, "10000", "3"), rest]);
        assert_eq!(ticket.history.len(), 2);
        assert_eq!(ticket.started_at, Some(time(at + skew)));
        assert_eq!(flags(&ticket), []);
    }
}

#[test]
fn changes_follow_their_times_and_only_at_one_time_their_numbers() {
    // Two nodes of a Data Center number their changelogs from ranges of their own.
    let life = [
        created(),
        change(T0 + MINUTE, 9_000, "10000", "3"),
        change(T0 + 2 * MINUTE, 200, "3", "10002"),
    ];
    assert_eq!((folded(&life).gaps, folded(&life).state), (0, State::Closed));
    // As numbers: 99 before 100.
    let life = [
        created(),
        change(T0 + MINUTE, 99, "10000", "3"),
        change(T0 + MINUTE, 100, "3", "10002"),
    ];
    assert_eq!((folded(&life).gaps, folded(&life).state), (0, State::Closed));
}

#[test]
fn a_category_change_before_all_that_is_known_is_no_gap_of_its_own() {
    let mut body = webhook("updated", T0 + 90 * MINUTE, "10002");
    body["issue"]["fields"]["resolution"] = json!({ "id": "1", "name": "Done" });
    body["issue"]["fields"]["resolutiondate"] = json!(jira_time(T0 + 70 * MINUTE));
    body["issue"]["fields"]["statuscategorychangedate"] = json!(jira_time(T0 + 50 * MINUTE));
    let ticket = folded(&[body]);
    assert_eq!((ticket.gaps, ticket.reopen_count), (1, 0));
}

#[test]
fn two_sites_with_the_same_ids_are_two_tickets() {
    let mut other = created();
    other["issue"]["self"] = json!("https://other.example.net/rest/api/2/issue/10100");
    let (one, other) = (event(&created()), event(&other));
    assert_ne!(one.ticket(), other.ticket());
    assert_ne!(one.hash(), other.hash());
    assert_eq!(one.facts, other.facts);
}

#[test]
fn sums_leave_the_running_stay_out_unless_asked_for_a_moment() {
    let mut life = whole_life();
    life.truncate(2);
    let ticket = folded(&life);
    let so_far = times(&ticket, None, None);
    assert_eq!(
        (so_far.open_time_ms, so_far.active_time_ms, so_far.age_ms),
        (10 * MINUTE, 0, None)
    );
    let now = times(&ticket, None, Some(time(T0 + 25 * MINUTE)));
    assert_eq!(
        (now.open_time_ms, now.active_time_ms, now.age_ms),
        (25 * MINUTE, 15 * MINUTE, Some(25 * MINUTE))
    );
    assert_eq!(
        now.time_in_status_ms,
        [("10000".to_owned(), 10 * MINUTE), ("3".to_owned(), 15 * MINUTE)].into()
    );
    // A moment before it all counts nothing.
    let before = times(&ticket, None, Some(time(T0 - MINUTE)));
    assert_eq!(
        (before.open_time_ms, before.active_time_ms, before.age_ms),
        (0, 0, Some(0))
    );
}

#[test]
fn created_directly_in_progress_it_was_started_then() {
    let ticket = folded(&[
        webhook("created", T0 + LAG, "3"),
        change(T0 + 9 * MINUTE, 501, "3", "10002"),
    ]);
    assert_eq!((ticket.started_at, ticket.gaps), (Some(time(T0)), 0));
    assert_eq!(durations(&ticket).cycle_time_ms, durations(&ticket).duration_ms);
}

#[test]
fn a_body_without_a_status_leaves_the_ticket_unknown_until_one_shows_it() {
    let mut body = created();
    body["issue"]["fields"]["status"] = Value::Null;
    let ticket = folded(&[body.clone()]);
    assert_eq!(
        (ticket.state, flags(&ticket)),
        (State::Unknown, vec![Flag::StatusUnknown])
    );
    let ticket = folded(&[body, created()]);
    assert_eq!((ticket.state, flags(&ticket)), (State::Open, vec![]));
}

#[test]
fn working_hours_stand_beside_the_hours_of_the_clock() {
    // From Monday morning, 10:00 in Berlin, to Tuesday.
    let life = [
        created(),
        change(T0 + 60 * MINUTE, 501, "10000", "3"),
        change(T0 + 25 * 60 * MINUTE, 502, "3", "10002"),
    ];
    let calendar = json!({ "zone": "Europe/Berlin", "hours": ["09:00-17:00"] });
    let policy: Policy = serde_json::from_value(json!({ "calendar": calendar })).expect("a policy");
    let ticket = folded_by(&life, &policy);
    let times = times(&ticket, policy.calendar.as_ref(), None);
    let business = times.business.expect("business time");
    assert_eq!(business.durations.duration_ms, Some(9 * 60 * MINUTE));
    assert_eq!(business.durations.cycle_time_ms, Some(8 * 60 * MINUTE));
    assert_eq!(
        (business.open_time_ms, business.active_time_ms),
        (9 * 60 * MINUTE, 8 * 60 * MINUTE)
    );
    assert_eq!((times.open_time_ms, business.age_ms), (25 * 60 * MINUTE, None));
    assert_eq!(durations(&ticket).duration_ms, Some(25 * 60 * MINUTE));
}

#[test]
fn times_are_kept_of_so_many_statuses_and_the_rest_is_summed_up() {
    let mut body = created();
    body["changelog"] = json!({ "histories": (0..300).map(|step| json!({
        "id": (500 + step).to_string(), "created": jira_time(T0 + (step + 1) * MINUTE),
        "items": [status_item(Some(&format!("s{step}")), &format!("s{}", step + 1))],
    })).collect::<Vec<_>>() });
    let events: Vec<TicketEvent> = (0..6)
        .map(|part| {
            let mut body = body.clone();
            let histories = body["changelog"]["histories"].as_array().expect("histories").clone();
            body["changelog"]["histories"] = json!(histories[part * 50..(part + 1) * 50]);
            event(&body)
        })
        .collect();
    let facts = events.iter().flat_map(|event| &event.facts);
    let ticket = fold(facts, &Policy::default(), &Categories::default());
    assert!(300 <= ticket.history.len());
    let times = times(&ticket, None, Some(time(T0 + 400 * MINUTE)));
    assert_eq!(times.time_in_status_ms.len(), 201);
    assert_eq!(times.time_in_status_ms.values().sum::<i64>(), 400 * MINUTE);
}

#[test]
fn a_policy_is_a_template_parameter() {
    let policy: Policy = serde_json::from_value(json!({
        "done": { "status_ids": { "SHOP": ["10010"] } }, "priorities": ["Blocker"], "categories": { "7": "done" },
    }))
    .expect("a policy");
    assert!(policy.counts("BLOCKER") && !policy.counts("High"));
    assert_eq!(
        serde_json::from_str::<Policy>("{}").expect("the default"),
        Policy::default()
    );
    assert_eq!(
        serde_json::from_value::<Done>(json!("either")).expect("a rule"),
        Done::Either
    );
    assert!(serde_json::from_value::<Policy>(json!({ "dnoe": "either" })).is_err());
}
