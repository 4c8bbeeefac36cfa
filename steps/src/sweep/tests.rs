use ticket::Time;

use super::unrecorded;
use crate::execution::Listed;
use crate::table::{Progress, Status};

fn listed(name: &str, redrives: u32) -> Listed {
    Listed {
        name: name.to_owned(),
        status: Status::Failed,
        redrives,
    }
}

fn known(name: &str, redrives: u32, status: Status) -> Progress {
    Progress {
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
