//! How far a long command has come, kept in a file, so that it goes on there after it was killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest, Sha256};

/// How much of the question's hash names its file.
const HASH_BYTES: usize = 8;

/// A file for what was asked of a command: the same question again finds it.
pub(crate) fn file(folder: &Path, question: &impl Serialize) -> PathBuf {
    let digest = Sha256::digest(json!(question).to_string());
    let name: String = digest
        .iter()
        .take(HASH_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    folder.join(format!("{name}.json"))
}

/// What was kept; `None` if nothing was.
pub(crate) fn read<T: DeserializeOwned>(file: &Path) -> anyhow::Result<Option<T>> {
    match fs::read(file) {
        Ok(json) => serde_json::from_slice(&json)
            .map(Some)
            .with_context(|| format!("{} is not as it was written; remove it to begin anew", file.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("could not read {}", file.display())),
    }
}

/// Keeps a place: whoever is killed meanwhile leaves the one before, or this one.
pub(crate) fn keep(file: &Path, place: &impl Serialize) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let fresh = file.with_extension("new");
        fs::write(&fresh, json!(place).to_string())?;
        fs::rename(&fresh, file)
    };
    write().with_context(|| format!("could not write {}", file.display()))
}

/// Forgets a place at the end.
pub(crate) fn forget(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", file.display()))
        }
        _ => Ok(()),
    }
}
