use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Secrets;
use crate::clock::Clock;
use crate::template::{GenerateSecretString, LogicalId, Secret, SecretValue};

const ARN: &str = "arn:aws:secretsmanager:us-west-2:000000000000:secret:webhook-AbCdEf";

fn webhook(value: SecretValue) -> Secret {
    Secret {
        logical_id: LogicalId("WebhookSecret".to_owned()),
        name: "webhook".into(),
        arn: ARN.into(),
        value,
    }
}

fn generated() -> SecretValue {
    SecretValue::Generated(GenerateSecretString {
        password_length: 40,
        exclude_characters: String::new(),
        exclude_lowercase: false,
        exclude_uppercase: false,
        exclude_numbers: false,
        exclude_punctuation: true,
        include_space: false,
        require_each_included_type: true,
        template: None,
    })
}

struct Kept {
    directory: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("secrets.json")
    }

    fn open(&self, value: SecretValue, given: Option<&str>) -> Secrets {
        let given = given.map(|given| ("WebhookSecret".to_owned(), given.to_owned()));
        Secrets::open(
            &self.path(),
            &[webhook(value)],
            &given.into_iter().collect(),
            Clock::system(),
        )
        .unwrap()
    }
}

async fn ask(secrets: &Secrets, operation: &str, body: Value) -> (u16, Value) {
    let answer = secrets.handle(operation, Bytes::from(body.to_string())).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[tokio::test]
async fn a_generated_value_is_made_once_and_kept_for_its_owner_only() {
    let kept = Kept::new();
    let first = kept.open(generated(), None).current("webhook").unwrap();
    assert_eq!(first.len(), 40);
    assert_eq!(kept.open(generated(), None).current("webhook").unwrap(), first);
    let mode = std::fs::metadata(kept.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_secret_is_found_by_name_and_by_arn_whole_or_without_its_suffix() {
    let secrets = Kept::new().open(SecretValue::Absent, Some("s3cret"));
    for id in ["webhook", ARN, ARN.strip_suffix("-AbCdEf").unwrap()] {
        let (status, answer) = ask(&secrets, "GetSecretValue", json!({"SecretId": id})).await;
        assert_eq!(
            (status, &answer["SecretString"], &answer["ARN"]),
            (200, &json!("s3cret"), &json!(ARN)),
            "{id}"
        );
        assert_eq!(answer["VersionStages"], json!(["AWSCURRENT"]));
        assert!(answer["CreatedDate"].is_f64());
    }
    for id in ["web", "", "arn:aws:secretsmanager:us-west-2:000000000000:secret:web"] {
        let (status, answer) = ask(&secrets, "GetSecretValue", json!({"SecretId": id})).await;
        assert_eq!(
            (status, &answer["__type"]),
            (400, &json!("ResourceNotFoundException")),
            "{id}"
        );
    }
}

#[tokio::test]
async fn another_value_becomes_current_and_the_one_before_it_previous() {
    let kept = Kept::new();
    kept.open(SecretValue::Absent, Some("one"));
    kept.open(SecretValue::Absent, Some("two"));
    let secrets = kept.open(SecretValue::Absent, Some("two"));
    let stage = |stage: &str| json!({"SecretId": "webhook", "VersionStage": stage});
    assert_eq!(
        ask(&secrets, "GetSecretValue", stage("AWSPREVIOUS")).await.1["SecretString"],
        "one"
    );
    let put = json!({"SecretId": "webhook", "SecretString": "three", "ClientRequestToken": "t"});
    assert_eq!(ask(&secrets, "PutSecretValue", put.clone()).await.1["VersionId"], "t");
    assert_eq!(ask(&secrets, "PutSecretValue", put).await.0, 200);
    let reused = json!({"SecretId": "webhook", "SecretString": "four", "ClientRequestToken": "t"});
    assert_eq!(
        ask(&secrets, "PutSecretValue", reused).await.1["__type"],
        "ResourceExistsException"
    );
    let secrets = kept.open(SecretValue::Absent, None);
    assert_eq!(secrets.current("webhook").unwrap(), "three");
    assert_eq!(
        ask(&secrets, "GetSecretValue", stage("AWSPREVIOUS")).await.1["SecretString"],
        "two"
    );
    let by_id = json!({"SecretId": "webhook", "VersionId": "t"});
    assert_eq!(ask(&secrets, "GetSecretValue", by_id).await.1["SecretString"], "three");
    let described = ask(&secrets, "DescribeSecret", json!({"SecretId": "webhook"})).await.1;
    assert_eq!(described["VersionIdsToStages"]["t"], json!(["AWSCURRENT"]));
    assert_eq!(described.get("SecretString"), None);
}

#[tokio::test]
async fn a_secret_without_a_value_says_which_is_missing() {
    let secrets = Kept::new().open(SecretValue::Absent, None);
    let (status, answer) = ask(&secrets, "GetSecretValue", json!({"SecretId": "webhook"})).await;
    let message = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT";
    assert_eq!((status, &answer["message"]), (400, &json!(message)));
}

#[tokio::test]
async fn no_value_shows_in_debug_output_or_in_an_error() {
    let kept = Kept::new();
    let secrets = kept.open(SecretValue::Absent, Some("s3cret"));
    assert!(!format!("{secrets:?}").contains("s3cret"));
    let (_, answer) = ask(
        &secrets,
        "PutSecretValue",
        json!({"SecretId": 1, "SecretString": "s3cret"}),
    )
    .await;
    assert!(!answer.to_string().contains("s3cret"));
    std::fs::write(kept.path(), "{\"webhook\": \"s3cret\"}").unwrap();
    let error = Secrets::open(&kept.path(), &[], &BTreeMap::new(), Clock::system()).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("s3cret"));
}
