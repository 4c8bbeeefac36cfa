//! Wait: lets time pass, for a number of seconds or until a moment.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::Value;

use crate::advance::{Fault, Transition};
use crate::definition::{How, Number, State, Wait};
use crate::event::{EventKind, FrameId};
use crate::query;
use crate::state::Work;

/// The longest wait that AWS takes, in seconds: what a signed 32-bit number holds, 68 years.
const MAX_WAIT_SECONDS: i64 = i32::MAX as i64;

pub(crate) fn begin(work: &Work<'_>, transition: &mut Transition<'_>, wait: &Wait) -> Result<(), Fault> {
    let until = until(work, transition, wait)?;
    let longest = TimeDelta::seconds(MAX_WAIT_SECONDS);
    if until - transition.now > longest {
        return Err(work.runtime("Wait state delay is too long."));
    }
    if until <= transition.now {
        return finish(work, transition);
    }
    transition.emit(work.frame, EventKind::WaitScheduled { until });
    Ok(())
}

/// Goes on after the wait.
pub(crate) fn over(transition: &mut Transition<'_>, frame: FrameId, state: &State) -> Result<(), Fault> {
    finish(&Work::new(transition, frame, state), transition)
}

fn finish(work: &Work<'_>, transition: &mut Transition<'_>) -> Result<(), Fault> {
    let input = work.effective_input(transition)?;
    work.complete(transition, input)
}

/// A `Timestamp` counts to the second, as AWS documents; `Seconds` begin at the millisecond that the state is entered.
fn until(work: &Work<'_>, transition: &Transition<'_>, wait: &Wait) -> Result<DateTime<Utc>, Fault> {
    match wait {
        Wait::Timestamp(moment) => Ok(moment.to_utc().trunc_subsecs(0)),
        Wait::Computed(computed) => {
            let value = work.compute(transition, computed)?;
            if !value.is_string() && matches!(computed.how, How::Jsonata(_)) {
                return Err(work.unexpected_type(&computed.source, &computed.field, "string", &value));
            }
            parse(&value).ok_or_else(|| match &computed.how {
                How::JsonPath(_) => work.runtime(&format!(
                    "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format \
                     string: {} == {}",
                    computed.source,
                    plain(&value)
                )),
                How::Jsonata(_) => work.unexpected(
                    "Timestamp",
                    &format!(
                        "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {}",
                        plain(&value)
                    ),
                ),
            })
        }
        Wait::Seconds(Number::Computed(computed)) if matches!(computed.how, How::JsonPath(_)) => {
            let value = work.compute(transition, computed)?;
            let refuse = |what: &str| {
                let (path, value) = (&computed.source, plain(&value));
                work.runtime(&format!("The SecondsPath parameter {what}: {path} == {value}"))
            };
            let seconds: i64 = value
                .as_i64()
                .or_else(|| value.as_str()?.parse().ok())
                .ok_or_else(|| refuse("cannot be parsed as a long value"))?;
            if seconds < 0 {
                return Err(refuse("references a negative value"));
            }
            after(work, transition, seconds)
        }
        Wait::Seconds(seconds) => {
            let seconds = work.number(transition, seconds)?.unwrap_or_default();
            after(work, transition, i64::try_from(seconds).unwrap_or(i64::MAX))
        }
    }
}

fn after(work: &Work<'_>, transition: &Transition<'_>, seconds: i64) -> Result<DateTime<Utc>, Fault> {
    TimeDelta::try_seconds(seconds)
        .and_then(|delta| transition.now.checked_add_signed(delta))
        .ok_or_else(|| work.runtime("Wait state delay is too long."))
}

fn parse(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?;
    // RFC 3339 lets a space stand for the T, ISO 8601 does not; that lets the seconds be left out instead.
    let (date, time) = text.split_once(['T', 't'])?;
    let moment = match time.split_at_checked("00:00".len()) {
        Some((minutes, offset)) if offset.starts_with(['Z', 'z', '+', '-']) => {
            DateTime::parse_from_rfc3339(&format!("{date}T{minutes}:00{offset}"))
        }
        _ => DateTime::parse_from_rfc3339(text),
    };
    moment.ok().map(|moment| moment.to_utc().trunc_subsecs(0))
}

/// A value as AWS shows it in a cause: a text without its quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => query::to_text(other),
    }
}
