//! Timers that fire late, twice and beside the deliveries that move what they wait for.
//!
//! A ticket's deliveries come in any order, each step of their executions whenever it likes, while timers fire: what is
//! recorded in the end is a function of what happened. The decisions are the program's own; only the store is a model.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::properties::{Doing, Telling, life};
use super::*;
use crate::fact::Fact;
use crate::sla::timer::{Breach, Timer, decide, missing};
use crate::sla::{Clock, Clocks};

/// Breaches that a timer records at once; few, so that it has to come again.
const AT_ONCE: usize = 1;
/// In milliseconds.
const SECOND: i64 = 1_000;

#[derive(Clone, Debug, Default)]
struct Stored {
    fact_count: usize,
    current: Vec<Clock>,
    timer: Option<Timer>,
    recorded: Vec<Breach>,
    revision: u32,
}

/// An execution that stores a delivery's facts and folds them.
#[derive(Clone, Debug)]
struct Writer {
    facts: Vec<Fact>,
    at: Writing,
    /// How often it is run again after its write, as if its answer had been lost.
    losses: u8,
}

#[derive(Clone, Debug)]
enum Writing {
    Arriving(i64),
    Entering,
    ReadingFacts {
        now: i64,
    },
    ReadingFold {
        now: i64,
        facts: Vec<Fact>,
    },
    Starting {
        now: i64,
        fold: Box<Ticket>,
        timer: Timer,
        name: Name,
    },
    Storing {
        now: i64,
        fold: Box<Ticket>,
        timer: Option<Timer>,
    },
    Done,
}

/// What makes the name of a timer's execution.
type Name = (u32, Time, Option<usize>);

#[derive(Clone, Debug)]
struct Waiting {
    name: Name,
    run: u32,
    told: Vec<String>,
    at: Firing,
}

#[derive(Clone, Debug)]
enum Firing {
    Waits(i64),
    ReadingFacts {
        now: i64,
    },
    ReadingFold {
        now: i64,
        facts: Vec<Fact>,
    },
    Recording {
        now: i64,
        revision: u32,
        breached: Vec<Clock>,
        next: Option<Time>,
    },
    Telling {
        told: Vec<String>,
        next: Option<Time>,
    },
    Done,
}

struct World<'a> {
    policy: &'a Policy,
    now: i64,
    facts: BTreeSet<Fact>,
    stored: Option<Stored>,
    writers: Vec<Writer>,
    timers: Vec<Waiting>,
    /// How often each breach was told.
    told: BTreeMap<String, u32>,
}

impl World<'_> {
    /// Lets an actor make its next step; whether it could.
    fn step(&mut self, actor: usize) -> bool {
        match actor.checked_sub(self.writers.len()) {
            None => self.write(actor),
            Some(timer) => self.fire(timer),
        }
    }

    fn actors(&self) -> usize {
        self.writers.len() + self.timers.len()
    }

    fn write(&mut self, index: usize) -> bool {
        let writer = &mut self.writers[index];
        writer.at = match writer.at.clone() {
            Writing::Arriving(at) if self.now < at => return false,
            Writing::Arriving(_) => {
                self.facts.extend(writer.facts.iter().cloned());
                Writing::Entering
            }
            Writing::Entering => Writing::ReadingFacts { now: self.now },
            Writing::ReadingFacts { now } => Writing::ReadingFold {
                now,
                facts: self.facts.iter().cloned().collect(),
            },
            Writing::ReadingFold { now, facts } => {
                let fold = Box::new(folding(&facts, self.policy));
                let before = self.stored.clone().unwrap_or_default();
                match missing(&fold.clocks, &before.recorded, before.timer, time(now)) {
                    None => Writing::Storing { now, fold, timer: None },
                    Some(wanted) => {
                        let timer = wanted.timer;
                        let name = (timer.run, timer.at, wanted.is_overdue.then_some(fold.fact_count));
                        Writing::Starting { now, fold, timer, name }
                    }
                }
            }
            Writing::Starting { now, fold, timer, name } => {
                if !self.timers.iter().any(|known| known.name == name) {
                    let at = Firing::Waits(timer.at.millis());
                    self.timers.push(Waiting {
                        name,
                        run: timer.run,
                        told: Vec::new(),
                        at,
                    });
                }
                Writing::Storing {
                    now,
                    fold,
                    timer: Some(timer),
                }
            }
            Writing::Storing { now, fold, timer } => {
                let stored = self.stored.get_or_insert_default();
                if fold.fact_count < stored.fact_count {
                    Writing::ReadingFacts { now }
                } else {
                    stored.fact_count = fold.fact_count;
                    stored.current = fold.clocks.current.clone();
                    stored.timer = timer.or(stored.timer);
                    match writer.losses.checked_sub(1) {
                        Some(losses) => {
                            writer.losses = losses;
                            Writing::ReadingFacts { now }
                        }
                        None => Writing::Done,
                    }
                }
            }
            Writing::Done => return false,
        };
        true
    }

    fn fire(&mut self, index: usize) -> bool {
        let timer = &mut self.timers[index];
        timer.at = match timer.at.clone() {
            // A Wait's Timestamp counts to the second.
            Firing::Waits(at) if self.now < at - at.rem_euclid(SECOND) => return false,
            Firing::Waits(_) => Firing::ReadingFacts { now: self.now },
            Firing::ReadingFacts { now } => Firing::ReadingFold {
                now,
                facts: self.facts.iter().cloned().collect(),
            },
            Firing::ReadingFold { now, facts } => match &self.stored {
                // The writer that started it has yet to store its fold.
                None => Firing::ReadingFacts { now },
                Some(stored) => {
                    let clocks: Clocks = folding(&facts, self.policy).clocks;
                    let decision = decide(&clocks, &stored.recorded, timer.run, time(now), AT_ONCE);
                    let again = decision.next.filter(|_| decision.breached.is_empty());
                    assert!(
                        again.is_none_or(|at| now < at.millis() - at.millis().rem_euclid(SECOND)),
                        "it looked in vain at {now} and looks again at once: {again:?}"
                    );
                    Firing::Recording {
                        now,
                        revision: stored.revision,
                        breached: decision.breached,
                        next: decision.next,
                    }
                }
            },
            Firing::Recording {
                breached, next: None, ..
            } if breached.is_empty() => Firing::Done,
            Firing::Recording {
                now,
                revision,
                breached,
                next,
            } => {
                let stored = self.stored.as_mut().expect("it was read");
                if stored.revision != revision {
                    Firing::ReadingFacts { now }
                } else {
                    stored.revision += 1;
                    stored.recorded.extend(breached.iter().map(|clock| Breach {
                        clock: clock.clone(),
                        recorded_at: time(now),
                        recorded_by: format!("{:?}", timer.name),
                    }));
                    if let Some(at) = next {
                        stored.timer = Some(Timer { run: timer.run, at });
                    }
                    let told = breached.iter().map(Clock::id).collect();
                    Firing::Telling { told, next }
                }
            }
            Firing::Telling { told, next } => {
                for id in told {
                    *self.told.entry(id.clone()).or_default() += 1;
                    timer.told.push(id);
                }
                next.map_or(Firing::Done, |next| Firing::Waits(next.millis()))
            }
            Firing::Done => return false,
        };
        true
    }

    /// Lets time pass until something is due; whether anything is.
    fn pass(&mut self) -> bool {
        let arriving = self.writers.iter().filter_map(|writer| match writer.at {
            Writing::Arriving(at) => Some(at),
            _ => None,
        });
        let waiting = self.timers.iter().filter_map(|timer| match timer.at {
            Firing::Waits(at) => Some(at - at.rem_euclid(SECOND)),
            _ => None,
        });
        // Due moments are looked at whether or not a timer is there for them.
        let ticket = folding(&self.facts, self.policy);
        let due = ticket.clocks.all().map(|clock| clock.due_at.millis() + SECOND);
        let next = arriving.chain(waiting).chain(due).filter(|at| self.now < *at).min();
        self.now = next.unwrap_or(self.now);
        next.is_some()
    }

    /// Lets everybody finish, deliveries before timers, and time pass only when nobody can do anything. At each such
    /// moment everything has been told that was to be told a second before.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        loop {
            while (0..self.actors()).filter(|actor| self.step(*actor)).count() != 0 {}
            let ticket = folding(&self.facts, self.policy);
            let by_now = time(self.now - SECOND);
            for clock in ticket.clocks.all().filter(|clock| clock.is_breached(by_now)) {
                let told = &self.told;
                prop_assert!(
                    told.contains_key(&clock.id()),
                    "{clock:?} at {}: {:#?}",
                    self.now,
                    self.timers
                );
            }
            if !self.pass() {
                return Ok(());
            }
        }
    }
}

fn folding<'a>(facts: impl IntoIterator<Item = &'a Fact>, policy: &Policy) -> Ticket {
    fold(facts, policy, &Categories::default())
}

/// Targets in all time or, but for some tickets, in that of a team which is now there and now not.
fn policy(time: &str) -> Policy {
    let rules = json!([
        { "close": "20m", "time": time },
        { "priority": "High", "first_start": "5m", "close": "10m", "time": time },
        { "priority": "Highest", "first_start": "1m", "close": "4m" },
    ]);
    let calendar = json!({ "zone": "UTC", "hours": ["08:03-08:10", "08:12-08:13", "08:30-16:00"] });
    serde_json::from_value(json!({ "calendar": calendar, "sla": rules })).expect("a policy")
}

fn any_policy() -> impl Strategy<Value = Policy> {
    prop::sample::select(vec!["calendar", "business"]).prop_map(policy)
}

fn breached(ticket: &Ticket) -> BTreeSet<String> {
    let breached = ticket.clocks.all().filter(|clock| clock.is_breached(Time::LAST));
    breached.map(Clock::id).collect()
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn every_breach_is_told_once_however_timers_and_deliveries_meet(
        life in life(&[Telling::Cloud, Telling::Server, Telling::Bodies], 0..900_000_i64, Just(0_i64)),
        delays in prop::collection::vec(prop_oneof![Just(0_i64), 0..2_000_000_i64], 12),
        losses in prop::collection::vec(0..2_u8, 12),
        deleted in prop::option::of(0..3_000_000_i64),
        schedule in prop::collection::vec(any::<u8>(), 0..120),
        policy in any_policy(),
    ) {
        let mut bodies = life.deliveries();
        let mut times: Vec<i64> = life.issues().iter().map(|issue| issue.at).collect();
        if let Some(after) = deleted {
            bodies.push(webhook("deleted", T0 + after, "10000"));
            times.push(T0 + after);
        }
        let writers = bodies.iter().zip(&times).enumerate().map(|(index, (body, at))| Writer {
            facts: event(body).facts,
            at: Writing::Arriving(at + delays[index]),
            losses: losses[index],
        });
        let mut world = World {
            policy: &policy,
            now: T0,
            facts: BTreeSet::new(),
            stored: None,
            writers: writers.collect(),
            timers: Vec::new(),
            told: BTreeMap::new(),
        };
        for choice in schedule {
            match usize::from(choice).checked_rem(world.actors() + 1) {
                Some(actor) if actor < world.actors() => { world.step(actor); }
                _ => { world.pass(); }
            }
        }
        world.finish()?;

        let ticket = folding(&world.facts, &policy);
        let stored = world.stored.expect("a delivery was folded");
        prop_assert_eq!(&stored.current, &ticket.clocks.current);
        let told: BTreeSet<String> = world.told.keys().cloned().collect();
        let breached = breached(&ticket);
        prop_assert!(breached.is_subset(&told), "{breached:?} happened, {told:?} were told: {:#?}", world.timers);
        prop_assert!(world.told.values().all(|count| *count == 1), "{:?}", world.told);
        let recorded: BTreeSet<String> = stored.recorded.iter().map(|breach| breach.clock.id()).collect();
        prop_assert_eq!(recorded, told);
    }

    #[test]
    fn what_is_told_of_deliveries_in_time_is_what_happened(
        life in life(&[Telling::Cloud, Telling::Server], 0..900_000_i64, Just(0_i64)),
        policy in any_policy(),
    ) {
        // A priority that is raised for a while may bring about a breach that its lowering takes back.
        let mut life = life;
        for (_, doing) in &mut life.doings {
            if matches!(doing, Doing::Prioritise(_)) {
                *doing = Doing::Edit;
            }
        }
        let bodies = life.deliveries();
        let times: Vec<i64> = life.issues().iter().map(|issue| issue.at).collect();
        let writers = bodies.iter().zip(times).map(|(body, at)| Writer {
            facts: event(body).facts,
            at: Writing::Arriving(at),
            losses: 0,
        });
        let mut world = World {
            policy: &policy,
            now: T0,
            facts: BTreeSet::new(),
            stored: None,
            writers: writers.collect(),
            timers: Vec::new(),
            told: BTreeMap::new(),
        };
        world.finish()?;
        let ticket = folding(&world.facts, &policy);
        prop_assert_eq!(world.told.into_keys().collect::<BTreeSet<_>>(), breached(&ticket));
        // One timer a run, and a few more where a due moment moved.
        prop_assert!(world.timers.len() <= 1 + ticket.reopen_count as usize, "{:#?}", world.timers);
    }
}

#[test]
fn a_known_timer_is_relied_on_only_if_it_fires_after_the_facts_and_before_the_due_moment() {
    let policy: Policy = serde_json::from_value(json!({ "sla": [{ "close": "1h" }] })).expect("a policy");
    let clocks = folded_by(&[created()], &policy).clocks;
    let due = T0 + 60 * MINUTE;
    let wanted = |known: Option<(u32, i64)>, now| {
        let known = known.map(|(run, at)| Timer { run, at: time(at) });
        missing(&clocks, &[], known, time(now)).map(|wanted| (wanted.timer.at.millis(), wanted.is_overdue))
    };
    assert_eq!(wanted(None, T0), Some((due, false)));
    assert_eq!(wanted(Some((0, due)), T0), None);
    assert_eq!(wanted(Some((0, due - MINUTE)), T0), None);
    assert_eq!(
        wanted(Some((0, due + SECOND)), T0),
        Some((due, false)),
        "it fires too late"
    );
    assert_eq!(wanted(Some((1, due)), T0), Some((due, false)), "it is another run's");
    assert_eq!(
        wanted(Some((0, T0 + 1_000)), T0),
        Some((due, false)),
        "it may have fired before the facts came"
    );
    assert_eq!(wanted(Some((0, due)), due), Some((due, true)), "it should have fired");
    let recorded = [Breach {
        clock: clocks.current[0].clone(),
        recorded_at: time(due),
        recorded_by: "timer".to_owned(),
    }];
    assert_eq!(missing(&clocks, &recorded, None, time(due + 1)), None);
}

#[test]
fn what_is_due_in_another_age_gets_no_timer() {
    let policy: Policy = serde_json::from_value(json!({ "sla": [{ "close": "1h" }] })).expect("a policy");
    let clocks = folded_by(&[created()], &policy).clocks;
    assert_eq!(missing(&clocks, &[], None, Time::FIRST), None);
}

#[test]
fn the_timer_of_an_earlier_run_leaves_the_present_one_to_its_own() {
    let policy: Policy = serde_json::from_value(json!({ "sla": [{ "close": "1h" }] })).expect("a policy");
    let bodies = [
        created(),
        change(T0 + MINUTE, 501, "10000", "10002"),
        change(T0 + 2 * MINUTE, 502, "10002", "3"),
    ];
    let clocks = folded_by(&bodies, &policy).clocks;
    let next = |run, now| decide(&clocks, &[], run, time(now), 10).next;
    let due = T0 + 62 * MINUTE;
    assert_eq!(next(1, T0 + 60 * MINUTE), Some(time(due)));
    assert_eq!(next(0, T0 + 60 * MINUTE), None);
    // Yet it records what it finds.
    assert_eq!(decide(&clocks, &[], 0, time(due), 10).breached.len(), 1);
}
