//! What the targets share: an execution played to its end, and expressions evaluated against a scope.

use std::sync::Arc;

use asl::query::{Budget, Expression, Language, Moment as Draws, Scope, Template, Variables};
use asl::{EventId, Execution, Failure, Identity, Json, Mark, Moment, StateMachine, Status, Trigger, advance};
use chrono::{DateTime, Utc};
use scenario::Answer;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A trigger is at most a thousand steps, so this is a long life; whoever loops for ever is left alone.
const MAX_TRIGGERS: usize = 200;

/// Plays an execution until it is closed, or for as long as is worth it. The history must fold to what was lived.
pub fn play(machine: &StateMachine, input: Value) -> Status {
    let identity = Arc::new(Identity {
        execution_arn: "arn:aws:states:us-west-2:000000000000:execution:m:e".into(),
        name: "e".into(),
        state_machine_arn: "arn:aws:states:us-west-2:000000000000:stateMachine:m".into(),
        state_machine_name: "m".into(),
        role_arn: "arn:aws:iam::000000000000:role/r".into(),
        published: asl::Published::default(),
    });
    let mut execution = Execution::default();
    let mut log = Vec::new();
    let mut now = DateTime::<Utc>::UNIX_EPOCH;
    let mut trigger = Trigger::Start {
        identity,
        input: input.into(),
    };
    for step in 0..MAX_TRIGGERS {
        let moment = Moment {
            now,
            seed: step as u128,
        };
        log.extend(advance(machine, &mut execution, trigger, &moment));
        let answered = execution.tasks_since(Mark::default()).find_map(|task| {
            let submits = task.schedule.resource.waits() && !task.submitted;
            answer(task.scheduled, task.schedule.parameters.value(), submits)
        });
        trigger = if execution.status() != Status::Running {
            break;
        } else if execution.is_runnable() {
            Trigger::Continue
        } else if let Some(answer) = answered {
            answer
        } else if let Some(due) = execution.due() {
            now = now.max(due);
            Trigger::Clock
        } else {
            break;
        };
    }
    // As it would come from the disk.
    let text = serde_json::to_string(&log).expect("events are JSON");
    let read: Vec<asl::Event> = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(Execution::replay(&read), execution, "the log says what was lived");
    for event in &log {
        let _ = event.wire(true);
    }
    execution.status()
}

fn answer(scheduled: EventId, asked: &Value, submits: bool) -> Option<Trigger> {
    match scenario::answer(asked, false) {
        Answer::Never => None,
        _ if submits => Some(Trigger::TaskSubmitted {
            scheduled,
            output: Json::empty_object(),
        }),
        Answer::Fails => Some(Trigger::TaskFailed {
            scheduled,
            failure: Failure::new(scenario::ERROR, scenario::CAUSE),
        }),
        Answer::Succeeds(output) => Some(Trigger::TaskSucceeded {
            scheduled,
            output: output.into(),
        }),
    }
}

/// Splits the fuzzer's bytes into an expression and an input: the text before the first zero, and the JSON after it.
pub fn text_and_input(data: &[u8]) -> Option<(&str, Value)> {
    let (text, input) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
    let input = match input {
        [] => json!({"a": [1, 2.5, {"b": "c", "d": null}], "text": "a, b", "deep": {"a": {"a": [[1], [2, [3]]]}}}),
        [_, input @ ..] => serde_json::from_slice(input).ok()?,
    };
    Some((std::str::from_utf8(text).ok()?, input))
}

/// Reads and evaluates a template in each way that its language knows.
pub fn evaluate(template: &Value, language: Language, input: &Value) {
    let context = json!({"Execution": {"Id": "arn", "Input": input}, "State": {"Name": "S", "RetryCount": 0}});
    let variables = Variables::from([("x".to_owned(), Arc::new(json!([1, {"y": 2}])))]);
    let (moment, budget) = (Draws::new(0, 0), Budget::default());
    let scope = Scope {
        input,
        input_text: None,
        context: &context,
        variables: &variables,
        result: Some(input),
        error_output: Some(input),
        moment: &moment,
        budget: &budget,
    };
    if let Ok(template) = Template::parse("Output", template, language) {
        let _ = template.references();
        if let Ok(value) = template.evaluate(&scope) {
            let text = asl::query::to_text(&value);
            serde_json::from_str::<Value>(&text).expect("what a template gives can be read back");
        }
    }
}

/// Reads and evaluates a path or a call of an intrinsic function.
pub fn follow(text: &str, input: &Value) {
    if let Ok(expression) = Expression::parse(text) {
        let context = json!({"State": {"Name": "S"}});
        let variables = Variables::from([("x".to_owned(), Arc::new(json!([1, {"y": 2}])))]);
        let (moment, budget) = (Draws::new(0, 0), Budget::default());
        let scope = Scope {
            input,
            input_text: None,
            context: &context,
            variables: &variables,
            result: None,
            error_output: None,
            moment: &moment,
            budget: &budget,
        };
        let _ = expression.evaluate("field.$", &scope);
    }
}

/// The operation and body that a line stands for: a letter for one of the `operations`, each with a good request, and
/// then either a body, which begins with `{`, or what to change in the good one: a value for each of its members,
/// separated by `|`. Nothing leaves the member as it is, `-` leaves it out, and what is not JSON is text, as the values
/// of `texts` always are.
pub fn call(operations: &[(&'static str, Value)], texts: &[&str], line: &str) -> Option<(&'static str, String)> {
    let letter = line.chars().next()?;
    let rest = &line[letter.len_utf8()..];
    let index = (letter as usize).wrapping_sub('A' as usize) % operations.len();
    let (operation, good) = operations.get(index)?;
    if rest.starts_with('{') {
        return Some((operation, rest.to_owned()));
    }
    let mut fields = rest.split('|');
    let members: Map<String, Value> = good.as_object()?.clone();
    let changed: Map<String, Value> = members
        .into_iter()
        .filter_map(|(name, value)| match fields.next() {
            None | Some("") => Some((name, value)),
            Some("-") => None,
            Some(text) if texts.contains(&&*name) => Some((name, text.into())),
            Some(text) => Some((name, serde_json::from_str(text).unwrap_or_else(|_| text.into()))),
        })
        .collect();
    Some((operation, Value::Object(changed).to_string()))
}

/// A directory in memory: thousands of stores a minute are nothing for a disk.
pub fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a directory in memory")
}
