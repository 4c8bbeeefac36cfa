//! What a first picture costs: a page holds no more than it shows, however much there is to see.
//!
//! Nothing is timed here, for a test machine's seconds say little: what is bounded is what takes the time, the nodes of
//! the page, its requests and their bytes.

use serde_json::{Map, Value, json};

use crate::world::World;

/// Elements of a page that shows a graph and a hundred lines.
const MOST_NODES: u64 = 4_000;
/// Requests for data of a page that is opened.
const MOST_REQUESTS: u64 = 5;
/// Their answers together.
const MOST_BYTES: u64 = 400_000;

/// Elements of the page, requests for data, and what they brought.
const COSTS: &str = "const asked = performance.getEntriesByType('resource').filter(({name}) => name.includes('/console/api/') && !name.includes('/stream'));
    return [document.querySelectorAll('*').length, asked.length, asked.reduce((sum, {decodedBodySize}) => sum + decodedBodySize, 0)]";

async fn assert_cheap(world: &World, view: &str) {
    world.go(view).await;
    let costs = world.browser.run(COSTS).await;
    let cost = |at: usize| costs[at].as_u64().expect("a number");
    assert!(cost(0) <= MOST_NODES, "{view}: {} elements", cost(0));
    assert!((1..=MOST_REQUESTS).contains(&cost(1)), "{view}: {} requests", cost(1));
    assert!((1..=MOST_BYTES).contains(&cost(2)), "{view}: {} bytes", cost(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_holds_no_more_than_it_shows_however_long_the_history() {
    let world = World::open().await;
    let count = json!({"StartAt": "Init", "States": {
        "Init": {"Type": "Pass", "Result": {"n": 0}, "Next": "Count"},
        "Count": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "More?"},
        "More?": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericLessThan": 6200, "Next": "Count"}], "Default": "End"},
        "End": {"Type": "Succeed"}}});
    world.machine("long", &count).await;
    world.start("long", "one", &json!({})).await;
    world.until("long", "one", "succeeded").await;
    for view in ["executions/long/one", "executions/long/one?view=events"] {
        assert_cheap(&world, view).await;
    }
    let rows = "return document.querySelectorAll('.events tbody tr').length";
    world
        .browser
        .until("the page of events", &format!("{rows} === 100"))
        .await;
    world.go("executions/long/one?view=events&from=24700").await;
    world.browser.sees("of 24\u{202f}806").await;
    assert_eq!(world.browser.run(rows).await, 100);
    world
        .browser
        .run("[...document.querySelectorAll('.pages button')].at(-1).click()")
        .await;
    world.browser.until("the last page", &format!("{rows} === 6")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_states_open_folded_and_each_can_be_reached() {
    let world = World::open().await;
    let states: Map<String, Value> = (0..300)
        .map(|number| {
            let next = match number {
                299 => json!({"Type": "Succeed"}),
                _ => json!({"Type": "Pass", "Next": format!("S{}", number + 1)}),
            };
            (format!("S{number}"), next)
        })
        .collect();
    world
        .machine("large", &json!({"StartAt": "S0", "States": states}))
        .await;
    world.start("large", "one", &json!({})).await;
    world.until("large", "one", "succeeded").await;
    assert_cheap(&world, "executions/large/one").await;
    let seen = |name: &str| format!("return !!document.querySelector('button[data-state={name}]')");
    for (name, is_seen) in [("S0", true), ("S150", false), ("S299", true)] {
        assert_eq!(world.browser.run(&seen(name)).await, is_seen, "{name}");
    }
    world.browser.sees("270 states folded").await;
    let nodes = "return document.querySelectorAll('.graph .node').length";
    assert_eq!(world.browser.run(nodes).await, 31, "30 states, and the others as one");

    // A click on the fold shows where it begins, a line of the time line what it stands for, an address any state.
    world.browser.click("button.folded").await;
    world.browser.until("what was folded first", &seen("S6")).await;
    let focused = "return document.activeElement.dataset.state === 'S6'";
    world.browser.until("the focus to be on it", focused).await;
    world
        .browser
        .run("[...document.querySelectorAll('.steps .pages button')][0].click()")
        .await;
    world.browser.sees("201–250 of 300 states").await;
    world.browser.run("[...document.querySelectorAll('.timeline button.text')].find((button) => button.innerText === 'S220').click()").await;
    world.browser.until("a state that was folded", &seen("S220")).await;
    world.browser.sees("201–250 of 300 states").await;
    assert_cheap(&world, "executions/large/one?state=S150").await;
    assert_eq!(world.browser.run(&seen("S150")).await, true);
    // Whoever wants to see it as a whole does.
    world.browser.click(".legend button").await;
    world.browser.until("all of them", &format!("{nodes} === 300")).await;
    world.browser.sees("Fold again").await;
    let in_view = "const [box, node] = ['.graph', 'button[data-state=S150]'].map((name) => document.querySelector(name).getBoundingClientRect());
        return box.top <= node.top && node.bottom <= box.bottom";
    world
        .browser
        .until("the state that is looked at to be in view", in_view)
        .await;
    assert_eq!(world.browser.violations().await, json!([]));
    world.browser.click(".legend button").await;
    world
        .browser
        .until("most to be folded again", &format!("{nodes} < 100"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_a_page_until_somebody_asks_for_more() {
    let world = World::open().await;
    world
        .machine("short", &json!({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}))
        .await;
    for number in 0..120 {
        world.start("short", &format!("run-{number}"), &json!({})).await;
    }
    world.until("short", "run-119", "succeeded").await;
    assert_cheap(&world, "executions").await;
    let rows = "return document.querySelectorAll('tbody tr').length";
    assert_eq!(world.browser.run(rows).await, 50);
    for (more, last) in [(100, "run-20"), (120, "run-0")] {
        world.browser.click(".more button").await;
        world
            .browser
            .until(
                "older ones",
                &format!("return document.querySelectorAll('tbody tr').length === {more}"),
            )
            .await;
        let shown = "return [...document.querySelectorAll('tbody a.name')].at(-1).innerText";
        assert_eq!(world.browser.run(shown).await, last);
    }
    assert_eq!(
        world
            .browser
            .run("return document.querySelectorAll('.more').length")
            .await,
        0
    );
}
