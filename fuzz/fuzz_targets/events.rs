//! Any text as a schedule's expression and as a rule's pattern, and what follows from it.
#![no_main]

use chrono::{DateTime, Utc};
use libfuzzer_sys::fuzz_target;
use runtime::events::{Pattern, Schedule};

/// Due moments asked of a schedule, one after the other.
const MAX_MOMENTS: usize = 20;

fuzz_target!(|data: &[u8]| {
    let Some((text, event)) = fuzz::text_and_input(data) else {
        return;
    };
    if let Ok(schedule) = Schedule::parse(text) {
        let mut last = DateTime::<Utc>::UNIX_EPOCH;
        for _ in 0..MAX_MOMENTS {
            let Some(due) = schedule.next(last, last) else {
                break;
            };
            assert!(last < due, "a schedule goes on");
            last = due;
        }
    }
    if let Ok(pattern) = serde_json::from_str(text)
        && let Ok(pattern) = Pattern::parse(&pattern)
    {
        pattern.matches(&event);
    }
});
