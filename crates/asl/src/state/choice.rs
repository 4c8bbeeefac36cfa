//! Choice: goes where the first rule that holds leads.

use std::sync::Arc;

use crate::advance::{Fault, Transition};
use crate::definition::{Branch, QueryLanguage};
use crate::query::Template;
use crate::state::{Seen, Work};

pub(crate) fn begin(
    work: &Work<'_>,
    transition: &mut Transition<'_>,
    rules: &[Branch],
    default: Option<&Arc<str>>,
) -> Result<(), Fault> {
    let input = work.effective_input(transition)?;
    for branch in rules {
        if branch.rule.holds(work, transition, &input)? {
            return leave(
                work,
                transition,
                &branch.next,
                branch.assign.as_ref(),
                branch.output.as_ref(),
            );
        }
    }
    match default {
        Some(next) => {
            let state = work.state;
            leave(work, transition, next, state.assign.as_ref(), state.output.as_ref())
        }
        None => {
            // The name that AWS documents, States.NoChoiceMatched, is not what it gives.
            Err(work.runtime("Failed to transition out of the state. The state does not point to a next state."))
        }
    }
}

/// Goes on with what belongs to the rule taken; the state's own `Assign` and `Output` belong to its `Default`.
fn leave(
    work: &Work<'_>,
    transition: &mut Transition<'_>,
    next: &Arc<str>,
    assign: Option<&Template>,
    output: Option<&Template>,
) -> Result<(), Fault> {
    let input = work.effective_input(transition)?;
    let assigned = work.assign(transition, assign, &input, Seen::default())?;
    let output = match work.state.language {
        QueryLanguage::JsonPath => work.select(transition, &work.state.output_path, &input)?,
        QueryLanguage::Jsonata => work.output(transition, output, &input, Seen::default())?,
    };
    work.exit(transition, output, assigned, Some(next.clone()))
}
