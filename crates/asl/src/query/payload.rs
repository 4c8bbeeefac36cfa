//! Payload templates: JSON in which some values are computed.
//!
//! In a JSONPath state a field whose name ends in `.$` holds a path or a call, and its value takes the field's place.
//! What is constant is kept as one value, however large, and lent out.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::intrinsic::Call;
use super::path::Path;
use super::{Error, Language, References, Scope, SyntaxError};

/// A parsed payload template.
#[derive(Debug, Clone)]
pub struct Template {
    node: Node,
}

#[derive(Debug, Clone)]
enum Node {
    Constant(Value),
    /// The fields in their order, under the names they will have.
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    /// A field as it was named, so with its `.$`.
    Computed {
        field: String,
        expression: Expression,
    },
}

impl Template {
    /// Reads the value of a field such as `Parameters`.
    pub fn parse(template: &Value, language: Language) -> Result<Self, SyntaxError> {
        let node = match language {
            Language::JsonPath => parse(template, &mut Vec::new())?,
            Language::Jsonata => Node::Constant(template.clone()),
        };
        Ok(Self { node })
    }

    /// The template with its computed values filled in.
    pub fn evaluate<'a>(&'a self, scope: &Scope<'a>) -> Result<Cow<'a, Value>, Error> {
        self.node.evaluate(scope)
    }

    /// What the template looks at.
    pub fn references(&self) -> References {
        let mut references = References::default();
        self.node.references(&mut references);
        references
    }
}

/// A parsed path or call of an intrinsic function, wherever either may stand.
#[derive(Debug, Clone)]
pub enum Expression {
    Path(Path),
    Call(IntrinsicCall),
}

/// A parsed call of an intrinsic function.
#[derive(Debug, Clone)]
pub struct IntrinsicCall(Call);

impl Expression {
    /// Reads a path, or a call such as `States.Format('…', $.name)`.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.starts_with('$') {
            return Path::parse(text).map(Expression::Path);
        }
        match Call::parse(text) {
            Ok(call) => Ok(Expression::Call(IntrinsicCall(call))),
            Err(failure) => {
                let message = "Value must be a valid JSONPath or a valid intrinsic function call.".to_owned();
                Err(failure.syntax_error(message))
            }
        }
    }

    /// The value of the expression, which stands in the definition as the field `field`.
    pub fn evaluate<'a>(&self, field: &str, scope: &Scope<'a>) -> Result<Cow<'a, Value>, Error> {
        match self {
            Expression::Path(path) => path.find(scope).map_err(|_| Error::NotFound {
                path: path.to_string(),
                field: field.to_owned(),
                input: scope.quoted(path.root()),
            }),
            Expression::Call(call) => call.0.evaluate(scope).map(Cow::Owned),
        }
    }

    /// Adds what the expression looks at.
    pub fn references(&self, references: &mut References) {
        match self {
            Expression::Path(path) => path.references(references),
            Expression::Call(call) => call.0.references(references),
        }
    }
}

fn parse(template: &Value, pointer: &mut Vec<String>) -> Result<Node, SyntaxError> {
    let node = match template {
        Value::Object(fields) => {
            let mut nodes = Vec::with_capacity(fields.len());
            for (field, value) in fields {
                pointer.push(field.clone());
                nodes.push(match field.strip_suffix(".$") {
                    Some(name) => (name.to_owned(), computed(field, value, pointer)?),
                    None => (field.clone(), parse(value, pointer)?),
                });
                pointer.pop();
            }
            if nodes.iter().all(|(_, node)| matches!(node, Node::Constant(_))) {
                return Ok(Node::Constant(template.clone()));
            }
            Node::Object(nodes)
        }
        Value::Array(items) => {
            let mut nodes = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                pointer.push(index.to_string());
                nodes.push(parse(item, pointer)?);
                pointer.pop();
            }
            if nodes.iter().all(|node| matches!(node, Node::Constant(_))) {
                return Ok(Node::Constant(template.clone()));
            }
            Node::Array(nodes)
        }
        constant => Node::Constant(constant.clone()),
    };
    Ok(node)
}

fn computed(field: &str, value: &Value, pointer: &[String]) -> Result<Node, SyntaxError> {
    let message =
        || format!("The value for the field '{field}' must be a valid JSONPath or a valid intrinsic function call");
    let place = || {
        pointer
            .iter()
            .map(|token| format!("/{}", token.replace('~', "~0").replace('/', "~1")))
            .collect()
    };
    let Value::String(text) = value else {
        let reason = "expected a path or a call".to_owned();
        return Err(SyntaxError {
            message: message(),
            pointer: place(),
            offset: 0,
            reason,
        });
    };
    match Expression::parse(text) {
        Ok(expression) => Ok(Node::Computed {
            field: field.to_owned(),
            expression,
        }),
        Err(error) => Err(SyntaxError {
            message: message(),
            pointer: place(),
            ..error
        }),
    }
}

impl Node {
    fn evaluate<'a>(&'a self, scope: &Scope<'a>) -> Result<Cow<'a, Value>, Error> {
        match self {
            Node::Constant(value) => Ok(Cow::Borrowed(value)),
            Node::Computed { field, expression } => expression.evaluate(field, scope),
            Node::Object(nodes) => {
                let mut fields = Map::with_capacity(nodes.len());
                for (name, node) in nodes {
                    fields.insert(name.clone(), node.evaluate(scope)?.into_owned());
                }
                Ok(Cow::Owned(Value::Object(fields)))
            }
            Node::Array(nodes) => {
                let items = nodes.iter().map(|node| node.evaluate(scope).map(Cow::into_owned));
                Ok(Cow::Owned(Value::Array(items.collect::<Result<_, _>>()?)))
            }
        }
    }

    fn references(&self, references: &mut References) {
        match self {
            Node::Constant(_) => {}
            Node::Computed { expression, .. } => expression.references(references),
            Node::Object(nodes) => nodes.iter().for_each(|(_, node)| node.references(references)),
            Node::Array(nodes) => nodes.iter().for_each(|node| node.references(references)),
        }
    }
}
