//! A JIRA for tests: it serves the REST API's shapes, Cloud's or Data Center's, over issues that were made up.
//!
//! It pages, wants a credential, and can be told to throttle, to fail, to hang up, to hide, to forget, and to go round in
//! circles.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jira::Deployment;
use jira::made::Issue;
use serde_json::{Value, json};
use ticket::Time;
use tokio::net::TcpListener;

mod answers;
mod jql;

/// What it takes to be let in, in the form of [`jira::Credential::parse`].
pub const CLOUD_CREDENTIAL: &str = "robot@example.net:cloud-token";
pub const DATA_CENTER_CREDENTIAL: &str = "data-center-token";

/// What goes wrong, in every so many requests; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub throttle_every: u64,
    /// What `Retry-After` says then, in seconds.
    pub retry_after: u64,
    /// Says it as a date, as whatever stands before a JIRA may.
    pub says_date: bool,
    pub fail_every: u64,
    pub hang_up_every: u64,
    /// Half an answer, and then it hangs up.
    pub tear_every: u64,
    /// Issues on a page at most, however many are asked for.
    pub page: usize,
    /// Changes of an issue that a page of issues shows at most: the newest.
    pub changes: usize,
    /// Every page of a search leads to the same next one.
    pub circles: bool,
    /// To every question of a search it answers with an empty document.
    pub says_nothing: bool,
    /// It says that the credential is none, and answers all the same.
    pub shows_anybody: bool,
}

/// What it has and what it has been asked.
#[derive(Default)]
pub struct Held {
    pub issues: BTreeMap<u64, Issue>,
    pub trouble: Trouble,
    /// Paths of all requests.
    pub requests: Vec<String>,
    /// Projects that the credential may not see.
    pub hidden: BTreeSet<String>,
    /// It has moved to this address.
    pub elsewhere: Option<String>,
    /// What it calls itself, where that is not the address that it is asked at.
    pub home: Option<String>,
    /// Its clock, which decides what has changed since; without one, that of the machine.
    pub now: Option<Time>,
    changelogs: u64,
}

/// A running JIRA; its end is that of the runtime it was started in.
#[derive(Clone)]
pub struct StandIn {
    pub url: String,
    pub deployment: Deployment,
    held: Arc<Mutex<Held>>,
}

/// Why a request gets no answer: the connection is closed on it.
#[derive(Debug, thiserror::Error)]
#[error("hung up")]
struct HangUp;

/// A status and a document.
type Answer = (u16, Value);

impl StandIn {
    /// Listens on a port of its own, or on the one given.
    pub async fn start(deployment: Deployment, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let stand_in = Self {
            url: format!("http://{}", listener.local_addr()?),
            deployment,
            held: Arc::default(),
        };
        let serving = stand_in.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| serving.clone().serve(request));
                    // A connection that ends in an error is one that was hung up on.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(stand_in)
    }

    pub fn credential(&self) -> &'static str {
        match self.deployment {
            Deployment::Cloud => CLOUD_CREDENTIAL,
            Deployment::DataCenter => DATA_CENTER_CREDENTIAL,
        }
    }

    /// What it has, to look at and to change.
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nobody panics while holding it")
    }

    async fn serve(self, request: Request<Incoming>) -> Result<Response<Answered>, HangUp> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| HangUp)?.to_bytes();
        let header = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
        let path = parts.uri.path().to_owned();
        let is_let_in = match self.deployment {
            // base64 of the credential.
            Deployment::Cloud => header == Some("Basic cm9ib3RAZXhhbXBsZS5uZXQ6Y2xvdWQtdG9rZW4="),
            Deployment::DataCenter => header == Some("Bearer data-center-token"),
        };
        let (count, trouble, elsewhere) = {
            let mut held = self.held();
            held.requests.push(format!("{} {path}", parts.method));
            (held.requests.len() as u64, held.trouble, held.elsewhere.clone())
        };
        let is_due = |every: u64| every != 0 && count.is_multiple_of(every);
        let mut response = Response::builder().header("content-type", "application/json;charset=UTF-8");
        let (status, document) = if let Some(elsewhere) = elsewhere {
            response = response.header("location", format!("{elsewhere}{path}?os_authType=basic"));
            (302, Value::Null)
        } else if !is_let_in && !trouble.shows_anybody {
            (401, refusal("Client must be authenticated to access this resource."))
        } else if is_due(trouble.throttle_every) {
            response = response.header("retry-after", trouble.retry_after());
            (429, refusal("Rate limit exceeded."))
        } else if is_due(trouble.fail_every) {
            (502, Value::Null)
        } else if is_due(trouble.hang_up_every) {
            return Err(HangUp);
        } else {
            if trouble.shows_anybody {
                response = response.header("x-seraph-loginreason", "AUTHENTICATED_FAILED");
            }
            let document = serde_json::from_slice(&body).unwrap_or_default();
            self.answer(&parts.method, &parts.uri, &document)
        };
        let text = if document.is_null() {
            Bytes::new()
        } else {
            Bytes::from(document.to_string())
        };
        let body = match is_due(trouble.tear_every) && status == 200 {
            true => Either::Right(Torn { text, is_over: false }),
            false => Either::Left(Full::new(text)),
        };
        Ok(response.status(status).body(body).expect("its parts are valid"))
    }
}

impl Trouble {
    fn retry_after(&self) -> String {
        match self.says_date {
            true => {
                let until = chrono::Utc::now() + chrono::TimeDelta::seconds(self.retry_after as i64);
                until.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
            }
            false => self.retry_after.to_string(),
        }
    }
}

type Answered = Either<Full<Bytes>, Torn>;

/// Half of an answer that was said to be whole, and then the connection is reset.
struct Torn {
    text: Bytes,
    is_over: bool,
}

impl Body for Torn {
    type Data = Bytes;
    type Error = HangUp;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HangUp>>> {
        let half = self.text.slice(..self.text.len() / 2);
        let frame = match std::mem::replace(&mut self.is_over, true) {
            false => Ok(Frame::data(half)),
            true => Err(HangUp),
        };
        Poll::Ready(Some(frame))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.text.len() as u64)
    }
}

fn refusal(message: &str) -> Value {
    json!({ "errorMessages": [message], "errors": {} })
}

fn now() -> Time {
    Time::try_from(chrono::Utc::now()).expect("a time of this age")
}
