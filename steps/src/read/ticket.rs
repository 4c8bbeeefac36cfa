//! A ticket as API clients see it.

use serde::Serialize;
use serde_json::json;
use ticket::{Durations, Fact, Flag, Ticket, TicketId, TicketView, Time};

use super::{Read, no_such_ticket, resolve, times, unavailable};
use crate::http::{Problem, Request, Response};
use crate::store::STORED;
use crate::table::{self, Fold, Progress, Seen, Status};

/// Failed executions looked at to decide a ticket's `workflow_status`: a ticket has few, and one that counts decides.
const FAILURES: usize = 100;

/// The answer of `GET /tickets/{id}`.
#[derive(Debug, Serialize)]
struct View {
    #[serde(flatten)]
    ticket: TicketView,
    #[serde(flatten)]
    times: times::View,
    workflow_status: WorkflowStatus,
    updated_at: Option<Time>,
    last_execution: Option<String>,
    /// As of when everything that the site's JIRA knew was known here.
    last_reconciled_at: Option<Time>,
}

/// How the work on a ticket stands: derived from its executions when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum WorkflowStatus {
    Active,
    Succeeded,
    Failed,
    Rejected,
}

/// `GET /tickets/{id}?as_of=`, `id` being an id or a key.
pub(super) async fn ticket(read: &Read, request: &Request) -> Result<Response, Problem> {
    request.only_parameters(&["as_of"])?;
    let as_of = times::as_of(request)?;
    let wanted = request.path_parameter("id");
    let id = resolve(&read.table, wanted).await?;
    match view(read, &id, as_of).await.map_err(unavailable)? {
        Some(view) => Ok(Response::json(200, &view)),
        None => Err(no_such_ticket(wanted)),
    }
}

/// `GET /tickets/{id}/history`: the facts, and what follows from them.
pub(super) async fn history(read: &Read, request: &Request) -> Result<Response, Problem> {
    request.only_parameters(&[])?;
    let wanted = request.path_parameter("id");
    let id = resolve(&read.table, wanted).await?;
    let facts = read.table.stored(&id).await.map_err(unavailable)?.facts;
    if facts.is_empty() {
        return Err(no_such_ticket(wanted));
    }
    let (Seen { texts, .. }, map) = read.table.seen(&id).await.map_err(unavailable)?;
    let ticket = ticket::fold(&facts, &read.policy, &map.categories);
    let body = json!({
        "ticket": id,
        "facts": facts,
        "texts": texts,
        "history": ticket.history,
        "gaps": ticket.gaps,
        "flags": ticket.flags,
        "policy_version": ticket.policy_version,
        "map_version": ticket.map_version,
    });
    Ok(Response::json(200, &body))
}

/// Whether anything was ever said or tried about a ticket.
pub(super) async fn is_known(read: &Read, id: &TicketId) -> Result<bool, table::Error> {
    Ok(read.table.fact_count(id).await? != 0 || !read.table.statuses_of(id).await?.is_empty())
}

/// `as_of` is the moment that was asked for, if one was.
async fn view(read: &Read, id: &TicketId, as_of: Option<Time>) -> Result<Option<View>, table::Error> {
    let (fold, seen) = read.table.shown(id).await?;
    let executions = read.table.statuses_of(id).await?;
    let moment = as_of.unwrap_or_else(crate::now);
    let is_enough = |fold: &Fold| as_of.is_none_or(|as_of| fold.spent.covers(as_of));
    let (ticket, times, updated_at) = match &fold {
        Some(fold) if is_enough(fold) => {
            let times = times::View::of_fold(fold, &read.policy, moment);
            (fold.view.clone(), times, Some(fold.updated_at))
        }
        Some(fold) => {
            // The fold keeps sums only: what they were in the midst of it is in the facts.
            let told = folded(read, id, &read.table.stored(id).await?.facts).await?;
            let times = times::View::of_ticket(&told, &fold.view.durations, &read.policy, moment);
            (fold.view.clone(), times, Some(fold.updated_at))
        }
        None => {
            // No execution has come to the fold yet. What is known all the same is shown, without durations.
            let facts = read.table.stored(id).await?.facts;
            if facts.is_empty() && executions.is_empty() {
                return Ok(None);
            }
            let told = folded(read, id, &facts).await?;
            let mut ticket = TicketView::new(id, &told, &seen.texts);
            ticket.durations = Durations::default();
            let times = times::View::of_ticket(&told, &ticket.durations, &read.policy, moment);
            (ticket, times, None)
        }
    };
    let workflow_status = workflow_status(read, id, fold.as_ref(), &executions).await?;
    let last_execution = executions.first().map(|(name, _)| name.clone());
    Ok(Some(View {
        ticket: with_texts(ticket, &seen),
        times,
        workflow_status,
        updated_at,
        last_execution,
        last_reconciled_at: read.table.reconciled_at(&id.site).await?,
    }))
}

/// A ticket as its facts tell it now.
async fn folded(read: &Read, id: &TicketId, facts: &[Fact]) -> Result<Ticket, table::Error> {
    let map = read.table.map(&id.site).await?.categories;
    Ok(ticket::fold(facts, &read.policy, &map))
}

/// Adds the texts, which are not part of the fold.
fn with_texts(mut ticket: TicketView, seen: &Seen) -> TicketView {
    let (summary, description) = (seen.texts.summary(), seen.texts.description());
    if summary.into_iter().chain(description).any(|text| text.cut) {
        ticket.flags.insert(Flag::TextCut);
    }
    ticket.summary = summary.map(|text| text.value.clone());
    ticket.description = description.map(|text| text.value.clone());
    ticket
}

async fn workflow_status(
    read: &Read,
    id: &TicketId,
    fold: Option<&Fold>,
    executions: &[(String, Status)],
) -> Result<WorkflowStatus, table::Error> {
    let failed = executions.iter().filter(|(_, status)| status.is_failure());
    let failed: Vec<String> = failed.take(FAILURES).map(|(name, _)| name.clone()).collect();
    if failed.is_empty() {
        return Ok(standing(executions));
    }
    // The fold covers every fact there is, and is measured: then it covers those of every failed execution, too.
    let is_complete = match fold {
        Some(fold) if fold.is_measured => fold.fact_count == read.table.fact_count(id).await?,
        _ => false,
    };
    let failed = read.table.progresses(&failed).await?;
    Ok(
        match failed.iter().all(|progress| is_superseded(progress, is_complete)) {
            true => standing(executions),
            false => WorkflowStatus::Failed,
        },
    )
}

/// Whether what a failed execution had to do has been done by others since.
fn is_superseded(failed: &Progress, is_complete: bool) -> bool {
    let has_stored = failed.steps.iter().any(|step| step.outcome.as_deref() == Some(STORED));
    !failed.status.is_failure() || (is_complete && has_stored)
}

/// What executions, the newest first, come to when none of their failures counts.
fn standing(executions: &[(String, Status)]) -> WorkflowStatus {
    if executions.iter().any(|(_, status)| *status == Status::Running) {
        return WorkflowStatus::Active;
    }
    match executions.first() {
        Some((_, Status::Rejected)) => WorkflowStatus::Rejected,
        _ => WorkflowStatus::Succeeded,
    }
}

#[cfg(test)]
mod tests;
