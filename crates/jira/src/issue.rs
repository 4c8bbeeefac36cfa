//! An issue as the REST API shows it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use ticket::fact::Category;
use ticket::{TicketEvent, jira};

use crate::error::Error;

/// An issue with its fields and its whole history.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue(Value);

impl Issue {
    pub(crate) fn new(body: Map<String, Value>) -> Self {
        Self(body.into())
    }

    /// What it is called, for people.
    pub fn name(&self) -> &str {
        let text = |field: &str| self.0.get(field).and_then(Value::as_str);
        text("key").or(text("id")).unwrap_or("an issue without a key")
    }

    /// What its webhooks would have told, as canonical events; what it is now is in the last one.
    ///
    /// [`TicketEvent::unknown_to`] says what of it is news.
    pub fn events(&self, categories: &BTreeMap<String, Category>) -> Result<Vec<TicketEvent>, Error> {
        jira::read_issue(self.0.to_string().as_bytes(), categories).map_err(|source| Error::Issue {
            path: self.name().to_owned(),
            source,
        })
    }
}
