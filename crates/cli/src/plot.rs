//! `ticketflow plot`: tickets per minute of an hour, as a picture or as text.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::Target;
use crate::client::{Client, segment};
use crate::output::{note, say};

mod svg;
mod text;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow plot                                                   the current hour, as text
  ticketflow plot --hour 2026-11-21T07:00Z --by closed -o closed.svg
  ticketflow plot --hour 2026-11-21T07:00Z --priority High,Highest --histogram -o histogram.svg

Without --histogram there is a bar a minute, in the colours of the priorities. With it, a bar for each number of tickets
says in how many minutes there were so many.")]
pub(crate) struct Options {
    /// The hour, by any minute of it; the current one, unless you say.
    #[arg(long, value_name = "TIME", value_parser = hour)]
    hour: Option<String>,
    /// What is counted.
    #[arg(long, value_parser = ["created", "closed"], default_value = "created")]
    by: String,
    /// Which priorities, separated by commas; those of the policy, unless you say.
    #[arg(long, value_name = "NAME,…")]
    priority: Option<String>,
    /// Show how often which number of tickets came in a minute.
    #[arg(long)]
    histogram: bool,
    /// Write the picture into this file, as SVG.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// A moment, in the form that the API takes; seconds may be left out.
fn hour(text: &str) -> Result<String, String> {
    let with_seconds = text.strip_suffix(['Z', 'z']).map(|rest| format!("{rest}:00Z"));
    let candidates = [Some(text.to_owned()), with_seconds];
    let read = candidates
        .into_iter()
        .flatten()
        .find_map(|text| text.parse::<ticket::Time>().ok());
    let time = read.ok_or_else(|| format!("'{text}' is not a time such as 2026-11-21T07:00Z"))?;
    Ok(format!("{}:00:00Z", &time.to_string()[..13]))
}

/// The answer of `GET /metrics/tickets-per-minute`, as far as it is drawn.
#[derive(Deserialize)]
pub(crate) struct PerMinute {
    hour: String,
    by: String,
    total: u64,
    totals: std::collections::BTreeMap<String, u64>,
    /// What a bound left out.
    cut: Option<Value>,
    minutes: Vec<Minute>,
}

#[derive(Deserialize)]
pub(crate) struct Minute {
    minute: String,
    provisional: bool,
    count: u64,
    counts: std::collections::BTreeMap<String, u64>,
}

/// What is drawn: bars, stacked of series.
#[derive(Debug, PartialEq)]
pub(crate) struct Chart {
    title: String,
    across: &'static str,
    up: &'static str,
    /// Names, in the order of the stack from the bottom up.
    series: Vec<String>,
    bars: Vec<Bar>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Bar {
    label: String,
    /// A height a series.
    parts: Vec<u64>,
    /// More may come.
    provisional: bool,
}

impl Bar {
    fn height(&self) -> u64 {
        self.parts.iter().sum()
    }
}

impl Chart {
    /// A bar a minute.
    pub(crate) fn of_minutes(counted: &PerMinute) -> Self {
        let series = by_urgency(counted.totals.keys());
        let bar = |minute: &Minute| Bar {
            label: minute.minute[11..16].to_owned(),
            parts: series
                .iter()
                .map(|name| minute.counts.get(name).copied().unwrap_or(0))
                .collect(),
            provisional: minute.provisional,
        };
        let bars = counted.minutes.iter().map(bar).collect();
        Self {
            title: title(counted, "tickets per minute"),
            across: "minute (UTC)",
            up: "tickets",
            series,
            bars,
        }
    }

    /// A bar for each number of tickets, up to the highest there was: in how many minutes there were so many.
    pub(crate) fn of_counts(counted: &PerMinute) -> Self {
        let highest = counted.minutes.iter().map(|minute| minute.count).max().unwrap_or(0);
        let bars = (0..=highest).map(|count| {
            let minutes = counted.minutes.iter().filter(|minute| minute.count == count);
            Bar {
                label: count.to_string(),
                parts: vec![minutes.count() as u64],
                provisional: false,
            }
        });
        Self {
            title: title(counted, "minutes by their number of tickets"),
            across: "tickets in a minute",
            up: "minutes",
            series: vec!["minutes".to_owned()],
            bars: bars.collect(),
        }
    }

    fn highest(&self) -> u64 {
        self.bars.iter().map(Bar::height).max().unwrap_or(0)
    }

    /// Of a series over all bars.
    fn total(&self, series: usize) -> u64 {
        self.bars.iter().filter_map(|bar| bar.parts.get(series)).sum()
    }
}

fn title(counted: &PerMinute, what: &str) -> String {
    let hour = counted.hour.get(..13).unwrap_or(&counted.hour).replace('T', " ");
    let more = if counted.cut.is_some() { ", and more" } else { "" };
    format!("{hour}:00 UTC, {what} ({}, {} in all{more})", counted.by, counted.total)
}

/// JIRA's own priorities in their order, then the others by name.
fn by_urgency<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    const KNOWN: [&str; 9] = [
        "blocker", "highest", "critical", "high", "major", "medium", "minor", "low", "lowest",
    ];
    let mut names: Vec<String> = names.cloned().collect();
    let place = |name: &str| {
        KNOWN
            .iter()
            .position(|known| *known == name.to_lowercase())
            .unwrap_or(KNOWN.len())
    };
    names.sort_by(|a, b| (place(a), a).cmp(&(place(b), b)));
    names
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let client = Client::new(&options.target)?;
    let mut path = format!("/metrics/tickets-per-minute?by={}", options.by);
    for (name, value) in [("hour", &options.hour), ("priority", &options.priority)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    let answer: Value = client.get(&path).await?;
    let counted: PerMinute = serde_json::from_value(answer.clone()).context("the answer is not tickets per minute")?;
    let chart = match options.histogram {
        true => Chart::of_counts(&counted),
        false => Chart::of_minutes(&counted),
    };
    if let Some(file) = &options.output {
        fs::write(file, svg::draw(&chart)).with_context(|| format!("could not write {}", file.display()))?;
        note!("{}: {}", file.display(), chart.title);
    }
    match &options.output {
        _ if options.target.json => say!("{answer:#}"),
        Some(_) => {}
        None => say!("{}", text::draw(&chart)),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
