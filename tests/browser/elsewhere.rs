//! The console without an engine behind it, as on AWS: the views of tickets over the public API, looked at again from
//! time to time.

use serde_json::json;

use crate::way::Way;
use crate::world::{World, delivery};

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_seen_without_an_engine_and_their_executions_in_the_consoles_of_aws() {
    let world = World::open().await;
    let (status, answer) = world.server.post(&delivery("ELSE-1", 951, "Seen elsewhere")).await;
    assert_eq!(status, 202, "{answer}");
    let name = answer["execution"].as_str().expect("a name");
    world.server.execution(name, "SUCCEEDED").await;
    let way = Way::without_engine(&world.server.api).await;
    let url = &way.url;

    world.browser.go(&world.address_at(url, "")).await;
    world.browser.sees("Updates every 10 s").await;
    world.browser.sees("ELSE-1").await;
    let views = "return [...document.querySelectorAll('header nav a')].map((view) => view.innerText)";
    assert_eq!(world.browser.run(views).await, json!(["Tickets", "Metrics"]));
    world
        .browser
        .until("the first view", "return location.pathname === '/console/tickets'")
        .await;
    let (status, answer) = world.server.post(&delivery("ELSE-2", 952, "Polled")).await;
    assert_eq!(status, 202, "{answer}");
    world.browser.sees("ELSE-2").await;

    world.browser.go(&world.address_at(url, "tickets/ELSE-1")).await;
    let (_, executions) = world.server.get("/tickets/ELSE-1/executions").await;
    let arn = executions["executions"][0]["arn"].as_str().expect("an ARN");
    assert!(arn.starts_with("arn:aws:states:us-west-2:"), "{arn}");
    let link = world
        .browser
        .until(
            "its execution",
            "const link = document.querySelector('td.what a'); return link && [link.href, link.target, link.rel]",
        )
        .await;
    let encoded = arn.replace(':', "%3A");
    let expected =
        format!("https://console.aws.amazon.com/states/home?region=us-west-2#/v2/executions/details/{encoded}");
    assert_eq!(link, json!([expected, "_blank", "noreferrer"]));
    world
        .browser
        .go(&world.address_at(url, "executions/TicketLifecycle/x"))
        .await;
    world
        .browser
        .until(
            "what there is instead",
            "return location.pathname === '/console/tickets'",
        )
        .await;
    assert_eq!(world.browser.violations().await, json!([]));
}
