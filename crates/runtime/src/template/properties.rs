//! Reading the properties of a resource one by one, so that what nobody read can be named.

use super::{
    node::{Entry, Node, Position, Value},
    resolver::Resolver,
};

/// The properties of one resource or of a map inside one.
///
/// Each `take` resolves one property. [`Properties::finish`] reports what is left: a property that is neither read nor
/// known to mean nothing here would change how the application behaves.
pub(super) struct Properties<'r> {
    resolver: &'r Resolver<'r>,
    /// What these are the properties of, for messages.
    owner: String,
    pub(super) at: Position,
    entries: Vec<Entry>,
}

impl<'r> Properties<'r> {
    /// `node` may still hold intrinsic functions. Whatever is not a map is reported and read as an empty one.
    pub(super) fn new(resolver: &'r Resolver<'r>, owner: impl Into<String>, node: &Node) -> Properties<'r> {
        let owner = owner.into();
        let node = match node.intrinsic() {
            Some(_) => resolver.resolve(node),
            None => Some(node.clone()),
        };
        let at = node.as_ref().map_or(Position::START, |node| node.at);
        let entries = match node.map(|node| (node.kind(), node.value)) {
            None | Some((_, Value::Invalid | Value::Null)) => Vec::new(),
            Some((_, Value::Map(entries))) => entries,
            Some((kind, _)) => {
                resolver.report(at, format!("{owner}: a map of properties is wanted here, not {kind}"));
                Vec::new()
            }
        };
        Properties {
            resolver,
            owner,
            at,
            entries,
        }
    }

    pub(super) fn report(&self, at: Position, message: impl std::fmt::Display) {
        self.resolver.report(at, format!("{}: {message}", self.owner));
    }

    /// Says that these properties mean nothing here.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        self.entries.retain(|entry| !names.contains(&entry.key.as_str()));
    }

    /// Reports each of these that is there: each would change the behaviour, and none is supported.
    pub(super) fn finish(self) {
        for entry in &self.entries {
            self.report(entry.at, format!("{} is not supported", entry.key));
        }
    }

    /// Where the property's value stands, or where it is missing.
    pub(super) fn position_of(&self, name: &str) -> Position {
        self.entries
            .iter()
            .find(|entry| entry.key == name)
            .map_or(self.at, |entry| entry.value.at)
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.key.clone()).collect()
    }

    /// As it stands in the template.
    pub(super) fn raw(&mut self, name: &str) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.key == name)?;
        Some(self.entries.remove(index))
    }

    pub(super) fn node(&mut self, name: &str) -> Option<Node> {
        let entry = self.raw(name)?;
        self.resolver.resolve(&entry.value)
    }

    fn scalar<T>(&mut self, name: &str, wanted: &str, read: impl Fn(&Node) -> Option<T>) -> Option<T> {
        let node = self.node(name)?;
        let value = read(&node);
        if value.is_none() && !node.is_invalid() {
            let found = node
                .as_text()
                .map_or_else(|| node.kind().to_owned(), |text| format!("{text:?}"));
            self.report(node.at, format!("{name} is {wanted}, not {found}"));
        }
        value
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.scalar(name, "text", |node| node.as_text().map(str::to_owned))
    }

    /// The text of a property without which the resource makes no sense.
    pub(super) fn required_text(&mut self, name: &str) -> Option<String> {
        if !self.entries.iter().any(|entry| entry.key == name) {
            self.report(self.at, format!("{name} is missing"));
            return None;
        }
        self.text(name)
    }

    pub(super) fn one_of(&mut self, name: &str, allowed: &[&str]) -> Option<String> {
        let wanted = format!("one of {}", allowed.join(", "));
        self.scalar(name, &wanted, |node| {
            node.as_text().filter(|text| allowed.contains(text)).map(str::to_owned)
        })
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.scalar(name, "true or false", |node| match node.as_text()? {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        })
    }

    pub(super) fn integer(&mut self, name: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.scalar(name, &wanted, |node| {
            node.as_text()?.parse().ok().filter(|number| range.contains(number))
        })
    }

    pub(super) fn number(&mut self, name: &str) -> Option<f64> {
        self.scalar(name, "a number that is not negative", |node| {
            node.as_text()?
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite() && 0.0 <= *number)
        })
    }

    pub(super) fn list(&mut self, name: &str) -> Vec<Node> {
        self.scalar(name, "a list", |node| match &node.value {
            Value::List(items) => Some(items.clone()),
            _ => None,
        })
        .unwrap_or_default()
    }

    /// A list of texts; like CloudFormation, one text stands for a list of it.
    pub(super) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        self.scalar(name, "a list of texts", |node| match &node.value {
            Value::List(items) => items.iter().map(|item| item.as_text().map(str::to_owned)).collect(),
            _ => node.as_text().map(|text| vec![text.to_owned()]),
        })
    }

    /// The properties of a map inside.
    pub(super) fn inner(&mut self, name: &str) -> Option<Properties<'r>> {
        let node = self.node(name)?;
        Some(Properties::new(self.resolver, format!("{}, {name}", self.owner), &node))
    }

    /// What is left, each with its key: for maps whose keys the template's author chooses.
    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}
