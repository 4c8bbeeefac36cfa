//! Deliveries as a JIRA Server sends them, for issues made up by the tests.

use serde_json::{Value, json};

/// When every life in these tests begins: 2026-11-20T08:00:00Z.
pub(crate) const CREATED_MS: i64 = 1_795_161_600_000;

/// An issue of the tests' own JIRA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issue {
    pub(crate) number: u32,
}

/// A status with its category, as JIRA nests it.
fn status(id: &str, name: &str, category: &str) -> Value {
    json!({"id": id, "name": name, "statusCategory": {"id": 1, "key": category, "name": name}})
}

const TO_DO: (&str, &str, &str) = ("1", "Open", "new");
const IN_PROGRESS: (&str, &str, &str) = ("3", "In Progress", "indeterminate");
const DONE: (&str, &str, &str) = ("5", "Resolved", "done");

impl Issue {
    pub(crate) fn key(self) -> String {
        format!("TEST-{}", self.number)
    }

    fn moment(milliseconds: i64) -> String {
        let moment = chrono::DateTime::from_timestamp_millis(milliseconds).expect("a moment");
        // JIRA's form: any zone, an offset without a colon.
        let zone = chrono::FixedOffset::east_opt(8 * 3600).expect("a zone");
        moment
            .with_timezone(&zone)
            .format("%Y-%m-%dT%H:%M:%S%.3f%z")
            .to_string()
    }

    fn body(self, at: i64, event: &str, now: (&str, &str, &str), change: Option<Value>) -> Vec<u8> {
        let resolved = now.2 == "done";
        let mut body = json!({
            "timestamp": at + 12,
            "webhookEvent": event,
            "issue": {
                "id": self.number.to_string(),
                "self": format!("https://jira.example.com/rest/api/2/issue/{}", self.number),
                "key": self.key(),
                "fields": {
                    "summary": format!("Issue number {}", self.number),
                    "description": "Made up by a test.",
                    "created": Self::moment(CREATED_MS),
                    "updated": Self::moment(at),
                    "priority": {"id": "2", "name": "High"},
                    "project": {"id": "100", "key": "TEST", "name": "Test"},
                    "status": status(now.0, now.1, now.2),
                    "resolution": resolved.then(|| json!({"id": "1", "name": "Done"})),
                    "resolutiondate": resolved.then(|| Self::moment(at - 3)),
                },
            },
        });
        if let Some(change) = change {
            body["changelog"] = change;
        }
        serde_json::to_vec(&body).expect("a JSON body")
    }

    fn transition(self, step: u32, from: (&str, &str, &str), to: (&str, &str, &str)) -> Option<Value> {
        let item = json!({"field": "status", "fieldtype": "jira", "from": from.0, "fromString": from.1,
                          "to": to.0, "toString": to.1});
        Some(json!({"id": (self.number * 10 + step).to_string(), "items": [item]}))
    }

    pub(crate) fn created(self) -> Vec<u8> {
        self.body(CREATED_MS, "jira:issue_created", TO_DO, None)
    }

    pub(crate) fn started(self, after_ms: i64) -> Vec<u8> {
        let change = self.transition(1, TO_DO, IN_PROGRESS);
        self.body(CREATED_MS + after_ms, "jira:issue_updated", IN_PROGRESS, change)
    }

    pub(crate) fn resolved(self, after_ms: i64) -> Vec<u8> {
        let change = self.transition(2, IN_PROGRESS, DONE);
        self.body(CREATED_MS + after_ms, "jira:issue_updated", DONE, change)
    }

    pub(crate) fn reopened(self, after_ms: i64) -> Vec<u8> {
        let change = self.transition(3, DONE, TO_DO);
        self.body(CREATED_MS + after_ms, "jira:issue_updated", TO_DO, change)
    }

    pub(crate) fn deleted(self, after_ms: i64) -> Vec<u8> {
        self.body(CREATED_MS + after_ms, "jira:issue_deleted", TO_DO, None)
    }
}

/// A delivery that carries no fact: a comment of its own.
pub(crate) fn comment() -> Vec<u8> {
    let body = json!({"timestamp": CREATED_MS, "webhookEvent": "comment_created",
                      "comment": {"id": "1", "body": "Nice.", "created": "2026-11-20T16:00:00.000+0800"}});
    serde_json::to_vec(&body).expect("a JSON body")
}
