//! `ticketflow redrive`: retries from the step that failed.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;

use crate::client::{Client, segment};
use crate::list::Length;
use crate::output::{note, say};
use crate::{Target, executions};

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
#[command(after_help = "Examples:
  ticketflow redrive SHOP-1-4f2a…
  ticketflow redrive --failed                          everything that failed")]
pub(crate) struct Options {
    /// The execution's name.
    #[arg(group = "which")]
    name: Option<String>,
    /// Every failed execution.
    #[arg(long, group = "which")]
    failed: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let client = Client::new(&options.target)?;
    if let Some(name) = &options.name {
        let answer = client.post(&format!("/executions/{}/redrive", segment(name))).await?;
        if options.target.json {
            say!("{answer}");
        } else {
            say!("redriven {name}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let names = failed(&client).await?;
    let mut refused = 0;
    for name in &names {
        match client.post(&format!("/executions/{}/redrive", segment(name))).await {
            Ok(answer) if options.target.json => say!("{answer}"),
            Ok(_) => say!("redriven {name}"),
            Err(error) => {
                refused += 1;
                note!("{name}: {error:#}");
            }
        }
    }
    if refused > 0 {
        bail!("{refused} of {} executions could not be redriven", names.len());
    }
    if names.is_empty() {
        note!("Nothing has failed.");
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of all failed executions, collected before the first is redriven: redriving moves them out of the list.
async fn failed(client: &Client) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for status in ["FAILED", "TIMED_OUT", "ABORTED"] {
        let name = |execution: &Value| names.extend(execution["name"].as_str().map(str::to_owned));
        executions::walk(&Length::ALL, client, Some(status), name).await?;
    }
    Ok(names)
}
