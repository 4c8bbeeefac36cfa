use std::path::{Path, PathBuf};

use clap::Parser;

use super::{Options, Results, play, report};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(arguments: &[&str]) -> Results {
    let command = Command::parse_from([&["test"], arguments].concat());
    play(&command.options).unwrap_or_else(|error| panic!("{error:#}"))
}

/// A directory with a test file of this text.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.test.json");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

fn unusable(text: &str) -> Vec<String> {
    let (directory, path) = file(text);
    let results = run(&[&path]);
    assert!(results.told.is_empty());
    let told = results.unusable.iter().map(ToString::to_string);
    told.map(|told| told.replace(&format!("{}/", directory.path().display()), ""))
        .collect()
}

/// What `ticketflow test tests/asl` plays.
#[test]
fn the_projects_own_cases_pass() {
    let results = run(&[root().join("tests/asl").to_str().unwrap()]);
    let unusable: Vec<String> = results.unusable.iter().map(ToString::to_string).collect();
    assert!(unusable.is_empty(), "{unusable:#?}");
    let failed = results.told.iter().filter(|told| !told.played.differences.is_empty());
    let failed: Vec<String> = failed.map(report::text).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(results.told.len() > 40, "the cases are there");
}

#[test]
fn a_filter_chooses_by_file_and_name() {
    let folder = root().join("tests/asl");
    let folder = folder.to_str().unwrap();
    let all = run(&[folder]).told.len();
    let some = run(&[folder, "--filter", "ticket-lifecycle.json: a closed"]).told;
    assert_eq!(some.len(), 1);
    assert_eq!(some[0].name, "a closed ticket is measured");
    assert!(1 < all);
}

const MACHINE: &str = r#"{"StartAt": "A", "States": {
  "A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "B"},
  "B": {"Type": "Wait", "Seconds": 90, "End": true}}}"#;

#[test]
fn a_failure_shows_what_was_expected_beside_what_was() {
    let (_directory, path) = file(&format!(
        r#"{{"definition": {MACHINE}, "cases": [
            {{"name": "one", "tasks": {{"A": {{"succeeds": {{"n": 1}}}}}},
              "expect": {{"output": {{"n": 2}}, "path": ["A", "C"], "elapsed": 60}}}},
            {{"name": "two", "expect": {{"status": "SUCCEEDED"}}}},
            {{"name": "three", "tasks": {{"A": {{"fails": {{"error": "E", "cause": "why"}}}}}},
              "expect": {{"status": "SUCCEEDED"}}}}]}}"#
    ));
    let results = run(&[&path]);
    let text: Vec<String> = results.told.iter().map(report::text).collect();
    for part in [
        "own.test.json: one",
        "/output/n",
        "/path",
        "/elapsed",
        "1 min 30 s",
        "1 min",
    ] {
        assert!(text[0].contains(part), "{part} is not in\n{}", text[0]);
    }
    assert!(text[1].contains("calls arn:aws:states:::lambda:invoke, and nothing is scripted for it"));
    assert!(text[1].contains(r#""A": {"succeeds": {}}"#), "{}", text[1]);
    assert!(text[2].contains("it ended FAILED with E: why"), "{}", text[2]);

    let json = report::json(&results.told[0]);
    assert_eq!(json["passed"], false);
    assert_eq!(json["elapsed_seconds"], 90.0);
    let kinds: Vec<&str> = json["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["value", "path", "elapsed"]);
    assert_eq!(json["differences"][1]["diverges"], 1);
}

#[test]
fn a_test_file_that_cannot_be_used_says_where_and_why() {
    assert_eq!(
        unusable("{\n  \"definition\": {},\n  \"cases\": [ {\"name\": \"a\", \"expects\": {}} ]\n}"),
        [
            "own.test.json:3:39: /cases/0/expects: a case has no field 'expects'; did you mean 'expect'?",
            "own.test.json:3:14: /cases/0: a case has an 'expect', such as {\"status\": \"SUCCEEDED\"}: without one it would \
             test nothing",
        ]
    );
    let told = unusable("{\n  \"cases\": [,]\n}");
    assert!(told[0].starts_with("own.test.json:2:"), "{told:?}");
    let expecting = r#""cases": [{"name": "a", "expect": {"status": "SUCCEEDED"}}]"#;
    assert_eq!(
        unusable(&format!(
            "{{\"definition\": {{\n\"StartAt\": \"A\",\n\"States\": {{\"A\": {{\"Type\": \"Pass\",\n\"Next\": \"B\"}}}}}}, {expecting}}}"
        )),
        [
            "own.test.json:4:9: MISSING_TRANSITION_TARGET: Missing 'Next' target: B",
            "own.test.json:1:16: MISSING_END_STATE: Workflow has no terminal state",
        ]
    );
    let told = unusable(&format!("{{\"definition\": \"gone.json\", {expecting}}}"));
    assert!(
        told[0].contains("gone.json cannot be read; paths are relative to the test file"),
        "{told:?}"
    );
    let template = root().join("template.yaml");
    let told = unusable(&format!(
        "{{\"stateMachine\": \"Gone\", \"template\": {template:?}, {expecting}}}"
    ));
    let (_, others) = told[0]
        .split_once("has no state machine Gone; it has ")
        .expect("it says so");
    assert!(others.contains("TicketLifecycle"), "{told:?}");
}
