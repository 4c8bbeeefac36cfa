//! JSONata expressions: `{% $states.input.total > $limit %}`.
//!
//! jsonata-core evaluates them; around it stands what AWS adds and takes away: no context item, so that everything
//! starts from `$states` or a variable; functions of its own; no `$eval`; bounds on depth, time and size. Time and
//! randomness come from the moment. A plain path (`$states.input.a.b`) is followed without converting anything.

mod convert;
mod functions;
mod guard;
mod names;
mod read;
#[cfg(test)]
mod tests;
mod words;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError, EvaluatorOptions};
use jsonata_core::parser;
use jsonata_core::value::{JValue, with_stack};
use serde_json::Value;

use self::convert::Unfit;
use self::read::Reading;
use super::{Error, References, Scope, SyntaxError};
pub use names::FUNCTIONS;

/// How deep an evaluation may nest: as at AWS 100 levels, of which jsonata-core does not count the innermost, the
/// value itself.
const MAX_DEPTH: usize = 99;

/// How long an evaluation may take. Real ones take microseconds; whoever waits for this one does nothing else.
const MAX_MILLISECONDS: u64 = 1_000;

/// How long a sequence may get: the length at which AWS runs out of the memory it gives an expression.
const MAX_SEQUENCE: usize = 873_782;

/// How long an expression may be, in bytes. AWS takes 1 MiB for a whole definition; the parser is quadratic at worst.
const MAX_LENGTH: usize = 64 * 1024;

/// A parsed expression.
#[derive(Debug)]
pub(crate) struct Expression {
    /// The text between the marks, as AWS quotes it.
    source: Box<str>,
    ast: AstNode,
    reading: Reading,
}

/// The text of an expression, if `text` is one: AWS takes no space outside of the marks.
pub(super) fn marked(text: &str) -> Option<&str> {
    text.strip_prefix("{%")?.strip_suffix("%}")
}

impl Expression {
    /// Reads what stands between the marks; `in_catcher` is whether it may look at `$states.errorOutput`.
    pub(super) fn parse(marked: &str, in_catcher: bool) -> Result<Self, SyntaxError> {
        let source = marked.trim();
        // Two bytes of mark, and the spaces before the expression.
        let start = 2 + marked.len() - marked.trim_start().len();
        let refusal = |code, message: String, offset, reason| SyntaxError {
            code,
            message,
            pointer: String::new(),
            offset: start + offset,
            reason,
        };
        if source.len() > MAX_LENGTH {
            let reason = format!("the expression is longer than {MAX_LENGTH} bytes");
            return Err(refusal("INVALID_JSONATA_EXPRESSION", reason.clone(), 0, reason));
        }
        let mut ast = parser::parse(source).map_err(|error| {
            let offset = words::offset(source, &error.to_string());
            refusal(
                "INVALID_JSONATA_EXPRESSION",
                words::syntax(source, &error),
                offset,
                error.to_string(),
            )
        })?;
        let reading = Reading::of(&mut ast, in_catcher);
        if let Some(refused) = &reading.refused {
            let message = refused.to_string();
            return Err(refusal("UNSUPPORTED_JSONATA_EXPRESSION", message.clone(), 0, message));
        }
        Ok(Self {
            source: source.into(),
            ast,
            reading,
        })
    }

    /// The value of the expression, which stands at `field`.
    pub(super) fn evaluate<'a>(&self, field: &str, bindings: &Bindings<'_, 'a>) -> Result<Cow<'a, Value>, Error> {
        match self.follow(bindings.scope) {
            Followed::Value(value) => return Ok(convert::plain(value)),
            Followed::Nothing => return Err(self.undefined(field)),
            Followed::Unclear => {}
        }
        let value = self
            .run(bindings)
            .map_err(|error| self.failed(field, words::failure(&error, &self.reading.functions)))?;
        if value.is_undefined() {
            return Err(self.undefined(field));
        }
        convert::to_value(&value).map(Cow::Owned).map_err(|unfit| match unfit {
            Unfit::Function => Error::Unsupported {
                expression: self.source.to_string(),
                field: field.to_owned(),
            },
            Unfit::TooLarge => self.failed(field, format!(": {}", words::OUT_OF_MEMORY)),
            Unfit::TooDeep => self.failed(field, format!(": {}", words::TOO_DEEP)),
        })
    }

    fn undefined(&self, field: &str) -> Error {
        Error::Undefined {
            expression: self.source.to_string(),
            field: field.to_owned(),
        }
    }

    fn failed(&self, field: &str, failure: String) -> Error {
        Error::Evaluation {
            expression: self.source.to_string(),
            field: field.to_owned(),
            failure,
        }
    }

    /// Adds what the expression looks at.
    pub(super) fn references(&self, references: &mut References) {
        references
            .variables
            .extend(self.reading.variables.difference(&self.reading.bound).cloned());
        references.input.extend(self.reading.input.iter().cloned());
        references.context.extend(self.reading.context.iter().cloned());
        references
            .functions
            .extend(self.reading.functions.iter().map(|name| format!("${name}")));
        references.states.extend(self.reading.states.keys().cloned());
    }

    /// The expression between its marks.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// What was found in the expression.
    pub(crate) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Follows a plain path, as long as only objects are on the way.
    fn follow<'a>(&self, scope: &Scope<'a>) -> Followed<'a> {
        let Some(path) = &self.reading.path else {
            return Followed::Unclear;
        };
        let mut names = path.names.iter();
        let mut value = if path.variable == "states" {
            match names.next() {
                Some(field) => states_field(scope, field),
                None => return Followed::Unclear,
            }
        } else {
            match scope.variables.get(&path.variable) {
                Some(value) => Some(&**value),
                // It may be a function's name.
                None => return Followed::Unclear,
            }
        };
        for name in names {
            value = match value {
                Some(Value::Object(fields)) => fields.get(name),
                Some(Value::Array(_)) => return Followed::Unclear,
                _ => None,
            };
        }
        value.map_or(Followed::Nothing, Followed::Value)
    }

    fn run(&self, bindings: &Bindings<'_, '_>) -> Result<JValue, EvaluatorError> {
        let mut context = Context::new();
        for name in &self.reading.variables {
            let value = bindings.scope.variables.get(name);
            if let Some(value) = value.map(|value| bindings.converted(value)) {
                context.bind(name.clone(), value);
            }
        }
        if !self.reading.states.is_empty() {
            context.bind("states".to_owned(), bindings.states(&self.reading.states));
        }
        let mut evaluator = Evaluator::with_options(context, options());
        functions::register(&mut evaluator, &self.reading, bindings.scope.moment);
        // The evaluator is dropped whatever comes of it: nobody sees what a panic leaves half done.
        let evaluate = AssertUnwindSafe(|| evaluator.evaluate(&self.ast, &JValue::Undefined));
        catch_unwind(evaluate).unwrap_or_else(|_| Err(EvaluatorError::EvaluationError(words::BROKEN.to_owned())))
    }
}

/// The bounds of an evaluation.
fn options() -> EvaluatorOptions {
    EvaluatorOptions {
        timeout_ms: Some(MAX_MILLISECONDS),
        max_stack_depth: Some(MAX_DEPTH),
        max_sequence_length: Some(MAX_SEQUENCE),
        ..EvaluatorOptions::default()
    }
}

/// Where a plain path led.
enum Followed<'a> {
    Value(&'a Value),
    Nothing,
    /// It is no plain path, or one through arrays.
    Unclear,
}

/// The fields of `$states`.
const STATES: [&str; 4] = ["input", "result", "errorOutput", "context"];

fn states_field<'a>(scope: &Scope<'a>, name: &str) -> Option<&'a Value> {
    match name {
        "input" => Some(scope.input),
        "result" => scope.result,
        "errorOutput" => scope.error_output,
        "context" => Some(scope.context),
        _ => None,
    }
}

/// What the expressions of one template see, converted once and only as far as they look.
#[derive(Debug)]
pub(super) struct Bindings<'s, 'a> {
    scope: &'s Scope<'a>,
    /// By the address of the value, which the scope keeps where it is.
    converted: RefCell<BTreeMap<usize, JValue>>,
}

impl<'s, 'a> Bindings<'s, 'a> {
    pub(super) fn new(scope: &'s Scope<'a>) -> Self {
        Self {
            scope,
            converted: RefCell::default(),
        }
    }

    fn converted(&self, value: &'a Value) -> JValue {
        let address = std::ptr::from_ref(value).addr();
        if let Some(converted) = self.converted.borrow().get(&address) {
            return converted.clone();
        }
        let converted = with_stack(|| convert::from_value(value));
        self.converted.borrow_mut().insert(address, converted.clone());
        converted
    }

    /// `$states`, with that of it that is looked at.
    fn states(&self, looks: &BTreeMap<String, Vec<Vec<String>>>) -> JValue {
        let fields = STATES.into_iter().filter_map(|name| {
            let trails: Vec<&[String]> = looks.get(name)?.iter().map(Vec::as_slice).collect();
            Some((name.to_owned(), self.along(states_field(self.scope, name)?, &trails)))
        });
        convert::object(fields)
    }

    /// Those fields of an object that the trails lead through; all of a value where one of them ends.
    fn along(&self, value: &'a Value, trails: &[&[String]]) -> JValue {
        let firsts: Option<BTreeSet<&String>> = trails.iter().map(|trail| trail.first()).collect();
        let (Some(names), Value::Object(fields)) = (firsts, value) else {
            return self.converted(value);
        };
        convert::object(names.into_iter().filter_map(|name| {
            let inner = trails
                .iter()
                .filter_map(|trail| trail.split_first().filter(|(first, _)| *first == name));
            let inner: Vec<&[String]> = inner.map(|(_, rest)| rest).collect();
            Some((name.clone(), self.along(fields.get(name)?, &inner)))
        }))
    }
}
