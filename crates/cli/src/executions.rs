//! `ticketflow executions`: what ran, and how far it came.

use std::process::ExitCode;

use serde_json::Value;

use crate::client::{Client, segment};
use crate::list::{Length, Shown};
use crate::output::say;
use crate::{Target, style};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow executions
  ticketflow executions --status FAILED --all --json      one a line
  ticketflow executions SHOP-1-4f2a…                   one, step by step")]
pub(crate) struct Options {
    /// An execution's name; without it, a list.
    name: Option<String>,
    /// Only those in this status.
    #[arg(long, value_parser = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "REJECTED"])]
    status: Option<String>,
    #[command(flatten)]
    length: Length,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let client = Client::new(&options.target)?;
    if let Some(name) = &options.name {
        let execution = client.get(&format!("/executions/{}", segment(name))).await?;
        if options.target.json {
            say!("{execution:#}");
        } else {
            show(&execution);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let status = options.status.as_deref();
    let shown = walk(&options.length, &client, status, |execution| {
        match options.target.json {
            true => say!("{execution}"),
            false => row(execution),
        }
    });
    shown.await?.note(&options.target, || {
        status.map_or_else(
            || "No executions.".to_owned(),
            |status| format!("No executions are {status}."),
        )
    });
    Ok(ExitCode::SUCCESS)
}

/// Gives so many of the executions, of all or of those in a status, to `each`.
pub(crate) async fn walk(
    length: &Length,
    client: &Client,
    status: Option<&str>,
    each: impl FnMut(&Value),
) -> anyhow::Result<Shown> {
    let path = status.map_or_else(
        || "/executions".to_owned(),
        |status| format!("/executions?status={status}"),
    );
    length.walk(client, &path, "executions", each).await
}

/// Its ticket, and what else than that ticket's own workflow it is.
fn about(execution: &Value) -> String {
    let ticket = execution["ticket"].as_str().map(|ticket| format!("ticket {ticket}"));
    let machine = execution["machine"]
        .as_str()
        .filter(|machine| *machine != "ticket_lifecycle");
    let said: Vec<String> = machine.map(str::to_owned).into_iter().chain(ticket).collect();
    if said.is_empty() {
        "-".to_owned()
    } else {
        said.join(" of ")
    }
}

fn row(execution: &Value) {
    let text = |field: &str| execution[field].as_str().unwrap_or("-");
    say!(
        "{}  {:24}  {}  {}{}",
        style::status(text("status"), 9),
        text("started_at"),
        text("name"),
        about(execution),
        execution["error"]
            .as_str()
            .map_or_else(String::new, |error| format!("  {error}")),
    );
}

fn show(execution: &Value) {
    let text = |field: &str| execution[field].as_str().unwrap_or("-");
    say!("{}  {}", style::bold(text("name")), style::status(text("status"), 0));
    say!(
        "{}, attempt {}, started {}",
        about(execution),
        execution["attempts"],
        text("started_at")
    );
    for step in execution["steps"].as_array().into_iter().flatten() {
        let text = |field: &str| step[field].as_str().unwrap_or("-");
        say!(
            "  {}  {:18} attempt {}  {} {}",
            style::status(text("status"), 9),
            text("name"),
            step["attempt"],
            text("started_at"),
            step["error"].as_str().unwrap_or_default(),
        );
    }
    if let Some(error) = execution["error"].as_str() {
        say!("{error}: {}", text("cause"));
    }
}
