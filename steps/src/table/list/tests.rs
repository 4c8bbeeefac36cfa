use super::*;

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn span(from: &str, to: &str) -> Span {
    Span {
        from: Some(at(from)),
        to: Some(at(to)),
    }
}

#[test]
fn a_short_span_knows_its_months_itself() {
    let months = |from, to| span(from, to).months();
    assert_eq!(
        months("2025-11-30T23:59:59Z", "2026-02-01T00:00:00Z").unwrap(),
        ["2025-11", "2025-12", "2026-01", "2026-02"]
    );
    assert_eq!(
        months("2026-11-21T07:00:00Z", "2026-11-21T08:00:00Z").unwrap(),
        ["2026-11"]
    );
    assert_eq!(
        months("2024-12-01T00:00:00Z", "2026-11-30T00:00:00Z").unwrap().len(),
        MONTHS
    );
    assert_eq!(months("2024-11-30T00:00:00Z", "2026-11-30T00:00:00Z"), None);
    assert_eq!(Span::default().months(), None);
    assert_eq!(
        months("0001-01-01T00:00:00Z", "0001-02-01T00:00:00Z").unwrap(),
        ["0001-01", "0001-02"]
    );
}

#[test]
fn a_long_span_takes_its_months_from_those_that_have_tickets() {
    let noted = || [NO_MONTH, "2001-05", "2020-01", "2026-11"].map(str::to_owned);
    assert_eq!(Span::default().months_of(noted()), noted());
    let since = Span {
        from: Some(at("2020-01-31T00:00:00Z")),
        to: None,
    };
    assert_eq!(since.months_of(noted()), ["2020-01", "2026-11"]);
    let until = Span {
        from: None,
        to: Some(at("2020-01-01T00:00:00Z")),
    };
    assert_eq!(until.months_of(noted()), [NO_MONTH, "2001-05", "2020-01"]);
}

#[test]
fn places_are_in_the_order_of_the_walk() {
    let id: TicketId = "jira.example.com~1".parse().unwrap();
    let key = |text: &str| sort_key(Some(at(text)), &id);
    let undated = sort_key(None, &id);
    let ascending = [
        LOWEST.to_owned(),
        first_of(NO_MONTH),
        undated,
        last_of(NO_MONTH),
        "0001-01-01T00:00:00.000Z".to_owned(),
        first_of("2026-10"),
        key("2026-10-31T23:59:59.999Z"),
        last_of("2026-10"),
        first_of("2026-11"),
        "2026-11-01T00:00:00.000Z".to_owned(),
        key("2026-11-01T00:00:00Z"),
        key("2026-11-01T00:00:00.001Z"),
        last_of("2026-11"),
        HIGHEST.to_owned(),
    ];
    for pair in ascending.windows(2) {
        assert!(pair[0] <= pair[1], "{pair:?}");
    }
}

#[test]
fn names_are_the_same_in_any_case() {
    assert_eq!(named_month("HIGH", "2026-11"), named_month("high", "2026-11"));
    assert_eq!(By::Priority("High".to_owned()).partition("2026-11"), "high#2026-11");
    assert_eq!(By::State(State::Open).partition("2026-11"), "open#2026-11");
    assert_eq!(
        (month(Some(at("2026-11-21T07:00:00Z"))), month(None)),
        ("2026-11".to_owned(), NO_MONTH.to_owned())
    );
}
