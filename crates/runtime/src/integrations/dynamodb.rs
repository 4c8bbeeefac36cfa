//! DynamoDB: the four optimised integrations and the AWS SDK's.

use asl::{Failure, Json};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::Integrations;
use super::metadata::{Metadata, exception, optimised_cause, refusal, request_id, sdk_cause};
use crate::aws::Answer;
use crate::driver::TaskCall;
use crate::iam;

/// How parameters, results and errors look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `dynamodb:…`: the wire's own shapes, the HTTP side in the result.
    Optimised,
    /// `aws-sdk:dynamodb:…`: the shapes of AWS's Java client.
    Sdk,
}

const OPTIMISED: &[(&str, &str)] = &[
    ("getItem", "GetItem"),
    ("putItem", "PutItem"),
    ("updateItem", "UpdateItem"),
    ("deleteItem", "DeleteItem"),
];

const OTHERS: &[(&str, &str)] = &[
    ("batchGetItem", "BatchGetItem"),
    ("batchWriteItem", "BatchWriteItem"),
    ("createTable", "CreateTable"),
    ("deleteTable", "DeleteTable"),
    ("describeTable", "DescribeTable"),
    ("listTables", "ListTables"),
    ("query", "Query"),
    ("scan", "Scan"),
    ("transactGetItems", "TransactGetItems"),
    ("transactWriteItems", "TransactWriteItems"),
];

/// The errors that AWS's clients know by name; others go by the service's.
const NAMED_ERRORS: &[&str] = &[
    "ConditionalCheckFailedException",
    "IdempotentParameterMismatchException",
    "InternalServerError",
    "ItemCollectionSizeLimitExceededException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ResourceInUseException",
    "ResourceNotFoundException",
    "TransactionCanceledException",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// The wire's names of all operations.
#[cfg(test)]
pub(crate) fn operations() -> impl Iterator<Item = &'static str> {
    OPTIMISED.iter().chain(OTHERS).map(|(_, wire)| *wire)
}

/// The wire's name of an operation with an integration of its own.
pub(super) fn optimised(operation: &str) -> Option<&'static str> {
    named(operation, OPTIMISED)
}

/// The wire's name of an operation that the AWS SDK integration has.
pub(super) fn any(operation: &str) -> Option<&'static str> {
    named(operation, OPTIMISED).or_else(|| named(operation, OTHERS))
}

fn named(operation: &str, names: &[(&str, &'static str)]) -> Option<&'static str> {
    names.iter().find(|(name, _)| *name == operation).map(|(_, wire)| *wire)
}

impl Integrations {
    pub(super) async fn dynamodb(
        &self,
        call: &TaskCall,
        operation: &'static str,
        style: Style,
        parameters: &Json,
    ) -> Result<Json, Failure> {
        let mut request = parameters.value().clone();
        if style == Style::Sdk {
            rename(&mut request, Spelling::Wire);
        }
        let service = (iam::Service::DynamoDb, self.dynamodb.as_ref());
        let answer = self
            .ask(call, service, operation, Bytes::from(request.to_string()))
            .await;
        if answer.status != 200 {
            let (code, message) = refusal(&answer.body);
            return Err(failure(style, answer.status, &code, &message));
        }
        let mut result: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match (style, &mut result) {
            (Style::Sdk, result) => rename(result, Spelling::Sdk),
            (Style::Optimised, Value::Object(result)) => metadata(&answer, self.clock.now(), result),
            (Style::Optimised, _) => {}
        }
        Ok(result.into())
    }
}

fn failure(style: Style, status: u16, code: &str, message: &str) -> Failure {
    let known = NAMED_ERRORS.contains(&code);
    match style {
        Style::Optimised => {
            let name = if known {
                exception(code)
            } else {
                "AmazonDynamoDBException".to_owned()
            };
            Failure::new(
                &format!("DynamoDB.{name}"),
                optimised_cause(message, "AmazonDynamoDBv2", status, code),
            )
        }
        Style::Sdk => {
            let name = if known {
                exception(code)
            } else {
                "DynamoDbException".to_owned()
            };
            Failure::new(&format!("DynamoDb.{name}"), sdk_cause(message, "DynamoDb", status))
        }
    }
}

fn metadata(answer: &Answer, now: DateTime<Utc>, result: &mut Map<String, Value>) {
    let id = request_id();
    Metadata::new(200, id.clone())
        .header("Server", "Server")
        .header("Connection", "keep-alive")
        .header("x-amzn-RequestId", id)
        .header("x-amz-crc32", crc32(&answer.body).to_string())
        .header("Content-Length", answer.body.len().to_string())
        .date(now)
        .header("Content-Type", answer.content_type)
        .put(result);
}

/// The checksum that DynamoDB sends with each answer (ISO 3309, as in Ethernet and zip).
fn crc32(bytes: &[u8]) -> u32 {
    let register = bytes.iter().fold(u32::MAX, |register, byte| {
        (0..8).fold(register ^ u32::from(*byte), |register, _| {
            (register >> 1) ^ (0xEDB8_8320 & (register & 1).wrapping_neg())
        })
    });
    !register
}

/// Whose names the types of attribute values have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Wire,
    Sdk,
}

/// Whether a value looks like one of a type.
type Fits = fn(&Value) -> bool;

/// The types whose names differ: as on the wire, as in AWS's Java client, and what a value of it looks like.
const TYPES: &[(&str, &str, Fits)] = &[
    ("SS", "Ss", Value::is_array),
    ("NS", "Ns", Value::is_array),
    ("BS", "Bs", Value::is_array),
    ("BOOL", "Bool", Value::is_boolean),
    ("NULL", "Nul", Value::is_boolean),
];

/// Renames the types of all attribute values, each an object of one member, to `spelling`.
fn rename(value: &mut Value, spelling: Spelling) {
    match value {
        Value::Object(members) => {
            let renamed = match members.iter().next() {
                Some((name, content)) if members.len() == 1 => TYPES.iter().find_map(|(wire, sdk, fits)| {
                    let (from, to) = if spelling == Spelling::Wire {
                        (sdk, wire)
                    } else {
                        (wire, sdk)
                    };
                    (from == name && fits(content)).then_some((*from, *to))
                }),
                _ => None,
            };
            if let Some((from, to)) = renamed
                && let Some(content) = members.remove(from)
            {
                members.insert(to.to_owned(), content);
            }
            members.values_mut().for_each(|member| rename(member, spelling));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, spelling)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attribute_types_are_renamed_and_attributes_are_not() {
        let wire =
            json!({"Item": {"flag": {"BOOL": true}, "SS": {"SS": ["a"]}, "map": {"M": {"BOOL": {"NULL": true}}}}});
        let sdk = json!({"Item": {"flag": {"Bool": true}, "SS": {"Ss": ["a"]}, "map": {"M": {"BOOL": {"Nul": true}}}}});
        let mut value = wire.clone();
        rename(&mut value, Spelling::Sdk);
        assert_eq!(value, sdk);
        rename(&mut value, Spelling::Wire);
        assert_eq!(value, wire);
    }

    #[test]
    fn the_checksum_is_dynamodbs() {
        // What DynamoDB sends with an empty answer.
        assert_eq!(crc32(b"{}"), 2_745_614_147);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn errors_go_by_the_name_that_catchers_know() {
        let name = |style, code| failure(style, 400, code, "text").name().to_owned();
        assert_eq!(
            name(Style::Optimised, "ConditionalCheckFailedException"),
            "DynamoDB.ConditionalCheckFailedException"
        );
        assert_eq!(
            name(Style::Optimised, "ValidationException"),
            "DynamoDB.AmazonDynamoDBException"
        );
        assert_eq!(
            name(Style::Sdk, "ResourceNotFoundException"),
            "DynamoDb.ResourceNotFoundException"
        );
        assert_eq!(name(Style::Sdk, "ValidationException"), "DynamoDb.DynamoDbException");
    }
}
