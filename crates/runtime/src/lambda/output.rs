//! Carries what a function prints into the log, line by line, with the request it was printed for.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The longest line of a function's output that is kept whole; the rest of it is cut off.
///
/// Long enough for a stack trace on one line, short enough that a function which prints a payload does not fill the log.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// Which invocation an environment serves; empty between two of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Current(Arc<Mutex<Arc<str>>>);

impl Current {
    pub(super) fn set(&self, request_id: Arc<str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = request_id;
    }

    fn get(&self) -> Arc<str> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Logs all lines of `stream` until its end.
pub(super) async fn log(stream: impl AsyncRead + Unpin, function: String, current: Current) {
    let mut lines = Lines::new(stream);
    while let Some(line) = lines.next().await {
        tracing::info!(target: "lambda", function, request_id = %current.get(), "{line}");
    }
}

/// Lines of bounded length of a stream of any bytes.
pub(super) struct Lines<S> {
    stream: BufReader<S>,
    line: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Lines<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
            line: Vec::new(),
        }
    }

    /// The next line without its end, cut and marked with `…` if it is too long; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<String> {
        self.line.clear();
        let mut length = 0;
        loop {
            // A pipe that cannot be read has ended for us.
            let chunk = self.stream.fill_buf().await.unwrap_or_default();
            if chunk.is_empty() {
                return (0 < length).then(|| self.text(length));
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = MAX_LINE_BYTES - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            length += part.len();
            let consumed = part.len() + usize::from(end.is_some());
            self.stream.consume(consumed);
            if end.is_some() {
                return Some(self.text(length));
            }
        }
    }

    fn text(&self, length: usize) -> String {
        let mut text = String::from_utf8_lossy(&self.line).trim_end_matches('\r').to_owned();
        if self.line.len() < length {
            text.push('…');
        }
        text
    }
}
