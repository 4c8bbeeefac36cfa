//! A ticket as API clients see it.

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use ticket::{Categories, Durations, Fact, Flag, Policy, Ticket, TicketId, TicketView, Time};
use tokio::task::JoinSet;

use super::{Read, no_such_ticket, resolve, times, unavailable};
use crate::http::{Kind, Problem, Request, Response};
use crate::openapi::{example, sample};
use crate::operation::{Access, Answer, Operation, Parameter, Takes, Text};
use crate::store::STORED;
use crate::table::{self, Fold, Progress, Seen, Status, Table};

/// Failed executions looked at to decide a ticket's `workflow_status`: a ticket has few, and one that counts decides.
const FAILURES: usize = 100;
/// Tickets whose executions are asked for at the same time: as many as the SDK keeps connections busy with.
const AT_ONCE: usize = 16;

pub(crate) const ID: Text = Text {
    name: "id",
    about: "The ticket's id, `{site}~{issue id}`, or a key that it has or had.",
    example: "example.atlassian.net~10001",
};

pub(crate) const TICKET: Operation = Operation {
    route: "GET /tickets/{id}",
    id: "getTicket",
    summary: "A ticket.",
    about: "",
    access: Access::Read,
    path: Some(ID),
    headers: &[],
    query: &[Parameter {
        name: AS_OF,
        takes: Takes::Moment,
        about: "Up to when it is counted how long the ticket was where; now without it.",
    }],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "The ticket.",
        schema: SchemaGenerator::subschema_for::<View>,
        example: || example(&View::example()),
    }],
    problems: &[Kind::NoSuchTicket, Kind::AmbiguousKey],
};

const AS_OF: &str = "as_of";

/// A ticket.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Ticket")]
pub(super) struct View {
    #[serde(flatten)]
    ticket: TicketView,
    #[serde(flatten)]
    times: times::View,
    workflow_status: WorkflowStatus,
    /// When its numbers were last computed.
    updated_at: Option<Time>,
    last_execution: Option<String>,
    /// As of when everything that the site's JIRA knew was known here.
    last_reconciled_at: Option<Time>,
}

impl View {
    /// The one way in which a ticket is shown, alone and in every list.
    fn new(
        ticket: TicketView,
        seen: &Seen,
        times: times::View,
        updated_at: Option<Time>,
        workflow_status: WorkflowStatus,
        last_execution: Option<String>,
        last_reconciled_at: Option<Time>,
    ) -> Self {
        Self {
            ticket: with_texts(ticket, seen),
            times,
            workflow_status,
            updated_at,
            last_execution,
            last_reconciled_at,
        }
    }

    pub(super) fn id(&self) -> &TicketId {
        &self.ticket.id
    }

    /// A ticket that was worked on and closed.
    pub(super) fn example() -> Self {
        let (event, policy) = (sample::delivery(), Policy::default());
        let told = ticket::fold(&event.facts, &policy, &Categories::default());
        let ticket = TicketView::new(&event.ticket(), &told, &event.texts);
        Self {
            times: times::View::of_ticket(&told, &ticket.durations, &policy, event.observed.saturating_add(90)),
            ticket,
            workflow_status: WorkflowStatus::Succeeded,
            updated_at: Some(event.observed.saturating_add(90)),
            last_execution: Some(crate::execution::name(&event)),
            last_reconciled_at: None,
        }
    }
}

/// How the work on a ticket stands: derived from its executions when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum WorkflowStatus {
    Active,
    Succeeded,
    Failed,
    Rejected,
}

pub(super) async fn ticket(read: &Read, request: &Request) -> Result<Response, Problem> {
    let as_of = TICKET.query(request)?.moment(AS_OF);
    let wanted = request.path_parameter(ID.name);
    let id = resolve(&read.table, wanted).await?;
    match view(read, &id, as_of).await.map_err(unavailable)? {
        Some(view) => Ok(Response::json(200, &view)),
        None => Err(no_such_ticket(wanted)),
    }
}

/// Whether anything was ever said or tried about a ticket.
pub(super) async fn is_known(read: &Read, id: &TicketId) -> Result<bool, table::Error> {
    Ok(read.table.fact_count(id).await? != 0 || !read.table.statuses_of(id).await?.is_empty())
}

/// `as_of` is the moment that was asked for, if one was.
async fn view(read: &Read, id: &TicketId, as_of: Option<Time>) -> Result<Option<View>, table::Error> {
    let (fold, seen) = read.table.shown(id).await?;
    let executions = read.table.statuses_of(id).await?;
    let now = crate::now();
    let now = fold.as_ref().map_or(now, |fold| fold.watch.at_least(now));
    let moment = as_of.unwrap_or(now);
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
    let workflow_status = workflow_status(&read.table, id, fold.as_ref(), &executions).await?;
    let last_execution = executions.first().map(|(name, _)| name.clone());
    Ok(Some(View::new(
        ticket,
        &seen,
        times,
        updated_at,
        workflow_status,
        last_execution,
        read.table.reconciled_at(&id.site).await?,
    )))
}

/// Tickets that are folded, as in a list: the same as one by one, in their order.
pub(super) async fn views(read: &Read, shown: Vec<(TicketId, Fold, Seen)>) -> Result<Vec<View>, table::Error> {
    let as_of = crate::now();
    let mut views = Vec::with_capacity(shown.len());
    let mut reconciled = BTreeMap::new();
    for (id, ..) in &shown {
        if !reconciled.contains_key(&id.site) {
            reconciled.insert(id.site.clone(), read.table.reconciled_at(&id.site).await?);
        }
    }
    for some in shown.chunks(AT_ONCE) {
        let mut asked = JoinSet::new();
        for (index, (id, fold, _)) in some.iter().enumerate() {
            let (table, id, fold) = (read.table.clone(), id.clone(), fold.clone());
            asked.spawn(async move {
                let executions = table.statuses_of(&id).await?;
                let status = workflow_status(&table, &id, Some(&fold), &executions).await?;
                let last = executions.into_iter().next().map(|(name, _)| name);
                Ok::<_, table::Error>((index, status, last))
            });
        }
        let mut answered = Vec::with_capacity(some.len());
        while let Some(answer) = asked.join_next().await {
            answered.push(answer.expect("a question is neither aborted nor panics")?);
        }
        answered.sort_unstable_by_key(|(index, ..)| *index);
        for ((id, fold, seen), (_, workflow_status, last_execution)) in some.iter().zip(answered) {
            let updated_at = Some(fold.updated_at);
            views.push(View::new(
                fold.view.clone(),
                seen,
                times::View::of_fold(fold, &read.policy, fold.watch.at_least(as_of)),
                updated_at,
                workflow_status,
                last_execution,
                reconciled.get(&id.site).copied().flatten(),
            ));
        }
    }
    Ok(views)
}

/// A ticket as its facts tell it now.
async fn folded(read: &Read, id: &TicketId, facts: &[Fact]) -> Result<Ticket, table::Error> {
    let map = read.table.map(&id.site).await?.categories;
    Ok(ticket::fold(facts, &read.policy, &map))
}

/// Adds the texts, which are not part of the fold.
fn with_texts(mut ticket: TicketView, seen: &Seen) -> TicketView {
    let (summary, description) = (seen.texts.summary(), seen.texts.description());
    if seen.texts.is_cut() {
        ticket.flags.insert(Flag::TextCut);
    }
    ticket.summary = summary.map(|text| text.value.clone());
    ticket.description = description.map(|text| text.value.clone());
    ticket
}

async fn workflow_status(
    table: &Table,
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
        Some(fold) if fold.is_measured => fold.fact_count == table.fact_count(id).await?,
        _ => false,
    };
    let failed = table.progresses(&failed).await?;
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
