//! Parallel and Map: hold flows of their own, one for each branch or item.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::Json;
use crate::advance::{Fault, Transition};
use crate::definition::{Distributed, Items, Kind, Map, State, Tolerated};
use crate::event::{EventKind, Failure, FrameId, Tolerance};
use crate::execution::{At, Execution};
use crate::query::Template;
use crate::state::{Seen, Work, items};

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
    let items = match map
        .distributed
        .as_ref()
        .and_then(|distributed| distributed.reader.as_ref())
    {
        // Only tests get so far, which may do without the items where they bring the result.
        Some(reader) => match transition.observer.and_then(|observer| observer.items.as_deref()) {
            Some(data) => items::read(work, transition, reader, data)?,
            None => Json::from(Value::Array(Vec::new())),
        },
        None => {
            let items = items(work, transition, map)?;
            transition.observe(|stages| stages.after_items_path = Some(items.clone()));
            items
        }
    };
    let max_concurrency = work.number(transition, &map.max_concurrency)?;
    transition.observe(|stages| stages.max_concurrency = Some(max_concurrency.unwrap_or_default()));
    let count = items.value().as_array().map_or(0, Vec::len);
    let kind = EventKind::MapStateStarted {
        items,
        max_concurrency: u32::try_from(max_concurrency.unwrap_or_default()).unwrap_or(u32::MAX),
        start_at: map.start_at.clone(),
        distributed: map.distributed.is_some(),
    };
    transition.emit(work.frame, kind);
    match &map.distributed {
        Some(distributed) => start_run(work, transition, distributed, count),
        None => Ok(()),
    }
}

/// Starts the Map Run, once it is known how many of its items may fail.
fn start_run(
    work: &Work<'_>,
    transition: &mut Transition<'_>,
    distributed: &Distributed,
    items: usize,
) -> Result<(), Fault> {
    let count = tolerated(work, transition, &distributed.tolerated_count, "integer")?;
    if count.is_some_and(|count| count < 0.0) {
        return Err(work.runtime("ToleratedFailureCount cannot be negative."));
    }
    transition.observe(|stages| stages.tolerated_failure_count = count.map(|count| count as u64));
    let percentage = tolerated(work, transition, &distributed.tolerated_percentage, "float")?;
    if percentage.is_some_and(|percentage| !(0.0..=100.0).contains(&percentage)) {
        return Err(work.runtime("ToleratedFailurePercentage must be between 0 and 100."));
    }
    transition.observe(|stages| stages.tolerated_failure_percentage = percentage);
    let tolerance = Tolerance::of(items, count.map(|count| count as u32), percentage);
    let arn = run_arn(transition, distributed.label.as_deref());
    transition.emit(work.frame, EventKind::MapRunStarted { arn, tolerance });
    Ok(())
}

fn tolerated(
    work: &Work<'_>,
    transition: &Transition<'_>,
    tolerated: &Tolerated,
    expected: &str,
) -> Result<Option<f64>, Fault> {
    match tolerated {
        Tolerated::Absent => Ok(None),
        Tolerated::Given(number) => Ok(Some(*number)),
        Tolerated::Computed(computed) => {
            let value = work.compute(transition, computed)?;
            let number = match &value {
                Value::Number(number) => number.as_f64(),
                Value::String(digits) => digits.parse().ok(),
                _ => None,
            };
            let whole = |number: &f64| expected != "integer" || number.fract() == 0.0;
            let number = number.filter(whole);
            let number =
                number.ok_or_else(|| work.unexpected_type(&computed.source, &computed.field, expected, &value))?;
            Ok(Some(number))
        }
    }
}

/// The ARN of a new Map Run; without a label, a made-up one stands in it.
fn run_arn(transition: &Transition<'_>, label: Option<&str>) -> Arc<str> {
    let token = transition.task_token();
    let (run, made_up) = token.split_at(token.len() / 2);
    let started = transition.execution.started.as_ref();
    let machine = started.map_or("", |started| &*started.identity.state_machine_arn);
    let machine = machine.replacen(":stateMachine:", ":mapRun:", 1);
    let label = label.map_or_else(|| uuid(made_up), str::to_owned);
    format!("{machine}/{label}:{}", uuid(run)).into()
}

/// Hexadecimal digits in the form of a UUID.
fn uuid(digits: &str) -> String {
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
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
                let message = format!("Reference path \"{}\" must point to array.", path.rooted());
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
    let is_too_much = children.run().map(|run| run.tolerance.failures < run.failures);
    if is_too_much == Some(true) {
        return Err(exceeded_threshold(transition, frame));
    }
    if let (Kind::Map(map), true) = (&state.kind, children.can_start_another()) {
        let previous = children.last_inside;
        return start_iteration(transition, frame, state, map.item_selector.as_ref(), previous);
    }
    // Items that were allowed to fail are not among the results.
    let outputs = children.outputs.iter().flatten();
    let result = Json::from(outputs.map(|output| output.value().clone()).collect::<Value>());
    if is_too_much.is_some() {
        transition.emit(frame, EventKind::MapRunSucceeded);
    }
    succeed(transition, frame, state, result)
}

/// Fails a distributed Map more of whose items failed than may.
pub(crate) fn exceeded_threshold(transition: &mut Transition<'_>, frame: FrameId) -> Fault {
    let cause = "The specified tolerated failure threshold was exceeded";
    let failure = Failure::new("States.ExceedToleratedFailureThreshold", cause);
    transition.emit(frame, EventKind::MapRunFailed(failure.clone()));
    failure.into()
}

/// Ends the state with what its branches or iterations came to.
pub(crate) fn succeed(
    transition: &mut Transition<'_>,
    frame: FrameId,
    state: &State,
    result: Json,
) -> Result<(), Fault> {
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
        Some(selector) => select_item(transition, frame, state, selector, index, item)?,
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

/// What `ItemSelector` makes of an item.
pub(crate) fn select_item(
    transition: &Transition<'_>,
    frame: FrameId,
    state: &State,
    selector: &Template,
    index: u32,
    item: Value,
) -> Result<Json, Fault> {
    let mut work = Work::new(transition, frame, state);
    if let Some(context) = work.context.as_object_mut() {
        context.insert("Map".into(), json!({"Item": {"Index": index, "Value": item}}));
    }
    let root = work.effective_input(transition)?;
    Ok(Json::from(work.evaluate(
        transition,
        selector,
        &root,
        Seen::default(),
    )?))
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
