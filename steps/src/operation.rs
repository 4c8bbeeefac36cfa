//! What a route takes and answers, said once: its function reads requests by it, and openapi.json is made of it.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use ticket::Time;
use ticket::metrics::Zone;

use crate::http::{Kind, Problem, Request};

/// Items on a page, unless the client says otherwise.
pub const LIMIT: usize = 50;
/// The most a client may ask for: well within the time and the 6 MB that an answer has.
pub const MAX_LIMIT: usize = 200;
/// Longest name in a query: what a name in a ticket has at most.
const NAME_BYTES: usize = 255;
/// Names in one parameter: more than any scheme of priorities has.
const NAMES: usize = 20;
/// Longest place that a cursor names: what a sort key in DynamoDB has at most.
const PLACE_BYTES: usize = 1_024;
/// How much of the hash a cursor carries: no cursor of another list, or mistyped, is taken for one of this.
const SEAL_BYTES: usize = 8;

/// A route.
#[derive(Debug)]
pub struct Operation {
    /// Method and path template, as API Gateway has them: `GET /tickets/{id}`.
    pub route: &'static str,
    /// Its name in generated clients.
    pub id: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Whatever else there is to know.
    pub about: &'static str,
    pub access: Access,
    /// What the one variable part of the path is, if there is one.
    pub path: Option<Text>,
    pub headers: &'static [Text],
    pub query: &'static [Parameter],
    pub body: Option<Body>,
    pub answers: &'static [Answer],
    /// What of its own it may refuse or fail with.
    pub problems: &'static [Kind],
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever can prove to be a JIRA.
    Jira,
    Read,
    Write,
    Redrive,
}

/// A text that a request carries: a part of the path, or a header.
#[derive(Debug)]
pub struct Text {
    pub name: &'static str,
    pub about: &'static str,
    pub example: &'static str,
}

/// A parameter of the query.
#[derive(Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub takes: Takes,
    pub about: &'static str,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// 1 to [`MAX_LIMIT`], or this without it.
    Limit(usize),
    /// `next` of the page before.
    Cursor,
    /// A moment.
    Moment,
    /// A name.
    Name,
    /// Names with commas between them.
    Names,
    /// What people type to find something.
    Words,
    /// A time zone.
    Zone,
    OneOf(&'static [&'static str]),
}

/// A body that a route takes.
#[derive(Debug)]
pub struct Body {
    pub about: &'static str,
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    pub example: fn() -> Value,
}

/// An answer that is no error.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub about: &'static str,
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    pub example: fn() -> Value,
}

pub const LIMIT_OF_LIST: Parameter = Parameter {
    name: "limit",
    takes: Takes::Limit(LIMIT),
    about: "How many at most.",
};
pub const CURSOR: Parameter = Parameter {
    name: "cursor",
    takes: Takes::Cursor,
    about: "Where to go on: `next` of the page before, with the same other parameters.",
};

impl Takes {
    pub fn schema(self) -> Value {
        match self {
            Self::Limit(default) => {
                json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": default })
            }
            Self::Cursor => json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
            Self::Moment => json!({ "type": "string", "format": "date-time" }),
            Self::Name | Self::Words => json!({ "type": "string", "minLength": 1, "maxLength": NAME_BYTES }),
            Self::Names => {
                let name = json!({ "type": "string", "minLength": 1, "maxLength": NAME_BYTES });
                json!({ "type": "array", "items": name, "minItems": 1, "maxItems": NAMES })
            }
            Self::OneOf(words) => json!({ "type": "string", "enum": words }),
            Self::Zone => json!({ "type": "string", "examples": ["Europe/Berlin", "America/Los_Angeles"] }),
        }
    }

    /// Reads a value, or says what it should be.
    fn read(self, text: &str) -> Result<Taken, String> {
        let is_name = |text: &str| (1..=NAME_BYTES).contains(&text.len());
        match self {
            Self::Limit(_) => match text.parse() {
                Ok(limit @ 1..=MAX_LIMIT) if text.starts_with(|first: char| first.is_ascii_digit()) => {
                    Ok(Taken::Limit(limit))
                }
                _ => Err(format!("1 to {MAX_LIMIT}")),
            },
            Self::Zone => text
                .parse()
                .map(Taken::Zone)
                .map_err(|_| "a time zone of the IANA database, such as Europe/Berlin".to_owned()),
            Self::Moment => moment(text)
                .map(Taken::Moment)
                .ok_or_else(|| "a moment such as 2026-11-21T07:00:00Z".to_owned()),
            Self::Name if is_name(text) => Ok(Taken::Text(text.to_owned())),
            Self::Name => Err(format!("a name of 1 to {NAME_BYTES} bytes")),
            Self::Words if is_name(text) && !text.trim().is_empty() => Ok(Taken::Text(text.to_owned())),
            Self::Words => Err(format!("words of 1 to {NAME_BYTES} bytes together")),
            Self::Names => {
                let names: BTreeSet<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
                match names.len() <= NAMES && names.iter().all(|name| is_name(name)) {
                    true => Ok(Taken::Names(names)),
                    false => Err(format!("1 to {NAMES} names with commas between them")),
                }
            }
            Self::OneOf(words) if words.contains(&text) => Ok(Taken::Text(text.to_owned())),
            Self::OneOf(words) => Err(format!("one of {}", words.join(", "))),
            // What it must be depends on the rest of the query.
            Self::Cursor => Ok(Taken::Text(text.to_owned())),
        }
    }
}

/// A moment; its seconds may be left out, and the `+` of its zone not be escaped, which makes it a space.
fn moment(text: &str) -> Option<Time> {
    let is_zone = |end: &str| end.len() <= 5 && end.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    let escaped = text
        .rsplit_once(' ')
        .filter(|(start, end)| start.contains('T') && is_zone(end))
        .map(|(start, end)| format!("{start}+{end}"));
    let text = escaped.as_deref().unwrap_or(text);
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let minute = text.get(..16)?;
    let zone = text.get(16..)?;
    format!("{minute}:00{zone}").parse().ok()
}

/// A value of a parameter, read.
#[derive(Debug)]
enum Taken {
    Limit(usize),
    Moment(Time),
    Zone(Zone),
    Text(String),
    Names(BTreeSet<String>),
}

/// A request's query, read as its operation says.
#[derive(Debug)]
pub struct Query {
    taken: BTreeMap<&'static str, Taken>,
    /// What is asked for, but for which page of it.
    asked: String,
    limit: usize,
    place: Option<String>,
}

impl Operation {
    /// Reads the query, and refuses what it does not know or cannot be.
    pub fn query(&self, request: &Request) -> Result<Query, Problem> {
        let known: Vec<&str> = self.query.iter().map(|parameter| parameter.name).collect();
        request.only_parameters(&known)?;
        let mut query = Query {
            taken: BTreeMap::new(),
            asked: self.route.to_owned(),
            limit: LIMIT,
            place: None,
        };
        let (mut cursor, path) = (None, self.path.as_ref().map(|path| request.path_parameter(path.name)));
        query.asked.extend(path.map(|path| format!("\n{path}")));
        for parameter in self.query {
            let name = parameter.name;
            if let Takes::Limit(default) = parameter.takes {
                query.limit = default;
            }
            let Some(text) = request.query_string_parameters.get(name) else {
                continue;
            };
            // Values of one name come joined by commas, which only a list of names is.
            if parameter.takes != Takes::Names && 1 < request.times_given(name) {
                return Err(invalid(name, format!("{name} is given more than once")));
            }
            let taken = parameter
                .takes
                .read(text)
                .map_err(|expected| invalid(name, format!("{name} is {text:?}; it should be {expected}")))?;
            match taken {
                Taken::Limit(limit) => query.limit = limit,
                Taken::Text(text) if parameter.takes == Takes::Cursor => cursor = Some(text),
                taken => {
                    query.asked.push_str(&format!("\n{name}={text}"));
                    query.taken.insert(name, taken);
                }
            }
        }
        if let Some(cursor) = cursor {
            let place = unseal(&query.asked, &cursor).ok_or_else(|| {
                let detail = "cursor should be the `next` of a page before, unchanged, with the same other parameters";
                invalid(CURSOR.name, detail.to_owned())
            })?;
            query.place = Some(place);
        }
        Ok(query)
    }
}

impl Query {
    /// How many items are wanted at most.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Where the page before ended.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// The cursor that says where this page ends.
    pub fn next(&self, place: Option<&str>) -> Option<String> {
        place.map(|place| seal(&self.asked, place))
    }

    pub fn moment(&self, name: &str) -> Option<Time> {
        match self.taken.get(name)? {
            Taken::Moment(at) => Some(*at),
            _ => None,
        }
    }

    pub fn zone(&self, name: &str) -> Option<Zone> {
        match self.taken.get(name)? {
            Taken::Zone(zone) => Some(*zone),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.taken.get(name)? {
            Taken::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn names(&self, name: &str) -> Option<&BTreeSet<String>> {
        match self.taken.get(name)? {
            Taken::Names(names) => Some(names),
            _ => None,
        }
    }
}

/// 422: a value that cannot be.
pub fn invalid(field: &str, detail: String) -> Problem {
    Problem::new(422, Kind::InvalidValue, detail).field(field)
}

/// A place in a list as a cursor: with a seal, so that one of another list is not taken for one of this.
///
/// The seal keeps nobody from making one: a place is no secret, and no right.
fn seal(asked: &str, place: &str) -> String {
    let mut bytes = digest(asked, place).to_vec();
    bytes.extend_from_slice(place.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn unseal(asked: &str, cursor: &str) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (sealed, place) = bytes.split_at_checked(SEAL_BYTES)?;
    let place = std::str::from_utf8(place)
        .ok()
        .filter(|place| (1..=PLACE_BYTES).contains(&place.len()))?;
    (sealed == digest(asked, place)).then(|| place.to_owned())
}

fn digest(asked: &str, place: &str) -> [u8; SEAL_BYTES] {
    let hash = Sha256::new()
        .chain_update(asked)
        .chain_update([0])
        .chain_update(place)
        .finalize();
    let mut digest = [0; SEAL_BYTES];
    digest.copy_from_slice(&hash[..SEAL_BYTES]);
    digest
}

#[cfg(test)]
mod tests;
