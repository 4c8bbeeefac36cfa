//! Reads what a distributed Map says of its run and its items: label, thresholds, `ItemReader` and `ItemBatcher`.

use serde_json::{Map, Value};

use super::{At, INVALID_LABEL, Parser, quoted};
use crate::definition::{Batcher, Distributed, Format, Reader, Tolerated};

/// AWS's quota for the length of a distributed Map's label, in characters.
const MAX_LABEL: usize = 40;

impl Parser {
    pub(super) fn distributed(&mut self, at: At<'_>) -> Distributed {
        for field in ["ItemReader", "ItemBatcher", "ResultWriter"] {
            if at.document.contains_key(field) && !self.is_test {
                let pointer = format!("{}/{field}", at.pointer);
                self.schema(&pointer, format!("{field} is not supported"));
            }
        }
        self.is_recent |= at.document.contains_key("Label");
        let label = at.document.get("Label").and_then(Value::as_str);
        if let Some(label) = label {
            let pointer = format!("{}/Label", at.pointer);
            if let Err(message) = check_label(label) {
                self.problem(INVALID_LABEL, &pointer, message);
            }
            if !self.labels.insert(label.into()) {
                self.problem(
                    "DUPLICATE_LABEL_NAME",
                    &pointer,
                    format!("Duplicate Label name: {label}"),
                );
            }
        }
        Distributed {
            label: label.map(Into::into),
            tolerated_count: self.tolerated(at, "ToleratedFailureCount", f64::INFINITY),
            tolerated_percentage: self.tolerated(at, "ToleratedFailurePercentage", 100.0),
            reader: self.reader(at),
            batcher: self.batcher(at),
            writes_result: at.document.contains_key("ResultWriter"),
        }
    }

    fn tolerated(&mut self, at: At<'_>, field: &str, most: f64) -> Tolerated {
        self.either(at, field);
        if let Some(computed) = self.computed(at, field) {
            return Tolerated::Computed(computed);
        }
        match at.document.get(field) {
            None => Tolerated::Absent,
            Some(value) => match value.as_f64().filter(|number| (0.0..=most).contains(number)) {
                Some(number) => Tolerated::Given(number),
                None => {
                    let range = match most.is_finite() {
                        true => format!("from 0 to {most}"),
                        false => "of at least 0".to_owned(),
                    };
                    let message = format!("{field} must be a number {range}, is {value}");
                    self.schema(&format!("{}/{field}", at.pointer), message);
                    Tolerated::Absent
                }
            },
        }
    }

    fn reader(&mut self, at: At<'_>) -> Option<Reader> {
        let (document, pointer) = self.part(at, "ItemReader")?;
        self.require(document, &pointer, &["Resource"]);
        let empty = Map::new();
        let config = document
            .get("ReaderConfig")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let pointer = format!("{pointer}/ReaderConfig");
        let text = |field: &str| config.get(field).and_then(Value::as_str);
        let format = match text("InputType") {
            None | Some("JSON") => Format::Json,
            Some("JSONL") => Format::JsonLines,
            Some("CSV") => self.csv(config, &pointer),
            Some(other) => {
                let message = format!("InputType '{other}' is not supported");
                self.schema(&format!("{pointer}/InputType"), message);
                return None;
            }
        };
        let inner = At {
            document: config,
            pointer: &pointer,
            ..at
        };
        Some(Reader {
            format,
            items_pointer: text("ItemsPointer").map(Box::from),
            max_items: self.number(inner, "MaxItems"),
        })
    }

    fn csv(&mut self, config: &Map<String, Value>, pointer: &str) -> Format {
        let text = |field: &str| config.get(field).and_then(Value::as_str);
        let given = config.get("CSVHeaders").and_then(Value::as_array);
        let headers = match (text("CSVHeaderLocation"), given) {
            (Some("GIVEN"), Some(headers)) => {
                let headers = headers.iter().filter_map(Value::as_str).map(str::to_owned);
                Some(headers.collect())
            }
            (Some("FIRST_ROW"), None) => None,
            _ => {
                let message = "CSVHeaderLocation must be 'FIRST_ROW', or 'GIVEN' with CSVHeaders";
                self.schema(&format!("{pointer}/CSVHeaderLocation"), message);
                None
            }
        };
        let delimiter = match text("CSVDelimiter") {
            None | Some("COMMA") => ',',
            Some("PIPE") => '|',
            Some("SEMICOLON") => ';',
            Some("SPACE") => ' ',
            Some("TAB") => '\t',
            Some(_) => {
                let message = "CSVDelimiter must be one of COMMA, PIPE, SEMICOLON, SPACE, TAB";
                self.schema(&format!("{pointer}/CSVDelimiter"), message);
                ','
            }
        };
        Format::Csv { headers, delimiter }
    }

    fn batcher(&mut self, at: At<'_>) -> Option<Batcher> {
        let (document, pointer) = self.part(at, "ItemBatcher")?;
        let inner = At {
            document,
            pointer: &pointer,
            ..at
        };
        Some(Batcher {
            max_items: self.number(inner, "MaxItemsPerBatch"),
            max_bytes: self.number(inner, "MaxInputBytesPerBatch"),
            input: self.template(inner, "BatchInput"),
        })
    }

    /// A field that is an object, with where it stands; only a test has a use for it.
    fn part<'d>(&mut self, at: At<'d>, field: &str) -> Option<(&'d Map<String, Value>, String)> {
        let value = at.document.get(field).filter(|_| self.is_test)?;
        let pointer = format!("{}/{field}", at.pointer);
        match value.as_object() {
            Some(document) => Some((document, pointer)),
            None => {
                self.schema(&pointer, format!("{field} must be an object"));
                None
            }
        }
    }
}

/// Refuses a label that cannot be a part of an ARN, in AWS's words.
fn check_label(label: &str) -> Result<(), String> {
    if MAX_LABEL < label.chars().count() {
        return Err(format!("Label cannot exceed {MAX_LABEL} characters"));
    }
    let refused = |character: &char| {
        character.is_whitespace() || character.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(*character)
    };
    match label.chars().find(refused) {
        Some(character) => Err(format!(
            "Label contains invalid character: {}",
            quoted(&character.to_string())
        )),
        None => Ok(()),
    }
}
