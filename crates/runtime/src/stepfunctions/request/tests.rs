use super::*;

fn refusal(body: &str, read: impl FnOnce(&mut Request)) -> String {
    let mut request = Request::parse(body.as_bytes()).expect("an object");
    read(&mut request);
    request.checked().expect_err("is refused").to_string()
}

#[test]
fn all_violations_are_told_at_once() {
    let long = "n".repeat(81);
    let told = refusal(&format!(r#"{{"name":"{long}","maxResults":1001}}"#), |request| {
        request.required("stateMachineArn", ARN);
        request.optional("name", NAME);
        request.page_size();
    });
    assert_eq!(
        told,
        format!(
            "3 validation errors detected: Value null at 'stateMachineArn' failed to satisfy constraint: Member must \
             not be null; Value '{long}' at 'name' failed to satisfy constraint: Member must have length less than or \
             equal to 80; Value '1001' at 'maxResults' failed to satisfy constraint: Member must have value less than \
             or equal to 1000"
        )
    );
}

#[test]
fn a_sensitive_value_is_not_repeated() {
    let body = format!(r#"{{"input":"{}"}}"#, "x".repeat(MAX_DATA_BYTES + 1));
    assert_eq!(
        refusal(&body, |request| drop(request.data("input"))),
        "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have size less than \
         or equal to 262144 bytes in UTF-8 encoding"
    );
}

#[test]
fn an_input_of_exactly_the_limit_passes() {
    let body = format!(r#"{{"input":"{}"}}"#, "x".repeat(MAX_DATA_BYTES));
    let mut request = Request::parse(body.as_bytes()).expect("an object");
    assert_eq!(request.data("input").map(|text| text.len()), Some(MAX_DATA_BYTES));
    assert!(request.checked().is_ok());
}

#[test]
fn a_choice_tells_the_names_it_has() {
    let told = refusal(r#"{"statusFilter":"succeeded"}"#, |request| {
        request.one_of("statusFilter", &[("SUCCEEDED", 1), ("FAILED", 2)]);
    });
    assert_eq!(
        told,
        "1 validation error detected: Value 'succeeded' at 'statusFilter' failed to satisfy constraint: Member must \
         satisfy enum value set: [SUCCEEDED, FAILED]"
    );
}

#[test]
fn a_wrong_type_is_a_serialization_error() {
    let told = refusal(r#"{"name":1}"#, |request| drop(request.required("name", NAME)));
    assert_eq!(told, "NUMBER_VALUE can not be converted to a String");
    for body in ["[]", "1", "{", "\u{1}"] {
        assert!(
            matches!(Request::parse(body.as_bytes()), Err(Error::Serialization(_))),
            "{body}"
        );
    }
}

#[test]
fn zero_and_absence_ask_for_the_default_page() {
    for body in ["{}", r#"{"maxResults":0}"#, r#"{"maxResults":null}"#] {
        let mut request = Request::parse(body.as_bytes()).expect("an object");
        assert_eq!(request.page_size(), DEFAULT_PAGE);
        assert!(request.checked().is_ok());
    }
}
