//! Who may call: API Gateway's JWT authorizers, with its answers.
//!
//! A token is taken from where the authorizer says, verified with its issuer's keys ([`keys`], or the local issuer's),
//! and then judged by what it claims: whose it is, for whom, for how long and for what. Which claims count, and in which
//! order, is API Gateway's: `aud`, else `client_id`, must be an audience, and one of the route's scopes must be among
//! those of `scope` or `scp`. There is no leeway, and whether a token is an ID or an access token is not asked.
//!
//! Time is the machine's, not the one that is skipped: a token is as old as its issuer says.

mod keys;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::answer::Refusal;
use super::event;
use crate::clock::Clock;
use crate::issuer::LocalKeys;
use crate::jwt::{Claims, Invalid, Unverified};
use crate::template::{HttpApi, IdentitySource, JwtAuthorizer, RouteAuthorizer, RouteKey};

pub use keys::SetupError;
use keys::{RemoteKeys, Unavailable};

/// The authorizers of an API, by their names.
pub struct Authorizers {
    by_name: BTreeMap<String, Authorizer>,
    clock: Clock,
}

struct Authorizer {
    rules: JwtAuthorizer,
    keys: Keys,
}

enum Keys {
    Local(LocalKeys),
    Remote(Box<RemoteKeys>),
}

/// What is known of a request that was let in.
#[derive(Debug, PartialEq)]
pub(super) struct Admitted {
    pub(super) claims: Claims,
    /// The token's scopes, if the route asks for any.
    pub(super) scopes: Option<Vec<String>>,
}

/// Why a request was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Denied {
    #[error("there is no token")]
    NoToken,
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("no key of the issuer has the token's key id")]
    UnknownKey,
    #[error("the token does not have a valid {0}")]
    Claim(&'static str),
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token does not have any of the scopes that the route requires")]
    Scope { wanted: Vec<String> },
}

impl Denied {
    /// API Gateway's answer, with the header that says why.
    pub(super) fn response(&self) -> Response {
        let (refusal, challenge) = match self {
            Denied::NoToken => (Refusal::Unauthorized, "Bearer".to_owned()),
            Denied::Scope { wanted } => (
                Refusal::Forbidden,
                self.challenge(&wanted.join(" "), "insufficient_scope"),
            ),
            _ => (Refusal::Unauthorized, self.challenge("", "invalid_token")),
        };
        let mut response = refusal.response();
        if let Ok(value) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert("www-authenticate", value);
        }
        response
    }

    fn challenge(&self, scope: &str, error: &str) -> String {
        format!(r#"Bearer scope="{scope}" error="{error}" error_description="{self}""#)
    }
}

impl Authorizers {
    /// The authorizers of `api`; the local issuer's key lies in `data_dir`.
    pub fn new(api: &HttpApi, data_dir: &Path, clock: Clock) -> Result<Self, SetupError> {
        let mut by_name = BTreeMap::new();
        for (name, rules) in &api.authorizers {
            let keys = if rules.is_local {
                Keys::Local(LocalKeys::new(data_dir))
            } else {
                Keys::Remote(Box::new(RemoteKeys::new(&rules.issuer, clock.clone())?))
            };
            let rules = rules.clone();
            by_name.insert(name.clone(), Authorizer { rules, keys });
        }
        Ok(Self { by_name, clock })
    }

    /// How long a token of these claims is still good.
    fn left(&self, claims: &Claims) -> Duration {
        let expires = claims.get("exp").and_then(Value::as_f64).unwrap_or_default();
        let now = self.now().timestamp_millis() as f64 / 1_000.0;
        Duration::try_from_secs_f64(expires - now).unwrap_or_default()
    }

    /// Issuers live in the machine's time, whatever has been skipped of it here.
    fn now(&self) -> DateTime<Utc> {
        self.clock.now() - self.clock.ahead()
    }

    /// Judges a request to a route that stands behind an authorizer.
    pub(super) async fn admit(&self, route: &RouteAuthorizer, parts: &Parts) -> Result<Admitted, Denied> {
        let authorizer = self.by_name.get(&route.name).ok_or(Denied::NoToken)?;
        let token = authorizer.rules.identity_source.token(parts).ok_or(Denied::NoToken)?;
        let claims = authorizer.verify(&token, self.now()).await?;
        if route.scopes.is_empty() {
            return Ok(Admitted { claims, scopes: None });
        }
        let scopes = scopes(&claims);
        if !route.scopes.iter().any(|wanted| scopes.contains(wanted)) {
            let wanted = route.scopes.clone();
            return Err(Denied::Scope { wanted });
        }
        Ok(Admitted {
            claims,
            scopes: Some(scopes),
        })
    }
}

impl Authorizer {
    async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, Denied> {
        let token = Unverified::parse(token)?;
        let key = match &self.keys {
            Keys::Local(keys) => keys.get(token.key_id()),
            Keys::Remote(keys) => keys.get(token.key_id()).await?,
        };
        let claims = token.verify(&key.ok_or(Denied::UnknownKey)?)?;
        judge(&claims, &self.rules, now)?;
        Ok(claims)
    }
}

/// Whether the claims of a token that its issuer has signed let its bearer in.
fn judge(claims: &Claims, rules: &JwtAuthorizer, now: DateTime<Utc>) -> Result<(), Denied> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(&rules.issuer) {
        return Err(Denied::Claim("issuer"));
    }
    let is_wanted = |audience: &Value| rules.audience.iter().any(|wanted| audience == wanted);
    let is_for_us = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_wanted),
        Some(audience) => is_wanted(audience),
        None => claims.get("client_id").is_some_and(is_wanted),
    };
    if !is_for_us {
        return Err(Denied::Claim("audience"));
    }
    // Seconds since 1970, perhaps with a fraction.
    let now = now.timestamp_millis() as f64 / 1_000.0;
    let moment = |name: &'static str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(Denied::Claim(name)),
    };
    // A token without an end would be a password.
    if moment("exp")?.ok_or(Denied::Claim("exp"))? <= now {
        return Err(Denied::Expired);
    }
    for name in ["nbf", "iat"] {
        if moment(name)?.is_some_and(|from| now < from) {
            return Err(Denied::NotYet);
        }
    }
    Ok(())
}

/// The scopes of a token: of `scope`, else of `scp`; a list, or words in a text.
fn scopes(claims: &Claims) -> Vec<String> {
    let words = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(text)) => words(text),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).flat_map(words).collect(),
        _ => Vec::new(),
    }
}

impl IdentitySource {
    /// The token of a request, with or without `Bearer` before it.
    fn token(&self, parts: &Parts) -> Option<String> {
        let given = match self {
            IdentitySource::Header(name) => header(&parts.headers, name)?,
            IdentitySource::Query(name) => event::query_parameters(parts.uri.query()?).remove(name)?,
        };
        let given = given.trim();
        let (first, rest) = given.split_once(' ').unwrap_or((given, ""));
        let token = match first.eq_ignore_ascii_case("bearer") {
            true => rest.trim_start(),
            false => given,
        };
        (!token.is_empty()).then(|| token.to_owned())
    }
}

/// The header's value; several of one name are joined, and so are no token.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Option<Vec<&str>> = headers.get_all(name).iter().map(|value| value.to_str().ok()).collect();
    let values = values.filter(|values| !values.is_empty())?;
    Some(values.join(","))
}

/// The authorizer for what is not a route of the API and stands beside it: pages and data of this machine's own.
///
/// What reads asks for one of the scopes that the API's own GET routes ask for. What changes something asks for all the
/// scopes of the other routes: it can do more than any of them.
#[derive(Clone)]
pub struct Guard(Option<Arc<Guarded>>);

struct Guarded {
    authorizers: Arc<Authorizers>,
    read: RouteAuthorizer,
    write: Vec<RouteAuthorizer>,
}

impl Guard {
    pub(super) fn new(api: &HttpApi, authorizers: Arc<Authorizers>) -> Self {
        let guarded = api
            .routes
            .iter()
            .filter_map(|route| Some((&route.key, route.authorizer.as_ref()?)));
        let Some((_, first)) = guarded.clone().next() else {
            return Self(None);
        };
        let of = |reads: bool| {
            let mut scopes: Vec<String> = guarded
                .clone()
                .filter(|(key, authorizer)| reads == is_get(key) && authorizer.name == first.name)
                .flat_map(|(_, authorizer)| authorizer.scopes.clone())
                .collect();
            scopes.sort_unstable();
            scopes.dedup();
            scopes
        };
        let asks = |scopes: Vec<String>| RouteAuthorizer {
            name: first.name.clone(),
            scopes,
        };
        let mut write: Vec<RouteAuthorizer> = of(false).into_iter().map(|scope| asks(vec![scope])).collect();
        if write.is_empty() {
            write.push(asks(Vec::new()));
        }
        Self(Some(Arc::new(Guarded {
            read: asks(of(true)),
            write,
            authorizers,
        })))
    }

    /// Lets a request in, or gives the answer that it gets instead. Without an authorizer everybody is let in whom the
    /// door has let in.
    ///
    /// What is answered bit by bit must end when the token does: so long from now, `None` is without an end.
    pub async fn admit(&self, parts: &Parts) -> Result<Option<Duration>, Box<Response>> {
        let Some(guarded) = &self.0 else {
            return Ok(None);
        };
        let mut left = None;
        let reads = [Method::GET, Method::HEAD].contains(&parts.method);
        let wanted = if reads {
            std::slice::from_ref(&guarded.read)
        } else {
            &guarded.write[..]
        };
        for route in wanted {
            let admitted = guarded.authorizers.admit(route, parts).await;
            let admitted = admitted.map_err(|denied| Box::new(denied.response()))?;
            left = Some(guarded.authorizers.left(&admitted.claims));
        }
        Ok(left)
    }
}

fn is_get(key: &RouteKey) -> bool {
    matches!(key, RouteKey::Path { method: Some(method), .. } if method == "GET")
}

#[cfg(test)]
mod tests;
