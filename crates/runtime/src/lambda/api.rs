//! The Lambda Runtime API (2018-06-01) of one sandbox: HTTP on its own listener, calls on a channel.
//!
//! Knows the wire and nothing of what a call means: [`super::sandbox`] decides that.
//!
//! Each sandbox listens at an address drawn from the whole loopback network where there is one (Linux), so that a process
//! which outlived an earlier host does not meet a new sandbox on a port that is used again.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::failure::{MAX_RESPONSE_BYTES, error_payload};

/// How many connections one sandbox may hold open. A runtime needs one or two.
const CONNECTIONS: usize = 16;

/// How many calls may wait for the sandbox: one a connection.
const QUEUED_CALLS: usize = CONNECTIONS;

/// How much of a too large answer is read and thrown away, so that the runtime hears 413 instead of a broken connection.
const MAX_DRAINED_BYTES: usize = 64 * 1024 * 1024;

/// What a runtime asks of its sandbox.
#[derive(Debug)]
pub(super) enum Call {
    /// `GET /runtime/invocation/next`: answered when there is work. Dropped unanswered, the runtime gets 403.
    Next { reply: oneshot::Sender<Work> },
    /// `POST /runtime/invocation/{id}/response` or `/error`.
    Answer {
        request_id: String,
        outcome: Outcome,
        reply: oneshot::Sender<Verdict>,
    },
    /// `POST /runtime/init/error`.
    InitError {
        payload: Bytes,
        reply: oneshot::Sender<Verdict>,
    },
}

/// An invocation on its way to the runtime.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) request_id: Arc<str>,
    pub(super) deadline_ms: i64,
    pub(super) function_arn: String,
    pub(super) payload: Bytes,
}

/// What a runtime says of an invocation.
#[derive(Debug)]
pub(super) enum Outcome {
    Response(Bytes),
    Error(Bytes),
    TooLarge,
}

/// What the sandbox says to a runtime's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    TooLarge,
    /// Not the invocation that runs here now.
    InvalidRequestId,
}

/// The listening half of a sandbox. Dropped, nothing connects any more; what is connected goes on.
#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Listener {
    /// Listens, and passes on what comes.
    pub(super) async fn start() -> std::io::Result<(Self, mpsc::Receiver<Call>)> {
        let listener = bind().await?;
        let address = listener.local_addr()?;
        let (calls, receiver) = mpsc::channel(QUEUED_CALLS);
        let accepting = tokio::spawn(accept(listener, calls)).abort_handle();
        Ok((Self { address, accepting }, receiver))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn stop(&self) {
        self.accepting.abort();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn bind() -> std::io::Result<TcpListener> {
    let [a, b, c] = rand::random::<[u8; 3]>();
    // Neither the network's own address nor its broadcast.
    let drawn = Ipv4Addr::new(127, a, b, c.clamp(1, 254));
    match TcpListener::bind((drawn, 0)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
    }
}

async fn accept(listener: TcpListener, calls: mpsc::Sender<Call>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _peer)) => {
                let calls = calls.clone();
                tokio::spawn(async move {
                    serve(stream, calls).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: let others close theirs first.
                tracing::warn!(target: "lambda", %error, "could not accept a runtime's connection");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, calls: mpsc::Sender<Call>) {
    // An answer is two writes now and then; Nagle's algorithm would hold the second back for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let calls = calls.clone();
        async move { Ok::<_, Infallible>(answer(request, &calls).await) }
    });
    // A connection that breaks is the runtime's death or its mistake; the process tells which.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// What is asked for, without its body.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    Next,
    Response(&'a str),
    Error(&'a str),
    InitError,
}

fn route<'a>(method: &Method, path: &'a str) -> Option<Route<'a>> {
    let path = path.strip_prefix("/2018-06-01/runtime/")?;
    match (method, path) {
        (&Method::GET, "invocation/next") => Some(Route::Next),
        (&Method::POST, "init/error") => Some(Route::InitError),
        (&Method::POST, path) => match path.strip_prefix("invocation/")?.split_once('/')? {
            (request_id, "response") => Some(Route::Response(request_id)),
            (request_id, "error") => Some(Route::Error(request_id)),
            _ => None,
        },
        _ => None,
    }
}

async fn answer(request: Request<Incoming>, calls: &mpsc::Sender<Call>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let (reply, verdict) = oneshot::channel();
    let call = match route(&head.method, head.uri.path()) {
        None => {
            return status(
                StatusCode::NOT_FOUND,
                error_payload("NotFound", "no such resource of the Runtime API"),
            );
        }
        Some(Route::Next) => return next(calls).await,
        Some(Route::InitError) => match read(body).await {
            Ok(Body::Whole(payload)) => Call::InitError {
                payload: or_error_type(payload, &head.headers),
                reply,
            },
            Ok(Body::TooLarge) => return verdict_response(Verdict::TooLarge),
            Err(_) => return truncated(),
        },
        Some(Route::Response(request_id)) => match read(body).await {
            Ok(Body::Whole(payload)) => Call::Answer {
                request_id: request_id.to_owned(),
                outcome: Outcome::Response(payload),
                reply,
            },
            Ok(Body::TooLarge) => Call::Answer {
                request_id: request_id.to_owned(),
                outcome: Outcome::TooLarge,
                reply,
            },
            Err(_) => return truncated(),
        },
        Some(Route::Error(request_id)) => match read(body).await {
            Ok(Body::Whole(payload)) => {
                let outcome = Outcome::Error(or_error_type(payload, &head.headers));
                Call::Answer {
                    request_id: request_id.to_owned(),
                    outcome,
                    reply,
                }
            }
            Ok(Body::TooLarge) => Call::Answer {
                request_id: request_id.to_owned(),
                outcome: Outcome::TooLarge,
                reply,
            },
            Err(_) => return truncated(),
        },
    };
    if calls.send(call).await.is_err() {
        return forbidden();
    }
    match verdict.await {
        Ok(verdict) => verdict_response(verdict),
        Err(_) => forbidden(),
    }
}

async fn next(calls: &mpsc::Sender<Call>) -> Response<Full<Bytes>> {
    let (reply, work) = oneshot::channel();
    if calls.send(Call::Next { reply }).await.is_err() {
        return forbidden();
    }
    let Ok(work) = work.await else {
        return forbidden();
    };
    let mut response = Response::new(Full::new(work.payload));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("lambda-runtime-deadline-ms", HeaderValue::from(work.deadline_ms));
    let texts = [
        ("lambda-runtime-aws-request-id", work.request_id.to_string()),
        ("lambda-runtime-invoked-function-arn", work.function_arn),
        ("lambda-runtime-trace-id", trace_id(&work.request_id, work.deadline_ms)),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
    response
}

/// An X-Ray trace of its own for each invocation, not sampled: nobody collects it here.
fn trace_id(request_id: &str, epoch_ms: i64) -> String {
    let digits: String = request_id.chars().filter(char::is_ascii_hexdigit).collect();
    let (parent, unique) = digits.split_at(digits.len().min(8));
    format!(
        "Root=1-{:08x}-{unique};Parent={parent}{parent};Sampled=0",
        epoch_ms / 1000
    )
}

enum Body {
    Whole(Bytes),
    TooLarge,
}

/// Reads a body up to the limit, and to its end if that is not too far.
async fn read(mut body: Incoming) -> Result<Body, hyper::Error> {
    let mut kept = BytesMut::new();
    let mut length = 0;
    while length <= MAX_DRAINED_BYTES
        && let Some(frame) = body.frame().await
    {
        let Ok(data) = frame?.into_data() else { continue };
        length += data.len();
        if length <= MAX_RESPONSE_BYTES {
            kept.extend_from_slice(&data);
        } else {
            kept = BytesMut::new();
        }
    }
    match length <= MAX_RESPONSE_BYTES {
        true => Ok(Body::Whole(kept.freeze())),
        false => Ok(Body::TooLarge),
    }
}

/// A posted error, or what its header says if the body is empty.
fn or_error_type(payload: Bytes, headers: &hyper::HeaderMap) -> Bytes {
    if !payload.is_empty() {
        return payload;
    }
    let header = headers
        .get("lambda-runtime-function-error-type")
        .and_then(|value| value.to_str().ok());
    error_payload(header.unwrap_or("Runtime.Unknown"), "")
}

fn verdict_response(verdict: Verdict) -> Response<Full<Bytes>> {
    match verdict {
        Verdict::Accepted => status(StatusCode::ACCEPTED, Bytes::from_static(b"{\"status\":\"OK\"}\n")),
        Verdict::TooLarge => {
            let message = format!("Exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes).");
            status(
                StatusCode::PAYLOAD_TOO_LARGE,
                error_payload("RequestEntityTooLarge", &message),
            )
        }
        Verdict::InvalidRequestId => status(
            StatusCode::BAD_REQUEST,
            error_payload("InvalidRequestID", "Invalid request ID"),
        ),
    }
}

fn truncated() -> Response<Full<Bytes>> {
    let payload = error_payload("TruncatedHTTPRequest", "HTTP request detected as truncated");
    status(StatusCode::BAD_REQUEST, payload)
}

fn forbidden() -> Response<Full<Bytes>> {
    let payload = error_payload("InvalidStateTransition", "the sandbox does not expect this call now");
    status(StatusCode::FORBIDDEN, payload)
}

fn status(status: StatusCode, payload: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(payload));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
