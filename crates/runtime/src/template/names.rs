//! Types, names and ARNs of resources, as AWS forms them.

use sha2::{Digest, Sha256};

use super::{ACCOUNT_ID, PARTITION, STACK_NAME, URL_SUFFIX};

/// The logical id of the HTTP API that SAM makes for events that name none.
pub(super) const IMPLICIT_API: &str = "ServerlessHttpApi";

/// The API's id. AWS draws ten characters; there is one API here, and its id should not change between starts.
pub(super) const API_ID: &str = "localhttp0";

/// What the runtime makes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    StateMachine,
    HttpApi,
    Table,
    SimpleTable,
    Secret,
    /// Stood for by the local issuer, where an authorizer names it.
    UserPool,
    UserPoolClient,
    /// Means something on AWS only; without it everything here behaves the same.
    Ignored,
    Unsupported,
}

/// Services whose resources say how to observe, permit, release or account for an application, not what it does.
const IGNORED_SERVICES: [&str; 17] = [
    "AWS::ApplicationAutoScaling::",
    "AWS::ApplicationInsights::",
    "AWS::Backup::",
    "AWS::Budgets::",
    "AWS::Chatbot::",
    "AWS::CloudTrail::",
    "AWS::CloudWatch::",
    "AWS::CodeDeploy::",
    "AWS::Cognito::",
    "AWS::FIS::",
    "AWS::IAM::",
    "AWS::KMS::",
    "AWS::Logs::",
    "AWS::ResourceGroups::",
    "AWS::ServiceCatalogAppRegistry::",
    "AWS::WAFv2::",
    "AWS::XRay::",
];

const IGNORED_TYPES: [&str; 11] = [
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::DynamoDB::GlobalTableAutoScaling",
    "AWS::Lambda::Alias",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SSM::Document",
    "AWS::SecretsManager::ResourcePolicy",
    "AWS::StepFunctions::StateMachineAlias",
];

pub(super) fn kind(type_name: &str) -> Kind {
    match type_name {
        "AWS::Serverless::Function" => Kind::Function,
        "AWS::Serverless::StateMachine" => Kind::StateMachine,
        "AWS::Serverless::HttpApi" => Kind::HttpApi,
        "AWS::Serverless::SimpleTable" => Kind::SimpleTable,
        "AWS::DynamoDB::Table" => Kind::Table,
        "AWS::SecretsManager::Secret" => Kind::Secret,
        "AWS::Cognito::UserPool" => Kind::UserPool,
        "AWS::Cognito::UserPoolClient" => Kind::UserPoolClient,
        _ if IGNORED_TYPES.contains(&type_name) => Kind::Ignored,
        _ if IGNORED_SERVICES.iter().any(|service| type_name.starts_with(service)) => Kind::Ignored,
        _ => Kind::Unsupported,
    }
}

/// The property that names a resource of this kind.
pub(super) fn name_property(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Function => Some("FunctionName"),
        Kind::StateMachine | Kind::Secret => Some("Name"),
        Kind::Table | Kind::SimpleTable => Some("TableName"),
        Kind::HttpApi | Kind::UserPool | Kind::UserPoolClient | Kind::Ignored | Kind::Unsupported => None,
    }
}

/// Whether AWS takes that name: what it would refuse would make an ARN or a path of another shape here.
pub(super) fn is_name(kind: Kind, name: &str) -> bool {
    let (lengths, marks) = match kind {
        Kind::Function => (1..=64, "-_"),
        Kind::StateMachine => (1..=80, "-_"),
        Kind::Table | Kind::SimpleTable => (3..=255, "-_."),
        Kind::Secret => (1..=512, "/_+=.@-"),
        Kind::HttpApi | Kind::UserPool | Kind::UserPoolClient | Kind::Ignored | Kind::Unsupported => return true,
    };
    let allowed = |character: char| character.is_ascii_alphanumeric() || marks.contains(character);
    lengths.contains(&name.len()) && name.chars().all(allowed)
}

fn arn(service: &str, region: &str, resource: &str) -> String {
    format!("arn:{PARTITION}:{service}:{region}:{ACCOUNT_ID}:{resource}")
}

/// The ARN of `service:resource`; what is an ARN stays it.
pub(super) fn own_arn(region: &str, text: &str) -> String {
    match text.split_once(':') {
        Some((service, resource)) if service != "arn" => arn(service, region, resource),
        _ => text.to_owned(),
    }
}

pub(super) fn function_arn(region: &str, name: &str) -> String {
    arn("lambda", region, &format!("function:{name}"))
}

pub(super) fn state_machine_arn(region: &str, name: &str) -> String {
    arn("states", region, &format!("stateMachine:{name}"))
}

pub(super) fn table_arn(region: &str, name: &str) -> String {
    arn("dynamodb", region, &format!("table/{name}"))
}

/// AWS labels a stream with the time of its creation, which a template that was never deployed does not have.
pub(super) fn stream_arn(region: &str, table: &str) -> String {
    arn(
        "dynamodb",
        region,
        &format!("table/{table}/stream/1970-01-01T00:00:00.000"),
    )
}

pub(super) fn role_arn(name: &str) -> String {
    arn("iam", "", &format!("role/{name}"))
}

pub(super) fn stack_arn(region: &str) -> String {
    arn(
        "cloudformation",
        region,
        &format!("stack/{STACK_NAME}/00000000-0000-0000-0000-000000000000"),
    )
}

/// AWS appends six random characters; here they follow from the name, so that the ARN outlives a restart.
pub(super) fn secret_arn(region: &str, name: &str) -> String {
    arn("secretsmanager", region, &format!("secret:{name}-{}", drawn(name, 6)))
}

/// The id of a user pool, of which AWS draws the nine characters after the region.
pub(super) fn user_pool_id(region: &str, logical_id: &str) -> String {
    format!("{region}_{}", drawn(logical_id, 9))
}

/// The id of a user pool's client, 26 characters that AWS draws.
pub(super) fn user_pool_client_id(logical_id: &str) -> String {
    drawn(logical_id, 26)
}

/// What a user pool is called as an identity provider; `https://` and this is the issuer of its tokens.
pub(super) fn user_pool_provider(region: &str, logical_id: &str) -> String {
    let id = user_pool_id(region, logical_id);
    format!("cognito-idp.{region}.{URL_SUFFIX}/{id}")
}

pub(super) fn user_pool_arn(region: &str, logical_id: &str) -> String {
    arn(
        "cognito-idp",
        region,
        &format!("userpool/{}", user_pool_id(region, logical_id)),
    )
}

/// As many characters as AWS would draw: here they follow from the name, so that they outlive a restart.
fn drawn(name: &str, count: usize) -> String {
    let digest = Sha256::digest(name.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..count].to_owned()
}

/// The URL that AWS would give the API.
pub(super) fn api_url(region: &str) -> String {
    format!("https://{API_ID}.execute-api.{region}.{URL_SUFFIX}")
}
