//! The events of functions and state machines: what calls them.

use super::{
    Rule, Schedule, Target, TargetInput,
    api::DeclaredRoute,
    loader::Context,
    node::{Entry, Node, Position},
    properties::Properties,
};

/// Everything that calls something, collected over all resources.
#[derive(Default)]
pub(super) struct Events {
    pub(super) routes: Vec<DeclaredRoute>,
    pub(super) rules: Vec<Rule>,
    pub(super) schedules: Vec<Schedule>,
}

impl Events {
    /// Reads the `Events` of the resource `owner`, which is `target`.
    pub(super) fn read(&mut self, owner: &str, target: &Target, events: &Node, context: &Context<'_>) {
        for event in Properties::new(context.resolver, format!("{owner}, Events"), events).into_entries() {
            self.event(owner, target, &event, context);
        }
    }

    fn event(&mut self, owner: &str, target: &Target, event: &Entry, context: &Context<'_>) {
        let resolver = context.resolver;
        let name = format!("{owner}, event {}", event.key);
        let nothing = Node {
            at: event.value.at,
            value: super::node::Value::Map(Vec::new()),
        };
        let properties = event.value.get("Properties").unwrap_or(&nothing);
        let properties = Properties::new(resolver, &name, properties);
        // The id that SAM gives the rule it makes of the event.
        let rule_id = format!("{owner}{}", event.key);
        match (event.value.get("Type").and_then(Node::as_text), target) {
            (Some("HttpApi"), Target::Function(function)) => {
                self.routes.extend(DeclaredRoute::read(properties, function, event.at));
            }
            (Some("EventBridgeRule" | "CloudWatchEvent"), _) => self.rule(rule_id, target, properties),
            (Some("Schedule"), _) => self.schedule(rule_id, target, properties),
            (Some(type_name), _) => resolver.report(event.at, format!("{name}: the type {type_name} is not supported")),
            (None, _) => resolver.report(event.at, format!("{name}: Type is missing")),
        }
    }

    fn rule(&mut self, id: String, target: &Target, mut properties: Properties<'_>) {
        ignore_delivery(&mut properties);
        default_bus(&mut properties);
        let name = properties.text("RuleName").unwrap_or(id);
        let enabled = enabled(&mut properties);
        let input = input(&mut properties);
        let at = properties.at;
        let pattern = properties.node("Pattern");
        match pattern {
            None => properties.report(at, "Pattern is missing"),
            Some(pattern) => self.rules.push(Rule {
                name,
                enabled,
                pattern: pattern.to_json(),
                target: target.clone(),
                input,
                position: pattern.at,
            }),
        }
        properties.finish();
    }

    fn schedule(&mut self, id: String, target: &Target, mut properties: Properties<'_>) {
        ignore_delivery(&mut properties);
        properties.ignore(&["Description"]);
        let name = properties.text("Name").unwrap_or(id);
        let enabled = enabled(&mut properties);
        let input = input(&mut properties);
        let position = properties.position_of("Schedule");
        if let Some(expression) = properties.required_text("Schedule") {
            self.schedules.push(Schedule {
                name,
                expression,
                enabled,
                target: target.clone(),
                input,
                position,
            });
        }
        properties.finish();
    }
}

/// They say what becomes of events that cannot be handed to the target, which does not happen on one machine.
fn ignore_delivery(properties: &mut Properties<'_>) {
    properties.ignore(&["DeadLetterConfig", "RetryPolicy", "Role", "RoleArn", "Target"]);
}

fn default_bus(properties: &mut Properties<'_>) {
    let at = properties.position_of("EventBusName");
    if let Some(bus) = properties.text("EventBusName").filter(|bus| bus != "default") {
        properties.report(
            at,
            format!("EventBusName {bus} is not supported: there is the default bus only"),
        );
    }
}

fn enabled(properties: &mut Properties<'_>) -> bool {
    let state = properties
        .one_of("State", &["ENABLED", "DISABLED"])
        .map(|state| state == "ENABLED");
    let enabled = properties.boolean("Enabled");
    state.or(enabled).unwrap_or(true)
}

fn input(properties: &mut Properties<'_>) -> TargetInput {
    let at: Position = properties.position_of("Input");
    let constant = properties.text("Input");
    let path = properties.text("InputPath");
    let parsed = constant.as_deref().map(serde_json::from_str::<serde::de::IgnoredAny>);
    if let Some(Err(error)) = parsed {
        properties.report(at, format!("Input is not JSON: {error}"));
    }
    match (constant, path) {
        (Some(_), Some(_)) => {
            properties.report(at, "Input and InputPath exclude each other");
            TargetInput::Event
        }
        (Some(text), None) => TargetInput::Constant(text),
        (None, Some(path)) if path == "$" => TargetInput::Event,
        (None, Some(path)) => TargetInput::Path(path),
        (None, None) => TargetInput::Event,
    }
}
