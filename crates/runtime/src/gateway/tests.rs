use std::pin::Pin;
use std::sync::Mutex;

use axum::http::Method;
use axum::routing::get;
use chrono::{TimeZone, Utc};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::template::{Cors, IdentitySource, JwtAuthorizer, Route, RouteAuthorizer, RouteKey, Throttle};

/// A function by what it answers to an event.
type Play = dyn Fn(Value) -> Result<Bytes, InvokeError> + Send + Sync;

struct Script {
    play: Box<Play>,
    events: Mutex<Vec<Value>>,
    /// Answers wait for it, if there is one.
    gate: Option<Arc<Gate>>,
}

#[derive(Default)]
struct Gate {
    entered: Notify,
    open: Notify,
}

impl Invoke for Script {
    fn invoke(&self, invocation: Invocation) -> Pin<Box<dyn Future<Output = Result<Bytes, InvokeError>> + Send + '_>> {
        Box::pin(async move {
            let event: Value = serde_json::from_slice(&invocation.payload).unwrap();
            self.events.lock().unwrap().push(event.clone());
            if let Some(gate) = &self.gate {
                gate.entered.notify_one();
                gate.open.notified().await;
            }
            (self.play)(event)
        })
    }
}

/// A gateway that is served on a port of its own.
struct Served {
    address: SocketAddr,
    script: Arc<Script>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<std::io::Result<()>>,
}

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn headers(&self, name: &str) -> Vec<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn route(method: &str, path: &str) -> Route {
    let key = if path.is_empty() {
        RouteKey::Default
    } else {
        RouteKey::parse(method, path).unwrap()
    };
    Route {
        function: key.to_string(),
        key,
        timeout: Duration::from_secs(30),
        authorizer: None,
        throttle: None,
    }
}

fn api(routes: Vec<Route>) -> HttpApi {
    HttpApi {
        id: "localhttp0".into(),
        routes,
        ..HttpApi::default()
    }
}

/// A gateway of an API whose authorizers' issuer is local, and has no key yet.
fn gateway(api: HttpApi, invoke: Arc<dyn Invoke>, clock: Clock) -> Gateway {
    let authorizers = Authorizers::new(&api, std::path::Path::new("/nowhere"), clock.clone()).unwrap();
    Gateway::new(api, invoke, authorizers, clock)
}

fn ok() -> Box<Play> {
    Box::new(|_| Ok(Bytes::from_static(b"{}")))
}

impl Served {
    async fn start(api: HttpApi, play: Box<Play>) -> Served {
        Served::start_with(
            api,
            Script {
                play,
                events: Mutex::default(),
                gate: None,
            },
            Router::new(),
        )
        .await
    }

    async fn start_with(api: HttpApi, script: Script, mounted: Router) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(script);
        let clock = Clock::still(Utc.timestamp_millis_opt(1_763_720_000_123).unwrap());
        let gateway = gateway(api, Arc::clone(&script) as Arc<dyn Invoke>, clock);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, gateway, mounted, async {
            let _ = stopped.await;
        }));
        Served {
            address,
            script,
            stop: Some(stop),
            serving,
        }
    }

    /// Sends the head's lines, with Host and Connection added, and the body.
    async fn send(&self, head: &str, body: &[u8]) -> Reply {
        let port = self.address.port();
        self.send_raw(
            &format!("{head}\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"),
            body,
        )
        .await
    }

    async fn post(&self, headers: &str, body: &[u8]) -> Reply {
        let length = body.len();
        self.send(&format!("POST / HTTP/1.1\r\nContent-Length: {length}{headers}"), body)
            .await
    }

    async fn send_raw(&self, head: &str, body: &[u8]) -> Reply {
        let (mut reader, mut writer) = TcpStream::connect(self.address).await.unwrap().into_split();
        writer.write_all(head.as_bytes()).await.unwrap();
        let body = body.to_vec();
        // What is refused early is not read to its end: writing may fail then.
        let writing = tokio::spawn(async move {
            let _ = writer.write_all(&body).await;
            writer
        });
        let mut bytes = Vec::new();
        let _ = reader.read_to_end(&mut bytes).await;
        writing.abort();
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("a complete head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply {
            status,
            head,
            body: bytes[end + 4..].to_vec(),
        }
    }

    fn event(&self) -> Value {
        self.script.events.lock().unwrap().last().unwrap().clone()
    }
}

#[test]
fn the_most_specific_route_takes_the_request() {
    let keys = [
        ("GET", "/tickets"),
        ("GET", "/tickets/{key}"),
        ("GET", "/tickets/open"),
        ("ANY", "/tickets/{key}"),
        ("GET", "/tickets/{key}/history"),
        ("POST", "/{proxy+}"),
        ("ANY", "/files/{path+}"),
        ("GET", "/"),
    ];
    let routes: Vec<Route> = keys.iter().map(|(method, path)| route(method, path)).collect();
    let found = |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        routing::find(&routes, &method, path).map(|(index, parameters)| {
            let parameters: Vec<String> = parameters
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("{} {}", routes[index].key, parameters.join(" "))
                .trim()
                .to_owned()
        })
    };
    let cases = [
        ("GET", "/tickets", Some("GET /tickets")),
        ("GET", "/tickets/", None),
        ("GET", "/tickets/open", Some("GET /tickets/open")),
        ("GET", "/tickets/A-1", Some("GET /tickets/{key} key=A-1")),
        ("PUT", "/tickets/open", Some("ANY /tickets/{key} key=open")),
        (
            "GET",
            "/tickets/A-1/history",
            Some("GET /tickets/{key}/history key=A-1"),
        ),
        ("POST", "/tickets/A-1", Some("ANY /tickets/{key} key=A-1")),
        ("POST", "/tickets/A-1/x", Some("POST /{proxy+} proxy=tickets/A-1/x")),
        ("DELETE", "/files/a/b//c", Some("ANY /files/{path+} path=a/b//c")),
        ("POST", "/files/a", Some("ANY /files/{path+} path=a")),
        ("GET", "/files", None),
        ("GET", "/", Some("GET /")),
        ("POST", "/", None),
        ("HEAD", "/tickets", None),
    ];
    for (method, path, expected) in cases {
        assert_eq!(found(method, path).as_deref(), expected, "{method} {path}");
    }
    let with_default: Vec<Route> = routes.into_iter().chain([route("", "")]).collect();
    let (default, _) = routing::find(&with_default, &Method::GET, "/nowhere/at/all").unwrap();
    assert_eq!(with_default[default].key, RouteKey::Default);
}

#[tokio::test]
async fn an_event_is_as_api_gateway_writes_it() {
    let mut api = api(vec![route("ANY", "/tickets/{key}/{rest+}")]);
    api.stage_variables.insert("level".into(), "high".into());
    let served = Served::start(api, ok()).await;
    let reply = served
        .send(
            "PUT /tickets/A%201/x/%C3%BC?b=1&a=x%2Cy+z&b=%262&flag HTTP/1.1\r\nCookie: one=1; two=2\r\nX-Many: a\r\n\
             x-many: b\r\nUser-Agent: test/1\r\nX-Forwarded-For: 203.0.113.9\r\nContent-Type: application/json\r\n\
             Content-Length: 7",
            br#"{"a":1}"#,
        )
        .await;
    assert_eq!(reply.status, 200);
    let mut event = served.event();
    let trace = event["headers"]["x-amzn-trace-id"].take();
    assert!(trace.as_str().unwrap().starts_with("Root=1-69203b40-"), "{trace}");
    assert_eq!(
        event["requestContext"]["requestId"].take().as_str(),
        reply.header("apigw-requestid")
    );
    let port = served.address.port().to_string();
    let expected = json!({
        "version": "2.0",
        "routeKey": "ANY /tickets/{key}/{rest+}",
        "rawPath": "/tickets/A 1/x/ü",
        "rawQueryString": "b=1&a=x%2Cy+z&b=%262&flag",
        "cookies": ["one=1", "two=2"],
        "headers": {
            "connection": "close",
            "content-length": "7",
            "content-type": "application/json",
            "host": format!("127.0.0.1:{port}"),
            "user-agent": "test/1",
            "x-amzn-trace-id": null,
            "x-forwarded-for": "203.0.113.9,127.0.0.1",
            "x-forwarded-port": port,
            "x-forwarded-proto": "http",
            "x-many": "a,b",
        },
        "queryStringParameters": { "a": "x,y z", "b": "1,&2", "flag": "" },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "localhttp0",
            "domainName": "127.0.0.1",
            "domainPrefix": "127",
            "http": {
                "method": "PUT",
                "path": "/tickets/A 1/x/ü",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test/1",
            },
            "requestId": null,
            "routeKey": "ANY /tickets/{key}/{rest+}",
            "stage": "$default",
            "time": "21/Nov/2025:10:13:20 +0000",
            "timeEpoch": 1_763_720_000_123_i64,
        },
        "pathParameters": { "key": "A 1", "rest": "x/ü" },
        "stageVariables": { "level": "high" },
        "body": "{\"a\":1}",
        "isBase64Encoded": false,
    });
    assert_eq!(event, expected);
}

/// What the local issuer's tokens open, and what the function behind is told of them.
#[tokio::test]
async fn an_event_tells_who_calls_as_api_gateway_tells_it() {
    let directory = tempfile::TempDir::new().unwrap();
    let identity = crate::issuer::Identity {
        issuer: "https://issuer.example/pool".into(),
        client_id: "client".into(),
        scopes: vec!["api/read".into(), "api/write".into()],
    };
    crate::issuer::Issuer::declare(directory.path(), &identity).unwrap();
    let issuer = crate::issuer::Issuer::open(directory.path()).unwrap();
    let now = Utc.timestamp_millis_opt(1_763_720_000_123).unwrap();
    let minted = issuer.mint(&identity.scopes, Duration::from_secs(60), now).unwrap();
    let asking = |path: &str, scopes: &[&str]| Route {
        authorizer: Some(RouteAuthorizer {
            name: "Jwt".into(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        }),
        ..route("GET", path)
    };
    let rules = JwtAuthorizer {
        issuer: identity.issuer.clone(),
        audience: vec!["client".into()],
        identity_source: IdentitySource::Query("t".into()),
        is_local: true,
        position: crate::template::Position::START,
    };
    let api = HttpApi {
        authorizers: [("Jwt".to_owned(), rules)].into(),
        ..api(vec![
            asking("/scoped", &["api/read"]),
            asking("/any", &[]),
            asking("/more", &["api/all"]),
        ])
    };
    let clock = Clock::still(now);
    let authorizers = Authorizers::new(&api, directory.path(), clock.clone()).unwrap();
    let script = Arc::new(Script {
        play: ok(),
        events: Mutex::default(),
        gate: None,
    });
    let gateway = Gateway::new(api, script.clone(), authorizers, clock.clone());
    let ask = async |path: &str, token: &str| {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = format!("{path}?t={token}").parse().unwrap();
        gateway.answer(request).await.status().as_u16()
    };
    for (path, token, status) in [
        ("/scoped", minted.token.as_str(), 200),
        ("/any", &minted.token, 200),
        ("/more", &minted.token, 403),
        ("/any", "", 401),
        ("/any", "a.b.c", 401),
    ] {
        assert_eq!(ask(path, token).await, status, "{path}");
    }
    clock.jump_to(now + chrono::TimeDelta::seconds(60));
    assert_eq!(ask("/any", &minted.token).await, 200, "skipped time ages no token");

    let events = script.events.lock().unwrap();
    assert_eq!(events.len(), 3, "nobody else got as far as a function");
    let jwt = |event: &Value| {
        let mut jwt = event["requestContext"]["authorizer"]["jwt"].clone();
        assert!(jwt["claims"]["jti"].take().is_string());
        jwt
    };
    let claims = json!({
        "iss": "https://issuer.example/pool", "sub": "client", "client_id": "client", "token_use": "access",
        "scope": "api/read api/write", "iat": "1763720000", "exp": "1763720060", "jti": null,
    });
    assert_eq!(
        jwt(&events[0]),
        json!({"claims": claims, "scopes": ["api/read", "api/write"]})
    );
    assert_eq!(jwt(&events[1]), json!({"claims": claims, "scopes": null}));
}

#[test]
fn claims_are_texts() {
    for (claim, text) in [
        (json!("text"), "text"),
        (json!(1_763_720_060), "1763720060"),
        (json!(true), "true"),
        (json!(null), "<nil>"),
        (json!(["admins", "operators"]), "[admins operators]"),
        (json!([]), "[]"),
        (json!({"b": [1], "a": "x"}), "map[a:x b:[1]]"),
    ] {
        assert_eq!(event::claim(&claim), text);
    }
}

#[tokio::test]
async fn what_is_empty_is_left_out_of_the_event() {
    let served = Served::start(api(vec![route("", "")]), ok()).await;
    served.send("GET / HTTP/1.1", b"").await;
    let event = served.event();
    let members: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "version",
        "routeKey",
        "rawPath",
        "rawQueryString",
        "headers",
        "requestContext",
        "isBase64Encoded",
    ];
    assert_eq!(members, expected);
    assert_eq!(event["routeKey"], "$default");
}

#[tokio::test]
async fn bodies_are_text_or_base64_by_their_type() {
    let served = Served::start(api(vec![route("", "")]), ok()).await;
    let cases: [(&str, &[u8], &str, bool); 9] = [
        ("\r\nContent-Type: application/json; charset=utf-8", b"{}", "{}", false),
        ("\r\nContent-Type: Text/Plain", b"hi", "hi", false),
        ("\r\nContent-Type: application/xml", b"<a/>", "<a/>", false),
        ("\r\nContent-Type: application/javascript", b"1", "1", false),
        (
            "\r\nContent-Type: application/x-www-form-urlencoded",
            b"a=1",
            "YT0x",
            true,
        ),
        ("\r\nContent-Type: application/problem+json", b"{}", "e30=", true),
        ("\r\nContent-Type: application/octet-stream", b"\x00\xff", "AP8=", true),
        ("", b"hi", "aGk=", true),
        // Not UTF-8 after all.
        ("\r\nContent-Type: text/plain", b"\xff", "/w==", true),
    ];
    for (headers, body, expected, encoded) in cases {
        served.post(headers, body).await;
        let event = served.event();
        assert_eq!(
            (event["body"].as_str(), &event["isBase64Encoded"]),
            (Some(expected), &json!(encoded)),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn results_become_responses() {
    let played: Arc<Mutex<Bytes>> = Arc::default();
    let play = Arc::clone(&played);
    let served = Served::start(
        api(vec![route("", "")]),
        Box::new(move |_| Ok(play.lock().unwrap().clone())),
    )
    .await;
    let plain = "text/plain;charset=UTF-8";
    let error = r#"{"message":"Internal Server Error"}"#;
    let cases = [
        // Without a statusCode the result is the body.
        (
            r#"{"message":"Hello"}"#,
            200,
            "application/json",
            r#"{"message":"Hello"}"#,
        ),
        (r#""hello""#, 200, "application/json", r#""hello""#),
        ("null", 200, "application/json", "null"),
        ("[1, 2.50]", 200, "application/json", "[1, 2.50]"),
        (r#"{"body":"x"}"#, 200, "application/json", r#"{"body":"x"}"#),
        // With one it describes the response.
        (r#"{"statusCode":201}"#, 201, plain, ""),
        (r#"{"statusCode":"202","body":"ok"}"#, 202, plain, "ok"),
        (
            r#"{"statusCode":200,"body":null,"headers":null,"cookies":null}"#,
            200,
            plain,
            "",
        ),
        (
            r#"{"statusCode":404,"headers":{"Content-Type":"a/b","X-N":3,"Content-Length":"99"},"body":"no"}"#,
            404,
            "a/b",
            "no",
        ),
        (
            r#"{"statusCode":200,"isBase64Encoded":true,"body":"aGk="}"#,
            200,
            plain,
            "hi",
        ),
        // What is neither is the function's fault.
        ("", 500, "application/json", error),
        ("{", 500, "application/json", error),
        (r#"{"statusCode":99}"#, 500, "application/json", error),
        (r#"{"statusCode":101}"#, 500, "application/json", error),
        (r#"{"statusCode":"ok"}"#, 500, "application/json", error),
        (r#"{"statusCode":200,"body":{}}"#, 500, "application/json", error),
        (
            r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
            500,
            "application/json",
            error,
        ),
        (
            r#"{"statusCode":200,"headers":{"a":"b\nc"}}"#,
            500,
            "application/json",
            error,
        ),
        (
            r#"{"statusCode":200,"headers":{"a":["b"]}}"#,
            500,
            "application/json",
            error,
        ),
        (r#"{"statusCode":200,"cookies":"a=1"}"#, 500, "application/json", error),
        (
            r#"{"statusCode":200,"isBase64Encoded":true,"body":"?"}"#,
            500,
            "application/json",
            error,
        ),
    ];
    for (result, status, content_type, body) in cases {
        *played.lock().unwrap() = Bytes::from(result);
        let reply = served.send("GET / HTTP/1.1", b"").await;
        assert_eq!(
            (reply.status, reply.header("content-type"), reply.text()),
            (status, Some(content_type), body),
            "{result}"
        );
        assert!(reply.header("apigw-requestid").is_some());
    }
    let cookies = r#"{"statusCode":200,"cookies":["a=1; Secure","b=2"],"headers":{"x-one":"1,2"}}"#;
    *played.lock().unwrap() = Bytes::from(cookies);
    let reply = served.send("GET / HTTP/1.1", b"").await;
    assert_eq!(reply.headers("set-cookie"), ["a=1; Secure", "b=2"]);
    assert_eq!(reply.header("x-one"), Some("1,2"));
}

#[tokio::test]
async fn what_the_gateway_refuses_it_refuses_in_api_gateways_words() {
    let mut closed = route("GET", "/closed");
    closed.authorizer = Some(RouteAuthorizer {
        name: "Jwt".into(),
        scopes: Vec::new(),
    });
    let mut slow = route("GET", "/slow");
    slow.timeout = Duration::from_millis(1);
    let script = Script {
        play: ok(),
        events: Mutex::default(),
        gate: Some(Arc::default()),
    };
    let served = Served::start_with(api(vec![closed, slow, route("POST", "/")]), script, Router::new()).await;

    let long = "x".repeat(MAX_HEAD_BYTES);
    let cases = [
        ("GET /nowhere HTTP/1.1".to_owned(), 404, "Not Found"),
        ("PUT / HTTP/1.1".to_owned(), 404, "Not Found"),
        ("GET /%ff HTTP/1.1".to_owned(), 400, "Bad Request"),
        ("GET /closed HTTP/1.1".to_owned(), 401, "Unauthorized"),
        ("GET /slow HTTP/1.1".to_owned(), 503, "Service Unavailable"),
        (
            format!("GET /nowhere HTTP/1.1\r\nX: {long}"),
            431,
            "Request Header Fields Too Large",
        ),
        (format!("GET /{long} HTTP/1.1"), 431, "Request Header Fields Too Large"),
        (
            format!("POST / HTTP/1.1\r\nContent-Length: {}", MAX_BODY_BYTES + 1),
            413,
            "Request Entity Too Large",
        ),
        (
            "GET / HTTP/1.1\r\nOrigin: https://example.com".to_owned(),
            403,
            "Forbidden",
        ),
    ];
    for (head, status, message) in cases {
        let reply = served.send(&head, b"").await;
        let body = format!(r#"{{"message":"{message}"}}"#);
        let shown = &head[..head.len().min(60)];
        assert_eq!((reply.status, reply.text()), (status, body.as_str()), "{shown}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{shown}");
    }
    // 6 MB as it arrives, more as an event.
    let large = vec![b'"'; MAX_REQUEST_BYTES - 1000];
    let reply = served.post("\r\nContent-Type: text/plain", &large).await;
    assert_eq!(
        (reply.status, reply.text()),
        (413, r#"{"message":"Request Entity Too Large"}"#)
    );
    let mut chunk = format!("{:x}\r\n", MAX_BODY_BYTES + 1).into_bytes();
    chunk.resize(chunk.len() + MAX_BODY_BYTES + 1, b'x');
    let reply = served
        .send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked", &chunk)
        .await;
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_gets_its_refusal_too() {
    let served = Served::start(api(vec![route("POST", "/")]), ok()).await;
    let body = vec![b'x'; MAX_BODY_BYTES + 1];
    let head = format!(
        "HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
        served.address,
        body.len()
    );
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    // One connection for all of them: what was refused is read to its end.
    for (line, status) in [("POST / ", "413"), ("POST /nowhere ", "404"), ("POST / ", "413")] {
        stream.write_all(line.as_bytes()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\"}") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the connection stays");
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn more_requests_than_can_be_carried_are_turned_away() {
    let script = Script {
        play: ok(),
        events: Mutex::default(),
        gate: None,
    };
    let gateway = gateway(api(vec![route("", "")]), Arc::new(script), Clock::system());
    let request = || Request::new(Body::empty());
    let all = gateway
        .requests
        .acquire_many(u32::try_from(MAX_REQUESTS).unwrap())
        .await
        .unwrap();
    let response = gateway.answer(request()).await;
    assert_eq!(response.status(), 429);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, Bytes::from_static(br#"{"message":"Too Many Requests"}"#));
    drop(all);
    assert_eq!(gateway.answer(request()).await.status(), 200);
}

#[tokio::test]
async fn a_function_that_fails_is_answered_in_api_gateways_words() {
    let service = |code, status| InvokeError::Service {
        code,
        status,
        message: "secret".into(),
    };
    let cases = [
        (
            InvokeError::Function {
                payload: Bytes::from_static(b"{\"errorMessage\":\"secret\"}"),
            },
            500,
            "Internal Server Error",
        ),
        (service("TooManyRequestsException", 429), 503, "Service Unavailable"),
        (service("ServiceException", 500), 500, "Internal Server Error"),
        (service("ResourceNotFoundException", 404), 500, "Internal Server Error"),
        (
            service("RequestTooLargeException", 413),
            413,
            "Request Entity Too Large",
        ),
    ];
    for (error, status, message) in cases {
        let shown = error.to_string();
        let served = Served::start(api(vec![route("", "")]), Box::new(move |_| Err(error.clone()))).await;
        let reply = served.send("GET / HTTP/1.1", b"").await;
        assert_eq!(
            (reply.status, reply.text()),
            (status, format!(r#"{{"message":"{message}"}}"#).as_str()),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_route_takes_as_many_as_its_settings_say_and_others_go_on() {
    let mut tight = route("GET", "/tight");
    tight.throttle = Some(Throttle {
        rate: Some(2.0),
        burst: Some(3),
    });
    let script = Script {
        play: ok(),
        events: Mutex::default(),
        gate: None,
    };
    let clock = Clock::still(Utc.timestamp_millis_opt(1_763_720_000_000).unwrap());
    let gateway = gateway(api(vec![tight, route("GET", "/free")]), Arc::new(script), clock.clone());
    let statuses = async |path: &'static str, count: usize| {
        let mut statuses = Vec::new();
        for _ in 0..count {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = path.parse().unwrap();
            statuses.push(gateway.answer(request).await.status().as_u16());
        }
        statuses
    };
    assert_eq!(statuses("/tight", 4).await, [200, 200, 200, 429]);
    assert_eq!(statuses("/free", 8).await, [200; 8]);
    clock.jump_to(clock.now() + chrono::TimeDelta::milliseconds(499));
    assert_eq!(statuses("/tight", 1).await, [429], "half a token is none");
    clock.jump_to(clock.now() + chrono::TimeDelta::milliseconds(1));
    assert_eq!(statuses("/tight", 2).await, [200, 429]);
    clock.jump_to(clock.now() + chrono::TimeDelta::hours(1));
    assert_eq!(
        statuses("/tight", 4).await,
        [200, 200, 200, 429],
        "no more than the burst"
    );
}

#[tokio::test]
async fn origins_are_shared_with_as_the_template_says() {
    let mut api = api(vec![route("GET", "/")]);
    api.cors = Some(Cors {
        allow_origins: vec!["https://app.example.com".into()],
        allow_headers: vec!["authorization".into()],
        allow_methods: vec!["GET".into(), "PUT".into()],
        expose_headers: vec!["x-total".into()],
        max_age_seconds: Some(60),
        allow_credentials: true,
    });
    let play = r#"{"statusCode":200,"headers":{"Access-Control-Allow-Origin":"*"}}"#;
    let served = Served::start(api, Box::new(move |_| Ok(Bytes::from_static(play.as_bytes())))).await;
    let origin = "\r\nOrigin: https://app.example.com";

    let reply = served
        .send(
            &format!("OPTIONS /any HTTP/1.1\r\nAccess-Control-Request-Method: PUT{origin}"),
            b"",
        )
        .await;
    let found =
        ["origin", "methods", "headers", "credentials"].map(|it| reply.header(&format!("access-control-allow-{it}")));
    assert_eq!(reply.status, 204);
    assert_eq!(
        found,
        [
            Some("https://app.example.com"),
            Some("GET,PUT"),
            Some("authorization"),
            Some("true")
        ]
    );
    assert_eq!(reply.header("access-control-max-age"), Some("60"));

    let reply = served.send(&format!("GET / HTTP/1.1{origin}"), b"").await;
    assert_eq!(
        reply.headers("access-control-allow-origin"),
        ["https://app.example.com"]
    );
    assert_eq!(
        (reply.header("vary"), reply.header("access-control-expose-headers")),
        (Some("origin"), Some("x-total"))
    );

    let reply = served.send("GET / HTTP/1.1", b"").await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn what_is_mounted_comes_first_and_stands_behind_the_same_door() {
    let mounted = Router::new().route("/console/", get(|| async { "console" }));
    let script = Script {
        play: ok(),
        events: Mutex::default(),
        gate: None,
    };
    let served = Served::start_with(api(vec![route("", "")]), script, mounted).await;
    assert_eq!(served.send("GET /console/ HTTP/1.1", b"").await.text(), "console");
    assert_eq!(served.send("GET /other HTTP/1.1", b"").await.text(), "{}");
    let reply = served
        .send_raw(
            "GET /console/ HTTP/1.1\r\nHost: evil:80\r\nConnection: close\r\n\r\n",
            b"",
        )
        .await;
    assert_eq!(reply.status, 403);
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_flight() {
    let gate: Arc<Gate> = Arc::default();
    let script = Script {
        play: ok(),
        events: Mutex::default(),
        gate: Some(Arc::clone(&gate)),
    };
    let mut served = Served::start_with(api(vec![route("", "")]), script, Router::new()).await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    let stop = served.stop.take().unwrap();
    let (reply, ()) = tokio::join!(served.send("GET / HTTP/1.1", b""), async {
        gate.entered.notified().await;
        stop.send(()).unwrap();
        // The idle connection is closed at once, which shows that the shutdown has begun.
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
        assert!(
            TcpStream::connect(served.address).await.is_err(),
            "nothing new is taken"
        );
        gate.open.notify_one();
    });
    assert_eq!((reply.status, reply.text()), (200, "{}"));
    served.serving.await.unwrap().unwrap();
}
