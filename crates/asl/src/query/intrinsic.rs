//! Calls of intrinsic functions: `States.Format('{} of {}', $.index, States.ArrayLength($.items))`.

mod functions;

use std::borrow::Cow;

use serde_json::{Number, Value};

use self::functions::Function;
pub(super) use self::functions::digest;
use super::path::{self, Cursor, Failure, Parsed};
use super::{Absent, Error, Path, References, Scope};

/// How deep calls may stand inside one another. AWS allows ten calls in a field; this only guards the stack.
const MAX_DEPTH: usize = 32;

/// A parsed call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// The call as it was written: AWS quotes it in its causes.
    source: Box<str>,
    function: Function,
    arguments: Box<[Argument]>,
}

#[derive(Debug, Clone)]
enum Argument {
    Literal(Value),
    Template(Template),
    Path(Path),
    Call(Call),
}

/// A literal in quotes that has placeholders, should it be the first argument of `States.Format`.
#[derive(Debug, Clone)]
struct Template {
    /// What the literal is anywhere else.
    text: Value,
    /// The text between the placeholders, so one more than there are of those.
    parts: Box<[Box<str>]>,
}

impl Call {
    /// Reads a call that is all of `text`.
    pub(super) fn parse(text: &str) -> Parsed<Self> {
        let mut cursor = Cursor::new(text);
        let call = call(&mut cursor, 0)?;
        cursor.spaces();
        if cursor.rest().is_empty() {
            Ok(call)
        } else {
            Err(cursor.failure("expected the end of the call".to_owned()))
        }
    }

    pub(super) fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, Error> {
        self.evaluate_within(&self.source, scope)
    }

    /// `outermost` is the whole expression, which AWS quotes whichever call in it fails.
    fn evaluate_within(&self, outermost: &str, scope: &Scope<'_>) -> Result<Value, Error> {
        let arguments: Vec<Cow<'_, Value>> = self
            .arguments
            .iter()
            .map(|argument| match argument {
                Argument::Literal(value) => Ok(Cow::Borrowed(value)),
                Argument::Template(template) => Ok(Cow::Borrowed(&template.text)),
                Argument::Call(call) => call.evaluate_within(outermost, scope).map(Cow::Owned),
                Argument::Path(path) => path.find_present(scope).map_err(|absent| match absent {
                    Absent::TooMuch => Error::TooMuch,
                    Absent::NotAnArray { .. } | Absent::InnerProperties { .. } => Error::ArgumentInvalid {
                        call: outermost.to_owned(),
                        absent,
                    },
                    _ => Error::ArgumentNotFound {
                        call: outermost.to_owned(),
                        path: path.rooted().to_owned(),
                        input: scope.quoted_input(),
                    },
                }),
            })
            .collect::<Result<_, _>>()?;
        // No function makes more than it is given, but several times in a row that adds up.
        if !arguments.iter().all(|argument| scope.budget.copy(argument)) {
            return Err(Error::TooMuch);
        }
        let parts = match self.arguments.first() {
            Some(Argument::Template(template)) => Some(&*template.parts),
            _ => None,
        };
        functions::apply(self.function, &arguments, parts, scope.moment).ok_or_else(|| Error::InvalidArguments {
            call: outermost.to_owned(),
            function: self.function.name(),
        })
    }

    /// The paths among its arguments and theirs.
    pub(super) fn paths(&self) -> Vec<&Path> {
        let arguments = self.arguments.iter();
        let paths = arguments.flat_map(|argument| match argument {
            Argument::Path(path) => vec![path],
            Argument::Call(call) => call.paths(),
            Argument::Literal(_) | Argument::Template(_) => Vec::new(),
        });
        paths.collect()
    }

    /// Adds what this call looks at and which functions it uses.
    pub(super) fn references(&self, references: &mut References) {
        references.functions.insert(self.function.name().to_owned());
        for argument in &self.arguments {
            match argument {
                Argument::Path(path) => path.references(references),
                Argument::Call(call) => call.references(references),
                Argument::Literal(_) | Argument::Template(_) => {}
            }
        }
    }
}

fn call(cursor: &mut Cursor<'_>, depth: usize) -> Parsed<Call> {
    if depth >= MAX_DEPTH {
        return Err(cursor.failure(format!("calls nest more than {MAX_DEPTH} deep")));
    }
    let start = cursor.offset();
    let name = cursor.take_while(|c| c.is_alphanumeric() || c == '.' || c == '_');
    let Some(function) = Function::named(name) else {
        return Err(Failure {
            offset: start,
            reason: format!("there is no function `{name}`"),
        });
    };
    cursor.spaces();
    cursor.expect("(")?;
    cursor.spaces();
    let mut arguments = Vec::new();
    while !cursor.eat(")") {
        if !arguments.is_empty() {
            cursor.expect(",")?;
            cursor.spaces();
        }
        arguments.push(argument(cursor, depth)?);
        cursor.spaces();
    }
    if !function.takes(arguments.len()) {
        let reason = format!("{name} does not take {} arguments", arguments.len());
        return Err(Failure { offset: start, reason });
    }
    Ok(Call {
        source: cursor.since(start).into(),
        function,
        arguments: arguments.into(),
    })
}

fn argument(cursor: &mut Cursor<'_>, depth: usize) -> Parsed<Argument> {
    match cursor.peek() {
        Some('$') => path::path(cursor).map(Argument::Path),
        Some('\'') => literal(cursor),
        _ if cursor.rest().starts_with("States.") => call(cursor, depth + 1).map(Argument::Call),
        _ => {
            let start = cursor.offset();
            let word = cursor.take_while(|c| !matches!(c, ',' | ')' | '(' | '\'') && !c.is_whitespace());
            let value = match word {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                word => match serde_json::from_str::<Number>(word) {
                    Ok(number) => Value::Number(number),
                    Err(_) => {
                        return Err(Failure {
                            offset: start,
                            reason: "expected an argument".to_owned(),
                        });
                    }
                },
            };
            Ok(Argument::Literal(value))
        }
    }
}

/// A literal in single quotes. A backslash makes a quote, a brace or a backslash an ordinary character.
fn literal(cursor: &mut Cursor<'_>) -> Parsed<Argument> {
    let start = cursor.offset();
    cursor.expect("'")?;
    let mut text = String::new();
    let mut parts = Vec::new();
    let mut part_start = 0;
    loop {
        match cursor.next() {
            None => {
                return Err(Failure {
                    offset: start,
                    reason: "the quotes are never closed".to_owned(),
                });
            }
            Some('\'') => break,
            Some('\\') => match cursor.next() {
                Some(c @ ('\'' | '{' | '}' | '\\')) => text.push(c),
                // No escape: the backslash stays.
                Some(c) => text.extend(['\\', c]),
                None => {}
            },
            Some('{') if cursor.eat("}") => {
                parts.push(text[part_start..].into());
                text.push_str("{}");
                part_start = text.len();
            }
            Some(c) => text.push(c),
        }
    }
    parts.push(text[part_start..].into());
    Ok(Argument::Template(Template {
        text: Value::String(text),
        parts: parts.into(),
    }))
}
