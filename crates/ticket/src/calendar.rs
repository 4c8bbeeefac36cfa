//! Business time: how much of a span lies within working hours.
//!
//! Working hours are what a clock on the wall of the team's place shows, so that a day on which that clock is put
//! forward or back has 23 or 25 hours, and working hours that lie across the change are shorter or longer.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeZone, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::text::excerpt;
use crate::time::Time;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// Longest span that is measured: a hundred years. It is walked through day by day, which takes some milliseconds; a
/// ticket that is older has a wrong time, not a long life.
pub const MAX_SPAN_MS: i64 = 36_525 * DAY_MS;
/// Most pieces that a day's hours may have, and most holidays: more than anyone has, and few enough to look through.
const MAX_HOURS: usize = 24;
const MAX_HOLIDAYS: usize = 10_000;

/// When a team works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Calendar {
    zone: Tz,
    days: BTreeSet<Day>,
    /// Sorted and apart from each other.
    hours: Vec<Hours>,
    holidays: BTreeSet<NaiveDate>,
}

/// Why something is no calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0:?} is no time zone of the IANA database, such as Europe/Berlin")]
    Zone(String),
    #[error("{0:?} are no hours such as 09:00-17:30, within one day and the beginning first")]
    Hours(String),
    #[error("there are no days")]
    NoDays,
    #[error("there are no hours")]
    NoHours,
    #[error("the hours {0} and {1} overlap or are not in order")]
    Overlapping(String, String),
    #[error("{what}: {count} are more than {most}")]
    TooMany {
        what: &'static str,
        count: usize,
        most: usize,
    },
}

/// A calendar as it is written in the policy.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    zone: String,
    #[serde(default = "Day::monday_to_friday")]
    days: BTreeSet<Day>,
    hours: Vec<String>,
    #[serde(default)]
    holidays: BTreeSet<NaiveDate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    fn monday_to_friday() -> BTreeSet<Self> {
        [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri].into()
    }
}

impl From<Weekday> for Day {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Mon => Self::Mon,
            Weekday::Tue => Self::Tue,
            Weekday::Wed => Self::Wed,
            Weekday::Thu => Self::Thu,
            Weekday::Fri => Self::Fri,
            Weekday::Sat => Self::Sat,
            Weekday::Sun => Self::Sun,
        }
    }
}

/// Working hours, in milliseconds after midnight by the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hours {
    from_ms: i64,
    to_ms: i64,
}

impl Hours {
    fn parse(text: &str) -> Result<Self, Error> {
        let error = || Error::Hours(excerpt(text));
        let (from, to) = text.split_once('-').ok_or_else(error)?;
        let hours = Self {
            from_ms: minute_of_day(from).ok_or_else(error)? * MINUTE_MS,
            to_ms: minute_of_day(to).ok_or_else(error)? * MINUTE_MS,
        };
        if hours.from_ms < hours.to_ms {
            Ok(hours)
        } else {
            Err(error())
        }
    }
}

impl std::fmt::Display for Hours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (from, to) = (self.from_ms / MINUTE_MS, self.to_ms / MINUTE_MS);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// `HH:MM`, up to `24:00`.
fn minute_of_day(text: &str) -> Option<i64> {
    let (hour, minute) = text.trim().split_once(':')?;
    let is_plain = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let (hour, minute): (i64, i64) = match is_plain(hour) && is_plain(minute) {
        true => (hour.parse().ok()?, minute.parse().ok()?),
        false => return None,
    };
    (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
}

impl TryFrom<Written> for Calendar {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self, Error> {
        let zone = written.zone.parse().map_err(|_| Error::Zone(excerpt(&written.zone)))?;
        let too_many = |what, count, most| match count <= most {
            true => Ok(()),
            false => Err(Error::TooMany { what, count, most }),
        };
        too_many("hours", written.hours.len(), MAX_HOURS)?;
        too_many("holidays", written.holidays.len(), MAX_HOLIDAYS)?;
        let hours: Vec<Hours> = written
            .hours
            .iter()
            .map(|text| Hours::parse(text))
            .collect::<Result<_, _>>()?;
        if written.days.is_empty() {
            return Err(Error::NoDays);
        }
        if hours.is_empty() {
            return Err(Error::NoHours);
        }
        if let Some(pair) = hours.windows(2).find(|pair| pair[1].from_ms < pair[0].to_ms) {
            return Err(Error::Overlapping(pair[0].to_string(), pair[1].to_string()));
        }
        Ok(Self {
            zone,
            days: written.days,
            hours,
            holidays: written.holidays,
        })
    }
}

impl From<Calendar> for Written {
    fn from(calendar: Calendar) -> Self {
        Self {
            zone: calendar.zone.name().to_owned(),
            days: calendar.days,
            hours: calendar.hours.iter().map(ToString::to_string).collect(),
            holidays: calendar.holidays,
        }
    }
}

/// A part of a span within one date, in which the clock on the wall runs as time does.
struct Piece {
    from: i64,
    until: i64,
    /// The date's beginning, as if its wall showed UTC.
    midnight: i64,
    /// What the wall shows at `from`, after midnight.
    wall: i64,
}

impl Calendar {
    /// The milliseconds from `from` to `to` that are working time; `None` if that is longer than [`MAX_SPAN_MS`].
    ///
    /// The span is cut where a day ends on the wall, and where the clock there is put forward or back. Within such a
    /// piece the wall's time runs as time does, and one date decides. O(days).
    pub fn between(&self, from: Time, to: Time) -> Option<i64> {
        if MAX_SPAN_MS < to.since(from) {
            return None;
        }
        let pieces = self.pieces(from.millis(), to.millis());
        Some(
            pieces
                .flat_map(|piece| self.open(piece))
                .map(|(from, to)| to - from)
                .sum(),
        )
    }

    /// The first moment by which so much working time will have passed since `from`; `None` if that is not within
    /// [`MAX_SPAN_MS`]. O(days).
    pub fn after(&self, from: Time, worked_ms: i64) -> Option<Time> {
        let mut left = worked_ms;
        if left <= 0 {
            return Some(from);
        }
        let end = from.saturating_add(MAX_SPAN_MS).millis();
        let mut open = self.pieces(from.millis(), end).flat_map(|piece| self.open(piece));
        let last = open.find_map(|(from, to)| {
            let at = from + left;
            left -= to - from;
            (left <= 0).then_some(at)
        });
        last.and_then(|at| Time::from_millis(at).ok())
    }

    /// The working time of a week without holidays.
    pub fn week_ms(&self) -> i64 {
        let day = self.hours.iter().map(|hours| hours.to_ms - hours.from_ms);
        day.sum::<i64>() * self.days.len() as i64
    }

    fn pieces(&self, from: i64, end: i64) -> impl Iterator<Item = Piece> {
        let mut at = from;
        std::iter::from_fn(move || {
            if end <= at {
                return None;
            }
            let offset = self.offset_ms(at);
            let wall = at + offset;
            let midnight = wall.div_euclid(DAY_MS) * DAY_MS;
            let mut until = end.min(midnight + DAY_MS - offset);
            if self.offset_ms(until - 1) != offset {
                until = self.end_of_offset(offset, at, until - 1);
            }
            let from = std::mem::replace(&mut at, until);
            let wall = wall - midnight;
            Some(Piece {
                from,
                until,
                midnight,
                wall,
            })
        })
    }

    /// What of a piece is working time, in order.
    fn open(&self, piece: Piece) -> impl Iterator<Item = (i64, i64)> {
        let date = DateTime::from_timestamp_millis(piece.midnight)
            .expect("the bounds of Time lie days within chrono's")
            .date_naive();
        let is_worked = self.days.contains(&date.weekday().into()) && !self.holidays.contains(&date);
        let hours = if is_worked { self.hours.as_slice() } else { &[] };
        // From the wall's time to the moment.
        let shift = piece.from - piece.wall;
        hours.iter().filter_map(move |hours| {
            let (from, to) = (
                (hours.from_ms + shift).max(piece.from),
                (hours.to_ms + shift).min(piece.until),
            );
            (from < to).then_some((from, to))
        })
    }

    /// How far the clock on the wall is ahead of UTC.
    fn offset_ms(&self, at: i64) -> i64 {
        let at = DateTime::from_timestamp_millis(at).expect("the bounds of Time lie days within chrono's");
        let offset = self.zone.offset_from_utc_datetime(&at.naive_utc());
        i64::from(offset.fix().local_minus_utc()) * 1000
    }

    /// The first moment in a day at which the offset is no longer the one it has at `before`, but that of `after`.
    /// No zone changes it twice in a day.
    fn end_of_offset(&self, offset: i64, mut before: i64, mut after: i64) -> i64 {
        while 1 < after - before {
            let middle = before + (after - before) / 2;
            if self.offset_ms(middle) == offset {
                before = middle;
            } else {
                after = middle;
            }
        }
        after
    }
}
