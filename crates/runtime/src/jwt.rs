//! JSON Web Tokens as access tokens are: three segments, signed with RS256 by a key that the issuer publishes.
//!
//! There is one algorithm and it is not the token's to choose: a header that names another is refused before anything
//! is computed, and of a header nothing is used but the name of the key. So there is no `none`, no HMAC keyed with a
//! public key, and no key that comes with the token. What a token claims can only be read once it is verified.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The algorithm of every token: RSASSA-PKCS1-v1_5 with SHA-256.
pub(crate) const ALGORITHM: &str = "RS256";

/// How many keys of a set are read. Issuers publish two or three; verifying looks one up by its id.
const MAX_KEYS: usize = 100;

/// What a verified token says, by the name of the claim.
pub type Claims = Map<String, Value>;

/// Why a text is no token, or not one of a key's. The words are those of API Gateway's own library where it has them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("token contains an invalid number of segments")]
    Segments,
    #[error("the token's {0} cannot be decoded")]
    Encoding(&'static str),
    #[error("signing method {0} is invalid")]
    Algorithm(String),
    #[error("the token names no key")]
    NoKeyId,
    #[error("the token has critical headers, none of which is understood")]
    Critical,
    #[error("crypto/rsa: verification error")]
    Signature,
}

/// The part of a header that is looked at.
#[derive(Deserialize)]
struct Header {
    alg: Option<Value>,
    kid: Option<String>,
    crit: Option<Value>,
}

/// A token taken apart, of which nothing is known to be true.
pub struct Unverified<'t> {
    key_id: String,
    /// Header and payload as they were signed.
    signed: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

impl<'t> Unverified<'t> {
    pub fn parse(token: &'t str) -> Result<Self, Invalid> {
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(Invalid::Segments);
        };
        let parsed: Header =
            serde_json::from_slice(&decode(header, "header")?).map_err(|_| Invalid::Encoding("header"))?;
        match parsed.alg {
            Some(Value::String(name)) if name == ALGORITHM => {}
            Some(Value::String(name)) => return Err(Invalid::Algorithm(printable(&name))),
            _ => return Err(Invalid::Algorithm(String::new())),
        }
        if parsed.crit.is_some() {
            return Err(Invalid::Critical);
        }
        Ok(Self {
            key_id: parsed.kid.ok_or(Invalid::NoKeyId)?,
            signed: &token[..header.len() + 1 + payload.len()],
            payload,
            signature: decode(signature, "signature")?,
        })
    }

    /// The id of the key that is said to have signed it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// What the token claims, if `key` has signed it.
    pub fn verify(self, key: &PublicKey) -> Result<Claims, Invalid> {
        key.0
            .verify(&RSA_PKCS1_2048_8192_SHA256, self.signed.as_bytes(), &self.signature)
            .map_err(|_| Invalid::Signature)?;
        serde_json::from_slice(&decode(self.payload, "payload")?).map_err(|_| Invalid::Encoding("payload"))
    }
}

fn decode(segment: &str, what: &'static str) -> Result<Vec<u8>, Invalid> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| Invalid::Encoding(what))
}

/// What may stand in a header of an answer: the text is the client's.
fn printable(text: &str) -> String {
    let plain = |character: &char| character.is_ascii_alphanumeric() || "-_+".contains(*character);
    text.chars().filter(plain).take(16).collect()
}

/// An RSA key that verifies.
#[derive(Clone, Debug)]
pub struct PublicKey(RsaPublicKeyComponents<Vec<u8>>);

impl PublicKey {
    pub(crate) fn new(components: RsaPublicKeyComponents<Vec<u8>>) -> Self {
        Self(components)
    }

    /// Its name: the thumbprint of RFC 7638, so that equal keys have equal names.
    pub(crate) fn thumbprint(&self) -> String {
        let [n, e] = [&self.0.n, &self.0.e].map(|part| URL_SAFE_NO_PAD.encode(part));
        let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
    }

    /// As an issuer publishes it.
    #[cfg(test)]
    pub(crate) fn to_jwk(&self, key_id: &str) -> Value {
        let [n, e] = [&self.0.n, &self.0.e].map(|part| URL_SAFE_NO_PAD.encode(part));
        serde_json::json!({"kty": "RSA", "use": "sig", "alg": ALGORITHM, "kid": key_id, "n": n, "e": e})
    }
}

/// The keys of an issuer, by their ids.
#[derive(Clone, Debug, Default)]
pub struct KeySet(BTreeMap<String, PublicKey>);

impl KeySet {
    /// Reads a JSON Web Key Set. Keys that cannot verify an RS256 signature, or have no id, are as good as absent.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(json)?;
        Ok(document.keys.iter().filter_map(usable).take(MAX_KEYS).collect())
    }

    pub fn get(&self, key_id: &str) -> Option<&PublicKey> {
        self.0.get(key_id)
    }
}

impl FromIterator<(String, PublicKey)> for KeySet {
    fn from_iter<Keys: IntoIterator<Item = (String, PublicKey)>>(keys: Keys) -> Self {
        Self(keys.into_iter().collect())
    }
}

fn usable(key: &Value) -> Option<(String, PublicKey)> {
    let text = |field: &str| key.get(field).and_then(Value::as_str);
    let is_absent_or = |field: &str, wanted: &str| key.get(field).is_none_or(|value| value == wanted);
    if text("kty") != Some("RSA") || !is_absent_or("use", "sig") || !is_absent_or("alg", ALGORITHM) {
        return None;
    }
    let number = |field: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text(field)?).ok()?;
        let first = bytes.iter().position(|byte| *byte != 0)?;
        Some(bytes[first..].to_vec())
    };
    let components = RsaPublicKeyComponents {
        n: number("n")?,
        e: number("e")?,
    };
    Some((text("kid")?.to_owned(), PublicKey(components)))
}

#[cfg(test)]
mod tests;
