//! The keyboard, the address and the colours: everything without a mouse, and nothing inside a field.

use serde_json::json;

use crate::world::{World, delivery};

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const RIGHT: &str = "\u{e014}";
const END: &str = "\u{e010}";

/// Places of the Tab key on a page of a few rows: with more of them it goes round.
const MOST_STOPS: u32 = 80;

async fn path(world: &World, path: &str) {
    let script = format!("return location.pathname === '/console/{path}'");
    world.browser.until(path, &script).await;
    world.browser.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_of_the_list_does_what_it_says_and_none_inside_a_field() {
    let world = World::open().await;
    world.failing().await;
    world.orders().await;
    world.go("executions").await;
    let focused = "return document.activeElement.innerText ?? ''";
    world.browser.press(&["j"]).await;
    let first = world.browser.run(focused).await;
    world.browser.press(&["j"]).await;
    let second = world.browser.run(focused).await;
    assert_ne!(first, second);
    world.browser.press(&["k"]).await;
    assert_eq!(world.browser.run(focused).await, first);
    world.browser.press(&["/"]).await;
    assert_eq!(world.browser.run("return document.activeElement.id").await, "filter");
    world.browser.press(&["g", "m", "r", "j", "?"]).await;
    assert_eq!(world.browser.run("return document.activeElement.value").await, "gmrj?");
    world
        .browser
        .until(
            "a filter",
            "return new URLSearchParams(location.search).get('q') === 'gmrj?'",
        )
        .await;
    assert_eq!(
        world
            .browser
            .run("return document.querySelectorAll('dialog').length")
            .await,
        0
    );
    world.browser.press(&[ESCAPE]).await;
    assert_ne!(world.browser.run("return document.activeElement.id").await, "filter");
    world.browser.press(&["g", "e"]).await;
    world.go("executions?q=OPS-4312").await;
    world.browser.press(&["j", ENTER]).await;
    path(&world, "executions/ticket-sync/OPS-4312-closed-7").await;

    world.browser.press(&["r"]).await;
    world.browser.sees("Runs again").await;
    world.browser.press(&["g", "m"]).await;
    world.browser.press(&[ESCAPE]).await;
    world
        .browser
        .until("the dialog to close", "return !document.querySelector('dialog')")
        .await;
    path(&world, "executions/ticket-sync/OPS-4312-closed-7").await;
    world.browser.press(&["?"]).await;
    world.browser.sees("Go to metrics").await;
    let keys = world.browser.run("return [...document.querySelectorAll('.keys dt')].map((key) => key.innerText.trim().replace(/\\s+/g, ' '))").await;
    for key in ["g e", "g t", "g m", "j", "k", "r", "?", "Esc"] {
        assert!(
            keys.as_array().is_some_and(|keys| keys.contains(&json!(key))),
            "{key}: {keys}"
        );
    }
    world.browser.press(&[ESCAPE]).await;
    world.browser.press(&["g", "t"]).await;
    path(&world, "tickets").await;
    world.browser.press(&["g", "m"]).await;
    path(&world, "metrics").await;
    let hour = "return new URLSearchParams(location.search).get('hour')";
    assert_eq!(world.browser.run(hour).await, json!(null));
    world.browser.press(&["["]).await;
    let before = world.browser.until("the hour before", hour).await;
    world.browser.press(&["["]).await;
    world
        .browser
        .until(
            "the one before that",
            &format!("return new URLSearchParams(location.search).get('hour') !== {before}"),
        )
        .await;
    world.browser.press(&["]"]).await;
    world
        .browser
        .until(
            "the next hour",
            &format!("return new URLSearchParams(location.search).get('hour') === {before}"),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_has_the_focus_shows_it_and_a_dialog_gives_it_back() {
    let world = World::open().await;
    world.orders().await;
    let (status, answer) = world.server.post(&delivery("FOCUS-1", 991, "Walked through")).await;
    assert_eq!(status, 202, "{answer}");
    let name = answer["execution"].as_str().expect("a name");
    world.server.execution(name, "SUCCEEDED").await;
    let focused = "const {activeElement: it} = document;
        return it === document.body ? null : [it.outerHTML.slice(0, 120), getComputedStyle(it).outlineStyle]";
    for view in [
        "executions",
        "executions/orders/order-broken",
        "tickets",
        "tickets/FOCUS-1",
    ] {
        world.go(view).await;
        let mut stops = 0;
        loop {
            world.browser.press(&[TAB]).await;
            let seen = world.browser.run(focused).await;
            if seen.is_null() {
                break;
            }
            assert_eq!(seen[1], "solid", "{view}: {}", seen[0]);
            stops += 1;
        }
        assert!((8..MOST_STOPS).contains(&stops), "{view}: {stops} stops");
    }

    world.go("executions/orders/order-broken").await;
    let button = ".head-actions button.primary";
    world
        .browser
        .run(&format!("document.querySelector('{button}').focus()"))
        .await;
    world.browser.press(&[ENTER]).await;
    world.browser.sees("Runs again").await;
    world.browser.press(&[ESCAPE]).await;
    let given_back = format!("return document.activeElement === document.querySelector('{button}')");
    world.browser.until("the focus to be given back", &given_back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_focus_stays_where_a_box_is_opened_and_comes_back_to_the_row_that_was_left() {
    let world = World::open().await;
    world.orders().await;
    world.go("executions/orders/order-broken").await;
    world
        .browser
        .run("document.querySelector('[aria-label=\"Close ShipItems\"]').focus()")
        .await;
    for label in ["Open ShipItems", "Close ShipItems"] {
        world.browser.press(&[ENTER]).await;
        let focused = format!("return document.activeElement.getAttribute('aria-label') === '{label}'");
        world.browser.until(label, &focused).await;
    }

    world.go("executions").await;
    world.browser.press(&["j", "j"]).await;
    let focused = "return document.activeElement.innerText";
    let second = world.browser.run(focused).await;
    world.browser.press(&[ENTER]).await;
    world.browser.sees("Graph").await;
    world.browser.back().await;
    let back = format!(
        "return document.activeElement.matches('tbody a.name') && document.activeElement.innerText === {second}"
    );
    world.browser.until("the row that was left", &back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arrows_walk_the_minutes_and_what_they_stand_for_is_said() {
    let world = World::open().await;
    let (status, answer) = world.server.post(&delivery("KEY-1", 981, "Walked over")).await;
    assert_eq!(status, 202, "{answer}");
    world
        .server
        .execution(answer["execution"].as_str().expect("a name"), "SUCCEEDED")
        .await;
    world.go("metrics?hour=2026-11-21T08:00Z").await;
    world
        .browser
        .run("document.querySelector('.chart .bar[tabindex=\"0\"]').focus()")
        .await;
    world.browser.press(&[RIGHT]).await;
    let said = "return document.querySelector('[role=status]').innerText";
    let focused = "return document.activeElement.getAttribute('aria-label')";
    let label = world.browser.run(focused).await;
    assert!(label.as_str().is_some_and(|label| label.contains(":01: ")), "{label}");
    world
        .browser
        .until(
            "the minute to be said",
            &format!("return (() => {{ {said} }})() === {label}"),
        )
        .await;
    world.browser.press(&[END]).await;
    let label = world.browser.run(focused).await;
    assert!(label.as_str().is_some_and(|label| label.contains(":59: ")), "{label}");
    let stops = "return document.querySelectorAll('section[aria-label=\"Tickets created per minute\"] .bar[tabindex=\"0\"]').length";
    assert_eq!(
        world.browser.run(stops).await,
        1,
        "one of sixty bars is in the order of the Tab key"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_replace_the_address_and_what_is_opened_is_left_by_going_back() {
    let world = World::open().await;
    world.failing().await;
    world.go("executions").await;
    let length = "return history.length";
    let before = world.browser.run(length).await;
    world.browser.click(".chips button").await;
    world
        .browser
        .until("the filter", "return location.search === '?status=failed'")
        .await;
    world.browser.run("document.querySelector('.sentence a').click()").await;
    world
        .browser
        .until("another filter", "return location.search.includes('from=-1h')")
        .await;
    assert_eq!(world.browser.run(length).await, before);
    world.browser.click("a.name").await;
    path(&world, "executions/ticket-sync/OPS-4312-closed-7").await;
    world.browser.click(".steps .choice button:nth-of-type(2)").await;
    world
        .browser
        .until("another view of it", "return location.search === '?view=events'")
        .await;
    assert_eq!(world.browser.run(length).await, before.as_u64().expect("a number") + 1);
    world.browser.back().await;
    world
        .browser
        .until(
            "the list as it was",
            "return location.search.startsWith('?status=failed')",
        )
        .await;
    world.browser.sees("OPS-4312-closed-7").await;
    // Any time is a filter, too.
    world.go("executions?from=2026-01-01T00:00Z&to=2026-01-02T00:00Z").await;
    world.browser.sees("Nothing matches.").await;
    let fields = "return [...document.querySelectorAll('input[type=datetime-local]')].map((field) => new Date(field.value).toISOString())";
    assert_eq!(
        world.browser.run(fields).await,
        json!(["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_skips_to_the_content_and_the_colours_are_a_choice_that_stays() {
    let world = World::open().await;
    world
        .machine(
            "runs",
            &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": true}}}),
        )
        .await;
    world.start("runs", "one", &json!({})).await;
    world.go("executions").await;
    world.browser.press(&[TAB]).await;
    assert_eq!(
        world.browser.run("return document.activeElement.className").await,
        "skip"
    );
    world.browser.press(&[ENTER]).await;
    assert_eq!(world.browser.run("return document.activeElement.id").await, "main");

    let page = "return getComputedStyle(document.documentElement).backgroundColor";
    let (light, dark) = ("rgb(245, 246, 247)", "rgb(16, 19, 23)");
    assert_eq!(world.browser.run(page).await, light);
    world.browser.look_at(1440, 1000, true).await;
    assert_eq!(world.browser.run(page).await, dark, "as the system is");
    world.browser.click("button[aria-label^=Theme]").await;
    world
        .browser
        .until("light", &format!("return (() => {{ {page} }})() === '{light}'"))
        .await;
    world.go("executions").await;
    assert_eq!(world.browser.run(page).await, light, "it was kept");
    world.browser.click("button[aria-label^=Theme]").await;
    assert_eq!(
        world.browser.run("return document.documentElement.dataset.theme").await,
        "dark"
    );

    let turning = "return getComputedStyle(document.querySelector('.turning')).animationName";
    world.browser.prefer_motion(false).await;
    assert_eq!(world.browser.run(turning).await, "none");
    world.browser.prefer_motion(true).await;
    assert_eq!(world.browser.run(turning).await, "turn");
}
