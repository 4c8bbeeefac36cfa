//! The views of tickets: the list, one ticket, and the numbers of many against the API's own.

use serde_json::{Value, json};

use crate::looks::moved;
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
    world.browser.ready().await;
    world.browser.click(".facts a").await;
    world.browser.sees("Where its time went").await;
    world.go("tickets/NONE-1").await;
    world.browser.sees("There is no ticket NONE-1").await;
    // One that no JIRA knows has no key: its executions are about its id.
    let body =
        json!({"summary": "Told by hand", "priority": "High", "created": "2026-11-20T08:00:00Z", "completed": ""});
    let id = world.flat(&body).await;
    world.go("executions?machine=TicketLifecycle").await;
    let link = format!("return document.querySelector('a[href$=\"/tickets/{id}\"]')?.innerText");
    assert_eq!(world.browser.until("its subject", &link).await, json!(id));
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

/// Targets of the time to close and to start: one for all, so that it can be compared with every percentile.
const POLICY: &str = r#"Policy={"sla": [{"close": "8h", "first_start": "2h"}]}"#;

/// Keeps what is saved.
const KEPT: &str =
    "{ const own = URL.createObjectURL; URL.createObjectURL = (blob) => { window.saved = blob; return own(blob); }; }";

async fn closed(world: &World, number: u32, hours: u32) {
    let body = json!({
        "summary": format!("Closed after {hours} hours"), "priority": if number.is_multiple_of(8) { "High" } else { "Highest" },
        "created": format!("2026-11-20T{:02}:{:02}:00Z", number % 4, number), "completed": format!("2026-11-20T{:02}:{:02}:00Z", number % 4 + hours, number),
    });
    world.flat(&body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_stand_beside_their_targets_and_every_chart_is_a_table_and_a_file_too() {
    let world = World::open_with(&["--parameter", POLICY]).await;
    for number in 0..24 {
        closed(&world, number, 1 + number % 12).await;
    }
    let (status, _) = world
        .server
        .post(&delivery("TARGET-1", 750, "Open too long, it may be"))
        .await;
    assert_eq!(status, 202);
    let answer = world
        .server
        .until("all to be counted", || async {
            let (status, answer) = world.server.get("/metrics/durations").await;
            (status == 200 && answer["lead"]["count"] == 24).then_some(answer)
        })
        .await;
    assert_eq!(answer["kept"]["target_ms"], 8 * 3_600_000);
    world.browser.before_pages(KEPT).await;
    world.go("metrics?hour=2026-11-20T00:00Z").await;
    let figures = "return [...document.querySelectorAll('.figure')].map((figure) => figure.innerText.replace(/\\s+/g, ' ').trim())";
    let figures = world.browser.run(figures).await;
    for (at, name) in ["p50", "p85", "p95"].into_iter().enumerate() {
        let text = figures[at].as_str().expect("a figure");
        let is_over = answer["lead"][format!("{name}_ms")].as_i64() > Some(8 * 3_600_000);
        assert!(
            text.starts_with(&format!("{name} lead time")) && text.ends_with("target 8 h"),
            "{text}"
        );
        assert_eq!(text.contains(" over "), is_over, "{text}");
    }
    let over = format!("Over target {} of 24", answer["kept"]["over"]);
    assert!(
        figures[3].as_str().is_some_and(|text| text.starts_with(&over)),
        "{figures}"
    );

    let charts = "return [...document.querySelectorAll('section.card')].filter((card) => card.querySelector('.chart-foot button')).map((card) => card.getAttribute('aria-label'))";
    let charts = world.browser.run(charts).await;
    assert_eq!(
        charts,
        json!([
            "Tickets created per minute",
            "Lead time",
            "Lead time of each ticket",
            "Ageing of open tickets"
        ])
    );
    for chart in charts.as_array().expect("charts").iter().filter_map(Value::as_str) {
        let card = format!("document.querySelector('section[aria-label=\"{chart}\"]')");
        let show = format!("{card}.querySelector('.chart-foot button').click()");
        world.browser.run(&show).await;
        let shown =
            format!("return {card}.querySelector('.chart-foot button').getAttribute('aria-pressed') === 'true'");
        world.browser.until("the table", &shown).await;
        // At one moment, for ages grow.
        let both = format!(
            "{card}.querySelectorAll('.chart-foot button')[1].click();
             const rows = [...{card}.querySelectorAll('tr')].map((row) => [...row.cells].map((cell) => cell.textContent));
             return window.saved.text().then((csv) => [csv, rows])"
        );
        let both = world.browser.run(&both).await;
        // No cell of these has a comma in it.
        let lines = both[0].as_str().expect("text").lines();
        let lines: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        let table = &both[1];
        assert_eq!(*table, json!(lines), "{chart}");
        assert!(table.as_array().is_some_and(|rows| 1 < rows.len()), "{chart}");
        // Lengths stand there as numbers, too, for programs.
        let lengths = table[0]
            .as_array()
            .expect("a head")
            .iter()
            .filter(|head| head.to_string().contains(" in ms"));
        assert_eq!(lengths.count() > 0, chart != "Tickets created per minute", "{chart}");
    }
    let each = "return document.querySelectorAll('section[aria-label=\"Lead time of each ticket\"] tbody tr').length";
    assert_eq!(world.browser.run(each).await, 24);
    assert_eq!(world.browser.violations().await, json!([]), "with every table shown");

    // Sixty minutes, whatever was in them; those that are not over are outlined.
    world.go("metrics").await;
    let minutes = "const card = document.querySelector('section[aria-label=\"Tickets created per minute\"]'); return [card.querySelectorAll('.bar').length, card.querySelectorAll('.bar.open').length > 0]";
    assert_eq!(world.browser.run(minutes).await, json!([60, true]));
    // Of the dots one is in the order of the Tab key, and the arrows lead on.
    let dots = "document.querySelectorAll('section[aria-label=\"Lead time of each ticket\"] svg a[tabindex=\"0\"]')";
    assert_eq!(world.browser.run(&format!("return {dots}.length")).await, 1);
    world.browser.run(&format!("{dots}[0].focus()")).await;
    let focused = "return document.activeElement.getAttribute('aria-label')";
    let first = world.browser.run(focused).await;
    world.browser.press(&["\u{e014}"]).await;
    let second = world.browser.run(focused).await;
    assert!(second.is_string() && first != second, "{first} {second}");
    assert_eq!(world.browser.run(&format!("return {dots}.length")).await, 1);
    // One ticket stands beside what is usual for its priority.
    let (_, usual) = world.server.get("/metrics/durations?priority=Highest").await;
    assert_eq!(usual["lead"]["count"], 21);
    world.go("tickets?state=closed&priority=Highest").await;
    world.browser.click("a.name").await;
    let ticks = "const ticks = [...document.querySelectorAll('.ticks span')].map((tick) => tick.innerText.slice(0, 3)); return ticks.length ? ticks : null";
    assert_eq!(world.browser.until("what is usual", ticks).await, json!(["p50", "p85"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn minutes_count_what_cannot_wait_until_all_priorities_are_asked_for() {
    let world = World::open().await;
    for priority in ["Highest", "Medium", "Lowest"] {
        let body = json!({"summary": format!("One that is {priority}"), "priority": priority, "created": "2026-11-20T05:10:00Z"});
        world.flat(&body).await;
    }
    let card = "section[aria-label=\"Tickets created per minute\"]";
    world.go("metrics?hour=2026-11-20T05:00Z").await;
    world.browser.sees("2 of other priorities are not counted.").await;
    world.browser.click(&format!("{card} .sentence a")).await;
    world.browser.sees("3 tickets, 1 of them Highest.").await;
    let shown = format!(
        "return [location.search, [...document.querySelectorAll('{card} .part')].map((part) => part.classList[1])]"
    );
    let expected = json!(["?hour=2026-11-20T05:00Z&priority=all", ["p-0", "p-2", "p-4"]]);
    assert_eq!(world.browser.run(&shown).await, expected);
    assert_eq!(world.browser.violations().await, json!([]));
    world.browser.click(&format!("{card} .sentence a")).await;
    world.browser.sees("2 of other priorities are not counted.").await;
    assert_eq!(
        world.browser.run("return location.search").await,
        "?hour=2026-11-20T05:00Z"
    );

    // A site's own priorities are found among its tickets, and can be chosen; one that has none is told of.
    for priority in ["Blocker", "P1 (now)", ""] {
        let body = json!({"summary": format!("One that is {priority}"), "priority": priority, "created": "2026-11-20T05:20:00Z"});
        world.flat(&body).await;
    }
    world.go("metrics?hour=2026-11-20T05:00Z&priority=all").await;
    world.browser.sees("5 tickets, 1 of them Highest.").await;
    world
        .browser
        .sees("1 of no priority, or one that is not known here, are not counted.")
        .await;
    for view in ["metrics", "tickets"] {
        world.go(view).await;
        let offered = "const names = [...document.querySelector('label select').options].map((option) => option.value);
            return names.includes('Blocker') && names.includes('P1 (now)')";
        world.browser.until("the site's own priorities", offered).await;
    }
    for (hour, words) in [
        ("2026-01-01T00:00Z", "Every minute of the hour is empty."),
        ("2099-01-01T00:00Z", "No minute of the hour is over yet."),
    ] {
        world.go(&format!("metrics?hour={hour}")).await;
        world.browser.sees(words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_shows_its_targets_with_their_due_times_and_each_life_after_a_reopening() {
    let world = World::open_with(&["--parameter", POLICY]).await;
    let body = json!({"summary": "Closed, and opened again", "priority": "High", "created": "2026-11-20T08:00:00Z", "completed": "2026-11-20T20:00:00Z"});
    let id = world.flat(&body).await;
    world.go(&format!("tickets/{id}")).await;
    world.browser.sees("Closed within 8 h").await;
    world.browser.sees("Met late").await;
    world.browser.sees("12 h from creation to closing").await;
    let due = "return [...document.querySelectorAll('.figure time')].map((time) => time.dateTime)";
    let due = world.browser.run(due).await;
    assert!(
        due.as_array()
            .is_some_and(|times| times.contains(&json!("2026-11-20T16:00:00.000Z"))),
        "{due}"
    );

    // Clocks fire at whole seconds.
    let created = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let body = json!({"summary": "Open still", "priority": "High", "created": created, "completed": ""});
    let id = world.flat(&body).await;
    let (_, ticket) = world.server.get(&format!("/tickets/{id}")).await;
    world.go(&format!("tickets/{id}")).await;
    for target in ticket["sla"].as_array().expect("targets") {
        world.browser.sees("left").await;
        let due = target["due_at"].as_str().expect("a due time");
        let shown = format!("return !!document.querySelector('.figure time[datetime=\"{due}\"]')");
        world.browser.until("its due time", &shown).await;
    }
    assert_eq!(world.browser.violations().await, json!([]));
    // The clock that watches them is an execution like any other.
    world.go("executions?machine=SlaClock&status=running").await;
    world.browser.click("a.name").await;
    world.browser.sees("Waiting until").await;
    let until = world
        .browser
        .run("return document.querySelector('.inspector .note time').dateTime")
        .await;
    let dues: Vec<&Value> = ticket["sla"]
        .as_array()
        .expect("targets")
        .iter()
        .map(|target| &target["due_at"])
        .collect();
    assert!(dues.contains(&&until), "{until} is none of {dues:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_found_by_words_and_keys_and_lead_to_their_last_execution() {
    let world = World::open().await;
    for (number, summary) in ["The basket forgets", "The cart forgets", "A basket of fruit"]
        .into_iter()
        .enumerate()
    {
        let id = 760 + u32::try_from(number).expect("small");
        let (status, answer) = world
            .server
            .post(&delivery(&format!("FIND-{number}"), id, summary))
            .await;
        assert_eq!(status, 202, "{answer}");
        world
            .server
            .execution(answer["execution"].as_str().expect("a name"), "SUCCEEDED")
            .await;
    }
    world.go("tickets").await;
    world.browser.press(&["/"]).await;
    world
        .browser
        .press(&["b", "a", "s", "k", "e", "t", " ", "f", "o", "r", "g", "e", "t", "s"])
        .await;
    let keys = "return [...document.querySelectorAll('tbody a.name')].map((link) => link.innerText).sort().join()";
    world
        .browser
        .until(
            "the one that has both words",
            &format!("return (() => {{ {keys} }})() === 'FIND-0'"),
        )
        .await;
    let query = "return new URLSearchParams(location.search).get('q')";
    assert_eq!(world.browser.run(query).await, "basket forgets");
    world.browser.press(&["\u{e007}"]).await;
    world
        .browser
        .until("the only one", "return location.pathname === '/console/tickets/FIND-0'")
        .await;
    world.go("tickets?q=find-2").await;
    world
        .browser
        .until("its key", &format!("return (() => {{ {keys} }})() === 'FIND-2'"))
        .await;
    world.browser.click("td.last a").await;
    world
        .browser
        .until(
            "its execution",
            "return /^\\/console\\/executions\\/TicketLifecycle\\/FIND-2-/.test(location.pathname)",
        )
        .await;
    world.browser.sees("StoreTicket").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_transition_says_by_whom_and_who_told_of_it_and_what_came_late_or_out_of_order_is_marked() {
    let world = World::open().await;
    let status =
        |id: &str, name: &str, category: &str| json!({"id": id, "name": name, "statusCategory": {"key": category}});
    let (new, work, done) = (
        status("10000", "To Do", "new"),
        status("3", "In Progress", "indeterminate"),
        status("10001", "Done", "done"),
    );
    // The closing comes first, the start after it.
    moved(&world, ("LATE-1", 901), 40_002, &work, &done, "11:10").await;
    moved(&world, ("LATE-1", 901), 40_001, &new, &work, "09:40").await;
    let (_, history) = world.server.get("/tickets/LATE-1/history").await;
    world.go("tickets/LATE-1").await;
    world.browser.sees("told late").await;
    world.browser.sees("What is out of order").await;
    let rows = "const card = document.querySelector('[aria-labelledby=evidence-title]');
        return [...card.querySelectorAll('tbody tr')].map((row) => [row.children[2].textContent,
            row.children[4].textContent, row.children[6].textContent.includes('out of order'), !!row.children[6].querySelector('svg')])";
    let expected = json!([
        ["To Do", "–", false, true],
        ["In Progress", "Ada Example", true, true],
        ["Done", "Grace <Example>", false, true]
    ]);
    assert_eq!(world.browser.run(rows).await, expected);
    let links = "const card = document.querySelector('[aria-labelledby=evidence-title]');
        return [...card.querySelectorAll('tbody a')].map((link) => decodeURIComponent(link.pathname.split('/').pop()))";
    let told = history["tellings"].as_array().expect("who told");
    let names: Vec<&Value> = told.iter().map(|telling| &telling["execution"]).collect();
    assert_eq!(world.browser.run(links).await, json!(names));
    assert_ne!(names[1], names[2]);
    assert_eq!(world.browser.violations().await, json!([]));
    world
        .browser
        .click("[aria-labelledby=evidence-title] tbody tr:last-child a")
        .await;
    world.browser.sees("StoreTicket").await;
}
