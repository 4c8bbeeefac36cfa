//! A Lambda function that does wrong on request, for the tests of the Lambda host.
//!
//! It speaks the Runtime API by hand, since no library would say what it must say here.
//! The event tells what to do, `{"do": "exit", "status": 3}`; the variable `AT_INIT` what to do before the first question.
//! Called as the launcher, it is one; called with `host`, it is a whole host, to be killed by a test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, ExitCode};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(3_600);

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(first) if first == OsStr::new(runtime::lambda::LAUNCHER_COMMAND) => runtime::lambda::launch(arguments),
        Some(first) if first == OsStr::new("host") => host(),
        _ => function(),
    }
}

/// Invokes a function that never ends and leaves its process id in the file named by `PID_FILE`.
#[tokio::main]
async fn host() -> ExitCode {
    use runtime::lambda::{Function, Host, HostConfig, Invocation, Invoke};

    let program = std::env::current_exe().expect("a program has a path");
    let function = Function {
        name: "sleeper".to_owned(),
        arn: "arn:aws:lambda:us-west-2:000000000000:function:sleeper".to_owned(),
        program: program.clone(),
        handler: "bootstrap".to_owned(),
        timeout: FOREVER,
        memory_mb: 128,
        reserved_concurrency: None,
        environment: [(
            "PID_FILE".to_owned(),
            std::env::var("PID_FILE").expect("the test sets it"),
        )]
        .into(),
    };
    let host = Host::start([function], HostConfig::new("us-west-2", "http://127.0.0.1:9")).expect("a host");
    let payload = json!({ "do": "sleep" }).to_string().into();
    let _ = host
        .invoke(Invocation {
            function: "sleeper".to_owned(),
            payload,
        })
        .await;
    ExitCode::SUCCESS
}

fn function() -> ExitCode {
    match std::env::var("AT_INIT").as_deref() {
        Ok("exit") => return ExitCode::from(4),
        Ok("return") => return ExitCode::SUCCESS,
        Ok("hang") => std::thread::sleep(FOREVER),
        Ok("kill") => die(),
        Ok("error") => {
            let error = json!({ "errorType": "NoSecret", "errorMessage": "the secret is gone", "stackTrace": [] });
            Api::connect().post("init/error", error.to_string().as_bytes());
            return ExitCode::FAILURE;
        }
        // The first process leaves its mark and fails, the next one finds it.
        Ok("fail-once") => {
            let mark = std::env::var("MARK").expect("the test names a file");
            if std::fs::File::create_new(mark).is_ok() {
                return ExitCode::FAILURE;
            }
        }
        _ => {}
    }
    let mut api = Api::connect();
    let mut invocations = 0;
    let mut last_status = 0;
    loop {
        let (request_id, headers, body) = api.next();
        invocations += 1;
        let event: Value = serde_json::from_slice(&body).unwrap_or_default();
        let response = format!("invocation/{request_id}/response");
        last_status = match event["do"].as_str().unwrap_or("echo") {
            "echo" => api.post(&response, &body),
            "context" => {
                let environment: std::collections::BTreeMap<_, _> = std::env::vars().collect();
                let directory = std::env::current_dir().expect("there is one");
                let about = json!({
                    "pid": std::process::id(), "invocations": invocations, "last_status": last_status, "headers": headers,
                    "environment": environment, "directory": directory,
                });
                api.post(&response, about.to_string().as_bytes())
            }
            "error" => {
                let error = json!({ "errorType": "Broken", "errorMessage": "as asked", "stackTrace": ["here"] });
                api.post(&format!("invocation/{request_id}/error"), error.to_string().as_bytes())
            }
            "empty error" => api.post(&format!("invocation/{request_id}/error"), b""),
            "exit" => return ExitCode::from(event["status"].as_u64().unwrap_or(0) as u8),
            "answer and exit" => {
                api.post(&response, &body);
                return ExitCode::from(5);
            }
            "answer and linger" => {
                api.post(&response, &body);
                std::thread::sleep(FOREVER);
                0
            }
            "kill" => die(),
            "abort" => std::process::abort(),
            "sleep" => {
                leave_pid(std::process::id());
                std::thread::sleep(FOREVER);
                0
            }
            "flood" => loop {
                api.post("invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response", b"{}");
            },
            "meet" => {
                leave_pid(std::process::id());
                meet(&event);
                api.post(&response, json!({ "pid": std::process::id() }).to_string().as_bytes())
            }
            "garbage" => api.post(&response, b"Found nothing..."),
            "huge" => {
                let size = event["bytes"].as_u64().unwrap_or(0) as usize;
                api.post(&response, format!("\"{}\"", "x".repeat(size - 2)).as_bytes())
            }
            "other request" => {
                let status = api.post("invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response", b"{}");
                api.post(&response, json!({ "status": status }).to_string().as_bytes())
            }
            "twice" => {
                api.post(&response, b"1");
                api.post(&response, b"2")
            }
            "next again" => {
                let status = api.get("invocation/next");
                api.post(&response, json!({ "status": status }).to_string().as_bytes())
            }
            "spawn" => {
                let child = Command::new("sleep").arg("3600").spawn();
                let mut child = child.expect("there is a sleep");
                leave_pid(child.id());
                let _ = child.wait();
                0
            }
            "not http" => {
                api.raw(b"Good morning\r\n\r\n");
                return ExitCode::from(6);
            }
            other => panic!("no such misdeed: {other}"),
        };
    }
}

/// Writes a process id to the FIFO at which a test reads, if one does.
fn leave_pid(pid: u32) {
    if let Ok(file) = std::env::var("PID_FILE") {
        std::fs::write(file, format!("{pid}\n")).expect("the test holds it open");
    }
}

/// Waits until as many processes are here as the event says.
fn meet(event: &Value) {
    let directory = std::path::Path::new(event["directory"].as_str().unwrap_or("."));
    std::fs::write(directory.join(std::process::id().to_string()), "").expect("a writable directory");
    let expected = event["count"].as_u64().unwrap_or(1) as usize;
    while std::fs::read_dir(directory).map_or(0, Iterator::count) < expected {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// SIGKILL to itself.
fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    unreachable!("nobody survives that")
}

/// One connection to the Runtime API.
struct Api {
    stream: BufReader<TcpStream>,
}

impl Api {
    fn connect() -> Self {
        let address = std::env::var("AWS_LAMBDA_RUNTIME_API").expect("the host sets it");
        let stream = TcpStream::connect(address).expect("the host listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self {
            stream: BufReader::new(stream),
        }
    }

    fn next(&mut self) -> (String, Value, Vec<u8>) {
        self.raw(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let (_, headers, body) = self.answer();
        let request_id = headers["lambda-runtime-aws-request-id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (request_id, headers, body)
    }

    fn get(&mut self, path: &str) -> u16 {
        self.raw(format!("GET /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes());
        self.answer().0
    }

    fn post(&mut self, path: &str, body: &[u8]) -> u16 {
        let length = body.len();
        let head =
            format!("POST /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
        self.raw(&[head.as_bytes(), body].concat());
        self.answer().0
    }

    fn raw(&mut self, bytes: &[u8]) {
        // A host that is gone ends the function, as it ends a real runtime.
        if self.stream.get_mut().write_all(bytes).is_err() {
            std::process::exit(1);
        }
    }

    fn answer(&mut self) -> (u16, Value, Vec<u8>) {
        let mut status = String::new();
        if self.stream.read_line(&mut status).unwrap_or(0) == 0 {
            std::process::exit(1);
        }
        let mut headers = serde_json::Map::new();
        let mut line = String::new();
        while self.stream.read_line(&mut line).unwrap_or(0) != 0 && line != "\r\n" {
            if let Some((name, value)) = line.trim_end().split_once(": ") {
                headers.insert(name.to_lowercase(), Value::from(value));
            }
            line.clear();
        }
        let length = headers
            .get("content-length")
            .and_then(|length| length.as_str()?.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("the whole body");
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        (code, Value::Object(headers), body)
    }
}
