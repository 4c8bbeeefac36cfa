//! How a played case is told: a line if it passed, its differences if it did not.

use std::fmt::Write;
use std::time::Duration;

use asl::scripted::Difference;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::Told;
use crate::style;

/// Differences of values that are shown of one case: whoever sees so many has seen enough.
const MAX_SHOWN: usize = 20;

/// Longer values are cut in the text; `--json` has them whole.
const MAX_VALUE: usize = 300;

/// Beneath what the differences stand.
const INDENT: &str = "      ";

pub(super) fn text(told: &Told) -> String {
    let passed = told.played.differences.is_empty();
    let verdict = if passed { "PASS" } else { "FAIL" };
    let verdict = if passed {
        style::good(verdict)
    } else {
        style::bad(verdict)
    };
    let mut out = format!("{verdict}  {}: {}", told.file.display(), told.name);
    if passed {
        let elapsed = span(told.played.elapsed);
        let real = milliseconds(told.took);
        write!(out, "  {}", style::dim(&format!("({elapsed} in {real})"))).expect(STRING);
        return out;
    }
    out.push('\n');
    if let Some(error) = &told.played.error {
        let cause = told
            .played
            .cause
            .as_deref()
            .map_or_else(String::new, |cause| format!(": {cause}"));
        line(
            &mut out,
            &format!("it ended {} with {error}{cause}", told.played.status.as_str()),
        );
    }
    for difference in told.played.differences.iter().take(MAX_SHOWN) {
        write_difference(&mut out, difference);
    }
    if let Some(more @ 1..) = told.played.differences.len().checked_sub(MAX_SHOWN) {
        line(&mut out, &format!("and {more} more"));
    }
    out.truncate(out.trim_end().len());
    out
}

const STRING: &str = "a string takes everything";

fn line(out: &mut String, text: &str) {
    writeln!(out, "{INDENT}{text}").expect(STRING);
}

fn write_difference(out: &mut String, difference: &Difference) {
    match difference {
        Difference::Value {
            pointer,
            expected,
            actual,
        } => {
            line(out, pointer);
            line(out, &format!("  expected {}", style::good(&shown(expected.as_ref()))));
            line(out, &format!("  was      {}", style::bad(&shown(actual.as_ref()))));
        }
        Difference::Path {
            expected,
            actual,
            diverges,
        } => write_paths(out, expected, actual, *diverges),
        Difference::Elapsed {
            at_least,
            at_most,
            actual,
        } => {
            let expected = match (at_least == at_most, *at_most == TimeDelta::MAX) {
                (true, _) => span(*at_least),
                (false, true) => format!("at least {}", span(*at_least)),
                (false, false) => format!("{} to {}", span(*at_least), span(*at_most)),
            };
            line(out, "/elapsed");
            line(out, &format!("  expected {}", style::good(&expected)));
            line(out, &format!("  was      {}", style::bad(&span(*actual))));
        }
        Difference::Unscripted {
            state,
            resource,
            arguments,
            call,
            scripted,
        } => {
            let name = Value::from(state.as_str());
            if *scripted == 0 {
                line(
                    out,
                    &format!("{} calls {resource}, and nothing is scripted for it", style::bad(state)),
                );
                line(out, &format!("  with {}", shown(Some(arguments))));
                line(
                    out,
                    &format!(
                        "  write under \"tasks\": {}",
                        style::good(&format!("{name}: {{\"succeeds\": {{}}}}"))
                    ),
                );
            } else {
                let text = format!(
                    "{} is called {call} times, and {scripted} results are scripted",
                    style::bad(state)
                );
                line(out, &text);
                line(out, &format!("  call {call} with {}", shown(Some(arguments))));
                line(
                    out,
                    &format!(
                        "  add one to the list {}",
                        style::good(&format!("\"tasks\": {{{name}: […]}}"))
                    ),
                );
            }
        }
        Difference::Unused { task, scripted, used } => {
            line(
                out,
                &format!(
                    "{} of the {scripted} results of {} are not used",
                    scripted - used,
                    style::bad(task)
                ),
            );
            line(out, "  take them away, or see why the call is not made");
        }
        Difference::NoSuchTask { task, meant } => {
            line(
                out,
                &format!(
                    "\"tasks\" has {}, which is no Task state and no resource here",
                    style::bad(task)
                ),
            );
            if let Some(meant) = meant {
                line(out, &format!("  did you mean {}?", style::good(meant)));
            }
        }
        Difference::Stuck { states } => {
            line(out, &format!("it waits for ever in {}", style::bad(&states.join(", "))));
            line(
                out,
                "  what it waits for never comes, and nothing times out: give the state TimeoutSeconds, or the call a result",
            );
        }
        Difference::Endless { triggers } => {
            line(out, &format!("it has not ended after {triggers} steps"));
        }
    }
}

/// The two paths side by side, the line in which they part marked.
fn write_paths(out: &mut String, expected: &[String], actual: &[String], diverges: usize) {
    let title = "expected";
    let widths = expected.iter().map(|line| line.chars().count());
    let width = widths.chain([title.len()]).max().unwrap_or_default();
    line(out, "/path");
    line(out, &format!("  {title:width$}   was"));
    for index in 0..expected.len().max(actual.len()) {
        let side = |lines: &[String]| lines.get(index).map_or("", String::as_str).to_owned();
        let (one, other) = (format!("{:width$}", side(expected)), side(actual));
        if index < diverges {
            line(out, &format!("  {one}   {other}"));
        } else {
            let mark = if index == diverges { ">" } else { " " };
            line(out, &format!("{mark} {}   {}", style::good(&one), style::bad(&other)));
        }
    }
}

pub(super) fn json(told: &Told) -> Value {
    let played = &told.played;
    json!({
        "file": told.file,
        "name": told.name,
        "passed": played.differences.is_empty(),
        "status": played.status.as_str(),
        "error": played.error.as_deref(),
        "cause": played.cause.as_deref(),
        "output": played.output.as_ref().map(|output| output.value().clone()),
        "path": played.path,
        "elapsed_seconds": seconds(played.elapsed),
        "took_ms": told.took.as_secs_f64() * 1_000.0,
        "differences": played.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}

fn difference(difference: &Difference) -> Value {
    match difference {
        Difference::Value {
            pointer,
            expected,
            actual,
        } => json!({"kind": "value", "pointer": pointer, "expected": expected, "actual": actual}),
        Difference::Path {
            expected,
            actual,
            diverges,
        } => json!({"kind": "path", "pointer": "/path", "expected": expected, "actual": actual, "diverges": diverges}),
        Difference::Elapsed {
            at_least,
            at_most,
            actual,
        } => {
            let at_most = (*at_most != TimeDelta::MAX).then(|| seconds(*at_most));
            let expected = json!({"at_least": seconds(*at_least), "at_most": at_most});
            json!({"kind": "elapsed", "pointer": "/elapsed", "expected": expected, "actual": seconds(*actual)})
        }
        Difference::Unscripted {
            state,
            resource,
            arguments,
            call,
            scripted,
        } => json!({
            "kind": "unscripted", "state": state, "resource": resource, "arguments": arguments, "call": call,
            "scripted": scripted,
        }),
        Difference::Unused { task, scripted, used } => {
            json!({"kind": "unused", "task": task, "scripted": scripted, "used": used})
        }
        Difference::NoSuchTask { task, meant } => json!({"kind": "no_such_task", "task": task, "meant": meant}),
        Difference::Stuck { states } => json!({"kind": "stuck", "states": states}),
        Difference::Endless { triggers } => json!({"kind": "endless", "triggers": triggers}),
    }
}

pub(super) fn summary(passed: usize, failed: usize, unusable: usize, took: Duration) -> String {
    let mut parts = vec![format!("{passed} passed")];
    if failed > 0 {
        parts.push(style::bad(&format!("{failed} failed")));
    }
    if unusable > 0 {
        let problems = if unusable == 1 { "problem" } else { "problems" };
        parts.push(style::bad(&format!("{unusable} {problems} in test files")));
    }
    format!("{} in {}", parts.join(", "), milliseconds(took))
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    let text = value.to_string();
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1_000.0
}

fn milliseconds(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1_000.0)
}

/// A time span as test files have it: `3 d 1 h 5.5 s`.
fn span(span: TimeDelta) -> String {
    let mut rest = span.num_milliseconds();
    let mut parts = Vec::new();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)] {
        if rest / length != 0 {
            parts.push(format!("{} {unit}", rest / length));
            rest %= length;
        }
    }
    if rest != 0 || parts.is_empty() {
        parts.push(format!("{} s", rest as f64 / 1_000.0));
    }
    parts.join(" ")
}
