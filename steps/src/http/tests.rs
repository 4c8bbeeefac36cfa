use serde_json::{Value, json};

use super::{Kind, Problem, Request, Response};

fn request(event: Value) -> Request {
    serde_json::from_value(event).unwrap()
}

#[test]
fn a_payload_of_format_2_is_read_with_what_it_leaves_out() {
    let bare = request(json!({ "version": "2.0", "routeKey": "GET /health", "isBase64Encoded": false }));
    assert_eq!(bare.body().unwrap().as_ref(), b"");
    assert_eq!(bare.path_parameter("id"), "");

    let full = request(json!({
        "version": "2.0", "routeKey": "PATCH /tickets/{id}", "rawPath": "/tickets/flat~1",
        "headers": { "content-type": "application/json" }, "pathParameters": { "id": "flat~1" },
        "queryStringParameters": { "a": "1,2" }, "requestContext": { "stage": "$default" },
        "body": "{}", "isBase64Encoded": false,
    }));
    assert_eq!(
        (full.path_parameter("id"), full.body().unwrap().as_ref()),
        ("flat~1", b"{}".as_slice())
    );
}

#[test]
fn a_body_in_base64_is_its_bytes() {
    let encoded = |body| request(json!({ "routeKey": "POST /tickets", "body": body, "isBase64Encoded": true }));
    assert_eq!(encoded("SGVsbG8gV29ybGQh").body().unwrap().as_ref(), b"Hello World!");
    assert_eq!(encoded("AP8=").body().unwrap().as_ref(), [0, 255]);
    assert_eq!(encoded("not base64").body(), None);
}

#[test]
fn parameters_that_nobody_knows_are_refused_by_name() {
    let request = request(json!({ "routeKey": "GET /executions", "queryStringParameters": { "staus": "FAILED" } }));
    let problem = request.only_parameters(&["status", "limit"]).unwrap_err();
    assert_eq!((problem.status, problem.field.as_deref()), (400, Some("staus")));
    assert!(problem.detail.contains("status, limit"), "{}", problem.detail);
    assert_eq!(request.only_parameters(&["staus"]), Ok(()));
}

#[test]
fn a_problem_is_rfc_9457() {
    let mut problem = Problem::new(409, Kind::AmbiguousKey, "TES-1 is a key on more than one site").field("id");
    problem.candidates = vec!["a~1".to_owned(), "b~1".to_owned()];
    let response = Response::from(problem);
    assert_eq!(response.status_code, 409);
    assert_eq!(response.headers["content-type"], "application/problem+json");
    let body: Value = serde_json::from_str(&response.body).unwrap();
    let expected = json!({
        "type": "urn:ticketflow:problem:ambiguous-key", "title": "More than one ticket has this key", "status": 409,
        "detail": "TES-1 is a key on more than one site", "field": "id", "candidates": ["a~1", "b~1"],
    });
    assert_eq!(body, expected);
    assert_eq!(Response::from(Problem::unavailable()).headers["retry-after"], "5");
}

#[test]
fn a_response_has_the_names_that_api_gateway_reads() {
    let response = serde_json::to_value(Response::json(202, &json!({ "a": 1 }))).unwrap();
    let headers = json!({ "content-type": "application/json", "cache-control": "no-store" });
    assert_eq!(
        response,
        json!({ "statusCode": 202, "headers": headers, "body": r#"{"a":1}"# })
    );
}
