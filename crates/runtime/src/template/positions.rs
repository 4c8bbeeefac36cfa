//! Where in a definition's text a problem is, so that it can be shown with its line.

use super::node::{Node, Position, Value};

/// The place of what `pointer` names, as AWS writes it: `/States/A/Choices[0]/Next`, `/` for the definition itself.
///
/// Where there is no such value, the place of the nearest one around it: what is missing is missing there.
pub(super) fn find(root: &Node, pointer: &str) -> Position {
    let mut node = root;
    let mut rest = pointer;
    while let Some((inner, after)) = step(node, rest) {
        (node, rest) = (inner, after);
    }
    node.at
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
