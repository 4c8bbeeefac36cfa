//! Guards: they keep one expression from taking the memory or the time of all others.
//!
//! jsonata-core looks at the clock between nodes, and at the length of sequences; but one call of a function can take
//! gigabytes or hours, values may share their parts and be endless as trees, and a chain of tail calls can nest a value
//! deeper than any stack. So what could grow goes through host functions that are put into the tree: they measure what
//! is built, and an evaluation that has built too much in all is ended as AWS ends one that runs out of memory.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use jsonata_core::ast::{AstNode, BinaryOp};
use jsonata_core::evaluator::{Evaluator, EvaluatorError, HostFnResult};
use jsonata_core::value::{JValue, with_stack};

use super::convert::{self, MAX_BYTES, Unfit};
use super::functions::builtin;
use super::read::children;
use super::{MAX_SEQUENCE, words};

/// How much one evaluation may build in all, freed or not: bytes of text, and eight for each item of an array and each
/// field of an object. What it holds at once is three times as much at most.
const MAX_BUILT: usize = 128 * 1024 * 1024;

/// Calls of functions that may stand in an expression without their results being measured, if none is repeated.
const FEW_CALLS: usize = 32;

/// How long the picture of a number or a moment may be, and how large a number in it.
const MAX_PICTURE: usize = 1_024;

/// Roman numerals grow with the number: a thousand letters at most.
const MAX_ROMAN: f64 = 1e6;

/// Above so many items, duplicates are looked up rather than compared, each with each.
const FEW_ITEMS: usize = 256;

/// How long the replacement of a text may be that could as well be a function, in bytes.
const MAX_BRIEF: usize = 64;

// The names of guards. No expression can spell them.

/// Joins texts, in place of `&`.
const CONCATENATE: &str = "&";
/// Hands its argument on if it is small enough to be written out.
const SMALL: &str = "small!";
/// Hands its argument on if it is no number, or one that is a reasonable width.
const WIDTH: &str = "width!";
/// Hands its argument on if it is no longer than a sequence may be.
const SHORT: &str = "short!";
/// Hands its argument on if it is a picture of reasonable size.
const PICTURE: &str = "picture!";
/// Hands its argument on and counts it as built, if it is neither too deep nor, written out, too large.
const BUILT: &str = "built!";
/// Hands its argument on, and counts it as built.
const COPIED: &str = "copied!";
/// Hands its argument on, and counts it as built with all of its items.
const FRESH: &str = "fresh!";
/// Hand the ends of a range on, and count it as built.
const FROM: &str = "from!";
const TO: &str = "to!";
/// Hands its argument on if it is no text, or a short one.
const BRIEF: &str = "brief!";
/// In place of functions of those names.
const REPLACE: &str = "replace!";
const DISTINCT: &str = "distinct!";
const FORMAT_INTEGER: &str = "formatInteger!";

/// Functions with the guard before each of their arguments.
const ARGUMENTS: [(&str, &str); 6] = [
    ("string", SMALL),
    ("join", SMALL),
    ("pad", WIDTH),
    ("formatNumber", PICTURE),
    ("fromMillis", PICTURE),
    ("toMillis", PICTURE),
];

/// Functions that a guard takes the place of.
const REPLACED: [(&str, &str); 3] = [
    ("replace", REPLACE),
    ("distinct", DISTINCT),
    ("formatInteger", FORMAT_INTEGER),
];

/// Functions that put values into others.
const NESTING: [&str; 4] = ["each", "map", "partition", "zip"];

/// Functions whose results are arrays of small new values.
const MINTING: [&str; 3] = ["match", "split", "spread"];

/// What a small value takes in memory that is neither a number nor shared.
const VALUE_BYTES: usize = 64;

/// Functions whose results are as large as what goes in, or larger.
const COPYING: [&str; 28] = [
    "append",
    "base64decode",
    "base64encode",
    "decodeUrl",
    "decodeUrlComponent",
    "encodeUrl",
    "encodeUrlComponent",
    "filter",
    "formatNumber",
    "fromMillis",
    "join",
    "keys",
    "lookup",
    "lowercase",
    "merge",
    "pad",
    "parse",
    "range",
    "reverse",
    "shuffle",
    "sift",
    "sort",
    "string",
    "substring",
    "substringAfter",
    "substringBefore",
    "trim",
    "uppercase",
];

/// What of an expression decides where guards are needed.
pub(super) struct Plan {
    guards: BTreeSet<&'static str>,
    /// Names that the expression itself gives a value.
    bound: BTreeSet<String>,
    /// Whether parts of it may be evaluated again and again.
    repeats: bool,
}

/// Puts guards into a tree; which of them are there now.
pub(super) fn install(
    ast: &mut AstNode,
    bound: &BTreeSet<String>,
    repeats: bool,
    calls: usize,
) -> BTreeSet<&'static str> {
    let mut plan = Plan {
        guards: BTreeSet::new(),
        bound: bound.clone(),
        repeats: repeats || calls > FEW_CALLS,
    };
    plan.guard(ast);
    plan.guards
}

impl Plan {
    fn guard(&mut self, node: &mut AstNode) {
        self.guard_parts(node);
        self.guard_result(node);
    }

    /// What a node takes in.
    fn guard_parts(&mut self, node: &mut AstNode) {
        if let AstNode::Binary {
            op: BinaryOp::ChainPipe,
            lhs,
            rhs,
        } = node
        {
            with_stack(|| self.guard(lhs));
            // A call on the right takes what is on the left as its first argument, so it has to stay one.
            match &mut **rhs {
                AstNode::Function { name, .. } => {
                    if let Some(guard) = self.of_argument(name) {
                        self.wrap(guard, lhs);
                    }
                    with_stack(|| self.guard_parts(rhs));
                    self.replace(rhs);
                }
                _ => with_stack(|| self.guard(rhs)),
            }
            return;
        }
        for (child, _) in children(node) {
            with_stack(|| self.guard(child));
        }
        match node {
            AstNode::Binary {
                op: BinaryOp::Range,
                lhs,
                rhs,
            } => {
                self.wrap(FROM, lhs);
                self.wrap(TO, rhs);
            }
            AstNode::Function {
                name,
                args,
                is_builtin: true,
            } => {
                if let Some(guard) = self.of_argument(name) {
                    let given = args
                        .iter_mut()
                        .filter(|argument| !matches!(argument, AstNode::Placeholder));
                    given.for_each(|argument| self.wrap(guard, argument));
                }
                if name == "replace" && self.is_called_back(args) {
                    match args.last_mut() {
                        Some(AstNode::Lambda { body, .. }) => self.wrap(BUILT, body),
                        Some(argument) => self.wrap(BRIEF, argument),
                        None => {}
                    }
                }
            }
            // A literal takes in the items of the arrays it is made of.
            AstNode::Array(items) => {
                for item in items {
                    if is_computed(item) {
                        self.wrap(SHORT, item);
                    } else if is_path(item) {
                        self.wrap(BUILT, item);
                    }
                }
            }
            AstNode::Object(pairs) => {
                for (_, value) in pairs
                    .iter_mut()
                    .filter(|(_, value)| is_computed(value) || is_path(value))
                {
                    self.wrap(BUILT, value);
                }
            }
            AstNode::ObjectTransform { pattern, .. } => {
                for (_, value) in pattern
                    .iter_mut()
                    .filter(|(_, value)| is_computed(value) || is_path(value))
                {
                    self.wrap(BUILT, value);
                }
            }
            AstNode::Lambda { body, .. } => self.guard_literal(body),
            AstNode::FunctionApplication(inner) => self.wrap(BUILT, inner),
            AstNode::Path { steps } => {
                for step in steps.iter_mut().skip(1) {
                    let joins = step.focus.is_some() && matches!(step.node, AstNode::Name(_));
                    if joins || is_computed(&step.node) {
                        self.wrap(BUILT, &mut step.node);
                    }
                }
            }
            _ => {}
        }
    }

    /// What comes of a node.
    fn guard_result(&mut self, node: &mut AstNode) {
        match node {
            AstNode::Binary {
                op: BinaryOp::Concatenate,
                lhs,
                rhs,
            } => {
                let args = [lhs, rhs].map(|side| std::mem::replace(&mut **side, AstNode::Null));
                self.guards.insert(CONCATENATE);
                *node = call(CONCATENATE, args.into());
            }
            AstNode::Binary {
                op: BinaryOp::ChainPipe,
                ..
            } if self.repeats => self.wrap(BUILT, node),
            AstNode::Function {
                name, is_builtin: true, ..
            } => {
                let is_own = self.bound.contains(name);
                let is_in = |list: &[&str]| self.repeats && !is_own && list.contains(&name.as_str());
                if is_in(&NESTING) {
                    self.wrap(BUILT, node);
                } else if is_in(&MINTING) {
                    self.wrap(FRESH, node);
                } else if is_in(&COPYING) {
                    self.wrap(COPIED, node);
                } else {
                    self.replace(node);
                }
            }
            _ => {}
        }
    }

    /// A literal that a function returns: it may be called for every item of a sequence.
    fn guard_literal(&mut self, node: &mut AstNode) {
        match node {
            AstNode::Array(_) | AstNode::Object(_) => self.wrap(BUILT, node),
            AstNode::Block(nodes) => {
                if let Some(last) = nodes.last_mut() {
                    self.guard_literal(last);
                }
            }
            AstNode::Conditional {
                then_branch,
                else_branch,
                ..
            } => {
                self.guard_literal(then_branch);
                if let Some(else_branch) = else_branch {
                    self.guard_literal(else_branch);
                }
            }
            _ => {}
        }
    }

    fn of_argument(&self, function: &str) -> Option<&'static str> {
        self.listed(&ARGUMENTS, function)
    }

    /// Has a guard take the place of a function.
    fn replace(&mut self, node: &mut AstNode) {
        let AstNode::Function { name, args, .. } = node else {
            return;
        };
        if let Some(guard) = self.listed(&REPLACED, name)
            && !(guard == REPLACE && self.is_called_back(args))
        {
            self.guards.insert(guard);
            *name = guard.to_owned();
        }
    }

    /// Whether the last argument may be a function, which only the evaluator itself can call.
    fn is_called_back(&self, args: &[AstNode]) -> bool {
        fn may_be_function(node: &AstNode, bound: &BTreeSet<String>) -> bool {
            match node {
                AstNode::Variable(name) => bound.contains(name),
                AstNode::Function { name, args, .. } => {
                    bound.contains(name) || args.iter().any(|argument| matches!(argument, AstNode::Placeholder))
                }
                AstNode::Block(nodes) => nodes.last().is_some_and(|last| may_be_function(last, bound)),
                AstNode::Lambda { .. } | AstNode::Call { .. } | AstNode::Conditional { .. } => true,
                AstNode::Binary { op, .. } => *op == BinaryOp::ChainPipe,
                _ => false,
            }
        }
        args.last().is_some_and(|last| may_be_function(last, &self.bound))
    }

    fn listed(&self, list: &[(&str, &'static str)], function: &str) -> Option<&'static str> {
        let (_, guard) = list.iter().find(|(name, _)| *name == function)?;
        (!self.bound.contains(function)).then_some(guard)
    }

    fn wrap(&mut self, guard: &'static str, node: &mut AstNode) {
        self.guards.insert(guard);
        let inner = std::mem::replace(node, AstNode::Null);
        *node = call(guard, vec![inner]);
    }
}

fn call(guard: &str, args: Vec<AstNode>) -> AstNode {
    AstNode::Function {
        name: guard.to_owned(),
        args,
        is_builtin: true,
    }
}

fn is_computed(item: &AstNode) -> bool {
    matches!(
        item,
        AstNode::Variable(_)
            | AstNode::Function { .. }
            | AstNode::Call { .. }
            | AstNode::Block(_)
            | AstNode::Conditional { .. }
    )
}

fn is_path(item: &AstNode) -> bool {
    matches!(item, AstNode::Path { .. })
}

type Args<'v> = &'v [JValue];

/// What an evaluation has built so far.
#[derive(Default)]
struct Meter {
    built: Cell<usize>,
    /// Where the ranges begin whose ends are still to be seen.
    ranges: RefCell<Vec<f64>>,
}

impl Meter {
    fn spend(&self, bytes: usize) -> Result<(), EvaluatorError> {
        self.built.set(self.built.get().saturating_add(bytes));
        if self.built.get() > MAX_BUILT {
            return Err(out_of_memory());
        }
        Ok(())
    }

    /// Counts a value without its parts, which were there before.
    fn count(&self, value: &JValue) -> Result<(), EvaluatorError> {
        self.spend(match value {
            JValue::String(text) => text.len(),
            JValue::Array(items) => VALUE_BYTES + items.len() * size_of::<f64>(),
            JValue::Object(fields) => VALUE_BYTES + fields.len() * size_of::<f64>(),
            _ => 0,
        })
    }

    /// Counts a value that becomes a part of another one. It is looked at as the tree that it is when it is written out.
    fn count_part(&self, value: &JValue) -> Result<(), EvaluatorError> {
        match convert::measure(value) {
            Ok(_) => self.count(value),
            Err(Unfit::TooDeep) => Err(EvaluatorError::EvaluationError(words::TOO_DEEP.to_owned())),
            Err(Unfit::TooLarge | Unfit::Function) => Err(out_of_memory()),
        }
    }
}

/// Registers the guards of a tree, and what takes the place of functions that a guard cannot be put around.
pub(super) fn register(evaluator: &mut Evaluator, guards: &BTreeSet<&'static str>, zips: bool) {
    let meter = Rc::new(Meter::default());
    let mut add = |name: &str, function: fn(Args<'_>, &Meter) -> HostFnResult| {
        let meter = Rc::clone(&meter);
        let registered = evaluator.register_fn_override(name, move |args: Args<'_>| function(args, &meter));
        registered.expect("none of these is compiled into the evaluator's fast path");
    };
    for guard in guards {
        add(
            guard,
            match *guard {
                CONCATENATE => concatenate,
                SMALL => small,
                WIDTH => width,
                SHORT => short,
                PICTURE => picture,
                FROM => from,
                TO => to,
                REPLACE => replace,
                DISTINCT => distinct,
                FORMAT_INTEGER => format_integer,
                COPIED => copied,
                BRIEF => brief,
                FRESH => fresh,
                _ => built,
            },
        );
    }
    if zips {
        // Handed over as a value it could nest without end.
        add("zip", |args, meter| {
            let zipped = builtin("zip", args)?;
            meter.count_part(&zipped)?;
            Ok(zipped)
        });
    }
}

pub(super) fn out_of_memory() -> EvaluatorError {
    EvaluatorError::EvaluationError(words::OUT_OF_MEMORY.to_owned())
}

fn concatenate(args: Args<'_>, meter: &Meter) -> HostFnResult {
    let texts = args.iter().map(|value| match value {
        JValue::String(_) | JValue::Undefined => Ok(value.clone()),
        value => builtin("string", &[small(std::slice::from_ref(value), meter)?]),
    });
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<&str> = texts.iter().map(|value| value.as_str().unwrap_or_default()).collect();
    let bytes = texts.iter().map(|text| text.len()).sum::<usize>();
    if bytes > MAX_BYTES {
        return Err(out_of_memory());
    }
    meter.spend(bytes)?;
    Ok(JValue::from(texts.concat()))
}

fn only<'v>(args: Args<'v>) -> Result<&'v JValue, EvaluatorError> {
    match args {
        [value] => Ok(value),
        _ => Err(out_of_memory()),
    }
}

fn small(args: Args<'_>, meter: &Meter) -> HostFnResult {
    let value = only(args)?;
    match convert::measure(value) {
        Ok(bytes) => meter.spend(bytes)?,
        Err(Unfit::TooLarge) => return Err(out_of_memory()),
        Err(Unfit::TooDeep | Unfit::Function) => {}
    }
    Ok(value.clone())
}

fn width(args: Args<'_>, _: &Meter) -> HostFnResult {
    let value = only(args)?;
    match value.as_f64() {
        Some(width) if width.abs() > MAX_BYTES as f64 => Err(out_of_memory()),
        _ => Ok(value.clone()),
    }
}

fn short(args: Args<'_>, meter: &Meter) -> HostFnResult {
    let value = only(args)?;
    if value.as_array().is_some_and(|items| items.len() > MAX_SEQUENCE) {
        return Err(out_of_memory());
    }
    built(args, meter)
}

fn built(args: Args<'_>, meter: &Meter) -> HostFnResult {
    let value = only(args)?;
    meter.count_part(value)?;
    Ok(value.clone())
}

fn brief(args: Args<'_>, _: &Meter) -> HostFnResult {
    let value = only(args)?;
    match value.as_str() {
        Some(text) if text.len() > MAX_BRIEF => Err(out_of_memory()),
        _ => Ok(value.clone()),
    }
}

fn fresh(args: Args<'_>, meter: &Meter) -> HostFnResult {
    let value = only(args)?;
    let items = value.as_array().map_or(0, |items| items.len());
    meter.spend(items.saturating_mul(VALUE_BYTES))?;
    Ok(value.clone())
}

fn copied(args: Args<'_>, meter: &Meter) -> HostFnResult {
    let value = only(args)?;
    meter.count(value)?;
    Ok(value.clone())
}

fn from(args: Args<'_>, meter: &Meter) -> HostFnResult {
    let value = only(args)?;
    meter.ranges.borrow_mut().push(value.as_f64().unwrap_or_default());
    Ok(value.clone())
}

fn to(args: Args<'_>, meter: &Meter) -> HostFnResult {
    let value = only(args)?;
    let first = meter.ranges.borrow_mut().pop().unwrap_or_default();
    let length = value.as_f64().map_or(0.0, |last| last - first);
    // What is longer than a sequence may be is refused by itself.
    if (0.0..=MAX_SEQUENCE as f64).contains(&length) {
        meter.spend(length as usize * size_of::<f64>())?;
    }
    Ok(value.clone())
}

/// A picture is refused for its length, or for a number in it that asks for as many digits.
fn picture(args: Args<'_>, _: &Meter) -> HostFnResult {
    let value = only(args)?;
    let Some(text) = value.as_str() else {
        return Ok(value.clone());
    };
    // What is too large for a number is large.
    let is_large =
        |digits: &str| !digits.is_empty() && digits.parse().map_or(true, |number: usize| number > MAX_PICTURE);
    // The text to be read as a moment stands before its picture, and has large numbers too.
    let asks = text
        .split_once('[')
        .is_some_and(|(_, marked)| marked.split(|c: char| !c.is_ascii_digit()).any(is_large));
    match text.len() > MAX_PICTURE || asks {
        true => Err(out_of_memory()),
        false => Ok(value.clone()),
    }
}

/// `$replace(text, pattern, replacement)`, if what comes of it cannot be too large.
fn replace(args: Args<'_>, meter: &Meter) -> HostFnResult {
    if let [JValue::String(text), pattern, JValue::String(replacement), ..] = args {
        let matches = match pattern {
            JValue::String(pattern) if !pattern.is_empty() => text.matches(&**pattern).count(),
            // A pattern matches at every character at most.
            _ => text.len() + 1,
        };
        if matches.saturating_mul(replacement.len()).saturating_add(text.len()) > MAX_BYTES {
            return Err(out_of_memory());
        }
    }
    let replaced = builtin("replace", args)?;
    meter.count(&replaced)?;
    Ok(replaced)
}

/// `$distinct(array)`, in time that grows with the array and not with its square.
fn distinct(args: Args<'_>, meter: &Meter) -> HostFnResult {
    let Some(items) = args
        .first()
        .and_then(JValue::as_array)
        .filter(|items| items.len() > FEW_ITEMS)
    else {
        return builtin("distinct", args);
    };
    let mut seen = HashSet::with_capacity(items.len());
    let mut kept = Vec::new();
    for item in items.iter() {
        let key = convert::key(item);
        meter.spend(key.len())?;
        if seen.insert(key) {
            kept.push(item.clone());
        }
    }
    Ok(JValue::sequence(kept))
}

/// `$formatInteger(number, picture)`, if the number is not too large for a picture that grows with it.
fn format_integer(args: Args<'_>, _: &Meter) -> HostFnResult {
    let is_roman = args
        .iter()
        .filter_map(JValue::as_str)
        .any(|picture| picture.contains(['i', 'I']));
    let is_large = args
        .iter()
        .filter_map(JValue::as_f64)
        .any(|number| number.abs() > MAX_ROMAN);
    let is_long = args
        .iter()
        .filter_map(JValue::as_str)
        .any(|picture| picture.len() > MAX_PICTURE);
    if (is_roman && is_large) || is_long {
        return Err(out_of_memory());
    }
    builtin("formatInteger", args)
}
