//! How every view looks: pictures of each, and no rule of accessibility broken, in light and dark, wide and narrow.

use serde_json::{Value, json};

use crate::world::{World, delivery};

/// The widths that are looked at: a desktop, where the columns begin to stand below each other, a phone.
const WIDTHS: [u32; 3] = [1440, 1000, 390];

/// From here on nothing overflows.
const NARROWEST: u32 = 360;

/// How long tickets may take here.
const POLICY: &str = r#"Policy={"sla": [{"close": "1d 12h", "first_start": "4h"}]}"#;

/// A redriven execution that failed again, one that waits, and a machine that leads in many directions.
async fn further(world: &World) {
    let input = json!({"priority": "High"});
    world.start("ticket-sync", "redriven", &input).await;
    world.until("ticket-sync", "redriven", "failed").await;
    let arn = "arn:aws:states:us-west-2:000000000000:execution:ticket-sync:redriven";
    world.states("RedriveExecution", json!({ "executionArn": arn })).await;
    world.until("ticket-sync", "redriven", "failed").await;
    let wait = json!({"StartAt": "UntilDue", "States": {"UntilDue": {"Type": "Wait", "Seconds": 7200, "Next": "Tell"}, "Tell": {"Type": "Succeed"}}});
    world.machine("waits", &wait).await;
    world.start("waits", "one", &json!({})).await;
    let choice = |letter: &str| json!({"Variable": "$.k", "StringEquals": letter, "Next": format!("Do{letter}")});
    let choices = ["A", "B", "C", "D"].map(choice);
    let mut states = json!({
        "Route": {"Type": "Choice", "Choices": choices, "Default": "Reject"},
        "Store": {"Type": "Pass", "Next": "Check"},
        "Check": {"Type": "Choice", "Choices": [{"Variable": "$.k", "StringEquals": "Z", "Next": "Route"}], "Default": "Done"},
        "Reject": {"Type": "Fail", "Error": "Rejected"}, "Done": {"Type": "Succeed"}});
    for letter in ["A", "B", "C", "D"] {
        states[format!("Do{letter}")] = json!({"Type": "Pass", "Next": "Store"});
    }
    world
        .machine("many", &json!({"StartAt": "Route", "States": states}))
        .await;
    world.start("many", "one", &json!({"k": "B"})).await;
}

/// A ticket goes from one status to another at a time of the sample's day.
pub(crate) async fn moved(world: &World, (key, id): (&str, u32), changelog: u32, from: &Value, to: &Value, at: &str) {
    let mut body: Value = serde_json::from_slice(&delivery(key, id, "Closed, and opened again")).expect("JSON");
    let at: chrono::DateTime<chrono::Utc> = format!("2026-11-21T{at}:00Z").parse().expect("a time");
    body["webhookEvent"] = "jira:issue_updated".into();
    body["timestamp"] = at.timestamp_millis().into();
    body["user"] =
        json!({ "accountId": "5b10", "displayName": if to["id"] == "3" { "Ada Example" } else { "Grace <Example>" } });
    body["issue"]["fields"]["status"] = to.clone();
    let item = json!({"field": "status", "fieldId": "status", "from": from["id"], "fromString": from["name"], "to": to["id"], "toString": to["name"]});
    body["changelog"] = json!({"id": changelog.to_string(), "items": [item]});
    let (status, answer) = world.server.post(body.to_string().as_bytes()).await;
    assert_eq!(status, 202, "{answer}");
    let name = answer["execution"].as_str().expect("a name");
    world.server.execution(name, "SUCCEEDED").await;
}

/// A ticket that was started, closed, opened again and is worked on.
async fn reopened(world: &World, ticket: (&str, u32)) {
    let status =
        |id: &str, name: &str, category: &str| json!({"id": id, "name": name, "statusCategory": {"key": category}});
    let (new, work, done) = (
        status("10000", "To Do", "new"),
        status("3", "In Progress", "indeterminate"),
        status("10001", "Done", "done"),
    );
    for (number, from, to, at) in [
        (30_001, &new, &work, "09:40"),
        (30_002, &work, &done, "11:10"),
        (30_003, &done, &new, "12:30"),
        (30_004, &new, &work, "13:15"),
    ] {
        moved(world, ticket, number, from, to, at).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_accessible_and_fits_in_light_and_dark() {
    let world = World::open_with(&["--parameter", POLICY]).await;
    world.failing().await;
    world.orders().await;
    further(&world).await;
    for number in 0..30 {
        let body = delivery(
            &format!("LOOK-{number}"),
            800 + number,
            "The basket forgets its last item when it is opened in two tabs",
        );
        let (status, answer) = world.server.post(&body).await;
        assert_eq!(status, 202, "{answer}");
        let name = answer["execution"].as_str().expect("a name");
        world.server.execution(name, "SUCCEEDED").await;
    }
    reopened(&world, ("LOOK-7", 807)).await;
    for number in 0..24_u32 {
        let hours = 1 + number * number % 37;
        let body = json!({
            "summary": format!("Closed after {hours} hours"), "priority": if number % 3 == 0 { "Highest" } else { "High" },
            "created": format!("2026-11-19T{:02}:{:02}:00Z", 8 + number % 2, number), "completed": format!("2026-11-{}T{:02}:30:00Z", 20 + hours / 24, hours % 24),
        });
        world.flat(&body).await;
    }
    let views = [
        ("executions", "executions"),
        ("execution", "executions/ticket-sync/OPS-4312-closed-7"),
        ("execution-map", "executions/orders/order-broken"),
        ("execution-events", "executions/orders/order-broken?view=events"),
        ("execution-definition", "executions/orders/order-good?view=definition"),
        ("execution-missing", "executions/orders/none"),
        ("execution-redriven", "executions/ticket-sync/redriven"),
        ("execution-waiting", "executions/waits/one"),
        ("execution-many", "executions/many/one"),
        ("tickets", "tickets?state=all"),
        ("ticket", "tickets/LOOK-1"),
        ("ticket-reopened", "tickets/LOOK-7"),
        ("metrics", "metrics?hour=2026-11-19T08:00Z"),
        ("metrics-histogram", "metrics?hour=2026-11-19T08:00Z&chart=hist"),
    ];
    for (name, view) in views {
        world.browser.look_at(1440, 1000, false).await;
        world.go(view).await;
        for dark in [false, true] {
            for width in WIDTHS {
                world.browser.picture(name, width, dark).await;
            }
            for width in WIDTHS.into_iter().chain([NARROWEST]) {
                world.browser.look_at(width, 1000, dark).await;
                world.browser.settled().await;
                let wide = world
                    .browser
                    .run("return document.documentElement.scrollWidth - innerWidth")
                    .await;
                assert!(
                    wide.as_i64().is_some_and(|wide| wide <= 0),
                    "{name} overflows by {wide} at {width}"
                );
            }
            for width in [1440, 390] {
                world.browser.look_at(width, 1000, dark).await;
                assert_eq!(
                    world.browser.violations().await,
                    json!([]),
                    "{name}, {width} wide, dark: {dark}"
                );
            }
        }
    }
    // In one column what matters most comes first.
    world.browser.look_at(960, 1000, false).await;
    world.go("executions/ticket-sync/OPS-4312-closed-7").await;
    let tops = "return ['.head', '.alert', '.graph-card', '.steps', '.inspector'].map((part) => document.querySelector(part).getBoundingClientRect()).map(({left, top}) => [left, top])";
    let tops = world.browser.run(tops).await;
    let places = tops.as_array().expect("places");
    for pair in places.windows(2) {
        assert!(
            pair[0][0] == pair[1][0] && pair[0][1].as_f64() < pair[1][1].as_f64(),
            "{tops}"
        );
    }
    let complaints = world.browser.complaints().await;
    let unexpected: Vec<_> = complaints
        .iter()
        .filter(|line| !line.contains("/orders/none"))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_paper_everything_is_there_and_nothing_can_be_pressed() {
    let world = World::open().await;
    let id = world
        .flat(&json!({"summary": "word ".repeat(40), "priority": "High", "created": "2026-11-20T05:10:00Z"}))
        .await;
    let state = json!({"StartAt": "S", "States": {
        "S": {"Type": "Pass", "Assign": {"long.$": "$"}, "Next": "T"},
        "T": {"Type": "Pass", "End": true}}});
    world.machine("long", &state).await;
    world
        .start("long", "one", &json!({"words": "word ".repeat(2_000)}))
        .await;
    world.until("long", "one", "succeeded").await;
    world.browser.on_paper(720).await;
    for (view, heading) in [
        ("metrics?hour=2026-11-20T05:00Z", "Metrics"),
        (&format!("tickets/{id}"), &*id),
        ("tickets", "Tickets"),
        ("executions/long/one?state=T", "one"),
    ] {
        world.go(view).await;
        world.browser.settled().await;
        assert_eq!(
            world.browser.run("return document.querySelector('h1').innerText").await,
            heading
        );
        let seen = "return [...document.querySelectorAll('button:not(.node, .text)')].filter((one) => one.checkVisibility()).length";
        assert_eq!(world.browser.run(seen).await, 0, "{view}");
        let cut = "return [...document.querySelectorAll('pre, .scroll')].filter((one) => one.checkVisibility()
            && (one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1)).map((one) => one.outerHTML.slice(0, 300))";
        assert_eq!(world.browser.run(cut).await, json!([]), "{view}");
    }
}
