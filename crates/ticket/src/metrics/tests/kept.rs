//! Targets of many tickets, against each ticket's own clock.

use super::*;
use crate::policy::Policy;
use crate::sla::Target;

fn policy() -> Policy {
    let json = r#"{"sla": [
        {"close": "5d", "first_start": "1h"},
        {"priority": "high", "close": "1d"},
        {"project": "OPS", "close": "2h"},
        {"project": "OPS", "priority": "High", "close": "30m"},
        {"project": "LAB", "close": null},
        {"project": "SHOP", "first_start": "10m"}
    ]}"#;
    serde_json::from_str(json).unwrap()
}

fn hours(hours: i64) -> Time {
    at(hours * HOUR_MS)
}

fn life<'a>(project: &'a str, priority: &'a str, closed_at: Option<Time>) -> Life<'a> {
    Life {
        project: Some(project).filter(|name| !name.is_empty()),
        priority: Some(priority).filter(|name| !name.is_empty()),
        created_at: at(0),
        closed_at,
    }
}

fn shown(kept: &Kept) -> Vec<(&str, &str, i64, usize, usize)> {
    let shown = kept.rules.iter().map(|rule| {
        (
            rule.project.as_deref().unwrap_or_default(),
            rule.priority.as_deref().unwrap_or_default(),
            rule.target_ms / MINUTE_MS,
            rule.tickets,
            rule.over,
        )
    });
    shown.collect()
}

#[test]
fn tickets_are_counted_under_the_rule_that_sets_their_target() {
    let lives = [
        life("SHOP", "High", Some(hours(25))),
        life("SHOP", "HIGH", Some(hours(23))),
        life("SHOP", "Low", Some(hours(25))),
        life("", "", Some(hours(200))),
        life("OPS", "Low", Some(hours(3))),
        life("OPS", "High", Some(hours(1))),
        // Who works there wants none.
        life("LAB", "High", Some(hours(9_999))),
    ];
    let kept = Kept::of(&policy(), None, None, lives, hours(10_000));
    let expected = [
        ("", "", 7_200, 2, 1),
        ("", "high", 1_440, 2, 1),
        ("OPS", "", 120, 1, 1),
        ("OPS", "High", 30, 1, 1),
    ];
    assert_eq!(shown(&kept), expected);
    assert_eq!((kept.target_ms, kept.tickets, kept.over), (None, 6, 4));
}

#[test]
fn the_target_of_what_was_asked_for_is_there_before_any_ticket_is() {
    let of = |project, priorities: Option<&[&str]>| {
        let priorities = priorities.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let kept = Kept::of(&policy(), project, priorities.as_ref(), [], at(0));
        (kept.target_ms.map(|ms| ms / MINUTE_MS), kept.rules.len())
    };
    assert_eq!(of(None, None), (Some(7_200), 1));
    assert_eq!(of(None, Some(&["High"])), (Some(1_440), 1));
    assert_eq!(of(Some("OPS"), Some(&["High"])), (Some(30), 1));
    assert_eq!(of(Some("OPS"), Some(&["High", "Low"])), (None, 2));
    assert_eq!(of(Some("SHOP"), Some(&["low"])), (Some(7_200), 1));
    assert_eq!(of(Some("LAB"), None), (None, 0));
    let kept = Kept::of(&Policy::default(), None, None, [life("SHOP", "High", None)], hours(9));
    assert_eq!(kept, Kept::default());
}

proptest! {
    /// A ticket that was never reopened is over here exactly if its own clock is breached.
    #[test]
    fn a_ticket_is_over_if_its_clock_is_breached(
        project in prop::sample::select(vec!["SHOP", "OPS", "LAB", ""]),
        priority in prop::sample::select(vec!["High", "high", "Low", ""]),
        closed in prop::option::of(-1..=1_i64),
        as_of in -1..=1_i64,
    ) {
        let policy = policy();
        let target = policy.sla.of(Target::Close, Some(project), Some(priority));
        // The edges of the due moment.
        let due = target.map_or(HOUR_MS, |target| target.ms);
        let (closed_at, as_of) = (closed.map(|off| at(due + off)), at(due + as_of.max(closed.unwrap_or(-1))));
        let placed = |_| crate::sla::Placed {
            project: Some(project.to_owned()),
            priority: Some(priority.to_owned()),
        };
        let history = [(at(0), false)].into_iter().chain(closed_at.map(|at| (at, true)));
        let history: Vec<crate::fold::Stay> = history.map(|(at, done)| stay(at, done)).collect();
        let clocks = crate::sla::clocks(
            &crate::sla::Life {
                created_at: Some(at(0)), started_at: None, deleted_at: None, history: &history, placed: &placed,
            },
            &policy,
        );
        let close = clocks.current.iter().find(|clock| clock.target == Target::Close);
        let kept = Kept::of(&policy, None, None, [life(project, priority, closed_at)], as_of);
        prop_assert_eq!(kept.tickets, usize::from(close.is_some()));
        prop_assert_eq!(kept.over, usize::from(close.is_some_and(|clock| clock.is_breached(as_of))));
    }
}

fn stay(at: Time, is_done: bool) -> crate::fold::Stay {
    crate::fold::Stay {
        at,
        status: None,
        category: None,
        done: Some(is_done),
        origin: crate::chain::Origin::Created,
    }
}

#[test]
fn a_target_in_business_time_is_no_length_of_the_clock() {
    let json =
        r#"{"calendar": {"zone": "UTC", "hours": ["09:00-17:00"]}, "sla": [{"close": "8h", "time": "business"}]}"#;
    let policy: Policy = serde_json::from_str(json).unwrap();
    // Created at midnight before a Thursday: due at 17:00.
    let lives = [Some(hours(17)), Some(hours(18)), None].map(|closed_at| life("SHOP", "High", closed_at));
    let kept = Kept::of(&policy, None, None, lives, hours(17));
    assert_eq!((kept.target_ms, kept.tickets, kept.over), (None, 3, 2));
    let (rule, time) = (&kept.rules[0], serde_json::json!("business"));
    assert_eq!(
        (rule.target_ms, serde_json::to_value(rule.time).unwrap()),
        (8 * HOUR_MS, time)
    );
}
