//! What a page does with addresses that nobody meant, texts that nobody expected, and browsers that grant less.

use serde_json::{Value, json};

use crate::world::World;

/// A page that came over the network without TLS has neither.
const INSECURE: &str = "delete Crypto.prototype.randomUUID;
    Object.defineProperty(Navigator.prototype, 'clipboard', {get: () => undefined});";

/// A tab that was opened behind the one that is looked at.
const BEHIND: &str = "Object.defineProperty(document, 'hidden', {value: true, configurable: true});";

/// A browser that is told to keep nothing for pages.
const FORGETFUL: &str = "for (const name of ['localStorage', 'sessionStorage'])
    Object.defineProperty(window, name, {get: () => { throw new DOMException('Denied', 'SecurityError'); }});";

const NAMES: &str = "return [...document.querySelectorAll('a.name')].map((name) => name.innerText)";

/// How much wider than the window the page is.
const OVERFLOW: &str = "return document.documentElement.scrollWidth - innerWidth";

async fn one_state(world: &World, name: &str, state: Value) {
    let definition = json!({"StartAt": "Only", "States": {"Only": state}});
    world.machine(name, &definition).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_came_without_tls_redrives_and_says_that_it_cannot_copy() {
    let world = World::open().await;
    world.failing().await;
    world.mend().await;
    world.browser.before_pages(INSECURE).await;
    world.go("executions/ticket-sync/OPS-4312-closed-7?run=1").await;
    world.browser.click(".document button").await;
    world.browser.sees("Select it and copy").await;
    world.browser.click(".head-actions button.primary").await;
    world.browser.click("dialog button.primary").await;
    world.until("ticket-sync", "OPS-4312-closed-7", "succeeded").await;
    // The run that was looked at is not the one that goes on.
    let query = "return location.search === '' && document.querySelectorAll('nav.runs a').length === 3";
    world.browser.until("both runs", query).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_only_reads_is_told_what_it_lacks_and_can_be_replaced() {
    let world = World::open().await;
    world.failing().await;
    let mut command = std::process::Command::new(crate::server::ticketflow());
    command.args(["token", "--scope", "ticketflow/tickets.read", "--data-dir"]);
    let minted = command.arg(world.server.data_dir()).output().expect("ticketflow runs");
    let token = String::from_utf8(minted.stdout).expect("a token is text");
    let page = format!("{}/console/executions/ticket-sync/OPS-4312-closed-7", world.server.api);
    world.browser.go(&format!("{page}#token={}", token.trim())).await;
    world.browser.click(".head-actions button.primary").await;
    world.browser.click("dialog button.primary").await;
    world.browser.sees("it lacks ticketflow/executions.redrive").await;
    world.browser.click("dialog .failure button").await;
    world.browser.sees("A token is needed").await;
    assert_eq!(world.browser.violations().await, json!([]));

    // One that no header can hold is none, and is asked for again; no percent sign breaks the page.
    world.browser.run("sessionStorage.clear()").await;
    for broken in ["%", "%E0%A4%A", "%C3%A9", "expired"] {
        world.browser.visit("about:blank").await;
        world.browser.visit(&format!("{page}#token={broken}")).await;
        world.browser.sees("A token is needed").await;
    }
    // Who says no is not asked again by every change, and can still change their mind.
    world.browser.click("dialog .actions button").await;
    world.browser.sees("Use another token").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_keeps_nothing_shows_all_the_same_and_takes_a_pasted_token() {
    let world = World::open().await;
    world.failing().await;
    world.browser.before_pages(FORGETFUL).await;
    world
        .browser
        .visit(&format!("{}/console/executions", world.server.api))
        .await;
    world.browser.sees("A token is needed").await;
    let token = crate::server::token(&world.server.data_dir()).expect("a token");
    world.browser.run("document.querySelector('#token').focus()").await;
    let pasted = format!("document.execCommand('insertText', false, {})", Value::from(token));
    world.browser.run(&pasted).await;
    world.browser.click("dialog button.primary").await;
    world.browser.sees("OPS-4312-closed-7").await;
    world.browser.click("a.name").await;
    world.browser.sees("UpdateMetrics failed after 3 attempts").await;
    assert_eq!(world.browser.run("return location.hash").await, "");
    world.browser.click("header button[aria-label^=Theme]").await;
    let theme = "return document.documentElement.dataset.theme";
    assert_eq!(world.browser.run(theme).await, "light");
    assert_eq!(world.browser.complaints_of("SecurityError").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_opened_behind_or_paged_loses_no_row() {
    let world = World::open().await;
    one_state(&world, "quick", json!({"Type": "Succeed"})).await;
    one_state(&world, "slow", json!({"Type": "Wait", "Seconds": 600, "End": true})).await;
    world.start("slow", "the-oldest", &json!({})).await;
    let started = |from: usize, to: usize| (from..to).map(|number| format!("run-{number:03}"));
    for name in started(0, 80) {
        world.start("quick", &name, &json!({})).await;
    }
    world.go("executions?machine=quick").await;
    world.browser.click(".more button").await;
    world.browser.until("all", &format!("{NAMES}.length === 80")).await;
    for name in started(80, 87) {
        world.start("quick", &name, &json!({})).await;
    }
    let pushed = "document.querySelector('a.name').innerText === 'run-086'";
    // Nobody points at the list any more, by mouse or by keyboard.
    let gone =
        "document.activeElement.blur(); document.querySelector('.held').dispatchEvent(new MouseEvent('mouseleave'))";
    world.browser.run(gone).await;
    world.browser.until("the newest", &format!("return {pushed}")).await;
    let expected: Vec<_> = started(0, 87).rev().collect();
    assert_eq!(world.browser.run(NAMES).await, json!(expected));

    // One that was loaded later changes like any other.
    world.go("executions").await;
    world.browser.click(".more button").await;
    world.browser.sees("the-oldest").await;
    let arn = "arn:aws:states:us-west-2:000000000000:execution:slow:the-oldest";
    world.states("StopExecution", json!({ "executionArn": arn })).await;
    let row = "return [...document.querySelectorAll('tbody tr')].at(-1).innerText.replace(/\\s+/g, ' ').includes('Aborted the-oldest')";
    world.browser.until("its end", row).await;
    assert_eq!(
        world
            .browser
            .run(&format!("return (() => {{ {NAMES} }})().length"))
            .await,
        88
    );

    world.browser.before_pages(BEHIND).await;
    world.go("executions?machine=quick").await;
    world.browser.sees("run-086").await;
    world.start("quick", "while-away", &json!({})).await;
    world.until("quick", "while-away", "succeeded").await;
    world.browser.hide(false).await;
    world.browser.sees("while-away").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_of_endless_words_is_no_wider_than_its_page() {
    let world = World::open().await;
    let body = json!({"summary": "s".repeat(250), "priority": "P".repeat(60), "created": "2026-11-20T05:10:00Z"});
    let id = world.flat(&body).await;
    let minutes = format!("metrics?hour=2026-11-20T05:00Z&priority={}", "P".repeat(60));
    for width in [1440, 390] {
        world.browser.look_at(width, 1000, false).await;
        for view in [&format!("tickets/{id}"), "tickets", &minutes] {
            world.go(view).await;
            let overflow = world.browser.run(OVERFLOW).await;
            assert!(
                overflow.as_i64().is_some_and(|more| more <= 0),
                "{view} at {width}: {overflow}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_turns_what_stands_beside_it() {
    let world = World::open().await;
    let turn = '\u{202e}';
    let state = json!({"Type": "Fail", "Comment": format!("{turn}comment"), "Error": "E"});
    one_state(&world, "turning", state).await;
    let input = json!({"word": format!("{turn}word\u{2066}")});
    let name = format!("{turn}eman");
    world.start("turning", &name, &input).await;
    world.until("turning", &name, "failed").await;
    let shown = "return [...document.querySelectorAll('pre')].map((one) => one.textContent).join()";
    for (view, texts) in [
        ("", ["\\u202eword", "\\u2066"]),
        ("?view=definition", ["\\u202ecomment", "\\u202eword"]),
    ] {
        world.go(&format!("executions/turning/%E2%80%AEeman{view}")).await;
        let script = format!("return (() => {{ {shown} }})().includes({})", Value::from(texts[0]));
        world.browser.until(texts[0], &script).await;
        let shown = world.browser.run(shown).await;
        let shown = shown.as_str().expect("text");
        assert!(shown.contains(texts[1]) && !shown.contains(turn), "{shown}");
    }
    // A name that is part of a sentence ends where it ends.
    world.go("executions").await;
    world.browser.click("tbody input[type=checkbox]").await;
    world.browser.click(".selection button.primary").await;
    let alone = "return getComputedStyle(document.querySelector('dialog li').firstElementChild).unicodeBidi";
    assert_eq!(world.browser.run(alone).await, "isolate");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_an_address_and_endless_words_leave_a_page_that_can_be_read() {
    let world = World::open().await;
    let turned = "\u{202e}turned \u{5e9}\u{5dc}\u{5d5}\u{5dd}";
    let wide = "W".repeat(80);
    let definition = json!({"StartAt": turned, "States": {
        (turned): {"Type": "Pass", "Next": wide.clone()},
        (wide.clone()): {"Type": "Fail", "Error": "E".repeat(200), "Cause": format!("{turned} {}", "Q".repeat(3_000))}}});
    world.machine("endless", &definition).await;
    let input = json!({"word": "x".repeat(100_000)});
    world.start("endless", &"n".repeat(80), &input).await;
    world.until("endless", &"n".repeat(80), "failed").await;
    let one = format!("executions/endless/{}", "n".repeat(80));
    for width in [1440, 390] {
        world.browser.look_at(width, 1000, false).await;
        for view in [
            "executions".to_owned(),
            one.clone(),
            format!("{one}?view=events&from=garbage&run=99&items=%25,%"),
        ] {
            world.go(&view).await;
            let overflow = world.browser.run(OVERFLOW).await;
            assert!(
                overflow.as_i64().is_some_and(|more| more <= 0),
                "{view} at {width}: {overflow}"
            );
        }
    }
    world.browser.sees("1–5 of 5").await;
    world.go(&format!("{one}?view=garbage&state=nowhere")).await;
    world.browser.sees("The state machine has no state nowhere.").await;
    let shown = "return document.querySelectorAll('table.timeline tbody tr').length";
    assert_eq!(world.browser.run(shown).await, 2, "a view that there is");

    world.go("executions/endless").await;
    let listed = "return location.pathname + location.search === '/console/executions?machine=endless'";
    world.browser.until("the machine's executions", listed).await;
    world.go("metrics?hour=2026-11-20T14:37Z&priority=Blocker").await;
    let shown = "return [document.querySelector('input[type=datetime-local]').value.slice(-2), document.querySelector('select').value]";
    assert_eq!(world.browser.run(shown).await, json!(["00", "Blocker"]));
    world.go("metrics?hour=%2B275760-09-13T00:00Z").await;
    // The hour there is now instead is not over: what is not known yet is outlined.
    let fills =
        "return [...new Set([...document.querySelectorAll('.pending')].map((bar) => getComputedStyle(bar).fill))]";
    assert_eq!(world.browser.run(fills).await, json!(["none"]));
    let failures = "return document.querySelectorAll('.failure').length";
    assert_eq!(world.browser.run(failures).await, 0);
}
