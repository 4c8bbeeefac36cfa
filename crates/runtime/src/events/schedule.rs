//! Schedule expressions: `rate(5 minutes)` and `cron(0 2 ? * MON-FRI *)`, in AWS's dialect, in UTC.
//!
//! A cron expression has six fields: minutes, hours, day of month, month, day of week (1 is Sunday), year. One of the
//! two days is `?`. `L` is the last day of the month or week, `6L` the last Friday of the month, `15W` the weekday
//! nearest to the 15th, `3#2` the second Tuesday.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Timelike, Utc, Weekday};

/// The years that AWS's cron knows.
const YEARS: RangeInclusive<i32> = 1970..=2199;

/// Why a schedule expression is none.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("schedule expression {expression:?} is not valid: {reason}")]
pub struct Invalid {
    expression: String,
    reason: String,
}

/// When a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    Rate(TimeDelta),
    Cron(Cron),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: Vec<u32>,
    hours: Vec<u32>,
    days: Day,
    months: Vec<u32>,
    years: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Day {
    OfMonth(Vec<DayOfMonth>),
    OfWeek(Vec<DayOfWeek>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DayOfMonth {
    On(u32),
    Last,
    WeekdayNearest(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DayOfWeek {
    Every(Weekday),
    LastOfMonth(Weekday),
    NthOfMonth(Weekday, u32),
}

impl Schedule {
    pub fn parse(expression: &str) -> Result<Self, Invalid> {
        let inside = |kind: &str| expression.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
        let parsed = match (inside("rate"), inside("cron")) {
            (Some(rate), _) => parse_rate(rate).map(Self::Rate),
            (_, Some(cron)) => Cron::parse(cron).map(Self::Cron),
            (None, None) => Err("it is neither rate(…) nor cron(…)".to_owned()),
        };
        parsed.map_err(|reason| Invalid {
            expression: expression.to_owned(),
            reason,
        })
    }

    /// The first due moment after `now`, where `before` is one that was due; `None` when there is none any more.
    pub fn next(&self, before: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Rate(period) => {
                let missed = (now - before).num_seconds().div_euclid(period.num_seconds()).max(0);
                before.checked_add_signed(TimeDelta::try_seconds((missed + 1).checked_mul(period.num_seconds())?)?)
            }
            Self::Cron(cron) => cron.next(now),
        }
    }
}

fn parse_rate(rate: &str) -> Result<TimeDelta, String> {
    let mut words = rate.split_whitespace();
    let (Some(value), Some(unit), None) = (words.next(), words.next(), words.next()) else {
        return Err("a rate is a number and a unit".to_owned());
    };
    let value = value.parse::<u32>().ok().filter(|value| 0 < *value);
    let value = i64::from(value.ok_or("the number is not a positive one")?);
    let minutes = match (unit, value) {
        ("minute", 1) | ("minutes", 2..) => 1,
        ("hour", 1) | ("hours", 2..) => 60,
        ("day", 1) | ("days", 2..) => 24 * 60,
        _ => return Err(format!("the unit {unit:?} does not go with {value}")),
    };
    Ok(TimeDelta::minutes(value * minutes))
}

impl Cron {
    fn parse(expression: &str) -> Result<Self, String> {
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let [minutes, hours, day_of_month, month, day_of_week, year] = fields[..] else {
            return Err(format!("cron takes six fields, not {}", fields.len()));
        };
        let days = match (day_of_month, day_of_week) {
            ("?", "?") => return Err("one of the two days must be given".to_owned()),
            (_, "?") => Day::OfMonth(days_of_month(day_of_month)?),
            ("?", _) => Day::OfWeek(days_of_week(day_of_week)?),
            _ => return Err("one of the two days must be ?".to_owned()),
        };
        let (first, last) = (YEARS.start().unsigned_abs(), YEARS.end().unsigned_abs());
        Ok(Self {
            minutes: values("minutes", minutes, 0..=59, &[])?,
            hours: values("hours", hours, 0..=23, &[])?,
            days,
            months: values("month", month, 1..=12, &MONTHS)?,
            years: values("year", year, first..=last, &[])?,
        })
    }

    fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let start = now
            .with_second(0)?
            .with_nanosecond(0)?
            .checked_add_signed(TimeDelta::minutes(1))?;
        let mut month = start.date_naive().with_day(1)?;
        while month.year() <= *YEARS.end() {
            if self.years.contains(&month.year().unsigned_abs()) && self.months.contains(&month.month()) {
                for date in self.days.of(month) {
                    if let Some(moment) = self.first_in(date, start) {
                        return Some(moment);
                    }
                }
            }
            month = month.checked_add_months(Months::new(1))?;
        }
        None
    }

    /// The first due moment of a day that is not before `start`.
    fn first_in(&self, date: NaiveDate, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if date < start.date_naive() {
            return None;
        }
        let times = self
            .hours
            .iter()
            .flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
        let mut moments = times.filter_map(|(hour, minute)| Some(date.and_hms_opt(hour, minute, 0)?.and_utc()));
        moments.find(|moment| start <= *moment)
    }
}

impl Day {
    /// The days of a month, given by its first, in order.
    fn of(&self, first: NaiveDate) -> Vec<NaiveDate> {
        let all: Vec<NaiveDate> = first
            .iter_days()
            .take_while(|day| day.month() == first.month())
            .collect();
        let last = all.len();
        let mut days: Vec<NaiveDate> = match self {
            Self::OfMonth(wanted) => {
                let day = |n: u32| all.get(n.checked_sub(1)? as usize).copied();
                let days = wanted.iter().filter_map(|wanted| match wanted {
                    DayOfMonth::On(n) => day(*n),
                    DayOfMonth::Last => all.last().copied(),
                    DayOfMonth::WeekdayNearest(n) => nearest_weekday(day(*n)?),
                });
                days.collect()
            }
            Self::OfWeek(wanted) => {
                let is_wanted = |day: &NaiveDate| {
                    wanted.iter().any(|wanted| match wanted {
                        DayOfWeek::Every(weekday) => day.weekday() == *weekday,
                        DayOfWeek::LastOfMonth(weekday) => day.weekday() == *weekday && last < day.day() as usize + 7,
                        DayOfWeek::NthOfMonth(weekday, n) => day.weekday() == *weekday && day.day().div_ceil(7) == *n,
                    })
                };
                all.into_iter().filter(is_wanted).collect()
            }
        };
        days.sort();
        days.dedup();
        days
    }
}

/// The weekday nearest to `day` in its month.
fn nearest_weekday(day: NaiveDate) -> Option<NaiveDate> {
    let (before, after) = match day.weekday() {
        Weekday::Sat => (day.checked_sub_days(Days::new(1))?, day.checked_add_days(Days::new(2))?),
        Weekday::Sun => (day.checked_sub_days(Days::new(2))?, day.checked_add_days(Days::new(1))?),
        _ => return Some(day),
    };
    let (near, far) = if day.weekday() == Weekday::Sat {
        (before, after)
    } else {
        (after, before)
    };
    Some(if near.month() == day.month() { near } else { far })
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("SUN", Weekday::Sun),
    ("MON", Weekday::Mon),
    ("TUE", Weekday::Tue),
    ("WED", Weekday::Wed),
    ("THU", Weekday::Thu),
    ("FRI", Weekday::Fri),
    ("SAT", Weekday::Sat),
];

fn days_of_month(field: &str) -> Result<Vec<DayOfMonth>, String> {
    let mut days = Vec::new();
    for part in field.split(',') {
        match (part, part.strip_suffix('W')) {
            ("L", _) => days.push(DayOfMonth::Last),
            (_, Some(day)) => {
                let day = values("day of month", day, 1..=31, &[])?;
                days.extend(day.into_iter().map(DayOfMonth::WeekdayNearest));
            }
            _ => days.extend(
                values("day of month", part, 1..=31, &[])?
                    .into_iter()
                    .map(DayOfMonth::On),
            ),
        }
    }
    Ok(days)
}

fn days_of_week(field: &str) -> Result<Vec<DayOfWeek>, String> {
    const NAME: &str = "day of week";
    let names = WEEKDAYS.map(|(name, _)| name);
    let weekday = |n: u32| WEEKDAYS[n as usize - 1].1;
    if let Some((day, n)) = field.split_once('#') {
        let [day] = values(NAME, day, 1..=7, &names)?[..] else {
            return Err("# takes one day of the week".to_owned());
        };
        let [n] = values(NAME, n, 1..=5, &[])?[..] else {
            return Err("# takes a number from 1 to 5".to_owned());
        };
        return Ok(vec![DayOfWeek::NthOfMonth(weekday(day), n)]);
    }
    let mut days = Vec::new();
    for part in field.split(',') {
        match (part, part.strip_suffix('L')) {
            ("L", _) => days.push(DayOfWeek::Every(Weekday::Sat)),
            (_, Some(day)) => {
                let last = values(NAME, day, 1..=7, &names)?;
                days.extend(last.into_iter().map(|day| DayOfWeek::LastOfMonth(weekday(day))));
            }
            _ => {
                let every = values(NAME, part, 1..=7, &names)?;
                days.extend(every.into_iter().map(|day| DayOfWeek::Every(weekday(day))));
            }
        }
    }
    Ok(days)
}

/// The values of a field of `*`, numbers, names, ranges, steps and lists of them, in order.
fn values(name: &str, field: &str, all: RangeInclusive<u32>, names: &[&str]) -> Result<Vec<u32>, String> {
    let wrong = || format!("{field:?} is no {name}");
    let single = |text: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = match named {
            Some(at) => u32::try_from(at).ok().map(|at| at + all.start()),
            None => text.parse().ok().filter(|_| digits),
        };
        value.filter(|value| all.contains(value)).ok_or_else(wrong)
    };
    let mut values = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                Some(step.parse::<u32>().ok().filter(|step| 0 < *step).ok_or_else(wrong)?),
            ),
            None => (part, None),
        };
        let (first, last) = match (range, range.split_once('-'), step) {
            ("*", ..) => (*all.start(), *all.end()),
            (_, Some((first, last)), _) => (single(first)?, single(last)?),
            (_, None, Some(_)) => (single(range)?, *all.end()),
            (_, None, None) => (single(range)?, single(range)?),
        };
        let step = step.unwrap_or(1) as usize;
        if first <= last {
            values.extend((first..=last).step_by(step));
        } else {
            // FRI-MON goes round the end of the week.
            values.extend((first..=*all.end()).chain(*all.start()..=last).step_by(step));
        }
    }
    values.sort_unstable();
    values.dedup();
    Ok(values)
}

#[cfg(test)]
mod tests;
