//! Finds the functions' binaries, and has cargo build those that are not built.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use runtime::template::{Function, LogicalId, Template};
use serde_json::Value;

use crate::failure::with_hint;

/// What `sam build` and the custom runtime call a function's binary.
const BOOTSTRAP: &str = "bootstrap";

/// The program of every function: the `bootstrap` in its `CodeUri`, else what cargo builds there.
pub(crate) fn programs(template: &Template) -> anyhow::Result<BTreeMap<LogicalId, PathBuf>> {
    let mut programs = BTreeMap::new();
    let mut to_build: BTreeMap<&Path, Vec<&Function>> = BTreeMap::new();
    for function in template.functions.values() {
        let bootstrap = function.code_uri.join(BOOTSTRAP);
        if bootstrap.is_file() {
            programs.insert(function.logical_id.clone(), bootstrap);
        } else if function.build.is_some() {
            to_build.entry(&function.code_uri).or_default().push(function);
        } else {
            return Err(with_hint(
                format!(
                    "function {} has no binary: there is no {}",
                    function.logical_id,
                    bootstrap.display()
                ),
                "run `sam build` and name its template, .aws-sam/build/template.yaml, or give the function \
                 `Metadata: BuildMethod: rust-cargolambda` to have it built here",
            ));
        }
    }
    for (package, functions) in to_build {
        let names: BTreeSet<&str> = functions
            .iter()
            .filter_map(|function| function.build.as_deref())
            .collect();
        let built = build(package, &names)?;
        for function in functions {
            let name = function.build.as_deref().unwrap_or_default();
            let program = built.get(name).with_context(|| {
                format!(
                    "cargo built no binary {name} in {}, which function {} runs",
                    package.display(),
                    function.name
                )
            })?;
            programs.insert(function.logical_id.clone(), program.clone());
        }
    }
    Ok(programs)
}

/// Builds the binaries of one package or workspace, cargo showing its progress; where each one lies.
///
/// They are built as this program was, so that `cargo run --release` compiles what both need once.
fn build(package: &Path, names: &BTreeSet<&str>) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(package).args(["build", "--workspace"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.arg("--message-format=json-render-diagnostics");
    for name in names {
        command.args(["--bin", name]);
    }
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| tells_of_this_package(variable)) {
        command.env_remove(variable);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            with_hint(
                format!("could not run cargo to build the functions: {error}"),
                "install Rust, or name the template that `sam build` wrote: --template .aws-sam/build/template.yaml",
            )
        })?;
    let mut built = BTreeMap::new();
    if let Some(messages) = child.stdout.take() {
        for line in BufReader::new(messages).lines() {
            let message: Value = serde_json::from_str(&line.context("could not read cargo's messages")?)
                .context("cargo printed something that is no message of its own")?;
            if let (Some(name), Some(program)) = (message["target"]["name"].as_str(), message["executable"].as_str()) {
                built.insert(name.to_owned(), PathBuf::from(program));
            }
        }
    }
    let status = child.wait().context("could not wait for cargo")?;
    if !status.success() {
        return Err(with_hint(
            format!("cargo could not build the functions in {}", package.display()),
            "its messages stand above; mend the code and start again",
        ));
    }
    Ok(built)
}

/// Whether a variable is one by which `cargo run` tells this program of its own package.
///
/// A cargo that inherits them finds the build scripts that look at them out of date: it would compile those packages
/// again, and so would the next `cargo run`, which is without them.
fn tells_of_this_package(variable: &OsStr) -> bool {
    variable
        .to_str()
        .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "OUT_DIR")
}
