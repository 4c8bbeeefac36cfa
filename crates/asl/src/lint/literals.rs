//! The names of things outside that a definition's tasks spell out, for whoever knows what there is.

use serde_json::Value;

use crate::definition::{Kind, QueryLanguage, StateMachine};
use crate::event::Resource;
use crate::query::Node;

/// A text among what a task calls and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// What the task calls.
    pub resource: Resource,
    /// `Resource` itself, or the argument's name.
    pub field: String,
    pub value: String,
    /// Where it is, as AWS writes it.
    pub pointer: String,
}

/// The resources of all tasks, and those of their arguments that are texts and not computed.
///
/// A definition that is refused is looked at as far as it can be understood.
pub fn literals(definition: &str) -> Vec<Literal> {
    let (machine, _) = StateMachine::examine(definition);
    let states = machine.iter().flat_map(|machine| machine.states.values());
    let mut literals = Vec::new();
    for state in states {
        let Kind::Task(task) = &state.kind else {
            continue;
        };
        let mut add = |field: &str, value: &str, pointer: String| {
            literals.push(Literal {
                resource: task.resource.clone(),
                field: field.to_owned(),
                value: value.to_owned(),
                pointer,
            });
        };
        add(
            "Resource",
            &task.resource.resource,
            format!("{}/Resource", state.pointer),
        );
        let arguments = match state.language {
            QueryLanguage::JsonPath => "Parameters",
            QueryLanguage::Jsonata => "Arguments",
        };
        let at = |name: &str| format!("{}/{arguments}/{name}", state.pointer);
        match state.arguments.as_ref().map(|template| &template.node) {
            Some(Node::Constant(Value::Object(fields))) => {
                for (name, value) in fields {
                    if let Some(text) = value.as_str() {
                        add(name, text, at(name));
                    }
                }
            }
            Some(Node::Object(fields)) => {
                for (name, node) in fields {
                    if let Node::Constant(Value::String(text)) = node {
                        add(name, text, at(name));
                    }
                }
            }
            _ => {}
        }
    }
    literals
}
