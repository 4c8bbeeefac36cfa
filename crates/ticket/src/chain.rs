//! A field's values over time: the recorded changes, and the missing ones that other facts show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::fact::{Change, ChangelogId, Field, Named};
use crate::time::Time;

/// How far apart two clocks may be that tell of one moment. One closure shows four or five of them within 360 ms, and
/// a body is written out a little after the change it tells of, when the next change may be in it already.
pub const TOLERANCE_MS: i64 = 5_000;

/// From `at` on the field had this value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub value: Option<Named>,
    pub at: Time,
    pub origin: Origin,
}

/// How a step is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The value that the issue was created with.
    Created,
    /// A changelog tells of it.
    Recorded(ChangelogId),
    /// No event told of it; its time is the best there is.
    Inferred(Evidence),
}

/// What dates an inferred step, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    ResolutionDate,
    CategoryChangeDate,
    /// The earliest body that shows the value.
    Snapshot,
    /// It was no later than this.
    UpperBound,
}

/// A value seen in a body.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) observed: Time,
    pub(crate) value: Option<&'a Named>,
    /// Since when it is in its present run of values, as the body says.
    pub(crate) since: Option<Time>,
}

/// Dates a step to a value between two times, both included, by better evidence than what the bodies show.
pub(crate) type Date<'a> = dyn Fn(&Named, Time, Time) -> Option<(Time, Evidence)> + 'a;

/// What there is to know about one field; `changes` and `shown` sorted by time.
pub(crate) struct Known<'a> {
    pub(crate) field: Field,
    pub(crate) created: Option<Time>,
    pub(crate) changes: &'a [Change],
    pub(crate) shown: &'a [Shown<'a>],
    /// Whether a value is one that issues are not usually created with.
    pub(crate) is_late: &'a dyn Fn(&Named) -> bool,
    /// Whether a step from one value to another stays within a run, so that a body's `since` does not move.
    pub(crate) is_one_run: &'a dyn Fn(&Named, &Named) -> bool,
    pub(crate) date: &'a Date<'a>,
}

/// A field's steps, oldest first, and what is wrong with them.
#[derive(Default)]
pub(crate) struct Chain {
    pub(crate) steps: Vec<Step>,
    pub(crate) gaps: u32,
    /// How often it left its value and came back, and no event told of either.
    pub(crate) excursions: u32,
    /// A body showed another value than its own changelog said, and nothing has explained it since.
    pub(crate) disputed: bool,
}

fn identity(value: Option<&Named>) -> Option<&str> {
    value.map(Named::identity)
}

/// Walks through all that is known of a field, in the order of time.
///
/// Where a change starts from another value than the current one, or a body shows another, an event is missing: a step
/// is inferred. A body that is off by no more than [`TOLERANCE_MS`] says nothing against a changelog.
pub(crate) fn walk(known: &Known<'_>) -> Chain {
    Walk::new(known).run()
}

struct Walk<'a> {
    known: &'a Known<'a>,
    /// When changes speak of a value, sorted.
    mentions: BTreeMap<Option<&'a str>, Vec<Time>>,
    /// When bodies show a value, sorted.
    shown: BTreeMap<Option<&'a str>, Vec<Time>>,
    /// When a value was last left.
    left: BTreeMap<Option<String>, Time>,
    chain: Chain,
    /// Whether a changelog, not an inference, gave the current value.
    is_recorded: bool,
    /// When the present run of values began.
    run_since: Time,
}

impl<'a> Walk<'a> {
    fn new(known: &'a Known<'a>) -> Self {
        let mut mentions: BTreeMap<_, Vec<Time>> = BTreeMap::new();
        for change in known.changes {
            mentions
                .entry(identity(change.from.as_ref()))
                .or_default()
                .push(change.at);
            mentions
                .entry(identity(change.to.as_ref()))
                .or_default()
                .push(change.at);
        }
        let mut shown: BTreeMap<_, Vec<Time>> = BTreeMap::new();
        for seen in known.shown {
            shown.entry(identity(seen.value)).or_default().push(seen.observed);
        }
        Self {
            known,
            mentions,
            shown,
            left: BTreeMap::new(),
            chain: Chain::default(),
            is_recorded: false,
            run_since: Time::FIRST,
        }
    }

    fn run(mut self) -> Chain {
        // The changelog of the creation comes first, whatever its clock says.
        let first = self.known.changes.iter().position(|change| self.is_initial(change));
        if let Some(change) = first.map(|index| &self.known.changes[index]) {
            let at = self.known.created.unwrap_or(change.at);
            self.push(change.to.as_ref(), at, Origin::Created);
            self.is_recorded = true;
        } else if self.known.field == Field::Resolution {
            // Issues are created without one.
            if let Some(at) = self.known.created.or(self.first_time()) {
                self.push(None, at, Origin::Created);
            }
        }
        let changes = self.known.changes.iter().enumerate();
        let mut changes = changes
            .filter(|(index, _)| Some(*index) != first)
            .map(|(_, change)| change)
            .peekable();
        let mut shown = self.known.shown.iter().peekable();
        loop {
            match (changes.peek(), shown.peek()) {
                (Some(change), seen) if seen.is_none_or(|seen| change.at <= seen.observed) => {
                    self.change(change);
                    changes.next();
                }
                (_, Some(seen)) => {
                    self.seen(seen);
                    shown.next();
                }
                (_, None) => return self.chain,
            }
        }
    }

    /// Whether a change tells of the first value. A status is never nothing, so that one from nothing is the first.
    fn is_initial(&self, change: &Change) -> bool {
        change.initial || (self.known.field == Field::Status && change.from.is_none())
    }

    fn first_time(&self) -> Option<Time> {
        let change = self.known.changes.first().map(|change| change.at);
        let seen = self.known.shown.first().map(|seen| seen.observed);
        change.into_iter().chain(seen).min()
    }

    fn change(&mut self, change: &Change) {
        if !self.is_initial(change) {
            match self.chain.steps.last() {
                None => self.begin(change.from.as_ref(), change.at),
                Some(step) if identity(step.value.as_ref()) != identity(change.from.as_ref()) => {
                    self.infer(change.from.as_ref(), change.at);
                }
                Some(_) => {}
            }
        }
        let current = self.chain.steps.last().and_then(|step| step.value.as_ref());
        if self.chain.steps.is_empty() || identity(current) != identity(change.to.as_ref()) {
            self.push(
                change.to.as_ref(),
                change.at,
                Origin::Recorded(change.changelog.clone()),
            );
        }
        self.is_recorded = true;
    }

    fn seen(&mut self, seen: &Shown<'a>) {
        let value = identity(seen.value);
        // A body that was written out after the next change was made.
        let is_ahead = self.mentions.get(&value).is_some_and(|times| {
            let next = times.partition_point(|time| *time <= seen.observed);
            times
                .get(next)
                .is_some_and(|time| time.since(seen.observed) <= TOLERANCE_MS)
        });
        let Some(current) = self.chain.steps.last() else {
            if !is_ahead {
                self.begin(seen.value, seen.observed);
                self.compare_run(seen);
            }
            return;
        };
        if is_ahead {
            return;
        }
        if identity(current.value.as_ref()) == value {
            return self.compare_run(seen);
        }
        let is_behind = |left: &Time| seen.observed.since(*left) <= TOLERANCE_MS;
        if self.left.get(&value.map(str::to_owned)).is_some_and(is_behind) {
            return;
        }
        if self.is_recorded && seen.observed.since(current.at) <= TOLERANCE_MS {
            self.chain.disputed = true;
            return;
        }
        self.infer(seen.value, seen.observed);
    }

    /// Where a body shows the current value, but says that it came to it later than is known, it has been elsewhere in
    /// between: two events are missing.
    fn compare_run(&mut self, seen: &Shown<'_>) {
        let Some(since) = seen.since.filter(|since| *since <= seen.observed) else {
            return;
        };
        // A step that is known explains it, also where the category of its status was another one then.
        let steps = &self.chain.steps;
        let next = steps.partition_point(|step| step.at.since(since) < -TOLERANCE_MS);
        let is_known = steps.get(next).is_some_and(|step| step.at.since(since) <= TOLERANCE_MS);
        if is_known || since < self.run_since {
            return;
        }
        let origin = match self.known.field {
            Field::Resolution => Origin::Inferred(Evidence::ResolutionDate),
            _ => Origin::Inferred(Evidence::CategoryChangeDate),
        };
        self.chain.gaps += 2;
        self.chain.excursions += 1;
        self.push(None, since, origin.clone());
        self.push(seen.value, since, origin);
        self.is_recorded = false;
    }

    /// The first value known, shown at `by`: that of the creation, unless it is one that a ticket only comes to, and
    /// nothing shows that this one was created with it.
    fn begin(&mut self, value: Option<&Named>, by: Time) {
        let created = self.known.created;
        let is_of_creation = |time: Time| created.is_some_and(|created| time.since(created) <= TOLERANCE_MS);
        if !value.is_some_and(self.known.is_late) {
            return self.push(value, created.unwrap_or(by), Origin::Created);
        }
        let (at, evidence) = self.dated(value, created.unwrap_or(Time::FIRST), by);
        if is_of_creation(at) {
            return self.push(value, created.unwrap_or(at), Origin::Created);
        }
        self.chain.gaps += 1;
        self.push(value, at, Origin::Inferred(evidence));
        self.is_recorded = false;
    }

    /// A step that no event told of, made by `by`.
    fn infer(&mut self, value: Option<&Named>, by: Time) {
        let after = self.chain.steps.last().map_or(Time::FIRST, |step| step.at);
        let (at, evidence) = self.dated(value, after, by);
        self.chain.gaps += 1;
        self.push(value, at, Origin::Inferred(evidence));
        self.is_recorded = false;
    }

    fn dated(&self, value: Option<&Named>, after: Time, by: Time) -> (Time, Evidence) {
        let better = value.and_then(|value| (self.known.date)(value, after, by));
        better
            .or_else(|| {
                let times = self.shown.get(&identity(value))?;
                Some((first_between(times, after, by)?, Evidence::Snapshot))
            })
            .unwrap_or((by, Evidence::UpperBound))
    }

    /// Goes on to a value. Steps never go back in time: a clock that was behind is taken to the step before.
    fn push(&mut self, value: Option<&Named>, at: Time, origin: Origin) {
        let mut at = at;
        let mut is_one_run = false;
        if let Some(last) = self.chain.steps.last() {
            at = at.max(last.at);
            let left = identity(last.value.as_ref()).map(str::to_owned);
            self.left.insert(left, at);
            is_one_run = last
                .value
                .as_ref()
                .zip(value)
                .is_some_and(|(from, to)| (self.known.is_one_run)(from, to));
        }
        if !is_one_run {
            self.run_since = at;
        }
        self.chain.steps.push(Step {
            value: value.cloned(),
            at,
            origin,
        });
    }
}

/// The first of the sorted times that lies between two others, both included.
pub(crate) fn first_between(times: &[Time], after: Time, by: Time) -> Option<Time> {
    let first = times.partition_point(|time| *time < after);
    times.get(first).copied().filter(|time| *time <= by)
}
