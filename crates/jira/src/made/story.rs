//! Invented issues and what becomes of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use ticket::Time;

use super::issue::{Issue, PRIORITIES, Status};

const MINUTE_MS: f64 = 60_000.0;
const HOUR_MS: f64 = 60.0 * MINUTE_MS;

/// How often each priority is given, in the order of [`PRIORITIES`].
const PRIORITY_WEIGHTS: [f64; PRIORITIES.len()] = [0.08, 0.22, 0.45, 0.18, 0.07];
/// How often an issue is closed without ever being started, straight from where it was created.
const NEVER_STARTED: f64 = 0.08;
/// How often nobody ever closes it.
const NEVER_CLOSED: f64 = 0.10;
const REVIEWED: f64 = 0.35;
const REPRIORITISED: f64 = 0.12;
/// How often work is laid down again before it is done.
const LAID_DOWN: f64 = 0.06;
/// How often a closed issue is opened again, each time.
const REOPENED: f64 = 0.12;

/// The first issue's number in its project, and what ids and changelogs begin after.
const FIRST_ID: u64 = 10_000;

const SUBJECTS: [&str; 12] = [
    "The basket",
    "Checkout",
    "The order list",
    "The invoice",
    "Login",
    "Search",
    "The newsletter form",
    "The stock report",
    "The payment page",
    "The mobile menu",
    "The export",
    "The address book",
];
const TROUBLES: [&str; 12] = [
    "forgets its last item",
    "is slow in the morning",
    "shows yesterday's prices",
    "loses the discount",
    "answers with an empty page",
    "ignores the chosen language",
    "counts one order twice",
    "breaks on long names",
    "cannot be reached by keyboard",
    "rounds the tax wrongly",
    "hangs after a time-out",
    "mixes up time zones",
];

/// What somebody does to an issue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    Create,
    Transition(Status),
    Prioritise(usize),
}

/// Something that happened to an issue.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    pub at: Time,
    pub act: Act,
    /// As it is from then on.
    pub issue: Issue,
}

/// Issues and their lives, in the order of time, without end.
///
/// Issues are created as a Poisson process: the pauses between them are drawn from the exponential distribution whose
/// mean is exactly what the rate asks for, and each is added to when the one before was due, so that no error adds up.
#[derive(Clone, Debug)]
pub struct Stories {
    rng: StdRng,
    start: Time,
    mean_pause_ms: f64,
    /// When the next issue is created, in milliseconds from the start; unrounded.
    next_creation_ms: f64,
    project: String,
    created: u64,
    changelogs: u64,
    /// What is to come of the issues there are, the earliest first.
    planned: BinaryHeap<Reverse<(Time, u64, u64)>>,
    acts: BTreeMap<u64, Act>,
    plans: u64,
    issues: BTreeMap<u64, (Issue, usize)>,
}

impl Stories {
    /// Stories from `start` on, in which `per_hour` issues are created an hour on average.
    pub fn new(seed: u64, start: Time, per_hour: f64, project: &str) -> Self {
        let mut stories = Self {
            rng: StdRng::seed_from_u64(seed),
            start,
            mean_pause_ms: HOUR_MS / per_hour,
            next_creation_ms: 0.0,
            project: project.to_owned(),
            created: 0,
            changelogs: 0,
            planned: BinaryHeap::new(),
            acts: BTreeMap::new(),
            plans: 0,
            issues: BTreeMap::new(),
        };
        stories.next_creation_ms = stories.exponential(stories.mean_pause_ms);
        stories
    }

    /// How many issues there have been.
    pub fn created(&self) -> u64 {
        self.created
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        // 1 - u is never 0, of which there is no logarithm.
        -mean * (1.0 - self.rng.random::<f64>()).ln()
    }

    fn happens(&mut self, probability: f64) -> bool {
        self.rng.random::<f64>() < probability
    }

    fn at(&self, ms: f64) -> Time {
        self.start.saturating_add(ms as i64)
    }

    fn changelog(&mut self) -> u64 {
        self.changelogs += 1;
        FIRST_ID + self.changelogs
    }

    fn create(&mut self) -> Happening {
        let at = self.at(self.next_creation_ms);
        self.next_creation_ms += self.exponential(self.mean_pause_ms);
        self.created += 1;
        let subject = SUBJECTS.choose(&mut self.rng).copied().unwrap_or_default();
        let trouble = TROUBLES.choose(&mut self.rng).copied().unwrap_or_default();
        let issue = Issue {
            id: FIRST_ID + self.created,
            project: self.project.clone(),
            number: self.created,
            summary: format!("{subject} {trouble}"),
            description: format!("{subject} {trouble}. Made up by ticketflow create-tickets."),
            priority: self.priority(),
            status: Status::TO_DO,
            created: at,
            updated: at,
            category_changed: at,
            resolved: None,
            histories: Vec::new(),
            creation: self.changelog(),
        };
        let acts = self.plan(&issue);
        if !acts.is_empty() {
            self.issues.insert(issue.id, (issue.clone(), acts.len()));
        }
        for (at, act) in acts {
            self.plans += 1;
            self.planned.push(Reverse((at, self.plans, issue.id)));
            self.acts.insert(self.plans, act);
        }
        Happening {
            at,
            act: Act::Create,
            issue,
        }
    }

    fn priority(&mut self) -> usize {
        let mut left = self.rng.random::<f64>();
        let place = PRIORITY_WEIGHTS.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        place.unwrap_or(PRIORITIES.len() - 1)
    }

    /// What becomes of an issue, in the order of time: urgent ones are started sooner.
    fn plan(&mut self, issue: &Issue) -> Vec<(Time, Act)> {
        let urgency = [0.2, 0.5, 1.0, 2.0, 4.0][issue.priority];
        let mut at = issue.created.since(self.start) as f64;
        let mut acts = Vec::new();
        if self.happens(REPRIORITISED) {
            let others: Vec<usize> = (0..PRIORITIES.len()).filter(|other| *other != issue.priority).collect();
            at += self.exponential(20.0 * MINUTE_MS);
            let to = others.choose(&mut self.rng).copied().unwrap_or_default();
            acts.push((self.at(at), Act::Prioritise(to)));
        }
        if self.happens(NEVER_STARTED) {
            at += self.exponential(3.0 * HOUR_MS);
            acts.push((self.at(at), Act::Transition(Status::DONE)));
            return acts;
        }
        at += self.exponential(urgency * HOUR_MS);
        loop {
            acts.push((self.at(at), Act::Transition(Status::IN_PROGRESS)));
            at += self.exponential(2.0 * HOUR_MS);
            if self.happens(LAID_DOWN) {
                acts.push((self.at(at), Act::Transition(Status::TO_DO)));
                at += self.exponential(4.0 * HOUR_MS);
                continue;
            }
            if self.happens(NEVER_CLOSED) {
                return acts;
            }
            if self.happens(REVIEWED) {
                acts.push((self.at(at), Act::Transition(Status::IN_REVIEW)));
                at += self.exponential(HOUR_MS);
            }
            acts.push((self.at(at), Act::Transition(Status::DONE)));
            if !self.happens(REOPENED) {
                return acts;
            }
            at += self.exponential(6.0 * HOUR_MS);
            acts.push((self.at(at), Act::Transition(Status::TO_DO)));
            at += self.exponential(HOUR_MS);
        }
    }

    /// Does what is planned next.
    fn go_on(&mut self) -> Option<Happening> {
        let Reverse((at, plan, id)) = self.planned.pop()?;
        let act = self.acts.remove(&plan)?;
        let changelog = self.changelog();
        let (mut issue, left) = self.issues.remove(&id)?;
        match act {
            Act::Create => {}
            Act::Transition(to) => issue.transition(changelog, to, at),
            Act::Prioritise(to) => issue.prioritise(changelog, to, at),
        }
        if 1 < left {
            self.issues.insert(id, (issue.clone(), left - 1));
        }
        Some(Happening { at, act, issue })
    }
}

impl Iterator for Stories {
    type Item = Happening;

    fn next(&mut self) -> Option<Happening> {
        let creation = self.at(self.next_creation_ms);
        match self.planned.peek() {
            Some(Reverse((at, ..))) if *at < creation => self.go_on(),
            _ => Some(self.create()),
        }
    }
}
