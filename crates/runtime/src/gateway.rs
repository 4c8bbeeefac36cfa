//! API Gateway on this machine: the template's HTTP API in front of its functions, payload format 2.0.
//!
//! A request is matched to a route, becomes the event that API Gateway would make of it, and the function's result
//! becomes the response. What the gateway answers itself, it answers with API Gateway's own bodies ([`Refusal`]).
//!
//! Whoever calls comes through three doors: a request must address this machine by a name of its own and must not come
//! from a page of another site ([`admission`]), a route takes as many as its settings say ([`throttle`]), and it asks
//! for the token that the template says it does ([`authorizer`]).

mod admission;
mod answer;
mod authorizer;
mod cors;
mod event;
mod routing;
mod server;
#[cfg(test)]
mod tests;
mod throttle;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower_service::Service;

use crate::clock::Clock;
use crate::lambda::{Invocation, Invoke, InvokeError, MAX_REQUEST_BYTES};
use crate::template::HttpApi;

pub use answer::Refusal;
pub use authorizer::{Authorizers, Guard, SetupError};

use authorizer::Denied;
use throttle::Bucket;

/// The largest body that API Gateway takes.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// The request line and the values of all headers together may have as much in API Gateway.
const MAX_HEAD_BYTES: usize = 10_240;

/// How many requests are answered at a time; API Gateway, too, answers 429 to more than it will carry.
///
/// Below the number of connections, so that a flood is told so and not left to wait; far above what the functions of
/// one machine can work on at once.
const MAX_REQUESTS: usize = 384;

/// How many bodies of the largest size may be in memory at once: what is read, its event and its escaping stay below
/// a gigabyte. Smaller bodies share these places.
const LARGEST_BODIES: usize = 24;

/// What one permit of the share of memory stands for.
const BODY_UNIT: usize = 64 * 1024;

/// How much more of a refused request's body is read and thrown away: what JIRA sends at most. A client that is cut
/// off while it sends sees a broken connection, and never the answer.
const DISCARDED_BYTES: usize = 25 * 1024 * 1024;

/// How long the next piece of such a body may be on its way: a client that is still sending pauses for less.
const DISCARDED_PAUSE: Duration = Duration::from_secs(1);

/// How long a client may take to send a body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The HTTP API, ready to answer.
pub struct Gateway {
    api: HttpApi,
    authorizers: Arc<Authorizers>,
    /// What each route may still take, in the routes' order.
    buckets: Vec<Option<Bucket>>,
    invoke: Arc<dyn Invoke>,
    clock: Clock,
    requests: Semaphore,
    bodies: Semaphore,
}

/// Where a request came from and arrived.
#[derive(Clone, Copy, Debug)]
struct Connection {
    peer: SocketAddr,
    local: SocketAddr,
}

/// Answers the requests that arrive at `listener` until `shutdown`, and then those that are under way.
///
/// `mounted` comes first: what none of its routes takes belongs to the API. It stands behind the same door.
pub async fn serve(
    listener: TcpListener,
    gateway: Gateway,
    mounted: Router,
    shutdown: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let local = listener.local_addr()?;
    let gateway = Arc::new(gateway);
    let api = Arc::clone(&gateway);
    let router = mounted.fallback(move |request: Request| {
        let api = Arc::clone(&api);
        async move { api.answer(request).await }
    });
    let answer = move |peer: SocketAddr, mut request: Request| {
        let gateway = Arc::clone(&gateway);
        let mut router = router.clone();
        async move {
            request.extensions_mut().insert(Connection { peer, local });
            if !admission::admits(request.method(), request.headers(), local, gateway.api.cors.as_ref()) {
                return Refusal::Forbidden.response();
            }
            let Ok(response) = router.call(request).await;
            response
        }
    };
    server::serve(listener, answer, shutdown).await
}

impl Gateway {
    pub fn new(api: HttpApi, invoke: Arc<dyn Invoke>, authorizers: Authorizers, clock: Clock) -> Self {
        let now = clock.now();
        let throttles = api.routes.iter().map(|route| route.throttle.as_ref());
        let units = LARGEST_BODIES * MAX_BODY_BYTES.div_ceil(BODY_UNIT);
        Self {
            authorizers: Arc::new(authorizers),
            buckets: throttles.map(|throttle| Some(Bucket::new(throttle?, now))).collect(),
            api,
            invoke,
            clock,
            requests: Semaphore::new(MAX_REQUESTS),
            bodies: Semaphore::new(units),
        }
    }

    /// The API's authorizer for what is mounted beside it.
    pub fn guard(&self) -> Guard {
        Guard::new(&self.api, Arc::clone(&self.authorizers))
    }

    async fn answer(&self, request: Request) -> Response {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let id = event::request_id();
        let (parts, mut body) = request.into_parts();
        let mut response = match self.try_answer(&parts, &mut body, &id).await {
            Ok(response) => response,
            Err(refused) => {
                discard(&parts, body);
                refused.response()
            }
        };
        let headers = response.headers_mut();
        if let Some(cors) = &self.api.cors {
            cors::mark(cors, origin.as_ref(), headers);
        }
        headers.insert(
            "apigw-requestid",
            HeaderValue::from_str(&id).expect("base64 is a header value"),
        );
        response
    }

    async fn try_answer(&self, parts: &Parts, body: &mut Body, id: &str) -> Result<Response, Refused> {
        let _busy = self.clock.busy();
        let _place = self.requests.try_acquire().map_err(|_| Refusal::TooManyRequests)?;
        if MAX_HEAD_BYTES < head_bytes(parts) {
            return Err(Refusal::HeaderFieldsTooLarge.into());
        }
        if let Some(cors) = self.api.cors.as_ref().filter(|_| cors::is_preflight(parts)) {
            return Ok(cors::preflight(cors, &parts.headers));
        }
        let path = event::decoded_path(parts.uri.path()).ok_or(Refusal::BadRequest)?;
        let (index, parameters) = routing::find(&self.api.routes, &parts.method, &path).ok_or(Refusal::NotFound)?;
        let route = &self.api.routes[index];
        if self.buckets[index]
            .as_ref()
            .is_some_and(|bucket| !bucket.take(self.clock.now()))
        {
            return Err(Refusal::TooManyRequests.into());
        }
        let admitted = match &route.authorizer {
            Some(authorizer) => Some(self.authorizers.admit(authorizer, parts).await?),
            None => None,
        };
        // A delivery that is lost so is fetched again, if somebody sees to it.
        let told = |refusal: Refusal| {
            if refusal == Refusal::RequestEntityTooLarge {
                tracing::warn!(route = %route.key, "a request was too large");
            }
            refusal
        };
        // Held until the function has answered, for so long the event is in memory.
        let units = body_units(&parts.headers).map_err(told)?;
        let _share = self
            .bodies
            .acquire_many(units)
            .await
            .expect("the semaphore is never closed");
        let body = read(body).await.map_err(told)?;
        let received = event::Received {
            api: &self.api,
            route,
            parameters,
            path: &path,
            parts,
            body: &body,
            admitted: admitted.as_ref(),
            id,
            now: self.clock.now(),
        };
        let payload = received.event();
        if MAX_REQUEST_BYTES < payload.len() {
            return Err(told(Refusal::RequestEntityTooLarge).into());
        }
        drop(body);
        let invocation = Invocation {
            function: route.function.clone(),
            payload,
        };
        match timeout(route.timeout, self.invoke.invoke(invocation)).await {
            Ok(Ok(payload)) => answer::response(payload).map_err(|malformed| {
                tracing::warn!(function = route.function, %malformed, "a function's answer is not a response");
                Refusal::InternalServerError.into()
            }),
            Ok(Err(error)) => Err(integration_failure(&route.function, &error).into()),
            Err(_) => {
                tracing::warn!(
                    function = route.function,
                    "the function did not answer in the route's time"
                );
                Err(Refusal::ServiceUnavailable.into())
            }
        }
    }
}

/// Why a request is not answered by its function.
enum Refused {
    Gateway(Refusal),
    Authorizer(Denied),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Gateway(refusal)
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self::Authorizer(denied)
    }
}

impl Refused {
    fn response(self) -> Response {
        match self {
            Self::Gateway(refusal) => refusal.response(),
            Self::Authorizer(denied) => denied.response(),
        }
    }
}

/// What clients learn when the function gave no result.
fn integration_failure(function: &str, error: &InvokeError) -> Refusal {
    tracing::warn!(function, %error, "an invocation failed");
    match error {
        InvokeError::Function { .. } => Refusal::InternalServerError,
        InvokeError::Service { status: 413, .. } => Refusal::RequestEntityTooLarge,
        InvokeError::Service { status: 429 | 503, .. } => Refusal::ServiceUnavailable,
        InvokeError::Service { .. } => Refusal::InternalServerError,
    }
}

fn head_bytes(parts: &Parts) -> usize {
    let line = parts.method.as_str().len() + parts.uri.to_string().len() + " HTTP/1.1 ".len();
    line + parts.headers.values().map(HeaderValue::len).sum::<usize>()
}

/// The share of memory that the body may need; it is refused at once if it says itself that it is too large.
fn body_units(headers: &HeaderMap) -> Result<u32, Refusal> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .map(|length| length.to_str().ok()?.parse::<usize>().ok());
    let bytes = match announced {
        Some(Some(bytes)) if bytes <= MAX_BODY_BYTES => bytes,
        Some(Some(_)) => return Err(Refusal::RequestEntityTooLarge),
        Some(None) => return Err(Refusal::BadRequest),
        None if headers.contains_key(header::TRANSFER_ENCODING) => MAX_BODY_BYTES,
        None => 0,
    };
    Ok(u32::try_from(bytes.div_ceil(BODY_UNIT)).expect("a body has 160 units at most"))
}

/// Reads what is left of a refused request's body beside its answer.
fn discard(parts: &Parts, body: Body) {
    // Who waits to be told to go on sends nothing more.
    if body.is_end_stream() || parts.headers.contains_key(header::EXPECT) {
        return;
    }
    tokio::spawn(async move {
        let mut rest = Limited::new(body, DISCARDED_BYTES);
        let all = async { while let Ok(Some(Ok(_))) = timeout(DISCARDED_PAUSE, rest.frame()).await {} };
        // Whoever takes longer is cut off after all.
        let _ = timeout(BODY_TIME, all).await;
    });
}

async fn read(body: &mut Body) -> Result<Bytes, Refusal> {
    match timeout(BODY_TIME, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::RequestEntityTooLarge),
        Ok(Err(_)) => Err(Refusal::BadRequest),
        Err(_) => Err(Refusal::RequestTimeout),
    }
}
