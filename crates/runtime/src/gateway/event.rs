//! From a request to the event that the function gets: payload format 2.0.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::Connection;
use super::authorizer::Admitted;
use super::routing::Parameters;
use crate::template::{ACCOUNT_ID, HttpApi, Route};

/// A request with all that is known of it.
pub(super) struct Received<'r> {
    pub(super) api: &'r HttpApi,
    pub(super) route: &'r Route,
    pub(super) parameters: Parameters,
    /// Decoded: API Gateway's `rawPath` is not raw.
    pub(super) path: &'r str,
    pub(super) parts: &'r Parts,
    pub(super) body: &'r Bytes,
    /// What the route's authorizer found, if it has one.
    pub(super) admitted: Option<&'r Admitted>,
    pub(super) id: &'r str,
    pub(super) now: DateTime<Utc>,
}

/// Members that are empty are left out, as API Gateway leaves them out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'r> {
    version: &'static str,
    route_key: &'r str,
    raw_path: &'r str,
    raw_query_string: &'r str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<Cow<'r, str>>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: RequestContext<'r>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: &'r Parameters,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    stage_variables: &'r BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'r, str>>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'r> {
    account_id: &'static str,
    api_id: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'r>>,
    domain_name: &'r str,
    domain_prefix: &'r str,
    http: Http<'r>,
    request_id: &'r str,
    route_key: &'r str,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'r> {
    method: &'r str,
    path: &'r str,
    protocol: &'static str,
    source_ip: String,
    user_agent: Cow<'r, str>,
}

#[derive(Serialize)]
struct Authorizer<'r> {
    jwt: Jwt<'r>,
}

#[derive(Serialize)]
struct Jwt<'r> {
    /// All of them as texts.
    claims: BTreeMap<&'r str, String>,
    /// `null` if the route asks for none.
    scopes: Option<&'r [String]>,
}

impl<'r> Authorizer<'r> {
    fn new(admitted: &'r Admitted) -> Self {
        let claims = admitted
            .claims
            .iter()
            .map(|(name, value)| (name.as_str(), claim(value)));
        Self {
            jwt: Jwt {
                claims: claims.collect(),
                scopes: admitted.scopes.as_deref(),
            },
        }
    }
}

/// A claim as API Gateway writes it: texts as they are, and what is made of several parts in brackets, with spaces.
pub(super) fn claim(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(claim).collect::<Vec<_>>().join(" ")),
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let members = sorted
                .into_iter()
                .map(|(name, value)| format!("{name}:{}", claim(value)));
            format!("map[{}]", members.collect::<Vec<_>>().join(" "))
        }
    }
}

impl Received<'_> {
    /// The event as JSON.
    pub(super) fn event(&self) -> Bytes {
        let headers = &self.parts.headers;
        let route_key = self.route.key.to_string();
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let domain_name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let query = self.parts.uri.query().unwrap_or_default();
        let (body, is_base64_encoded) = body(headers.get(header::CONTENT_TYPE), self.body);
        let event = Event {
            version: "2.0",
            route_key: &route_key,
            raw_path: self.path,
            raw_query_string: query,
            cookies: cookies(headers),
            headers: self.headers(),
            query_string_parameters: query_parameters(query),
            request_context: RequestContext {
                account_id: ACCOUNT_ID,
                api_id: &self.api.id,
                authorizer: self.admitted.map(Authorizer::new),
                domain_name,
                domain_prefix: domain_name.split('.').next().unwrap_or_default(),
                http: Http {
                    method: self.parts.method.as_str(),
                    path: self.path,
                    protocol: "HTTP/1.1",
                    source_ip: self
                        .connection()
                        .map(|connection| connection.peer.ip().to_string())
                        .unwrap_or_default(),
                    user_agent: headers.get(header::USER_AGENT).map(text).unwrap_or_default(),
                },
                request_id: self.id,
                route_key: &route_key,
                stage: "$default",
                time: self.now.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
                time_epoch: self.now.timestamp_millis(),
            },
            path_parameters: &self.parameters,
            stage_variables: &self.api.stage_variables,
            body,
            is_base64_encoded,
        };
        Bytes::from(serde_json::to_vec(&event).expect("maps of texts are JSON"))
    }

    fn connection(&self) -> Option<&Connection> {
        self.parts.extensions.get()
    }

    /// All but the cookies, with those that API Gateway adds; several of one name become one, joined by commas.
    fn headers(&self) -> BTreeMap<String, String> {
        let mut result: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &self.parts.headers {
            if name != header::COOKIE {
                add(&mut result, name, &text(value));
            }
        }
        if let Some(connection) = self.connection() {
            let forwarded_for = HeaderName::from_static("x-forwarded-for");
            add(&mut result, &forwarded_for, &connection.peer.ip().to_string());
            result.insert("x-forwarded-port".into(), connection.local.port().to_string());
            result.insert("x-forwarded-proto".into(), "http".into());
        }
        let trace = || {
            format!(
                "Root=1-{:08x}-{}",
                self.now.timestamp(),
                hex(&rand::random::<[u8; 12]>())
            )
        };
        result.entry("x-amzn-trace-id".into()).or_insert_with(trace);
        result
    }
}

fn add(headers: &mut BTreeMap<String, String>, name: &HeaderName, value: &str) {
    match headers.get_mut(name.as_str()) {
        Some(known) => {
            known.push(',');
            known.push_str(value);
        }
        None => {
            headers.insert(name.as_str().to_owned(), value.to_owned());
        }
    }
}

/// Sixteen characters of base64, like API Gateway's.
pub(super) fn request_id() -> String {
    STANDARD.encode(rand::random::<[u8; 11]>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

fn cookies(headers: &HeaderMap) -> Vec<Cow<'_, str>> {
    let mut cookies = Vec::new();
    for value in headers.get_all(header::COOKIE) {
        match text(value) {
            Cow::Borrowed(text) => cookies.extend(text.split(';').map(|cookie| Cow::Borrowed(cookie.trim()))),
            Cow::Owned(text) => cookies.extend(text.split(';').map(|cookie| Cow::Owned(cookie.trim().to_owned()))),
        }
    }
    cookies.retain(|cookie| !cookie.is_empty());
    cookies
}

/// The path with its escapes resolved; `None` if that is not UTF-8.
pub(super) fn decoded_path(path: &str) -> Option<String> {
    String::from_utf8(unescaped(path.as_bytes())).ok()
}

pub(super) fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| String::from_utf8_lossy(&unescaped(text.replace('+', " ").as_bytes())).into_owned();
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value);
        parameters
            .entry(decode(name))
            .and_modify(|known| {
                known.push(',');
                known.push_str(&value);
            })
            .or_insert(value);
    }
    parameters
}

/// Resolves `%41`; what only looks like an escape stays as it is.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                result.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte"));
                rest = &after[2..];
            }
            _ => result.push(*first),
        }
    }
    result
}

/// The body as text, and whether that is base64.
///
/// API Gateway passes text, JSON, XML and JavaScript as they are and encodes everything else, forms and bodies without
/// a type among it. What is called text and is not UTF-8 is encoded too, so that a signature over it can be checked.
fn body<'r>(content_type: Option<&HeaderValue>, body: &'r Bytes) -> (Option<Cow<'r, str>>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    match std::str::from_utf8(body) {
        Ok(text) if is_text(content_type) => (Some(Cow::Borrowed(text)), false),
        _ => (Some(Cow::Owned(STANDARD.encode(body))), true),
    }
}

fn is_text(content_type: Option<&HeaderValue>) -> bool {
    let Some(content_type) = content_type.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let media_type = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    media_type.starts_with("text/")
        || ["application/json", "application/javascript", "application/xml"].contains(&media_type.as_str())
}
