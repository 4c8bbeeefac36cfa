//! The token that Atlassian sends with the webhooks of an app: HS256, signed with a secret that the app shares.
//!
//! Connect apps get `Authorization: JWT …` with `iss` (the site's client key), `exp`, and `qsh`, a hash of method, path
//! and query that ties the token to this request. Apps with OAuth 2.0 that register dynamic webhooks get
//! `Authorization: Bearer …`, signed with the app's client secret; Atlassian does not document its claims, so what is
//! not there is not asked for, but for `exp`. Nothing of either covers the body: that is TLS's part.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::http::{Request, unescaped};

/// The one algorithm, which is not the token's to choose.
const ALGORITHM: &str = "HS256";

/// How far Atlassian's clock and this one may be apart.
const LEEWAY_SECONDS: f64 = 60.0;

/// A secret that an app shares with Atlassian.
pub(super) struct Key {
    pub(super) secret: String,
    /// The `iss` that its tokens must have, if only one site is to send with it.
    pub(super) issuer: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    iss: Option<String>,
    qsh: Option<String>,
}

/// Whether any of `keys` has signed `token` for this request, at `now` in seconds since 1970.
pub(super) fn verify<'k>(token: &str, request: &Request, now: i64, keys: impl IntoIterator<Item = &'k Key>) -> bool {
    let mut segments = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return false;
    };
    let is_ours = |header: Header| header.alg == ALGORITHM && header.crit.is_none();
    let Some(signature) = decode(signature).filter(|_| json(header).is_some_and(is_ours)) else {
        return false;
    };
    let signed = &token.as_bytes()[..header.len() + 1 + payload.len()];
    // Without short cut, as with the body's signature.
    let signers: Vec<&Key> = keys
        .into_iter()
        .filter(|key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()).expect("HMAC takes keys of any length");
            mac.update(signed);
            mac.verify_slice(&signature).is_ok()
        })
        .collect();
    // Nothing of the payload is looked at before it is known who wrote it.
    if signers.is_empty() {
        return false;
    }
    let Some(claims) = json::<Claims>(payload) else {
        return false;
    };
    let is_from = |key: &&Key| key.issuer.is_none() || key.issuer == claims.iss;
    signers.iter().any(is_from) && claims.are_timely(now as f64) && claims.is_about(request)
}

fn decode(segment: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(segment).ok()
}

fn json<T: DeserializeOwned>(segment: &str) -> Option<T> {
    serde_json::from_slice(&decode(segment)?).ok()
}

impl Claims {
    fn are_timely(&self, now: f64) -> bool {
        let has_begun = |moment: Option<f64>| moment.is_none_or(|moment| moment <= now + LEEWAY_SECONDS);
        now - LEEWAY_SECONDS < self.exp && has_begun(self.nbf) && has_begun(self.iat)
    }

    /// Whether a token that is tied to a request is tied to this one.
    ///
    /// The hash is over the path below the app's base URL, which only its descriptor knows: any end of the path will do.
    /// `context-qsh` ties a token to nothing; pages in the browser have such tokens, a webhook never does.
    fn is_about(&self, request: &Request) -> bool {
        let Some(hash) = &self.qsh else {
            return true;
        };
        let path = request.raw_path.trim_end_matches('/');
        let ends = path.match_indices('/').map(|(at, _)| &path[at..]);
        let query = canonical_query(&request.raw_query_string);
        ends.chain(["/"]).any(|path| {
            let canonical = format!("POST&{}&{query}", path.replace('&', "%26"));
            let digest = Sha256::digest(canonical);
            digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == *hash
        })
    }
}

/// The query as Atlassian hashes it: sorted by name, the values of one name sorted and joined, all of it escaped anew.
fn canonical_query(query: &str) -> String {
    let mut parameters = std::collections::BTreeMap::<String, Vec<String>>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = escaped(&unescaped(name));
        if name != "jwt" {
            parameters.entry(name).or_default().push(escaped(&unescaped(value)));
        }
    }
    let joined = parameters.into_iter().map(|(name, mut values)| {
        values.sort_unstable();
        format!("{name}={}", values.join(","))
    });
    joined.collect::<Vec<_>>().join("&")
}

fn escaped(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let characters = bytes.iter().map(|byte| match byte {
        byte if plain(*byte) => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    characters.collect()
}
