//! `POST /executions/{name}/redrive`: lets a failed execution go on from the state that failed.
//! `POST /recompute`: has the tickets folded again that were judged by what is older.

use serde_json::json;

use crate::execution::Redrive;
use crate::http::{Kind, Problem, Request, Response};
use crate::read::unavailable;
use crate::recompute::Started;
use crate::record_failure::{Error, RecordFailure};
use crate::sweep::Mending;
use crate::webhook;

pub async fn handle(context: &Mending, request: Request) -> Result<Response, webhook::Error> {
    let answer = match request.route_key.as_str() {
        "POST /recompute" => recompute(context).await,
        _ => redrive(&context.failures, request.path_parameter("name")).await,
    };
    Ok(crate::http::response(answer))
}

/// 202 for one that runs now, 200 if there is nothing to do.
async fn recompute(context: &Mending) -> Result<Response, Problem> {
    let started = context.recomputes.start(crate::now()).await.map_err(unavailable)?;
    let (status, execution, outcome) = match started {
        Started::Current => (200, None, "current"),
        Started::Running(name) => (202, Some(name), "running"),
        Started::New(name) => (202, Some(name), "started"),
    };
    Ok(Response::json(
        status,
        &json!({ "execution": execution, "outcome": outcome }),
    ))
}

async fn redrive(context: &RecordFailure, name: &str) -> Result<Response, Problem> {
    let redriven = context.executions.redrive(name).await.map_err(|error| {
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
    let attempts = match show(context, name).await {
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
    Ok(Response::json(202, &json!({ "execution": name, "attempts": attempts })))
}

/// Shows the execution as running before its next step has ended; gives its attempts.
async fn show(context: &RecordFailure, name: &str) -> Result<Option<u32>, Error> {
    let Some(description) = context.executions.describe(name).await? else {
        return Ok(None);
    };
    context
        .table
        .record_redrive(name, description.redrives, description.started_at)
        .await?;
    Ok(Some(description.redrives.saturating_add(1)))
}
