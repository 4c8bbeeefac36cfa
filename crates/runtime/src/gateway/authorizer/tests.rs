use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use chrono::{TimeDelta, TimeZone, Utc};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::issuer::Key;
use crate::jwt::PublicKey;
use crate::template::{Route, RouteKey};

const NOW: i64 = 1_763_720_000;

/// Keys take a while to make: all tests here share two.
static KEYS: LazyLock<[Key; 2]> = LazyLock::new(|| [Key::generate(), Key::generate()]);

/// An issuer on a port of its own that publishes what a test says, and counts how often it is asked.
struct StandIn {
    url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The answers to discovery and to the question for keys, each a status and a body.
    discovery: Mutex<(u16, String)>,
    keys: Mutex<(u16, String)>,
    asked: AtomicU32,
}

impl StandIn {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let answer = |answer: &Mutex<(u16, String)>| {
            let (status, body) = answer.lock().unwrap().clone();
            let response = axum::http::Response::builder().status(status);
            response.header("location", "/keys").body(Body::from(body)).unwrap()
        };
        let (one, other) = (state.clone(), state.clone());
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async move || answer(&one.discovery)),
            )
            .route(
                "/keys",
                get(async move || {
                    other.asked.fetch_add(1, Ordering::Relaxed);
                    answer(&other.keys)
                }),
            );
        tokio::spawn(async move { axum::serve(listener, router).await });
        let issuer = Self { url, state };
        issuer.discovers(
            200,
            json!({"issuer": issuer.url, "jwks_uri": format!("{}/keys", issuer.url)}),
        );
        issuer
    }

    fn discovers(&self, status: u16, body: impl ToString) {
        *self.state.discovery.lock().unwrap() = (status, body.to_string());
    }

    fn publishes(&self, keys: &[(&str, &Key)]) {
        let keys: Vec<Value> = keys
            .iter()
            .map(|(id, key)| PublicKey::to_jwk(&key.public(), id))
            .collect();
        self.answers(200, json!({ "keys": keys }));
    }

    fn answers(&self, status: u16, body: impl ToString) {
        *self.state.keys.lock().unwrap() = (status, body.to_string());
    }

    fn asked(&self) -> u32 {
        self.state.asked.load(Ordering::Relaxed)
    }

    fn authorizers(&self, clock: &Clock) -> Authorizers {
        let rules = JwtAuthorizer {
            issuer: self.url.clone(),
            audience: vec!["me".into(), "us".into()],
            identity_source: IdentitySource::Header("authorization".into()),
            is_local: false,
            position: crate::template::Position::START,
        };
        let api = HttpApi {
            authorizers: BTreeMap::from([("Jwt".to_owned(), rules)]),
            ..HttpApi::default()
        };
        Authorizers::new(&api, Path::new("/nowhere"), clock.clone()).unwrap()
    }

    fn claims(&self) -> Value {
        json!({"iss": self.url, "aud": "me", "exp": NOW + 60, "iat": NOW, "scope": "a b"})
    }

    /// A token that the key signs in the name of `id`.
    fn token(&self, id: &str, key: &Key, changes: &Value) -> String {
        let mut claims = self.claims();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        key.sign_as(&json!({"alg": "RS256", "kid": id}), &claims).unwrap()
    }
}

fn clock() -> Clock {
    Clock::still(Utc.timestamp_opt(NOW, 0).unwrap())
}

fn asks(scopes: &[&str]) -> RouteAuthorizer {
    RouteAuthorizer {
        name: "Jwt".into(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    }
}

fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn bearing(token: &str) -> Parts {
    request("/", &[("authorization", &format!("Bearer {token}"))])
}

/// Status, `www-authenticate` and body of a refusal.
async fn told(denied: Denied) -> (u16, String, String) {
    let response = denied.response();
    let status = response.status().as_u16();
    let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, challenge, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn claims_are_judged_as_api_gateway_judges_them() {
    let issuer = StandIn::start().await;
    issuer.publishes(&[("one", &KEYS[0])]);
    let authorizers = issuer.authorizers(&clock());
    let judged = async |changes: Value| {
        let token = issuer.token("one", &KEYS[0], &changes);
        let admitted = authorizers.admit(&asks(&[]), &bearing(&token)).await;
        admitted.map(drop).map_err(|denied| denied.to_string())
    };
    for fine in [
        json!({}),
        json!({"aud": "us"}),
        json!({"aud": ["them", "us"]}),
        json!({"aud": null, "client_id": "me"}),
        json!({"aud": "me", "client_id": "them"}),
        json!({"exp": NOW as f64 + 0.5}),
        json!({"nbf": NOW}),
        json!({"iat": null}),
        json!({"token_use": "id"}),
        json!({"scope": null}),
    ] {
        assert_eq!(judged(fine.clone()).await, Ok(()), "{fine}");
    }
    let audience = "the token does not have a valid audience";
    for (wrong, why) in [
        (
            json!({"iss": format!("{}/", issuer.url)}),
            "the token does not have a valid issuer",
        ),
        (json!({"iss": null}), "the token does not have a valid issuer"),
        (json!({"iss": [issuer.url]}), "the token does not have a valid issuer"),
        (json!({"aud": "them"}), audience),
        (json!({"aud": "Me"}), audience),
        (json!({"aud": []}), audience),
        (json!({"aud": {"me": true}}), audience),
        (json!({"aud": null}), audience),
        (json!({"aud": null, "client_id": "them"}), audience),
        // What stands in `aud` counts, whatever `client_id` says.
        (json!({"aud": "them", "client_id": "me"}), audience),
        (json!({"exp": NOW}), "the token has expired"),
        (json!({"exp": NOW - 1}), "the token has expired"),
        (json!({"exp": 0}), "the token has expired"),
        (json!({"exp": null}), "the token does not have a valid exp"),
        (
            json!({"exp": (NOW + 60).to_string()}),
            "the token does not have a valid exp",
        ),
        (json!({"nbf": NOW + 1}), "the token is not valid yet"),
        (json!({"nbf": "soon"}), "the token does not have a valid nbf"),
        (json!({"iat": NOW + 1}), "the token is not valid yet"),
    ] {
        assert_eq!(judged(wrong.clone()).await, Err(why.to_owned()), "{wrong}");
    }
    assert_eq!(issuer.asked(), 1, "the keys are asked for once");
}

#[tokio::test]
async fn one_of_the_routes_scopes_is_enough_and_the_function_is_told_all() {
    let issuer = StandIn::start().await;
    issuer.publishes(&[("one", &KEYS[0])]);
    let authorizers = issuer.authorizers(&clock());
    let admitted = async |changes: Value, scopes: &[&str]| {
        let token = issuer.token("one", &KEYS[0], &changes);
        let admitted = authorizers.admit(&asks(scopes), &bearing(&token)).await;
        admitted.ok().map(|admitted| admitted.scopes)
    };
    let both = Some(Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(admitted(json!({}), &["b", "c"]).await, both);
    assert_eq!(admitted(json!({"scope": ["a", "b"]}), &["a"]).await, both);
    assert_eq!(admitted(json!({"scope": null, "scp": "a b"}), &["a"]).await, both);
    assert_eq!(admitted(json!({"scope": null, "scp": ["a", "b"]}), &["a"]).await, both);
    assert_eq!(admitted(json!({}), &[]).await, Some(None));
    for scope in [
        json!({}),
        json!({"scope": null}),
        json!({"scope": {"c": 1}}),
        json!({"scope": "ab c-d"}),
    ] {
        assert_eq!(admitted(scope.clone(), &["c", "A"]).await, None, "{scope}");
    }
    let token = issuer.token("one", &KEYS[0], &json!({}));
    let denied = authorizers
        .admit(&asks(&["c", "d"]), &bearing(&token))
        .await
        .unwrap_err();
    let (status, challenge, body) = told(denied).await;
    assert_eq!((status, body.as_str()), (403, r#"{"message":"Forbidden"}"#));
    assert!(
        challenge.starts_with(r#"Bearer scope="c d" error="insufficient_scope" error_description=""#),
        "{challenge}"
    );
}

#[tokio::test]
async fn refusals_are_api_gateways_to_the_letter() {
    let issuer = StandIn::start().await;
    issuer.publishes(&[("one", &KEYS[0])]);
    let authorizers = issuer.authorizers(&clock());
    let refused = async |headers: &[(&str, &str)]| {
        let parts = request("/?authorization=x", headers);
        let (status, challenge, body) = told(authorizers.admit(&asks(&[]), &parts).await.unwrap_err()).await;
        assert_eq!(
            (status, body.as_str()),
            (401, r#"{"message":"Unauthorized"}"#),
            "{headers:?}"
        );
        challenge
    };
    for nothing in [&[][..], &[("authorization", "")], &[("authorization", "Bearer ")]] {
        assert_eq!(refused(nothing).await, "Bearer", "{nothing:?}");
    }
    let invalid = |why: &str| format!(r#"Bearer scope="" error="invalid_token" error_description="{why}""#);
    let segments = invalid("token contains an invalid number of segments");
    for text in ["token", "Bearer not-a-token", "Bearer a.b.c.d", "Basic dTpw"] {
        assert_eq!(refused(&[("authorization", text)]).await, segments, "{text}");
    }
    let good = issuer.token("one", &KEYS[0], &json!({}));
    let bearer = format!("Bearer {good}");
    assert_eq!(
        refused(&[("authorization", &bearer), ("authorization", &bearer)]).await,
        segments,
        "two tokens are none"
    );
    let foreign = issuer.token("one", &KEYS[0], &json!({"aud": "them"}));
    assert_eq!(
        refused(&[("authorization", &foreign)]).await,
        invalid("the token does not have a valid audience")
    );
    let forged = issuer.token("one", &KEYS[1], &json!({}));
    assert_eq!(
        refused(&[("authorization", &forged)]).await,
        invalid("crypto/rsa: verification error")
    );
    // A client's own words do not get into a header.
    let header = json!({"alg": "x\" y=\"\r\nSet-Cookie: a", "kid": "one"});
    let strange = KEYS[0].sign_as(&header, &issuer.claims()).unwrap();
    assert_eq!(
        refused(&[("authorization", &strange)]).await,
        invalid("signing method xySet-Cookiea is invalid")
    );

    for fine in [
        good.clone(),
        bearer,
        format!("bearer {good}"),
        format!(" BEARER  {good} "),
    ] {
        let admitted = authorizers
            .admit(&asks(&[]), &request("/", &[("authorization", &fine)]))
            .await;
        assert!(admitted.is_ok(), "{fine}");
    }
}

#[tokio::test]
async fn new_keys_are_found_old_ones_kept_for_two_hours_and_the_issuer_is_not_overrun() {
    let issuer = StandIn::start().await;
    issuer.publishes(&[("one", &KEYS[0])]);
    let clock = clock();
    let authorizers = issuer.authorizers(&clock);
    let forever = json!({"exp": NOW + 1_000_000});
    let old = issuer.token("one", &KEYS[0], &forever);
    let new = issuer.token("two", &KEYS[1], &forever);
    let fine = async |token: &str| authorizers.admit(&asks(&[]), &bearing(token)).await.is_ok();
    assert!(fine(&old).await);
    for _ in 0..10 {
        assert!(!fine(&new).await);
    }
    assert_eq!(issuer.asked(), 1, "an unknown key so soon is no reason to ask");

    issuer.publishes(&[("two", &KEYS[1])]);
    clock.jump_to(clock.now() + TimeDelta::seconds(31));
    assert!(fine(&new).await, "the issuer has rotated");
    assert!(!fine(&old).await, "and says nothing of the old key any more");
    assert_eq!(issuer.asked(), 2);

    // It fails: what is known stays known for two hours, and not a moment longer.
    issuer.answers(500, "");
    clock.jump_to(clock.now() + TimeDelta::minutes(119));
    assert!(fine(&new).await);
    assert!(!fine(&old).await);
    assert_eq!(issuer.asked(), 3, "the unknown key was asked for");
    clock.jump_to(clock.now() + TimeDelta::minutes(1));
    assert!(!fine(&new).await);
    assert_eq!(issuer.asked(), 4);
    for _ in 0..10 {
        assert!(!fine(&new).await);
    }
    assert_eq!(issuer.asked(), 4, "a failing issuer is left alone for a moment");
    issuer.publishes(&[("two", &KEYS[1])]);
    clock.jump_to(clock.now() + TimeDelta::seconds(3));
    assert!(fine(&new).await);
    assert_eq!(issuer.asked(), 5);
}

#[tokio::test]
async fn many_requests_wait_for_one_fetch_that_a_client_who_hangs_up_does_not_end() {
    let issuer = StandIn::start().await;
    issuer.publishes(&[("one", &KEYS[0])]);
    let authorizers = Arc::new(issuer.authorizers(&clock()));
    let token = issuer.token("one", &KEYS[0], &json!({}));
    let parts = bearing(&token);
    let route = asks(&[]);
    // Polled once, which begins the fetch, and dropped.
    let mut gone = Box::pin(authorizers.admit(&route, &parts));
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(gone.as_mut().poll(context).is_pending()));
    assert!(polled.await);
    drop(gone);
    let all = (0..32).map(|_| {
        let (authorizers, parts) = (authorizers.clone(), parts.clone());
        tokio::spawn(async move { authorizers.admit(&asks(&[]), &parts).await.is_ok() })
    });
    for one in all.collect::<Vec<_>>() {
        assert!(one.await.unwrap());
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_as_it_should_lets_nobody_in() {
    let discovery = "OIDC discovery endpoint communication error";
    let key_set = "JWKS communication error";
    let failing = async |change: &dyn Fn(&StandIn)| {
        let issuer = StandIn::start().await;
        issuer.publishes(&[("one", &KEYS[0])]);
        change(&issuer);
        let token = issuer.token("one", &KEYS[0], &json!({}));
        let denied = issuer.authorizers(&clock()).admit(&asks(&[]), &bearing(&token)).await;
        denied.unwrap_err().to_string()
    };
    assert_eq!(failing(&|issuer| issuer.discovers(404, "")).await, discovery);
    assert_eq!(failing(&|issuer| issuer.discovers(302, "{}")).await, discovery);
    assert_eq!(failing(&|issuer| issuer.discovers(200, "<html>")).await, discovery);
    assert_eq!(
        failing(&|issuer| issuer.discovers(200, json!({"jwks_uri": "http://example.com/keys"}))).await,
        discovery
    );
    assert_eq!(
        failing(&|issuer| issuer.discovers(200, json!({"jwks_uri": "file:///etc/passwd"}))).await,
        discovery
    );
    let nowhere = json!({"jwks_uri": "http://127.0.0.1:9/keys"});
    assert_eq!(failing(&|issuer| issuer.discovers(200, &nowhere)).await, key_set);
    assert_eq!(failing(&|issuer| issuer.answers(500, "")).await, key_set);
    assert_eq!(
        failing(&|issuer| issuer.answers(302, "")).await,
        key_set,
        "redirects are not followed"
    );
    assert_eq!(failing(&|issuer| issuer.answers(200, "{}")).await, key_set);
    let padded = format!("{}{{\"keys\":[]}}", " ".repeat(keys::MAX_BYTES));
    assert_eq!(failing(&|issuer| issuer.answers(200, &padded)).await, key_set);
    let empty = failing(&|issuer| issuer.answers(200, json!({"keys": []}))).await;
    assert_eq!(empty, "no key of the issuer has the token's key id");
}

#[tokio::test]
async fn an_issuer_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let keys = RemoteKeys::new(&url, clock()).unwrap();
    // It takes the connection, and says nothing.
    let hanging = tokio::spawn(async move {
        let connection = listener.accept().await;
        std::future::pending::<()>().await;
        drop(connection);
    });
    assert_eq!(
        keys.get("one").await.map(|key| key.is_some()),
        Err(Unavailable::Discovery)
    );
    hanging.abort();
}

#[test]
fn an_issuer_must_prove_who_it_is() {
    for fine in [
        "https://issuer.example",
        "https://issuer.example/",
        "https://issuer.example/a/b",
        "http://127.0.0.1:8080",
    ] {
        assert!(RemoteKeys::new(fine, clock()).is_ok(), "{fine}");
    }
    for wrong in [
        "",
        "issuer.example",
        "http://issuer.example",
        "http://127.0.0.1.example",
        "ftp://127.0.0.1",
        "file:///",
    ] {
        assert!(
            matches!(RemoteKeys::new(wrong, clock()), Err(SetupError::Issuer(_))),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_guard_reads_with_one_scope_and_writes_with_all() {
    let issuer = StandIn::start().await;
    issuer.publishes(&[("one", &KEYS[0])]);
    let authorizers = Arc::new(issuer.authorizers(&clock()));
    let route = |method: &str, path: &str, authorizer: Option<RouteAuthorizer>| Route {
        key: RouteKey::parse(method, path).unwrap(),
        function: "f".into(),
        timeout: std::time::Duration::from_secs(1),
        authorizer,
        throttle: None,
    };
    let api = HttpApi {
        routes: vec![
            route("POST", "/open", None),
            route("GET", "/a", Some(asks(&["read"]))),
            route("POST", "/a", Some(asks(&["write"]))),
            route("POST", "/b", Some(asks(&["redrive"]))),
        ],
        ..HttpApi::default()
    };
    let guard = Guard::new(&api, authorizers.clone());
    let admitted = async |method: Method, scope: Option<&str>| {
        let mut parts = match scope {
            Some(scope) => bearing(&issuer.token("one", &KEYS[0], &json!({ "scope": scope }))),
            None => request("/", &[]),
        };
        parts.method = method;
        guard.admit(&parts).await.map_err(|response| response.status().as_u16())
    };
    assert_eq!(admitted(Method::GET, None).await, Err(401));
    let in_force = Ok(Some(std::time::Duration::from_secs(60)));
    assert_eq!(admitted(Method::GET, Some("read")).await, in_force);
    assert_eq!(admitted(Method::GET, Some("write redrive")).await, Err(403));
    assert_eq!(admitted(Method::POST, Some("read write")).await, Err(403));
    assert_eq!(admitted(Method::DELETE, Some("redrive write")).await, in_force);

    let open = HttpApi {
        routes: vec![route("POST", "/open", None)],
        ..HttpApi::default()
    };
    let guard = Guard::new(&open, authorizers);
    assert_eq!(guard.admit(&request("/", &[])).await.ok(), Some(None));
}
