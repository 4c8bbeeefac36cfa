//! Where in a definition's text the value of a JSON pointer stands, so that a problem can be shown with its line.

use super::node::{Node, Position, Value, parse};

/// The line and column of the value that `pointer` (RFC 6901) names in `text`, JSON or YAML.
///
/// Where the value does not exist, the position of the nearest one around it: what is missing is missing there.
/// `None` if the text is neither JSON nor YAML.
pub fn locate(text: &str, pointer: &str) -> Option<Position> {
    Some(find(&parse(text).ok()?, pointer))
}

pub(super) fn find(root: &Node, pointer: &str) -> Position {
    let mut node = root;
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
    node.at
}
