//! Map Runs: describe, list, update.

use asl::{MapRunStatus, MapRunUpdate};
use serde_json::{Map, Value, json};

use super::error::Error;
use super::request::{ARN, LONG_ARN, PAGE_TOKEN, Request};
use super::{StepFunctions, arn, epoch, page, put};
use crate::driver::MapRun;

/// What a count or a concurrency may be.
const COUNT: std::ops::RangeInclusive<i64> = 0..=u32::MAX as i64;
/// How AWS shows that there is no bound to the concurrency.
const NO_BOUND: u32 = i32::MAX as u32;
/// What a percentage may be.
const PERCENTAGE: std::ops::RangeInclusive<f64> = 0.0..=100.0;

impl StepFunctions {
    pub(super) async fn describe_map_run(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("mapRunArn", LONG_ARN);
        request.checked()?;
        arn::map_run(&arn)?;
        let run = self.engine.map_run(&arn).await?;
        let record = &run.record;
        let status = match record.status {
            MapRunStatus::Running => "RUNNING",
            MapRunStatus::Succeeded => "SUCCEEDED",
            MapRunStatus::Failed => "FAILED",
            MapRunStatus::Aborted => "ABORTED",
        };
        // One item is one child execution: there are no batches.
        let counts = json!({
            "pending": record.pending,
            "running": record.running,
            "succeeded": record.succeeded,
            "failed": record.failed,
            "timedOut": 0,
            "aborted": record.aborted,
            "total": record.total,
            // On AWS, too, without a ResultWriter.
            "resultsWritten": record.succeeded + record.failed,
            "failuresNotRedrivable": 0,
            "pendingRedrive": 0,
        });
        let mut answer = Map::new();
        answer.insert("mapRunArn".into(), json!(record.arn));
        answer.insert("executionArn".into(), json!(run.execution_arn));
        answer.insert("status".into(), status.into());
        answer.insert("startDate".into(), epoch(record.started));
        put(&mut answer, "stopDate", record.stopped.map(epoch));
        let max_concurrency = match record.max_concurrency {
            0 => NO_BOUND,
            bound => bound,
        };
        answer.insert("maxConcurrency".into(), max_concurrency.into());
        let percentage = record.tolerance.percentage.unwrap_or_default();
        answer.insert("toleratedFailurePercentage".into(), percentage.into());
        let count = record.tolerance.count.unwrap_or_default();
        answer.insert("toleratedFailureCount".into(), count.into());
        answer.insert("itemCounts".into(), counts.clone());
        answer.insert("executionCounts".into(), counts);
        answer.insert("redriveCount".into(), record.redrive_count.into());
        put(&mut answer, "redriveDate", record.redriven.map(epoch));
        Ok(Value::Object(answer))
    }

    pub(super) async fn list_map_runs(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("executionArn", ARN);
        let size = request.page_size();
        let token = request.optional("nextToken", PAGE_TOKEN);
        request.checked()?;
        arn::execution(&arn)?;
        let listing = format!("ListMapRuns {arn}");
        let from = token.map(|token| {
            let position = page::position(&listing, &token)?;
            position.parse::<usize>().map_err(|_| Error::InvalidToken)
        });
        let from = from.transpose()?.unwrap_or_default();
        let runs = self.engine.map_runs(&arn).await?;
        let shown = runs.iter().skip(from).take(size);
        let items = shown.map(item).collect();
        let mut answer = Map::from_iter([("mapRuns".to_owned(), Value::Array(items))]);
        let next = from.saturating_add(size);
        let more = next < runs.len();
        put(
            &mut answer,
            "nextToken",
            more.then(|| page::token(&listing, &next.to_string())),
        );
        Ok(Value::Object(answer))
    }

    pub(super) async fn update_map_run(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("mapRunArn", LONG_ARN);
        let number = |number: i64| u32::try_from(number).unwrap_or_default();
        let update = MapRunUpdate {
            max_concurrency: request.integer("maxConcurrency", COUNT).map(number),
            tolerated_count: request.integer("toleratedFailureCount", COUNT).map(number),
            tolerated_percentage: request.float("toleratedFailurePercentage", PERCENTAGE),
        };
        request.checked()?;
        arn::map_run(&arn)?;
        if update == MapRunUpdate::default() {
            return Err(Error::Validation {
                message: "Must specify at least one of maxConcurrency, toleratedFailureCount and \
                          toleratedFailurePercentage"
                    .into(),
                reason: "MISSING_REQUIRED_PARAMETER",
            });
        }
        self.engine.update_map_run(&arn, update).await?;
        Ok(json!({}))
    }
}

fn item(run: &MapRun) -> Value {
    let record = &run.record;
    let machine = record.arn.replacen(":mapRun:", ":stateMachine:", 1);
    let machine = machine.rsplit_once(':').map_or(&*machine, |(machine, _)| machine);
    let mut item = Map::new();
    item.insert("executionArn".into(), json!(run.execution_arn));
    item.insert("mapRunArn".into(), json!(record.arn));
    item.insert("stateMachineArn".into(), json!(machine));
    item.insert("startDate".into(), epoch(record.started));
    put(&mut item, "stopDate", record.stopped.map(epoch));
    Value::Object(item)
}
