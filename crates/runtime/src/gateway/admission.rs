//! The door: whose requests are looked at, whoever they say they are.
//!
//! On loopback everybody on this machine is let in, and where a template has no authorizer that is all. Two things there
//! act for others: a browser that shows a page of another site, which gives itself away by its `Origin` or its
//! `Sec-Fetch-Site`, and a browser whose page's own name was made to resolve to 127.0.0.1 (DNS rebinding), which gives
//! itself away by its `Host`.
//!
//! Bound to another address, the API has names that nobody here knows, but also an authorizer ([`crate::stack`] sees to
//! it): there only pages of other sites are turned away.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, Method, header};

use crate::template::Cors;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether a request with these headers may come in at `local`.
///
/// An origin that the template lists by name is its author's decision; `*` is not, for on AWS it does not make the API
/// any more open than it is, and here it would open it to every page that the user visits.
pub(super) fn admits(method: &Method, headers: &HeaderMap, local: SocketAddr, cors: Option<&Cors>) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) else {
        return false;
    };
    let port = local.port();
    let on_loopback = local.ip().is_loopback();
    if on_loopback && !is_loopback(host, port) {
        return false;
    }
    let is_listed = |origin: &str| cors.is_some_and(|cors| cors.allow_origins.iter().any(|allowed| allowed == origin));
    let is_own = |origin: &str| match origin.split_once("://") {
        Some((scheme, name)) if on_loopback => scheme == "http" && is_loopback(name, port),
        // A proxy may have taken the TLS away.
        Some(("http" | "https", name)) => name.eq_ignore_ascii_case(host),
        _ => false,
    };
    let mut origins = headers.get_all(header::ORIGIN).iter().peekable();
    if origins.peek().is_some() {
        return origins.all(|origin| origin.to_str().is_ok_and(|origin| is_own(origin) || is_listed(origin)));
    }
    comes_from_here(method, headers)
}

/// Whether a request without an `Origin` is not one that a page of another site makes.
///
/// Following a link from such a page is what its reader does, and the page does not see what comes of it.
fn comes_from_here(method: &Method, headers: &HeaderMap) -> bool {
    let is = |name: HeaderName, wanted: &str| headers.get(name).is_some_and(|value| value == wanted);
    let follows_a_link = || method == Method::GET && is(SEC_FETCH_MODE, "navigate") && is(SEC_FETCH_DEST, "document");
    !headers.contains_key(SEC_FETCH_SITE)
        || is(SEC_FETCH_SITE, "same-origin")
        || is(SEC_FETCH_SITE, "none")
        || follows_a_link()
}

/// Whether `host` is a loopback name of this machine with this port.
fn is_loopback(host: &str, port: u16) -> bool {
    let (name, given) = match host.rsplit_once(':') {
        Some((name, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name, digits.parse().ok())
        }
        _ => (host, Some(80)),
    };
    if given != Some(port) {
        return false;
    }
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => {
            name.eq_ignore_ascii_case("localhost")
                || name
                    .parse::<IpAddr>()
                    .is_ok_and(|address| address.is_ipv4() && address.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests;
