//! Targets, and the clocks they start.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sla::targets::{Error, Length};
use crate::sla::{Clock, Sla, Target};

const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn policy(rules: Value) -> Policy {
    serde_json::from_value(json!({ "sla": rules })).expect("a policy")
}

/// Start within 15 minutes, close within an hour.
fn usual() -> Policy {
    policy(json!([{ "first_start": "15m", "close": "1h" }]))
}

fn clocks(bodies: &[Value], policy: &Policy) -> Vec<Clock> {
    folded_by(bodies, policy).clocks.all().cloned().collect()
}

fn seen_at(bodies: &[Value], policy: &Policy, as_of: i64) -> Vec<Sla> {
    let clocks = folded_by(bodies, policy).clocks;
    clocks
        .current
        .iter()
        .map(|clock| clock.shown(policy, time(as_of)))
        .collect()
}

fn refusal(rules: Value) -> String {
    let policy = serde_json::from_value::<Policy>(json!({ "sla": rules }));
    policy.expect_err("no policy").to_string()
}

#[test]
fn lengths_are_sums_of_units() {
    let ms = |text: &str| {
        let policy = policy(json!([{ "close": text }]));
        clocks(&[created()], &policy)[0].target_ms
    };
    assert_eq!(ms("90s"), 90_000);
    assert_eq!(ms("1d 12h"), 36 * HOUR);
    assert_eq!(ms(" 2 h 5 m"), 2 * HOUR + 5 * MINUTE);
    assert_eq!(ms("300d"), 300 * DAY);
    for text in [
        "",
        "0h",
        "h",
        "5",
        "1w",
        "1.5h",
        "-1h",
        "1h x",
        "99999999999999999999h",
        "1ä",
    ] {
        assert_eq!(
            text.parse::<Length>(),
            Err(Error::NotALength(text.to_owned())),
            "{text:?}"
        );
    }
    for text in ["301d", "99999999999999999d 99999999999999999d"] {
        assert_eq!(text.parse::<Length>(), Err(Error::TooLong(text.to_owned())));
    }
    let written: String = "90m 0s 1d 1h".parse::<Length>().expect("a length").into();
    assert_eq!(written, "1d 2h 30m");
    let written: String = "90m 0d 25h".parse::<Length>().expect("a length").into();
    assert_eq!(written, "26h 30m");
}

#[test]
fn the_most_specific_rule_that_speaks_of_a_target_decides() {
    let policy = policy(json!([
        { "first_start": "10h", "close": "10d" },
        { "priority": "HIGHEST", "first_start": "1h", "close": "1d" },
        { "project": "SHOP", "close": "5d" },
        { "project": "SHOP", "priority": "Highest", "close": "8h" },
        { "project": "DOCS", "first_start": null },
    ]));
    let of = |project, priority| {
        let hours = |target| Some(policy.sla.of(target, project, priority)?.ms / HOUR);
        (hours(Target::FirstStart), hours(Target::Close))
    };
    assert_eq!(of(None, None), (Some(10), Some(240)));
    assert_eq!(of(Some("WEB"), Some("Low")), (Some(10), Some(240)));
    assert_eq!(of(Some("WEB"), Some("highest")), (Some(1), Some(24)));
    // A project's rule goes before a priority's, and leaves what it does not speak of to the others.
    assert_eq!(of(Some("SHOP"), Some("High")), (Some(10), Some(120)));
    assert_eq!(of(Some("SHOP"), Some("Highest")), (Some(1), Some(8)));
    assert_eq!(of(Some("DOCS"), Some("Highest")), (None, Some(24)));
    let written = serde_json::to_value(&policy).expect("JSON");
    assert_eq!(serde_json::from_value::<Policy>(written).expect("a policy"), policy);
}

#[test]
fn rules_that_cannot_be_meant_are_refused_and_say_why() {
    let twice = json!([{ "priority": "High", "close": "1h" }, { "priority": "HIGH", "close": "2h" }]);
    assert!(refusal(twice).contains("two rules for priority HIGH"));
    assert!(
        refusal(json!([{ "project": "SHOP", "priority": "High" }])).contains("SHOP and priority High sets neither")
    );
    assert!(refusal(json!([{ "close": "soon" }])).contains(r#""soon" is not a length of time such as 30m"#));
    assert!(refusal(json!([{ "close": 5 }])).contains("invalid type"));
    assert!(refusal(json!([{ "close": "1h", "resolve": "2h" }])).contains("unknown field `resolve`"));
}

#[test]
fn without_targets_or_without_a_creation_there_are_no_clocks() {
    assert_eq!(clocks(&[created()], &Policy::default()), []);
    let mut body = created();
    body["issue"]["fields"]
        .as_object_mut()
        .expect("fields")
        .remove("created");
    assert_eq!(clocks(&[body.clone()], &usual()), []);
    assert_eq!(clocks(&[body, created()], &usual()).len(), 2);
}

#[test]
fn a_clock_runs_is_met_and_is_shown_with_what_is_left() {
    let bodies = [created(), change(T0 + 10 * MINUTE, 501, "10000", "3")];
    let sla = seen_at(&bodies, &usual(), T0 + 20 * MINUTE);
    let expected = json!([
        { "target": "first_start", "target_ms": 15 * MINUTE, "time": "calendar", "due_at": "2025-06-02T08:15:00.000Z",
          "met_at": "2025-06-02T08:10:00.000Z", "remaining_ms": 5 * MINUTE, "breached": false, "breached_at": null },
        { "target": "close", "target_ms": HOUR, "time": "calendar", "due_at": "2025-06-02T09:00:00.000Z",
          "met_at": null, "remaining_ms": 40 * MINUTE, "breached": false, "breached_at": null },
    ]);
    assert_eq!(serde_json::to_string(&sla).expect("JSON"), expected.to_string());
}

#[test]
fn a_target_is_breached_from_its_due_moment_on_and_met_at_it() {
    let close = |bodies: &[Value], as_of| seen_at(bodies, &usual(), as_of)[1];
    let due = T0 + HOUR;
    let open = [created()];
    assert!(!close(&open, due - 1).breached);
    let breached = close(&open, due);
    assert!(breached.breached);
    assert_eq!((breached.breached_at, breached.remaining_ms), (Some(time(due)), 0));
    assert_eq!(close(&open, due + MINUTE).remaining_ms, -MINUTE);

    let in_time = [created(), change(due, 501, "10000", "10002")];
    let kept = close(&in_time, due + DAY);
    assert_eq!(
        (kept.breached, kept.met_at, kept.remaining_ms),
        (false, Some(time(due)), 0)
    );
    let late = [created(), change(due + 1, 501, "10000", "10002")];
    let missed = close(&late, due + DAY);
    assert_eq!(
        (missed.breached_at, missed.met_at, missed.remaining_ms),
        (Some(time(due)), Some(time(due + 1)), -1)
    );
}

#[test]
fn a_ticket_closed_without_a_start_has_been_answered() {
    let bodies = [created(), change(T0 + 5 * MINUTE, 501, "10000", "10003")];
    let first = seen_at(&bodies, &usual(), T0 + DAY)[0];
    assert_eq!((first.met_at, first.breached), (Some(time(T0 + 5 * MINUTE)), false));
}

#[test]
fn each_reopening_starts_a_clock_of_its_own() {
    let bodies = [
        created(),
        change(T0 + 90 * MINUTE, 501, "10000", "10002"),
        change(T0 + 2 * HOUR, 502, "10002", "3"),
        change(T0 + 150 * MINUTE, 503, "3", "10002"),
        change(T0 + 4 * HOUR, 504, "10002", "10001"),
    ];
    let ticket = folded_by(&bodies, &usual());
    assert_eq!(ticket.clocks.run, ticket.reopen_count);
    let runs: Vec<_> = ticket
        .clocks
        .all()
        .map(|clock| (clock.target, clock.run, clock.is_breached(Time::LAST)))
        .collect();
    let expected = [
        (Target::Close, 0, true),
        (Target::Close, 1, false),
        (Target::FirstStart, 0, true),
        (Target::Close, 2, true),
    ];
    assert_eq!(runs, expected);
    let close = seen_at(&bodies, &usual(), T0 + 4 * HOUR + MINUTE)[1];
    assert_eq!((close.due_at, close.met_at), (time(T0 + 5 * HOUR), None));
    assert_eq!(close.remaining_ms, HOUR - MINUTE);
}

#[test]
fn deletion_stops_a_clock_and_nothing_starts_one_again() {
    let deleted = |at: i64| webhook("deleted", at, "10000");
    let early = [created(), deleted(T0 + 10 * MINUTE)];
    let sla = seen_at(&early, &usual(), T0 + DAY);
    assert!(sla.iter().all(|sla| !sla.breached && sla.met_at.is_none()));
    assert_eq!(sla[1].remaining_ms, 50 * MINUTE);
    let late = [created(), deleted(T0 + 2 * HOUR)];
    assert!(seen_at(&late, &usual(), T0 + DAY).iter().all(|sla| sla.breached));
    let after = [
        created(),
        deleted(T0 + 10 * MINUTE),
        change(T0 + 20 * MINUTE, 501, "10000", "10002"),
        change(T0 + 30 * MINUTE, 502, "10002", "10000"),
    ];
    assert_eq!(clocks(&after, &usual()), clocks(&early, &usual()));
}

fn prioritised(at: i64, changelog: u64, from: &str, to: &str) -> Value {
    let mut body = webhook("updated", at, "10000");
    body["issue"]["fields"]["priority"] = json!({ "id": to, "name": to });
    let item = json!({ "field": "priority", "fieldId": "priority", "from": from, "fromString": from, "to": to, "toString": to });
    body["changelog"] = json!({ "id": changelog.to_string(), "items": [item] });
    body
}

#[test]
fn another_priority_moves_the_due_moment_of_a_clock_that_runs_and_of_no_other() {
    let policy = policy(json!([{ "close": "1h" }, { "priority": "Highest", "close": "10m" }]));
    let mut bodies = vec![created(), prioritised(T0 + MINUTE, 501, "High", "Highest")];
    assert_eq!(seen_at(&bodies, &policy, T0)[0].due_at, time(T0 + 10 * MINUTE));
    bodies.push(prioritised(T0 + 2 * MINUTE, 502, "Highest", "High"));
    assert_eq!(seen_at(&bodies, &policy, T0)[0].due_at, time(T0 + HOUR));

    let mut closing = change(T0 + 30 * MINUTE, 503, "10000", "10002");
    closing["issue"]["fields"]["priority"] = json!({ "id": "High", "name": "High" });
    bodies.push(closing);
    let closed = seen_at(&bodies, &policy, T0 + DAY);
    assert_eq!((closed[0].target_ms, closed[0].breached), (HOUR, false));
    // What is said of a closed ticket later does not make it late.
    let mut after = prioritised(T0 + 40 * MINUTE, 504, "High", "Highest");
    after["issue"]["fields"]["status"] = status("10002");
    bodies.push(after);
    assert_eq!(seen_at(&bodies, &policy, T0 + DAY), closed);
}

#[test]
fn another_project_has_other_targets_from_then_on() {
    let policy = policy(json!([{ "project": "SHOP", "close": "1h" }, { "project": "WEB", "close": "10m" }]));
    let mut moved = webhook("updated", T0 + MINUTE, "10000");
    moved["issue"]["key"] = json!("WEB-9");
    let item = json!({ "field": "Key", "from": null, "fromString": "SHOP-1", "to": null, "toString": "WEB-9" });
    moved["changelog"] = json!({ "id": "501", "items": [item] });
    assert_eq!(seen_at(&[created()], &policy, T0)[0].target_ms, HOUR);
    assert_eq!(
        seen_at(&[created(), moved.clone()], &policy, T0)[0].target_ms,
        10 * MINUTE
    );
    // Closed before it was moved, it keeps the target that it was closed under.
    let closing = change(T0 + 30_000, 500, "10000", "10002");
    moved["issue"]["fields"]["status"] = status("10002");
    assert_eq!(seen_at(&[created(), closing, moved], &policy, T0)[0].target_ms, HOUR);
}

#[test]
fn a_breach_keeps_its_name_when_a_better_clock_dates_the_reopening() {
    let bodies = [
        created(),
        change(T0 + MINUTE, 501, "10000", "10002"),
        change(T0 + 10 * MINUTE, 502, "10002", "3"),
    ];
    let mut redated = bodies.clone();
    redated[2]["timestamp"] = json!(T0 + 10 * MINUTE - 20);
    let close = |bodies: &[Value]| folded_by(bodies, &usual()).clocks.current[1].clone();
    let (one, other) = (close(&bodies), close(&redated));
    assert_ne!(one.due_at, other.due_at);
    assert_eq!(
        (one.id(), other.id().as_str()),
        (other.id(), "close.1.calendar.3600000")
    );
}

#[test]
fn many_reopenings_leave_a_bounded_list() {
    let mut bodies = vec![created()];
    for step in 0..99_u64 {
        let at = T0 + (1 + step as i64) * MINUTE;
        let (from, to) = if step % 2 == 0 {
            ("10000", "10002")
        } else {
            ("10002", "10000")
        };
        bodies.push(change(at, 500 + step, from, to));
    }
    let clocks = folded_by(&bodies, &usual()).clocks;
    assert_eq!((clocks.run, clocks.current.len(), clocks.earlier.len()), (49, 2, 20));
    assert_eq!(clocks.current[1].run, 49);
    // What was recorded of runs that are not looked at any more is forgotten, but for the one first start.
    let of_run = |run| Clock {
        run,
        ..clocks.current[1].clone()
    };
    assert!(clocks.looks_at(&of_run(29)) && !clocks.looks_at(&of_run(28)) && clocks.looks_at(&of_run(60)));
    assert!(clocks.looks_at(&clocks.current[0]));
}

/// Close within so much working time, by a calendar of Berlin.
fn working(close: &str, hours: &str, holidays: &[&str]) -> Policy {
    serde_json::from_value(json!({
        "calendar": { "zone": "Europe/Berlin", "hours": [hours], "holidays": holidays },
        "sla": [{ "close": close, "time": "business" }],
    }))
    .expect("a policy")
}

#[test]
fn a_target_in_business_time_is_due_when_so_much_was_worked() {
    // Created on a Monday at 10:00 by that clock.
    let policy = working("12h", "09:00-17:00", &[]);
    let close = |bodies: &[Value], as_of| seen_at(bodies, &policy, as_of)[0];
    let open = [created()];
    let due = T0 + 28 * HOUR;
    let clock = close(&open, T0 + 20 * HOUR);
    assert_eq!(
        (clock.due_at, clock.remaining_ms, clock.breached),
        (time(due), 5 * HOUR, false)
    );
    assert_eq!(serde_json::to_value(clock).expect("JSON")["time"], json!("business"));
    let breached = close(&open, due);
    assert_eq!((breached.breached_at, breached.remaining_ms), (Some(time(due)), 0));
    // The night does not count.
    assert_eq!(close(&open, due + 18 * HOUR).remaining_ms, -3 * HOUR);

    let kept = close(&[created(), change(due, 501, "10000", "10002")], due + DAY);
    assert_eq!((kept.breached, kept.remaining_ms), (false, 0));
    let id = &clocks(&open, &policy)[0].id();
    assert_eq!(id, "close.0.business.43200000");
}

#[test]
fn what_is_due_at_the_end_of_a_day_is_late_in_the_night() {
    // On Monday at 17:00 by that clock.
    let policy = working("7h", "09:00-17:00", &[]);
    let due = T0 + 7 * HOUR;
    let late = [created(), change(due + 2 * HOUR, 501, "10000", "10002")];
    let missed = seen_at(&late, &policy, due + DAY)[0];
    assert_eq!(
        (missed.due_at, missed.breached_at, missed.remaining_ms),
        (time(due), Some(time(due)), 0)
    );
}

#[test]
fn another_calendar_moves_the_due_moment() {
    let due = |policy: &Policy| clocks(&[created()], policy)[0].due_at;
    assert_eq!(due(&working("12h", "09:00-17:00", &[])), time(T0 + 28 * HOUR));
    assert_eq!(due(&working("12h", "09:00-13:00", &[])), time(T0 + 3 * DAY));
    assert_eq!(
        due(&working("12h", "09:00-17:00", &["2025-06-03"])),
        time(T0 + 52 * HOUR)
    );
    assert_eq!(due(&working("13h", "09:00-17:00", &[])), time(T0 + 29 * HOUR));
    assert_eq!(due(&working("12h", "00:00-24:00", &[])), time(T0 + 12 * HOUR));
}

#[test]
fn business_targets_need_a_calendar_by_which_they_end() {
    let refusal = |calendar: Value, rule: &Value| {
        let policy = serde_json::from_value::<Policy>(json!({ "calendar": calendar, "sla": [rule] }));
        policy.expect_err("no policy").to_string()
    };
    let usual = json!({ "zone": "UTC", "hours": ["09:00-17:00"] });
    for (calendar, rule, reason) in [
        (
            Value::Null,
            json!({ "project": "SHOP", "close": "8h", "time": "business" }),
            "project SHOP counts business time, and there is no calendar",
        ),
        (
            usual.clone(),
            json!({ "first_start": "2d", "time": "business" }),
            "2d of business time: say hours",
        ),
        (
            usual.clone(),
            json!({ "close": "1143h", "time": "business" }),
            "1143h of business time are more than 200 days",
        ),
        (
            usual.clone(),
            json!({ "close": "8h", "time": "working" }),
            "unknown variant `working`",
        ),
    ] {
        let refusal = refusal(calendar, &rule);
        assert!(refusal.contains(reason), "{rule}: {refusal}");
    }
    let most = json!({ "calendar": usual, "sla": [{ "close": "1142h", "first_start": null, "time": "business" }] });
    let most: Policy = serde_json::from_value(most).expect("a policy");
    let due = clocks(&[created()], &most)[0].due_at;
    assert!(due < time(T0 + 201 * DAY), "{due}");
    let written = serde_json::to_value(&most).expect("JSON");
    assert_eq!(serde_json::from_value::<Policy>(written).expect("a policy"), most);
}

#[test]
fn a_business_clock_that_lost_its_calendar_counts_all_time_until_it_is_judged_anew() {
    let policy = working("12h", "09:00-17:00", &[]);
    let clock = &clocks(&[created()], &policy)[0];
    let without = Policy::default();
    assert_eq!(clock.shown(&without, time(T0 + 5 * HOUR)).remaining_ms, 7 * HOUR);
    assert_eq!(clock.shown(&without, time(T0 + 5 * HOUR)).due_at, clock.due_at);
}

#[test]
fn the_ends_of_time_are_no_danger_to_a_business_clock() {
    let policy = working("12h", "09:00-17:00", &[]);
    for (created, as_of, is_breached) in [
        (Time::FIRST, Time::FIRST, false),
        (Time::FIRST, time(T0), true),
        (Time::FIRST, Time::LAST, true),
        (Time::LAST, Time::FIRST, false),
        (time(T0), Time::LAST, true),
    ] {
        let mut body = webhook("created", T0 + LAG, "10000");
        body["issue"]["fields"]["created"] = json!(created.to_string());
        let clock = seen_at(&[body], &policy, as_of.millis())[0];
        assert_eq!(clock.breached, is_breached, "{created} {as_of}: {clock:?}");
        assert!(
            if is_breached {
                clock.remaining_ms < 0
            } else {
                clock.remaining_ms == 12 * HOUR
            },
            "{clock:?}"
        );
    }
    // A calendar that is full of holidays for longer than is looked ahead.
    let mondays = (0..5_300_i64).map(|week| time(T0 + week * 7 * DAY));
    let holidays: Vec<String> = mondays.map(|day| day.to_string()[..10].to_owned()).collect();
    let closed = json!({ "calendar": { "zone": "UTC", "days": ["mon"], "hours": ["09:00-17:00"], "holidays": holidays },
        "sla": [{ "close": "8h", "time": "business" }] });
    let closed: Policy = serde_json::from_value(closed).expect("a policy");
    let never = seen_at(&[created()], &closed, T0 + DAY)[0];
    assert_eq!(
        (never.due_at, never.remaining_ms, never.breached),
        (Time::LAST, 8 * HOUR, false)
    );
    // Time itself ends before so much is worked: due then, and no sooner.
    let mut body = webhook("created", T0 + LAG, "10000");
    body["issue"]["fields"]["created"] = json!(Time::LAST.to_string());
    assert_eq!(clocks(&[body], &policy)[0].due_at, Time::LAST);
}

proptest! {
    #![proptest_config(cases(300))]

    /// Whatever the calendar, what is shown agrees with itself and with the clock of the wall.
    #[test]
    fn a_business_clock_agrees_with_its_calendar(
        calendar in super::calendar::calendar(),
        minutes in 1..2_000_i64,
        closed in prop::option::of(0..90 * 24 * 60_i64),
        as_of in 0..90 * 24 * 60_i64,
    ) {
        let mut policy = Policy { calendar: Some(calendar.clone()), ..Policy::default() };
        let rules = json!([{ "close": format!("{minutes}m"), "time": "business" }]);
        policy.sla = serde_json::from_value(rules).expect("targets");
        let mut bodies = vec![created()];
        let closed = closed.map(|minutes| T0 + minutes * MINUTE);
        bodies.extend(closed.map(|at| change(at, 501, "10000", "10002")));
        let as_of = T0 + as_of * MINUTE;
        let clock = seen_at(&bodies, &policy, as_of)[0];
        let target_ms = minutes * MINUTE;
        prop_assert_eq!(calendar.between(time(T0), clock.due_at), Some(target_ms));
        let end = closed.map_or(as_of, |closed| closed.min(as_of)).max(T0);
        let worked = calendar.between(time(T0), time(end)).expect("a short span");
        prop_assert_eq!(clock.remaining_ms, target_ms - worked);
        let is_late = clock.due_at <= time(as_of) && closed.is_none_or(|closed| clock.due_at < time(closed));
        prop_assert_eq!((clock.breached, clock.breached_at), (is_late, is_late.then_some(clock.due_at)));
        prop_assert!(if is_late { clock.remaining_ms <= 0 } else { 0 <= clock.remaining_ms }, "{:?}", clock);
    }
}
