//! Atlassian Document Format to plain text.

use serde_json::Value;

/// Deepest nesting that is read: what lies deeper is left out. JSON itself is only read to 128 levels, two of which
/// make one of a document.
const MAX_DEPTH: usize = 64;

/// The text of a document: a line for each block, list items marked, inline nodes as they would be read.
pub fn text(document: &Value) -> String {
    let mut out = String::new();
    node(document, "", MAX_DEPTH, &mut out);
    out.truncate(out.trim_end().len());
    out
}

fn node(value: &Value, marker: &str, depth: usize, out: &mut String) {
    let attribute = |name: &str| {
        value
            .get("attrs")
            .and_then(|attrs| attrs.get(name))
            .and_then(Value::as_str)
    };
    match value.get("type").and_then(Value::as_str).unwrap_or_default() {
        "text" => out.push_str(value.get("text").and_then(Value::as_str).unwrap_or_default()),
        "hardBreak" => out.push('\n'),
        "rule" => block(out, |out| out.push_str("---")),
        "mention" | "status" => out.push_str(attribute("text").unwrap_or_default()),
        "emoji" => out.push_str(attribute("text").or(attribute("shortName")).unwrap_or_default()),
        "inlineCard" | "blockCard" | "embedCard" => out.push_str(attribute("url").unwrap_or_default()),
        "date" => out.push_str(&date(attribute("timestamp").unwrap_or_default())),
        "media" | "mediaInline" => out.push_str(attribute("alt").unwrap_or_default()),
        "bulletList" | "taskList" | "decisionList" => children(value, "- ", depth, out),
        "orderedList" => {
            let first = value
                .get("attrs")
                .and_then(|attrs| attrs.get("order"))
                .and_then(Value::as_u64)
                .unwrap_or(1);
            for (child, number) in content(value).zip(first..) {
                descend(child, &format!("{number}. "), depth, out);
            }
        }
        "listItem" | "taskItem" | "decisionItem" => block(out, |out| {
            out.push_str(marker);
            children(value, "", depth, out);
        }),
        "tableRow" => block(out, |out| {
            for (index, cell) in content(value).enumerate() {
                if 0 < index {
                    out.push_str(" | ");
                }
                descend(cell, "", depth, out);
                out.truncate(out.trim_end_matches('\n').len());
            }
        }),
        // A cell's place is given by its row, and its first paragraph starts where the cell does.
        "tableCell" | "tableHeader" | "doc" => children(value, "", depth, out),
        "paragraph" | "heading" | "codeBlock" | "blockquote" | "panel" | "table" | "mediaSingle" | "mediaGroup"
        | "caption" | "expand" | "nestedExpand" => block(out, |out| children(value, "", depth, out)),
        _ => match content(value).next() {
            Some(_) => children(value, "", depth, out),
            None => out.push_str(attribute("text").unwrap_or_default()),
        },
    }
}

fn content(value: &Value) -> impl Iterator<Item = &Value> {
    value.get("content").and_then(Value::as_array).into_iter().flatten()
}

fn children(value: &Value, marker: &str, depth: usize, out: &mut String) {
    content(value).for_each(|child| descend(child, marker, depth, out));
}

fn descend(child: &Value, marker: &str, depth: usize, out: &mut String) {
    if let Some(depth) = depth.checked_sub(1) {
        node(child, marker, depth, out);
    }
}

/// Writes a block on lines of its own; the first one inside a list item or a table cell stays behind its marker.
fn block(out: &mut String, write: impl FnOnce(&mut String)) {
    write(out);
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

/// A date's day, from its epoch milliseconds in digits.
fn date(timestamp: &str) -> String {
    let Ok(time) = timestamp.parse::<crate::Time>() else {
        return timestamp.to_owned();
    };
    time.to_string().chars().take_while(|c| *c != 'T').collect()
}
