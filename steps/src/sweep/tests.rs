use ticket::Time;

use super::{REDRIVABLE_MS, REST_MS, is_rested, unrecorded};
use crate::execution::Listed;
use crate::machines::Machine;
use crate::table::{Progress, Status};

fn listed(name: &str, redrives: u32) -> Listed {
    Listed {
        name: name.to_owned(),
        status: Status::Failed,
        redrives,
        stopped_at: Some(Time::from_millis(0).unwrap()),
    }
}

fn known(name: &str, redrives: u32, status: Status) -> Progress {
    Progress {
        machine: Machine::default(),
        name: name.to_owned(),
        ticket: None,
        status,
        redrives,
        started_at: Time::from_millis(0).unwrap(),
        stopped_at: None,
        error: None,
        cause: None,
        steps: Vec::new(),
    }
}

#[test]
fn only_what_progress_does_not_say_is_repaired() {
    let listed = ["lost", "told", "unheard-of", "redriven", "failed-again", "mistaken"]
        .map(|name| listed(name, u32::from(name == "failed-again")));
    let known = [
        known("lost", 0, Status::Running),
        known("told", 0, Status::Failed),
        known("redriven", 1, Status::Running),
        known("failed-again", 0, Status::Failed),
        // Its last step recorded success, but its answer never arrived.
        known("mistaken", 0, Status::Succeeded),
    ];
    assert_eq!(
        unrecorded(&listed, &known),
        ["lost", "unheard-of", "failed-again", "mistaken"]
    );
}

#[test]
fn a_timer_that_fails_again_rests_longer_each_time_and_not_for_ever() {
    let is_rested =
        |redrives, minutes: i64| is_rested(&listed("clock", redrives), Time::from_millis(minutes * 60_000).unwrap());
    // At once, also by a clock that is ahead of this one.
    assert!(is_rested(0, 0) && is_rested(0, -5));
    let rest = |redrives| (0..).find(|minutes| is_rested(redrives, *minutes)).unwrap();
    assert_eq!([1, 2, 3, 4].map(rest), [5, 10, 20, 40]);
    assert_eq!([8, 9, 1_000, u32::MAX].map(rest), [640; 4]);
    assert_eq!(rest(1) * 60_000, REST_MS);
    let last = REDRIVABLE_MS / 60_000;
    assert!(is_rested(0, last - 1) && !is_rested(0, last) && !is_rested(30, last));
    let unknown = Listed {
        stopped_at: None,
        ..listed("clock", 0)
    };
    assert!(!super::is_rested(&unknown, Time::from_millis(0).unwrap()));
}
