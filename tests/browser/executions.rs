//! The list of executions and one execution: seen, followed, redriven, walked by keyboard.

use serde_json::json;

use crate::world::{World, delivery};

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_arrives_live_and_so_does_what_came_while_the_tab_was_hidden() {
    let world = World::open().await;
    world.go("executions").await;
    world.browser.sees("No executions yet.").await;
    world.browser.sees("Live").await;
    let (status, answer) = world.server.post(&delivery("LIVE-1", 501, "First")).await;
    assert_eq!(status, 202, "{answer}");
    let name = answer["execution"].as_str().expect("a name");
    world.browser.sees(name).await;
    world.browser.sees("Succeeded").await;
    assert_eq!(
        world
            .browser
            .run("return document.querySelector('tbody tr td a[href*=tickets]').innerText")
            .await,
        "LIVE-1"
    );

    world.browser.hide(true).await;
    world.browser.sees("Paused").await;
    let (_, answer) = world.server.post(&delivery("LIVE-2", 502, "Second")).await;
    let name = answer["execution"].as_str().expect("a name");
    world.browser.hide(false).await;
    world.browser.sees(name).await;
    assert_eq!(world.browser.complaints_of("Content Security").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_execution_is_followed_redriven_and_seen_to_succeed() {
    let world = World::open().await;
    world.failing().await;
    world.go("executions?status=failed").await;
    world.browser.click("a.name").await;
    world.browser.sees("UpdateMetrics failed after 3 attempts").await;
    world
        .browser
        .sees("Redrive keeps the 3 finished states and runs UpdateMetrics again with the same input.")
        .await;
    world.browser.ready().await;
    let bars = "return document.querySelectorAll('tr.selected .b-failed').length === 3 && document.querySelectorAll('tr.selected .b-waiting').length === 2";
    world
        .browser
        .until("every attempt to be drawn, and the waits between them", bars)
        .await;

    world.mend().await;
    // By keyboard alone: r asks, Enter on the button does it.
    world.browser.press(&["r"]).await;
    world.browser.sees("Runs again").await;
    world.browser.click("dialog button.primary").await;
    world
        .browser
        .until(
            "the new run to succeed",
            "return !!document.querySelector('.title .s-succeeded')",
        )
        .await;
    world.browser.sees("Run 2").await;
    let axes = "return [...document.querySelectorAll('.axis strong')].map((run) => run.innerText)";
    assert_eq!(
        world.browser.run(axes).await,
        json!(["Run 1", "Run 2"]),
        "each run has its own axis"
    );
    world.browser.click(".runs a:nth-of-type(2)").await;
    world
        .browser
        .until(
            "one run alone",
            "return new URLSearchParams(location.search).get('run') === '1'",
        )
        .await;
    assert_eq!(world.browser.run(axes).await, json!(["Run 1"]));
    let bars = "const row = [...document.querySelectorAll('.timeline tbody tr')].find((row) => row.innerText.includes('UpdateMetrics')); \
                return [row.querySelectorAll('.b-failed').length, row.querySelectorAll('.b-succeeded').length]";
    assert_eq!(
        world.browser.run(bars).await,
        json!([3, 0]),
        "the run that succeeded is not in it"
    );
    let execution = world.api("executions/ticket-sync/OPS-4312-closed-7").await;
    assert_eq!(
        (&execution["status"], &execution["redrives"]),
        (&json!("succeeded"), &json!(1))
    );

    world.go("executions?status=failed").await;
    world.browser.sees("Nothing matches.").await;
    world.go("executions?status=succeeded").await;
    world.browser.sees("×1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_are_redriven_at_once_and_a_running_one_is_stopped() {
    let world = World::open().await;
    world.failing().await;
    for number in 0..3 {
        let input = json!({"ticket": number, "priority": "High"});
        world.start("ticket-sync", &format!("more-{number}"), &input).await;
    }
    for number in 0..3 {
        world.until("ticket-sync", &format!("more-{number}"), "failed").await;
    }
    world.mend().await;
    world.go("executions?status=failed").await;
    let boxes = "const boxes = document.querySelectorAll('tbody input[type=checkbox]'); boxes[0].click(); \
                 boxes[boxes.length - 1].dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true, shiftKey: true})); return boxes.length";
    assert_eq!(world.browser.run(boxes).await, 4);
    world.browser.sees("Redrive 4 failed").await;
    world.browser.click(".selection button.primary").await;
    world.browser.click("dialog button.primary").await;
    for name in ["more-0", "more-1", "more-2", "OPS-4312-closed-7"] {
        world.until("ticket-sync", name, "succeeded").await;
    }
    world.browser.sees("Nothing matches.").await;

    let due = json!({"StartAt": "UntilDue", "States": {"UntilDue": {"Type": "Wait", "Seconds": 7200, "End": true}}});
    world.machine("sla-clock", &due).await;
    world.start("sla-clock", "sla-1", &json!({})).await;
    world.go("executions/sla-clock/sla-1").await;
    world.browser.sees("Waiting until").await;
    world.browser.click(".head-actions button:nth-of-type(2)").await;
    world.browser.click("dialog button.primary").await;
    world
        .browser
        .until(
            "it to be aborted",
            "return !!document.querySelector('.title .s-aborted')",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_chosen_by_mouse_and_by_keyboard_and_the_address_holds_it() {
    let world = World::open().await;
    world.orders().await;
    world.go("executions/orders/order-broken").await;
    let chosen = "return new URLSearchParams(location.search).get('state')";
    let inspected = "return document.querySelector('.inspector h2').innerText";
    assert_eq!(
        world.browser.run(inspected).await,
        "Broken",
        "it opens on the state that failed"
    );
    world.browser.click("button[data-state=Pack]").await;
    assert_eq!(world.browser.run(chosen).await, "Pack");
    let row = "return document.querySelector('tr.selected button').innerText === 'Pack'";
    world.browser.until("the time line to follow", row).await;
    world
        .browser
        .until(
            "its input to be shown",
            "return document.querySelector('.inspector pre')?.innerText.includes('\"item\": 2')",
        )
        .await;

    world
        .browser
        .run("document.querySelector('button[data-state=Pack]').focus()")
        .await;
    world.browser.press(&["\u{e015}"]).await;
    assert_eq!(world.browser.run(chosen).await, "Fragile?", "the arrows walk the graph");
    world.browser.press(&["k"]).await;
    assert_eq!(world.browser.run(chosen).await, "Pack", "j and k walk the steps");
    world
        .browser
        .click(".items button:last-of-type, .items button[aria-label='Item before']")
        .await;
    world
        .browser
        .until(
            "another item to be shown",
            "return new URLSearchParams(location.search).get('items') === 'ShipItems:1'",
        )
        .await;
    world
        .browser
        .until(
            "its way",
            "return document.querySelector('button[data-state=Broken]').classList.contains('s-not_reached')",
        )
        .await;

    // What failed, and what a redrive does, is not a matter of what one looks at; the name leads there.
    let plan = "Redrive keeps the finished state and runs Broken, Label again";
    world.browser.sees("Broken failed after 1 attempt").await;
    world.browser.sees(plan).await;

    // A link shows what I see.
    let link = world.browser.run("return location.pathname + location.search").await;
    world
        .browser
        .go(&format!("{}{}", world.server.api, link.as_str().expect("an address")))
        .await;
    assert_eq!(world.browser.run(inspected).await, "Pack");
    world
        .browser
        .until(
            "the same item",
            "return document.querySelector('.items input').value === '1'",
        )
        .await;
    world.browser.click(".alert a").await;
    world
        .browser
        .until(
            "the item that failed",
            "return document.querySelector('.items input').value === '2'",
        )
        .await;
    assert_eq!(world.browser.run(inspected).await, "Broken");
    world.browser.sees("The package broke on its way").await;
    world.browser.press(&["?"]).await;
    world.browser.sees("Redrive from failure").await;
    world.browser.press(&["\u{e00c}"]).await;
    let closed = "return !document.querySelector('dialog[open]')";
    world.browser.until("the list of keys to close", closed).await;
    world.browser.press(&["g", "e"]).await;
    world
        .browser
        .until("the list", "return location.pathname.endsWith('/console/executions')")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_no_longer_be_redriven_says_why_beside_a_button_that_does_nothing() {
    let world = World::open_with(&["--time-skip"]).await;
    world.failing().await;
    let weeks = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 15 * 24 * 3_600, "End": true}}});
    world.machine("weeks", &weeks).await;
    world.start("weeks", "one", &json!({})).await;
    world.until("weeks", "one", "succeeded").await;
    let execution = world.api("executions/ticket-sync/OPS-4312-closed-7").await;
    let reason = execution["redrive"]["refused"].as_str().expect("a reason");
    world.go("executions/ticket-sync/OPS-4312-closed-7").await;
    world.browser.sees(reason).await;
    let button = "return document.querySelector('.head-actions button.primary').disabled";
    assert_eq!(world.browser.run(button).await, true);
    world.browser.press(&["r", "?"]).await;
    world.browser.sees("Go to metrics").await;
    assert_eq!(
        world
            .browser
            .run("return document.querySelectorAll('dialog').length")
            .await,
        1,
        "the keys alone"
    );
    // The present is the server's.
    world.go("executions?q=OPS-4312").await;
    let started = "return document.querySelector('tbody time').innerText";
    let started = world.browser.run(started).await;
    let at = execution["started"]
        .as_i64()
        .and_then(chrono::DateTime::from_timestamp_millis);
    let day = at.expect("a time").format("%-d %b").to_string();
    assert_eq!(started, day, "more than a week ago");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_has_a_word_and_a_shape_of_its_own() {
    let world = World::open().await;
    let failing = |more: serde_json::Value| {
        let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sfn:describeStateMachine",
            "Parameters": {"StateMachineArn": "arn:aws:states:us-west-2:000000000000:stateMachine:none"}, "End": true});
        for (name, value) in more.as_object().expect("fields") {
            state[name] = value.clone();
        }
        state
    };
    let later = json!([{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 900, "MaxAttempts": 1}]);
    let caught = json!([{"ErrorEquals": ["States.ALL"], "Next": "Mend"}]);
    let wait = json!({"Type": "Wait", "Seconds": 900, "End": true});
    let machines = [
        (
            "retrying",
            json!({"StartAt": "S", "States": {"S": failing(json!({ "Retry": later }))}}),
        ),
        (
            "caught",
            json!({"StartAt": "S", "States": {"S": failing(json!({ "Catch": caught })), "Mend": {"Type": "Succeed"}}}),
        ),
        (
            "timed_out",
            json!({"TimeoutSeconds": 1, "StartAt": "S", "States": {"S": wait}}),
        ),
        ("running", json!({"StartAt": "S", "States": {"S": wait}})),
        ("failed", json!({"StartAt": "S", "States": {"S": failing(json!({}))}})),
    ];
    for (name, definition) in &machines {
        world.machine(name, definition).await;
        world.start(name, "one", &json!({})).await;
        world
            .until(name, "one", if *name == "caught" { "succeeded" } else { name })
            .await;
    }
    world.go("executions").await;
    let rows = "return [...document.querySelectorAll('tbody tr')].map((row) => row.querySelector('.status')).map((status) => [status.innerText.replace(/\\u00a0/g, ' ').trim(), status.querySelector('svg').innerHTML])";
    let rows = world.browser.run(rows).await;
    let (mut words, mut shapes) = (Vec::new(), std::collections::BTreeSet::new());
    for row in rows.as_array().expect("rows") {
        words.push(row[0].as_str().expect("a word"));
        shapes.insert(row[1].as_str().expect("a shape"));
    }
    assert_eq!((words.len(), shapes.len()), (5, 5), "{rows}");
    assert!(
        words.iter().any(|word| word.starts_with("Retrying in 14 min")),
        "{words:?}"
    );
    for word in ["Failed", "Running", "Timed out", "Succeeded"] {
        assert!(words.contains(&word), "{word}: {words:?}");
    }
    world.browser.sees("1 retrying now").await;
    world.go("executions?status=retrying").await;
    assert_eq!(
        world
            .browser
            .run("return document.querySelectorAll('tbody tr').length")
            .await,
        1
    );
    world.go("executions/caught/one").await;
    let drawn = "return [document.querySelectorAll('.edge.caught').length, document.querySelector('button[data-state=S]').classList.contains('s-caught')]";
    assert_eq!(world.browser.run(drawn).await, json!([1, true]));
    world.browser.sees("Caught error").await;
}
