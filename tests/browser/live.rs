//! What comes by itself: over breaks of the network, over restarts, and without moving what somebody points at.

use serde_json::json;

use crate::way::Way;
use crate::world::{World, delivery};

/// Notes where each stream begins again.
const STREAMS: &str = "window.resumed = []; const own = window.fetch; window.fetch = (url, options) => {
    if (String(url).includes('api/stream')) window.resumed.push(new Headers(options?.headers).get('last-event-id'));
    return own(url, options);
};";

/// Notes whether the page has ever had blocks in the place of a view.
const COMING: &str =
    "new MutationObserver(() => { if (document.querySelector('main:not(:has(h1)) .skeleton')) window.coming = true; })
    .observe(document, { subtree: true, childList: true })";

async fn posted(world: &World, key: &str, id: u32) -> String {
    let (status, answer) = world.server.post(&delivery(key, id, "Seen live")).await;
    assert_eq!(status, 202, "{answer}");
    answer["execution"].as_str().expect("a name").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_goes_on_where_it_was() {
    let world = World::open().await;
    let way = Way::to(&world.server.api).await;
    world.browser.before_pages(STREAMS).await;
    world.browser.go(&world.address_at(&way.url, "executions")).await;
    world.browser.sees("Live").await;
    let first = posted(&world, "CUT-1", 901).await;
    world.browser.sees(&first).await;

    way.lead(None);
    world.browser.sees("Reconnecting").await;
    world.browser.sees("last data").await;
    let missed = posted(&world, "CUT-2", 902).await;
    world.server.execution(&missed, "SUCCEEDED").await;
    way.lead(Some(&world.server.api));
    world.browser.sees(&missed).await;
    world.browser.sees("Live").await;
    let resumed = world.browser.run("return window.resumed").await;
    let marks = resumed.as_array().expect("streams");
    assert!(marks[0].is_null(), "the first stream begins anywhere: {resumed}");
    assert!(
        marks.len() > 1 && marks[1..].iter().all(|mark| mark.is_string()),
        "the next go on: {resumed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_again_is_found_again_and_nothing_is_lost() {
    let mut world = World::open().await;
    world
        .machine(
            "waits",
            &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 4, "End": true}}}),
        )
        .await;
    let way = Way::to(&world.server.api).await;
    world.browser.go(&world.address_at(&way.url, "executions")).await;
    world.browser.sees("Live").await;
    world.start("waits", "over-the-restart", &json!({})).await;
    world.browser.sees("over-the-restart").await;

    way.lead(None);
    world.server.kill();
    world.browser.sees("Reconnecting").await;
    // Data that are older than a minute say so.
    world
        .browser
        .run("const real = Date.now; Date.now = () => real() + 61_000")
        .await;
    world.browser.sees("data is old").await;
    world.server.restart();
    let missed = posted(&world, "AFTER-1", 911).await;
    way.lead(Some(&world.server.api));
    world.browser.sees(&missed).await;
    world.browser.sees("Live").await;
    let row = "return [...document.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('over-the-restart'))?.innerText.includes('Succeeded')";
    world.browser.until("the wait to end after the restart", row).await;
    assert!(
        !world
            .browser
            .run("return document.body.innerText.includes('data is old')")
            .await
            .as_bool()
            .unwrap_or(true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_beyond_those_that_may_watch_looks_from_time_to_time() {
    let world = World::open().await;
    let stream = || {
        world
            .server
            .http
            .get(format!("{}/console/api/stream", world.server.api))
    };
    let mut watching = Vec::new();
    let refused = loop {
        let response = stream().send().await.expect("an answer");
        if response.status() != 200 {
            break response.status();
        }
        watching.push(response);
    };
    assert_eq!((refused.as_u16(), watching.len()), (503, 64));
    world.go("executions").await;
    world.browser.sees("Updates every 10 s").await;
    let name = posted(&world, "POLL-1", 921).await;
    world.browser.sees(&name).await;
    drop(watching);
    world.browser.sees("Live").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rows_wait_while_somebody_points_at_the_list_and_changed_ones_are_marked() {
    let world = World::open().await;
    world
        .machine(
            "short",
            &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3, "End": true}}}),
        )
        .await;
    world.start("short", "changes", &json!({})).await;
    world.go("executions").await;
    world.browser.sees("changes").await;
    world
        .browser
        .until(
            "the row that changed to be marked",
            "return document.querySelector('tr.marked')?.innerText.includes('Succeeded')",
        )
        .await;
    world
        .browser
        .until("the mark to go", "return !document.querySelector('tr.marked')")
        .await;

    let point = |kind: &str| format!("document.querySelector('.held').dispatchEvent(new MouseEvent('{kind}'))");
    world.browser.run(&point("mouseenter")).await;
    world.start("short", "waits-to-be-shown", &json!({})).await;
    world.browser.sees("1 new · show").await;
    let rows = "return [...document.querySelectorAll('tbody a.name')].map((link) => link.innerText)";
    assert_eq!(world.browser.run(rows).await, json!(["changes"]));
    world.browser.click("button.new").await;
    world.browser.sees("waits-to-be-shown").await;
    world.browser.run(&point("mouseenter")).await;
    world.start("short", "comes-at-once", &json!({})).await;
    world.browser.sees("1 new · show").await;
    world.browser.run(&point("mouseleave")).await;
    world.browser.sees("comes-at-once").await;
    // Of more than a page it is not known how many there are.
    world.browser.run(&point("mouseenter")).await;
    for number in 0..51 {
        world.start("short", &format!("one-of-many-{number}"), &json!({})).await;
    }
    world.browser.sees("50+ new · show").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_could_not_be_loaded_is_loaded_later() {
    let world = World::open().await;
    let way = Way::to(&world.server.api).await;
    world.browser.go(&world.address_at(&way.url, "executions")).await;
    let view = |name: &str| format!("header a[href$={name}]");
    // When somebody opens it again.
    way.lead(None);
    world.browser.click(&view("tickets")).await;
    world.browser.sees("This view could not be loaded").await;
    world.browser.click(&view("executions")).await;
    way.lead(Some(&world.server.api));
    world.browser.click(&view("tickets")).await;
    world.browser.sees("No open tickets.").await;
    // When somebody asks for it again.
    way.lead(None);
    world.browser.click(&view("metrics")).await;
    world.browser.sees("This view could not be loaded").await;
    way.lead(Some(&world.server.api));
    world.browser.click(".failure button").await;
    world.browser.sees("Tickets created per minute").await;

    // Until it is there something stands where it will be.
    world.browser.before_pages(COMING).await;
    world.browser.go(&world.address_at(&way.url, "metrics")).await;
    assert_eq!(world.browser.run("return window.coming").await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_began_after_the_page_was_opened_is_there() {
    let world = World::open().await;
    let machine = json!({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}});
    let offered = "return [...document.querySelector('.fields select').options].map((option) => option.value)";
    world.go("executions?machine=Fresh").await;
    assert_eq!(
        world
            .browser
            .run("return document.querySelector('.fields select').value")
            .await,
        "Fresh"
    );
    world.go("executions").await;
    world.machine("Fresh", &machine).await;
    world.start("Fresh", "first", &json!({})).await;
    world
        .browser
        .until(
            "the new state machine",
            &format!("return (() => {{ {offered} }})().includes('Fresh')"),
        )
        .await;

    world.browser.visit(&world.address("executions/Fresh/second")).await;
    world.browser.sees("There is no execution second").await;
    world.start("Fresh", "second", &json!({})).await;
    world
        .browser
        .until("its graph", "return !!document.querySelector('.graph .node')")
        .await;
    world.browser.sees("Succeeded").await;
    let failures = "return document.querySelectorAll('.failure').length";
    assert_eq!(world.browser.run(failures).await, 0);
}
