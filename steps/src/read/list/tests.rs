use std::collections::BTreeMap;

use serde_json::json;

use super::*;

fn query(parameters: &[(&str, &str)]) -> Query {
    let parameters: BTreeMap<_, _> = parameters.iter().copied().collect();
    let event = json!({ "routeKey": LIST.route, "queryStringParameters": parameters });
    LIST.query(&serde_json::from_value(event).unwrap()).unwrap()
}

fn filter(parameters: &[(&str, &str)]) -> Filter {
    Filter::of(&query(parameters))
}

/// What the index chosen for a query is, and whether it alone decides.
fn chosen(parameters: &[(&str, &str)]) -> (By, bool) {
    let filter = filter(parameters);
    let (by, ..) = filter.index();
    let is_indexed = filter.is_indexed(&by);
    (by, is_indexed)
}

#[test]
fn the_index_that_leaves_the_fewest_tickets_answers() {
    let (priority, project) = (("priority", "High"), ("project", "SHOP"));
    let (open, closed) = (("state", "open"), ("state", "closed"));
    let since = ("closed_from", "2026-11-01T00:00:00Z");
    assert_eq!(chosen(&[]), (By::Created, true));
    assert_eq!(chosen(&[("created_from", "2026-11-01T00:00:00Z")]), (By::Created, true));
    assert_eq!(chosen(&[open]), (By::State(State::Open), true));
    assert_eq!(chosen(&[closed]), (By::State(State::Closed), true));
    assert_eq!(chosen(&[priority]), (By::Priority("high".to_owned()), true));
    assert_eq!(chosen(&[project]), (By::Project("shop".to_owned()), true));
    assert_eq!(chosen(&[since]), (By::Closed, true));
    assert_eq!(chosen(&[("priority", "High,Highest")]), (By::Created, false));
    assert_eq!(chosen(&[open, priority]), (By::State(State::Open), false));
    assert_eq!(chosen(&[closed, project]), (By::Project("shop".to_owned()), false));
    assert_eq!(chosen(&[priority, project]), (By::Project("shop".to_owned()), false));
    assert_eq!(chosen(&[since, ("status", "Done")]), (By::Closed, false));
    assert_eq!(chosen(&[open, ("status", "To Do")]), (By::State(State::Open), false));
    assert_eq!(chosen(&[open, ("q", "basket")]), (By::State(State::Open), false));
}

#[test]
fn every_condition_must_hold_of_a_ticket() {
    let event = crate::openapi::sample::delivery();
    let ticket = ticket::fold(&event.facts, &ticket::Policy::default(), &ticket::Categories::default());
    let view = TicketView::new(&event.ticket(), &ticket, &event.texts);
    let texts = event.texts;
    let cases: [(&str, &str, &str); 9] = [
        ("state", "closed", "open"),
        ("status", "DONE", "To Do"),
        ("priority", "low,high", "low"),
        ("project", "shop", "shop2"),
        ("q", "SHOP- basket", "shop-2"),
        ("created_from", "2026-11-21T07:00:00.000Z", "2026-11-21T07:00:00.001Z"),
        ("created_to", "2026-11-21T07:00:00.001Z", "2026-11-21T07:00:00.000Z"),
        ("closed_from", "2026-11-21T11:54:00.000Z", "2026-11-21T11:54:00.001Z"),
        ("closed_to", "2026-11-21T11:54:00.001Z", "2026-11-21T11:54:00.000Z"),
    ];
    let all: Vec<(&str, &str)> = cases.map(|(name, right, _)| (name, right)).into();
    assert!(filter(&all).takes(&view, &texts));
    for (name, right, wrong) in cases {
        assert!(filter(&[(name, right)]).takes(&view, &texts), "{name}={right}");
        assert!(!filter(&[(name, wrong)]).takes(&view, &texts), "{name}={wrong}");
    }
    let undated = TicketView {
        created_at: None,
        priority: None,
        ..view
    };
    assert!(!filter(&[("created_to", "2030-01-01T00:00:00Z")]).takes(&undated, &texts));
    assert!(!filter(&[("priority", "High")]).takes(&undated, &texts));
    assert!(filter(&[]).takes(&undated, &texts));
}

#[test]
fn an_item_is_counted_as_it_leaves_the_function() {
    for text in [
        "plain",
        "with \"quotes\" and \\ and \n",
        "{\"a\": \"\\\"b\\\"\"}",
        "\u{1}\u{7f}ä🐛",
        "",
    ] {
        let bytes = |items: &[&str]| {
            let response = Response::json(200, &json!({ "items": items }));
            serde_json::to_string(&response).unwrap().len()
        };
        // Once more in a list, with the comma before it.
        assert_eq!(
            bytes(&[text, text]) - bytes(&[text]),
            written_bytes(&text) + 1,
            "{text}"
        );
    }
}

#[test]
fn a_span_that_ends_before_it_begins_is_refused() {
    let (early, late) = ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
    assert_eq!(
        in_order(
            &query(&[("created_from", early), ("created_to", late)]),
            "created_from",
            "created_to"
        ),
        Ok(())
    );
    let problem = in_order(
        &query(&[("created_from", late), ("created_to", early)]),
        "created_from",
        "created_to",
    );
    assert_eq!(problem.unwrap_err().field.as_deref(), Some("created_to"));
}
