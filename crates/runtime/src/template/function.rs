//! `AWS::Serverless::Function`.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use super::{
    AsyncInvoke, Function, LogicalId, Target, events::Events, loader::Context, names, node::Node, policies,
    properties::Properties, resolver::Resource,
};

/// Runtimes whose code is a program that speaks the Runtime API itself.
const RUNTIMES: [&str; 3] = ["provided.al2023", "provided.al2", "provided"];

/// They say how it is observed and how it is released; the function does the same without them.
const IGNORED: [&str; 21] = [
    "Architectures",
    "AssumeRolePolicyDocument",
    "AutoPublishAliasAllProperties",
    "AutoPublishCodeSha256",
    "CodeSigningConfigArn",
    "DeploymentPreference",
    "Description",
    "EphemeralStorage",
    "KmsKeyArn",
    "LoggingConfig",
    "PermissionsBoundary",
    "PropagateTags",
    "ProvisionedConcurrencyConfig",
    "PublishToLatestPublished",
    "RecursiveLoop",
    "RolePath",
    "RuntimeManagementConfig",
    "SnapStart",
    "Tags",
    "Tracing",
    "VpcConfig",
];

/// Lambda reserves these names.
const RESERVED_VARIABLES: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "_HANDLER",
];

pub(super) fn read(resource: &Resource<'_>, context: &Context<'_>, events: &mut Events) -> Option<Function> {
    let resolver = context.resolver;
    let mut properties = Properties::new(resolver, resource.id, &resource.properties);
    properties.ignore(&IGNORED);
    properties.ignore(&["FunctionName"]);

    properties.one_of("PackageType", &["Zip"]);
    properties.one_of("Runtime", &RUNTIMES);
    let handler = properties.text("Handler").unwrap_or_else(|| "bootstrap".to_owned());
    let code = code(&mut properties, resource, context, &handler);
    let timeout = properties.integer("Timeout", 1..=900).unwrap_or(3);
    let memory_mb = properties.integer("MemorySize", 128..=10_240).unwrap_or(128);
    let reserved_concurrency = properties.integer("ReservedConcurrentExecutions", 0..=u32::MAX);
    let environment = environment(&mut properties);
    properties.ignore(&policies::PROPERTIES);
    let alias = properties.text("AutoPublishAlias");
    let async_invoke = async_invoke(&mut properties);
    let declared = properties.raw("Events");
    properties.finish();

    let name = resolver.physical_name(resource.id)?;
    if let Some(declared) = declared {
        events.read(resource.id, &Target::Function(name.clone()), &declared.value, context);
    }
    let (code_uri, build) = code?;
    Some(Function {
        logical_id: LogicalId(resource.id.to_owned()),
        arn: names::function_arn(&resolver.settings.region, &name),
        name,
        code_uri,
        handler,
        build,
        timeout: Duration::from_secs(timeout.into()),
        memory_mb,
        reserved_concurrency,
        environment,
        alias,
        async_invoke,
        role: policies::role(resource, context),
    })
}

type Code = (std::path::PathBuf, Option<String>);

fn code(
    properties: &mut Properties<'_>,
    resource: &Resource<'_>,
    context: &Context<'_>,
    handler: &str,
) -> Option<Code> {
    let uri = properties.required_text("CodeUri")?;
    if uri.starts_with("s3://") {
        properties.report(
            properties.at,
            format!("CodeUri {uri} is not a directory of this machine"),
        );
        return None;
    }
    let directory = context.directory.join(uri);
    if directory.join("bootstrap").is_file() {
        return Some((directory, None));
    }
    let metadata = resource.metadata;
    let method = metadata.and_then(|metadata| metadata.get("BuildMethod"));
    if method.and_then(Node::as_text) != Some("rust-cargolambda") {
        let at = method.map_or(resource.at, |method| method.at);
        let message = "its CodeUri holds no bootstrap, and only BuildMethod rust-cargolambda can make one";
        properties.report(at, message);
        return None;
    }
    let named = metadata.and_then(|metadata| metadata.get("BuildProperties")?.get("Binary"));
    let binary = match named {
        Some(node) => context
            .resolver
            .resolve(node)
            .and_then(|node| node.as_text().map(str::to_owned)),
        None if handler != "bootstrap" => Some(handler.to_owned()),
        None => only_binary(&directory),
    };
    if binary.is_none() {
        let at = named.map_or(resource.at, |named| named.at);
        properties.report(at, "which binary is it? Metadata, BuildProperties, Binary names it");
    }
    Some((directory, Some(binary?)))
}

/// The name of the package's only binary: the one it declares, else the package's own.
fn only_binary(directory: &Path) -> Option<String> {
    let manifest = fs::read_to_string(directory.join("Cargo.toml")).ok()?;
    let mut section = "";
    let (mut package, mut binaries) = (None, Vec::new());
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"').to_owned();
        match (section, key.trim()) {
            ("[package]", "name") => package = Some(value),
            ("[[bin]]", "name") => binaries.push(value),
            _ => {}
        }
    }
    match binaries.as_slice() {
        [] => package,
        [one] => Some(one.clone()),
        _ => None,
    }
}

fn environment(properties: &mut Properties<'_>) -> BTreeMap<String, String> {
    let Some(mut environment) = properties.inner("Environment") else {
        return BTreeMap::new();
    };
    let variables = environment.inner("Variables");
    environment.finish();
    let Some(variables) = variables else {
        return BTreeMap::new();
    };
    let mut result = BTreeMap::new();
    for entry in variables.into_entries() {
        if RESERVED_VARIABLES.contains(&entry.key.as_str()) {
            properties.report(entry.at, format!("Lambda sets {} itself", entry.key));
        }
        match entry.value.as_text() {
            Some(text) => {
                result.insert(entry.key, text.to_owned());
            }
            None if entry.value.is_invalid() => {}
            None => {
                let kind = entry.value.kind();
                properties.report(
                    entry.value.at,
                    format!("the variable {} is text, not {kind}", entry.key),
                );
            }
        }
    }
    result
}

fn async_invoke(properties: &mut Properties<'_>) -> AsyncInvoke {
    let standard = AsyncInvoke::default();
    let Some(mut config) = properties.inner("EventInvokeConfig") else {
        return standard;
    };
    let attempts = config.integer("MaximumRetryAttempts", 0..=2);
    let age = config.integer("MaximumEventAgeInSeconds", 60..=21_600);
    config.finish();
    AsyncInvoke {
        maximum_retry_attempts: attempts.unwrap_or(standard.maximum_retry_attempts),
        maximum_event_age: age.map_or(standard.maximum_event_age, |age| Duration::from_secs(age.into())),
    }
}
