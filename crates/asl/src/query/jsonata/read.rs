//! What an expression's tree tells before it runs, and what is changed in it.

use std::collections::{BTreeMap, BTreeSet};

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};
use jsonata_core::value::with_stack;

use super::STATES;
use super::guard;

/// What was found in an expression.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Every name that stands with a `$`, but for `$states`.
    pub(crate) variables: BTreeSet<String>,
    /// The names among them that the expression itself gives a value.
    pub(crate) bound: BTreeSet<String>,
    /// Names that are called.
    pub(crate) functions: BTreeSet<String>,
    /// The fields of `$states` that are looked at, each with the names that lead to what is: none for all of it.
    pub(crate) states: BTreeMap<String, Vec<Vec<String>>>,
    /// Fields of the input and of the context object, as canonical paths.
    pub(super) input: BTreeSet<String>,
    pub(super) context: BTreeSet<String>,
    /// How many calls stand in it, and whether any part of it may be evaluated again and again.
    calls: usize,
    repeats: bool,
    /// The guards that were put into the tree.
    pub(super) guards: BTreeSet<&'static str>,
    /// The expression, if it is a plain path.
    pub(crate) path: Option<PlainPath>,
    /// Whether the expression stands in a Catcher, the one place where there is an error output.
    in_catcher: bool,
    /// What AWS does not support, if the expression has it.
    pub(super) refused: Option<Refused>,
}

/// `$variable.name.name`
#[derive(Debug)]
pub(crate) struct PlainPath {
    pub(crate) variable: String,
    pub(crate) names: Vec<String>,
}

/// What AWS refuses because there is no context item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("Reference to '{0}' at the top level is not supported.")]
    TopLevel(String),
    #[error("Reference to '$$' is not supported.")]
    Root,
    #[error("Field '$states.errorOutput' does not exist.")]
    ErrorOutput,
    #[error("Unknown reserved states field: {0}")]
    StatesField(String),
}

/// Whether a part is evaluated where the expression itself is, or against a value that a path has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Inner,
}

impl Reading {
    /// Reads a tree and puts guards where it could use up the memory.
    pub(super) fn of(ast: &mut AstNode, in_catcher: bool) -> Self {
        let mut reading = Reading {
            path: plain_path(ast),
            in_catcher,
            ..Reading::default()
        };
        reading.visit(ast, Place::Top);
        reading.guards = guard::install(ast, &reading.bound, reading.repeats, reading.calls);
        reading
    }

    /// Whether a name is called, or might be.
    pub(super) fn mentions(&self, name: &str) -> bool {
        self.functions.contains(name) || self.variables.contains(name)
    }

    fn refuse(&mut self, refused: Refused) {
        self.refused.get_or_insert(refused);
    }

    fn variable(&mut self, name: &str) {
        match name {
            // The context item itself.
            "" => {}
            "states" => {
                for field in STATES {
                    self.states.entry(field.to_owned()).or_default().push(Vec::new());
                }
            }
            name => {
                self.variables.insert(name.to_owned());
            }
        }
    }

    fn visit(&mut self, node: &mut AstNode, place: Place) {
        match node {
            AstNode::Variable(name) => return self.variable(name),
            AstNode::ParentVariable(_) => return self.refuse(Refused::Root),
            AstNode::Name(name) if place == Place::Top => {
                return self.refuse(Refused::TopLevel(name.clone()));
            }
            AstNode::Path { steps } => return self.path(steps, place),
            AstNode::Binary {
                op: BinaryOp::ColonEqual,
                lhs,
                ..
            } => {
                if let AstNode::Variable(name) = &**lhs {
                    self.bound.insert(name.clone());
                }
            }
            AstNode::Function {
                name, is_builtin: true, ..
            } => {
                self.functions.insert(name.clone());
                self.calls += 1;
                self.repeats |= place == Place::Inner;
            }
            AstNode::Lambda { params, .. } => {
                self.repeats = true;
                self.bound.extend(params.iter().cloned());
            }
            _ => {}
        }
        for (child, inner) in children(node) {
            let place = if inner { Place::Inner } else { place };
            with_stack(|| self.visit(child, place));
        }
    }

    fn path(&mut self, steps: &mut [PathStep], place: Place) {
        let names: Vec<&str> = steps[1.min(steps.len())..]
            .iter()
            .map_while(|step| match &step.node {
                AstNode::Name(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let is_states = steps
            .first()
            .is_some_and(|step| matches!(&step.node, AstNode::Variable(name) if name == "states"));
        if is_states && let Some((field, names)) = names.split_first() {
            let canonical = || {
                names
                    .iter()
                    .fold("$".to_owned(), |path, name| format!("{path}['{name}']"))
            };
            match *field {
                "input" => drop(self.input.insert(canonical())),
                "context" => drop(self.context.insert(canonical())),
                "errorOutput" if !self.in_catcher => self.refuse(Refused::ErrorOutput),
                "result" | "errorOutput" => {}
                other => self.refuse(Refused::StatesField(other.to_owned())),
            }
            let field = (*field).to_owned();
            self.states.entry(field).or_default().push(trail(steps));
        } else if let Some(step) = steps.first_mut() {
            self.visit(&mut step.node, place);
        }
        for (index, step) in steps.iter_mut().enumerate() {
            self.bound.extend(step.focus.iter().chain(&step.index_var).cloned());
            if index > 0 {
                with_stack(|| self.visit(&mut step.node, Place::Inner));
            }
            for stage in &mut step.stages {
                match stage {
                    Stage::Filter(filter) => with_stack(|| self.visit(filter, Place::Inner)),
                    Stage::Index(name) => drop(self.bound.insert(name.clone())),
                    Stage::KeepArray => {}
                }
            }
        }
    }
}

/// The names after `$states.field` up to the value that all the rest of the path is about.
fn trail(steps: &[PathStep]) -> Vec<String> {
    let Some((start, rest)) = steps.split_at_checked(2) else {
        return Vec::new();
    };
    let is_tuple = |step: &PathStep| step.ancestor_label.is_some() || step.focus.is_some() || step.is_tuple;
    if steps.iter().any(is_tuple) || start.iter().any(|step| !step.stages.is_empty()) {
        return Vec::new();
    }
    let mut names = Vec::new();
    for step in rest {
        let AstNode::Name(name) = &step.node else { break };
        names.push(name.clone());
        // What follows a filter may have been chosen by what stands beside it.
        if !step.stages.is_empty() {
            break;
        }
    }
    names
}

fn plain_path(ast: &AstNode) -> Option<PlainPath> {
    let AstNode::Path { steps } = ast else {
        return match ast {
            AstNode::Variable(name) if !name.is_empty() => Some(PlainPath {
                variable: name.clone(),
                names: Vec::new(),
            }),
            _ => None,
        };
    };
    let is_plain = |step: &PathStep| {
        step.stages.is_empty()
            && step.focus.is_none()
            && step.index_var.is_none()
            && step.ancestor_label.is_none()
            && !step.is_tuple
    };
    let (first, rest) = steps.split_first()?;
    let AstNode::Variable(variable) = &first.node else {
        return None;
    };
    if variable.is_empty() || !steps.iter().all(is_plain) {
        return None;
    }
    let names = rest.iter().map(|step| match &step.node {
        AstNode::Name(name) => Some(name.clone()),
        _ => None,
    });
    Some(PlainPath {
        variable: variable.clone(),
        names: names.collect::<Option<_>>()?,
    })
}

/// The parts of a node, each with whether it is evaluated against what another part led to.
pub(super) fn children(node: &mut AstNode) -> Vec<(&mut AstNode, bool)> {
    match node {
        AstNode::Binary { lhs, rhs, .. } => vec![(lhs, false), (rhs, false)],
        AstNode::Unary { operand, .. } => vec![(operand, false)],
        AstNode::Function { args, .. } => args.iter_mut().map(|node| (node, false)).collect(),
        AstNode::Call { procedure, args } => {
            let mut parts = vec![(&mut **procedure, false)];
            parts.extend(args.iter_mut().map(|node| (node, false)));
            parts
        }
        AstNode::Lambda { body, .. } => vec![(body, false)],
        AstNode::Array(items) | AstNode::ArrayGroup(items) | AstNode::Block(items) => {
            items.iter_mut().map(|node| (node, false)).collect()
        }
        AstNode::Object(pairs) => pairs
            .iter_mut()
            .flat_map(|(key, value)| [(key, false), (value, false)])
            .collect(),
        AstNode::ObjectTransform { input, pattern } => {
            let mut parts = vec![(&mut **input, false)];
            parts.extend(pattern.iter_mut().flat_map(|(key, value)| [(key, true), (value, true)]));
            parts
        }
        AstNode::Conditional {
            condition,
            then_branch,
            else_branch,
        } => {
            let mut parts = vec![(&mut **condition, false), (&mut **then_branch, false)];
            parts.extend(else_branch.iter_mut().map(|node| (&mut **node, false)));
            parts
        }
        AstNode::FunctionApplication(inner) => vec![(inner, true)],
        AstNode::Sort { input, terms } => {
            let mut parts = vec![(&mut **input, false)];
            parts.extend(terms.iter_mut().map(|(term, _)| (term, true)));
            parts
        }
        AstNode::Transform {
            location,
            update,
            delete,
        } => {
            let mut parts = vec![(&mut **location, true), (&mut **update, true)];
            parts.extend(delete.iter_mut().map(|node| (&mut **node, true)));
            parts
        }
        AstNode::Path { steps } => steps
            .iter_mut()
            .enumerate()
            .flat_map(|(index, step)| {
                let stages = step.stages.iter_mut().filter_map(|stage| match stage {
                    Stage::Filter(filter) => Some((&mut **filter, true)),
                    Stage::KeepArray | Stage::Index(_) => None,
                });
                std::iter::once((&mut step.node, index > 0)).chain(stages)
            })
            .collect(),
        AstNode::String(_)
        | AstNode::Name(_)
        | AstNode::Number(_)
        | AstNode::Boolean(_)
        | AstNode::Null
        | AstNode::Undefined
        | AstNode::Placeholder
        | AstNode::Regex { .. }
        | AstNode::Variable(_)
        | AstNode::ParentVariable(_)
        | AstNode::Wildcard
        | AstNode::Descendant
        | AstNode::Parent(_) => Vec::new(),
    }
}
