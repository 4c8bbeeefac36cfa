//! Parallel and Map: hold flows of their own, one for each branch or item.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::Json;
use crate::advance::{Fault, Transition};
use crate::definition::{Items, Kind, Map, State};
use crate::event::{EventKind, FrameId};
use crate::execution::{At, Execution};
use crate::query::Template;
use crate::state::{Seen, Work};

pub(crate) fn begin_parallel(
    work: &Work<'_>,
    transition: &mut Transition<'_>,
    branches: &[Arc<str>],
) -> Result<(), Fault> {
    let kind = EventKind::ParallelStateStarted {
        branches: branches.to_vec(),
        input: work.arguments(transition)?,
    };
    transition.emit(work.frame, kind);
    Ok(())
}

pub(crate) fn begin_map(work: &Work<'_>, transition: &mut Transition<'_>, map: &Map) -> Result<(), Fault> {
    let items = items(work, transition, map)?;
    let max_concurrency = work.number(transition, &map.max_concurrency)?;
    let kind = EventKind::MapStateStarted {
        items,
        max_concurrency: u32::try_from(max_concurrency.unwrap_or_default()).unwrap_or(u32::MAX),
        start_at: map.start_at.clone(),
    };
    transition.emit(work.frame, kind);
    Ok(())
}

fn items(work: &Work<'_>, transition: &Transition<'_>, map: &Map) -> Result<Json, Fault> {
    let input = work.effective_input(transition)?;
    match &map.items {
        Items::Input if input.value().is_array() => Ok(input),
        Items::Input => Err(work.runtime("Reference path \"$\" must point to array.")),
        Items::Path(path) => {
            let scope = work.scope(transition, &input, Seen::default());
            let value = path.evaluate(&scope).map_err(|error| work.fault(&error))?;
            if !value.is_array() {
                let message = format!("Reference path \"{}\" must point to array.", path.as_str());
                return Err(work.runtime(&message));
            }
            Ok(Json::from(value.into_owned()))
        }
        Items::Computed(template, source) => {
            let value = work.evaluate(transition, template, &input, Seen::default())?;
            match value {
                Value::Array(_) => Ok(Json::from(value)),
                other => Err(work.unexpected_type(source, "Items", "array", &other)),
            }
        }
    }
}

/// Starts the next iteration that may begin, or ends the state once all have ended.
pub(crate) fn go_on(transition: &mut Transition<'_>, frame: FrameId, state: &State) -> Result<(), Fault> {
    let At::Children(children) = &transition.execution.frame(frame).at else {
        return Ok(());
    };
    if let (Kind::Map(map), true) = (&state.kind, children.can_start_another()) {
        let previous = children.last_inside;
        return start_iteration(transition, frame, state, map.item_selector.as_ref(), previous);
    }
    let outputs = children.outputs.iter().flatten();
    let result = Json::from(outputs.map(|output| output.value().clone()).collect::<Value>());
    let work = Work::new(transition, frame, state);
    let succeeded = match &state.kind {
        Kind::Map(_) => EventKind::MapStateSucceeded,
        _ => EventKind::ParallelStateSucceeded,
    };
    transition.emit(frame, succeeded);
    work.complete(transition, result)
}

fn start_iteration(
    transition: &mut Transition<'_>,
    frame: FrameId,
    state: &State,
    selector: Option<&Template>,
    previous: Option<u64>,
) -> Result<(), Fault> {
    let At::Children(children) = &transition.execution.frame(frame).at else {
        return Ok(());
    };
    let Some(map) = &children.map else {
        return Ok(());
    };
    let index = map.next;
    let item = map.items.value().get(index as usize).cloned().unwrap_or_default();
    let input = match selector {
        None => Json::from(item),
        Some(selector) => {
            let mut work = Work::new(transition, frame, state);
            if let Some(context) = work.context.as_object_mut() {
                context.insert("Map".into(), json!({"Item": {"Index": index, "Value": item}}));
            }
            let root = work.effective_input(transition)?;
            Json::from(work.evaluate(transition, selector, &root, Seen::default())?)
        }
    };
    let kind = EventKind::MapIterationStarted {
        name: transition.entered(frame).name.clone(),
        index,
        input,
    };
    let previous = previous.unwrap_or(transition.execution.frame(frame).last_event);
    transition.emit_after(frame, previous, kind);
    Ok(())
}

/// The item of the innermost Map state that the frame is in: `$$.Map.Item`.
pub(crate) fn current_item(execution: &Execution, frame: FrameId) -> Option<Value> {
    let mut frame = execution.frame(frame);
    loop {
        let (parent, index) = frame.parent?;
        if let Some(item) = &frame.item {
            return Some(json!({"Index": index, "Value": item.value()}));
        }
        frame = execution.frame(parent);
    }
}
