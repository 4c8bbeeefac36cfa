//! A JIRA for tests: it serves the REST API's shapes, Cloud's or Data Center's, over issues that were made up.
//!
//! It pages, wants a credential, and can be told to throttle, to fail and to hang up.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use jira::Deployment;
use jira::made::{Issue, PRIORITIES, STATUSES, Status};
use serde_json::{Value, json};
use ticket::Time;
use tokio::net::TcpListener;

mod jql;

/// What it takes to be let in, in the form of [`jira::Credential::parse`].
pub const CLOUD_CREDENTIAL: &str = "robot@example.net:cloud-token";
pub const DATA_CENTER_CREDENTIAL: &str = "data-center-token";

/// What goes wrong, in every so many requests; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub throttle_every: u64,
    /// What `Retry-After` says then, in seconds.
    pub retry_after: u64,
    pub fail_every: u64,
    pub hang_up_every: u64,
    /// Issues on a page at most, however many are asked for.
    pub page: usize,
}

/// What it has and what it has been asked.
#[derive(Default)]
pub struct Held {
    pub issues: BTreeMap<u64, Issue>,
    pub trouble: Trouble,
    /// Paths of all requests.
    pub requests: Vec<String>,
    /// Its clock, which decides what has changed since; without one, that of the machine.
    pub now: Option<Time>,
    changelogs: u64,
}

/// A running JIRA; its end is that of the runtime it was started in.
#[derive(Clone)]
pub struct StandIn {
    pub url: String,
    pub deployment: Deployment,
    held: Arc<Mutex<Held>>,
}

/// Why a request gets no answer: the connection is closed on it.
#[derive(Debug, thiserror::Error)]
#[error("hung up")]
struct HangUp;

/// A status and a document, and the seconds of `Retry-After`.
type Answer = (u16, Value, Option<u64>);

impl StandIn {
    /// Listens on a port of its own, or on the one given.
    pub async fn start(deployment: Deployment, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let stand_in = Self {
            url: format!("http://{}", listener.local_addr()?),
            deployment,
            held: Arc::default(),
        };
        let serving = stand_in.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| serving.clone().serve(request));
                    // A connection that ends in an error is one that was hung up on.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(stand_in)
    }

    pub fn credential(&self) -> &'static str {
        match self.deployment {
            Deployment::Cloud => CLOUD_CREDENTIAL,
            Deployment::DataCenter => DATA_CENTER_CREDENTIAL,
        }
    }

    /// What it has, to look at and to change.
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nobody panics while holding it")
    }

    async fn serve(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, HangUp> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| HangUp)?.to_bytes();
        let header = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
        let path = parts.uri.path().to_owned();
        let is_let_in = match self.deployment {
            // base64 of the credential.
            Deployment::Cloud => header == Some("Basic cm9ib3RAZXhhbXBsZS5uZXQ6Y2xvdWQtdG9rZW4="),
            Deployment::DataCenter => header == Some("Bearer data-center-token"),
        };
        let count = {
            let mut held = self.held();
            held.requests.push(format!("{} {path}", parts.method));
            held.requests.len() as u64
        };
        let trouble = self.held().trouble;
        let is_due = |every: u64| every != 0 && count.is_multiple_of(every);
        let answer = if !is_let_in {
            (
                401,
                refusal("Client must be authenticated to access this resource."),
                None,
            )
        } else if is_due(trouble.throttle_every) {
            (429, refusal("Rate limit exceeded."), Some(trouble.retry_after))
        } else if is_due(trouble.fail_every) {
            (502, Value::Null, None)
        } else if is_due(trouble.hang_up_every) {
            return Err(HangUp);
        } else {
            let document = serde_json::from_slice(&body).unwrap_or_default();
            self.answer(&parts.method, &path, &document)
        };
        let Ok(response) = response(answer);
        Ok(response)
    }

    fn answer(&self, method: &Method, path: &str, body: &Value) -> Answer {
        let is_cloud = self.deployment == Deployment::Cloud;
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method.as_str(), &segments[..]) {
            ("GET", ["rest", "api", _, "serverInfo"]) => {
                let kind = if is_cloud { "Cloud" } else { "Server" };
                ok(json!({ "baseUrl": self.url, "version": "1001.0.0", "deploymentType": kind }))
            }
            ("GET", ["rest", "api", _, "status"]) => ok(STATUSES.iter().map(|status| status.json(&self.url)).collect()),
            ("POST", ["rest", "api", "3", "search", "jql"]) if is_cloud => self.search(body),
            ("POST", ["rest", "api", "3", "search", "approximate-count"]) if is_cloud => match self.found(body) {
                Ok(found) => ok(json!({ "count": found.len() })),
                Err(answer) => answer,
            },
            ("POST", ["rest", "api", "3", "changelog", "bulkfetch"]) if is_cloud => self.histories(body),
            ("POST", ["rest", "api", "2", "search"]) if !is_cloud => self.search_with_histories(body),
            ("POST", ["rest", "api", "2", "issue"]) => self.create(body),
            (_, ["rest", "api", "2", "issue", id, rest @ ..]) => self.change(method, id, rest, body),
            _ => (404, refusal("null for uri"), None),
        }
    }

    /// All issues that a request's JQL finds, in their order.
    fn found(&self, body: &Value) -> Result<Vec<Issue>, Answer> {
        let held = self.held();
        let now = held.now.unwrap_or_else(now);
        let query = body["jql"].as_str().unwrap_or_default();
        jql::find(query, held.issues.values(), now).map_err(|reason| (400, refusal(&reason), None))
    }

    fn page(&self, body: &Value) -> usize {
        let asked = body["maxResults"].as_u64().unwrap_or(50) as usize;
        match self.held().trouble.page {
            0 => asked,
            page => asked.min(page),
        }
    }

    fn search(&self, body: &Value) -> Answer {
        let found = match self.found(body) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        let start: usize = match body["nextPageToken"].as_str().map(|token| token.strip_prefix("after-")) {
            None => 0,
            Some(token) => match token.and_then(|token| token.parse().ok()) {
                Some(start) => start,
                None => return (400, refusal("The nextPageToken is invalid."), None),
            },
        };
        let end = (start + self.page(body)).min(found.len());
        let issues: Vec<Value> = found[start.min(end)..end]
            .iter()
            .map(|issue| self.shown(issue, body))
            .collect();
        let is_last = end == found.len();
        let mut page = json!({ "issues": issues, "isLast": is_last });
        if !is_last {
            page["nextPageToken"] = format!("after-{end}").into();
        }
        ok(page)
    }

    fn search_with_histories(&self, body: &Value) -> Answer {
        let found = match self.found(body) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        let start = body["startAt"].as_u64().unwrap_or_default() as usize;
        let page = self.page(body);
        let wants_histories = body["expand"]
            .as_array()
            .is_some_and(|expand| expand.contains(&json!("changelog")));
        let issues = found.iter().skip(start).take(page).map(|issue| {
            let mut shown = self.shown(issue, body);
            if wants_histories {
                // The newest first, as it comes from a Data Center.
                let mut histories: Vec<Value> = issue.histories().collect();
                histories.reverse();
                let total = histories.len();
                shown["changelog"] =
                    json!({ "startAt": 0, "maxResults": total, "total": total, "histories": histories });
            }
            shown
        });
        let issues: Vec<Value> = issues.collect();
        ok(json!({ "startAt": start, "maxResults": page, "total": found.len(), "issues": issues }))
    }

    /// An issue with the fields that were asked for.
    fn shown(&self, issue: &Issue, body: &Value) -> Value {
        let mut shown = issue.rest(&self.url);
        if let Some(wanted) = body["fields"].as_array()
            && let Some(fields) = shown["fields"].as_object_mut()
        {
            fields.retain(|name, _| wanted.iter().any(|wanted| wanted == name));
        }
        shown
    }

    /// Changes of many issues at once, the oldest first, dated in milliseconds.
    fn histories(&self, body: &Value) -> Answer {
        let ids: Vec<u64> = body["issueIdsOrKeys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str()?.parse().ok())
            .collect();
        let fields: Vec<&str> = body["fieldIds"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if ids.is_empty() || 1_000 < ids.len() || 10 < fields.len() {
            return (
                400,
                refusal("issueIdsOrKeys must have 1 to 1000 entries, fieldIds 10 at most."),
                None,
            );
        }
        let held = self.held();
        let issues = ids.iter().filter_map(|id| held.issues.get(id));
        let mut all: Vec<(Time, u64, Value)> = Vec::new();
        for issue in issues {
            for (history, shown) in issue.histories.iter().zip(issue.histories()) {
                let mut shown = shown;
                shown["created"] = history.at.millis().into();
                if let Some(items) = shown["items"].as_array_mut() {
                    items.retain(|item| fields.iter().any(|field| item["fieldId"] == **field));
                }
                all.push((history.at, issue.id, shown));
            }
        }
        drop(held);
        all.sort_by_key(|(at, id, _)| (*at, *id));
        let start: usize = body["nextPageToken"]
            .as_str()
            .and_then(|token| token.parse().ok())
            .unwrap_or(0);
        let end = (start + self.page(body)).min(all.len());
        let mut logs: Vec<Value> = Vec::new();
        for (_, id, history) in all[start.min(end)..end].iter() {
            let id = id.to_string();
            match logs.iter_mut().find(|log| log["issueId"] == id.as_str()) {
                Some(log) => log["changeHistories"]
                    .as_array_mut()
                    .expect("a list")
                    .push(history.clone()),
                None => logs.push(json!({ "issueId": id, "changeHistories": [history] })),
            }
        }
        let mut page = json!({ "issueChangeLogs": logs });
        if end < all.len() {
            page["nextPageToken"] = end.to_string().into();
        }
        ok(page)
    }

    fn create(&self, body: &Value) -> Answer {
        let fields = &body["fields"];
        let text = |field: &str, name: &str| fields[field][name].as_str().map(str::to_owned);
        let (Some(project), Some(priority)) = (text("project", "key"), text("priority", "name")) else {
            return (
                400,
                json!({ "errorMessages": [], "errors": { "project": "is required" } }),
                None,
            );
        };
        let Some(priority) = PRIORITIES.iter().position(|name| *name == priority) else {
            return (
                400,
                json!({ "errorMessages": [], "errors": { "priority": "is unknown" } }),
                None,
            );
        };
        let mut held = self.held();
        let at = held.now.unwrap_or_else(now);
        let id = held.issues.keys().next_back().map_or(10_001, |last| last + 1);
        held.changelogs += 1;
        let issue = Issue {
            id,
            project,
            number: id - 10_000,
            summary: fields["summary"].as_str().unwrap_or_default().to_owned(),
            description: fields["description"].as_str().unwrap_or_default().to_owned(),
            priority,
            status: Status::TO_DO,
            created: at,
            updated: at,
            category_changed: at,
            resolved: None,
            histories: Vec::new(),
            creation: 50_000 + held.changelogs,
        };
        let created =
            json!({ "id": id.to_string(), "key": issue.key(), "self": format!("{}/rest/api/2/issue/{id}", self.url) });
        held.issues.insert(id, issue);
        (201, created, None)
    }

    fn change(&self, method: &Method, id: &str, rest: &[&str], body: &Value) -> Answer {
        let mut held = self.held();
        let at = held.now.unwrap_or_else(now);
        held.changelogs += 1;
        let changelog = 50_000 + held.changelogs;
        let Some(issue) = id.parse().ok().and_then(|id: u64| held.issues.get_mut(&id)) else {
            return (
                404,
                refusal("Issue does not exist or you do not have permission to see it."),
                None,
            );
        };
        match (method.as_str(), rest) {
            ("GET", ["transitions"]) => {
                let others = STATUSES.iter().filter(|status| **status != issue.status);
                let transitions: Vec<Value> = others
                    .map(|status| json!({ "id": status.id, "name": status.name, "to": status.json(&self.url) }))
                    .collect();
                ok(json!({ "transitions": transitions }))
            }
            ("POST", ["transitions"]) => {
                let wanted = body["transition"]["id"].as_str().unwrap_or_default();
                match STATUSES.iter().find(|status| status.id == wanted) {
                    Some(status) => {
                        issue.transition(changelog, *status, at);
                        (204, Value::Null, None)
                    }
                    None => (400, refusal("It is not on the appropriate workflow."), None),
                }
            }
            ("PUT", []) => match PRIORITIES
                .iter()
                .position(|name| body["fields"]["priority"]["name"] == *name)
            {
                Some(priority) => {
                    issue.prioritise(changelog, priority, at);
                    (204, Value::Null, None)
                }
                None => (
                    400,
                    json!({ "errorMessages": [], "errors": { "priority": "is unknown" } }),
                    None,
                ),
            },
            _ => (404, refusal("null for uri"), None),
        }
    }
}

fn ok(document: Value) -> Answer {
    (200, document, None)
}

fn refusal(message: &str) -> Value {
    json!({ "errorMessages": [message], "errors": {} })
}

fn now() -> Time {
    Time::try_from(chrono::Utc::now()).expect("a time of this age")
}

fn response((status, document, retry_after): Answer) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json;charset=UTF-8");
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    let body = if document.is_null() {
        String::new()
    } else {
        document.to_string()
    };
    Ok(response.body(Full::from(body)).expect("its parts are valid"))
}
