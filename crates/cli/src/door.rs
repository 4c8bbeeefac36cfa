//! The webhook of a Ticketflow, for programs that send it many deliveries.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::Target;
use crate::client::{Client, describe};
use crate::post::{PATH, secret, sign};

/// Tries of one delivery, as many as JIRA makes; and the pause before the second, which doubles from there.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

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
        })
    }
}

/// A webhook and the secret it wants deliveries signed with.
#[derive(Clone)]
pub(crate) struct Door {
    client: Client,
    secret: String,
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
        for attempt in 1.. {
            let sent = self.client.send(Method::POST, PATH, &headers, body.clone()).await;
            let may_help = sent.as_ref().map_or(true, |(status, _)| {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            });
            if !may_help || TRIES <= attempt {
                let (status, answer) = sent?;
                return match status {
                    StatusCode::ACCEPTED => Ok(Taken::Started),
                    status if status.is_success() => Ok(Taken::Known),
                    status => bail!("a delivery was not taken: {}", describe(status, &answer)),
                };
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        unreachable!("the last try returns")
    }
}
