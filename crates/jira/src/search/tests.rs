use super::*;

#[test]
fn since_reaches_back_at_least_to_the_moment() {
    let time = |ms| Time::from_millis(ms).expect("a time");
    assert_eq!(since(time(0), time(0)), "updated >= \"-2m\"");
    assert_eq!(since(time(0), time(59_999)), "updated >= \"-2m\"");
    assert_eq!(since(time(0), time(3_600_000)), "updated >= \"-62m\"");
    assert_eq!(since(time(10), time(0)), "updated >= \"-2m\"", "a clock that is ahead");
}

#[test]
fn a_history_dated_in_seconds_is_read_as_such() {
    let created = |value: Value| in_milliseconds(json!({ "created": value }))["created"].clone();
    assert_eq!(created(json!(1_492_070_429)), 1_492_070_429_000_i64);
    assert_eq!(created(json!(1_492_070_429_123_i64)), 1_492_070_429_123_i64);
    let text = json!("2021-12-14T00:30:15.283+0000");
    assert_eq!(created(text.clone()), text);
}

#[test]
fn a_query_keeps_what_was_asked_for_but_its_order() {
    let open = "statusCategory != Done".to_owned();
    assert_eq!(query("", &[]), "ORDER BY created ASC");
    assert_eq!(
        query("a = 1 or b = 2", std::slice::from_ref(&open)),
        "(a = 1 or b = 2) AND statusCategory != Done ORDER BY created ASC"
    );
    assert_eq!(query("a = 1 Order By updated", &[]), "(a = 1) ORDER BY created ASC");
    assert_eq!(query(" ", &[open]), "statusCategory != Done ORDER BY created ASC");
}
