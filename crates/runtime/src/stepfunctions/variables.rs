//! Which variables each state of a definition refers to, as DescribeStateMachine tells it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The names of the variables, without `$` and in order, by the name of the state that refers to them.
pub(super) type References = BTreeMap<String, BTreeSet<String>>;

/// How the strings of a state are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    JsonPath,
    Jsonata,
}

/// The references of all states, those of branches and item processors too; a state without any is left out.
pub(super) fn references(definition: &Value) -> References {
    let mut references = References::new();
    flow(definition, Language::JsonPath, &mut references);
    references
}

/// Reads a state machine, a branch or an item processor.
fn flow(flow: &Value, outer: Language, references: &mut References) {
    let language = language(flow, outer);
    let Some(states) = flow.get("States").and_then(Value::as_object) else {
        return;
    };
    for (name, state) in states {
        let own = self::language(state, language);
        let mut names = BTreeSet::new();
        if let Some(fields) = state.as_object() {
            state_fields(fields, own, &mut names);
        }
        if !names.is_empty() {
            references.entry(name.clone()).or_default().extend(names);
        }
        for (inner, _) in inner_flows(state) {
            self::flow(inner, language, references);
        }
    }
}

fn language(scope: &Value, outer: Language) -> Language {
    match scope.get("QueryLanguage").and_then(Value::as_str) {
        Some("JSONata") => Language::Jsonata,
        Some("JSONPath") => Language::JsonPath,
        _ => outer,
    }
}

/// The flows inside a Parallel or Map state, each with the place where it stands.
pub(super) fn inner_flows(state: &Value) -> impl Iterator<Item = (&Value, String)> {
    let branches = state.get("Branches").and_then(Value::as_array).into_iter().flatten();
    let branches = branches
        .enumerate()
        .map(|(index, branch)| (branch, format!("/Branches[{index}]")));
    let processors = ["ItemProcessor", "Iterator"].into_iter();
    branches.chain(processors.filter_map(|field| Some((state.get(field)?, format!("/{field}")))))
}

fn state_fields(fields: &Map<String, Value>, language: Language, names: &mut BTreeSet<String>) {
    for (field, value) in fields {
        match field.as_str() {
            "Branches" | "ItemProcessor" | "Iterator" | "Comment" | "Result" | "ResultPath" => {}
            _ if language == Language::Jsonata => jsonata_strings(value, names),
            _ => paths(field, value, names),
        }
    }
}

/// Reads a field of a JSONPath state and what lies below it: templates' `….$` members and the fields that are paths.
fn paths(field: &str, value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if field.ends_with(".$") || field.ends_with("Path") || field == "Variable" => {
            scan(text, Language::JsonPath, names);
        }
        Value::Object(members) => {
            for (name, member) in members {
                // A Catcher's ResultPath writes to the payload, it reads no variable.
                if name != "ResultPath" {
                    paths(name, member, names);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths("", item, names)),
        _ => {}
    }
}

fn jsonata_strings(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let expression = text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}"));
            if let Some(expression) = expression {
                let mut found = BTreeSet::new();
                scan(expression, Language::Jsonata, &mut found);
                names.extend(found);
            }
        }
        Value::Object(members) => members.values().for_each(|member| jsonata_strings(member, names)),
        Value::Array(items) => items.iter().for_each(|item| jsonata_strings(item, names)),
        _ => {}
    }
}

/// Finds `$name` in a path, an intrinsic function or a JSONata expression.
///
/// Lexical: quoted texts and comments are skipped, `$$` and `$.` are no variables. In JSONata, `$states`, functions
/// and names that the expression binds itself are none either.
fn scan(text: &str, language: Language, names: &mut BTreeSet<String>) {
    let jsonata = language == Language::Jsonata;
    let mut bound = BTreeSet::from(["states".to_owned()]);
    let mut found = BTreeSet::new();
    let mut parameters = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '\'' => skip_quoted(rest, '\''),
            '"' if jsonata => skip_quoted(rest, '"'),
            '`' if jsonata => skip_quoted(rest, '`'),
            '/' if jsonata && rest.starts_with("/*") => rest.split_once("*/").map_or("", |(_, after)| after),
            '$' if rest.starts_with("$$") => &rest[2..],
            '$' => {
                let after = &rest[1..];
                let end = after
                    .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .unwrap_or(after.len());
                let (name, after) = after.split_at(end);
                let follows = after.trim_start();
                if name.is_empty() {
                } else if jsonata && (parameters || follows.starts_with(":=")) {
                    bound.insert(name.to_owned());
                } else if !(jsonata && (follows.starts_with('(') || is_function(name))) {
                    found.insert(name.to_owned());
                }
                after
            }
            _ if jsonata && (rest.starts_with("function") || rest.starts_with('λ')) => {
                let after = rest.trim_start_matches("function").trim_start_matches('λ');
                parameters = after.trim_start().starts_with('(');
                after
            }
            ')' => {
                parameters = false;
                &rest[1..]
            }
            other => &rest[other.len_utf8()..],
        };
    }
    match jsonata {
        true => names.extend(found.difference(&bound).cloned()),
        false => names.extend(found),
    }
}

/// What follows the quoted text at the beginning of `text`.
fn skip_quoted(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return &text[index + character.len_utf8()..],
            _ => {}
        }
    }
    ""
}

/// Whether JSONata has a function of this name, which an expression may hand to another (`$map(x, $string)`).
fn is_function(name: &str) -> bool {
    // AWS takes `$eval` away, but knows that it is none of the variables.
    name == "eval" || asl::query::JSONATA_FUNCTIONS.contains(&name)
}

#[cfg(test)]
mod tests;
