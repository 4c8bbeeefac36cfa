use std::os::unix::fs::PermissionsExt;

use chrono::TimeZone;
use tempfile::TempDir;

use super::*;
use crate::jwt::Unverified;

fn identity() -> Identity {
    Identity {
        issuer: "https://issuer.example/pool".into(),
        client_id: "client".into(),
        scopes: vec!["api/read".into(), "api/write".into()],
    }
}

fn issuer(directory: &TempDir) -> Issuer {
    Issuer::declare(directory.path(), &identity()).unwrap();
    Issuer::open(directory.path()).unwrap()
}

fn read() -> Vec<String> {
    vec!["api/read".into()]
}

#[test]
fn a_token_of_the_issuer_is_verified_with_the_key_of_its_directory_until_that_is_gone() {
    let directory = TempDir::new().unwrap();
    let issuer = issuer(&directory);
    let keys = LocalKeys::new(directory.path());
    assert!(keys.get("any").is_none(), "there is no key before the first token");
    let now = Utc.timestamp_opt(1_763_720_000, 0).unwrap();
    let minted = issuer.mint(&read(), Duration::from_secs(60), now).unwrap();
    let token = Unverified::parse(&minted.token).unwrap();
    let key_id = token.key_id().to_owned();
    let claims = token.verify(&keys.get(&key_id).unwrap()).unwrap();
    let text = |name: &str| claims[name].as_str().unwrap();
    assert_eq!(
        [text("iss"), text("client_id"), text("scope")],
        ["https://issuer.example/pool", "client", "api/read"]
    );
    assert_eq!(
        (&claims["iat"], &claims["exp"]),
        (&json!(1_763_720_000), &json!(1_763_720_060))
    );
    for file in ["issuer.json", "issuer-key.json"] {
        let mode = fs::metadata(directory.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "nothing is left beside them: {names:?}");

    fs::remove_file(directory.path().join("issuer-key.json")).unwrap();
    assert!(keys.get(&key_id).is_none(), "all tokens of a deleted key are void");
    let fresh = issuer.mint(&read(), Duration::from_secs(60), now).unwrap();
    let fresh = Unverified::parse(&fresh.token).unwrap();
    assert_ne!(fresh.key_id(), key_id);
    assert!(keys.get(fresh.key_id()).is_some() && keys.get(&key_id).is_none());

    fs::write(directory.path().join("issuer-key.json"), "{}").unwrap();
    assert!(keys.get(&key_id).is_none());
    let refused = issuer.mint(&read(), Duration::from_secs(60), now);
    assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
}

#[test]
fn of_many_that_mint_the_first_token_at_once_all_use_one_key() {
    let directory = TempDir::new().unwrap();
    let issuer = issuer(&directory);
    let minting: Vec<_> = (0..3)
        .map(|_| {
            let issuer = issuer.clone();
            std::thread::spawn(move || issuer.mint(&read(), MIN_TTL, Utc::now()).unwrap().token)
        })
        .collect();
    let ids: std::collections::BTreeSet<String> = minting
        .into_iter()
        .map(|minting| Unverified::parse(&minting.join().unwrap()).unwrap().key_id().to_owned())
        .collect();
    assert_eq!(ids.len(), 1);
}

#[test]
fn what_no_token_is_minted_for() {
    let directory = TempDir::new().unwrap();
    assert!(matches!(Issuer::open(directory.path()), Err(Error::NoIssuer(_))));
    Issuer::retract(directory.path()).unwrap();
    let issuer = issuer(&directory);
    let mint = |scopes: &[String], ttl| issuer.mint(scopes, ttl, Utc::now());
    for ttl in [Duration::ZERO, MAX_TTL + MIN_TTL, Duration::MAX] {
        assert!(matches!(mint(&read(), ttl), Err(Error::Ttl(_))), "{ttl:?}");
    }
    let unknown = mint(&["api/all".into()], MIN_TTL);
    assert!(matches!(unknown, Err(Error::UnknownScope { .. })), "{unknown:?}");
    Issuer::retract(directory.path()).unwrap();
    assert!(matches!(Issuer::open(directory.path()), Err(Error::NoIssuer(_))));
    fs::write(directory.path().join("issuer.json"), "{").unwrap();
    assert!(matches!(Issuer::open(directory.path()), Err(Error::Damaged { .. })));
}
