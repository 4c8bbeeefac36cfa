use axum::http::HeaderValue;

use super::*;

#[test]
fn the_door_is_open_to_this_machine_only() {
    let cors = Cors {
        allow_origins: vec!["*".into(), "https://app.example.com".into()],
        ..Cors::default()
    };
    let local: SocketAddr = "127.0.0.1:3000".parse().unwrap();
    let admitted = |host: Option<&str>, origin: Option<&str>| {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        admits(&Method::POST, &headers, local, Some(&cors))
    };
    for host in [
        "127.0.0.1:3000",
        "localhost:3000",
        "LocalHost:3000",
        "[::1]:3000",
        "127.0.0.2:3000",
    ] {
        assert!(admitted(Some(host), None), "{host}");
        assert!(admitted(Some(host), Some("http://localhost:3000")), "{host}");
    }
    let foreign = [
        "",
        "127.0.0.1",
        "localhost",
        "localhost:3001",
        "localhost:",
        "localhost:03000x",
        "example.com:3000",
        "localhost.example.com:3000",
        "127.0.0.1.example.com:3000",
        "[::2]:3000",
        "::1:3000",
        "0.0.0.0:3000",
        "10.0.0.1:3000",
        "localhost:3000:3000",
        "a@localhost:3000",
        "localhost:80:3000",
        "2130706433:3000",
    ];
    for host in foreign {
        assert!(!admitted(Some(host), None), "{host}");
    }
    assert!(!admitted(None, None));
    let own = Some("localhost:3000");
    for origin in [
        "null",
        "",
        "http://example.com",
        "http://localhost",
        "http://localhost:5173",
        "https://localhost:3000",
    ] {
        assert!(!admitted(own, Some(origin)), "{origin}");
    }
    assert!(admitted(own, Some("https://app.example.com")), "listed by name");
    let mut twice = HeaderMap::new();
    twice.append(header::HOST, HeaderValue::from_static("localhost:3000"));
    twice.append(header::HOST, HeaderValue::from_static("localhost:3000"));
    assert!(!admits(&Method::GET, &twice, local, None));
}

/// What a browser says of a request: its site, its mode and what it is for.
fn fetched(site: &str, mode: &str, destination: &str) -> HeaderMap {
    let fields = [
        ("host", "localhost:3000"),
        ("sec-fetch-site", site),
        ("sec-fetch-mode", mode),
        ("sec-fetch-dest", destination),
    ];
    let fields = fields.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
    HeaderMap::from_iter(fields)
}

#[test]
fn a_page_of_another_site_can_link_here_and_do_nothing_else() {
    let local: SocketAddr = "127.0.0.1:3000".parse().unwrap();
    let admitted = |method: Method, headers: &HeaderMap| admits(&method, headers, local, None);
    for site in ["same-origin", "none"] {
        assert!(admitted(Method::POST, &fetched(site, "cors", "empty")), "{site}");
    }
    // A page of another port of this machine is of the same site.
    for site in ["cross-site", "same-site", "", "of my own"] {
        assert!(!admitted(Method::GET, &fetched(site, "no-cors", "image")), "{site}");
        assert!(!admitted(Method::GET, &fetched(site, "navigate", "iframe")), "{site}");
        assert!(
            !admitted(Method::POST, &fetched(site, "navigate", "document")),
            "{site}"
        );
        assert!(admitted(Method::GET, &fetched(site, "navigate", "document")), "{site}");
    }
}

#[test]
fn bound_elsewhere_any_name_is_ours_and_other_sites_pages_are_not() {
    let local: SocketAddr = "192.0.2.1:3000".parse().unwrap();
    let admitted = |host: &str, origin: Option<&str>| {
        let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_str(host).unwrap())]);
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        admits(&Method::POST, &headers, local, None)
    };
    assert!(admitted("tickets.example.com", None));
    for own in ["https://tickets.example.com", "http://tickets.example.com"] {
        assert!(admitted("tickets.example.com", Some(own)), "{own}");
    }
    for foreign in [
        "https://example.com",
        "null",
        "https://tickets.example.com:444",
        "ftp://tickets.example.com",
    ] {
        assert!(!admitted("tickets.example.com", Some(foreign)), "{foreign}");
    }
}
