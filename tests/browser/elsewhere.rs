//! The console without an engine behind it, as on AWS: the views of tickets over the public API, looked at again from
//! time to time.

use serde_json::json;

use crate::way::Way;
use crate::world::{World, delivery};

/// A template without an API, and so without views of its own.
const ENGINE_ALONE: &str = "AWSTemplateFormatVersion: '2010-09-09'\nTransform: AWS::Serverless-2016-10-31\nResources:
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties: {Name: alone, Definition: {StartAt: S, States: {S: {Type: Succeed}}}}
";

/// Opens addresses at which there is nothing.
async fn nowhere(world: &World, url: &str, addresses: &[&str]) {
    for address in addresses {
        world.browser.visit(&world.address_at(url, address)).await;
        world.browser.sees("Not found").await;
        world.browser.sees(&format!("Nothing is at {address}.")).await;
    }
    assert_eq!(world.browser.violations().await, json!([]));
    // The status is what it is, and only a browser is shown a page.
    for (accept, media_type) in [
        ("text/html,application/xhtml+xml;q=0.9", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
    ] {
        let request = world.server.http.get(format!("{url}/console/nonsense"));
        let answer = request.header("accept", accept).send().await.expect("an answer");
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["content-type"], media_type);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_nothing_at_it_is_named_by_a_page_in_every_home() {
    let world = World::open().await;
    let addresses = ["nonsense", "nonsense/below", "metrics/below", "executions/a/b/c"];
    nowhere(&world, &world.server.api, &addresses).await;
    let way = Way::without_engine(&world.server.api).await;
    nowhere(&world, &way.url, &["nonsense", "metrics/below"]).await;

    let directory = tempfile::tempdir().expect("a directory");
    let template = directory.path().join("template.yaml");
    std::fs::write(&template, ENGINE_ALONE).expect("a file");
    let alone = World::open_with(&["--template", &template.to_string_lossy()]).await;
    nowhere(&alone, &alone.server.api, &["nonsense", "tickets"]).await;
    for there in ["", "executions", "executions/"] {
        let answer = alone.server.http.get(format!("{}/console/{there}", alone.server.api));
        assert_eq!(answer.send().await.expect("an answer").status(), 200, "{there}");
    }
}

/// Notes every heading that a page ever has.
const HEADINGS: &str = "window.headings = new Set();
    new MutationObserver(() => document.querySelectorAll('h1').forEach((one) => window.headings.add(one.textContent)))
      .observe(document, { subtree: true, childList: true, characterData: true })";

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_stands_for_another_leads_there_without_a_page_of_its_own() {
    let world = World::open().await;
    let way = Way::without_engine(&world.server.api).await;
    world.browser.before_pages(HEADINGS).await;
    for (url, address, to, heading) in [
        (&world.server.api, "", "executions", "Executions"),
        (
            &world.server.api,
            "executions/TicketLifecycle",
            "executions",
            "Executions",
        ),
        (&way.url, "", "tickets", "Tickets"),
        (&way.url, "executions", "tickets", "Tickets"),
    ] {
        world.browser.visit(&world.address_at(url, address)).await;
        let there = format!("return location.pathname === '/console/{to}'");
        world.browser.until("the way there", &there).await;
        world.browser.ready().await;
        let headings = world.browser.run("return [...window.headings]").await;
        assert_eq!(headings, json!([heading]), "{address}");
    }
}

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
    let last = "return [...document.querySelectorAll('td.last a')].map((link) => link.pathname)";
    let last = world.browser.run(last).await;
    let way_on = json!(format!("/console/tickets/ELSE-1/{name}"));
    assert!(last.as_array().is_some_and(|links| links.contains(&way_on)), "{last}");

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
