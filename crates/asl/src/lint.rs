//! Mistakes in a definition that AWS takes without a word.
//!
//! [`check`] reads the parsed definition, not its text. What one state shows by itself is in [`local`]; [`flow`] follows
//! what is known of the payload and the variables along every transition, so that a reference to something that no way
//! can have put there is found. Where something is not known for sure, nothing is said.
//!
//! A finding is an error if what it is about can never work (the state fails whenever it gets there, or can only time
//! out), a warning if it works and is hardly meant.

mod flow;
mod graph;
mod literals;
mod local;
mod look;
mod shape;
mod similar;
#[cfg(test)]
mod tests;

use crate::definition::{NO_END, Problem, Severity, StateMachine, TARGET};
pub use literals::{Literal, literals};

/// A kind of mistake.
#[derive(Debug)]
pub struct Rule {
    pub code: &'static str,
    /// Of most findings of this kind; less certain ones are warnings.
    pub severity: Severity,
    /// What to do about it.
    pub help: &'static str,
}

macro_rules! rules {
    ($($code:ident $severity:ident $help:literal)+) => {
        $(static $code: Rule = Rule { code: stringify!($code), severity: Severity::$severity, help: $help };)+

        /// Everything that [`check`] looks for.
        pub static RULES: &[&Rule] = &[$(&$code),+];
    };
}

rules! {
    UNKNOWN_FIELD Error
        "keep the field on the way here (ResultPath, ResultSelector, Output), or correct the path"
    UNKNOWN_CONTEXT_FIELD Error
        "the Context Object has Execution, State and StateMachine, Map inside a Map, Task in a .waitForTaskToken task"
    UNASSIGNED_VARIABLE Error
        "assign the variable in a state on every way that leads here"
    NO_RESULT Error
        "a state has its result in Output and Assign, a Catcher has $states.errorOutput"
    NOT_A_LIST Error
        "let ItemsPath or Items name an array"
    UNFIT_RESULT_PATH Error
        "let ResultPath name a place in an object: what is there already must be an object, or an element of an array"
    UNKNOWN_FUNCTION Error
        "call one of JSONata's functions, or bind the name in the expression first"
    TOKEN_NOT_PASSED Error
        "pass $$.Task.Token (in JSONata $states.context.Task.Token) to whoever is to answer"
    SHADOWED_VARIABLE Warning
        "choose another name: a branch or an iteration cannot change a variable of the flow around it"
    UNBOUNDED_CALLBACK Warning
        "give the state TimeoutSeconds or HeartbeatSeconds: an answer that is lost is waited for until the execution ends"
    IDLE_HEARTBEAT Warning
        "use TimeoutSeconds: only who has a task token can send heartbeats"
    UNREACHED_HANDLER Warning
        "put the special entry before the general one, or remove it: the first that names an error takes it"
    UNKNOWN_ERROR_NAME Warning
        "names that begin with States. are the service's own, and it has none like this"
    CAUGHT_INTO_FAIL Warning
        "let the error fail the execution where it happens: a redrive then goes on there, while a Fail state only fails again"
    NO_DEFAULT Warning
        "add a Default: if no rule holds the execution fails, and nothing can catch that"
    UNREACHED_RULE Warning
        "remove the rule or change its condition: the first that holds is taken"
    ENDLESS_FLOW Warning
        "let some state end the flow"
    LITERAL_PATH Warning
        "end the field's name with .$ if its value is to be computed"
    LITERAL_EXPRESSION Warning
        "let the expression be all of the text, from {% to %}, without anything around it"
}

/// What to do about a problem with this code, if it is one of [`RULES`].
pub fn help(code: &str) -> Option<&'static str> {
    RULES.iter().find(|rule| rule.code == code).map(|rule| rule.help)
}

/// The mistakes in a definition beside those that make [`StateMachine::parse`] refuse it.
///
/// A definition that is refused is looked at as far as it can be understood.
pub fn check(definition: &str) -> Vec<Problem> {
    let (Some(machine), problems) = StateMachine::examine(definition) else {
        return Vec::new();
    };
    let mut findings = Findings::default();
    local::check(&machine, &mut findings);
    // A state that could not be read might have assigned any variable. A transition that leads nowhere carries nothing,
    // and of a field too many nothing comes.
    let all_read = |problem: &Problem| [TARGET, NO_END].contains(&problem.code) || problem.member.is_some();
    if problems.iter().all(all_read) {
        flow::check(&machine, &mut findings);
    }
    findings.0
}

#[derive(Debug, Default)]
struct Findings(Vec<Problem>);

impl Findings {
    fn add(&mut self, rule: &'static Rule, pointer: &str, message: impl Into<String>) {
        self.add_as(rule.severity, rule, pointer, message);
    }

    fn add_as(&mut self, severity: Severity, rule: &'static Rule, pointer: &str, message: impl Into<String>) {
        self.0.push(Problem {
            severity,
            code: rule.code,
            message: message.into(),
            pointer: pointer.to_owned(),
            member: None,
        });
    }
}
