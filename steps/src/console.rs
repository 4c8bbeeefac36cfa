//! `GET /console/…`: the console's page, what it shares with other views, and the views of tickets.
//!
//! Static files alone: the views ask the public API, in the name of whoever looks at them. On one machine the engine
//! serves the page and the shared files before a request comes here; on AWS all of them come from here.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use console::{File, Files};
use serde::{Deserialize, Serialize};

use crate::environment::{self, Environment};
use crate::names::{ErrorName, Name};

/// The views of tickets.
static VIEWS: Files = console::files!("console":
    "charts.js",
    "metrics.js",
    "ticket.js",
    "tickets.js",
    "views.css",
    "views.json",
);

/// What of API Gateway's event this looks at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    route_key: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    path_parameters: BTreeMap<String, String>,
    #[serde(default)]
    request_context: Context,
}

#[derive(Debug, Default, Deserialize)]
struct Context {
    #[serde(default)]
    stage: String,
}

/// A response; fonts are no text.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    status_code: u16,
    headers: BTreeMap<&'static str, String>,
    body: String,
    is_base64_encoded: bool,
}

/// It needs nothing.
#[derive(Debug)]
pub struct Console;

impl Console {
    #[expect(clippy::unused_async, reason = "every function is opened alike")]
    pub async fn open(_: &Environment) -> Result<Self, environment::Error> {
        Ok(Self)
    }
}

/// An HTTP function answers every error itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {}

impl ErrorName for Error {
    fn name(&self) -> Name {
        match *self {}
    }
}

#[expect(clippy::unused_async, reason = "every function is called alike")]
pub async fn handle(_: &Console, request: Request) -> Result<Response, Error> {
    Ok(answer(&request))
}

fn answer(request: &Request) -> Response {
    let base = match request.request_context.stage.as_str() {
        "" | "$default" => "/console/".to_owned(),
        stage => format!("/{stage}/console/"),
    };
    let path = request.path_parameters.get("proxy").map(String::as_str);
    let (Some(path), "GET /console/{proxy+}") = (path, request.route_key.as_str()) else {
        // Any view's address brings the page, which goes to the first view there is.
        return moved(format!("{base}executions"));
    };
    let known = request.headers.get("if-none-match").map(String::as_str);
    if let Some(name) = path.strip_prefix("assets/") {
        return console::SHARED
            .get(name)
            .map_or_else(missing, |file| served(file, known));
    }
    if let Some(name) = path.strip_prefix("views/") {
        return VIEWS.get(name).map_or_else(missing, |file| served(file, known));
    }
    match path.split('/').next() {
        Some("tickets" | "metrics" | "executions") => page(&base, 200),
        // Whoever looks with a browser is told so by the page.
        _ if request
            .headers
            .get("accept")
            .is_some_and(|accept| console::is_browser(accept)) =>
        {
            page(&base, 404)
        }
        _ => missing(),
    }
}

fn page(base: &str, status_code: u16) -> Response {
    let page = console::page(base);
    let mut response = served(page.file, None);
    response.headers.insert("content-security-policy", page.policy);
    response.status_code = status_code;
    response
}

fn served(file: File, known: Option<&str>) -> Response {
    let is_known = known.is_some_and(|known| file.is_known(known));
    let mut headers: BTreeMap<_, _> = console::HEADERS
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    headers.insert("content-type", file.content_type.to_owned());
    headers.insert("etag", file.etag);
    let (body, is_base64_encoded) = match String::from_utf8(file.body.into_owned()) {
        _ if is_known => (String::new(), false),
        Ok(text) => (text, false),
        Err(bytes) => (BASE64_STANDARD.encode(bytes.as_bytes()), true),
    };
    Response {
        status_code: if is_known { 304 } else { 200 },
        headers,
        body,
        is_base64_encoded,
    }
}

fn moved(to: String) -> Response {
    Response {
        status_code: 307,
        headers: [("location", to)].into(),
        body: String::new(),
        is_base64_encoded: false,
    }
}

fn missing() -> Response {
    Response {
        status_code: 404,
        headers: [("content-type", "application/json".to_owned())].into(),
        body: r#"{"message":"Not Found"}"#.to_owned(),
        is_base64_encoded: false,
    }
}

#[cfg(test)]
mod tests;
