//! Reading JSON that others wrote: each error names the field, the value, and what would be right.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::ids;
use crate::text::excerpt;
use crate::time::{self, Time};

/// Why a body is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the body is not JSON")]
    NotJson(#[source] serde_json::Error),
    #[error("the body is JSON, but no shape of an issue: {0}")]
    NoKnownShape(String),
    #[error("the body is JSON, but no shape of an issue: {field} is {value}; it should be {expected}")]
    WrongShape {
        field: String,
        value: String,
        expected: &'static str,
    },
    #[error("{field} is missing; it should be {expected}")]
    Missing { field: String, expected: &'static str },
    #[error("{field} is {value}; it should be {expected}")]
    Invalid {
        field: String,
        value: String,
        expected: &'static str,
    },
}

/// The two ways in which a body can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not JSON, or no known shape: 400.
    Unreadable,
    /// A known shape with a value that cannot be: 422.
    Unprocessable,
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotJson(_) | Self::NoKnownShape(_) | Self::WrongShape { .. } => Kind::Unreadable,
            Self::Missing { .. } | Self::Invalid { .. } => Kind::Unprocessable,
        }
    }

    /// The field at fault, if it is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::NotJson(_) | Self::NoKnownShape(_) => None,
            Self::Missing { field, .. } | Self::Invalid { field, .. } | Self::WrongShape { field, .. } => Some(field),
        }
    }
}

/// Parses a body that is an object.
pub(crate) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    match parse(body)? {
        Shaped::Right(Object(object)) => Ok(object),
        Shaped::Wrong(value) => Err(not_a_body(&value, AN_OBJECT)),
    }
}

/// Parses a body that is a list.
pub(crate) fn list<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, Error> {
    match parse(body)? {
        Shaped::Right(list) => Ok(list),
        Shaped::Wrong(value) => Err(not_a_body(&value, A_LIST)),
    }
}

fn not_a_body(value: &Value, expected: &str) -> Error {
    Error::NoKnownShape(format!(
        "it is {}; it should be {expected}",
        excerpt(&value.to_string())
    ))
}

/// Parses a body, telling apart what is no JSON and what is JSON of another shape.
///
/// Half a surrogate pair, which cutting a text can leave, is no Unicode and no reason to lose a delivery: it is read
/// as U+FFFD.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let mut read = serde_json::from_slice(body);
    if read.as_ref().is_err_and(serde_json::Error::is_syntax)
        && let Some(mended) = without_lone_surrogates(body)
    {
        read = serde_json::from_slice(&mended);
    }
    read.map_err(|error| {
        if error.is_data() {
            Error::NoKnownShape(error.to_string())
        } else {
            Error::NotJson(error)
        }
    })
}

/// The body with every escaped half of a surrogate pair replaced, byte for byte in its place; `None` if it has none.
fn without_lone_surrogates(body: &[u8]) -> Option<Vec<u8>> {
    const ESCAPE: usize = "\\uXXXX".len();
    const REPLACEMENT: &[u8; ESCAPE] = b"\\ufffd";
    let unit = |at: usize| -> Option<u16> {
        let digits = body.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
        let digits = std::str::from_utf8(digits).ok()?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let mut mended = None;
    let mut at = 0;
    while let Some(found) = body
        .get(at..)
        .and_then(|rest| rest.iter().position(|byte| *byte == b'\\'))
    {
        at += found;
        at += match (unit(at), unit(at + ESCAPE)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 2 * ESCAPE,
            (Some(0xD800..=0xDFFF), _) => {
                mended.get_or_insert_with(|| body.to_vec())[at..at + ESCAPE].copy_from_slice(REPLACEMENT);
                ESCAPE
            }
            (Some(_), _) => ESCAPE,
            // The backslash and what it escapes, which may be a backslash.
            (None, _) => 2,
        };
    }
    mended
}

const AN_OBJECT: &str = "an object";
const A_LIST: &str = "a list";

/// A part of a body's structure: of the shape that it should have, or whatever else it is, kept for the one who knows
/// its name.
pub(crate) enum Shaped<T> {
    Right(T),
    Wrong(Value),
}

/// An object, and nothing else: of itself, serde reads a list into a struct, too, by the order of the fields.
pub(crate) struct Object<T>(pub(crate) T);

impl<T> Shaped<Object<T>> {
    pub(crate) fn object(self, path: Path<'_>) -> Result<T, Error> {
        match self {
            Self::Right(Object(object)) => Ok(object),
            Self::Wrong(value) => Err(path.misshapen(&value, AN_OBJECT)),
        }
    }
}

impl<T> Shaped<Vec<T>> {
    pub(crate) fn list(self, path: Path<'_>) -> Result<Vec<T>, Error> {
        match self {
            Self::Right(list) => Ok(list),
            Self::Wrong(value) => Err(path.misshapen(&value, A_LIST)),
        }
    }
}

/// How a shape is read from the two structures of JSON; what it does not take is kept as it is.
pub(crate) trait Shape<'de>: Sized {
    fn of_map<A: MapAccess<'de>>(map: A) -> Result<Shaped<Self>, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(map)).map(Shaped::Wrong)
    }

    fn of_list<A: SeqAccess<'de>>(list: A) -> Result<Shaped<Self>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(list)).map(Shaped::Wrong)
    }
}

impl<'de, T: Deserialize<'de>> Shape<'de> for Object<T> {
    fn of_map<A: MapAccess<'de>>(map: A) -> Result<Shaped<Self>, A::Error> {
        let object = T::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Shaped::Right(Self(object)))
    }
}

impl<'de, T: Deserialize<'de>> Shape<'de> for Vec<T> {
    fn of_list<A: SeqAccess<'de>>(list: A) -> Result<Shaped<Self>, A::Error> {
        Self::deserialize(SeqAccessDeserializer::new(list)).map(Shaped::Right)
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Shaped<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor(PhantomData))
    }
}

struct ShapeVisitor<T>(PhantomData<T>);

impl<'de, T: Shape<'de>> Visitor<'de> for ShapeVisitor<T> {
    type Value = Shaped<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Shaped<T>, A::Error> {
        T::of_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Shaped<T>, A::Error> {
        T::of_list(list)
    }

    fn visit_unit<E>(self) -> Result<Shaped<T>, E> {
        Ok(Shaped::Wrong(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shaped<T>, E> {
        Ok(Shaped::Wrong(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shaped<T>, E> {
        Ok(Shaped::Wrong(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shaped<T>, E> {
        Ok(Shaped::Wrong(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shaped<T>, E> {
        Ok(Shaped::Wrong(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Shaped<T>, E> {
        Ok(Shaped::Wrong(value.into()))
    }
}

/// Keeps a field that is there, also when it is `null`: that is then what the body says.
pub(crate) fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Where a value was found, for the error message; only spelt out when there is one.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    prefix: &'a str,
    name: &'a str,
}

/// The path of the field `name` of what lies at `prefix`, which ends in a dot unless it is empty.
pub(crate) fn leaf<'a>(prefix: &'a str, name: &'a str) -> Path<'a> {
    Path { prefix, name }
}

impl Path<'_> {
    fn misshapen(self, value: &Value, expected: &'static str) -> Error {
        Error::WrongShape {
            field: self.to_string(),
            value: excerpt(&value.to_string()),
            expected,
        }
    }

    /// For what has to be just so, and is not: the reason says where.
    pub(crate) fn misread(self, reason: &serde_json::Error) -> Error {
        Error::NoKnownShape(format!("{self} is no canonical event: {reason}"))
    }

    pub(crate) fn missing(self, expected: &'static str) -> Error {
        Error::Missing {
            field: self.to_string(),
            expected,
        }
    }

    pub(crate) fn invalid(self, value: &Value, expected: &'static str) -> Error {
        Error::Invalid {
            field: self.to_string(),
            value: excerpt(&value.to_string()),
            expected,
        }
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.prefix, self.name)
    }
}

/// A moment; `None` where there is nothing: absent, `null` or an empty string.
pub(crate) fn time(path: Path<'_>, value: Option<&Value>) -> Result<Option<Time>, Error> {
    let time = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.parse(),
        Some(Value::Number(number)) => Time::from_number(number),
        Some(other) => return Err(path.invalid(other, time::EXPECTED)),
    };
    time.map(Some)
        .map_err(|_| path.invalid(value.unwrap_or(&Value::Null), time::EXPECTED))
}

/// A string; `None` where there is nothing: absent or `null`.
pub(crate) fn string<'a>(path: Path<'_>, value: Option<&'a Value>) -> Result<Option<&'a str>, Error> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(path.invalid(other, "a string")),
    }
}

/// An identifier, which Jira writes as a string here and as a number there; `None` where there is none.
pub(crate) fn id<T>(path: Path<'_>, value: Option<&Value>, expected: &'static str) -> Result<Option<T>, Error>
where
    T: TryFrom<String, Error = ids::Error>,
{
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
        Some(other) => return Err(path.invalid(other, expected)),
    };
    T::try_from(text)
        .map(Some)
        .map_err(|_| path.invalid(value.unwrap_or(&Value::Null), expected))
}
