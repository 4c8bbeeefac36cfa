//! A stack: the resources of one template, running.
//!
//! Starting it opens what is durable, connects the services with each other, brings the state machines up to the
//! template, and only then listens: whoever finds the port open finds everything behind it.

mod machines;
mod starter;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::aws::{Endpoint, Services};
use crate::clock::{self, Clock};
use crate::console::Console;
use crate::driver::{self, Engine};
use crate::dynamodb::{self, DynamoDb};
use crate::events::{self, Bus};
use crate::gateway::{self, Authorizers, Gateway};
use crate::history::{self, DataDir};
use crate::iam::Policies;
use crate::integrations::{Integrations, LambdaEndpoint, NotAnEndpoint};
use crate::issuer::{self, Identity, Issuer};
use crate::lambda::{self, Host, HostConfig, Invoke};
use crate::secrets::{self, Secrets};
use crate::stepfunctions::StepFunctions;
use crate::template::{HttpApi, LogicalId, Output, Template};

use self::starter::Starter;
use self::status::StatusBus;

/// How long what is in flight may take to finish when the stack stops: a function's longest time on the way of a
/// request, as API Gateway has it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The two sockets, bound before the template is read, which names their addresses.
pub struct Listeners {
    gateway: TcpListener,
    address: SocketAddr,
    gateway_url: String,
    aws: Endpoint,
}

/// A port that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on {address}")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

impl Listeners {
    /// Binds the API's port on `host` and that of the AWS endpoints on loopback, where they always are; 0 takes a free
    /// one.
    pub async fn bind(host: IpAddr, port: u16, aws_port: u16) -> Result<Self, BindError> {
        let failed = |address| move |source| BindError { address, source };
        let wanted = SocketAddr::new(host, port);
        let gateway = TcpListener::bind(wanted).await.map_err(failed(wanted))?;
        let address = gateway.local_addr().map_err(failed(wanted))?;
        let wanted = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), aws_port);
        let aws = Endpoint::bind(aws_port).await.map_err(failed(wanted))?;
        // All addresses of this machine are no address to call.
        let reached = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
            IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
            _ => address,
        };
        Ok(Self {
            gateway,
            address,
            gateway_url: format!("http://{reached}"),
            aws,
        })
    }

    /// Where the HTTP API is reached.
    pub fn gateway_url(&self) -> String {
        self.gateway_url.clone()
    }
}

/// What a stack is started with, beside its template.
#[derive(Debug)]
pub struct Config {
    /// Where everything durable lies; it exists.
    pub data_dir: PathBuf,
    pub region: String,
    /// The binary of each function.
    pub programs: BTreeMap<LogicalId, PathBuf>,
    /// Values of secrets from outside.
    pub secrets: BTreeMap<LogicalId, String>,
    /// Where functions are called that the template does not have.
    pub lambda_endpoint: Option<String>,
    /// Whether the time is skipped in which nothing happens.
    pub time_skip: bool,
}

/// Why a stack could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not read the clock")]
    Clock(#[source] clock::Error),
    #[error("could not open the table store")]
    DynamoDb(#[source] dynamodb::Error),
    #[error("could not open the secrets")]
    Secrets(#[source] secrets::Error),
    #[error("could not open the event bus")]
    Events(#[source] events::Error),
    #[error("could not start the Lambda host")]
    Lambda(#[source] lambda::StartError),
    #[error("could not open the executions")]
    Engine(#[source] driver::Error),
    #[error("could not create state machine {name}")]
    StateMachine {
        name: String,
        #[source]
        source: driver::Error,
    },
    #[error("{0} can be reached from elsewhere, and no route of the template has an authorizer")]
    OpenToAll(SocketAddr),
    #[error("function {0} has no program")]
    NoProgram(LogicalId),
    #[error("could not set up the local issuer of tokens")]
    Issuer(#[source] issuer::Error),
    #[error("could not set up the authorizers")]
    Authorizers(#[source] gateway::SetupError),
    #[error("the Lambda endpoint cannot be used")]
    LambdaEndpoint(#[source] NotAnEndpoint),
    #[error("a thread that opens the stores ended")]
    Thread,
}

/// The files of a data directory.
struct Files<'a>(&'a Path);

impl Files<'_> {
    fn dynamodb(&self) -> PathBuf {
        self.0.join("dynamodb.db")
    }

    fn clock(&self) -> PathBuf {
        self.0.join("clock.json")
    }

    fn events(&self) -> PathBuf {
        self.0.join("events.db")
    }

    fn secrets(&self) -> PathBuf {
        self.0.join("secrets.json")
    }
}

/// A running stack.
pub struct Stack {
    clock: Clock,
    policies: Arc<Policies>,
    gateway_url: String,
    aws_url: String,
    outputs: Vec<Output>,
    secrets: Secrets,
    host: Arc<Host>,
    engine: Engine,
    console: Arc<Console>,
    dynamodb: DynamoDb,
    gateway: Server,
    endpoint: Server,
    background: Vec<JoinHandle<()>>,
}

impl Stack {
    /// Starts everything, and goes on where the data directory left off.
    pub async fn start(listeners: Listeners, mut template: Template, config: Config) -> Result<Self, Error> {
        check_exposure(listeners.address, template.http_api.as_ref())?;
        let policies = Arc::new(Policies::take(&mut template, &config.region));
        // Before anything in it is touched.
        let data_dir = DataDir::take(&config.data_dir).map_err(|error| Error::Engine(error.into()))?;
        let clock = Clock::open(&Files(&config.data_dir).clock(), config.time_skip).map_err(Error::Clock)?;
        let starting = clock.busy();
        let aws_url = format!("http://{}", listeners.aws.address());
        let functions = functions(&template, &config.programs)?;
        let host =
            Host::start(functions, HostConfig::new(config.region.clone(), aws_url.clone())).map_err(Error::Lambda)?;
        let host = Arc::new(host);
        let invoke: Arc<dyn Invoke> = host.clone();
        let elsewhere = config.lambda_endpoint.as_deref().map(LambdaEndpoint::new).transpose();
        let elsewhere = elsewhere.map_err(Error::LambdaEndpoint)?;

        let starter = Arc::new(Starter::default());
        let stores = Stores::open(&template, &config, invoke.clone(), starter.clone(), clock.clone()).await?;
        let integrations = Arc::new(Integrations::new(
            invoke.clone(),
            elsewhere,
            Arc::new(stores.dynamodb.clone()),
            Arc::new(stores.bus.clone()),
            policies.clone(),
            clock.clone(),
        ));
        let engine = Engine::open(driver::Config {
            data_dir,
            region: config.region.clone(),
            clock: clock.clone(),
            tasks: integrations.clone(),
            status_events: Arc::new(StatusBus::new(stores.bus.clone(), &template.rules)),
            subjects: subjects(&template),
        })
        .await
        .map_err(Error::Engine)?;
        for machine in &template.state_machines {
            let failed = |source| Error::StateMachine {
                name: machine.name.clone(),
                source,
            };
            machines::put(&engine, machine).await.map_err(failed)?;
        }
        let states = Arc::new(StepFunctions::new(engine.clone(), clock.clone()));
        integrations.connect(&states);
        starter.connect(engine.clone());

        let background = vec![
            tokio::spawn({
                let bus = stores.bus.clone();
                async move { bus.run().await }
            }),
            tokio::spawn({
                let dynamodb = stores.dynamodb.clone();
                async move { dynamodb.keep_house().await }
            }),
        ];
        let services = Services {
            states,
            dynamodb: Arc::new(stores.dynamodb.clone()),
            secrets: Arc::new(stores.secrets.clone()),
            events: Arc::new(stores.bus),
        };
        // The console is there whether or not the template has an API.
        let api = template.http_api.unwrap_or_default();
        declare_issuer(&config.data_dir, &api).map_err(Error::Issuer)?;
        let authorizers = Authorizers::new(&api, &config.data_dir, Clock::system()).map_err(Error::Authorizers)?;
        let console = Console::new(engine.clone(), &template.state_machines, &api, aws_url.clone());
        let console = Arc::new(console);
        let gateway = Gateway::new(api, invoke, authorizers, clock.clone());
        let router = console.clone().router(gateway.guard());
        let mut stack = Self {
            clock: clock.clone(),
            policies: policies.clone(),
            gateway_url: listeners.gateway_url,
            aws_url,
            outputs: template.outputs,
            secrets: stores.secrets,
            host,
            engine,
            console,
            dynamodb: stores.dynamodb,
            gateway: Server::default(),
            endpoint: Server::default(),
            background,
        };
        let served = clock.clone();
        stack.endpoint.run("the AWS endpoints", |stopped| {
            listeners.aws.serve(services, policies, served, stopped)
        });
        stack.gateway.run("the HTTP API", |stopped| {
            gateway::serve(listeners.gateway, gateway, router, stopped)
        });
        drop(starting);
        Ok(stack)
    }

    /// Where the HTTP API is reached.
    pub fn gateway_url(&self) -> &str {
        &self.gateway_url
    }

    /// Where the AWS-shaped endpoints are.
    pub fn aws_url(&self) -> &str {
        &self.aws_url
    }

    /// How far the clock is ahead of the machine's, for the time that was skipped on this data so far.
    pub fn ahead(&self) -> TimeDelta {
        self.clock.ahead()
    }

    /// The template's Outputs.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The current value of a secret, by its name.
    pub fn secret(&self, name: &str) -> Option<String> {
        self.secrets.current(name)
    }

    /// Stops: takes nothing more, finishes what is in flight, and closes the stores.
    ///
    /// Open executions go on at the next start.
    pub async fn shutdown(mut self) {
        // Streams have no end of their own.
        self.console.end_streams();
        // From the outside in: a request of the API needs functions, and they need the AWS endpoints to their end.
        self.gateway.stop().await;
        for task in &self.background {
            task.abort();
        }
        self.engine.shutdown().await;
        self.host.shutdown(PATIENCE).await;
        self.endpoint.stop().await;
        for grant in self.policies.unused() {
            tracing::debug!(%grant, "granted by the template, and not used since the start");
        }
        let stats = self.dynamodb.stats();
        let requests: u64 = stats.requests.values().sum();
        let (read_units, write_units, commits) = (stats.read_units, stats.write_units, stats.commits);
        tracing::info!(
            requests,
            read_units,
            write_units,
            commits,
            "what the table store was asked"
        );
    }
}

/// A server in the background.
#[derive(Default)]
struct Server {
    /// Told to stop listening; it then finishes what is in flight.
    stopping: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Runs what `serve` makes of the future that resolves when the server is to stop.
    fn run<F>(&mut self, name: &'static str, serve: impl FnOnce(Stopped) -> F)
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let mut stopping = self.stopping.subscribe();
        let serving = serve(Box::pin(async move {
            // An error is that the stack is gone, which is a stop too.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }));
        self.tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "{name} stopped");
            }
        });
    }

    /// Takes nothing more, and finishes what is in flight.
    async fn stop(&mut self) {
        self.stopping.send_replace(true);
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, finished).await.is_err() {
            tracing::warn!(patience = ?PATIENCE, "requests were still in flight");
        }
    }
}

type Stopped = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The stores that block on the disk while they open.
struct Stores {
    dynamodb: DynamoDb,
    secrets: Secrets,
    bus: Bus,
}

impl Stores {
    async fn open(
        template: &Template,
        config: &Config,
        invoke: Arc<dyn Invoke>,
        start: Arc<Starter>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let files = Files(&config.data_dir);
        let given = config
            .secrets
            .iter()
            .map(|(id, value)| (id.to_string(), value.clone()))
            .collect();
        tokio::task::block_in_place(|| {
            let dynamodb = DynamoDb::open(&files.dynamodb(), &tables(template), clock.clone());
            let secrets = Secrets::open(&files.secrets(), &template.secrets, &given, clock.clone());
            let bus = Bus::open(events::Config {
                path: &files.events(),
                region: &config.region,
                rules: &template.rules,
                schedules: &template.schedules,
                async_invoke: template
                    .functions
                    .values()
                    .map(|function| (function.name.clone(), function.async_invoke))
                    .collect(),
                invoke,
                start,
                clock,
            });
            Ok(Self {
                dynamodb: dynamodb.map_err(Error::DynamoDb)?,
                secrets: secrets.map_err(Error::Secrets)?,
                bus: bus.map_err(Error::Events)?,
            })
        })
    }
}

fn tables(template: &Template) -> Vec<dynamodb::Table> {
    let tables = template.tables.iter();
    tables
        .map(|table| dynamodb::Table {
            create: table.create_table.clone(),
            ttl_attribute: table.ttl_attribute.clone(),
        })
        .collect()
}

/// Where the input of each state machine's executions says what they are about.
fn subjects(template: &Template) -> BTreeMap<String, Vec<asl::query::Expression>> {
    let machines = template.state_machines.iter();
    machines
        .filter_map(|machine| Some((machine.arn.clone(), machine.subject.as_ref()?.texts.clone())))
        .collect()
}

fn functions(template: &Template, programs: &BTreeMap<LogicalId, PathBuf>) -> Result<Vec<lambda::Function>, Error> {
    let functions = template.functions.values();
    functions
        .map(|function| {
            let id = &function.logical_id;
            Ok(lambda::Function {
                name: function.name.clone(),
                arn: function.arn.clone(),
                program: programs.get(id).cloned().ok_or_else(|| Error::NoProgram(id.clone()))?,
                handler: function.handler.clone(),
                timeout: function.timeout,
                memory_mb: function.memory_mb,
                reserved_concurrency: function.reserved_concurrency,
                environment: function.environment.clone(),
            })
        })
        .collect()
}

/// Refuses to show an API without authorizer to other machines, and names the routes that are open to them.
fn check_exposure(address: SocketAddr, api: Option<&HttpApi>) -> Result<(), Error> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let routes = api.map_or(&[][..], |api| &api.routes);
    if routes.iter().all(|route| route.authorizer.is_none()) {
        return Err(Error::OpenToAll(address));
    }
    for route in routes.iter().filter(|route| route.authorizer.is_none()) {
        tracing::warn!(route = %route.key, %address, "has no authorizer: whoever reaches the address can call it");
    }
    Ok(())
}

/// Says who the local issuer is, if an authorizer's issuer is a user pool of the template.
fn declare_issuer(data_dir: &Path, api: &HttpApi) -> Result<(), issuer::Error> {
    let mut local = api.authorizers.iter().filter(|(_, authorizer)| authorizer.is_local);
    let Some((name, authorizer)) = local.next() else {
        return Issuer::retract(data_dir);
    };
    let routes = api.routes.iter().filter_map(|route| route.authorizer.as_ref());
    let scopes: BTreeSet<&String> = routes
        .filter(|route| route.name == *name)
        .flat_map(|route| &route.scopes)
        .collect();
    let identity = Identity {
        issuer: authorizer.issuer.clone(),
        client_id: authorizer.audience.first().cloned().unwrap_or_default(),
        scopes: scopes.into_iter().cloned().collect(),
    };
    Issuer::declare(data_dir, &identity)
}

/// The value of a secret that a stack keeps in its data directory; `None` if it has none of that name.
pub fn secret(data_dir: &Path, name: &str) -> Result<Option<String>, secrets::Error> {
    let file = Files(data_dir).secrets();
    if !file.exists() {
        return Ok(None);
    }
    let secrets = Secrets::open(&file, &[], &BTreeMap::new(), Clock::system())?;
    Ok(secrets.current(name))
}

/// Drops every table's items and every execution of a data directory; its secrets stay.
///
/// Fails while a stack runs on the directory.
pub async fn reset(data_dir: &Path, template: &Template) -> Result<(), ResetError> {
    let files = Files(data_dir);
    if !files.dynamodb().exists() {
        return Err(ResetError::NoData(data_dir.to_owned()));
    }
    let directory = DataDir::take(data_dir).map_err(|error| ResetError::Executions(error.into()))?;
    let opened = tokio::task::block_in_place(|| {
        history::reset(&directory).map_err(|error| ResetError::Executions(error.into()))?;
        DynamoDb::open(&files.dynamodb(), &tables(template), Clock::system()).map_err(ResetError::Table)
    });
    opened?.reset().await.map_err(ResetError::Table)?;
    for file in with_logs(files.events()) {
        remove(&file).map_err(ResetError::Events)?;
    }
    // Nothing is left that is stamped with a time to come.
    remove(&files.clock()).map_err(ResetError::Clock)
}

/// A database's file, and what SQLite may keep beside it.
fn with_logs(file: PathBuf) -> [PathBuf; 3] {
    let beside = |suffix: &str| {
        let mut name = file.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    [beside("-wal"), beside("-shm"), file]
}

fn remove(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What could not be dropped.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    #[error("there is no Ticketflow data in {0}")]
    NoData(PathBuf),
    #[error("could not drop the executions")]
    Executions(#[source] driver::Error),
    #[error("could not drop the table")]
    Table(#[source] dynamodb::Error),
    #[error("could not drop the owed events")]
    Events(#[source] std::io::Error),
    #[error("could not set the clock back")]
    Clock(#[source] std::io::Error),
}
