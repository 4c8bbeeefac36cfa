//! `ticketflow deliveries`: what came to the webhook and could not be read.

use std::process::ExitCode;

use serde_json::Value;

use crate::Target;
use crate::client::{Client, segment};
use crate::output::{note, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow deliveries                                     the newest first
  ticketflow deliveries 9f86d081884c7d659a2feaa0c55ad015    one with its body")]
pub(crate) struct Options {
    /// A delivery's id; without it, a list.
    id: Option<String>,
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
    let (mut listed, mut cursor) = (0, String::new());
    loop {
        let page = client.get(&format!("/deliveries?outcome=rejected{cursor}")).await?;
        for delivery in page["items"].as_array().into_iter().flatten() {
            listed += 1;
            match options.target.json {
                true => say!("{delivery}"),
                false => row(delivery),
            }
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    if listed == 0 && !options.target.json {
        note!("Nothing was rejected in the last 14 days.");
    }
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
