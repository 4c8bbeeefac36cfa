use ticket::sla::timer::{Timer, Wanted};
use ticket::{Categories, Policy, Ticket, TicketId, Time};

use super::{Clock, name};

fn ticket(key: Option<&str>) -> Ticket {
    let mut ticket = ticket::fold(&[], &Policy::default(), &Categories::default());
    ticket.key = key.map(|key| key.parse().unwrap());
    ticket
}

fn named(site: &str, run: u32, at: &str, overdue_with: Option<usize>, key: Option<&str>) -> String {
    let id: TicketId = format!("{site}~10001").parse().unwrap();
    let at: Time = at.parse().unwrap();
    let mut ticket = ticket(key);
    ticket.fact_count = overdue_with.unwrap_or(7);
    let clock = Clock {
        ticket: id,
        run,
        due_at: at,
        told: Vec::new(),
    };
    let wanted = Wanted {
        timer: Timer { run, at },
        is_overdue: overdue_with.is_some(),
    };
    name(&clock, &ticket, wanted)
}

#[test]
fn a_timer_has_one_name_for_one_due_moment_of_one_run() {
    let (one, later) = ("2026-11-21T08:00:00.000Z", "2026-11-21T08:00:00.001Z");
    let first = named("a.example", 0, one, None, Some("SHOP-1"));
    assert_eq!(first, named("a.example", 0, one, None, Some("SHOP-1")));
    assert!(first.starts_with("SHOP-1-"), "{first}");
    let others = [
        named("b.example", 0, one, None, Some("SHOP-1")),
        named("a.example", 1, one, None, Some("SHOP-1")),
        named("a.example", 0, later, None, Some("SHOP-1")),
        named("a.example", 0, one, Some(7), Some("SHOP-1")),
        named("a.example", 0, one, Some(8), Some("SHOP-1")),
    ];
    for (index, other) in others.iter().enumerate() {
        assert_ne!(&first, other);
        assert!(!others[..index].contains(other));
    }
}

#[test]
fn a_name_fits_whatever_the_key_is() {
    let long = format!("{}-1", "Ä".repeat(100));
    for key in [None, Some(long.as_str()), Some("A.B_C-12")] {
        let name = named("a.example", 0, "2026-11-21T08:00:00.000Z", None, key);
        assert!(name.len() <= 80, "{name}");
        assert!(
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            "{name}"
        );
    }
}

#[test]
fn what_starts_a_clock_is_what_its_function_reads() {
    let clock = Clock {
        ticket: "a.example~1".parse().unwrap(),
        run: 2,
        due_at: "2026-11-21T08:00:00.000Z".parse().unwrap(),
        told: vec!["close.1.calendar.60000".to_owned()],
    };
    let json = serde_json::to_value(&clock).unwrap();
    assert_eq!(json["due_at"], "2026-11-21T08:00:00.000Z");
    assert_eq!(serde_json::from_value::<Clock>(json).unwrap(), clock);
}
