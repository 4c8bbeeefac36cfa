//! A client of the HTTP API.

use std::sync::Arc;

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::Target;
use crate::failure::with_hint;
use crate::token::Bearer;

/// How long a request may take: API Gateway's own 30 s, and a little more to hear of it.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(35);

/// The API at one URL.
#[derive(Clone)]
pub(crate) struct Client {
    url: String,
    http: reqwest::Client,
    bearer: Arc<Bearer>,
}

impl Client {
    /// With the token that the environment gives, else with one of the local issuer, where the API is this machine's.
    pub(crate) fn new(target: &Target) -> anyhow::Result<Self> {
        // An installed provider stays: the only error is that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("ticketflow/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("could not set up HTTP")?;
        Ok(Self {
            url: target.url.trim_end_matches('/').to_owned(),
            http,
            bearer: Arc::new(Bearer::new(target)?),
        })
    }

    /// Sends a request; the answer's status and body, whatever they are.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).body(body);
        if let Some(token) = self.bearer.token()? {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        Ok((status, body.to_vec()))
    }

    /// Asks for a JSON document; an error answer becomes an error with the server's own words.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let (status, body) = self.send(Method::GET, path, &[], Vec::new()).await?;
        json_or_error(status, &body)
    }

    pub(crate) async fn post(&self, path: &str) -> anyhow::Result<Value> {
        let (status, body) = self.send(Method::POST, path, &[], Vec::new()).await?;
        json_or_error(status, &body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let why = if error.is_timeout() {
            "did not answer in time"
        } else {
            "cannot be reached"
        };
        with_hint(
            format!("{} {why}", self.url),
            "start it with `ticketflow up`, or say where it is with TICKETFLOW_URL",
        )
    }
}

fn json_or_error(status: StatusCode, body: &[u8]) -> anyhow::Result<Value> {
    if status.is_success() {
        return serde_json::from_slice(body).context("the answer is not JSON");
    }
    let described = describe(status, body);
    if let Some(candidates) = candidates(body) {
        return Err(with_hint(described, format!("say which is meant: {candidates}")));
    }
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "name the directory that `ticketflow up` keeps its data in with --data-dir, or set TICKETFLOW_TOKEN to a \
             token that the API takes"
        }
        StatusCode::CONFLICT if is_about(body, "policy-replaced") => {
            "ask again then; the sweep, every five minutes, starts a recompute by itself"
        }
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
            "`ticketflow executions` lists what there is, and how it stands"
        }
        _ if status.is_server_error() => "the log of `ticketflow up` says more",
        _ => "--help says what the command takes",
    };
    Err(with_hint(described, hint))
}

/// Whether an error answer is a problem of this kind.
fn is_about(body: &[u8], kind: &str) -> bool {
    let document: Option<Value> = serde_json::from_slice(body).ok();
    document.is_some_and(|document| document["type"].as_str().is_some_and(|urn| urn.ends_with(kind)))
}

/// What may have been meant, if an error answer names it.
fn candidates(body: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let candidates = document["candidates"].as_array()?.iter();
    Some(candidates.filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
}

/// An error answer in one line: its status, and the sentence of its body.
pub(crate) fn describe(status: StatusCode, body: &[u8]) -> String {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let sentence = ["detail", "title", "message"]
        .iter()
        .find_map(|field| document.get(field)?.as_str());
    match sentence {
        Some(sentence) => format!("{status}: {sentence}"),
        None => status.to_string(),
    }
}

/// A path segment with everything escaped that is not plain.
pub(crate) fn segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
