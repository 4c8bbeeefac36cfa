//! Any text as a token, in the first line, and any as the keys of its issuer, after it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime::jwt::{KeySet, Unverified};

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, rest) = data.split_at(end);
    let keys = KeySet::parse(rest).unwrap_or_default();
    let Ok(text) = std::str::from_utf8(line) else {
        return;
    };
    match Unverified::parse(text) {
        Err(invalid) => assert!(!invalid.to_string().contains(['"', '\r', '\n']), "it goes into a header"),
        Ok(token) => {
            if let Some(key) = keys.get(token.key_id()).cloned() {
                let _ = token.verify(&key);
            }
        }
    }
});
