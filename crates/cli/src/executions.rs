//! `ticketflow executions`: what ran, and how far it came.

use std::process::ExitCode;

use serde_json::Value;

use crate::client::{Client, segment};
use crate::output::{note, say};
use crate::{Target, style};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow executions
  ticketflow executions --status FAILED --json
  ticketflow executions SHOP-1-4f2a…                   one, step by step")]
pub(crate) struct Options {
    /// An execution's name; without it, a list.
    name: Option<String>,
    /// Only those in this status.
    #[arg(long, value_parser = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "REJECTED"])]
    status: Option<String>,
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
    let mut listed = 0;
    let mut cursor = None;
    loop {
        let page = page(&client, options.status.as_deref(), cursor.as_deref()).await?;
        for execution in page["executions"].as_array().into_iter().flatten() {
            listed += 1;
            if options.target.json {
                say!("{execution}");
            } else {
                row(execution);
            }
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if listed == 0 && !options.target.json {
        note!(
            "No executions{}.",
            options
                .status
                .map_or_else(String::new, |status| format!(" are {status}"))
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// One page of the list; its `next` is the cursor of the one after.
pub(crate) async fn page(client: &Client, status: Option<&str>, cursor: Option<&str>) -> anyhow::Result<Value> {
    let query: Vec<String> = [("status", status), ("cursor", cursor)]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", segment(value?))))
        .collect();
    client.get(&format!("/executions?{}", query.join("&"))).await
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
