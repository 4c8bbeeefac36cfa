use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinSet;

use super::{Answer, Answering, BODY_UNITS, Endpoint, JSON_1_0, Rim, Service, Services, dispatch, is_loopback};
use crate::clock::Clock;

/// Answers with what it was asked, `Slow` only when told to.
#[derive(Default)]
struct Echo {
    asked: Mutex<Vec<String>>,
    arrived: Notify,
    finish: Notify,
}

impl Service for Echo {
    fn handle<'a>(&'a self, operation: &'a str, body: Bytes) -> Answering<'a> {
        self.asked.lock().unwrap().push(operation.to_owned());
        Box::pin(async move {
            if operation == "Slow" {
                self.arrived.notify_one();
                self.finish.notified().await;
            }
            Answer {
                status: 200,
                content_type: JSON_1_0,
                body,
            }
        })
    }

    fn waits(&self, operation: &str) -> bool {
        operation == "Slow"
    }
}

struct Served {
    echo: Arc<Echo>,
    port: u16,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

fn everywhere(echo: &Arc<Echo>) -> Services {
    Services {
        states: echo.clone(),
        dynamodb: echo.clone(),
        secrets: echo.clone(),
        events: echo.clone(),
    }
}

async fn serve() -> Served {
    let echo = Arc::new(Echo::default());
    let services = everywhere(&echo);
    let endpoint = Endpoint::bind(0).await.unwrap();
    assert!(endpoint.address().ip().is_loopback());
    let port = endpoint.address().port();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(endpoint.serve(services, Arc::default(), Clock::system(), async {
        let _ = stopped.await;
    }));
    Served {
        echo,
        port,
        stop,
        server,
    }
}

const TARGET: &str = "X-Amz-Target: AWSStepFunctions.DescribeExecution\r\n";
const TYPE: &str = "Content-Type: application/x-amz-json-1.0\r\n";

/// Sends one request, whole; the status and all of the answer.
async fn send(port: u16, line: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let length = body.len();
    let request = format!("{line} HTTP/1.1\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer[9..12].parse().unwrap();
    (status, answer)
}

#[tokio::test]
async fn a_request_reaches_its_operation_and_the_answer_has_a_request_id() {
    let served = serve().await;
    let headers = format!("Host: localhost:{}\r\n{TARGET}{TYPE}", served.port);
    let (status, answer) = send(served.port, "POST /", &headers, "{\"a\":1}").await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.ends_with("{\"a\":1}"));
    assert!(answer.contains("x-amzn-requestid: "));
    assert!(answer.contains("content-type: application/x-amz-json-1.0"));
    assert_eq!(*served.echo.asked.lock().unwrap(), ["DescribeExecution"]);
}

#[tokio::test]
async fn nothing_a_web_page_could_send_is_handed_on() {
    let served = serve().await;
    let host = "Host: 127.0.0.1\r\n";
    let refused = [
        (403, "POST /", format!("Host: evil.example\r\n{TARGET}{TYPE}")),
        (403, "POST /", format!("{TARGET}{TYPE}")),
        (
            403,
            "POST /",
            format!("{host}Origin: https://evil.example\r\n{TARGET}{TYPE}"),
        ),
        (403, "POST /", format!("{host}Origin: null\r\n{TARGET}{TYPE}")),
        (403, "OPTIONS /", format!("{host}Origin: http://localhost\r\n")),
        (404, "GET /", format!("{host}{TARGET}{TYPE}")),
        (404, "POST /shell", format!("{host}{TARGET}{TYPE}")),
        (404, "POST /", format!("{host}{TARGET}Content-Type: text/plain\r\n")),
        (404, "POST /", format!("{host}{TARGET}")),
        (400, "POST /", format!("{host}{TYPE}")),
        (400, "POST /", format!("{host}{TYPE}X-Amz-Target: AWSSurprise.Do\r\n")),
        (400, "POST /", format!("{host}{TYPE}X-Amz-Target: AWSStepFunctions\r\n")),
    ];
    for (expected, line, headers) in refused {
        let (status, answer) = send(served.port, line, &headers, "").await;
        // hyper itself answers a request without any Host.
        assert!(
            status == expected || (!headers.contains("Host") && status == 400),
            "{headers}{answer}"
        );
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    }
    assert!(served.echo.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_larger_than_any_service_takes_is_refused() {
    let served = serve().await;
    let headers = format!("Host: localhost\r\n{TARGET}{TYPE}");
    let mut stream = TcpStream::connect(("127.0.0.1", served.port)).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n", 17 << 20);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}

#[tokio::test]
async fn what_is_in_flight_at_shutdown_is_answered() {
    let served = serve().await;
    let headers = format!("Host: localhost\r\nX-Amz-Target: AWSEvents.Slow\r\n{TYPE}");
    let port = served.port;
    let call = tokio::spawn(async move { send(port, "POST /", &headers, "{}").await });
    served.echo.arrived.notified().await;
    served.stop.send(()).unwrap();
    served.echo.finish.notify_one();
    assert_eq!(call.await.unwrap().0, 200);
    served.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn callers_that_wait_keep_nobody_out() {
    let echo = Arc::new(Echo::default());
    let rim = Arc::new(Rim {
        services: everywhere(&echo),
        policies: Arc::default(),
        clock: Clock::system(),
        bodies: Semaphore::new(BODY_UNITS as usize),
    });
    let request = |operation: &str| {
        let request = axum::http::Request::post("/").header("x-amz-target", format!("AWSStepFunctions.{operation}"));
        let request = request.header("content-length", 2).body(Body::from("{}"));
        request.expect("a request")
    };
    let mut waiting = JoinSet::new();
    for _ in 0..=BODY_UNITS {
        let (rim, request) = (rim.clone(), request("Slow"));
        waiting.spawn(async move { dispatch(&rim, request).await });
    }
    let other = async {
        while echo.asked.lock().unwrap().len() <= BODY_UNITS as usize {
            tokio::task::yield_now().await;
        }
        dispatch(&rim, request("Quick")).await
    };
    let answered = tokio::time::timeout(Duration::from_secs(20), other).await;
    assert_eq!(answered.expect("it is its turn").status, 200);
}

#[test]
fn only_names_of_this_machine_are_loopback() {
    for host in [
        "localhost",
        "LOCALHOST:3001",
        "127.0.0.1:3001",
        "127.1.2.3",
        "[::1]:3001",
        "sync-localhost:3001",
        "sync-127.0.0.1",
    ] {
        assert!(is_loopback(host), "{host}");
    }
    for host in [
        "",
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "10.0.0.1",
        "[::2]",
        "0.0.0.0",
        "sync-",
    ] {
        assert!(!is_loopback(host), "{host}");
    }
}
