use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType, StateEnteredEventDetails};
use ticket::{Delivery, TicketEvent, Time, jira};

use super::{Description, Executions, NAME_LENGTH, failed_step, name, time, timer_of};
use crate::table::Status;

fn event(key: &str, summary: &str) -> TicketEvent {
    let body = serde_json::json!({
        "webhookEvent": "jira:issue_updated", "timestamp": 1_700_000_000_000_i64,
        "issue": { "id": "10040", "key": key, "self": "https://example.atlassian.net/rest/api/2/issue/10040",
            "fields": { "summary": summary } },
    });
    match jira::read(body.to_string().as_bytes()).unwrap() {
        Delivery::Event(event) => event,
        Delivery::Ignored { reason } => panic!("{reason}"),
    }
}

#[test]
fn a_name_is_readable_within_the_limits_of_aws_and_the_event_s_own() {
    let name_of_41 = name(&event("TES-41", "a"));
    assert!(name_of_41.starts_with("TES-41-"), "{name_of_41}");
    assert_eq!(name_of_41, name(&event("TES-41", "a")));
    assert_ne!(name_of_41, name(&event("TES-41", "b")));

    let long = name(&event(&"ÜÄÖ_-".repeat(30), "a"));
    assert_eq!(long.chars().count(), NAME_LENGTH);
    for c in name_of_41.chars().chain(long.chars()) {
        assert!(c.is_ascii_alphanumeric() || c == '-' || c == '_', "{c:?} in {long}");
    }
}

fn history(kinds: &[(HistoryEventType, Option<&str>)]) -> Vec<HistoryEvent> {
    let event = |(id, (kind, state)): (usize, &(HistoryEventType, Option<&str>))| {
        let details = state.map(|name| StateEnteredEventDetails::builder().name(name).build().unwrap());
        HistoryEvent::builder()
            .id(i64::try_from(id).unwrap())
            .timestamp(DateTime::from_millis(1_000 * i64::try_from(id).unwrap()))
            .r#type(kind.clone())
            .set_state_entered_event_details(details)
            .build()
            .unwrap()
    };
    let mut events: Vec<HistoryEvent> = kinds.iter().enumerate().map(event).collect();
    events.reverse();
    events
}

#[test]
fn the_step_that_failed_is_the_last_one_entered_with_all_its_tries() {
    use HistoryEventType as E;
    let description = Description {
        name: "name".to_owned(),
        ticket: None,
        key: None,
        status: Status::Failed,
        redrives: 0,
        started_at: Time::from_millis(0).unwrap(),
        stopped_at: None,
        error: Some("TableRefused".to_owned()),
        cause: None,
    };
    let events = history(&[
        (E::ExecutionStarted, None),
        (E::TaskStateEntered, Some("ValidateTicket")),
        (E::LambdaFunctionScheduled, None),
        (E::LambdaFunctionStarted, None),
        (E::LambdaFunctionSucceeded, None),
        (E::TaskStateExited, None),
        (E::TaskStateEntered, Some("StoreTicket")),
        (E::LambdaFunctionScheduled, None),
        (E::LambdaFunctionFailed, None),
        (E::LambdaFunctionScheduled, None),
        (E::LambdaFunctionFailed, None),
        (E::ExecutionFailed, None),
    ]);
    let stopped_at = Time::from_millis(11_000).unwrap();
    let step = failed_step(&events, &description, stopped_at).unwrap();
    assert_eq!(
        (step.name.as_str(), step.attempt, step.status),
        ("StoreTicket", 2, Status::Failed)
    );
    assert_eq!((step.started_at.millis(), step.finished_at), (6_000, stopped_at));
    assert_eq!(step.error.as_deref(), Some("TableRefused"));
    // Redriven at that state, and failed once more: tries are counted within the round.
    let mut redriven = history(&[
        (E::ExecutionRedriven, None),
        (E::LambdaFunctionScheduled, None),
        (E::ExecutionFailed, None),
    ]);
    redriven.extend(events);
    let step = failed_step(&redriven, &description, stopped_at).unwrap();
    assert_eq!((step.name.as_str(), step.attempt), ("StoreTicket", 1));
    assert_eq!(
        failed_step(&history(&[(E::ExecutionStarted, None)]), &description, stopped_at),
        None
    );
}

#[test]
fn a_time_on_the_wire_is_rounded_to_the_millisecond_it_was() {
    let wire = DateTime::from_secs_f64(1_795_263_390.382);
    assert_eq!(time(Some(&wire)).unwrap().millis(), 1_795_263_390_382);
    let short = DateTime::from_nanos(1_795_263_390_381_999_999).unwrap();
    assert_eq!(time(Some(&short)).unwrap().millis(), 1_795_263_390_382);
}

#[test]
fn executions_are_known_by_their_state_machine_and_by_its_versions() {
    let config = aws_sdk_sfn::Config::builder().behavior_version(aws_sdk_sfn::config::BehaviorVersion::latest());
    let client = aws_sdk_sfn::Client::from_conf(config.build());
    let arn = "arn:aws:states:us-west-2:000000000000:stateMachine:SlaClock";
    let clocks = Executions::new(client, arn).unwrap();
    assert!(clocks.are_of(arn) && clocks.are_of(&format!("{arn}:7")) && clocks.are_of(&format!("{arn}:live")));
    for other in [
        format!("{arn}2"),
        format!("{arn}-2"),
        arn.replace("SlaClock", "Recompute"),
        String::new(),
    ] {
        assert!(!clocks.are_of(&other), "{other}");
    }
}

#[test]
fn a_timer_is_about_its_ticket_and_nothing_else_is_a_timer() {
    let timer = r#"{"ticket":"flat~1","run":0,"due_at":"2026-11-21T09:00:00.000Z","told":[]}"#;
    assert_eq!(timer_of(timer).unwrap().ticket.to_string(), "flat~1");
    for input in ["{}", r#"{"ticket":"flat~1"}"#, "", r#"{"scope":"changed"}"#] {
        assert!(timer_of(input).is_none(), "{input}");
    }
}
