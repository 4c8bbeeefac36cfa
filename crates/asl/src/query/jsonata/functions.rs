//! The functions that AWS adds to JSONata or changes in it.

use std::rc::Rc;

use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorError, HostFnResult};
use jsonata_core::value::JValue;

use super::guard::{self, out_of_memory};
use super::options;
use super::read::Reading;
use crate::query::Moment;
use crate::query::intrinsic::digest;
use crate::query::moment::Seeded;

/// How many steps `$range` may make at AWS, which accounts for its numbers otherwise than for those of `[a..b]`.
const MAX_RANGE: i128 = 360_145;

type Args<'v> = &'v [JValue];

/// Registers what the expression mentions, drawing time and randomness from the moment.
pub(super) fn register(evaluator: &mut Evaluator, reading: &Reading, moment: &Moment) {
    let time_ms = moment.time_ms() as f64;
    // What is registered must own what it uses.
    let moment = Rc::new(Moment::new(moment.time_ms(), moment.draw()));
    let mut add = |name: &str, function: Box<dyn Fn(Args<'_>) -> HostFnResult>| {
        if reading.mentions(name) {
            let registered = evaluator.register_fn_override(name, move |args: Args<'_>| function(args));
            registered.expect("none of these is compiled into the evaluator's fast path");
        }
    };
    add("partition", Box::new(partition));
    add("range", Box::new(range));
    add("hash", Box::new(hash));
    add("parse", Box::new(parse));
    add(
        "eval",
        Box::new(|_| {
            Err(EvaluatorError::ReferenceError(
                "T1006: Attempted to invoke a non-function".to_owned(),
            ))
        }),
    );
    add("millis", Box::new(move |_| Ok(JValue::Number(time_ms))));
    add(
        "now",
        Box::new(move |args| {
            let mut values = vec![JValue::Number(time_ms)];
            values.extend_from_slice(args);
            builtin("fromMillis", &values)
        }),
    );
    let drawn = Rc::clone(&moment);
    add("uuid", Box::new(move |args| uuid(args, &drawn)));
    let drawn = Rc::clone(&moment);
    add("random", Box::new(move |args| random(args, &drawn)));
    let drawn = Rc::clone(&moment);
    add("shuffle", Box::new(move |args| shuffle(args, &drawn)));
    guard::register(evaluator, &reading.guards, reading.mentions("zip"));
}

fn mismatch(function: &str, argument: usize) -> EvaluatorError {
    let message = format!("T0410: Argument {argument} of function \"{function}\" does not match function signature");
    EvaluatorError::TypeError(message)
}

/// Calls a function of the evaluator itself, for as long as an evaluation may take.
pub(super) fn builtin(name: &str, args: Args<'_>) -> HostFnResult {
    let mut context = Context::new();
    let mut names = Vec::with_capacity(args.len());
    for (index, value) in args.iter().enumerate() {
        let name = format!("argument{index}");
        context.bind(name.clone(), value.clone());
        names.push(AstNode::Variable(name));
    }
    let call = AstNode::Function {
        name: name.to_owned(),
        args: names,
        is_builtin: true,
    };
    Evaluator::with_options(context, options()).evaluate(&call, &JValue::Undefined)
}

/// The argument at `index`, or nothing if it is not given or has no value.
fn given(args: Args<'_>, index: usize) -> Option<&JValue> {
    args.get(index).filter(|value| !value.is_undefined())
}

/// A number as an integer, without its fraction, if it is given.
fn integer(args: Args<'_>, index: usize, function: &str) -> Result<Option<i64>, EvaluatorError> {
    match given(args, index) {
        None => Ok(None),
        Some(JValue::Number(number)) => Ok(Some(*number as i64)),
        Some(_) => Err(mismatch(function, index + 1)),
    }
}

/// The arguments of a function that takes `most`: more are an error, but for what a higher-order function such as `$map`
/// hands over besides the value, its index and the whole array.
fn expect<'v>(args: Args<'v>, most: usize, function: &str) -> Result<Args<'v>, EvaluatorError> {
    if args.len() <= most {
        return Ok(args);
    }
    match args {
        [value, JValue::Number(index), JValue::Array(items)] if items.get(*index as usize) == Some(value) => {
            Ok(&args[..most])
        }
        _ => Err(mismatch(function, most + 1)),
    }
}

/// What a function of AWS's own says of its arguments.
fn refusal(message: &str) -> EvaluatorError {
    EvaluatorError::EvaluationError(format!("D3137: {message}"))
}

/// `$partition(array, size)`: the array in pieces.
fn partition(args: Args<'_>) -> HostFnResult {
    let args = expect(args, 2, "partition")?;
    let Some(array) = given(args, 0) else {
        return Ok(JValue::Undefined);
    };
    if matches!(array, JValue::Null) || array.is_function() {
        return Err(mismatch("partition", 1));
    }
    // As everywhere in JSONata, one value is as good as an array of it.
    let items = array.as_array().map_or(std::slice::from_ref(array), Vec::as_slice);
    let size = match integer(args, 1, "partition")? {
        None => items.len(),
        Some(size) => usize::try_from(size).map_err(|_| refusal("Second argument must be zero or greater"))?,
    };
    if items.is_empty() || size == 0 {
        return Ok(JValue::Undefined);
    }
    Ok(JValue::array(
        items.chunks(size).map(|chunk| JValue::array(chunk.to_vec())).collect(),
    ))
}

/// `$range(first, last, step)`: the numbers from one to the other, both included.
fn range(args: Args<'_>) -> HostFnResult {
    let args = expect(args, 3, "range")?;
    if args.len() < 2 {
        return Err(mismatch("range", args.len() + 1));
    }
    let number = |index| integer(args, index, "range");
    let (Some(first), Some(last), Some(step)) = (number(0)?, number(1)?, number(2)?) else {
        return Ok(JValue::Undefined);
    };
    let distance = i128::from(last) - i128::from(first);
    let Some(steps) = distance
        .checked_div(step.into())
        .filter(|_| distance == 0 || (distance < 0) == (step < 0))
    else {
        return Ok(JValue::Undefined);
    };
    if steps >= MAX_RANGE {
        return Err(out_of_memory());
    }
    let numbers = (0..=steps).map(|index| JValue::Number((i128::from(first) + index * i128::from(step)) as f64));
    // A sequence, as JSONata's own functions return: of one number it is that number.
    Ok(JValue::sequence(numbers.collect()))
}

/// `$hash(text, algorithm)`
fn hash(args: Args<'_>) -> HostFnResult {
    let args = expect(args, 2, "hash")?;
    let text = |index: usize| match given(args, index) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| mismatch("hash", index + 1)),
    };
    let (Some(text), Some(algorithm)) = (text(0)?, text(1)?) else {
        return Ok(JValue::Undefined);
    };
    let digest = digest(text, algorithm).map(JValue::from);
    digest.ok_or_else(|| refusal(&format!("Unsupported hash algorithm: {algorithm}")))
}

/// `$parse(text)`: the JSON that a text holds.
fn parse(args: Args<'_>) -> HostFnResult {
    let args = expect(args, 1, "parse")?;
    match given(args, 0) {
        None => Ok(JValue::Undefined),
        Some(JValue::String(text)) => JValue::from_json_str(text).map_err(|_| refusal("Invalid JSON")),
        Some(_) => Err(mismatch("parse", 1)),
    }
}

fn uuid(args: Args<'_>, moment: &Moment) -> HostFnResult {
    expect(args, 0, "uuid")?;
    Ok(JValue::from(moment.uuid()))
}

/// `$random([seed])`: a number in `[0, 1)`.
fn random(args: Args<'_>, moment: &Moment) -> HostFnResult {
    let args = expect(args, 1, "random")?;
    let seed = integer(args, 0, "random")?.unwrap_or_else(|| moment.draw().cast_signed());
    Ok(JValue::Number(Seeded::new(seed).unit()))
}

fn shuffle(args: Args<'_>, moment: &Moment) -> HostFnResult {
    let [array] = args else {
        return Err(mismatch("shuffle", 1));
    };
    let Some(items) = array.as_array() else {
        return Ok(array.clone());
    };
    let mut items = items.clone();
    for last in (1..items.len()).rev() {
        items.swap(last, (moment.draw() % (last as u64 + 1)) as usize);
    }
    Ok(JValue::array(items))
}
