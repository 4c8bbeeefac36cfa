use proptest::prelude::*;

use super::*;

#[test]
fn since_is_a_moment_in_nobodys_time_zone() {
    let moment: Time = "2026-11-01T00:30:00.500+02:00".parse().expect("a time");
    assert_eq!(since(moment), "updated >= 1793485800500");
}

#[test]
fn a_query_keeps_what_was_asked_for_but_its_order() {
    let open = "statusCategory != Done".to_owned();
    assert_eq!(query("", &[]), ORDER);
    assert_eq!(
        query("a = 1 or b = 2", std::slice::from_ref(&open)),
        format!("(a = 1 or b = 2) AND statusCategory != Done {ORDER}")
    );
    assert_eq!(query(" ", &[open]), format!("statusCategory != Done {ORDER}"));
    for order in ["Order By updated", "ORDER\n  BY rank, key DESC", "order by x"] {
        assert_eq!(query(&format!("a = 1 {order}"), &[]), format!("(a = 1) {ORDER}"));
        assert_eq!(query(&format!("a in (1){order}"), &[]), format!("(a in (1)) {ORDER}"));
        assert_eq!(query(order, &[]), ORDER);
    }
    for whole in [
        "summary ~ \"order by phone\"",
        "summary ~ 'an \"order by\" whom' and a = 1",
        "summary ~ \"a \\\" order by\"",
        "reorder = by and border = 1",
        "orderer by",
        "ordér = 'größe' and x = 1",
    ] {
        assert_eq!(query(whole, &[]), format!("({whole}) {ORDER}"));
    }
}

/// The tokens of a walk that comes to `circle` different ones again and again after `tail` others.
fn walk(tail: u64, circle: u64, pages: u64) -> Result<(), Error> {
    let mut token = None;
    for page in 0..pages {
        let number = if page < tail {
            page
        } else {
            tail + (page - tail) % circle
        };
        token = Some(Token::after(token.as_ref(), number.to_string(), BY_TOKEN)?);
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_circle_of_tokens_is_found_and_nothing_else_is_taken_for_one(tail in 0..60_u64, circle in 1..60_u64) {
        let found = walk(tail, circle, 4 * (tail + circle) + 4);
        prop_assert!(matches!(found, Err(Error::Circle { .. })), "{:?}", found);
        prop_assert!(walk(tail, circle, tail + circle).is_ok());
    }

    #[test]
    fn no_jql_makes_a_query_panic(jql in "[oO\"'\\\\ rRdDeEbByYé)(]{0,24}") {
        prop_assert!(query(&jql, &[]).ends_with(ORDER));
    }
}
