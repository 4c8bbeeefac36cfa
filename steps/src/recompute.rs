//! Folds tickets again that were judged by older rules, an older policy or an older map: a page at a time, in a state
//! machine that loops, so that what is done stays done whatever is killed.
//!
//! The index by judgement is the list of what there is to do: a ticket that is folded again leaves it. So a job needs
//! no list of its own, what it has missed is found by the next one, and two jobs at once do no harm.

use serde::{Deserialize, Serialize};
use ticket::{Categories, Policy, SiteId, TicketId, Time};
use tokio::task::JoinSet;

use crate::environment::{self, Environment};
use crate::execution::{self, Executions};
use crate::names::{ErrorName, Name};
use crate::policy::{self, InForce};
use crate::step::{self, TRIES};
use crate::table::{self, Job, Outcome, Stale, Table};
use crate::timers::Timers;

/// Tickets of a page. A page ends in seconds, so that a job that is stopped has little to do again.
const PAGE: usize = 200;
/// How long a page goes on with further tickets. A ticket of ten thousand facts takes a second, and the function has
/// [`PAGE`] of them at most.
const PAGE_MS: i64 = 3_000;
/// Tickets that are folded at the same time.
const AT_ONCE: usize = 8;
/// Pages of one execution: each makes seven events of the 25,000 that a history may have. The sweep starts the next one.
const PAGES: u32 = 3_000;
/// Tickets that failed and are named in the progress.
const NAMED: usize = 10;

#[derive(Clone, Debug)]
pub struct Recompute {
    table: Table,
    policy: InForce,
    timers: Timers,
}

impl Recompute {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
            policy: environment.policy_in_force()?,
            timers: environment.timers()?,
        })
    }
}

/// What the state machine gives: its execution, and how far that is.
#[derive(Debug, Deserialize)]
pub struct Input {
    pub execution: String,
    pub started_at: Time,
    /// When the page's state was entered, by the state machine's clock.
    pub entered_at: Time,
    pub before: Output,
}

/// How far an execution is; before its first page there is nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    /// The state machine's Choice Rule looks at it.
    pub is_more: bool,
    pages: u32,
    total: Option<u64>,
    recomputed: u64,
    failed: u64,
    failures: Vec<TicketId>,
    place: Option<Place>,
}

/// Where a job goes on: in a part, after a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    part: String,
    after: String,
}

pub async fn handle(context: &Recompute, input: Input) -> Result<Output, step::Error> {
    let Input {
        execution,
        started_at,
        entered_at,
        before,
    } = input;
    let begun = crate::now();
    let policy = context.policy.get().await?;
    let mut done = Output {
        pages: before.pages + 1,
        is_more: false,
        ..before
    };
    let sites = sites(&context.table).await?;
    let parts: Vec<(Stale, &Categories)> = sites
        .iter()
        .flat_map(|(site, map)| Stale::parts(site, policy.version, map).map(move |part| (part, map)))
        .collect();
    if done.total.is_none() {
        let mut total = 0;
        for (part, _) in &parts {
            total += context.table.count_stale(part).await?;
        }
        done.total = Some(total);
    }
    let is_full = |tickets: usize| PAGE <= tickets || PAGE_MS <= crate::now().since(begun);
    let place = done.place.clone();
    // A part that is gone was that of a site that is gone; there is no such thing, and starting over would do no harm.
    let here = |place: &Place| parts.iter().position(|(part, _)| part.name() == place.part);
    let first = place.as_ref().and_then(here).unwrap_or(0);
    let mut tickets = 0;
    'parts: for (part, map) in &parts[first..] {
        loop {
            let after = done.place.as_ref().filter(|place| place.part == part.name());
            let found = context
                .table
                .stale(part, after.map(|place| place.after.as_str()), AT_ONCE)
                .await?;
            let Some(last) = found.last() else { break };
            let place = Place {
                part: part.name().to_owned(),
                after: last.key.clone(),
            };
            tickets += found.len();
            let mut folding = JoinSet::new();
            for found in found {
                let (context, map, by) = (context.clone(), (*map).clone(), execution.clone());
                folding.spawn(async move {
                    let folded = refold(&context, &map, &found.ticket, &by, entered_at).await;
                    (folded, found.ticket)
                });
            }
            while let Some(folded) = folding.join_next().await {
                match folded.expect("a fold is neither aborted nor panics") {
                    (Ok(()), _) => done.recomputed += 1,
                    (
                        Err(error @ (step::Error::Timer(_) | step::Error::Table(table::Error::Unavailable { .. }))),
                        _,
                    ) => {
                        return Err(error);
                    }
                    (Err(error), ticket) => {
                        tracing::error!(%ticket, error = crate::chain(&error), "it cannot be folded again");
                        done.failed += 1;
                        if done.failures.len() < NAMED {
                            done.failures.push(ticket);
                        }
                    }
                }
            }
            done.place = Some(place);
            if is_full(tickets) {
                done.is_more = true;
                break 'parts;
            }
        }
    }
    let is_done = !done.is_more;
    done.is_more &= done.pages < PAGES;
    let job = Job {
        execution,
        started_at,
        updated_at: crate::now(),
        policy_version: policy.version,
        total: done.total.unwrap_or_default(),
        recomputed: done.recomputed,
        failed: done.failed,
        failures: done.failures.clone(),
        is_done,
    };
    // A later job's word is left as it is.
    context.table.record_job(&job).await?;
    tracing::info!(
        recomputed = done.recomputed,
        failed = done.failed,
        total = done.total,
        is_done
    );
    Ok(done)
}

/// Every site with its map.
async fn sites(table: &Table) -> Result<Vec<(SiteId, Categories)>, table::Error> {
    let mut sites = Vec::new();
    for site in table.sites().await? {
        let map = table.map(&site).await?.categories;
        sites.push((site, map));
    }
    Ok(sites)
}

/// Folds one ticket again. Whoever is quicker has folded it by the same or a later judgement, or is behind and is tried
/// again.
///
/// `now` is a moment of the state machine's clock.
async fn refold(context: &Recompute, map: &Categories, id: &TicketId, by: &str, now: Time) -> Result<(), step::Error> {
    let Recompute { table, policy, timers } = context;
    let policy = policy.get().await?;
    for _ in 0..TRIES {
        let stored = table.stored(id).await?;
        let ticket = ticket::fold(&stored.facts, &policy, map);
        let watch = stored.fold.as_ref().map(|fold| &fold.watch);
        let timer = timers.start(id, &ticket, watch, now).await?;
        let texts = stored.fold.as_ref().map(|fold| fold.texts).unwrap_or_default();
        let written = table.refold(id, &ticket, texts, timer, by, crate::now()).await?;
        if written == Outcome::Written {
            break;
        }
    }
    Ok(())
}

/// Whether any ticket was judged by what is older than this policy and its site's map.
pub(crate) async fn is_due(table: &Table, policy: &Policy) -> Result<bool, table::Error> {
    for (site, map) in sites(table).await? {
        for part in Stale::parts(&site, policy.version, &map) {
            if !table.stale(&part, None, 1).await?.is_empty() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Why a recompute could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Table(#[from] table::Error),
    #[error(transparent)]
    Executions(#[from] execution::Error),
    #[error(transparent)]
    Policy(#[from] policy::Error),
}

impl ErrorName for Error {
    fn name(&self) -> Name {
        match self {
            Self::Table(error) => error.name(),
            Self::Executions(error) => error.name(),
            Self::Policy(error) => error.name(),
        }
    }
}

/// What became of the wish for a recompute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// Every ticket is judged as it should be.
    Current,
    Running(String),
    New(String),
}

/// Recomputes, as those know them who start one.
#[derive(Debug)]
pub(crate) struct Recomputes {
    table: Table,
    policy: InForce,
    executions: Executions,
}

impl Recomputes {
    pub(crate) fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
            policy: environment.policy_in_force()?,
            executions: environment.recomputes()?,
        })
    }

    /// Starts one, if there is anything to do and none runs.
    pub(crate) async fn start(&self, now: Time) -> Result<Started, Error> {
        let policy = self.policy.get().await?;
        if !is_due(&self.table, &policy).await? {
            return Ok(Started::Current);
        }
        let (running, _) = self.executions.list(table::Status::Running, None).await?;
        if let Some(running) = running.into_iter().next() {
            return Ok(Started::Running(running.name));
        }
        // Two that start one at the same moment start the same one.
        let name = format!("recompute-{}", now.to_string().replace([':', '.'], "-"));
        self.executions.start_with(&name, "{}").await?;
        tracing::info!(execution = name, policy = policy.version, "a recompute was started");
        Ok(Started::New(name))
    }
}
