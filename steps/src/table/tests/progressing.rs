//! An execution that fails, is redriven, and is told of by events that come late, twice or never.
//!
//! Its steps record themselves; a status event is looked into when it comes, and recorded some time after that; a
//! redrive is recorded some time after it was made. In the end the sweep compares what is recorded with what is.

use super::super::progress::{FAILURE_GUARD, REDRIVE_GUARD, STEP_GUARD};
use super::super::{Progress, Status, Step};
use super::explore;
use super::expression::{Named, holds};
use ticket::Time;

/// Steps of the execution; the last one ends it.
const STEPS: u8 = 2;
/// How often it is redriven.
const LAST_ROUND: u64 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    machine: Machine,
    recorded: Option<Recorded>,
    /// Requests to the table that are under way, with what their senders knew when they sent them.
    sent: Vec<Request>,
    /// Status events that may still come, each a number of times.
    events: u8,
    failures: u8,
    losses: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Machine {
    round: u64,
    status: Status,
    /// The step it is at.
    step: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Recorded {
    round: u64,
    status: Status,
    /// Whether each step is recorded as done.
    done: [bool; STEPS as usize],
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Request {
    /// A step's record. The machine takes the answer only if it still waits for it.
    Step {
        round: u64,
        step: u8,
        status: Status,
    },
    Failure {
        round: u64,
        status: Status,
    },
    Redrive {
        round: u64,
    },
}

impl Recorded {
    fn item(&self) -> Named {
        Named::from([("redrives", self.round), ("status", self.status as u64)])
    }

    fn progress(&self) -> Progress {
        let at = Time::from_millis(0).unwrap();
        let steps = self.done.iter().enumerate().filter(|(_, done)| **done);
        let steps = steps.map(|(index, _)| Step {
            name: index.to_string(),
            status: Status::Succeeded,
            attempt: 1,
            started_at: at,
            finished_at: at,
            outcome: Some("done".to_owned()),
            error: None,
        });
        Progress {
            machine: crate::machines::Machine::default(),
            name: "name".to_owned(),
            ticket: None,
            status: self.status,
            redrives: u32::try_from(self.round).unwrap(),
            started_at: at,
            stopped_at: None,
            error: None,
            cause: None,
            steps: steps.collect(),
        }
    }
}

impl World {
    fn successors(&self) -> Vec<Self> {
        let mut next = Vec::new();
        let running = self.machine.status == Status::Running;
        let Machine { round, step, .. } = self.machine;
        if running
            && !self
                .sent
                .iter()
                .any(|sent| matches!(sent, Request::Step { round: r, .. } if *r == round))
        {
            let is_last = step + 1 == STEPS;
            let status = if is_last { Status::Succeeded } else { Status::Running };
            next.push(self.sending(Request::Step { round, step, status }));
        }
        if running && self.failures > 0 {
            // It fails, is stopped or times out, whether or not a step has done its work meanwhile.
            for status in [Status::Failed, Status::Aborted] {
                let mut after = self.clone();
                after.machine.status = status;
                after.failures -= 1;
                after.events += 2;
                next.push(after);
            }
        }
        if self.machine.status.is_failure() && self.machine.round < LAST_ROUND {
            let mut after = self.sending(Request::Redrive { round: round + 1 });
            after.machine = Machine {
                round: round + 1,
                status: Status::Running,
                step,
            };
            next.push(after);
        }
        if self.events > 0 {
            let mut lost = self.clone();
            lost.events -= 1;
            if self.machine.status.is_failure() {
                next.push(lost.sending(Request::Failure {
                    round,
                    status: self.machine.status,
                }));
            }
            next.push(lost);
        }
        for index in 0..self.sent.len() {
            next.extend(self.arriving(index));
        }
        next
    }

    fn sending(&self, request: Request) -> Self {
        let mut after = self.clone();
        after.sent.push(request);
        after.sent.sort();
        after
    }

    /// The worlds after a request has come to the table.
    fn arriving(&self, index: usize) -> Vec<Self> {
        let mut after = self.clone();
        let request = after.sent.remove(index);
        let item = self.recorded.as_ref().map(Recorded::item);
        let running = Status::Running as u64;
        let holds = |guard, round| {
            holds(
                guard,
                item.as_ref(),
                &Named::from([("redrives", round), ("running", running)]),
            )
        };
        let done = self
            .recorded
            .as_ref()
            .map_or([false; STEPS as usize], |recorded| recorded.done);
        match request {
            Request::Failure { round, status } => {
                if holds(FAILURE_GUARD, round) {
                    after.recorded = Some(Recorded { round, status, done });
                }
                vec![after]
            }
            Request::Redrive { round } => {
                if holds(REDRIVE_GUARD, round) {
                    after.recorded = Some(Recorded {
                        round,
                        status: Status::Running,
                        done,
                    });
                }
                vec![after]
            }
            Request::Step { round, step, status } => {
                let mut worlds = Vec::new();
                let answered = if holds(STEP_GUARD, round) {
                    let mut done = done;
                    done[usize::from(step)] = true;
                    after.recorded = Some(Recorded { round, status, done });
                    true
                } else {
                    let recorded = self.recorded.as_ref().expect("only a record refuses").progress();
                    recorded
                        .settled(u32::try_from(round).unwrap(), &step.to_string())
                        .is_some()
                };
                let waits = after.machine
                    == (Machine {
                        round,
                        status: Status::Running,
                        step,
                    });
                if waits && 0 < after.losses {
                    // The answer is lost: the machine will send the step again.
                    worlds.push(Self {
                        losses: after.losses - 1,
                        ..after.clone()
                    });
                }
                if waits && answered {
                    match step + 1 == STEPS {
                        true => after.machine.status = Status::Succeeded,
                        false => after.machine.step += 1,
                    }
                } else if waits {
                    panic!("a step was turned away from its own running execution: {self:?}");
                }
                worlds.push(after);
                worlds
            }
        }
    }

    /// What the sweep leaves.
    fn swept(&self) -> Option<(u64, Status)> {
        let recorded = self.recorded.as_ref().map(|recorded| (recorded.round, recorded.status));
        let actual = (self.machine.round, self.machine.status);
        if !self.machine.status.is_failure() || recorded == Some(actual) {
            return recorded;
        }
        let item = self.recorded.as_ref().map(Recorded::item);
        assert!(
            holds(FAILURE_GUARD, item.as_ref(), &Named::from([("redrives", actual.0)])),
            "not repaired: {self:?}"
        );
        Some(actual)
    }
}

#[test]
fn what_is_recorded_in_the_end_is_what_happened() {
    let machine = Machine {
        round: 0,
        status: Status::Running,
        step: 0,
    };
    let first = World {
        machine,
        recorded: None,
        sent: Vec::new(),
        events: 0,
        failures: 3,
        losses: 1,
    };
    let mut ends = std::collections::BTreeSet::new();
    let states = explore(first, World::successors, |world| {
        let actual = (world.machine.round, world.machine.status);
        assert_eq!(world.swept(), Some(actual), "{world:?}");
        ends.insert(actual);
    });
    assert!(
        1_000 < states,
        "only {states} states: the model has lost its interleavings"
    );
    for round in 0..=LAST_ROUND {
        assert!(
            ends.contains(&(round, Status::Succeeded)),
            "no execution succeeded in round {round}"
        );
    }
    assert!(ends.contains(&(LAST_ROUND, Status::Failed)));
}
