//! `POST /tickets`, `PATCH /tickets/{id}`, `DELETE /tickets/{id}`: what API clients do to tickets that no Jira knows.
//!
//! Each becomes a canonical event and goes the way of every delivery. A ticket of a Jira is changed there, and only
//! there: what were changed here would be contradicted by the next delivery.

use ticket::{Time, flat};

use crate::environment::{self, Environment};
use crate::execution::Executions;
use crate::http::{Kind, Problem, Request, Response};
use crate::read::{no_such_ticket, resolve, unavailable};
use crate::table::Table;
use crate::webhook::{Error, start, unfit};

#[derive(Debug)]
pub struct Api {
    table: Table,
    executions: Executions,
}

impl Api {
    pub async fn open(environment: &Environment) -> Result<Self, environment::Error> {
        Ok(Self {
            table: environment.table()?,
            executions: environment.executions()?,
        })
    }
}

pub async fn handle(api: &Api, request: Request) -> Result<Response, Error> {
    Ok(crate::http::response(take(api, &request, crate::now()).await))
}

async fn take(api: &Api, request: &Request, now: Time) -> Result<Response, Problem> {
    request.only_parameters(&[])?;
    let unreadable = || {
        Problem::new(
            400,
            Kind::UnreadableBody,
            "the body is not the base64 that it says it is",
        )
    };
    let body = request.body().ok_or_else(unreadable)?;
    let event = match request.route_key.as_str() {
        "POST /tickets" => flat::read(&body).map_err(unfit)?,
        "PATCH /tickets/{id}" => flat::edit(&changeable(api, request).await?, &body, now).map_err(unfit)?,
        "DELETE /tickets/{id}" => flat::deletion(&changeable(api, request).await?, now),
        other => {
            return Err(Problem::new(
                404,
                Kind::NoSuchRoute,
                format!("there is no route {other}"),
            ));
        }
    };
    start(&api.executions, event, now).await
}

/// The ticket that a request is about, if it is there and is ours to change.
async fn changeable(api: &Api, request: &Request) -> Result<ticket::TicketId, Problem> {
    let wanted = request.path_parameter("id");
    let id = resolve(&api.table, wanted).await?;
    if id.site.as_str() != flat::SITE {
        let detail = format!("{id} is a ticket of {}: change it there", id.site);
        return Err(Problem::new(409, Kind::NotEditable, detail).field("id"));
    }
    match api.table.fact_count(&id).await.map_err(unavailable)? {
        0 => Err(no_such_ticket(wanted)),
        _ => Ok(id),
    }
}
