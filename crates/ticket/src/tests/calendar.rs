//! Business time, against a reference that looks at every minute.

use chrono::{DateTime, Datelike, Timelike};
use chrono_tz::Tz;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::calendar::{Calendar, MAX_SPAN_MS};
use crate::{Flag, times};

const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn parsed(calendar: Value) -> Calendar {
    serde_json::from_value(calendar).expect("a calendar")
}

fn at(text: &str) -> Time {
    text.parse().expect("a time")
}

fn between(calendar: &Calendar, from: &str, to: &str) -> i64 {
    calendar
        .between(at(from), at(to))
        .expect("a span of less than a century")
}

#[test]
fn a_week_of_work_has_forty_hours() {
    let calendar = parsed(
        json!({ "zone": "Europe/Berlin", "hours": ["09:00-12:30", "13:00-17:30"],
        "holidays": ["2026-05-01"] }),
    );
    // Monday to Monday, with the first of May on its Friday.
    assert_eq!(
        between(&calendar, "2026-04-20T00:00:00Z", "2026-04-27T00:00:00Z"),
        40 * HOUR
    );
    assert_eq!(
        between(&calendar, "2026-04-27T00:00:00Z", "2026-05-04T00:00:00Z"),
        32 * HOUR
    );
    // A night, a weekend, a lunch break.
    assert_eq!(between(&calendar, "2026-04-20T18:00:00Z", "2026-04-21T06:00:00Z"), 0);
    assert_eq!(between(&calendar, "2026-04-24T16:00:00Z", "2026-04-27T07:00:00Z"), 0);
    assert_eq!(
        between(&calendar, "2026-04-20T10:15:00Z", "2026-04-20T11:15:00Z"),
        30 * MINUTE
    );
    // Backwards there is none.
    assert_eq!(between(&calendar, "2026-04-27T00:00:00Z", "2026-04-20T00:00:00Z"), 0);
}

#[test]
fn days_of_23_and_25_hours_come_out_right() {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let calendar = |hours: &str| parsed(json!({ "zone": "Europe/Berlin", "days": days, "hours": [hours] }));
    let (spring, autumn) = (
        ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
    );
    for (hours, in_spring, in_autumn) in [
        ("00:00-24:00", 23, 25),
        ("01:00-05:00", 3, 5),
        // An hour that there is not, and one that there is twice.
        ("02:00-03:00", 0, 2),
        ("09:00-17:00", 8, 8),
    ] {
        let calendar = calendar(hours);
        assert_eq!(
            between(&calendar, spring.0, spring.1),
            in_spring * HOUR,
            "{hours} in spring"
        );
        assert_eq!(
            between(&calendar, autumn.0, autumn.1),
            in_autumn * HOUR,
            "{hours} in autumn"
        );
    }
    // Half of the hour that comes twice: on the wall it is 02:30 to 03:00, twice.
    assert_eq!(between(&calendar("02:30-03:00"), autumn.0, autumn.1), HOUR);
    // A day that was left out: Samoa went from the 29th to the 31st.
    let samoa = parsed(json!({ "zone": "Pacific/Apia", "hours": ["00:00-24:00"] }));
    assert_eq!(
        between(&samoa, "2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z"),
        24 * HOUR
    );
}

#[test]
fn an_absurd_span_is_not_measured_and_says_nothing_of_the_ticket() {
    let calendar = parsed(json!({ "zone": "UTC", "hours": ["09:00-17:00"] }));
    assert_eq!(calendar.between(Time::FIRST, Time::LAST), None);
    let century = calendar.between(time(0), time(MAX_SPAN_MS)).expect("a century");
    assert!((26_000 * 8 * HOUR..26_200 * 8 * HOUR).contains(&century));
    let mut ancient = webhook("updated", T0, "3");
    ancient["issue"]["fields"]["created"] = json!("0001-01-01T00:00:00.000Z");
    let policy = Policy {
        calendar: Some(calendar),
        ..Policy::default()
    };
    let ticket = folded_by(&[ancient], &policy);
    let times = times(&ticket, policy.calendar.as_ref(), Some(Time::LAST));
    assert!(times.business.is_none() && times.age_ms.is_some() && !ticket.flags.contains(&Flag::Conflict));
}

#[test]
fn working_time_ends_where_its_last_hour_does() {
    let calendar = parsed(
        json!({ "zone": "Europe/Berlin", "days": ["mon", "tue", "wed", "thu", "fri", "sun"],
        "hours": ["02:00-03:00", "09:00-12:00", "13:00-17:00"], "holidays": ["2026-05-01"] }),
    );
    let after = |from: &str, ms| calendar.after(at(from), ms).expect("a moment").to_string();
    // Over lunch, over a night, at the end of the day and not at the next one's beginning.
    assert_eq!(after("2026-04-20T09:30:00Z", HOUR), "2026-04-20T11:30:00.000Z");
    assert_eq!(after("2026-04-20T14:00:00Z", HOUR), "2026-04-20T15:00:00.000Z");
    assert_eq!(after("2026-04-20T14:00:00Z", HOUR + 1), "2026-04-21T00:00:00.001Z");
    // Over a holiday and a Saturday, to a Sunday.
    assert_eq!(after("2026-04-30T15:00:00Z", MINUTE), "2026-05-03T00:01:00.000Z");
    // The hour that there is not, and the one that there is twice.
    assert_eq!(after("2026-03-28T23:00:00Z", HOUR), "2026-03-29T08:00:00.000Z");
    assert_eq!(after("2026-10-24T22:00:00Z", 2 * HOUR), "2026-10-25T02:00:00.000Z");
    assert_eq!(after("2026-04-20T14:00:00Z", 0), "2026-04-20T14:00:00.000Z");
    assert_eq!(after("2026-04-20T14:00:00Z", -HOUR), "2026-04-20T14:00:00.000Z");
}

#[test]
fn a_calendar_that_does_not_open_again_is_given_up() {
    // It is open for a minute of one Monday; all others of the century are holidays.
    let mondays = (0..36_525_i64).map(|day| time(day * DAY));
    let mondays = mondays.map(|day| DateTime::<chrono::Utc>::from(day).date_naive());
    let mondays: Vec<_> = mondays.filter(|day| day.weekday() == chrono::Weekday::Mon).collect();
    let closed: Vec<String> = mondays[1..].iter().map(ToString::to_string).collect();
    let calendar = parsed(json!({ "zone": "UTC", "days": ["mon"], "hours": ["00:00-00:01"], "holidays": closed }));
    // 1970-01-05.
    let opened = time(4 * DAY);
    assert_eq!(calendar.after(time(0), MINUTE), Some(opened.saturating_add(MINUTE)));
    assert_eq!(calendar.after(time(0), MINUTE + 1), None);
    assert_eq!(calendar.after(opened.saturating_add(MINUTE), 1), None);
    let closed: Vec<String> = mondays[1..2_600].iter().map(ToString::to_string).collect();
    let patient = parsed(json!({ "zone": "UTC", "days": ["mon"], "hours": ["00:00-00:01"], "holidays": closed }));
    assert_eq!(
        patient.after(time(0), MINUTE + 1),
        Some(opened.saturating_add(2_600 * 7 * DAY + 1)),
        "in fifty years"
    );
    // Where time itself ends, there is no later moment.
    assert_eq!(calendar.after(Time::LAST, 1), None);
    assert!(calendar.after(Time::FIRST, MINUTE).is_some());
    assert_eq!(calendar.week_ms(), MINUTE);
}

#[test]
fn a_calendar_that_cannot_be_is_refused_with_the_reason() {
    for (calendar, reason) in [
        (
            json!({ "zone": "Mars/Olympus", "hours": ["09:00-17:00"] }),
            "no time zone",
        ),
        (json!({ "zone": "UTC", "hours": [] }), "no hours"),
        (
            json!({ "zone": "UTC", "hours": ["09:00-17:00"], "days": [] }),
            "no days",
        ),
        (json!({ "zone": "UTC", "hours": ["17:00-09:00"] }), "no hours such as"),
        (json!({ "zone": "UTC", "hours": ["9-17"] }), "no hours such as"),
        (json!({ "zone": "UTC", "hours": ["09:00-24:01"] }), "no hours such as"),
        (
            json!({ "zone": "UTC", "hours": ["09:00-13:00", "12:00-17:00"] }),
            "overlap",
        ),
        (
            json!({ "zone": "UTC", "hours": vec!["09:00-17:00"; 25] }),
            "25 are more than 24",
        ),
        (
            json!({ "zone": "UTC", "hours": ["09:00-17:00"], "days": ["someday"] }),
            "someday",
        ),
        (
            json!({ "zone": "UTC", "hours": ["09:00-17:00"], "holidays": ["2026-02-30"] }),
            "out of range",
        ),
        (
            json!({ "zone": "UTC", "hours": ["09:00-17:00"], "lunch": true }),
            "unknown field",
        ),
    ] {
        let error = serde_json::from_value::<Calendar>(calendar.clone()).expect_err("no calendar");
        assert!(error.to_string().contains(reason), "{calendar}: {error}");
    }
}

/// Every minute that begins in the span, one by one.
fn reference(calendar: &Calendar, from: i64, minutes: i64) -> i64 {
    let written = serde_json::to_value(calendar).expect("JSON");
    let zone: Tz = written["zone"]
        .as_str()
        .and_then(|zone| zone.parse().ok())
        .expect("a zone");
    let list = |name: &str| -> Vec<String> { serde_json::from_value(written[name].clone()).expect("a list") };
    let (days, hours, holidays) = (list("days"), list("hours"), list("holidays"));
    let is_worked = |minute: &i64| {
        let moment = DateTime::from_timestamp_millis(from + minute * MINUTE).expect("a moment");
        let wall = moment.with_timezone(&zone);
        let time = format!("{:02}:{:02}", wall.hour(), wall.minute());
        let weekday = wall.weekday().to_string().to_lowercase();
        let within = |hours: &String| {
            hours
                .split_once('-')
                .is_some_and(|(from, to)| (from..to).contains(&time.as_str()))
        };
        days.contains(&weekday) && !holidays.contains(&wall.date_naive().to_string()) && hours.iter().any(within)
    };
    i64::try_from((0..minutes).filter(is_worked).count()).expect("few") * MINUTE
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Pacific/Apia",
];

pub(super) fn calendar() -> impl Strategy<Value = Calendar> {
    let days = prop::collection::btree_set(
        prop::sample::select(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
        1..8,
    );
    let hours = prop::collection::btree_set(0..=24 * 60_u32, 2..7).prop_map(|minutes| {
        let text = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        let minutes: Vec<u32> = minutes.into_iter().collect();
        let pairs = minutes
            .chunks_exact(2)
            .map(|pair| format!("{}-{}", text(pair[0]), text(pair[1])));
        pairs.collect::<Vec<_>>()
    });
    let holidays =
        prop::collection::btree_set((0..9_000_i64).prop_map(|day| day_of(day * DAY + 946_684_800_000)), 0..4);
    (prop::sample::select(ZONES.to_vec()), days, hours, holidays).prop_map(|(zone, days, hours, holidays)| {
        parsed(json!({ "zone": zone, "days": days, "hours": hours, "holidays": holidays }))
    })
}

fn day_of(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .expect("a day")
        .date_naive()
        .to_string()
}

/// A moment near a change of the clock somewhere, or any since 2000.
fn beginning() -> impl Strategy<Value = i64> {
    let changes = [
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-03-08T07:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-04-04T15:00:00Z",
        "2026-10-03T15:30:00Z",
        "2026-02-15T02:00:00Z",
        "2018-02-18T02:00:00Z",
        "2011-12-30T10:00:00Z",
    ]
    .map(|text| at(text).millis());
    let near = (prop::sample::select(changes.to_vec()), -4 * 24 * 60..60_i64);
    prop_oneof![
        2 => near.prop_map(|(change, minutes)| change + minutes * MINUTE),
        1 => (0..13_000_000_i64).prop_map(|minute| 946_684_800_000 + minute * MINUTE),
    ]
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn business_time_is_what_every_minute_says(
        calendar in calendar(),
        from in beginning(),
        minutes in prop_oneof![3 => 0..6 * 24 * 60_i64, 1 => 0..40 * 24 * 60_i64],
    ) {
        let worked = calendar.between(time(from), time(from + minutes * MINUTE));
        prop_assert_eq!(worked, Some(reference(&calendar, from, minutes)));
    }

    #[test]
    fn a_span_is_the_sum_of_its_parts(
        calendar in calendar(), from in beginning(), parts in prop::collection::vec(0..3 * DAY, 1..5),
    ) {
        let mut at = from;
        let mut sum = 0;
        for part in &parts {
            let worked = calendar.between(time(at), time(at + part)).expect("a short span");
            prop_assert!((0..=*part).contains(&worked));
            sum += worked;
            at += part;
        }
        prop_assert_eq!(calendar.between(time(from), time(at)), Some(sum));
        let written = serde_json::to_string(&calendar).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Calendar>(&written).expect("a calendar"), calendar);
    }

    /// The moment after so much work is the first at which so much was done.
    #[test]
    fn business_time_until_the_moment_after_it_is_exactly_that(
        calendar in calendar(),
        from in beginning(),
        seconds in 0..60_000_i64,
        worked in prop_oneof![1..2 * HOUR, (1..50_i64).prop_map(|quarters| quarters * 15 * MINUTE), 1..60 * HOUR],
    ) {
        let from = time(from + seconds);
        let Some(due) = calendar.after(from, worked) else {
            return Err(TestCaseError::fail("a calendar without a century of holidays opens again"));
        };
        prop_assert_eq!(calendar.between(from, due), Some(worked));
        prop_assert_eq!(calendar.between(from, due.saturating_add(-1)), Some(worked - 1));
        // By halves it is the same moment.
        let half = calendar.after(from, worked / 2).expect("it is before the other one");
        prop_assert_eq!(calendar.after(half, worked - worked / 2), Some(due));
    }
}
