//! Plays one case.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use super::case::{Case, Expectation, Expected, Kind, Run, Step};
use super::compare::{Bound, Mismatch, same};
use super::functions::Functions;

/// The role of the state machines that a case does not create itself.
const ROLE: &str = "arn:aws:iam::000000000000:role/replay";

/// How long an execution may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How often an execution's status is asked for.
const POLL: Duration = Duration::from_millis(50);

/// How long to wait for a condition that a case does not spell out.
const CUSTOM_WAIT: Duration = Duration::from_millis(500);

/// How long the state machines' names of the recordings were, where it can be told: the `Content-Length` of a nested
/// execution's start counts them. Names that had random parts are brought to that length.
const RECORDED_NAME: usize = 49;

/// Makes names unique; every run has an endpoint of its own.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// One case's player; its names are its own, so that many can share an endpoint.
pub(super) struct Player {
    client: Client,
    endpoint: String,
    functions: Functions,
    suffix: String,
}

/// A call's answer by the name of its step.
type Answers = BTreeMap<String, Value>;

impl Player {
    pub(super) fn new(endpoint: &str, functions: Functions) -> Self {
        let suffix = format!("x{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self {
            client: Client::new(),
            endpoint: endpoint.to_owned(),
            functions,
            suffix,
        }
    }

    pub(super) async fn play(&self, case: &Case) -> Result<(), Mismatch> {
        let mut answers = Answers::new();
        for function in &case.lambda_functions {
            let name = self.suffixed(&function.name);
            let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
            self.functions.add(name, function, case);
            answers.insert(function.step.clone(), json!({ "FunctionArn": arn }));
        }
        match &case.kind {
            Kind::Execution {
                definition,
                machine_type,
                executions,
            } => {
                let shared = match definition {
                    Some(definition) => Some(
                        self.machine(&self.resolved(definition, &answers)?, machine_type)
                            .await?,
                    ),
                    None => None,
                };
                let mut bound = Bound::new();
                for (number, run) in executions.iter().enumerate() {
                    let own = match &run.definition {
                        Some(definition) => Some(
                            self.machine(&self.resolved(definition, &answers)?, machine_type)
                                .await?,
                        ),
                        None => None,
                    };
                    let Some(machine) = own.as_ref().or(shared.as_ref()) else {
                        return Err(Mismatch(format!("executions[{number}] has no definition")));
                    };
                    self.run(machine, run, &answers, &mut bound, &format!("executions[{number}] $"))
                        .await?;
                }
                Ok(())
            }
            Kind::Api { steps } => self.steps(steps, answers).await,
        }
    }

    async fn machine(&self, definition: &Value, machine_type: &str) -> Result<String, Mismatch> {
        let name = format!("replay-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let params = json!({"name": name, "definition": definition.to_string(), "roleArn": ROLE, "type": machine_type});
        let answer = self.ok("CreateStateMachine", &params).await?;
        Ok(text(&answer, "stateMachineArn"))
    }

    async fn run(
        &self,
        machine: &str,
        run: &Run,
        answers: &Answers,
        bound: &mut Bound,
        path: &str,
    ) -> Result<(), Mismatch> {
        let input = match &run.input_text {
            Some(text) => self
                .resolved(&json!(text), answers)?
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            None => self.resolved(&run.input, answers)?.to_string(),
        };
        let started = self
            .ok("StartExecution", &json!({"stateMachineArn": machine, "input": input}))
            .await?;
        let arn = text(&started, "executionArn");
        if run.expected.status.is_none() {
            return self.run_in_part(&arn, &run.expected, bound, path).await;
        }
        self.wait(&arn, |status| status != "RUNNING").await?;
        let described = self.ok("DescribeExecution", &json!({ "executionArn": arn })).await?;
        let expected = &run.expected;
        same(
            &json!(expected.status),
            described.get("status"),
            bound,
            &format!("{path}.status"),
        )?;
        if let Some(wanted) = &expected.output {
            let output = described.get("output").and_then(Value::as_str);
            let output: Option<Value> = output.and_then(|text| serde_json::from_str(text).ok());
            same(wanted, output.as_ref(), bound, &format!("{path}.output"))?;
        }
        for (field, wanted) in [("error", &expected.error), ("cause", &expected.cause)] {
            if let Some(wanted) = wanted {
                same(wanted, described.get(field), bound, &format!("{path}.{field}"))?;
            }
        }
        if let Some(wanted) = &expected.history {
            let events = self.history(&arn).await?;
            same(wanted, Some(&events), bound, &format!("{path}.history"))?;
        }
        match &expected.describe {
            Some(wanted) => same(wanted, Some(&described), bound, &format!("{path}.describe")),
            None => Ok(()),
        }
    }

    /// Compares an execution that was recorded before it had come to its end: as far as the recording goes.
    async fn run_in_part(&self, arn: &str, expected: &Expected, bound: &mut Bound, path: &str) -> Result<(), Mismatch> {
        let recorded = expected.history.as_ref().and_then(Value::as_array);
        let Some(recorded) = recorded.filter(|events| !events.is_empty()) else {
            return Err(Mismatch(format!("{path}: neither a status nor events were recorded")));
        };
        let begun = Instant::now();
        loop {
            let mut events = self.history(arn).await?;
            if let Some(events) = events.as_array_mut() {
                events.truncate(recorded.len());
            }
            let there = events.as_array().map_or(0, Vec::len) == recorded.len();
            if there || LIMIT < begun.elapsed() {
                return same(&json!(recorded), Some(&events), bound, &format!("{path}.history"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn history(&self, arn: &str) -> Result<Value, Mismatch> {
        let mut events = Vec::new();
        let mut params = json!({ "executionArn": arn });
        loop {
            let page = self.ok("GetExecutionHistory", &params).await?;
            events.extend(page["events"].as_array().cloned().unwrap_or_default());
            match page.get("nextToken") {
                Some(token) => params["nextToken"] = token.clone(),
                None => return Ok(Value::Array(events)),
            }
        }
    }

    async fn steps(&self, steps: &[Step], mut answers: Answers) -> Result<(), Mismatch> {
        let mut bound = Bound::new();
        for step in steps {
            match step {
                Step::Wait { wait } => self.wait_step(&self.resolved(wait, &answers)?).await?,
                Step::Call {
                    step,
                    call,
                    params,
                    fails,
                    expect,
                } => {
                    let mut resolved = self.resolved(params, &answers)?;
                    if call == "CreateStateMachine" && resolved["name"] != params["name"] {
                        let name = text(&resolved, "name");
                        resolved["name"] = json!(format!("{name:x<RECORDED_NAME$}"));
                    }
                    let (status, mut answer) = self.call(call, &resolved).await?;
                    self.leave_others_out(&mut answer);
                    match (*fails, status) {
                        (true, 200) => return Err(Mismatch(format!("{step} {call} succeeded, must fail"))),
                        (false, 200) | (true, _) => {}
                        (false, _) => return Err(Mismatch(format!("{step} {call}: HTTP {status} {answer}"))),
                    }
                    for expectation in expect {
                        expected(expectation, &answer, &mut bound, &format!("{step} {call} $"))?;
                    }
                    answers.insert(step.clone(), answer);
                }
            }
        }
        Ok(())
    }

    /// Leaves out of a list of activities those of other cases, which are played on the same server.
    fn leave_others_out(&self, answer: &mut Value) {
        if let Some(activities) = answer.get_mut("activities").and_then(Value::as_array_mut) {
            activities.retain(|activity| text(activity, "name").ends_with(&self.suffix));
        }
    }

    async fn wait_step(&self, wait: &Value) -> Result<(), Mismatch> {
        let arn = text(wait, "executionArn");
        match text(wait, "for").as_str() {
            "terminated" | "succeeded" | "listed-terminated" => self.wait(&arn, |status| status != "RUNNING").await,
            "status" | "listed-status" => {
                let wanted = text(wait, "status");
                self.wait(&arn, |status| status == wanted).await
            }
            "started" | "custom" => {
                tokio::time::sleep(CUSTOM_WAIT).await;
                Ok(())
            }
            // What was created is listed at once.
            "listed" | "not-listed" => Ok(()),
            other => Err(Mismatch(format!("cannot wait for {other}"))),
        }
    }

    /// Waits until an execution's status is as wanted.
    async fn wait(&self, arn: &str, done: impl Fn(&str) -> bool) -> Result<(), Mismatch> {
        let begun = Instant::now();
        loop {
            let described = self.ok("DescribeExecution", &json!({ "executionArn": arn })).await?;
            let status = text(&described, "status");
            if done(&status) {
                return Ok(());
            }
            if LIMIT < begun.elapsed() {
                return Err(Mismatch(format!("timed out, execution is {status}")));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn ok(&self, operation: &str, params: &Value) -> Result<Value, Mismatch> {
        match self.call(operation, params).await? {
            (200, answer) => Ok(answer),
            (status, answer) => Err(Mismatch(format!("{operation}: HTTP {status} {answer}"))),
        }
    }

    async fn call(&self, operation: &str, params: &Value) -> Result<(u16, Value), Mismatch> {
        let failed = |error: reqwest::Error| Mismatch(format!("{operation}: {error}"));
        let response = self
            .client
            .post(&self.endpoint)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AWSStepFunctions.{operation}"))
            .body(params.to_string())
            .send()
            .await
            .map_err(failed)?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(failed)?;
        let answer = serde_json::from_slice(&body)
            .map_err(|error| Mismatch(format!("{operation}: HTTP {status}, not JSON: {error}")))?;
        Ok((status, answer))
    }

    /// `params` with the values of earlier answers, and with names of this player's own.
    fn resolved(&self, params: &Value, answers: &Answers) -> Result<Value, Mismatch> {
        Ok(match params {
            Value::String(text) => Value::String(filled(&self.suffixed(text), answers)?),
            Value::Array(items) => items
                .iter()
                .map(|item| self.resolved(item, answers))
                .collect::<Result<_, _>>()?,
            Value::Object(members) => {
                let members = members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.resolved(value, answers)?)));
                Value::Object(members.collect::<Result<_, _>>()?)
            }
            other => other.clone(),
        })
    }

    /// Makes the names in a text, which carry `_u1`, `-u2` and so on, unique.
    fn suffixed(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['_', '-']) {
            let (before, after) = rest.split_at(at + 1);
            out.push_str(before);
            rest = after;
            let Some(digits) = after.strip_prefix('u') else {
                continue;
            };
            let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let ends = digits[length..]
                .chars()
                .next()
                .is_none_or(|c| !(c.is_alphanumeric() || c == '_'));
            if length > 0 && ends {
                out.push_str(&after[..=length]);
                out.push_str(&self.suffix);
                rest = &after[1 + length..];
            }
        }
        out + rest
    }
}

/// Puts the values of earlier answers into `${stepN.path}`.
fn filled(text: &str, answers: &Answers) -> Result<String, Mismatch> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${step") {
        out.push_str(before);
        let reference = after
            .split_once('}')
            .and_then(|(reference, rest)| Some((reference.split_once('.')?, rest)));
        let Some(((step, path), others)) = reference else {
            return Err(Mismatch(format!("no reference: {text}")));
        };
        let value = answers.get(&format!("step{step}")).and_then(|answer| at(answer, path));
        match value {
            Some(Value::String(value)) => out.push_str(value),
            Some(value) => out.push_str(&value.to_string()),
            None => return Err(Mismatch(format!("no answer for step{step}.{path}"))),
        }
        rest = others;
    }
    Ok(out + rest)
}

/// The value at a path like `executions[0].name`; the empty one is all of it.
fn at<'a>(answer: &'a Value, path: &str) -> Option<&'a Value> {
    path.split(['.', '[', ']'])
        .filter(|name| !name.is_empty())
        .try_fold(answer, |value, name| match value {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            value => value.get(name),
        })
}

fn expected(expectation: &Expectation, answer: &Value, bound: &mut Bound, path: &str) -> Result<(), Mismatch> {
    match expectation {
        Expectation::Answer { path: inner, equals } => same(equals, at(answer, inner), bound, path),
        Expectation::Refusal { error } => {
            let code = text(answer, "__type");
            let refusal = json!({
                "type": code.rsplit('#').next(),
                "message": answer.get("message").or_else(|| answer.get("Message")),
            });
            for field in ["type", "message"] {
                if let Some(wanted) = error.get(field) {
                    same(wanted, refusal.get(field), bound, &format!("{path}.{field}"))?;
                }
            }
            Ok(())
        }
    }
}

fn text(answer: &Value, name: &str) -> String {
    answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
