//! SAM's `Globals`: what all resources of a type have, unless they say otherwise.

use super::node::{Entry, Node, Value};

/// The section of `Globals` for a resource type, by its last word.
pub(super) fn section<'t>(template: &'t Node, type_name: &str) -> Option<&'t Node> {
    let name = type_name.strip_prefix("AWS::Serverless::")?;
    template.get("Globals")?.get(name)
}

/// Merges as SAM does: maps are merged key by key, lists are appended to, and everything else, intrinsic functions
/// among it, the resource overrides.
pub(super) fn merge(global: &Node, local: &Node) -> Node {
    if global.intrinsic().is_some() || local.intrinsic().is_some() {
        return local.clone();
    }
    let value = match (&global.value, &local.value) {
        (Value::Map(ours), Value::Map(theirs)) => {
            let mut merged: Vec<Entry> = ours.clone();
            for entry in theirs {
                match merged.iter_mut().find(|known| known.key == entry.key) {
                    Some(known) => {
                        known.value = merge(&known.value, &entry.value);
                        known.at = entry.at;
                    }
                    None => merged.push(entry.clone()),
                }
            }
            Value::Map(merged)
        }
        (Value::List(ours), Value::List(theirs)) => Value::List(ours.iter().chain(theirs).cloned().collect()),
        _ => return local.clone(),
    };
    Node { at: local.at, value }
}
