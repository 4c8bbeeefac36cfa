//! Executions as API clients see them.

use serde::Serialize;
use serde_json::json;
use ticket::{TicketId, Time};

use super::ticket::is_known;
use super::{Read, no_such_ticket, page, resolve, unavailable};
use crate::execution::Description;
use crate::http::{Kind, Problem, Request, Response};
use crate::table::{Page, Progress, Status, Step};

/// An execution.
#[derive(Debug, PartialEq, Serialize)]
struct View {
    name: String,
    ticket: Option<TicketId>,
    status: Status,
    attempts: u32,
    started_at: Time,
    stopped_at: Option<Time>,
    error: Option<String>,
    cause: Option<String>,
    steps: Vec<StepView>,
}

#[derive(Debug, PartialEq, Serialize)]
struct StepView {
    name: String,
    status: Status,
    attempt: u32,
    started_at: Time,
    finished_at: Time,
    outcome: Option<String>,
    error: Option<String>,
}

impl From<Progress> for View {
    fn from(progress: Progress) -> Self {
        let Progress {
            name,
            ticket,
            status,
            redrives,
            started_at,
            stopped_at,
            error,
            cause,
            steps,
        } = progress;
        let attempts = redrives.saturating_add(1);
        let steps = steps.into_iter().map(StepView::from).collect();
        Self {
            name,
            ticket,
            status,
            attempts,
            started_at,
            stopped_at,
            error,
            cause,
            steps,
        }
    }
}

impl From<Step> for StepView {
    fn from(step: Step) -> Self {
        let Step {
            name,
            status,
            attempt,
            started_at,
            finished_at,
            outcome,
            error,
        } = step;
        Self {
            name,
            status,
            attempt,
            started_at,
            finished_at,
            outcome,
            error,
        }
    }
}

/// An execution of which no step has said anything yet.
impl From<Description> for View {
    fn from(description: Description) -> Self {
        let Description {
            name,
            ticket,
            status,
            redrives,
            started_at,
            stopped_at,
            error,
            cause,
            ..
        } = description;
        let attempts = redrives.saturating_add(1);
        Self {
            name,
            ticket,
            status,
            attempts,
            started_at,
            stopped_at,
            error,
            cause,
            steps: Vec::new(),
        }
    }
}

/// `GET /executions/{name}`
pub(super) async fn one(read: &Read, request: &Request) -> Result<Response, Problem> {
    request.only_parameters(&[])?;
    let name = request.path_parameter("name");
    if let Some(progress) = read.table.progress(name).await.map_err(unavailable)? {
        return Ok(Response::json(200, &View::from(progress)));
    }
    match read.executions.describe(name).await.map_err(unavailable)? {
        Some(description) => Ok(Response::json(200, &View::from(description))),
        None => {
            let detail = format!("there is no execution {name:?}");
            Err(Problem::new(404, Kind::NoSuchExecution, detail).field("name"))
        }
    }
}

/// `GET /executions?status=&limit=&cursor=`
pub(super) async fn list(read: &Read, request: &Request) -> Result<Response, Problem> {
    request.only_parameters(&["status", "limit", "cursor"])?;
    let (limit, cursor) = page(&request.query_string_parameters)?;
    let statuses = match request.query_string_parameters.get("status") {
        None => Status::ALL.to_vec(),
        Some(text) => match Status::parse(text) {
            Some(status) => vec![status],
            None => {
                let known = Status::ALL.map(Status::as_str).join(", ");
                let detail = format!("status is {text:?}; it should be one of {known}");
                return Err(Problem::new(422, Kind::InvalidValue, detail).field("status"));
            }
        },
    };
    read.table
        .executions(&statuses, limit, cursor.as_ref())
        .await
        .map(listing)
        .map_err(unavailable)
}

/// `GET /tickets/{id}/executions?limit=&cursor=`
pub(super) async fn of_ticket(read: &Read, request: &Request) -> Result<Response, Problem> {
    request.only_parameters(&["limit", "cursor"])?;
    let (limit, cursor) = page(&request.query_string_parameters)?;
    let wanted = request.path_parameter("id");
    let id = resolve(&read.table, wanted).await?;
    let page = read
        .table
        .executions_of(&id, limit, cursor.as_ref())
        .await
        .map_err(unavailable)?;
    // An empty page may be that of a ticket whose executions have expired, or the one after the last.
    if page.items.is_empty() && !is_known(read, &id).await.map_err(unavailable)? {
        return Err(no_such_ticket(wanted));
    }
    Ok(listing(page))
}

fn listing(page: Page<Progress>) -> Response {
    let executions: Vec<View> = page.items.into_iter().map(View::from).collect();
    Response::json(
        200,
        &json!({ "executions": executions, "next": page.next.map(|cursor| cursor.encode()) }),
    )
}
