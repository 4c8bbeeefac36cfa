//! Issues that Jira does not have any more, or does not show.

use super::*;
use crate::{Fact, Flag, State, news};

const HOUR: i64 = 60 * MINUTE;

fn sought(at: i64, found: bool) -> Fact {
    Fact::Sought { at: time(at), found }
}

/// The ticket of these bodies and of what was sought.
fn after(bodies: &[Value], sought: &[Fact]) -> Ticket {
    let told = bodies.iter().flat_map(|body| event(body).facts);
    let facts: Vec<Fact> = told.chain(sought.iter().cloned()).collect();
    fold(&facts, &Policy::default(), &Categories::default())
}

#[test]
fn what_is_missed_counts_as_deleted_from_when_that_was_noticed() {
    let ticket = after(
        &[created()],
        &[sought(T0 + 3 * HOUR, false), sought(T0 + 2 * HOUR, false)],
    );
    assert_eq!(
        (ticket.state, ticket.deleted_at),
        (State::Deleted, Some(time(T0 + 2 * HOUR)))
    );
    assert!(ticket.flags.contains(&Flag::Missing), "{:?}", ticket.flags);
    assert_eq!(ticket.closed_at, None);
}

#[test]
fn any_later_sign_of_life_brings_it_back_and_no_earlier_one() {
    let missed = sought(T0 + 2 * HOUR, false);
    let there = after(&[created()], &[missed.clone(), sought(T0 + 3 * HOUR, true)]);
    assert_eq!((there.state, there.deleted_at), (State::Open, None));
    assert!(!there.flags.contains(&Flag::Missing));
    let edited = |at| {
        after(
            &[created(), webhook("updated", at, "10000")],
            std::slice::from_ref(&missed),
        )
    };
    assert_eq!(edited(T0 + 3 * HOUR).state, State::Open);
    assert_eq!(edited(T0 + HOUR).state, State::Deleted);
    let closed = |at| {
        after(
            &[created(), change(at, 7, "10000", "10002")],
            std::slice::from_ref(&missed),
        )
    };
    assert_eq!(closed(T0 + 3 * HOUR).state, State::Closed);
    assert_eq!(closed(T0 + HOUR).state, State::Deleted);
    // Missed for a second time.
    let again = [missed, sought(T0 + 3 * HOUR, true), sought(T0 + 4 * HOUR, false)];
    assert_eq!(after(&[created()], &again).deleted_at, Some(time(T0 + 4 * HOUR)));
}

#[test]
fn a_deletion_that_was_told_of_is_for_good_and_dates_it() {
    let bodies = [created(), webhook("deleted", T0 + HOUR, "10000")];
    let ticket = after(&bodies, &[sought(T0 + 2 * HOUR, false), sought(T0 + 3 * HOUR, true)]);
    assert_eq!(
        (ticket.state, ticket.deleted_at),
        (State::Deleted, Some(time(T0 + HOUR)))
    );
    assert!(!ticket.flags.contains(&Flag::Missing));
}

#[test]
fn that_an_issue_is_there_is_news_only_where_it_was_missed() {
    let told = [event(&created())];
    let mut facts = told[0].facts.clone();
    let now = time(T0 + 3 * HOUR);
    let news = |facts: &[Fact]| news(&told, facts, &told[0].texts, now);
    assert!(news(&facts).is_empty());
    facts.push(sought(T0 + 2 * HOUR, false));
    let found = news(&facts);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].facts, [sought(T0 + 3 * HOUR, true)]);
    facts.extend(found[0].facts.clone());
    assert!(news(&facts).is_empty(), "once is enough");
}

/// The beginning of a history that is not shown is not what its first change left.
#[test]
fn a_history_of_which_only_the_newest_part_is_shown_is_flagged() {
    let categories =
        crate::jira::read_categories(Value::from(vec![status("3"), status("10002")]).to_string().as_bytes());
    let mut issue = webhook("updated", T0 + 2 * HOUR, "10002")["issue"].clone();
    let history = json!({ "id": "7", "created": jira_time(T0 + HOUR), "items": [status_item(Some("3"), "10002")] });
    let mut read = |total: u64| {
        issue["changelog"] = json!({ "total": total, "histories": [history] });
        let events = crate::jira::read_issue(issue.to_string().as_bytes(), categories.as_ref().expect("statuses"));
        let facts: Vec<Fact> = events
            .expect("an issue")
            .into_iter()
            .flat_map(|event| event.facts)
            .collect();
        fold(&facts, &Policy::default(), &Categories::default())
    };
    let whole = read(1);
    assert_eq!((whole.started_at, whole.gaps), (whole.created_at, 0));
    assert!(!whole.flags.contains(&Flag::Incomplete));
    let cut = read(2);
    assert!(cut.flags.contains(&Flag::Incomplete), "{:?}", cut.flags);
    assert_eq!(cut.gaps, 1, "it was started at some time: {:?}", cut.history);
}
