//! `AWS::DynamoDB::Table` and `AWS::Serverless::SimpleTable`, each as the CreateTable request it stands for.

use serde_json::{Map, Value as Json, json};

use super::{LogicalId, Stream, Table, loader::Context, names, node::Node, properties::Properties, resolver::Resource};

/// They protect, copy, meter or bill a table; requests to it are answered the same without them.
const IGNORED: [&str; 10] = [
    "ContributorInsightsSpecification",
    "DeletionProtectionEnabled",
    "OnDemandThroughput",
    "PointInTimeRecoverySpecification",
    "ResourcePolicy",
    "SSESpecification",
    "TableClass",
    "TableName",
    "Tags",
    "WarmThroughput",
];

pub(super) fn read(resource: &Resource<'_>, context: &Context<'_>) -> Option<Table> {
    let resolver = context.resolver;
    let mut properties = Properties::new(resolver, resource.id, &resource.properties);
    properties.ignore(&IGNORED);
    let name = resolver.physical_name(resource.id);
    let mut request = Map::new();

    for required in ["AttributeDefinitions", "KeySchema"] {
        match properties.node(required) {
            Some(node) => {
                request.insert(required.into(), node.to_json());
            }
            None => properties.report(properties.at, format!("{required} is missing")),
        }
    }
    let billing = properties.one_of("BillingMode", &["PROVISIONED", "PAY_PER_REQUEST"]);
    let billing = billing.unwrap_or_else(|| "PROVISIONED".to_owned());
    let provisioned = required_throughput(&mut properties, &billing);
    request.insert("BillingMode".into(), billing.as_str().into());
    request.extend(provisioned.map(|throughput| ("ProvisionedThroughput".to_owned(), throughput)));
    for kind in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        let indexes = properties.list(kind);
        if !indexes.is_empty() {
            let indexes = indexes
                .iter()
                .map(|index| self::index(resource, context, kind, index, &billing));
            request.insert(kind.into(), indexes.collect());
        }
    }
    let view_type = properties.inner("StreamSpecification").and_then(stream_view);
    if let Some(view_type) = &view_type {
        let specification = json!({ "StreamEnabled": true, "StreamViewType": view_type });
        request.insert("StreamSpecification".into(), specification);
    }
    let ttl_attribute = properties.inner("TimeToLiveSpecification").and_then(ttl);
    properties.finish();
    key_attributes(resource, context, &request);

    let name = name?;
    request.insert("TableName".into(), name.as_str().into());
    let region = &resolver.settings.region;
    Some(Table {
        logical_id: LogicalId(resource.id.to_owned()),
        arn: names::table_arn(region, &name),
        create_table: Json::Object(request),
        ttl_attribute,
        stream: view_type.map(|view_type| Stream {
            arn: names::stream_arn(region, &name),
            view_type,
        }),
        name,
    })
}

pub(super) fn read_simple(resource: &Resource<'_>, context: &Context<'_>) -> Option<Table> {
    let resolver = context.resolver;
    let mut properties = Properties::new(resolver, resource.id, &resource.properties);
    properties.ignore(&IGNORED);
    let provisioned = throughput(&mut properties);
    let mut key = ("id".to_owned(), "S");
    if let Some(mut primary) = properties.inner("PrimaryKey") {
        key.0 = primary.required_text("Name").unwrap_or(key.0);
        key.1 = match primary.one_of("Type", &["String", "Number", "Binary"]).as_deref() {
            Some("Number") => "N",
            Some("Binary") => "B",
            _ => "S",
        };
        primary.finish();
    }
    properties.finish();
    let name = resolver.physical_name(resource.id)?;
    let mut request = json!({
        "TableName": name,
        "AttributeDefinitions": [{ "AttributeName": key.0, "AttributeType": key.1 }],
        "KeySchema": [{ "AttributeName": key.0, "KeyType": "HASH" }],
        "BillingMode": if provisioned.is_some() { "PROVISIONED" } else { "PAY_PER_REQUEST" },
    });
    if let Some(throughput) = provisioned {
        request["ProvisionedThroughput"] = throughput;
    }
    Some(Table {
        logical_id: LogicalId(resource.id.to_owned()),
        arn: names::table_arn(&resolver.settings.region, &name),
        name,
        create_table: request,
        ttl_attribute: None,
        stream: None,
    })
}

fn required_throughput(properties: &mut Properties<'_>, billing: &str) -> Option<Json> {
    let throughput = throughput(properties);
    if throughput.is_none() && billing == "PROVISIONED" {
        properties.report(
            properties.at,
            "ProvisionedThroughput is missing, or BillingMode: PAY_PER_REQUEST",
        );
    }
    throughput
}

fn throughput(properties: &mut Properties<'_>) -> Option<Json> {
    let mut throughput = properties.inner("ProvisionedThroughput")?;
    let read = throughput.integer("ReadCapacityUnits", 1..=u32::MAX);
    let write = throughput.integer("WriteCapacityUnits", 1..=u32::MAX);
    throughput.finish();
    Some(json!({ "ReadCapacityUnits": read.unwrap_or(1), "WriteCapacityUnits": write.unwrap_or(1) }))
}

fn index(resource: &Resource<'_>, context: &Context<'_>, kind: &str, node: &Node, billing: &str) -> Json {
    let mut index = Properties::new(context.resolver, format!("{}, {kind}", resource.id), node);
    index.ignore(&[
        "ContributorInsightsSpecification",
        "OnDemandThroughput",
        "WarmThroughput",
    ]);
    let mut request = Map::new();
    for required in ["IndexName", "KeySchema", "Projection"] {
        match index.node(required) {
            Some(node) => {
                request.insert(required.into(), node.to_json());
            }
            None => index.report(index.at, format!("{required} is missing")),
        }
    }
    if kind == "GlobalSecondaryIndexes" {
        let provisioned = required_throughput(&mut index, billing);
        request.extend(provisioned.map(|throughput| ("ProvisionedThroughput".to_owned(), throughput)));
    }
    index.finish();
    Json::Object(request)
}

fn stream_view(mut stream: Properties<'_>) -> Option<String> {
    stream.ignore(&["ResourcePolicy"]);
    let views = ["KEYS_ONLY", "NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE"];
    let view = stream.one_of("StreamViewType", &views);
    stream.finish();
    view
}

fn ttl(mut ttl: Properties<'_>) -> Option<String> {
    let enabled = ttl.boolean("Enabled").unwrap_or(false);
    let attribute = ttl.text("AttributeName");
    if enabled && attribute.is_none() {
        ttl.report(ttl.at, "AttributeName is missing");
    }
    ttl.finish();
    attribute.filter(|_| enabled)
}

/// DynamoDB takes definitions of exactly the attributes that are keys; CloudFormation finds out late.
fn key_attributes(resource: &Resource<'_>, context: &Context<'_>, request: &Map<String, Json>) {
    let names = |list: Option<&Json>| -> Vec<String> {
        let items = list.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        items
            .iter()
            .filter_map(|item| item["AttributeName"].as_str().map(str::to_owned))
            .collect()
    };
    let defined = names(request.get("AttributeDefinitions"));
    let mut keys = names(request.get("KeySchema"));
    for kind in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        let indexes = request
            .get(kind)
            .and_then(Json::as_array)
            .map_or(&[][..], Vec::as_slice);
        keys.extend(indexes.iter().flat_map(|index| names(index.get("KeySchema"))));
    }
    let at = resource
        .properties
        .get("AttributeDefinitions")
        .map_or(resource.at, |node| node.at);
    for key in keys.iter().filter(|key| !defined.contains(key)) {
        let message = format!("{}: the key {key} is not in AttributeDefinitions", resource.id);
        context.resolver.report(at, message);
    }
    for unused in defined.iter().filter(|name| !keys.contains(name)) {
        let message = format!("{}: {unused} is in AttributeDefinitions, but no key", resource.id);
        context.resolver.report(at, message);
    }
}
