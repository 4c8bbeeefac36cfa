//! The local issuer's RSA key: made here, kept as a JSON Web Key, used by ring.
//!
//! ring signs with RSA and makes no keys of it. So two primes are drawn with a library's own tests of primality, the
//! other numbers follow from them, and ring checks that all of them belong together before it takes them.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use num_bigint_dig::{BigUint, ModInverse, RandPrime};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, KeyPairComponents, PublicKeyComponents};
use ring::signature::RSA_PKCS1_SHA256;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Error, failed, write_new};
use crate::jwt::{ALGORITHM, PublicKey};

/// What RS256 asks for at least; a key lives as long as its data directory, on a machine of the user's own.
const KEY_BITS: usize = 2048;

/// The public exponent that everybody uses.
const EXPONENT: u32 = 65_537;

/// The key that signs.
pub(crate) struct Key(KeyPair);

/// A private RSA key as RFC 7518 spells it: numbers in base64, the greatest byte first.
#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    n: String,
    e: String,
    d: String,
    p: String,
    q: String,
    dp: String,
    dq: String,
    qi: String,
}

impl Key {
    /// Makes a key, which takes a fraction of a second.
    #[cfg(test)]
    pub(crate) fn generate() -> Self {
        Self::of(&draw()).expect("a key that was just drawn is sound")
    }

    /// The key in this file, made if there is none; of two that make it at once, one makes it for both.
    pub(super) fn ensure(directory: &Path, path: &Path) -> Result<Self, Error> {
        if let Some(key) = Self::read(path)? {
            return Ok(key);
        }
        let text = serde_json::to_vec_pretty(&draw()).expect("texts are JSON");
        let fresh = directory.join(format!("issuer-key-{}.new", uuid::Uuid::new_v4()));
        let linked = write_new(&fresh, &text).and_then(|()| match fs::hard_link(&fresh, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
        // What is left of it is a key that nobody uses.
        let _ = fs::remove_file(&fresh);
        linked
            .and_then(|()| File::open(directory)?.sync_all())
            .map_err(failed("write", path))?;
        Self::read(path)?.ok_or_else(|| failed("read", path)(ErrorKind::NotFound.into()))
    }

    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(failed("read", path))?,
        };
        // No parser's message: it may quote the key.
        let key = serde_json::from_slice(&text).ok().and_then(|jwk| Self::of(&jwk));
        key.map(Some).ok_or_else(|| Error::Damaged {
            path: path.to_owned(),
            reason: "it is not a private RSA key".to_owned(),
        })
    }

    fn of(jwk: &Jwk) -> Option<Self> {
        let number = |text: &String| URL_SAFE_NO_PAD.decode(text).ok();
        let components = KeyPairComponents {
            public_key: PublicKeyComponents {
                n: number(&jwk.n)?,
                e: number(&jwk.e)?,
            },
            d: number(&jwk.d)?,
            p: number(&jwk.p)?,
            q: number(&jwk.q)?,
            dP: number(&jwk.dp)?,
            dQ: number(&jwk.dq)?,
            qInv: number(&jwk.qi)?,
        };
        (jwk.kty == "RSA")
            .then(|| KeyPair::from_components(&components).ok())?
            .map(Self)
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::new(self.0.public().into())
    }

    /// A token of these claims.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, Error> {
        let header = json!({"alg": ALGORITHM, "kid": self.public().thumbprint(), "typ": "JWT"});
        self.sign_as(&header, claims)
    }

    /// A token with this header, whatever it says.
    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> Result<String, Error> {
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; self.0.public().modulus_len()];
        let random = SystemRandom::new();
        let done = self
            .0
            .sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature);
        done.map_err(|_| Error::Sign)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Draws primes until the numbers of a key can be made of them, which the first two nearly always allow.
fn draw() -> Jwk {
    let mut random = rand::rng();
    loop {
        let (one, other) = (random.gen_prime(KEY_BITS / 2), random.gen_prime(KEY_BITS / 2));
        if let Some(jwk) = derive(&one, &other) {
            return jwk;
        }
    }
}

fn derive(one: &BigUint, other: &BigUint) -> Option<Jwk> {
    let (p, q) = (one.max(other), one.min(other));
    let exponent = BigUint::from(EXPONENT);
    let unit = BigUint::from(1_u32);
    let (p_less, q_less) = (p - &unit, q - &unit);
    let d = (&exponent).mod_inverse(&p_less * &q_less)?.to_biguint()?;
    let qi = q.mod_inverse(p)?.to_biguint()?;
    let text = |number: &BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
    Some(Jwk {
        kty: "RSA".to_owned(),
        n: text(&(p * q)),
        e: text(&exponent),
        dp: text(&(&d % &p_less)),
        dq: text(&(&d % &q_less)),
        d: text(&d),
        p: text(p),
        q: text(q),
        qi: text(&qi),
    })
}
