//! Reconciliation: asks JIRA what has become of its issues, and starts an execution for whatever was never delivered.
//!
//! Webhooks get lost. What is told here comes from JIRA's changelogs and goes the way of every delivery; what is known
//! already starts nothing ([`ticket::news()`]). The daily run also looks for what is open here and not there: what was
//! deleted, moved to where it is not looked for, or closed, and nobody said so.
//!
//! A run is an execution of `statemachine/reconcile.asl.json`, and its place is in that execution's state: each call of
//! this function works off one page and says where to go on, so that a run outlives whatever is killed. Where JIRA asks
//! for a pause, the state machine waits, not this function.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jira::{Credential, Cursor, Issue, Jira, Patience};
use serde::{Deserialize, Serialize};
use ticket::categories::Teacher;
use ticket::fact::Category;
use ticket::{Fact, SiteId, TicketEvent, Time, news};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::environment::{self, Environment, JiraSite};
use crate::execution::{self, Executions, Start};
use crate::names::{ErrorName, Name};
use crate::secret::Secret;
use crate::table::{self, Table};

mod missing;

/// Issues on a page: compared in a second or two, well within the function's time.
const PAGE: u32 = 50;
/// Issues compared at the same time.
const AT_ONCE: usize = 8;
/// Calls of one execution: with a Wait after each they fit into the 25,000 events that it may have, and leave room for
/// what Lambda has to try again. What is left is taken up by the next run.
const MAX_CALLS: u32 = 2_000;
/// How often in a row JIRA may be away before a run fails, to be seen and redriven: half a day, with the pauses below.
const MAX_FAILURES: u32 = 50;
/// Pauses when JIRA is away: doubled from the first to the last.
const FIRST_PAUSE_SECONDS: u64 = 15;
const LAST_PAUSE_SECONDS: u64 = 15 * 60;
/// The longest pause that JIRA is granted at once.
const MAX_PAUSE_SECONDS: u64 = 6 * 60 * 60;
/// How long a run counts as under way that is not heard of: longer than a call with all its retries takes.
const TURN_MS: i64 = 15 * 60 * 1_000;
/// How far back a site's first run looks. What is older is `ticketflow fetch-tickets`' to bring.
const FIRST_LOOK_MS: i64 = 24 * 60 * 60 * 1_000;
/// How far before the last run the next one begins: what JIRA's index, or another clock, was late with.
const OVERLAP_MS: i64 = 10 * 60 * 1_000;

#[derive(Debug)]
pub struct Reconcile {
    table: Table,
    executions: Executions,
    jira: Option<Configured>,
}

#[derive(Debug)]
struct Configured {
    jira: JiraSite,
    /// Which of its issues.
    jql: String,
    token: Secret,
    /// Connected once for many calls.
    connection: Mutex<Option<Jira>>,
}

impl Reconcile {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        let configured = |jira| -> Result<_, environment::Error> {
            Ok(Configured {
                jira,
                jql: environment.jql()?,
                token: environment.jira_token()?,
                connection: Mutex::default(),
            })
        };
        Ok(Self {
            table: environment.table()?,
            executions: environment.executions()?,
            jira: environment.jira()?.map(configured).transpose()?,
        })
    }
}

/// Which tickets a run looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// What was changed since the run before.
    Changed,
    /// Everything that is open, there or here, whenever it was changed.
    Open,
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Open => "open",
        }
    }
}

/// What the state machine gives: at first what to look at, then what the call before answered.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Input {
    Continue {
        run: Run,
    },
    Begin {
        wanted: Wanted,
        /// As of when: the execution's start.
        as_of: Time,
        /// The execution's name.
        by: String,
    },
}

/// What an execution is started with.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    scope: Scope,
    /// Further back than the run before, where somebody knows better.
    #[serde(default)]
    since: Option<Time>,
}

/// Where a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The execution that it is.
    by: String,
    scope: Scope,
    as_of: Time,
    since: Time,
    /// The site that the issues are of, once JIRA has said it.
    site: Option<SiteId>,
    stage: Stage,
    /// Of this execution.
    calls: u32,
    pages: u32,
    issues: u64,
    /// Tickets that something was missing of.
    repaired: u64,
    /// Executions that were started for them.
    events: u64,
    /// Tickets that JIRA has not any more.
    missed: u64,
    /// How often in a row JIRA did not answer.
    failures: u32,
}

/// What a run goes through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// What JIRA lists, from its beginning or from a place on.
    Theirs {
        cursor: Option<Cursor>,
    },
    /// What is open here: whether it is in JIRA, too.
    Ours {
        after: Option<String>,
    },
    Over,
}

/// What comes next.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "next", rename_all = "snake_case")]
pub enum Output {
    GoOn {
        run: Run,
    },
    Wait {
        seconds: u64,
        run: Run,
    },
    Done {
        run: Run,
    },
    /// The next run of its kind goes on.
    LeftOff {
        run: Run,
    },
    /// Another run of its kind is under way: JIRA is asked for all that once.
    UnderWay,
    /// No JIRA is configured.
    Off,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("JIRA did not answer {MAX_FAILURES} times in a row")]
    Unavailable(#[source] jira::Error),
    #[error("JIRA does not give what reconciliation needs")]
    Refused(#[source] jira::Error),
    #[error(transparent)]
    Secret(#[from] crate::secret::Error),
    #[error(transparent)]
    Execution(#[from] execution::Error),
    #[error(transparent)]
    Table(#[from] table::Error),
}

impl ErrorName for Error {
    fn name(&self) -> Name {
        match self {
            Self::Unavailable(_) => Name::JiraUnavailable,
            Self::Refused(_) => Name::JiraRefused,
            Self::Secret(error) => error.name(),
            Self::Execution(error) => error.name(),
            Self::Table(error) => error.name(),
        }
    }
}

pub async fn handle(context: &Reconcile, input: Input) -> Result<Output, Error> {
    let Some(configured) = &context.jira else {
        return Ok(Output::Off);
    };
    let site = &configured.jira.site;
    let (scope, by) = match &input {
        Input::Continue { run } => (run.scope, run.by.clone()),
        Input::Begin { wanted, by, .. } => (wanted.scope, by.clone()),
    };
    if !context
        .table
        .take_turn(site, scope.name(), &by, crate::now(), TURN_MS)
        .await?
    {
        tracing::info!(scope = scope.name(), "another run of its kind is under way");
        return Ok(Output::UnderWay);
    }
    let run = match input {
        Input::Continue { run } => run,
        Input::Begin { wanted, as_of, by } => begin(context, site, wanted, as_of, by).await?,
    };
    let run = Run {
        calls: run.calls + 1,
        ..run
    };
    let was_connected = configured.connection.lock().await.is_some();
    let mut worked = page(context, configured, run.clone()).await;
    if was_connected && matches!(worked, Err(Trouble::Jira(jira::Error::Refused { .. }))) {
        // Another token may be there than the one that the connection was made with.
        *configured.connection.lock().await = None;
        worked = page(context, configured, run.clone()).await;
    }
    match worked {
        Err(Trouble::Other(error)) => Err(error),
        Err(Trouble::Jira(error)) => match pause(&error, run.failures) {
            None if error.retry_after().is_some() => Err(Error::Unavailable(error)),
            None => Err(Error::Refused(error)),
            Some(seconds) => {
                tracing::warn!(error = crate::chain(&error), seconds, "JIRA is asked again later");
                let pause_ms = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
                let turn_ms = TURN_MS.saturating_add(pause_ms);
                context
                    .table
                    .take_turn(site, scope.name(), &by, crate::now(), turn_ms)
                    .await?;
                let failures = run.failures + 1;
                Ok(Output::Wait {
                    seconds,
                    run: Run { failures, ..run },
                })
            }
        },
        Ok(run) if run.stage == Stage::Over => finish(context, site, run).await,
        Ok(run) if run.calls < MAX_CALLS => Ok(Output::GoOn { run }),
        Ok(run) => {
            let left = Run {
                calls: 0,
                ..run.clone()
            };
            context.table.leave_off(site, scope.name(), &left).await?;
            context
                .table
                .take_turn(site, scope.name(), &by, crate::now(), 0)
                .await?;
            tracing::warn!(pages = run.pages, "there is more; the next run goes on there");
            Ok(Output::LeftOff { run })
        }
    }
}

/// Seconds until another try may help; `None` if none may, or enough were made.
fn pause(error: &jira::Error, failures: u32) -> Option<u64> {
    let asked_for = error.retry_after()?.as_secs();
    let own = FIRST_PAUSE_SECONDS << failures.min(10);
    let seconds = match error {
        // JIRA knows best, and may ask as often as it likes: some page comes through in between.
        jira::Error::Throttled { .. } => asked_for,
        _ => own.min(LAST_PAUSE_SECONDS),
    };
    (failures < MAX_FAILURES).then_some(seconds.clamp(1, MAX_PAUSE_SECONDS))
}

/// Where a run begins: where the one before left off, unless somebody says how far back.
async fn begin(context: &Reconcile, site: &SiteId, wanted: Wanted, as_of: Time, by: String) -> Result<Run, Error> {
    let Wanted { scope, since } = wanted;
    if since.is_none()
        && let Some(run) = context.table.take_up::<Run>(site, scope.name()).await?
    {
        return Ok(Run { by, ..run });
    }
    let last = context.table.reconciled_at(site).await?;
    let usual = match last {
        Some(last) => last.saturating_add(-OVERLAP_MS),
        None => as_of.saturating_add(-FIRST_LOOK_MS),
    };
    Ok(Run {
        by,
        scope,
        as_of,
        since: since.map_or(usual, |since| since.min(usual)),
        site: None,
        stage: Stage::Theirs { cursor: None },
        calls: 0,
        pages: 0,
        issues: 0,
        repaired: 0,
        events: 0,
        missed: 0,
        failures: 0,
    })
}

/// What went wrong with a page: with JIRA, which may be waited for, or with anything else.
enum Trouble {
    Jira(jira::Error),
    Other(Error),
}

impl<E: Into<Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Works off a page, and gives where the run is then.
async fn page(context: &Reconcile, configured: &Configured, run: Run) -> Result<Run, Trouble> {
    let jira = connection(configured).await?;
    let categories = match run.pages {
        0 => refresh(context, &jira, crate::now()).await?,
        _ => known(context, jira.site()).await?,
    };
    let repairs = Repairs {
        table: context.table.clone(),
        executions: context.executions.clone(),
        categories: categories.into(),
    };
    let mut run = Run {
        pages: run.pages + 1,
        failures: 0,
        site: Some(jira.site().clone()),
        ..run
    };
    match run.stage {
        Stage::Theirs { ref cursor } => {
            let clause = match run.scope {
                Scope::Changed => jira::since(run.since),
                Scope::Open => "statusCategory != Done".to_owned(),
            };
            let jql = jira::query(&configured.jql, &[clause]);
            let page = jira.search(&jql, PAGE, cursor.as_ref()).await.map_err(Trouble::Jira)?;
            run.issues += page.issues.len() as u64;
            repairs.of(page.issues, &mut run).await?;
            run.stage = match (page.next, run.scope) {
                (Some(next), _) => Stage::Theirs { cursor: Some(next) },
                (None, Scope::Changed) => Stage::Over,
                (None, Scope::Open) => Stage::Ours { after: None },
            };
        }
        Stage::Ours { ref after } => {
            let looked = missing::look(&context.table, &jira, after.as_deref()).await?;
            repairs.of(looked.others, &mut run).await?;
            for event in &looked.missed {
                repairs.start(event).await?;
                tracing::warn!(ticket = %event.ticket(), "JIRA does not have it any more, and no delivery said so");
            }
            run.missed += looked.missed.len() as u64;
            run.stage = looked
                .next
                .map_or(Stage::Over, |after| Stage::Ours { after: Some(after) });
        }
        Stage::Over => {}
    }
    Ok(run)
}

async fn connection(configured: &Configured) -> Result<Jira, Trouble> {
    let mut connection = configured.connection.lock().await;
    if let Some(jira) = connection.as_ref() {
        return Ok(jira.clone());
    }
    let token = configured.token.current().await?;
    let credential = Credential::parse(&token);
    let connected = Jira::connect(&configured.jira.url, &credential, Patience::SHORT).await;
    let jira = connected.map_err(Trouble::Jira)?;
    *connection = Some(jira.clone());
    Ok(jira)
}

/// Replaces what is known of the site's statuses with what JIRA lists.
async fn refresh(context: &Reconcile, jira: &Jira, now: Time) -> Result<BTreeMap<String, Category>, Trouble> {
    let categories = jira.categories().await.map_err(Trouble::Jira)?;
    let facts: Vec<Fact> = categories
        .iter()
        .map(|(status, category)| Fact::Category {
            status: status.clone(),
            category: *category,
            observed: now,
        })
        .collect();
    let map = context.table.map(jira.site()).await?;
    context.table.teach(jira.site(), map, &facts, Teacher::Jira).await?;
    Ok(categories)
}

async fn known(context: &Reconcile, site: &SiteId) -> Result<BTreeMap<String, Category>, Trouble> {
    let map = context.table.map(site).await?.categories;
    Ok(map
        .iter()
        .map(|(status, category)| (status.to_owned(), category))
        .collect())
}

/// What it takes to tell what was never delivered.
#[derive(Clone)]
struct Repairs {
    table: Table,
    executions: Executions,
    categories: Arc<BTreeMap<String, Category>>,
}

impl Repairs {
    /// Starts an execution for each event of these issues that is news.
    async fn of(&self, issues: Vec<Issue>, run: &mut Run) -> Result<(), Error> {
        let mut issues = issues.into_iter();
        let mut at_work = JoinSet::new();
        loop {
            while at_work.len() < AT_ONCE
                && let Some(issue) = issues.next()
            {
                let own = self.clone();
                at_work.spawn(async move { own.repair(&issue).await });
            }
            let Some(done) = at_work.join_next().await else {
                return Ok(());
            };
            let events = done.expect("a comparison is neither aborted nor panics")?;
            run.repaired += u64::from(0 < events);
            run.events += events;
        }
    }

    /// How many executions an issue took.
    async fn repair(&self, issue: &Issue) -> Result<u64, Error> {
        let events = match issue.events(&self.categories) {
            Ok(events) => events,
            Err(error) => {
                // One issue that nobody can read keeps no other from being repaired.
                tracing::error!(issue = issue.name(), error = crate::chain(&error));
                return Ok(0);
            }
        };
        let Some(id) = events.first().map(TicketEvent::ticket) else {
            return Ok(0);
        };
        let facts = self.table.stored(&id).await?.facts;
        let (seen, _) = self.table.seen(&id).await?;
        let mut started = 0;
        for event in news(&events, &facts, &seen.texts, crate::now()) {
            started += u64::from(self.start(&event).await? == Start::Started);
        }
        if 0 < started {
            tracing::info!(ticket = %id, events = started, "something was missing");
        }
        Ok(started)
    }

    async fn start(&self, event: &TicketEvent) -> Result<Start, Error> {
        let name = execution::name(event);
        let start = self.executions.start(&name, event).await?;
        if start == Start::Duplicate {
            // Its execution failed, or is about to end: the first is to be redriven, and nobody else's to repeat.
            tracing::info!(execution = name, "what is missing was told before");
        }
        Ok(start)
    }
}

/// Says as of when all is known: for the site by the name that its tickets have, and by the one that is configured.
async fn finish(context: &Reconcile, configured: &SiteId, run: Run) -> Result<Output, Error> {
    if run.scope == Scope::Changed {
        let sites: BTreeSet<&SiteId> = run.site.iter().chain([configured]).collect();
        for site in sites {
            context.table.reconciled(site, run.as_of).await?;
        }
    }
    context
        .table
        .take_turn(configured, run.scope.name(), &run.by, crate::now(), 0)
        .await?;
    tracing::info!(
        issues = run.issues,
        repaired = run.repaired,
        events = run.events,
        missed = run.missed,
        "reconciled"
    );
    Ok(Output::Done { run })
}

#[cfg(test)]
mod tests;
