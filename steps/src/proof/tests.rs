use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_763_720_000;
const BODY: &[u8] = b"Hello World!";
const TOKEN: &str = "a token of twenty letters";

fn proofs(secret: Value) -> Proofs {
    Proofs::parse(&secret.to_string()).unwrap()
}

fn request(headers: Value, query: &str) -> Request {
    let parameters: serde_json::Map<String, Value> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    serde_json::from_value(json!({
        "routeKey": "POST /webhooks/jira", "rawPath": "/webhooks/jira", "rawQueryString": query,
        "headers": headers, "queryStringParameters": parameters,
    }))
    .unwrap()
}

fn mac(secret: &str, text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signature(secret: &str) -> String {
    format!("sha256={}", hex(&mac(secret, BODY)))
}

fn token(header: &Value, claims: &Value, secret: &str) -> String {
    let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(mac(secret, signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn hs256(claims: &Value) -> String {
    token(&json!({"alg": "HS256", "typ": "JWT"}), claims, "app")
}

/// Whether a request with this `Authorization` proves itself.
fn bears(authorization: &str, query: &str, accepted: &[Proofs]) -> bool {
    verify(
        &request(json!({ "authorization": authorization }), query),
        BODY,
        NOW,
        accepted,
    )
}

#[test]
fn a_plain_secret_takes_a_signature_and_nothing_else() {
    let plain = [Proofs::parse(TOKEN).unwrap()];
    let with = |headers: Value, query: &str| verify(&request(headers, query), BODY, NOW, &plain);
    assert!(with(json!({ "x-hub-signature": signature(TOKEN) }), ""));
    assert!(!with(json!({ "x-hub-signature": signature("another") }), ""));
    assert!(!with(json!({ "authorization": format!("Bearer {TOKEN}") }), ""));
    assert!(!with(json!({}), &format!("token={TOKEN}")));
    let forged = token(&json!({"alg": "HS256"}), &json!({"exp": NOW + 60}), TOKEN);
    assert!(!with(json!({ "authorization": format!("JWT {forged}") }), ""));
    assert!(!with(json!({}), ""));
}

#[test]
fn each_proof_is_taken_where_the_secret_has_a_value_for_it_in_either_of_two_versions() {
    let ways = [
        (
            json!({"signature": TOKEN}),
            json!({ "x-hub-signature": signature(TOKEN) }),
            "",
        ),
        (
            json!({"jwt": "app"}),
            json!({ "authorization": format!("JWT {}", hs256(&json!({"exp": NOW + 60}))) }),
            "",
        ),
        (
            json!({"bearer": TOKEN}),
            json!({ "authorization": format!("Bearer {TOKEN}") }),
            "",
        ),
        (json!({"url": TOKEN}), json!({}), "token=a token of twenty letters"),
    ];
    for (taking, (secret, ..)) in ways.iter().enumerate() {
        for (presenting, (_, headers, query)) in ways.iter().enumerate() {
            let request = request(headers.clone(), query);
            let old =
                proofs(json!({"signature": "old", "jwt": "old", "bearer": [TOKEN.repeat(2)], "url": TOKEN.repeat(3)}));
            let proved = verify(&request, BODY, NOW, &[old, proofs(secret.clone())]);
            assert_eq!(proved, taking == presenting, "{secret} {headers} {query}");
        }
    }
    let many = [proofs(json!({"bearer": [TOKEN, "another of twenty letters"]}))];
    assert!(
        bears("bearer another of twenty letters", "", &many),
        "the scheme has no case"
    );
    for wrong in [
        "another of twenty letter",
        "Basic another of twenty letters",
        "Bearer",
        "Bearer ",
        "",
    ] {
        assert!(!bears(wrong, "", &many), "{wrong}");
    }
}

#[test]
fn the_strongest_proof_that_is_presented_decides() {
    let all = [proofs(json!({"signature": "key", "bearer": TOKEN, "url": TOKEN}))];
    let with = |headers: Value, query: &str| verify(&request(headers, query), BODY, NOW, &all);
    let (right, wrong) = (signature("key"), signature("another"));
    let bearer = format!("Bearer {TOKEN}");
    assert!(with(
        json!({"x-hub-signature": right, "authorization": "Bearer of news"}),
        "token=x"
    ));
    assert!(!with(
        json!({"x-hub-signature": wrong, "authorization": bearer}),
        &format!("token={TOKEN}")
    ));
    assert!(!with(
        json!({"authorization": "Bearer of news"}),
        &format!("token={TOKEN}")
    ));
}

#[test]
fn a_token_of_atlassian_is_judged_by_algorithm_signature_and_time() {
    let app = [proofs(json!({"jwt": ["other", "app"]}))];
    let taken = |token: String| bears(&format!("JWT {token}"), "", &app) && bears(&format!("Bearer {token}"), "", &app);
    for fine in [
        json!({"exp": NOW + 180}),
        json!({"exp": NOW - 59, "iat": NOW + 60, "nbf": NOW + 60, "iss": "site", "sub": "x", "context": {}}),
    ] {
        assert!(taken(hs256(&fine)), "{fine}");
    }
    for wrong in [
        json!({}),
        json!({"exp": NOW - 60}),
        json!({"exp": "never"}),
        json!({"exp": null}),
        json!({"exp": NOW + 180, "iat": NOW + 61}),
        json!({"exp": NOW + 180, "nbf": NOW + 61}),
        json!({"exp": NOW + 180, "qsh": "context-qsh"}),
        json!([]),
    ] {
        assert!(!taken(hs256(&wrong)), "{wrong}");
    }
    let claims = json!({"exp": NOW + 180});
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "hs256"}),
        json!({"alg": "HS512"}),
        json!({"alg": "RS256"}),
        json!({"alg": "HS256", "crit": ["b64"]}),
        json!({}),
    ] {
        assert!(!taken(token(&header, &claims, "app")), "{header}");
    }
    assert!(!taken(token(&json!({"alg": "HS256"}), &claims, "another")));
    let good = hs256(&claims);
    let (signed, _) = good.rsplit_once('.').unwrap();
    for broken in [
        signed.to_owned(),
        format!("{signed}."),
        format!("{good}."),
        format!("{good}.x"),
        "..".to_owned(),
    ] {
        assert!(!taken(broken.clone()), "{broken}");
    }
    let of_one_site = [proofs(json!({"jwt": [{"secret": "app", "issuer": "site"}]}))];
    let from = |issuer: Value| {
        bears(
            &format!("JWT {}", hs256(&json!({"exp": NOW, "iss": issuer}))),
            "",
            &of_one_site,
        )
    };
    assert!(from(json!("site")) && !from(json!("another")) && !from(Value::Null));
}

#[test]
fn a_token_that_is_tied_to_a_request_is_taken_for_that_one_only() {
    let app = [proofs(json!({"jwt": "app"}))];
    let tied = |canonical: &str, query: &str| {
        let hash = hex(&Sha256::digest(canonical));
        bears(
            &format!("JWT {}", hs256(&json!({"exp": NOW + 180, "qsh": hash}))),
            query,
            &app,
        )
    };
    // Whatever the base URL of the app is.
    for canonical in ["POST&/webhooks/jira&", "POST&/jira&", "POST&/&"] {
        assert!(tied(canonical, ""), "{canonical}");
    }
    for canonical in [
        "GET&/webhooks/jira&",
        "POST&/webhooks&",
        "POST&/tickets&",
        "POST&webhooks/jira&",
        "",
    ] {
        assert!(!tied(canonical, ""), "{canonical}");
    }
    // The examples of Atlassian's documentation for the query.
    for (query, canonical) in [
        ("b=2&a=1", "a=1&b=2"),
        ("a=x&a=10&a=y&a=1", "a=1,10,x,y"),
        ("a=1%2C2", "a=1%2C2"),
        ("q=a+b%20c", "q=a%20b%20c"),
        ("%c3%bc=*~", "%C3%BC=%2A~"),
        ("a=1&jwt=x", "a=1"),
        ("flag", "flag="),
        ("a=100%&b=%2", "a=100%25&b=%252"),
    ] {
        assert!(tied(&format!("POST&/webhooks/jira&{canonical}"), query), "{query}");
        assert!(!tied("POST&/webhooks/jira&", query), "{query}");
    }
}

#[test]
fn a_secret_that_takes_nothing_or_can_be_guessed_is_none() {
    for (secret, error) in [
        ("", Error::Empty("signature")),
        ("{}", Error::Nothing),
        (r#"{"signature": []}"#, Error::Nothing),
        (r#"{"signature": ""}"#, Error::Empty("signature")),
        (r#"{"jwt": [""]}"#, Error::Empty("jwt")),
        (r#"{"bearer": "short"}"#, Error::Short("bearer")),
        (
            r#"{"url": ["19 characters, no more"], "bearer": ""}"#,
            Error::Empty("bearer"),
        ),
        (r#"{"url": "nineteen characters"}"#, Error::Short("url")),
        (r#"{"urls": "a token of twenty letters"}"#, Error::Shape),
        (r#"{"signature": 7}"#, Error::Shape),
        (r#" {"signature": "x""#, Error::Shape),
    ] {
        assert_eq!(Proofs::parse(secret).err(), Some(error), "{secret}");
    }
    let shown = format!("{:?}", proofs(json!({"signature": "x", "bearer": TOKEN})));
    assert!(!shown.contains(TOKEN), "{shown}");
}
