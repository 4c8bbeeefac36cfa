//! Which actions on which resources an operation is, by AWS's Service Authorization Reference.
//!
//! A request is read for the names in it and nothing else. One that cannot be read, or lacks the name of what it is
//! about, is no access: its service refuses it in better words.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{Scope, Service};

/// The region in the ARNs that dynoxide makes.
const STORE_REGION: &str = ":dynoxide:";

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    pub service: Service,
    /// Without the service: `PutItem`.
    pub action: &'a str,
    /// `None` where the request does not tell.
    pub resource: Option<Cow<'a, str>>,
    /// The keys of conditions that this request has.
    keys: Vec<(&'static str, String)>,
}

impl<'a> Access<'a> {
    pub(super) fn new(service: Service, action: &'a str, resource: impl Into<Cow<'a, str>>) -> Self {
        Self {
            resource: Some(resource.into()),
            ..Self::of_unknown(service, action)
        }
    }

    fn of_unknown(service: Service, action: &'a str) -> Self {
        Self {
            service,
            action,
            resource: None,
            keys: Vec::new(),
        }
    }

    fn with(mut self, key: &'static str, value: Option<impl Into<String>>) -> Self {
        self.keys.extend(value.map(|value| (key, value.into())));
        self
    }

    /// The value of a condition's key.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let mut keys = self.keys.iter();
        keys.find_map(|(known, value)| known.eq_ignore_ascii_case(key).then_some(value.as_str()))
    }
}

/// What an operation does, in the order in which it is judged.
pub(super) fn accesses<'a>(scope: &Scope, service: Service, operation: &'a str, body: &[u8]) -> Vec<Access<'a>> {
    match service {
        Service::DynamoDb => read(body).map(|request| dynamodb(scope, operation, request)),
        Service::Events => read(body).map(|request| events(scope, operation, request)),
        Service::Secrets => read(body).map(|request| secrets(scope, operation, request)),
        Service::States => read(body).map(|request| states(scope, operation, request)),
        // Functions are called by state machines alone, and not by a request.
        Service::Lambda => None,
    }
    .unwrap_or_default()
}

fn read<Request: DeserializeOwned>(body: &[u8]) -> Option<Request> {
    serde_json::from_slice(body).ok()
}

/// The call of a function by its name, or its ARN in whole or in part, with or without a qualifier.
pub(super) fn invoke<'a>(scope: &Scope, function: &'a str) -> Access<'a> {
    let arn = match function.split_once("function:") {
        Some((start, _)) if start.starts_with("arn:") => Cow::Borrowed(function),
        // `ACCOUNT:function:NAME`
        Some((_, name)) => scope.arn(Service::Lambda, format_args!("function:{name}")).into(),
        None => scope.arn(Service::Lambda, format_args!("function:{function}")).into(),
    };
    Access::new(Service::Lambda, "InvokeFunction", arn)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DynamoDb {
    table_name: Option<String>,
    index_name: Option<String>,
    resource_arn: Option<String>,
    stream_arn: Option<String>,
    request_items: BTreeMap<String, IgnoredAny>,
    transact_items: Vec<TransactItem>,
    statement: Option<String>,
    statements: Vec<Statement>,
    transact_statements: Vec<Statement>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TransactItem {
    get: Option<Table>,
    put: Option<Table>,
    update: Option<Table>,
    delete: Option<Table>,
    condition_check: Option<Table>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Table {
    table_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    statement: String,
}

fn dynamodb<'a>(scope: &Scope, operation: &'a str, request: DynamoDb) -> Vec<Access<'a>> {
    // The store's own answers name another region than the template, and callers send back what they were told.
    let access = |resource: String| {
        let resource = resource.replacen(STORE_REGION, &format!(":{}:", scope.region), 1);
        Access::new(Service::DynamoDb, operation, resource)
    };
    let table = |name: &str| match name.starts_with("arn:") {
        true => name.to_owned(),
        false => scope.arn(Service::DynamoDb, format_args!("table/{name}")),
    };
    let partiql = |statement: &str, enclosing: Option<&str>| {
        let (action, name, index) = partiql(statement)?;
        let resource = indexed(table(&name), index.as_deref());
        let access = Access::new(Service::DynamoDb, action, resource);
        Some(access.with("dynamodb:EnclosingOperation", enclosing))
    };
    let statements = |statements: Vec<Statement>, enclosing: Option<&str>| {
        let accesses = statements.iter().filter_map(|one| partiql(&one.statement, enclosing));
        accesses.collect()
    };
    match operation {
        "BatchGetItem" | "BatchWriteItem" => request.request_items.keys().map(|name| access(table(name))).collect(),
        "TransactGetItems" | "TransactWriteItems" => {
            let items = request.transact_items.into_iter().flat_map(|item| {
                [
                    ("GetItem", item.get),
                    ("PutItem", item.put),
                    ("UpdateItem", item.update),
                    ("DeleteItem", item.delete),
                    ("ConditionCheckItem", item.condition_check),
                ]
            });
            let items = items.filter_map(|(action, item)| {
                let access = Access::new(Service::DynamoDb, action, table(&item?.table_name));
                Some(access.with("dynamodb:EnclosingOperation", Some(operation)))
            });
            items.collect()
        }
        "ExecuteStatement" => {
            let access = request.statement.and_then(|statement| partiql(&statement, None));
            access.into_iter().collect()
        }
        "BatchExecuteStatement" => statements(request.statements, None),
        "ExecuteTransaction" => statements(request.transact_statements, Some(operation)),
        "ListTables" => vec![access(table("*"))],
        "ListStreams" => {
            let table = table(request.table_name.as_deref().unwrap_or("*"));
            vec![access(format!("{table}/stream/*"))]
        }
        "DescribeStream" | "GetShardIterator" => request.stream_arn.map(access).into_iter().collect(),
        // The iterator knows the stream.
        "GetRecords" => vec![Access::of_unknown(Service::DynamoDb, operation)],
        "ListTagsOfResource" | "TagResource" | "UntagResource" => {
            request.resource_arn.map(access).into_iter().collect()
        }
        _ => {
            let table = request.table_name.as_deref().map(table);
            let resource = table.map(|table| indexed(table, request.index_name.as_deref()));
            resource.map(access).into_iter().collect()
        }
    }
}

fn indexed(table: String, index: Option<&str>) -> String {
    match index {
        Some(index) => format!("{table}/index/{index}"),
        None => table,
    }
}

/// The action of a PartiQL statement, and the table and index that it names.
fn partiql(statement: &str) -> Option<(&'static str, String, Option<String>)> {
    let statement = statement.trim_start();
    let first = statement.split(|mark: char| !mark.is_ascii_alphabetic()).next()?;
    let (action, named_after) = match &*first.to_ascii_uppercase() {
        "INSERT" => ("PartiQLInsert", "INTO"),
        "UPDATE" => ("PartiQLUpdate", "UPDATE"),
        "DELETE" => ("PartiQLDelete", "FROM"),
        // A check within a transaction is written EXISTS(SELECT …).
        "SELECT" | "EXISTS" => ("PartiQLSelect", "FROM"),
        _ => return None,
    };
    let (table, rest) = partiql_name(after_word(statement, named_after)?)?;
    let index = rest.strip_prefix('.').and_then(partiql_name);
    Some((action, table, index.map(|(index, _)| index)))
}

/// What comes after a word that is not quoted.
fn after_word<'s>(statement: &'s str, word: &str) -> Option<&'s str> {
    let is_part = |mark: char| mark.is_alphanumeric() || mark == '_';
    let mut quote = None;
    let mut begin = 0;
    for (at, mark) in statement.char_indices() {
        if quote.is_none() && !is_part(mark) {
            if statement[begin..at].eq_ignore_ascii_case(word) {
                return Some(statement[at..].trim_start());
            }
            begin = at + mark.len_utf8();
        }
        match quote {
            Some(open) if open == mark => {
                quote = None;
                begin = at + mark.len_utf8();
            }
            None if matches!(mark, '"' | '\'') => quote = Some(mark),
            Some(_) | None => {}
        }
    }
    None
}

/// A name with or without quotes, and what follows it.
fn partiql_name(text: &str) -> Option<(String, &str)> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => {
            let is_part = |mark: char| mark.is_alphanumeric() || matches!(mark, '_' | '-');
            text.split_at(text.find(|mark| !is_part(mark)).unwrap_or(text.len()))
        }
    };
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Events {
    entries: Vec<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    source: Option<String>,
    detail_type: Option<String>,
    event_bus_name: Option<String>,
}

/// Each entry on its own: a request is refused for one of them.
fn events<'a>(scope: &Scope, operation: &'a str, request: Events) -> Vec<Access<'a>> {
    let entries = request.entries.into_iter().map(|entry| {
        let bus = entry.event_bus_name.unwrap_or_else(|| "default".to_owned());
        let bus = match bus.starts_with("arn:") {
            true => bus,
            false => scope.arn(Service::Events, format_args!("event-bus/{bus}")),
        };
        Access::new(Service::Events, operation, bus)
            .with("events:source", entry.source)
            .with("events:detail-type", entry.detail_type)
    });
    entries.collect()
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Secrets {
    secret_id: Option<String>,
}

/// A secret goes by its name, by its ARN, and by its ARN without what AWS drew for it.
fn secrets<'a>(scope: &Scope, operation: &'a str, request: Secrets) -> Vec<Access<'a>> {
    let Some(id) = request.secret_id else {
        return Vec::new();
    };
    let is_meant = |arn: &str| {
        let drawn = arn.strip_prefix(&*id);
        drawn.is_some_and(|drawn| drawn.is_empty() || drawn.len() == "-123456".len())
    };
    let by_arn = || scope.secrets.values().find(|arn| is_meant(arn));
    let arn = scope.secrets.get(&id).or_else(by_arn);
    let resource = arn.unwrap_or(&id).clone();
    vec![Access::new(Service::Secrets, operation, resource).with("secretsmanager:SecretId", Some(id))]
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct States {
    activity_arn: Option<String>,
    execution_arn: Option<String>,
    map_run_arn: Option<String>,
    name: Option<String>,
    publish: bool,
    resource_arn: Option<String>,
    routing_configuration: Vec<Route>,
    state_machine_arn: Option<String>,
    state_machine_alias_arn: Option<String>,
    state_machine_version_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Route {
    state_machine_version_arn: String,
}

fn states<'a>(scope: &Scope, operation: &'a str, request: States) -> Vec<Access<'a>> {
    let arn = |kind: &str, name: &str| scope.arn(Service::States, format_args!("{kind}:{name}"));
    let access = |resource: String| Access::new(Service::States, operation, resource);
    let machine = |resource: String| {
        let (unqualified, qualifier) = unqualified(&resource);
        access(unqualified.to_owned()).with("states:StateMachineQualifier", qualifier)
    };
    let found = match operation {
        "CreateActivity" => request.name.map(|name| access(arn("activity", &name))),
        "DeleteActivity" | "DescribeActivity" | "GetActivityTask" => request.activity_arn.map(access),
        "ListActivities" => Some(access(arn("activity", "*"))),

        "CreateStateMachine" => request.name.map(|name| access(arn("stateMachine", &name))),
        "ListStateMachines" | "TestState" | "ValidateStateMachineDefinition" => Some(access(arn("stateMachine", "*"))),
        "CreateStateMachineAlias" => {
            let route = request.routing_configuration.into_iter().next();
            route.map(|route| access(unqualified(&route.state_machine_version_arn).0.to_owned()))
        }
        "DeleteStateMachineAlias" | "DescribeStateMachineAlias" | "UpdateStateMachineAlias" => {
            request.state_machine_alias_arn.map(machine)
        }
        "DeleteStateMachineVersion" => request.state_machine_version_arn.map(machine),

        "DescribeExecution"
        | "DescribeStateMachineForExecution"
        | "GetExecutionHistory"
        | "ListMapRuns"
        | "RedriveExecution"
        | "StopExecution" => request.execution_arn.map(access),
        "DescribeMapRun" | "UpdateMapRun" => request.map_run_arn.map(access),
        "ListExecutions" => request
            .state_machine_arn
            .map(machine)
            .or_else(|| request.map_run_arn.map(access)),

        "ListTagsForResource" | "TagResource" | "UntagResource" => request.resource_arn.map(access),
        // The token knows the state machine.
        "SendTaskFailure" | "SendTaskHeartbeat" | "SendTaskSuccess" => {
            Some(Access::of_unknown(Service::States, operation))
        }
        _ => request.state_machine_arn.map(machine),
    };
    let mut accesses: Vec<_> = found.into_iter().collect();
    if request.publish && matches!(operation, "CreateStateMachine" | "UpdateStateMachine") {
        let published = accesses.first().map(|access| Access {
            action: "PublishStateMachineVersion",
            ..access.clone()
        });
        accesses.extend(published);
    }
    accesses
}

/// A state machine's own ARN, by which all of its versions and aliases are authorized, and the qualifier after it.
pub(super) fn unqualified(arn: &str) -> (&str, Option<&str>) {
    // arn:aws:states:REGION:ACCOUNT:stateMachine:NAME
    match arn.match_indices(':').nth(6) {
        Some((at, _)) => (&arn[..at], Some(&arn[at + 1..])),
        None => (arn, None),
    }
}

#[cfg(test)]
mod tests;
