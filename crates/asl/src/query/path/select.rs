//! Following the steps of an indefinite path.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Step;
use crate::query::Budget;

/// All values that `steps` name from `start`, in document order, as far as the budget goes. `document` is what `$`
/// means inside a filter.
pub(super) fn all<'a>(steps: &[Step], start: &'a Value, document: &'a Value, budget: &Budget) -> Vec<Cow<'a, Value>> {
    let Some((last, inner)) = steps.split_last() else {
        return vec![Cow::Borrowed(start)];
    };
    let mut found = vec![start];
    for step in inner {
        let mut next = Vec::new();
        for value in found {
            take(step, value, document, budget, &mut next);
        }
        found = next;
    }
    let mut results = Vec::new();
    for value in found {
        match last {
            // Only here can a step make a value that is not part of the document.
            Step::Properties(names) => results.extend(merged_if_object(value, names)),
            Step::Descend(step) if matches!(**step, Step::Properties(_)) => {
                let Step::Properties(names) = &**step else {
                    continue;
                };
                let merged = containers(value, budget).filter_map(|value| merged_if_object(value, names));
                results.extend(merged.take_while(|merged| budget.copy(merged)));
            }
            step => {
                let mut next = Vec::new();
                take(step, value, document, budget, &mut next);
                results.extend(next.into_iter().map(Cow::Borrowed));
            }
        }
    }
    results
}

/// The list of what was found; nothing if that is more than the budget.
pub(super) fn list(found: Vec<Cow<'_, Value>>, budget: &Budget) -> Option<Value> {
    let copies = found.into_iter().map_while(|value| match value {
        Cow::Owned(value) => Some(value),
        Cow::Borrowed(value) => budget.copy(value).then(|| value.clone()),
    });
    let list = copies.collect();
    (!budget.is_spent()).then_some(Value::Array(list))
}

/// Adds what one step names from `value`.
fn take<'a>(step: &Step, value: &'a Value, document: &'a Value, budget: &Budget, found: &mut Vec<&'a Value>) {
    let looks = match (step, value) {
        (Step::Indexes(indexes), _) => indexes.len(),
        (Step::Slice { .. } | Step::Wildcard | Step::Filter(_), Value::Array(items)) => 1 + items.len(),
        (Step::Wildcard, Value::Object(fields)) => 1 + fields.len(),
        _ => 1,
    };
    if !budget.look(looks) {
        return;
    }
    match (step, value) {
        (Step::Property(name), Value::Object(fields)) => found.extend(fields.get(&**name)),
        (Step::Index(index), Value::Array(items)) => found.push(element_or_null(items, *index)),
        (Step::Indexes(indexes), Value::Array(items)) => {
            found.extend(indexes.iter().map(|index| element_or_null(items, *index)));
        }
        (Step::Slice { from, to }, Value::Array(items)) => slice(items, *from, *to, found),
        (Step::Wildcard, Value::Array(items)) => found.extend(items),
        (Step::Wildcard, Value::Object(fields)) => found.extend(fields.values()),
        (Step::Filter(filter), Value::Array(items)) => {
            found.extend(items.iter().filter(|item| filter.accepts(item, document, budget)));
        }
        // Jayway's habit: an object is tested itself, not its fields.
        (Step::Filter(filter), Value::Object(_)) if filter.accepts(value, document, budget) => found.push(value),
        (Step::Descend(step), _) => descend(step, value, document, budget, found),
        _ => {}
    }
}

fn descend<'a>(step: &Step, value: &'a Value, document: &'a Value, budget: &Budget, found: &mut Vec<&'a Value>) {
    for container in containers(value, budget) {
        match step {
            // Every object in the tree is tested where it stands, so testing the elements of arrays too would find it
            // twice.
            Step::Filter(_) if container.is_array() => {}
            step => take(step, container, document, budget, found),
        }
    }
}

/// The objects and arrays of a tree, each before what it holds. Iterative: the depth of a value is not ours to choose.
fn containers<'a>(value: &'a Value, budget: &Budget) -> impl Iterator<Item = &'a Value> {
    let mut stack = vec![value];
    std::iter::from_fn(move || {
        loop {
            let value = stack.pop().filter(|_| budget.look(1))?;
            match value {
                Value::Object(fields) => stack.extend(fields.values().rev()),
                Value::Array(items) => stack.extend(items.iter().rev()),
                _ => continue,
            }
            return Some(value);
        }
    })
}

/// The element at `index`, from the end if negative.
pub(in crate::query) fn element(items: &[Value], index: i64) -> Option<&Value> {
    items.get(position(index, items.len())?)
}

/// What a path finds at `index`: beside the array that is `null`, as Jackson's arrays answer Jayway.
pub(super) fn element_or_null(items: &[Value], index: i64) -> &Value {
    element(items, index).unwrap_or(&Value::Null)
}

fn position(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 {
        index.checked_add_unsigned(length as u64)?
    } else {
        index
    };
    usize::try_from(index).ok()
}

/// Jayway's slices: a bound from the end counts as such where it stands alone; in `[from:to]` the indexes run from one
/// number to the other, so that `[1:-1]` is empty.
fn slice<'a>(items: &'a [Value], from: Option<i64>, to: Option<i64>, found: &mut Vec<&'a Value>) {
    let length = items.len();
    let end = i64::try_from(length).unwrap_or(i64::MAX);
    match (from, to) {
        (from, None) => {
            let from = from.map_or(0, |from| position(from, length).unwrap_or(0));
            found.extend(items.iter().skip(from));
        }
        (None, Some(to)) => found.extend(items.iter().take(position(to, length).unwrap_or(0))),
        (Some(from), Some(to)) => {
            // Indexes before the first element name nothing.
            let indexes = from.max(-end)..to.min(end);
            found.extend(indexes.filter_map(|index| element(items, index)));
        }
    }
}

/// The object of those properties that are there.
pub(super) fn merged(fields: &Map<String, Value>, names: &[Box<str>]) -> Value {
    let fields = names.iter().filter_map(|name| fields.get_key_value(&**name));
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn merged_if_object<'a>(value: &Value, names: &[Box<str>]) -> Option<Cow<'a, Value>> {
    value.as_object().map(|fields| Cow::Owned(merged(fields, names)))
}
