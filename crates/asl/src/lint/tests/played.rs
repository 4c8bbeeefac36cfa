//! Generated state machines, looked at and then played: whatever came to a state was known to be possible, and where
//! something was said to be an error, no state got past it.

use std::sync::Arc;

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::definition::{Kind, State};
use crate::lint::flow::Analysis;
use crate::lint::graph::Graph;
use crate::lint::look::Variables;
use crate::lint::shape::{Items, Shape};
use crate::{Event, EventKind, Execution, Failure, Identity, Moment, Problem, Severity, StateMachine, Status, Trigger};

/// How many machines the ordinary test run plays.
const MACHINES: u32 = 2_000;

/// Loops go on for ever; what they do in so many triggers and events is enough.
const MAX_TRIGGERS: usize = 60;
const MAX_EVENTS: usize = 400;

/// What a state is made of: each number is an index into what there is to choose from.
#[derive(Clone, Debug)]
struct Plan {
    kind: u8,
    is_jsonata: bool,
    picks: Vec<u8>,
    value: Value,
    inner: Vec<Plan>,
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(1)),
        Just(json!("text")),
        Just(json!(null)),
        Just(json!({})),
        Just(json!([]))
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::btree_map("[ab]", inner.clone(), 1..3).prop_map(|fields| json!(fields)),
            prop::collection::vec(inner, 1..3).prop_map(Value::Array),
        ]
    })
}

/// An input with a list in it.
fn input() -> impl Strategy<Value = Value> {
    (prop::collection::vec(value(), 0..3), value()).prop_map(|(list, other)| json!({"a": list, "b": other}))
}

fn plan() -> impl Strategy<Value = Plan> {
    let plan = |inner: BoxedStrategy<Vec<Plan>>| {
        (
            0..8_u8,
            any::<bool>(),
            prop::collection::vec(any::<u8>(), 16),
            value(),
            inner,
        )
            .prop_map(|(kind, is_jsonata, picks, value, inner)| Plan {
                kind,
                is_jsonata,
                picks,
                value,
                inner,
            })
    };
    plan(Just(Vec::new()).boxed())
        .prop_recursive(2, 10, 3, move |inner| plan(prop::collection::vec(inner, 1..4).boxed()))
}

const PATHS: [&str; 20] = [
    "$",
    "$.a",
    "$.b",
    "$.a.b",
    "$.b.a",
    "$[0]",
    "$[-1].a",
    "$.a[0]",
    "$.a[1].b",
    "$..a",
    "$.a[*]",
    "$['a','b']",
    "$u",
    "$v",
    "$u.a",
    "$v.b",
    "$$.Execution.Input.a",
    "$$.State.Name",
    "$$.State.RetryCount",
    "$$.Map.Item.Value",
];

const CALLS: [&str; 4] = [
    "States.Array($.a, $u)",
    "States.JsonToString($.b)",
    "States.JsonMerge($.a, $v, false)",
    "States.ArrayLength($)",
];

const EXPRESSIONS: [&str; 20] = [
    "$states.input",
    "$states.input.a",
    "$states.input.b",
    "$states.input.a.b",
    "$states.input.b.a.a",
    "$u",
    "$v",
    "$u.a",
    "$v.b.a",
    "$states.result",
    "$states.result.a",
    "$states.context.Execution.Input.a",
    "$states.context.State.Name",
    "$states.context.Map.Item.Value.a",
    "$states.input.a & $u",
    "{'a': $states.input.b}",
    "[$states.input, $v]",
    "$exists($u)",
    "$states.input[0]",
    "$states.input.*",
];

const PLACES: [&str; 7] = ["$", "$.a", "$.b", "$.a.b", "$.b.a.a", "$.a[0]", "$[0].a"];

impl Plan {
    fn pick(&self, n: usize, of: usize) -> usize {
        usize::from(self.picks[n]) % of
    }

    fn has(&self, n: usize) -> bool {
        self.picks[n].is_multiple_of(3)
    }

    /// A computed field with its name.
    fn computed(&self, n: usize, name: &str) -> (String, Value) {
        if self.is_jsonata {
            let expression = EXPRESSIONS[self.pick(n, EXPRESSIONS.len())];
            return (name.to_owned(), json!(format!("{{% {expression} %}}")));
        }
        let texts: Vec<&str> = PATHS.into_iter().chain(CALLS).collect();
        (format!("{name}.$"), json!(texts[self.pick(n, texts.len())]))
    }

    /// A template of computed fields and the value.
    fn template(&self, n: usize, names: [&str; 2]) -> Value {
        let (first, second) = (self.computed(n, names[0]), self.computed(n + 1, names[1]));
        let second = if self.has(n) {
            (names[1].to_owned(), self.value.clone())
        } else {
            second
        };
        json!({first.0: first.1, second.0: second.1})
    }
}

/// The flow of these plans; `prefix` keeps the names of its states apart from others'.
fn flow(plans: &[Plan], prefix: &str) -> Value {
    let name = |index: usize| format!("{prefix}{}", index % plans.len());
    let mut states = Map::new();
    for (index, plan) in plans.iter().enumerate() {
        let own = name(index);
        let mut state = state(plan, &own);
        // Forward for the most part, so that flows end.
        let next = match plan.pick(15, 8) {
            0 => Some(name(plan.pick(14, 7))),
            1 => Some(name(index + 2)),
            _ => (index + 1 < plans.len()).then(|| name(index + 1)),
        };
        if plan.kind == 0 {
            let other = name(plan.pick(14, 7));
            state["Choices"] = choices(plan, &[&other, &format!("{own}-end")]);
            state["Default"] = json!(next.unwrap_or_else(|| format!("{own}-end")));
            states.insert(format!("{own}-end"), json!({"Type": "Succeed"}));
        } else if let Some(next) = next {
            state["Next"] = json!(next);
        } else {
            state["End"] = json!(true);
        }
        if matches!(plan.kind, 1..=3) && plan.has(13) {
            let caught = format!("{own}-caught");
            let mut catcher = json!({"ErrorEquals": ["States.ALL"], "Next": caught});
            if plan.has(12) {
                catcher["Assign"] = json!({"u": 1});
            }
            if !plan.is_jsonata && plan.has(11) {
                catcher["ResultPath"] = json!(PLACES[plan.pick(11, PLACES.len())]);
            }
            state["Catch"] = json!([catcher]);
            let onward = name(plan.pick(10, 9));
            states.insert(caught, json!({"Type": "Pass", "Next": onward}));
        }
        states.insert(own, state);
    }
    reachable(&mut states, &name(0));
    let ends = |state: &Value| state["Type"] == "Succeed" || state["End"] == true;
    if !states.values().any(ends) {
        // A loop of states without a choice, of which the first may as well be the last.
        let last = &mut states[&name(0)];
        last.as_object_mut().expect("a state is an object").remove("Next");
        last["End"] = json!(true);
        reachable(&mut states, &name(0));
    }
    json!({"StartAt": name(0), "States": states})
}

/// Leaves those states that the flow gets to, as AWS wants it.
fn reachable(states: &mut Map<String, Value>, start: &str) {
    let mut reached = std::collections::BTreeSet::new();
    let mut next = vec![start.to_owned()];
    while let Some(name) = next.pop() {
        let state = &states[&name];
        if reached.insert(name) {
            let lists = ["Choices", "Catch"]
                .into_iter()
                .filter_map(|list| state.get(list)?.as_array());
            let entries = lists.flatten().chain([state]);
            let targets = entries.flat_map(|entry| ["Next", "Default"].map(|field| entry.get(field)));
            next.extend(targets.flatten().filter_map(|name| Some(name.as_str()?.to_owned())));
        }
    }
    states.retain(|name, _| reached.contains(name));
}

fn choices(plan: &Plan, targets: &[&str; 2]) -> Value {
    let rules = (0..2).map(|index| {
        let mut rule = if plan.is_jsonata {
            let condition = EXPRESSIONS[plan.pick(index, EXPRESSIONS.len())];
            json!({"Condition": format!("{{% $boolean({condition}) %}}")})
        } else {
            let path = PATHS[plan.pick(index, PATHS.len())];
            match plan.pick(index + 2, 3) {
                0 => json!({"Variable": path, "IsPresent": true}),
                1 => json!({"Not": {"Variable": path, "IsString": true}}),
                _ => json!({"And": [{"Variable": path, "IsNumeric": true},
                                    {"Variable": PATHS[plan.pick(index + 4, PATHS.len())], "IsNull": false}]}),
            }
        };
        rule["Next"] = json!(targets[index]);
        if plan.has(index + 6) {
            rule["Assign"] = plan.template(index, ["u", "v"]);
        }
        rule
    });
    rules.collect()
}

fn state(plan: &Plan, name: &str) -> Value {
    let kinds = ["Choice", "Task", "Parallel", "Map", "Pass", "Pass", "Pass", "Wait"];
    let mut state = json!({"Type": kinds[usize::from(plan.kind)]});
    let mut add = |condition: bool, field: &str, value: Value| {
        if condition {
            state[field] = value;
        }
    };
    let jsonata = plan.is_jsonata;
    add(jsonata, "QueryLanguage", json!("JSONata"));
    add(plan.kind == 7, "Seconds", json!(0));
    add(
        plan.kind == 1,
        "Resource",
        json!("arn:aws:lambda:us-west-2:000000000000:function:work"),
    );
    if matches!(plan.kind, 2 | 3) {
        let inner = inner_plans(plan);
        let branch = |n: usize| flow(&inner, &format!("{name}.{n}."));
        let branches: Vec<Value> = (0..1 + plan.pick(9, 2)).map(branch).collect();
        add(plan.kind == 2, "Branches", json!(branches));
        add(plan.kind == 3, "ItemProcessor", branch(0));
    }
    let path = |n: usize| json!(PATHS[plan.pick(n, PATHS.len())]);
    let items = if plan.has(0) {
        path(1)
    } else {
        json!("$$.Execution.Input.a")
    };
    add(plan.kind == 3 && !jsonata, "ItemsPath", items);
    let items = format!("{{% [{}] %}}", EXPRESSIONS[plan.pick(1, EXPRESSIONS.len())]);
    add(plan.kind == 3 && jsonata, "Items", json!(items));
    add(
        plan.kind == 3 && plan.has(2),
        "ItemSelector",
        plan.template(3, ["a", "b"]),
    );
    let has_arguments = plan.has(2) && !matches!(plan.kind, 0 | 3 | 7);
    let arguments = plan.template(3, ["a", "b"]);
    add(has_arguments && !jsonata, "Parameters", arguments.clone());
    add(
        has_arguments && jsonata && matches!(plan.kind, 1 | 2),
        "Arguments",
        arguments,
    );
    add(matches!(plan.kind, 4 | 5) && !jsonata, "Result", plan.value.clone());
    let has_result = matches!(plan.kind, 1..=6) && !jsonata;
    add(
        has_result && plan.has(6),
        "ResultPath",
        json!(PLACES[plan.pick(6, PLACES.len())]),
    );
    add(has_result && plan.has(7) && !plan.has(6), "ResultPath", json!(null));
    add(
        has_result && plan.kind < 4 && plan.has(8),
        "ResultSelector",
        plan.template(7, ["a", "b"]),
    );
    add(!jsonata && plan.picks[0] < 20, "InputPath", path(0));
    add(!jsonata && plan.picks[1] < 20, "OutputPath", path(1));
    add(
        jsonata && plan.kind != 0 && plan.has(9),
        "Output",
        plan.template(8, ["a", "b"]),
    );
    add(plan.kind != 0 && plan.has(10), "Assign", plan.template(4, ["u", "v"]));
    state
}

/// What is inside of a Parallel or Map, at least one state. It speaks the language of what is around it, and may not go
/// back to JSONPath.
fn inner_plans(plan: &Plan) -> Vec<Plan> {
    let mut inner = plan.inner.clone();
    if inner.is_empty() {
        inner.push(Plan {
            kind: 4,
            ..plan.clone()
        });
    }
    inner.iter_mut().for_each(|inner| all_jsonata(inner, plan.is_jsonata));
    inner
}

fn all_jsonata(plan: &mut Plan, jsonata: bool) {
    plan.is_jsonata |= jsonata;
    plan.inner.iter_mut().for_each(|inner| all_jsonata(inner, jsonata));
}

/// Plays the machine; tasks answer with the values in turn, and every fourth fails.
fn play(machine: &StateMachine, input: &Value, answers: &[Value]) -> Vec<Event> {
    let mut execution = Execution::default();
    let identity = Arc::new(Identity {
        execution_arn: "arn:aws:states:us-west-2:000000000000:execution:machine:name".into(),
        name: "name".into(),
        state_machine_arn: "arn:aws:states:us-west-2:000000000000:stateMachine:machine".into(),
        state_machine_name: "machine".into(),
        role_arn: "arn:aws:iam::000000000000:role/role".into(),
        published: crate::Published::default(),
    });
    let mut log = Vec::new();
    let mut trigger = Trigger::Start {
        identity,
        input: input.clone().into(),
    };
    for step in 0..MAX_TRIGGERS {
        let moment = Moment {
            now: DateTime::UNIX_EPOCH,
            seed: step as u128,
        };
        log.extend(crate::advance(machine, &mut execution, trigger, &moment));
        if execution.status() != Status::Running || log.len() > MAX_EVENTS {
            break;
        }
        let called = execution
            .tasks_since(crate::Mark::default())
            .next()
            .map(|task| task.scheduled);
        trigger = match called {
            _ if execution.is_runnable() => Trigger::Continue,
            Some(scheduled) if step % 4 == 3 => Trigger::TaskFailed {
                scheduled,
                failure: Failure::new("Broken", "because"),
            },
            Some(scheduled) => Trigger::TaskSucceeded {
                scheduled,
                output: answers[step % answers.len()].clone().into(),
            },
            None => Trigger::Clock,
        };
    }
    log
}

/// Whether a value is among those of a shape.
fn admits(shape: &Shape, value: &Value) -> bool {
    match (shape, value) {
        (Shape::Any, _) => true,
        (Shape::Leaf, value) => !value.is_array() && !value.is_object(),
        (Shape::Object(fields), Value::Object(values)) => values.iter().all(|(name, value)| {
            let known = fields.known.get(name.as_str());
            known.map_or(fields.open, |shape| admits(shape, value))
        }),
        (Shape::Array(items), Value::Array(values)) => match &**items {
            Items::All(item) => values.iter().all(|value| admits(item, value)),
            Items::These(items) => {
                items.len() == values.len() && items.iter().zip(values).all(|(item, value)| admits(item, value))
            }
        },
        _ => false,
    }
}

fn admits_variables(variables: &Variables, values: &crate::query::Variables) -> bool {
    let are_known = values.iter().all(|(name, value)| {
        let known = variables.known.get(name.as_str());
        known.map_or(variables.others, |variable| admits(&variable.shape, value))
    });
    let mut always = variables.known.iter().filter(|(_, variable)| variable.always);
    are_known && always.all(|(name, _)| values.contains_key(&**name))
}

/// Whether a state that ends without an error shows the finding to be wrong: it is about something that the state
/// itself cannot do without.
fn is_sure(finding: &Problem, state: &State) -> bool {
    let Some(field) = finding.pointer.strip_prefix(&*state.pointer) else {
        return false;
    };
    let is_choice = matches!(state.kind, Kind::Choice { .. });
    let elsewhere = ["/Catch[", "/ItemSelector", "/Branches[", "/ItemProcessor"];
    let is_elsewhere =
        elsewhere.iter().any(|begin| field.starts_with(begin)) || (is_choice && field.contains("/Assign"));
    let is_own = field.is_empty() || field.starts_with('/');
    finding.severity == Severity::Error && is_own && !is_elsewhere
}

proptest! {
    #![proptest_config(ProptestConfig { cases: MACHINES, failure_persistence: None, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_comes_to_a_state_was_known_and_errors_are_errors(
        plans in prop::collection::vec(plan(), 1..6),
        input in prop_oneof![value(), input()],
        answers in prop::collection::vec(value(), 1..4),
    ) {
        let definition = flow(&plans, "S");
        let text = definition.to_string();
        let machine = StateMachine::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?} in {definition:#}"));
        let graph = Graph::of(&machine);
        let analysis = Analysis::of(&machine, &graph);
        let findings = crate::lint::check(&text);
        let mut execution = Execution::default();
        for event in play(&machine, &input, &answers) {
            execution.apply(&event);
            match &event.kind {
                EventKind::StateEntered { name, input, .. } => {
                    let entry = analysis.entries.get(&**name);
                    prop_assert!(entry.is_some(), "{name} cannot be reached in {definition:#}");
                    let entry = entry.expect("it was looked at");
                    prop_assert!(
                        admits(&entry.payload, input.value()),
                        "{input:?} came to {name}, known is {:?} in {definition:#}", entry.payload
                    );
                    let variables = &execution.frame(event.frame).variables;
                    prop_assert!(
                        admits_variables(&entry.variables, variables),
                        "{variables:?} at {name}, known is {:?} in {definition:#}", entry.variables
                    );
                }
                EventKind::StateExited { name, next, .. } => {
                    let caught = next.as_ref().is_some_and(|next| **next == format!("{name}-caught"));
                    let state = machine.state(name).expect("it was entered");
                    let sure = findings.iter().find(|finding| is_sure(finding, state));
                    prop_assert!(caught || sure.is_none(), "{name} got past {sure:?} in {definition:#}");
                }
                _ => {}
            }
        }
    }
}
