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
        let pause = pause(FIRST_PAUSE, attempt, asked_for);
        assert!(asked_for <= pause && pause <= asked_for + LONGEST_PAUSE, "{pause:?}");
    }
    assert!(pause(FIRST_PAUSE, 1, Duration::ZERO) <= FIRST_PAUSE * 2);
    assert_eq!(pause(FIRST_PAUSE, 1, Duration::MAX), Duration::MAX);
}

#[test]
fn a_pause_is_asked_for_in_seconds_or_until_a_date() {
    let now = "2026-11-21T19:00:00Z".parse::<DateTime<Utc>>().expect("a time");
    let asked_for = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().expect("a header"));
        retry_after(&headers, now)
    };
    assert_eq!(asked_for(" 90 "), Some(Duration::from_secs(90)));
    assert_eq!(
        asked_for("Sat, 21 Nov 2026 19:01:30 GMT"),
        Some(Duration::from_secs(90))
    );
    assert_eq!(
        asked_for("Sat, 21 Nov 2026 18:00:00 GMT"),
        Some(Duration::ZERO),
        "it is over"
    );
    assert_eq!(asked_for("18446744073709551615"), Some(Duration::from_secs(u64::MAX)));
    for wrong in ["soon", "-1", "", "1.5", "2026-11-21T19:01:30Z"] {
        assert_eq!(asked_for(wrong), None, "{wrong}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), now), None);
}

#[test]
fn the_credential_is_carried_in_the_clear_to_this_machine_only() {
    for (given, asked) in [
        ("https://example.atlassian.net", "https://example.atlassian.net"),
        (
            " https://jira.example.com:8443/jira/ ",
            "https://jira.example.com:8443/jira",
        ),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("http://localhost/jira", "http://localhost/jira"),
    ] {
        assert_eq!(base(given).expect("an address"), asked);
    }
    for foreign in [
        "http://jira.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://10.0.0.7:8080",
    ] {
        assert!(matches!(base(foreign), Err(Error::Insecure { .. })), "{foreign}");
    }
    for wrong in [
        "jira",
        "",
        "ftp://example.com",
        "https://",
        "https://example.com/?x=1",
        "https://example.com/#x",
    ] {
        assert!(matches!(base(wrong), Err(Error::Url { .. })), "{wrong}");
    }
    let told = base("https://me:geheim@example.com").expect_err("it has a secret");
    assert!(matches!(told, Error::CredentialInUrl) && !told.to_string().contains("geheim"));
}

#[test]
fn an_answer_as_to_anybody_is_known_by_its_header() {
    let headers = |value: &str| {
        [(LOGIN.parse().expect("a name"), value.parse().expect("a value"))]
            .into_iter()
            .collect()
    };
    assert!(is_anybody(&headers("AUTHENTICATED_FAILED")));
    assert!(is_anybody(&headers("OUT, AUTHENTICATION_DENIED")));
    assert!(!is_anybody(&headers("OK")) && !is_anybody(&HeaderMap::new()));
}

#[test]
fn a_refusal_is_told_in_jiras_words() {
    let answer = br#"{"errorMessages":["No such field."],"errors":{"priority":"is required"}}"#;
    assert_eq!(message(answer), "No such field. priority: is required");
    assert_eq!(message(b"<html>"), "<html>");
    assert_eq!(message("x".repeat(1_000).as_bytes()).len(), MESSAGE_CHARACTERS);
}
