//! `ticketflow console`: opens the console of this machine's Ticketflow, signed in.
//!
//! The token stands behind the link's `#`: browsers send that part to nobody, the page takes it out of its address and
//! keeps it for its tab.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use runtime::issuer::{Error, Issuer};

use crate::output::{note, say};
use crate::token;

/// How long the page's token is valid: a working day.
const TTL: Duration = Duration::from_secs(10 * 60 * 60);

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow console
  ticketflow console --print | ssh laptop xargs xdg-open     over a tunnel to this port

Whoever has the link has the token in it. It is valid for ten hours.")]
pub(crate) struct Options {
    /// Where the API is.
    #[arg(long, env = "TICKETFLOW_URL", default_value = "http://127.0.0.1:3000")]
    url: String,
    /// Where `up` keeps its data.
    #[arg(long, default_value = ".ticketflow")]
    data_dir: PathBuf,
    /// Print the link and open nothing.
    #[arg(long)]
    print: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let page = format!("{}/console/", options.url.trim_end_matches('/'));
    let link = match Issuer::open(&options.data_dir) {
        Ok(issuer) => {
            let minted = token::mint(&issuer, issuer.scopes(), TTL)?;
            format!("{page}#token={}", minted.token)
        }
        // Nothing here asks for a token, or it is asked for by somebody else: the page says so.
        Err(Error::NoIssuer(_)) => page,
        Err(error) => return Err(token::explained(error)),
    };
    if options.print || !opened(&link) {
        say!("{link}");
    } else {
        note!("Opened the console at {}/console/", options.url.trim_end_matches('/'));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the desktop took the link.
fn opened(link: &str) -> bool {
    let command = Command::new("xdg-open")
        .arg(link)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    command.is_ok_and(|status| status.success())
}
