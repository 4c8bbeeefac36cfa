//! The webhook's secret, from Secrets Manager, and JIRA's token.
//!
//! While the webhook's is rotated two are valid: the current one, and for a day the one before it. Both are kept for an hour at
//! most; a delivery that neither has signed makes them be read again, but not more often than once a minute.

use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::primitives::DateTime;
use tokio::sync::Mutex;

use crate::names::{ErrorName, Name};
use crate::proof::{self, Proofs};

/// How long the secrets that were read are taken for the secrets there are.
const KEPT: Duration = Duration::from_secs(60 * 60);
/// How soon they are read again because a signature did not fit. Anyone can send those, and a read costs money.
const REREAD: Duration = Duration::from_secs(60);
/// How long the previous secret stays valid: time enough to change it in every JIRA, and for JIRA's last retry.
const PREVIOUS_VALID_SECONDS: i64 = 24 * 60 * 60;

/// The secret's current and previous values.
#[derive(Debug)]
pub struct Secret {
    client: Client,
    arn: String,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    values: Vec<Proofs>,
    read_at: Instant,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Secrets Manager did not give the secret {arn}")]
    Service {
        arn: String,
        #[source]
        source: Box<SdkError<GetSecretValueError>>,
    },
    #[error("the secret {arn} has no text")]
    Empty { arn: String },
    #[error("the secret {arn} is of no use")]
    Useless {
        arn: String,
        #[source]
        source: proof::Error,
    },
}

impl ErrorName for Error {
    fn name(&self) -> Name {
        Name::ServiceFailed
    }
}

impl Secret {
    pub fn new(client: Client, arn: String) -> Self {
        Self {
            client,
            arn,
            kept: Mutex::new(None),
        }
    }

    /// Whether `is_right` holds for any valid value.
    pub async fn verify(&self, is_right: impl Fn(&[Proofs]) -> bool) -> Result<bool, Error> {
        let mut kept = self.kept.lock().await;
        if let Some(secrets) = kept.as_ref().filter(|secrets| secrets.read_at.elapsed() < KEPT) {
            if is_right(&secrets.values) {
                return Ok(true);
            }
            if secrets.read_at.elapsed() < REREAD {
                return Ok(false);
            }
        }
        let values = self.read().await?;
        let verified = is_right(&values);
        *kept = Some(Kept {
            values,
            read_at: Instant::now(),
        });
        Ok(verified)
    }

    /// The current value, read now.
    pub async fn current(&self) -> Result<String, Error> {
        let current = self.version("AWSCURRENT").await?;
        let (value, _) = current.ok_or_else(|| Error::Empty { arn: self.arn.clone() })?;
        Ok(value)
    }

    /// Reads the values now, so that the first delivery need not.
    pub async fn warm(&self) -> Result<(), Error> {
        let values = self.read().await?;
        *self.kept.lock().await = Some(Kept {
            values,
            read_at: Instant::now(),
        });
        Ok(())
    }

    async fn read(&self) -> Result<Vec<Proofs>, Error> {
        let (current, rotated_at) = self
            .version("AWSCURRENT")
            .await?
            .ok_or_else(|| Error::Empty { arn: self.arn.clone() })?;
        let current = Proofs::parse(&current).map_err(|source| Error::Useless {
            arn: self.arn.clone(),
            source,
        })?;
        let mut values = vec![current];
        let now = chrono::Utc::now().timestamp();
        if rotated_at.is_some_and(|rotated_at| now - rotated_at.secs() < PREVIOUS_VALID_SECONDS) {
            let previous = self.version("AWSPREVIOUS").await?;
            // One that was of no use is what the rotation has mended.
            values.extend(previous.and_then(|(previous, _)| Proofs::parse(&previous).ok()));
        }
        Ok(values)
    }

    /// The value with this staging label, and when it was made; `None` if no value has the label, or an empty one.
    async fn version(&self, stage: &str) -> Result<Option<(String, Option<DateTime>)>, Error> {
        match self
            .client
            .get_secret_value()
            .secret_id(&self.arn)
            .version_stage(stage)
            .send()
            .await
        {
            Ok(output) => {
                let text = output.secret_string.filter(|text| !text.is_empty());
                Ok(text.map(|text| (text, output.created_date)))
            }
            Err(SdkError::ServiceError(error))
                if stage == "AWSPREVIOUS" && error.err().is_resource_not_found_exception() =>
            {
                Ok(None)
            }
            Err(error) => Err(Error::Service {
                arn: self.arn.clone(),
                source: Box::new(error),
            }),
        }
    }
}
