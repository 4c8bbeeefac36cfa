//! A SAM template, resolved: which functions, tables, secrets, state machines, routes and rules there are.
//!
//! [`Template::load`] reads the whole text and reports everything that is wrong with it at once. It knows a subset of
//! SAM and says so: resources that only mean something on AWS are listed in [`Template::ignored`]; a property or an
//! intrinsic function that would change behaviour and is not supported is a [`Problem`] with its line and column.
//! It does not run anything, and apart from the template and the definitions it names it reads no file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::iam::Policy;

pub use node::Position;
pub use route::{PathSegment, RouteKey, RoutePath};

mod api;
mod events;
mod function;
mod globals;
mod json;
mod loader;
mod names;
mod node;
mod parameters;
mod policies;
pub mod positions;
mod properties;
mod references;
mod resolver;
mod route;
mod secret;
mod state_machine;
mod table;
#[cfg(test)]
mod tests;

/// The account that everything here belongs to.
pub const ACCOUNT_ID: &str = "000000000000";
const PARTITION: &str = "aws";
const URL_SUFFIX: &str = "amazonaws.com";
const STACK_NAME: &str = "ticketflow";

/// The largest template that CloudFormation takes.
const MAX_TEMPLATE_BYTES: u64 = 1 << 20;

/// What the template is resolved with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The value of `AWS::Region`.
    pub region: String,
    /// Values of parameters, by name; the others take their defaults.
    pub parameters: BTreeMap<String, String>,
    /// Where the HTTP API is reached, without a slash at the end: what stands for the URL that AWS would give it.
    pub gateway_url: String,
}

pub use asl::Severity;

/// What is wrong with the template itself.
pub(crate) const INVALID_TEMPLATE: &str = "INVALID_TEMPLATE";

/// Something that is wrong in a file of the user's, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: PathBuf,
    pub line: usize,
    pub column: usize,
    pub severity: Severity,
    /// The kind of problem; AWS's own code where AWS has one.
    pub code: &'static str,
    pub message: String,
    /// What to do about it.
    pub help: Option<&'static str>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file.display(),
            self.line,
            self.column,
            self.message
        )
    }
}

/// The name of a resource inside the template.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogicalId(pub String);

impl LogicalId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogicalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for LogicalId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Everything in the template that runs here.
#[derive(Debug, Default)]
pub struct Template {
    pub functions: BTreeMap<LogicalId, Function>,
    pub tables: Vec<Table>,
    pub secrets: Vec<Secret>,
    pub state_machines: Vec<StateMachineResource>,
    pub http_api: Option<HttpApi>,
    pub rules: Vec<Rule>,
    pub schedules: Vec<Schedule>,
    pub outputs: Vec<Output>,
    /// What only means something on AWS, with its type.
    pub ignored: Vec<(LogicalId, String)>,
}

impl Template {
    /// Reads and resolves the template at `path`; on failure, everything that is wrong with it, in order of place.
    pub fn load(path: &Path, settings: &Settings) -> Result<Template, Vec<Problem>> {
        let (template, mut problems) = loader::examine(path, settings);
        problems.retain(|problem| problem.severity == Severity::Error);
        if problems.is_empty() {
            Ok(template)
        } else {
            Err(problems)
        }
    }

    /// Like [`Template::load`], but a template with problems comes with what could be understood of it, so that its
    /// state machines can be checked in the same go. It is not fit to run.
    pub fn examine(path: &Path, settings: &Settings) -> (Template, Vec<Problem>) {
        loader::examine(path, settings)
    }
}

/// A Lambda function.
pub struct Function {
    pub logical_id: LogicalId,
    pub name: String,
    pub arn: String,
    /// The directory of the code: of its `bootstrap`, or of the package that builds it.
    pub code_uri: PathBuf,
    pub handler: String,
    /// The cargo binary to build, where `code_uri` has no `bootstrap` yet.
    pub build: Option<String>,
    pub timeout: Duration,
    pub memory_mb: u32,
    pub reserved_concurrency: Option<u32>,
    pub environment: BTreeMap<String, String>,
    /// The alias that is published (`AutoPublishAlias`): `arn:alias` is this function too.
    pub alias: Option<String>,
    pub async_invoke: AsyncInvoke,
    pub role: Role,
}

/// The role in which a function or the executions of a state machine act.
#[derive(Debug, Default)]
pub struct Role {
    pub name: String,
    /// `None` where a part of it is only known on AWS.
    pub policy: Option<Policy>,
}

impl fmt::Debug for Function {
    /// Without the values of the environment: a `NoEcho` parameter may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field("code_uri", &self.code_uri)
            .field("build", &self.build)
            .field("timeout", &self.timeout)
            .field("memory_mb", &self.memory_mb)
            .field("environment", &self.environment.keys())
            .finish_non_exhaustive()
    }
}

/// How Lambda retries asynchronous invocations (`EventInvokeConfig`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsyncInvoke {
    pub maximum_retry_attempts: u32,
    pub maximum_event_age: Duration,
}

impl Default for AsyncInvoke {
    /// Lambda's own: two retries within six hours.
    fn default() -> AsyncInvoke {
        AsyncInvoke {
            maximum_retry_attempts: 2,
            maximum_event_age: Duration::from_secs(6 * 3600),
        }
    }
}

/// A DynamoDB table.
#[derive(Debug)]
pub struct Table {
    pub logical_id: LogicalId,
    pub name: String,
    pub arn: String,
    /// A ready CreateTable request, the stream's specification included.
    pub create_table: serde_json::Value,
    pub ttl_attribute: Option<String>,
    pub stream: Option<Stream>,
}

/// A table's stream of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub arn: String,
    /// `NEW_IMAGE`, `OLD_IMAGE`, `NEW_AND_OLD_IMAGES` or `KEYS_ONLY`.
    pub view_type: String,
}

/// A secret of Secrets Manager.
#[derive(Debug)]
pub struct Secret {
    pub logical_id: LogicalId,
    pub name: String,
    pub arn: String,
    pub value: SecretValue,
}

/// Where a secret's value comes from.
pub enum SecretValue {
    Given(String),
    Generated(GenerateSecretString),
    /// The template leaves it to be put later.
    Absent,
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretValue::Given(_) => f.write_str("Given(****)"),
            SecretValue::Generated(generate) => generate.fmt(f),
            SecretValue::Absent => f.write_str("Absent"),
        }
    }
}

/// How Secrets Manager is to make up a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateSecretString {
    pub password_length: u32,
    pub exclude_characters: String,
    pub exclude_lowercase: bool,
    pub exclude_uppercase: bool,
    pub exclude_numbers: bool,
    pub exclude_punctuation: bool,
    pub include_space: bool,
    pub require_each_included_type: bool,
    /// A JSON object to which the password is added under `key`, as the secret's whole value.
    pub template: Option<SecretTemplate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretTemplate {
    pub object: serde_json::Map<String, serde_json::Value>,
    pub key: String,
}

/// A state machine.
#[derive(Debug)]
pub struct StateMachineResource {
    pub logical_id: LogicalId,
    pub name: String,
    pub arn: String,
    pub machine_type: MachineType,
    /// The definition as JSON, substitutions made.
    pub definition: String,
    /// Where it comes from, for problems found in it.
    pub source: DefinitionSource,
    /// The alias that is published (`AutoPublishAlias`): `arn:alias` is this state machine too.
    pub alias: Option<String>,
    /// What tells executions apart for people.
    pub subject: Option<Subject>,
    pub role: Role,
}

/// What the executions of a state machine are about (its `Metadata`).
#[derive(Clone, Debug)]
pub struct Subject {
    /// Where the input tells it, the first that it has: `Subject: [$.order.name, $.order.id]`.
    pub texts: Vec<asl::query::Expression>,
    /// Where a page about it is, with `{}` for the subject: `SubjectLink: /orders/{}`.
    pub link: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineType {
    Standard,
    Express,
}

/// The file that a definition stands in, as its author sees it.
#[derive(Debug)]
pub struct DefinitionSource {
    pub file: PathBuf,
    /// With the substitutions still to be made, where the text is well-formed without them.
    root: node::Node,
    /// The substitutions that have no value. The definition has a stopgap in their places.
    missing: BTreeSet<String>,
}

impl DefinitionSource {
    /// Whether what is at this place of the definition is not known, for want of a substitution.
    pub fn is_unknown(&self, pointer: &str) -> bool {
        let node = positions::find(&self.root, pointer);
        let text = node.as_text().unwrap_or_default();
        self.missing.iter().any(|name| text.contains(&format!("${{{name}}}")))
    }

    /// A problem of the definition at its place in the author's file.
    pub fn problem(&self, problem: asl::Problem) -> Problem {
        let at = positions::find(&self.root, &problem.place()).at;
        Problem {
            file: self.file.clone(),
            line: at.line,
            column: at.column,
            severity: problem.severity,
            code: problem.code,
            message: problem.message,
            help: asl::lint::help(problem.code),
        }
    }
}

/// The HTTP API: all routes, and what holds for all of them.
#[derive(Debug, Default)]
pub struct HttpApi {
    pub logical_id: LogicalId,
    pub id: String,
    pub stage_variables: BTreeMap<String, String>,
    pub cors: Option<Cors>,
    pub authorizers: BTreeMap<String, JwtAuthorizer>,
    pub routes: Vec<Route>,
}

/// One route, always of payload format 2.0.
#[derive(Debug)]
pub struct Route {
    pub key: RouteKey,
    /// The function's name.
    pub function: String,
    pub timeout: Duration,
    pub authorizer: Option<RouteAuthorizer>,
    pub throttle: Option<Throttle>,
}

/// The authorizer that a route stands behind, by its name in [`HttpApi::authorizers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteAuthorizer {
    pub name: String,
    /// A token must have one of these, if there are any.
    pub scopes: Vec<String>,
}

/// Whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtAuthorizer {
    pub issuer: String,
    pub audience: Vec<String>,
    pub identity_source: IdentitySource,
    /// The issuer is a user pool of this template, for which the local issuer stands.
    pub is_local: bool,
    /// Where its JwtConfiguration stands.
    pub position: Position,
}

/// Where a request has its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// `$request.header.NAME`, in lower case.
    Header(String),
    /// `$request.querystring.NAME`
    Query(String),
}

/// How many requests a route takes before it answers 429.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// Requests a second in the long run.
    pub rate: Option<f64>,
    /// Requests at once.
    pub burst: Option<u32>,
}

/// What the API tells browsers about pages of other origins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    pub allow_origins: Vec<String>,
    pub allow_headers: Vec<String>,
    pub allow_methods: Vec<String>,
    pub expose_headers: Vec<String>,
    pub max_age_seconds: Option<u32>,
    pub allow_credentials: bool,
}

/// What an event rule or a schedule calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The function of that name.
    Function(String),
    /// The state machine of that ARN.
    StateMachine(String),
}

/// A rule of the default event bus.
#[derive(Debug)]
pub struct Rule {
    pub name: String,
    pub enabled: bool,
    pub pattern: serde_json::Value,
    pub target: Target,
    pub input: TargetInput,
    /// Where the rule's pattern stands, for problems found in it.
    pub position: Position,
}

/// What a target gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetInput {
    /// The event as it is.
    Event,
    /// The part of the event that a JSONPath names.
    Path(String),
    /// Always this JSON text.
    Constant(String),
}

/// Something to be called at times.
#[derive(Debug)]
pub struct Schedule {
    pub name: String,
    /// `rate(…)` or `cron(…)`.
    pub expression: String,
    pub enabled: bool,
    pub target: Target,
    pub input: TargetInput,
    /// Where the expression stands, for problems found in it.
    pub position: Position,
}

/// A value that the template wants shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub name: String,
    pub description: Option<String>,
    pub value: String,
}
