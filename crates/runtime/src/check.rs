//! Everything that is wrong with a template and its state machines, all at once and with its place.

mod permissions;

use std::path::Path;

use asl::lint::{self, Literal};

use crate::events::{Pattern, Schedule};
use crate::history::MachineType;
use crate::iam::Policies;
use crate::stepfunctions;
use crate::template::{self, Position, Problem, Settings, Severity, StateMachineResource, Template};

/// The code of a name that a task spells out and the template does not have.
const NOT_IN_TEMPLATE: &str = "NOT_IN_TEMPLATE";

/// The problems of the template at `path`, in order of place. It can be run if there are no errors among them.
pub fn check(path: &Path, settings: &Settings) -> Vec<Problem> {
    let (mut template, mut problems) = Template::examine(path, settings);
    let policies = Policies::take(&mut template, &settings.region);
    for machine in &template.state_machines {
        problems.extend(state_machine(machine));
        problems.extend(strangers(machine, &template));
        problems.extend(permissions::problems(machine, &policies));
    }
    problems.extend(events(path, &template));
    problems.extend(authorizers(path, &template));
    problems.sort();
    // What `Globals` says wrongly is found once for each function that takes it from there.
    problems.dedup();
    problems
}

/// An error of the template itself.
fn error(path: &Path, at: Position, code: &'static str, message: String) -> Problem {
    Problem {
        file: path.to_owned(),
        line: at.line,
        column: at.column,
        severity: Severity::Error,
        code,
        message,
        help: None,
    }
}

/// The authorizers that API Gateway would not take, or that would let nobody in.
fn authorizers(path: &Path, template: &Template) -> Vec<Problem> {
    let authorizers = template.http_api.iter().flat_map(|api| &api.authorizers);
    let mut problems = Vec::new();
    for (name, authorizer) in authorizers {
        let at = authorizer.position;
        let is_https = reqwest::Url::parse(&authorizer.issuer).is_ok_and(|url| url.scheme() == "https");
        if !is_https {
            let message = format!("{name}: the issuer {:?} is not an https URL", authorizer.issuer);
            problems.push(Problem {
                help: Some("API Gateway takes no other; on one machine http does for an address of its own"),
                ..error(path, at, "INVALID_ISSUER", message)
            });
        }
        if authorizer.audience.iter().all(String::is_empty) {
            let message = format!("{name}: there is no audience, so that no token is for this API");
            problems.push(error(path, at, "NO_AUDIENCE", message));
        }
    }
    problems
}

/// The rules' patterns and the schedules' expressions that EventBridge would not take.
fn events(path: &Path, template: &Template) -> Vec<Problem> {
    let problem = |at: Position, code, message| error(path, at, code, message);
    let patterns = template.rules.iter().filter_map(|rule| {
        let invalid = Pattern::parse(&rule.pattern).err()?;
        Some(problem(
            rule.position,
            "INVALID_EVENT_PATTERN",
            format!("{}: {invalid}", rule.name),
        ))
    });
    let expressions = template.schedules.iter().filter_map(|schedule| {
        let invalid = Schedule::parse(&schedule.expression).err()?;
        Some(problem(
            schedule.position,
            "INVALID_SCHEDULE",
            format!("{}: {invalid}", schedule.name),
        ))
    });
    patterns.chain(expressions).collect()
}

/// What AWS refuses in a definition, and what it does not.
fn state_machine(machine: &StateMachineResource) -> impl Iterator<Item = Problem> {
    let machine_type = match machine.machine_type {
        template::MachineType::Standard => MachineType::Standard,
        template::MachineType::Express => MachineType::Express,
    };
    let refused = stepfunctions::problems(&machine.definition, machine_type);
    let problems = refused.into_iter().chain(lint::check(&machine.definition));
    let known = problems.filter(|problem| !machine.source.is_unknown(&problem.place()));
    known.map(|problem| machine.source.problem(problem))
}

/// The functions, state machines and tables that tasks name and the template does not have. They may be elsewhere.
fn strangers<'m>(machine: &'m StateMachineResource, template: &'m Template) -> impl Iterator<Item = Problem> + 'm {
    let literals = lint::literals(&machine.definition).into_iter();
    let known = literals.filter(|literal| !machine.source.is_unknown(&literal.pointer));
    known.filter_map(|literal| {
        let what = stranger(&literal, template)?;
        let place = machine.source.problem(asl::Problem {
            severity: Severity::Warning,
            code: NOT_IN_TEMPLATE,
            message: format!("the template has no {what} '{}'", literal.value),
            pointer: literal.pointer,
            member: None,
        });
        Some(Problem {
            help: Some("name one of the template's by a substitution; what lies elsewhere is not run by this template"),
            ..place
        })
    })
}

/// What kind of thing is named, if the template has none of this name.
fn stranger(literal: &Literal, template: &Template) -> Option<&'static str> {
    let operation = literal.resource.resource.split('.').next().unwrap_or_default();
    let field = literal.field.as_str();
    let (what, is_known) = match (&*literal.resource.resource_type, operation, field) {
        ("", _, "Resource") if operation.contains(":lambda:") => ("function", function(&literal.value, template)),
        ("lambda", "invoke", "FunctionName") => ("function", function(&literal.value, template)),
        ("states", "startExecution", "StateMachineArn") => {
            let mut machines = template.state_machines.iter();
            let is_known = machines.any(|machine| names(&literal.value, &machine.arn));
            ("state machine", is_known)
        }
        ("dynamodb" | "aws-sdk:dynamodb", _, "TableName") => {
            let mut tables = template.tables.iter();
            let is_known = tables.any(|table| literal.value == table.name || literal.value == table.arn);
            ("table", is_known)
        }
        _ => return None,
    };
    (!is_known).then_some(what)
}

fn function(name: &str, template: &Template) -> bool {
    let mut functions = template.functions.values();
    functions.any(|function| names(name, &function.arn) || names(name, &function.name))
}

/// Whether this is the name or ARN itself, or a version or alias of it.
fn names(given: &str, own: &str) -> bool {
    let after = given.strip_prefix(own);
    after.is_some_and(|after| after.is_empty() || after.starts_with(':'))
}

#[cfg(test)]
mod tests;
