//! One ticket's life, made up, that every example is made of.

use ticket::fact::Category;
use ticket::{Delivery, Fact, TicketEvent, jira};

/// The issue as JIRA's REST API shows it with its changelog.
const ISSUE: &str = r#"{
    "id": "10001",
    "self": "https://example.atlassian.net/rest/api/2/issue/10001",
    "key": "SHOP-1",
    "changelog": { "histories": [
        { "id": "20001", "author": { "displayName": "Ada Example" }, "created": "2026-11-21T07:30:00.000+0000", "items": [
            { "field": "status", "fieldId": "status", "from": "10000", "fromString": "To Do",
              "to": "10001", "toString": "In Progress" }] },
        { "id": "20002", "author": { "displayName": "Grace Example" }, "created": "2026-11-21T11:54:00.000+0000", "items": [
            { "field": "status", "fieldId": "status", "from": "10001", "fromString": "In Progress",
              "to": "10002", "toString": "Done" }] }
    ] },
    "fields": {
        "summary": "The basket forgets its last item",
        "description": "Reload the page, and it is gone.",
        "creator": { "displayName": "Ada Example" },
        "created": "2026-11-21T07:00:00.000+0000",
        "updated": "2026-11-21T11:54:00.000+0000",
        "project": { "id": "10000", "key": "SHOP", "name": "Shop" },
        "priority": { "id": "2", "name": "High" },
        "status": { "id": "10002", "name": "Done", "statusCategory": { "id": 3, "key": "done" } },
        "resolution": { "id": "1", "name": "Fixed" },
        "resolutiondate": "2026-11-21T11:54:00.000+0000"
    }
}"#;

/// What JIRA said of the ticket, and of which category its statuses are.
pub(crate) fn delivery() -> TicketEvent {
    let Ok(Delivery::Event(mut event)) = jira::read(ISSUE.as_bytes()) else {
        unreachable!("the sample is an issue, as its test shows")
    };
    let categories = [("10000", Category::New), ("10001", Category::Indeterminate)];
    event.facts.extend(categories.map(|(status, category)| Fact::Category {
        status: status.to_owned(),
        category,
        observed: event.observed,
    }));
    event.facts.sort();
    event
}

/// Of one of its executions.
pub(crate) fn execution_arn(name: &str) -> String {
    format!("arn:aws:states:eu-central-1:123456789012:execution:TicketLifecycle:{name}")
}
