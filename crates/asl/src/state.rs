//! What states do: one type of state a module, and here what they have in common.
//!
//! A state's way is the same for all: its input is filtered, its work done or called for, the result placed into the
//! input and filtered again, variables assigned, and the flow goes on. Both query languages are ways of filling in the
//! same steps.

pub(crate) mod choice;
pub(crate) mod container;
pub(crate) mod items;
pub(crate) mod task;
pub(crate) mod wait;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::Json;
use crate::advance::{Fault, MAX_PAYLOAD_BYTES, RUNTIME, Transition};
use crate::definition::{Computed, How, Kind, Number, PathField, QueryLanguage, ResultPath, State, Text};
use crate::event::{EventKind, Failure, FrameId, INSIDE, StateType};
use crate::execution::Entered;
use crate::query::{self, Scope, Template};
use crate::retry;

/// Begins the work of the state that a frame is in.
pub(crate) fn begin(transition: &mut Transition<'_>, frame: FrameId, state: &State) -> Result<(), Fault> {
    let work = Work::new(transition, frame, state);
    match &state.kind {
        Kind::Pass { result } => {
            let input = work.arguments(transition)?;
            transition.observe(|stages| stages.result = result.clone());
            let result = result.clone().unwrap_or(input);
            work.complete(transition, result)
        }
        Kind::Succeed => {
            let input = work.effective_input(transition)?;
            work.complete(transition, input)
        }
        Kind::Fail { error, cause } => {
            let error = work.text(transition, error)?;
            let cause = work.text(transition, cause)?;
            Err(Failure { error, cause }.into())
        }
        Kind::Wait(wait) => wait::begin(&work, transition, wait),
        Kind::Choice { rules, default } => choice::begin(&work, transition, rules, default.as_ref()),
        Kind::Task(task) => task::begin(work, transition, task),
        Kind::Parallel { branches } => container::begin_parallel(&work, transition, branches),
        Kind::Map(map) => container::begin_map(&work, transition, map),
    }
}

/// A state at work in a frame: what its expressions see.
pub(crate) struct Work<'s> {
    pub(crate) frame: FrameId,
    pub(crate) state: &'s State,
    pub(crate) entered: Arc<Entered>,
    /// The Context Object as the transition began; empty for a state whose expressions do not look at it.
    pub(crate) context: Value,
    pub(crate) variables: Arc<query::Variables>,
    budget: query::Budget,
    /// Whether the state is tested by itself, outside of any history.
    alone: bool,
}

/// What the expressions of one step see beside the input.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seen<'v> {
    pub(crate) result: Option<&'v Value>,
    pub(crate) error_output: Option<&'v Value>,
}

impl<'s> Work<'s> {
    pub(crate) fn new(transition: &Transition<'_>, frame: FrameId, state: &'s State) -> Self {
        let given = transition.observer.and_then(|observer| observer.context.as_ref());
        let context = match given {
            Some(given) => given.clone(),
            None if state.uses_context => context_object(transition, frame, state),
            None => Value::Null,
        };
        Self {
            frame,
            state,
            entered: transition.entered(frame),
            context,
            variables: transition.execution.frame(frame).variables.clone(),
            budget: query::Budget::default(),
            alone: transition.observer.is_some(),
        }
    }

    /// Evaluates a template against `root`; `seen` is what JSONata sees of the state's result.
    pub(crate) fn evaluate(
        &self,
        transition: &Transition<'_>,
        template: &Template,
        root: &Json,
        seen: Seen<'_>,
    ) -> Result<Value, Fault> {
        let scope = self.scope(transition, root, seen);
        let value = template.evaluate(&scope).map_err(|error| self.fault(&error))?;
        Ok(value.into_owned())
    }

    /// Evaluates a single value against the state's input.
    pub(crate) fn compute(&self, transition: &Transition<'_>, computed: &Computed) -> Result<Value, Fault> {
        let scope = self.scope(transition, &self.entered.input, Seen::default());
        let value = match &computed.how {
            How::JsonPath(expression) => expression.evaluate(&computed.field, &scope),
            How::Jsonata(template) => template.evaluate(&scope),
        };
        Ok(value.map_err(|error| self.fault(&error))?.into_owned())
    }

    pub(crate) fn scope<'v>(&'v self, transition: &'v Transition<'_>, root: &'v Json, seen: Seen<'v>) -> Scope<'v> {
        Scope {
            input: root.value(),
            input_text: Some(root.text()),
            context: &self.context,
            variables: &self.variables,
            result: seen.result,
            error_output: seen.error_output,
            moment: &transition.draws,
            budget: &self.budget,
        }
    }

    /// An evaluation's error as the state's.
    pub(crate) fn fault(&self, error: &query::Error) -> Fault {
        let cause = self.cause(&error.to_string());
        match error.name() {
            RUNTIME => Fault::runtime(cause),
            name => Fault {
                location: error.location().map(Arc::from),
                ..Failure::new(name, cause).into()
            },
        }
    }

    /// A `States.Runtime` of this state.
    pub(crate) fn runtime(&self, message: &str) -> Fault {
        Fault::runtime(self.cause(message))
    }

    /// A JSONata field whose value is not what the field takes.
    pub(crate) fn unexpected(&self, field: &str, message: &str) -> Fault {
        Fault {
            location: Some(field.into()),
            ..Failure::new("States.QueryEvaluationError", self.cause(message)).into()
        }
    }

    /// The cause that AWS gives to errors of its own.
    pub(crate) fn cause(&self, message: &str) -> String {
        if self.alone {
            return message.to_owned();
        }
        format!(
            "An error occurred while executing the state '{}' (entered at the event id #{}). {message}",
            self.entered.name,
            self.entered.event % INSIDE
        )
    }

    pub(crate) fn select(
        &self,
        transition: &Transition<'_>,
        field: &PathField,
        document: &Json,
    ) -> Result<Json, Fault> {
        match field {
            PathField::Whole => Ok(document.clone()),
            PathField::Nothing => Ok(Json::empty_object()),
            PathField::Path(path) => {
                let scope = self.scope(transition, document, Seen::default());
                path.evaluate(&scope)
                    .map(|value| Json::from(value.into_owned()))
                    .map_err(|error| self.fault(&error))
            }
        }
    }

    /// The input after `InputPath`.
    pub(crate) fn effective_input(&self, transition: &Transition<'_>) -> Result<Json, Fault> {
        let input = self.select(transition, &self.state.input_path, &self.entered.input)?;
        transition.observe(|stages| stages.after_input_path = Some(input.clone()));
        Ok(input)
    }

    /// What the state works on: `Parameters` or `Arguments`, else its effective input.
    pub(crate) fn arguments(&self, transition: &Transition<'_>) -> Result<Json, Fault> {
        let input = self.effective_input(transition)?;
        let arguments = match &self.state.arguments {
            Some(template) => Json::from(self.evaluate(transition, template, &input, Seen::default())?),
            None => input,
        };
        transition.observe(|stages| stages.after_arguments = Some(arguments.clone()));
        Ok(arguments)
    }

    /// The whole number of a field, if there is one.
    pub(crate) fn number(&self, transition: &Transition<'_>, number: &Number) -> Result<Option<u64>, Fault> {
        match number {
            Number::Absent => Ok(None),
            Number::Given(number) => Ok(Some(*number)),
            Number::Computed(computed) => {
                let value = self.compute(transition, computed)?;
                // A path may lead to a text of digits, as AWS takes one.
                let digits = value
                    .as_str()
                    .filter(|_| self.state.language == QueryLanguage::JsonPath);
                let number = value.as_u64().or_else(|| digits?.parse().ok());
                let source = &computed.source;
                let number = number.ok_or_else(|| self.unexpected_type(source, &computed.field, "integer", &value))?;
                Ok(Some(number))
            }
        }
    }

    fn text(&self, transition: &Transition<'_>, text: &Text) -> Result<Option<Arc<str>>, Fault> {
        match text {
            Text::Absent => Ok(None),
            Text::Given(text) => Ok(Some(text.clone())),
            Text::Computed(computed) => match self.compute(transition, computed)? {
                Value::String(text) => Ok(Some(text.into())),
                other => Err(self.unexpected_type(&computed.source, &computed.field, "string", &other)),
            },
        }
    }

    /// A value of another type than the field takes, in the words of its query language.
    pub(crate) fn unexpected_type(&self, source: &str, field: &str, expected: &str, value: &Value) -> Fault {
        match self.state.language {
            QueryLanguage::Jsonata => {
                let message = format!(
                    "The JSONata expression '{}' specified for the field '{field}' returned an unexpected result type. \
                     Expected '{expected}', but was '{}' for value: {}",
                    source,
                    type_name(value),
                    query::to_text(value)
                );
                self.unexpected(field, &message)
            }
            QueryLanguage::JsonPath => self.runtime(&format!(
                "The {field} field refers to value \"{}\" which is not a valid {expected}: {}",
                match value {
                    Value::String(text) => text.clone(),
                    other => query::to_text(other),
                },
                source
            )),
        }
    }

    /// Ends the state with `result`: places it into the input, assigns variables and goes on.
    pub(crate) fn complete(&self, transition: &mut Transition<'_>, result: Json) -> Result<(), Fault> {
        let state = self.state;
        let next = state.next.clone();
        match state.language {
            QueryLanguage::JsonPath => {
                let selected = match &state.result_selector {
                    Some(selector) => Json::from(self.evaluate(transition, selector, &result, Seen::default())?),
                    None => result,
                };
                transition.observe(|stages| stages.after_result_selector = Some(selected.clone()));
                let placed = self.place(&state.result_path, &selected)?;
                transition.observe(|stages| stages.after_result_path = Some(placed.clone()));
                let output = self.select(transition, &state.output_path, &placed)?;
                let assigned = self.assign(transition, state.assign.as_ref(), &selected, Seen::default())?;
                self.exit(transition, output, assigned, next)
            }
            QueryLanguage::Jsonata => {
                let seen = Seen {
                    result: Some(result.value()),
                    error_output: None,
                };
                let assigned = self.assign(transition, state.assign.as_ref(), &self.entered.input, seen)?;
                let output = self.output(transition, state.output.as_ref(), &result, seen)?;
                self.exit(transition, output, assigned, next)
            }
        }
    }

    /// JSONata's `Output`, else `otherwise`.
    pub(crate) fn output(
        &self,
        transition: &Transition<'_>,
        output: Option<&Template>,
        otherwise: &Json,
        seen: Seen<'_>,
    ) -> Result<Json, Fault> {
        match output {
            Some(template) => {
                let value = self.evaluate(transition, template, &self.entered.input, seen)?;
                Ok(Json::from(value))
            }
            None => Ok(otherwise.clone()),
        }
    }

    fn place(&self, result_path: &ResultPath, result: &Json) -> Result<Json, Fault> {
        match result_path {
            ResultPath::Replace => Ok(result.clone()),
            ResultPath::Discard => Ok(self.entered.input.clone()),
            ResultPath::At(path) => path
                .set(self.entered.input.value().clone(), result.value().clone())
                .map(Json::from)
                .map_err(|error| self.fault(&error)),
        }
    }

    pub(crate) fn assign(
        &self,
        transition: &Transition<'_>,
        assign: Option<&Template>,
        root: &Json,
        seen: Seen<'_>,
    ) -> Result<Option<Map<String, Value>>, Fault> {
        let Some(template) = assign else {
            return Ok(None);
        };
        match self.evaluate(transition, template, root, seen)? {
            Value::Object(assigned) => Ok(Some(assigned)),
            other => Err(self.unexpected_type("", "Assign", "object", &other)),
        }
    }

    /// Leaves the state for `next`, or ends the flow.
    pub(crate) fn exit(
        &self,
        transition: &mut Transition<'_>,
        output: Json,
        assigned: Option<Map<String, Value>>,
        next: Option<Arc<str>>,
    ) -> Result<(), Fault> {
        self.check_size(&output, &self.entered.name)?;
        let assigned = assigned.map(|assigned| {
            let assigned = assigned.into_iter();
            let documents: BTreeMap<String, Json> = assigned.map(|(name, value)| (name, value.into())).collect();
            Arc::new(documents)
        });
        let values = assigned.iter().flat_map(|assigned| assigned.values());
        if values.map(|value| value.text().len()).sum::<usize>() > MAX_PAYLOAD_BYTES {
            return Err(too_large(&self.entered.name).into());
        }
        let kind = EventKind::StateExited {
            state_type: self.entered.state_type,
            name: self.entered.name.clone(),
            output,
            assigned,
            next,
        };
        transition.emit(self.frame, kind);
        Ok(())
    }

    /// Refuses a document above AWS's quota, or too deep to be read back; `source` is the state or resource that made it.
    pub(crate) fn check_size(&self, document: &Json, source: &str) -> Result<(), Fault> {
        if document.text().len() > MAX_PAYLOAD_BYTES {
            return Err(too_large(source).into());
        }
        if query::nests_too_deep(document.text()) {
            return Err(self.fault(&query::Error::TooDeep));
        }
        Ok(())
    }
}

pub(crate) fn too_large(source: &str) -> Failure {
    Failure::new(
        "States.DataLimitExceeded",
        format!(
            "The state/task '{source}' returned a result with a size exceeding the maximum number of bytes service limit."
        ),
    )
}

/// Lets the first Catcher that names the error take it; false if there is none.
pub(crate) fn catch(
    transition: &mut Transition<'_>,
    frame: FrameId,
    state: &State,
    failure: &Failure,
) -> Result<bool, Fault> {
    let from_task = matches!(state.kind, Kind::Task(_));
    let Some((index, catcher)) = state
        .catch
        .iter()
        .enumerate()
        .find(|(_, catcher)| retry::matches(&catcher.errors, failure.name(), from_task))
    else {
        return Ok(false);
    };
    let work = Work::new(transition, frame, state);
    let error_output = Json::from(error_output(failure));
    let (output, assigned) = match state.language {
        QueryLanguage::JsonPath => (
            work.place(&catcher.result_path, &error_output)?,
            work.assign(transition, catcher.assign.as_ref(), &error_output, Seen::default())?,
        ),
        QueryLanguage::Jsonata => {
            let seen = Seen {
                result: None,
                error_output: Some(error_output.value()),
            };
            (
                work.output(transition, catcher.output.as_ref(), &error_output, seen)?,
                work.assign(transition, catcher.assign.as_ref(), &work.entered.input, seen)?,
            )
        }
    };
    work.exit(transition, output, assigned, Some(catcher.next.clone()))?;
    transition.observe(|stages| {
        stages.failure = Some(failure.clone());
        stages.catch = Some(index);
    });
    Ok(true)
}

/// What a Catcher's state gets: error and cause, as far as there are any.
fn error_output(failure: &Failure) -> Value {
    let mut output = Map::new();
    output.insert("Error".into(), failure.name().into());
    if let Some(cause) = &failure.cause {
        output.insert("Cause".into(), (&**cause).into());
    }
    Value::Object(output)
}

/// The Context Object that the state's expressions see.
fn context_object(transition: &Transition<'_>, frame: FrameId, state: &State) -> Value {
    let execution = &*transition.execution;
    let entered = transition.entered(frame);
    let mut context = Map::new();
    if let Some(started) = &execution.started {
        let identity = &started.identity;
        let mut about = Map::new();
        about.insert("Id".into(), (&*identity.execution_arn).into());
        about.insert("Input".into(), started.input.value().clone());
        about.insert("StartTime".into(), timestamp(started.time));
        about.insert("Name".into(), (&*identity.name).into());
        // A state can be tested without a role.
        let role = Some(&*identity.role_arn).filter(|role| !role.is_empty());
        about.insert("RoleArn".into(), role.into());
        // In JSONPath states AWS shows the count only once there was a redrive; a tested state's cannot be redriven.
        let is_alone = transition.observer.is_some();
        if (state.language == QueryLanguage::Jsonata && !is_alone) || execution.redrive_count > 0 {
            about.insert("RedriveCount".into(), execution.redrive_count.into());
        }
        context.insert("Execution".into(), Value::Object(about));
        context.insert(
            "StateMachine".into(),
            json!({"Id": &*identity.state_machine_arn, "Name": &*identity.state_machine_name}),
        );
    }
    let mut about = Map::new();
    about.insert("Name".into(), (&*entered.name).into());
    about.insert("EnteredTime".into(), timestamp(entered.time));
    let can_retry = matches!(
        entered.state_type,
        StateType::Task | StateType::Parallel | StateType::Map
    );
    if can_retry {
        let supposed = transition.observer.and_then(|observer| observer.retries);
        let retry_count = supposed.unwrap_or_else(|| execution.frame(frame).retry_count());
        about.insert("RetryCount".into(), retry_count.into());
    }
    context.insert("State".into(), Value::Object(about));
    if let Some(item) = container::current_item(execution, frame) {
        context.insert("Map".into(), json!({ "Item": item }));
    }
    Value::Object(context)
}

/// A moment as the Context Object writes it.
fn timestamp(time: chrono::DateTime<chrono::Utc>) -> Value {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true).into()
}

/// The type of a value, in the words of JSONata's errors.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
