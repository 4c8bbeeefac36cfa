//! Reads a definition, finding every problem and not just the first.

mod choice;
mod fields;
mod handlers;
mod items;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{
    Computed, How, Items, Kind, Number, PathField, QueryLanguage, ResultPath, State, StateMachine, Task, Text, Wait,
};
use crate::Json;
use crate::choice::rfc3339;
use crate::event::Resource;
use crate::query::{Expression, Path, ReferencePath, References, SyntaxError, Template};
use crate::retry::MAX_SECONDS;

/// AWS's quota for the length of a state's name, in characters.
const MAX_STATE_NAME: usize = 80;

/// AWS's quota for the length of a variable's name, in characters.
const MAX_VARIABLE_NAME: usize = 80;

/// The code of a label that AWS refuses, which it tells in a form of its own.
pub const INVALID_LABEL: &str = "INVALID_LABEL";

/// How the message of a state that nothing leads to ends.
const UNREACHABLE: &str = " is not reachable.";

/// The pointer of a problem that AWS gives no place.
pub const NOWHERE: &str = "null";

/// The name that AWS gives to a state that is tested.
pub const TESTED: &str = "StateName";

/// How deep flows may nest: far beyond any real one, and well within the stack.
const MAX_NESTING: usize = 32;

/// One thing that is wrong with a definition.
///
/// Displays as AWS words it: `MISSING_TRANSITION_TARGET: Missing 'Next' target: X at /States/A/Next`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// AWS's code, such as `SCHEMA_VALIDATION_FAILED`.
    pub code: &'static str,
    pub message: String,
    /// Where it is, as AWS writes it: `/States/A/Next`; `/` is the definition itself, [`NOWHERE`] none.
    pub pointer: String,
    /// The member at fault of what the pointer names, where AWS leaves it to the message.
    pub member: Option<Box<str>>,
}

impl Problem {
    /// Leaves what AWS tells: where a state machine has no end, it looks for no states that nothing leads to.
    pub fn as_told(problems: &mut Vec<Self>) {
        if problems.iter().any(|problem| problem.code == NO_END) {
            problems.retain(|problem| problem.code != TARGET || !problem.message.ends_with(UNREACHABLE));
        }
    }

    /// Where it is, as closely as it can be told.
    pub fn place(&self) -> Cow<'_, str> {
        match &self.member {
            Some(member) => format!("{}/{member}", self.pointer.trim_end_matches('/')).into(),
            None => self.pointer.as_str().into(),
        }
    }
}

/// How bad a problem is. All that makes a definition be refused are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} at {}", self.code, self.message, self.pointer)
    }
}

const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";
pub(crate) const TARGET: &str = "MISSING_TRANSITION_TARGET";
pub(crate) const NO_END: &str = "MISSING_END_STATE";

pub(super) fn parse(definition: &str) -> Result<StateMachine, Vec<Problem>> {
    match examine(definition) {
        (Some(machine), problems) if problems.is_empty() => Ok(machine),
        (_, problems) => Err(problems),
    }
}

/// The state machine in which a state is tested; see [`StateMachine::of_tested`].
pub(super) fn tested(definition: &str, state_name: Option<&str>) -> Result<StateMachine, Vec<Problem>> {
    let document = read(definition).map_err(|problem| vec![problem])?;
    let parser = Parser {
        is_test: true,
        ..Parser::default()
    };
    let (machine, problems) = match state_name {
        Some(_) => examine_document(parser, &document),
        None => {
            let document = json!({"StartAt": TESTED, "States": {TESTED: document}});
            let (machine, mut problems) = examine_document(parser, &document);
            let own = format!("/States/{TESTED}");
            problems.retain(|problem| {
                // Where a state by itself leads to is not there.
                let inner = problem.pointer.strip_prefix(&own).unwrap_or_default();
                let is_own = problem.code == NO_END || (problem.code == TARGET && !inner.contains("/States/"));
                !is_own
            });
            (machine, problems)
        }
    };
    match machine {
        Some(machine) if problems.is_empty() => Ok(machine),
        _ => Err(problems),
    }
}

/// As much of the definition as can be understood, with what is wrong with it.
pub(super) fn examine(definition: &str) -> (Option<StateMachine>, Vec<Problem>) {
    match read(definition) {
        Ok(document) => examine_document(Parser::default(), &document),
        Err(problem) => (None, vec![problem]),
    }
}

fn read(definition: &str) -> Result<Value, Problem> {
    serde_json::from_str(definition).map_err(|error| Problem {
        severity: Severity::Error,
        code: "INVALID_JSON_DESCRIPTION",
        message: error.to_string(),
        pointer: "/".into(),
        member: None,
    })
}

fn examine_document(mut parser: Parser, document: &Value) -> (Option<StateMachine>, Vec<Problem>) {
    let Value::Object(document) = document else {
        parser.schema("", "Definition must be a JSON object");
        return (None, parser.problems);
    };
    let language = parser.language(document, "", None);
    if let Some(version) = document.get("Version")
        && version != "1.0"
    {
        parser.schema("/Version", "Version must be '1.0'");
    }
    let at = At {
        document,
        pointer: "",
        state_length: 0,
        language: QueryLanguage::JsonPath,
    };
    let timeout_seconds = match parser.number(at, "TimeoutSeconds") {
        Number::Given(seconds) => Some(seconds),
        _ => None,
    };
    parser.language = language;
    let start_at = parser.flow(document, "", &fields::MACHINE, 0);
    if start_at.is_some() && !has_end(document) {
        parser.problem(NO_END, NOWHERE, "Workflow has no terminal state");
    }
    let machine = start_at.map(|start_at| StateMachine {
        start_at,
        timeout_seconds,
        keeps_history: true,
        prints_input: parser.is_recent,
        states: parser.states,
    });
    (machine, parser.problems)
}

/// A state's document with where it stands.
#[derive(Clone, Copy)]
struct At<'d> {
    document: &'d Map<String, Value>,
    pointer: &'d str,
    /// How much of the pointer is the state's own.
    state_length: usize,
    language: QueryLanguage,
}

impl At<'_> {
    /// A field as AWS names it in the state's causes: `Output`, `Choices[0]/Condition`.
    fn place(&self, field: &str) -> String {
        match self.pointer[self.state_length..].strip_prefix('/') {
            Some(inner) => format!("{inner}/{field}"),
            None => field.to_owned(),
        }
    }
}

#[derive(Default)]
struct Parser {
    problems: Vec<Problem>,
    states: HashMap<Arc<str>, State>,
    /// The names of the states that were come to, read or not.
    names: HashSet<Box<str>>,
    /// The labels of the distributed Maps that were come to.
    labels: HashSet<Box<str>>,
    /// The whole definition's query language, which its states have that give none; no flow inside has one of its own.
    language: QueryLanguage,
    /// Whether the definition uses variables, JSONata or a labelled Map, which are younger than the rest.
    is_recent: bool,
    /// Whether the state being read looks at the Context Object.
    uses_context: bool,
    /// Whether a state is only to be tested, which may then say what the interpreter cannot do.
    is_test: bool,
}

impl Parser {
    fn problem(&mut self, code: &'static str, pointer: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            severity: Severity::Error,
            code,
            message: message.into(),
            pointer: if pointer.is_empty() { "/".into() } else { pointer.into() },
            member: None,
        });
    }

    fn schema(&mut self, pointer: &str, message: impl Into<String>) {
        self.problem(SCHEMA, pointer, message);
    }

    fn require(&mut self, document: &Map<String, Value>, pointer: &str, fields: &[&str]) -> bool {
        let missing: Vec<&str> = fields
            .iter()
            .copied()
            .filter(|field| !document.contains_key(*field))
            .collect();
        if !missing.is_empty() {
            self.schema(pointer, format!("These fields are required: [{}]", missing.join(", ")));
        }
        missing.is_empty()
    }

    /// `QueryLanguage` of a document, inherited where it is not given.
    fn language(
        &mut self,
        document: &Map<String, Value>,
        pointer: &str,
        inherited: Option<QueryLanguage>,
    ) -> QueryLanguage {
        let around = inherited.unwrap_or_default();
        match document.get("QueryLanguage").map(Value::as_str) {
            None => around,
            Some(Some("JSONata")) => QueryLanguage::Jsonata,
            Some(Some("JSONPath")) => {
                if around == QueryLanguage::Jsonata {
                    self.schema(
                        pointer,
                        "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine",
                    );
                }
                QueryLanguage::JsonPath
            }
            Some(_) => {
                let pointer = format!("{pointer}/QueryLanguage");
                self.schema(&pointer, "QueryLanguage must be 'JSONPath' or 'JSONata'");
                around
            }
        }
    }

    /// Reads the states of a flow into the table; returns the one it starts at.
    fn flow(
        &mut self,
        document: &Map<String, Value>,
        pointer: &str,
        fields: &[&str],
        depth: usize,
    ) -> Option<Arc<str>> {
        if depth > MAX_NESTING {
            self.schema(pointer, format!("Flows may nest {MAX_NESTING} deep at most"));
            return None;
        }
        self.unsupported(document, pointer, |field| fields.contains(&field));
        if !self.require(document, pointer, &["States", "StartAt"]) {
            return None;
        }
        let states_pointer = format!("{pointer}/States");
        let Some(states) = document["States"].as_object() else {
            self.schema(&states_pointer, "States must be an object");
            return None;
        };
        let Some(start_at) = document["StartAt"].as_str() else {
            self.schema(&format!("{pointer}/StartAt"), "StartAt must be a string");
            return None;
        };
        if !states.contains_key(start_at) {
            let pointer = format!("{pointer}/StartAt");
            self.problem(TARGET, &pointer, format!("Missing 'Next' target: {start_at}"));
        }
        for (name, state) in states {
            let pointer = format!("{states_pointer}/{name}");
            if name.is_empty() || name.chars().count() > MAX_STATE_NAME {
                let message = format!("State name must have 1 to {MAX_STATE_NAME} characters");
                self.schema(&pointer, message);
            }
            if !self.names.insert(name.as_str().into()) {
                self.problem(
                    "DUPLICATE_STATE_NAME",
                    &pointer,
                    format!("Duplicate State name: {name}"),
                );
            }
            let Some(document) = state.as_object() else {
                self.schema(&pointer, "State must be an object");
                continue;
            };
            let language = self.language(document, &pointer, Some(self.language));
            let at = At {
                document,
                pointer: &pointer,
                state_length: pointer.len(),
                language,
            };
            let around = std::mem::take(&mut self.uses_context);
            let state = self.state(name, at, states, depth);
            self.uses_context = around;
            self.states.extend(state.map(|state| (state.name.clone(), state)));
        }
        self.unreachable(states, start_at, &states_pointer);
        Some(start_at.into())
    }

    /// States that no transition of their flow leads to.
    fn unreachable(&mut self, states: &Map<String, Value>, start_at: &str, pointer: &str) {
        let mut reached = BTreeSet::new();
        let mut next = vec![start_at];
        while let Some(name) = next.pop() {
            if let Some(state) = states.get(name)
                && reached.insert(name)
            {
                targets(state, &mut next);
            }
        }
        for name in states.keys().filter(|name| !reached.contains(name.as_str())) {
            let message = format!("State \"{name}\"{UNREACHABLE}");
            self.problem(TARGET, &format!("{pointer}/{name}"), message);
        }
    }

    fn state(&mut self, name: &str, at: At<'_>, flow: &Map<String, Value>, depth: usize) -> Option<State> {
        let Some(state_type) = at.document.get("Type").and_then(Value::as_str) else {
            self.require(at.document, at.pointer, &["Type"]);
            return None;
        };
        self.fields(at, state_type);
        let kind = match state_type {
            "Pass" => Kind::Pass {
                result: at.document.get("Result").cloned().map(Json::from),
            },
            "Succeed" => Kind::Succeed,
            "Fail" => Kind::Fail {
                error: self.text(at, "Error"),
                cause: self.text(at, "Cause"),
            },
            "Wait" => Kind::Wait(self.wait(at)?),
            "Choice" => self.choice(at, flow)?,
            "Task" => Kind::Task(Box::new(self.task(at)?)),
            "Parallel" => self.parallel(at, depth)?,
            "Map" => self.map(at, depth)?,
            other => {
                let pointer = format!("{}/Type", at.pointer);
                self.schema(&pointer, format!("'{other}' is not a type of state"));
                return None;
            }
        };
        let terminal = matches!(kind, Kind::Succeed | Kind::Fail { .. } | Kind::Choice { .. });
        let next = if terminal { None } else { self.next(at, flow) };
        let arguments = match (at.language, &kind) {
            // A Map's `Parameters` are its item selector under an older name.
            (QueryLanguage::JsonPath, Kind::Map(_)) => None,
            (QueryLanguage::JsonPath, _) => self.template(at, "Parameters"),
            (QueryLanguage::Jsonata, _) => self.template(at, "Arguments"),
        };
        let input_path = self.path_field(at, "InputPath");
        let result_selector = self.jsonpath_template(at, "ResultSelector");
        let result_path = self.result_path(at);
        let output_path = self.path_field(at, "OutputPath");
        let output = match at.language {
            QueryLanguage::Jsonata => self.template(at, "Output"),
            QueryLanguage::JsonPath => None,
        };
        let assign = self.assign(at);
        self.is_recent |= assign.is_some() || at.language == QueryLanguage::Jsonata;
        let retry = self.retry(at);
        let catch = self.catch(at, flow);
        Some(State {
            name: name.into(),
            pointer: at.pointer.into(),
            language: at.language,
            uses_context: self.uses_context,
            kind,
            next,
            arguments,
            input_path,
            result_selector,
            result_path,
            output_path,
            output,
            assign,
            retry,
            catch,
        })
    }

    /// `Next` or `End`; one of the two is required.
    fn next(&mut self, at: At<'_>, flow: &Map<String, Value>) -> Option<Arc<str>> {
        match (at.document.get("Next"), at.document.get("End")) {
            (Some(_), None) => self.target(at.document, at.pointer, "Next", flow),
            (None, Some(Value::Bool(true))) => None,
            (Some(_), Some(Value::Bool(true))) => {
                self.schema(at.pointer, "A state has either 'Next' or 'End'");
                None
            }
            (Some(_), Some(_)) => self.target(at.document, at.pointer, "Next", flow),
            (None, _) => {
                self.schema(at.pointer, "These fields are required: [Next] or [End]");
                None
            }
        }
    }

    /// The state that a field names; whoever needs one requires the field.
    fn target(
        &mut self,
        document: &Map<String, Value>,
        pointer: &str,
        field: &str,
        flow: &Map<String, Value>,
    ) -> Option<Arc<str>> {
        let pointer = format!("{pointer}/{field}");
        let Some(name) = document.get(field)?.as_str() else {
            self.schema(&pointer, format!("{field} must be the name of a state"));
            return None;
        };
        if !flow.contains_key(name) {
            self.problem(TARGET, &pointer, format!("Missing 'Next' target: {name}"));
        }
        Some(name.into())
    }

    fn syntax(&mut self, pointer: &str, error: &SyntaxError) {
        self.problem(error.code, &format!("{pointer}{}", error.pointer), error.to_string());
    }

    /// A computed field of either language; `Assign`, `Parameters`, `Arguments`, `Output` and their like.
    fn template(&mut self, at: At<'_>, field: &str) -> Option<Template> {
        let value = at.document.get(field)?;
        self.template_of(at, field, value)
    }

    fn template_of(&mut self, at: At<'_>, field: &str, value: &Value) -> Option<Template> {
        match Template::parse(&at.place(field), value, at.language) {
            Ok(template) => {
                self.look_at(&template.references());
                Some(template)
            }
            Err(error) => {
                self.syntax(&format!("{}/{field}", at.pointer), &error);
                None
            }
        }
    }

    /// The variables that `Assign` names, with their values.
    fn assign(&mut self, at: At<'_>) -> Option<Template> {
        let pointer = format!("{}/Assign", at.pointer);
        let given = at.document.get("Assign")?;
        let Some(variables) = given.as_object() else {
            self.schema(&pointer, format!("Assign must be an object, is {given}"));
            return None;
        };
        for field in variables.keys() {
            let name = match at.language {
                QueryLanguage::JsonPath => field.strip_suffix(".$").unwrap_or(field),
                QueryLanguage::Jsonata => field,
            };
            if let Err(rule) = check_variable(name) {
                self.schema_of(
                    &pointer,
                    field,
                    format!("Assign cannot name a variable '{name}': {rule}"),
                );
            }
        }
        self.template(at, "Assign")
    }

    fn jsonpath_template(&mut self, at: At<'_>, field: &str) -> Option<Template> {
        match at.language {
            QueryLanguage::JsonPath => self.template(at, field),
            QueryLanguage::Jsonata => None,
        }
    }

    fn path(&mut self, pointer: &str, text: &str) -> Option<Path> {
        match Path::parse(text) {
            Ok(path) => {
                let mut references = References::default();
                path.references(&mut references);
                self.look_at(&references);
                Some(path)
            }
            Err(error) => {
                self.syntax(pointer, &error);
                None
            }
        }
    }

    fn path_field(&mut self, at: At<'_>, field: &str) -> PathField {
        let pointer = format!("{}/{field}", at.pointer);
        match at.document.get(field) {
            None => PathField::Whole,
            Some(Value::Null) => PathField::Nothing,
            Some(Value::String(text)) if text == "$" => PathField::Whole,
            Some(Value::String(text)) => self.path(&pointer, text).map_or(PathField::Whole, PathField::Path),
            Some(_) => {
                self.schema(&pointer, format!("{field} must be a path or null"));
                PathField::Whole
            }
        }
    }

    fn result_path(&mut self, at: At<'_>) -> ResultPath {
        self.result_path_of(at.document, at.pointer)
    }

    fn result_path_of(&mut self, document: &Map<String, Value>, pointer: &str) -> ResultPath {
        let pointer = format!("{pointer}/ResultPath");
        match document.get("ResultPath") {
            None => ResultPath::Replace,
            Some(Value::Null) => ResultPath::Discard,
            Some(Value::String(text)) => match ReferencePath::parse(text) {
                Ok(path) if path.is_root() => ResultPath::Replace,
                Ok(path) => ResultPath::At(path),
                Err(error) => {
                    self.syntax(&pointer, &error);
                    ResultPath::Replace
                }
            },
            Some(_) => {
                self.schema(&pointer, "ResultPath must be a reference path or null");
                ResultPath::Replace
            }
        }
    }

    /// `field` as JSONata or, under its name with `Path`, as a path or an intrinsic function's call.
    fn computed(&mut self, at: At<'_>, field: &str) -> Option<Computed> {
        if at.language == QueryLanguage::Jsonata {
            let source = at
                .document
                .get(field)
                .and_then(Value::as_str)
                .filter(|text| is_jsonata(text))?;
            let how = How::Jsonata(self.template(at, field)?);
            return Some(Computed {
                field: at.place(field),
                source: jsonata_source(source).into(),
                how,
            });
        }
        let field = format!("{field}Path");
        let pointer = format!("{}/{field}", at.pointer);
        let Some(source) = at.document.get(&field)?.as_str() else {
            self.schema(&pointer, format!("{field} must be a path"));
            return None;
        };
        match Expression::parse(source) {
            Ok(expression) => {
                let mut references = References::default();
                expression.references(&mut references);
                self.look_at(&references);
                Some(Computed {
                    field,
                    source: source.into(),
                    how: How::JsonPath(expression),
                })
            }
            Err(error) => {
                self.syntax(&pointer, &error);
                None
            }
        }
    }

    fn look_at(&mut self, references: &References) {
        // `$states` as a whole has the Context Object in it without a path that leads there.
        self.uses_context |= !references.context.is_empty() || references.states.contains("context");
    }

    /// Refuses a field that stands beside its `…Path` form.
    fn either(&mut self, at: At<'_>, field: &str) {
        self.one_of(at, field, &format!("{field}Path"));
    }

    /// Refuses a field that stands beside another form of it.
    fn one_of(&mut self, at: At<'_>, field: &str, other: &str) {
        if at.document.contains_key(field) && at.document.contains_key(other) {
            self.schema(at.pointer, format!("A state has either '{field}' or '{other}'"));
        }
    }

    /// `Error` or `Cause`.
    fn text(&mut self, at: At<'_>, field: &str) -> Text {
        self.either(at, field);
        if let Some(computed) = self.computed(at, field) {
            return Text::Computed(computed);
        }
        match at.document.get(field) {
            None => Text::Absent,
            Some(Value::String(text)) => Text::Given(text.as_str().into()),
            Some(_) => {
                self.schema(&format!("{}/{field}", at.pointer), format!("{field} must be a string"));
                Text::Absent
            }
        }
    }

    /// A whole number.
    fn number(&mut self, at: At<'_>, field: &str) -> Number {
        self.either(at, field);
        if let Some(computed) = self.computed(at, field) {
            return Number::Computed(computed);
        }
        match at.document.get(field) {
            None => Number::Absent,
            Some(value) => match value.as_u64().filter(|number| *number <= MAX_SECONDS) {
                Some(number) => Number::Given(number),
                None => {
                    let message = format!("{field} must be a whole number from 0 to {MAX_SECONDS}, is {value}");
                    self.schema(&format!("{}/{field}", at.pointer), message);
                    Number::Absent
                }
            },
        }
    }

    fn wait(&mut self, at: At<'_>) -> Option<Wait> {
        const FORMS: [&str; 4] = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
        let given: Vec<&str> = FORMS
            .into_iter()
            .filter(|form| at.document.contains_key(*form))
            .collect();
        let [form] = given[..] else {
            self.schema(
                at.pointer,
                format!("Exactly one of these fields is required: [{}]", FORMS.join(", ")),
            );
            return None;
        };
        let pointer = format!("{}/{form}", at.pointer);
        let value = &at.document[form];
        match (form, value) {
            ("Seconds" | "SecondsPath", _) => Some(Wait::Seconds(self.number(at, "Seconds"))),
            _ if let Some(computed) = self.computed(at, "Timestamp") => Some(Wait::Computed(computed)),
            ("Timestamp", Value::String(text)) => match rfc3339(text) {
                Some(moment) => Some(Wait::Timestamp(moment)),
                None => {
                    self.schema(&pointer, "String does not match RFC3339 timestamp");
                    None
                }
            },
            _ => {
                self.schema(&pointer, format!("{form} must be a string"));
                None
            }
        }
    }

    fn task(&mut self, at: At<'_>) -> Option<Task> {
        if !self.require(at.document, at.pointer, &["Resource"]) {
            return None;
        }
        let Some(arn) = at.document["Resource"].as_str() else {
            self.schema(&format!("{}/Resource", at.pointer), "Resource must be an ARN");
            return None;
        };
        let timeout = self.number(at, "TimeoutSeconds");
        let heartbeat = self.number(at, "HeartbeatSeconds");
        if let (Number::Given(timeout), Number::Given(heartbeat)) = (&timeout, &heartbeat)
            && heartbeat >= timeout
        {
            let message = format!("HeartbeatSeconds ({heartbeat}) must be smaller than TimeoutSeconds ({timeout})");
            self.schema(&format!("{}/HeartbeatSeconds", at.pointer), message);
        }
        if let Some(credentials) = at.document.get("Credentials")
            && credentials.get("RoleArn").is_none()
            && credentials.get("RoleArn.$").is_none()
        {
            let pointer = format!("{}/Credentials", at.pointer);
            self.schema(&pointer, "The field 'RoleArn' is required but was missing");
        }
        Some(Task {
            resource: resource(arn),
            timeout,
            heartbeat,
            credentials: self.template(at, "Credentials"),
        })
    }

    fn parallel(&mut self, at: At<'_>, depth: usize) -> Option<Kind> {
        if !self.require(at.document, at.pointer, &["Branches"]) {
            return None;
        }
        let pointer = format!("{}/Branches", at.pointer);
        let branches = match at.document["Branches"].as_array() {
            Some(branches) if !branches.is_empty() => branches,
            _ => {
                self.schema(&pointer, "Branches must be an array of at least one flow");
                return None;
            }
        };
        let mut starts = Vec::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            let pointer = format!("{pointer}[{index}]");
            match branch.as_object() {
                Some(branch) => starts.extend(self.flow(branch, &pointer, &fields::BRANCH, depth + 1)),
                None => self.schema(&pointer, "A branch must be an object"),
            }
        }
        Some(Kind::Parallel { branches: starts })
    }

    fn map(&mut self, at: At<'_>, depth: usize) -> Option<Kind> {
        self.one_of(at, "ItemProcessor", "Iterator");
        if at.language == QueryLanguage::JsonPath {
            self.one_of(at, "ItemSelector", "Parameters");
        }
        for (field, what) in [("ItemsPath", "a path"), ("Label", "a string")] {
            if let Some(value) = at.document.get(field).filter(|value| !value.is_string()) {
                let message = format!("{field} must be {what}, is {value}");
                self.schema(&format!("{}/{field}", at.pointer), message);
            }
        }
        let processor = if at.document.contains_key("Iterator") {
            "Iterator"
        } else {
            "ItemProcessor"
        };
        if !self.require(at.document, at.pointer, &[processor]) {
            return None;
        }
        let pointer = format!("{}/{processor}", at.pointer);
        let Some(flow) = at.document[processor].as_object() else {
            self.schema(&pointer, format!("{processor} must be an object"));
            return None;
        };
        let mode = flow.get("ProcessorConfig").and_then(|config| config.get("Mode"));
        let distributed = match mode {
            None => None,
            Some(mode) if mode == "INLINE" => None,
            Some(mode) if mode == "DISTRIBUTED" => Some(self.distributed(at)),
            Some(mode) => {
                let pointer = format!("{pointer}/ProcessorConfig/Mode");
                self.schema(&pointer, format!("Mode must be 'INLINE' or 'DISTRIBUTED', is {mode}"));
                None
            }
        };
        let start_at = self.flow(flow, &pointer, &fields::PROCESSOR, depth + 1)?;
        let items = match (at.language, at.document.get("ItemsPath"), at.document.get("Items")) {
            (QueryLanguage::JsonPath, Some(Value::String(text)), _) => {
                let path = self.path(&format!("{}/ItemsPath", at.pointer), text)?;
                Items::Path(path)
            }
            (QueryLanguage::Jsonata, _, Some(items)) => {
                let source = items.as_str().map_or_else(String::new, jsonata_source);
                Items::Computed(self.template(at, "Items")?, source.into())
            }
            _ => Items::Input,
        };
        let (selector_field, item_selector) = match at.document.contains_key("ItemSelector") {
            true => ("ItemSelector", self.template(at, "ItemSelector")),
            false => ("Parameters", self.jsonpath_template(at, "Parameters")),
        };
        let max_concurrency = self.number(at, "MaxConcurrency");
        Some(Kind::Map(Box::new(super::Map {
            items,
            item_selector,
            selector_field,
            max_concurrency,
            start_at,
            distributed,
        })))
    }
}

/// A text as Python quotes it, in whose form AWS tells what is wrong with a label.
pub fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            _ if character == quote => out.extend(['\\', quote]),
            _ if character.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push(quote);
    out
}

/// Whether a text is a JSONata expression: all of it between `{%` and `%}`.
fn is_jsonata(text: &str) -> bool {
    text.starts_with("{%") && text.ends_with("%}")
}

/// The expression between the marks.
fn jsonata_source(text: &str) -> String {
    let inner = text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}"));
    inner.unwrap_or(text).trim().to_owned()
}

/// Refuses what cannot be the name of a variable, with the rule.
fn check_variable(name: &str) -> Result<(), String> {
    static IDENTIFIER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[\p{ID_Start}_]\p{ID_Continue}*$").expect("a regular expression"));
    if name == "states" {
        return Err("that name is reserved".to_owned());
    }
    match IDENTIFIER.is_match(name) && name.chars().count() <= MAX_VARIABLE_NAME {
        true => Ok(()),
        false => Err(format!(
            "a name is a Unicode identifier of at most {MAX_VARIABLE_NAME} characters"
        )),
    }
}

/// Whether any state of a flow's document ends it.
fn has_end(document: &Map<String, Value>) -> bool {
    let states = document.get("States").and_then(Value::as_object);
    states.into_iter().flatten().any(|(_, state)| {
        let by_type = matches!(state.get("Type").and_then(Value::as_str), Some("Succeed" | "Fail"));
        by_type || state.get("End") == Some(&Value::Bool(true))
    })
}

/// Where the transitions of a state's document lead.
fn targets<'d>(state: &'d Value, into: &mut Vec<&'d str>) {
    into.extend(
        ["Next", "Default"]
            .iter()
            .filter_map(|field| state.get(field)?.as_str()),
    );
    for list in ["Choices", "Catch"] {
        let entries = state.get(list).and_then(Value::as_array);
        into.extend(
            entries
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.get("Next")?.as_str()),
        );
    }
}

/// Takes a resource ARN apart.
fn resource(arn: &str) -> Resource {
    let rest = arn.split_once(":states:::").map(|(_, rest)| rest);
    match rest.and_then(|rest| {
        rest.rsplit_once(':')
            .filter(|_| !rest.ends_with(".sync:2"))
            .or_else(|| {
                let (name, _) = rest.rsplit_once(':')?;
                name.rsplit_once(':')
                    .map(|(resource_type, _)| (resource_type, &rest[resource_type.len() + 1..]))
            })
    }) {
        Some((resource_type, resource)) => Resource {
            resource_type: resource_type.into(),
            resource: resource.into(),
        },
        None => Resource {
            resource_type: "".into(),
            resource: arn.into(),
        },
    }
}
