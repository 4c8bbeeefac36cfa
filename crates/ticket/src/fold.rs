//! The fold: what a set of facts makes of a ticket.

mod placed;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::categories::Categories;
use crate::chain::{self, Evidence, Known, Origin, Shown, first_between};
use crate::fact::{Category, Change, Fact, Field, Named, Snapshot, sha256_hex};
use crate::flat;
use crate::ids::IssueKey;
use crate::policy::{Done, Policy};
use crate::sla::{self, Clocks, Placed};
use crate::spent::Spent;
use crate::time::Time;

/// All that follows from the facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ticket {
    pub key: Option<IssueKey>,
    /// The keys it had before.
    pub aliases: BTreeSet<IssueKey>,
    pub project: Option<String>,
    pub priority: Option<Named>,
    pub priority_at_creation: Option<Named>,
    pub status: Option<Named>,
    pub resolution: Option<Named>,
    pub state: State,
    pub created_at: Option<Time>,
    /// When work on it first began: the first entry into a status of the category `indeterminate`, unless the policy says
    /// otherwise.
    pub started_at: Option<Time>,
    /// The entry into the last uninterrupted run of done statuses, if the ticket is still in it.
    pub closed_at: Option<Time>,
    /// The entry into the first such run.
    pub first_closed_at: Option<Time>,
    pub deleted_at: Option<Time>,
    /// How often it left such a run.
    pub reopen_count: u32,
    /// How many changes at least no event told of.
    pub gaps: u32,
    pub flags: BTreeSet<Flag>,
    /// Where it was, from when on, oldest first: the evidence behind every number.
    pub history: Vec<Stay>,
    /// How long it was where, but for the stay that lasts.
    pub spent: Spent,
    /// What its targets come to.
    pub clocks: Clocks,
    /// How many different facts this is the fold of.
    pub fact_count: usize,
    /// Which policy judged them.
    pub policy_version: u32,
    /// By which map of categories.
    pub map_version: u64,
    /// A status that the facts speak of is neither in the map nor in the policy: a later map may judge otherwise.
    pub awaits_category: bool,
}

/// A stay in a status, until the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stay {
    pub at: Time,
    pub status: Option<Named>,
    pub category: Option<Category>,
    /// Whether the policy calls it done; `None` where that cannot be told.
    pub done: Option<bool>,
    pub origin: Origin,
}

/// Where a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    Closed,
    /// Neither open nor closed; what comes later does not bring it back, unless it is only [`Flag::Missing`].
    Deleted,
    /// Its status, or the category of its status, is not known.
    Unknown,
}

/// What to know before relying on a ticket's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Events are missing; what they would have told is inferred.
    Incomplete,
    /// No body said when the issue was created.
    CreatedUnknown,
    /// Something happened before the creation; durations are cut off at zero.
    ClockSkew,
    /// Its status is done and it has no resolution, or the other way round.
    ResolutionMismatch,
    /// Two deliveries contradict each other about one change, or a body its own changelog.
    Conflict,
    /// Of a status it was in, the category is not known.
    StatusUnknown,
    /// A text is only the beginning of the one in Jira.
    TextCut,
    /// Jira has no such issue any more, or does not show it; nobody said that it was deleted. It counts as deleted from
    /// when that was noticed, until there is a sign of life.
    Missing,
}

/// Which rules this fold has: raised with every change of what it makes of the same facts, so that what was folded by
/// others is folded again.
pub const RULES_VERSION: u32 = 1;

/// Folds a ticket's facts.
///
/// A function of the *set* of facts, of the policy, and of the map of its site's categories: order and repetition of
/// the facts change nothing. O(n log n).
///
/// What the policy says of a status's category overrules the map, and the map what the ticket's own bodies say, which
/// are among those that taught it.
pub fn fold<'a>(facts: impl IntoIterator<Item = &'a Fact>, policy: &Policy, categories: &Categories) -> Ticket {
    let facts = Facts::of(facts.into_iter().collect());
    let created_at = facts.created.first().copied();
    let deleted_at = facts.deleted.or(facts.missing);

    let (key, aliases) = facts.keys();
    let project = facts.project(key.as_ref());
    let judge = Judge {
        policy,
        project: project.as_deref(),
        categories,
        own: &facts.categories,
    };

    let statuses = facts.statuses(created_at, &judge);
    let resolutions = facts.resolutions(created_at);
    let uses_resolution = matches!(policy.done, Done::Resolution | Done::Either | Done::Both);
    let history = judge.stays(&statuses, &resolutions, uses_resolution);

    let runs = Runs::of(&history);
    let current = history.last();
    let state = match current.and_then(|stay| stay.done) {
        _ if deleted_at.is_some() => State::Deleted,
        None => State::Unknown,
        Some(true) => State::Closed,
        Some(false) => State::Open,
    };
    let status = statuses
        .steps
        .last()
        .and_then(|step| facts.as_last_shown(step.value.as_ref()?));
    let resolution = resolutions.steps.last().and_then(|step| step.value.clone());
    let gaps = statuses.gaps + if uses_resolution { resolutions.gaps } else { 0 };

    let mut flags = BTreeSet::new();
    let mut flag = |flag: Flag, is_set: bool| is_set.then(|| flags.insert(flag));
    flag(
        Flag::Incomplete,
        0 < gaps || 0 < resolutions.excursions || facts.snapshots.iter().any(|snapshot| snapshot.changes_cut),
    );
    flag(Flag::CreatedUnknown, created_at.is_none());
    flag(Flag::Missing, facts.deleted.is_none() && facts.missing.is_some());
    flag(
        Flag::ClockSkew,
        created_at.is_some_and(|created| facts.earliest().is_some_and(|first| first < created)),
    );
    flag(
        Flag::Conflict,
        facts.conflict || 1 < facts.created.len() || statuses.disputed || resolutions.disputed,
    );
    let is_unknown = |status: &Option<Named>| status.as_ref().and_then(|status| judge.category(status)).is_none();
    flag(
        Flag::StatusUnknown,
        statuses.steps.is_empty() || statuses.steps.iter().any(|step| is_unknown(&step.value)),
    );
    let is_status_done = status.as_ref().and_then(|status| judge.is_status_done(status));
    let has_resolution = (!resolutions.steps.is_empty()).then_some(resolution.is_some());
    flag(
        Flag::ResolutionMismatch,
        is_status_done.is_some_and(|done| has_resolution.is_some_and(|resolved| done != resolved)),
    );

    let priority = facts.priority();
    let started_at = history.iter().find(|stay| judge.is_start(stay)).map(|stay| stay.at);
    let clocks = match policy.sla.is_empty() {
        true => Clocks::default(),
        false => {
            let now = Placed {
                project: project.clone(),
                priority: priority.as_ref().map(|priority| priority.label().to_owned()),
            };
            let life = sla::Life {
                created_at,
                started_at,
                deleted_at,
                history: &history,
                placed: &facts.placements(created_at, now),
            };
            sla::clocks(&life, policy)
        }
    };

    let mut ticket = Ticket {
        key,
        aliases,
        project,
        priority,
        priority_at_creation: facts.priority_at_creation(),
        status,
        resolution,
        state,
        created_at,
        started_at,
        closed_at: runs.closed_at.filter(|_| state == State::Closed),
        first_closed_at: runs.first_closed_at,
        deleted_at,
        reopen_count: runs.exits,
        gaps,
        flags,
        history,
        spent: Spent::default(),
        clocks,
        fact_count: facts.count,
        policy_version: policy.version,
        map_version: categories.version,
        awaits_category: facts
            .mentioned()
            .any(|status| !policy.categories.contains_key(status) && categories.category(status).is_none()),
    };
    ticket.spent = Spent::of(&ticket, policy.calendar.as_ref());
    ticket
}

/// The facts by kind, each once, each sorted by time.
struct Facts<'a> {
    count: usize,
    created: BTreeSet<Time>,
    deleted: Option<Time>,
    /// When it was first noticed that there is no sign of it any more.
    missing: Option<Time>,
    snapshots: Vec<&'a Snapshot>,
    changes: BTreeMap<Field, Vec<Change>>,
    /// By status: when its category was last said among these facts, and what it is.
    categories: BTreeMap<&'a str, (Time, Category)>,
    conflict: bool,
}

impl<'a> Facts<'a> {
    fn of(set: BTreeSet<&'a Fact>) -> Self {
        let mut facts = Self {
            count: set.len(),
            created: BTreeSet::new(),
            deleted: None,
            missing: None,
            snapshots: Vec::new(),
            changes: BTreeMap::new(),
            categories: BTreeMap::new(),
            conflict: false,
        };
        let mut told: Vec<&Change> = Vec::new();
        let mut completions = BTreeSet::new();
        let (mut found, mut missed) = (None, BTreeSet::new());
        // The set is sorted: snapshots by when they were observed, and all that is told about one change together.
        for fact in set {
            match fact {
                Fact::Created { at } => {
                    facts.created.insert(*at);
                }
                Fact::Change(change) => told.push(change),
                Fact::Snapshot(snapshot) => {
                    if let (Some(status), Some(category)) = (&snapshot.status, snapshot.category) {
                        facts.learn(status.identity(), snapshot.observed, category);
                    }
                    facts.snapshots.push(snapshot);
                }
                Fact::Category {
                    status,
                    category,
                    observed,
                } => facts.learn(status, *observed, *category),
                Fact::Completion { at, said } => {
                    completions.insert((*said, *at));
                }
                Fact::Deleted { at } => facts.deleted = Some(facts.deleted.map_or(*at, |deleted| deleted.min(*at))),
                Fact::Sought { at, found: true } => found = found.max(Some(*at)),
                Fact::Sought { at, found: false } => {
                    missed.insert(*at);
                }
            }
        }
        for told in told.chunk_by(|a, b| (a.field, &a.changelog, a.item) == (b.field, &b.changelog, b.item)) {
            let (change, is_contradicted) = agree(told);
            facts.conflict |= is_contradicted;
            facts.changes.entry(change.field).or_default().push(change);
        }
        if !completions.is_empty() {
            let changes = facts.changes.entry(Field::Status).or_default();
            changes.extend(flat::changes(&completions));
        }
        for changes in facts.changes.values_mut() {
            changes.sort_by(|a, b| a.order().cmp(&b.order()));
        }
        let alive = found.max(facts.latest());
        facts.missing = missed.into_iter().find(|at| alive < Some(*at));
        facts
    }

    fn learn(&mut self, status: &'a str, observed: Time, category: Category) {
        let learned = self.categories.entry(status).or_insert((observed, category));
        *learned = (*learned).max((observed, category));
    }

    fn changes(&self, field: Field) -> &[Change] {
        self.changes.get(&field).map_or(&[], Vec::as_slice)
    }

    /// Every status that a change or a body speaks of, some more than once.
    fn mentioned(&self) -> impl Iterator<Item = &str> {
        let changed = self.changes(Field::Status).iter();
        let changed = changed.flat_map(|change| change.from.iter().chain(&change.to));
        let shown = self.snapshots.iter().filter_map(|snapshot| snapshot.status.as_ref());
        changed.chain(shown).map(Named::identity)
    }

    /// When anything happened first, but for the creation.
    fn earliest(&self) -> Option<Time> {
        let change = self
            .changes
            .values()
            .filter_map(|changes| Some(changes.first()?.at))
            .min();
        let snapshot = self.snapshots.first().map(|snapshot| snapshot.observed);
        change.into_iter().chain(snapshot).chain(self.deleted).min()
    }

    /// When anything happened last that only a living issue does.
    fn latest(&self) -> Option<Time> {
        let changes = self.changes.values().filter_map(|changes| Some(changes.last()?.at));
        changes
            .chain(self.snapshots.last().map(|snapshot| snapshot.observed))
            .max()
    }

    fn statuses(&self, created: Option<Time>, judge: &Judge<'_>) -> chain::Chain {
        let shown: Vec<Shown<'_>> = self
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.status.is_some())
            .map(|snapshot| Shown {
                observed: snapshot.observed,
                value: snapshot.status.as_ref(),
                since: snapshot.category_changed,
            })
            .collect();
        let resolved = self.resolved();
        let mut category_changed: BTreeMap<Category, Vec<Time>> = BTreeMap::new();
        for snapshot in &self.snapshots {
            if let (Some(category), Some(at)) = (snapshot.category, snapshot.category_changed) {
                category_changed.entry(category).or_default().push(at);
            }
        }
        category_changed.values_mut().for_each(|times| times.sort_unstable());
        chain::walk(&Known {
            field: Field::Status,
            created,
            changes: self.changes(Field::Status),
            shown: &shown,
            is_late: &|status| judge.category(status).is_some_and(|category| category != Category::New),
            is_one_run: &|from, to| {
                judge
                    .category(from)
                    .is_some_and(|category| judge.category(to) == Some(category))
            },
            date: &|status, after, by| {
                let resolved = match judge.is_status_done(status) {
                    Some(true) => first_between(&resolved, after, by),
                    _ => None,
                };
                if let Some(at) = resolved {
                    return Some((at, Evidence::ResolutionDate));
                }
                let changed = category_changed.get(&judge.category(status)?)?;
                Some((first_between(changed, after, by)?, Evidence::CategoryChangeDate))
            },
        })
    }

    fn resolutions(&self, created: Option<Time>) -> chain::Chain {
        let said = self.snapshots.iter();
        let shown: Vec<Shown<'_>> = said
            .filter_map(|snapshot| {
                let value = snapshot.resolution.as_ref()?.as_ref();
                Some(Shown {
                    observed: snapshot.observed,
                    value,
                    since: snapshot.resolved,
                })
            })
            .collect();
        let resolved = self.resolved();
        chain::walk(&Known {
            field: Field::Resolution,
            // Without a body or a changelog that speaks of it, nothing is known, not even that there was none.
            created: created.filter(|_| !shown.is_empty() || !self.changes(Field::Resolution).is_empty()),
            changes: self.changes(Field::Resolution),
            shown: &shown,
            is_late: &|_| true,
            is_one_run: &|_, _| false,
            date: &|_, after, by| Some((first_between(&resolved, after, by)?, Evidence::ResolutionDate)),
        })
    }

    fn resolved(&self) -> Vec<Time> {
        let mut resolved: Vec<Time> = self.snapshots.iter().filter_map(|snapshot| snapshot.resolved).collect();
        resolved.sort_unstable();
        resolved
    }

    /// A status under the name that the newest body gives it: a changelog keeps old names and translates them.
    fn as_last_shown(&self, status: &Named) -> Option<Named> {
        let shown = self
            .snapshots
            .iter()
            .rev()
            .filter_map(|snapshot| snapshot.status.as_ref());
        let mut shown = shown.filter(|shown| shown.identity() == status.identity());
        shown.next().or(Some(status)).cloned()
    }

    fn priority(&self) -> Option<Named> {
        let change = self.changes(Field::Priority).last();
        let seen = self
            .snapshots
            .iter()
            .rev()
            .find_map(|snapshot| Some((snapshot.observed, snapshot.priority.as_ref()?)));
        match (change, seen) {
            (None, None) => None,
            (Some(change), Some((observed, seen))) if chain::TOLERANCE_MS < observed.since(change.at) => seen.clone(),
            (Some(change), _) => change.to.clone(),
            (None, Some((_, seen))) => seen.clone(),
        }
    }

    fn priority_at_creation(&self) -> Option<Named> {
        let change = self.changes(Field::Priority).first();
        let seen = self
            .snapshots
            .iter()
            .find_map(|snapshot| Some((snapshot.observed, snapshot.priority.as_ref()?)));
        match (change, seen) {
            (None, None) => None,
            (Some(change), Some((observed, seen))) if chain::TOLERANCE_MS < change.at.since(observed) => seen.clone(),
            (Some(change), _) if change.initial => change.to.clone(),
            (Some(change), _) => change.from.clone(),
            (None, Some((_, seen))) => seen.clone(),
        }
    }

    /// The key it has, and those it had.
    fn keys(&self) -> (Option<IssueKey>, BTreeSet<IssueKey>) {
        let key = |value: &Option<Named>| value.as_ref().and_then(|value| value.label().parse::<IssueKey>().ok());
        let changes = self.changes(Field::Key);
        let mut keys: BTreeSet<IssueKey> = changes
            .iter()
            .flat_map(|change| [&change.from, &change.to])
            .filter_map(key)
            .collect();
        keys.extend(self.snapshots.iter().filter_map(|snapshot| snapshot.key.clone()));
        let change = changes
            .iter()
            .rev()
            .find_map(|change| Some((change.at, key(&change.to)?)));
        let seen = self
            .snapshots
            .iter()
            .rev()
            .find_map(|snapshot| Some((snapshot.observed, snapshot.key.clone()?)));
        let current = match (change, seen) {
            (Some((at, _)), Some((observed, seen))) if at <= observed => Some(seen),
            (Some((_, key)), _) | (None, Some((_, key))) => Some(key),
            (None, None) => None,
        };
        if let Some(current) = &current {
            keys.remove(current);
        }
        (current, keys)
    }

    fn project(&self, key: Option<&IssueKey>) -> Option<String> {
        match key {
            Some(key) => Some(key.project().to_owned()),
            None => self
                .snapshots
                .iter()
                .rev()
                .find_map(|snapshot| snapshot.project.clone()),
        }
    }
}

/// What one change is, of all that was told about it; and whether that was contradictory.
///
/// Of different contents the one with the smallest hash, so that all agree, whatever came last. Of different times the
/// best clock's, and of one clock the earliest.
fn agree(told: &[&Change]) -> (Change, bool) {
    let content = |change: &Change| {
        let identity = |value: &Option<Named>| value.as_ref().map(|value| value.identity().to_owned());
        (identity(&change.from), identity(&change.to))
    };
    let contents: BTreeSet<_> = told.iter().map(|change| content(change)).collect();
    let chosen = contents.iter().min_by_key(sha256_hex);
    let change = told
        .iter()
        .filter(|change| Some(&content(change)) == chosen)
        .min_by_key(|change| (change.clock, change.at))
        .expect("a change was told by someone");
    (Change::clone(change), 1 < contents.len())
}

/// Decides what is done.
struct Judge<'a> {
    policy: &'a Policy,
    project: Option<&'a str>,
    categories: &'a Categories,
    /// What the ticket's own facts say, by status.
    own: &'a BTreeMap<&'a str, (Time, Category)>,
}

impl Judge<'_> {
    fn category(&self, status: &Named) -> Option<Category> {
        let status = status.identity();
        let configured = self.policy.categories.get(status).copied();
        configured
            .or_else(|| self.categories.category(status))
            .or_else(|| self.own.get(status).map(|(_, category)| *category))
    }

    /// Whether a status is done, leaving resolutions aside.
    fn is_status_done(&self, status: &Named) -> Option<bool> {
        if let (Done::StatusIds(projects), Some(project)) = (&self.policy.done, self.project)
            && let Some(done) = projects.get(project)
        {
            return Some(done.contains(status.identity()));
        }
        self.category(status).map(|category| category == Category::Done)
    }

    /// Whether work begins with this stay, if it did not before.
    fn is_start(&self, stay: &Stay) -> bool {
        self.policy.is_start(self.project, stay)
    }

    fn is_done(&self, status: Option<&Named>, has_resolution: Option<bool>) -> Option<bool> {
        let status = status.and_then(|status| self.is_status_done(status));
        match self.policy.done {
            Done::Category | Done::StatusIds(_) => status,
            Done::Resolution => has_resolution,
            Done::Either if status == Some(true) || has_resolution == Some(true) => Some(true),
            Done::Both if status == Some(false) || has_resolution == Some(false) => Some(false),
            Done::Either | Done::Both => status.and(has_resolution).and(status),
        }
    }

    /// The stays in each status; where resolutions count, also a new one where the resolution changed.
    fn stays(&self, statuses: &chain::Chain, resolutions: &chain::Chain, uses_resolution: bool) -> Vec<Stay> {
        let mut stays = Vec::new();
        let mut statuses = statuses.steps.iter().peekable();
        let mut resolutions = resolutions.steps.iter().filter(|_| uses_resolution).peekable();
        let (mut status, mut has_resolution) = (None, None);
        loop {
            let at = match (statuses.peek(), resolutions.peek()) {
                (None, None) => return stays,
                (Some(step), None) | (None, Some(step)) => step.at,
                (Some(status), Some(resolution)) => status.at.min(resolution.at),
            };
            let mut origin = None;
            if let Some(step) = resolutions.next_if(|step| step.at == at) {
                has_resolution = Some(step.value.is_some());
                origin = Some(step.origin.clone());
            }
            if let Some(step) = statuses.next_if(|step| step.at == at) {
                status = step.value.clone();
                origin = Some(step.origin.clone());
            }
            stays.push(Stay {
                at,
                category: status.as_ref().and_then(|status| self.category(status)),
                done: self.is_done(status.as_ref(), has_resolution),
                status: status.clone(),
                origin: origin.expect("one of the two has a step at the earlier of their times"),
            });
        }
    }
}

/// The uninterrupted runs of done stays.
#[derive(Default)]
struct Runs {
    first_closed_at: Option<Time>,
    /// The entry into the last run, whether or not it has ended.
    closed_at: Option<Time>,
    exits: u32,
}

impl Runs {
    fn of(history: &[Stay]) -> Self {
        let mut runs = Self::default();
        let mut was_done = false;
        for stay in history {
            let is_done = stay.done == Some(true);
            match (was_done, is_done) {
                (false, true) => {
                    runs.closed_at = Some(stay.at);
                    runs.first_closed_at = runs.first_closed_at.or(runs.closed_at);
                }
                (true, false) => runs.exits += 1,
                (true, true) | (false, false) => {}
            }
            was_done = is_done;
        }
        runs
    }
}
