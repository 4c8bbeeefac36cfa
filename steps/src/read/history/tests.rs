use ticket::fact::Clock;
use ticket::flat;

use super::*;

/// What is made of these facts.
fn history(id: TicketId, facts: Vec<(Fact, Option<Told>)>, policy: &Policy) -> History {
    let (texts, map) = (Texts::default(), Categories::default());
    History::new(id, facts, texts, policy, &map, sample::execution_arn)
}

/// Facts as an earlier release stored them.
fn untold(facts: Vec<Fact>) -> Vec<(Fact, Option<Told>)> {
    facts.into_iter().map(|fact| (fact, None)).collect()
}

#[test]
fn every_stay_says_who_began_it_and_who_told_of_it_first_and_whether_in_order() {
    let event = sample::delivery();
    let at = |ms: i64| event.observed.saturating_add(ms);
    let told = |by: &str, ms: i64, author: Option<&str>| {
        Some(Told {
            by: by.to_owned(),
            at: at(ms),
            author: author.map(str::to_owned),
        })
    };
    // The last change came first; the one before it was told of again, by somebody who knew whose it was.
    let mut facts: Vec<_> = event
        .facts
        .iter()
        .map(|fact| {
            let told = match fact {
                Fact::Created { .. } => told("created", 9_000, Some("Ada")),
                Fact::Change(change) if change.field != Field::Status => told("other", 0, Some("Nobody")),
                Fact::Change(change) if change.to.as_ref().is_some_and(|to| to.id.as_deref() == Some("10002")) => {
                    told("closed", 1_000, Some("Grace"))
                }
                Fact::Change(_) => told("started", 2_000, None),
                _ => told("other", 0, Some("Nobody")),
            };
            (fact.clone(), told)
        })
        .collect();
    let mut again = event.facts.iter().find_map(|fact| match fact {
        Fact::Change(change) if change.changelog.as_str() == "20001" => Some(change.clone()),
        _ => None,
    });
    again.as_mut().expect("the start").clock = Clock::Timestamp;
    facts.extend(again.map(|change| (Fact::Change(change), told("started-again", 3_000, Some("Linus")))));
    let history = self::history(event.ticket(), facts, &Policy::default());
    let told: Vec<_> = history
        .tellings
        .iter()
        .map(|telling| {
            let telling = telling.as_ref().expect("somebody told of it");
            let author = telling.author.as_deref();
            (telling.execution.as_str(), telling.at, telling.is_out_of_order, author)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("created", at(9_000), true, Some("Ada")),
            ("started", at(2_000), true, Some("Linus")),
            ("closed", at(1_000), false, Some("Grace"))
        ]
    );
    for (telling, stay) in history.tellings.iter().flatten().zip(&history.history) {
        assert_eq!(telling.late_ms, telling.at.since(stay.at).max(0));
        assert!(telling.arn.ends_with(&telling.execution), "{telling:?}");
    }
    // Nobody knows of what an earlier release stored.
    let history = self::history(event.ticket(), untold(event.facts), &Policy::default());
    assert_eq!(history.tellings, vec![None; 3]);
}

#[test]
fn every_number_names_the_facts_that_it_comes_from() {
    named(&Policy::default(), 1);
    // As the team says, work begins in the status that the ticket was created in, or with its end.
    let started_in = |status: &str| {
        let json = format!(r#"{{"started": {{"status_ids": {{"SHOP": ["{status}"]}}}}}}"#);
        serde_json::from_str::<Policy>(&json).unwrap()
    };
    named(&started_in("10000"), 0);
    named(&started_in("10002"), 2);
}

/// Every number names its facts, and the start is that of this stay.
fn named(policy: &Policy, start: usize) {
    let event = sample::delivery();
    let (id, facts, map) = (event.ticket(), event.facts.clone(), Categories::default());
    let history = self::history(id, untold(facts), policy);
    let ticket = ticket::fold(&event.facts, policy, &map);
    assert_eq!(history.moments["started_at"].stay, Some(start));
    let ids: Vec<String> = event.facts.iter().map(Fact::id).collect();
    for (name, evidence) in &history.moments {
        assert!(!evidence.facts.is_empty(), "{name}: {evidence:?}");
        assert!(evidence.facts.iter().all(|fact| ids.contains(fact)), "{name}");
        if let Some(stay) = evidence.stay {
            assert_eq!(ticket.history[stay].at, evidence.at, "{name}");
        }
    }
    for (name, between) in &history.durations {
        let (from, to) = (&history.moments[between.from], &history.moments[between.to]);
        assert_eq!(between.value_ms, to.at.since(from.at), "{name}");
    }
    let names: Vec<&str> = history.durations.keys().copied().collect();
    assert_eq!(names, ["cycle_time_ms", "duration_ms", "first_duration_ms"]);
}

#[test]
fn a_completion_is_the_evidence_of_a_flat_tickets_closing() {
    let event =
        flat::read(br#"{"summary":"Disk full","created":"2026-11-21T07:00:00Z","completed":"2026-11-21T08:00:00Z"}"#);
    let event = event.unwrap();
    let history = self::history(event.ticket(), untold(event.facts), &Policy::default());
    let closing = &history.moments["closed_at"];
    assert_eq!(closing.facts.len(), 1);
    assert!(closing.facts[0].starts_with("completion#"), "{closing:?}");
    assert_eq!(history.durations["duration_ms"].value_ms, 3_600_000);
}

#[test]
fn the_pages_of_a_history_are_all_its_facts_once() {
    let event = sample::delivery();
    let many = (0..2 * FACTS as i64 + 7).map(|ms| Fact::Deleted {
        at: Time::from_millis(ms).unwrap(),
    });
    let facts: Vec<Fact> = many.collect();
    let whole = || history(event.ticket(), untold(facts.clone()), &Policy::default());
    let (mut seen, mut place, mut sizes) = (Vec::new(), None::<String>, Vec::new());
    loop {
        let mut page = whole();
        page.turn_to(place.as_deref());
        sizes.push((page.facts.len(), page.facts_left_out));
        seen.extend(page.facts.into_iter().map(|said| said.id));
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [(FACTS, FACTS + 7), (FACTS, 7), (7, 0)]);
    let mut all: Vec<String> = facts.iter().map(Fact::id).collect();
    all.sort_unstable();
    assert_eq!(seen, all);
}
