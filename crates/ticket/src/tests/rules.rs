//! Rules that only show where sources disagree: which clock, which body, which word of several is taken.

use serde_json::{Value, json};

use super::*;
use crate::fact::{Category, Fact};
use crate::{Flag, State};

const LINK: &str = "https://acme.example.net/rest/api/2/issue/10100";

fn deleted_at(facts: &[Fact]) -> Option<Time> {
    facts.iter().find_map(|fact| match fact {
        Fact::Deleted { at } => Some(*at),
        _ => None,
    })
}

#[test]
fn a_category_is_known_by_its_key_or_else_by_its_number_and_never_by_its_name() {
    for (category, state, is_started) in [
        (json!({ "id": 2, "name": "Done" }), State::Open, false),
        (json!({ "id": 4, "name": "Fertig" }), State::Open, true),
        (json!({ "id": 3, "name": "To Do" }), State::Closed, false),
        (json!({ "key": "done", "id": 2 }), State::Closed, false),
        (
            json!({ "id": 1, "key": "undefined", "name": "No Category" }),
            State::Unknown,
            false,
        ),
        (json!({ "name": "Done" }), State::Unknown, false),
        (Value::Null, State::Unknown, false),
    ] {
        let mut body = webhook("created", T0 + LAG, "10000");
        body["issue"]["fields"]["status"]["statusCategory"] = category.clone();
        let ticket = folded(&[body]);
        assert_eq!(
            (ticket.state, ticket.started_at.is_some()),
            (state, is_started),
            "{category}"
        );
    }
}

#[test]
fn of_two_deliveries_of_one_change_the_better_clock_and_then_the_earlier_dates_it() {
    let told = |at: i64, is_stamped: bool| {
        let mut body = change(at, 501, "10000", "3");
        if !is_stamped {
            body.as_object_mut().expect("a body").remove("timestamp");
        }
        body
    };
    let at = T0 + 10 * MINUTE;
    let started = |bodies: &[Value]| folded(bodies).started_at;
    // Two webhooks tell of one change, each with its own stamp.
    assert_eq!(
        started(&[created(), told(at + 40, true), told(at, true)]),
        Some(time(at))
    );
    // A stamp is better than when the body was updated, which is earlier here.
    assert_eq!(
        started(&[created(), told(at, false), told(at + 40, true)]),
        Some(time(at + 40))
    );
    assert_eq!(started(&[created(), told(at, false)]), Some(time(at - LAG)));
}

#[test]
fn a_delivery_may_say_its_time_in_digits_and_bring_a_history_within_the_issue() {
    let mut body = webhook("updated", T0 + 20 * MINUTE, "3");
    body["timestamp"] = json!((T0 + 20 * MINUTE).to_string());
    body["issue"]["changelog"] = json!({ "histories": [
        { "id": 501, "created": jira_time(T0 + 9 * MINUTE), "items": [status_item(Some("10000"), "3")] },
    ]});
    assert_eq!(event(&body).observed, time(T0 + 20 * MINUTE));
    let ticket = folded(&[created(), body]);
    assert_eq!((ticket.started_at, ticket.gaps), (Some(time(T0 + 9 * MINUTE)), 0));
}

#[test]
fn a_deletion_is_dated_by_its_delivery_or_else_by_its_body_and_the_first_one_counts() {
    let mut stamped = webhook("deleted", T0 + 60 * MINUTE, "10000");
    stamped["issue"]["fields"]["updated"] = json!(jira_time(T0 + 22 * MINUTE));
    assert_eq!(deleted_at(&event(&stamped).facts), Some(time(T0 + 60 * MINUTE)));
    let mut unstamped = stamped.clone();
    unstamped.as_object_mut().expect("a body").remove("timestamp");
    assert_eq!(deleted_at(&event(&unstamped).facts), Some(time(T0 + 22 * MINUTE)));
    assert_eq!(
        folded(&[created(), stamped, unstamped]).deleted_at,
        Some(time(T0 + 22 * MINUTE))
    );
}

#[test]
fn bodies_that_disagree_about_the_creation_are_a_conflict_and_the_earliest_counts() {
    let mut other = change(T0 + 30 * MINUTE, 501, "10000", "10002");
    other["issue"]["fields"]["created"] = json!(jira_time(T0 - MINUTE));
    let ticket = folded(&[created(), other]);
    assert_eq!(ticket.created_at, Some(time(T0 - MINUTE)));
    assert_eq!(crate::durations(&ticket).duration_ms, Some(31 * MINUTE));
    assert!(ticket.flags.contains(&Flag::Conflict));
}

/// A delivery that shows the priority `now`, and changes it if it says from what.
fn priority(at: i64, now: &str, from: Option<&str>) -> Value {
    let mut body = webhook("updated", at, "10000");
    body["issue"]["fields"]["priority"] = json!({ "id": now, "name": now });
    if let Some(from) = from {
        body["changelog"] = json!({ "id": "601", "items": [
            { "field": "priority", "fieldId": "priority", "from": from, "to": now },
        ]});
    }
    body
}

#[test]
fn the_priority_is_the_latest_word_and_the_first_one_that_of_the_creation() {
    let of = |bodies: &[Value]| {
        let ticket = folded(bodies);
        let label = |value: &Option<crate::fact::Named>| value.as_ref().map(|value| value.label().to_owned());
        (label(&ticket.priority_at_creation), label(&ticket.priority))
    };
    let said = |one: &str, other: &str| (Some(one.to_owned()), Some(other.to_owned()));
    let raised = priority(T0 + 10 * MINUTE, "Highest", Some("High"));
    // A body seen later shows another one: its change was lost.
    assert_eq!(
        of(&[raised.clone(), priority(T0 + 20 * MINUTE, "Low", None)]),
        said("High", "Low")
    );
    // One that was written a moment after the change may be the body of the change before.
    assert_eq!(
        of(&[raised.clone(), priority(T0 + 10 * MINUTE + 900, "High", None)]),
        said("High", "Highest")
    );
    // A body seen long before the first known change shows what there was at first.
    assert_eq!(
        of(&[priority(T0 + MINUTE, "Medium", None), raised]),
        said("Medium", "Highest")
    );
    // The changelog of the creation: what it says is the first.
    let mut creation = priority(T0 + LAG, "Low", Some("High"));
    creation["webhookEvent"] = json!("jira:issue_created");
    assert_eq!(of(&[creation]), said("Low", "Low"));
    // A body that says that there is none.
    let mut none = priority(T0 + 30 * MINUTE, "x", None);
    none["issue"]["fields"]["priority"] = Value::Null;
    assert_eq!(
        of(&[priority(T0 + MINUTE, "Low", None), none]),
        (Some("Low".to_owned()), None)
    );
}

#[test]
fn the_key_is_the_one_seen_last_also_where_the_move_was_lost() {
    let keyed = |at: i64, key: &str| {
        let mut body = webhook("updated", at, "10000");
        body["issue"]["key"] = json!(key);
        body
    };
    let mut moved = keyed(T0 + 10 * MINUTE, "WEB-7");
    moved["changelog"] = json!({ "id": "600", "items": [
        { "field": "issuekey", "fieldId": "issuekey", "fromString": "SHOP-1", "toString": "WEB-7" },
    ]});
    let ticket = folded(&[created(), moved.clone(), keyed(T0 + 20 * MINUTE, "OPS-3")]);
    assert_eq!(ticket.key.as_ref().map(|key| key.as_str()), Some("OPS-3"));
    let aliases: Vec<&str> = ticket.aliases.iter().map(|key| key.as_str()).collect();
    assert_eq!(
        (aliases, ticket.project.as_deref()),
        (vec!["SHOP-1", "WEB-7"], Some("OPS"))
    );
    // Of the old key only the move itself may tell.
    let aliases = folded(&[moved.clone()]).aliases;
    assert_eq!(aliases.iter().map(|key| key.as_str()).collect::<Vec<_>>(), ["SHOP-1"]);
    // A body older than the move does not undo it.
    let ticket = folded(&[moved, keyed(T0 + 5 * MINUTE, "SHOP-1")]);
    assert_eq!(ticket.key.as_ref().map(|key| key.as_str()), Some("WEB-7"));
}

#[test]
fn a_changelog_that_leads_nowhere_says_nothing() {
    for item in [
        json!({ "field": "status", "fieldId": "status", "from": "10000", "to": null, "toString": null }),
        json!({ "field": "status", "fieldId": "", "from": "10000", "to": "", "toString": "" }),
        json!({}),
        json!({ "field": null, "from": null, "to": null }),
        json!({ "field": 7, "fieldId": ["status"], "to": "3" }),
    ] {
        let mut body = webhook("updated", T0 + MINUTE, "10000");
        body["changelog"] = json!({ "id": "501", "items": [item] });
        let ticket = folded(&[created(), body]);
        assert_eq!((ticket.history.len(), ticket.gaps), (1, 0), "{item}");
    }
    // An empty `fieldId` is none.
    let mut body = change(T0 + MINUTE, 501, "10000", "3");
    body["changelog"]["items"][0]["fieldId"] = json!("");
    let ticket = folded(&[created(), body]);
    assert_eq!((ticket.history.len(), ticket.gaps), (2, 0));
}

#[test]
fn the_same_edit_of_two_issues_without_a_changelog_id_is_two() {
    let of = |issue: &str| {
        let mut body = change(T0 + MINUTE, 501, "10000", "3");
        body["changelog"].as_object_mut().expect("a changelog").remove("id");
        body["issue"]["id"] = json!(issue);
        event(&body)
    };
    let ids = |event: &TicketEvent| -> Vec<String> {
        let changes = event.facts.iter().filter(|fact| matches!(fact, Fact::Change(_)));
        changes.map(Fact::id).collect()
    };
    assert_eq!(ids(&of("1")), ids(&of("1")));
    assert_ne!(ids(&of("1")), ids(&of("2")));
}

#[test]
fn one_issue_is_one_ticket_whoever_tells_of_it() {
    let mut automation = webhook("updated", T0 + 20 * MINUTE, "10002")["issue"].clone();
    automation["id"] = json!(10100);
    automation["fields"]["created"] = json!(T0);
    automation["fields"]["updated"] = json!(T0 + 20 * MINUTE);
    automation["fields"]["resolutiondate"] = json!(T0 + 19 * MINUTE);
    automation["fields"]["resolution"] = json!({ "name": "Done" });
    automation["changelog"] = json!({ "startAt": 0, "maxResults": 0, "total": 0, "histories": null });
    let started = change(T0 + 10 * MINUTE, 501, "10000", "3");
    let post_function = json!({ "timestamp": T0 + 15 * MINUTE, "comment": "", "transition": { "workflowId": 1 },
        "issue": { "id": "10100", "self": LINK, "key": "SHOP-1", "fields": { "status": { "id": "10010" } } } });
    let bodies = [created(), started, post_function, automation];
    let ids: std::collections::BTreeSet<_> = bodies.iter().map(|body| event(body).ticket()).collect();
    assert_eq!(ids.len(), 1);
    let ticket = folded(&bodies);
    assert_eq!(
        (ticket.state, ticket.closed_at),
        (State::Closed, Some(time(T0 + 19 * MINUTE)))
    );
    assert_eq!((ticket.gaps, ticket.history.len()), (2, 4));
    // Of the status that only the post-function showed, nobody said the category.
    assert!(ticket.flags.contains(&Flag::Incomplete) && ticket.flags.contains(&Flag::StatusUnknown));
}

#[test]
fn a_body_teaches_the_category_that_it_shows_last() {
    let shown = |at: i64, category: &str| {
        let mut body = webhook("updated", at, "10010");
        body["issue"]["fields"]["status"]["statusCategory"]["key"] = json!(category);
        body
    };
    let ticket = folded(&[shown(T0 + MINUTE, "indeterminate"), shown(T0 + 2 * MINUTE, "done")]);
    assert_eq!(ticket.state, State::Closed);
    assert_eq!(
        ticket.history.last().and_then(|stay| stay.category),
        Some(Category::Done)
    );
}

#[test]
fn a_body_is_observed_at_the_later_of_its_two_times() {
    let observed = |timestamp: i64, updated: i64| {
        let mut body = webhook("updated", timestamp, "3");
        body["issue"]["fields"]["updated"] = json!(jira_time(updated));
        event(&body).observed
    };
    assert_eq!(observed(T0 + 300_000, T0), time(T0 + 300_000));
    assert_eq!(observed(T0, T0 + 2_000), time(T0 + 2_000));
    // Without either, as on a body that was written with the issue.
    let mut body = created();
    body.as_object_mut().expect("a body").remove("timestamp");
    body["issue"]["fields"]
        .as_object_mut()
        .expect("fields")
        .remove("updated");
    assert_eq!(event(&body).observed, time(T0));
}

#[test]
fn of_a_history_too_long_for_one_event_the_newest_part_is_kept() {
    let steps = 60;
    let mut body = webhook("updated", T0 + 100 * MINUTE, "10000");
    body["issue"]["fields"]["status"] = json!({ "id": format!("s{steps}") });
    // The newest first, as Jira's REST API writes them.
    body["changelog"] = json!({ "histories": (0..steps).rev().map(|step| json!({
        "id": (500 + step).to_string(), "created": jira_time(T0 + (step + 1) * MINUTE),
        "items": [status_item(Some(&format!("s{step}")), &format!("s{}", step + 1))],
    })).collect::<Vec<_>>() });
    let ticket = folded(&[body]);
    let statuses: Vec<&str> = ticket
        .history
        .iter()
        .filter_map(|stay| stay.status.as_ref()?.id.as_deref())
        .collect();
    assert_eq!((statuses.len(), statuses[0], statuses[50]), (51, "s10", "s60"));
    assert!(ticket.gaps == 0 && ticket.flags.contains(&Flag::Incomplete));
}

#[test]
fn done_follows_from_status_and_resolution_as_the_policy_says_and_from_what_is_not_known_nothing() {
    use State::{Closed as C, Open as O, Unknown as U};
    let policy = |done: &str| -> Policy { serde_json::from_value(json!({ "done": done })).expect("a policy") };
    let statuses = [("done", "10002"), ("not done", "10000"), ("unknown", "10010")];
    let resolutions = [("some", json!({ "id": "1" })), ("none", Value::Null)];
    // By status: with a resolution, without one, and where no body speaks of it.
    for (done, expected) in [
        ("category", [[C, C, C], [O, O, O], [U, U, U]]),
        ("resolution", [[C, O, U], [C, O, U], [C, O, U]]),
        ("either", [[C, C, C], [C, O, U], [C, U, U]]),
        ("both", [[C, O, U], [O, O, O], [U, O, U]]),
    ] {
        for ((status_is, id), expected) in statuses.iter().zip(expected) {
            for (index, expected) in expected.into_iter().enumerate() {
                let mut body = webhook("created", T0 + LAG, id);
                let fields = &mut body["issue"]["fields"];
                if *status_is == "unknown" {
                    fields["status"]["statusCategory"] = Value::Null;
                }
                let resolution = resolutions.get(index);
                match resolution {
                    Some((_, resolution)) => fields["resolution"] = resolution.clone(),
                    None => drop(fields.as_object_mut().expect("fields").remove("resolution")),
                }
                let state = folded_by(&[body], &policy(done)).state;
                let resolution = resolution.map_or("unsaid", |(name, _)| name);
                assert_eq!(
                    state, expected,
                    "by {done}, a status {status_is} and the resolution {resolution}"
                );
            }
        }
    }
}

#[test]
fn a_body_that_contradicts_its_own_changelog_is_a_conflict_in_status_and_in_resolution() {
    let item = json!({ "field": "resolution", "fieldId": "resolution", "from": null, "to": "1", "toString": "Done" });
    for items in [json!([status_item(Some("10000"), "10001")]), json!([item])] {
        let mut body = webhook("updated", T0 + 5 * MINUTE, "3");
        if items[0]["field"] == "resolution" {
            body["issue"]["fields"]["status"] = status("10000");
            body["issue"]["fields"]["resolution"] = json!({ "id": "2" });
        }
        body["changelog"] = json!({ "id": "501", "items": items });
        let ticket = folded(&[created(), body.clone()]);
        assert!(ticket.flags.contains(&Flag::Conflict) && ticket.gaps == 0, "{items}");
        // The changelog is right of what happened, and a body seen later of what is.
        let mut later = webhook("updated", T0 + 9 * MINUTE, "3");
        later["issue"]["fields"]["resolution"] = Value::Null;
        let ticket = folded(&[created(), body, later]);
        assert_eq!(ticket.status.as_ref().map(|status| status.identity()), Some("3"));
        assert!(
            ticket.resolution.is_none() && ticket.flags.contains(&Flag::Incomplete),
            "{items}"
        );
    }
}

#[test]
fn time_in_a_status_of_which_nothing_is_known_was_open_and_not_worked_on() {
    let mut unknown = change(T0 + 10 * MINUTE, 501, "10000", "10010");
    unknown["issue"]["fields"]["status"]["statusCategory"] = Value::Null;
    let ticket = folded(&[created(), unknown]);
    let times = crate::times(&ticket, None, Some(time(T0 + 25 * MINUTE)));
    assert_eq!((times.open_time_ms, times.active_time_ms), (25 * MINUTE, 0));
    // Nor is it known where a ticket was before the first body that shows it.
    let ticket = folded(&[webhook("updated", T0 + 20 * MINUTE, "3")]);
    let times = crate::times(&ticket, None, Some(time(T0 + 25 * MINUTE)));
    assert_eq!((times.open_time_ms, times.active_time_ms), (25 * MINUTE, 5 * MINUTE));
}
