use ticket::Policy;

use super::{Reused, compare};

fn compared(text: &str, first: &str) -> Result<(), Reused> {
    let policy: Policy = serde_json::from_str(text).unwrap();
    compare(&policy, text, first)
}

#[test]
fn a_policy_is_what_it_says_and_not_how_it_is_written() {
    assert_eq!(compared("{}", "{}"), Ok(()));
    assert_eq!(compared("{}", r#"{ "version": 1, "done": "category" }"#), Ok(()));
    assert_eq!(
        compared(
            r#"{"priorities":["A","B"],"sla":[{"close":"1d 2h"}]}"#,
            r#"{"sla":[{"close":"2h 1d","time":"calendar"}],"priorities":["B","A"]}"#
        ),
        Ok(())
    );
}

#[test]
fn another_policy_of_the_same_version_is_refused_by_what_differs() {
    let refused = |text, first| compared(text, first).unwrap_err();
    let text = r#"{"version":3,"done":"either","sla":[{"close":"1h"}]}"#;
    let error = refused(text, r#"{"version":3}"#);
    assert_eq!(
        error.to_string(),
        "the policy of version 3 was another one before (done, sla differ): a changed policy needs a greater version"
    );
    // What only one of them has.
    let calendar = r#"{"calendar":{"zone":"UTC","hours":["09:00-17:00"]}}"#;
    assert_eq!(refused(calendar, "{}").differing, ["calendar"]);
    assert_eq!(refused("{}", calendar).differing, ["calendar"]);
    // What another release wrote, and text that is none.
    for unknown in [r#"{"verdicts":[]}"#, ""] {
        assert_eq!(refused("{}", unknown).differing, ["what this release cannot read"]);
    }
}
