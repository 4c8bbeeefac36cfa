//! A test file's document as types.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::fields::{Fields, Problem, duration, inside, shown};
use super::{Answer, Answers, Calls, Case, Elapsed, Expect, Machine, Suite, TaskResult};
use crate::{Failure, Json, Status};

/// When executions start unless a case says otherwise: 2026-01-01T00:00:00Z.
const START: DateTime<Utc> = DateTime::from_timestamp_secs(1_767_225_600).expect("a moment of 2026");

const SUITE: &[&str] = &["comment", "definition", "stateMachine", "template", "cases"];
const CASE: &[&str] = &["name", "comment", "input", "startTime", "tasks", "expect"];
const ANSWER: &[&str] = &["succeeds", "fails", "never", "after", "heartbeatEvery"];
const EXPECT: &[&str] = &[
    "status",
    "output",
    "error",
    "cause",
    "path",
    "elapsed",
    "calls",
    "variables",
    "events",
];
const STATUSES: [Status; 4] = [Status::Succeeded, Status::Failed, Status::TimedOut, Status::Aborted];

impl Suite {
    /// The test file of this document, or everything that is wrong with it.
    pub fn read(document: &Value) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let suite = suite(document, &mut problems);
        match suite {
            Some(suite) if problems.is_empty() => Ok(suite),
            _ => Err(problems),
        }
    }
}

fn suite(document: &Value, problems: &mut Vec<Problem>) -> Option<Suite> {
    let fields = Fields::new(document, "", "a test file", SUITE, problems)?;
    let machine = machine(&fields, problems);
    let cases = match fields.get("cases") {
        Some(Value::Array(cases)) if !cases.is_empty() => cases,
        other => {
            let found = other.map_or_else(|| "missing".to_owned(), shown);
            let message = format!("'cases' is a list of at least one case, here it is {found}");
            problems.push(Problem::new(&fields.at("cases"), message));
            return None;
        }
    };
    let mut names = BTreeSet::new();
    let mut read = Vec::new();
    for (index, value) in cases.iter().enumerate() {
        let pointer = format!("/cases/{index}");
        let Some(case) = case(value, &pointer, problems) else {
            continue;
        };
        if !names.insert(case.name.clone()) {
            let message = format!("another case is named '{}' too; give each a name of its own", case.name);
            problems.push(Problem::new(&inside(&pointer, "name"), message));
        }
        read.push(case);
    }
    Some(Suite {
        machine: machine?,
        cases: read,
    })
}

fn machine(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<Machine> {
    let template = fields.text("template", problems).map(str::to_owned);
    match (fields.get("definition"), fields.get("stateMachine")) {
        (Some(Value::String(path)), None) => Some(Machine::File(path.clone())),
        (Some(definition @ Value::Object(_)), None) => Some(Machine::Inline(definition.clone())),
        (Some(other), None) => {
            let message = format!(
                "'definition' is a state machine or the path of a file with one, not {}",
                shown(other)
            );
            problems.push(Problem::new(&fields.at("definition"), message));
            None
        }
        (None, Some(_)) => Some(Machine::Resource {
            logical_id: fields.text("stateMachine", problems)?.to_owned(),
            template,
        }),
        (Some(_), Some(_)) => {
            let message = "'definition' and 'stateMachine' both name a state machine; leave one out";
            problems.push(Problem::new(&fields.at("stateMachine"), message));
            None
        }
        (None, None) => {
            let message = "a test file has a 'definition' (a state machine, or the path of a file with one) or a \
                           'stateMachine' (its logical id in the template)";
            problems.push(Problem::new("", message));
            None
        }
    }
}

fn case(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<Case> {
    let fields = Fields::new(value, pointer, "a case", CASE, problems)?;
    let name = fields.text("name", problems);
    if fields.get("name").is_none() {
        let message = "a case has a 'name', by which a failure and --filter know it";
        problems.push(Problem::new(pointer, message));
    }
    let start = match fields.text("startTime", problems) {
        None => START,
        Some(text) => match DateTime::parse_from_rfc3339(text) {
            Ok(start) => start.to_utc(),
            Err(error) => {
                let message =
                    format!("'startTime' is a moment such as \"2026-01-01T08:00:00Z\", not '{text}': {error}");
                problems.push(Problem::new(&fields.at("startTime"), message));
                START
            }
        },
    };
    let expect = match fields.get("expect") {
        Some(value) => expect(value, &fields.at("expect"), problems),
        None => {
            let message =
                "a case has an 'expect', such as {\"status\": \"SUCCEEDED\"}: without one it would test nothing";
            problems.push(Problem::new(pointer, message));
            None
        }
    };
    let tasks = tasks(&fields, problems);
    Some(Case {
        name: name?.to_owned(),
        input: fields.get("input").cloned().map_or_else(Json::empty_object, Json::from),
        start,
        tasks,
        expect: expect?,
        pointer: pointer.to_owned(),
    })
}

fn tasks(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> BTreeMap<String, Answers> {
    let scripts = match fields.get("tasks") {
        None => return BTreeMap::new(),
        Some(Value::Object(scripts)) => scripts,
        Some(other) => {
            let message = format!(
                "'tasks' is an object: a state's name and what its calls come to, not {}",
                shown(other)
            );
            problems.push(Problem::new(&fields.at("tasks"), message));
            return BTreeMap::new();
        }
    };
    let mut tasks = BTreeMap::new();
    for (name, script) in scripts {
        let pointer = inside(&fields.at("tasks"), name);
        let answers = match script {
            Value::Array(answers) => {
                let answers = answers.iter().enumerate();
                let answers =
                    answers.filter_map(|(index, value)| answer(value, &format!("{pointer}/{index}"), problems));
                Answers::InTurn(answers.collect())
            }
            one => match answer(one, &pointer, problems) {
                Some(answer) => Answers::Always(answer),
                None => continue,
            },
        };
        tasks.insert(name.clone(), answers);
    }
    tasks
}

fn answer(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<Answer> {
    let fields = Fields::new(value, pointer, "what a call comes to", ANSWER, problems)?;
    let results: Vec<&str> = ANSWER[..3]
        .iter()
        .copied()
        .filter(|name| fields.get(name).is_some())
        .collect();
    let result = match results[..] {
        ["succeeds"] => TaskResult::Succeeds(fields.get("succeeds")?.clone().into()),
        ["fails"] => TaskResult::Fails(failure(fields.get("fails")?, &fields.at("fails"), problems)?),
        ["never"] if fields.get("never") == Some(&Value::Bool(true)) => TaskResult::Never,
        ["never"] => {
            problems.push(Problem::new(&fields.at("never"), "'never' can only be true"));
            return None;
        }
        _ => {
            let message = format!(
                "a call comes to one of {{\"succeeds\": its result}}, {{\"fails\": {{\"error\", \"cause\"}}}} and \
                 {{\"never\": true}}, here it is {}",
                shown(value)
            );
            problems.push(Problem::new(pointer, message));
            return None;
        }
    };
    let heartbeat_every = fields.duration("heartbeatEvery", problems);
    if heartbeat_every.is_some_and(|every| every <= TimeDelta::zero()) {
        let message = "'heartbeatEvery' is longer than no time at all";
        problems.push(Problem::new(&fields.at("heartbeatEvery"), message));
        return None;
    }
    Some(Answer {
        result,
        after: fields.duration("after", problems).unwrap_or_default(),
        heartbeat_every,
    })
}

fn failure(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<Failure> {
    if let Value::String(error) = value {
        return Some(Failure::named(error));
    }
    let fields = Fields::new(value, pointer, "a failure", &["error", "cause"], problems)?;
    let error = fields.text("error", problems);
    let cause = fields.text("cause", problems);
    if fields.get("error").is_none() {
        let message = "a failure has an 'error', the name that Retry and Catch look at";
        problems.push(Problem::new(pointer, message));
    }
    Some(Failure {
        error: Some(error?.into()),
        cause: cause.map(Into::into),
    })
}

fn expect(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<Expect> {
    let fields = Fields::new(value, pointer, "what is expected", EXPECT, problems)?;
    if EXPECT.iter().all(|name| fields.get(name).is_none()) {
        let message = "nothing is expected; write at least {\"status\": \"SUCCEEDED\"}";
        problems.push(Problem::new(pointer, message));
    }
    let status = fields.text("status", problems).and_then(|text| {
        let status = STATUSES.into_iter().find(|status| status.as_str() == text);
        if status.is_none() {
            let names = STATUSES.map(Status::as_str).join(", ");
            let message = format!("'status' is one of {names}, not '{text}'");
            problems.push(Problem::new(&fields.at("status"), message));
        }
        status
    });
    let array = |name: &str, what: &str, problems: &mut Vec<Problem>| match fields.get(name) {
        None => None,
        Some(Value::Array(items)) => Some(items.clone()),
        Some(other) => {
            let message = format!("'{name}' is a list of {what}, not {}", shown(other));
            problems.push(Problem::new(&fields.at(name), message));
            None
        }
    };
    let path = array("path", "state names", problems);
    let events = array(
        "events",
        "event types, or of events with some of their fields",
        problems,
    );
    Some(Expect {
        status,
        output: fields.get("output").cloned(),
        error: fields.text("error", problems).map(str::to_owned),
        cause: fields.text("cause", problems).map(str::to_owned),
        path,
        elapsed: elapsed(&fields, problems),
        calls: calls(&fields, problems),
        variables: members(&fields, "variables", problems),
        events,
    })
}

fn members(fields: &Fields<'_>, name: &str, problems: &mut Vec<Problem>) -> BTreeMap<String, Value> {
    match fields.get(name) {
        None => BTreeMap::new(),
        Some(Value::Object(members)) => members
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        Some(other) => {
            problems.push(Problem::new(
                &fields.at(name),
                format!("'{name}' is an object, not {}", shown(other)),
            ));
            BTreeMap::new()
        }
    }
}

fn calls(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> BTreeMap<String, Calls> {
    let mut calls = BTreeMap::new();
    for (state, value) in members(fields, "calls", problems) {
        let expected = match (value.as_u64(), value) {
            (Some(count), _) => Calls::Count(count),
            (None, Value::Array(arguments)) => Calls::Arguments(arguments),
            (None, other) => {
                let message = format!(
                    "the calls of '{state}' are a number, or a list of the arguments of each, not {}",
                    shown(&other)
                );
                problems.push(Problem::new(&inside(&fields.at("calls"), &state), message));
                continue;
            }
        };
        calls.insert(state, expected);
    }
    calls
}

fn elapsed(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<Elapsed> {
    let value = fields.get("elapsed")?;
    if let Value::Object(_) = value {
        let bounds = Fields::new(value, &fields.at("elapsed"), "a span", &["atLeast", "atMost"], problems)?;
        return Some(Elapsed {
            at_least: bounds.duration("atLeast", problems).unwrap_or_default(),
            at_most: bounds.duration("atMost", problems).unwrap_or(TimeDelta::MAX),
        });
    }
    let Some(exactly) = duration(value) else {
        let message = format!(
            "'elapsed' is a time in seconds or as text, such as 90 or \"1 h 30 min\", or \
             {{\"atLeast\": …, \"atMost\": …}}, not {}",
            shown(value)
        );
        problems.push(Problem::new(&fields.at("elapsed"), message));
        return None;
    };
    Some(Elapsed {
        at_least: exactly,
        at_most: exactly,
    })
}
