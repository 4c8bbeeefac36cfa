//! Which crate may know which: the arrows of ARCHITECTURE.md, read from the build itself.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::server::root;

#[test]
fn crates_depend_only_along_the_allowed_arrows() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("ticket", &[][..]),
        // What it plays in its tests is drawn by a crate that knows nothing of it.
        ("asl", &["scenario"]),
        ("console", &[]),
        ("jira", &["ticket"]),
        ("scenario", &[]),
        ("steps", &["console", "jira", "ticket"]),
        ("runtime", &["asl", "console", "scenario"]),
        ("ticketflow", &["asl", "jira", "runtime", "ticket"]),
        ("system-tests", &["asl", "jira", "ticket"]),
    ]);
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        allowed.keys().copied().collect::<Vec<_>>(),
        "every package has its place here"
    );
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let on = dependency["name"].as_str().expect("a name");
            if names.contains(&on) {
                assert!(allowed[name].contains(&on), "{name} must not know {on}");
            }
        }
    }
}

/// What keeps the domain and the interpreter pure.
#[test]
fn the_pure_crates_bring_no_runtime_and_no_storage() {
    for package in ["ticket", "asl"] {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--package",
                package,
                "--edges",
                "normal",
                "--prefix",
                "none",
                "--format",
                "{lib}",
            ])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        let tree = String::from_utf8_lossy(&output.stdout);
        assert!(tree.lines().any(|line| line == "serde_json"), "the tree was read");
        for unwanted in ["tokio", "rusqlite", "hyper", "aws_config", "reqwest"] {
            assert!(
                !tree.lines().any(|line| line == unwanted),
                "{package} must not bring {unwanted}"
            );
        }
    }
}
