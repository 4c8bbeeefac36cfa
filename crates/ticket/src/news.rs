//! What an event tells that is not known yet: so that asking Jira for what it has already sent changes nothing.
//!
//! Jira's REST API and its webhooks tell of one change in two ways: with the time at which the change was written
//! down, and with that at which the delivery was. Both would be facts. Where the webhook's is there, the other one is no
//! news; where it was lost, the other one takes its place.

use std::collections::BTreeSet;

use crate::chain::TOLERANCE_MS;
use crate::event::TicketEvent;
use crate::fact::{Category, Change, ChangelogId, Fact, Field, Named, Snapshot};
use crate::text::{Seen, Texts};
use crate::time::Time;

impl TicketEvent {
    /// That its issue was sought, and found or not.
    pub fn sought(&self, at: Time, found: bool) -> Self {
        self.telling(vec![Fact::Sought { at, found }], Texts::default())
    }

    /// The event without what `facts` and `texts` of its ticket tell already; `None` if that is everything.
    ///
    /// - A change is known if the same item of the same changelog is known with the same values, whatever its clock.
    /// - The first status is known if a creation was told of, or a body of that moment shows it.
    /// - What a body showed is known if another body has shown the same, and none in between showed anything else.
    /// - The category of a status is known if anything told it.
    /// - A text is known if it is the text there is, or an older one.
    pub fn unknown_to(&self, facts: &[Fact], texts: &Texts) -> Option<Self> {
        let changes: BTreeSet<_> = facts.iter().filter_map(told).collect();
        let shown: Vec<(Time, Snapshot)> = facts.iter().filter_map(shown).collect();
        let is_known = |fact: &Fact| match fact {
            Fact::Change(change) if change.initial => is_beginning_known(change, facts),
            Fact::Change(_) => told(fact).is_some_and(|change| changes.contains(&change)),
            Fact::Snapshot(_) => self::shown(fact).is_some_and(|seen| is_shown(&seen, &shown)),
            Fact::Deleted { .. } => facts.iter().any(|known| matches!(known, Fact::Deleted { .. })),
            Fact::Category { status, category, .. } => facts.iter().any(|fact| says(fact, status, *category)),
            Fact::Created { .. } | Fact::Completion { .. } | Fact::Sought { .. } => facts.contains(fact),
        };
        let texts = Texts {
            summary: newer(&self.texts.summary, &texts.summary),
            description: newer(&self.texts.description, &texts.description),
        };
        let facts = self.facts.iter().filter(|fact| !is_known(fact)).cloned().collect();
        let event = self.telling(facts, texts);
        (!event.facts.is_empty() || event.texts != Texts::default()).then_some(event)
    }
}

/// What the events of an issue that Jira has shown just now tell that is not known; see [`TicketEvent::unknown_to`].
///
/// That it is there is news, too, where it was missed before.
pub fn news(events: &[TicketEvent], facts: &[Fact], texts: &Texts, now: Time) -> Vec<TicketEvent> {
    let told = events.iter().filter_map(|event| event.unknown_to(facts, texts));
    let last = events.last().filter(|_| is_missed(facts));
    let found = last.map(|last| last.sought(now, true));
    told.chain(found).collect()
}

fn is_missed(facts: &[Fact]) -> bool {
    let sought = facts.iter().filter_map(|fact| match fact {
        Fact::Sought { at, found } => Some((*at, *found)),
        _ => None,
    });
    sought.max().is_some_and(|(_, found)| !found)
}

/// Whether a creation was told of, or a body written with it shows the value.
fn is_beginning_known(beginning: &Change, facts: &[Fact]) -> bool {
    facts.iter().any(|fact| match fact {
        Fact::Change(known) => known.initial && known.field == beginning.field,
        Fact::Snapshot(snapshot) => {
            let identity = |value: &Option<Named>| value.as_ref().map(|value| value.identity().to_owned());
            snapshot.observed.since(beginning.at) <= TOLERANCE_MS
                && identity(&snapshot.status) == identity(&beginning.to)
        }
        _ => false,
    })
}

/// What a change says, without who says it and when: field, changelog, item, and the two values.
type Told = (Field, ChangelogId, u32, Option<String>, Option<String>);

fn told(fact: &Fact) -> Option<Told> {
    let Fact::Change(change) = fact else { return None };
    let identity = |value: &Option<Named>| value.as_ref().map(|value| value.identity().to_owned());
    let (from, to) = (identity(&change.from), identity(&change.to));
    Some((change.field, change.changelog.clone(), change.item, from, to))
}

/// Whether a fact says that a status is of this category.
fn says(fact: &Fact, of: &str, is: Category) -> bool {
    match fact {
        Fact::Category { status, category, .. } => status == of && *category == is,
        Fact::Snapshot(snapshot) => {
            let shown = snapshot.status.as_ref().map(Named::identity);
            shown == Some(of) && snapshot.category == Some(is)
        }
        _ => false,
    }
}

/// What a body showed, and when.
fn shown(fact: &Fact) -> Option<(Time, Snapshot)> {
    let Fact::Snapshot(snapshot) = fact else { return None };
    let content = Snapshot {
        observed: Time::FIRST,
        ..snapshot.clone()
    };
    Some((snapshot.observed, content))
}

fn is_shown((at, content): &(Time, Snapshot), known: &[(Time, Snapshot)]) -> bool {
    known.iter().any(|(other, same)| {
        let between = *at.min(other)..=*at.max(other);
        same == content
            && known
                .iter()
                .all(|(seen, shown)| shown == content || !between.contains(seen))
    })
}

fn newer(seen: &Option<Seen>, known: &Option<Seen>) -> Option<Seen> {
    let is_known = known
        .as_ref()
        .zip(seen.as_ref())
        .is_some_and(|(known, seen)| known.text == seen.text || seen.observed <= known.observed);
    seen.clone().filter(|_| !is_known)
}
