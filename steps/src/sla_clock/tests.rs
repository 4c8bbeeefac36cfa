use serde_json::{Value, json};
use ticket::sla::timer::Breach;
use ticket::{Categories, Delivery, Policy, Ticket, Time, jira};

use super::{Clock, Input, Output, output};

const DEFINITION: &str = include_str!("../../../statemachine/sla-clock.asl.json");

fn at(time: &str) -> Time {
    time.parse().unwrap()
}

/// A flat ticket of 08:00 that was to be closed within an hour.
fn ticket() -> (ticket::TicketId, Ticket) {
    let body = r#"{"summary":"Disk full","created":"2026-11-21T08:00:00.000Z","priority":"High"}"#;
    let Delivery::Event(event) = jira::read(body.as_bytes()).unwrap() else {
        panic!("no event");
    };
    let policy: Policy = serde_json::from_value(json!({ "sla": [{ "close": "1h" }] })).unwrap();
    (
        event.ticket(),
        ticket::fold(&event.facts, &policy, &Categories::default()),
    )
}

fn clock(ticket: ticket::TicketId) -> Clock {
    Clock {
        ticket,
        run: 0,
        due_at: at("2026-11-21T09:00:00.000Z"),
        told: Vec::new(),
    }
}

/// What comes of a look that saw this breach or none.
fn looked(is_breached: bool, next: Option<&str>) -> Output {
    let (id, ticket) = ticket();
    let breach = Breach {
        clock: ticket.clocks.current[0].clone(),
        recorded_at: at("2026-11-21T09:00:00.250Z"),
        recorded_by: "timer".to_owned(),
    };
    let untold = if is_breached { vec![breach] } else { Vec::new() };
    output(clock(id), &ticket, &untold, next.map(at))
}

#[test]
fn the_state_machine_goes_by_what_the_function_answers() {
    let definition: Value = serde_json::from_str(DEFINITION).unwrap();
    let rules = definition["States"]["Then"]["Choices"].as_array().unwrap();
    let next = |output: &Output| {
        let then = serde_json::to_value(output.then).unwrap();
        let rule = rules.iter().find(|rule| rule["StringEquals"] == then);
        rule.map_or("Over", |rule| rule["Next"].as_str().unwrap())
    };
    let later = Some("2026-11-21T10:00:00.000Z");
    assert_eq!(next(&looked(true, later)), "Tell");
    assert_eq!(next(&looked(true, None)), "Tell");
    assert_eq!(next(&looked(false, later)), "WaitUntilDue");
    assert_eq!(next(&looked(false, None)), "Over");
}

#[test]
fn what_the_function_answers_it_takes_again() {
    let output = serde_json::to_value(looked(true, Some("2026-11-21T10:00:00.000Z"))).unwrap();
    let input = json!({
        "execution": { "Id": "arn", "Input": {}, "Name": "SHOP-1-abc", "StartTime": "2026-11-21T08:00:00.000Z" },
        "state": { "EnteredTime": "2026-11-21T10:00:00.000Z", "Name": "Look", "RetryCount": 0 },
        "clock": output,
    });
    let input: Input = serde_json::from_value(input).unwrap();
    assert_eq!(input.clock.told, ["close.0.calendar.3600000"]);
    assert_eq!(input.clock.due_at, at("2026-11-21T10:00:00.000Z"));
}

#[test]
fn an_event_says_what_was_breached_and_is_the_same_again() {
    let output = looked(true, None);
    let events = serde_json::to_value(&output.events).unwrap();
    assert_eq!(events, serde_json::to_value(&looked(true, None).events).unwrap());
    let event = &events[0];
    assert_eq!(
        (&event["Source"], &event["DetailType"]),
        (&json!("ticketflow"), &json!("Ticket SLA Breached"))
    );
    let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
    let (id, _) = ticket();
    let expected = json!({
        "id": format!("{id}/close.0.calendar.3600000"),
        "ticket": id, "key": null, "project": null, "priority": "High", "status": "open", "state": "open",
        "target": "close", "target_ms": 3_600_000, "time": "calendar",
        "since": "2026-11-21T08:00:00.000Z", "due_at": "2026-11-21T09:00:00.000Z",
        "breached_at": "2026-11-21T09:00:00.000Z", "met_at": null, "told_after_ms": 250,
    });
    assert_eq!(detail, expected);
}
