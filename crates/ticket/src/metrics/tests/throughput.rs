//! Days of places whose clocks are put forward and back, against chrono's own dates.

use chrono::{DateTime, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;

use super::*;

/// Clocks are changed in the night, at midnight, by half an hour, or never; and one place left out a whole day.
const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/Los_Angeles",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
];

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn date(name: &str, at: Time) -> NaiveDate {
    let zone: Tz = name.parse().unwrap();
    zone.from_utc_datetime(&DateTime::<Utc>::from(at).naive_utc())
        .date_naive()
}

proptest! {
    #[test]
    fn every_moment_is_counted_once_and_in_the_hour_or_day_it_lies_in(
        name in prop::sample::select(ZONES.to_vec()),
        begin in 1_230_000_000_000..1_900_000_000_000_i64,
        length in 0..9 * DAY_MS,
        created in prop::collection::vec(-3 * DAY_MS..12 * DAY_MS, 0..40),
        closed in prop::collection::vec(-3 * DAY_MS..12 * DAY_MS, 0..40),
        by_day in any::<bool>(),
    ) {
        let (from, to) = (at(begin), at(begin + length));
        let per = if by_day { Per::Day } else { Per::Hour };
        let edges = per.edges(from, to, zone(name));
        prop_assert!(edges.windows(2).all(|edge| edge[0] < edge[1]));
        // They cover the span, and nothing more is covered than the hours or days that it lies in.
        let (start, end) = (edges[0], edges[edges.len() - 1]);
        prop_assert!(start <= from && to <= end);
        if by_day {
            for edge in &edges {
                prop_assert!(date(name, edge.saturating_add(-1)) < date(name, *edge), "{edge}");
            }
            prop_assert_eq!(date(name, start), date(name, from));
            if start < end {
                prop_assert!(to == start || date(name, end.saturating_add(-1)) == date(name, to.saturating_add(-1)));
            }
            // No day is left out between two.
            for edge in edges.windows(2) {
                prop_assert_eq!(date(name, edge[0]), date(name, edge[1].saturating_add(-1)));
            }
        } else {
            prop_assert!(edges.iter().all(|edge| edge.millis() % HOUR_MS == 0));
            prop_assert!(from.since(start) < HOUR_MS && end.since(to) < HOUR_MS);
        }
        let moments = |offsets: &[i64]| offsets.iter().map(|ms| at(begin + ms)).collect::<Vec<_>>();
        let (created, closed) = (moments(&created), moments(&closed));
        let points = throughput(&edges, to, &created, &closed);
        prop_assert_eq!(points.len(), edges.len() - 1);
        for (point, edge) in points.iter().zip(edges.windows(2)) {
            let here = |moments: &[Time]| moments.iter().filter(|at| (edge[0]..edge[1]).contains(*at)).count();
            prop_assert_eq!((point.at, point.provisional), (edge[0], to < edge[1]));
            prop_assert_eq!((point.created, point.closed), (here(&created), here(&closed)));
        }
        let within = created.iter().filter(|at| (start..end).contains(*at)).count();
        prop_assert_eq!(points.iter().map(|point| point.created).sum::<usize>(), within);
    }
}

#[test]
fn days_have_23_or_25_hours_and_one_had_none() {
    let hours = |name: &str, from: &str, to: &str| {
        let edges = Per::Day.edges(time(from), time(to), zone(name));
        edges
            .windows(2)
            .map(|edge| edge[1].since(edge[0]) / HOUR_MS)
            .collect::<Vec<_>>()
    };
    let spring = hours("Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
    assert_eq!(spring, [24, 23, 24]);
    let autumn = hours("Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
    assert_eq!(autumn, [24, 25, 24]);
    // In Havana the clock goes from 00:00 to 01:00: the day begins at one.
    assert_eq!(
        hours("America/Havana", "2026-03-08T12:00:00Z", "2026-03-08T12:00:00Z"),
        [23]
    );
    // Apia has no 30 December 2011.
    let none = Per::Day.edges(
        time("2011-12-29T12:00:00Z"),
        time("2011-12-31T12:00:00Z"),
        zone("Pacific/Apia"),
    );
    let dates: Vec<String> = none
        .iter()
        .map(|edge| date("Pacific/Apia", *edge).to_string())
        .collect();
    assert_eq!(dates, ["2011-12-29", "2011-12-31", "2012-01-01", "2012-01-02"]);
}

#[test]
fn the_ends_of_time_have_days_too() {
    for name in ZONES {
        for at in [Time::FIRST, Time::LAST] {
            for per in [Per::Hour, Per::Day] {
                let edges = per.edges(at, at, zone(name));
                assert!((1..=3).contains(&edges.len()), "{name} {at}");
            }
        }
    }
    assert!("Nowhere/Town".parse::<Zone>().is_err() && "".parse::<Zone>().is_err());
}
