//! The local issuer: on one machine, what stands for the user pool that a template's authorizer trusts.
//!
//! Two files of the data directory are the whole of it. `issuer.json` says who it is and is written when a stack
//! starts; `issuer-key.json` is its RSA key, for its owner's eyes only, made when the first token is. Whoever may read
//! the key may mint tokens, so minting needs no running stack, and there is no endpoint that gives tokens away.
//! Deleting the key makes all its tokens void at once.

mod key;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) use key::Key;

use crate::jwt::{KeySet, PublicKey};

/// For its owner's eyes only.
const MODE: u32 = 0o600;

/// The longest that a token may be valid, as with Cognito's access tokens: a lost one is void after a day.
pub const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest, so that a token is not void before it is used.
pub const MIN_TTL: Duration = Duration::from_secs(1);

/// Who the issuer is: what a template's authorizer and its routes say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The `iss` of its tokens: the URL that the user pool would have.
    pub issuer: String,
    /// The `client_id` of its tokens: an audience of the authorizer.
    pub client_id: String,
    /// All scopes that routes ask for.
    pub scopes: Vec<String>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no local issuer in {0}")]
    NoIssuer(PathBuf),
    #[error("could not {action} {path}")]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("no route asks for the scope {scope}")]
    UnknownScope { scope: String, known: Vec<String> },
    #[error("a token is valid for {MIN_TTL:?} to {MAX_TTL:?}, not for {0:?}")]
    Ttl(Duration),
    #[error("could not sign a token")]
    Sign,
}

/// A token and what it is good for.
#[derive(Debug)]
pub struct Minted {
    pub token: String,
    pub scope: String,
    pub ttl: Duration,
}

/// The local issuer of one data directory.
#[derive(Clone, Debug)]
pub struct Issuer {
    directory: PathBuf,
    identity: Identity,
}

impl Issuer {
    /// Says in the data directory who the issuer is.
    pub fn declare(directory: &Path, identity: &Identity) -> Result<(), Error> {
        let path = identity_file(directory);
        let text = serde_json::to_vec_pretty(identity).expect("texts are JSON");
        let fresh = path.with_extension("new");
        let written = write_new(&fresh, &text).and_then(|()| fs::rename(&fresh, &path));
        written.map_err(failed("write", &path))
    }

    /// Forgets who the issuer is, where a template has none any more: its tokens open nothing.
    pub fn retract(directory: &Path) -> Result<(), Error> {
        let path = identity_file(directory);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// The issuer that a stack has declared in this data directory.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let path = identity_file(directory);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::NoIssuer(directory.to_owned())),
            text => text.map_err(failed("read", &path))?,
        };
        let identity = serde_json::from_slice(&text).map_err(|error| Error::Damaged {
            path,
            reason: error.to_string(),
        })?;
        Ok(Self {
            directory: directory.to_owned(),
            identity,
        })
    }

    /// All scopes that a token may have.
    pub fn scopes(&self) -> &[String] {
        &self.identity.scopes
    }

    /// A token with these scopes that is valid from `now` on. The first ever makes the key, which takes a moment.
    pub fn mint(&self, scopes: &[String], ttl: Duration, now: DateTime<Utc>) -> Result<Minted, Error> {
        if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
            return Err(Error::Ttl(ttl));
        }
        if let Some(unknown) = scopes.iter().find(|scope| !self.identity.scopes.contains(scope)) {
            return Err(Error::UnknownScope {
                scope: unknown.clone(),
                known: self.identity.scopes.clone(),
            });
        }
        let key = Key::ensure(&self.directory, &key_file(&self.directory))?;
        let scope = scopes.join(" ");
        let seconds = i64::try_from(ttl.as_secs()).expect("a day at most");
        let claims = json!({
            "iss": self.identity.issuer,
            "sub": self.identity.client_id,
            "client_id": self.identity.client_id,
            "token_use": "access",
            "scope": scope,
            "iat": now.timestamp(),
            "exp": now.timestamp() + seconds,
            "jti": uuid::Uuid::new_v4().to_string(),
        });
        Ok(Minted {
            token: key.sign(&claims)?,
            scope,
            ttl,
        })
    }
}

fn identity_file(directory: &Path) -> PathBuf {
    directory.join("issuer.json")
}

fn key_file(directory: &Path) -> PathBuf {
    directory.join("issuer-key.json")
}

fn failed(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File {
        action,
        path: path.clone(),
        source,
    }
}

/// Writes a file that only its owner may read; it is on disk when this returns.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // A file left behind by an earlier attempt keeps its mode, so it must go first.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What tells one state of the key's file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    changed: (i64, i64),
}

/// The keys that verify the local issuer's tokens: the one in the data directory, as it is now.
pub(crate) struct LocalKeys {
    path: PathBuf,
    read: RwLock<Option<(Stamp, KeySet)>>,
}

impl LocalKeys {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            path: key_file(directory),
            read: RwLock::default(),
        }
    }

    /// The key of that id. Looks at the file's stamp each time, which takes a microsecond, and reads it if it changed.
    pub(crate) fn get(&self, key_id: &str) -> Option<PublicKey> {
        let metadata = fs::metadata(&self.path).ok()?;
        let stamp = Stamp {
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        if let Some((known, keys)) = &*self.read.read().unwrap_or_else(PoisonError::into_inner)
            && *known == stamp
        {
            return keys.get(key_id).cloned();
        }
        let keys: KeySet = match Key::read(&self.path) {
            Ok(key) => {
                let public = key.iter().map(Key::public);
                public.map(|key| (key.thumbprint(), key)).collect()
            }
            Err(error) => {
                tracing::error!(error = %error, "the local issuer's key cannot be used");
                KeySet::default()
            }
        };
        let found = keys.get(key_id).cloned();
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Some((stamp, keys));
        found
    }
}

#[cfg(test)]
mod tests;
