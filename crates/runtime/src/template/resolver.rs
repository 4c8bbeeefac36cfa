//! Intrinsic functions: what `Ref`, `Fn::Sub`, `Fn::If` and the others stand for in this template.
//!
//! A node is resolved when it is read, never before: what nobody reads (an alarm, a log) may refer to whatever
//! exists on AWS only. What cannot be resolved is reported once and becomes [`Value::Invalid`].

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    ACCOUNT_ID, INVALID_TEMPLATE, PARTITION, Problem, STACK_NAME, Settings, Severity, URL_SUFFIX,
    names::{self, Kind},
    node::{Entry, Node, Position, Value},
    parameters::Parameter,
};

/// What stands in place of a `NoEcho` parameter's value wherever people see it, as in CloudFormation.
const MASK: &str = "****";

/// What stands for a resource that does not run here: no name and no ARN of what does has braces.
pub(super) fn stand_in(logical_id: &str) -> String {
    format!("{{{logical_id}}}")
}

/// One resource of the template, Globals merged in.
pub(super) struct Resource<'t> {
    pub(super) id: &'t str,
    pub(super) at: Position,
    pub(super) kind: Kind,
    pub(super) type_name: &'t str,
    pub(super) properties: Node,
    pub(super) metadata: Option<&'t Node>,
    /// The name of the condition under which it exists.
    pub(super) condition: Option<&'t Node>,
    /// From which SAM makes policies.
    pub(super) connectors: Option<&'t Node>,
}

/// A value that is computed when it is first asked for.
#[derive(Clone)]
enum Memo<T> {
    UnderWay,
    Known(T),
}

pub(super) struct Resolver<'t> {
    file: &'t Path,
    pub(super) settings: &'t Settings,
    parameters: BTreeMap<&'t str, Parameter>,
    mappings: Option<&'t Node>,
    conditions: Option<&'t Node>,
    resources: BTreeMap<&'t str, Resource<'t>>,
    truths: RefCell<BTreeMap<String, Memo<Option<bool>>>>,
    names: RefCell<BTreeMap<String, Memo<Option<String>>>>,
    problems: RefCell<Vec<Problem>>,
    masked: Cell<bool>,
    lenient: Cell<bool>,
}

impl<'t> Resolver<'t> {
    pub(super) fn new(
        file: &'t Path,
        settings: &'t Settings,
        template: &'t Node,
        parameters: BTreeMap<&'t str, Parameter>,
        problems: Vec<Problem>,
    ) -> Resolver<'t> {
        Resolver {
            file,
            settings,
            parameters,
            mappings: template.get("Mappings"),
            conditions: template.get("Conditions"),
            resources: BTreeMap::new(),
            truths: RefCell::default(),
            names: RefCell::default(),
            problems: RefCell::new(problems),
            masked: Cell::new(false),
            lenient: Cell::new(false),
        }
    }

    pub(super) fn add(&mut self, resource: Resource<'t>) {
        self.resources.insert(resource.id, resource);
    }

    pub(super) fn resources(&self) -> impl Iterator<Item = &Resource<'t>> {
        self.resources.values()
    }

    pub(super) fn resource(&self, id: &str) -> Option<&Resource<'t>> {
        self.resources.get(id)
    }

    pub(super) fn report(&self, at: Position, message: impl Into<String>) {
        self.report_in(self.file.to_owned(), at, message);
    }

    pub(super) fn report_in(&self, file: PathBuf, at: Position, message: impl Into<String>) {
        self.push(Problem {
            file,
            ..self.problem(at, message)
        });
    }

    /// An error of the template, not reported yet.
    pub(super) fn problem(&self, at: Position, message: impl Into<String>) -> Problem {
        Problem {
            file: self.file.to_owned(),
            line: at.line,
            column: at.column,
            severity: Severity::Error,
            code: INVALID_TEMPLATE,
            message: message.into(),
            help: None,
        }
    }

    /// Adds a problem, without the values that no one may see.
    pub(super) fn push(&self, mut problem: Problem) {
        let secrets = self.parameters.values().filter(|parameter| parameter.no_echo);
        for text in secrets
            .filter_map(|parameter| parameter.value.as_text())
            .filter(|text| !text.is_empty())
        {
            problem.message = problem.message.replace(text, MASK);
        }
        self.problems.borrow_mut().push(problem);
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// Resolves for people's eyes: `NoEcho` parameters are masked.
    pub(super) fn resolve_masked(&self, node: &Node) -> Option<Node> {
        self.masked.set(true);
        let resolved = self.resolve(node);
        self.masked.set(false);
        resolved
    }

    /// Resolves what may name things that are only on AWS, and says what could not be.
    ///
    /// What does not run here stands as [`stand_in`] of its logical id.
    pub(super) fn resolve_leniently(&self, node: &Node) -> (Option<Node>, Vec<Problem>) {
        let known = self.problems.borrow().len();
        self.lenient.set(true);
        let resolved = self.resolve(node);
        self.lenient.set(false);
        (resolved, self.problems.borrow_mut().split_off(known))
    }

    /// What stands for a resource that does not run here.
    fn outsider(&self, id: &str) -> Option<String> {
        let resource = self.resources.get(id)?;
        (self.lenient.get() && resource.kind == Kind::Ignored).then(|| stand_in(id))
    }

    /// The node with every intrinsic function in it replaced by its value; `None` for `AWS::NoValue`.
    pub(super) fn resolve(&self, node: &Node) -> Option<Node> {
        if let Some((function, argument)) = node.intrinsic() {
            return self.call(function, argument, node.at);
        }
        let value = match &node.value {
            Value::List(items) => Value::List(items.iter().filter_map(|item| self.resolve(item)).collect()),
            Value::Map(entries) => {
                let resolved = entries.iter().filter_map(|entry| {
                    let value = self.resolve(&entry.value)?;
                    Some(Entry {
                        key: entry.key.clone(),
                        at: entry.at,
                        value,
                    })
                });
                Value::Map(resolved.collect())
            }
            scalar => scalar.clone(),
        };
        Some(Node { at: node.at, value })
    }

    fn call(&self, function: &str, argument: &Node, at: Position) -> Option<Node> {
        let result = match function {
            "Ref" => return self.reference_node(argument, at),
            "Fn::If" => return self.if_else(argument, at),
            "Fn::GetAtt" => self.get_att(argument, at),
            "Fn::Sub" => self.sub(argument, at),
            "Fn::Join" => self.join(argument, at),
            "Fn::Split" => self.split(argument, at),
            "Fn::Select" => self.select(argument, at),
            "Fn::FindInMap" => self.find_in_map(argument, at),
            "Fn::Base64" => self
                .text(argument, function)
                .map(|text| Value::Text(STANDARD.encode(text))),
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
                self.report(
                    at,
                    format!("{function} belongs into Conditions; here Fn::If takes a condition's name"),
                );
                None
            }
            _ => {
                self.report(at, format!("{function} is not supported"));
                None
            }
        };
        Some(Node {
            at,
            value: result.unwrap_or(Value::Invalid),
        })
    }

    /// The argument as text, intrinsic functions in it resolved.
    fn text(&self, argument: &Node, function: &str) -> Option<String> {
        let resolved = self.resolve(argument)?;
        let text = resolved.as_text().map(str::to_owned);
        if text.is_none() && !resolved.is_invalid() {
            self.report(
                argument.at,
                format!("{function} wants text here, not {}", resolved.kind()),
            );
        }
        text
    }

    fn list(&self, argument: &Node, function: &str) -> Option<Vec<Node>> {
        let resolved = self.resolve(argument)?;
        match resolved.value {
            Value::List(items) => Some(items),
            Value::Invalid => None,
            _ => {
                self.report(
                    argument.at,
                    format!("{function} wants a list here, not {}", resolved.kind()),
                );
                None
            }
        }
    }

    /// The arguments of a function that takes exactly `N`.
    fn arguments<'n, const N: usize>(&self, argument: &'n Node, at: Position, usage: &str) -> Option<&'n [Node; N]> {
        let arguments = argument.items().try_into().ok();
        if arguments.is_none() {
            self.report(at, format!("this is written {usage}"));
        }
        arguments
    }

    fn reference_node(&self, argument: &Node, at: Position) -> Option<Node> {
        let Some(name) = argument.as_text() else {
            self.report(at, format!("Ref wants a name, not {}", argument.kind()));
            return Some(Node::invalid(at));
        };
        if name == "AWS::NoValue" {
            return None;
        }
        Some(Node {
            at,
            value: self.reference(name, at).unwrap_or(Value::Invalid),
        })
    }

    fn reference(&self, name: &str, at: Position) -> Option<Value> {
        if let Some(parameter) = self.parameters.get(name) {
            let hidden = parameter.no_echo && self.masked.get();
            return Some(if hidden {
                Value::Text(MASK.into())
            } else {
                parameter.value.value.clone()
            });
        }
        let text = match name {
            "AWS::Region" => self.settings.region.clone(),
            "AWS::AccountId" => ACCOUNT_ID.into(),
            "AWS::Partition" => PARTITION.into(),
            "AWS::StackName" => STACK_NAME.into(),
            "AWS::URLSuffix" => URL_SUFFIX.into(),
            "AWS::StackId" => names::stack_arn(&self.settings.region),
            "AWS::NotificationARNs" => return Some(Value::List(Vec::new())),
            _ => self.resource_reference(name, at)?,
        };
        Some(Value::Text(text))
    }

    fn resource_reference(&self, name: &str, at: Position) -> Option<String> {
        let region = &self.settings.region;
        if let Some(outsider) = self.outsider(name) {
            return Some(outsider);
        }
        if let Some((id, part @ ("Alias" | "Version"))) = name.split_once('.') {
            return self.alias_or_version(id, part, at);
        }
        if let Some(physical) = self.generated_role(name) {
            return Some(physical);
        }
        let kind = self.used_kind(name, at)?;
        match kind {
            Kind::HttpApi => return Some(names::API_ID.into()),
            Kind::UserPool => return Some(names::user_pool_id(region, name)),
            Kind::UserPoolClient => return Some(names::user_pool_client_id(name)),
            _ => {}
        }
        let physical = self.physical_name(name)?;
        Some(match kind {
            Kind::StateMachine => names::state_machine_arn(region, &physical),
            Kind::Secret => names::secret_arn(region, &physical),
            _ => physical,
        })
    }

    /// SAM gives each function and state machine without a `Role` one of its own, that templates may refer to.
    fn generated_role(&self, name: &str) -> Option<String> {
        if self.resources.contains_key(name) {
            return None;
        }
        let owner = self.resources.get(name.strip_suffix("Role")?)?;
        matches!(owner.kind, Kind::Function | Kind::StateMachine).then(|| name.to_owned())
    }

    fn alias_or_version(&self, id: &str, part: &str, at: Position) -> Option<String> {
        let kind = self.used_kind(id, at)?;
        let physical = self.physical_name(id)?;
        let region = &self.settings.region;
        let arn = match kind {
            Kind::Function => names::function_arn(region, &physical),
            Kind::StateMachine if part == "Version" => {
                self.report(
                    at,
                    format!("{id}.Version has its number only once it is published: refer to {id}.Alias"),
                );
                return None;
            }
            Kind::StateMachine => names::state_machine_arn(region, &physical),
            _ => {
                self.report(
                    at,
                    format!("{id} has no {part}: it is neither a function nor a state machine"),
                );
                return None;
            }
        };
        let alias = self
            .resources
            .get(id)?
            .properties
            .get("AutoPublishAlias")
            .and_then(|alias| self.resolve(alias));
        let Some(alias) = alias.as_ref().and_then(Node::as_text) else {
            self.report(at, format!("{id} has no {part}: it has no AutoPublishAlias"));
            return None;
        };
        // What is published of a function is what lies on disk, so there is one version.
        let qualifier = if part == "Alias" { alias } else { "1" };
        Some(format!("{arn}:{qualifier}"))
    }

    /// The kind of a resource that exists and runs here.
    fn used_kind(&self, id: &str, at: Position) -> Option<Kind> {
        if id == names::IMPLICIT_API && !self.resources.contains_key(id) {
            return Some(Kind::HttpApi);
        }
        let Some(resource) = self.resources.get(id) else {
            self.report(at, format!("there is no parameter or resource {id}"));
            return None;
        };
        if matches!(resource.kind, Kind::Ignored | Kind::Unsupported) {
            let type_name = resource.type_name;
            self.report(
                at,
                format!("{id} is a {type_name}, which does not run here: nothing that runs can use it"),
            );
            return None;
        }
        if !self.exists(resource) {
            self.report(at, format!("{id} does not exist: its condition is false"));
            return None;
        }
        Some(resource.kind)
    }

    /// Whether the issuer of that URL is a user pool of the template.
    pub(super) fn is_user_pool(&self, issuer: &str) -> bool {
        let provider = |id: &str| names::user_pool_provider(&self.settings.region, id);
        let Some(wanted) = issuer.strip_prefix("https://") else {
            return false;
        };
        let mut pools = self.resources().filter(|resource| resource.kind == Kind::UserPool);
        pools.any(|pool| provider(pool.id) == wanted && self.exists(pool))
    }

    /// Whether the resource's condition holds.
    pub(super) fn exists(&self, resource: &Resource<'_>) -> bool {
        match resource.condition.map(|condition| (condition.as_text(), condition.at)) {
            None => true,
            Some((Some(name), at)) => self.condition(name, at).unwrap_or(true),
            Some((None, at)) => {
                self.report(at, "Condition wants the name of a condition");
                true
            }
        }
    }

    /// The resource's name as AWS would list it: the given one, else its logical id.
    pub(super) fn physical_name(&self, id: &str) -> Option<String> {
        match self.names.borrow().get(id) {
            Some(Memo::Known(name)) => return name.clone(),
            Some(Memo::UnderWay) => {
                let at = self.resources.get(id).map_or(Position::START, |resource| resource.at);
                self.report(at, format!("the name of {id} depends on itself"));
                return None;
            }
            None => {}
        }
        self.names.borrow_mut().insert(id.to_owned(), Memo::UnderWay);
        let resource = self.resources.get(id)?;
        let given = names::name_property(resource.kind).and_then(|property| resource.properties.get(property));
        let name = match given.map(|given| self.resolve(given)) {
            None | Some(None) => Some(id.to_owned()),
            Some(Some(node)) => match node.as_text() {
                Some(text) if names::is_name(resource.kind, text) => Some(text.to_owned()),
                Some(text) => {
                    self.report(
                        node.at,
                        format!("{text:?} cannot be the name of a {}", resource.type_name),
                    );
                    None
                }
                None => {
                    if !node.is_invalid() {
                        self.report(node.at, format!("a name is text, not {}", node.kind()));
                    }
                    None
                }
            },
        };
        self.names.borrow_mut().insert(id.to_owned(), Memo::Known(name.clone()));
        name
    }

    fn get_att(&self, argument: &Node, at: Position) -> Option<Value> {
        let parts = match &argument.value {
            Value::Text(text) => text
                .split_once('.')
                .map(|(id, attribute)| (id.to_owned(), attribute.to_owned())),
            Value::List(items) => match items.as_slice() {
                [id, attribute] => Some((id.as_text()?.to_owned(), self.text(attribute, "Fn::GetAtt")?)),
                _ => None,
            },
            _ => None,
        };
        let Some((id, attribute)) = parts else {
            self.report(at, "this is written !GetAtt Resource.Attribute");
            return None;
        };
        self.attribute(&id, &attribute, at).map(Value::Text)
    }

    fn attribute(&self, id: &str, attribute: &str, at: Position) -> Option<String> {
        let region = &self.settings.region;
        if let Some(outsider) = self.outsider(id) {
            return Some(outsider);
        }
        if let Some(role) = self.generated_role(id).filter(|_| attribute == "Arn") {
            return Some(names::role_arn(&role));
        }
        let kind = self.used_kind(id, at)?;
        if kind == Kind::HttpApi {
            return match attribute {
                "ApiEndpoint" => Some(self.settings.gateway_url.clone()),
                "ApiId" => Some(names::API_ID.into()),
                _ => self.no_attribute(id, attribute, at),
            };
        }
        match (kind, attribute) {
            (Kind::UserPool, "ProviderName") => return Some(names::user_pool_provider(region, id)),
            (Kind::UserPool, "ProviderURL") => {
                return Some(format!("https://{}", names::user_pool_provider(region, id)));
            }
            (Kind::UserPool, "UserPoolId") => return Some(names::user_pool_id(region, id)),
            (Kind::UserPool, "Arn") => return Some(names::user_pool_arn(region, id)),
            (Kind::UserPoolClient, "ClientId") => return Some(names::user_pool_client_id(id)),
            _ => {}
        }
        let name = self.physical_name(id)?;
        match (kind, attribute) {
            (Kind::Function, "Arn") => Some(names::function_arn(region, &name)),
            (Kind::StateMachine, "Arn") => Some(names::state_machine_arn(region, &name)),
            (Kind::StateMachine, "Name") => Some(name),
            (Kind::Secret, "Id") => Some(names::secret_arn(region, &name)),
            (Kind::Table | Kind::SimpleTable, "Arn") => Some(names::table_arn(region, &name)),
            (Kind::Table, "StreamArn") => Some(names::stream_arn(region, &name)),
            _ => self.no_attribute(id, attribute, at),
        }
    }

    fn no_attribute(&self, id: &str, attribute: &str, at: Position) -> Option<String> {
        self.report(at, format!("{id} has no attribute {attribute} here"));
        None
    }

    fn sub(&self, argument: &Node, at: Position) -> Option<Value> {
        let none = Node {
            at,
            value: Value::Map(Vec::new()),
        };
        let (text, variables) = match &argument.value {
            Value::Text(text) => (text, &none),
            Value::List(items) => match items.as_slice() {
                [
                    Node {
                        value: Value::Text(text),
                        ..
                    },
                    variables @ Node {
                        value: Value::Map(_), ..
                    },
                ] => (text, variables),
                _ => return self.bad_sub(at),
            },
            _ => return self.bad_sub(at),
        };
        let mut result = String::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find("${") {
            result.push_str(&rest[..start]);
            let Some(length) = rest[start..].find('}') else {
                self.report(at, "Fn::Sub: a ${ is not closed");
                return None;
            };
            let name = rest[start + 2..start + length].trim();
            rest = &rest[start + length + 1..];
            match name.strip_prefix('!') {
                // `${!Literal}` is how one writes `${Literal}`.
                Some(literal) => result.push_str(&format!("${{{literal}}}")),
                None => result.push_str(&self.variable(name, variables, at)?),
            }
        }
        result.push_str(rest);
        Some(Value::Text(self.local_url(result)))
    }

    fn bad_sub(&self, at: Position) -> Option<Value> {
        self.report(at, "this is written !Sub text or !Sub [text, {Name: value}]");
        None
    }

    fn variable(&self, name: &str, variables: &Node, at: Position) -> Option<String> {
        let value = match (variables.get(name), name.split_once('.')) {
            (Some(value), _) => return self.text(value, "Fn::Sub"),
            (None, Some((id, attribute))) if !matches!(attribute, "Alias" | "Version") => {
                Value::Text(self.attribute(id, attribute, at)?)
            }
            (None, _) if name == "AWS::NoValue" => {
                self.report(at, "Fn::Sub cannot take AWS::NoValue");
                return None;
            }
            (None, _) => self.reference(name, at)?,
        };
        let text = Node { at, value }.as_text().map(str::to_owned);
        if text.is_none() {
            self.report(at, format!("Fn::Sub: {name} is a list, not text"));
        }
        text
    }

    /// Templates spell the URL of an API out of its id; here it is the gateway's.
    fn local_url(&self, text: String) -> String {
        text.replace(&names::api_url(&self.settings.region), &self.settings.gateway_url)
    }

    fn join(&self, argument: &Node, at: Position) -> Option<Value> {
        let [delimiter, list] = self.arguments(argument, at, "!Join [delimiter, [text, …]]")?;
        let delimiter = self.text(delimiter, "Fn::Join")?;
        let items = self.list(list, "Fn::Join")?;
        let texts: Option<Vec<String>> = items.iter().map(|item| self.text(item, "Fn::Join")).collect();
        Some(Value::Text(self.local_url(texts?.join(&delimiter))))
    }

    fn split(&self, argument: &Node, at: Position) -> Option<Value> {
        let [delimiter, text] = self.arguments(argument, at, "!Split [delimiter, text]")?;
        let delimiter = self.text(delimiter, "Fn::Split")?;
        let text = self.text(text, "Fn::Split")?;
        if delimiter.is_empty() {
            self.report(at, "Fn::Split wants a delimiter that is not empty");
            return None;
        }
        Some(Value::List(
            text.split(&delimiter).map(|part| Node::text(at, part)).collect(),
        ))
    }

    fn select(&self, argument: &Node, at: Position) -> Option<Value> {
        let [index, list] = self.arguments(argument, at, "!Select [index, list]")?;
        let index = self.text(index, "Fn::Select")?;
        let items = self.list(list, "Fn::Select")?;
        let chosen = index.parse::<usize>().ok().and_then(|index| items.get(index));
        if chosen.is_none() {
            self.report(
                at,
                format!("Fn::Select: there is no item {index} in a list of {}", items.len()),
            );
        }
        chosen.map(|item| item.value.clone())
    }

    fn find_in_map(&self, argument: &Node, at: Position) -> Option<Value> {
        let keys: &[Node; 3] = self.arguments(argument, at, "!FindInMap [Map, key, key]")?;
        let keys: Option<Vec<String>> = keys.iter().map(|key| self.text(key, "Fn::FindInMap")).collect();
        let keys = keys?;
        let found = keys.iter().try_fold(self.mappings?, |node, key| node.get(key));
        if found.is_none() {
            self.report(at, format!("Fn::FindInMap: there is no {} in Mappings", keys.join("/")));
        }
        found.map(|node| node.value.clone())
    }

    fn if_else(&self, argument: &Node, at: Position) -> Option<Node> {
        let Some([name, then, otherwise]) = self.arguments(argument, at, "!If [Condition, then, else]") else {
            return Some(Node::invalid(at));
        };
        let truth = match name.as_text() {
            Some(name) => self.condition(name, at),
            None => self.truth(name),
        };
        match truth {
            Some(true) => self.resolve(then),
            Some(false) => self.resolve(otherwise),
            None => Some(Node::invalid(at)),
        }
    }

    /// Whether the condition of that name holds; `None` once it is reported that nobody can say.
    pub(super) fn condition(&self, name: &str, at: Position) -> Option<bool> {
        match self.truths.borrow().get(name) {
            Some(Memo::Known(truth)) => return *truth,
            Some(Memo::UnderWay) => {
                self.report(at, format!("the condition {name} depends on itself"));
                return None;
            }
            None => {}
        }
        let Some(condition) = self.conditions.and_then(|conditions| conditions.get(name)) else {
            self.report(at, format!("there is no condition {name}"));
            return None;
        };
        self.truths.borrow_mut().insert(name.to_owned(), Memo::UnderWay);
        let truth = self.truth(condition);
        self.truths.borrow_mut().insert(name.to_owned(), Memo::Known(truth));
        truth
    }

    fn truth(&self, node: &Node) -> Option<bool> {
        let [entry] = node.entries() else {
            self.report(
                node.at,
                format!("a condition is a condition function, not {}", node.kind()),
            );
            return None;
        };
        let (argument, at) = (&entry.value, node.at);
        match entry.key.as_str() {
            "Condition" => match argument.as_text() {
                Some(name) => self.condition(name, at),
                None => {
                    self.report(at, "Condition wants the name of a condition");
                    None
                }
            },
            "Fn::Equals" => {
                let [left, right] = self.arguments(argument, at, "!Equals [value, value]")?;
                let (left, right) = (self.resolve(left), self.resolve(right));
                if left.iter().chain(&right).any(Node::is_invalid) {
                    return None;
                }
                Some(comparable(left.as_ref()) == comparable(right.as_ref()))
            }
            "Fn::Not" => {
                let [negated] = self.arguments(argument, at, "!Not [condition]")?;
                self.truth(negated).map(|truth| !truth)
            }
            "Fn::And" => self
                .truths(argument, at)
                .map(|truths| truths.iter().all(|truth| *truth)),
            "Fn::Or" => self
                .truths(argument, at)
                .map(|truths| truths.iter().any(|truth| *truth)),
            key => {
                self.report(
                    at,
                    format!("a condition is one of Fn::Equals, And, Or, Not and Condition, not {key}"),
                );
                None
            }
        }
    }

    fn truths(&self, argument: &Node, at: Position) -> Option<Vec<bool>> {
        let parts = argument.items();
        if parts.len() < 2 || 10 < parts.len() {
            self.report(at, format!("this takes two to ten conditions, not {}", parts.len()));
            return None;
        }
        let truths: Vec<Option<bool>> = parts.iter().map(|part| self.truth(part)).collect();
        truths.into_iter().collect()
    }
}

/// CloudFormation compares what it has turned into text: `1` equals `"1"`.
fn comparable(node: Option<&Node>) -> Option<String> {
    node.map(|node| node.as_text().map_or_else(|| node.to_json().to_string(), str::to_owned))
}
