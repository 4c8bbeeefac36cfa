//! What a map learns, from whom, and what that makes of tickets.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::categories::Teacher;
use crate::fact::{Category, Fact};
use crate::{Flag, State};

fn told(status: &str, category: Category, observed: i64) -> Fact {
    Fact::Category {
        status: status.to_owned(),
        category,
        observed: time(observed),
    }
}

fn map(facts: &[Fact]) -> Categories {
    Categories::default()
        .taught(facts, Teacher::Body)
        .expect("it is taught something")
}

#[test]
fn a_body_teaches_its_status_once() {
    let facts = event(&created()).facts;
    let map = map(&facts);
    assert_eq!(
        (map.version, map.changed, map.category("10000")),
        (1, 0, Some(Category::New))
    );
    let again = event(&webhook("updated", T0 + 9 * MINUTE, "10000")).facts;
    assert_eq!(map.taught(&again, Teacher::Body), None);
    let other = event(&webhook("updated", T0 + 9 * MINUTE, "3")).facts;
    let more = map.taught(&other, Teacher::Body).expect("another status");
    assert_eq!((more.version, more.changed, more.len()), (2, 0, 2));
}

#[test]
fn of_two_bodies_the_later_one_is_right_and_jira_always() {
    let map = map(&[told("7", Category::New, T0 + 5)]);
    assert_eq!(map.taught(&[told("7", Category::Done, T0)], Teacher::Body), None);
    let changed = map.taught(&[told("7", Category::Done, T0 + 9)], Teacher::Body);
    let changed = changed.expect("the category was changed");
    assert_eq!(
        (changed.version, changed.changed, changed.category("7")),
        (2, 2, Some(Category::Done))
    );
    // A body whose clock is ahead does not overrule what is fetched.
    let fetched = changed.taught(&[told("7", Category::New, T0 + 7)], Teacher::Jira);
    assert_eq!(fetched.expect("Jira says so").category("7"), Some(Category::New));
}

#[test]
fn what_jira_confirms_is_no_new_version_and_no_older_body_contradicts_it() {
    let map = map(&[told("7", Category::New, T0)]);
    let confirmed = map.taught(&[told("7", Category::New, T0 + MINUTE)], Teacher::Jira);
    let confirmed = confirmed.expect("the date is written down");
    assert_eq!((confirmed.version, confirmed.changed), (map.version, map.changed));
    let late = [told("7", Category::Done, T0 + 30)];
    assert_eq!(confirmed.taught(&late, Teacher::Body), None);
    assert!(map.taught(&late, Teacher::Body).is_some());
}

#[test]
fn a_map_has_a_size_and_goes_on_learning_about_what_it_knows() {
    let many: Vec<Fact> = (0..9_000)
        .map(|status| told(&format!("{status:060}"), Category::New, T0))
        .collect();
    let map = map(&many);
    assert!((2_000..4_000).contains(&map.len()), "{}", map.len());
    assert!(serde_json::to_vec(&map).expect("JSON").len() < 400_000);
    assert_eq!(map.taught(&many, Teacher::Jira), None);
    let known = told(&format!("{:060}", 3), Category::Done, T0 + 1);
    assert!(map.taught(&[known], Teacher::Body).is_some());
}

#[test]
fn a_status_that_no_own_body_shows_is_known_from_another_ticket() {
    let closing = change(T0 + MINUTE, 501, "3", "10002");
    let facts = event(&closing).facts;
    let alone = fold(&facts, &Policy::default(), &Categories::default());
    assert!(alone.awaits_category && alone.flags.contains(&Flag::StatusUnknown));
    let map = map(&event(&webhook("updated", T0, "3")).facts);
    let map = map.taught(&facts, Teacher::Body).expect("its own status");
    let ticket = fold(&facts, &Policy::default(), &map);
    assert!(!ticket.awaits_category && !ticket.flags.contains(&Flag::StatusUnknown));
    assert_eq!((ticket.map_version, ticket.started_at), (2, Some(time(T0 + MINUTE))));
}

#[test]
fn the_policy_overrules_the_map_and_the_map_the_ticket_s_own_bodies() {
    let facts = event(&webhook("updated", T0 + MINUTE, "10002")).facts;
    let state = |policy: &Policy, map: &Categories| fold(&facts, policy, map).state;
    let none = Categories::default();
    let reopened = map(&[told("10002", Category::Indeterminate, T0 + 2 * MINUTE)]);
    let configured = Policy {
        categories: [("10002".to_owned(), Category::Done)].into(),
        ..Policy::default()
    };
    assert_eq!(state(&Policy::default(), &none), State::Closed);
    assert_eq!(state(&Policy::default(), &reopened), State::Open);
    assert_eq!(state(&configured, &reopened), State::Closed);
}

fn category() -> impl Strategy<Value = Category> {
    prop::sample::select(vec![Category::New, Category::Indeterminate, Category::Done])
}

proptest! {
    #![proptest_config(cases(1_500))]

    /// Statuses whose category an administrator changes at most once: whatever the order and however often bodies come,
    /// the map says what the last of them shows.
    #[test]
    fn the_order_of_bodies_does_not_matter(
        changes in prop::collection::vec((category(), category(), 0..100_i64), 1..5),
        bodies in prop::collection::vec((any::<Index>(), 0..100_i64), 1..20),
        order in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let shown: Vec<Fact> = bodies.iter().map(|(status, at)| {
            let status = status.index(changes.len());
            let (before, after, changed) = changes[status];
            told(&status.to_string(), if *at < changed { before } else { after }, T0 + at)
        }).collect();
        let mut arriving: Vec<&Fact> = shown.iter().chain(order.iter().map(|index| index.get(&shown))).collect();
        for (at, index) in order.iter().enumerate() {
            let (at, other) = (at % arriving.len(), index.index(arriving.len()));
            arriving.swap(at, other);
        }
        let mut map = Categories::default();
        for fact in arriving {
            let before = (map.version, map.changed);
            if let Some(taught) = map.taught([fact], Teacher::Body) {
                prop_assert_eq!(taught.version, before.0 + 1);
                map = taught;
            }
        }
        for (status, (before, after, changed)) in changes.iter().enumerate() {
            let last = bodies.iter().filter(|(of, _)| of.index(changes.len()) == status).map(|(_, at)| at).max();
            let expected = last.map(|at| if at < changed { *before } else { *after });
            prop_assert_eq!(map.category(&status.to_string()), expected);
        }
    }

    /// A fold that awaits no category is the same under every later map that has changed none.
    #[test]
    fn a_map_that_only_grows_changes_no_fold_that_awaits_nothing(
        bodies in prop::collection::vec((0..6_usize, 0..6_usize, 1..60_i64), 1..6),
        known in prop::collection::vec(any::<bool>(), 6),
    ) {
        const STATUSES: [&str; 6] = ["10000", "10001", "3", "10010", "10002", "10003"];
        let facts: Vec<Fact> = bodies.iter().enumerate()
            .flat_map(|(index, (from, to, at))| event(&change(T0 + at * MINUTE, 500 + index as u64, STATUSES[*from], STATUSES[*to])).facts)
            .collect();
        let all: Vec<Fact> = STATUSES.iter().flat_map(|id| event(&webhook("updated", T0, id)).facts).collect();
        let some: Vec<Fact> = all.iter().filter(|fact| matches!(fact, Fact::Snapshot(_)))
            .zip(&known).filter(|(_, known)| **known).map(|(fact, _)| fact.clone()).collect();
        let policy = Policy::default();
        let small = Categories::default().taught(&some, Teacher::Body).unwrap_or_default();
        let large = small.taught(&all, Teacher::Body).unwrap_or_else(|| small.clone());
        prop_assert_eq!(large.changed, 0);
        let (before, after) = (fold(&facts, &policy, &small), fold(&facts, &policy, &large));
        prop_assert!(!after.awaits_category);
        if !before.awaits_category {
            prop_assert_eq!(crate::Ticket { map_version: after.map_version, ..before }, after);
        }
    }
}
