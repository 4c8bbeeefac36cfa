//! Real processes on real sockets; nothing here waits by the clock, but for a time-out that is itself under test.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;

use super::failure::MAX_RESPONSE_BYTES;
use super::output::Lines;
use super::process::Exit;
use super::{Function, Host, HostConfig, Invocation, Invoke, InvokeError, MAX_REQUEST_BYTES, QUEUED_INVOCATIONS};

/// A binary among this crate's examples, which `cargo test -p runtime` builds beside the tests.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("a test has a path");
    let target = tests
        .parent()
        .and_then(|deps| deps.parent())
        .expect("tests lie in target/<profile>/deps");
    let program = target.join("examples").join(name);
    assert!(
        program.is_file(),
        "{} is missing: `cargo build -p runtime --examples` makes it",
        program.display()
    );
    program
}

fn function(name: &str, program: PathBuf) -> Function {
    Function {
        name: name.to_owned(),
        arn: format!("arn:aws:lambda:us-west-2:000000000000:function:{name}"),
        program,
        handler: "bootstrap".to_owned(),
        timeout: Duration::from_secs(20),
        memory_mb: 128,
        reserved_concurrency: None,
        environment: BTreeMap::new(),
    }
}

fn config() -> HostConfig {
    HostConfig {
        launcher: example("misbehave"),
        ..HostConfig::new("us-west-2", "http://127.0.0.1:3001")
    }
}

fn host(functions: impl IntoIterator<Item = Function>) -> Host {
    Host::start(functions, config()).expect("a thread")
}

async fn invoke(host: &Host, function: &str, event: Value) -> Result<Value, InvokeError> {
    let answer = invoke_raw(host, function, event.to_string().into()).await?;
    Ok(serde_json::from_slice(&answer).expect("JSON"))
}

async fn invoke_raw(host: &Host, function: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
    host.invoke(Invocation {
        function: function.to_owned(),
        payload,
    })
    .await
}

/// A function that does what its events say, with these variables.
fn misbehaving(variables: &[(&str, &str)]) -> Function {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Function {
        environment: variables.iter().map(owned).collect(),
        ..function("misbehave", example("misbehave"))
    }
}

/// The payload of a function's error, with `ID` for the request id.
fn failure(result: Result<Bytes, InvokeError>) -> Value {
    let Err(InvokeError::Function { payload }) = result else {
        panic!("not a function's error: {result:?}")
    };
    let mut payload: Value = serde_json::from_slice(&payload).expect("JSON");
    if let Some(message) = payload["errorMessage"].as_str()
        && let Some((_, rest)) = message
            .strip_prefix("RequestId: ")
            .and_then(|rest| rest.split_at_checked(36))
    {
        payload["errorMessage"] = json!(format!("RequestId: ID{rest}"));
    }
    payload
}

fn service_error(result: Result<Value, InvokeError>) -> (&'static str, u16) {
    match result {
        Err(InvokeError::Service { code, status, .. }) => (code, status),
        other => panic!("not refused: {other:?}"),
    }
}

/// A FIFO at which a function leaves a process id.
struct Pids {
    directory: TempDir,
    reader: BufReader<pipe::Receiver>,
}

impl Pids {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pids");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).expect("a FIFO");
        // Held open for writing too, so that it does not end between two writers.
        let reader = pipe::OpenOptions::new()
            .read_write(true)
            .open_receiver(path)
            .expect("a FIFO");
        Self {
            directory,
            reader: BufReader::new(reader),
        }
    }

    fn path(&self) -> String {
        self.directory.path().join("pids").display().to_string()
    }

    async fn next(&mut self) -> Process {
        let mut line = String::new();
        self.reader.read_line(&mut line).await.expect("a process id");
        Process::open(line.trim().parse().expect("a process id"))
    }
}

/// A process, held so that its id cannot mean another one; `None` if it has ended and is forgotten.
struct Process(Option<OwnedFd>);

impl Process {
    fn open(pid: i32) -> Self {
        let pid = Pid::from_raw(pid).expect("a process id");
        Self(rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok())
    }

    /// Waits until it has ended.
    async fn ended(self) {
        let Some(process) = self.0 else { return };
        let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
        let ended =
            tokio::task::spawn_blocking(move || poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)));
        assert_eq!(ended.await.expect("no panic"), Ok(1), "the process is still there");
    }
}

/// Waits until no environment of `host` lives.
async fn all_gone(host: &Host) {
    let mut environments = host.shared.environments.subscribe();
    environments
        .wait_for(|count| *count == 0)
        .await
        .expect("the host lives");
}

async fn pid(host: &Host) -> Value {
    invoke(host, "misbehave", json!({ "do": "context" }))
        .await
        .expect("an answer")["pid"]
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_on_lambda_runtime_answers() {
    let host = host([function("echo", example("echo"))]);
    for n in 0..3 {
        assert_eq!(invoke(&host, "echo", json!({ "n": n })).await, Ok(json!({ "n": n })));
    }
}

/// What a function does, and what AWS reports. Each case starts from a fresh host, and the function is fine afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn misdeeds_become_the_errors_that_aws_gives() {
    let exited = |reason: &str| json!({ "errorType": "Runtime.ExitError", "errorMessage": format!("RequestId: ID Error: Runtime exited {reason}") });
    let cases = [
        (json!({ "do": "exit" }), exited("without providing a reason")),
        (
            json!({ "do": "exit", "status": 3 }),
            exited("with error: exit status 3"),
        ),
        (
            json!({ "do": "exit", "status": 126 }),
            exited("with error: exit status 126"),
        ),
        (json!({ "do": "kill" }), exited("with error: signal: killed")),
        (json!({ "do": "abort" }), exited("with error: signal: aborted")),
        (json!({ "do": "not http" }), exited("with error: exit status 6")),
        (
            json!({ "do": "sleep" }),
            json!({ "errorType": "Sandbox.Timedout", "errorMessage": "RequestId: ID Error: Task timed out after 0.25 seconds" }),
        ),
        (
            json!({ "do": "flood" }),
            json!({ "errorType": "Sandbox.Timedout", "errorMessage": "RequestId: ID Error: Task timed out after 0.25 seconds" }),
        ),
        (
            json!({ "do": "error" }),
            json!({ "errorType": "Broken", "errorMessage": "as asked", "stackTrace": ["here"] }),
        ),
        (
            json!({ "do": "empty error" }),
            json!({ "errorType": "Runtime.Unknown", "errorMessage": "" }),
        ),
        (
            json!({ "do": "huge", "bytes": MAX_RESPONSE_BYTES + 1 }),
            json!({
                "errorType": "Function.ResponseSizeTooLarge",
                "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
            }),
        ),
    ];
    for (event, expected) in cases {
        let mut function = misbehaving(&[]);
        if expected["errorType"] == "Sandbox.Timedout" {
            function.timeout = Duration::from_millis(250);
        }
        let host = host([function]);
        let payload = Bytes::from(event.to_string());
        assert_eq!(
            failure(invoke_raw(&host, "misbehave", payload).await),
            expected,
            "{event}"
        );
        assert_eq!(
            invoke(&host, "misbehave", json!(1)).await,
            Ok(json!(1)),
            "after {event}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_initialization_become_the_errors_that_aws_gives() {
    let exited = |reason: &str| json!({ "errorType": "Runtime.ExitError", "errorMessage": format!("RequestId: ID Error: Runtime exited {reason}") });
    let cases = [
        ("exit", exited("with error: exit status 4")),
        ("return", exited("without providing a reason")),
        ("kill", exited("with error: signal: killed")),
        (
            "error",
            json!({ "errorType": "NoSecret", "errorMessage": "the secret is gone", "stackTrace": [] }),
        ),
        (
            "hang",
            json!({ "errorType": "Sandbox.Timedout", "errorMessage": "RequestId: ID Error: Task timed out after 0.25 seconds" }),
        ),
    ];
    for (at_init, expected) in cases {
        let mut function = misbehaving(&[("AT_INIT", at_init)]);
        let mut config = config();
        if at_init == "hang" {
            function.timeout = Duration::from_millis(250);
            config.init_time = Duration::from_millis(100);
        }
        let host = Host::start([function], config).expect("a thread");
        assert_eq!(
            failure(invoke_raw(&host, "misbehave", "1".into()).await),
            expected,
            "{at_init}"
        );
        all_gone(&host).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn initialization_is_tried_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let mark = directory.path().join("mark").display().to_string();
    let host = host([misbehaving(&[("AT_INIT", "fail-once"), ("MARK", &mark)])]);
    assert_eq!(invoke(&host, "misbehave", json!(1)).await, Ok(json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_that_cannot_run_is_an_invalid_entrypoint() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, mode: u32, content: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).expect("a writable directory");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("our file");
        path
    };
    let mut foreign = std::fs::read(example("misbehave")).expect("a binary")[..64].to_vec();
    foreign[18] ^= 0xff;
    let missing = directory.path().join("bootstrap");
    let cases = [
        (
            missing.clone(),
            format!("Couldn't find valid bootstrap(s): [{}]", missing.display()),
        ),
        (
            directory.path().to_owned(),
            format!("Couldn't find valid bootstrap(s): [{}]", directory.path().display()),
        ),
        (file("foreign", 0o755, &foreign), "exec format error".to_owned()),
        (file("text", 0o755, b"Found nothing..."), "exec format error".to_owned()),
        (file("empty", 0o755, b""), "exec format error".to_owned()),
        (file("plain", 0o644, b"#!/bin/sh"), "permission denied".to_owned()),
    ];
    for (program, reason) in cases {
        let reason = match reason.starts_with("Couldn't") {
            true => reason,
            false => format!("fork/exec {}: {reason}", program.display()),
        };
        let host = host([function("broken", program)]);
        let expected = json!({ "errorType": "Runtime.InvalidEntrypoint", "errorMessage": format!("RequestId: ID Error: {reason}") });
        assert_eq!(failure(invoke_raw(&host, "broken", "{}".into()).await), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_a_function_too() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().expect("a directory");
    let bootstrap = directory.path().join("bootstrap");
    let script = format!("#!/bin/sh\nexec '{}'\n", example("misbehave").display());
    std::fs::write(&bootstrap, script).expect("a writable directory");
    std::fs::set_permissions(&bootstrap, std::fs::Permissions::from_mode(0o755)).expect("our file");
    let host = host([function("script", bootstrap)]);
    assert_eq!(invoke(&host, "script", json!(1)).await, Ok(json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_passed_on_as_they_are() {
    let host = host([misbehaving(&[])]);
    let garbage = invoke_raw(&host, "misbehave", r#"{"do":"garbage"}"#.into()).await;
    assert_eq!(garbage, Ok(Bytes::from("Found nothing...")));
    let event = json!({ "do": "huge", "bytes": MAX_RESPONSE_BYTES }).to_string();
    let huge = invoke_raw(&host, "misbehave", event.into()).await.expect("an answer");
    assert_eq!(huge.len(), MAX_RESPONSE_BYTES);
    let spaced = Bytes::from("{ \"b\" : 1.0,\"a\":1e400 }");
    assert_eq!(invoke_raw(&host, "misbehave", spaced.clone()).await, Ok(spaced));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_hears_what_it_did_wrong_and_goes_on() {
    let host = host([misbehaving(&[])]);
    let too_large = json!({ "do": "huge", "bytes": MAX_RESPONSE_BYTES + 1 }).to_string();
    failure(invoke_raw(&host, "misbehave", too_large.into()).await);
    let context = invoke(&host, "misbehave", json!({ "do": "context" }))
        .await
        .expect("an answer");
    assert_eq!(
        (&context["invocations"], &context["last_status"]),
        (&json!(2), &json!(413))
    );

    assert_eq!(invoke(&host, "misbehave", json!({ "do": "twice" })).await, Ok(json!(1)));
    let context = invoke(&host, "misbehave", json!({ "do": "context" }))
        .await
        .expect("an answer");
    assert_eq!(
        (&context["invocations"], &context["last_status"]),
        (&json!(4), &json!(400))
    );

    assert_eq!(
        invoke(&host, "misbehave", json!({ "do": "other request" })).await,
        Ok(json!({ "status": 400 }))
    );
    assert_eq!(
        invoke(&host, "misbehave", json!({ "do": "next again" })).await,
        Ok(json!({ "status": 403 }))
    );
    assert_eq!(
        invoke(&host, "misbehave", json!({ "do": "context" }))
            .await
            .expect("an answer")["invocations"],
        7
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_sees_a_clean_environment() {
    let host = host([misbehaving(&[
        ("TABLE_NAME", "tickets"),
        ("TZ", "Europe/Berlin"),
        ("_HANDLER", "mine"),
    ])]);
    let before = chrono::Utc::now().timestamp_millis();
    let context = invoke(&host, "misbehave", json!({ "do": "context" }))
        .await
        .expect("an answer");

    let environment = context["environment"].as_object().expect("an object");
    let names: BTreeSet<&str> = environment.keys().map(String::as_str).collect();
    let expected = "AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_LAMBDA_FUNCTION_MEMORY_SIZE \
        AWS_LAMBDA_FUNCTION_NAME AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME \
        AWS_LAMBDA_LOG_STREAM_NAME AWS_LAMBDA_RUNTIME_API AWS_REGION AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN \
        LAMBDA_RUNTIME_DIR LAMBDA_TASK_ROOT LANG PATH TABLE_NAME TZ _HANDLER";
    assert_eq!(names, expected.split_whitespace().collect());
    assert_eq!(environment["TZ"], "Europe/Berlin");
    assert_eq!(environment["_HANDLER"], "bootstrap");
    assert_eq!(environment["AWS_ENDPOINT_URL"], "http://127.0.0.1:3001");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "128");
    assert_eq!(
        context["directory"],
        example("misbehave").parent().and_then(Path::to_str).expect("a path")
    );

    let headers = &context["headers"];
    assert_eq!(
        headers["lambda-runtime-invoked-function-arn"],
        "arn:aws:lambda:us-west-2:000000000000:function:misbehave"
    );
    let deadline: i64 = headers["lambda-runtime-deadline-ms"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a number");
    let after = chrono::Utc::now().timestamp_millis();
    assert!(
        (before + 20_000..=after + 20_000).contains(&deadline),
        "{deadline} is not 20 s after {before}"
    );
    let trace = headers["lambda-runtime-trace-id"].as_str().expect("a text");
    let root = trace
        .strip_prefix("Root=1-")
        .and_then(|rest| rest.split(';').next())
        .expect("a root");
    assert_eq!(root.split('-').map(str::len).collect::<Vec<_>>(), [8, 24], "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_too_large_is_refused() {
    let host = host([misbehaving(&[])]);
    let arn = "arn:aws:lambda:us-west-2:000000000000:function:misbehave";
    for name in ["misbehave", "misbehave:$LATEST", arn, &format!("{arn}:live")] {
        assert_eq!(invoke(&host, name, json!(1)).await, Ok(json!(1)), "{name}");
    }
    for name in [
        "",
        "other",
        "arn:aws:lambda:eu-west-1:000000000000:function:misbehave",
        "arn:aws:lambda",
    ] {
        assert_eq!(
            service_error(invoke(&host, name, json!(1)).await),
            ("ResourceNotFoundException", 404),
            "{name}"
        );
    }
    let largest = Bytes::from(format!("\"{}\"", "x".repeat(MAX_REQUEST_BYTES - 2)));
    assert_eq!(
        invoke_raw(&host, "misbehave", largest.clone()).await,
        Ok(largest.clone())
    );
    let larger = [&largest[..], b" "].concat();
    let refused = invoke_raw(&host, "misbehave", larger.into()).await;
    assert!(matches!(
        refused,
        Err(InvokeError::Service {
            code: "RequestTooLargeException",
            status: 413,
            ..
        })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_launcher_is_the_services_fault() {
    let config = HostConfig {
        launcher: "/nowhere/ticketflow".into(),
        ..config()
    };
    let host = Host::start([misbehaving(&[])], config).expect("a thread");
    assert_eq!(
        service_error(invoke(&host, "misbehave", json!(1)).await),
        ("ServiceException", 500)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_needs_one_environment() {
    let host = Host::start(
        [misbehaving(&[])],
        HostConfig {
            scale_out_time: Duration::from_secs(20),
            ..config()
        },
    )
    .expect("a thread");
    let first = pid(&host).await;
    for _ in 0..200 {
        assert_eq!(pid(&host).await, first);
    }
    assert_eq!(*host.shared.environments.borrow(), 1);
}

/// Invokes `count` times at once, and gives the processes that served at the same time.
async fn meeting(host: &Host, directory: &Path, count: usize) -> BTreeSet<String> {
    let event = json!({ "do": "meet", "directory": directory, "count": count });
    let mut calls = Vec::new();
    let host = std::pin::pin!(host);
    for _ in 0..count {
        calls.push(invoke(&host, "misbehave", event.clone()));
    }
    let mut pids = BTreeSet::new();
    for answer in join_all(calls).await {
        pids.insert(answer.expect("an answer")["pid"].to_string());
    }
    pids
}

/// Polls all to their ends.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut futures {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        match futures.iter().all(|(_, output)| output.is_some()) {
            true => std::task::Poll::Ready(futures.iter_mut().filter_map(|(_, output)| output.take()).collect()),
            false => std::task::Poll::Pending,
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_scale_out_serve_one_at_a_time_and_the_last_used_is_reused_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let host = host([misbehaving(&[])]);
    assert_eq!(meeting(&host, directory.path(), 9).await.len(), 9);
    let pool = host.pool("misbehave").expect("it is there");
    let mut last = None;
    for _ in 0..20 {
        while pool.idle() < *host.shared.environments.borrow() {
            tokio::task::yield_now().await;
        }
        let next = pid(&host).await;
        assert_eq!(last.get_or_insert_with(|| next.clone()), &next);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_environments_end() {
    let host = Host::start(
        [misbehaving(&[])],
        HostConfig {
            idle_time: Duration::from_millis(20),
            ..config()
        },
    )
    .expect("a thread");
    let first = pid(&host).await;
    all_gone(&host).await;
    assert_ne!(pid(&host).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_concurrency_throttles_at_once_and_only_beyond_it() {
    let mut pids = Pids::new();
    let meeting = tempfile::tempdir().expect("a directory");
    let one = Function {
        reserved_concurrency: Some(1),
        ..misbehaving(&[("PID_FILE", &pids.path())])
    };
    let none = Function {
        reserved_concurrency: Some(0),
        ..function("none", example("misbehave"))
    };
    let host = host([one, none]);
    assert_eq!(
        service_error(invoke(&host, "none", json!(1)).await),
        ("TooManyRequestsException", 429)
    );
    for n in 0..100 {
        assert_eq!(invoke(&host, "misbehave", json!(n)).await, Ok(json!(n)));
    }
    let busy = invoke(
        &host,
        "misbehave",
        json!({ "do": "meet", "directory": meeting.path(), "count": 2 }),
    );
    let beside = async {
        pids.next().await;
        let refused = invoke(&host, "misbehave", json!(1)).await;
        std::fs::write(meeting.path().join("other"), "").expect("a writable directory");
        refused
    };
    let (busy, refused) = tokio::join!(busy, beside);
    assert_eq!(service_error(refused), ("TooManyRequestsException", 429));
    assert!(busy.is_ok(), "{busy:?}");
    // A crash gives its place back as well.
    for _ in 0..3 {
        failure(invoke_raw(&host, "misbehave", r#"{"do":"exit"}"#.into()).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_bounded_and_skips_who_has_gone() {
    let mut pids = Pids::new();
    let meeting = tempfile::tempdir().expect("a directory");
    let config = HostConfig {
        environments_per_function: 1,
        ..config()
    };
    let host = Host::start([misbehaving(&[("PID_FILE", &pids.path())])], config).expect("a thread");
    let busy = invoke(
        &host,
        "misbehave",
        json!({ "do": "meet", "directory": meeting.path(), "count": 2 }),
    );
    let beside = async {
        pids.next().await;
        let waiting: Vec<_> = (0..QUEUED_INVOCATIONS)
            .map(|n| invoke(&host, "misbehave", json!(n)))
            .collect();
        let mut waiting = std::pin::pin!(join_all(waiting));
        // One poll queues them all.
        std::future::poll_fn(|context| {
            assert!(waiting.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        let refused = invoke(&host, "misbehave", json!(1)).await;
        std::fs::write(meeting.path().join("other"), "").expect("a writable directory");
        refused
        // Here those that waited give up.
    };
    let (busy, refused) = tokio::join!(busy, beside);
    assert_eq!(service_error(refused), ("TooManyRequestsException", 429));
    assert!(busy.is_ok(), "{busy:?}");
    let context = invoke(&host, "misbehave", json!({ "do": "context" }))
        .await
        .expect("an answer");
    assert!(
        context["invocations"].as_u64() < Some(QUEUED_INVOCATIONS as u64),
        "{}",
        context["invocations"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_goes_on_when_its_caller_has_gone() {
    let mut pids = Pids::new();
    let meeting = tempfile::tempdir().expect("a directory");
    let config = HostConfig {
        environments_per_function: 1,
        ..config()
    };
    let host = Host::start([misbehaving(&[("PID_FILE", &pids.path())])], config).expect("a thread");
    tokio::select! {
        answer = invoke(&host, "misbehave", json!({ "do": "meet", "directory": meeting.path(), "count": 2 })) => panic!("{answer:?}"),
        _ = pids.next() => {}
    }
    std::fs::write(meeting.path().join("other"), "").expect("a writable directory");
    let context = invoke(&host, "misbehave", json!({ "do": "context" }))
        .await
        .expect("an answer");
    assert_eq!(context["invocations"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_stands_whatever_follows_it() {
    let host = host([misbehaving(&[])]);
    let event = json!({ "do": "answer and exit" });
    assert_eq!(invoke(&host, "misbehave", event.clone()).await, Ok(event));
    let first = pid(&host).await;
    let event = json!({ "do": "answer and linger" });
    assert_eq!(invoke(&host, "misbehave", event.clone()).await, Ok(event));
    // That environment is still busy: another one serves.
    assert_ne!(pid(&host).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_kills_what_the_function_started() {
    let mut pids = Pids::new();
    let function = Function {
        timeout: Duration::from_secs(1),
        ..misbehaving(&[("PID_FILE", &pids.path())])
    };
    let host = host([function]);
    let (result, grandchild) = tokio::join!(invoke_raw(&host, "misbehave", r#"{"do":"spawn"}"#.into()), pids.next());
    assert_eq!(failure(result)["errorType"], "Sandbox.Timedout");
    grandchild.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finishes_what_is_in_flight() {
    let mut pids = Pids::new();
    let meeting = tempfile::tempdir().expect("a directory");
    let host = host([misbehaving(&[("PID_FILE", &pids.path())])]);
    let busy = invoke(
        &host,
        "misbehave",
        json!({ "do": "meet", "directory": meeting.path(), "count": 2 }),
    );
    let beside = async {
        let process = pids.next().await;
        let mut shutdown = std::pin::pin!(host.shutdown(Duration::from_secs(60)));
        std::future::poll_fn(|context| {
            assert!(shutdown.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        let refused = invoke(&host, "misbehave", json!(1)).await;
        std::fs::write(meeting.path().join("other"), "").expect("a writable directory");
        shutdown.await;
        process.ended().await;
        refused
    };
    let (busy, refused) = tokio::join!(busy, beside);
    assert!(busy.is_ok(), "{busy:?}");
    assert_eq!(service_error(refused), ("ServiceException", 500));
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_kills_what_does_not_finish() {
    let mut pids = Pids::new();
    let host = host([misbehaving(&[("PID_FILE", &pids.path())])]);
    let beside = async {
        let process = pids.next().await;
        host.shutdown(Duration::ZERO).await;
        process.ended().await;
    };
    let (stuck, ()) = tokio::join!(invoke(&host, "misbehave", json!({ "do": "sleep" })), beside);
    assert_eq!(service_error(stuck), ("ServiceException", 500));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_host_leaves_nothing_behind() {
    let mut pids = Pids::new();
    let host = host([misbehaving(&[("PID_FILE", &pids.path())])]);
    let process = tokio::select! {
        answer = invoke(&host, "misbehave", json!({ "do": "sleep" })) => panic!("{answer:?}"),
        process = pids.next() => process,
    };
    drop(host);
    process.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_host_leaves_no_busy_function_behind() {
    let mut pids = Pids::new();
    let mut host = tokio::process::Command::new(example("misbehave"))
        .arg("host")
        .env("PID_FILE", pids.path())
        .kill_on_drop(true)
        .spawn()
        .expect("a process");
    let process = pids.next().await;
    host.kill().await.expect("a child");
    process.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_whose_host_has_died_starts_nothing() {
    // Its parent is this test, not process 1.
    let launched = tokio::process::Command::new(example("misbehave"))
        .args([super::LAUNCHER_COMMAND, "1", "/bin/echo"])
        .output()
        .await
        .expect("a process");
    assert_eq!((launched.status.code(), launched.stdout), (Some(1), vec![]));
}

#[test]
fn exits_read_as_they_do_on_aws() {
    let cases = [
        (Exit::Unexplained, "Runtime exited without providing a reason"),
        (Exit::Status(101), "Runtime exited with error: exit status 101"),
        (
            Exit::Signal(Signal::SEGV.as_raw()),
            "Runtime exited with error: signal: segmentation fault",
        ),
        (
            Exit::Signal(Signal::KILL.as_raw()),
            "Runtime exited with error: signal: killed",
        ),
        (
            Exit::Signal(Signal::TERM.as_raw()),
            "Runtime exited with error: signal: terminated",
        ),
        (Exit::Signal(63), "Runtime exited with error: signal: signal 63"),
    ];
    for (exit, text) in cases {
        assert_eq!(exit.to_string(), text);
    }
}

#[tokio::test]
async fn output_comes_in_lines_of_bounded_length() {
    let long = "x".repeat(40_000);
    let text = format!("one\r\n\n{long}\nlast");
    // A small buffer cuts the stream at places that are no line's end.
    let (mut writer, reader) = tokio::io::duplex(1_000);
    let write = async move {
        writer.write_all(text.as_bytes()).await.expect("a reader");
        writer.write_all(b"\xff").await.expect("a reader");
    };
    let read = async {
        let mut lines = Lines::new(reader);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push(line);
        }
        all
    };
    let ((), lines) = tokio::join!(write, read);
    assert_eq!(
        lines,
        ["one", "", &format!("{}…", "x".repeat(16 * 1024)), "last\u{fffd}"]
    );
}
