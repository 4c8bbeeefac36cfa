//! The JIRA of the tests, to play with: a day of made-up issues behind JIRA's REST API.
//!
//!     cargo run --workspace --example jira -- 8099 cloud
//!     JIRA_TOKEN=robot@example.net:cloud-token ticketflow fetch-tickets --jira http://127.0.0.1:8099

#![expect(clippy::print_stdout, reason = "it says where it is")]

use chrono::Utc;
use jira::Deployment;
use jira::made::Stories;
use system_tests::stand_in::StandIn;
use ticket::Time;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(8099);
    let deployment = match arguments.next().as_deref() {
        Some("data-center") => Deployment::DataCenter,
        _ => Deployment::Cloud,
    };
    let jira = StandIn::start(deployment, port).await?;
    let now = Time::try_from(Utc::now()).expect("a time of this age");
    let day_ago = now.saturating_add(-24 * 60 * 60 * 1_000);
    let happened = Stories::new(7, day_ago, 20.0, "SHOP").take_while(|happening| happening.at < now);
    jira.held().issues = happened
        .map(|happening| (happening.issue.id, happening.issue))
        .collect();
    println!(
        "{} with {} issues; JIRA_TOKEN={}",
        jira.url,
        jira.held().issues.len(),
        jira.credential()
    );
    std::future::pending().await
}
