//! What the stand-in answers.

use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::{Method, Uri};
use jira::Deployment;
use jira::made::{Issue, PRIORITIES, STATUSES, Status};
use serde_json::{Value, json};
use ticket::Time;

use super::{Answer, StandIn, jql, now, refusal};

impl StandIn {
    pub(super) fn answer(&self, method: &Method, uri: &Uri, body: &Value) -> Answer {
        let is_cloud = self.deployment == Deployment::Cloud;
        let segments: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
        match (method.as_str(), &segments[..]) {
            ("GET", ["rest", "api", _, "serverInfo"]) => {
                let kind = if is_cloud { "Cloud" } else { "Server" };
                let home = self.held().home.clone().unwrap_or(self.url.clone());
                ok(json!({ "baseUrl": home, "version": "1001.0.0", "deploymentType": kind }))
            }
            ("GET", ["rest", "api", _, "status"]) => ok(STATUSES.iter().map(|status| status.json(&self.url)).collect()),
            ("GET", ["rest", "api", _, "project", key]) => match self.held().hidden.contains(*key) {
                true => (404, refusal(&format!("No project could be found with key '{key}'."))),
                false => ok(json!({ "key": key })),
            },
            ("POST", ["rest", "api", "3", "search", "jql"]) if is_cloud => self.search(body),
            ("POST", ["rest", "api", "3", "search", "approximate-count"]) if is_cloud => match self.found(body) {
                Ok(found) => ok(json!({ "count": found.len() })),
                Err(answer) => answer,
            },
            ("POST", ["rest", "api", "3", "changelog", "bulkfetch"]) if is_cloud => self.histories(body),
            ("POST", ["rest", "api", "3", "issue", "bulkfetch"]) if is_cloud => self.many(body),
            ("POST", ["rest", "api", "2", "search"]) if !is_cloud => self.search_by_offset(body),
            ("GET", ["rest", "api", "2", "issue", id]) => self.one(id, uri),
            ("GET", ["rest", "api", "2", "issue", id, "changelog"]) if !is_cloud => self.own_changes(id, uri),
            ("POST", ["rest", "api", "2", "issue"]) => self.create(body),
            (_, ["rest", "api", "2", "issue", id, rest @ ..]) => self.change(method, id, rest, body),
            _ => (404, refusal("null for uri")),
        }
    }

    /// All issues that a request's JQL finds and the credential may see, in their order.
    fn found(&self, body: &Value) -> Result<Vec<Issue>, Answer> {
        let held = self.held();
        if held.trouble.says_nothing {
            return Err(ok(json!({})));
        }
        let query = body["jql"].as_str().unwrap_or_default();
        let shown = held
            .issues
            .values()
            .filter(|issue| !held.hidden.contains(&issue.project));
        jql::find(query, shown).map_err(|reason| (400, refusal(&reason)))
    }

    fn visible(&self, id: &str) -> Option<Issue> {
        let held = self.held();
        let issue = held.issues.get(&id.parse().ok()?)?;
        (!held.hidden.contains(&issue.project)).then(|| issue.clone())
    }

    fn page(&self, body: &Value) -> usize {
        let asked = body["maxResults"].as_u64().unwrap_or(50) as usize;
        match self.held().trouble.page {
            0 => asked,
            page => asked.min(page),
        }
    }

    /// A token names the last issue of the page before, and is good for the same JQL only.
    fn search(&self, body: &Value) -> Answer {
        let found = match self.found(body) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        let mut hasher = DefaultHasher::new();
        body["jql"].as_str().hash(&mut hasher);
        let hash = hasher.finish();
        let start = match body["nextPageToken"].as_str().map(|token| behind(token, hash)) {
            None => 0,
            Some(None) => return (400, refusal("The nextPageToken is invalid.")),
            Some(Some(place)) => found.partition_point(|issue| (issue.created.millis(), issue.id) <= place),
        };
        let end = (start + self.page(body)).min(found.len());
        let shown = &found[start..end];
        let issues: Vec<Value> = shown
            .iter()
            .map(|issue| with_document(self.shown(issue, body)))
            .collect();
        let is_last = end == found.len();
        let mut page = json!({ "issues": issues, "isLast": is_last });
        if self.held().trouble.circles {
            let first = found.first().map_or((0, 0), |issue| (issue.created.millis(), issue.id));
            page["nextPageToken"] = format!("{hash}-{}-{}", first.0, first.1).into();
        } else if let Some(last) = shown.last().filter(|_| !is_last) {
            page["nextPageToken"] = format!("{hash}-{}-{}", last.created.millis(), last.id).into();
        }
        ok(page)
    }

    fn search_by_offset(&self, body: &Value) -> Answer {
        let found = match self.found(body) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        let asked_for = body["jql"].as_str().and_then(|jql| jql.strip_prefix("id in ("));
        let ids = asked_for.map_or(0, |ids| ids.split(',').count());
        if found.len() < ids && body["validateQuery"] != false {
            return (400, refusal("An issue with that id does not exist for the field 'id'."));
        }
        let start = body["startAt"].as_u64().unwrap_or_default() as usize;
        let page = self.page(body);
        let wants_histories = body["expand"]
            .as_array()
            .is_some_and(|expand| expand.contains(&json!("changelog")));
        let issues = found.iter().skip(start).take(page).map(|issue| {
            let mut shown = self.shown(issue, body);
            if wants_histories {
                shown["changelog"] = self.newest_changes(issue);
            }
            shown
        });
        let issues: Vec<Value> = issues.collect();
        ok(json!({ "startAt": start, "maxResults": page, "total": found.len(), "issues": issues }))
    }

    /// The newest first, as it comes from a Data Center.
    fn newest_changes(&self, issue: &Issue) -> Value {
        let mut histories: Vec<Value> = issue.histories().collect();
        histories.reverse();
        let total = histories.len();
        match self.held().trouble.changes {
            0 => {}
            most => histories.truncate(most),
        }
        json!({ "startAt": 0, "maxResults": histories.len(), "total": total, "histories": histories })
    }

    /// A page of an issue's changes, the oldest first.
    fn own_changes(&self, id: &str, uri: &Uri) -> Answer {
        let Some(issue) = self.visible(id) else {
            return no_issue();
        };
        let asked = |name: &str| query(uri, name).and_then(|value| value.parse().ok());
        let start: usize = asked("startAt").unwrap_or(0);
        let most = asked("maxResults")
            .unwrap_or(100)
            .min(self.held().trouble.changes.max(1));
        let all: Vec<Value> = issue.histories().collect();
        let values: Vec<&Value> = all.iter().skip(start).take(most).collect();
        ok(json!({ "startAt": start, "maxResults": most, "total": all.len(), "values": values }))
    }

    fn one(&self, id: &str, uri: &Uri) -> Answer {
        let Some(issue) = self.visible(id) else {
            return no_issue();
        };
        let fields: Vec<&str> = query(uri, "fields").map_or(Vec::new(), |fields| fields.split(',').collect());
        let mut shown = self.shown(&issue, &json!({ "fields": fields }));
        if query(uri, "expand") == Some("changelog") {
            shown["changelog"] = self.newest_changes(&issue);
        }
        ok(shown)
    }

    /// Those of the issues asked for that there are; of the others it says nothing.
    fn many(&self, body: &Value) -> Answer {
        let asked = body["issueIdsOrKeys"].as_array().map_or(&[][..], Vec::as_slice);
        if asked.is_empty() || 100 < asked.len() {
            return (400, refusal("issueIdsOrKeys must have 1 to 100 entries."));
        }
        let found = asked.iter().filter_map(|id| self.visible(id.as_str()?));
        let issues: Vec<Value> = found.map(|issue| self.shown(&issue, body)).collect();
        ok(json!({ "issues": issues, "issueErrors": [] }))
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
            );
        };
        let Some(priority) = PRIORITIES.iter().position(|name| *name == priority) else {
            return (
                400,
                json!({ "errorMessages": [], "errors": { "priority": "is unknown" } }),
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
        (201, created)
    }

    fn change(&self, method: &Method, id: &str, rest: &[&str], body: &Value) -> Answer {
        let mut held = self.held();
        let at = held.now.unwrap_or_else(now);
        held.changelogs += 1;
        let changelog = 50_000 + held.changelogs;
        let Some(issue) = id.parse().ok().and_then(|id: u64| held.issues.get_mut(&id)) else {
            return no_issue();
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
                        (204, Value::Null)
                    }
                    None => (400, refusal("It is not on the appropriate workflow.")),
                }
            }
            ("PUT", []) => match PRIORITIES
                .iter()
                .position(|name| body["fields"]["priority"]["name"] == *name)
            {
                Some(priority) => {
                    issue.prioritise(changelog, priority, at);
                    (204, Value::Null)
                }
                None => (
                    400,
                    json!({ "errorMessages": [], "errors": { "priority": "is unknown" } }),
                ),
            },
            _ => (404, refusal("null for uri")),
        }
    }
}

fn ok(document: Value) -> Answer {
    (200, document)
}

/// An issue as version 3 of the API shows it: its description is a document.
fn with_document(mut issue: Value) -> Value {
    if let Some(text) = issue["fields"]["description"].as_str() {
        let paragraph = json!({ "type": "paragraph", "content": [{ "type": "text", "text": text }] });
        issue["fields"]["description"] = json!({ "type": "doc", "version": 1, "content": [paragraph] });
    }
    issue
}

fn no_issue() -> Answer {
    (
        404,
        refusal("Issue does not exist or you do not have permission to see it."),
    )
}

/// The place that a token of a search names.
fn behind(token: &str, jql: u64) -> Option<(i64, u64)> {
    let (hash, place) = token.split_once('-')?;
    let (created, id) = place.split_once('-')?;
    (hash.parse() == Ok(jql)).then_some((created.parse().ok()?, id.parse().ok()?))
}

/// A value of the query; nothing in the ones that are asked with needs an escape.
fn query<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}
