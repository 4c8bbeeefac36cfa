//! The AWS-shaped endpoints: one loopback listener that hands each request to the service its `X-Amz-Target` names.
//!
//! Who asks is told by the access key, as on AWS: a function of the template may do what its role may (see [`iam`]), and
//! whoever else comes owns the account.
//!
//! What is served here has no signature check, so it must never be reachable from elsewhere: the socket is bound to
//! loopback, the `Host` must be a loopback name (which defeats DNS rebinding), a request with an `Origin` is refused
//! (a web page cannot help sending one), and the content type must be one that a page cannot send without asking.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::serve::ListenerExt;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::iam::{self, Policies};

/// The largest body taken: DynamoDB's 16 MB, the largest of the services here.
const MAX_BODY_BYTES: usize = 16 << 20;

/// How many bytes of bodies may be in memory at once, in units of [`BODY_UNIT`].
///
/// Sixteen of the largest requests, or a thousand ordinary ones.
const BODY_UNITS: u32 = 1024;

/// What one permit of [`BODY_UNITS`] stands for; an ordinary request takes one.
const BODY_UNIT: usize = 256 << 10;

/// How long a client may take to send its body, so that a stalled one does not hold its share for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// `application/x-amz-json-1.0`, as Step Functions and DynamoDB speak.
pub const JSON_1_0: &str = "application/x-amz-json-1.0";

/// `application/x-amz-json-1.1`, as Secrets Manager and EventBridge speak.
pub const JSON_1_1: &str = "application/x-amz-json-1.1";

/// What a service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Bytes,
}

impl Answer {
    /// A success with `body` as its JSON.
    pub fn ok(content_type: &'static str, body: &Value) -> Self {
        Self {
            status: 200,
            content_type,
            body: Bytes::from(body.to_string()),
        }
    }

    /// An error in the shape that every SDK reads: `{"__type": code, "message": message}`.
    pub fn error(content_type: &'static str, status: u16, code: &str, message: &str) -> Self {
        let body = json!({"__type": code, "message": message});
        Self {
            status,
            content_type,
            body: Bytes::from(body.to_string()),
        }
    }

    /// What AWS answers to an operation that a service does not have.
    pub fn unknown_operation(content_type: &'static str) -> Self {
        let body = Bytes::from_static(br#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#);
        Self {
            status: 400,
            content_type,
            body,
        }
    }
}

/// A future of a service's answer, boxed so that services can be held as trait objects.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// One AWS service behind the listener.
pub trait Service: Send + Sync + 'static {
    /// Performs `operation`, the part of `X-Amz-Target` after the dot.
    fn handle<'a>(&'a self, operation: &'a str, body: Bytes) -> Answering<'a>;

    /// Whether `operation` may take minutes to answer, with nothing to do meanwhile.
    fn waits(&self, _operation: &str) -> bool {
        false
    }
}

/// The services by the prefix of their `X-Amz-Target`.
#[derive(Clone)]
pub struct Services {
    /// `AWSStepFunctions`
    pub states: Arc<dyn Service>,
    /// `DynamoDB_20120810` and `DynamoDBStreams_20120810`
    pub dynamodb: Arc<dyn Service>,
    /// `secretsmanager`
    pub secrets: Arc<dyn Service>,
    /// `AWSEvents`
    pub events: Arc<dyn Service>,
}

impl Services {
    fn named(&self, prefix: &str) -> Option<(iam::Service, &dyn Service)> {
        match prefix {
            "AWSStepFunctions" => Some((iam::Service::States, self.states.as_ref())),
            "DynamoDB_20120810" | "DynamoDBStreams_20120810" => Some((iam::Service::DynamoDb, self.dynamodb.as_ref())),
            "secretsmanager" => Some((iam::Service::Secrets, self.secrets.as_ref())),
            "AWSEvents" => Some((iam::Service::Events, self.events.as_ref())),
            _ => None,
        }
    }
}

/// A bound loopback socket that serves nothing yet.
///
/// Binding comes first because the functions, which the services need, are told the port.
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
}

impl Endpoint {
    /// Binds `port` on 127.0.0.1; 0 takes a free one.
    pub async fn bind(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves and what is then in flight has been answered.
    pub async fn serve(
        self,
        services: Services,
        policies: Arc<Policies>,
        clock: Clock,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let rim = Arc::new(Rim {
            services,
            policies,
            clock,
            bodies: Semaphore::new(BODY_UNITS as usize),
        });
        let router = Router::new().fallback(receive).with_state(rim);
        let listener = self.listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "could not set TCP_NODELAY");
            }
        });
        axum::serve(listener, router).with_graceful_shutdown(shutdown).await
    }
}

struct Rim {
    services: Services,
    policies: Arc<Policies>,
    /// Does not skip time while a request is handled.
    clock: Clock,
    /// Bounds the memory that bodies take, and with it the requests in flight but for those that wait.
    bodies: Semaphore,
}

async fn receive(State(rim): State<Arc<Rim>>, request: Request) -> Response {
    let answer = match admit(&request) {
        Ok(()) => dispatch(&rim, request).await,
        Err(refusal) => refusal,
    };
    respond(answer)
}

/// Refuses what a web page or a rebound name could send.
fn admit(request: &Request) -> Result<(), Answer> {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_loopback) {
        return Err(forbidden("Host is not a loopback name"));
    }
    if headers.contains_key(header::ORIGIN) {
        return Err(forbidden("requests from web pages are not taken"));
    }
    if request.method() != Method::POST || request.uri().path() != "/" || !speaks_aws_json(headers) {
        let body = Bytes::from_static(b"<UnknownOperationException/>\n");
        return Err(Answer {
            status: 404,
            content_type: "text/xml",
            body,
        });
    }
    Ok(())
}

fn forbidden(message: &str) -> Answer {
    Answer::error(JSON_1_0, 403, "AccessDeniedException", message)
}

/// Whether `host`, a Host header with or without port, names this machine only.
///
/// The SDKs put `sync-` before the host of StartSyncExecution.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.strip_prefix("sync-").unwrap_or(name);
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the body is of a type that makes a browser ask first (and be refused), unlike text/plain or a form.
fn speaks_aws_json(headers: &HeaderMap) -> bool {
    let Some(Ok(content_type)) = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str) else {
        return false;
    };
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    [JSON_1_0, JSON_1_1, "application/json"]
        .iter()
        .any(|known| media_type.eq_ignore_ascii_case(known))
}

async fn dispatch(rim: &Rim, request: Request) -> Answer {
    let _busy = rim.clock.busy();
    let (parts, body) = request.into_parts();
    let target = parts
        .headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    let Some((prefix, operation)) = target.and_then(|target| target.split_once('.')) else {
        return Answer::unknown_operation(JSON_1_0);
    };
    let Some((kind, service)) = rim.services.named(prefix) else {
        return Answer::unknown_operation(JSON_1_0);
    };
    let caller = access_key(&parts.headers).and_then(|key| rim.policies.holder(key));
    let announced: Option<usize> = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    // A body of unknown length counts as the largest.
    let length = announced.unwrap_or(MAX_BODY_BYTES);
    if MAX_BODY_BYTES < length {
        return too_large();
    }
    let units = length / BODY_UNIT + 1;
    let permits = u32::try_from(units).expect("a body has at most 65 units");
    let share = rim
        .bodies
        .acquire_many(permits)
        .await
        .expect("the semaphore is never closed");
    let body = match read(body).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    // Any number of waiting callers must not keep out the one who answers them. The large ones still count.
    let _share = Some(share).filter(|_| 1 < units || !service.waits(operation));
    let judged = caller.map_or(Ok(()), |caller| rim.policies.may(caller, kind, operation, &body));
    match judged {
        Ok(()) => service.handle(operation, body).await,
        Err(denial) => {
            denial.log();
            denial.answer()
        }
    }
}

/// Whose credentials a request is signed with: `AWS4-HMAC-SHA256 Credential=KEY/20260101/…`.
fn access_key(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    credential.split('/').next()
}

async fn read(body: Body) -> Result<Bytes, Answer> {
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Answer::error(
            JSON_1_0,
            400,
            "SerializationException",
            "the body could not be read",
        )),
        Err(_) => Err(Answer::error(
            JSON_1_0,
            408,
            "RequestTimeoutException",
            "the body did not arrive in time",
        )),
    }
}

fn too_large() -> Answer {
    Answer::error(
        JSON_1_0,
        413,
        "RequestEntityTooLargeException",
        "the request is larger than 16 MB",
    )
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    let id = uuid::Uuid::new_v4().to_string();
    headers.insert(
        "x-amzn-requestid",
        HeaderValue::from_str(&id).expect("a UUID is a header value"),
    );
    response
}

#[cfg(test)]
mod tests;
