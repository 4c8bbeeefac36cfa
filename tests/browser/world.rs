//! A server and a browser, and what there is to look at.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::server::Server;

/// A browser beside a running Ticketflow.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) browser: Browser,
}

impl World {
    pub(crate) async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// With further arguments of `up`.
    pub(crate) async fn open_with(arguments: &[&str]) -> Self {
        Self {
            server: Server::start_with(arguments),
            browser: Browser::open().await,
        }
    }

    /// The address of a view, with the token that `ticketflow console` would bring along.
    pub(crate) fn address(&self, view: &str) -> String {
        self.address_at(&self.server.api, view)
    }

    /// The same, where something stands before the server.
    pub(crate) fn address_at(&self, url: &str, view: &str) -> String {
        let page = format!("{url}/console/{view}");
        match crate::server::token(&self.server.data_dir()) {
            Some(token) => format!("{page}#token={token}"),
            None => page,
        }
    }

    pub(crate) async fn go(&self, view: &str) {
        self.browser.go(&self.address(view)).await;
    }

    /// Creates a ticket that no JIRA knows, and waits until it is stored; its id.
    pub(crate) async fn flat(&self, body: &Value) -> String {
        let request = self.server.http.post(format!("{}/tickets", self.server.api)).json(body);
        let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        let name = answer["execution"].as_str().unwrap_or_else(|| panic!("{answer}"));
        self.server.execution(name, "SUCCEEDED").await;
        answer["ticket"].as_str().expect("a ticket").to_owned()
    }

    /// Calls the Step Functions endpoint.
    pub(crate) async fn states(&self, operation: &str, parameters: Value) -> Value {
        let request = self.server.http.post(&self.server.aws);
        let request = request
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AWSStepFunctions.{operation}"));
        let response = request.body(parameters.to_string()).send().await.expect("an answer");
        assert!(
            response.status().is_success(),
            "{operation}: {:?}",
            response.text().await
        );
        response.json().await.expect("JSON")
    }

    /// Creates a state machine.
    pub(crate) async fn machine(&self, name: &str, definition: &Value) {
        let parameters =
            json!({"name": name, "definition": definition.to_string(), "roleArn": "arn:aws:iam::000000000000:role/r"});
        self.states("CreateStateMachine", parameters).await;
    }

    pub(crate) async fn start(&self, machine: &str, name: &str, input: &Value) {
        let parameters = json!({"stateMachineArn": arn(machine), "name": name, "input": input.to_string()});
        self.states("StartExecution", parameters).await;
    }

    /// What the console's own API answers.
    pub(crate) async fn api(&self, path: &str) -> Value {
        let (status, answer) = self.server.get(&format!("/console/api/{path}")).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Waits until an execution has a status, as the console calls it.
    pub(crate) async fn until(&self, machine: &str, name: &str, status: &str) {
        let path = format!("/console/api/executions/{machine}/{name}");
        self.server
            .until(&format!("{name} to be {status}"), || async {
                let (code, execution) = self.server.get(&path).await;
                (code == 200 && execution["status"] == status).then_some(())
            })
            .await;
    }

    /// A machine that fails until there is a state machine of another name, so that a redrive mends it.
    pub(crate) async fn failing(&self) {
        let retry = json!([{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1}]);
        let definition = json!({"StartAt": "FetchTicket", "States": {
            "FetchTicket": {"Type": "Pass", "Next": "IsHighPriority"},
            "IsHighPriority": {"Type": "Choice", "Default": "IgnoreTicket", "Choices": [
                {"Or": [{"Variable": "$.priority", "StringEquals": "Highest"}, {"Variable": "$.priority", "StringEquals": "High"}], "Next": "RecordTransition"}]},
            "RecordTransition": {"Type": "Wait", "Seconds": 1, "Next": "UpdateMetrics"},
            "UpdateMetrics": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sfn:describeStateMachine", "Retry": retry,
                "Parameters": {"StateMachineArn": arn("metrics")}, "ResultPath": "$.metrics", "Next": "Done",
                "Catch": [{"ErrorEquals": ["Jira.TicketGone"], "Next": "QuarantineTicket"}]},
            "QuarantineTicket": {"Type": "Pass", "End": true},
            "IgnoreTicket": {"Type": "Succeed"},
            "Done": {"Type": "Succeed"}}});
        self.machine("ticket-sync", &definition).await;
        let input = json!({"ticket": "OPS-4312", "minute": "2026-11-20T14:02Z", "priority": "Highest", "leadTimeMs": 15_617_000});
        self.start("ticket-sync", "OPS-4312-closed-7", &input).await;
        self.until("ticket-sync", "OPS-4312-closed-7", "failed").await;
    }

    /// What the failing machine lacks.
    pub(crate) async fn mend(&self) {
        self.machine(
            "metrics",
            &json!({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}),
        )
        .await;
    }

    /// Orders whose items are packed in a Map, one of which breaks; then a Parallel state.
    pub(crate) async fn orders(&self) {
        let pack = json!({"StartAt": "Pack", "States": {
            "Pack": {"Type": "Pass", "Next": "Fragile?"},
            "Fragile?": {"Type": "Choice", "Choices": [{"Variable": "$.fragile", "BooleanEquals": true, "Next": "Broken"}], "Default": "Label"},
            "Label": {"Type": "Pass", "End": true},
            "Broken": {"Type": "Fail", "Error": "PackageBroken", "Cause": "The package broke on its way"}}});
        let branch = |name: &str| json!({"StartAt": name, "States": {(name): {"Type": "Pass", "End": true}}});
        let definition = json!({"StartAt": "Reserve", "States": {
            "Reserve": {"Type": "Pass", "Assign": {"stock": 7}, "Next": "ShipItems"},
            "ShipItems": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": pack, "Next": "Notify"},
            "Notify": {"Type": "Parallel", "Branches": [branch("Mail"), branch("Push")], "Next": "Done"},
            "Done": {"Type": "Succeed"}}});
        self.machine("orders", &definition).await;
        let items = |bad: usize| {
            (0..4)
                .map(|item| json!({"item": item, "fragile": item == bad}))
                .collect::<Vec<_>>()
        };
        self.start("orders", "order-good", &json!({"items": items(9)})).await;
        self.start("orders", "order-broken", &json!({"items": items(2)})).await;
        self.until("orders", "order-good", "succeeded").await;
        self.until("orders", "order-broken", "failed").await;
    }
}

fn arn(machine: &str) -> String {
    format!("arn:aws:states:us-west-2:000000000000:stateMachine:{machine}")
}

/// The body of a delivery of our own making.
pub(crate) fn delivery(key: &str, id: u32, summary: &str) -> Vec<u8> {
    let sample = include_str!("../../crates/cli/src/sample.json");
    let mut body: Value = serde_json::from_str(sample).expect("the sample is JSON");
    body["issue"]["id"] = id.to_string().into();
    body["issue"]["key"] = key.into();
    body["issue"]["fields"]["summary"] = summary.into();
    body.to_string().into_bytes()
}
