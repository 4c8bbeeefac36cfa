//! How the sender of a delivery proves who it is, and which proofs are taken.
//!
//! What the webhook's secret holds is what is taken: nothing else is, so every way in is off until it is given a value.
//! A secret that is a plain text is the key of JIRA's signature. One that is a JSON object names the ways:
//!
//! | field | the sender proves itself by |
//! |---|---|
//! | `signature` | `X-Hub-Signature`: an HMAC-SHA256 of the raw body ([`crate::signature`]) |
//! | `jwt` | `Authorization: JWT …` or `Bearer …`: a token that Atlassian signs with the app's secret ([`jwt`]) |
//! | `bearer` | `Authorization: Bearer …`: this very text, for senders that cannot sign |
//! | `url` | `?token=…`: this very text, for senders that cannot even set a header |
//!
//! Each is a text or a list of texts; for `jwt` also an object with `secret` and `issuer`.
//! The strongest proof that a request presents decides: a wrong signature is not made good by a token beside it.

mod jwt;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::http::Request;
use crate::signature;

const SIGNATURE_HEADER: &str = "x-hub-signature";
const AUTHORIZATION_HEADER: &str = "authorization";
const URL_PARAMETER: &str = "token";

/// What is sent as it is must not be guessed: 20 letters and digits drawn at random are more than 100 bits.
const MIN_TOKEN_CHARACTERS: usize = 20;

/// Why a secret says nothing of use. Without the secret's own words.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("it begins like JSON, and is not an object of signature, jwt, bearer and url")]
    Shape,
    #[error("it takes no proof at all")]
    Nothing,
    #[error("{0} has an empty text")]
    Empty(&'static str),
    #[error("{0} has a text of less than {MIN_TOKEN_CHARACTERS} characters, which can be guessed")]
    Short(&'static str),
}

/// The proofs that one version of the secret takes.
pub struct Proofs {
    signature: Vec<String>,
    jwt: Vec<jwt::Key>,
    bearer: Vec<String>,
    url: Vec<String>,
}

/// Says nothing of the values: this may be logged.
impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = [self.signature.len(), self.jwt.len(), self.bearer.len(), self.url.len()];
        write!(f, "Proofs {counts:?}")
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> From<Option<OneOrMany<T>>> for Many<T> {
    fn from(given: Option<OneOrMany<T>>) -> Self {
        Many(match given {
            None => Vec::new(),
            Some(OneOrMany::One(one)) => vec![one],
            Some(OneOrMany::Many(many)) => many,
        })
    }
}

struct Many<T>(Vec<T>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    signature: Option<OneOrMany<String>>,
    jwt: Option<OneOrMany<JwtKey>>,
    bearer: Option<OneOrMany<String>>,
    url: Option<OneOrMany<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JwtKey {
    Secret(String),
    Of { secret: String, issuer: String },
}

impl Proofs {
    /// Reads the value of a secret.
    pub fn parse(secret: &str) -> Result<Self, Error> {
        let proofs = if secret.trim_start().starts_with('{') {
            let document: Document = serde_json::from_str(secret).map_err(|_| Error::Shape)?;
            let jwt = Many::from(document.jwt).0.into_iter().map(|key| match key {
                JwtKey::Secret(secret) => jwt::Key { secret, issuer: None },
                JwtKey::Of { secret, issuer } => jwt::Key {
                    secret,
                    issuer: Some(issuer),
                },
            });
            Self {
                signature: Many::from(document.signature).0,
                jwt: jwt.collect(),
                bearer: Many::from(document.bearer).0,
                url: Many::from(document.url).0,
            }
        } else {
            Self {
                signature: vec![secret.to_owned()],
                jwt: Vec::new(),
                bearer: Vec::new(),
                url: Vec::new(),
            }
        };
        proofs.check().map(|()| proofs)
    }

    fn check(&self) -> Result<(), Error> {
        let all = [
            ("signature", &self.signature),
            ("bearer", &self.bearer),
            ("url", &self.url),
        ];
        if self.jwt.is_empty() && all.iter().all(|(_, texts)| texts.is_empty()) {
            return Err(Error::Nothing);
        }
        for (name, texts) in all {
            if texts.iter().any(String::is_empty) {
                return Err(Error::Empty(name));
            }
            let is_short = |text: &String| text.chars().count() < MIN_TOKEN_CHARACTERS;
            if name != "signature" && texts.iter().any(is_short) {
                return Err(Error::Short(name));
            }
        }
        match self.jwt.iter().any(|key| key.secret.is_empty()) {
            true => Err(Error::Empty("jwt")),
            false => Ok(()),
        }
    }
}

/// Whether the request proves its sender by what any of `accepted` takes, at `now` in seconds since 1970.
pub fn verify(request: &Request, body: &[u8], now: i64, accepted: &[Proofs]) -> bool {
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    if let Some(signature) = header(SIGNATURE_HEADER) {
        let keys = accepted.iter().flat_map(|proofs| &proofs.signature);
        return signature::verify(signature, body, keys.map(String::as_str));
    }
    if let Some((scheme, token)) = header(AUTHORIZATION_HEADER).and_then(|value| value.trim().split_once(' ')) {
        let token = token.trim();
        let is = |name: &str| scheme.eq_ignore_ascii_case(name);
        let signed = (is("jwt") || is("bearer")) && {
            let keys = accepted.iter().flat_map(|proofs| &proofs.jwt);
            jwt::verify(token, request, now, keys)
        };
        return signed || (is("bearer") && is_any(token, accepted.iter().flat_map(|proofs| &proofs.bearer)));
    }
    match request.query_string_parameters.get(URL_PARAMETER) {
        Some(token) => is_any(token, accepted.iter().flat_map(|proofs| &proofs.url)),
        None => false,
    }
}

/// Whether `given` is one of `texts`. Takes the same time for all of one number of texts, whatever they and it are.
fn is_any<'a>(given: &str, texts: impl IntoIterator<Item = &'a String>) -> bool {
    let digest = Sha256::digest(given);
    texts.into_iter().fold(false, |found, text| {
        bool::from(Sha256::digest(text).ct_eq(&digest)) | found
    })
}

#[cfg(test)]
mod tests;
