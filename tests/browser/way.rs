//! A way to the server, as something that stands before it: a network that can be cut, a server that starts again
//! elsewhere, a home in which there is no engine.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::{mpsc, watch};

/// More than any request has.
const MOST_BYTES: usize = 16 << 20;

/// An address that stays the same, and leads to wherever the server is.
pub(crate) struct Way {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    to: Mutex<Option<String>>,
    cut: watch::Sender<()>,
    /// Whether what is the engine's own is there.
    engine: bool,
    http: reqwest::Client,
}

impl Way {
    /// Leads to the server at this URL.
    pub(crate) async fn to(url: &str) -> Self {
        Self::open(url, true).await
    }

    /// Leads to what of the server API Gateway and the functions would be.
    pub(crate) async fn without_engine(url: &str) -> Self {
        Self::open(url, false).await
    }

    async fn open(url: &str, engine: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            to: Mutex::new(Some(url.to_owned())),
            cut: watch::Sender::new(()),
            engine,
            http: reqwest::Client::new(),
        });
        let answering = shared.clone();
        let router = Router::new().fallback(move |request| forward(answering.clone(), request));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url: format!("http://{own}"),
            shared,
        }
    }

    /// Leads elsewhere from now on, or nowhere; what is under way ends.
    pub(crate) fn lead(&self, url: Option<&str>) {
        *self.shared.to.lock().expect("nobody panics with it") = url.map(str::to_owned);
        self.shared.cut.send_replace(());
    }
}

async fn forward(shared: Arc<Shared>, request: Request) -> Response {
    let mut cut = shared.cut.subscribe();
    let Some(to) = shared.to.lock().expect("nobody panics with it").clone() else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (parts, body) = request.into_parts();
    if !shared.engine && parts.uri.path().starts_with("/console/api/") {
        return (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#).into_response();
    }
    let body = to_bytes(body, MOST_BYTES).await.expect("a body");
    let mut headers = parts.headers;
    // The server answers to its own name alone, and to pages of its own.
    for own in [
        header::HOST,
        header::ORIGIN,
        header::ACCEPT_ENCODING,
        header::CONNECTION,
    ] {
        headers.remove(own);
    }
    let request = shared.http.request(parts.method, format!("{to}{}", parts.uri));
    let Ok(mut answer) = request.headers(headers).body(body).send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for own in [header::TRANSFER_ENCODING, header::CONNECTION] {
        headers.remove(own);
    }
    let (sender, chunks) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let chunk = tokio::select! {
                chunk = answer.chunk() => chunk,
                _ = cut.changed() => return,
            };
            let Ok(Some(chunk)) = chunk else { return };
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(Body::new(Chunks(chunks)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A body that goes on as long as there is something to send.
struct Chunks(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = self.0.poll_recv(context);
        next.map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
