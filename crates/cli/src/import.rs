//! `ticketflow import`: what `export` has written, or deliveries a line each, through the webhook.
//!
//! The same line again is the same event, which is known: so an import may be killed and repeated at any time. Its place
//! is kept only to save the time.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ticket::{Fact, Source, Texts, TicketEvent, TicketId, Time, canonical};
use tokio::task::JoinSet;

use crate::door::{Door, Recipient, Taken};
use crate::failure::{Failure, with_hint};
use crate::output::{note, say};
use crate::place;

/// Lines in flight at once.
const AT_ONCE: usize = 16;
/// How many lines are in good hands before the place is kept again.
const KEPT_EVERY: u64 = 500;
/// The longest line: what the webhook takes, and more than any ticket's facts.
const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow import docs/sample-hour.jsonl          a sample hour, made up
  ticketflow import tickets.jsonl                   what `ticketflow export` wrote
  gunzip -c tickets.jsonl.gz | ticketflow import -

A line is a ticket as `export` writes it, or the body of a delivery. What is known already changes nothing.")]
pub(crate) struct Options {
    /// The file, a line of JSON each; `-` is standard input.
    file: PathBuf,
    /// Begin with the first line, whatever an interrupted import had done.
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    recipient: Recipient,
}

/// A line of an export.
#[derive(Deserialize)]
struct Exported {
    ticket: TicketId,
    #[serde(default)]
    key: Option<ticket::IssueKey>,
    facts: Vec<Fact>,
    #[serde(default)]
    texts: Texts,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Place {
    lines: u64,
    events: u64,
    started: u64,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let door = options.recipient.door()?;
    let is_piped = options.file == Path::new("-");
    let (input, length): (Box<dyn Read>, u64) = match is_piped {
        true => (Box::new(std::io::stdin()), 0),
        false => {
            let file =
                fs::File::open(&options.file).with_context(|| format!("could not read {}", options.file.display()))?;
            let length = file.metadata().map_or(0, |metadata| metadata.len());
            (Box::new(file), length)
        }
    };
    let path = std::path::absolute(&options.file).context("there is no current folder")?;
    let place_file = place::file(
        &options.recipient.data_dir.join("imports"),
        &(path, length, &options.recipient.to),
    );
    let mut place: Place = match is_piped || options.restart {
        true => Place::default(),
        false => place::read(&place_file)?.unwrap_or_default(),
    };
    let skipped = place.lines;
    if 0 < skipped {
        note!("going on after the {skipped} lines that were imported before");
    }
    let progress = progress(length, options.recipient.json);
    let mut lines = BufReader::new(input);
    let mut in_flight = JoinSet::new();
    // Lines that were read, and the first of those that are not in good hands yet.
    let mut number = 0;
    loop {
        let mut line = String::new();
        let read = (&mut lines).take(MAX_LINE_BYTES).read_line(&mut line);
        let read = read.with_context(|| format!("could not read line {} of {}", number + 1, options.file.display()))?;
        if read == 0 {
            break;
        }
        number += 1;
        progress.inc(read as u64);
        if number <= skipped || line.trim().is_empty() {
            continue;
        }
        let line_of = format!("line {number} of {}", options.file.display());
        let bodies = bodies(&line).map_err(|error| unread(&line_of, &error))?;
        if in_flight.len() == AT_ONCE {
            settle(&mut in_flight, &mut place).await?;
        }
        let door = door.clone();
        in_flight.spawn(async move { deliver(&door, &line_of, &bodies).await });
        progress.set_message(format!("{} lines, {} events new", number, place.started));
        if number % KEPT_EVERY == 0 && !is_piped {
            // Everything up to here is in good hands before it is said to be.
            while !in_flight.is_empty() {
                settle(&mut in_flight, &mut place).await?;
            }
            place.lines = number;
            place::keep(&place_file, &place)?;
        }
    }
    while !in_flight.is_empty() {
        settle(&mut in_flight, &mut place).await?;
    }
    place.lines = number;
    progress.finish_and_clear();
    place::forget(&place_file)?;
    let Place { lines, events, started } = place;
    if options.recipient.json {
        say!("{}", json!({ "lines": lines, "events": events, "new": started }));
    } else {
        say!("{lines} lines imported, {events} events, {started} of them new");
    }
    Ok(ExitCode::SUCCESS)
}

/// The deliveries that a line comes to.
fn bodies(line: &str) -> anyhow::Result<Vec<Value>> {
    if MAX_LINE_BYTES <= line.len() as u64 {
        bail!("it is longer than {MAX_LINE_BYTES} bytes");
    }
    let value: Value = serde_json::from_str(line).context("it is not JSON, an object a line")?;
    if value.get("facts").is_none() {
        return match value {
            Value::Object(_) => Ok(vec![value]),
            _ => bail!("it is neither a ticket of an export nor a delivery"),
        };
    }
    let exported: Exported = serde_json::from_value(value).context("it is no ticket of an export")?;
    let seen = [&exported.texts.summary, &exported.texts.description];
    let observed = seen.into_iter().flatten().map(|seen| seen.observed).max();
    let like = TicketEvent {
        site: exported.ticket.site,
        issue: exported.ticket.issue,
        key: exported.key,
        // Each fact and each text has its own time; this one is nobody's evidence.
        observed: observed
            .map_or_else(|| Time::from_millis(0), Ok)
            .context("the epoch is a time")?,
        source: Source::Copy,
        facts: Vec::new(),
        texts: Texts::default(),
        authors: BTreeMap::new(),
    };
    let events = canonical::events(&like, &exported.facts, &exported.texts);
    Ok(events.iter().map(canonical::body).collect())
}

/// Delivers what a line comes to, one after the other; how many there were and how many were new.
async fn deliver(door: &Door, line: &str, bodies: &[Value]) -> anyhow::Result<(u64, u64)> {
    let mut started = 0;
    for body in bodies {
        let taken = door.deliver(body).await.map_err(|error| match error.is::<Failure>() {
            // Nothing is wrong with the line: nobody was there to take it.
            true => error.context(line.to_owned()),
            false => unread(line, &error),
        })?;
        started += u64::from(taken == Taken::Started);
    }
    Ok((bodies.len() as u64, started))
}

/// That nobody can read a line, and what to do.
fn unread(line: &str, error: &anyhow::Error) -> anyhow::Error {
    with_hint(
        format!("{line}: {error:#}"),
        "mend that line or remove it, and import the file again: what is known already changes nothing",
    )
}

async fn settle(in_flight: &mut JoinSet<anyhow::Result<(u64, u64)>>, place: &mut Place) -> anyhow::Result<()> {
    if let Some(done) = in_flight.join_next().await {
        let (events, started) = done.context("a line was given up")??;
        place.events += events;
        place.started += started;
    }
    Ok(())
}

fn progress(length: u64, hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let (template, bar) = match length {
        0 => ("{spinner} {msg}  {elapsed}", ProgressBar::no_length()),
        length => (
            "{bar:32} {percent} %  {msg}  {binary_bytes_per_sec}  {eta} left",
            ProgressBar::new(length),
        ),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template of the progress bar is right"))
}
