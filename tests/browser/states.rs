//! The states that every view has: loading, empty, failed in part; each accessible, in light and dark.

use serde_json::json;

use crate::world::{World, delivery};

/// Requests that match `held` wait until `release()`; those that match `broken` fail.
const NETWORK: &str = "{
    window.held = sessionStorage.getItem('held'); window.broken = sessionStorage.getItem('broken');
    const waiting = []; const own = window.fetch;
    window.release = () => { window.held = null; for (const go of waiting.splice(0)) go(); };
    window.fetch = async (url, options) => {
        const path = String(url).replace(location.origin, '');
        if (window.held && new RegExp(window.held).test(path)) await new Promise((go) => waiting.push(go));
        if (window.broken && new RegExp(window.broken).test(path))
            return new Response(JSON.stringify({message: 'The disk is full.', detail: 'The disk is full.'}), {status: 500});
        return own(url, options);
    };
}";

/// Blocks in the place of what is coming.
const BLOCKS: &str = "return document.querySelectorAll('.skeleton .block:not(.unseen)').length > 0";

async fn world() -> World {
    let world = World::open().await;
    world.failing().await;
    let (status, answer) = world
        .server
        .post(&delivery("STATE-1", 971, "Seen in every state"))
        .await;
    assert_eq!(status, 202, "{answer}");
    let name = answer["execution"].as_str().expect("a name");
    world.server.execution(name, "SUCCEEDED").await;
    world.browser.before_pages(NETWORK).await;
    world
}

/// From the next page on.
async fn set(world: &World, name: &str, paths: &str) {
    world.browser.visit(&format!("{}/health", world.server.api)).await;
    world
        .browser
        .run(&format!("sessionStorage.setItem('{name}', '{paths}')"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_loading_is_shown_in_its_place_and_what_was_shown_stays() {
    let world = world().await;
    for (view, held, loaded) in [
        ("executions", "api/executions", "OPS-4312-closed-7"),
        (
            "executions/ticket-sync/OPS-4312-closed-7",
            "api/executions",
            "UpdateMetrics failed after 3 attempts",
        ),
        ("tickets", "/tickets", "Seen in every state"),
        ("tickets/STATE-1", "/tickets/", "Where its time went"),
        ("metrics", "/metrics/|/tickets", "open"),
    ] {
        set(&world, "held", held).await;
        for dark in [false, true] {
            world.browser.look_at(1440, 1000, dark).await;
            world.browser.visit(&world.address(view)).await;
            world
                .browser
                .until(&format!("{view} to say that it loads"), BLOCKS)
                .await;
            assert_eq!(world.browser.violations().await, json!([]), "{view}, dark: {dark}");
        }
        world.browser.run("window.release()").await;
        world.browser.sees(loaded).await;
        world
            .browser
            .until("no block to be left", "return !document.querySelector('.skeleton')")
            .await;
        // While the same is asked for again, what is known stays.
        world.browser.run(&format!("window.held = '{held}'")).await;
        let (_, answer) = world
            .server
            .post(&delivery("STATE-1", 971, &format!("Seen in every state, {view}")))
            .await;
        assert!(answer["execution"].is_string(), "{answer}");
        world.browser.sees(loaded).await;
        assert_eq!(
            world
                .browser
                .run("return document.querySelectorAll('.skeleton').length")
                .await,
            0
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_says_so_in_its_card_and_can_be_asked_for_again() {
    let world = world().await;
    for (view, broken, still) in [
        ("executions", "api/executions", "failed in the last hour"),
        (
            "executions/ticket-sync/OPS-4312-closed-7",
            "/graph",
            "UpdateMetrics failed after 3 attempts",
        ),
        (
            "executions/ticket-sync/OPS-4312-closed-7?view=events",
            "/events",
            "UpdateMetrics failed after 3 attempts",
        ),
        (
            "executions/ticket-sync/OPS-4312-closed-7",
            "/state\\?",
            "UpdateMetrics failed after 3 attempts",
        ),
        ("tickets", "/tickets", "1 open"),
        ("tickets/STATE-1", "/history", "Seen in every state"),
        ("metrics", "tickets-per-minute", "Ageing of open tickets"),
        ("metrics", "durations", "Tickets created per minute"),
        ("metrics", "aging", "Tickets created per minute"),
    ] {
        set(&world, "broken", &broken.replace('\\', "\\\\")).await;
        for dark in [false, true] {
            world.browser.look_at(1440, 1000, dark).await;
            world.browser.visit(&world.address(view)).await;
            world.browser.sees("The disk is full.").await;
            world.browser.sees(still).await;
            assert_eq!(world.browser.violations().await, json!([]), "{view}, dark: {dark}");
        }
        world
            .browser
            .run("window.broken = null; sessionStorage.removeItem('broken')")
            .await;
        for _ in 0..3 {
            world
                .browser
                .run("document.querySelector('.failure button')?.click()")
                .await;
            let gone =
                "return !document.querySelector('.failure button') || document.querySelectorAll('.failure').length";
            world.browser.until("an answer", gone).await;
        }
        world
            .browser
            .until(
                &format!("{view} without {broken} to be mended"),
                "return !document.body.innerText.includes('The disk is full.')",
            )
            .await;
    }
    let missing = [
        ("executions/ticket-sync/none", "There is no execution none"),
        ("tickets/NONE-1", "There is no ticket NONE-1"),
    ];
    for (view, told) in missing {
        world.go(view).await;
        world.browser.sees(told).await;
        assert_eq!(
            world
                .browser
                .run("return document.querySelectorAll('.failure button').length")
                .await,
            0
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_empty_says_why_and_what_to_do() {
    let world = World::open().await;
    for dark in [false, true] {
        world.browser.look_at(1440, 1000, dark).await;
        for (view, told, command) in [
            ("executions", "No executions yet.", "aws stepfunctions start-execution"),
            ("tickets", "No open tickets.", "ticketflow create-tickets"),
        ] {
            world.go(view).await;
            world.browser.sees(told).await;
            let shown = world
                .browser
                .run("return document.querySelector('.command pre').innerText")
                .await;
            assert!(
                shown.as_str().is_some_and(|shown| shown.starts_with(command)),
                "{shown}"
            );
            assert_eq!(world.browser.violations().await, json!([]), "{view}, dark: {dark}");
        }
        world.go("metrics").await;
        world.browser.sees("n = 0, too few").await;
        world.browser.sees("No ticket is open.").await;
        assert_eq!(world.browser.violations().await, json!([]), "metrics, dark: {dark}");
    }
    for view in ["executions?status=failed&q=none", "tickets?priority=Highest&q=none"] {
        world.go(view).await;
        world.browser.sees("Nothing matches.").await;
        let before = world.browser.run("return history.length").await;
        world.browser.click(".empty a").await;
        world.browser.until("no filter", "return location.search === ''").await;
        assert_eq!(
            world.browser.run("return history.length").await,
            before,
            "a filter replaces the address"
        );
    }
}
