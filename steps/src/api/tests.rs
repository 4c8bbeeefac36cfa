use serde_json::json;

use super::*;

fn request(route: &str, id: &str, key: Option<&str>) -> Request {
    let mut event = json!({ "routeKey": route, "pathParameters": { "id": id }, "headers": {} });
    if let Some(key) = key {
        event["headers"][KEY_HEADER] = key.into();
    }
    serde_json::from_value(event).unwrap()
}

#[test]
fn a_key_is_printable_and_not_too_long() {
    let long = "k".repeat(KEY_BYTES);
    for right in ["9c5f3e0a-6f0d", "\"quoted\"", &long] {
        assert_eq!(
            key(&request("DELETE /tickets/{id}", "flat~1", Some(right))),
            Ok(Some(right))
        );
    }
    assert_eq!(key(&request("DELETE /tickets/{id}", "flat~1", None)), Ok(None));
    for wrong in ["", "kéy", "a\tb", &format!("{long}k")] {
        let problem = key(&request("DELETE /tickets/{id}", "flat~1", Some(wrong))).unwrap_err();
        assert_eq!(
            (problem.status, problem.field.as_deref()),
            (422, Some("Idempotency-Key")),
            "{wrong:?}"
        );
    }
}

#[test]
fn requests_are_the_same_if_route_ticket_and_body_are() {
    let patch = "PATCH /tickets/{id}";
    let same = hash(&request(patch, "flat~1", None), b"{}");
    assert_eq!(hash(&request(patch, "flat~1", Some("a")), b"{}"), same);
    assert_ne!(hash(&request(patch, "flat~2", None), b"{}"), same);
    assert_ne!(hash(&request(patch, "flat~1", None), b"{ }"), same);
    assert_ne!(hash(&request("DELETE /tickets/{id}", "flat~1", None), b"{}"), same);
}
