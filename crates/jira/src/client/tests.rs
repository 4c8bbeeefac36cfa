use super::*;

#[test]
fn a_credential_is_an_email_with_a_token_or_a_token() {
    let header = |text: &str| Credential::parse(text).header().expect("a header");
    // base64 of "me@example.com:abc".
    assert_eq!(header("me@example.com:abc\n"), "Basic bWVAZXhhbXBsZS5jb206YWJj");
    assert_eq!(header("abc"), "Bearer abc");
    assert!(matches!(Credential::parse("a\nb").header(), Err(Error::Credential)));
    assert!(header("abc").is_sensitive());
    assert!(!format!("{:?}", Credential::parse("me:geheim")).contains("geheim"));
}

#[test]
fn a_pause_grows_is_bounded_and_never_shorter_than_asked_for() {
    for attempt in 1..40 {
        let asked_for = Duration::from_secs(7);
        let pause = pause(attempt, asked_for);
        assert!(asked_for <= pause && pause <= asked_for + LONGEST_PAUSE, "{pause:?}");
    }
    assert!(pause(1, Duration::ZERO) <= FIRST_PAUSE * 2);
}

#[test]
fn a_refusal_is_told_in_jiras_words() {
    let answer = br#"{"errorMessages":["No such field."],"errors":{"priority":"is required"}}"#;
    assert_eq!(message(answer), "No such field. priority: is required");
    assert_eq!(message(b"<html>"), "<html>");
    assert_eq!(message("x".repeat(1_000).as_bytes()).len(), MESSAGE_CHARACTERS);
}
