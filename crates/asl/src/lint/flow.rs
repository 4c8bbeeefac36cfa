//! What is known of the payload and the variables at each state, over every way that leads there.
//!
//! This is the interpreter's own work on what is known instead of on values: the same filters in the same order, so
//! that whatever may come to a state at run time is among what is known here. A test plays generated machines to check
//! just that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::graph::{Flow, Graph};
use super::look::{Scope, Variable, Variables};
use super::shape::Shape;
use super::{Findings, NOT_A_LIST, SHADOWED_VARIABLE, UNFIT_RESULT_PATH};
use crate::choice::{Operand, Rule, Test};
use crate::definition::{
    Branch, Items, Kind, Map, Number, PathField, QueryLanguage, ResultPath, State, StateMachine, Text, Tolerated, Wait,
};
use crate::query::{Node, Path, Template};

/// How often something new may come to a state before it is taken for anything: enough for what a loop adds field by
/// field, and a bound for what grows in it without end.
const MAX_VISITS: u32 = 16;

/// Reports what refers to something that cannot be there.
pub(super) fn check(machine: &StateMachine, findings: &mut Findings) {
    let graph = Graph::of(machine);
    let analysis = Analysis::of(machine, &graph);
    for name in analysis.entries.keys() {
        analysis.step(name, findings);
    }
}

/// What may come to a state.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) payload: Shape,
    pub(super) variables: Variables,
    visits: u32,
}

/// What is known of a flow as a whole.
#[derive(Default)]
struct Inner {
    /// What it gives; `None` as long as no way to its end is known.
    exit: Option<Shape>,
    /// The item that an iteration is for.
    item: Option<Shape>,
    /// How often one of the two was new.
    visits: u32,
    /// The variables of the flows around it.
    outer: BTreeSet<Box<str>>,
}

pub(super) struct Analysis<'m> {
    machine: &'m StateMachine,
    graph: &'m Graph<'m>,
    /// By the names of the states that can be reached.
    pub(super) entries: BTreeMap<&'m str, Entry>,
    inner: BTreeMap<&'m str, Inner>,
    queue: VecDeque<&'m str>,
}

/// Where a state leads, with what.
#[derive(Default)]
struct Steps<'m> {
    edges: Vec<(&'m str, Shape, Variables)>,
    /// What the flow gives if it ends here.
    exit: Option<Shape>,
    /// Flows inside, with their input and the item of an iteration.
    enters: Vec<(&'m str, Shape, Option<Shape>)>,
}

impl<'m> Analysis<'m> {
    pub(super) fn of(machine: &'m StateMachine, graph: &'m Graph<'m>) -> Self {
        let mut analysis = Self {
            machine,
            graph,
            entries: BTreeMap::new(),
            inner: graph.flows.keys().map(|start| (*start, Inner::default())).collect(),
            queue: VecDeque::new(),
        };
        analysis.arrive(&machine.start_at, Shape::Any, &Variables::default());
        while let Some(name) = analysis.queue.pop_front() {
            // Only the last look at a state counts, when all that comes to it is known.
            let steps = analysis.step(name, &mut Findings::default());
            analysis.take(name, steps);
        }
        analysis
    }

    fn again(&mut self, name: &'m str) {
        if self.entries.contains_key(name) && !self.queue.contains(&name) {
            self.queue.push_back(name);
        }
    }

    /// Lets this come to a state; it is looked at again if it is new.
    fn arrive(&mut self, name: &str, payload: Shape, variables: &Variables) {
        let Some(state) = self.machine.state(name) else {
            return;
        };
        let name = &*state.name;
        let Some(entry) = self.entries.get_mut(name) else {
            let entry = Entry {
                payload,
                variables: variables.clone(),
                visits: 0,
            };
            self.entries.insert(name, entry);
            return self.again(name);
        };
        let (mut payload, mut variables) = (entry.payload.join(&payload), entry.variables.join(variables));
        if entry.visits > MAX_VISITS {
            (payload, variables) = (Shape::Any, variables.widened());
        }
        if payload != entry.payload || variables != entry.variables {
            entry.visits += 1;
            (entry.payload, entry.variables) = (payload, variables);
            self.again(name);
        }
    }

    fn take(&mut self, name: &'m str, steps: Steps<'m>) {
        for (start, payload, item) in steps.enters {
            let outer = self.entries[name].variables.clone();
            let Some(inner) = self.inner.get_mut(start) else {
                continue;
            };
            inner.outer.extend(outer.known.keys().cloned());
            if let Some(item) = item
                && let Some(joined) = joined(inner.item.as_ref(), item, &mut inner.visits)
            {
                inner.item = Some(joined);
                self.all_inside(start);
            }
            self.arrive(start, payload, &outer);
        }
        for (target, payload, variables) in steps.edges {
            self.arrive(target, payload, &variables);
        }
        let Some(exit) = steps.exit else {
            return;
        };
        let Some(home) = self.graph.home.get(name) else {
            return;
        };
        let (Some(inner), Some(flow)) = (self.inner.get_mut(home), self.graph.flows.get(home)) else {
            return;
        };
        if let Some(joined) = joined(inner.exit.as_ref(), exit, &mut inner.visits) {
            inner.exit = Some(joined);
            flow.owner.into_iter().for_each(|owner| self.again(owner));
        }
    }

    /// Has the states of a flow and of those inside it looked at again.
    fn all_inside(&mut self, start: &'m str) {
        let graph = self.graph;
        let is_inside = |flow: &&Flow<'m>| {
            let first = flow.members.first().map(|state| &*state.name);
            first.is_some_and(|first| {
                let owners = graph.owners(first);
                let mut homes = std::iter::once(first)
                    .chain(owners)
                    .filter_map(|name| graph.home.get(name));
                homes.any(|home| *home == start)
            })
        };
        for flow in graph.flows.values().filter(is_inside) {
            for state in &flow.members {
                self.again(&state.name);
            }
        }
    }

    /// What a state does with what comes to it.
    fn step(&self, name: &str, findings: &mut Findings) -> Steps<'m> {
        let (Some(state), Some(entry)) = (self.machine.state(name), self.entries.get(name)) else {
            return Steps::default();
        };
        let mut work = Work {
            analysis: self,
            state,
            entry,
            context: context(state, self.item(state)),
            outer: self
                .graph
                .home
                .get(name)
                .and_then(|home| self.inner.get(home))
                .map(|inner| &inner.outer),
            findings,
            steps: Steps::default(),
        };
        work.begin();
        work.catch();
        work.steps
    }

    /// The item of the iteration that a state stands in.
    fn item(&self, state: &State) -> Option<Shape> {
        let owners = self.graph.owners(&state.name);
        let names = std::iter::once(&*state.name).chain(owners);
        let mut items = names.filter_map(|name| self.inner.get(self.graph.home.get(name)?)?.item.clone());
        items.next()
    }
}

/// Both together, if that is more than was known; after many times it is anything.
fn joined(known: Option<&Shape>, new: Shape, visits: &mut u32) -> Option<Shape> {
    let joined = match known {
        Some(_) if *visits > MAX_VISITS => Shape::Any,
        Some(known) => known.join(&new),
        None => new,
    };
    let is_new = known != Some(&joined);
    *visits += u32::from(is_new);
    is_new.then_some(joined)
}

/// The Context Object that the expressions of a state see.
fn context(state: &State, item: Option<Shape>) -> Shape {
    let leaves = |names: &[&str]| Shape::object(names.iter().map(|name| (*name, Shape::Leaf)));
    let execution = ["Id", "Name", "RoleArn", "StartTime", "RedriveCount", "RedriveTime"];
    let execution = execution.map(|name| (name, Shape::Leaf));
    let mut parts = vec![
        (
            "Execution",
            Shape::object(execution.into_iter().chain([("Input", Shape::Any)])),
        ),
        ("StateMachine", leaves(&["Id", "Name"])),
        (
            "State",
            match state.kind {
                Kind::Task(_) | Kind::Parallel { .. } | Kind::Map(_) => leaves(&["Name", "EnteredTime", "RetryCount"]),
                _ => leaves(&["Name", "EnteredTime"]),
            },
        ),
    ];
    if let Some(item) = item {
        let item = [
            ("Index", Shape::Leaf),
            ("Key", Shape::Leaf),
            ("Source", Shape::Leaf),
            ("Value", item),
        ];
        parts.push(("Map", Shape::object([("Item", Shape::object(item))])));
    }
    if let Kind::Task(task) = &state.kind
        && (task.resource.waits_for_token())
    {
        parts.push(("Task", leaves(&["Token"])));
    }
    Shape::object(parts)
}

/// A state at work.
struct Work<'w, 'm> {
    analysis: &'w Analysis<'m>,
    state: &'m State,
    entry: &'w Entry,
    context: Shape,
    /// The variables of the flows around the state's.
    outer: Option<&'w BTreeSet<Box<str>>>,
    findings: &'w mut Findings,
    steps: Steps<'m>,
}

impl<'w, 'm> Work<'w, 'm> {
    fn scope(&self, root: &Shape, called: &'static str) -> Scope<'w> {
        Scope {
            root: root.clone(),
            called,
            context: self.context.clone(),
            variables: &self.entry.variables,
            result: None,
            error_output: None,
            uncertain: false,
        }
    }

    /// What single values and JSONata start from: the state's input.
    fn on_input(&self) -> Scope<'w> {
        self.scope(&self.entry.payload, INPUT)
    }

    fn pointer(&self, field: &str) -> String {
        format!("{}/{field}", self.state.pointer)
    }

    fn begin(&mut self) {
        let state = self.state;
        match &state.kind {
            Kind::Pass { result } => {
                let input = self.arguments();
                let result = result.as_ref().map_or(input, |result| Shape::of(result.value()));
                self.complete(&result);
            }
            Kind::Succeed => {
                let input = self.effective_input();
                self.complete(&input);
            }
            Kind::Fail { error, cause } => {
                for text in [error, cause] {
                    if let Text::Computed(computed) = text {
                        self.on_input().computed(&state.pointer, computed, self.findings);
                    }
                }
            }
            Kind::Wait(wait) => {
                if let Wait::Computed(computed) | Wait::Seconds(Number::Computed(computed)) = wait {
                    self.on_input().computed(&state.pointer, computed, self.findings);
                }
                let input = self.effective_input();
                self.complete(&input);
            }
            Kind::Choice { rules, default } => self.choice(rules, default.as_deref()),
            Kind::Task(task) => {
                self.arguments();
                if let Some(credentials) = &task.credentials {
                    let pointer = self.pointer("Credentials");
                    self.on_input().template(&pointer, credentials, self.findings);
                }
                self.number(&task.timeout);
                self.number(&task.heartbeat);
                self.complete(&Shape::Any);
            }
            Kind::Parallel { branches } => {
                let input = self.arguments();
                let starts = branches.iter().map(|start| (&**start, input.clone(), None));
                self.steps.enters.extend(starts);
                let exits = branches
                    .iter()
                    .map(|start| self.analysis.inner.get(&**start)?.exit.clone());
                if let Some(exits) = exits.collect() {
                    self.complete(&Shape::these(exits));
                }
            }
            Kind::Map(map) => self.map(map),
        }
    }

    fn map(&mut self, map: &'m Map) {
        let input = self.effective_input();
        let scope = self.scope(&input, INPUT);
        let (items, pointer) = match &map.items {
            Items::Input => (input.clone(), self.state.pointer.to_string()),
            Items::Path(path) => {
                let pointer = self.pointer("ItemsPath");
                (scope.path(&pointer, path, self.findings), pointer)
            }
            Items::Computed(template, _) => {
                let pointer = self.pointer("Items");
                (scope.template(&pointer, template, self.findings), pointer)
            }
        };
        // A distributed Map may read its items from elsewhere.
        let known = if map.distributed.is_some() {
            Some(Shape::Any)
        } else {
            items.items()
        };
        let item = known.unwrap_or_else(|| {
            let message = format!("the items of this Map are no array: what is there {}", items.describe());
            self.findings.add(&NOT_A_LIST, &pointer, message);
            Shape::Any
        });
        let iteration = match &map.item_selector {
            None => item.clone(),
            Some(selector) => {
                // Without items nothing is selected.
                let scope = Scope {
                    context: context(self.state, Some(item.clone())),
                    ..scope
                };
                scope.template(&self.pointer(map.selector_field), selector, self.findings)
            }
        };
        self.number(&map.max_concurrency);
        if let Some(distributed) = &map.distributed {
            for tolerated in [&distributed.tolerated_count, &distributed.tolerated_percentage] {
                if let Tolerated::Computed(computed) = tolerated {
                    self.on_input().computed(&self.state.pointer, computed, self.findings);
                }
            }
            self.steps.enters.push((&map.start_at, Shape::Any, Some(item)));
            // Its result may be written elsewhere.
            return self.complete(&Shape::Any);
        }
        self.steps.enters.push((&map.start_at, iteration, Some(item)));
        let inner = self.analysis.inner.get(&*map.start_at);
        let result = match inner.and_then(|inner| inner.exit.clone()) {
            Some(exit) => Shape::all(exit),
            // No iteration ends well, but there may be none.
            None => Shape::these(Vec::new()),
        };
        self.complete(&result);
    }

    fn choice(&mut self, rules: &'m [Branch], default: Option<&'m str>) {
        let input = self.effective_input();
        let passed = match self.state.language {
            QueryLanguage::JsonPath => self.select("OutputPath", &self.state.output_path, &input),
            QueryLanguage::Jsonata => input.clone(),
        };
        let mut asked = Vec::new();
        rules.iter().for_each(|branch| presence(&branch.rule, &mut asked));
        for (index, branch) in rules.iter().enumerate() {
            let pointer = self.pointer(&format!("Choices[{index}]"));
            let scope = Scope {
                uncertain: index > 0,
                ..self.scope(&input, INPUT)
            };
            self.rule(&pointer, &branch.rule, &asked, &scope);
            self.leave(
                &pointer,
                &passed,
                &branch.next,
                branch.assign.as_ref(),
                branch.output.as_ref(),
            );
        }
        if let Some(next) = default {
            let state = self.state;
            self.leave(
                &state.pointer,
                &passed,
                next,
                state.assign.as_ref(),
                state.output.as_ref(),
            );
        }
    }

    /// Goes where a rule leads; `passed` is what goes there, but for JSONata's `Output`.
    fn leave(
        &mut self,
        pointer: &str,
        passed: &Shape,
        next: &'m str,
        assign: Option<&Template>,
        output: Option<&Template>,
    ) {
        // A rule's Assign sees the state's input as `InputPath` filters it.
        let input = match &self.state.input_path {
            PathField::Whole => self.entry.payload.clone(),
            PathField::Nothing => Shape::object::<&str>([]),
            PathField::Path(path) => self.on_input().path(pointer, path, &mut Findings::default()),
        };
        let scope = self.scope(&input, INPUT);
        let variables = self.assign(&format!("{pointer}/Assign"), assign, &scope);
        let payload = match output {
            Some(template) => scope.template(&format!("{pointer}/Output"), template, self.findings),
            None => passed.clone(),
        };
        self.steps.edges.push((next, payload, variables));
    }

    /// Looks at a Choice Rule; `asked` are the paths that some rule asks the presence of.
    fn rule(&mut self, pointer: &str, rule: &Rule, asked: &[&Path], scope: &Scope<'_>) {
        match rule {
            Rule::And(rules) | Rule::Or(rules) => {
                let field = if matches!(rule, Rule::And(_)) { "And" } else { "Or" };
                for (index, rule) in rules.iter().enumerate() {
                    let scope = Scope {
                        uncertain: scope.uncertain || index > 0,
                        ..scope.clone()
                    };
                    self.rule(&format!("{pointer}/{field}[{index}]"), rule, asked, &scope);
                }
            }
            Rule::Not(rule) => self.rule(&format!("{pointer}/Not"), rule, asked, scope),
            Rule::Test { variable, test } => {
                if matches!(test, Test::IsPresent(_)) {
                    return;
                }
                let mut look = |field: &str, path: &Path| {
                    // Whoever asks first means that it may be missing.
                    let is_asked = |other: &&Path| {
                        path.as_str().starts_with(other.as_str()) || other.as_str().starts_with(path.as_str())
                    };
                    if !asked.iter().any(is_asked) {
                        scope.path(&format!("{pointer}/{field}"), path, self.findings);
                    }
                };
                look("Variable", variable);
                if let Test::Compare(kind, comparison, Operand::Path(path)) = test {
                    // The operators are named as these are.
                    look(&format!("{kind:?}{comparison:?}Path"), path);
                }
            }
            Rule::Condition(computed) => {
                scope.computed(&self.state.pointer, computed, self.findings);
            }
            Rule::Constant(_) => {}
        }
    }

    fn number(&mut self, number: &Number) {
        if let Number::Computed(computed) = number {
            self.on_input().computed(&self.state.pointer, computed, self.findings);
        }
    }

    fn select(&mut self, field: &str, filter: &PathField, document: &Shape) -> Shape {
        match filter {
            PathField::Whole => document.clone(),
            PathField::Nothing => Shape::object::<&str>([]),
            PathField::Path(path) => {
                let called = if field == "InputPath" {
                    INPUT
                } else {
                    "the state's output"
                };
                let pointer = self.pointer(field);
                self.scope(document, called).path(&pointer, path, self.findings)
            }
        }
    }

    fn effective_input(&mut self) -> Shape {
        self.select("InputPath", &self.state.input_path, &self.entry.payload)
    }

    fn arguments(&mut self) -> Shape {
        let input = self.effective_input();
        let Some(template) = &self.state.arguments else {
            return input;
        };
        let field = match self.state.language {
            QueryLanguage::JsonPath => "Parameters",
            QueryLanguage::Jsonata => "Arguments",
        };
        let pointer = self.pointer(field);
        self.scope(&input, INPUT).template(&pointer, template, self.findings)
    }

    /// Ends the state with a result.
    fn complete(&mut self, result: &Shape) {
        let state = self.state;
        let (output, variables) = match state.language {
            QueryLanguage::JsonPath => {
                let selected = match &state.result_selector {
                    Some(selector) => {
                        let pointer = self.pointer("ResultSelector");
                        self.scope(result, RESULT).template(&pointer, selector, self.findings)
                    }
                    None => result.clone(),
                };
                let placed = self.place(&state.pointer, &state.result_path, &selected);
                let output = self.select("OutputPath", &state.output_path, &placed);
                let scope = self.scope(&selected, RESULT);
                (
                    output,
                    self.assign(&self.pointer("Assign"), state.assign.as_ref(), &scope),
                )
            }
            QueryLanguage::Jsonata => {
                let scope = Scope {
                    result: Some(result.clone()),
                    ..self.on_input()
                };
                let variables = self.assign(&self.pointer("Assign"), state.assign.as_ref(), &scope);
                let output = match &state.output {
                    Some(template) => scope.template(&self.pointer("Output"), template, self.findings),
                    None => result.clone(),
                };
                (output, variables)
            }
        };
        match &state.next {
            Some(next) => self.steps.edges.push((next, output, variables)),
            None => self.steps.exit = Some(output),
        }
    }

    fn place(&mut self, pointer: &str, result_path: &ResultPath, result: &Shape) -> Shape {
        match result_path {
            ResultPath::Replace => result.clone(),
            ResultPath::Discard => self.entry.payload.clone(),
            ResultPath::At(path) => self.entry.payload.with(path, result).unwrap_or_else(|| {
                let message = format!(
                    "'{}' is no place in the state's input, which {}",
                    path.path().as_str(),
                    self.entry.payload.describe()
                );
                self.findings
                    .add(&UNFIT_RESULT_PATH, &format!("{pointer}/ResultPath"), message);
                Shape::Any
            }),
        }
    }

    /// The variables after an `Assign`.
    fn assign(&mut self, pointer: &str, assign: Option<&Template>, scope: &Scope<'_>) -> Variables {
        let before = &self.entry.variables;
        let Some(template) = assign else {
            return before.clone();
        };
        let assigned = scope.template(pointer, template, self.findings);
        let is_given = matches!(&template.node, Node::Object(_) | Node::Constant(_));
        let (Shape::Object(fields), true) = (assigned, is_given) else {
            return Variables {
                others: true,
                ..before.widened()
            };
        };
        let mut known = (*before.known).clone();
        for (name, shape) in &fields.known {
            if self.outer.is_some_and(|outer| outer.contains(name)) {
                let message = format!("the flow around this one has a variable ${name} already, which keeps its value");
                self.findings.add(&SHADOWED_VARIABLE, pointer, message);
            }
            let variable = Variable {
                shape: shape.clone(),
                always: true,
            };
            known.insert(name.clone(), variable);
        }
        Variables {
            known: Arc::new(known),
            others: before.others,
        }
    }

    /// Where an error leads.
    fn catch(&mut self) {
        let state = self.state;
        for (index, catcher) in state.catch.iter().enumerate() {
            let pointer = self.pointer(&format!("Catch[{index}]"));
            let error = Shape::object([("Error", Shape::Leaf), ("Cause", Shape::Leaf)]);
            let assign = format!("{pointer}/Assign");
            let (payload, variables) = match state.language {
                QueryLanguage::JsonPath => {
                    let placed = self.place(&pointer, &catcher.result_path, &error);
                    let scope = self.scope(&error, "the error output");
                    (placed, self.assign(&assign, catcher.assign.as_ref(), &scope))
                }
                QueryLanguage::Jsonata => {
                    let scope = Scope {
                        error_output: Some(error.clone()),
                        ..self.on_input()
                    };
                    let payload = match &catcher.output {
                        Some(template) => scope.template(&format!("{pointer}/Output"), template, self.findings),
                        None => error.clone(),
                    };
                    (payload, self.assign(&assign, catcher.assign.as_ref(), &scope))
                }
            };
            self.steps.edges.push((&catcher.next, payload, variables));
        }
    }
}

const INPUT: &str = "the state's input";
const RESULT: &str = "the state's result";

/// The paths whose presence a rule asks.
fn presence<'r>(rule: &'r Rule, paths: &mut Vec<&'r Path>) {
    match rule {
        Rule::And(rules) | Rule::Or(rules) => rules.iter().for_each(|rule| presence(rule, paths)),
        Rule::Not(rule) => presence(rule, paths),
        Rule::Test {
            variable,
            test: Test::IsPresent(_),
        } => paths.push(variable),
        Rule::Test { .. } | Rule::Constant(_) | Rule::Condition(_) => {}
    }
}
