//! What is wrong with a JSON text, in the words of the parser that AWS uses (Jackson), as its refusals quote them.

use std::iter::Peekable;
use std::str::Chars;

/// What may stand where a value is expected.
const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

/// An Array or an Object that has begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Array,
    Object,
}

impl Open {
    fn name(self) -> &'static str {
        match self {
            Self::Array => "Array",
            Self::Object => "Object",
        }
    }

    fn end(self) -> char {
        match self {
            Self::Array => ']',
            Self::Object => '}',
        }
    }
}

/// The first thing that is wrong with a text which is no JSON; what Jackson would take is told in `otherwise`.
pub(super) fn complaint(text: &str, otherwise: &serde_json::Error) -> String {
    let mut scanner = Scanner {
        rest: text.chars().peekable(),
        open: Vec::new(),
    };
    scanner.document().err().unwrap_or_else(|| otherwise.to_string())
}

struct Scanner<'t> {
    rest: Peekable<Chars<'t>>,
    open: Vec<Open>,
}

/// Reads on, or says what it met.
type Read = Result<(), String>;

impl Scanner<'_> {
    fn document(&mut self) -> Read {
        self.values()?;
        while let Some(open) = self.open.last().copied() {
            match self.next() {
                Some(',') => {
                    self.name(open)?;
                    self.values()?;
                }
                Some(end) if end == open.end() => {
                    self.open.pop();
                }
                Some(other) => {
                    let separates = format!("was expecting comma to separate {} entries", open.name());
                    return Err(unexpected(other, &separates));
                }
                None => return Err(self.end(open)),
            }
        }
        Ok(())
    }

    /// A value, as far as the first entry of the containers that begin with it.
    fn values(&mut self) -> Read {
        while self.begins_container()? {}
        Ok(())
    }

    /// Reads a value that is no container, or the beginning of one; whether a value has to follow.
    fn begins_container(&mut self) -> Result<bool, String> {
        let open = match self.next() {
            None => Err(match self.open.last() {
                Some(open) => self.end(*open),
                None => "No content to map due to end-of-input".to_owned(),
            }),
            Some('"') => return self.string().map(|()| false),
            Some('[') => Ok(Open::Array),
            Some('{') => Ok(Open::Object),
            Some(digit) if digit == '-' || digit.is_ascii_digit() => {
                while self
                    .rest
                    .next_if(|c| c.is_ascii_digit() || "+-.eE".contains(*c))
                    .is_some()
                {}
                return Ok(false);
            }
            Some(first) if first.is_alphabetic() || first == '_' || first == '$' => {
                let mut word = String::from(first);
                while let Some(next) = self.rest.next_if(|c| c.is_alphanumeric() || "_$".contains(*c)) {
                    word.push(next);
                }
                match word.as_str() {
                    "null" | "true" | "false" => return Ok(false),
                    _ => Err(format!("Unrecognized token '{word}': was expecting {VALUES}")),
                }
            }
            Some(other) => Err(unexpected(other, &format!("expected a valid value {VALUES}"))),
        }?;
        self.space();
        if self.rest.next_if_eq(&open.end()).is_some() {
            return Ok(false);
        }
        self.open.push(open);
        self.name(open)?;
        Ok(true)
    }

    /// The name of an Object's entry, and its colon.
    fn name(&mut self, open: Open) -> Read {
        if open == Open::Object {
            match self.next() {
                Some('"') => self.string()?,
                Some(other) => return Err(unexpected(other, "was expecting double-quote to start field name")),
                None => return Err(self.end(open)),
            }
            match self.next() {
                Some(':') => {}
                Some(other) => {
                    return Err(unexpected(
                        other,
                        "was expecting a colon to separate field name and value",
                    ));
                }
                None => return Err(self.end(open)),
            }
        }
        Ok(())
    }

    /// The rest of a text whose first quote has been read.
    fn string(&mut self) -> Read {
        while let Some(character) = self.rest.next() {
            match character {
                '"' => return Ok(()),
                '\\' => {
                    self.rest.next();
                }
                control if u32::from(control) < 0x20 => {
                    let code = u32::from(control);
                    return Err(format!(
                        "Illegal unquoted character ((CTRL-CHAR, code {code})): has to be escaped using backslash to be \
                         included in string value"
                    ));
                }
                _ => {}
            }
        }
        Err("Unexpected end-of-input: was expecting closing quote for a string value".to_owned())
    }

    fn space(&mut self) {
        while self.rest.next_if(|c| matches!(c, ' ' | '\t' | '\r' | '\n')).is_some() {}
    }

    fn next(&mut self) -> Option<char> {
        self.space();
        self.rest.next()
    }

    fn end(&self, open: Open) -> String {
        format!("Unexpected end-of-input: expected close marker for {}", open.name())
    }
}

fn unexpected(character: char, expected: &str) -> String {
    format!(
        "Unexpected character ('{character}' (code {})): {expected}",
        u32::from(character)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_json_is_refused_as_jackson_does() {
        for (text, told) in [
            (
                "not json",
                "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or \
                 'false')",
            ),
            (
                "{'a': 1}",
                "Unexpected character (''' (code 39)): was expecting double-quote to start field name",
            ),
            (
                "{\"a\": \"b\"R}",
                "Unexpected character ('R' (code 82)): was expecting comma to separate Object entries",
            ),
            (
                "[1 2]",
                "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries",
            ),
            (
                "{\"a\" 1}",
                "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value",
            ),
            ("{\"a\": [1", "Unexpected end-of-input: expected close marker for Array"),
            (
                "\"a",
                "Unexpected end-of-input: was expecting closing quote for a string value",
            ),
        ] {
            let error = serde_json::from_str::<serde_json::Value>(text).expect_err("no JSON");
            assert_eq!(complaint(text, &error), told, "{text}");
        }
    }

    #[test]
    fn what_is_deep_or_odd_is_told_too() {
        for text in [
            "[".repeat(100_000),
            "{\"a\":".repeat(100_000),
            "1 2".to_owned(),
            "01".to_owned(),
            "\u{0}".to_owned(),
        ] {
            let error = serde_json::from_str::<serde_json::Value>(&text).expect_err("no JSON");
            assert!(!complaint(&text, &error).is_empty());
        }
    }
}
