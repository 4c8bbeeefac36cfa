//! Filters: `[?(@.price < 10 && @.tag in ['a', 'b'])]`.

use std::borrow::Cow;
use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};
use serde_json::{Number, Value};

use super::parse::{self, Cursor, Failure, Parsed};
use super::{Step, select};
use crate::query::Budget;

/// How deep filters and parentheses may stand inside one another: far more than anyone writes, far less than would
/// use up a stack.
const MAX_DEPTH: u8 = 32;

/// How deep the parser stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Depth(u8);

impl Depth {
    fn deeper(self, cursor: &Cursor<'_>) -> Parsed<Self> {
        if self.0 >= MAX_DEPTH {
            return Err(cursor.failure(format!("filters nest more than {MAX_DEPTH} deep")));
        }
        Ok(Self(self.0 + 1))
    }
}

/// A condition on an element.
#[derive(Debug, Clone)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    /// A path alone: that it leads somewhere, whatever stands there.
    Exists(Reach),
    Compare(Operand, Operator, Operand),
}

#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Literal(Value),
    Pattern(Regex),
    Path(Reach),
}

/// A path inside a filter.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    /// Whether it starts at the element (`@`), else at the whole document (`$`).
    from_element: bool,
    steps: Box<[Step]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    SameTypeEqual,
    SameTypeNotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    In,
    NotIn,
    Contains,
    All,
    AnyOf,
    NoneOf,
    SubsetOf,
    Size,
    Empty,
    Exists,
}

/// Longer tokens before those they start with.
const OPERATORS: [(&str, Operator); 10] = [
    ("===", Operator::SameTypeEqual),
    ("!==", Operator::SameTypeNotEqual),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=~", Operator::Matches),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("=", Operator::Equal),
];

const WORDS: [(&str, Operator); 10] = [
    ("in", Operator::In),
    ("nin", Operator::NotIn),
    ("contains", Operator::Contains),
    ("all", Operator::All),
    ("anyof", Operator::AnyOf),
    ("noneof", Operator::NoneOf),
    ("subsetof", Operator::SubsetOf),
    ("size", Operator::Size),
    ("empty", Operator::Empty),
    ("exists", Operator::Exists),
];

/// A filter at the cursor, from its `?` to its last parenthesis.
pub(super) fn filter(cursor: &mut Cursor<'_>, depth: Depth) -> Parsed<Filter> {
    let depth = depth.deeper(cursor)?;
    cursor.expect("?")?;
    cursor.spaces();
    cursor.expect("(")?;
    let filter = any(cursor, depth)?;
    cursor.spaces();
    cursor.expect(")")?;
    Ok(filter)
}

fn any(cursor: &mut Cursor<'_>, depth: Depth) -> Parsed<Filter> {
    let mut filters = vec![all(cursor, depth)?];
    loop {
        cursor.spaces();
        if !cursor.eat("||") {
            break;
        }
        filters.push(all(cursor, depth)?);
    }
    Ok(if filters.len() == 1 {
        filters.remove(0)
    } else {
        Filter::Any(filters)
    })
}

fn all(cursor: &mut Cursor<'_>, depth: Depth) -> Parsed<Filter> {
    let mut filters = vec![condition(cursor, depth)?];
    loop {
        cursor.spaces();
        if !cursor.eat("&&") {
            break;
        }
        filters.push(condition(cursor, depth)?);
    }
    Ok(if filters.len() == 1 {
        filters.remove(0)
    } else {
        Filter::All(filters)
    })
}

fn condition(cursor: &mut Cursor<'_>, depth: Depth) -> Parsed<Filter> {
    cursor.spaces();
    if cursor.eat("!") {
        let depth = depth.deeper(cursor)?;
        return Ok(Filter::Not(Box::new(condition(cursor, depth)?)));
    }
    if cursor.eat("(") {
        let filter = any(cursor, depth.deeper(cursor)?)?;
        cursor.spaces();
        cursor.expect(")")?;
        return Ok(filter);
    }
    let left = operand(cursor, depth)?;
    cursor.spaces();
    let Some(operator) = operator(cursor)? else {
        return match left {
            Operand::Path(reach) => Ok(Filter::Exists(reach)),
            _ => Err(cursor.failure("expected an operator".to_owned())),
        };
    };
    cursor.spaces();
    let start = cursor.offset();
    let right = operand(cursor, depth)?;
    if operator == Operator::Matches && !matches!((&left, &right), (Operand::Pattern(_), _) | (_, Operand::Pattern(_)))
    {
        return Err(Failure {
            offset: start,
            reason: "expected a pattern such as /a.*/i".to_owned(),
        });
    }
    Ok(Filter::Compare(left, operator, right))
}

fn operator(cursor: &mut Cursor<'_>) -> Parsed<Option<Operator>> {
    if let Some((_, operator)) = OPERATORS.iter().find(|(token, _)| cursor.eat(token)) {
        return Ok(Some(*operator));
    }
    let start = cursor.offset();
    let word = cursor.take_while(char::is_alphabetic);
    if word.is_empty() {
        return Ok(None);
    }
    match WORDS.iter().find(|(token, _)| token.eq_ignore_ascii_case(word)) {
        Some((_, operator)) => Ok(Some(*operator)),
        None => Err(Failure {
            offset: start,
            reason: format!("there is no operator `{word}`"),
        }),
    }
}

fn operand(cursor: &mut Cursor<'_>, depth: Depth) -> Parsed<Operand> {
    match cursor.peek() {
        Some(root @ ('@' | '$')) => {
            cursor.next();
            let steps = parse::filter_steps(cursor, depth)?;
            Ok(Operand::Path(Reach {
                from_element: root == '@',
                steps,
            }))
        }
        Some('/') => pattern(cursor),
        _ => literal(cursor, depth).map(Operand::Literal),
    }
}

fn literal(cursor: &mut Cursor<'_>, depth: Depth) -> Parsed<Value> {
    match cursor.peek() {
        Some('\'' | '"') => parse::quoted(cursor).map(Value::String),
        Some('[') => list(cursor, depth.deeper(cursor)?),
        _ => {
            let start = cursor.offset();
            let word = cursor.take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '+' | '.'));
            let number = |word: &str| serde_json::from_str::<Number>(word).ok();
            match word {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                "null" => Ok(Value::Null),
                word => number(word).map(Value::Number).ok_or_else(|| Failure {
                    offset: start,
                    reason: "expected a value".to_owned(),
                }),
            }
        }
    }
}

fn list(cursor: &mut Cursor<'_>, depth: Depth) -> Parsed<Value> {
    cursor.expect("[")?;
    cursor.spaces();
    let mut items = Vec::new();
    while !cursor.eat("]") {
        if !items.is_empty() {
            cursor.expect(",")?;
            cursor.spaces();
        }
        items.push(literal(cursor, depth)?);
        cursor.spaces();
    }
    Ok(Value::Array(items))
}

/// `/regular expression/flags`. It must match the whole text, as Java's `matches` does.
fn pattern(cursor: &mut Cursor<'_>) -> Parsed<Operand> {
    let start = cursor.offset();
    cursor.expect("/")?;
    let mut source = String::new();
    loop {
        match cursor.next() {
            None => {
                return Err(Failure {
                    offset: start,
                    reason: "the pattern is never closed".to_owned(),
                });
            }
            Some('/') => break,
            Some('\\') if cursor.eat("/") => source.push('/'),
            Some('\\') => {
                source.push('\\');
                source.extend(cursor.next());
            }
            Some(c) => source.push(c),
        }
    }
    let flags = cursor.take_while(char::is_alphabetic);
    RegexBuilder::new(&format!("^(?:{source})$"))
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .dot_matches_new_line(flags.contains('s'))
        .ignore_whitespace(flags.contains('x'))
        .build()
        .map(Operand::Pattern)
        .map_err(|error| Failure {
            offset: start,
            reason: format!("the pattern cannot be used: {error}"),
        })
}

impl Filter {
    /// Whether `element` fulfils the condition; `document` is what `$` means in it.
    pub(super) fn accepts(&self, element: &Value, document: &Value, budget: &Budget) -> bool {
        if !budget.look(1) {
            return false;
        }
        match self {
            Filter::All(filters) => filters.iter().all(|filter| filter.accepts(element, document, budget)),
            Filter::Any(filters) => filters.iter().any(|filter| filter.accepts(element, document, budget)),
            Filter::Not(filter) => !filter.accepts(element, document, budget),
            Filter::Exists(reach) => reach.value(element, document, budget).is_some(),
            Filter::Compare(left, operator, right) => compare(left, *operator, right, element, document, budget),
        }
    }
}

impl Reach {
    /// The value at the end of the path: a list if it is indefinite, nothing if it leads nowhere.
    fn value<'a>(&self, element: &'a Value, document: &'a Value, budget: &Budget) -> Option<Cow<'a, Value>> {
        let start = if self.from_element { element } else { document };
        let last = self.steps.len().saturating_sub(1);
        let definite = self
            .steps
            .iter()
            .enumerate()
            .all(|(index, step)| step.is_definite(index == last));
        let mut found = select::all(&self.steps, start, document, budget);
        if definite {
            return found.pop();
        }
        select::list(found, budget).map(Cow::Owned)
    }
}

impl Operand {
    fn value<'a>(&'a self, element: &'a Value, document: &'a Value, budget: &Budget) -> Option<Cow<'a, Value>> {
        match self {
            Operand::Literal(value) => Some(Cow::Borrowed(value)),
            Operand::Path(reach) => reach.value(element, document, budget),
            Operand::Pattern(_) => None,
        }
    }
}

fn compare(
    left: &Operand,
    operator: Operator,
    right: &Operand,
    element: &Value,
    document: &Value,
    budget: &Budget,
) -> bool {
    if let (Operand::Pattern(pattern), other) | (other, Operand::Pattern(pattern)) = (left, right) {
        let value = other
            .value(element, document, budget)
            .filter(|value| budget.look_through(value, 1));
        return operator == Operator::Matches && value.is_some_and(|value| matches(pattern, &value));
    }
    let left = left.value(element, document, budget);
    let right = right.value(element, document, budget);
    if !affords(left.as_deref(), operator, right.as_deref(), budget) {
        return false;
    }
    match (operator, left.as_deref(), right.as_deref()) {
        // A value that is missing equals nothing but another one.
        (Operator::Equal, left, right) => same(left, right, equal),
        (Operator::NotEqual, left, right) => !same(left, right, equal),
        (Operator::SameTypeEqual, left, right) => same(left, right, equal_in_type),
        (Operator::SameTypeNotEqual, left, right) => !same(left, right, equal_in_type),
        (Operator::Exists, left, right) => right.and_then(Value::as_bool) == Some(left.is_some()),
        (Operator::NotIn, Some(left), Some(Value::Array(items))) => !holds(items, left),
        (Operator::NotIn, None, Some(Value::Array(_))) => true,
        (operator, Some(left), Some(right)) => compare_values(left, operator, right),
        _ => false,
    }
}

/// Whether comparing two values is within the budget, which it spends: the smaller one, or each element of the one
/// with all of the other.
fn affords(left: Option<&Value>, operator: Operator, right: Option<&Value>, budget: &Budget) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return true;
    };
    let times = |items: &Value| items.as_array().map_or(1, Vec::len);
    let (through, times) = match operator {
        Operator::Size | Operator::Empty | Operator::Exists => return true,
        Operator::In | Operator::NotIn => (left, times(right)),
        Operator::Contains => (right, times(left)),
        Operator::All | Operator::AnyOf | Operator::NoneOf | Operator::SubsetOf => (right, times(left)),
        _ if left.is_array() || left.is_object() => (right, 1),
        _ => (left, 1),
    };
    budget.look_through(through, times)
}

fn compare_values(left: &Value, operator: Operator, right: &Value) -> bool {
    match (operator, left, right) {
        (Operator::Less, ..) => order(left, right).is_some_and(Ordering::is_lt),
        (Operator::LessOrEqual, ..) => order(left, right).is_some_and(Ordering::is_le),
        (Operator::Greater, ..) => order(left, right).is_some_and(Ordering::is_gt),
        (Operator::GreaterOrEqual, ..) => order(left, right).is_some_and(Ordering::is_ge),
        (Operator::In, left, Value::Array(items)) => holds(items, left),
        (Operator::Contains, Value::String(text), Value::String(part)) => text.contains(part),
        (Operator::Contains, Value::Array(items), part) => holds(items, part),
        (Operator::All, Value::Array(items), Value::Array(wanted)) => wanted.iter().all(|one| holds(items, one)),
        (Operator::AnyOf, Value::Array(items), Value::Array(wanted)) => items.iter().any(|one| holds(wanted, one)),
        (Operator::NoneOf, Value::Array(items), Value::Array(wanted)) => !items.iter().any(|one| holds(wanted, one)),
        (Operator::SubsetOf, Value::Array(items), Value::Array(wanted)) => items.iter().all(|one| holds(wanted, one)),
        (Operator::Size, left, right) => size(left).is_some_and(|size| right.as_u64() == Some(size as u64)),
        (Operator::Empty, left, Value::Bool(empty)) => size(left).is_some_and(|size| (size == 0) == *empty),
        _ => false,
    }
}

fn same(left: Option<&Value>, right: Option<&Value>, equal: fn(&Value, &Value) -> bool) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => equal(left, right),
        (None, None) => true,
        _ => false,
    }
}

/// Jayway's equality: numbers by their value, and a number equals the text that spells it.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => number_order(left, right) == Some(Ordering::Equal),
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            number.to_string() == *text
        }
        _ => left == right,
    }
}

fn equal_in_type(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::String(_)) | (Value::String(_), Value::Number(_)) => false,
        _ => equal(left, right),
    }
}

fn holds(items: &[Value], value: &Value) -> bool {
    items.iter().any(|item| equal(item, value))
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => number_order(left, right),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn number_order(left: &Number, right: &Number) -> Option<Ordering> {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.chars().count()),
        Value::Array(items) => Some(items.len()),
        Value::Object(fields) => Some(fields.len()),
        _ => None,
    }
}

/// Whether a text, or any text of a list, matches.
fn matches(pattern: &Regex, value: &Value) -> bool {
    match value {
        Value::String(text) => pattern.is_match(text),
        Value::Array(items) => items
            .iter()
            .any(|item| item.as_str().is_some_and(|text| pattern.is_match(text))),
        Value::Number(number) => pattern.is_match(&number.to_string()),
        _ => false,
    }
}
