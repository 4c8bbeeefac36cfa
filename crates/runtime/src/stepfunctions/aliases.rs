//! Aliases of state machines: create, update, describe, list, delete.

use serde_json::{Map, Value, json};

use super::error::Error;
use super::request::{ARN, NAME, PAGE_TOKEN, Request};
use super::{StepFunctions, arn, epoch, page, put};
use crate::driver::{self, AliasRecord, AliasUpdate, FULL_WEIGHT, NewAlias, Qualifier, Route, qualified};

/// Length of an alias's description.
const DESCRIPTION: std::ops::RangeInclusive<usize> = 0..=256;
/// How many versions an alias may lead to.
const MAX_ROUTES: usize = 2;
/// Of how many in a hundred executions a version may be.
const WEIGHT: std::ops::RangeInclusive<i64> = 0..=FULL_WEIGHT as i64;
/// AWS's pattern of an alias's name: it must not be taken for a version.
const NAME_PATTERN: &str = r"^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$";

const ROUTING: &str = "routingConfiguration";

/// A `routingConfiguration` that satisfies the model.
struct Routing(Vec<(String, i64)>);

impl Routing {
    /// Notes what breaks the model; nothing if the member is not there.
    fn read(request: &mut Request) -> Option<Self> {
        let items = request.list(ROUTING)?;
        let text = |item: &Value| {
            item.get("stateMachineVersionArn")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let weight = |item: &Value| item.get("weight").and_then(Value::as_i64);
        if items.is_empty() || MAX_ROUTES < items.len() {
            let shown: Vec<_> = items
                .iter()
                .map(|item| {
                    format!(
                        "RoutingConfigurationListItem(stateMachineVersionArn={}, weight={})",
                        text(item).unwrap_or_else(|| "null".into()),
                        weight(item).map_or_else(|| "null".into(), |weight| weight.to_string())
                    )
                })
                .collect();
            let bound = match items.is_empty() {
                true => "greater than or equal to 1".to_owned(),
                false => format!("less than or equal to {MAX_ROUTES}"),
            };
            let constraint = format!("Member must have length {bound}");
            request.violate(Some(&format!("[{}]", shown.join(", "))), ROUTING, &constraint);
        }
        let mut routes = Vec::new();
        for (item, number) in items.iter().zip(1..) {
            let place = |member: &str| format!("{ROUTING}.{number}.member.{member}");
            let arn = text(item);
            if arn.is_none() {
                request.missing(&place("stateMachineVersionArn"));
            }
            let weight = weight(item);
            match weight {
                None => request.missing(&place("weight")),
                Some(weight) => request.bounded(weight, &place("weight"), &WEIGHT),
            }
            routes.push((arn.unwrap_or_default(), weight.unwrap_or_default()));
        }
        Some(Self(routes))
    }

    /// The state machine and the routes, if they make sense together.
    fn checked(self) -> Result<(String, Vec<Route>), Error> {
        let refuse = |message: String| {
            Err(Error::Validation {
                message,
                reason: "INVALID_ROUTING_CONFIGURATION",
            })
        };
        let arns: Vec<_> = self.0.iter().map(|(arn, _)| arn.as_str()).collect();
        let received = arns.join(", ");
        for arn in &arns {
            arn::state_machine(arn)?;
        }
        let mut machines = Vec::new();
        let mut routes = Vec::new();
        for (arn, weight) in &self.0 {
            let Some((machine, Qualifier::Version(version))) = qualified(arn) else {
                return refuse(format!(
                    "Routing configuration must contain state machine version ARNs. Received: [{received}]"
                ));
            };
            machines.push(machine.to_owned());
            routes.push(Route {
                version,
                weight: u8::try_from(*weight).unwrap_or_default(),
            });
        }
        machines.dedup();
        let [machine] = &machines[..] else {
            return refuse(format!(
                "Routing configuration must contain versions of one state machine. Received: [{received}]"
            ));
        };
        let mut versions: Vec<_> = routes.iter().map(|route| route.version).collect();
        versions.dedup();
        if versions.len() < routes.len() {
            return refuse(format!(
                "Routing configuration must contain distinct state machine version ARNs. Received: [{received}]"
            ));
        }
        let weights: Vec<_> = routes.iter().map(|route| route.weight.to_string()).collect();
        let sum: u32 = routes.iter().map(|route| u32::from(route.weight)).sum();
        if sum != FULL_WEIGHT {
            let received = weights.join(", ");
            return refuse(format!(
                "Sum of routing configuration weights must equal {FULL_WEIGHT}. Received: [{received}]"
            ));
        }
        Ok((machine.clone(), routes))
    }
}

impl StepFunctions {
    pub(super) async fn create_state_machine_alias(&self, request: &mut Request) -> Result<Value, Error> {
        let name = request.required("name", NAME);
        if NAME.contains(&name.len()) && !is_name(&name) {
            let constraint = format!("Member must satisfy regular expression pattern: {NAME_PATTERN}");
            request.violate(Some(&name), "name", &constraint);
        }
        let description = request.optional_sensitive("description", DESCRIPTION);
        let routing = Routing::read(request);
        if routing.is_none() {
            request.missing(ROUTING);
        }
        request.checked()?;
        let (machine, routes) = routing.unwrap_or(Routing(Vec::new())).checked()?;
        let new = NewAlias {
            name: name.into(),
            description: description.map(Into::into),
            routes,
        };
        let alias = self.engine.create_alias(&machine, new).await.map_err(referring)?;
        Ok(json!({"stateMachineAliasArn": alias.arn, "creationDate": epoch(alias.created)}))
    }

    pub(super) async fn update_state_machine_alias(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("stateMachineAliasArn", ARN);
        let description = request.optional_sensitive("description", DESCRIPTION);
        let routing = Routing::read(request);
        request.checked()?;
        arn::alias(&arn)?;
        if description.is_none() && routing.is_none() {
            return Err(Error::Validation {
                message: "Either the description or the routing configuration must be specified".into(),
                reason: "MISSING_REQUIRED_PARAMETER",
            });
        }
        let routes = match routing {
            None => None,
            Some(routing) => {
                let (machine, routes) = routing.checked()?;
                if qualified(&arn).is_none_or(|(own, _)| own != machine) {
                    return Err(Error::Validation {
                        message: format!(
                            "Routing configuration must contain versions of the alias's state machine: {arn}"
                        ),
                        reason: "INVALID_ROUTING_CONFIGURATION",
                    });
                }
                Some(routes)
            }
        };
        let update = AliasUpdate {
            description: description.map(Into::into),
            routes,
        };
        let alias = self.engine.update_alias(&arn, update).await.map_err(referring)?;
        Ok(json!({"updateDate": epoch(alias.updated)}))
    }

    pub(super) async fn describe_state_machine_alias(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("stateMachineAliasArn", ARN);
        request.checked()?;
        arn::alias(&arn)?;
        let alias = self.engine.alias(&arn)?;
        let machine = qualified(&arn).map_or("", |(machine, _)| machine);
        let routes: Vec<_> = alias
            .routes
            .iter()
            .map(|route| {
                let version = format!("{machine}:{}", route.version);
                json!({"stateMachineVersionArn": version, "weight": route.weight})
            })
            .collect();
        let mut answer = match item(&alias) {
            Value::Object(item) => item,
            _ => Map::new(),
        };
        answer.insert("name".into(), json!(alias.name));
        put(&mut answer, "description", alias.description.as_deref());
        answer.insert(ROUTING.into(), Value::Array(routes));
        answer.insert("updateDate".into(), epoch(alias.updated));
        Ok(Value::Object(answer))
    }

    pub(super) async fn list_state_machine_aliases(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("stateMachineArn", ARN);
        let size = request.page_size();
        let token = request.optional("nextToken", PAGE_TOKEN);
        request.checked()?;
        arn::state_machine(&arn)?;
        if let Some((_, Qualifier::Alias(_))) = qualified(&arn) {
            return Err(Error::InvalidArn(format!("Invalid ARN: {arn}")));
        }
        let listing = format!("ListStateMachineAliases {arn}");
        let after = token.map(|token| page::position(&listing, &token)).transpose()?;
        let aliases = self.engine.aliases(&arn)?;
        let rest: Vec<_> = aliases
            .iter()
            .filter(|alias| after.as_ref().is_none_or(|after| after.as_str() < &*alias.name))
            .collect();
        let shown = &rest[..rest.len().min(size)];
        let items = shown.iter().copied().map(item).collect();
        let mut answer = Map::from_iter([("stateMachineAliases".to_owned(), Value::Array(items))]);
        let last = shown.last().filter(|_| shown.len() < rest.len());
        put(
            &mut answer,
            "nextToken",
            last.map(|last| page::token(&listing, &last.name)),
        );
        Ok(Value::Object(answer))
    }

    pub(super) async fn delete_state_machine_alias(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("stateMachineAliasArn", ARN);
        request.checked()?;
        arn::alias(&arn)?;
        self.engine.delete_alias(&arn).await?;
        Ok(json!({}))
    }
}

/// Whether this can be the name of an alias.
pub(crate) fn is_name(name: &str) -> bool {
    let taken = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    NAME.contains(&name.len()) && name.chars().all(taken) && !name.chars().all(|character| character.is_ascii_digit())
}

/// What an alias is to lead to is a resource of the request like any other.
fn referring(error: driver::Error) -> Error {
    match error {
        driver::Error::StateMachineDoesNotExist { arn } => Error::ReferenceNotFound(arn.to_string()),
        error => error.into(),
    }
}

fn item(alias: &AliasRecord) -> Value {
    json!({"stateMachineAliasArn": alias.arn, "creationDate": epoch(alias.created)})
}
