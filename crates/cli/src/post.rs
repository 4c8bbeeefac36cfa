//! `ticketflow post`: signs deliveries as JIRA does, and posts them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};
use hmac::{Hmac, Mac};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, StatusCode};
use sha2::Sha256;

use crate::client::{Client, describe};
use crate::failure::with_hint;
use crate::output::{note, say};
use crate::{Target, sample};

/// Where deliveries are posted.
pub(crate) const PATH: &str = "/webhooks/jira";

#[derive(clap::Args)]
#[command(after_help = "Examples:
  ticketflow post delivery.json
  ticketflow post deliveries/*.json --repeat 10 --concurrency 8
  cat delivery.json | ticketflow post -

The secret is JIRA_WEBHOOK_SECRET, or the one that `up` made in the data directory.")]
pub(crate) struct Options {
    /// Files with one delivery's body each; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Post all of them this many times.
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// How many to have in flight at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let client = Client::new(&options.target)?;
    let secret = secret(&options.target.data_dir)?;
    let mut bodies = Vec::with_capacity(options.files.len());
    for file in &options.files {
        let body = read(file).with_context(|| format!("could not read {}", file.display()))?;
        bodies.push((file.display().to_string(), sign(&secret, &body), body));
    }
    let total = bodies.len() * options.repeat;
    let progress = progress(total as u64, options.target.json || total == 1);
    let job = Arc::new(Job {
        client,
        bodies,
        total,
        next: AtomicUsize::new(0),
        refused: AtomicUsize::new(0),
        json: options.target.json,
        progress,
    });
    let workers: Vec<_> = (0..options.concurrency)
        .map(|_| tokio::spawn(work(job.clone())))
        .collect();
    for worker in workers {
        worker.await??;
    }
    job.progress.finish_and_clear();
    let refused = job.refused.load(Ordering::Relaxed);
    if refused > 0 {
        bail!("{refused} of {total} deliveries were not taken");
    }
    Ok(ExitCode::SUCCESS)
}

struct Job {
    client: Client,
    /// File, signature and body of each delivery.
    bodies: Vec<(String, String, Vec<u8>)>,
    total: usize,
    next: AtomicUsize,
    refused: AtomicUsize,
    json: bool,
    progress: ProgressBar,
}

async fn work(job: Arc<Job>) -> anyhow::Result<()> {
    loop {
        let number = job.next.fetch_add(1, Ordering::Relaxed);
        if number >= job.total {
            return Ok(());
        }
        let (file, signature, body) = &job.bodies[number % job.bodies.len()];
        let headers = [
            ("X-Hub-Signature", signature.clone()),
            ("Content-Type", "application/json".to_owned()),
        ];
        let (status, answer) = job.client.send(Method::POST, PATH, &headers, body.clone()).await?;
        job.report(file, status, &answer);
        job.progress.inc(1);
    }
}

impl Job {
    fn report(&self, file: &str, status: StatusCode, answer: &[u8]) {
        if !status.is_success() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.progress.suspend(|| note!("{file}: {}", describe(status, answer)));
        } else if self.json || self.total == self.bodies.len() {
            self.progress.suspend(|| say!("{}", String::from_utf8_lossy(answer)));
        }
    }
}

/// `X-Hub-Signature` of a body: HMAC-SHA256 of its bytes, as JIRA sends it.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

pub(crate) fn secret(data_dir: &Path) -> anyhow::Result<String> {
    if let Some(secret) = sample::secret_of_environment() {
        return Ok(secret);
    }
    sample::secret_in(data_dir)?.ok_or_else(|| {
        with_hint(
            format!(
                "no secret to sign with: JIRA_WEBHOOK_SECRET has none, and neither has {}",
                data_dir.display()
            ),
            "run `ticketflow up` first, name its directory with --data-dir, or set JIRA_WEBHOOK_SECRET",
        )
    })
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body)?;
        return Ok(body);
    }
    std::fs::read(file)
}

fn progress(total: u64, hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len}  {per_sec}  {eta} left")
        .expect("the template of the progress bar is right");
    ProgressBar::new(total).with_style(style)
}
