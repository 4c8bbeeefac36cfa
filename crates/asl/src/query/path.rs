//! JSONPath in the dialect of Jayway's JsonPath, which AWS evaluates.
//!
//! A path is *definite* if it can name one value at most. A definite path that finds nothing is an error, any other
//! gives the list of what it finds, which may be empty. Functions (`.length()`) do not exist at AWS: they read as the
//! name of a property.

mod filter;
mod parse;
pub(super) mod select;

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use self::filter::Filter;
use super::{Error, References, Scope, SyntaxError};
pub(super) use parse::{Cursor, Failure, Parsed, path};

/// Where a path starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// `$`
    Input,
    /// `$$`
    Context,
    /// `$name`
    Variable(Box<str>),
}

/// A parsed JSONPath.
#[derive(Debug, Clone)]
pub struct Path {
    source: Box<str>,
    root: Root,
    steps: Box<[Step]>,
}

/// One step of a path.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// `.name`, `['name']`
    Property(Box<str>),
    /// `['a', 'b']`: as the last step the object of these properties, so far as they are there.
    Properties(Box<[Box<str>]>),
    /// `[0]`, from the end if negative.
    Index(i64),
    /// `[0, 2]`
    Indexes(Box<[i64]>),
    /// `[from:to]`
    Slice { from: Option<i64>, to: Option<i64> },
    /// `.*`, `[*]`
    Wildcard,
    /// `[?(…)]`
    Filter(Box<Filter>),
    /// `..` and the step after it.
    Descend(Box<Step>),
}

/// Why a definite path names nothing, in Jayway's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    #[error("Missing property in path {path}")]
    Property { path: String },
    #[error("Property ['{property}'] not found in path {path}")]
    NotAnObject { property: String, path: String },
    /// The index is beside the array; only an argument of a function minds.
    #[error("No results for path: {path}")]
    Element { path: String },
    #[error("Filter: [{index}] can only be applied to arrays. Current context is: {found}")]
    NotAnArray { index: i64, found: String },
    #[error("The path {path} is null")]
    Null { path: String },
    #[error("No results for path: {path}")]
    Leaf { path: String },
    #[error("Multi properties can only be used as path leafs: {path}")]
    InnerProperties { path: String },
    /// The budget is spent: nobody knows what the path names.
    #[error("too many values")]
    TooMuch,
    /// The variable itself has never been assigned.
    #[error("No results for path: ${name}")]
    Variable { name: String },
}

impl Path {
    /// Reads a path: from the input (`$.a`), the context object (`$$.a`) or a variable (`$name.a`).
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let path = parse::path(&mut cursor).and_then(|path| cursor.end().map(|()| path));
        path.map_err(|failure| failure.syntax_error("Value must be a valid JSONPath.".to_owned()))
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The path as AWS mostly tells of it: one into the Context Object as if that were the input.
    pub(crate) fn rooted(&self) -> &str {
        match self.root {
            Root::Context => &self.source[1..],
            Root::Input | Root::Variable(_) => &self.source,
        }
    }

    pub fn root(&self) -> &Root {
        &self.root
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether the path names one value at most.
    pub fn is_definite(&self) -> bool {
        let last = self.steps.len().saturating_sub(1);
        self.steps
            .iter()
            .enumerate()
            .all(|(index, step)| step.is_definite(index == last))
    }

    /// The value that the path names, `null` beside the elements of an array, as Jackson's arrays answer Jayway; the list
    /// of values if it is indefinite.
    pub fn find<'a>(&self, scope: &Scope<'a>) -> Result<Cow<'a, Value>, Absent> {
        match self.find_present(scope) {
            Err(Absent::Element { .. }) => Ok(Cow::Borrowed(&Value::Null)),
            found => found,
        }
    }

    /// [`Path::find`] for the arguments of functions, which want what is there.
    pub(super) fn find_present<'a>(&self, scope: &Scope<'a>) -> Result<Cow<'a, Value>, Absent> {
        let document = match &self.root {
            Root::Input => scope.input,
            Root::Context => scope.context,
            Root::Variable(name) => match scope.variables.get(&**name) {
                Some(value) => value,
                None => {
                    return Err(Absent::Variable { name: name.to_string() });
                }
            },
        };
        if self.is_definite() {
            self.find_one(document)
        } else {
            self.refuse_inner_properties()?;
            let found = select::all(&self.steps, document, document, scope.budget);
            select::list(found, scope.budget).map(Cow::Owned).ok_or(Absent::TooMuch)
        }
    }

    /// [`Path::find`] for the fields that hold a path and nothing else: `InputPath`, `OutputPath`, `Variable`, ….
    pub fn evaluate<'a>(&self, scope: &Scope<'a>) -> Result<Cow<'a, Value>, Error> {
        self.find(scope).map_err(|absent| match absent {
            Absent::TooMuch => Error::TooMuch,
            absent => Error::InvalidPath {
                path: self.source.to_string(),
                absent,
            },
        })
    }

    /// Adds what this path looks at.
    pub fn references(&self, references: &mut References) {
        match &self.root {
            Root::Variable(name) => {
                references.variables.insert(name.to_string());
            }
            Root::Input => {
                references.input.insert(self.stem());
            }
            Root::Context => {
                references.context.insert(self.stem());
            }
        }
    }

    /// The properties that the path names before its first branch, as a canonical path.
    fn stem(&self) -> String {
        let length = self
            .steps
            .iter()
            .take_while(|step| matches!(step, Step::Property(_) | Step::Index(_)))
            .count();
        self.canonical(length)
    }

    fn find_one<'a>(&self, document: &'a Value) -> Result<Cow<'a, Value>, Absent> {
        let mut value = document;
        for (index, step) in self.steps.iter().enumerate() {
            let is_leaf = index + 1 == self.steps.len();
            value = match step {
                Step::Property(name) => match value {
                    Value::Object(fields) => match fields.get(&**name) {
                        Some(field) => field,
                        None if is_leaf => {
                            return Err(Absent::Leaf {
                                path: self.canonical(index + 1),
                            });
                        }
                        None => {
                            return Err(Absent::Property {
                                path: self.canonical(index + 1),
                            });
                        }
                    },
                    _ => {
                        let (property, path) = (name.to_string(), self.canonical(index));
                        return Err(Absent::NotAnObject { property, path });
                    }
                },
                Step::Index(at) => match value {
                    Value::Array(items) => match select::element(items, *at) {
                        Some(element) => element,
                        None if is_leaf => {
                            return Err(Absent::Element {
                                path: self.canonical(index + 1),
                            });
                        }
                        None => &Value::Null,
                    },
                    Value::Null => {
                        return Err(Absent::Null {
                            path: self.canonical(index),
                        });
                    }
                    other => {
                        return Err(Absent::NotAnArray {
                            index: *at,
                            found: super::to_text(other),
                        });
                    }
                },
                Step::Properties(names) => match value {
                    Value::Object(fields) => return Ok(Cow::Owned(select::merged(fields, names))),
                    _ => {
                        let (property, path) = (names.join("', '"), self.canonical(index));
                        return Err(Absent::NotAnObject { property, path });
                    }
                },
                _ => unreachable!("a definite path has definite steps"),
            };
        }
        Ok(Cow::Borrowed(value))
    }

    /// Jayway reads `$['a', 'b'].c` but will not evaluate it.
    fn refuse_inner_properties(&self) -> Result<(), Absent> {
        let last = self.steps.len().saturating_sub(1);
        let inner = self.steps.iter().position(|step| matches!(step, Step::Properties(_)));
        match inner {
            Some(index) if index < last => Err(Absent::InnerProperties {
                path: self.canonical(index + 1),
            }),
            _ => Ok(()),
        }
    }

    /// The first `length` steps as Jayway prints them: `$['a'][0]`.
    fn canonical(&self, length: usize) -> String {
        use fmt::Write;
        let mut text = match &self.root {
            Root::Input | Root::Context => "$".to_owned(),
            Root::Variable(name) => format!("${name}"),
        };
        for step in &self.steps[..length] {
            write!(text, "{step}").expect("writing to a string does not fail");
        }
        text
    }
}

/// Paths are equal if they are written the same.
impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Step {
    fn is_definite(&self, is_last: bool) -> bool {
        match self {
            Step::Property(_) | Step::Index(_) => true,
            Step::Properties(_) => is_last,
            _ => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Property(name) => write!(f, "['{name}']"),
            Step::Properties(names) => write!(f, "['{}']", names.join("', '")),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Indexes(indexes) => {
                let indexes: Vec<_> = indexes.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", indexes.join(","))
            }
            Step::Slice { from, to } => {
                let bound = |bound: &Option<i64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
                write!(f, "[{}:{}]", bound(from), bound(to))
            }
            Step::Wildcard => f.write_str("[*]"),
            Step::Filter(_) => f.write_str("[?]"),
            Step::Descend(step) => write!(f, "..{step}"),
        }
    }
}
