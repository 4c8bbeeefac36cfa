//! Changes as they happen: server-sent events, resumed from where a page had come to.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use serde_json::json;
use tokio::sync::mpsc;

use super::Console;
use super::answer::{Failure, typed};
use crate::driver::Since;

/// Changes that come this close together are told as one.
const GATHERED: Duration = Duration::from_millis(200);

/// How long a stream may be silent: a comment then tells both ends that the other is there.
const SILENCE: Duration = Duration::from_secs(15);

/// Executions that one event names; more are told as "many", and a page looks at what it shows anew.
const MAX_NAMED: usize = 100;

/// Events written ahead of a slow reader; while it does not read, changes gather.
const AHEAD: usize = 4;

impl Console {
    /// `left` is how long the reader is still let in: then the page asks anew, and goes on where it was.
    pub(super) fn stream(self: &Arc<Self>, headers: &HeaderMap, left: Option<Duration>) -> Result<Response, Failure> {
        let place = self.streams.clone().try_acquire_owned().map_err(|_| {
            Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "As many tabs are watching as can be; this one looks from time to time.",
            )
        })?;
        let mut mark = headers
            .get("last-event-id")
            .and_then(|mark| mark.to_str().ok())
            .map(str::to_owned);
        let (sender, events) = mpsc::channel(AHEAD);
        let console = self.clone();
        tokio::spawn(async move {
            let _place = place;
            let mut changed = console.engine.watch();
            let mut stopping = console.stopping.subscribe();
            let mut first = true;
            let mut end = pin!(async move {
                match left {
                    Some(left) => tokio::time::sleep(left).await,
                    None => std::future::pending().await,
                }
            });
            loop {
                changed.mark_unchanged();
                let (since, now) = console.engine.changes_since(mark.as_deref());
                let nothing = matches!(&since, Since::Changed(names) if names.is_empty());
                let written = if nothing && !first {
                    ": alive\n\n".to_owned()
                } else {
                    event(&since, &now)
                };
                first = false;
                mark = Some(now);
                if sender.send(Bytes::from(written)).await.is_err() {
                    return;
                }
                tokio::select! {
                    _ = changed.changed() => {}
                    () = tokio::time::sleep(SILENCE) => {}
                    () = sender.closed() => return,
                    () = &mut end => return,
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                }
                tokio::time::sleep(GATHERED).await;
            }
        });
        Ok(typed("text/event-stream", Body::new(Events(events))))
    }
}

/// One event: which executions changed, or that a page should look at everything anew.
fn event(since: &Since, mark: &str) -> String {
    let data = match since {
        Since::Changed(names) if names.len() <= MAX_NAMED => {
            let names = names.iter().map(|(machine, name)| json!([&**machine, &**name]));
            json!({ "changed": names.collect::<Vec<_>>() })
        }
        Since::Changed(_) | Since::Everything => json!({ "everything": true }),
    };
    format!("id: {mark}\ndata: {data}\n\n")
}

/// A body that goes on as long as there is something to send.
pub(super) struct Events(pub(super) mpsc::Receiver<Bytes>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_recv(context)
            .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
