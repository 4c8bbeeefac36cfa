//! A JSON document as it travels through an execution: its text, its value, or both.
//!
//! AWS hands a text that no state changes on unchanged, so its spaces show in the history. A document therefore keeps
//! the text it came with, is parsed at the first look into it, and is printed only if it was computed. Cloning is
//! counting a reference.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::query;

/// A JSON document, immutable and cheap to clone.
#[derive(Clone)]
pub struct Json(Arc<Document>);

/// At least one of the two is set.
struct Document {
    text: OnceLock<Box<str>>,
    value: OnceLock<Value>,
}

impl Json {
    /// The document of this text, or what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let value: Value = serde_json::from_str(text)?;
        Ok(Self(Arc::new(Document {
            text: OnceLock::from(Box::from(text)),
            value: OnceLock::from(value),
        })))
    }

    /// The text, as it came or in the compact form in which AWS prints what it computed.
    pub fn text(&self) -> &str {
        self.0.text.get_or_init(|| {
            query::to_text(self.0.value.get().expect("a document has a text or a value")).into_boxed_str()
        })
    }

    /// The value; parsed at the first call.
    pub fn value(&self) -> &Value {
        self.0.value.get_or_init(|| {
            let text = self.0.text.get().expect("a document has a text or a value");
            serde_json::from_str(text).expect("the text of a document is JSON")
        })
    }

    /// The empty object, the input of an execution that was given none.
    pub fn empty_object() -> Self {
        Value::Object(serde_json::Map::new()).into()
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self(Arc::new(Document {
            text: OnceLock::new(),
            value: OnceLock::from(value),
        }))
    }
}

impl PartialEq for Json {
    /// Equal as values: spaces do not count.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.value() == other.value()
    }
}

impl std::fmt::Debug for Json {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.text())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(self.text()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Arc::new(Document {
            text: OnceLock::from(Box::<str>::from(raw)),
            value: OnceLock::new(),
        })))
    }
}

/// JSON with a space behind each comma and colon, as Python prints it, and AWS what it shows of a Map's items.
pub fn spaced(value: &Value) -> String {
    struct Spaced;
    impl serde_json::ser::Formatter for Spaced {
        fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
            if first { Ok(()) } else { out.write_all(b", ") }
        }
        fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
            if first { Ok(()) } else { out.write_all(b", ") }
        }
        fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
            out.write_all(b": ")
        }
    }
    let mut text = Vec::new();
    let printed = value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Spaced));
    printed.expect("a JSON value can be printed");
    String::from_utf8(text).expect("JSON is UTF-8")
}
