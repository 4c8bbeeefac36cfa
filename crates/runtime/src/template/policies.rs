//! `Policies` and `Role`: what a function or a state machine may do.
//!
//! Statements are read as IAM reads them, and what it would refuse is a problem with its place. What only AWS knows (a
//! policy of its own, an attribute of a resource that is not here) is a warning, and nothing is refused for it.

mod known;

use std::fmt;

use super::{
    Problem, Role, Severity,
    loader::Context,
    names,
    node::{Entry, Node, Position, Value},
    resolver::{Resolver, Resource, stand_in},
};
use crate::iam::{ActionPattern, Condition, Effect, Policy, ResourcePattern, Seen, Selection, Statement};

/// A condition's value that could not be resolved.
const UNRESOLVED: &str = "${unresolved}";

/// The properties that [`role`] reads.
pub(super) const PROPERTIES: [&str; 2] = ["Policies", "Role"];

/// The code of a permission that is not judged here.
const NOT_JUDGED: &str = "PERMISSION_NOT_JUDGED";

/// The role of a function or a state machine.
pub(super) fn role(resource: &Resource<'_>, context: &Context<'_>) -> Role {
    let mut reader = Reader {
        id: resource.id,
        resolver: context.resolver,
        statements: Vec::new(),
        is_whole: true,
    };
    let given = resource.properties.get("Role").and_then(|role| reader.resolve(role));
    let name = match given {
        // With a role of its own SAM makes none, and leaves out the policies.
        Some(role) => reader.given(&role),
        None => {
            let name = format!("{}Role", resource.id);
            if let Some(policies) = resource.properties.get("Policies") {
                reader.policies(policies);
            }
            reader.attached(&name);
            name
        }
    };
    reader.bounded(resource);
    if let Some(connectors) = resource.connectors {
        reader.not_judged(connectors.at, "what its Connectors let it do is not known here");
    }
    Role {
        name,
        policy: reader.is_whole.then_some(Policy {
            statements: reader.statements,
        }),
    }
}

/// Gathers the statements of one role.
struct Reader<'r> {
    /// Whose role it is, for messages.
    id: &'r str,
    resolver: &'r Resolver<'r>,
    statements: Vec<Statement>,
    /// Whether all that it may do is known.
    is_whole: bool,
}

impl<'r> Reader<'r> {
    fn report(&self, at: Position, message: impl fmt::Display) {
        self.resolver.report(at, format!("{}, Policies: {message}", self.id));
    }

    fn warn(&self, at: Position, message: impl fmt::Display, help: &'static str) {
        self.resolver.push(Problem {
            severity: Severity::Warning,
            code: NOT_JUDGED,
            help: Some(help),
            ..self.resolver.problem(at, format!("{}: {message}", self.id))
        });
    }

    /// Says that the whole role is not judged, and why.
    fn not_judged(&mut self, at: Position, why: impl fmt::Display) {
        self.warn(
            at,
            why,
            "whatever it asks of services is let pass here; AWS may refuse it",
        );
        self.is_whole = false;
    }

    /// Tells of a boundary, which forbids only on AWS.
    fn bounded(&self, resource: &Resource<'_>) {
        if let Some(boundary) = resource.properties.get("PermissionsBoundary") {
            let help = "what it forbids is let pass here; AWS refuses it";
            self.warn(boundary.at, "its PermissionsBoundary is not judged", help);
        }
    }

    /// What cannot be resolved becomes [`Value::Invalid`], with a warning.
    fn resolve(&self, node: &Node) -> Option<Node> {
        let (resolved, problems) = self.resolver.resolve_leniently(node);
        for problem in problems {
            self.resolver.push(Problem {
                severity: Severity::Warning,
                code: NOT_JUDGED,
                message: format!("{}: a permission that only AWS knows: {}", self.id, problem.message),
                help: Some("it is taken as one that allows; AWS may refuse what is let pass here"),
                ..problem
            });
        }
        resolved
    }

    /// A `Role`: one of the template's, whose policies are read; the name of it.
    fn given(&mut self, role: &Node) -> String {
        let text = role.as_text().unwrap_or_default().to_owned();
        let mut roles = self.resources("AWS::IAM::Role");
        let Some(found) = roles.find(|found| text.contains(&stand_in(found.id))) else {
            let name = text.rsplit('/').next().unwrap_or_default().to_owned();
            self.not_judged(role.at, "its role is not one of the template's");
            return name;
        };
        let named = found.properties.get("RoleName").and_then(|name| self.resolve(name));
        let name = named.as_ref().and_then(Node::as_text).unwrap_or(found.id).to_owned();
        if let Some(policies) = found
            .properties
            .get("Policies")
            .and_then(|policies| self.resolve(policies))
        {
            each(&policies).for_each(|policy| self.inner_document(policy));
        }
        if let Some(managed) = found.properties.get("ManagedPolicyArns") {
            self.policies(managed);
        }
        self.bounded(found);
        self.attached(&stand_in(found.id));
        if name != found.id {
            self.attached(&name);
        }
        name
    }

    fn resources(&self, type_name: &'static str) -> impl Iterator<Item = &'r Resource<'r>> + use<'r> {
        let resolver = self.resolver;
        let all = resolver.resources();
        all.filter(move |resource| resource.type_name == type_name && resolver.exists(resource))
    }

    /// The policies that name this role themselves.
    fn attached(&mut self, role: &str) {
        for (type_name, property) in [
            ("AWS::IAM::Policy", "Roles"),
            ("AWS::IAM::ManagedPolicy", "Roles"),
            ("AWS::IAM::RolePolicy", "RoleName"),
        ] {
            for policy in self.resources(type_name) {
                let Some(roles) = policy.properties.get(property) else {
                    continue;
                };
                // Whatever else is there is another role's, and told with it.
                let (roles, _) = self.resolver.resolve_leniently(roles);
                if roles.iter().flat_map(each).any(|named| named.as_text() == Some(role)) {
                    self.resource_document(policy);
                }
            }
        }
    }

    fn resource_document(&mut self, policy: &Resource<'_>) {
        if let Some(properties) = self.resolve(&policy.properties) {
            self.inner_document(&properties);
        }
    }

    /// What has a `PolicyDocument`.
    fn inner_document(&mut self, policy: &Node) {
        let statement = policy
            .get("PolicyDocument")
            .and_then(|document| document.get("Statement"));
        match statement {
            Some(statement) => self.statements_of(statement),
            None if policy.is_invalid() => self.is_whole = false,
            None => self.report(policy.at, "a policy has a PolicyDocument with a Statement"),
        }
    }

    /// `Policies` as SAM has them: names, documents and policy templates, one or a list.
    fn policies(&mut self, policies: &Node) {
        let Some(policies) = self.resolve(policies) else {
            return;
        };
        for policy in each(&policies) {
            match &policy.value {
                Value::Invalid => self.is_whole = false,
                Value::Text(name) => self.named(policy.at, name),
                Value::Map(entries) => match (policy.get("Statement"), entries.as_slice()) {
                    (Some(statement), _) => self.statements_of(statement),
                    (None, [template]) if matches!(template.value.value, Value::Map(_)) => self.template(template),
                    (None, _) => self.report(
                        policy.at,
                        "a policy has a Statement or names a policy template with its parameters",
                    ),
                },
                _ => self.report(
                    policy.at,
                    "a policy is the name of one, a document or a policy template",
                ),
            }
        }
    }

    /// A policy of the template's or of AWS's, by its name or ARN.
    fn named(&mut self, at: Position, name: &str) {
        let mut own = self.resources("AWS::IAM::ManagedPolicy");
        if let Some(own) = own.find(|policy| name == stand_in(policy.id)) {
            return self.resource_document(own);
        }
        let is_aws = !name.starts_with("arn:") || name.contains(":iam::aws:policy/");
        let last = name.rsplit('/').next().unwrap_or(name);
        match known::managed(last).filter(|_| is_aws) {
            Some([]) => {}
            Some(actions) => self.allow(actions, vec![ResourcePattern::All]),
            None => self.not_judged(at, format_args!("the policy {name} is not known here")),
        }
    }

    /// A policy template of SAM's.
    fn template(&mut self, template: &Entry) {
        let name = &template.key;
        let Some(statements) = known::template(name) else {
            if !known::concerns_others(name) {
                self.not_judged(
                    template.at,
                    format_args!("the policy template {name} is not known here"),
                );
            }
            return;
        };
        let region = &self.resolver.settings.region;
        for (actions, resources) in statements {
            let mut patterns = Vec::new();
            for resource in *resources {
                match filled(resource, &template.value) {
                    Ok(text) => patterns.push(ResourcePattern::parse(&names::own_arn(region, &text))),
                    Err(Missing::Unresolved) => patterns.push(ResourcePattern::Unknown),
                    Err(Missing::Parameter(parameter)) => {
                        self.report(template.at, format_args!("{name} has the parameter {parameter}"));
                    }
                }
            }
            self.allow(actions, patterns);
        }
    }

    fn allow(&mut self, actions: &[&str], resources: Vec<ResourcePattern>) {
        let actions = actions.iter().map(|action| ActionPattern::parse(action));
        self.statements.push(Statement {
            effect: Effect::Allow,
            actions: Selection::Only(
                actions
                    .map(|action| action.expect("AWS's own actions are well formed"))
                    .collect(),
            ),
            resources: Selection::Only(resources),
            conditions: Vec::new(),
            seen: Seen::default(),
        });
    }

    fn statements_of(&mut self, statements: &Node) {
        for statement in each(statements) {
            match &statement.value {
                Value::Invalid => self.is_whole = false,
                // Nobody knows what it would allow or deny.
                Value::Map(_) if Self::is_vague(statement) => self.is_whole = false,
                Value::Map(_) => {
                    let read = self.statement(statement);
                    self.statements.extend(read);
                }
                _ => self.report(statement.at, "a statement is a map of Effect, Action and Resource"),
            }
        }
    }

    /// Whether the effect or an action of a statement could not be resolved.
    fn is_vague(statement: &Node) -> bool {
        let members = ["Effect", "Action", "NotAction"].into_iter();
        let mut members = members.filter_map(|member| statement.get(member)).flat_map(each);
        members.any(Node::is_invalid)
    }

    /// Whether a text is made of an alias or a version, which is not here while what it is of runs.
    fn is_of_an_alias(&self, text: &str) -> bool {
        const TYPES: [&str; 3] = [
            "AWS::Lambda::Alias",
            "AWS::Lambda::Version",
            "AWS::StepFunctions::StateMachineAlias",
        ];
        TYPES.iter().any(|type_name| {
            self.resources(type_name)
                .any(|alias| text.contains(&stand_in(alias.id)))
        })
    }

    /// One statement; `None` if it is malformed, which has been reported.
    fn statement(&self, statement: &Node) -> Option<Statement> {
        const MEMBERS: [&str; 7] = [
            "Action",
            "Condition",
            "Effect",
            "NotAction",
            "NotResource",
            "Resource",
            "Sid",
        ];
        for entry in statement.entries() {
            if !MEMBERS.contains(&entry.key.as_str()) {
                self.report(entry.at, format_args!("a statement of a role has no {}", entry.key));
            }
        }
        let effect = match statement.get("Effect").and_then(Node::as_text) {
            Some("Allow") => Some(Effect::Allow),
            Some("Deny") => Some(Effect::Deny),
            _ => {
                self.report(statement.at, "a statement has the Effect Allow or Deny");
                None
            }
        };
        let action = |node: &Node| match ActionPattern::parse(node.as_text()?) {
            Ok(pattern) => Some(pattern),
            Err(malformed) => {
                self.report(node.at, malformed);
                None
            }
        };
        let actions = self.selection(statement, "Action", "NotAction", "an Action", action);
        let resource = |node: &Node| {
            let text = match node.value {
                Value::Invalid => return Some(ResourcePattern::Unknown),
                _ => node.as_text()?,
            };
            // The whole of a resource that is not here may stand for its ARN.
            if !text.starts_with("arn:") && !text.starts_with(['*', '{', '$']) {
                self.report(node.at, format_args!("a resource is an ARN or *, not {text:?}"));
            }
            if self.is_of_an_alias(text) {
                self.doubt(
                    node.at,
                    format_args!("the resource {text} is an alias or a version of what runs here"),
                );
                return Some(ResourcePattern::Unknown);
            }
            let pattern = ResourcePattern::parse(text);
            if pattern == ResourcePattern::Unknown {
                self.doubt(node.at, format_args!("the resource {text} has a variable"));
            }
            Some(pattern)
        };
        let resources = self.selection(statement, "Resource", "NotResource", "a Resource", resource);
        let conditions = self.conditions(statement.get("Condition"));
        Some(Statement {
            effect: effect?,
            actions: actions?,
            resources: resources?,
            conditions,
            seen: Seen::default(),
        })
    }

    /// The one of two members that a statement must have.
    fn selection<T>(
        &self,
        statement: &Node,
        name: &str,
        negated: &str,
        wanted: &str,
        parse: impl Fn(&Node) -> Option<T>,
    ) -> Option<Selection<T>> {
        let (node, is_negated) = match (statement.get(name), statement.get(negated)) {
            (Some(node), None) => (node, false),
            (None, Some(node)) => (node, true),
            (None, None) => {
                self.report(statement.at, format_args!("a statement has {wanted}"));
                return None;
            }
            (Some(_), Some(node)) => {
                self.report(node.at, format_args!("a statement has either {name} or {negated}"));
                return None;
            }
        };
        let mut patterns = Vec::new();
        for one in each(node) {
            if one.as_text().is_none() && !one.is_invalid() {
                self.report(
                    one.at,
                    format_args!("{name} is text or a list of texts, not {}", one.kind()),
                );
            }
            patterns.extend(parse(one));
        }
        Some(match is_negated {
            false => Selection::Only(patterns),
            true => Selection::AllBut(patterns),
        })
    }

    fn conditions(&self, conditions: Option<&Node>) -> Vec<Condition> {
        let operators = conditions.map_or(&[][..], Node::entries).iter();
        let maps = conditions
            .into_iter()
            .chain(operators.clone().map(|operator| &operator.value));
        let wrong = maps.filter(|node| !matches!(node.value, Value::Map(_)));
        let (vague, wrong): (Vec<&Node>, Vec<&Node>) = wrong.partition(|node| node.is_invalid());
        for node in wrong {
            let kind = node.kind();
            self.report(
                node.at,
                format_args!("a Condition is a map of operators to maps of keys, not {kind}"),
            );
        }
        let keys = operators.flat_map(|operator| operator.value.entries().iter().map(move |key| (operator, key)));
        // Conditions that could not be resolved are one that only AWS can judge.
        let unresolved = vague.iter().map(|_| Condition::new("StringEquals", "", [UNRESOLVED]));
        let mut read: Vec<Condition> = unresolved.flatten().collect();
        for (operator, key) in keys {
            let mut values = Vec::new();
            for value in each(&key.value) {
                match value.as_text() {
                    Some(text) => values.push(text),
                    // As vague as a variable.
                    None if value.is_invalid() => values.push(UNRESOLVED),
                    None => self.report(
                        value.at,
                        format_args!("a condition's value is text, not {}", value.kind()),
                    ),
                }
            }
            match Condition::new(&operator.key, &key.key, values) {
                Ok(condition) => {
                    if !condition.is_judged() {
                        self.doubt(key.at, format_args!("{} of {} is not judged", operator.key, key.key));
                    }
                    read.push(condition);
                }
                Err(unknown) => self.report(operator.at, unknown),
            }
        }
        read
    }

    /// Says that a statement cannot be judged to its end.
    fn doubt(&self, at: Position, what: impl fmt::Display) {
        let help = "an Allow counts as if it held, and a Deny as if it did not; AWS may refuse what is let pass here";
        self.warn(at, what, help);
    }
}

/// One or a list.
fn each(node: &Node) -> impl Iterator<Item = &Node> {
    let single = std::slice::from_ref(node);
    match &node.value {
        Value::List(items) => items.iter(),
        _ => single.iter(),
    }
}

/// Why a policy template cannot be filled in.
enum Missing<'t> {
    Parameter(&'t str),
    /// Which has been told.
    Unresolved,
}

/// The text with `{Parameter}` replaced by its value.
fn filled<'t>(text: &'t str, parameters: &Node) -> Result<String, Missing<'t>> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("AWS's own templates are well formed");
        filled.push_str(before);
        match parameters.get(name) {
            Some(value) if value.is_invalid() => return Err(Missing::Unresolved),
            Some(value) => filled.push_str(value.as_text().ok_or(Missing::Parameter(name))?),
            None => return Err(Missing::Parameter(name)),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests;
