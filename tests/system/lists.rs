//! Lists of tickets and the numbers of many, over the running functions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::deliveries::Issue;
use crate::project::Project;
use crate::server::{SECRET, Server, sign};
use crate::table::Table;

/// A ticket without a JIRA.
#[derive(Clone, Copy)]
struct Flat {
    summary: &'static str,
    created: &'static str,
    completed: &'static str,
    priority: &'static str,
}

/// Over years, within one minute, and at the edges of a month.
const FLATS: [Flat; 8] = [
    Flat {
        summary: "a",
        created: "2019-03-01T00:00:00.000Z",
        completed: "",
        priority: "Low",
    },
    Flat {
        summary: "b",
        created: "2026-09-30T23:59:59.999Z",
        completed: "2026-10-01T00:00:00.000Z",
        priority: "High",
    },
    Flat {
        summary: "c",
        created: "2026-10-01T00:00:00.000Z",
        completed: "",
        priority: "High",
    },
    Flat {
        summary: "d",
        created: "2026-10-01T00:00:00.000Z",
        completed: "2026-10-05T00:00:00.000Z",
        priority: "high",
    },
    Flat {
        summary: "e",
        created: "2026-10-31T12:00:10.000Z",
        completed: "2026-11-01T00:00:00.000Z",
        priority: "Low",
    },
    Flat {
        summary: "f",
        created: "2026-10-31T12:00:20.000Z",
        completed: "",
        priority: "Highest",
    },
    Flat {
        summary: "g",
        created: "2026-10-31T12:01:00.000Z",
        completed: "2026-10-31T13:00:00.000Z",
        priority: "High",
    },
    Flat {
        summary: "h",
        created: "2026-10-31T12:59:59.999Z",
        completed: "",
        priority: "",
    },
];

/// Posts deliveries and waits until all is done.
async fn deliver(server: &Server, bodies: impl IntoIterator<Item = Vec<u8>>) {
    let mut names = Vec::new();
    for body in bodies {
        let (status, answer) = server.post(&body).await;
        assert_eq!(status, 202, "{answer}");
        names.push(answer["execution"].as_str().expect("a name").to_owned());
    }
    for name in names {
        server.execution(&name, "SUCCEEDED").await;
    }
}

fn body(flat: &Flat) -> Vec<u8> {
    let Flat {
        summary,
        created,
        completed,
        priority,
    } = flat;
    let body = json!({ "summary": summary, "created": created, "completed": completed, "priority": priority });
    body.to_string().into_bytes()
}

/// All pages of a list, by the tickets' summaries; how many pages there were.
async fn all(server: &Server, query: &str) -> (Vec<String>, usize) {
    let (mut summaries, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let (status, page) = server.get(&format!("/tickets?{query}{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        pages += 1;
        let items = page["items"].as_array().expect("items").iter();
        summaries.extend(items.map(|item| item["summary"].as_str().expect("a summary").to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (summaries, pages),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_listed_by_what_they_are_page_by_page() {
    let server = Server::start();
    deliver(&server, FLATS.iter().map(body)).await;
    let cases = [
        ("", "hgfecdba"),
        ("order=oldest", "abcdefgh"),
        ("state=open", "hfca"),
        ("state=open&order=oldest", "acfh"),
        ("state=closed", "gedb"),
        ("status=COMPLETED", "gedb"),
        ("priority=HIGH", "gcdb"),
        ("priority=High,Highest", "gfcdb"),
        ("priority=high&state=open", "c"),
        ("project=SHOP", ""),
        ("q=A", "a"),
        ("q=a%20b", ""),
        ("q=nothing-12", ""),
        (
            "created_from=2026-10-01T00:00:00Z&created_to=2026-10-31T12:00:20Z",
            "ecd",
        ),
        ("created_to=2026-10-01T00:00:00Z", "ba"),
        ("closed_from=2026-10-01T00:00:00Z&closed_to=2026-11-01T00:00:00Z", "gdb"),
        ("closed_from=2026-10-01T00:00:00Z&order=oldest&priority=high", "bdg"),
    ];
    for (query, expected) in cases {
        for limit in [1, 3, 200] {
            let (found, pages) = all(&server, &format!("{query}&limit={limit}")).await;
            // Created in the same millisecond: in one order forwards and the other backwards.
            let found = found.concat().replace("dc", "cd");
            assert_eq!(found, expected, "{query}, {limit} a page");
            assert!(
                pages <= expected.len().max(1).div_ceil(limit) + 8,
                "{query}: {pages} pages"
            );
        }
    }
    // One ticket is the same in a list as by itself.
    let (_, page) = server.get("/tickets?limit=1").await;
    let text = |field: &str| page["items"][0][field].as_str().expect("a text").to_owned();
    let alone = server
        .get(&format!("/tickets/{}?as_of={}", text("id"), text("as_of")))
        .await;
    assert_eq!(alone.1, page["items"][0]);

    // What comes and goes between two pages moves nothing else.
    let (_, first) = server.get("/tickets?state=open&limit=2").await;
    let next = first["next"].as_str().expect("more");
    let open = first["items"][0]["id"].as_str().expect("an id");
    let close = server
        .http
        .patch(format!("{}/tickets/{open}", server.api))
        .body(r#"{"completed":"2026-11-02T00:00:00Z"}"#);
    assert_eq!(close.send().await.expect("an answer").status(), 202);
    let new = Flat {
        summary: "i",
        created: "2026-11-03T00:00:00.000Z",
        completed: "",
        priority: "Low",
    };
    deliver(&server, [body(&new)]).await;
    server
        .until("the ticket to be closed", || async {
            (server.get(&format!("/tickets/{open}")).await.1["state"] == "closed").then_some(())
        })
        .await;
    let (_, second) = server.get(&format!("/tickets?state=open&limit=2&cursor={next}")).await;
    let summaries: Vec<&str> = second["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| item["summary"].as_str())
        .collect();
    assert_eq!(summaries, ["c", "a"]);
    for (query, field) in [
        ("state=closed", "cursor"),
        ("order=oldest&state=open", "cursor"),
        ("limit=0", "limit"),
    ] {
        let (status, problem) = server.get(&format!("/tickets?{query}&cursor={next}")).await;
        assert_eq!((status, &problem["field"]), (422, &json!(field)), "{problem}");
    }
    let (status, problem) = server.get(&format!("/executions?cursor={next}")).await;
    assert_eq!((status, &problem["field"]), (422, &json!("cursor")));
}

/// A delivery with another text in place of one that it has.
fn changed(body: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let body = String::from_utf8(body).expect("a body is text");
    assert!(body.contains(from), "{body}");
    body.replace(from, to).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_found_by_their_words_and_by_every_key_they_had() {
    let server = Server::start();
    let issue = |number: u32| Issue { number };
    let elsewhere = changed(issue(1).created(), "jira.example.com", "jira.example.org");
    let elsewhere = changed(elsewhere, "Issue number 1", "Another one, elsewhere");
    deliver(
        &server,
        [issue(1).created(), issue(2).created(), issue(12).created(), elsewhere],
    )
    .await;
    // Moved to another project; and one whose summary speaks of what only looks like a key.
    let moved = changed(issue(2).started(60_000), "TEST-2", "OPS-4");
    deliver(
        &server,
        [
            moved,
            changed(issue(3).created(), "Issue number 3", "Names are no UTF-8"),
        ],
    )
    .await;
    let one = "Issue number 1";
    let cases: [(&str, &[&str]); 12] = [
        ("q=NUMBER", &[one, "Issue number 12", "Issue number 2"]),
        ("q=number%20test-1", &[one, "Issue number 12"]),
        ("q=test-12", &["Issue number 12"]),
        // A whole key: on two sites, and no other that begins so.
        ("q=Test-1", &["Another one, elsewhere", one]),
        ("q=test-1&created_to=2020-01-01T00:00:00Z", &[]),
        (
            "q=test-1&state=open&priority=High&project=test",
            &["Another one, elsewhere", one],
        ),
        ("q=test-1&state=closed", &[]),
        ("q=test-2", &["Issue number 2"]),
        ("q=ops-4", &["Issue number 2"]),
        ("q=ops", &["Issue number 2"]),
        ("q=utf-8", &["Names are no UTF-8"]),
        ("q=utf-9", &[]),
    ];
    for (query, expected) in cases {
        for limit in [1, 200] {
            for order in ["newest", "oldest"] {
                let (mut found, _) = all(&server, &format!("{query}&order={order}&limit={limit}")).await;
                // All were created in the same millisecond.
                found.sort();
                assert_eq!(found, expected, "{query}, {order}, {limit} a page");
            }
        }
    }
    // A key finds one ticket, by any key that it had and in small letters too; or it is said which there are.
    for (key, found) in [
        ("OPS-4", "2"),
        ("TEST-2", "2"),
        ("test-12", "12"),
        ("jira.example.com~12", "12"),
    ] {
        let (status, ticket) = server.get(&format!("/tickets/{key}")).await;
        assert_eq!(
            (status, &ticket["id"]),
            (200, &json!(format!("jira.example.com~{found}"))),
            "{key}"
        );
    }
    for path in ["", "/history", "/executions"] {
        let (status, problem) = server.get(&format!("/tickets/TEST-1{path}")).await;
        let candidates = json!(["jira.example.com~1", "jira.example.org~1"]);
        assert_eq!((status, &problem["candidates"]), (409, &candidates), "{problem}");
        assert_eq!(problem["type"], "urn:ticketflow:problem:ambiguous-key");
    }
    for (ticket, status) in [
        ("TEST-1", 409),
        ("TEST-2", 409),
        ("jira.example.com~2", 409),
        ("jira.example.com~77", 404),
    ] {
        for method in [reqwest::Method::PATCH, reqwest::Method::DELETE] {
            let request = server.http.request(method, format!("{}/tickets/{ticket}", server.api));
            let answer = request.body(r#"{"priority":"Low"}"#).send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), status, "{ticket}");
        }
    }
    for wrong in ["q=", "q=%20"] {
        let (status, problem) = server.get(&format!("/tickets?{wrong}")).await;
        assert_eq!((status, &problem["field"]), (422, &json!("q")), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_are_those_of_the_tickets_however_often_they_were_delivered() {
    let targets = r#"Policy={"sla": [{"close": "300d"}, {"priority": "High", "close": "2h"}]}"#;
    let server = Server::start_with(&["--parameter", targets]);
    deliver(&server, FLATS.iter().map(body)).await;
    for flat in &FLATS {
        assert!(server.post(&body(flat)).await.0 <= 202, "again");
    }
    let minutes = |answer: &Value| {
        let minutes = answer["minutes"].as_array().expect("minutes");
        assert_eq!(minutes.len(), 60);
        let counted = minutes.iter().enumerate().filter(|(_, minute)| minute["count"] != 0);
        counted
            .map(|(index, minute)| (index, minute["counts"].clone()))
            .collect::<Vec<_>>()
    };
    let (status, created) = server.get("/metrics/tickets-per-minute?hour=2026-10-31T12:00Z").await;
    assert_eq!(status, 200, "{created}");
    assert_eq!(
        (&created["total"], &created["others"], &created["cut"]),
        (&json!(2), &json!(2), &Value::Null)
    );
    assert_eq!(created["totals"], json!({ "High": 1, "Highest": 1 }));
    let expected = [
        (0, json!({ "High": 0, "Highest": 1 })),
        (1, json!({ "High": 1, "Highest": 0 })),
    ];
    assert_eq!(minutes(&created), expected);
    assert_eq!(created["minutes"][59]["provisional"], false);
    let (_, low) = server
        .get("/metrics/tickets-per-minute?hour=2026-10-31T12:00Z&priority=low")
        .await;
    assert_eq!((&low["total"], &low["others"]), (&json!(1), &json!(3)));
    let (_, closed) = server
        .get("/metrics/tickets-per-minute?hour=2026-10-31T13:00Z&by=closed")
        .await;
    assert_eq!(minutes(&closed), [(0, json!({ "High": 1, "Highest": 0 }))]);
    let (_, future) = server
        .get("/metrics/tickets-per-minute?hour=2100-01-01T00:00:00Z")
        .await;
    assert!(
        future["minutes"]
            .as_array()
            .expect("minutes")
            .iter()
            .all(|minute| minute["provisional"] == true)
    );

    let october = "from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z";
    let (_, durations) = server.get(&format!("/metrics/durations?{october}")).await;
    assert_eq!(durations["tickets"], 3, "b, d and g: {durations}");
    // 1 ms, four days, 59 minutes.
    assert_eq!(durations["lead"]["p50_ms"], 59 * 60_000);
    assert_eq!(durations["lead"]["p95_ms"], 4 * 86_400_000_i64);
    assert_eq!(durations["cycle"]["count"], 0, "a flat ticket is never started");
    let rule = |priority: Value, hours: i64, tickets: i64, over: i64| {
        json!({ "project": null, "priority": priority,
        "target_ms": hours * 3_600_000, "time": "calendar", "tickets": tickets, "over": over })
    };
    let high_ones = json!({ "target_ms": null, "tickets": 3, "over": 1,
        "rules": [rule(Value::Null, 7_200, 0, 0), rule(json!("High"), 2, 3, 1)] });
    assert_eq!(durations["kept"], high_ones, "d took four days");
    let (_, high) = server
        .get(&format!("/metrics/durations?{october}&priority=High&project=none"))
        .await;
    assert_eq!(high["tickets"], 0);
    let none = json!({ "target_ms": 7_200_000, "tickets": 0, "over": 0, "rules": [rule(json!("High"), 2, 0, 0)] });
    assert_eq!(high["kept"], none, "the target is known before anything is closed");

    let (_, throughput) = server.get(&format!("/metrics/throughput?{october}")).await;
    assert_eq!(
        (&throughput["created"], &throughput["closed"]),
        (&json!(6), &json!(3)),
        "{throughput}"
    );
    assert_eq!(throughput["points"].as_array().expect("points").len(), 31);
    assert_eq!(throughput["points"][30]["created"], 4);
    assert_eq!(
        throughput["points"][0],
        json!({ "at": "2026-10-01T00:00:00.000Z", "provisional": false, "created": 2, "closed": 1 })
    );
    let (_, berlin) = server
        .get(&format!("/metrics/throughput?{october}&zone=Europe/Berlin"))
        .await;
    // Days there begin two hours earlier, and one hour after the clocks were put back.
    assert_eq!(
        (&berlin["zone"], &berlin["from"]),
        (&json!("Europe/Berlin"), &json!("2026-09-30T22:00:00.000Z"))
    );
    assert_eq!(
        (&berlin["to"], &berlin["created"]),
        (&json!("2026-11-01T23:00:00.000Z"), &json!(7)),
        "{berlin}"
    );
    let (status, problem) = server.get("/metrics/throughput?per=hour&zone=Europe/Berlin").await;
    assert_eq!((status, &problem["field"]), (422, &json!("zone")), "{problem}");

    let (_, aging) = server.get("/metrics/aging?limit=2").await;
    assert_eq!(
        (&aging["open"], &aging["ages"]["count"]),
        (&json!(4), &json!(4)),
        "{aging}"
    );
    let oldest: Vec<&Value> = aging["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| &item["summary"])
        .collect();
    assert_eq!(oldest, ["a", "c"]);
    let (_, high) = server.get("/metrics/aging?priority=high").await;
    let late = json!({ "target_ms": 7_200_000, "tickets": 1, "over": 1, "rules": [rule(json!("High"), 2, 1, 1)] });
    assert_eq!((&high["open"], &high["kept"]), (&json!(1), &late), "c: {high}");

    let issue = Issue { number: 1 };
    deliver(&server, [issue.resolved(600_000)]).await;
    let (_, quality) = server
        .get("/metrics/quality?from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z")
        .await;
    let found: BTreeMap<&str, &Value> = quality["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|found| Some((found["finding"].as_str()?, &found["tickets"][0]["key"])))
        .collect();
    assert_eq!(
        (quality["tickets"].as_u64(), found.get("status_unknown")),
        (Some(1), Some(&&json!("TEST-1"))),
        "{quality}"
    );
    let november = "from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z";
    let of_project = [
        ("durations", "tickets", 1),
        ("throughput", "created", 1),
        ("throughput", "closed", 1),
        ("quality", "tickets", 1),
        ("tickets-per-minute", "total", 1),
        ("aging", "open", 0),
    ];
    for (metric, field, count) in of_project {
        let span = match metric {
            "aging" => "",
            "tickets-per-minute" => "hour=2026-11-20T08:00Z",
            _ => november,
        };
        for (kind, count) in [
            ("project=test", count),
            ("project=TEST&priority=high,Low", count),
            ("project=TEST&priority=Low", 0),
            ("project=OPS", 0),
        ] {
            let (status, answer) = server.get(&format!("/metrics/{metric}?{span}&{kind}")).await;
            assert_eq!(
                (status, &answer[field]),
                (200, &json!(count)),
                "{metric}, {kind}: {answer}"
            );
        }
    }
    for wrong in [
        "from=2025-01-01T00:00:00Z&to=2026-06-01T00:00:00Z",
        "from=2100-01-01T00:00:00Z",
    ] {
        let (status, problem) = server.get(&format!("/metrics/durations?{wrong}")).await;
        assert_eq!((status, &problem["field"]), (422, &json!("from")), "{problem}");
    }
    let (status, problem) = server
        .get("/metrics/tickets-per-minute?hour=2026-10-31T12:00:01Z")
        .await;
    assert_eq!((status, &problem["field"]), (422, &json!("hour")), "{problem}");
}

/// What each route asks the table at most, five tickets wanted, however many there are.
const ASKED: [(&str, usize); 21] = [
    ("/tickets?limit=5", 1 + 1 + 1 + 1 + 5),
    ("/tickets?state=open&limit=5", 1 + 1 + 1 + 1 + 5),
    ("/tickets?status=open&limit=5", 1 + 1 + 1 + 1 + 5),
    ("/tickets?q=many&limit=5", 1 + 1 + 1 + 1 + 5),
    // Nothing has that key, and no summary these words.
    ("/tickets?q=many-12&limit=5", 1 + 1 + 1 + 6),
    ("/tickets/{id}", 3),
    // And the categories of its site's statuses.
    ("/tickets/{id}/history", 3),
    ("/tickets/{id}/executions", 2),
    // A query for each status and shard.
    ("/executions?limit=5", 6 * 4 + 1),
    ("/executions?status=FAILED&limit=5", 4),
    ("/executions/{name}", 1),
    // A query for each shard, and the one delivery that there is.
    ("/deliveries?limit=5", 4 + 1),
    ("/deliveries/{delivery}", 1),
    // The job, the sites with their maps, and what is judged by what is older, a query a shard.
    ("/recompute", 1 + 1 + 1 + 3 * 4),
    ("/openapi.json", 0),
    ("/metrics/tickets-per-minute?hour=2026-10-01T12:00:00Z", 1),
    (
        "/metrics/durations?from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z",
        2,
    ),
    // Up to five months of closed tickets, and the open ones.
    ("/metrics/aging?limit=5", 5 + 1 + 1 + 1 + 1 + 5),
    (
        "/metrics/throughput?from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z",
        2 + 2,
    ),
    (
        "/metrics/quality?from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z",
        2 + 1,
    ),
    ("/health", 1),
];

/// The same of the routes that change something: with the answer's status, and a key each.
const CHANGED: [(&str, &str, &str, u16, usize); 5] = [
    // Claims its key, and remembers its answer.
    (
        "POST",
        "/tickets",
        r#"{"summary":"Another {from}","created":"2026-10-02T00:00:00Z"}"#,
        202,
        2,
    ),
    // And whether there is such a ticket.
    ("PATCH", "/tickets/{id}", r#"{"priority":"Low"}"#, 202, 1 + 2),
    ("DELETE", "/tickets/{id}", "", 202, 1 + 2),
    // It has succeeded.
    ("POST", "/executions/{name}/redrive", "", 409, 0),
    // What cannot be read is kept.
    ("POST", "/webhooks/jira", "{", 400, 1),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_route_scans_or_asks_more_when_there_are_more_tickets() {
    let table = Table::silent().await;
    let url = table.url();
    let project = ["read", "api", "redrive", "webhook"]
        .into_iter()
        .fold(Project::copy(), |project, function| {
            project.function(function, "", &[("AWS_ENDPOINT_URL_DYNAMODB", &url)])
        });
    let server = Server::start_with(&["--template", &project.template()]);
    table.answer(&server.aws);
    let ticket = |number: usize| {
        let (minute, second) = (number / 60, number % 60);
        let created = format!("2026-10-01T12:{minute:02}:{second:02}.000Z");
        json!({ "summary": "One of many", "created": created, "priority": "High" })
            .to_string()
            .into_bytes()
    };
    assert_eq!(server.post(b"{").await.0, 400);
    let mut asked: Vec<Vec<usize>> = Vec::new();
    for (from, to) in [(0, 12), (12, 48)] {
        deliver(&server, (from..to).map(ticket)).await;
        let (_, page) = server.get("/tickets?limit=1").await;
        let text = |page: &Value, field: &str| page["items"][0][field].as_str().expect("a text").to_owned();
        let (id, name) = (text(&page, "id"), text(&page, "last_execution"));
        let delivery = text(&server.get("/deliveries").await.1, "id");
        table.operations();
        let mut counts = Vec::new();
        for (route, most) in ASKED {
            let (status, answer) = server
                .get(
                    &route
                        .replace("{id}", &id)
                        .replace("{name}", &name)
                        .replace("{delivery}", &delivery),
                )
                .await;
            assert_eq!(status, 200, "{route}: {answer}");
            let operations = table.operations();
            let is_cheap = |name: &String| ["Query", "GetItem", "BatchGetItem"].contains(&name.as_str());
            assert!(operations.iter().all(is_cheap), "{route}: {operations:?}");
            assert!(operations.len() <= most, "{route}: {operations:?}");
            assert_eq!(operations.is_empty(), most == 0, "{route}: the requests are seen");
            counts.push(operations.len());
        }
        for (method, route, body, status, most) in CHANGED {
            let path = route.replace("{id}", &id).replace("{name}", &name);
            let key = format!("{method} {route} {from}");
            let body = body.replace("{from}", &from.to_string());
            let method = method.parse().expect("a method");
            let request = server.http.request(method, format!("{}{path}", server.api));
            let request = request
                .header("x-hub-signature", sign(SECRET, body.as_bytes()))
                .header("idempotency-key", key);
            let response = request.body(body).send().await.expect("an answer");
            assert_eq!(response.status().as_u16(), status, "{route}");
            let operations = table.operations();
            assert!(!operations.contains(&"Scan".to_owned()), "{route}: {operations:?}");
            assert!(operations.len() <= most, "{route}: {operations:?}");
            assert_eq!(operations.is_empty(), most == 0, "{route}: the requests are seen");
            counts.push(operations.len());
        }
        asked.push(counts);
    }
    assert_eq!(asked[0], asked[1]);
}
