//! What the benchmarks share: the program in release, what it and this process cost, and a client that costs little.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cargo;

/// Clock ticks a second in which Linux counts processor time for user space, on every architecture that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// How much of an answer is read at once.
const READ_BYTES: usize = 16 << 10;

/// Builds the programs in release; where `ticketflow` is. `tmpdir` is the benchmark's own `CARGO_TARGET_TMPDIR`.
pub fn build(tmpdir: &str) -> PathBuf {
    let built = cargo().args(["build", "--release", "--workspace", "--bins"]).status();
    assert!(built.expect("cargo runs").success(), "the programs must build");
    let target = Path::new(tmpdir).parent().expect("the target directory");
    target.join("release/ticketflow")
}

/// A running `ticketflow up`. Dropped, it is killed.
pub struct Program {
    child: Child,
    pub api: String,
    pub aws: String,
    /// From its start until it said that it is ready.
    pub ready_after: Duration,
}

impl Program {
    /// Starts `program` on free ports, its data and its log in `directory`.
    pub fn start(program: &Path, directory: &Path, template: &Path, environment: &[(&str, &str)]) -> Self {
        let begun = Instant::now();
        let log = File::options()
            .create(true)
            .append(true)
            .open(directory.join("log"))
            .expect("a log file");
        let mut child = Command::new(program)
            .args(["up", "--json", "--port", "0", "--aws-port", "0", "--data-dir"])
            .arg(directory.join("data"))
            .arg("--template")
            .arg(template)
            .env("RUST_LOG", "warn,runtime::stack=info")
            .env("NO_COLOR", "1")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("ticketflow starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("its first line");
        let ready: Value = serde_json::from_str(&line).expect("it is ready");
        let text = |field: &str| ready[field].as_str().expect("an address").to_owned();
        Self {
            child,
            api: text("api"),
            aws: text("aws"),
            ready_after: begun.elapsed(),
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Has it finish what is in flight, and waits for its end.
    pub fn stop(&mut self) {
        let stopped = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(stopped.expect("kill runs").success());
        self.child.wait().expect("it ends");
    }

    /// Memory that is its own or that it alone has mapped, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux's /proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("its resident set") << 10
    }

    /// Processor time that it has used.
    pub fn cpu(&self) -> Duration {
        cpu(&self.child.id().to_string())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have been stopped before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time that a process has used: `self`, or a process id.
pub fn cpu(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux's /proc");
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(") ").expect("a process's name");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.map(|ticks| ticks.parse::<f64>().expect("clock ticks")).sum();
    Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
}

/// The median time of an fsync of a small append, in milliseconds.
pub fn fsync_ms(directory: &Path) -> f64 {
    let mut file = File::create(directory.join("fsync")).expect("a file");
    let mut times: Vec<f64> = (0..101)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&[0; 512])
                .and_then(|()| file.sync_all())
                .expect("the disk takes it");
            begun.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    quantile(&mut times, 0.5)
}

/// A quantile of some figures, which it sorts.
pub fn quantile(figures: &mut [f64], part: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * part) as usize]
}

/// One keep-alive connection to the AWS endpoint that writes and parses no more HTTP than it must.
pub struct Client {
    stream: TcpStream,
    host: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    pub async fn connect(aws: &str) -> Self {
        let host = aws.strip_prefix("http://").expect("plain HTTP").to_owned();
        let stream = TcpStream::connect(&host).await.expect("it listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self {
            stream,
            host,
            request: Vec::new(),
            answer: Vec::new(),
        }
    }

    /// Calls an operation of Step Functions; its status and its body.
    pub async fn call(&mut self, operation: &str, body: &str) -> (u16, &[u8]) {
        self.request.clear();
        write!(
            self.request,
            "POST / HTTP/1.1\r\nHost: {}\r\nX-Amz-Target: AWSStepFunctions.{operation}\r\n\
             Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        )
        .expect("memory takes it");
        self.stream.write_all(&self.request).await.expect("it takes requests");
        self.answer.clear();
        let head = loop {
            self.read().await;
            if let Some(end) = find(&self.answer, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&self.answer[..head]).expect("headers are ASCII");
        let status = text
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .expect("a status");
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        let end = head + length.expect("answers have a length");
        while self.answer.len() < end {
            self.read().await;
        }
        (status, &self.answer[head..end])
    }

    /// Calls an operation that must succeed; its answer.
    pub async fn json(&mut self, operation: &str, body: &Value) -> Value {
        let (status, answer) = self.call(operation, &body.to_string()).await;
        assert_eq!(status, 200, "{operation}: {}", String::from_utf8_lossy(answer));
        serde_json::from_slice(answer).expect("JSON")
    }

    async fn read(&mut self) {
        self.answer.reserve(READ_BYTES);
        let read = self.stream.read_buf(&mut self.answer).await.expect("it answers");
        assert_ne!(read, 0, "it closed the connection");
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
