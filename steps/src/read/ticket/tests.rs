use ticket::Time;

use super::{WorkflowStatus, is_superseded, standing};
use crate::store::STORED;
use crate::table::{Progress, Status, Step};

fn executions(statuses: &[Status]) -> Vec<(String, Status)> {
    statuses.iter().map(|status| (String::new(), *status)).collect()
}

fn failed(outcomes: &[&str]) -> Progress {
    let at = Time::from_millis(0).unwrap();
    let step = |outcome: &&str| Step {
        name: String::new(),
        status: Status::Succeeded,
        attempt: 1,
        started_at: at,
        finished_at: at,
        outcome: Some((*outcome).to_owned()),
        error: None,
    };
    Progress {
        machine: crate::machines::Machine::default(),
        name: String::new(),
        ticket: None,
        status: Status::Failed,
        redrives: 0,
        started_at: at,
        stopped_at: Some(at),
        error: None,
        cause: None,
        steps: outcomes.iter().map(step).collect(),
    }
}

#[test]
fn a_ticket_is_active_while_anything_runs_and_else_what_came_last() {
    use Status::{Failed, Rejected, Running, Succeeded};
    let cases: [(&[Status], WorkflowStatus); 6] = [
        (&[], WorkflowStatus::Succeeded),
        (&[Succeeded], WorkflowStatus::Succeeded),
        (&[Succeeded, Running, Rejected], WorkflowStatus::Active),
        (&[Rejected, Succeeded], WorkflowStatus::Rejected),
        (&[Succeeded, Rejected], WorkflowStatus::Succeeded),
        // Superseded: else it would not come to this.
        (&[Failed, Rejected], WorkflowStatus::Succeeded),
    ];
    for (statuses, expected) in cases {
        assert_eq!(standing(&executions(statuses)), expected, "{statuses:?}");
    }
}

#[test]
fn a_failure_counts_until_its_facts_are_in_a_complete_fold() {
    assert!(!is_superseded(&failed(&["valid"]), true), "its facts were never stored");
    assert!(
        !is_superseded(&failed(&["valid", STORED]), false),
        "nobody has folded them"
    );
    assert!(is_superseded(&failed(&["valid", STORED]), true));
    let redriven = Progress {
        status: Status::Running,
        redrives: 1,
        ..failed(&[])
    };
    assert!(is_superseded(&redriven, false), "it is not failed any more");
}
