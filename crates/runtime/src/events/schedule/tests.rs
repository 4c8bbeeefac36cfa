use chrono::{DateTime, Utc};

use super::Schedule;

fn at(moment: &str) -> DateTime<Utc> {
    format!("{moment}Z").parse().unwrap()
}

/// The due moments after 2026-11-21 (a Saturday), as many as are expected.
#[track_caller]
fn due(expression: &str, expected: &[&str]) {
    let schedule = Schedule::parse(expression).unwrap();
    let mut now = at("2026-11-21T10:07:30");
    for moment in expected {
        let next = schedule.next(now, now).unwrap();
        assert_eq!(next, at(moment), "{expression} after {now}");
        now = next;
    }
}

#[test]
fn the_examples_of_the_documentation() {
    due("cron(0 10 * * ? *)", &["2026-11-22T10:00:00", "2026-11-23T10:00:00"]);
    due("cron(15 12 * * ? *)", &["2026-11-21T12:15:00"]);
    due(
        "cron(0 18 ? * MON-FRI *)",
        &["2026-11-23T18:00:00", "2026-11-24T18:00:00"],
    );
    due("cron(0 8 1 * ? *)", &["2026-12-01T08:00:00", "2027-01-01T08:00:00"]);
    due(
        "cron(0/15 * * * ? *)",
        &[
            "2026-11-21T10:15:00",
            "2026-11-21T10:30:00",
            "2026-11-21T10:45:00",
            "2026-11-21T11:00:00",
        ],
    );
    due(
        "cron(0/5 8-17 ? * MON-FRI *)",
        &["2026-11-23T08:00:00", "2026-11-23T08:05:00"],
    );
    due("cron(0 9 ? * 2#1 *)", &["2026-12-07T09:00:00", "2027-01-04T09:00:00"]);
}

#[test]
fn last_days_nearest_weekdays_and_nth_weekdays() {
    due(
        "cron(0 0 L * ? *)",
        &[
            "2026-11-30T00:00:00",
            "2026-12-31T00:00:00",
            "2027-01-31T00:00:00",
            "2027-02-28T00:00:00",
        ],
    );
    due("cron(0 0 29 2 ? *)", &["2028-02-29T00:00:00", "2032-02-29T00:00:00"]);
    due("cron(0 0 ? * L *)", &["2026-11-28T00:00:00"]);
    due("cron(0 0 ? * 6L *)", &["2026-11-27T00:00:00", "2026-12-25T00:00:00"]);
    due("cron(0 0 ? * FRI#5 *)", &["2027-01-29T00:00:00"]);
    // 2027-05-01 is a Saturday, and Friday lies in April; 2027-01-31 is a Sunday, and Monday lies in February.
    due("cron(0 0 1W 5 ? 2027)", &["2027-05-03T00:00:00"]);
    due("cron(0 0 31W 1 ? 2027)", &["2027-01-29T00:00:00"]);
    due("cron(0 0 22W 11 ? 2026)", &["2026-11-23T00:00:00"]);
    due(
        "cron(0 0 ? * FRI-MON *)",
        &["2026-11-22T00:00:00", "2026-11-23T00:00:00", "2026-11-27T00:00:00"],
    );
}

#[test]
fn a_cron_expression_may_have_no_moment_left() {
    let now = at("2026-11-21T10:07:30");
    for expression in ["cron(0 0 1 1 ? 2020)", "cron(0 0 30 2 ? *)"] {
        assert_eq!(
            Schedule::parse(expression).unwrap().next(now, now),
            None,
            "{expression}"
        );
    }
}

#[test]
fn a_rate_keeps_its_beat_over_missed_moments() {
    let schedule = Schedule::parse("rate(5 minutes)").unwrap();
    let before = at("2026-11-21T10:00:00");
    assert_eq!(schedule.next(before, before), Some(at("2026-11-21T10:05:00")));
    assert_eq!(
        schedule.next(before, at("2026-11-21T10:04:59")),
        Some(at("2026-11-21T10:05:00"))
    );
    assert_eq!(
        schedule.next(before, at("2026-11-21T11:02:00")),
        Some(at("2026-11-21T11:05:00"))
    );
    due("rate(1 day)", &["2026-11-22T10:07:30"]);
}

#[test]
fn what_is_no_schedule_is_refused() {
    for expression in [
        "",
        "5 minutes",
        "rate()",
        "rate(5)",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(-5 minutes)",
        "rate(5 seconds)",
        "rate(99999999999 days)",
        "cron()",
        "cron(0 10 * * ?)",
        "cron(0 10 * * * *)",
        "cron(0 10 ? * ? *)",
        "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 10 0 * ? *)",
        "cron(0 10 * 13 ? *)",
        "cron(0 10 ? * 8 *)",
        "cron(0 10 ? * 2#6 *)",
        "cron(0 10 ? * MON#1,TUE#1 *)",
        "cron(0/0 10 * * ? *)",
        "cron(a 10 * * ? *)",
        "cron(+1 10 * * ? *)",
        "cron(0 10 * * ? 1969)",
        "cron(0 10 ,1 * ? *)",
    ] {
        assert!(Schedule::parse(expression).is_err(), "{expression}");
    }
}
