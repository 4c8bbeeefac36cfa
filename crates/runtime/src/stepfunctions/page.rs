//! Tokens of next pages: opaque to the caller, and good only for the listing that gave them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::error::Error;

/// Bytes of the check: enough to tell a token of ours from one that was made up or belongs to another listing.
const CHECK_BYTES: usize = 12;

/// The token that continues `listing` after `position`.
pub(super) fn token(listing: &str, position: &str) -> String {
    let mut bytes = check(listing, position).to_vec();
    bytes.extend_from_slice(position.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position that a token of `listing` continues after.
pub(super) fn position(listing: &str, token: &str) -> Result<String, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Error::InvalidToken)?;
    let (found, position) = bytes.split_at_checked(CHECK_BYTES).ok_or(Error::InvalidToken)?;
    let position = std::str::from_utf8(position).map_err(|_| Error::InvalidToken)?;
    match check(listing, position) == *found {
        true => Ok(position.to_owned()),
        false => Err(Error::InvalidToken),
    }
}

/// Binds a position to its listing: the operation and every argument that chooses its items.
fn check(listing: &str, position: &str) -> [u8; CHECK_BYTES] {
    let digest = Sha256::new()
        .chain_update(listing)
        .chain_update([0])
        .chain_update(position)
        .finalize();
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_continues_its_own_listing_only() {
        let given = token("ListExecutions machine", "2026-01-01 17");
        assert_eq!(
            position("ListExecutions machine", &given).expect("a token of this listing"),
            "2026-01-01 17"
        );
        for (listing, token) in [
            ("ListExecutions other", given.as_str()),
            ("ListExecutions machine", &given[1..]),
            ("ListExecutions machine", "made up"),
            ("ListExecutions machine", "bWFkZSB1cA"),
            ("ListExecutions machine", ""),
        ] {
            assert!(matches!(position(listing, token), Err(Error::InvalidToken)), "{token}");
        }
    }
}
