//! Who may do what: the template's policies, judged as AWS judges them.
//!
//! On AWS every function and every state machine acts in a role, and a permission that its policies lack shows only
//! after deployment. Here each has the same role: what it asks of a service that runs here is judged first, and refused
//! in AWS's words. Whoever comes with other credentials (a person with the AWS CLI, a test) owns the account.
//!
//! This is fidelity, not defence: no signature is checked, so a function that wants to be somebody else can.
//! What cannot be judged here (a condition on a key that only AWS knows, a policy that only AWS has) is never the reason
//! of a refusal; `ticketflow check` names it.
//!
//! | file | holds |
//! |---|---|
//! | `policy` | statements, and what they decide |
//! | `condition` | their conditions |
//! | `request` | which actions on which resources an operation is |

mod condition;
mod policy;
mod request;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use serde_json::json;

use crate::aws::{Answer, JSON_1_0, JSON_1_1};
use crate::template::{ACCOUNT_ID, Role, Template};

pub use condition::{Condition, UnknownOperator};
pub use policy::{ActionPattern, Decision, Effect, NotAnAction, Policy, ResourcePattern, Seen, Selection, Statement};
pub use request::Access;

/// The services whose requests are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    DynamoDb,
    Events,
    Lambda,
    Secrets,
    States,
}

impl Service {
    /// As actions begin: `dynamodb` in `dynamodb:PutItem`.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::Events => "events",
            Self::Lambda => "lambda",
            Self::Secrets => "secretsmanager",
            Self::States => "states",
        }
    }
}

/// The access key of a function's credentials: by it the AWS-shaped endpoints know who asks.
///
/// A function's name has no dot, and no key of AWS has one, so nobody has it by chance.
pub fn access_key(function: &str) -> String {
    format!("function.{function}")
}

/// Who asks: a role of the template that somebody has assumed.
#[derive(Debug)]
pub struct Caller {
    /// As refusals name it: `arn:aws:sts::…:assumed-role/ROLE/SESSION`.
    user: String,
    role_arn: String,
    policy: Policy,
}

impl Caller {
    /// `None` for a role whose policies are not all known here.
    fn new(role: Role, session: &str) -> Option<Self> {
        if role.policy.is_none() {
            tracing::info!(
                role = role.name,
                of = session,
                "not judged: only AWS knows all that it may do"
            );
        }
        Some(Self {
            user: format!("arn:aws:sts::{ACCOUNT_ID}:assumed-role/{}/{session}", role.name),
            role_arn: format!("arn:aws:iam::{ACCOUNT_ID}:role/{}", role.name),
            policy: role.policy?,
        })
    }
}

/// What names of resources stand for.
#[derive(Debug, Default)]
struct Scope {
    region: String,
    /// ARNs of secrets by name: six of their characters are drawn.
    secrets: HashMap<String, String>,
}

impl Scope {
    fn arn(&self, service: Service, resource: fmt::Arguments<'_>) -> String {
        format!("arn:aws:{}:{}:{ACCOUNT_ID}:{resource}", service.prefix(), self.region)
    }
}

/// The roles of a template.
#[derive(Debug, Default)]
pub struct Policies {
    /// By access key.
    functions: HashMap<String, Caller>,
    /// By ARN.
    state_machines: HashMap<String, Caller>,
    scope: Scope,
}

impl Policies {
    /// Takes the roles out of `template`.
    pub fn take(template: &mut Template, region: &str) -> Self {
        let functions = template.functions.values_mut().filter_map(|function| {
            let caller = Caller::new(std::mem::take(&mut function.role), &function.name)?;
            Some((access_key(&function.name), caller))
        });
        let machines = template.state_machines.iter_mut().filter_map(|machine| {
            let caller = Caller::new(std::mem::take(&mut machine.role), &machine.name)?;
            Some((machine.arn.clone(), caller))
        });
        let secrets = template.secrets.iter();
        Self {
            functions: functions.collect(),
            state_machines: machines.collect(),
            scope: Scope {
                region: region.to_owned(),
                secrets: secrets
                    .map(|secret| (secret.name.clone(), secret.arn.clone()))
                    .collect(),
            },
        }
    }

    /// Whose credentials have this access key; `None` for the account's owner, who may do everything.
    pub fn holder(&self, access_key: &str) -> Option<&Caller> {
        self.functions.get(access_key)
    }

    /// Who acts in the executions of a state machine; `None` if it is not the template's, and so not judged.
    ///
    /// The ARN may be that of a version, an alias, or a Distributed Map's.
    pub fn state_machine(&self, arn: &str) -> Option<&Caller> {
        let unqualified = request::unqualified(arn).0;
        let machine = unqualified.split('/').next().unwrap_or(unqualified);
        self.state_machines.get(machine)
    }

    /// Who acts in a role, by its ARN, where a single state is tested in it: one that a state machine of the template
    /// has, for another would not trust Step Functions.
    pub fn role(&self, arn: &str) -> Option<&Caller> {
        self.state_machines.values().find(|caller| caller.role_arn == arn)
    }

    /// Whether somebody may do an operation as its request has it. One that does not say what it is about is left to
    /// the service.
    pub fn may(&self, caller: &Caller, service: Service, operation: &str, body: &[u8]) -> Result<(), Denial> {
        let accesses = request::accesses(&self.scope, service, operation, body);
        accesses.iter().try_for_each(|access| self.decide(caller, access))
    }

    /// Whether somebody may call a function, by its name or ARN.
    pub fn may_invoke(&self, caller: &Caller, function: &str) -> Result<(), Denial> {
        self.decide(caller, &request::invoke(&self.scope, function))
    }

    /// Whether a state machine may wait for nested executions, which Step Functions watches by a rule of its own on AWS.
    /// Without that AWS does not even create the state machine.
    pub fn may_watch(&self, caller: &Caller) -> Result<(), Denial> {
        let rule = format_args!("rule/StepFunctionsGetEventsForStepFunctionsExecutionRule");
        let rule = self.scope.arn(Service::Events, rule);
        let actions = ["DescribeRule", "PutRule", "PutTargets"];
        let accesses = actions.map(|action| Access::new(Service::Events, action, rule.as_str()));
        accesses.iter().try_for_each(|access| self.decide(caller, access))
    }

    /// What is granted to nobody's use so far: of each role the actions and resources of its Allows that no request was
    /// allowed by, as `ROLE: dynamodb:PutItem`.
    pub fn unused(&self) -> Vec<String> {
        let callers = self.functions.values().chain(self.state_machines.values());
        let mut unused: Vec<String> = callers
            .flat_map(|caller| {
                let (_, role) = caller.role_arn.split_once("role/").unwrap_or_default();
                let grants = caller.policy.unused().into_iter();
                grants.map(move |grant| format!("{role}: {grant}"))
            })
            .collect();
        unused.sort_unstable();
        unused
    }

    fn decide(&self, caller: &Caller, access: &Access<'_>) -> Result<(), Denial> {
        let global = |key: &str| self.global(caller, key);
        let is_explicit = match caller.policy.decide(access, &global) {
            Decision::Allowed => return Ok(()),
            Decision::ImplicitlyDenied => false,
            Decision::ExplicitlyDenied => true,
        };
        Err(Denial {
            user: caller.user.clone(),
            service: access.service,
            action: format!("{}:{}", access.service.prefix(), access.action),
            resource: access.resource.as_deref().unwrap_or("*").to_owned(),
            is_explicit,
        })
    }

    /// The keys of conditions that every request has.
    fn global<'a>(&'a self, caller: &'a Caller, key: &str) -> Option<&'a str> {
        let values = [
            ACCOUNT_ID,
            &caller.role_arn,
            "AssumedRole",
            &self.scope.region,
            ACCOUNT_ID,
            // On AWS the SDKs speak TLS.
            "true",
            "false",
            "false",
        ];
        let known = condition::GLOBAL_KEYS.iter().zip(values);
        known
            .into_iter()
            .find_map(|(known, value)| known.eq_ignore_ascii_case(key).then_some(value))
    }
}

/// That a caller may not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    user: String,
    service: Service,
    action: String,
    resource: String,
    /// A statement denies it; else none allows it.
    is_explicit: bool,
}

impl fmt::Display for Denial {
    /// AWS's sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user, action, resource, ..
        } = self;
        write!(
            f,
            "User: {user} is not authorized to perform: {action} on resource: {resource} "
        )?;
        match self.is_explicit {
            true => f.write_str("with an explicit deny in an identity-based policy"),
            false => write!(f, "because no identity-based policy allows the {action} action"),
        }
    }
}

impl Denial {
    /// The exception's name, the same for all services.
    pub const CODE: &str = "AccessDeniedException";

    /// The HTTP status, which is Lambda's alone to have as HTTP means it.
    pub fn status(&self) -> u16 {
        match self.service {
            Service::Lambda => 403,
            _ => 400,
        }
    }

    /// Says in the log that it was refused; whoever asked may keep it to himself.
    pub fn log(&self) {
        tracing::warn!(denial = %self, "refused by the template's policies");
    }

    /// As the service sends it.
    pub fn answer(&self) -> Answer {
        let (content_type, package) = match self.service {
            Service::DynamoDb | Service::States => (JSON_1_0, "com.amazon.coral.service#"),
            Service::Events | Service::Lambda | Service::Secrets => (JSON_1_1, ""),
        };
        let body = json!({"__type": format!("{package}{}", Self::CODE), "Message": self.to_string()});
        Answer {
            status: self.status(),
            content_type,
            body: body.to_string().into(),
        }
    }
}
