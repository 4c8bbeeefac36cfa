//! `ticketflow recompute`: folds the tickets again that were judged by an older policy or map of categories.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::Target;
use crate::client::Client;
use crate::output::{note, say};

/// How often `--wait` looks how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow recompute                                 start one, if any ticket is behind
  ticketflow recompute --wait                          and show its progress until it is through

After a change of the template's parameter Policy, or of a status's category in JIRA, one is started within five minutes
by itself.")]
pub(crate) struct Options {
    /// Wait until it is through, and fail if it fails.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let client = Client::new(&options.target)?;
    let started = client.post("/recompute").await?;
    let Some(name) = started["execution"].as_str().filter(|_| options.wait) else {
        report(&started, options.target.json);
        return Ok(ExitCode::SUCCESS);
    };
    let progress = if options.target.json {
        ProgressBar::hidden()
    } else {
        bar()
    };
    loop {
        let job = client.get("/recompute").await?;
        // Until its first page is through, the one before is shown.
        if job["execution"] == name {
            let count = |field: &str| job[field].as_u64().unwrap_or_default();
            progress.set_length(count("total"));
            progress.set_position(count("recomputed") + count("failed"));
            if job["status"] != "RUNNING" {
                progress.finish_and_clear();
                return end(&job, options.target.json);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn report(started: &Value, json: bool) {
    match (json, started["execution"].as_str()) {
        (true, _) => say!("{started}"),
        (false, Some(name)) => say!(
            "{name} {}",
            if started["outcome"] == "running" {
                "runs already"
            } else {
                "started"
            }
        ),
        (false, None) => say!("every ticket is judged by the present policy and categories"),
    }
}

fn end(job: &Value, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        say!("{job}");
    } else {
        say!("{} tickets were folded again", job["recomputed"]);
    }
    for ticket in job["failures"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        note!("{ticket} cannot be folded again; the log says why");
    }
    if job["status"] != "SUCCEEDED" {
        bail!("the recompute is {}", job["status"]);
    }
    if job["failed"] != 0 {
        bail!("{} tickets cannot be folded again", job["failed"]);
    }
    Ok(ExitCode::SUCCESS)
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} tickets  {per_sec}  {eta} left")
        .expect("the template of the progress bar is right");
    ProgressBar::new(0).with_style(style)
}
