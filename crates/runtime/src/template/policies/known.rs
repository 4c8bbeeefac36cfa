//! Policies that go by a name: SAM's policy templates, and AWS's managed ones.
//!
//! Of each only what concerns the services that run here. What is read but never refused is a little wider than AWS has
//! it where AWS lists single actions that it has added to over the years.

/// Actions, and the resources they are allowed on: `service:resource`, with `{Parameter}` in it, or a parameter alone.
type Statements = &'static [(&'static [&'static str], &'static [&'static str])];

const TABLE: &[&str] = &["dynamodb:table/{TableName}"];
const TABLE_AND_INDEXES: &[&str] = &["dynamodb:table/{TableName}", "dynamodb:table/{TableName}/index/*"];

/// SAM's policy templates that let somebody do something here.
const TEMPLATES: &[(&str, Statements)] = &[
    (
        "AWSSecretsManagerGetSecretValuePolicy",
        &[(&["secretsmanager:GetSecretValue"], &["{SecretArn}"])],
    ),
    (
        // On secrets that name the function as the one that rotates them, which is not judged.
        "AWSSecretsManagerRotationPolicy",
        &[(
            &[
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:PutSecretValue",
                "secretsmanager:UpdateSecretVersionStage",
            ],
            &["secretsmanager:secret:*"],
        )],
    ),
    (
        "DynamoDBBackupFullAccessPolicy",
        &[(&["dynamodb:CreateBackup", "dynamodb:DescribeContinuousBackups"], TABLE)],
    ),
    (
        "DynamoDBCrudPolicy",
        &[(
            &[
                "dynamodb:GetItem",
                "dynamodb:DeleteItem",
                "dynamodb:PutItem",
                "dynamodb:Scan",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
                "dynamodb:BatchWriteItem",
                "dynamodb:BatchGetItem",
                "dynamodb:DescribeTable",
                "dynamodb:ConditionCheckItem",
            ],
            TABLE_AND_INDEXES,
        )],
    ),
    (
        "DynamoDBReadPolicy",
        &[(
            &[
                "dynamodb:GetItem",
                "dynamodb:Scan",
                "dynamodb:Query",
                "dynamodb:BatchGetItem",
                "dynamodb:DescribeTable",
            ],
            TABLE_AND_INDEXES,
        )],
    ),
    ("DynamoDBReconfigurePolicy", &[(&["dynamodb:UpdateTable"], TABLE)]),
    (
        "DynamoDBRestoreFromBackupPolicy",
        &[(
            &[
                "dynamodb:PutItem",
                "dynamodb:UpdateItem",
                "dynamodb:DeleteItem",
                "dynamodb:GetItem",
                "dynamodb:Query",
                "dynamodb:Scan",
                "dynamodb:BatchWriteItem",
            ],
            TABLE,
        )],
    ),
    (
        "DynamoDBStreamReadPolicy",
        &[
            (
                &[
                    "dynamodb:DescribeStream",
                    "dynamodb:GetRecords",
                    "dynamodb:GetShardIterator",
                ],
                &["dynamodb:table/{TableName}/stream/{StreamName}"],
            ),
            (&["dynamodb:ListStreams"], &["dynamodb:table/{TableName}/stream/*"]),
        ],
    ),
    (
        "DynamoDBWritePolicy",
        &[(
            &["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:BatchWriteItem"],
            TABLE_AND_INDEXES,
        )],
    ),
    (
        "EventBridgePutEventsPolicy",
        &[(&["events:PutEvents"], &["events:event-bus/{EventBusName}"])],
    ),
    (
        "LambdaInvokePolicy",
        &[(&["lambda:InvokeFunction"], &["lambda:function:{FunctionName}*"])],
    ),
    (
        "StepFunctionsCallbackPolicy",
        &[(
            &[
                "states:SendTaskFailure",
                "states:SendTaskHeartbeat",
                "states:SendTaskSuccess",
            ],
            &["states:stateMachine:{StateMachineName}"],
        )],
    ),
    (
        "StepFunctionsExecutionPolicy",
        &[(&["states:StartExecution"], &["states:stateMachine:{StateMachineName}"])],
    ),
    (
        "StepFunctionsExecutionPolicy_v2",
        &[(
            &["states:StartExecution", "states:StartSyncExecution"],
            &["states:stateMachine:{StateMachineName}"],
        )],
    ),
];

/// SAM's policy templates about services that do not run here.
const OTHER_TEMPLATES: &[&str] = &[
    "AMIDescribePolicy",
    "AcmGetCertificatePolicy",
    "AthenaQueryPolicy",
    "CloudFormationDescribeStacksPolicy",
    "CloudWatchDashboardPolicy",
    "CloudWatchDescribeAlarmHistoryPolicy",
    "CloudWatchPutMetricPolicy",
    "CodeCommitCrudPolicy",
    "CodeCommitReadPolicy",
    "CodePipelineLambdaExecutionPolicy",
    "CodePipelineReadOnlyPolicy",
    "ComprehendBasicAccessPolicy",
    "CostExplorerReadOnlyPolicy",
    "EC2CopyImagePolicy",
    "EC2DescribePolicy",
    "EFSWriteAccessPolicy",
    "EKSDescribePolicy",
    "EcsRunTaskPolicy",
    "ElasticMapReduceAddJobFlowStepsPolicy",
    "ElasticMapReduceCancelStepsPolicy",
    "ElasticMapReduceModifyInstanceFleetPolicy",
    "ElasticMapReduceModifyInstanceGroupsPolicy",
    "ElasticMapReduceSetTerminationProtectionPolicy",
    "ElasticMapReduceTerminateJobFlowsPolicy",
    "ElasticsearchHttpPostPolicy",
    "FilterLogEventsPolicy",
    "FirehoseCrudPolicy",
    "FirehoseWritePolicy",
    "KMSDecryptPolicy",
    "KMSEncryptPolicy",
    "KMSEncryptPolicy_v2",
    "KinesisCrudPolicy",
    "KinesisStreamReadPolicy",
    "MobileAnalyticsWriteOnlyAccessPolicy",
    "OrganizationsListAccountsPolicy",
    "PinpointEndpointAccessPolicy",
    "PollyFullAccessPolicy",
    "RekognitionDetectOnlyPolicy",
    "RekognitionFacesManagementPolicy",
    "RekognitionFacesPolicy",
    "RekognitionLabelsPolicy",
    "RekognitionNoDataAccessPolicy",
    "RekognitionReadPolicy",
    "RekognitionWriteOnlyAccessPolicy",
    "Route53ChangeResourceRecordSetsPolicy",
    "S3CrudPolicy",
    "S3FullAccessPolicy",
    "S3ReadPolicy",
    "S3WritePolicy",
    "SESBulkTemplatedCrudPolicy",
    "SESBulkTemplatedCrudPolicy_v2",
    "SESCrudPolicy",
    "SESEmailTemplateCrudPolicy",
    "SESSendBouncePolicy",
    "SNSCrudPolicy",
    "SNSPublishMessagePolicy",
    "SQSPollerPolicy",
    "SQSSendMessagePolicy",
    "SSMParameterReadPolicy",
    "SSMParameterWithSlashPrefixReadPolicy",
    "SageMakerCreateEndpointConfigPolicy",
    "SageMakerCreateEndpointPolicy",
    "ServerlessRepoReadWriteAccessPolicy",
    "TextractDetectAnalyzePolicy",
    "TextractGetResultPolicy",
    "TextractPolicy",
    "VPCAccessPolicy",
];

const STREAMS: &[&str] = &[
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
];

/// AWS's managed policies, and what they allow here, on every resource.
const MANAGED: &[(&str, &[&str])] = &[
    ("AdministratorAccess", &["*"]),
    ("PowerUserAccess", &["*"]),
    (
        "AWSLambda_FullAccess",
        &["lambda:*", "states:DescribeStateMachine", "states:ListStateMachines"],
    ),
    ("AWSLambdaRole", &["lambda:InvokeFunction"]),
    ("AWSLambdaDynamoDBExecutionRole", STREAMS),
    ("AWSStepFunctionsFullAccess", &["states:*"]),
    ("AWSStepFunctionsConsoleFullAccess", &["states:*"]),
    (
        "AWSStepFunctionsReadOnlyAccess",
        &[
            "states:Describe*",
            "states:GetExecutionHistory",
            "states:List*",
            "states:ValidateStateMachineDefinition",
        ],
    ),
    ("AmazonDynamoDBFullAccess", &["dynamodb:*"]),
    ("AmazonDynamoDBFullAccess_v2", &["dynamodb:*"]),
    (
        "AmazonDynamoDBReadOnlyAccess",
        &[
            "dynamodb:BatchGetItem",
            "dynamodb:Describe*",
            "dynamodb:Get*",
            "dynamodb:List*",
            "dynamodb:PartiQLSelect",
            "dynamodb:Query",
            "dynamodb:Scan",
        ],
    ),
    ("AmazonEventBridgeFullAccess", &["events:*"]),
    ("CloudWatchEventsFullAccess", &["events:*"]),
    ("SecretsManagerReadWrite", &["secretsmanager:*"]),
    // These let nobody do anything here.
    ("AWSLambdaBasicExecutionRole", &[]),
    ("AWSLambdaKinesisExecutionRole", &[]),
    ("AWSLambdaMSKExecutionRole", &[]),
    ("AWSLambdaSQSQueueExecutionRole", &[]),
    ("AWSLambdaVPCAccessExecutionRole", &[]),
    ("AWSXRayDaemonWriteAccess", &[]),
    ("AWSXrayWriteOnlyAccess", &[]),
    ("AmazonS3FullAccess", &[]),
    ("AmazonS3ReadOnlyAccess", &[]),
    ("AmazonSNSFullAccess", &[]),
    ("AmazonSQSFullAccess", &[]),
    ("CloudWatchAgentServerPolicy", &[]),
    ("CloudWatchLambdaInsightsExecutionRolePolicy", &[]),
    ("CloudWatchLogsFullAccess", &[]),
];

fn find<T: Copy>(list: &[(&str, T)], name: &str) -> Option<T> {
    list.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// What a policy template of SAM's allows; `None` if it is not known, or not about what runs here.
pub(super) fn template(name: &str) -> Option<Statements> {
    find(TEMPLATES, name)
}

/// Whether it is a policy template of SAM's about services that do not run here.
pub(super) fn concerns_others(name: &str) -> bool {
    OTHER_TEMPLATES.contains(&name)
}

/// The actions that a managed policy of AWS's allows here on every resource.
pub(super) fn managed(name: &str) -> Option<&'static [&'static str]> {
    find(MANAGED, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::ActionPattern;

    #[test]
    fn every_action_is_one() {
        let templates = TEMPLATES.iter().flat_map(|(_, statements)| *statements);
        let actions = templates.flat_map(|(actions, _)| *actions);
        let managed = MANAGED.iter().flat_map(|(_, actions)| *actions);
        for action in actions.chain(managed) {
            assert!(ActionPattern::parse(action).is_ok(), "{action}");
        }
    }
}
