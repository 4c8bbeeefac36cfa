//! The template's text as a tree in which every node knows its line and column.
//!
//! YAML and JSON become the same tree, and CloudFormation's short tags (`!Ref`, `!Sub`) become their long forms, so
//! that nothing after this file knows how the template was spelled.

use std::{collections::HashMap, fmt};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

/// Deeper trees are refused: the tree is walked by recursion, and no template of a person is half as deep.
const MAX_DEPTH: usize = 100;

/// More nodes are refused: aliases (`*name`) copy, so a text of a few lines could otherwise fill the memory.
const MAX_NODES: usize = 500_000;

/// A place in a text. Both count from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub(crate) const START: Position = Position { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What the text says at one place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it was written: `012345678901` is a number to YAML and an account id to its author.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Could not be resolved, which has been reported: whoever reads it says nothing more.
    Invalid,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn text(at: Position, text: impl Into<String>) -> Node {
        Node {
            at,
            value: Value::Text(text.into()),
        }
    }

    pub(crate) fn invalid(at: Position) -> Node {
        Node {
            at,
            value: Value::Invalid,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// A scalar as CloudFormation passes it where text is wanted: numbers as written, booleans as `true` and `false`.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Invalid => None,
        }
    }

    /// The intrinsic function that this node is a call of, with its argument: a map of the one key `Ref` or `Fn::…`.
    pub(crate) fn intrinsic(&self) -> Option<(&str, &Node)> {
        match self.entries() {
            [entry] if entry.key == "Ref" || entry.key.starts_with("Fn::") => Some((&entry.key, &entry.value)),
            _ => None,
        }
    }

    pub(crate) fn is_invalid(&self) -> bool {
        match &self.value {
            Value::Invalid => true,
            Value::List(items) => items.iter().any(Node::is_invalid),
            Value::Map(entries) => entries.iter().any(|entry| entry.value.is_invalid()),
            _ => false,
        }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Invalid => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Number(text) => number(text),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => {
                let members = entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json()));
                serde_json::Value::Object(members.collect())
            }
        }
    }

    /// What kind of thing this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Invalid => "something invalid",
        }
    }
}

fn number(text: &str) -> serde_json::Value {
    text.parse::<i64>()
        .map(serde_json::Value::from)
        .or_else(|_| text.parse::<f64>().map(serde_json::Value::from))
        .unwrap_or_else(|_| text.into())
}

/// A text that is not YAML or JSON, or says something twice.
#[derive(Debug, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) at: Position,
    pub(crate) message: String,
}

/// Reads a document of either format.
///
/// YAML includes JSON but for tabs and pairs of surrogates, which are common in JSON: so what looks like JSON is read
/// as JSON, and only if it is not, as YAML.
pub(crate) fn parse(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start().starts_with(['{', '[']) {
        return parse_yaml(text);
    }
    super::json::parse(text).or_else(|error| parse_yaml(text).map_err(|_| vec![error]))
}

fn parse_yaml(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        duplicates: Vec::new(),
    };
    let root = reader.document().map_err(|error| vec![error])?;
    if reader.duplicates.is_empty() {
        Ok(root)
    } else {
        Err(reader.duplicates)
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    duplicates: Vec<SyntaxError>,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Node, SyntaxError> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => break,
                _ if root.is_some() => return Err(error(&span, "a template is one document, here begins another")),
                _ => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root.unwrap_or(Node {
            at: Position::START,
            value: Value::Null,
        }))
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), SyntaxError> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(problem)) => {
                let marker = problem.marker();
                let at = Position {
                    line: marker.line(),
                    column: marker.col() + 1,
                };
                Err(SyntaxError {
                    at,
                    message: format!("this is not YAML: {}", problem.info()),
                })
            }
            None => Err(SyntaxError {
                at: Position::START,
                message: "this is not YAML: it ends too early".into(),
            }),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        let at = position(&span);
        self.count(&span, 1)?;
        if depth > MAX_DEPTH {
            return Err(error(&span, format!("nested more than {MAX_DEPTH} deep")));
        }
        let (value, tag, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref()), tag, anchor),
            Event::SequenceStart(anchor, tag) => (Value::List(self.list(depth)?), tag, anchor),
            Event::MappingStart(anchor, tag) => (Value::Map(self.map(depth)?), tag, anchor),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let mut node = known.ok_or_else(|| error(&span, "an alias of something that is not complete"))?;
                self.count(&span, size(&node))?;
                node.at = at;
                return Ok(node);
            }
            _ => return Err(error(&span, "this is not YAML: a value is missing")),
        };
        let node = match tag.as_deref() {
            Some(tag) if !tag.is_yaml_core_schema() && !tag.suffix.is_empty() => long_form(&tag.suffix, at, value),
            _ => Node { at, value },
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, SyntaxError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::SequenceEnd => return Ok(items),
                _ => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, SyntaxError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key_node = self.node(event, span, depth + 1)?;
            let Some(key) = key_node.as_text().map(str::to_owned) else {
                return Err(error(&span, format!("a key is text, not {}", key_node.kind())));
            };
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span, depth + 1)?;
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let message = format!("{key} is here twice, first at {}", first.at);
                self.duplicates.push(SyntaxError {
                    at: key_node.at,
                    message,
                });
                continue;
            }
            entries.push(Entry {
                key,
                at: key_node.at,
                value,
            });
        }
    }

    fn count(&mut self, span: &Span, nodes: usize) -> Result<(), SyntaxError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(error(
                span,
                format!("more than {MAX_NODES} values, aliases counted as what they stand for"),
            ));
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    let inner: usize = match &node.value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
        _ => 0,
    };
    1 + inner
}

fn position(span: &Span) -> Position {
    Position {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

fn error(span: &Span, message: impl Into<String>) -> SyntaxError {
    SyntaxError {
        at: position(span),
        message: message.into(),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let tagged_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style != ScalarStyle::Plain || tagged_text {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(text) => Value::Number(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|first: char| first.is_ascii_digit())
        && text.parse::<f64>().is_ok_and(|number| number.is_finite())
}

/// `!Sub x` is `{"Fn::Sub": x}`; `!GetAtt a.b` is `{"Fn::GetAtt": [a, b]}`.
fn long_form(tag: &str, at: Position, argument: Value) -> Node {
    let key = match tag {
        "Ref" | "Condition" => tag.to_owned(),
        _ => format!("Fn::{tag}"),
    };
    let argument = match argument {
        // A name may look like a number or a boolean to YAML; after a tag it is a name.
        Value::Text(text) if tag == "GetAtt" => get_att(&text, at),
        argument => argument,
    };
    Node {
        at,
        value: Value::Map(vec![Entry {
            key,
            at,
            value: Node { at, value: argument },
        }]),
    }
}

fn get_att(text: &str, at: Position) -> Value {
    match text.split_once('.') {
        Some((resource, attribute)) => Value::List(vec![Node::text(at, resource), Node::text(at, attribute)]),
        None => Value::Text(text.to_owned()),
    }
}
