//! Executions: start, stop, redrive, describe, list, and their histories.

use std::sync::Arc;

use asl::{Json, Status};
use serde_json::{Map, Value, json};

use super::error::Error;
use super::request::{ARN, LONG_ARN, LONG_PAGE_TOKEN, NAME, PAGE_TOKEN, Request};
use super::{StepFunctions, arn, epoch, jackson, page, put, tasks};
use crate::driver::{ExecutionFilter, ExecutionRecord, ExecutionSummary, HistoryRange, StartExecution};
use crate::history::MachineType;

/// The statuses that a list can be narrowed to, in AWS's order. No execution here waits for a redrive.
const STATUSES: [(&str, Option<Status>); 6] = [
    ("SUCCEEDED", Some(Status::Succeeded)),
    ("TIMED_OUT", Some(Status::TimedOut)),
    ("PENDING_REDRIVE", None),
    ("ABORTED", Some(Status::Aborted)),
    ("FAILED", Some(Status::Failed)),
    ("RUNNING", Some(Status::Running)),
];

/// What AWS bills an Express execution in: memory in steps of this many megabytes.
const BILLED_MEMORY_MB: u32 = 64;
/// What AWS bills an Express execution in: time in steps of this many milliseconds.
const BILLED_STEP_MS: i64 = 100;

impl StepFunctions {
    pub(super) async fn start_execution(&self, request: &mut Request) -> Result<Value, Error> {
        self.begin(request, None).await
    }

    pub(super) async fn begin(&self, request: &mut Request, parent: Option<Arc<str>>) -> Result<Value, Error> {
        let start = StartExecution {
            parent,
            ..self.read_start(request)?
        };
        let record = self.engine.start_execution(start).await?;
        Ok(json!({"executionArn": record.arn, "startDate": epoch(record.started)}))
    }

    pub(super) async fn start_sync_execution(&self, request: &mut Request) -> Result<Value, Error> {
        let included = request.one_of("includedData", &[("ALL_DATA", true), ("METADATA_ONLY", false)]);
        let start = self.read_start(request)?;
        let record = self.engine.run_express(start).await?;
        let mut answer = described(&record, included.unwrap_or(true));
        let stopped = record.stopped.unwrap_or(record.started);
        let milliseconds = (stopped - record.started).num_milliseconds().max(1);
        let steps = (milliseconds + BILLED_STEP_MS - 1) / BILLED_STEP_MS;
        let billing = json!({
            "billedMemoryUsedInMB": BILLED_MEMORY_MB,
            "billedDurationInMilliseconds": steps * BILLED_STEP_MS,
        });
        answer.insert("billingDetails".into(), billing);
        Ok(Value::Object(answer))
    }

    /// Reads what both forms of starting take, and refuses it in AWS's order: the model, then the state machine, the
    /// name, the input.
    fn read_start(&self, request: &mut Request) -> Result<StartExecution, Error> {
        let state_machine_arn = request.required("stateMachineArn", ARN);
        let name = request.optional("name", NAME);
        let input = request.data("input");
        let trace_header = request.optional("traceHeader", 0..=256);
        if let Some(header) = trace_header.filter(|header| !header.is_ascii()) {
            let constraint = r"Member must satisfy regular expression pattern: \p{ASCII}*";
            request.violate(Some(&header), "traceHeader", constraint);
        }
        request.checked()?;
        arn::state_machine(&state_machine_arn)?;
        self.engine.machine_or_version(&state_machine_arn)?;
        if let Some(name) = &name {
            arn::name(name)?;
        }
        let input = match input {
            Some(text) => {
                Json::parse(&text).map_err(|error| Error::InvalidExecutionInput(jackson::complaint(&text, &error)))?
            }
            None => Json::empty_object(),
        };
        Ok(StartExecution {
            state_machine_arn: state_machine_arn.into(),
            name: name.map(Into::into),
            input,
            parent: None,
        })
    }

    pub(super) async fn stop_execution(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("executionArn", LONG_ARN);
        let failure = tasks::failure(request);
        request.checked()?;
        arn::execution(&arn)?;
        let stopped = self.engine.stop_execution(&arn, failure).await?;
        Ok(json!({"stopDate": epoch(stopped)}))
    }

    pub(super) async fn redrive_execution(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("executionArn", LONG_ARN);
        let client_token = request.client_token("clientToken");
        request.checked()?;
        arn::execution(&arn)?;
        let redriven = self
            .engine
            .redrive_execution(&arn, client_token.map(Into::into))
            .await?;
        Ok(json!({"redriveDate": epoch(redriven.at)}))
    }

    pub(super) async fn describe_execution(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("executionArn", LONG_ARN);
        let included = request.one_of("includedData", &[("ALL_DATA", true), ("METADATA_ONLY", false)]);
        request.checked()?;
        arn::execution(&arn)?;
        let record = self.engine.execution(&arn).await?;
        let mut answer = described(&record, included.unwrap_or(true));
        put(&mut answer, "stateMachineVersionArn", record.version_arn.as_deref());
        put(&mut answer, "stateMachineAliasArn", record.alias_arn.as_deref());
        answer.insert("redriveCount".into(), record.redrive_count.into());
        put(&mut answer, "redriveDate", record.redriven.map(epoch));
        let status = match record.redrivable(self.clock.now()) {
            Ok(()) => "REDRIVABLE",
            Err(reason) => {
                answer.insert("redriveStatusReason".into(), reason.to_string().into());
                "NOT_REDRIVABLE"
            }
        };
        answer.insert("redriveStatus".into(), status.into());
        Ok(Value::Object(answer))
    }

    pub(super) async fn list_executions(&self, request: &mut Request) -> Result<Value, Error> {
        let machine = request.optional("stateMachineArn", ARN);
        let map_run = request.optional("mapRunArn", LONG_ARN);
        let status = request.one_of("statusFilter", &STATUSES);
        let redriven = request.one_of("redriveFilter", &[("REDRIVEN", true), ("NOT_REDRIVEN", false)]);
        let size = request.page_size();
        let token = request.optional("nextToken", LONG_PAGE_TOKEN);
        request.checked()?;
        let machine = match (machine, map_run) {
            (Some(machine), None) => machine,
            (None, Some(map_run)) => {
                arn::map_run(&map_run)?;
                self.engine.map_run(&map_run).await?;
                return Err(Error::Validation {
                    message: "The items of a Map Run are not executions of their own here: DescribeMapRun counts them"
                        .into(),
                    reason: "API_DOES_NOT_SUPPORT_LABELED_ARNS",
                });
            }
            (None, None) => return Err(one_arn("Must provide a State Machine ARN or Map Run ARN")),
            (Some(_), Some(_)) => {
                return Err(one_arn(
                    "Must provide either a State Machine ARN or a Map Run ARN, but not both",
                ));
            }
        };
        arn::state_machine(&machine)?;
        if self.engine.machine_or_version(&machine)?.0.machine_type == MachineType::Express {
            return Err(Error::StateMachineTypeNotSupported);
        }
        let listing = format!("ListExecutions {machine} {status:?} {redriven:?}");
        let from = token.map(|token| number(&listing, &token)).transpose()?;
        if status == Some(None) {
            return Err(one_arn(
                "Must provide a Map Run ARN with the status filter PENDING_REDRIVE",
            ));
        }
        let filter = ExecutionFilter {
            state_machine_arn: machine.into(),
            status: status.flatten(),
            redriven,
        };
        let page = self.engine.executions(&filter, from, size).await?;
        let executions = page.executions.iter().map(item).collect();
        let mut answer = Map::from_iter([("executions".to_owned(), Value::Array(executions))]);
        put(
            &mut answer,
            "nextToken",
            page.next.map(|next| page::token(&listing, &next.to_string())),
        );
        Ok(Value::Object(answer))
    }

    pub(super) async fn get_execution_history(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("executionArn", LONG_ARN);
        let size = request.page_size();
        let reverse = request.boolean("reverseOrder").unwrap_or(false);
        let with_data = request.boolean("includeExecutionData").unwrap_or(true);
        let token = request.optional("nextToken", PAGE_TOKEN);
        request.checked()?;
        arn::execution(&arn)?;
        let listing = format!("GetExecutionHistory {arn} {reverse}");
        let from = token.map(|token| number(&listing, &token)).transpose()?;
        let page = self.engine.history(&arn, HistoryRange { from, reverse }, size).await?;
        let events = page.events.iter().filter_map(|event| event.wire(with_data)).collect();
        let mut answer = Map::from_iter([("events".to_owned(), Value::Array(events))]);
        put(
            &mut answer,
            "nextToken",
            page.next.map(|next| page::token(&listing, &next.to_string())),
        );
        Ok(Value::Object(answer))
    }
}

fn one_arn(message: &str) -> Error {
    Error::Validation {
        message: message.into(),
        reason: "MISSING_REQUIRED_PARAMETER",
    }
}

/// The number that a token of `listing` continues from.
fn number(listing: &str, token: &str) -> Result<i64, Error> {
    page::position(listing, token)?.parse().map_err(|_| Error::InvalidToken)
}

/// What the descriptions of Standard and Express executions have in common.
fn described(record: &ExecutionRecord, included: bool) -> Map<String, Value> {
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    let mut answer = Map::new();
    answer.insert("executionArn".into(), json!(record.arn));
    answer.insert("stateMachineArn".into(), json!(record.state_machine_arn));
    answer.insert("name".into(), json!(record.name));
    answer.insert("status".into(), record.status.as_str().into());
    answer.insert("startDate".into(), epoch(record.started));
    put(&mut answer, "stopDate", record.stopped.map(epoch));
    if included {
        answer.insert("input".into(), record.input.text().into());
        answer.insert("inputDetails".into(), json!({"included": true}));
        if let Some(output) = &record.output {
            answer.insert("output".into(), output.text().into());
            answer.insert("outputDetails".into(), json!({"included": true}));
        }
        // That a state machine's time is over is told by the status alone.
        if record.status != Status::TimedOut {
            put(&mut answer, "error", text(&record.failure.error));
            put(&mut answer, "cause", text(&record.failure.cause));
        }
    }
    answer
}

fn item(execution: &ExecutionSummary) -> Value {
    let mut item = Map::new();
    item.insert("executionArn".into(), json!(execution.arn));
    item.insert("stateMachineArn".into(), json!(execution.state_machine_arn));
    put(&mut item, "stateMachineVersionArn", execution.version_arn.as_deref());
    put(&mut item, "stateMachineAliasArn", execution.alias_arn.as_deref());
    item.insert("name".into(), json!(execution.name));
    item.insert("status".into(), execution.status.as_str().into());
    item.insert("startDate".into(), epoch(execution.started));
    put(&mut item, "stopDate", execution.stopped.map(epoch));
    item.insert("redriveCount".into(), execution.redrive_count.into());
    put(&mut item, "redriveDate", execution.redriven.map(epoch));
    Value::Object(item)
}
