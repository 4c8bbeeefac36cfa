//! A definition as a graph to draw: its states as nodes, everything that leads from one to another as edges.

use serde_json::Value;

/// Longer conditions are cut on the graph; the whole stands beside.
const MAX_LABEL_CHARACTERS: usize = 30;

/// A flow: the state machine's own, a branch's or an item processor's.
#[derive(Debug, Default)]
pub(super) struct Flow {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    pub(super) start: usize,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) state_type: String,
    pub(super) comment: Option<String>,
    /// The branches of a Parallel state, the item processor of a Map.
    pub(super) inside: Vec<Flow>,
    /// The states that it stands for, if it is not a state itself but several that are folded.
    pub(super) folded: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    /// `None`: the end.
    pub(super) to: Option<usize>,
    pub(super) kind: EdgeKind,
    pub(super) label: String,
}

impl Node {
    /// Whether it is the state of this name, or one within it is.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.name == name || self.inside.iter().any(|flow| flow.holds(name))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EdgeKind {
    Next,
    Choice,
    Catch,
}

impl EdgeKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Choice => "choice",
            Self::Catch => "catch",
        }
    }
}

impl Flow {
    /// The flow of `{"StartAt": …, "States": {…}}`; what the definition does not say is left out.
    pub(super) fn of(definition: &Value) -> Self {
        let Some(states) = definition["States"].as_object() else {
            return Self::default();
        };
        let index = |name: &Value| states.keys().position(|key| Some(key.as_str()) == name.as_str());
        let mut flow = Self {
            start: index(&definition["StartAt"]).unwrap_or(0),
            ..Self::default()
        };
        for (from, (name, state)) in states.iter().enumerate() {
            flow.nodes.push(Node {
                name: name.clone(),
                state_type: text(&state["Type"]),
                comment: state["Comment"].as_str().map(str::to_owned),
                inside: inside(state),
                folded: Vec::new(),
            });
            let mut add = |to: Option<usize>, kind, label: String| {
                flow.edges.push(Edge { from, to, kind, label });
            };
            for choice in state["Choices"].as_array().into_iter().flatten() {
                if let Some(to) = index(&choice["Next"]) {
                    add(Some(to), EdgeKind::Choice, condition(choice));
                }
            }
            if let Some(to) = index(&state["Default"]) {
                add(Some(to), EdgeKind::Choice, "default".to_owned());
            }
            if let Some(to) = index(&state["Next"]) {
                add(Some(to), EdgeKind::Next, String::new());
            }
            if state["End"] == Value::Bool(true) || state["Type"] == "Succeed" {
                add(None, EdgeKind::Next, String::new());
            }
            for catcher in state["Catch"].as_array().into_iter().flatten() {
                if let Some(to) = index(&catcher["Next"]) {
                    let errors = catcher["ErrorEquals"].as_array().into_iter().flatten();
                    let errors: Vec<&str> = errors.filter_map(Value::as_str).collect();
                    add(Some(to), EdgeKind::Catch, format!("Catch {}", errors.join(", ")));
                }
            }
        }
        flow.merge();
        flow
    }

    /// Draws what leads from and to the same states, in the same manner, once.
    pub(super) fn merge(&mut self) {
        let mut merged: Vec<Edge> = Vec::new();
        for edge in std::mem::take(&mut self.edges) {
            let same = |other: &&mut Edge| (other.from, other.to, other.kind) == (edge.from, edge.to, edge.kind);
            match merged.iter_mut().find(same) {
                Some(other) if other.label != edge.label => {
                    other.label = format!("{} or {}", other.label, edge.label);
                }
                Some(_) => {}
                None => merged.push(edge),
            }
        }
        self.edges = merged;
    }

    /// The states of this flow and all within it.
    pub(super) fn count(&self) -> usize {
        let inside = self.nodes.iter().flat_map(|node| &node.inside);
        self.nodes.len() + inside.map(Self::count).sum::<usize>()
    }

    /// Whether a state is in this flow, or within it.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.nodes.iter().any(|node| node.holds(name))
    }
}

fn inside(state: &Value) -> Vec<Flow> {
    if let Some(branches) = state["Branches"].as_array() {
        return branches.iter().map(Flow::of).collect();
    }
    let processor = [&state["ItemProcessor"], &state["Iterator"]];
    processor
        .into_iter()
        .filter(|processor| processor.is_object())
        .map(Flow::of)
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a label shows of a text.
pub(super) fn cut(label: &str) -> String {
    if label.chars().count() <= MAX_LABEL_CHARACTERS {
        return label.to_owned();
    }
    let kept: String = label.chars().take(MAX_LABEL_CHARACTERS - 1).collect();
    format!("{}…", kept.trim_end())
}

/// A Choice Rule in words.
fn condition(rule: &Value) -> String {
    if let Some(condition) = rule["Condition"].as_str() {
        let inner = condition
            .trim()
            .strip_prefix("{%")
            .and_then(|rest| rest.strip_suffix("%}"));
        return inner.unwrap_or(condition).trim().to_owned();
    }
    for (operator, word) in [("And", " and "), ("Or", " or ")] {
        if let Some(rules) = rule[operator].as_array() {
            return joined(&rules.iter().map(condition).collect::<Vec<_>>(), word);
        }
    }
    if rule["Not"].is_object() {
        return format!("not {}", condition(&rule["Not"]));
    }
    let variable = text(&rule["Variable"]);
    let variable = variable.strip_prefix("$.").unwrap_or(&variable);
    let compared = rule.as_object().into_iter().flatten();
    let compared = compared
        .filter(|(name, _)| !matches!(name.as_str(), "Variable" | "Next" | "Comment" | "Assign" | "Output"))
        .map(|(operator, value)| comparison(variable, operator, value));
    compared.collect::<Vec<_>>().join(" and ")
}

/// `priority = High or priority = Low` is said as `priority = High or Low`.
fn joined(conditions: &[String], word: &str) -> String {
    let head = |condition: &str| condition.rfind(' ').map(|at| condition[..=at].to_owned());
    let first = conditions.first().and_then(|first| head(first));
    let mut text = conditions.first().cloned().unwrap_or_default();
    for condition in conditions.iter().skip(1) {
        let said = first.as_deref().and_then(|head| condition.strip_prefix(head));
        text.push_str(word);
        text.push_str(said.filter(|said| !said.is_empty()).unwrap_or(condition));
    }
    text
}

fn comparison(variable: &str, operator: &str, value: &Value) -> String {
    let (value, operator) = match operator.strip_suffix("Path") {
        Some(operator) => (text(value), operator),
        None => (plain(value), operator),
    };
    if let Some(property) = operator.strip_prefix("Is") {
        let negation = if value == "false" { "not " } else { "" };
        return format!("{variable} is {negation}{}", property.to_lowercase());
    }
    let signs = [
        ("GreaterThanEquals", "≥"),
        ("LessThanEquals", "≤"),
        ("GreaterThan", ">"),
        ("LessThan", "<"),
        ("Matches", "~"),
        ("Equals", "="),
    ];
    let sign = signs.iter().find(|(suffix, _)| operator.ends_with(suffix));
    format!("{variable} {} {value}", sign.map_or(operator, |(_, sign)| sign))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
