//! `ticketflow create-tickets`: random tickets that live plausible lives, at a rate.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::Utc;
use indicatif::{ProgressBar, ProgressStyle};
use jira::made::{Act, Disturbance, Fraction, Happening, Stories};
use jira::{Created, Jira};
use serde_json::json;
use ticket::Time;
use tokio::task::JoinSet;

use crate::door::Recipient;
use crate::fetch_tickets::connect;
use crate::output::{note, say};

/// Deliveries in flight at once: enough to keep a Ticketflow of one machine busy.
const IN_FLIGHT: usize = 16;
/// Below this the end of a pause is not waited for: timers are no finer.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const HOUR_MS: f64 = 3_600_000.0;
/// What is told of where nobody says how much, faster than the clock: a day.
const LAST_HOURS: f64 = 24.0;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow create-tickets                                   100 tickets an hour, until Ctrl-C
  ticketflow create-tickets --hours 8 --speed 480             a working day in a minute, the last hour of it now
  ticketflow create-tickets --count 1000 --hours 10 --speed 1000 --lose 0.05 --delay 0.2 --double 0.1 --seed 7
  ticketflow create-tickets --hours 1 --seed 7 --dry-run > hour.jsonl
  JIRA_TOKEN=me@example.com:… ticketflow create-tickets --jira https://example.atlassian.net --project TEST

Tickets are created as a Poisson process: after pauses whose mean is exactly what the rate asks for. Each is started,
reviewed, given another priority, closed and opened again as people do, so that there are some four deliveries a ticket.
The same seed makes the same tickets.")]
pub(crate) struct Options {
    /// Tickets an hour, on average.
    #[arg(long, default_value_t = 100.0, value_parser = number::<1, 1_000_000>)]
    rate: f64,
    /// What the tickets are drawn from; without it, every run draws others.
    #[arg(long)]
    seed: Option<u64>,
    /// How many times faster than the clock; without --hours or --count, the last 24 hours.
    #[arg(long, default_value_t = 1.0, value_parser = number::<1, 1_000_000_000>)]
    speed: f64,
    /// Stop after so many hours of the tickets' time.
    #[arg(long, value_parser = number::<1, 1_000_000>)]
    hours: Option<f64>,
    /// Stop after so many tickets.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// When the tickets' time begins; by default now, or with --speed so that it ends now.
    #[arg(long, value_name = "TIME")]
    start: Option<Time>,
    /// The project that the tickets are in.
    #[arg(long, default_value = "SHOP")]
    project: String,

    #[command(flatten)]
    recipient: Recipient,
    /// The URL of the JIRA that deliveries say they come from.
    #[arg(long, default_value = "https://made-up.example.net")]
    site: String,
    /// How many deliveries are lost, 0 to 1.
    #[arg(long, default_value = "0")]
    lose: Fraction,
    /// How many are delayed.
    #[arg(long, default_value = "0")]
    delay: Fraction,
    /// By how many minutes those are delayed on average.
    #[arg(long, default_value_t = 10.0, value_parser = number::<1, 1_000_000>)]
    delay_minutes: f64,
    /// How many come twice.
    #[arg(long, default_value = "0")]
    double: Fraction,
    /// How many come half a minute late at most, and so in another order.
    #[arg(long, default_value = "0")]
    disorder: Fraction,

    /// Create the tickets in this JIRA instead, by its REST API, with the credential in JIRA_TOKEN (email:token for
    /// Cloud, a personal access token for Data Center). JIRA dates them itself.
    #[arg(long, value_name = "URL", conflicts_with_all = ["lose", "delay", "delay_minutes", "double", "disorder", "site"])]
    jira: Option<String>,
    /// The type of the issues there.
    #[arg(long, default_value = "Task", requires = "jira")]
    issue_type: String,

    /// Print the deliveries, a line of JSON each, at once, and send nothing.
    #[arg(long, conflicts_with = "jira")]
    dry_run: bool,
}

/// A number from `LEAST` thousandths up to `MOST`: beyond, nothing is a rate or a time that anybody could see.
fn number<const LEAST: u32, const MOST: u32>(text: &str) -> Result<f64, String> {
    let least = f64::from(LEAST) / 1_000.0;
    match text.parse() {
        Ok(number) if (least..=f64::from(MOST)).contains(&number) => Ok(number),
        _ => Err(format!("'{text}' is not a number from {least} to {MOST}")),
    }
}

pub(crate) async fn run(mut options: Options) -> anyhow::Result<ExitCode> {
    // Tickets of the future are nobody's; a JIRA dates them itself.
    if options.speed != 1.0 && options.count.is_none() && options.jira.is_none() {
        options.hours.get_or_insert(LAST_HOURS);
    }
    let seed = options
        .seed
        .unwrap_or_else(|| Utc::now().timestamp_micros().unsigned_abs());
    let start = match options.start {
        Some(start) => start,
        None => {
            let span_ms = if options.speed == 1.0 { 0 } else { span(&options, seed) };
            now()?.saturating_add(-span_ms)
        }
    };
    let happenings = happenings(&options, seed, start);
    if options.dry_run {
        for (_, happening) in disturbance(&options).apply(happenings.map(|happening| (happening.at, happening)), seed) {
            say!("{}", happening.issue.delivery(&options.site));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut run = Run {
        begun: Instant::now(),
        start,
        speed: options.speed,
        progress: progress(&options),
        tickets: 0,
        deliveries: 0,
        last: start,
    };
    let work = async {
        match &options.jira {
            Some(url) => into_jira(&options, url, happenings, &mut run).await,
            None => into_ticketflow(&options, seed, happenings, &mut run).await,
        }
    };
    tokio::select! {
        done = work => done?,
        // Whoever stops it has seen enough; what was sent is sent.
        _ = tokio::signal::ctrl_c() => {}
    }
    run.progress.finish_and_clear();
    let hours = run.last.since(start) as f64 / HOUR_MS;
    if options.recipient.json {
        say!(
            "{}",
            json!({ "seed": seed, "tickets": run.tickets, "sent": run.deliveries, "hours": hours })
        );
    } else {
        let (tickets, sent) = (run.tickets, run.deliveries);
        let rate = if hours > 0.0 { tickets as f64 / hours } else { 0.0 };
        say!("{tickets} tickets in {hours:.2} h, {rate:.1} an hour; {sent} changes sent (seed {seed})");
    }
    Ok(ExitCode::SUCCESS)
}

/// What happens, until it is enough: with a count alone, that many creations; with hours, too, those tickets live on
/// until the end.
fn happenings(options: &Options, seed: u64, start: Time) -> impl Iterator<Item = Happening> + use<> {
    let end = options
        .hours
        .map(|hours| start.saturating_add((hours * HOUR_MS) as i64));
    let count = options.count;
    let is_wanted = move |happening: &Happening| count.is_none_or(|count| happening.issue.number <= count);
    Stories::new(seed, start, options.rate, &options.project)
        .take_while(move |happening| end.map_or(is_wanted(happening), |end| happening.at < end))
        .filter(is_wanted)
}

/// How long it all takes, in the tickets' own milliseconds.
fn span(options: &Options, seed: u64) -> i64 {
    if let Some(hours) = options.hours {
        return (hours * HOUR_MS) as i64;
    }
    let epoch = Time::from_millis(0).expect("the epoch is a time");
    let last = happenings(options, seed, epoch).last();
    last.map_or(0, |happening| happening.at.since(epoch))
}

fn disturbance(options: &Options) -> Disturbance {
    Disturbance {
        lost: options.lose,
        delayed: options.delay,
        mean_delay_ms: options.delay_minutes * 60_000.0,
        doubled: options.double,
        disordered: options.disorder,
    }
}

struct Run {
    begun: Instant,
    start: Time,
    speed: f64,
    progress: ProgressBar,
    tickets: u64,
    deliveries: u64,
    last: Time,
}

impl Run {
    /// Waits until it is `at` in the tickets' time.
    ///
    /// Counted from the beginning, so that what sending takes is never added to the pauses: the rate stays what it is.
    async fn until(&self, at: Time) {
        let due = Duration::from_secs_f64(at.since(self.start).max(0) as f64 / 1_000.0 / self.speed);
        let pause = due.saturating_sub(self.begun.elapsed());
        if SHORTEST_PAUSE <= pause {
            tokio::time::sleep(pause).await;
        }
    }

    fn sent(&mut self, happening: &Happening, at: Time) {
        self.deliveries += 1;
        self.last = self.last.max(at);
        if happening.act == Act::Create {
            // A creation that comes twice, or late, is one ticket.
            self.tickets = self.tickets.max(happening.issue.number);
            self.progress.set_position(self.tickets);
        }
        let hours = self.last.since(self.start) as f64 / HOUR_MS;
        let rate = if hours > 0.0 { self.tickets as f64 / hours } else { 0.0 };
        let message = format!("{:.1} an hour, {} changes sent", rate, self.deliveries);
        self.progress.set_message(message);
    }
}

async fn into_ticketflow(
    options: &Options,
    seed: u64,
    happenings: impl Iterator<Item = Happening>,
    run: &mut Run,
) -> anyhow::Result<()> {
    let door = options.recipient.door()?;
    let mut in_flight = JoinSet::new();
    for (at, happening) in disturbance(options).apply(happenings.map(|happening| (happening.at, happening)), seed) {
        run.until(at).await;
        if in_flight.len() == IN_FLIGHT
            && let Some(sent) = in_flight.join_next().await
        {
            sent.context("a delivery was given up")??;
        }
        let (door, body) = (door.clone(), happening.issue.delivery(&options.site));
        in_flight.spawn(async move { door.deliver(&body).await });
        run.sent(&happening, at);
    }
    while let Some(sent) = in_flight.join_next().await {
        sent.context("a delivery was given up")??;
    }
    Ok(())
}

async fn into_jira(
    options: &Options,
    url: &str,
    happenings: impl Iterator<Item = Happening>,
    run: &mut Run,
) -> anyhow::Result<()> {
    let jira = connect(url).await?;
    let mut created: BTreeMap<u64, Created> = BTreeMap::new();
    for happening in happenings {
        run.until(happening.at).await;
        let issue = &happening.issue;
        if happening.act == Act::Create {
            let priority = jira::made::PRIORITIES[issue.priority];
            let new = jira
                .create(
                    &options.project,
                    &options.issue_type,
                    &issue.summary,
                    &issue.description,
                    priority,
                )
                .await?;
            created.insert(issue.id, new);
        } else if let Some(created) = created.get(&issue.id) {
            change(&jira, created, &happening, run).await?;
        }
        run.sent(&happening, happening.at);
    }
    Ok(())
}

/// Does in JIRA what happened in the story, as far as the issue's workflow there allows it.
async fn change(jira: &Jira, created: &Created, happening: &Happening, run: &Run) -> anyhow::Result<()> {
    match happening.act {
        Act::Create => {}
        Act::Prioritise(to) => jira.prioritise(&created.id, jira::made::PRIORITIES[to]).await?,
        Act::Transition(status) => {
            let transitions = jira.transitions(&created.id).await?;
            let named = transitions.iter().find(|transition| transition.to.name == status.name);
            let alike = || {
                transitions
                    .iter()
                    .find(|transition| transition.to.status_category.key == status.category)
            };
            match named.or_else(alike) {
                Some(transition) => jira.transition(&created.id, transition).await?,
                None => run.progress.suspend(|| {
                    note!(
                        "{}: its workflow has no step to {} now; it stays where it is",
                        created.key,
                        status.name
                    );
                }),
            }
        }
    }
    Ok(())
}

fn progress(options: &Options) -> ProgressBar {
    if options.recipient.json {
        return ProgressBar::hidden();
    }
    let expected = match (options.count, options.hours) {
        (Some(count), _) => Some(count),
        (None, Some(hours)) => Some((hours * options.rate) as u64),
        (None, None) => None,
    };
    let (template, bar) = match expected {
        Some(expected) => (
            "{bar:32} {pos}/{len} tickets  {msg}  {eta} left",
            ProgressBar::new(expected),
        ),
        None => ("{spinner} {pos} tickets  {msg}  {elapsed}", ProgressBar::no_length()),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template of the progress bar is right"))
}

fn now() -> anyhow::Result<Time> {
    Time::try_from(Utc::now()).context("the clock stands outside the years 1 to 9999")
}

#[cfg(test)]
mod tests;
