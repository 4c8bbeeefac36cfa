use runtime::template::{Settings, Template};

use super::*;

/// The routes that ask for no token: the webhook's sender proves itself otherwise, and pages are no secret.
const OPEN: [&str; 4] = ["POST /webhooks/jira", "GET /", "GET /console", "GET /console/{proxy+}"];

/// The routes that change no ticket's facts: they have work done anew.
const OPERATING: [&str; 2] = ["POST /executions/{name}/redrive", "POST /recompute"];

#[test]
fn every_route_of_the_projects_template_but_the_webhooks_asks_for_a_scope() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    let settings = Settings {
        region: "us-west-2".to_owned(),
        parameters: [("Architecture".to_owned(), "x86_64".to_owned())].into(),
        gateway_url: "http://127.0.0.1:3000".to_owned(),
    };
    let template = Template::load(&file, &settings).expect("the project's template is sound");
    let api = template.http_api.expect("it has an API");
    for route in &api.routes {
        let key = route.key.to_string();
        let scopes = route
            .authorizer
            .as_ref()
            .map_or(&[][..], |authorizer| &authorizer.scopes);
        let wanted = match key.split(' ').next() {
            _ if OPEN.contains(&key.as_str()) => &[][..],
            Some("GET") => &["ticketflow/tickets.read"],
            _ if OPERATING.contains(&key.as_str()) => &["ticketflow/executions.redrive"],
            _ => &["ticketflow/tickets.write"],
        };
        assert_eq!(scopes, wanted, "{key}");
        assert!(route.throttle.is_some(), "{key}");
    }
    assert!(api.authorizers.values().all(|authorizer| authorizer.is_local));
}

#[test]
fn a_path_is_one_word_of_a_shell() {
    for (path, word) in [
        (".ticketflow", ".ticketflow"),
        ("target/release/ticketflow", "target/release/ticketflow"),
        ("/home/me/my data", "'/home/me/my data'"),
        ("it's; rm -rf $HOME", r"'it'\''s; rm -rf $HOME'"),
    ] {
        assert_eq!(shell(Path::new(path)), word);
    }
}
