//! The names that a template refers to: each must be there, even where nothing here reads it.

use std::collections::BTreeSet;

use super::{
    names::IMPLICIT_API,
    node::{Node, Value},
    resolver::Resolver,
};

/// All names that a template may refer to.
pub(super) struct Known<'t> {
    ids: BTreeSet<&'t str>,
}

impl<'t> Known<'t> {
    pub(super) fn of(root: &'t Node) -> Known<'t> {
        let sections = ["Parameters", "Resources"]
            .into_iter()
            .filter_map(|section| root.get(section));
        let ids = sections.flat_map(Node::entries).map(|entry| entry.key.as_str());
        Known { ids: ids.collect() }
    }

    /// SAM makes further resources out of each of a template's, with ids that begin with its id.
    fn has(&self, name: &str) -> bool {
        let id = name.split('.').next().unwrap_or(name);
        name.starts_with("AWS::")
            || id.starts_with(IMPLICIT_API)
            || self.ids.contains(id)
            || self.ids.iter().any(|known| id.starts_with(known))
    }
}

/// Reports every reference to something that does not exist.
pub(super) fn check(root: &Node, known: &Known<'_>, resolver: &Resolver<'_>) {
    visit(root, &mut |name, node| {
        if !known.has(name) {
            resolver.report(node.at, format!("there is no parameter or resource {name}"));
        }
    });
}

/// The logical ids of resources and parameters that a value is made of.
pub(super) fn of(node: &Node) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    visit(node, &mut |name, _| {
        ids.insert(name.split('.').next().unwrap_or(name).to_owned());
    });
    ids
}

fn visit(node: &Node, found: &mut impl FnMut(&str, &Node)) {
    if let Some((function, argument)) = node.intrinsic() {
        match (function, &argument.value) {
            ("Ref", Value::Text(name)) => found(name, node),
            ("Fn::GetAtt", Value::Text(name)) => found(name, node),
            ("Fn::GetAtt", Value::List(items)) => {
                if let Some(id) = items.first().and_then(Node::as_text) {
                    found(id, node);
                }
            }
            ("Fn::Sub", Value::Text(text)) => variables(text, &[], node, found),
            ("Fn::Sub", Value::List(items)) => {
                let own: Vec<&str> = items
                    .get(1)
                    .map_or(&[][..], Node::entries)
                    .iter()
                    .map(|e| e.key.as_str())
                    .collect();
                if let Some(text) = items.first().and_then(Node::as_text) {
                    variables(text, &own, node, found);
                }
            }
            _ => {}
        }
    }
    node.items().iter().for_each(|item| visit(item, found));
    node.entries().iter().for_each(|entry| visit(&entry.value, found));
}

fn variables(text: &str, own: &[&str], node: &Node, found: &mut impl FnMut(&str, &Node)) {
    for part in text.split("${").skip(1) {
        let Some((name, _)) = part.split_once('}') else {
            continue;
        };
        let name = name.trim();
        if !name.starts_with('!') && !own.contains(&name) {
            found(name, node);
        }
    }
}
