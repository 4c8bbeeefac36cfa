//! Histories: all changes of issues, wherever a JIRA keeps them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::{Deployment, Jira};
use crate::error::Error;
use crate::issue::Issue;

/// The fields whose changes are facts, and the text of which it matters when it was edited; JIRA filters by ten at most.
const CHANGED_FIELDS: [&str; 6] = ["status", "priority", "resolution", "project", "issuekey", "description"];
/// Changes on a page of the histories of many issues: what JIRA gives unless asked for more.
const CHANGES: u32 = 1_000;
/// Changes on a page of one issue's: the most that JIRA gives.
const OWN_CHANGES: u32 = 100;
/// Pages of histories of one page of issues: a thousand changes of these fields for each of a hundred issues.
const MAX_HISTORY_PAGES: u32 = 100;
/// A number of seconds is below this for three thousand years to come, one of milliseconds has been above it since 1973.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryPage {
    issue_change_logs: Vec<IssueHistories>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IssueHistories {
    issue_id: String,
    change_histories: Vec<Value>,
}

/// A page of one issue's changes, the oldest first.
#[derive(Deserialize)]
struct OwnPage {
    values: Vec<Value>,
    total: u64,
}

impl Jira {
    /// Issues as they were found, each with its whole history.
    pub(crate) async fn with_histories(&self, mut issues: Vec<Map<String, Value>>) -> Result<Vec<Issue>, Error> {
        match self.deployment() {
            Deployment::Cloud => {
                let id = |issue: &Map<String, Value>| issue.get("id").and_then(Value::as_str).map(str::to_owned);
                let ids: Vec<String> = issues.iter().filter_map(id).collect();
                let mut histories = self.histories(&ids).await?;
                for issue in &mut issues {
                    let own = id(issue).and_then(|id| histories.remove(&id)).unwrap_or_default();
                    issue.insert("changelog".to_owned(), json!({ "histories": own }));
                }
            }
            Deployment::DataCenter => {
                for issue in &mut issues {
                    self.complete(issue).await?;
                }
            }
        }
        Ok(issues.into_iter().map(|issue| Issue::new(issue, self)).collect())
    }

    /// The histories of issues by id. A page of them may end within an issue's.
    async fn histories(&self, ids: &[String]) -> Result<BTreeMap<String, Vec<Value>>, Error> {
        let mut histories: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        if ids.is_empty() {
            return Ok(histories);
        }
        let mut body = json!({ "issueIdsOrKeys": ids, "fieldIds": CHANGED_FIELDS, "maxResults": CHANGES });
        for _ in 0..MAX_HISTORY_PAGES {
            let page: HistoryPage = self.history_page(&mut body).await?;
            for issue in page.issue_change_logs {
                let changes = issue.change_histories.into_iter().map(in_milliseconds);
                histories.entry(issue.issue_id).or_default().extend(changes);
            }
            match page.next_page_token {
                Some(token) => body["nextPageToken"] = token.into(),
                None => return Ok(histories),
            }
        }
        Err(Error::EndlessHistory {
            limit: MAX_HISTORY_PAGES,
        })
    }

    /// Each edit of a description is told with all of the text before and after: such a page may be longer than what is
    /// read at once. Then this one and those that follow are asked for in smaller parts.
    async fn history_page(&self, body: &mut Value) -> Result<HistoryPage, Error> {
        loop {
            let wanted = body["maxResults"].as_u64().unwrap_or(1);
            match self.post("/rest/api/3/changelog/bulkfetch", body).await {
                Err(Error::TooLarge { .. }) if 1 < wanted => body["maxResults"] = (wanted / 2).into(),
                answer => return answer,
            }
        }
    }

    /// Reads the rest of a history of which an issue shows only the newest part. A Data Center too old to have the rest
    /// leaves it as it is, and its reader sees that it is not all.
    async fn complete(&self, issue: &mut Map<String, Value>) -> Result<(), Error> {
        let Some(changelog) = issue.get("changelog") else {
            return Ok(());
        };
        let shown = changelog["histories"].as_array().map_or(0, Vec::len) as u64;
        let id = issue.get("id").and_then(Value::as_str);
        let (Some(id), true) = (id, shown < changelog["total"].as_u64().unwrap_or(0)) else {
            return Ok(());
        };
        let mut histories: Vec<Value> = Vec::new();
        for _ in 0..MAX_HISTORY_PAGES {
            let start = histories.len();
            let path = format!("/rest/api/2/issue/{id}/changelog?startAt={start}&maxResults={OWN_CHANGES}");
            let page: OwnPage = match self.get(&path).await {
                Err(error) if error.is_not_found() => return Ok(()),
                page => page?,
            };
            let is_end = page.values.is_empty() || page.total <= (start + page.values.len()) as u64;
            histories.extend(page.values);
            if is_end {
                let total = histories.len();
                issue.insert(
                    "changelog".to_owned(),
                    json!({ "total": total, "histories": histories }),
                );
                return Ok(());
            }
        }
        Err(Error::EndlessHistory {
            limit: MAX_HISTORY_PAGES,
        })
    }
}

/// A history with its time in milliseconds: JIRA sends those, its documentation shows seconds.
fn in_milliseconds(mut history: Value) -> Value {
    if let Some(seconds) = history["created"]
        .as_i64()
        .filter(|time| (0..FIRST_MILLISECONDS).contains(time))
    {
        history["created"] = (seconds * 1_000).into();
    }
    history
}

#[cfg(test)]
mod tests;
