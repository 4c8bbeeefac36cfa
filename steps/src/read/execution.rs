//! Executions as API clients see them.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use ticket::{TicketId, Time};

use super::list::{PAGE_BYTES, written_bytes};
use super::ticket::{ID, is_known};
use super::{Read, no_such_ticket, resolve, unavailable};
use crate::execution::{Description, can_be_name};
use crate::http::{Kind, Problem, Request, Response};
use crate::machines::Machine;
use crate::openapi::{example, sample};
use crate::operation::{Access, Answer, CURSOR, LIMIT_OF_LIST, Operation, Parameter, Query, Takes, Text};
use crate::table::{Page, Progress, Status, Step};

pub(crate) const NAME: Text = Text {
    name: "name",
    about: "The execution's name, as the answer to the delivery gave it.",
    example: "SHOP-1-0d6f3c52f1a04b7c8e9d2b6a5f4e3d2c",
};

const STATUSES: [&str; Status::ALL.len()] = {
    let mut names = [""; Status::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = Status::ALL[index].as_str();
        index += 1;
    }
    names
};

pub(crate) const ONE: Operation = Operation {
    route: "GET /executions/{name}",
    id: "getExecution",
    summary: "An execution, step by step.",
    about: "",
    access: Access::Read,
    path: Some(NAME),
    headers: &[],
    query: &[],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "The execution.",
        schema: SchemaGenerator::subschema_for::<View>,
        example: || example(&View::example()),
    }],
    problems: &[Kind::NoSuchExecution],
};

pub(crate) const LIST: Operation = Operation {
    route: "GET /executions",
    id: "listExecutions",
    summary: "Executions, the newest first.",
    about: "All that deliveries and API clients started; of what else runs, what has failed.",
    access: Access::Read,
    path: None,
    headers: &[],
    query: &[
        Parameter {
            name: "status",
            takes: Takes::OneOf(&STATUSES),
            about: "Only those that are so.",
        },
        LIMIT_OF_LIST,
        CURSOR,
    ],
    body: None,
    answers: &[LISTED],
    problems: &[],
};

pub(crate) const OF_TICKET: Operation = Operation {
    route: "GET /tickets/{id}/executions",
    id: "listTicketExecutions",
    summary: "A ticket's executions, the newest first.",
    about: "",
    access: Access::Read,
    path: Some(ID),
    headers: &[],
    query: &[LIMIT_OF_LIST, CURSOR],
    body: None,
    answers: &[LISTED],
    problems: &[Kind::NoSuchTicket, Kind::AmbiguousKey],
};

const LISTED: Answer = Answer {
    status: 200,
    about: "A page of executions.",
    schema: SchemaGenerator::subschema_for::<Executions>,
    example: || {
        example(&Executions {
            executions: vec![View::example()],
            next: None,
        })
    },
};

/// A page of executions.
#[derive(Debug, Serialize, JsonSchema)]
struct Executions {
    executions: Vec<View>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
}

/// An execution.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Execution")]
struct View {
    name: String,
    /// By which Step Functions knows it.
    arn: String,
    /// The state machine.
    machine: Machine,
    ticket: Option<TicketId>,
    status: Status,
    /// 1, and one more for each redrive.
    attempts: u32,
    started_at: Time,
    stopped_at: Option<Time>,
    error: Option<String>,
    cause: Option<String>,
    /// In the order in which they began, each in its latest round.
    steps: Vec<StepView>,
}

/// A step of an execution.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Step")]
struct StepView {
    name: String,
    status: Status,
    /// 1, and one more for each of its retries.
    attempt: u32,
    started_at: Time,
    finished_at: Time,
    outcome: Option<String>,
    error: Option<String>,
}

impl View {
    /// One that has just begun.
    fn example() -> Self {
        let event = sample::delivery();
        let (started_at, finished_at) = (event.observed, event.observed.saturating_add(12));
        let step = StepView {
            name: "ValidateTicket".to_owned(),
            status: Status::Succeeded,
            attempt: 1,
            started_at,
            finished_at,
            outcome: Some("valid".to_owned()),
            error: None,
        };
        let name = crate::execution::name(&event);
        Self {
            arn: sample::execution_arn(&name),
            name,
            machine: Machine::TicketLifecycle,
            ticket: Some(event.ticket()),
            status: Status::Running,
            attempts: 1,
            started_at,
            stopped_at: None,
            error: None,
            cause: None,
            steps: vec![step],
        }
    }

    fn recorded(progress: Progress, arn: String) -> Self {
        let Progress {
            machine,
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
            arn,
            machine,
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

    /// An execution of which nothing is recorded.
    fn described(machine: Machine, description: Description, arn: String) -> Self {
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
            arn,
            machine,
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

pub(super) async fn one(read: &Read, request: &Request) -> Result<Response, Problem> {
    ONE.query(request)?;
    let name = request.path_parameter(NAME.name);
    let progress = match can_be_name(name) {
        true => read.table.progress(name).await.map_err(unavailable)?,
        false => None,
    };
    if let Some(progress) = progress.filter(Progress::tells) {
        return Ok(Response::json(200, &recorded(read, progress)));
    }
    match read.machines.describe(name).await.map_err(unavailable)? {
        Some((machine, description)) => {
            let arn = read.machines.execution_arn(machine, &description.name);
            let view = View::described(machine, description, arn);
            Ok(Response::json(200, &view))
        }
        None => {
            let detail = format!("there is no execution {name:?}");
            Err(Problem::new(404, Kind::NoSuchExecution, detail).field(NAME.name))
        }
    }
}

pub(super) async fn list(read: &Read, request: &Request) -> Result<Response, Problem> {
    let query = LIST.query(request)?;
    let statuses = match query.text("status").and_then(Status::parse) {
        None => Status::ALL.to_vec(),
        Some(status) => vec![status],
    };
    let page = read.table.executions(&statuses, query.limit(), query.place()).await;
    Ok(listing(read, &query, page.map_err(unavailable)?))
}

pub(super) async fn of_ticket(read: &Read, request: &Request) -> Result<Response, Problem> {
    let query = OF_TICKET.query(request)?;
    let wanted = request.path_parameter(ID.name);
    let id = resolve(&read.table, wanted).await?;
    let page = read.table.executions_of(&id, query.limit(), query.place()).await;
    let page = page.map_err(unavailable)?;
    // An empty page may be that of a ticket whose executions have expired, or the one after the last.
    if page.items.is_empty() && !is_known(read, &id).await.map_err(unavailable)? {
        return Err(no_such_ticket(wanted));
    }
    Ok(listing(read, &query, page))
}

fn recorded(read: &Read, progress: Progress) -> View {
    let arn = read.machines.execution_arn(progress.machine, &progress.name);
    View::recorded(progress, arn)
}

fn listing(read: &Read, query: &Query, page: Page<Progress>) -> Response {
    let Page { items, next } = fitting(page, |progress| recorded(read, progress));
    let listed = Executions {
        executions: items,
        next: query.next(next.as_deref()),
    };
    Response::json(200, &listed)
}

/// As many executions of a page as an answer has room for: a cause may have 32 kB.
fn fitting(page: Page<Progress>, view: impl Fn(Progress) -> View) -> Page<View> {
    let (mut items, mut bytes, mut place) = (Vec::new(), 0, None);
    for progress in page.items {
        let here = progress.place();
        let view = view(progress);
        bytes += written_bytes(&view);
        if PAGE_BYTES < bytes && !items.is_empty() {
            return Page { items, next: place };
        }
        items.push(view);
        place = Some(here);
    }
    Page { items, next: page.next }
}

#[cfg(test)]
mod tests;
