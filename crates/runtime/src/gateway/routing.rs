//! Which route takes a request.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use axum::http::Method;

use crate::template::{PathSegment, Route, RouteKey, RoutePath};

/// The parameters of a path by their names.
pub(super) type Parameters = BTreeMap<String, String>;

/// The index of the route that takes a request most specifically: segment by segment a literal before a parameter before a greedy
/// one, then a method before `ANY`, and `$default` for what is left.
pub(super) fn find(routes: &[Route], method: &Method, path: &str) -> Option<(usize, Parameters)> {
    let segments: Vec<&str> = segments(path)?;
    let candidates = routes
        .iter()
        .enumerate()
        .filter_map(|(index, route)| Some((index, matched(&route.key, method, &segments)?)));
    candidates.min_by(|(left, _), (right, _)| specificity(&routes[*left].key, &routes[*right].key))
}

fn segments(path: &str) -> Option<Vec<&str>> {
    let rest = path.strip_prefix('/')?;
    Some(if rest.is_empty() {
        Vec::new()
    } else {
        rest.split('/').collect()
    })
}

fn matched(key: &RouteKey, method: &Method, segments: &[&str]) -> Option<Parameters> {
    match key {
        RouteKey::Default => Some(Parameters::new()),
        RouteKey::Path {
            method: Some(wanted), ..
        } if wanted != method.as_str() => None,
        RouteKey::Path { path, .. } => bind(path, segments),
    }
}

fn bind(path: &RoutePath, mut segments: &[&str]) -> Option<Parameters> {
    let mut parameters = Parameters::new();
    for wanted in path.segments() {
        let (first, rest) = segments.split_first()?;
        match wanted {
            PathSegment::Literal(literal) if literal == first => {}
            PathSegment::Literal(_) => return None,
            PathSegment::Parameter(_) if first.is_empty() => return None,
            PathSegment::Parameter(name) => {
                parameters.insert(name.clone(), (*first).to_owned());
            }
            PathSegment::Greedy(name) => {
                parameters.insert(name.clone(), segments.join("/"));
                return Some(parameters);
            }
        }
        segments = rest;
    }
    segments.is_empty().then_some(parameters)
}

/// Orders two keys that both match, the more specific one first.
fn specificity(left: &RouteKey, right: &RouteKey) -> Ordering {
    match (left, right) {
        (RouteKey::Default, RouteKey::Default) => Ordering::Equal,
        (RouteKey::Default, _) => Ordering::Greater,
        (_, RouteKey::Default) => Ordering::Less,
        (
            RouteKey::Path {
                method: left_method,
                path: left,
            },
            RouteKey::Path {
                method: right_method,
                path: right,
            },
        ) => {
            let paths = left.segments().iter().map(rank).cmp(right.segments().iter().map(rank));
            paths.then(left_method.is_none().cmp(&right_method.is_none()))
        }
    }
}

fn rank(segment: &PathSegment) -> u8 {
    match segment {
        PathSegment::Literal(_) => 0,
        PathSegment::Parameter(_) => 1,
        PathSegment::Greedy(_) => 2,
    }
}
