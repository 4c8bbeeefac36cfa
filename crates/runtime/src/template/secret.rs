//! `AWS::SecretsManager::Secret`.

use super::{
    GenerateSecretString, LogicalId, Secret, SecretTemplate, SecretValue, loader::Context, names,
    properties::Properties, resolver::Resource,
};

pub(super) fn read(resource: &Resource<'_>, context: &Context<'_>) -> Option<Secret> {
    let resolver = context.resolver;
    let mut properties = Properties::new(resolver, resource.id, &resource.properties);
    properties.ignore(&["Description", "KmsKeyId", "Name", "ReplicaRegions", "Tags", "Type"]);
    let given = properties.text("SecretString");
    let generated = properties.inner("GenerateSecretString").map(generate);
    if given.is_some() && generated.is_some() {
        properties.report(
            properties.at,
            "SecretString and GenerateSecretString exclude each other",
        );
    }
    properties.finish();
    let name = resolver.physical_name(resource.id)?;
    Some(Secret {
        logical_id: LogicalId(resource.id.to_owned()),
        arn: names::secret_arn(&resolver.settings.region, &name),
        name,
        value: match (given, generated) {
            (Some(text), _) => SecretValue::Given(text),
            (None, Some(generate)) => SecretValue::Generated(generate),
            (None, None) => SecretValue::Absent,
        },
    })
}

fn generate(mut spec: Properties<'_>) -> GenerateSecretString {
    let at = spec.at;
    let object = spec.text("SecretStringTemplate");
    let key = spec.text("GenerateStringKey");
    let template = match (object, key) {
        (Some(object), Some(key)) => match serde_json::from_str(&object) {
            Ok(object) => Some(SecretTemplate { object, key }),
            Err(error) => {
                spec.report(at, format!("SecretStringTemplate is not a JSON object: {error}"));
                None
            }
        },
        (None, None) => None,
        _ => {
            spec.report(at, "SecretStringTemplate and GenerateStringKey need each other");
            None
        }
    };
    let generate = GenerateSecretString {
        password_length: spec.integer("PasswordLength", 1..=4096).unwrap_or(32),
        exclude_characters: spec.text("ExcludeCharacters").unwrap_or_default(),
        exclude_lowercase: spec.boolean("ExcludeLowercase").unwrap_or(false),
        exclude_uppercase: spec.boolean("ExcludeUppercase").unwrap_or(false),
        exclude_numbers: spec.boolean("ExcludeNumbers").unwrap_or(false),
        exclude_punctuation: spec.boolean("ExcludePunctuation").unwrap_or(false),
        include_space: spec.boolean("IncludeSpace").unwrap_or(false),
        require_each_included_type: spec.boolean("RequireEachIncludedType").unwrap_or(true),
        template,
    };
    spec.finish();
    generate
}
