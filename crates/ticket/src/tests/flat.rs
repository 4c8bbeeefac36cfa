//! What API clients say of a ticket without a Jira, and which of it counts.

use proptest::prelude::*;

use super::{MINUTE, T0, cases, time};
use crate::{Categories, Fact, Flag, Policy, State, Ticket, TicketEvent, Time, flat, fold};

const DAY: i64 = 24 * 60 * MINUTE;
/// When the changes of these tests begin to be said: long after what they speak of.
const NOW: i64 = T0 + 2_000 * DAY;

fn posted(completed: Option<i64>, received: i64) -> TicketEvent {
    let completed = completed.map_or(String::new(), |at| time(at).to_string());
    let body =
        serde_json::json!({ "summary": "Kettle leaks", "created": time(T0).to_string(), "completed": completed });
    let event = flat::read(body.to_string().as_bytes()).expect("a flat payload");
    event.received(time(received))
}

fn patched(completed: Option<i64>, said: i64) -> TicketEvent {
    let completed = completed.map_or(String::new(), |at| time(at).to_string());
    let body = serde_json::json!({ "completed": completed }).to_string();
    flat::edit(&posted(None, T0).ticket(), body.as_bytes(), time(said)).expect("an edit")
}

fn folded(events: &[TicketEvent]) -> Ticket {
    fold(
        events.iter().flat_map(|event| &event.facts),
        &Policy::default(),
        &Categories::default(),
    )
}

/// What follows for the one who asks: state, closing, first closing and reopenings; and never a flag.
fn outcome(events: &[TicketEvent]) -> (State, Option<Time>, Option<Time>, u32) {
    let ticket = folded(events);
    assert!(ticket.flags.is_empty(), "{ticket:?}");
    assert!(ticket.history.is_sorted_by_key(|stay| stay.at));
    (
        ticket.state,
        ticket.closed_at,
        ticket.first_closed_at,
        ticket.reopen_count,
    )
}

fn closed(at: i64, first: i64, reopened: u32) -> (State, Option<Time>, Option<Time>, u32) {
    (State::Closed, Some(time(at)), Some(time(first)), reopened)
}

#[test]
fn a_reopened_ticket_is_completed_again_also_at_an_earlier_time() {
    let (first, second) = (T0 + 31 * DAY, T0 + 33 * DAY);
    let mut events = vec![posted(None, NOW)];
    assert_eq!(outcome(&events), (State::Open, None, None, 0));
    events.push(patched(Some(first), NOW + 1));
    assert_eq!(outcome(&events), closed(first, first, 0));
    events.push(patched(None, NOW + 2));
    assert_eq!(outcome(&events), (State::Open, None, Some(time(first)), 1));
    let reopened = events.clone();
    events.push(patched(Some(second), NOW + 3));
    assert_eq!(outcome(&events), closed(second, first, 1));
    // Before it was first completed, by what was said until then: the newest word is right.
    let earlier = [reopened.as_slice(), &[patched(Some(first - DAY), NOW + 3)]].concat();
    assert_eq!(outcome(&earlier), closed(first - DAY, first - DAY, 1));
    let later = [reopened.as_slice(), &[patched(Some(NOW + DAY), NOW + 3)]].concat();
    assert_eq!(outcome(&later), closed(NOW + DAY, first, 1));
}

#[test]
fn a_corrected_completion_is_no_reopening() {
    let at = T0 + 31 * DAY;
    for corrected in [at - 17 * DAY, at, at + 29 * DAY] {
        let edited = [
            posted(None, NOW),
            patched(Some(at), NOW + 1),
            patched(Some(corrected), NOW + 2),
        ];
        assert_eq!(outcome(&edited), closed(corrected, corrected, 0));
        let posted = [posted(Some(at), NOW), posted(Some(corrected), NOW + 1)];
        assert_eq!(outcome(&posted), closed(corrected, corrected, 0));
    }
}

#[test]
fn what_is_said_twice_counts_once_and_a_late_beginning_opens_nothing() {
    let at = T0 + DAY;
    let open = [posted(None, NOW), patched(None, NOW + 1), patched(None, NOW + 2)];
    assert_eq!(outcome(&open), (State::Open, None, None, 0));
    let late = [posted(Some(at), NOW), posted(None, NOW + 1)];
    assert_eq!(outcome(&late), closed(at, at, 0));
    let announced = [posted(Some(NOW + DAY), NOW), patched(None, NOW + 1)];
    assert_eq!(outcome(&announced), (State::Open, None, Some(time(NOW + 1)), 1));
}

#[test]
fn both_statuses_are_known_and_what_cannot_be_is_flagged() {
    assert!(folded(&[posted(Some(T0), NOW)]).flags.is_empty());
    let skewed = folded(&[posted(None, NOW), patched(Some(T0 - 1), NOW + 1)]);
    assert_eq!((skewed.state, skewed.closed_at), (State::Closed, Some(time(T0))));
    assert!(skewed.flags.contains(&Flag::ClockSkew));
}

#[test]
fn when_it_was_received_is_no_part_of_a_payload_s_name_and_nothing_of_a_jira_s() {
    let sent = flat::read(br#"{"summary":"a","created":1,"completed":2,"description":"d"}"#).expect("a flat payload");
    let received = sent.clone().received(time(NOW));
    assert_eq!(received.observed, time(NOW));
    assert!(received.facts.is_sorted() && received.facts != sent.facts);
    assert_eq!(received.clone().received(time(NOW)), received);
    let jira = super::event(&super::created());
    assert_eq!(jira.clone().received(time(NOW)), jira);
    let edit = patched(Some(T0), NOW);
    assert_eq!(edit.clone().received(time(NOW + 1)), edit);
}

proptest! {
    #![proptest_config(cases(500))]

    /// Whatever is said, in whatever order it arrives and how often: the last word decides state and closing.
    #[test]
    fn the_last_word_counts(
        words in prop::collection::vec(prop::option::of(0..40_i64), 0..8),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..16),
    ) {
        let mut events = vec![posted(None, NOW)];
        events.extend((1..).zip(&words).map(|(said, word)| patched(word.map(|day| T0 + day * DAY), NOW + said)));
        let expected = folded(&events);
        outcome(&events);
        let reopenings = words.windows(2).filter(|pair| pair[0].is_some() && pair[1].is_none()).count();
        prop_assert_eq!(expected.reopen_count as usize, reopenings);
        let closed_at = words.last().copied().flatten().map(|day| time(T0 + day * DAY));
        prop_assert_eq!(expected.closed_at, closed_at);
        prop_assert_eq!(expected.state, if closed_at.is_some() { State::Closed } else { State::Open });

        let mut facts: Vec<Fact> = events.iter().flat_map(|event| event.facts.clone()).collect();
        for index in order {
            let again = facts[index.index(facts.len())].clone();
            facts.insert(0, again);
        }
        facts.reverse();
        prop_assert_eq!(fold(&facts, &Policy::default(), &Categories::default()), expected);
    }
}
