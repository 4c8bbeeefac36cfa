//! Which fields a state has, by its type and query language.

use serde_json::{Map, Value};

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

/// The fields of a state's document that such a state does not have.
pub(super) fn unsupported(document: &Map<String, Value>, state_type: &str, language: QueryLanguage) -> Vec<Box<str>> {
    let Some((_, both, jsonpath, jsonata)) = STATES.iter().find(|entry| entry.0 == state_type) else {
        return Vec::new();
    };
    let (own, data) = match language {
        QueryLanguage::JsonPath => (jsonpath, DATA[0]),
        QueryLanguage::Jsonata => (jsonata, DATA[1]),
    };
    let takes_data = state_type != "Fail";
    let known = |field: &str| {
        [ALL, both, own].iter().any(|fields| fields.contains(&field)) || (takes_data && data.contains(&field))
    };
    let fields = document.keys().filter(|field| !known(field));
    fields.map(|field| field.as_str().into()).collect()
}
