//! Whole deliveries as they come from JIRA.
//!
//! `TICKETFLOW_JIRA` names a folder whose `webhooks` holds recorded bodies, one a file. Without it bodies of ours in
//! the same shape are taken, so that the same is always tested.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::deliveries::{Issue, comment};
use crate::server::Server;

/// The folder of recorded deliveries.
const FOLDER: &str = "TICKETFLOW_JIRA";

/// How exactly JIRA's stamps of one moment agree.
const TOLERANCE_MS: i64 = 500;

/// Bodies, and one life among them.
struct Deliveries {
    /// With a name for the reader of a failure.
    bodies: Vec<(String, Vec<u8>)>,
    /// The key of an issue that was created, started and resolved.
    key: &'static str,
    duration_ms: i64,
}

impl Deliveries {
    fn find() -> Self {
        std::env::var_os(FOLDER).map_or_else(Self::ours, |folder| Self::recorded(folder.into()))
    }

    fn recorded(folder: PathBuf) -> Self {
        let files = std::fs::read_dir(folder.join("webhooks")).expect("the recorded webhooks");
        let mut bodies: Vec<_> = files
            .map(|file| {
                let path = file.expect("a file").path();
                let body = std::fs::read(&path).expect("a body");
                (path.display().to_string(), body)
            })
            .collect();
        bodies.sort();
        Self {
            bodies,
            key: "TES-41",
            duration_ms: 827_536,
        }
    }

    fn ours() -> Self {
        let issue = Issue { number: 41 };
        let another = Issue { number: 42 };
        let named = |(name, body): (&str, Vec<u8>)| (name.to_owned(), body);
        let bodies = [
            ("created", issue.created()),
            ("started", issue.started(749_000)),
            ("resolved", issue.resolved(827_536)),
            ("reopened", issue.reopened(913_000)),
            ("another created", another.created()),
            ("another deleted", another.deleted(60_000)),
            ("comment", comment()),
        ];
        Self {
            bodies: bodies.into_iter().map(named).collect(),
            key: "TEST-41",
            duration_ms: 827_536,
        }
    }

    /// The bodies of the life: created, started, resolved, known by what they say.
    fn life(&self) -> [Value; 3] {
        let of_key = |event: &str, category: Option<&str>| {
            let bodies = self.bodies.iter();
            let found = bodies
                .filter_map(|(_, body)| serde_json::from_slice::<Value>(body).ok())
                .find(|body| {
                    let status = &body["issue"]["fields"]["status"]["statusCategory"]["key"];
                    body["issue"]["key"] == self.key
                        && body["webhookEvent"] == event
                        && category.is_none_or(|category| status == category)
                });
            found.unwrap_or_else(|| panic!("{} has no {event} ({category:?})", self.key))
        };
        [
            of_key("jira:issue_created", None),
            of_key("jira:issue_updated", Some("indeterminate")),
            of_key("jira:issue_updated", Some("done")),
        ]
    }
}

/// The same delivery of another issue.
fn of_issue(body: &Value, number: usize) -> Vec<u8> {
    let mut body = body.clone();
    let issue = &mut body["issue"];
    let own = issue["self"].as_str().expect("an issue's own address");
    let base = &own[..=own.rfind('/').expect("it ends with the id")];
    issue["self"] = json!(format!("{base}{number}"));
    issue["id"] = json!(number.to_string());
    issue["key"] = json!(format!("ORDER-{number}"));
    serde_json::to_vec(&body).expect("JSON")
}

/// Posts a delivery and, if it started an execution, waits for that to succeed; whether it did.
async fn deliver(server: &Server, name: &str, body: &[u8]) -> bool {
    let (status, answer) = server.post(body).await;
    assert!(status < 500, "{name}: {status} {answer}\n{}", server.log());
    if status != 202 {
        return false;
    }
    let execution = answer["execution"].as_str().expect("the execution's name");
    server.execution(execution, "SUCCEEDED").await;
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_deliveries_are_all_taken_or_refused_with_a_reason() {
    let server = Server::start();
    let deliveries = Deliveries::find();
    let mut taken = 0;
    for (name, body) in &deliveries.bodies {
        taken += usize::from(deliver(&server, name, body).await);
    }
    assert!(taken >= 3, "{taken} of {} were taken", deliveries.bodies.len());
    let log = server.whole_log();
    assert!(!log.contains("panicked"), "{log}");
    let (_, failed) = server.get("/executions?status=FAILED").await;
    assert_eq!(failed["executions"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_deliveries_of_one_life_give_one_ticket_in_any_order() {
    let server = Server::start();
    let deliveries = Deliveries::find();
    let life = deliveries.life();
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (number, order) in (41_001..).zip(orders) {
        for step in order {
            let body = of_issue(&life[step], number);
            assert!(deliver(&server, &format!("{order:?}, {step}"), &body).await);
            // Until its execution has ended, which is after its last step, the same again is answered as at first.
            server.settled().await;
            let (status, answer) = server.post(&body).await;
            assert_eq!((status, &answer["outcome"]), (200, &json!("duplicate")), "{answer}");
        }
        let (status, ticket) = server.get(&format!("/tickets/ORDER-{number}")).await;
        assert_eq!(
            (status, &ticket["state"]),
            (200, &json!("closed")),
            "{order:?}: {ticket}"
        );
        assert_eq!(ticket["workflow_status"], "SUCCEEDED");
        assert_eq!(ticket["reopen_count"], 0);
        let duration = ticket["duration_ms"].as_i64().expect("a duration");
        let off = (duration - deliveries.duration_ms).abs();
        assert!(off <= TOLERANCE_MS, "{order:?}: {duration} ms");
    }
    let log = server.whole_log();
    assert!(!log.contains("panicked"), "{log}");
}
