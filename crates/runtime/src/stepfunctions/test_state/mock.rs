//! A test's mock: the result or the error that stands in for what a state would call or run.

use asl::{Failure, Json, Resource, StateType, Tested};
use serde_json::Value;

use super::shapes::{self, Demand};
use super::{invalid, parse_json};
use crate::stepfunctions::error::Error;
use crate::stepfunctions::request::Request;
use crate::stepfunctions::tasks;

/// How closely a result is compared with what the API would answer.
const MODES: [(&str, Option<Demand>); 3] = [
    ("STRICT", Some(Demand::Complete)),
    ("PRESENT", Some(Demand::Right)),
    ("NONE", None),
];

/// A mock as it was sent.
pub(super) struct Mock {
    result: Option<String>,
    error_output: Option<Failure>,
    demand: Option<Demand>,
}

impl Mock {
    pub(super) fn read(request: &mut Request) -> Option<Self> {
        request.within("mock", |mock| Self {
            result: mock.data("result"),
            error_output: mock.within("errorOutput", tasks::failure),
            demand: mock
                .one_of("fieldValidationMode", &MODES)
                .unwrap_or(Some(Demand::Complete)),
        })
    }

    /// What the state is answered with; refuses what such a state would never be.
    pub(super) fn answer(self, tested: &Tested) -> Result<Result<Json, Failure>, Error> {
        let state_type = tested.state_type();
        if !matches!(state_type, StateType::Task | StateType::Map | StateType::Parallel) {
            let message = format!("State type '{state_type:?}' is not supported when a mock is specified");
            return Err(invalid(message));
        }
        match (self.result, self.error_output) {
            (Some(_), Some(_)) | (None, None) => Err(invalid(
                "A test mock should have only one of the following fields: [result, errorOutput].",
            )),
            (None, Some(failure)) if failure.error.is_none() => {
                Err(invalid("The field 'error' is required in a mocked errorOutput."))
            }
            (None, Some(failure)) => Ok(Err(failure)),
            (Some(result), None) => {
                let result = parse_json("Mocked result", &result)?;
                check(tested, result.value(), self.demand)?;
                Ok(Ok(result))
            }
        }
    }
}

/// Refuses a result that no state of this kind has.
fn check(tested: &Tested, result: &Value, demand: Option<Demand>) -> Result<(), Error> {
    let object = || match result.is_object() {
        true => Ok(()),
        false => Err(invalid("Mocked result must be a JSON object.")),
    };
    let array = || match result.as_array() {
        Some(items) => Ok(items),
        None => Err(invalid("Mocked result must be an array.")),
    };
    if let Some(branches) = tested.branches() {
        return match array()?.len() == branches {
            true => Ok(()),
            false => Err(invalid(
                "Mocked result must contain the same number of items as number of Parallel branches.",
            )),
        };
    }
    let Some(resource) = tested.resource() else {
        return match tested.writes_result() {
            true => object(),
            false => array().map(|_| ()),
        };
    };
    let answer = answered(resource).and_then(|(service, operation)| shapes::output(service, operation));
    let (Some(shape), Some(demand)) = (answer, demand) else {
        return Ok(());
    };
    object()?;
    let refused = |message: String| invalid(format!("Mock result schema validation error: {message}"));
    shape.check(result, demand).map_err(refused)
}

/// The service, and the operation of it, whose answer the result of a resource is; `None` where it is no API's answer.
fn answered(resource: &Resource) -> Option<(&str, &str)> {
    let resource_type = &*resource.resource_type;
    let service = match resource_type.strip_prefix("aws-sdk:") {
        Some(service) => service,
        None => match resource_type {
            "events" => "eventbridge",
            "states" => "sfn",
            service => service,
        },
    };
    match (service, &*resource.resource) {
        // Whoever has the token answers what he likes.
        _ if resource.waits_for_token() => None,
        ("sfn", "startExecution.sync" | "startExecution.sync:2") => Some(("sfn", "describeExecution")),
        // Of other jobs it is a part of what their API tells of them.
        _ if resource.waits() => None,
        (service, operation) => Some((service, operation)),
    }
}
