//! `ticketflow tickets`: a list of tickets.

use std::process::ExitCode;

use serde_json::Value;

use crate::client::{Client, segment};
use crate::list::Length;
use crate::output::say;
use crate::{Target, style};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow tickets --state open --order oldest
  ticketflow tickets --priority High,Highest --created-from 2026-11-01T00:00:00Z
  ticketflow tickets --q 'basket checkout' --state open
  ticketflow tickets --state closed --all --json          a ticket a line")]
pub(crate) struct Options {
    /// Only those that stand so.
    #[arg(long, value_parser = ["open", "closed", "deleted", "unknown"])]
    state: Option<String>,
    /// Only those in this status of JIRA's.
    #[arg(long)]
    status: Option<String>,
    /// Only those with one of these priorities.
    #[arg(long)]
    priority: Option<String>,
    /// Only those of this project.
    #[arg(long)]
    project: Option<String>,
    /// Only those with each of these words in the summary, or a key that begins so.
    #[arg(long, value_name = "WORDS")]
    q: Option<String>,
    /// Only those created at or after this moment.
    #[arg(long, value_name = "TIME")]
    created_from: Option<String>,
    /// Only those created before this moment.
    #[arg(long, value_name = "TIME")]
    created_to: Option<String>,
    /// Only those closed at or after this moment; the list is then in the order of closing.
    #[arg(long, value_name = "TIME")]
    closed_from: Option<String>,
    /// Only those closed before this moment.
    #[arg(long, value_name = "TIME")]
    closed_to: Option<String>,
    /// Which first.
    #[arg(long, value_parser = ["newest", "oldest"], default_value = "newest")]
    order: String,
    #[command(flatten)]
    length: Length,
    #[command(flatten)]
    target: Target,
}

impl Options {
    fn query(&self) -> String {
        let filters = [
            ("state", &self.state),
            ("status", &self.status),
            ("priority", &self.priority),
            ("project", &self.project),
            ("q", &self.q),
            ("created_from", &self.created_from),
            ("created_to", &self.created_to),
            ("closed_from", &self.closed_from),
            ("closed_to", &self.closed_to),
        ];
        let given = filters
            .into_iter()
            .filter_map(|(name, value)| Some(format!("&{name}={}", segment(value.as_ref()?))));
        format!("order={}{}", self.order, given.collect::<String>())
    }
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let client = Client::new(&options.target)?;
    let path = format!("/tickets?{}", options.query());
    let shown = options
        .length
        .walk(&client, &path, "items", |ticket| match options.target.json {
            true => say!("{ticket}"),
            false => row(ticket),
        });
    shown.await?.note(&options.target, || "No tickets.".to_owned());
    Ok(ExitCode::SUCCESS)
}

fn row(ticket: &Value) {
    let text = |field: &str| ticket[field].as_str().unwrap_or("-");
    let name = ticket["key"].as_str().unwrap_or_else(|| text("id"));
    say!(
        "{:12}  {}  {:10}  {:14}  {:24}  {}",
        name,
        style::status(text("state"), 7),
        text("priority"),
        text("status"),
        text("created_at"),
        text("summary"),
    );
}
