//! The REST client, against a JIRA of ours that pages, throttles, fails and hangs up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jira::made::{Issue, STATUSES, Stories};
use jira::{Credential, Cursor, Deployment, Error, Jira, Patience, query};
use serde_json::{Value, json};
use system_tests::stand_in::{StandIn, Trouble};
use ticket::Time;

/// Patience without end, but in no time.
const QUICK: Patience = Patience {
    tries: 12,
    longest_pause: Duration::from_secs(40),
    timeout: Duration::from_secs(10),
};

/// Issues and what became of them.
pub(crate) fn made(seed: u64, happenings: usize) -> BTreeMap<u64, Issue> {
    let start = "2026-03-02T08:00:00Z".parse::<Time>().expect("a time");
    let stories = Stories::new(seed, start, 200.0, "SHOP").take(happenings);
    stories.map(|happening| (happening.issue.id, happening.issue)).collect()
}

async fn stand_in(deployment: Deployment, issues: BTreeMap<u64, Issue>) -> (StandIn, Jira) {
    let stand_in = StandIn::start(deployment, 0).await.expect("a JIRA");
    stand_in.held().issues = issues;
    let credential = Credential::parse(stand_in.credential());
    let jira = Jira::connect(&stand_in.url, &credential, QUICK)
        .await
        .expect("a connection");
    (stand_in, jira)
}

/// All issues' events, read page by page.
async fn fetch(jira: &Jira, jql: &str, page: u32) -> Result<BTreeMap<String, Vec<ticket::TicketEvent>>, Error> {
    let categories = jira.categories().await?;
    let mut fetched = BTreeMap::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let page = jira.search(jql, page, cursor.as_ref()).await?;
        for issue in page.issues {
            let before = fetched.insert(issue.name().to_owned(), issue.events(&categories)?);
            assert!(before.is_none(), "{} comes twice", issue.name());
        }
        // As it is kept between two steps.
        let kept = serde_json::to_string(&page.next).expect("JSON");
        cursor = serde_json::from_str(&kept).expect("a cursor");
        if cursor.is_none() {
            return Ok(fetched);
        }
    }
}

#[tokio::test]
async fn cloud_and_data_center_tell_the_same_whatever_goes_wrong() {
    let issues = made(5, 900);
    let mut told = Vec::new();
    for deployment in [Deployment::Cloud, Deployment::DataCenter] {
        let (stand_in, jira) = stand_in(deployment, issues.clone()).await;
        assert_eq!(jira.deployment(), deployment);
        let calm = fetch(&jira, &query("", &[]), 50).await.expect("issues");
        assert_eq!(calm.len(), issues.len());
        stand_in.held().trouble = Trouble {
            throttle_every: 7,
            retry_after: 0,
            fail_every: 5,
            hang_up_every: 11,
            page: 17,
        };
        let troubled = fetch(&jira, &query("", &[]), 50).await.expect("issues all the same");
        assert_eq!(troubled, calm);
        assert_eq!(jira.count(&query("", &[])).await.expect("a count"), issues.len() as u64);
        let site = |events: &Vec<ticket::TicketEvent>| {
            events
                .iter()
                .map(|event| (event.facts.clone(), event.texts.clone()))
                .collect::<Vec<_>>()
        };
        told.push(calm.values().map(site).collect::<Vec<_>>());
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn what_is_asked_for_is_what_is_found() {
    let issues = made(6, 600);
    let now = issues.values().map(|issue| issue.updated).max().expect("an issue");
    let hour_ago = Time::from_millis(now.millis() - 3_600_000).expect("a time");
    let expected = |wanted: &dyn Fn(&Issue) -> bool| -> BTreeSet<String> {
        issues.values().filter(|issue| wanted(issue)).map(Issue::key).collect()
    };
    for deployment in [Deployment::Cloud, Deployment::DataCenter] {
        let (stand_in, jira) = stand_in(deployment, issues.clone()).await;
        stand_in.held().now = Some(now);
        let found = async |jql: String| -> BTreeSet<String> {
            let fetched = fetch(&jira, &jql, 100).await.expect("issues");
            fetched.into_keys().collect()
        };
        let urgent = found(query("priority in (High, Highest) ORDER BY updated", &[])).await;
        assert_eq!(urgent, expected(&|issue| issue.priority < 2));
        let recent = found(query("", &[jira::since(hour_ago, now)])).await;
        assert!(expected(&|issue| hour_ago <= issue.updated).is_subset(&recent));
        assert!(recent.len() < issues.len());
        let open = found(query("project = SHOP", &["statusCategory != Done".to_owned()])).await;
        assert_eq!(open, expected(&|issue| !issue.status.is_done()));
        let refused = jira.search("bogus ORDER BY created ASC", 10, None).await;
        assert!(
            matches!(refused, Err(Error::Refused { status: 400, .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_they_have_patience_for() {
    let (stand_in, _) = stand_in(Deployment::Cloud, made(7, 50)).await;
    let credential = Credential::parse(stand_in.credential());
    let jira = Jira::connect(&stand_in.url, &credential, Patience::SHORT)
        .await
        .expect("a connection");
    stand_in.held().trouble = Trouble {
        throttle_every: 1,
        retry_after: 90,
        ..Trouble::default()
    };
    let before = stand_in.held().requests.len();
    let error = jira
        .search(&query("", &[]), 10, None)
        .await
        .expect_err("it is throttled");
    assert!(
        matches!(error, Error::Throttled { retry_after, .. } if retry_after.as_secs() == 90),
        "{error}"
    );
    assert_eq!(error.retry_after(), Some(Duration::from_secs(90)));
    assert_eq!(stand_in.held().requests.len(), before + 1, "it is not asked again");
    stand_in.held().trouble = Trouble {
        fail_every: 1,
        ..Trouble::default()
    };
    let error = jira.search(&query("", &[]), 10, None).await.expect_err("it fails");
    assert!(matches!(error, Error::Failing { status: 502, .. }), "{error}");
    assert_eq!(stand_in.held().requests.len(), before + 3);
}

#[tokio::test]
async fn a_wrong_credential_is_told_at_once() {
    let stand_in = StandIn::start(Deployment::DataCenter, 0).await.expect("a JIRA");
    let refused = Jira::connect(&stand_in.url, &Credential::parse("wrong"), QUICK).await;
    assert!(
        matches!(refused, Err(Error::Refused { status: 401, .. })),
        "{refused:?}"
    );
    assert_eq!(stand_in.held().requests.len(), 1);
    let nowhere = Jira::connect("jira", &Credential::parse("x"), QUICK).await;
    assert!(matches!(nowhere, Err(Error::Url { .. })), "{nowhere:?}");
}

#[tokio::test]
async fn issues_are_created_and_moved() {
    for deployment in [Deployment::Cloud, Deployment::DataCenter] {
        let (stand_in, jira) = stand_in(deployment, BTreeMap::new()).await;
        let created = jira
            .create("SHOP", "Bug", "The basket is empty", "Made up.", "High")
            .await
            .expect("an issue");
        let transitions = jira.transitions(&created.id).await.expect("transitions");
        let done = transitions
            .iter()
            .find(|transition| transition.to.status_category.key == "done")
            .expect("a way to be done");
        jira.transition(&created.id, done).await.expect("a transition");
        jira.prioritise(&created.id, "Low").await.expect("a change");
        let refused = jira
            .create("SHOP", "Bug", "x", "x", "Whatever")
            .await
            .expect_err("no such priority");
        assert!(refused.to_string().contains("priority: is unknown"), "{refused}");
        let fetched = fetch(&jira, &query("", &[]), 10).await.expect("issues");
        let facts: Vec<_> = fetched[created.key.as_str()]
            .iter()
            .flat_map(|event| event.facts.clone())
            .collect();
        let ticket = ticket::fold(&facts, &ticket::Policy::default(), &ticket::Categories::default());
        assert!(ticket.closed_at.is_some() && ticket.flags.is_empty(), "{ticket:?}");
        assert_eq!(
            ticket
                .priority_at_creation
                .map(|priority| priority.label().to_owned())
                .as_deref(),
            Some("High")
        );
        assert_eq!(stand_in.held().issues.len(), 1);
    }
}

/// Issues and statuses as a REST API showed them: recorded ones in the folder that `TICKETFLOW_JIRA` names, else ours.
fn shown() -> (Vec<Value>, Vec<u8>) {
    let Some(folder) = std::env::var_os("TICKETFLOW_JIRA") else {
        let base = "https://jira.example.com";
        let issues = made(9, 300).into_values().map(|issue| {
            let mut shown = issue.rest(base);
            shown["changelog"] = json!({ "histories": issue.histories().collect::<Vec<_>>() });
            shown
        });
        let statuses: Vec<Value> = STATUSES.iter().map(|status| status.json(base)).collect();
        return (issues.collect(), serde_json::to_vec(&statuses).expect("JSON"));
    };
    let folder = std::path::Path::new(&folder).join("rest");
    let read = |path| std::fs::read(path).expect("a recording");
    let files = std::fs::read_dir(&folder).expect("the recordings");
    let issues = files
        .map(|file| file.expect("a file").path())
        .filter(|path| !path.ends_with("statuses.json"));
    let issues: Vec<Value> = issues
        .map(|path| serde_json::from_slice(&read(path)).expect("an issue"))
        .collect();
    (issues, read(folder.join("statuses.json")))
}

/// Where a whole history is known, every stay is recorded, and the last one is where the issue is.
#[test]
fn a_whole_history_leaves_nothing_to_infer() {
    let (issues, statuses) = shown();
    let categories = ticket::jira::read_categories(&statuses).expect("statuses");
    assert!(!issues.is_empty() && !categories.is_empty());
    for issue in issues {
        let events = ticket::jira::read_issue(issue.to_string().as_bytes(), &categories).expect("an issue");
        let facts: Vec<_> = events.iter().flat_map(|event| event.facts.clone()).collect();
        let ticket = ticket::fold(&facts, &ticket::Policy::default(), &ticket::Categories::default());
        let key = &issue["key"];
        let items = issue["changelog"]["histories"].as_array().expect("histories").iter();
        let moves = items.flat_map(|history| history["items"].as_array().expect("items"));
        let moves = moves.filter(|item| item["fieldId"] == "status").count();
        assert_eq!(ticket.history.len(), moves + 1, "{key}: {:?}", ticket.history);
        assert_eq!(ticket.gaps, 0, "{key}: {:?}", ticket.history);
        let status = ticket.status.and_then(|status| status.id);
        assert_eq!(status.as_deref(), issue["fields"]["status"]["id"].as_str(), "{key}");
        let created = issue["fields"]["created"].as_str().expect("a time").parse().ok();
        assert_eq!(ticket.history.first().map(|stay| stay.at), created, "{key}");
    }
}
