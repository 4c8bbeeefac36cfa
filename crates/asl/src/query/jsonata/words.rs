//! What the evaluator says, in AWS's words.

use jsonata_core::evaluator::EvaluatorError;
use jsonata_core::parser::{self, ParserError};

pub(super) const OUT_OF_MEMORY: &str = "Expression evaluation memory limit exceeded: Check for excessive memory usage";

pub(super) const TOO_DEEP: &str = "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as \
                                   tail-recursive.";

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

/// How a failed evaluation goes on after `threw an error during evaluation`: with a sentence of its own if the error
/// has one of JSONata's codes, with an explanation otherwise.
pub(super) fn failure(error: &EvaluatorError) -> String {
    let message = error.message();
    match error.code() {
        None => format!(": {message}"),
        Some("D1011" | "U1001" | "U1002") => format!(": {TOO_DEEP}"),
        Some("D1012" | "U1003") => format!(": {TOO_LONG}"),
        Some("D2015") => format!(": {OUT_OF_MEMORY}"),
        Some("T1006") => ". T1006: Attempted to invoke a non-function".to_owned(),
        Some(code @ ("T2001" | "T2002")) => {
            let side = if code == "T2001" { "left" } else { "right" };
            let operator = message
                .split(' ')
                .skip_while(|word| *word != "the")
                .nth(1)
                .unwrap_or_default();
            let operator = operator.trim_matches('"');
            format!(". {code}: The {side} side of the \"{operator}\" operator must evaluate to a number")
        }
        Some(_) => format!(". {message}"),
    }
}

/// A parser's error without its code and with the tokens spelled.
pub(super) fn syntax(error: &ParserError) -> String {
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
