//! The ARNs that the API's operations take, and what is wrong with one that they do not.

use super::error::Error;
use crate::driver::{Qualifier, qualified};

/// Whether an ARN is one of `wanted`'s resource types; the resource itself may still not exist.
fn check(arn: &str, wanted: &[&str]) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::InvalidArn(why));
    let parts: Vec<_> = arn.splitn(7, ':').collect();
    match parts[..] {
        ["arn", ..] if parts.len() < 7 => refuse(format!("Invalid ARN: {arn}")),
        ["arn", _, "states", _, _, kind, _] if wanted.contains(&kind) => Ok(()),
        ["arn", _, "states", _, _, kind, _] => refuse(format!("Resource type not valid in this context: {kind}")),
        ["arn", ..] => refuse(format!("Invalid ARN: {arn}")),
        _ => refuse(format!("Invalid ARN prefix: {arn}")),
    }
}

/// Refuses what is no state machine's ARN.
pub(super) fn state_machine(arn: &str) -> Result<(), Error> {
    check(arn, &["stateMachine"])
}

/// Refuses what is no state machine's own ARN but that of a version or an alias.
pub(super) fn unqualified(arn: &str) -> Result<(), Error> {
    state_machine(arn)?;
    match qualified(arn) {
        None => Ok(()),
        Some(_) => Err(Error::Validation {
            message: format!("This operation does not take the ARN of a version or an alias: {arn}"),
            reason: "API_DOES_NOT_SUPPORT_LABELED_ARNS",
        }),
    }
}

/// Refuses what is no alias's ARN.
pub(super) fn alias(arn: &str) -> Result<(), Error> {
    state_machine(arn)?;
    match qualified(arn) {
        Some((_, Qualifier::Alias(_))) => Ok(()),
        _ => Err(Error::InvalidArn(format!("Invalid ARN: {arn}"))),
    }
}

/// Refuses what is no Map Run's ARN.
pub(super) fn map_run(arn: &str) -> Result<(), Error> {
    check(arn, &["mapRun"])
}

/// Refuses what is no activity's ARN.
pub(super) fn activity(arn: &str) -> Result<(), Error> {
    check(arn, &["activity"])
}

/// Refuses what is no execution's ARN, and an Express execution's, which no operation can find again.
pub(super) fn execution(arn: &str) -> Result<(), Error> {
    check(arn, &["execution", "express"])?;
    match arn.split(':').nth(5) {
        Some("express") => Err(Error::StateMachineTypeNotSupported),
        _ => Ok(()),
    }
}

/// Refuses what cannot carry tags.
pub(super) fn taggable(arn: &str) -> Result<(), Error> {
    check(arn, &["stateMachine", "activity"])
}

/// Refuses what is no role's ARN.
pub(super) fn role(arn: &str) -> Result<(), Error> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "iam", _, _, role] if role.starts_with("role/") => Ok(()),
        ["arn", ..] => Err(Error::InvalidArn(format!("Invalid Role Arn: {arn}"))),
        _ => Err(Error::InvalidArn(format!("Invalid ARN prefix: {arn}"))),
    }
}

/// Refuses a name that AWS does not take for a state machine or an execution.
///
/// Not: whitespace, brackets, wildcards, the special characters of URLs and shells, and control characters.
pub(super) fn name(name: &str) -> Result<(), Error> {
    let refused = |character: char| {
        character.is_whitespace() || character.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(character)
    };
    match name.contains(refused) {
        true => Err(Error::InvalidName(name.to_owned())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
