//! What a distributed Map makes of a data set: the items that its `ItemReader` reads, and the batches of its
//! `ItemBatcher`.
//!
//! Only tests of a single state come here: they bring the data, which the interpreter itself has no way to get.

use serde_json::{Map, Value, json};

use crate::Json;
use crate::advance::{Fault, MAX_PAYLOAD_BYTES, Transition};
use crate::definition::{Batcher, Format, Reader};
use crate::event::{Failure, FrameId};
use crate::query::{Template, to_text};
use crate::state::container::select_item;
use crate::state::{Seen, Work, too_large};

/// What the items of a test may come to in bytes. A selector, a table's header or the input of batches is repeated with
/// each item, so that data within its bound could come to gigabytes.
const MAX_ITEMS_BYTES: usize = 8 << 20;

/// Adds up what items come to, up to the bound.
#[derive(Default)]
struct Size(usize);

impl Size {
    fn add(&mut self, work: &Work<'_>, bytes: usize) -> Result<(), Fault> {
        self.0 = self.0.saturating_add(bytes);
        match self.0 <= MAX_ITEMS_BYTES {
            true => Ok(()),
            false => Err(too_large(&work.entered.name).into()),
        }
    }
}

/// The inputs that `ItemSelector` makes of all items.
pub(crate) fn select(
    transition: &Transition<'_>,
    frame: FrameId,
    work: &Work<'_>,
    selector: &Template,
    items: &Json,
) -> Result<Json, Fault> {
    let mut size = Size::default();
    let mut inputs = Vec::new();
    for (index, item) in (0..).zip(items.value().as_array().into_iter().flatten()) {
        let input = select_item(transition, frame, work.state, selector, index, item.clone())?;
        size.add(work, input.text().len())?;
        inputs.push(input.value().clone());
    }
    Ok(Value::Array(inputs).into())
}

/// The items of `data`, the text that the reader's resource would give.
pub(crate) fn read(work: &Work<'_>, transition: &Transition<'_>, reader: &Reader, data: &str) -> Result<Json, Fault> {
    let max_items = work.number(transition, &reader.max_items)?;
    let mut items = match &reader.format {
        Format::Json => match (parse(data)?, &reader.items_pointer) {
            (document, None) => document,
            (mut document, Some(pointer)) => {
                let items = document.pointer_mut(pointer).map(Value::take);
                let missing = || unreadable(format!("ItemsPointer '{pointer}' leads nowhere"));
                let items = items.ok_or_else(missing)?;
                transition.observe(|stages| stages.after_items_pointer = Some(items.clone().into()));
                items
            }
        },
        Format::JsonLines => {
            let lines = data.lines().filter(|line| !line.trim().is_empty());
            Value::Array(lines.map(parse).collect::<Result<_, _>>()?)
        }
        Format::Csv { headers, delimiter } => table(work, data, headers.as_deref(), *delimiter)?,
    };
    // An object's members are items, too.
    if let Value::Object(members) = items {
        let members = members.into_iter();
        items = members
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
    }
    let Value::Array(mut items) = items else {
        return Err(unreadable("The items must be an array or an object".into()));
    };
    if let Some(most) = max_items.filter(|most| *most > 0) {
        items.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    }
    Ok(Value::Array(items).into())
}

fn parse(text: &str) -> Result<Value, Fault> {
    serde_json::from_str(text).map_err(|error| unreadable(format!("The data is not JSON: {error}")))
}

fn unreadable(cause: String) -> Fault {
    Failure::new("States.ItemReaderFailed", cause).into()
}

/// The rows of a table as objects: every value is a text, and a row may be shorter than its header.
fn table(work: &Work<'_>, data: &str, headers: Option<&[String]>, delimiter: char) -> Result<Value, Fault> {
    let mut rows = rows(data, delimiter).into_iter();
    let headers = match headers {
        Some(headers) => headers.to_vec(),
        None => rows.next().unwrap_or_default(),
    };
    let header: usize = headers.iter().map(|header| header.len() + 1).sum();
    Size::default().add(work, header.saturating_mul(rows.len()))?;
    let rows = rows.map(|row| {
        let mut row = row.into_iter();
        let members = headers.iter().map(|header| {
            let value = row.next().unwrap_or_default();
            (header.clone(), Value::String(value))
        });
        Value::Object(members.collect())
    });
    Ok(rows.collect())
}

/// The cells of each row. In quotes a cell may have delimiters and ends of lines, and a quote is written twice.
fn rows(data: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (mut row, mut cell) = (Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = data.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            character if character == delimiter && !quoted => row.push(std::mem::take(&mut cell)),
            character => cell.push(character),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows.retain(|row| row.iter().any(|cell| !cell.is_empty()));
    rows
}

/// The items put together into batches, each as large as it may be.
pub(crate) fn batch(
    work: &Work<'_>,
    transition: &Transition<'_>,
    batcher: &Batcher,
    items: &[Value],
) -> Result<Json, Fault> {
    let most = |number: Option<u64>, otherwise: usize| {
        let number = number.filter(|number| *number > 0);
        number.map_or(otherwise, |number| usize::try_from(number).unwrap_or(usize::MAX))
    };
    let max_items = most(work.number(transition, &batcher.max_items)?, usize::MAX);
    let max_bytes = most(work.number(transition, &batcher.max_bytes)?, MAX_PAYLOAD_BYTES);
    let input = match &batcher.input {
        Some(template) => {
            let root = work.effective_input(transition)?;
            Some(work.evaluate(transition, template, &root, Seen::default())?)
        }
        None => None,
    };
    let mut batches: Vec<Vec<Value>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let size = to_text(item).len() + 1;
        bytes += size;
        match batches
            .last_mut()
            .filter(|last| last.len() < max_items && bytes <= max_bytes)
        {
            Some(last) => last.push(item.clone()),
            None => {
                bytes = size;
                batches.push(vec![item.clone()]);
            }
        }
    }
    let repeated = input.as_ref().map_or(0, |input| to_text(input).len());
    Size::default().add(work, repeated.saturating_mul(batches.len()))?;
    let batches = batches.into_iter().map(|items| {
        let mut batch = Map::new();
        if let Some(input) = &input {
            batch.insert("BatchInput".into(), input.clone());
        }
        batch.insert("Items".into(), Value::Array(items));
        Value::Object(batch)
    });
    Ok(batches.collect::<Value>().into())
}

#[cfg(test)]
mod tests;
