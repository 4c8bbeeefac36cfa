//! Which project and priority a ticket had at a moment: what its targets were chosen by.

use super::Facts;
use crate::chain::{self, Known, Shown, Step};
use crate::fact::{Field, Named};
use crate::ids::IssueKey;
use crate::sla::Placed;
use crate::time::Time;

impl Facts<'_> {
    /// Project and priority at a moment; `now` are those that it has.
    pub(super) fn placements(&self, created: Option<Time>, now: Placed) -> impl Fn(Option<Time>) -> Placed {
        let keys: Vec<(Time, Named)> = self
            .snapshots
            .iter()
            .filter_map(|snapshot| {
                let key = snapshot.key.as_ref()?.as_str().to_owned();
                let named = Named {
                    id: None,
                    name: Some(key),
                };
                Some((snapshot.observed, named))
            })
            .collect();
        let keys: Vec<Shown<'_>> = keys.iter().map(|(observed, key)| shown(*observed, Some(key))).collect();
        let priorities = self.snapshots.iter();
        let priorities: Vec<Shown<'_>> = priorities
            .filter_map(|snapshot| Some(shown(snapshot.observed, snapshot.priority.as_ref()?.as_ref())))
            .collect();
        let keys = self.values(Field::Key, created, &keys);
        let priorities = self.values(Field::Priority, created, &priorities);
        move |moment| {
            let Some(moment) = moment else { return now.clone() };
            let project = |step: &Step| {
                let key = step.value.as_ref()?.label().parse::<IssueKey>().ok()?;
                Some(key.project().to_owned())
            };
            let priority = |step: &Step| Some(step.value.as_ref()?.label().to_owned());
            Placed {
                project: in_force(&keys, moment).map_or(now.project.clone(), project),
                priority: in_force(&priorities, moment).map_or(now.priority.clone(), priority),
            }
        }
    }

    /// The values of a field whose missing changes nothing but their order dates.
    fn values(&self, field: Field, created: Option<Time>, shown: &[Shown<'_>]) -> Vec<Step> {
        let known = Known {
            field,
            created,
            changes: self.changes(field),
            shown,
            is_late: &|_| false,
            is_one_run: &|_, _| false,
            date: &|_, _, _| None,
        };
        chain::walk(&known).steps
    }
}

fn shown(observed: Time, value: Option<&Named>) -> Shown<'_> {
    Shown {
        observed,
        value,
        since: None,
    }
}

/// The step that held at a moment; before the first one, the first.
fn in_force(steps: &[Step], moment: Time) -> Option<&Step> {
    let after = steps.partition_point(|step| step.at <= moment);
    steps.get(after.saturating_sub(1))
}
