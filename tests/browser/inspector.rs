//! What a state says of itself: its documents, whom it started, whom it waits for; and what of an execution is saved.

use serde_json::json;

use crate::world::World;

/// Keeps what is copied and what is saved.
const KEPT: &str = "{
    navigator.clipboard.writeText = async (text) => { window.copied = text; };
    const own = URL.createObjectURL;
    URL.createObjectURL = (blob) => { window.saved = blob; return own(blob); };
}";

const SAVED: &str = "return window.saved ? window.saved.text() : null";

#[tokio::test(flavor = "multi_thread")]
async fn executions_that_start_others_lead_to_them_and_back_and_callbacks_tell_the_age_of_their_token() {
    let world = World::open().await;
    world
        .machine(
            "child",
            &json!({"StartAt": "C", "States": {"C": {"Type": "Wait", "Seconds": 900, "End": true}}}),
        )
        .await;
    let arn = "arn:aws:states:us-west-2:000000000000:stateMachine:child";
    let start =
        json!({"StateMachineArn": arn, "Input": {"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": "$$.Execution.Id"}});
    let mut ask = start.clone();
    ask["Input"]["token.$"] = "$$.Task.Token".into();
    let parent = json!({"StartAt": "Start", "States": {
        "Start": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution", "Parameters": start, "ResultPath": "$.started", "Next": "Ask"},
        "Ask": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.waitForTaskToken", "TimeoutSeconds": 7200, "Parameters": ask, "End": true}}});
    world.machine("parent", &parent).await;
    world.start("parent", "one", &json!({})).await;
    world.go("executions/parent/one").await;
    world
        .browser
        .sees("Waiting for a callback. Its token was given out")
        .await;
    world.browser.sees("none yet").await;
    world.browser.sees("it times out in 1 h 59 min").await;
    let sub = "return document.querySelector('button[data-state=Ask] .node-sub')?.innerText";
    assert_eq!(world.browser.run(sub).await, "Waiting for callback");

    world.browser.click("button[data-state=Start]").await;
    world.browser.sees("child / ").await;
    world.browser.click(".inspector .note a").await;
    world
        .browser
        .until(
            "the child",
            "return location.pathname.startsWith('/console/executions/child/')",
        )
        .await;
    world.browser.sees("Waiting until").await;
    world.browser.sees("Started by").await;
    world
        .browser
        .run("[...document.querySelectorAll('.facts a')].find((link) => link.innerText === 'parent / one').click()")
        .await;
    world
        .browser
        .until(
            "its parent",
            "return location.pathname === '/console/executions/parent/one'",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_documents_are_shown_in_part_and_copied_and_saved_whole() {
    let world = World::open().await;
    world.machine("documents", &json!({"StartAt": "S", "States": {"S": {"Type": "Pass", "Assign": {"kept.$": "$.small"}, "Next": "Done"}, "Done": {"Type": "Succeed"}}})).await;
    let text = "0123456789".repeat(10_000);
    world
        .start("documents", "one", &json!({"small": {"a": 1}, "text": text}))
        .await;
    world.until("documents", "one", "succeeded").await;
    world.browser.before_pages(KEPT).await;
    world.go("executions/documents/one?state=S").await;
    world.browser.sees("the first part of").await;
    world.browser.sees("Copy this part").await;
    let shown = world
        .browser
        .run("return document.querySelector('.inspector pre').innerText.length")
        .await;
    assert!(shown.as_u64().is_some_and(|shown| shown <= 64 << 10), "{shown}");
    let whole = |saved: &serde_json::Value| {
        serde_json::from_str::<serde_json::Value>(saved.as_str().expect("a text")).expect("JSON")
    };
    world.browser.run("[...document.querySelectorAll('.inspector button')].find((button) => button.innerText === 'Download').click()").await;
    let saved = whole(&world.browser.until("the download", SAVED).await);
    assert_eq!(saved["text"], text);

    world.browser.click("button[data-state=Done]").await;
    world.browser.sees("$kept").await;
    world.browser.run("window.saved = null; [...document.querySelectorAll('.head-actions button')].find((button) => button.innerText === 'Export JSON').click()").await;
    let saved = whole(&world.browser.until("the export", SAVED).await);
    assert_eq!(
        (&saved["status"], saved["events"].as_array().map(Vec::len)),
        (&json!("SUCCEEDED"), Some(6))
    );
    world.go("executions/documents/one?view=definition").await;
    world.browser.click(".document-head button").await;
    let copied = whole(&world.browser.until("the copy", "return window.copied ?? null").await);
    assert_eq!(copied["StartAt"], "S");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_execution_tells_its_cause_and_with_which_input_it_would_go_on() {
    let world = World::open().await;
    world
        .machine(
            "stopped",
            &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": true}}}),
        )
        .await;
    world.start("stopped", "one", &json!({"key": "K"})).await;
    world.go("executions/stopped/one").await;
    let actions =
        "return [...document.querySelectorAll('.head-actions button')].map((button) => button.innerText.trim())";
    assert_eq!(world.browser.run(actions).await, json!(["Export JSON", "Stop"]));
    world.browser.click(".head-actions button:nth-of-type(2)").await;
    world.browser.click("#cause").await;
    world.browser.press(&["e", "n", "o", "u", "g", "h"]).await;
    world.browser.click("dialog button.primary").await;
    world.browser.sees("The execution was stopped at W").await;
    world.browser.sees("enough").await;
    assert_eq!(
        world.browser.run(actions).await,
        json!(["Export JSON", "Redrive from failure"])
    );
    world.browser.press(&["r"]).await;
    world.browser.sees("Input of W").await;
    world
        .browser
        .run("document.querySelector('dialog summary').click()")
        .await;
    world
        .browser
        .until(
            "the input it begins with",
            "return document.querySelector('dialog pre')?.innerText.includes('\"K\"')",
        )
        .await;
    assert_eq!(world.browser.violations().await, json!([]), "with a dialog open");
}
