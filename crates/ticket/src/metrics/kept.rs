//! Whether many tickets keep their targets of the time to close.
//!
//! Judged by the targets that the policy has now for the project and the priority that a ticket has now, and over its
//! whole life, as lead times are: the share that is over can be read beside their percentiles. What a ticket shows of
//! itself is more exact, since its clocks begin anew when it is reopened.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::policy::Policy;
use crate::sla::targets::Chosen;
use crate::sla::{Measure, Target};
use crate::time::Time;

/// How some tickets keep their targets of the time to close.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Kept {
    /// The target that all of them have, of all the time that passes; null where there are several, or none.
    pub target_ms: Option<i64>,
    /// Those that have a target.
    pub tickets: usize,
    /// Those of them that took longer than it, or have already.
    pub over: usize,
    /// By rule of the policy; one of what was asked for is here even where no ticket has it.
    pub rules: Vec<KeptRule>,
}

/// How the tickets that one rule of the policy is for keep its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KeptRule {
    /// Of which project's tickets the rule is; null for every project's.
    pub project: Option<String>,
    /// Of which priority's tickets the rule is; null for every priority's.
    pub priority: Option<String>,
    pub target_ms: i64,
    /// What counts of the time that passes.
    pub time: Measure,
    pub tickets: usize,
    pub over: usize,
}

/// A ticket's life, as far as targets look at it.
#[derive(Clone, Copy, Debug)]
pub struct Life<'a> {
    pub project: Option<&'a str>,
    pub priority: Option<&'a str>,
    pub created_at: Time,
    /// `None` while it is open.
    pub closed_at: Option<Time>,
}

impl Kept {
    /// Counts the tickets of a project and some priorities, or of all, up to a moment.
    pub fn of<'a>(
        policy: &Policy,
        project: Option<&str>,
        priorities: Option<&BTreeSet<String>>,
        lives: impl IntoIterator<Item = Life<'a>>,
        as_of: Time,
    ) -> Self {
        let mut rules = BTreeMap::new();
        let wanted: Vec<Option<&str>> = match priorities {
            Some(names) => names.iter().map(|name| Some(name.as_str())).collect(),
            None => vec![None],
        };
        for priority in wanted {
            note(&mut rules, policy, project, priority);
        }
        for life in lives {
            let Some((rule, chosen)) = note(&mut rules, policy, life.project, life.priority) else {
                continue;
            };
            let due_at = chosen.measure.after(life.created_at, chosen.ms, policy);
            // As a clock is: it is breached at the due moment, unless it stopped by then.
            let is_over = life.closed_at.map_or(due_at <= as_of, |closed| due_at < closed);
            rule.tickets += 1;
            rule.over += usize::from(is_over);
        }
        let rules: Vec<KeptRule> = rules.into_values().collect();
        let targets: BTreeSet<_> = rules.iter().map(|rule| (rule.time, rule.target_ms)).collect();
        let target = targets.first().filter(|_| targets.len() == 1);
        Self {
            target_ms: target.filter(|(time, _)| time.is_calendar()).map(|(_, ms)| *ms),
            tickets: rules.iter().map(|rule| rule.tickets).sum(),
            over: rules.iter().map(|rule| rule.over).sum(),
            rules,
        }
    }
}

/// By project and priority, so that the more general ones come first.
type Rules<'a> = BTreeMap<(Option<&'a str>, Option<&'a str>), KeptRule>;

/// The rule for a project and a priority, counted from zero where it is new; `None` where there is no target.
fn note<'rules, 'policy>(
    rules: &'rules mut Rules<'policy>,
    policy: &'policy Policy,
    project: Option<&str>,
    priority: Option<&str>,
) -> Option<(&'rules mut KeptRule, Chosen)> {
    let (rule, chosen) = policy.sla.rule(Target::Close, project, priority)?;
    let noted = rules
        .entry((rule.project.as_deref(), rule.priority.as_deref()))
        .or_insert_with(|| KeptRule {
            project: rule.project.clone(),
            priority: rule.priority.clone(),
            target_ms: chosen.ms,
            time: chosen.measure,
            tickets: 0,
            over: 0,
        });
    Some((noted, chosen))
}
