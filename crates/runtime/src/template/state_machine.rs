//! `AWS::Serverless::StateMachine`: its definition, read and with its substitutions made.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::stepfunctions;

use super::{
    DefinitionSource, LogicalId, MachineType, Problem, Severity, StateMachineResource, Subject, Target,
    events::Events,
    json,
    loader::Context,
    names,
    node::{self, Node, Position, SyntaxError, Value},
    policies,
    properties::Properties,
    resolver::Resource,
};

/// The largest definition that Step Functions takes.
const MAX_DEFINITION_BYTES: u64 = 1 << 20;

const IGNORED: [&str; 9] = [
    "DeploymentPreference",
    "EncryptionConfiguration",
    "Logging",
    "Name",
    "PermissionsBoundary",
    "PropagateTags",
    "RolePath",
    "Tags",
    "Tracing",
];

pub(super) fn read(
    resource: &Resource<'_>,
    context: &Context<'_>,
    events: &mut Events,
) -> Option<StateMachineResource> {
    let resolver = context.resolver;
    let mut properties = Properties::new(resolver, resource.id, &resource.properties);
    properties.ignore(&IGNORED);
    properties.ignore(&["UseAliasAsEventTarget"]);
    properties.ignore(&policies::PROPERTIES);
    let express = properties
        .one_of("Type", &["STANDARD", "EXPRESS"])
        .is_some_and(|kind| kind == "EXPRESS");
    let alias = properties.text("AutoPublishAlias");
    if let Some(alias) = alias.as_ref().filter(|alias| !stepfunctions::is_alias_name(alias)) {
        let at = properties.position_of("AutoPublishAlias");
        properties.report(at, format!("{alias} cannot be the name of a state machine's alias"));
    }
    let substitutions = substitutions(&mut properties);
    let mut substituter = Substituter {
        id: resource.id,
        context,
        given: substitutions,
        used: BTreeSet::new(),
        missing: BTreeSet::new(),
    };
    let definition = definition(&mut properties, &mut substituter);
    let declared = properties.raw("Events");
    properties.finish();

    let name = resolver.physical_name(resource.id)?;
    let arn = names::state_machine_arn(&resolver.settings.region, &name);
    if let Some(declared) = declared {
        events.read(
            resource.id,
            &Target::StateMachine(arn.clone()),
            &declared.value,
            context,
        );
    }
    // Of a definition that could not be read nothing is known, nor what it uses.
    let (definition, mut source) = definition?;
    substituter.report_unused();
    source.missing = substituter.missing;
    Some(StateMachineResource {
        logical_id: LogicalId(resource.id.to_owned()),
        name,
        arn,
        machine_type: if express {
            MachineType::Express
        } else {
            MachineType::Standard
        },
        definition,
        source,
        alias,
        subject: subject(resource, context),
        role: policies::role(resource, context),
    })
}

fn subject(resource: &Resource<'_>, context: &Context<'_>) -> Option<Subject> {
    let metadata = resource.metadata?;
    let resolver = context.resolver;
    let at = metadata.get("Subject")?;
    let given = match at.items() {
        [] => std::slice::from_ref(at),
        several => several,
    };
    let mut texts = Vec::with_capacity(given.len());
    for one in given {
        let problem = match one.as_text().map(asl::query::Expression::parse) {
            Some(Ok(text)) => {
                texts.push(text);
                continue;
            }
            Some(Err(error)) => format!("{}: Subject is not a path: {error}", resource.id),
            None => format!("{}: Subject must be a path such as $.order.id, or several", resource.id),
        };
        resolver.report(one.at, problem);
    }
    let link = metadata.get("SubjectLink");
    // It becomes a link of a page: anything else than an address could be run by it.
    let safe =
        |text: &str| ["/", "https://", "http://"].iter().any(|start| text.starts_with(start)) && text.contains("{}");
    if let Some(link) = link.filter(|link| !link.as_text().is_some_and(safe)) {
        resolver.report(
            link.at,
            format!(
                "{}: SubjectLink must be a path or an http address with {{}} in it",
                resource.id
            ),
        );
    }
    Some(Subject {
        texts,
        link: link.and_then(Node::as_text).map(str::to_owned),
    })
}

/// One value of `DefinitionSubstitutions`.
struct Substitution {
    at: Position,
    /// `None`: could not be resolved, which has been reported.
    value: Option<String>,
}

fn substitutions(properties: &mut Properties<'_>) -> BTreeMap<String, Substitution> {
    let mut result = BTreeMap::new();
    let Some(given) = properties.inner("DefinitionSubstitutions") else {
        return result;
    };
    for entry in given.into_entries() {
        let value = entry.value.as_text().map(str::to_owned);
        if value.is_none() && !entry.value.is_invalid() {
            let kind = entry.value.kind();
            properties.report(
                entry.value.at,
                format!("the substitution {} is text, not {kind}", entry.key),
            );
        }
        result.insert(entry.key, Substitution { at: entry.at, value });
    }
    result
}

fn definition(
    properties: &mut Properties<'_>,
    substituter: &mut Substituter<'_>,
) -> Option<(String, DefinitionSource)> {
    let at = properties.position_of("DefinitionUri");
    let (uri, inline) = (properties.text("DefinitionUri"), properties.node("Definition"));
    let file = match (uri, inline) {
        (Some(uri), None) => uri,
        (None, Some(mut root)) => {
            let file = substituter.context.file.to_owned();
            let written = root.clone();
            substituter.replace_in_node(&mut root, &file);
            return Some((root.to_json().to_string(), source(file, written)));
        }
        _ => {
            properties.report(properties.at, "a state machine has either DefinitionUri or Definition");
            return None;
        }
    };
    let text = match read_file(&substituter.context.directory.join(&file)) {
        Ok(text) => text,
        Err(reason) => {
            properties.report(at, format!("DefinitionUri {file}: {reason}"));
            return None;
        }
    };
    // Named as the user would, from where the template's own name leads.
    let file = substituter
        .context
        .file
        .parent()
        .unwrap_or(Path::new(""))
        .join(file.trim_start_matches("./"));
    match substituter.replace_in_file(&text, &file) {
        Ok((definition, root)) => Some((definition, source(file, root))),
        Err(errors) => {
            for error in errors {
                substituter
                    .context
                    .resolver
                    .report_in(file.clone(), error.at, error.message);
            }
            None
        }
    }
}

fn source(file: PathBuf, root: Node) -> DefinitionSource {
    DefinitionSource {
        file,
        root,
        missing: BTreeSet::new(),
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if MAX_DEFINITION_BYTES < size {
        return Err(format!(
            "{size} bytes are more than a definition may have ({MAX_DEFINITION_BYTES})"
        ));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Replaces each `${Name}` of a definition, and knows which names were there.
struct Substituter<'c> {
    id: &'c str,
    context: &'c Context<'c>,
    given: BTreeMap<String, Substitution>,
    used: BTreeSet<String>,
    /// Those of them that have no value.
    missing: BTreeSet<String>,
}

impl Substituter<'_> {
    /// A definition in a file of its own. In JSON the text is replaced and otherwise left as its author wrote it:
    /// that is what DescribeStateMachine answers, and a variable may stand for a number.
    fn replace_in_file(&mut self, text: &str, file: &Path) -> Result<(String, Node), Vec<SyntaxError>> {
        if text.trim_start().starts_with('{') {
            let replaced = self.replace(text, file, Position::START, &json_escaped);
            let root = json::parse(&replaced).map_err(|error| vec![error])?;
            // Places are those of the text as its author wrote it, unless only what is put in makes it JSON.
            let root = json::parse(&with_variables_as_text(text)).unwrap_or(root);
            return Ok((replaced, root));
        }
        let mut root = node::parse(text)?;
        let written = root.clone();
        self.replace_in_node(&mut root, file);
        Ok((root.to_json().to_string(), written))
    }

    fn replace_in_node(&mut self, node: &mut Node, file: &Path) {
        let at = node.at;
        match &mut node.value {
            Value::Text(text) => *text = self.replace(text, file, at, &str::to_owned),
            Value::List(items) => items.iter_mut().for_each(|item| self.replace_in_node(item, file)),
            Value::Map(entries) => entries
                .iter_mut()
                .for_each(|entry| self.replace_in_node(&mut entry.value, file)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Invalid => {}
        }
    }

    /// `start` is where the text begins in its file.
    fn replace(&mut self, text: &str, file: &Path, start: Position, escaped: &dyn Fn(&str) -> String) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(offset) = rest.find("${") {
            let (before, variable) = rest.split_at(offset);
            result.push_str(before);
            let Some(name) = variable_name(variable) else {
                result.push_str("${");
                rest = &variable[2..];
                continue;
            };
            rest = &variable[name.len() + 3..];
            let given = self.given.get(name);
            if given.is_none() {
                let at = advance(start, &text[..text.len() - rest.len() - name.len() - 3]);
                self.context.resolver.push(Problem {
                    file: file.to_owned(),
                    line: at.line,
                    column: at.column,
                    severity: Severity::Error,
                    code: "MISSING_SUBSTITUTION",
                    message: format!("{}: DefinitionSubstitutions has no {name}", self.id),
                    help: Some("give it a value in DefinitionSubstitutions of the state machine"),
                });
            }
            match given.and_then(|given| given.value.as_deref()) {
                Some(value) => result.push_str(&escaped(value)),
                None => {
                    self.missing.insert(name.to_owned());
                    // JSON with quotes around it and without, so that what else is wrong is found too.
                    result.push('0');
                }
            }
            self.used.insert(name.to_owned());
        }
        result + rest
    }

    fn report_unused(&self) {
        for (name, substitution) in self.given.iter().filter(|(name, _)| !self.used.contains(*name)) {
            self.context.resolver.push(Problem {
                file: self.context.file.to_owned(),
                line: substitution.at.line,
                column: substitution.at.column,
                severity: Severity::Warning,
                code: "UNUSED_SUBSTITUTION",
                message: format!("{}: the definition does not use the substitution {name}", self.id),
                help: Some("remove it, or write ${…} where its value belongs"),
            });
        }
    }
}

/// The name in the `${Name}` that `text` begins with, if it is one.
fn variable_name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("${")?.split_once('}')?;
    let allowed = |character: char| character.is_ascii_alphanumeric() || character == '_';
    (!name.is_empty() && name.chars().all(allowed)).then_some(name)
}

/// JSON in which each `${Name}` that stands outside of a text has become one: `{"Seconds": ${Pause}}`.
fn with_variables_as_text(json: &str) -> String {
    let mut result = String::with_capacity(json.len());
    let (mut rest, mut inside) = (json, false);
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '\\' if inside => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            '$' => variable_name(rest).map_or(1, |name| name.len() + "${}".len()),
            _ => next.len_utf8(),
        };
        let (part, after) = rest.split_at(length);
        if inside || length == 1 || next != '$' {
            result.push_str(part);
        } else {
            result.extend(["\"", part, "\""]);
        }
        inside ^= next == '"';
        rest = after;
    }
    result
}

fn json_escaped(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Where `text` ends, if it begins at `start`.
fn advance(start: Position, text: &str) -> Position {
    match text.rsplit_once('\n') {
        Some((lines, last)) => Position {
            line: start.line + 1 + lines.matches('\n').count(),
            column: 1 + last.chars().count(),
        },
        None => Position {
            line: start.line,
            column: start.column + text.chars().count(),
        },
    }
}
