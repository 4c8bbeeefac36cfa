//! Where in a text a problem is, so that it can be shown with its line.

use super::node::{self, Node, Position, Value};

/// A JSON or YAML text of which every value's place is known.
#[derive(Debug)]
pub struct Document {
    root: Node,
    value: serde_json::Value,
}

impl Document {
    /// The document of a text, or why it is none, with the places.
    pub fn read(text: &str) -> Result<Self, Vec<(Position, String)>> {
        let root = node::parse(text);
        let root = root.map_err(|errors| {
            errors
                .into_iter()
                .map(|error| (error.at, error.message))
                .collect::<Vec<_>>()
        })?;
        // What is JSON keeps its numbers as they are.
        let value = serde_json::from_str(text).unwrap_or_else(|_| root.to_json());
        Ok(Self { root, value })
    }

    pub fn value(&self) -> &serde_json::Value {
        &self.value
    }

    /// The place of the value that a JSON pointer (RFC 6901) names, or of the nearest one around it.
    pub fn locate(&self, pointer: &str) -> Position {
        self.nearest(pointer).at
    }

    /// The place that `pointer` names, as AWS writes it, in the definition at a JSON pointer of this document.
    pub fn locate_in_definition(&self, definition: &str, pointer: &str) -> Position {
        find(self.nearest(definition), pointer).at
    }

    fn nearest(&self, pointer: &str) -> &Node {
        let mut node = &self.root;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let inner = match &node.value {
                Value::List(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => node.get(&token),
            };
            match inner {
                Some(inner) => node = inner,
                None => break,
            }
        }
        node
    }
}

/// What `pointer` names, as AWS writes it: `/States/A/Choices[0]/Next`, `/` for the definition itself.
///
/// Where there is no such value, the nearest one around it: what is missing is missing there.
pub(super) fn find<'n>(root: &'n Node, pointer: &str) -> &'n Node {
    let mut node = root;
    let mut rest = pointer;
    while let Some((inner, after)) = step(node, rest) {
        (node, rest) = (inner, after);
    }
    node
}

/// The value that the pointer's first part names, with what is left of the pointer.
fn step<'n, 'p>(node: &'n Node, pointer: &'p str) -> Option<(&'n Node, &'p str)> {
    if let Value::List(items) = &node.value {
        let (index, after) = pointer.strip_prefix('[')?.split_once(']')?;
        return Some((items.get(index.parse::<usize>().ok()?)?, after));
    }
    let rest = pointer.strip_prefix('/')?;
    // AWS escapes nothing, so a name may have slashes and brackets of its own: the longest that fits is meant.
    let fitting = node.entries().iter().filter_map(|entry| {
        let after = rest.strip_prefix(entry.key.as_str())?;
        let ends = after.is_empty() || after.starts_with(['/', '[']);
        ends.then_some((&entry.value, after))
    });
    fitting.min_by_key(|(_, after)| after.len())
}
