//! Which policy each version is.

use aws_sdk_dynamodb::types::ReturnValue;
use ticket::Time;

use super::attribute::string;
use super::request::{Reading, key};
use super::{Error, Table, failed};

const POLICIES: &str = "POLICIES";
const POLICY: &str = "policy";

/// Sorted as the versions are.
fn sort(version: u32) -> String {
    format!("{version:010}")
}

impl Table {
    /// The text of the first policy that had this version: `text`, if none had.
    pub async fn first_policy(&self, version: u32, text: &str, now: Time) -> Result<String, Error> {
        let output = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(POLICIES.to_owned(), sort(version))))
            .update_expression("SET #policy = if_not_exists(#policy, :policy), #since = if_not_exists(#since, :since)")
            .expression_attribute_names("#policy", POLICY)
            .expression_attribute_names("#since", "since")
            .expression_attribute_values(":policy", string(text))
            .expression_attribute_values(":since", string(now.to_string()))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(failed("compare the policy"))?;
        Reading(&output.attributes.unwrap_or_default()).required(POLICY)
    }

    /// The text of the first policy that had this version, if one had.
    pub async fn known_policy(&self, version: u32) -> Result<Option<String>, Error> {
        let item = self.get("read a policy", POLICIES.to_owned(), sort(version)).await?;
        item.as_ref().map(|item| Reading(item).required(POLICY)).transpose()
    }
}
