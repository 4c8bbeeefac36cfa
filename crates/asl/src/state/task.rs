//! Task: calls something in the world and waits for its answer.

use std::sync::Arc;

use serde_json::json;

use crate::Json;
use crate::advance::{Fault, MAX_PAYLOAD_BYTES, Transition};
use crate::definition::{State, Task};
use crate::event::{EventKind, Failure, FrameId, Resource, Schedule};
use crate::execution::At;
use crate::state::{Seen, Work, too_large};

pub(crate) fn begin(mut work: Work<'_>, transition: &mut Transition<'_>, task: &Task) -> Result<(), Fault> {
    let is_activity = task.resource.is_activity();
    let has_token = is_activity || task.resource.waits_for_token();
    let token = has_token.then(|| transition.task_token());
    // The token of an activity's task is for the worker that takes it.
    if let (Some(token), Some(context), false) = (&token, work.context.as_object_mut(), is_activity) {
        // The context that a tested state is given may have one.
        context.entry("Task").or_insert_with(|| json!({ "Token": &**token }));
    }
    let parameters = work.arguments(transition)?;
    let input = &work.entered.input;
    let credentials = match &task.credentials {
        Some(template) => {
            let value = work.evaluate(transition, template, input, Seen::default())?;
            Some(Json::from(value))
        }
        None => None,
    };
    let schedule = Schedule {
        resource: task.resource.clone(),
        region: region(transition),
        parameters,
        timeout_seconds: work.number(transition, &task.timeout)?,
        heartbeat_seconds: work.number(transition, &task.heartbeat)?,
        token,
        credentials,
    };
    work.check_size(&schedule.parameters, &work.entered.name)?;
    transition.emit(work.frame, EventKind::TaskScheduled(Arc::new(schedule)));
    if !is_activity {
        let resource = task.resource.clone();
        transition.emit(work.frame, EventKind::TaskStarted { resource });
    }
    Ok(())
}

/// The region of the execution's ARN.
fn region(transition: &Transition<'_>) -> Arc<str> {
    let started = transition.execution.started.as_ref();
    let arn = started.map_or("", |started| &*started.identity.execution_arn);
    arn.split(':').nth(3).unwrap_or_default().into()
}

/// Writes down that the call of a task that waits for more was answered.
pub(crate) fn submitted(transition: &mut Transition<'_>, frame: FrameId, output: Json) {
    if let At::Task(task) = &transition.execution.frame(frame).at
        && !task.submitted
    {
        let resource = task.schedule.resource.clone();
        transition.emit(frame, EventKind::TaskSubmitted { resource, output });
    }
}

pub(crate) fn succeeded(
    transition: &mut Transition<'_>,
    frame: FrameId,
    state: &State,
    output: Json,
) -> Result<(), Fault> {
    let resource = resource(transition, frame);
    if output.text().len() > MAX_PAYLOAD_BYTES {
        let source = if resource.resource_type.is_empty() {
            &resource.resource
        } else {
            &resource.resource_type
        };
        let failure = too_large(source);
        return Err(failed(transition, frame, failure));
    }
    let result = output.clone();
    transition.observe(|stages| stages.result = Some(result.clone()));
    transition.emit(frame, EventKind::TaskSucceeded { resource, output });
    Work::new(transition, frame, state).complete(transition, result)
}

pub(crate) fn failed(transition: &mut Transition<'_>, frame: FrameId, failure: Failure) -> Fault {
    let kind = EventKind::TaskFailed {
        resource: resource(transition, frame),
        failure: failure.clone(),
    };
    transition.emit(frame, kind);
    failure.into()
}

/// Gives up a task whose time-out or heartbeat is over.
pub(crate) fn timed_out(transition: &mut Transition<'_>, frame: FrameId) -> Fault {
    let now = transition.now;
    let failure = match &transition.execution.frame(frame).at {
        At::Task(task) if task.timeout_at.is_none_or(|timeout| now < timeout) => {
            Failure::named("States.HeartbeatTimeout")
        }
        _ => Failure::named("States.Timeout"),
    };
    let kind = EventKind::TaskTimedOut {
        resource: resource(transition, frame),
        failure: failure.clone(),
    };
    transition.emit(frame, kind);
    failure.into()
}

fn resource(transition: &Transition<'_>, frame: FrameId) -> Resource {
    match &transition.execution.frame(frame).at {
        At::Task(task) => task.schedule.resource.clone(),
        _ => unreachable!("only a task in progress is answered"),
    }
}
