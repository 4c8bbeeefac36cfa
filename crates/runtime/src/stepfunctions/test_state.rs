//! TestState: runs a single state, against the world or a mock, and shows what becomes of its data on the way.
//!
//! Nothing is kept of it. What runs is the interpreter itself, in a [`asl::Probe`].

mod mock;
mod shapes;

use std::collections::BTreeMap;
use std::sync::Arc;

use asl::{Json, Probe, Problem, Setup, Severity, Stages, Standing, StateType, Tested};
use serde_json::{Map, Value, json};

use super::error::Error;
use super::request::{ARN, DEFINITION, NAME, Request};
use super::{StepFunctions, arn, check, jackson, machines, put};
use crate::integrations;
use mock::Mock;
use shapes::Demand;

/// AWS's bound of a test's duration: five minutes.
const LIMIT_SECONDS: u64 = 5 * 60;

/// What a request says of where a state stands, beside its input.
#[derive(Default)]
struct Configuration {
    retries: Option<u32>,
    caused_by: Option<String>,
    failed_iterations: Option<u64>,
    items: Option<String>,
}

impl Configuration {
    fn read(request: &mut Request) -> Option<Self> {
        let count = 0..=i64::from(i32::MAX);
        request.within("stateConfiguration", |given| Self {
            retries: given
                .integer("retrierRetryCount", count.clone())
                .and_then(|count| u32::try_from(count).ok()),
            caused_by: given.optional_sensitive("errorCausedByState", NAME),
            failed_iterations: given
                .integer("mapIterationFailureCount", count)
                .and_then(|count| u64::try_from(count).ok()),
            items: given.data("mapItemReaderData"),
        })
    }
}

impl StepFunctions {
    pub(super) async fn test_state(&self, request: &mut Request) -> Result<Value, Error> {
        let definition = request.required_sensitive("definition", DEFINITION);
        let role_arn = request.optional("roleArn", ARN);
        let input = request.data("input");
        let levels = [("INFO", false), ("DEBUG", true), ("TRACE", true)];
        let inspects = request.one_of("inspectionLevel", &levels).unwrap_or(false);
        // What it would reveal belongs to HTTP Tasks, which are not here.
        request.boolean("revealSecrets");
        let variables = request.data("variables");
        let state_name = request.optional_sensitive("stateName", NAME);
        let context = request.data("context");
        let mock = Mock::read(request);
        let configuration = Configuration::read(request);
        request.checked()?;
        if let Some(role_arn) = &role_arn {
            arn::role(role_arn)?;
        }
        let tested = read_tested(&definition, state_name.as_deref())?;
        let answer = match mock {
            Some(mock) => Some(mock.answer(&tested)?),
            None => {
                runs_here(&tested)?;
                if tested.state_type() == StateType::Task && role_arn.is_none() {
                    return Err(invalid("RoleArn must be specified when testing a Task state"));
                }
                None
            }
        };
        if context.is_some() && answer.is_none() {
            return Err(invalid("A Context object can only be specified together with a mock"));
        }
        let configuration = configuration.unwrap_or_default();
        if let Some(name) = &configuration.caused_by
            && !tested.contains(name)
        {
            return Err(invalid(format!("State '{name}' is not within the state under test")));
        }
        let input = match input {
            Some(text) => {
                Json::parse(&text).map_err(|error| Error::InvalidExecutionInput(jackson::complaint(&text, &error)))?
            }
            None => Json::empty_object(),
        };
        let failed_iterations = configuration.failed_iterations;
        let setup = Setup {
            identity: self.engine.test_identity(role_arn.as_deref().unwrap_or_default()),
            input,
            variables: variables
                .map(|text| read_variables(&text))
                .transpose()?
                .unwrap_or_default(),
            context: context.map(|text| read_context(&text)).transpose()?,
            retries: configuration.retries,
            items: configuration.items.map(Into::into),
            failed_iterations,
            limit_seconds: LIMIT_SECONDS,
        };
        let test = self.engine.begin_test(Arc::new(tested), setup).await?;
        if let (Some(failed), Some(items)) = (failed_iterations, test.probe().items())
            && failed > items as u64
        {
            let message = format!("mapIterationFailureCount is {failed}, but the Map state has only {items} items");
            return Err(invalid(message));
        }
        let test = match answer {
            Some(answer) => test.answer(answer).await?,
            None => test.run().await?,
        };
        Ok(told(test.probe(), inspects))
    }
}

/// A request that AWS refuses without a reason of its own.
fn invalid(message: impl Into<String>) -> Error {
    Error::Invalid(message.into())
}

fn read_tested(definition: &str, state_name: Option<&str>) -> Result<Tested, Error> {
    let parsed = Tested::parse(definition, state_name);
    let mut problems = match &parsed {
        Ok(_) => Vec::new(),
        Err(problems) => problems.clone(),
    };
    if let Ok(document) = serde_json::from_str::<Value>(definition) {
        let document = match state_name {
            Some(_) => document,
            None => json!({"States": {asl::TESTED: document}}),
        };
        problems.extend(check::problems_of_tested(&document));
    }
    machines::refuse(problems, definition)?;
    parsed
        .ok()
        .flatten()
        .ok_or_else(|| invalid("State not found in definition"))
}

/// Refuses a state that only a mock can answer.
fn runs_here(tested: &Tested) -> Result<(), Error> {
    if matches!(tested.state_type(), StateType::Map | StateType::Parallel) {
        return Err(Error::Untestable(
            "TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, Pass, \
             Succeed, Fail, Choice]",
        ));
    }
    let Some(resource) = tested.resource() else {
        return Ok(());
    };
    let arn = match resource.resource_type.is_empty() {
        true => resource.resource.to_string(),
        false => format!("arn:aws:states:::{}:{}", resource.resource_type, resource.resource),
    };
    if resource.waits() || resource.is_activity() {
        return Err(Error::Untestable(
            "TestState API does not support Activity tasks, or .sync and .waitForTaskToken service integration patterns, \
             unless a mock is specified",
        ));
    }
    if integrations::supports(&arn) {
        return Ok(());
    }
    Err(Error::InvalidDefinition(vec![Problem {
        severity: Severity::Error,
        code: check::SCHEMA,
        message: check::unrecognised(&arn),
        pointer: format!("/States/{}/Resource", asl::TESTED),
        member: None,
    }]))
}

/// The JSON of a member that is a text.
fn parse_json(what: &str, text: &str) -> Result<Json, Error> {
    Json::parse(text).map_err(|error| {
        let complaint = jackson::complaint(text, &error);
        invalid(format!("{what} must be valid JSON: {complaint}"))
    })
}

fn read_variables(text: &str) -> Result<BTreeMap<String, Json>, Error> {
    match parse_json("Variables", text)?.value() {
        Value::Object(variables) => {
            let variables = variables.iter();
            Ok(variables
                .map(|(name, value)| (name.clone(), Json::from(value.clone())))
                .collect())
        }
        _ => Err(invalid("Variables must be a JSON object")),
    }
}

fn read_context(text: &str) -> Result<Value, Error> {
    let refused = |message: String| invalid(format!("Invalid Context object provided: {message}"));
    let context = Json::parse(text).map_err(|error| refused(jackson::complaint(text, &error)))?;
    if !context.value().is_object() {
        return Err(refused("It must be a JSON object".into()));
    }
    shapes::context()
        .check(context.value(), Demand::Known)
        .map_err(refused)?;
    Ok(context.value().clone())
}

/// The answer: what the state came to, and what was seen on the way if that is asked for.
fn told(probe: &Probe, inspects: bool) -> Value {
    let outcome = probe.outcome();
    let mut answer = Map::new();
    put(&mut answer, "output", outcome.output.as_ref().map(Json::text));
    let failure = outcome.failure.unwrap_or_default();
    put(&mut answer, "error", failure.error.as_deref());
    put(&mut answer, "cause", failure.cause.as_deref());
    put(&mut answer, "nextState", outcome.next.as_deref());
    let status = match outcome.standing {
        Standing::Succeeded => "SUCCEEDED",
        Standing::Failed | Standing::Waiting => "FAILED",
        Standing::Retriable => "RETRIABLE",
        Standing::CaughtError => "CAUGHT_ERROR",
    };
    answer.insert("status".into(), status.into());
    if inspects {
        answer.insert("inspectionData".into(), Value::Object(inspected(probe)));
    }
    Value::Object(answer)
}

fn inspected(probe: &Probe) -> Map<String, Value> {
    let Stages {
        after_input_path,
        after_arguments,
        after_items_path,
        after_items_pointer,
        after_item_selector,
        after_item_batcher,
        result,
        after_result_selector,
        after_result_path,
        max_concurrency,
        tolerated_failure_count,
        tolerated_failure_percentage,
        retry,
        catch,
        ..
    } = probe.stages();
    let mut data = Map::new();
    let arguments = match probe.is_jsonata() {
        true => "afterArguments",
        false => "afterParameters",
    };
    for (name, document) in [
        ("input", Some(probe.input().clone())),
        ("afterInputPath", after_input_path),
        (arguments, after_arguments),
        ("result", result),
        ("afterResultSelector", after_result_selector),
        ("afterResultPath", after_result_path),
    ] {
        put(&mut data, name, document.as_ref().map(Json::text));
    }
    for (name, items) in [
        ("afterItemsPath", after_items_path),
        ("afterItemsPointer", after_items_pointer),
        ("afterItemSelector", after_item_selector),
        ("afterItemBatcher", after_item_batcher),
    ] {
        put(&mut data, name, items.map(|items| asl::spaced(items.value())));
    }
    put(&mut data, "maxConcurrency", max_concurrency);
    put(&mut data, "toleratedFailureCount", tolerated_failure_count);
    put(&mut data, "toleratedFailurePercentage", tolerated_failure_percentage);
    let variables = probe.variables();
    if variables.value() != &json!({}) {
        data.insert("variables".into(), variables.text().into());
    }
    let mut details = Map::new();
    put(&mut details, "catchIndex", catch);
    put(&mut details, "retryIndex", retry.map(|(index, _)| index));
    let pause = retry.map(|(_, pause)| pause.num_seconds());
    put(&mut details, "retryBackoffIntervalSeconds", pause);
    if !details.is_empty() {
        data.insert("errorDetails".into(), Value::Object(details));
    }
    data
}
