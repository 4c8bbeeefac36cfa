//! `ticketflow`: starts everything on one machine, and talks to it.
//!
//! `up` runs the embedded AWS of the `runtime` crate; every other command is a client of the HTTP API, of this machine's
//! Ticketflow or of one deployed to AWS. Data goes to standard output, everything else to standard error.

mod check;
mod client;
mod compile;
mod console;
mod create_tickets;
mod deliveries;
mod door;
mod executions;
mod export;
mod failure;
mod fetch_tickets;
mod import;
mod list;
mod output;
mod place;
mod plot;
mod post;
mod recompute;
mod redrive;
mod reset;
mod sample;
mod style;
mod test;
mod ticket;
mod tickets;
mod token;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// The engine allocates in many threads and frees in others, which the C library's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Follows every JIRA ticket through its life, on this machine or on AWS.
#[derive(Parser)]
#[command(name = "ticketflow", version, max_term_width = 100)]
#[command(after_help = "Examples:
  ticketflow up                                 start everything, data in .ticketflow
  ticketflow post delivery.json                 post a signed JIRA delivery
  ticketflow ticket SHOP-1                      where the ticket is, and what it took
  ticketflow executions --status FAILED         what failed
  ticketflow redrive --failed                   retry it from the step that failed
  ticketflow create-tickets --hours 1 --speed 60    an hour of made-up tickets in a minute
  ticketflow fetch-tickets --jira https://example.atlassian.net --jql 'project = SHOP'")]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start everything the template describes, on loopback.
    Up(up::Options),
    /// Sign JIRA deliveries and post them.
    Post(post::Options),
    /// Show a ticket by its key or id.
    Ticket(ticket::Options),
    /// List tickets by what they are.
    Tickets(tickets::Options),
    /// List executions, or show one step by step.
    Executions(executions::Options),
    /// Retry failed executions from the step that failed.
    Redrive(redrive::Options),
    /// Create random tickets that live plausible lives, at a rate.
    CreateTickets(create_tickets::Options),
    /// Fetch from JIRA what was not received.
    FetchTickets(fetch_tickets::Options),
    /// Fold the tickets again that were judged by an older policy or map of categories.
    Recompute(recompute::Options),
    /// Draw the tickets per minute of an hour.
    Plot(plot::Options),
    /// Write every ticket's facts, a line a ticket.
    Export(export::Options),
    /// Take what `export` wrote, or deliveries a line each.
    Import(import::Options),
    /// List the deliveries that could not be read, or show one.
    Deliveries(deliveries::Options),
    /// Drop the table and the executions, and create them anew.
    Reset(reset::Options),
    /// Find every problem of a template and its state machines.
    Check(check::Options),
    /// Open the console, with a token if one is needed.
    Console(console::Options),
    /// Mint a token for the API of this machine's Ticketflow.
    Token(token::Options),
    /// Test state machines: scripted tasks, a clock that jumps, and what must come of it.
    Test(test::Options),
}

/// Which Ticketflow a command talks to.
#[derive(Args)]
struct Target {
    /// Where the API is.
    #[arg(long, env = "TICKETFLOW_URL", default_value = "http://127.0.0.1:3000")]
    url: String,
    /// Where `up` keeps its data: the webhook's secret, and the key that mints the tokens of requests to this machine.
    /// For a Ticketflow elsewhere the token is TICKETFLOW_TOKEN.
    #[arg(long, default_value = ".ticketflow")]
    data_dir: PathBuf,
    /// Print JSON, as the API gave it.
    #[arg(long)]
    json: bool,
}

/// Which template, and with which values.
#[derive(Args)]
struct TemplateOptions {
    /// The SAM template.
    #[arg(long, default_value = "template.yaml")]
    template: PathBuf,
    /// The AWS region that ARNs name.
    #[arg(long, default_value = "us-west-2", value_parser = region)]
    region: String,
    /// A value for a parameter of the template; repeat it for several.
    #[arg(long = "parameter", value_name = "KEY=VALUE", value_parser = key_value)]
    parameters: Vec<(String, String)>,
}

/// A name that can stand in an ARN and in a host's name, as every region's does.
fn region(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(is_plain);
    match text.split('-').all(is_word) {
        true => Ok(text.to_owned()),
        false => Err(format!("'{text}' is not the name of a region, such as us-west-2")),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!(
            "'{text}' is not KEY=VALUE, such as --parameter Architecture=x86_64"
        )),
    }
}

fn main() -> ExitCode {
    // The Lambda host starts its children through this same program.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == runtime::lambda::LAUNCHER_COMMAND)
    {
        return runtime::lambda::launch(std::env::args_os().skip(2));
    }
    let command = Command::parse();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(command.action)));
    match result {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}

async fn run(action: Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::Up(options) => up::run(options).await,
        Action::Post(options) => post::run(options).await,
        Action::Ticket(options) => ticket::run(options).await,
        Action::Tickets(options) => tickets::run(options).await,
        Action::Deliveries(options) => deliveries::run(options).await,
        Action::Executions(options) => executions::run(options).await,
        Action::Redrive(options) => redrive::run(options).await,
        Action::CreateTickets(options) => create_tickets::run(options).await,
        Action::FetchTickets(options) => fetch_tickets::run(options).await,
        Action::Recompute(options) => recompute::run(options).await,
        Action::Plot(options) => plot::run(options).await,
        Action::Export(options) => export::run(options).await,
        Action::Import(options) => import::run(options).await,
        Action::Reset(options) => reset::run(options).await,
        Action::Check(options) => check::run(&options),
        Action::Console(options) => console::run(&options),
        Action::Token(options) => token::run(&options),
        Action::Test(options) => test::run(&options),
    }
}
