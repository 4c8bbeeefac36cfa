//! The commands beside `up`, as a user runs them: what goes to standard output, what to standard error, and the hints.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::deliveries::Issue;
use crate::project::{Project, STATE_MACHINE};
use crate::server::{SECRET, Server, root, ticketflow};

/// What a command came to.
#[derive(Debug)]
struct Ran {
    succeeded: bool,
    out: String,
    err: String,
}

impl Ran {
    /// What it printed, a JSON value a line.
    fn lines(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }

    /// Failed with these words, and a hint of those.
    fn fails(&self, error: &str, hint: &str) {
        assert!(!self.succeeded, "{self:?}");
        assert_eq!(self.out, "", "an error is no data");
        let mut lines = self.err.lines().rev();
        let (last, before) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        assert!(before.starts_with("error: ") && before.contains(error), "{self:?}");
        assert!(last.starts_with("hint: ") && last.contains(hint), "{self:?}");
    }
}

/// Runs the program with this on its standard input.
fn run<S: AsRef<OsStr>>(arguments: &[S], input: &[u8]) -> Ran {
    let mut child = Command::new(ticketflow())
        .args(arguments)
        .env("JIRA_WEBHOOK_SECRET", SECRET)
        .env_remove("TICKETFLOW_URL")
        .env_remove("TICKETFLOW_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ticketflow runs");
    let mut stdin = child.stdin.take().expect("its input is piped");
    // A command that reads nothing may have ended before.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    Ran {
        succeeded: output.status.success(),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_posted_from_standard_input_and_followed_as_json_until_a_reset() {
    let mut server = Server::start();
    let issue = Issue { number: 70 };
    let data = server.data_dir().display().to_string();
    let at = ["--url", &server.api, "--json", "--data-dir", &data];
    let posted = run(&[&["post", "-"][..], &at].concat(), &issue.created());
    assert!(posted.succeeded, "{posted:?}");
    let answer = &posted.lines()[0];
    let name = answer["execution"].as_str().expect("the execution's name");
    server.execution(name, "SUCCEEDED").await;

    let listed = run(&[&["executions", "--status", "SUCCEEDED"][..], &at].concat(), b"");
    let names: Vec<Value> = listed
        .lines()
        .iter()
        .map(|execution| execution["name"].clone())
        .collect();
    assert_eq!(names, [json!(name)]);
    let shown = run(&[&["ticket", "TEST-70"][..], &at].concat(), b"");
    let ticket: Value = serde_json::from_str(&shown.out).expect("JSON");
    let then = ticket["as_of"].as_str().expect("the moment that it is told for");
    assert_eq!(ticket, server.get(&format!("/tickets/TEST-70?as_of={then}")).await.1);
    run(&[&["ticket", "TEST-71"][..], &at].concat(), b"")
        .fails("404 Not Found: there is no ticket", "ticketflow executions");
    run(&[&["redrive", name][..], &at].concat(), b"").fails("409", "ticketflow executions");

    let (data, template) = (server.data_dir(), root().join("template.yaml"));
    let reset = ["reset".as_ref(), "--data-dir".as_ref(), data.as_os_str()];
    let reset = [&reset[..], &["--template".as_ref(), template.as_os_str()]].concat();
    let sure = [&reset[..], &["--yes".as_ref(), "--json".as_ref()]].concat();
    run(&sure, b"").fails("", "stop the `ticketflow up`");
    server.kill();
    run(&reset, b"y\n").fails("nobody is there to be asked", "--yes");
    let done = run(&sure, b"");
    assert_eq!(done.lines(), [json!({"data_dir": data, "reset": true})], "{done:?}");
    server.restart();
    assert_eq!(server.get("/tickets/TEST-70").await.0, 404);
    let (_, executions) = server.get("/executions").await;
    assert_eq!(executions["executions"], json!([]));
    let (status, answer) = server.post(&issue.created()).await;
    assert_eq!(status, 202, "a new execution, no duplicate: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_shown_as_far_as_one_likes_and_whole_over_several_pages() {
    let server = Server::start();
    let data = server.data_dir().display().to_string();
    let at = ["--url", &server.api, "--json", "--data-dir", &data];
    let mut posted = BTreeSet::new();
    for number in 1_000..1_210 {
        let (_, answer) = server.post(&Issue { number }.created()).await;
        posted.insert(answer["execution"].as_str().expect("the execution's name").to_owned());
    }
    for name in &posted {
        server.execution(name, "SUCCEEDED").await;
    }
    let first = server.get("/executions?limit=200").await.1;
    assert!(first["next"].is_string(), "one page is all: {first}");
    let listed = |arguments: &[&str]| run(&[&["executions"][..], arguments, &at].concat(), b"").lines();
    assert_eq!(listed(&[]).len(), 50);
    assert_eq!(listed(&["--limit", "201"]).len(), 201);
    for filter in [&["--all"][..], &["--all", "--status", "SUCCEEDED"]] {
        let listed = run(&[&["executions"][..], filter, &at].concat(), b"");
        let names: Vec<String> = listed
            .lines()
            .iter()
            .filter_map(|line| Some(line["name"].as_str()?.to_owned()))
            .collect();
        assert_eq!(names.len(), posted.len(), "none is listed twice");
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), posted);
    }
}

#[test]
fn check_names_the_place_of_every_problem() {
    let project = Project::copy()
        .change("template.yaml", "    MemorySize: 256", "    MemorySize: much")
        .change(STATE_MACHINE, r#""Default": "Open""#, r#""Default": "Nowhere""#);
    // The line and the column of a passage, counted from 1.
    let place = |file: &str, passage: &str| {
        let path = project.path(file);
        let text = std::fs::read_to_string(&path).expect("the copy");
        let before = &text[..text.find(passage).expect("the passage is there")];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
        (path.display().to_string(), line, column)
    };
    let expected = [
        (place(STATE_MACHINE, r#""Nowhere""#), "Nowhere"),
        (place("template.yaml", "much"), "MemorySize"),
    ];
    let template = project.template();
    let (text, json) = (
        run(&["check", "--template", &template], b""),
        run(&["check", "--template", &template, "--json"], b""),
    );
    assert!(!text.succeeded && !json.succeeded, "{text:?}");
    for ((file, line, column), what) in expected {
        let begin = format!("{file}:{line}:{column}: ");
        let found = text.out.lines().find(|problem| problem.starts_with(&begin));
        assert!(
            found.is_some_and(|problem| problem.contains(what)),
            "{begin}\n{}",
            text.out
        );
        assert!(
            json.lines().iter().any(|problem| {
                problem["file"] == file
                    && problem["line"] == line
                    && problem["column"] == column
                    && problem["message"]
                        .as_str()
                        .is_some_and(|message| message.contains(what))
            }),
            "{begin}\n{}",
            json.out
        );
    }
    let template = root().join("template.yaml");
    let right = run(&["check".as_ref(), "--template".as_ref(), template.as_os_str()], b"");
    assert!(right.succeeded && right.err.is_empty(), "{right:?}");
}

#[test]
fn check_tells_errors_from_warnings_and_what_to_do() {
    let project = Project::copy().change(
        STATE_MACHINE,
        r#""Closed": { "Type": "Succeed" }"#,
        r#""Closed": { "Type": "Pass", "Result": { "done": true }, "Next": "Shown" },
    "Shown": { "Type": "Pass", "Parameters": { "at": "$.at", "when.$": "$.done.at" }, "End": true }"#,
    );
    let template = project.template();
    let ran = run(&["check", "--template", &template, "--json"], b"");
    assert!(!ran.succeeded, "{ran:?}");
    let found: Vec<Value> = ran.lines();
    let summary: Vec<[&str; 2]> = found
        .iter()
        .map(|problem| ["severity", "code"].map(|field| problem[field].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(summary, [["warning", "LITERAL_PATH"], ["error", "UNKNOWN_FIELD"]]);
    assert!(found.iter().all(|problem| problem["help"].is_string()), "{found:?}");
    let ran = run(&["check", "--template", &template], b"");
    assert!(ran.err.ends_with("1 error, 1 warning\n"), "{ran:?}");
    assert!(
        ran.out
            .contains("error: '$.done.at' leads nowhere: '$.done' is neither"),
        "{ran:?}"
    );

    let project = Project::copy().change(STATE_MACHINE, r#""fold.$": "$""#, r#""fold": "$.fold""#);
    let template = project.template();
    let doubtful = run(&["check", "--template", &template], b"");
    assert!(
        doubtful.succeeded && doubtful.err.ends_with("0 errors, 1 warning\n"),
        "{doubtful:?}"
    );
    assert!(!run(&["check", "--template", &template, "--deny-warnings"], b"").succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_or_had_is_said_with_a_hint() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("its address");
    drop(free);
    let nobody = format!("http://{address}");
    let body = Issue { number: 72 }.created();
    run(&["post", "-", "--url", &nobody], &body).fails("cannot be reached", "ticketflow up");
    run(&["ticket", "TEST-72", "--url", &nobody], b"").fails("cannot be reached", "TICKETFLOW_URL");

    let server = Server::start();
    let taken = server.api.rsplit(':').next().expect("a port");
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data").display().to_string();
    let template = root().join("template.yaml").display().to_string();
    let up = ["up", "--port", taken, "--aws-port", "0", "--data-dir", &data];
    run(&[&up[..], &["--template", &template]].concat(), b"").fails(taken, "--port");
    // The AWS port answers, but is not the API.
    let wrong = run(&["ticket", "TEST-72", "--url", &server.aws, "--data-dir", &data], b"");
    assert!(!wrong.succeeded && wrong.err.contains("hint: "), "{wrong:?}");
}

/// `ticketflow test`, with its exit code.
fn test(arguments: &[&str]) -> Output {
    let mut command = Command::new(ticketflow());
    command.current_dir(root()).arg("test").args(arguments);
    command.output().expect("ticketflow runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn test_tells_the_projects_cases_in_lines_or_json() {
    let output = test(&["tests/asl"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    let (summary, cases) = lines.split_last().expect("a summary");
    assert!(
        cases.iter().all(|line| line.starts_with("PASS  tests/asl/")),
        "{cases:#?}"
    );
    assert!(summary.starts_with(&format!("{} passed in ", cases.len())), "{summary}");

    let output = test(&["tests/asl", "--json"]);
    let objects: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(objects.len(), cases.len());
    assert!(objects.iter().all(|case| case["passed"] == true));
}

#[test]
fn test_exits_with_1_for_a_failed_case_and_2_for_an_unusable_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("own.json");
    let path = file.to_str().expect("a path");
    let machine = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": 1, "End": true}}});
    let case = json!({"name": "a", "expect": {"output": 2}});
    std::fs::write(&file, json!({"definition": machine, "cases": [case]}).to_string()).expect("it is written");
    let output = test(&[path]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(
        told.contains("expected 2\n") && told.contains("was      1\n"),
        "no colour in a pipe: {told:?}"
    );
    assert!(told.contains("0 passed, 1 failed in "), "{told}");

    std::fs::write(&file, "{}").expect("it is written");
    let output = test(&[path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("own.json:1:1: "),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_and_what_was_rejected_are_listed() {
    let server = Server::start();
    let issue = Issue { number: 75 }.created();
    let elsewhere = String::from_utf8(issue.clone()).expect("text");
    let elsewhere = elsewhere.replace("jira.example.com", "jira.example.org");
    let elsewhere = elsewhere.replace("\"High\"", "\"Low\"").into_bytes();
    for (body, status) in [(issue, 202), (elsewhere, 202), (b"{\"half\": ".to_vec(), 400)] {
        let (answered, answer) = server.post(&body).await;
        assert_eq!(answered, status, "{answer}");
        if let Some(name) = answer["execution"].as_str() {
            server.execution(name, "SUCCEEDED").await;
        }
    }
    let data = server.data_dir().display().to_string();
    let target = ["--url", &server.api, "--data-dir", &data];
    let asked = |arguments: &[&str]| run(&[arguments, &target].concat(), b"");
    let run = |arguments: &[&str]| {
        let ran = asked(arguments);
        assert!(ran.succeeded, "{ran:?}");
        ran
    };
    let listed = run(&["tickets", "--state", "open", "--priority", "high", "--json"]).lines();
    assert_eq!((listed.len(), &listed[0]["key"]), (1, &json!("TEST-75")));
    assert!(run(&["tickets", "--order", "oldest"]).out.starts_with("TEST-75"));
    let found = run(&["tickets", "--q", "ISSUE 75", "--priority", "low", "--json"]).lines();
    assert_eq!((found.len(), &found[0]["site"]), (1, &json!("jira.example.org")));
    assert_eq!(run(&["tickets", "--q", "test-75", "--json"]).lines().len(), 2);
    asked(&["tickets", "--q", " "]).fails("422", "--help");
    let none = asked(&["tickets", "--limit", "0"]);
    assert!(!none.succeeded && none.err.contains("'0' for '--limit"), "{none:?}");
    let first = run(&["tickets", "--limit", "1"]);
    assert_eq!(
        (first.out.lines().count(), first.err.trim()),
        (1, "There are more: --limit or --all shows them.")
    );
    asked(&["ticket", "TEST-75"]).fails("409", "jira.example.com~75, jira.example.org~75");
    let none = run(&["tickets", "--state", "closed"]);
    assert_eq!((none.out.as_str(), none.err.trim()), ("", "No tickets."));
    let rejected = run(&["deliveries", "--json"]).lines();
    let id = rejected[0]["id"].as_str().expect("an id");
    assert!(run(&["deliveries"]).out.contains(id));
    assert!(run(&["deliveries", id]).out.contains("{\"half\": "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_touches_nothing_of_the_first() {
    let server = Server::start();
    let secrets = server.data_dir().join("secrets.json");
    let before = std::fs::read_to_string(&secrets).expect("secrets");
    let mut second = Command::new(ticketflow());
    second
        .current_dir(root())
        .args(["up", "--port", "0", "--aws-port", "0", "--data-dir"])
        .arg(server.data_dir())
        .env("JIRA_WEBHOOK_SECRET", "another one, which would be kept");
    let output = crate::server::run(second).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("is in use by another process"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&secrets).expect("secrets"), before);
}
