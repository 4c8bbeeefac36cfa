//! `ticketflow up`: everything the template describes, on this machine.

use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use runtime::issuer::Issuer;
use runtime::stack::Error as StackError;
use runtime::template::{Route, Settings, Template};
use runtime::{Config, Listeners, Stack};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::with_hint;
use crate::output::{Quiet, note, say};
use crate::{TemplateOptions, compile, post, sample, style, ticket};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow up
  ticketflow up --port 8080 --data-dir ~/tickets
  ticketflow up --host 0.0.0.0                      for other machines, too: they need tokens
  ticketflow up --time-skip --data-dir skipped      a test run: workflows do not wait
  ticketflow up --template .aws-sam/build/template.yaml --parameter Architecture=x86_64

JIRA_WEBHOOK_SECRET is the secret that JIRA signs with; without it, one is made at the first start and kept in the
data directory. RUST_LOG chooses what is logged, such as RUST_LOG=lambda=debug,info.")]
pub(crate) struct Options {
    #[command(flatten)]
    template: TemplateOptions,
    /// Where everything durable lies.
    #[arg(long, default_value = ".ticketflow")]
    data_dir: PathBuf,
    /// The address that the API is bound to. Any but a loopback one asks for a template whose routes have an authorizer;
    /// the AWS endpoints stay on loopback.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port of the API; 0 picks a free one.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Port of the Step Functions, DynamoDB, Secrets Manager and EventBridge endpoints; 0 picks a free one.
    #[arg(long, default_value_t = 3001)]
    aws_port: u16,
    /// Where functions that are not in the template are called: a Lambda Invoke API, such as http://127.0.0.1:9001.
    #[arg(long, value_name = "URL")]
    lambda_endpoint: Option<String>,
    /// Skip the time in which nothing happens: the clock jumps to the next timer of an execution, so that a workflow
    /// that waits for days ends at once, with a history of days. For tests.
    #[arg(long)]
    time_skip: bool,
    /// When ready, print one line of JSON with the addresses.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    log();
    let begun = Instant::now();
    let bound = Listeners::bind(options.host, options.port, options.aws_port).await;
    let listeners = bound.map_err(|error| {
        with_hint(
            format!(
                "{error}: {}",
                std::error::Error::source(&error).map_or_else(String::new, ToString::to_string)
            ),
            "another `ticketflow up` may be running; choose other ports with --port and --aws-port, 0 picks free ones",
        )
    })?;
    let settings = Settings {
        region: options.template.region.clone(),
        parameters: options.template.parameters.iter().cloned().collect(),
        gateway_url: listeners.gateway_url(),
    };
    let template = Template::load(&options.template.template, &settings).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        with_hint(
            format!("the template cannot be run:\n  {}", lines.join("\n  ")),
            "`ticketflow check` lists the problems of a template and its state machines",
        )
    })?;
    let programs = compile::programs(&template)?;
    let compiled = Instant::now();
    for (logical_id, resource_type) in &template.ignored {
        tracing::info!(%logical_id, resource_type, "left out: it means something only on AWS");
    }
    let takes_deliveries = route(&template, &format!("POST {}", post::PATH)).is_some();
    let reading = route(&template, "GET /tickets/{id}").and_then(|route| route.authorizer.as_ref());
    let reading = reading.and_then(|authorizer| authorizer.scopes.first().cloned());
    std::fs::create_dir_all(&options.data_dir)
        .with_context(|| format!("could not make the data directory {}", options.data_dir.display()))?;
    let mut stop = Stop::listen()?;
    let stack = Stack::start(
        listeners,
        template,
        Config {
            data_dir: options.data_dir.clone(),
            region: options.template.region.clone(),
            programs,
            secrets: sample::given_secrets(),
            lambda_endpoint: options.lambda_endpoint.clone(),
            time_skip: options.time_skip,
        },
    )
    .await
    .map_err(|error| match error {
        StackError::OpenToAll(_) => with_hint(
            format!("could not start: {error}"),
            "give the template's routes an authorizer, or bind a loopback address: leave --host out",
        ),
        error => anyhow::Error::from(error).context("could not start"),
    })?;
    if options.json {
        let outputs: serde_json::Map<_, _> = stack
            .outputs()
            .iter()
            .map(|output| (output.name.clone(), output.value.clone().into()))
            .collect();
        say!(
            "{}",
            json!({
                "api": stack.gateway_url(),
                "aws": stack.aws_url(),
                "data_dir": options.data_dir,
                "outputs": outputs,
                "time_skip": options.time_skip,
                "ahead_seconds": stack.ahead().num_seconds(),
            })
        );
    } else {
        let seconds = (Instant::now() - compiled).as_secs_f64();
        greet(&options, &stack, seconds);
        let key = stack
            .secret(sample::SECRET)
            .and_then(|secret| sample::signing_key(&secret));
        if takes_deliveries && let Some(secret) = key {
            invite(&options.data_dir, &stack, &secret, reading.as_deref())?;
        }
    }
    tracing::debug!(seconds = begun.elapsed().as_secs_f64(), "started");
    stop.asked().await;
    note!("Stopping: what is in flight is finished first; again to stop at once.");
    tokio::select! {
        () = stack.shutdown() => Ok(ExitCode::SUCCESS),
        () = stop.asked() => Ok(ExitCode::FAILURE),
    }
}

fn greet(options: &Options, stack: &Stack, seconds: f64) {
    say!("{} in {seconds:.2} s\n", style::bold("Ticketflow is ready"));
    say!("  {:10} {}/console/", "Console", stack.gateway_url());
    say!("  {:10} {}", "API", stack.gateway_url());
    say!(
        "  {:10} {}  (Step Functions, DynamoDB, Secrets Manager, EventBridge)",
        "AWS",
        stack.aws_url()
    );
    say!("  {:10} {}", "Data", options.data_dir.display());
    say!("  {:10} {}", "Template", options.template.template.display());
    if options.time_skip {
        let what = "skipped: the clock jumps to the next timer whenever nothing else is going on";
        say!("  {:10} {}", "Time", style::bold(what));
    }
    let ahead = stack.ahead();
    if !ahead.is_zero() {
        say!(
            "  {:10} {} ahead of this machine's clock, skipped on this data before",
            if options.time_skip { "" } else { "Time" },
            ticket::duration(ahead.num_milliseconds())
        );
    }
    if let Ok(issuer) = Issuer::open(&options.data_dir) {
        let (program, directory) = (shell(&program()), shell(&options.data_dir));
        let scopes = issuer.scopes().join(" ");
        say!(
            "  {:10} {program} token --data-dir {directory} --scope '{scopes}'",
            "Tokens"
        );
    }
    for output in stack.outputs() {
        say!("  {:10} {}", output.name, output.value);
    }
}

/// The template's route of that key.
fn route<'t>(template: &'t Template, key: &str) -> Option<&'t Route> {
    let mut routes = template.http_api.iter().flat_map(|api| &api.routes);
    routes.find(|route| route.key.to_string() == key)
}

/// Commands to paste: one that posts a signed delivery, and one that shows the ticket, with a token of the local issuer
/// if reading asks for a scope.
fn invite(data_dir: &Path, stack: &Stack, secret: &str, scope: Option<&str>) -> anyhow::Result<()> {
    let (file, signature) = sample::write(data_dir, secret)?;
    say!("\nPost a signed sample delivery:\n");
    say!(
        "  curl -sS {}{} -H 'Content-Type: application/json' -H 'X-Hub-Signature: {signature}' --data-binary @{}",
        stack.gateway_url(),
        post::PATH,
        shell(&file),
    );
    say!("\nand see the ticket:\n");
    let header = scope.filter(|_| Issuer::open(data_dir).is_ok()).map(|scope| {
        let (program, directory) = (shell(&program()), shell(data_dir));
        format!(" -H \"Authorization: Bearer $({program} token --data-dir {directory} --scope {scope})\"")
    });
    let url = format!("{}/tickets/{}", stack.gateway_url(), sample::KEY);
    say!("  curl -sS {url}{}\n", header.unwrap_or_default());
    Ok(())
}

/// This program as a shell finds it from here.
fn program() -> PathBuf {
    let Ok(program) = std::env::current_exe() else {
        return PathBuf::from("ticketflow");
    };
    let here = std::env::current_dir().unwrap_or_default();
    program.strip_prefix(here).map(Path::to_owned).unwrap_or(program)
}

/// A path as one word of a shell.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |character: char| character.is_alphanumeric() || "/._-+@,=".contains(character);
    if text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The signals that ask the process to stop, heard from the moment this is made: whoever reads that `up` is ready may
/// send one at once.
struct Stop {
    interrupted: Signal,
    terminated: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupted: signal(SignalKind::interrupt()).context("could not listen for SIGINT")?,
            terminated: signal(SignalKind::terminate()).context("could not listen for SIGTERM")?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupted.recv() => {}
            _ = self.terminated.recv() => {}
        }
    }
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Quiet)
        .with_ansi(coloured)
        .init();
}

#[cfg(test)]
mod tests;
