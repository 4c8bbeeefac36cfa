//! A listener for tests of clients: it answers as a test says, or never, and can go away and come back.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A request, with its whole body.
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    pub signature: Option<String>,
    pub body: Bytes,
}

/// A listener; dropped, it is gone, and its connections with it.
pub struct Listener {
    pub address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Listener {
    /// Listens on an address, of which port 0 is any. What `answer` has no answer to is never answered.
    pub async fn start(
        address: SocketAddr,
        answer: impl Fn(&Asked) -> Option<(u16, Value)> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let answer = Arc::new(answer);
        let serving = tokio::spawn(async move {
            // Its end is theirs.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answer.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| serve(request, answer.clone()));
                    let connection =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    let _ = connection.await;
                });
            }
        });
        Self { address, serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Is gone: what is asked from now on finds nobody.
    pub async fn stop(mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    request: Request<Incoming>,
    answer: Arc<impl Fn(&Asked) -> Option<(u16, Value)>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let signature = parts
        .headers
        .get("x-hub-signature")
        .and_then(|value| value.to_str().ok());
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        signature: signature.map(str::to_owned),
        body: body.collect().await?.to_bytes(),
    };
    let Some((status, document)) = answer(&asked) else {
        return std::future::pending().await;
    };
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    Ok(response
        .body(Full::from(document.to_string()))
        .expect("its parts are valid"))
}
