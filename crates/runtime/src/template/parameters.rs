//! The values of the template's parameters: from the settings, else their defaults, checked as CloudFormation does.

use std::collections::BTreeMap;

use regex::Regex;

use super::{
    Settings,
    node::{Node, Position, Value},
};

/// One parameter's value.
pub(super) struct Parameter {
    pub(super) value: Node,
    /// The value is a secret: it is used, and shown nowhere.
    pub(super) no_echo: bool,
}

const KNOWN: [&str; 11] = [
    "AllowedPattern",
    "AllowedValues",
    "ConstraintDescription",
    "Default",
    "Description",
    "MaxLength",
    "MaxValue",
    "MinLength",
    "MinValue",
    "NoEcho",
    "Type",
];

/// All parameters of the template's section, and what is wrong with them.
pub(super) fn read<'t>(
    section: Option<&'t Node>,
    settings: &Settings,
    problems: &mut Vec<(Position, String)>,
) -> BTreeMap<&'t str, Parameter> {
    let declared = section.map_or(&[][..], Node::entries);
    let at = section.map_or(Position::START, |section| section.at);
    for name in settings.parameters.keys() {
        if !declared.iter().any(|entry| entry.key == *name) {
            problems.push((at, format!("there is no parameter {name} to give a value to")));
        }
    }
    let mut parameters = BTreeMap::new();
    for entry in declared {
        let no_echo = entry.value.get("NoEcho").and_then(Node::as_text) == Some("true");
        let value = match value(&entry.key, &entry.value, settings.parameters.get(&entry.key)) {
            Ok(value) => value,
            Err((at, message)) => {
                problems.push((at.unwrap_or(entry.at), format!("parameter {}: {message}", entry.key)));
                Value::Invalid
            }
        };
        let value = Node { at: entry.at, value };
        parameters.insert(entry.key.as_str(), Parameter { value, no_echo });
    }
    parameters
}

type Refusal = (Option<Position>, String);

fn value(name: &str, declaration: &Node, given: Option<&String>) -> Result<Value, Refusal> {
    for entry in declaration.entries() {
        if !KNOWN.contains(&entry.key.as_str()) {
            return Err((
                Some(entry.at),
                format!("{} is not a property of a parameter", entry.key),
            ));
        }
    }
    let no_echo = declaration.get("NoEcho").and_then(Node::as_text) == Some("true");
    let type_name = declaration
        .get("Type")
        .and_then(Node::as_text)
        .ok_or((None, "it has no Type".into()))?;
    let text = match (given, declaration.get("Default")) {
        (Some(given), _) => given.clone(),
        (None, Some(default)) => default
            .as_text()
            .ok_or((Some(default.at), format!("Default is {}", default.kind())))?
            .to_owned(),
        (None, None) => {
            return Err((
                None,
                format!("it has no Default: give it with --parameter {name}=VALUE"),
            ));
        }
    };
    if type_name.starts_with("AWS::SSM::Parameter::") {
        return Err((
            None,
            format!("the type {type_name} is not supported: there is no Parameter Store here"),
        ));
    }
    let is_list = type_name == "CommaDelimitedList" || type_name.starts_with("List<");
    let items: Vec<&str> = if is_list {
        text.split(',').map(str::trim).collect()
    } else {
        vec![&text]
    };
    let numeric = matches!(type_name, "Number" | "List<Number>");
    for item in &items {
        constraints(declaration, item, numeric).map_err(|rule| {
            let shown = if no_echo {
                "the value".to_owned()
            } else {
                format!("{item:?}")
            };
            let hint = declaration.get("ConstraintDescription").and_then(Node::as_text);
            let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            (None, format!("{shown} {rule}{hint}"))
        })?;
    }
    if is_list {
        let at = declaration.at;
        return Ok(Value::List(
            items.into_iter().map(|item| Node::text(at, item)).collect(),
        ));
    }
    Ok(if numeric {
        Value::Number(text)
    } else {
        Value::Text(text)
    })
}

fn constraints(declaration: &Node, value: &str, numeric: bool) -> Result<(), String> {
    let text = |key: &str| declaration.get(key).and_then(Node::as_text);
    let bound = |key: &str| text(key).and_then(|text| text.parse::<f64>().ok());
    let allowed = declaration.get("AllowedValues").map(Node::items);
    if let Some(allowed) = allowed.filter(|allowed| !allowed.iter().any(|item| item.as_text() == Some(value))) {
        let allowed: Vec<&str> = allowed.iter().filter_map(Node::as_text).collect();
        return Err(format!("is not one of {}", allowed.join(", ")));
    }
    if let Some(pattern) = text("AllowedPattern") {
        let whole = Regex::new(&format!("^(?:{pattern})$"));
        let whole = whole.map_err(|_| format!("cannot be checked: AllowedPattern {pattern} is not understood"))?;
        if !whole.is_match(value) {
            return Err(format!("does not match {pattern}"));
        }
    }
    let measure = if numeric {
        value.parse::<f64>().map_err(|_| "is not a number".to_owned())?
    } else {
        value.chars().count() as f64
    };
    let (least, most) = if numeric {
        ("MinValue", "MaxValue")
    } else {
        ("MinLength", "MaxLength")
    };
    let what = if numeric { "is" } else { "has a length" };
    if let Some(least) = bound(least).filter(|least| measure < *least) {
        return Err(format!("{what} below {least}"));
    }
    if let Some(most) = bound(most).filter(|most| *most < measure) {
        return Err(format!("{what} above {most}"));
    }
    Ok(())
}
