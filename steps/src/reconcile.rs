//! Reconciliation: asks JIRA what has become of its issues, and starts an execution for whatever was never delivered.
//!
//! Webhooks get lost. What is told here comes from JIRA's changelogs and goes the way of every delivery; what is known
//! already starts nothing ([`ticket::TicketEvent::unknown_to`]).
//!
//! A run is an execution of `statemachine/reconcile.asl.json`, and its place is in that execution's state: each call of
//! this function works off one page and says where to go on, so that a run outlives whatever is killed. Where JIRA asks
//! for a pause, the state machine waits, not this function.

use std::collections::BTreeMap;
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

/// Issues on a page: compared in a second or two, well within the function's time.
const PAGE: u32 = 50;
/// Issues compared at the same time.
const AT_ONCE: usize = 8;
/// Pages of one run: with its waits they fit into the 25,000 events that an execution may have. What is left is
/// taken up by the next run.
const MAX_PAGES: u32 = 1_500;
/// How often in a row JIRA may be away before a run fails, to be seen and redriven: half a day, with the pauses below.
const MAX_FAILURES: u32 = 50;
/// Pauses when JIRA is away: doubled from the first to the last.
const FIRST_PAUSE_SECONDS: u64 = 15;
const LAST_PAUSE_SECONDS: u64 = 15 * 60;
/// The longest pause that JIRA is granted at once.
const MAX_PAUSE_SECONDS: u64 = 6 * 60 * 60;
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
    /// Everything that is open, whenever it was changed.
    Open,
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
    scope: Scope,
    as_of: Time,
    since: Time,
    cursor: Option<Cursor>,
    pages: u32,
    issues: u64,
    /// Tickets that something was missing of.
    repaired: u64,
    /// Executions that were started for them.
    events: u64,
    /// How often in a row JIRA did not answer.
    failures: u32,
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
    let run = match input {
        Input::Continue { run } => run,
        Input::Begin { wanted, as_of } => begin(context, &configured.jira.site, wanted, as_of).await?,
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
                let failures = run.failures + 1;
                Ok(Output::Wait {
                    seconds,
                    run: Run { failures, ..run },
                })
            }
        },
        Ok(run) if run.cursor.is_some() && run.pages < MAX_PAGES => Ok(Output::GoOn { run }),
        Ok(run) => finish(context, &configured.jira.site, run).await,
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

async fn begin(context: &Reconcile, site: &SiteId, wanted: Wanted, as_of: Time) -> Result<Run, Error> {
    let Wanted { scope, since } = wanted;
    let last = context.table.reconciled_at(site).await?;
    let usual = match last {
        Some(last) => last.saturating_add(-OVERLAP_MS),
        None => as_of.saturating_add(-FIRST_LOOK_MS),
    };
    Ok(Run {
        scope,
        as_of,
        since: since.map_or(usual, |since| since.min(usual)),
        cursor: None,
        pages: 0,
        issues: 0,
        repaired: 0,
        events: 0,
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
    let now = crate::now();
    let clause = match run.scope {
        Scope::Changed => jira::since(run.since),
        Scope::Open => "statusCategory != Done".to_owned(),
    };
    let jql = jira::query(&configured.jql, &[clause]);
    let categories = match run.pages {
        0 => refresh(context, &jira, &configured.jira.site, now).await?,
        _ => known(context, &configured.jira.site).await?,
    };
    let page = jira
        .search(&jql, PAGE, run.cursor.as_ref())
        .await
        .map_err(Trouble::Jira)?;
    let mut run = Run {
        pages: run.pages + 1,
        issues: run.issues + page.issues.len() as u64,
        cursor: page.next,
        failures: 0,
        ..run
    };
    let categories = Arc::new(categories);
    let mut issues = page.issues.into_iter();
    let mut at_work = JoinSet::new();
    loop {
        while at_work.len() < AT_ONCE
            && let Some(issue) = issues.next()
        {
            let (table, executions, categories) =
                (context.table.clone(), context.executions.clone(), categories.clone());
            at_work.spawn(async move { repair(&table, &executions, &issue, &categories).await });
        }
        let Some(done) = at_work.join_next().await else {
            return Ok(run);
        };
        let events = done.expect("a comparison is neither aborted nor panics")?;
        run.repaired += u64::from(0 < events);
        run.events += events;
    }
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
async fn refresh(
    context: &Reconcile,
    jira: &Jira,
    site: &SiteId,
    now: Time,
) -> Result<BTreeMap<String, Category>, Trouble> {
    let categories = jira.categories().await.map_err(Trouble::Jira)?;
    let facts: Vec<Fact> = categories
        .iter()
        .map(|(status, category)| Fact::Category {
            status: status.clone(),
            category: *category,
            observed: now,
        })
        .collect();
    let map = context.table.map(site).await?;
    context.table.teach(site, map, &facts, Teacher::Jira).await?;
    Ok(categories)
}

async fn known(context: &Reconcile, site: &SiteId) -> Result<BTreeMap<String, Category>, Trouble> {
    let map = context.table.map(site).await?.categories;
    Ok(map
        .iter()
        .map(|(status, category)| (status.to_owned(), category))
        .collect())
}

/// Starts an execution for each event of an issue that has news; how many that were.
async fn repair(
    table: &Table,
    executions: &Executions,
    issue: &Issue,
    categories: &BTreeMap<String, Category>,
) -> Result<u64, Error> {
    let events = match issue.events(categories) {
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
    let facts = table.stored(&id).await?.facts;
    let (seen, _) = table.seen(&id).await?;
    let mut started = 0;
    for event in news(&events, &facts, &seen.texts, crate::now()) {
        let name = execution::name(&event);
        match executions.start(&name, &event).await? {
            Start::Started => started += 1,
            // Its execution failed, or is about to end: the first is to be redriven, and nobody else's to repeat.
            Start::Duplicate => tracing::info!(execution = name, "what is missing was told before"),
        }
    }
    if 0 < started {
        tracing::info!(ticket = %id, events = started, "something was missing");
    }
    Ok(started)
}

async fn finish(context: &Reconcile, site: &SiteId, run: Run) -> Result<Output, Error> {
    let is_complete = run.cursor.is_none();
    if is_complete && run.scope == Scope::Changed {
        context.table.reconciled(site, run.as_of).await?;
    }
    if !is_complete {
        tracing::warn!(
            pages = run.pages,
            "JIRA has more; the next run begins where this one did"
        );
    }
    tracing::info!(
        issues = run.issues,
        repaired = run.repaired,
        events = run.events,
        "reconciled"
    );
    Ok(Output::Done { run })
}

#[cfg(test)]
mod tests;
