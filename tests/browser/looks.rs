//! How every view looks: pictures of each, and no rule of accessibility broken, in light and dark, wide and narrow.

use serde_json::json;

use crate::world::{World, delivery};

/// The widths that are looked at: a desktop, where the columns begin to stand below each other, a phone.
const WIDTHS: [u32; 3] = [1440, 1000, 390];

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_accessible_and_fits_in_light_and_dark() {
    let world = World::open().await;
    world.failing().await;
    world.orders().await;
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
    for number in 0..24_u32 {
        let hours = 1 + number * number % 37;
        let body = json!({
            "summary": format!("Closed after {hours} hours"), "priority": if number % 3 == 0 { "Highest" } else { "High" },
            "created": format!("2026-11-19T{:02}:{:02}:00Z", 8 + number % 2, number), "completed": format!("2026-11-{}T{:02}:30:00Z", 20 + hours / 24, hours % 24),
        });
        let request = world
            .server
            .http
            .post(format!("{}/tickets", world.server.api))
            .json(&body);
        let response = request.send().await.expect("an answer");
        let answer: serde_json::Value = response.json().await.expect("JSON");
        let name = answer["execution"].as_str().unwrap_or_else(|| panic!("{answer}"));
        world.server.execution(name, "SUCCEEDED").await;
    }
    let views = [
        ("executions", "executions"),
        ("execution", "executions/ticket-sync/OPS-4312-closed-7"),
        ("execution-map", "executions/orders/order-broken"),
        ("execution-events", "executions/orders/order-broken?view=events"),
        ("execution-definition", "executions/orders/order-good?view=definition"),
        ("execution-missing", "executions/orders/none"),
        ("tickets", "tickets?state=all"),
        ("ticket", "tickets/LOOK-1"),
        ("metrics", "metrics?hour=2026-11-19T08:00Z"),
        ("metrics-histogram", "metrics?hour=2026-11-19T08:00Z&chart=hist"),
    ];
    for (name, view) in views {
        world.browser.look_at(1440, 1000, false).await;
        world.go(view).await;
        for dark in [false, true] {
            for width in WIDTHS {
                world.browser.picture(name, width, dark).await;
                let wide = world
                    .browser
                    .run("return document.documentElement.scrollWidth - innerWidth")
                    .await;
                assert!(
                    wide.as_i64().is_some_and(|wide| wide <= 0),
                    "{name} overflows by {wide} at {width}"
                );
            }
            world.browser.look_at(1440, 1000, dark).await;
            assert_eq!(world.browser.violations().await, json!([]), "{name}, dark: {dark}");
        }
    }
    let complaints = world.browser.complaints().await;
    let unexpected: Vec<_> = complaints
        .iter()
        .filter(|line| !line.contains("/orders/none"))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}
