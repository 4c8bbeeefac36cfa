//! JSON into the same tree as YAML: `serde_json` tells whether it is valid, this tells where everything stands.

use super::node::{Entry, Node, Position, SyntaxError, Value};

/// Reads a JSON text, every value with its line and column.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    if let Err(problem) = serde_json::from_str::<serde_json::Value>(text) {
        let at = Position {
            line: problem.line().max(1),
            column: problem.column().max(1),
        };
        // Its own position stands at the end of the message, and is said already.
        let message = problem.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        return Err(SyntaxError {
            at,
            message: format!("this is not JSON: {message}"),
        });
    }
    let mut scanner = Scanner {
        text,
        offset: 0,
        at: Position::START,
    };
    scanner.node()
}

/// Walks a text that is known to be JSON, of a depth that is known to be bounded.
struct Scanner<'t> {
    text: &'t str,
    offset: usize,
    at: Position,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.offset..].chars().next()
    }

    fn step(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.offset += next.len_utf8();
        match next {
            '\n' => {
                self.at = Position {
                    line: self.at.line + 1,
                    column: 1,
                }
            }
            _ => self.at.column += 1,
        }
        Some(next)
    }

    fn skip_space(&mut self) {
        while self
            .peek()
            .is_some_and(|next| next.is_ascii_whitespace() || next == ',' || next == ':')
        {
            self.step();
        }
    }

    fn node(&mut self) -> Result<Node, SyntaxError> {
        self.skip_space();
        let at = self.at;
        let value = match self.peek() {
            Some('{') => Value::Map(self.members()?),
            Some('[') => Value::List(self.items()?),
            Some('"') => Value::Text(self.string()?),
            _ => match self.word() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                number => Value::Number(number.to_owned()),
            },
        };
        Ok(Node { at, value })
    }

    fn members(&mut self) -> Result<Vec<Entry>, SyntaxError> {
        self.step();
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            self.skip_space();
            let at = self.at;
            if self.peek() != Some('"') {
                self.step();
                return Ok(entries);
            }
            let key = self.string()?;
            let value = self.node()?;
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let message = format!("{key} is here twice, first at {}", first.at);
                return Err(SyntaxError { at, message });
            }
            entries.push(Entry { key, at, value });
        }
    }

    fn items(&mut self) -> Result<Vec<Node>, SyntaxError> {
        self.step();
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if matches!(self.peek(), Some(']') | None) {
                self.step();
                return Ok(items);
            }
            items.push(self.node()?);
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let (at, start) = (self.at, self.offset);
        self.step();
        while let Some(next) = self.step() {
            match next {
                '\\' => {
                    self.step();
                }
                '"' => break,
                _ => {}
            }
        }
        serde_json::from_str(&self.text[start..self.offset]).map_err(|problem| SyntaxError {
            at,
            message: format!("this is not JSON: {problem}"),
        })
    }

    fn word(&mut self) -> &str {
        let start = self.offset;
        while self
            .peek()
            .is_some_and(|next| next.is_ascii_alphanumeric() || matches!(next, '+' | '-' | '.'))
        {
            self.step();
        }
        &self.text[start..self.offset]
    }
}
