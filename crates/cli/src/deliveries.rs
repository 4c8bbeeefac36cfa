//! `ticketflow deliveries`: what came to the webhook and could not be read.

use std::process::ExitCode;

use serde_json::Value;

use crate::Target;
use crate::client::{Client, segment};
use crate::list::Length;
use crate::output::{note, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow deliveries                                     the newest first
  ticketflow deliveries 9f86d081884c7d659a2feaa0c55ad015    one with its body")]
pub(crate) struct Options {
    /// A delivery's id; without it, a list.
    id: Option<String>,
    #[command(flatten)]
    length: Length,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let client = Client::new(&options.target)?;
    if let Some(id) = &options.id {
        let delivery = client.get(&format!("/deliveries/{}", segment(id))).await?;
        match options.target.json {
            true => say!("{delivery:#}"),
            false => show(&delivery),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let path = "/deliveries?outcome=rejected";
    let shown = options
        .length
        .walk(&client, path, "items", |delivery| match options.target.json {
            true => say!("{delivery}"),
            false => row(delivery),
        });
    let none = || "Nothing was rejected in the last 14 days.".to_owned();
    shown.await?.note(&options.target, none);
    Ok(ExitCode::SUCCESS)
}

fn row(delivery: &Value) {
    let text = |field: &str| delivery[field].as_str().unwrap_or("-");
    say!(
        "{}  {}  {:>3} times  {:>7} bytes  {}",
        text("received_at"),
        text("id"),
        delivery["count"],
        delivery["body_bytes"],
        text("detail"),
    );
}

fn show(delivery: &Value) {
    row(delivery);
    if let Some(sender) = delivery["user_agent"].as_str() {
        say!("sent by {sender}");
    }
    say!("{}", delivery["body"].as_str().unwrap_or_default());
    if delivery["body_cut"] == true {
        note!("This is only the beginning of the body.");
    }
}
