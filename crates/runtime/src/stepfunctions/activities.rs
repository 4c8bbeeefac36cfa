//! Activities: create, describe, list, delete, and the tasks that workers ask for.

use serde_json::{Map, Value, json};

use super::error::Error;
use super::machines::encryption_configuration;
use super::request::{ARN, NAME, PAGE_TOKEN, Request};
use super::{StepFunctions, arn, epoch, page, put, tags};
use crate::driver::ActivityRecord;

impl StepFunctions {
    pub(super) async fn create_activity(&self, request: &mut Request) -> Result<Value, Error> {
        let name = request.required("name", NAME);
        let tags = tags::read(request, "tags").unwrap_or_default();
        let encryption = request.object("encryptionConfiguration");
        request.checked()?;
        arn::name(&name)?;
        encryption.as_ref().map(encryption_configuration).transpose()?;
        tags::bounded(&name, &tags)?;
        let activity = self.engine.create_activity(&name, tags::texts(tags)).await?;
        Ok(json!({"activityArn": activity.arn, "creationDate": epoch(activity.created)}))
    }

    /// Waits for a task; the answer is empty if there is none for a minute.
    pub(super) async fn get_activity_task(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("activityArn", ARN);
        let worker = request.optional("workerName", NAME);
        request.checked()?;
        arn::activity(&arn)?;
        let task = self.engine.activity_task(&arn, worker.map(Into::into)).await?;
        Ok(match task {
            Some(task) => json!({"taskToken": task.token, "input": task.input.text()}),
            None => json!({}),
        })
    }

    pub(super) async fn describe_activity(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("activityArn", ARN);
        request.checked()?;
        arn::activity(&arn)?;
        let activity = self.engine.activity(&arn).await?;
        let activity = activity.ok_or(Error::ActivityDoesNotExist(arn))?;
        let mut answer = item(&activity);
        answer["encryptionConfiguration"] = json!({"type": "AWS_OWNED_KEY"});
        Ok(answer)
    }

    pub(super) async fn delete_activity(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("activityArn", ARN);
        request.checked()?;
        arn::activity(&arn)?;
        self.engine.delete_activity(&arn).await?;
        Ok(json!({}))
    }

    pub(super) async fn list_activities(&self, request: &mut Request) -> Result<Value, Error> {
        const LISTING: &str = "ListActivities";
        let size = request.page_size();
        let token = request.optional("nextToken", PAGE_TOKEN);
        request.checked()?;
        let after = token.map(|token| page::position(LISTING, &token)).transpose()?;
        let (shown, more) = self.engine.activities(after, size).await?;
        let items = shown.iter().map(item).collect();
        let mut answer = Map::from_iter([("activities".to_owned(), Value::Array(items))]);
        let last = shown.last().filter(|_| more);
        put(
            &mut answer,
            "nextToken",
            last.map(|last| page::token(LISTING, &last.arn)),
        );
        Ok(Value::Object(answer))
    }
}

fn item(activity: &ActivityRecord) -> Value {
    json!({
        "activityArn": activity.arn,
        "name": activity.name,
        "creationDate": epoch(activity.created),
    })
}
