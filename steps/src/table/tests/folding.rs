//! Several executions of one ticket, each with a fact of its own, at once.
//!
//! An execution teaches the site's map or reads its version, puts its fact, reads all facts in pages, writes their fold,
//! and measures it if the ticket is closed. Any of its steps may lose its answer and be run again, functions of two
//! policy versions may be at work, and each has the map at hand that it read last. A recompute may come at any time
//! after the first fold; it folds and measures in one write.

use std::collections::BTreeSet;

use super::super::ticket::{DURATIONS_GUARD, FOLD_GUARD};
use super::explore;
use super::expression::{Named, holds};

/// A set of facts, a bit each. Bit 0 comes first among the sort keys.
type Facts = u8;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    facts: Facts,
    /// The version of the site's map.
    map: u64,
    fold: Option<Fold>,
    writers: Vec<Writer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Fold {
    of: Facts,
    /// Which writer's it is.
    by: u64,
    policy: u64,
    map: u64,
    /// Of which facts the durations are.
    measured: Option<Facts>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Writer {
    /// None for a recompute.
    fact: Facts,
    at: At,
    policy: u64,
    /// Its event shows a status that the map does not know.
    teaches: bool,
    /// The map at hand.
    map: u64,
    /// How often one of its answers may still be lost.
    losses: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum At {
    Teach,
    Put,
    /// Reads a page; has read the pages before.
    Read {
        page: usize,
        seen: Facts,
    },
    WriteFold {
        seen: Facts,
    },
    /// The fold that was written, as far as ComputeDuration is told.
    ReadFold {
        wanted: Version,
    },
    WriteDurations {
        wanted: Version,
        of: Facts,
    },
    Done,
}

/// The pages a query comes in: which facts are on each.
const PAGES: [Facts; 2] = [0b0011, 0b1100];

fn count(facts: Facts) -> u64 {
    u64::from(facts.count_ones())
}

/// Fact count, policy and map of a fold.
type Version = (u64, u64, u64);

fn named((facts, policy, map): Version, by: u64) -> Named {
    Named::from([
        ("folded_by", by),
        ("fact_count", facts),
        ("rules_version", 1),
        ("policy_version", policy),
        ("map_version", map),
        ("texts_revision", 0),
    ])
}

impl Fold {
    fn version(&self) -> Version {
        (count(self.of), self.policy, self.map)
    }
}

struct Model {
    /// Which sets of facts are those of a closed ticket.
    closed: BTreeSet<Facts>,
    /// The policy that functions have once they are deployed.
    newest_policy: u64,
}

impl Model {
    fn successors(&self, world: &World) -> Vec<World> {
        let mut next = Vec::new();
        for index in 0..world.writers.len() {
            let mut after = world.clone();
            if self.go(&mut after, index) {
                if let Some(before) = lost(world, &after, index) {
                    next.push(before);
                }
                next.push(after);
            }
        }
        next
    }

    /// Lets a writer make its next request. `false` if it is done.
    fn go(&self, world: &mut World, index: usize) -> bool {
        let World {
            facts,
            map,
            fold,
            writers,
        } = world;
        let (writer, by) = (&mut writers[index], index as u64);
        let recomputes = writer.fact == 0;
        if recomputes && fold.is_none() {
            return false;
        }
        let item = fold.as_ref().map(|fold| named(fold.version(), fold.by));
        writer.at = match writer.at.clone() {
            At::Teach => {
                // Known by then, if it was taught before and only the answer was lost.
                *map += u64::from(std::mem::take(&mut writer.teaches));
                writer.map = *map;
                At::Put
            }
            At::Put => {
                *facts |= writer.fact;
                At::Read { page: 0, seen: 0 }
            }
            At::Read { page, seen } => {
                let seen = seen | (*facts & PAGES[page]);
                match page + 1 < PAGES.len() {
                    true => At::Read { page: page + 1, seen },
                    false => At::WriteFold { seen },
                }
            }
            At::WriteFold { seen } => {
                let version = (count(seen), writer.policy, writer.map);
                if holds(FOLD_GUARD, item.as_ref(), &named(version, by)) {
                    if let Some(stored) = fold {
                        let (facts, policy, map) = stored.version();
                        assert!(facts <= version.0, "a fold shrank");
                        assert!(
                            policy <= version.1 && map <= version.2,
                            "an older judgement overruled a newer"
                        );
                    }
                    let measured = fold.as_ref().and_then(|fold| fold.measured);
                    // Durations of the same facts hold; ComputeDuration writes them again all the same.
                    let measured = measured.filter(|measured| *measured == seen);
                    let measured = if recomputes { Some(seen) } else { measured };
                    *fold = Some(Fold {
                        of: seen,
                        by,
                        policy: writer.policy,
                        map: writer.map,
                        measured,
                    });
                    match self.closed.contains(&seen) && !recomputes {
                        true => At::ReadFold { wanted: version },
                        false => At::Done,
                    }
                } else {
                    let stored = fold.as_ref().expect("only a stored fold refuses");
                    if writer.policy < stored.policy {
                        // PolicyOutdated, retried until the function is deployed.
                        writer.policy = self.newest_policy;
                    }
                    if writer.map < stored.map {
                        writer.map = *map;
                    }
                    At::Read { page: 0, seen: 0 }
                }
            }
            At::ReadFold { wanted } => match fold {
                Some(fold) if (fold.version(), fold.by) == (wanted, by) => At::WriteDurations { wanted, of: fold.of },
                // It is superseded: another execution has folded more, and will measure it.
                _ => At::Done,
            },
            At::WriteDurations { wanted, of } => {
                if holds(DURATIONS_GUARD, item.as_ref(), &named(wanted, by)) {
                    let fold = fold.as_mut().expect("the guard compares with a stored fold");
                    assert_eq!(fold.of, of, "durations of other facts than those of the fold");
                    fold.measured = Some(of);
                }
                At::Done
            }
            At::Done => return false,
        };
        true
    }

    fn check(&self, world: &World) {
        let fold = world.fold.as_ref().expect("someone wrote a fold");
        assert_eq!(fold.of, world.facts, "not all facts are in the fold: {world:?}");
        let newest = world.writers.iter().map(|writer| writer.policy).max();
        assert_eq!(
            Some(fold.policy),
            newest,
            "an older policy was the last to judge: {world:?}"
        );
        assert_eq!(fold.map, world.map, "an older map was the last to judge: {world:?}");
        if self.closed.contains(&fold.of) {
            assert_eq!(fold.measured, Some(fold.of), "closed, but not measured: {world:?}");
        }
    }
}

/// The world in which a writer's request was served, but its answer lost: the writer begins its step again.
fn lost(before: &World, after: &World, index: usize) -> Option<World> {
    let writer = &before.writers[index];
    let again = match &writer.at {
        At::Teach | At::Put => At::Teach,
        At::Read { .. } | At::WriteFold { .. } => At::Read { page: 0, seen: 0 },
        At::ReadFold { wanted } | At::WriteDurations { wanted, .. } => At::ReadFold { wanted: *wanted },
        At::Done => return None,
    };
    let mut world = after.clone();
    let losses = writer.losses.checked_sub(1)?;
    world.writers[index] = Writer {
        at: again,
        losses,
        ..after.writers[index].clone()
    };
    Some(world)
}

/// `teachers` has a bit for each writer whose event shows an unknown status.
fn run(writers: &[(Facts, u64)], teachers: u8, losses: u8, closed: BTreeSet<Facts>) -> usize {
    let writer = |(index, &(fact, policy)): (usize, &(Facts, u64))| Writer {
        fact,
        at: At::Teach,
        policy,
        teaches: teachers & (1 << index) != 0,
        map: 0,
        losses,
    };
    let first = World {
        facts: 0,
        map: 0,
        fold: None,
        writers: writers.iter().enumerate().map(writer).collect(),
    };
    let newest_policy = writers.iter().map(|(_, policy)| *policy).max().unwrap_or_default();
    let model = Model { closed, newest_policy };
    explore(first, |world| model.successors(world), |world| model.check(world))
}

/// All ways in which tickets may be closed by some of the sets of these facts.
fn closings(all: Facts) -> impl Iterator<Item = BTreeSet<Facts>> {
    let sets: Vec<Facts> = (1..=all).filter(|set| set & !all == 0).collect();
    (0..1_u32 << sets.len()).map(move |chosen| {
        let chosen = |(index, _): &(usize, &Facts)| chosen & (1 << index) != 0;
        sets.iter().enumerate().filter(chosen).map(|(_, set)| *set).collect()
    })
}

#[test]
fn two_writers_that_lose_answers_leave_the_whole_ticket_measured() {
    // The facts' pages in both orders: a writer may read past the place where the other's fact is put later.
    for writers in [
        [(0b0001, 1), (0b0100, 1)],
        [(0b0100, 1), (0b0001, 1)],
        [(0b0001, 1), (0b0010, 1)],
    ] {
        for closed in closings(writers[0].0 | writers[1].0) {
            let states = run(&writers, 0b10, 2, closed);
            assert!(
                300 < states,
                "only {states} states: the model has lost its interleavings"
            );
        }
    }
}

#[test]
fn the_same_delivery_twice_is_one() {
    for closed in closings(0b0001) {
        run(&[(0b0001, 1), (0b0001, 1)], 0b01, 1, closed);
    }
}

#[test]
fn three_writers_leave_the_whole_ticket_measured() {
    for closed in [[0b0111], [0b0001], [0b0101]] {
        run(&[(0b0001, 1), (0b0100, 1), (0b0010, 1)], 0b110, 0, closed.into());
    }
}

#[test]
fn a_recompute_beside_two_writers_leaves_the_whole_ticket_judged_anew() {
    for writers in [[(0b0001, 1), (0b0100, 1), (0, 2)], [(0b0100, 1), (0b0001, 2), (0, 2)]] {
        for closed in closings(0b0101) {
            let states = run(&writers, 0b10, 0, closed);
            assert!(
                300 < states,
                "only {states} states: the model has lost its interleavings"
            );
        }
    }
}

#[test]
fn a_later_policy_or_map_is_never_overruled_by_an_earlier_one() {
    for writers in [[(0b0001, 1), (0b0100, 2)], [(0b0001, 2), (0b0100, 1)]] {
        for closed in closings(0b0101) {
            for teachers in 0b00..=0b11 {
                run(&writers, teachers, 2, closed.clone());
            }
        }
    }
}
