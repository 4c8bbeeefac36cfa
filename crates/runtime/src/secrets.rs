//! Secrets Manager: the template's secrets, in a file that only its owner may read.
//!
//! A secret's value is the one given at start, else the one kept, else what the template says, made up where it asks
//! for that. A value that changes becomes `AWSCURRENT` and the one before it `AWSPREVIOUS`, as a rotation on AWS.

mod file;
mod password;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::{Answer, Answering, JSON_1_1, Service};
use crate::clock::Clock;
use crate::template::{Secret, SecretValue};

pub use password::NoCharacters;

/// The largest value of a secret, as AWS has it.
const MAX_VALUE_BYTES: usize = 65_536;

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// Why the secrets could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not {action} the secrets in {path}")]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the secrets in {path} are not readable as JSON: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("secret {name}: {source}")]
    Generate {
        name: String,
        #[source]
        source: NoCharacters,
    },
}

/// A value that no log shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Version {
    id: String,
    created: DateTime<Utc>,
    value: Hidden,
}

/// What is kept of one secret.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    current: Option<Version>,
    previous: Option<Version>,
}

impl Kept {
    /// Makes `value` the current one; nothing changes if it is already.
    fn rotate(&mut self, value: String, id: String, now: DateTime<Utc>) {
        let value = Hidden(value);
        if self.current.as_ref().is_some_and(|current| current.value == value) {
            return;
        }
        let version = Version {
            id,
            created: now,
            value,
        };
        self.previous = self.current.replace(version);
    }

    fn staged(&self) -> impl Iterator<Item = (&'static str, &Version)> {
        let current = self.current.iter().map(|version| (CURRENT, version));
        current.chain(self.previous.iter().map(|version| (PREVIOUS, version)))
    }
}

/// What is kept of all secrets, by name.
type AllKept = BTreeMap<String, Kept>;

/// The secrets of a template.
#[derive(Clone, Debug)]
pub struct Secrets {
    path: Arc<Path>,
    /// ARNs by name: the secrets that exist, whatever else the file keeps.
    arns: Arc<BTreeMap<String, String>>,
    kept: Arc<RwLock<AllKept>>,
    clock: Clock,
}

impl Secrets {
    /// Reads the file `path`, which need not exist, and adds what is missing for `secrets`.
    ///
    /// `given` are values from outside, by logical id: they replace what is kept. Blocks on the disk.
    pub fn open(
        path: &Path,
        secrets: &[Secret],
        given: &BTreeMap<String, String>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let mut kept = file::read(path)?;
        for secret in secrets {
            let known = kept.entry(secret.name.clone()).or_default();
            let value = match (given.get(secret.logical_id.as_str()), &secret.value) {
                (Some(given), _) => Some(given.clone()),
                (None, SecretValue::Given(value)) => Some(value.clone()),
                (None, SecretValue::Generated(how)) if known.current.is_none() => {
                    let value = password::generate(how);
                    Some(value.map_err(|source| Error::Generate {
                        name: secret.name.clone(),
                        source,
                    })?)
                }
                (None, SecretValue::Generated(_) | SecretValue::Absent) => None,
            };
            if let Some(value) = value {
                known.rotate(value, new_id(), clock.now());
            }
        }
        file::write(path, &kept)?;
        let arns = secrets.iter().map(|secret| (secret.name.clone(), secret.arn.clone()));
        Ok(Self {
            path: path.into(),
            arns: Arc::new(arns.collect()),
            kept: Arc::new(RwLock::new(kept)),
            clock,
        })
    }

    /// The current value of the secret of that name, for what on this side must sign as its clients do.
    pub fn current(&self, name: &str) -> Option<String> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        Some(kept.get(name)?.current.as_ref()?.value.0.clone())
    }

    /// Performs one operation of the Secrets Manager API.
    pub async fn handle(&self, operation: &str, body: Bytes) -> Answer {
        let outcome = match operation {
            "GetSecretValue" => self.get(&body),
            "DescribeSecret" => self.describe(&body),
            "PutSecretValue" => {
                let secrets = self.clone();
                let put = tokio::task::spawn_blocking(move || secrets.put(&body));
                put.await.unwrap_or(Err(Refusal::Internal))
            }
            _ => return Answer::unknown_operation(JSON_1_1),
        };
        match outcome {
            Ok(body) => Answer::ok(JSON_1_1, &body),
            Err(refusal) => refusal.answer(),
        }
    }

    fn get(&self, body: &[u8]) -> Result<Value, Refusal> {
        let request: GetRequest = parse(body)?;
        let (name, arn) = self.find(&request.secret_id)?;
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let stage = match (&request.version_stage, &request.version_id) {
            (None, None) => Some(CURRENT),
            (stage, _) => stage.as_deref(),
        };
        let mut versions = kept.get(name).into_iter().flat_map(Kept::staged);
        let found = versions.find(|(known, version)| {
            stage.is_none_or(|stage| stage == *known) && request.version_id.as_ref().is_none_or(|id| *id == version.id)
        });
        let Some((stage, version)) = found else {
            return Err(Refusal::NoVersion(match (stage, request.version_id) {
                (Some(stage), _) => format!("staging label: {stage}"),
                (None, id) => format!("VersionId: {}", id.unwrap_or_default()),
            }));
        };
        Ok(json!({
            "ARN": arn,
            "CreatedDate": epoch_seconds(version.created),
            "Name": name,
            "SecretString": version.value.0,
            "VersionId": version.id,
            "VersionStages": [stage],
        }))
    }

    fn describe(&self, body: &[u8]) -> Result<Value, Refusal> {
        let request: GetRequest = parse(body)?;
        let (name, arn) = self.find(&request.secret_id)?;
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let versions = || kept.get(name).into_iter().flat_map(Kept::staged);
        let stages: BTreeMap<&str, [&str; 1]> = versions().map(|(stage, version)| (&*version.id, [stage])).collect();
        let changed = versions().map(|(_, version)| version.created).max();
        let created = versions().map(|(_, version)| version.created).min();
        let mut described = json!({"ARN": arn, "Name": name, "VersionIdsToStages": stages});
        if let (Some(created), Some(changed)) = (created, changed) {
            described["CreatedDate"] = json!(epoch_seconds(created));
            described["LastChangedDate"] = json!(epoch_seconds(changed));
        }
        Ok(described)
    }

    fn put(&self, body: &[u8]) -> Result<Value, Refusal> {
        let request: PutRequest = parse(body)?;
        let (name, arn) = self.find(&request.secret_id)?;
        if MAX_VALUE_BYTES < request.secret_string.len() {
            return Err(Refusal::Invalid("SecretString is longer than 65536 bytes".to_owned()));
        }
        let id = request.client_request_token.unwrap_or_else(new_id);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let known = kept
            .get(name)
            .into_iter()
            .flat_map(Kept::staged)
            .find(|(_, version)| version.id == id);
        if known.is_some_and(|(_, version)| version.value.0 != request.secret_string) {
            return Err(Refusal::TokenReused);
        }
        if known.is_none() {
            let mut changed = kept.clone();
            let secret = changed.entry(name.to_owned()).or_default();
            secret.rotate(request.secret_string, id, self.clock.now());
            file::write(&self.path, &changed).map_err(|error| {
                tracing::error!(%error, "could not keep a secret");
                Refusal::Internal
            })?;
            *kept = changed;
        }
        let current = kept.get(name).and_then(|secret| secret.current.as_ref());
        Ok(json!({
            "ARN": arn,
            "Name": name,
            "VersionId": current.map(|version| &version.id),
            "VersionStages": [CURRENT],
        }))
    }

    /// The name and ARN of the secret that `id` names: by name, by ARN, or by ARN without its random suffix.
    fn find(&self, id: &str) -> Result<(&str, &str), Refusal> {
        let names = |name: &str, arn: &str| {
            let partial = || {
                arn.strip_prefix(id)
                    .is_some_and(|suffix| suffix.len() == 7 && suffix.starts_with('-'))
            };
            name == id || arn == id || partial()
        };
        let mut secrets = self.arns.iter();
        let found = secrets.find(|(name, arn)| names(name, arn));
        found
            .map(|(name, arn)| (name.as_str(), arn.as_str()))
            .ok_or(Refusal::NoSecret)
    }
}

impl Service for Secrets {
    fn handle<'a>(&'a self, operation: &'a str, body: Bytes) -> Answering<'a> {
        Box::pin(self.handle(operation, body))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRequest {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRequest {
    secret_id: String,
    client_request_token: Option<String>,
    secret_string: String,
}

/// What the API answers instead of a result.
enum Refusal {
    NoSecret,
    NoVersion(String),
    TokenReused,
    Invalid(String),
    Internal,
}

impl Refusal {
    fn answer(self) -> Answer {
        let (status, code, message) = match self {
            Self::NoSecret => {
                let message = "Secrets Manager can't find the specified secret.".to_owned();
                (400, "ResourceNotFoundException", message)
            }
            Self::NoVersion(what) => {
                let message = format!("Secrets Manager can't find the specified secret value for {what}");
                (400, "ResourceNotFoundException", message)
            }
            Self::TokenReused => {
                let message = "You can't use ClientRequestToken because that value is already in use for a version.";
                (400, "ResourceExistsException", message.to_owned())
            }
            Self::Invalid(message) => (400, "InvalidParameterException", message),
            Self::Internal => (500, "InternalServiceError", "An internal error occurred.".to_owned()),
        };
        Answer::error(JSON_1_1, status, code, &message)
    }
}

/// Reads a request. The parser's message is not passed on: it may quote a value.
fn parse<'a, Request: Deserialize<'a>>(body: &'a [u8]) -> Result<Request, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::Invalid("The request is not valid.".to_owned()))
}

fn epoch_seconds(moment: DateTime<Utc>) -> f64 {
    moment.timestamp_millis() as f64 / 1000.0
}

fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests;
