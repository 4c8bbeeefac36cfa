//! Which fields a state has, by its type and query language.

use serde_json::{Map, Value};

use super::{At, Parser};
use crate::definition::QueryLanguage;

/// Fields of every state.
const ALL: &[&str] = &["Type", "Comment", "QueryLanguage"];

/// Fields of the states that take and give data, in JSONPath and in JSONata.
const DATA: [&[&str]; 2] = [&["InputPath", "OutputPath"], &["Output"]];

/// A type of state with its fields: in either language, in JSONPath only, in JSONata only.
type Fields = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

const STATES: [Fields; 8] = [
    (
        "Pass",
        &["Assign", "Next", "End"],
        &["Parameters", "Result", "ResultPath"],
        &[],
    ),
    ("Succeed", &[], &[], &[]),
    ("Fail", &["Error", "Cause"], &["ErrorPath", "CausePath"], &[]),
    (
        "Wait",
        &["Assign", "Next", "End", "Seconds", "Timestamp"],
        &["SecondsPath", "TimestampPath"],
        &[],
    ),
    ("Choice", &["Assign", "Choices", "Default"], &[], &[]),
    (
        "Task",
        &[
            "Assign",
            "Next",
            "End",
            "Resource",
            "TimeoutSeconds",
            "HeartbeatSeconds",
            "Credentials",
            "Retry",
            "Catch",
        ],
        &[
            "Parameters",
            "ResultSelector",
            "ResultPath",
            "TimeoutSecondsPath",
            "HeartbeatSecondsPath",
        ],
        &["Arguments"],
    ),
    (
        "Parallel",
        &["Assign", "Next", "End", "Branches", "Retry", "Catch"],
        &["Parameters", "ResultSelector", "ResultPath"],
        &["Arguments"],
    ),
    (
        "Map",
        &[
            "Assign",
            "Next",
            "End",
            "ItemProcessor",
            "Iterator",
            "ItemSelector",
            "ItemReader",
            "ItemBatcher",
            "ResultWriter",
            "MaxConcurrency",
            "ToleratedFailurePercentage",
            "ToleratedFailureCount",
            "Label",
            "Retry",
            "Catch",
        ],
        &[
            "ItemsPath",
            "Parameters",
            "ResultSelector",
            "ResultPath",
            "MaxConcurrencyPath",
            "ToleratedFailurePercentagePath",
            "ToleratedFailureCountPath",
        ],
        &["Items"],
    ),
];

/// The fields of a state machine.
pub(super) const MACHINE: [&str; 6] = [
    "StartAt",
    "States",
    "Comment",
    "QueryLanguage",
    "Version",
    "TimeoutSeconds",
];

/// The fields of a Parallel state's branch.
pub(super) const BRANCH: [&str; 3] = ["StartAt", "States", "Comment"];

/// The fields of a Map state's `ItemProcessor` or `Iterator`.
pub(super) const PROCESSOR: [&str; 4] = ["StartAt", "States", "Comment", "ProcessorConfig"];

impl Parser {
    /// Refuses the fields of a state's document that such a state does not have.
    pub(super) fn fields(&mut self, at: At<'_>, state_type: &str) {
        let Some((_, both, jsonpath, jsonata)) = STATES.iter().find(|entry| entry.0 == state_type) else {
            return;
        };
        let data = |index: usize| if state_type == "Fail" { &[] } else { DATA[index] };
        let (own, other) = match at.language {
            QueryLanguage::JsonPath => ([*jsonpath, data(0)], [*jsonata, data(1)]),
            QueryLanguage::Jsonata => ([*jsonata, data(1)], [*jsonpath, data(0)]),
        };
        let is_of = |lists: &[&[&str]], field: &str| lists.iter().any(|fields| fields.contains(&field));
        let (name, other_name) = match at.language {
            QueryLanguage::JsonPath => ("JSONPath", "JSONata"),
            QueryLanguage::Jsonata => ("JSONata", "JSONPath"),
        };
        for field in at
            .document
            .keys()
            .filter(|field| is_of(&other, field) && !is_of(&own, field))
        {
            let message = format!(
                "The QueryLanguage is set to '{name}', but field '{field}' is only supported for the '{other_name}' \
                 QueryLanguage"
            );
            self.schema_of(at.pointer, field, message);
        }
        self.unsupported(at.document, at.pointer, |field| {
            is_of(&[ALL, both], field) || is_of(&own, field) || is_of(&other, field)
        });
    }

    /// Refuses the fields of a document that are not known.
    pub(super) fn unsupported(&mut self, document: &Map<String, Value>, pointer: &str, known: impl Fn(&str) -> bool) {
        for field in document.keys().filter(|field| !known(field)) {
            self.schema_of(pointer, field, format!("Field '{field}' is not supported"));
        }
    }

    /// A problem of one field, which AWS places where the field's document is.
    pub(super) fn schema_of(&mut self, pointer: &str, field: &str, message: String) {
        self.schema(pointer, message);
        if let Some(problem) = self.problems.last_mut() {
            problem.member = Some(field.into());
        }
    }
}
