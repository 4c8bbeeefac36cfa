//! Values into the evaluator and out of it.

use std::borrow::Cow;
use std::rc::Rc;

use jsonata_core::value::{JArray, JMap, JValue, with_stack};
use serde_json::{Map, Number, Value};

use crate::query::MAX_NESTING;

/// How large a result may be, counting eight bytes a number: what AWS gives an expression.
pub(super) const MAX_BYTES: usize = 6_990_256;

/// Why a result is no JSON that may leave the evaluator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    Function,
    TooLarge,
    TooDeep,
}

pub(super) fn from_value(value: &Value) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(truth) => JValue::Bool(*truth),
        Value::Number(number) => JValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => JValue::string(text.as_str()),
        Value::Array(items) => {
            let flat = !items.iter().any(Value::is_array);
            with_stack(|| JValue::Array(JArray::new_flat(items.iter().map(from_value).collect(), flat)))
        }
        Value::Object(fields) => {
            with_stack(|| object(fields.iter().map(|(name, field)| (name.clone(), from_value(field)))))
        }
    }
}

/// A value that passes through an expression unchanged: but for its numbers, which AWS writes as it does those that
/// were computed.
pub(super) fn plain(value: &Value) -> Cow<'_, Value> {
    if is_plain(value) {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(with_plain_numbers(value))
    }
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Number(number) => *value == plain_number(number),
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(fields) => fields.values().all(is_plain),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

fn with_plain_numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => plain_number(number),
        Value::Array(items) => items.iter().map(with_plain_numbers).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), with_plain_numbers(field)))
            .collect(),
        other => other.clone(),
    }
}

/// Integers stay exact as long as they are `long`s.
fn plain_number(value: &Number) -> Value {
    match value.as_i64() {
        Some(integer) => Value::from(integer),
        None => number(value.as_f64().unwrap_or(f64::NAN)),
    }
}

pub(super) fn object(fields: impl Iterator<Item = (String, JValue)>) -> JValue {
    JValue::Object(Rc::new(JMap::from_iter(fields)))
}

pub(super) fn to_value(value: &JValue) -> Result<Value, Unfit> {
    Budget { bytes: MAX_BYTES }.value(value, 0)
}

/// How large a value is when it is written out. Parts of it may be shared, so that it is small in memory and endless as
/// text.
pub(super) fn measure(value: &JValue) -> Result<usize, Unfit> {
    let mut budget = Budget { bytes: MAX_BYTES };
    budget.measure(value, 0)?;
    Ok(MAX_BYTES - budget.bytes)
}

/// A text that equal values have in common, and no others: that of the fields in the order of their names.
pub(super) fn key(value: &JValue) -> String {
    let mut key = String::new();
    add_key(value, &mut key);
    key
}

fn add_key(value: &JValue, key: &mut String) {
    use std::fmt::Write;
    let written = match value {
        JValue::Array(items) => {
            key.push('[');
            items.iter().for_each(|item| {
                with_stack(|| add_key(item, key));
                key.push(',');
            });
            write!(key, "]")
        }
        JValue::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            key.push('{');
            for (name, field) in fields {
                // As a literal, so that no name can end it.
                let _ = write!(key, "{name:?}:");
                with_stack(|| add_key(field, key));
                key.push(',');
            }
            write!(key, "}}")
        }
        JValue::String(text) => write!(key, "{text:?}"),
        // The sign of zero makes no difference.
        JValue::Number(number) => write!(key, "{}", number + 0.0),
        other => write!(key, "{other:?}"),
    };
    written.expect("writing to memory does not fail");
}

/// What is left of the size that a result may have.
struct Budget {
    bytes: usize,
}

impl Budget {
    fn spend(&mut self, bytes: usize) -> Result<(), Unfit> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(Unfit::TooLarge)?;
        Ok(())
    }

    /// As [`Budget::value`], without making the value.
    fn measure(&mut self, value: &JValue, depth: usize) -> Result<(), Unfit> {
        if depth > MAX_NESTING {
            return Err(Unfit::TooDeep);
        }
        match value {
            JValue::Number(_) => self.spend(size_of::<f64>()),
            JValue::String(text) => self.spend(text.len()),
            JValue::Array(items) => {
                self.spend(size_of::<f64>())?;
                items.iter().try_for_each(|item| self.measure(item, depth + 1))
            }
            JValue::Object(fields) => {
                self.spend(size_of::<f64>())?;
                fields.iter().try_for_each(|(name, field)| {
                    self.spend(name.len())?;
                    self.measure(field, depth + 1)
                })
            }
            _ => self.spend(size_of::<f64>()),
        }
    }

    fn value(&mut self, value: &JValue, depth: usize) -> Result<Value, Unfit> {
        if depth > MAX_NESTING {
            return Err(Unfit::TooDeep);
        }
        match value {
            JValue::Null | JValue::Undefined => Ok(Value::Null),
            JValue::Bool(truth) => Ok(Value::Bool(*truth)),
            JValue::Number(value) => {
                self.spend(size_of::<f64>())?;
                Ok(number(*value))
            }
            JValue::String(text) => {
                self.spend(text.len())?;
                Ok(Value::String(text.to_string()))
            }
            JValue::Array(items) => {
                self.spend(size_of::<f64>())?;
                items
                    .iter()
                    .map(|item| self.value(item, depth + 1))
                    .collect::<Result<_, _>>()
                    .map(Value::Array)
            }
            JValue::Object(fields) => {
                self.spend(size_of::<f64>())?;
                let mut object = Map::with_capacity(fields.len());
                for (name, field) in fields.iter() {
                    self.spend(name.len())?;
                    object.insert(name.clone(), self.value(field, depth + 1)?);
                }
                Ok(Value::Object(object))
            }
            JValue::Lambda(_) | JValue::Builtin { .. } | JValue::Regex { .. } => Err(Unfit::Function),
        }
    }
}

/// A number as AWS writes it: whole ones as integers, and those that are none by their name.
fn number(value: f64) -> Value {
    // The largest integer below which every float is one that fits.
    const LARGEST: f64 = i64::MAX as f64;
    if value.fract() == 0.0 && value.abs() < LARGEST {
        return Value::from(value as i64);
    }
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::from("NaN"),
        None if value > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    }
}
