//! Reading a path.

use super::filter::{self, Depth};
use super::{Path, Root, Step};
use crate::query::SyntaxError;

/// A place in a text.
#[derive(Debug)]
pub(in crate::query) struct Cursor<'t> {
    text: &'t str,
    offset: usize,
}

/// What was wrong, and where.
#[derive(Debug)]
pub(in crate::query) struct Failure {
    pub(in crate::query) offset: usize,
    pub(in crate::query) reason: String,
}

pub(in crate::query) type Parsed<T> = Result<T, Failure>;

impl Failure {
    /// As a syntax error that AWS words as `message`.
    pub(in crate::query) fn syntax_error(self, message: String) -> SyntaxError {
        SyntaxError {
            code: "SCHEMA_VALIDATION_FAILED",
            message,
            pointer: String::new(),
            offset: self.offset,
            reason: self.reason,
        }
    }
}

impl<'t> Cursor<'t> {
    pub(in crate::query) fn new(text: &'t str) -> Self {
        Self { text, offset: 0 }
    }

    pub(in crate::query) fn offset(&self) -> usize {
        self.offset
    }

    pub(in crate::query) fn rest(&self) -> &'t str {
        &self.text[self.offset..]
    }

    /// The text from `start` up to here.
    pub(in crate::query) fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.offset]
    }

    pub(in crate::query) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(in crate::query) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.offset += next.len_utf8();
        Some(next)
    }

    /// Takes `token` if it comes next.
    pub(in crate::query) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.offset += token.len();
        }
        found
    }

    pub(in crate::query) fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.failure(format!("expected `{token}`")))
        }
    }

    pub(in crate::query) fn spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }

    pub(in crate::query) fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.offset += length;
        &rest[..length]
    }

    pub(in crate::query) fn end(&self) -> Parsed<()> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(self.failure("expected the end of the path".to_owned()))
        }
    }

    /// That something is wrong at this place.
    pub(in crate::query) fn failure(&self, reason: String) -> Failure {
        Failure {
            offset: self.offset,
            reason,
        }
    }

    fn integer(&mut self) -> Parsed<i64> {
        let start = self.offset;
        self.eat("-");
        self.take_while(|c| c.is_ascii_digit());
        let digits = self.since(start);
        digits.parse().map_err(|_| Failure {
            offset: start,
            reason: format!("`{digits}` is no index"),
        })
    }
}

/// Where a path stands, which decides where a name in it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Alone or as an argument of an intrinsic function.
    Field,
    /// In a filter, between operators, which may itself be inside of filters.
    Filter(Depth),
}

/// A path at the cursor. It ends before a comma, a closing parenthesis or a space.
pub(in crate::query) fn path(cursor: &mut Cursor<'_>) -> Parsed<Path> {
    let start = cursor.offset();
    cursor.expect("$")?;
    let root = if cursor.eat("$") {
        Root::Context
    } else {
        match cursor.take_while(|c| c.is_alphanumeric() || c == '_') {
            "" => Root::Input,
            name => Root::Variable(name.into()),
        }
    };
    let steps = steps(cursor, Place::Field)?;
    Ok(Path {
        source: cursor.since(start).into(),
        root,
        steps,
    })
}

/// The steps of a path inside a filter, after its `@` or `$`.
pub(super) fn filter_steps(cursor: &mut Cursor<'_>, depth: Depth) -> Parsed<Box<[Step]>> {
    steps(cursor, Place::Filter(depth))
}

fn steps(cursor: &mut Cursor<'_>, place: Place) -> Parsed<Box<[Step]>> {
    let mut steps = Vec::new();
    loop {
        if cursor.eat("..") {
            let step = if cursor.peek() == Some('[') {
                bracket(cursor, place)?
            } else {
                dotted(cursor, place)?
            };
            steps.push(Step::Descend(Box::new(step)));
        } else if cursor.eat(".") {
            steps.push(dotted(cursor, place)?);
        } else if cursor.peek() == Some('[') {
            steps.push(bracket(cursor, place)?);
        } else {
            return Ok(steps.into());
        }
    }
}

/// What follows a dot.
fn dotted(cursor: &mut Cursor<'_>, place: Place) -> Parsed<Step> {
    if cursor.eat("*") {
        return Ok(Step::Wildcard);
    }
    let ends = |c: char| match place {
        Place::Field => matches!(c, '.' | '[' | ']' | ',' | ')' | '\'' | '"') || c.is_whitespace(),
        Place::Filter(_) => {
            matches!(
                c,
                '.' | '[' | ']' | ',' | '(' | ')' | '=' | '!' | '<' | '>' | '&' | '|' | '\'' | '"'
            ) || c.is_whitespace()
        }
    };
    let start = cursor.offset();
    cursor.take_while(|c| !ends(c) && c != '(');
    // What looks like a function is a name, parentheses included.
    if place == Place::Field {
        cursor.eat("()");
    }
    match cursor.since(start) {
        "" => Err(cursor.failure("expected the name of a property".to_owned())),
        name => Ok(Step::Property(name.into())),
    }
}

fn bracket(cursor: &mut Cursor<'_>, place: Place) -> Parsed<Step> {
    cursor.expect("[")?;
    cursor.spaces();
    let step = match cursor.peek() {
        Some('\'' | '"') => names(cursor)?,
        Some('*') => {
            cursor.next();
            Step::Wildcard
        }
        Some('?') => {
            let depth = match place {
                Place::Field => Depth::default(),
                Place::Filter(depth) => depth,
            };
            Step::Filter(Box::new(filter::filter(cursor, depth)?))
        }
        _ => indexes(cursor)?,
    };
    cursor.spaces();
    cursor.expect("]")?;
    Ok(step)
}

/// `'a'` or `'a', 'b'`.
fn names(cursor: &mut Cursor<'_>) -> Parsed<Step> {
    let mut names: Vec<Box<str>> = Vec::new();
    loop {
        names.push(quoted(cursor)?.into());
        cursor.spaces();
        if !cursor.eat(",") {
            break;
        }
        cursor.spaces();
    }
    if names.len() == 1 {
        return Ok(Step::Property(names.remove(0)));
    }
    Ok(Step::Properties(names.into()))
}

/// A string in single or double quotes; a backslash takes the next character as it is.
pub(super) fn quoted(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let start = cursor.offset();
    let quote = match cursor.next() {
        Some(quote @ ('\'' | '"')) => quote,
        _ => {
            return Err(Failure {
                offset: start,
                reason: "expected a quoted string".to_owned(),
            });
        }
    };
    let mut text = String::new();
    while let Some(c) = cursor.next() {
        match c {
            '\\' => text.extend(cursor.next()),
            c if c == quote => return Ok(text),
            c => text.push(c),
        }
    }
    Err(Failure {
        offset: start,
        reason: "the quotes are never closed".to_owned(),
    })
}

/// `0`, `0, 2`, `1:3` and the like.
fn indexes(cursor: &mut Cursor<'_>) -> Parsed<Step> {
    let bound = |cursor: &mut Cursor<'_>| match cursor.peek() {
        Some('-' | '0'..='9') => cursor.integer().map(Some),
        _ => Ok(None),
    };
    let Some(first) = bound(cursor)? else {
        cursor.spaces();
        cursor.expect(":")?;
        cursor.spaces();
        return Ok(Step::Slice {
            from: None,
            to: bound(cursor)?,
        });
    };
    cursor.spaces();
    if cursor.eat(":") {
        cursor.spaces();
        return Ok(Step::Slice {
            from: Some(first),
            to: bound(cursor)?,
        });
    }
    let mut indexes = vec![first];
    while cursor.eat(",") {
        cursor.spaces();
        indexes.push(cursor.integer()?);
        cursor.spaces();
    }
    match indexes[..] {
        [index] => Ok(Step::Index(index)),
        _ => Ok(Step::Indexes(indexes.into())),
    }
}
