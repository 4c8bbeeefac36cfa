//! Creating issues and moving them, as somebody at JIRA's pages would.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use ticket::{IssueId, IssueKey};

use crate::client::Jira;
use crate::error::Error;

/// An issue that was created.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Created {
    pub id: IssueId,
    pub key: IssueKey,
}

/// A step that an issue's workflow allows now.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Transition {
    pub id: String,
    pub to: To,
}

/// Where a transition leads.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct To {
    pub name: String,
    pub status_category: ToCategory,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ToCategory {
    pub key: String,
}

#[derive(Deserialize)]
struct Transitions {
    #[serde(default)]
    transitions: Vec<Transition>,
}

impl Jira {
    pub async fn create(
        &self,
        project: &str,
        kind: &str,
        summary: &str,
        description: &str,
        priority: &str,
    ) -> Result<Created, Error> {
        let fields = json!({
            "project": { "key": project },
            "issuetype": { "name": kind },
            "summary": summary,
            "description": description,
            "priority": { "name": priority },
        });
        self.post("/rest/api/2/issue", &json!({ "fields": fields })).await
    }

    pub async fn transitions(&self, id: &IssueId) -> Result<Vec<Transition>, Error> {
        let path = format!("/rest/api/2/issue/{id}/transitions");
        let transitions: Transitions = self.get(&path).await?;
        Ok(transitions.transitions)
    }

    pub async fn transition(&self, id: &IssueId, transition: &Transition) -> Result<(), Error> {
        let path = format!("/rest/api/2/issue/{id}/transitions");
        let body = json!({ "transition": { "id": transition.id } });
        self.ask(Method::POST, &path, Some(&body)).await.map(|_| ())
    }

    pub async fn prioritise(&self, id: &IssueId, priority: &str) -> Result<(), Error> {
        let path = format!("/rest/api/2/issue/{id}");
        let body = json!({ "fields": { "priority": { "name": priority } } });
        self.ask(Method::PUT, &path, Some(&body)).await.map(|_| ())
    }
}
