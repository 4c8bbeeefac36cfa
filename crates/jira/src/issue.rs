//! An issue as the REST API shows it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use ticket::fact::Category;
use ticket::{TicketEvent, jira};

use crate::client::Jira;
use crate::error::Error;

/// An issue with its fields and its whole history.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue(Value);

impl Issue {
    /// An issue as `jira` shows it, with the address that its webhooks would give it: that is its identity.
    pub(crate) fn new(mut body: Map<String, Value>, jira: &Jira) -> Self {
        let text = |field: &str| body.get(field).and_then(Value::as_str);
        let home = text("id")
            .zip(text("self"))
            .and_then(|(id, shows)| jira.at_home(id, shows));
        if let Some(home) = home {
            body.insert("self".to_owned(), home.into());
        }
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
