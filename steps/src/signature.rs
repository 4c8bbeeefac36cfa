//! Jira's signature on a delivery: `X-Hub-Signature: sha256=<hex>`, an HMAC of the raw body.

use hmac::{Hmac, Mac};
use sha2::Sha256;

const METHOD: &str = "sha256=";

/// Whether `header` signs `body` with any of `secrets`. Takes the same time wherever the first difference is.
pub fn verify<'a>(header: &str, body: &[u8], secrets: impl IntoIterator<Item = &'a str>) -> bool {
    let Some(signature) = header.trim().strip_prefix(METHOD).and_then(hex) else {
        return false;
    };
    // Without short cut: which of the secrets it was is nobody's business, either.
    secrets.into_iter().fold(false, |verified, secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(body);
        mac.verify_slice(&signature).is_ok() | verified
    })
}

/// The bytes that `text` spells in hex: of a SHA-256, so exactly 32.
fn hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
