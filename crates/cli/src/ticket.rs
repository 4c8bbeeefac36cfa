//! `ticketflow ticket`: one ticket, in words.

use std::process::ExitCode;

use chrono::TimeDelta;
use serde_json::Value;

use crate::client::{Client, segment};
use crate::output::say;
use crate::{Target, style};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow ticket SHOP-1
  ticketflow ticket 'example.atlassian.net~10001' --json")]
pub(crate) struct Options {
    /// The ticket's key, or its id (site~issue id).
    ticket: String,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let client = Client::new(&options.target)?;
    let ticket = client.get(&format!("/tickets/{}", segment(&options.ticket))).await?;
    if options.target.json {
        say!("{ticket:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let text = |field: &str| ticket[field].as_str().unwrap_or("-").to_owned();
    say!("{}  {}", style::bold(&text("key")), text("summary"));
    say!(
        "{}  {}, priority {}",
        style::status(&text("state"), 0),
        text("status"),
        text("priority")
    );
    for (label, field) in [
        ("created", "created_at"),
        ("started", "started_at"),
        ("closed", "closed_at"),
        ("deleted", "deleted_at"),
    ] {
        if let Some(moment) = ticket[field].as_str() {
            say!("{label:12} {moment}");
        }
    }
    for (label, field) in [("lead time", "duration_ms"), ("cycle time", "cycle_time_ms")] {
        if let Some(milliseconds) = ticket[field].as_i64() {
            say!("{label:12} {}", duration(milliseconds));
        }
    }
    if let Some(count) = ticket["reopen_count"].as_u64().filter(|count| *count > 0) {
        say!("{:12} {count} times", "reopened");
    }
    if let Some(flags) = ticket["flags"].as_array().filter(|flags| !flags.is_empty()) {
        let flags: Vec<&str> = flags.iter().filter_map(Value::as_str).collect();
        say!("{:12} {}", "flags", flags.join(", "));
    }
    say!(
        "{:12} {} ({})",
        "workflow",
        style::status(&text("workflow_status"), 0),
        text("last_execution")
    );
    Ok(ExitCode::SUCCESS)
}

/// Milliseconds as people say them: the two largest units.
pub(crate) fn duration(milliseconds: i64) -> String {
    let delta = TimeDelta::milliseconds(milliseconds);
    let units = [
        (delta.num_days(), "d"),
        (delta.num_hours() % 24, "h"),
        (delta.num_minutes() % 60, "min"),
        (delta.num_seconds() % 60, "s"),
    ];
    let first = units.iter().position(|(count, _)| *count > 0);
    match first {
        None => format!("{milliseconds} ms"),
        Some(first) => {
            let shown = units[first..].iter().take(2).filter(|(count, _)| *count > 0);
            shown
                .map(|(count, unit)| format!("{count} {unit}"))
                .collect::<Vec<_>>()
                .join(" ")
        }
    }
}
