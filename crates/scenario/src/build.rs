//! From steps to a definition.
//!
//! The end of a run must not depend on which of two branches is quicker. So all that fails fails alike, a call that is
//! never answered is caught inside of branches, and branches have variables of their own.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::step::{Handling, Kind, NEVER, Step, Wait};
use crate::{ACTIVITY, CAUSE, ERROR};

/// How long a task may take that is never answered.
const GIVE_UP_SECONDS: u8 = 30;

/// How long one may take that is answered: never reached, as the clock stands still as long as an answer is to come.
const TIMEOUT_SECONDS: u8 = 100;

/// The definition, and how often the states of loops are entered.
pub(crate) fn definition(jsonata: bool, steps: &[Step]) -> (Value, BTreeMap<String, usize>) {
    let mut builder = Builder::default();
    let place = Place {
        is_root: true,
        jsonata,
        caught: false,
    };
    let mut definition = builder.flow(steps, place);
    if jsonata {
        definition["QueryLanguage"] = json!("JSONata");
    }
    (definition, builder.loops)
}

/// What surrounds a flow.
#[derive(Clone, Copy)]
struct Place {
    is_root: bool,
    /// Whether the whole machine's states are JSONata's; else each says for itself, whatever is around it.
    jsonata: bool,
    /// Whether a Catcher takes what fails in it.
    caught: bool,
}

/// Gives names, which are unique in the whole machine.
#[derive(Default)]
struct Builder {
    flows: usize,
    states: usize,
    loops: BTreeMap<String, usize>,
}

/// A flow under construction.
struct Flow {
    place: Place,
    states: Map<String, Value>,
    /// The variable that its steps count in.
    count: String,
    /// Its variables with their first values.
    variables: Map<String, Value>,
}

impl Builder {
    /// First the variables, then the steps, and at the end a payload that shows what came of both.
    fn flow(&mut self, steps: &[Step], place: Place) -> Value {
        self.flows += 1;
        let number = self.flows;
        let count = format!("count{number}");
        let mut flow = Flow {
            place,
            states: Map::new(),
            variables: Map::from_iter([(count.clone(), json!(0))]),
            count,
        };
        let end = format!("End{number}");
        let names: Vec<String> = steps.iter().map(|_| self.name()).collect();
        for (index, step) in steps.iter().enumerate() {
            let onward = names.get(index + 1).unwrap_or(&end);
            self.step(&mut flow, step, &names[index], onward);
        }
        let start = format!("Start{number}");
        let mut first = json!({"Type": "Pass", "Assign": flow.variables, "Next": names[0]});
        let mut last = json!({"Type": "Pass", "End": true});
        let (payload, shown) = match place.jsonata {
            false => (
                "Parameters",
                json!({"in.$": "$", "count.$": format!("${}", flow.count)}),
            ),
            true => (
                "Output",
                json!({"in": "{% $states.input %}", "count": format!("{{% ${} %}}", flow.count)}),
            ),
        };
        last[payload] = shown;
        if place.is_root {
            // The lists are looked up in the Context Object, and would only be carried along.
            first[payload] = json!({"n": 0});
        }
        flow.states.insert(start.clone(), first);
        flow.states.insert(end, last);
        json!({"StartAt": start, "States": flow.states})
    }

    fn name(&mut self) -> String {
        self.states += 1;
        format!("S{}", self.states)
    }

    /// Adds the states of one step, which goes on to `onward`.
    fn step(&mut self, flow: &mut Flow, step: &Step, name: &str, onward: &str) {
        let jsonata = step.jsonata || flow.place.jsonata;
        let mut state = match &step.kind {
            Kind::Count => count(flow, name, jsonata),
            Kind::Compute => compute(flow, jsonata),
            Kind::Wait(form) => wait(*form, jsonata),
            Kind::Choice(limit) => {
                let detour = format!("{name}-detour");
                let result = if flow.place.jsonata { "Output" } else { "Result" };
                let state = json!({"Type": "Pass", result: {"n": 1}, "Next": onward});
                flow.states.insert(detour.clone(), state);
                let rule = json!({"And": [{"Variable": "$.n", "IsPresent": true},
                                          {"Variable": "$.n", "NumericGreaterThan": limit}]});
                choice(rule, &format!("$states.input.n > {limit}"), jsonata, &detour, onward)
            }
            Kind::Loop(times) => self.counted_loop(flow, *times, name, onward, jsonata),
            Kind::Fail { reached } => {
                let fail = format!("{name}-fail");
                let state = match jsonata {
                    false => json!({"Type": "Fail", "Error": ERROR, "Cause": CAUSE}),
                    true => json!({"Type": "Fail", "QueryLanguage": "JSONata", "Error": format!("{{% '{ERROR}' %}}"),
                                   "Cause": format!("{{% '{CAUSE}' %}}")}),
                };
                flow.states.insert(fail.clone(), state);
                let rule = json!({"Variable": "$.n", "IsNumeric": reached});
                choice(rule, &format!("{reached}"), jsonata, &fail, onward)
            }
            Kind::Task { failures, handling } => {
                let function = "arn:aws:lambda:us-west-2:000000000000:function:work";
                let task = task(
                    function,
                    asked(name, *failures, handling.caught || flow.place.caught, jsonata),
                    jsonata,
                );
                self.handled(task, *handling, jsonata, onward)
            }
            Kind::Silent { handling } => {
                let caught = handling.caught || !flow.place.is_root;
                let asked = json!({"FunctionName": "work", "Payload": asked(name, NEVER, caught, jsonata)});
                let mut task = task("arn:aws:states:::lambda:invoke", asked, jsonata);
                task["TimeoutSeconds"] = match jsonata {
                    false => json!(GIVE_UP_SECONDS),
                    true => json!(format!("{{% {GIVE_UP_SECONDS} %}}")),
                };
                self.handled(task, Handling { caught, ..*handling }, jsonata, onward)
            }
            Kind::Callback { failures, heartbeats } => {
                let mut payload = asked(name, *failures, flow.place.caught, jsonata);
                payload["heartbeats"] = json!(heartbeats);
                match jsonata {
                    false => payload["token.$"] = json!("$$.Task.Token"),
                    true => payload["token"] = json!("{% $states.context.Task.Token %}"),
                }
                let asked = json!({"FunctionName": "work", "Payload": payload});
                let mut task = task("arn:aws:states:::lambda:invoke.waitForTaskToken", asked, jsonata);
                task["TimeoutSeconds"] = json!(2 * TIMEOUT_SECONDS);
                task["HeartbeatSeconds"] = json!(TIMEOUT_SECONDS);
                task["Retry"] = json!([{"ErrorEquals": ["States.TaskFailed"]}]);
                task
            }
            Kind::Activity {
                failures,
                heartbeats,
                handling,
            } => {
                let is_silent = *failures == NEVER;
                let handling = Handling {
                    caught: handling.caught || (is_silent && !flow.place.is_root),
                    ..*handling
                };
                let mut asked = asked(name, *failures, handling.caught || flow.place.caught, jsonata);
                asked["heartbeats"] = json!(if is_silent { 0 } else { *heartbeats });
                let mut task = task(ACTIVITY, asked, jsonata);
                match is_silent {
                    true => task["TimeoutSeconds"] = json!(GIVE_UP_SECONDS),
                    false => task["HeartbeatSeconds"] = json!(TIMEOUT_SECONDS / 2),
                }
                self.handled(task, handling, jsonata, onward)
            }
            Kind::Job { failures, handling } => {
                let asked = json!({"StateMachineArn": "arn:aws:states:us-west-2:000000000000:stateMachine:other",
                                   "Input": asked(name, *failures, handling.caught || flow.place.caught, jsonata)});
                let task = task("arn:aws:states:::states:startExecution.sync:2", asked, jsonata);
                self.handled(task, *handling, jsonata, onward)
            }
            Kind::Parallel { branches, handling } => {
                let branches: Vec<Value> = branches
                    .iter()
                    .map(|branch| self.flow(branch, flow.place.below(*handling)))
                    .collect();
                let mut parallel = json!({"Type": "Parallel", "Branches": branches});
                match jsonata {
                    false => {
                        parallel["Parameters"] = json!({"n.$": "$.n"});
                        parallel["ResultPath"] = json!("$.branches");
                    }
                    true => {
                        parallel["Arguments"] = json!({"n": "{% $states.input.n %}"});
                        parallel["Output"] = merged("branches", "$states.result");
                    }
                }
                self.handled(parallel, outermost(*handling, flow.place), jsonata, onward)
            }
            Kind::Map {
                items,
                max_concurrency,
                selects,
                tolerated,
                flow: inner,
                handling,
            } => {
                // A Map Run that fails has an error of its own, and a failure that it tolerates is as good as caught.
                let handling = Handling {
                    caught: handling.caught || (tolerated.is_some() && !flow.place.is_root),
                    ..*handling
                };
                let mut place = flow.place.below(handling);
                place.caught |= tolerated.is_some_and(|tolerated| 0 < tolerated);
                let mut processor = self.flow(inner, place);
                if tolerated.is_some() {
                    processor["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
                }
                let mut map = json!({"Type": "Map", "MaxConcurrency": max_concurrency, "ItemProcessor": processor});
                match jsonata {
                    false => {
                        map["ItemsPath"] = json!(format!("$$.Execution.Input.lists.{items}"));
                        map["ResultPath"] = json!("$.mapped");
                    }
                    true => {
                        map["Items"] = (0..*items).map(|n| json!({ "n": n })).collect();
                        map["Output"] = merged("mapped", "$states.result");
                    }
                }
                if let Some(tolerated) = tolerated {
                    map["ToleratedFailureCount"] = json!(tolerated);
                }
                if *selects {
                    map["ItemSelector"] = match jsonata {
                        false => json!({"n.$": "$$.Map.Item.Value.n", "index.$": "$$.Map.Item.Index"}),
                        true => json!({"n": "{% $states.context.Map.Item.Value.n %}",
                                       "index": "{% $states.context.Map.Item.Index %}"}),
                    };
                }
                self.handled(map, outermost(handling, flow.place), jsonata, onward)
            }
        };
        if jsonata {
            state["QueryLanguage"] = json!("JSONata");
        }
        if state["Type"] != "Choice" {
            state["Next"] = json!(onward);
        }
        flow.states.insert(name.to_owned(), state);
    }

    fn counted_loop(&mut self, flow: &mut Flow, times: u8, name: &str, onward: &str, jsonata: bool) -> Value {
        let variable = format!("times{name}");
        flow.variables.insert(variable.clone(), json!(0));
        let again = format!("{name}-again");
        let assign = match jsonata {
            false => json!({format!("{variable}.$"): format!("States.MathAdd(${variable}, 1)")}),
            true => json!({variable.as_str(): format!("{{% ${variable} + 1 %}}")}),
        };
        let mut body = json!({"Type": "Pass", "Assign": assign, "Next": name});
        if jsonata {
            body["QueryLanguage"] = json!("JSONata");
        }
        flow.states.insert(again.clone(), body);
        self.loops.insert(name.to_owned(), usize::from(times) + 1);
        self.loops.insert(again.clone(), usize::from(times));
        let rule = json!({"Variable": format!("${variable}"), "NumericLessThan": times});
        choice(rule, &format!("${variable} < {times}"), jsonata, &again, onward)
    }

    /// A state with its Retrier and its Catcher, if it has any.
    fn handled(&self, mut state: Value, handling: Handling, jsonata: bool, onward: &str) -> Value {
        if handling.retried {
            state["Retry"] = json!([
                {"ErrorEquals": [ERROR], "MaxAttempts": 2, "JitterStrategy": "FULL"},
                {"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 3, "MaxAttempts": 1},
            ]);
        }
        if handling.caught {
            let mut catcher = json!({"ErrorEquals": ["States.ALL"], "Next": onward});
            match jsonata {
                false => catcher["ResultPath"] = json!("$.error"),
                true => catcher["Output"] = merged("error", "$states.errorOutput.Error"),
            }
            state["Catch"] = json!([catcher]);
        }
        state
    }
}

impl Place {
    /// That of the branches of a state.
    fn below(self, handling: Handling) -> Self {
        Self {
            is_root: false,
            jsonata: self.jsonata,
            caught: self.caught || handling.caught,
        }
    }
}

/// Retried inside of what is retried, the number of runs would multiply.
fn outermost(handling: Handling, place: Place) -> Handling {
    Handling {
        retried: handling.retried && place.is_root,
        ..handling
    }
}

/// As a JSONata `Output`: the input with one more field.
fn merged(field: &str, value: &str) -> Value {
    json!(format!("{{% $merge([$states.input, {{'{field}': {value}}}]) %}}"))
}

fn count(flow: &Flow, name: &str, jsonata: bool) -> Value {
    let variable = &flow.count;
    match jsonata {
        false => json!({"Type": "Pass", "Result": name, "ResultPath": "$.last",
                        "Assign": {format!("{variable}.$"): format!("States.MathAdd(${variable}, 1)")}}),
        true => json!({"Type": "Pass", "Output": merged("last", &format!("'{name}'")),
                       "Assign": {variable.as_str(): format!("{{% ${variable} + 1 %}}")}}),
    }
}

fn compute(flow: &Flow, jsonata: bool) -> Value {
    let variable = &flow.count;
    match jsonata {
        false => json!({"Type": "Pass", "Parameters": {
            "n.$": "States.MathAdd($.n, 1)",
            "text.$": format!("States.Format('{{}} of {{}}', $.n, ${variable})"),
            "pieces.$": "States.ArrayPartition(States.ArrayRange(0, 6, 2), 3)"}}),
        true => json!({"Type": "Pass", "Output": {
            "n": "{% $states.input.n + 1 %}",
            "text": format!("{{% $string($states.input.n) & ' of ' & $string(${variable}) %}}"),
            "sum": "{% $sum([1..4].($ * $)) %}"}}),
    }
}

fn wait(form: Wait, jsonata: bool) -> Value {
    let (field, value) = match (form, jsonata) {
        (Wait::Seconds(seconds), false) => ("Seconds", json!(seconds)),
        (Wait::Seconds(seconds), true) => ("Seconds", json!(format!("{{% {seconds} %}}"))),
        (Wait::Computed, false) => ("SecondsPath", json!("$.n")),
        (Wait::Computed, true) => ("Seconds", json!("{% $states.input.n %}")),
        (Wait::Past, _) => ("Timestamp", json!("1969-07-20T20:17:40Z")),
        (Wait::Start, false) => ("TimestampPath", json!("$$.Execution.StartTime")),
        (Wait::Start, true) => ("Timestamp", json!("{% $states.context.Execution.StartTime %}")),
    };
    json!({"Type": "Wait", field: value})
}

fn choice(rule: Value, condition: &str, jsonata: bool, then: &str, otherwise: &str) -> Value {
    let mut rule = match jsonata {
        false => rule,
        true => json!({"Condition": format!("{{% {condition} %}}")}),
    };
    rule["Next"] = json!(then);
    json!({"Type": "Choice", "Choices": [rule], "Default": otherwise})
}

/// What a task tells of itself, so that it can be answered. What fails and is `caught` goes on failing in a world that
/// is healed: it would not matter to the outcome alone, but to which branch was quicker.
fn asked(name: &str, failures: u8, caught: bool, jsonata: bool) -> Value {
    let mut asked = json!({"state": name, "failures": failures, "mends": !caught});
    match jsonata {
        false => asked["tries.$"] = json!("$$.State.RetryCount"),
        true => asked["tries"] = json!("{% $states.context.State.RetryCount %}"),
    }
    asked
}

fn task(resource: &str, parameters: Value, jsonata: bool) -> Value {
    match jsonata {
        false => json!({"Type": "Task", "Resource": resource, "TimeoutSeconds": TIMEOUT_SECONDS,
                        "Parameters": parameters, "ResultPath": "$.result"}),
        true => json!({"Type": "Task", "Resource": resource, "TimeoutSeconds": TIMEOUT_SECONDS,
                       "Arguments": parameters, "Output": merged("result", "$states.result")}),
    }
}
