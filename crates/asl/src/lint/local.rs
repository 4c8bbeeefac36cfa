//! What is wrong with one state, or with how the states of a flow hang together.

use std::sync::Arc;

use serde_json::Value;

use super::graph::{self, Graph};
use super::look::field_name;
use super::similar::suggestion;
use super::{
    CAUGHT_INTO_FAIL, ENDLESS_FLOW, Findings, IDLE_HEARTBEAT, LITERAL_EXPRESSION, LITERAL_PATH, NO_DEFAULT,
    TOKEN_NOT_PASSED, UNBOUNDED_CALLBACK, UNKNOWN_ERROR_NAME, UNREACHED_HANDLER, UNREACHED_RULE,
};
use crate::choice::{Comparison, Operand, Rule, Test};
use crate::definition::{Branch, Kind, Number, PathField, QueryLanguage, State, StateMachine, Task};
use crate::query::{Expression, Node, Path, Root, Step, Template};

/// The error names that begin with `States.`.
const ERROR_NAMES: [&str; 17] = [
    "States.ALL",
    "States.BranchFailed",
    "States.DataLimitExceeded",
    "States.ExceedToleratedFailureThreshold",
    "States.HeartbeatTimeout",
    "States.Http.Socket",
    "States.IntrinsicFailure",
    "States.ItemReaderFailed",
    "States.NoChoiceMatched",
    "States.ParameterPathFailure",
    "States.Permissions",
    "States.QueryEvaluationError",
    "States.ResultPathMatchFailure",
    "States.ResultWriterFailed",
    "States.Runtime",
    "States.TaskFailed",
    "States.Timeout",
];

pub(super) fn check(machine: &StateMachine, findings: &mut Findings) {
    for state in machine.states.values() {
        literals(state, findings);
        handlers(state, findings);
        match &state.kind {
            Kind::Task(task) => callback(state, task, machine.timeout_seconds.is_some(), findings),
            Kind::Choice { rules, default } => choice(state, rules, default.is_some(), findings),
            _ => {}
        }
    }
    flows(machine, findings);
}

/// A task that waits for a token, and heartbeats.
fn callback(state: &State, task: &Task, machine_ends: bool, findings: &mut Findings) {
    let pointer = |field: &str| format!("{}/{field}", state.pointer);
    let has_heartbeat = !matches!(task.heartbeat, Number::Absent);
    if task.resource.waits_for_token() {
        if !passes_token(state) {
            let message = "this task waits for its token to come back, but gives it to no one".to_owned();
            findings.add(&TOKEN_NOT_PASSED, &pointer("Resource"), message);
        }
        if matches!(task.timeout, Number::Absent) && !has_heartbeat && !machine_ends {
            let message = "nothing bounds how long this task waits for its callback".to_owned();
            findings.add(&UNBOUNDED_CALLBACK, &state.pointer, message);
        }
    } else if has_heartbeat && !task.resource.resource.contains(":activity:") {
        let field = match &task.heartbeat {
            Number::Computed(computed) => computed.field.clone(),
            _ => "HeartbeatSeconds".to_owned(),
        };
        let message = "no one can send heartbeats for this task: it ends when they are missed".to_owned();
        findings.add(&IDLE_HEARTBEAT, &pointer(&field), message);
    }
}

/// Whether the arguments have the task token in them, or the whole of what it is part of.
fn passes_token(state: &State) -> bool {
    let whole = match &state.input_path {
        PathField::Path(path) => holds_token(path),
        PathField::Whole | PathField::Nothing => false,
    };
    whole
        || state
            .arguments
            .as_ref()
            .is_some_and(|template| has_token(&template.node))
}

fn has_token(node: &Node) -> bool {
    match node {
        Node::Constant(_) => false,
        Node::Object(fields) => fields.iter().any(|(_, node)| has_token(node)),
        Node::Array(items) => items.iter().any(has_token),
        Node::Computed { expression, .. } => expression.paths().into_iter().any(holds_token),
        Node::Jsonata { expression, .. } => {
            let trails = expression.reading().states.get("context").into_iter().flatten();
            trails
                .into_iter()
                .any(|trail| trail.iter().zip(["Task", "Token"]).all(|(name, wanted)| name == wanted))
        }
    }
}

fn holds_token(path: &Path) -> bool {
    let leads = |(step, wanted): (&Step, &str)| match step {
        Step::Property(name) => **name == *wanted,
        // Whatever else may find it.
        _ => true,
    };
    *path.root() == Root::Context && path.steps().iter().zip(["Task", "Token"]).all(leads)
}

/// Retriers and Catchers that no error gets to, and names that no error has.
fn handlers(state: &State, findings: &mut Findings) {
    let from_task = matches!(state.kind, Kind::Task(_));
    let retriers = state.retry.iter().map(|retrier| &retrier.errors).collect();
    let catchers = state.catch.iter().map(|catcher| &catcher.errors).collect();
    let lists: [(&str, Vec<&Vec<Arc<str>>>); 2] = [("Retry", retriers), ("Catch", catchers)];
    for (field, entries) in lists {
        for (index, errors) in entries.iter().enumerate() {
            let pointer = |name: usize| format!("{}/{field}[{index}]/ErrorEquals[{name}]", state.pointer);
            for (position, name) in errors.iter().enumerate() {
                if name.starts_with("States.") && !ERROR_NAMES.contains(&&**name) {
                    let message = format!("there is no error {name}{}", suggestion(name, ERROR_NAMES));
                    findings.add(&UNKNOWN_ERROR_NAME, &pointer(position), message);
                }
                let taken = entries[..=index].iter().enumerate().find_map(|(entry, names)| {
                    let names = if entry == index { &names[..position] } else { &names[..] };
                    names.iter().find(|earlier| takes(earlier, name, from_task))
                });
                if let Some(earlier) = taken {
                    let message = format!("{name} never gets here: {earlier} before it takes it");
                    findings.add(&UNREACHED_HANDLER, &pointer(position), message);
                }
            }
        }
    }
}

/// Whether an error name in an earlier entry takes every error that a later one names.
fn takes(earlier: &str, later: &str, from_task: bool) -> bool {
    match earlier {
        earlier if earlier == later => true,
        "States.Timeout" => later == "States.HeartbeatTimeout",
        // Of the service's own errors some are no failures of the task itself.
        "States.TaskFailed" => from_task && !later.starts_with("States."),
        _ => false,
    }
}

fn choice(state: &State, rules: &[Branch], has_default: bool, findings: &mut Findings) {
    let mut is_exhaustive = false;
    for (index, branch) in rules.iter().enumerate() {
        let earlier = &rules[..index];
        let same = earlier.iter().position(|earlier| is_same(&earlier.rule, &branch.rule));
        let pointer = format!("{}/Choices[{index}]", state.pointer);
        if is_exhaustive {
            findings.add(&UNREACHED_RULE, &pointer, "a rule before this one always holds");
        } else if let Some(same) = same {
            let message = format!("this is the condition of Choices[{same}] again");
            findings.add(&UNREACHED_RULE, &pointer, message);
        }
        let others = earlier.iter().any(|earlier| is_opposite(&earlier.rule, &branch.rule));
        is_exhaustive |= others || matches!(branch.rule, Rule::Constant(true));
    }
    if !has_default && !is_exhaustive {
        let message = "no rule may hold, and there is no Default";
        findings.add(&NO_DEFAULT, &state.pointer, message);
    }
}

/// Whether two rules say the same.
fn is_same(left: &Rule, right: &Rule) -> bool {
    let all = |left: &[Rule], right: &[Rule]| {
        left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_same(left, right))
    };
    match (left, right) {
        (Rule::And(left), Rule::And(right)) | (Rule::Or(left), Rule::Or(right)) => all(left, right),
        (Rule::Not(left), Rule::Not(right)) => is_same(left, right),
        (Rule::Constant(left), Rule::Constant(right)) => left == right,
        (Rule::Condition(left), Rule::Condition(right)) => left.source == right.source,
        (
            Rule::Test { variable, test },
            Rule::Test {
                variable: other_variable,
                test: other,
            },
        ) => variable.as_str() == other_variable.as_str() && test == other,
        _ => false,
    }
}

/// Whether one of two rules always holds.
fn is_opposite(left: &Rule, right: &Rule) -> bool {
    match (left, right) {
        (Rule::Not(left), right) => is_same(left, right),
        (left, Rule::Not(right)) => is_same(left, right),
        (
            Rule::Test { variable, test },
            Rule::Test {
                variable: other_variable,
                test: other,
            },
        ) if variable.as_str() == other_variable.as_str() => match (test, other) {
            (Test::IsPresent(left), Test::IsPresent(right)) => left != right,
            (Test::Is(left, holds), Test::Is(right, other_holds)) => left == right && holds != other_holds,
            // Of a value that is no boolean neither holds, but then the author knows that it is one.
            (
                Test::Compare(_, Comparison::Equals, Operand::Given(Value::Bool(left))),
                Test::Compare(_, Comparison::Equals, Operand::Given(Value::Bool(right))),
            ) => left != right,
            _ => false,
        },
        _ => false,
    }
}

/// Flows without an end, and errors that are caught only to fail.
fn flows(machine: &StateMachine, findings: &mut Findings) {
    let graph = Graph::of(machine);
    for (start, flow) in &graph.flows {
        // A state that could not be read may end the flow.
        let is_unclear = |state: &State| {
            graph::targets(state)
                .iter()
                .any(|target| machine.state(target).is_none())
        };
        let is_fine = |state: &State| graph::succeeds(state) || is_unclear(state);
        let ends = flow.reaching(|state| is_fine(state) || matches!(state.kind, Kind::Fail { .. }));
        for state in flow.members.iter().filter(|state| *state.name == **start) {
            // Where the whole state machine has no end, the definition is refused for that.
            let is_refused = **start == *machine.start_at && ends.is_empty();
            if !ends.contains(start) && !is_refused {
                let message = format!("this flow never ends: it comes back to its states from '{start}' on");
                findings.add(&ENDLESS_FLOW, &state.pointer, message);
            }
        }
        // What fails inside, a state around it may well handle.
        let handled = flow.members.first().is_some_and(|member| {
            let owners = graph.owners(&member.name);
            let mut owners = owners.iter().filter_map(|name| machine.state(name));
            owners.any(|owner| !owner.retry.is_empty() || !owner.catch.is_empty())
        });
        if handled {
            continue;
        }
        let fine = flow.reaching(is_fine);
        for state in &flow.members {
            for (index, catcher) in state.catch.iter().enumerate() {
                let is_read = machine.state(&catcher.next).is_some();
                if is_read && ends.contains(&*catcher.next) && !fine.contains(&*catcher.next) {
                    let pointer = format!("{}/Catch[{index}]/Next", state.pointer);
                    let message = format!("'{}' only leads to failing: a redrive cannot mend it", catcher.next);
                    findings.add(&CAUGHT_INTO_FAIL, &pointer, message);
                }
            }
        }
    }
}

/// Texts that look like something to be computed, where nothing is.
fn literals(state: &State, findings: &mut Findings) {
    let mut look = |pointer: String, template: Option<&Template>| {
        if let Some(template) = template {
            literals_of_node(&pointer, &template.node, state.language, findings);
        }
    };
    let at = |field: &str| format!("{}/{field}", state.pointer);
    let arguments = match state.language {
        QueryLanguage::JsonPath => "Parameters",
        QueryLanguage::Jsonata => "Arguments",
    };
    look(at(arguments), state.arguments.as_ref());
    look(at("ResultSelector"), state.result_selector.as_ref());
    look(at("Assign"), state.assign.as_ref());
    look(at("Output"), state.output.as_ref());
    for (index, catcher) in state.catch.iter().enumerate() {
        look(at(&format!("Catch[{index}]/Assign")), catcher.assign.as_ref());
        look(at(&format!("Catch[{index}]/Output")), catcher.output.as_ref());
    }
    match &state.kind {
        Kind::Map(map) => look(at(map.selector_field), map.item_selector.as_ref()),
        Kind::Choice { rules, .. } => {
            for (index, branch) in rules.iter().enumerate() {
                look(at(&format!("Choices[{index}]/Assign")), branch.assign.as_ref());
                look(at(&format!("Choices[{index}]/Output")), branch.output.as_ref());
            }
        }
        Kind::Pass { result: Some(result) } => literals_of(&at("Result"), result.value(), state.language, findings),
        _ => {}
    }
}

fn literals_of_node(pointer: &str, node: &Node, language: QueryLanguage, findings: &mut Findings) {
    match node {
        Node::Constant(value) => literals_of(pointer, value, language, findings),
        Node::Object(fields) => {
            for (name, node) in fields {
                literals_of_node(
                    &format!("{pointer}/{}", field_name(name, node)),
                    node,
                    language,
                    findings,
                );
            }
        }
        Node::Array(items) => {
            for (index, node) in items.iter().enumerate() {
                literals_of_node(&format!("{pointer}[{index}]"), node, language, findings);
            }
        }
        Node::Computed { .. } | Node::Jsonata { .. } => {}
    }
}

fn literals_of(pointer: &str, value: &Value, language: QueryLanguage, findings: &mut Findings) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                literals_of(&format!("{pointer}/{name}"), value, language, findings);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                literals_of(&format!("{pointer}[{index}]"), value, language, findings);
            }
        }
        Value::String(text) => match language {
            QueryLanguage::JsonPath if text.starts_with("{%") && text.ends_with("%}") => {
                let message =
                    "this is JSONata, but the state's query language is JSONPath: it stays the text that it is";
                findings.add(&LITERAL_EXPRESSION, pointer, message);
            }
            QueryLanguage::JsonPath if looks_computed(text) => {
                let message = if pointer.ends_with(".$") {
                    format!("'{text}' stays the text that it is: nothing in a Result is computed, use Parameters")
                } else {
                    format!("'{text}' stays the text that it is: the field's name does not end with .$")
                };
                findings.add(&LITERAL_PATH, pointer, message);
            }
            QueryLanguage::Jsonata if text.contains("{%") || text.starts_with("$states.") => {
                let message = "only a text that begins with {% and ends with %} is computed: this one stays as it is";
                findings.add(&LITERAL_EXPRESSION, pointer, message);
            }
            _ => {}
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a text is a path with at least one step, or an intrinsic function's call.
fn looks_computed(text: &str) -> bool {
    let begins = ["$.", "$[", "$$.", "States."];
    begins.iter().any(|begin| text.starts_with(begin)) && Expression::parse(text).is_ok()
}
