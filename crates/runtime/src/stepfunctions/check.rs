//! What of a definition the service refuses although the language allows it: tasks that nothing here performs, and
//! what an Express workflow cannot do.

use asl::{Problem, Severity, StateMachine};
use serde_json::Value;

use crate::history::MachineType;
use crate::integrations;

use super::variables::inner_flows;

/// AWS's code of everything that is found here.
pub(super) const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";

/// How deep flows are looked into; what nests deeper, the parser has refused.
const MAX_NESTING: usize = 64;

/// Everything that is wrong with a definition, warnings too.
pub(crate) fn problems(definition: &str, machine_type: MachineType) -> Vec<Problem> {
    let mut problems = StateMachine::parse(definition).err().unwrap_or_default();
    if let Ok(document) = serde_json::from_str::<Value>(definition) {
        flow(&document, "", &|found| state(found, machine_type), &mut problems, 0);
    }
    problems
}

/// What is wrong with the tasks of a definition a state of which is tested. A test may stand in for any resource there
/// is on AWS.
pub(super) fn problems_of_tested(document: &Value) -> Vec<Problem> {
    let known = |state: &Value| match resource(state) {
        Some(resource) if !is_activity(resource) && !integrations::is_resource(resource) => {
            Err((RESOURCE.to_owned(), unrecognised(resource)))
        }
        _ => Ok(()),
    };
    let mut problems = Vec::new();
    flow(document, "", &known, &mut problems, 0);
    problems
}

/// Says of a state whether it may stand there, or which place in it may not and why.
type Judge<'j> = &'j dyn Fn(&Value) -> Result<(), (String, String)>;

/// Where a Task state has its resource.
const RESOURCE: &str = "/Resource";

fn flow(flow: &Value, pointer: &str, judge: Judge<'_>, problems: &mut Vec<Problem>, depth: usize) {
    let states = flow.get("States").and_then(Value::as_object);
    for (name, state) in states.into_iter().flatten().take_while(|_| depth < MAX_NESTING) {
        let pointer = format!("{pointer}/States/{name}");
        if let Err((place, message)) = judge(state) {
            problems.push(Problem {
                severity: Severity::Error,
                code: SCHEMA,
                message,
                pointer: format!("{pointer}{place}"),
                member: None,
            });
        }
        parameters(state, &pointer, problems);
        for (inner, place) in inner_flows(state) {
            self::flow(inner, &format!("{pointer}{place}"), judge, problems, depth + 1);
        }
    }
}

/// Refuses parameters that the task's integration does not take, or does not do without.
fn parameters(state: &Value, pointer: &str, problems: &mut Vec<Problem>) {
    let resource = state.get("Resource").and_then(Value::as_str);
    let Some(taken) = resource.and_then(integrations::parameters) else {
        return;
    };
    for field in ["Parameters", "Arguments"] {
        let Some(given) = state.get(field).and_then(Value::as_object) else {
            continue;
        };
        let names: Vec<&str> = given
            .keys()
            .map(|name| name.strip_suffix(".$").unwrap_or(name))
            .collect();
        let missing = taken.required.iter().filter(|name| !names.contains(name));
        let missing = missing.map(|name| (None, format!("The field '{name}' is required but was missing")));
        let unknown = given.keys().zip(&names).filter(|(_, name)| !taken.has(name));
        let unknown = unknown.map(|(key, name)| {
            let message = format!("The field '{name}' is not supported by Step Functions");
            (Some(key.as_str().into()), message)
        });
        problems.extend(missing.chain(unknown).map(|(member, message)| Problem {
            severity: Severity::Error,
            code: SCHEMA,
            message,
            pointer: format!("{pointer}/{field}"),
            member,
        }));
    }
}

fn is_activity(resource: &str) -> bool {
    super::arn::activity(resource).is_ok()
}

/// The resource of a Task state.
fn resource(state: &Value) -> Option<&str> {
    let is_task = state.get("Type").and_then(Value::as_str) == Some("Task");
    state.get("Resource").and_then(Value::as_str).filter(|_| is_task)
}

/// Refuses a state that this type of workflow may not have.
fn state(state: &Value, machine_type: MachineType) -> Result<(), (String, String)> {
    if let Some(resource) = resource(state) {
        return task(resource, machine_type).map_err(|message| (RESOURCE.to_owned(), message));
    }
    const MODE: &str = "/ProcessorConfig/Mode";
    let is_distributed = |flow: &Value| flow.pointer(MODE).is_some_and(|mode| mode == "DISTRIBUTED");
    match inner_flows(state).find(|(flow, _)| is_distributed(flow)) {
        Some((_, place)) if machine_type == MachineType::Express => {
            let message = "Express state machine does not support a Map state with Mode 'DISTRIBUTED'";
            Err((format!("{place}{MODE}"), message.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Refuses a resource that is unknown, or that this type of workflow may not use.
fn task(resource: &str, machine_type: MachineType) -> Result<(), String> {
    if machine_type == MachineType::Express {
        // The space at the end is AWS's.
        let refused = |what: &str| {
            Err(format!(
                "Express state machine does not support '{what}' service integration "
            ))
        };
        if resource.contains(".sync") {
            return refused(".sync");
        }
        if resource.ends_with(".waitForTaskToken") {
            return refused(".waitForTaskToken");
        }
        if is_activity(resource) {
            return Err("Express state machine does not support Activity ARN".into());
        }
    }
    match is_activity(resource) || integrations::supports(resource) {
        true => Ok(()),
        false => Err(unrecognised(resource)),
    }
}

/// What AWS says of a resource that it does not know.
pub(super) fn unrecognised(resource: &str) -> String {
    format!(
        "The resource provided {resource} is not recognized. The value is not a valid resource ARN, or the resource is \
         not available in this region."
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(resource: &str, machine_type: MachineType) -> Vec<String> {
        found_in(
            &json!({"Type": "Task", "Resource": resource, "End": true}),
            machine_type,
        )
    }

    fn found_in(call: &Value, machine_type: MachineType) -> Vec<String> {
        let definition = json!({"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "Call", "States": {"Call": call}}]}}});
        let mut problems = Vec::new();
        flow(&definition, "", &|found| state(found, machine_type), &mut problems, 0);
        problems
            .iter()
            .map(|problem| format!("{} at {}", problem.message, problem.pointer))
            .collect()
    }

    #[test]
    fn an_unknown_resource_is_named_with_its_place() {
        assert_eq!(
            found("arn:aws:states:::dynamodb:scan", MachineType::Standard),
            [
                "The resource provided arn:aws:states:::dynamodb:scan is not recognized. The value is not a valid \
              resource ARN, or the resource is not available in this region. at \
              /States/Both/Branches[0]/States/Call/Resource"
            ]
        );
    }

    #[test]
    fn parameters_are_those_of_the_integration() {
        let told = |resource: &str, field: &str, parameters: Value| {
            let state = json!({"Type": "Task", "Resource": resource, field: parameters, "End": true});
            let mut problems = Vec::new();
            super::parameters(&state, "/States/Call", &mut problems);
            let told = problems
                .iter()
                .map(|problem| format!("{} at {}", problem.message, problem.pointer));
            told.collect::<Vec<_>>()
        };
        let invoke = "arn:aws:states:::lambda:invoke.waitForTaskToken";
        assert_eq!(
            told(
                invoke,
                "Parameters",
                json!({"Function.$": "$.f", "Payload": {"FunctionName": 1}})
            ),
            [
                "The field 'FunctionName' is required but was missing at /States/Call/Parameters",
                "The field 'Function' is not supported by Step Functions at /States/Call/Parameters",
            ]
        );
        let nested = "arn:aws:states:::states:startExecution.sync:2";
        assert!(
            told(
                nested,
                "Arguments",
                json!({"StateMachineArn": "{% $arn %}", "Input": {}, "Name": "n"})
            )
            .is_empty()
        );
        assert_eq!(
            told(nested, "Arguments", json!({"StateMachineArn": "arn", "Output": 1})).len(),
            1
        );
        assert!(told(nested, "Arguments", json!("{% $states.input %}")).is_empty());
        let put = "arn:aws:states:::dynamodb:putItem";
        assert_eq!(
            told(put, "Parameters", json!({"TableName": "t"})),
            ["The field 'Item' is required but was missing at /States/Call/Parameters"]
        );
        assert!(
            told(
                "arn:aws:states:::aws-sdk:sfn:stopExecution",
                "Parameters",
                json!({"Any": 1})
            )
            .is_empty()
        );
    }

    #[test]
    fn express_workflows_wait_for_nothing() {
        let place = "at /States/Both/Branches[0]/States/Call/Resource";
        for (resource, message) in [
            (
                "arn:aws:states:::states:startExecution.sync:2",
                "'.sync' service integration ",
            ),
            (
                "arn:aws:states:::lambda:invoke.waitForTaskToken",
                "'.waitForTaskToken' service integration ",
            ),
            ("arn:aws:states:us-west-2:000000000000:activity:a", "Activity ARN"),
        ] {
            let told = format!("Express state machine does not support {message} {place}");
            assert_eq!(found(resource, MachineType::Express), [told]);
        }
        assert!(found("arn:aws:states:::states:startExecution.sync:2", MachineType::Standard).is_empty());
    }

    #[test]
    fn express_workflows_have_no_distributed_maps() {
        let map = json!({"Type": "Map", "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED"}}});
        assert_eq!(
            found_in(&map, MachineType::Express),
            [
                "Express state machine does not support a Map state with Mode 'DISTRIBUTED' at \
              /States/Both/Branches[0]/States/Call/ItemProcessor/ProcessorConfig/Mode"
            ]
        );
        assert!(found_in(&map, MachineType::Standard).is_empty());
    }
}
