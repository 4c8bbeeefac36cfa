//! What an expression looks at, what it gives, and whether that can be there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::shape::{Missing, Shape};
use super::similar::suggestion;
use super::{Findings, NO_RESULT, UNASSIGNED_VARIABLE, UNKNOWN_CONTEXT_FIELD, UNKNOWN_FIELD, UNKNOWN_FUNCTION};
use crate::definition::{Computed, How, Severity};
use crate::query::{Expression, JSONATA_FUNCTIONS, JsonataExpression, Node, Path, Root, Step, Template};

/// The variables that may have been assigned by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Variables {
    pub(super) known: Arc<BTreeMap<Box<str>, Variable>>,
    /// Whether there may be others.
    pub(super) others: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) shape: Shape,
    /// Whether every way here assigns it.
    pub(super) always: bool,
}

impl Variables {
    pub(super) fn join(&self, other: &Self) -> Self {
        if Arc::ptr_eq(&self.known, &other.known) && self.others == other.others {
            return self.clone();
        }
        let mut known = (*self.known).clone();
        for (name, variable) in known.iter_mut() {
            match other.known.get(name) {
                Some(other) => {
                    variable.shape = variable.shape.join(&other.shape);
                    variable.always &= other.always;
                }
                None => variable.always = false,
            }
        }
        for (name, variable) in other.known.iter() {
            known.entry(name.clone()).or_insert_with(|| Variable {
                always: false,
                ..variable.clone()
            });
        }
        Self {
            known: Arc::new(known),
            others: self.others || other.others,
        }
    }

    /// The same variables with anything in them.
    pub(super) fn widened(&self) -> Self {
        let known = self.known.iter().map(|(name, variable)| {
            let variable = Variable {
                shape: Shape::Any,
                always: variable.always,
            };
            (name.clone(), variable)
        });
        Self {
            known: Arc::new(known.collect()),
            others: self.others,
        }
    }
}

/// What the expressions of one field see.
#[derive(Clone)]
pub(super) struct Scope<'e> {
    /// `$`, in JSONata `$states.input`.
    pub(super) root: Shape,
    /// What the root is, in words.
    pub(super) called: &'static str,
    pub(super) context: Shape,
    pub(super) variables: &'e Variables,
    /// `$states.result`, where there is one.
    pub(super) result: Option<Shape>,
    /// `$states.errorOutput`, where there is one.
    pub(super) error_output: Option<Shape>,
    /// Whether the state may do without evaluating the field.
    pub(super) uncertain: bool,
}

impl Scope<'_> {
    fn severity(&self) -> Severity {
        if self.uncertain {
            Severity::Warning
        } else {
            Severity::Error
        }
    }

    /// The value of a template at `pointer`.
    pub(super) fn template(&self, pointer: &str, template: &Template, findings: &mut Findings) -> Shape {
        self.node(pointer, &template.node, findings)
    }

    fn node(&self, pointer: &str, node: &Node, findings: &mut Findings) -> Shape {
        match node {
            Node::Constant(value) => Shape::of(value),
            Node::Object(fields) => Shape::object(fields.iter().map(|(name, node)| {
                let pointer = format!("{pointer}/{}", field_name(name, node));
                (name.as_str(), self.node(&pointer, node, findings))
            })),
            Node::Array(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(index, node)| self.node(&format!("{pointer}[{index}]"), node, findings));
                Shape::these(items.collect())
            }
            Node::Computed { expression, .. } => self.expression(pointer, expression, findings),
            Node::Jsonata { expression, .. } => self.jsonata(pointer, expression, findings),
        }
    }

    /// The value of a single computed field of the state at `state`.
    pub(super) fn computed(&self, state: &str, computed: &Computed, findings: &mut Findings) -> Shape {
        let pointer = format!("{state}/{}", computed.field);
        match &computed.how {
            How::JsonPath(expression) => self.expression(&pointer, expression, findings),
            How::Jsonata(template) => self.template(&pointer, template, findings),
        }
    }

    fn expression(&self, pointer: &str, expression: &Expression, findings: &mut Findings) -> Shape {
        match expression {
            Expression::Path(path) => self.path(pointer, path, findings),
            Expression::Call(_) => {
                for path in expression.paths() {
                    self.path(pointer, path, findings);
                }
                Shape::Any
            }
        }
    }

    /// What a path finds.
    pub(super) fn path(&self, pointer: &str, path: &Path, findings: &mut Findings) -> Shape {
        let variable;
        let (document, rule, called) = match path.root() {
            Root::Input => (&self.root, &UNKNOWN_FIELD, self.called),
            Root::Context => (&self.context, &UNKNOWN_CONTEXT_FIELD, "the Context Object"),
            Root::Variable(name) => {
                variable = self.variable(pointer, name, self.severity(), findings);
                (&variable, &UNKNOWN_FIELD, "the variable")
            }
        };
        document.find(path).unwrap_or_else(|missing| {
            let inside = match missing.at {
                0 => called.to_owned(),
                at => format!("'{}'", shown(path, at)),
            };
            let name = match path.steps().get(missing.at) {
                Some(Step::Property(name)) => name,
                _ => "",
            };
            let message = nowhere(path.as_str(), &inside, name, &missing);
            findings.add_as(self.severity(), rule, pointer, message);
            Shape::Any
        })
    }

    /// What is in a variable; `severity` is that of looking at one that has never been assigned.
    fn variable(&self, pointer: &str, name: &str, severity: Severity, findings: &mut Findings) -> Shape {
        match self.variables.known.get(name) {
            Some(variable) => {
                if !variable.always {
                    let message = format!("the variable ${name} is assigned on some ways to this state only");
                    findings.add_as(Severity::Warning, &UNASSIGNED_VARIABLE, pointer, message);
                }
                variable.shape.clone()
            }
            None if self.variables.others => Shape::Any,
            None => {
                let known = self.variables.known.keys().map(|name| &**name);
                let message = format!(
                    "no way to this state assigns the variable ${name}{}",
                    suggestion(name, known)
                );
                findings.add_as(severity, &UNASSIGNED_VARIABLE, pointer, message);
                Shape::Any
            }
        }
    }

    fn jsonata(&self, pointer: &str, expression: &JsonataExpression, findings: &mut Findings) -> Shape {
        let reading = expression.reading();
        for name in reading.functions.difference(&reading.bound) {
            if JSONATA_FUNCTIONS.binary_search(&name.as_str()).is_err() {
                let message = format!("JSONata has no function ${name}{}", suggestion(name, JSONATA_FUNCTIONS));
                findings.add(&UNKNOWN_FUNCTION, pointer, message);
            }
        }
        match &reading.path {
            Some(path) => self.names(pointer, expression.source(), &path.variable, &path.names, findings),
            None => {
                self.parts(pointer, expression, findings);
                Shape::Any
            }
        }
    }

    /// An expression that is nothing but a path.
    fn names(&self, pointer: &str, source: &str, root: &str, names: &[String], findings: &mut Findings) -> Shape {
        let (document, names, prefix, rule) = match (root, names.split_first()) {
            ("states", None) => return Shape::Any,
            ("states", Some((field, names))) => match self.states_field(field) {
                Some(document) => {
                    let rule = match field.as_str() {
                        "context" => &UNKNOWN_CONTEXT_FIELD,
                        _ => &UNKNOWN_FIELD,
                    };
                    (document, names, format!("$states.{field}"), rule)
                }
                None => {
                    if field == "result" {
                        findings.add_as(self.severity(), &NO_RESULT, pointer, no_result());
                    }
                    return Shape::Any;
                }
            },
            (name, _) if JSONATA_FUNCTIONS.contains(&name) && !self.variables.known.contains_key(name) => {
                return Shape::Any;
            }
            (name, _) => {
                let variable = self.variable(pointer, name, self.severity(), findings);
                (variable, names, format!("${name}"), &UNKNOWN_FIELD)
            }
        };
        document.find_names(names).unwrap_or_else(|missing| {
            let message = names_nowhere(source, &prefix, names, &missing);
            findings.add_as(self.severity(), rule, pointer, message);
            Shape::Any
        })
    }

    /// Any other expression, which may have a value although a part of it has none.
    fn parts(&self, pointer: &str, expression: &JsonataExpression, findings: &mut Findings) {
        let reading = expression.reading();
        for name in reading.variables.difference(&reading.bound) {
            let is_function = JSONATA_FUNCTIONS.contains(&name.as_str());
            if !is_function && !self.variables.known.contains_key(name.as_str()) {
                self.variable(pointer, name, Severity::Warning, findings);
            }
        }
        // `$states` by itself looks at all of its fields.
        let all = ["input", "result", "errorOutput", "context"].iter().all(|field| {
            reading
                .states
                .get(*field)
                .is_some_and(|trails| trails.contains(&Vec::new()))
        });
        for (field, trails) in &reading.states {
            let Some(document) = self.states_field(field) else {
                if field == "result" && !all {
                    findings.add_as(Severity::Warning, &NO_RESULT, pointer, no_result());
                }
                continue;
            };
            for trail in trails {
                if let Err(missing) = document.find_names(trail) {
                    let prefix = format!("$states.{field}");
                    let source = format!("{prefix}.{}", trail.join("."));
                    let message = names_nowhere(&source, &prefix, trail, &missing);
                    let rule = if field == "context" {
                        &UNKNOWN_CONTEXT_FIELD
                    } else {
                        &UNKNOWN_FIELD
                    };
                    findings.add_as(Severity::Warning, rule, pointer, message);
                }
            }
        }
    }

    fn states_field(&self, field: &str) -> Option<Shape> {
        match field {
            "input" => Some(self.root.clone()),
            "context" => Some(self.context.clone()),
            "result" => self.result.clone(),
            "errorOutput" => self.error_output.clone(),
            _ => None,
        }
    }
}

/// A template's field as it is named in the definition.
pub(super) fn field_name<'t>(name: &'t str, node: &'t Node) -> &'t str {
    match node {
        Node::Computed { field, .. } => field,
        _ => name,
    }
}

fn no_result() -> &'static str {
    "there is no $states.result here, only after the state has done its work"
}

fn names_nowhere(source: &str, prefix: &str, names: &[String], missing: &Missing) -> String {
    let inside = match missing.at {
        0 => prefix.to_owned(),
        at => format!("{prefix}.{}", names[..at].join(".")),
    };
    nowhere(source, &format!("'{inside}'"), &names[missing.at], missing)
}

fn nowhere(source: &str, inside: &str, name: &str, missing: &Missing) -> String {
    let known = match &missing.inside {
        Shape::Object(fields) => suggestion(name, fields.known.keys().map(|name| &**name)),
        _ => String::new(),
    };
    format!(
        "'{source}' leads nowhere: {inside} {}{known}",
        missing.inside.describe()
    )
}

/// The first steps of a path as people write them.
fn shown(path: &Path, length: usize) -> String {
    let mut text = match path.root() {
        Root::Input => "$".to_owned(),
        Root::Context => "$$".to_owned(),
        Root::Variable(name) => format!("${name}"),
    };
    for step in &path.steps()[..length] {
        match step {
            Step::Property(name) => {
                text.push('.');
                text.push_str(name);
            }
            step => text.push_str(&step.to_string()),
        }
    }
    text
}
