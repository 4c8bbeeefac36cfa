//! `GET /recompute`: how far the last recompute is, and whether one is due.

use schemars::JsonSchema;
use serde::Serialize;
use ticket::{TicketId, Time};

use super::{Read, unavailable};
use crate::http::{Problem, Request, Response};
use crate::recompute::is_due;
use crate::table::Status;

/// How far the last recompute is.
#[derive(Debug, Serialize, JsonSchema)]
struct View {
    /// Null if there has never been one.
    execution: Option<String>,
    status: Option<Status>,
    started_at: Option<Time>,
    updated_at: Option<Time>,
    policy_version: Option<u32>,
    /// Tickets there were to do when it began, or at least so many.
    total: u64,
    recomputed: u64,
    /// Tickets that cannot be folded again, and some of them by name.
    failed: u64,
    failures: Vec<TicketId>,
    /// Every ticket is judged by this policy and the present categories of its site.
    is_current: bool,
}

pub(super) async fn recompute(read: &Read, request: &Request) -> Result<Response, Problem> {
    request.only_parameters(&[])?;
    let job = read.table.job().await.map_err(unavailable)?;
    let status = match &job {
        Some(job) => {
            let described = read.recomputes.describe(&job.execution).await.map_err(unavailable)?;
            described.map(|described| described.status)
        }
        None => None,
    };
    let is_current = !is_due(&read.table, &read.policy).await.map_err(unavailable)?;
    let view = match job {
        Some(job) => View {
            // Step Functions forgets executions after 90 days, and none ends well before it has been through all.
            status: status.or(job.is_done.then_some(Status::Succeeded)),
            execution: Some(job.execution),
            started_at: Some(job.started_at),
            updated_at: Some(job.updated_at),
            policy_version: Some(job.policy_version),
            total: job.total,
            recomputed: job.recomputed,
            failed: job.failed,
            failures: job.failures,
            is_current,
        },
        None => View {
            execution: None,
            status: None,
            started_at: None,
            updated_at: None,
            policy_version: None,
            total: 0,
            recomputed: 0,
            failed: 0,
            failures: Vec::new(),
            is_current,
        },
    };
    Ok(Response::json(200, &view))
}
