//! `ticketflow token`: mints tokens of the local issuer, for people and for the commands that talk to the API.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use runtime::issuer::{Error, Issuer, Minted};
use serde_json::json;

use crate::Target;
use crate::failure::with_hint;
use crate::output::say;

/// The environment variable with the token for an API that is not this machine's.
pub(crate) const VARIABLE: &str = "TICKETFLOW_TOKEN";

/// How long the tokens are valid that a command mints for itself; it mints the next in time.
const OWN_TTL: Duration = Duration::from_secs(5 * 60);

/// How long before its end such a token is replaced: longer than a request takes.
const RENEWAL: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow token --scope ticketflow/tickets.read
  ticketflow token --scope 'ticketflow/tickets.read ticketflow/tickets.write' --ttl 8h --json
  curl -H \"Authorization: Bearer $(ticketflow token --scope ticketflow/tickets.read)\" http://127.0.0.1:3000/executions

The tokens are for the `ticketflow up` of this data directory. Its key lies there, in issuer-key.json; delete it to make
all tokens void at once.")]
pub(crate) struct Options {
    /// What the token is good for; repeat it, or give several with spaces.
    #[arg(long = "scope", required = true)]
    scopes: Vec<String>,
    /// How long it is valid: 90s, 15m, 1h, a day at most.
    #[arg(long, default_value = "1h", value_parser = ttl)]
    ttl: Duration,
    /// Where `up` keeps its data.
    #[arg(long, default_value = ".ticketflow")]
    data_dir: PathBuf,
    /// Print JSON, as an OAuth 2.0 token endpoint would.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let issuer = Issuer::open(&options.data_dir).map_err(explained)?;
    let words = options.scopes.iter().flat_map(|scopes| scopes.split_whitespace());
    let scopes: Vec<String> = words.map(str::to_owned).collect();
    let minted = mint(&issuer, &scopes, options.ttl)?;
    if options.json {
        let answer = json!({
            "access_token": minted.token,
            "token_type": "Bearer",
            "expires_in": minted.ttl.as_secs(),
            "scope": minted.scope,
        });
        say!("{answer}");
    } else {
        say!("{}", minted.token);
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn mint(issuer: &Issuer, scopes: &[String], ttl: Duration) -> anyhow::Result<Minted> {
    issuer.mint(scopes, ttl, chrono::Utc::now()).map_err(explained)
}

pub(crate) fn explained(error: Error) -> anyhow::Error {
    let hint = match &error {
        Error::NoIssuer(_) => {
            "start `ticketflow up` once with a template whose authorizer trusts its own user pool, and name its directory \
             with --data-dir"
        }
        Error::UnknownScope { known, .. } => {
            return with_hint(error.to_string(), format!("there are: {}", known.join(", ")));
        }
        Error::Ttl(_) => "give another --ttl, such as 1h",
        Error::Damaged { .. } => "delete the file: it is made anew",
        Error::File { .. } | Error::Sign => "the data directory must be your own",
    };
    with_hint(format!("{:#}", anyhow::Error::from(error)), hint)
}

/// A length of time as people write it: a number, and s, m, h or d.
fn ttl(text: &str) -> Result<Duration, String> {
    let seconds = |unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(60 * 60),
        'd' => Some(24 * 60 * 60),
        _ => None,
    };
    let parsed = text.chars().next_back().and_then(|unit| {
        let number: u64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
        number.checked_mul(seconds(unit)?)
    });
    parsed
        .map(Duration::from_secs)
        .ok_or_else(|| format!("'{text}' is no length of time, such as 90s, 15m or 1h"))
}

/// The token that a command's requests carry.
pub(crate) enum Bearer {
    /// The API is said to need none, or nobody here can mint one for it.
    Nobody,
    Given(String),
    Own(Box<Own>),
}

/// Tokens that the command mints itself, one after the other.
pub(crate) struct Own {
    issuer: Issuer,
    last: Mutex<Option<(String, Instant)>>,
}

impl Bearer {
    /// What the environment gives goes wherever the user points; what this machine's issuer makes stays on it.
    pub(crate) fn new(target: &Target) -> anyhow::Result<Self> {
        if let Some(token) = std::env::var(VARIABLE).ok().filter(|token| !token.is_empty()) {
            return Ok(Self::Given(token));
        }
        if !is_here(&target.url) {
            return Ok(Self::Nobody);
        }
        Self::of(&target.data_dir)
    }

    fn of(data_dir: &Path) -> anyhow::Result<Self> {
        match Issuer::open(data_dir) {
            Ok(issuer) => Ok(Self::Own(Box::new(Own {
                issuer,
                last: Mutex::default(),
            }))),
            Err(Error::NoIssuer(_)) => Ok(Self::Nobody),
            Err(error) => Err(error).context("could not get a token"),
        }
    }

    /// The token for the next request.
    pub(crate) fn token(&self) -> anyhow::Result<Option<String>> {
        match self {
            Self::Nobody => Ok(None),
            Self::Given(token) => Ok(Some(token.clone())),
            Self::Own(own) => own.token().map(Some),
        }
    }
}

impl Own {
    fn token(&self) -> anyhow::Result<String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, minted_at)) = &*last
            && minted_at.elapsed() < OWN_TTL - RENEWAL
        {
            return Ok(token.clone());
        }
        let minted = mint(&self.issuer, self.issuer.scopes(), OWN_TTL)?;
        *last = Some((minted.token.clone(), Instant::now()));
        Ok(minted.token)
    }
}

/// Whether a URL leads to this machine.
fn is_here(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_a_number_and_a_unit() {
        let seconds = |text| ttl(text).ok().map(|ttl| ttl.as_secs());
        assert_eq!(
            ["90s", "15m", "1h", "1d", "0s"].map(seconds),
            [Some(90), Some(900), Some(3_600), Some(86_400), Some(0)]
        );
        for wrong in [
            "",
            "h",
            "1",
            "1.5h",
            "-1h",
            "1 h",
            "1w",
            "1é",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tokens_of_this_machine_stay_on_it() {
        for here in ["http://127.0.0.1:3000", "http://localhost:8080/", "http://[::1]:3000"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "https://example.org",
            "http://127.0.0.1.example.org:3000",
            "http://127.0.0.1@example.org",
            "http://localhost.example.org",
            "nowhere",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
