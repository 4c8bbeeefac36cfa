//! What changed lately: a bounded memory of changes, from which whoever watches goes on where it had come to.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// How many changes are remembered: some seconds of a busy engine, and with it the longest that a watcher may be away
/// without having to look at everything anew.
const REMEMBERED: usize = 8_192;

/// The state machine's and the execution's name.
pub(crate) type Name = (Arc<str>, Arc<str>);

pub(super) struct Feed {
    /// Which life of the engine this is: numbers of an earlier one mean nothing.
    life: u32,
    changes: Mutex<VecDeque<Name>>,
    /// How many changes there have been.
    head: watch::Sender<u64>,
}

/// What a watcher has not yet heard of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// These executions changed.
    Changed(BTreeSet<Name>),
    /// More than is remembered: everything is to be looked at anew.
    Everything,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            life: rand::random(),
            changes: Mutex::default(),
            head: watch::Sender::new(0),
        }
    }
}

impl Feed {
    pub(super) fn note(&self, machine: &Arc<str>, execution: &Arc<str>) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.len() == REMEMBERED {
            changes.pop_front();
        }
        changes.push_back((machine.clone(), execution.clone()));
        self.head.send_modify(|head| *head += 1);
    }

    /// What came after `mark`, which an earlier call gave, and the mark from which to go on.
    pub(super) fn since(&self, mark: Option<&str>) -> (Since, String) {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let head = *self.head.borrow();
        let now = format!("{:x}-{head:x}", self.life);
        let known = mark.and_then(|mark| {
            let (life, known) = mark.split_once('-')?;
            let of_this_life = u32::from_str_radix(life, 16).ok()? == self.life;
            of_this_life.then(|| u64::from_str_radix(known, 16).ok()).flatten()
        });
        let behind = known.and_then(|known| usize::try_from(head.checked_sub(known)?).ok());
        let since = match behind {
            Some(behind) if behind <= changes.len() => {
                Since::Changed(changes.iter().rev().take(behind).cloned().collect())
            }
            _ => Since::Everything,
        };
        (since, now)
    }

    /// Resolves whenever there has been a change.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Name {
        ("machine".into(), number.to_string().into())
    }

    fn noted(feed: &Feed, numbers: std::ops::Range<usize>) {
        for (machine, execution) in numbers.map(name) {
            feed.note(&machine, &execution);
        }
    }

    #[test]
    fn a_watcher_goes_on_where_it_had_come_to() {
        let feed = Feed::default();
        noted(&feed, 0..3);
        let (_, mark) = feed.since(None);
        noted(&feed, 3..5);
        noted(&feed, 3..4);
        let (since, mark) = feed.since(Some(&mark));
        assert_eq!(since, Since::Changed([name(3), name(4)].into()), "each once");
        assert_eq!(feed.since(Some(&mark)).0, Since::Changed(BTreeSet::new()));
    }

    #[test]
    fn who_is_too_far_behind_or_comes_from_another_life_looks_at_everything() {
        let feed = Feed::default();
        let (since, mark) = feed.since(None);
        assert_eq!(since, Since::Everything);
        noted(&feed, 0..REMEMBERED);
        let all = (0..REMEMBERED).map(name).collect();
        assert_eq!(feed.since(Some(&mark)).0, Since::Changed(all), "just remembered");
        noted(&feed, 0..1);
        assert_eq!(feed.since(Some(&mark)).0, Since::Everything);

        let (_, mark) = feed.since(None);
        let (life, number) = mark.split_once('-').expect("two parts");
        let other = u32::from_str_radix(life, 16).expect("a number").wrapping_add(1);
        for strange in [
            format!("{other:x}-{number}"),
            format!("{life}-ffffffff"),
            "-".into(),
            "é".into(),
        ] {
            assert_eq!(feed.since(Some(&strange)).0, Since::Everything, "{strange}");
        }
    }
}
