//! Searching: pages of issues with their whole histories.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use ticket::Time;
use ticket::fact::Category;

use crate::client::{Deployment, Jira};
use crate::error::Error;
use crate::issue::Issue;

/// What is asked of an issue: what facts and texts are made of, and nothing else.
const FIELDS: [&str; 10] = [
    "created",
    "description",
    "priority",
    "project",
    "resolution",
    "resolutiondate",
    "status",
    "statuscategorychangedate",
    "summary",
    "updated",
];
/// The fields whose changes are facts; JIRA filters by ten at most.
const CHANGED_FIELDS: [&str; 5] = ["status", "priority", "resolution", "project", "issuekey"];
/// Changes on a page of histories: what JIRA gives unless asked for more.
const CHANGES: u32 = 1_000;
/// Pages of histories of one page of issues: a thousand changes of the five fields for each of a hundred issues.
const MAX_HISTORY_PAGES: u32 = 100;
/// A number of seconds is below this for three thousand years to come, one of milliseconds has been above it since 1973.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// Where a search goes on. It may be kept: JIRA honours it for days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// Cloud: what it gave with the page before.
    Token(String),
    /// Data Center: how many issues to leave out.
    Start(u64),
}

/// A page of issues.
#[derive(Clone, Debug)]
pub struct Page {
    pub issues: Vec<Issue>,
    pub next: Option<Cursor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenPage {
    #[serde(default)]
    issues: Vec<Map<String, Value>>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct OffsetPage {
    #[serde(default)]
    issues: Vec<Map<String, Value>>,
    #[serde(default)]
    total: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryPage {
    #[serde(default)]
    issue_change_logs: Vec<IssueHistories>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IssueHistories {
    issue_id: String,
    #[serde(default)]
    change_histories: Vec<Value>,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

/// The JQL clause for what was changed since a moment: how many minutes ago that was, one more for the seconds.
///
/// A date in JQL would be one in the time zone that the user has chosen in their profile.
pub fn since(moment: Time, now: Time) -> String {
    let minutes = now.since(moment).max(0) / 60_000 + 2;
    format!("updated >= \"-{minutes}m\"")
}

/// The JQL of what `jql` finds, if it says anything, and `clauses` all hold for, in an order that never changes.
///
/// Pages are read one by one: ordered by what changes meanwhile, an issue could slip from one page to the one before.
pub fn query(jql: &str, clauses: &[String]) -> String {
    let own = match jql.to_ascii_lowercase().find("order by") {
        Some(order) => jql[..order].trim(),
        None => jql.trim(),
    };
    let own = (!own.is_empty()).then(|| format!("({own})"));
    let all: Vec<String> = own.into_iter().chain(clauses.iter().cloned()).collect();
    format!("{} ORDER BY created ASC", all.join(" AND "))
        .trim_start()
        .to_owned()
}

impl Jira {
    /// A page of the issues that `jql` finds, each with its whole history.
    ///
    /// Let [`query`] make the `jql`, so that pages do not shift while they are read.
    pub async fn search(&self, jql: &str, most: u32, from: Option<&Cursor>) -> Result<Page, Error> {
        match self.deployment() {
            Deployment::Cloud => self.search_by_token(jql, most, from).await,
            Deployment::DataCenter => self.search_by_offset(jql, most, from).await,
        }
    }

    async fn search_by_token(&self, jql: &str, most: u32, from: Option<&Cursor>) -> Result<Page, Error> {
        let mut body = json!({ "jql": jql, "maxResults": most, "fields": FIELDS });
        if let Some(Cursor::Token(token)) = from {
            body["nextPageToken"] = token.clone().into();
        }
        let page: TokenPage = self.post("/rest/api/3/search/jql", &body).await?;
        let id = |issue: &Map<String, Value>| issue.get("id").and_then(Value::as_str).map(str::to_owned);
        let ids: Vec<String> = page.issues.iter().filter_map(id).collect();
        let mut histories = self.histories(&ids).await?;
        let with_history = |mut issue: Map<String, Value>| {
            let own = id(&issue).and_then(|id| histories.remove(&id)).unwrap_or_default();
            issue.insert("changelog".to_owned(), json!({ "histories": own }));
            Issue::new(issue)
        };
        Ok(Page {
            issues: page.issues.into_iter().map(with_history).collect(),
            next: page.next_page_token.map(Cursor::Token),
        })
    }

    /// The histories of issues by id. A page of them may end within an issue's.
    async fn histories(&self, ids: &[String]) -> Result<BTreeMap<String, Vec<Value>>, Error> {
        let mut histories: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        if ids.is_empty() {
            return Ok(histories);
        }
        let mut body = json!({ "issueIdsOrKeys": ids, "fieldIds": CHANGED_FIELDS, "maxResults": CHANGES });
        for _ in 0..MAX_HISTORY_PAGES {
            let page: HistoryPage = self.post("/rest/api/3/changelog/bulkfetch", &body).await?;
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

    async fn search_by_offset(&self, jql: &str, most: u32, from: Option<&Cursor>) -> Result<Page, Error> {
        let start = match from {
            Some(Cursor::Start(start)) => *start,
            _ => 0,
        };
        let body = json!({ "jql": jql, "startAt": start, "maxResults": most, "fields": FIELDS,
                           "expand": ["changelog"] });
        let page: OffsetPage = self.post("/rest/api/2/search", &body).await?;
        let end = start + page.issues.len() as u64;
        Ok(Page {
            next: (start < end && end < page.total).then_some(Cursor::Start(end)),
            issues: page.issues.into_iter().map(Issue::new).collect(),
        })
    }

    /// How many issues `jql` finds; on Cloud about so many.
    pub async fn count(&self, jql: &str) -> Result<u64, Error> {
        match self.deployment() {
            Deployment::Cloud => {
                let path = "/rest/api/3/search/approximate-count";
                let count: Count = self.post(path, &json!({ "jql": jql })).await?;
                Ok(count.count)
            }
            Deployment::DataCenter => {
                let body = json!({ "jql": jql, "maxResults": 0 });
                let page: OffsetPage = self.post("/rest/api/2/search", &body).await?;
                Ok(page.total)
            }
        }
    }

    /// The category of every status, by status id.
    pub async fn categories(&self) -> Result<BTreeMap<String, Category>, Error> {
        let path = "/rest/api/2/status";
        let answer = self.ask(reqwest::Method::GET, path, None).await?;
        ticket::jira::read_categories(&answer).map_err(|source| Error::Issue {
            path: path.to_owned(),
            source,
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
