//! What is open here, page by page: whether JIRA has it, and has it as it is here.

use std::collections::{BTreeMap, BTreeSet};

use jira::{Issue, Jira};
use ticket::{Fact, IssueId, State, Texts, TicketEvent};

use super::Trouble;
use crate::table::{By, Entry, Order, Span, Table};
use ticket::Source;

/// Tickets on a page: each may cost a request of its own.
const PAGE: usize = 50;

/// What a page of our tickets came to.
pub(super) struct Looked {
    /// Issues that are not as they are here, each with its whole history.
    pub(super) others: Vec<Issue>,
    /// That issues are not there.
    pub(super) missed: Vec<TicketEvent>,
    pub(super) next: Option<String>,
}

/// Looks for a page of our open tickets.
///
/// JIRA says the same of an issue that was deleted and of one that it hides from us. Where it hides the whole project,
/// nothing is concluded; an issue that is not there in a project that is, is missed.
pub(super) async fn look(table: &Table, jira: &Jira, after: Option<&str>) -> Result<Looked, Trouble> {
    let open = By::State(State::Open);
    let walked = table.walk(&open, Span::default(), Order::Oldest, after, PAGE).await?;
    let ours: BTreeMap<IssueId, Entry> = walked
        .entries
        .into_iter()
        .filter(|entry| entry.ticket.site == *jira.site())
        .map(|entry| (entry.ticket.issue.clone(), entry))
        .collect();
    let ids: BTreeSet<IssueId> = ours.keys().cloned().collect();
    let looked = jira.look_for(&ids).await.map_err(Trouble::Jira)?;
    let (mut others, mut missed) = (Vec::new(), Vec::new());
    let mut shown: BTreeMap<&str, bool> = BTreeMap::new();
    for (id, entry) in &ours {
        let is_alike = |standing: &jira::Standing| !standing.is_done && standing.project == entry.project;
        match looked.found.get(id) {
            Some(standing) if is_alike(standing) => continue,
            None if !looked.missing.contains(id) => continue,
            _ => {}
        }
        if let Some(issue) = jira.issue(id).await.map_err(Trouble::Jira)? {
            others.push(issue);
            continue;
        }
        let Some(project) = entry.project.as_deref() else {
            continue;
        };
        let is_shown = match shown.get(project) {
            Some(is_shown) => *is_shown,
            None => jira.shows_project(project).await.map_err(Trouble::Jira)?,
        };
        shown.insert(project, is_shown);
        if is_shown && is_open(table, entry).await? {
            missed.push(not_found(entry));
        }
    }
    Ok(Looked {
        others,
        missed,
        next: walked.next,
    })
}

/// Whether the ticket is open still: an index may be behind.
async fn is_open(table: &Table, entry: &Entry) -> Result<bool, crate::table::Error> {
    let fold = table.fold(&entry.ticket).await?;
    Ok(fold.is_some_and(|fold| fold.view.state == State::Open))
}

fn not_found(entry: &Entry) -> TicketEvent {
    let now = crate::now();
    TicketEvent {
        site: entry.ticket.site.clone(),
        issue: entry.ticket.issue.clone(),
        key: None,
        observed: now,
        source: Source::Issue,
        facts: vec![Fact::Sought { at: now, found: false }],
        texts: Texts::default(),
        authors: BTreeMap::new(),
    }
}
