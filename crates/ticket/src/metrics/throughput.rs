//! What came and what went, by the hour or by the day, wherever the team's days begin.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Serialize;

use super::{DAY_MS, HOUR_MS};
use crate::text::excerpt;
use crate::time::Time;

/// Longer than any day has been anywhere, on whichever side of the date line.
const LONGEST_DAY_MS: i64 = 50 * HOUR_MS;

/// How long a point of a throughput lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Of UTC.
    Hour,
    /// Of a zone: some have 23 or 25 hours.
    Day,
}

/// Where days begin and end: a time zone of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String")]
pub struct Zone(Tz);

/// A name that no zone has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time zone of the IANA database, such as Europe/Berlin")]
pub struct UnknownZone(String);

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        name.parse().map(Self).map_err(|_| UnknownZone(excerpt(name)))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.to_string()
    }
}

impl Zone {
    pub const UTC: Self = Self(Tz::UTC);

    /// The date on the wall there, as days since 1970.
    fn date(self, at: Time) -> i64 {
        let utc = DateTime::<Utc>::from(at).naive_utc();
        let ahead = i64::from(self.0.offset_from_utc_datetime(&utc).fix().local_minus_utc());
        (at.millis() + ahead * 1000).div_euclid(DAY_MS)
    }

    /// The first moment of the day that a moment lies in: not always a midnight, where clocks are put forward at it.
    fn start_of_day(self, at: Time) -> Time {
        let date = self.date(at);
        first(at.saturating_add(-LONGEST_DAY_MS), at, |other| date <= self.date(other))
    }

    /// The first moment of the next day there is.
    fn end_of_day(self, at: Time) -> Time {
        let date = self.date(at);
        first(at, at.saturating_add(LONGEST_DAY_MS), |other| date < self.date(other))
    }
}

/// The first moment from one to another at which something holds that goes on to hold; the last one if it never does.
fn first(from: Time, to: Time, holds: impl Fn(Time) -> bool) -> Time {
    let (mut before, mut after) = (-1, to.since(from));
    while 1 < after - before {
        let middle = before + (after - before) / 2;
        if holds(from.saturating_add(middle)) {
            after = middle;
        } else {
            before = middle;
        }
    }
    from.saturating_add(after)
}

impl Per {
    /// The first moment of the hour or day that a moment lies in.
    pub fn start_of(self, at: Time, zone: Zone) -> Time {
        match self {
            Self::Hour => at.saturating_add(-at.millis().rem_euclid(HOUR_MS)),
            Self::Day => zone.start_of_day(at),
        }
    }

    /// Where the hours or days begin and end that cover a span: each is the end of one and the beginning of the next.
    pub fn edges(self, from: Time, to: Time, zone: Zone) -> Vec<Time> {
        let mut edges = vec![self.start_of(from, zone)];
        loop {
            let last = edges[edges.len() - 1];
            let next = match self {
                Self::Hour => last.saturating_add(HOUR_MS),
                Self::Day => zone.end_of_day(last),
            };
            // After the last moment that can be told there is none.
            if to <= last || next <= last {
                return edges;
            }
            edges.push(next);
        }
    }
}

/// What came and what went in one hour or day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Throughput {
    /// When it begins.
    pub at: Time,
    /// It is not over yet.
    pub provisional: bool,
    pub created: usize,
    /// Tickets that were closed then and have stayed so: one that was opened again counts when it is closed again.
    pub closed: usize,
}

/// Counts between some edges; moments outside do not count.
pub fn throughput(edges: &[Time], now: Time, created: &[Time], closed: &[Time]) -> Vec<Throughput> {
    let mut points: Vec<Throughput> = edges
        .windows(2)
        .map(|edge| Throughput {
            at: edge[0],
            provisional: now < edge[1],
            created: 0,
            closed: 0,
        })
        .collect();
    // Before the first edge it is none, after the last one that of no point.
    let index = |at: &Time| edges.partition_point(|edge| edge <= at).checked_sub(1);
    for at in created {
        if let Some(point) = index(at).and_then(|index| points.get_mut(index)) {
            point.created += 1;
        }
    }
    for at in closed {
        if let Some(point) = index(at).and_then(|index| points.get_mut(index)) {
            point.closed += 1;
        }
    }
    points
}
