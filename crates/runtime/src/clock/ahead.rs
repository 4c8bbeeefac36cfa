//! How far ahead of the machine's time a data directory has come, on disk.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// Why the file of a clock could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} does not say how far the clock is ahead")]
    Malformed {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{path} has the clock ahead by {ahead_ms} ms, which is no time to come")]
    Range { path: PathBuf, ahead_ms: i64 },
    #[error("could not write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// The file.
#[derive(Debug)]
pub(super) struct Ahead {
    path: PathBuf,
}

/// What it says.
#[derive(Serialize, Deserialize)]
struct Kept {
    ahead_ms: i64,
}

impl Ahead {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Zero for a clock that has never been moved.
    pub(super) fn read(&self) -> Result<TimeDelta, Error> {
        let path = || self.path.clone();
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(TimeDelta::zero()),
            Err(source) => return Err(Error::Read { path: path(), source }),
        };
        let Kept { ahead_ms } =
            serde_json::from_str(&text).map_err(|source| Error::Malformed { path: path(), source })?;
        let in_range = TimeDelta::try_milliseconds(ahead_ms)
            .filter(|ahead| TimeDelta::zero() <= *ahead && chrono::Utc::now().checked_add_signed(*ahead).is_some());
        in_range.ok_or(Error::Range { path: path(), ahead_ms })
    }

    /// Keeps the value, on disk when this returns; the old one or the new one is there, whatever happens meanwhile.
    pub(super) fn write(&self, ahead: TimeDelta) -> Result<(), Error> {
        let kept = Kept {
            // Rounded up: what is read back is never behind what was shown.
            ahead_ms: ahead.num_milliseconds() + 1,
        };
        let new = self.path.with_extension("new");
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(serde_json::to_string(&kept).expect("a number is JSON").as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, &self.path)?;
            let directory = self.path.parent().unwrap_or_else(|| Path::new("."));
            File::open(directory)?.sync_all()
        };
        write().map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })
    }
}
