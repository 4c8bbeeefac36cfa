//! The webhook of a Ticketflow, for programs that send it many deliveries.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::Target;
use crate::client::{Client, describe};
use crate::output::note;
use crate::post::{PATH, secret, sign};

/// Tries of one delivery, as many as JIRA makes; and the pause before the second, which doubles from there.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long a Ticketflow may be away that has answered before: as long as an update or a new start takes.
const AWAY: Duration = Duration::from_secs(15 * 60);
/// After so many tries in vain somebody is told that there will be more.
const TOLD_AFTER: u32 = 2;

/// The Ticketflow that deliveries go to.
#[derive(clap::Args)]
pub(crate) struct Recipient {
    /// The Ticketflow that it goes to.
    #[arg(
        long,
        value_name = "URL",
        env = "TICKETFLOW_URL",
        default_value = "http://127.0.0.1:3000"
    )]
    pub(crate) to: String,
    /// Where its `up` keeps its data: the secret that deliveries are signed with, unless JIRA_WEBHOOK_SECRET is set, and
    /// the key that mints the tokens of requests. For a Ticketflow elsewhere the token is TICKETFLOW_TOKEN.
    #[arg(long, default_value = ".ticketflow")]
    pub(crate) data_dir: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Recipient {
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::new(&Target {
            url: self.to.clone(),
            data_dir: self.data_dir.clone(),
            json: self.json,
        })
    }

    pub(crate) fn door(&self) -> anyhow::Result<Door> {
        Ok(Door {
            client: self.client()?,
            secret: secret(&self.data_dir)?,
            answers: Arc::default(),
            to: self.to.clone(),
        })
    }
}

/// A webhook and the secret it wants deliveries signed with.
#[derive(Clone)]
pub(crate) struct Door {
    client: Client,
    secret: String,
    answers: Arc<Answers>,
    to: String,
}

/// Whether it answers, for all deliveries together.
#[derive(Default)]
struct Answers {
    /// It has.
    ever: AtomicBool,
    /// It does not now, and that was said.
    told: AtomicBool,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// An execution was started for it.
    Started,
    /// It was known, or had nothing to say.
    Known,
}

impl Door {
    /// Delivers a body, again where trying again may help, as JIRA does.
    pub(crate) async fn deliver(&self, body: &Value) -> anyhow::Result<Taken> {
        let body = body.to_string().into_bytes();
        let headers = [
            ("X-Hub-Signature", sign(&self.secret, &body)),
            ("Content-Type", "application/json".to_owned()),
        ];
        let mut pause = FIRST_PAUSE;
        let begun = Instant::now();
        for attempt in 1.. {
            let sent = self.client.send(Method::POST, PATH, &headers, body.clone()).await;
            if sent.is_ok() {
                self.answers.ever.store(true, Ordering::Relaxed);
                self.answers.told.store(false, Ordering::Relaxed);
            }
            let is_away = sent.is_err() && self.answers.ever.load(Ordering::Relaxed);
            let may_help = sent.as_ref().map_or(true, |(status, _)| {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            });
            let is_over = if is_away {
                AWAY < begun.elapsed()
            } else {
                TRIES <= attempt
            };
            if !may_help || is_over {
                let (status, answer) = sent?;
                return match status {
                    StatusCode::ACCEPTED => Ok(Taken::Started),
                    status if status.is_success() => Ok(Taken::Known),
                    status => bail!("a delivery was not taken: {}", describe(status, &answer)),
                };
            }
            if is_away && TOLD_AFTER == attempt && !self.answers.told.swap(true, Ordering::Relaxed) {
                note!("{} does not answer any more; it is tried again", self.to);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        unreachable!("the last try returns")
    }
}
