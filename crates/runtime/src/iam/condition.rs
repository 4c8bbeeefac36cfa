//! Conditions: an operator, a key of the request, and the values that it may have.
//!
//! Every key that is known here has at most one value, so that `ForAllValues` and `ForAnyValue` differ only where it has
//! none.

use super::policy::{ARN_PARTS, glob};

/// The keys that every request has; `Policies::global` knows their values, in this order.
pub(super) const GLOBAL_KEYS: [&str; 8] = [
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalType",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:SecureTransport",
    "aws:PrincipalIsAWSService",
    "aws:ViaAWSService",
];

/// The keys that a request may have, all of which `request` tells.
const REQUEST_KEYS: [&str; 5] = [
    "dynamodb:EnclosingOperation",
    "events:detail-type",
    "events:source",
    "secretsmanager:SecretId",
    "states:StateMachineQualifier",
];

/// What a request says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup<'a> {
    Is(&'a str),
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Exact,
    IgnoringCase,
    Like,
    Arn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Text {
        comparison: Comparison,
        is_negated: bool,
    },
    Null,
    /// Of numbers, dates, addresses and bytes: no key that is known here has such a value.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    None,
    ForAllValues,
    ForAnyValue,
}

/// One key of a `Condition`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    quantifier: Quantifier,
    operator: Operator,
    if_exists: bool,
    key: Box<str>,
    values: Vec<Box<str>>,
}

/// AWS refuses a policy with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no condition operator {0}")]
pub struct UnknownOperator(String);

impl Condition {
    pub fn new(
        operator: &str,
        key: &str,
        values: impl IntoIterator<Item = impl Into<Box<str>>>,
    ) -> Result<Self, UnknownOperator> {
        let (quantifier, name) = match operator.split_once(':') {
            Some(("ForAllValues", name)) => (Quantifier::ForAllValues, name),
            Some(("ForAnyValue", name)) => (Quantifier::ForAnyValue, name),
            _ => (Quantifier::None, operator),
        };
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let text = |comparison, is_negated| Operator::Text { comparison, is_negated };
        let operator = match name {
            "StringEquals" => text(Comparison::Exact, false),
            "StringNotEquals" => text(Comparison::Exact, true),
            "StringEqualsIgnoreCase" | "Bool" => text(Comparison::IgnoringCase, false),
            "StringNotEqualsIgnoreCase" => text(Comparison::IgnoringCase, true),
            "StringLike" => text(Comparison::Like, false),
            "StringNotLike" => text(Comparison::Like, true),
            "ArnEquals" | "ArnLike" => text(Comparison::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => text(Comparison::Arn, true),
            "Null" if !if_exists => Operator::Null,
            "NumericEquals"
            | "NumericNotEquals"
            | "NumericLessThan"
            | "NumericLessThanEquals"
            | "NumericGreaterThan"
            | "NumericGreaterThanEquals"
            | "DateEquals"
            | "DateNotEquals"
            | "DateLessThan"
            | "DateLessThanEquals"
            | "DateGreaterThan"
            | "DateGreaterThanEquals"
            | "BinaryEquals"
            | "IpAddress"
            | "NotIpAddress" => Operator::Other,
            _ => return Err(UnknownOperator(operator.to_owned())),
        };
        Ok(Self {
            quantifier,
            operator,
            if_exists,
            key: key.into(),
            values: values.into_iter().map(Into::into).collect(),
        })
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Whether it can be told here if it holds.
    pub fn is_judged(&self) -> bool {
        let known = |keys: &[&str]| keys.iter().any(|key| key.eq_ignore_ascii_case(&self.key));
        (known(&GLOBAL_KEYS) || known(&REQUEST_KEYS))
            && self.operator != Operator::Other
            // A variable stands for what only AWS knows of the principal, and braces for a resource that only AWS has.
            && !self.values.iter().any(|value| value.contains('{'))
    }

    /// Whether it holds where its key has that value; `None` where only AWS could tell.
    pub(super) fn holds(&self, value: Lookup<'_>) -> Option<bool> {
        if !self.is_judged() {
            return None;
        }
        let (comparison, is_negated) = match (self.operator, value) {
            (Operator::Other, _) => return None,
            (Operator::Null, value) => {
                let is_absent = value == Lookup::Absent;
                let matches = |wanted: &str| wanted.eq_ignore_ascii_case(if is_absent { "true" } else { "false" });
                return Some(self.values.iter().any(|wanted| matches(wanted)));
            }
            (Operator::Text { comparison, is_negated }, _) => (comparison, is_negated),
        };
        let Lookup::Is(value) = value else {
            return Some(match self.quantifier {
                _ if self.if_exists => true,
                Quantifier::ForAllValues => true,
                Quantifier::ForAnyValue => false,
                Quantifier::None => is_negated,
            });
        };
        let matches = |wanted: &str| match comparison {
            Comparison::Exact => wanted == value,
            Comparison::IgnoringCase => wanted.eq_ignore_ascii_case(value),
            Comparison::Like => glob(wanted, value),
            Comparison::Arn => arn_matches(wanted, value),
        };
        Some(self.values.iter().any(|wanted| matches(wanted)) != is_negated)
    }
}

/// Whether an ARN is of a condition's pattern. Wildcards stay within a part, unlike those of a `Resource`, but for those
/// of the pattern's last part, which reach to the ARN's end.
pub(super) fn arn_matches(pattern: &str, arn: &str) -> bool {
    let parts = pattern.splitn(ARN_PARTS, ':').count();
    let (mut wanted, mut found) = (pattern.splitn(parts, ':'), arn.splitn(parts, ':'));
    loop {
        match (wanted.next(), found.next()) {
            (Some(wanted), Some(found)) if glob(wanted, found) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}
