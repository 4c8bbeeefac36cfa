//! One execution: what became of it, its graph, a state's documents, its events, its definition.

use asl::{Event, EventKind, Json, Status};
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{OwnedMutexGuard, mpsc};

use super::Console;
use super::answer::{Failure, answered, attached, typed};
use super::fold::{self, MOST_DRAWN, MOST_STATES};
use super::graph::{Flow, Node};
use super::layout::{self, Picture};
use super::plan;
use super::query::Query;
use super::stream::Events;
use super::trace::{Outcome, Trace};
use super::view::{Items, Shown, ms};
use crate::driver::Known;
use crate::history::{self, ExecutionId, Position};

/// How much of a document a page shows; the whole can be downloaded.
const SHOWN_BYTES: usize = 64 << 10;

/// How much of a cause the alert shows.
const SHOWN_CAUSE_BYTES: usize = 8 << 10;

/// Events on a page.
const EVENTS_PAGE: usize = 100;

/// Variables that are shown beside a state; a machine that has more than these is read in its documents.
const MAX_VARIABLES: usize = 100;

impl Console {
    /// The execution's trace, taken as far as the log goes.
    async fn traced(&self, id: ExecutionId) -> Result<OwnedMutexGuard<Trace>, Failure> {
        let mut trace = self.trace(id).lock_owned().await;
        let traced = self
            .engine
            .read(move |connection| {
                let from = trace.next;
                history::log::each_since(connection, id, from, |position, event| trace.apply(position, &event))?;
                Ok(trace)
            })
            .await?;
        Ok(traced)
    }

    pub(super) async fn execution(&self, machine: &str, name: &str, query: &Query) -> Result<Response, Failure> {
        let known = self.engine.known(machine, name).await?;
        let record = self.engine.execution(&known.arn).await?;
        let trace = self.traced(known.row.id).await?;
        let shown = Shown::new(&trace, &items(query));
        let now = self.engine.now();
        let mut answer = self.summary_of(&known.row, machine);
        let runs = trace
            .runs
            .iter()
            .map(|run| json!({"from": ms(run.from), "to": run.to.map(ms)}));
        let refused = record.redrivable(now).err().map(|reason| reason.to_string());
        answer["arn"] = (*known.arn).into();
        answer["runs"] = runs.collect();
        answer["states"] = shown.states().into();
        answer["opening"] = json!(shown.opening().map(|visit| &visit.state));
        answer["ways"] = shown.ways().into();
        answer["now"] = ms(now).into();
        answer["events"] = trace.entries.len().into();
        answer["startedBy"] = json!(record.alias_arn.as_deref().or(record.version_arn.as_deref()));
        answer["parent"] = known.row.parent.as_deref().map_or(Value::Null, linked);
        answer["redrive"] = plan::redrive(&trace);
        answer["redrive"]["refused"] = json!(refused);
        if !matches!(record.status, Status::Running | Status::Succeeded) {
            let ended_in = plan::ended_in(&trace);
            answer["failure"] = json!({
                "state": ended_in.map(|visit| &trace.visits[visit].state),
                "items": ended_in.map(|visit| plan::items(&trace, visit)),
                "tries": ended_in.map(|visit| plan::tries(&trace, visit)),
                "error": record.failure.error,
                "cause": record.failure.cause.as_deref().map(|cause| cut(cause, SHOWN_CAUSE_BYTES)),
            });
        }
        Ok(answered(&answer))
    }

    /// The graph of its definition: folded where it is large and not asked for as a whole, around the state that is looked
    /// at, else around the one that tells most.
    pub(super) async fn graph(&self, machine: &str, name: &str, query: &Query) -> Result<Response, Failure> {
        let known = self.engine.known(machine, name).await?;
        let definition = known.machine().definition.clone();
        let flow = Flow::of(&serde_json::from_str(&definition).unwrap_or_default());
        let states = flow.count();
        let is_whole = query.flag("whole") && states <= MOST_DRAWN;
        let large = MOST_STATES < states && !is_whole;
        let (opened, shut) = (query.names("open"), query.names("shut"));
        let mut focuses = opened.clone();
        match query.get("state") {
            Some(state) if flow.holds(state) => focuses.insert(0, state.to_owned()),
            _ if large => {
                let trace = self.traced(known.row.id).await?;
                let told = Shown::new(&trace, &Items::new())
                    .opening()
                    .map(|visit| visit.state.to_string());
                focuses.splice(0..0, told);
            }
            _ => {}
        }
        let focuses: Vec<&str> = focuses.iter().map(String::as_str).collect();
        let flow = if is_whole { flow } else { fold::folded(flow, &focuses) };
        // A box is open around what is looked at.
        let around: Vec<&str> = flow.nodes.iter().flat_map(|node| around(node, &focuses)).collect();
        let is_shut = |name: &str| shut.iter().any(|shut| shut == name);
        let closed = |name: &str| is_shut(name) || (large && !around.contains(&name));
        let mut answer = picture(&layout::picture(&flow, &closed), states);
        answer["can_be_whole"] = (MOST_STATES + 1..=MOST_DRAWN).contains(&states).into();
        Ok(answered(&answer))
    }

    pub(super) async fn state(&self, machine: &str, name: &str, query: &Query) -> Result<Response, Failure> {
        let known = self.engine.known(machine, name).await?;
        let wanted = query.get("name").unwrap_or_default();
        let id = known.row.id;
        let trace = self.traced(id).await?;
        let shown = Shown::new(&trace, &items(query));
        let Some((visit, visits)) = shown.state(wanted) else {
            return Err(Failure::new(
                StatusCode::NOT_FOUND,
                format!("State {wanted:?} was not reached."),
            ));
        };
        let visit = visit.clone();
        drop(trace);
        let documents = visit
            .attempts
            .iter()
            .flat_map(|attempt| [attempt.scheduled, attempt.ended]);
        let documents = documents
            .flatten()
            .chain([visit.entered])
            .chain(visit.exited.map(|(position, _)| position));
        let variables = visit
            .variables
            .iter()
            .take(MAX_VARIABLES)
            .map(|(_, position)| *position);
        let mut positions: Vec<Position> = documents.chain(variables).collect();
        positions.sort_unstable();
        positions.dedup();
        let events = self
            .engine
            .read(move |connection| history::log::at(connection, id, &positions))
            .await?;
        let event = |wanted: Position| {
            let found = events.iter().find(|(position, _)| *position == wanted);
            found.map(|(_, event)| event)
        };
        let field = |position: Option<Position>, name: &str| {
            let position = position?;
            let document = document(event(position)?, name)?;
            Some(told(&document, position, name))
        };
        let attempts = visit.attempts.iter().enumerate().map(|(number, attempt)| {
            let ended = attempt.ended.and_then(event);
            json!({
                "number": number + 1,
                "run": attempt.run,
                "from": ms(attempt.from),
                "to": attempt.to.map(ms),
                "status": attempt.outcome.as_str(),
                "error": attempt.error,
                "cause": ended.and_then(cause).map(|cause| cut(cause, SHOWN_CAUSE_BYTES)),
                "child": attempt.child.as_deref().map(linked),
                "token": attempt.waits_for_token,
                "queued": attempt.waits_for_worker && attempt.submitted.is_none(),
                "submitted": attempt.submitted.map(ms),
                "worker": attempt.waits_for_worker,
                "deadline": attempt.deadline.filter(|_| attempt.outcome == Outcome::Running).map(ms),
                "heartbeat_due": attempt.heartbeat_due.filter(|_| attempt.outcome == Outcome::Running).map(ms),
            })
        });
        let last = visit.attempts.last();
        let variables = visit
            .variables
            .iter()
            .take(MAX_VARIABLES)
            .filter_map(|(name, position)| {
                let value = document(event(*position)?, &format!("variable:{name}"))?;
                Some(json!({"name": name, "value": told(&value, *position, &format!("variable:{name}"))}))
            });
        Ok(answered(&json!({
            "state": visit.state,
            "type": visit.state_type.as_str(),
            "status": visit.outcome.as_str(),
            "visits": visits,
            "entered": ms(visit.entered_at),
            "exited": visit.exited.map(|(_, at)| ms(at)),
            "until": visit.until.filter(|_| visit.exited.is_none()).map(ms),
            "input": field(Some(visit.entered), "input"),
            "output": field(visit.exited.map(|(position, _)| position), "output"),
            "call": field(last.and_then(|attempt| attempt.scheduled), "parameters"),
            "resource": last.and_then(|attempt| attempt.scheduled).and_then(event).and_then(resource),
            "attempts": attempts.collect::<Vec<_>>(),
            "variables": variables.collect::<Vec<_>>(),
        })))
    }

    pub(super) async fn events(&self, machine: &str, name: &str, query: &Query) -> Result<Response, Failure> {
        let known = self.engine.known(machine, name).await?;
        let id = known.row.id;
        let from = usize::try_from(query.number("from")?.unwrap_or(0)).unwrap_or(usize::MAX);
        let (state, failed, newest_first) = (query.get("state"), query.flag("failed"), query.flag("reverse"));
        let trace = self.traced(id).await?;
        let place_of =
            |visit: Option<usize>| visit.map(|visit| (trace.visits[visit].state.clone(), plan::items(&trace, visit)));
        let wanted = |entry: &&super::trace::Entry| {
            (!failed || entry.failed)
                && state.is_none_or(|state| entry.visit.is_some_and(|visit| *trace.visits[visit].state == *state))
        };
        let mut found: Vec<_> = trace.entries.iter().filter(wanted).collect();
        if newest_first {
            found.reverse();
        }
        let total = found.len();
        let page: Vec<_> = found
            .into_iter()
            .skip(from)
            .take(EVENTS_PAGE)
            .map(|entry| (entry.position, place_of(entry.visit), entry.failed))
            .collect();
        let started = trace.runs.first().map(|run| run.from);
        drop(trace);
        let positions: Vec<Position> = page.iter().map(|(position, ..)| *position).collect();
        let events = self
            .engine
            .read(move |connection| history::log::at(connection, id, &positions))
            .await?;
        let shaped = events.iter().zip(&page).map(|((position, event), (_, place, failed))| {
            let offset = started.map(|started| (event.time - started).num_milliseconds());
            json!({
                "id": event.id,
                "position": position,
                "type": event.kind.type_name(),
                "at": ms(event.time),
                "offset": offset,
                "state": place.as_ref().map(|(state, _)| state),
                "items": place.as_ref().map(|(_, items)| items),
                "failed": failed,
                "detail": detail(event),
            })
        });
        Ok(answered(&json!({
            "events": shaped.collect::<Vec<_>>(),
            "from": from,
            "total": total,
            "page": EVENTS_PAGE,
        })))
    }

    pub(super) async fn definition(&self, machine: &str, name: &str) -> Result<Response, Failure> {
        let known = self.engine.known(machine, name).await?;
        let record = known.machine();
        let definition: Value = serde_json::from_str(&record.definition).unwrap_or_default();
        let text = serde_json::to_string_pretty(&definition).unwrap_or_default();
        let revised = ms(record.updated);
        Ok(answered(
            &json!({"definition": text, "revised": revised, "machine": record.name}),
        ))
    }

    /// A whole document of an event, as a file.
    pub(super) async fn document(&self, machine: &str, name: &str, query: &Query) -> Result<Response, Failure> {
        let known = self.engine.known(machine, name).await?;
        let id = known.row.id;
        let position = query.number("position")?.unwrap_or(0);
        let position = Position::try_from(position).unwrap_or(Position::MAX);
        let field = query.get("field").unwrap_or_default();
        let events = self
            .engine
            .read(move |connection| history::log::at(connection, id, &[position]))
            .await?;
        let found = events.first().and_then(|(_, event)| document(event, field));
        let found = found.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "This event has no such document."))?;
        let body = Body::from(found.text().to_owned());
        Ok(attached(
            typed("application/json", body),
            &format!("{name}-{field}.json"),
        ))
    }

    /// The execution and its whole history as one JSON document, written as it is read.
    pub(super) async fn export(&self, machine: &str, name: &str) -> Result<Response, Failure> {
        let known = self.engine.known(machine, name).await?;
        let record = self.engine.execution(&known.arn).await?;
        let head = json!({
            "executionArn": record.arn,
            "stateMachineArn": record.state_machine_arn,
            "name": record.name,
            "status": record.status.as_str(),
            "startDate": record.started,
            "stopDate": record.stopped,
            "redriveCount": record.redrive_count,
            "input": record.input,
            "output": record.output,
            "error": record.failure.error,
            "cause": record.failure.cause,
        });
        let (sender, body) = mpsc::channel(1);
        tokio::spawn(write_export(self.engine.clone(), known, head, sender));
        let response = typed("application/json", Body::new(Events(body)));
        Ok(attached(response, &format!("{name}.json")))
    }
}

/// Sends the export a page of events at a time; who does not read on holds up nobody.
async fn write_export(engine: crate::driver::Engine, known: Known, head: Value, sender: mpsc::Sender<Bytes>) {
    let head = head.to_string();
    let opened = format!("{},\"events\":[", head.strip_suffix('}').unwrap_or(&head));
    if sender.send(opened.into()).await.is_err() {
        return;
    }
    let mut from = None;
    let mut first = true;
    loop {
        let id = known.row.id;
        let page = engine
            .read(move |connection| history::log::page(connection, id, from, false, EVENTS_PAGE))
            .await;
        let (events, next) = match page {
            Ok(page) => page,
            Err(error) => {
                // A body that ends in the middle is no JSON: whoever reads it sees that it is not all.
                tracing::error!(error = &error as &dyn std::error::Error, "an export broke off");
                return;
            }
        };
        let mut text = String::new();
        for wire in events.iter().filter_map(|event| event.wire(true)) {
            if !std::mem::take(&mut first) {
                text.push(',');
            }
            text.push_str(&wire.to_string());
        }
        if next.is_none() {
            text.push_str("]}");
        }
        if sender.send(text.into()).await.is_err() || next.is_none() {
            return;
        }
        from = next;
    }
}

/// `Map:3,Other:0`: which items are looked into.
fn items(query: &Query) -> Items {
    let pairs = query.names("items").into_iter().filter_map(|pair| {
        let (state, number) = pair.rsplit_once(':')?;
        Some((state.to_owned(), number.parse().ok()?))
    });
    pairs.collect()
}

/// The names of a node and of all within it that have one of these states in them, or are one.
fn around<'a>(node: &'a Node, focuses: &[&str]) -> Vec<&'a str> {
    if !focuses.iter().any(|focus| node.holds(focus)) {
        return Vec::new();
    }
    let inside = node.inside.iter().flat_map(|flow| &flow.nodes);
    let mut names: Vec<&str> = inside.flat_map(|node| around(node, focuses)).collect();
    names.push(&node.name);
    names
}

/// The names in an execution's ARN.
fn linked(arn: &str) -> Value {
    let mut parts = arn.splitn(8, ':').skip(5);
    match (parts.next(), parts.next(), parts.next()) {
        (Some("execution"), Some(machine), Some(name)) => json!({"machine": machine, "name": name}),
        _ => Value::Null,
    }
}

/// A document as a page shows it.
fn told(document: &Json, position: Position, field: &str) -> Value {
    let text = document.text();
    // Reading a small one better costs nothing; a large one is shown as it is.
    let pretty = (text.len() <= SHOWN_BYTES)
        .then(|| serde_json::to_string_pretty(document.value()).ok())
        .flatten()
        .filter(|pretty| pretty.len() <= SHOWN_BYTES);
    json!({
        "text": pretty.as_deref().unwrap_or_else(|| cut(text, SHOWN_BYTES)),
        "whole": pretty.is_some() || text.len() <= SHOWN_BYTES,
        "bytes": text.len(),
        "position": position,
        "field": field,
    })
}

/// The beginning of a text, ending between characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// A document of an event by the name that the page has for it.
fn document(event: &Event, field: &str) -> Option<Json> {
    match (&event.kind, field) {
        (EventKind::StateEntered { input, .. } | EventKind::ExecutionStarted { input, .. }, "input") => {
            Some(input.clone())
        }
        (EventKind::StateExited { output, .. } | EventKind::ExecutionSucceeded { output }, "output") => {
            Some(output.clone())
        }
        (EventKind::TaskSucceeded { output, .. } | EventKind::TaskSubmitted { output, .. }, "output") => {
            Some(output.clone())
        }
        (EventKind::TaskScheduled(schedule), "parameters") => Some(schedule.parameters.clone()),
        (EventKind::StateExited { assigned, .. }, field) => {
            let name = field.strip_prefix("variable:")?;
            assigned.as_ref()?.get(name).cloned()
        }
        _ => None,
    }
}

fn cause(event: &Event) -> Option<&str> {
    failure(event)?.cause.as_deref()
}

fn failure(event: &Event) -> Option<&asl::Failure> {
    match &event.kind {
        EventKind::TaskFailed { failure, .. }
        | EventKind::TaskTimedOut { failure, .. }
        | EventKind::EvaluationFailed { failure, .. }
        | EventKind::ExecutionFailed(failure)
        | EventKind::ExecutionTimedOut(failure)
        | EventKind::ExecutionAborted(failure)
        | EventKind::ActivityScheduleFailed(failure)
        | EventKind::MapItemFailed(failure)
        | EventKind::StateFailed(failure)
        | EventKind::MapRunFailed(failure) => Some(failure),
        _ => None,
    }
}

fn resource(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::TaskScheduled(schedule) if schedule.resource.resource_type.is_empty() => {
            Some(schedule.resource.resource.to_string())
        }
        EventKind::TaskScheduled(schedule) => {
            let resource = &schedule.resource;
            Some(format!("{}:{}", resource.resource_type, resource.resource))
        }
        _ => None,
    }
}

/// What a line of the list of events says beside its type.
fn detail(event: &Event) -> Option<String> {
    if let Some(failure) = failure(event) {
        let cause = failure
            .cause
            .as_deref()
            .map(|cause| cut(cause, 200))
            .unwrap_or_default();
        return Some(format!("{} {cause}", failure.name()).trim().to_owned());
    }
    match &event.kind {
        EventKind::TaskScheduled(_) => resource(event),
        EventKind::ActivityStarted { worker } => worker.as_deref().map(|worker| format!("by {worker}")),
        EventKind::MapIterationStarted { index, .. }
        | EventKind::MapIterationSucceeded { index, .. }
        | EventKind::MapIterationFailed { index, .. }
        | EventKind::MapIterationAborted { index, .. } => Some(format!("item {index}")),
        EventKind::StateExited { next: Some(next), .. } => Some(format!("to {next}")),
        EventKind::ExecutionRedriven { redrive_count } => Some(format!("redrive {redrive_count}")),
        _ => None,
    }
}

fn picture(picture: &Picture, states: usize) -> Value {
    let round = |number: f64| (number * 10.0).round() / 10.0;
    let point = |(x, y): (f64, f64)| json!([round(x), round(y)]);
    let nodes = picture.nodes.iter().map(|node| {
        json!({
            "name": node.name,
            "type": node.state_type,
            "comment": node.comment,
            "x": round(node.x),
            "y": round(node.y),
            "width": round(node.width),
            "height": round(node.height),
            "inside": node.inside,
            "opened": node.opened,
            "folded": node.folded,
        })
    });
    let edges = picture.edges.iter().map(|edge| {
        json!({
            "from": edge.from,
            "to": edge.to,
            "kind": edge.kind.as_str(),
            "label": edge.label,
            "label_short": super::graph::cut(&edge.label),
            "label_at": point(edge.label_at),
            "path": edge.path,
            "tip": point(edge.tip),
            "up": edge.up,
        })
    });
    json!({
        "width": round(picture.width),
        "height": round(picture.height),
        "states": states,
        "nodes": nodes.collect::<Vec<_>>(),
        "edges": edges.collect::<Vec<_>>(),
        "start": picture.start.map(point),
        "end": picture.end.map(point),
    })
}
