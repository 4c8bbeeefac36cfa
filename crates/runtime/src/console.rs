//! What the console shows of the engine: its pages, and the JSON below `/console/api/`.
//!
//! Everything is derived here (which state failed, how often it was tried, where its node stands), so that a page only
//! draws. No answer grows with the number of executions, or with the length of a history beyond what is shown of it.
//! The engine's views know nothing of what a template is for; further pages below `/console/` are the template's own.

mod answer;
mod changes;
mod execution;
mod fold;
mod graph;
mod layout;
mod list;
mod plan;
mod query;
mod stream;
#[cfg(test)]
mod tests;
mod trace;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{any, get};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use crate::driver::Engine;
use crate::gateway::Guard;
use crate::history::ExecutionId;
use crate::template::{HttpApi, PathSegment, RouteKey, StateMachineResource};

use self::answer::{Failure, answered};
use self::query::Query;
use self::trace::Trace;

/// Streams of changes at the same time: one a visible tab, and well below the connections that the gateway takes.
const MAX_STREAMS: usize = 64;

/// Executions whose traces are kept: those that are looked at in some tabs at once.
const KEPT_TRACES: usize = 8;

/// A trace, and the turn of those who take it further.
type SharedTrace = Arc<tokio::sync::Mutex<Trace>>;

/// The engine's part of the console.
pub(crate) struct Console {
    engine: Engine,
    /// By the state machine's name, where a page about an execution's subject is.
    links: BTreeMap<String, String>,
    /// Where the AWS-shaped endpoints are, for commands to paste.
    aws_url: String,
    /// Whether the API has something at `/`.
    has_root: bool,
    /// Whether the template brings pages of its own.
    has_pages: bool,
    /// Whether the API may take what is not the engine's below `/console/`.
    has_rest: bool,
    traces: Mutex<VecDeque<(ExecutionId, SharedTrace)>>,
    streams: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl Console {
    pub(crate) fn new(engine: Engine, machines: &[StateMachineResource], api: &HttpApi, aws_url: String) -> Self {
        let link = |machine: &StateMachineResource| {
            let link = machine.subject.as_ref()?.link.clone()?;
            Some((machine.name.clone(), link))
        };
        Self {
            engine,
            links: machines.iter().filter_map(link).collect(),
            aws_url,
            has_root: api.routes.iter().any(|route| takes_root(&route.key)),
            has_pages: api.routes.iter().any(|route| is_of_pages(&route.key)),
            has_rest: api.routes.iter().any(|route| takes_pages(&route.key)),
            traces: Mutex::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            stopping: watch::Sender::new(false),
        }
    }

    /// Ends the streams, which would else hold up whoever waits for requests in flight.
    pub(crate) fn end_streams(&self) {
        self.stopping.send_replace(true);
    }

    /// The routes that are the engine's, behind the API's authorizer where they show or change anything.
    ///
    /// `/` leads here unless the API has something there itself.
    pub(crate) fn router(self: Arc<Self>, guard: Guard) -> Router {
        let page = || async { page(StatusCode::OK) };
        let root = match self.has_root {
            true => Router::new(),
            false => Router::new().route("/", get(|| async { moved("/console/") })),
        };
        let rest = match self.has_rest {
            true => Router::new(),
            false => Router::new().route("/console/{*path}", any(nowhere)),
        };
        let api = move |request: Request| {
            let (console, guard) = (self.clone(), guard.clone());
            async move { console.answer(request, &guard).await }
        };
        root.merge(rest)
            .route("/console", get(|| async { moved("/console/") }))
            .route("/console/", get(page))
            .route("/console/executions", get(page))
            .route("/console/executions/", get(page))
            .route("/console/executions/{*path}", get(page))
            .route("/console/assets/{*path}", get(asset))
            .route("/console/api/{*path}", any(api))
    }

    async fn answer(self: Arc<Self>, request: Request, guard: &Guard) -> Response {
        let (parts, body) = request.into_parts();
        let left = match guard.admit(&parts).await {
            Ok(left) => left,
            Err(denied) => return *denied,
        };
        match self.try_answer(parts, body, left).await {
            Ok(response) => response,
            Err(failure) => failure.response(),
        }
    }

    /// `left` is how long whoever asks is still let in.
    async fn try_answer(
        self: Arc<Self>,
        parts: Parts,
        body: Body,
        left: Option<Duration>,
    ) -> Result<Response, Failure> {
        let path = parts
            .uri
            .path()
            .strip_prefix("/console/api/")
            .unwrap_or_default()
            .to_owned();
        let segments: Vec<String> = path
            .split('/')
            .map(query::decoded)
            .collect::<Option<_>>()
            .ok_or_else(Failure::path)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        if parts.method == Method::POST {
            let body = changes::admit(&parts.headers, body).await?;
            return match segments[..] {
                ["executions", machine, name, "redrive"] => self.redrive(machine, name, &body).await,
                ["executions", machine, name, "stop"] => self.stop(machine, name, &body).await,
                ["redrive"] => self.redrive_many(&body).await,
                _ => Err(Failure::path()),
            };
        }
        if parts.method != Method::GET {
            return Err(Failure::method());
        }
        match segments[..] {
            ["about"] => Ok(answered(&self.about())),
            ["executions"] => self.list(&query).await,
            ["summary"] => self.summary(&query).await,
            ["stream"] => self.stream(&parts.headers, left),
            ["executions", machine, name] => self.execution(machine, name, &query).await,
            ["executions", machine, name, "graph"] => self.graph(machine, name, &query).await,
            ["executions", machine, name, "state"] => self.state(machine, name, &query).await,
            ["executions", machine, name, "events"] => self.events(machine, name, &query).await,
            ["executions", machine, name, "definition"] => self.definition(machine, name).await,
            ["executions", machine, name, "document"] => self.document(machine, name, &query).await,
            ["executions", machine, name, "export"] => self.export(machine, name).await,
            _ => Err(Failure::path()),
        }
    }

    fn about(&self) -> Value {
        let machines = self.engine.machines();
        let example = machines.first().map(|(_, machine)| &*machine.arn);
        json!({
            "machines": machines.iter().map(|(_, machine)| &*machine.name).collect::<Vec<_>>(),
            "pages": self.has_pages,
            "aws": self.aws_url,
            "region": example.and_then(|arn| arn.split(':').nth(3)),
            "example": example,
        })
    }

    /// The trace of an execution, kept for those who look again.
    fn trace(&self, id: ExecutionId) -> SharedTrace {
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let known = traces.iter().position(|(known, _)| *known == id);
        let found = known.and_then(|at| traces.remove(at));
        let (id, trace) = found.unwrap_or_else(|| (id, SharedTrace::default()));
        traces.push_front((id, trace.clone()));
        traces.truncate(KEPT_TRACES);
        trace
    }
}

/// Whether a route takes pages below `/console/`, which then are not the engine's alone.
fn is_of_pages(key: &RouteKey) -> bool {
    key.to_string().contains(" /console/")
}

/// Whether a route may take an address below `/console/`, for that or for whatever there is.
fn takes_pages(key: &RouteKey) -> bool {
    match key {
        RouteKey::Path { path, .. } => path.segments().first().is_some_and(|first| match first {
            PathSegment::Literal(text) => text == "console",
            PathSegment::Parameter(_) | PathSegment::Greedy(_) => true,
        }),
        RouteKey::Default => true,
    }
}

fn takes_root(key: &RouteKey) -> bool {
    match key {
        RouteKey::Path { path, .. } => path.segments().is_empty(),
        RouteKey::Default => true,
    }
}

/// What an address below the console answers at which there is nothing: to a browser the page, which says so.
async fn nowhere(request: Request) -> Response {
    let accept = request.headers().get(header::ACCEPT);
    match accept.and_then(|accept| accept.to_str().ok()) {
        Some(accept) if console::is_browser(accept) => page(StatusCode::NOT_FOUND),
        _ => Failure::path().response(),
    }
}

fn page(status: StatusCode) -> Response {
    let page = console::page("/console/");
    let mut response = static_file(page.file, &HeaderMap::new());
    let policy = HeaderValue::from_str(&page.policy).expect("a policy is a header value");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    *response.status_mut() = status;
    response
}

async fn asset(request: Request) -> Response {
    let name = request
        .uri()
        .path()
        .strip_prefix("/console/assets/")
        .unwrap_or_default();
    match console::SHARED.get(name) {
        Some(file) => static_file(file, request.headers()),
        None => Failure::path().response(),
    }
}

fn static_file(file: console::File, asked: &HeaderMap) -> Response {
    let known = asked
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == file.etag.as_bytes());
    let mut response = Response::new(if known { Body::empty() } else { Body::from(file.body) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    for (name, value) in console::HEADERS {
        response.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(
        header::ETAG,
        HeaderValue::from_str(&file.etag).expect("a hash is a header value"),
    );
    response
}

fn moved(to: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response
        .headers_mut()
        .insert(header::LOCATION, HeaderValue::from_static(to));
    response
}
