//! What comes from an address, on either side of a stage.

use serde_json::json;

use super::*;

fn get(path: &str, stage: &str, headers: serde_json::Value) -> Response {
    let request = json!({
        "routeKey": "GET /console/{proxy+}",
        "headers": headers,
        "pathParameters": {"proxy": path},
        "requestContext": {"stage": stage},
    });
    answer(&serde_json::from_value(request).expect("a request"))
}

#[test]
fn every_view_of_the_template_has_its_page_and_its_modules() {
    let listed = get("views/views.json", "$default", json!({}));
    let listed: serde_json::Value = serde_json::from_str(&listed.body).expect("JSON");
    let views = listed["views"].as_array().expect("a list");
    assert!(!views.is_empty());
    for view in views {
        let path = view["path"].as_str().expect("a path");
        let page = get(path, "$default", json!({}));
        assert_eq!(
            (page.status_code, page.headers["content-type"].as_str()),
            (200, "text/html; charset=utf-8")
        );
        assert!(page.headers["content-security-policy"].contains("default-src 'none'"));
        for module in [&view["module"], &view["one"]]
            .into_iter()
            .filter_map(serde_json::Value::as_str)
        {
            let module = get(module, "$default", json!({}));
            assert_eq!(module.headers["content-type"], "text/javascript; charset=utf-8");
        }
    }
    assert_eq!(
        get("tickets/OPS-1", "$default", json!({})).status_code,
        200,
        "a deep link"
    );
    let missing = |path, accept: &str| {
        let missing = get(path, "$default", json!({ "accept": accept }));
        (missing.status_code, missing.headers["content-type"].clone())
    };
    let page = (404, "text/html; charset=utf-8".to_owned());
    let answer = (404, "application/json".to_owned());
    assert_eq!(missing("nothing", "*/*"), answer);
    assert_eq!(
        missing("nothing", "text/html,*/*;q=0.8"),
        page,
        "a browser is told by the page"
    );
    assert_eq!(missing("views/nothing.js", "text/html"), answer, "a file is no page");
    assert_eq!(get("views/../views.json", "$default", json!({})).status_code, 404);
}

#[test]
fn a_stage_stands_before_every_address() {
    assert!(
        get("tickets", "beta", json!({}))
            .body
            .contains("<base href=\"/beta/console/\">")
    );
    let root = json!({"routeKey": "GET /", "requestContext": {"stage": "beta"}});
    let moved = answer(&serde_json::from_value(root).expect("a request"));
    assert_eq!(
        (moved.status_code, moved.headers["location"].as_str()),
        (307, "/beta/console/executions")
    );
}

#[test]
fn a_font_is_no_text_and_what_a_browser_has_is_not_sent_again() {
    let font = get("assets/vendor/inter.woff2", "$default", json!({}));
    assert!(
        font.is_base64_encoded
            && BASE64_STANDARD
                .decode(&font.body)
                .is_ok_and(|font| font.starts_with(b"wOF2"))
    );
    let again = get(
        "assets/vendor/inter.woff2",
        "$default",
        json!({"if-none-match": font.headers["etag"]}),
    );
    assert_eq!(
        (again.status_code, again.body.as_str(), again.is_base64_encoded),
        (304, "", false)
    );
}
