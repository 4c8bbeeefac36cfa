//! The REST client, against a JIRA of ours that pages, throttles, fails and hangs up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jira::made::{Issue, STATUSES, Status, Stories};
use jira::{Credential, Cursor, Deployment, Error, Jira, Patience, query};
use serde_json::{Value, json};
use system_tests::stand_in::{StandIn, Trouble};
use ticket::{IssueId, Time};

/// Patience without end, but in no time.
const QUICK: Patience = Patience {
    tries: 12,
    first_pause: Duration::from_millis(1),
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
            tear_every: 13,
            page: 17,
            changes: 2,
            ..Trouble::default()
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
    assert!(told[0] == told[1], "they tell different things");
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
        let recent = found(query("", &[jira::since(hour_ago)])).await;
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
async fn a_pause_is_as_long_as_the_date_says() {
    let (stand_in, _) = stand_in(Deployment::Cloud, BTreeMap::new()).await;
    let credential = Credential::parse(stand_in.credential());
    stand_in.held().trouble = Trouble {
        throttle_every: 1,
        retry_after: 3_600,
        says_date: true,
        ..Trouble::default()
    };
    let error = Jira::connect(&stand_in.url, &credential, QUICK)
        .await
        .expect_err("it is throttled");
    let asked_for = error.retry_after().expect("a pause").as_secs();
    assert!((3_500..=3_600).contains(&asked_for), "{asked_for} s");
}

/// Whoever leaves moves up those behind: past the place where the next page begins.
#[tokio::test]
async fn issues_that_leave_while_pages_are_read_take_no_other_with_them() {
    let issues = made(8, 700);
    let open: Vec<u64> = issues
        .values()
        .filter(|issue| !issue.status.is_done())
        .map(|issue| issue.id)
        .collect();
    let end = issues.values().map(|issue| issue.updated).max().expect("an issue");
    let jql = query("", &["statusCategory != Done".to_owned()]);
    for deployment in [Deployment::Cloud, Deployment::DataCenter] {
        for leaving in [1, 4, 30] {
            let (stand_in, jira) = stand_in(deployment, issues.clone()).await;
            let mut gone = open.iter();
            let mut left = BTreeSet::new();
            let mut seen = Vec::new();
            let mut cursor = None;
            loop {
                let page = jira.search(&jql, 20, cursor.as_ref()).await.expect("a page");
                seen.extend(page.issues.iter().map(|issue| issue.name().to_owned()));
                let Some(next) = page.next else { break };
                cursor = Some(next);
                let mut held = stand_in.held();
                for id in gone.by_ref().take(leaving) {
                    let issue = held.issues.get_mut(id).expect("an issue");
                    left.insert(issue.key());
                    issue.transition(90_000 + id, Status::DONE, end);
                }
            }
            let all: BTreeSet<String> = open.iter().map(|id| issues[id].key()).collect();
            let seen_once: BTreeSet<String> = seen.iter().cloned().collect();
            assert_eq!(
                seen.len(),
                seen_once.len(),
                "{deployment:?}, {leaving}: some come twice"
            );
            let missed: Vec<_> = all.difference(&seen_once).filter(|key| !left.contains(*key)).collect();
            assert!(missed.is_empty(), "{deployment:?}, {leaving}: {missed:?}");
        }
    }
}

#[tokio::test]
async fn a_search_that_goes_in_circles_or_says_nothing_is_no_end_of_a_search() {
    let (stand_in, jira) = stand_in(Deployment::Cloud, made(7, 200)).await;
    stand_in.held().trouble.circles = true;
    let circle = fetch_all(&jira).await.expect_err("there is no end to it");
    assert!(matches!(circle, Error::Circle { .. }), "{circle}");
    assert!(stand_in.held().requests.len() < 20);
    for deployment in [Deployment::Cloud, Deployment::DataCenter] {
        let (stand_in, jira) = self::stand_in(deployment, made(7, 200)).await;
        stand_in.held().trouble.says_nothing = true;
        let nothing = jira.search(&query("", &[]), 10, None).await;
        assert!(matches!(nothing, Err(Error::Unreadable { .. })), "{nothing:?}");
        stand_in.held().trouble = Trouble {
            shows_anybody: true,
            ..Trouble::default()
        };
        let anybody = jira.search(&query("", &[]), 10, None).await;
        assert!(
            matches!(anybody, Err(Error::Refused { status: 401, .. })),
            "{anybody:?}"
        );
    }
}

/// All pages, however often the same issue comes.
async fn fetch_all(jira: &Jira) -> Result<(), Error> {
    let mut cursor = None;
    loop {
        let page = jira.search(&query("", &[]), 10, cursor.as_ref()).await?;
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn the_credential_goes_to_nobody_else_and_into_no_message() {
    let target = StandIn::start(Deployment::Cloud, 0).await.expect("another place");
    let (stand_in, jira) = stand_in(Deployment::Cloud, made(7, 50)).await;
    stand_in.held().elsewhere = Some(target.url.clone());
    let error = jira
        .search(&query("", &[]), 10, None)
        .await
        .expect_err("it is elsewhere");
    let told = format!("{error} {error:?} {jira:?}");
    assert!(
        told.contains(&format!("it is at {}/rest/api/3/search/jql", target.url)),
        "{told}"
    );
    assert!(!told.contains("os_authType"), "{told}");
    assert!(target.held().requests.is_empty());
    let authorization = "cm9ib3RAZXhhbXBsZS5uZXQ6Y2xvdWQtdG9rZW4=";
    assert!(!told.contains("cloud-token") && !told.contains(authorization), "{told}");
}

/// Within a network, or through a gateway, a JIRA is asked at another address than its webhooks speak of.
#[tokio::test]
async fn an_issue_is_of_the_site_that_its_webhooks_name_wherever_jira_is_asked() {
    let issues = made(7, 200);
    for deployment in [Deployment::Cloud, Deployment::DataCenter] {
        let stand_in = StandIn::start(deployment, 0).await.expect("a JIRA");
        stand_in.held().issues = issues.clone();
        stand_in.held().home = Some("https://jira.example.com/jira".to_owned());
        let credential = Credential::parse(stand_in.credential());
        let jira = Jira::connect(&stand_in.url, &credential, QUICK)
            .await
            .expect("a connection");
        assert_eq!(jira.site().as_str(), "jira.example.com");
        let fetched = fetch(&jira, &query("", &[]), 100).await.expect("issues");
        for issue in issues.values() {
            let delivery = issue.delivery("https://jira.example.com/jira").to_string();
            let Ok(ticket::Delivery::Event(told)) = ticket::jira::read(delivery.as_bytes()) else {
                panic!("{delivery}");
            };
            let ids: BTreeSet<_> = fetched[&issue.key()].iter().map(ticket::TicketEvent::ticket).collect();
            assert_eq!(ids, BTreeSet::from([told.ticket()]));
        }
    }
}

#[tokio::test]
async fn issues_are_looked_for_by_id_and_what_is_hidden_looks_like_what_is_deleted() {
    for deployment in [Deployment::Cloud, Deployment::DataCenter] {
        let (stand_in, jira) = stand_in(deployment, made(7, 300)).await;
        let asked: BTreeSet<IssueId> = stand_in.held().issues.keys().map(|id| issue_id(*id)).take(80).collect();
        let (deleted, hidden) = (10_003, 10_004);
        {
            let mut held = stand_in.held();
            held.issues.remove(&deleted);
            held.issues.get_mut(&hidden).expect("an issue").project = "VAULT".to_owned();
            held.hidden.insert("VAULT".to_owned());
        }
        let looked = jira.look_for(&asked).await.expect("an answer");
        assert_eq!(looked.missing, BTreeSet::from([deleted, hidden].map(issue_id)));
        assert_eq!(looked.found.len(), asked.len() - 2);
        for (id, standing) in &looked.found {
            let held = stand_in.held();
            let issue = &held.issues[&id.as_str().parse().expect("a number")];
            assert_eq!(standing.project.as_deref(), Some("SHOP"));
            assert_eq!(standing.is_done, issue.status.is_done());
        }
        for id in [deleted, hidden] {
            assert!(jira.issue(&issue_id(id)).await.expect("an answer").is_none());
        }
        assert!(jira.shows_project("SHOP").await.expect("an answer"));
        assert!(!jira.shows_project("VAULT").await.expect("an answer"));

        // One issue is told as the search tells it.
        let categories = jira.categories().await.expect("statuses");
        let searched = fetch(&jira, &query("", &[]), 100).await.expect("issues");
        stand_in.held().trouble.changes = 1;
        for id in looked.found.keys() {
            let issue = jira.issue(id).await.expect("an answer").expect("an issue");
            assert_eq!(issue.events(&categories).expect("events"), searched[issue.name()]);
        }
        stand_in.held().trouble.fail_every = 1;
        assert!(jira.look_for(&asked).await.is_err() && jira.shows_project("SHOP").await.is_err());
    }
}

/// What deliveries told is no news, not a fact of it; what they did not, makes the ticket that they would have made.
#[tokio::test]
async fn the_rest_api_tells_what_the_webhooks_would_have() {
    let start = "2026-03-02T08:00:00Z".parse::<Time>().expect("a time");
    for (seed, deployment) in (30..36).flat_map(|seed| [(seed, Deployment::Cloud), (seed, Deployment::DataCenter)]) {
        let (stand_in, jira) = stand_in(deployment, BTreeMap::new()).await;
        let base = &stand_in.url;
        let mut lives: BTreeMap<u64, (Issue, Vec<Issue>)> = BTreeMap::new();
        for happening in Stories::new(seed, start, 200.0, "SHOP").take(400) {
            let life = lives.entry(happening.issue.id);
            let (now, life) = life.or_insert_with(|| (happening.issue.clone(), Vec::new()));
            life.push(happening.issue.clone());
            *now = happening.issue;
        }
        for (id, (now, life)) in &mut lives {
            if id.is_multiple_of(3) {
                let at = now.updated.saturating_add(60_000);
                now.relocate(80_000 + *id, "OTHER", *id, at);
                life.push(now.clone());
            }
        }
        stand_in.held().issues = lives.iter().map(|(id, (now, _))| (*id, now.clone())).collect();
        stand_in.held().trouble.changes = 3;
        let fetched = fetch(&jira, &query("", &[]), 40).await.expect("issues");
        let now = start.saturating_add(9_000_000_000);
        for (id, (issue, life)) in &lives {
            let told: Vec<ticket::TicketEvent> = life
                .iter()
                .map(
                    |issue| match ticket::jira::read(issue.delivery(base).to_string().as_bytes()) {
                        Ok(ticket::Delivery::Event(event)) => event,
                        other => panic!("{other:?}"),
                    },
                )
                .collect();
            let known = |events: &mut dyn Iterator<Item = &ticket::TicketEvent>| {
                let (mut facts, mut texts) = (Vec::new(), ticket::Texts::default());
                for event in events {
                    facts.extend(event.facts.clone());
                    texts = texts.merge(event.texts.clone());
                }
                (facts, texts)
            };
            let view = |(facts, texts): &(Vec<ticket::Fact>, ticket::Texts)| {
                let folded = ticket::fold(facts, &ticket::Policy::default(), &ticket::Categories::default());
                ticket::TicketView::new(&told[0].ticket(), &folded, texts)
            };
            let events = &fetched[&issue.key()];
            let whole = known(&mut told.iter());
            let news = ticket::news(events, &whole.0, &whole.1, now);
            assert!(news.is_empty(), "{deployment:?}, {}: {news:#?}", issue.key());
            // Every other delivery is lost, or all of them.
            for lost in [0, 1, 2] {
                let received = told.iter().enumerate().filter(|(index, _)| index % 2 == lost);
                let (facts, texts) = known(&mut received.map(|(_, event)| event));
                let news = ticket::news(events, &facts, &texts, now);
                let mut mended = known(&mut news.iter());
                mended.0.extend(facts);
                mended.1 = texts.merge(mended.1);
                assert_eq!(view(&mended), view(&whole), "{deployment:?}, {id}, {lost}");
            }
        }
    }
}

fn issue_id(id: u64) -> IssueId {
    id.to_string().parse().expect("an id")
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
