//! The intrinsic functions themselves.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use serde_json::{Map, Value};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use crate::query::moment::Seeded;
use crate::query::{Moment, text, to_text};

/// The longest text that `States.Base64Encode`, `States.Base64Decode` and `States.Hash` take at AWS, in characters.
const MAX_TEXT: usize = 10_000;

/// The longest list that `States.ArrayRange` makes at AWS.
const MAX_RANGE: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Array,
    ArrayContains,
    ArrayGetItem,
    ArrayLength,
    ArrayPartition,
    ArrayRange,
    ArrayUnique,
    Base64Decode,
    Base64Encode,
    Format,
    Hash,
    JsonMerge,
    JsonToString,
    MathAdd,
    MathRandom,
    StringSplit,
    StringToJson,
    Uuid,
}

/// Each function with its name and how many arguments it takes.
const FUNCTIONS: [(&str, Function, usize, usize); 18] = [
    ("States.Array", Function::Array, 0, usize::MAX),
    ("States.ArrayContains", Function::ArrayContains, 2, 2),
    ("States.ArrayGetItem", Function::ArrayGetItem, 2, 2),
    ("States.ArrayLength", Function::ArrayLength, 1, 1),
    ("States.ArrayPartition", Function::ArrayPartition, 2, 2),
    ("States.ArrayRange", Function::ArrayRange, 3, 3),
    ("States.ArrayUnique", Function::ArrayUnique, 1, 1),
    ("States.Base64Decode", Function::Base64Decode, 1, 1),
    ("States.Base64Encode", Function::Base64Encode, 1, 1),
    ("States.Format", Function::Format, 1, usize::MAX),
    ("States.Hash", Function::Hash, 2, 2),
    ("States.JsonMerge", Function::JsonMerge, 3, 3),
    ("States.JsonToString", Function::JsonToString, 1, 1),
    ("States.MathAdd", Function::MathAdd, 2, 2),
    ("States.MathRandom", Function::MathRandom, 2, 3),
    ("States.StringSplit", Function::StringSplit, 2, 2),
    ("States.StringToJson", Function::StringToJson, 1, 1),
    ("States.UUID", Function::Uuid, 0, 0),
];

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|entry| entry.0 == name).map(|entry| entry.1)
    }

    pub(super) fn name(self) -> &'static str {
        self.entry().0
    }

    pub(super) fn takes(self, count: usize) -> bool {
        let (_, _, least, most) = *self.entry();
        (least..=most).contains(&count)
    }

    fn entry(self) -> &'static (&'static str, Self, usize, usize) {
        FUNCTIONS
            .iter()
            .find(|entry| entry.1 == self)
            .expect("every function has its entry")
    }
}

/// The value of a function, or nothing if it does not take these arguments.
///
/// `parts` is the first argument cut at its placeholders, if it is a literal.
pub(super) fn apply(
    function: Function,
    arguments: &[Cow<'_, Value>],
    parts: Option<&[Box<str>]>,
    moment: &Moment,
) -> Option<Value> {
    let array = |index: usize| arguments[index].as_array();
    let string = |index: usize| arguments[index].as_str();
    let integer = |index: usize| integer(&arguments[index]);
    let short = |index: usize| string(index).filter(|text| text.chars().count() <= MAX_TEXT);
    match function {
        Function::Array => Some(Value::Array(
            arguments.iter().map(|argument| (**argument).clone()).collect(),
        )),
        Function::ArrayContains => Some(array(0)?.contains(&arguments[1]).into()),
        Function::ArrayGetItem => array(0)?.get(usize::try_from(integer(1)?).ok()?).cloned(),
        Function::ArrayLength => Some(array(0)?.len().into()),
        Function::ArrayPartition => partition(array(0)?, integer(1)?),
        Function::ArrayRange => range(integer(0)?, integer(1)?, integer(2)?),
        Function::ArrayUnique => Some(unique(array(0)?)),
        Function::Base64Decode => {
            let bytes = BASE64.decode(short(0)?).ok()?;
            Some(Value::String(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Function::Base64Encode => Some(BASE64.encode(short(0)?).into()),
        Function::Format => format(string(0)?, parts, &arguments[1..]),
        Function::Hash => hash(&plain(&arguments[0]), string(1)?),
        Function::JsonMerge => match *arguments[2] {
            // A deep merge is reserved: AWS refuses it.
            Value::Bool(false) => merge(arguments[0].as_object()?, arguments[1].as_object()?),
            _ => None,
        },
        Function::JsonToString => Some(to_text(&arguments[0]).into()),
        Function::MathAdd => add(integer(0)?, integer(1)?),
        Function::MathRandom => {
            let seed = match arguments.len() {
                3 => Some(integer(2)?),
                _ => None,
            };
            random(integer(0)?, integer(1)?, seed, moment)
        }
        Function::StringSplit => {
            let separators = string(1)?;
            let parts = string(0)?
                .split(|c| separators.contains(c))
                .filter(|part| !part.is_empty());
            Some(parts.map(Value::from).collect())
        }
        Function::StringToJson => serde_json::from_str(string(0)?).ok(),
        Function::Uuid => Some(moment.uuid().into()),
    }
}

/// A number as an integer: the nearest one, as AWS documents it, and of two the larger, as Java rounds.
fn integer(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| {
        let number = number.as_f64()?;
        (number.abs() < i64::MAX as f64).then_some((number + 0.5).floor() as i64)
    })
}

fn partition(items: &[Value], size: i64) -> Option<Value> {
    let size = usize::try_from(size).ok().filter(|size| *size > 0)?;
    Some(items.chunks(size).map(|chunk| Value::Array(chunk.to_vec())).collect())
}

/// From `start` to `end`, both included.
fn range(start: i64, end: i64, step: i64) -> Option<Value> {
    if step == 0 {
        return None;
    }
    let mut numbers = Vec::new();
    let mut next = Some(start);
    while let Some(number) = next.filter(|number| if step > 0 { *number <= end } else { end <= *number }) {
        if numbers.len() == MAX_RANGE {
            return None;
        }
        numbers.push(Value::from(number));
        next = number.checked_add(step);
    }
    Some(Value::Array(numbers))
}

/// The items without repetitions, each where it stood first.
fn unique(items: &[Value]) -> Value {
    let mut seen = std::collections::HashSet::new();
    items.iter().filter(|item| seen.insert(*item)).cloned().collect()
}

fn hash(data: &str, algorithm: &str) -> Option<Value> {
    if data.chars().count() > MAX_TEXT {
        return None;
    }
    digest(data, algorithm).map(Value::String)
}

/// The digest of a text in hexadecimal, or nothing if there is no such algorithm.
pub(in crate::query) fn digest(data: &str, algorithm: &str) -> Option<String> {
    let digest = match algorithm {
        "MD5" => Md5::digest(data).to_vec(),
        "SHA-1" => Sha1::digest(data).to_vec(),
        "SHA-256" => Sha256::digest(data).to_vec(),
        "SHA-384" => Sha384::digest(data).to_vec(),
        "SHA-512" => Sha512::digest(data).to_vec(),
        _ => return None,
    };
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The fields of both; where both have one, that of the second.
fn merge(first: &Map<String, Value>, second: &Map<String, Value>) -> Option<Value> {
    let mut merged = first.clone();
    merged.extend(second.iter().map(|(name, value)| (name.clone(), value.clone())));
    Some(Value::Object(merged))
}

fn add(left: i64, right: i64) -> Option<Value> {
    let (left, right) = (i32::try_from(left).ok()?, i32::try_from(right).ok()?);
    Some((i64::from(left) + i64::from(right)).into())
}

/// From `start` to `end`, the latter excluded.
fn random(start: i64, end: i64, seed: Option<i64>, moment: &Moment) -> Option<Value> {
    let width = end
        .checked_sub(start)
        .and_then(|width| u64::try_from(width).ok())
        .filter(|width| *width > 0)?;
    let drawn = match seed {
        Some(seed) => Seeded::new(seed).below(width),
        None => moment.draw() % width,
    };
    Some(start.checked_add_unsigned(drawn)?.into())
}

/// The first argument with each `{}` replaced by the next one of the others.
fn format(template: &str, parts: Option<&[Box<str>]>, arguments: &[Cow<'_, Value>]) -> Option<Value> {
    let parts: Vec<&str> = match parts {
        Some(parts) => parts.iter().map(|part| &**part).collect(),
        None => template.split("{}").collect(),
    };
    let (first, others) = parts.split_first()?;
    if others.len() != arguments.len() {
        return None;
    }
    let mut text = (*first).to_owned();
    for (argument, part) in arguments.iter().zip(others) {
        text.push_str(&plain(argument));
        text.push_str(part);
    }
    Some(text.into())
}

/// A value as Java prints it in running text: strings bare, `{a=1, b=[]}` for an object.
fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        value => {
            let mut text = String::new();
            print(value, &mut text);
            Cow::Owned(text)
        }
    }
}

fn print(value: &Value, out: &mut String) {
    let mut separator = "";
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) if number.is_f64() => out.push_str(&text::double(number.as_f64().unwrap_or_default())),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                out.push_str(separator);
                print(item, out);
                separator = ", ";
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (name, field) in fields {
                out.push_str(separator);
                out.push_str(name);
                out.push('=');
                print(field, out);
                separator = ", ";
            }
            out.push('}');
        }
    }
}
