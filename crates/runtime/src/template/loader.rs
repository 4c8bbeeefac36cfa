//! From the text to the model: the sections of a template, and its resources one by one.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    INVALID_TEMPLATE, LogicalId, MAX_TEMPLATE_BYTES, Output, Problem, Settings, Severity, Template, api,
    events::Events,
    function, globals,
    names::{self, Kind},
    node::{self, Node, Position, Value},
    parameters,
    references::{self, Known},
    resolver::{Resolver, Resource},
    secret, state_machine, table,
};

const SECTIONS: [&str; 11] = [
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Transform",
];

const GLOBALS: [&str; 8] = [
    "Api",
    "CapacityProvider",
    "Function",
    "GraphQLApi",
    "HttpApi",
    "LayerVersion",
    "SimpleTable",
    "StateMachine",
];

const RESOURCE_ATTRIBUTES: [&str; 10] = [
    "Condition",
    "Connectors",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
];

const SAM_TRANSFORM: &str = "AWS::Serverless-2016-10-31";

/// The resources of a template while it is read: what the readers of single types work with.
pub(super) struct Context<'r> {
    pub(super) resolver: &'r Resolver<'r>,
    /// The template's own path, as the user gave it.
    pub(super) file: &'r Path,
    /// What relative paths in the template start from; absolute.
    pub(super) directory: &'r Path,
}

/// All that can be understood of the template, and everything that is wrong with it.
pub(super) fn examine(path: &Path, settings: &Settings) -> (Template, Vec<Problem>) {
    let at = |at: Position, message: String| Problem {
        file: path.to_owned(),
        line: at.line,
        column: at.column,
        severity: Severity::Error,
        code: INVALID_TEMPLATE,
        message,
        help: None,
    };
    let unreadable = |message: String| (Template::default(), vec![at(Position::START, message)]);
    let (text, directory) = match read(path).and_then(|text| Ok((text, absolute_parent(path)?))) {
        Ok(found) => found,
        Err(message) => return unreadable(message),
    };
    let root = match node::parse(&text) {
        Ok(root) => root,
        Err(errors) => {
            let problems = errors.into_iter().map(|error| at(error.at, error.message));
            return (Template::default(), problems.collect());
        }
    };

    let mut found = Vec::new();
    sections(&root, &mut found);
    let parameters = parameters::read(root.get("Parameters"), settings, &mut found);
    let problems = found.into_iter().map(|(place, message)| at(place, message)).collect();
    let mut resolver = Resolver::new(path, settings, &root, parameters, problems);
    declare(&root, &mut resolver);
    let template = {
        let context = Context {
            resolver: &resolver,
            file: path,
            directory: &directory,
        };
        references::check(&root, &Known::of(&root), &resolver);
        build(&root, &context)
    };
    let mut problems = resolver.into_problems();
    problems.sort();
    problems.dedup();
    (template, problems)
}

fn read(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path)
        .map_err(|error| format!("this file cannot be read: {error}"))?
        .len();
    if MAX_TEMPLATE_BYTES < size {
        return Err(format!(
            "{size} bytes are more than a template may have ({MAX_TEMPLATE_BYTES})"
        ));
    }
    fs::read_to_string(path).map_err(|error| format!("this file cannot be read: {error}"))
}

fn absolute_parent(path: &Path) -> Result<PathBuf, String> {
    let absolute = std::path::absolute(path).map_err(|error| format!("its directory cannot be found: {error}"))?;
    Ok(absolute.parent().unwrap_or(Path::new("/")).to_owned())
}

fn sections(root: &Node, problems: &mut Vec<(Position, String)>) {
    if !matches!(root.value, Value::Map(_)) {
        problems.push((root.at, format!("a template is a map of sections, not {}", root.kind())));
        return;
    }
    for entry in root.entries() {
        if !SECTIONS.contains(&entry.key.as_str()) {
            problems.push((entry.at, format!("the section {} is not supported", entry.key)));
        }
    }
    for entry in root.get("Globals").map_or(&[][..], Node::entries) {
        if !GLOBALS.contains(&entry.key.as_str()) {
            problems.push((entry.at, format!("Globals has no section {}", entry.key)));
        }
    }
    let transforms = match root.get("Transform") {
        None => &[][..],
        Some(Node {
            value: Value::List(items),
            ..
        }) => items,
        Some(one) => std::slice::from_ref(one),
    };
    for transform in transforms
        .iter()
        .filter(|transform| transform.as_text() != Some(SAM_TRANSFORM))
    {
        let name = transform.as_text().unwrap_or("of that form");
        problems.push((
            transform.at,
            format!("the transform {name} is not supported, only {SAM_TRANSFORM}"),
        ));
    }
    match root.get("Resources") {
        None => problems.push((root.at, "a template has a section Resources".into())),
        Some(resources) if resources.entries().is_empty() => {
            problems.push((resources.at, "there are no resources".into()));
        }
        Some(resources) => {
            let serverless = resources.entries().iter().find(|entry| {
                entry
                    .value
                    .get("Type")
                    .and_then(Node::as_text)
                    .is_some_and(|name| name.starts_with("AWS::Serverless::"))
            });
            if let Some(entry) = serverless.filter(|_| transforms.is_empty()) {
                problems.push((entry.at, format!("{} needs Transform: {SAM_TRANSFORM}", entry.key)));
            }
        }
    }
}

fn declare<'t>(root: &'t Node, resolver: &mut Resolver<'t>) {
    for entry in root.get("Resources").map_or(&[][..], Node::entries) {
        for attribute in entry.value.entries() {
            if !RESOURCE_ATTRIBUTES.contains(&attribute.key.as_str()) {
                resolver.report(
                    attribute.at,
                    format!("{} is not an attribute of a resource", attribute.key),
                );
            }
        }
        if entry.key.is_empty() || !entry.key.chars().all(|character| character.is_ascii_alphanumeric()) {
            resolver.report(
                entry.at,
                format!("{:?} is not a logical id: it has letters and digits only", entry.key),
            );
        }
        let Some(type_name) = entry.value.get("Type").and_then(Node::as_text) else {
            resolver.report(entry.at, format!("{} has no Type", entry.key));
            continue;
        };
        let own = entry.value.get("Properties").cloned();
        let own = own.unwrap_or(Node {
            at: entry.value.at,
            value: Value::Map(Vec::new()),
        });
        let properties = match globals::section(root, type_name) {
            Some(global) => globals::merge(global, &own),
            None => own,
        };
        resolver.add(Resource {
            id: &entry.key,
            at: entry.at,
            kind: names::kind(type_name),
            type_name,
            properties,
            metadata: entry.value.get("Metadata"),
            condition: entry.value.get("Condition"),
            connectors: entry.value.get("Connectors"),
        });
    }
}

fn build(root: &Node, context: &Context<'_>) -> Template {
    let resolver = context.resolver;
    // Those that nothing depends on yet have to make sense too.
    for condition in root.get("Conditions").map_or(&[][..], Node::entries) {
        resolver.condition(&condition.key, condition.at);
    }
    // A name that makes no sense is found here, and not first in a policy, where it would be none of its problems.
    for resource in resolver.resources().filter(|resource| resolver.exists(resource)) {
        resolver.physical_name(resource.id);
    }
    let mut template = Template::default();
    let mut events = Events::default();
    for resource in resolver.resources() {
        if !resolver.exists(resource) {
            continue;
        }
        let id = LogicalId(resource.id.to_owned());
        match resource.kind {
            Kind::Function => {
                if let Some(function) = function::read(resource, context, &mut events) {
                    template.functions.insert(id, function);
                }
            }
            Kind::StateMachine => template
                .state_machines
                .extend(state_machine::read(resource, context, &mut events)),
            Kind::Table => template.tables.extend(table::read(resource, context)),
            Kind::SimpleTable => template.tables.extend(table::read_simple(resource, context)),
            Kind::Secret => template.secrets.extend(secret::read(resource, context)),
            Kind::HttpApi | Kind::UserPool | Kind::UserPoolClient => {}
            Kind::Ignored => template.ignored.push((id, resource.type_name.to_owned())),
            Kind::Unsupported => {
                resolver.report(
                    resource.at,
                    format!("{id}: the type {} is not supported", resource.type_name),
                );
            }
        }
    }
    template.http_api = api::read(root, context, events.routes);
    template.rules = events.rules;
    template.schedules = events.schedules;
    template.outputs = outputs(root.get("Outputs"), resolver);
    unique_names(&template, resolver);
    template
}

/// Two functions of one name would answer for each other.
fn unique_names(template: &Template, resolver: &Resolver<'_>) {
    let functions = template
        .functions
        .values()
        .map(|function| ("function", &function.name, &function.logical_id));
    let tables = template
        .tables
        .iter()
        .map(|table| ("table", &table.name, &table.logical_id));
    let secrets = template
        .secrets
        .iter()
        .map(|secret| ("secret", &secret.name, &secret.logical_id));
    let machines = template.state_machines.iter();
    let machines = machines.map(|machine| ("state machine", &machine.name, &machine.logical_id));
    let mut seen = BTreeMap::new();
    for (what, name, id) in functions.chain(tables).chain(secrets).chain(machines) {
        if let Some(first) = seen.insert((what, name), id) {
            let at = resolver
                .resource(id.as_str())
                .map_or(Position::START, |resource| resource.at);
            resolver.report(at, format!("{id}: the {what} {first} has the name {name} too"));
        }
    }
}

fn outputs(section: Option<&Node>, resolver: &Resolver<'_>) -> Vec<Output> {
    let mut outputs = Vec::new();
    for entry in section.map_or(&[][..], Node::entries) {
        let condition = entry.value.get("Condition");
        let wanted = condition.and_then(|condition| resolver.condition(condition.as_text()?, condition.at));
        if wanted == Some(false) {
            continue;
        }
        let Some(value) = entry.value.get("Value") else {
            resolver.report(entry.at, format!("the output {} has no Value", entry.key));
            continue;
        };
        // What describes a resource that is not here describes nothing.
        if references::of(value)
            .iter()
            .any(|id| resolver.resource(id).is_some_and(|it| it.kind == Kind::Ignored))
        {
            continue;
        }
        let Some(resolved) = resolver.resolve_masked(value) else {
            continue;
        };
        match resolved.as_text() {
            Some(text) => outputs.push(Output {
                name: entry.key.clone(),
                description: entry
                    .value
                    .get("Description")
                    .and_then(Node::as_text)
                    .map(str::to_owned),
                value: text.to_owned(),
            }),
            None if resolved.is_invalid() => {}
            None => resolver.report(
                value.at,
                format!("the output {} is {}, not text", entry.key, resolved.kind()),
            ),
        }
    }
    outputs
}
