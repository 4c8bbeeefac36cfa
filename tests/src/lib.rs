//! What the system tests in `system/` and the benchmarks in `benches/` share.

pub mod bench;
pub mod listener;
pub mod stand_in;
pub mod wire;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the workspace")
        .to_path_buf()
}

/// Cargo, as if called from a shell at the root.
///
/// What the cargo that runs a test says of the test's own package would make build scripts that look at it run again,
/// and with them everything that depends on their packages.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root());
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "OUT_DIR" {
            cargo.env_remove(&variable);
        }
    }
    cargo
}
