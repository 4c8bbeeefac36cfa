//! Statements, and what they decide.
//!
//! A policy is the sum of a role's statements: a Deny that applies wins, then an Allow, and what nobody allows is denied.
//! Whether something applies has three answers here: yes, no, and that only AWS could tell (`None`). An Allow counts then
//! as one that applies and a Deny as one that does not, so that nothing is refused which AWS would let pass.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Service;
use super::condition::{Condition, Lookup};
use super::request::Access;

/// The statements of all policies of a role.
#[derive(Debug, Default)]
pub struct Policy {
    pub statements: Vec<Statement>,
}

/// What a policy says to an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allowed,
    /// No statement allows it.
    ImplicitlyDenied,
    /// A statement denies it.
    ExplicitlyDenied,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Allow,
    Deny,
}

/// One statement.
#[derive(Debug)]
pub struct Statement {
    pub effect: Effect,
    pub actions: Selection<ActionPattern>,
    pub resources: Selection<ResourcePattern>,
    /// All must hold.
    pub conditions: Vec<Condition>,
    pub seen: Seen,
}

/// Which actions and resources of a statement have let something pass, a bit each.
///
/// Those from the 65th on are not followed: no statement of a person is so long.
#[derive(Debug, Default)]
pub struct Seen {
    actions: AtomicU64,
    resources: AtomicU64,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Debug)]
pub enum Selection<T> {
    Only(Vec<T>),
    AllBut(Vec<T>),
}

impl<T> Selection<T> {
    fn has(&self, matches: impl FnMut(&T) -> Option<bool>) -> Option<bool> {
        match self {
            Self::Only(patterns) => any(patterns.iter().map(matches)),
            Self::AllBut(patterns) => any(patterns.iter().map(matches)).map(|found| !found),
        }
    }
}

/// True as soon as one is, and not known as long as one is not.
fn any(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut unknown = false;
    for answer in answers {
        match answer {
            Some(true) => return Some(true),
            Some(false) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(false)
}

/// False as soon as one is, and not known as long as one is not.
fn all(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    any(answers.map(|answer| answer.map(|holds| !holds))).map(|found| !found)
}

impl Policy {
    /// What the statements say to `access`; `global` knows the keys that do not depend on it.
    pub fn decide<'a>(&self, access: &'a Access<'a>, global: &dyn Fn(&str) -> Option<&'a str>) -> Decision {
        let mut decision = Decision::ImplicitlyDenied;
        for statement in &self.statements {
            match (statement.effect, statement.applies(access, global)) {
                (Effect::Deny, Some(true)) => return Decision::ExplicitlyDenied,
                (Effect::Allow, Some(true) | None) => {
                    statement.note(access);
                    decision = Decision::Allowed;
                }
                (Effect::Allow, Some(false)) | (Effect::Deny, Some(false) | None) => {}
            }
        }
        decision
    }
}

impl Policy {
    /// The actions and resources of Allows that have let nothing pass so far.
    ///
    /// What is about services that do not run here is left out: nothing here could use it.
    pub fn unused(&self) -> Vec<String> {
        let allows = self
            .statements
            .iter()
            .filter(|statement| statement.effect == Effect::Allow);
        allows.flat_map(Statement::unused).collect()
    }
}

impl Statement {
    /// Remembers what of it allowed `access`.
    fn note(&self, access: &Access<'_>) {
        fn note<T>(selection: &Selection<T>, seen: &AtomicU64, matches: impl Fn(&T) -> bool) {
            let Selection::Only(patterns) = selection else {
                return;
            };
            let found = patterns.iter().take(64).position(matches);
            let bit = found.map_or(0, |found| 1 << found);
            // Written once, and read from then on: the line stays in everyone's cache.
            if seen.load(Ordering::Relaxed) & bit != bit {
                seen.fetch_or(bit, Ordering::Relaxed);
            }
        }
        note(&self.actions, &self.seen.actions, |action| action.matches(access));
        note(&self.resources, &self.seen.resources, |resource| {
            resource.matches(access.resource.as_deref()) != Some(false)
        });
    }

    fn unused(&self) -> Vec<String> {
        let (Selection::Only(actions), Selection::Only(resources)) = (&self.actions, &self.resources) else {
            return Vec::new();
        };
        let is_unseen = |seen: &AtomicU64, index: usize| index < 64 && seen.load(Ordering::Relaxed) >> index & 1 == 0;
        let mut here = actions.iter().enumerate().filter(|(_, action)| action.is_judged());
        let Some((_, first)) = here.clone().next() else {
            return Vec::new();
        };
        let mut unused: Vec<String> = here
            .by_ref()
            .filter(|(index, _)| is_unseen(&self.seen.actions, *index))
            .map(|(_, action)| action.to_string())
            .collect();
        let resources = resources.iter().enumerate();
        let resources = resources.filter(|(index, _)| is_unseen(&self.seen.resources, *index));
        unused.extend(resources.map(|(_, resource)| format!("{resource} (for {first})")));
        unused
    }

    fn applies<'a>(&self, access: &'a Access<'a>, global: &dyn Fn(&str) -> Option<&'a str>) -> Option<bool> {
        let action = self.actions.has(|pattern| Some(pattern.matches(access)));
        if action == Some(false) {
            return action;
        }
        let resource = self
            .resources
            .has(|pattern| pattern.matches(access.resource.as_deref()));
        let conditions = self.conditions.iter().map(|condition| {
            let value = match global(condition.key()).or_else(|| access.value(condition.key())) {
                Some(value) => Lookup::Is(value),
                None => Lookup::Absent,
            };
            condition.holds(value)
        });
        all([action, resource].into_iter().chain(conditions))
    }
}

/// An action, `*` and `?` in it: `dynamodb:Batch*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionPattern {
    All,
    Of { service: Box<str>, name: Box<str> },
}

/// An action is written `service:Name`, or `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an action is written service:Name, or *")]
pub struct NotAnAction;

impl ActionPattern {
    pub fn parse(text: &str) -> Result<Self, NotAnAction> {
        if matches!(text, "*" | "*:*") {
            return Ok(Self::All);
        }
        let (service, name) = text.split_once(':').ok_or(NotAnAction)?;
        let is_name = |text: &str, marks: &str| {
            let known = |character: char| character.is_ascii_alphanumeric() || marks.contains(character);
            !text.is_empty() && text.chars().all(known)
        };
        if !is_name(service, "-") || !is_name(name, "*?") {
            return Err(NotAnAction);
        }
        Ok(Self::Of {
            service: service.to_ascii_lowercase().into(),
            name: name.into(),
        })
    }

    /// Whether it is of a service that runs here.
    fn is_judged(&self) -> bool {
        use Service::{DynamoDb, Events, Lambda, Secrets, States};
        let services = [DynamoDb, Events, Lambda, Secrets, States];
        match self {
            // Whoever may do everything is not asked what for.
            Self::All => false,
            Self::Of { service, .. } => services.iter().any(|known| known.prefix() == &**service),
        }
    }

    /// Actions have no case.
    fn matches(&self, access: &Access<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Of { service, name } => {
                **service == *access.service.prefix() && glob_by(u8::eq_ignore_ascii_case, name, access.action)
            }
        }
    }
}

impl fmt::Display for ActionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Of { service, name } => write!(f, "{service}:{name}"),
        }
    }
}

impl fmt::Display for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "*",
            Self::Arn(arn) => arn,
            Self::Unknown => "a resource that only AWS knows",
        })
    }
}

/// A resource, `*` and `?` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourcePattern {
    All,
    Arn(Box<str>),
    /// What it says is only known on AWS.
    Unknown,
}

impl ResourcePattern {
    pub fn parse(text: &str) -> Self {
        match text {
            "*" => Self::All,
            // A variable, which stands for something of the principal or the request.
            _ if text.contains("${") => Self::Unknown,
            _ => Self::Arn(text.into()),
        }
    }

    /// `None` as the resource: the request does not tell.
    fn matches(&self, resource: Option<&str>) -> Option<bool> {
        match self {
            Self::All => Some(true),
            Self::Arn(pattern) => resource.map(|resource| covers(pattern, resource)),
            Self::Unknown => None,
        }
    }
}

/// How many parts an ARN has, the last of which may have colons itself.
pub(super) const ARN_PARTS: usize = 6;

/// Whether a resource is of a pattern. A `*` reaches over colons, so that `arn:aws:lambda:*:function:F` is a function of
/// any region and account, and a pattern that ends before its sixth part is one of whatever follows.
pub(super) fn covers(pattern: &str, resource: &str) -> bool {
    let is_cut = pattern.matches(':').count() + 1 < ARN_PARTS;
    let begins = || {
        resource
            .match_indices(':')
            .any(|(at, _)| glob(pattern, &resource[..at]))
    };
    glob(pattern, resource) || is_cut && begins()
}

/// Whether a text is of a pattern in which `*` stands for any characters and `?` for any one.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    glob_by(u8::eq, pattern, text)
}

/// Where it fails, the last `*` takes one byte more: no more steps than the product of the lengths, on any pattern.
fn glob_by(same: fn(&u8, &u8) -> bool, pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut next, mut at) = (0, 0);
    // The last `*`, and up to where it reaches.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(next) {
            Some(b'*') => {
                star = Some((next, at));
                next += 1;
            }
            Some(b'?') => {
                next += 1;
                at += 1;
                while text.get(at).is_some_and(|byte| is_continuation(*byte)) {
                    at += 1;
                }
            }
            Some(wanted) if same(wanted, &text[at]) => {
                next += 1;
                at += 1;
            }
            _ => {
                let Some((last, reach)) = star else {
                    return false;
                };
                star = Some((last, reach + 1));
                (next, at) = (last + 1, reach + 1);
            }
        }
    }
    pattern[next..].iter().all(|rest| *rest == b'*')
}

/// Whether a byte of UTF-8 belongs to the character before it.
fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}
