//! `GET /recompute`: how far the last recompute is, and whether one is due.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use ticket::{TicketId, Time};

use super::{Read, unavailable};
use crate::http::{Problem, Request, Response};
use crate::machines::Machine;
use crate::openapi::example;
use crate::operation::{Access, Answer, Operation};
use crate::policy::Standing;
use crate::recompute::is_due;
use crate::table::Status;

pub(crate) const RECOMPUTE: Operation = Operation {
    route: "GET /recompute",
    id: "getRecompute",
    summary: "How far the last recompute is, and whether one is due.",
    about: "",
    access: Access::Read,
    path: None,
    headers: &[],
    query: &[],
    body: None,
    answers: &[Answer {
        status: 200,
        about: "The recompute.",
        schema: SchemaGenerator::subschema_for::<View>,
        example: || example(&View::never(true)),
    }],
    problems: &[],
};

/// How far the last recompute is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Recompute")]
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
    /// Why nothing is judged by this policy yet: it was put back a moment ago. Null as long as all is well.
    policy_waits: Option<String>,
}

impl View {
    /// Of a table in which there has never been one.
    fn never(is_current: bool) -> Self {
        Self {
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
            policy_waits: None,
        }
    }
}

pub(super) async fn recompute(read: &Read, request: &Request) -> Result<Response, Problem> {
    RECOMPUTE.query(request)?;
    let job = read.table.job().await.map_err(unavailable)?;
    let status = match &job {
        Some(job) => {
            let described = read
                .machines
                .of(Machine::Recompute)
                .describe(&job.execution)
                .await
                .map_err(unavailable)?;
            described.map(|described| described.status)
        }
        None => None,
    };
    let (is_current, policy_waits) = match read.policy_in_force.standing().await.map_err(unavailable)? {
        Standing::InForce(number) | Standing::New(number) => {
            let policy = read.policy_in_force.numbered(number);
            (!is_due(&read.table, &policy).await.map_err(unavailable)?, None)
        }
        Standing::Replaced(replaced) => (false, Some(replaced.to_string())),
    };
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
            policy_waits,
        },
        None => View {
            policy_waits,
            ..View::never(is_current)
        },
    };
    Ok(Response::json(200, &view))
}
