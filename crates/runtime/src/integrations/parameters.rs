//! The parameters that the optimised integrations take.

use super::{Action, dynamodb};

/// The names of an integration's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    pub required: &'static [&'static str],
    optional: &'static [&'static str],
}

impl Parameters {
    /// Those of an action; none are known of a function's, which are its own affair, and of the AWS SDK's.
    pub(super) fn of(action: Action) -> Option<Self> {
        let (required, optional): (&[_], &[_]) = match action {
            Action::LambdaInvoke => (
                &["FunctionName"],
                // The last is not in AWS's list, but taken.
                &["Payload", "InvocationType", "Qualifier", "ClientContext", "LogType"],
            ),
            Action::StartExecution(_) => (&["StateMachineArn"], &["Input", "Name", "TraceHeader"]),
            Action::PutEvents => (&["Entries"], &["EndpointId"]),
            Action::DynamoDb(operation, dynamodb::Style::Optimised) => match operation {
                "GetItem" => (
                    &["Key", "TableName"],
                    &[
                        "AttributesToGet",
                        "ConsistentRead",
                        "ExpressionAttributeNames",
                        "ProjectionExpression",
                        "ReturnConsumedCapacity",
                    ],
                ),
                "PutItem" => (&["Item", "TableName"], WRITES),
                "UpdateItem" => (&["Key", "TableName"], UPDATES),
                _ => (&["Key", "TableName"], WRITES),
            },
            Action::Function | Action::Sfn(_) | Action::DynamoDb(_, dynamodb::Style::Sdk) => return None,
        };
        Some(Self { required, optional })
    }

    /// Whether there is a parameter of this name.
    pub fn has(&self, name: &str) -> bool {
        self.required.contains(&name) || self.optional.contains(&name)
    }
}

/// What PutItem and DeleteItem take.
const WRITES: &[&str] = &[
    "ConditionalOperator",
    "ConditionExpression",
    "Expected",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnConsumedCapacity",
    "ReturnItemCollectionMetrics",
    "ReturnValues",
    "ReturnValuesOnConditionCheckFailure",
];

/// What UpdateItem takes.
const UPDATES: &[&str] = &[
    "AttributeUpdates",
    "ConditionalOperator",
    "ConditionExpression",
    "Expected",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnConsumedCapacity",
    "ReturnItemCollectionMetrics",
    "ReturnValues",
    "ReturnValuesOnConditionCheckFailure",
    "UpdateExpression",
];
