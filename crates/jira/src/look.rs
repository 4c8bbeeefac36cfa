//! Looking for issues that are known, and what else there is to look up.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use ticket::fact::Category;
use ticket::{IssueId, jira};

use crate::client::{Deployment, Jira};
use crate::error::Error;
use crate::issue::Issue;
use crate::search::FIELDS;

/// Issues that can be looked for at once: what Cloud takes.
pub const MOST_AT_ONCE: usize = 100;

/// Where an issue stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub project: Option<String>,
    pub is_done: bool,
}

/// What JIRA says of issues by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    pub found: BTreeMap<IssueId, Standing>,
    /// Those that it has not, or does not show; it says the same of both.
    pub missing: BTreeSet<IssueId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    issues: Vec<FoundIssue>,
    #[serde(default)]
    issue_errors: Vec<Trouble>,
}

#[derive(Deserialize)]
struct FoundIssue {
    id: IssueId,
    #[serde(default)]
    fields: Value,
}

/// An issue that is there and cannot be shown now.
#[derive(Deserialize)]
struct Trouble {
    id: Option<IssueId>,
}

impl Jira {
    /// Where issues stand; at most [`MOST_AT_ONCE`].
    pub async fn look_for(&self, ids: &BTreeSet<IssueId>) -> Result<Looked, Error> {
        if ids.is_empty() {
            return Ok(Looked::default());
        }
        let fields = ["project", "status"];
        let answer: Found = match self.deployment() {
            Deployment::Cloud => {
                let body = json!({ "issueIdsOrKeys": ids, "fields": fields });
                self.post("/rest/api/3/issue/bulkfetch", &body).await?
            }
            Deployment::DataCenter => {
                let ids_or = ids.iter().map(IssueId::as_str).collect::<Vec<_>>().join(", ");
                // Validated, one id that is not there has the whole question refused.
                let body = json!({ "jql": format!("id in ({ids_or})"), "validateQuery": false, "fields": fields,
                                   "maxResults": ids.len() });
                self.post("/rest/api/2/search", &body).await?
            }
        };
        let standing = |fields: &Value| Standing {
            project: fields["project"]["key"].as_str().map(str::to_owned),
            is_done: fields["status"]["statusCategory"]["key"] == "done",
        };
        let found: BTreeMap<_, _> = answer
            .issues
            .iter()
            .map(|issue| (issue.id.clone(), standing(&issue.fields)))
            .collect();
        let troubled: BTreeSet<_> = answer
            .issue_errors
            .into_iter()
            .filter_map(|trouble| trouble.id)
            .collect();
        let is_missing = |id: &&IssueId| !found.contains_key(*id) && !troubled.contains(*id);
        let missing = ids.iter().filter(is_missing).cloned().collect();
        Ok(Looked { found, missing })
    }

    /// An issue with its whole history; `None` if JIRA has none by this id, or does not show it to us.
    pub async fn issue(&self, id: &IssueId) -> Result<Option<Issue>, Error> {
        let path = format!("/rest/api/2/issue/{id}?fields={}&expand=changelog", FIELDS.join(","));
        let issue: Map<String, Value> = match self.get(&path).await {
            Err(error) if error.is_not_found() => return Ok(None),
            issue => issue?,
        };
        Ok(self.with_histories(vec![issue]).await?.pop())
    }

    /// Whether JIRA shows us a project.
    pub async fn shows_project(&self, key: &str) -> Result<bool, Error> {
        let path = format!("/rest/api/2/project/{key}");
        match self.ask(Method::GET, &path, None).await {
            Ok(_) => Ok(true),
            Err(Error::Refused {
                status: 401 | 403 | 404,
                ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The category of every status, by status id.
    pub async fn categories(&self) -> Result<BTreeMap<String, Category>, Error> {
        let path = "/rest/api/2/status";
        let answer = self.ask(Method::GET, path, None).await?;
        jira::read_categories(&answer).map_err(|source| Error::Issue {
            path: path.to_owned(),
            source,
        })
    }
}
