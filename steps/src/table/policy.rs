//! Which policies were in force, one after another.

use ticket::Time;

use super::attribute::string;
use super::request::{Change, Outcome, PARTITION, Reading, SORT};
use super::{Error, Table, failed};

const POLICIES: &str = "POLICIES";
const POLICY: &str = "policy";
const SINCE: &str = "since";
const NEW_GUARD: &str = "attribute_not_exists(#pk)";

/// A policy that is or was in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// One more than that of the policy before.
    pub number: u32,
    /// As it was written.
    pub text: String,
    pub since: Time,
}

/// Sorted as the numbers are.
fn sort(number: u32) -> String {
    format!("{number:010}")
}

impl Table {
    /// The policies that were in force last, at most so many, the one in force first.
    pub async fn policies(&self, at_most: usize) -> Result<Vec<Known>, Error> {
        let output = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PARTITION)
            .expression_attribute_values(":pk", string(POLICIES))
            .scan_index_forward(false)
            .limit(i32::try_from(at_most).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(failed("read the policies"))?;
        let known = output.items().iter().map(|item| {
            let reading = Reading(item);
            let number: String = reading.required(SORT)?;
            Ok(Known {
                number: number.parse().map_err(|_| reading.unreadable(SORT))?,
                text: reading.required(POLICY)?,
                since: reading.required(SINCE)?,
            })
        });
        known.collect()
    }

    /// Puts a policy in force; refused, if its number is another one's by now.
    pub async fn put_in_force(&self, policy: &Known) -> Result<Outcome, Error> {
        let mut change = Change::new(POLICIES.to_owned(), sort(policy.number));
        change
            .set(POLICY, string(&policy.text))
            .set(SINCE, string(policy.since.to_string()))
            .condition(NEW_GUARD, []);
        self.change("put a policy in force", change).await
    }
}
