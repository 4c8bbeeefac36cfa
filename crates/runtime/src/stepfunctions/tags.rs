//! Tags of state machines and activities.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::error::Error;
use super::request::{ARN, Request};
use super::{StepFunctions, arn};
use crate::driver::StateMachineUpdate;

/// Where a state machine's settings keep its tags, by key.
pub(super) const SETTING: &str = "tags";

/// How many tags a resource may have.
const MAX_TAGS: usize = 50;
/// Length of a key.
const MAX_KEY: usize = 128;
/// Length of a value.
const MAX_VALUE: usize = 256;

/// The tags of a request, by key; of one key twice, the last holds.
pub(super) fn read(request: &mut Request, name: &str) -> Option<Map<String, Value>> {
    let list = request.list(name)?;
    let mut tags = Map::new();
    for (index, tag) in list.iter().enumerate() {
        let text = |member: &str| tag.get(member).and_then(Value::as_str);
        let place = |member: &str| format!("{name}.{}.member.{member}", index + 1);
        let key = text("key").unwrap_or_default();
        let value = text("value").unwrap_or_default();
        if key.is_empty() {
            request.violate(
                Some(key),
                &place("key"),
                "Member must have length greater than or equal to 1",
            );
        } else if MAX_KEY < key.encode_utf16().count() {
            let constraint = format!("Member must have length less than or equal to {MAX_KEY}");
            request.violate(Some(key), &place("key"), &constraint);
        }
        if MAX_VALUE < value.encode_utf16().count() {
            let constraint = format!("Member must have length less than or equal to {MAX_VALUE}");
            request.violate(Some(value), &place("value"), &constraint);
        }
        tags.insert(key.to_owned(), json!(value));
    }
    Some(tags)
}

/// Refuses more tags than a resource may have.
pub(super) fn bounded(resource: &str, tags: &Map<String, Value>) -> Result<(), Error> {
    match tags.len() <= MAX_TAGS {
        true => Ok(()),
        false => Err(Error::TooManyTags(resource.to_owned())),
    }
}

impl StepFunctions {
    pub(super) async fn tag_resource(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("resourceArn", ARN);
        let given = read(request, "tags");
        if given.is_none() {
            request.missing("tags");
        }
        request.checked()?;
        let mut tags = self.tags(&arn).await?;
        tags.extend(given.unwrap_or_default());
        bounded(&arn, &tags)?;
        self.retag(&arn, tags).await
    }

    pub(super) async fn untag_resource(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("resourceArn", ARN);
        let keys = request.required_texts("tagKeys");
        request.checked()?;
        let mut tags = self.tags(&arn).await?;
        tags.retain(|key, _| !keys.contains(key));
        self.retag(&arn, tags).await
    }

    pub(super) async fn list_tags_for_resource(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("resourceArn", ARN);
        request.checked()?;
        let tags: Vec<_> = self
            .tags(&arn)
            .await?
            .into_iter()
            .map(|(key, value)| json!({"key": key, "value": value}))
            .collect();
        Ok(json!({ "tags": tags }))
    }

    async fn tags(&self, arn: &str) -> Result<Map<String, Value>, Error> {
        arn::taggable(arn)?;
        if arn::activity(arn).is_ok() {
            let activity = self.engine.activity(arn).await?;
            let activity = activity.ok_or_else(|| Error::ResourceNotFound(arn.to_owned()))?;
            return Ok(activity
                .tags
                .into_iter()
                .map(|(key, value)| (key, value.into()))
                .collect());
        }
        let record = self
            .engine
            .state_machine(arn)
            .map_err(|_| Error::ResourceNotFound(arn.to_owned()))?;
        Ok(record
            .settings
            .get(SETTING)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default())
    }

    async fn retag(&self, arn: &str, tags: Map<String, Value>) -> Result<Value, Error> {
        if arn::activity(arn).is_ok() {
            return match self.engine.retag_activity(arn, texts(tags)).await? {
                true => Ok(json!({})),
                false => Err(Error::ResourceNotFound(arn.to_owned())),
            };
        }
        let record = self.engine.state_machine(arn)?;
        let mut settings = (*record.settings).clone();
        settings[SETTING] = Value::Object(tags);
        let update = StateMachineUpdate {
            settings: Some(settings),
            retags: true,
            ..StateMachineUpdate::default()
        };
        self.engine.update_state_machine(arn, update).await?;
        Ok(json!({}))
    }
}

/// Tags by key as they are kept of an activity.
pub(super) fn texts(tags: Map<String, Value>) -> BTreeMap<String, String> {
    let texts = tags.into_iter().filter_map(|(key, value)| match value {
        Value::String(value) => Some((key, value)),
        _ => None,
    });
    texts.collect()
}
