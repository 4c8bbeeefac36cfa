//! What those who look on ask of the engine: nothing here changes an execution.

use std::sync::Arc;

use asl::Json;
use asl::query::{Budget, Expression, Moment, Scope, Variables};
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use serde_json::Value;
use tokio::sync::watch;

use super::feed::Since;
use super::machines::Revision;
use super::{Engine, Error, Inner};
use crate::history::{self, MachineId, Row, StateMachineRecord};

/// The longest subject that is kept: what does not fit a line of a list tells nothing apart.
const MAX_SUBJECT_CHARACTERS: usize = 128;

/// An execution's row, with the revision of the state machine that it started with.
pub(crate) struct Known {
    pub(crate) arn: Arc<str>,
    pub(crate) row: Row,
    revision: Arc<Revision>,
}

impl Known {
    /// The state machine as it was when the execution started.
    pub(crate) fn machine(&self) -> &StateMachineRecord {
        &self.revision.record
    }
}

impl Inner {
    /// What an execution is about, as the template says where its input tells.
    pub(super) fn subject(&self, machine: &str, input: &Json) -> Option<Arc<str>> {
        let mut texts = self.subjects.get(machine)?.iter();
        let text = texts.find_map(|text| subject(text, input.value()))?;
        Some(text.chars().take(MAX_SUBJECT_CHARACTERS).collect::<String>().into())
    }
}

fn subject(text: &Expression, input: &Value) -> Option<String> {
    let scope = Scope {
        input,
        input_text: None,
        context: &Value::Null,
        variables: &Variables::new(),
        result: None,
        error_output: None,
        moment: &Moment::new(0, 0),
        budget: &Budget::default(),
    };
    match text.evaluate("Subject", &scope).ok()?.as_ref() {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Engine {
    /// The present, as the engine stamps it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.inner.now()
    }

    /// All state machines whose executions are kept, by name.
    pub(crate) fn machines(&self) -> Vec<(MachineId, StateMachineRecord)> {
        let all = self.inner.machines.all();
        let mut machines: Vec<_> = all
            .iter()
            .filter(|revision| revision.record.machine_type == history::MachineType::Standard)
            .map(|revision| (revision.machine_id, revision.record.clone()))
            .collect();
        machines.sort_by(|left, right| left.1.name.cmp(&right.1.name));
        machines
    }

    /// The ARN of an execution by the names of its state machine and its own.
    pub(crate) fn execution_arn(&self, machine: &str, name: &str) -> Arc<str> {
        self.inner.execution_arn(machine, name)
    }

    pub(crate) async fn known(&self, machine: &str, name: &str) -> Result<Known, Error> {
        let arn = self.execution_arn(machine, name);
        let (current, name) = self.inner.resolve(&arn)?;
        let machine = current.machine_id;
        let found = self
            .read(move |connection| history::executions::find(connection, machine, &name))
            .await?;
        let row = found.ok_or_else(|| Error::ExecutionDoesNotExist { arn: arn.clone() })?;
        let revision = self.inner.machines.revision(row.revision)?;
        Ok(Known { arn, row, revision })
    }

    /// Reads from the store, away from the caller's thread.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, history::Error> + Send + 'static,
    ) -> Result<T, Error> {
        Ok(self.inner.history.read(work).await?)
    }

    /// What changed since `mark`, and the mark from which to go on.
    pub(crate) fn changes_since(&self, mark: Option<&str>) -> (Since, String) {
        self.inner.feed.since(mark)
    }

    /// Resolves whenever an execution has changed.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.inner.feed.watch()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subject_is_a_text_or_a_number_of_the_input() {
        let found = |text: &str, input: Value| subject(&Expression::parse(text).expect("a path or a call"), &input);
        assert_eq!(
            found("$.ticket.key", json!({"ticket": {"key": "OPS-1"}})),
            Some("OPS-1".into())
        );
        assert_eq!(found("$.n", json!({"n": 7})), Some("7".into()));
        let both = "States.Format('{}~{}', $.site, $.issue)";
        assert_eq!(found(both, json!({"site": "flat", "issue": 7})), Some("flat~7".into()));
        assert_eq!(found(both, json!({"site": "flat"})), None);
        for input in [json!({}), json!({"n": null}), json!({"n": {}}), json!([1])] {
            assert_eq!(found("$.n", input), None);
        }
    }
}
