use ticket::flat;

use super::*;

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
    let history = History::new(id, facts, Texts::default(), policy, &map);
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
    let history = History::new(
        event.ticket(),
        event.facts,
        Texts::default(),
        &Policy::default(),
        &Categories::default(),
    );
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
    let whole = || {
        let (policy, map) = (Policy::default(), Categories::default());
        History::new(event.ticket(), facts.clone(), Texts::default(), &policy, &map)
    };
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
