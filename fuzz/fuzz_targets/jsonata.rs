//! Any text as a JSONata expression over any input.
#![no_main]

use asl::query::Language;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

// A panic that is caught inside, as those of the evaluator are, is none of ours; one that comes out ends the run.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |data: &[u8]| {
    if let Some((text, input)) = fuzz::text_and_input(data) {
        fuzz::evaluate(&json!(format!("{{% {text} %}}")), Language::Jsonata, &input);
    }
});
