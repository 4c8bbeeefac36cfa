use ticket::{Policy, Time};

use super::{Known, Replaced, SETTLED_MS, Standing, standing};

const NOW: i64 = 1_795_250_000_000;

fn at(ms: i64) -> Time {
    Time::from_millis(NOW + ms).expect("a moment")
}

/// How `text` stands now, where these were in force, the latest first, each since so many milliseconds ago.
fn stands(text: &str, known: &[(&str, i64)]) -> Standing {
    let policy: Policy = serde_json::from_str(text).expect("a policy");
    let numbers = (1..=known.len() as u32).rev();
    let known = known.iter().zip(numbers).map(|((text, ago_ms), number)| Known {
        number,
        text: (*text).to_owned(),
        since: at(-ago_ms),
    });
    standing(&policy, text, &known.collect::<Vec<_>>(), at(0))
}

#[test]
fn a_policy_is_what_it_says_and_not_how_it_is_written() {
    assert_eq!(stands("{}", &[("{}", 1)]), Standing::InForce(1));
    assert_eq!(stands("{}", &[(r#"{ "done": "category" }"#, 1)]), Standing::InForce(1));
    let (one, other) = (
        r#"{"priorities":["A","B"],"sla":[{"close":"1d 2h"}]}"#,
        r#"{"sla":[{"close":"2h 1d","time":"calendar"}],"priorities":["B","A"]}"#,
    );
    assert_eq!(stands(one, &[(other, 1), ("{}", 2)]), Standing::InForce(2));
    // Of a later release, with something that this one does not know.
    let later = r#"{"weather":"fair"}"#;
    assert_eq!(stands("{}", &[(later, 1)]), Standing::New(2));
}

#[test]
fn a_changed_policy_has_the_next_number() {
    assert_eq!(stands("{}", &[]), Standing::New(1));
    assert_eq!(stands(r#"{"done":"either"}"#, &[("{}", 0)]), Standing::New(2));
    assert_eq!(
        stands(r#"{"done":"both"}"#, &[(r#"{"done":"either"}"#, 0), ("{}", 1)]),
        Standing::New(3)
    );
}

#[test]
fn a_policy_that_was_replaced_waits_and_is_then_put_back() {
    let either = r#"{"done":"either"}"#;
    let replaced = |number, ago_ms: i64| {
        Standing::Replaced(Replaced {
            number,
            at: at(-ago_ms),
            again_at: at(SETTLED_MS - ago_ms),
        })
    };
    assert_eq!(stands("{}", &[(either, 0), ("{}", 9)]), replaced(1, 0));
    let last = SETTLED_MS - 1;
    assert_eq!(stands("{}", &[(either, last), ("{}", SETTLED_MS)]), replaced(1, last));
    assert_eq!(
        stands("{}", &[(either, SETTLED_MS), ("{}", SETTLED_MS + 1)]),
        Standing::New(3)
    );
    // It was put back before, and replaced again: the last time counts.
    let known = [
        (either, 5),
        ("{}", SETTLED_MS),
        (either, SETTLED_MS * 2),
        ("{}", SETTLED_MS * 3),
    ];
    assert_eq!(stands("{}", &known), replaced(3, 5));
    // A clock of another machine that is ahead makes it wait, and no longer than that.
    assert_eq!(stands("{}", &[(either, -1_000), ("{}", 9)]), replaced(1, -1_000));
}
