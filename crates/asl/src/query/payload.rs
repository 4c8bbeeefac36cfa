//! Payload templates: JSON in which some values are computed.
//!
//! In a JSONPath state a field whose name ends in `.$` holds a path or a call, and its value takes the field's place. In
//! a JSONata state any text between `{%` and `%}` is an expression. What is constant is kept as one value, however
//! large, and lent out.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::intrinsic::Call;
use super::jsonata::{self, Bindings};
use super::path::{Absent, Path};
use super::text::is_deeper;
use super::{Error, Language, MAX_NESTING, References, Scope, SyntaxError};

/// A parsed payload template, or any other computed field.
#[derive(Debug, Clone)]
pub struct Template {
    pub(crate) node: Node,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Constant(Value),
    /// The fields in their order, under the names they will have.
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    /// A field as it was named, so with its `.$`.
    Computed {
        field: String,
        expression: Expression,
    },
    /// An expression with its place as AWS names it, from the state down: `Output/items[0]`.
    Jsonata {
        field: String,
        expression: Arc<jsonata::Expression>,
    },
}

impl Template {
    /// Reads the value of `field`, which is named as AWS would in a cause: `Parameters`, `Choices[0]/Condition`.
    pub fn parse(field: &str, template: &Value, language: Language) -> Result<Self, SyntaxError> {
        let mut reader = Reader {
            language,
            place: field.to_owned(),
            field_length: field.len(),
        };
        reader.read(template).map(|node| Self { node })
    }

    /// The template with its computed values filled in.
    pub fn evaluate<'a>(&'a self, scope: &Scope<'a>) -> Result<Cow<'a, Value>, Error> {
        match self.node.evaluate(scope, &Bindings::new(scope))? {
            // What is lent was read from somewhere, so it can be read again.
            Cow::Owned(value) if is_deeper(&value, MAX_NESTING) => Err(Error::TooDeep),
            value => Ok(value),
        }
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
            Expression::Path(path) => path.find(scope).map_err(|absent| match absent {
                Absent::TooMuch => Error::TooMuch,
                _ => Error::NotFound {
                    path: path.to_string(),
                    field: field.to_owned(),
                    input: scope.quoted(path.root()),
                },
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

    /// The paths that are followed whenever the expression is evaluated.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        match self {
            Expression::Path(path) => vec![path],
            Expression::Call(call) => call.0.paths(),
        }
    }
}

/// Reads templates, keeping track of where it is.
struct Reader {
    language: Language,
    /// As AWS names it, from the state down.
    place: String,
    /// How much of the place is the template's own field.
    field_length: usize,
}

impl Reader {
    fn read(&mut self, template: &Value) -> Result<Node, SyntaxError> {
        let node = match template {
            Value::Object(fields) => {
                let mut nodes = Vec::with_capacity(fields.len());
                for (field, value) in fields {
                    nodes.push(match field.strip_suffix(".$") {
                        Some(name) if self.language == Language::JsonPath => {
                            (name.to_owned(), self.computed(field, value)?)
                        }
                        _ => (field.clone(), self.read_at(&format!("/{field}"), value)?),
                    });
                }
                if nodes.iter().all(|(_, node)| matches!(node, Node::Constant(_))) {
                    return Ok(Node::Constant(template.clone()));
                }
                Node::Object(nodes)
            }
            Value::Array(items) => {
                let mut nodes = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    nodes.push(self.read_at(&format!("[{index}]"), item)?);
                }
                if nodes.iter().all(|node| matches!(node, Node::Constant(_))) {
                    return Ok(Node::Constant(template.clone()));
                }
                Node::Array(nodes)
            }
            Value::String(text) if self.language == Language::Jsonata => match jsonata::marked(text) {
                Some(marked) => {
                    let expression = jsonata::Expression::parse(marked, self.place.starts_with("Catch["));
                    let expression = expression.map_err(|error| SyntaxError {
                        pointer: self.pointer(),
                        ..error
                    })?;
                    Node::Jsonata {
                        field: self.place.clone(),
                        expression: Arc::new(expression),
                    }
                }
                None => Node::Constant(template.clone()),
            },
            constant => Node::Constant(constant.clone()),
        };
        Ok(node)
    }

    fn read_at(&mut self, step: &str, template: &Value) -> Result<Node, SyntaxError> {
        let length = self.place.len();
        self.place.push_str(step);
        let node = self.read(template);
        self.place.truncate(length);
        node
    }

    /// A field of a JSONPath state whose name ends in `.$`.
    fn computed(&self, field: &str, value: &Value) -> Result<Node, SyntaxError> {
        let refusal = |offset, reason| SyntaxError {
            code: "SCHEMA_VALIDATION_FAILED",
            message: format!(
                "The value for the field '{field}' must be a valid JSONPath or a valid intrinsic function call"
            ),
            pointer: self.pointer(),
            offset,
            reason,
        };
        match value.as_str().map(Expression::parse) {
            Some(Ok(expression)) => Ok(Node::Computed {
                field: field.to_owned(),
                expression,
            }),
            Some(Err(error)) => Err(refusal(error.offset, error.reason)),
            None => Err(refusal(0, "expected a path or a call".to_owned())),
        }
    }

    fn pointer(&self) -> String {
        self.place[self.field_length..].to_owned()
    }
}

impl Node {
    fn evaluate<'a>(&'a self, scope: &Scope<'a>, bindings: &Bindings<'_, 'a>) -> Result<Cow<'a, Value>, Error> {
        match self {
            Node::Constant(value) => Ok(Cow::Borrowed(value)),
            Node::Computed { field, expression } => expression.evaluate(field, scope),
            Node::Jsonata { field, expression } => expression.evaluate(field, bindings),
            Node::Object(nodes) => {
                let mut fields = Map::with_capacity(nodes.len());
                for (name, node) in nodes {
                    fields.insert(name.clone(), node.fill(scope, bindings)?);
                }
                Ok(Cow::Owned(Value::Object(fields)))
            }
            Node::Array(nodes) => {
                let items = nodes.iter().map(|node| node.fill(scope, bindings));
                Ok(Cow::Owned(Value::Array(items.collect::<Result<_, _>>()?)))
            }
        }
    }

    /// The value of a part of a larger one.
    fn fill<'a>(&'a self, scope: &Scope<'a>, bindings: &Bindings<'_, 'a>) -> Result<Value, Error> {
        match self.evaluate(scope, bindings)? {
            Cow::Borrowed(value) if !scope.budget.copy(value) => Err(Error::TooMuch),
            value => Ok(value.into_owned()),
        }
    }

    fn references(&self, references: &mut References) {
        match self {
            Node::Constant(_) => {}
            Node::Computed { expression, .. } => expression.references(references),
            Node::Jsonata { expression, .. } => expression.references(references),
            Node::Object(nodes) => nodes.iter().for_each(|(_, node)| node.references(references)),
            Node::Array(nodes) => nodes.iter().for_each(|node| node.references(references)),
        }
    }
}
