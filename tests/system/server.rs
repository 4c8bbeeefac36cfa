//! A real `ticketflow up` as a process, on free ports and a data directory of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
pub(crate) use system_tests::root;
pub(crate) use system_tests::wire::{aws, sign};

use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;
use tempfile::TempDir;

/// The secret that the deliveries of these tests are signed with.
pub(crate) const SECRET: &str = "the secret of the tests";

/// How long anything may take before a test gives up on it: far longer than it takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at that nothing announces.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How the log tells that a request was refused.
const REFUSED: &str = "refused by the template's policies";

/// A running Ticketflow; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) api: String,
    pub(crate) aws: String,
    directory: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Whether something may be refused by the template's policies.
    may_refuse: bool,
    /// With a token for all that the API can do, if the template asks for tokens.
    pub(crate) http: reqwest::Client,
}

/// The program under test, built first: `cargo test` does not build the binaries of other packages.
pub(crate) fn ticketflow() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let release = !cfg!(debug_assertions);
            let mut cargo = system_tests::cargo();
            cargo.args(["build", "--quiet", "--workspace", "--bins"]);
            if release {
                cargo.arg("--release");
            }
            assert!(
                cargo.status().expect("cargo runs").success(),
                "the programs under test must build"
            );
            let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
                .parent()
                .expect("tmp lies in the target directory");
            target
                .join(if release { "release" } else { "debug" })
                .join("ticketflow")
        })
        .clone()
}

/// The local issuer's key, made by the first server that needs one and given to all others: making one takes longer than
/// a test does.
static KEY: OnceLock<Vec<u8>> = OnceLock::new();

/// A token for everything that the API of this data directory can do; `None` if its template asks for none.
pub(crate) fn token(data_dir: &Path) -> Option<String> {
    let issuer = std::fs::read(data_dir.join("issuer.json")).ok()?;
    let issuer: Value = serde_json::from_slice(&issuer).expect("the issuer's file is JSON");
    let scopes = issuer["scopes"].as_array().expect("the scopes that there are").iter();
    let scopes: Vec<&str> = scopes.filter_map(Value::as_str).collect();
    let mint = || {
        let mut command = Command::new(ticketflow());
        command.args(["token", "--ttl", "12h", "--scope", &scopes.join(" "), "--data-dir"]);
        let output = command.arg(data_dir).output().expect("ticketflow runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a token is text")
    };
    let file = data_dir.join("issuer-key.json");
    let key = KEY.get_or_init(|| {
        mint();
        std::fs::read(&file).expect("the first token made the key")
    });
    if !file.exists() {
        std::fs::write(&file, key).expect("the data directory is writable");
    }
    Some(mint().trim().to_owned())
}

impl Server {
    /// Starts with an empty data directory.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts with further arguments of `up`.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        Self::start_in(&[], arguments)
    }

    /// Starts with further environment variables and arguments of `up`.
    pub(crate) fn start_in(environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment: Vec<(String, String)> = environment.collect();
        let (child, api, aws) = spawn(directory.path(), &arguments, &environment);
        // An installed provider stays: the only error is that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        if let Some(token) = token(&directory.path().join("data")) {
            let value = format!("Bearer {token}").parse().expect("a token is a header's value");
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .default_headers(headers)
            .build()
            .expect("an HTTP client");
        Self {
            child,
            api,
            aws,
            directory,
            arguments,
            environment,
            may_refuse: false,
            http,
        }
    }

    /// Something will ask for what the template does not let it do, which fails any other test.
    pub(crate) fn may_refuse(mut self) -> Self {
        self.may_refuse = true;
        self
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// SIGKILL: nothing is said to it, nothing is finished.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process ends");
    }

    /// SIGTERM: it is asked to end, and whether it then says that it did so as it should.
    pub(crate) fn terminate(&mut self) -> impl FnOnce(&mut Self) -> bool + use<> {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
        |server| server.child.wait().expect("the process ends").success()
    }

    /// Starts again on the same data, with the same arguments.
    pub(crate) fn restart(&mut self) {
        let (child, api, aws) = spawn(self.directory.path(), &self.arguments, &self.environment);
        (self.child, self.api, self.aws) = (child, api, aws);
    }

    /// Starts again on the same data with other arguments.
    pub(crate) fn restart_with(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self.restart();
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL to every environment of the functions that run this binary; how many there were.
    pub(crate) fn kill_functions(&self, binary: &str) -> usize {
        let children = crate::processes::children_of(self.process_id());
        let running = children.iter().filter(|child| {
            let program = std::fs::read_link(format!("/proc/{}/exe", child.id));
            program.is_ok_and(|program| program.ends_with(binary))
        });
        let kill = |id: u32| Command::new("kill").args(["-KILL", &id.to_string()]).status();
        running
            .filter(|child| kill(child.id).is_ok_and(|status| status.success()))
            .count()
    }

    /// Posts a signed delivery; status and answer.
    pub(crate) async fn post(&self, body: &[u8]) -> (u16, Value) {
        let request = self.http.post(format!("{}/webhooks/jira", self.api));
        let request = request
            .header("content-type", "application/json")
            .header("x-hub-signature", sign(SECRET, body));
        let response = request.body(body.to_vec()).send().await.expect("the API answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("the answer has a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let response = self
            .http
            .get(format!("{}{path}", self.api))
            .send()
            .await
            .expect("the API answers");
        let status = response.status().as_u16();
        (status, response.json().await.expect("the answer is JSON"))
    }

    /// Waits until what `look` sees is what is waited for.
    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(&self, what: &str, look: impl Fn() -> F) -> T {
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(LOOK_AGAIN);
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited {PATIENCE:?} for {what}\n{}",
                self.log()
            );
            ticks.tick().await;
        }
    }

    /// Waits until an execution has this status; the execution.
    pub(crate) async fn execution(&self, name: &str, status: &str) -> Value {
        self.until(&format!("execution {name} to be {status}"), || async {
            let (code, execution) = self.get(&format!("/executions/{name}")).await;
            (code == 200 && execution["status"] == status).then_some(execution)
        })
        .await
    }

    /// Waits until every delivery that was taken has been worked off.
    pub(crate) async fn settled(&self) {
        let states = self.states().await;
        let machine = self.machine(&states, "TicketLifecycle").await;
        self.until("all executions to end", || async {
            let running = states.list_executions().state_machine_arn(&machine);
            let running = running
                .status_filter(aws_sdk_sfn::types::ExecutionStatus::Running)
                .max_results(1);
            let running = running.send().await.expect("the executions");
            running.executions().is_empty().then_some(())
        })
        .await;
    }

    /// The ARN of a state machine of the template.
    pub(crate) async fn machine(&self, states: &aws_sdk_sfn::Client, name: &str) -> String {
        let machines = states.list_state_machines().send().await.expect("the state machines");
        let mut machines = machines.state_machines().iter();
        let machine = machines.find(|machine| machine.name() == name);
        machine
            .expect("a state machine of the template")
            .state_machine_arn()
            .to_owned()
    }

    /// Gives a secret of the template another value.
    pub(crate) async fn put_secret(&self, name: &str, value: &str) {
        let request = self
            .http
            .post(&self.aws)
            .header("x-amz-target", "secretsmanager.PutSecretValue")
            .header("content-type", "application/x-amz-json-1.1")
            .body(serde_json::json!({ "SecretId": name, "SecretString": value }).to_string());
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
    }

    /// A command of `ticketflow` for this server, which `address` names, and which prints JSON.
    pub(crate) fn command(&self, arguments: &[&str], address: &str) -> Command {
        let mut command = Command::new(ticketflow());
        command
            .args(arguments)
            .args([address, &self.api, "--json", "--data-dir"])
            .arg(self.data_dir())
            .env("JIRA_WEBHOOK_SECRET", SECRET)
            .env_remove("TICKETFLOW_URL")
            .stdin(Stdio::null());
        command
    }

    /// An AWS SDK client of this Step Functions.
    pub(crate) async fn states(&self) -> aws_sdk_sfn::Client {
        aws_sdk_sfn::Client::new(&aws(&self.aws).await)
    }

    /// All that it logged, over all its starts.
    pub(crate) fn whole_log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).expect("it has a log")
    }

    /// The end of what it logged, for a failing test.
    pub(crate) fn log(&self) -> String {
        let log = self.whole_log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

/// Runs a command to its end, while what it asks may be served here.
pub(crate) async fn run(mut command: Command) -> std::process::Output {
    tokio::task::spawn_blocking(move || command.output().expect("ticketflow runs"))
        .await
        .expect("it ends")
}

/// What a command that succeeds prints.
pub(crate) async fn printed(command: Command) -> String {
    let output = run(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A ticket without what depends on when it is asked for, on the way that it came, or on how many facts say the same.
pub(crate) fn lasting(mut ticket: Value) -> Value {
    let fields = ticket.as_object_mut().expect("a ticket");
    for of_the_moment in [
        "updated_at",
        "last_execution",
        "last_reconciled_at",
        "as_of",
        "age_ms",
        "open_time_ms",
        "active_time_ms",
        "time_in_status_ms",
        "business",
    ] {
        fields.remove(of_the_moment);
    }
    ticket
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed by its test.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // So every test shows that the template lets everybody do what they do in it.
        if !self.may_refuse && !std::thread::panicking() {
            let log = self.whole_log();
            let refused: Vec<&str> = log.lines().filter(|line| line.contains(REFUSED)).collect();
            assert!(refused.is_empty(), "{}", refused.join("\n"));
        }
    }
}

fn spawn(directory: &Path, arguments: &Vec<String>, environment: &[(String, String)]) -> (Child, String, String) {
    let log = File::options()
        .create(true)
        .append(true)
        .open(directory.join("log"))
        .expect("a log file");
    let mut command = Command::new(ticketflow());
    command.args(["up", "--json", "--port", "0", "--aws-port", "0", "--data-dir"]);
    command.arg(directory.join("data"));
    if !arguments.iter().any(|argument| argument == "--template") {
        command.arg("--template").arg(root().join("template.yaml"));
    }
    command.args(arguments).env("JIRA_WEBHOOK_SECRET", SECRET);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("ticketflow starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("its output is piped");
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("its output can be read");
    let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
        let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
        panic!("ticketflow did not start: {line}\n{log}")
    });
    let text = |field: &str| ready[field].as_str().expect("the address").to_owned();
    (child, text("api"), text("aws"))
}
