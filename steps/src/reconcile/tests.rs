use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn throttled(seconds: u64) -> jira::Error {
    jira::Error::Throttled {
        path: "/search".to_owned(),
        retry_after: Duration::from_secs(seconds),
    }
}

fn failing() -> jira::Error {
    jira::Error::Failing {
        path: "/search".to_owned(),
        status: 502,
    }
}

#[test]
fn jira_is_left_alone_for_as_long_as_it_asks_and_no_longer_than_a_run_has() {
    assert_eq!(pause(&throttled(90), 0), Some(90));
    assert_eq!(pause(&throttled(0), 3), Some(1));
    assert_eq!(pause(&throttled(u64::MAX), 3), Some(MAX_PAUSE_SECONDS));
    assert_eq!(pause(&failing(), 0), Some(FIRST_PAUSE_SECONDS));
    assert_eq!(pause(&failing(), 2), Some(4 * FIRST_PAUSE_SECONDS));
    assert_eq!(pause(&failing(), MAX_FAILURES - 1), Some(LAST_PAUSE_SECONDS));
    assert_eq!(pause(&failing(), MAX_FAILURES), None);
    let refused = jira::Error::Refused {
        path: "/search".to_owned(),
        status: 401,
        message: "no".to_owned(),
    };
    assert_eq!(pause(&refused, 0), None, "no pause gives us another token");
}

/// The state machine hands the answer of one call to the next as it is.
#[test]
fn what_one_call_answers_the_next_one_takes() {
    let as_of: Time = "2026-11-21T08:00:00.123Z".parse().unwrap();
    let run = Run {
        by: "x".to_owned(),
        scope: Scope::Changed,
        as_of,
        since: as_of.saturating_add(-FIRST_LOOK_MS),
        site: None,
        stage: Stage::Theirs {
            cursor: Some(
                serde_json::from_value(json!({ "token": { "text": "after", "pages": 3, "mark": "x" } })).unwrap(),
            ),
        },
        calls: 4,
        pages: 3,
        issues: 150,
        repaired: 2,
        events: 2,
        missed: 0,
        failures: 1,
    };
    for output in [
        Output::GoOn { run: run.clone() },
        Output::Wait {
            seconds: 30,
            run: run.clone(),
        },
    ] {
        let handed_on = serde_json::to_value(&output).unwrap();
        let Ok(Input::Continue { run: read }) = serde_json::from_value(handed_on) else {
            panic!("{output:?} is not taken");
        };
        assert_eq!(read, run);
    }
}

#[test]
fn a_run_begins_with_what_the_schedule_says() {
    let template = include_str!("../../../template.yaml");
    let inputs = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Input: '")?.strip_suffix('\''));
    let inputs: Vec<Value> = inputs.map(|input| serde_json::from_str(input).unwrap()).collect();
    let scopes: Vec<Scope> = inputs
        .into_iter()
        .filter(|input| input.get("scope").is_some())
        .map(|wanted| {
            match serde_json::from_value(json!({ "wanted": wanted, "as_of": "2026-11-21T08:00:00.123Z", "by": "x" })) {
                Ok(Input::Begin { wanted, .. }) => wanted.scope,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    assert_eq!(scopes, [Scope::Changed, Scope::Open]);
    let misspelt =
        json!({ "wanted": { "scope": "changed", "form": 1 }, "as_of": "2026-11-21T08:00:00.123Z", "by": "x" });
    assert!(serde_json::from_value::<Input>(misspelt).is_err());
}
