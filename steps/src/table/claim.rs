//! Requests by the key that their client gave them, so that the same one again does nothing again.

use aws_sdk_dynamodb::error::SdkError;
use sha2::{Digest, Sha256};
use ticket::Time;

use super::attribute::{number, string};
use super::request::{Change, Outcome, Reading, key};
use super::{Error, Table, failed};

/// How long a key is remembered: longer than any client tries again.
const KEPT_SECONDS: i64 = 24 * 60 * 60;

const REQUEST: &str = "REQUEST";
/// A key that has expired is as good as new; DynamoDB may take days to delete it.
const CLAIM_GUARD: &str = "attribute_not_exists(#pk) OR #expires_at < :now";
/// Of two who carried it out at once, the first to be done gives the answer to remember.
const ANSWER_GUARD: &str = "#request = :request AND attribute_not_exists(#answer)";

/// What a key was given for first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The hash of the request.
    pub request: String,
    /// When it came first: it is carried out as of then, however often it is tried.
    pub at: Time,
    /// How it was answered; `None` while it is under way, or if whoever carried it out was killed.
    pub answer: Option<Answer>,
}

/// An answer to give again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

fn partition(client: &str, name: &str) -> String {
    let hash = Sha256::new()
        .chain_update(client)
        .chain_update([0])
        .chain_update(name)
        .finalize();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("REQUEST#{hash}")
}

impl Table {
    /// Claims a client's key for a request; what it was claimed for before, if it was.
    pub async fn claim(&self, client: &str, name: &str, request: &str, now: Time) -> Result<Claim, Error> {
        let doing = "claim a key";
        let seconds = now.millis() / 1000;
        let mut item = key(partition(client, name), REQUEST.to_owned());
        item.insert("request".to_owned(), string(request));
        item.insert("claimed_at".to_owned(), string(now.to_string()));
        item.insert("expires_at".to_owned(), number(seconds + KEPT_SECONDS));
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(CLAIM_GUARD)
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_names("#expires_at", "expires_at")
            .expression_attribute_values(":now", number(seconds));
        match put.send().await {
            Ok(_) => {
                return Ok(Claim {
                    request: request.to_owned(),
                    at: now,
                    answer: None,
                });
            }
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {}
            Err(error) => return Err(failed(doing)(error)),
        }
        let item = self.get(doing, partition(client, name), REQUEST.to_owned()).await?;
        let item = item.ok_or_else(|| Error::Unavailable {
            doing,
            source: "it was claimed and is gone".into(),
        })?;
        let reading = Reading(&item);
        let status: Option<u16> = reading.optional("status")?;
        let body: Option<String> = reading.optional("answer")?;
        Ok(Claim {
            request: reading.required("request")?,
            at: reading.required("claimed_at")?,
            answer: status.zip(body).map(|(status, body)| Answer { status, body }),
        })
    }

    /// Remembers how a request was answered.
    pub async fn answered(&self, client: &str, name: &str, request: &str, answer: &Answer) -> Result<Outcome, Error> {
        let mut change = Change::new(partition(client, name), REQUEST.to_owned());
        change
            .set("status", number(answer.status))
            .set("answer", string(&answer.body))
            .condition(ANSWER_GUARD, [("request", string(request))]);
        self.change("remember an answer", change).await
    }
}
