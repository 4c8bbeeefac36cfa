//! The keys of an issuer elsewhere, found by OpenID discovery.
//!
//! They are asked for when a token needs them and kept for two hours, as API Gateway does. A token signed with a key that
//! is not among them may be signed with a new one, so the set is fetched again; but anyone can send such tokens, so not
//! more often than the pauses here allow. Requests that need the same fetch wait for one.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::BytesMut;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::jwt::{KeySet, PublicKey};

/// How long keys are taken for the issuer's keys, as in API Gateway: so long may a key that it withdraws still count.
const KEPT: TimeDelta = TimeDelta::hours(2);

/// How soon after a fetch an unknown key is a reason for another. An issuer publishes a key long before it signs with it.
const REFETCH_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// How soon after a failed fetch the next is tried.
const RETRY_PAUSE: TimeDelta = TimeDelta::seconds(2);

/// How long each of the two documents may take, as in API Gateway.
const TIMEOUT: Duration = Duration::from_millis(1_500);

/// The largest set of keys that API Gateway takes; no discovery document comes near it.
pub(super) const MAX_BYTES: usize = 150_000;

/// An issuer whose keys cannot be asked for.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the issuer {0:?} is not an https URL")]
    Issuer(String),
    #[error("could not set up HTTPS")]
    Client(#[source] reqwest::Error),
}

/// Why keys could not be had, in API Gateway's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("OIDC discovery endpoint communication error")]
    Discovery,
    #[error("JWKS communication error")]
    KeySet,
}

/// The keys of one issuer.
pub(super) struct RemoteKeys {
    source: Arc<Source>,
    /// What came of the last fetch; held while one is under way.
    last: Arc<Mutex<Option<Fetch>>>,
}

/// Where the keys come from, and what came.
struct Source {
    discovery: Url,
    http: Client,
    kept: RwLock<Option<Kept>>,
    clock: Clock,
}

struct Kept {
    keys: KeySet,
    since: DateTime<Utc>,
}

#[derive(Clone, Copy)]
struct Fetch {
    at: DateTime<Utc>,
    failed: Option<Unavailable>,
}

#[derive(Deserialize)]
struct Discovery {
    jwks_uri: String,
}

impl RemoteKeys {
    pub(super) fn new(issuer: &str, clock: Clock) -> Result<Self, SetupError> {
        let discovery = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let url = Url::parse(&discovery).ok().filter(is_trustworthy);
        // An installed provider stays: the only error is that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .build()
            .map_err(SetupError::Client)?;
        Ok(Self {
            source: Arc::new(Source {
                discovery: url.ok_or_else(|| SetupError::Issuer(issuer.to_owned()))?,
                http,
                kept: RwLock::default(),
                clock,
            }),
            last: Arc::default(),
        })
    }

    /// The issuer's key of that id, `None` if it has none.
    pub(super) async fn get(&self, key_id: &str) -> Result<Option<PublicKey>, Unavailable> {
        if let Some(key) = self.source.kept(key_id) {
            return Ok(Some(key));
        }
        let mut last = Arc::clone(&self.last).lock_owned().await;
        // Whoever was first may have fetched it meanwhile.
        if let Some(key) = self.source.kept(key_id) {
            return Ok(Some(key));
        }
        let now = self.source.clock.now();
        if let Some(fetch) = *last {
            let since = now - fetch.at;
            match fetch.failed {
                Some(failure) if since < RETRY_PAUSE => return Err(failure),
                None if since < REFETCH_PAUSE => return Ok(None),
                _ => {}
            }
        }
        // On its own, so that a client that hangs up does not end what others wait for.
        let source = Arc::clone(&self.source);
        let fetched = tokio::spawn(async move {
            let fetched = source.fetch().await;
            let failed = fetched.as_ref().err().copied();
            if let Ok(keys) = fetched {
                source.keep(keys, now);
            }
            *last = Some(Fetch { at: now, failed });
            failed
        });
        match fetched.await {
            Ok(None) => Ok(self.source.kept(key_id)),
            Ok(Some(failure)) => Err(failure),
            Err(_) => Err(Unavailable::KeySet),
        }
    }
}

impl Source {
    fn keep(&self, keys: KeySet, since: DateTime<Utc>) {
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(Kept { keys, since });
    }

    fn kept(&self, key_id: &str) -> Option<PublicKey> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_ref().filter(|kept| self.clock.now() - kept.since < KEPT)?;
        kept.keys.get(key_id).cloned()
    }

    async fn fetch(&self) -> Result<KeySet, Unavailable> {
        let failed = |unavailable: Unavailable| {
            move |reason: Reason| {
                tracing::warn!(%reason, "{unavailable}");
                unavailable
            }
        };
        let document = self.document(&self.discovery).await.and_then(|json| {
            let discovered: Discovery = serde_json::from_slice(&json).map_err(|_| Reason::NotJson)?;
            let url = Url::parse(&discovered.jwks_uri).ok().filter(is_trustworthy);
            url.ok_or(Reason::Url)
        });
        let url = document.map_err(failed(Unavailable::Discovery))?;
        let keys = self.document(&url).await;
        keys.and_then(|json| KeySet::parse(&json).map_err(|_| Reason::NotJson))
            .map_err(failed(Unavailable::KeySet))
    }

    async fn document(&self, url: &Url) -> Result<BytesMut, Reason> {
        let mut response = self.http.get(url.clone()).send().await.map_err(Reason::Http)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(Reason::Status(response.status().as_u16()));
        }
        let mut document = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(Reason::Http)? {
            if MAX_BYTES < document.len() + chunk.len() {
                return Err(Reason::TooLarge);
            }
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}

/// What the log says of a fetch that failed.
#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("{0}")]
    Http(reqwest::Error),
    #[error("it answered {0}")]
    Status(u16),
    #[error("the document has more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("the document is not what OpenID says it is")]
    NotJson,
    #[error("jwks_uri is not an https URL")]
    Url,
}

/// Whose answers can be believed: a server that proves who it is, or one on this machine.
fn is_trustworthy(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => !host.is_empty(),
        "http" => is_here,
        _ => false,
    }
}
