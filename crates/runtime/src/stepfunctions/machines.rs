//! State machines: create, update, delete, describe, list, and the check of a definition.

use asl::{Problem, Severity};
use serde_json::{Map, Value, json};

use super::error::Error;
use super::request::{ARN, DEFINITION, LONG_ARN, NAME, PAGE_TOKEN, Request};
use super::versions::Publishing;
use super::{StepFunctions, arn, check, epoch, page, put, tags, variables};
use crate::driver::{self, NewStateMachine, StateMachineUpdate};
use crate::history::{MachineStatus, MachineType, StateMachineRecord};

/// As the API spells the types of workflows.
const TYPES: [(&str, MachineType); 2] = [("STANDARD", MachineType::Standard), ("EXPRESS", MachineType::Express)];

/// How many problems ValidateStateMachineDefinition tells at most, and unless it is asked for fewer.
const MAX_DIAGNOSTICS: i64 = 100;

const NOTHING_TO_UPDATE: &str =
    "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified";

impl StepFunctions {
    pub(super) async fn create_state_machine(&self, request: &mut Request) -> Result<Value, Error> {
        let name = request.required("name", NAME);
        let definition = request.required_sensitive("definition", DEFINITION);
        let role_arn = request.required("roleArn", ARN);
        let machine_type = request.one_of("type", &TYPES).unwrap_or(MachineType::Standard);
        let settings = Settings::read(request);
        let tags = tags::read(request, "tags");
        let publishing = Publishing::read(request);
        request.checked()?;
        let publishing = publishing?;
        arn::name(&name)?;
        arn::role(&role_arn)?;
        let settings = settings?;
        let tags = tags.unwrap_or_default();
        tags::bounded(&name, &tags)?;
        refuse_problems(&definition, machine_type)?;
        let mut kept = Value::Object(settings.0.clone());
        kept[tags::SETTING] = Value::Object(tags);
        let new = NewStateMachine {
            name: name.into(),
            definition: definition.clone().into(),
            machine_type,
            role_arn: role_arn.into(),
            settings: kept,
        };
        let record = match self.engine.create_state_machine(new).await {
            // AWS asks for the same configuration, whatever has become of role and tags.
            Err(driver::Error::StateMachineAlreadyExists { arn }) => {
                let existing = self.engine.state_machine(&arn)?;
                let same = *existing.definition == definition
                    && existing.machine_type == machine_type
                    && settings == Settings::of(&existing);
                if same {
                    existing
                } else {
                    return Err(driver::Error::StateMachineAlreadyExists { arn }.into());
                }
            }
            record => record?,
        };
        let mut answer = Map::new();
        answer.insert("stateMachineArn".into(), json!(record.arn));
        answer.insert("creationDate".into(), epoch(record.created));
        self.published(&record.arn, publishing, &mut answer).await?;
        Ok(Value::Object(answer))
    }

    pub(super) async fn update_state_machine(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("stateMachineArn", ARN);
        let definition = request.optional_sensitive("definition", DEFINITION);
        let role_arn = request.optional("roleArn", ARN);
        let settings = Settings::read(request);
        let publishing = Publishing::read(request);
        request.checked()?;
        let publishing = publishing?;
        arn::unqualified(&arn)?;
        let settings = settings?;
        if definition.is_none() && role_arn.is_none() && settings.0.is_empty() {
            return Err(Error::MissingRequiredParameter(NOTHING_TO_UPDATE));
        }
        if let Some(role_arn) = &role_arn {
            arn::role(role_arn)?;
        }
        let current = self.engine.state_machine(&arn)?;
        if let Some(definition) = &definition {
            refuse_problems(definition, current.machine_type)?;
        }
        let mut kept = current.settings.as_object().cloned().unwrap_or_default();
        kept.extend(settings.0);
        let update = StateMachineUpdate {
            definition: definition.map(Into::into),
            role_arn: role_arn.map(Into::into),
            settings: Some(Value::Object(kept)),
            retags: false,
        };
        // One that is being deleted refuses whatever it is asked, which the engine tells.
        let changes = current.status == MachineStatus::Deleting
            || update.definition.as_ref().is_some_and(|new| *new != current.definition)
            || update.role_arn.as_ref().is_some_and(|new| *new != current.role_arn)
            || update.settings.as_ref().is_some_and(|new| *new != *current.settings);
        let mut answer = Map::new();
        let record = if changes {
            let record = self.engine.update_state_machine(&arn, update).await?;
            answer.insert("updateDate".into(), epoch(record.updated));
            record
        } else {
            answer.insert("updateDate".into(), epoch(self.clock.now()));
            current
        };
        put(&mut answer, "revisionId", revision_id(&record));
        self.published(&arn, publishing, &mut answer).await?;
        Ok(Value::Object(answer))
    }

    pub(super) async fn delete_state_machine(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("stateMachineArn", ARN);
        request.checked()?;
        arn::unqualified(&arn)?;
        self.engine.delete_state_machine(&arn).await?;
        Ok(json!({}))
    }

    pub(super) async fn describe_state_machine(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("stateMachineArn", ARN);
        let included = included_data(request);
        request.checked()?;
        arn::state_machine(&arn)?;
        let (record, version) = self.engine.machine_or_version(&arn)?;
        // Health checks ask for it, to learn whether an execution could be started.
        self.engine.is_writable().await?;
        let mut answer = described(&record, included);
        let status = match record.status {
            MachineStatus::Active => "ACTIVE",
            MachineStatus::Deleting => "DELETING",
        };
        answer.insert("status".into(), status.into());
        answer.insert("type".into(), type_name(record.machine_type).into());
        answer.insert("creationDate".into(), epoch(record.created));
        if let Some(version) = version {
            answer.insert("stateMachineArn".into(), json!(version.arn));
            answer.insert("creationDate".into(), epoch(version.created));
            put(&mut answer, "description", version.description.as_deref());
        }
        Ok(Value::Object(answer))
    }

    pub(super) async fn describe_state_machine_for_execution(&self, request: &mut Request) -> Result<Value, Error> {
        let arn = request.required("executionArn", LONG_ARN);
        let included = included_data(request);
        request.checked()?;
        arn::execution(&arn)?;
        let record = self.engine.state_machine_for_execution(&arn).await?;
        let mut answer = described(&record, included);
        answer.insert("updateDate".into(), epoch(record.updated));
        Ok(Value::Object(answer))
    }

    pub(super) async fn list_state_machines(&self, request: &mut Request) -> Result<Value, Error> {
        const LISTING: &str = "ListStateMachines";
        let size = request.page_size();
        let token = request.optional("nextToken", PAGE_TOKEN);
        request.checked()?;
        let after = token.map(|token| page::position(LISTING, &token)).transpose()?;
        let mut machines = self.engine.state_machines();
        machines.sort_by(|left, right| left.arn.cmp(&right.arn));
        let rest: Vec<_> = machines
            .iter()
            .filter(|machine| after.as_ref().is_none_or(|after| after.as_str() < &*machine.arn))
            .collect();
        let shown = &rest[..rest.len().min(size)];
        let items: Vec<_> = shown
            .iter()
            .map(|machine| {
                json!({
                    "stateMachineArn": machine.arn,
                    "name": machine.name,
                    "type": type_name(machine.machine_type),
                    "creationDate": epoch(machine.created),
                })
            })
            .collect();
        let mut answer = Map::from_iter([("stateMachines".to_owned(), Value::Array(items))]);
        let more = shown.len() < rest.len();
        put(
            &mut answer,
            "nextToken",
            shown
                .last()
                .filter(|_| more)
                .map(|last| page::token(LISTING, &last.arn)),
        );
        Ok(Value::Object(answer))
    }
}

/// ValidateStateMachineDefinition: every problem of a definition, without creating anything.
pub(super) fn validate(request: &mut Request) -> Result<Value, Error> {
    let definition = request.required_sensitive("definition", DEFINITION);
    let machine_type = request.one_of("type", &TYPES).unwrap_or(MachineType::Standard);
    let severity = request.one_of(
        "severity",
        &[("ERROR", Severity::Error), ("WARNING", Severity::Warning)],
    );
    let most = request
        .integer("maxResults", 0..=MAX_DIAGNOSTICS)
        .filter(|most| *most != 0)
        .unwrap_or(MAX_DIAGNOSTICS);
    request.checked()?;
    let mut problems = check::problems(&definition, machine_type);
    Problem::as_told(&mut problems);
    let refused = problems.iter().any(|problem| problem.severity == Severity::Error);
    let told: Vec<_> = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error || severity == Some(Severity::Warning))
        .collect();
    let shown = told.len().min(usize::try_from(most).unwrap_or(told.len()));
    let diagnostics: Vec<_> = told[..shown].iter().copied().map(diagnostic).collect();
    Ok(json!({
        "result": if refused { "FAIL" } else { "OK" },
        "diagnostics": diagnostics,
        "truncated": shown < told.len(),
    }))
}

fn diagnostic(problem: &Problem) -> Value {
    let severity = match problem.severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
    };
    let mut diagnostic = json!({"severity": severity, "code": problem.code, "message": problem.message});
    if problem.pointer != asl::NOWHERE {
        diagnostic["location"] = json!(problem.pointer);
    }
    diagnostic
}

fn refuse_problems(definition: &str, machine_type: MachineType) -> Result<(), Error> {
    refuse(check::problems(definition, machine_type), definition)
}

/// Refuses a definition that has these problems, if any of them is an error.
pub(super) fn refuse(mut problems: Vec<Problem>, definition: &str) -> Result<(), Error> {
    Problem::as_told(&mut problems);
    problems.retain(|problem| problem.severity == Severity::Error);
    if let Some(label) = problems.iter().find(|problem| problem.code == asl::INVALID_LABEL) {
        return Err(Error::InvalidLabel {
            message: asl::quoted(&label.message),
            definition: definition.to_owned(),
        });
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::InvalidDefinition(problems)),
    }
}

/// The id of a state machine's revision; a machine as it was created shows none.
fn revision_id(record: &StateMachineRecord) -> Option<&str> {
    Some(&*record.revision_id).filter(|id| *id != driver::INITIAL_REVISION)
}

fn included_data(request: &mut Request) -> bool {
    request
        .one_of("includedData", &[("ALL_DATA", true), ("METADATA_ONLY", false)])
        .unwrap_or(true)
}

fn type_name(machine_type: MachineType) -> &'static str {
    match machine_type {
        MachineType::Standard => "STANDARD",
        MachineType::Express => "EXPRESS",
    }
}

/// What both descriptions of a state machine show.
fn described(record: &StateMachineRecord, included: bool) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("stateMachineArn".into(), json!(record.arn));
    answer.insert("name".into(), json!(record.name));
    answer.insert("roleArn".into(), json!(record.role_arn));
    let setting = |name: &str| record.settings.get(name).cloned();
    let logging = setting(LOGGING).unwrap_or_else(|| json!({"level": "OFF", "includeExecutionData": false}));
    answer.insert(LOGGING.into(), logging);
    answer.insert(
        TRACING.into(),
        setting(TRACING).unwrap_or_else(|| json!({"enabled": false})),
    );
    put(&mut answer, "revisionId", revision_id(record));
    let definition: Value = serde_json::from_str(&record.definition).unwrap_or_default();
    let encryption = setting(ENCRYPTION).or_else(|| uses_variables(&definition).then(default_encryption));
    put(&mut answer, ENCRYPTION, encryption);
    if !included {
        answer.insert("definition".into(), "{}".into());
    } else {
        answer.insert("definition".into(), json!(record.definition));
        let references = variables::references(&definition);
        put(
            &mut answer,
            "variableReferences",
            (!references.is_empty()).then(|| json!(references)),
        );
    }
    answer
}

/// Whether a definition uses what the language has only had since variables and JSONata came.
///
/// AWS shows the default encryption of such machines; that of others it does not, in the answers recorded of it.
fn uses_variables(definition: &Value) -> bool {
    match definition {
        Value::Object(members) => members.iter().any(|(name, value)| {
            name == "Assign" || (name == "QueryLanguage" && value == "JSONata") || uses_variables(value)
        }),
        Value::Array(items) => items.iter().any(uses_variables),
        _ => false,
    }
}

fn default_encryption() -> Value {
    json!({"type": "AWS_OWNED_KEY"})
}

const LOGGING: &str = "loggingConfiguration";
const TRACING: &str = "tracingConfiguration";
const ENCRYPTION: &str = "encryptionConfiguration";

/// The configurations that a request gives, each as it is shown later.
#[derive(PartialEq)]
struct Settings(Map<String, Value>);

impl Settings {
    /// Those that a state machine was given.
    fn of(record: &StateMachineRecord) -> Self {
        let kept = record.settings.as_object().into_iter().flatten();
        let given = kept.filter(|(name, _)| [LOGGING, TRACING, ENCRYPTION].contains(&name.as_str()));
        Self(given.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    fn read(request: &mut Request) -> Result<Self, Error> {
        let mut settings = Map::new();
        if let Some(logging) = request.object(LOGGING) {
            settings.insert(LOGGING.into(), logging_configuration(&logging)?);
        }
        if let Some(tracing) = request.object(TRACING) {
            let enabled = tracing.get("enabled").and_then(Value::as_bool).unwrap_or(false);
            settings.insert(TRACING.into(), json!({ "enabled": enabled }));
        }
        if let Some(encryption) = request.object(ENCRYPTION) {
            settings.insert(ENCRYPTION.into(), encryption_configuration(&encryption)?);
        }
        Ok(Self(settings))
    }
}

/// Keys are KMS's, of which there is none here.
pub(super) fn encryption_configuration(given: &Map<String, Value>) -> Result<Value, Error> {
    match given.get("type").and_then(Value::as_str) {
        Some("AWS_OWNED_KEY") => Ok(default_encryption()),
        _ => Err(Error::InvalidEncryptionConfiguration("Only AWS_OWNED_KEY is supported")),
    }
}

fn logging_configuration(given: &Map<String, Value>) -> Result<Value, Error> {
    let level = given.get("level").and_then(Value::as_str).unwrap_or("OFF");
    let destinations = given.get("destinations").and_then(Value::as_array).map_or(0, Vec::len);
    if level != "OFF" && destinations != 1 {
        return Err(Error::InvalidLoggingConfiguration(
            "Must specify exactly one Log Destination.",
        ));
    }
    let with_data = given
        .get("includeExecutionData")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let mut shown = json!({"level": level, "includeExecutionData": with_data});
    if let Some(destinations) = given.get("destinations") {
        shown["destinations"] = destinations.clone();
    }
    Ok(shown)
}
