//! HTTP to a JIRA: who we are, how long we wait, and how often we try.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use rand::Rng;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ticket::SiteId;

use crate::error::Error;

/// The largest answer that is read: a hundred issues with the longest descriptions, four times over.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The first pause of who has no reason to hurry.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause that nobody asked for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How much of a refusal is quoted.
const MESSAGE_CHARACTERS: usize = 300;
/// What JIRA made of the credential.
const LOGIN: &str = "x-seraph-loginreason";

/// What runs at the other end. Cloud and Data Center differ in how they page and where histories are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    Cloud,
    DataCenter,
}

/// Who asks.
#[derive(Clone)]
pub enum Credential {
    /// Cloud: the account's email and its API token.
    Basic { user: String, token: String },
    /// Data Center: a personal access token.
    Bearer(String),
}

impl Credential {
    /// Reads `email:token`, or a token alone: personal access tokens have no colon.
    pub fn parse(text: &str) -> Self {
        match text.trim().split_once(':') {
            Some((user, token)) => Self::Basic {
                user: user.to_owned(),
                token: token.to_owned(),
            },
            None => Self::Bearer(text.trim().to_owned()),
        }
    }

    fn header(&self) -> Result<HeaderValue, Error> {
        let text = match self {
            Self::Basic { user, token } => format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{token}"))),
            Self::Bearer(token) => format!("Bearer {token}"),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| Error::Credential)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Says nothing of the token: this may be logged.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::Bearer(_) => "Bearer",
        })
    }
}

/// How much waiting there is time for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Tries of one request, the first one included.
    pub tries: u32,
    /// The first pause between two of them; each further one is twice as long at most.
    pub first_pause: Duration,
    /// The longest pause before another try; where JIRA asks for a longer one, that is the caller's to wait for.
    pub longest_pause: Duration,
    /// How long one try may take.
    pub timeout: Duration,
}

impl Patience {
    /// Of a program that has nothing else to do.
    pub const LONG: Self = Self {
        tries: 10,
        first_pause: FIRST_PAUSE,
        longest_pause: Duration::from_secs(15 * 60),
        timeout: Duration::from_secs(60),
    };
    /// Of a function that is paid by the millisecond: long pauses are its state machine's.
    pub const SHORT: Self = Self {
        tries: 2,
        first_pause: FIRST_PAUSE,
        longest_pause: Duration::from_secs(1),
        timeout: Duration::from_secs(10),
    };
}

/// A JIRA.
#[derive(Clone, Debug)]
pub struct Jira {
    http: reqwest::Client,
    base: String,
    /// The host that it is asked at.
    asked: SiteId,
    /// Where it says that it is: what its webhooks call it.
    home: String,
    site: SiteId,
    authorization: HeaderValue,
    patience: Patience,
    deployment: Deployment,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerInfo {
    #[serde(default)]
    deployment_type: String,
    #[serde(default)]
    base_url: String,
}

impl Jira {
    /// Finds out what runs at `url`, which may have a path.
    pub async fn connect(url: &str, credential: &Credential, patience: Patience) -> Result<Self, Error> {
        // An installed provider stays: the only error is that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = base(url)?;
        let asked = SiteId::of_url(&base).map_err(|_| Error::Url { url: url.to_owned() })?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(patience.timeout)
            // A redirect would carry the credential elsewhere, or to a page that asks people to log in.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("ticketflow/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::Setup)?;
        let mut jira = Self {
            http,
            home: base.clone(),
            base,
            site: asked.clone(),
            asked,
            authorization: credential.header()?,
            patience,
            deployment: Deployment::DataCenter,
        };
        let info: ServerInfo = jira.get("/rest/api/2/serverInfo").await?;
        // A Server says "Server", a Data Center the same or nothing.
        if info.deployment_type == "Cloud" {
            jira.deployment = Deployment::Cloud;
        }
        if let Ok(site) = SiteId::of_url(&info.base_url) {
            jira.site = site;
            jira.home = info.base_url.trim_end_matches('/').to_owned();
        }
        Ok(jira)
    }

    pub fn deployment(&self) -> Deployment {
        self.deployment
    }

    /// The site that its issues are of, whatever the address that it is asked at: a gateway's, or one within a network.
    pub fn site(&self) -> &SiteId {
        &self.site
    }

    /// An issue's own address as its webhooks give it, where what it `shows` is at the address that we ask.
    pub(crate) fn at_home(&self, id: &str, shows: &str) -> Option<String> {
        let is_asked = SiteId::of_url(shows).is_ok_and(|site| site == self.asked);
        (is_asked && self.asked != self.site).then(|| format!("{}/rest/api/2/issue/{id}", self.home))
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        parsed(path, &self.ask(Method::GET, path, None).await?)
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Error> {
        parsed(path, &self.ask(Method::POST, path, Some(body)).await?)
    }

    /// Asks until there is an answer, as often as there is patience for.
    ///
    /// A request is repeated whatever it is: who creates an issue twice because an answer was lost has one more.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, Error> {
        let mut attempt = 0;
        loop {
            let error = match self.ask_once(method.clone(), path, body).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempt += 1;
            let Some(asked_for) = error.retry_after() else {
                return Err(error);
            };
            let pause = pause(self.patience.first_pause, attempt, asked_for);
            if self.patience.tries <= attempt || self.patience.longest_pause < pause {
                return Err(error);
            }
            tracing::debug!(path, attempt, ?pause, %error, "JIRA is asked again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Where a redirect leads, without what may be secret in it.
    fn elsewhere(&self, headers: &HeaderMap) -> String {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let to = location.and_then(|location| Url::parse(&self.base).ok()?.join(location).ok());
        to.map_or("an address that it does not give".to_owned(), |to| {
            format!("{}{}", to.origin().ascii_serialization(), to.path())
        })
    }

    async fn ask_once(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, Error> {
        let unreachable = |source| Error::Unreachable {
            path: path.to_owned(),
            source,
        };
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .header(AUTHORIZATION, self.authorization.clone())
            // Without it a session's check against foreign pages refuses what a browser could have sent.
            .header("x-atlassian-token", "no-check");
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let headers = response.headers().clone();
        let retry_after = retry_after(&headers, Utc::now());
        let answer = read(response, path).await?;
        match status {
            // To some questions it then answers all the same, with what anybody may see: often that is nothing.
            status if status.is_success() && is_anybody(&headers) => Err(Error::Refused {
                path: path.to_owned(),
                status: StatusCode::UNAUTHORIZED.as_u16(),
                message: "it does not take the credential, and shows what anybody may see".to_owned(),
            }),
            status if status.is_success() => Ok(answer),
            status if status.is_redirection() => Err(Error::Elsewhere {
                path: path.to_owned(),
                status: status.as_u16(),
                to: self.elsewhere(&headers),
            }),
            StatusCode::TOO_MANY_REQUESTS => Err(Error::Throttled {
                path: path.to_owned(),
                retry_after: retry_after.unwrap_or(FIRST_PAUSE),
            }),
            // Some of the 5xx say, too, when they will be over.
            status if status.is_server_error() => Err(match retry_after {
                Some(retry_after) => Error::Throttled {
                    path: path.to_owned(),
                    retry_after,
                },
                None => Error::Failing {
                    path: path.to_owned(),
                    status: status.as_u16(),
                },
            }),
            status => Err(Error::Refused {
                path: path.to_owned(),
                status: status.as_u16(),
                message: message(&answer),
            }),
        }
    }
}

/// The address to ask at, without a slash at its end.
///
/// The credential goes with every request: in the clear only to this machine.
fn base(url: &str) -> Result<String, Error> {
    let error = || Error::Url { url: url.to_owned() };
    let parsed = Url::parse(url.trim()).map_err(|_| error())?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Error::CredentialInUrl);
    }
    let is_plain = parsed.query().is_none() && parsed.fragment().is_none();
    let host = parsed.host_str().filter(|_| is_plain).ok_or_else(error)?;
    match parsed.scheme() {
        "https" => {}
        "http" if is_loopback(host) => {}
        "http" => return Err(Error::Insecure { url: url.to_owned() }),
        _ => return Err(error()),
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether JIRA did not take the credential, whatever it answers.
fn is_anybody(headers: &HeaderMap) -> bool {
    let reasons = headers
        .get_all(LOGIN)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let mut words = reasons.flat_map(|value| value.split(','));
    words.any(|word| matches!(word.trim(), "AUTHENTICATED_FAILED" | "AUTHENTICATION_DENIED"))
}

/// How long to leave JIRA alone: seconds, or until a date, as whatever stands before it may say.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    Some((until.to_utc() - now).to_std().unwrap_or_default())
}

/// How long to wait before a further try: with full jitter, but never less than was asked for.
fn pause(first: Duration, attempt: u32, asked_for: Duration) -> Duration {
    let most = first.saturating_mul(1 << attempt.min(16)).min(LONGEST_PAUSE);
    asked_for.saturating_add(most.mul_f64(rand::rng().random::<f64>()))
}

async fn read(mut response: Response, path: &str) -> Result<Vec<u8>, Error> {
    let mut answer = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|source| Error::Unreachable {
            path: path.to_owned(),
            source,
        })?;
        let Some(chunk) = chunk else { return Ok(answer) };
        if MAX_ANSWER_BYTES < answer.len() + chunk.len() {
            return Err(Error::TooLarge {
                path: path.to_owned(),
                limit: MAX_ANSWER_BYTES,
            });
        }
        answer.extend_from_slice(&chunk);
    }
}

pub(crate) fn parsed<T: DeserializeOwned>(path: &str, answer: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(answer).map_err(|source| Error::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// What a refusal says: JIRA's own sentences, else the beginning of whatever it is.
fn message(answer: &[u8]) -> String {
    let document: Value = serde_json::from_slice(answer).unwrap_or_default();
    let sentences = document["errorMessages"].as_array().into_iter().flatten();
    let fields = document["errors"].as_object().into_iter().flatten();
    let fields = fields.filter_map(|(name, what)| Some(format!("{name}: {}", what.as_str()?)));
    let sentences = sentences.filter_map(Value::as_str).map(str::to_owned).chain(fields);
    let message = sentences.collect::<Vec<_>>().join(" ");
    let message = match message.is_empty() {
        false => message,
        true => String::from_utf8_lossy(answer).into_owned(),
    };
    message.chars().take(MESSAGE_CHARACTERS).collect()
}

#[cfg(test)]
mod tests;
