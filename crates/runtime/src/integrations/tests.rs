use std::sync::{Arc, Mutex};

use asl::{Json, Schedule};
use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::aws::{Answer, Answering, JSON_1_1};
use crate::driver::TaskOutcome;
use crate::lambda::{self, Invocation, InvokeError};

/// Answers as scripted, and keeps what it was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<Result<&'static str, InvokeError>>>,
    service: Option<(u16, &'static str)>,
    asked: Mutex<Vec<(String, String)>>,
}

impl Script {
    fn function(answer: Result<&'static str, InvokeError>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(vec![answer]),
            ..Self::default()
        })
    }

    fn service(status: u16, body: &'static str) -> Arc<Self> {
        Arc::new(Self {
            service: Some((status, body)),
            ..Self::default()
        })
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().expect("no holder panics").clone()
    }
}

impl Invoke for Script {
    fn invoke(&self, invocation: Invocation) -> lambda::Answer<'_> {
        let payload = String::from_utf8(invocation.payload.to_vec()).expect("JSON");
        self.asked
            .lock()
            .expect("no holder panics")
            .push((invocation.function, payload));
        let answer = self.answers.lock().expect("no holder panics").remove(0);
        Box::pin(async move { answer.map(Bytes::from) })
    }
}

impl Service for Script {
    fn handle<'a>(&'a self, operation: &'a str, body: Bytes) -> Answering<'a> {
        let body = String::from_utf8(body.to_vec()).expect("JSON");
        self.asked
            .lock()
            .expect("no holder panics")
            .push((operation.to_owned(), body));
        let (status, body) = self.service.unwrap_or((500, "{}"));
        Box::pin(async move {
            Answer {
                status,
                content_type: JSON_1_1,
                body: Bytes::from_static(body.as_bytes()),
            }
        })
    }
}

async fn perform(script: &Arc<Script>, resource_type: &str, resource: &str, parameters: Value) -> TaskOutcome {
    let integrations = Integrations::new(
        script.clone(),
        None,
        script.clone(),
        script.clone(),
        Arc::default(),
        Clock::still(Default::default()),
    );
    let schedule = Schedule {
        resource: Resource {
            resource_type: resource_type.into(),
            resource: resource.into(),
        },
        region: "us-west-2".into(),
        parameters: Json::from(parameters),
        timeout_seconds: None,
        heartbeat_seconds: None,
        token: None,
        credentials: None,
    };
    let call = TaskCall {
        execution_arn: "arn:execution".into(),
        state_machine_arn: "arn:machine".into(),
        tested_in: None,
        scheduled: 3,
        schedule: Arc::new(schedule),
        submitted: None,
    };
    integrations.perform(call).await
}

fn failed(outcome: TaskOutcome) -> (String, String) {
    let TaskOutcome::Failed(failure) = outcome else {
        panic!("is a failure: {outcome:?}");
    };
    (
        failure.name().to_owned(),
        failure.cause.as_deref().unwrap_or_default().to_owned(),
    )
}

fn succeeded(outcome: TaskOutcome) -> Json {
    let TaskOutcome::Succeeded(result) = outcome else {
        panic!("is a success: {outcome:?}");
    };
    result
}

const FUNCTION: &str = "arn:aws:lambda:us-west-2:000000000000:function:store";

#[test]
fn only_what_is_performed_is_supported() {
    for resource in [
        FUNCTION,
        "arn:aws:states:::lambda:invoke",
        "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "arn:aws:states:us-west-2:000000000000:lambda:invoke",
        "arn:aws:states:::states:startExecution",
        "arn:aws:states:::states:startExecution.sync",
        "arn:aws:states:::states:startExecution.sync:2",
        "arn:aws:states:::states:startExecution.waitForTaskToken",
        "arn:aws:states:::dynamodb:updateItem",
        "arn:aws:states:::aws-sdk:dynamodb:query",
        "arn:aws:states:::aws-sdk:sfn:sendTaskSuccess",
        "arn:aws:states:::events:putEvents",
    ] {
        assert!(supports(resource), "{resource}");
    }
    for resource in [
        "",
        "store",
        "arn:aws:states:::",
        "arn:aws:states:::lambda",
        "arn:aws:states:::lambda:invoke.sync",
        "arn:aws:states:::dynamodb:query",
        "arn:aws:states:::dynamodb:getItem.waitForTaskToken",
        "arn:aws:states:::states:startExecution.sync:3",
        "arn:aws:states:::sqs:sendMessage",
        "arn:aws:states:::aws-sdk:sfn:GetActivityTask",
        "arn:aws:lambda:us-west-2:000000000000:layer:store",
        "arn:aws:sqs:us-west-2:000000000000:queue",
    ] {
        assert!(!supports(resource), "{resource}");
    }
}

#[tokio::test]
async fn a_functions_own_arn_gives_its_payload_as_it_is() {
    let script = Script::function(Ok(r#"{"b": 1, "a": [1, 2]}"#));
    let result = succeeded(perform(&script, "", FUNCTION, json!({"n": 1})).await);
    assert_eq!(result.text(), r#"{"b": 1, "a": [1, 2]}"#);
    assert_eq!(script.asked(), [(FUNCTION.to_owned(), r#"{"n":1}"#.to_owned())]);
}

#[tokio::test]
async fn the_cause_is_the_error_payload_as_it_is_or_printed_anew() {
    let payload = r#"{"errorType": "Throttled", "errorMessage": "later"}"#;
    let answer = || {
        Err(InvokeError::Function {
            payload: Bytes::from_static(payload.as_bytes()),
        })
    };
    let own = failed(perform(&Script::function(answer()), "", FUNCTION, json!({})).await);
    assert_eq!(own, ("Throttled".to_owned(), payload.to_owned()));
    let parameters = json!({"FunctionName": "store"});
    let invoked = failed(perform(&Script::function(answer()), "lambda", "invoke", parameters).await);
    let printed = r#"{"errorType":"Throttled","errorMessage":"later"}"#;
    assert_eq!(invoked, ("Throttled".to_owned(), printed.to_owned()));
}

#[tokio::test]
async fn lambda_invoke_shows_the_http_side() {
    let script = Script::function(Ok(r#"{"a": 1}"#));
    let parameters = json!({"FunctionName": "store", "Payload": null});
    let result = succeeded(perform(&script, "lambda", "invoke", parameters).await);
    let result = result.value();
    assert_eq!(result["Payload"], json!({"a": 1}));
    assert_eq!(result["StatusCode"], 200);
    assert_eq!(result["ExecutedVersion"], "$LATEST");
    let http = &result["SdkHttpMetadata"];
    assert_eq!(http["AllHttpHeaders"]["Content-Length"], json!(["8"]));
    assert_eq!(http["HttpHeaders"]["Date"], "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(
        http["HttpHeaders"]["x-amzn-RequestId"],
        result["SdkResponseMetadata"]["RequestId"]
    );
    assert_eq!(script.asked(), [("store".to_owned(), "{}".to_owned())]);
}

#[tokio::test]
async fn a_payload_that_is_a_json_text_is_sent_as_it_is() {
    for (payload, sent) in [
        (json!("0.0"), "0.0"),
        (json!("{ }"), "{ }"),
        (json!("text"), "\"text\""),
        (json!(1), "1"),
    ] {
        let script = Script::function(Ok("null"));
        perform(
            &script,
            "lambda",
            "invoke",
            json!({"FunctionName": "store", "Payload": payload}),
        )
        .await;
        assert_eq!(script.asked(), [("store".to_owned(), sent.to_owned())]);
    }
}

#[tokio::test]
async fn a_task_that_waits_is_submitted() {
    let script = Script::function(Ok("null"));
    let parameters = json!({"FunctionName": "store"});
    let outcome = perform(&script, "lambda", "invoke.waitForTaskToken", parameters).await;
    assert!(matches!(outcome, TaskOutcome::Submitted(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_refusal_of_the_service_is_named_after_it() {
    let refusal = InvokeError::Service {
        code: "TooManyRequestsException",
        status: 429,
        message: "Rate Exceeded.".into(),
    };
    let script = Script::function(Err(refusal));
    let (error, cause) = failed(perform(&script, "lambda", "invoke", json!({"FunctionName": "store"})).await);
    assert_eq!(error, "Lambda.TooManyRequestsException");
    let told =
        "Rate Exceeded. (Service: AWSLambda; Status Code: 429; Error Code: TooManyRequestsException; Request ID: ";
    assert!(cause.starts_with(told), "{cause}");
    let script = Script::function(Ok("null"));
    let (error, _) = failed(perform(&script, "lambda", "invoke", json!({"Payload": 1})).await);
    assert_eq!(error, "Lambda.AWSLambdaException");
}

#[tokio::test]
async fn dynamodb_is_asked_in_its_own_words() {
    let script = Script::service(200, r#"{"Item":{"flag":{"BOOL":true}}}"#);
    let parameters = json!({"TableName": "t", "Key": {"flag": {"Bool": true}}});
    let result = succeeded(perform(&script, "aws-sdk:dynamodb", "getItem", parameters).await);
    assert_eq!(*result.value(), json!({"Item": {"flag": {"Bool": true}}}));
    let asked = r#"{"TableName":"t","Key":{"flag":{"BOOL":true}}}"#;
    assert_eq!(script.asked(), [("GetItem".to_owned(), asked.to_owned())]);

    let script = Script::service(200, "{}");
    let result = succeeded(perform(&script, "dynamodb", "putItem", json!({})).await);
    assert_eq!(
        result.value()["SdkHttpMetadata"]["HttpHeaders"]["x-amz-crc32"],
        "2745614147"
    );

    let refusal = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no"}"#;
    let (error, cause) = failed(perform(&Script::service(400, refusal), "dynamodb", "putItem", json!({})).await);
    assert_eq!(error, "DynamoDB.ConditionalCheckFailedException");
    assert!(
        cause.starts_with("no (Service: AmazonDynamoDBv2; Status Code: 400; Error Code: "),
        "{cause}"
    );
}

#[tokio::test]
async fn put_events_names_the_execution_and_fails_for_what_is_not_taken() {
    let parameters = json!({"Entries": [{"Source": "s", "Detail": {"a": 1}, "Resources": ["r"]}]});
    let script = Script::service(200, r#"{"Entries":[{"EventId":"e"}],"FailedEntryCount":0}"#);
    let result = succeeded(perform(&script, "events", "putEvents", parameters.clone()).await);
    assert_eq!(result.value()["Entries"], json!([{"EventId": "e"}]));
    let asked: Value = serde_json::from_str(&script.asked()[0].1).expect("JSON");
    let entry = json!({"Source": "s", "Detail": "{\"a\":1}", "Resources": ["r", "arn:execution", "arn:machine"]});
    assert_eq!(asked, json!({"Entries": [entry]}));

    let script = Script::service(200, r#"{"Entries":[{"ErrorCode":"x"}],"FailedEntryCount":1}"#);
    let (error, _) = failed(perform(&script, "events", "putEvents", parameters).await);
    assert_eq!(error, "EventBridge.FailedEntry");
}

#[test]
fn an_endpoint_is_plain_http_and_a_host() {
    assert!(LambdaEndpoint::new("http://127.0.0.1:3001").is_ok());
    assert!(LambdaEndpoint::new("http://localhost:3001/").is_ok());
    for url in [
        "",
        "127.0.0.1:3001",
        "https://127.0.0.1:3001",
        "http://",
        "http://h/path",
        "http://h?x",
    ] {
        assert!(LambdaEndpoint::new(url).is_err(), "{url}");
    }
}

#[test]
fn refusals_are_read_with_and_without_a_package() {
    for body in [r#"{"__type":"a.b#C","message":"m"}"#, r#"{"__type":"C","Message":"m"}"#] {
        assert_eq!(metadata::refusal(body.as_bytes()), ("C".to_owned(), "m".to_owned()));
    }
    assert_eq!(metadata::refusal(b"?").0, "InternalFailure");
}
