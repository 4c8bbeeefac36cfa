//! `ticketflow fetch-tickets`: what JIRA knows and this Ticketflow does not.
//!
//! Each issue is read with its whole history, compared with the facts that the Ticketflow has, and what is new is
//! delivered through the webhook: the way of every event. So a fetch may be killed and repeated at any time; its state
//! file only saves it from asking JIRA for the same pages again.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use chrono::Utc;
use indicatif::{ProgressBar, ProgressStyle};
use jira::{Credential, Cursor, Issue, Jira, Patience, query, since};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use ticket::fact::Category;
use ticket::{Fact, Texts, TicketEvent, TicketId, Time, canonical, news};
use tokio::task::JoinSet;

use crate::client::{Client, describe, segment};
use crate::door::{Door, Recipient};
use crate::failure::with_hint;
use crate::output::{note, say};
use crate::place;

/// Issues of a page that are compared at once.
const AT_ONCE: usize = 8;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow fetch-tickets --jira https://example.atlassian.net --jql 'priority in (High, Highest)'
  ticketflow fetch-tickets --jira https://jira.example.com/jira --jql 'project = SHOP' --since 2026-11-01T00:00:00Z
  ticketflow fetch-tickets --jira https://example.atlassian.net --jql 'project = SHOP' --dry-run

JIRA_TOKEN is the credential: email:token for Cloud, a personal access token for Data Center. What was received already
is left out, so that a second fetch changes nothing. A fetch that was interrupted goes on at its last page.")]
pub(crate) struct Options {
    /// The JIRA to ask, Cloud or Data Center.
    #[arg(long, value_name = "URL", env = "JIRA_URL")]
    jira: String,
    /// Which issues; all, unless you say.
    #[arg(long, default_value = "")]
    jql: String,
    /// Only what was changed since then.
    #[arg(long, value_name = "TIME")]
    since: Option<Time>,
    #[command(flatten)]
    recipient: Recipient,
    /// Issues on a page.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100))]
    page: u32,
    /// Begin anew, whatever an interrupted fetch had done.
    #[arg(long)]
    restart: bool,
    /// Print what is new, an event a line, and deliver nothing.
    #[arg(long)]
    dry_run: bool,
}

/// How far a fetch has come: kept after each page, dropped at the end.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    cursor: Option<Cursor>,
    counts: Counts,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Counts {
    /// Issues that JIRA showed.
    fetched: u64,
    /// Those of them that had something new to tell.
    new: u64,
    /// What was delivered.
    events: u64,
    /// Issues that nobody can read.
    #[serde(default)]
    unreadable: u64,
}

/// A JIRA with the credential of the environment.
pub(crate) async fn connect(url: &str) -> anyhow::Result<Jira> {
    let token = std::env::var("JIRA_TOKEN")
        .ok()
        .filter(|token| !token.trim().is_empty());
    let token = token.ok_or_else(|| {
        with_hint(
            "no credential for JIRA: JIRA_TOKEN is not set",
            "set it to email:token for Cloud, or to a personal access token for Data Center",
        )
    })?;
    Jira::connect(url, &Credential::parse(&token), Patience::LONG)
        .await
        .map_err(|error| {
            let hint = match &error {
                jira::Error::Refused { status: 401 | 403, .. } => "is JIRA_TOKEN right? Cloud wants email:token",
                _ => "--jira is the address of JIRA's pages, such as https://example.atlassian.net",
            };
            let source = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
            with_hint(format!("{error}{source}"), hint)
        })
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    // The same question to the same JIRA for the same Ticketflow goes on where it was.
    let question = (
        &options.jira,
        &options.jql,
        options.since,
        &options.recipient.to,
        options.page,
    );
    let file = place::file(&options.recipient.data_dir.join("fetches"), &question);
    let mut place: Place = match options.restart || options.dry_run {
        true => Place::default(),
        false => place::read(&file)?.unwrap_or_default(),
    };
    if place.cursor.is_some() {
        note!(
            "going on after the {} issues that were fetched before",
            place.counts.fetched
        );
    }
    let jira = connect(&options.jira).await?;
    let clauses: Vec<String> = options.since.map(since).into_iter().collect();
    let jql = query(&options.jql, &clauses);
    let known = Arc::new(Known {
        client: options.recipient.client()?,
        door: (!options.dry_run).then(|| options.recipient.door()).transpose()?,
        categories: jira.categories().await?,
    });
    // Only for the bar: an administrator may have closed the way to count.
    let total = jira.count(&jql).await.ok();
    let progress = progress(total, options.recipient.json || options.dry_run);
    loop {
        let page = jira
            .search(&jql, options.page, place.cursor.as_ref())
            .await
            .map_err(|error| match &error {
                jira::Error::Refused { status: 400, .. } if place.cursor.is_some() => with_hint(
                    error.to_string(),
                    "JIRA may have forgotten its place, which it keeps for days: --restart begins anew",
                ),
                _ => error.into(),
            })?;
        compare(&known, page.issues, &mut place.counts, &progress).await?;
        place.cursor = page.next;
        if place.cursor.is_none() {
            break;
        }
        if !options.dry_run {
            place::keep(&file, &place)?;
        }
    }
    progress.finish_and_clear();
    if !options.dry_run {
        place::forget(&file)?;
    }
    let Counts {
        fetched,
        new,
        events,
        unreadable,
    } = place.counts;
    if options.recipient.json {
        say!(
            "{}",
            json!({ "fetched": fetched, "new": new, "events": events, "unreadable": unreadable })
        );
    } else {
        note!("{fetched} issues fetched, {new} of them with news, in {events} events");
    }
    Ok(match unreadable {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The Ticketflow that issues are compared with.
struct Known {
    client: Client,
    /// Where news goes; none in a dry run.
    door: Option<Door>,
    categories: BTreeMap<String, Category>,
}

/// What is known of a ticket.
#[derive(Default, Deserialize)]
struct History {
    facts: Vec<Fact>,
    #[serde(default)]
    texts: Texts,
    /// The cursor of the page with further facts.
    #[serde(default)]
    next: Option<String>,
}

impl Known {
    /// Delivers what an issue has to tell; how many events that was, or nothing if nobody can read it: that keeps no
    /// other from being fetched.
    async fn compare(&self, issue: Issue) -> anyhow::Result<Option<u64>> {
        let events = match issue.events(&self.categories) {
            Ok(events) => events,
            Err(error) => {
                note!("{}: {:#}", issue.name(), anyhow::Error::from(error));
                return Ok(None);
            }
        };
        let Some(ticket) = events.first().map(TicketEvent::ticket) else {
            return Ok(Some(0));
        };
        let history = self.history(&ticket).await?;
        let now = Time::try_from(Utc::now()).context("the clock stands outside the years 1 to 9999")?;
        let mut count = 0;
        for event in news(&events, &history.facts, &history.texts, now) {
            count += 1;
            let body = canonical::body(&event);
            match &self.door {
                Some(door) => {
                    door.deliver(&body)
                        .await
                        .with_context(|| format!("could not deliver {}", issue.name()))?;
                }
                None => say!("{body}"),
            }
        }
        Ok(Some(count))
    }

    async fn history(&self, ticket: &TicketId) -> anyhow::Result<History> {
        let path = format!("/tickets/{}/history", segment(&ticket.to_string()));
        let mut known = History::default();
        let mut page = path.clone();
        loop {
            let (status, answer) = self.client.send(Method::GET, &page, &[], Vec::new()).await?;
            let read: History = match status {
                StatusCode::OK => {
                    serde_json::from_slice(&answer).context("a ticket's history is not as it should be")?
                }
                StatusCode::NOT_FOUND => return Ok(History::default()),
                status => {
                    return Err(with_hint(
                        describe(status, &answer),
                        "to leave out what is known, a fetch reads each ticket's history",
                    ));
                }
            };
            known.facts.extend(read.facts);
            known.texts = read.texts;
            match read.next {
                Some(next) => page = format!("{path}?cursor={}", segment(&next)),
                None => return Ok(known),
            }
        }
    }
}

async fn compare(
    known: &Arc<Known>,
    issues: Vec<Issue>,
    counts: &mut Counts,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    let mut at_work = JoinSet::new();
    let mut issues = issues.into_iter();
    loop {
        while at_work.len() < AT_ONCE
            && let Some(issue) = issues.next()
        {
            let known = known.clone();
            at_work.spawn(async move { known.compare(issue).await });
        }
        let Some(done) = at_work.join_next().await else {
            return Ok(());
        };
        let events = done.context("a comparison was given up")??;
        counts.fetched += 1;
        counts.unreadable += u64::from(events.is_none());
        let events = events.unwrap_or(0);
        counts.new += u64::from(0 < events);
        counts.events += events;
        progress.set_position(counts.fetched);
        progress.set_message(format!("{} with news", counts.new));
    }
}

fn progress(total: Option<u64>, hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let (template, bar) = match total {
        Some(total) => (
            "{bar:32} {pos}/{len} issues  {per_sec}  {msg}  {eta} left",
            ProgressBar::new(total),
        ),
        None => (
            "{spinner} {pos} issues  {per_sec}  {msg}  {elapsed}",
            ProgressBar::no_length(),
        ),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template of the progress bar is right"))
}
