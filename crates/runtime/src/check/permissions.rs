//! What the tasks of a state machine ask for and its role does not allow, as far as the definition spells it out.

use asl::lint::{self, Literal};
use serde_json::{Value, json};

use crate::iam::{Caller, Denial, Policies, Service};
use crate::template::{Problem, Severity, StateMachineResource};

/// The code of a task whose state machine may not do what it asks for.
const MISSING_PERMISSION: &str = "MISSING_PERMISSION";

/// The tasks that would be refused. A role that is not judged has none.
pub(super) fn problems(machine: &StateMachineResource, policies: &Policies) -> Vec<Problem> {
    let Some(caller) = policies.state_machine(&machine.arn) else {
        return Vec::new();
    };
    let literals = lint::literals(&machine.definition);
    let tasks = literals.iter().filter_map(|literal| {
        let denial = denial(literal, &literals, policies, caller)?;
        Some((literal.pointer.clone(), denial))
    });
    let definition = serde_json::from_str(&machine.definition).unwrap_or_default();
    let mut maps = Vec::new();
    distributed(&definition, "", &mut maps);
    // Its items are executions of the state machine itself.
    let request = json!({ "stateMachineArn": machine.arn }).to_string();
    let start = policies.may(caller, Service::States, "StartExecution", request.as_bytes());
    let maps = maps
        .into_iter()
        .filter_map(|pointer| Some((pointer, start.clone().err()?)));
    let problems = tasks.chain(maps).map(|(pointer, denial)| Problem {
        help: Some("the state machine's Policies must allow it: on AWS the state fails without"),
        ..machine.source.problem(asl::Problem {
            severity: Severity::Warning,
            code: MISSING_PERMISSION,
            message: denial.to_string(),
            pointer,
            member: None,
        })
    });
    problems.collect()
}

/// Where the distributed Maps of a definition say that they are.
fn distributed(flow: &Value, pointer: &str, found: &mut Vec<String>) {
    for (name, state) in flow["States"].as_object().into_iter().flatten() {
        let at = format!("{pointer}/States/{name}");
        let processor = &state["ItemProcessor"];
        if processor["ProcessorConfig"]["Mode"] == "DISTRIBUTED" {
            found.push(format!("{at}/ItemProcessor/ProcessorConfig/Mode"));
        }
        distributed(processor, &format!("{at}/ItemProcessor"), found);
        for (index, branch) in state["Branches"].as_array().into_iter().flatten().enumerate() {
            distributed(branch, &format!("{at}/Branches[{index}]"), found);
        }
    }
}

/// What is refused of a task for what this literal names.
fn denial(literal: &Literal, literals: &[Literal], policies: &Policies, caller: &Caller) -> Option<Denial> {
    let beside = |field: &str| {
        let (task, _) = literal.pointer.rsplit_once('/')?;
        let mut literals = literals.iter();
        let found = literals.find(|other| other.pointer.rsplit_once('/') == Some((task, field)))?;
        Some(found.value.as_str())
    };
    let resource = &*literal.resource.resource;
    let operation = resource.split('.').next().unwrap_or_default();
    let value = literal.value.as_str();
    let judged = match (&*literal.resource.resource_type, operation, literal.field.as_str()) {
        ("", function, "Resource") if function.contains(":lambda:") => policies.may_invoke(caller, function),
        ("lambda", "invoke", "FunctionName") => match beside("Qualifier") {
            Some(qualifier) => policies.may_invoke(caller, &format!("{value}:{qualifier}")),
            None => policies.may_invoke(caller, value),
        },
        ("states", "startExecution", "StateMachineArn") => {
            let request = json!({ "stateMachineArn": value }).to_string();
            policies.may(caller, Service::States, "StartExecution", request.as_bytes())
        }
        ("states", "startExecution", "Resource") if resource.contains(".sync") => policies.may_watch(caller),
        ("dynamodb" | "aws-sdk:dynamodb", operation, "TableName") => {
            let mut wire = operation.to_owned();
            if let Some(first) = wire.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            let request = json!({"TableName": value, "IndexName": beside("IndexName")}).to_string();
            policies.may(caller, Service::DynamoDb, &wire, request.as_bytes())
        }
        _ => Ok(()),
    };
    judged.err()
}
