//! How every view looks: pictures of each, and no rule of accessibility broken, in light and dark, wide and narrow.

use serde_json::json;

use crate::world::World;

/// The widths that are looked at: a desktop, where the columns begin to stand below each other, a phone.
const WIDTHS: [u32; 3] = [1440, 1000, 390];

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_accessible_and_fits_in_light_and_dark() {
    let world = World::open().await;
    world.failing().await;
    world.orders().await;
    let views = [
        ("executions", "executions"),
        ("execution", "executions/ticket-sync/OPS-4312-closed-7"),
        ("execution-map", "executions/orders/order-broken"),
        ("execution-events", "executions/orders/order-broken?view=events"),
        ("execution-definition", "executions/orders/order-good?view=definition"),
        ("execution-missing", "executions/orders/none"),
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
