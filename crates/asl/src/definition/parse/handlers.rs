//! Reads Retriers and Catchers.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{At, Parser};
use crate::definition::{Number, QueryLanguage};
use crate::retry::{Catcher, DEFAULT_BACKOFF_RATE, DEFAULT_INTERVAL_SECONDS, DEFAULT_MAX_ATTEMPTS, Retrier};

/// The fields of a Retrier.
const RETRIER: [&str; 7] = [
    "ErrorEquals",
    "IntervalSeconds",
    "MaxAttempts",
    "BackoffRate",
    "MaxDelaySeconds",
    "JitterStrategy",
    "Comment",
];

/// The fields of a Catcher in either language.
const CATCHER: [&str; 4] = ["ErrorEquals", "Next", "Assign", "Comment"];

impl Parser {
    fn errors(&mut self, document: &Map<String, Value>, pointer: &str, last: bool) -> Vec<Arc<str>> {
        let Some(given) = document.get("ErrorEquals") else {
            return Vec::new();
        };
        let pointer = format!("{pointer}/ErrorEquals");
        let names: Option<Vec<Arc<str>>> = given
            .as_array()
            .and_then(|names| names.iter().map(|name| name.as_str().map(Arc::from)).collect());
        let names = names.filter(|names| !names.is_empty());
        let Some(names) = names else {
            self.schema(&pointer, "ErrorEquals must be an array of at least one error name");
            return Vec::new();
        };
        if names.iter().any(|name| &**name == "States.ALL") && (names.len() > 1 || !last) {
            self.schema(&pointer, "States.ALL must stand alone, in the last entry");
        }
        names
    }

    fn entries<'d>(&mut self, at: At<'d>, field: &str) -> Vec<(String, &'d Map<String, Value>)> {
        let pointer = format!("{}/{field}", at.pointer);
        let Some(value) = at.document.get(field) else {
            return Vec::new();
        };
        let Some(entries) = value.as_array() else {
            self.schema(&pointer, format!("{field} must be an array"));
            return Vec::new();
        };
        let mut documents = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let pointer = format!("{pointer}[{index}]");
            match entry.as_object() {
                Some(entry) => documents.push((pointer, entry)),
                None => self.schema(&pointer, format!("An entry of {field} must be an object")),
            }
        }
        documents
    }

    pub(super) fn retry(&mut self, at: At<'_>) -> Vec<Retrier> {
        let entries = self.entries(at, "Retry");
        let last = entries.len().saturating_sub(1);
        let mut retriers = Vec::with_capacity(entries.len());
        for (index, (pointer, document)) in entries.into_iter().enumerate() {
            self.unsupported(document, &pointer, |field| RETRIER.contains(&field));
            self.require(document, &pointer, &["ErrorEquals"]);
            let errors = self.errors(document, &pointer, index == last);
            let given = |number: Number, default: u64| match number {
                Number::Given(number) => number,
                _ => default,
            };
            let at = At {
                document,
                pointer: &pointer,
                state_length: pointer.len(),
                language: QueryLanguage::JsonPath,
            };
            let interval = self.number(at, "IntervalSeconds");
            let attempts = self.number(at, "MaxAttempts");
            let max_delay = self.number(at, "MaxDelaySeconds");
            let backoff_rate = document
                .get("BackoffRate")
                .map_or(Some(DEFAULT_BACKOFF_RATE), Value::as_f64);
            let backoff_rate = backoff_rate.filter(|rate| *rate >= 1.0);
            if backoff_rate.is_none() {
                self.schema(
                    &format!("{pointer}/BackoffRate"),
                    "BackoffRate must be a number of at least 1.0",
                );
            }
            let full_jitter = match document.get("JitterStrategy").map(Value::as_str) {
                None | Some(Some("NONE")) => false,
                Some(Some("FULL")) => true,
                Some(_) => {
                    let pointer = format!("{pointer}/JitterStrategy");
                    self.schema(&pointer, "JitterStrategy must be 'FULL' or 'NONE'");
                    false
                }
            };
            let interval_seconds = given(interval, DEFAULT_INTERVAL_SECONDS);
            if interval_seconds == 0 {
                self.schema(
                    &format!("{pointer}/IntervalSeconds"),
                    "IntervalSeconds must be at least 1",
                );
            }
            retriers.push(Retrier {
                errors,
                interval_seconds,
                max_attempts: given(attempts, DEFAULT_MAX_ATTEMPTS.into()) as u32,
                backoff_rate: backoff_rate.unwrap_or(DEFAULT_BACKOFF_RATE),
                max_delay_seconds: match max_delay {
                    Number::Given(seconds) => Some(seconds),
                    _ => None,
                },
                full_jitter,
            });
        }
        retriers
    }

    pub(super) fn catch(&mut self, at: At<'_>, flow: &Map<String, Value>) -> Vec<Catcher> {
        let entries = self.entries(at, "Catch");
        let last = entries.len().saturating_sub(1);
        let mut catchers = Vec::with_capacity(entries.len());
        for (index, (pointer, document)) in entries.into_iter().enumerate() {
            let at = At {
                document,
                pointer: &pointer,
                ..at
            };
            let own = match at.language {
                QueryLanguage::JsonPath => "ResultPath",
                QueryLanguage::Jsonata => "Output",
            };
            self.unsupported(document, &pointer, |field| CATCHER.contains(&field) || field == own);
            self.require(document, &pointer, &["ErrorEquals", "Next"]);
            let errors = self.errors(document, &pointer, index == last);
            let next = self.target(document, &pointer, "Next", flow);
            let result_path = self.result_path_of(document, &pointer);
            let assign = self.assign(at);
            let output = match at.language {
                QueryLanguage::Jsonata => self.template(at, "Output"),
                QueryLanguage::JsonPath => None,
            };
            if let Some(next) = next {
                catchers.push(Catcher {
                    errors,
                    next,
                    result_path,
                    assign,
                    output,
                });
            }
        }
        catchers
    }
}
