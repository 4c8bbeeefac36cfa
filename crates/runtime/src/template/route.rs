//! Route keys: `GET /tickets/{key}`, `ANY /files/{path+}`, `$default`.

use std::fmt;

/// What requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteKey {
    /// `$default`: whatever no other route takes.
    Default,
    /// `method` is `None` for `ANY`.
    Path { method: Option<String>, path: RoutePath },
}

/// A path with parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePath {
    text: String,
    segments: Vec<PathSegment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathSegment {
    Literal(String),
    /// `{name}`: one segment, whatever it is.
    Parameter(String),
    /// `{name+}`: all that is left, at least one segment.
    Greedy(String),
}

/// The methods that a route can be for, `ANY` aside.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

impl RouteKey {
    pub(crate) fn parse(method: &str, path: &str) -> Result<RouteKey, String> {
        let method = method.to_ascii_uppercase();
        let any = matches!(method.as_str(), "ANY" | "X-AMAZON-APIGATEWAY-ANY-METHOD");
        if !any && !METHODS.contains(&method.as_str()) {
            return Err(format!("{method} is not a method of a route"));
        }
        let path = RoutePath::parse(path)?;
        Ok(RouteKey::Path {
            method: (!any).then_some(method),
            path,
        })
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteKey::Default => f.write_str("$default"),
            RouteKey::Path { method, path } => write!(f, "{} {}", method.as_deref().unwrap_or("ANY"), path.text),
        }
    }
}

impl RoutePath {
    pub fn segments(&self) -> &[PathSegment] {
        &self.segments
    }

    pub(crate) fn parse(text: &str) -> Result<RoutePath, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("the path {text} does not begin with a slash"));
        };
        let parts: Vec<&str> = if rest.is_empty() {
            Vec::new()
        } else {
            rest.split('/').collect()
        };
        let mut segments: Vec<PathSegment> = Vec::new();
        for part in &parts {
            if matches!(segments.last(), Some(PathSegment::Greedy(_))) {
                return Err(format!("in the path {text} something follows the greedy parameter"));
            }
            segments.push(segment(part).ok_or_else(|| format!("the path {text} has a malformed part {part:?}"))?);
        }
        Ok(RoutePath {
            text: text.to_owned(),
            segments,
        })
    }
}

/// A parameter is a whole segment: API Gateway knows no `/tickets/{key}.json`.
fn segment(part: &str) -> Option<PathSegment> {
    let Some(inner) = part.strip_prefix('{') else {
        return (!part.contains(['{', '}'])).then(|| PathSegment::Literal(part.to_owned()));
    };
    let name = inner.strip_suffix('}')?;
    let (name, greedy) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if name.is_empty() || !name.chars().all(allowed) {
        return None;
    }
    Some(if greedy {
        PathSegment::Greedy(name.to_owned())
    } else {
        PathSegment::Parameter(name.to_owned())
    })
}
