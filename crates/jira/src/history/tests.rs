use super::*;

#[test]
fn a_history_dated_in_seconds_is_read_as_such() {
    let created = |value: Value| in_milliseconds(json!({ "created": value }))["created"].clone();
    assert_eq!(created(json!(1_492_070_429)), 1_492_070_429_000_i64);
    assert_eq!(created(json!(1_492_070_429_123_i64)), 1_492_070_429_123_i64);
    let text = json!("2021-12-14T00:30:15.283+0000");
    assert_eq!(created(text.clone()), text);
}
