//! What is looked for among many executions: pages of those that match, and counts of them.
//!
//! Neither may cost more the more executions there are: a page looks at a bounded number of them, a count stops at a
//! bound, and the ids, which follow the order of starts, stand for times.

use asl::Status;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter, types::Value};

use super::executions::{COLUMNS, row, status_code};
use super::{ExecutionId, MachineId, Result, Row, to_ms};

/// How many executions a page of a text search looks at, from the newest on. What lies further back is on a later page,
/// so one may be short: 20,000 rows are read in some tens of milliseconds.
const SEARCHED: i64 = 20_000;

/// Where a count stops: beyond it the number says only "many".
pub(crate) const MAX_COUNT: u64 = 10_000;

/// Which executions are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    pub(crate) machines: Vec<MachineId>,
    pub(crate) kinds: Vec<Kind>,
    /// Only those that started at this one or after it.
    pub(crate) first: Option<ExecutionId>,
    /// Only those that started before this one.
    pub(crate) before: Option<ExecutionId>,
    /// What their name or subject begins with, or their error contains, whatever its case.
    pub(crate) text: Option<String>,
}

/// What an execution is doing, finer than its status by one: a state that failed may wait to be begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Running,
    Retrying,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Running,
        Self::Retrying,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Aborted,
    ];

    pub(crate) fn of(row: &Row) -> Self {
        match row.status {
            Status::Running if row.place.retry.is_some() => Self::Retrying,
            Status::Running => Self::Running,
            Status::Succeeded => Self::Succeeded,
            Status::Failed => Self::Failed,
            Status::TimedOut => Self::TimedOut,
            Status::Aborted => Self::Aborted,
        }
    }

    fn status(self) -> Status {
        match self {
            Self::Running | Self::Retrying => Status::Running,
            Self::Succeeded => Status::Succeeded,
            Self::Failed => Status::Failed,
            Self::TimedOut => Status::TimedOut,
            Self::Aborted => Status::Aborted,
        }
    }

    /// What tells apart the two kinds that share a status.
    fn condition(self) -> &'static str {
        match self {
            Self::Running => "AND retry_ms IS NULL",
            Self::Retrying => "AND retry_ms IS NOT NULL",
            _ => "",
        }
    }
}

/// A page of what was found, newest first.
pub(crate) struct Found {
    pub(crate) rows: Vec<Row>,
    /// Where the next page goes on; absent when all was looked at.
    pub(crate) next: Option<ExecutionId>,
}

/// The newest of what is looked for, at most `limit`.
pub(crate) fn search(connection: &Connection, search: &Search, limit: usize) -> Result<Found> {
    let newest: i64 = connection.query_row("SELECT ifnull(max(id), 0) + 1 FROM executions", [], |row| row.get(0))?;
    let before = search.before.map_or(newest, |before| before.0.min(newest));
    let first = search.first.map_or(0, |first| first.0);
    let floor = match search.text {
        Some(_) => first.max(before.saturating_sub(SEARCHED)),
        None => first,
    };
    let pattern = search.text.as_deref().map(escaped);
    let text = match pattern {
        Some(_) => {
            r"AND (name LIKE ?6 || '%' ESCAPE '\' OR subject LIKE ?6 || '%' ESCAPE '\' OR error LIKE '%' || ?6 || '%' ESCAPE '\')"
        }
        None => "",
    };
    let mut rows = Vec::new();
    for machine in &search.machines {
        for kind in &search.kinds {
            let condition = kind.condition();
            let sql = format!(
                "SELECT {COLUMNS} FROM executions
                 WHERE machine = ?1 AND status = ?2 AND ?3 <= id AND id < ?4 {condition} {text}
                 ORDER BY id DESC LIMIT ?5"
            );
            let mut values = vec![
                Value::from(machine.0),
                Value::from(status_code(kind.status())),
                Value::from(floor),
                Value::from(before),
                Value::from((limit + 1) as i64),
            ];
            values.extend(pattern.clone().map(Value::from));
            let mut statement = connection.prepare_cached(&sql)?;
            for found in statement.query_map(params_from_iter(values), row)? {
                rows.push(found?);
            }
        }
    }
    rows.sort_unstable_by_key(|row: &Row| std::cmp::Reverse(row.id));
    let more = limit < rows.len();
    rows.truncate(limit);
    let next = match more {
        true => rows.last().map(|row| row.id),
        false => (first < floor).then_some(ExecutionId(floor)),
    };
    Ok(Found { rows, next })
}

/// A text for LIKE that stands for itself.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// How many executions there are of a kind from `first` on and before `end`, up to [`MAX_COUNT`] and one.
pub(crate) fn count(
    connection: &Connection,
    machines: &[MachineId],
    kind: Kind,
    first: Option<ExecutionId>,
    end: Option<ExecutionId>,
) -> Result<u64> {
    let condition = kind.condition();
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM executions WHERE machine = ?1 AND status = ?2 AND ?3 <= id AND id < ?4
         {condition} LIMIT ?5)"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut counted = 0;
    for machine in machines {
        let limit = MAX_COUNT + 1 - counted;
        let (first, end) = (first.map_or(0, |first| first.0), end.map_or(i64::MAX, |end| end.0));
        counted += statement.query_row(
            params![machine.0, status_code(kind.status()), first, end, limit as i64],
            |row| row.get::<_, i64>(0),
        )? as u64;
        if MAX_COUNT < counted {
            break;
        }
    }
    Ok(counted)
}

/// The first execution that started at `moment` or later, by halving: ids follow the order of starts.
pub(crate) fn first_since(connection: &Connection, moment: DateTime<Utc>) -> Result<ExecutionId> {
    let ends = "SELECT ifnull(min(id), 0), ifnull(max(id), 0) + 1 FROM executions";
    let (mut low, mut high): (i64, i64) = connection.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let wanted = to_ms(moment);
    let mut statement =
        connection.prepare_cached("SELECT id, start_ms FROM executions WHERE ?1 <= id ORDER BY id LIMIT 1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> = statement
            .query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((id, started)) if started < wanted => low = id + 1,
            _ => high = middle,
        }
    }
    Ok(ExecutionId(low))
}
