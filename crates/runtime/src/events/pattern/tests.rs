use serde_json::{Value, json};

use super::Pattern;

fn event() -> Value {
    json!({
        "version": "0",
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "resources": ["arn:aws:states:us-west-2:000000000000:execution:lifecycle:a-1"],
        "detail": {
            "status": "FAILED",
            "stateMachineArn": "arn:aws:states:us-west-2:000000000000:stateMachine:lifecycle",
            "input": "{}",
            "output": null,
            "retries": 3,
            "ratio": 300.0,
            "late": true,
            "ip": "10.0.0.17",
            "ip6": "2001:db8::1",
            "tags": ["red", "Green"],
            "none": [],
            "steps": [{"name": "validate", "ok": true}, {"name": "store", "ok": false}],
        },
    })
}

#[track_caller]
fn check(pattern: Value, expected: bool) {
    let parsed = Pattern::parse(&pattern).unwrap();
    assert_eq!(parsed.matches(&event()), expected, "{pattern}");
}

fn detail(field: &str, matchers: Value) -> Value {
    json!({"detail": {field: matchers}})
}

#[test]
fn fields_are_all_wanted_and_values_any() {
    check(
        json!({"source": ["aws.states"], "detail": {"status": ["FAILED", "TIMED_OUT", "ABORTED"]}}),
        true,
    );
    check(
        json!({"source": ["aws.states"], "detail": {"status": ["SUCCEEDED"]}}),
        false,
    );
    check(
        json!({"source": ["aws.events"], "detail": {"status": ["FAILED"]}}),
        false,
    );
    check(json!({"nowhere": ["x"]}), false);
    check(json!({"source": {"deeper": ["aws.states"]}}), false);
}

#[test]
fn scalars_match_as_they_are_written() {
    check(detail("output", json!([null])), true);
    check(detail("status", json!([null])), false);
    check(detail("absent", json!([null])), false);
    check(detail("late", json!([true])), true);
    check(detail("late", json!(["true"])), false);
    check(detail("retries", json!([3])), true);
    check(detail("ratio", json!([300])), false);
    check(detail("ratio", json!([300.0])), true);
}

#[test]
fn texts_match_by_prefix_suffix_case_and_wildcard() {
    check(detail("status", json!([{"prefix": "FA"}])), true);
    check(detail("status", json!([{"prefix": "fa"}])), false);
    check(
        detail("status", json!([{"prefix": {"equals-ignore-case": "fa"}}])),
        true,
    );
    check(detail("status", json!([{"suffix": "ED"}])), true);
    check(
        detail("status", json!([{"suffix": {"equals-ignore-case": "ed"}}])),
        true,
    );
    check(detail("status", json!([{"equals-ignore-case": "failed"}])), true);
    check(detail("retries", json!([{"prefix": "3"}])), false);
    for (wildcard, expected) in [
        ("FAILED", true),
        ("*", true),
        ("F*D", true),
        ("*A*L*", true),
        ("F*X", false),
        ("*FAILED*", true),
        ("FAILED*D", false),
        ("FAIL\\*", false),
    ] {
        check(detail("status", json!([{"wildcard": wildcard}])), expected);
    }
}

#[test]
fn anything_but_wants_a_value_that_is_none_of_these() {
    check(detail("status", json!([{"anything-but": "SUCCEEDED"}])), true);
    check(
        detail("status", json!([{"anything-but": ["FAILED", "ABORTED"]}])),
        false,
    );
    check(detail("retries", json!([{"anything-but": [1, 2]}])), true);
    check(detail("retries", json!([{"anything-but": 3}])), false);
    check(detail("status", json!([{"anything-but": {"prefix": "FA"}}])), false);
    check(
        detail("status", json!([{"anything-but": {"suffix": ["X", "Y"]}}])),
        true,
    );
    check(
        detail("status", json!([{"anything-but": {"equals-ignore-case": ["failed"]}}])),
        false,
    );
    check(detail("status", json!([{"anything-but": {"wildcard": "*IL*"}}])), false);
    check(detail("absent", json!([{"anything-but": "x"}])), false);
}

#[test]
fn numbers_are_compared_and_addresses_belong_to_networks() {
    check(detail("retries", json!([{"numeric": [">", 2, "<=", 3]}])), true);
    check(detail("retries", json!([{"numeric": ["=", 3.0]}])), true);
    check(detail("retries", json!([{"numeric": ["<", 3]}])), false);
    check(detail("status", json!([{"numeric": ["<", 3]}])), false);
    check(detail("ip", json!([{"cidr": "10.0.0.0/24"}])), true);
    check(detail("ip", json!([{"cidr": "0.0.0.0/0"}])), true);
    check(detail("ip", json!([{"cidr": "10.0.1.0/24"}])), false);
    check(detail("ip", json!([{"cidr": "::/0"}])), false);
    check(detail("ip6", json!([{"cidr": "2001:db8::/32"}])), true);
    check(detail("status", json!([{"cidr": "10.0.0.0/24"}])), false);
}

#[test]
fn exists_asks_for_leaves() {
    check(detail("status", json!([{"exists": true}])), true);
    check(detail("output", json!([{"exists": true}])), true);
    check(detail("absent", json!([{"exists": true}])), false);
    check(detail("absent", json!([{"exists": false}])), true);
    check(detail("none", json!([{"exists": false}])), true);
    check(json!({"detail": [{"exists": true}]}), false);
    check(json!({"nowhere": {"deeper": [{"exists": false}]}}), true);
}

#[test]
fn lists_match_by_any_element_and_one_object_of_a_list_must_match_wholly() {
    check(detail("tags", json!(["blue", "red"])), true);
    check(detail("tags", json!([{"equals-ignore-case": "green"}])), true);
    check(json!({"resources": [{"suffix": ":a-1"}]}), true);
    check(json!({"detail": {"steps": {"name": ["store"], "ok": [false]}}}), true);
    check(json!({"detail": {"steps": {"name": ["store"], "ok": [true]}}}), false);
}

#[test]
fn or_takes_any_of_several_patterns_beside_the_other_fields() {
    let either =
        |status: &str| json!([{"detail": {"status": [status]}}, {"detail": {"retries": [{"numeric": [">", 9]}]}}]);
    check(json!({"source": ["aws.states"], "$or": either("FAILED")}), true);
    check(json!({"source": ["aws.states"], "$or": either("ABORTED")}), false);
    check(json!({"source": ["other"], "$or": either("FAILED")}), false);
    check(json!({"detail": {"$or": [{"status": ["X"]}, {"late": [true]}]}}), true);
}

#[test]
fn what_is_no_pattern_is_refused_with_its_place() {
    for pattern in [
        json!([]),
        json!({}),
        json!({"source": "aws.states"}),
        json!({"source": []}),
        json!({"detail": {}}),
        json!({"source": [["nested"]]}),
        json!({"source": [{}]}),
        json!({"source": [{"prefix": "a", "suffix": "b"}]}),
        json!({"source": [{"prefix": 1}]}),
        json!({"source": [{"surprise": "a"}]}),
        json!({"source": [{"wildcard": "a**b"}]}),
        json!({"source": [{"wildcard": "a\\b"}]}),
        json!({"source": [{"numeric": []}]}),
        json!({"source": [{"numeric": [">"]}]}),
        json!({"source": [{"numeric": ["<", 1, ">", 0]}]}),
        json!({"source": [{"numeric": ["=", 5e10]}]}),
        json!({"source": [{"cidr": "10.0.0.0/33"}]}),
        json!({"source": [{"cidr": "10.0.0.0"}]}),
        json!({"source": [{"exists": "yes"}]}),
        json!({"source": [{"anything-but": []}]}),
        json!({"source": [{"anything-but": {"prefix": []}}]}),
        json!({"source": [{"anything-but": {"exists": true}}]}),
        json!({"$or": [{"source": ["a"]}]}),
    ] {
        let error = Pattern::parse(&pattern).expect_err(&pattern.to_string());
        assert!(
            error.to_string().starts_with("Event pattern is not valid. Reason: "),
            "{error}"
        );
    }
    let error = Pattern::parse(&json!({"detail": {"status": "FAILED"}})).unwrap_err();
    assert!(error.to_string().ends_with(" at detail.status"), "{error}");
}
