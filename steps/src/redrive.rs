//! `POST /executions/{name}/redrive`: lets a failed execution, of any state machine, go on from the state that failed.
//! `POST /recompute`: has the tickets folded again that were judged by what is older.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::execution::Redrive;
use crate::http::{Kind, Problem, Request, Response};
use crate::machines::Machine;
use crate::openapi::{example, sample};
use crate::operation::{Access, Answer, Operation};
use crate::policy;
use crate::read::execution::NAME;
use crate::read::unavailable;
use crate::recompute::{self, Started};
use crate::record_failure::{Error, RecordFailure};
use crate::sweep::Mending;
use crate::webhook;

pub(crate) const REDRIVE: Operation = Operation {
    route: "POST /executions/{name}/redrive",
    id: "redriveExecution",
    summary: "Lets a failed execution go on from the step that failed.",
    about: "",
    access: Access::Redrive,
    path: Some(NAME),
    headers: &[],
    query: &[],
    body: None,
    answers: &[Answer {
        status: 202,
        about: "It runs again.",
        schema: SchemaGenerator::subschema_for::<Redriven>,
        example: || {
            example(&Redriven {
                execution: &crate::execution::name(&sample::delivery()),
                attempts: Some(2),
            })
        },
    }],
    problems: &[Kind::NoSuchExecution, Kind::NotRedrivable],
};

/// An execution that runs again.
#[derive(Serialize, JsonSchema)]
struct Redriven<'a> {
    execution: &'a str,
    /// Null if that could not be found out; it runs all the same.
    attempts: Option<u32>,
}

pub(crate) const RECOMPUTE: Operation = Operation {
    route: "POST /recompute",
    id: "recompute",
    summary: "Has the tickets folded again that were judged by an older policy or map of categories.",
    about: "",
    access: Access::Redrive,
    path: None,
    headers: &[],
    query: &[],
    body: None,
    answers: &[
        Answer {
            status: 202,
            about: "One runs.",
            schema: SchemaGenerator::subschema_for::<Recompute>,
            example: || {
                example(&Recompute {
                    execution: Some("recompute-1".to_owned()),
                    outcome: "started",
                })
            },
        },
        Answer {
            status: 200,
            about: "There is nothing to do.",
            schema: SchemaGenerator::subschema_for::<Recompute>,
            example: || {
                example(&Recompute {
                    execution: None,
                    outcome: "current",
                })
            },
        },
    ],
    problems: &[Kind::PolicyReplaced],
};

/// What became of the wish for a recompute.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecomputeStarted")]
struct Recompute {
    execution: Option<String>,
    /// `started`, `running` if one ran already, `current` if there is nothing to do
    outcome: &'static str,
}

pub async fn handle(context: &Mending, request: Request) -> Result<Response, webhook::Error> {
    Ok(crate::http::response(answer(context, &request).await))
}

async fn answer(context: &Mending, request: &Request) -> Result<Response, Problem> {
    if request.route_key == RECOMPUTE.route {
        RECOMPUTE.query(request)?;
        return recompute(context).await;
    }
    REDRIVE.query(request)?;
    redrive(&context.failures, request.path_parameter(NAME.name)).await
}

/// 202 for one that runs now, 200 if there is nothing to do.
async fn recompute(context: &Mending) -> Result<Response, Problem> {
    let started = context
        .recomputes
        .start(crate::now())
        .await
        .map_err(|error| match error {
            recompute::Error::Policy(policy::Error::Replaced(replaced)) => {
                Problem::new(409, Kind::PolicyReplaced, replaced.to_string())
            }
            error => unavailable(error),
        })?;
    let (status, execution, outcome) = match started {
        Started::Current => (200, None, "current"),
        Started::Running(name) => (202, Some(name), "running"),
        Started::New(name) => (202, Some(name), "started"),
    };
    Ok(Response::json(status, &Recompute { execution, outcome }))
}

async fn redrive(context: &RecordFailure, name: &str) -> Result<Response, Problem> {
    let (machine, redriven) = context.machines.redrive(name).await.map_err(|error| {
        tracing::error!(execution = name, error = crate::chain(&error));
        Problem::unavailable()
    })?;
    match redriven {
        Redrive::Redriven => {}
        Redrive::NoSuchExecution => {
            let detail = format!("there is no execution {name}");
            return Err(Problem::new(404, Kind::NoSuchExecution, detail).field("name"));
        }
        Redrive::NotRedrivable(reason) => return Err(Problem::new(409, Kind::NotRedrivable, reason).field("name")),
    }
    // It runs, whatever becomes of this; the next step that ends says so, too.
    let attempts = match show(context, machine, name).await {
        Ok(attempts) => attempts,
        Err(error) => {
            tracing::warn!(
                execution = name,
                error = crate::chain(&error),
                "redriven, but not shown as running yet"
            );
            None
        }
    };
    let redriven = Redriven {
        execution: name,
        attempts,
    };
    Ok(Response::json(202, &redriven))
}

/// Shows the execution as running before its next step has ended; gives its attempts.
async fn show(context: &RecordFailure, machine: Machine, name: &str) -> Result<Option<u32>, Error> {
    let Some(description) = context.machines.of(machine).describe(name).await? else {
        return Ok(None);
    };
    context
        .table
        .record_redrive(machine, name, description.redrives, description.started_at)
        .await?;
    Ok(Some(description.redrives.saturating_add(1)))
}
