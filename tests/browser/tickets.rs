//! The views of tickets: the list, one ticket, and the numbers of many against the API's own.

use serde_json::{Value, json};

use crate::world::{World, delivery};

/// The hour in which the sample ticket was created.
const HOUR: &str = "2026-11-21T08:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_shows_where_its_time_went_and_markup_in_it_is_text() {
    let world = World::open().await;
    let markup = "<img src=x onerror=\"document.title='owned'\"> & <b>more</b>";
    let (status, answer) = world.server.post(&delivery("XSS-1", 666, markup)).await;
    assert_eq!(status, 202, "{answer}");
    world
        .server
        .execution(answer["execution"].as_str().expect("a name"), "SUCCEEDED")
        .await;
    world.go("tickets").await;
    world.browser.sees(markup).await;
    world.browser.click("a.name").await;
    world.browser.sees("Where its time went").await;
    world.browser.sees(markup).await;
    world.browser.sees("so far:").await;
    world
        .browser
        .until("its way", "return document.querySelectorAll('.way .part').length > 0")
        .await;
    let state = "return [document.title === 'owned', document.querySelectorAll('main img, main b').length]";
    assert_eq!(world.browser.run(state).await, json!([false, 0]));
    // From a ticket to its execution, and back by its subject.
    world.browser.click("td.what a").await;
    world.browser.click("a.name").await;
    world.browser.ready().await;
    world.browser.click(".facts a").await;
    world.browser.sees("Where its time went").await;
    world.go("tickets/NONE-1").await;
    world.browser.sees("There is no ticket NONE-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bars_and_histogram_are_the_numbers_of_the_api() {
    let world = World::open().await;
    for number in 0..5_u32 {
        let (status, answer) = world
            .server
            .post(&delivery(&format!("MET-{number}"), 700 + number, "One of some"))
            .await;
        assert_eq!(status, 202, "{answer}");
        world
            .server
            .execution(answer["execution"].as_str().expect("a name"), "SUCCEEDED")
            .await;
    }
    let path = format!("/metrics/tickets-per-minute?hour={HOUR}");
    let answer = world
        .server
        .until("the tickets to be counted", || async {
            let (status, answer) = world.server.get(&path).await;
            (status == 200 && answer["total"] == 5).then_some(answer)
        })
        .await;
    let minutes = answer["minutes"].as_array().expect("minutes");
    let card = "document.querySelector('section[aria-label=\"Tickets created per minute\"]')";
    world.go(&format!("metrics?hour={}", &HOUR.replace(":00Z", "Z"))).await;
    let drawn = world
        .browser
        .run(&format!(
            "return [...{card}.querySelectorAll('.bar')].map((bar) => [...bar.querySelectorAll('.part')].length)"
        ))
        .await;
    let parts = |minute: &Value| {
        minute["counts"]
            .as_object()
            .map_or(0, |counts| counts.values().filter(|count| **count != 0).count())
    };
    assert_eq!(
        drawn,
        json!(minutes.iter().map(parts).collect::<Vec<_>>()),
        "a bar has a part for each priority"
    );
    world
        .browser
        .run(&format!("{card}.querySelector('.chart-foot button').click()"))
        .await;
    let table = format!(
        "return [...{card}.querySelectorAll('tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText))"
    );
    let rows = world
        .browser
        .until(
            "the table",
            &format!("const rows = (() => {{ {table} }})(); return rows.length ? rows : null"),
        )
        .await;
    let priorities: Vec<&str> = ["Highest", "High"]
        .into_iter()
        .filter(|name| answer["totals"].get(name).is_some())
        .collect();
    let expected: Vec<Value> = minutes
        .iter()
        .map(|minute| {
            let counts = priorities.iter().map(|name| minute["counts"][name].to_string());
            json!(
                std::iter::once(minute["minute"].as_str().expect("a time").to_owned())
                    .chain(counts)
                    .chain([minute["count"].to_string()])
                    .collect::<Vec<_>>()
            )
        })
        .collect();
    assert_eq!(rows, json!(expected));

    world
        .browser
        .run(&format!(
            "[...{card}.querySelectorAll('.choice button')].find((button) => button.innerText === 'Histogram').click()"
        ))
        .await;
    world
        .browser
        .until(
            "the address to hold it",
            "return new URLSearchParams(location.search).get('chart') === 'hist'",
        )
        .await;
    world.browser.ready().await;
    let rows = world.browser.run(&table).await;
    for (tickets, row) in rows.as_array().expect("rows").iter().enumerate() {
        for (column, name) in priorities.iter().enumerate() {
            let counted = minutes
                .iter()
                .filter(|minute| minute["provisional"] == false && minute["counts"][name] == tickets)
                .count();
            assert_eq!(row[column + 1], counted.to_string(), "minutes with {tickets} of {name}");
        }
    }
    world.browser.press(&["["]).await;
    world
        .browser
        .until(
            "the hour before",
            "return new URLSearchParams(location.search).get('hour') === '2026-11-21T07:00Z'",
        )
        .await;
}
