//! Reference Paths: paths that name one place, so that something can be put there.

use serde_json::{Map, Value};

use super::path::{Step, select};
use super::{Error, Path, Root, SyntaxError, to_text};

/// A path of properties and indexes only, as `ResultPath` and `ItemsPath` take it.
#[derive(Debug, Clone)]
pub struct ReferencePath {
    path: Path,
}

impl ReferencePath {
    /// Reads a path and refuses those that could name several places.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let refusal = |offset, reason: String| SyntaxError {
            code: "SCHEMA_VALIDATION_FAILED",
            message: format!("Value is not a Reference Path: {reason}"),
            pointer: String::new(),
            offset,
            reason,
        };
        if !text.starts_with('$') {
            return Err(refusal(0, "Reference path didn't start with '$'".to_owned()));
        }
        let path = Path::parse(text).map_err(|error| refusal(error.offset, error.reason))?;
        match path
            .steps()
            .iter()
            .find(|step| !matches!(step, Step::Property(_) | Step::Index(0..)))
        {
            None => Ok(Self { path }),
            Some(step) => Err(refusal(0, format!("`{step}` may name several values"))),
        }
    }

    /// The same place as something to read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this is `$`: all of it.
    pub fn is_root(&self) -> bool {
        *self.path.root() == Root::Input && self.path.steps().is_empty()
    }

    /// `root` with `new` at this place. Objects that are missing on the way are made; what is there must be an object,
    /// or an array that has the element.
    pub fn set(&self, mut root: Value, new: Value) -> Result<Value, Error> {
        if !self.fits(&root) {
            return Err(Error::ResultPathMismatch {
                path: self.path.to_string(),
                input: to_text(&root),
            });
        }
        let mut place = &mut root;
        for step in self.path.steps() {
            place = match (step, place) {
                (Step::Property(name), Value::Object(fields)) => fields
                    .entry(name.to_string())
                    .or_insert_with(|| Value::Object(Map::new())),
                (Step::Index(index), Value::Array(items)) => {
                    let element = usize::try_from(*index).ok().and_then(|index| items.get_mut(index));
                    element.expect("the place was found to fit")
                }
                _ => unreachable!("the place was found to fit"),
            };
        }
        *place = new;
        Ok(root)
    }

    fn fits(&self, root: &Value) -> bool {
        if *self.path.root() != Root::Input {
            return false;
        }
        let mut value = root;
        for (index, step) in self.path.steps().iter().enumerate() {
            let next = match (step, value) {
                (Step::Property(name), Value::Object(fields)) => fields.get(&**name),
                (Step::Index(index), Value::Array(items)) => match select::element(items, *index) {
                    Some(item) => Some(item),
                    None => return false,
                },
                _ => return false,
            };
            match next {
                Some(next) => value = next,
                // From here on everything is made, and only objects can be.
                None => {
                    return self.path.steps()[index..]
                        .iter()
                        .all(|step| matches!(step, Step::Property(_)));
                }
            }
        }
        true
    }
}
