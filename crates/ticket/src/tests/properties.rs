//! Generated lives of issues, told by a Jira of our own, and lost, doubled and shuffled on the way.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::*;
use crate::chain::{Origin, TOLERANCE_MS};
use crate::fact::{Category, Change, ChangelogId, Clock, Fact, Field, Named, Snapshot};
use crate::policy::Done;
use crate::{Flag, State, durations, times};

pub(super) const STATUSES: [&str; 6] = ["10000", "10001", "3", "10010", "10002", "10003"];

fn is_done(status: &str) -> bool {
    ["10002", "10003"].contains(&status)
}

/// What somebody does to an issue.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    Move(usize),
    Prioritise(usize),
    Edit,
}

/// Which Jira tells of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Telling {
    /// Changelogs on creation too, and `statuscategorychangedate`.
    Cloud,
    /// Changelogs, but none on creation.
    Server,
    /// No changelogs at all.
    Bodies,
}

/// An issue's life: where it began, and what was done to it after how many milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Life {
    telling: Telling,
    first: usize,
    pub(super) doings: Vec<(i64, Doing)>,
    /// How long after its change a body is written out.
    late_by: i64,
}

/// The truth, kept while it happens.
struct Truth {
    state: State,
    started_at: Option<i64>,
    closed_at: Option<i64>,
    first_closed_at: Option<i64>,
    reopen_count: u32,
    status: &'static str,
    priority: usize,
}

const PRIORITIES: [&str; 3] = ["Low", "High", "Highest"];

fn doing() -> impl Strategy<Value = Doing> {
    prop_oneof![
        4 => (0..STATUSES.len()).prop_map(Doing::Move),
        1 => (0..PRIORITIES.len()).prop_map(Doing::Prioritise),
        2 => Just(Doing::Edit),
    ]
}

pub(super) fn life(
    tellings: &[Telling],
    pause: impl Strategy<Value = i64>,
    late_by: impl Strategy<Value = i64>,
) -> impl Strategy<Value = Life> {
    let telling = prop::sample::select(tellings.to_vec());
    (
        telling,
        0..STATUSES.len(),
        prop::collection::vec((pause, doing()), 0..10),
        late_by,
    )
        .prop_map(|(telling, first, doings, late_by)| Life {
            telling,
            first,
            doings,
            late_by,
        })
}

/// An issue at one moment.
#[derive(Clone)]
pub(super) struct Issue {
    pub(super) at: i64,
    status: &'static str,
    priority: usize,
    resolved: Option<i64>,
    category_changed: i64,
    items: Vec<Value>,
}

impl Life {
    /// The issue after its creation and after each doing.
    pub(super) fn issues(&self) -> Vec<Issue> {
        let status = STATUSES[self.first];
        let resolved = is_done(status).then_some(T0);
        let mut items = vec![status_item(None, status)];
        items.push(json!({ "field": "priority", "fieldId": "priority", "from": null, "to": "p0", "toString": "Low" }));
        let mut issue = Issue {
            at: T0 + LAG,
            status,
            priority: 0,
            resolved,
            category_changed: T0,
            items,
        };
        let mut issues = vec![issue.clone()];
        for (pause, doing) in &self.doings {
            issue.at += pause;
            issue.items = Vec::new();
            match doing {
                Doing::Move(to) if STATUSES[*to] != issue.status => {
                    let to = STATUSES[*to];
                    issue.items.push(status_item(Some(issue.status), to));
                    if is_done(to) != is_done(issue.status) {
                        let (from, to) = if is_done(to) {
                            (None, Some("1"))
                        } else {
                            (Some("1"), None)
                        };
                        issue
                            .items
                            .push(json!({ "field": "resolution", "fieldId": "resolution", "from": from, "to": to }));
                        issue.resolved = to.map(|_| issue.at);
                    }
                    let category = |id: &str| status_category(id);
                    if category(to) != category(issue.status) {
                        issue.category_changed = issue.at;
                    }
                    issue.status = to;
                }
                Doing::Prioritise(to) if *to != issue.priority => {
                    issue.items.push(json!({ "field": "priority", "fieldId": "priority", "from": format!("p{}", issue.priority),
                        "fromString": PRIORITIES[issue.priority], "to": format!("p{to}"), "toString": PRIORITIES[*to] }));
                    issue.priority = *to;
                }
                Doing::Move(_) | Doing::Prioritise(_) | Doing::Edit => {}
            }
            issues.push(issue.clone());
        }
        issues
    }

    /// The changelog items of the creation and of each doing.
    pub(super) fn items(&self) -> Vec<Vec<Value>> {
        self.issues().into_iter().map(|issue| issue.items).collect()
    }

    /// What Jira sends: one delivery for the creation, and one for each doing.
    pub(super) fn deliveries(&self) -> Vec<Value> {
        let issues = self.issues();
        let tell = |(index, told): (usize, &Issue)| {
            let written = issues
                .iter()
                .rfind(|issue| issue.at <= told.at + self.late_by)
                .unwrap_or(told);
            let shown = if self.late_by == 0 { told } else { written };
            let mut body = webhook(if index == 0 { "created" } else { "updated" }, told.at, shown.status);
            let fields = &mut body["issue"]["fields"];
            fields["summary"] = json!(format!("as of {index}"));
            fields["priority"] = json!({ "id": format!("p{}", shown.priority), "name": PRIORITIES[shown.priority] });
            if let Some(resolved) = shown.resolved {
                fields["resolution"] = json!({ "id": "1" });
                fields["resolutiondate"] = json!(jira_time(resolved));
            }
            if self.telling == Telling::Cloud {
                fields["statuscategorychangedate"] = json!(jira_time(shown.category_changed));
            }
            let has_changelog = match self.telling {
                Telling::Cloud => true,
                Telling::Server => 0 < index,
                Telling::Bodies => false,
            };
            if has_changelog {
                body["changelog"] = json!({ "id": (900 + index).to_string(), "items": told.items });
            }
            body
        };
        issues.iter().enumerate().map(tell).collect()
    }

    fn truth(&self) -> Truth {
        let issues = self.issues();
        let mut truth = Truth {
            state: State::Open,
            started_at: None,
            closed_at: None,
            first_closed_at: None,
            reopen_count: 0,
            status: "",
            priority: 0,
        };
        for (index, issue) in issues.iter().enumerate() {
            let at = if index == 0 { T0 } else { issue.at };
            if status_category(issue.status) == Category::Indeterminate {
                truth.started_at = truth.started_at.or(Some(at));
            }
            match (truth.state == State::Closed, is_done(issue.status)) {
                (false, true) => {
                    truth.state = State::Closed;
                    truth.closed_at = Some(at);
                    truth.first_closed_at = truth.first_closed_at.or(Some(at));
                }
                (true, false) => {
                    truth.state = State::Open;
                    truth.closed_at = None;
                    truth.reopen_count += 1;
                }
                _ => {}
            }
            (truth.status, truth.priority) = (issue.status, issue.priority);
        }
        truth
    }

    /// Whether what was received shows that something was not: by where a change came from, by the status in a body, or
    /// by when a body says that the resolution or the category changed.
    fn shows_a_gap(&self, received: &[usize]) -> bool {
        let issues = self.issues();
        received.windows(2).any(|pair| {
            let (before, after) = (&issues[pair[0]], &issues[pair[1]]);
            let moved = after.items.iter().find(|item| item["field"] == "status");
            let came_from = moved
                .filter(|_| self.telling != Telling::Bodies)
                .and_then(|item| item["from"].as_str());
            // Without changelogs a body's own change is only known by what the body says.
            let untold = pair[1] + usize::from(self.telling == Telling::Bodies);
            let lost = &issues[pair[0] + 1..untold];
            let says = |at: i64| lost.iter().any(|issue| issue.at == at);
            before.status != came_from.unwrap_or(after.status)
                || after.resolved.is_some_and(says)
                || (self.telling == Telling::Cloud && says(after.category_changed))
        })
    }
}

fn status_category(id: &str) -> Category {
    match status(id)["statusCategory"]["key"].as_str() {
        Some("new") => Category::New,
        Some("indeterminate") => Category::Indeterminate,
        _ => Category::Done,
    }
}

/// The same deliveries in another order, some of them again.
fn shuffle<T: Clone>(deliveries: &[T], doubled: &[Index], order: &[Index]) -> Vec<T> {
    let mut arriving = deliveries.to_vec();
    if !deliveries.is_empty() {
        arriving.extend(doubled.iter().map(|index| index.get(deliveries).clone()));
    }
    for (at, index) in order.iter().enumerate().take(arriving.len()) {
        let other = index.index(arriving.len());
        arriving.swap(at, other);
    }
    arriving
}

fn indices(most: usize) -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 0..most)
}

fn policy() -> impl Strategy<Value = Policy> {
    let ids = ["10010", "10002"].map(str::to_owned);
    prop::sample::select(vec![
        Done::Category,
        Done::StatusIds([("SHOP".to_owned(), ids.into())].into()),
        Done::Resolution,
        Done::Either,
        Done::Both,
    ])
    .prop_flat_map(|done| {
        let calendar = prop::option::of(super::calendar::calendar());
        calendar.prop_map(move |calendar| Policy {
            done: done.clone(),
            calendar,
            ..Policy::default()
        })
    })
}

/// Everything derived, byte for byte.
fn bytes(events: &[TicketEvent], policy: &Policy) -> String {
    let ticket = fold(
        events.iter().flat_map(|event| &event.facts),
        policy,
        &Categories::default(),
    );
    let texts = events
        .iter()
        .fold(Texts::default(), |texts, event| texts.merge(event.texts.clone()));
    let id = events[0].ticket();
    let parts = (
        &ticket,
        TicketView::new(&id, &ticket, &texts),
        times(&ticket, policy.calendar.as_ref(), Some(time(T0 + 999 * MINUTE))),
    );
    serde_json::to_string(&parts).expect("a ticket is JSON")
}

/// What holds of every ticket, whatever its facts.
fn check(ticket: &Ticket, policy: &Policy) -> Result<(), TestCaseError> {
    let calendar = policy.calendar.as_ref();
    let durations = durations(ticket);
    for duration in [
        durations.duration_ms,
        durations.first_duration_ms,
        durations.cycle_time_ms,
    ] {
        prop_assert!(duration.is_none_or(|ms| 0 <= ms), "{durations:?}");
    }
    let late = T0 + 30 * 24 * 60 * MINUTE;
    for as_of in [
        None,
        Some(Time::FIRST),
        Some(time(T0 + MINUTE)),
        Some(time(late)),
        Some(Time::LAST),
    ] {
        let times = times(ticket, calendar, as_of);
        let sums = [times.open_time_ms, times.active_time_ms, times.age_ms.unwrap_or(0)];
        prop_assert!(
            sums.iter().chain(times.time_in_status_ms.values()).all(|ms| 0 <= *ms),
            "{times:?}"
        );
        if let Some(business) = &times.business {
            let open = 0..=times.open_time_ms;
            prop_assert!(open.contains(&business.open_time_ms), "{times:?}");
            prop_assert!(
                (0..=times.active_time_ms).contains(&business.active_time_ms),
                "{times:?}"
            );
            let worked = business.durations.duration_ms.zip(durations.duration_ms);
            prop_assert!(
                worked.is_none_or(|(worked, lasted)| (0..=lasted).contains(&worked)),
                "{times:?}"
            );
        }
        // What is stored of a ticket says the same, at every moment from its last change on.
        if let Some(as_of) = as_of.filter(|as_of| ticket.spent.covers(*as_of)) {
            let stored = serde_json::to_string(&ticket.spent).expect("JSON");
            let spent: crate::Spent = serde_json::from_str(&stored).expect("times");
            prop_assert_eq!(spent.times(ticket.created_at, ticket.state, calendar, as_of), times);
        }
    }
    prop_assert!(ticket.history.is_sorted_by_key(|stay| stay.at));
    prop_assert_eq!(ticket.closed_at.is_some(), ticket.state == State::Closed);
    prop_assert!(
        ticket
            .closed_at
            .is_none_or(|closed| ticket.first_closed_at.is_some_and(|first| first <= closed))
    );
    prop_assert!(ticket.gaps == 0 || ticket.flags.contains(&Flag::Incomplete));
    let inferred = ticket
        .history
        .iter()
        .filter(|stay| matches!(stay.origin, Origin::Inferred(_)))
        .count();
    prop_assert!(inferred == 0 || 0 < ticket.gaps);
    Ok(())
}

proptest! {
    #![proptest_config(cases(1_500))]

    /// All deliveries, in any order and any number of times, with changes any time apart and bodies written out before
    /// or after the next change: the truth, and no flag.
    #[test]
    fn what_was_delivered_is_what_happened(
        life in life(&[Telling::Cloud, Telling::Server], prop_oneof![0..3_i64, 0..4_000_i64, 0..900_000_i64], prop_oneof![Just(0_i64), 1..3_000_i64]),
        doubled in indices(5),
        order in indices(16),
    ) {
        let events: Vec<TicketEvent> = life.deliveries().iter().map(event).collect();
        // A body that is ahead may skip the only showing of a status; its category is known otherwise.
        let categories = STATUSES.map(|id| (id.to_owned(), status_category(id))).into();
        let policy = Policy { categories, ..Policy::default() };
        let ticket = fold(events.iter().flat_map(|event| &event.facts), &policy, &Categories::default());
        let truth = life.truth();
        let ms = |time: Option<Time>| time.map(Time::millis);
        prop_assert_eq!(
            (ticket.state, ms(ticket.started_at), ms(ticket.closed_at), ms(ticket.first_closed_at), ticket.reopen_count),
            (truth.state, truth.started_at, truth.closed_at, truth.first_closed_at, truth.reopen_count)
        );
        prop_assert_eq!(ticket.status.as_ref().map(Named::identity), Some(truth.status));
        prop_assert_eq!(ticket.priority.as_ref().map(Named::label), Some(PRIORITIES[truth.priority]));
        prop_assert_eq!(ticket.priority_at_creation.as_ref().map(Named::label), Some(PRIORITIES[0]));
        prop_assert_eq!((ticket.gaps, ticket.flags.len()), (0, 0), "{:?}", ticket.flags);
        check(&ticket, &policy)?;

        let arriving = shuffle(&events, &doubled, &order);
        prop_assert_eq!(bytes(&arriving, &Policy::default()), bytes(&events, &Policy::default()));
    }

    /// Some deliveries only: still a function of the set, and what is missing is said where anything shows it, and
    /// nowhere else.
    #[test]
    fn a_gap_is_never_silent(
        life in life(&[Telling::Cloud, Telling::Server, Telling::Bodies], TOLERANCE_MS + 1..900_000_i64, Just(0_i64)),
        lost in prop::collection::vec(any::<bool>(), 12),
        doubled in indices(5),
        order in indices(16),
        policy in policy(),
    ) {
        let all = life.deliveries();
        let mut received: Vec<usize> = (0..all.len()).filter(|index| !lost[*index]).collect();
        if received.is_empty() {
            received.push(all.len() - 1);
        }
        let events: Vec<TicketEvent> = received.iter().map(|&index| event(&all[index])).collect();

        let arriving = shuffle(&events, &doubled, &order);
        prop_assert_eq!(bytes(&arriving, &policy), bytes(&events, &policy));
        check(&fold(events.iter().flat_map(|event| &event.facts), &policy, &Categories::default()), &policy)?;

        let ticket = fold(events.iter().flat_map(|event| &event.facts), &Policy::default(), &Categories::default());
        if life.shows_a_gap(&received) {
            prop_assert!(ticket.flags.contains(&Flag::Incomplete), "a silent gap in {:?} of {:?}", received, life);
        } else if received[0] == 0 {
            prop_assert!(!ticket.flags.contains(&Flag::Incomplete), "a false gap in {:?} of {:?}", received, life);
        }
        // Whatever was lost, the last body received tells where the ticket was then.
        let last = &life.issues()[*received.last().expect("something was received")];
        prop_assert_eq!(ticket.status.as_ref().map(Named::identity), Some(last.status));
        prop_assert_eq!(ticket.state == State::Closed, is_done(last.status));
        // And a closing that a body with a resolution date shows is dated as if its event had come.
        if let (State::Closed, [.., before, _], true) =
            (ticket.state, ticket.history.as_slice(), life.truth().reopen_count == 0 && received[0] == 0)
            && before.done == Some(false)
            && matches!(ticket.history.last().map(|stay| &stay.origin), Some(Origin::Inferred(_)))
        {
            prop_assert_eq!(ticket.closed_at.map(Time::millis), last.resolved);
        }
    }

    /// Facts that no Jira would tell: no panic, a function of the set, and nothing impossible.
    #[test]
    fn any_set_of_facts_folds(facts in prop::collection::vec(fact(), 0..24), order in indices(24), policy in policy()) {
        let ticket = fold(&facts, &policy, &Categories::default());
        check(&ticket, &policy)?;
        let arriving = shuffle(&facts, &order, &order);
        prop_assert_eq!(
            serde_json::to_string(&fold(&arriving, &policy, &Categories::default())).expect("JSON"),
            serde_json::to_string(&ticket).expect("JSON")
        );
        let ids: BTreeSet<String> = facts.iter().map(Fact::id).collect();
        prop_assert_eq!(ids.len(), ticket.fact_count);
        for fact in &facts {
            let json = serde_json::to_string(fact).expect("a fact is JSON");
            prop_assert_eq!(&serde_json::from_str::<Fact>(&json).expect("a fact"), fact);
        }
    }

    /// A ticket folded while its facts come in one by one ends where one fold of all of them does.
    #[test]
    fn a_fact_never_makes_the_view_smaller(facts in prop::collection::vec(fact(), 1..12)) {
        let mut count = 0;
        for known in 1..=facts.len() {
            let ticket = fold(&facts[..known], &Policy::default(), &Categories::default());
            prop_assert!(count <= ticket.fact_count && ticket.fact_count <= known);
            count = ticket.fact_count;
        }
    }
}

fn moment() -> impl Strategy<Value = Time> {
    prop_oneof![
        8 => (-20_000..60_000_i64).prop_map(|ms| time(T0 + ms)),
        1 => prop::sample::select(vec![Time::FIRST, Time::LAST, time(0), time(-1)]),
    ]
}

fn named() -> impl Strategy<Value = Named> {
    let id = prop::sample::select(vec!["10000", "3", "10002", "SHOP-1", "WEB-2", "odd key"]);
    (prop::option::of(id), prop::option::of("[a-b]")).prop_map(|(id, name)| Named {
        id: id.map(str::to_owned),
        name,
    })
}

fn category() -> impl Strategy<Value = Category> {
    prop::sample::select(vec![Category::New, Category::Indeterminate, Category::Done])
}

fn fact() -> impl Strategy<Value = Fact> {
    let field = prop::sample::select(vec![
        Field::Status,
        Field::Status,
        Field::Status,
        Field::Priority,
        Field::Resolution,
        Field::Key,
        Field::Project,
    ]);
    let clock = prop::sample::select(vec![Clock::History, Clock::Timestamp, Clock::Updated]);
    let changelog = prop::sample::select(vec!["1", "2", "10", "x", "99999999999999999999999"]);
    let change = (
        field,
        changelog,
        0..2_u32,
        prop::option::of(named()),
        prop::option::of(named()),
        moment(),
        clock,
        any::<bool>(),
    )
        .prop_map(|(field, changelog, item, from, to, at, clock, initial)| {
            Fact::Change(Change {
                field,
                changelog: ChangelogId(changelog.to_owned()),
                item,
                from,
                to,
                at,
                clock,
                initial,
            })
        });
    let said = || prop::option::of(prop::option::of(named()));
    let key = prop::sample::select(vec!["SHOP-1", "WEB-2"]).prop_map(|key| key.parse().expect("a key"));
    let snapshot = (
        (
            moment(),
            prop::option::of(named()),
            prop::option::of(category()),
            prop::option::of(moment()),
        ),
        (
            said(),
            prop::option::of(moment()),
            said(),
            prop::option::of(key),
            prop::option::of("[A-B]"),
            any::<bool>(),
        ),
    )
        .prop_map(
            |(
                (observed, status, category, category_changed),
                (resolution, resolved, priority, key, project, changes_cut),
            )| {
                Fact::Snapshot(Snapshot {
                    observed,
                    status,
                    category,
                    category_changed,
                    resolution,
                    resolved,
                    priority,
                    key,
                    project,
                    changes_cut,
                })
            },
        );
    prop_oneof![
        1 => moment().prop_map(|at| Fact::Created { at }),
        5 => change,
        4 => snapshot,
        1 => (named(), category(), moment()).prop_map(|(status, category, observed)| {
            Fact::Category { status: status.identity().to_owned(), category, observed }
        }),
        1 => moment().prop_map(|at| Fact::Deleted { at }),
        1 => (moment(), any::<bool>()).prop_map(|(at, found)| Fact::Sought { at, found }),
    ]
}
