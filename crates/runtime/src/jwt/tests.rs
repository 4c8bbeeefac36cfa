use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::issuer::Key;

/// Keys take a while to make: all tests here share two.
static KEYS: LazyLock<[Key; 2]> = LazyLock::new(|| [Key::generate(), Key::generate()]);

fn verify(token: &str) -> Result<Claims, Invalid> {
    Unverified::parse(token)?.verify(&KEYS[0].public())
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[test]
fn a_token_is_believed_if_its_key_has_signed_every_bit_of_it() {
    let claims = json!({"sub": "me", "exp": 1});
    let token = KEYS[0].sign(&claims).unwrap();
    assert_eq!(Value::Object(verify(&token).unwrap()), claims);
    assert_eq!(
        verify(&KEYS[1].sign(&claims).unwrap()),
        Err(Invalid::Signature),
        "another key's"
    );
    let parts: Vec<&str> = token.split('.').collect();
    let other = KEYS[0].sign(&json!({"sub": "you", "exp": 1})).unwrap();
    let other: Vec<&str> = other.split('.').collect();
    let swapped = format!("{}.{}.{}", parts[0], other[1], parts[2]);
    assert_eq!(verify(&swapped), Err(Invalid::Signature));
}

#[test]
fn the_algorithm_is_never_the_tokens_to_choose() {
    let key = &KEYS[0];
    let claims = json!({"sub": "me"});
    for algorithm in [
        "none", "None", "HS256", "RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256", "RS256 ",
    ] {
        let header = json!({"alg": algorithm, "kid": "a"});
        // Signed soundly, with the right key: it is the name that is refused.
        let token = key.sign_as(&header, &claims).unwrap();
        assert_eq!(
            verify(&token),
            Err(Invalid::Algorithm(algorithm.trim().to_owned())),
            "{algorithm}"
        );
    }
    for header in [
        json!({"kid": "a"}),
        json!({"alg": null, "kid": "a"}),
        json!({"alg": ["RS256"], "kid": "a"}),
    ] {
        let token = key.sign_as(&header, &claims).unwrap();
        assert_eq!(verify(&token), Err(Invalid::Algorithm(String::new())), "{header}");
    }
    let unsigned = format!("{}.{}.", part(&json!({"alg": "none", "kid": "a"})), part(&claims));
    assert_eq!(verify(&unsigned), Err(Invalid::Algorithm("none".into())));
    let empty = format!("{}.{}.", part(&json!({"alg": "RS256", "kid": "a"})), part(&claims));
    assert_eq!(verify(&empty), Err(Invalid::Signature));
    // HMAC keyed with what everybody knows of the RSA key, called RS256.
    let public = key.public().to_jwk("a").to_string();
    let signed = format!("{}.{}", part(&json!({"alg": "RS256", "kid": "a"})), part(&claims));
    let digest = ring::hmac::sign(
        &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_bytes()),
        signed.as_bytes(),
    );
    let confused = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(digest));
    assert_eq!(verify(&confused), Err(Invalid::Signature));
}

#[test]
fn no_key_is_taken_from_the_token() {
    let theirs = KEYS[1].public();
    let header = json!({"alg": "RS256", "kid": KEYS[0].public().thumbprint(), "jwk": theirs.to_jwk("x"),
                        "jku": "https://example.com/keys", "x5u": "https://example.com/cert", "x5c": ["MII="]});
    let token = KEYS[1].sign_as(&header, &json!({"sub": "me"})).unwrap();
    assert_eq!(verify(&token), Err(Invalid::Signature));
    let critical = json!({"alg": "RS256", "kid": "a", "crit": ["exp"]});
    let token = KEYS[0].sign_as(&critical, &json!({"sub": "me"})).unwrap();
    assert_eq!(verify(&token), Err(Invalid::Critical), "nobody here understands it");
    let token = KEYS[0].sign_as(&json!({"alg": "RS256"}), &json!({})).unwrap();
    assert_eq!(verify(&token), Err(Invalid::NoKeyId));
}

#[test]
fn a_key_set_has_the_keys_that_can_verify() {
    let key = KEYS[0].public();
    let with = |changes: Value| {
        let mut jwk = key.to_jwk("a");
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(jwk.as_object_mut().unwrap().remove(name)),
                value => jwk[name] = value.clone(),
            }
        }
        KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap()
    };
    for fine in [
        json!({}),
        json!({"use": null}),
        json!({"alg": null}),
        json!({"x5t": "more"}),
    ] {
        assert!(with(fine.clone()).get("a").is_some(), "{fine}");
    }
    for useless in [
        json!({"kty": "EC"}),
        json!({"kty": null}),
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"use": "enc"}),
        json!({"alg": "RS512"}),
        json!({"kid": null}),
        json!({"kid": 7}),
        json!({"n": null}),
        json!({"n": "not base64!"}),
        json!({"e": "AAAA"}),
    ] {
        assert!(with(useless.clone()).get("a").is_none(), "{useless}");
    }
    for broken in ["", "[]", "{}", r#"{"keys": {}}"#] {
        assert!(KeySet::parse(broken.as_bytes()).is_err(), "{broken}");
    }
    let many: Vec<Value> = (0..2 * MAX_KEYS).map(|id| key.to_jwk(&id.to_string())).collect();
    assert_eq!(
        KeySet::parse(json!({"keys": many}).to_string().as_bytes())
            .unwrap()
            .0
            .len(),
        MAX_KEYS
    );
}

/// A key of 1,024 bits, as some issuers had in their youth.
#[test]
fn a_short_key_verifies_nothing() {
    let mut modulus = vec![0xc3; 128];
    modulus[127] = 0x01;
    let jwk = json!({"kty": "RSA", "kid": "a", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"});
    let keys = KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
    let token = KEYS[0].sign(&json!({})).unwrap();
    let verified = Unverified::parse(&token).unwrap().verify(keys.get("a").unwrap());
    assert_eq!(verified, Err(Invalid::Signature));
}

proptest! {
    /// Whatever is said, it is an error and no panic; and of a good token no character can be another.
    #[test]
    fn nothing_else_is_a_token(text in "[A-Za-z0-9_.=-]{0,80}", noise in ".{0,40}", at in 0_usize..2_000, with in "[A-Za-z0-9_.-]") {
        prop_assert!(verify(&text).is_err());
        prop_assert!(verify(&noise).is_err());
        let token = KEYS[0].sign(&json!({"sub": "me", "exp": 1})).unwrap();
        let mut changed = token.clone().into_bytes();
        let at = at % changed.len();
        changed[at] = with.as_bytes()[0];
        let changed = String::from_utf8(changed).unwrap();
        prop_assert!(changed == token || verify(&changed).is_err(), "{changed}");
        prop_assert!(verify(&token[..at]).is_err());
    }
}
