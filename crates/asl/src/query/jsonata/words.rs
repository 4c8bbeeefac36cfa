//! What the evaluator says, in AWS's words.

use std::collections::BTreeSet;

use jsonata_core::evaluator::EvaluatorError;
use jsonata_core::parser::{self, ParserError};
use serde_json::Value;

pub(super) const OUT_OF_MEMORY: &str = "Expression evaluation memory limit exceeded: Check for excessive memory usage";

pub(super) const TOO_DEEP: &str = "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as \
                                   tail-recursive";

/// Where the evaluator itself is at fault.
pub(super) const BROKEN: &str = "The expression could not be evaluated";

const TOO_LONG: &str = "Expression evaluation timeout: Check for infinite loop";

/// A token's name in the parser with what it is in an expression.
const TOKENS: [(&str, &str); 33] = [
    ("LeftParen", "("),
    ("RightParen", ")"),
    ("LeftBracket", "["),
    ("RightBracket", "]"),
    ("LeftBrace", "{"),
    ("RightBrace", "}"),
    ("Comma", ","),
    ("Semicolon", ";"),
    ("Colon", ":"),
    ("ColonEqual", ":="),
    ("Question", "?"),
    ("QuestionColon", "?:"),
    ("QuestionQuestion", "??"),
    ("Dot", "."),
    ("DotDot", ".."),
    ("Plus", "+"),
    ("Minus", "-"),
    ("Star", "*"),
    ("StarStar", "**"),
    ("Slash", "/"),
    ("Percent", "%"),
    ("Equal", "="),
    ("NotEqual", "!="),
    ("LessThan", "<"),
    ("LessThanOrEqual", "<="),
    ("GreaterThan", ">"),
    ("GreaterThanOrEqual", ">="),
    ("Ampersand", "&"),
    ("Caret", "^"),
    ("Pipe", "|"),
    ("TildeArrow", "~>"),
    ("At", "@"),
    ("Hash", "#"),
];

/// The errors whose text is always the same, where jsonata-core words them otherwise than JSONata's own catalogue.
const ALWAYS: [(&str, &str); 23] = [
    ("T1006", "Attempted to invoke a non-function"),
    (
        "T2003",
        "The left side of the range operator (..) must evaluate to an integer",
    ),
    (
        "T2004",
        "The right side of the range operator (..) must evaluate to an integer",
    ),
    ("D3001", "Attempting to invoke string function on Infinity or NaN"),
    ("D3010", "Second argument of replace function cannot be an empty string"),
    (
        "D3011",
        "Fourth argument of replace function must evaluate to a positive number",
    ),
    (
        "D3020",
        "Third argument of split function must evaluate to a positive number",
    ),
    (
        "D3040",
        "Third argument of match function must evaluate to a positive number",
    ),
    (
        "D3080",
        "The picture string must only contain a maximum of two sub-pictures",
    ),
    (
        "D3081",
        "The sub-picture must not contain more than one instance of the 'decimal-separator' character",
    ),
    (
        "D3082",
        "The sub-picture must not contain more than one instance of the 'percent' character",
    ),
    (
        "D3083",
        "The sub-picture must not contain more than one instance of the 'per-mille' character",
    ),
    (
        "D3084",
        "The sub-picture must not contain both a 'percent' and a 'per-mille' character",
    ),
    (
        "D3085",
        "The mantissa part of a sub-picture must contain at least one character that is either an 'optional digit \
         character' or a member of the 'decimal digit family'",
    ),
    (
        "D3086",
        "The sub-picture must not contain a passive character that is preceded by an active character and that is \
         followed by another active character",
    ),
    (
        "D3087",
        "The sub-picture must not contain a 'grouping-separator' character that appears adjacent to a \
         'decimal-separator' character",
    ),
    (
        "D3088",
        "The sub-picture must not contain a 'grouping-separator' at the end of the integer part",
    ),
    (
        "D3089",
        "The sub-picture must not contain two adjacent instances of the 'grouping-separator' character",
    ),
    (
        "D3090",
        "The integer part of the sub-picture must not contain a member of the 'decimal digit family' that is followed by \
         an instance of the 'optional digit character'",
    ),
    (
        "D3091",
        "The fractional part of the sub-picture must not contain an instance of the 'optional digit character' that is \
         followed by a member of the 'decimal digit family'",
    ),
    (
        "D3092",
        "A sub-picture that contains a 'percent' or 'per-mille' character must not contain a character treated as an \
         'exponent-separator'",
    ),
    (
        "D3093",
        "The exponent part of the sub-picture must comprise only of one or more characters that are members of the \
         'decimal digit family'",
    ),
    (
        "D3138",
        "The $single() function expected exactly 1 matching result.  Instead it matched more.",
    ),
];

/// How a failed evaluation goes on after `threw an error during evaluation`: with a sentence of its own if the error
/// has one of JSONata's codes, with an explanation otherwise. `functions` are those that the expression calls.
pub(super) fn failure(error: &EvaluatorError, functions: &BTreeSet<String>) -> String {
    let Some(code) = error.code() else {
        return format!(": {}", error.message());
    };
    match code {
        "D1011" | "U1001" | "U1002" => return format!(": {TOO_DEEP}"),
        "D1012" | "U1003" => return format!(": {TOO_LONG}"),
        "D2015" => return format!(": {OUT_OF_MEMORY}"),
        _ => {}
    }
    let message = error.message()[code.len()..].trim_start_matches([':', ' ']);
    let always = ALWAYS
        .iter()
        .find(|(always, _)| *always == code)
        .map(|(_, text)| (*text).to_owned());
    let reworded = always.or_else(|| match code {
        "T2001" | "T2002" => {
            let operator = message
                .split(' ')
                .skip_while(|word| *word != "the")
                .nth(1)?
                .trim_matches('"');
            let side = if code == "T2001" { "left" } else { "right" };
            Some(format!(
                "The {side} side of the \"{operator}\" operator must evaluate to a number"
            ))
        }
        "D3030" => {
            let value = message.strip_prefix("Cannot convert '")?.strip_suffix("' to number")?;
            Some(format!("Unable to cast value to a number: {}", Value::from(value)))
        }
        "T0410" | "T0411" | "T0412" => arguments(code, message, functions),
        _ => None,
    });
    format!(". {code}: {}", reworded.as_deref().unwrap_or(message))
}

/// The errors about arguments. jsonata-core does not say whose, which is clear where only one function is called.
fn arguments(code: &str, message: &str, functions: &BTreeSet<String>) -> Option<String> {
    if message.contains("of function \"") {
        return None;
    }
    let mut names = functions.iter();
    let (Some(name), None) = (names.next(), names.next()) else {
        return None;
    };
    let mut numbers = message
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse::<usize>().ok());
    let index = if message.starts_with("Argument count mismatch") {
        // So many are expected at least, and so many were given: the first that is missing, or the last that is too many.
        let (expected, given) = (numbers.next()?, numbers.next()?);
        if given < expected { given + 1 } else { given }
    } else {
        numbers.next().unwrap_or(1)
    };
    match code {
        "T0410" => Some(format!(
            "Argument {index} of function \"{name}\" does not match function signature"
        )),
        "T0411" => Some(format!(
            "Context value is not a compatible type with argument {index} of function \"{name}\""
        )),
        _ => {
            let element = message.rsplit(' ').next()?.to_lowercase();
            Some(format!(
                "Argument {index} of function \"{name}\" must be an array of \"{element}s\""
            ))
        }
    }
}

/// A parser's error without its code and with the tokens spelled.
pub(super) fn syntax(source: &str, error: &ParserError) -> String {
    let is_open = |error: &ParserError| matches!(error, ParserError::UnclosedString);
    match error {
        // Said of patterns too: it is one if a slash closes it.
        error if is_open(error) && !parser::parse(&format!("{source}/")).is_err_and(|error| is_open(&error)) => {
            return "No terminating / in regular expression".to_owned();
        }
        ParserError::UnclosedComment => return "Comment has no closing tag".to_owned(),
        _ => {}
    }
    let text = error.to_string();
    let text = text
        .strip_prefix("Invalid syntax: ")
        .or(text.strip_prefix("Invalid number: "))
        .unwrap_or(&text);
    let text = match text.split_once(": ") {
        Some((code, message)) if code.len() == 5 && code.starts_with(['S', 'U']) => message,
        _ => text,
    };
    let words: Vec<String> = text.split(' ').map(token).collect();
    words.join(" ")
}

/// A word of a message, or the token that it names in quotes.
fn token(word: &str) -> String {
    let (word, tail) = match word.strip_suffix(',') {
        Some(word) => (word, ","),
        None => (word, ""),
    };
    let token = TOKENS
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, token)| *token)
        .or_else(|| {
            let (name, value) = word.strip_suffix(')')?.split_once('(')?;
            matches!(name, "Identifier" | "Variable" | "String" | "Number").then(|| value.trim_matches('"'))
        });
    match token {
        Some(token) => format!("\"{token}\"{tail}"),
        None => format!("{word}{tail}"),
    }
}

/// The longest expression whose errors are searched for their place, in bytes: each step of the search parses again.
const MAX_SEARCHED: usize = 4 * 1024;

/// Where in `source` the error `message` is decided: after the shortest beginning from which on it stays the same.
pub(super) fn offset(source: &str, message: &str) -> usize {
    if source.len() > MAX_SEARCHED {
        return 0;
    }
    let fails = |end: &usize| parser::parse(&source[..*end]).is_err_and(|error| error.to_string() == message);
    let ends = source.char_indices().map(|(start, _)| start).rev();
    ends.take_while(fails).last().unwrap_or(source.len())
}
