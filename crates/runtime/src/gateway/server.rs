//! Connections: how many there may be, how long a client may take over the head of a request, and how they end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// How many connections are open at a time; further ones wait in the listener's own queue.
///
/// Half the file descriptors that a process commonly has.
const MAX_CONNECTIONS: usize = 512;

/// How long a client may take to send the head of its next request, and so how long a connection may idle.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// The most that is read before the head of a request must be complete. It is above what a head may have, so that a
/// head which is too large is answered properly and not by hanging up.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// How many headers are read. API Gateway bounds their bytes alone; nobody sends more, and room for them is made anew for
/// each request.
const MAX_HEADERS: usize = 256;

/// How long requests under way have to finish at shutdown: the longest that API Gateway waits for a function, and a
/// moment to write the answer.
const DRAIN_TIME: Duration = Duration::from_secs(35);

/// How long to wait after a connection could not be accepted: most likely there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Hands every request to `answer` until `shutdown`, then lets those under way finish.
pub(super) async fn serve<Answer, Answering>(
    listener: TcpListener,
    answer: Answer,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()>
where
    Answer: Fn(SocketAddr, Request) -> Answering + Clone + Send + Sync + 'static,
    Answering: Future<Output = Response> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let place = Arc::clone(&places)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let (answer, stopped) = (answer.clone(), stopped.clone());
                connections.spawn(async move {
                    connection(stream, peer, answer, stopped).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIME, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests were cut off at shutdown");
    }
    Ok(())
}

async fn connection<Answer, Answering>(
    stream: TcpStream,
    peer: SocketAddr,
    answer: Answer,
    mut stopped: watch::Receiver<bool>,
) where
    Answer: Fn(SocketAddr, Request) -> Answering + Send + Sync + 'static,
    Answering: Future<Output = Response> + Send + 'static,
{
    // Answers are written whole: waiting to fill a packet would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let answered = answer(peer, request.map(Body::new));
        async move { Ok::<Response, Infallible>(answered.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_BUFFER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let stop = async {
        // The sender is gone only when the server is, which is as good a reason to stop.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}
