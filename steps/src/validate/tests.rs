use ticket::{Categories, Delivery, Policy, Texts, TicketEvent, TicketView, Time, flat, jira};

use super::{Rejection, asks, check};
use crate::table::{Fold, Judgement, Stored};

/// A change that no ticket contradicts.
const PRIORITY: &str = r#"{"priority":"Low"}"#;

fn at(time: &str) -> Time {
    time.parse().unwrap()
}

fn creation() -> TicketEvent {
    flat::read(br#"{"summary":"Disk full","created":"2026-11-21T07:00:00.000Z"}"#).unwrap()
}

fn edit(body: &str) -> TicketEvent {
    flat::edit(&creation().ticket(), body.as_bytes(), at("2026-11-21T09:00:00.000Z")).unwrap()
}

/// The ticket after these events.
fn stored(events: &[TicketEvent]) -> Stored {
    let facts: Vec<_> = events.iter().flat_map(|event| event.facts.clone()).collect();
    let ticket = ticket::fold(&facts, &Policy::default(), &Categories::default());
    let fold = Fold {
        watch: crate::table::Watch::default(),
        texts: crate::table::TextsSeen::default(),
        view: TicketView::new(&creation().ticket(), &ticket, &Texts::default()),
        spent: ticket.spent.clone(),
        fact_count: ticket.fact_count as u64,
        judgement: Judgement::of(&ticket),
        folded_by: "name-1".to_owned(),
        updated_at: at("2026-11-21T08:00:00.000Z"),
        is_measured: true,
    };
    Stored {
        facts,
        fold: Some(fold),
    }
}

#[test]
fn what_jira_says_and_what_is_created_is_not_asked_about() {
    assert!(!asks(&creation()));
    assert!(asks(&edit(PRIORITY)));
    let body = r#"{"webhookEvent":"jira:issue_deleted","timestamp":1700000000000,
        "issue":{"id":"1","self":"https://example.atlassian.net/1"}}"#;
    let Delivery::Event(deleted) = jira::read(body.as_bytes()).unwrap() else {
        panic!("ignored")
    };
    assert!(!asks(&deleted));
}

#[test]
fn a_change_needs_its_ticket() {
    let ticket = creation().ticket();
    let nothing = Stored {
        facts: Vec::new(),
        fold: None,
    };
    assert_eq!(
        check(&edit(PRIORITY), &nothing),
        Err(Rejection::NoSuchTicket { ticket })
    );
    let unfolded = Stored {
        facts: creation().facts,
        fold: None,
    };
    assert_eq!(check(&edit(PRIORITY), &unfolded), Ok(()));
    assert_eq!(
        check(
            &edit(r#"{"completed":"2026-11-21T07:00:00.000Z"}"#),
            &stored(&[creation()])
        ),
        Ok(())
    );
}

#[test]
fn nothing_is_completed_before_it_was_created() {
    let (early, created_at) = (at("2026-11-21T06:59:59.999Z"), at("2026-11-21T07:00:00.000Z"));
    let rejection = Rejection::BeforeCreation {
        ticket: creation().ticket(),
        at: early,
        created_at,
    };
    let edit = edit(&format!(r#"{{"completed":"{early}"}}"#));
    assert_eq!(check(&edit, &stored(&[creation()])), Err(rejection));
}

#[test]
fn a_deleted_ticket_is_not_changed_and_may_be_deleted_again() {
    let ticket = creation().ticket();
    let deleted_at = at("2026-11-21T08:00:00.000Z");
    let deleted = stored(&[creation(), flat::deletion(&ticket, deleted_at)]);
    assert_eq!(
        check(&edit(PRIORITY), &deleted),
        Err(Rejection::Deleted {
            ticket: ticket.clone(),
            deleted_at
        })
    );
    assert_eq!(
        check(&flat::deletion(&ticket, at("2026-11-21T09:00:00.000Z")), &deleted),
        Ok(())
    );
}
