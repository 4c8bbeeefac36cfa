//! The list of executions, and the counts above it.

use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::Console;
use super::answer::{Failure, answered};
use super::query::Query;
use super::view::ms;
use crate::history::overview::{self, Kind, MAX_COUNT, Search};
use crate::history::{ExecutionId, MachineId, Row};

/// Executions on a page.
const PAGE: usize = 50;

/// Longer texts find nothing: names have 80 characters.
const MAX_TEXT_CHARACTERS: usize = 200;

/// What the sentence above the list speaks of.
const LATELY: TimeDelta = TimeDelta::hours(1);

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Running => "running",
        Kind::Retrying => "retrying",
        Kind::Succeeded => "succeeded",
        Kind::Failed => "failed",
        Kind::TimedOut => "timed_out",
        Kind::Aborted => "aborted",
    }
}

impl Console {
    /// The machines that a query asks for, with their names; all if it names none.
    fn machines(&self, query: &Query) -> Vec<(MachineId, String)> {
        let wanted = query.get("machine");
        let machines = self.engine.machines().into_iter();
        machines
            .filter(|(_, machine)| wanted.is_none_or(|wanted| *machine.name == *wanted))
            .map(|(id, machine)| (id, machine.name.to_string()))
            .collect()
    }

    pub(super) async fn list(&self, query: &Query) -> Result<Response, Failure> {
        let machines = self.machines(query);
        let now = self.engine.now();
        let kinds = query.list("status").map(|name| {
            let kind = Kind::ALL.into_iter().find(|kind| kind_name(*kind) == name);
            kind.ok_or_else(|| Failure::parameter("status", name, "a status, or several with commas"))
        });
        let mut kinds: Vec<Kind> = kinds.collect::<Result<_, _>>()?;
        if kinds.is_empty() {
            kinds = Kind::ALL.to_vec();
        }
        kinds.sort_unstable();
        kinds.dedup();
        let (from, to) = (moment(query, "from", now)?, moment(query, "to", now)?);
        let before = query.number("before")?;
        let text = query
            .get("q")
            .map(|text| text.trim().chars().take(MAX_TEXT_CHARACTERS).collect::<String>());
        let mut search = Search {
            machines: machines.iter().map(|(id, _)| *id).collect(),
            kinds,
            first: None,
            before: None,
            text: text.filter(|text| !text.is_empty()),
        };
        let found = self
            .engine
            .read(move |connection| {
                search.first = from.map(|from| overview::first_since(connection, from)).transpose()?;
                let end = to.map(|to| overview::first_since(connection, to)).transpose()?;
                let before = before.map(|before| ExecutionId(i64::try_from(before).unwrap_or(i64::MAX)));
                search.before = match (end, before) {
                    (Some(end), Some(before)) => Some(end.min(before)),
                    (end, before) => end.or(before),
                };
                overview::search(connection, &search, PAGE)
            })
            .await?;
        let rows = found.rows.iter().map(|row| {
            let machine = machines.iter().find(|(id, _)| *id == row.machine);
            self.summary_of(row, machine.map_or("", |(_, name)| name))
        });
        Ok(answered(&json!({
            "executions": rows.collect::<Vec<_>>(),
            "next": found.next.map(|next| next.0),
            "now": ms(now),
        })))
    }

    /// What a list shows of an execution.
    pub(super) fn summary_of(&self, row: &Row, machine: &str) -> Value {
        json!({
            "id": row.id.0,
            "machine": machine,
            "name": row.name,
            "status": kind_name(Kind::of(row)),
            "state": row.place.state,
            "tries": row.place.tries,
            "retry_at": row.place.retry.map(ms),
            "error": row.place.error,
            "started": ms(row.started),
            "stopped": row.stopped.map(ms),
            "redrives": row.redrive_count,
            "events": row.last_event,
            "subject": self.subject(row, machine),
        })
    }

    fn subject(&self, row: &Row, machine: &str) -> Value {
        let Some(subject) = &row.subject else {
            return Value::Null;
        };
        let link = self
            .links
            .get(machine)
            .map(|link| link.replace("{}", &encoded(subject)));
        json!({"text": subject, "link": link})
    }

    /// How many there are of each kind: lately, and in the range that the query asks for.
    pub(super) async fn summary(&self, query: &Query) -> Result<Response, Failure> {
        let machines: Vec<MachineId> = self.machines(query).into_iter().map(|(id, _)| id).collect();
        let now = self.engine.now();
        let (from, to) = (moment(query, "from", now)?, moment(query, "to", now)?);
        let (lately, counts) = self
            .engine
            .read(move |connection| {
                let recent = overview::first_since(connection, now - LATELY)?;
                let from = from.map(|from| overview::first_since(connection, from)).transpose()?;
                let to = to.map(|to| overview::first_since(connection, to)).transpose()?;
                let mut lately = Vec::new();
                let mut counts = Vec::new();
                for kind in Kind::ALL {
                    // What runs now is told whenever it started.
                    let since = (!matches!(kind, Kind::Running | Kind::Retrying)).then_some(recent);
                    lately.push((kind, overview::count(connection, &machines, kind, since, None)?));
                    counts.push((kind, overview::count(connection, &machines, kind, from, to)?));
                }
                Ok((lately, counts))
            })
            .await?;
        let shaped = |counts: Vec<(Kind, u64)>| -> Value {
            counts
                .into_iter()
                .map(|(kind, count)| (kind_name(kind).to_owned(), Value::from(count)))
                .collect()
        };
        Ok(answered(&json!({
            "lately": shaped(lately),
            "counts": shaped(counts),
            "many": MAX_COUNT,
        })))
    }
}

/// A moment of a query: `2026-11-20T14:00Z`, or counted back from now: `-1h`, `-7d`.
fn moment(query: &Query, name: &str, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Failure> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let wrong = || Failure::parameter(name, text, "a time such as 2026-11-20T14:00:00Z, or -1h, -7d");
    if let Some(back) = text.strip_prefix('-') {
        let digits = back.trim_end_matches(|character: char| !character.is_ascii_digit());
        let number: i64 = digits.parse().map_err(|_| wrong())?;
        let length = match &back[digits.len()..] {
            "m" => TimeDelta::try_minutes(number),
            "h" => TimeDelta::try_hours(number),
            "d" => TimeDelta::try_days(number),
            _ => None,
        };
        return length
            .and_then(|length| now.checked_sub_signed(length))
            .map(Some)
            .ok_or_else(wrong);
    }
    // Without seconds, as a page writes whole minutes.
    let whole = text
        .strip_suffix('Z')
        .filter(|rest| rest.len() == "2026-11-20T14:00".len());
    let whole = whole.map(|rest| format!("{rest}:00Z"));
    let parsed = DateTime::parse_from_rfc3339(whole.as_deref().unwrap_or(text)).map_err(|_| wrong())?;
    Ok(Some(parsed.with_timezone(&Utc)))
}

/// A text as a segment of an address.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
