//! The door: who may ask at all, while nobody has to say who they are.
//!
//! Everything on this machine may. Two things on it act for others: a browser that shows a page of another site, which
//! gives itself away by its `Origin`, and a browser whose page's own name was made to resolve to 127.0.0.1 (DNS
//! rebinding), which gives itself away by its `Host`.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use crate::template::Cors;

/// Whether a request with these headers may come in at `port`.
///
/// An origin that the template lists by name is its author's decision; `*` is not, for on AWS it does not make the API
/// any more open than it is, and here it would open it to every page that the user visits.
pub(super) fn admits(headers: &HeaderMap, port: u16, cors: Option<&Cors>) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    if !host.to_str().is_ok_and(|host| is_loopback(host, port)) {
        return false;
    }
    headers.get_all(header::ORIGIN).iter().all(|origin| {
        origin.to_str().is_ok_and(|origin| {
            let own = origin
                .strip_prefix("http://")
                .is_some_and(|host| is_loopback(host, port));
            own || cors.is_some_and(|cors| cors.allow_origins.iter().any(|allowed| allowed == origin))
        })
    })
}

/// Whether `host` is a name of this machine with this port.
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
        Some(address) => address
            .parse::<std::net::Ipv6Addr>()
            .is_ok_and(|address| address.is_loopback()),
        None => {
            name.eq_ignore_ascii_case("localhost")
                || name
                    .parse::<IpAddr>()
                    .is_ok_and(|address| address.is_ipv4() && address.is_loopback())
        }
    }
}
