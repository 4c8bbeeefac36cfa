//! Lists beyond their first page: they stay up to date, and whatever is in them can be done to all of it.

use serde_json::{Value, json};

use crate::looks::moved;
use crate::world::{World, delivery};

/// A page of a list.
const PAGE: u32 = 50;

const NAMES: &str = "[...document.querySelectorAll('tbody a.name')].map((name) => name.innerText)";

const ENTER: &str = "\u{e007}";

/// Keeps what a dialog says of how far it is, and lets the second request of many fail once.
const WATCHED: &str = "{
    window.said = new Set();
    const look = () => { const told = document.querySelector('dialog p[role=status]'); if (told) window.said.add(told.innerText); };
    addEventListener('DOMContentLoaded', () => new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true}));
    let parts = 0; const own = window.fetch;
    window.fetch = (url, options) => String(url).endsWith('api/redrive') && (parts += 1) === 2
        ? Promise.resolve(new Response(JSON.stringify({message: 'The disk is full.'}), {status: 500})) : own(url, options);
}";

/// Keeps what a field waits for while somebody types, instead of waiting.
const TYPING: &str = "{
    window.typed = new Map(); let last = 1e9;
    const [set, clear] = [window.setTimeout, window.clearTimeout];
    window.setTimeout = (then, ms, ...rest) => ms === 250 ? (window.typed.set(last += 1, then), last) : set(then, ms, ...rest);
    window.clearTimeout = (timer) => window.typed.delete(timer) || clear(timer);
}";

async fn posted(world: &World, number: u32) -> String {
    let key = format!("PAGE-{number}");
    let (status, answer) = world.server.post(&delivery(&key, 3_000 + number, "One of many")).await;
    assert_eq!(status, 202, "{answer}");
    answer["execution"].as_str().expect("a name").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_after_the_first_page_change_and_arrive_like_those_on_it() {
    let world = World::open().await;
    let mut names = Vec::new();
    for number in 0..PAGE + 5 {
        names.push(posted(&world, number).await);
    }
    for name in &names {
        world.server.execution(name, "SUCCEEDED").await;
    }
    world.go("tickets").await;
    world.browser.click(".more button").await;
    let all = format!("return {NAMES}.length === {}", PAGE + 5);
    world.browser.until("all of them", &all).await;
    let last = world.browser.run(&format!("return {NAMES}.at(-1)")).await;
    let last = last.as_str().expect("a key");
    let number: u32 = last.trim_start_matches("PAGE-").parse().expect("a number");

    let status =
        |id: &str, name: &str, category: &str| json!({"id": id, "name": name, "statusCategory": {"key": category}});
    let (new, work) = (
        status("10000", "To Do", "new"),
        status("3", "In Progress", "indeterminate"),
    );
    moved(&world, (last, 3_000 + number), 60_001, &new, &work, "09:40").await;
    let row = format!(
        "return [...document.querySelectorAll('tbody tr')].find((row) => row.querySelector('a.name').innerText === '{last}').innerText.includes('In Progress')"
    );
    world.browser.until("what happened to the last one", &row).await;

    let (status, answer) = world.server.post(&later("PAGE-LATER", 3_900)).await;
    assert_eq!(status, 202, "{answer}");
    let arrived = format!(
        "return {NAMES}.at(-1) === 'PAGE-LATER' && {NAMES}.length === {}",
        PAGE + 6
    );
    world.browser.until("one more at the end", &arrived).await;
    // Nobody is shown twice.
    let twice = format!("return new Set({NAMES}).size === {NAMES}.length");
    assert_eq!(world.browser.run(&twice).await, true);
}

/// A delivery of a ticket that was created after all others.
fn later(key: &str, id: u32) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(&delivery(key, id, "The newest")).expect("JSON");
    body["issue"]["fields"]["created"] = "2026-11-21T08:30:00.000+0000".into();
    body.to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_request_takes_are_redriven_part_by_part_and_go_on_after_an_error() {
    let world = World::open().await;
    let definition = json!({"StartAt": "Try", "States": {"Try": {"Type": "Fail", "Error": "Store.Throttled"}}});
    world.machine("flaky", &definition).await;
    let names: Vec<String> = (0..120).map(|number| format!("run-{number:03}")).collect();
    for name in &names {
        world.start("flaky", name, &json!({})).await;
    }
    world.until("flaky", "run-119", "failed").await;
    world.browser.before_pages(WATCHED).await;
    world.go("executions?status=failed").await;
    for shown in [100, 120] {
        world.browser.click(".more button").await;
        world
            .browser
            .until("older ones", &format!("return {NAMES}.length === {shown}"))
            .await;
    }
    // A box that is ticked is no field: the keys go on from its row, and redrive.
    world.browser.run("document.querySelector('thead input').focus()").await;
    world.browser.press(&[" "]).await;
    world.browser.sees("Redrive 120 failed").await;
    world
        .browser
        .run("document.querySelectorAll('tbody input')[3].focus()")
        .await;
    world.browser.press(&["j"]).await;
    assert_eq!(
        world.browser.run("return document.activeElement.innerText").await,
        "run-115"
    );
    world.browser.run("document.querySelector('thead input').focus()").await;
    world.browser.press(&["r"]).await;
    world.browser.sees("and 112 more").await;
    assert_eq!(world.browser.violations().await, json!([]));
    world.browser.click("dialog button.primary").await;
    world.browser.sees("The rest was not redriven").await;
    world.browser.sees("50 of 120 done.").await;
    world.browser.sees("Redrive 120 executions").await;
    world.browser.click("dialog button.primary").await;
    world
        .browser
        .until("all of them", "return !document.querySelector('dialog')")
        .await;
    let said = world.browser.run("return [...window.said]").await;
    for told in ["50 of 120 done.", "100 of 120 done."] {
        assert!(
            said.as_array().is_some_and(|said| said.contains(&json!(told))),
            "{said}"
        );
    }
    for name in &names {
        let execution = world.api(&format!("executions/flaky/{name}")).await;
        assert_eq!(execution["redrives"], 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_execution_is_a_link_that_any_tab_can_open() {
    let world = World::open().await;
    let name = posted(&world, 1).await;
    world.server.execution(&name, "SUCCEEDED").await;
    world.go("tickets").await;
    let link = world
        .browser
        .run("return document.querySelector('td.last a').pathname")
        .await;
    let link = link
        .as_str()
        .and_then(|link| link.strip_prefix("/console/"))
        .expect("a link");
    let arrived = format!("return location.pathname === '/console/executions/TicketLifecycle/{name}'");
    world.browser.visit(&world.address(link)).await;
    world.browser.until("the execution", &arrived).await;
    world.browser.sees("StoreTicket").await;
    // Who goes back comes to where they were, not to the way between.
    world.go("tickets").await;
    world.browser.click("td.last a").await;
    world.browser.until("the execution", &arrived).await;
    world.browser.back().await;
    world
        .browser
        .until("the list", "return location.pathname === '/console/tickets'")
        .await;
    world.go("tickets/PAGE-1/nothing-of-the-kind").await;
    world.browser.sees("There is no execution nothing-of-the-kind").await;
    assert_eq!(world.browser.violations().await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_back_to_a_list_is_where_they_were_in_it() {
    let world = World::open().await;
    world
        .machine("quick", &json!({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}))
        .await;
    for number in 0..45 {
        world.start("quick", &format!("run-{number}"), &json!({})).await;
    }
    world.go("executions").await;
    world.browser.sees("run-0").await;
    world
        .browser
        .run("scrollTo(0, 600); document.querySelectorAll('a.name')[30].click()")
        .await;
    world.browser.sees("Definition").await;
    assert_eq!(world.browser.run("return scrollY").await, 0);
    world.browser.back().await;
    world
        .browser
        .until("the place in the list", "return scrollY === 600")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_last_is_no_filter_of_the_view_that_is_opened_next() {
    let world = World::open().await;
    world.browser.before_pages(TYPING).await;
    for list in ["executions", "tickets"] {
        world.go(list).await;
        let typed = "const field = document.querySelector('#filter'); field.value = 'half a wo';
            field.dispatchEvent(new Event('input', {bubbles: true})); return window.typed.size";
        assert_eq!(world.browser.run(typed).await, 1, "{list} waits for more");
        world
            .browser
            .run("document.querySelector('header nav a[href*=metrics]').click()")
            .await;
        world.browser.sees("Ageing of open tickets").await;
        world
            .browser
            .run("for (const then of window.typed.values()) then()")
            .await;
        let at = world.browser.run("return location.pathname + location.search").await;
        assert_eq!(at, "/console/metrics", "{list}");
    }
}

/// `window.way` is how a redrive goes: not answered, held until `goOn`, or refused for each.
const WAYS: &str = "const real = window.fetch;
    window.sent = 0;
    window.fetch = async (url, options) => {
      if (!String(url).endsWith('api/redrive')) return real(url, options);
      window.sent += 1;
      const { executions } = JSON.parse(options.body);
      if (window.way === 'down') throw new TypeError('nobody answers');
      if (window.way === 'held') await new Promise((done) => { window.goOn = done; });
      if (window.way === 'held') return real(url, options);
      const refused = executions.map((one) => ({ ...one, message: 'It is not what it was.' }));
      return new Response(JSON.stringify({ redriven: 0, refused }), { status: 200 });
    };";

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_of_many_says_what_is_known_when_it_is_not_answered_stopped_or_refused() {
    let world = World::open().await;
    let definition = json!({"StartAt": "Try", "States": {"Try": {"Type": "Fail", "Error": "Store.Throttled"}}});
    world.machine("flaky", &definition).await;
    for number in 0..70 {
        world.start("flaky", &format!("run-{number}"), &json!({})).await;
    }
    world.until("flaky", "run-69", "failed").await;
    world.browser.before_pages(WAYS).await;
    world.go("executions?status=failed").await;
    world.browser.click(".more button").await;
    let all = format!("return {NAMES}.length === 70");
    world.browser.until("all of them", &all).await;
    let choose =
        "document.querySelector('thead input').click(); document.querySelector('tbody tr:last-child a').focus()";
    let gone = "return !document.querySelector('dialog') && !document.querySelector('.selection')";

    world.browser.run(&format!("window.way = 'down'; {choose}")).await;
    // It stays in sight at the end of the list, too.
    world.browser.click(".selection button.primary").await;
    world.browser.click("dialog button.primary").await;
    world.browser.sees("How far it came is not known").await;
    world.browser.run("window.way = 'refused'").await;
    world.browser.click("dialog button.primary").await;
    world.browser.sees("0 executions redriven. These could not be:").await;
    let focused = world.browser.run("return document.activeElement.innerText").await;
    assert_eq!(focused, "Close");
    world.browser.press(&[ENTER]).await;
    world.browser.until("the list", gone).await;
    assert_eq!(world.browser.run("return window.sent").await, 3);

    world.browser.click(".more button").await;
    world.browser.until("all of them", &all).await;
    world.browser.run(&format!("window.way = 'held'; {choose}")).await;
    world.browser.click(".selection button.primary").await;
    world.browser.click("dialog button.primary").await;
    world.browser.sees("0 of 70 done.").await;
    let held = world
        .browser
        .run("return [document.activeElement.innerText, typeof window.goOn]")
        .await;
    assert_eq!(held, json!(["Redriving…", "function"]));
    world.browser.press(&[ENTER]).await;
    assert_eq!(world.browser.violations().await, json!([]));
    world.browser.sees("Stop here").await;
    world.browser.click("dialog .actions button").await;
    world.browser.until("the list", gone).await;
    world.browser.run("window.goOn()").await;
    let said = "return document.querySelector('[aria-live]').textContent === '50 executions redriven'";
    world.browser.until("what was sent", said).await;
    assert_eq!(
        world.browser.run("return window.sent").await,
        4,
        "no other part, and none twice"
    );
}

/// Types something into a field, which is told of it.
fn typed(field: &str, value: &str) -> String {
    format!(
        "const field = document.querySelector('{field}'); field.value = '{value}'; field.dispatchEvent(new Event('change', {{ bubbles: true }}))"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_says_what_is_shown() {
    let world = World::open().await;
    world.orders().await;
    world.go("executions?from=-30m").await;
    let chosen =
        "return document.querySelectorAll('.fields select')[1].selectedOptions[0].innerText.replace(/\\s/g, ' ')";
    assert_eq!(world.browser.run(chosen).await, "Last 30 minutes");
    world.go("executions?from=-7d&to=-30m").await;
    let fields = "return [...document.querySelectorAll('input[type=datetime-local]')].map((field) => Math.round((Date.now() - Date.parse(field.value)) / 1_800_000))";
    assert_eq!(world.browser.run(fields).await, json!([336, 1]));

    world.go("executions/orders/order-broken").await;
    for (item, shown) in [("99", "3"), ("-2", "0"), ("", "0")] {
        world.browser.run(&typed(".items input", item)).await;
        let field = format!(
            "return document.querySelector('.items input').value === '{shown}' && location.search.endsWith(':{shown}')"
        );
        world.browser.until(item, &field).await;
    }

    let hour = "const field = document.querySelector('.stepper input'); return [field.value, field.validity.valid]";
    for (zone, local) in [("UTC", "05:00"), ("Asia/Kolkata", "10:30")] {
        world.browser.live_in(zone).await;
        world.go("metrics?hour=2026-11-20T05:00Z").await;
        let expected = json!([format!("2026-11-20T{local}"), true]);
        assert_eq!(world.browser.run(hour).await, expected);
        let later = format!("2026-11-20T{}:45", &local[..2]);
        world.browser.run(&typed(".stepper input", &later)).await;
        assert_eq!(world.browser.run(hour).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_first_keep_their_trees_and_beyond_the_last_page_is_the_last_page() {
    let world = World::open().await;
    world.orders().await;
    world.go("executions/orders/order-good?newest=true").await;
    let states =
        "return [...document.querySelectorAll('.timeline td.state button.text')].map((state) => state.innerText)";
    let expected = [
        "Done",
        "Notify",
        "Push",
        "Mail",
        "ShipItems",
        "Label",
        "Fragile?",
        "Pack",
        "Reserve",
    ];
    assert_eq!(world.browser.run(states).await, json!(expected));
    world.go("executions/orders/order-good?view=events&from=900").await;
    world
        .browser
        .until("the last page", "return !location.search.includes('from')")
        .await;
    world
        .browser
        .until(
            "its events",
            "return document.querySelectorAll('.events tbody tr').length > 20",
        )
        .await;
}
