//! How a state computes values: paths, payload templates, intrinsic functions and JSONata.
//!
//! Everything is parsed once, when the definition is read, and evaluated many times against a [`Scope`]. No value
//! depends on a clock or a random number generator: the time and the randomness of a transition come with its
//! [`Moment`]. (The real clock only ends JSONata that takes too long.)
//!
//! - [`Path`] and [`ReferencePath`]: where in the input, the context object or a variable a value is.
//! - [`Template`]: a field whose value is computed (`Parameters`, `ResultSelector`, `Assign`, `Arguments`, `Output`, …)
//!   in either query language.
//! - [`Expression`]: a single computed value of a JSONPath state that is no template (`CausePath`, `ErrorPath`).

mod budget;
mod intrinsic;
mod jsonata;
mod moment;
mod path;
mod payload;
mod reference;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

pub use budget::Budget;
pub(crate) use jsonata::Expression as JsonataExpression;
pub use jsonata::FUNCTIONS as JSONATA_FUNCTIONS;
pub use moment::Moment;
pub(crate) use path::Step;
pub use path::{Absent, Path, Root};
pub(crate) use payload::Node;
pub use payload::{Expression, IntrinsicCall, Template};
pub use reference::ReferencePath;
pub use text::{MAX_NESTING, nests_too_deep, to_text};

/// The variables that a state can see, by name. Sharing the values makes an inner scope cheap to open.
pub type Variables = BTreeMap<String, Arc<Value>>;

/// Which language the computed fields of a state are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Language {
    #[default]
    JsonPath,
    Jsonata,
}

/// What an evaluation may look at.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// What `$` means: the state's input, or its result where a field works on that (`ResultSelector`, `OutputPath`).
    pub input: &'a Value,
    /// The text `input` was read from, if it is still that text: AWS quotes it, spaces included, in its causes.
    pub input_text: Option<&'a str>,
    /// The context object: `$$`, or `$states.context`.
    pub context: &'a Value,
    pub variables: &'a Variables,
    /// `$states.result`, once there is one.
    pub result: Option<&'a Value>,
    /// `$states.errorOutput`, inside a Catcher.
    pub error_output: Option<&'a Value>,
    /// The time and the randomness of this transition.
    pub moment: &'a Moment,
    /// What JSONPath may still cost.
    pub budget: &'a Budget,
}

impl Scope<'_> {
    /// The input as AWS quotes it.
    fn quoted_input(&self) -> String {
        match self.input_text {
            Some(text) => text.to_owned(),
            None => to_text(self.input),
        }
    }

    /// The document that paths of `root` start from, as AWS quotes it.
    fn quoted(&self, root: &Root) -> String {
        match root {
            Root::Context => to_text(self.context),
            Root::Input | Root::Variable(_) => self.quoted_input(),
        }
    }
}

/// Why an evaluation failed. The text is the inner message of AWS's cause: whoever runs the state puts
/// `An error occurred while executing the state '…' (entered at the event id #…). ` in front of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field of a payload template names a value that is not there.
    #[error("The JSONPath '{path}' specified for the field '{field}' could not be found in the input '{input}'")]
    NotFound { path: String, field: String, input: String },
    /// A path in a field of its own (`InputPath`, `OutputPath`, …) cannot be followed.
    #[error("Invalid path '{path}' : {absent}")]
    InvalidPath { path: String, absent: Absent },
    /// An argument of an intrinsic function names a value that is not there.
    #[error(
        "The function '{call}' had the following error: The JsonPath argument for the field '{path}' could not be found \
         in the input '{input}'"
    )]
    ArgumentNotFound { call: String, path: String, input: String },
    /// An intrinsic function does not take these arguments.
    #[error("The function '{call}' had the following error: Invalid arguments in {function}")]
    InvalidArguments { call: String, function: &'static str },
    /// A JSONata expression has no value.
    #[error("The JSONata expression '{expression}' specified for the field '{field}' returned nothing (undefined).")]
    Undefined { expression: String, field: String },
    /// The value of a JSONata expression is a function, so no JSON.
    #[error(
        "The JSONata expression '{expression}' specified for the field '{field}' returned an unsupported result type."
    )]
    Unsupported { expression: String, field: String },
    /// A JSONata expression cannot be evaluated, or not within the bounds. `failure` begins with its punctuation.
    #[error(
        "The JSONata expression '{expression}' specified for the field '{field}' threw an error during evaluation{failure}"
    )]
    Evaluation {
        expression: String,
        field: String,
        failure: String,
    },
    /// Following a path or filling in a template takes longer, or gives more, than any payload can be worth.
    #[error("Query evaluation limit exceeded: Check for paths that name too many values")]
    TooMuch,
    /// What a template gives could not be read back from the history.
    #[error("The result nests deeper than {MAX_NESTING} levels")]
    TooDeep,
    /// An argument's path cannot be followed at all, which AWS words as its JSONPath library does.
    #[error("The function '{call}' had the following error: {absent}")]
    ArgumentInvalid { call: String, absent: Absent },
    /// `ResultPath` leads through something that is neither an object nor an element of an array.
    #[error("Unable to apply ReferencePath {path} to input {input}")]
    ResultPathMismatch { path: String, input: String },
}

impl Error {
    /// The error name that Retriers and Catchers match.
    pub fn name(&self) -> &'static str {
        match self {
            // AWS reports these as States.Runtime, whatever its reference says of ParameterPathFailure and
            // IntrinsicFailure.
            Error::NotFound { .. }
            | Error::InvalidPath { .. }
            | Error::ArgumentNotFound { .. }
            | Error::ArgumentInvalid { .. }
            | Error::InvalidArguments { .. } => "States.Runtime",
            Error::Undefined { .. } | Error::Unsupported { .. } | Error::Evaluation { .. } | Error::TooMuch => {
                "States.QueryEvaluationError"
            }
            Error::ResultPathMismatch { .. } => "States.ResultPathMatchFailure",
            Error::TooDeep => "States.DataLimitExceeded",
        }
    }

    /// The field at fault, if AWS names it (`Output/items[0]`): it does so for JSONata.
    pub fn location(&self) -> Option<&str> {
        match self {
            Error::Undefined { field, .. } | Error::Unsupported { field, .. } | Error::Evaluation { field, .. } => {
                Some(field)
            }
            _ => None,
        }
    }
}

/// Why a definition's text is no path, call, expression or template. Displays what AWS says of it; `reason` says where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// AWS's code: `SCHEMA_VALIDATION_FAILED`, or one of JSONata's.
    pub code: &'static str,
    /// AWS's words, to be followed by ` at /States/…`.
    pub message: String,
    /// What AWS puts after the field's own place there (`/items[0]`), often nothing.
    pub pointer: String,
    /// The byte in the text where reading it failed.
    pub offset: usize,
    /// What was wrong there.
    pub reason: String,
}

/// What an expression looks at, as far as its text tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Names of variables, without the `$`.
    pub variables: BTreeSet<String>,
    /// Fields of the input, as canonical paths: of `$.a['b'][*].c` the part before the first branch, `$['a']['b']`.
    pub input: BTreeSet<String>,
    /// Fields of the context object, likewise.
    pub context: BTreeSet<String>,
    /// Functions called, as written (`States.Format`, `$sum`).
    pub functions: BTreeSet<String>,
    /// Fields of `$states` (`input`, `result`, `errorOutput`, `context`): which of them there are depends on the field
    /// that the expression stands in.
    pub states: BTreeSet<String>,
}
