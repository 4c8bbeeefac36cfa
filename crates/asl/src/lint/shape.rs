//! What is known of a JSON value before it exists.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::query::{Path, ReferencePath, Root, Step};

/// Deeper is anything: loops build values that nest without end, and no reference of a person's goes as deep.
const MAX_DEPTH: usize = 8;

/// How many steps one joining may take: what is left then is anything.
const MAX_JOIN: usize = 2_000;

/// The values that may be at one place. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Any value at all.
    Any,
    /// A text, a number, true, false or null.
    Leaf,
    Object(Arc<Fields>),
    Array(Arc<Items>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    /// The fields that may be there, with what is in them if they are.
    pub(super) known: BTreeMap<Box<str>, Shape>,
    /// Whether there may be others.
    pub(super) open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Items {
    These(Vec<Shape>),
    /// Any number of them, each of this shape.
    All(Shape),
}

impl Shape {
    /// An object of these fields at most.
    pub(super) fn object<N: Into<Box<str>>>(fields: impl IntoIterator<Item = (N, Shape)>) -> Self {
        let known = fields.into_iter().map(|(name, shape)| (name.into(), shape)).collect();
        Self::Object(Arc::new(Fields { known, open: false }))
    }

    /// An array of exactly these items.
    pub(super) fn these(items: Vec<Shape>) -> Self {
        Self::Array(Arc::new(Items::These(items)))
    }

    /// An array of any number of such items.
    pub(super) fn all(item: Shape) -> Self {
        Self::Array(Arc::new(Items::All(item)))
    }

    pub(super) fn of(value: &Value) -> Self {
        Self::of_within(value, MAX_DEPTH)
    }

    fn of_within(value: &Value, depth: usize) -> Self {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Self::Leaf,
            Value::Array(_) | Value::Object(_) if depth == 0 => Self::Any,
            Value::Array(items) => Self::these(items.iter().map(|item| Self::of_within(item, depth - 1)).collect()),
            Value::Object(fields) => Self::object(
                fields
                    .iter()
                    .map(|(name, value)| (name.as_str(), Self::of_within(value, depth - 1))),
            ),
        }
    }

    /// The values of both.
    pub(super) fn join(&self, other: &Self) -> Self {
        self.join_within(other, MAX_DEPTH, &mut { MAX_JOIN })
    }

    fn join_within(&self, other: &Self, depth: usize, steps: &mut usize) -> Self {
        *steps = steps.saturating_sub(1);
        match (self, other) {
            (Self::Leaf, Self::Leaf) => Self::Leaf,
            (Self::Object(left), Self::Object(right)) if Arc::ptr_eq(left, right) => self.clone(),
            (Self::Array(left), Self::Array(right)) if Arc::ptr_eq(left, right) => self.clone(),
            _ if depth == 0 || *steps == 0 => Self::Any,
            (Self::Object(left), Self::Object(right)) => {
                let names = left
                    .known
                    .keys()
                    .chain(right.known.keys().filter(|name| !left.known.contains_key(*name)));
                let known = names.map(|name| {
                    let shape = match (left.field(name), right.field(name)) {
                        (Some(left), Some(right)) => left.join_within(&right, depth - 1, steps),
                        (Some(shape), None) | (None, Some(shape)) => shape,
                        (None, None) => Self::Any,
                    };
                    (name.clone(), shape)
                });
                Self::Object(Arc::new(Fields {
                    known: known.collect(),
                    open: left.open || right.open,
                }))
            }
            (Self::Array(left), Self::Array(right)) => match (&**left, &**right) {
                (Items::These(left), Items::These(right)) if left.len() == right.len() => {
                    let pairs = left.iter().zip(right);
                    Self::these(
                        pairs
                            .map(|(left, right)| left.join_within(right, depth - 1, steps))
                            .collect(),
                    )
                }
                (left, right) => match (left.each(), right.each()) {
                    (Some(left), Some(right)) => Self::all(left.join_within(&right, depth - 1, steps)),
                    (Some(each), None) | (None, Some(each)) => Self::all(each),
                    (None, None) => Self::these(Vec::new()),
                },
            },
            _ => Self::Any,
        }
    }

    /// What a path finds from this document; what it cannot find is told by the index of the step that leads nowhere.
    pub(super) fn find(&self, path: &Path) -> Result<Self, Missing> {
        if !path.is_definite() {
            return Ok(Self::all(Self::Any));
        }
        let mut shape = self.clone();
        let mut may_be_null = false;
        for (index, step) in path.steps().iter().enumerate() {
            // Beside an array's elements is null, in which no further step finds anything.
            may_be_null = match (&shape, step) {
                (Self::Array(items), Step::Index(_)) => matches!(**items, Items::All(_)),
                _ => false,
            };
            shape = shape.step(step).ok_or_else(|| Missing {
                at: index,
                inside: shape.clone(),
            })?;
        }
        Ok(if may_be_null { shape.join(&Self::Leaf) } else { shape })
    }

    fn step(&self, step: &Step) -> Option<Self> {
        match (self, step) {
            (Self::Any, _) => Some(Self::Any),
            (Self::Object(fields), Step::Property(name)) => fields.field(name),
            (Self::Object(fields), Step::Properties(names)) => {
                let found = names
                    .iter()
                    .filter_map(|name| Some((name.clone(), fields.field(name)?)));
                Some(Self::object(found))
            }
            (Self::Array(items), Step::Index(index)) => Some(items.item(*index)),
            _ => None,
        }
    }

    /// What JSONata finds under these names: it looks into each item of an array.
    pub(super) fn find_names(&self, names: &[String]) -> Result<Self, Missing> {
        let mut shape = self.clone();
        for (index, name) in names.iter().enumerate() {
            shape = shape.name(name).ok_or_else(|| Missing {
                at: index,
                inside: shape.clone(),
            })?;
        }
        Ok(shape)
    }

    fn name(&self, name: &str) -> Option<Self> {
        match self {
            Self::Any => Some(Self::Any),
            Self::Leaf => None,
            Self::Object(fields) => fields.field(name),
            // One item found is the item, several are a list: JSONata decides by what it finds.
            Self::Array(items) => match &**items {
                Items::These(items) => items.iter().any(|item| item.name(name).is_some()).then_some(Self::Any),
                Items::All(item) => item.name(name).map(|_| Self::Any),
            },
        }
    }

    /// The shape of an array's items, whichever; `None` if this is no array.
    pub(super) fn items(&self) -> Option<Self> {
        match self {
            Self::Any => Some(Self::Any),
            Self::Array(items) => Some(items.each().unwrap_or(Self::Any)),
            Self::Leaf | Self::Object(_) => None,
        }
    }

    /// The document with `new` at a place, as `ResultPath` puts it there; `None` if it never fits.
    pub(super) fn with(&self, place: &ReferencePath, new: &Self) -> Option<Self> {
        match place.path().root() {
            Root::Input => self.put(place.path().steps(), new),
            Root::Context | Root::Variable(_) => None,
        }
    }

    fn put(&self, steps: &[Step], new: &Self) -> Option<Self> {
        let Some((step, rest)) = steps.split_first() else {
            return Some(new.clone());
        };
        match (self, step) {
            // It fits, so it is an object.
            (Self::Any, Step::Property(name)) => {
                let inner = Self::Any.put(rest, new)?;
                let known = BTreeMap::from([(name.clone(), inner)]);
                Some(Self::Object(Arc::new(Fields { known, open: true })))
            }
            (Self::Any, _) => Some(Self::Any),
            (Self::Object(fields), Step::Property(name)) => {
                let inner = match fields.field(name) {
                    // The field may also be missing, and then be made.
                    Some(inner) => inner.put(rest, new).or_else(|| Self::made(rest, new))?,
                    None => Self::made(rest, new)?,
                };
                let mut fields = (**fields).clone();
                fields.known.insert(name.clone(), inner);
                Some(Self::Object(Arc::new(fields)))
            }
            (Self::Array(items), Step::Index(index)) => match &**items {
                Items::These(items) => {
                    let mut items = items.clone();
                    let item = items.get_mut(usize::try_from(*index).ok()?)?;
                    *item = item.put(rest, new)?;
                    Some(Self::these(items))
                }
                Items::All(item) => Some(Self::all(item.join(&item.put(rest, new)?))),
            },
            _ => None,
        }
    }

    /// Objects made on the way to a place where nothing was.
    fn made(steps: &[Step], new: &Self) -> Option<Self> {
        match steps.split_first() {
            None => Some(new.clone()),
            Some((Step::Property(name), rest)) => Some(Self::object([(name.clone(), Self::made(rest, new)?)])),
            Some(_) => None,
        }
    }

    /// What there is instead of what was looked for, in words.
    pub(super) fn describe(&self) -> String {
        /// More names than these say nothing.
        const MAX_NAMES: usize = 8;
        match self {
            Self::Any => "may be anything".into(),
            Self::Leaf => "is neither an object nor an array".into(),
            Self::Array(items) => match &**items {
                Items::These(items) => format!("is an array of {}", items.len()),
                Items::All(_) => "is an array".into(),
            },
            Self::Object(fields) if fields.known.is_empty() => "is an empty object".into(),
            Self::Object(fields) => {
                let names: Vec<&str> = fields.known.keys().take(MAX_NAMES).map(|name| &**name).collect();
                let more = if fields.known.len() > MAX_NAMES { ", …" } else { "" };
                format!("has only {}{more}", names.join(", "))
            }
        }
    }
}

/// A path that leads nowhere.
pub(super) struct Missing {
    /// The index of the first step that finds nothing.
    pub(super) at: usize,
    /// In what it finds nothing.
    pub(super) inside: Shape,
}

impl Fields {
    /// What is in a field; `None` if it cannot be there.
    fn field(&self, name: &str) -> Option<Shape> {
        match self.known.get(name) {
            Some(shape) => Some(shape.clone()),
            None => self.open.then_some(Shape::Any),
        }
    }
}

impl Items {
    /// An item, counted from the end if negative; if it cannot be there, the null that a path finds instead.
    fn item(&self, index: i64) -> Shape {
        match self {
            Self::All(item) => item.clone(),
            Self::These(items) => {
                let from_end = || items.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
                let index = usize::try_from(index).ok().or_else(from_end);
                index.and_then(|index| items.get(index)).cloned().unwrap_or(Shape::Leaf)
            }
        }
    }

    /// What each item may be; `None` if there are none.
    fn each(&self) -> Option<Shape> {
        match self {
            Self::All(item) => Some(item.clone()),
            Self::These(items) => items.iter().cloned().reduce(|left, right| left.join(&right)),
        }
    }
}
