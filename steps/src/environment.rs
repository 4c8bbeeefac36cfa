//! What a function is given from outside: its environment variables, and clients for the services they point to.

use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use ticket::{Policy, SiteId};

use crate::execution::Executions;
use crate::machines::{Machine, Machines};
use crate::policy::InForce;
use crate::secret::Secret;
use crate::table::Table;
use crate::timers::Timers;

/// Tries of one request. With the time-outs below a request ends within 5 s, well before its function's own time-out.
const ATTEMPTS: u32 = 3;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2_500);
const OPERATION_TIMEOUT: Duration = Duration::from_millis(5_000);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the environment variable {name} is missing")]
    Missing { name: &'static str },
    #[error("the environment variable {name} is {value:?}, which is not {expected}")]
    Invalid {
        name: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("the environment variable POLICY is {value:?}, which is no policy")]
    Policy {
        value: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the webhook's secret cannot be read")]
    Secret {
        #[source]
        source: crate::secret::Error,
    },
}

/// The JIRA that tickets are reconciled with.
#[derive(Clone, Debug)]
pub struct JiraSite {
    pub url: String,
    pub site: SiteId,
}

/// The environment of this process.
#[derive(Debug)]
pub struct Environment {
    sdk: SdkConfig,
}

impl Environment {
    /// Finds region, credentials and endpoints where Lambda puts them.
    ///
    /// TLS is ring's: the other provider gathers entropy for 24 ms of CPU at its first handshake, in the middle of
    /// the first, throttled invocation.
    pub async fn read() -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(EnvironmentVariableRegionProvider::new())
            .credentials_provider(EnvironmentVariableCredentialsProvider::new())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts)
            .load()
            .await;
        Self { sdk }
    }

    /// The table that `TABLE_NAME` names.
    pub fn table(&self) -> Result<Table, Error> {
        Ok(Table::new(
            aws_sdk_dynamodb::Client::new(&self.sdk),
            variable("TABLE_NAME")?,
        ))
    }

    /// The executions that events go through.
    pub fn executions(&self) -> Result<Executions, Error> {
        self.executions_of(Machine::TicketLifecycle)
    }

    /// The recomputes.
    pub fn recomputes(&self) -> Result<Executions, Error> {
        self.executions_of(Machine::Recompute)
    }

    /// The timers.
    pub fn timers(&self) -> Result<Timers, Error> {
        self.executions_of(Machine::SlaClock).map(Timers::new)
    }

    /// The executions of every state machine.
    pub fn machines(&self) -> Result<Machines, Error> {
        Machines::open(|machine| self.executions_of(machine))
    }

    fn executions_of(&self, machine: Machine) -> Result<Executions, Error> {
        let name = machine.variable();
        let arn = variable(name)?;
        Executions::new(aws_sdk_sfn::Client::new(&self.sdk), &arn).ok_or(Error::Invalid {
            name,
            value: arn,
            expected: "the ARN of a state machine",
        })
    }

    /// The secret that `WEBHOOK_SECRET_ARN` names, not yet read.
    pub fn secret(&self) -> Result<Secret, Error> {
        Ok(Secret::new(
            aws_sdk_secretsmanager::Client::new(&self.sdk),
            variable("WEBHOOK_SECRET_ARN")?,
        ))
    }

    /// The JIRA that `JIRA_URL` names; `None` if it is empty.
    pub fn jira(&self) -> Result<Option<JiraSite>, Error> {
        let url = variable("JIRA_URL")?;
        if url.is_empty() {
            return Ok(None);
        }
        match SiteId::of_url(&url) {
            Ok(site) => Ok(Some(JiraSite { url, site })),
            Err(_) => Err(Error::Invalid {
                name: "JIRA_URL",
                value: url,
                expected: "the URL of a JIRA, such as https://example.atlassian.net",
            }),
        }
    }

    /// Which of its issues, as JQL; all, if it is empty.
    pub fn jql(&self) -> Result<String, Error> {
        variable("JIRA_JQL")
    }

    /// The secret that `JIRA_TOKEN_SECRET_ARN` names, not yet read.
    pub fn jira_token(&self) -> Result<Secret, Error> {
        Ok(Secret::new(
            aws_sdk_secretsmanager::Client::new(&self.sdk),
            variable("JIRA_TOKEN_SECRET_ARN")?,
        ))
    }

    /// The policy in `POLICY`, as JSON.
    pub fn policy(&self) -> Result<Policy, Error> {
        let value = variable("POLICY")?;
        serde_json::from_str(&value).map_err(|source| Error::Policy { value, source })
    }

    /// The same, for those who judge by it.
    pub fn policy_in_force(&self) -> Result<InForce, Error> {
        Ok(InForce::new(self.table()?, variable("POLICY")?, self.policy()?))
    }
}

fn variable(name: &'static str) -> Result<String, Error> {
    std::env::var(name).map_err(|_| Error::Missing { name })
}
