//! The file: JSON, mode 0600, replaced as a whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::{AllKept, Error};

/// For its owner's eyes only.
const MODE: u32 = 0o600;

pub(super) fn read(path: &Path) -> Result<AllKept, Error> {
    let failed = |source| Error::File {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(AllKept::new()),
        text => text.map_err(failed)?,
    };
    // Only the place of a mistake is told: the parser's message may quote a value.
    serde_json::from_slice(&text).map_err(|error| Error::Damaged {
        path: path.to_owned(),
        reason: format!("line {}, column {}", error.line(), error.column()),
    })
}

/// Replaces the file; it is on disk when this returns, and never half written.
pub(super) fn write(path: &Path, kept: &AllKept) -> Result<(), Error> {
    replace(path, kept).map_err(|source| Error::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

fn replace(path: &Path, kept: &AllKept) -> std::io::Result<()> {
    let text = serde_json::to_vec_pretty(kept)?;
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .open(&fresh)?;
    // The mode given to `open` is not applied to a file left behind by an earlier attempt.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
