//! As much of JQL as Ticketflow asks in, and the examples of its help.

use jira::made::{Issue, PRIORITIES};
use ticket::Time;

/// The order of every search of ours.
const ORDER: &str = "ORDER BY created ASC, key ASC";

/// The issues that a query finds, ordered by creation.
pub(super) fn find<'a>(query: &str, issues: impl Iterator<Item = &'a Issue>) -> Result<Vec<Issue>, String> {
    let wanted = match query.strip_suffix(ORDER) {
        Some(wanted) => wanted,
        None if query.starts_with("id in (") => query,
        None => return Err("it is not ordered by created".to_owned()),
    };
    let clauses: Vec<Clause> = wanted
        .split(" AND ")
        .map(str::trim)
        .filter(|clause| !clause.is_empty())
        .map(Clause::parse)
        .collect::<Result<_, _>>()?;
    let mut found: Vec<Issue> = issues
        .filter(|issue| clauses.iter().all(|clause| clause.holds(issue)))
        .cloned()
        .collect();
    found.sort_by_key(|issue| (issue.created, issue.id));
    Ok(found)
}

enum Clause {
    UpdatedSince(Time),
    Ids(Vec<u64>),
    Open,
    Project(String),
    Priority(Vec<usize>),
}

impl Clause {
    fn parse(clause: &str) -> Result<Self, String> {
        let unknown = || format!("Error in the JQL Query: '{clause}' is not understood.");
        let clause = clause
            .strip_prefix('(')
            .map_or(clause, |rest| rest.trim_end_matches("))"));
        let clause = match clause.matches(')').count() > clause.matches('(').count() {
            true => clause.trim_end_matches(')'),
            false => clause,
        };
        if let Some(since) = clause.strip_prefix("updated >= ") {
            let since = since.parse().ok().and_then(|ms| Time::from_millis(ms).ok());
            return since.map(Self::UpdatedSince).ok_or_else(unknown);
        }
        if let Some(ids) = clause.strip_prefix("id in (").and_then(|ids| ids.strip_suffix(')')) {
            let ids = ids.split(',').map(|id| id.trim().parse().map_err(|_| unknown()));
            return ids.collect::<Result<_, _>>().map(Self::Ids);
        }
        if clause == "statusCategory != Done" {
            return Ok(Self::Open);
        }
        if let Some(project) = clause.strip_prefix("project = ") {
            return Ok(Self::Project(project.trim_matches('"').to_owned()));
        }
        let list = clause
            .strip_prefix("priority in (")
            .map(|list| list.trim_end_matches(')'));
        let names = list.ok_or_else(unknown)?.split(',').map(str::trim);
        let places = names.map(|name| {
            PRIORITIES
                .iter()
                .position(|priority| *priority == name)
                .ok_or_else(unknown)
        });
        places.collect::<Result<_, _>>().map(Self::Priority)
    }

    fn holds(&self, issue: &Issue) -> bool {
        match self {
            Self::UpdatedSince(since) => *since <= issue.updated,
            Self::Ids(ids) => ids.contains(&issue.id),
            Self::Open => !issue.status.is_done(),
            Self::Project(key) => issue.project == *key,
            Self::Priority(places) => places.contains(&issue.priority),
        }
    }
}
