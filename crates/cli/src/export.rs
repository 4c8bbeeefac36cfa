//! `ticketflow export`: every ticket's facts and texts, a ticket a line, for `import` and for keeping.
//!
//! Written into a file it may be killed and started again: what is written is counted after each page, and the next run
//! goes on from there.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::Target;
use crate::client::{Client, segment};
use crate::output::{note, say};
use crate::place;

/// Tickets on a page of the list: the most that it gives.
const PAGE: usize = 200;
/// Histories read at once.
const AT_ONCE: usize = 8;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow export -o tickets.jsonl
  ticketflow export --project SHOP --state open | gzip > open.jsonl.gz

A line has all that was ever said about a ticket, so that `ticketflow import` makes the same ticket of it.")]
pub(crate) struct Options {
    /// The file to write, a line a ticket; else to standard output. An export into a file goes on where it was killed.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only tickets of this project.
    #[arg(long, value_name = "KEY")]
    project: Option<String>,
    /// Only tickets in this state.
    #[arg(long, value_parser = ["open", "closed", "deleted", "unknown"])]
    state: Option<String>,
    /// Begin anew, whatever an interrupted export into the file had written.
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    target: Target,
}

/// How far an export into a file has come.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    question: String,
    cursor: Option<String>,
    bytes: u64,
    tickets: u64,
    /// There is no further page: what is left to do is to give the file its name.
    is_whole: bool,
}

/// Where lines go.
enum Sink {
    Output,
    File { part: File, place: PathBuf },
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let client = Client::new(&options.target)?;
    let mut question = format!("/tickets?order=oldest&limit={PAGE}");
    for (name, value) in [("project", &options.project), ("state", &options.state)] {
        if let Some(value) = value {
            question.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    let (mut sink, mut place) = match &options.output {
        // Another Ticketflow has other tickets.
        Some(file) => open(file, &format!("{}{question}", options.target.url), options.restart)?,
        None => (Sink::Output, Place::default()),
    };
    if 0 < place.tickets {
        note!("going on after the {} tickets that were exported before", place.tickets);
    }
    let progress = progress(options.output.is_none());
    while !place.is_whole {
        let path = match &place.cursor {
            Some(cursor) => format!("{question}&cursor={}", segment(cursor)),
            None => question.clone(),
        };
        let page = client.get(&path).await?;
        let items = page["items"].as_array().context("the answer is no list of tickets")?;
        let lines = lines(&client, items, &progress).await?;
        place.tickets += items.len() as u64;
        place.cursor = page["next"].as_str().map(str::to_owned);
        place.is_whole = place.cursor.is_none();
        sink.write(&lines, &mut place)?;
    }
    progress.finish_and_clear();
    if let Some(file) = &options.output {
        fs::rename(part_of(file), file).with_context(|| format!("could not write {}", file.display()))?;
        if let Sink::File { place, .. } = sink {
            place::forget(&place)?;
        }
    }
    note!("{} tickets exported", place.tickets);
    Ok(ExitCode::SUCCESS)
}

/// A line for each ticket, in the order of the list.
async fn lines(client: &Client, items: &[Value], progress: &ProgressBar) -> anyhow::Result<Vec<String>> {
    let mut lines: Vec<(usize, String)> = Vec::with_capacity(items.len());
    let mut asked = JoinSet::new();
    let mut items = items.iter().enumerate();
    loop {
        while asked.len() < AT_ONCE
            && let Some((index, item)) = items.next()
        {
            let id = item["id"].as_str().context("a ticket has no id")?.to_owned();
            let key = item["key"].clone();
            let client = client.clone();
            asked.spawn(async move {
                let path = format!("/tickets/{}/history", segment(&id));
                let mut history = client.get(&path).await?;
                let mut facts = history["facts"].as_array().cloned().context("a history has facts")?;
                while let Some(next) = history["next"].as_str() {
                    history = client.get(&format!("{path}?cursor={next}")).await?;
                    facts.extend(history["facts"].as_array().cloned().context("a history has facts")?);
                }
                let line = json!({ "ticket": id, "key": key, "facts": facts, "texts": history["texts"] });
                anyhow::Ok((index, line.to_string()))
            });
        }
        let Some(line) = asked.join_next().await else { break };
        lines.push(line.context("a ticket was given up")??);
        progress.inc(1);
    }
    lines.sort_unstable_by_key(|(index, _)| *index);
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// The file's part, cut after the last page that was counted.
fn open(file: &Path, question: &str, restart: bool) -> anyhow::Result<(Sink, Place)> {
    let part = part_of(file);
    let beside = part.with_extension("place");
    let fresh = || Place {
        question: question.to_owned(),
        ..Place::default()
    };
    let kept: Option<Place> = if restart { None } else { place::read(&beside)? };
    let opened = |place: Place| -> std::io::Result<(Sink, Place)> {
        let mut part = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&part)?;
        // A part that is shorter than what was counted is another one.
        let place = match part.metadata()?.len() < place.bytes {
            true => fresh(),
            false => place,
        };
        part.set_len(place.bytes)?;
        part.seek(SeekFrom::End(0))?;
        Ok((
            Sink::File {
                part,
                place: beside.clone(),
            },
            place,
        ))
    };
    let place = kept.filter(|place| place.question == question).unwrap_or_else(fresh);
    opened(place).with_context(|| format!("could not write {}", part.display()))
}

impl Sink {
    fn write(&mut self, lines: &[String], now: &mut Place) -> anyhow::Result<()> {
        match self {
            Self::Output => lines.iter().for_each(|line| say!("{line}")),
            Self::File { part, place } => {
                let mut text = lines.join("\n");
                if !text.is_empty() {
                    text.push('\n');
                }
                let written = part.write_all(text.as_bytes()).and_then(|()| part.sync_data());
                written.context("could not write the export")?;
                now.bytes += text.len() as u64;
                place::keep(place, now)?;
            }
        }
        Ok(())
    }
}

fn progress(hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} tickets  {per_sec}  {elapsed}");
    ProgressBar::no_length().with_style(style.expect("the template of the progress bar is right"))
}

#[cfg(test)]
mod tests;
