//! Versions of state machines: publish, list, delete.

use serde_json::{Map, Value, json};

use super::error::Error;
use super::request::{ARN, PAGE_TOKEN, Request};
use super::{StepFunctions, arn, epoch, page, put};
use crate::driver::{self, Publish, Qualifier, VersionRecord, qualified};

/// Length of a version's description.
const DESCRIPTION: std::ops::RangeInclusive<usize> = 0..=256;
/// Length of a revision's id.
const REVISION_ID: std::ops::RangeInclusive<usize> = 0..=usize::MAX;

/// Whether a request that creates or updates a state machine also publishes it, and under which description.
pub(super) struct Publishing(Option<Publish>);

impl Publishing {
    pub(super) fn read(request: &mut Request) -> Result<Self, Error> {
        let publishes = request.boolean("publish") == Some(true);
        let description = request.optional_sensitive("versionDescription", DESCRIPTION);
        if !publishes && description.is_some() {
            return Err(Error::Validation {
                message: "Version description can only be set when publish is true".into(),
                reason: "MISSING_REQUIRED_PARAMETER",
            });
        }
        Ok(Self(publishes.then(|| Publish {
            description: description.map(Into::into),
            revision_id: None,
        })))
    }
}

impl StepFunctions {
    /// Publishes what was just created or updated, if that was asked for; adds the version to the answer.
    pub(super) async fn published(
        &self,
        arn: &str,
        publishing: Publishing,
        answer: &mut Map<String, Value>,
    ) -> Result<(), Error> {
        if let Some(publish) = publishing.0 {
            let version = self.engine.publish_version(arn, publish).await?;
            answer.insert("stateMachineVersionArn".into(), json!(version.arn));
        }
        Ok(())
    }

    pub(super) async fn publish_state_machine_version(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("stateMachineArn", ARN);
        let publish = Publish {
            revision_id: request.optional("revisionId", REVISION_ID).map(Into::into),
            description: request.optional_sensitive("description", DESCRIPTION).map(Into::into),
        };
        request.checked()?;
        arn::unqualified(&arn)?;
        let wanted = publish.revision_id.clone();
        match self.engine.publish_version(&arn, publish).await {
            Ok(version) => Ok(item(&version)),
            Err(driver::Error::OtherRevision { .. }) => {
                let current = self.engine.state_machine(&arn)?.revision_id;
                let wanted = wanted.unwrap_or_default();
                Err(Error::Conflict(format!(
                    "Failed to publish the State Machine version for revision {wanted}. The current State Machine \
                     revision is {current}."
                )))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn list_state_machine_versions(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("stateMachineArn", ARN);
        let size = request.page_size();
        let token = request.optional("nextToken", PAGE_TOKEN);
        request.checked()?;
        arn::unqualified(&arn)?;
        let listing = format!("ListStateMachineVersions {arn}");
        let before = token
            .map(|token| {
                page::position(&listing, &token)?
                    .parse()
                    .map_err(|_| Error::InvalidToken)
            })
            .transpose()?;
        let versions = self.engine.versions(&arn)?;
        let rest: Vec<_> = versions
            .iter()
            .filter(|version| before.is_none_or(|before: u32| version.number < before))
            .collect();
        let shown = &rest[..rest.len().min(size)];
        let items = shown.iter().copied().map(item).collect();
        let mut answer = Map::from_iter([("stateMachineVersions".to_owned(), Value::Array(items))]);
        let last = shown.last().filter(|_| shown.len() < rest.len());
        put(
            &mut answer,
            "nextToken",
            last.map(|last| page::token(&listing, &last.number.to_string())),
        );
        Ok(Value::Object(answer))
    }

    pub(super) async fn delete_state_machine_version(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("stateMachineVersionArn", ARN);
        request.checked()?;
        arn::state_machine(&arn)?;
        if !matches!(qualified(&arn), Some((_, Qualifier::Version(_)))) {
            return Err(Error::InvalidArn(format!("Invalid ARN: {arn}")));
        }
        self.engine.delete_version(&arn).await?;
        Ok(json!({}))
    }
}

fn item(version: &VersionRecord) -> Value {
    json!({"stateMachineVersionArn": version.arn, "creationDate": epoch(version.created)})
}
