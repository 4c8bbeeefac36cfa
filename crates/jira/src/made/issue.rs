//! An issue as JIRA holds it, and the JSON in which JIRA shows it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use ticket::Time;

/// A status of the made-up workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub id: &'static str,
    pub name: &'static str,
    /// JIRA's key of its category.
    pub category: &'static str,
}

impl Status {
    pub const TO_DO: Self = STATUSES[0];
    pub const IN_PROGRESS: Self = STATUSES[1];
    pub const IN_REVIEW: Self = STATUSES[2];
    pub const DONE: Self = STATUSES[3];

    pub fn is_done(self) -> bool {
        self.category == "done"
    }

    /// As `GET /status` and an issue's fields show it.
    pub fn json(self, base: &str) -> Value {
        let (id, name) = match self.category {
            "new" => (2, "To Do"),
            "done" => (3, "Done"),
            _ => (4, "In Progress"),
        };
        json!({
            "self": format!("{base}/rest/api/2/status/{}", self.id),
            "description": "",
            "name": self.name,
            "id": self.id,
            "statusCategory": { "id": id, "key": self.category, "name": name },
        })
    }
}

pub const STATUSES: [Status; 4] = [
    Status {
        id: "10000",
        name: "To Do",
        category: "new",
    },
    Status {
        id: "10001",
        name: "In Progress",
        category: "indeterminate",
    },
    Status {
        id: "10002",
        name: "In Review",
        category: "indeterminate",
    },
    Status {
        id: "10003",
        name: "Done",
        category: "done",
    },
];

/// The priorities of a new JIRA, the highest first; a priority's id is its place from 1 on.
pub const PRIORITIES: [&str; 5] = ["Highest", "High", "Medium", "Low", "Lowest"];

/// The only resolution.
const RESOLUTION: (&str, &str) = ("10000", "Done");

/// An issue.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    pub id: u64,
    pub project: String,
    pub number: u64,
    pub summary: String,
    pub description: String,
    /// Into [`PRIORITIES`].
    pub priority: usize,
    pub status: Status,
    pub created: Time,
    pub updated: Time,
    pub category_changed: Time,
    pub resolved: Option<Time>,
    pub histories: Vec<History>,
    /// The changelog of its creation, which webhooks tell of and the REST API does not.
    pub creation: u64,
}

/// One change, of one field or several.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    pub id: u64,
    pub at: Time,
    pub items: Vec<Item>,
}

/// A field's values before and after, each with id and name.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub field: &'static str,
    pub from: Option<(String, String)>,
    pub to: Option<(String, String)>,
}

impl Issue {
    pub fn key(&self) -> String {
        format!("{}-{}", self.project, self.number)
    }

    /// Moves it to a status, and resolves it or takes that back where the status asks for it.
    pub fn transition(&mut self, changelog: u64, to: Status, at: Time) {
        let named = |status: Status| Some((status.id.to_owned(), status.name.to_owned()));
        let mut items = vec![Item {
            field: "status",
            from: named(self.status),
            to: named(to),
        }];
        if self.status.is_done() != to.is_done() {
            let resolution = Some((RESOLUTION.0.to_owned(), RESOLUTION.1.to_owned()));
            let (from, to) = match to.is_done() {
                true => (None, resolution),
                false => (resolution, None),
            };
            items.push(Item {
                field: "resolution",
                from,
                to,
            });
            self.resolved = self.resolved.xor(Some(at));
        }
        if self.status.category != to.category {
            self.category_changed = at;
        }
        self.status = to;
        self.changed(changelog, at, items);
    }

    /// Gives it another priority.
    pub fn prioritise(&mut self, changelog: u64, to: usize, at: Time) {
        let named = |priority: usize| Some(((priority + 1).to_string(), PRIORITIES[priority].to_owned()));
        let item = Item {
            field: "priority",
            from: named(self.priority),
            to: named(to),
        };
        self.priority = to;
        self.changed(changelog, at, vec![item]);
    }

    /// Moves it to another project, where it gets another key.
    pub fn relocate(&mut self, changelog: u64, project: &str, number: u64, at: Time) {
        let item = |field, from: &str, to: &str| Item {
            field,
            from: Some((String::new(), from.to_owned())),
            to: Some((String::new(), to.to_owned())),
        };
        let (old_project, old_key) = (self.project.clone(), self.key());
        (self.project, self.number) = (project.to_owned(), number);
        let items = vec![
            item("project", &old_project, project),
            item("Key", &old_key, &self.key()),
        ];
        self.changed(changelog, at, items);
    }

    fn changed(&mut self, id: u64, at: Time, items: Vec<Item>) {
        self.updated = at;
        self.histories.push(History { id, at, items });
    }

    /// As the REST API shows it, without its changelog, in a JIRA at the URL `base`.
    pub fn rest(&self, base: &str) -> Value {
        json!({
            "id": self.id.to_string(),
            "key": self.key(),
            "self": format!("{base}/rest/api/2/issue/{}", self.id),
            "fields": {
                "summary": self.summary,
                "description": self.description,
                "issuetype": { "id": "10004", "name": "Bug" },
                "project": { "id": "10000", "key": self.project, "name": self.project },
                "priority": { "id": (self.priority + 1).to_string(), "name": PRIORITIES[self.priority] },
                "status": self.status.json(base),
                "statuscategorychangedate": jira_time(self.category_changed),
                "resolution": self.resolved.map(|_| json!({ "id": RESOLUTION.0, "name": RESOLUTION.1 })),
                "resolutiondate": self.resolved.map(jira_time),
                "creator": somebody(),
                "created": jira_time(self.created),
                "updated": jira_time(self.updated),
            },
        })
    }

    /// Its histories as the REST API shows them, the oldest first.
    pub fn histories(&self) -> impl Iterator<Item = Value> {
        self.histories.iter().map(|history| {
            let items: Vec<Value> = history.items.iter().map(Item::json).collect();
            let (id, created) = (history.id.to_string(), jira_time(history.at));
            json!({ "id": id, "author": somebody(), "created": created, "items": items })
        })
    }

    /// The webhook's body of its last change, or of its creation if it has not changed.
    ///
    /// Of this JIRA's clocks there is one: the delivery is stamped with the time of the change.
    pub fn delivery(&self, base: &str) -> Value {
        let (event, kind, id, items) = match self.histories.last() {
            Some(history) => {
                let is_step = history.items.iter().any(|item| item.field == "status");
                let kind = if is_step { "issue_generic" } else { "issue_updated" };
                let items: Vec<Value> = history.items.iter().map(Item::json).collect();
                ("jira:issue_updated", kind, history.id, items)
            }
            None => {
                let first = Item {
                    field: "Status",
                    from: None,
                    to: Some((self.status.id.to_owned(), self.status.name.to_owned())),
                };
                ("jira:issue_created", "issue_created", self.creation, vec![first.json()])
            }
        };
        json!({
            "timestamp": self.updated.millis(),
            "webhookEvent": event,
            "issue_event_type_name": kind,
            "user": somebody(),
            "issue": self.rest(base),
            "changelog": { "id": id.to_string(), "items": items },
        })
    }
}

impl Item {
    fn json(&self) -> Value {
        let id = |value: &Option<(String, String)>| value.as_ref().map(|(id, _)| id.clone());
        let name = |value: &Option<(String, String)>| value.as_ref().map(|(_, name)| name.clone());
        json!({
            "field": self.field,
            "fieldtype": "jira",
            "fieldId": match self.field {
                "Key" => "issuekey".to_owned(),
                field => field.to_ascii_lowercase(),
            },
            "from": id(&self.from),
            "fromString": name(&self.from),
            "to": id(&self.to),
            "toString": name(&self.to),
        })
    }
}

/// The one person who does everything.
fn somebody() -> Value {
    json!({ "accountId": "made-up", "displayName": "Made Up", "active": true })
}

/// As JIRA writes times: an offset without a colon.
fn jira_time(time: Time) -> String {
    DateTime::<Utc>::from(time)
        .format("%Y-%m-%dT%H:%M:%S%.3f+0000")
        .to_string()
}
