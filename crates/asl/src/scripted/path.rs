//! The path that an execution took: its states in the order in which they were entered.
//!
//! As a document it is a list of names; a Parallel or Map state in which flows began is `{"Name": [flow, …]}`, a list a
//! branch or item, and comes once for each attempt.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::event::{Event, EventKind, FrameId};

/// The path of a history.
pub(super) fn path(history: &[Event]) -> Vec<Value> {
    let mut flows: HashMap<FrameId, Vec<Step>> = HashMap::new();
    let mut frames = 1;
    for event in history {
        let flow = flows.entry(event.frame).or_default();
        match &event.kind {
            EventKind::StateEntered { name, .. } => flow.push(Step::new(name)),
            EventKind::ParallelStateStarted { branches, .. } => {
                let step = Step::attempt(flow);
                for index in 0..branches.len() as u32 {
                    step.insert(index, frames);
                    frames += 1;
                }
            }
            EventKind::MapStateStarted { .. } => drop(Step::attempt(flow)),
            EventKind::MapIterationStarted { index, .. } => {
                if let Some(Step {
                    children: Some(children),
                    ..
                }) = flow.last_mut()
                {
                    children.insert(*index, frames);
                }
                frames += 1;
            }
            _ => {}
        }
    }
    document(&flows, 0)
}

struct Step {
    name: String,
    /// The flows in a Parallel or Map state, by their number.
    children: Option<BTreeMap<u32, FrameId>>,
}

impl Step {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            children: None,
        }
    }

    /// The flows of a new attempt of the state that the flow is in.
    fn attempt(flow: &mut Vec<Step>) -> &mut BTreeMap<u32, FrameId> {
        if let Some(Step {
            name,
            children: Some(_),
        }) = flow.last()
        {
            let again = Step::new(name);
            flow.push(again);
        }
        if flow.is_empty() {
            flow.push(Step::new(""));
        }
        let last = flow.last_mut().expect("it was made sure that there is one");
        last.children.insert(BTreeMap::new())
    }
}

fn document(flows: &HashMap<FrameId, Vec<Step>>, frame: FrameId) -> Vec<Value> {
    let steps = flows.get(&frame).map(Vec::as_slice).unwrap_or_default();
    let steps = steps.iter().map(|step| match &step.children {
        None => Value::from(step.name.as_str()),
        Some(children) => {
            let inner: Vec<Vec<Value>> = children.values().map(|child| document(flows, *child)).collect();
            json!({ step.name.as_str(): inner })
        }
    });
    steps.collect()
}

/// Leaves out what is inside of those states of `actual` that `expected` names without looking inside.
pub(super) fn as_looked_at(actual: &[Value], expected: &[Value]) -> Vec<Value> {
    let mut seen = Vec::with_capacity(actual.len());
    for (index, step) in actual.iter().enumerate() {
        let inner = step.as_object().and_then(|step| step.iter().next());
        seen.push(match (inner, expected.get(index)) {
            (Some((name, _)), Some(Value::String(expected))) if name == expected => Value::from(name.as_str()),
            (Some((name, Value::Array(flows))), Some(Value::Object(expected))) => {
                let expected = expected.get(name).and_then(Value::as_array);
                let flows = flows.iter().enumerate().map(|(number, flow)| {
                    let expected = expected.and_then(|flows| flows.get(number)).and_then(Value::as_array);
                    let flow = flow.as_array().map(Vec::as_slice).unwrap_or_default();
                    Value::Array(as_looked_at(flow, expected.map(Vec::as_slice).unwrap_or_default()))
                });
                json!({ name.as_str(): flows.collect::<Vec<_>>() })
            }
            _ => step.clone(),
        });
    }
    seen
}

/// A path line by line, each state on its own, flows indented under their container and numbered.
pub(super) fn lines(path: &[Value]) -> Vec<String> {
    let mut lines = Vec::new();
    write(path, "", &mut lines);
    lines
}

fn write(path: &[Value], indent: &str, lines: &mut Vec<String>) {
    for step in path {
        match step {
            Value::Object(container) => {
                for (name, flows) in container {
                    lines.push(format!("{indent}{name}"));
                    for (number, flow) in flows.as_array().into_iter().flatten().enumerate() {
                        let flow = flow.as_array().map(Vec::as_slice).unwrap_or_default();
                        write(flow, &format!("{indent}  [{number}] "), lines);
                    }
                }
            }
            Value::String(name) => lines.push(format!("{indent}{name}")),
            other => lines.push(format!("{indent}{other}")),
        }
    }
}
