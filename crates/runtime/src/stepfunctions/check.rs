//! What of a definition the service refuses although the language allows it: tasks that nothing here performs, and
//! what an Express workflow cannot do.

use asl::{Problem, Severity, StateMachine};
use serde_json::Value;

use crate::history::MachineType;
use crate::integrations;

use super::variables::inner_flows;

/// AWS's code of everything that is found here.
const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";

/// How deep flows are looked into; what nests deeper, the parser has refused.
const MAX_NESTING: usize = 64;

/// Everything that is wrong with a definition, warnings too.
pub(crate) fn problems(definition: &str, machine_type: MachineType) -> Vec<Problem> {
    let mut problems = StateMachine::parse(definition).err().unwrap_or_default();
    if let Ok(document) = serde_json::from_str::<Value>(definition) {
        flow(&document, "", machine_type, &mut problems, 0);
    }
    problems
}

fn flow(flow: &Value, pointer: &str, machine_type: MachineType, problems: &mut Vec<Problem>, depth: usize) {
    let states = flow.get("States").and_then(Value::as_object);
    for (name, state) in states.into_iter().flatten().take_while(|_| depth < MAX_NESTING) {
        let pointer = format!("{pointer}/States/{name}");
        if state.get("Type").and_then(Value::as_str) == Some("Task")
            && let Some(resource) = state.get("Resource").and_then(Value::as_str)
            && let Err(message) = task(resource, machine_type)
        {
            let pointer = format!("{pointer}/Resource");
            problems.push(Problem {
                severity: Severity::Error,
                code: SCHEMA,
                message,
                pointer,
            });
        }
        for (inner, place) in inner_flows(state) {
            self::flow(inner, &format!("{pointer}{place}"), machine_type, problems, depth + 1);
        }
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
        if resource.split(':').nth(5) == Some("activity") {
            return Err("Express state machine does not support Activity ARN".into());
        }
    }
    match integrations::supports(resource) {
        true => Ok(()),
        false => Err(format!(
            "The resource provided {resource} is not recognized. The value is not a valid resource ARN, or the \
             resource is not available in this region."
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(resource: &str, machine_type: MachineType) -> Vec<String> {
        let task = json!({"Type": "Task", "Resource": resource, "End": true});
        let definition = json!({"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "Call", "States": {"Call": task}}]}}});
        let mut problems = Vec::new();
        flow(&definition, "", machine_type, &mut problems, 0);
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
}
